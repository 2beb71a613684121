"""Blocks and devices."""
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygan as tg
from tinygan import backend, layers
from tinygan.fast import kernels


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


@given(total=st.integers(0, 40), size=st.integers(-1, 45))
def test_chunks_cover_everything_once(total, size):
    pieces = kernels.chunks(np.zeros((total, 2)), size)
    assert [i for piece in pieces for i in range(piece.start, piece.stop)] == list(range(total))
    assert all(0 < piece.stop - piece.start <= max(1, size) for piece in pieces)


@pytest.mark.parametrize("shape", [(), (3,), (7, 9), (300, 400), (1100, 1000), (0, 2)])
def test_elementwise_meets_every_element_once(shape):
    def kernel(block, ones):
        block += ones

    for counts in (np.zeros(shape), np.zeros(shape).T):             # the second lies column after column
        kernels.elementwise(kernel, counts, np.ones(counts.shape))
        np.testing.assert_array_equal(counts, 1)


def test_what_a_tensor_holds_is_no_subclass():
    """np.matrix has a product of its own; a file that is mapped into memory is an array like any other."""
    with pytest.warns(PendingDeprecationWarning):
        one, other = np.matrix([[1.0, 2.0]]), np.matrix([[3.0, 4.0]])
    product = tg.Tensor(one) * tg.Tensor(other)
    assert type(product.data) is np.ndarray and product.data.tolist() == [[3, 8]]
    assert type(tg.Tensor(np.ones(2).view(np.memmap)).data) is np.ndarray


@pytest.mark.parametrize("values, fits", [(np.ones(2, np.float16), True), (np.ones(2, ">f4"), True), (np.ones(2, int), True),
                                          (np.ones(2, complex), False), (np.array(["1", "2"]), False)])
def test_weights_are_real_numbers(values, fits):
    layer, state = tg.Dense(2, 1, bias=False), {"weight": values.reshape(2, 1)}
    if fits:
        assert layer.load_state_dict(state).weight.data.tolist() == [[1], [1]]
    else:
        with pytest.raises(tg.TinyganError, match="expected real numbers"):
            layer.load_state_dict(state)


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
    five = layers.stream.random()
    tg.seed(6)
    assert layers.stream.random() != five
    tg.seed(0)


def test_importing_tinygan_is_light():
    """Neither CuPy nor what draws, downloads or shows progress comes with it: each waits until it is asked for."""
    heavy = ("cupy", "matplotlib", "PIL", "pooch", "tqdm", "torch", "scipy")
    code = f"import sys, tinygan; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_like_lies_row_after_row(dtype):
    array = backend.like(np.arange(6.0).reshape(2, 3).T, np.ones(3, dtype))
    assert array.flags.c_contiguous and array.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_a_kernel_writes_into_an_array_that_lies_column_after_column():
    array = np.asfortranarray(np.zeros((2, 3, 2)))

    def kernel(kept, now, columns, number):
        kept += now * columns + number

    kernels.elementwise(kernel, array, np.ones((2, 3, 2)), columns=(np.array([1.0, 2.0]),), numbers=(10,))
    np.testing.assert_array_equal(array, [[[11, 12]] * 3] * 2)


def test_sums_of_no_rows_are_zero():
    np.testing.assert_array_equal(kernels.column_sums(np.zeros((0, 3))), np.zeros(3))
    total, = kernels.sums_of_rows(lambda x, column: (x * column,), np.zeros((0, 3)), columns=(np.ones(3),))
    np.testing.assert_array_equal(total, np.zeros(3))


def test_finite_numbers_whose_sum_overflows_are_finite():
    large = np.full(2, 3e38, np.float32)
    assert backend.all_finite(large, -large) and backend.all_finite(np.ones(1), np.full(2, 1e308))
    assert not backend.all_finite(large, np.array([np.inf, -np.inf], np.float32))
