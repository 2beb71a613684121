"""The evidence lower bound: its two terms against their definitions, and all its gradients."""
import numpy as np
import pytest

import tinygan as tg
from tinygan.lessons import vae


def test_kl_is_the_integral_it_stands_for(rng):
    """KL(q ‖ p) = ∫ q log(q/p) dz, one dimension at a time, by the midpoint rule"""
    mu, s = rng.normal(0, 1.5, (3, 4)), rng.normal(0, 1, (3, 4))
    z = np.arange(-40, 40, 0.01)
    log_q = -0.5 * ((z - mu[..., None]) ** 2 / np.exp(s[..., None]) + s[..., None])       # both without ½ log 2π
    integral = (np.exp(log_q) / np.sqrt(2 * np.pi) * (log_q + z ** 2 / 2)).sum() * 0.01
    assert float(vae.kl(tg.Tensor(mu), tg.Tensor(s))) == pytest.approx(integral / 3, rel=1e-9)


@pytest.mark.parametrize("order", [1, 2])
def test_gradient_of_the_kl(order, rng):
    mu, s = rng.standard_normal((2, 3, 4))
    tg.check_gradients(vae.kl, mu, s, order=order)
    mu, s = tg.Tensor(mu, requires_grad=True), tg.Tensor(s, requires_grad=True)
    by_mu, by_s = tg.grad(vae.kl(mu, s), (mu, s))
    np.testing.assert_allclose(by_mu.data, mu.data / 3)
    np.testing.assert_allclose(by_s.data, (np.exp(s.data) - 1) / 6)


def test_kl_of_the_prior_is_zero():
    assert float(vae.kl(tg.Tensor(np.zeros((2, 5))), tg.Tensor(np.zeros((2, 5))))) == 0


def test_reconstruction_loss_is_bernoullis(rng):
    """With the decoder's image tanh a the mean is (1 + tanh a)/2 = σ(2a), and the loss is −log of its likelihood."""
    a, x = rng.normal(0, 2, (3, 4, 5, 1)), rng.uniform(-1, 1, (3, 4, 5, 1))
    p, t = (1 + np.tanh(a)) / 2, (1 + x) / 2
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum() / 3
    assert float(vae.reconstruction_loss(tg.Tensor(a), tg.Tensor(x))) == pytest.approx(expected, rel=1e-12)
    tg.check_gradients(lambda a: vae.reconstruction_loss(a, tg.Tensor(x)), a)
    best = tg.Tensor(np.arctanh(x), requires_grad=True)                     # the decoder's image is x: nothing to gain
    assert np.abs(tg.grad(vae.reconstruction_loss(best, tg.Tensor(x)), best)[0].data).max() < 1e-12


def test_gradient_of_the_whole_bound(rng):
    """Through the sampled z to every weight of a smooth encoder and decoder, the decoder's tanh left out."""
    encode = tg.Sequential(tg.Flatten(), tg.Dense(16, 2 * vae.LATENT)).initialise(rng).astype(np.float64)
    decode = tg.Sequential(tg.Dense(vae.LATENT, 16), tg.Reshape(4, 4, 1), tg.Tanh()).initialise(rng).astype(np.float64)
    x, noise = rng.uniform(-1, 1, (3, 4, 4, 1)), rng.standard_normal((3, vae.LATENT))
    report = tg.check_gradients(lambda x: sum(vae.negative_elbo(encode, decode, x, noise)), x)
    assert len(report.rows) == 1 + 2 + 2


def test_networks_of_the_lesson_fit(rng):
    x = rng.uniform(-1, 1, (3, 28, 28, 1)).astype(np.float32)
    encode, decode = vae.train_vae(x, 1, rng)
    assert encode(x).shape == (3, 2 * vae.LATENT) and decode(vae.normal(rng, 3)).shape == x.shape
    assert decode(vae.normal(rng, 3)).dtype == np.float32


def test_steepness_asks_how_edges_are_not_how_many(rng):
    hard = np.where(np.arange(28) < 14, -1.0, 1.0) * np.ones((2, 28, 1))
    soft = np.linspace(-1, 1, 28) * np.ones((2, 28, 1))
    assert vae.steepness(hard[..., None]) == 2
    assert vae.steepness(np.where(np.arange(28) % 7 < 3, -1.0, 1.0)[:, None, None] * np.ones((1, 1, 28, 1))) == 2
    assert vae.steepness(soft[..., None]) == pytest.approx(2 / 27)


def test_the_bound_rises(rng):
    """Some steps lower the loss of reconstruction, and what they raise of the KL is less."""
    x = tg.data.digits()[0][:32]

    def loss(steps):
        networks = vae.train_vae(x, steps, np.random.default_rng(0))
        return [float(part) for part in vae.negative_elbo(*networks, tg.Tensor(x), vae.normal(rng, 32))]

    before, after = loss(1), loss(30)
    assert after[0] < before[0] - 100 and sum(after) < sum(before) - 100


def test_the_game_goes_the_right_way(rng):
    """Of white images: G paints white."""
    G = vae.train_gan(np.ones((32, 28, 28, 1), np.float32), 40, rng)
    assert G(vae.normal(rng, 5)).data.mean() > 0.5
