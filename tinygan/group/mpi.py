"""Ranks that mpiexec has started, on one machine or many."""
import functools
import os
import pickle
import sys
import time

import numpy as np

from ..errors import TinyganError, brief
from .forked import last_words
from .ranks import Several, pack

LEAVE = 2.0            # seconds within which all ranks must have failed for it to be one failure


class Mpi(Several):
    """The processes that `mpiexec -n SIZE …` has started, on one machine or many.

    A message is cut into as many parts as there are ranks: each rank gets everyone's share of its own part, adds it up in
    order, and passes the sum on. So a rank sends about twice the message, however many there are.
    An exception that only some ranks raise ends all of them (MPI_Abort), since the others would wait for ever.
    TinyganError without mpi4py or without an MPI library."""

    def __init__(self):
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:            # RuntimeError: mpi4py is there, and no MPI library
            raise TinyganError(f"MPI cannot be used ({brief(error)}): pip install mpi4py mpich") from error
        self._comm, self._end, self._signal = MPI.COMM_WORLD, MPI.COMM_WORLD.Dup(), 0
        self.rank, self.size = self._comm.rank, self._comm.size

    def __enter__(self):
        if self.rank:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")
        return super().__enter__()

    def __exit__(self, kind, error, trace):
        super().__exit__(kind, error, trace)
        if kind and not self._all_leave():
            print(f"rank {self.rank} of {self.size}: {last_words(error, trace).decode(errors='replace')}".rstrip("\0"),
                  file=sys.stderr, flush=True)
            time.sleep(0.5)                                     # mpiexec drops what it has not passed on when it aborts
            self._comm.Abort(1)
            os._exit(1)                                         # where Abort should return
        if kind and self.rank:
            sys.stderr = open(os.devnull, "w", encoding="utf-8")                  # the first rank tells it

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
        pack(parts.reshape(-1), arrays, weight)
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
        told = max(number for number, _ in notes)
        self._signal = told or self._signal                     # of its own, if one came while it waited for the others
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
