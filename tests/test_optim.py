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
