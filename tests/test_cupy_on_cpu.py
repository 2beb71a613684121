"""The emulation that runs CuPy without a GPU (cupy_on_cpu/README.md), tested.

Each test is a process of its own, since the emulation, once installed, stays: nothing here is in the way of a real GPU,
or of tests that install it themselves."""
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cupy_on_cpu import checks

TESTS = Path(__file__).parent
START = """
from cupy_on_cpu import emulation
emulation.install({options})
import cupy
import numpy as np
"""
REFUSED = """
from cupy_on_cpu import checks, emulation
try:
    emulation.install()
except checks.Refused as reason:
    print(reason)
"""


def start(code, path=(), **environment):
    """A process that runs the code, where only these settings of the emulation hold."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CUPY_", "PYTHONPATH"))}
    cache = {"CUPY_ON_CPU_CACHE": os.environ["CUPY_ON_CPU_CACHE"]} if "CUPY_ON_CPU_CACHE" in os.environ else {}
    paths = os.pathsep.join(map(str, [*path, TESTS, TESTS.parent]))
    return subprocess.Popen([sys.executable, "-W", "error::RuntimeWarning", "-c", code], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=clean | cache | {"PYTHONPATH": paths} | environment)


def output(process):
    """What it printed; it must have ended well."""
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return printed.strip()


def emulated(code, options="", **environment):
    return output(start(START.format(options=options) + code, **environment))


@pytest.fixture(scope="module", autouse=True)
def possible_here():
    try:
        checks.cupy_is_the_right_one()
        checks.tools_are_there()
    except checks.Refused as reason:
        pytest.skip(str(reason))
    # asked elsewhere, since CuPy may be emulated in this process
    reason = output(start(REFUSED.replace("emulation.install()", "checks.no_gpu()")))
    if reason:
        pytest.skip(reason)


def test_what_cupy_computes_is_what_numpy_computes():
    """Every kind of kernel that a network of tinygan's needs, and the ways of indexing."""
    emulated("""
def cases(xp, dtype):
    a = xp.asarray(np.random.default_rng(0).standard_normal((6, 5, 4)), dtype)
    m, n = a.reshape(6, 20), a.reshape(20, 6)
    where = xp.asarray(np.array([3, 0, 3, 1]))
    windows = xp.lib.stride_tricks.as_strided(m, (5, 3, 6), (20 * m.itemsize, 7 * m.itemsize, m.itemsize))
    added = xp.zeros(6, dtype)
    xp.add.at(added, where, 2.0)
    into = xp.zeros((6, 6), dtype)
    xp.matmul(m, n, out=into)
    strided = xp.zeros((6, 9), dtype)
    strided[:, 1::2] += m[:, ::5]
    yield from (a + 1, -a * 0.5, a / 3, a ** 2, xp.abs(a), xp.sign(a), xp.exp(a), xp.log1p(xp.abs(a)), xp.tanh(a),
                xp.sqrt(a * a), xp.maximum(a, 0), xp.where(a > 0, a, 0.2 * a), xp.clip(a, -1, 1), a > 0,
                xp.isfinite(a))
    yield from (a.sum(), a.sum(0), a.sum((0, 2)), a.mean(1), a.var((0, 1)), a.max(2), a.min(), a.argmax(1), a.any(),
                a.all(), xp.cumsum(a, 1), xp.linalg.norm(m))
    yield from (m @ n, n.T @ m.T, m[:, ::2] @ n[::2], a @ a.transpose(0, 2, 1), m @ n[:, 0], m[0] @ n[:, 0],
                xp.einsum("nc,cd->nd", m, n), xp.tensordot(a, a, ((1, 2), (1, 2))), into)
    yield from (windows, windows.reshape(15, 6), xp.ascontiguousarray(windows), windows.sum((0, 1)), a[where],
                a[:, where[:3]], m[where, where], m[m > 0], added, strided, a[::-1, :, 1::2],
                xp.pad(m, ((1, 0), (2, 1))), xp.concatenate([a, a], 1), xp.stack([m, m]), xp.repeat(m, 2, 0),
                xp.broadcast_to(m[0], (3, 20)), xp.arange(7))


for dtype in ("float32", "float64"):
    close = dict(rtol=1e-5, atol=1e-5) if dtype == "float32" else dict(rtol=1e-12, atol=1e-12)
    for number, (x, y) in enumerate(zip(cases(np, dtype), cases(cupy, dtype), strict=True)):
        assert (y.dtype, y.shape) == (x.dtype, x.shape), (number, y.dtype, x.dtype, y.shape, x.shape)
        np.testing.assert_allclose(y.get(), x, err_msg=str(number), **close)
""")


