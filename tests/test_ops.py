"""Every operation: its value against NumPy, its first and second derivative against finite differences."""
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

import tinygan as tg
from tinygan import ops


def with_scalars(x):
    return 2 - (3 + x) * 4 / (5 + x * x) - 1 / (x * x + 2)


UNARY = {
    "negative": (ops.negative, np.negative), "exp": (ops.exp, np.exp), "tanh": (ops.tanh, np.tanh),
    "sigmoid": (ops.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "softplus": (ops.softplus, lambda x: np.log(1 + np.exp(x))),
    "absolute": (ops.absolute, np.abs), "cube": (lambda x: x ** 3, lambda x: x ** 3),
    "leaky_relu": (lambda x: ops.leaky_relu(x, 0.2), lambda x: np.where(x > 0, x, 0.2 * x)),
    "log": (lambda x: ops.log(abs(x) + 1), lambda x: np.log(abs(x) + 1)),
    "sqrt": (lambda x: ops.sqrt(x * x + 1), lambda x: np.sqrt(x * x + 1)),
    "scalars": (with_scalars, with_scalars),
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


# An axis, several, all, from the end: kept or not
AXES = st.one_of(st.none(), st.integers(-3, 2), st.sets(st.integers(0, 2)).map(tuple), st.just((-1, 0)))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", ["sum", "mean"])
@given(axis=AXES, keepdims=st.booleans(), shape=hnp.array_shapes(min_dims=3, max_dims=3, max_side=4))
def test_sum_and_mean_over_any_axes(name, order, axis, keepdims, shape):
    x = np.random.default_rng(0).standard_normal(shape)

    def f(x):
        return getattr(x * x, name)(axis=axis, keepdims=keepdims)

    np.testing.assert_allclose(f(tg.Tensor(x)).data, f(x), rtol=1e-13)
    tg.check_gradients(f, x, order=order)


@pytest.mark.parametrize("order", [1, 2])
@given(axes=st.permutations(range(3)), axis=st.integers(-3, 2), n=st.integers(1, 3))
def test_transpose_and_concatenate(order, axes, axis, n):
    rng = np.random.default_rng(n)
    shapes = [[2, 3, 4] for _ in range(3)]
    shapes[0][axis] = n
    parts = [rng.standard_normal(shape) for shape in shapes]

    def f(*parts):
        return ops.concatenate(parts, axis).transpose(*axes) ** 2

    np.testing.assert_allclose(f(*map(tg.Tensor, parts)).data, np.concatenate(parts, axis).transpose(axes) ** 2)
    tg.check_gradients(f, *parts, order=order)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("index", [0, -1, slice(None, None, -2), (..., 0), (1, slice(1, 3)), (None, slice(2), None, -1),
                                   np.int64(1)])
def test_getitem(index, order, rng):
    x = rng.standard_normal((3, 4, 2))
    np.testing.assert_array_equal(tg.Tensor(x)[index].data, x[index])
    tg.check_gradients(lambda x: x[index] ** 2, x, order=order)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("n", [-2, -1, -0.5, 0, 0.5, 1, 2, 3.0])
def test_power(n, order, rng):
    x = rng.uniform(0.5, 2, (3, 2))
    np.testing.assert_allclose((tg.Tensor(x) ** n).data, x ** n)
    tg.check_gradients(lambda x: x ** n, x, order=order)


def test_the_derivative_of_a_power_at_zero():
    x = tg.Tensor([0.0, -1.0], True)
    with np.errstate(all="raise"):
        for n, first, second in ((0, [0, 0], [0, 0]), (1, [1, 1], [0, 0]), (2, [0, -2], [2, 2])):
            g, = tg.grad((x ** n).sum(), x, create_graph=True)
            np.testing.assert_array_equal(g.data, first)
            np.testing.assert_array_equal(tg.grad(g.sum(), x)[0].data, second)


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3), st.integers(0, 99))
def test_broadcasting_is_undone_as_tiling_would_be(shapes, seed):
    """The gradient of a repeated number is the sum over its copies; `owner` says whose copy is where."""
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape) for shape in shapes.input_shapes]
    u = rng.standard_normal(shapes.result_shape)
    a, b = (tg.Tensor(x, True) for x in arrays)
    for x, g, sign in zip((a, b), tg.grad(a - b, [a, b], u), (1, -1)):
        owner = np.broadcast_to(np.arange(x.size).reshape(x.shape), u.shape)
        expected = np.bincount(owner.ravel(), sign * u.ravel(), minlength=x.size).reshape(x.shape)
        assert g.shape == x.shape
        np.testing.assert_allclose(g.data, expected, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (3,)])
