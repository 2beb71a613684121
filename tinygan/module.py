"""What every layer and network can do, whatever it computes: name its arrays, give and take its state, move, change its mode."""
import numpy as np

from .backend import like, to_device, to_numpy
from .errors import TinyganError
from .tensor import Tensor


class Module:
    """Something with parameters that maps a Tensor to a Tensor in forward(x).

    Parameters are the attributes that are leaves with requires_grad, children those that are Modules (or lists of
    them), both in the order of their definition; `buffers` names arrays that are part of the state but not trained."""
    buffers = ()
    training = True

    def __call__(self, x):
        return self.forward(x if isinstance(x, Tensor) else Tensor(x))

    def __repr__(self):
        return f"{type(self).__name__}()"

    def _children(self):
        """(name, module) for every direct child."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, (list, tuple)):
                yield from ((f"{name}.{i}", item) for i, item in enumerate(value) if isinstance(item, Module))

    def _named_modules(self, prefix=""):
        """(prefix, module) for this module and everything below it, outermost first."""
        yield prefix, self
        for name, child in self._children():
            yield from child._named_modules(f"{prefix}{name}.")

    def modules(self):
        """This module and all below it."""
        return [module for _, module in self._named_modules()]

    def named_parameters(self):
        """[(name, Tensor)] in definition order."""
        return [(prefix + name, value) for prefix, module in self._named_modules()
                for name, value in vars(module).items()
                if isinstance(value, Tensor) and value.requires_grad and not value.edges]

    def parameters(self):
        """All that is trained, in definition order: weight before bias, gamma before beta."""
        return [parameter for _, parameter in self.named_parameters()]

    def _places(self):
        """(name, owner, attribute) of every array of the state, which is owner.attribute: parameters first, then buffers."""
        return [(name, parameter, "data") for name, parameter in self.named_parameters()] + [
            (prefix + name, module, name) for prefix, module in self._named_modules() for name in module.buffers]

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
        return self._replace(lambda _, array: array.astype(dtype))

    def train(self, training=True):
        """Training mode: batch normalisation uses the statistics of the batch and remembers them."""
        for module in self.modules():
            module.training = training
        return self

    def eval(self):
        """Evaluation mode: batch normalisation uses what it remembers, so each image stands for itself."""
        return self.train(False)

    def initialise(self, rng, std=None):
        """Redraw all weights from the NumPy Generator rng: Glorot-uniform, or N(0, std²); biases 0, gamma 1, beta 0."""
        for _, child in self._children():
            child.initialise(rng, std)
        return self
