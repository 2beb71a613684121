"""What is seen of a game, as plain values for JSON: the plane, a line, two numbers, or images.

The stage is the square [−2, 2]², and places on it are told in thousandths. Points are shown in the window (centre, half)
around them, which becomes the stage.
"""
import base64
from functools import cache
from io import BytesIO
from statistics import NormalDist

import numpy as np

from ..backend import to_numpy
from ..errors import TinyganError
from ..look.landscape import ARROWS, landscape, pull, verdict
from ..losses import LOSSES
from ..tensor import Tensor, grad
from ..umpire import BELIEFS

HALF = 2.0
SAMPLES, WARP, SIDE = 200, 13, 40   # samples on the stage; lines of the grid in z-space, and of D's surface, each way
MANY, CELLS = 2048, 32              # samples that are counted for the densities; cells that the stage has for it, each way
CENTRES = (np.arange(2 * CELLS) + 0.5) / CELLS * HALF - HALF           # of the cells of a line, which are half as wide
MOST = 4000                         # pictures whose divergence is kept: then every other one goes
LINES = 24                          # of the map z → x, each for as much of the noise as the others
PICTURES, REAL = 64, 8              # images on the sheet; real ones above it


def kind_of(points):
    """Which stage points of this shape have.  TinyganError for a shape without one."""
    shape = np.shape(points)
    kind = "images" if len(shape) == 4 else {(1,): "line", (2,): "plane"}.get(shape[1:])
    if kind is None:
        raise TinyganError(f"got samples of shape {shape}, expected points (N, 1) or (N, 2), or images (N, H, W, C): "
                           "reshape them")
    return kind


def window(points):
    """(centre, half): the square around points (N, dims), a tenth of their extent wider on every side."""
    low, high = to_numpy(points.min(axis=0)), to_numpy(points.max(axis=0))
    return (low + high) / 2, 0.6 * float((high - low).max()) or 1.0


def numbers(gan):
    """(θ, ψ) of a game in which G and D have one number each."""
    parameters = gan.generator.parameters() + gan.discriminator.parameters()
    return [float(p.data.sum()) for p in parameters if p.requires_grad]


