"""Generators and discriminators, ready-made. Each call with the same seed gives the same weights.

seed_generator and seed_discriminator are a much-copied listing for MNIST, repaired. The listing as published
 1. reshapes the discriminator's 28×28 image to 7·7·256, which is no image's size;
 2. feeds the discriminator images in [0, 1] while its generator ends in tanh, in [−1, 1], so that the sign of a pixel
    alone tells real from fake;
 3. writes the discriminator's objective with min where it is max: D maximises log D(x) + log(1 − D(G(z)));
 4. trains G alone: there is no alternating loop, so D never learns.
All four are repaired here and in training.py. A fifth remains, as batch_norm=True, to be studied: batch normalisation after
D's first layer subtracts the mean of the batch, so D cannot see a constant added to all images of one, and a G that paints
everything too grey goes unpunished. Real and fake in one batch is no way out: their statistics then tell them apart.
"""
import numpy as np

from .errors import integer
from .layers import BatchNorm, Conv2D, Conv2DTranspose, Dense, Flatten, LeakyReLU, Maxout, Reshape, Sequential, Tanh

SHORTEST, LONGEST = 16, 128     # sides of the images that dcgan paints


def seed_generator(latent=100, seed=0):
    """z (N, latent) → images (N, 28, 28, 1) in [−1, 1], 2.3 million parameters."""
    def norm(features):
        return BatchNorm(features, momentum=0.99, eps=1e-3)

    return Sequential(
        Dense(latent, 7 * 7 * 256, bias=False), norm(7 * 7 * 256), LeakyReLU(0.3), Reshape(7, 7, 256),
        Conv2DTranspose(256, 128, 5, stride=2), norm(128), LeakyReLU(0.3),          # 14×14×128
        Conv2DTranspose(128, 64, 5, stride=2), norm(64), LeakyReLU(0.3),            # 28×28×64
        Conv2DTranspose(64, 1, 7, stride=1), Tanh(),                                # 28×28×1
    ).initialise(np.random.default_rng([seed, 0]))


def seed_discriminator(batch_norm=True, seed=0):
    """images (N, 28, 28, 1) → logits (N, 1).

    batch_norm=True is the published network, blind to a constant added to a whole batch; False sees it."""
    def block(inputs, outputs):
        norm = [BatchNorm(outputs, momentum=0.99, eps=1e-3)] if batch_norm else []
        return Dense(inputs, outputs, bias=False), *norm, LeakyReLU(0.3)

    return Sequential(Flatten(), *block(28 * 28, 1024), *block(1024, 512), *block(512, 256),
                      Dense(256, 1, bias=False)).initialise(np.random.default_rng([seed, 1]))


def dcgan(size=28, channels=1, latent=100, width=32, seed=0, smallest=4):
    """(G, D): z (N, latent) → images (N, size, size, channels) in [−1, 1] → logits (N, 1), for sizes SHORTEST to LONGEST.

    D halves the sides until at most `smallest` pixels are left, and doubles the channels, from `width` to at most 8 times as
    many; G goes the same way back. 28 → 14 → 7 → 4 → 2 with 24, 48, 96 and 192 channels is G in the default recipe. Kernel 4
    with stride 2 covers every pixel equally often; with 5 come checkerboards (Odena et al. 2016). An odd side n needs kernel
    3, which makes (n + 1)/2 of it. With batch normalisation D wins too clearly: D(x) 0.96, D(G(z)) 0.06; else 0.7 and 0.3.
    Source: Radford et al., "Unsupervised Representation Learning with DCGANs" (2016).  TinyganError for another size."""
    integer("size", size, SHORTEST, LONGEST)
    sides, features = [size], [channels]
    while sides[-1] > max(smallest, 1):
        sides.append((sides[-1] + 1) // 2)
        features.append(min(width * 2 ** (len(sides) - 2), 8 * width))
    halvings = [(c, d, *((3, 2, 1) if n % 2 else (4, 2, "same"))) for n, c, d in zip(sides, features, features[1:])]
    m, c = sides[-1], features[-1]                      # m×m×c, where D ends and G begins
    down = [layer for halving in halvings for layer in (Conv2D(*halving), LeakyReLU(0.2))]
    up = [Dense(latent, m * m * c, bias=False), Reshape(m, m, c)]
    for inputs, outputs, *form in reversed(halvings):   # a bias where no batch norm follows, at the full size
        up += [BatchNorm(outputs), LeakyReLU(0.2), Conv2DTranspose(outputs, inputs, *form, bias=outputs == width)]
    return (Sequential(*up, Tanh()).initialise(np.random.default_rng([seed, 0]), std=0.02),
            Sequential(*down, Flatten(), Dense(m * m * c, 1)).initialise(np.random.default_rng([seed, 1]), std=0.02))


def small_generator(latent=100, seed=0, width=32):
    """z (N, latent) → images (N, 28, 28, 1): G of the lessons, from 4×4×128 over 7×7×64 and 14×14×32."""
    return dcgan(28, 1, latent, width, seed)[0]


def small_discriminator(seed=0, width=32):
    """images (N, 28, 28, 1) → logits (N, 1): D of the lessons."""
    return dcgan(28, 1, 1, width, seed)[1]


def point_generator(latent=2, seed=0, width=256):
    """z (N, latent) → points (N, 2). ReLU and no batch normalisation: G is to be steep where one mode ends, the next begins."""
    return Sequential(Dense(latent, width), LeakyReLU(0), Dense(width, width), LeakyReLU(0), Dense(width, width),
                      LeakyReLU(0), Dense(width, 2)).initialise(np.random.default_rng([seed, 0]))


def point_discriminator(seed=0, width=256):
    """points (N, 2) → logits (N, 1)"""
    return Sequential(Dense(2, width), LeakyReLU(0), Dense(width, width), LeakyReLU(0), Dense(width, width),
                      LeakyReLU(0), Dense(width, 1)).initialise(np.random.default_rng([seed, 1]))


def mixture_generator(latent=2, seed=0, width=400):
    """z (N, latent) → points (N, 2): the published network for ring and grid, 4 layers of 400 with batch normalisation.

    Source: Srivastava et al., VEEGAN (2017); Lin et al., PacGAN (2018), section 4.1 and their code."""
    def block(inputs):
        return Dense(inputs, width, bias=False), BatchNorm(width), LeakyReLU(0)

    return Sequential(*block(latent), *block(width), *block(width), *block(width),
                      Dense(width, 2)).initialise(np.random.default_rng([seed, 0]))


def mixture_discriminator(seed=0, width=200, pieces=5):
    """points (N, 2) → logits (N, 1): the published network for ring and grid, 3 layers of 200 maxout units of 5 pieces."""
    def block(inputs):
        return Dense(inputs, pieces * width), Maxout(pieces)

    return Sequential(*block(2), *block(width), *block(width), Dense(width, 1)).initialise(np.random.default_rng([seed, 1]))
