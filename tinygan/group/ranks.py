"""A rank and what it does with a batch: by itself, and as one of several."""
import threading
from contextlib import ExitStack

import numpy as np
from threadpoolctl import ThreadpoolController

from ..errors import TinyganError
from ..tensor import Tensor, record

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


class Several(Alone):
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
        return self._sums(arrays, self._weight) if arrays else []

    def _sums(self, arrays, weight):
        """[Σ_r weight_r·array_r of each]: one after the other they make up the message."""
        total = self._total_of(arrays, weight)
        ends = np.cumsum([array.size for array in arrays])
        return [total[end - array.size:end].reshape(array.shape) for array, end in zip(arrays, ends)]

    def __enter__(self):
        if current().size > 1:
            raise TinyganError("got a group inside of a group: leave the outer one first")
        self._total, self._rows, self._weight = self.size, slice(self.rank, self.rank + 1), 1 / self.size
        self._blas = ExitStack()
        self._blas.enter_context(ThreadpoolController().limit(limits=1, user_api="blas"))       # a rank is one thread
        return super().__enter__()

    def __exit__(self, kind, error, trace):
        super().__exit__(kind, error, trace)
        self._blas.close()


def pack(message, arrays, weight):
    """message ← weight · the arrays, one after the other"""
    end = 0
    for array in arrays:
        start, end = end, end + array.size
        np.multiply(array.reshape(-1), weight, out=message[start:end], casting="unsafe")
