"""A game that is played by hand: whole rounds, D's step, G's step, line by line, and back.

Nothing of GAN.step stands here again. A Walk runs it, in a thread that waits at lines of its source: D's step is the round up
to the line where G's begins, G's step is the rest. So the two together are GAN.step, to the bit.
"""
import copy
import inspect
import sys
from collections import deque
from dataclasses import asdict
from threading import Semaphore, Thread

import numpy as np

from ..backend import is_array
from ..checkpoint import games
from ..errors import TinyganError, brief, integer, plain_number
from ..layers import BatchNorm, Dense, LeakyReLU, Sequential, spectral_norm
from ..losses import LOSSES
from ..optim import OPTIMISERS, SGD, Adam
from ..tensor import Tensor
from ..training import GAN
from ..umpire import Rules, check_finite, check_images, check_loss
from . import stage

LINES, FIRST = inspect.getsourcelines(GAN.step)
G_LINE = FIRST + 1 + next(k for k, line in enumerate(LINES) if line.strip().startswith("# G's step"))     # where it begins
EVERY_LINE = range(FIRST, FIRST + len(LINES))
FAR, SNAPSHOTS = 10, 60             # moves between two snapshots; how many of them are kept,
MEMORY = 4e8                        # if they take no more bytes than that
MOST_ROWS = 4000                    # of the curves: then every other one goes

RULES = asdict(Rules())
WHOLE = {"d_steps": (1, 20), "batch_size": (2, 512), "g_layers": (0, 4), "g_width": (1, 256), "d_layers": (0, 4),
         "d_width": (1, 256), "seed": (0, 2 ** 32 - 1)}
DEFAULTS = {"loss": "non_saturating", "g_lr": 1e-3, "d_lr": 1e-3, "d_steps": 1, "optimiser": "Adam", "beta1": 0.5,
            "beta2": 0.999, "batch_size": 64, "g_layers": 2, "g_width": 64, "d_layers": 2, "d_width": 64, "seed": 0,
            "batch_norm": False, "spectral_norm": False, **RULES}
CHOICES = {"loss": tuple(LOSSES), "optimiser": tuple(OPTIMISERS)}
ANEW = {"g_layers", "g_width", "d_layers", "d_width", "seed", "batch_norm", "spectral_norm"}    # a change begins a new game


class _Left(Exception):
    """The round is not played to its end."""


class Walk(Thread):
    """One round of GAN.step that stops at lines of its source. Its thread runs only while to() waits for it.

    line: the line that comes next, None at the end. metrics: what the step returned, at its end."""

    def __init__(self, gan, batch):
        super().__init__(daemon=True)
        self.gan, self.batch, self.stops, self.left = gan, batch, (), False
        self.line = self.frame = self.metrics = self.error = None
        self.go, self.arrived = Semaphore(0), Semaphore(0)

    def to(self, stops=()):
        """Run until one of these lines comes next, or to the end of the round. Raises what the step raises."""
        self.stops = stops
        if self.ident is None:
            self.start()
        else:
            self.go.release()
        self.arrived.acquire()
        if self.error:
            raise self.error
        return self

    def leave(self):
        """End the round at the line where it stands: nothing of the rest is played."""
        self.left = True
        self.to()

    def numbers(self):
        """{name: value} of the round's variables, where it stands: a number, or the mean of an array with its shape."""
        found = {} if self.frame is None else dict(self.frame.f_locals)
        arrays = {name: value.data if isinstance(value, Tensor) else value for name, value in found.items()}
        return {name: _brief(array) for name, array in arrays.items() if is_array(array) or isinstance(array, float)}

    def run(self):
        sys.settrace(self._called)
        try:
            self.metrics = self.gan.step(self.batch)
        except _Left:
            pass
        except Exception as error:              # it belongs to whoever waits in to()
            self.error = error
        finally:
            sys.settrace(None)
            self.line = self.frame = None
            self.arrived.release()

    def _called(self, frame, event, argument):
        return self._at if frame.f_code is GAN.step.__code__ else None

    def _at(self, frame, event, argument):
        if event == "line" and frame.f_lineno in self.stops:
            self.line, self.frame = frame.f_lineno, frame
            self.arrived.release()
            self.go.acquire()
            if self.left:
                raise _Left
        return self._at


def _brief(value):
    if np.size(value) == 1:
        return f"{float(value):.4g}"
    return f"{'×'.join(map(str, value.shape))}, mean {float(value.mean()):.3g}"