def test_float16_is_rounded_as_numpy_rounds_it():
    emulated("""
bits = np.arange(2**16, dtype=np.uint16).view(np.float16)
assert np.array_equal(cupy.asarray(bits).astype("float32").get(), bits.astype("float32"), equal_nan=True)
x = np.random.default_rng(0).standard_normal(100_000).astype("float32") * np.logspace(-9, 4, 100_000, dtype="float32")
x = np.concatenate([x, np.float32([65519.9, 0.0, -0.0, 2.0**-24, 2.0**-25, 1 + 2.0**-11, 1 + 3 * 2.0**-11])])
x = x[np.abs(x) < 65520]
assert np.array_equal(cupy.asarray(x).astype("float16").get().view("u2"), x.astype("float16").view("u2"))
assert cupy.isinf(cupy.asarray(np.float32([65520, -1e9])).astype("float16")).all()
""")


def test_counters_are_exact():
    emulated("""
def counted(action):
    emulation.reset()
    result = action()
    return result, {name: number for name, number in emulation.counters().items() if number}

x, upload = counted(lambda: cupy.asarray(np.ones(10, "float32")))
assert upload == {"h2d": 1, "h2d_bytes": 40, "allocations": 1}, upload
y, ufunc = counted(lambda: x + x)
assert ufunc == {"launches": 1, "allocations": 1}, ufunc
_, in_place = counted(lambda: cupy.add(x, x, out=y))
assert in_place == {"launches": 1}, in_place
_, download = counted(lambda: y.get())
assert download == {"d2h": 1, "d2h_bytes": 40, "syncs": 1}, download
_, number = counted(lambda: float(y[0]))
assert number == {"d2h": 1, "d2h_bytes": 4, "syncs": 1}, number
_, copied = counted(lambda: y.data.copy_from_device(x.data, 40))
assert copied == {"d2d": 1}, copied
m = cupy.ones((4, 4))
_, product = counted(lambda: m @ m)
assert product == {"products": 1, "allocations": 1}, product
_, waited = counted(lambda: cupy.cuda.Device().synchronize())
assert waited == {"syncs": 1}, waited
emulation.reset()
assert not any(emulation.counters().values())
""")


def test_fresh_memory_is_poisoned():
    emulated("""
for dtype in ("float16", "float32", "float64"):
    x = cupy.ones(1000, dtype)
    del x                                       # nor is memory handed out again with what was in it
    assert cupy.isnan(cupy.empty(1000, dtype)).all()
assert (cupy.empty(5, "int32") == -1).all()
""")


OVERRUN = """
write = cupy.ElementwiseKernel("int64 where", "raw float32 x", "x[where] = 1", "write")
x = cupy.zeros(3, "float32")
print("wrote", flush=True)
write({where}, x, size=1)
print("done")
"""


def test_guard_crashes_where_a_kernel_leaves_its_array():
    for where in (5000, -5000):
        process = start(START.format(options="guard=True") + OVERRUN.format(where=where))
        printed, _ = process.communicate(timeout=300)
        assert printed.strip() == "wrote" and process.returncode == -signal.SIGSEGV


@pytest.mark.parametrize("where", [3, -1])
def test_guard_sees_a_write_close_beside_an_array(where):
    process = start(START.format(options="guard=True") + OVERRUN.format(where=where))
    _, errors = process.communicate(timeout=300)
    assert "RuntimeError: cupy_on_cpu: write, or a matrix product before it, wrote beside an array" in errors


