"""Are the ten digits found if nobody says which is which, nor that they are digits?

InfoGAN gives G, besides its noise z, a code c: one of K = 10 numbers, all equally probable, as a one-hot vector. A second
head Q on D's features guesses the code from the image. What Q can guess must be visible, and so G is made to use the code:

    I(c; G(z, c)) ≥ L_I = E log Q(c | G(z, c)) + H(c)        H(c) = log 10
    min_{G, Q} max_D  V(D, G) − λ L_I                        V: the ordinary game

−L_I is Q's cross-entropy, except for the constant log 10. No label is read. Q, which has seen nothing but G's images, is then
asked for the code of real ones: its largest logit is the cluster of an image.

Nothing here says what the code will mean. It comes to mean what is easiest to draw and to recognise, and four choices decide
whether that is the digit. Q reads D's features but does not train them: G and Q descend −L_I, f does not. Otherwise all three
would agree on signs, such as a speck here or there, which are of no use to D as a judge. Q sees noisy images, in which small
signs are lost. z is small, of standard deviation 0.3 beside the code's 1, so that the largest differences are left to the
code. And λ = 0.3, not 1. If f learns for Q too, the short version finds 76 % of the digits instead of 81 %; without all four
choices, 57 %.

Clusters have no names. The accuracy is that of the best one-to-one naming of the ten codes as ten digits, found with the
labels of the test digits (the assignment problem); this is the one place where labels are used. The normalised mutual
information of codes and labels needs no names: 0 where they are independent, 1 where one tells the other.

What to expect: of ten digits, three or four more are right than with k-means on the pixels. The rows of the picture are
digits, except for two or three that mix two digits, such as 4 and 9 or 3 and 5; which ones depends on the seed.

Source: Chen et al., "InfoGAN" (2016), sections 4 and 5, appendix C.1 for the networks, which are larger there and have two
more codes, which are continuous. The small z is that of Mukherjee et al., "ClusterGAN" (2019).
"""
import numpy as np
from threadpoolctl import threadpool_limits

import tinygan as tg
from tinygan import group
from tinygan.look import plots
from tinygan.losses import cross_entropy, discriminator_loss, generator_loss

from . import descend, outputs, rounds, share, together

K, LATENT, BATCH = 10, 62, 64
SIGMA, LAMBDA, NOISE = 0.3, 0.3, 0.3    # deviation of z, λ, deviation of the noise that Q sees
D_LR, G_LR = 2e-4, 1e-3                 # as published
ONE_HOT = np.eye(K, dtype=np.float32)


def networks(width, rng):
    """G: z and code (N, 72) → images; f: images → features (N, 8·width); D and Q: features → logits (N, 1) and (N, 10)."""
    n = 8 * width
    G = tg.models.small_generator(LATENT + K, width=width)
    f = tg.Sequential(tg.Conv2D(1, width, 4, stride=2), tg.LeakyReLU(0.2),                              # 14×14
                      tg.Conv2D(width, 2 * width, 4, stride=2), tg.BatchNorm(2 * width), tg.LeakyReLU(0.2), tg.Flatten(),
                      tg.Dense(7 * 7 * 2 * width, n), tg.BatchNorm(n), tg.LeakyReLU(0.2))
    D = tg.Sequential(tg.Dense(n, 1))
    Q = tg.Sequential(tg.Dense(n, 64), tg.LeakyReLU(0.2), tg.Dense(64, K))
    return tuple(network.initialise(rng, std=0.02) for network in (G, f, D, Q))


def normal(deviation, shape, rng):
    """N(0, deviation²), in float32"""
    return np.float32(deviation) * rng.standard_normal(shape, np.float32)


def draw(n, rng):
    """n inputs of G, (n, 72), and their codes, (n,)"""
    codes, z = rng.integers(0, K, n), normal(SIGMA, (n, LATENT), rng)
    return np.concatenate([z, ONE_HOT[codes]], axis=1), codes


