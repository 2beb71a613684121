"""How far do 100 labels go, if all other images come without one?

Ten digits of each class are chosen and keep their label; the other images lose theirs. D is a classifier of K = 10 real
classes and one more, "fake", whose logit is fixed at 0, as adding a number to all K + 1 changes nothing. With the logits
a_1 … a_K of an image x and Z = Σ_k e^(a_k), softmax over the K + 1 classes says

    p(y = k | x, real) = e^(a_k)/Z        D(x) = p(real | x) = Z/(Z + 1) = σ(log Z)

    L_supervised   = −E log p(y | x, real)                         the 100 images with labels
    L_unsupervised = −E log D(x) − E log(1 − D(G(z)))              all images, none with its label

so log Z is the logit of the ordinary game, and L_unsupervised its L_D. G does not play against D's verdict: it matches the
mean of the features f, what D's last hidden layer makes of an image ("feature matching"):

    L_G = ‖E f(x) − E f(G(z))‖²

Why it helps: to tell real from fake, D must put its boundaries where there are no digits, and two classes are best parted
there too. G's digits need not be good for this, and with feature matching they are not.

L_G is the square of a distance between features that grow as D learns, and its gradient may grow a hundredfold within a few
steps. After that, one step of Adam can be (1 − β₁)/√(1 − β₂) times the learning rate: 16 times with the usual β₂ = 0.999,
with which several of our runs broke off, and 5 times with the 0.99 taken here.

What to expect: in the short version a third of the errors that the 100 labels alone leave. The long one is not to be relied
on: of three trainings the first came to 2 % within 15,000 steps and then rose to 2.5, and one of the others ended near 19 %.

Source: Salimans et al., "Improved Techniques for Training GANs" (2016), sections 3.1 and 5 and their code, from which the
networks, the noise and the weight ½ of L_unsupervised are taken. Left out are weight normalisation and the averaging of
the weights over the last steps; here the learning rate falls to 0 instead. Theirs took 180,000 steps, --full takes 30,000.

Two mistakes are copied more than any other. Labels of all images go into the loss, and the error is then that of ordinary
training: below, no more than the 100 labels are handed to train(). Or D ends in a softmax and the loss takes another one of
it, as in nn.Softmax before nn.CrossEntropyLoss: then no probability exceeds e/(e + 9) = 0.23, however sure D is, and the
gradient dies where D is sure and wrong. D's outputs are logits, and cross_entropy wants those.
"""
import numpy as np
from matplotlib.figure import Figure

import tinygan as tg
from tinygan import plots
from tinygan.losses import cross_entropy, discriminator_loss, log_sum_exp

PER_CLASS, BATCH, LATENT, LR, BETAS = 10, 100, 100, 1e-3, (0.5, 0.99)
PAPER = (1000, 500, 250, 250, 250)      # the hidden layers of D
SHORT = (500, 250, 250)
ALONE, GAME, ALL = "the 100 labels alone", "100 labels and the rest without", "all labels"
PUBLISHED = "93 ± 6.5 of 10,000 (0.93 %) after 300 epochs; CatGAN 191 ± 10"


class Noise(tg.Module):
    """y = x + s·ε, ε ~ N(0, 1), in training mode; y = x in evaluation mode"""

    def __init__(self, deviation, rng):
        self.deviation, self.rng = np.float32(deviation), rng

    def forward(self, x):
        return x + self.deviation * self.rng.standard_normal(x.shape, np.float32) if self.training else x


def discriminator(widths, rng):
    """images (N, 28, 28, 1) in [0, 1] → logits (N, 10); its first half gives the features."""
    layers, inputs, deviation = [tg.Flatten()], 28 * 28, 0.3
    for width in widths:
        layers += [Noise(deviation, rng), tg.Dense(inputs, width), tg.LeakyReLU(0)]
        inputs, deviation = width, 0.5
    head = tg.Sequential(Noise(deviation, rng), tg.Dense(inputs, 10))
    return tg.Sequential(tg.Sequential(*layers), head).initialise(rng)


def generator(width, rng):
    """z (N, 100), uniform in [0, 1] → images (N, 28, 28, 1) in [0, 1]"""
    def block(inputs):
        return tg.Dense(inputs, width, bias=False), tg.BatchNorm(width), tg.Softplus()

    return tg.Sequential(*block(LATENT), *block(width), tg.Dense(width, 28 * 28), tg.Sigmoid(),
                         tg.Reshape(28, 28, 1)).initialise(rng)


def judge_loss(D, images, labels, x, fakes):
    """L_supervised + ½ L_unsupervised; images and labels: those that have one, x: unlabelled"""
    unsupervised = discriminator_loss(log_sum_exp(D(x)), log_sum_exp(D(fakes)))
    return cross_entropy(D(images), labels) + 0.5 * unsupervised


