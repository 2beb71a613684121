"""Exercises on layers and optimisers: norm.py, ops.py, conv.py, optim.py."""
import numpy as np

import tinygan as tg

from ..optim import plain_adam
from ..proofs import twins
from .grading import OPERATION, Exercise, asked, derivatives, meant, slopes

_rng = np.random.default_rng(3)
EXERCISES = []          # each stands below, under its question


def _normal(*shape):
    return _rng.standard_normal(shape)


def batch_norm(g, x, gamma, eps):
    """Batch normalisation, backwards.

    For each feature, over the M numbers that share it (all axes of x but the
    last; E is their mean):
        μ = E x    v = E (x − μ)²    r = 1/√(v + ε)
        x̂ = (x − μ)·r        y = γ·x̂ + β

    g, x      arrays (…, C); g = ∂L/∂y
    gamma     array (C,)
    eps       number ε
    returns   ∂L/∂x (…, C), ∂L/∂γ (C,), ∂L/∂β (C,)
    derive    a change dx shifts μ by E dx and r by −r² E[x̂ dx]. What is dx̂?
              Then write ⟨g, γ dx̂⟩ as ⟨∂L/∂x, dx⟩.
    """
    raise NotImplementedError


def _backward(mean=1, variance=1, scale=1, correction=0, E=np.mean):
    """The right answer, or one of whose parts something has become."""
    def backward(g, x, gamma, eps):
        axes = tuple(range(x.ndim - 1))
        r = 1 / np.sqrt(x.var(axis=axes, ddof=correction) + eps)
        x_hat = (x - x.mean(axis=axes)) * r
        share = r * (g - mean * E(g, axis=axes) - variance * x_hat * E(g * x_hat, axis=axes))
        return share * gamma ** scale, (g * x_hat).sum(axis=axes), g.sum(axis=axes)
    return backward


EXERCISES.append(Exercise(
    *asked(batch_norm), "Batch normalisation, backwards", 30, ("broadcast",), "tinygan/norm.py",
    ("∂L/∂x", "∂L/∂γ", "∂L/∂β"),
    lambda g, x, gamma, eps: slopes(
        lambda *those: (g * twins.batch_norm(*those, eps)).sum(), x, gamma, np.zeros_like(gamma)),
    {"rows": (4, [(_normal(6, 3), _normal(6, 3) + 1, 1 + _normal(3) / 4, 0.1),
                  (_normal(4, 2), _normal(4, 2), _normal(2), 1e-5)]),
     "images (N, H, W, C)": (1, [(_normal(2, 3, 2, 2), _normal(2, 3, 2, 2), _normal(2), 1e-3)]),
     "two rows, and a feature that does not vary": (
         1, [(_normal(2, 2), _normal(2, 2), _normal(2), 0.1), (_normal(4, 2), np.ones((4, 2)), _normal(2), 0.1)])},
    {"The variance term is missing: x̂ E[g x̂].": _backward(variance=0),
     "The mean term is missing: E g.": _backward(mean=0),
     "Mean and variance are taken for constants: both their terms are missing.": _backward(mean=0, variance=0),
     "The factor γ is missing in ∂L/∂x.": _backward(scale=0),
     "This variance divides by M − 1. It is to divide by M.": _backward(correction=1),
     "E is a mean. These are sums.": _backward(E=np.sum)},
    ("x̂ = (x − μ)·r has three factors that depend on x. Which term does each give?",
     "dx̂ = r·(dx − E dx − x̂ E[x̂ dx]). The map in brackets is symmetric: it does the same to the cotangent.",
     "∂L/∂x = γ·r·(g − E g − x̂ E[g x̂]); the sums of g·x̂ and of g are the other two shares.")))


def leaky_relu(x, slope):
    """LeakyReLU: value and derivative, as an operation.

    y = x where x > 0, and slope·x elsewhere. At x = 0, where there is no
    derivative, take slope.

    x         Tensor of any shape, float32 or float64
    slope     number, 0 ≤ slope < 1
    returns   tg.ops.record(value, (x, share)): value is an array, and
              share(g, y) a Tensor, g · ∂y/∂x
    Others remember x.data: leave it as it is.
    """
    raise NotImplementedError


