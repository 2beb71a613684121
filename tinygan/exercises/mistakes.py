"""Find the mistake: pieces of the museum (proofs/museum.py) as they were published, each graded by its own number."""
import inspect
import re

import numpy as np

import tinygan as tg

from ..proofs import museum, twins
from .grading import OPERATION, Exercise, derivatives, meant, slopes, values

_rng = np.random.default_rng(5)
EXERCISES = []          # each stands below
NUMBER = "its number in the museum"


def _normal(*shape):
    return _rng.standard_normal(shape)


def _find(name, wrong, minutes, after, question, results, expected, cases, others, hints, given,
          outcome=values):
    """An exercise from the exhibit with this wrong function: its number is measured, and what it makes is compared."""
    exhibit = next(exhibit for exhibit in museum.EXHIBITS if exhibit.wrong is wrong)
    head, *body = re.sub(" +#.*", "", exhibit.written).splitlines()         # without the comments, which tell too much
    code = "\n".join([head.replace(wrong.__name__, name), f'    """{question}"""', *body, ""])
    EXERCISES.append(Exercise(
        name, code, f"Find the mistake in {name}", minutes, after, "tinygan check --museum",
        (NUMBER, *results), lambda *those: [exhibit.ideal, *expected(*those)], cases,
        {f"This is as it was published. Its number is the {exhibit.meaning.removeprefix('the ')}.": wrong, **others}, hints,
        lambda function, *those: [exhibit.measure(function), *outcome(function, *those)], given))


_find(
    "d_gradient", museum.d_gradient_cached, 10, ("d_loss",),
    """Find the mistake: D's gradient for D(x) = x w.

    The loss is E softplus(−D(real)) + E softplus(D(fake)), for N images each,
    the rows of real and fake. w is (pixels, 1), and so is its gradient.
    This program was published, and drew pictures.
    """,
    ("∂L_D/∂w",), lambda w, real, fake: slopes(lambda w: twins.LOSSES["non_saturating"][0](real @ w, fake @ w), w),
    {"random images": (3, [(_normal(3, 1), _normal(4, 3), _normal(4, 3)), (_normal(2, 1), _normal(1, 2), _normal(1, 2))])},
    {"The fakes have no share in it any more.": lambda w, real, fake: -real.T @ twins.sigmoid(-real @ w) / len(real),
     "The real images have no share in it any more.": lambda w, real, fake: fake.T @ twins.sigmoid(fake @ w) / len(fake),
     "This is the gradient of sums: N is missing.": lambda w, real, fake: len(real) * museum.d_gradient(w, real, fake)},
    ("What does D.x hold when D.weight_gradient is called first?",
     "Two passes through one layer, and one place to keep the input.",
     "Let each pass have a CachingDense of its own, or go back before the next pass goes forward."),
    "from tinygan.proofs.twins import sigmoid\n\n\n" + inspect.getsource(museum.CachingDense))

_find(
    "d_real_loss", museum.d_real_loss_clipped, 10, ("d_loss",),
    """Find the mistake: D's loss on real images, −E log σ(a).

    a is a Tensor (N, 1) of logits, the loss a Tensor with a single number.
    D stopped learning when it was sure.
    """,
    OPERATION, meant(lambda a: twins.softplus(-a).mean()),
    {"random logits": (2, [(1, _normal(5, 1)), (2, _normal(5, 1))]),
     "D is sure, and D is wrong": (3, [(1, np.array([[8.0], [9.0]])), (1, np.array([[1e4], [-1e4], [0.0]]))])},
    {"This is the loss on fakes.": lambda a: tg.ops.mean(tg.ops.softplus(a)),
     "The sign is lost: D climbs.": lambda a: -tg.ops.mean(tg.ops.softplus(-a)),
     "The clip is gone, and log 0 is back: stay with the logit.": lambda a: -tg.ops.mean(tg.ops.log(tg.ops.sigmoid(a))),
     },
    ("What is the derivative of np.clip where it clips?",
     "The clip is there because log 0 is infinite. Is there a form without a logarithm of a probability?",
     "−log σ(a) = softplus(−a), and ops.softplus is finite everywhere."),
    "from tinygan import ops\nfrom tinygan.tensor import Tensor, record\n", derivatives)

