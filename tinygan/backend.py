"""The one door to NumPy and CuPy.

No other file asks which library an array belongs to: it calls `array_module(array)` and uses what comes
back. There is no global switch; an array made on the GPU is worked on there, an array in main memory here.

On the CPU large arrays are worked on in blocks that fit in the cache. The blocks depend on shapes alone and their
results are added in order.
"""
import functools
import operator

import numpy as np

from . import cuda
from .errors import TinyganError

BLOCK = 1 << 17       # elements of one block of a kernel: a few such blocks fit in a core's cache

_cuda_works = False   # is it known that the GPU works?

NUMPYS = {np.ndarray, np.float32, np.float64}       # what NumPy's arrays are, a full sum among them, which is a scalar


# Which library owns an array

def is_array(x):
    """Is x an array of NumPy or CuPy (and not a number, a list or a Tensor)?"""
    return type(x) is np.ndarray or isinstance(x, np.ndarray) or type(x).__module__.partition(".")[0] == "cupy"


def array_module(array):
    """The library that owns the array: the module `numpy` or `cupy`."""
    if type(array) in NUMPYS or isinstance(array, (np.ndarray, np.generic)):
        return np
    if not is_array(array):
        raise TinyganError(f"an array of NumPy or CuPy was expected, and {type(array).__name__} came: "
                           "give operations and losses Tensors, as in tg.Tensor(x)")
    import cupy
    return cupy


def device_of(array):
    """Where the array lies: "cpu" or "cuda"."""
    return "cpu" if array_module(array) is np else "cuda"


def to_numpy(x):
    """A NumPy array with the values of x, an array or a Tensor; a copy from the GPU, the array itself otherwise."""
    array = x if is_array(x) else getattr(x, "data", x)
    return array.get() if is_array(array) and device_of(array) == "cuda" else np.asarray(array)


def to_device(x, device):
    """The array x (or a Tensor's) on `device`, "cpu" or "cuda".  TinyganError if there is no such device."""
    array = x if is_array(x) else getattr(x, "data", x)
    if device == "cpu":
        return to_numpy(array)
    works, reason = available(device)
    if not works:
        raise TinyganError(reason)
    import cupy
    return cupy.asarray(array)


def like(values, array):
    """The values (any array) as an array of the same library and dtype as `array`."""
    values = values.astype(array.dtype, copy=False)        # first, so that float64 noise is not uploaded as such
    return values if device_of(values) == device_of(array) else to_device(values, device_of(array))


def available(device):
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


def chunks(array, size):
    """Slices that cover the first axis of the array: of length `size` on the CPU, one for all on a GPU."""
    total = len(array)
    size = max(1, size) if device_of(array) == "cpu" else total
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]


# Kernels. A kernel is a function of arrays made of elementwise operations. On the CPU it is called block by block, so that
# what it computes in between stays in the cache; on a GPU cupy.fuse compiles it into one launch. So it must be a function
# of its arguments alone: what changes from call to call goes in as a number, which takes the arrays' dtype.

_fused = {}


def fused(kernel, *arrays, numbers=()):
    """kernel(*arrays, *numbers), in one go."""
    kernel = _one_launch(kernel, arrays[0])
    return kernel(*arrays, *[arrays[0].dtype.type(number) for number in numbers])


def _one_launch(kernel, array):
    """The kernel for arrays such as this one: itself, or on a GPU what cupy.fuse has compiled of it."""
    if device_of(array) == "cpu":
        return kernel
    if kernel not in _fused:
        import cupy
        _fused[kernel] = cupy.fuse(kernel)
    return _fused[kernel]


def elementwise(kernel, *arrays, columns=(), numbers=()):
    """kernel(*arrays, *columns, *numbers), which writes into whichever of the arrays it likes (contiguous ones).

    arrays: of one shape. columns: arrays (C,) that broadcast along their last axis."""
    for _ in _block_by_block(kernel, arrays, columns, numbers):
        pass


def sums_of_rows(kernel, *arrays, columns=(), numbers=()):
    """For a kernel that returns arrays of that shape, as a tuple: Σ of each over all axes but the last."""
    sums = [[_add_rows(block) for block in blocks] for blocks in _block_by_block(kernel, arrays, columns, numbers)]
    return [functools.reduce(operator.add, parts) for parts in zip(*sums)]


def _block_by_block(kernel, arrays, columns, numbers):
    """What the kernel returns for each block: of a matrix (M, C), or of a flat array where there are no columns."""
    width = len(columns[0]) if columns else 1
    numbers = [arrays[0].dtype.type(number) for number in numbers]
    rows = [array.reshape(-1, width) if columns else array.reshape(-1) for array in arrays]
    kernel = _one_launch(kernel, arrays[0])
    for part in chunks(rows[0], BLOCK // width):
        yield kernel(*[array[part] for array in rows], *columns, *numbers)


def _add_rows(rows):
    """Σ over the rows of an array (M, C), as a product with ones: BLAS adds columns faster than a sum along them does."""
    return _ones(array_module(rows), len(rows), rows.dtype) @ rows


@functools.lru_cache(maxsize=64)
def _ones(xp, length, dtype):
    return xp.ones(length, dtype)


def column_sums(rows):
    """Σ over the rows of an array (M, C)."""
    return functools.reduce(operator.add, [_add_rows(rows[part]) for part in chunks(rows, BLOCK // max(1, rows.shape[1]))])
