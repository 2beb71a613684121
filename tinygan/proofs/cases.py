"""Everything in tinygan that can be proved: a few cases of each function that has a derivative.

Each function below makes the cases of one chapter, from random numbers; those of whole steps of the game are in game.py.
Shapes are small, but some are just large enough that a kernel works in several parts. No input lies near a kink.
"""
import inspect
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import backend, conv, layers, losses, models, norm, ops, tensor
from ..checkpoint.networks import build
from ..layers import (BatchNorm, Conv2D, Conv2DTranspose, Dense, Flatten, LeakyReLU, Maxout, OneHot, Reshape, Sequential,
                      Sigmoid, Softplus, SpectralNorm, Tanh)
from ..optim import SGD, Adam
from ..tensor import Tensor, record
from . import mathml, twins

PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Case:
    """Something to prove, and where it stands."""
    name: str               # chapter.function, and after a colon which of its cases
    code: object            # the function or class in whose source the derivative stands
    function: object        # a Module, or a function of Tensors
    inputs: tuple = ()      # its arguments, arrays
    value: object = None    # the same in plain NumPy: a function of the inputs and of the Module's arrays
    orders: tuple = (1, 2)  # of the derivatives to prove
    stated: object = None   # what has the equation in its docstring, if the code has not
    derivative: bool = True     # False where only the value is to be proved
    plain: bool = True          # is it computed with the plain kernels too?  False where that takes seconds

    @property
    def place(self):
        """tinygan/file.py:line of the code; folder/file.py:line if it is not tinygan's."""
        code = inspect.unwrap(self.code)
        path = Path(inspect.getsourcefile(code))
        above = PACKAGE.parent if PACKAGE in path.parents else path.parents[1]
        return f"{path.relative_to(above).as_posix()}:{inspect.getsourcelines(code)[1]}"

    @property
    def equation(self):
        """The lines of the docstring that have an equation in them; its first line if there is none."""
        lines = (inspect.getdoc(self.stated or self.code) or "").splitlines()
        if inspect.ismodule(self.stated):
            lines = [line for line in lines if line.startswith("    ")]
        return [line for line in lines if any(map(mathml.is_equation, mathml.fragments(line)))] or lines[:1]


def away(rng, *shape):
    """Random numbers of both signs and none near 0, where there is a kink."""
    return rng.uniform(0.5, 2, shape) * rng.choice([-1, 1], shape)


# The engine

def _engine(rng):
    def several_paths(x):
        a = ops.exp(x)
        b = a * x
        c = a + b
        return b * c + a / c + a

    def twice_backward(x):
        leaf = Tensor(x.data, requires_grad=True)
        first, second = ops.sum(leaf * leaf), ops.sum(leaf + ops.exp(leaf) + leaf)
        first.backward()
        second.backward()
        return record((first + second).data, (x, lambda g, y: g * leaf.grad))

    def operators(a, b):
        return (2 - a) / b + 3 / a - abs(b) ** 3 * -a + (a @ b.T).sum(axis=1, keepdims=True) + (1 + a * 2) / 4

    yield Case("tensor.grad: one Tensor used in several places", tensor.grad, several_paths, (rng.random((3, 2)) + 1,))
    yield Case("tensor.Tensor.backward: .grad adds up", Tensor.backward, twice_backward, (rng.random((3, 2)),),
               orders=(1,))
    yield Case("tensor.Tensor: the operators + - * / ** @", Tensor, operators, (away(rng, 2, 3), away(rng, 2, 3)),
               lambda a, b: (2 - a) / b + 3 / a + abs(b) ** 3 * a + (a @ b.T).sum(axis=1, keepdims=True)
               + (1 + 2 * a) / 4)


# Operations

