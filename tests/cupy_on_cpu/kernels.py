"""Compiling the CUDA text that CuPy writes, with g++.

All of CuPy's kernels but a few (refusals.py) are text, which is plain C++ but for CUDA's own words. c/kernel/device.h
gives these a meaning on the host, and for each kernel a function is added that runs all threads of a launch."""
import re
from pathlib import Path

import cupy
from cupy._core import core
from cupy.cuda import compiler, function

from .build import SOURCES
from .nvrtc import compile_for_gpu

HEADERS = SOURCES / "kernel"
KERNEL = re.compile(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(")
BARRIER = re.compile(r"__sync|_sync\(")
DYNAMIC_SHARED = re.compile(r"extern\s+__shared__\s+(?:__align__\(\d+\)\s*)?([\w ]+?)\s*(\w+)\s*\[\s*\]\s*;")

# What stands at the head of every text that CuPy generates: worth compiling once for all.
PREAMBLE = "".join(f"#include <{header}>\n" for header in core._cupy_header_list)


def replace_compiler(cache, nvrtc):
    """Let CuPy compile with g++, and for the architectures `nvrtc` with NVIDIA's compiler too, as a check."""
    if not nvrtc:
        _need_no_cuda_headers()
    compile_on_host = _Compiler(cache)

    def compile(source, options, arch=None, extra_source=None, backend="nvrtc", enable_cooperative_groups=False,
                name_expressions=None, log_stream=None, cache_in_memory=False, jitify=False, to_ltoir=False):
        if name_expressions or jitify or to_ltoir or enable_cooperative_groups:
            raise NotImplementedError("cupy_on_cpu: templates as kernels (such as CuPy's product of integers), jitify, "
                                      "link-time code and cooperative groups are not emulated")
        for architecture in nvrtc:
            compile_for_gpu(source, options, architecture)
        module = function.Module()
        module.load(bytes(compile_on_host(source, options)))
        return module

    compiler._compile_with_cache_cuda = compile


def _need_no_cuda_headers():
    """CuPy looks for CUDA's header files before it compiles; the few that it needs are ours."""
    from cuda import pathfinder
    pathfinder.find_nvidia_header_directory = lambda name: str(HEADERS)


class _Compiler:
    """Makes a shared library of a CUDA text."""

    def __init__(self, cache):
        self.cache = cache
        files = [*sorted(HEADERS.iterdir()), SOURCES / "launch.h"]
        self.contents = [file.read_text() for file in files]

    def __call__(self, source, options):
        """The path of the library."""
        command = self._command(options)
        head, source = self._split(source, command)
        text = head + _with_dynamic_shared_memory(source) + _launchers(source)
        # -Bsymbolic: a kernel named `write` is that kernel, not the C library's function.
        command += ["-shared", "-Wl,-Bsymbolic"]
        key = self.cache.key(text, command, self.contents)
        text = self.cache.write(key + ".cpp", text)
        return self.cache.compile(key + ".so", [*command, str(text)])

    def _command(self, options):
        """-O1: compiling takes longer than running. Warnings would be about CuPy's text.
        Floats are added and multiplied as written, where a GPU would fuse the two."""
        folder = str(Path(cupy.__file__).parent)            # CuPy's own headers, but none of NVIDIA's
        options = [option for option in options if option.startswith(("-D", "-I" + folder))]
        return ["g++", "-std=c++17", "-O1", "-fPIC", "-fno-strict-aliasing", "-ffp-contract=off", "-w",
                f"-I{HEADERS}", *options]

    def _split(self, source, command):
        """(the #include lines, the rest of the text). Those of generated text are compiled once, as one header."""
        head = '#include "device.h"\n'
        if not source.startswith(PREAMBLE):
            return head, source
        name = self.cache.key(command, self.contents, PREAMBLE) + ".h"
        header = self.cache.write(name, head + PREAMBLE)
        # g++ takes <header>.gch for the header, if the one lies beside the other.
        self.cache.compile(name + ".gch", [*command, "-x", "c++-header", str(header)])
        return f'#include "{header}"\n', source[len(PREAMBLE):]


def _with_dynamic_shared_memory(source):
    """`extern __shared__ T name[];`, an array whose size the launch decides, becomes a pointer to where it lies."""
    return DYNAMIC_SHARED.sub(r"\1 *\2 = (\1 *)emulation::dynamic_shared;", source)


def _launchers(source):
    """For each kernel of the text, the function that c/runtime/launch.c calls."""
    barriers = "true" if BARRIER.search(source) else "false"
    return "\n" + "".join(
        f'extern "C" int {kernel}__launch(const struct launch *launch)\n'
        f"{{\n    return emulation::run(&{kernel}, {barriers}, launch);\n}}\n" for kernel in KERNEL.findall(source))
