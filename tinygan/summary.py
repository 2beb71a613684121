"""Module.summary: the layers of a network as a table, with the shape that each gives and how many parameters it has."""
import re

import numpy as np

from .backend import like
from .errors import TinyganError, integer
from .layers import Sequential
from .module import Module
from .tensor import Tensor, no_grad


def rows(network, shape):
    """[(layer, output shape without N, parameters)] for inputs of (N, *shape), as one row of zeros finds them.

    The layers of a Sequential have a row each, any other module one for all that is in it. A parameter counts once, in the
    first layer that has it.  TinyganError where a layer does not take what comes to it."""
    if not isinstance(shape, (tuple, list)):
        raise TinyganError(f"got the shape {shape!r}, expected that of one input, without N: give a tuple such as (100,)")
    arrays = network.arrays()
    x = Tensor(like(np.zeros((1, *(integer("a length", length, 1) for length in shape)), np.float32),
                    arrays[0] if arrays else np.zeros(0, np.float32)))
    with network.evaluating(), no_grad():                       # so batch norm takes one row, and nothing changes
        return _rows(network, x, set())[0]


def _rows(module, x, counted):
    """(the rows, the module's output); counted: the parameters that an earlier row has."""
    if isinstance(module, Sequential):
        found = []
        for layer in module.layers:
            below, x = _rows(layer, x, counted)
            found += below
        return found, x
    y, new = module(x), [parameter for parameter in module.parameters() if parameter not in counted]
    counted.update(new)
    name = re.sub(", bias=(True|False)", "", repr(module))              # the number of parameters tells it
    return [(name, y.shape[1:], sum(parameter.size for parameter in new))], y


def summary(network, shape):
    """A table as text: each layer, its output shape without N, its parameters, and their total.

    shape: that of one input, without N. G.summary((100,)) for noise of 100 numbers, D.summary((28, 28, 1)) for images.
    TinyganError where a layer does not take what comes to it."""
    found = [(layer, size(output), f"{n:,}") for layer, output, n in rows(network, shape)]
    total = sum(parameter.size for parameter in network.parameters())
    table = [("input", size(shape), ""), *found, ("total", "", f"{total:,}")]
    wide, middle, right = (max(map(len, column)) for column in zip(("layer", "output", "parameters"), *table))
    return "\n".join(f"{layer:{wide}}  {output:{middle}}  {n:>{right}}".rstrip()
                     for layer, output, n in (("layer", "output", "parameters"), *table))


def size(shape):
    """(28, 28, 1) → "28 × 28 × 1" """
    return " × ".join(map(str, shape))


Module.summary = summary
