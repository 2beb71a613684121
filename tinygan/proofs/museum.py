"""The museum: mistakes that were published, each written anew in a few lines, and the number that gives it away.

An exhibit is the same piece of a program twice, as it was written and as it is right. Both are measured in the same
way: against finite differences of the loss that is meant, or against the value that is meant. Most of these programs
ran, drew pictures and were copied; no test of theirs could tell.

Each Exhibit stands under its two functions. Every function is short and complete, so that it can be read on its own.
σ is `sigmoid`, N the batch size.
"""
import inspect
import textwrap
from dataclasses import dataclass

import numpy as np

from .. import losses, ops
from ..gradcheck import compare_gradients
from ..layers import BatchNorm
from ..tensor import Tensor, grad, record
from .twins import sigmoid

RIGHT = 1e-6        # how far from the ideal the right version may be
CAUGHT = 1e-3       # and how far the wrong one is at least


@dataclass(frozen=True)
class Exhibit:
    """A mistake, the right way, and how to tell them apart."""
    title: str
    bitten: str             # who published it, or asks about it
    wrong: object           # the function with the mistake
    right: object           # the same without it
    measure: object         # measure(function) -> number
    meaning: str            # of the number
    ideal: float = 0.0      # the number for a right function: 0 for an error, 1 for a cosine

    @property
    def written(self):
        """The source of the wrong version."""
        return _source(self.wrong)

    @property
    def right_line(self):
        """What the right version has in place of it."""
        old = {line.strip() for line in self.written.splitlines()}
        lines = _source(self.right).splitlines()[1:]
        return textwrap.dedent("\n".join(line for line in lines if line.strip() not in old))

    def number(self):
        """The measured number of the wrong version."""
        return float(self.measure(self.wrong))

    def right_number(self):
        """The same of the right version."""
        return float(self.measure(self.right))

    @property
    def caught(self):
        """Does the number tell the wrong version from the right one?"""
        return abs(self.number() - self.ideal) > CAUGHT and abs(self.right_number() - self.ideal) < RIGHT


def _source(function):
    return textwrap.dedent(inspect.getsource(function)).strip()


def show(exhibits):
    """Text for the terminal, a block for each exhibit."""
    def paragraph(text):
        return textwrap.fill(text, 100, subsequent_indent="    ")

    blocks = []
    for number, exhibit in enumerate(exhibits, 1):
        title = f"{number}. {exhibit.title}"
        blocks.append("\n".join([
            title, "─" * len(title), paragraph(f"Who was bitten: {exhibit.bitten}"), "",
            "What was written", textwrap.indent(exhibit.written, "    "), "",
            "The right line", textwrap.indent(exhibit.right_line, "    "), "",
            paragraph(f"What gives it away: {exhibit.meaning}"),
            f"    as written {exhibit.number():.3g}    right {exhibit.right_number():.3g}    ideal {exhibit.ideal:g}"]))
    caught = len([exhibit for exhibit in exhibits if exhibit.caught])
    blocks.append(f"{caught} of {len(exhibits)} mistakes are told from the right way by their number.")
    return "\n\n\n".join(blocks)


# How they are measured

def finite_differences(f, x, h=1e-5):
    """∂f/∂x of a number f(x), element by element, for an array x."""
    gradient = np.empty_like(x)
    for index in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[index] = h
        gradient[index] = (f(x + step) - f(x - step)) / (2 * h)
    return gradient


def relative_error(a, b):
    """‖a − b‖/‖b‖"""
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def cosine(a, b):
    """⟨a, b⟩/(‖a‖‖b‖)"""
    return (a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b))


def _derivative_error(*inputs, order=1):
    """A measure: the largest relative error that gradcheck.py finds in the derivatives of the function."""
    return lambda function: max(row.error for row in compare_gradients(function, *inputs, order=order).rows)


def _slope(loss, *arrays):
    """The gradient of a tinygan loss with respect to its first argument, as an array."""
    tensors = [Tensor(array, requires_grad=True) for array in arrays]
    return grad(loss(*tensors), tensors[0])[0].data


