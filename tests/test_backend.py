"""Threads and devices."""
import os
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import tinygan as tg
from tinygan import backend


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


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
