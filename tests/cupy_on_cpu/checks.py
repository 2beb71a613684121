"""Reasons not to emulate, each with one clear sentence."""
import importlib.util
import re
import shutil
import sys
import sysconfig
from pathlib import Path

VERSION = "14.2.0"                              # of CuPy, whose insides are replaced
PACKAGE = f"pip install cupy-cuda13x=={VERSION}"
TOOLS = "g++", "gcc", "nm", "readelf"


class Refused(RuntimeError):
    """The emulation cannot or must not be installed."""


def not_too_late():
    """CuPy's modules copy each other's entry points when they are imported, so nobody may have imported them yet."""
    if "cupy" in sys.modules:
        raise Refused("cupy was imported already, so its modules hold the real entry points: "
                      "call emulation.install() once, before the first `import cupy`")


def cupy_is_the_right_one():
    spec = importlib.util.find_spec("cupy")     # finds it without importing it
    if spec is None or spec.origin is None:
        raise Refused(f"CuPy is not installed: {PACKAGE}")
    file = Path(spec.origin).with_name("_version.py")
    found = re.search(r"__version__ = ['\"](.*)['\"]", file.read_text())[1]
    if found != VERSION:
        raise Refused(f"CuPy {found} is installed, and the emulation replaces the insides of {VERSION} alone: "
                      f"{PACKAGE}")


def tools_are_there():
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        raise Refused(f"{' and '.join(missing)} cannot be found: install g++ and binutils, which compile the kernels")
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if not header.exists():
        raise Refused(f"{header} cannot be found: install the header files of this Python")


def no_gpu():
    """Asks the real CUDA runtime, which fails if there is not even a driver."""
    from cupy_backends.cuda.api import runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError:
        return
    if count > 0:
        raise Refused("a real GPU is present: use CuPy as it is, what runs on a GPU proves more than an emulation")
