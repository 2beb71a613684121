"""Ranks that are copies of this process: fork, shared memory and semaphores, all of the standard library."""
import functools
import mmap
import os
import platform
import signal
import sys
import threading
import time
import traceback
import warnings
from contextlib import contextmanager

import numpy as np

from ..errors import TinyganError, WorkerLost, brief
from .ranks import Several, pack

ROOM = 1 << 22         # bytes of one message: a larger one goes in pieces, which keeps what all share small
LOOKS = 5000           # at a semaphore before falling asleep, about a millisecond: most wait less, and to be woken takes long
GLANCE = 0.2           # seconds of waiting between two looks at whether the others are alive
PATIENCE = 600.0       # seconds that a worker which is alive may keep the first one waiting
HEAD, NOTE = 64, 512   # bytes before a message: how long it is, has the first rank left?; bytes for a rank's last words


class Forked(Several):
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
            with _signals_wait():
                for rank in range(1, self.size):
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")     # of this process's threads, which a copy does not need
                        child = os.fork()
                    if not child:
                        self._become(rank)
                        break
                    self._children[child] = rank
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            if not isinstance(error, OSError):
                raise
            raise TinyganError(f"{self.size} workers could not be started ({error.strerror or error}): use fewer") from error
        return self

    def _become(self, rank):
        """What makes a copy rank `rank`: it is silent, and ends with the first process, not by Ctrl-C."""
        self.rank, self._rows, self._children = rank, slice(rank, rank + 1), {}
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
        warnings.simplefilter("ignore")
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            if signal.getsignal(signal.SIGTERM) != signal.SIG_IGN:
                signal.signal(signal.SIGTERM, lambda number, frame: self.tell(number))

    def __exit__(self, kind, error, trace):
        if self.rank:
            if kind:
                self._notes[self.rank, 1:] = np.frombuffer(last_words(error, trace), np.uint8)
            os._exit(1 if kind else 0)
        super().__exit__(kind, error, trace)
        waited = 0.0
        if self._children:                      # there is memory to tell them in
            self._memory[0, 0, 8] = 1
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
        pack(turn[self.rank, HEAD:HEAD + bytes_].view(dtype), arrays, weight)
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
        if self.size <= cores() and any(post.acquire(False) for _ in range(LOOKS)):      # who looks needs a core to itself
            return
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


@contextmanager
def _signals_wait():
    """Inside of the block Ctrl-C and SIGTERM wait, and at its end this process receives them. Python ignores what a handler
    raises while it forks, so the signal would be lost; and a copy would raise it before it knows that it is one."""
    here, received, before = os.getpid(), [], {}
    if threading.current_thread() is threading.main_thread():
        before |= {number: handler for number in (signal.SIGINT, signal.SIGTERM)
                   if callable(handler := signal.getsignal(number))}
    for number in before:
        signal.signal(number, lambda number, frame: received.append(number))
    try:
        yield
    finally:
        if os.getpid() == here:             # a copy has handlers of its own by now
            for number, handler in before.items():
                signal.signal(number, handler)
            for number in received:
                signal.raise_signal(number)


def _shared(*shape):
    """Bytes that this process and its copies share."""
    return np.frombuffer(mmap.mmap(-1, int(np.prod(shape))), np.uint8).reshape(shape)


def last_words(error, trace):
    """The error and where it was raised, in NOTE − 1 bytes."""
    frame = traceback.extract_tb(trace)[-1]
    place = "" if isinstance(error, TinyganError) else f" ({os.path.basename(frame.filename)}, line {frame.lineno})"
    return f"{type(error).__name__}: {brief(error)}{place}".encode()[:NOTE - 1].ljust(NOTE - 1, b"\0")


@functools.cache
def cores():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cannot_fork():
    """Why there can be no Forked group here, as a sentence; "" if there can."""
    if not hasattr(os, "fork") or sys.platform == "darwin":     # macOS has it, but its libraries do not survive it
        return f"{platform.system()} cannot fork a process that computes: use one worker (--workers 1), or MPI (--workers mpi)"
    try:
        import multiprocessing.synchronize  # noqa: F401 (which fails where the system has no semaphores)
    except ImportError as error:
        return f"this system has no semaphores to share ({error}): use one worker (--workers 1), or MPI (--workers mpi)"
    return ""
