"""How good are samples? Digits are judged by a classifier, which tinygan trained too; of a mixture the modes are known.

The judge of digits (data/make_classifier.py) learned from MNIST's 60,000 training digits. It compares samples with MNIST's
10,000 test digits, which no network here learns from. Its numbers depend on it and on the number of samples: compare them
with each other at equal n, never with the FIDs of the literature, which the Inception network gives. The numbers for
mixtures are those of the literature.
Sources: Salimans et al., "Improved Techniques for Training GANs" (2016), section 4; Heusel et al., "GANs Trained by a
Two Time-Scale Update Rule" (2017), section 2, for the Fréchet distance.
"""
import json
from dataclasses import dataclass
from importlib import resources

import numpy as np

from .. import data
from ..checkpoint.networks import build
from ..errors import TinyganError
from ..layers import Sequential
from ..losses import softmax
from ..tensor import no_grad
from .cell import measured

FILE = "classifier.npz"     # the judge, in data/


@dataclass(frozen=True)
class Judge:
    """A classifier of digits, and the moments of its features of real ones."""
    network: Sequential      # images (N, 28, 28, 1) → logits (N, 10), in evaluation mode
    mean: np.ndarray         # (128,) of the features, which its last layer but one gives, of MNIST's 10,000 test digits
    covariance: np.ndarray   # (128, 128) of the same


@dataclass(frozen=True)
class Score:
    """What the judge finds in n images."""
    n: int
    frechet: float       # Fréchet distance of its 128 features to those of MNIST's 10,000 test digits; 0 is equal
    confidence: float    # mean of the largest class probability
    sure: float          # fraction of the images where that exceeds 0.95
    entropy: float       # of the ten classes' frequencies, in nats; ln 10 = 2.303 where all are equally frequent
    classes: tuple       # those frequencies, which sum to 1

    def __repr__(self):
        return (f"Fréchet distance {self.frechet:6.2f}, confidence {self.confidence:.3f}, sure {self.sure:.1%}, "
                f"class entropy {self.entropy:.3f} of 2.303, rarest class {min(self.classes):.1%} (n = {self.n:,})")

    def rows(self):
        """(name, what it is, value) of each number."""
        return [("Fréchet distance", "of a classifier’s features, to MNIST’s test digits; 0 is equal", f"{self.frechet:.1f}"),
                ("Sure", "fraction where the classifier’s largest probability exceeds 0.95", f"{self.sure:.1%}"),
                ("Confidence", "mean of that probability", f"{self.confidence:.3f}"),
                ("Class entropy", "ln 10 = 2.303 where all ten are equally frequent", f"{self.entropy:.3f}"),
                ("Rarest class", "its frequency; even is 10%", f"{min(self.classes):.1%}"),
                ("Looked at", "images; compare only at equal numbers", f"{self.n:,}")]

    _repr_html_ = measured


def score(images, judge=None) -> Score:
    """The Score of images (N, 28, 28, 1) in [−1, 1], N ≥ 2, from the packaged judge or from another one.

    TinyganError for another shape or range, and for NaN."""
    if np.ndim(images) != 4 or np.shape(images)[1:] != (28, 28, 1) or len(images) < 2:
        raise TinyganError(f"got images of shape {np.shape(images)}, expected (N, 28, 28, 1) with N of at least 2: "
                           "score digits of that size")
    low, high = np.min(images), np.max(images)
    if not (low >= -1 and high <= 1):                   # so written, it is true of NaN too
        raise TinyganError(f"got images in [{low:g}, {high:g}], expected [-1, 1], from paper to ink: rescale them")
    judge = judge or load_judge()
    features, p = classified(judge.network, images)
    largest = p.max(axis=1)
    frequencies = np.bincount(p.argmax(axis=1), minlength=10) / len(p)
    present = frequencies[frequencies > 0]
    entropy = (present * np.log(1 / present)).sum()
    return Score(len(p), gaussian_distance(*moments(features), judge.mean, judge.covariance), float(largest.mean()),
                 float((largest > 0.95).mean()), float(entropy), tuple(frequencies.tolist()))


def real_score(n: int) -> Score:
    """The Score of the first n packaged training digits, to compare that of n samples with.

    Its Fréchet distance is not 0, for the test digits are others.  TinyganError if n > 5,000."""
    images, _ = data.digits()
    if n > len(images):
        raise TinyganError(f"got n = {n} real digits to score, expected at most {len(images)}: score fewer samples")
    return score(images[:n])


