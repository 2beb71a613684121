"""Pictures of a run. They are drawn without pyplot, so no window opens, and with settings of their own, so whatever fonts,
colours or upside-down images a notebook has chosen, they come out the same and its settings stay as they are.

Each function writes its picture to `path`. Without a path it returns the picture as an Image of Pillow's; a notebook
shows that when it is the last value of a cell."""
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import numpy as np
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image                       # Pillow, without which matplotlib cannot be installed

from ..errors import TinyganError
from .diagnosis import LOG_4, are_beliefs
from .files import whole

# Colour-blind readers can tell these apart too (Okabe & Ito 2008). page.css has the same blue and orange.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#777777"
PALE = LinearSegmentedColormap.from_list("pale", ["#ffffff", "#5aa5d6"])       # light: dots and arrows lie on it
GAP = 2                        # pixels of paper between two images of a sheet
ZOOM = 3                       # `samples` draws each pixel 3 × 3, of images wider than 33 pixels fewer
SCORES = {"frechet": "Fréchet distance: 0 is equal", "modes": "modes covered", "quality": "fraction within 3σ of a mode"}
LEARNING = "What G makes of the same noise as it learns"
DPI = 120                      # dots for each inch of a figure, unless the caller says otherwise
DRAWING = RLock()


@contextmanager
def own_settings():
    """The settings that matplotlib comes with, inside of the block or of the function that this decorates.

    All threads share them, so one draws at a time: else the first to end would give the second the caller's."""
    with DRAWING, style.context("default"):
        yield


