"""Whatever bytes a file holds, read_idx returns the array that they spell or refuses them by name, and stays small."""

import gzip
import io
import tracemalloc
import zlib
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygan.data.idx import read_idx
from tinygan.errors import TinyganError

with np.load(io.BytesIO((resources.files("tinygan.data") / "digits.npz").read_bytes())) as archive:
    IMAGES, LABELS = archive["test_images"][:8], archive["test_labels"][:100]

REAL = [bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()
        for array in (IMAGES, LABELS)]
HEADERS = [b"\x00\x00\x08\x01", b"\x00\x00\x08\x03"]
SIZES = st.sampled_from([0, 1, 8, 28, 100, 2**16, 2**30, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A file to overwrite again and again (hypothesis allows no fixture of function scope)."""
    return tmp_path_factory.mktemp("fuzz") / "file"


def pack(content):
    return gzip.compress(content, mtime=0)


@st.composite
def arbitrary(draw):
    """Any bytes; half of them behind the beginning of a file that could be right, packed or not."""
    start = draw(st.sampled_from([b"", b"\x1f\x8b", b"\x1f\x8b\x08", pack(REAL[1])[:10], *HEADERS]))
    content = start + draw(st.binary(max_size=300))
    return pack(content) if draw(st.booleans()) else content


@st.composite
def mutated(draw):
    """A real file after one to four accidents, packed before them, between them, after them or never."""
    content = bytearray(draw(st.sampled_from(REAL)))
    accidents = draw(st.lists(st.sampled_from(["flip", "cut", "insert", "cut out", "header", "pack"]),
                              min_size=1, max_size=4))
    for accident in accidents:
        at = draw(st.integers(0, min(len(content), 40)) | st.integers(0, len(content)))
        if accident == "flip" and at < len(content):
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif accident == "cut":
            del content[at:]
        elif accident == "insert":
            content[at:at] = draw(st.binary(min_size=1, max_size=40) | st.integers(1, 3000).map(bytes))
        elif accident == "cut out":
            del content[at:at + draw(st.integers(1, 100))]
        elif accident == "header":
            field = 4 * draw(st.integers(1, 3))
            content[field:field + 4] = draw(SIZES).to_bytes(4, "big")
        elif accident == "pack":
            content = bytearray(pack(content))
    return bytes(content)


def check(scratch, content):
    """Read these bytes as a file: the one thing that all tests here assert."""
    scratch.write_bytes(content)
    tracemalloc.start()
    try:
        array = read_idx(scratch)
    except TinyganError as error:
        array, message = None, str(error)
        assert str(scratch) in message and "expected" in message and "\n" not in message
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 * len(content) + 2**20
    if array is not None:    # then an independent reading of the same bytes spells the same array
        plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        header = 4 + 4 * plain[3]
        shape = tuple(int.from_bytes(plain[at:at + 4], "big") for at in range(4, header, 4))
        assert plain[:4] in HEADERS and array.shape == shape and array.dtype == np.uint8
        assert array.tobytes() == plain[header:]
    return array


@settings(max_examples=300)
@given(content=arbitrary())
def test_arbitrary_bytes(scratch, content):
    check(scratch, content)


@settings(max_examples=300)
@given(content=mutated())
def test_mutated_real_files(scratch, content):
    check(scratch, content)


@settings(max_examples=100)
@given(header=st.sampled_from(HEADERS), sizes=st.lists(SIZES, min_size=3, max_size=3), packed=st.booleans())
def test_false_headers(scratch, header, sizes, packed):
    content = header + b"".join(size.to_bytes(4, "big") for size in sizes) + REAL[0][16:]
    check(scratch, pack(content) if packed else content)


@pytest.mark.parametrize("real", REAL)
def test_every_cut_of_a_packed_file_is_refused(scratch, real):
    packed = pack(real)
    assert check(scratch, packed) is not None
    for end in range(0, len(packed), 1 + len(packed) // 200):
        assert check(scratch, packed[:end]) is None


def test_a_packed_file_with_any_byte_of_its_data_changed_is_refused(scratch):
    packed = pack(REAL[1])
    for at in range(10, len(packed)):    # behind the gzip header, which may say anything
        assert check(scratch, packed[:at] + bytes([packed[at] ^ 0x55]) + packed[at + 1:]) is None


def test_a_bomb_is_unpacked_no_further_than_its_header_promises(scratch):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = packer.compress(REAL[1]) + b"".join(packer.compress(bytes(2**20)) for _ in range(64)) + packer.flush()
    assert len(packed) < 2**17 and check(scratch, packed) is None    # 64 MB of zeros