_rng = np.random.default_rng(2014)
REAL, FAKE = _rng.standard_normal((5, 3)) + 1, _rng.standard_normal((5, 3)) - 0.5       # images of three pixels
WEIGHTS = _rng.standard_normal((3, 1))                                                  # of D(x) = x w, or of a critic
LOGITS = np.array([[-8.0], [-3.0], [-0.5], [0.4], [2.0]])                               # D's of five fakes
SURE = np.array([[7.5], [8.0], [9.0]])                                                  # D(x) > 0.999
SCORES = 2 * _rng.standard_normal((6, 4))                                               # of a classifier
ROWS = _rng.standard_normal((6, 3)) + 1                                                 # for batch normalisation
FAINT = 0.01 * ROWS                                                                     # rows that hardly vary
LABELS = np.array([3, 0, 2, 2, 1, 0])                                                   # of six digits, in 4 classes

EXHIBITS = []       # each stands below, under its two functions


# 1. The way back belongs to the pass, not to the layer

class CachingDense:
    """A layer that keeps its input for the way back, in itself."""

    def __init__(self, w):
        self.w = w

    def forward(self, x):
        self.x = x
        return x @ self.w

    def weight_gradient(self, g):
        return self.x.T @ g


def _d_loss(w):
    return np.logaddexp(0, -(REAL @ w)).mean() + np.logaddexp(0, FAKE @ w).mean()


def d_gradient_cached(w, real, fake):
    N, D = len(real), CachingDense(w)
    a_real, a_fake = D.forward(real), D.forward(fake)       # the second call overwrites what the first one kept
    return D.weight_gradient(-sigmoid(-a_real) / N) + D.weight_gradient(sigmoid(a_fake) / N)


def d_gradient(w, real, fake):
    N, D, D2 = len(real), CachingDense(w), CachingDense(w)
    a_real, a_fake = D.forward(real), D2.forward(fake)      # each pass keeps its own
    return D.weight_gradient(-sigmoid(-a_real) / N) + D2.weight_gradient(sigmoid(a_fake) / N)


EXHIBITS.append(Exhibit(
    "The second pass overwrites what the first one kept",
    "gan_numpy (gan.py): the gradient for real images is computed with the activations of the fakes",
    d_gradient_cached, d_gradient,
    lambda gradient: cosine(gradient(WEIGHTS, REAL, FAKE), finite_differences(_d_loss, WEIGHTS)),
    "cosine between D's gradient and finite differences of D's loss", 1.0))


# 2. In place

def _beside_a_square(leaky):
    """x² needs x on its way back, and finds what the other branch left of it."""
    def two_branches(x):
        x = x * 1.0
        return x * x + leaky(x)
    return two_branches


def leaky_relu_in_place(x):
    value = np.maximum(x.data, 0.2 * x.data, out=x.data)    # x itself is overwritten
    return record(value, (x, lambda g, y: g * Tensor(np.where(y.data > 0, 1.0, 0.2))))


def leaky_relu_fresh(x):
    value = np.maximum(x.data, 0.2 * x.data)
    return record(value, (x, lambda g, y: g * Tensor(np.where(y.data > 0, 1.0, 0.2))))


EXHIBITS.append(Exhibit(
    "A LeakyReLU that changes its input",
    "gan_numpy: its input is np.maximum's third argument, which is out",
    leaky_relu_in_place, leaky_relu_fresh,
    lambda leaky: _derivative_error(ROWS - 1)(_beside_a_square(leaky)),
    "relative error of the derivative of x² + leaky(x): x² remembers x, and x is no longer there"))


# 3. The small constants

def fake_share_with_epsilon(a):
    p = sigmoid(a)
    return 1 / (1 - p - 1e-7) * p * (1 - p) / len(a)        # −log(1 − p), kept from dividing by 0: a pole at p = 1 − ε


def fake_share_on_logits(a):
    return sigmoid(a) / len(a)


EXHIBITS.append(Exhibit(
    "A small constant in the denominator, with the wrong sign",
    "gan_numpy (gan.py): ε on the wrong side of the fake term's denominator, hence a pole at D = 1 − ε",
    fake_share_with_epsilon, fake_share_on_logits,
    lambda share: relative_error(share(np.array([[0.0], [16.1]])),
                                 finite_differences(lambda a: np.logaddexp(0, a).mean(),
                                                    np.array([[0.0], [16.1]]))),
    "relative error of D's gradient for two fakes, one of which D takes for real, a = 16.1"))