def _leaky(derivative):
    """The operation with this ∂y/∂x, an array."""
    return lambda x, slope: tg.ops.record(np.maximum(x.data, x.dtype.type(slope) * x.data), (
        x, lambda g, y: g * tg.Tensor(derivative(x.data, slope).astype(x.dtype))))


def _leaky_in_place(x, slope):
    value = np.maximum(x.data, slope * x.data, out=x.data)
    return tg.ops.record(value, (x, lambda g, y: g * tg.Tensor(np.where(y.data > 0, 1, slope).astype(y.dtype))))


def _leaky_meant(order, x, slope):
    """At the kink the derivative is that on its left."""
    (y, *_), (_, left, error) = (meant(twins.leaky_relu)(order, x, slope) for x in (x, np.where(x == 0, -1e-3, x)))
    return [y, left, error]


EXERCISES.append(Exercise(
    *asked(leaky_relu), "LeakyReLU", 10, ("tanh",), "tinygan/ops.py, leaky_relu",
    OPERATION, _leaky_meant,
    {"random numbers": (3, [(1, _normal(4, 3), 0.2), (1, _normal(5), 0.01)]),
     "slope 0, no rows": (1, [(1, _normal(2, 3), 0.0), (1, _normal(2, 3), 0), (1, np.zeros((0, 2)), 0.2)]),
     "x = 0, and large numbers": (1, [(1, np.zeros(2), 0.2), (1, np.array([1e4, -1e4]), 0.2)]),
     "the derivative of the derivative": (1, [(2, _normal(4, 3), 0.2)])},
    {"The derivative is that of ReLU: 0 left of the corner.": _leaky(lambda x, slope: x > 0),
     "The derivative is 1 everywhere: it is slope where x < 0.": _leaky(lambda x, slope: np.ones_like(x)),
     "The sides of the derivative are exchanged.": _leaky(lambda x, slope: np.where(x > 0, slope, 1)),
     "The derivative at x = 0 is to be slope.": _leaky(lambda x, slope: np.where(x >= 0, 1, slope)),
     "x.data is overwritten: who remembers x finds y there.": _leaky_in_place},
    ("np.where(condition, a, b) takes a where the condition holds, and b elsewhere.",
     "∂y/∂x is an array of 1 and slope. It does not depend on g; the share is g times it, as a Tensor.",
     "Mind float32: np.where(x.data > 0, 1.0, slope) is float64, so add .astype(x.dtype)."),
    derivatives))


def convolve(x, w, stride):
    """A convolution by six loops.

        y[n, i, j, d] = Σ x[n, S·i + a, S·j + b, c] · w[a, b, c, d]
    with the sum over a, b < K and all c. No zeros are put around the images.

    x         array (N, H, W, C): images, channels last
    w         array (K, K, C, D): the kernel
    stride    S, a whole number
    returns   array (N, I, J, D), I = ⌊(H − K)/S⌋ + 1, J = ⌊(W − K)/S⌋ + 1
    Loop over n, i, j, d, a, b. The sum over c is a product of two vectors.
    """
    raise NotImplementedError


NONE = ((0, 0), (0, 0))         # padding


def _convolve(x, w, stride):
    return twins.convolve(x, w, stride, NONE)


