"""What `tinygan train NAME` plays: presets, which are GANs and their data, and studies, whose outcome is known."""
from dataclasses import asdict, dataclass
from typing import Callable

import numpy as np

from .. import data, layers, models
from ..errors import TinyganError, plain_number
from ..optim import Adam
from ..theory import dirac, gauss1d
from ..training import GAN
from ..umpire import Rules, check_loss


@dataclass(frozen=True)
class Preset:
    """What `tinygan train NAME` plays."""
    about: str
    load: Callable            # folder or None → array of real samples; pictures: path, size, channels, say → the same
    build: Callable           # seed → GAN; with those of size, channels, width and latent that stand in `network`
    steps: int
    batch_size: int = 64
    modes: tuple = None       # of a mixture: means (K, 2), σ
    network: tuple = ()       # options that decide how the networks are made


def _digits(folder):
    """The packaged digits; those in a folder; or, for "mnist", the full MNIST from the cache or from the network."""
    if str(folder) == "mnist":
        folder = data.download_mnist()
    return data.mnist_folder(folder)[0] if folder else data.digits()[0]


def _mnist(folder):
    return _digits(folder or "mnist")


def _pictures(path, size=None, channels=None, say=None):
    """Pictures of one's own (data/pictures.py)."""
    if path is None:
        raise TinyganError("got no --data, expected the path of your pictures: a folder of images, a .npy, .npz or idx file")
    return data.images(path, size, channels, say)


def small(seed, size=28, channels=1, width=32, latent=100, d_width=None, smallest=4, lr=1e-3, betas=(0.5, 0.999),
          averaging=0.99, kinds=0, **rules):
    """The networks of models.dcgan, D with d_width channels where it is given, and both with the same rates; kinds: places
    where G begins."""
    G, D = models.dcgan(size, channels, latent, width, seed, smallest)
    if kinds:
        G = layers.Sequential(layers.OneHot(kinds), *G.layers)
    if d_width:
        D = models.dcgan(size, channels, latent, d_width, seed, smallest)[1]
    return GAN(G, D, latent, g_optimizer=Adam(G.parameters(), lr, betas), d_optimizer=Adam(D.parameters(), lr, betas),
               averaging=averaging, seed=seed, **rules)


KINDS = 10                  # of digits; a z that has no room for more than these keeps its form


def _recipe(seed, width=24, latent=72, lr=3e-3, beta2=0.99, averaging=0.998, **rules):
    """The default recipe, found by a search (benchmarks/results/recipes.md, where its parts are also left out).

    The first ten numbers of z choose one of ten places for G to begin at (layers.OneHot). From one place alone G would lead
    everywhere without a gap, and where it passes from one digit to another it paints what is neither. The others say
    how the digit is drawn: with fewer of them the digits are surer and more alike.
    Both networks go down to 2×2 pixels: G has to say what the whole digit is before it paints a part of it. R₁ (losses.py)
    holds D's slope at the digits down, which D would else learn by heart; as it costs half a step, it comes every 16th step
    alone, with 16 times the weight (Karras et al. 2020, "StyleGAN2", appendix B). The averaged G leaves out how the weights
    wander from step to step. β₁ = 0: no step goes by gradients of a game that has moved on. β₂ = 0.99: Adam has forgotten
    after a hundred steps how small the gradients were; where they grow fast, a longer memory makes steps that are too
    long, and at three times the usual rate of 1e-3 some games broke down. A narrow G and a D narrower still learn more in
    the same time."""
    return small(seed, width=width, latent=latent, d_width=(2 * width + 2) // 3, smallest=2, lr=lr, betas=(0, beta2),
                 averaging=averaging, r1=0.5, r1_every=16, kinds=KINDS if latent > KINDS else 0, **rules)


LONG = 36000                # steps of the long recipe, in which the rates fall to the end


def _long_recipe(seed, width=24, latent=32):
    """For ten minutes on 60,000 digits: rates that fall, a longer mean, and β₂, rate, batch and z of an earlier default
    recipe, with which it was searched (recipes.md, part 10)."""
    return _recipe(seed, width, latent, lr=2e-3, beta2=0.999, averaging=0.999, decay_steps=LONG)


def _seed_model(seed):
    G, D = models.seed_generator(seed=seed), models.seed_discriminator(batch_norm=False, seed=seed)
    return GAN(G, D, averaging=0.99, seed=seed)


