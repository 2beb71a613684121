"""python -m benchmarks.shapes FOLDER: 3,000 small coloured pictures to train on that are no digits.

A disc, a square or a triangle of one colour lies on a ground of another that grows lighter downwards, 32 × 32 pixels.
    tinygan train --data FOLDER --out runs/shapes
"""
import argparse
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32


def shape(rng):
    """One picture, uint8 (SIDE, SIDE, 3)."""
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1)
    ground, colour = rng.uniform(0, 1, (2, 3))
    a, b = rng.uniform(0.35, 0.65, 2)
    r = rng.uniform(0.15, 0.3)
    inside = (lambda: (x - a) ** 2 + (y - b) ** 2 < r * r,
              lambda: np.maximum(abs(x - a), abs(y - b)) < r,
              lambda: (y < b + r) & (y - b + r > 2 * abs(x - a)))[rng.integers(3)]()
    return (255 * np.where(inside[..., None], colour, ground * (0.5 + y / 2)[..., None])).round().astype(np.uint8)


def write(folder, n=3000, seed=0):
    """n pictures as PNG files in a new folder."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for k in range(n):
        Image.fromarray(shape(rng)).save(folder / f"{k:04}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shapes", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder that does not exist yet")
    write(parser.parse_args().folder)