def normalise_outside(x):
    return (x - x.mean(axis=0)) / (np.sqrt(x.var(axis=0)) + 1e-3)


def normalise_inside(x):
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-3)


EXHIBITS.append(Exhibit(
    "ε outside the root",
    "whoever writes a layer from memory; one feature that hardly varies, such as a corner of a digit, will do",
    normalise_outside, normalise_inside,
    lambda normalise: relative_error(normalise(FAINT), (FAINT - FAINT.mean(axis=0))
                                     / np.sqrt(FAINT.var(axis=0) + 1e-3)),
    "relative error of the normalised rows, for a standard deviation of 0.01 and ε = 0.001"))


# 4. Which game it is

def _d_fake_loss(a):
    return -np.log(1 - sigmoid(a)).mean()


def d_fake_loss_without_complement(a_fake):
    return -ops.mean(ops.softplus(-a_fake))                 # E log D(G(z)), from V = log D(x) − log D(G(z))


def d_fake_loss(a_fake):
    return ops.mean(ops.softplus(a_fake))                   # −E log(1 − D(G(z))), to be minimised


EXHIBITS.append(Exhibit(
    "log D(x) − log D(G(z)) for the value of the game",
    'HIPS/autograd (generative_adversarial_net.py): "it always collapses to generating a single image"',
    d_fake_loss_without_complement, d_fake_loss,
    lambda loss: cosine(_slope(loss, LOGITS), finite_differences(_d_fake_loss, LOGITS)),
    "cosine between D's gradient on fakes and finite differences of −E log(1 − σ(a)): it pushes hardest on the "
    "fakes that D has seen through already", 1.0))


def d_fake_loss_minimised(a_fake):
    return -ops.mean(ops.softplus(a_fake))                  # E log(1 − D(G(z))), which D is to maximise


EXHIBITS.append(Exhibit(
    "The discriminator minimises what it should maximise",
    "the much-copied MNIST listing that models.py repairs: min_D in place of max_D",
    d_fake_loss_minimised, d_fake_loss,
    lambda loss: cosine(_slope(loss, LOGITS), finite_differences(_d_fake_loss, LOGITS)),
    "cosine between D's gradient on fakes and finite differences of −V: −1 is straight the wrong way", 1.0))


# 5. Wasserstein

def _critic_loss(w):
    return (FAKE @ w).mean() - (REAL @ w).mean()


def critic_gradient_turned(w, real, fake):
    return (real.mean(axis=0) - fake.mean(axis=0))[:, None]         # the loss printed is E f(fake) − E f(real)


def critic_gradient(w, real, fake):
    return (fake.mean(axis=0) - real.mean(axis=0))[:, None]


EXHIBITS.append(Exhibit(
    "The critic's gradient has the other sign than its loss",
    "numpy-ml (WGAN_GPLoss), whose test turns the sign again; WassersteinGAN#80; Zeleni9/pytorch-wgan#51",
    critic_gradient_turned, critic_gradient,
    lambda gradient: cosine(gradient(WEIGHTS, REAL, FAKE), finite_differences(_critic_loss, WEIGHTS)),
    "cosine between the critic's gradient and finite differences of the loss that is printed", 1.0))


def g_gradient_without_critic(fake, w):
    return np.full(fake.shape, -1 / len(fake))              # ∂L/∂f where ∂L/∂x is meant


def g_gradient_through_critic(fake, w):
    return np.full((len(fake), 1), -1 / len(fake)) @ w.T


EXHIBITS.append(Exhibit(
    "The generator's gradient skips the critic",
    "numpy-ml (WGAN_GP): its cosine with finite differences is 0.003",
    g_gradient_without_critic, g_gradient_through_critic,
    lambda gradient: cosine(gradient(FAKE, WEIGHTS),
                            finite_differences(lambda x: -(x @ WEIGHTS).mean(), FAKE)),
    "cosine between the gradient at the painted images and finite differences of −E f", 1.0))


