"""Players: tinygan's step shared out over processes of their own, which rest while others are timed.

python -m benchmarks.player MODEL BATCH WORKERS FOLDER is the first of them, or under mpiexec each: a line in the named pipe
FOLDER/RANK is the word to play one round, and the first rank answers with a line when it is done."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import tinygan as tg

from . import work

class Players:
    """A function that plays one round of `model` on `batch` images with so many workers, forked or started by mpiexec.

    threads: of BLAS in a process alone, all cores if None."""

    def __init__(self, model, batch, workers, mpi=False, threads=None):
        self.folder = tempfile.TemporaryDirectory()
        paths = [Path(self.folder.name) / str(rank) for rank in range(workers if mpi else 1)]
        for path in paths:
            os.mkfifo(path)
        start = ["mpiexec", "-n", str(workers)] if mpi else []
        command = [sys.executable, "-m", "benchmarks.player", model, str(batch), "mpi" if mpi else str(workers)]
        settings = os.environ | ({"OPENBLAS_NUM_THREADS": str(threads)} if threads else {})
        self.process = subprocess.Popen([*start, *command, self.folder.name], stdout=subprocess.PIPE, text=True, env=settings)
        self.words = [open(path, "w") for path in paths]            # waits until the rank has opened it too

    def __call__(self):
        for word in self.words:
            print("play", file=word, flush=True)
        if not self.process.stdout.readline():
            raise RuntimeError("the players have ended")

    def close(self):
        for word in self.words:
            word.close()
        self.process.wait()
        self.folder.cleanup()


def main(model, batch, workers, folder):
    answer, step, together = sys.stdout, work.tinygan_step(model, int(batch)), np.zeros(1)
    with tg.group.of(workers if workers == "mpi" else int(workers)) as team:
        path = Path(folder) / str(team.rank)
        if path.exists():
            for _ in open(path):
                team.sum(together)
                step()
                if team.rank == 0:
                    print("played", file=answer, flush=True)
            return
        while True:                     # a copy: it waits in the first meeting, and ends with the first rank
            team.sum(together)
            step()


if __name__ == "__main__":
    main(*sys.argv[1:])
