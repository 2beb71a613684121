"""The game: whose turn it is, what each turn changes, and that nothing is lost."""
import copy

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import tinygan as tg
from tinygan import umpire
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
    (lambda x: x[:5], "batch size")])
def test_images_that_cannot_be_played_with(change, word, images):
    with pytest.raises(tg.TinyganError, match=word):
        tiny().fit(change(images), 1, 8)


def test_other_bad_input(images, tmp_path):
    with pytest.raises(tg.TinyganError, match="expected one of"):
        tiny(loss="minimax")
    with pytest.raises(tg.TinyganError, match="one row"):
        tg.GAN(tg.models.seed_generator(), tg.models.seed_discriminator()).step(np.zeros((1, 28, 28, 1), np.float32))
    with pytest.raises(tg.TinyganError, match="no checkpoint"):
        tg.GAN.load(tmp_path / "none.npz")


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
    with pytest.raises(tg.TinyganError, match="0 samples"):
        gan.sample(0)
