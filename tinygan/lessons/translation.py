"""Can a GAN turn one kind of picture into another, with pairs to learn from and without?

With pairs: outlines x and the digits y that they were taken from. G fills the outline in; D sees outline and digit together
and tells true pairs from filled-in ones. To what D wants comes the distance to the one right answer:

    L_G = E softplus(−D(x, G(x))) + λ·E |y − G(x)|        λ = 100

Without the first term G answers with the middle of all digits that fit, which is grey where they differ. An outline leaves
little open, so here both come out alike: the adversarial term pays where there is something to choose.
Source: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks" (2017), equations 1 to 4.

Without pairs: upright digits a and slanted digits b, written by others. G slants, F sets upright, each has a D that knows
real ones of its kind. Being believed is not enough, as any slanted digit would do: there and back must lead to the same digit,

    L = least squares of both D + λ·(E |F(G(a)) − a| + E |G(F(b)) − b|)        λ = 10

the smallest honest example of a change of style. Here the right answer is known, though no network sees it: a sheared by
the same angle. So it can be measured whether the digit stayed the same. In the short version D alone loses many digits, a
sixth of them or two fifths, depending on the seed; the cycle loses few. In the long one D alone keeps them too, because what
is handed across the network makes that the easiest way, but it stays less close to the pixels of the right answer.
Source: Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks" (2017), section 3.
"""
import numpy as np

import tinygan as tg
from tinygan import ops
from tinygan.look import metrics, plots
from tinygan.losses import (discriminator_loss, generator_loss, least_squares_discriminator_loss,
                            least_squares_generator_loss)

from . import descend, outputs, rounds, share, together

BATCH, WIDTH, SLANT = 32, 16, 0.5       # SLANT: columns that a row moves for each row further up


class Translator(tg.Module):
    """Images (N, 28, 28, 1) → images: down to 7×7 and up again; what was there at 14×14 is handed across (U-Net)."""

    def __init__(self):
        def leaky(*layers):
            return tg.Sequential(*layers, tg.LeakyReLU(0.2))

        w = WIDTH
        self.down1 = leaky(tg.Conv2D(1, w, 4, stride=2))                                                # 14×14×16
        self.down2 = leaky(tg.Conv2D(w, 4 * w, 4, stride=2), tg.BatchNorm(4 * w))                       # 7×7×64
        self.middle = leaky(tg.Conv2D(4 * w, 4 * w, 3), tg.BatchNorm(4 * w))
        self.up1 = leaky(tg.Conv2DTranspose(4 * w, w, 4, stride=2), tg.BatchNorm(w))                    # 14×14×16
        self.up2 = tg.Sequential(tg.Conv2DTranspose(2 * w, 1, 4, stride=2), tg.Tanh())                  # 28×28×1

    def forward(self, x):
        half = self.down1(x)
        return self.up2(ops.concatenate([self.up1(self.middle(self.down2(half))), half], axis=3))


def discriminator(channels):
    """images (N, 28, 28, channels) → logits (N, 1)"""
    return tg.Sequential(tg.Conv2D(channels, 2 * WIDTH, 4, stride=2), tg.LeakyReLU(0.2),
                         tg.Conv2D(2 * WIDTH, 4 * WIDTH, 4, stride=2), tg.LeakyReLU(0.2),
                         tg.Flatten(), tg.Dense(7 * 7 * 4 * WIDTH, 1))


def beside(x, y):
    """What D of the pairs sees: two images, (N, 28, 28, 1) each → (N, 28, 28, 2)"""
    return ops.concatenate([x, y], axis=3)


def pairs_loss(G, D, x, y):
    """L_G of the first equation; without its first term where there is no D"""
    filled = G(x)
    near = 100 * abs(y - filled).mean()
    return near if D is None else generator_loss(D(beside(x, filled))) + near


@together(BATCH)
def learn_pairs(x, y, steps, rng, adversarial):
    """G: x → y from pairs, with D's say or by the distance alone."""
    G, D = Translator().initialise(rng, 0.02), discriminator(2).initialise(rng, 0.02)
    g_adam, d_adam = tg.Adam(G.parameters(), lr=1e-3), tg.Adam(D.parameters(), lr=2e-4)
    for _ in rounds(steps):
        batch = rng.integers(0, len(x), BATCH)
        outline, digit = map(tg.Tensor, share(x[batch], y[batch]))
        if adversarial:
            fake = G(outline).detach()
            descend(d_adam, discriminator_loss(D(beside(outline, digit)), D(beside(outline, fake))))
        descend(g_adam, pairs_loss(G, D if adversarial else None, outline, digit))
    return G


def styles_loss(G, F, D_a, D_b, a, b, cycle):
    """What G and F minimise: the second equation, their half of it"""
    fake_b, fake_a = G(a), F(b)
    believed = least_squares_generator_loss(D_b(fake_b)) + least_squares_generator_loss(D_a(fake_a))
    if not cycle:
        return believed
    return believed + cycle * (abs(F(fake_b) - a).mean() + abs(G(fake_a) - b).mean())


