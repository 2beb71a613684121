"""Mistakes that tinygan once made, each with the test that now forbids it."""
import numpy as np
import pytest

import tinygan as tg
from tinygan import ops


@pytest.mark.parametrize("order", [1, 2])
def test_transpose_with_axes_from_the_end(order, rng=np.random.default_rng(0)):
    tg.check_gradients(lambda x: x.transpose(-1, 0, 1) ** 2, rng.standard_normal((3, 3, 3)), order=order)


def test_a_forgotten_parameter_fails():
    class Forgetful(tg.Dense):
        def forward(self, x):
            return x @ self.weight + self.bias.detach()
    with pytest.raises(tg.GradientError, match="bias"):
        tg.check_gradients(Forgetful(3, 2), np.random.default_rng(0).standard_normal((4, 3)))


@pytest.mark.parametrize("make", [tg.SGD, tg.Adam])
def test_a_parameter_that_is_one_number_stays_one(make):
    x = tg.Tensor(3.0, requires_grad=True)
    (x * x).backward()
    make([x], lr=0.1).step()
    assert x.shape == ()


def test_adam_made_for_a_transposed_array():
    results = []
    for order in "CF":
        x = tg.Tensor(np.array(np.arange(1.0, 7).reshape(2, 3), order=order), True)
        optimiser = tg.Adam([x], lr=0.1)
        for _ in range(3):
            optimiser.zero_grad()
            (x ** 3).sum().backward()
            optimiser.step()
        results.append(x.data)
    np.testing.assert_array_equal(*results)


def test_backward_takes_one_tensor_as_grad_does():
    x = tg.Tensor([1.0, 2.0], True)
    (x * x).sum().backward(inputs=x)
    np.testing.assert_array_equal(x.grad.data, [2, 4])


@pytest.mark.parametrize("dtypes", [(np.float32, np.float64), (np.float64, np.float32)])
def test_batch_norm_refuses_a_mixture(dtypes):
    with pytest.raises(tg.TinyganError, match="astype"):
        tg.BatchNorm(3).astype(dtypes[0])(np.arange(12.0).reshape(4, 3).astype(dtypes[1]))


def test_concatenate_refuses_a_mixture():
    with pytest.raises(tg.TinyganError, match="astype"):
        ops.concatenate([tg.Tensor(np.ones(2, np.float32)), tg.Tensor(np.ones(2))])


def test_a_cotangent_of_another_dtype():
    x = tg.Tensor(np.ones(2, np.float32), True)
    with pytest.raises(tg.TinyganError, match="astype"):
        tg.grad(-x, x, tg.Tensor(np.ones(2)))


def test_a_window_that_lies_wholly_in_the_padding():
    np.testing.assert_array_equal(tg.Conv2D(1, 1, 1, stride=8, padding=2)(np.ones((1, 3, 3, 1), np.float32)).data, 0)


@pytest.mark.parametrize("x", [3, (1.0, 2.0), np.float64(2)])
def test_checking_at_numbers_and_tuples(x):
    tg.check_gradients(lambda x: x * x, x)


def test_a_check_leaves_the_parameters_of_a_function_alone():
    w = tg.Tensor(np.zeros(2), True)
    tg.check_gradients(lambda x: ops.leaky_relu(w, 0.2) * x, np.ones(2))
    np.testing.assert_array_equal(w.data, 0)


def test_gradient_penalty_of_a_flat_critic():
    D = tg.Dense(2, 1).initialise(np.random.default_rng(0), std=0)
    real, fake = np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)
    penalty = tg.losses.gradient_penalty(D, real, fake, np.random.default_rng(0))
    penalty.backward()
    assert np.isfinite(D.weight.grad.data).all()


@pytest.mark.parametrize("labels", [[-1, 0], [1], [5, 0]])
def test_labels_that_do_not_fit(labels):
    with pytest.raises(tg.TinyganError):
        tg.losses.cross_entropy(tg.Tensor(np.zeros((2, 3))), np.array(labels))


@pytest.mark.parametrize("text", [
    "Sequential(1)",
    "Conv2D(1, 1, 3, stride=1e400)",
    "BatchNorm(3, eps='x')",
    "Reshape('a')",
])
def test_a_damaged_description(text):
    from tinygan.checkpoint.networks import build
    with pytest.raises(tg.TinyganError):
        build(text)


def test_a_loss_of_plain_arrays():
    with pytest.raises(tg.TinyganError, match="tg.Tensor"):
        tg.losses.generator_loss(np.zeros((2, 1)))


def test_a_recorded_derivative_that_differs_from_the_fast_one_fails():
    def two_faced(x):
        return tg.tensor.record(2 * x.data, (x, lambda g, y: g * 3), joint=lambda g, y, wanted: (2 * g,))
    with pytest.raises(tg.GradientError):
        tg.check_gradients(two_faced, np.ones(3))
