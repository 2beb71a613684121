"""Exercises on the game: losses.py, and the optimal D of theory/gauss1d.py."""
import numpy as np

from ..proofs import twins
from .grading import Exercise, asked, slopes

_rng = np.random.default_rng(2)
EXERCISES = []          # each stands below, under its question
SURE = np.array([[1e4], [-1e4], [30.0]])


def _logits(n):
    return 2 * _rng.standard_normal((n, 1))


def d_loss(a_real, a_fake):
    """D's loss and its gradient, on logits.

    D gives each image a logit a. σ(a) = 1/(1 + e⁻ᵃ) is its belief that the
    image is real. D maximises
        V = E log σ(a_real) + E log(1 − σ(a_fake))        E: mean over a batch
    so its loss is L_D = −V.

    a_real    array (N, 1), D's logits of real images
    a_fake    array (M, 1), its logits of fakes
    returns   L_D, ∂L_D/∂a_real, ∂L_D/∂a_fake
    derive    log σ(a) = −softplus(−a), log(1 − σ(a)) = −softplus(a), and
              softplus′ = σ
    The loss is to be finite for a = ±10,000: no logarithm of a probability.
    """
    raise NotImplementedError


def _sigmoid(a):
    return np.exp(-np.logaddexp(0, -a))


def _softplus(a):
    return np.logaddexp(0, a)


def _d(a, b):
    """The right answer, from which the wrong ones differ."""
    return _softplus(-a).mean() + _softplus(b).mean(), -_sigmoid(-a) / len(a), _sigmoid(b) / len(b)


def _d_loss(a, b):
    return twins.LOSSES["non_saturating"][0](a, b)


def _by_logarithms(a, b):
    p, q = 1 / (1 + np.exp(-a)), 1 / (1 + np.exp(-b))
    return -np.log(p).mean() - np.log(1 - q).mean(), (p - 1) / len(a), q / len(b)


EXERCISES.append(Exercise(
    *asked(d_loss), "D's loss and its gradient", 15, ("softplus",), "tinygan/losses.py, discriminator_loss",
    ("L_D", "∂L_D/∂a_real", "∂L_D/∂a_fake"), lambda a, b: [_d_loss(a, b), *slopes(_d_loss, a, b)],
    {"random logits": (3, [(_logits(4), _logits(4))]),
     "batches of different size": (1, [(_logits(5), _logits(3)), (_logits(1), _logits(2))]),
     "D knows nothing, or is sure": (2, [(np.zeros((2, 1)), np.zeros((2, 1))), (SURE, -SURE)])},
    {"This is V, which D maximises. Its loss is −V.": lambda a, b: tuple(-x for x in _d(a, b)),
     "These are sums over the batch: E is a mean.":
         lambda a, b: (_softplus(-a).sum() + _softplus(b).sum(), -_sigmoid(-a), _sigmoid(b)),
     "The loss is a mean and the gradient that of a sum: 1/N is missing.":
         lambda a, b: (_d(a, b)[0], -_sigmoid(-a), _sigmoid(b)),
     "This is log D(x) − log D(G(z)): the complement 1 − D is missing.":
         lambda a, b: (_softplus(-a).mean() - _softplus(-b).mean(), -_sigmoid(-a) / len(a), _sigmoid(-b) / len(b)),
     "The logarithm of a probability that rounds to 0 or 1: write the loss with softplus.": _by_logarithms},
    ("Put log σ(a) = −softplus(−a) and log(1 − σ(a)) = −softplus(a) into −V.",
     "L_D = E softplus(−a_real) + E softplus(a_fake). np.logaddexp(0, a) is softplus(a).",
     "softplus′ = σ, and the inner derivative of −a is −1: −σ(−a_real)/N and σ(a_fake)/M.")))


def g_losses(a):
    """Both losses of G, and when one of them has no gradient.

    G wants its fakes to be taken for real. The minimax game gives it the
    saturating loss L_S = E log(1 − σ(a)). In practice one takes the
    non-saturating loss L_N = −E log σ(a).

    a         array (N, 1), D's logits of fakes
    returns   L_N, ∂L_N/∂a, L_S, ∂L_S/∂a, dead
    dead      array (N, 1) of booleans, one for each fake: is |∂L_S/∂a| less
              than a hundredth of 1/N?
    derive    both gradients, with softplus′ = σ. Which fakes are dead: those
              that D takes for real, or the others?
    """
    raise NotImplementedError


def _g(a):
    """The right answer, from which the wrong ones differ."""
    N = len(a)
    return _softplus(-a).mean(), -_sigmoid(-a) / N, -_softplus(a).mean(), -_sigmoid(a) / N, _sigmoid(a) < 0.01


def _g_meant(a):
    (_, l_n), (_, l_s) = twins.LOSSES["non_saturating"], twins.LOSSES["saturating"]
    return [l_n(a), *slopes(l_n, a), l_s(a), *slopes(l_s, a), a < np.log(0.01 / 0.99)]