def samples(images, path=None, columns=10, ink=True) -> Image.Image | None:
    """A grid of images, as `sheet` draws them."""
    grid = picture(framed(sheet(images, columns, ink), GAP, GAP), max(1, min(ZOOM, 100 // images.shape[2])))
    return grid if path is None else save(grid, path)


def sheet(images, columns=10, ink=True):
    """Images (N, H, W, C) in [−1, 1] → one sheet (height, width) or, if C is 3, (height, width, 3) in [0, 1]; NaN is grey.

    ink: 1 is ink on white paper, as in digits; False: 1 is white, as in photographs. Colours are always as they are.
    TinyganError for an array of another shape."""
    if images.ndim != 4 or images.shape[3] not in (1, 3):
        raise TinyganError(f"got an array of shape {images.shape} to draw, expected images (N, H, W, 1), grey, or "
                           "(N, H, W, 3), in colour: reshape it")
    n, height, width, channels = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    paper = np.ones((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, channels))
    for k, image in enumerate(np.nan_to_num(images, nan=0.0)):
        top, left = k // columns * (height + GAP), k % columns * (width + GAP)
        light = image.clip(-1, 1) * (-1 if ink and channels == 1 else 1)
        paper[top:top + height, left:left + width] = (1 + light) / 2
    return paper if channels == 3 else paper[..., 0]


def framed(paper, above, around):
    """The sheet with so many pixels of white above it and on its other sides."""
    sides = ((above, around), (around, around)) + ((0, 0),) * (paper.ndim - 2)
    return np.pad(paper, sides, constant_values=1)


def picture(paper, zoom=1, greys=256):
    """A sheet in [0, 1] as an Image with so many levels of grey, or in colour, each pixel drawn zoom × zoom."""
    greys = greys if paper.ndim == 2 else 256
    levels = ((greys - 1) * paper + 0.5).astype(np.uint8) * (255 // (greys - 1))
    return Image.fromarray(levels.repeat(zoom, axis=0).repeat(zoom, axis=1))


@own_settings()
def drawn(figure, dpi=DPI):
    """A matplotlib Figure as an Image."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


@own_settings()
def save(shown, path, dpi=DPI, **options):
    """Write a Figure, or an Image, to `path`: the whole file or none. A file that is open already is written to as it is."""
    figure = isinstance(shown, Figure)
    write, options = (shown.savefig, {"dpi": dpi}) if figure else (shown.save, options)
    if hasattr(path, "write"):
        return write(path, **options)
    path = Path(path)
    with whole(path.with_suffix(path.suffix or ".png")) as unfinished:
        write(unfinished, **options)


def _finished(figure, path):
    return drawn(figure) if path is None else save(figure, path)


@own_settings()
def progress(frames, path=None, ink=True) -> Image.Image | None:
    """frames: [(step, samples)]. Of images (8, H, W, C) a row for each moment; a column follows one noise vector.
    Of points (N, 2) a panel for each moment; all show the part of the plane where the last ones lie."""
    if frames[0][1].ndim == 2:
        return _finished(_panels(frames), path)
    figure = Figure(figsize=(7, 0.85 * len(frames) + 0.6), layout="constrained")
    axes = figure.subplots(len(frames), len(frames[0][1]), squeeze=False)
    for row, (step, images) in zip(axes, frames):
        for axis, image in zip(row, images):
            axis.imshow(sheet(image[None], ink=ink), cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        row[0].set_ylabel(f"step {step:,}", rotation=0, ha="right", va="center", labelpad=8)
    figure.suptitle(LEARNING, fontsize=11)
    return _finished(figure, path)


@own_settings()
def _panels(frames):
    figure = Figure(figsize=(2 * len(frames), 2.6), layout="compressed")
    axes, last = figure.subplots(1, len(frames), squeeze=False)[0], frames[-1][1]
    middle, half = (last.min(axis=0) + last.max(axis=0)) / 2, 0.6 * max(np.ptp(last, axis=0).max(), 1e-3)
    for axis, (step, points) in zip(axes, frames):
        axis.scatter(*points.T, s=1, color=ORANGE, linewidths=0)
        axis.set(aspect="equal", title=f"step {step:,}", xticks=[], yticks=[],
                 xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
    figure.suptitle(LEARNING, fontsize=11)
    return figure


@own_settings()
def rows(named, path=None, title="", ink=True) -> Image.Image | None:
    """named: [(label, images (n, H, W, C) in [−1, 1])], the same n for all. A row for each, its label on the left."""
    columns, height = len(named[0][1]), named[0][1].shape[1] + GAP
    paper = sheet(np.concatenate([images for _, images in named]), columns, ink)
    inches = max(0.7, 4 / columns)                                      # of one image; the title needs some room
    figure = Figure(figsize=(inches * columns + 1.8, inches * len(named) + 0.6), layout="compressed")
    axis = figure.subplots()
    figure.get_layout_engine().set(w_pad=0.1)                           # inches, beside the labels
    axis.imshow(paper, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set(xticks=[], yticks=(np.arange(len(named)) + 0.5) * height - GAP / 2)
    axis.set_yticklabels([label for label, _ in named])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    figure.suptitle(title, fontsize=11)
    return _finished(figure, path)


@own_settings()
def losses(history, path=None) -> Image.Image | None:
    """history: {"d_loss": […], "g_loss": […], "d_real": […], "d_fake": […]}, one number for each step."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    _curves(upper, history, (("d_loss", "loss of D", BLUE), ("g_loss", "loss of G", ORANGE)))
    upper.set(ylabel="loss")
    figure.suptitle("Two losses in a game: neither has to fall for the pictures to get better")
    _curves(lower, history, (("d_real", "D(x), real", BLUE), ("d_fake", "D(G(z)), fake", ORANGE)))
    beliefs = are_beliefs(history)
    if beliefs:
        for axis, value, label in ((upper, LOG_4, "log 4: D's loss when it can only guess"),
                                   (lower, 0.5, "½: D can only guess")):
            axis.axhline(value, color=GREY, linestyle="--", linewidth=1.5, label=label)
    lower.set(xlabel="step", ylabel="D's mean belief: real" if beliefs else "D's mean score",
              xlim=(0, len(history["d_loss"]) + 1))
    for axis in (upper, lower):
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, ncols=3)    # above the curves, not on them
        axis.spines[["top", "right"]].set_visible(False)
    return _finished(figure, path)


@own_settings()
def scores(taken, best, path=None, real=None):
    """taken: [{"step": …, and the numbers of a score}], drawn over the steps; best: the step of the best.

    real: the score of real pictures, which is what one can hope for."""
    shown = [(name, label) for name, label in SCORES.items() if name in taken[0]]
    figure = Figure(figsize=(8, 1 + 3 * len(shown)), layout="constrained")
    steps, at = [row["step"] for row in taken], [row["step"] for row in taken].index(best)
    for axis, (name, label) in zip(figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0], shown):
        values = [row[name] for row in taken]
        axis.plot(steps, values, color=BLUE, marker="o", markersize=4, label="samples")
        axis.plot(best, values[at], color=ORANGE, marker="o", markersize=9, linestyle="none", clip_on=False,
                  label=f"the best, step {best:,}")
        if real:
            axis.axhline(getattr(real, name), color=GREY, linestyle="--", linewidth=1.5, label="real ones")
        axis.set(ylabel=label, ylim=(0, None))
        axis.spines[["top", "right"]].set_visible(False)
    axis.set(xlabel="step", xlim=(0, steps[-1] * 1.02))
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper left", frameon=False, ncols=3)
    return _finished(figure, path)


def _curves(axis, history, lines):
    """Each metric as a pale line, and over it a mean: at each step, that of the 1/50 of the run around it."""
    for name, label, colour in lines:
        values = np.array(history[name])
        steps, width = np.arange(1, len(values) + 1), max(1, len(values) // 50)
        axis.plot(steps, values, color=colour, alpha=0.25, linewidth=0.7)
        window = np.ones(width)             # at both ends of the run it holds fewer steps: hence the division
        smooth = np.convolve(values, window, mode="same") / np.convolve(np.ones(len(values)), window, mode="same")
        axis.plot(steps, smooth, color=colour, label=label, marker="o" if len(values) == 1 else None)


@own_settings()
def landscape(step, points, real, surface, arrows, extent, beliefs=True):
    """A Figure: D's surface as shading, generated points (N, 2) over real ones, and the pull on the first of them.

    surface, arrows, extent: as landscape.py computes them; beliefs: True where the surface is σ(D), from 0 to 1, and
    False where it is D's raw score."""
    figure = Figure(figsize=(6.4, 6.2), layout="constrained")
    axis = figure.subplots()
    shades = axis.imshow(surface, cmap=PALE, origin="lower", extent=extent, vmin=0 if beliefs else None,
                         vmax=1 if beliefs else None, interpolation="bilinear")
    figure.colorbar(shades, label="σ(D(x)): D's belief that x is real" if beliefs else "D(x), its score", shrink=0.8)
    axis.scatter(*real.T, s=12, color=GREY, linewidths=0, label="real")
    axis.scatter(*points.T, s=5, color=ORANGE, linewidths=0, label="generated")
    arrows = arrows.astype(np.float64)                                   # half precision holds no square of 300
    lengths = np.linalg.norm(arrows, axis=1)
    longest = max(np.percentile(lengths, 90), np.finfo(float).tiny)      # the longest tenth is cut to this length
    cut = arrows / np.maximum(lengths, longest)[:, None] * (extent[1] - extent[0]) / 10
    axis.quiver(*points[:len(arrows)].T, *cut.T, angles="xy", scale_units="xy", scale=1, width=0.003, color="black")
    axis.plot([], [], color="black", linewidth=1.2, label="−∂L/∂x of G's loss")
    axis.set(xlim=extent[:2], ylim=extent[2:], aspect="equal", xlabel="x₁", ylabel="x₂", title=f"step {step:,}")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, markerscale=2)
    return figure


@own_settings()
def way(points, others, leg, now=None):
    """A Figure: a walk past points (N, 2) and home, a station every `leg` of them, over other generated points.

    now: the index of the point where the walk stands."""
    figure = Figure(figsize=(5.5, 5.8), layout="constrained")
    axis = figure.subplots()
    axis.scatter(*others.T, s=5, color=ORANGE, alpha=0.6, linewidths=0)
    axis.scatter([], [], s=20, color=ORANGE, label="generated from other z")
    axis.plot(*np.concatenate([points, points[:1]]).T, color=BLUE, linewidth=1, marker=".", markersize=4, label="the walk")
    axis.plot(*points[::leg].T, color="black", marker="o", markersize=4, linestyle="none", label="its stations")
    for number, station in enumerate(points[::leg], 1):
        axis.annotate(number, station, (4, 4), textcoords="offset points")
    if now is not None:
        axis.plot(*points[now], color=BLUE, marker="o", markersize=11, markeredgecolor="white")
    axis.set(aspect="equal", xlabel="x₁", ylabel="x₂")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


@own_settings()
def scatter(points, path=None, real=None) -> Image.Image | None:
    """Generated points (N, 2), drawn over the real ones if these are given."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    axis = figure.subplots()
    if real is not None:
        axis.scatter(*real.T, s=30, color=GREY, alpha=0.15, linewidths=0, label="real")
    axis.scatter(*points.T, s=5 if len(points) > 500 else 25, color=ORANGE, alpha=0.6, linewidths=0, label="generated")
    axis.set_aspect("equal")
    axis.legend(loc="upper right")
    return _finished(figure, path)


def __getattr__(name):
    """plots.Live is live.py's: it draws with what stands here."""
    if name == "Live":
        from .live import Live
        return Live
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