def makers_loss(G, f, D, Q, z, codes, noise):
    """What G and Q minimise, L_G − λ (L_I − H(c)), and the cross-entropy H(c) − L_I in it"""
    fakes = G(z)
    guess = cross_entropy(Q(f(fakes + noise)), codes)
    return generator_loss(D(f(fakes))) + LAMBDA * guess, guess


@together(BATCH)
def train(G, f, D, Q, images, steps, rng, say):
    """The game with the code. No labels come in here."""
    d_adam, g_adam = tg.Adam(f.parameters() + D.parameters(), D_LR), tg.Adam(G.parameters() + Q.parameters(), G_LR)
    for step in rounds(steps):
        batch = images[rng.integers(0, len(images), BATCH)]
        x, z = share(batch, draw(BATCH, rng)[0])
        descend(d_adam, discriminator_loss(D(f(x)), D(f(G(z).detach()))))
        z, codes, noise = share(*draw(BATCH, rng), normal(NOISE, batch.shape, rng))
        loss, guess = makers_loss(G, f, D, Q, z, codes, noise)
        descend(g_adam, loss)
        if (step + 1) % 500 == 0:
            guess = group.current().mean(guess.data)
            say(f"step {step + 1:,}: at least {np.log(K) - float(guess):.2f} of {np.log(K):.2f} nats of the code are visible")


def agreement(clusters, labels):
    """(accuracy in percent, normalised mutual information), and the digit that each cluster is named, the best naming."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import normalized_mutual_info_score

    table = np.zeros((K, K), int)                       # how many images of cluster i are the digit j
    np.add.at(table, (clusters, labels), 1)
    rows, digits = linear_sum_assignment(table, maximize=True)
    accuracy = 100 * table[rows, digits].sum() / len(labels)
    return (accuracy, normalized_mutual_info_score(labels, clusters)), digits


def k_means(train, test, starts, seed):
    """The cluster of each test vector, the ten centres being those of the training vectors: the best of several starts.

    In one thread: the order of additions, and with it the last bit, would depend on how many there are."""
    from sklearn.cluster import KMeans

    flat = [np.reshape(x, (len(x), -1)) for x in (train, test)]
    with threadpool_limits(1):
        return KMeans(K, n_init=starts, random_state=seed).fit(flat[0]).predict(flat[1])


def sheet(G, order, rng):
    """100 images: a code a row, in that order; a column has one z."""
    z = np.tile(normal(SIGMA, (10, LATENT), rng), (K, 1))
    return outputs(G.eval(), np.concatenate([z, ONE_HOT[np.repeat(order, 10)]], axis=1))


def report(it, name, scores, *published):
    """Both numbers, of each run."""
    for what, form, values, others in zip(("accuracy", "mutual information"), ("{:.1f} %", "{:.3f}"), zip(*scores), published):
        it.found(f"{what}, {name}", values, form, others)


def lesson(it):
    (images, _), (test, truth) = it.train, it.test
    scores = []
    for k in range(3 if it.full else 1):
        G, f, D, Q = networks(32 if it.full else 16, it.rng(k, 0))
        if k == 0:
            starts = it.steps(10, 10)
            by_pixels = agreement(k_means(images, test, starts, it.seed), truth)[0]
            by_features = agreement(k_means(outputs(f.eval(), images), outputs(f, test), starts, it.seed), truth)[0]
        train(G, f.train(), D, Q, images, it.steps(4_500, 12_000), it.rng(k, 1), it.say)
        score, digits = agreement(outputs(tg.Sequential(f, Q).eval(), test).argmax(axis=1), truth)
        scores.append(score)
        if k == 0:
            rows = sheet(G, np.argsort(digits), it.rng(k, 2)).reshape(K, 10, 28, 28, 1)
            plots.rows([(f"named {digit}", row) for digit, row in enumerate(rows)], it.folder / "codes.png",
                       "A row is one code, a column one z")
    report(it, "Q's guess", scores, "95 %, the best of theirs", "0.854 ± 0.036, ClusterGAN")
    report(it, "k-means on pixels", [by_pixels], "", "")
    report(it, "k-means on the features of the untrained f", [by_features], "", "")
