"""Stand-ins for NVIDIA's libraries.

CuPy's modules are linked against libcublas and others by name. A library of that name which is in memory already is
taken before any other is looked for, so loading ours first is enough. Each brings all functions that CuPy's module
needs: those in c/libraries, and for the rest one that answers "not supported", which CuPy raises as an error."""
import ctypes
import importlib.util
import re
from pathlib import Path

from .build import SOURCES, output

NOT_SUPPORTED = 15              # cublasStatus_t; cuRAND knows no such number, and CuPy raises an error for it too


def load(library, client, cache):
    """Compile the stand-in for lib<library>, load it under that name and return it.

    client: CuPy's module for it, which tells the library's number and the functions to bring."""
    module = _module(client)
    number = re.search(rf"\[lib{client}\.so\.(\d+)\]", output(["readelf", "-d", module]))[1]
    name = f"lib{library}.so.{number}"
    source = SOURCES / "libraries" / f"{library}.cpp"
    # CuPy asks for cublasCreate_v2 of version libcublas.so.13: the functions carry the library's name as their version.
    versions = _text_file(cache, name, ".map", f"{name} {{ global: *; }};\n")
    rest = _text_file(cache, name, ".cpp", _missing(library, module, source))
    path = cache.library(name, "g++", [source, rest], f"-Wl,-soname,{name}", f"-Wl,--version-script,{versions}")
    return ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)


def _module(name):
    """The file of the module cupy_backends.cuda.libs.<name>, not imported: it would look for the library."""
    folder = Path(importlib.util.find_spec("cupy_backends.cuda.libs").origin).parent
    return str(next(folder.glob(f"{name}.*.so")))


def _text_file(cache, name, suffix, text):
    return cache.write(f"{name}-{cache.key(text)}{suffix}", text)


def _missing(library, module, source):
    """C++ of the functions that the module needs and the source has not."""
    needed = set(re.findall(rf" U ({library}[A-Z]\w*)", output(["nm", "-D", module])))
    written = set(re.findall(r"^\w+ (\w+)\(", source.read_text(), re.MULTILINE))
    return "".join(f'extern "C" int {name}(void) {{ return {NOT_SUPPORTED}; }}\n' for name in sorted(needed - written))
