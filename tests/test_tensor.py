"""The engine: order, accumulation, memory, and derivatives of derivatives."""
import gc
import threading
import weakref

import numpy as np
import pytest

import tinygan as tg
from tinygan import ops
from tinygan.tensor import record, recording, topological_order


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
    (lambda: leaf(1.0, 2.0).backward(np.ones((2, 1))), "cotangent"),
    (lambda: tg.Tensor(np.array(["a"])), "float32 or float64"),
    (lambda: tg.Tensor(np.ones(2, np.float16)), "got float16"),
    (lambda: tg.Tensor(1j), "got complex128"),
    (lambda: leaf(1.0).detach().backward(), "detached"),
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


def test_no_grad_inside_no_grad():
    with tg.no_grad():
        with tg.no_grad():
            pass
        assert not recording()
    assert recording()


@pytest.mark.parametrize("data, dtype", [
    ([1, 2], np.float64), (3, np.float64), (True, np.float64), (np.arange(3, dtype=np.int32), np.float64),
    (np.ones(2, np.uint8), np.float64), (np.float32(1), np.float32), (np.ones((), np.float32), np.float32)])
def test_which_dtype_a_tensor_gets(data, dtype):
    assert tg.Tensor(data).dtype == dtype and isinstance(tg.Tensor(data).data, np.ndarray)


def test_a_tensor_is_an_array_to_numpy():
    x = tg.Tensor([1.5, 2.5])
    assert np.asarray(x).dtype == np.float64 and np.asarray(x, np.float32).dtype == np.float32 and len(x) == 2


def test_a_constant_asks_for_nothing_and_gets_nothing():
    x, c = leaf(2.0), tg.Tensor([3.0])
    assert not (c * c + 1).requires_grad and not (c * c).edges
    (x * c).backward()
    assert x.grad.data == 3 and c.grad is None


def test_backward_takes_a_cotangent():
    x = leaf(1.0, 2.0, 3.0)
    (x * x).backward([10.0, 1.0, 0.1])
    np.testing.assert_allclose(x.grad.data, [20, 4, 0.6])


def test_a_gradient_once_handed_out_stays_as_it_is():
    x = leaf(3.0)
    (x * x).backward()
    held = x.grad
    (x * x).backward()
    assert held.data == 6 and x.grad.data == 12


def test_shares_are_added_in_new_arrays():
    """u's array is the first share of a and of b; what b receives besides must not reach a."""
    a, b = leaf(1.0), leaf(1.0)
    u = np.array([1.0])
    ga, gb = tg.grad((a + b) + b * 5, [a, b], u)
    assert ga.data == 1 and gb.data == 6 and u == 1


def test_gradients_leave_no_edges_unless_asked_to():
    x = leaf(3.0)
    assert not tg.grad(x ** 2, x)[0].requires_grad
    assert tg.grad(x ** 2, x, create_graph=True)[0].requires_grad
    with tg.no_grad():
        assert not (x ** 2).requires_grad
    y = x ** 2
    with tg.no_grad():                                       # asked for in so many words, it is recorded all the same
        assert tg.grad(y, x, create_graph=True)[0].requires_grad


def test_closed_forms_of_higher_derivatives():
    x = leaf(0.3, -0.7)
    t = np.tanh(x.data)
    forms = {ops.tanh: [1 - t ** 2, -2 * t * (1 - t ** 2), (1 - t ** 2) * (6 * t ** 2 - 2)],
             ops.exp: [np.exp(x.data)] * 3,
             lambda x: 1 / x: [-1 / x.data ** 2, 2 / x.data ** 3, -6 / x.data ** 4]}
    for f, derivatives in forms.items():
        y = f(x)
        for expected in derivatives:
            y, = tg.grad(y.sum(), x, create_graph=True)
            np.testing.assert_allclose(y.data, expected, rtol=1e-12)


def test_one_tensor_used_five_thousand_times():
    x = leaf(2.0)
    total = x * 0
    for k in range(5000):
        total = total + x * k
    assert tg.grad(total, x)[0].data == sum(range(5000))


def product(log):
    """a·b with a joint kernel, both forms noting in `log` what they were asked for."""
    def one_by_one(name, other):
        def vjp(g, y):
            log.append(name)
            return g * other
        return vjp

    def joint(g, y, wanted):
        log.append(wanted)
        return [g * b.data if wanted[0] else None, g * a.data if wanted[1] else None]

    a, b = leaf(2.0), leaf(3.0)
    return a, b, record(a.data * b.data, (a, one_by_one("a", b)), (b, one_by_one("b", a)), joint=joint)


