"""How an answer is graded: by what it makes of many arguments, beside what it should make of them.

What it should make is computed in plain NumPy (proofs/twins.py), and each derivative there is a finite difference with a
random cotangent: the grader knows no derivative by hand that could itself be wrong. Where an answer fails, the known
mistakes are tried on the same arguments. The one that makes the same of them is the student's, and it has a sentence.
"""
import ast
import inspect
import signal
import textwrap
import threading
import traceback
import warnings
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..errors import brief
from ..gradcheck import compare_gradients
from ..proofs.museum import finite_differences
from ..tensor import Tensor, grad

SECONDS = 20            # that an answer may take
TOLERANCE = {False: 1e-6, True: 1e-4}       # is it float32? The error allowed, of the largest number that should come out


@dataclass
class Row:
    """One thing that was tried; the sentence says what went wrong, and is empty where nothing did."""
    what: str
    points: int
    sentence: str = ""


@dataclass
class Report:
    """What an answer is worth; print it."""
    exercise: str
    rows: list
    mistake: str = ""           # the sentence of the known mistake that it is
    book: str = ""              # where tinygan's own answer stands

    @property
    def won(self):
        return sum(row.points for row in self.rows if not row.sentence)

    @property
    def most(self):
        return sum(row.points for row in self.rows)

    @property
    def passed(self):
        return self.won == self.most

    @property
    def verdict(self):
        """One sentence: the known mistake, or the first thing that went wrong, or where to read on."""
        return self.mistake or next((row.sentence for row in self.rows if row.sentence), f"Right. Read on: {self.book}.")

    def __str__(self):
        lines = [f"{self.exercise}: {self.won} of {self.most} points"]
        for before, row in zip([Row("", 0), *self.rows], self.rows):
            lines.append(f"  {0 if row.sentence else row.points}/{row.points}  {row.what}")
            lines += indented("the same" if row.sentence == before.sentence != "" else row.sentence, 7)
        if self.passed or self.mistake:
            lines += ["", *indented(self.verdict, 2)]
        return "\n".join(lines if self.passed else [*lines, "", f"  A hint: tinygan exercise {self.exercise} --hint 1"])

    __repr__ = __str__


def indented(text, by):
    """The text as lines that fit a terminal."""
    return textwrap.wrap(text, 80, initial_indent=" " * by, subsequent_indent=" " * by)


class Endless(BaseException):
    """An answer took too long. No Exception: those the answer might catch."""


@contextmanager
def limited():
    """Endless after SECONDS of the block, where the system has an alarm and this is the main thread."""
    def ring(number, frame):
        raise Endless(f"it did not end within {SECONDS} seconds: look for an endless loop")

    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# What comes out of a function: a list of arrays

def values(function, *arguments):
    """What a function of arrays returns."""
    result = function(*arguments)
    return list(result) if isinstance(result, (tuple, list)) else [result]


def derivatives(function, order, x, *others):
    """Of y = f(x, …), x a Tensor: y and ∂⟨u, y⟩/∂x for order 1, for order 2 the error of its second derivative; else 0."""
    if order == 2:
        return [0, 0, compare_gradients(lambda x: function(x, *others), x, order=2).max_error]
    x = Tensor(x, requires_grad=True)
    y = tensor(function(x, *others))
    return [y, *grad(y, x, cotangent(y.shape).astype(y.dtype)), 0]


def tensor(y):
    """The Tensor that a function has returned."""
    if not isinstance(y, Tensor):
        raise TypeError(f"got {type(y).__name__}, expected a Tensor to be returned")
    return y


def cotangent(shape):
    """The random u of ⟨u, y⟩."""
    return np.asarray(np.random.default_rng(1).standard_normal(shape))


def slopes(function, *arrays):
    """∂f/∂x for each of the arrays, of a function whose value is a number: finite differences."""
    return [finite_differences(lambda x: function(*arrays[:i], x, *arrays[i + 1:]), array) for i, array in enumerate(arrays)]


