"""The same decoder, trained by a discriminator or by a likelihood: what do the samples show?

A variational autoencoder trains its decoder without an adversary. An encoder makes of each image a Gaussian
q(z|x) = N(μ(x), diag e^s(x)), and encoder and decoder together descend the negative evidence lower bound

    −ELBO(x) = E_q(z|x) [−log p(x|z)] + KL(q(z|x) ‖ N(0, I))  ≥  −log p(x)
    KL = ½ Σ_k (μ_k² + e^s_k − 1 − s_k)        ∂KL/∂μ_k = μ_k        ∂KL/∂s_k = ½ (e^s_k − 1)
    z = μ + e^(s/2)·ε,  ε ~ N(0, I)            so that the gradient passes through z to μ and s

Source: Kingma & Welling, "Auto-Encoding Variational Bayes" (2014), sections 2.2–2.4 and appendix B.

The decoder is the default generator, layer by layer. It ends in tanh a, and as (1 + tanh a)/2 = σ(2a), its image is the
mean of a Bernoulli variable with logit 2a at each pixel; with the target t = (1 + x)/2, a grey value,

    −log p(x|z) = Σ_pixels softplus(2a) − 2a·t

What to expect: where z leaves open how a stroke runs, the best mean under the likelihood is the average of the possible
images, which is grey; D would see that no digit is grey there. So the VAE's strokes have soft edges, the GAN's hard
ones. In return the VAE has an encoder, its loss falls and means something, and no class can be left out, since every
training image must be reconstructed; a GAN may drop what it cannot draw. Nor are all samples of a VAE good: the decoder has
learned on z from q(z|x), and N(0, I) also gives z in between.
"""
import numpy as np

import tinygan as tg
from tinygan.look import metrics, plots

from . import descend, rounds, share, together

LATENT, WIDTH, BATCH, LR = 100, 32, 32, 1e-3
JUDGED_SAMPLES = 1000           # of each


def encoder(rng, latent=LATENT):
    """images (N, 28, 28, 1) → μ and s, side by side, (N, 2·latent): the default D with another last layer"""
    w = WIDTH
    return tg.Sequential(
        tg.Conv2D(1, w, 4, stride=2), tg.LeakyReLU(0.2),                                                    # 14×14×32
        tg.Conv2D(w, 2 * w, 4, stride=2), tg.LeakyReLU(0.2),                                                # 7×7×64
        tg.Conv2D(2 * w, 4 * w, 3, stride=2, padding=1), tg.LeakyReLU(0.2),                                 # 4×4×128
        tg.Flatten(), tg.Dense(4 * 4 * 4 * w, 2 * latent),
    ).initialise(rng)


def kl(mu, s):
    """KL(N(μ, e^s) ‖ N(0, I)) in closed form, the mean over the images, in nats; μ, s (N, latent)"""
    return 0.5 * tg.ops.sum(mu ** 2 + tg.ops.exp(s) - 1 - s) / len(mu)


def reconstruction_loss(a, x):
    """E −log p(x|z) in nats: Bernoulli with logit 2a; a, x (N, 28, 28, 1), x in [−1, 1]"""
    return tg.ops.sum(tg.ops.softplus(2 * a) - a * (1 + x)) / len(x)


def negative_elbo(encode, decode, x, noise):
    """(reconstruction loss, KL) for one z of each image; noise: ε (N, latent)"""
    code = encode(x)
    mu, s = code[:, :LATENT], code[:, LATENT:]
    a = tg.Sequential(*decode.layers[:-1])(mu + tg.ops.exp(s / 2) * noise)         # without its tanh
    return reconstruction_loss(a, x), kl(mu, s)


