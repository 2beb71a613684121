"""What the game is played on: handwritten digits, and 2-D mixtures whose every mode is known."""
from .download import download_mnist
from .handwritten import digits, held_out_digits, mnist_folder
from .idx import read_idx
from .mixtures import GRID_MEANS, GRID_SIGMA, RING_MEANS, RING_SIGMA, grid, ring
from .pictures import images

__all__ = ["digits", "download_mnist", "held_out_digits", "images", "mnist_folder", "read_idx",
           "ring", "RING_MEANS", "RING_SIGMA", "grid", "GRID_MEANS", "GRID_SIGMA"]
