"""Leading CuPy's entry points to CUDA elsewhere.

CuPy's compiled modules reach the CUDA runtime and driver through two modules of their own. These hand out their
functions as Cython modules do: a dictionary __pyx_capi__ of capsules, each a C function's address, named after the
function's type. An importing module copies the address. So an address exchanged before `import cupy` is the one that
all of CuPy calls, and no file is touched. The functions that are seen from Python too are exchanged there as well.

An entry that is not replaced still leads to the real CUDA runtime, which finds no GPU and says so.

signatures.json holds the types that the replacements in c/runtime are written for. When these have been brought up to
another version of CuPy, write it anew, in the folder tests, with

    python -m cupy_on_cpu.capsules > cupy_on_cpu/signatures.json
"""
import ctypes
import json
import re
import sysconfig
from pathlib import Path

from cupy_backends.cuda.api import driver, runtime

from .build import SOURCES
from .checks import VERSION, Refused

MODULES = {"runtime": runtime, "driver": driver}
SIGNATURES = Path(__file__).with_name("signatures.json")

REPLACED = {
    "runtime": """
        getDeviceCount getDevice setDevice deviceSynchronize _ensure_context driverGetVersion deviceCanAccessPeer
        deviceGetAttribute getDeviceProperties memGetInfo
        malloc free hostAlloc freeHost memcpy memcpyAsync memset memsetAsync pointerGetMemoryType pointerGetAttributes
        streamCreate streamCreateWithFlags streamCreateWithPriority streamDestroy streamSynchronize streamQuery
        streamWaitEvent streamIsCapturing streamGetPriority streamGetFlags streamBeginCapture streamEndCapture
        graphInstantiate graphUpload graphLaunch graphDestroy graphExecDestroy
        eventCreate eventCreateWithFlags eventDestroy eventRecord eventSynchronize eventQuery eventElapsedTime
        """.split(),
    "driver": """
        ctxGetCurrent ctxGetDevice moduleLoadData moduleUnload moduleGetFunction moduleGetGlobal launchKernel
        funcGetAttribute funcSetAttribute occupancyMaxActiveBlocksPerMultiprocessor
        """.split(),
}

C_TYPES = {"int": ctypes.c_int, "unsigned int": ctypes.c_uint, "size_t": ctypes.c_size_t, "float": ctypes.c_float,
           "intptr_t": ctypes.c_ssize_t, "PyObject *": ctypes.py_object}
SKIP_DISPATCH = "int __pyx_skip_dispatch"       # a parameter that Cython adds

_name_of = ctypes.pythonapi.PyCapsule_GetName
_name_of.argtypes, _name_of.restype = [ctypes.py_object], ctypes.c_char_p
_set_pointer = ctypes.pythonapi.PyCapsule_SetPointer
_set_pointer.argtypes = [ctypes.py_object, ctypes.c_void_p]


def signatures():
    """{module: {entry: its C type}} of the entries to be replaced, as the installed CuPy has them."""
    return {module: {entry: _signature(MODULES[module], entry) for entry in entries}
            for module, entries in REPLACED.items()}


def _signature(module, entry):
    capsule = module.__pyx_capi__.get(entry)
    return None if capsule is None else _name_of(capsule).decode()


def check_signatures():
    """Refused unless every entry has the type that its replacement is written for."""
    expected, found = json.loads(SIGNATURES.read_text()), signatures()
    for module in found:
        for entry, signature in found[module].items():
            if signature != expected[module][entry]:
                raise Refused(f"CuPy's entry point {module}.{entry} has the type {signature!r}, and the emulation is "
                              f"written for {expected[module][entry]!r}: install CuPy {VERSION} unchanged")


def replace(cache):
    """Lead all entries to the functions of c/runtime. Returns the library with these functions."""
    sources = [*sorted((SOURCES / "runtime").iterdir()), SOURCES / "launch.h"]
    library = ctypes.PyDLL(str(cache.library("runtime", "gcc", sources, "-I" + sysconfig.get_paths()["include"])))
    library.emulation_counters.restype = ctypes.py_object
    for name, entries in signatures().items():
        for entry, signature in entries.items():
            _replace_entry(MODULES[name], entry, signature, getattr(library, f"{name}_{entry}"))
    return library


def _replace_entry(module, entry, signature, function):
    _set_pointer(module.__pyx_capi__[entry], ctypes.cast(function, ctypes.c_void_p))
    if hasattr(module, entry):
        setattr(module, entry, _python_function(function, signature))


def _python_function(function, signature):
    """The C function for callers from Python, who know nothing of the parameters that Cython adds.

    "int (intptr_t, int, int __pyx_skip_dispatch, struct … *__pyx_optional_args)" is called as f(address, number)."""
    result, parameters = re.fullmatch(r"(.+?) ?\((.*)\)", signature).groups()
    own = [parameter for parameter in parameters.split(", ") if "__pyx_" not in parameter]
    optional = [ctypes.c_void_p] if "__pyx_optional_args" in parameters else []
    function.restype = ctypes.py_object if result.startswith("struct __pyx_obj") else C_TYPES[result]
    function.argtypes = [C_TYPES[parameter] for parameter in own] + [ctypes.c_int] + optional
    added = [0] + [None] * len(optional)
    assert SKIP_DISPATCH in parameters
    return lambda *arguments: function(*arguments[:len(own)], *added)


if __name__ == "__main__":
    print(json.dumps(signatures(), indent=1))
