"""What every layer and network can do, whatever it computes: name its arrays, give and take its state, move, change its mode."""
from contextlib import contextmanager

import numpy as np

from .backend import like, to_device, to_numpy
from .errors import TinyganError
from .tensor import Tensor


class Module:
    """Something with parameters that maps a Tensor to a Tensor in forward(x).

    Parameters are the attributes that are Tensors with requires_grad, children those that are Modules (or lists of
    them), both in the order of their definition; `buffers` names arrays that are part of the state but not trained.
    A parameter is frozen by requires_grad = False: no step moves it, and it stays part of the state. What is used in
    several places, a layer or a Tensor, counts once, by the first of its names."""
    buffers = ()
    training = True
    written = ""                    # the arguments in repr(), which fills in the module's own attributes
    _parameters = frozenset()       # names: what requires a gradient when it is assigned stays a parameter when it is frozen

    def __setattr__(self, name, value):
        if isinstance(value, Tensor) and value.requires_grad and not value.edges:
            super().__setattr__("_parameters", self._parameters | {name})
        super().__setattr__(name, value)

    def __call__(self, x):
        return self.forward(x if isinstance(x, Tensor) else Tensor(x))

    def __repr__(self):
        return f"{type(self).__name__}({self.written.format(self)})"

    def named_children(self):
        """(name, module) for every direct child."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, (list, tuple)):
                yield from ((f"{name}.{i}", item) for i, item in enumerate(value) if isinstance(item, Module))

    def named_modules(self, prefix="", found=None):
        """{module: prefix} of this module and everything below it, outermost first."""
        found = {} if found is None else found
        if self not in found:
            found[self] = prefix
            for name, child in self.named_children():
                child.named_modules(f"{prefix}{name}.", found)
        return found

    def modules(self):
        """This module and all below it."""
        return list(self.named_modules())

    def named_parameters(self):
        """[(name, Tensor)] in definition order. A Tensor with edges is a result that a layer keeps, and no parameter."""
        return [(name, owner) for name, owner, _ in self._places() if isinstance(owner, Tensor)]

    def parameters(self):
        """All that is trained or was, in definition order: weight before bias, gamma before beta."""
        return [parameter for _, parameter in self.named_parameters()]

    def _places(self):
        """(name, owner, attribute) of every array of the state, which is owner.attribute: parameters first, then buffers."""
        found, modules = {}, self.named_modules().items()
        for module, prefix in modules:
            for name, value in vars(module).items():
                if isinstance(value, Tensor) and not value.edges and (value.requires_grad or name in module._parameters):
                    found.setdefault(value, prefix + name)
        return [(name, parameter, "data") for parameter, name in found.items()] + [
            (prefix + name, module, name) for module, prefix in modules for name in module.buffers]

    def named_arrays(self):
        """[(name, array)] of all parameters, then of all buffers."""
        return [(name, getattr(owner, attribute)) for name, owner, attribute in self._places()]

    def arrays(self):
        """The same without the names."""
        return [array for _, array in self.named_arrays()]

    def state_dict(self):
        """{name: NumPy array}, copies of all parameters and buffers."""
        return {name: np.array(to_numpy(array)) for name, array in self.named_arrays()}

    def load_state_dict(self, state):
        """Take over the values of state_dict(), each with the dtype and on the device that it has here.

        TinyganError, before anything is changed, for a name too few or too many or another shape."""
        expected = {name: array.shape for name, array in self.named_arrays()}
        got = {name: np.shape(array) for name, array in state.items()}
        for name in expected | got:
            if got.get(name) != expected.get(name):
                raise TinyganError(f"the state does not fit this network: got {name} of shape {got.get(name, 'nothing')}, "
                                   f"expected {expected.get(name, 'nothing')}: load it into the network it came from")
        return self._replace(lambda name, array: like(np.array(state[name]), array))

    def _replace(self, new):
        """Put new(name, array) in the place of every array, and forget the gradients: they belong to what was there."""
        for name, owner, attribute in self._places():
            setattr(owner, attribute, new(name, getattr(owner, attribute)))
        for parameter in self.parameters():
            parameter.grad = None
        return self

    def to(self, device):
        """Move parameters and buffers to "cpu" or "cuda"."""
        return self._replace(lambda _, array: to_device(array, device))

    def astype(self, dtype):
        """Turn parameters and buffers into float32 or float64."""
        return self._replace(lambda _, array: array.astype(dtype, order="C"))

    def train(self, training=True):
        """Training mode: batch normalisation uses the statistics of the batch and remembers them."""
        for module in self.modules():
            module.training = training
        return self

    def eval(self):
        """Evaluation mode: batch normalisation uses what it remembers, so each image stands for itself."""
        return self.train(False)

    @contextmanager
    def evaluating(self):
        """with network.evaluating(): evaluation mode until the block ends, then each layer has its own mode again."""
        modes = [(module, module.training) for module in self.modules()]
        try:
            yield self.eval()
        finally:
            for module, mode in modes:
                module.training = mode

    def initialise(self, rng, std=None):
        """Redraw all weights from the NumPy Generator rng: Glorot-uniform, or N(0, std²); biases 0, gamma 1, beta 0."""
        for _, child in self.named_children():
            child.initialise(rng, std)
        return self
