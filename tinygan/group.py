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
import functools
import mmap
import os
import pickle
import platform
import signal
import sys
import threading
import time
import traceback
import warnings
from contextlib import nullcontext

import numpy as np
from threadpoolctl import ThreadpoolController

from .errors import TinyganError, WorkerLost, brief
from .tensor import Tensor, record

ROWS = 16              # of a batch that a worker should have: handing out fewer costs more than it saves
ROOM = 1 << 26         # bytes of one message, a larger one goes in pieces; memory that is not written to costs nothing
GLANCE = 0.2           # seconds of waiting between two looks at whether the others are alive
PATIENCE = 600.0       # seconds that a worker which is alive may keep the first one waiting
LEAVE = 2.0            # seconds within which all ranks must have failed for it to be one failure
HEAD, NOTE = 64, 512   # bytes before a message: how long it is, has the first rank left?; bytes for a rank's last words

_here = threading.local()


def current():
    """The group that this thread shares its work with: an Alone unless it is inside of another."""
    return getattr(_here, "group", ALONE)


class Alone:
    """One rank, which shares with nobody: every mean is what it was. In a group:"""
    rank, size = 0, 1

    def share(self, batch):
        """This rank's rows of a batch (N, …), an array or a Tensor; its means are over so many rows from now on."""
        return batch

    def whole(self, rows):
        """How many rows, or pixels, the whole batch has where this rank has so many."""
        return rows

    def draw(self, draw, rows):
        """draw(rows) for this rank's rows, of the numbers (N, …) that are drawn for the whole batch."""
        return draw(rows)

    def gather(self, array):
        """Everyone's array, all of one shape, in order of rank: (size, …)."""
        return np.stack([array])

    def sum(self, array):
        """Σ_r array_r"""
        return array

    def mean(self, x):
        """Σ_r w_r x_r.  Of Tensors a Tensor: since L = Σ_r w_r L_r, its cotangent goes back as the same mean."""
        if isinstance(x, Tensor):
            return record(self.means([x.data])[0], (x, lambda g, y: self.mean(g)))
        return self.means([x])[0]

    def means(self, arrays):
        """The mean of each of several arrays of one dtype, in one message."""
        return arrays

    def first(self, work):
        """work() on rank 0 alone, as if there were no group. What it raises ends the work of all."""
        if self.rank == 0:
            with Alone() as alone:
                alone.tell, alone.told = self.tell, self.told
                work()

    def tell(self, number):
        """Let the group know that this rank was sent a signal."""

    def told(self):
        """The number of a signal that some rank was sent, 0 if none was."""
        return 0

    def __enter__(self):
        self._before, _here.group = current(), self
        return self

    def __exit__(self, kind, error, trace):
        _here.group = self._before


ALONE = Alone()


