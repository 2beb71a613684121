"""The engine: order, accumulation, memory, and derivatives of derivatives."""
import gc
import threading
import weakref

import numpy as np
import pytest

import tinygan as tg
from tinygan import ops
from tinygan.tensor import recording


def leaf(*values):
    return tg.Tensor(np.array(values, np.float64), requires_grad=True)


def test_a_deep_graph_needs_no_recursion():
    x = leaf(1.0)
    y = x
    for _ in range(50_000):
        y = y * 1.0
    assert tg.grad(y.sum(), x)[0].data == 1


def test_wide_sharing_takes_linear_time():
    x = leaf(1.0, 2.0)
    y = x
    for _ in range(40):
        y = y + y
    np.testing.assert_array_equal(tg.grad(y.sum(), x)[0].data, 2.0 ** 40)


def test_backward_accumulates_on_leaves_only():
    x = leaf(3.0)
    y = x * x
    z = y * x
    z.backward()
    assert x.grad.data == 27 and y.grad is None
    z.backward()
    assert x.grad.data == 54


def test_gradients_of_two_leaves_do_not_share_memory():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x + y).sum().backward()
    x.grad.data *= 10
    np.testing.assert_array_equal(y.grad.data, 1)


def test_backward_can_be_limited_to_some_leaves():
    x, w = leaf(2.0), leaf(5.0)
    (x * w).backward(inputs=[x])
    assert x.grad.data == 5 and w.grad is None


def test_higher_derivatives_of_a_power():
    x = leaf(2.0)
    first, = tg.grad(x ** 4, x, create_graph=True)
    second, = tg.grad(first, x, create_graph=True)
    third, = tg.grad(second, x)
    assert [float(t.data[0]) for t in (first, second, third)] == [32, 48, 48]


def test_an_unrelated_input_has_gradient_zero():
    x, y = leaf(1.0), leaf(1.0, 2.0)
    np.testing.assert_array_equal(tg.grad(x * 2, y)[0].data, [0, 0])


def test_the_gradient_of_an_inner_tensor():
    x = leaf(3.0)
    h = x * x
    assert tg.grad(h * h, [h, x])[0].data == 18


def test_detach_stops_the_gradient():
    x = leaf(3.0)
    assert tg.grad(x.detach() * x, x)[0].data == 3


def test_no_grad_ends_with_its_block_even_after_an_error():
    with pytest.raises(KeyError):
        with tg.no_grad():
            assert not (leaf(1.0) * 2).requires_grad
            raise KeyError
    assert recording()


def test_no_grad_concerns_one_thread():
    seen = []
    with tg.no_grad():
        thread = threading.Thread(target=lambda: seen.append(recording()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_a_graph_is_freed_without_the_garbage_collector():
    gc.disable()
    try:
        x = leaf(0.5)
        y = ops.leaky_relu(ops.tanh(ops.softplus(ops.exp(x))), 0.2)
        inner = weakref.ref(y.edges[0][0])
        y.sum().backward()
        del y
        assert inner() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("wrong, word", [
    (lambda: leaf(1.0, 2.0).backward(), "cotangent"),
    (lambda: tg.grad(leaf(1.0), leaf(1.0), cotangent=np.ones(3)), "cotangent"),
    (lambda: tg.Tensor([1.0]).backward(), "requires_grad"),
    (lambda: tg.Tensor(np.array(["a"])), "float32 or float64"),
    (lambda: tg.Tensor(leaf(1.0)), "detach"),
    (lambda: leaf(1.0) + tg.Tensor(np.ones(1, np.float32)), "astype"),
    (lambda: leaf(1.0, 2.0) + leaf(1.0, 2.0, 3.0), "broadcast"),
    (lambda: leaf(1.0, 2.0) @ leaf(1.0, 2.0), "matrix product"),
    (lambda: leaf(1.0, 2.0).reshape(3), "reshape"),
    (lambda: leaf(1.0, 2.0) ** leaf(1.0), "exponent"),
    (lambda: leaf(1.0, 2.0)[np.array([True, False])], "index"),
])
def test_bad_input_gets_a_sentence(wrong, word):
    with pytest.raises(tg.TinyganError, match=word):
        wrong()
