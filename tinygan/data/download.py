"""The full MNIST, 70,000 digits, from the Internet: four files, 12 MB, fetched once and kept.

Source: LeCun, Cortes & Burges, "The MNIST database of handwritten digits" (1998).
"""
import hashlib
import re
import sys
import tempfile
import zlib
from pathlib import Path

from ..errors import TinyganError
from .idx import PIECE, open_unpacked

MIRRORS = ("https://storage.googleapis.com/cvdf-datasets/mnist/",
           "https://ossci-datasets.s3.amazonaws.com/mnist/")
TIMEOUT = 20            # seconds to wait for a connection, and for each next piece of a file

# MD5 of the file as the mirrors pack it, SHA-256 of what it unpacks to.
FILES = {
    "train-images-idx3-ubyte.gz": ("f68b3c2dcbeaaa9fbdd348bbdeb94873",
                                   "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train-labels-idx1-ubyte.gz": ("d53e105ee54ea40749a09fcbcd1e9432",
                                   "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte.gz": ("9fb629c4189551a2d022fa330f9573f3",
                                  "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte.gz": ("ec29112dd5afa0611ce80d1b7f02629c",
                                  "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}
WITHOUT_NETWORK = "give --data DIR with the four files, or use the 5,000 digits in the package (`tinygan train digits`)"


def download_mnist(cache=None, progress=True) -> Path:
    """The folder, for mnist_folder, that holds the four MNIST files; those not there yet are fetched.

    The folder is `cache`, or else tinygan/mnist where the system keeps caches. A file gets its name there only after its
    checksum has been found right; another file of that name is removed. After its first failure a mirror is given up for
    the next one.
    TinyganError when no mirror is left or the folder cannot be written to; the files fetched until then stay, so that
    another call goes on from there."""
    import pooch            # here and below: what needs no download need not load it

    folder = pooch.os_cache("tinygan") / "mnist" if cache is None else Path(cache)
    failures = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for mirror in MIRRORS:
            failure = _fetch_missing(mirror, folder, progress)
            if failure is None:
                return folder
            failures.append(failure)
    except OSError as error:
        raise TinyganError(f"{folder} cannot keep the MNIST files ({error}), expected a folder to write to, with 12 MB free: "
                           f"make room or allow writing there, {WITHOUT_NETWORK}") from error
    raise TinyganError(f"MNIST cannot be fetched: {', and '.join(failures)}; expected the published file from one of them: "
                       f"try again later, {WITHOUT_NETWORK}")


def _fetch_missing(mirror, folder, progress):
    """Fetch from one mirror each file that is missing in the folder, or wrong there. None, or what failed, in words."""
    import pooch
    import requests

    seen = progress and sys.stderr is not None and sys.stderr.isatty()         # None: a program without a window
    fetch = pooch.HTTPDownloader(progressbar=seen, timeout=TIMEOUT)
    for name, sums in FILES.items():
        if _is_right(folder / name, *sums):
            continue
        (folder / name).unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="fetching-") as scratch:
            arrived = Path(scratch) / name
            try:
                fetch(mirror + name, str(arrived), None)
            except (requests.RequestException, ValueError) as error:        # ValueError: pooch, a length that is no number
                return f"{mirror}{name} {_in_words(error)}"
            if not _is_right(arrived, *sums):
                with open(arrived, "rb") as file:
                    start = file.read(10)
                return f"{mirror}{name} sent a wrong file ({arrived.stat().st_size} bytes that begin with {start})"
            arrived.replace(folder / name)
    return None


def _is_right(path, md5, sha256):
    """Whether this is the published file: as the mirrors pack it, or packed otherwise with the same content."""
    try:
        with open(path, "rb") as file:
            if _sum(file, "md5") == md5:
                return True
        with open_unpacked(path) as stream:
            return _sum(stream, "sha256") == sha256
    except (OSError, EOFError, zlib.error):            # not there, or a damaged gzip file
        return False


def _sum(stream, algorithm):
    hasher = hashlib.new(algorithm, usedforsecurity=False)       # else some systems forbid MD5
    while piece := stream.read(PIECE):
        hasher.update(piece)
    return hasher.hexdigest()


def _in_words(error):
    """What a mirror did instead of sending the file."""
    import requests

    if isinstance(error, requests.HTTPError):
        return f"answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"sent nothing for {TIMEOUT} seconds"
    if isinstance(error, requests.exceptions.ChunkedEncodingError) or "aborted" in str(error):
        return "broke the connection before the end"
    if isinstance(error, requests.exceptions.ProxyError):
        return "cannot be reached through the proxy that the environment names"
    if isinstance(error, requests.ConnectionError):
        cause = getattr(error.args[0], "reason", error)          # beneath urllib3's account of its attempts
        last = re.split(r"(?<!\[SSL): ", str(cause))[-1]
        return f"cannot be reached ({last})"
    return f"failed ({error})"