class _Several(Alone):
    """What groups of several ranks have in common: all but how a message travels."""

    def share(self, batch):
        N, size = len(batch), self.size
        if N < size:
            raise TinyganError(f"got a batch of {N} for {size} workers, expected a row for each at least: "
                               "use a larger batch or fewer workers")
        start, stop = (rank * (N // size) + min(rank, N % size) for rank in (self.rank, self.rank + 1))
        self._total, self._rows, self._weight = N, slice(start, stop), (stop - start) / N
        return batch[self._rows]

    def whole(self, rows):
        return rows * self._total // (self._rows.stop - self._rows.start)

    def draw(self, draw, rows):
        batches, rest = divmod(rows, self._rows.stop - self._rows.start)        # several may lie one after the other
        if rest or not batches:
            raise TinyganError(f"got {rows} rows to draw numbers for, expected the {self._rows.stop - self._rows.start} that "
                               "share() last returned, or a multiple: share the batch first")
        return np.concatenate([draw(self._total)[self._rows] for _ in range(batches)])

    def sum(self, array):
        return self._sums([array], 1)[0]

    def means(self, arrays):
        return self._sums(arrays, self._weight)

    def _sums(self, arrays, weight):
        """[Σ_r weight_r·array_r of each]: one after the other they make up the message."""
        total = self._total_of(arrays, weight)
        ends = np.cumsum([array.size for array in arrays])
        return [total[end - array.size:end].reshape(array.shape) for array, end in zip(arrays, ends)]

    def __enter__(self):
        if current().size > 1:
            raise TinyganError("got a group inside of a group: leave the outer one first")
        self._total, self._rows, self._weight = self.size, slice(self.rank, self.rank + 1), 1 / self.size
        self._blas = ThreadpoolController().limit(limits=1, user_api="blas")      # a rank is one thread
        return super().__enter__()

    def __exit__(self, kind, error, trace):
        super().__exit__(kind, error, trace)
        self._blas.restore_original_limits()


def _pack(message, arrays, weight):
    """message ← weight · the arrays, one after the other"""
    end = 0
    for array in arrays:
        start, end = end, end + array.size
        np.multiply(array.reshape(-1), weight, out=message[start:end], casting="unsafe")


class Forked(_Several):
    """This process and workers − 1 copies of it, which the operating system makes where the block is entered (fork).

    The copies end where the block ends: what they change is lost, and what they print is not shown. A message is written
    into memory that all see; then everybody posts a semaphore for everybody else and waits for theirs. There are two
    places for a message, used in turn: who writes the next but one has met all others in between, so they have read it.
    TinyganError where processes cannot be forked.  WorkerLost when one is killed, fails or does not answer."""

    def __init__(self, workers):
        if isinstance(workers, bool) or not isinstance(workers, (int, np.integer)) or workers < 2:
            raise TinyganError(f"got {workers!r} workers, expected an integer of at least 2: one alone needs no group")
        if cannot_fork():
            raise TinyganError(cannot_fork())
        self.rank, self.size = 0, int(workers)

    def __enter__(self):
        from multiprocessing import get_context
        super().__enter__()
        self._meetings, self._parent, self._children = 0, os.getpid(), {}
        try:
            semaphore = get_context("fork").Semaphore
            self._posts = [[semaphore(0) for _ in range(self.size)] for _ in range(self.size)]      # [from][to]
            self._memory = _shared(2, self.size, HEAD + ROOM)           # [turn, rank]: HEAD, and the message
            self._notes = _shared(self.size, NOTE)                      # [rank]: a signal's number, and the last words
            for rank in range(1, self.size):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")         # of this process's threads, which a copy does not need
                    child = os.fork()
                if not child:
                    self._become(rank)
                    break
                self._children[child] = rank
        except OSError as error:
            self.__exit__(type(error), error, None)
            raise TinyganError(f"{self.size} workers could not be started ({error.strerror or error}): use fewer") from error
        return self

    def _become(self, rank):
        """What makes a copy rank `rank`: it is silent, and ends with the first process, not by Ctrl-C."""
        self.rank, self._rows, self._children = rank, slice(rank, rank + 1), {}
        sys.stdout = open(os.devnull, "w")
        warnings.simplefilter("ignore")
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, lambda number, frame: self.tell(number))

    def __exit__(self, kind, error, trace):
        if self.rank:
            if kind:
                self._notes[self.rank, 1:] = np.frombuffer(_last_words(error, trace), np.uint8)
            os._exit(1 if kind else 0)
        super().__exit__(kind, error, trace)
        self._memory[0, 0, 8], waited = 1, 0.0
        try:
            while self._children and not kind and waited < PATIENCE:
                self._look()
                time.sleep(0.001)
                waited += 0.001
        finally:
            for child in self._children:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)

    def gather(self, array):
        return self._exchange([np.asarray(array)], 1).reshape(self.size, *np.shape(array)).copy()

    def _total_of(self, arrays, weight):
        if sum(array.nbytes for array in arrays) <= ROOM:
            return functools.reduce(np.add, self._exchange(arrays, weight))        # in order of rank
        if len(arrays) == 1:
            arrays = np.array_split(arrays[0].reshape(-1), 2)
        return np.concatenate([self._total_of([array], weight) for array in arrays])

    def _exchange(self, arrays, weight):
        """Everyone's message, (size, numbers), in order of rank. It stands until the next but one."""
        dtype, turn = arrays[0].dtype, self._memory[self._meetings % 2]
        bytes_, self._meetings = sum(array.size for array in arrays) * dtype.itemsize, self._meetings + 1
        _pack(turn[self.rank, HEAD:HEAD + bytes_].view(dtype), arrays, weight)
        turn[self.rank, :8].view(np.int64)[0] = bytes_
        others = [rank for rank in range(self.size) if rank != self.rank]
        for other in others:
            self._posts[self.rank][other].release()
        for other in others:
            self._wait_for(other)
        for other in others:
            if (theirs := turn[other, :8].view(np.int64)[0]) != bytes_:
                raise TinyganError(f"the workers are out of step: rank {self.rank} sent {bytes_:,} bytes and rank {other} "
                                   f"{theirs:,}: all of them must take the same steps in the same order")
        return turn[:, HEAD:HEAD + bytes_].view(dtype)

    def _wait_for(self, other):
        post, waited = self._posts[other][self.rank], 0.0
        while not post.acquire(True, GLANCE):
            waited += GLANCE
            if self.rank:
                if self._memory[0, 0, 8] or os.getppid() != self._parent:
                    os._exit(0)                 # the first process has left the block, or is no more
                continue
            self._look()
            if other not in self._children.values():
                if post.acquire(False):         # it left after it had posted
                    return
                raise WorkerLost(f"worker {other} has left the group, and the others wait for it: "
                                 "all of them must take the same steps in the same order")
            if waited >= PATIENCE:
                raise WorkerLost(f"worker {other} has not answered for {waited:.0f} seconds: was it stopped?")

    def _look(self):
        """WorkerLost if a copy has ended otherwise than by coming to the end of the block."""
        for child, rank in list(self._children.items()):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                del self._children[child]
                code = os.waitstatus_to_exitcode(status)
                if code < 0:
                    raise WorkerLost(f"worker {rank} of {self.size} was killed by signal {-code}")
                if code > 0:
                    words = bytes(self._notes[rank, 1:]).rstrip(b"\0").decode(errors="replace")
                    raise WorkerLost(f"worker {rank} of {self.size} failed: {words or f'it ended with exit code {code}'}")

    def tell(self, number):
        self._notes[self.rank, 0] = number

    def told(self):
        return int(self._notes[:, 0].max())