@pytest.mark.parametrize("create_graph, expected", [(False, [[True, False]]), (True, ["a"])])
def test_only_what_is_asked_for_is_computed(create_graph, expected):
    """The joint kernel where nothing is recorded, the composed derivative where it is, no share that leads nowhere."""
    log = []
    a, b, y = product(log)
    assert tg.grad(y * y, a, create_graph=create_graph)[0].data == 2 * 6 * 3 and log == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_cotangent_takes_the_outputs_dtype(dtype):
    x = tg.Tensor(np.ones(2, dtype), True)
    unrelated = tg.Tensor(x.data)
    for g, in (tg.grad(-x, x, [1.0, 2.0]), tg.grad(-x, x, np.ones(2)),
               tg.grad(-x.sum(), x), tg.grad(x.sum(), unrelated)):
        assert g.dtype == dtype


def test_the_graph_of_a_whole_game_is_freed_without_the_garbage_collector(rng):
    G = tg.Sequential(tg.Dense(2, 8), tg.BatchNorm(8), tg.Reshape(2, 2, 2), tg.Conv2DTranspose(2, 1, 3), tg.Tanh())
    D = tg.Sequential(tg.Conv2D(1, 2, 3), tg.LeakyReLU(), tg.Sigmoid(), tg.Flatten(), tg.Dense(8, 1))
    gc.collect()
    gc.disable()
    try:
        fakes = G(rng.standard_normal((3, 2)).astype(np.float32))
        loss = tg.losses.discriminator_loss(D(fakes), D(-fakes / 2)) + tg.losses.gradient_penalty(D, fakes, -fakes, rng)
        inner = [weakref.ref(t) for t in topological_order(loss) if t.edges]
        loss.backward()
        del fakes, loss
        assert not any(t() for t in inner)
    finally:
        gc.enable()


# A stale graph

def stepped(p):
    tg.SGD([p], lr=0.1).step()


def replaced(p):
    p.data = p.data + 1


def by_hand(p):
    p.data -= 0.1 * p.grad


def loaded(p):
    layer = tg.Dense(2, 2, bias=False)
    layer.weight = p
    layer.load_state_dict({"weight": np.ones((2, 2))})
    p.grad = np.ones((2, 2))


@pytest.mark.parametrize("change", [stepped, replaced, by_hand, loaded])
def test_a_graph_that_saw_other_values_is_refused(change):
    p = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], True)
    y = (p * p).sum()
    slope, = tg.grad((p ** 3).sum(), p, create_graph=True)
    y.backward()
    change(p)
    for stale in (y, y * 2, slope.sum()):
        with pytest.raises(tg.TinyganError, match="forward pass again"):
            stale.backward()
    p.grad = None
    (p * p).sum().backward()                                # a new forward pass is as good as ever
    np.testing.assert_array_equal(p.grad.data, 2 * p.data)


def test_a_constants_new_values_make_a_graph_stale_too():
    x, w = tg.Tensor([2.0]), leaf(3.0)
    y = x * w
    x.data = [5.0]
    with pytest.raises(tg.TinyganError, match="forward pass again"):
        y.backward()


def test_a_step_of_another_network_is_no_matter():
    p, q = leaf(2.0), leaf(3.0)
    y, other = p * p, q * q
    other.backward()
    stepped(q)
    y.backward()
    assert p.grad.data == 4


def test_a_computed_tensor_keeps_its_values():
    with pytest.raises(tg.TinyganError, match="detach"):
        (leaf(1.0) * 2).data = np.ones(1)


# What is not tracked

@pytest.mark.parametrize("f", [lambda x, w: x * x * w, lambda x, w: x * w * x, lambda x, w: x * w, lambda x, w: w * (x + 1)])
def test_a_gradient_that_was_not_recorded_is_not_zero_but_refused(f):
    x, w = tg.Tensor([2.0]), leaf(3.0)
    for ask in (lambda: tg.grad(f(x, w), x), lambda: tg.grad(f(x, w), [w, x]), lambda: f(x, w).backward(inputs=[x])):
        with pytest.raises(tg.TinyganError, match="requires_grad"):
            ask()
    with tg.no_grad():
        h = leaf(2.0) * 3
    with pytest.raises(tg.TinyganError, match="requires_grad"):
        tg.grad(f(h, w), h)


