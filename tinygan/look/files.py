"""Files that are whole or not there: each is written beside its place, and moved there when it is done."""
import os
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import TinyganError


@contextmanager
def whole(path, remedy="choose another place with --out"):
    """The path of a file to write, with the same ending; when the block has come to its end that file stands at `path`.

    Its name is its own: two processes that write to one place do not meet.
    TinyganError, which names the file, if it cannot be written: what stood there before stands there still.
    remedy: what else can be done about that than to make room."""
    path = Path(path)
    unfinished = path.with_name(f"unfinished-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        raise TinyganError(f"{path} could not be written ({error.strerror or error}): make room or {remedy}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def write_text(path, text, remedy="choose another place with --out"):
    """A text file in UTF-8. What no encoding knows, such as a byte of a file's name that is no letter, is written as \\x…"""
    with whole(path, remedy) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")


def check_place(path, overwrite=False, advice=""):
    """TinyganError unless a file can be made at `path`, so that it is said before the work and not after it.

    overwrite: a file that stands there may be replaced; a folder, a link or a device never is.
    advice: what else can be done about one that stands there."""
    path = Path(path)
    if os.path.lexists(path) and not (overwrite and path.is_file() and not path.is_symlink()):
        raise TinyganError(f"{path} exists already and is left as it is: choose another name{advice}")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        why = "cannot be written to" if path.parent.is_dir() else "is not there"
        raise TinyganError(f"got the file {path}, but its folder {why}, expected one to write to: make it first, or choose "
                           "another")