def _operations(rng):
    normal = rng.standard_normal
    a, b, positive = normal((3, 4)), away(rng, 3, 4), rng.random((3, 4)) + 0.5
    yield Case("ops.broadcast_to", ops.broadcast_to, lambda x: ops.broadcast_to(x, (2, 3, 4)), (normal((3, 1)),),
               lambda x: np.broadcast_to(x, (2, 3, 4)))
    yield Case("ops.sum_to", ops.sum_to, lambda x: ops.sum_to(x, (3, 1)), (normal((2, 3, 4)),),
               lambda x: x.sum(axis=(0, 2))[:, None])
    yield Case("ops.sum_to: columns in several parts", ops.sum_to, lambda x: ops.sum_to(x, (500,)),
               (normal((300, 500)),), lambda x: x.sum(axis=0))
    for f, plain in ((ops.add, np.add), (ops.subtract, np.subtract), (ops.multiply, np.multiply),
                     (ops.divide, np.divide)):
        name = f"ops.{plain.__name__}"
        yield Case(name, f, f, (a, b), plain)
        yield Case(f"{name}: broadcast", f, f, (a, b[0]), plain)
        yield Case(f"{name}: broadcast, the other way", f, f, (a[:, :1], b), plain)
        yield Case(f"{name}: a number on the right", f, lambda x, f=f: f(x, 3), (b,), lambda x, f=plain: f(x, 3))
        yield Case(f"{name}: a number on the left", f, lambda x, f=f: f(3, x), (b,), lambda x, f=plain: f(3, x))
    yield Case("ops.negative", ops.negative, ops.negative, (a,), np.negative)
    for n in (3, -0.5, 1, 0):
        yield Case(f"ops.power: n = {n}", ops.power, lambda x, n=n: ops.power(x, n), (positive,),
                   lambda x, n=n: x ** n)
    yield Case("ops.exp", ops.exp, ops.exp, (a,), np.exp)
    yield Case("ops.log", ops.log, ops.log, (positive,), np.log)
    yield Case("ops.sqrt", ops.sqrt, ops.sqrt, (positive,), np.sqrt)
    yield Case("ops.absolute", ops.absolute, ops.absolute, (b,), np.abs)
    yield Case("ops.tanh", ops.tanh, ops.tanh, (a,), np.tanh)
    yield Case("ops.sigmoid", ops.sigmoid, ops.sigmoid, (3 * a,), twins.sigmoid)
    yield Case("ops.softplus", ops.softplus, ops.softplus, (3 * a,), twins.softplus)
    far = away(rng, 3, 4) * 500                    # where e^|x| overflows
    yield Case("ops.sigmoid: far out", ops.sigmoid, ops.sigmoid, (far,), lambda x: (1 + np.tanh(x / 2)) / 2)
    yield Case("ops.softplus: far out", ops.softplus, ops.softplus, (far,), twins.softplus)
    for name, x in (("ops.leaky_relu", b), ("ops.leaky_relu: in several blocks", away(rng, 150_000))):
        yield Case(name, ops.leaky_relu, lambda x: ops.leaky_relu(x, 0.3), (x,),
                   lambda x: twins.leaky_relu(x, 0.3))
    yield Case("ops.leaky_relu: slope 0", ops.leaky_relu, lambda x: ops.leaky_relu(x, 0), (b,),
               lambda x: np.maximum(x, 0))
    pieces = rng.permuted(np.linspace(-2, 2, 30).reshape(2, 5, 3), axis=1)      # no two of five are near each other
    yield Case("ops.maxout", ops.maxout, lambda x: ops.maxout(x, 5), (pieces.reshape(2, 15),),
               lambda x: x.reshape(2, 5, 3).max(axis=1))
    for f, plain in ((ops.sum, np.sum), (ops.mean, np.mean)):
        name = f"ops.{plain.__name__}"
        yield Case(name, f, f, (a,), plain)
        for axis, keepdims in ((1, False), (-1, True), ((0, 1), False), ((0, 2), True)):
            yield Case(f"{name}: axis {axis}{', kept' * keepdims}", f,
                       lambda x, f=f, axis=axis, keepdims=keepdims: f(x, axis, keepdims), (normal((2, 3, 4)),),
                       lambda x, f=plain, axis=axis, keepdims=keepdims: f(x, axis=axis, keepdims=keepdims))
    yield Case("ops.matmul", ops.matmul, ops.matmul, (normal((3, 4)), normal((4, 2))), np.matmul)
    yield Case("ops.matmul: in strips of rows", ops.matmul, ops.matmul, (normal((300, 2)), normal((2, 3))), np.matmul)
    yield Case("ops.matmul: in strips of columns", ops.matmul, ops.matmul, (normal((3, 2)), normal((2, 300))),
               np.matmul)
    yield Case("ops.reshape", ops.reshape, lambda x: ops.reshape(x, 2, -1), (a,), lambda x: x.reshape(2, 6))
    x = normal((2, 3, 4))
    yield Case("ops.transpose", ops.transpose, ops.transpose, (x,), np.transpose)
    yield Case("ops.transpose: axes 1, -1, 0", ops.transpose, lambda x: ops.transpose(x, 1, -1, 0), (x,),
               lambda x: x.transpose(1, -1, 0))
    for index in (1, (slice(None), -1), (..., slice(None, None, -2)), (slice(0, 1), None, 2)):
        yield Case(f"ops.getitem: {_index(index)}", ops.getitem, lambda x, index=index: ops.getitem(x, index), (x,),
                   lambda x, index=index: x[index])
    for axis in (0, -1):
        shapes = [np.moveaxis(normal((n, 2, 3)), 0, axis) for n in (1, 3, 2)]
        yield Case(f"ops.concatenate: axis {axis}", ops.concatenate,
                   lambda *x, axis=axis: ops.concatenate(x, axis), tuple(shapes),
                   lambda *x, axis=axis: np.concatenate(x, axis))


