"""What is meant to keep the game in balance: right derivatives, the published equations, and the same bytes when resumed."""
import copy

import numpy as np
import pytest

import tinygan as tg
from tinygan import backend, checkpoint, layers, losses
from tinygan.checkpoint.networks import build
from tinygan.cli import main
from tinygan.run import callbacks, presets
from tinygan.run.folder import read_config
from tinygan.umpire import Rules


def points(rng, dtype=np.float64):
    return rng.standard_normal((2, 6, 2)).astype(dtype)


def discriminator(rng, wrap=lambda layer: layer):
    return tg.Sequential(wrap(tg.Dense(2, 5)), tg.Tanh(), wrap(tg.Dense(5, 1))).initialise(rng).astype(np.float64)


# R₁

def test_r1_is_the_squared_slope_at_real_data(rng):
    D, (x, _), h = discriminator(rng), points(rng), 1e-6
    slopes = np.stack([(D(x + h * e).data - D(x - h * e).data)[:, 0] / (2 * h) for e in np.eye(2)], axis=1)
    np.testing.assert_allclose(float(losses.r1_penalty(D, x)), (slopes ** 2).sum(axis=1).mean(), rtol=1e-7)


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_of_the_whole_loss_of_d_with_r1(order, rng):
    D, (x, y) = discriminator(rng), points(rng)
    report = tg.check_gradients(
        lambda scale: scale * (losses.discriminator_loss(D(x), D(y)) + 5 * losses.r1_penalty(D, x)), np.ones(1), order=order)
    assert len(report.rows) == 1 + len(D.parameters()) + (order == 2)


