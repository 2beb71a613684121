"""One program, two libraries: the same values, gradients, dtypes and trainings on every device.

    python -m pytest                            on the CPU, where it compares NumPy with itself
    python -m pytest --device cupy-on-cpu       the real CuPy, without a GPU
    python -m pytest --device cuda              on a GPU
"""
import numpy as np
import pytest

import tinygan as tg
from tinygan import backend, conv, losses, ops, run
from tinygan.checkpoint.networks import build
from tinygan.fast import conv as fast_conv
from tinygan.norm import batch_norm
from tinygan.run import presets

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
GEOMETRIES = {"same": ((6, 7), 3, 2, "same"), "stride 3": ((7, 8), 2, 3, ((0, 1), (1, 0))),
              "wide": ((5, 5), 5, 2, ((2, 1), (1, 2))), "stride 1": ((5, 4), 3, 1, "same")}


def _with(layer):
    """A function of x, the layer's own parameters among what is differentiated."""
    return lambda x: layer(x)


def _convolution(which, name, channels):
    geo = conv.geometry(*GEOMETRIES[name])
    x, w, g = (4, *geo.size, channels), (geo.kernel, geo.kernel, channels, 3), (4, *geo.steps, 3)
    shapes = {"convolve": (x, w), "transpose": (g, w), "weight_gradient": (x, g)}[which]
    return (lambda a, b: getattr(conv, which)(a, b, geo)), shapes


FUNCTIONS = {
    "add": (lambda a, b: a + b, ((3, 4), (4,))), "subtract": (lambda a, b: a - b, ((3, 1), (1, 4))),
    "multiply": (lambda a, b: a * b, ((2, 3, 4), (3, 1))), "divide": (lambda a, b: a / (b * b + 2), ((3, 4), (4,))),
    "numbers": (lambda a: 2 - (3 + a) * 4 / (a * a + 5) - 1 / (a * a + 2), ((3, 4),)),
    "power": (lambda a: (a * a + 1) ** 1.5 + a ** 2, ((3, 4),)), "exp": (ops.exp, ((3, 4),)),
    "log": (lambda a: ops.log(a * a + 1), ((3, 4),)), "sqrt": (lambda a: ops.sqrt(a * a + 1), ((3, 4),)),
    "absolute": (abs, ((3, 4),)), "tanh": (ops.tanh, ((3, 4),)), "sigmoid": (ops.sigmoid, ((3, 4),)),
    "softplus": (ops.softplus, ((3, 4),)), "leaky_relu": (lambda a: ops.leaky_relu(a, 0.2), ((3, 4),)),
    "sum": (lambda a: ops.sum(a, axis=1), ((3, 4, 2),)), "column sums": (lambda a: ops.sum(a, (0, 1)), ((3, 4, 2),)),
    "mean": (lambda a: a.mean(axis=0, keepdims=True), ((3, 4),)), "total": (lambda a: (a * a).sum(), ((3, 4),)),
    "matmul": (lambda a, b: a @ b, ((3, 4), (4, 5))), "reshape": (lambda a: a.reshape(4, 3) ** 2, ((3, 4),)),
    "transpose": (lambda a: a.transpose(2, 0, 1) ** 2, ((2, 3, 4),)), "getitem": (lambda a: a[1:, None, 2] ** 2, ((3, 4),)),
    "concatenate": (lambda a, b: ops.concatenate([a, b], 1) ** 2, ((3, 4), (3, 2))),
    "batch_norm": (lambda x, c, b: batch_norm(x, c, b, 1e-3)[0], ((6, 5, 3), (3,), (3,))),
    "batch_norm, leaky": (lambda x, c, b: batch_norm(x, c, b, 1e-3, 0.2)[0], ((6, 5, 3), (3,), (3,))),
    "discriminator_loss": (losses.discriminator_loss, ((5, 1), (5, 1))),
    "generator_loss": (losses.generator_loss, ((5, 1),)),
    "saturating": (losses.saturating_generator_loss, ((5, 1),)),
    "least_squares D": (losses.least_squares_discriminator_loss, ((5, 1), (5, 1))),
    "least_squares G": (losses.least_squares_generator_loss, ((5, 1),)),
    "hinge": (losses.hinge_discriminator_loss, ((5, 1), (5, 1))),
    "wasserstein": (losses.wasserstein_critic_loss, ((5, 1), (5, 1))),
    "softmax": (losses.softmax, ((4, 3),)), "maxout": (lambda a: ops.maxout(a, 3), ((4, 6),)),
    "cross_entropy": (lambda a: losses.cross_entropy(a, np.array([0, 2, 1, 2])), ((4, 3),)),
} | {f"{which}, {name}, {channels}": _convolution(which, name, channels)
     for which in ("convolve", "transpose", "weight_gradient") for name in GEOMETRIES for channels in (1, 2)}


