"""Exercises on the engine: tensor.py and ops.py."""
import numpy as np

import tinygan as tg

from ..proofs import twins
from .grading import OPERATION, Exercise, asked, derivatives, meant, slopes

_rng = np.random.default_rng(1)
EXERCISES = []          # each stands below, under its question


def _normal(*shape):
    return _rng.standard_normal(shape)


def tanh(x):
    """The derivative of y = tanh x, elementwise.

    An operation of the engine is a value and a share. The share turns
    g = ∂L/∂y, which arrives from above, into ∂L/∂x = g · ∂y/∂x.
    The value is there already. Write the share.

    x, y, g   Tensors of one shape
    derive    ∂y/∂x as a function of y alone
    Compute with Tensors (g * y, 1 - y), not with their arrays: then the
    derivative can be differentiated again.
    """
    def share(g, y):
        raise NotImplementedError
    return tg.ops.record(np.tanh(x.data), (x, share))


def _tanh(share):
    return lambda x: tg.ops.record(np.tanh(x.data), (x, lambda g, y: share(g, x, y)))


EXERCISES.append(Exercise(
    *asked(tanh), "The derivative of tanh", 5, (), "tinygan/ops.py, tanh",
    OPERATION, meant(np.tanh),
    {"random numbers": (3, [(1, _normal(4, 3)), (1, _normal(5))]),
     "one number, none, and large ones": (1, [(1, np.array(0.3)), (1, np.zeros((0, 3))), (1, np.array([-400.0, 0.0, 400.0]))]),
     "the derivative of the derivative": (1, [(2, _normal(4, 3))])},
    {"The square is missing: this is 1 − y.": _tanh(lambda g, x, y: g * (1 - y)),
     "This is 1 − x². The square is that of y = tanh x.": _tanh(lambda g, x, y: g * (1 - x * x)),
     "This is ∂y/∂x. The share is g times it.": _tanh(lambda g, x, y: 1 - y * y),
     "Right once, but a constant to the second derivative: compute with Tensors, not with .data.":
         _tanh(lambda g, x, y: g * tg.Tensor(1 - y.data ** 2))},
    ("Write tanh x = sinh x / cosh x and use the rule for quotients.",
     "(cosh² x − sinh² x)/cosh² x: write it as 1 minus something.",
     "∂y/∂x = 1 − tanh² x, and tanh x is y. The share is g times that."),
    derivatives))


def broadcast(g, shape):
    """Undo a broadcast: the share of an x that was repeated.

    NumPy repeats an array x along new axes (on the left) and along axes of
    length 1, until it fits its neighbour. So y, the repeated x, and g = ∂L/∂y
    have a larger shape. Each number of x was used several times. What is its
    share of all that arrives?

    g         array, ∂L/∂y
    shape     that of x, which broadcasts to g.shape
    returns   ∂L/∂x, an array of that shape
    derive    ⟨g, broadcast(x)⟩ = ⟨share, x⟩ for every x
    """
    raise NotImplementedError


def _summed(g, shape, how=np.sum):
    new = g.ndim - len(shape)
    axes = [i for i in range(g.ndim) if i < new or shape[i - new] == 1]
    return how(g, axis=tuple(axes), keepdims=True).reshape(shape)


EXERCISES.append(Exercise(
    *asked(broadcast), "Undoing a broadcast", 10, ("tanh",), "tinygan/ops.py, sum_to",
    ("share",), lambda g, shape: slopes(lambda x: (g * x).sum(), np.zeros(shape)),
    {"new axes": (1, [(_normal(4, 3), (3,)), (_normal(2, 4, 3), (4, 3)), (_normal(2, 2, 3), (3,))]),
     "axes of length 1": (1, [(_normal(4, 3), (4, 1)), (_normal(4, 3), (1, 3)), (_normal(2, 4, 3), (2, 1, 1))]),
     "both, and neither": (2, [(_normal(2, 4, 3), (4, 1)), (_normal(4, 3), (4, 3)), (_normal(4, 1), (4, 1))]),
     "a single number, and no rows": (1, [(_normal(4, 3), ()), (_normal(1, 1), ()), (np.zeros((0, 3)), (3,))])},
    {"This is the mean over the copies. Their cotangents add up.": lambda g, shape: _summed(g, shape, np.mean),
     "This is the cotangent of one copy. Those of all copies add up.":
         lambda g, shape: g[tuple(slice(0, n) for n in (1,) * (g.ndim - len(shape)) + shape)].reshape(shape),
     "The axes of length 1 are forgotten: only new axes are summed.":
         lambda g, shape: g.sum(axis=tuple(range(g.ndim - len(shape)))),
     "The new axes are forgotten: only axes of length 1 are summed.":
         lambda g, shape: g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)},
    ("Take x of shape (1,) and y = x + a with four numbers in a. Along how many ways does x reach L?",
     "A number that was copied k times receives k cotangents. Which axes of g hold the copies?",
     "Sum g over the g.ndim − len(shape) axes on the left, then with keepdims=True over those where shape has a 1.")))


