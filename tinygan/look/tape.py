"""The tape as a picture: every Tensor that an output was made from, and the operation that made it.

The picture is a text in the language of Graphviz, https://graphviz.org, whose program `dot` lays it out.
"""
import subprocess
from pathlib import Path

from ..errors import TinyganError
from ..module import Module
from ..tensor import Tensor, topological_order
from .files import whole

STYLES = {                  # Graphviz's attributes of a node
    "operation": 'shape=box style="rounded,filled" fillcolor="#f7f8f9"',
    "parameter": 'shape=box style=filled fillcolor="#cfe5f3"',
    "leaf": 'shape=box style=filled fillcolor="#fbe3d1"',
    "constant": 'shape=plain fontcolor="#6a7078"',
}


class Tape:
    """A drawing of a tape, which a notebook shows. source: its text in the language of Graphviz"""

    def __init__(self, source):
        self.source = source

    def __repr__(self):
        return f"Tape(nodes: {self.source.count('label=')}; .save(path) draws it, as .svg, .png or .pdf)"

    def save(self, path: str | Path) -> None:
        """Write the picture, in the format that the name ends in.  TinyganError where Graphviz is missing."""
        picture = _laid_out(self.source, Path(path).suffix[1:])
        with whole(path) as unfinished:
            unfinished.write_bytes(picture)

    def _repr_mimebundle_(self, include=None, exclude=None):
        try:
            return {"image/svg+xml": _laid_out(self.source, "svg").decode()}
        except TinyganError as error:
            return {"text/plain": str(error)}


def draw(output: Tensor, **networks: Module) -> Tape:
    """The Tape of all that output was made from, as it stands before .backward(): draw(loss, G=G, D=D).

    An operation is named as in the book, those of ops.py without their chapter, and stands with the shape of its result.
    Leaves are blue where they are parameters of a network, orange where they are others with requires_grad, and bare where
    they are constants.
    networks: by whose names their parameters are called, such as G.layers.0.weight."""
    if not isinstance(output, Tensor):
        raise TinyganError(f"got {type(output).__name__} to draw, expected a Tensor: give the loss before it is a number")
    names = {parameter: f"{network}.{name}" for network, module in networks.items()
             for name, parameter in module.named_parameters()}
    order = topological_order(output)
    number = {tensor: k for k, tensor in enumerate(order)}
    nodes = [f"{k} [{_node(tensor, names.get(tensor))}]" for k, tensor in enumerate(order)]
    edges = [f"{number[x]} -> {k}" for k, tensor in enumerate(order) for x, _ in tensor.edges]
    lines = ["digraph {", 'node [fontname="Helvetica" fontsize=11]', "edge [arrowsize=0.6]", *nodes, *edges, "}"]
    return Tape("\n".join(lines) + "\n")


def _node(tensor, name):
    """The label of a Tensor and its style. The derivative that an edge holds was defined inside of its operation."""
    if tensor.edges:
        vjp = tensor.edges[0][1]
        chapter, operation = vjp.__module__.rpartition(".")[2], vjp.__qualname__.partition(".")[0].strip("_")
        kind, name = "operation", f"{chapter}.{operation}".removeprefix("ops.")
    else:
        kind = "parameter" if name else "leaf" if tensor.requires_grad else "constant"
    return f'label="{name or kind}\\n{tensor.shape}" {STYLES[kind]}'


def _laid_out(source, form):
    """The picture's bytes."""
    try:
        return subprocess.run(["dot", f"-T{form}"], input=source.encode(), capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise TinyganError("drawing a tape needs the program dot, which was not found: install Graphviz, as by `apt install "
                           "graphviz`, `brew install graphviz` or from graphviz.org") from None
    except subprocess.CalledProcessError as error:
        raise TinyganError(f"got a picture to draw as {form!r}, which Graphviz refuses, expected svg, png or pdf: "
                           "choose another name") from error
