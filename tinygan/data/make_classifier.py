"""Make classifier.npz, the judge of digits (look/metrics.py), from the four MNIST files.

    python -m tinygan.data.make_classifier MNIST_FOLDER

It learns from the 60,000 training digits. The file keeps its weights as float16, and mean and covariance of its features of
the 10,000 test digits.
"""
import json
import sys
from pathlib import Path

import numpy as np

from ..layers import Conv2D, Dense, Flatten, LeakyReLU, Sequential
from ..look import metrics
from ..losses import cross_entropy
from ..optim import Adam
from .handwritten import mnist_folder

EPOCHS, BATCH, LR = 8, 128, 1e-3


def lenet():
    """images (N, 28, 28, 1) → logits (N, 10), with 128 features before the last layer: 28 → 14 → 7 → 4 pixels.

    After LeCun et al., "Gradient-Based Learning Applied to Document Recognition" (1998), section II, with strides in place
    of its subsampling layers."""
    return Sequential(Conv2D(1, 24, 5, stride=2), LeakyReLU(0), Conv2D(24, 48, 4, stride=2), LeakyReLU(0),
                      Conv2D(48, 64, 3, stride=2), LeakyReLU(0),
                      Flatten(), Dense(4 * 4 * 64, 128), LeakyReLU(0), Dense(128, 10))


def train(network, images, labels, seed=0, epochs=EPOCHS):
    """The network, trained from new weights; the learning rate falls in a straight line to 0."""
    rng = np.random.default_rng(seed)
    network.initialise(rng)
    optimiser = Adam(network.parameters(), lr=LR, betas=(0.9, 0.999))
    in_epoch = len(images) // BATCH                     # the last few wait for the next epoch, in another order
    for step in range(epochs * in_epoch):
        if step % in_epoch == 0:
            batches = iter(rng.permutation(len(images))[:in_epoch * BATCH].reshape(in_epoch, BATCH))
        batch = next(batches)
        optimiser.zero_grad()
        cross_entropy(network(images[batch]), labels[batch]).backward()
        optimiser.step(1 - step / (epochs * in_epoch))
    return network.eval()


def write(path, network, test_images):
    """Round the weights to float16, and write them with the moments of the features of the test digits."""
    for parameter in network.parameters():
        parameter.data = parameter.data.astype(np.float16).astype(np.float32)
    mean, covariance = metrics.moments(metrics.classified(network, test_images)[0])
    weights = {name: array.astype(np.float16) for name, array in network.state_dict().items()}
    np.savez_compressed(path, description=json.dumps(repr(network)), mean=mean.astype(np.float32),
                        covariance=covariance.astype(np.float32), **weights)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tinygan.data.make_classifier MNIST_FOLDER")
    place, (images, labels) = Path(__file__).with_name(metrics.FILE), mnist_folder(sys.argv[1], "test")
    write(place, train(lenet(), *mnist_folder(sys.argv[1])), images)
    p = metrics.classified(metrics.load_judge(place).network, images)[1]
    print(f"error on {len(images):,} test digits: {(p.argmax(axis=1) != labels).mean():.2%}; written: {place}")
