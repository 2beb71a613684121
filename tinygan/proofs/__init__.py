"""The proof that every derivative in tinygan is right: `tinygan check`.

Proving a Case compares

    the derivatives    with finite differences (gradcheck.py), for every input and parameter, those of the fast kernels
                       and those of the recorded operations
    the value          with its equation in plain NumPy. Finite differences do not see a wrong function: if the code
                       has x² for x, then 2x is still the right derivative of the code
    the fast kernels   with the book's own: value and derivatives once more inside of `with plain():`

    twins.py     the equations in plain NumPy
    cases.py     what is proved, chapter by chapter
    game.py      whole steps of the game, as cases
    mathml.py    from the equations of the docstrings to typeset ones
    prose.py     from a whole docstring to HTML
    page.py      all of it as one HTML page
    museum.py    mistakes that others published, and the number that gives each away
"""
import copy
import difflib
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from .. import backend
from ..cuda import explained
from ..errors import TinyganError
from ..fast import plain
from ..gradcheck import FLOOR, TOLERANCE, Report, Row, compare_gradients
from ..layers import Module
from ..tensor import Tensor, grad
from .cases import CHAPTERS, Case
from .game import steps
from .page import HEADING, TITLES, html_of

VALUE_TOLERANCE = 1e-9      # relative error allowed between a value and its equation, and between fast and plain


# tinygan.proofs.cases and tinygan.proofs.page are the functions below, not the files of these names

def cases():
    """All cases, in the order in which the chapters are read."""
    rng = np.random.default_rng(0)
    return tuple(chain.from_iterable(chapter(rng) for chapter in (*CHAPTERS, steps)))


@dataclass
class Proof:
    """The outcome of a case."""
    case: Case
    order: int
    seed: int
    rows: list = field(default_factory=list)       # the derivatives, as gradcheck.Row
    value: Row = None                               # the value beside that of its equation
    plain: Row = None                               # value and derivatives beside those of the plain kernels
    failure: str = ""                               # what a broken operation raised

    @property
    def wrong(self):
        """The rows whose error is too large, or NaN."""
        wrong = [row for row in self.rows if not row.error <= TOLERANCE[self.order]]
        return wrong + [row for row in (self.value, self.plain) if row and not row.error <= VALUE_TOLERANCE]

    @property
    def holds(self):
        compared = self.rows if self.case.derivative else self.value
        return bool(compared) and not self.wrong and not self.failure

    @property
    def verdict(self):
        return "proved" if self.holds else "WRONG"

    @property
    def max_error(self):
        """The largest relative error of a derivative; of the value where that is all."""
        rows = self.rows or [self.value] * (self.value is not None)
        return float(np.max([row.error for row in rows], initial=0))


# Proving

def prove(case, order=1, device="cpu", seed=0):
    """The Proof of a case at one order. A difference gives the verdict WRONG, and so does an exception in the case."""
    proof = Proof(case, order, seed)
    if order not in case.orders:
        orders = " or ".join(map(str, case.orders))
        raise TinyganError(f"got order {order} of {case.name}, expected {orders}: leave the order out")
    try:
        function = case.function
        if isinstance(function, Module):
            function = copy.deepcopy(function).astype(np.float64).to(device)
        inputs = [backend.to_device(np.asarray(x, np.float64), device) for x in case.inputs]
        if case.value and order == 1:
            proof.value = _compare_values(case, function, inputs, seed)
        if case.plain and order == 1:
            proof.plain = _compare_plain(case, function, inputs, seed)
        if case.derivative:
            proof.rows = compare_gradients(function, *inputs, order=order, seed=seed).rows
    except Exception as error:      # a broken operation may raise anything, and the other cases are still to be proved
        proof.failure = f"{type(error).__name__}: {error}"
    return proof


def _compare_values(case, function, inputs, seed):
    """A Row for Σ u·f, with f from the code and with f from its equation, for a random u."""
    arrays = function.arrays() if isinstance(function, Module) else []
    stated = np.asarray(case.value(*map(backend.to_numpy, chain(inputs, arrays))))
    value = backend.to_numpy(function(*map(Tensor, inputs)))
    if value.shape != stated.shape:
        raise TinyganError(f"{case.name} has shape {value.shape}, and its equation {stated.shape}")
    u = np.random.default_rng(seed).standard_normal(stated.shape)
    here, there = float((u * value).sum()), float((u * stated).sum())
    error = abs(here - there) / max(abs(here), abs(there), FLOOR * float(abs(u * stated).sum()), np.finfo(float).tiny)
    return Row("value", value.shape, here, there, error)


