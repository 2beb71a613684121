"""The tester is tested: what is wrong must fail, and say so."""
import numpy as np
import pytest

import tinygan as tg
from tinygan import ops
from tinygan.tensor import record

WRONG = {
    "0.1 % too large": lambda x: record(np.exp(x.data), (x, lambda g, y: g * y * 1.001)),
    "sign": lambda x: record(np.exp(x.data), (x, lambda g, y: -g * y)),
    "zero": lambda x: record(np.exp(x.data), (x, lambda g, y: g * 0)),
    "half of it missing": lambda x: x * x.detach(),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_gradient_fails(name, rng):
    with pytest.raises(tg.GradientError):
        tg.check_gradients(WRONG[name], rng.standard_normal((3, 2)))


def test_a_wrong_second_derivative_fails(rng):
    def f(x):           # the first derivative is right, but 0.1 % of it is a constant to the second
        return record(x.data ** 3, (x, lambda g, y: g * 3 * (0.999 * x * x + 0.001 * (x * x).detach())))
    x = rng.standard_normal((3, 2))
    tg.check_gradients(f, x)
    with pytest.raises(tg.GradientError):
        tg.check_gradients(f, x, order=2)


def test_batch_norm_without_its_variance_term_fails(rng):
    def f(x):
        y = tg.BatchNorm(2).astype(np.float64)(x.detach())
        r = 1 / x.data.std(axis=0)
        return record(y.data, (x, lambda g, y: (g - g.mean(axis=0)) * r))
    with pytest.raises(tg.GradientError):
        tg.check_gradients(f, rng.standard_normal((5, 2)))


def test_the_error_says_all(rng):
    def doubtful(x):
        return record(x.data * 2, (x, lambda g, y: g * 3))
    with pytest.raises(tg.GradientError) as error:
        tg.check_gradients(doubtful, rng.standard_normal((3, 2)), seed=7)
    for word in ("doubtful", "(3, 2)", "seed 7", "analytic", "numeric"):
        assert word in str(error.value)


@pytest.mark.parametrize("f", [lambda x: ops.leaky_relu(x, 0.2), abs])
@pytest.mark.parametrize("x", [0.0, 1e-5, -3e-7])
def test_kinks_are_avoided_and_said(f, x):
    report = tg.check_gradients(f, np.array([x, 1.0]))
    assert "kink" in str(report)


def test_a_network_is_left_as_it_is(rng):
    net = tg.Sequential(tg.Dense(3, 4), tg.BatchNorm(4), tg.Dense(4, 1))
    before = net.state_dict()
    report = tg.check_gradients(net, rng.standard_normal((5, 3)))
    assert [row.name for row in report.rows][0] == "input 0" and len(report.rows) == 7 and report.max_error < 1e-6
    assert net.parameters()[0].dtype == np.float32
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_function_finds_the_parameters_it_uses(rng):
    net = tg.Dense(3, 2).astype(np.float64)
    assert len(tg.check_gradients(lambda x: net(x) * 2, rng.standard_normal((5, 3))).rows) == 3
    with pytest.raises(tg.TinyganError, match="order"):
        tg.check_gradients(net, np.ones((2, 3)), order=3)