@pytest.mark.parametrize("ask", [
    np.exp, np.sum, np.mean, np.asarray, np.linalg.norm, np.array, lambda x: np.maximum(np.ones(2), x),
    lambda x: np.ones(2).dot(x), lambda x: np.add.reduce(x), lambda x: np.stack([x, x]), lambda x: np.array([x, x]),
    lambda x: np.where(True, x, 0), lambda x: np.clip(x, a_min=0, a_max=x), lambda x: np.einsum("i,i->", x, np.ones(2))])
def test_numpy_takes_no_tensor_whose_gradient_it_would_lose(ask):
    x = leaf(1.0, 2.0)
    for tracked in (x, x * 2):
        with pytest.raises(tg.TinyganError, match="detach"):
            ask(tracked)
    np.testing.assert_array_equal(np.asarray(ask(x.detach())), ask(x.data))
    np.testing.assert_array_equal(tg.to_numpy(x), [1, 2])


# What is given to a Tensor

@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3).T, np.asfortranarray(np.ones((3, 2))), np.ones((6, 2))[::2]])
def test_leaves_lie_row_after_row(array):
    given = tg.Tensor(array, True)
    assigned = tg.Tensor(np.zeros((3, 2)), True)
    assigned.data = array
    for x in (given, assigned):
        assert x.data.flags.c_contiguous
        np.testing.assert_array_equal(x.data, array)


def test_data_takes_a_tensor_that_forgets_nothing():
    p = leaf(1.0, 2.0)
    p.data = p.data - 0.5 * p.detach()
    assert isinstance(p.data, np.ndarray) and p.data.tolist() == [0.5, 1.0]
    for wrong, word in ((p * 1, "detach"), (None, "float32 or float64"), (np.ones(2, np.float16), "float16")):
        with pytest.raises(tg.TinyganError, match=word):
            p.data = wrong
    assert p.data.tolist() == [0.5, 1.0]


def test_grad_takes_an_array():
    p = tg.Tensor(np.ones(2, np.float32), True)
    p.grad = np.clip(tg.Tensor([-3.0, 0.5]), -1, 1)
    assert isinstance(p.grad, tg.Tensor) and p.grad.dtype == np.float32 and p.grad.data.tolist() == [-1, 0.5]
    with pytest.raises(tg.TinyganError, match="shape .3,."):
        p.grad = np.ones(3)


@pytest.mark.parametrize("cotangent", [np.ones(2), np.ones(4)[::2], np.broadcast_to(np.ones(()), 2), tg.Tensor(np.ones(2))])
def test_a_gradient_is_nobody_elses_array(cotangent):
    x = leaf(1.0, 2.0)
    x.backward(cotangent)
    x.grad.data[...] = 7
    np.testing.assert_array_equal(tg.to_numpy(cotangent), 1)
    y = leaf(1.0, 2.0)
    y.sum().backward()
    y.grad.data += 1                                        # the adjoint of a sum is a view that cannot be written to
    assert y.grad.data.tolist() == [2, 2]


# A Tensor among Python's numbers

def test_one_element_is_a_number():
    for x in (tg.Tensor(2.5), tg.Tensor([[2.5]], True), tg.Tensor(np.full(1, 2.5, np.float32))):
        assert x.item() == float(x) == 2.5 and type(x.item()) is float and int(x) == 2 and bool(x) and not bool(x * 0)
        assert f"{x:.2f}" == "2.50" and f"{x}" == str(x)
        assert x < 3 and x <= 2.5 and x > 2 and x >= 2.5 and x == 2.5 and x != 3 and not x < 2 and 3 > x
        assert (+x) is x
    for ask in (tg.Tensor.item, float, int, bool, lambda x: f"{x:.1f}"):
        for several in (leaf(1.0, 2.0), tg.Tensor([])):
            with pytest.raises(tg.TinyganError, match="single number"):
                ask(several)


def test_comparisons_are_plain_arrays():
    x = leaf(1.0, 2.0)
    for result in (x < 2, 2 > x, x != tg.Tensor([2.0, 2.0]), np.full(2, 2.0) > x):
        assert type(result) is np.ndarray and result.tolist() == [True, False]
    assert len({x, leaf(1.0, 2.0)}) == 2 and x in {x: 0}            # they are still told apart by identity in sets
