"""Layers: what a network is built from. Each is a Module (module.py): it holds its parameters and says what it computes.

Images are (N, H, W, C). Weights start Glorot-uniform, U(−b, b) with b = √(6 / (fan_in + fan_out)) (Glorot & Bengio
2010, equation 16), biases at 0. repr(network) describes its architecture; checkpoint/networks.py reads it back.
"""
import copy
import math

import numpy as np

from . import backend, conv
from .errors import TinyganError, integer, plain_number, plain_padding, plain_sizes
from .fast.kernels import fused, product
from .module import Module
from .norm import batch_norm
from .ops import concatenate, leaky_relu, matmul, maxout, reshape, sigmoid, softplus, sqrt, tanh
from .tensor import Tensor

stream = np.random.default_rng(0)        # the random stream from which new layers draw their weights, on the host


def seed(number):
    """Start the random stream, from which new layers draw their weights, at `number`."""
    global stream
    stream = np.random.default_rng(integer("seed", number))


class Sequential(Module):
    """y = layer_n(… layer_2(layer_1(x)))"""

    def __init__(self, *layers):
        if not all(isinstance(layer, Module) for layer in layers):
            raise TinyganError(f"got Sequential{layers}, expected layers: give them one after the other")
        self.layers = layers

    def forward(self, x):
        for layer, slope in _joined(self.layers):
            x = layer(x) if slope is None else layer.forward(x, slope)
        return x

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"


def _joined(layers):
    """(layer, slope) for each layer: a BatchNorm with the slope of the LeakyReLU right behind it, any other with None.
    Computed together, these two pass over the data once less and store one array less."""
    for before, layer, after in zip((None, *layers), layers, (*layers[1:], None)):
        if (type(before), type(layer)) != (BatchNorm, LeakyReLU):
            yield layer, after.slope if (type(layer), type(after)) == (BatchNorm, LeakyReLU) else None


def _check(layer, parameter, x, fits, shape):
    """TinyganError unless x has the shape that the layer expects, and the dtype and the device of its parameter."""
    if not fits:
        raise TinyganError(f"{layer} got an input of shape {x.shape}, expected {shape}: reshape it, or change the layer")
    if x.dtype != parameter.dtype:
        raise TinyganError(f"{layer} got an input of {x.dtype}, expected {parameter.dtype}: convert one with .astype()")
    here, there = backend.device_of(parameter.data), backend.device_of(x.data)
    if here != there:
        raise TinyganError(f"{layer} got an input on {there}, expected it on {here}: move one with .to() or tg.to_device()")


class _Weighted(Module):
    """A layer with a weight (…, a, b) and perhaps a bias, drawn from the stream at first."""
    biased = property(lambda self: hasattr(self, "bias"))

    def __init__(self, weight_shape, features, bias):
        self.weight = Tensor(np.zeros(weight_shape, np.float32), requires_grad=True)
        if bias:
            self.bias = Tensor(np.zeros(features, np.float32), requires_grad=True)
        self.initialise(stream)

    def initialise(self, rng, std=None):
        *pixels, a, b = self.weight.shape
        bound = np.sqrt(6 / (math.prod(pixels) * (a + b)))          # fan_in + fan_out: a and b, for each pixel of a kernel
        drawn = rng.uniform(-bound, bound, self.weight.shape) if std is None else rng.normal(0, std, self.weight.shape)
        self.weight.data = backend.like(drawn, self.weight.data)
        if self.biased:
            self.bias.data = backend.array_module(self.bias.data).zeros_like(self.bias.data)
        return self


class Dense(_Weighted):
    """y = x W + b        x (N, in_features), W (in_features, out_features), y (N, out_features)"""
    written = "{0.in_features}, {0.out_features}, bias={0.biased}"

    def __init__(self, in_features, out_features, bias=True):
        self.in_features, self.out_features = plain_sizes("Dense", in_features, out_features)
        super().__init__((self.in_features, self.out_features), self.out_features, bias)

    def forward(self, x):
        _check(self, self.weight, x, x.ndim == 2 and x.shape[1] == self.in_features, f"(N, {self.in_features})")
        y = matmul(x, self.weight)
        return y + self.bias if self.biased else y


class _Convolution(_Weighted):
    """What both convolutions have in common: their arguments, and what they take."""
    transposed = False
    written = ("{0.in_channels}, {0.out_channels}, {0.kernel_size}, stride={0.stride}, padding={0.padding!r}, "
               "bias={0.biased}")

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding="same", bias=True):
        a, b, k, self.stride = plain_sizes(type(self).__name__, in_channels, out_channels, kernel_size, stride)
        self.in_channels, self.out_channels, self.kernel_size, self.padding = a, b, k, plain_padding(padding)
        self._pads = ((self.padding,) * 2,) * 2 if isinstance(self.padding, int) else self.padding
        super().__init__((k, k, b, a) if self.transposed else (k, k, a, b), b, bias)

    def _check(self, x):
        _check(self, self.weight, x, x.ndim == 4 and x.shape[3] == self.in_channels, f"(N, H, W, {self.in_channels})")


