"""Switching the emulation on, and asking what has happened since.

CuPy's own code runs as it is: its functions, its checks, the CUDA text it writes for every kernel. What is exchanged
lies beneath it, in the order in which install() does it:

    libraries.py    stand-ins for cuBLAS and cuRAND are loaded under their names
    capsules.py     CuPy's C entry points to the CUDA runtime and driver lead to host functions
    kernels.py      the CUDA text of each kernel goes to g++ instead of NVIDIA's compiler
    refusals.py     what the wheel brings as machine code for GPUs is refused
"""
import ctypes
import os
from pathlib import Path

from . import checks
from .build import Cache

_runtime = _cublas = None       # the loaded libraries, once installed


def install(guard=False, backwards=False, nvrtc=(), cache=None):
    """Make the CuPy that is imported from now on run on the CPU.

    guard       put each array between memory that may not be touched: a kernel that leaves its array crashes
    backwards   run the last block and the last thread of each launch first
    nvrtc       architectures such as "80" or "90", for each of which every kernel also goes through NVIDIA's compiler
    cache       folder for what has been compiled; ~/.cache/tinygan-cupy-on-cpu unless given

    Where an argument is left as it is, the environment decides: CUPY_ON_CPU_GUARD=1, CUPY_ON_CPU_BACKWARDS=1,
    CUPY_ON_CPU_NVRTC=80,90, CUPY_ON_CPU_CACHE=folder.
    checks.Refused, with the reason in one sentence, if it cannot or must not be done here."""
    global _runtime, _cublas
    checks.not_too_late()
    checks.cupy_is_the_right_one()
    checks.tools_are_there()
    checks.no_gpu()
    # CUB, with which CuPy adds up by default, is machine code for GPUs and fails in silence without one.
    os.environ["CUPY_ACCELERATORS"] = ""
    nvrtc = nvrtc or tuple(filter(None, _setting("NVRTC").split(",")))

    from . import capsules, libraries       # these import parts of CuPy, so the checks come first
    capsules.check_signatures()
    store = Cache(cache or _setting("CACHE") or _default_cache())
    libraries.load("cublasLt", "cublas", store)     # CuPy loads it before cuBLAS
    _cublas = libraries.load("cublas", "cublas", store)
    _cublas.emulation_products.restype = ctypes.c_uint64
    libraries.load("curand", "curand", store)
    _runtime = capsules.replace(store)
    _cublas.emulation_note_with(_runtime.note)
    _runtime.emulation_configure(guard or _switched_on("GUARD"), backwards or _switched_on("BACKWARDS"))

    from . import kernels, refusals         # these import CuPy itself
    kernels.replace_compiler(store, nvrtc)
    refusals.install()


def counters():
    """What has happened since the last reset():

    launches        kernels started; a launch here is a launch on a GPU
    products        calls to cuBLAS
    h2d, d2h, d2d   copies to the device, from it, within it; with h2d_bytes and d2h_bytes
    syncs           how often the host waited for the device
    allocations     arrays that got memory (on a GPU most would come from CuPy's memory pool)
    graphs          launches of a graph; what is in it was counted when it was captured"""
    return _runtime.emulation_counters() | {"products": _cublas.emulation_products()}


def reset():
    """Set all counters to 0."""
    _runtime.emulation_reset()
    _cublas.emulation_reset_products()


def idle(on):
    """Let the device do nothing, or work again: kernels and products return at once, and what a step takes is the host's time."""
    _runtime.emulation_idle(on)


def _setting(name):
    return os.environ.get("CUPY_ON_CPU_" + name, "")


def _switched_on(name):
    return _setting(name) not in ("", "0")


def _default_cache():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tinygan-cupy-on-cpu"
