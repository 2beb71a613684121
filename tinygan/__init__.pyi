from . import (backend as backend, data as data, exercises as exercises, group as group, losses as losses, models as models,
               ops as ops)
from .backend import to_device as to_device, to_numpy as to_numpy
from .errors import (Diverged as Diverged, StopTraining as StopTraining, TinyganError as TinyganError,
                     WorkerLost as WorkerLost)
from .fast import plain as plain
from .gradcheck import GradientError as GradientError, check_gradients as check_gradients
from .layers import (BatchNorm as BatchNorm, Conv2D as Conv2D, Conv2DTranspose as Conv2DTranspose, Dense as Dense,
                     Flatten as Flatten, LeakyReLU as LeakyReLU, Maxout as Maxout, OneHot as OneHot, Reshape as Reshape,
                     Sequential as Sequential, Sigmoid as Sigmoid, Softplus as Softplus, SpectralNorm as SpectralNorm,
                     Tanh as Tanh, seed as seed)
from .look import metrics as metrics, plots as plots
from .look.tape import draw as draw
from .module import Module as Module
from .optim import SGD as SGD, Adam as Adam
from .play import play as play
from .tensor import Tensor as Tensor, grad as grad, no_grad as no_grad
from .training import GAN as GAN

__version__: str