def _points(seed, r1, noise, noise_steps, decay_steps, beta1):
    """Blurred at first, so that no mode is lost, and with ever smaller steps, so that each is hit; two time scales, R₁ and
    an averaged G.  benchmarks/results/modes.md"""
    G, D, betas = models.point_generator(seed=seed), models.point_discriminator(seed=seed), (beta1, 0.999)
    return GAN(G, D, latent=2, g_optimizer=Adam(G.parameters(), 1e-3, betas), d_optimizer=Adam(D.parameters(), 2e-3, betas),
               averaging=0.999, seed=seed, r1=r1, instance_noise=noise, noise_steps=noise_steps,
               decay_steps=decay_steps)


def _ring(seed):
    return _points(seed, 0.0005, 0.2, 3000, 8000, beta1=0.5)


def _grid(seed):
    return _points(seed, 0.02, 0.5, 6000, 12000, beta1=0.0)


PRESETS = {
    "digits": Preset("5,000 handwritten digits from the package, the default recipe", _digits, _recipe, 4200, 32,
                     network=("width", "latent")),
    "mnist": Preset("MNIST's 60,000 digits (downloaded, or --data DIR), ten minutes", _mnist, _long_recipe, LONG, 16,
                    network=("width", "latent")),
    "pictures": Preset("your own, from --data PATH", _pictures, small,
                       5000, network=("size", "channels", "width", "latent")),
    "seed": Preset("the packaged digits with the larger seed model", _digits, _seed_model, 1500),
    "ring": Preset("8 Gaussians on a circle", lambda folder: data.ring()[0], _ring, 8000, 100,
                   (data.RING_MEANS, data.RING_SIGMA)),
    "grid": Preset("25 Gaussians on a grid", lambda folder: data.grid()[0], _grid, 12000, 100,
                   (data.GRID_MEANS, data.GRID_SIGMA)),
}


@dataclass(frozen=True)
class Study:
    """A game whose outcome is known (theory/): `tinygan train NAME` plays it and puts theory beside it."""
    about: str
    play: Callable            # folder, seed, steps, say → the numbers
    steps: int


STUDIES = {
    "gauss1d": Study("theory: N(0, 1) on a line, D beside the optimal D", gauss1d.study, 1500),
    "dirac": Study("theory: one number each for D and G, which steps converge", dirac.study, 400),
}


# What a run can be given later too. Another averaging would need a mean of weights that are gone.
CHANGEABLE = {"g_lr", "d_lr", *Rules.names()} - {"averaging"}


def stabilised(gan, seed, spectral_norm=False, loss=None, beta1=None, **others):
    """The GAN with what is asked for in place of its own."""
    if spectral_norm:
        gan.discriminator = layers.spectral_norm(gan.discriminator, np.random.default_rng([seed, 2]))
    gan.loss = loss or gan.loss
    if beta1 is not None:
        for optimiser in (gan.g_optimizer, gan.d_optimizer):
            optimiser.betas = plain_number("beta1", beta1, 0, 1), optimiser.betas[1]
    change(gan, **others)
    return GAN(gan.generator, gan.discriminator, gan.latent, gan.loss, gan.g_optimizer, gan.d_optimizer, seed=seed,
               **asdict(gan.rules))


def change(gan, g_lr=None, d_lr=None, **rules):
    """Give the GAN other learning rates and rules."""
    rules = {name: value or getattr(Rules, name) for name, value in rules.items()}          # 0 switches a rule off
    if rules.get("noise_steps") and not rules.get("instance_noise", gan.instance_noise):
        raise TinyganError(f"got noise_steps {rules['noise_steps']} and no instance noise that could fall over them, expected "
                           "both: give instance_noise too, or leave noise_steps out")
    for name, lr, optimiser in (("g_lr", g_lr, gan.g_optimizer), ("d_lr", d_lr, gan.d_optimizer)):
        if lr is not None and not plain_number(name, lr):
            raise TinyganError(f"got {name} {lr}, expected a number above 0: try 0.001")
        optimiser.lr = optimiser.lr if lr is None else plain_number(name, lr)
    gan.rules = Rules(**asdict(gan.rules) | rules)
    check_loss(gan.loss, gan.rules)