EXERCISES.append(Exercise(
    *asked(convolve), "A convolution by six loops", 20, (), "tinygan/conv.py, plain_convolve",
    ("y",), lambda x, w, stride: [_convolve(x, w, stride)],
    {"stride 1": (2, [(_normal(2, 4, 5, 2), _normal(3, 3, 2, 3), 1)]),
     "stride 2 and 3": (2, [(_normal(1, 5, 7, 2), _normal(3, 3, 2, 2), 2), (_normal(1, 8, 6, 1), _normal(2, 2, 1, 2), 3)]),
     "a kernel of one pixel, and one as large as the image": (
         1, [(_normal(2, 3, 2, 2), _normal(1, 1, 2, 3), 1), (_normal(2, 3, 3, 2), _normal(3, 3, 2, 1), 1)])},
    {"The kernel is turned around: a network's convolution does not flip it.":
         lambda x, w, stride: _convolve(x, w[::-1, ::-1], stride),
     "The stride is forgotten in the input: windows start at S·i and S·j.":
         lambda x, w, stride: _convolve(
             x, w, 1)[:, :(x.shape[1] - len(w)) // stride + 1, :(x.shape[2] - len(w)) // stride + 1],
     "The last windows are missing: I = ⌊(H − K)/S⌋ + 1.":
         lambda x, w, stride: _convolve(x, w, stride)[:, :(x.shape[1] - len(w)) // stride, :(x.shape[2] - len(w)) // stride],
     "The stride is forgotten: there are windows at every pixel.": lambda x, w, stride: _convolve(x, w, 1)},
    ("Begin with zeros of shape (N, I, J, D) and add one product at a time.",
     "The pixel under position (a, b) of the window (i, j) is x[n, stride * i + a, stride * j + b], a vector (C,).",
     "In the innermost loop, that vector times the kernel's vector w[a, b, :, d] is added to y[n, i, j, d].")))


def transpose(g, w, stride):
    """The transposed convolution, from the adjoint identity.

    convolve(x, w) is the exercise before. Its transpose is the map for which
        ⟨convolve(x, w), g⟩ = ⟨x, transpose(g, w)⟩        for every x and g
    It is the convolution's share for x, and a generator's way to large images.

    g         array (N, I, J, D)
    w         array (K, K, C, D)
    stride    S, a whole number
    returns   array (N, S·(I − 1) + K, S·(J − 1) + K, C)
    derive    both sides are Σ x[n, S·i + a, S·j + b, c] · w[a, b, c, d]
              · g[n, i, j, d]. Which products belong to one pixel of x?
    """
    raise NotImplementedError


def _size(g, w, stride):
    return tuple(stride * (n - 1) + len(w) for n in g.shape[1:3])


def _transpose(g, w, stride):
    return twins.transpose(g, w, stride, NONE, _size(g, w, stride))


def _overwritten(g, w, stride):
    x = np.zeros((len(g), *_size(g, w, stride), w.shape[2]), g.dtype)
    for i in range(g.shape[1]):
        for j in range(g.shape[2]):
            x[:, stride * i:, stride * j:][:, :len(w), :len(w)] = np.einsum("nd,abcd->nabc", g[:, i, j], w)
    return x


def _adjoint(g, w, stride):
    x = np.zeros((len(g), *_size(g, w, stride), w.shape[2]))
    return slopes(lambda x: (g * _convolve(x, w, stride)).sum(), x)


EXERCISES.append(Exercise(
    *asked(transpose), "Its transpose, from the adjoint identity", 20, ("convolve",), "tinygan/conv.py, plain_transpose",
    ("x",), _adjoint,
    {"stride 1": (2, [(_normal(2, 2, 3, 3), _normal(3, 3, 2, 3), 1), (_normal(1, 2, 3, 2), _normal(2, 2, 2, 2), 1)]),
     "stride 2 and 3": (2, [(_normal(1, 2, 3, 2), _normal(3, 3, 2, 2), 2), (_normal(1, 3, 2, 2), _normal(2, 2, 1, 2), 3)]),
     "a single pixel": (1, [(_normal(1, 1, 1, 2), _normal(3, 3, 2, 2), 2)])},
    {"Where windows overlap their shares add up: here the last one overwrites the others.": _overwritten,
     "The kernel is turned around: the convolution did not flip it.":
         lambda g, w, stride: _transpose(g, w[::-1, ::-1], stride),
     "The stride is forgotten: the windows lie side by side.": lambda g, w, stride: _transpose(g, w, 1),
     "The padding of a \"same\" convolution is cropped: the full output is asked for.":
         lambda g, w, stride: _transpose(g, w, stride)[:, 1:-1, 1:-1]},
    ("Begin with zeros. Each pixel of g paints a kernel, times its value, onto the result.",
     "The pixel (i, j) of g paints onto rows S·i to S·i + K − 1, columns S·j to S·j + K − 1. What was there stays: add.",
     "For each n, i, j, a, b the matrix w[a, b] times the vector g[n, i, j] is added to row S·i + a, column S·j + b.")))


def adam(theta, g, m, v, t, lr, beta1, beta2, eps):
    """One step of Adam.

    m ← β₁·m + (1 − β₁)·g        m̂ = m/(1 − β₁ᵗ)
    v ← β₂·v + (1 − β₂)·g²       v̂ = v/(1 − β₂ᵗ)        θ ← θ − lr·m̂/(√v̂ + ε)

    theta, g, m, v           arrays of one shape: the parameter, its gradient,
                             the running means, which are 0 before step t = 1
    t                        number of this step, from 1
    lr, beta1, beta2, eps    numbers
    returns                  the new θ, m and v, as new arrays
    derive                   g the same in all steps, what is m after t of them?
                             That is why m̂ divides by 1 − β₁ᵗ.
    """
    raise NotImplementedError


def _adam(theta, g, m, v, t, lr, beta1, beta2, eps, corrected=True, inside=False, kept=False, square=np.square):
    """The right answer, or what becomes of it."""
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * square(g)
    m_hat, v_hat = (m / (1 - beta1 ** t), v / (1 - beta2 ** t)) if corrected else (m, v)
    theta = theta - lr * m_hat / (np.sqrt(v_hat + eps) if inside else np.sqrt(v_hat) + eps)
    return (theta, m_hat, v_hat) if kept else (theta, m, v)


def _adam_meant(theta, g, m, v, t, lr, beta1, beta2, eps):
    theta, m, v = theta.copy(), m.copy(), v.copy()
    plain_adam(theta, g, m, v, lr, (beta1, beta2), eps, t)
    return [theta, m, v]


def _state(*shape):
    return _normal(*shape), _normal(*shape), _normal(*shape) / 2, _normal(*shape) ** 2


_start = np.array([1.0, -2.0, 0.5]), np.array([0.3, -1e-3, 0.0]), np.zeros(3), np.zeros(3)

EXERCISES.append(Exercise(
    *asked(adam), "Adam", 15, (), "tinygan/optim.py, plain_adam",
    ("θ", "m", "v"), _adam_meant,
    {"the first step": (2, [(*_start, 1, 0.1, 0.5, 0.999, 1e-8), (*_start, 1, 0.1, 0.9, 0.99, 1e-2)]),
     "later steps": (2, [(*_state(2, 3), 3, 0.1, 0.5, 0.9, 1e-3), (*_state(4), 500, 0.01, 0.9, 0.999, 0.1)]),
     "a gradient of 0": (1, [(np.ones(2), np.zeros(2), np.zeros(2), np.zeros(2), 1, 0.1, 0.5, 0.999, 1e-8)])},
    {"The correction for starting at 0 is missing: m̂ and v̂.": lambda *those: _adam(*those, corrected=False),
     "ε is inside of the root. It is added to √v̂.": lambda *those: _adam(*those, inside=True),
     "v is the running mean of g². Here it is that of |g|.": lambda *those: _adam(*those, square=np.abs),
     "β₁ and β₂ are exchanged.":
         lambda theta, g, m, v, t, lr, beta1, beta2, eps: _adam(theta, g, m, v, t, lr, beta2, beta1, eps),
     "m̂ and v̂ are returned in place of m and v: they would be corrected again in the next step.":
         lambda *those: _adam(*those, kept=True)},
    ("Compute the new m and v first. The step uses them, not the old ones.",
     "m̂ and v̂ are used in this step only. What is kept, and returned, is m and v.",
     "m̂ is the new m divided by 1 − β₁ᵗ, v̂ likewise. First the root of v̂ is taken, then ε is added.")))
