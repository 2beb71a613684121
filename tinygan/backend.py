"""The one door to NumPy and CuPy, and to the threads of the CPU.

No other file asks which library an array belongs to: it calls `array_module(array)` and uses what comes
back. There is no global switch; an array made on the GPU is worked on there, an array in main memory here.

On the CPU the work on a batch is cut into chunks that are spread over Python threads (NumPy lets go of the
interpreter's lock while it computes), with BLAS held to one thread inside each. The chunks depend on shapes
alone and their results are added in chunk order, so the bits are the same for any number of threads.
"""
import functools
import operator
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import threadpoolctl
from threadpoolctl import ThreadpoolController

from . import cuda
from .errors import TinyganError

BLOCK = 1 << 17       # elements of one block of a kernel: a few such blocks fit in a core's cache
ALONE = 1 << 20       # elements below which light work stays on one thread
STRIP = 256           # rows or columns of one strip of a matrix product

_cuda_works = False   # is it known that the GPU works?

stream = np.random.default_rng(0)        # the host's random stream: new layers draw their weights from it


def seed(number):
    """Start the host's random stream, from which new layers draw their weights, at `number`."""
    global stream
    stream = np.random.default_rng(number)


# Which library owns an array

def is_array(x):
    """Is x an array of NumPy or CuPy (and not a number, a list or a Tensor)?"""
    return isinstance(x, np.ndarray) or type(x).__module__.partition(".")[0] == "cupy"


def array_module(array):
    """The library that owns the array: the module `numpy` or `cupy`."""
    if isinstance(array, (np.ndarray, np.generic)):         # a full sum of NumPy's is a scalar, np.generic
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


# The threads of the CPU

_controller = ThreadpoolController()
_lock = threading.RLock()
_holders, _limits, _threads = 0, None, 1
_pool, _pool_size, _inside = None, 0, threading.local()


def _set_blas(action):
    """Newer threadpoolctl lets one thread alone set OpenBLAS's limit, and ignores the others: be that thread."""
    release = getattr(threadpoolctl.OpenBLASController, "clear_controlling_thread", lambda force: None)
    release(force=True)
    result = action()
    release(force=True)
    return result


def _forget_threads():
    """Threads and held locks do not survive a fork: the child starts with none."""
    global _lock, _holders, _limits, _pool, _pool_size
    if _limits is not None:
        _set_blas(_limits.restore_original_limits)
    _lock, _holders, _limits, _pool, _pool_size = threading.RLock(), 0, None, None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


@contextmanager
def one_blas_thread():
    """Hold BLAS to one thread; yields how many it had, so many Python threads may run.  May be nested and
    entered from several threads: the last one to leave restores the caller's setting."""
    global _holders, _limits, _threads
    with _lock:
        if _holders == 0:
            blas = [library.num_threads for library in _controller.lib_controllers if library.user_api == "blas"]
            _threads = max(blas) if blas else os.cpu_count() or 1
            _limits = _set_blas(lambda: _controller.limit(limits=1, user_api="blas"))
        _holders += 1
    try:
        yield _threads
    finally:
        with _lock:
            _holders -= 1
            if _holders == 0:
                _set_blas(_limits.restore_original_limits)
                _limits = None


def parallel(work, chunks, numbers=None):
    """Call work(chunk) for every chunk, on all threads that BLAS may use, the calling one among them. Which thread
    takes which chunk is left to chance, so work must write to places of its own.

    numbers: how many there are in all, for light work such as sums, where handing over a few costs more than it saves.
    Work that calls parallel again does it alone, so no thread ever waits for another's turn."""
    with one_blas_thread() as threads:
        todo = iter(chunks)             # shared: each thread takes the next chunk until none is left

        alone = getattr(_inside, "work", False) or (numbers is not None and numbers < ALONE)

        def drain():
            before, _inside.work = getattr(_inside, "work", False), True
            try:
                for chunk in todo:
                    work(chunk)
            finally:
                _inside.work = before

        helpers = 0 if alone else min(threads, len(chunks)) - 1
        futures = [_pool_of(threads - 1).submit(drain) for _ in range(helpers)]
        try:
            drain()
        finally:
            for future in futures:
                if not future.cancel():     # a helper that has not begun is not needed any more
                    future.result()


def _pool_of(size):
    global _pool, _pool_size
    with _lock:
        if _pool_size < size:
            _pool, _pool_size = ThreadPoolExecutor(size, "tinygan"), size
        return _pool


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
    where = device_of(arrays[0])
    numbers = [arrays[0].dtype.type(number) for number in numbers]
    if where == "cpu":
        return kernel(*arrays, *numbers)
    if kernel not in _fused:
        import cupy
        _fused[kernel] = cupy.fuse(kernel)
    return _fused[kernel](*arrays, *numbers)


def elementwise(kernel, *arrays, columns=(), numbers=()):
    """kernel(*arrays, *columns, *numbers), which writes into whichever of the arrays it likes (contiguous ones).

    arrays: of one shape. columns: arrays (C,) that broadcast along their last axis."""
    rows, parts = _in_rows(arrays, columns)
    parallel(lambda part: fused(kernel, *[array[part] for array in rows], *columns, numbers=numbers), parts, arrays[0].size)


def sums_of_rows(kernel, *arrays, columns=(), numbers=()):
    """For a kernel that returns arrays of that shape, as a tuple: Σ of each over all axes but the last, in parts that are
    added in order."""
    rows, parts = _in_rows(arrays, columns)
    partial = [None] * len(parts)

    def work(k):
        blocks = fused(kernel, *[array[parts[k]] for array in rows], *columns, numbers=numbers)
        partial[k] = [_add_rows(block) for block in blocks]

    parallel(work, range(len(parts)), arrays[0].size)
    return [functools.reduce(operator.add, sums) for sums in zip(*partial)]


def _in_rows(arrays, columns):
    """The arrays as matrices (M, C), or flat where there are no columns, and the slices of a block each."""
    width = len(columns[0]) if columns else 1
    rows = [array.reshape(-1, width) if columns else array.reshape(-1) for array in arrays]
    return rows, chunks(rows[0], BLOCK // width)


def _add_rows(rows):
    """Σ over the rows of an array (M, C), as a product with ones: BLAS adds columns faster than a sum along them does."""
    return _ones(array_module(rows), len(rows), rows.dtype) @ rows


@functools.lru_cache(maxsize=64)
def _ones(xp, length, dtype):
    return xp.ones(length, dtype)


def column_sums(rows):
    """Σ over the rows of an array (M, C)."""
    parts = chunks(rows, BLOCK // max(1, rows.shape[1]))
    partial = [None] * len(parts)

    def work(k):
        partial[k] = _add_rows(rows[parts[k]])

    parallel(work, range(len(parts)), rows.size)
    return functools.reduce(operator.add, partial)


def matmul(a, b):
    """The matrix product a @ b, cut into strips along the longer side of the result."""
    xp = array_module(a)
    product = xp.empty((a.shape[0], b.shape[1]), a.dtype)
    if a.shape[0] >= b.shape[1]:
        parallel(lambda rows: xp.matmul(a[rows], b, out=product[rows]), chunks(product, STRIP))
    else:
        parallel(lambda columns: xp.matmul(a, b[:, columns], out=product[:, columns]), chunks(product.T, STRIP))
    return product