def on(device, array):
    return tg.Tensor(backend.to_device(array, device), requires_grad=True)


def same(ours, theirs, device, dtype):
    """On the device, of the dtype, and equal up to rounding."""
    assert backend.device_of(ours) == device and ours.dtype == theirs.dtype == dtype and ours.shape == theirs.shape
    np.testing.assert_allclose(tg.to_numpy(ours), theirs, rtol=TOLERANCE[str(dtype)], atol=TOLERANCE[str(dtype)])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_gradients(name, dtype, device, rng):
    """The value, the gradients by the fast kernels, and by those that can be differentiated again; and once more."""
    f, shapes = FUNCTIONS[name]
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    cotangent, weights = None, None
    results = []
    for where in (device, "cpu"):
        inputs = [on(where, array) for array in arrays]
        y = f(*inputs)
        if cotangent is None:
            cotangent = rng.standard_normal(y.shape).astype(dtype)
            weights = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
        u = backend.to_device(cotangent, where)
        fast, recorded = (tg.grad(y, inputs, u, create_graph) for create_graph in (False, True))
        total = tg.Tensor(backend.to_device(np.zeros((), dtype), where))
        for g, weight in zip(recorded, weights):
            total = total + (g * backend.to_device(weight, where)).sum()
        second = tg.grad(total, inputs)
        results.append([y.data, *(g.data for g in (*fast, *recorded, *second))])
    for ours, theirs in zip(*results):
        same(ours, theirs, device, dtype)


LAYERS = {"Dense": (lambda: tg.Dense(4, 3), (5, 4)), "Conv2D": (lambda: tg.Conv2D(2, 3, 3, stride=2), (4, 5, 6, 2)),
          "Conv2DTranspose": (lambda: tg.Conv2DTranspose(2, 3, 4, stride=2), (4, 3, 4, 2)),
          "Conv2DTranspose to one channel": (lambda: tg.Conv2DTranspose(2, 1, 5, stride=2), (4, 3, 4, 2)),
          "BatchNorm": (lambda: tg.BatchNorm(2), (4, 3, 2)), "LeakyReLU": (tg.LeakyReLU, (4, 3)), "Tanh": (tg.Tanh, (4, 3)),
          "Sigmoid": (tg.Sigmoid, (4, 3)), "Softplus": (tg.Softplus, (4, 3)), "Reshape": (lambda: tg.Reshape(2, 6), (3, 4, 3)),
          "Flatten": (tg.Flatten, (3, 4, 3)), "OneHot": (lambda: tg.OneHot(2), (4, 3)),
          "Sequential": (lambda: tg.Sequential(tg.Dense(4, 3), tg.BatchNorm(3), tg.LeakyReLU(0.3)), (5, 4))}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, dtype, device, rng):
    make, shape = LAYERS[name]
    theirs = make().initialise(rng, 0.5).astype(dtype)
    ours = make().load_state_dict(theirs.state_dict()).astype(dtype).to(device)
    x = rng.standard_normal(shape).astype(dtype)
    a, b = on(device, x), on("cpu", x)
    u = rng.standard_normal(theirs(x).shape).astype(dtype)
    ours(a)                                                 # so that both have run equally often
    one, two = ours(a), theirs(b)
    same(one.data, two.data, device, dtype)
    for g, h in zip(tg.grad(one, [a, *ours.parameters()], backend.to_device(u, device)),
                    tg.grad(two, [b, *theirs.parameters()], u)):
        same(g.data, h.data, device, dtype)
    for (key, array), (_, expected) in zip(ours.named_arrays(), theirs.named_arrays()):
        same(array, expected, device, dtype)
    same(ours.eval()(a).data, theirs.eval()(b).data, device, dtype)


@pytest.mark.parametrize("name", ["Dense", "Conv2D", "Conv2DTranspose", "BatchNorm"])
def test_an_input_on_another_device_gets_a_sentence(name, device, rng):
    make, shape = LAYERS[name]
    if device == "cpu":
        pytest.skip("there is no other device")
    for layer, there in ((make().to(device), "cpu"), (make(), device)):
        with pytest.raises(tg.TinyganError, match=f"an input on {there}, expected it on"):
            layer(on(there, rng.standard_normal(shape).astype(np.float32)))


