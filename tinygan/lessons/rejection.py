"""Can D, which was only G's teacher, choose the better half of what G draws?

The optimal D has the logit a = log p(x) − log q(x), for data of density p and samples of density q. So D knows by how much G
draws x too often, and may throw away what is too much (rejection sampling): with M = max a it keeps x with probability

    r(x) = e^(a(x) − M) = p(x)/(q(x)·e^M)        the density of what is kept is p, the fraction of it is e^(−M)

One high logit makes M large and the fraction tiny. So the odds r/(1 − r) of being kept are divided by e^γ, and γ is chosen
for the fraction that one asks for. In logits, with F = log r − log(1 − r):

    P(keep x) = σ(F(x) − γ)

With γ = 0 that is r, and p is kept; with γ → −∞ all of q is; with γ > 0 hardly anything but what has an a near M.

First on a line, where D is known: p = N(0, 1), and q = N(1, 2²) draws too widely, and on one side.

    a(x) = log 2 + (x − 1)²/8 − x²/2        M = a(−1/3) = log 2 + 1/6        e^(−M) = 0.4232

Then digits, with two discriminators: D as the game has left it, and a copy that went on learning while G was held, as in the
source. Beside rejection stand the samples of the highest logits. No chance is in that choice, and what it keeps is not p,
whatever D is.

What to expect: on the line p comes out, from the learned D nearly so. ¾ kept lie between q and p, ¼ kept are narrower than p.
Of the digits, hardly more are sure when D of the game keeps half, and they lie a little further from the real ones: it
learned from a G that moved, and never saw the averaged G, which draws here. The D that went on knows what this one draws too
often: two or three more in a hundred are sure, but G draws so well that this D too takes more in variety than it gives. The
highest logits are the surest, and with D of the game the least various: the entropy of the classes falls, and the distance
rises.

Source: Azadi et al., "Discriminator Rejection Sampling" (2019), sections 3.1 and 3.2. Their numbers are from ImageNet, with
another score, and another D and G.
"""
import copy

import numpy as np
from matplotlib.figure import Figure

import tinygan as tg
from tinygan.look import metrics, plots
from tinygan.rejection import gamma_of, logit, sigma
from tinygan.run.presets import PRESETS
from tinygan.theory import gauss1d

from . import descend, fit, outputs, rounds, share, together

MU, S = 1.0, 2.0                # of q
POINTS = 100_000                # drawn from q
KEPT = (0.75, 0.5, 0.25)        # fractions
JUDGED = 1000                   # samples that are scored, of each choice
BATCH, LR = 64, 1e-3            # of the D that goes on


def optimal_logit(x):
    """log N(x; 0, 1) − log N(x; μ, s²)"""
    return np.log(S) + (x - MU) ** 2 / (2 * S ** 2) - x ** 2 / 2


def chosen(a, rng, keep=None):
    """Which of the samples with logits a (N,) are kept: by γ = 0, or as many as the fraction says."""
    F = logit(a, a.max())
    return rng.random(len(a)) < sigma(F - (0 if keep is None else gamma_of(F, keep)))


def surest(a, keep):
    """The fraction of the samples with the highest logits, as chosen() says it."""
    return a > np.quantile(a, 1 - keep)


@plots.own_settings()
def line(it):
    """Rejection where p and q are known, by the optimal D and by one that learned from samples."""
    x = MU + S * it.rng(1).standard_normal(POINTS)
    D = gauss1d.network(it.rng(2))
    gauss1d.play(D, lambda z: MU + S * z, it.steps(1500, 1500), it.rng(3))
    cases = {"optimal D, γ = 0": (optimal_logit(x), None), "learned D, γ = 0": (gauss1d.evaluate(D, x), None),
             "optimal D, ¾ kept": (optimal_logit(x), 0.75), "optimal D, ¼ kept": (optimal_logit(x), 0.25)}
    figure = Figure(figsize=(13, 3.4), layout="constrained")
    for axis, (name, (a, keep)) in zip(figure.subplots(1, len(cases), sharey=True), cases.items()):
        kept = x[chosen(a, it.rng(4), keep)]
        for what, value, form, theory in (("kept", 100 * len(kept) / len(x), "{:.1f} %", "42.3 %"),
                                          ("mean", kept.mean(), "{:.3f}", "0"), ("deviation", kept.std(), "{:.3f}", "1")):
            it.found(f"line, {name}: {what}" + f" (theory: {theory})" * (keep is None), value, form)
        for values, colour, label in ((x, plots.ORANGE, "q, drawn"), (kept, plots.BLUE, "kept")):
            axis.hist(values, 120, range=(-6, 8), density=True, histtype="stepfilled", alpha=0.5, color=colour, label=label)
        axis.plot(gauss1d.X, gauss1d.normal(gauss1d.X), color="black", linewidth=1, label="p, the data")
        axis.set(title=name, xlabel="x", xlim=(-6, 8))
        axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    plots.save(figure, it.folder / "line.png", dpi=100)


