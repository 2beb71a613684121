"""How much memory a step needs."""
import select
import subprocess
import sys
from pathlib import Path

import numpy as np

import tinygan as tg

from . import work


def memory(count, devices, dry):
    """the most memory that all processes of a contender held during steps of a model, less what they held before"""
    rows = []
    if not sys.platform.startswith("linux"):
        return {"title": "Memory of a step", "columns": [], "rows": [], "notes": ["measured on Linux only"]}
    for model, batches in {"small": [32]}.items() if dry else {"seed": [64, 128, 256], "small": [64, 256]}.items():
        for batch in batches:
            workers = tg.group.chosen("auto", tg.group.ALONE, batch, "cpu")[0]
            for name, library in (("tinygan, 1 worker", 1), (f"tinygan, {workers} workers", workers), ("PyTorch", "PyTorch"),
                                  ("PyTorch channels_last", "PyTorch channels_last")):
                if found := _measured(library, model, batch, count):
                    rows.append({"name": f"{model} {batch} {name}"} | dict(zip(("peak MB", "MB later"), found)))
    return {"title": "Memory of a step", "columns": ["peak MB", "MB later"], "rows": rows,
            "notes": ["each in processes of its own; a page that several of them share counts once (PSS, looked at every few "
                      f"ms); peak: of the first three steps; later: what {4 * count} more steps add to it"]}


def _measured(library, model, batch, count):
    """(peak of three steps, what more steps add), in MB; None for a library that is not there."""
    command = [sys.executable, "-m", "benchmarks.memory", str(library), model, str(batch), str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def peak():
        """The most memory held from the next word on until the answer to it."""
        most, answer = 0.0, []
        print("go", file=process.stdin, flush=True)
        while not answer and process.poll() is None:
            most = max(most, _held(process.pid))
            answer = _line(process.stdout)
        return most

    if not process.stdout.readline():
        return None
    before = _held(process.pid)
    first, later = peak(), peak()
    process.stdin.close()
    process.wait()
    return first - before, max(0.0, later - first)


def _line(stream, wait=0.003):
    """A line if one comes within so many seconds."""
    return [stream.readline()] if select.select([stream], [], [], wait)[0] else []


def _held(pid):
    """What a process and its children hold, in MB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = 0
    for one in (pid, *children):
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:                     # it has ended in the meantime
            pass
    return total * 1024 / 1e6


def _play(library, model, batch, count):
    """Three steps, then many, each at a word from outside."""
    workers = int(library) if library.isdigit() else 1
    steps = {library: work.tinygan_step(model, batch)} if library.isdigit() else work.torch_steps(model, batch)
    if library not in steps:
        return
    with tg.group.of(workers) as team:
        for number in (3, 4 * count, 0):
            if team.rank == 0:
                print("ready", flush=True)
                sys.stdin.readline()
            team.sum(np.zeros(1))                   # the others wait here for the word
            for _ in range(number):
                steps[library]()


if __name__ == "__main__":
    _play(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
