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
import functools
from dataclasses import dataclass

from .backend import array_module, chunks, column_sums
from .errors import TinyganError
from .ops import sum
from .tensor import record

CACHE = 1 << 19          # numbers that the windows gathered at one time may hold, so that they stay in the cache


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


# The three maps as differentiable operations. A bias, where there is one, is added to each chunk while it is at hand.

def convolve(x, w, geo, bias=None):
    """y[n, i, j, d] = Σ x̄[n, S·i + a, S·j + b, c] · w[a, b, c, d] + bias[d]

    ∂y/∂x: transpose    ∂y/∂w: weight_gradient    ∂y/∂bias: Σ over n, i, j"""
    return record(_convolve(x.data, w.data, geo, _array(bias)),
                  (x, lambda g, y: transpose(g, w, geo)),
                  (w, lambda g, y: weight_gradient(x, g, geo)),
                  (bias, lambda g, y: sum(g, (0, 1, 2))))


def transpose(g, w, geo, bias=None):
    """x[n, S·i + a − top, S·j + b − left, c] = Σ w[a, b, c, d] · g[n, i, j, d] + bias[c]

    The sum runs over all (i, a) and (j, b) that meet in the same pixel.
    ∂x/∂g: convolve    ∂x/∂w: weight_gradient    ∂x/∂bias: Σ over all pixels
    The first two need the same windows of the cotangent u, so the joint kernel gathers them once."""
    def all_shares(u, x, wanted):
        want_g, want_w, want_bias = (*wanted, False)[:3]
        shares = _convolve_and_weight_gradient(u, w.data, g.data, geo, want_g, want_w)
        return *shares, column_sums(u.reshape(-1, u.shape[3])) if want_bias else None

    return record(_transpose(g.data, w.data, geo, _array(bias)),
                  (g, lambda u, x: convolve(u, w, geo)),
                  (w, lambda u, x: weight_gradient(u, g, geo)),
                  (bias, lambda u, x: sum(u, (0, 1, 2))), joint=all_shares)


def _array(bias):
    return None if bias is None else bias.data


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


def plain_convolve(x, w, geo, bias=None):
    """y += x̄ w: what a convolution is."""
    y = array_module(x).zeros((len(x), *geo.steps, w.shape[3]), x.dtype)

    def visit(n, i, j, a, b, pixel):
        y[n, i, j] += pixel @ w[a, b]

    _positions(x, geo, visit)
    return y if bias is None else y + bias


def plain_transpose(g, w, geo, bias=None):
    """x̄ += w g: every input pixel paints its kernel onto the output; then the padding is cropped."""
    x = array_module(g).zeros((len(g), *geo.size, w.shape[2]), g.dtype)

    def visit(n, i, j, a, b, pixel):
        pixel += w[a, b] @ g[n, i, j]

    inside, part = geo.inside
    x[(slice(None), *part)] = _positions(x, geo, visit)[(slice(None), *inside)]
    return x if bias is None else x + bias


def plain_weight_gradient(x, g, geo):
    """w += x̄ gᵀ: how often, and how strongly, pixel and cotangent met."""
    w = array_module(x).zeros((geo.kernel, geo.kernel, x.shape[3], g.shape[3]), x.dtype)

    def visit(n, i, j, a, b, pixel):
        w[a, b] += pixel[:, None] * g[n, i, j]

    _positions(x, geo, visit)
    return w


# The fast kernels: a few images at a time, their windows gathered into the rows of a matrix, one matrix product

