"""D over the plane: what it believes of each point, and in which direction its gradient moves G's samples."""
import numpy as np

from ..backend import like, to_numpy
from ..losses import LOSSES
from ..tensor import Tensor, grad, no_grad

SIDE = 60                      # D's surface is computed at 60 × 60 points
ARROWS = 60                    # samples whose gradient is drawn


def window(real):
    """The square (left, right, bottom, top) around points (N, 2), a tenth of their extent wider on every side."""
    low, high = real.min(axis=0), real.max(axis=0)
    half = 0.6 * float((high - low).max())
    (x, y) = (low + high) / 2
    return float(x - half), float(x + half), float(y - half), float(y + half)


def landscape(gan, samples, extent, side=SIDE):
    """(surface (side, side), arrows (n, 2)) of samples (n, 2), on the square `extent`, as `window` gives it.

    surface: D's belief, or its score, row by row from the bottom
    arrows: −n·∂L_G/∂x = −∂ℓ_G(D(x))/∂x for each sample x, the direction in which a step of G would move it
    D is in evaluation mode meanwhile, so that nothing in it changes."""
    left, right, bottom, top = extent
    x, y = np.meshgrid(np.linspace(left, right, side), np.linspace(bottom, top, side))
    points = np.stack([x.ravel(), y.ravel()], axis=1)                   # (side², 2)
    weight = gan.discriminator.parameters()[0].data
    with gan.discriminator.evaluating() as D:
        with no_grad():
            surface = gan.verdict(D(Tensor(like(points, weight)))).data
        at = Tensor(like(samples, weight), requires_grad=True)
        slope, = grad(LOSSES[gan.loss][1](D(at)), at)
    return to_numpy(surface).reshape(side, side), -len(samples) * to_numpy(slope)
