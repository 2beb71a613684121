"""How a kernel is run. A kernel is a function of arrays made of elementwise operations.

On the CPU it is called block by block, so that what it computes in between stays in the cache. On a GPU cupy.fuse compiles
it into one launch. So it must be a function of its arguments alone: what changes from call to call goes in as a number,
which takes the arrays' dtype. The blocks depend on shapes alone, and their sums are added in order.
"""
import functools
import operator
import threading

from ..backend import array_module, device_of

BLOCK = 1 << 17       # numbers in one block: a few such blocks fit in a core's cache

_fused = {}           # kernel: what cupy.fuse has compiled of it
capture = threading.local()     # while a step is captured as a graph or replayed (graph.py): .matmul, .feed, .replaying


def chunks(array, size):
    """Slices that cover the first axis of the array: of length `size` on the CPU, one for all on a GPU."""
    total = len(array)
    size = max(1, size if device_of(array) == "cpu" else total)
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]


def fused(kernel, *arrays, numbers=()):
    """kernel(*arrays, *numbers), in one go."""
    return _one_launch(kernel, arrays[0])(*arrays, *map(arrays[0].dtype.type, numbers))


def _one_launch(kernel, array):
    """The kernel for arrays such as this one: itself, or on a GPU what cupy.fuse has compiled of it."""
    if device_of(array) == "cpu":
        return kernel
    if kernel not in _fused:
        import cupy
        _fused[kernel] = cupy.fuse(kernel)
    return _fused[kernel]


def product(array):
    """The function that multiplies matrices, (a, b, out=None), of the array's library, or the one that a graph can hold."""
    return getattr(capture, "matmul", None) or array_module(array).matmul


def elementwise(kernel, *arrays, columns=(), numbers=(), moving=()):
    """kernel(*arrays, *columns, *numbers, *moving), which writes into the first array, and into others that are contiguous.

    arrays: of one shape. columns: arrays (C,) that broadcast along their last axis. moving: numbers that change from step to
    step; a graph reads them from the device."""
    first = arrays[0]
    numbers = [*map(first.dtype.type, numbers), *map(getattr(capture, "feed", first.dtype.type), moving)]
    if moving and getattr(capture, "replaying", False):
        return
    # Few numbers stay in the cache without blocks; blocks of an array that is not contiguous would be copies, in which what
    # is written is lost; and a kernel's results on an array without axes are no arrays.
    if first.shape and first.size <= BLOCK or not first.flags.c_contiguous:
        _one_launch(kernel, first)(*arrays, *columns, *numbers)
        return
    for _ in _block_by_block(kernel, arrays, columns, numbers):
        pass


def sums_of_rows(kernel, *arrays, columns=(), numbers=()):
    """For a kernel that returns arrays of that shape, as a tuple: Σ of each over all axes but the last."""
    numbers = [*map(arrays[0].dtype.type, numbers)]
    sums = [[_add_rows(block) for block in blocks] for blocks in _block_by_block(kernel, arrays, columns, numbers)]
    return [functools.reduce(operator.add, parts) for parts in zip(*sums)]


def _block_by_block(kernel, arrays, columns, numbers):
    """What the kernel returns for each block: of a matrix (M, C), or of a flat array where there are no columns."""
    width = len(columns[0]) if columns else 1
    rows = [array.reshape(-1, width) if columns else array.reshape(-1) for array in arrays]
    kernel = _one_launch(kernel, arrays[0])
    parts = chunks(rows[0], BLOCK // width) or [slice(0)]
    for part in parts:
        blocks = rows if len(parts) == 1 else [array[part] for array in rows]
        yield kernel(*blocks, *columns, *numbers)


def _add_rows(rows):
    """Σ over the rows of an array (M, C), as a product with ones: BLAS adds columns faster than a sum along them does."""
    return getattr(capture, "matmul", operator.matmul)(_ones(array_module(rows), len(rows), rows.dtype), rows)


@functools.cache                # for good: a captured graph goes on reading them
def _ones(xp, length, dtype):
    return xp.ones(length, dtype)


def column_sums(rows):
    """Σ over the rows of an array (M, C)."""
    parts = chunks(rows, BLOCK // max(1, rows.shape[1])) or [slice(0)]      # of no rows, the sum is 0
    return functools.reduce(operator.add, [_add_rows(rows[part]) for part in parts])


def total(array, axes):
    """Σ over the axes, which stay as axes of length 1. Over all but the last, it is the sum of the rows of a matrix."""
    if array.ndim > 1 and array.size and sorted(axes) == list(range(array.ndim - 1)):
        return column_sums(array.reshape(-1, array.shape[-1])).reshape((1,) * (array.ndim - 1) + (-1,))
    return array.sum(axis=axes, keepdims=True)
