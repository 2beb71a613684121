"""The three maps of the convolution's trilinear form: fast against plain, adjoint to each other, and differentiated."""
import itertools
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygan as tg
from tinygan import conv
from tinygan.fast import conv as fast

PADS = st.one_of(st.just("same"), st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2))
SMALL_PADS = st.tuples(*[st.tuples(st.integers(0, 1), st.integers(0, 1))] * 2)


@st.composite
def cases(draw):
    """x, w, g and their geometry, K < S and windows that stop short of the edge included."""
    size = draw(st.tuples(st.integers(3, 7), st.integers(3, 7)))
    geo = conv.geometry(size, draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(PADS))
    n, channels, features = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.standard_normal((n, *size, channels))
    w = rng.standard_normal((geo.kernel, geo.kernel, channels, features))
    g = rng.standard_normal((n, *geo.steps, features))
    return x, w, g, geo


def six_loops(x, w, geo):
    """y[n, i, j, d] with explicit indices: the definition, independent of conv.py."""
    (top, _), (left, _) = geo.pads
    y = np.zeros((len(x), *geo.steps, w.shape[3]))
    for n in range(len(x)):
        for i in range(geo.steps[0]):
            for j in range(geo.steps[1]):
                for a in range(geo.kernel):
                    for b in range(geo.kernel):
                        row, column = geo.stride * i + a - top, geo.stride * j + b - left
                        if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                            for c in range(x.shape[3]):
                                y[n, i, j] += x[n, row, column, c] * w[a, b, c]
    return y


@given(cases())
def test_fast_kernels_equal_plain_ones(case):
    x, w, g, geo = case
    np.testing.assert_allclose(fast.convolve(x, w, geo), six_loops(x, w, geo), atol=1e-12)
    np.testing.assert_allclose(conv.plain_convolve(x, w, geo), six_loops(x, w, geo), atol=1e-12)
    np.testing.assert_allclose(fast.transpose(g, w, geo), conv.plain_transpose(g, w, geo), atol=1e-12)
    np.testing.assert_allclose(fast.weight_gradient(x, g, geo), conv.plain_weight_gradient(x, g, geo), atol=1e-12)
    b, c = np.arange(1.0, 1 + w.shape[3]), -np.arange(1.0, 1 + w.shape[2])      # biases, which come where K < S leaves 0 too
    for down, up in ((fast.convolve, fast.transpose), (conv.plain_convolve, conv.plain_transpose)):
        np.testing.assert_allclose(down(x, w, geo, b), six_loops(x, w, geo) + b, atol=1e-12)
        np.testing.assert_allclose(up(g, w, geo, c), conv.plain_transpose(g, w, geo) + c, atol=1e-12)


@pytest.mark.parametrize("stride", range(1, 5))
@pytest.mark.parametrize("kernel", range(1, 6))
def test_painting_as_on_a_gpu(kernel, stride, rng):
    """All channels side by side, and neighbouring phases at once."""
    for pad, channels, size in itertools.product(range(3), (1, 2), (4, 5)):
        if size + pad + 1 < kernel:
            continue
        geo = conv.geometry((size, size + 1), kernel, stride, ((pad, 1), (1, pad)))
        g, w = rng.standard_normal((2, *geo.steps, 3)), rng.standard_normal((kernel, kernel, channels, 3))
        with mock.patch.object(fast, "device_of", lambda array: "cuda"):
            x = fast.transpose(g, w, geo)
        np.testing.assert_allclose(x, conv.plain_transpose(g, w, geo), atol=1e-12)


@given(cases())
def test_adjoint_identities(case):
    x, w, g, geo = case
    form = (six_loops(x, w, geo) * g).sum()
    pairs = [(g, fast.convolve(x, w, geo)),
             (x, fast.transpose(g, w, geo)),
             (w, fast.weight_gradient(x, g, geo))]
    for factor, partial in pairs:
        assert partial.shape == factor.shape
        np.testing.assert_allclose((partial * factor).sum(), form, atol=1e-10)


@pytest.mark.parametrize("order", [1, 2])
@settings(max_examples=12)
@given(cases())
def test_derivatives(order, case):
    x, w, g, geo = case
    tg.check_gradients(lambda x, w: conv.convolve(x, w, geo), x, w, order=order)
    tg.check_gradients(lambda g, w: conv.transpose(g, w, geo), g, w, order=order)
    tg.check_gradients(lambda x, g: conv.weight_gradient(x, g, geo), x, g, order=order)


