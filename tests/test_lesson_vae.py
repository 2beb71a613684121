"""The evidence lower bound: its two terms against their definitions, and all its gradients."""
import numpy as np
import pytest

import tinygan as tg
from tinygan.lessons import Lesson, vae
from tinygan.look import metrics


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


@pytest.mark.parametrize("mu, s, epsilon, z", [(3, 0, 0, 3), (3, np.log(4), 1, 5), (-1, np.log(4), -2, -5)])
def test_z_has_the_mean_and_the_deviation_that_the_encoder_says(mu, s, epsilon, z):
    """e^s is the variance: with s = log 4 a noise of 1 is 2 in z."""
    def encode(x):
        return tg.Tensor(np.repeat([[mu, s]], vae.LATENT, axis=1) * np.ones((len(x), 1)))

    decode, seen = tg.Sequential(tg.Reshape(10, 10, 1), tg.Tanh()), []
    decode.layers[0].forward = lambda z: seen.append(z.data) or z.reshape(-1, 10, 10, 1)
    x, noise = np.ones((2, 10, 10, 1)), np.full((2, vae.LATENT), float(epsilon))
    loss, divergence = vae.negative_elbo(encode, decode, tg.Tensor(x), noise)
    np.testing.assert_allclose(seen, [np.full((2, 100), float(z))])
    assert float(loss) == pytest.approx(100 * (np.log1p(np.exp(2 * z)) - 2 * z))        # every pixel is ink
    assert float(divergence) == pytest.approx(50 * (mu ** 2 + np.exp(s) - 1 - s))


def test_noise_is_standard_normal(rng):
    noise = vae.normal(rng, 500)
    assert noise.shape == (500, vae.LATENT) and noise.dtype == np.float32
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02


class Weight(tg.Module):
    """A network of one weight: G paints it everywhere, whatever z; D's logit is the mean pixel times the weight."""

    def __init__(self, weight, paints):
        self.weight, self.paints, self.seen = tg.Tensor(np.array([weight]), requires_grad=True), paints, []

    def forward(self, x):
        self.seen.append(x.data)
        assert self.training
        if self.paints:
            return self.weight.reshape(1, 1, 1, 1) * np.ones((len(x), 28, 28, 1))
        return x.mean(axis=(1, 2)) * self.weight


def game(monkeypatch, steps):
    """G paints 0.1, the images are white: (G, D) after so many steps"""
    networks = Weight(0.1, True), Weight(0.5, False)
    monkeypatch.setattr(tg.models, "small_generator", lambda latent, seed: networks[0])
    monkeypatch.setattr(tg.models, "small_discriminator", lambda seed: networks[1])
    assert vae.train_gan(np.ones((32, 28, 28, 1)), steps, np.random.default_rng(0)) is networks[0]
    return networks


def test_a_step_of_the_game(alone, monkeypatch):
    """D's weight rises, as white is real, and G's, as white is believed: a learning rate each, as Adam's first step is."""
    G, D = game(monkeypatch, 1)
    assert G.weight.data == pytest.approx(0.1 + vae.LR) and D.weight.data == pytest.approx(0.5 + vae.LR)
    assert [x.mean() for x in D.seen] == pytest.approx([1, 0.1, 0.1])
    assert not G.training
    one, other = G.seen
    assert abs(one.std() - 1) < 0.1 and abs(other.std() - 1) < 0.1 and (one != other).all()


def test_learning_rates_fall_in_the_second_half(alone, monkeypatch):
    parts, step = [], tg.Adam.step
    monkeypatch.setattr(tg.Adam, "step", lambda self, part: parts.append(part) or step(self, part))
    game(monkeypatch, 8)
    assert parts[::2] == parts[1::2] == [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]