def penalised_not_differentiated(w):
    x = Tensor(FAKE, requires_grad=True)
    slope, = grad(ops.sum(ops.tanh(x @ w)), x)              # a number by now: no trace of w
    return ops.mean((ops.sqrt(ops.sum(slope * slope, axis=1)) - 1) ** 2) + ops.mean(x @ w)


def penalised(w):
    x = Tensor(FAKE, requires_grad=True)
    slope, = grad(ops.sum(ops.tanh(x @ w)), x, create_graph=True)
    return ops.mean((ops.sqrt(ops.sum(slope * slope, axis=1)) - 1) ** 2) + ops.mean(x @ w)


EXHIBITS.append(Exhibit(
    "The gradient penalty is not differentiated",
    "mlpack#2891, mlpack#3063",
    penalised_not_differentiated, penalised, _derivative_error(WEIGHTS),
    "relative error of the critic's gradient: the penalty is printed and has no effect"))


def penalty_on_belief(w):
    def D(x):
        return ops.sigmoid(ops.matmul(x, Tensor(w)))        # σ of the score: its slope is never above ‖w‖/4
    return losses.gradient_penalty(D, REAL, FAKE, np.random.default_rng(0)).data


def penalty_on_score(w):
    def D(x):
        return ops.matmul(x, Tensor(w))
    return losses.gradient_penalty(D, REAL, FAKE, np.random.default_rng(0)).data


EXHIBITS.append(Exhibit(
    "The gradient penalty on the belief",
    "hwalsuklee/tensorflow-generative-model-collections#14",
    penalty_on_belief, penalty_on_score,
    lambda penalty: relative_error(penalty(WEIGHTS), (np.linalg.norm(WEIGHTS) - 1) ** 2),
    "relative error of the penalty, which is (‖w‖ − 1)² for the critic x·w"))


# 6. Batch normalisation

def batch_norm_backward_without_variance(x):
    mu, r = x.data.mean(axis=0), 1 / np.sqrt(x.data.var(axis=0) + 1e-5)
    x_hat = (x.data - mu) * r

    def share(g, y):
        return Tensor(r * (g.data - g.data.mean(axis=0)))
    return record(x_hat, (x, share))


def batch_norm_backward(x):
    mu, r = x.data.mean(axis=0), 1 / np.sqrt(x.data.var(axis=0) + 1e-5)
    x_hat = (x.data - mu) * r

    def share(g, y):
        return Tensor(r * (g.data - g.data.mean(axis=0) - x_hat * (g.data * x_hat).mean(axis=0)))
    return record(x_hat, (x, share))


EXHIBITS.append(Exhibit(
    "Batch normalisation without its variance term",
    "the checkers of DeZero, SmallPebble and minitorch let it pass",
    batch_norm_backward_without_variance, batch_norm_backward, _derivative_error(ROWS),
    "relative error of the derivative"))


def batch_norm_frozen_deviation(x):
    r = Tensor(1 / np.sqrt(x.data.var(axis=0) + 1e-5))      # an array: to the second derivative, a constant

    def share(g, y):
        x_hat = (x - x.mean(axis=0)) * r
        return r * (g - g.mean(axis=0) - x_hat * ops.mean(g * x_hat, axis=0))
    return record(((x - x.mean(axis=0)) * r).data, (x, share))


def batch_norm_differentiable(x):
    r = 1 / ops.sqrt(ops.mean((x - x.mean(axis=0)) ** 2, axis=0) + 1e-5)

    def share(g, y):
        x_hat = (x - x.mean(axis=0)) * r
        return r * (g - g.mean(axis=0) - x_hat * ops.mean(g * x_hat, axis=0))
    return record(((x - x.mean(axis=0)) * r).data, (x, share))


EXHIBITS.append(Exhibit(
    "The second derivative of batch normalisation, with 1/√(v + ε) frozen",
    "DeZero (BatchNorm.backward): inv_std is a bare array; the first derivative is exact, the second is not",
    batch_norm_frozen_deviation, batch_norm_differentiable, _derivative_error(ROWS, order=2),
    "relative error at order 2"))


def batch_norm_unbiased(x):
    mu, r = x.data.mean(axis=0), 1 / np.sqrt(x.data.var(axis=0, ddof=1) + 1e-5)         # M − 1 here, M below
    x_hat = (x.data - mu) * r

    def share(g, y):
        return Tensor(r * (g.data - g.data.mean(axis=0) - x_hat * (g.data * x_hat).mean(axis=0)))
    return record(x_hat, (x, share))


