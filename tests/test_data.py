"""What the package promises about its digits and mixtures, and what a damaged MNIST file can do to it."""

import gzip
import io
import itertools
import math
import shutil
import tracemalloc
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import tinygan as tg
from tinygan import data
from tinygan.data import idx
from tinygan.data.make_digits import first_of_each_class, make_digits
from tinygan.errors import TinyganError

MNIST = Path(__file__).parents[2] / "shared" / "mnist"
needs_mnist = pytest.mark.skipif(not MNIST.is_dir(), reason="no original MNIST files beside the checkout")

DIGITS_NPZ = resources.files("tinygan.data") / "digits.npz"
with np.load(io.BytesIO(DIGITS_NPZ.read_bytes())) as archive:
    PACKAGED = dict(archive)


def idx_bytes(array):
    """The inverse of read_idx, written from the format's description."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.tobytes()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A file to overwrite again and again (hypothesis allows no fixture of function scope)."""
    return tmp_path_factory.mktemp("idx") / "file"


@pytest.fixture
def folder(tmp_path):
    """A small MNIST folder: 20 real digits to train on, 10 to test on."""
    for name, key, n in [("train", "", 20), ("t10k", "test_", 10)]:
        images, labels = PACKAGED[key + "images"][:n], PACKAGED[key + "labels"][:n]
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (tmp_path / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels)))
    return tmp_path


# -------------------------------------------------------------------------------------- digits in the package

@pytest.mark.parametrize("load, per_class", [(data.digits, 500), (data.held_out_digits, 100)])
def test_packaged_digits(load, per_class):
    images, labels = load()
    assert images.shape == (10 * per_class, 28, 28, 1) and images.dtype == np.float32
    assert labels.shape == (10 * per_class,) and labels.dtype == np.uint8
    assert images.min() == -1 and images.max() == 1
    assert np.bincount(labels).tolist() == [per_class] * 10
    assert len(set(labels[:100])) == 10    # in file order, so the classes are mixed
    # Every value is a pixel of 256 on the line x/127.5 − 1, and the paper around a digit is −1.
    pixels = (images + 1) * 127.5
    assert np.abs(pixels - np.round(pixels)).max() < 1e-4
    assert (images[:, 0, 0] == -1).all()


def test_training_and_held_out_digits_are_distinct():
    (train, _), (held_out, _) = data.digits(), data.held_out_digits()
    assert len({image.tobytes() for image in np.concatenate([train, held_out])}) == 6000


def test_each_call_gives_arrays_of_its_own():
    images, labels = data.digits()
    images[:], labels[:] = 0, 0
    again = data.digits()
    assert again[0].min() == -1 and again[1].max() == 9


def test_package_data_stays_small():
    assert len(DIGITS_NPZ.read_bytes()) <= 1.3e6


def test_first_of_each_class_keeps_the_order_of_the_file():
    labels = np.array([3, 1, 3, 9, 3, 1, 1, 0], np.uint8)
    positions, chosen = first_of_each_class(np.arange(8), labels, 2)
    assert positions.tolist() == [0, 1, 2, 3, 5, 7] and chosen.tolist() == [3, 1, 3, 9, 1, 0]


@needs_mnist
def test_digits_npz_is_reproduced(tmp_path):
    make_digits(MNIST, tmp_path / "digits.npz")
    with np.load(tmp_path / "digits.npz") as made:
        assert made.files == list(PACKAGED)
        assert all(np.array_equal(made[key], PACKAGED[key]) for key in PACKAGED)


@needs_mnist
def test_digits_are_the_first_of_each_class_in_file_order():
    for load, split, per_class in [(data.digits, "train", 500), (data.held_out_digits, "test", 100)]:
        all_images, all_labels = data.mnist_folder(MNIST, split)
        seen, expected = [0] * 10, []
        for position, label in enumerate(all_labels):
            if seen[label] < per_class:
                expected.append(position)
            seen[label] += 1
        images, labels = load()
        assert np.array_equal(images, all_images[expected]) and np.array_equal(labels, all_labels[expected])


