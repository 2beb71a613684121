"""The umpire: the rules of a game, what is refused before it begins, and when it has diverged."""
from dataclasses import dataclass, field, fields
from math import inf

import numpy as np

from .backend import all_finite, is_array, unmasked
from .errors import Diverged, TinyganError, integer, plain_number
from .layers import Sigmoid, Tanh
from .losses import LOSSES

MOST_UNREAD = 20     # steps whose metrics may lie unread on a device: reading them makes it wait
SLOWEST = 0.05       # the fraction of the learning rates that is left in the end where they fall
BELIEFS = ("non_saturating", "saturating")          # the losses where σ(a) is D's belief
RANGES = {Tanh: (-1, 1), Sigmoid: (0, 1)}           # what a generator that ends in this layer can paint


def _rule(default, symbol, meaning, least=0, below=inf):
    """A field of Rules with its meaning; a number must lie in [least, below)."""
    return field(default=default, metadata={"symbol": symbol, "meaning": meaning, "least": least, "below": below})


@dataclass(frozen=True)
class Rules:
    """What keeps a game in balance. Each rule is off by default; its meaning is also what `tinygan train --help` says."""
    gradient_penalty: float = _rule(0.0, "λ", "weight of WGAN-GP's penalty on D's slope, usually 10")
    averaging: float = _rule(0.0, "d", "decay of the running mean of G's weights, for samples", below=1)
    r1: float = _rule(0.0, "γ", "weight of the R₁ penalty at real data, 0.1 to 10")
    r1_every: int = _rule(1, "k", "steps between two R₁ penalties, each k-fold", least=1)
    instance_noise: float = _rule(0.0, "σ", "Gaussian noise on all that D sees")
    noise_steps: int = _rule(None, "N", "steps over which that noise falls to 0 (it stays)", least=1)
    label_smoothing: float = _rule(0.0, "s", "D's target for real data is 1 − s, with s usually 0.1", below=0.5)
    decay_steps: int = _rule(None, "N", "steps over which both rates fall to 1/20 (they stay)", least=1)

    def __post_init__(self):
        for rule in fields(self):
            value = getattr(self, rule.name)
            if value is not None or rule.default is not None:
                plain = plain_number(rule.name, value, rule.metadata["least"], rule.metadata["below"])
                whole = rule.type is int and plain.is_integer()             # 1e4 steps are 10000
                object.__setattr__(self, rule.name, int(plain) if whole else plain)

    @classmethod
    def names(cls):
        """The names of all rules."""
        return [rule.name for rule in fields(cls)]

    def sigma(self, step):
        """σ of the instance noise after so many steps: it falls linearly."""
        return self.instance_noise * (max(0, 1 - step / self.noise_steps) if self.noise_steps else 1)

    def fraction(self, step):
        """The fraction of both learning rates that is left after so many steps: it falls linearly."""
        return max(SLOWEST, 1 - step / self.decay_steps) if self.decay_steps else 1.0


def rules_of(options):
    """The Rules that GAN's options name.  TypeError, as of any function, for a name that is none of them."""
    unknown = [name for name in options if name not in Rules.names()]
    if unknown:
        raise TypeError(f"got the option {unknown[0]!r}, expected one of {', '.join(Rules.names())}: choose one of them; "
                        "learning rates belong to g_optimizer and d_optimizer, as in tg.Adam(G.parameters(), lr=1e-4)")
    return Rules(**options)


def check_loss(loss, rules):
    """TinyganError for a loss that there is not, and for one that does not go with the rules."""
    if loss not in LOSSES:
        raise TinyganError(f"got loss {loss!r}, expected one of {', '.join(LOSSES)}: choose one of them")
    if rules.label_smoothing and loss not in BELIEFS:
        raise TinyganError(f"got label_smoothing with the loss {loss!r}, in which D has no labels, expected "
                           f"{' or '.join(BELIEFS)}: leave label_smoothing out, or take one of these losses")


def check_players(gan):
    """TinyganError unless G and D have weights of their own, and each optimiser those of its network or some of them."""
    G, D = set(gan.generator.parameters()), set(gan.discriminator.parameters())
    if G & D:
        raise TinyganError(f"got a generator and a discriminator with {len(G & D)} parameters in common, expected none, as "
                           "what is good for one is bad for the other: give each its own, as copy.deepcopy makes them")
    for name, player, own in (("g_optimizer", "generator", G), ("d_optimizer", "discriminator", D)):
        foreign = set(getattr(gan, name).parameters) - own
        if foreign:
            raise TinyganError(f"got a {name} with {len(foreign)} parameters that are not the {player}'s, expected its own "
                               f"alone: make it of {player}.parameters()")


def check_images(gan, images, batch_size):
    """TinyganError for images that D cannot take or G cannot paint, and for a batch size that they are too few for."""
    check_players(gan)
    if not is_array(images) or images.dtype.kind != "f":
        kind = images.dtype if is_array(images) else f"a {type(images).__name__}"
        raise TinyganError(f"got images as {kind}, expected an array of float32: "
                           "for bytes from 0 to 255 use images.astype('float32') / 127.5 - 1")
    if not len(unmasked(images)):
        raise TinyganError("got no images, expected one at least: is the folder or the selection that they come from empty?")
    if integer("batch size", batch_size, 1) > len(images):
        raise TinyganError(f"got batch size {batch_size} and {len(images)} images, expected a batch of 1 to {len(images)}: "
                           "give more images, or another batch size")
    painted = gan.generate(np.zeros((1, gan.latent))).shape[1:]
    if images.shape[1:] != painted:
        raise TinyganError(f"got images of shape {images.shape[1:]}, expected {painted}, which the generator paints: "
                           "reshape the images to (N, H, W, C), or use another generator")
    low, high = float(images.min()), float(images.max())
    if not np.isfinite(low + high):
        raise TinyganError("got images with NaN or infinite values, expected finite ones: "
                           "remove them first, one is enough to spoil every weight")
    last = type(_last(gan.generator))
    least, most = RANGES.get(last, (low, high))         # another last layer can paint any number
    if not (least <= low and high <= most):
        raise TinyganError(f"got images in [{low:g}, {high:g}], expected [{least}, {most}], where a generator that ends in "
                           f"{last.__name__} paints: rescale the images, or D tells them apart by their range alone")


def _last(module):
    """The layer that a network ends in."""
    children = list(module.named_children())
    return _last(children[-1][1]) if children else module


def check_finite(gan):
    """Diverged if a loss of the last steps, a weight or a running statistic is not finite."""
    named = [(f"{part} {name}", array) for part in ("generator", "discriminator")
             for name, array in getattr(gan, part).named_arrays()]
    bad = [] if all_finite(*[array for _, array in named]) else [name for name, array in named if not all_finite(array)]
    recent = list(zip(gan.history["d_loss"][-MOST_UNREAD:], gan.history["g_loss"][-MOST_UNREAD:]))
    for step, losses in enumerate(recent, gan.steps - len(recent) + 1):
        for name, loss in zip(("d_loss", "g_loss"), losses):
            if not np.isfinite(loss):
                raise Diverged(step, f"{name} is {loss}", bad)
    if bad:
        raise Diverged(gan.steps, "the losses are still finite", bad)
