"""Refusing what cannot be emulated, since there is no text of it: the wheel brings it as machine code for GPUs.

Some of it would fail with a riddle, some in silence: the status of such launches is not always looked at."""
import cupy
from cupy.cuda import cub, thrust

THRUST = "sort", "argsort", "lexsort"
CUB = ("cub_reduction", "cub_scan", "cub_histogram",
       "device_reduce", "device_segmented_reduce", "device_scan", "device_histogram")
RANDOM = "default_rng", "Generator", "BitGenerator", "XORWOW", "MRG32k3a", "Philox4x3210"


def install():
    """Let all of it raise NotImplementedError."""
    _refuse(thrust, THRUST, "sorting (Thrust)")
    _refuse(cub, CUB, "CUB")
    _refuse(cupy.random, RANDOM, "cupy.random.Generator (draw on the host and upload)")
    # Every array gets memory of its own, which is poisoned: in a pool's, last time's numbers would be luckily right.
    cupy.cuda.set_allocator(None)
    cupy.cuda.MemoryPool = cupy.cuda.memory.MemoryPool = Poisoned


class Poisoned(cupy.cuda.MemoryPool):
    """A memory pool: what it hands out is NaN first, also what it hands out again. While a stream captures, that is a part
    of the graph, so at each launch its memory starts as if others had had it in the meantime."""

    def malloc(self, size):
        memory = super().malloc(size)
        if size:
            memory.memset_async(0xFF, size)
        return memory


def _refuse(module, names, what):
    def refuse(*arguments, **options):
        raise NotImplementedError(f"cupy_on_cpu: {what} is machine code for GPUs and is not emulated")

    for name in names:
        setattr(module, name, refuse)
