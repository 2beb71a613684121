"""Batch normalisation, fused, against the same thing composed from elementary operations."""
import numpy as np
import pytest
from hypothesis import given, strategies as st
from threadpoolctl import threadpool_limits

import tinygan as tg
from tinygan import ops
from tinygan.norm import batch_norm

EPS = 1e-3


def composed(x, gamma, beta):
    axes = tuple(range(x.ndim - 1))
    centred = x - x.mean(axis=axes, keepdims=True)
    return gamma * centred / ops.sqrt((centred * centred).mean(axis=axes, keepdims=True) + EPS) + beta


def fused(x, gamma, beta):
    return batch_norm(x, gamma, beta, EPS)[0]


@pytest.mark.parametrize("order", [1, 2])
@given(shape=st.sampled_from([(2, 1), (5, 3), (2, 3, 2, 4), (3, 2, 2, 1)]), seed=st.integers(0, 99))
def test_derivatives_and_value(order, shape, seed):
    rng = np.random.default_rng(seed)
    arrays = rng.standard_normal(shape), rng.standard_normal(shape[-1]), rng.standard_normal(shape[-1])
    np.testing.assert_allclose(fused(*map(tg.Tensor, arrays)).data, composed(*map(tg.Tensor, arrays)).data, atol=1e-12)
    tg.check_gradients(fused, *arrays, order=order, seed=seed)


@pytest.mark.parametrize("shape", [(6, 3), (40_000, 3), (70, 9, 9, 16)])
def test_fused_and_recorded_and_composed_gradients_agree(shape, rng):
    tensors = [tg.Tensor(rng.standard_normal(s), True) for s in (shape, shape[-1:], shape[-1:])]
    u = rng.standard_normal(shape)
    kernel = tg.grad(fused(*tensors), tensors, u)
    recorded = tg.grad(fused(*tensors), tensors, u, create_graph=True)
    oracle = tg.grad(composed(*tensors), tensors, u)
    for a, b, c in zip(kernel, recorded, oracle):
        np.testing.assert_allclose(a.data, c.data, atol=1e-9)
        np.testing.assert_allclose(b.data, c.data, atol=1e-9)


def test_statistics_keep_their_digits_far_from_zero(rng):
    x = (1e4 + rng.standard_normal((50_000, 4))).astype(np.float32)
    _, mean, var = batch_norm(tg.Tensor(x), *map(tg.Tensor, np.ones((2, 4), np.float32)), EPS)
    np.testing.assert_allclose(mean, x.astype(np.float64).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(var, x.astype(np.float64).var(axis=0), rtol=1e-3)


def test_a_sum_hides_every_mistake(rng):
    """The gradient of Σy with respect to x is zero: this is why the checker's cotangent is random."""
    x = tg.Tensor(rng.standard_normal((8, 3)), True)
    g, = tg.grad(fused(x, tg.Tensor(np.ones(3)), tg.Tensor(np.zeros(3))).sum(), x)
    np.testing.assert_allclose(g.data, 0, atol=1e-12)


def test_the_layer_remembers_and_evaluates(rng):
    layer = tg.BatchNorm(3, momentum=0.8, eps=EPS).astype(np.float64)
    x = rng.standard_normal((9, 3))
    layer(x)
    np.testing.assert_allclose(layer.running_mean, 0.2 * x.mean(axis=0))
    np.testing.assert_allclose(layer.running_var, 0.8 + 0.2 * x.var(axis=0))
    layer.eval()
    expected = (x[:1] - layer.running_mean) / np.sqrt(layer.running_var + EPS)
    np.testing.assert_allclose(layer(x[:1]).data, expected)
    tg.check_gradients(layer, x, order=2)


def test_one_row_has_no_variance():
    with pytest.raises(tg.TinyganError, match="one row"):
        tg.BatchNorm(3)(np.ones((1, 3), np.float32))


def test_the_bits_do_not_depend_on_the_threads(rng):
    tensors = [tg.Tensor(rng.standard_normal(s).astype(np.float32), True) for s in ((300, 7, 7, 128), (128,), (128,))]
    u = rng.standard_normal((300, 7, 7, 128)).astype(np.float32)
    results = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads):
            y, mean, var = batch_norm(*tensors, EPS)
            results.append([y.data, mean, var, *(g.data for g in tg.grad(y, tensors, u))])
    for other in results[1:]:
        for one, two in zip(results[0], other):
            np.testing.assert_array_equal(one, two)


def test_nothing_is_changed_and_float32_stays(rng):
    tensors = [tg.Tensor(rng.standard_normal(s).astype(np.float32), True) for s in ((6, 2, 3), (3,), (3,))]
    u = rng.standard_normal((6, 2, 3)).astype(np.float32)
    before = [t.data.copy() for t in tensors] + [u.copy()]
    y, mean, var = batch_norm(*tensors, EPS)
    gradients = [*tg.grad(y, tensors, u), *tg.grad(y, tensors, u, create_graph=True)]
    assert {t.dtype for t in (y, mean, var, *gradients)} == {np.dtype(np.float32)}
    for array, then in zip([t.data for t in tensors] + [u], before):
        np.testing.assert_array_equal(array, then)


