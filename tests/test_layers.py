"""Layers and the networks made of them."""
import copy
import re

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygan as tg
from tinygan import backend, summary
from tinygan.checkpoint.networks import build, traits


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


def test_the_published_networks():
    """The listing for MNIST, layer by layer, and DCGAN's choices on a small scale."""
    def written(network):
        return " ".join(f"{type(layer).__name__}{getattr(layer, 'slope', '')}" for layer in network.layers)

    G, D, g, d = (getattr(tg.models, f"{size}_{player}")() for size in ("seed", "small") for player in ("generator", "discriminator"))
    assert [sum(p.size for p in network.parameters()) for network in (G, D, g, d)] == [2_307_201, 1_462_016, 312_257, 109_281]
    up = "BatchNorm LeakyReLU0.3 Conv2DTranspose "
    assert written(G) == "Dense BatchNorm LeakyReLU0.3 Reshape Conv2DTranspose " + 2 * up + "Tanh"
    assert written(D) == "Flatten " + 3 * "Dense BatchNorm LeakyReLU0.3 " + "Dense"
    assert {(norm.momentum, norm.eps) for norm in (*G.layers, *D.layers) if isinstance(norm, tg.BatchNorm)} == {(0.99, 1e-3)}
    assert written(g) == "Dense Reshape " + 3 * "BatchNorm LeakyReLU0.2 Conv2DTranspose " + "Tanh"
    assert written(d) == 3 * "Conv2D LeakyReLU0.2 " + "Flatten Dense"
    assert [(layer.kernel_size, layer.stride) for layer in G.layers if isinstance(layer, tg.Conv2DTranspose)] == [(5, 2), (5, 2), (7, 1)]
    assert tg.models.dcgan()[1].layers[0].out_channels == 32 and repr(tg.models.dcgan()[0]) == repr(g)


@pytest.mark.parametrize("size, halvings", [(16, 2), (20, 3), (28, 3), (32, 3), (64, 4), (128, 5)])
def test_d_halves_the_sides_until_four_pixels_are_left(size, halvings):
    G, D = tg.models.dcgan(size, width=1)
    for network, kind in ((G, tg.Conv2DTranspose), (D, tg.Conv2D)):
        assert sum(isinstance(layer, kind) for layer in network.layers) == halvings


@pytest.mark.parametrize("players", ["point", "mixture"])
def test_g_and_d_do_not_start_from_the_same_numbers(players):
    G, D = (getattr(tg.models, f"{players}_{player}")(seed=1) for player in ("generator", "discriminator"))
    a, b = (network.parameters()[0].data for network in (G, D))
    assert not np.isin(a, b).any() and np.array_equal(a, getattr(tg.models, f"{players}_generator")(seed=1).parameters()[0].data)


@pytest.mark.parametrize("make", [make for name, make in vars(tg.models).items() if name.endswith(("generator", "discriminator"))]
                         + [lambda **seed: tg.models.dcgan(**seed)[0], lambda **seed: tg.models.dcgan(**seed)[1]])
