"""Layers and the networks made of them."""
import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygan as tg
from tinygan.checkpoint.networks import build


def generator():
    return tg.Sequential(tg.Dense(3, 12, bias=False), tg.BatchNorm(12), tg.LeakyReLU(0.3), tg.Reshape(2, 2, 3),
                         tg.Conv2DTranspose(3, 4, 5, stride=2),
                         tg.BatchNorm(4, momentum=0.99, eps=1e-3), tg.LeakyReLU(0.3),
                         tg.Conv2DTranspose(4, 1, 3, stride=1, padding=((1, 0), (0, 1)), bias=True), tg.Tanh())


def discriminator():
    return tg.Sequential(tg.Conv2D(1, 3, 4, stride=2), tg.LeakyReLU(0.2),
                         tg.Conv2D(3, 2, 2, stride=1, padding=0, bias=False), tg.BatchNorm(2), tg.LeakyReLU(0.2),
                         tg.Flatten(), tg.Dense(8, 1), tg.Sigmoid())


@pytest.mark.parametrize("order", [1, 2])
def test_discriminator_of_generator_every_parameter(order, rng):
    G, D = generator(), discriminator()
    report = tg.check_gradients(tg.Sequential(*G.layers, *D.layers), rng.standard_normal((4, 3)), order=order)
    assert len(report.rows) == len(G.parameters()) + len(D.parameters()) + order


def test_two_batches_in_one_graph_do_not_disturb_each_other(rng):
    D = discriminator().astype(np.float64)
    real, fake = rng.standard_normal((2, 3, 5, 5, 1))
    tg.check_gradients(lambda real, fake: tg.losses.discriminator_loss(D(real), D(fake)), real, fake)


def test_batch_norm_in_ds_first_layer_is_blind_to_a_constant(rng):
    x = rng.standard_normal((6, 28, 28, 1))
    blind, seeing = (tg.models.seed_discriminator(batch_norm=b).astype(np.float64) for b in (True, False))
    assert abs(blind(x).data - blind(x + 0.5).data).max() < 1e-8
    assert abs(seeing(x).data - seeing(x + 0.5).data).max() > 1e-2


def test_parameters_come_in_definition_order():
    names = [name for name, _ in discriminator().named_parameters()]
    assert names == ["layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.3.gamma", "layers.3.beta",
                     "layers.6.weight", "layers.6.bias"]


def test_state_round_trip_and_refusals(rng):
    one, two = generator(), generator().initialise(rng)
    one(rng.standard_normal((5, 3)).astype(np.float32))
    two.load_state_dict(one.state_dict())
    for a, b in zip(one.arrays(), two.arrays()):
        np.testing.assert_array_equal(a, b)
    before = two.state_dict()
    state = one.state_dict()
    state["layers.0.weight"] = np.zeros((2, 2))
    for wrong in (state, {}, one.state_dict() | {"more": np.zeros(1)}):
        with pytest.raises(tg.TinyganError, match="the network it came from"):
            two.load_state_dict(wrong)
    assert all((before[name] == array).all() for name, array in two.state_dict().items())


@pytest.mark.parametrize("make", [generator, discriminator, tg.models.seed_generator, tg.models.seed_discriminator,
                                  tg.models.small_generator, tg.models.small_discriminator])
def test_a_description_rebuilds_the_network(make):
    network = make()
    again = build(repr(network))
    assert repr(again) == repr(network)
    assert [p.shape for p in again.parameters()] == [p.shape for p in network.parameters()]


@pytest.mark.parametrize("text", [
    "",
    "1 + 1",
    "__import__('os')",
    "Dense(1)",
    "Dense(1, 1).weight",
    "Sequential(3)()",
    "[" * 500,
])
def test_nothing_else_is_built(text):
    with pytest.raises(tg.TinyganError):
        build(text)


def test_shapes_of_the_models(rng):
    z, x = rng.standard_normal((2, 100)).astype(np.float32), rng.standard_normal((2, 28, 28, 1)).astype(np.float32)
    for G in (tg.models.seed_generator(), tg.models.small_generator()):
        assert G(z).shape == (2, 28, 28, 1) and G(z).dtype == np.float32
    for D in (tg.models.seed_discriminator(), tg.models.small_discriminator()):
        assert D(x).shape == (2, 1)


