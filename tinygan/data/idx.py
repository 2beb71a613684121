"""idx, the file format of MNIST.

    4 bytes    magic number: 0, 0, element type (8: unsigned byte), number of dimensions
    4 bytes    the size of each dimension in turn, big-endian
    the rest   the elements, last dimension fastest

Source: LeCun, Cortes & Burges, "The MNIST database of handwritten digits" (1998), for its description of the format.
"""
import gzip
import math
import zlib

import numpy as np

from ..errors import TinyganError

DIMENSIONS = {b"\x00\x00\x08\x01": 1, b"\x00\x00\x08\x03": 3}       # magic number of labels, of images
GZIP_MAGIC = b"\x1f\x8b"
LARGEST = 2 ** 30           # bytes, twice what the largest set of this kind holds: EMNIST by class, 697,932 · 28 · 28
PIECE = 2 ** 18             # bytes that are read at a time


def read_idx(path) -> np.ndarray:
    """The array in one idx file: uint8 (N,) from a label file, (N, H, W) from an image file.

    The file may be gzip-compressed: its content decides, not its name. What is held in memory is never more than the
    header promises, nor more than the file contains, so a false header costs nothing.
    TinyganError unless the file holds exactly what its header promises."""
    try:
        with open_unpacked(path) as stream:
            shape = _read_shape(stream, path)
            size = math.prod(shape)
            elements = _read_at_most(stream, size + 1)              # one more, to notice an excess
    except (OSError, EOFError, zlib.error) as error:
        raise TinyganError(f"{path} cannot be read ({error}), expected an idx file, plain or gzip: "
                           "check the path, or fetch the file again") from error
    if len(elements) != size:
        amount = "more" if len(elements) > size else f"only {len(elements)}"
        raise TinyganError(f"{path} holds {amount} bytes after its header, expected {size} for the shape {shape} that the "
                           "header promises: fetch the file again")
    return np.frombuffer(elements, np.uint8).reshape(shape)


def open_unpacked(path):
    """The file as a stream of bytes, which is unpacked while it is read if the file is gzip-compressed."""
    with open(path, "rb") as file:
        compressed = file.read(2) == GZIP_MAGIC
    return (gzip.open if compressed else open)(path, "rb")


def _read_shape(stream, path):
    """The header: a tuple of one or three sizes."""
    magic = stream.read(4)
    if magic not in DIMENSIONS:
        raise TinyganError(f"{path} begins with the bytes '{magic.hex(' ')}', expected '00 00 08 01' (labels) or "
                           "'00 00 08 03' (images): give an idx file of unsigned bytes")
    count = 4 * DIMENSIONS[magic]
    sizes = stream.read(count)
    if len(sizes) != count:
        raise TinyganError(f"{path} ends after {len(sizes)} bytes of sizes in its header, expected {count}: "
                           "fetch the file again")
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    if not 1 <= math.prod(shape) <= LARGEST:
        raise TinyganError(f"{path} promises the shape {shape} in its header, expected 1 to {LARGEST} bytes: "
                           "fetch the file again")
    return shape


def _read_at_most(stream, count):
    """The next `count` bytes of the stream, fewer if it ends first.

    In pieces, because stream.read(count) reserves all of `count` before it knows how much there is."""
    content = bytearray()
    while piece := stream.read(min(PIECE, count - len(content))):
        content += piece
    return content
