"""What the game is played on: handwritten digits, and 2-D mixtures whose every mode is known."""
from .download import download_mnist
from .handwritten import DIGITS, digits, held_out_digits, is_mnist, mnist_folder
from .idx import read_idx
from .mixtures import GRID_MEANS, GRID_SIGMA, RING_MEANS, RING_SIGMA, grid, ring
from .pictures import images

__all__ = ["DIGITS", "digits", "download_mnist", "held_out_digits", "images", "is_mnist", "mnist_folder", "read_idx",
           "ring", "RING_MEANS", "RING_SIGMA", "grid", "GRID_MEANS", "GRID_SIGMA"]