@together(BATCH)
def train_vae(images, steps, rng, seed=0):
    """Returns encoder and decoder."""
    encode, decode = encoder(rng), tg.models.small_generator(LATENT, seed)
    adam = tg.Adam(encode.parameters() + decode.parameters(), LR, betas=(0.9, 0.999))
    for step in rounds(steps):
        fraction = min(1, 2 - 2 * step / steps)                         # the learning rate falls to 0 in the second half
        x, noise = share(images[rng.integers(0, len(images), BATCH)], normal(rng, BATCH))
        loss, divergence = negative_elbo(encode, decode, tg.Tensor(x), noise)
        descend(adam, loss + divergence, fraction)
    return encode.eval(), decode.eval()


@together(BATCH)
def train_gan(images, steps, rng, seed=0):
    """Returns G, which starts from the same weights as the decoder above."""
    G, D = tg.models.small_generator(LATENT, seed), tg.models.small_discriminator(seed)
    g_adam, d_adam = tg.Adam(G.parameters(), LR), tg.Adam(D.parameters(), LR)
    for step in rounds(steps):
        fraction = min(1, 2 - 2 * step / steps)
        x, z, z_of_g = share(images[rng.integers(0, len(images), BATCH)], normal(rng, BATCH), normal(rng, BATCH))
        descend(d_adam, tg.losses.discriminator_loss(D(x), D(G(z).detach())), fraction)
        descend(g_adam, tg.losses.generator_loss(D(G(z_of_g))), fraction)
    return G.eval()


def normal(rng, n):
    """N(0, I), (n, latent)"""
    return rng.standard_normal((n, LATENT)).astype(np.float32)


def steepness(images):
    """Σ|∇x|²/Σ|∇x| over pairs of neighbouring pixels: how far the grey value jumps where it changes, 2 at most.

    It asks of the edges alone, not how many there are."""
    jumps = np.concatenate([np.abs(np.diff(images, axis=axis)).ravel() for axis in (1, 2)]).astype(np.float64)
    return (jumps ** 2).sum() / jumps.sum()


PUBLISHED = {"VAE samples": "16.6 ± 0.4", "GAN samples": "6.8 ± 0.5"}           # Lucic et al. (2018)


def describe(it, who, images):
    """The numbers of `images`: edges, and what the classifier says."""
    score, published = metrics.score(images), PUBLISHED.get(who)
    it.found(f"{who}: steepness of edges", steepness(images), "{:.3f}")
    it.found(f"{who}: Fréchet distance (classifier's features)", score.frechet, "{:.1f}",
             published + " with Inception's features" if published else "")
    it.found(f"{who}: class entropy, of 2.303", score.entropy, "{:.3f}")
    it.found(f"{who}: share the classifier is sure of", 100 * score.sure, "{:.1f} %")


def lesson(it):
    (images, _), (test, _) = it.train, it.test
    steps = it.steps(3000, 20000)
    encode, decode = train_vae(images, steps, it.rng(1), it.seed)
    G = train_gan(images, steps, it.rng(2), it.seed)
    z = normal(it.rng(3), JUDGED_SAMPLES)
    with tg.no_grad():
        bound = [float(part) for part in negative_elbo(encode, decode, tg.Tensor(test[:1000]), normal(it.rng(4), 1000))]
        reconstructed = decode(encode(test[:1000])[:, :LATENT]).data                # z = μ(x)
        vae, gan = decode(z).data, G(z).data
    it.found("VAE: reconstruction loss of test digits (nats)", bound[0])
    it.found("VAE: KL of test digits (nats)", bound[1])
    it.found("VAE: −ELBO of test digits (nats)", sum(bound))
    for who, pictures in (("real training digits", images[:JUDGED_SAMPLES]),
                          ("VAE reconstructions of test digits", reconstructed), ("VAE samples", vae), ("GAN samples", gan)):
        describe(it, who, pictures)
    plots.rows([("real test digits", test[:10]), ("reconstructed by the VAE", reconstructed[:10]),
                *[("VAE samples" if k == 0 else "", vae[k:k + 10]) for k in range(0, 40, 10)],
                *[("GAN samples" if k == 0 else "", gan[k:k + 10]) for k in range(0, 40, 10)]],
               it.folder / "vae.png", "One decoder, trained by the evidence lower bound and by the game")