@together(BATCH)
def taught(D, gan, images, steps, rng):
    """A copy of D that has learned for some steps more to tell the images from what G draws, while G is held."""
    D = copy.deepcopy(D)
    adam = tg.Adam(D.parameters(), LR)
    for step in rounds(steps):
        x, z = share(images[rng.integers(0, len(images), BATCH)], rng.standard_normal((BATCH, gan.latent)))
        descend(adam, tg.losses.discriminator_loss(D(tg.Tensor(x)), D(tg.Tensor(gan.generate(z)))), 1 - step / steps)
    return D


def digits(it):
    """The default recipe, and what each D keeps of its samples."""
    recipe, images = PRESETS["digits"], it.train[0]
    gan = recipe.build(it.seed)
    fit(gan, images, it.steps(recipe.steps, 20000), recipe.batch_size)
    z = it.rng(5).standard_normal((int(1.1 * JUDGED / min(KEPT)), gan.latent))
    x = np.concatenate([gan.generate(z[k:k + 500]) for k in range(0, len(z), 500)])
    scores = {"all": [metrics.score(x[:JUDGED])]}
    going_on = taught(gan.discriminator, gan, images, it.steps(500, 2000), it.rng(6))
    for who, D in (("D of the game", gan.discriminator), ("D that went on", going_on)):
        with D.evaluating():
            a = outputs(D, x)[:, 0].astype(np.float64)
        choices = {keep: chosen(a, it.rng(7), keep) for keep in KEPT}
        scores[f"{who}, rejection"] = [metrics.score(x[choices[keep]][:JUDGED]) for keep in KEPT]
        scores[f"{who}, highest logits"] = [metrics.score(x[surest(a, keep)][:JUDGED]) for keep in KEPT]
    plots.rows([("drawn", x[:12]), ("kept", x[choices[0.5]][:12]), ("thrown away", x[~choices[0.5]][:12])],
               it.folder / "kept.png", "Half is kept, by chance and by the D that went on")
    return scores


def lesson(it):
    line(it)
    scores = digits(it)
    for who, found in scores.items():
        score, name = found[len(found) // 2], f"digits, {who}" + ", ½ kept" * (len(found) > 1)
        theirs = who == "D that went on, rejection"
        it.found(f"{name}: share the classifier is sure of", 100 * score.sure, "{:.1f} %",
                 "Inception score 62.4 → 76.1" if theirs else "")
        it.found(f"{name}: Fréchet distance (classifier's features)", score.frechet, "{:.1f}",
                 "14.8 → 13.8 with Inception's features" if theirs else "")
        it.found(f"{name}: class entropy, of 2.303", score.entropy, "{:.3f}")
    trade(it, scores)


@plots.own_settings()
def trade(it, scores):
    """Sureness against the distance: a line for each way to choose, from all samples to a quarter."""
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axis = figure.subplots()
    (start,), colours = scores.pop("all"), (plots.ORANGE, plots.ORANGE, plots.BLUE, plots.BLUE)
    all_of_them = 100 * start.sure, start.frechet
    for (who, found), colour in zip(scores.items(), colours):
        sure, distance = zip(*[(100 * score.sure, score.frechet) for score in (start, *found)])
        axis.plot(sure, distance, "o--" if "logits" in who else "o-", color=colour, markersize=4, label=who)
        axis.annotate("¼", (sure[-1], distance[-1]), xytext=(5, 4 if colour == plots.ORANGE else -14),
                      textcoords="offset points", color=colour)
    axis.plot(*all_of_them, "o", color="black", markersize=7, zorder=3)
    axis.annotate("all", all_of_them, xytext=(0, -16), textcoords="offset points", ha="center")
    axis.set(xlabel="share the classifier is sure of, %", ylabel="Fréchet distance", yscale="log",
             title="All samples, then ¾, ½, ¼ of them")
    axis.margins(0.1)
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("{x:g}")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    plots.save(figure, it.folder / "trade.png", dpi=100)
