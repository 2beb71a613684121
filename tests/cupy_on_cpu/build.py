"""Compiling, and keeping what was compiled.

A file in the cache is named after everything it depends on and never changes. It is made in a folder of its own and
moved to its place when it is whole, so any number of threads and processes may want the same file at once."""
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parent / "c"


class Cache:
    """A folder of compiled files, and the texts they were compiled from."""

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.compiler = output(["g++", "--version"])       # another compiler, another file

    def key(self, *parts):
        """A name that no other parts have: of texts, paths and lists of them."""
        return hashlib.sha256(repr((self.compiler, parts)).encode()).hexdigest()[:32]

    def write(self, name, text):
        """The file `name` with this text."""
        return self._make(name, lambda unfinished: unfinished.write_text(text))

    def compile(self, name, command):
        """The file `name`, made by `command -o FILE`."""
        return self._make(name, lambda unfinished: output([*command, "-o", str(unfinished)]))

    def library(self, name, command, sources, *options):
        """The shared library that the compiler makes of these files; other files they include must be among `sources`
        too, only those ending in .c or .cpp are handed over."""
        contents = [source.read_text() for source in sources]
        files = [str(source) for source in sources if source.suffix in (".c", ".cpp")]
        command = [command, "-O3", "-fPIC", "-shared", *files, *options]
        return self.compile(f"{name}-{self.key(command, contents)}.so", command)

    def _make(self, name, make):
        target = self.folder / name
        if not target.exists():
            with tempfile.TemporaryDirectory(prefix="unfinished-", dir=self.folder) as folder:
                unfinished = Path(folder, name)
                make(unfinished)
                os.replace(unfinished, target)
        return target


def output(command):
    """What the command prints. RuntimeError with all it had to say if it fails."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{result.stdout}{result.stderr}")
    return result.stdout
