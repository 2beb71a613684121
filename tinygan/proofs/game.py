"""Whole steps of the game as cases: the losses that they report, and the gradients that the optimisers receive.

GAN.step changes both networks and returns numbers. Here it is made a function of one player's parameters, so that finite
differences can be taken of it. It is the same at every call, because

    the random numbers     are drawn from the same seed each time (Draws)
    the parameters         are put back after the step (Step)
    what G's step sees     is D after D's step, and that step is the same whatever the gradients are (Listener)
"""
import copy

import numpy as np

from .. import losses, models, training
from ..backend import array_module
from ..layers import Dense, LeakyReLU, Module, Sequential, Tanh
from ..optim import SGD
from ..tensor import Tensor, record
from ..training import GAN
from . import twins
from .cases import Case, drawn

SHRINK = 0.9        # what a Listener multiplies the parameters by


class Listener(SGD):
    """An optimiser that keeps the gradients it receives. Its step only shrinks the parameters.

    D's real step depends on the fakes. Through it G's loss would depend on G's parameters in a second way, which G's
    gradient rightly leaves out and finite differences would see."""

    def __init__(self, parameters):
        super().__init__(parameters, lr=0)

    def step(self, fraction=1.0):
        self.received = [parameter.grad for parameter in self.parameters]
        for parameter in self.parameters:
            parameter.data = parameter.data * SHRINK


class Draws:
    """Random numbers of a fixed seed. Normal and uniform ones have a generator each, so that the normal ones stay the same
    whether the gradient penalty draws uniform ones in between or not."""

    def __init__(self):
        self.standard_normal, self.random = np.random.default_rng(0).standard_normal, np.random.default_rng(1).random


class Step(Module):
    """One step of the game as a function of the parameters of D (loss "d_loss") or of G ("g_loss").

    Its value is the loss that the step reports, its derivative the gradients that the player's optimiser receives. Every
    .grad is set to ones before: what an earlier step left there must not count."""
    buffers = ("batch",)

    def __init__(self, gan, loss, batch):
        self.gan, self.loss, self.batch = gan, loss, batch
        self.player, self.optimiser = {"d_loss": (gan.discriminator, gan.d_optimizer),
                                       "g_loss": (gan.generator, gan.g_optimizer)}[loss]

    def to(self, device):
        self.gan.to(device)
        return super().to(device)

    def __call__(self):
        both = self.gan.generator.parameters() + self.gan.discriminator.parameters()
        before = [parameter.data for parameter in both]
        for parameter in both:
            parameter.grad = Tensor(array_module(parameter.data).ones_like(parameter.data))
        self.gan.rng = Draws()
        loss = self.gan.step(self.batch)[self.loss]
        for parameter, array in zip(both, before):
            parameter.data = array
        return record(loss, *[(parameter, lambda g, y, gradient=gradient: g * gradient)
                              for parameter, gradient in zip(self.optimiser.parameters, self.optimiser.received)])


def plain_step(gan, loss, batch):
    """A function that gives L_D or L_G of the step by the equations: each has fresh noise, and G's meets a smaller D."""
    d_plain, g_plain = twins.LOSSES[gan.loss]

    def value(*arrays):
        G, D, draws = gan.generator, gan.discriminator, Draws()
        seen, *noise = [batch, 0, 0]                # the instance noise on real data, on D's fakes and on G's
        if gan.instance_noise:
            seen, *noise = gan.instance_noise * draws.standard_normal((3, *batch.shape)) + [batch, 0 * batch, 0 * batch]
        first, second = (G(draws.standard_normal((len(batch), gan.latent))) + e for e in noise)
        if loss == "d_loss":
            penalty = gan.penalty and gan.penalty * losses.gradient_penalty(D, seen, first, draws).data
            r1 = gan.r1 and gan.r1 / 2 * losses.r1_penalty(D, seen).data
            smooth = gan.label_smoothing * D(seen).data.mean()             # softplus(a) = softplus(−a) + a
            return d_plain(D(seen).data, D(first).data) + penalty + r1 + smooth
        smaller = copy.deepcopy(D)
        for parameter in smaller.parameters():
            parameter.data = parameter.data * SHRINK
        return g_plain(smaller(second).data)

    return value


def steps(rng):
    """The cases: every loss, then every stabiliser, on points; and a game on images."""
    def game(loss, G, D, latent, **options):
        G, D = drawn(rng, G), drawn(rng, D)
        return GAN(G, D, latent, loss, Listener(G.parameters()), Listener(D.parameters()), **options)

    def points():
        return (Sequential(Dense(2, 4), Tanh(), Dense(4, 2)), Sequential(Dense(2, 4), LeakyReLU(), Dense(4, 1)), 2)

    games = [(loss, game(loss, *points()), rng.standard_normal((5, 2))) for loss in losses.LOSSES]
    games += [("with gradient penalty", game("wasserstein", *points(), gradient_penalty=10.0), rng.standard_normal((5, 2))),
              ("with R₁", game("non_saturating", *points(), r1=3.0), rng.standard_normal((5, 2))),
              ("with label smoothing", game("saturating", *points(), label_smoothing=0.2), rng.standard_normal((5, 2))),
              ("with instance noise", game("non_saturating", *points(), instance_noise=0.5), rng.standard_normal((5, 2))),
              ("on images", game("non_saturating", models.small_generator(4, width=1),
                                 models.small_discriminator(width=1), 4), rng.standard_normal((3, 28, 28, 1)))]
    for name, gan, batch in games:
        for loss in ("d_loss", "g_loss"):
            player = "D's step" if loss == "d_loss" else "G's step"
            yield Case(f"training.GAN.step: {player}, {name}", GAN.step, Step(gan, loss, batch), (),
                       plain_step(gan, loss, batch), (1,), training)