def test_weights_start_as_said():
    weight = tg.models.seed_discriminator(seed=3).parameters()[0].data
    bound = np.sqrt(6 / (784 + 1024))
    assert 0.99 * bound < abs(weight).max() <= bound and abs(weight.std() - bound / np.sqrt(3)) < 1e-3
    np.testing.assert_array_equal(weight, tg.models.seed_discriminator(seed=3).parameters()[0].data)
    small = tg.models.small_generator().parameters()[0].data
    assert abs(small.std() - 0.02) < 5e-4


@pytest.mark.parametrize("wrong, word", [
    (lambda: tg.Dense(3, 2)(np.ones((2, 4), np.float32)), "expected .N, "),
    (lambda: tg.Conv2D(1, 2, 3)(np.ones((2, 4, 4, 3), np.float32)), "expected .N, H, W, "),
    (lambda: tg.Conv2D(1, 2, 3)(np.ones((2, 4, 4, 1))), "astype"),
    (lambda: tg.Dense(3, 2)(np.ones((2, 3))), "astype"),
    (lambda: tg.BatchNorm(3)(np.ones((2, 4), np.float32)), "expected .N, "),
    (lambda: tg.Conv2D(1, 2, 3, bias=False)(np.ones((2, 4, 4, 1))), "astype"),
    (lambda: tg.Conv2DTranspose(1, 2, 3)(np.ones((2, 4, 1), np.float32)), "expected .N, H, W, "),
    (lambda: tg.Dense(3, 2)(np.ones((2, 3, 3), np.float32)), "expected .N, "),
    (lambda: tg.Conv2D(1, 2, 3, padding=((0, 0), (0, -1))), "padding"),
    (lambda: tg.Conv2D(1, 2, 3, padding=1.5), "padding"),
    (lambda: tg.Conv2D(1, 2, 3, stride=0), "at least 1"),
    (lambda: tg.LeakyReLU(1.0), "slope"),
    (lambda: tg.LeakyReLU(-0.1), "slope"),
    (lambda: tg.Conv2D(1, 2, 3, padding="valid"), "padding"),
    (lambda: tg.Conv2D(1, 2, 3, padding=-1), "padding"),
    (lambda: tg.Conv2D(0, 2, 3), "at least 1"),
    (lambda: tg.LeakyReLU(1.5), "slope"),
    (lambda: tg.Dense(2, 2).to("cuda"), "CuPy"),
    (lambda: tg.BatchNorm(3)(np.ones((2, 3))), "got an input of float64, expected float32"),
])
def test_bad_input_gets_a_sentence(wrong, word):
    with pytest.raises(tg.TinyganError, match=word):
        wrong()


def test_dense_and_convolutions_compute_what_they_say(rng):
    x, images = rng.standard_normal((4, 3)), rng.standard_normal((2, 4, 4, 3))
    for layer in (tg.Dense(3, 2), tg.Conv2D(3, 2, 1), tg.Conv2DTranspose(3, 2, 1)):
        layer.astype(np.float64).bias.data[:] = [10, 20]
        weight = layer.weight.data.reshape(3, 2) if layer.weight.shape[-1] == 2 else layer.weight.data.reshape(2, 3).T
        data = x if isinstance(layer, tg.Dense) else images     # a kernel of one pixel is a Dense layer on each pixel
        np.testing.assert_allclose(layer(data).data, data @ weight + [10, 20])


def test_activations_compute_what_they_say(rng):
    x = rng.standard_normal((5, 2))
    np.testing.assert_allclose(tg.Tanh()(x).data, np.tanh(x))
    np.testing.assert_allclose(tg.Sigmoid()(x).data, 1 / (1 + np.exp(-x)))
    np.testing.assert_allclose(tg.Softplus()(x).data, np.log(1 + np.exp(x)))
    np.testing.assert_allclose(tg.LeakyReLU(0.3)(x).data, np.where(x > 0, x, 0.3 * x))
    np.testing.assert_array_equal(tg.Reshape(1, 2)(x).data, x[:, None])
    np.testing.assert_array_equal(tg.Flatten()(x.reshape(1, 5, 2)).data, x.reshape(1, 10))