def test_the_vae_learns_in_training_mode_with_new_noise_and_falling_learning_rates(alone, monkeypatch, rng):
    parts, seen, step = [], [], tg.Adam.step

    def spied(encode, decode, x, noise):
        assert encode.training and decode.training and x.shape == (vae.BATCH, 28, 28, 1)
        seen.append(noise)
        return encode.parameters()[0].sum(), decode.parameters()[0].sum()

    monkeypatch.setattr(vae, "negative_elbo", spied)
    monkeypatch.setattr(tg.Adam, "step", lambda self, part: parts.append(part) or step(self, part))
    networks = vae.train_vae(np.ones((32, 28, 28, 1), np.float32), 4, rng)
    assert parts == [1, 1, 1, 0.5] and not any(network.training for network in networks)
    assert all(abs(noise.std() - 1) < 0.1 for noise in seen) and (seen[0] != seen[1]).all()
    start = vae.encoder(np.random.default_rng(0)), tg.models.small_generator(vae.LATENT, 0)
    for network, before in zip(networks, start):                            # both terms were descended
        assert (network.parameters()[0].data < before.parameters()[0].data).all()


def test_what_is_reported_is_what_it_is_called(monkeypatch, tmp_path):
    """The encoder says μ = the mean pixel of the image, s = −40; the decoder paints a = the mean of z; G paints 0.25."""
    encode, decode, white = tg.Sequential(), tg.Sequential(tg.Flatten(), tg.Tanh()), np.ones((1, 28, 28, 1), np.float32)

    def code(x):
        mu = x.data.mean(axis=(1, 2, 3))
        return tg.Tensor(np.repeat(np.c_[mu, np.full_like(mu, -40)], vae.LATENT, axis=1))

    encode.forward = code
    decode.layers[0].forward = lambda z: z.mean(axis=1).reshape(-1, 1, 1, 1) * white
    noises, described, shown = [], {}, []

    def G(z):
        noises.append(z)
        return tg.Tensor(0.25 * np.repeat(white, len(z), 0))

    it = Lesson(tmp_path, tg.data.digits(), tg.data.held_out_digits(), limit=1, say=lambda text: None)
    monkeypatch.setattr(vae, "train_vae", lambda images, *rest: (encode, decode) if images is it.train[0] else None)
    monkeypatch.setattr(vae, "train_gan", lambda images, *rest: G if images is it.train[0] else None)
    monkeypatch.setattr(vae, "describe", lambda it, who, images: described.update({who: images}))
    monkeypatch.setattr(vae.plots, "rows", lambda rows, *rest: shown.extend(rows))
    vae.lesson(it)
    m = it.test[0].mean(axis=(1, 2, 3)).astype(float)
    loss = (784 * (np.log1p(np.exp(2 * m)) - m * (1 + m))).mean()
    divergence = (50 * (m ** 2 - 1 + 40)).mean()
    assert [row.value for row in it.rows] == pytest.approx([loss, divergence, loss + divergence], rel=1e-5)
    np.testing.assert_array_equal(described["real training digits"], it.train[0][:1000])
    np.testing.assert_allclose(described["VAE reconstructions of test digits"][:, 5, 5, 0], np.tanh(m), rtol=1e-4)
    noise, = noises
    assert noise.shape == (1000, vae.LATENT) and abs(noise.std() - 1) < 0.02
    np.testing.assert_allclose(described["VAE samples"][:, 5, 5, 0], np.tanh(noise.mean(axis=1)), rtol=1e-3, atol=1e-6)
    assert (described["GAN samples"] == 0.25).all()
    assert (shown[0][1] == it.test[0][:10]).all()
    assert (shown[1][1] == described["VAE reconstructions of test digits"][:10]).all()
    assert [set(np.ravel(row)) == {0.25} for _, row in shown[2:]] == 4 * [False] + 4 * [True]


def test_each_number_stands_at_its_name(monkeypatch, tmp_path):
    it, images = Lesson(tmp_path, None, None, say=lambda text: None), np.where(np.arange(28) < 14, -1.0, 1.0)
    images = (images * np.ones((2, 28, 1)))[..., None]
    given = []
    monkeypatch.setattr(metrics, "score", lambda images: given.append(images) or metrics.Score(2, 7.0, 0.9, 0.5, 1.5, ()))
    vae.describe(it, "VAE samples", images)
    assert given[0] is images
    names = ("steepness", "Fréchet", "entropy", "sure of")
    assert all(name in row.what for name, row in zip(names, it.rows))
    assert [row.value for row in it.rows] == [2, 7, 1.5, 50] and it.rows[3].form.endswith("%")
    assert "16.6" in it.rows[1].published
