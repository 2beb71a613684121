"""Convolution, its transpose and its weight gradient: three partial maps of one trilinear form.

    T(x, w, g) = Σ x̄[n, S·i + a, S·j + b, c] · w[a, b, c, d] · g[n, i, j, d]        over n, i, j, a, b, c, d

x̄ is x with `pads` rows and columns of zeros around it. Leave out one factor and sum over the indices of the
other two, and what remains is

    convolve(x, w)         = ∂T/∂g        the convolution
    transpose(g, w)        = ∂T/∂x        the transposed convolution, a generator's way up
    weight_gradient(x, g)  = ∂T/∂w

Each is linear in both its arguments, so the derivative of any of them is made of the other two, and so on for
ever: that is all the calculus in this file. The rest is doing it fast.

Notation   N batch · (H, W) size of x · C channels of x · (I, J) size of g · D channels of g · K kernel size ·
           S stride · a, b < K position in the kernel · i < I, j < J position in g.
Shapes     x (N, H, W, C) · w (K, K, C, D) · g (N, I, J, D).
Source     Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016), sections 2 and 4.
"""
from dataclasses import dataclass

from .backend import array_module, chunks, parallel
from .errors import TinyganError
from .tensor import record

CHUNK = 16               # images that a chunk has at most
CACHE = 1 << 20          # numbers that a chunk's gathered windows may hold, so that they stay in the cache
GROUPS = 4                # parts of the batch whose weight gradients are added up side by side


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

    @property
    def inside(self):
        """Where x lies in x̄, and which part of x does (a window may stop short of the last rows)."""
        spans = [(before, max(min(size, reach - before), 0))
                 for size, reach, (before, _) in zip(self.size, self.reach, self.pads)]
        return (tuple(slice(before, before + length) for before, length in spans),
                tuple(slice(0, length) for _, length in spans))


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
    return Geometry(tuple(size), kernel, stride, pads, steps)


def geometry_of_transpose(steps, kernel, stride, padding):
    """The Geometry of a transposed convolution of images of size `steps` (I, J): H = S·(I − 1) + K − top − bottom.

    padding "same": H = S·I, as if g had come from a "same" convolution of such an image."""
    if padding == "same":
        return geometry([stride * length for length in steps], kernel, stride, "same")
    size = tuple(stride * (length - 1) + kernel - before - after for length, (before, after) in zip(steps, padding))
    if min(size) < 1:
        raise TinyganError(f"cropping {padding} leaves nothing of a transposed convolution of {steps[0]}×{steps[1]} "
                           f"images with kernel {kernel} and stride {stride}: crop less")
    return Geometry(size, kernel, stride, padding, tuple(steps))


# The three maps as differentiable operations

def convolve(x, w, geo):
    """y[n, i, j, d] = Σ x̄[n, S·i + a, S·j + b, c] · w[a, b, c, d]       ∂y/∂x: transpose    ∂y/∂w: weight_gradient"""
    return record(_convolve(x.data, w.data, geo),
                  (x, lambda g, y: transpose(g, w, geo)),
                  (w, lambda g, y: weight_gradient(x, g, geo)))


def transpose(g, w, geo):
    """x[n, S·i + a − top, S·j + b − left, c] = Σ w[a, b, c, d] · g[n, i, j, d]     ∂x/∂g: convolve   ∂x/∂w: weight_gradient

    The sum runs over all (i, a) and (j, b) that meet in the same pixel. Both derivatives need the same windows of
    the cotangent u, so the joint kernel gathers them once."""
    def both(u, x, wanted):
        return _convolve_and_weight_gradient(u, w.data, g.data, geo, *wanted)

    return record(_transpose(g.data, w.data, geo),
                  (g, lambda u, x: convolve(u, w, geo)),
                  (w, lambda u, x: weight_gradient(u, g, geo)), joint=both)


def weight_gradient(x, g, geo):
    """w[a, b, c, d] = Σ x̄[n, S·i + a, S·j + b, c] · g[n, i, j, d]       ∂w/∂x: transpose    ∂w/∂g: convolve"""
    return record(_weight_gradient(x.data, g.data, geo),
                  (x, lambda v, w: transpose(g, v, geo)),
                  (g, lambda v, w: convolve(x, v, geo)))


# The plain kernels: the form itself, position by position. The fast ones below may be replaced by these three.

def _positions(x, geo, visit):
    """visit(n, i, j, a, b, x̄[n, S·i + a, S·j + b]) for all positions; the innermost sums, over c and d, are left
    to visit. Returns x̄, which visit may write to."""
    xp, (inside, part) = array_module(x), geo.inside
    padded = xp.zeros((len(x), *geo.reach, x.shape[3]), x.dtype)
    padded[(slice(None), *inside)] = x[(slice(None), *part)]
    for n in range(len(x)):
        for i in range(geo.steps[0]):
            for j in range(geo.steps[1]):
                for a in range(geo.kernel):
                    for b in range(geo.kernel):
                        visit(n, i, j, a, b, padded[n, geo.stride * i + a, geo.stride * j + b])
    return padded


