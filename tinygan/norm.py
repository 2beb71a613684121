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
from .backend import array_module
from .fast import norm as fast, pick
from .ops import mean, slopes, sqrt, sum
from .tensor import Tensor, record


def batch_norm(x, gamma, beta, eps, slope=None):
    """(y, mean, variance) for x (…, C), gamma and beta (C,): y is a Tensor, the (biased) statistics are arrays (C,).

    With a slope, LeakyReLU is applied in the same pass, y = max(u, slope·u) for u = γ·x̂ + β, and u is never stored.
    In a group that shares the batch, E runs over everyone's rows (group/)."""
    team, rows, axes = group.current(), x.size // x.shape[-1], tuple(range(x.ndim - 1))
    y, mu, v = pick(plain_batch_norm, fast.batch_norm)(x.data, gamma.data, beta.data, eps, slope, team)

    def E(x):
        return team.mean(mean(x, axes, keepdims=True))

    def E_back(g):          # the cotangents of rank r count w_r, as its loss does: Σ_s w_s Σ g / M_r
        return team.mean(sum(g, axes, keepdims=True)) / rows

    def normalised():       # functions of x once more, so that the derivative of the derivative is exact
        centred = x - E(x)
        r = 1 / sqrt(E(centred * centred) + eps)
        return centred * r, r

    def before_slope(g, y):
        return g if slope is None else g * Tensor(slopes(y.data, slope))

    def x_share(g, y):
        g, (x_hat, r) = before_slope(g, y), normalised()
        return gamma * r * (g - E_back(g) - x_hat * E_back(g * x_hat))

    def gamma_share(g, y):
        return sum(before_slope(g, y) * normalised()[0], axes)

    def beta_share(g, y):
        return sum(before_slope(g, y), axes)

    def all_shares(g, y, wanted):
        return fast.batch_norm_backward(g, y, x.data, gamma.data, mu, v, eps, slope, team)

    return record(y, (x, x_share), (gamma, gamma_share), (beta, beta_share), joint=all_shares), mu, v


def plain_batch_norm(x, gamma, beta, eps, slope, team):
    """y, μ, v: the three equations at the top of this file, on arrays."""
    rows, number = x.reshape(-1, x.shape[-1]), x.dtype.type                     # (…, C) → (M, C)
    M = team.whole(len(rows))
    mu = team.sum(rows.sum(axis=0)) / M
    v = team.sum(((rows - mu) ** 2).sum(axis=0)) / M                            # E x² − μ² would lose digits
    u = gamma * (x - mu) / array_module(x).sqrt(v + number(eps)) + beta
    return (u if slope is None else array_module(x).maximum(u, number(slope) * u)), mu, v
