from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import Self

from .tensor import Array, Tensor

class _Optimiser:
    parameters: list[Tensor]
    lr: float
    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None: ...
    def zero_grad(self) -> None: ...
    def step(self, fraction: float = 1.0) -> None: ...
    def settings(self) -> dict[str, Any]: ...
    def state_dict(self) -> dict[str, Array]: ...
    def load_state_dict(self, state: Mapping[str, Array]) -> Self: ...

class SGD(_Optimiser): ...

class Adam(_Optimiser):
    betas: tuple[float, float]
    eps: float
    counts: list[int]
    m: list[Array]
    v: list[Array]
    def __init__(self, parameters: Iterable[Tensor], lr: float = 2e-4, betas: tuple[float, float] = (0.5, 0.999),
                 eps: float = 1e-8) -> None: ...
    @property
    def t(self) -> int: ...

def plain_adam(theta: Array, g: Array, m: Array, v: Array, lr: float, betas: tuple[float, float], eps: float,
               t: int) -> None: ...

OPTIMISERS: dict[str, type[_Optimiser]]
