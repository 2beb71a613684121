"""tinygan: a generative adversarial network, from scratch, in a few small files of NumPy that run unchanged on CuPy.

Read them in this order: tensor, ops, conv, norm, losses, module, layers, optim, gradcheck, models, training.
"""
from importlib import import_module

from . import backend, data, group, losses, models, ops, protocols, summary
from .backend import to_device, to_numpy
from .errors import Diverged, StopTraining, TinyganError, WorkerLost
from .fast import plain
from .gradcheck import GradientError, check_gradients
from .layers import (BatchNorm, Conv2D, Conv2DTranspose, Dense, Flatten, LeakyReLU, Maxout, OneHot, Reshape,
                     Sequential, Sigmoid, Softplus, SpectralNorm, Tanh, seed)
from .look import cell
from .look.tape import draw
from .module import Module
from .optim import SGD, Adam
from .play import play
from .tensor import Tensor, grad, no_grad
from .training import GAN


def __getattr__(name):
    """tinygan.plots and tinygan.metrics lie in look/, and load when first used: matplotlib would slow every import. So do
    tinygan.exercises. tinygan.__version__ is that of the installed package."""
    if name in ("plots", "metrics"):
        return import_module(f".look.{name}", __name__)
    if name == "exercises":
        return import_module(".exercises", __name__)
    if name == "__version__":
        return import_module(".run.folder", __name__).versions()["tinygan"]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
