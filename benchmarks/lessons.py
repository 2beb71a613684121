"""The outcome of every lesson over several seeds, beside the published numbers, with the pictures of the first run."""
import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tinygan import lessons

from . import trainings
from .report import RESULTS

PICTURES = RESULTS / "lessons"


def main(arguments):
    """Run what is missing and write results/lessons.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks lessons", description=__doc__)
    parser.add_argument("--lessons", nargs="+", choices=lessons.LESSONS, default=lessons.LESSONS, metavar="NAME",
                        help=", ".join(lessons.LESSONS) + " (all)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of each (3)")
    parser.add_argument("--full", action="store_true", help="the long versions, on all of MNIST")
    parser.add_argument("--data", metavar="DIR", help="where MNIST lies (it is downloaded)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="runs at the same time (1)")
    options = parser.parse_args(arguments)
    jobs = [{"lesson": name, "full": options.full, "seed": seed} for seed in range(options.seeds) for name in options.lessons]
    trainings.train_missing("lessons", jobs, Play(options.data), options.processes)
    write(trainings.lines("lessons"))


class Play:
    """One run of a lesson: its rows. The pictures of seed 0 are kept."""

    def __init__(self, data_folder):
        self.data_folder = data_folder

    def __call__(self, job):
        with tempfile.TemporaryDirectory() as folder:
            rows = lessons.run(job["lesson"], Path(folder) / "run", job["seed"], job["full"], self.data_folder, quiet=True)
            if job["seed"] == 0:
                PICTURES.mkdir(parents=True, exist_ok=True)
                for path in sorted((Path(folder) / "run").glob("*.png")):
                    small = Image.open(path).convert("RGB").quantize(64, dither=Image.Dither.NONE)
                    small.save(PICTURES / f"{job['lesson']}-{version(job)}-{path.name}", optimize=True)
            return {"rows": [vars(row) for row in rows]}


def version(job):
    """The name of a version: short or full."""
    return "full" if job["full"] else "short"


def write(lines):
    """The page of all that has been run so far."""
    parts = [["What `tinygan lesson NAME` finds, and `tinygan lesson NAME --full`: mean ± standard deviation over the seeds "
              "(of a single one, over the trainings in it, where there are several). The short "
              "version learns from the packaged 5,000 digits and is tested on 1,000 others of MNIST's test digits, the full "
              "one on MNIST's 60,000 and 10,000. The published numbers come from other networks and much longer trainings."]]
    for name in lessons.LESSONS:
        runs = [line for line in lines if line["job"]["lesson"] == name]
        if runs:
            parts.append([f"## {name}", "", lessons.about(name)])
        for kind in ("short", "full"):
            parts += _version(name, kind, [line for line in runs if version(line["job"]) == kind])
    trainings.write_page("lessons", "The lessons", "python -m benchmarks lessons [--full --data DIR]",
                         max(line["date"] for line in lines), parts)


def _version(name, kind, runs):
    """The table and the pictures of one version."""
    if not runs:
        return []
    minutes = np.median([line["seconds"] for line in runs]) / 60
    cores = " or ".join(f"{n} core{'s' * (n > 1)}" for n in sorted({line.get("cores", 1) for line in runs}))
    runs.sort(key=lambda line: line["job"]["seed"])
    seeds = "|".join(str(line["job"]["seed"]) for line in runs)
    command = f"tinygan lesson {name}" + (" --full --data DIR" if kind == "full" else "") + f" --seed {seeds}"
    found = {row["what"]: [] for line in reversed(runs) for row in line["result"]["rows"]}      # later runs may tell more
    for line in runs:
        for row in line["result"]["rows"]:
            found[row["what"]].append(row)
    rows = [(what + f" (of {len(some)} run{'s' * (len(some) > 1)})" * (len(some) < len(runs)), outcome(some), some[-1]["published"])
            for what, some in found.items()]
    pictures = [f"![{path.stem}](lessons/{path.name})" for path in sorted(PICTURES.glob(f"{name}-{kind}-*.png"))]
    return [[f"### {kind.capitalize()}", "", f"`{command}`, {minutes:.0f} minutes on {cores}:", "",
             *lessons.table(("", "here", "published"), rows)], pictures]


def outcome(rows):
    """The row of one seed as it stands, of several the mean ± standard deviation over them."""
    if len(rows) == 1:
        return str(lessons.Row(**rows[0]))
    values = [row["value"] for row in rows]
    return lessons.written(rows[0]["form"], np.mean(values), np.std(values, ddof=1))
