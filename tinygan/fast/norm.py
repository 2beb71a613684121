"""Batch normalisation in two passes over the data each way.

    forward     Σ x, then Σ (x − μ)²; then y = x·scale + shift with scale = γ·r and shift = β − γ·r·μ
    backward    Σ g and Σ g·(x − μ); then, as x̂ = r·(x − μ),
                ∂L/∂x = γ·r·(g − E g − x̂ E[g x̂]) = g·along_g + (x − μ)·along_x + constant
                along_g = γ·r        along_x = −γ·r·r²·E[g·(x − μ)]        constant = −γ·r·E g

If there is a slope, LeakyReLU is applied in the last pass forward and undone in the first one back.
"""
from ..backend import array_module
from .kernels import column_sums, elementwise, fused, sums_of_rows
from .pointwise import leaky, leaky_backward


def batch_norm(x, gamma, beta, eps, slope, team):
    one_over_M = 1 / team.whole(x.size // x.shape[-1])
    total = team.sum(column_sums(x.reshape(-1, x.shape[-1])))               # (…, C) → (M, C) → (C,)
    squares, = sums_of_rows(_squared_deviation, x, columns=(total,), numbers=(one_over_M,))
    mu, v, scale, shift = fused(_affine, gamma, beta, total, team.sum(squares), numbers=(one_over_M, eps))
    y = array_module(x).empty(x.shape, x.dtype)
    if slope is None:
        elementwise(_scale, y, x, columns=(scale, shift))
    else:
        elementwise(_scale_leaky, y, x, columns=(scale, shift), numbers=(slope,))
    return y, mu, v


def batch_norm_backward(g, y, x, gamma, mu, v, eps, slope, team):
    """∂L/∂x, ∂L/∂γ, ∂L/∂β"""
    out = array_module(x).empty(x.shape, x.dtype)
    if slope is None:
        g_beta, products = sums_of_rows(_summands, g, x, columns=(mu,))
    else:
        g_beta, products = sums_of_rows(_leaky_summands, out, g, y, x, columns=(mu,), numbers=(slope,))
        g = out
    # What x is given comes from everyone's rows; the shares of γ and β are of these rows, as of any other parameter.
    everyones = team.means([g_beta, products])
    g_gamma, *factors = fused(_factors, gamma, v, products, *everyones, numbers=(len(gamma) / x.size, eps))
    elementwise(_combine, out, g, x, columns=(mu, *factors))
    return out, g_gamma, g_beta


# The kernels.  one_over_M: 1/M

def _squared_deviation(x, total, one_over_M):
    """((x − μ)²,) for μ = Σ x/M"""
    deviation = x - total * one_over_M
    deviation *= deviation
    return (deviation,)


def _affine(gamma, beta, total, squares, one_over_M, eps):
    """μ, v, scale, shift"""
    mu, v = total * one_over_M, squares * one_over_M
    scale = gamma / array_module(v).sqrt(v + eps)
    return mu, v, scale, beta - scale * mu


def _scale(y, x, scale, shift):
    """y = x·scale + shift"""
    array_module(x).multiply(x, scale, out=y)
    y += shift


def _scale_leaky(y, x, scale, shift, slope):
    """y = LeakyReLU(x·scale + shift)"""
    _scale(y, x, scale, shift)
    leaky(y, y, slope)


def _summands(g, x, mu):
    """What the two sums are over: g, (x − μ)·g"""
    deviation = x - mu
    deviation *= g
    return g, deviation


def _leaky_summands(out, g, y, x, mu, slope):
    """The same for the g that LeakyReLU passes on, which goes to out."""
    leaky_backward(out, y, g, slope)
    return _summands(out, x, mu)


def _factors(gamma, v, products, sum_g, sum_products, one_over_M, eps):
    """∂L/∂γ = r·Σ g·(x − μ) of these rows; along_g, along_x, constant from everyone's sums"""
    r = 1 / array_module(v).sqrt(v + eps)
    along_g = gamma * r
    return products * r, along_g, -along_g * r * r * sum_products * one_over_M, -along_g * sum_g * one_over_M


def _combine(out, g, x, mu, along_g, along_x, constant):
    """out = g·along_g + (x − μ)·along_x + constant; out may be g."""
    from_g = g * along_g
    array_module(x).subtract(x, mu, out=out)
    out *= along_x
    out += from_g
    out += constant
