"""What the game is played on: handwritten digits, and 2-D mixtures whose every mode is known."""

from tinygan.data.download import download_mnist
from tinygan.data.handwritten import digits, held_out_digits, mnist_folder
from tinygan.data.idx import read_idx
from tinygan.data.mixtures import GRID_MEANS, GRID_SIGMA, RING_MEANS, RING_SIGMA, grid, ring

__all__ = ["digits", "download_mnist", "held_out_digits", "mnist_folder", "read_idx",
           "ring", "RING_MEANS", "RING_SIGMA", "grid", "GRID_MEANS", "GRID_SIGMA"]
