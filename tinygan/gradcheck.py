"""Finite differences: the proof that a derivative in the code is the derivative of the value in the code.

For y = f(x) draw a random cotangent u and, for each x (every input and every parameter), a random direction v. Then

    ⟨∂⟨u, f⟩/∂x, v⟩   from tinygan   =   d/dt ⟨u, f(x + t·v)⟩ at t = 0   from two values of f

The cotangent must be random. With u = 1 the left side is the gradient of a sum, which for batch normalisation is
zero: a backward pass that returns nothing at all would pass.

The right side is the central difference D(h) = (φ(h) − φ(−h))/2h, extrapolated: (4·D(h/2) − D(h))/3 is exact to h⁴.
Across a kink (LeakyReLU at 0) there is no derivative, and it shows: D(h) and D(h/2) differ, or the second difference
does not shrink with h. Then h is made smaller, and if the kink is at the very point, the point is moved a little.
"""
import copy
import functools
import operator
from dataclasses import dataclass, field

import numpy as np

from .backend import array_module, is_array, like, to_numpy
from .errors import TinyganError, brief
from .layers import Module
from .ops import sum
from .tensor import Tensor, grad, set_grad_enabled, topological_order

TOLERANCE = {1: 1e-6, 2: 1e-5}  # relative error allowed, by order
STEPS = (1e-4, 1e-5, 1e-6)      # h, the largest that is smooth is taken
MOVE = 1e-3                     # how far a point on a kink is moved, in units of N(0, 1)
FLOOR = 1e-3                    # derivatives below FLOOR·Σ|terms of φ| are compared on that scale: rounding drowns them


class GradientError(TinyganError):
    """An analytic gradient differs from finite differences."""


@dataclass
class Row:
    """One comparison: the directional derivative for one input or parameter."""
    name: str
    shape: tuple
    analytic: float
    numeric: float
    error: float
    note: str = ""


@dataclass
class Report:
    """What check_gradients found; print it."""
    function: str
    order: int
    seed: int
    rows: list = field(default_factory=list)

    @property
    def max_error(self):
        return max(row.error for row in self.rows)

    @property
    def wrong(self):
        """The rows whose error is more than TOLERANCE allows, or NaN."""
        return [row for row in self.rows if not row.error <= TOLERANCE[self.order]]

    def __str__(self):
        width = max(len(f"{row.name} {row.shape}") for row in self.rows)
        lines = [f"{self.function}, order {self.order}, seed {self.seed}",
                 f"  {'':{width}}  {'analytic':>15}  {'numeric':>15}  rel. error"]
        for row in self.rows:
            label = f"{row.name} {row.shape}"
            numbers = f"{row.analytic:15.8e}  {row.numeric:15.8e}  {row.error:.1e}"
            lines.append(f"  {label:{width}}  {numbers}  {row.note}".rstrip())
        return "\n".join(lines)


def check_gradients(f, *inputs, order=1, seed=0):
    """Compare tinygan's derivatives of f with finite differences, for every input and every parameter.

    f        a Module (a float64 copy of it is checked) or a function of Tensors; all that it uses must be float64
    inputs   arrays or Tensors; float64 copies are used
    order    1: the derivative of ⟨u, f⟩.  2: the derivative of Σ ⟨uᵢ, ∂⟨u, f⟩/∂xᵢ⟩, with the cotangent u among the xᵢ
    seed     of all random cotangents and directions
    Returns a Report.  GradientError if a relative error exceeds 1e-6 (order 1) or 1e-5 (order 2)."""
    report = compare_gradients(f, *inputs, order=order, seed=seed)
    for row in report.wrong:
        shapes = ", ".join(f"{row.name} {row.shape}" for row in report.rows)
        raise GradientError(f"the derivative of {report.function} with respect to {row.name} is wrong: analytic "
                            f"{row.analytic:.9e}, numeric {row.numeric:.9e}, relative error {row.error:.1e} > "
                            f"{TOLERANCE[order]:.0e} (order {order}, seed {seed}, shapes {shapes}){row.note and '; ' + row.note}")
    return report