def _index(index):
    """x[…] as it is written in a program."""
    def item(i):
        if isinstance(i, slice):
            parts = ["" if part is None else str(part) for part in (i.start, i.stop, i.step)]
            return ":".join(parts if parts[2] else parts[:2])
        return "..." if i is Ellipsis else str(i)
    return f"x[{', '.join(map(item, index if isinstance(index, tuple) else (index,)))}]"


# Convolution

GEOMETRIES = {      # name: (N, H, W, C, D, K, S, pads)
    "kernel 3, stride 1": (2, 4, 5, 2, 3, 3, 1, ((1, 1), (1, 1))),
    "kernel 5, stride 2, odd pads": (2, 6, 5, 2, 3, 5, 2, ((1, 2), (2, 1))),
    "kernel 4, stride 2, asymmetric crop": (2, 6, 5, 3, 2, 4, 2, ((0, 2), (3, 1))),
    "kernel 2, stride 3": (2, 8, 6, 2, 2, 2, 3, ((1, 0), (0, 1))),
    "kernel 3, stride 2, last row unread": (2, 8, 8, 2, 2, 3, 2, ((0, 0), (0, 0))),
    "one channel": (3, 6, 6, 1, 2, 4, 2, ((1, 1), (1, 1))),
    "one channel, kernel 7": (2, 5, 6, 1, 2, 7, 1, ((3, 3), (3, 3))),
    "one channel, kernel 1, stride 2": (2, 5, 4, 1, 2, 1, 2, ((0, 0), (0, 0))),
    "nothing reaches x": (2, 1, 1, 2, 2, 1, 2, ((1, 0), (1, 0))),
    "one channel, nothing reaches x": (2, 1, 1, 1, 2, 1, 2, ((1, 0), (1, 0))),
    "one channel on both sides": (2, 4, 4, 1, 1, 3, 1, ((1, 1), (1, 1))),
    "in several parts": (80, 18, 18, 8, 3, 4, 1, ((0, 1), (1, 0))),
    "one channel, in several parts": (48, 32, 32, 1, 6, 4, 2, ((1, 1), (1, 1))),
}