@given(cases())
def test_the_joint_kernel_equals_the_composed_derivative(case):
    x, w, g, geo = case
    g, w = tg.Tensor(g, True), tg.Tensor(w, True)
    y = conv.transpose(g, w, geo)
    u = np.random.default_rng(1).standard_normal(y.shape)
    for fast, composed in zip(tg.grad(y, [g, w], u), tg.grad(y, [g, w], u, create_graph=True)):
        np.testing.assert_allclose(fast.data, composed.data, atol=1e-12)


@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 4))
def test_same_padding_is_tensorflows(length, kernel, stride):
    geo = conv.geometry((length, length), kernel, stride, "same")
    out = -(-length // stride)
    total = max((out - 1) * stride + kernel - length, 0)
    assert geo.steps == (out, out) and geo.pads[0] == (total // 2, total - total // 2)
    assert conv.geometry_of_transpose((length, length), kernel, stride, "same").size == (length * stride,) * 2


@given(st.integers(1, 4), st.integers(2, 5), st.integers(1, 3), SMALL_PADS)
def test_padding_crops_the_full_transpose(length, kernel, stride, pads):
    if min(stride * (length - 1) + kernel - sum(p) for p in pads) < 1:
        return
    rng = np.random.default_rng(length)
    g, w = rng.standard_normal((2, length, length, 2)), rng.standard_normal((kernel, kernel, 3, 2))
    full = fast.transpose(g, w, conv.geometry_of_transpose((length, length), kernel, stride, ((0, 0), (0, 0))))
    (top, bottom), (left, right) = pads
    cropped = fast.transpose(g, w, conv.geometry_of_transpose((length, length), kernel, stride, pads))
    np.testing.assert_allclose(cropped, full[:, top:full.shape[1] - bottom, left:full.shape[2] - right], atol=1e-12)


def test_what_does_not_fit_is_refused():
    with pytest.raises(tg.TinyganError, match="does not fit"):
        conv.geometry((2, 2), 3, 1, ((0, 0), (0, 0)))
    with pytest.raises(tg.TinyganError, match="does not fit"):
        conv.geometry((5, 2), 3, 1, ((0, 0), (0, 0)))           # just one of the two sides, and by just one pixel
    assert conv.geometry((3, 3), 3, 1, ((0, 0), (0, 0))).steps == (1, 1)
    with pytest.raises(tg.TinyganError, match="crop less"):
        conv.geometry_of_transpose((1, 1), 2, 1, ((1, 1), (1, 1)))


def six_loops_transpose(g, w, geo):
    """x[n, S·i + a − top, S·j + b − left, c] += w[a, b, c, d]·g[n, i, j, d], cropped: again independent of conv.py."""
    (top, _), (left, _) = geo.pads
    x = np.zeros((len(g), *geo.size, w.shape[2]))
    for n, i, j, a, b in np.ndindex(len(g), *geo.steps, geo.kernel, geo.kernel):
        row, column = geo.stride * i + a - top, geo.stride * j + b - left
        if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
            for c in range(x.shape[3]):
                x[n, row, column, c] += w[a, b, c] @ g[n, i, j]
    return x


def six_loops_weight_gradient(x, g, geo):
    """w[a, b, c, d] += x̄[n, S·i + a, S·j + b, c]·g[n, i, j, d]"""
    (top, _), (left, _) = geo.pads
    w = np.zeros((geo.kernel, geo.kernel, x.shape[3], g.shape[3]))
    for n, i, j, a, b in np.ndindex(len(g), *geo.steps, geo.kernel, geo.kernel):
        row, column = geo.stride * i + a - top, geo.stride * j + b - left
        if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
            for c in range(x.shape[3]):
                w[a, b, c] += x[n, row, column, c] * g[n, i, j]
    return w


@given(cases())
def test_plain_kernels_equal_the_loops(case):
    x, w, g, geo = case
    np.testing.assert_allclose(conv.plain_transpose(g, w, geo), six_loops_transpose(g, w, geo), atol=1e-12)
    np.testing.assert_allclose(conv.plain_weight_gradient(x, g, geo), six_loops_weight_gradient(x, g, geo), atol=1e-12)


@pytest.mark.parametrize("channels, stride", [(1, 1), (1, 2), (3, 1), (3, 2)])      # (1, 1) paints all K·K at once
@pytest.mark.parametrize("n", [1, 3, 4, 5, 8, 11])
def test_any_batch_in_small_parts(channels, stride, n, rng, monkeypatch):
    """Parts of unequal size, gathered two images at a time or fewer, against the plain kernels."""
    monkeypatch.setattr(fast, "CACHE", 2 * 30 * 9 * channels)
    geo = conv.geometry((5, 6), 3, stride, "same")
    x, w = rng.standard_normal((n, 5, 6, channels)), rng.standard_normal((3, 3, channels, 2))
    g = rng.standard_normal((n, *geo.steps, 2))
    y, weight_gradient = fast._from_one_gather(x, w, g, geo)
    np.testing.assert_allclose(y, conv.plain_convolve(x, w, geo), atol=1e-12)
    np.testing.assert_allclose(weight_gradient, conv.plain_weight_gradient(x, g, geo), atol=1e-12)
    np.testing.assert_allclose(fast.transpose(g, w, geo), conv.plain_transpose(g, w, geo), atol=1e-12)


def test_images_too_large_for_the_cache_go_one_by_one(rng, monkeypatch):
    monkeypatch.setattr(fast, "CACHE", 1)
    geo = conv.geometry((4, 4), 3, 1, "same")
    x, w, g = rng.standard_normal((3, 4, 4, 2)), rng.standard_normal((3, 3, 2, 2)), rng.standard_normal((3, 4, 4, 2))
    np.testing.assert_allclose(fast.convolve(x, w, geo), conv.plain_convolve(x, w, geo), atol=1e-12)
    np.testing.assert_allclose(fast.transpose(g, w, geo), conv.plain_transpose(g, w, geo), atol=1e-12)


@pytest.mark.parametrize("kernel, stride", [(5, 2), (4, 2), (7, 1)])                # the layers of the models
def test_float32_is_close_to_float64(kernel, stride, rng):
    geo = conv.geometry((14, 14), kernel, stride, "same")
    x, w = rng.standard_normal((20, 14, 14, 3)), rng.standard_normal((kernel, kernel, 3, 8))
    g = rng.standard_normal((20, *geo.steps, 8))
    for f, one, two in ((conv.convolve, x, w), (conv.transpose, g, w), (conv.weight_gradient, x, g)):
        exact = f(tg.Tensor(one), tg.Tensor(two), geo).data
        tensors = [tg.Tensor(array.astype(np.float32), True) for array in (one, two)]
        y = f(*tensors, geo)
        gradients = [*tg.grad(y, tensors, exact), *tg.grad(y, tensors, exact, create_graph=True)]
        assert y.dtype == np.float32 and all(t.dtype == np.float32 for t in gradients)
        assert abs(y.data - exact).max() < 1e-5 * abs(exact).max()


@given(cases())
def test_inputs_are_not_changed_and_need_not_be_contiguous(case):
    x, w, g, geo = case
    before = [array.copy() for array in (x, w, g)]
    upside_down = [tg.Tensor(array[::-1].copy()[::-1], True) for array in (x, w, g)]    # equal values, other strides
    x_, w_, g_ = upside_down
    for f, one, two in ((conv.convolve, x_, w_), (conv.transpose, g_, w_), (conv.weight_gradient, x_, g_)):
        y = f(one, two, geo)
        tg.grad(y, [one, two], y.data)
    np.testing.assert_allclose(conv.convolve(x_, w_, geo).data, fast.convolve(x, w, geo), atol=1e-12)
    np.testing.assert_allclose(conv.transpose(g_, w_, geo).data, fast.transpose(g, w, geo), atol=1e-12)
    for array, then in zip(upside_down, before):
        np.testing.assert_array_equal(array.data, then)


@given(cases())
def test_half_of_the_joint_kernel(case):
    """Only one of the two gradients asked for: the same as if both were."""
    x, w, g, geo = case
    g, w = tg.Tensor(g, True), tg.Tensor(w, True)
    y = conv.transpose(g, w, geo)
    both = tg.grad(y, [g, w], x)
    np.testing.assert_allclose(tg.grad(y, g, x)[0].data, both[0].data, atol=1e-12)
    np.testing.assert_allclose(tg.grad(y, w, x)[0].data, both[1].data, atol=1e-12)


@pytest.mark.parametrize("length, kernel, stride, out, pads", [
    (28, 5, 2, 14, (1, 2)), (28, 4, 2, 14, (1, 1)), (28, 7, 1, 28, (3, 3)), (5, 2, 1, 5, (0, 1)),
    (7, 3, 2, 4, (1, 1)), (6, 1, 3, 2, (0, 0))])
def test_same_padding_by_hand(length, kernel, stride, out, pads):
    geo = conv.geometry((length, length), kernel, stride, "same")
    assert geo.steps == (out, out) and geo.pads == (pads, pads)


def test_sizes_of_two_sides_are_told_apart():
    geo = conv.geometry((6, 9), 3, 2, ((1, 0), (0, 2)))
    assert geo.steps == (3, 5)                              # ⌊(6 + 1 − 3)/2⌋ + 1 and ⌊(9 + 2 − 3)/2⌋ + 1
    assert conv.geometry_of_transpose((3, 5), 3, 2, ((1, 0), (0, 2))).size == (6, 9)      # 2·2 + 3 − 1 and 2·4 + 3 − 2