@pytest.mark.parametrize("number", [2, 2.5, True, np.float64(2.5), np.float32(2.5), np.int64(2)])
def test_numbers_take_the_dtype_of_the_tensor_beside_them(number, shape, dtype):
    x = tg.Tensor(np.full(shape, 3, dtype), True)
    for f in (lambda x, c: c + x, lambda x, c: x + c, lambda x, c: c - x, lambda x, c: x - c,
              lambda x, c: c * x, lambda x, c: x * c, lambda x, c: c / x, lambda x, c: x / c):
        y = f(x, number)
        assert isinstance(y, tg.Tensor) and y.dtype == tg.grad(y.sum(), x)[0].dtype == dtype
        np.testing.assert_allclose(y.data, f(np.full(shape, 3.0), float(number)), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", [ops.sigmoid, ops.softplus])
def test_derivatives_at_extremes_are_silent_and_between_0_and_1(f, dtype):
    a = tg.Tensor(np.array([-1e4, -1e3, -200, -50, -1, 0, 1, 50, 200, 1e3, 1e4], dtype), True)
    with np.errstate(all="raise"):
        y = f(a)
        g, = tg.grad(y.sum(), a, create_graph=True)
    second, = tg.grad(g.sum(), a)                            # here σ(a)·σ(a) may round to 0 on its way
    assert all(np.isfinite(t.data).all() for t in (y, g, second))
    assert (g.data >= 0).all() and (g.data <= 1).all() and (np.diff(y.data) >= 0).all()


def test_sigmoid_keeps_its_digits_where_it_is_small():
    a = np.array([-1.0, -20, -50, -80])
    np.testing.assert_allclose(ops.sigmoid(tg.Tensor(a)).data, np.exp(a) / (1 + np.exp(a)), rtol=1e-14)
    np.testing.assert_allclose(ops.softplus(tg.Tensor(a)).data, np.log1p(np.exp(a)), rtol=1e-14)


def test_at_a_kink_the_derivative_is_the_one_that_is_promised():
    x = tg.Tensor([0.0, -0.0], True)
    np.testing.assert_array_equal(tg.grad(abs(x).sum(), x)[0].data, 0)
    for create_graph in (False, True):
        g, = tg.grad(ops.leaky_relu(x, 0.25).sum(), x, create_graph=create_graph)
        np.testing.assert_array_equal(g.data, 0.25)


def test_leaky_relus_fast_derivative_equals_the_recorded_one(rng):
    """Order 2 of the checker differentiates the recorded form, order 1 the fast one: this holds the two together."""
    x, u = tg.Tensor(rng.standard_normal((40, 30)), True), rng.standard_normal((40, 30))
    y = ops.leaky_relu(x, 0.3)
    np.testing.assert_array_equal(tg.grad(y, x, u)[0].data, tg.grad(y, x, u, create_graph=True)[0].data)


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_inputs_and_cotangents_are_not_changed(name, rng):
    x = tg.Tensor(rng.uniform(0.5, 2, (3, 2)), True)
    y = UNARY[name][0](x) if name in UNARY else getattr(ops, name)(x, tg.Tensor(x.data))
    u, before, value = rng.standard_normal(y.shape), x.data.copy(), y.data.copy()
    kept = u.copy()
    for create_graph in (False, True):
        tg.grad(y, x, u, create_graph=create_graph)
    for now, then in ((x.data, before), (u, kept), (y.data, value)):
        np.testing.assert_array_equal(now, then)


A, B32, V = tg.Tensor(np.ones((2, 3))), tg.Tensor(np.ones((2, 3), np.float32)), tg.Tensor(np.ones(3))


@pytest.mark.parametrize("wrong, word", [
    (lambda: A * B32, "got float64 of shape .2, 3. and float32"), (lambda: A @ B32.T, "and float32 of shape"),
    (lambda: A + np.ones((2, 3), np.float32), "astype"), (lambda: A - tg.Tensor(np.ones(2)), "do not broadcast"),
    (lambda: A @ A, "matrix product"), (lambda: A @ V, "matrix product"), (lambda: A ** V, "exponent"),
    (lambda: A.reshape(7), "cannot reshape"), (lambda: A.reshape((2, 2)), "cannot reshape"),
    (lambda: A[[0, 1]], "indexed"), (lambda: tg.Tensor(np.ma.array([1.0, 2.0], mask=[0, 1])), "masked"),
    (lambda: tg.grad(A.sum(), [3]), "got the inputs"),
])
def test_bad_operands_get_a_sentence(wrong, word):
    with pytest.raises(tg.TinyganError, match=word):
        wrong()


NUMBERS = [2, 2.0, np.float16(2), np.float32(2), np.float64(2), np.longdouble(2), np.int8(2), np.int64(2), np.uint8(2),
           np.array(2), np.array(2.0), np.array(2, np.float32)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: type(n).__name__ + str(getattr(n, "dtype", "")))
def test_a_number_takes_the_tensors_dtype(number, dtype):
    x = tg.Tensor(np.array([1.0, 3.0], dtype), True)
    for y, expected in ((x + number, [3, 5]), (number + x, [3, 5]), (x - number, [-1, 1]), (number - x, [1, -1]),
                        (x * number, [2, 6]), (number * x, [2, 6]), (x / number, [0.5, 1.5]), (number / x, [2, 2 / 3]),
                        (x ** number, [1, 9]), (number ** x, [2, 8]), (ops.leaky_relu(-x, number / 8), [-0.25, -0.75])):
        np.testing.assert_allclose(y.data, expected, rtol=1e-6)
        g, = tg.grad(y.sum(), x)
        assert y.dtype == g.dtype == dtype and type(y) is tg.Tensor


@pytest.mark.parametrize("base", [0.5, 2, np.float32(3)])
def test_a_number_to_the_power_of_a_tensor(base, rng):
    tg.check_gradients(lambda x: base ** x, rng.standard_normal(4), order=2)
    np.testing.assert_array_equal((base ** tg.Tensor([3.0])).data, np.float64(base) ** 3)


@pytest.mark.parametrize("exponent, value, slope", [(0, 1, 0), (1, -3, 1), (2, 9, -6), (-1, -1 / 3, -1 / 9)])
def test_powers_of_a_negative_number(exponent, value, slope):
    x = tg.Tensor([-3.0], True)
    np.testing.assert_allclose([(x ** exponent).item(), tg.grad(x ** exponent, x)[0].item()], [value, slope])


M = tg.Tensor(np.arange(12.0).reshape(3, 4), True)


@pytest.mark.parametrize("axis", [2, -3, (0, 0), (0, -2), (0, 2), 1.0, "a", (None,)])
@pytest.mark.parametrize("f", [lambda axis: M.sum(axis=axis), lambda axis: M.mean(axis, keepdims=True),
                               lambda axis: ops.concatenate([M, M], axis=axis)])
def test_an_axis_that_is_not_there_or_named_twice_is_refused(f, axis):
    for run in (f, plainly(f)):
        with pytest.raises(tg.TinyganError, match="axis"):
            run(axis)


@pytest.mark.parametrize("shapes, axis, expected", [([], 0, "no Tensors"), ([(3, 2), (3, 2, 1)], 0, r"\(3, 2\), \(3, 2, 1\)"),
                                                    ([(3, 2), (4, 2)], 1, "along axis 1"), ([(3, 2), (4, 2)], -1, "along axis 1"),
                                                    ([(2, 3), (2, 4)], 0, "along axis 0"), ([(), ()], 0, "0 axes")])
def test_what_cannot_stand_side_by_side_is_refused(shapes, axis, expected):
    with pytest.raises(tg.TinyganError, match=expected):
        ops.concatenate([np.ones(shape) for shape in shapes], axis)


def plainly(f):
    def run(*arguments):
        with tg.plain():
            return f(*arguments)
    return run


@pytest.mark.parametrize("axis", [None, 0, 1, -1, -2, (0, 1), (1, 0), (-1, 0), (), np.int64(1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_axes_are_numpys(axis, keepdims):
    for name in ("sum", "mean"):
        y = getattr(M, name)(axis=axis, keepdims=keepdims)
        np.testing.assert_allclose(y.data, getattr(M.data, name)(axis=axis, keepdims=keepdims))


@pytest.mark.parametrize("axes", [(0, 2), (0, 0), (1,), (0, -2), (0, 1, 1), ("a", 0)])
def test_an_order_of_axes_names_each_once(axes):
    with pytest.raises(tg.TinyganError, match="each"):
        M.transpose(*axes)
    for right in ((), (1, 0), (-1, 0), (0, -1), ((1, 0),)):
        np.testing.assert_array_equal(M.transpose(*right).data, M.data.transpose(*right))
        assert tg.grad(M.transpose(*right), M, np.ones(M.data.transpose(*right).shape))[0].shape == M.shape


@pytest.mark.parametrize("shape", [(-1, -1), (-2, 6), (-2,), (5, -1), (0, -1), (13,)])
def test_a_shape_that_the_elements_do_not_fill_is_refused(shape):
    with pytest.raises(tg.TinyganError, match="cannot reshape"):
        M.reshape(shape)
    assert M.reshape(-1).shape == (12,) and M.reshape(2, -1, 3).shape == (2, 2, 3)
    assert tg.Tensor(np.zeros((0, 3))).reshape(-1, 3).shape == (0, 3)


def test_means_over_nothing():
    x = tg.Tensor(np.zeros((0, 3)), True)
    assert x.mean(axis=1).shape == (0,) and x.sum(axis=0).data.tolist() == [0, 0, 0]
    for axis in (None, 0, (0, 1)):
        with pytest.raises(tg.TinyganError, match="at least one number"):
            x.mean(axis=axis)


def test_the_slope_of_the_sigmoid_keeps_its_digits():
    """σ′ = σ(x)·σ(−x) = e⁻⁵⁰ at ±50, where 1 − σ has none left."""
    x = tg.Tensor([50.0, -50.0], True)
    np.testing.assert_allclose(tg.grad(ops.sigmoid(x).sum(), x)[0].data, np.exp(-50.0), rtol=1e-14)
