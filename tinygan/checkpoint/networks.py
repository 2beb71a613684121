"""A network from its description: what repr(network) wrote, read back without running it.

The description is a nest of calls, such as Sequential(Dense(2, 1), Tanh()). It is parsed, never evaluated: the names must be
those of tinygan's layers, and the arguments plain values.
"""
import ast
import inspect
import math

from .. import layers
from ..errors import TinyganError, brief

LAYERS = {layer.__name__: layer for layer in
          (layers.Sequential, layers.Dense, layers.Conv2D, layers.Conv2DTranspose, layers.SpectralNorm, layers.BatchNorm,
           layers.LeakyReLU, layers.Maxout, layers.Tanh, layers.Sigmoid, layers.Softplus, layers.Reshape, layers.Flatten)}


def build(description, most=None):
    """The network that repr(network) describes, with new weights.

    most: how many weights it may have (any number if None): a description from a file is not to fill the memory.
    TinyganError for anything but tinygan's layers."""
    left = math.inf if most is None else most

    def value(node):
        nonlocal left
        if not isinstance(node, ast.Call):
            return ast.literal_eval(node)
        layer, positional = LAYERS[node.func.id], [value(argument) for argument in node.args]
        named = {keyword.arg: value(keyword.value) for keyword in node.keywords}
        left -= _weights(inspect.signature(layer).bind(*positional, **named).arguments)
        if left < 0:
            raise ValueError(f"more than {most:,} weights, all that the file holds")
        return layer(*positional, **named)

    try:
        network = value(ast.parse(description, mode="eval").body)
    except (SyntaxError, KeyError, AttributeError, TypeError, ValueError, RecursionError, MemoryError) as error:
        raise TinyganError(f"got {brief(description)!r} ({brief(error)}), expected a network of tinygan's layers: "
                           "give what repr(network) wrote") from error
    if not isinstance(network, layers.Module):
        raise TinyganError(f"got {brief(description)!r}, expected a network: "
                           "give layers such as Sequential(Dense(2, 1))")
    return network


def one_by_one(network):
    """Does the network look at each sample by itself, and remember nothing of it? Only of tinygan's layers is it known."""
    return all(type(module) in LAYERS.values() and not module.buffers for module in network.modules())


def _weights(arguments):
    """How many numbers the weight of a layer made with these arguments holds."""
    sizes = [size for name, size in arguments.items() if name.startswith(("in_", "out_", "features"))]
    return math.prod(sizes) * arguments.get("kernel_size", 1) ** 2 if sizes else 0
