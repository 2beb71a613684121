"""What D says of every point in the plane, and where it sends G's samples."""
import numpy as np

from ..backend import like, to_numpy
from ..losses import LOSSES
from ..tensor import Tensor, grad, no_grad

SIDE = 60                      # points of D's surface along a side
ARROWS = 60                    # samples that get an arrow


def window(real):
    """The square (left, right, bottom, top) around points (N, 2), with a tenth of its side beyond them on every side."""
    low, high = real.min(axis=0), real.max(axis=0)
    half = 0.6 * float((high - low).max())
    (x, y) = (low + high) / 2
    return float(x - half), float(x + half), float(y - half), float(y + half)


def landscape(gan, samples, extent):
    """(surface (SIDE, SIDE), arrows (n, 2)): D's belief, or its score, on the square, row by row from the bottom; and for
    each sample x (n, 2) the vector −N·∂L_G/∂x = −∂ℓ_G(D(x))/∂x, in which direction G's step would move it.

    D is asked in evaluation mode, so that looking changes nothing."""
    left, right, bottom, top = extent
    x, y = np.meshgrid(np.linspace(left, right, SIDE), np.linspace(bottom, top, SIDE))
    points = np.stack([x.ravel(), y.ravel()], axis=1)                   # (SIDE², 2)
    D, was_training, weight = gan.discriminator, gan.discriminator.training, gan.discriminator.parameters()[0].data
    D.eval()
    try:
        with no_grad():
            surface = gan.verdict(D(Tensor(like(points, weight)))).data
        at = Tensor(like(samples, weight), requires_grad=True)
        slope, = grad(LOSSES[gan.loss][1](D(at)), at)
    finally:
        D.train(was_training)
    return to_numpy(surface).reshape(SIDE, SIDE), -len(samples) * to_numpy(slope)
