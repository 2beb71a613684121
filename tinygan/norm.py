"""Batch normalisation, with its derivation.

For each feature, over the M numbers that share it (every axis but the last, Σ and E below run over them):

    μ = E x        v = E (x − μ)²        r = 1/√(v + ε)        x̂ = (x − μ)·r        y = γ·x̂ + β

The derivative with respect to x. A change dx shifts μ by E dx and v by 2 E[(x − μ) dx], so r changes by
−r³ E[(x − μ) dx] = −r² E[x̂ dx], and

    dx̂ = r·(dx − E dx) − (x − μ)·r² E[x̂ dx] = r·(dx − E dx − x̂ E[x̂ dx])

The map in brackets takes from dx its component along the constant 1 and, as good as, its component along x̂; it is
symmetric, so its transpose does the same to the cotangent:

    ∂L/∂x = γ·r·(g − E g − x̂ E[g x̂])        ∂L/∂γ = Σ g x̂        ∂L/∂β = Σ g

Two consequences. Without the variance term x̂ E[g x̂] the gradient is wrong though it looks plausible. And the
gradient of Σ y is zero: a check with a constant cotangent passes any mistake.

Source: Ioffe & Szegedy, "Batch Normalization" (2015), section 3.
"""
from .backend import add_rows, array_module, chunks, parallel
from .ops import leaky, leaky_backward, leaky_slopes, mean, sqrt, sum
from .tensor import Tensor, record

BLOCK = 1 << 18       # numbers that one chunk of rows holds


def batch_norm(x, gamma, beta, eps, slope=None):
    """(y, mean, variance) for x (…, C), gamma and beta (C,): y is a Tensor, the (biased) statistics are arrays (C,).

    With a slope, LeakyReLU is applied in the same pass, y = max(u, slope·u) for u = γ·x̂ + β, and u is never stored."""
    rows = x.data.reshape(-1, x.shape[-1])                  # (…, C) → (M, C)
    mu, v = _statistics(rows)
    r = 1 / array_module(v).sqrt(v + x.dtype.type(eps))
    axes = tuple(range(x.ndim - 1))

    # The same three derivatives twice. First in differentiable operations, statistics and all: x̂ and r are functions
    # of x again, so that the derivative of the derivative is exact. Then fused, on arrays.
    def normalised():
        centred = x - mean(x, axes, keepdims=True)
        r = 1 / sqrt(mean(centred * centred, axes, keepdims=True) + eps)
        return centred * r, r

    def before_slope(g, y):
        if slope is None:
            return g
        slopes = array_module(y.data).empty(y.shape, y.dtype)
        leaky_slopes(y.data, slope, slopes)
        return g * Tensor(slopes)

    def x_share(g, y):
        g, (x_hat, r) = before_slope(g, y), normalised()
        return gamma * r * (g - mean(g, axes, keepdims=True) - x_hat * mean(g * x_hat, axes, keepdims=True))

    def gamma_share(g, y):
        return sum(before_slope(g, y) * normalised()[0], axes)

    def beta_share(g, y):
        return sum(before_slope(g, y), axes)

    def all_shares(g, y, wanted):
        return _backward(g, y, rows, gamma.data, mu, r, slope)

    y = _scale(rows, gamma.data * r, beta.data - gamma.data * r * mu, slope).reshape(x.shape)
    return record(y, (x, x_share), (gamma, gamma_share), (beta, beta_share), joint=all_shares), mu, v


def _row_chunks(rows):
    return chunks(rows, BLOCK // rows.shape[1])


def _statistics(rows):
    """Mean and biased variance of each column, reading the rows once: each chunk's own mean and Σ (x − mean)²,
    merged exactly (Chan, Golub & LeVeque, "Algorithms for computing the sample variance", 1983, equation 2.1)."""
    xp, parts = array_module(rows), _row_chunks(rows)
    M, C = rows.shape
    means, squares = xp.empty((len(parts), C), rows.dtype), xp.empty((len(parts), C), rows.dtype)

    def work(k):
        block = rows[parts[k]]
        add_rows(block, out=means[k])
        means[k] /= len(block)
        centred = block - means[k]
        centred *= centred
        add_rows(centred, out=squares[k])

    parallel(work, range(len(parts)), rows.size)
    share = xp.asarray([(part.stop - part.start) / M for part in parts], rows.dtype)[:, None]
    mu = (share * means).sum(axis=0)
    return mu, squares.sum(axis=0) / M + (share * (means - mu) ** 2).sum(axis=0)


def _scale(rows, scale, shift, slope):
    """rows·scale + shift, through LeakyReLU if there is a slope."""
    xp = array_module(rows)
    y = xp.empty(rows.shape, rows.dtype)

    def work(part):
        xp.multiply(rows[part], scale, out=y[part])
        y[part] += shift
        if slope is not None:
            leaky(y[part], slope, y[part])

    parallel(work, _row_chunks(rows), rows.size)
    return y


def _backward(g, y, rows, gamma, mu, r, slope):
    """∂L/∂x, ∂L/∂γ, ∂L/∂β in two passes over g and x: the two sums, then
    ∂L/∂x = γ·r·(g − E g − x̂ E[g x̂]) = γ·r·g − γ·r²·E[g x̂]·(x − μ) − γ·r·E g, a scale, a scale and a shift.
    If there is a slope, the first pass takes g back through LeakyReLU."""
    xp, parts = array_module(rows), _row_chunks(rows)
    (M, C), shape = rows.shape, g.shape
    g, y, out = g.reshape(M, C), y.reshape(M, C), xp.empty(rows.shape, rows.dtype)       # (…, C) → (M, C)
    sums, products = xp.empty((len(parts), C), g.dtype), xp.empty((len(parts), C), g.dtype)
    cotangent = g if slope is None else out

    def reduce(k):
        part = parts[k]
        if slope is not None:
            leaky_backward(y[part], g[part], slope, out[part])
        add_rows(cotangent[part], out=sums[k])
        centred = rows[part] - mu
        centred *= cotangent[part]
        add_rows(centred, out=products[k])

    parallel(reduce, range(len(parts)), rows.size)
    g_beta, g_gamma = sums.sum(axis=0), products.sum(axis=0) * r

    along_x = -gamma * r * r * g_gamma / M
    shift = -gamma * r * g_beta / M

    def combine(part):
        along_g = cotangent[part] * (gamma * r)
        xp.subtract(rows[part], mu, out=out[part])
        out[part] *= along_x
        out[part] += along_g
        out[part] += shift

    parallel(combine, parts, rows.size)
    return out.reshape(shape), g_gamma, g_beta
