"""Files that survive: arrays and a description in one .npz, without pickle, never half written, never trusted when read.

Written beside its place, flushed to the disk, then moved there: at every moment a whole file stands at `path`, whatever
kills the process. The one that it replaces can stay as `….previous.npz`.
"""
import json
import os
import shutil
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from ..errors import TinyganError, brief

KINDS = "fiubU"         # of numbers and text: all that is ever written


def previous(path):
    """Where the file stays that the one at `path` replaced."""
    path = Path(path)
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def write(path, description, arrays, keep=True):
    """Write `description` (what JSON can hold) and `arrays` {name: NumPy array} to path.

    keep: let the file that stood there live on under its other name.

    TinyganError if the disk is full or the folder cannot be written to; the file that stood there stands there still."""
    path = Path(path)
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(unfinished, "wb") as file:
            np.savez(file, description=np.array(json.dumps(description)), **arrays)
            file.flush()
            os.fsync(file.fileno())
        if keep and path.exists():
            _keep(path)
        os.replace(unfinished, path)
        _flush_folder(path.parent)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        kept = "what stood there before is untouched" if path.exists() else "nothing stands there"
        raise TinyganError(f"{path} could not be written ({error.strerror or error}): make room or choose another "
                           f"folder; {kept}") from error


def _keep(path):
    """Give the file at `path` its second name, previous(path), so that it outlives being replaced."""
    second = path.with_name(path.name + ".second")
    second.unlink(missing_ok=True)
    try:
        os.link(path, second)
    except OSError:                     # a file system without links
        shutil.copyfile(path, second)
    os.replace(second, previous(path))


def _flush_folder(folder):
    """Let the new name reach the disk too, where the system can be asked to."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read(path):
    """(description, arrays) of a file that write() wrote.

    TinyganError for a missing, damaged or foreign file. Nothing is unpickled, and no array is made that is larger than the
    file: its header is compared with what the archive holds first. Each part's checksum is compared by zipfile."""
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {member.filename.removesuffix(".npy"): _array(archive, member, path) for member in archive.infolist()}
        return json.loads(str(arrays.pop("description"))), arrays
    except FileNotFoundError:
        raise TinyganError(f"there is no checkpoint {path}: give the path of a checkpoint.npz that tinygan wrote") from None
    except (OSError, EOFError, KeyError, ValueError, TypeError, AttributeError, NotImplementedError, RuntimeError,
            SyntaxError, OverflowError, RecursionError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise damaged(path, error) from error


def damaged(path, error):
    """The TinyganError for a file that cannot be used."""
    other = previous(path)
    hint = f"the one before it is {other}" if other.exists() else "use another copy"
    return TinyganError(f"{path} is damaged or no checkpoint of tinygan ({type(error).__name__}: {brief(error)}): {hint}; "
                        "the file is left as it is")


def _array(archive, member, path):
    if member.compress_type != zipfile.ZIP_STORED or member.file_size > path.stat().st_size:
        raise ValueError(f"{member.filename} claims {member.file_size:,} bytes")
    with archive.open(member) as file:
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
        count = int(np.prod(shape, dtype=object))
        if dtype.kind not in KINDS or count * dtype.itemsize != member.file_size - file.tell():
            raise ValueError(f"{member.filename} claims {count:,} numbers of type {dtype}, which it does not hold")
        data = file.read()              # to the end, where zipfile compares the checksum
    return np.frombuffer(data, dtype, count).reshape(shape, order="F" if fortran else "C").copy()
