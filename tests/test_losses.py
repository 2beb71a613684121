"""The game's losses: value, the gradients derived by hand, and the extremes."""
import numpy as np
import pytest

import tinygan as tg
from tinygan import losses

PAIRS = [losses.discriminator_loss, losses.least_squares_discriminator_loss, losses.hinge_discriminator_loss,
         losses.wasserstein_critic_loss]
SINGLE = [losses.generator_loss, losses.saturating_generator_loss, losses.least_squares_generator_loss,
          losses.wasserstein_generator_loss]


def sigma(a):
    return 1 / (1 + np.exp(-a))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("loss", PAIRS + SINGLE, ids=lambda f: f.__name__)
def test_derivatives(loss, order, rng):
    logits = rng.standard_normal((2, 7, 1)) * 2
    tg.check_gradients(loss, *(logits if loss in PAIRS else logits[:1]), order=order)


def test_values(rng):
    a, b = rng.standard_normal((2, 5, 1))
    A, B = tg.Tensor(a), tg.Tensor(b)
    expected = {
        losses.discriminator_loss: -np.log(sigma(a)).mean() - np.log(1 - sigma(b)).mean(),
        losses.least_squares_discriminator_loss: ((a - 1) ** 2).mean() / 2 + (b ** 2).mean() / 2,
        losses.hinge_discriminator_loss: np.maximum(0, 1 - a).mean() + np.maximum(0, 1 + b).mean(),
        losses.wasserstein_critic_loss: b.mean() - a.mean(),
    }
    for loss, value in expected.items():
        np.testing.assert_allclose(float(loss(A, B)), value, rtol=1e-12)
    np.testing.assert_allclose(float(losses.generator_loss(B)), -np.log(sigma(b)).mean())
    np.testing.assert_allclose(float(losses.generator_loss(B, saturating=True)), np.log(1 - sigma(b)).mean())
    np.testing.assert_allclose(float(losses.least_squares_generator_loss(B)), ((b - 1) ** 2).mean() / 2)
    np.testing.assert_allclose(float(losses.wasserstein_generator_loss(B)), -b.mean())


