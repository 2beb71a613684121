"""A check on the side: does NVIDIA's own compiler take the kernel, for a given GPU?

It needs no GPU, only  pip install nvidia-cuda-nvrtc==13.* nvidia-cuda-runtime==13.*  What it makes is thrown away."""
import functools

from cupy.cuda import compiler


@functools.lru_cache(maxsize=None)
def compile_for_gpu(source, options, architecture):
    """Compile the text to machine code for e.g. architecture "90". CompileException if the compiler refuses it."""
    options = (*options, "-ftz=true", "--device-as-default-execution-space", f"--gpu-architecture=sm_{architecture}")
    return len(compiler._NVRTCProgram(source, "kernel.cu", method="cubin").compile(options)[0])