def test_gradients_are_proved_on_the_device(device, rng):
    """Finite differences, with everything on the device."""
    layer = tg.Sequential(tg.Conv2D(1, 2, 3, stride=2), tg.BatchNorm(2), tg.LeakyReLU(0.2), tg.Flatten(), tg.Dense(8, 1))
    tg.check_gradients(layer.to(device), backend.to_device(rng.standard_normal((3, 4, 4, 1)), device))


def test_gradient_penalty(device, rng):
    D = tg.Sequential(tg.Dense(4, 5), tg.LeakyReLU(0.2), tg.Dense(5, 1)).astype(np.float64)
    real, fake = rng.standard_normal((2, 6, 4))
    results = []
    for where in (device, "cpu"):
        network = build(repr(D)).load_state_dict(D.state_dict()).astype(np.float64).to(where)
        x, y = (backend.to_device(array, where) for array in (real, fake))
        penalty = losses.gradient_penalty(network, x, y, np.random.default_rng(1))
        results.append([penalty.data, *(g.data for g in tg.grad(penalty, network.parameters()))])
    for ours, theirs in zip(*results):
        same(ours, np.asarray(theirs), device, "float64")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [tg.SGD, tg.Adam])
def test_optimisers(make, dtype, device, rng):
    start, gradients = rng.standard_normal((3, 4)).astype(dtype), rng.standard_normal((5, 3, 4)).astype(dtype)
    ours, theirs = on(device, start.copy()), on("cpu", start.copy())
    for parameter, where in ((ours, device), (theirs, "cpu")):
        optimiser = make([parameter], lr=0.1)
        for g in gradients:
            parameter.grad = tg.Tensor(backend.to_device(g, where))
            optimiser.step()
    same(ours.data, theirs.data, device, dtype)


def gan_of(preset, device, dtype="float32"):
    gan = presets.PRESETS[preset].build(0)
    for network in (gan.generator, gan.discriminator, gan.averaged):
        network.astype(dtype)
    return gan.to(device)


def state(gan):
    return [tg.to_numpy(a) for network in (gan.generator, gan.discriminator, gan.averaged) for a in network.arrays()]


@pytest.mark.parametrize("preset, batch, dtype, difference", [
    ("digits", 16, "float64", 1e-9), ("seed", 8, "float64", 1e-5), ("ring", 64, "float64", 1e-9),
    ("grid", 64, "float64", 1e-9), ("ring", 64, "float32", 1e-5), ("grid", 64, "float32", 2e-5),
    ("digits", 32, "float32", 1e-4)])
def test_three_steps_of_each_preset(preset, batch, dtype, difference, device):
    """In float32 Adam makes a whole step, of size lr, of a gradient that is nothing but rounding: a few weights in a thousand of
    the digits' model may come to differ, by that each step, and no others. The seed model's biases in front of batch norm have
    gradient 0, so there all of the gradient is rounding: it is compared in float64 alone, where what is left of it is far
    below Adam's ε."""
    real = presets.PRESETS[preset].load(None).astype(dtype)
    gans = [gan_of(preset, where, dtype) for where in (device, "cpu")]
    for gan in gans:
        gan.fit(real, 3, batch_size=batch)
    apart = abs(np.subtract(*[np.concatenate([array.ravel() for array in state(gan)]) for gan in gans]))
    few, most = (0.01, 3 * 2 * gans[0].g_optimizer.lr) if (preset, dtype) == ("digits", "float32") else (0, difference)
    assert np.quantile(apart, 1 - few) <= difference and apart.max() <= most
    np.testing.assert_allclose(gans[0].history["d_loss"], gans[1].history["d_loss"], atol=1e-4)


def test_a_checkpoint_goes_from_device_to_device(device, tmp_path):
    real = presets.PRESETS["ring"].load(None)
    gan = gan_of("ring", device)
    gan.fit(real, 2)
    gan.save(tmp_path / "here.npz")
    there = tg.GAN.load(tmp_path / "here.npz")
    for ours, theirs in zip(state(gan), state(there)):
        np.testing.assert_array_equal(ours, theirs)
    there.save(tmp_path / "there.npz")
    assert (tmp_path / "here.npz").read_bytes() == (tmp_path / "there.npz").read_bytes()
    back = tg.GAN.load(tmp_path / "there.npz").to(device)
    for network in (gan, back):
        network.fit(real, 2)
    for ours, theirs in zip(state(gan), state(back)):
        np.testing.assert_array_equal(ours, theirs)         # going on, too