def picture(game):
    """All that the page draws."""
    gan, rows, log = game.gan, game.rows, game.divergences
    seen = {"plane": _plane, "line": _line, "phase": _phase, "images": _images}[game.kind](game)
    if (divergence := seen.pop("divergence", None)) is not None:
        for later in [step for step in log if step > gan.steps]:        # the game has gone back
            del log[later]
        log[gan.steps] = divergence
        for step in list(log)[:-1:2] if len(log) > MOST else ():
            del log[step]
    rows = np.array(rows[::len(rows) // 200 + 1] + rows[-1:]).reshape(-1, len(rows[0]) if rows else 7)
    found = list(log.items())
    return {"kind": game.kind, "step": gan.steps, "belief": gan.loss in BELIEFS, "rows": np.nan_to_num(rows).round(4).tolist(),
            "js": found[::len(found) // 200 + 1] + found[-1:], "line": game.walk and game.walk.line,
            "numbers": game.walk.numbers() if game.walk else {}, **seen}


def _plane(game):
    gan, (centre, half) = game.gan, game.window
    z = np.random.default_rng(1).standard_normal((MANY, gan.latent))
    grid = np.stack(np.meshgrid(*[np.linspace(-2, 2, WARP)] * 2), axis=-1).reshape(-1, 2)        # (n, n, 2) → (n², 2)
    painted = gan.generate(np.concatenate([z, grid]) if gan.latent == 2 else z)
    x, y = np.broadcast_to(centre, 2)
    surface, arrows = landscape(gan, painted[:ARROWS], (x - half, x + half, y - half, y + half), SIDE)
    real, fakes = _placed(game, _some(game.points, 2 * MANY)), _placed(game, painted)
    return {**_shades(game, surface), "real": _thousandths(_some(real, 2 * SAMPLES)), "samples": _thousandths(fakes[:SAMPLES]),
            "warp": _thousandths(fakes[MANY:]), "arrows": _thousandths(arrows),
            "divergence": jensen_shannon(_counts(real), _counts(fakes[:MANY]))}


def _line(game):
    """p_data, p_G and D over x, the best D of these two, p/(p + q), and where G takes the noise."""
    gan, (centre, half) = game.gan, game.window
    fakes = gan.generate(even(MANY) if gan.latent == 1 else np.random.default_rng(1).standard_normal((MANY, gan.latent)))
    p, q = (_shares(_placed(game, x)[:, 0]) for x in (_some(game.points, 2 * MANY), fakes))
    lines = gan.generate(even(LINES)) if gan.latent == 1 else fakes[:LINES]
    width = CENTRES[1] - CENTRES[0]
    best = np.where(p + q > 1e-4, p / np.maximum(p + q, 1e-12), -1)      # where there is nothing, any D is the best
    return {**_shades(game, verdict(gan, centre + CENTRES[:, None] / HALF * half)), "p": _thousandths(p / width),
            "q": _thousandths(q / width), "best": _thousandths(best), "z": _thousandths(even(LINES)[:, 0]) * (gan.latent == 1),
            "lines": _thousandths(_placed(game, lines)[:, 0]), "arrows": _thousandths(pull(gan, lines)[:, 0]),
            "divergence": jensen_shannon(p, q)}


def _phase(game):
    """The plane of (θ, ψ): where each turn of D and G would lead, and the way so far.

    D(x) = ψx, the data are one point x₀, G's only sample is θ:
    θ̇ = −∂L_G/∂θ = −ℓ_G′(ψθ)·ψ        ψ̇ = −∂L_D/∂ψ, R₁ included, which is ψ² here"""
    gan, x0 = game.gan, float(game.points[0, 0])
    theta, psi = (values.reshape(-1, 1) for values in np.meshgrid(*[np.linspace(-1.8, 1.8, 13)] * 2))
    D, G = Tensor(psi, requires_grad=True), Tensor(theta, requires_grad=True)
    d_loss_of, g_loss_of = LOSSES[gan.loss]
    up, = grad(d_loss_of(D * x0, D * theta), D)
    right, = grad(g_loss_of(G * psi), G)
    n = len(theta)
    field = np.hstack([theta, psi, -n * to_numpy(right), -n * to_numpy(up) - gan.r1 * psi])
    way = [row[7:] for row in game.rows]
    return {"field": _thousandths(field), "way": _thousandths(way[-600:]), "at": _thousandths(numbers(gan))}


def _images(game):
    """A sheet of G's images, real ones, and the one in hand: that of a z whose first two coordinates are chosen."""
    from ..look.plots import picture, sheet         # with them comes matplotlib

    def drawn(images, columns):
        file = BytesIO()
        picture(sheet(images, columns)).save(file, "PNG", compress_level=1)
        return base64.b64encode(file.getvalue()).decode()

    z = np.random.default_rng(1).standard_normal((PICTURES, game.gan.latent))
    hand = z[game.chosen].copy()
    hand[:2] = game.hand[:len(hand)] if game.hand else hand[:2]
    painted = game.gan.generate(np.concatenate([z, hand[None]]))
    return {"sheet": drawn(painted[:-1], 8), "examples": drawn(_some(game.points, REAL), REAL),
            "one": drawn(painted[-1:], 1), "hand": hand[:2].tolist(), "chosen": game.chosen,
            "ink": painted.shape[-1] == 1}


def jensen_shannon(p, q):
    """JS(p, q) = ½ KL(p ‖ m) + ½ KL(q ‖ m), m = (p + q)/2, of the probabilities of the same cells: 0 to log 2."""
    m = (p + q) / 2
    return float(sum((r[r > 0] * np.log(r[r > 0] / m[r > 0])).sum() for r in (p, q)) / 2)


def _placed(game, points):
    centre, half = game.window
    return (points - centre) / half * HALF


def _some(points, n):
    """At most n of the points, one from each stretch of them: they may lie in an order."""
    return to_numpy(points[::-(-len(points) // n)])


def _shades(game, values):
    """D's beliefs as bytes, 0 to 255, or its scores from the least to the largest; and what ½ is among them."""
    belief = game.gan.loss in BELIEFS
    low, high = (0, 1) if belief else (float(values.min()), float(values.max()))
    half = 0.5 if belief else sum(game.rows[-1][3:5]) / 2 if game.rows else 0.0         # a score has no ½
    span = max(high - low, 1e-9)
    shades = np.clip(255 * (values - low) / span, 0, 255).astype(np.uint8)
    return {"surface": base64.b64encode(shades).decode(), "half": 255 * (half - low) / span}


@cache
def even(n):
    """n values of z ~ N(0, 1) that lie as evenly as they can: the middles of n equally probable parts.  (n, 1)"""
    return np.array([[NormalDist().inv_cdf((k + 0.5) / n)] for k in range(n)])


def _counts(points):
    """The part of points (n, 2) in each cell of the stage; those beyond it count in the cell at its edge.  (CELLS²,)"""
    cells = np.clip((np.nan_to_num(points) + HALF) / (2 * HALF) * CELLS, 0, CELLS - 1).astype(int)
    return np.bincount(cells[:, 0] * CELLS + cells[:, 1], minlength=CELLS ** 2) / len(points)


def _shares(places):
    """The same on a line, where each place is shared by the two cells around it, the nearer one gets more.  (2·CELLS,)"""
    at = np.interp(np.nan_to_num(places), CENTRES, np.arange(len(CENTRES)))     # 3.25: a quarter of the way from 3 to 4
    left = np.minimum(at.astype(int), len(CENTRES) - 2)
    part, n = at - left, len(CENTRES)
    return (np.bincount(left, 1 - part, n) + np.bincount(left + 1, part, n)) / len(places)


def _thousandths(points):
    """Whole numbers, which are soon written."""
    return np.rint(1000 * np.clip(np.nan_to_num(np.asarray(points, float)), -1e6, 1e6)).astype(int).tolist()
