"""Optimisers against their equations, written out for one number at a time."""
import numpy as np
import pytest

import tinygan as tg


def test_adam(rng):
    x = tg.Tensor(rng.standard_normal(5), True)
    unused = tg.Tensor(np.ones(2), True)
    optimiser = tg.Adam([x, unused], lr=0.01, betas=(0.6, 0.95), eps=1e-4)
    theta, m, v = x.data.copy(), np.zeros(5), np.zeros(5)
    for t in range(1, 11):
        optimiser.zero_grad()
        (x * x * x).sum().backward()
        optimiser.step()
        for i in range(5):
            g = 3 * theta[i] ** 2
            m[i] = 0.6 * m[i] + 0.4 * g
            v[i] = 0.95 * v[i] + 0.05 * g * g
            theta[i] -= 0.01 * (m[i] / (1 - 0.6 ** t)) / (np.sqrt(v[i] / (1 - 0.95 ** t)) + 1e-4)
        np.testing.assert_allclose(x.data, theta, rtol=1e-12)
    np.testing.assert_array_equal(unused.data, 1)


def test_sgd_keeps_the_dtype():
    x = tg.Tensor(np.array([1.0, 2.0], np.float32), True)
    (x * x).sum().backward()
    tg.SGD([x], lr=0.25).step()
    np.testing.assert_array_equal(x.data, [0.5, 1.0])
    assert x.dtype == np.float32


def test_state_round_trip_and_refusal(rng):
    def fresh():
        x = tg.Tensor(np.ones(3, np.float32), True)
        return x, tg.Adam([x])
    (x, one), (y, two) = fresh(), fresh()
    for optimiser, p in ((one, x), (two, y)):
        (p * p).sum().backward()
    one.step()
    two.load_state_dict(one.state_dict())
    y.data[:] = x.data
    one.step(), two.step()
    np.testing.assert_array_equal(x.data, y.data)
    with pytest.raises(tg.TinyganError, match="does not fit"):
        two.load_state_dict({"t": np.array(1)})
    with pytest.raises(tg.TinyganError, match="no parameters"):
        tg.Adam([])


def test_sgd(rng):
    x, unused = tg.Tensor(rng.standard_normal(5), True), tg.Tensor(np.ones(2), True)
    optimiser, theta = tg.SGD([x, unused], lr=0.01), list(x.data)
    for _ in range(10):
        optimiser.zero_grad()
        (x * x * x).sum().backward()
        optimiser.step()
        theta = [t - 0.01 * 3 * t * t for t in theta]
    np.testing.assert_allclose(x.data, theta, rtol=1e-12)
    np.testing.assert_array_equal(unused.data, 1)


def test_the_first_step_of_adam_has_length_lr():
    """m̂/√v̂ = g/|g| after one step, however small the gradient: both corrections are needed for it."""
    x = tg.Tensor([1.0, -2.0], True)
    (x * x * 1e-3).sum().backward()
    tg.Adam([x], lr=0.1, betas=(0.9, 0.999)).step()
    np.testing.assert_allclose(x.data, [0.9, -1.9], rtol=1e-5)


def test_adam_keeps_the_dtype_and_follows_its_network(rng):
    layer = tg.Dense(3, 2)
    optimiser = tg.Adam(layer.parameters())
    for dtype in (np.float32, np.float64):
        layer.astype(dtype)
        layer(rng.standard_normal((4, 3)).astype(dtype)).sum().backward()
        optimiser.step()
        assert {array.dtype for array in (*layer.arrays(), *optimiser.m, *optimiser.v)} == {np.dtype(dtype)}


@pytest.mark.parametrize("make", [tg.SGD, tg.Adam])
def test_a_transposed_array_is_stepped_like_any_other(make, rng):
    start = rng.standard_normal((3, 2))
    results = []
    for order in "CF":
        x = tg.Tensor(start.copy(), True)
        optimiser = make([x], lr=0.1)
        x.data = np.array(start, order=order)
        for _ in range(3):
            optimiser.zero_grad()
            (x * x).sum().backward()
            optimiser.step()
        results.append(x.data)
    np.testing.assert_array_equal(*results)


def test_the_defaults_and_settings_make_the_same_again():
    x = tg.Tensor(np.ones(2), True)
    assert tg.Adam([x]).settings() == {"lr": 2e-4, "betas": (0.5, 0.999), "eps": 1e-8}
    for one in (tg.SGD([x], lr=0.3), tg.Adam([x], lr=0.3, betas=[0.1, 0.2], eps=0.4)):
        again = type(one)([x], **one.settings())
        assert again.settings() == one.settings() and again.lr == 0.3
    assert tg.SGD([x], 0.1).load_state_dict(tg.SGD([x], 0.1).state_dict()).lr == 0.1


def stepped(dtype=np.float32):
    x = tg.Tensor(np.ones(3, dtype), True)
    optimiser = tg.Adam([x])
    (x * x).sum().backward()
    optimiser.step()
    return x, optimiser