@pytest.mark.parametrize("preset", ["ring", "digits"])
def test_a_run_from_the_command_line(preset, device, tmp_path, capsys, monkeypatch):
    """All that a run does: the training with its callbacks, the checkpoint, the pictures, the report; and going on."""
    monkeypatch.setattr(run.scores, "IMAGES", 100)
    run.train(preset, tmp_path / "run", steps=3, batch_size=16, device=device, score_every=2)
    run.resume(tmp_path / "run", steps=5, device=device, stabilisers={"g_lr": 1e-4, "r1": 0.1})
    assert (tmp_path / "run" / "best.npz").is_file() and (tmp_path / "run" / "scores.png").is_file()
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 6


@pytest.mark.parametrize("name", GEOMETRIES)
def test_what_is_too_much_to_paint(name, device, monkeypatch, rng):
    """A transposed convolution of a large batch goes phase by phase on a GPU too."""
    geo = conv.geometry(*GEOMETRIES[name])
    g, w = rng.standard_normal((4, *geo.steps, 3)), rng.standard_normal((geo.kernel, geo.kernel, 2, 3))
    painted = fast_conv.transpose(*(backend.to_device(array, device) for array in (g, w)), geo)
    monkeypatch.setattr(fast_conv, "PAINTED", 0)
    by_phase = fast_conv.transpose(*(backend.to_device(array, device) for array in (g, w)), geo)
    for x in (painted, by_phase):
        np.testing.assert_allclose(tg.to_numpy(x), conv.plain_transpose(g, w, geo), atol=1e-12)


@pytest.mark.parametrize("model, painted, launches, products", [
    ("seed", None, 201, 101), ("seed", 0, 229, 113), ("small", None, 172, 55)])
def test_what_a_step_costs(model, painted, launches, products, cost_of_a_step, monkeypatch):
    """Exactly: kernels launched, cuBLAS called, two uploads (the batch, the noise), nothing downloaded, nothing waited for.

    With a large batch, transposed convolutions do not paint."""
    if painted is not None:
        monkeypatch.setattr(fast_conv, "PAINTED", painted)
    models = {"seed": (tg.models.seed_generator(), tg.models.seed_discriminator()),
              "small": (tg.models.small_generator(), tg.models.small_discriminator())}
    gan, x = tg.GAN(*models[model]).to("cuda"), tg.data.digits()[0][:4]
    cost = cost_of_a_step(gan, x)
    assert (cost["launches"], cost["products"], cost["h2d"], cost["d2h"], cost["syncs"]) == (launches, products, 2, 0, 0)


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_no_loss_makes_the_host_wait(loss, cost_of_a_step):
    """Nor does the penalty, which uploads one thing more: where between the real and the fake images it looks."""
    G, D = tg.models.point_generator(), tg.models.point_discriminator()
    gan = tg.GAN(G, D, latent=2, loss=loss, gradient_penalty=10, averaging=0.9).to("cuda")
    x = tg.data.ring(16)[0]
    cost = cost_of_a_step(gan, x)
    assert (cost["h2d"], cost["d2h"], cost["syncs"]) == (3, 0, 0)


@pytest.mark.parametrize("preset", ["digits", "seed", "ring"])
def test_a_step_stays_in_float32(preset, device, monkeypatch):
    """Every Tensor that a step makes, gradients among them: one number of float64 is enough to turn all that follows."""
    gan, made, make = gan_of(preset, device), [], tg.Tensor.__init__

    def noted(tensor, *arguments, **options):
        make(tensor, *arguments, **options)
        made.append(tensor.dtype)

    monkeypatch.setattr(tg.Tensor, "__init__", noted)
    metrics = gan.step(presets.PRESETS[preset].load(None)[:4])
    assert len(made) > 50 and set(made) == {np.dtype("float32")}
    assert {str(value.dtype) for value in metrics.values()} == {"float32"}


def test_metrics_come_in_one_transfer_every_twenty_steps(counters):
    gan, real = gan_of("ring", "cuda"), presets.PRESETS["ring"].load(None)
    gan.fit(real, 1)
    before = counters()["d2h"]
    gan.fit(real, 59)                                   # steps 20, 40 and 60
    assert counters()["d2h"] - before == 1 + 3 * 2      # a first look at G; each time the metrics, and is all finite?


def test_no_stabiliser_makes_the_host_wait(cost_of_a_step):
    """Nor do the published networks for mixtures: three uploads, the third being the instance noise."""
    G, D = tg.models.mixture_generator(width=8), tg.layers.spectral_norm(tg.models.mixture_discriminator(width=8))
    gan = tg.GAN(G, D, latent=2, averaging=0.9, r1=0.1, instance_noise=0.3, label_smoothing=0.1).to("cuda")
    x = tg.data.ring(16)[0]
    cost = cost_of_a_step(gan, x)
    assert (cost["h2d"], cost["d2h"], cost["syncs"]) == (3, 0, 0)