def frechet_distance(a, b):
    """The Fréchet distance of two Gaussians with the moments of a and b, arrays (n, features)."""
    return gaussian_distance(*moments(a), *moments(b))


def moments(features):
    """Mean (F,) and covariance (F, F), in float64, of features (n, F)."""
    features = np.asarray(features, np.float64)
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))


def gaussian_distance(mean_a, cov_a, mean_b, cov_b):
    """‖μ_a − μ_b‖² + tr(C_a + C_b − 2 (C_a C_b)^½)        means (F,), covariances (F, F)

    tr (C_a C_b)^½ is computed as tr (R C_b R)^½ with R = C_a^½: a symmetric matrix with the same eigenvalues."""
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(0)).sum()
    distance = ((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross
    return max(0.0, float(distance))                    # of equal sets, rounding may leave −1e−7


@dataclass(frozen=True)
class ModeScore:
    """How many modes of a mixture n samples reach, and how exactly."""
    n: int
    modes: int           # covered: with at least one sample within 3σ
    of: int              # modes of the mixture
    quality: float       # fraction of the samples within 3σ of a mode; of the mixture itself 1 − e^(−9/2) = 98.89%
    reverse_kl: float    # KL(p ‖ uniform), p_k the fraction of the samples to which mode k is the nearest; 0 is even

    def __repr__(self):
        return (f"{self.modes} of {self.of} modes, {self.quality:.1%} within 3σ of one, "
                f"reverse KL {self.reverse_kl:.3f} (n = {self.n:,})")

    def rows(self):
        """(name, what it is, value) of each number."""
        return [("Modes", "of the mixture, with at least one sample within 3σ", f"{self.modes} of {self.of}"),
                ("Quality", "samples within 3σ of a mode; of the mixture itself 98.9%", f"{self.quality:.1%}"),
                ("Reverse KL", "from even use of the modes; 0 is even", f"{self.reverse_kl:.3f}"),
                ("Looked at", "samples", f"{self.n:,}")]


def mode_score(points, means, sigma) -> ModeScore:
    """The ModeScore of points (n, 2) for a mixture of round Gaussians, means (K, 2), of width sigma.

    Reverse KL = Σ p_k ln(K·p_k).  TinyganError for other shapes, and for NaN.
    Source: Srivastava et al., VEEGAN (2017), section 4.1; Lin et al., PacGAN (2018), section 4.1 (2,500 samples)."""
    points, means = np.asarray(points, np.float64), np.asarray(means, np.float64)
    if points.ndim != 2 or not len(points) or points.shape[1:] != means.shape[1:] or not np.isfinite(points).all():
        raise TinyganError(f"got points of shape {points.shape} for modes of shape {means.shape}, expected finite "
                           "numbers, (n, 2) and (K, 2): leave out what is not finite, give each point a row")
    distances = np.linalg.norm(points[:, None] - means, axis=2)             # (n, K)
    nearest, close = distances.argmin(axis=1), distances.min(axis=1) <= 3 * sigma
    p = np.bincount(nearest, minlength=len(means)) / len(points)
    present = p[p > 0]
    return ModeScore(len(points), len(np.unique(nearest[close])), len(means), float(close.mean()),
                     max(0.0, float((present * np.log(len(means) * present)).sum())))


def load_judge(path=None):
    """The packaged Judge, or the one that data/make_classifier.py wrote to `path`."""
    with open(path or resources.files(data) / FILE, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        state = {name: arrays[name] for name in arrays.files}
    network, mean, covariance = build(json.loads(str(state.pop("description")))), state.pop("mean"), state.pop("covariance")
    state = {name: weight.astype(np.float32) for name, weight in state.items()}        # in the file they are float16
    return Judge(network.load_state_dict(state).eval(), mean, covariance)


def classifier():
    """The packaged judge's network, images (N, 28, 28, 1) → logits (N, 10)."""
    return load_judge().network


def classified(network, images, batch=500):
    """Features (N, F), which the classifier's last layer but one gives, and class probabilities (N, 10)."""
    *body, last = network.layers
    features, p = [], []
    with no_grad():
        for start in range(0, len(images), batch):
            features.append(Sequential(*body)(np.asarray(images[start:start + batch], np.float32)))
            p.append(softmax(last(features[-1])).data)
    return np.concatenate([f.data for f in features]), np.concatenate(p)


def accuracy(network, images, labels):
    """The fraction of the images whose largest logit is that of their label."""
    with no_grad():
        return float((network(images).data.argmax(axis=1) == labels).mean())
