"""How much memory a step needs."""
import subprocess
import sys
from pathlib import Path

from . import work


def memory(count, devices, dry):
    """the most memory that a process held during steps of a model, less what it held before the first one"""
    rows = []
    if not sys.platform.startswith("linux"):
        return {"title": "Memory of a step", "columns": [], "rows": [], "notes": ["measured on Linux only"]}
    for model, batches in {"small": [8]}.items() if dry else {"seed": [64, 128, 256], "small": [64, 256]}.items():
        for batch in batches:
            for library in ("tinygan", "PyTorch", "PyTorch channels_last"):
                command = [sys.executable, "-m", "benchmarks.memory", library, model, str(batch), str(count)]
                answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
                if answer:
                    row = {"name": f"{model} {batch} {library}"}
                    rows.append(row | dict(zip(("peak MB", "MB later"), map(float, answer))))
    return {"title": "Memory of a step", "columns": ["peak MB", "MB later"], "rows": rows,
            "notes": ["each in a process of its own; peak: of the first three steps; "
                      f"later: what {20 * count} more steps of tinygan add to it"]}


def _measure(library, model, batch, count):
    steps = {"tinygan": work.tinygan_step(model, batch)} if library == "tinygan" else work.torch_steps(model, batch)
    if library not in steps:
        return
    before = _reset()
    for _ in range(3):
        steps[library]()
    peak = _peak()
    print(peak - before)
    if library == "tinygan":
        for _ in range(20 * count):
            steps[library]()
        print(_peak() - peak)


def _reset():
    """Let the kernel forget the process's peak, which importing left behind; returns what it holds now, in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak():
    """The most memory that the process has held since then, in MB."""
    line, = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    _measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
