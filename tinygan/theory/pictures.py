"""The pictures of the two studies, and what writes their numbers down."""
import csv

import numpy as np
from matplotlib.figure import Figure

from ..look.files import whole
from ..look.plots import BLUE, GREEN, GREY, ORANGE, PURPLE, own_settings

COLOURS = {"simultaneous": ORANGE, "alternating": PURPLE, "extragradient": BLUE, "R1": GREEN}
HALF_WIDTH = 3.0               # of the portrait
X_RANGE = (-4, 8)              # the part of the line that is drawn
LEAST_DENSITY = 1e-3           # D* is drawn where p + q is more than this: elsewhere nothing tells D what to say
ARROW = 1.5                    # length of the arrow for a gradient of 1


def write_csv(path, names, rows):
    """A line with the names of the columns, and one for each row."""
    with whole(path) as unfinished, open(unfinished, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([names, *rows])


# gauss1d

@own_settings()
def optimal(x, cases):
    """For each case what D has learned over D*, and below where a fake at x would be moved by each loss of G.

    cases: [(title, p, q, D, gradients)] with arrays over x; gradients: {loss: (of the learned D, of D*)}."""
    figure = Figure(figsize=(14, 6.4), layout="constrained")
    axes = figure.subplots(2, len(cases), sharex=True, sharey="row")
    for (upper, lower), (title, p, q, belief, gradients) in zip(axes.T, cases):
        _densities(upper, x, p, q)
        _beliefs(upper, x, p, q, belief)
        upper.set(title=title, xlim=X_RANGE, ylim=(0, 1.02))
        for (loss, (learned, exact)), colour in zip(gradients.items(), (GREEN, PURPLE)):
            lower.plot(x, learned, color=colour, label=loss)
            lower.plot(x, np.where(p + q > LEAST_DENSITY, exact, np.nan), color="black", linestyle="--", linewidth=1)
        lower.set(xlabel="x")
        _bare(upper, lower)
    axes[0, 0].set_ylabel("density, and D's belief: real")
    axes[1, 0].set_ylabel("−∂L_G/∂x: where a fake is moved")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    more, names = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles + more, labels + [f"gradient, {name}" for name in names], loc="outside lower center", ncols=6,
                  frameon=False)
    figure.suptitle("What D learns from samples, and dashed what is optimal (where p + q > 0.001)")
    return figure