def _convolutions(rng):
    for name, (n, height, width, channels, outputs, kernel, stride, pads) in GEOMETRIES.items():
        geo, size = conv.geometry((height, width), kernel, stride, pads), (height, width)
        x, w = rng.standard_normal((n, *size, channels)), rng.standard_normal((kernel, kernel, channels, outputs))
        g = rng.standard_normal((n, *geo.steps, outputs))
        orders = (1,) if "several" in name else (1, 2)

        bias, bias_x = rng.standard_normal(outputs), rng.standard_normal(channels)
        maps = (
            ("convolve", conv.convolve, (x, w, bias),
             lambda x, w, bias, s=stride, p=pads: twins.convolve(x, w, s, p, bias)),
            ("transpose", conv.transpose, (g, w, bias_x),
             lambda g, w, bias, s=stride, p=pads, size=size: twins.transpose(g, w, s, p, size, bias)),
            ("weight_gradient", conv.weight_gradient, (x, g),
             lambda x, g, k=kernel, s=stride, p=pads: twins.weight_gradient(x, g, k, s, p)))
        for what, f, inputs, value in maps:
            yield Case(f"conv.{what}: {name}", f, lambda a, b, *bias, f=f, geo=geo: f(a, b, geo, *bias), inputs, value, orders,
                       plain="several" not in name)

    geo = conv.geometry((5, 6), 4, 2, ((1, 1), (1, 2)))
    g = rng.standard_normal((2, *geo.steps, 3))
    for name, channels in (("", 2), (", one channel", 1)):
        w = rng.standard_normal((4, 4, channels, 3))
        yield Case(f"conv.transpose: without bias{name}", conv.transpose, lambda g, w: conv.transpose(g, w, geo),
                   (g, w))
        yield Case(f"conv.transpose: of g alone{name}", conv.transpose,
                   lambda g, w=w: conv.transpose(g, Tensor(backend.like(w, g.data)), geo), (g,))
        yield Case(f"conv.transpose: of w alone{name}", conv.transpose,
                   lambda w, g=g: conv.transpose(Tensor(backend.like(g, w.data)), w, geo), (w,))


# Batch normalisation

def _normalisation(rng):
    for name, shape in (("2 axes", (5, 3)), ("4 axes", (2, 3, 4, 2)), ("in several parts", (4400, 64))):
        x, gamma, beta = 2 * rng.standard_normal(shape) + 1, away(rng, shape[-1]), 3 * away(rng, shape[-1])
        if len(x) > 1000:                           # of so many u = γ·x̂ + β, |x̂| < √3, none may come near the kink
            x, gamma, beta = rng.uniform(-1, 1, shape), gamma / 2, 2 * np.sign(beta)
        yield Case(f"norm.batch_norm: {name}", norm.batch_norm, lambda *x: norm.batch_norm(*x, 1e-3)[0],
                   (x, gamma, beta), twins.batch_norm, stated=norm)
        yield Case(f"norm.batch_norm: with LeakyReLU, {name}", norm.batch_norm,
                   lambda *x: norm.batch_norm(*x, 1e-3, 0.3)[0], (x, gamma, beta),
                   lambda *x: twins.batch_norm(*x, slope=0.3), stated=norm)


# Losses and penalties

class Penalty(layers.Module):
    """The gradient penalty as a function of the critic's weights."""
    buffers = ("real", "fake")

    def __init__(self, critic, real, fake):
        self.critic, self.real, self.fake = critic, real, fake

    def __call__(self):
        return losses.gradient_penalty(self.critic, self.real, self.fake, np.random.default_rng(0))


class R1(layers.Module):
    """R₁ as a function of D's weights."""
    buffers = ("real",)

    def __init__(self, discriminator, real):
        self.discriminator, self.real = discriminator, real

    def __call__(self):
        return losses.r1_penalty(self.discriminator, self.real)