# ----------------------------------------------------------------------------------------------- the mixtures

RING = (data.ring, data.RING_MEANS, data.RING_SIGMA)
GRID = (data.grid, data.GRID_MEANS, data.GRID_SIGMA)


def test_means_are_those_of_the_protocol():
    assert data.RING_MEANS.shape == (8, 2) and data.RING_SIGMA == 0.01
    expected = [(math.cos(2 * math.pi * i / 8), math.sin(2 * math.pi * i / 8)) for i in range(8)]
    np.testing.assert_allclose(data.RING_MEANS, expected, atol=1e-7)
    assert data.GRID_MEANS.shape == (25, 2) and data.GRID_SIGMA == 0.05
    assert sorted(map(tuple, data.GRID_MEANS)) == sorted(itertools.product([-4, -2, 0, 2, 4], repeat=2))


@pytest.mark.parametrize("mixture, means, sigma", [RING, GRID])
def test_mixture_form_and_seed(mixture, means, sigma):
    points, modes = mixture()
    assert points.shape == (100_000, 2) and points.dtype == np.float32
    assert modes.shape == (100_000,) and modes.dtype == np.int64
    same, other = mixture(100_000, seed=0), mixture(100_000, seed=1)
    assert np.array_equal(points, same[0]) and np.array_equal(modes, same[1])
    assert not np.array_equal(points, other[0]) and not np.array_equal(modes, other[1])
    assert mixture(0)[0].shape == (0, 2)
    for wrong in (-1, 2.5):
        with pytest.raises(tg.TinyganError, match=f"got n {wrong}, expected an integer of at least 0"):
            mixture(wrong)


@pytest.mark.parametrize("mixture, means, sigma", [RING, GRID])
def test_a_mixture_draws_its_modes_first_and_then_their_noise(mixture, means, sigma):
    """The order of the draws decides what a seed means, and with it every run on a mixture."""
    rng, (points, modes) = np.random.default_rng(3), mixture(10, seed=3)
    drawn, noise = rng.integers(len(means), size=10), rng.standard_normal((10, 2), dtype=np.float32)
    assert np.array_equal(modes, drawn) and np.array_equal(points, means[drawn] + sigma * noise)


def test_the_first_points_of_the_ring():
    points, modes = data.ring(10)
    assert modes.tolist() == [6, 5, 4, 2, 2, 0, 0, 0, 1, 6]
    np.testing.assert_allclose(points[:2], [[0.0077745, -1.0135828], [-0.6994085, -0.7158090]], atol=1e-6)


@pytest.mark.parametrize("mixture, means, sigma", [RING, GRID])
def test_mixture_moments(mixture, means, sigma):
    """Each moment is within 5 standard errors of its value (the seed is fixed: no run fails by chance)."""
    points, modes = mixture()
    n, k = len(points), len(means)
    counts = np.bincount(modes, minlength=k)
    assert len(counts) == k
    assert np.abs(counts - n / k).max() < 5 * math.sqrt(n / k * (1 - 1 / k))          # binomial
    noise = (points.astype(np.float64) - means[modes]) / sigma                       # N(0, I) if all is right
    for c in range(k):
        own, m = noise[modes == c], counts[c]
        assert np.abs(own.mean(axis=0)).max() < 5 / math.sqrt(m)
        assert np.abs((own**2).mean(axis=0) - 1).max() < 5 * math.sqrt(2 / m)        # Var x² = 2
        assert abs((own[:, 0] * own[:, 1]).mean()) < 5 / math.sqrt(m)                # Var xy = 1
    # A share 1 − e^{−9/2} of a round Gaussian lies within 3σ: the best that any sampler can score.
    share, ceiling = (np.hypot(*noise.T) < 3).mean(), 1 - math.exp(-4.5)
    assert abs(share - ceiling) < 5 * math.sqrt(ceiling * (1 - ceiling) / n)


