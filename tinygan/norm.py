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
from . import group
from .backend import array_module, column_sums, elementwise, fused, sums_of_rows
from .ops import leaky, leaky_backward, leaky_slopes, mean, sqrt, sum
from .tensor import Tensor, record


def batch_norm(x, gamma, beta, eps, slope=None):
    """(y, mean, variance) for x (…, C), gamma and beta (C,): y is a Tensor, the (biased) statistics are arrays (C,).

    With a slope, LeakyReLU is applied in the same pass, y = max(u, slope·u) for u = γ·x̂ + β, and u is never stored."""
    team, rows = group.current(), x.size // x.shape[-1]
    one_of = 1 / team.whole(rows)                       # 1/M
    total = team.sum(column_sums(x.data.reshape(-1, x.shape[-1])))         # (…, C) → (M, C) → (C,)
    # The variance from the deviations: E x² − μ² would lose digits.
    squares, = sums_of_rows(_squared_deviation, x.data, columns=(total,), numbers=(one_of,))
    mu, v, r, scale, shift = fused(_affine, gamma.data, beta.data, total, team.sum(squares), numbers=(one_of, eps))
    axes = tuple(range(x.ndim - 1))

    # The same three derivatives twice. First in differentiable operations, statistics and all: x̂ and r are functions
    # of x again, so that the derivative of the derivative is exact. Then fused, on arrays.
    def E(x):
        return team.mean(mean(x, axes, keepdims=True))

    def E_back(g):          # the cotangents of rank r count w_r, as its loss does: Σ_s w_s Σ g / M_r
        return team.mean(sum(g, axes, keepdims=True)) / rows

    def normalised():
        centred = x - E(x)
        r = 1 / sqrt(E(centred * centred) + eps)
        return centred * r, r

    def before_slope(g, y):
        if slope is None:
            return g
        return g * Tensor(leaky_slopes(y.data, slope))

    def x_share(g, y):
        g, (x_hat, r) = before_slope(g, y), normalised()
        return gamma * r * (g - E_back(g) - x_hat * E_back(g * x_hat))

    def gamma_share(g, y):
        return sum(before_slope(g, y) * normalised()[0], axes)

    def beta_share(g, y):
        return sum(before_slope(g, y), axes)

    def all_shares(g, y, wanted):
        return _backward(g, y, x.data, gamma.data, mu, r, slope, team)

    y = array_module(x.data).empty(x.shape, x.dtype)
    if slope is None:
        elementwise(_scale, y, x.data, columns=(scale, shift))
    else:
        elementwise(_scale_leaky, y, x.data, columns=(scale, shift), numbers=(slope,))
    return record(y, (x, x_share), (gamma, gamma_share), (beta, beta_share), joint=all_shares), mu, v


def _backward(g, y, x, gamma, mu, r, slope, team):
    """∂L/∂x, ∂L/∂γ, ∂L/∂β in two passes over g and x: the two sums, then
    ∂L/∂x = γ·r·(g − E g − x̂ E[g x̂]) = γ·r·g − γ·r²·E[g x̂]·(x − μ) − γ·r·E g, a scale, a scale and a shift.
    If there is a slope, the first pass takes g back through LeakyReLU."""
    out = array_module(x).empty(x.shape, x.dtype)
    if slope is None:
        g_beta, products = sums_of_rows(_shares, g, x, columns=(mu,))
    else:
        g_beta, products = sums_of_rows(_leaky_shares, out, g, y, x, columns=(mu,), numbers=(slope,))
        g = out
    # What x is given comes from everyone's rows; the shares of γ and β are of these rows, as of any other parameter.
    sums = team.means([g_beta, products])
    g_gamma, *factors = fused(_factors, gamma, r, products, *sums, numbers=(len(gamma) / x.size,))
    elementwise(_combine, out, g, x, columns=(mu, *factors))
    return out, g_gamma, g_beta


# The kernels

def _squared_deviation(x, total, one_of):
    """((x − μ)²,) for μ = Σ x/M;  one_of: 1/M"""
    deviation = x - total * one_of
    deviation *= deviation
    return (deviation,)


def _affine(gamma, beta, total, squares, one_of, eps):
    """μ, v, r = 1/√(v + ε), and the scale γ·r and the shift β − γ·r·μ that take x to y."""
    mu, v = total * one_of, squares * one_of
    r = 1 / array_module(v).sqrt(v + eps)
    return mu, v, r, gamma * r, beta - gamma * r * mu


def _scale(y, x, scale, shift):
    """y = x·scale + shift"""
    array_module(x).multiply(x, scale, out=y)
    y += shift


def _scale_leaky(y, x, scale, shift, slope):
    """y = LeakyReLU(x·scale + shift)"""
    _scale(y, x, scale, shift)
    leaky(y, y, slope)


def _shares(g, x, mu):
    """What the two sums are over: g, (x − μ)·g"""
    deviation = x - mu
    deviation *= g
    return g, deviation


def _leaky_shares(out, g, y, x, mu, slope):
    """The same for the g that LeakyReLU passes on, which goes to out."""
    leaky_backward(out, y, g, slope)
    return _shares(out, x, mu)


def _factors(gamma, r, products, sum_g, sum_products, one_of):
    """∂L/∂γ = r·Σ (x − μ)·g; and the factors of g and of x − μ, and what is left, in ∂L/∂x.  one_of: 1/M"""
    along_g = gamma * r
    return products * r, along_g, -along_g * r * r * sum_products * one_of, -along_g * sum_g * one_of


def _combine(out, g, x, mu, along_g, along_x, shift):
    """out = g·along_g + (x − μ)·along_x + shift; out may be g."""
    from_g = g * along_g
    array_module(x).subtract(x, mu, out=out)
    out *= along_x
    out += from_g
    out += shift
