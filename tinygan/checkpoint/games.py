"""A game as a description and arrays, and back: what GAN.save writes and GAN.load reads.

All that decides how the game goes on is in the file: both networks, both optimisers, the rules, the random numbers still to be
drawn, the images still to come in this epoch, and the history. So a game that was loaded ends in the same bytes.
"""
from dataclasses import asdict

import numpy as np

from ..errors import TinyganError, brief
from ..optim import OPTIMISERS
from ..umpire import Rules
from . import damaged, read
from .networks import build

FORMAT = 1                                      # of the description; another number is refused
FIRST = ("gradient_penalty", "averaging")       # the rules that every checkpoint has; older ones lack the others


def described(gan):
    """(description, arrays): the arguments of checkpoint.write for this game."""
    arrays = {"history": np.array(list(gan.history.values())), "waiting": gan.unseen}
    for part, owner in _parts(gan).items():
        arrays |= {f"{part}/{name}": array for name, array in owner.state_dict().items()}
    description = {
        "format": FORMAT, "latent": gan.latent, "loss": gan.loss, **asdict(gan.rules),
        "steps": gan.steps, "workers": gan.workers, "rng": gan.rng.bit_generator.state,
        "generator": repr(gan.generator), "discriminator": repr(gan.discriminator),
        "dtype": str(gan.generator.parameters()[0].dtype),
        "g_optimizer": [type(gan.g_optimizer).__name__, gan.g_optimizer.settings()],
        "d_optimizer": [type(gan.d_optimizer).__name__, gan.d_optimizer.settings()],
    }
    return description, arrays


def restored(cls, path):
    """The game in the file at `path`, on the CPU, as a `cls`, which is GAN or made from it.

    TinyganError for a missing, damaged or foreign file."""
    about, arrays = read(path)
    try:
        if about["format"] != FORMAT:
            raise TinyganError(f"got checkpoint format {brief(about['format'])}, expected format {FORMAT}: "
                               "use the version of tinygan that wrote it")
        return _rebuilt(cls, about, arrays)
    except TinyganError as error:
        raise TinyganError(f"{path} cannot be used: {brief(error, 600)}") from error
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError,
            SyntaxError) as error:              # this one is NumPy's, which parses the name of a type
        raise damaged(path, error) from error


def _rebuilt(cls, about, arrays):
    """The game of a description and arrays. Whatever is wrong with them raises one error or another."""
    most = sum(array.size for array in arrays.values())
    G, D = (build(about[name], most).astype(about["dtype"]) for name in ("generator", "discriminator"))
    g_optimizer, d_optimizer = (OPTIMISERS[name](network.parameters(), **settings) for network, (name, settings) in
                                ((G, about["g_optimizer"]), (D, about["d_optimizer"])))
    rules = {name: about[name] for name in Rules.names() if name in about or name in FIRST}
    gan = cls(G, D, about["latent"], about["loss"], g_optimizer, d_optimizer, **rules)
    for part, owner in _parts(gan).items():
        start = f"{part}/"
        owner.load_state_dict({name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)})
    gan.workers = int(about.get("workers", 1))          # older checkpoints do not say: they had one
    gan.steps, gan.rng.bit_generator.state, gan.unseen = about["steps"], about["rng"], arrays["waiting"]
    gan.history = {name: row.tolist() for name, row in zip(gan.history, arrays["history"], strict=True)}
    return gan


def _parts(gan):
    """What has a state of its own, by its name in the checkpoint."""
    names = ["generator", "discriminator", "g_optimizer", "d_optimizer"] + ["averaged"] * bool(gan.rules.averaging)
    return {name: getattr(gan, name) for name in names}