@own_settings()
def game(x, p, story, chosen):
    """The densities and D at the chosen moments, side by side; below, the losses until the last of them.

    story: [Moment] of gauss1d.py; chosen: indices in it."""
    figure = Figure(figsize=(3.4 * len(chosen) + 0.6 if len(chosen) > 1 else 6.4, 7.6), layout="constrained")
    rows = figure.subplot_mosaic([[f"{row}{k}" for k in chosen] for row in "ab"] + [["losses"] * len(chosen)])
    for k in chosen:
        upper, lower, moment = rows[f"a{k}"], rows[f"b{k}"], story[k]
        _densities(upper, x, p, moment.q)
        level = np.full(len(moment.fakes), -0.08)
        upper.quiver(moment.fakes, level, ARROW * moment.pull, 0 * level, color=ORANGE, angles="xy", scale_units="xy",
                     scale=1, width=0.007)
        upper.plot(moment.fakes, level, color=ORANGE, marker=".", markersize=3, linestyle="none")
        upper.plot([], [], color=ORANGE, marker="<", label="−∂L_G/∂x at some fakes")
        _beliefs(lower, x, p, moment.q, moment.belief)
        upper.set(title=f"step {moment.step:,}", xlim=X_RANGE, ylim=(-0.16, 1.02))
        lower.set(xlabel="x", xlim=X_RANGE, ylim=(0, 1.02))
        lower.axhline(0.5, color=GREY, linewidth=0.6)
        _bare(upper, lower)
    rows[f"a{chosen[0]}"].set_ylabel("density")
    rows[f"b{chosen[0]}"].set_ylabel("D's belief: real")
    told, axis = story[1:chosen[-1] + 1], rows["losses"]
    axis.axhline(np.log(4), color=GREY, linestyle=":", label="log 4")
    axis.plot([m.step for m in told], [m.loss for m in told], color=BLUE, label="D's loss")
    axis.plot([m.step for m in told], [m.bound for m in told], color="black", linestyle="--", linewidth=1,
              label="log 4 − 2 JS(p, q)")
    axis.set(xlabel="step, logarithmic", ylabel="loss", xscale="log", xlim=(1, max(2, story[-1].step)), ylim=(0, 1.6))
    axis.legend(loc="lower right", frameon=False)
    _bare(axis)
    handles = {label: handle for row in "ab" for handle, label in
               zip(*rows[f"{row}{chosen[0]}"].get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", frameon=False,
                  ncols=3 if len(chosen) == 1 else 5)
    return figure


def _densities(axis, x, p, q):
    axis.fill_between(x, p, color=GREY, alpha=0.35, linewidth=0, label="p, the data")
    axis.fill_between(x, q, color=ORANGE, alpha=0.35, linewidth=0, label="q, the fakes")


def _beliefs(axis, x, p, q, belief):
    axis.plot(x, belief, color=BLUE, label="D, learned")
    seen = p + q > LEAST_DENSITY
    best = np.full(len(x), np.nan)
    best[seen] = p[seen] / (p + q)[seen]
    axis.plot(x, best, color="black", linestyle="--", linewidth=1.2, label="D* = p/(p + q)")


def _bare(*axes):
    """Take away the frame's upper and right side."""
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)


# dirac

@own_settings()
def portrait(fields, far, near, step, title):
    """The way of each method over the vector field, up to `step`; below, if `near` is given, distances beside theory.

    fields: {title of a game: (ψ, θ, ψ̇, θ̇)}; far: {game: {method: trajectory (steps + 1, 2)}};
    near: {game: {method: (trajectory, |λ|)}} or None."""
    figure = Figure(figsize=(10, 9.6 if near else 5.8), layout="constrained")
    axes = figure.subplots(2 if near else 1, 2, squeeze=False, height_ratios=(5, 3) if near else None)
    for column, (game, field) in enumerate(fields.items()):
        axis = axes[0, column]
        axis.quiver(*field, color=GREY, alpha=0.45, width=0.003)
        for method, way in far[game].items():
            way = way[:step + 1]
            axis.plot(*way.T, color=COLOURS[method], linewidth=1, marker=".", markersize=2.5, label=method)
            axis.plot(*way[-1], color=COLOURS[method], marker="o", markersize=7, markeredgecolor="white")
        axis.plot(*way[0], color="black", marker="x", linestyle="none", label="start")
        axis.plot(0, 0, color="black", marker="+", markersize=10, linestyle="none", label="equilibrium")
        axis.set(title=game, xlabel="ψ, the discriminator", ylabel="θ, the generator", xlim=(-HALF_WIDTH, HALF_WIDTH),
                 ylim=(-HALF_WIDTH, HALF_WIDTH), aspect="equal")
        if near:
            _distances(axes[1, column], near[game])
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)
    figure.suptitle(title)
    return figure


def _distances(axis, near):
    """The distance against the step: as played, and dashed as the spectral radius predicts."""
    for method, (path, radius) in near.items():
        distance = np.linalg.norm(path, axis=1)
        axis.semilogy(distance / distance[0], color=COLOURS[method])
        axis.semilogy(radius ** np.arange(len(path)), color="black", linestyle="--", linewidth=0.8)
    axis.set(xlabel="step k", ylabel="distance, 1 at the start", xlim=(0, len(path) - 1),
             title="Near the equilibrium: its distance; dashed: |λ|ᵏ")
    _bare(axis)
