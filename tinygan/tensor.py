"""The engine: a Tensor remembers what it was made from, and `grad` follows that memory backwards.

An operation y = f(x₁, x₂, …) leaves an edge (xᵢ, vjpᵢ) in y for each xᵢ. The vector-Jacobian product
vjpᵢ(g, y) = gᵀ ∂y/∂xᵢ turns the cotangent g = ∂L/∂y into y's share of ∂L/∂xᵢ. Walking from L back to the
inputs and adding up the shares is the chain rule, and all there is to backpropagation.

Shares are themselves computed with differentiable operations. Where they are recorded (create_graph=True)
a gradient can be differentiated again. Where they are not, an operation may offer a faster `joint` kernel
that computes all its shares at once on plain arrays; inside of `with plain():` it is not used (fast/).
"""
import threading
from contextlib import contextmanager
from operator import attrgetter

import numpy as np

from . import backend, fast
from .errors import TinyganError

_mode = threading.local()


def recording():
    """Do operations leave edges behind, in this thread?"""
    return getattr(_mode, "recording", True)


@contextmanager
def set_grad_enabled(on):
    """with set_grad_enabled(on): operations leave edges behind, or for False none, in this thread, until the block ends."""
    before = recording()
    _mode.recording = on
    try:
        yield
    finally:
        _mode.recording = before


def no_grad():
    """with no_grad(): operations leave no edges behind, in this thread, until the block ends."""
    return set_grad_enabled(False)


class Tensor:
    """An array of float32 or float64, NumPy's or CuPy's, and the edges to the Tensors it was made from.

    data           the array; lists and integers become float64, as in NumPy
    requires_grad  True for what gradients are wanted for; it passes on to all that is made from it
    grad           None, or a Tensor: what `backward` has added up so far (leaves only)
    version        how often data was replaced: what was made from an earlier one is stale

    The operators and the methods sum, mean, … are attached in ops.py, float(x), x < 1 and their like in protocols.py.
    """
    __slots__ = ("_data", "_grad", "requires_grad", "edges", "joint", "version", "seen", "__weakref__")
    __array_priority__ = 1000      # makes array * tensor call Tensor.__rmul__

    def __init__(self, data, requires_grad=False):
        data = backend.floats(data.bare() if isinstance(data, Tensor) else data)
        self._data = backend.contiguous(data) if requires_grad else data
        self.requires_grad, self._grad, self.edges, self.joint, self.version, self.seen = requires_grad, None, (), None, 0, ()

    def _replace_data(self, data):
        if self.edges:
            raise TinyganError("got new data for a computed Tensor, whose gradient belongs to the old: use .detach() first")
        self._data = backend.contiguous(backend.floats(data.bare() if isinstance(data, Tensor) else data))
        self.version += 1

    def _replace_grad(self, g):
        if g is not None and not isinstance(g, Tensor):
            g = Tensor(backend.like(backend.floats(g), self._data))
        if g is not None and g.shape != self.shape:
            raise TinyganError(f"got a gradient of shape {g.shape} for a Tensor of shape {self.shape}: give it that shape")
        self._grad = g

    data, grad = property(attrgetter("_data"), _replace_data), property(attrgetter("_grad"), _replace_grad)
    shape, dtype, ndim, size = (property(attrgetter(f"_data.{name}")) for name in ("shape", "dtype", "ndim", "size"))

    def bare(self):
        """The array, unless a gradient would be lost without a word."""
        if self.requires_grad:
            raise TinyganError("got a Tensor that requires a gradient, expected an array: use .detach() for the bare values")
        return self.data

    def detach(self):
        """The same values with no memory of how they were made: gradients stop here."""
        return Tensor(self.data)

    def backward(self, cotangent=None, inputs=None):
        """Add ∂(cotangent · self)/∂x to x.grad for every leaf x that requires it, or only for the given `inputs`.

        .grad accumulates over calls; the optimiser's zero_grad() empties it. The cotangent is 1 for a single
        number and must be given otherwise.  TinyganError if nothing here requires a gradient."""
        if not self.requires_grad:
            raise TinyganError("backward() on a Tensor that no Tensor with requires_grad=True leads to: "
                               "nothing to differentiate; was it detached, or made under no_grad()?")
        if inputs is None:
            inputs = [t for t in topological_order(self) if t.requires_grad and not t.edges]
        inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
        seen = {id(cotangent), id(getattr(cotangent, "data", None))}
        for leaf, g in zip(inputs, grad(self, inputs, cotangent)):
            if leaf.grad is not None:
                leaf.grad = Tensor(leaf.grad.data + g.data)
            else:
                # A view, or an array that someone else holds too (both sides of a sum receive the same g), is copied.
                leaf.grad = Tensor(g.data if g.data.flags.owndata and id(g.data) not in seen else g.data.copy())
            seen.add(id(g.data))


