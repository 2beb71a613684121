"""Layers: what a network is built from. Each holds its parameters and says what it computes.

Images are (N, H, W, C). Weights start Glorot-uniform, U(−b, b) with b = √(6 / (fan_in + fan_out)) (Glorot & Bengio
2010, equation 16), biases at 0. repr(network) describes its architecture; checkpoint/networks.py reads it back.
"""
import copy

import numpy as np

from . import backend, conv
from .errors import TinyganError
from .norm import batch_norm
from .ops import leaky_relu, matmul, maxout, reshape, sigmoid, softplus, sqrt, tanh
from .tensor import Tensor


class Module:
    """Something with parameters that maps a Tensor to a Tensor in forward(x).

    Parameters are the attributes that are Tensors with requires_grad, children those that are Modules (or lists of
    them), both in the order of their definition; `buffers` names arrays that are part of the state but not trained."""
    buffers = ()
    training = True

    def forward(self, x):
        raise NotImplementedError(f"{type(self).__name__} has no forward(x)")

    def __call__(self, x):
        return self.forward(x if isinstance(x, Tensor) else Tensor(x))

    def _children(self):
        """(name, module) for every direct child."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, (list, tuple)):
                yield from ((f"{name}.{i}", item) for i, item in enumerate(value) if isinstance(item, Module))

    def _named_modules(self, prefix=""):
        """(prefix, module) for this module and everything below it, outermost first."""
        yield prefix, self
        for name, child in self._children():
            yield from child._named_modules(f"{prefix}{name}.")

    def modules(self):
        """This module and all below it."""
        return [module for _, module in self._named_modules()]

    def named_parameters(self):
        """[(name, Tensor)] in definition order."""
        return [(prefix + name, value) for prefix, module in self._named_modules()
                for name, value in vars(module).items() if isinstance(value, Tensor) and value.requires_grad]

    def parameters(self):
        """All that is trained, in definition order: weight before bias, gamma before beta."""
        return [parameter for _, parameter in self.named_parameters()]

    def _named_buffers(self):
        return [(prefix + name, module, name) for prefix, module in self._named_modules() for name in module.buffers]

    def named_arrays(self):
        """[(name, array)] of all parameters, then of all buffers."""
        buffers = [(key, getattr(module, name)) for key, module, name in self._named_buffers()]
        return [(name, parameter.data) for name, parameter in self.named_parameters()] + buffers

    def arrays(self):
        """The same without the names."""
        return [array for _, array in self.named_arrays()]

    def state_dict(self):
        """{name: NumPy array}, copies of all parameters and buffers."""
        return {name: np.array(backend.to_numpy(array)) for name, array in self.named_arrays()}

    def load_state_dict(self, state):
        """Take over the values of state_dict(), each with the dtype and on the device that it has here.

        TinyganError, before anything is changed, for a name too few or too many or another shape."""
        here = self.state_dict()
        if here.keys() != state.keys():
            missing, unknown = sorted(here.keys() - state.keys()), sorted(state.keys() - here.keys())
            raise TinyganError(f"the state does not fit this network: missing {missing or 'nothing'}, "
                               f"unknown {unknown or 'nothing'}; load it into the network it came from")
        for name, array in here.items():
            if np.shape(state[name]) != array.shape:
                raise TinyganError(f"the state's {name} has shape {np.shape(state[name])}, "
                                   f"this network's {array.shape}: load it into the network it came from")

        def fitted(name, array):
            return backend.like(np.array(state[name]), array)

        for name, parameter in self.named_parameters():
            parameter.data = fitted(name, parameter.data)
        for key, module, name in self._named_buffers():
            setattr(module, name, fitted(key, getattr(module, name)))
        return self

    def _convert(self, function):
        for parameter in self.parameters():
            parameter.data, parameter.grad = function(parameter.data), None
        for _, module, name in self._named_buffers():
            setattr(module, name, function(getattr(module, name)))
        return self

    def to(self, device):
        """Move parameters and buffers to "cpu" or "cuda"."""
        return self._convert(lambda array: backend.to_device(array, device))

    def astype(self, dtype):
        """Turn parameters and buffers into float32 or float64."""
        return self._convert(lambda array: array.astype(dtype))

    def train(self, training=True):
        """Training mode: batch normalisation uses the statistics of the batch and remembers them."""
        for module in self.modules():
            module.training = training
        return self

    def eval(self):
        """Evaluation mode: batch normalisation uses what it remembers, so each image stands for itself."""
        return self.train(False)

    def initialise(self, rng, std=None):
        """Redraw all weights from the NumPy Generator rng: Glorot-uniform, or N(0, std²); biases 0, gamma 1, beta 0."""
        for child in (child for _, child in self._children()):
            child.initialise(rng, std)
        return self


class Sequential(Module):
    """y = layer_n(… layer_2(layer_1(x)))"""

    def __init__(self, *layers):
        if not all(isinstance(layer, Module) for layer in layers):
            raise TinyganError(f"Sequential{layers} came: expected layers, one after the other")
        self.layers = layers

    def forward(self, x):
        """A LeakyReLU right behind a BatchNorm is computed along with it: one pass over the data less, and one array."""
        layers = list(self.layers)
        while layers:
            layer = layers.pop(0)
            if type(layer) is BatchNorm and layers and type(layers[0]) is LeakyReLU:
                x = layer.forward(x, slope=layers.pop(0).slope)
            else:
                x = layer(x)
        return x

    def __repr__(self):
        return f"Sequential({', '.join(map(repr, self.layers))})"


def _check_counts(layer, *numbers):
    """Every number is an int of at least 1."""
    if not all(isinstance(number, (int, np.integer)) and number >= 1 for number in numbers):
        raise TinyganError(f"{layer} came with {numbers}: "
                           "channels, features, sizes and strides must be integers of at least 1")


class _Weighted(Module):
    """A layer with a weight and perhaps a bias, drawn from backend's stream at first."""

    def _start(self, weight_shape, fans, features, bias):
        self._fans = fans
        self.weight = Tensor(np.zeros(weight_shape, np.float32), requires_grad=True)
        if bias:
            self.bias = Tensor(np.zeros(features, np.float32), requires_grad=True)
        self.initialise(backend.stream)

    def initialise(self, rng, std=None):
        shape, array = self.weight.shape, self.weight.data
        bound = np.sqrt(6 / np.sum(self._fans))
        drawn = rng.uniform(-bound, bound, shape) if std is None else rng.normal(0, std, shape)
        self.weight.data = backend.like(drawn, array)
        if hasattr(self, "bias"):
            self.bias.data = backend.array_module(array).zeros_like(self.bias.data)
        return self

