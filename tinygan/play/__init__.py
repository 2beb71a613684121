"""`tinygan play`: a game in the browser, with this program behind it. Each button runs lines of GAN.step.

    game.py      the game: rounds, steps and lines played by hand, and back
    stage.py     what is seen of it: the plane, a line, two numbers or images
    scenes.py    games that are ready to be played: known failures, and what cures each
    lines.py     the program's own source, its equations and their proofs
    server.py    the one door: HTTP on this machine alone
    play.html, play.css, play.js    the page
"""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..training import GAN
    from .server import Played


def play(gan: GAN, points: np.ndarray) -> Played:
    """Play a copy of this game by hand, in a frame below the cell of a notebook: tg.play(gan, points).

    gan        a GAN of your own; it stays as it is. What the copy has learned is in the .gan of what is returned
    points     what it learns from, float32: points (N, 1) or (N, 2), or images (N, H, W, C) as GAN.fit takes them
    Returns an object that a notebook shows as the frame; elsewhere its .address can be opened. .stop() ends the game, which
    ends too a minute after its last page is closed. Another call begins another game, beside the first.
    The browser must be on the machine of the program.  TinyganError for samples that D cannot take or G cannot paint."""
    from .server import Played          # here, as `import tinygan` needs none of it
    return Played(gan, points)