class Conv2D(_Convolution):
    """y[n,i,j,d] = Σ x̄[n, S·i+a, S·j+b, c] · weight[a,b,c,d] + bias[d]        weight (K, K, in, out)

    I = ⌊(H + top + bottom − K)/S⌋ + 1; with padding "same" I = ⌈H/S⌉."""

    def forward(self, x):
        self._check(x)
        geo = conv.geometry(x.shape[1:3], self.kernel_size, self.stride, self._pads)
        return conv.convolve(x, self.weight, geo, getattr(self, "bias", None))


class Conv2DTranspose(_Convolution):
    """y[n, S·i+a−top, S·j+b−left, d] = Σ weight[a,b,d,c] · x[n,i,j,c] + bias[d]        weight (K, K, out, in)

    H = S·(I − 1) + K − top − bottom: padding is cropped from the full output; with padding "same" H = S·I."""
    transposed = True

    def forward(self, x):
        self._check(x)
        geo = conv.geometry_of_transpose(x.shape[1:3], self.kernel_size, self.stride, self._pads)
        return conv.transpose(x, self.weight, geo, getattr(self, "bias", None))


class SpectralNorm(Module):
    """y = layer(x) with the weight W/σ in place of W, where σ is the largest singular value of W: ‖W/σ‖₂ = 1

    σ = vᵀ W u    v ← W u/‖W u‖    u ← Wᵀ v/‖Wᵀ v‖        one power iteration a forward pass, in training mode
    W is the layer's weight as a matrix (all axes but the last, last axis), the bias stays as it is. u and v are held
    constant in the gradient, ∂σ/∂W = v uᵀ, which is exact where they have converged. A network of such Dense layers and
    LeakyReLUs is 1-Lipschitz. A convolution can be steeper than its W/σ: its windows overlap, and a pixel counts in each.
    layer: Dense, Conv2D or Conv2DTranspose; rng: draws the first u, the stream of new layers if None.
    Source: Miyato et al., "Spectral Normalization for Generative Adversarial Networks" (2018), algorithm 1."""
    buffers, written = ("u", "v"), "{0.layer!r}"

    def __init__(self, layer, rng=None):
        if not isinstance(layer, _Weighted):
            raise TinyganError(f"got SpectralNorm({layer!r}), expected a layer with a weight: give Dense or a convolution")
        self.layer = layer
        self._draw_u(rng or stream)

    def _draw_u(self, rng):
        weight = self.layer.weight.data
        self.u = backend.like(rng.standard_normal((weight.shape[-1], 1)), weight)
        self._iterate()

    def _iterate(self):
        weight = self.layer.weight.data
        matrix, times = weight.reshape(-1, weight.shape[-1]), product(weight)
        self.v = _unit(times(matrix, self.u))
        self.u = _unit(times(matrix.T, self.v))

    def initialise(self, rng, std=None):
        self.layer.initialise(rng, std)
        self._draw_u(rng)
        return self

    def forward(self, x):
        if self.training:
            self._iterate()
        weight = self.layer.weight
        sigma = Tensor(self.v.T) @ reshape(weight, -1, weight.shape[-1]) @ Tensor(self.u)      # (1, 1)
        normalised = copy.copy(self.layer)
        normalised.weight = weight / sigma
        return normalised(x)


def _unit(x):
    """x/‖x‖"""
    return x / backend.array_module(x).sqrt((x * x).sum())


def spectral_norm(network, rng=None):
    """A Sequential of the same layers, those that have a weight within SpectralNorm: the parameters are shared."""
    return Sequential(*[SpectralNorm(layer, rng) if isinstance(layer, _Weighted) else layer for layer in network.layers])


