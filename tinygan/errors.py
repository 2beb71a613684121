"""The exceptions that tinygan raises on purpose, and what is asked of axes, shapes and numbers before they are used."""
import functools
import math

import numpy as np


class TinyganError(ValueError):
    """Bad input, in one clear sentence: "got X, expected Y: do Z"."""


class Diverged(TinyganError):
    """A loss or a weight is not finite any more: going on would only spread it.

    step: after which it was seen. bad: the names of the arrays that hold NaN or infinite numbers, G's first."""

    def __init__(self, step, what, bad):
        self.step, self.what, self.bad = step, what, bad
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        where = f"not finite: {bad[0]}{more}" if bad else "all weights are finite"
        super().__init__(f"the training diverged in step {step}: {what}; {where}. Go back to an earlier checkpoint, "
                         "and take a smaller learning rate or another loss")

    def __reduce__(self):                   # so that it can travel from one process to another
        return Diverged, (self.step, self.what, self.bad)


class StopTraining(Exception):
    """Raised by a callback that has seen enough: GAN.fit ends after this step and returns as usual."""


class WorkerLost(TinyganError):
    """A process that shares the batch was killed, has failed or does not answer: the current step cannot be finished."""


def axes_of(axis, ndim):
    """The axes meant by None (all), an integer or several, each from 0 to ndim − 1; negative ones count from the end.

    TinyganError for an axis that there is not, and for one named twice."""
    given = range(ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = [int(one) % ndim for one in given if isinstance(one, (int, np.integer)) and -ndim <= one < ndim]
    if len(set(axes)) < len(given):
        raise TinyganError(f"got axis {axis} for an array of {ndim} axes, expected integers from {-ndim} to {ndim - 1}, "
                           "each once: name axes that the array has")
    return tuple(axes)


def order_of(axes, ndim):
    """The order of all axes meant by these, or by one tuple of them; the reverse order if none is given."""
    if not axes:
        return tuple(range(ndim))[::-1]
    order = axes_of(axes[0] if len(axes) == 1 else axes, ndim)
    if len(order) < ndim:
        raise TinyganError(f"got axes {axes} for an array of {ndim} axes, expected an order of all: name each once")
    return order


@functools.lru_cache(maxsize=256)       # NumPy takes longer to answer than a small array to be added
def common_shape(a, b):
    """The shape that two shapes broadcast to."""
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        raise TinyganError(f"shapes {a} and {b} do not broadcast: from the right, "
                           "each pair of sizes must be equal or contain a 1") from None


def check_reshape(old, new):
    """TinyganError unless an array of the old shape has a new one, in which one size may be −1: what is left for it."""
    size, known = math.prod(old), math.prod(length for length in new if length != -1)
    left = list(new).count(-1)
    if min(new, default=0) < -1 or left > 1 or (size != known if left == 0 else known == 0 or size % known):
        raise TinyganError(f"cannot reshape {old}, {size} elements, to {tuple(new)}: give sizes whose product is {size}")


def beside(shapes, axis):
    """The axis, from 0, along which arrays of these shapes can be put side by side.

    TinyganError for no arrays, and where they differ in another axis."""
    if not shapes:
        raise TinyganError("got no Tensors to put side by side, expected at least one: give a list of some")
    axis, = axes_of((axis,), len(shapes[0]))
    if len({(*shape[:axis], *shape[axis + 1:]) for shape in shapes}) > 1 or len(set(map(len, shapes))) > 1:
        raise TinyganError(f"got shapes {brief(', '.join(map(str, shapes)))} to put side by side along axis {axis}, expected "
                           "equal ones but for that axis: reshape them, or name another axis")
    return axis


def terms(shape, axis=None):
    """M: how many numbers of an array of this shape a mean over the axis has.  TinyganError for none: it has no value."""
    M = math.prod(shape[i] for i in axes_of(axis, len(shape)))
    if M == 0:
        raise TinyganError(f"got shape {shape}, expected at least one number to take the mean of: give a batch that has some")
    return M


def brief(value, most=200):
    """A value or an error as part of a sentence: its text in one line, cut after `most` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= most else text[:most] + "…"


def integer(name, value, least=0, most=math.inf):
    """The value, a whole number of Python's, NumPy's or CuPy's, as an int, which a checkpoint brings back.

    TinyganError for what is none, and for one out of range."""
    plain = value.item() if getattr(value, "ndim", None) == 0 else value
    if not isinstance(plain, int) or isinstance(plain, bool) or not least <= plain <= most:
        span = f"of at least {least:,}" if most == math.inf else f"from {least:,} to {most:,}"
        raise TinyganError(f"got {name} {brief(repr(plain))}, expected an integer {span}: choose such a number")
    return plain


def seed_of(seed):
    """The --seed as an int: one that every library takes, scikit-learn with its 32 bits too."""
    return integer("--seed", seed, 0, 2 ** 32 - 1)


def plain_number(name, value, least=0, below=math.inf):
    """As integer(), but a float of [least, below).  TinyganError for a bool, text and NaN too."""
    plain = value.item() if getattr(value, "ndim", None) == 0 else value
    if not isinstance(plain, (int, float)) or isinstance(plain, bool) or not least <= plain < below:
        raise TinyganError(f"got {name} {brief(repr(plain))}, expected {least} ≤ {name} < {below}: give such a number")
    return float(plain)


def plain_sizes(layer, *sizes):
    """The sizes and strides of a layer as plain ints.  TinyganError unless each is an integer of at least 1."""
    return [integer(f"{layer}'s size", size, 1) for size in sizes]


def plain_padding(padding):
    """"same", an int ≥ 0, which stands for all four sides, or ((top, bottom), (left, right)), in plain ints."""
    sides = np.array(padding, dtype=object)
    if sides.shape == () and isinstance(padding, str) and padding == "same":
        return "same"
    plain = all(isinstance(side, (int, np.integer)) and not isinstance(side, bool) and side >= 0 for side in sides.flat)
    if not plain or sides.shape not in ((), (2, 2)):
        raise TinyganError(f"got padding {brief(repr(padding))}, expected 'same', an int ≥ 0, or ((top, bottom), "
                           "(left, right)): 'same' with stride 1 keeps the size")
    return tuple(tuple(map(int, row)) for row in sides) if sides.ndim else int(padding)
