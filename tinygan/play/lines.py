"""What stands beside the stage: the source of the round, the equations in its docstrings, and proofs of its derivatives."""
import inspect
import re
from html import escape

from .. import losses, proofs
from ..errors import TinyganError, brief
from ..optim import OPTIMISERS
from ..proofs import prose
from ..training import GAN
from .game import FIRST, LINES

SAME = {"saturating_generator_loss": "generator_loss"}          # what has the equation of another
PARTS = {"x = ": "x", "z = ": "z", "fakes = ": "G", "real_logits, fake_logits = ": "D",       # of the model: what a line makes
         "d_loss = ": "L_D", "d_loss.backward": "to_D", "self.d_optimizer.step": "to_D",
         "g_loss = ": "L_G", "g_loss.backward": "to_G", "self.g_optimizer.step": "to_G"}
PENALTIES = ("smoothed_discriminator_loss", "gradient_penalty", "r1_penalty")


def source(loss, optimiser):
    """{"first": number of the first line, "lines": [(text, what it calls or None, part of the model or None)],
    "explained": {name: HTML}}"""
    d_loss, g_loss = (SAME.get(function.__name__, function.__name__) for function in losses.LOSSES[loss])
    called = {r"d_loss_of\(": d_loss, r"g_loss_of\(": g_loss, r"_optimizer\.step": optimiser, r"self\._average": "_average",
              r"self\._blur": "_blur", r"self\._judged": "_judged", **{rf"[ (]{name}\(": name for name in PENALTIES}}
    lines = [(line.rstrip()[4:], next((name for pattern, name in called.items() if re.search(pattern, line)), None),
              next((part for start, part in PARTS.items() if line.strip().startswith(start)), None)) for line in LINES]
    return {"first": FIRST, "lines": lines, "explained": {name: _explained(name) for _, name, _ in lines if name}}


def _explained(name):
    """The docstring with its equations typeset, and the code below it."""
    code = OPTIMISERS.get(name) or getattr(losses, name, None) or getattr(GAN, name)
    text = inspect.getsource(code)
    source = f"<details><summary>source</summary><pre>{escape(text)}</pre></details>"
    return f"<h3>{escape(name)}</h3>{prose.html_of(code.__doc__)}{source}"


def proof(name):
    """The proof of a loss, a penalty or an optimiser, as text.  TinyganError for another name."""
    if name not in OPTIMISERS and not name.endswith(("_loss", "_penalty")):
        raise TinyganError(f"got {brief(name)} to prove, expected a loss, a penalty or an optimiser: choose a line with one")
    return proofs.table(proofs.prove_all(name), details=True)
