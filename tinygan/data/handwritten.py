"""Handwritten digits of MNIST: 6,000 in the package, all 70,000 from a folder.

    x = pixels / 127.5 − 1        float32 (N, 28, 28, 1) in [−1, 1], the range of the generator's tanh: −1 is paper, 1 is ink

Labels are uint8 (N,), 0 to 9.
Source: LeCun, Cortes & Burges, "The MNIST database of handwritten digits" (1998).
"""
from importlib import resources
from pathlib import Path

import numpy as np

from ..errors import TinyganError
from .idx import read_idx

DIGITS = {"5000×28×28×1, crc32 92fac3a4", "60000×28×28×1, crc32 370f0c6f"}     # fingerprints: the package's, and MNIST's
SPLITS = {"train": "train", "test": "t10k"}             # how the file names begin


def digits() -> tuple[np.ndarray, np.ndarray]:
    """5,000 digits to train on, 500 of each class: (images, labels). They come with the package."""
    return _packaged("images", "labels")


def held_out_digits() -> tuple[np.ndarray, np.ndarray]:
    """1,000 digits of the MNIST test set, 100 of each class: (images, labels). No model trains on them."""
    return _packaged("test_images", "test_labels")


def mnist_folder(directory, split="train") -> tuple[np.ndarray, np.ndarray]:
    """The 60,000 digits of the "train" split or the 10,000 of "test" from a folder: (images, labels).

    The folder holds the published files, packed or unpacked: train-images-idx3-ubyte.gz and the three others.
    TinyganError, which names the file, for one that is missing, damaged or does not fit the other of its split."""
    pixels, labels = read_split(directory, split)
    return to_images(pixels), labels


def is_mnist(path):
    """Is it a folder with files of MNIST's four names, or the word "mnist"? Other sets, such as Fashion-MNIST, have them too."""
    path = Path(path)
    return str(path) == "mnist" or path.is_dir() and any("train-labels" in file.name for file in path.iterdir())


def read_split(directory, split):
    """As mnist_folder, but the images as they are stored: uint8 (N, 28, 28), 0 paper, 255 ink."""
    if split not in SPLITS:
        raise TinyganError(f"got the MNIST split {split!r}, expected 'train' or 'test': name one of the two")
    pixels_path = _find(Path(directory), f"{SPLITS[split]}-images", "idx3-ubyte")
    labels_path = _find(Path(directory), f"{SPLITS[split]}-labels", "idx1-ubyte")
    pixels, labels = read_idx(pixels_path), read_idx(labels_path)
    if pixels.shape[1:] != (28, 28):
        raise TinyganError(f"{pixels_path} holds an array of shape {pixels.shape}, expected (N, 28, 28): "
                           "put the MNIST images there")
    if labels.shape != pixels.shape[:1]:
        raise TinyganError(f"{labels_path} holds an array of shape {labels.shape}, expected ({len(pixels)},) to match "
                           f"{pixels_path.name}: take both files from one set")
    if labels.max() > 9:
        raise TinyganError(f"{labels_path} holds the label {labels.max()}, expected 0 to 9: put the MNIST labels there")
    return pixels, labels


def to_images(pixels):
    """x = pixels / 127.5 − 1: from uint8 (N, 28, 28) in [0, 255] to float32 (N, 28, 28, 1) in [−1, 1]"""
    images = pixels[..., None].astype(np.float32)       # (N, 28, 28) → (N, 28, 28, 1)
    images /= 127.5                                     # in place: all of MNIST is 188 MB
    images -= 1
    return images


def _packaged(images_key, labels_key):
    path = resources.files(__package__) / "digits.npz"
    with path.open("rb") as file, np.load(file) as archive:
        return to_images(archive[images_key]), archive[labels_key]


def _find(directory, stem, ending):
    """The file of that name, with '-' or '.' before the ending, packed or not; some archives unpack into a folder of the
    file's own name."""
    if not directory.is_dir():
        raise TinyganError(f"{directory} is not a folder, expected one that holds the four MNIST files: give its path")
    names = [f"{stem}{mark}{ending}{suffix}" for mark in "-." for suffix in ("", ".gz")]
    for place in (directory, *(directory / name for name in names)):
        for name in names:
            if (place / name).is_file():
                return place / name
    found = ", ".join(sorted(path.name for path in directory.iterdir())[:4]) or "nothing"
    raise TinyganError(f"{directory} holds {found}, expected {names[0]} or {names[1]}: put the four MNIST files there")