_find(
    "label_planes", museum.label_planes_flat, 10, ("broadcast",),
    """Find the mistake: planes that tell the networks which digit is meant.

    labels is an array of N integers. The result (N, size, size, classes) is 1
    in that channel of image n which is its label, everywhere else 0.
    The networks could not know which digit was meant.
    """,
    ("planes",), lambda labels, classes, size: [np.eye(classes)[labels][:, None, None] * np.ones((size, size, 1))],
    {"some digits": (2, [(np.array([1, 0, 2]), 3, 2), (np.array([4]), 10, 3)]),
     "as many classes as pixels, one pixel, no labels": (
         1, [(np.array([1, 3]), 4, 2), (np.array([1, 0]), 2, 1), (np.array([], int), 3, 2)])},
    {"The channels come first here, and last in this house.":
         lambda labels, classes, size: np.eye(classes)[labels][:, :, None, None] * np.ones((size, size)),
     "All images have the planes of the first.":
         lambda labels, *sizes: museum.label_planes(labels[:1].repeat(len(labels)), *sizes),
     "The one-hot row is not spread over the pixels: the shape is (N, 1, 1, classes).":
         lambda labels, classes, size: np.eye(classes)[labels][:, None, None]},
    ("Print the planes of one label, with 3 classes and size 2.",
     "np.repeat without an axis repeats each number of the flattened array.",
     "Give one_hot an axis for the pixels, one_hot[:, None], and repeat along that axis."),
    "")

_find(
    "normalise", museum.batch_norm_frozen_deviation, 20, ("batch_norm", "r1"),
    """Find the mistake: batch normalisation that can be differentiated twice.

    x is a Tensor (N, C), and x̂ = (x − μ)/√(v + 10⁻⁵) with the mean μ and the
    variance v = E (x − μ)² of each column. The first derivative is exact.
    The second, which a gradient penalty needs, is not.
    """,
    OPERATION, meant(lambda x: (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)),
    {"random rows": (3, [(1, _normal(4, 3) / 10 + 1), (1, _normal(5, 2)), (2, _normal(5, 2))])},
    {"The first derivative is wrong now: the variance term is missing.": museum.batch_norm_backward_without_variance,
     "The share is computed on arrays: to the second derivative all of it is a constant.": museum.batch_norm_backward,
     "The variance divides by N − 1. Here it divides by N.": museum.batch_norm_unbiased},
    ("What in the share depends on x? Does each of these remember x?",
     "r is made from x.data: the engine takes it for a constant.",
     "Compute r from the Tensor x, with ops.sqrt and ops.mean, as norm.py does in normalised()."),
    "from tinygan import ops\nfrom tinygan.tensor import Tensor, record\n", derivatives)


def _half_wrong(x):
    """tanh, but without a derivative in the last column."""
    return tg.ops.record(np.tanh(x.data), (x, lambda g, y: g * (1 - y * y) * tg.Tensor(np.arange(x.shape[1]) < 2.0)))


def _verdicts(checker, seed):
    """Does it find fault with tanh, and with a tanh whose derivative is wrong in one column?"""
    rng = np.random.default_rng(seed)
    return [checker(f, rng.standard_normal((4, 3)), rng) > 1e-4 for f in (tg.ops.tanh, _half_wrong)]


_find(
    "checker", museum.error_by_the_sum, 15, ("batch_norm",),
    """Find the mistake: a gradient check that passes what it should not.

    f is a function of Tensors, x an array, rng a NumPy Generator. The result is
    the relative error of f's derivative along a random direction. Of a batch
    normalisation whose backward pass returns zeros it said: no error.
    """,
    ("fault found with tanh", "fault found with a tanh that is wrong in one column"), lambda seed: [False, True],
    {"a right derivative and a wrong one": (3, [(0,), (1,)])},
    {"It finds fault with everything.": lambda f, x, rng: 1.0,
     "It finds fault with nothing.": lambda f, x, rng: 0.0,
     "Only one output is checked.":
         lambda f, x, rng: museum._directional_error(f, x, np.eye(1, x.size).reshape(x.shape), rng)},
    ("The sum over a column of x̂ is 0, whatever x is. What is the gradient of that sum?",
     "A cotangent of ones cannot tell a batch normalisation from a constant. Which one can?",
     "One that is random: draw u from rng, as _directional_error draws v."),
    "from tinygan.tensor import Tensor, grad\n\n\n" + inspect.getsource(museum._directional_error), _verdicts)