def _shared(*shape):
    """Bytes that this process and its copies share."""
    return np.frombuffer(mmap.mmap(-1, int(np.prod(shape))), np.uint8).reshape(shape)


def _last_words(error, trace):
    """The error and where it was raised, in NOTE − 1 bytes."""
    frame = traceback.extract_tb(trace)[-1]
    place = "" if isinstance(error, TinyganError) else f" ({os.path.basename(frame.filename)}, line {frame.lineno})"
    return f"{type(error).__name__}: {brief(error)}{place}".encode()[:NOTE - 1].ljust(NOTE - 1, b"\0")


def cannot_fork():
    """Why there can be no Forked group here, as a sentence; "" if there can."""
    if not hasattr(os, "fork") or sys.platform == "darwin":     # macOS has it, but its libraries do not survive it
        return f"{platform.system()} cannot fork a process that computes: use one worker (--workers 1), or MPI (--workers mpi)"
    try:
        import multiprocessing.synchronize  # noqa: F401 (which fails where the system has no semaphores)
    except ImportError as error:
        return f"this system has no semaphores to share ({error}): use one worker (--workers 1), or MPI (--workers mpi)"
    return ""


class Mpi(_Several):
    """The processes that `mpiexec -n SIZE …` has started, on one machine or many.

    A message is cut into as many parts as there are ranks: each rank gets everyone's share of its own part, adds it up in
    order, and passes the sum on. So a rank sends about twice the message, however many there are.
    An exception that only some ranks raise ends all of them (MPI_Abort), since the others would wait for ever.
    TinyganError without mpi4py or without an MPI library."""

    def __init__(self):
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:            # RuntimeError: mpi4py is there, and no MPI library
            raise TinyganError(f"MPI cannot be used ({brief(error)}): pip install 'tinygan[mpi]', "
                               "which brings mpi4py and mpich") from error
        self._comm, self._end, self._signal = MPI.COMM_WORLD, MPI.COMM_WORLD.Dup(), 0
        self.rank, self.size = self._comm.rank, self._comm.size

    def __enter__(self):
        if self.rank:
            sys.stdout = open(os.devnull, "w")
        return super().__enter__()

    def __exit__(self, kind, error, trace):
        super().__exit__(kind, error, trace)
        if kind and not self._all_leave():
            print(f"rank {self.rank} of {self.size}: {_last_words(error, trace).decode(errors='replace')}".rstrip("\0"),
                  file=sys.stderr, flush=True)
            self._comm.Abort(1)
        if kind and self.rank:
            sys.stderr = open(os.devnull, "w")                  # the first rank tells it

    def _all_leave(self):
        """Has every rank come to the end within a short time?"""
        request, deadline = self._end.Ibarrier(), time.monotonic() + LEAVE
        while not request.Test() and time.monotonic() < deadline:
            time.sleep(0.01)
        return request.Test()

    def gather(self, array):
        array = np.ascontiguousarray(array)
        everyone = np.empty((self.size, *array.shape), array.dtype)
        self._comm.Allgather(array, everyone)
        return everyone

    def _total_of(self, arrays, weight):
        numbers = sum(array.size for array in arrays)
        parts = np.zeros((self.size, -(-numbers // self.size)), arrays[0].dtype)
        theirs = np.empty_like(parts)
        _pack(parts.reshape(-1), arrays, weight)
        self._comm.Alltoall(parts, theirs)
        self._comm.Allgather(functools.reduce(np.add, theirs), parts)           # in order of rank
        return parts.reshape(-1)[:numbers]

    def first(self, work):
        error = None
        if self.rank == 0:
            try:
                super().first(work)
            except BaseException as raised:
                error = raised
        notes = self._comm.allgather((self._signal, _portable(error)))
        self._signal = max(number for number, _ in notes)
        if notes[0][1] is not None:
            raise error or notes[0][1]

    def tell(self, number):
        self._signal = number

    def told(self):
        return self._signal


def _portable(error):
    """The error, or where it cannot travel to another process one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        return TinyganError(brief(error, 600))


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
        number, why = workers, "as asked for"
    elif device == "cuda" or cannot_fork():
        number, why = 1, "the GPU is one" if device == "cuda" else cannot_fork()
    else:
        cores = len(os.sched_getaffinity(0))
        number, why = max(1, min(cores, batch_size // ROWS)), f"{cores} cores, a batch of {batch_size}"
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
