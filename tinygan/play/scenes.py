"""Games that are ready to be played: one that goes well, and the failures that GANs are known for, each with its cure."""
from dataclasses import dataclass, field
from typing import Callable

import numpy as np

from ..data.handwritten import digits
from ..data.mixtures import GRID_MEANS, RING_MEANS
from ..layers import Dense
from ..run.presets import PRESETS
from ..training import GAN
from .stage import even


@dataclass(frozen=True)
class Scene:
    """A game: what it shows, its data, its settings, and the settings that cure it."""
    title: str
    about: str                  # what to look at
    points: Callable            # → float32 (n, …)
    settings: dict
    cure: dict = field(default_factory=dict)
    cured: str = ""             # what the cure does
    gan: Callable = None        # → GAN, where its networks are not made by the settings
    kind: str = None            # of stage, where the points do not tell


def _around(means, sigma):
    """4,096 points: x = μ_k + σ·ε, ε ~ N(0, I), each mean μ_k (2,) equally probable."""
    rng, means = np.random.default_rng(0), np.asarray(means)
    return (means[rng.integers(len(means), size=4096)] + sigma * rng.standard_normal((4096, 2))).astype(np.float32)


def _dirac():
    """G's only sample is θ = 1, and D(x) = ψx with ψ = 0 (theory/dirac.py, whose ψ has the other sign)."""
    G, D = Dense(1, 1), Dense(1, 1, bias=False)
    G.weight.requires_grad = False
    for parameter, value in ((G.weight, 0), (G.bias, 1), (D.weight, 0)):
        parameter.data[:] = value
    return GAN(G, D, latent=1)


RING, CORNER, PLACE = 1.2 * RING_MEANS, [(1.4, 1.4)], [(1.0, 0.7)]
SCENES = {
    "ring": Scene(
        "ring", "Eight Gaussians on a circle. G bends the plane of z until it covers all eight.",
        lambda: _around(RING, 0.04), {"r1": 0.01, "d_lr": 2e-3}),
    "grid": Scene(
        "grid", "Twenty-five Gaussians. It takes a few thousand rounds: watch where modes are lost, and come back.",
        lambda: _around(0.4 * GRID_MEANS, 0.02),
        {"r1": 0.01, "d_lr": 2e-3, "beta1": 0.0, "g_layers": 3, "g_width": 128, "d_layers": 3, "d_width": 128}),
    "gauss1d": Scene(
        "a Gaussian on a line", "G moves its density onto the data’s, and D follows the best D there is, p/(p + q).",
        lambda: (1 + 0.3 * even(4096)).astype(np.float32), {"d_lr": 3e-3, "r1": 0.01, "d_steps": 3, "batch_size": 128}),
    "digits": Scene(
        "handwritten digits", "28×28 pixels, and a small convolutional network. Drag on the pad: one z, one digit.",
        lambda: digits()[0], {"batch_size": PRESETS["digits"].batch_size}, gan=lambda: PRESETS["digits"].build(0)),
    "vanishing": Scene(
        "vanishing gradient", "The saturating loss against a sure D: ∂L_G/∂a = −σ(a) is nearly 0, and G stays where it is.",
        lambda: _around(CORNER, 0.05),
        {"loss": "saturating", "d_steps": 10, "optimiser": "SGD", "g_lr": 0.005, "d_lr": 0.3},
        {"loss": "non_saturating"}, "the non-saturating loss, −σ(−a)"),
    "collapse": Scene(
        "mode collapse", "G is quicker than D: all samples run together to where D believes most, and on to the next place.",
        lambda: _around(RING, 0.04), {"g_lr": 2e-3, "d_lr": 5e-4},
        {"g_lr": 1e-3, "d_lr": 2e-3, "r1": 0.01}, "a quicker D, with R₁"),
    "dirac": Scene(
        "cycling: the Dirac-GAN", "One number each: G’s only sample is θ, D(x) = ψx. They chase each other round 0 for ever.",
        lambda: np.zeros((256, 1), np.float32),
        {"loss": "saturating", "optimiser": "SGD", "g_lr": 0.3, "d_lr": 0.3, "batch_size": 16},
        {"r1": 0.5}, "R₁ brings both to rest", _dirac, "phase"),
    "strong": Scene(
        "D too strong", "D takes five large steps to each small one of G: it tells the two apart, and L_G stays high.",
        lambda: _around(RING, 0.04), {"d_steps": 5, "d_lr": 2e-3, "g_lr": 2e-4},
        {"r1": 0.5}, "R₁ keeps D’s slope small"),
    "blind": Scene(
        "a blind batch norm",
        "D’s batch norm subtracts the mean of each batch: G’s shape is right, its place is not, and D is content.",
        lambda: _around(PLACE, 0.2), {"batch_norm": True}, {"batch_norm": False, "r1": 0.1}, "a D without it, with R₁"),
}
