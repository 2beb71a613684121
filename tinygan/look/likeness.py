"""How alike are samples and real pictures, whatever they show? For digits a classifier knows (metrics.py).

Pictures are compared by 64 features of a network that tinygan trains in a few seconds on the real ones: it learns to tell by
how many quarter turns a picture was turned, and for that it has to see what is up and what belongs together.
A network with random weights, tried beside it on digits and on coloured shapes, hardly noticed that shapes were blurred or that
a digit was missing.
All numbers depend on this network, so they rank runs on the same pictures; they are not the FIDs of the literature. Beside
each stands the same number for real pictures, which is the best that one can hope for.
Sources: Gidaris et al., "Unsupervised Representation Learning by Predicting Image Rotations" (2018), for the network;
Heusel et al. (2017), section 2; Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models"
(2019), section 2; Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models" (2020), section 3.
"""
from dataclasses import dataclass

import numpy as np

from ..errors import TinyganError
from ..layers import Conv2D, Dense, Flatten, LeakyReLU, Sequential
from ..losses import cross_entropy
from ..optim import Adam
from ..tensor import no_grad
from .cell import measured
from .metrics import frechet_distance

FEATURES, STEPS, BATCH = 64, 300, 64        # of the network, of its training
COMPARED = 1000                             # real pictures and samples that are compared, at most
K_RECALL, K_COVERAGE = 3, 5                 # neighbours that make a ball, as in the papers


@dataclass(frozen=True)
class Likeness:
    """What is found when n samples are compared with n real pictures."""
    n: int
    frechet: float       # Fréchet distance of the features; 0 is equal
    precision: float     # fraction of the samples that lie among real pictures: within reach of one's 3rd neighbour
    recall: float        # fraction of the real pictures that lie among samples
    density: float       # real pictures' balls (to the 5th neighbour) that a sample lies in, of 5 expected; 1 is even
    coverage: float      # fraction of the real pictures with a sample within reach of their 5th neighbour

    def __repr__(self):
        return (f"Fréchet distance {self.frechet:.3g}, precision {self.precision:.1%}, recall {self.recall:.1%}, "
                f"density {self.density:.2f}, coverage {self.coverage:.1%} (n = {self.n:,})")

    def rows(self):
        """(name, what it is, value) of each number."""
        return [("Fréchet distance", "of features that tinygan learned on these pictures; 0 is equal", f"{self.frechet:.3g}"),
                ("Precision", "samples that lie among real pictures", f"{self.precision:.1%}"),
                ("Recall", "real pictures that lie among samples", f"{self.recall:.1%}"),
                ("Density", "real pictures around a sample; 1 is even", f"{self.density:.2f}"),
                ("Coverage", "real pictures with a sample nearby", f"{self.coverage:.1%}"),
                ("Looked at", "pictures; compare only at equal numbers", f"{self.n:,}")]

    _repr_html_ = measured


class Judge:
    """Compares samples with some of the real pictures (N, H, H, C), N ≥ 20; the same for others of them is in .real."""

    def __init__(self, real, seed=0):
        if np.ndim(real) != 4 or len(real) < 20 or real.shape[1] != real.shape[2]:
            raise TinyganError(f"got an array of shape {np.shape(real)} to judge by, expected at least 20 square pictures "
                               "(N, H, H, C): crop them, or give more of them")
        rng = np.random.default_rng([seed, 3])
        order = rng.permutation(len(real))
        self.n = min(COMPARED, len(real) // 2)
        self.network = trained(real, rng)
        self.reference = self._features(real[np.sort(order[:self.n])])
        self.real = self.score(real[np.sort(order[self.n:2 * self.n])])

    def score(self, samples):
        """The Likeness of the first n samples, n as many as there are real ones to compare with.

        TinyganError for fewer, or for pictures of another shape."""
        if len(samples) < self.n:
            raise TinyganError(f"got {len(samples)} samples, expected at least {self.n}: draw more")
        found = self._features(samples[:self.n])
        return Likeness(self.n, frechet_distance(found, self.reference), *neighbours(self.reference, found))

    def _features(self, pictures):
        *body, _ = self.network.layers
        with no_grad():
            return np.concatenate([Sequential(*body)(np.array(pictures[start:start + 250], np.float32)).data
                                   for start in range(0, len(pictures), 250)])


def trained(real, rng):
    """pictures (N, H, W, C) → logits (N, 4) of the number of quarter turns; FEATURES before the last layer."""
    height, width, channels = real.shape[1:]
    halved = -(-height // 2)
    quarter = -(-halved // 2)
    kernel = (4 if height % 2 == 0 else 3), (4 if halved % 2 == 0 else 3)
    network = Sequential(Conv2D(channels, 32, kernel[0], stride=2), LeakyReLU(0.1), Conv2D(32, 64, kernel[1], stride=2),
                         LeakyReLU(0.1), Flatten(), Dense(quarter * quarter * 64, FEATURES), LeakyReLU(0.1),
                         Dense(FEATURES, 4)).initialise(rng)
    optimiser = Adam(network.parameters(), lr=1e-3, betas=(0.9, 0.999))
    for _ in range(STEPS):
        chosen, turns = np.sort(rng.integers(0, len(real), BATCH)), rng.integers(0, 4, BATCH)
        turned = np.stack([np.rot90(real[k], n) for k, n in zip(chosen, turns)])
        optimiser.zero_grad()
        cross_entropy(network(np.ascontiguousarray(turned)), turns).backward()
        optimiser.step()
    return network.eval()


def neighbours(real, fake):
    """(precision, recall, density, coverage) of features (N, F) of real pictures and of as many samples.

    B(x, k) is the ball around x that reaches to its k-th neighbour of its own kind.
    precision = fraction of fake in some B(real, 3)         recall = fraction of real in some B(fake, 3)
    density   = mean over fake of the number of B(real, 5) around it, divided by 5
    coverage  = fraction of the B(real, 5) that hold a fake"""
    across, among_real, among_fake = _distances(real, fake), _distances(real, real), _distances(fake, fake)

    def radii(among, k):
        return np.sort(among, axis=1)[:, min(k, len(among) - 1)]         # column 0 is the point itself

    within = across <= radii(among_real, K_COVERAGE)[:, None]               # (real, fake)
    return (float((across <= radii(among_real, K_RECALL)[:, None]).any(axis=0).mean()),
            float((across <= radii(among_fake, K_RECALL)).any(axis=1).mean()),
            float(within.sum(axis=0).mean() / K_COVERAGE), float(within.any(axis=1).mean()))


def _distances(a, b):
    """‖a_i − b_j‖, as an array (len(a), len(b))."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    squares = (a * a).sum(axis=1)[:, None] - 2 * a @ b.T + (b * b).sum(axis=1)
    return np.sqrt(squares.clip(0))