class Dense(_Weighted):
    """y = x W + b        x (N, in_features), W (in_features, out_features), y (N, out_features)"""

    def __init__(self, in_features, out_features, bias=True):
        _check_counts("Dense", in_features, out_features)
        self.in_features, self.out_features = in_features, out_features
        self._start((in_features, out_features), (in_features, out_features), out_features, bias)

    def forward(self, x):
        if x.ndim != 2 or x.shape[1] != self.in_features:
            raise TinyganError(f"{self} expects an input of shape (N, {self.in_features}), and {x.shape} came")
        y = matmul(x, self.weight)
        return y + self.bias if hasattr(self, "bias") else y

    def __repr__(self):
        return f"Dense({self.in_features}, {self.out_features}, bias={hasattr(self, 'bias')})"


class _Convolution(_Weighted):
    """What both convolutions share: their arguments and their checks."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding="same", bias=True):
        _check_counts(type(self).__name__, in_channels, out_channels, kernel_size, stride)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self._pads = _pads(padding)
        fans = (in_channels * kernel_size ** 2, out_channels * kernel_size ** 2)
        self._start((kernel_size, kernel_size, *self._channels()), fans, out_channels, bias)

    def _check(self, x):
        if x.ndim != 4 or x.shape[3] != self.in_channels:
            raise TinyganError(f"{self} expects images of shape (N, H, W, {self.in_channels}), and {x.shape} came")
        if x.dtype != self.weight.dtype:
            raise TinyganError(f"{self} has {self.weight.dtype} weights, and {x.dtype} images came: "
                               "convert one with .astype()")
        here, there = backend.device_of(self.weight.data), backend.device_of(x.data)
        if here != there:
            raise TinyganError(f"{self} is on {here}, its input on {there}: move one with .to() or tg.to_device()")

    def __repr__(self):
        return (f"{type(self).__name__}({self.in_channels}, {self.out_channels}, {self.kernel_size}, "
                f"stride={self.stride}, padding={self.padding!r}, bias={hasattr(self, 'bias')})")


def _pads(padding):
    """"same", or ((top, bottom), (left, right)); an int stands for four times itself."""
    if isinstance(padding, (int, np.integer)) and padding >= 0:
        return ((padding, padding), (padding, padding))
    shape = np.shape(padding) if not isinstance(padding, str) else ()
    if padding != "same" and (shape != (2, 2) or np.min(padding) < 0):
        raise TinyganError(f"padding {padding!r} came: expected 'same', an int ≥ 0, or ((top, bottom), (left, right))")
    return padding if padding == "same" else tuple(map(tuple, padding))


class Conv2D(_Convolution):
    """y[n,i,j,d] = Σ x̄[n, S·i+a, S·j+b, c] · weight[a,b,c,d] + bias[d]        weight (K, K, in, out)

    I = ⌊(H + top + bottom − K)/S⌋ + 1; with padding "same" I = ⌈H/S⌉."""

    def _channels(self):
        return self.in_channels, self.out_channels

    def forward(self, x):
        self._check(x)
        geo = conv.geometry(x.shape[1:3], self.kernel_size, self.stride, self._pads)
        return conv.convolve(x, self.weight, geo, getattr(self, "bias", None))


class Conv2DTranspose(_Convolution):
    """y[n, S·i+a−top, S·j+b−left, d] = Σ weight[a,b,d,c] · x[n,i,j,c] + bias[d]        weight (K, K, out, in)

    H = S·(I − 1) + K − top − bottom: padding is cropped from the full output; with padding "same" H = S·I."""

    def _channels(self):
        return self.out_channels, self.in_channels

    def forward(self, x):
        self._check(x)
        geo = conv.geometry_of_transpose(x.shape[1:3], self.kernel_size, self.stride, self._pads)
        return conv.transpose(x, self.weight, geo, getattr(self, "bias", None))


class SpectralNorm(Module):
    """y = layer(x) with the weight W/σ in place of W, where σ is the largest singular value of W: ‖W/σ‖₂ = 1

    σ = vᵀ W u    v ← W u/‖W u‖    u ← Wᵀ v/‖Wᵀ v‖        one power iteration a forward pass, in training mode
    W is the layer's weight as a matrix (all axes but the last, last axis), the bias stays as it is. u and v are held
    constant in the gradient, ∂σ/∂W = v uᵀ, which is exact where they have converged. A network whose every layer has
    slope 1 at most is then 1-Lipschitz, as far as a convolution's stride does not count its pixels more than once.
    layer: Dense, Conv2D or Conv2DTranspose; rng: draws the first u, backend's stream if None.
    Source: Miyato et al., "Spectral Normalization for Generative Adversarial Networks" (2018), algorithm 1."""
    buffers = ("u", "v")

    def __init__(self, layer, rng=None):
        if not isinstance(layer, _Weighted):
            raise TinyganError(f"SpectralNorm({layer!r}) came: expected a layer with a weight, such as Dense or Conv2D")
        self.layer = layer
        self._start(rng or backend.stream)

    def _start(self, rng):
        weight = self.layer.weight.data
        self.u = backend.like(rng.standard_normal((weight.shape[-1], 1)), weight)
        self._iterate()

    def _iterate(self):
        weight = self.layer.weight.data
        matrix = weight.reshape(-1, weight.shape[-1])
        self.v = _unit(matrix @ self.u)
        self.u = _unit(matrix.T @ self.v)

    def initialise(self, rng, std=None):
        self.layer.initialise(rng, std)
        self._start(rng)
        return self

    def forward(self, x):
        if self.training:
            self._iterate()
        weight = self.layer.weight
        sigma = Tensor(self.v.T) @ reshape(weight, -1, weight.shape[-1]) @ Tensor(self.u)      # (1, 1)
        normalised = copy.copy(self.layer)
        normalised.weight = weight / sigma
        return normalised(x)

    def __repr__(self):
        return f"SpectralNorm({self.layer!r})"


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
    buffers = ("running_mean", "running_var")

    def __init__(self, features, *, momentum=0.9, eps=1e-5):
        _check_counts("BatchNorm", features)
        numbers = isinstance(momentum, (int, float)) and isinstance(eps, (int, float))
        if not (numbers and 0 <= momentum <= 1 and eps > 0):
            raise TinyganError(f"BatchNorm came with momentum {momentum!r} and eps {eps!r}: "
                               "expected 0 ≤ momentum ≤ 1 and eps > 0")
        self.features, self.momentum, self.eps = features, momentum, eps
        self.gamma = Tensor(np.ones(features, np.float32), requires_grad=True)
        self.beta = Tensor(np.zeros(features, np.float32), requires_grad=True)
        self.running_mean, self.running_var = np.zeros(features, np.float32), np.ones(features, np.float32)

    mixes_the_batch = property(lambda self: self.training)

    def initialise(self, rng, std=None):
        xp = backend.array_module(self.gamma.data)
        self.gamma.data, self.beta.data = xp.ones_like(self.gamma.data), xp.zeros_like(self.beta.data)
        self.running_mean, self.running_var = xp.zeros_like(self.running_mean), xp.ones_like(self.running_var)
        return self

    def forward(self, x, slope=None):
        if x.ndim < 2 or x.shape[-1] != self.features:
            raise TinyganError(f"{self} expects an input of shape (N, …, {self.features}), and {x.shape} came")
        if x.dtype != self.gamma.dtype:
            raise TinyganError(f"{self} has {self.gamma.dtype} parameters, and {x.dtype} came: "
                               "convert one with .astype()")
        if not self.training:
            scale = self.gamma / sqrt(Tensor(self.running_var) + self.eps)
            y = (x - Tensor(self.running_mean)) * scale + self.beta
            return y if slope is None else leaky_relu(y, slope)
        if x.size == self.features:
            raise TinyganError(f"{self} got one row, {x.shape}, in training mode: a single row has no variance; "
                               "use a larger batch, or .eval()")
        y, mean, var = batch_norm(x, self.gamma, self.beta, self.eps, slope)
        # New arrays, never in place: a checkpoint or a copy may still hold the old ones.
        running = backend.fused(_blend, self.running_mean, self.running_var, mean, var,
                                numbers=(self.momentum, 1 - self.momentum))
        self.running_mean, self.running_var = running
        return y

    def __repr__(self):
        return f"BatchNorm({self.features}, momentum={self.momentum}, eps={self.eps})"


def _blend(running_mean, running_var, mean, var, momentum, rest):
    return momentum * running_mean + rest * mean, momentum * running_var + rest * var


class LeakyReLU(Module):
    """y = x where x > 0, slope·x elsewhere"""

    def __init__(self, slope=0.2):
        if not 0 <= slope < 1:
            raise TinyganError(f"LeakyReLU came with slope {slope}: expected 0 ≤ slope < 1")
        self.slope = slope

    def forward(self, x):
        return leaky_relu(x, self.slope)

    def __repr__(self):
        return f"LeakyReLU({self.slope})"


class Maxout(Module):
    """y[n, i] = max_j x[n, j·k + i]        j < pieces

    The k features that follow each other are a set; of `pieces` sets the largest wins, position by position. Behind
    Dense(…, pieces·k) it is the hidden layer of Goodfellow et al. (2013): k convex functions, each learned."""

    def __init__(self, pieces):
        _check_counts("Maxout", pieces)
        self.pieces = pieces

    def forward(self, x):
        return maxout(x, self.pieces)

    def __repr__(self):
        return f"Maxout({self.pieces})"


class Tanh(Module):
    """y = tanh x, in [−1, 1]: the range of the images"""

    def forward(self, x):
        return tanh(x)

    def __repr__(self):
        return "Tanh()"


class Sigmoid(Module):
    """y = σ(x), in [0, 1]. Not for the end of a discriminator: the losses take logits."""

    def forward(self, x):
        return sigmoid(x)

    def __repr__(self):
        return "Sigmoid()"


class Softplus(Module):
    """y = ln(1 + eˣ), greater than 0: a LeakyReLU(0) without a corner"""

    def forward(self, x):
        return softplus(x)

    def __repr__(self):
        return "Softplus()"


class Reshape(Module):
    """(N, …) → (N, *shape)"""

    def __init__(self, *shape):
        _check_counts("Reshape", *shape)
        self.shape = shape

    def forward(self, x):
        return reshape(x, (x.shape[0], *self.shape))

    def __repr__(self):
        return f"Reshape({', '.join(map(str, self.shape))})"


class Flatten(Module):
    """(N, …) → (N, features)"""

    def forward(self, x):
        return reshape(x, (x.shape[0], x.size // x.shape[0]))

    def __repr__(self):
        return "Flatten()"



def one_by_one(network):
    """Does the network look at each sample by itself, and remember nothing of it? Only of this file's layers is it known."""
    return all(type(module).__module__ == __name__ and not module.buffers for module in network.modules())
