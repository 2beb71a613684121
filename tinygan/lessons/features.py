"""Does a GAN, which nobody told about digits, learn features that tell them apart?

Two places to look for them. D's penultimate layer: all that D says of an image is a linear function of it. And an
encoder E: a bidirectional GAN trains E beside G, D judges pairs, and must tell (x, E(x)) from (G(z), z):

    min_{G, E} max_D  E log σ(D(x, E(x))) + E log(1 − σ(D(G(z), z)))

At the optimum the pairs have the same distribution, so that E inverts G: G(E(x)) = x. In practice G(E(x)) is another
digit written in a similar way. z has 50 numbers and x has 784, so E also is a reduction of the dimension.
Source: Donahue, Krähenbühl & Darrell, "Adversarial Feature Learning" (2017), sections 2 and 3, and their code, which has 50
numbers too, but uniform ones, and trains for 400 epochs with weight decay.

The nearest neighbour says how good a feature is: each test digit gets the label of the training digit whose features are
nearest. Nothing is trained for that, and no label is read before. Four baselines stand beside, and they matter more than the
published number: the pixels themselves; their first 50 principal components, a linear reduction of the dimension; and both
networks as they were before the training, with random weights.

What to expect: the untrained networks are strong, nearly as good as the pixels, because a random layer keeps distances
(Johnson & Lindenstrauss 1984), and the pixels are good, because digits stand in the middle and have one size. Training adds
to D's layer three or four digits in a hundred, in the long version nearly two, which is half of what was missing: D learns
what strokes are made of, though its question is real or fake, not which digit. E's layer gains less, in the long version
nothing. The 50 principal components, which cost a second, do better than the pixels and E. G is dense, and nothing but D
tells it that neighbouring pixels belong together: its digits have specks, fewer after the long version.
"""
import numpy as np
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

import tinygan as tg
from tinygan.look import plots
from tinygan.losses import discriminator_loss

from . import descend, fit, outputs, rounds, share, together

LATENT, BATCH, LR = 50, 128, 2e-4
MAPS = ("pixels", "D's penultimate layer before training", "D's penultimate layer after training",
        "E's penultimate layer after training")
COLOURS = ("#000000", "#e69f00", "#56b4e9", "#009e73", "#b8a800", "#0072b2", "#d55e00", "#cc79a7", "#777777", "#882255")
PUBLISHED = {"E's penultimate layer before training": "96.84 %", "E's penultimate layer after training": "97.35 %",
             "E(x) before training": "91.50 %", "E(x) after training": "92.10 %", "x": "5.95", "another digit": "9.60"}


def encoder(width, rng):
    """images (N, 28, 28, 1) → E(x) (N, 50); its first half gives the penultimate layer (N, width)."""
    body = tg.Sequential(tg.Flatten(), tg.Dense(28 * 28, width), tg.LeakyReLU(0.2),
                         tg.Dense(width, width, bias=False), tg.BatchNorm(width), tg.LeakyReLU(0.2))
    head = tg.Sequential(tg.Dense(width, LATENT, bias=False), tg.BatchNorm(LATENT))     # mean and scale of z's to begin with
    return tg.Sequential(body, head).initialise(rng)


def generator(width, rng):
    """z (N, 50) → images (N, 28, 28, 1)"""
    return tg.Sequential(tg.Dense(LATENT, width), tg.LeakyReLU(0), tg.Dense(width, width, bias=False), tg.BatchNorm(width),
                         tg.LeakyReLU(0), tg.Dense(width, 28 * 28), tg.Tanh(), tg.Reshape(28, 28, 1)).initialise(rng)


def discriminator(width, rng):
    """image and z side by side (N, 834) → logits (N, 1)"""
    return tg.Sequential(tg.Dense(28 * 28 + LATENT, width), tg.LeakyReLU(0.2), tg.Dense(width, width), tg.LeakyReLU(0.2),
                         tg.Dense(width, 1)).initialise(rng)


def pair(x, z):
    """images (N, 28, 28, 1) and z (N, 50) → (N, 834)"""
    return tg.ops.concatenate([tg.ops.reshape(x, len(x), 28 * 28), z], axis=1)


def pair_logits(E, G, D, x, z):
    """What D says of (x, E(x)) and of (G(z), z), logits (N, 1) each"""
    return D(pair(x, E(x))), D(pair(G(z), z))


def makers_loss(E, G, D, x, z):
    """E and G want each pair taken for the other kind: D's own loss with its two arguments exchanged."""
    real, fake = pair_logits(E, G, D, x, z)
    return discriminator_loss(fake, real)