def test_guard_lets_correct_kernels_pass():
    emulated(OVERRUN.format(where=2) + """
assert x.get().tolist() == [0, 0, 1]
assert (cupy.ones((9, 7)) @ cupy.ones(7)).sum() == 63
""", "guard=True")


ORDER = """
last = cupy.zeros(1, "int32")
cupy.ElementwiseKernel("", "raw int32 last", "last[0] = i", "who_is_last")(last, size=1000)
x = cupy.arange(5000, dtype="float64").reshape(50, 100)
assert np.array_equal((x.sum(0) + cupy.tanh(x).max(0)).get(), x.get().sum(0) + np.tanh(x.get()).max(0))
print(last.get()[0])
"""


def test_backwards_shows_what_depends_on_the_order_of_threads_and_changes_nothing_else():
    assert emulated(ORDER) == "999"
    assert emulated(ORDER, "backwards=True") == "0"
    assert emulated(ORDER, CUPY_ON_CPU_BACKWARDS="1", CUPY_ON_CPU_GUARD="1") == "0"


def test_threads_meet_at_barriers_and_exchange_what_they_know():
    emulated("""
kernel = cupy.RawKernel('''
extern "C" __global__ void reversed_sums(const int* x, int* y) {
    extern __shared__ int numbers[];
    int i = threadIdx.x, n = blockDim.x;
    numbers[i] = x[blockIdx.x * n + i];
    __syncthreads();
    int mine = numbers[n - 1 - i];
    for (int distance = 16; distance; distance /= 2)
        mine += __shfl_xor_sync(0xffffffff, mine, distance);
    y[blockIdx.x * n + i] = mine + 1000 * __popc(__ballot_sync(0xffffffff, i % 4 == 0));
}''', "reversed_sums")
x, y = cupy.arange(192, dtype="int32"), cupy.zeros(192, "int32")
kernel((3,), (64,), (x, y), shared_mem=256)
warps = x.get().reshape(3, 2, 32).sum(2)[:, ::-1]                   # each block's two warps, swapped
assert np.array_equal(y.get().reshape(3, 2, 32), np.repeat(warps[:, :, None], 32, 2) + 8000)
""")


def test_launches_that_a_gpu_would_not_survive():
    emulated("""
kernel = cupy.RawKernel('''
extern "C" __global__ void lonely(int* x) {
    if (threadIdx.x < 10) { __syncthreads(); x[0] = 1; } else { __syncwarp(); x[0] = 2; __syncwarp(); }
}''', "lonely")
x = cupy.zeros(1, "int32")

def sentence(action):
    try:
        action()
    except RuntimeError as error:
        return str(error)

assert "only a part of a block came to a barrier" in sentence(lambda: kernel((1,), (32,), (x,)))
assert "larger than a GPU allows" in sentence(lambda: kernel((1,), (2000,), (x,)))
assert "larger than a GPU allows" in sentence(lambda: kernel((1, 70000), (32,), (x,)))
host = np.zeros(10)
direction = "a copy whose direction does not fit"
runtime = cupy.cuda.runtime
assert direction in sentence(lambda: runtime.memcpy(x.data.ptr, host.ctypes.data, 8, runtime.memcpyHostToDevice))
assert direction in sentence(lambda: runtime.memcpy(host.ctypes.data, x.data.ptr, 4, runtime.memcpyHostToDevice))
""")


CAPTURE = """
def sentence(action):
    try:
        action()
    except (RuntimeError, NotImplementedError) as error:
        return str(error)

def captured(action):
    with cupy.cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        try:
            action()
        finally:
            graph = stream.end_capture()
    return graph
"""