EXERCISES.append(Exercise(
    *asked(g_losses), "Both losses of G, and when one vanishes", 15, ("d_loss",), "tinygan/losses.py, generator_loss",
    ("L_N", "∂L_N/∂a", "L_S", "∂L_S/∂a", "dead"), _g_meant,
    {"some logits": (3, [(np.array([[-7.0], [6.0], [0.3], [-1.2], [2.0]]),), (_logits(1),)]),
     "D sees through all fakes": (2, [(np.array([[-6.0], [-9.0], [-4.5], [-4.7], [-3.0]]),)]),
     "D is sure": (1, [(SURE,)])},
    {"The two losses are exchanged: first the non-saturating one.": lambda a: (*_g(a)[2:4], *_g(a)[:2], _g(a)[4]),
     "L_S is D's loss on fakes: G descends its negative.": lambda a: (*_g(a)[:2], -_g(a)[2], -_g(a)[3], _g(a)[4]),
     "The gradients are those of sums: 1/N is missing.":
         lambda a: (_g(a)[0], -_sigmoid(-a), _g(a)[2], -_sigmoid(a), _g(a)[4]),
     "The signs of the gradients are turned: both losses fall when a grows.":
         lambda a: (_g(a)[0], -_g(a)[1], _g(a)[2], -_g(a)[3], _g(a)[4]),
     "Dead are the others: those that D has seen through, not those that it takes for real.":
         lambda a: (*_g(a)[:4], _sigmoid(-a) < 0.01)},
    ("log(1 − σ(a)) = −softplus(a) and −log σ(a) = softplus(−a).",
     "∂L_S/∂a = −σ(a)/N. What is left of σ(a) when D is sure that the image is a fake, a ≪ 0?",
     "∂L_N/∂a = −σ(−a)/N goes to −1/N there. A fake is dead where σ(a) < 0.01.")))


def optimal_logit(x, mu, s, nu, t):
    """The optimal D in one dimension.

    The data have the density p = N(mu, s²), the fakes q = N(nu, t²). With as
    many samples as one likes
        L_D = ∫ p·softplus(−a) + q·softplus(a) dx
    D may choose a(x) freely at each x, so there the derivative of its best
    choice a* is 0.

    x                array of points
    mu, s, nu, t     numbers: means and standard deviations
    returns          a*(x), the logit of the best D, an array
    derive           D* = σ(a*) from p and q, then a* as a difference
    It must be right at x = 1000, where p and q both round to 0.
    """
    raise NotImplementedError


def _log_normal(x, mu, s):
    return -((x - mu) / s) ** 2 / 2 - np.log(s)


def _optimal(x, mu, s, nu, t):
    return _log_normal(x, mu, s) - _log_normal(x, nu, t)


EXERCISES.append(Exercise(
    *asked(optimal_logit), "The optimal D in one dimension", 15, ("d_loss",), "tinygan/theory/gauss1d.py",
    ("a*",), lambda *those: [_optimal(*those)],
    {"two Gaussians of one width": (1, [(_rng.standard_normal(5), 0.0, 1.0, 1.0, 1.0), (np.linspace(-2, 2, 5), 0, 2, 1, 2)]),
     "two widths": (3, [(_rng.standard_normal((3, 1)), -0.5, 0.7, 1.0, 1.5)]),
     "p = q": (1, [(np.array([0.3, -2.0]), 0.4, 1.2, 0.4, 1.2)]),
     "far away": (1, [(np.array([1000.0, -1000.0, 60.0]), 0.0, 1.0, 1.0, 2.0)])},
    {"This is −a*: the data's density stands above, D* = p/(p + q).": lambda *those: -_optimal(*those),
     "This is the belief D*. Its logit is asked for.": lambda *those: _sigmoid(_optimal(*those)),
     "log(t/s) is missing: the densities have different heights.":
         lambda x, mu, s, nu, t: ((x - nu) / t) ** 2 / 2 - ((x - mu) / s) ** 2 / 2,
     "s and t are standard deviations: the exponent divides by their squares.":
         lambda x, mu, s, nu, t: (x - nu) ** 2 / t / 2 - (x - mu) ** 2 / s / 2 + np.log(t / s),
     "Both densities are 0 far away: take the difference of their logarithms, not the logarithm of their ratio.":
         lambda x, mu, s, nu, t: np.log(np.exp(_log_normal(x, mu, s)) / np.exp(_log_normal(x, nu, t)))},
    ("The derivative of p·softplus(−a) + q·softplus(a) with respect to a is −p·σ(−a) + q·σ(a).",
     "σ(a)/σ(−a) = eᵃ, so e^(a*) = p/q and a* = log p − log q.",
     "log p = −(x − mu)²/(2s²) − log s − ½ log 2π. Take the difference by hand: no exp remains."),
    single=False))
