"""LeakyReLU and Adam, element by element."""
import numpy as np

from ..backend import array_module
from .kernels import elementwise


def leaky_relu(x, slope):
    """y = x where x > 0, slope·x elsewhere"""
    y = array_module(x).empty(x.shape, x.dtype)
    elementwise(leaky, y, x, numbers=(slope,))
    return y


def leaky_relu_backward(g, y, slope):
    """∂L/∂x = g·(slope + (1 − slope)·[y > 0])"""
    out = array_module(y).empty(y.shape, y.dtype)
    elementwise(leaky_backward, out, y, g, numbers=(slope,))
    return out


def adam(theta, g, m, v, lr, betas, eps, t):
    """One step of Adam, in place: the running means m and v, and θ."""
    beta1, beta2 = betas
    # m̂/(√v̂ + ε) = m·a / (√v·b + ε), the corrections being plain numbers
    a, b = 1 / (1 - beta1 ** t), 1 / np.sqrt(1 - beta2 ** t)
    elementwise(_adam, theta, g, m, v, numbers=(beta1, 1 - beta1, beta2, 1 - beta2, eps), moving=(b, lr * a))


# Their kernels

def leaky(y, x, slope):
    """y = the larger of x and slope·x, since slope < 1; y may be x."""
    array_module(x).maximum(x, x * slope, out=y)


def leaky_backward(out, y, g, slope):
    """out = g·(slope + (1 − slope)·[y > 0]), without a branch"""
    array_module(y).multiply(y > 0, 1 - slope, out=out)
    out += slope
    out *= g


def _adam(theta, g, m, v, beta1, rest1, beta2, rest2, eps, b, lr):
    """Adam's kernel, in one array besides the four."""
    xp = array_module(theta)
    step = g * rest1
    m *= beta1
    m += step
    xp.multiply(g, g, out=step)
    step *= rest2
    v *= beta2
    v += step
    xp.sqrt(v, out=step)
    step *= b
    step += eps
    xp.divide(m, step, out=step)
    step *= lr
    theta -= step
