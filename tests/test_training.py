"""The game: whose turn it is, what each turn changes, and that nothing is lost."""
import copy

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import tinygan as tg
from tinygan import checkpoint, umpire
from tinygan.run import presets

LATENT = 4


def tiny(seed=0, dtype=np.float32, **options):
    rng = np.random.default_rng(1)
    G = tg.Sequential(tg.Dense(LATENT, 8), tg.BatchNorm(8), tg.LeakyReLU(0.2), tg.Reshape(2, 2, 2),
                      tg.Conv2DTranspose(2, 1, 4, stride=2), tg.Tanh()).initialise(rng).astype(dtype)
    D = tg.Sequential(tg.Conv2D(1, 3, 4, stride=2), tg.LeakyReLU(0.2),
                      tg.Flatten(), tg.Dense(12, 1)).initialise(rng).astype(dtype)
    return tg.GAN(G, D, latent=LATENT, seed=seed, **options)


@pytest.fixture
def images(rng):
    return rng.uniform(-1, 1, (20, 4, 4, 1)).astype(np.float32)


def everything(gan):
    return [*gan.generator.arrays(), *gan.discriminator.arrays(), *gan.averaged.arrays(),
            *gan.g_optimizer.state_dict().values(), *gan.d_optimizer.state_dict().values(), gan.unseen,
            *map(np.array, gan.history.values())]


def same(one, two):
    return all(np.array_equal(a, b) for a, b in zip(everything(one), everything(two), strict=True))


def test_each_turn_changes_its_own_side_only(images):
    gan = tiny()
    seen = {}

    def spy(optimiser, own, other, name):
        step = optimiser.step

        def watched(fraction):
            before = own.state_dict(), [p.data.copy() for p in other.parameters()]
            step(fraction)
            seen[name] = (any((before[0][k] != v).any() for k, v in own.state_dict().items()),
                          all((a == p.data).all() for a, p in zip(before[1], other.parameters())))
        optimiser.step = watched

    spy(gan.d_optimizer, gan.discriminator, gan.generator, "D")
    spy(gan.g_optimizer, gan.generator, gan.discriminator, "G")
    gan.step(images[:8])
    assert seen == {"D": (True, True), "G": (True, True)} and list(seen) == ["D", "G"]


@pytest.mark.parametrize("loss", ["non_saturating", "saturating", "least_squares", "hinge", "wasserstein"])
def test_gs_gradient_is_that_of_its_loss_at_the_updated_d(loss, images):
    gan = tiny(dtype=np.float64, loss=loss)
    grads = {}
    gan.g_optimizer.step = lambda fraction: grads.update(enumerate(p.grad.data for p in gan.generator.parameters()))
    start = copy.deepcopy(gan.generator)
    rng = copy.deepcopy(gan.rng)
    gan.step(images[:8].astype(np.float64))
    rng.standard_normal((8, LATENT))                       # D's fakes
    z = rng.standard_normal((8, LATENT))
    g_loss = tg.losses.LOSSES[loss][1]
    tg.check_gradients(lambda z: g_loss(gan.discriminator(start(z))), z)
    expected = tg.grad(g_loss(gan.discriminator(start(z))), start.parameters())
    for i, g in enumerate(expected):
        np.testing.assert_allclose(grads[i], g.data, atol=1e-14)
    assert max(abs(g).max() for g in grads.values()) > 1e-4


def test_equal_seeds_give_equal_bits_on_any_number_of_threads(images):
    runs = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads, user_api="blas"):
            runs.append(tiny(averaging=0.9))
            runs[-1].fit(images, 5, 8)
    assert same(runs[0], runs[1]) and same(runs[0], runs[2])
    other = tiny(seed=1, averaging=0.9)
    other.fit(images, 5, 8)
    assert not same(runs[0], other)


@pytest.mark.parametrize("models", [
    (tg.models.small_generator, tg.models.small_discriminator),
    (tg.models.seed_generator, tg.models.seed_discriminator),
    (tg.models.seed_generator, lambda: tg.models.seed_discriminator(batch_norm=False))])
def test_every_preset_takes_real_steps(models):
    gan = tg.GAN(models[0](), models[1](), averaging=0.9)
    before = [network.state_dict() for network in (gan.generator, gan.discriminator)]
    history = gan.fit(tg.data.digits()[0], 2, 16)
    assert all(np.isfinite(values).all() and len(values) == 2 for values in history.values())
    for network, state in zip((gan.generator, gan.discriminator), before):
        for name, parameter in network.named_parameters():
            idle = name.endswith("bias") and len(parameter.data) > 1        # a bias before batch norm has gradient 0
            assert idle or (state[name] != parameter.data).any()