@set_grad_enabled(True)
def compare_gradients(f, *inputs, order=1, seed=0):
    """What check_gradients does, but for the verdict: a Report, whatever the errors in it."""
    if order not in TOLERANCE:
        raise TinyganError(f"got order {order!r}, expected 1 or 2")
    rng, names = np.random.default_rng(seed), {}
    if isinstance(f, Module):
        f = copy.deepcopy(f).astype(np.float64)
        names = {parameter: name for name, parameter in f.named_parameters()}
    inputs = [Tensor(array_module(x).array(x, dtype=np.float64), requires_grad=True)
              for x in (x.data if isinstance(x, Tensor) else x if is_array(x) else np.asarray(x) for x in inputs)]
    names |= {x: f"input {i}" for i, x in enumerate(inputs)}

    output, again = f(*inputs), set(topological_order(f(*inputs)))
    leaves = dict.fromkeys([*inputs, *names])                      # a Module's own, whether or not the graph knows them
    # What f makes anew at each call is no parameter.
    leaves = list(leaves | dict.fromkeys(x for x in topological_order(output)
                                         if x.requires_grad and not x.edges and x in again))
    if not leaves:
        raise TinyganError(f"got {brief(f)} and nothing to differentiate it by, expected an input at least: check_gradients(f, x)")
    for x in leaves:
        names.setdefault(x, f"parameter {len(names) - len(inputs)}")
    u = _random(rng, output)
    if order == 1:                                                 # φ is the sum of the terms
        def terms():
            return [u * f(*inputs)]
    else:
        u.requires_grad, names[u] = True, "cotangent"
        first, leaves = leaves + [u], leaves + [u]
        weights = [_random(rng, x) for x in first]

        def terms():
            gradients = grad(sum(u * f(*inputs)), first, create_graph=True)
            return [w * g for w, g in zip(weights, gradients)]

    report = Report(getattr(f, "__name__", None) or repr(f), order, seed)
    before = [x.data for x in leaves]
    try:
        report.rows = _compare(terms, leaves, names, rng, TOLERANCE[order])
    finally:                                                            # a kink may have moved them
        for x, array in zip(leaves, before):
            x.data = array
    return report


def _random(rng, x):
    """A Tensor of standard normal numbers, shaped like x and on its device."""
    return Tensor(like(np.asarray(rng.standard_normal(x.shape)), x.data))


def _direction(rng, x, gradient):
    """A random direction v, but none nearly at right angles to the gradient, where ⟨gradient, v⟩ ~ N(0, ‖gradient‖²) is
    small by chance and a wrong one differs little from a right one."""
    while True:
        v = _random(rng, x)
        along, length = (float(to_numpy(value.data)) for value in (sum(gradient * v), sum(gradient * gradient)))
        if not abs(along) < 0.1 * length ** 0.5:
            return v


def _compare(terms, leaves, names, rng, tolerance, moves=5):
    """A Row for each leaf. If a leaf's line crosses a kink at the very point, all leaves move and it starts anew."""
    phi = terms()
    # As a training computes them, with the fast kernels, and as they are recorded to be differentiated again:
    # both must be right.
    fast, recorded = (grad(_total(phi), leaves, create_graph=create_graph) for create_graph in (False, True))
    scale = float(to_numpy(_total([abs(term) for term in phi])))
    rows = []
    for x, *both in zip(leaves, fast, recorded):
        v = _direction(rng, x, both[0])
        numeric, smooth, note = _derivative(lambda: float(to_numpy(_total(terms()))), x, v, FLOOR * scale, tolerance)
        if not smooth and moves:
            for leaf in leaves:
                leaf.data = leaf.detach() + MOVE * _random(rng, leaf)
            rows = _compare(terms, leaves, names, rng, tolerance, moves - 1)
            for row in rows:
                row.note = row.note or "moved off a kink"
            return rows
        values = [float(to_numpy(sum(g * v))) for g in both]
        # The worse of the two, and NaN is worst.
        analytic = max(values, key=lambda value: (value != value, abs(value - numeric)))
        error = abs(analytic - numeric) / max(abs(analytic), abs(numeric), FLOOR * scale, np.finfo(float).tiny)
        rows.append(Row(names[x], x.shape, analytic, numeric, error, note))
    return rows


def _total(terms):
    return functools.reduce(operator.add, map(sum, terms))


def _derivative(phi, x, v, floor, tolerance):
    """(dφ/dt for x + t·v at t = 0, is φ smooth there?, note)"""
    start = x.data

    def at(t):
        x.data = start + t * v.data
        return phi()

    try:
        middle = at(0.0)
        for h in STEPS:
            high, high2, low2, low = at(h), at(h / 2), at(-h / 2), at(-h)
            full, half = (high - low) / (2 * h), (high2 - low2) / h
            bend, bend2 = abs(high - 2 * middle + low) / h, abs(high2 - 2 * middle + low2) / (h / 2)
            numeric = (4 * half - full) / 3
            allowed = tolerance * max(abs(numeric), floor)
            if abs(full - half) <= allowed and not bend2 > max(0.8 * bend, allowed):
                return numeric, True, "" if h == STEPS[0] else f"h = {h:.0e}, to keep clear of a kink"
        return numeric, False, "not smooth"
    finally:
        x.data = start
