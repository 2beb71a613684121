"""How the step's time grows."""
import numpy as np

import tinygan as tg

from . import measure, work


def scaling(count, devices, dry):
    """the small model's step over batch sizes and widths, with the exponent of time ~ sizeᵉ fitted to the upper half"""
    batches, widths = ([4, 8], [8, 16]) if dry else ([8, 16, 32, 64, 128, 256], [16, 32, 64, 128])
    x = work.images(max(batches))
    steps = {("batch", n): (lambda gan=_gan(32), n=n: gan.step(x[:n])) for n in batches}
    steps |= {("width", n): (lambda gan=_gan(n): gan.step(x[:64])) for n in widths}
    times, rows, notes = measure.rounds(steps, count), [], []
    for axis, sizes in (("batch", batches), ("width", widths)):
        medians = [np.median(times[axis, n]) for n in sizes]
        rows += [{"name": f"{axis} {n}", "median ms": 1000 * t, "images/s": (n if axis == "batch" else 64) / t}
                 for n, t in zip(sizes, medians)]
        half = min(len(sizes) // 2, len(sizes) - 2)
        exponent = np.polyfit(np.log(sizes[half:]), np.log(medians[half:]), 1)[0]
        notes.append(f"time ~ {axis}^{exponent:.2f} over {sizes[half:]}")
    notes.append("width: channels of G's last and D's first hidden layer, at batch 64; products grow as width², "
                 "all else as width")
    return {"title": "Scaling of the small model's step", "rows": rows, "notes": notes,
            "columns": ["median ms", "images/s"]}


def _gan(width):
    G, D = (make(width=width) for make in work.MODELS["small"])
    return tg.GAN(G, D)