class Game:
    """A GAN, all its settings, and the way back.

    points     the real ones, float32: (n, 2), (n, 1) on a line, or images (n, H, W, C)
    gan        the game to play a copy of; without one its networks are made by the settings
    kind       of stage (stage.py); by the shape of the points unless given
    settings   DEFAULTS, or those of the given game that are none of ANEW, and what is given in their place
    rows       [(step, d_loss, g_loss, d_real, d_fake, ‖∂L_D‖, ‖∂L_G‖)] of the rounds; on the stage of two numbers also them
    divergences    {step: JS(p_data, p_G)} at the pictures (stage.py)"""

    def __init__(self, points, gan=None, kind=None, **settings):
        self.walk, self.kept, self.given = None, deque(maxlen=SNAPSHOTS), gan
        self.kind = kind or stage.kind_of(points)
        self.chosen, self.hand = 0, None            # of the stage of images: the sample in hand, and two coordinates of its z
        if gan:
            check_images(gan, points, min(DEFAULTS["batch_size"], len(points)))
        self.defaults = _settings_of(gan, len(points)) if gan else DEFAULTS
        self.window = stage.window(points) if gan and points.ndim == 2 else (0.0, stage.HALF)
        self._begin(points, settings)

    # Moves: "round", a whole GAN.step; "d", one that ends before G's step; "g", one in which D rests

    def round(self):
        """D's steps, as many as d_steps says, the last of them with G's."""
        self.finish()
        for move in ["d"] * (self.settings["d_steps"] - 1) + ["round"]:
            self._move(move)

    def d_step(self):
        """Up to G's step. Once more, and D plays again: the round before ends there."""
        if self.walk and self.walk.line >= G_LINE:
            self._end("d" if self.walk.line == G_LINE else "round")
        self._walk([G_LINE])

    def g_step(self):
        """The rest of the round after D's step; before it G plays alone."""
        if self.walk:
            self.finish()
        else:
            self._move("g")

    def line(self):
        """One line of GAN.step."""
        self._walk(EVERY_LINE)

    def finish(self):
        """The round that is under way, to its end."""
        if self.walk:
            self._end("round")

    def change(self, **settings):
        """Other settings, from now on; some of them begin a new game (ANEW).  TinyganError, and all stays, for bad ones."""
        self.finish()
        self._move("change", settings)

    def begin(self, points, **settings):
        """A new game on these points with these settings.  TinyganError, and all stays, for bad ones."""
        self.finish()
        self._move("begin", points, settings)

    def back(self):
        """To where the last move began, exactly: the snapshot before it, and the moves since then but the last."""
        if self.walk:
            self.walk.leave()
            self.walk = None
        else:
            if not self.moves and len(self.kept) > 1:
                self.kept.pop()
            if not self.moves:
                raise TinyganError("got a step back where the kept moves begin, expected a later place: play on, or reset")
            self.moves.pop()
        gan, self.settings, self.points, rows, self.divergences, moves = self.kept[-1]
        self.gan, self.rows = copy.deepcopy(gan), list(rows)
        for move in moves:
            self._play(*move)

    moves = property(lambda self: self.kept[-1][-1], doc="The moves since the last snapshot: (name, arguments …).")

    def _move(self, *move):
        self._snapshot()
        self._play(*move)
        self.moves.append(move)

    def _snapshot(self):
        """Of the game before a move, where the last one lies some moves back."""
        if not self.kept or len(self.moves) >= FAR:
            self.kept.append((copy.deepcopy(self.gan), self.settings, self.points, list(self.rows), self.divergences, []))
            size = sum(array.nbytes for player in (self.gan.generator, self.gan.discriminator) for array in player.arrays())
            while len(self.kept) > max(2, MEMORY / (5 * size)):         # θ, ∂L/∂θ, m, v and the averaged θ
                self.kept.popleft()

    def _play(self, name, *arguments):
        getattr(self, f"_{name}")(*arguments)

    def _round(self):
        self._take(self.gan.step(self._batch()))

    def _d(self):
        Walk(self.gan, self._batch()).to([G_LINE]).leave()

    def _g(self):
        d_optimizer, self.gan.d_optimizer = self.gan.d_optimizer, SGD(self.gan.discriminator.parameters(), lr=0)
        try:
            self._take(self.gan.step(self._batch()))
        finally:
            self.gan.d_optimizer = d_optimizer

    def _walk(self, stops):
        if not self.walk:
            self._snapshot()
            self.walk = Walk(self.gan, self._batch())
        try:
            self.walk.to(stops)
        except Exception:
            self.walk = None                    # a round that fails is over
            raise
        if self.walk.line is None:
            self._end("round")

    def _end(self, move):
        """The walk is over: the whole round was played, or D's part alone."""
        walk, self.walk = self.walk, None
        self._take(walk.metrics or walk.to().metrics) if move == "round" else walk.leave()
        self.moves.append((move,))

    def _batch(self):
        return self.points[self.gan._next_batch(len(self.points), self.settings["batch_size"])]

    def _take(self, metrics):
        """Add a round to the curves.  Diverged if a loss or a weight is not finite."""
        norms = (_norm(player.parameters()) for player in (self.gan.discriminator, self.gan.generator))
        numbers = stage.numbers(self.gan) if self.kind == "phase" else ()
        self.rows.append((self.gan.steps, *(float(value) for value in metrics.values()), *norms, *numbers))
        if len(self.rows) > MOST_ROWS:
            del self.rows[:-1:2]
        check_finite(self.gan)

    # Settings

    def _begin(self, points, settings):
        settings = _checked(self.defaults, settings)
        gan = copy.deepcopy(self.given) if self.given else _built(settings, points.shape[-1])
        self.gan = _ruled(gan, _settings_of(gan, len(points)), settings)
        self.settings, self.points, self.rows, self.divergences = settings, points, [], {}
        if self.given:
            games.keep_order(self.gan, points)

    def _change(self, new):
        settings = _checked(self.settings, new)
        if any(settings[name] != self.settings[name] for name in ANEW & settings.keys()):
            return self._begin(self.points, settings)
        self.gan, self.settings = _ruled(self.gan, self.settings, settings), settings

    def picture(self):
        """All that the page draws, as plain values for JSON."""
        return stage.picture(self)