def test_a_graph_does_at_each_launch_what_was_captured():
    """Launches, copies, fillings and products, with the numbers that they were told; nothing while it is captured."""
    emulated(CAPTURE + """
import ctypes
x, y, n = cupy.arange(3, dtype="float32"), cupy.zeros(3, "float32"), 2.0
number, a, b = cupy.full(1, 10, "float32"), cupy.eye(3, dtype="float32") * 2, cupy.full((3, 3), 7, "float32")
workspace, cublas, handle = cupy.empty(1 << 20, "uint8"), ctypes.CDLL("libcublas.so.13"), ctypes.c_void_p()
cublas.cublasCreate_v2(ctypes.byref(handle))
one, zero, pointer = ctypes.c_float(1), ctypes.c_float(0), ctypes.c_void_p

def product(out, workspace=workspace):
    cublas.cublasSetStream_v2(handle, pointer(cupy.cuda.get_current_stream().ptr))
    if workspace is not None:
        cublas.cublasSetWorkspace_v2(handle, pointer(workspace.data.ptr), ctypes.c_size_t(1 << 20))
    return cublas.cublasSgemm_v2(handle, 0, 0, 3, 3, 3, ctypes.byref(one), pointer(a.data.ptr), 3, pointer(b.data.ptr), 3,
                                 ctypes.byref(zero), pointer(out.data.ptr), 3)

def work():
    global x, n
    x += n                                  # the number as it is now
    x += number                             # as it will be, in the array
    y.data.copy_from_device_async(x.data, 12)
    b.data.memset_async(0, 36)
    b[0, 0] = 5
    assert product(a) == 0

cupy.add(x, 0.0 * x, out=x)
emulation.reset()
graph, n = captured(work), 1000.0
assert x.get().tolist() == [0, 1, 2] and a[0, 0] == 2
number[0] = 20
before = emulation.counters()
graph.launch()
number[0] = 30
graph.launch()
assert x.get().tolist() == y.get().tolist() == [54, 55, 56], x
assert a[0, 0] == 2 * 5 * 5 and b.sum() == 5
assert emulation.counters()["graphs"] == 2 and emulation.counters()["products"] == 1
assert captured(lambda: product(a, None) == 0 or print("refused")) is not None
""") == "refused"


def test_what_a_graph_must_not_hold_is_refused():
    emulated(CAPTURE + """
x, host = cupy.ones((3, 3)), np.ones(3)
stream = cupy.cuda.Stream(non_blocking=True)

def elsewhere():
    with cupy.cuda.Stream.null:
        x + 1

for action, part in {
        lambda: x @ x: "cuBLAS API during stream capture", lambda: x.get(): "D2H transfers are disallowed",
        lambda: cupy.asarray(host): "H2D transfers are disallowed", lambda: float(x[0, 0]): "D2H",
        lambda: cupy.cuda.Device().synchronize(): "waiting for the device while", lambda: stream.synchronize(): "waiting",
        lambda: cupy.cuda.runtime.memcpyAsync(x.data.ptr, host.ctypes.data, 24, 1, cupy.cuda.get_current_stream().ptr):
        "from the host or to it", elsewhere: "a launch on another stream"}.items():
    found = []
    captured(lambda: found.append(sentence(action)))
    assert part in str(found[0]), found
assert "the default stream cannot capture" in sentence(lambda: cupy.cuda.runtime.streamBeginCapture(0))
""")


def test_a_graph_whose_memory_others_have_is_refused_or_poisoned():
    emulated(CAPTURE + """
x, out = cupy.arange(4.0), cupy.zeros(4)
graph = captured(lambda: cupy.add(2 * x, 1, out=out))               # what 2·x was is free by now
assert "a graph whose memory was freed" in sentence(graph.launch)

pool = cupy.cuda.MemoryPool()
with cupy.cuda.using_allocator(pool.malloc):
    kept = []
    graph = captured(lambda: (cupy.add(2 * x, 1, out=out), kept.append(cupy.empty(4))))
    graph.launch()
    assert out.get().tolist() == [1, 3, 5, 7] and cupy.isnan(kept[0]).all()
    kept[0][:] = 1
    graph.launch()
    assert cupy.isnan(kept[0]).all()                                # nothing is left of the last time
""")