def _compare_plain(case, function, inputs, seed):
    """A Row for f and u·∂f, for a random u, outside and inside of `with plain():`, where they differ most."""
    def computed():
        f = copy.deepcopy(function) if isinstance(function, Module) else function         # it may remember the batch
        leaves = [Tensor(x, requires_grad=case.derivative) for x in inputs]
        y = f(*leaves)
        if not case.derivative:
            return [y.data]
        u = backend.like(np.random.default_rng(seed).standard_normal(y.shape), y.data)
        return [y.data, *(g.data for g in grad(y, leaves + (f.parameters() if isinstance(f, Module) else []), u))]

    outside = [backend.to_numpy(array) for array in computed()]
    with plain():
        inside = [backend.to_numpy(array) for array in computed()]
    floor, rows = FLOOR * max(abs(array).max(initial=0) for array in outside), []       # a true 0 is rounding in both
    for one, other in zip(outside, inside):
        error = abs(one - other) / max(abs(one).max(initial=0), floor, np.finfo(float).tiny)
        if error.size:
            at = np.unravel_index(error.argmax(), error.shape)
            rows.append(Row("plain", one.shape, float(one[at]), float(other[at]), float(error[at])))
    return max(rows, key=lambda row: (row.error != row.error, row.error), default=None)


@explained()
def prove_all(name=None, order=None, device="cpu"):
    """The Proofs of all cases of that name.

    name     a case, a function ("tanh", "ops.tanh") or a chapter ("ops"); all cases for None
    order    1 or 2; both for None
    TinyganError for an unknown name, with those close to it."""
    works, reason = backend.available(device)
    if not works:
        raise TinyganError(reason)
    every = cases()
    chosen = [case for case in every if name is None or name in _names(case)]
    if not chosen:
        known = sorted(set(chain.from_iterable(map(_names, every))))
        close = difflib.get_close_matches(name, known, 5, 0.5)
        advice = f"did you mean {', '.join(close)}?" if close else f"choose one of {', '.join(TITLES)}"
        raise TinyganError(f"there is nothing to prove named {name!r}: {advice}")
    proofs = [prove(case, n, device) for case in chosen for n in case.orders if order in (None, n)]
    if not proofs:
        raise TinyganError(f"{name} has no derivative of order {order} to prove: leave the order out")
    return proofs


def _names(case):
    """The names that stand for a case: ops.tanh: …, ops.tanh, tanh, ops."""
    function = case.name.partition(":")[0]
    return {case.name, function, function.partition(".")[2], function.rpartition(".")[2], function.partition(".")[0]}


# Showing them

def summary(proofs):
    """One or two sentences for all of them."""
    wrong = [p for p in proofs if not p.holds]
    if wrong:
        return f"{len(wrong)} of {len(proofs)} proofs FAIL: {', '.join(dict.fromkeys(p.case.name for p in wrong))}."
    derivatives, values = sum(len(p.rows) for p in proofs), sum(p.value is not None for p in proofs)
    functions = len({p.case.code for p in proofs if p.rows})
    sentences = []
    if derivatives:
        largest = max(p.max_error for p in proofs if p.rows)
        sentences.append(f"{_count(derivatives, 'derivative')} of {_count(functions, 'function')} agree with finite "
                         f"differences; largest relative error {largest:.1e}.")
    if values:
        sentences.append(f"{_count(values, 'value')} agree with the equations.")
    if plainly := sum(p.plain is not None for p in proofs):
        sentences.append(f"{_count(plainly, 'case')} give the same with the plain kernels.")
    return " ".join(sentences)


def _count(number, thing):
    return f"{number} {thing}{'s' * (number != 1)}"


def table(proofs, details=False):
    """Text for the terminal: a line for each proof, then the summary. With details, the equation and every number too."""
    width = max(len(p.case.name) for p in proofs)
    lines = []
    for p in proofs:
        count = _count(len(p.rows), "derivative") if p.rows else "value"
        plainly = f"plain {p.plain.error:.0e}" if p.plain else ""
        lines.append(f"{p.verdict}  {p.case.name:{width}}  order {p.order}  {count:>14}  {p.max_error:.1e}  "
                     f"{plainly:11}  {p.case.place}")
        if details or not p.holds:
            lines += ["", *(f"    {line.strip()}" for line in p.case.equation), "", *_numbers(p), ""]
    return "\n".join([*lines, "", summary(proofs)])


def _numbers(proof):
    """The rows of a proof, printed as gradcheck.Report prints them, and what the case raised."""
    rows = proof.rows + [row for row in (proof.value, proof.plain) if row]
    lines = str(Report(proof.case.name, proof.order, proof.seed, rows)).splitlines()[1:] if rows else []
    for row, what in ((proof.value, "the code and the equation"), (proof.plain, "the fast kernels and the plain ones")):
        if row:
            lines[1 + rows.index(row)] += f"  {what}"
    return [f"  {line}" for line in lines] + [f"    {proof.failure}"] * bool(proof.failure)


def page(proofs):
    """One HTML page for all of them, which needs no network."""
    return html_of(proofs, summary(proofs))


def is_page(path):
    """Does such a page stand at this path?"""
    if not path.is_file():
        return False
    with open(path, encoding="utf-8", errors="replace") as file:
        return f"<title>{HEADING}</title>" in file.read(1000)
