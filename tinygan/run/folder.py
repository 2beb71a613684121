"""The folder of a run or of a lesson: made, described in config.json, and never overwritten unasked.

Lessons need no more of a run than this file, so nothing that draws is imported here.
"""
import json
import platform
import shutil
import zlib
from importlib import metadata

import numpy as np

from ..errors import TinyganError, brief
from .presets import PRESETS, STUDIES

CONFIG_TYPES = {"preset": str, "steps": int, "batch_size": int, "seed": int, "data": (str, type(None)), "images": str,
                "workers": int}


def prepare(folder, overwrite):
    """Make the folder. One that holds anything is replaced only when that was asked for."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not overwrite:
            raise TinyganError(f"{folder} exists already and is left as it is: "
                               "choose another folder with --out, go on with --resume, or --overwrite")
        if not (folder / "config.json").is_file():
            raise TinyganError(f"{folder} is no run of tinygan (it has no config.json), "
                               "so --overwrite leaves it alone: choose another folder with --out")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)


def write_config(folder, config):
    """config.json: what was run, enough to run it again."""
    write_text(folder / "config.json", json.dumps(config, indent=1, default=lambda number: number.tolist()) + "\n")


def read_config(path):
    """The config.json of a run.  TinyganError if it is missing, damaged, or of a preset that does not exist."""
    try:
        if path.stat().st_size > 1 << 20:
            raise ValueError("it is larger than 1 MB")
        config = json.loads(path.read_text(encoding="utf-8"))
        config.setdefault("workers", 1)                     # older runs had one
        if config["preset"] in STUDIES:
            raise TinyganError(f"{path.parent} holds the study {config['preset']}, which takes seconds and is not "
                               f"resumed: run `tinygan train {config['preset']} --out {path.parent} --overwrite`")
        for key, kind in CONFIG_TYPES.items():
            if not isinstance(config[key], kind) or isinstance(config[key], bool):
                raise ValueError(f"its {key} is {config[key]!r}")
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


def write_text(path, text):
    """Write to a file beside it and rename that one, so that the file at `path` is whole at every moment."""
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise TinyganError(f"{path} could not be written ({error.strerror or error}): make room or choose another "
                           "folder with --out") from error


def contents(folder):
    """The names of the files in it, as a line of text."""
    return ", ".join(sorted(path.name for path in folder.iterdir()))


def silent(*_):
    """In the place of print, for those who want to hear nothing."""
