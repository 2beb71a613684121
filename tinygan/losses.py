"""The game: losses on logits, each with its gradient derived by hand.

D gives each image a logit a; σ(a) is its belief that the image is real. The minimax game of Goodfellow et al. (2014):

    min_G max_D V    V = E log σ(a_real) + E log(1 − σ(a_fake))

D maximises V, so its loss is −V. With log σ(a) = −softplus(−a) and log(1 − σ(a)) = −softplus(a) there is no logarithm
left that could meet a 0: nothing to clip, no small constant to add, and every loss is finite for every logit.

In D's loss and in the two losses of G below the gradient is written by hand, from softplus′ = σ, and it is what the
program uses. N is the number of logits, E their mean.
"""
from . import group
from .backend import array_module, like, to_numpy
from .errors import TinyganError, terms
from .ops import exp, leaky_relu, log, mean, reshape, sigmoid, softplus, sqrt, sum
from .tensor import Tensor, grad, record, set_grad_enabled


def _expectation(values, logits, gradient):
    """The mean of `values`, an array made from the logits, whose gradient with respect to them is `gradient()`."""
    terms(logits.shape)
    return record(values.mean(), (logits, lambda g, y: g * gradient()))


# Minimax and non-saturating (Goodfellow et al. 2014, section 3)

def discriminator_loss(real_logits, fake_logits):
    """L_D = E softplus(−a_real) + E softplus(a_fake)

    ∂L_D/∂a_real = −σ(−a_real)/N        real images pull their logit up, until it is large
    ∂L_D/∂a_fake =  σ(a_fake)/N         fakes push theirs down
    A discriminator that knows nothing, σ = ½ everywhere, has the loss log 4 = 1.386…; a smaller one is skill:
    the optimal D reaches log 4 − 2 JS(p_data, p_G)."""
    a, b = real_logits, fake_logits
    return (_expectation(softplus(-a).data, a, lambda: -sigmoid(-a) / a.size)
            + _expectation(softplus(b).data, b, lambda: sigmoid(b) / b.size))


def smoothed_discriminator_loss(real_logits, fake_logits, smoothing):
    """L_D = E [(1 − s)·softplus(−a_real) + s·softplus(a_real)] + E softplus(a_fake)        s: smoothing

    ∂L_D/∂a_real = (σ(a_real) − (1 − s))/N        real images are pulled to σ = 1 − s, no farther
    ∂L_D/∂a_fake =  σ(a_fake)/N
    As softplus(a) = softplus(−a) + a, the first mean is E [softplus(−a_real) + s·a_real]. The fake target stays 0: with
    it raised to t, the optimal D = ((1 − s)·p_data + t·p_G)/(p_data + p_G) would hold samples where they are.
    Source: Salimans et al., "Improved Techniques for Training GANs" (2016), section 3.4."""
    a, b = real_logits, fake_logits
    return (_expectation(softplus(-a).data + (smoothing * a).data, a, lambda: (smoothing - sigmoid(-a)) / a.size)
            + _expectation(softplus(b).data, b, lambda: sigmoid(b) / b.size))


def generator_loss(fake_logits, saturating=False):
    """Non-saturating: L_G = E softplus(−a_fake)        ∂L_G/∂a = −σ(−a)/N
    Saturating:     L_G = −E softplus(a_fake) = E log(1 − σ(a_fake))        ∂L_G/∂a = −σ(a)/N

    The saturating one is the minimax game itself. While D wins, a ≪ 0 and its gradient −σ(a) vanishes, just when G
    has most to learn; the non-saturating one has the same sign everywhere, hence the same fixed point, and
    −σ(−a) → −1."""
    a = fake_logits
    if saturating:
        return _expectation(-softplus(a).data, a, lambda: -sigmoid(a) / a.size)
    return _expectation(softplus(-a).data, a, lambda: -sigmoid(-a) / a.size)


def saturating_generator_loss(fake_logits):
    """generator_loss(fake_logits, saturating=True)"""
    return generator_loss(fake_logits, saturating=True)


# Least squares (Mao et al. 2017, equation 9: real is 1, fake is 0, and G wants 1)

def least_squares_discriminator_loss(real_logits, fake_logits):
    """L_D = ½ E (a_real − 1)² + ½ E a_fake²        ∂/∂a_real = (a_real − 1)/N    ∂/∂a_fake = a_fake/N"""
    return 0.5 * mean((real_logits - 1) ** 2) + 0.5 * mean(fake_logits ** 2)


def least_squares_generator_loss(fake_logits):
    """L_G = ½ E (a_fake − 1)²        ∂L_G/∂a = (a − 1)/N"""
    return 0.5 * mean((fake_logits - 1) ** 2)


# Hinge (Lim & Ye 2017; Miyato et al. 2018, equations 16 and 17)

def hinge_discriminator_loss(real_logits, fake_logits):
    """L_D = E max(0, 1 − a_real) + E max(0, 1 + a_fake)        only logits inside the margin have a gradient, ∓1/N"""
    return mean(leaky_relu(1 - real_logits, 0)) + mean(leaky_relu(1 + fake_logits, 0))


# Wasserstein (Arjovsky et al. 2017, algorithm 1). The critic's output is a score, not a logit.

def wasserstein_critic_loss(real_scores, fake_scores):
    """L_C = E f(fake) − E f(real): the critic drives the two apart        ∂/∂f_real = −1/N    ∂/∂f_fake = 1/N"""
    return mean(fake_scores) - mean(real_scores)