def is_floats(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


# An exercise

@dataclass(frozen=True)
class Exercise:
    """A question, what should come out, and what is known to go wrong."""
    name: str
    code: str                   # the function as the student gets it: the question is its docstring, a body is missing
    title: str
    minutes: int
    after: tuple                # names of the exercises to do before
    book: str                   # where tinygan's own answer stands
    results: tuple              # the names of what comes out
    expected: object            # expected(*arguments) -> what should come out, for arguments in float64
    cases: dict                 # {what is tried: (points, [arguments, …])}
    wrong: dict                 # {sentence: a function with that mistake}
    hints: tuple                # three; the last one nearly gives it away
    outcome: object = values    # outcome(function, *arguments) -> what does come out
    given: str = ""             # what stands above the function in the student's file
    single: bool = True         # is it tried in float32 too?

    @property
    def parameters(self):
        """The names of the function's arguments."""
        return [argument.arg for argument in ast.parse(self.code).body[-1].args.args]

    @property
    def trials(self):
        """The cases, and all of them once more in float32."""
        every = [case for _, cases in self.cases.values() for case in cases if self.single and any(map(is_floats, case))]
        single = [tuple(x.astype(np.float32) if is_floats(x) else x for x in case) for case in every]
        return self.cases | ({"float32 stays float32": (1, single)} if single else {})

    def failed(self, sentence):
        """The Report of an answer that cannot be tried."""
        return Report(self.name, [Row("the whole", sum(points for points, _ in self.trials.values()), sentence)])

    def grade(self, function):
        """The Report of an answer. Whatever it raises becomes a sentence, and so does an endless loop."""
        head = f"{self.name}({', '.join(self.parameters)})"
        if not callable(function):
            return self.failed(f"got {brief(repr(function))}, expected a function: def {head}")
        try:
            inspect.signature(function).bind(*self.parameters)
        except TypeError:
            return self.failed(f"got {self.name}{inspect.signature(function)}, expected {head}: "
                               "leave the line with def as it was")
        except ValueError:                      # a function that is not written in Python tells nothing of its arguments
            pass
        try:
            with limited():
                return self._graded(function)
        except Endless as error:
            return self.failed(told(error, _file(function)))

    def _graded(self, function):
        report, tried = Report(self.name, [], book=self.book), []
        for what, (points, cases) in self.trials.items():
            tried += cases if report.passed else []                 # up to the first row that fails
            sentence = next(filter(None, (self._complaint(function, case) for case in cases)), "")
            report.rows.append(Row(what, points, sentence))
        report.mistake = "" if report.passed else self._known(function, tried)
        return report

    def _made(self, function, case):
        """What the function makes of the case, or the exception that says why nothing."""
        given = [x.copy() if isinstance(x, np.ndarray) else x for x in case]
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                out = [x.data if isinstance(x, Tensor) else np.asarray(x) for x in self.outcome(function, *given)]
        except (Exception, SystemExit) as error:
            return error
        for before, after in zip(case, given):
            if isinstance(before, np.ndarray) and not np.array_equal(before, after):
                return TypeError("an array that was given has been changed: make a new one instead")
        return out

    def _complaint(self, function, case):
        """The first thing wrong with what the function makes of the case, as a sentence; "" for nothing."""
        made = self._made(function, case)
        if isinstance(made, BaseException):
            return told(made, _file(function))
        if len(made) != len(self.results):
            return f"got {len(made)} results, expected {len(self.results)}: return {', '.join(self.results)}"
        single = any(is_floats(x) and x.dtype == np.float32 for x in case)
        meant = self.expected(*[x.astype(np.float64) if is_floats(x) else x for x in case])
        return next(filter(None, map(_difference, self.results, made, map(np.asarray, meant), [single] * len(made))), "")

    def _known(self, function, tried):
        """The sentence of the mistake that makes the same of these cases, and of most others; "" for none."""
        def alike(sentence, cases, mine):
            return [_alike(made, self._made(self.wrong[sentence], case)) for case, made in zip(cases, mine)]

        mine = [self._made(function, case) for case in tried]
        candidates = [sentence for sentence in self.wrong if all(alike(sentence, tried, mine))]
        if len(candidates) > 1:
            every = [case for _, cases in self.trials.values() for case in cases]
            mine = [self._made(function, case) for case in every]
            candidates.sort(key=lambda sentence: -sum(alike(sentence, every, mine)))
        return candidates[0] if candidates else ""


def told(error, file):
    """An exception as a sentence, with the line of the student's file that it came from."""
    if isinstance(error, NotImplementedError):
        return "the body is still missing: write it in place of `raise NotImplementedError`"
    if isinstance(error, SystemExit):
        return "it ends the program (sys.exit): leave that out, and return the answer"
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    where = f" (line {lines[-1].lineno}: {lines[-1].line})" if lines else ""
    kind = "" if isinstance(error, Endless) else f"{type(error).__name__}: "
    return f"{kind}{brief(error)}{where}"


def _file(function):
    """The file that a function stands in."""
    return getattr(getattr(function, "__code__", None), "co_filename", None)


def _difference(name, got, meant, single):
    """How one result differs from what was meant, as a sentence."""
    if got.dtype.kind not in "fiub":
        return f"{name}: got {brief(repr(got.item() if got.ndim == 0 else got))}, expected numbers: is a return missing?"
    if got.shape != meant.shape:
        return f"{name}: got shape {got.shape}, expected {meant.shape}"
    if single and got.ndim and got.dtype == np.float64:
        return f"{name}: got float64 for float32: write np.zeros(shape, x.dtype) for arrays, float(np.sqrt(2.0)) for numbers"
    with np.errstate(all="ignore"):
        error = np.abs(got - meant.astype(np.float64))
    wrong = ~(error <= TOLERANCE[single] * (np.abs(meant).max(initial=0) or 1))         # true for NaN
    if not wrong.any():
        return ""
    index = np.unravel_index(np.argmax(np.where(wrong, np.nan_to_num(error, nan=np.inf), -1)), got.shape)
    place = str([int(i) for i in index]) if index else ""
    digits = 6 if f"{got[index]:.6g}" != f"{meant[index]:.6g}" else 12
    return f"{name}{place}: got {got[index]:.{digits}g}, expected {meant[index]:.{digits}g}"


def _alike(a, b):
    """Do two functions make the same of a case?"""
    if isinstance(a, BaseException) or isinstance(b, BaseException):
        return type(a) is type(b) and str(a) == str(b)
    a, b = ([np.asarray(np.nan_to_num(x)) for x in made] for made in (a, b))
    return len(a) == len(b) and not any(_difference("", x, y, False) for x, y in (*zip(a, b), *zip(b, a)))


# What the exercises are written with

def asked(stub):
    """The name and the source of the function that a student is to write."""
    return stub.__name__, inspect.getsource(stub)


OPERATION = ("y", "∂⟨u, y⟩/∂x", "error of the second derivative")      # what derivatives() returns


def meant(value):
    """What should come out of an operation that has this value: derivatives(), but by finite differences."""
    def expected(order, x, *others):
        if order == 2:
            return [0, 0, 0]
        y = value(x, *others)
        return [y, *slopes(lambda x: (cotangent(np.shape(y)) * value(x, *others)).sum(), x), 0]
    return expected
