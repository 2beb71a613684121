"""Two mixtures of Gaussians in the plane. Every mode is known, so those that a generator has lost can be counted.

    x = μ_k + σ·ε        ε ~ N(0, I), each k equally probable

Source: Srivastava et al., "VEEGAN" (2017), for the two tasks; Lin et al., "PacGAN" (2018), section 4.1, for the protocol:
these means, these widths, 100,000 points to train on.
"""
import numpy as np

from ..errors import integer

_angles = 2 * np.pi * np.arange(8) / 8
RING_MEANS = np.stack([np.cos(_angles), np.sin(_angles)], axis=1).astype(np.float32)    # (8, 2)
RING_SIGMA = 0.01

_steps = range(-4, 5, 2)
GRID_MEANS = np.array([(x, y) for x in _steps for y in _steps], dtype=np.float32)       # (25, 2)
GRID_SIGMA = 0.05


def ring(n=100_000, seed=0) -> tuple[np.ndarray, np.ndarray]:
    """x = μ_k + 0.01·ε, μ_k one of 8 points on the unit circle: n points, float32 (n, 2), and their k, int64 (n,).

    μ_k is row k of RING_MEANS."""
    return _mixture(RING_MEANS, RING_SIGMA, n, seed)


def grid(n=100_000, seed=0) -> tuple[np.ndarray, np.ndarray]:
    """x = μ_k + 0.05·ε, μ_k one of 25 points in {−4, −2, 0, 2, 4}²: n points, float32 (n, 2), and their k, int64 (n,).

    μ_k is row k of GRID_MEANS."""
    return _mixture(GRID_MEANS, GRID_SIGMA, n, seed)


def _mixture(means, sigma, n, seed):
    rng = np.random.default_rng(seed)
    modes = rng.integers(len(means), size=integer("n", n))
    return means[modes] + sigma * rng.standard_normal((n, 2), dtype=np.float32), modes