# -------------------------------------------------------------------------------------------------------- idx

uint8_arrays = st.sampled_from([1, 3]).flatmap(
    lambda d: arrays(np.uint8, array_shapes(min_dims=d, max_dims=d, min_side=1, max_side=9)))


@given(array=uint8_arrays, packed=st.booleans())
def test_read_idx_inverts_the_writer(scratch, array, packed):
    content = idx_bytes(array)
    scratch.write_bytes(gzip.compress(content, 1) if packed else content)
    result = idx.read_idx(scratch)
    assert result.dtype == np.uint8 and result.shape == array.shape and np.array_equal(result, array)


def test_the_content_decides_what_is_gzip_not_the_name(tmp_path):
    array = np.arange(7, dtype=np.uint8)
    (tmp_path / "plain.gz").write_bytes(idx_bytes(array))
    (tmp_path / "packed").write_bytes(gzip.compress(idx_bytes(array)))
    assert np.array_equal(data.read_idx(tmp_path / "plain.gz"), array)
    assert np.array_equal(data.read_idx(str(tmp_path / "packed")), array)


def test_an_array_of_several_pieces_is_read_whole(scratch):
    array = np.random.default_rng(0).integers(256, size=(3, 1000, 1000), dtype=np.uint8)
    assert array.size > 2 * idx.PIECE
    scratch.write_bytes(idx_bytes(array))
    assert np.array_equal(idx.read_idx(scratch), array)


LABELS = idx_bytes(np.arange(10, dtype=np.uint8))
HUGE = bytes([0, 0, 8, 3]) + (2**31).to_bytes(4, "big") + 2 * (28).to_bytes(4, "big")

REFUSALS = {
    "empty": (b"", "begins with the bytes ''"),
    "web page": (b"<!DOCTYPE html><title>403</title>", "begins with the bytes '3c 21 44 4f'"),
    "floats": (b"\x00\x00\x0d\x01" + LABELS[4:], "begins with the bytes '00 00 0d 01'"),
    "two dimensions": (b"\x00\x00\x08\x02" + LABELS[4:], "begins with the bytes '00 00 08 02'"),
    "little-endian": (b"\x01\x08\x00\x00" + LABELS[4:], "begins with the bytes '01 08 00 00'"),
    "cut in the header": (LABELS[:6], "ends after 2 bytes of sizes in its header, expected 4:"),
    "cut in the image header": (HUGE[:13], "ends after 9 bytes of sizes in its header, expected 12"),
    "one byte short": (LABELS[:-1], "holds only 9 bytes after its header, expected 10"),
    "one byte long": (LABELS + b"\x00", "holds more bytes after its header, expected 10"),
    "no images": (HUGE[:4] + bytes(4) + HUGE[8:], "promises the shape (0, 28, 28) in its header, expected 1"),
    "no images, huge": (HUGE[:4] + bytes(4) + b"\xff" * 8, "promises the shape (0, 4294967295, 4294967295)"),
    "2³¹ images": (HUGE, "promises the shape (2147483648, 28, 28) in its header, expected 1 to 1073741824"),
    "gzip cut": (gzip.compress(LABELS)[:-9], "cannot be read"),
    "gzip cut in its checksum": (gzip.compress(LABELS)[:-1], "cannot be read"),
    "gzip checksum wrong": (gzip.compress(LABELS)[:-8] + bytes(8), "cannot be read (CRC check failed"),
    "gzip stream damaged": (gzip.compress(LABELS)[:10] + b"\xff" * 9, "cannot be read (Error -3 while"),
    "gzip with garbage behind": (gzip.compress(LABELS) + b"garbage", "cannot be read (Not a gzipped file"),
    "gzip of 2³¹ images": (gzip.compress(HUGE), "promises the shape (2147483648, 28, 28)"),
    "gzip one byte long": (gzip.compress(LABELS + b"\x00"), "holds more bytes after its header, expected 10"),
}