EXHIBITS.append(Exhibit(
    "Two variances",
    "whoever mixes libraries that divide by M with those that divide by M − 1",
    batch_norm_unbiased, batch_norm_backward, _derivative_error(ROWS),
    "relative error of the derivative, for M = 6"))


def _normalised_by(make):
    """Relative error of what the layer makes of ROWS."""
    return relative_error(make(3, 0.8).astype(np.float64)(ROWS).data,
                          (ROWS - ROWS.mean(axis=0)) / np.sqrt(ROWS.var(axis=0) + 1e-5))


def norm_layer_by_position(features, momentum):
    def layer(features, eps=1e-5, momentum=0.9):
        return BatchNorm(features, eps=eps, momentum=momentum)
    return layer(features, momentum)                        # in the other library momentum came first


def norm_layer_by_name(features, momentum):
    def layer(features, eps=1e-5, momentum=0.9):
        return BatchNorm(features, eps=eps, momentum=momentum)
    return layer(features, momentum=momentum)


EXHIBITS.append(Exhibit(
    "The momentum becomes ε",
    "PyTorch-GAN#116: BatchNorm2d(n, 0.8), 49 lines in 22 files",
    norm_layer_by_position, norm_layer_by_name, _normalised_by,
    "relative error of the normalised rows; in tinygan both options must be named"))


# 7. A checker that checks nothing

def _directional_error(f, x, u, rng):
    """|⟨∂⟨u, f⟩/∂x, v⟩ − its central difference| in units of the larger, or of 1e-3 where both are smaller."""
    v, t = rng.standard_normal(x.shape), Tensor(x, requires_grad=True)
    analytic = (grad(f(t), t, u)[0].data * v).sum()
    numeric = ((f(Tensor(x + 1e-5 * v)).data - f(Tensor(x - 1e-5 * v)).data) * u).sum() / 2e-5
    return abs(analytic - numeric) / max(abs(analytic), abs(numeric), 1e-3)


def _on_a_zero_gradient(checker):
    """What the checker says of a batch normalisation whose backward pass returns nothing but zeros."""
    def normalise(x):
        return record(normalise_inside(x.data), (x, lambda g, y: g * 0))
    return checker(normalise, ROWS, np.random.default_rng(0))


def error_by_the_sum(f, x, rng):
    u = np.ones(x.shape)                                    # "the gradient of f(x).sum()"
    return _directional_error(f, x, u, rng)


def error_by_random_cotangent(f, x, rng):
    u = rng.standard_normal(x.shape)
    return _directional_error(f, x, u, rng)


EXHIBITS.append(Exhibit(
    "A checker that passes a gradient of zero",
    "DeZero, SmallPebble, minitorch, needle and tinygrad (helper_test_op) check the gradient of a sum",
    error_by_the_sum, error_by_random_cotangent, _on_a_zero_gradient,
    "the relative error it reports for a batch normalisation whose backward pass returns zeros: 1 is the truth",
    1.0))


# 8. Gradients that end too early

def d_real_loss_clipped(a):
    p = ops.sigmoid(a)
    clipped = record(np.clip(p.data, 1e-15, 0.999), (p, lambda g, y: g * Tensor((p.data < 0.999) * 1.0)))
    return -ops.mean(ops.log(clipped))                      # flat above 0.999: no derivative


def d_real_loss(a):
    return ops.mean(ops.softplus(-a))


EXHIBITS.append(Exhibit(
    "A clip that ends the gradient",
    "DeZero (examples/gan.py): clip(p, 1e-15, 0.999)",
    d_real_loss_clipped, d_real_loss,
    lambda loss: relative_error(_slope(loss, SURE),
                                finite_differences(lambda a: np.logaddexp(0, -a).mean(), SURE)),
    "relative error of D's gradient for real images with D(x) > 0.999: nothing is left of it"))


