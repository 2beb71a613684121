"""A finished run as one HTML page that needs nothing else: every picture stands inside it.

It opens from a disk or an e-mail, in light and dark, on a phone, on paper. Curves and points are SVG, which stretches
with the page; grey images are PNGs of 16 greys, coloured ones JPEGs. In the dark only what is drawn on white paper is
inverted. Its look is in report.css, the slider's work in report.js.
"""
from functools import partial
from html import escape
from io import BytesIO

import numpy as np
from matplotlib.ticker import MaxNLocator

from .diagnosis import LOG_4, are_beliefs, nearest
from .files import write_text
from .page import embedded, html_page, layers, table
from .plots import own_settings, picture, sheet

COMPARED = 500                 # real images whose distance to the nearest other one is measured
ON_A_SHEET = 100               # images that are drawn on one sheet
DOTS = 1000                    # points that are drawn of a larger set
HEIGHT = 170                   # of a diagram, in pixels
BINS = 250                     # points of a curve: each is the mean of a group of neighbouring steps


@own_settings()
def write(path, *, title, config, history, frames, samples, real, score, real_score, findings, networks, landscape=None,
          curve=None, ink=True):
    """Write the page about a run to `path`.

    config     {name: value}, what was run, and on what; names without a value are left out
    history    {"d_loss": […], "g_loss": […], "d_real": […], "d_fake": […]}, one number a step
    frames     [(step, samples)], what G made of the same noise at some moments
    samples    images (n, H, W, C) in [−1, 1], drawn as plots.sheet does with `ink`, or points (n, 2)
    real       the training data, of the same kind
    score, real_score    their metrics.Score, likeness.Likeness or metrics.ModeScore, or None
    findings   the sentences of diagnosis.findings
    networks   {name: its summary.rows}
    landscape  an Image of D over the plane, as plots.landscape draws it, or None
    curve      an Image of the scores on the way, as plots.scores draws it, or None"""
    images = real.ndim == 4
    draw = partial(_sheet_picture, ink=ink) if images else _Scatter(real)
    sections = [
        ("What G makes", f'<div class="columns">{draw(samples)}{_list(findings)}</div>'),
        ("What D sees", _landscape(landscape) if landscape else ""),
        ("How it learned", _learning(history, frames, draw)),
        ("Is it copying?", _copying(samples, real, ink) if images else ""),
        ("The numbers", (_numbers(score, real_score) if score else "") + (_curve(curve) if curve else "")),
        ("The networks", _networks(networks)),
        ("What was run", table([(name.replace("_", " "), escape(_value(value))) for name, value in config.items()
                                 if value not in (None, {}, [])])),
    ]
    body = "\n".join(f"<section>\n<h2>{name}</h2>\n{content}\n</section>" for name, content in sections if content)
    write_text(path, html_page(title, body, "report.css", "report.js"))


def _value(value):
    return ", ".join(f"{name} {one}" for name, one in value.items()) if isinstance(value, dict) else str(value)


def _list(sentences):
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


# Pictures

def png(image):
    """An Image, or a sheet (height, width) in [0, 1], 0 black, which gets 16 greys, as the bytes of a PNG."""
    return _packed(picture(image, greys=16) if isinstance(image, np.ndarray) else image, "png", optimize=True)


def _packed(image, kind, **options):
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _image(kind, file, width, height, about, look):
    return embedded(kind, file, f'width="{width}" height="{height}" alt="{about}" class="{look}"')


def _sheet(images, about, ink):
    """Images (n, H, W, C) as one picture, grey ones as PNG, coloured ones as JPEG."""
    paper = sheet(images, ink=ink)
    grey = paper.ndim == 2
    file = png(paper) if grey else _packed(picture(paper), "jpeg", quality=88, subsampling=0)
    return _image("png" if grey else "jpeg", file, 2 * paper.shape[1], 2 * paper.shape[0], about,
                  "pixels on-white" if grey and ink else "pixels")


def _sheet_picture(images, ink=True):
    return _sheet(images[:ON_A_SHEET], f"{len(images[:ON_A_SHEET])} generated images", ink)


def _landscape(image):
    return (_image("png", png(image.quantize(256)), *image.size, "D’s surface, the points and G’s pull", "on-white")
            + '<p class="note">Shading: what D says of each place. An arrow shows where a step of G would move its point.</p>')


def _curve(image):
    return (_image("png", png(image.quantize(64)), *image.size, "the scores on the way", "on-white")
            + '<p class="note">The checkpoint with the best score is kept as best.npz: tinygan sample DIR --best</p>')


