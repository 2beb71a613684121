"""Make digits.npz, the digits in the package, from the four MNIST files.

    python -m tinygan.data.make_digits MNIST_FOLDER
"""
import sys
from pathlib import Path

import numpy as np

from .handwritten import read_split


def make_digits(directory, path):
    """Write to `path` the first 500 of each class of the training set and the first 100 of the test set.

    All arrays are uint8, images (5000, 28, 28) and (1000, 28, 28)."""
    images, labels = first_of_each_class(*read_split(directory, "train"), 500)
    test_images, test_labels = first_of_each_class(*read_split(directory, "test"), 100)
    np.savez_compressed(path, images=images, labels=labels, test_images=test_images, test_labels=test_labels)


def first_of_each_class(images, labels, count):
    """The first `count` of each of the ten classes, in file order, so that the classes stay mixed."""
    chosen = np.sort(np.concatenate([np.flatnonzero(labels == c)[:count] for c in range(10)]))
    return images[chosen], labels[chosen]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tinygan.data.make_digits MNIST_FOLDER")
    make_digits(sys.argv[1], Path(__file__).with_name("digits.npz"))
