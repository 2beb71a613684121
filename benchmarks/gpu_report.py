"""The page and the picture of what benchmarks/gpu.sh left in a folder: FOLDER/gpu.md and FOLDER/gpu.png."""
import argparse
import json
import re
from pathlib import Path

from matplotlib.figure import Figure

import tinygan as tg
from tinygan import cuda, plots
from tinygan.lessons import table

from . import gpu_on_paper, work

PARTS = ("step", "train", "profile", "suite", "graphs")
COLOURS = {"tinygan, CPU": "#56b4e9", "tinygan": "#0072b2", "tinygan, graph": "#009e73"}        # PyTorch: greys


def main(arguments):
    """Write both."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu-report", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    if not (folder / "step.json").exists():
        raise tg.TinyganError(f"got {folder} without step.json, expected a folder of bash benchmarks/gpu.sh: run it first")
    text = page(folder)
    (folder / "gpu.md").write_text(text, encoding="utf-8")
    picture(read(folder, "step")["rows"], folder / "gpu.png")
    print(text)


def read(folder, name):
    """What a part measured; nothing where it did not come so far."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"notes": [f"no {name}.json"]}


def page(folder):
    """The page as Markdown."""
    step, profile = read(folder, "step"), read(folder, "profile")
    dry = step["command"].endswith("--dry")
    versions = ", ".join(f"{name} {version}" for name, version in step["versions"].items())
    card = (f"**{step['card']}**, driver for CUDA {cuda.version(step['driver'])}, CuPy {step['cupy']}" if "card" in step
            else "**no GPU was reached**")
    lines = ["# tinygan on a GPU", "", f"`{step['command']}` on {step['date']}: {card}, {versions}; {step['processor']}, "
             f"{step['cores']} cores.", ""]
    if dry:
        lines += ["**A dry run: no number here was measured on a GPU.** CuPy ran on the CPU (tests/cupy_on_cpu).", ""]
    lines += [f"- {part}: {ending(folder, part)}" for part in PARTS]
    lines += ["", "## One round of the game", "",
              *table(("model", "batch", "", "ms", "least, most", "host hands it over in", "images/s"), map(row, step["rows"])),
              "", "ms: by the device's events, the median; a CPU's by its own clock. tinygan draws its noise on the host and "
              "uploads it with the batch each step; PyTorch's batch lies on the device, which draws its noise, too.",
              *[f"{note}." for note in step["notes"]], "", "## Beside the roofline", "", roofline(step["rows"], dry)]
    for model in work.MODELS:
        if model in profile:
            total = sum(row["us"] for row in profile[model])
            lines += ["", f"## The costliest kernels: {model} model, batch 64", "", *table(
                ("kernel", "µs a step", "share", "launches a step"),
                [(f"`{kernel_name(row['kernel'])}`", f"{row['us']:.0f}", f"{row['us'] / total:.0%}", f"{row['calls']:.0f}")
                 for row in profile[model][:10]]), "", f"All together: {total:.0f} µs a step."]
    lines += [f"\n{note[0].upper()}{note[1:]}." for note in profile["notes"]]
    return "\n".join([*lines, "", "![One round by batch size](gpu.png)", ""])


def ending(folder, part):
    """The exit status of the part, and of tests the line before it, which counts them."""
    path = folder / f"{part}.txt"
    if not path.exists():
        return "was not run"
    *_, result, status = [""] + [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    tests = f" (`{result.strip('= ')}`)" if part in ("suite", "graphs") else ""
    return re.sub(r"^== \w+: ", "", status) + tests


def row(line):
    ms = line["device ms"]
    return (line["model"], line["batch"], line["name"], f"{ms:.2f}", f"{line['least']:.2f}, {line['most']:.2f}",
            f"{line['host ms']:.2f} ms", f"{1000 * line['batch'] / ms:,.0f}")


def kernel_name(name):
    """The kernel's name without types and arguments, 60 characters at most."""
    return re.sub(r"[<(].*", "", name.replace("void ", ""))[:60]


def roofline(rows, dry):
    """The seed model's step: the least time on paper, and what was measured."""
    measured = {line["name"]: line["device ms"] for line in rows if (line["model"], line["batch"]) == ("seed", 64)}
    if dry or not measured:
        return "Of the seed model at batch 64 nothing was measured on a GPU."
    G, D = (make() for make in work.MODELS["seed"])
    calls = gpu_on_paper.trace(tg.GAN(G, D), work.images(64))
    bounds = [f"{gpu}: {1e3 * sum(call.seconds(gpu) for call in calls):.2f} ms at least" for gpu in gpu_on_paper.GPUS]
    return "\n".join([f"Seed model, batch 64, on paper (benchmarks/gpu_on_paper.md): {'; '.join(bounds)}. Measured: "
                      + "; ".join(f"{name} {ms:.2f} ms" for name, ms in measured.items()) + "."])


@plots.own_settings()
def picture(rows, path):
    """For each model one axis: milliseconds of a round over the batch, both logarithmic."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    for axis, model in zip(figure.subplots(1, 2), work.MODELS):
        names = list(dict.fromkeys(line["name"] for line in rows if line["model"] == model))
        greys = iter(["#555555", "#888888", "#aaaaaa", "#cccccc"])
        for name in names:
            points = [(line["batch"], line["device ms"]) for line in rows if (line["model"], line["name"]) == (model, name)]
            colour = COLOURS.get(name) or next(greys)
            axis.plot(*zip(*points), marker="o", color=colour, label=name, linewidth=1.5)
        batches = sorted({line["batch"] for line in rows})
        axis.set(title=f"{model} model", xlabel="batch", xscale="log", yscale="log")
        axis.set_xticks(batches, batches, minor=False)
        axis.set_xticks([], minor=True)
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("")
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3)
    figure.axes[0].set_ylabel("ms for one round")
    figure.axes[0].legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=120)
