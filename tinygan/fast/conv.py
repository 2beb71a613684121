"""The three maps of a convolution by matrix products.

A few images at a time are taken, and their windows are gathered into the rows of a matrix, one product of which with the
kernel is the convolution, and one with the cotangent the gradient of the kernel. The way up (transpose) has two forms.

By phase. Pixels of x that are S apart meet the same positions of the kernel. With K = 4 and S = 2, along one axis,

    pixel of x     0  1  2  3  4  5         even pixels meet the positions 1 and 3 of the kernel,
    phase          0  1  0  1  0  1         odd ones the positions 0 and 2 (with one row of padding before)

so x falls into S·S classes, and each of them is a convolution of g, with stride 1, by its own part of the kernel.

By painting. Each pixel of g paints its K·K·C numbers, all of them in one product; then they are added up where they fell. So
it is done for images of one channel, and on a GPU as long as these numbers stay in its cache: there it is the calls that cost.
A pixel of x in phase p reads position a of the kernel from the row (S·m + p + top − a)/S of g: one row back in g for each S
positions, which is what the strides S·a − i in _paint say.
"""
import functools
from dataclasses import dataclass, replace

from ..backend import array_module, between, device_of, strided
from .kernels import chunks, column_sums, fused, product

CACHE = 1 << 19          # numbers that the windows gathered at one time may hold, so that they stay in the cache
PAINTED = 1 << 23        # numbers that may be painted at one time on a GPU, 32 MB in float32
TAPS = 4                 # positions along an axis whose shares one kernel there adds up: it takes 4 KB of arguments at most


