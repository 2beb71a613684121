"""python -m benchmarks.gpu_on_paper: what the seed model's step would ask of a GPU, computed, and written as a page.

One step is played on the CPU with the batch in one piece and the kernels of a GPU, and every matrix product, fused kernel and
copy of windows is noted: its floating-point operations, and its bytes if each operand is read once and each result written
once. Each then takes at least max(operations / peak rate, bytes / bandwidth), the roofline (Williams et al. 2009). Nothing
here is measured on a GPU."""
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np

import tinygan as tg
from tinygan import backend, conv as chapter
from tinygan.fast import conv, kernels

from . import work

# float32 outside of tensor cores, as CuPy computes unless told otherwise; (operations a second, bytes a second)
GPUS = {"NVIDIA A100 40 GB (SXM)": (19.5e12, 1.555e12), "NVIDIA H100 80 GB (SXM)": (67e12, 3.35e12)}
LAUNCHES, PRODUCTS, LAUNCH = 229, 113, 5e-6     # counted in tests/test_devices.py; what a call may cost the host, assumed
PAGE = Path(__file__).parent / "gpu_on_paper.md"


@dataclass
class Call:
    kind: str
    operations: int
    bytes: int

    def seconds(self, gpu):
        rate, bandwidth = GPUS[gpu]
        return max(self.operations / rate, self.bytes / bandwidth)


def trace(gan, x):
    """The Calls of one step."""
    calls = []

    def note(kind, operations, *arrays):
        calls.append(Call(kind, operations, sum(array.nbytes for array in arrays)))

    matmul, launch, add_rows, windows, pixels, between = (np.matmul, kernels._one_launch, kernels._add_rows, conv._windows,
                                                          conv._pixels, backend.between)

    def noted_matmul(a, b, out=None):
        result = matmul(a, b, out=out)
        note("matrix products", 2 * a.shape[0] * a.shape[1] * b.shape[1], a, b, result)
        return result

    def noted_launch(kernel, array):
        def noted_kernel(*operands):
            before = [operand.copy() for operand in operands]
            result = launch(kernel, array)(*operands)
            written = [now for then, now in zip(before, operands) if not np.array_equal(then, now, equal_nan=True)]
            made = [result] if isinstance(result, np.ndarray) else [*result] if result is not None else []
            note("fused kernels", 0, *operands, *written, *made)
            return result
        return noted_kernel

    def noted_add_rows(rows):
        note("sums over rows", 2 * rows.size, rows)
        return add_rows(rows)

    def noted_windows(image, *rest):
        view = windows(image, *rest)
        note("copies of windows", 0, image, view)           # .nbytes of a view is that of its copy
        return view

    def noted_pixels(x, S, p, q):
        view = pixels(x, S, p, q)
        calls.append(Call("sums of what was painted", p.taps * q.taps * view.size, (p.taps * q.taps + 1) * view.nbytes))
        return view

    def noted_between(image, *rest):
        result = between(image, *rest)
        note("paddings", 0, image, result, result)          # filled with zeros, then written
        return result

    whole = [(kernels, "chunks"), (conv, "chunks")]
    noted = [(np, "matmul", noted_matmul), (kernels, "_one_launch", noted_launch), (kernels, "_add_rows", noted_add_rows),
             (conv, "_windows", noted_windows), (chapter, "between", noted_between), (conv, "between", noted_between),
             (conv, "_pixels", noted_pixels), (conv, "device_of", lambda array: "cuda")]
    with ExitStack() as stack:
        for module, name in whole:
            stack.enter_context(mock.patch.object(module, name, lambda array, size: [slice(0, len(array))]))
        for module, name, function in noted:
            stack.enter_context(mock.patch.object(module, name, function))
        gan.step(x)
    return calls


def page(batch=64):
    G, D = (make() for make in work.MODELS["seed"])
    calls = trace(tg.GAN(G, D), work.images(batch))
    kinds = list(dict.fromkeys(call.kind for call in calls))
    rows = {kind: [call for call in calls if call.kind == kind] for kind in kinds} | {"together": calls}
    lines = [f"# A GPU on paper: the seed model's step, batch {batch}", "",
             "**Computed, not measured.** tinygan has never run on a GPU. This page is written by",
             "`python -m benchmarks.gpu_on_paper`, which says how each number comes about.", "",
             "| | calls | GFLOP | GB | " + " | ".join(f"{gpu}: at least" for gpu in GPUS) + " |",
             "| --- |" + " ---: |" * (3 + len(GPUS))]
    for kind, of_kind in rows.items():
        bounds = [f"{1e3 * sum(call.seconds(gpu) for call in of_kind):.2f} ms" for gpu in GPUS]
        numbers = [f"{len(of_kind)}", f"{sum(c.operations for c in of_kind) / 1e9:.2f}",
                   f"{sum(c.bytes for c in of_kind) / 1e9:.3f}"]
        lines.append(f"| {kind} | " + " | ".join(numbers + bounds) + " |")
    peaks = "; ".join(f"{gpu}: {rate / 1e12:g} TFLOP/s, {bandwidth / 1e12:g} TB/s"
                      for gpu, (rate, bandwidth) in GPUS.items())
    lines += ["", f"Peak rates (NVIDIA's data sheets, float32 without tensor cores): {peaks}. The bound of a call is "
              "max(operations / rate, bytes / bandwidth); calls",
              "come one after the other. Small arrays stay in a GPU's cache and never fill it, so the true time of small "
              "calls is neither.", "",
              f"The host has more to do than the device: {LAUNCHES} kernels and {PRODUCTS} products of cuBLAS "
              f"(`pytest --device cupy-on-cpu -k costs` counts them), and at",
              f"an assumed {1e6 * LAUNCH:g} µs each, {1e3 * LAUNCH * (LAUNCHES + PRODUCTS):.1f} ms to hand them over, to "
              "which comes the time of CuPy's own Python code. So the step of",
              "this model at this batch would be bound by launches rather than by arithmetic on the faster of these GPUs, "
              "and larger batches would come almost free.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(page())