class _Scatter:
    """Draws points (N, 2) in orange over the real ones in grey. All its drawings show the same part of the plane."""

    def __init__(self, real):
        self.low, high = real.min(axis=0), real.max(axis=0)
        self.size = 1.2 * float((high - self.low).max())
        self.low = (self.low + high - self.size) / 2
        self.real = self._dots(real)

    def _dots(self, points):
        """An SVG path of lines of length 0: their round ends are the dots."""
        points = points[:DOTS][np.isfinite(points[:DOTS]).all(axis=1)]
        x, y = (np.clip((points - self.low) / self.size, -1, 2) * 1000).T
        return "".join(f"M{a:.0f} {1000 - b:.0f}h0" for a, b in zip(x, y))

    def __call__(self, points):
        return ('<div><p class="legend"><span><i class="orange"></i>generated</span><span><i class="real"></i>real</span></p>'
                '<svg class="scatter" viewBox="0 0 1000 1000" role="img" aria-label="generated and real points">'
                f'<path class="real" d="{self.real}"/><path class="fake" d="{self._dots(points)}"/></svg></div>')


# How it learned

def _learning(history, frames, draw):
    """The slider through the frames, and the curves, on which a line marks the frame's step."""
    steps = len(history["d_loss"])
    parts = []
    if frames:
        last = len(frames) - 1
        figures = "".join(_frame(step, draw(made), history, k == last) for k, (step, made) in enumerate(frames))
        parts.append(f'<div><p><label for="moment">The same noise at step <output id="step"></output></label>'
                     f'<input id="moment" type="range" min="0" max="{last}" value="{last}" autocomplete="off"></p>'
                     f'<div class="frames">{figures}</div></div>')
    if steps:
        beliefs = are_beliefs(history)
        loss_lines = (("d_loss", "loss of D", "blue"), ("g_loss", "loss of G", "orange"))
        d_lines = (("d_real", "D(x), real", "blue"), ("d_fake", "D(G(z)), fake", "orange"))
        losses = _diagram(history, loss_lines, (0, LOG_4) if beliefs else (0,), LOG_4 if beliefs else None, "log 4")
        opinions = _diagram(history, d_lines, (0, 1) if beliefs else (0,), 0.5 if beliefs else None, "½")
        parts.append(f"<div><h3>Losses</h3>{losses}"
                     f"<h3>{'D’s belief that it sees a real one' if beliefs else 'D’s score'}</h3>{opinions}"
                     '<p class="note">Two losses in a game: neither has to fall for the samples to get better.'
                     f"{' Dashed: where D can only guess.' if beliefs else ''} "
                     "Pale: the range within neighbouring steps.</p></div>")
    return f'<div class="columns">{"".join(parts)}</div>'


