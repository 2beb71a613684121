"""What is said when a GPU cannot be used. The errors are CuPy's own where they can be had without a GPU."""
import builtins
import re

import pytest

import tinygan as tg
from tinygan import cuda, run


def error_of(module, name, text, base=RuntimeError):
    """An error as a library of that name would raise it."""
    return type(name, (base,), {"__module__": module})(text)


RUNTIME = "cupy_backends.cuda.api.runtime"


@pytest.mark.parametrize("error, words", [
    (error_of("cupy.cuda.memory", "OutOfMemoryError", "Out of memory allocating 9,000 bytes", MemoryError),
     ("memory is full", "9,000 bytes", "--batch-size", "--resume")),
    (error_of(RUNTIME, "CUDARuntimeError", "cudaErrorMemoryAllocation: out of memory"), ("memory is full",)),
    (error_of("cupy_backends.cuda.libs.cublas", "CUBLASError", "CUBLAS_STATUS_ALLOC_FAILED"), ("memory is full",)),
    (error_of(RUNTIME, "CUDARuntimeError", "cudaErrorNoDevice: no CUDA-capable device is detected"), ("no GPU",)),
    (error_of("cuda.pathfinder._dynamic_libs.load_dl_common", "DynamicLibNotFoundError",
              'Failure finding "libnvrtc.so.13"\nNo such file'), ("NVRTC", "cupy-cuda13x[ctk]")),
    (ImportError("libcublas.so.13: cannot open shared object file"), ("libcublas.so.13", "cupy-cuda13x[ctk]")),
    (error_of(RUNTIME, "CUDARuntimeError", "cudaErrorIllegalAddress: an illegal memory access"), ("cudaErrorIllegal",)),
])
def test_every_error_becomes_one_sentence(error, words):
    with pytest.raises(tg.TinyganError) as caught:
        with cuda.explained():
            raise error
    sentence = str(caught.value)
    assert all(word in sentence for word in (*words, "--device cpu")) and "\n" not in sentence and len(sentence) < 500


def test_other_errors_pass():
    for error in (ValueError("a header"), ImportError("no module named nvrtc_helper"), MemoryError("out of memory")):
        with pytest.raises(type(error)) as caught:
            with cuda.explained():
                raise error
        assert caught.value is error


def test_no_driver_and_an_old_driver_are_told_apart(monkeypatch):
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    error = error_of(RUNTIME, "CUDARuntimeError", "cudaErrorInsufficientDriver: CUDA driver version is insufficient")
    monkeypatch.setattr(cupy.cuda.runtime, "driverGetVersion", lambda: 0)
    assert "finds no NVIDIA driver" in cuda.explanation(error)
    monkeypatch.setattr(cupy.cuda.runtime, "driverGetVersion", lambda: 11080)
    assert "too old: it supports CUDA 11.8" in cuda.explanation(error)


def test_what_this_machine_lacks_is_said(monkeypatch, capsys, tmp_path):
    """With CuPy's own error, or without CuPy; `--device cuda` is refused, `auto` computes on the CPU and says why in short."""
    works, reason = tg.backend.available("cuda")
    if works:
        pytest.skip("there is a GPU here")
    from tinygan import cli
    assert reason.endswith("or use the CPU (--device cpu)")
    assert cli.main(["train", "ring", "--steps", "1", "--out", str(tmp_path / "a"), "--device", "cuda"]) == 1
    assert capsys.readouterr().err == f"tinygan: {reason}\n" and not (tmp_path / "a").exists()
    assert cli.main(["train", "ring", "--steps", "1", "--batch-size", "8", "--out", str(tmp_path / "b")]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert re.fullmatch(r"device: cpu, 1 worker \(\d+ cores, a batch of 8\); [^:()]+", first)
    assert reason.startswith(first.partition("; ")[2])


@pytest.mark.parametrize("error, words", [
    (ModuleNotFoundError("No module named 'cupy'", name="cupy"), "no GPU library is installed"),
    (ImportError("libfoo.so: no such file"), "CuPy cannot be imported")])
def test_the_first_line_is_good_news_where_there_is_no_cupy(error, words, monkeypatch):
    def fails(name, *rest):
        if name == "cupy":
            raise error
        return importing(name, *rest)

    importing = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", fails)
    assert run._first_line("cpu", 2, "2 cores", cuda.trouble()) == f"device: cpu, 2 workers (2 cores); {words}"
    assert run._first_line("cuda", 1, "the GPU is one", "") == "device: cuda, 1 worker (the GPU is one)"


def test_memory_that_runs_out_ends_in_a_sentence(device, tmp_path, capsys):
    """CuPy's own error: its memory pool may grant no more than is in use when the training has begun."""
    if device == "cpu":
        pytest.skip("about a GPU's memory: --device cupy-on-cpu or cuda")
    import cupy

    from tinygan import cli
    pool, before = cupy.cuda.MemoryPool(), cupy.cuda.get_allocator()
    cupy.cuda.set_allocator(pool.malloc)
    pool.set_limit(size=3_000_000)
    try:
        code = cli.main(["train", "ring", "--steps", "3", "--batch-size", "5000", "--device", "cuda",
                         "--out", str(tmp_path / "run")])
    finally:
        cupy.cuda.set_allocator(before)
    error = capsys.readouterr().err
    assert code == 1 and error.count("\n") == 1 and "memory is full" in error and "Traceback" not in error
