"""How good the samples of a run are: at its end and, with --score-every, on the way, where the best checkpoint is kept."""
import json
from dataclasses import asdict
from functools import cached_property
from typing import Callable, NamedTuple

import numpy as np

from .. import data, umpire
from ..errors import TinyganError, brief
from ..look import likeness, metrics
from ..look.files import write_text
from .presets import PRESETS

IMAGES, POINTS = 2000, 2500     # that are drawn at the end of a run; of points as many as in the literature
SEED = 2                        # of their noise
ENOUGH = 200                    # pictures of one's own from which a score means something
PIECE = 50                      # of them that are made at a time


class Judge(NamedTuple):
    """What samples are scored by."""
    kind: str           # of what is compared: digits, points or pictures
    n: int              # how many it looks at
    score: Callable     # samples → their Score, Likeness or ModeScore
    real: object        # the same of as many real ones


def judge(config, real):
    """The Judge for a run's data: digits' own, one that is trained now for other pictures, or the modes of a mixture.
    None where there are too few pictures."""
    if modes := PRESETS[config["preset"]].modes:
        return Judge("points", POINTS, lambda points: metrics.mode_score(points, *modes),
                     metrics.mode_score(real[:POINTS], *modes))
    if config["images"] in data.DIGITS:
        return Judge("digits", IMAGES, metrics.score, metrics.score(real[:IMAGES]))
    if real.ndim == 4 and len(real) >= ENOUGH:
        trained = likeness.Judge(real)
        return Judge("pictures", trained.n, trained.score, trained.real)


def drawn(gan, n):
    """n samples to be judged by. In pieces, six times as fast as gan.sample: the same but for the last digits."""
    z = np.random.default_rng(SEED).standard_normal((n, gan.latent))
    return np.concatenate([gan.generate(z[k:k + PIECE]) for k in range(0, n, PIECE)])


def better(row):
    """The larger, the better: of pictures the Fréchet distance counts, of points the modes, then how exactly they are hit."""
    return (row["modes"], row["quality"]) if "modes" in row else (-row["frechet"],)


class Scores:
    """A callback that scores the samples every few steps. It has noise of its own, so the game is the same with and without.

    taken: [{"step": …, and what the score found}], which scores.json keeps. Those after step `begun` are forgotten."""

    def __init__(self, folder, config, real, begun):
        self.path, self.config, self.data, self.every = folder / "scores.json", config, real, config["score_every"]
        self.taken = [row for row in self._read() if row["step"] <= begun]

    @cached_property
    def judge(self):
        """The Judge, made once, when it is first needed."""
        return judge(self.config, self.data)

    def __call__(self, gan, metrics):
        if self.every and gan.steps % self.every == 0:
            umpire.check_finite(gan)
            self.taken.append({"step": gan.steps, **asdict(self.judge.score(drawn(gan, self.judge.n)))})

    @property
    def best(self):
        """The first of those that no other is better than; None if there is none."""
        return max(self.taken, key=better, default=None)

    def best_is(self, step):
        """Is this the step that was scored last, and the best?"""
        return bool(self.taken) and self.taken[-1]["step"] == step == self.best["step"]

    def save(self):
        if self.every:
            write_text(self.path, json.dumps(self.taken, indent=1) + "\n")

    def _read(self):
        try:
            taken = json.loads(self.path.read_text(encoding="utf-8"))
            if not all(isinstance(row["step"], int) and better(row) for row in taken):
                raise ValueError("a step is no whole number")
            return taken
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise TinyganError(f"{self.path} is damaged ({type(error).__name__}: {brief(error)}): remove it, and the scores "
                               "begin anew") from error