def _norm(parameters):
    """‖∂L/∂θ‖ of the gradients that the last step left."""
    squares = [(p.grad.data.astype(float) ** 2).sum() for p in parameters if p.grad is not None]
    return float(sum(squares)) ** 0.5


def _settings_of(gan, n):
    """The settings by which a game on n points is played."""
    g, d = gan.g_optimizer, gan.d_optimizer
    beta1, beta2 = getattr(g, "betas", (DEFAULTS["beta1"], DEFAULTS["beta2"]))
    return {"loss": gan.loss, "g_lr": g.lr, "d_lr": d.lr, "d_steps": 1, "optimiser": type(g).__name__, "beta1": beta1,
            "beta2": beta2, "batch_size": min(DEFAULTS["batch_size"], n), **asdict(gan.rules)}


def _checked(settings, new):
    """The settings with the new ones in place of theirs.  TinyganError for an unknown name, and for a bad value."""
    if unknown := sorted(set(new) - set(settings)):
        raise TinyganError(f"got the setting {brief(unknown[0])}, expected one of {', '.join(settings)}: choose one of them")
    settings = settings | new
    for name in WHOLE.keys() & settings.keys():
        integer(name, settings[name], *WHOLE[name])
    for name, below in (("g_lr", 10), ("d_lr", 10), ("beta1", 1), ("beta2", 1)):
        plain_number(name, settings[name], below=below)
    for name in {"batch_norm", "spectral_norm"} & settings.keys():
        if not isinstance(settings[name], bool):
            raise TinyganError(f"got {name} {brief(settings[name])}, expected true or false: choose one of them")
    for name, choices in CHOICES.items():
        if settings[name] not in choices:
            raise TinyganError(f"got {name} {brief(settings[name])}, expected one of {', '.join(choices)}: choose one of them")
    return settings


def _built(settings, dims):
    """G: z (N, dims) → points (N, dims), and D: points → logits (N, 1). Hidden layers of ReLU; without any both are linear."""
    def network(player, outputs, rng, norm=False):
        sizes = [dims] + [settings[f"{player}_width"]] * settings[f"{player}_layers"]
        hidden = [layer for i, o in zip(sizes, sizes[1:])
                  for layer in (Dense(i, o), *[BatchNorm(o)] * norm, LeakyReLU(0))]
        return Sequential(*hidden, Dense(sizes[-1], outputs)).initialise(rng)

    seed = settings["seed"]
    G = network("g", dims, np.random.default_rng([seed, 0]))
    D = network("d", 1, np.random.default_rng([seed, 1]), settings["batch_norm"])
    D = spectral_norm(D, np.random.default_rng([seed, 2])) if settings["spectral_norm"] else D
    return GAN(G, D, dims, seed=seed)


def _ruled(gan, was, settings):
    """The same game by other settings than it was played by."""
    gan = copy.copy(gan)
    gan.loss, gan.rules = settings["loss"], Rules(**{name: settings[name] for name in RULES})
    check_loss(gan.loss, gan.rules)
    if not gan.averaging:
        gan.averaged = gan.generator
    elif gan.averaged is gan.generator:
        gan.averaged = copy.deepcopy(gan.generator)
    changed = {name for name in settings if settings[name] != was.get(name)}
    for name, lr in (("g_optimizer", "g_lr"), ("d_optimizer", "d_lr")):
        optimiser = getattr(gan, name)
        if "optimiser" in changed:
            optimiser = OPTIMISERS[settings["optimiser"]](optimiser.parameters, settings[lr])
        if isinstance(optimiser, Adam) and changed & {"optimiser", "beta1", "beta2"}:
            optimiser.betas = settings["beta1"], settings["beta2"]
        optimiser.lr = settings[lr]
        setattr(gan, name, optimiser)
    return gan
