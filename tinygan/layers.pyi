import numpy as np

from .module import Module
from .tensor import Array, Tensor

Padding = str | int | tuple[tuple[int, int], tuple[int, int]]

stream: np.random.Generator

def seed(number: int) -> None: ...

class Sequential(Module):
    layers: tuple[Module, ...]
    def __init__(self, *layers: Module) -> None: ...

class _Weighted(Module):
    weight: Tensor
    bias: Tensor

class Dense(_Weighted):
    in_features: int
    out_features: int
    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None: ...

class _Convolution(_Weighted):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: Padding = "same",
                 bias: bool = True) -> None: ...

class Conv2D(_Convolution): ...
class Conv2DTranspose(_Convolution): ...

class SpectralNorm(Module):
    layer: Module
    def __init__(self, layer: Module, rng: np.random.Generator | None = None) -> None: ...

def spectral_norm(network: Module, rng: np.random.Generator | None = None) -> Module: ...

class BatchNorm(Module):
    features: int
    momentum: float
    eps: float
    gamma: Tensor
    beta: Tensor
    running_mean: Array
    running_var: Array
    def __init__(self, features: int, *, momentum: float = 0.9, eps: float = 1e-5) -> None: ...
    @property
    def mixes_the_batch(self) -> bool: ...

class LeakyReLU(Module):
    slope: float
    def __init__(self, slope: float = 0.2) -> None: ...

class Maxout(Module):
    pieces: int
    def __init__(self, pieces: int) -> None: ...

class OneHot(Module):
    k: int
    def __init__(self, k: int) -> None: ...

class Tanh(Module): ...
class Sigmoid(Module): ...
class Softplus(Module): ...

class Reshape(Module):
    shape: tuple[int, ...]
    def __init__(self, *shape: int) -> None: ...

class Flatten(Module): ...
