"""Exercises: a question, a function whose body is missing, and a grader that tells a mistake by its name.

    tinygan exercise                 lists them          tinygan exercise NAME      writes exercises/NAME.py
    tinygan exercise --check         grades all          tg.exercises.check("tanh", my_tanh)        grades in a notebook

The questions stand in engine, losses, layers, game and mistakes.py; how an answer is graded, in grading.py. A student's file
runs in a process of its own, so that whatever it does ends with a sentence.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from ..errors import TinyganError, integer
from ..look.files import check_place, write_text
from . import engine, game, layers, losses, mistakes
from .grading import Endless, Report, Row, indented, limited, told

EXERCISES = {exercise.name: exercise for module in (engine, losses, layers, game, mistakes) for exercise in module.EXERCISES}
FOLDER = Path("exercises")          # of the student's files
LIMIT = 60                          # seconds, after which a file's process is ended
HEAD = """\
# {title}. About {minutes} minutes{after}.
# To grade it: tinygan exercise --check {path}
# A hint: tinygan exercise {name} --hint 1
# In every exercise what is given stays unchanged, and float32 stays float32.

import numpy as np

import tinygan as tg
{given}

{code}"""


def check(name, function):
    """The Report of a function as the answer to the exercise: print it.  TinyganError for an exercise that there is not."""
    return find(name).grade(function)


def find(name):
    """The Exercise of this name.  TinyganError if there is none."""
    if name not in EXERCISES:
        raise TinyganError(f"there is no exercise {name!r}: choose one of {', '.join(EXERCISES)}")
    return EXERCISES[name]


def question(name):
    """The question of an exercise, with what is given to answer it, as a text of Python."""
    exercise = find(name)
    return f"{exercise.given}\n\n{exercise.code}".strip()


def hint(name, level=1):
    """One of the three hints of an exercise, 1 to 3: the last one nearly gives it away."""
    return find(name).hints[integer("the hint", level, 1, 3) - 1]


def listing():
    """The table of all exercises."""
    lines = [f"  {'name':13} min  {'after':14}  what"]
    for name, one in EXERCISES.items():
        lines.append(f"  {name:13} {one.minutes:3}  {', '.join(one.after):14}  {one.title}")
    return "\n".join([*lines, "", "tinygan exercise NAME writes the question, tinygan exercise --check grades."])


def write(name):
    """Write exercises/NAME.py, the question with its missing body, and return the path.

    TinyganError if it exists already: a student's work is never overwritten."""
    exercise, path = find(name), FOLDER / f"{name}.py"
    if os.path.lexists(path):
        raise TinyganError(f"{path} exists already and is left as it is: go on with it, or move it away to begin anew")
    FOLDER.mkdir(exist_ok=True)
    check_place(path)
    write_text(path, text(exercise))
    return path


def text(exercise):
    """The student's file."""
    after = f", after {', '.join(exercise.after)}" if exercise.after else ""
    return HEAD.format(title=exercise.title, minutes=exercise.minutes, after=after, name=exercise.name, given=exercise.given,
                       path=FOLDER / f"{exercise.name}.py", code=exercise.code)


# Files, each in a process of its own

def exercise_of(path):
    """The Exercise that a student's file NAME.py answers.  TinyganError if it is not there, or not named after one."""
    if not path.is_file() or path.suffix != ".py" or path.stem not in EXERCISES:
        raise TinyganError(f"got {path}, expected a file named after its exercise: write one with `tinygan exercise NAME`")
    return EXERCISES[path.stem]


def grade(path):
    """The Report of a student's file.  TinyganError if it answers no exercise."""
    path = Path(path)
    exercise = exercise_of(path)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        arguments = [sys.executable, "-c", f"from {__name__} import _child; _child()", path, report]
        try:                                # in a session of its own: Ctrl-C is for the one who watches
            ended = subprocess.run(arguments, stdin=subprocess.DEVNULL, start_new_session=True, timeout=LIMIT).returncode
        except subprocess.TimeoutExpired:
            return exercise.failed(f"it did not end within {LIMIT} seconds: look for an endless loop")
        if not report.exists():
            return exercise.failed(f"it ended the program (exit code {ended}): leave os._exit and its like out")
        found = json.loads(report.read_text(encoding="utf-8"))
    return Report(**found | {"rows": [Row(**row) for row in found["rows"]]})


def _child():
    """Grade the file in this process, and write the Report down."""
    path, report = map(Path, sys.argv[1:])
    write_text(report, json.dumps(asdict(_run(path))))


def _run(path):
    """The Report of the file, which runs here."""
    exercise, names = EXERCISES[path.stem], {"__name__": path.stem, "__file__": str(path)}
    try:
        with limited():
            exec(compile(path.read_bytes(), str(path), "exec"), names)
    except SyntaxError as error:
        return exercise.failed(f"line {error.lineno} is no Python: {error.msg}")
    except (Exception, SystemExit, Endless) as error:
        return exercise.failed(told(error, str(path)))
    if exercise.name not in names:
        return exercise.failed(f"there is no {exercise.name} in {path}: leave the line with `def {exercise.name}` as it was")
    return exercise.grade(names[exercise.name])


def begun():
    """The student's files that there are, in the order of the exercises."""
    return [path for path in (FOLDER / f"{name}.py" for name in EXERCISES) if path.is_file()]


def check_files(file=None):
    """Grade a student's file, or all in exercises/, and print the Report or the table. Returns the exit code, 0 if all is
    right.  TinyganError if there is nothing to grade."""
    paths = [file] if file else begun()
    if not paths:
        raise TinyganError(f"got no file in {FOLDER}/, expected at least one: begin with `tinygan exercise tanh`")
    reports = [grade(path) for path in paths]
    print(reports[0] if file else table(reports))
    return 0 if all(report.passed for report in reports) else 1


def table(reports):
    """A line for each Report with its points, and for what is wrong its sentence."""
    lines = []
    for report in reports:
        first, *more = indented("right" if report.passed else report.verdict, 30)
        lines += [f"  {report.exercise:14}{report.won:3} of {report.most:2}     {first.strip()}", *more]
    won, most = (sum(getattr(report, name) for report in reports) for name in ("won", "most"))
    return "\n".join([*lines, "", f"  {'all':13}{won:4} of {most:3}    {len(reports)} of {len(EXERCISES)} exercises begun"])


def watch(file=None):
    """Grade a student's file, or all, now and whenever one is saved, until Ctrl-C. Returns the exit code.

    TinyganError if the file answers no exercise."""
    if file:
        exercise_of(Path(file))
    print("Each file is graded again when it is saved. Ctrl-C ends this.")
    seen, reports = {}, {}
    with suppress(KeyboardInterrupt):
        while True:
            for path in [Path(file)] if file else begun():
                with suppress(FileNotFoundError):           # an editor may put a new file in place of the old
                    stamp = path.stat().st_mtime_ns
                    if seen.get(path) != stamp:
                        seen[path], reports[path] = stamp, grade(path)
                        print(f"\n{time.strftime('%H:%M:%S')}  {reports[path]}", flush=True)
            time.sleep(0.3)
    return 0 if reports and all(report.passed for report in reports.values()) else 1