def test_the_seed_is_0_unless_given(make):
    for now, then in zip(make().arrays(), make(seed=0).arrays(), strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("players", ["seed", "small", "point", "mixture"])
def test_the_seed_gives_each_player_its_own_stream(players):
    """SeedSequence([seed, 0]) for G, [seed, 1] for D: the first weight is its first draw."""
    for side, player in enumerate(("generator", "discriminator")):
        weight = getattr(tg.models, f"{players}_{player}")(seed=3).parameters()[0].data
        rng, bound = np.random.default_rng([3, side]), np.sqrt(6 / (np.prod(weight.shape[:-2]) * sum(weight.shape[-2:])))
        drawn = rng.normal(0, 0.02, weight.shape) if players == "small" else rng.uniform(-bound, bound, weight.shape)
        np.testing.assert_array_equal(weight, drawn.astype(np.float32))


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
    (lambda: tg.OneHot(3)(np.ones((2, 2))), "shape .2, 2., expected .N, 3 or more"),
    (lambda: tg.OneHot(3)(np.ones((2, 3, 3))), "expected .N, 3 or more"),
    (lambda: tg.LeakyReLU(1.0), "slope"),
    (lambda: tg.LeakyReLU(-0.1), "slope"),
    (lambda: tg.Conv2D(1, 2, 3, padding="valid"), "padding"),
    (lambda: tg.Conv2D(1, 2, 3, padding=-1), "padding"),
    (lambda: tg.Conv2D(0, 2, 3), "at least 1"),
    (lambda: tg.LeakyReLU(1.5), "slope"),
    (lambda: tg.Dense(2, 2).to("cuda"), "(?i)cupy"),
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


def test_the_largest_of_the_first_numbers_is_chosen(rng):
    x = np.array([[0.5, -1, 2, 9, -9], [3, 2, 1, 0, 0], [0, 0, 0, 0, 7], [-5, -4, -5, -6, 1]], np.float32)
    y = tg.OneHot(3)(x).data
    chosen = np.eye(3)[[2, 0, 0, 1]]                        # of equal ones the first, as at the mean of all z
    np.testing.assert_array_equal(y, np.concatenate([np.sqrt(3) * chosen, x[:, 3:]], axis=1).astype(np.float32))
    assert y.dtype == np.float32
    x = tg.Tensor(rng.standard_normal((4, 5)), requires_grad=True)
    g, = tg.grad(tg.OneHot(3)(x), x, u := rng.standard_normal((4, 5)))
    np.testing.assert_array_equal(g.data, np.where(np.arange(5) < 3, 0, u))
    z = rng.standard_normal((20000, 4))
    np.testing.assert_allclose((tg.OneHot(4)(z).data ** 2).mean(axis=0), 1, atol=0.05)      # as of z itself
    np.testing.assert_array_equal(tg.OneHot(4)(z).data.max(axis=1), 2)


@pytest.mark.parametrize("padding, down, up", [
    ("same", (3, 4), (10, 14)), (1, (3, 4), (9, 13)), (0, (2, 3), (11, 15)),
    (((0, 1), (2, 0)), (2, 4), (10, 13)), ([[0, 1], [2, 0]], (2, 4), (10, 13))])
def test_sizes_of_the_convolutions(padding, down, up):
    x = np.ones((2, 5, 7, 1), np.float32)
    assert tg.Conv2D(1, 3, 3, stride=2, padding=padding)(x).shape == (2, *down, 3)
    assert tg.Conv2DTranspose(1, 3, 3, stride=2, padding=padding)(x).shape == (2, *up, 3)


ONE_OF_EACH = [
    (tg.Dense(4, 3), (5, 4)), (tg.Dense(4, 3, bias=False), (5, 4)), (tg.LeakyReLU(0.35), (5, 4)), (tg.Tanh(), (5, 4)),
    (tg.Sigmoid(), (5, 4)), (tg.Softplus(), (5, 4)), (tg.OneHot(3), (5, 4)), (tg.Reshape(2, 2), (5, 4)), (tg.Flatten(), (5, 2, 2)),
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


# Frozen, shared, kept

def test_frozen_is_still_state(rng):
    network = generator()
    names, state = [name for name, _ in network.named_parameters()], network.state_dict()
    for parameter in network.layers[0].parameters() + network.layers[5].parameters():
        parameter.requires_grad = False
    assert [name for name, _ in network.named_parameters()] == names and list(network.state_dict()) == list(state)
    assert {array.dtype for array in network.astype(np.float64).arrays()} == {np.dtype(np.float64)}
    other = generator().initialise(rng).load_state_dict(network.state_dict())
    np.testing.assert_array_equal(other.layers[0].weight.data, state["layers.0.weight"])
    assert copy.deepcopy(network).state_dict().keys() == state.keys()


@pytest.mark.parametrize("make", [tg.SGD, tg.Adam])
def test_an_optimiser_leaves_alone_what_is_frozen(make, rng):
    """As torch's does for a parameter without a gradient: after the thaw it goes on from the state that it had."""
    network = tg.Sequential(tg.Dense(3, 2), tg.Tanh(), tg.Dense(2, 1)).astype(np.float64)
    x, optimiser, first = rng.standard_normal((4, 3)), make(network.parameters(), lr=0.1), network.layers[0].weight

    def step():
        optimiser.zero_grad()
        network(x).sum().backward()
        optimiser.step()

    step()
    first.requires_grad = False
    before, state, last = first.data.copy(), optimiser.state_dict(), network.layers[2].weight.data.copy()
    step()
    assert first.grad is None
    first.grad = tg.Tensor(np.ones(first.shape))
    optimiser.step()                                        # a gradient from before, or of one's own
    np.testing.assert_array_equal(first.data, before)
    assert (network.layers[2].weight.data != last).all()
    for name in state.keys() & {"m.0", "v.0"}:
        np.testing.assert_array_equal(optimiser.state_dict()[name], state[name])
    first.requires_grad = True
    step()
    assert (first.data != before).all()


class Twice(tg.Module):
    """y = (x a) b with one layer, or one weight, in both places"""

    def __init__(self, what):
        self.a = tg.Dense(2, 2, bias=what == "layer")
        if what == "attribute":
            self.weight = self.again = self.a.weight
        else:
            self.b = self.a if what == "layer" else tg.Dense(2, 2, bias=False)
            self.b.weight = self.a.weight

    def forward(self, x):
        return self.a(x) @ self.again if hasattr(self, "again") else self.b(self.a(x))


def twice(what):
    if what == "sequence":
        layer = tg.Dense(2, 2)
        return tg.Sequential(layer, layer)
    return Twice(what)


@pytest.mark.parametrize("what, names", [
    ("sequence", ["layers.0.weight", "layers.0.bias"]), ("layer", ["a.weight", "a.bias"]), ("weight", ["a.weight"]),
    ("attribute", ["weight"])])
def test_what_is_used_twice_counts_once(what, names, rng):
    network = twice(what).astype(np.float64)
    assert [name for name, _ in network.named_parameters()] == list(network.state_dict()) == names
    assert len(network.modules()) == len(set(network.modules()))
    w = network.parameters()[0].data.copy()
    x = rng.standard_normal((3, 2))
    network(x).sum().backward()
    tg.SGD(network.parameters(), lr=0.1).step()
    one = np.ones((3, 2))
    gradient = x.T @ one @ w.T + (x @ w).T @ one            # of x w w by its first and by its second factor
    np.testing.assert_allclose(network.parameters()[0].data, w - 0.1 * gradient)
    other = copy.deepcopy(network)
    other.load_state_dict({name: np.ones_like(array) for name, array in network.state_dict().items()})
    bias = 3.0 if len(names) == 2 else 0.0                  # (x + 1)·1 + 1 in both columns
    np.testing.assert_allclose(other(x).data, np.repeat(2 * x.sum(axis=1, keepdims=True) + bias, 2, axis=1))


def test_frozen_and_shared_move_to_the_device(device):
    network = twice("sequence")
    network.layers[0].weight.requires_grad = False
    assert [backend.device_of(array) for array in network.to(device).arrays()] == [device] * 2
    assert network.layers[0] is network.layers[1] and network(network.arrays()[0]).shape == (2, 2)


def test_results_that_a_layer_keeps_are_no_parameters():
    class Keeps(tg.Module):
        def __init__(self):
            self.inner, self.constant = tg.Dense(2, 2), tg.Tensor(np.ones(2, np.float32))

        def forward(self, x):
            self.kept = self.inner(x)
            return self.kept * self.constant

    network, names = Keeps(), ["inner.weight", "inner.bias"]
    for mode in (tg.no_grad(), tg.plain(), tg.no_grad()):
        with mode:
            network(np.ones((1, 2), np.float32))
        assert [name for name, _ in network.named_parameters()] == list(network.state_dict()) == names


def test_evaluating_gives_each_layer_its_own_mode_back():
    network = generator()
    network.layers[1].eval()
    before = [module.training for module in network.modules()]
    with pytest.raises(KeyError), network.evaluating() as same:
        assert same is network and not any(module.training for module in network.modules())
        raise KeyError
    assert [module.training for module in network.modules()] == before and before.count(False) == 1


# Plain numbers

@pytest.mark.parametrize("theirs, plain", [
    (lambda n, f: tg.Dense(n(3), n(2)), "Dense(3, 2, bias=True)"),
    (lambda n, f: tg.Conv2D(n(1), n(2), n(3), stride=n(2), padding=n(1)), "Conv2D(1, 2, 3, stride=2, padding=1, bias=True)"),
    (lambda n, f: tg.Conv2DTranspose(n(1), n(2), n(3), n(1), [[np.uint8(1), 0], (0, np.int64(1))]),
     "Conv2DTranspose(1, 2, 3, stride=1, padding=((1, 0), (0, 1)), bias=True)"),
    (lambda n, f: tg.Conv2D(1, 2, 3, padding=np.array([[1, 0], [0, 1]])),
     "Conv2D(1, 2, 3, stride=1, padding=((1, 0), (0, 1)), bias=True)"),
    (lambda n, f: tg.Conv2D(1, 2, 3, padding=np.str_("same")), "Conv2D(1, 2, 3, stride=1, padding='same', bias=True)"),
    (lambda n, f: tg.BatchNorm(n(3), momentum=f(0.75), eps=f(0.125)), "BatchNorm(3, momentum=0.75, eps=0.125)"),
    (lambda n, f: tg.BatchNorm(3, momentum=f(0.9)), "BatchNorm(3, momentum=0.8999999761581421, eps=1e-05)"),
    (lambda n, f: tg.LeakyReLU(f(0.25)), "LeakyReLU(0.25)"), (lambda n, f: tg.Reshape(n(2), n(3)), "Reshape(2, 3)"),
    (lambda n, f: tg.layers.Maxout(n(2)), "Maxout(2)"), (lambda n, f: tg.OneHot(n(3)), "OneHot(3)")])
@pytest.mark.parametrize("integer", [np.int64, np.uint8, np.array])
def test_numbers_of_numpy_become_plain_ones(theirs, plain, integer):
    layer = theirs(integer, np.float32)
    assert repr(layer) == plain == repr(build(repr(layer)))


@pytest.mark.parametrize("wrong", [
    lambda: tg.Dense(True, 2), lambda: tg.Dense(2.5, 2), lambda: tg.Dense("3", 2), lambda: tg.Dense(2, np.bool_(True)),
    lambda: tg.Dense(np.ones(2, int), 2), lambda: tg.Conv2D(1, 2, 3, padding=True), lambda: tg.Conv2D(1, 2, 3, padding=None),
    lambda: tg.Conv2D(1, 2, 3, padding=((1,), (1, 2))), lambda: tg.Conv2D(1, 2, 3, padding=np.ones((2, 2))),
    lambda: tg.Conv2D(1, 2, True), lambda: tg.Conv2D(1, 2, 3, stride=np.nan), lambda: tg.BatchNorm(2, momentum="0.9"),
    lambda: tg.BatchNorm(2, momentum=True), lambda: tg.BatchNorm(2, eps=np.nan), lambda: tg.BatchNorm(2, eps=0),
    lambda: tg.BatchNorm(2, momentum=1.1), lambda: tg.LeakyReLU("0.2"), lambda: tg.LeakyReLU(np.nan),
    lambda: tg.LeakyReLU(True), lambda: tg.Reshape(2, -1), lambda: tg.layers.Maxout(False), lambda: tg.OneHot(0), lambda: tg.seed(-1),
    lambda: tg.seed(True), lambda: tg.seed("a"), lambda: tg.SGD(tg.Dense(1, 1).parameters(), True),
    lambda: tg.SGD(tg.Dense(1, 1).parameters(), np.nan), lambda: tg.Adam(tg.Dense(1, 1).parameters(), "0.1"),
    lambda: tg.Adam(tg.Dense(1, 1).parameters(), betas=(0.5, True)), lambda: tg.Adam(tg.Dense(1, 1).parameters(), eps="1")])
def test_what_is_no_number_gets_a_sentence(wrong):
    with pytest.raises(tg.TinyganError, match="got .* expected .*: "):
        wrong()


# What a description leaves out

@pytest.mark.parametrize("make", [
    lambda: twice("sequence"),
    lambda: tg.Sequential(*2 * (tg.Sequential(tg.Dense(2, 2), tg.BatchNorm(2)),), tg.Tanh()),
    lambda: tg.Sequential(*3 * (tg.layers.SpectralNorm(tg.Dense(2, 2)),))])
def test_a_shared_layer_is_built_once(make):
    network = make()
    again = build(repr(network), 8, traits(network)["shared"])          # in as many numbers as it has
    assert repr(again) == repr(network) and again.layers[0] is again.layers[1]
    assert traits(again) == traits(network) and again.state_dict().keys() == network.state_dict().keys()


def test_a_shared_weight_is_shared_again():
    network = tg.Sequential(tg.Dense(2, 2, bias=False), tg.Tanh(), tg.layers.SpectralNorm(tg.Dense(2, 2, bias=False)))
    network.layers[2].layer.weight = network.layers[0].weight
    shared = traits(network)["shared"]
    assert shared == {"layers.2.layer.weight": "layers.0.weight"}
    again = build(repr(network), 4, shared)
    assert again.layers[2].layer.weight is again.layers[0].weight and traits(again) == traits(network)
    for wrong in ({"layers.2.layer.weight": "layers.9.weight"}, {"layers.2.layer.weight": "layers.0.forward"},
                  {"layers.2.layer": "layers.3"}, {"layers.0": "layers.2"}):
        with pytest.raises(tg.TinyganError):
            build(repr(network), 100, wrong)
    with pytest.raises(tg.TinyganError, match="more than 4 weights"):
        build("Sequential(Dense(2, 2), Dense(999, 999))", 4, {"layers.1.weight": "layers.0.weight"})


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("layer, shape, result", [
    (tg.Flatten(), (0, 2, 3), (0, 6)), (tg.Reshape(2, 3), (0, 6), (0, 2, 3)), (tg.Dense(3, 2), (0, 3), (0, 2)),
    (tg.Conv2D(2, 3, 3, stride=2), (0, 5, 5, 2), (0, 3, 3, 3)), (tg.Maxout(2), (0, 6), (0, 3)), (tg.OneHot(2), (0, 6), (0, 6)),
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


# The summary

def test_a_summary_names_each_layer_its_output_and_its_parameters():
    """Counted by hand: 3·12 without a bias, 2·12 of γ and β, 5·5·3·4 + 4, 2·4, 3·3·4 + 1."""
    G = generator()
    before = G.state_dict()
    lines = G.summary((3,)).splitlines()
    assert [tuple(re.split(" {2,}", line)) for line in lines] == [
        ("layer", "output", "parameters"), ("input", "3"),
        ("Dense(3, 12)", "12", "36"), ("BatchNorm(12, momentum=0.9, eps=1e-05)", "12", "24"), ("LeakyReLU(0.3)", "12", "0"),
        ("Reshape(2, 2, 3)", "2 × 2 × 3", "0"), ("Conv2DTranspose(3, 4, 5, stride=2, padding='same')", "4 × 4 × 4", "304"),
        ("BatchNorm(4, momentum=0.99, eps=0.001)", "4 × 4 × 4", "8"), ("LeakyReLU(0.3)", "4 × 4 × 4", "0"),
        ("Conv2DTranspose(4, 1, 3, stride=1, padding=((1, 0), (0, 1)))", "5 × 5 × 1", "37"), ("Tanh()", "5 × 5 × 1", "0"),
        ("total", "409")]
    assert {len(line) for line in lines if "input" not in line} == {83}                   # the numbers end in one column
    assert all(np.array_equal(array, before[name]) for name, array in G.state_dict().items()) and G.training


def test_a_summary_of_shared_nested_and_foreign_layers(device):
    class Doubled(tg.Module):
        def __init__(self, layer):
            self.layer = layer

        def forward(self, x):
            return self.layer(x) + x

    dense = tg.Dense(3, 3)
    network = tg.Sequential(dense, tg.Sequential(tg.SpectralNorm(tg.Dense(3, 3)), Doubled(dense)), Doubled(tg.Dense(3, 3)))
    rows = summary.rows(network.astype(np.float64).to(device), [3])
    assert rows == [("Dense(3, 3)", (3,), 12), ("SpectralNorm(Dense(3, 3))", (3,), 12), ("Doubled()", (3,), 0),
                    ("Doubled()", (3,), 12)]
    assert sum(n for *_, n in rows) == sum(parameter.size for parameter in network.parameters())


@pytest.mark.parametrize("shape, word", [(3, "give a tuple such as"), ((4,), "expected (N, 3)"), ((0,), "at least 1"),
                                         (("3",), "at least 1")])
def test_a_summary_of_a_shape_that_does_not_fit(shape, word):
    with pytest.raises(tg.TinyganError, match=re.escape(word)):
        generator().summary(shape)