@together(BATCH)
def learn_styles(a, b, steps, rng, cycle):
    """G: a → b without pairs, held by the cycle of weight `cycle`, which may be 0."""
    G, F = Translator().initialise(rng, 0.02), Translator().initialise(rng, 0.02)
    D_a, D_b = discriminator(1).initialise(rng, 0.02), discriminator(1).initialise(rng, 0.02)
    g_adam = tg.Adam(G.parameters() + F.parameters(), lr=5e-4)
    d_adam = tg.Adam(D_a.parameters() + D_b.parameters(), lr=2e-4)
    for _ in rounds(steps):
        upright, slanted = map(tg.Tensor, share(*[x[rng.integers(0, len(x), BATCH)] for x in (a, b)]))
        fake_b, fake_a = G(upright).detach(), F(slanted).detach()
        descend(d_adam, least_squares_discriminator_loss(D_a(upright), D_a(fake_a))
                + least_squares_discriminator_loss(D_b(slanted), D_b(fake_b)))
        descend(g_adam, styles_loss(G, F, D_a, D_b, upright, slanted, cycle))
    return G


def outlines(images):
    """Ink that has paper above, below, left or right of it."""
    from scipy.ndimage import binary_erosion
    ink = images[..., 0] > 0
    cross = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]])                       # ink that has ink on all four sides stays
    return np.where(ink & ~binary_erosion(ink, cross), 1, -1).astype(np.float32)[..., None]


def slants(images):
    """How many columns the ink moves for each row further up: −cov(row, column)/var(row), the rows weighted by ink."""
    ink = (images[..., 0] + 1) / 2 + 1e-6                                       # (N, 28, 28)
    rows, columns = np.mgrid[:28, :28]
    total = ink.sum(axis=(1, 2))
    row, column = ((ink * axis).sum(axis=(1, 2)) / total for axis in (rows, columns))
    away = rows - row[:, None, None]
    return -(ink * away * (columns - column[:, None, None])).sum(axis=(1, 2)) / (ink * away ** 2).sum(axis=(1, 2))


def sheared(images, by):
    """Each image with every row moved sideways, by[k] columns for each row above the middle; linear interpolation."""
    from scipy.ndimage import affine_transform
    return np.stack([affine_transform(image[..., 0], [[1, 0], [s, 1]], (0, -13.5 * s), order=1, mode="nearest")
                     for image, s in zip(images, by)])[..., None]


def lesson(it):
    judge, (images, _), (test, labels) = metrics.classifier(), it.train, it.test

    def recognised(who, pictures):
        it.found(f"{who}: recognised as the digit that it was", 100 * metrics.accuracy(judge, pictures, labels), "{:.1f} %")

    x, outlined = outlines(test), outlines(images)
    shown = [("digit y", test[:10]), ("its outline x", x[:10])]
    it.found("test digits: share of pixels that are grey, |pixel| < 0.8", (abs(test) < 0.8).mean(), "{:.3f}")
    for name, adversarial in (("distance alone", False), ("distance and D", True)):
        G = learn_pairs(outlined, images, it.steps(600, 6000), it.rng(0), adversarial)
        filled = outputs(G.eval(), x)
        recognised(f"outlines filled in, {name}", filled)
        it.found(f"outlines filled in, {name}: E |G(x) − y|", abs(filled - test).mean(), "{:.3f}")
        it.found(f"outlines filled in, {name}: share of grey pixels", (abs(filled) < 0.8).mean(), "{:.3f}")
        shown.append((f"G(x), {name}", filled[:10]))
    plots.rows(shown, it.folder / "pairs.png", "Outlines filled in, learned from pairs")

    half, upright = len(images) // 2, sheared(images, -slants(images))
    a, b = upright[:half], sheared(upright[half:], np.full(len(images) - half, SLANT))      # no digit is in both
    x = sheared(test, -slants(test))
    right = sheared(x, np.full(len(test), SLANT))
    shown = [("upright a", x[:10]), ("the right answer", right[:10])]
    recognised("upright digits sheared, the right answers", right)
    for name, cycle in (("D alone", 0), ("D and the cycle", 10)):
        y = outputs(learn_styles(a, b, it.steps(1000, 6000), it.rng(1), cycle).eval(), x)
        recognised(f"slanted without pairs, {name}", y)
        it.found(f"slanted without pairs, {name}: E |G(a) − right answer|", abs(y - right).mean(), "{:.3f}")
        it.found(f"slanted without pairs, {name}: mean slant (right: {slants(right).mean():.2f})", slants(y).mean(), "{:.2f}")
        shown.append((f"G(a), {name}", y[:10]))
    plots.rows(shown, it.folder / "styles.png", "Upright digits slanted, learned without pairs")
