"""Can one draw a digit of a given class, and how must D be told which class was asked for?

G receives the label y beside z, and D judges the pair (x, y): is x a real digit, and is it a y?

    min_G max_D  E log σ(D(x, y)) + E log(1 − σ(D(G(z, y), y)))        Mirza & Osindero, "Conditional Generative
                                                                         Adversarial Nets" (2014), equation 2
G takes y as one-hot beside z. D is told in one of four ways, everything else being equal:

    projection  D(x, y) = w·φ(x) + b + v_y·φ(x)        one vector v_y for each class
    planes      ten more channels beside the image's one; that of the class is 1 everywhere, the others are 0
    stripes     what a widely copied listing makes of the planes: np.repeat without an axis flattens first, so all ten
                channels are 1 in a band of three rows, whose height stands for the class
    nothing     D sees the image alone; the baseline, for fewer steps: more of them teach it no class

The optimal logit is log p(y|x)/q(y|x) + log p(x)/q(x), p of the data and q of G, and where both p(y|x) and q(y|x) are
softmaxes of linear functions of φ(x), the first part has the form v_y·φ(x), except for a term without y: `projection`
(Miyato & Koyama, "cGANs with Projection Discriminator", 2018, section 3).

What to expect: by projection nearly all samples come out as the class asked for. The planes hold all that is needed too, but
D must learn in its convolutions what they have to do with the image: after the short version nine samples in ten come out
right. The stripes are a mistake, and learning takes longer still: eight in ten. But the height of a band also tells the
class, and after the long version no harm is visible, which is why the mistake could be copied for years. A D that is told
nothing cannot ask for a class, so G ignores it: one sample in ten comes out right, and in the picture the rows are the same.

The judge is a classifier that has seen real training digits only. That it recognises what was asked for does not mean
that the digits are varied: ten perfect ones, drawn over and over, would score 100 %. So the Fréchet distance of its
features stands beside it.
"""
import numpy as np

import tinygan as tg
from tinygan.look import metrics, plots

from . import descend, rounds, share, together

LATENT, WIDTH, BATCH, LR = 100, 32, 32, 1e-3
JUDGED_PER_CLASS = 200          # samples


def one_hot(y):
    """Labels (N,) → (N, 10)"""
    return np.eye(10, dtype=np.float32)[y]


def planes(y):
    """(N, 28, 28, 10): channel y is 1 everywhere, the others are 0."""
    return np.broadcast_to(one_hot(y)[:, None, None], (len(y), 28, 28, 10))


def stripes(y):
    """(N, 28, 28, 10), the mistake: 784 ones in a row, which pass through all ten channels of 78 pixels."""
    return np.repeat(one_hot(y), 28 * 28).reshape(-1, 28, 28, 10)


def body(channels):
    """images (N, 28, 28, channels) → φ(x) (N, 2048): the default discriminator without its last layer"""
    w = WIDTH
    return (tg.Conv2D(channels, w, 4, stride=2), tg.LeakyReLU(0.2),                                         # 14×14×32
            tg.Conv2D(w, 2 * w, 4, stride=2), tg.LeakyReLU(0.2),                                            # 7×7×64
            tg.Conv2D(2 * w, 4 * w, 3, stride=2, padding=1), tg.LeakyReLU(0.2), tg.Flatten())               # 4×4×128


class Projection:
    """D(x, y) = w·φ(x) + b + v_y·φ(x)"""

    def __init__(self, rng):
        self.phi = tg.Sequential(*body(1)).initialise(rng, std=0.02)
        self.last = tg.Dense(64 * WIDTH, 1).initialise(rng, std=0.02)
        self.v = tg.Dense(10, 64 * WIDTH, bias=False).initialise(rng, std=0.02)          # one_hot(y) → v_y

    def __call__(self, x, y):
        phi = self.phi(x)
        return self.last(phi) + tg.ops.sum(self.v(one_hot(y)) * phi, axis=1, keepdims=True)

    def parameters(self):
        return self.phi.parameters() + self.last.parameters() + self.v.parameters()


class Beside:
    """D(x, y) of the image and what `channels` makes of the label, side by side"""

    def __init__(self, rng, channels):
        self.channels = channels
        self.net = tg.Sequential(*body(11), tg.Dense(64 * WIDTH, 1)).initialise(rng, std=0.02)

    def __call__(self, x, y):
        return self.net(tg.ops.concatenate([x, self.channels(y)], axis=3))

    def parameters(self):
        return self.net.parameters()


WAYS_TO_TELL = {                # name: rng → D
    "projection": Projection,
    "planes": lambda rng: Beside(rng, planes),
    "stripes": lambda rng: Beside(rng, stripes),
    "nothing": lambda rng: Beside(rng, lambda y: 0 * planes(y)),
}


def with_label(z, y):
    """What G takes, (N, 110): one-hot beside the noise"""
    return np.concatenate([z, one_hot(y)], axis=1)


@together(BATCH)
def train(D, images, labels, steps, rng, seed=0):
    """The game of G and this D. Returns G."""
    G = tg.models.small_generator(LATENT + 10, seed=seed)
    g_adam, d_adam = tg.Adam(G.parameters(), LR), tg.Adam(D.parameters(), LR)

    def asked(y):
        return with_label(rng.standard_normal((len(y), LATENT)).astype(np.float32), y)

    for step in rounds(steps):
        fraction = min(1, 2 - 2 * step / steps)                         # the learning rate falls to 0 in the second half
        k = rng.integers(0, len(images), BATCH)
        x, y, z = share(images[k], labels[k], asked(labels[k]))         # fakes of the same classes as the real ones
        descend(d_adam, tg.losses.discriminator_loss(D(tg.Tensor(x), y), D(G(z).detach(), y)), fraction)
        y = rng.integers(0, 10, BATCH)
        y, z = share(y, asked(y))
        descend(g_adam, tg.losses.generator_loss(D(G(z), y)), fraction)
    return G.eval()


def draw(G, z):
    """Images (10·n, 28, 28, 1): each z (n, latent) as each of the ten classes, and the labels asked for"""
    y = np.arange(10).repeat(len(z))
    with tg.no_grad():
        return G(with_label(np.tile(z, (10, 1)), y)).data, y


def lesson(it):
    classifier = metrics.classifier()
    z = it.rng(2).standard_normal((JUDGED_PER_CLASS, LATENT)).astype(np.float32)
    it.found("real test digits recognised", 100 * metrics.accuracy(classifier, *it.test), "{:.1f} %")
    it.found("Fréchet distance of 1,000 real training digits", metrics.real_score(1000).frechet)
    for name, told in WAYS_TO_TELL.items():
        steps = it.steps(700, 3750) if name == "nothing" else it.steps(1400, 15000)
        G = train(told(it.rng(1, 0)), *it.train, steps, it.rng(1, 1), it.seed)
        images, asked = draw(G, z)
        it.found(f"D told by {name}: samples recognised as the class asked for",
                 100 * metrics.accuracy(classifier, images, asked), "{:.1f} %")
        it.found(f"D told by {name}: Fréchet distance of 1,000 samples", metrics.score(draw(G, z[:100])[0]).frechet)
        pictures = draw(G, z[:10])[0].reshape(10, 10, 28, 28, 1)
        plots.rows([(f"asked: {y}", row) for y, row in enumerate(pictures)], it.folder / f"{name}.png",
                   f"D told by {name}; a column is one z")
