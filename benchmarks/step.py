"""The whole step against PyTorch, and the ceiling that matrix multiplication sets."""
import numpy as np

import tinygan as tg

from . import measure, work
from .player import Players

SIZE = 2048
BATCHES = {"small": [32, 64, 256], "seed": [64, 256]}


def gemm(count, devices, dry):
    """the rate of one large matrix product: no step of the same machine can be faster than this"""
    n = 256 if dry else SIZE
    a, b = np.random.default_rng(0).standard_normal((2, n, n)).astype(np.float32)
    times = measure.rounds({"matmul": lambda: a @ b}, count)["matmul"]
    rate = 2 * n ** 3 / np.median(times) / 1e9
    return {"title": f"float32 matrix product {n}×{n}, all BLAS threads", "columns": ["GFLOP/s", "ms"],
            "rows": [{"name": "NumPy", "GFLOP/s": rate, "ms": measure.summary(times)["median_ms"]}], "gflops": rate}


def step(count, devices, dry):
    """one round of the game (D's step, G's step, both Adam updates), each model and batch, beside PyTorch"""
    ceiling, rows, notes = gemm(count, devices, dry)["gflops"], [], []
    for device in devices:
        works, reason = tg.backend.available(device)
        if not works:
            notes.append(f"no times on {device}: {reason}")
            continue
        for model in ["small"] if dry else BATCHES:
            for batch in [32] if dry else BATCHES[model]:
                rows += _compare(model, batch, device, count, ceiling)
    if not any("PyTorch" in row["name"] for row in rows):
        notes.append("PyTorch is not installed (pip install '.[bench]'): tinygan alone")
    notes.append("tinygan on the CPU: with as many workers as `tinygan train` takes for that batch, in processes of their own")
    notes.append(f"ceiling: a {SIZE}×{SIZE} product runs at {ceiling:.0f} GFLOP/s in the same run; "
                 "a GPU's time holds the upload of one batch and the download of one number")
    return {"title": "One round of the game", "rows": rows, "notes": notes,
            "columns": ["median ms", "min", "max", "GFLOP/s", "of ceiling", "tinygan ÷ it"]}


def _compare(model, batch, device, count, ceiling):
    players = Players(model, batch, tg.group.chosen("auto", tg.group.ALONE, batch, device)[0]) if device == "cpu" else None
    try:
        times = measure.rounds({"tinygan": players or work.tinygan_step(model, batch, device),
                                **work.torch_steps(model, batch, device)}, count)
    finally:
        if players:
            players.close()
    rows = []
    for name, seconds in times.items():
        summary, ratio = measure.summary(seconds), measure.ratio(times["tinygan"], seconds)
        rate = work.step_operations(model, batch) / summary["median_ms"] / 1e6
        rows.append({"name": f"{model} {batch} {device} {name}", "median ms": summary["median_ms"], "min": summary["min_ms"],
                     "max": summary["max_ms"], "GFLOP/s": rate, "of ceiling": rate / ceiling,
                     "tinygan ÷ it": ratio["median"], "quartiles": ratio["quartiles"]})
    return rows