def test_gradients_are_the_published_ones(rng):
    a, b = (tg.Tensor(x, True) for x in rng.standard_normal((2, 5, 1)))
    g_real, g_fake = tg.grad(losses.discriminator_loss(a, b), [a, b])
    np.testing.assert_allclose(g_real.data, -sigma(-a.data) / 5)
    np.testing.assert_allclose(g_fake.data, sigma(b.data) / 5)
    np.testing.assert_allclose(tg.grad(losses.generator_loss(b), b)[0].data, -sigma(-b.data) / 5)
    np.testing.assert_allclose(tg.grad(losses.generator_loss(b, saturating=True), b)[0].data, -sigma(b.data) / 5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_logits_are_finite_and_silent(dtype):
    a = tg.Tensor(np.array([[-1e4], [1e4]], dtype), True)
    with np.errstate(all="raise"):
        for loss in (losses.discriminator_loss(a, a), losses.generator_loss(a),
                     losses.generator_loss(a, saturating=True)):
            g, = tg.grad(loss, a)
            assert np.isfinite(loss.data) and (abs(g.data) <= 1).all() and loss.dtype == g.dtype == dtype


def test_log_4_is_the_loss_of_one_who_guesses():
    zeros = tg.Tensor(np.zeros((3, 1)))
    np.testing.assert_allclose(float(losses.discriminator_loss(zeros, zeros)), np.log(4))


def critic(rng):
    net = tg.Sequential(tg.Conv2D(1, 3, 3, stride=2), tg.LeakyReLU(0.2), tg.Flatten(),
                        tg.Dense(12, 4), tg.Tanh(), tg.Dense(4, 1))
    return net.initialise(rng).astype(np.float64)


def test_gradient_penalty_is_the_slope_of_the_critic(rng):
    net, real, fake = critic(rng), *rng.standard_normal((2, 3, 4, 4, 1))
    value = float(losses.gradient_penalty(net, real, fake, np.random.default_rng(5)))
    u = np.random.default_rng(5).random((3, 1, 1, 1))
    x, h = u * real + (1 - u) * fake, 1e-6
    slopes = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index] = h
        slopes[index] = (net(x + step).data - net(x - step).data).sum() / (2 * h)
    norms = np.sqrt((slopes ** 2).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(value, ((norms - 1) ** 2).mean(), rtol=1e-6)


def test_gradient_penalty_is_differentiated(rng):
    net, real, fake = critic(rng), *rng.standard_normal((2, 3, 4, 4, 1))

    def f(scale):
        return scale * losses.gradient_penalty(net, real, fake, np.random.default_rng(5))

    report = tg.check_gradients(f, np.ones(1))
    assert len(report.rows) >= 6          # every weight and bias that the slope depends on is among them


def test_gradient_penalty_refuses_batch_norm_and_unequal_batches(rng):
    net = tg.Sequential(tg.Flatten(), tg.Dense(4, 3), tg.BatchNorm(3), tg.Dense(3, 1))
    images = rng.standard_normal((3, 2, 2, 1)).astype(np.float32)
    with pytest.raises(tg.TinyganError, match="batch normalisation"):
        losses.gradient_penalty(net, images, images, rng)
    with pytest.raises(tg.TinyganError, match="pair by pair"):
        losses.gradient_penalty(tg.Flatten(), images, images[:2], rng)


@pytest.mark.parametrize("order", [1, 2])
def test_cross_entropy(order, rng):
    a, labels = rng.standard_normal((5, 4)), np.array([0, 3, 1, 1, 2])
    p = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
    value = float(losses.cross_entropy(tg.Tensor(a), labels))
    np.testing.assert_allclose(value, -np.log(p[np.arange(5), labels]).mean())
    tg.check_gradients(lambda a: losses.cross_entropy(a, labels), a, order=order)


def test_unequal_batches_each_have_their_own_n(rng):
    a, b = tg.Tensor(rng.standard_normal((5, 1)), True), tg.Tensor(rng.standard_normal((3, 1)), True)
    for loss in PAIRS:
        tg.check_gradients(loss, a, b)
    g_real, g_fake = tg.grad(losses.discriminator_loss(a, b), [a, b])
    np.testing.assert_allclose(g_real.data, -sigma(-a.data) / 5)
    np.testing.assert_allclose(g_fake.data, sigma(b.data) / 3)


def test_signs_of_the_other_losses():
    """Gradient descent lifts what has a negative gradient: D its real scores, G its fake ones."""
    a, b = tg.Tensor([[0.5], [3.0]], True), tg.Tensor([[-0.5], [-3.0]], True)
    for loss, real, fake in ((losses.wasserstein_critic_loss, [-0.5, -0.5], [0.5, 0.5]),
                             (losses.hinge_discriminator_loss, [-0.5, 0], [0.5, 0]),      # beyond the margin: nothing
                             (losses.least_squares_discriminator_loss, [-0.25, 1], [-0.25, -1.5])):
        g_real, g_fake = tg.grad(loss(a, b), [a, b])
        np.testing.assert_allclose(g_real.data.ravel(), real)
        np.testing.assert_allclose(g_fake.data.ravel(), fake)
    np.testing.assert_allclose(tg.grad(losses.wasserstein_generator_loss(b), b)[0].data, -0.5)
    np.testing.assert_allclose(tg.grad(losses.least_squares_generator_loss(b), b)[0].data.ravel(), [-0.75, -2])


def test_each_name_stands_for_its_two_losses():
    assert losses.LOSSES == {
        "non_saturating": (losses.discriminator_loss, losses.generator_loss),
        "saturating": (losses.discriminator_loss, losses.saturating_generator_loss),
        "least_squares": (losses.least_squares_discriminator_loss, losses.least_squares_generator_loss),
        "hinge": (losses.hinge_discriminator_loss, losses.wasserstein_generator_loss),
        "wasserstein": (losses.wasserstein_critic_loss, losses.wasserstein_generator_loss)}


def test_the_two_generator_losses_part_where_the_discriminator_wins():
    a = tg.Tensor([[-20.0]], True)
    pull, = tg.grad(losses.generator_loss(a), a)
    none, = tg.grad(losses.saturating_generator_loss(a), a)
    np.testing.assert_allclose([pull.data[0, 0], none.data[0, 0]], [-1, -np.exp(-20.0)], rtol=1e-8)
    assert float(losses.saturating_generator_loss(a)) == float(losses.generator_loss(a, saturating=True))


@pytest.mark.parametrize("size", [50, 1e3, 1e4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", PAIRS + SINGLE, ids=lambda f: f.__name__)
def test_every_loss_is_finite_and_keeps_its_dtype(loss, dtype, size):
    a, b = tg.Tensor(np.array([[-size], [size]], dtype), True), tg.Tensor(np.array([[size], [-size]], dtype), True)
    with np.errstate(all="raise"):
        value = loss(a, b) if loss in PAIRS else loss(a)
        gradients = tg.grad(value, [a, b] if loss in PAIRS else [a])
    assert np.isfinite(value.data) and value.dtype == dtype
    assert all(np.isfinite(g.data).all() and g.dtype == dtype for g in gradients)


def test_gradient_penalty_mixes_u_of_the_real_and_the_rest_of_the_fake():
    """D(x) = x²/2 has slope x, so the penalty is E (|x̂| − 1)²."""
    real, fake, rng = np.full((4, 1), 2.0), np.full((4, 1), 3.0), np.random.default_rng(7)
    u = np.random.default_rng(7).random((4, 1))
    value = losses.gradient_penalty(lambda x: x * x * 0.5, real, fake, rng)
    np.testing.assert_allclose(float(value), ((2 * u + 3 * (1 - u) - 1) ** 2).mean())
    assert float(losses.gradient_penalty(lambda x: x * x * 0.5, tg.Tensor(real), tg.Tensor(real), rng)) == 1


def test_gradient_penalty_stays_in_float32(rng):
    D = tg.Sequential(tg.Conv2D(1, 2, 3), tg.LeakyReLU(0.2), tg.Flatten(), tg.Dense(32, 1))
    penalty = losses.gradient_penalty(D, *rng.standard_normal((2, 3, 4, 4, 1)).astype(np.float32), rng)
    penalty.backward()
    assert {penalty.dtype} | {p.grad.dtype for p in D.parameters() if p.grad is not None} == {np.dtype(np.float32)}


def test_gradient_penalty_allows_batch_norm_in_evaluation_mode(rng):
    D = tg.Sequential(tg.Dense(4, 3), tg.BatchNorm(3), tg.Tanh(), tg.Dense(3, 1)).astype(np.float64).eval()
    real, fake = rng.standard_normal((2, 5, 4))

    def f(scale):
        return scale * losses.gradient_penalty(D, real, fake, np.random.default_rng(5))

    tg.check_gradients(f, np.ones(1))


def test_softmax_and_cross_entropy_at_extremes(rng):
    a = tg.Tensor([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4]], True)
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(losses.softmax(a).data, [[1, 0, 0], [1 / 3] * 3])
        loss = losses.cross_entropy(a, [0, 1])
        g, = tg.grad(loss, a)
    np.testing.assert_allclose(float(loss), np.log(3) / 2)
    np.testing.assert_allclose(g.data, [[0, 0, 0], [1 / 6, -1 / 3, 1 / 6]], atol=1e-12)
    tg.check_gradients(losses.softmax, rng.standard_normal((4, 3)), order=2)
    assert losses.cross_entropy(tg.Tensor(a.data.astype(np.float32)), [0, 1]).dtype == np.float32


# Penalties are gradients: they are computed where nothing else is recorded

@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_penalties_under_no_grad(frozen, training, rng):
    D = tg.Sequential(tg.Dense(3, 1)).astype(np.float64).train(training)
    D.layers[0].weight.requires_grad = D.layers[0].bias.requires_grad = not frozen
    square = (D.layers[0].weight.data ** 2).sum()                       # D(x) = x W + b has the slope W everywhere
    x = rng.standard_normal((2, 5, 3))
    with tg.no_grad():
        r1, penalty = losses.r1_penalty(D, x[0]), losses.gradient_penalty(D, *x, rng)
    np.testing.assert_allclose([float(r1), float(penalty)], [square, (np.sqrt(square) - 1) ** 2])
    assert not r1.requires_grad and not penalty.requires_grad


@pytest.mark.parametrize("kind", [float, np.float32, np.float64, np.array])
def test_smoothing_takes_the_logits_dtype(kind):
    a = tg.Tensor(np.array([[0.5], [-1.0]], np.float32), True)
    loss = losses.smoothed_discriminator_loss(a, a, kind(0.25))
    np.testing.assert_allclose(float(loss), float(losses.smoothed_discriminator_loss(a, a, 0.25)), rtol=1e-6)
    loss.backward()
    assert loss.dtype == a.grad.dtype == np.float32


EMPTY = tg.Tensor(np.zeros((0, 1)))


@pytest.mark.parametrize("loss", [
    *(lambda loss=loss: loss(EMPTY, EMPTY) for loss in PAIRS), *(lambda loss=loss: loss(EMPTY) for loss in SINGLE),
    lambda: losses.smoothed_discriminator_loss(EMPTY, EMPTY, 0.1), lambda: losses.cross_entropy(EMPTY, np.zeros(0, int)),
    lambda: losses.r1_penalty(tg.Dense(1, 1), EMPTY),
    lambda: losses.gradient_penalty(tg.Dense(1, 1), EMPTY, EMPTY, np.random.default_rng(0))])
def test_a_mean_over_nothing_has_no_value(loss):
    with pytest.raises(tg.TinyganError, match="at least one number"):
        loss()


def test_log_sum_exp_at_extremes():
    a = tg.Tensor([[1e4, 1e4], [-1e4, -1e4], [1e4, -1e4]], True)
    with np.errstate(all="raise", under="ignore"):
        y = losses.log_sum_exp(a)
        g, = tg.grad(y.sum(), a)
    np.testing.assert_allclose(y.data[:, 0], [1e4 + np.log(2), np.log(2) - 1e4, 1e4], rtol=1e-15)
    np.testing.assert_array_equal(g.data, [[0.5, 0.5], [0.5, 0.5], [1, 0]])


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0], [0.0, 1.0], [[0, 1]]])
def test_a_label_is_a_class(labels):
    with pytest.raises(tg.TinyganError, match="integers from 0 to 2"):
        losses.cross_entropy(tg.Tensor(np.zeros((2, 3))), np.array(labels))
