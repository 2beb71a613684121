"""How far do 100 labels go, if all other images come without one?

Ten digits of each class are chosen and keep their label; the other images lose theirs. D is a classifier of K = 10 real
classes and one more, "fake", whose logit is fixed at 0, as adding a number to all K + 1 changes nothing. With the logits
a_1 … a_K of an image x and Z = Σ_k e^(a_k), softmax over the K + 1 classes says

    p(y = k | x, real) = e^(a_k)/Z        D(x) = p(real | x) = Z/(Z + 1) = σ(log Z)

    L_supervised   = −E log p(y | x, real)                         the 100 images with labels
    L_unsupervised = −E log D(x) − E log(1 − D(G(z)))              all images, none with its label

so log Z is the logit of the ordinary game, and L_unsupervised its L_D. G does not play against D's verdict: it matches the
mean of the features f, what D's last hidden layer makes of an image ("feature matching"):

    L_G = ‖E f(x) − E f(G(z))‖

Why it helps: to tell real from fake, D must put its boundaries where there are no digits, and that is the best place for a
boundary between two classes too. G's digits need not be good for this, and with feature matching they are not.

The labels are learned by heart within a thousand steps, the rest takes tens of thousands, and the game must stay stable for
so long. The columns of the weights in f are brought back to the norm √2 after each step. Without that they grew, and the error
of a game, down to 3.7 % after 7,000 steps, was 10.9 % after 17,000. After a sudden gradient, one step of Adam can be
(1 − β₁)/√(1 − β₂) learning rates long: 16 with the usual β₂ = 0.999, with which several of our games failed, 5 with the 0.99
taken here. And the learning rate falls from the first step: at a constant 1e-3, a game made no progress after step 12,000.

What to expect: in the short version a third of the errors that the 100 labels alone leave. In the long one a twentieth, about
110 of 10,000, no more than the same D leaves if it is told all 60,000 labels and plays no game. The published 93 are not
reached: theirs took 180,000 steps, --full takes 50,000.

Source: Salimans et al., "Improved Techniques for Training GANs" (2016), sections 3.1 and 5 and their code, from which the
networks, the deviations of the noise and the weight ½ of L_unsupervised are taken. There L_G is the square of this one, the
noise normal, the norm held within the gradient (weight normalisation), the learning rate constant, the weights averaged.

Two mistakes are copied more than any other. Labels of all images go into the loss, and the error is then that of ordinary
training: below, no more than the 100 labels are handed to train(). Or D ends in a softmax and the loss takes a second
one, as in nn.Softmax before nn.CrossEntropyLoss: then no probability exceeds e/(e + 9) = 0.23, however sure D is, and the
gradient dies where D is sure and wrong. D's outputs are logits, and cross_entropy wants those.
"""
import numpy as np
from matplotlib.figure import Figure

import tinygan as tg
from tinygan import group
from tinygan.look import plots
from tinygan.losses import cross_entropy, discriminator_loss, log_sum_exp
from tinygan.ops import concatenate

from . import descend, outputs, rounds, share, together

PER_CLASS, BATCH, LATENT, LR, BETAS = 10, 100, 100, 1e-3, (0.5, 0.99)
PUBLISHED_WIDTHS = (1000, 500, 250, 250, 250)       # of the hidden layers of D
SHORT_WIDTHS = (500, 250, 250)
ALONE, GAME, ALL = "the 100 labels alone", "100 labels and the rest without", "all labels"
PUBLISHED = "93 ± 6.5 of 10,000 (0.93 %) after 300 epochs; CatGAN 191 ± 10"


class Noise(tg.Module):
    """y = x + ε in training mode, ε uniform with mean 0 and the given standard deviation; y = x in evaluation mode"""

    def __init__(self, deviation, rng):
        self.width, self.rng = np.float32(np.sqrt(12) * deviation), rng

    def forward(self, x):
        if not self.training:
            return x
        noise = group.current().draw(lambda N: self.rng.random((N, *x.shape[1:]), np.float32), len(x))
        return x + self.width * (noise - np.float32(0.5))


def discriminator(widths, rng):
    """images (N, 28, 28, 1) in [0, 1] → logits (N, 10); its first half gives the features."""
    layers, inputs, deviation = [tg.Flatten()], 28 * 28, 0.3
    for width in widths:
        layers += [Noise(deviation, rng), tg.Dense(inputs, width), tg.LeakyReLU(0)]
        inputs, deviation = width, 0.5
    head = tg.Sequential(Noise(deviation, rng), tg.Dense(inputs, 10))
    D = tg.Sequential(tg.Sequential(*layers), head).initialise(rng)
    hold(D.layers[0])
    return D


def generator(width, rng):
    """z (N, 100), uniform in [0, 1] → images (N, 28, 28, 1) in [0, 1]"""
    def block(inputs):
        return tg.Dense(inputs, width, bias=False), tg.BatchNorm(width), tg.Softplus()

    return tg.Sequential(*block(LATENT), *block(width), tg.Dense(width, 28 * 28), tg.Sigmoid(),
                         tg.Reshape(28, 28, 1)).initialise(rng)


