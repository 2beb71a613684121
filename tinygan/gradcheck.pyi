from collections.abc import Callable
from dataclasses import dataclass, field

import numpy.typing as npt

from .errors import TinyganError
from .tensor import Tensor

TOLERANCE: dict[int, float]
STEPS: tuple[float, ...]
MOVE: float
FLOOR: float

class GradientError(TinyganError): ...

@dataclass
class Row:
    name: str
    shape: tuple[int, ...]
    analytic: float
    numeric: float
    error: float
    note: str = ""

@dataclass
class Report:
    function: str
    order: int
    seed: int
    rows: list[Row] = field(default_factory=list)
    @property
    def max_error(self) -> float: ...
    @property
    def wrong(self) -> list[Row]: ...

def check_gradients(f: Callable[..., Tensor], *inputs: Tensor | npt.ArrayLike, order: int = 1, seed: int = 0) -> Report: ...
def compare_gradients(f: Callable[..., Tensor], *inputs: Tensor | npt.ArrayLike, order: int = 1, seed: int = 0) -> Report: ...