def _frame(step, drawing, history, shown):
    """One moment: what G made, and in data-… what report.js shows when the slider comes there."""
    steps = len(history["d_loss"])
    around = slice(max(0, step - 1 - steps // BINS), step + steps // BINS)
    values = "".join(f' data-{name}="{np.round(np.mean(column[around]), 2) + 0.0:.2f}"'       # + 0: no "-0.00"
                     for name, column in history.items() if column[around])
    return (f'<figure class="frame" data-step="{step:,}" data-at="{100 * step / max(steps, 1):.2f}%"{values}'
            f'{"" if shown else " hidden"}>{drawing}<figcaption>step {step:,}</figcaption></figure>')


def _diagram(history, lines, include, mark, mark_name):
    """Curves over the steps, as wide as the page allows.

    lines: [(metric, label, colour)]; include: values that are always in view; mark: a value with a dashed line.
    The curves stand in an inner SVG of 1000 × HEIGHT units, which stretches; the letters, which must not, in the
    outer one."""
    curves = [(_bins(history[name]), colour) for name, _, colour in lines]
    middles = np.concatenate([mean for (_, mean, _, _), _ in curves])
    seen = np.append(middles[np.isfinite(middles)], include)
    low, high = seen.min(), max(seen.max(), seen.min() + 1e-3)
    low, high = low - 0.03 * (high - low), high + 0.03 * (high - low)

    def y(value):
        return HEIGHT * (high - value) / (high - low)

    grid = [f'<line class="grid" x1="0" x2="100%" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
            f'<text x="-6" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
            for tick in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= tick <= high]
    inner = []
    for (x, mean, least, most), colour in curves:
        whole = np.isfinite(least) & np.isfinite(most)
        band = [*zip(x[whole], y(most[whole])), *zip(x[whole][::-1], y(least[whole])[::-1])]
        inner.append(f'<polygon class="{colour}" points="{" ".join(f"{a:.0f},{b:.1f}" for a, b in band)}"/>')
    inner += [f'<path class="{colour}" d="{_path(x, y(mean))}"/>' for (x, mean, _, _), colour in curves]
    guess = "" if mark is None else (f'<line class="mark" x1="0" x2="100%" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>'
                                     f'<text class="mark" x="100%" dx="6" y="{y(mark) + 4:.1f}">{mark_name}</text>')
    steps = len(history["d_loss"])
    axis = "".join(f'<text x="{x}%" y="{HEIGHT + 16}" text-anchor="{anchor}">{name}</text>' for x, anchor, name in
                   ((0, "start", "step 0"), (50, "middle", f"{steps / 2:,.0f}"), (100, "end", f"{steps:,}")))
    legend = "".join(f'<span><i class="{colour}"></i>{label} <output data-metric="{name}"></output></span>'
                     for name, label, colour in lines)
    return (f'<p class="legend">{legend}</p><svg class="diagram" height="{HEIGHT + 22}" role="img" '
            f'aria-label="{", ".join(label for _, label, _ in lines)}, step by step">{"".join(grid)}'
            f'<svg viewBox="0 0 1000 {HEIGHT}" width="100%" height="{HEIGHT}" preserveAspectRatio="none">'
            f'{"".join(inner)}</svg>{guess}{axis}'
            f'<line class="now" x1="100%" x2="100%" y1="0" y2="{HEIGHT}"/></svg>')


def _bins(values):
    """Of at most BINS groups of neighbouring steps: the middles (0 to 1000), and the mean, least and largest values."""
    values = np.array(values, np.float64)
    values[~np.isfinite(values)] = np.nan
    groups = np.array_split(values, min(len(values), BINS))
    ends = np.cumsum([len(group) for group in groups])
    middles = ends - np.array([len(group) for group in groups]) / 2
    mean, least, most = (np.array([of(group) for group in groups]) for of in (np.mean, np.min, np.max))
    return 1000 * middles / len(values), mean, least, most


def _path(x, y):
    """An SVG path through the points, with a gap where y is NaN."""
    parts, command = [], "M{:.1f} {:.1f}h0"
    for a, b in zip(x, y):
        parts.append(command.format(a, b) if np.isfinite(b) else "")
        command = "L{:.1f} {:.1f}" if np.isfinite(b) else "M{:.1f} {:.1f}h0"
    return "".join(parts)


# Is it copying?

def _copying(samples, real, ink, pairs=10):
    """The first generated images, not the best ones, each beside the training image that is nearest to it."""
    if not np.isfinite(samples).all():
        return ""
    found, distances = nearest(samples[:ON_A_SHEET], real)
    asked = np.arange(0, len(real), -(-len(real) // COMPARED))         # spread over all of them
    _, usual = nearest(real[asked], real, skip=asked)
    figures = "".join(
        f'<figure>{_sheet(np.stack([sample, real[k]]), "generated, and nearest real", ink)}'
        f"<figcaption>distance {distance:.1f}</figcaption></figure>"
        for sample, k, distance in zip(samples[:pairs], found, distances))
    return (f"<p>On the left a generated image, on the right the training image nearest to it, and their distance "
            f"(Euclidean, over the pixels). A copy would stand beside its original at a distance near 0. The median "
            f"over {len(distances)} generated images is {np.median(distances):.1f}, the smallest {distances.min():.1f}."
            f" From a real image to its nearest other training image the median is {np.median(usual):.1f}, "
            f"the smallest {usual.min():.1f}.</p>"
            f'<div class="pairs">{figures}</div>')


# The numbers

def _numbers(score, real_score):
    rows = [(f"{name}<small>{about}</small>", found, of_real)
            for (name, about, found), (_, _, of_real) in zip(score.rows(), real_score.rows())]
    bars = _class_bars(score, real_score) if hasattr(score, "classes") else ""
    return f'<div class="columns">{table(rows, ("", "samples", "real ones"))}{bars}</div>'


def _class_bars(score, real_score):
    """The frequencies of the ten classes, of samples beside those of real digits."""
    top, bars = max(*score.classes, *real_score.classes), []
    for digit in range(10):
        for left, frequency, colour in ((1.5, score.classes[digit], "orange"), (5, real_score.classes[digit], "real")):
            height = HEIGHT * frequency / top
            bars.append(f'<rect class="{colour}" x="{10 * digit + left:g}%" width="3.3%" y="{HEIGHT - height:.1f}" '
                        f'height="{height:.1f}"><title>{digit}: {frequency:.1%}</title></rect>')
        bars.append(f'<text x="{10 * digit + 5}%" y="{HEIGHT + 16}" text-anchor="middle">{digit}</text>')
    return ('<div><p class="legend"><span>How often each digit:</span><span><i class="orange"></i>samples</span>'
            '<span><i class="real"></i>real</span></p>'
            f'<svg class="diagram wide" height="{HEIGHT + 22}" role="img" aria-label="frequencies of the ten classes">'
            f'{"".join(bars)}</svg></div>')


# The networks

def _networks(networks):
    tables = [f'<div class="layers"><h3>{name}</h3>{layers(rows)}</div>' for name, rows in networks.items()]
    return f'<div class="columns">{"".join(tables)}</div>'