def _images(numbers, weights=0):
    """How many images are gathered at one time. Where the gradient of so many weights is then added to, their windows
    should hold more numbers than it."""
    return max(1, max(CACHE, 2 * weights) // numbers)


def _windows(padded, stride, steps, rows, columns, left=0):
    """The windows of rows × columns pixels, one every `stride` pixels from column `left` on, as a view
    (N, I, J, rows, columns·C): within a row of a window the numbers are contiguous."""
    n, row, column, channel = padded.strides
    return strided(padded, (len(padded), *steps, rows, columns * padded.shape[3]),
                   (n, stride * row, stride * column, row, channel), left * column)


def _gather(x, geo):
    """All windows of x̄ as the rows of a matrix (N·I·J, K·K·C)."""
    K, C = geo.kernel, x.shape[3]
    windows = _windows(geo.padded(x), geo.stride, geo.steps, K, K)
    if C > 1:
        return windows.reshape(-1, K * K * C)               # (N, I, J, K, K·C) → (N·I·J, K·K·C)
    # K numbers are too short a run to copy: laid out the other way round, a row of the image is one run.
    return windows.transpose(3, 4, 0, 1, 2).reshape(K * K, -1).T


def convolve(x, w, geo, bias=None):
    return _from_one_gather(x, w, None, geo, bias)[0]


def weight_gradient(x, g, geo):
    return _from_one_gather(x, None, g, geo)[1]


def transpose_backward(u, g, w, geo, wanted):
    """The shares of g, w and perhaps a bias in ∂L/∂x = u: the first two need the same windows of u, gathered once."""
    want_g, want_w, want_bias = (*wanted, False)[:3]
    shares = _from_one_gather(u, w if want_g else None, g if want_w else None, geo) if want_g or want_w else (None, None)
    return *shares, column_sums(u.reshape(-1, u.shape[3])) if want_bias else None


def _from_one_gather(x, w, g, geo, bias=None):
    """(convolve(x, w) + bias, weight_gradient(x, g)); None where w or g is None."""
    xp, K, C = array_module(x), geo.kernel, x.shape[3]
    D = (g if w is None else w).shape[3]
    y = None if w is None else xp.empty((len(x), *geo.steps, D), x.dtype)
    w_gradient = None if g is None else xp.empty((K, K, C, D), x.dtype)
    size = _images(geo.steps[0] * geo.steps[1] * K * K * C, 0 if g is None else w_gradient.size)
    for part in chunks(x, size) or [slice(0)]:              # of no images, the gradient is 0
        windows = _gather(x[part], geo)
        if w is not None:
            rows = y[part].reshape(-1, D)                   # (n, I, J, D) → (n·I·J, D)
            product(x)(windows, w.reshape(-1, D), out=rows)
            if bias is not None:
                rows += bias
        if g is not None:
            total, factors = w_gradient.reshape(-1, D), (windows.T, g[part].reshape(-1, D))
            if part.start:
                total += product(x)(*factors)
            else:
                product(x)(*factors, out=total)
    return y, w_gradient


def transpose(g, w, geo, bias=None):
    (K, _, C, D), taps = w.shape, -(-len(w) // geo.stride)
    paints = C == 1 or device_of(g) == "cuda" and taps <= TAPS and g.size // D * K * K * C <= PAINTED
    return (_paint if paints else _transpose_by_phase)(g, w, geo, bias)


@dataclass(frozen=True)
class Phase:
    """The pixels S·m + phase of x along one axis, m < count, and what they receive: they meet the kernel positions
    first, first + S, …, and of these the last meets g at m + offset, the one before it at m + offset + 1, and so on.

    many = 2: so do their neighbours S·m + phase + 1, except that first and offset are further by `step`."""
    phase: int
    count: int
    first: int
    taps: int            # how many positions
    offset: int
    many: int = 1
    step: tuple = (0, 0)

    @property
    def reach(self):
        """They read g at less than m + reach."""
        return self.offset + (self.many - 1) * self.step[1] + self.taps


@functools.cache
def _phases(geo, pairs):
    """Those down the rows of x and their span, those across its columns and theirs; phases that receive nothing are left out.

    pairs: neighbours that are alike in count and taps as one."""
    K, S = geo.kernel, geo.stride

    def along(size, before):
        found = []
        for phase in range(min(S, size)):
            first = (phase + before) % S                   # S·i + a = S·m + phase + before
            taps = len(range(first, K, S))
            p = Phase(phase, len(range(phase, size, S)), first, taps, (phase + before - first) // S - taps + 1)
            last = found[-1] if found else p
            if pairs and (last.phase, last.count, last.taps) == (phase - 1, p.count, taps):
                found[-1] = replace(last, many=2, step=(first - last.first, p.offset - last.offset))
            elif taps:
                found.append(p)
        return found

    (top, _), (left, _) = geo.pads
    down, across = along(geo.size[0], top), along(geo.size[1], left)
    return down, _span(down), across, _span(across)


def _span(phases):
    """(start, stop) of what these read of g along their axis; some of it may lie outside of g."""
    return min((p.offset for p in phases), default=0), max((p.reach + p.count - 1 for p in phases), default=0)


def _transpose_by_phase(g, w, geo, bias):
    """The pixels of x that are S apart meet the same kernel positions, K/S of them in each direction. So each of these
    S·S classes is a convolution of g with stride 1 by a part of the kernel, turned round, and is computed as one.

    Classes with the same columns use the same windows, those with fewer rows a part of them."""
    xp, S, (C, D) = array_module(g), geo.stride, w.shape[2:]
    down, (above, _), across, (begin, end) = _phases(geo, False)
    x = xp.empty((len(g), *geo.size, C), g.dtype)
    if len(across) * len(down) < S * S:
        x[...] = 0 if bias is None else bias                # K < S: some pixels receive nothing else
    if not across or not down:
        return x
    lines = max(p.count for p in down)
    rows = max(p.reach for p in down) - above               # of the windows that all phases share
    kernels = {(p.first, q.first): w[p.first::S, q.first::S][::-1, ::-1].swapaxes(2, 3).reshape(-1, C)      # (taps·taps·D, C)
               for p in down for q in across}

    numbers = lines * across[0].count * rows * max(q.taps for q in across) * D

    for part in chunks(g, _images(numbers)):
        padded = between(g[part], (above, above + rows + lines - 1), (begin, end))
        for q in across:
            windows = _windows(padded, 1, (lines, q.count), rows, q.taps, q.offset - begin)
            windows = windows.reshape(-1, rows * q.taps * D)
            for p in down:
                start = (p.offset - above) * q.taps * D
                pixels = product(g)(windows[:, start:start + p.taps * q.taps * D], kernels[p.first, q.first])
                pixels = pixels.reshape(-1, lines, q.count, C)[:, :p.count]      # (n·lines·count, C) → (n, ·, ·, C)
                target = x[part, p.phase::S, q.phase::S]
                if bias is None:
                    target[...] = pixels
                else:
                    xp.add(pixels, bias, out=target)

    return x


def _paint(g, w, geo, bias):
    """All K·K·C numbers that a pixel of g paints in one product; then for each phase the sum over its positions, looked up
    where they fell. Several channels lie side by side; of one, a row of g is one run for each position (a, b)."""
    xp, (K, _, C, D), S, (I, J) = array_module(g), w.shape, geo.stride, geo.steps
    down, (above, below), across, (begin, end) = _phases(geo, device_of(g) == "cuda")
    receiving = sum(p.many for p in down) * sum(q.many for q in across)                # of the S·S phases
    x, w = (xp.empty if receiving == S * S else xp.zeros)((len(g), *geo.size, C), g.dtype), w.reshape(-1, D)

    for part in chunks(g, _images(I * J * (K * K + D))) if down and across else ():
        pixels, span = g[part].reshape(-1, D), ((above, below), (begin, end))
        if C > 1:
            flat = between(product(g)(pixels, w.T).reshape(-1, I, J, K * K * C), *span)
            painted = flat.reshape(*flat.shape[:3], K, K, C).transpose(3, 4, 0, 1, 2, 5)
        else:
            flat = between(product(g)(w, pixels.T).reshape(-1, I, J, 1), *span)
            painted = flat.reshape(K, K, -1, *flat.shape[1:])
        a, b, n, i, j, c = painted.strides
        for p in down:
            for q in across:
                lower, right = p.offset + p.taps - 1 - above, q.offset + q.taps - 1 - begin
                meeting = strided(
                    flat, (p.taps, q.taps, painted.shape[2], p.count, p.many, q.count, q.many, C),
                    (S * a - i, S * b - j, n, i, p.step[0] * a + p.step[1] * i, j, q.step[0] * b + q.step[1] * j, c),
                    p.first * a + q.first * b + lower * i + right * j)
                target = _pixels(x[part], S, p, q)
                if C > 1:
                    fused(_added, target, *(meeting[k, l] for k in range(p.taps) for l in range(q.taps)))
                else:
                    meeting.sum(axis=(0, 1), out=target)
    if bias is not None:
        x += bias
    return x


def _added(out, *shares):
    """out = Σ shares"""
    array_module(out).add(shares[0], sum(shares[1:]), out=out)


def _pixels(x, S, p, q):
    """Those of x in these phases, as a view (N, count, many, count, many, C)."""
    n, row, column, channel = x.strides
    return strided(x, (len(x), p.count, p.many, q.count, q.many, x.shape[3]),
                   (n, S * row, row, S * column, column, channel), p.phase * row + q.phase * column)
