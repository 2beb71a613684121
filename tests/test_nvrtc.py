"""python -m pytest -m nvrtc: does NVIDIA's own compiler take every kernel that the device tests launch?

It needs no GPU, only  pip install cupy-cuda13x==14.2.0 'nvidia-cuda-nvrtc==13.*' 'nvidia-cuda-runtime==13.*'  and a few
minutes. It proves that the kernels compile for these architectures, nothing about what they compute there."""
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
RUN = """
import sys
import pytest
code = pytest.main(["-q", "--device", "cupy-on-cpu", "-p", "no:cacheprovider", "tests/test_devices.py",
                    "tests/test_graph.py::test_what_a_replayed_step_costs"])
from cupy_on_cpu.nvrtc import compile_for_gpu
print("machine codes:", compile_for_gpu.cache_info().misses)
sys.exit(code)
"""


def installed(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.nvrtc
def test_every_kernel_compiles_for_gpus():
    """For compute capability 8.0 (A100) and 9.0 (H100)."""
    if not (installed("cupy") and (installed("nvidia.cu13") or installed("nvidia.cuda_nvrtc"))):
        pytest.skip("pip install cupy-cuda13x==14.2.0 'nvidia-cuda-nvrtc==13.*' 'nvidia-cuda-runtime==13.*'")
    process = subprocess.run([sys.executable, "-c", RUN], cwd=TESTS.parent, text=True, capture_output=True,
                             env=os.environ | {"CUPY_ON_CPU_NVRTC": "80,90", "PYTHONPATH": f"{TESTS}:{TESTS.parent}"})
    assert process.returncode == 0, process.stdout + process.stderr
    codes = int(re.search(r"machine codes: (\d+)", process.stdout)[1])
    print(f"{codes // 2} kernels compiled for sm_80 and sm_90")
    assert codes % 2 == 0 and codes > 100