def test_r1_of_a_step_against_finite_differences_of_ds_loss(rng):
    """A step of GAN with SGD moves D by −lr times the gradient of L_D + γ/2·R₁, here from values alone."""
    G, D = tg.Sequential(tg.Dense(2, 2)).initialise(rng).astype(np.float64), discriminator(rng)
    before, (x, _), gamma, h = copy.deepcopy(D), points(rng), 3.0, 1e-5
    gan = tg.GAN(G, D, latent=2, g_optimizer=tg.SGD(G.parameters(), 0), d_optimizer=tg.SGD(D.parameters(), 1.0), r1=gamma)
    z = copy.deepcopy(gan.rng).standard_normal((12, 2))[:6]
    fakes, steps = G(z).data, gan.step(x)

    def loss(network):
        logits = losses.discriminator_loss(network(x), network(fakes))
        slopes = np.stack([(network(x + h * e).data - network(x - h * e).data)[:, 0] / (2 * h) for e in np.eye(2)], axis=1)
        return float(logits) + gamma / 2 * (slopes ** 2).sum(axis=1).mean()

    np.testing.assert_allclose(steps["d_loss"], loss(before), rtol=1e-6)
    for k, (old, new) in enumerate(zip(before.parameters(), D.parameters())):
        for index in np.ndindex(old.shape):
            values = []
            for sign in (1, -1):
                moved = copy.deepcopy(before)
                moved.parameters()[k].data[index] += sign * 1e-4
                values.append(loss(moved))
            np.testing.assert_allclose(old.data[index] - new.data[index], (values[0] - values[1]) / 2e-4, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("every", [1, 3])
def test_r1_comes_every_kth_step_with_k_times_the_weight(every, rng):
    """A linear D and SGD with rate 0: D(x) = u·x + c has R₁ = u² in every step, and its loss is else the same."""
    G, D = (tg.Sequential(tg.Dense(1, 1)).astype(np.float64) for _ in range(2))
    D.layers[0].weight.data[:] = 2
    gan, without = (tg.GAN(G, D, 1, g_optimizer=tg.SGD(G.parameters(), 0), d_optimizer=tg.SGD(D.parameters(), 0), **rules)
                    for rules in ({"r1": 0.5, "r1_every": every}, {}))
    x = rng.standard_normal((4, 1))
    extra = [float(gan.step(x)["d_loss"]) - float(without.step(x)["d_loss"]) for _ in range(6)]
    np.testing.assert_allclose(extra, [every * 0.5 / 2 * 4 if step % every == 0 else 0 for step in range(6)], atol=1e-12)


def test_r1_refuses_batch_norm_and_keeps_float32(rng):
    x = points(rng, np.float32)[0]
    with pytest.raises(tg.TinyganError, match="r1_penalty got a discriminator with batch normalisation"):
        losses.r1_penalty(tg.Sequential(tg.Dense(2, 3), tg.BatchNorm(3), tg.Dense(3, 1)), x)
    D = discriminator(rng).astype(np.float32)
    penalty = losses.r1_penalty(D, x)
    penalty.backward()
    assert {penalty.dtype} | {p.grad.dtype for p in D.parameters() if p.grad is not None} == {np.dtype(np.float32)}


# Spectral normalisation

LAYERS = [(tg.Dense(5, 3), (4, 5)), (tg.Conv2D(2, 3, 4, stride=2), (2, 6, 6, 2)),
          (tg.Conv2DTranspose(3, 2, 3, stride=2, bias=False), (2, 3, 3, 3))]


def sigma_of(layer):
    return np.linalg.svd(layer.weight.data.reshape(-1, layer.weight.shape[-1]), compute_uv=False)[0]


@pytest.mark.parametrize("layer, shape", LAYERS, ids=repr)
def test_sigma_is_the_largest_singular_value(layer, shape, rng):
    normal = tg.layers.SpectralNorm(copy.deepcopy(layer), rng).astype(np.float64)
    x = rng.standard_normal(shape)
    for _ in range(200):
        normal(x)
    bias = getattr(layer, "bias", tg.Tensor([0])).data
    expected = (layer.astype(np.float64)(x).data - bias) / sigma_of(layer) + bias
    np.testing.assert_allclose(normal(x).data, expected, rtol=1e-9)
    np.testing.assert_allclose(normal.eval()(x).data, expected, rtol=1e-9)
    np.testing.assert_allclose([np.linalg.norm(normal.u), np.linalg.norm(normal.v)], 1)


def test_one_power_iteration_for_each_forward_pass_in_training_mode(rng):
    normal = tg.layers.SpectralNorm(tg.Dense(4, 3), rng).astype(np.float64)
    w, u, x = normal.layer.weight.data, normal.u, rng.standard_normal((2, 4))
    normal.eval()(x)
    assert normal.u is u
    normal.train()(x)
    v = w @ u / np.linalg.norm(w @ u)
    np.testing.assert_allclose(normal.v, v)
    np.testing.assert_allclose(normal.u, w.T @ v / np.linalg.norm(w.T @ v))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("layer, shape", LAYERS, ids=repr)
def test_derivatives_of_a_normalised_layer(layer, shape, order, rng):
    normal = tg.layers.SpectralNorm(copy.deepcopy(layer), rng).eval()
    report = tg.check_gradients(normal, rng.standard_normal(shape), order=order)
    assert "layer.weight" in {row.name for row in report.rows}


def test_the_gradient_in_training_mode_is_the_one_at_the_new_u_and_v(rng):
    normal = tg.layers.SpectralNorm(tg.Dense(4, 3), rng).astype(np.float64)
    x = rng.standard_normal((2, 4))
    training = tg.grad((normal(x) ** 2).sum(), normal.parameters())
    evaluation = tg.grad((normal.eval()(x) ** 2).sum(), normal.parameters())
    for ours, theirs in zip(training, evaluation):
        np.testing.assert_allclose(ours.data, theirs.data)


def test_sigma_has_the_gradient_v_u_transposed_of_the_singular_value(rng):
    """Where the iteration has converged, the constants u and v leave out nothing: σ is stationary in them."""
    normal, h = tg.layers.SpectralNorm(tg.Dense(4, 3, bias=False), rng).astype(np.float64), 1e-6
    x = rng.standard_normal((2, 4))
    for _ in range(300):
        normal(x)
    g, = tg.grad((normal.eval()(x) ** 3).sum(), normal.parameters())
    w = normal.layer.weight.data
    for index in np.ndindex(w.shape):
        step = np.zeros(w.shape)
        step[index] = h
        high, low = (((x @ m / np.linalg.norm(m, 2)) ** 3).sum() for m in (w + step, w - step))
        np.testing.assert_allclose(g.data[index], (high - low) / (2 * h), rtol=1e-5, atol=1e-6)


def test_a_linear_d_under_spectral_norm_is_1_lipschitz(rng):
    D = tg.layers.spectral_norm(tg.Sequential(tg.Dense(6, 8), tg.Dense(8, 8), tg.Dense(8, 3)), rng).astype(np.float64)
    x, y = rng.standard_normal((2, 300, 6))
    for _ in range(300):
        D(x)
    ratios = np.linalg.norm(D(x).data - D(y).data, axis=1) / np.linalg.norm(x - y, axis=1)
    assert 0.1 < ratios.max() <= 1 + 1e-9


def test_spectral_norm_is_described_saved_and_refused(rng, tmp_path):
    D = tg.layers.spectral_norm(tg.models.small_discriminator(width=2), rng)
    assert repr(D).startswith("Sequential(SpectralNorm(Conv2D(1, 2, 4, stride=2, padding='same', bias=True)), LeakyReLU(")
    again = build(repr(D))
    assert repr(again) == repr(D) and set(again.state_dict()) == set(D.state_dict())
    again.load_state_dict(D.state_dict())
    x = rng.standard_normal((2, 28, 28, 1)).astype(np.float32)
    np.testing.assert_array_equal(again(x).data, D(x).data)
    before = D.layers[0].u
    assert not np.array_equal(D.initialise(rng).layers[0].u, before)
    with pytest.raises(tg.TinyganError, match="a layer with a weight"):
        tg.layers.SpectralNorm(tg.Tanh())


# Label smoothing

def test_label_smoothing_is_cross_entropy_with_the_target_1_minus_s(rng):
    a, b = rng.standard_normal((2, 5, 1))
    p, q = 1 / (1 + np.exp(-a)), 1 / (1 + np.exp(-b))
    expected = -(0.9 * np.log(p) + 0.1 * np.log(1 - p)).mean() - np.log(1 - q).mean()
    a, b = tg.Tensor(a, True), tg.Tensor(b, True)
    loss = losses.smoothed_discriminator_loss(a, b, 0.1)
    np.testing.assert_allclose(float(loss), expected)
    g_real, g_fake = tg.grad(loss, [a, b])
    np.testing.assert_allclose(g_real.data, (p - 0.9) / 5)
    np.testing.assert_allclose(g_fake.data, q / 5)
    assert float(losses.smoothed_discriminator_loss(a, b, 0)) == float(losses.discriminator_loss(a, b))


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_of_label_smoothing(order, rng):
    tg.check_gradients(lambda a, b: losses.smoothed_discriminator_loss(a, b, 0.2), *rng.standard_normal((2, 5, 1)), order=order)


@pytest.mark.parametrize("real, fake", [(3, 1), (1, 1), (1, 4)])
def test_the_optimum_of_label_smoothing(real, fake):
    """At a point that has `real` parts of real data and `fake` of fakes, the best belief is (1 − s)·real/(real + fake): the
    gradient there is 0. Only the real target is lowered, so where there is no real data it stays 0."""
    s = 0.1
    best = (1 - s) * real / (real + fake)
    a = tg.Tensor(np.log(best / (1 - best)) * np.ones((1, 1)), True)
    loss = losses.smoothed_discriminator_loss(a, tg.Tensor(np.zeros((1, 1))), s) * real
    loss = loss + losses.smoothed_discriminator_loss(tg.Tensor(np.zeros((1, 1))), a, s) * fake
    np.testing.assert_allclose(tg.grad(loss, a)[0].data, 0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_label_smoothing_is_finite_and_silent_at_extreme_logits(dtype):
    a = tg.Tensor(np.array([[-1e4], [1e4]], dtype), True)
    with np.errstate(all="raise"):
        loss = losses.smoothed_discriminator_loss(a, a, 0.1)
        g, = tg.grad(loss, a)
    assert np.isfinite(loss.data) and (abs(g.data) <= 1).all() and loss.dtype == g.dtype == dtype


# Instance noise

class Seen(tg.Module):
    """A discriminator that keeps what it sees; it judges by the sum of the coordinates."""

    def __init__(self):
        self.weight, self.seen = tg.Tensor(np.ones((2, 1)), requires_grad=True), []

    def forward(self, x):
        self.seen.append(x.data)
        return x @ self.weight


def what_d_sees(steps, **options):
    G = tg.Sequential(tg.Dense(2, 2)).astype(np.float64)
    for p in G.parameters():
        p.data = np.zeros(p.shape)
    D = Seen()
    gan = tg.GAN(G, D, latent=2, g_optimizer=tg.SGD(G.parameters(), 0), d_optimizer=tg.SGD(D.parameters(), 0), **options)
    for _ in range(steps):
        gan.step(np.zeros((2000, 2)))
    return np.array(D.seen).reshape(steps, 3, 4000)          # real, fake, and fake again in G's step


def test_instance_noise_blurs_all_that_d_sees():
    seen = what_d_sees(3, instance_noise=0.5)
    np.testing.assert_allclose(seen.std(axis=2), 0.5, rtol=0.05)
    assert abs(np.corrcoef(seen.reshape(9, -1)) - np.eye(9)).max() < 0.1            # each time its own


def test_instance_noise_falls_to_nothing():
    seen = what_d_sees(6, instance_noise=0.5, noise_steps=4)
    np.testing.assert_allclose(seen.std(axis=2).mean(axis=1), [0.5, 0.375, 0.25, 0.125, 0, 0], rtol=0.05)


def test_no_instance_noise_draws_nothing():
    assert (what_d_sees(2) == 0).all()


# All of them

OPTIONS = {"r1": {"r1": 0.5}, "lazy r1": {"r1": 0.5, "r1_every": 2}, "decay": {"decay_steps": 5},
           "gradient penalty": {"gradient_penalty": 2.0},
           "instance noise": {"instance_noise": 0.3, "noise_steps": 4},
           "constant noise": {"instance_noise": 0.3}, "label smoothing": {"label_smoothing": 0.1},
           "averaging": {"averaging": 0.9},
           "spectral norm": {"spectral_norm": True}, "two time scales": {"g_lr": 1e-4, "d_lr": 4e-4},
           "all": {"r1": 0.5, "instance_noise": 0.3, "noise_steps": 4, "label_smoothing": 0.1, "averaging": 0.9,
                   "spectral_norm": True}}


@pytest.mark.parametrize("name", OPTIONS)
def test_resumed_in_the_same_bytes(name, tmp_path):
    real = tg.data.ring(500)[0]
    straight, stopped = (presets.stabilised(presets.PRESETS["ring"].build(0), 0, **OPTIONS[name]) for _ in range(2))
    straight.fit(real, 6)
    for _ in range(6):
        stopped.fit(real, 1)
        stopped.save(tmp_path / "stopped.npz")
        stopped = tg.GAN.load(tmp_path / "stopped.npz")
    straight.save(tmp_path / "straight.npz")
    assert (tmp_path / "straight.npz").read_bytes() == (tmp_path / "stopped.npz").read_bytes()


def test_a_run_with_all_options_is_resumed_in_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "FRAMES", 1)
    words = []
    for option, value in OPTIONS["all"].items():
        words += [f"--{option.replace('_', '-')}"] + ([] if value is True else [str(value)])
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    assert main(["train", "ring", "--steps", "6", "--quiet", "--out", one, *words]) == 0
    assert main(["train", "ring", "--steps", "3", "--quiet", "--out", two, *words]) == 0
    assert main(["train", "--resume", two, "--steps", "6", "--quiet"]) == 0
    for file in ("checkpoint.npz", "metrics.csv", "samples.png", "landscape.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file
    assert read_config(tmp_path / "two" / "config.json")["stabilisers"] == OPTIONS["all"]


def test_each_option_changes_the_game():
    states, without = {}, {"r1": 0.0, "averaging": 0.0, "g_lr": 1e-3, "d_lr": 1e-3}
    for name, options in {"none": {}, **OPTIONS}.items():
        gan = presets.stabilised(presets.PRESETS["ring"].build(0), 0, **without | options)
        gan.fit(tg.data.ring(500)[0], 3)
        weights = [p.data.ravel() for p in gan.discriminator.parameters()]
        states[name] = np.concatenate([gan.generate(np.ones((3, 2))).ravel(), *weights])
    names = list(states)
    assert all(not np.array_equal(states[a], states[b]) for k, a in enumerate(names) for b in names[:k])


def test_a_checkpoint_from_before_the_options_still_loads(tmp_path):
    gan = tg.GAN(tg.models.point_generator(), tg.models.point_discriminator(), latent=2)
    gan.fit(tg.data.ring(500)[0], 2)
    gan.save(tmp_path / "new.npz")
    about, arrays = checkpoint.read(tmp_path / "new.npz")
    for name in ("r1", "r1_every", "instance_noise", "noise_steps", "label_smoothing", "decay_steps"):
        del about[name]
    checkpoint.write(tmp_path / "old.npz", about, arrays)
    old = tg.GAN.load(tmp_path / "old.npz")
    assert old.rules == Rules()
    old.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "new.npz").read_bytes()


@pytest.mark.parametrize("words, said", [
    (["--r1", "-1"], "got r1 -1.0, expected 0 ≤ r1 < inf"), (["--r1", "nan"], "r1 nan"),
    (["--label-smoothing", "0.7"], "label_smoothing 0.7"),
    (["--instance-noise", "-0.1"], "instance_noise"), (["--noise-steps", "-1"], "noise_steps -1"), (["--g-lr", "0"], "g_lr 0.0"),
    (["--averaging", "1"], "averaging 1.0"), (["--gradient-penalty", "inf"], "gradient_penalty inf")])
def test_numbers_without_sense_get_a_sentence(words, said, tmp_path, capsys):
    assert main(["train", "ring", "--out", str(tmp_path / "run"), "--quiet", *words]) == 1
    assert said in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_the_rules_are_read_from_the_game_and_changed_together():
    gan = tg.GAN(tg.models.point_generator(), tg.models.point_discriminator(), 2, r1=0.5, gradient_penalty=2.0, decay_steps=4)
    assert gan.rules == Rules(r1=0.5, gradient_penalty=2.0, decay_steps=4)
    assert [getattr(gan, name) for name in Rules.names()] == [2.0, 0.0, 0.5, 1, 0.0, None, 0.0, 4] and gan.penalty == 2.0
    with pytest.raises(AttributeError):
        gan.r1 = 1.0                                    # a rule that step would not follow
    gan.rules = Rules(r1=1.0)
    assert gan.r1 == 1.0 and gan.decay_steps is None
    with pytest.raises(TypeError, match="r2"):
        tg.GAN(gan.generator, gan.discriminator, r2=1.0)


def test_labels_are_smoothed_where_there_are_labels(rng):
    G, D = tg.models.point_generator(), tg.models.point_discriminator()
    with pytest.raises(tg.TinyganError, match="expected non_saturating or saturating"):
        tg.GAN(G, D, 2, "wasserstein", label_smoothing=0.1)


# On another device

def test_steps_with_everything_on_the_device(device):
    ends = []
    for where in (device, "cpu"):
        gan = presets.stabilised(presets.PRESETS["ring"].build(0), 0, **OPTIONS["all"])
        for network in (gan.generator, gan.discriminator, gan.averaged):
            network.astype(np.float64)
        gan.to(where).fit(tg.data.ring(500)[0].astype(np.float64), 3, batch_size=16)
        ends.append([tg.to_numpy(a) for network in (gan.averaged, gan.discriminator) for a in network.arrays()])
    for ours, theirs in zip(*ends):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


def test_instance_noise_is_one_more_upload(cost_of_a_step):
    costs = []
    for options in ({"instance_noise": 0.0}, {"instance_noise": 0.3}):
        gan = presets.stabilised(presets.PRESETS["ring"].build(0), 0, **options).to("cuda")
        costs.append(cost_of_a_step(gan, tg.data.ring(16)[0]))
    assert [cost["h2d"] for cost in costs] == [2, 3] and all(cost["d2h"] == cost["syncs"] == 0 for cost in costs)


@pytest.mark.parametrize("options", [{"r1": 1.0}, {"spectral_norm": True}, {"label_smoothing": 0.1}, {"gradient_penalty": 1.0}])
def test_a_stabiliser_costs_no_download(options, cost_of_a_step):
    gan = presets.stabilised(presets.PRESETS["ring"].build(0), 0, instance_noise=0.0, **options).to("cuda")
    cost = cost_of_a_step(gan, tg.data.ring(16)[0])
    assert cost["d2h"] == cost["syncs"] == 0 and cost["h2d"] <= 3


def test_layers_on_the_device(device, rng):
    for layer, shape in [*[(tg.layers.SpectralNorm(copy.deepcopy(layer), rng), shape) for layer, shape in LAYERS],
                         (tg.layers.Maxout(3), (4, 6))]:
        theirs = layer.astype(np.float64)
        ours = build(repr(layer)).astype(np.float64).load_state_dict(layer.state_dict()).to(device)
        x = rng.standard_normal(shape)
        a, b = (tg.Tensor(backend.to_device(x, where), True) for where in (device, "cpu"))
        one, two = (ours(a) ** 2).sum(), (theirs(b) ** 2).sum()
        np.testing.assert_allclose(tg.to_numpy(one), tg.to_numpy(two), rtol=1e-12)
        for g, h in zip(tg.grad(one, [a, *ours.parameters()]), tg.grad(two, [b, *theirs.parameters()])):
            np.testing.assert_allclose(tg.to_numpy(g), h.data, rtol=1e-9, atol=1e-12)
        for g, h in zip(ours.arrays(), theirs.arrays()):
            np.testing.assert_allclose(tg.to_numpy(g), h, rtol=1e-12)


def test_learning_rates_fall_to_a_twentieth():
    """Plain descent of a D that sees the same batch: each step is the rate's part of the gradient."""
    G, D = tg.models.point_generator(), tg.Sequential(tg.Dense(2, 1))
    gan = tg.GAN(G, D, latent=2, loss="wasserstein", d_optimizer=tg.SGD(D.parameters(), lr=1.0), decay_steps=4)
    for layer in G.layers[-1:]:
        layer.weight.data[...] = 0                      # so that all fakes are 0 at first, and G's rate hardly matters
    x, parts = np.ones((8, 2), np.float32), []
    for _ in range(6):
        before = D.layers[0].weight.data.copy()
        fakes = gan.generate(np.zeros((1, 2)))
        gan.step(x)
        parts.append(float((D.layers[0].weight.data - before)[0, 0] / (1 - fakes[0, 0])))
    np.testing.assert_allclose(parts, [1, 0.75, 0.5, 0.25, 0.05, 0.05], rtol=0.02)
    with pytest.raises(tg.TinyganError, match="decay_steps 0"):
        tg.GAN(G, D, latent=2, decay_steps=0)