@pytest.mark.parametrize("padding, down, up", [
    ("same", (3, 4), (10, 14)), (1, (3, 4), (9, 13)), (0, (2, 3), (11, 15)),
    (((0, 1), (2, 0)), (2, 4), (10, 13)), ([[0, 1], [2, 0]], (2, 4), (10, 13))])
def test_sizes_of_the_convolutions(padding, down, up):
    x = np.ones((2, 5, 7, 1), np.float32)
    assert tg.Conv2D(1, 3, 3, stride=2, padding=padding)(x).shape == (2, *down, 3)
    assert tg.Conv2DTranspose(1, 3, 3, stride=2, padding=padding)(x).shape == (2, *up, 3)


ONE_OF_EACH = [
    (tg.Dense(4, 3), (5, 4)), (tg.Dense(4, 3, bias=False), (5, 4)), (tg.LeakyReLU(0.35), (5, 4)), (tg.Tanh(), (5, 4)),
    (tg.Sigmoid(), (5, 4)), (tg.Softplus(), (5, 4)), (tg.Reshape(2, 2), (5, 4)), (tg.Flatten(), (5, 2, 2)),
    (tg.BatchNorm(4, momentum=0.7, eps=0.25), (5, 4)), (tg.Conv2D(2, 3, 3, padding=2), (2, 5, 5, 2)),
    (tg.Conv2D(2, 3, 3, stride=2, padding=((1, 0), (2, 1)), bias=False), (2, 5, 5, 2)),
    (tg.Conv2DTranspose(2, 3, 3, stride=2, padding=1), (2, 5, 5, 2)), (tg.Sequential(), (5, 4)),
    (tg.Sequential(tg.Dense(4, 2), tg.Sequential(tg.Tanh(), tg.Dense(2, 1))), (5, 4))]


@pytest.mark.parametrize("layer, shape", ONE_OF_EACH, ids=lambda x: repr(x) if isinstance(x, tg.layers.Module) else "")
def test_a_description_and_a_state_are_the_whole_layer(layer, shape, rng):
    again = build(repr(layer)).load_state_dict(layer.state_dict())
    for _ in range(2):                                      # twice: what the first call leaves behind must agree too
        x = rng.standard_normal(shape).astype(np.float32)
        np.testing.assert_array_equal(again(x).data, layer(x).data)
    for name, array in again.state_dict().items():
        np.testing.assert_array_equal(array, layer.state_dict()[name])


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("layer, shape", ONE_OF_EACH, ids=lambda x: repr(x) if isinstance(x, tg.layers.Module) else "")
def test_derivatives_of_each_layer(layer, shape, order, rng):
    report = tg.check_gradients(layer, rng.standard_normal(shape), order=order)
    assert {name for name, _ in layer.named_parameters()} <= {row.name for row in report.rows}


def test_the_defaults():
    assert repr(tg.BatchNorm(3)) == "BatchNorm(3, momentum=0.9, eps=1e-05)" and repr(tg.LeakyReLU()) == "LeakyReLU(0.2)"
    assert repr(tg.Conv2D(1, 2, 3)) == "Conv2D(1, 2, 3, stride=1, padding='same', bias=True)"
    assert repr(tg.Conv2DTranspose(1, 2, 3)) == "Conv2DTranspose(1, 2, 3, stride=1, padding='same', bias=True)"
    assert repr(tg.Dense(1, 2)) == "Dense(1, 2, bias=True)"


def test_a_state_is_a_copy_both_ways(rng):
    one, two = generator(), generator()
    state = one.state_dict()
    two.load_state_dict(state)
    for network in (one, two):
        for array in network.arrays():
            array += 1
    for name, array in generator().load_state_dict(state).state_dict().items():
        np.testing.assert_array_equal(array, state[name])
        assert not np.array_equal(array, two.state_dict()[name])


