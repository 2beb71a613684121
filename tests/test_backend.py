"""Threads and devices."""
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

import tinygan as tg
from tinygan import backend


def blas_threads():
    """Of the BLAS that NumPy calls: SciPy, where a lesson has imported it, brings another of its own."""
    known = {library.filepath for library in backend._controller.lib_controllers}
    return [library["num_threads"] for library in threadpool_info()
            if library["user_api"] == "blas" and library["filepath"] in known]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_every_chunk_is_worked_once_and_blas_is_restored(threads):
    with threadpool_limits(threads, user_api="blas"):
        before, done, inside = blas_threads(), [], []

        def work(chunk):
            inside.extend(blas_threads())
            done.append(chunk)

        backend.parallel(work, list(range(20)))
        assert sorted(done) == list(range(20)) and set(inside) <= {1} and blas_threads() == before


def test_blas_is_restored_after_an_error():
    before = blas_threads()

    def work(chunk):
        raise KeyError(chunk)

    with pytest.raises(KeyError):
        backend.parallel(work, [1, 2, 3])
    assert blas_threads() == before


def test_nested_and_from_several_threads():
    done, before = [], blas_threads()

    def outer(chunk):
        backend.parallel(lambda inner: done.append((chunk, inner)), range(5))

    callers = [threading.Thread(target=backend.parallel, args=(outer, range(4))) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=30)
    assert len(done) == 60 and blas_threads() == before


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_can_work():
    backend.parallel(lambda chunk: None, range(8))
    child = os.fork()
    if child == 0:
        done = []
        backend.parallel(done.append, list(range(8)))
        os._exit(0 if len(done) == 8 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_missing_device_has_a_reason():
    works, reason = backend.available("cuda")
    if works:
        pytest.skip("there is a GPU here")
    assert reason and "CPU" in reason
    with pytest.raises(tg.TinyganError):
        tg.to_device(np.ones(2), "cuda")
    assert backend.available("cpu")[0] and not backend.available("tpu")[0]


def test_to_numpy_takes_arrays_tensors_and_numbers():
    for x in (np.ones(2), tg.Tensor(np.ones(2)), [1.0, 1.0]):
        np.testing.assert_array_equal(tg.to_numpy(x), 1)


def test_seed_restarts_the_stream_of_new_layers():
    tg.seed(5)
    one = tg.Dense(3, 3).weight.data
    tg.seed(5)
    np.testing.assert_array_equal(one, tg.Dense(3, 3).weight.data)


def threads_at_work(n, numbers=None):
    """How many different threads work on n chunks that all wait for each other (or one second)."""
    barrier, seen = threading.Barrier(n), set()

    def work(chunk):
        seen.add(threading.get_ident())
        try:
            barrier.wait(timeout=1)
        except threading.BrokenBarrierError:
            pass

    backend.parallel(work, range(n), numbers)
    return len(seen)


def test_as_many_threads_work_as_blas_may_use():
    for threads in (2, 1, 3, 3, 2):                         # twice the same: nothing of one call is left for the next
        with threadpool_limits(threads, user_api="blas"):
            assert threads_at_work(threads) == threads
    with threadpool_limits(2, user_api="blas"):
        assert threads_at_work(2, numbers=backend.ALONE) == 2 and threads_at_work(2, numbers=backend.ALONE - 1) == 1


def test_work_inside_work_stays_on_its_thread():
    inside = []

    def outer(chunk):
        here = threading.get_ident()
        backend.parallel(lambda inner: inside.append(threading.get_ident() == here), range(20))

    with threadpool_limits(2, user_api="blas"):
        backend.parallel(outer, range(4))
        assert blas_threads() == [2] * len(blas_threads()) and inside == [True] * 80
        within = []
        backend.parallel(lambda chunk: within.append(threads_at_work(2)), [0])      # though a second thread stands idle
        assert within == [1]
        assert threads_at_work(2) == 2


def test_an_error_in_a_helper_reaches_the_caller():
    caller, both = threading.get_ident(), threading.Barrier(2)

    def work(chunk):
        both.wait(timeout=10)
        if threading.get_ident() != caller:
            raise KeyError("in the helper")

    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(KeyError, match="in the helper"):
            backend.parallel(work, range(2))
        assert blas_threads() == [2] * len(blas_threads()) and threads_at_work(2) == 2


def in_a_child(check):
    """Fork; is check() true in the child, within ten seconds?"""
    child = os.fork()
    if child == 0:
        signal.alarm(10)                                    # a child that hangs is ended, and its status says so
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_has_threads_and_limits_of_its_own():
    with threadpool_limits(2, user_api="blas"):
        assert threads_at_work(2) == 2                      # so there is a pool, which the child must not use
        assert in_a_child(lambda: threads_at_work(2) == 2)
        with backend.one_blas_thread():
            assert in_a_child(lambda: blas_threads() == [2] * len(blas_threads()) and threads_at_work(2) == 2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_does_not_wait_for_a_lock_that_nobody_will_open():
    held, done = threading.Event(), threading.Event()

    def hold():
        with backend._lock:
            held.set()
            done.wait(timeout=20)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(timeout=10)
    works = in_a_child(lambda: threads_at_work(1) == 1)
    done.set()
    other.join()
    assert works


@given(total=st.integers(0, 40), size=st.integers(-1, 45))
def test_chunks_cover_everything_once(total, size):
    pieces = backend.chunks(np.zeros((total, 2)), size)
    assert [i for piece in pieces for i in range(piece.start, piece.stop)] == list(range(total))
    assert all(0 < piece.stop - piece.start <= max(1, size) for piece in pieces)


@pytest.mark.parametrize("shape", [(1, 1), (700, 3), (3, 700), (1300, 600), (600, 1300), (0, 4), (4, 0)])
def test_strips_make_up_the_whole_product(shape, rng):
    a, b = rng.standard_normal((shape[0], 5)).astype(np.float32), rng.standard_normal((5, shape[1])).astype(np.float32)
    product = backend.matmul(a, b)
    assert product.dtype == np.float32 and product.shape == shape
    np.testing.assert_allclose(product, a.astype(np.float64) @ b, atol=1e-5)


@pytest.mark.parametrize("shape", [(), (3,), (7, 9), (300, 400), (1100, 1000), (0, 2)])
def test_elementwise_meets_every_element_once(shape):
    counts = np.zeros(shape)

    def kernel(block, ones):
        block += ones

    backend.elementwise(kernel, counts, np.ones(shape))
    np.testing.assert_array_equal(counts, 1)


def test_devices_by_name():
    array = np.ones(2)
    assert tg.to_device(array, "cpu") is array and tg.to_device(tg.Tensor(array), "cpu") is array
    assert backend.device_of(array) == "cpu" and backend.array_module(array.sum()) is np
    assert "'tpu'" in backend.available("tpu")[1] and "'cpu' or 'cuda'" in backend.available("tpu")[1]
    with pytest.raises(tg.TinyganError, match="'tpu'"):
        tg.to_device(array, "tpu")


def test_like_takes_the_dtype():
    assert backend.like(np.ones(2), np.ones(3, np.float32)).dtype == np.float32


def test_two_seeds_are_two_streams():
    tg.seed(5)
    five = backend.stream.random()
    tg.seed(6)
    assert backend.stream.random() != five
    tg.seed(0)


def test_importing_tinygan_is_light():
    """Neither CuPy nor what draws, downloads or shows progress comes with it: each waits until it is asked for."""
    heavy = ("cupy", "matplotlib", "PIL", "pooch", "tqdm", "torch", "scipy")
    code = f"import sys, tinygan; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
