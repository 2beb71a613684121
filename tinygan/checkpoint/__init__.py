"""Files that survive: arrays and a description in one .npz, without pickle, never half written, never trusted when read.

Written beside its place, flushed to the disk, then moved there: at every moment a whole file stands at `path`, whatever
kills the process and whoever else writes there. The one that it replaces can stay as `….previous.npz`. Where a symbolic
link stands in the place of either, the file that it points to is written, and the link stays.
"""
import errno
import json
import os
import shutil
import uuid
import zipfile
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from ..errors import TinyganError, brief

KINDS = "fiubU"         # of numbers and text: all that is ever written
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}        # what a system says when there is no room


def previous(path):
    """Where the file stays that the one at `path` replaced."""
    path = Path(path)
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def write(path, description, arrays, keep=True):
    """Write `description` (what JSON can hold, and NumPy's numbers) and `arrays` {name: NumPy array} to path, or to the file
    that a link at `path` points to.

    keep: let the file that stood there live on under its other name.
    TinyganError if the disk is full or the file cannot be written; the one that stood there stands there still."""
    path, second = Path(path), previous(path)
    for place in (path, second) if keep else (path,):
        if os.path.isdir(place):
            raise TinyganError(f"{place} is a folder, expected a file or nothing there: give the path of a file, "
                               f"such as {place / 'checkpoint.npz'}, or move the folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _beside(path) as unfinished:
            with open(unfinished, "xb") as file:
                np.savez(file, description=np.array(json.dumps(description, default=lambda x: x.tolist())), **arrays)
                file.flush()
                os.fsync(file.fileno())
            if keep and path.exists():
                link(path, second)
        _flush_folder(path.resolve().parent)
    except OSError as error:
        kept = "what stood there before is untouched" if os.path.exists(path) else "nothing stands there"
        remedy = "make room or " if error.errno in FULL else ""
        raise TinyganError(f"{path} could not be written ({error.strerror or error}): {remedy}choose another "
                           f"folder; {kept}") from error


@contextmanager
def _beside(path):
    """The path of a file yet to be made, beside the one at `path` or the one that it links to, which it replaces at the end.

    Its name is its own: two processes that write to one place do not meet."""
    place = Path(os.path.realpath(path))
    unfinished = place.with_name(f"{place.name}.{uuid.uuid4().hex}.unfinished")
    try:
        yield unfinished
        os.replace(unfinished, place)
    finally:
        unfinished.unlink(missing_ok=True)


def link(path, second):
    """Give the file at `path` a second name, so that it outlives being replaced."""
    with _beside(second) as name:
        try:
            os.link(os.path.realpath(path), name)
        except OSError:                     # a file system without links
            shutil.copyfile(path, name)


def _flush_folder(folder):
    """Let the new name reach the disk too, where the system can be asked to. The file is whole under it anyway."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):             # network shares refuse it
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
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        what = "is a folder" if path.is_dir() else "does not exist"
        raise TinyganError(f"there is no checkpoint {path}, as it {what}: give the path of a checkpoint.npz that tinygan "
                           "wrote") from None
    except PermissionError as error:
        raise TinyganError(f"{path} could not be read ({error.strerror}): allow it to be read, or give another") from error
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
