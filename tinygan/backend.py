"""The one door to NumPy and CuPy.

No other file asks which library an array belongs to: it calls `array_module(array)` and uses what comes
back. There is no global switch; an array made on the GPU is worked on there, an array in main memory here.
"""
import functools

import numpy as np

from . import cuda
from .errors import TinyganError

_cuda_works = False   # is it known that the GPU works?

FLOATS = {np.dtype(np.float32), np.dtype(np.float64)}       # what a Tensor may hold


# Which library owns an array

@functools.cache
def _library(kind):
    """The library whose arrays are of this type, "numpy" or "cupy", or None. NumPy's scalars, as full sums are, count too."""
    if issubclass(kind, (np.ndarray, np.generic)):
        return "numpy"
    return "cupy" if kind.__module__.partition(".")[0] == "cupy" else None


def is_array(x):
    """Is x an array of NumPy or CuPy (and not a number, a list or a Tensor)?"""
    return _library(type(x)) is not None and not isinstance(x, np.generic)


def array_module(array):
    """The library that owns the array: the module `numpy` or `cupy`."""
    library = _library(type(array))
    if library == "numpy":
        return np
    if library is None:
        raise TinyganError(f"got {type(array).__name__}, expected an array of NumPy or CuPy: "
                           "give operations and losses Tensors, as in tg.Tensor(x)")
    import cupy
    return cupy


def device_of(array):
    """Where the array lies: "cpu" or "cuda"."""
    return "cpu" if array_module(array) is np else "cuda"


def unmasked(x):
    """x itself.  TinyganError for a masked array, whose mask would be forgotten."""
    if isinstance(x, np.ma.MaskedArray):
        raise TinyganError("got a masked array, expected one in which every number counts: use .filled() or .compressed()")
    return x


def floats(x):
    """x as an array of float32 or float64; lists and integers become float64, as in NumPy.

    TinyganError for another dtype, and for a masked array."""
    array = x if type(x) is np.ndarray or _library(type(x)) == "cupy" else np.asarray(unmasked(x))      # no subclass of NumPy's
    if array.dtype in FLOATS:
        return array
    if array.dtype.kind not in "iub":
        raise TinyganError(f"got {array.dtype}, expected float32 or float64: convert with .astype")
    return array.astype(np.float64)


def is_number(x):
    """Is x a number, Python's or NumPy's, or an array without axes?"""
    return isinstance(x, (int, float)) or hasattr(x, "astype") and x.ndim == 0 and x.dtype.kind in "biuf"


def number_like(x, dtype):
    """The number x with the given dtype."""
    return x.astype(dtype)[()] if hasattr(x, "astype") else dtype.type(x)


def contiguous(array):
    """The array row after row in memory, as kernels read and write it: itself, or a copy of one that lies otherwise or that
    NumPy does not let be changed, such as a view of bytes."""
    return array if array.flags.c_contiguous and getattr(array.flags, "writeable", True) else array.copy(order="C")


def same_kind(a, b):
    """TinyganError unless the arrays have one dtype and lie on one device."""
    if a.dtype != b.dtype:
        raise TinyganError(f"got {a.dtype} of shape {a.shape} and {b.dtype} of shape {b.shape}, expected one dtype: "
                           "convert one with .astype(), a network with network.astype()")
    if type(a) is not type(b) and device_of(a) != device_of(b):
        raise TinyganError(f"got an array on {device_of(a)} and one on {device_of(b)}, expected one device: "
                           "move one with tg.to_device(), a network with network.to()")


def to_numpy(x) -> np.ndarray:
    """A NumPy array with the values of x, an array or a Tensor; a copy from the GPU, the array itself otherwise."""
    array = x if is_array(x) else getattr(x, "data", x)
    return array.get() if is_array(array) and device_of(array) == "cuda" else np.asarray(array)


def to_device(x, device: str) -> np.ndarray:
    """The array x (or a Tensor's) on `device`, "cpu" or "cuda".  TinyganError if there is no such device."""
    array = x if is_array(x) else getattr(x, "data", x)
    if device == "cpu":
        return to_numpy(array)
    works, reason = available(device)
    if not works:
        raise TinyganError(reason)
    import cupy
    return cupy.asarray(array, order="C")


def like(values, array):
    """The values (any array) as an array of the same library and dtype as `array`, row after row in memory.

    TinyganError for values that are no real numbers."""
    if values.dtype.kind not in "fiub":
        raise TinyganError(f"got {values.dtype}, expected real numbers: take the part that is meant, such as .real")
    values = values.astype(array.dtype, order="C", copy=False)         # first, so that float64 noise is not uploaded as such
    return values if device_of(values) == device_of(array) else to_device(values, device_of(array))


def available(device: str) -> tuple[bool, str]:
    """(can it be used?, the reason): for "cuda" a device was found and tiny kernels really ran.

    That it works is remembered, as asking makes the host wait for the device; that it does not is not."""
    global _cuda_works
    if device == "cpu":
        return True, "NumPy computes on the CPU"
    if device != "cuda":
        return False, f"there is no device {device!r}: choose 'cpu' or 'cuda'"
    reason = "" if _cuda_works else cuda.trouble()
    _cuda_works = not reason
    return _cuda_works, reason or "a product and a kernel ran on the GPU"


def at_hand(array):
    """Can the numbers be looked at without making a device wait?"""
    return device_of(array) == "cpu"


def all_finite(*arrays):
    """Is no number in these arrays NaN or infinite?  Their sums tell, in one transfer, unless one overflows."""
    xp = array_module(arrays[0])
    with np.errstate(invalid="ignore", over="ignore"):
        sums = to_numpy(xp.stack([array.sum() for array in arrays]))
        return bool(np.isfinite(sums).all()) or all(bool(xp.isfinite(array).all()) for array in arrays)


def strided(x, shape, strides, offset=0):
    """The numbers of a contiguous x as an array of another shape, which begins `offset` bytes behind x's first number and
    goes on by `strides` bytes along each axis. It shares x's memory, and may show a number several times."""
    if device_of(x) == "cpu":
        return np.ndarray(shape, x.dtype, x, offset, strides)
    import cupy
    return cupy.ndarray(shape, x.dtype, x.data + offset, strides)


def between(x, rows, columns):
    """x (N, H, W, C) between the given rows and columns, (start, stop) each; zeros where they lie outside of x."""
    part = array_module(x).zeros((len(x), rows[1] - rows[0], columns[1] - columns[0], x.shape[3]), x.dtype)
    (into_h, from_h), (into_w, from_w) = _overlap(rows, x.shape[1]), _overlap(columns, x.shape[2])
    part[:, into_h, into_w] = x[:, from_h, from_w]
    return part


@functools.cache
def _overlap(span, length):
    """(the part of the span that lies in [0, length), counted from the span's start; the same, counted from 0)."""
    start, stop = max(span[0], 0), max(min(span[1], length), max(span[0], 0))
    return slice(start - span[0], stop - span[0]), slice(start, stop)
