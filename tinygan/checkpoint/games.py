"""A game as a description and arrays, and back: what GAN.save writes and GAN.load reads.

All that decides how the game goes on is in the file: both networks, both optimisers, the rules, the random numbers still to be
drawn, the images still to come in this epoch, and the history. So a game that was loaded ends in the same bytes.
"""
import copy
import zlib
from dataclasses import asdict

import numpy as np

from ..backend import to_numpy
from ..errors import TinyganError, brief
from ..module import Module
from ..optim import OPTIMISERS
from ..umpire import Rules
from . import damaged, read
from .networks import build, traits, with_traits

FORMAT = 1                                      # of the description; another number is refused
FIRST = ("gradient_penalty", "averaging")       # the rules that every checkpoint has; older ones lack the others
PLAYERS = ("generator", "discriminator")


def described(gan):
    """(description, arrays): the arguments of checkpoint.write for this game."""
    arrays = {"history": np.array(list(gan.history.values())), "waiting": gan.unseen}
    for part, owner in _parts(gan).items():
        arrays |= {f"{part}/{name}": array for name, array in owner.state_dict().items()}
    description = {
        "format": FORMAT, "latent": gan.latent, "loss": gan.loss, **asdict(gan.rules),
        "steps": gan.steps, "workers": gan.workers, "rng": gan.rng.bit_generator.state,
        "generator": repr(gan.generator), "discriminator": repr(gan.discriminator),
        "dtype": str(gan.generator.parameters()[0].dtype), "mark": gan.mark,
        "traits": {player: traits(getattr(gan, player)) for player in PLAYERS},
        "g_optimizer": _optimiser(gan.g_optimizer, gan.generator),
        "d_optimizer": _optimiser(gan.d_optimizer, gan.discriminator),
    }
    return description, arrays


def _optimiser(optimiser, network):
    """[kind, settings, names of the network's parameters that it steps] of an optimiser.  TinyganError for another kind."""
    kind = type(optimiser)
    if OPTIMISERS.get(kind.__name__) is not kind:
        raise TinyganError(f"got {kind.__name__}, an optimiser of your own, expected {' or '.join(OPTIMISERS)}, which a "
                           "checkpoint can bring back: play with one of these, or keep each network's state_dict() yourself")
    names = {parameter: name for name, parameter in network.named_parameters()}
    return [kind.__name__, optimiser.settings(), [names[parameter] for parameter in optimiser.parameters]]


def keep_order(gan, images):
    """Let the order of the images go on where it stopped, or begin anew if these are others: of another shape or type, or
    with another checksum of a few hundred of them."""
    few = to_numpy(images[::len(images) // 256 + 1])
    mark = f"{'×'.join(map(str, images.shape))} {images.dtype}, crc32 {zlib.crc32(np.ascontiguousarray(few)):08x}"
    if gan.mark not in (mark, None) or (gan.unseen >= len(images)).any():           # None: in an older checkpoint
        gan.unseen = gan.unseen[:0]
    gan.mark = mark


def restored(cls, path, generator=None, discriminator=None):
    """The game that save() wrote to the file at `path`, on the CPU: it goes on exactly where the other stopped.

    generator, discriminator: networks to take over the saved arrays, needed where they hold classes of one's own.
    TinyganError for a missing, damaged or foreign file, and for a network that its arrays do not fit."""
    about, arrays = read(path)
    try:
        if about["format"] != FORMAT:
            raise TinyganError(f"got checkpoint format {brief(about['format'])}, expected format {FORMAT}: "
                               "use the version of tinygan that wrote it")
        return _rebuilt(cls, about, arrays, {"generator": generator, "discriminator": discriminator})
    except TinyganError as error:
        raise TinyganError(f"{path} cannot be used: {brief(error, 600)}") from error
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError,
            SyntaxError) as error:              # this one is NumPy's, which parses the name of a type
        raise damaged(path, error) from error


def _rebuilt(cls, about, arrays, given):
    """The game of a description and arrays. Whatever is wrong with them raises one error or another."""
    networks = [_network(player, about, arrays, given[player]) for player in PLAYERS]
    optimisers = [_rebuilt_optimiser(network, *about[name]) for network, name in zip(networks, ("g_optimizer", "d_optimizer"))]
    rules = {name: about[name] for name in Rules.names() if name in about or name in FIRST}
    gan = cls(*networks, about["latent"], about["loss"], *optimisers, **rules)
    for part, owner in _parts(gan).items():
        owner.load_state_dict(_of(part, arrays))
    gan.workers = int(about.get("workers", 1))          # older checkpoints do not say: they had one
    gan.steps, gan.rng.bit_generator.state, gan.unseen = about["steps"], about["rng"], arrays["waiting"]
    gan.mark = about.get("mark")
    gan._history = {name: row.tolist() for name, row in zip(gan.history, arrays["history"], strict=True)}
    return gan


def _of(part, arrays):
    """The arrays of one part of the game, by their names in it."""
    return {name.removeprefix(f"{part}/"): array for name, array in arrays.items() if name.startswith(f"{part}/")}


def _network(player, about, arrays, given):
    """The network of a player: the given one, if the arrays fit it, or one of tinygan's layers as described."""
    more = about.get("traits", {}).get(player)          # older checkpoints have none
    if given is None and more and more["own"]:
        raise TinyganError(f"got no {player}, expected a network such as was saved, with {brief(more['own'])}, which is no "
                           f"layer of tinygan's: give one to GAN.load(path, {player}=…)")
    if given is None:
        network = copied = build(about[player], sum(array.size for array in arrays.values()), more and more["shared"])
    elif isinstance(given, Module):
        network, copied = given, copy.deepcopy(given)
    else:
        raise TinyganError(f"got a {player} of type {type(given).__name__}, expected a network: give a tg.Module")
    copied.load_state_dict(_of(player, arrays))         # what does not fit is refused before a given network is changed
    network.astype(about["dtype"])
    return with_traits(network, more["frozen"], more["evaluating"]) if more else network


def _rebuilt_optimiser(network, kind, settings, names=None):
    """An optimiser of the parameters of these names; of all in an older checkpoint, which does not name them."""
    parameters = dict(network.named_parameters())
    return OPTIMISERS[kind](parameters.values() if names is None else [parameters[name] for name in names], **settings)


def _parts(gan):
    """What has a state of its own, by its name in the checkpoint."""
    names = ["generator", "discriminator", "g_optimizer", "d_optimizer"] + ["averaged"] * bool(gan.rules.averaging)
    return {name: getattr(gan, name) for name in names}
