"""The plain twins: what the code has to compute, written down once more from its equation in plain NumPy.

Nothing here is fast and nothing has a derivative. Each function has the name of its twin in the chapters, and the cases
(cases.py) compare the values of the two.
"""
import numpy as np


# Elementary operations

def sigmoid(a):
    """σ(a)"""
    return 1 / (1 + np.exp(-a))


def softplus(a):
    """log(e⁰ + eᵃ), which does not overflow for a large a"""
    return np.logaddexp(0, a)


def leaky_relu(x, slope):
    return np.where(x > 0, x, slope * x)


# The three maps of conv.py. pads: ((top, bottom), (left, right)), the zeros around x that make it x̄

def windows(x, kernel, stride, pads):
    """x̄[n, S·i + a, S·j + b, c] as an array (N, I, J, C, K, K)"""
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    every = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (1, 2))      # stride 1
    return every[:, ::stride, ::stride]


def convolve(x, w, stride, pads, bias=0.0):
    return np.einsum("nijcab,abcd->nijd", windows(x, len(w), stride, pads), w) + bias


def weight_gradient(x, g, kernel, stride, pads):
    return np.einsum("nijcab,nijd->abcd", windows(x, kernel, stride, pads), g)


def transpose(g, w, stride, pads, size, bias=0.0):
    """Every pixel of g paints the kernel into x̄, from which pads are cropped. What no window reaches stays 0."""
    (top, bottom), (left, right) = pads
    x = np.zeros((len(g), size[0] + top + bottom, size[1] + left + right, w.shape[2]))
    for i in range(g.shape[1]):
        for j in range(g.shape[2]):
            x[:, stride * i:, stride * j:][:, :len(w), :len(w)] += np.einsum("nd,abcd->nabc", g[:, i, j], w)
    return x[:, top:top + size[0], left:left + size[1]] + bias


# Batch normalisation with the LeakyReLU that may follow it; slope 1 stands for none

def batch_norm(x, gamma, beta, eps=1e-3, slope=1.0):
    """In training: with the mean and the variance of the batch."""
    axes = tuple(range(x.ndim - 1))
    return batch_norm_evaluated(x, gamma, beta, x.mean(axes), x.var(axes), eps, slope)


def batch_norm_evaluated(x, gamma, beta, mean, var, eps=1e-3, slope=1.0):
    return leaky_relu(gamma * (x - mean) / np.sqrt(var + eps) + beta, slope)


def spectral_norm(w, u, v):
    """w/(vᵀ w u), which is w/σ₁ once u and v are the singular vectors of the largest singular value σ₁"""
    return w / (v.T @ w.reshape(-1, w.shape[-1]) @ u)


# Losses

LOSSES = {      # name: (L_D of the logits of real data and fakes, L_G of the logits of fakes)
    "non_saturating": (lambda real, fake: softplus(-real).mean() + softplus(fake).mean(),
                       lambda fake: softplus(-fake).mean()),
    "saturating": (lambda real, fake: softplus(-real).mean() + softplus(fake).mean(),
                   lambda fake: -softplus(fake).mean()),
    "least_squares": (lambda real, fake: ((real - 1) ** 2).mean() / 2 + (fake ** 2).mean() / 2,
                      lambda fake: ((fake - 1) ** 2).mean() / 2),
    "hinge": (lambda real, fake: np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(),
              lambda fake: -fake.mean()),
    "wasserstein": (lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean()),
}


def smoothed_discriminator_loss(real, fake, s):
    return ((1 - s) * softplus(-real) + s * softplus(real)).mean() + softplus(fake).mean()


def softmax(a):
    e = np.exp(a - a.max(axis=1, keepdims=True))        # the factor e^(−max) cancels, and no e overflows
    return e / e.sum(axis=1, keepdims=True)


def log_sum_exp(a):
    return np.logaddexp.reduce(a, axis=1, keepdims=True)


def cross_entropy(a, labels):
    return -np.log(softmax(a)[np.arange(len(a)), labels]).mean()


def _slope(w, b, v, x):
    """∂D/∂x for D(x) = tanh(x W + b) v, a row for each x: W ((1 − tanh²) ∘ v)"""
    return ((1 - np.tanh(x @ w + b) ** 2) * v[:, 0]) @ w.T


def r1_penalty(w, b, v, real):
    """E ‖∂D/∂x‖² for this D"""
    return (_slope(w, b, v, real) ** 2).sum(axis=1).mean()


def gradient_penalty(w, b, v, real, fake, u):
    """E (‖∂D/∂x̂‖ − 1)² for this D at x̂ = u·real + (1 − u)·fake"""
    slope = _slope(w, b, v, u * real + (1 - u) * fake)
    return ((np.sqrt((slope ** 2).sum(axis=1)) - 1) ** 2).mean()


# Optimisers: how far the gradients, one after the other, move a parameter

def sgd(gradients, lr):
    return -lr * sum(gradients)


def adam(gradients, lr=2e-4, beta1=0.5, beta2=0.999, eps=1e-8):
    m, v, moved = 0, 0, 0
    for t, g in enumerate(gradients, 1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g ** 2
        moved = moved - lr * (m / (1 - beta1 ** t)) / (np.sqrt(v / (1 - beta2 ** t)) + eps)
    return moved