def record(data, *edges, joint=None):
    """The result of an operation: a Tensor with `data` and the edges (x, vjp) to what it was made from.

    vjp(g, y)            takes Tensors and returns the share of x as a Tensor of x's shape. It receives the output
                         y instead of closing over it, which would be a reference cycle.
    joint(g, y, wanted)  optional: the same shares for all edges at once, on arrays; where wanted[i] is False
                         the share may be None.
    Edges to plain numbers are dropped."""
    tensor = Tensor(data)
    if recording():
        edges = [edge for edge in edges if isinstance(edge[0], Tensor)]
        if any([x.requires_grad for x, _ in edges]):
            tensor.requires_grad, tensor.edges, tensor.joint = True, edges, joint
            tensor.seen = [x.version for x, _ in edges]
    return tensor


def topological_order(output):
    """All Tensors that output was made from, each one after those it was made from, output last.

    Iterative: a graph may be deeper than Python's stack. Each Tensor is listed once, however many paths lead to
    it, so that its cotangent is complete before it is passed on."""
    order, listed, stack = [], set(), [output]
    while stack:
        tensor = stack[-1]
        waiting = [] if tensor in listed else [x for x, _ in tensor.edges if x not in listed]
        if waiting:
            stack.extend(waiting)
        else:
            stack.pop()
            if tensor not in listed:
                listed.add(tensor)
                order.append(tensor)
    return order


def _joint_shares(tensor, g, on_path):
    """The shares of all that tensor was made from, computed together on arrays; None where its vjps give them one by one."""
    if tensor.edges and tensor.seen != [x.version for x, _ in tensor.edges]:
        raise TinyganError("a Tensor's data was replaced, by a step of an optimiser perhaps, after the forward pass that used "
                           "it: its gradient belongs to neither; run the forward pass again")
    if tensor.joint is None or recording() or fast.is_plain():
        return None
    return tensor.joint(g.data, tensor.data, [x in on_path for x, _ in tensor.edges])


def grad(output, inputs, cotangent=None, create_graph=False):
    """The gradients of cotangent · output with respect to each of the inputs, as a tuple of Tensors.

    cotangent     array or Tensor of output's shape; may be left out for a single number, where it is 1
    create_graph  record the computation, so that the gradients can themselves be differentiated
    An input that output does not depend on has gradient zero.  TinyganError on a missing or misshapen cotangent, and for
    an input without requires_grad where output, for all that was kept, may depend on it."""
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if not all(isinstance(x, Tensor) for x in inputs):
        raise TinyganError(f"got the inputs {inputs!r}, expected Tensors: give one, or a list such as [x, w]")
    g = _cotangent(output, cotangent)

    order = topological_order(output)
    if not all(x.requires_grad for x in inputs) and not all(tensor.requires_grad for tensor in order):
        raise TinyganError("got an input without requires_grad, to which no edges are kept, expected one with: make it with "
                           "tg.Tensor(data, requires_grad=True), and what depends on it outside of no_grad()")
    asked, on_path = set(inputs), set(inputs)      # on_path grows to all Tensors that some input leads to
    for tensor in order:
        if any(x in on_path for x, _ in tensor.edges):
            on_path.add(tensor)

    cotangents, found = {output: g}, {}    # a local dict: nothing is left behind on inner Tensors
    with set_grad_enabled(create_graph):
        for tensor in filter(on_path.__contains__, reversed(order)):
            g = cotangents.pop(tensor)
            if tensor in asked:
                found[tensor] = g
            together = _joint_shares(tensor, g, on_path)
            for i, (x, vjp) in enumerate(tensor.edges):
                if x in on_path:
                    share = vjp(g, tensor) if together is None else Tensor(together[i])
                    # A new array, never +=: the first share may still be in use elsewhere.
                    cotangents[x] = cotangents[x] + share if x in cotangents else share
    return tuple(found[x] if x in found else Tensor(backend.array_module(x.data).zeros_like(x.data)) for x in inputs)


def _cotangent(output, cotangent):
    """The given cotangent as a Tensor, or 1 for a single number."""
    xp = backend.array_module(output.data)
    if cotangent is None:
        if output.size != 1:
            raise TinyganError(f"the output has shape {output.shape}, not a single number: "
                               "give a cotangent of that shape, or reduce the output with .sum() or .mean()")
        return Tensor(xp.ones_like(output.data))
    if not isinstance(cotangent, Tensor):
        cotangent = Tensor(xp.asarray(cotangent, dtype=output.dtype))
    if cotangent.shape != output.shape:
        raise TinyganError(f"the cotangent has shape {cotangent.shape}, the output {output.shape}: they must be equal")
    backend.same_kind(cotangent.data, output.data)
    return cotangent