def order(output):
    """Topological order: in which order the chain rule walks back.

    output was made from other Tensors, these from others, and so on:
    tensor.edges is a list of pairs (x, vjp), one for each x that the tensor was
    made from. On the way back a Tensor may pass its cotangent on only when the
    cotangent is complete: when all that was made from it has been there. So we
    need an order, to be walked from its end.

    output    Tensor
    returns   the list of all Tensors that lead to output, each once, each after
              those it was made from; output itself is the last
    A graph may be deeper than Python's stack allows, and have 2⁴⁰ ways through
    it. == compares the numbers in two Tensors; to ask whether a Tensor has been
    seen, keep a set.
    """
    raise NotImplementedError


class _Watched(tuple):
    """Edges that count how often they are read."""
    read = 0

    def __iter__(self):
        _Watched.read += 1
        if _Watched.read > 20_000:
            raise RuntimeError("41 Tensors were asked for their edges 20,000 times: remember where you have been")
        return super().__iter__()


def _graph(kind):
    """The last Tensor of a small graph."""
    x = y = tg.Tensor(2.0, requires_grad=True)
    if kind == "leaf":
        return x
    if kind == "branches":
        a, b = x * 3.0, x + 1.0
        return (a * b + a) * x + tg.Tensor([1.0, 2.0])
    if kind == "late":                      # x is needed by the first and by the last, and has an equal
        return ((x * 1.0).tanh() + 1.0) * x
    for _ in range({"deep": 4000, "ladder": 40}[kind]):
        y = y + y if kind == "ladder" else y * 1.01
    return y


def _faults(function, kind):
    """What is wrong with the order of a graph, in numbers."""
    output, _Watched.read = _graph(kind), 0
    right = tg.tensor.topological_order(output)
    for x in right if kind == "ladder" else ():
        x.edges = _Watched(x.edges)
    listed = list(function(output))
    place = {id(x): i for i, x in reversed(list(enumerate(listed)))}
    early = [x for x in listed for y, _ in x.edges if place.get(id(y), len(listed)) > place[id(x)]]
    missing = {id(x) for x in right} ^ set(place)
    return [len(missing), len(listed) - len(place), len(early), not listed or listed[-1] is not output]


def _by_depth(output, late=True, remember=True):
    """Depth first, recursive: each Tensor is noted after those it was made from, or before."""
    found, seen = [], set()

    def visit(x):
        if remember and x in seen:
            return
        seen.add(x)
        if not late:
            found.append(x)
        for y, _ in x.edges:
            visit(y)
        if late:
            found.append(x)
    visit(output)
    return found


EXERCISES.append(Exercise(
    *asked(order), "Topological order", 20, (), "tinygan/tensor.py, topological_order",
    ("Tensors that are missing or foreign", "Tensors listed twice", "Tensors before what they were made from",
     "output is not the last"), lambda kind: [0, 0, 0, 0],
    {"small graphs": (3, [("branches",), ("late",), ("leaf",)]),
     "40 steps with 2⁴⁰ ways through them": (1, [("ladder",)]),
     "a graph deeper than Python's stack": (1, [("deep",)])},
    {"Each Tensor stands before those it was made from: this is the way back itself. Turn it around.":
         lambda output: tg.tensor.topological_order(output)[::-1],
     "Nothing remembers which Tensors were listed: a Tensor that is used twice is listed twice.":
         lambda output: _by_depth(output, remember=False),
     "This is depth first, turned around, but each Tensor is noted when it is reached, not when all before it are done.":
         lambda output: _by_depth(output, late=False)[::-1],
     "Right, but recursive: a deep graph is deeper than Python's stack. Keep a list of what waits.":
         _by_depth},
    ("Walk the graph depth first. When may a Tensor be appended: when it is reached, or when all below it are done?",
     "For a deep graph replace the recursion by a list used as a stack. Look at its top without taking it off.",
     "If the top has edges to Tensors that are not listed yet, push those; else pop it and, unless listed, list it."),
    _faults))


