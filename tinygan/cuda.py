"""What goes wrong with a GPU, in one sentence each: what it is and what to do about it.

CUDA's errors come from the driver, the runtime, the kernel compiler NVRTC and cuBLAS, each in its own words and under its
own class. CuPy is not imported here until a GPU is asked for.
"""
from contextlib import contextmanager

from .errors import TinyganError

OR_CPU = "or use the CPU (--device cpu)"


def trouble():
    """Why no GPU can be used, and behind a colon what to do; "" if a tiny product and a tiny kernel really ran on one."""
    try:
        import cupy
    except ImportError as error:
        what = "no GPU library is installed" if error.name == "cupy" else f"CuPy cannot be imported ({_short(error)})"
        return f"{what}: pip install cupy-cuda12x or cupy-cuda13x, {OR_CPU}"
    try:
        # `import cupy` proves nothing: it succeeds without a driver and without a compiler too.
        cupy.cuda.runtime.getDeviceCount()
        ones = cupy.ones((2, 2), "float32")
        total = int((ones @ ones).sum())            # cuBLAS is needed, and NVRTC
    except Exception as error:
        return explanation(error) or f"a first product on the GPU failed ({_short(error)}): repair the installation, {OR_CPU}"
    return "" if total == 8 else f"a first product on the GPU gave a wrong sum: repair the installation, {OR_CPU}"


@contextmanager
def explained():
    """CUDA's errors in this block come out as a TinyganError of one sentence."""
    try:
        yield
    except Exception as error:
        sentence = explanation(error)
        if not sentence:
            raise
        raise TinyganError(sentence) from error


def explanation(error):
    """One sentence about an error of CUDA's or CuPy's; "" for any other."""
    text = str(error)
    missing = isinstance(error, ImportError) and "libcu" in text
    if not missing and type(error).__module__.partition(".")[0] not in ("cupy", "cupy_backends", "cuda"):
        return ""
    if type(error).__name__ == "OutOfMemoryError" or "MemoryAllocation" in text or "ALLOC_FAILED" in text:
        return (f"the GPU's memory is full ({_short(error)}): choose a smaller --batch-size, end other programs that use "
                f"the GPU, {OR_CPU}; a run that had begun goes on with --resume")
    if "InsufficientDriver" in text:
        return _about_the_driver()
    if "NoDevice" in text:
        return f"the NVIDIA driver finds no GPU: check that one is built in and visible (CUDA_VISIBLE_DEVICES), {OR_CPU}"
    if missing or "nvrtc" in text.lower() or "header" in text.lower():
        return (f"CuPy finds a GPU but not all of CUDA's libraries, such as the kernel compiler NVRTC ({_short(error)}): "
                f"pip install 'cupy-cuda12x[ctk]', or 'cupy-cuda13x[ctk]', as the CuPy that is installed, {OR_CPU}")
    return f"the GPU failed ({_short(error)}): try again after a restart of the program, {OR_CPU}"


def _about_the_driver():
    """CUDA reports no driver and one that is too old alike; the version that it supports tells them apart."""
    import cupy
    supported, needed = cupy.cuda.runtime.driverGetVersion(), cupy.cuda.runtime.runtimeGetVersion()
    if supported == 0:
        return f"CuPy finds no NVIDIA driver: install the driver of the GPU, {OR_CPU}"
    return (f"the NVIDIA driver is too old: it supports CUDA {version(supported)}, and the CuPy that is installed needs "
            f"{version(needed)}: update the driver, install the CuPy of an older CUDA (such as cupy-cuda12x), {OR_CPU}")


def version(number):
    """13020 → "13.2" """
    return f"{number // 1000}.{number % 1000 // 10}"


def _short(error):
    """The error's first line, 200 characters of it at most."""
    return f"{type(error).__name__}: {str(error).strip()}".splitlines()[0][:200].strip()