def wasserstein_generator_loss(fake_scores):
    """L_G = −E f(fake), through the critic        ∂L_G/∂f = −1/N.  Hinge uses it too."""
    return -mean(fake_scores)


def gradient_penalty(discriminator, real, fake, rng):
    """E (‖∂D(x̂)/∂x̂‖ − 1)²    x̂ = u·x_real + (1 − u)·x_fake    u ~ U(0, 1), one for each pair

    The penalty is a function of D's weights through D's gradient: the gradient is recorded and differentiated again.
    It takes D's raw score, not σ of it. The usual weight is 10.
    real, fake: arrays or Tensors of one shape (N, …); rng: a NumPy Generator.
    TinyganError for unequal shapes and for a D with batch normalisation, where ∂D(x̂ᵢ)/∂x̂ⱼ is not 0 for i ≠ j: a
    gradient that mixes the whole batch is not the slope at one point, which is what is to be held at 1.
    Source: Gulrajani et al., "Improved Training of Wasserstein GANs" (2017), equation 3 and section 4."""
    _refuse_batch_norm("gradient_penalty", discriminator)
    real, fake = (x.data if isinstance(x, Tensor) else x for x in (real, fake))
    if real.shape != fake.shape:
        raise TinyganError(f"gradient_penalty got shapes {real.shape} and {fake.shape}, expected one shape: "
                           "it mixes them pair by pair, so give as many of one as of the other")
    u = like(group.current().draw(lambda N: rng.random((N,) + (1,) * (real.ndim - 1)), len(real)), real)
    slope = _slope(discriminator, u * real + (1 - u) * fake)
    square = sum(reshape(slope * slope, len(real), -1), axis=1)         # (N, …) → (N, features) → (N,)
    flat = Tensor((square.data == 0).astype(square.dtype))              # √ has no derivative at 0; 0 is taken there
    return mean((sqrt(square + flat) - flat - 1) ** 2)


def r1_penalty(discriminator, real):
    """R₁ = E ‖∂D(x)/∂x‖²    x real; D's loss takes γ/2 of it

    Where G has found the data, D has nothing left to say: its slope there is driven to 0, and the two come to rest
    instead of circling. A function of D's weights through D's gradient, as gradient_penalty is, and with its errors.
    real: array or Tensor (N, …). The raw score, not σ of it; γ between 0.1 and 10.
    Source: Mescheder et al., "Which Training Methods for GANs do actually Converge?" (2018), equation 9."""
    _refuse_batch_norm("r1_penalty", discriminator)
    slope = _slope(discriminator, real.data if isinstance(real, Tensor) else real)
    return sum(slope * slope) / len(slope)


def _slope(discriminator, x):
    """∂D(xᵢ)/∂xᵢ, for all i at once: D(xᵢ) depends on xᵢ alone, so the sum separates. Recorded, and within no_grad() too."""
    terms(x.shape)
    x = Tensor(x, requires_grad=True)
    with set_grad_enabled(True):
        return grad(sum(discriminator(x)), x, create_graph=True)[0]


def _refuse_batch_norm(name, discriminator):
    if any(getattr(module, "mixes_the_batch", False) for module in getattr(discriminator, "modules", list)()):
        raise TinyganError(f"{name} got a discriminator with batch normalisation, expected one without: "
                           "it couples the images of a batch, so the gradient at one image is not defined")


# Classification: for the classifier that judges samples, and for the lessons with labels

def softmax(logits):
    """p_k = e^(a_k) / Σ_j e^(a_j), row by row.

    The row's maximum is taken off first: p stays, and no exponent is positive."""
    e = exp(logits - Tensor(logits.data.max(axis=1, keepdims=True)))
    return e / sum(e, axis=1, keepdims=True)


def log_sum_exp(logits):
    """y = log Σ_k e^(a_k), row by row        logits (N, classes), y (N, 1)

    ∂y/∂a = softmax(a). The row's maximum is taken off first and added again: no exponent is positive."""
    top = Tensor(logits.data.max(axis=1, keepdims=True))
    return log(sum(exp(logits - top), axis=1, keepdims=True)) + top


def cross_entropy(logits, labels):
    """L = −E log p_label, p = softmax(logits)        ∂L/∂a = (p − one_hot(label))/N

    logits (N, classes), not probabilities: a softmax before this loss is a common mistake. labels: integers (N,)."""
    xp, a = array_module(logits.data), logits.data
    labels = to_numpy(labels)
    terms(a.shape)
    if labels.shape != a.shape[:1] or labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= a.shape[1]:
        raise TinyganError(f"got labels of shape {labels.shape} and dtype {labels.dtype} for logits of shape {a.shape}, "
                           f"expected {len(a)} integers from 0 to {a.shape[1] - 1}")
    one_hot = xp.eye(a.shape[1], dtype=a.dtype)[xp.asarray(labels)]         # (N, classes)
    below = a - a.max(axis=1, keepdims=True)
    log_p = below - xp.log(xp.exp(below).sum(axis=1, keepdims=True))
    return record(-(one_hot * log_p).sum() / a.dtype.type(len(a)),
                  (logits, lambda g, y: g * (softmax(logits) - Tensor(one_hot)) / len(a)))


# name: (discriminator's loss, generator's loss)
LOSSES = {
    "non_saturating": (discriminator_loss, generator_loss),
    "saturating": (discriminator_loss, saturating_generator_loss),
    "least_squares": (least_squares_discriminator_loss, least_squares_generator_loss),
    "hinge": (hinge_discriminator_loss, wasserstein_generator_loss),
    "wasserstein": (wasserstein_critic_loss, wasserstein_generator_loss),
}