@together(BATCH)
def train(E, G, D, images, steps, rng):
    """The game of pairs. No label comes in here."""
    adam, d_adam = tg.Adam(E.parameters() + G.parameters(), LR), tg.Adam(D.parameters(), LR)
    for step in rounds(steps):
        fraction = min(1, 2 - 2 * step / steps)                         # the learning rate falls to 0 in the second half
        descend(d_adam, discriminator_loss(*pair_logits(E, G, D, *batch(images, rng))), fraction)
        descend(adam, makers_loss(E, G, D, *batch(images, rng)), fraction)


def batch(images, rng):
    """Real images and z ~ N(0, I), as Tensors."""
    x, z = images[rng.integers(0, len(images), BATCH)], rng.standard_normal((BATCH, LATENT)).astype(np.float32)
    return [tg.Tensor(rows) for rows in share(x, z)]


def vectors(it, network):
    """The network's outputs for training and test images, in evaluation mode"""
    return tuple(outputs(network.eval(), x) for x, _ in (it.train, it.test))


def principal_components(train, test):
    from sklearn.decomposition import PCA
    fitted = PCA(LATENT, random_state=0).fit(train)
    return fitted.transform(train), fitted.transform(test)


def nearest_neighbour(train, labels, test, truth):
    """Share, in percent, of test vectors whose nearest training vector has the same label."""
    from sklearn.neighbors import KNeighborsClassifier
    return 100 * KNeighborsClassifier(1, algorithm="brute").fit(train, labels).score(test, truth)


def lesson(it):
    (images, labels), (test, truth) = it.train, it.test
    G, D = tg.models.small_generator(seed=it.seed), tg.models.small_discriminator(it.seed)
    gan = tg.GAN(G, D, g_optimizer=tg.Adam(G.parameters(), 1e-3), d_optimizer=tg.Adam(D.parameters(), 1e-3), seed=it.seed)
    phi = tg.Sequential(*D.layers[:-1])                                 # D's penultimate layer
    width = 1024 if it.full else 512
    E, G, D = (make(width, it.rng(k)) for k, make in enumerate((encoder, generator, discriminator)))
    places = {"D's penultimate layer": phi, "E's penultimate layer": E.layers[0], "E(x)": E}

    found = {"pixels": vectors(it, tg.Flatten())}
    found["principal components"] = principal_components(*found["pixels"])
    found |= {f"{name} before training": vectors(it, network) for name, network in places.items()}
    fit(gan, images, it.steps(1500, 15000), 32)
    train(E.train(), G, D, images, it.steps(2500, 15000), it.rng(3))
    found |= {f"{name} after training": vectors(it, network) for name, network in places.items()}
    for name, (reference, asked) in found.items():
        it.found(f"nearest neighbour right: {name} ({asked.shape[1]:,} numbers)",
                 nearest_neighbour(reference, labels, asked, truth), "{:.1f} %", PUBLISHED.get(name, ""))

    reconstructed = outputs(G.eval(), found["E(x) after training"][1])
    for what, others in (("x", test), ("another digit", np.roll(test, 1, axis=0))):
        distance = np.linalg.norm((reconstructed - others).reshape(len(test), -1), axis=1).mean() / 2
        it.found(f"‖{what} − G(E(x))‖, pixels in [0, 1]", distance, "{:.2f}", PUBLISHED[what])
    both = ("x", test), ("G(E(x))", reconstructed)
    plots.rows([(label, digits[k:k + 10]) for k in range(0, 40, 10) for label, digits in both],
               it.folder / "reconstructed.png", "What E keeps of a test digit")
    shown = max(100, it.steps(1000, 1000))                              # of the map; t-SNE needs some neighbours
    plots.save(picture({name: plane(found[name][1][:shown]) for name in MAPS}, truth), it.folder / "maps.png")


def plane(vectors):
    """(N, dimensions) → (N, 2), near where they were near: t-SNE (van der Maaten & Hinton 2008)"""
    from sklearn.manifold import TSNE
    with threadpool_limits(1):                                          # the order of additions would move the points
        return TSNE(init="pca", random_state=0).fit_transform(vectors)


@plots.own_settings()
def picture(maps, labels):
    """maps: {name: points (N, 2)}. Each point is drawn as the digit that it is."""
    figure = Figure(figsize=(9.6, 10), layout="constrained")
    for axis, (name, points) in zip(figure.subplots(2, 2).ravel(), maps.items()):
        for digit, colour in enumerate(COLOURS):
            axis.scatter(*points[labels[:len(points)] == digit].T, marker=f"${digit}$", s=30, linewidth=0.2, color=colour)
        axis.set(xticks=[], yticks=[], title=name)
        axis.spines[:].set_visible(False)
    figure.suptitle("Test digits, near each other where their features are")
    return figure