def plain_convolve(x, w, geo):
    """y += x̄ w: what a convolution is."""
    y = array_module(x).zeros((len(x), *geo.steps, w.shape[3]), x.dtype)

    def visit(n, i, j, a, b, pixel):
        y[n, i, j] += pixel @ w[a, b]

    _positions(x, geo, visit)
    return y


def plain_transpose(g, w, geo):
    """x̄ += w g: every input pixel paints its kernel onto the output; then the padding is cropped."""
    x = array_module(g).zeros((len(g), *geo.size, w.shape[2]), g.dtype)

    def visit(n, i, j, a, b, pixel):
        pixel += w[a, b] @ g[n, i, j]

    inside, part = geo.inside
    x[(slice(None), *part)] = _positions(x, geo, visit)[(slice(None), *inside)]
    return x


def plain_weight_gradient(x, g, geo):
    """w += x̄ gᵀ: how often, and how strongly, pixel and cotangent met."""
    w = array_module(x).zeros((geo.kernel, geo.kernel, x.shape[3], g.shape[3]), x.dtype)

    def visit(n, i, j, a, b, pixel):
        w[a, b] += pixel[:, None] * g[n, i, j]

    _positions(x, geo, visit)
    return w


# The fast kernels: a few images at a time, their windows gathered into the rows of a matrix, one matrix product

def _images(geo, numbers):
    """How many images make a chunk, if each position of g comes with so many numbers."""
    return min(CHUNK, CACHE // (geo.steps[0] * geo.steps[1] * numbers))


def _windows(padded, geo, columns):
    """A view of x̄ (N, ·, ·, C) as (N, I, J, K, columns·C): the first `columns` columns of every window. In a row of
    a window they are contiguous."""
    n, row, column, channel = padded.strides
    return array_module(padded).lib.stride_tricks.as_strided(
        padded, (len(padded), *geo.steps, geo.kernel, columns * padded.shape[3]),
        (n, geo.stride * row, geo.stride * column, row, channel))


def _gather(x, geo):
    """All windows of x̄ as the rows of a matrix (N·I·J, K·K·C)."""
    xp, (inside, part) = array_module(x), geo.inside
    padded = xp.zeros((len(x), *geo.reach, x.shape[3]), x.dtype)
    padded[(slice(None), *inside)] = x[(slice(None), *part)]
    return _windows(padded, geo, geo.kernel).reshape(-1, geo.kernel ** 2 * x.shape[3])


def _convolve(x, w, geo):
    return _convolve_and_weight_gradient(x, w, None, geo, True, False)[0]


def _weight_gradient(x, g, geo):
    return _convolve_and_weight_gradient(x, None, g, geo, False, True)[1]


def _convolve_and_weight_gradient(x, w, g, geo, want_y, want_w):
    """(convolve(x, w), weight_gradient(x, g)) from one gather; None for what is not wanted.

    The batch is cut into GROUPS fixed parts; each adds up its own weight gradient, and the parts are added in
    order: the sum has the same bits whatever thread did what."""
    xp, K, C, D = array_module(x), geo.kernel, x.shape[3], (w if want_y else g).shape[3]
    y = xp.empty((len(x), *geo.steps, D), x.dtype) if want_y else None
    groups = chunks(x, -(-len(x) // GROUPS))
    partial = xp.zeros((len(groups), K * K * C, D), x.dtype) if want_w else None

    def work(group):
        number, images = group
        for part in chunks(x[images], _images(geo, K * K * C)):
            windows = _gather(x[images][part], geo)
            if want_y:
                xp.matmul(windows, w.reshape(-1, D), out=y[images][part].reshape(-1, D))
            if want_w:
                partial[number] += windows.T @ g[images][part].reshape(-1, D)

    parallel(work, list(enumerate(groups)))
    return y, partial.sum(axis=0).reshape(K, K, C, D) if want_w else None


def _transpose(g, w, geo):
    """The scatter. What S neighbouring kernel columns paint for one pixel of g are S·C contiguous numbers of x̄, and
    those of the next pixel adjoin: one matrix product paints them, and each sum runs along whole rows of the image."""
    xp, (inside, part), K, S = array_module(g), geo.inside, geo.kernel, geo.stride
    C, D = w.shape[2:]
    x = xp.zeros((len(g), *geo.size, C), g.dtype)
    thin = S * C == 1                                       # a product with one column is slow: then all K·K at once

    def work(images):
        pixels = g[images].reshape(-1, D)                   # (n, I, J, D) → (n·I·J, D)
        padded = xp.zeros((len(g[images]), *geo.reach, C), g.dtype)
        paint = pixels @ w.reshape(-1, D).T if thin else None
        for b in range(0, K, S):
            columns = min(S, K - b)
            target = _windows(padded[:, :, b:], geo, columns)
            for a in range(K):
                painted = paint[:, a * K + b] if thin else pixels @ w[a, b:b + columns].reshape(-1, D).T
                target[:, :, :, a] += painted.reshape(-1, *geo.steps, columns * C)     # (n·I·J, ·) → (n, I, J, ·)
        x[images][(slice(None), *part)] = padded[(slice(None), *inside)]

    parallel(work, chunks(g, _images(geo, K * K if thin else S * C)))
    return x