def _flat_critic():
    """A penalty, its inputs and its value for D(x) = max(0, x W + b) v. At the second of the two points D is flat."""
    critic = Sequential(Dense(3, 2), LeakyReLU(0), Dense(2, 1, bias=False)).astype(np.float64)
    (w, b), v = critic.layers[0].parameters(), critic.layers[2].weight
    w.data, b.data = np.array([[0.3, 0.8], [0.9, 0.2], [0.5, 0.4]]), np.array([0.1, 0.2])
    v.data = np.array([[1.5], [0.7]])
    points = np.array([[1.0, 2.0, 1.0], [-2.0, -1.0, -3.0]])
    return Penalty(critic, points, points), (), lambda w, b, v, *_: ((np.linalg.norm(w @ v) - 1) ** 2 + 1) / 2


def _losses(rng):
    real, fake = 3 * rng.standard_normal((5, 1)), 3 * rng.standard_normal((4, 1))
    stated = {losses.saturating_generator_loss: losses.generator_loss}
    for name, (d_loss, g_loss) in losses.LOSSES.items():
        d_plain, g_plain = twins.LOSSES[name]
        yield Case(f"losses.{d_loss.__name__}: {name}", d_loss, d_loss, (real, fake), d_plain)
        yield Case(f"losses.{g_loss.__name__}: {name}", g_loss, g_loss, (fake,), g_plain, stated=stated.get(g_loss))
    points = rng.standard_normal((2, 4, 3))
    critic = drawn(rng, Sequential(Dense(3, 5), Tanh(), Dense(5, 1, bias=False)))
    yield Case("losses.gradient_penalty", losses.gradient_penalty, Penalty(critic, *points), (),
               lambda *arrays: twins.gradient_penalty(*arrays, np.random.default_rng(0).random((4, 1))))
    images = rng.standard_normal((2, 3, 6, 6, 1))
    critic = drawn(rng, Sequential(Conv2D(1, 2, 4, stride=2), LeakyReLU(), Flatten(), Dense(18, 1)))
    yield Case("losses.gradient_penalty: on images", losses.gradient_penalty, Penalty(critic, *images))
    yield Case("losses.gradient_penalty: where D is flat", losses.gradient_penalty, *_flat_critic())
    D = drawn(rng, Sequential(Dense(3, 5), Tanh(), Dense(5, 1, bias=False)))
    yield Case("losses.r1_penalty", losses.r1_penalty, R1(D, points[0]), (), twins.r1_penalty)
    D = drawn(rng, Sequential(Conv2D(1, 2, 4, stride=2), LeakyReLU(), Flatten(), Dense(18, 1)))
    yield Case("losses.r1_penalty: on images", losses.r1_penalty, R1(D, images[0]))
    D = drawn(rng, Sequential(SpectralNorm(Dense(3, 5)), Tanh(), SpectralNorm(Dense(5, 1)))).eval()
    yield Case("losses.r1_penalty: with spectral normalisation", losses.r1_penalty, R1(D, points[0]))
    for s in (0.1, 0.3):
        yield Case(f"losses.smoothed_discriminator_loss: s = {s}", losses.smoothed_discriminator_loss,
                   lambda real, fake, s=s: losses.smoothed_discriminator_loss(real, fake, s), (real, fake),
                   lambda real, fake, s=s: twins.smoothed_discriminator_loss(real, fake, s))

    logits, labels = 2 * rng.standard_normal((5, 3)), np.array([0, 2, 2, 1, 0])
    for detail, a in (("", logits), (": large logits", logits + 800)):
        yield Case(f"losses.softmax{detail}", losses.softmax, losses.softmax, (a,), twins.softmax)
        yield Case(f"losses.log_sum_exp{detail}", losses.log_sum_exp, losses.log_sum_exp, (a,), twins.log_sum_exp)
        yield Case(f"losses.cross_entropy{detail}", losses.cross_entropy, lambda a: losses.cross_entropy(a, labels),
                   (a,), lambda a: twins.cross_entropy(a, labels))


# Layers