@pytest.mark.parametrize("rows", [2, 32_768 // 3 - 1, 32_768 // 3 + 1, 50_000])     # one chunk, two unequal, several
def test_statistics_are_those_of_numpy(rows, rng):
    x = rng.standard_normal((rows, 3)) * [1, 10, 100] + [0, 5, -7]
    x[rows // 2:] += 3                                      # so that the chunks have unequal means
    _, mean, var = batch_norm(*map(tg.Tensor, (x, np.ones(3), np.zeros(3))), EPS)
    np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(var, x.var(axis=0), rtol=1e-12)


def test_only_some_gradients_asked_for(rng):
    """As in the generator's step, where gamma and beta of the discriminator are not wanted."""
    tensors = [tg.Tensor(rng.standard_normal(s), True) for s in ((6, 3), (3,), (3,))]
    u = rng.standard_normal((6, 3))
    y = fused(*tensors)
    together = tg.grad(y, tensors, u)
    for x, g in zip(tensors, together):
        np.testing.assert_array_equal(tg.grad(y, x, u)[0].data, g.data)


@given(scale=st.sampled_from([1e-8, 1e-3, 1.0, 1e6]), seed=st.integers(0, 99))
def test_a_constant_feature_is_finite(scale, seed):
    """v = 0: eps alone keeps r finite, and the gradient with respect to x is γ/√ε·(g − E g)."""
    rng = np.random.default_rng(seed)
    x, u = tg.Tensor(np.full((5, 2), scale), True), rng.standard_normal((5, 2))
    y, mean, var = batch_norm(x, tg.Tensor([2.0, 3.0]), tg.Tensor([0.5, -0.5]), EPS)
    np.testing.assert_allclose(y.data, np.tile([0.5, -0.5], (5, 1)), atol=1e-6)
    np.testing.assert_allclose(tg.grad(y, x, u)[0].data, (u - u.mean(axis=0)) * [2, 3] / np.sqrt(EPS), atol=1e-6)


def test_more_features_than_a_chunk_holds(rng):
    arrays = [rng.standard_normal(s) for s in ((3, 40_000), (40_000,), (40_000,))]
    np.testing.assert_allclose(fused(*map(tg.Tensor, arrays)).data, composed(*map(tg.Tensor, arrays)).data, atol=1e-9)


@pytest.mark.parametrize("slope", [0.0, 0.2])
@pytest.mark.parametrize("shape", [(6, 3), (3, 4, 5, 2)])
def test_with_leaky_relu_in_the_same_pass(shape, slope, rng):
    """y, statistics, and both ways to each derivative, against the two layers one after the other."""
    x, u = tg.Tensor(rng.standard_normal(shape), True), rng.standard_normal(shape)
    gamma, beta = (tg.Tensor(rng.standard_normal(shape[-1]), True) for _ in "12")
    fused, *statistics = batch_norm(x, gamma, beta, EPS, slope)
    first, *expected = batch_norm(x, gamma, beta, EPS)
    one_by_one = ops.leaky_relu(first, slope)
    np.testing.assert_allclose(fused.data, one_by_one.data, atol=1e-14)
    for one, two in zip(statistics, expected):
        np.testing.assert_array_equal(one, two)
    for create_graph in (False, True):
        ours, theirs = (tg.grad(y, (x, gamma, beta), u, create_graph) for y in (fused, one_by_one))
        for one, two in zip(ours, theirs):
            np.testing.assert_allclose(one.data, two.data, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_a_block_of_batch_norm_and_leaky_relu_in_a_sequential(order, rng):
    block = tg.Sequential(tg.Dense(4, 3), tg.BatchNorm(3), tg.LeakyReLU(0.3), tg.BatchNorm(3), tg.LeakyReLU(0.0), tg.Tanh())
    tg.check_gradients(block, rng.standard_normal((7, 4)), order=order)
    points = rng.standard_normal((5, 4)).astype(np.float32)
    for training in (True, False):
        block.train(training)
        y = block(points)
        x = tg.Tensor(points)
        for layer in block.layers:
            x = layer(x)
        np.testing.assert_allclose(y.data, x.data, atol=1e-5)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.array])
@pytest.mark.parametrize("plain", [False, True])
def test_numbers_of_any_kind_leave_the_dtype_alone(kind, plain, rng):
    x = rng.standard_normal((6, 3)).astype(np.float32)
    nets = [tg.Sequential(tg.BatchNorm(3, momentum=n(0.5), eps=n(0.125)), tg.LeakyReLU(n(0.25))) for n in (kind, float)]
    with tg.plain() if plain else tg.tensor.set_grad_enabled(True):
        one, other = (net(x) for net in nets)
    np.testing.assert_array_equal(one.data, other.data)
    assert {one.dtype, *(array.dtype for array in nets[0].arrays())} == {np.dtype(np.float32)}
