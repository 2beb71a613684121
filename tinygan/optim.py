"""Optimisers: how a gradient becomes a step.

A parameter's array is changed in place: a graph that saw the parameter before is stale, and refuses to be differentiated.
"""
import numpy as np

from . import group
from .backend import array_module, like, to_numpy
from .errors import TinyganError, brief, integer, plain_number
from .fast import pick, pointwise
from .tensor import Tensor


class _Optimiser:
    def __init__(self, parameters, lr):
        given = list(parameters) if hasattr(parameters, "__iter__") else None        # a Tensor is not a list of its rows
        if not given or not all(isinstance(p, Tensor) and not p.edges for p in given):
            raise TinyganError(f"{type(self).__name__} got {'no parameters' if given == [] else brief(parameters)}, "
                               "expected a list of Tensors that were not computed: give it network.parameters()")
        self.parameters, self.lr = list(dict.fromkeys(given)), plain_number("lr", lr)

    def zero_grad(self):
        """Forget the gradients: the next backward() starts from nothing."""
        for parameter in self.parameters:
            parameter.grad = None

    def _with_gradient(self):
        """(index, θ, ∂L/∂θ) as arrays, for all that has a gradient and is not frozen: of the whole batch, in a group."""
        found = [(index, p) for index, p in enumerate(self.parameters) if p.grad is not None and p.requires_grad]
        means = group.current().means([p.grad.data for _, p in found])
        for (index, p), g in zip(found, means):
            p.data, p.grad = p.data, Tensor(g)      # a new version: it is about to be changed in place
            yield index, p.data, g


class SGD(_Optimiser):
    """θ ← θ − lr·∂L/∂θ"""

    def step(self, fraction=1.0):
        """One step for every parameter that has a gradient, with this fraction of the learning rate."""
        for _, theta, g in self._with_gradient():
            theta -= g * theta.dtype.type(fraction * self.lr)

    def settings(self):
        """The arguments that make an optimiser like this one."""
        return {"lr": self.lr}

    def state_dict(self):
        """What it remembers between steps: nothing."""
        return {}

    def load_state_dict(self, state):
        """Take over what state_dict() gave."""
        return self


class Adam(_Optimiser):
    """With the gradient g of step t, elementwise:

        m ← β₁·m + (1 − β₁)·g        v ← β₂·v + (1 − β₂)·g²        running means of g and g²
        θ ← θ − lr·m̂/(√v̂ + ε)       m̂ = m/(1 − β₁ᵗ)    v̂ = v/(1 − β₂ᵗ)    corrected for starting at 0

    Source: Kingma & Ba, "Adam" (2015), algorithm 1. β₁ = 0.5 is DCGAN's (Radford et al. 2016): in a game the gradient
    turns, and a long memory of it overshoots."""

    def __init__(self, parameters, lr=2e-4, betas=(0.5, 0.999), eps=1e-8):
        super().__init__(parameters, lr)
        if np.shape(betas) != (2,):
            raise TinyganError(f"got betas {brief(betas)}, expected two numbers: give (β₁, β₂)")
        self.betas, self.eps = tuple(plain_number("beta", beta, 0, 1) for beta in betas), plain_number("eps", eps)
        self.counts = [0] * len(self.parameters)            # t of each: the steps for which it had a gradient
        self.m, self.v = ([array_module(p.data).zeros(p.shape, p.dtype) for p in self.parameters] for _ in "mv")

    def step(self, fraction=1.0):
        """One step for every parameter that has a gradient, with this fraction of the learning rate."""
        for index, theta, g in self._with_gradient():
            self.counts[index] += 1
            m, v = self.m[index], self.v[index] = like(self.m[index], theta), like(self.v[index], theta)
            pick(plain_adam, pointwise.adam)(theta, g, m, v, fraction * self.lr, self.betas, self.eps, self.counts[index])

    t = property(lambda self: max(self.counts), doc="The steps of the parameter that had the most.")

    def settings(self):
        """The arguments that make an optimiser like this one."""
        return {"lr": self.lr, "betas": self.betas, "eps": self.eps}

    def state_dict(self):
        """What it remembers between steps, as NumPy arrays: t of each parameter, and for parameter i its m.i and v.i."""
        state = {"t": np.array(self.counts)}
        for i, (m, v) in enumerate(zip(self.m, self.v)):
            state |= {f"m.{i}": np.array(to_numpy(m)), f"v.{i}": np.array(to_numpy(v))}
        return state

    def load_state_dict(self, state):
        """Take over what state_dict() gave.  TinyganError, before anything is changed, if it does not fit."""
        expected = {name: array.shape for name, array in self.state_dict().items()}
        got = {name: np.shape(array) for name, array in state.items()}
        if got.get("t") == ():                              # older states have one t for all
            got["t"] = expected["t"]
        if got != expected:
            wrong = sorted(name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name))
            raise TinyganError(f"the optimiser's state does not fit these parameters (see {', '.join(wrong[:3])}): "
                               "load it beside the network it came with")
        self.counts = [integer("t", t) for t in np.broadcast_to(state["t"], len(self.parameters))]
        for i, parameter in enumerate(self.parameters):
            self.m[i], self.v[i] = (like(np.array(state[f"{name}.{i}"]), parameter.data) for name in "mv")
        return self


def plain_adam(theta, g, m, v, lr, betas, eps, t):
    """The equations of Adam, on arrays that are changed in place."""
    m[...] = betas[0] * m + (1 - betas[0]) * g
    v[...] = betas[1] * v + (1 - betas[1]) * g ** 2
    m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    theta[...] = theta - lr * m_hat / (array_module(v).sqrt(v_hat) + eps)


OPTIMISERS = {"SGD": SGD, "Adam": Adam}