def matching_loss(f, x, fakes):
    """L_G = ‖E f(x) − E f(G(z))‖²"""
    difference = f(x).mean(axis=0).detach() - f(fakes).mean(axis=0)
    return (difference ** 2).sum()


def train(D, G, images, labels, unlabelled, steps, rng, look):
    """The semi-supervised game. images, labels: those that have one, all in each step; unlabelled: images alone."""
    d_adam, g_adam = tg.Adam(D.parameters(), betas=BETAS), tg.Adam(G.parameters(), betas=BETAS)
    f, _ = D.layers
    for step in range(steps):
        d_adam.lr = g_adam.lr = rate(step, steps)
        x = unlabelled[rng.integers(0, len(unlabelled), BATCH)]
        fakes = G(rng.random((BATCH, LATENT), np.float32)).detach()
        d_adam.zero_grad()
        judge_loss(D, images, labels, x, fakes).backward()
        d_adam.step()
        g_adam.zero_grad()
        matching_loss(f, x, G(rng.random((BATCH, LATENT), np.float32))).backward(inputs=G.parameters())
        g_adam.step()
        look(step + 1)


def train_alone(D, images, labels, steps, rng, look):
    """The baseline: the same D, the same noise, and batches of the images that have a label."""
    adam = tg.Adam(D.parameters(), betas=BETAS)
    for step in range(steps):
        adam.lr = rate(step, steps)
        batch = rng.choice(len(images), BATCH, replace=False)
        adam.zero_grad()
        cross_entropy(D(images[batch]), labels[batch]).backward()
        adam.step()
        look(step + 1)


def rate(step, steps):
    """Adam's learning rate: LR for the first half, then in a straight line to 0."""
    return LR * min(1, 2 * (1 - step / steps))


def choose(labels, rng, per_class=PER_CLASS):
    """Which images keep their label: so many of each class, drawn at random."""
    order = rng.permutation(len(labels))
    return np.concatenate([order[labels[order] == k][:per_class] for k in range(10)])


def error(D, images, labels):
    """The share of images, in percent, whose largest logit is not that of their label."""
    wrong = 100 * (1 - tg.metrics.accuracy(D.eval(), images, labels))
    D.train()
    return wrong


def play(it, k):
    """Run k of all three, each from the same weights of D: {name: [(step, error)]}, the 100 images, digits of G."""
    (images, labels), (test, truth) = [((x + 1) / 2, y) for x, y in (it.train, it.test)]
    few, curves = choose(labels, it.rng(k, 0)), {ALONE: [], ALL: [], GAME: []}
    widths, width = (PAPER, 500) if it.full else (SHORT, 250)

    def start(name, steps):
        rng = it.rng(k, 1)
        D = discriminator(widths, rng)

        def look(step):
            if step % -(-steps // 20) == 0 or step == steps:
                curves[name].append((step, error(D, test, truth)))
        return D, steps, rng, look

    D, *rest = start(ALONE, it.steps(400, 2_000))
    train_alone(D, images[few], labels[few], *rest)
    D, *rest = start(ALL, it.steps(1_500, 6_000))
    train_alone(D, images, labels, *rest)
    D, *rest = start(GAME, it.steps(5_000, 30_000))
    rng, G = it.rng(k, 2), generator(width, it.rng(k, 3))
    train(D, G, images[few], labels[few], images, *rest)
    with tg.no_grad():
        drawn = G.eval()(rng.random((50, LATENT), np.float32)).data
    return curves, 2 * images[few] - 1, 2 * drawn - 1


def lesson(it):
    runs = [play(it, k) for k in range(3 if it.full else 1)]
    n = len(it.test[0])
    for name, published in ((ALONE, ""), (GAME, PUBLISHED), (ALL, "")):
        last = [curves[name][-1][1] for curves, _, _ in runs]
        it.found(f"error on {n:,} test digits, {name}", last, "{:.2f} %", published)
        it.say("  wrong: " + ", ".join(f"{percent * n / 100:.0f}" for percent in last) + f" of {n:,}")
    curves, known, drawn = runs[0]
    plots.samples(known, it.folder / "labelled.png")
    plots.samples(drawn, it.folder / "samples.png")
    picture(curves).savefig(it.folder / "errors.png", dpi=120)


def picture(curves):
    """The error on test digits as each training goes on."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axis = figure.subplots()
    for (name, curve), colour in zip(curves.items(), (plots.GREY, plots.BLUE, plots.ORANGE)):
        axis.plot(*zip(*curve), color=colour, marker=".", label=name)
    axis.set(xlabel="step", ylabel="error on test digits, %", ylim=(0, None))
    axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle("What images without a label add to 100 labels")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure
