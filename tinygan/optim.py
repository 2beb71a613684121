"""Optimisers: how a gradient becomes a step.

A parameter's array is changed in place: take a step only when every graph that saw the parameter is done with.
"""
import numpy as np

from . import group
from .backend import array_module, like, to_numpy
from .errors import TinyganError, plain_number
from .fast import pick, pointwise
from .tensor import Tensor


class _Optimiser:
    def __init__(self, parameters, lr):
        self.parameters, self.lr = list(parameters), plain_number("lr", lr)
        if not self.parameters:
            raise TinyganError(f"{type(self).__name__} got no parameters: give it network.parameters()")

    def zero_grad(self):
        """Forget the gradients: the next backward() starts from nothing."""
        for parameter in self.parameters:
            parameter.grad = None

    def _with_gradient(self):
        """(index, θ, ∂L/∂θ) as arrays, for all that has a gradient and is not frozen: of the whole batch, in a group."""
        found = [(index, p) for index, p in enumerate(self.parameters) if p.grad is not None and p.requires_grad]
        means = group.current().means([p.grad.data for _, p in found])
        for (index, p), g in zip(found, means):
            p.data, p.grad = array_module(p.data).asarray(p.data, order="C"), Tensor(g)
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
        self.betas, self.eps, self.t = tuple(plain_number("beta", beta, 0, 1) for beta in betas), plain_number("eps", eps), 0
        self.m = [array_module(p.data).zeros(p.shape, p.dtype) for p in self.parameters]
        self.v = [array_module(p.data).zeros(p.shape, p.dtype) for p in self.parameters]

    def step(self, fraction=1.0):
        """One step for every parameter that has a gradient, with this fraction of the learning rate."""
        self.t += 1
        for index, theta, g in self._with_gradient():
            m, v = self.m[index], self.v[index] = like(self.m[index], theta), like(self.v[index], theta)
            pick(plain_adam, pointwise.adam)(theta, g, m, v, fraction * self.lr, self.betas, self.eps, self.t)

    def settings(self):
        """The arguments that make an optimiser like this one."""
        return {"lr": self.lr, "betas": self.betas, "eps": self.eps}

    def state_dict(self):
        """What it remembers between steps, as NumPy arrays: t, and for each parameter i its m.i and v.i."""
        state = {"t": np.array(self.t)}
        for i, (m, v) in enumerate(zip(self.m, self.v)):
            state |= {f"m.{i}": np.array(to_numpy(m)), f"v.{i}": np.array(to_numpy(v))}
        return state

    def load_state_dict(self, state):
        """Take over what state_dict() gave.  TinyganError, before anything is changed, if it does not fit."""
        expected = {name: array.shape for name, array in self.state_dict().items()}
        got = {name: np.shape(array) for name, array in state.items()}
        if got != expected:
            wrong = sorted(name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name))
            raise TinyganError(f"the optimiser's state does not fit these parameters (see {', '.join(wrong[:3])}): "
                               "load it beside the network it came with")
        self.t = int(state["t"])
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