@pytest.mark.parametrize("content, message", REFUSALS.values(), ids=REFUSALS)
def test_read_idx_refuses(scratch, content, message):
    scratch.write_bytes(content)
    with pytest.raises(TinyganError) as refusal:
        idx.read_idx(scratch)
    assert message in str(refusal.value)
    assert str(scratch) in str(refusal.value) and "expected" in str(refusal.value)


def test_read_idx_refuses_what_is_no_file(tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(TinyganError, match="cannot be read.*expected an idx file"):
            idx.read_idx(path)


def test_the_largest_allowed_size_is_not_refused_for_its_size(scratch):
    for size, message in [(idx.LARGEST, "holds only 0 bytes"), (idx.LARGEST + 1, "expected 1 to")]:
        scratch.write_bytes(bytes([0, 0, 8, 1]) + size.to_bytes(4, "big"))
        with pytest.raises(TinyganError, match=message):
            idx.read_idx(scratch)


def peak_memory(action):
    """What the action returns (or the TinyganError it raises), and the most bytes that it held at once."""
    tracemalloc.start()
    try:
        try:
            result = action()
        except TinyganError as error:
            result = error
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("packed", [False, True])
def test_a_false_header_costs_no_memory(scratch, packed):
    for content in (HUGE, bytes([0, 0, 8, 1]) + idx.LARGEST.to_bytes(4, "big")):
        scratch.write_bytes(gzip.compress(content) if packed else content)
        result, peak = peak_memory(lambda: idx.read_idx(scratch))
        assert isinstance(result, TinyganError) and peak < 3 * idx.PIECE


def test_a_gzip_bomb_is_not_expanded(scratch):
    scratch.write_bytes(gzip.compress(LABELS + bytes(30 * idx.PIECE), 1))
    result, peak = peak_memory(lambda: idx.read_idx(scratch))
    assert "holds more bytes" in str(result) and peak < 3 * idx.PIECE


REAL = idx_bytes(PACKAGED["test_images"][:8])


@st.composite
def damaged(draw):
    """Bytes of a real file after one accident, packed before it, packed after it, or never."""
    packed = draw(st.sampled_from(["before", "after", "never"]))
    content = bytearray(gzip.compress(REAL) if packed == "before" else REAL)
    accident = draw(st.sampled_from(["cut", "flip", "flip in the header", "other size", "garbage"]))
    if accident == "cut":
        del content[draw(st.integers(0, len(content) - 1)):]
    elif accident == "other size":
        start = draw(st.sampled_from([4, 8, 12]))
        content[start:start + 4] = draw(st.integers(0, 2**32 - 1)).to_bytes(4, "big")
    elif accident == "garbage":
        content += draw(st.binary(min_size=1, max_size=40))
    else:
        last = 15 if accident == "flip in the header" else len(content) - 1
        content[draw(st.integers(0, last))] ^= draw(st.integers(1, 255))
    return gzip.compress(content) if packed == "after" else bytes(content)


@settings(max_examples=300, deadline=None)
@given(content=damaged())
def test_a_damaged_file_gives_the_promised_array_or_a_refusal(scratch, content):
    scratch.write_bytes(content)
    result, peak = peak_memory(lambda: idx.read_idx(scratch))
    assert peak < 4 * idx.PIECE
    if not isinstance(result, TinyganError):
        # Some accidents leave a sound file: a pixel flipped, a file name inside the gzip header.
        # Then the array is what an independent reading of the same bytes gives.
        plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        assert idx_bytes(result) == plain


# ----------------------------------------------------------------------------------------------- MNIST folder

def test_mnist_folder(folder):
    for split, n, packaged in [("train", 20, data.digits()), ("test", 10, data.held_out_digits())]:
        images, labels = data.mnist_folder(folder, split)
        assert images.dtype == np.float32 and labels.dtype == np.uint8
        assert np.array_equal(images, packaged[0][:n]) and np.array_equal(labels, packaged[1][:n])
    assert len(data.mnist_folder(str(folder))[0]) == 20    # a path as text; "train" unless told


def test_mnist_folder_finds_the_names_with_a_dot(folder):
    expected = data.mnist_folder(folder)
    (folder / "train-images-idx3-ubyte").rename(folder / "train-images.idx3-ubyte")
    (folder / "train-labels-idx1-ubyte.gz").rename(folder / "train-labels.idx1-ubyte.gz")
    (folder / "train-labels-idx1-ubyte").mkdir()    # some archives unpack into a folder of the file's name
    assert all(np.array_equal(*pair) for pair in zip(data.mnist_folder(folder), expected))


@pytest.mark.parametrize("mark", "-.")
@pytest.mark.parametrize("outer", "-.")
def test_mnist_folder_finds_files_in_folders_of_their_names(folder, mark, outer):
    """As some archives unpack: train-images-idx3-ubyte/train-images.idx3-ubyte"""
    expected = data.mnist_folder(folder)
    for kind, number, ending in (("images", 3, ""), ("labels", 1, ".gz")):
        place = folder / f"train-{kind}{outer}idx{number}-ubyte"
        file = (folder / f"train-{kind}-idx{number}-ubyte{ending}").rename(folder / f"{kind}{ending}")
        place.mkdir()
        file.rename(place / f"train-{kind}{mark}idx{number}-ubyte{ending}")
    assert all(np.array_equal(*pair) for pair in zip(data.mnist_folder(folder), expected))


def write(name, array):
    return lambda folder: (folder / name).write_bytes(idx_bytes(np.asarray(array, np.uint8)))


def remove(name):
    return lambda folder: (folder / name).unlink()


IMAGES, LABELS_GZ = "train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"
FOLDER_REFUSALS = {
    "absent": (shutil.rmtree, "is not a folder"),
    "empty": (lambda folder: [path.unlink() for path in folder.iterdir()], "holds nothing, expected"),
    "no images": (remove(IMAGES), "holds t10k-images-idx3-ubyte, .* expected " + IMAGES),
    "no labels": (remove(LABELS_GZ), "expected train-labels-idx1-ubyte or " + LABELS_GZ),
    "image size": (write(IMAGES, np.zeros((20, 28, 27))), IMAGES + r" holds .* \(20, 28, 27\), expected"),
    "labels as images": (write(IMAGES, np.zeros(20)), IMAGES + r" holds .* \(20,\), expected \(N, 28, 28\)"),
    "counts differ": (write(LABELS_GZ, np.zeros(19)), LABELS_GZ + r" holds .* \(19,\), expected \(20,\)"),
    "images as labels": (write(LABELS_GZ, np.zeros((20, 28, 28))), LABELS_GZ + r" holds .* expected \(20,\)"),
    "label 10": (write(LABELS_GZ, [10] + [0] * 19), LABELS_GZ + " holds the label 10, expected 0 to 9"),
    "damaged": (lambda folder: (folder / IMAGES).write_bytes(b"?"), IMAGES + " begins with the bytes '3f'"),
}


@pytest.mark.parametrize("harm, message", FOLDER_REFUSALS.values(), ids=FOLDER_REFUSALS)
def test_mnist_folder_refuses(folder, harm, message):
    harm(folder)
    with pytest.raises(TinyganError, match=message):
        data.mnist_folder(folder)


def test_mnist_folder_refuses_an_unknown_split(folder):
    with pytest.raises(TinyganError, match="MNIST split 'valid', expected 'train' or 'test'"):
        data.mnist_folder(folder, "valid")


@needs_mnist
def test_the_original_files():
    for split, n, first in [("train", 60_000, [5, 0, 4, 1, 9]), ("test", 10_000, [7, 2, 1, 0, 4])]:
        images, labels = data.mnist_folder(MNIST, split)
        assert images.shape == (n, 28, 28, 1) and images.dtype == np.float32
        assert images.min() == -1 and images.max() == 1
        assert labels.shape == (n,) and labels.dtype == np.uint8 and labels[:5].tolist() == first