def drawn(rng, network):
    """The network in float64, with random numbers in place of all zeros and ones: code that forgets the factor γ would
    be right for γ = 1."""
    network.initialise(rng).astype(np.float64)
    for parameter in network.parameters():
        parameter.data = parameter.data + 0.3 * rng.standard_normal(parameter.shape)
    for module in network.modules():
        for name in module.buffers:
            setattr(module, name, rng.uniform(0.5, 2, getattr(module, name).shape))
    return network


class Remembering(layers.Module):
    """Batch normalisation in evaluation mode after one batch in training mode: the value shows what it has remembered."""
    buffers = ("batch",)

    def __init__(self, layer, batch):
        self.layer, self.batch = layer, batch

    def __call__(self, x):
        layer = self.layer
        before = layer.running_mean, layer.running_var
        layer.train()(self.batch)
        y = layer.eval()(x)
        layer.running_mean, layer.running_var = before
        return y


def _layers(rng):
    def remembered(x, gamma, beta, batch, mean, var):
        mean, var = 0.9 * mean + 0.1 * batch.mean((0, 1, 2)), 0.9 * var + 0.1 * batch.var((0, 1, 2))
        return twins.batch_norm_evaluated(x, gamma, beta, mean, var, eps=1e-5)

    rows, images = rng.standard_normal((5, 3)), rng.standard_normal((2, 5, 4, 3))
    table = [
        ("", Dense(3, 2), rows, lambda x, w, b: x @ w + b),
        ("without bias", Dense(3, 2, bias=False), rows, np.matmul),
        ("same, stride 2", Conv2D(3, 2, 4, stride=2), images,
         lambda x, w, b: twins.convolve(x, w, 2, ((1, 2), (1, 1)), b)),
        ("padding 1", Conv2D(3, 2, 3, padding=1, bias=False), images,
         lambda x, w: twins.convolve(x, w, 1, ((1, 1), (1, 1)))),
        ("same, stride 2", Conv2DTranspose(3, 2, 5, stride=2), images,
         lambda x, w, b: twins.transpose(x, w, 2, ((1, 2), (1, 2)), (10, 8), b)),
        ("asymmetric crop", Conv2DTranspose(3, 2, 3, stride=2, padding=((0, 1), (2, 0)), bias=False), images,
         lambda x, w: twins.transpose(x, w, 2, ((0, 1), (2, 0)), (10, 7))),
        ("training", BatchNorm(3, eps=1e-3), images, lambda x, gamma, beta, *_: twins.batch_norm(x, gamma, beta)),
        ("evaluation", BatchNorm(3, eps=1e-3).eval(), images, twins.batch_norm_evaluated),
        ("Dense", SpectralNorm(Dense(3, 2)).eval(), rows, lambda x, w, b, u, v: x @ twins.spectral_norm(w, u, v) + b),
        ("Conv2D", SpectralNorm(Conv2D(3, 2, 4, stride=2)).eval(), images,
         lambda x, w, b, u, v: twins.convolve(x, twins.spectral_norm(w, u, v), 2, ((1, 2), (1, 1)), b)),
        ("Conv2DTranspose", SpectralNorm(Conv2DTranspose(3, 2, 5, stride=2)).eval(), images,
         lambda x, w, b, u, v: twins.transpose(x, twins.spectral_norm(w, u, v), 2, ((1, 2), (1, 2)), (10, 8), b)),
        ("", Maxout(3), rng.permuted(np.linspace(-2, 2, 30).reshape(5, 3, 2), axis=1).reshape(5, 6),
         lambda x: x.reshape(5, 3, 2).max(axis=1)),
        ("", OneHot(2), away(rng, 5, 3) * np.array([1, 2, 1]), lambda x: np.column_stack(
            [*(np.sqrt(2) * (x[:, i] > x[:, 1 - i]) for i in (0, 1)), x[:, 2]])),
        ("", LeakyReLU(), away(rng, 5, 3), lambda x: twins.leaky_relu(x, 0.2)),
        ("", Tanh(), rows, np.tanh),
        ("", Sigmoid(), rows, twins.sigmoid),
        ("", Softplus(), rows, twins.softplus),
        ("", Reshape(2, 6), images.reshape(10, 12), lambda x: x.reshape(10, 2, 6)),
        ("", Flatten(), images, lambda x: x.reshape(2, 60)),
        ("two layers", Sequential(Dense(3, 2), Tanh()), rows, lambda x, w, b: np.tanh(x @ w + b)),
        ("BatchNorm and LeakyReLU in one", Sequential(BatchNorm(3, eps=1e-3), LeakyReLU(0.3)), images,
         lambda x, gamma, beta, *_: twins.batch_norm(x, gamma, beta, slope=0.3)),
        ("the same, evaluation", Sequential(BatchNorm(3, eps=1e-3), LeakyReLU(0.3)).eval(), images,
         lambda *x: twins.batch_norm_evaluated(*x, slope=0.3)),
    ]
    for detail, layer, x, value in table:
        code = type(layer)
        yield Case(f"layers.{code.__name__}" + f": {detail}" * bool(detail), code, drawn(rng, layer), (x,), value)
    yield Case("layers.BatchNorm: running statistics", BatchNorm,
               Remembering(drawn(rng, BatchNorm(3)), rng.standard_normal(images.shape)), (images,), remembered)


