"""Few labelled digits: does a classifier gain by samples of a GAN, and more than by moving the digits?

From n digits of each class a classifier is trained in four ways, everything else being equal:

    alone       with these 10n digits and nothing else
    moved       each time a digit is drawn it is turned by up to 15° and shifted by up to 2 pixels
    samples     half of each batch are samples, with the class asked for as their label, of a conditional GAN that was
                trained on the same 10n digits (D by projection: the lesson `conditional`)
    both        samples, and everything that is drawn is moved

A conditional GAN draws from q(x, y), an estimate of p(x, y) from the very digits that the classifier has. It adds no
information. All that it may add are the assumptions built into its networks, such as that a slightly thicker stroke is still
a stroke. Turning and shifting is knowledge from outside: that a digit stays the same digit.

Source of the idea: Antoniou, Storkey & Edwards, "Data Augmentation Generative Adversarial Networks" (2017), whose GAN, unlike
this one, learned on other classes how images may vary; and Ravuri & Vinyals, "Classification Accuracy Score for Conditional
Generative Models" (2019), who found that samples alone train worse classifiers than real images, however good they look.

What to expect: moving the digits halves the error. Samples gain nothing, though nearly all are recognised as the class asked
for. Where digits are few, the GAN repeats those that it has seen: in the picture the rows of one n are alike. Nothing holds D's
slope down here, and a class may break down, as the 8 of 50 in the picture of the long version. Where there are many, samples
take the place of digits that are equally good or, after the short version, better.
"""
import numpy as np
from matplotlib.figure import Figure

import tinygan as tg
from tinygan.look import metrics, plots

from . import descend, rounds
from .conditional import LATENT, Projection, draw, train as train_gan
from .semi_supervised import choose

DIGITS_PER_CLASS = (10, 50, 500)        # n
BATCH, LR = 64, 1e-3
MAX_TURN, MAX_SHIFT = 15, 2             # degrees and pixels
SAMPLES_PER_CLASS = 500


def untrained(rng):
    """images (N, 28, 28, 1) → logits (N, 10), with random weights"""
    return tg.Sequential(tg.Conv2D(1, 16, 4, stride=2), tg.LeakyReLU(0.1), tg.Conv2D(16, 32, 4, stride=2), tg.LeakyReLU(0.1),
                         tg.Flatten(), tg.Dense(7 * 7 * 32, 64), tg.LeakyReLU(0.1), tg.Dense(64, 10)).initialise(rng)


def train(network, batch, steps):
    """Train the network; batch() gives images and labels. The learning rate falls in a straight line to 0."""
    adam = tg.Adam(network.parameters(), LR, betas=(0.9, 0.999))
    for step in rounds(steps):
        images, labels = batch()
        descend(adam, tg.losses.cross_entropy(network(images), labels), fraction=1 - step / steps)


def moved(images, rng):
    """Each image turned and shifted a little, white paper coming in."""
    from scipy.ndimage import affine_transform
    result = np.empty_like(images)
    for k, (turn, *shift) in enumerate(rng.uniform(-1, 1, (len(images), 3)) * (np.deg2rad(MAX_TURN), MAX_SHIFT, MAX_SHIFT)):
        back = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])     # a pixel's place → where it was
        middle = (np.array(images.shape[1:3]) - 1) / 2
        result[k, ..., 0] = affine_transform(images[k, ..., 0], back, middle - back @ (middle + shift), order=1, cval=-1)
    return result


def some(images, labels, n, rng):
    """n of them, drawn at random"""
    k = rng.integers(0, len(images), n)
    return images[k], labels[k]


def half_and_half(real, drawn, rng):
    """A batch, one half of digits, one half of samples"""
    parts = some(*real, BATCH // 2, rng), some(*drawn, BATCH // 2, rng)
    return tuple(np.concatenate(part) for part in zip(*parts))


def play(it, k, n):
    """Run k with n digits of each class: ({way: error in %}, samples (10·SAMPLES_PER_CLASS, 28, 28, 1) and their classes)."""
    images, labels = it.train
    few = choose(labels, it.rng(k, n, 0), n)
    real = images[few], labels[few]
    G = train_gan(Projection(it.rng(k, n, 1)), *real, it.steps(1200, 5000), it.rng(k, n, 2), it.seed + k)
    drawn = draw(G, it.rng(k, n, 3).standard_normal((SAMPLES_PER_CLASS, LATENT)).astype(np.float32))
    rng = it.rng(k, n, 4)

    def also_moved(batch):
        def moving():
            images, labels = batch()
            return moved(images, rng), labels
        return moving

    ways = {"alone": lambda: some(*real, BATCH, rng), "samples": lambda: half_and_half(real, drawn, rng)}
    ways |= {"moved": also_moved(ways["alone"]), "both": also_moved(ways["samples"])}
    errors = {}
    for way in WAYS:
        network = untrained(it.rng(k, n, 5))         # with the same weights each time
        train(network, ways[way], it.steps(600, 2000))
        errors[way] = 100 * (1 - metrics.accuracy(network, *it.test))
    return errors, drawn


WAYS = {"alone": plots.GREY, "samples": plots.ORANGE, "moved": plots.BLUE, "both": "#009e73"}


def lesson(it):
    judge, errors, rows = metrics.classifier(), {}, []
    for n in DIGITS_PER_CLASS:
        runs = [play(it, k, n) for k in range(3 if it.full else 1)]
        for way in WAYS:
            errors[n, way] = [found[way] for found, _ in runs]
            it.found(f"error on {len(it.test[0]):,} test digits, {n} of each class, {way}", errors[n, way], "{:.2f} %")
        drawn, asked = runs[0][1]
        it.found(f"samples of the GAN trained on {n} of each class: recognised as the class asked for",
                 100 * metrics.accuracy(judge, drawn, asked), "{:.1f} %")
        rows += [(f"{n} of each class", drawn[start::SAMPLES_PER_CLASS]) for start in range(3)]
    plots.rows(rows, it.folder / "samples.png", "What the GANs draw that saw so few digits")
    plots.save(picture(errors), it.folder / "errors.png")


@plots.own_settings()
def picture(errors):
    """errors: {(n, way): [error of each run]}. Their means over n, and the single runs as dots."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axis = figure.subplots()
    for way, colour in WAYS.items():
        runs = np.array([errors[n, way] for n in DIGITS_PER_CLASS])     # (sizes, runs)
        axis.plot(DIGITS_PER_CLASS, runs.mean(axis=1), color=colour, label=way)
        axis.plot(DIGITS_PER_CLASS, runs, ".", color=colour)
    axis.set(xscale="log", yscale="log", xlabel="labelled digits of each class", ylabel="error on test digits, %")
    axis.set_xticks(DIGITS_PER_CLASS, DIGITS_PER_CLASS)
    axis.set_yticks([2, 5, 10, 20, 50], [2, 5, 10, 20, 50])
    axis.minorticks_off()
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    figure.suptitle("Few labelled digits, and four ways to make the most of them")
    return figure
