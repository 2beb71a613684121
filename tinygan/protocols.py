"""What Python and NumPy ask of a Tensor as of any number or array: float(x), f"{x:.3f}", x < 1, 2 ** x, np.sum(x).

Where an answer would lose a gradient without a word, it is refused; .detach() says that it is not wanted.
"""
import math
import operator

import numpy as np

from .backend import is_number, number_like, to_numpy
from .errors import TinyganError, brief
from .tensor import Tensor, record


def item(x):
    """The one number that is in x, Python's."""
    if x.size != 1:
        raise TinyganError(f"got a Tensor of shape {x.shape}, expected a single number: index it, or take .sum()")
    return to_numpy(x).item()


def exponential(x, a):
    """y = aˣ             ∂y/∂x = y·ln a     (a > 0 a number)"""
    if not is_number(a) or not a > 0:
        raise TinyganError(f"got the base {a!r}, expected a number above 0: write exp(log(base) * x) for a Tensor")
    return record(number_like(a, x.dtype) ** x.data, (x, lambda g, y: g * y * math.log(a)))


def as_array(x, dtype=None, copy=None):
    array = to_numpy(x.bare())
    return array.astype(dtype or array.dtype, copy=bool(copy))


def numpy_function(x, function, types, arguments, options):
    """NumPy's functions, such as np.sum, see arrays in place of Tensors."""
    def arrays(x):
        return np.asarray(x) if isinstance(x, Tensor) else type(x)(map(arrays, x)) if type(x) in (list, tuple) else x

    return function(*arrays(arguments), **{name: arrays(value) for name, value in options.items()})


def _comparison(name):
    """A comparison of the values, as a plain array of booleans: it has no derivative."""
    compare = getattr(operator, name)
    return lambda x, other: compare(x.data, other.data if isinstance(other, Tensor) else other)


Tensor.item = Tensor.__float__ = item
Tensor.__int__, Tensor.__bool__ = lambda x: int(item(x)), lambda x: bool(item(x))
Tensor.__len__ = lambda x: len(x.data)
Tensor.__format__ = lambda x, spec: format(item(x), spec) if spec else str(x)
Tensor.__str__ = lambda x: f"Tensor({x.data}, shape={x.shape}, dtype={x.dtype}, requires_grad={x.requires_grad})"
Tensor.__repr__ = lambda x: f"Tensor({brief(x.data, 40)}, shape={x.shape}, dtype={x.dtype}, requires_grad={x.requires_grad})"
Tensor.__pos__, Tensor.__rpow__ = lambda x: x, exponential
Tensor.__array__, Tensor.__array_function__ = as_array, numpy_function
for _name in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"):          # Tensors are still hashed by identity
    setattr(Tensor, _name, _comparison(_name))