# Optimisers: they have no derivative, but every derivative goes through them

def _optimisers(rng):
    def moved_by(optimiser):
        def moved(theta, *gradients):
            parameter = Tensor(theta.data.copy(), requires_grad=True)
            rule = optimiser([parameter])
            for g in gradients:
                parameter.grad = g
                rule.step()
            return parameter - theta
        return moved

    theta, *gradients = 0.01 * rng.standard_normal((4, 5)) * np.array([1, 1, 1, 1, 1e-6])
    yield Case("optim.SGD", SGD, moved_by(lambda parameters: SGD(parameters, lr=0.1)), (theta, *gradients),
               lambda theta, *gradients: twins.sgd(gradients, 0.1), (1,), derivative=False)
    yield Case("optim.Adam", Adam, moved_by(Adam), (theta, *gradients),
               lambda theta, *gradients: twins.adam(gradients), (1,), derivative=False)
    yield Case("optim.Adam: other settings", Adam, moved_by(lambda p: Adam(p, lr=0.1, betas=(0.9, 0.7), eps=0.01)),
               (theta, *gradients), lambda theta, *gradients: twins.adam(gradients, 0.1, 0.9, 0.7, 0.01), (1,),
               derivative=False)


# Models

NARROW = {"12544": "98", "1024": "6", "512": "5", "256": "2", "128": "3", "64": "2", "100": "4"}      # numbers of channels


def _narrowed(network):
    """The same layers with a few channels in place of hundreds."""
    words = repr(network).replace("(", " ( ").replace(",", " , ").replace(")", " ) ").split()
    return build("".join(NARROW.get(word, word) for word in words))


def _models(rng):
    images = rng.standard_normal((3, 28, 28, 1))
    table = [
        (models.seed_generator, _narrowed(models.seed_generator()), rng.standard_normal((3, 4))),
        (models.seed_discriminator, _narrowed(models.seed_discriminator()), images),
        (models.small_generator, models.small_generator(4, width=1), rng.standard_normal((3, 4))),
        (models.small_discriminator, models.small_discriminator(width=1), images),
        (models.point_generator, models.point_generator(width=6), rng.standard_normal((4, 2))),
        (models.point_discriminator, models.point_discriminator(width=6), rng.standard_normal((4, 2))),
        (models.mixture_generator, models.mixture_generator(width=5), rng.standard_normal((6, 2))),
        (models.mixture_discriminator, models.mixture_discriminator(width=3, pieces=4), rng.standard_normal((4, 2))),
    ]
    for model, network, x in table:
        yield Case(f"models.{model.__name__}", model, drawn(rng, network), (x,))


# In the order in which the chapters are read
CHAPTERS = (_engine, _operations, _convolutions, _normalisation, _losses, _layers, _optimisers, _models)