def _g_step(gradient):
    """The relative error of G's gradient for G(z) = z θ and D(x) = x w."""
    z, theta = REAL[:, :2], WEIGHTS[:2] @ WEIGHTS.T
    numeric = finite_differences(lambda theta: np.logaddexp(0, -(z @ theta @ WEIGHTS)).mean(), theta)
    return relative_error(gradient(Tensor(theta, requires_grad=True), z, WEIGHTS), numeric)


def g_gradient_detached(theta, z, w):
    painted = ops.matmul(Tensor(z), theta).detach()         # right in D's step, where G is not to change
    return grad(losses.generator_loss(painted @ Tensor(w)), theta)[0].data


def g_gradient(theta, z, w):
    painted = ops.matmul(Tensor(z), theta)
    return grad(losses.generator_loss(painted @ Tensor(w)), theta)[0].data


EXHIBITS.append(Exhibit(
    "detach in the generator's step",
    "nikhilsinghmus/image2reverb#37; asked in PyTorch-GAN#151, #179",
    g_gradient_detached, g_gradient, _g_step,
    "relative error of G's gradient: G learns nothing, and its loss still moves, because D does"))


# 9. Twice squashed

def _log_loss(scores):
    return -np.mean((scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))[np.arange(6), LABELS])


def classify_after_softmax(scores, labels):
    return losses.cross_entropy(losses.softmax(scores), labels)     # cross_entropy does the softmax itself


def classify(scores, labels):
    return losses.cross_entropy(scores, labels)


EXHIBITS.append(Exhibit(
    "A softmax before the cross-entropy",
    "PyTorch-GAN (sgan.py): nn.Softmax, then CrossEntropyLoss",
    classify_after_softmax, classify,
    lambda loss: relative_error(_slope(lambda scores: loss(scores, LABELS), SCORES),
                                finite_differences(_log_loss, SCORES)),
    "relative error of the gradient of −E log p_label"))


def d_loss_after_sigmoid(a_real, a_fake):
    return losses.discriminator_loss(ops.sigmoid(a_real), ops.sigmoid(a_fake))      # beliefs, where logits are expected


def d_loss_on_logits(a_real, a_fake):
    return losses.discriminator_loss(a_real, a_fake)


EXHIBITS.append(Exhibit(
    "A sigmoid before a loss on logits",
    "whoever takes a D that ends in a Sigmoid, as in pytorch/examples and DeZero, to another loss",
    d_loss_after_sigmoid, d_loss_on_logits,
    lambda loss: relative_error(_slope(loss, -LOGITS, LOGITS),
                                finite_differences(lambda a: np.logaddexp(0, -a).mean(), -LOGITS)),
    "relative error of D's gradient; no logit leaves [0, 1], so the loss cannot fall below 1.006"))


# 10. Sums, means and planes

def d_step_of_the_sum(a_fake):
    return sigmoid(a_fake)                                  # the loss that is printed is a mean


def d_step_of_the_mean(a_fake):
    return sigmoid(a_fake) / len(a_fake)


EXHIBITS.append(Exhibit(
    "The mean is printed, the gradient of the sum is applied",
    "gan_numpy (gan.py)",
    d_step_of_the_sum, d_step_of_the_mean,
    lambda gradient: relative_error(gradient(LOGITS), finite_differences(_d_fake_loss, LOGITS)),
    "relative error of D's gradient for a batch of N = 5: the learning rate is really N times as large"))


def _planes(paint):
    """Relative error of the planes: label k is meant to fill channel k with ones, and no other."""
    meant = np.zeros((6, 7, 7, 4))
    for n, label in enumerate(LABELS):
        meant[n, :, :, label] = 1
    return relative_error(paint(LABELS, 4, 7), meant)


def label_planes_flat(labels, classes, size):
    one_hot = np.eye(classes)[labels]
    return np.repeat(one_hot, size * size).reshape(len(labels), size, size, classes)    # no axis: flat, class by class


def label_planes(labels, classes, size):
    one_hot = np.eye(classes)[labels]
    return np.repeat(one_hot[:, None], size * size, axis=1).reshape(len(labels), size, size, classes)


EXHIBITS.append(Exhibit(
    "Label planes that are stripes",
    "keras-io (conditional_gan.py, 2021-07): repeat without axis",
    label_planes_flat, label_planes, _planes,
    "relative error of the planes that tell the networks which digit is meant"))
