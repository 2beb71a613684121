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
