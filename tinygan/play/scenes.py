"""Games that are ready to be played: one that goes well, and the failures that GANs are known for, each with its cure."""
from dataclasses import dataclass
from typing import Callable

import numpy as np

from ..data.mixtures import RING_MEANS


@dataclass(frozen=True)
class Scene:
    """A game on points: what it shows, its data, its settings, and the settings that cure it."""
    title: str
    about: str                  # what to look at
    points: Callable            # → float32 (n, 2)
    settings: dict
    cure: dict
    cured: str                  # what the cure does


def _around(means, sigma):
    """4,096 points: x = μ_k + σ·ε, ε ~ N(0, I), each mean μ_k (2,) equally probable."""
    rng, means = np.random.default_rng(0), np.asarray(means)
    return (means[rng.integers(len(means), size=4096)] + sigma * rng.standard_normal((4096, 2))).astype(np.float32)


RING, CORNER, NEAR, PLACE = 1.2 * RING_MEANS, [(1.4, 1.4)], [(1.0, 0.5)], [(1.0, 0.7)]
SCENES = {
    "ring": Scene(
        "ring", "Eight Gaussians on a circle. G bends the plane of z until it covers all eight.",
        lambda: _around(RING, 0.04), {"r1": 0.01, "d_lr": 2e-3}, {}, ""),
    "vanishing": Scene(
        "vanishing gradient", "The saturating loss against a sure D: ∂L_G/∂a = −σ(a) is nearly 0, and G stays where it is.",
        lambda: _around(CORNER, 0.05),
        {"loss": "saturating", "d_steps": 10, "optimiser": "SGD", "g_lr": 0.005, "d_lr": 0.3},
        {"loss": "non_saturating"}, "the non-saturating loss, −σ(−a)"),
    "collapse": Scene(
        "mode collapse", "G is quicker than D: all samples run together to where D believes most, and on to the next place.",
        lambda: _around(RING, 0.04), {"g_lr": 2e-3, "d_lr": 5e-4},
        {"g_lr": 1e-3, "d_lr": 2e-3, "r1": 0.01}, "a quicker D, with R₁"),
    "cycling": Scene(
        "cycling", "A linear D and a linear G, and one point to find: they chase each other round it for ever (Dirac-GAN).",
        lambda: _around(NEAR, 0.0), {"loss": "wasserstein", "layers": 0, "optimiser": "SGD", "g_lr": 0.1, "d_lr": 0.1},
        {"r1": 0.3}, "R₁ brings both to rest"),
    "strong": Scene(
        "D too strong", "D takes five large steps to each small one of G: it tells the two apart, and L_G stays high.",
        lambda: _around(RING, 0.04), {"d_steps": 5, "d_lr": 2e-3, "g_lr": 2e-4},
        {"r1": 0.5}, "R₁ keeps D’s slope small"),
    "blind": Scene(
        "a blind batch norm",
        "D’s batch norm subtracts the mean of each batch: G’s shape is right, its place is not, and D is content.",
        lambda: _around(PLACE, 0.2), {"batch_norm": True}, {"batch_norm": False, "r1": 0.1}, "a D without it, with R₁"),
}