def test_an_epoch_passes_every_image_once(images):
    gan = tiny()
    seen = np.concatenate([gan._next_batch(20, 8) for _ in range(5)])
    assert sorted(seen[:20]) == sorted(seen[20:]) == list(range(20)) and list(seen[:20]) != list(seen[20:])


def test_samples_disturb_nothing_and_each_z_stands_for_itself(images):
    gan, quiet = tiny(), tiny()
    for each in (gan, quiet):
        each.fit(images, 2, 8)
    z = np.random.default_rng(3).standard_normal((6, LATENT))
    np.testing.assert_allclose(gan.generate(z)[2:3], gan.generate(z[2:3]), atol=1e-6)
    np.testing.assert_array_equal(gan.sample(4, seed=9), gan.sample(4, seed=9))
    assert gan.generator.training
    for each in (gan, quiet):
        each.fit(images, 2, 8)
    assert same(gan, quiet)


def test_averaging(images):
    gan = tiny(averaging=0.6)
    mean = [a.copy() for a in gan.generator.arrays()]
    for t in range(12):
        gan.step(images[:8])
        decay = min(0.6, (1 + t) / (10 + t))
        mean = [decay * m + (1 - decay) * a for m, a in zip(mean, gan.generator.arrays())]
    for m, a in zip(mean, gan.averaged.arrays()):
        np.testing.assert_allclose(m, a, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimiser", [tg.Adam, tg.SGD])
def test_a_saved_game_goes_on_bit_for_bit(optimiser, images, tmp_path):
    def fresh():
        gan = tiny(averaging=0.9)
        gan.g_optimizer = optimiser(gan.generator.parameters(), lr=0.01)
        gan.d_optimizer = optimiser(gan.discriminator.parameters(), lr=0.01)
        return gan
    whole, half = fresh(), fresh()
    whole.fit(images, 14, 8)
    half.fit(images, 7, 8)
    half.save(tmp_path / "checkpoint.npz")
    resumed = tg.GAN.load(tmp_path / "checkpoint.npz")
    resumed.fit(images, 7, 8)
    assert same(whole, resumed) and resumed.steps == 14
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_a_save_that_fails_leaves_the_old_file(images, tmp_path, monkeypatch):
    gan, path = tiny(), tmp_path / "c.npz"
    gan.save(path)
    before = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(tg.TinyganError, match="No space left on device.*untouched"):
        gan.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def damaged(kind, path):
    data = bytearray(path.read_bytes())
    if kind == "truncated":
        data = data[:len(data) // 2]
    if kind == "flipped":
        data[data.index(tg.GAN.load(path).generator.parameters()[0].data.tobytes()) + 3] ^= 0xFF
    if kind == "empty":
        data = b""
    if kind == "text":
        data = b"this is no checkpoint"
    path.write_bytes(bytes(data))
    if kind == "foreign":
        np.savez(path, a=np.ones(3))
    if kind == "pickled":
        np.savez(path, description=np.array({"format": 1}, dtype=object))


@pytest.mark.parametrize("kind", ["truncated", "flipped", "empty", "text", "foreign", "pickled"])
def test_a_damaged_checkpoint_is_refused_and_left_alone(kind, tmp_path):
    path = tmp_path / "c.npz"
    tiny().save(path)
    damaged(kind, path)
    before = path.read_bytes()
    with pytest.raises(tg.TinyganError, match="c.npz"):
        tg.GAN.load(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("change, word", [
    (lambda x: (x * 127 + 128).astype(np.uint8), "uint8"), (lambda x: x * 2, r"\[-1, 1\]"),
    (lambda x: np.where(x > 0.9, np.nan, x).astype(np.float32), "NaN"), (lambda x: x[:, :3], "reshape"),
    (lambda x: x[:5], "batch size"), (lambda x: x[:0], "got no images"), (lambda x: tg.Tensor(x), "a Tensor"),
    (lambda x: np.ma.masked_greater(x, 0.9), "masked")])
def test_images_that_cannot_be_played_with(change, word, images):
    with pytest.raises(tg.TinyganError, match=word):
        tiny().fit(change(images), 1, 8)


@pytest.mark.parametrize("dtype", ["float16", ">f4", "float64"])
def test_images_of_other_floats_are_played_with(dtype, images):
    assert np.isfinite(tiny().fit(images.astype(dtype), 1, 8)["d_loss"]).all()


def test_other_bad_input(images, tmp_path):
    with pytest.raises(tg.TinyganError, match="expected one of"):
        tiny(loss="minimax")
    with pytest.raises(tg.TinyganError, match="one row"):
        tg.GAN(tg.models.seed_generator(), tg.models.seed_discriminator()).step(np.zeros((1, 28, 28, 1), np.float32))
    with pytest.raises(tg.TinyganError, match="no checkpoint"):
        tg.GAN.load(tmp_path / "none.npz")
    with pytest.raises(TypeError, match="got the option 'd_lr', expected one of gradient_penalty, averaging, r1.*d_optim"):
        tiny(d_lr=1e-4)
    for n in (0, -1, 2.5):
        with pytest.raises(tg.TinyganError, match=f"got n {n}, expected an integer of at least 1"):
            tiny().sample(n)


@pytest.mark.parametrize("d_loss, g_loss, step, what", [
    ([1, np.nan, np.inf], [1, 1, np.nan], 4, "d_loss is nan"), ([1, 1, np.nan], [1, -np.inf, 1], 4, "g_loss is -inf"),
    ([1, 1, 1], [1, 1, np.nan], 5, "g_loss is nan"), ([np.nan, 1, 1], [np.nan, 1, 1], 3, "d_loss is nan")])
def test_the_first_bad_step_is_named(d_loss, g_loss, step, what):
    gan = tiny()
    gan.steps = 5                                       # the first two were not played by fit, and have no history
    gan.history["d_loss"], gan.history["g_loss"] = d_loss, g_loss
    with pytest.raises(tg.Diverged, match=what) as caught:
        umpire.check_finite(gan)
    assert caught.value.step == step and caught.value.bad == []


def test_one_z_is_one_image_whatever_stands_beside_it():
    """To the last bit: in small and large company, alone, and from the noise itself."""
    gan = presets.PRESETS["digits"].build(0)
    few, many = gan.sample(3, seed=7), gan.sample(40, seed=7)
    assert np.array_equal(few, many[:3])
    z = np.random.default_rng(7).standard_normal((40, gan.latent))
    assert np.array_equal(gan.generate(z[31:32])[0], many[31])
    np.testing.assert_allclose(gan.generate(z), many, atol=1e-6)
    with pytest.raises(tg.TinyganError, match="got n 0"):
        gan.sample(0)


# Who learns

def test_a_frozen_layer_stays_and_all_else_goes_on(images, tmp_path):
    gan, path = tiny(averaging=0.5), tmp_path / "c.npz"
    gan.fit(images, 2, 8)
    frozen = [gan.generator.layers[0].weight, gan.generator.layers[1].gamma, gan.discriminator.layers[3].bias]
    for parameter in frozen:
        parameter.requires_grad = False
    before, free = [p.data.copy() for p in frozen], gan.generator.layers[4].weight.data.copy()
    mean = dict(gan.averaged.state_dict())
    gan.step(images[:8])
    assert all(p.grad is None for p in frozen)              # nobody needs them, so they are not even computed
    decay = min(0.5, (1 + 2) / (10 + 2))
    for name, now in gan.generator.named_arrays():          # each into its own mean, whoever is frozen
        expected = decay * mean[name] + (1 - decay) * now
        np.testing.assert_allclose(dict(gan.averaged.named_arrays())[name], expected, rtol=1e-4, atol=1e-6)
    gan.save(path)
    again = tg.GAN.load(path)
    for game in (gan, again):
        game.fit(images, 3, 8)
    assert same(gan, again) and all(np.array_equal(p.data, b) for p, b in zip(frozen, before))
    assert (gan.generator.layers[4].weight.data != free).any()
    for part in ("generator", "discriminator"):
        flags = [[p.requires_grad for p in getattr(game, part).parameters()] for game in (gan, again)]
        assert flags[0] == flags[1] and not all(flags[0])
    for game in (gan, again):                               # thawed, both learn on alike
        for network in (game.generator, game.discriminator):
            for parameter in network.parameters():
                parameter.requires_grad = True
        game.fit(images, 2, 8)
    assert same(gan, again) and all((p.data != b).any() for p, b in zip(frozen, before))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("part, other", [("generator", "discriminator"), ("discriminator", "generator")])
def test_a_player_that_is_frozen_as_a_whole(part, other, workers, images):
    gan = tiny()
    for parameter in getattr(gan, part).parameters():
        parameter.requires_grad = False
    weights = [[p.data.copy() for p in getattr(gan, name).parameters()] for name in (part, other)]
    history = gan.fit(images, 2, 8, workers=workers)
    assert np.isfinite(history["d_loss"]).all()
    assert all(np.array_equal(a, p.data) for a, p in zip(weights[0], getattr(gan, part).parameters()))
    assert any((a != p.data).any() for a, p in zip(weights[1], getattr(gan, other).parameters()))


def test_each_layers_own_mode_stays(images, tmp_path):
    gan = tiny(averaging=0.9)
    gan.generator.layers[1].eval()
    remembered = gan.generator.layers[1].running_mean.copy()
    gan.fit(images, 2, 8)
    gan.sample(2)
    gan.save(tmp_path / "c.npz")
    for game in (gan, tg.GAN.load(tmp_path / "c.npz")):
        assert [module.training for module in game.generator.modules()].count(False) == 1
        assert not game.generator.layers[1].training and game.discriminator.training
        np.testing.assert_array_equal(game.generator.layers[1].running_mean, remembered)
    gan.averaged.eval()
    gan.generate(np.zeros((1, LATENT)))
    assert not any(module.training for module in gan.averaged.modules())


def test_a_checkpoint_from_before_the_traits_loads(images, tmp_path):
    gan = tiny()
    gan.fit(images, 2, 8)
    gan.save(tmp_path / "new.npz")
    about, arrays = checkpoint.read(tmp_path / "new.npz")
    del about["traits"], about["mark"]
    about["g_optimizer"], about["d_optimizer"] = about["g_optimizer"][:2], about["d_optimizer"][:2]
    checkpoint.write(tmp_path / "old.npz", about, arrays)
    old = tg.GAN.load(tmp_path / "old.npz")
    assert same(gan, old)
    for game in (gan, old):
        game.fit(images, 3, 8)
    assert same(gan, old)


@pytest.mark.parametrize("optimisers, said", [
    (lambda G, D: (tg.Adam(D.parameters()), None), "g_optimizer with 4 parameters that are not the generator's"),
    (lambda G, D: (None, tg.SGD(G.parameters(), 0.1)), "d_optimizer with 6 parameters that are not the discriminator's"),
    (lambda G, D: (tg.Adam([tg.Tensor(np.ones(2), True)]), None), "g_optimizer with 1 parameters"),
    (lambda G, D: (tg.Adam([*G.parameters(), *D.parameters()]), None), "g_optimizer with 4 parameters"),
    (lambda G, D: 2 * (tg.Adam([*G.parameters(), *D.parameters()]),), "g_optimizer with 4 parameters")])
def test_an_optimiser_steps_its_own_network(optimisers, said, images):
    gan = tiny()
    G, D = gan.generator, gan.discriminator
    given = dict(zip(("g_optimizer", "d_optimizer"), optimisers(G, D)))
    with pytest.raises(tg.TinyganError, match=said):
        tg.GAN(G, D, LATENT, **given)
    for name, optimiser in given.items():
        setattr(gan, name, optimiser or getattr(gan, name))
    with pytest.raises(tg.TinyganError, match=said):
        gan.fit(images, 1, 8)


def test_players_share_no_weights():
    layer = tg.Dense(2, 2)
    with pytest.raises(tg.TinyganError, match="2 parameters in common"):
        tg.GAN(tg.Sequential(layer), tg.Sequential(layer, tg.Dense(2, 1)), 2)


@pytest.mark.parametrize("make", [tg.Adam, tg.SGD])
def test_an_optimiser_of_some_parameters_in_another_order_is_saved(make, images, tmp_path):
    def fresh():
        gan = tiny()
        chosen = [parameter for layer in reversed(gan.discriminator.layers) for parameter in layer.parameters()][1:]
        gan.d_optimizer = make(chosen, lr=0.01)
        return gan
    whole, half = fresh(), fresh()
    for layer in (whole.discriminator.layers[3], half.discriminator.layers[3]):
        layer.bias.data[:] = 1
    whole.fit(images, 6, 8)
    half.fit(images, 3, 8)
    half.save(tmp_path / "c.npz")
    half = tg.GAN.load(tmp_path / "c.npz")
    half.fit(images, 3, 8)
    assert same(whole, half)


# What load brings back

def test_numbers_of_numpy_are_plain_ones(images, tmp_path):
    def game(f, n):
        gan = tiny(n(3), r1=f(0.1), averaging=f(0.9), instance_noise=f(0.3), noise_steps=n(4), label_smoothing=f(0.1),
                   decay_steps=n(20))
        gan.g_optimizer = tg.Adam(gan.generator.parameters(), f(0.01), (f(0.5), f(0.9)), f(1e-6))
        gan.d_optimizer = tg.SGD(gan.discriminator.parameters(), f(0.01))
        gan.fit(images, n(3), n(8))
        gan.save(tmp_path / "c.npz")
        return (tmp_path / "c.npz").read_bytes()
    assert game(lambda x: float(np.float32(x)), int) == game(np.float32, np.int64)
    assert game(float, int) == game(np.float64, np.uint16) == game(np.array, np.array)
    assert tiny(decay_steps=1e3).decay_steps == 1000


@pytest.mark.parametrize("options", [
    {"r1": True}, {"r1": "0.1"}, {"r1": np.nan}, {"averaging": True}, {"averaging": np.bool_(True)}, {"noise_steps": "3"},
    {"decay_steps": np.nan}, {"gradient_penalty": 1j}, {"label_smoothing": np.array([0.1])}, {"seed": True}, {"seed": -1},
    {"seed": "a"}, {"seed": 1.5}, {"latent": True}, {"latent": 2.5}, {"latent": "4"}, {"latent": 0}, {"r1": None},
    {"label_smoothing": 0.5}, {"instance_noise": np.inf}])
def test_what_is_no_number_is_refused_before_the_game(options):
    gan = tiny()
    with pytest.raises(tg.TinyganError, match=f"got {next(iter(options))} .*expected"):
        tg.GAN(gan.generator, gan.discriminator, **{"latent": LATENT, **options})


@pytest.mark.parametrize("steps, batch_size", [(1, True), (1, 8.0), (1, "8"), (True, 8), (1.5, 8), ("3", 8), (-1, 8)])
def test_what_is_no_number_is_refused_by_fit(steps, batch_size, images):
    with pytest.raises(tg.TinyganError, match="got (steps|batch size) "):
        tiny().fit(images, steps, batch_size)


class Residual(tg.Module):
    """y = x + layer(x)"""

    def __init__(self, features):
        self.layer = tg.Dense(features, features)

    def forward(self, x):
        return x + self.layer(x)


class Mine(tg.Sequential):
    """A Sequential that adds 1"""

    def forward(self, x):
        return super().forward(x) + 1


OWN = {"Residual": lambda: tg.Sequential(tg.Dense(16, 3), Residual(3), tg.Dense(3, 1)),
       "Mine": lambda: Mine(tg.Dense(16, 3), tg.LeakyReLU(), tg.Dense(3, 1)),
       "Dense": lambda: tg.Sequential(type("Dense", (tg.Dense,), {})(16, 1))}


@pytest.mark.parametrize("name", OWN)
def test_networks_of_ones_own(name, images, tmp_path):
    path = tmp_path / "c.npz"

    def fresh():
        G = tg.Sequential(tg.Dense(LATENT, 16), tg.BatchNorm(16), tg.Tanh()).initialise(np.random.default_rng(5))
        return G, OWN[name]()
    gan = tg.GAN(*fresh(), LATENT, averaging=0.9)
    flat = images.reshape(-1, 16)
    gan.fit(flat, 3, 8)
    gan.save(path)
    with pytest.raises(tg.TinyganError, match=f"c.npz cannot be used: got no discriminator, .* {name}, .*discriminator=…"):
        tg.GAN.load(path)
    G, D = fresh()
    for given in ({"discriminator": D}, {"generator": G, "discriminator": D}):
        again = tg.GAN.load(path, **given)
        assert again.discriminator is D and (again.generator is G) == ("generator" in given)
        assert same(gan, again)
    gan.fit(flat, 3, 8)
    again.fit(flat, 3, 8)
    assert same(gan, again)


def test_a_network_that_does_not_fit_is_refused_and_left_alone(images, tmp_path):
    tiny().save(tmp_path / "c.npz")
    G, D = tiny().generator, tg.Sequential(tg.Dense(12, 1))
    G.layers[0].weight.data[:] = 7
    for given in ({"generator": G, "discriminator": D}, {"discriminator": D}):
        with pytest.raises(tg.TinyganError, match="c.npz cannot be used: the state does not fit"):
            tg.GAN.load(tmp_path / "c.npz", **given)
    assert (G.layers[0].weight.data == 7).all()
    with pytest.raises(tg.TinyganError, match="got a generator of type str"):
        tg.GAN.load(tmp_path / "c.npz", "generator")


def test_an_optimiser_of_ones_own_is_not_saved(tmp_path):
    class Adam(tg.Adam):
        """Of this name, but another."""
    gan = tiny()
    gan.g_optimizer = Adam(gan.generator.parameters())
    with pytest.raises(tg.TinyganError, match="got Adam, an optimiser of your own, expected SGD or Adam"):
        gan.save(tmp_path / "c.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["layer", "weight"])
def test_what_is_shared_is_shared_after_load(what, tmp_path, rng):
    def fresh():
        layer = tg.Sequential(tg.Dense(3, 3), tg.BatchNorm(3))
        G = tg.Sequential(layer, tg.LeakyReLU(), layer if what == "layer" else copy.deepcopy(layer), tg.Tanh())
        G.layers[2].layers[0].weight = G.layers[0].layers[0].weight
        G.initialise(np.random.default_rng(2))
        return tg.GAN(G, tg.Sequential(tg.Dense(3, 1)).initialise(np.random.default_rng(3)), 3, averaging=0.9)
    x, whole, half = rng.uniform(-1, 1, (20, 3)).astype(np.float32), fresh(), fresh()
    whole.fit(x, 6, 8)
    half.fit(x, 3, 8)
    half.save(tmp_path / "c.npz")
    half = tg.GAN.load(tmp_path / "c.npz")
    half.fit(x, 3, 8)
    for network in (half.generator, half.averaged):
        assert network.layers[0].layers[0].weight is network.layers[2].layers[0].weight
        assert (network.layers[0] is network.layers[2]) == (what == "layer")
    assert same(whole, half)


# The order of the images

@pytest.mark.parametrize("load", [False, True])
@pytest.mark.parametrize("many, few", [(20, 9), (9, 20), (20, 20)])
def test_other_images_begin_an_order_of_their_own(many, few, load, tmp_path, rng):
    gan, (first, other) = tiny(), rng.uniform(-1, 1, (2, 20, 4, 4, 1)).astype(np.float32)
    first, other = first[:many], other[:few]
    gan.generator.layers[1].eval()                          # so that one image is a batch
    gan.fit(first, 1, 4)
    if load:
        gan.save(tmp_path / "c.npz")
        gan = tg.GAN.load(tmp_path / "c.npz")
    assert len(gan.unseen) == many - 4
    taken, step = [], gan.step
    gan.step = lambda batch: taken.append(batch) or step(batch)
    gan.fit(other, few, 1)                                  # one by one: an epoch is each of them once
    order = [int(np.flatnonzero((other == batch).all(axis=(1, 2, 3)))[0]) for batch in taken]
    assert sorted(order) == list(range(few))
    gan.fit(other.copy(), 3, 1)                             # equal images go on
    assert len(gan.unseen) == few - 3


def test_an_older_checkpoint_does_not_know_its_images(images, tmp_path):
    gan = tiny()
    gan.fit(images, 1, 8)
    gan.mark = None
    rest = gan.unseen
    gan.fit(images, 1, 4)
    np.testing.assert_array_equal(gan.unseen, rest[4:])
    gan.mark = None
    gan.fit(images[:8], 1, 4)                               # but it cannot have been these
    assert len(gan.unseen) == 4 and max(gan.unseen) < 8


# Known answers

def softplus(a):
    return np.logaddexp(0, a)


def sigma(a):
    return 1 / (1 + np.exp(-a))


BY_HAND = {                 # loss: L_D(a_real, a_fake), L_G(a), what D believes
    "non_saturating": (lambda a, b: softplus(-a).mean() + softplus(b).mean(), lambda b: softplus(-b).mean(), sigma),
    "saturating": (lambda a, b: softplus(-a).mean() + softplus(b).mean(), lambda b: -softplus(b).mean(), sigma),
    "least_squares": (lambda a, b: ((a - 1) ** 2).mean() / 2 + (b ** 2).mean() / 2, lambda b: ((b - 1) ** 2).mean() / 2, None),
    "hinge": (lambda a, b: np.maximum(0, 1 - a).mean() + np.maximum(0, 1 + b).mean(), lambda b: -b.mean(), None),
    "wasserstein": (lambda a, b: b.mean() - a.mean(), lambda b: -b.mean(), None)}


@pytest.mark.parametrize("loss", BY_HAND)
def test_the_metrics_by_hand(loss, images):
    gan, x = tiny(dtype=np.float64, loss=loss), images[:8].astype(np.float64)
    rng, G, D = copy.deepcopy(gan.rng), copy.deepcopy(gan.generator), copy.deepcopy(gan.discriminator)
    D_loss, G_loss, belief = BY_HAND[loss]
    belief = belief or (lambda a: a)
    z = rng.standard_normal((16, LATENT))
    metrics = gan.step(x)
    real, fake = D(x).data, D(G(z[:8]).data).data
    again = gan.discriminator(G(z[8:]).data).data           # G as it was, D after its step
    expected = {"d_loss": D_loss(real, fake), "g_loss": G_loss(again),
                "d_real": belief(real).mean(), "d_fake": belief(fake).mean()}
    assert list(metrics) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-10, err_msg=name)
    assert abs(expected["d_real"] - expected["d_fake"]) > 1e-3


def test_whole_numbers_of_steps_are_ints_and_weights_are_floats():
    rules = umpire.Rules(r1=np.int64(1), r1_every=4.0, decay_steps=np.float64(1e4))
    assert (rules.r1, rules.r1_every, rules.decay_steps) == (1, 4, 10_000)
    assert [type(value) for value in (rules.r1, rules.r1_every, rules.decay_steps)] == [float, int, int]


def test_both_learning_rates_fall():
    """Two straight lines under the Wasserstein loss, whose gradients are known: each step is lr·part of them."""
    G, D = (tg.Sequential(tg.Dense(1, 1)).astype(np.float64) for _ in range(2))
    gan = tg.GAN(G, D, 1, "wasserstein", tg.SGD(G.parameters(), 0.5), tg.SGD(D.parameters(), 0.25), decay_steps=4)
    g_parts, d_parts, rng = [], [], copy.deepcopy(gan.rng)
    for _ in range(6):
        (w, b), u = [p.data.copy() for p in G.parameters()], D.layers[0].weight.data.copy()
        z = rng.standard_normal((6, 1))
        gan.step(np.ones((3, 1)))
        d_gradient = (z[:3] @ w + b).mean() - 1             # ∂/∂u of E u·G(z) − E u·1
        d_parts.append((u - D.layers[0].weight.data).item() / (0.25 * d_gradient))
        g_parts.append((G.layers[0].bias.data - b).item() / (0.5 * D.layers[0].weight.data.item()))     # −∂/∂b of −E D(G(z))
    np.testing.assert_allclose([d_parts, g_parts], 2 * [[1, 0.75, 0.5, 0.25, 0.05, 0.05]], rtol=1e-7)


@pytest.mark.parametrize("last, low, high", [(tg.Tanh(), -1, 1), (tg.Sigmoid(), 0, 1)])
@pytest.mark.parametrize("before", [0, 1])
def test_the_range_of_the_images_on_both_sides(last, low, high, before):
    """The layer at the end counts, even if it stands before the end too."""
    gan = tg.GAN(tg.Sequential(*before * [last], tg.Dense(2, 3), last), tg.Sequential(tg.Dense(3, 1)), 2)
    x = np.full((4, 3), (low + high) / 2, np.float32)
    for value, fits in [(low, True), (high, True), (low - 0.01, False), (high + 0.01, False)]:
        x[1, 2] = value
        if fits:
            gan.fit(x, 1, 2)
        else:
            with pytest.raises(tg.TinyganError, match="got images in"):
                gan.fit(x, 1, 2)


@pytest.mark.parametrize("bad", [3, 20, 23])
def test_the_step_that_diverged_is_named_when_metrics_wait_on_a_device(bad, images, monkeypatch):
    gan = tiny()
    monkeypatch.setattr("tinygan.training.at_hand", lambda array: False)
    step = gan.step
    gan.step = lambda batch: {name: np.float32(np.nan) if gan.steps >= bad else value for name, value in step(batch).items()}
    with pytest.raises(tg.Diverged) as caught:
        gan.fit(images, 60, 8)
    assert caught.value.step == bad and gan.steps == -(-bad // umpire.MOST_UNREAD) * umpire.MOST_UNREAD