def test_a_state_takes_the_dtype_of_the_network():
    one, two = generator(), generator().astype(np.float64)
    two.load_state_dict(one.state_dict())
    assert {array.dtype for array in two.arrays()} == {np.dtype(np.float64)}


@pytest.mark.parametrize("change", [
    lambda state: state.update({"layers.0.weight": state["layers.0.weight"].T}),      # as many numbers, another shape
    lambda state: state.update({"layers.5.running_var": np.ones(3)}), lambda state: state.pop("layers.5.running_mean"),
    lambda state: state.update(more=np.zeros(1))])
def test_what_does_not_fit_changes_nothing(change, rng):
    network, state = generator(), generator().initialise(rng).state_dict()
    before = network.state_dict()
    change(state)
    with pytest.raises(tg.TinyganError, match="the network it came from"):
        network.load_state_dict(state)
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_astype_converts_all_and_forgets_gradients(rng):
    network = generator()
    network(rng.standard_normal((5, 3)).astype(np.float32)).sum().backward()
    assert network.astype(np.float64) is network and network.to("cpu") is network
    assert {array.dtype for array in network.arrays()} == {np.dtype(np.float64)}
    assert all(p.grad is None for p in network.parameters())
    assert network(rng.standard_normal((5, 3))).dtype == np.float64


def test_train_and_eval_reach_every_layer(rng):
    network = tg.Sequential(tg.Sequential(tg.Dense(3, 2), tg.BatchNorm(2)), tg.Tanh())
    x = rng.standard_normal((5, 3)).astype(np.float32)
    network(x)
    assert network.eval() is network and not any(module.training for module in network.modules())
    remembered = network.state_dict()
    alone = np.concatenate([network(x[i:i + 1]).data for i in range(5)])            # each image stands for itself
    np.testing.assert_allclose(network(x).data, alone, rtol=1e-5, atol=1e-6)
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, remembered[name])
    assert network.train() is network and all(module.training for module in network.modules())
    assert abs(network(x).data - alone).max() > 1e-3


def test_batch_norms_evaluation_formula(rng):
    layer = tg.BatchNorm(2, eps=0.1).astype(np.float64)
    for array in layer.arrays():
        array[:] = rng.uniform(0.5, 2, 2)
    gamma, beta, mean, var = (array.copy() for array in layer.arrays())
    x = rng.standard_normal((3, 4, 2))
    np.testing.assert_allclose(layer.eval()(x).data, gamma * (x - mean) / np.sqrt(var + 0.1) + beta)
    tg.check_gradients(layer, x, order=2)


def test_batch_norm_makes_new_statistics_and_leaves_the_old_arrays_alone(rng):
    layer = tg.BatchNorm(2)
    held = layer.running_mean, layer.running_var
    layer(rng.standard_normal((1, 3, 3, 2)).astype(np.float32))                     # one image, but nine rows
    np.testing.assert_array_equal(held, [[0, 0], [1, 1]])
    assert (layer.running_mean != 0).all() and layer.running_mean.dtype == np.float32


def test_initialise_starts_anew(rng):
    network = generator()
    fresh = network.initialise(np.random.default_rng(4)).state_dict()
    for array in network.arrays():
        array += 1
    for name, array in network.initialise(np.random.default_rng(4)).state_dict().items():
        np.testing.assert_array_equal(array, fresh[name])
    tg.seed(1)
    one, two = tg.Dense(3, 3), tg.Dense(3, 3)               # the stream goes on: no two layers begin alike
    assert not np.array_equal(one.weight.data, two.weight.data)


def test_the_bounds_of_convolutions():
    for layer in (tg.Conv2D(3, 40, 5), tg.Conv2DTranspose(3, 40, 5)):
        weight, bound = layer.weight.data, np.sqrt(6 / (25 * 3 + 25 * 40))
        assert 0.98 * bound < abs(weight).max() <= bound and abs(weight.mean()) < 0.05 * bound


WORDS = ["Dense(2, 1)", "Tanh()", "3", "'a'", "None", "Dense", "BatchNorm(2, eps=1)", "Flatten(1)", "x.y"]


