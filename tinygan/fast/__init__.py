"""The machine room: what exists only to be fast.

Each kernel here has a plain twin in the book, with the same arguments and the same result, which says what it computes.
The book chooses between the two with pick(plain, fast); inside of `with plain():` it runs its own, so that a debugger
walks the lines that the text explains.

    kernels.py      how a kernel is run: in blocks on the CPU, in one launch on a GPU
    pointwise.py    LeakyReLU, Adam
    conv.py         the three maps of a convolution by matrix products
    norm.py         batch normalisation in two passes over the data each way
    graph.py        on a GPU, a whole round of the game as one launch; it has no twin, as it plays the round itself
    cublas.py       the matrix products that such a graph can hold
"""
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_here = threading.local()


@contextmanager
def plain() -> Iterator[None]:
    """with plain(): the book itself runs, in this thread: plain kernels, and every derivative as it is written.

    Some twenty-five times slower than the fast kernels, and equal to them but for rounding."""
    before, _here.plain = is_plain(), True
    try:
        yield
    finally:
        _here.plain = before


def is_plain():
    """Are the plain kernels to run, in this thread?"""
    return getattr(_here, "plain", False)


def pick(plain, fast):
    """The plain function inside of `with plain():`, the fast one elsewhere."""
    return plain if is_plain() else fast
