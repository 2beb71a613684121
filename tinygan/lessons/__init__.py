"""Lessons: one question each about what GANs do with labels and without, answered by one short program.

Each file is read from top to bottom: what is asked, the equation, the code, what came out. It uses tinygan as anybody would,
and its last function, lesson(it), is what `tinygan lesson NAME` runs: the short version on the packaged digits, or with
--full the long one on all of MNIST.
"""
import ast
import functools
import importlib
import json
import sys
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import numpy as np
from tqdm.auto import tqdm

from .. import data, group
from ..errors import TinyganError, integer, seed_of
from ..look.cell import in_notebook
from ..look.files import write_text
from ..run.folder import contents, fingerprint, prepared, silent, versions, write_config
from ..run.output import aloud, audible
from ..tensor import no_grad

LESSONS = ("conditional", "semi_supervised", "clusters", "features", "augmentation", "inside", "vae", "translation",
           "rejection")
NEEDED = {"clusters": ("scipy", "sklearn"), "features": ("sklearn",), "augmentation": ("scipy",), "inside": ("sklearn",),
          "translation": ("scipy",)}        # libraries that the lesson asks for when it has come that far
_heard = ContextVar("heard", default=False)         # is this within run(), and not a quiet one?


@dataclass(frozen=True)
class Row:
    """One number of a lesson's outcome, beside what others published, which is text, as their protocols differ."""
    what: str
    value: float                    # of several runs the mean
    form: str = "{:.1f}"            # how the value is written, its unit included
    published: str = ""
    spread: float = None            # of several runs the standard deviation
    each: list = None               # and the value of each

    def __str__(self):
        return written(self.form, self.value, self.spread)


def written(form, value, spread=None):
    """The value in its form, with ± spread before the unit: "{:.1f} %" → "3.1 ± 0.2 %"."""
    number = form[form.index("{"):form.index("}") + 1]
    text = number.format(value) + ("" if spread is None else f" ± {number.format(spread)}")
    return form.replace(number, text)


@dataclass(frozen=True)
class Lesson:
    """What a lesson works with, and where its outcome goes."""
    folder: Path                    # for its pictures
    train: tuple = field(repr=False)    # (images (N, 28, 28, 1) in [−1, 1], labels (N,))
    test: tuple = field(repr=False)     # the same of digits that nothing may be trained on
    seed: int = 0
    full: bool = False
    limit: int = None               # of the steps of every training, for a quick look
    say: Callable = print
    rows: list = field(default_factory=list)

    def steps(self, short, full):
        """How many steps a training takes in this version of the lesson."""
        steps = full if self.full else short
        return steps if self.limit is None else min(steps, self.limit)

    def rng(self, *stream):
        """A random stream of this seed; one of its own for each `stream`, a number or several."""
        return np.random.default_rng([self.seed, *stream])

    def found(self, what, value, form="{:.1f}", published=""):
        """Note a number of the outcome, or a list with the number of each run, and say it."""
        several = (float(np.std(value, ddof=1)), list(map(float, value))) if np.size(value) > 1 else ()
        self.rows.append(Row(what, float(np.mean(value)), form, published, *several))
        self.say(f"{what}: {self.rows[-1]}" + (f"   (published: {published})" if published else ""))


def descend(optimiser, loss, fraction=1.0):
    """One step down the loss, for this optimiser's parameters alone, with this fraction of its learning rate."""
    optimiser.zero_grad()
    loss.backward(inputs=optimiser.parameters)
    optimiser.step(fraction)


def together(batch):
    """Decorates a training loop with batches of this size: one process a core plays it, as long as that is faster (group.py).
    Each draws the same batches and takes its rows of them by share(); what the first process returns is returned."""
    def decorated(train):
        @functools.wraps(train)
        def played(*arguments, **options):
            with group.sharing("auto", batch):
                return train(*arguments, **options)
        return played
    return decorated


def rounds(steps):
    """range(steps), with a bar that says how far the training is, where run() is heard in a terminal or a notebook."""
    seen = _heard.get() and group.current().rank == 0 and (sys.stderr.isatty() or in_notebook())
    return tqdm(range(steps), unit="step", leave=False, dynamic_ncols=True, disable=not seen)


