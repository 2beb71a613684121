"""Keeping the better samples: D, which was only G's teacher, sorts what G draws.

The optimal D has the logit a = log p(x) − log q(x), for data of density p and samples of density q (Goodfellow et al. 2014,
proposition 1). With M = max a, keep x with probability r = e^(a − M) = p/(q·e^M), throw it away else. What is kept has the
density q·r/∫ q·r dx, and q·r = p·e^(−M): it is p itself. Of all samples the fraction e^(−M) is kept (von Neumann 1951).

One high logit makes M large, and hardly anything is kept. So the odds of r are divided by e^γ:

    P(keep x) = σ(F − γ)        F = a − M − log(1 − e^(a − M − ε))

F is the logit of r, log r − log(1 − r), so with γ = 0 this is r; ε only keeps F finite where a = M. γ < 0 keeps more, and what
is kept lies between q and p. γ > 0 keeps those alone of which D is surest, which are less various than p.
Here γ is chosen so that a given fraction of the samples is kept.

All of it leans on D. What G never draws, no choice brings back; and what is kept is p only if D is the optimal one.

Source: Azadi et al., "Discriminator Rejection Sampling" (2019), sections 3.1 and 3.2.
"""
import numpy as np

from .backend import like, to_numpy
from .errors import TinyganError, integer, plain_number
from .tensor import Tensor, no_grad
from .umpire import BELIEFS

EPSILON = 1e-8
BATCH = 1000        # samples that are drawn at a time; M and γ are those of the first
LEAST = 0.01        # the smallest fraction to keep: of the first batch it is 10, and fewer say little about γ
PATIENCE = 10       # so many times the samples that should be enough are drawn, no more


def logit(a, M):
    """F of logits a (N,) and their largest M, in float64; a logit above M counts as M."""
    below = np.minimum(np.asarray(a, np.float64) - M, 0)
    return below - np.log(-np.expm1(below - EPSILON))


def sigma(F):
    """σ(F), without overflow where |F| is large"""
    return np.exp(-np.logaddexp(0, -F))


def gamma_of(F, keep):
    """The γ with E σ(F − γ) = keep, for F (N,) and 0 < keep < 1. The mean falls as γ rises: halve until it is found."""
    low, high = F.min() - 40, F.max() + 40                  # where the mean is nearly 1, and nearly 0
    for _ in range(100):
        gamma = (low + high) / 2
        low, high = (gamma, high) if sigma(F - gamma).mean() > keep else (low, gamma)
    return gamma


def sample(gan, n, keep=1.0, seed=0):
    """n samples, chosen so that on average the fraction `keep` of what G draws is kept; keep = 1 is gan.sample(n, seed).

    Returns them as a NumPy array, and how many were drawn until there were n. They are gan.sample(that many, seed) without
    those thrown away. D is in evaluation mode, as the averaged G is.
    TinyganError for keep outside of [0.01, 1], for a loss whose D has no logits, and where far fewer pass than should."""
    if not LEAST <= plain_number("keep", keep) <= 1:
        raise TinyganError(f"got keep {keep}, expected a fraction from {LEAST} to 1: try 0.5, the better half")
    if keep == 1:
        return gan.sample(n, seed), n
    if gan.loss not in BELIEFS:
        raise TinyganError(f"got a D with the loss {gan.loss!r}, whose score is no logit, expected {' or '.join(BELIEFS)}: "
                           "train with one of these, or keep all samples")
    n, noise, chance = integer("n", n, 1), np.random.default_rng(seed), np.random.default_rng([seed, 1])
    kept, numbers, drawn, M, weight = [], [], 0, None, gan.discriminator.parameters()[0].data
    with gan.discriminator.evaluating() as D, no_grad():
        while len(kept) < n:
            if drawn > PATIENCE * (n / keep + BATCH):
                raise TinyganError(f"got {len(kept)} samples of {drawn:,} that pass, expected {keep:.0%}, as of the first "
                                   f"{BATCH:,}: ask for fewer, or keep more of them")
            x = [gan.generate(z) for z in noise.standard_normal((BATCH, 1, gan.latent))]
            a = np.concatenate([to_numpy(D(Tensor(like(one, weight)))).ravel() for one in x])
            if M is None:
                M = a.max()
                gamma = gamma_of(logit(a, M), keep)
            passed = np.flatnonzero(chance.random(BATCH) < sigma(logit(a, M) - gamma))
            kept += [x[k] for k in passed]
            numbers += [drawn + k for k in passed]
            drawn += BATCH
    return np.concatenate(kept[:n]), int(numbers[n - 1]) + 1
