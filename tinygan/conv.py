"""Convolution, its transpose and its weight gradient: three partial maps of one trilinear form.

    T(x, w, g) = Σ x̄[n, S·i + a, S·j + b, c] · w[a, b, c, d] · g[n, i, j, d]        over n, i, j, a, b, c, d

x̄ is x with `pads` rows and columns of zeros around it. Leave out one factor and sum over the indices of the
other two, and what remains is

    convolve(x, w)         = ∂T/∂g        the convolution
    transpose(g, w)        = ∂T/∂x        the transposed convolution, a generator's way up
    weight_gradient(x, g)  = ∂T/∂w

Each is linear in both its arguments, so the derivative of any of them is made of the other two, and so on for
ever: that is all the calculus in this file. How it is done fast stands in fast/conv.py.

Notation   N batch · (H, W) size of x · C channels of x · (I, J) size of g · D channels of g · K kernel size ·
           S stride · a, b < K position in the kernel · i < I, j < J position in g.
Shapes     x (N, H, W, C) · w (K, K, C, D) · g (N, I, J, D).
Source     Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016), sections 2 and 4.
"""
import functools
import itertools
from dataclasses import dataclass

from .backend import array_module, between
from .errors import TinyganError
from .fast import conv as fast, pick
from .ops import sum
from .tensor import record


@dataclass(frozen=True)
class Geometry:
    """What ties the sizes of x, w and g together.  pads: ((top, bottom), (left, right))."""
    size: tuple          # (H, W)
    kernel: int          # K
    stride: int          # S
    pads: tuple
    steps: tuple         # (I, J)

    @property
    def reach(self):
        """Rows and columns of x̄ that the windows cover: S·(I − 1) + K."""
        return tuple(self.stride * (steps - 1) + self.kernel for steps in self.steps)

    def padded(self, x):
        """x̄, as far as windows reach."""
        (top, _), (left, _) = self.pads
        return between(x, (-top, self.reach[0] - top), (-left, self.reach[1] - left))

    def cropped(self, x):
        """What is left of an x̄ when its padding is taken off; 0 where no window reaches."""
        (top, _), (left, _) = self.pads
        return between(x, (top, top + self.size[0]), (left, left + self.size[1]))


@functools.cache
def geometry(size, kernel, stride, padding):
    """The Geometry of a convolution of images of `size` (H, W):  I = ⌊(H + top + bottom − K)/S⌋ + 1.

    padding "same" (TensorFlow's rule): I = ⌈H/S⌉, the zeros shared out evenly, the odd one at the end."""
    pads = padding
    if padding == "same":
        totals = [max((-(-length // stride) - 1) * stride + kernel - length, 0) for length in size]
        pads = tuple((total // 2, total - total // 2) for total in totals)
    steps = tuple((length + before + after - kernel) // stride + 1 for length, (before, after) in zip(size, pads))
    if min(steps) < 1:
        raise TinyganError(f"a kernel of size {kernel} does not fit into images of size {size[0]}×{size[1]} "
                           f"padded by {pads}: use a smaller kernel or more padding")
    return Geometry(size, kernel, stride, pads, steps)


@functools.cache
def geometry_of_transpose(steps, kernel, stride, padding):
    """The Geometry of a transposed convolution of images of size `steps` (I, J): H = S·(I − 1) + K − top − bottom.

    padding "same": H = S·I, as if g had come from a "same" convolution of such an image."""
    if padding == "same":
        return geometry(tuple(stride * length for length in steps), kernel, stride, "same")
    size = tuple(stride * (length - 1) + kernel - before - after for length, (before, after) in zip(steps, padding))
    if min(size) < 1:
        raise TinyganError(f"cropping {padding} leaves nothing of a transposed convolution of {steps[0]}×{steps[1]} "
                           f"images with kernel {kernel} and stride {stride}: crop less")
    return Geometry(size, kernel, stride, padding, steps)


# The three maps as differentiable operations

def convolve(x, w, geo, bias=None):
    """y[n, i, j, d] = Σ x̄[n, S·i + a, S·j + b, c] · w[a, b, c, d] + bias[d]

    ∂y/∂x: transpose    ∂y/∂w: weight_gradient    ∂y/∂bias: Σ over n, i, j"""
    return record(pick(plain_convolve, fast.convolve)(x.data, w.data, geo, _array(bias)),
                  (x, lambda g, y: transpose(g, w, geo)),
                  (w, lambda g, y: weight_gradient(x, g, geo)),
                  (bias, lambda g, y: sum(g, (0, 1, 2))))


def transpose(g, w, geo, bias=None):
    """x[n, S·i + a − top, S·j + b − left, c] = Σ w[a, b, c, d] · g[n, i, j, d] + bias[c]

    The sum runs over all (i, a) and (j, b) that meet in the same pixel.
    ∂x/∂g: convolve    ∂x/∂w: weight_gradient    ∂x/∂bias: Σ over all pixels"""
    return record(pick(plain_transpose, fast.transpose)(g.data, w.data, geo, _array(bias)),
                  (g, lambda u, x: convolve(u, w, geo)),
                  (w, lambda u, x: weight_gradient(u, g, geo)),
                  (bias, lambda u, x: sum(u, (0, 1, 2))),
                  joint=lambda u, x, wanted: fast.transpose_backward(u, g.data, w.data, geo, wanted))


def weight_gradient(x, g, geo):
    """w[a, b, c, d] = Σ x̄[n, S·i + a, S·j + b, c] · g[n, i, j, d]       ∂w/∂x: transpose    ∂w/∂g: convolve"""
    return record(pick(plain_weight_gradient, fast.weight_gradient)(x.data, g.data, geo),
                  (x, lambda v, w: transpose(g, v, geo)),
                  (g, lambda v, w: convolve(x, v, geo)))


def _array(bias):
    return None if bias is None else bias.data


# The plain kernels, which run inside of `with plain():`: the form itself, position by position

def _positions(x_bar, geo):
    """(n, i, j, a, b, the pixel x̄[n, S·i + a, S·j + b]) for all positions; the sums over c and d are left to the caller."""
    I, J = geo.steps
    for n, i, j, a, b in itertools.product(range(len(x_bar)), range(I), range(J), range(geo.kernel), range(geo.kernel)):
        yield n, i, j, a, b, x_bar[n, geo.stride * i + a, geo.stride * j + b]


def plain_convolve(x, w, geo, bias=None):
    """y += x̄ w: what a convolution is."""
    y = array_module(x).zeros((len(x), *geo.steps, w.shape[3]), x.dtype)
    for n, i, j, a, b, pixel in _positions(geo.padded(x), geo):
        y[n, i, j] += pixel @ w[a, b]
    return y if bias is None else y + bias


def plain_transpose(g, w, geo, bias=None):
    """x̄ += w g: every input pixel paints its kernel onto the output; then the padding is cropped."""
    x_bar = array_module(g).zeros((len(g), *geo.reach, w.shape[2]), g.dtype)
    for n, i, j, a, b, pixel in _positions(x_bar, geo):
        pixel += w[a, b] @ g[n, i, j]
    return geo.cropped(x_bar) if bias is None else geo.cropped(x_bar) + bias


def plain_weight_gradient(x, g, geo):
    """w += x̄ gᵀ: how often, and how strongly, pixel and cotangent met."""
    w = array_module(x).zeros((geo.kernel, geo.kernel, x.shape[3], g.shape[3]), x.dtype)
    for n, i, j, a, b, pixel in _positions(geo.padded(x), geo):
        w[a, b] += pixel[:, None] * g[n, i, j]
    return w
