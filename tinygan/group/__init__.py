"""Who shares a batch: one process, several on one machine, or many machines.

Data parallelism: every rank holds the same networks and plays its own rows of the same batch. Rank r holds n_r of the N
rows, its weight is w_r = n_r/N, and as every loss is a mean over rows,

    L = (1/N) Σ_i ℓ_i = Σ_r w_r L_r            L_r the mean over the rows of rank r

So the ranks work by themselves and meet only where the mathematics couples a batch. There are three such places, and what
they exchange is the same weighted mean in each of them:

    batch norm       μ = Σ_r w_r E_r x    v = Σ_r w_r E_r (x − μ)²    and on the way back Σ_r w_r Σ g, Σ_r w_r Σ g·(x − μ)
    the optimiser    ∂L/∂θ = Σ_r w_r ∂L_r/∂θ    all gradients of a step in one message
    the metrics      Σ_r w_r · each    in one message

Sums are made in order of rank, so all ranks hold equal bits, and as many ranks give the same bits again. Random numbers are
drawn for the whole batch on every rank, which then takes its rows: state and checkpoint are those of one process.

    with group.Forked(2) as team:                       a loop of one's own, played by two processes
        …
        x, z = team.share(x), team.share(z)
"""
import os
from contextlib import nullcontext

from ..errors import TinyganError, integer
from .forked import Forked, cannot_fork, cores
from .mpi import Mpi
from .ranks import ALONE, Alone, current

ROWS = 8               # of a batch that a worker should have: handing out fewer costs more than it saves


def chosen(workers, team, batch_size, device):
    """(how many workers a run has, why): as many as asked for, or for "auto" one for each core and ROWS rows of a batch.

    team: the group that the run is inside of.
    TinyganError for more workers than rows, for several and a GPU, and for a run that mpiexec started several times over."""
    started = max(int(os.environ.get(name, 1)) for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE"))
    if team.size > 1 or workers == "mpi":
        number, why = team.size, "started by mpiexec"
    elif started > 1:
        raise TinyganError(f"got {started} processes from mpiexec, each a run of its own in the same folder: add --workers mpi")
    elif workers != "auto":
        number, why = integer("workers", workers, 1), "as asked for"
    elif device == "cuda" or cannot_fork():
        number, why = 1, "the GPU is one" if device == "cuda" else cannot_fork()
    else:
        number, why = max(1, min(cores(), batch_size // ROWS)), f"{cores()} cores, a batch of {batch_size}"
    if number > batch_size:
        raise TinyganError(f"got {number} workers and a batch of {batch_size}, expected a row for each at least: "
                           "use a larger --batch-size or fewer --workers")
    if number > 1 and device == "cuda":
        raise TinyganError(f"got {number} workers and a GPU, expected one or the other: use --workers 1, or --device cpu")
    return number, why


def of(workers):
    """The group of so many workers, or of "mpi". 1: this process alone, or the group that it is inside of."""
    return nullcontext(current()) if workers == 1 else Mpi() if workers == "mpi" else Forked(workers)


def sharing(workers, batch_size, device="cpu"):
    """The group for batches of this size: of so many workers, "auto" or "mpi"; inside of a group that one."""
    team = current()
    if workers == "mpi" or team.size > 1:
        return of("mpi" if team.size == 1 else 1)
    return of(chosen(workers, team, batch_size, device)[0])