def test_what_is_not_emulated_says_so():
    emulated("""
x = cupy.arange(6.0)
for refused in (lambda: cupy.sort(x), lambda: cupy.argsort(x), lambda: cupy.unique(x), lambda: cupy.median(x),
                lambda: cupy.random.default_rng(0), lambda: cupy.ones((2, 2), int) @ cupy.ones((2, 2), int),
                lambda: cupy.cuda.runtime.deviceGetAttribute(9999, 0)):
    try:
        refused()
    except NotImplementedError as error:
        assert "emulated" in str(error), error
    else:
        raise AssertionError("not refused")
for impossible in (lambda: cupy.ones((2, 2), "float16") @ cupy.ones((2, 2), "float16"), lambda: cupy.fft.fft(x),
                   lambda: cupy.linalg.svd(x.reshape(2, 3)), lambda: cupy.cuda.runtime.mallocManaged(8)):
    try:
        impossible()
    except (ImportError, RuntimeError):
        continue
    raise AssertionError("not refused")
cupy._core.set_routine_accelerators(["cub"])
cupy._core.set_reduction_accelerators(["cub"])
try:
    cupy.cumsum(x)
except NotImplementedError as error:
    assert "CUB" in str(error)
else:
    raise AssertionError("CUB was not refused")
""")


def test_tinygan_finds_a_gpu():
    assert emulated("""
import tinygan
print(tinygan.backend.available("cuda"))
""") == "(True, 'a product and a kernel ran on the GPU')"


def test_another_version_is_refused(tmp_path):
    (tmp_path / "cupy").mkdir()
    (tmp_path / "cupy" / "__init__.py").touch()
    (tmp_path / "cupy" / "_version.py").write_text("__version__ = '13.6.0'\n")
    assert output(start(REFUSED, path=[tmp_path])) == (
        "CuPy 13.6.0 is installed, and the emulation replaces the insides of 14.2.0 alone: "
        "pip install cupy-cuda13x==14.2.0")


def test_no_cupy_is_refused():
    assert "CuPy is not installed" in output(start(REFUSED.replace("try:", """
import importlib.util
importlib.util.find_spec = lambda name: None
try:"""))).splitlines()[0]


def test_another_signature_is_refused(tmp_path):
    """As if this CuPy's malloc were not the one that the replacement is written for."""
    assert output(start(REFUSED.replace("try:", f"""
from pathlib import Path
from cupy_on_cpu import capsules
changed = Path({str(tmp_path)!r}, "signatures.json")
changed.write_text(capsules.SIGNATURES.read_text().replace('"malloc": "intptr_t (size_t,', '"malloc": "intptr_t (int,'))
capsules.SIGNATURES = changed
try:"""))) == ("CuPy's entry point runtime.malloc has the type 'intptr_t (size_t, int __pyx_skip_dispatch)', and the "
               "emulation is written for 'intptr_t (int, int __pyx_skip_dispatch)': install CuPy 14.2.0 unchanged")


def test_it_is_refused_too_late_and_twice():
    sentence = "cupy was imported already, so its modules hold the real entry points"
    assert sentence in output(start("import cupy\n" + REFUSED))
    assert sentence in emulated(REFUSED)


def test_no_compiler_is_refused():
    assert output(start(REFUSED, PATH="")).startswith("g++ and gcc and nm and readelf cannot be found: install g++")


def test_a_gpu_is_not_passed_over():
    assert "a real GPU is present" in output(start(REFUSED.replace("try:", """
from cupy_backends.cuda.api import runtime
runtime.getDeviceCount = lambda: 1
try:""")))


def test_two_processes_fill_one_cache(tmp_path):
    code = START.format(options=f"cache={str(tmp_path)!r}") + "assert cupy.arange(5).sum() == 10"
    for process in [start(code), start(code)]:
        output(process)
    assert not list(tmp_path.glob("unfinished-*"))
    compiled = sorted(tmp_path.iterdir())
    output(start(code))
    assert sorted(tmp_path.iterdir()) == compiled


def test_the_cache_lies_where_the_environment_says(tmp_path):
    emulated("cupy.zeros(3)", CUPY_ON_CPU_CACHE="", XDG_CACHE_HOME=str(tmp_path))
    assert list((tmp_path / "tinygan-cupy-on-cpu").glob("runtime-*.so"))