def matmul(g, a, b):
    """The two shares of a matrix product Y = A B.

    g         array (n, m), ∂L/∂Y
    a, b      arrays (n, k) and (k, m)
    returns   ∂L/∂A and ∂L/∂B, arrays of the shapes of a and b
    derive    from Y_ij = Σ_k A_ik B_kj: what does L change by, Σ_ij G_ij dY_ij,
              when A changes by dA?
    """
    raise NotImplementedError


EXERCISES.append(Exercise(
    *asked(matmul), "The matrix product", 10, ("tanh",), "tinygan/ops.py, matmul",
    ("∂L/∂A", "∂L/∂B"), lambda g, a, b: slopes(lambda a, b: (g * (a @ b)).sum(), a, b),
    {"square matrices": (2, [(_normal(3, 3), _normal(3, 3), _normal(3, 3))]),
     "oblong ones": (2, [(_normal(2, 4), _normal(2, 3), _normal(3, 4))]),
     "a single row, a single column, no rows": (
         1, [(_normal(1, 4), _normal(1, 3), _normal(3, 4)), (_normal(4, 1), _normal(4, 3), _normal(3, 1)),
             (np.zeros((0, 2)), np.zeros((0, 3)), _normal(3, 2))])},
    {"Nothing is transposed: this is G B and A G.": lambda g, a, b: (g @ b, a @ g),
     "The factors of both shares stand in the other order.": lambda g, a, b: (b.T @ g, g @ a.T),
     "The two shares are exchanged.": lambda g, a, b: (a.T @ g, g @ b.T),
     "This is the derivative of the elementwise product.": lambda g, a, b: (g * b, g * a)},
    ("∂L/∂A has the shape of A. Which product of G (n, m) and B (k, m) has it?",
     "L changes by Σ_ij G_ij dY_ij. Put in dY = dA B and sort by the elements of dA.",
     "Σ_ij G_ij Σ_k dA_ik B_kj = Σ_ik dA_ik Σ_j G_ij B_kj, and Σ_j G_ij B_kj is an element of G Bᵀ.")))


def softplus(x):
    """softplus(x) = ln(1 + eˣ), which never overflows.

    The losses of the game are made of it. As it stands, eˣ overflows at
    x = 1000, where the value is only 1000, and 1 + eˣ rounds to 1 at x = −40,
    where the value is e⁻⁴⁰. Find a form in which no exponent is positive and no
    digit is lost: NumPy has nothing to warn of, whatever x is.

    x         array
    returns   array of the same shape
    derive    for x > 0, take eˣ out of the bracket; then find one form for both
              signs
    """
    raise NotImplementedError


def _silently(function, x):
    """The value; where NumPy would warn, an error."""
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        return [function(x)]


EXERCISES.append(Exercise(
    *asked(softplus), "A softplus that never overflows", 10, (), "tinygan/ops.py, softplus",
    ("softplus(x)",), lambda x: [twins.softplus(x)],
    {"random numbers": (2, [(3 * _normal(4, 3),), (np.zeros(2),)]),
     "large numbers": (2, [(np.array([x]),) for x in (1000.0, -1000.0, 1e4, -1e4, 100.0, 25.0, 10.5)]),
     "what is left at x = −40": (1, [(np.array([x]),) for x in (-40.0, -45.0, -20.0)])},
    {"This is max(x, 0), which softplus only approaches.": lambda x: np.maximum(x, 0),
     "eˣ overflows: no exponent may be positive.": lambda x: np.log(1 + np.exp(x)),
     "eˣ overflows still: log1p alone does not help.": lambda x: np.log1p(np.exp(x)),
     "np.where computes both of its branches, and one overflows: write one form, with |x|.":
         lambda x: np.where(x > 0, x + np.log1p(np.exp(-x)), np.log1p(np.exp(x))),
     "A clip of the exponent is wrong beyond it.": lambda x: np.log1p(np.exp(np.minimum(x, 20))),
     "1 + e^−|x| rounds to 1: np.log1p keeps the digits.": lambda x: np.maximum(x, 0) + np.log(1 + np.exp(-np.abs(x)))},
    ("For x > 0 write 1 + eˣ = eˣ·(e⁻ˣ + 1).",
     "softplus(x) = x + softplus(−x). In which of the two is the exponent negative?",
     "max(x, 0) + ln(1 + e^−|x|) holds for both signs. For a small t, np.log1p(t) is more exact than np.log(1 + t)."),
    _silently))
