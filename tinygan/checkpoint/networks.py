"""A network from its description: what repr(network) wrote, read back without running it.

The description is a nest of calls, such as Sequential(Dense(2, 1), Tanh()). It is parsed, never evaluated: the names must be
those of tinygan's layers, and the arguments plain values.
"""
import ast
import inspect
import math

from .. import layers
from ..errors import TinyganError, brief
from ..tensor import Tensor

LAYERS = {layer.__name__: layer for layer in
          (layers.Sequential, layers.Dense, layers.Conv2D, layers.Conv2DTranspose, layers.SpectralNorm, layers.BatchNorm,
           layers.LeakyReLU, layers.Maxout, layers.OneHot, layers.Tanh, layers.Sigmoid, layers.Softplus, layers.Reshape,
           layers.Flatten)}


def build(description, most=None, shared=None):
    """The network that repr(network) describes, with new weights.

    most: how many weights it may have (any number if None): a description from a file is not to fill the memory.
    shared: what stands in several places, as traits() says it.
    TinyganError for anything but tinygan's layers."""
    left, shared, built = math.inf if most is None else most, shared or {}, {}

    def value(node, name):
        """What the node describes, which stands at `name`: ``, `layers.0`, `layers.0.layer`, … as in state_dict()."""
        nonlocal left
        if not isinstance(node, ast.Call):
            return ast.literal_eval(node)
        if name in shared:
            return built[shared[name]]
        prefix, layer = f"{name}." if name else "", LAYERS[node.func.id]
        call = inspect.signature(layer).bind(*node.args, **{keyword.arg: keyword.value for keyword in node.keywords})
        for argument, given in call.arguments.items():                  # a layer keeps each under the name of its argument
            call.arguments[argument] = (value(given, prefix + argument) if isinstance(given, ast.AST) else
                                        tuple(value(one, f"{prefix}{argument}.{i}") for i, one in enumerate(given)))
        weights = _weights(call.arguments)
        left -= 0 if f"{prefix}weight" in shared else weights           # a shared one is in the file once
        if left < 0 or most is not None and weights > most:
            raise ValueError(f"more than {most:,} weights, all that the file holds")
        built[name] = layer(*call.args, **call.kwargs)
        for attribute, own in built[name].named_parameters():
            if f"{prefix}{attribute}" in shared:
                setattr(built[name], attribute, _found(built, shared[f"{prefix}{attribute}"], own.shape))
        return built[name]

    try:
        network = value(ast.parse(description, mode="eval").body, "")
    except (SyntaxError, KeyError, AttributeError, TypeError, ValueError, RecursionError, MemoryError) as error:
        raise TinyganError(f"got {brief(description)!r} ({brief(error)}), expected a network of tinygan's layers: "
                           "give what repr(network) wrote") from error
    if not isinstance(network, layers.Module):
        raise TinyganError(f"got {brief(description)!r}, expected a network: "
                           "give layers such as Sequential(Dense(2, 1))")
    return network


def _found(built, name, shape):
    """The parameter of this name and shape in what is built already."""
    owner, _, attribute = name.rpartition(".")
    parameter = dict(built[owner].named_parameters())[attribute]
    if parameter.shape != shape:
        raise ValueError(f"{name} of shape {parameter.shape} in a place for {shape}")
    return parameter


def traits(network):
    """What repr(network) leaves out: {"own": the first class in it that is not tinygan's, or None, "shared": {name: first
    name} of what stands in several places, "frozen": names of parameters, "evaluating": names of modules}."""
    modules = {module: prefix.removesuffix(".") for module, prefix in network.named_modules().items()}
    first, shared = {**modules, **{parameter: name for name, parameter in network.named_parameters()}}, {}
    for module, name in modules.items():
        for attribute, value in [*vars(module).items(), *module.named_children()]:
            place = f"{name}.{attribute}" if name else attribute
            if isinstance(value, (Tensor, layers.Module)) and first.get(value, place) != place:
                shared[place] = first[value]
    return {"own": next((type(module).__name__ for module in modules if type(module) not in LAYERS.values()), None),
            "shared": shared, "frozen": [name for name, p in network.named_parameters() if not p.requires_grad],
            "evaluating": [name for module, name in modules.items() if not module.training]}


def with_traits(network, frozen, evaluating):
    """The network, with these parameters frozen and these modules in evaluation mode, and no others."""
    parameters = dict(network.named_parameters())
    modules = {prefix.removesuffix("."): module for module, prefix in network.train().named_modules().items()}
    for parameter in parameters.values():
        parameter.requires_grad = True
    for name in frozen:
        parameters[name].requires_grad = False
    for name in evaluating:
        modules[name].training = False
    return network


def one_by_one(network):
    """Does the network look at each sample by itself, and remember nothing of it? Only of tinygan's layers is it known."""
    return all(type(module) in LAYERS.values() and not module.buffers for module in network.modules())


def _weights(arguments):
    """How many numbers the weight of a layer made with these arguments holds."""
    sizes = [size for name, size in arguments.items() if name.startswith(("in_", "out_", "features"))]
    return math.prod(sizes) * arguments.get("kernel_size", 1) ** 2 if sizes else 0
