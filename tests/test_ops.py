"""Every operation: its value against NumPy, its first and second derivative against finite differences."""
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

import tinygan as tg
from tinygan import ops

UNARY = {
    "negative": (ops.negative, np.negative), "exp": (ops.exp, np.exp), "tanh": (ops.tanh, np.tanh),
    "sigmoid": (ops.sigmoid, lambda x: 1 / (1 + np.exp(-x))), "softplus": (ops.softplus, lambda x: np.log(1 + np.exp(x))),
    "absolute": (ops.absolute, np.abs), "cube": (lambda x: x ** 3, lambda x: x ** 3),
    "leaky_relu": (lambda x: ops.leaky_relu(x, 0.2), lambda x: np.where(x > 0, x, 0.2 * x)),
    "log": (lambda x: ops.log(abs(x) + 1), lambda x: np.log(abs(x) + 1)),
    "sqrt": (lambda x: ops.sqrt(x * x + 1), lambda x: np.sqrt(x * x + 1)),
    "scalars": (lambda x: 2 - (3 + x) * 4 / (5 + x * x) - 1 / (x * x + 2), lambda x: 2 - (3 + x) * 4 / (5 + x * x) - 1 / (x * x + 2)),
    "sum": (lambda x: x.sum(axis=0), lambda x: x.sum(axis=0)), "sum all": (lambda x: x.sum(), np.sum),
    "mean": (lambda x: x.mean(axis=-1, keepdims=True) * x, lambda x: x.mean(axis=-1, keepdims=True) * x),
    "reshape": (lambda x: x.reshape(-1), np.ravel), "transpose": (lambda x: x.T * 2, lambda x: x.T * 2),
    "getitem": (lambda x: x[::2, None] * x[:1], lambda x: x[::2, None] * x[:1]),
    "concatenate": (lambda x: ops.concatenate([x, x * x], axis=-1), lambda x: np.concatenate([x, x * x], axis=-1)),
}
BINARY = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", UNARY)
@given(shape=hnp.array_shapes(min_dims=2, max_dims=3, max_side=4), seed=st.integers(0, 99))
def test_one_operand(name, order, shape, seed):
    f, reference = UNARY[name]
    x = np.random.default_rng(seed).standard_normal(shape)
    before = x.copy()
    np.testing.assert_allclose(f(tg.Tensor(x)).data, reference(x), rtol=1e-13, atol=1e-14)
    tg.check_gradients(f, x, order=order, seed=seed)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", BINARY)
@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), seed=st.integers(0, 99))
def test_two_operands_of_broadcast_shapes(name, order, shapes, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.uniform(0.5, 2, shape) for shape in shapes.input_shapes)
    f = getattr(ops, name)
    np.testing.assert_allclose(f(tg.Tensor(a), tg.Tensor(b)).data, BINARY[name](a, b), rtol=1e-14)
    tg.check_gradients(f, a, b, order=order, seed=seed)


@pytest.mark.parametrize("order", [1, 2])
@given(n=st.integers(1, 5), k=st.integers(1, 5), m=st.integers(1, 5))
def test_matmul(order, n, k, m):
    rng = np.random.default_rng(n + 10 * k + 100 * m)
    a, b = rng.standard_normal((n, k)), rng.standard_normal((k, m))
    np.testing.assert_allclose((tg.Tensor(a) @ tg.Tensor(b)).data, a @ b, atol=1e-13)
    tg.check_gradients(ops.matmul, a, b, order=order)


def test_matmul_in_strips(rng):
    for n, m in ((1100, 3), (3, 1100)):
        a, b = rng.standard_normal((n, 7)), rng.standard_normal((7, m))
        np.testing.assert_allclose(ops.matmul(tg.Tensor(a), tg.Tensor(b)).data, a @ b, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (2, 3)])
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_the_dtype_stays(name, shape, dtype, rng):
    if shape == () and name in ("sum", "mean", "getitem", "concatenate", "transpose"):
        pytest.skip("needs an axis")
    x = tg.Tensor(np.asarray(rng.standard_normal(shape), dtype), requires_grad=True)
    y = UNARY[name][0](x) if name in UNARY else getattr(ops, name)(getattr(ops, name)(x, 2), getattr(ops, name)(3.0, x))
    g, = tg.grad(y, x, cotangent=np.ones(y.shape), create_graph=True)
    second, = tg.grad(g, x, cotangent=np.ones(x.shape))
    assert y.dtype == g.dtype == second.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softplus_and_sigmoid_are_finite_and_silent(dtype):
    a = tg.Tensor(np.array([-1e4, -50, 0, 50, 1e4], dtype), requires_grad=True)
    with np.errstate(all="raise"):
        y = ops.softplus(a)
        g, = tg.grad(y.sum(), a)
    np.testing.assert_allclose(y.data, [0, np.exp(-50), np.log(2), 50, 1e4], rtol=1e-6)
    np.testing.assert_allclose(g.data, [0, np.exp(-50), 0.5, 1, 1], rtol=1e-6)


def test_arrays_meet_tensors_on_either_side():
    x = tg.Tensor([1.0, 2.0])
    assert isinstance(np.ones(2) * x, tg.Tensor) and isinstance(np.eye(2) @ x.reshape(2, 1), tg.Tensor)


def test_a_large_leaky_relu_spreads_over_threads(rng):
    x = tg.Tensor(rng.standard_normal((1100, 1000)), requires_grad=True)
    y = ops.leaky_relu(x, 0.2)
    u = rng.standard_normal(x.shape)
    np.testing.assert_array_equal(y.data, np.where(x.data > 0, x.data, 0.2 * x.data))
    np.testing.assert_allclose(tg.grad(y, x, u)[0].data, np.where(x.data > 0, u, 0.2 * u), rtol=1e-15)