def judge_loss(D, images, labels, x, fakes):
    """L_supervised + ½ L_unsupervised; images and labels: those that have one, x: unlabelled"""
    n, logits = len(images), D(concatenate([images, x, fakes]))
    unsupervised = discriminator_loss(log_sum_exp(logits[n:n + len(x)]), log_sum_exp(logits[n + len(x):]))
    return cross_entropy(logits[:n], labels) + 0.5 * unsupervised


def matching_loss(f, x, fakes):
    """L_G = ‖E f(x) − E f(G(z))‖"""
    E = group.current().mean                        # over the rows of every process: this norm is no sum over rows
    difference = E(f(x).mean(axis=0)).detach() - E(f(fakes).mean(axis=0))
    return (difference ** 2).sum() ** 0.5


def hold(f):
    """w ← √2·w/‖w‖ for each column w of the weights in f: a ReLU then keeps the mean square of what comes in."""
    for layer in f.layers:
        if isinstance(layer, tg.Dense):
            layer.weight.data *= np.sqrt(2 / (layer.weight.data ** 2).sum(axis=0))


@together(BATCH)
def train(D, G, images, labels, unlabelled, steps, rng, look):
    """The semi-supervised game. images, labels: those that have one, all in each step; unlabelled: images alone."""
    d_adam, g_adam = tg.Adam(D.parameters(), LR, BETAS), tg.Adam(G.parameters(), LR, BETAS)
    f, _ = D.layers
    for step in rounds(steps):
        fraction = 1 - step / steps                     # the learning rate falls to 0 in a straight line
        x, z = unlabelled[rng.integers(0, len(unlabelled), BATCH)], rng.random((BATCH, LATENT), np.float32)
        labelled, names, x, z = share(images, labels, x, z)
        fakes = G(z)
        descend(d_adam, judge_loss(D, labelled, names, x, fakes.detach()), fraction)
        hold(f)
        descend(g_adam, matching_loss(f, x, fakes), fraction)
        group.current().first(lambda: look(step + 1))


@together(BATCH)
def train_alone(D, images, labels, steps, rng, look):
    """The baseline: the same D, the same noise, and batches of the images that have a label."""
    adam = tg.Adam(D.parameters(), LR, BETAS)
    for step in rounds(steps):
        batch = rng.choice(len(images), BATCH, replace=False)
        x, names = share(images[batch], labels[batch])
        descend(adam, cross_entropy(D(x), names), 1 - step / steps)
        hold(D.layers[0])
        group.current().first(lambda: look(step + 1))


def choose(labels, rng, per_class=PER_CLASS):
    """Which images keep their label: so many of each class, drawn at random."""
    order = rng.permutation(len(labels))
    return np.concatenate([order[labels[order] == k][:per_class] for k in range(10)])


def play(it, k):
    """Run k of all three, each from the same weights of D: {name: [(step, error in percent)]}, the 100 images, digits of G."""
    (images, labels), (test, truth) = [((x + 1) / 2, y) for x, y in (it.train, it.test)]
    few, curves = choose(labels, it.rng(k, 0)), {}
    widths, width = (PUBLISHED_WIDTHS, 500) if it.full else (SHORT_WIDTHS, 250)
    G, z = generator(width, it.rng(k, 2)), it.rng(k, 3).random((50, LATENT), np.float32)

    def learn(name, trainer, *data, steps):
        rng, curve = it.rng(k, 1), curves.setdefault(name, [])
        D = discriminator(widths, rng)

        def look(step):
            if step % -(-steps // 20) == 0 or step == steps:
                with D.evaluating():
                    curve.append((step, 100 * (1 - tg.metrics.accuracy(D, test, truth))))
        trainer(D, *data, steps, rng, look)

    learn(ALONE, train_alone, images[few], labels[few], steps=it.steps(400, 2_000))
    learn(ALL, train_alone, images, labels, steps=it.steps(1_500, 15_000))
    learn(GAME, train, G, images[few], labels[few], images, steps=it.steps(9_000, 50_000))
    return curves, 2 * images[few] - 1, 2 * outputs(G.eval(), z) - 1


def lesson(it):
    runs = [play(it, k) for k in range(3 if it.full else 1)]
    n = len(it.test[0])
    for name, published in ((ALONE, ""), (GAME, PUBLISHED), (ALL, "")):
        last = [curves[name][-1][1] for curves, _, _ in runs]
        it.found(f"error on {n:,} test digits, {name}", last, "{:.2f} %", published)
        it.say("  wrong: " + ", ".join(f"{percent * n / 100:.0f}" for percent in last) + f" of {n:,}")
    plots.samples(runs[0][1], it.folder / "labelled.png")
    plots.samples(runs[0][2], it.folder / "samples.png")
    plots.save(picture([curves for curves, _, _ in runs]), it.folder / "errors.png")


@plots.own_settings()
def picture(runs):
    """The error on test digits as each training goes on, a line for every run."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axis = figure.subplots()
    for name, colour in ((ALONE, plots.GREY), (ALL, plots.BLUE), (GAME, plots.ORANGE)):
        for k, curves in enumerate(runs):
            axis.plot(*zip(*curves[name]), color=colour, marker=".", label=name if k == 0 else None)
    axis.set(xlabel="step", ylabel="error on test digits, %", ylim=(0, None))
    axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle("What images without a label add to 100 labels")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure
