"""One batch shared out over processes: how much faster, and over many machines on paper.

python -m benchmarks.workers writes the page results/workers.md from results/workers.json, which
`python -m benchmarks workers` has measured: nothing on it but the first table was measured on more than one machine's cores."""
import json
import math
import os
import shutil
from pathlib import Path

import numpy as np

import tinygan as tg

from . import measure, report, work
from .player import Players

RESULTS = Path(__file__).parent / "results"
NETWORKS = {"10 Gbit/s Ethernet": (20e-6, 1.25e9), "100 Gbit/s InfiniBand": (2e-6, 12.5e9)}     # latency s, bytes/s: assumed
RANKS = (1, 2, 8, 64, 512)


def workers(count, devices, dry):
    """the same step by 1, 2 and 4 workers, forked or started by mpiexec, and what it costs them to talk"""
    rows, notes = [], [f"{os.cpu_count()} cores; a worker is one thread; 1: a process alone, with all of BLAS's threads"]
    kinds = [("forked", False)] + ([("MPI", True)] if shutil.which("mpiexec") else [])
    if len(kinds) == 1:
        notes.append("no mpiexec (pip install '.[mpi]'): no times of MPI")
    for model, batch in [("small", 32)] if dry else [("small", 32), ("small", 256), ("seed", 64)]:
        players = {"1": Players(model, batch, 1)}
        for n in (2,) if dry else (2, 4):
            players |= {f"{n} {name}": Players(model, batch, n, mpi) for name, mpi in kinds}
        try:
            times = measure.rounds(players, count)
        finally:
            for player in players.values():
                player.close()
        rows += [{"name": f"{model} {batch}, {name}", "median ms": measure.summary(seconds)["median_ms"],
                  "÷ 1": measure.ratio(seconds, times["1"])["median"]} for name, seconds in times.items()]
    fitted = {model: _fit(model, [4, 8] if dry else [8, 16, 32, 64], count) for model in (["small"] if dry else work.MODELS)}
    for model, (fixed, per_image) in fitted.items():
        notes.append(f"one thread, {model}: {1000 * fixed:.1f} ms + {1000 * per_image:.2f} ms for each image")
    return {"title": "Workers", "columns": ["median ms", "÷ 1"], "rows": rows, "notes": notes, "fitted": fitted}


def _fit(model, batches, count):
    """(a, b) in seconds: a step of one thread on n images takes a + b·n."""
    players = {n: Players(model, n, 1, threads=1) for n in batches}
    times = measure.rounds(players, count)
    for player in players.values():
        player.close()
    b, a = np.polyfit(batches, [np.median(times[n]) for n in batches], 1)
    return max(float(a), 0.0), float(b)


def messages(model):
    """Bytes of each message that a rank sends in one step."""
    class Noting(tg.group.Alone):
        def means(self, arrays):
            sent.append(sum(array.nbytes for array in arrays))
            return arrays

        def sum(self, array):
            return self.means([array])[0]

    sent, (make_G, make_D) = [], work.MODELS[model]
    with Noting():
        tg.GAN(make_G(), make_D()).step(work.images(4))
    return sent


def seconds(model, fitted, batch, ranks, network):
    """A step's time: a rank's own rows, and each message of n bytes twice, 2·⌈log₂ P⌉·latency + 2·n·(P − 1)/P / bandwidth."""
    (fixed, per_image), (latency, bandwidth) = fitted, NETWORKS[network]
    talk = sum(2 * math.ceil(math.log2(ranks)) * latency + 2 * n * (ranks - 1) / ranks / bandwidth for n in messages(model))
    return fixed + per_image * batch / ranks + talk, talk


def page():
    result = json.loads((RESULTS / "workers.json").read_text())
    lines = ["# Workers: one batch, many processes", "", "## Measured", "", f"`{result['command']}`, {result['date']}, "
             f"{result['processor']}.", "", "| | median ms | ÷ 1 |", "| --- | ---: | ---: |"]
    lines += [f"| {row['name']} | {row['median ms']:.1f} | {row['÷ 1']:.2f} |" for row in result["rows"]]
    lines += ["", *[f"* {note}" for note in result["notes"]], "", "## Computed", "",
              "`python -m benchmarks.workers`. Nothing below was measured on more than one machine. A step on n images takes a "
              "rank a + b·n,", "fitted to the measured times of one thread. To that come the messages: "
              "their number and sizes are those of the program, and each", "goes round twice (a rank adds up its part, then "
              "passes the sum on), as in Thakur et al., \"Optimization of Collective", "Communication Operations in MPICH\" "
              "(2005). Latency and bandwidth are assumed: "
              + "; ".join(f"{name}: {1e6 * a:g} µs, {b / 1e9:g} GB/s" for name, (a, b) in NETWORKS.items()) + ".", ""]
    for model, fitted in result["fitted"].items():
        sent = messages(model)
        lines += [f"### The {model} model", "", f"{len(sent)} messages a step, {sum(sent) / 1e6:.2f} MB; "
                  f"a = {1000 * fitted[0]:.1f} ms, b = {1000 * fitted[1]:.2f} ms.", "",
                  "| ranks | network | batch 256: ms | of it talk | speedup | 16 rows a rank: images/s |",
                  "| ---: | --- | ---: | ---: | ---: | ---: |"]
        alone, _ = seconds(model, fitted, 256, 1, next(iter(NETWORKS)))
        for ranks in RANKS:
            for network in NETWORKS if ranks > 1 else list(NETWORKS)[:1]:
                rows = [f"{1000 * t:.1f} | {1000 * talk:.1f} | {alone / t:.1f}" if ranks <= 256 else "– | – | –"
                        for t, talk in [seconds(model, fitted, 256, ranks, network)]]
                t, _ = seconds(model, fitted, 16 * ranks, ranks, network)
                lines.append(f"| {ranks} | {network if ranks > 1 else ''} | {rows[0]} | {16 * ranks / t:,.0f} |")
        half = fitted[1] * 256 / (fitted[0] + seconds(model, fitted, 256, 8, list(NETWORKS)[1])[1])
        lines += ["", f"A batch of 256 stops paying at about {half:.0f} ranks: there a rank's own rows take as long as what does "
                  "not become less, a and the talk.", ""]
    lines += ["More ranks than that need a larger batch, and a GAN is trained by the number of its steps: the images a second in "
              "the last", "column grow with the ranks, what is learned does not grow in proportion. The recipes here use 32 to "
              "64 images, which", "is two to four workers.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    (RESULTS / "workers.md").write_text(page(), encoding="utf-8")
    print(page())
