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
    return verdict(gan, points).reshape(side, side), pull(gan, samples)


def verdict(gan, points):
    """D's belief, or its score, of points (N, …), as a NumPy array (N,)."""
    with gan.discriminator.evaluating() as D, no_grad():
        return to_numpy(gan.verdict(D(Tensor(_as_weights(gan, points)))).data).ravel()


def pull(gan, samples):
    """−N·∂L_G/∂x of samples x (N, …): each sample's own slope, as L_G is a mean."""
    at = Tensor(_as_weights(gan, samples), requires_grad=True)
    with gan.discriminator.evaluating() as D:
        slope, = grad(LOSSES[gan.loss][1](D(at)), at)
    return -len(samples) * to_numpy(slope)


def _as_weights(gan, array):
    return like(array, gan.discriminator.parameters()[0].data)