def fit(gan, images, steps, batch_size):
    """gan.fit with one process a core, and the bar of rounds()."""
    with rounds(steps) as bar:
        gan.fit(images, steps, batch_size, [lambda *_: bar.update()], workers="auto")


def _say(text):
    """aloud(), above the bar, if there is one."""
    with tqdm.external_write_mode():
        aloud(text)


def share(*batches):
    """This process's rows of each batch, arrays or Tensors (N, …), as a list."""
    return [group.current().share(batch) for batch in batches]


def outputs(network, inputs):
    """What the network makes of an array of inputs, as an array: 500 at a time, nothing recorded."""
    with no_grad():
        return np.concatenate([network(inputs[k:k + 500]).data for k in range(0, len(inputs), 500)])


def about(name):
    """What the lesson asks: the first line of its file, read there, as `python -OO` leaves docstrings out."""
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)).splitlines()[0]


@audible()
def run(name, out=None, seed=0, full=False, data_folder=None, steps=None, overwrite=False, quiet=False, html=False):
    """Run a lesson and write its folder, by default runs/lesson-NAME: config.json, results.json, results.md, its pictures.

    full: on the 60,000 + 10,000 digits of MNIST, downloaded unless a folder is given; else on the packaged 5,000 + 1,000.
    steps: no training may take more, for a quick look. html: everything on one page too, report.html.
    Returns the rows of the outcome.
    TinyganError for an unknown lesson, a folder that exists (unless overwrite), a missing library or missing data."""
    if name not in LESSONS:
        raise TinyganError(f"there is no lesson {name!r}: choose one of {', '.join(LESSONS)}")
    seed, steps = seed_of(seed), None if steps is None else integer("--steps", steps, 1)
    module, folder, say = _with_its_libraries(name), Path(out or f"runs/lesson-{name}"), silent if quiet else _say
    train, test = _digits(full, data_folder)
    it = Lesson(folder, train, test, seed, full, steps, say)
    with prepared(folder, overwrite):
        write_config(folder, {"lesson": name, "seed": seed, "full": full, "steps": steps, "train": fingerprint(train[0]),
                              "test": fingerprint(test[0]), **versions()})
        say(f"{name}: {about(name)}")
        context = copy_context()
        context.run(_heard.set, not quiet)
        context.run(module.lesson, it)
        write_text(folder / "results.json", json.dumps([vars(row) for row in it.rows], indent=1, ensure_ascii=False) + "\n")
        outcome = table(("", "here", "published"), [(row.what, row, row.published) for row in it.rows])
        write_text(folder / "results.md", "\n".join(outcome) + "\n")
        if html:
            from .page import html_of               # it loads all that is proved
            pictures = sorted(folder.glob("*.png"), key=lambda path: path.stat().st_mtime_ns)
            write_text(folder / "report.html", html_of(name, it.rows, pictures))
    say(f"written to {folder}/: {contents(folder)}")
    return it.rows


def _with_its_libraries(name):
    """The lesson's module, after what it needs has been found."""
    try:
        for library in NEEDED.get(name, ()):
            importlib.import_module(library)
        return importlib.import_module(f".{name}", __package__)
    except ModuleNotFoundError as error:
        raise TinyganError(f"the lesson {name} needs {error.name}, which is not installed: "
                           "pip install scikit-learn scipy") from error


def table(head, rows):
    """A Markdown table, as a list of lines: the first column to the left, numbers to the right."""
    lines = [[str(cell).replace("|", "\\|") for cell in row] for row in (head, *rows)]    # a bar would end the cell
    head, *rows = [f"| {' | '.join(cells)} |" for cells in lines]
    return [head, "| --- |" + " ---: |" * (len(lines[0]) - 1), *rows]


def _digits(full, folder):
    if folder is None and not full:
        return data.digits(), data.held_out_digits()
    folder = data.download_mnist() if folder is None or str(folder) == "mnist" else folder
    return data.mnist_folder(folder, "train"), data.mnist_folder(folder, "test")