def test_adams_state_is_a_copy_both_ways():
    x, one = stepped()
    state = one.state_dict()
    assert sorted(state) == ["m.0", "t", "v.0"] and state["t"] == 1
    np.testing.assert_allclose(state["m.0"], 1)             # (1 − 0.5)·2
    np.testing.assert_allclose(state["v.0"], 0.004)         # (1 − 0.999)·2²
    _, two = stepped(np.float64)
    two.load_state_dict(state)
    assert two.t == 1 and two.m[0].dtype == two.v[0].dtype == np.float64      # the dtype that the parameter has here
    kept = {name: array.copy() for name, array in state.items()}
    three = tg.Adam([x]).load_state_dict(state)
    one.step(), two.step(), three.step()
    for name, array in state.items():
        np.testing.assert_array_equal(array, kept[name])


@pytest.mark.parametrize("change", [
    lambda state: state.update({"m.0": np.ones(2)}), lambda state: state.pop("v.0"), lambda state: state.pop("t"),
    lambda state: state.update({"m.1": np.ones(3)}), lambda state: state.update(t=np.ones(2))])
def test_a_state_that_does_not_fit_changes_nothing(change):
    _, one = stepped()
    before, state = one.state_dict(), {name: array + 1 for name, array in one.state_dict().items()}
    change(state)
    with pytest.raises(tg.TinyganError, match="does not fit"):
        one.load_state_dict(state)
    for name, array in one.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_each_parameter_counts_its_own_steps():
    """A parameter that comes late makes a first step of length lr, as any other did."""
    early, late = tg.Tensor([1.0], True), tg.Tensor([1.0], True)
    optimiser = tg.Adam([early, late], lr=0.1, betas=(0.9, 0.999))
    early.grad = [1.0]
    for _ in range(100):
        optimiser.step()
    late.grad = [3.0]
    optimiser.step()
    np.testing.assert_allclose(late.data, 0.9, rtol=1e-6)
    state = optimiser.state_dict()
    assert state["t"].tolist() == [101, 1] and optimiser.t == 101
    assert tg.Adam([early, late]).load_state_dict(state).state_dict()["t"].tolist() == [101, 1]
    older = {**state, "t": np.array(7)}                     # one for all
    assert tg.Adam([early, late]).load_state_dict(older).state_dict()["t"].tolist() == [7, 7]
    with pytest.raises(tg.TinyganError, match="got t -1"):
        optimiser.load_state_dict({**state, "t": np.array(-1)})


@pytest.mark.parametrize("make", [tg.SGD, tg.Adam])
@pytest.mark.parametrize("wrong", [
    lambda x: x, lambda x: [], lambda x: iter(()), lambda x: [x, 1], lambda x: [x.data], lambda x: [x * 1], lambda x: None,
    lambda x: tg.Dense(1, 1), lambda x: tg.Dense(1, 1).named_parameters(), lambda x: [[x]], lambda x: x.data])
def test_only_a_list_of_leaves_can_be_optimised(make, wrong):
    with pytest.raises(tg.TinyganError, match="network.parameters"):
        make(wrong(tg.Tensor([1.0, 2.0], True)), lr=0.1)


def test_a_parameter_named_twice_is_stepped_once():
    x = tg.Tensor([1.0], True)
    optimiser = tg.SGD([x, x], lr=0.1)
    x.grad = [1.0]
    optimiser.step()
    np.testing.assert_allclose(x.data, 0.9)


@pytest.mark.parametrize("options", [
    {"lr": -0.1}, {"lr": np.nan}, {"lr": np.inf}, {"lr": None}, {"eps": -1e-8}, {"eps": np.nan}, {"betas": (1, 0.9)},
    {"betas": (0.5, 1.0)}, {"betas": (-0.1, 0.9)}, {"betas": (0.5, np.nan)}, {"betas": 0.5}, {"betas": (0.5, 0.9, 0.9)}])
def test_numbers_that_no_step_can_be_made_with(options):
    with pytest.raises(tg.TinyganError, match=f"got {min(options)[:4]}.*expected"):
        tg.Adam([tg.Tensor([1.0], True)], **options)


@pytest.mark.parametrize("make", [tg.SGD, tg.Adam])
@pytest.mark.parametrize("given", [np.broadcast_to(np.float32(1), (2, 3)),
                                   np.frombuffer(np.ones((2, 3), np.float32).tobytes(), np.float32).reshape(2, 3)])
@pytest.mark.parametrize("later", [False, True])
def test_an_array_that_cannot_be_written_to_is_copied(make, given, later):
    x = tg.Tensor(np.zeros((2, 3), np.float32) if later else given, True)
    x.data = given if later else x.data
    x.grad = np.full((2, 3), 2, np.float32)
    make([x], lr=0.25).step()
    np.testing.assert_allclose(x.data, 0.5 if make is tg.SGD else 0.75)
    assert given[0, 0] == 1


def test_gradients_given_as_arrays():
    x = tg.Tensor(np.ones((2, 3), np.float32), True)
    x.grad = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    tg.SGD([x], lr=np.float64(0.5)).step()
    np.testing.assert_array_equal(x.data, [[1, 0.5, 0], [-0.5, -1, -1.5]])
    assert x.dtype == np.float32