def _images(numbers, weights=0):
    """How many images are gathered at one time. Where the gradient of so many weights is then added to, their windows
    should hold more numbers than it."""
    return max(1, max(CACHE, 2 * weights) // numbers)


def _padded(x, rows, columns):
    """x (N, H, W, C) between the given rows and columns, (start, stop) each; zeros where they lie outside of x."""
    padded = array_module(x).zeros((len(x), rows[1] - rows[0], columns[1] - columns[0], x.shape[3]), x.dtype)
    (into_h, from_h), (into_w, from_w) = _overlap(rows, x.shape[1]), _overlap(columns, x.shape[2])
    padded[:, into_h, into_w] = x[:, from_h, from_w]
    return padded


def _overlap(span, length):
    """(the part of the span that lies in [0, length), counted from the span's start; the same, counted from 0)."""
    start, stop = max(span[0], 0), max(min(span[1], length), max(span[0], 0))
    return slice(start - span[0], stop - span[0]), slice(start, stop)


def _windows(padded, stride, steps, rows, columns):
    """The windows of rows × columns pixels, one every `stride` pixels, as a view (N, I, J, rows, columns·C): within a
    row of a window the numbers are contiguous."""
    n, row, column, channel = padded.strides
    return array_module(padded).lib.stride_tricks.as_strided(
        padded, (len(padded), *steps, rows, columns * padded.shape[3]),
        (n, stride * row, stride * column, row, channel))


def _gather(x, geo):
    """All windows of x̄ as the rows of a matrix (N·I·J, K·K·C)."""
    K, C = geo.kernel, x.shape[3]
    (top, _), (left, _) = geo.pads
    padded = _padded(x, (-top, geo.reach[0] - top), (-left, geo.reach[1] - left))
    windows = _windows(padded, geo.stride, geo.steps, K, K)
    if C > 1:
        return windows.reshape(-1, K * K * C)               # (N, I, J, K, K·C) → (N·I·J, K·K·C)
    # K numbers are too short a run to copy: laid out the other way round, a row of the image is one run.
    return windows.transpose(3, 4, 0, 1, 2).reshape(K * K, -1).T


def _convolve(x, w, geo, bias=None):
    return _convolve_and_weight_gradient(x, w, None, geo, True, False, bias)[0]


def _weight_gradient(x, g, geo):
    return _convolve_and_weight_gradient(x, None, g, geo, False, True)[1]


def _convolve_and_weight_gradient(x, w, g, geo, want_y, want_w, bias=None):
    """(convolve(x, w) + bias, weight_gradient(x, g)) from one gather; None for what is not wanted."""
    xp, K, C, D = array_module(x), geo.kernel, x.shape[3], (w if want_y else g).shape[3]
    y = xp.empty((len(x), *geo.steps, D), x.dtype) if want_y else None
    w_gradient = xp.zeros((K * K * C, D), x.dtype) if want_w else None
    for part in chunks(x, _images(geo.steps[0] * geo.steps[1] * K * K * C, K * K * C * D if want_w else 0)):
        windows = _gather(x[part], geo)
        if want_y:
            rows = y[part].reshape(-1, D)                   # (n, I, J, D) → (n·I·J, D)
            xp.matmul(windows, w.reshape(-1, D), out=rows)
            if bias is not None:
                rows += bias
        if want_w:
            w_gradient += xp.matmul(windows.T, g[part].reshape(-1, D))
    return y, w_gradient.reshape(K, K, C, D) if want_w else None


def _transpose(g, w, geo, bias=None):
    if w.shape[2] == 1:
        return _paint(g, w, geo, bias)
    return _transpose_by_parity(g, w, geo, bias)


@dataclass(frozen=True)
class Parity:
    """The pixels S·m + parity of x along one axis, m < count, and what they receive: they meet the kernel positions
    first, first + S, …, and of these the last meets g at m + offset, the one before it at m + offset + 1, and so on."""
    parity: int
    count: int
    first: int
    taps: int            # how many positions
    offset: int


@functools.cache
def _parities(geo):
    """(those down the rows of x, those across its columns), but for parities that receive nothing."""
    K, S = geo.kernel, geo.stride

    def along(size, before):
        for parity in range(min(S, size)):
            first = (parity + before) % S                   # S·i + a = S·m + parity + before
            taps = len(range(first, K, S))
            if taps:
                offset = (parity + before - first) // S - taps + 1
                yield Parity(parity, len(range(parity, size, S)), first, taps, offset)

    (top, _), (left, _) = geo.pads
    return list(along(geo.size[0], top)), list(along(geo.size[1], left))


def _span(parities):
    """(start, stop) of what these read of g along their axis; some of it may lie outside of g."""
    return (min((p.offset for p in parities), default=0),
            max((p.offset + p.taps + p.count - 1 for p in parities), default=0))


def _transpose_by_parity(g, w, geo, bias):
    """The pixels of x that are S apart meet the same kernel positions, K/S of them in each direction. So each of these
    S·S classes is a convolution of g with stride 1 by a part of the kernel, turned round, and is computed as one.

    Classes with the same columns use the same windows, those with fewer rows a part of them."""
    xp, S, (C, D) = array_module(g), geo.stride, w.shape[2:]
    x = xp.zeros((len(g), *geo.size, C), g.dtype)
    down, across = _parities(geo)
    if bias is not None and len(across) * len(down) < S * S:
        x += bias                                           # K < S: some pixels receive nothing else
    if not across or not down:
        return x
    lines, (above, _), (begin, end) = max(p.count for p in down), _span(down), _span(across)
    rows = max(p.offset + p.taps for p in down) - above     # of the windows that all parities share
    kernels = {(p, q): w[p.first::S, q.first::S][::-1, ::-1].swapaxes(2, 3).reshape(-1, C)      # (taps·taps·D, C)
               for p in down for q in across}

    numbers = lines * across[0].count * rows * max(q.taps for q in across) * D

    for part in chunks(g, _images(numbers)):
        padded = _padded(g[part], (above, above + rows + lines - 1), (begin, end))
        for q in across:
            windows = _windows(padded[:, :, q.offset - begin:], 1, (lines, q.count), rows, q.taps)
            windows = windows.reshape(-1, rows * q.taps * D)
            for p in down:
                start = (p.offset - above) * q.taps * D
                pixels = xp.matmul(windows[:, start:start + p.taps * q.taps * D], kernels[p, q])
                pixels = pixels.reshape(-1, lines, q.count, C)[:, :p.count]      # (n·lines·count, C) → (n, ·, ·, C)
                target = x[part, p.parity::S, q.parity::S]
                if bias is None:
                    target[...] = pixels
                else:
                    xp.add(pixels, bias, out=target)

    return x


def _paint(g, w, geo, bias):
    """For images of one channel: all K·K numbers that a pixel of g paints in one product, laid out so that for each
    position (a, b) a row of g is one run; then for each parity the sum over its positions, looked up where they fell."""
    xp, K, S, D, (I, J) = array_module(g), geo.kernel, geo.stride, w.shape[3], geo.steps
    x = xp.zeros((len(g), *geo.size, 1), g.dtype)
    down, across = _parities(geo)
    (above, below), (begin, end) = _span(down), _span(across)

    for part in chunks(g, _images(I * J * (K * K + D))) if down and across else ():
        paint = xp.matmul(w.reshape(-1, D), g[part].reshape(-1, D).T)     # (K·K, D) (D, n·I·J) → (K·K, n·I·J)
        padded = _padded(paint.reshape(-1, I, J, 1), (above, below), (begin, end))
        padded = padded.reshape(K, K, -1, below - above, end - begin)
        a, b, n, i, j = padded.strides
        for p in down:
            for q in across:
                painted = xp.lib.stride_tricks.as_strided(
                    padded[p.first:, q.first:, :, p.offset + p.taps - 1 - above:, q.offset + q.taps - 1 - begin:],
                    (p.taps, q.taps, padded.shape[2], p.count, q.count), (S * a - i, S * b - j, n, i, j))
                x[part, p.parity::S, q.parity::S, 0] = painted.sum(axis=(0, 1))
    if bias is not None:
        x += bias
    return x