@given(st.recursive(st.sampled_from(WORDS),
                    lambda inner: st.lists(inner, max_size=3).map(lambda parts: f"Sequential({', '.join(parts)})")))
def test_build_gives_a_network_or_a_sentence(text):
    try:
        assert isinstance(build(text), tg.layers.Module)
    except tg.TinyganError:
        pass


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("layer, shape, result", [
    (tg.Flatten(), (0, 2, 3), (0, 6)), (tg.Reshape(2, 3), (0, 6), (0, 2, 3)), (tg.Dense(3, 2), (0, 3), (0, 2)),
    (tg.Conv2D(2, 3, 3, stride=2), (0, 5, 5, 2), (0, 3, 3, 3)), (tg.Maxout(2), (0, 6), (0, 3)),
    (tg.Conv2DTranspose(2, 3, 4, stride=2), (0, 5, 5, 2), (0, 10, 10, 3)), (tg.LeakyReLU(), (0, 3), (0, 3)),
    (tg.Conv2DTranspose(2, 1, 4, stride=2), (0, 5, 5, 2), (0, 10, 10, 1)), (tg.Softplus(), (0, 3), (0, 3)),
    (tg.BatchNorm(3).eval(), (0, 4, 3), (0, 4, 3)), (tg.SpectralNorm(tg.Dense(3, 2)), (0, 3), (0, 2))], ids=repr)
def test_a_batch_of_nothing_comes_out_as_nothing(layer, shape, result, plain):
    def both_ways():
        x = tg.Tensor(np.zeros(shape, np.float32), True)
        y = layer(x)
        return y.shape, tg.grad(y.sum(), [x, *layer.parameters()])

    with tg.plain() if plain else tg.tensor.set_grad_enabled(True):
        got, (g, *others) = both_ways()
    assert got == result and g.shape == shape
    for gradient in others:
        np.testing.assert_array_equal(gradient.data, 0)


def test_batch_norm_refuses_a_batch_of_nothing():
    with pytest.raises(tg.TinyganError, match="none"):
        tg.BatchNorm(3)(np.zeros((0, 3), np.float32))


class Remembers(tg.Module):
    def __init__(self):
        self.dense = tg.Dense(2, 2)

    def forward(self, x):
        self.h = self.dense(x)
        return self.h


def test_what_a_layer_keeps_of_a_pass_is_no_parameter():
    net = Remembers()
    before = [name for name, _ in net.named_parameters()]
    net(np.ones((3, 2), np.float32)).sum().backward()
    assert [name for name, _ in net.named_parameters()] == before == ["dense.weight", "dense.bias"] == list(net.state_dict())


def test_arrays_that_are_taken_over_lie_row_after_row(rng):
    """Fortran's order comes with the transpose of another library's weights."""
    net = tg.Sequential(tg.Dense(3, 2))
    state = {"layers.0.weight": rng.standard_normal((2, 3)).T, "layers.0.bias": np.ones(4)[::2]}
    for taken in (lambda: net.load_state_dict(state), lambda: net.astype(np.float64), lambda: net.to("cpu")):
        taken()
        assert all(array.flags.c_contiguous for array in net.arrays())
        np.testing.assert_allclose(net.layers[0].weight.data, state["layers.0.weight"], rtol=1e-6)
        net.layers[0].weight.data = np.asfortranarray(net.layers[0].weight.data)


@pytest.mark.parametrize("way", ["loaded", "assigned"])
def test_the_average_of_transposed_weights_moves(way, rng):
    G, D = tg.models.point_generator(width=4), tg.models.point_discriminator(width=4)
    if way == "loaded":
        G.load_state_dict({name: np.asfortranarray(array) for name, array in G.state_dict().items()})
    else:
        G.layers[2].weight.data = np.asfortranarray(G.layers[2].weight.data)
    gan = tg.GAN(G, D, latent=2, averaging=0.9)
    before = gan.averaged.state_dict()
    gan.step(rng.standard_normal((8, 2)).astype(np.float32))
    assert all((before[name] != array).any() for name, array in gan.averaged.state_dict().items())
