"""The folder of a run or of a lesson: made, described in config.json, and never overwritten unasked.

Lessons need no more of a run than this file, so nothing that draws is imported here.
"""
import json
import os
import platform
import re
import signal
import sys
import threading
import zlib
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

import numpy as np

from ..errors import TinyganError, brief
from ..look.files import write_text
from .presets import PRESETS, STUDIES

CONFIG_TYPES = {"preset": str, "steps": int, "batch_size": int, "seed": int, "data": (str, type(None)), "images": str,
                "workers": int, "network": dict, "score_every": (int, type(None)), "save_every": (int, type(None)),
                "changes": list}
OLDER = {"workers": 1, "network": {}, "score_every": None, "save_every": None, "changes": []}      # runs that do not say
ALWAYS = {"steps", "seed", "tinygan", "python", "numpy", "system"}      # what each config.json has, a lesson's too
OWN = re.compile(r"""(unfinished-([0-9a-f]{8}-)?)?(
    (config|result|scores)\.json | (checkpoint(\.previous)?|frames|best)\.npz | metrics\.csv | report\.html | training\.gif
    | (samples|progress|losses|landscape|scores)\.png                                                          # a training
    | (best-)?(samples-\d+-\d+(-keep-[\d.]+)?\.png | walk-\d+-\d+\.(gif|png))                               # and sample
    | (rates|results|game)\.csv | (portrait|optimal|game)\.png | (portrait|game)\.gif                           # a study
    | results\.(json|md) | (projection|planes|stripes|nothing|codes|labelled|errors|maps|reconstructed|walk|arithmetic
    |unit|gradient|nearest|overlap|vae|pairs|styles|line|kept|trade)\.png                                      # a lesson
    )((\.\w+)?\.(unfinished|second))?""", re.VERBOSE)       # unfinished, second: what a killed process leaves


def prepare(folder, overwrite):
    """Make the folder. One that holds anything is emptied only when that was asked for and tinygan wrote all that it holds."""
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            if not overwrite:
                raise TinyganError(f"{folder} exists already and is left as it is: "
                                   "choose another folder with --out, go on with --resume, or --overwrite")
            if reason := _not_ours(folder):
                raise TinyganError(f"{folder} is left as it is, for {reason}, and --overwrite replaces nothing but folders "
                                   "that tinygan wrote: choose another folder with --out")
            _clear(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TinyganError(f"{folder} cannot be made or written to ({error.strerror or error}): choose another place "
                           "with --out") from error


@contextmanager
def prepared(folder, overwrite):
    """prepare(), and a block that fails before there is a checkpoint leaves nothing: the mended call finds the place free.
    So does one that is ended by Ctrl-C or by SIGTERM."""
    new = not os.path.lexists(folder)
    prepare(folder, overwrite)
    try:
        with _ended_by_sigterm():
            yield
    except BaseException:
        if not (folder / "checkpoint.npz").exists():
            with suppress(OSError):
                _clear(folder)
                if new:
                    folder.rmdir()
        raise


@contextmanager
def _ended_by_sigterm():
    """Inside of the block SIGTERM raises SystemExit(128 + its number), so that what cleans up at Ctrl-C cleans up here too.
    A handler of somebody's own, or none that Python knows, is left alone; no thread but the main one may set any."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _not_ours(folder):
    """Why the folder may not be replaced; "" if it may."""
    if folder.is_symlink() or not folder.is_dir():
        return "it is a link" if folder.is_symlink() else "it is no folder"
    here = folder.resolve()
    for place, what in ((Path.cwd(), "you are working in it"), (Path(os.path.expanduser("~")), "your home lies in it")):
        if here in (place.resolve(), *place.resolve().parents):
            return what
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        written = isinstance(config, dict) and ALWAYS <= config.keys() and bool({"preset", "lesson"} & config.keys())
    except (OSError, ValueError, RecursionError):
        written = False
    if not written:
        return "it has no config.json that tinygan wrote"
    others = sorted(path.name for path in folder.iterdir() if not _is_own(path))
    return f"{brief(', '.join(others))} in it is not tinygan's" if others else ""


def _is_own(path):
    return bool(OWN.fullmatch(path.name)) and path.is_file() and not path.is_symlink()


def _clear(folder):
    """Remove tinygan's own files from the folder."""
    for path in filter(_is_own, list(folder.iterdir())):
        path.unlink()


def write_config(folder, config):
    """config.json: what was run, enough to run it again."""
    write_text(folder / "config.json", json.dumps(config, indent=1, default=lambda number: number.tolist()) + "\n")


def read_config(path):
    """The config.json of a run.  TinyganError if it is missing, damaged, or of a preset that does not exist."""
    try:
        if path.stat().st_size > 1 << 20:
            raise ValueError("it is larger than 1 MB")
        config = json.loads(path.read_text(encoding="utf-8"))
        config |= {key: value for key, value in OLDER.items() if key not in config}
        if config["preset"] in STUDIES:
            raise TinyganError(f"{path.parent} holds the study {config['preset']}, which takes seconds and is not "
                               f"resumed: run `tinygan train {config['preset']} --out {path.parent} --overwrite`")
        for key, kind in CONFIG_TYPES.items():
            if not isinstance(config[key], kind) or isinstance(config[key], bool):
                raise ValueError(f"its {key} is {config[key]!r}")
        if not all(isinstance(change["after_step"], int) for change in config["changes"]):
            raise ValueError(f"its changes are {config['changes']!r}")
        if config["preset"] not in PRESETS or min(config[key] for key in ("steps", "batch_size", "workers")) < 1:
            raise ValueError(f"it is a run of {config['preset']!r}, {config['steps']} steps of {config['batch_size']}")
        return config
    except TinyganError:
        raise
    except FileNotFoundError:
        raise TinyganError(f"{path.parent} is no run of tinygan (it has no config.json): give a folder that "
                           "`tinygan train` wrote") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise TinyganError(f"{path} is damaged ({type(error).__name__}: {brief(error)}): correct it by hand, "
                           "it is plain JSON") from error


def is_ink(config):
    """Are grey images of this run digits, which are drawn as ink on paper? Pictures of one's own are as light as they are."""
    return config.get("preset") != "pictures"


def fingerprint(real):
    """What tells one set of images from another: how many, their shape, and a checksum."""
    return f"{'×'.join(map(str, real.shape))}, crc32 {zlib.crc32(np.ascontiguousarray(real)):08x}"


def versions():
    """The versions and the system on which the numbers may depend."""
    try:
        own = metadata.version("tinygan")
    except metadata.PackageNotFoundError:
        own = "not installed"
    return {"tinygan": own, "python": platform.python_version(), "numpy": np.__version__,
            "system": f"{platform.system()} {platform.machine()}"}


def contents(folder):
    """The names of the files in it, as a line of text."""
    return ", ".join(sorted(path.name for path in folder.iterdir()))


def silent(*_):
    """In the place of print, for those who want to hear nothing."""