class BatchNorm(Module):
    """y = γ·(x − μ)/√(v + ε) + β over every axis but the last (Ioffe & Szegedy 2015).

    Training mode: μ and v (biased) are those of the batch, and
        running = momentum·running + (1 − momentum)·batch
    Evaluation mode: μ and v are the running ones, and y is an affine function of x.
    The options are named in the call, as their order differs between libraries."""
    buffers, written = ("running_mean", "running_var"), "{0.features}, momentum={0.momentum}, eps={0.eps}"

    def __init__(self, features, *, momentum=0.9, eps=1e-5):
        self.features, = plain_sizes("BatchNorm", features)
        self.momentum, self.eps = plain_number("momentum", momentum), plain_number("eps", eps)
        if self.momentum > 1 or self.eps == 0:
            raise TinyganError(f"BatchNorm got momentum {momentum!r} and eps {eps!r}, expected 0 ≤ momentum ≤ 1 and eps > 0: "
                               "the usual ones are 0.9 and 1e-5")
        self.gamma = Tensor(np.ones(self.features, np.float32), requires_grad=True)
        self.beta = Tensor(np.zeros(self.features, np.float32), requires_grad=True)
        self.running_mean, self.running_var = np.zeros(self.features, np.float32), np.ones(self.features, np.float32)

    mixes_the_batch = property(lambda self: self.training)

    def initialise(self, rng, std=None):
        xp = backend.array_module(self.gamma.data)
        self.gamma.data, self.beta.data = xp.ones_like(self.gamma.data), xp.zeros_like(self.beta.data)
        self.running_mean, self.running_var = xp.zeros_like(self.running_mean), xp.ones_like(self.running_var)
        return self

    def forward(self, x, slope=None):
        _check(self, self.gamma, x, x.ndim >= 2 and x.shape[-1] == self.features, f"(N, …, {self.features})")
        if not self.training:
            scale = self.gamma / sqrt(Tensor(self.running_var) + self.eps)
            y = (x - Tensor(self.running_mean)) * scale + self.beta
            return y if slope is None else leaky_relu(y, slope)
        if x.size <= self.features:
            raise TinyganError(f"{self} got one row or none, {x.shape}, in training mode, expected several, for a variance: "
                               "use a larger batch, or .eval()")
        y, mean, var = batch_norm(x, self.gamma, self.beta, self.eps, slope)
        # New arrays, never in place: a checkpoint or a copy may still hold the old ones.
        self.running_mean, self.running_var = fused(_blend, self.running_mean, self.running_var, mean, var,
                                                    numbers=(self.momentum, 1 - self.momentum))
        return y


def _blend(running_mean, running_var, mean, var, momentum, rest):
    return momentum * running_mean + rest * mean, momentum * running_var + rest * var


class LeakyReLU(Module):
    """y = x where x > 0, slope·x elsewhere"""
    written = "{0.slope}"

    def __init__(self, slope=0.2):
        self.slope = plain_number("slope", slope, 0, 1)

    def forward(self, x):
        return leaky_relu(x, self.slope)


class Maxout(Module):
    """y[n, i] = max_j x[n, j·k + i]        j < pieces

    The k features that follow each other are a set; of `pieces` sets the largest wins, position by position. Behind
    Dense(…, pieces·k) it is the hidden layer of Goodfellow et al. (2013): k convex functions, each learned."""
    written = "{0.pieces}"

    def __init__(self, pieces):
        self.pieces, = plain_sizes("Maxout", pieces)

    def forward(self, x):
        return maxout(x, self.pieces)


class OneHot(Module):
    """y[n, i] = √k where x[n, i] is the largest of the first k numbers of x[n], 0 where it is another of them; from k on y = x

    Behind z ~ N(0, 1) it gives G k places to begin, with gaps between them, as there are gaps between kinds of images; E y²
    is 1 as before. The gradient of the first k numbers is 0.  Source: the mixed prior of Mukherjee et al., "ClusterGAN" (2019)."""
    written = "{0.k}"

    def __init__(self, k):
        self.k, = plain_sizes("OneHot", k)

    def forward(self, x):
        if x.ndim != 2 or x.shape[1] < self.k:
            raise TinyganError(f"{self} got an input of shape {x.shape}, expected (N, {self.k} or more): give G a longer z")
        largest = x.data[:, :self.k].argmax(axis=1)[:, None] == backend.array_module(x.data).arange(self.k)
        return concatenate([Tensor(math.sqrt(self.k) * largest.astype(x.dtype)), x[:, self.k:]], axis=1)


class Tanh(Module):
    """y = tanh x, in [−1, 1]: the range of the images"""

    def forward(self, x):
        return tanh(x)


class Sigmoid(Module):
    """y = σ(x), in [0, 1]. Not for the end of a discriminator: the losses take logits."""

    def forward(self, x):
        return sigmoid(x)


class Softplus(Module):
    """y = ln(1 + eˣ), greater than 0: a LeakyReLU(0) without a corner"""

    def forward(self, x):
        return softplus(x)


class Reshape(Module):
    """(N, …) → (N, *shape)"""

    def __init__(self, *shape):
        self.shape = tuple(plain_sizes("Reshape", *shape))

    def forward(self, x):
        return reshape(x, (x.shape[0], *self.shape))

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(map(str, self.shape))})"


class Flatten(Module):
    """(N, …) → (N, features)"""

    def forward(self, x):
        return reshape(x, (x.shape[0], math.prod(x.shape[1:])))
