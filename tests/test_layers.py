"""Layers and the networks made of them."""
import numpy as np
import pytest

import tinygan as tg
from tinygan.layers import build


def generator():
    return tg.Sequential(tg.Dense(3, 12, bias=False), tg.BatchNorm(12), tg.LeakyReLU(0.3), tg.Reshape(2, 2, 3),
                         tg.Conv2DTranspose(3, 4, 5, stride=2), tg.BatchNorm(4, momentum=0.99, eps=1e-3), tg.LeakyReLU(0.3),
                         tg.Conv2DTranspose(4, 1, 3, stride=1, padding=((1, 0), (0, 1)), bias=True), tg.Tanh())


def discriminator():
    return tg.Sequential(tg.Conv2D(1, 3, 4, stride=2), tg.LeakyReLU(0.2), tg.Conv2D(3, 2, 2, stride=1, padding=0, bias=False),
                         tg.BatchNorm(2), tg.LeakyReLU(0.2), tg.Flatten(), tg.Dense(8, 1), tg.Sigmoid())


@pytest.mark.parametrize("order", [1, 2])
def test_discriminator_of_generator_every_parameter(order, rng):
    G, D = generator(), discriminator()
    report = tg.check_gradients(tg.Sequential(*G.layers, *D.layers), rng.standard_normal((4, 3)), order=order)
    assert len(report.rows) == len(G.parameters()) + len(D.parameters()) + order


def test_two_batches_in_one_graph_do_not_disturb_each_other(rng):
    D = discriminator().astype(np.float64)
    tg.check_gradients(lambda real, fake: tg.losses.discriminator_loss(D(real), D(fake)), *rng.standard_normal((2, 3, 5, 5, 1)))


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


@pytest.mark.parametrize("text", ["", "1 + 1", "__import__('os')", "Dense(1)", "Dense(1, 1).weight", "Sequential(3)()", "[" * 500])
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
    (lambda: tg.Dense(3, 2)(np.ones((2, 4), np.float32)), "expects"),
    (lambda: tg.Conv2D(1, 2, 3)(np.ones((2, 4, 4, 3), np.float32)), "expects images"),
    (lambda: tg.Conv2D(1, 2, 3)(np.ones((2, 4, 4, 1))), "astype"),
    (lambda: tg.Dense(3, 2)(np.ones((2, 3))), "astype"),
    (lambda: tg.BatchNorm(3)(np.ones((2, 4), np.float32)), "expects"),
    (lambda: tg.Conv2D(1, 2, 3, padding="valid"), "padding"),
    (lambda: tg.Conv2D(1, 2, 3, padding=-1), "padding"),
    (lambda: tg.Conv2D(0, 2, 3), "at least 1"),
    (lambda: tg.LeakyReLU(1.5), "slope"),
    (lambda: tg.Dense(2, 2).to("cuda"), "CuPy"),
])
def test_bad_input_gets_a_sentence(wrong, word):
    with pytest.raises(tg.TinyganError, match=word):
        wrong()
