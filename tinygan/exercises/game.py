"""Exercises on the game played: training.py, and the penalties of losses.py."""
import numpy as np

import tinygan as tg

from ..module import Module
from ..proofs import twins
from .grading import Exercise, asked, slopes, tensor

_rng = np.random.default_rng(4)
EXERCISES = []          # each stands below, under its question
LR = 0.5                # of the steps


class _Network(Module):
    """y = tanh(x W + b) V"""

    def __init__(self, weights):
        self.w, self.b, self.v = (tg.Tensor(array, requires_grad=True) for array in weights)

    def forward(self, x):
        return (x @ self.w + self.b).tanh() @ self.v


def _value(weights, x):
    """The same in NumPy."""
    w, b, v = weights
    return np.tanh(x @ w + b) @ v


def _weights(outputs):
    return _rng.standard_normal((2, 3)), _rng.standard_normal(3), _rng.standard_normal((3, outputs))


def _points(n):
    return _rng.standard_normal((n, 2))


def _gradient(loss, network):
    """∂L/∂θ for all parameters of the network, in one array."""
    loss = tensor(loss)
    found = tg.grad(loss, network.parameters()) if loss.requires_grad else network.parameters()
    return np.concatenate([g.data.ravel() * loss.requires_grad for g in found])


def _numeric(loss, *arrays):
    """The same of a function of arrays, by finite differences."""
    return np.concatenate([slope.ravel() for slope in slopes(loss, *arrays)])


def _d_loss(G, D, x, z):
    return twins.LOSSES["non_saturating"][0](_value(D, x), _value(D, _value(G, z)))


def _g_loss(G, D, z):
    return twins.LOSSES["non_saturating"][1](_value(D, _value(G, z)))


def detach(G, D, x, z):
    """Both losses, with detach in the right place.

    In D's turn G is not to change: no gradient of D's loss may reach G. In G's
    turn the gradient must pass through D to G.

    G, D      networks: G(z) are fakes (N, 2), D(x) are logits (N, 1)
    x, z      arrays: real points (N, 2), noise (N, 2)
    returns   L_D = E softplus(−D(x)) + E softplus(D(G(z))) and
              L_G = E softplus(−D(G(z))), both Tensors
    tensor.detach() has the same values and no memory of how they were made.
    tg.losses.discriminator_loss and tg.losses.generator_loss, of logits, are
    these losses already.
    """
    raise NotImplementedError


def _both_losses(function, x, z, *weights):
    G, D = _Network(weights[:3]), _Network(weights[3:])
    d_loss, g_loss = function(G, D, x, z)
    return [d_loss, _gradient(d_loss, D), _gradient(d_loss, G), g_loss, _gradient(g_loss, G)]


def _both_meant(x, z, *weights):
    G, D = weights[:3], weights[3:]
    return [_d_loss(G, D, x, z), _numeric(lambda *D: _d_loss(G, D, x, z), *D), np.zeros(sum(w.size for w in G)),
            _g_loss(G, D, z), _numeric(lambda *G: _g_loss(G, D, z), *G)]


def _losses(in_d, in_g, loss=tg.losses.generator_loss, logits=lambda a: a):
    """detach() with these functions of the fakes in D's turn, of the fakes in G's, and of D's logits of fakes."""
    return lambda G, D, x, z: (tg.losses.discriminator_loss(D(x), logits(D(in_d(G(z))))), loss(D(in_g(G(z)))))


def _keep(x):
    return x


EXERCISES.append(Exercise(
    *asked(detach), "detach in the right place", 10, ("g_losses",), "tinygan/training.py, GAN.step",
    ("L_D", "∂L_D/∂D", "∂L_D/∂G", "L_G", "∂L_G/∂G"), _both_meant,
    {"random networks": (3, [(_points(4), _points(4), *_weights(2), *_weights(1))]),
     "more noise than points": (1, [(_points(2), _points(3), *_weights(2), *_weights(1))])},
    {"Nothing is detached: D's loss has a gradient for G.": _losses(_keep, _keep),
     "The fakes are detached in G's turn too: G learns nothing.": _losses(tg.Tensor.detach, tg.Tensor.detach),
     "detach stands in G's turn, where it does harm, and not in D's.": _losses(_keep, tg.Tensor.detach),
     "D's logits of fakes are detached, not the fakes: D learns nothing from them.":
         _losses(_keep, _keep, logits=tg.Tensor.detach),
     "This is the saturating loss of G.": _losses(tg.Tensor.detach, _keep, tg.losses.saturating_generator_loss)},
    ("Draw the graph: z → G → fakes → D → logits → loss. Where must it be cut in D's turn, so that D stays on the near side?",
     "A cut behind D would take D's own gradient away, too.",
     "D's turn judges the fakes without their memory, G's turn the fakes themselves."),
    _both_losses))


def r1(D, x):
    """R₁, by double backpropagation.

    R₁ = E ‖∂D(x)/∂x‖² is the mean, over the real points, of the squared length
    of D's slope. It is a part of D's loss, so it must be differentiated with
    respect to D's weights: a derivative of a derivative.

    D         network: D(x) are logits (N, 1)
    x         array (N, 2)
    returns   R₁, a Tensor with a single number
    derive    D(xᵢ) depends on xᵢ alone. So what is the gradient of Σ D(xᵢ)?
    tg.grad(output, inputs, create_graph=True) is a tuple of gradients, and
    records how they are computed.
    """
    raise NotImplementedError


def _penalty(function, x, *weights):
    D = _Network(weights)
    penalty = function(D, x)
    return [penalty, _gradient(penalty, D)]


def _slope_of(D, x, of=tg.ops.sum, create_graph=True, belief=False):
    x = tg.Tensor(x, requires_grad=True)
    return tg.grad(of(D(x).sigmoid() if belief else D(x)), x, create_graph=create_graph)[0]


def _r1(function=lambda slope: (slope * slope).sum() / len(slope), **options):
    return lambda D, x: function(_slope_of(D, x, **options))


EXERCISES.append(Exercise(
    *asked(r1), "R₁ by double backpropagation", 20, ("detach",), "tinygan/losses.py, r1_penalty",
    ("R₁", "∂R₁/∂D"),
    lambda x, *D: [twins.r1_penalty(*D, x), _numeric(lambda *D: twins.r1_penalty(*D, x), *D)],
    {"a random network": (3, [(_points(4), *_weights(1))]),
     "a single point": (1, [(_points(1), *_weights(1))]),
     "a slope of 0": (1, [(_points(3), *_weights(1)[:2], np.zeros((3, 1)))])},
    {"The slope is not recorded: create_graph=True is missing, and R₁ has no gradient.": _r1(create_graph=False),
     "The logits are averaged first: each slope is N times too small.": _r1(of=tg.ops.mean),
     "This is the sum over the points. E is their mean.": _r1(lambda slope: (slope * slope).sum()),
     "This is the slope's length, not its square.": _r1(lambda slope: (slope * slope).sum(axis=1).sqrt().mean()),
     "The slope is that of the belief σ(a), not of the logit.": _r1(belief=True)},
    ("x must be a Tensor with requires_grad=True before D sees it.",
     "The gradient of D(x).sum(), recorded with create_graph=True, has a row for each point: its slope.",
     "R₁ is the sum of all slope * slope, divided by the number of points."),
    _penalty))


def step(G, D, g_optimizer, d_optimizer, x, z_d, z_g):
    """One round of the game, in the right order.

    D's turn: one step of d_optimizer down L_D, on the real x and the fakes of
    z_d. Then G's turn: one step of g_optimizer down L_G, on the fakes of z_g,
    judged by the D that has just changed. The losses are
    tg.losses.discriminator_loss and tg.losses.generator_loss, of logits.

    G, D                        networks
    g_optimizer, d_optimizer    .step() moves the parameters p along p.grad,
                                .zero_grad() forgets all p.grad
    x, z_d, z_g                 arrays: real points, noise for D's turn, for G's
    returns                     nothing: both networks are changed
    loss.backward() adds to p.grad for every p that it reaches: what was there
    before stays. backward(inputs=[…]) is for these parameters only.
    """
    raise NotImplementedError


def _two_rounds(function, x, z_d, z_g, *weights):
    G, D = (_Network([w.copy() for w in part]) for part in (weights[:3], weights[3:]))
    g_optimizer, d_optimizer = tg.SGD(G.parameters(), LR), tg.SGD(D.parameters(), LR)
    for _ in range(2):
        function(G, D, g_optimizer, d_optimizer, x, z_d, z_g)
    return [np.concatenate([w.ravel() for w in network.arrays()]) for network in (D, G)]


def _two_rounds_meant(x, z_d, z_g, *weights):
    G, D = weights[:3], weights[3:]
    for _ in range(2):
        D = [w - LR * slope for w, slope in zip(D, slopes(lambda *D: _d_loss(G, D, x, z_d), *D))]
        G = [w - LR * slope for w, slope in zip(G, slopes(lambda *G: _g_loss(G, D, z_g), *G))]
    return [np.concatenate([w.ravel() for w in network]) for network in (D, G)]


def _d_turn(G, D, d_optimizer, x, z):
    d_optimizer.zero_grad()
    tg.losses.discriminator_loss(D(x), D(G(z).detach())).backward()
    d_optimizer.step()


def _g_turn(G, D, g_optimizer, z):
    g_optimizer.zero_grad()
    tg.losses.generator_loss(D(G(z))).backward()
    g_optimizer.step()


def _g_first(G, D, g_optimizer, d_optimizer, x, z_d, z_g):
    _g_turn(G, D, g_optimizer, z_g)
    _d_turn(G, D, d_optimizer, x, z_d)


def _same_noise(G, D, g_optimizer, d_optimizer, x, z_d, z_g):
    _d_turn(G, D, d_optimizer, x, z_d)
    _g_turn(G, D, g_optimizer, z_d)


def _stale(G, D, g_optimizer, d_optimizer, x, z_d, z_g):
    g_optimizer.zero_grad()
    tg.losses.generator_loss(D(G(z_g))).backward()
    _d_turn(G, D, d_optimizer, x, z_d)
    g_optimizer.step()


def _not_cleared(G, D, g_optimizer, d_optimizer, x, z_d, z_g):
    tg.losses.discriminator_loss(D(x), D(G(z_d).detach())).backward()
    d_optimizer.step()
    tg.losses.generator_loss(D(G(z_g))).backward()
    g_optimizer.step()


def _not_detached(G, D, g_optimizer, d_optimizer, x, z_d, z_g):
    g_optimizer.zero_grad()
    d_optimizer.zero_grad()
    tg.losses.discriminator_loss(D(x), D(G(z_d))).backward()
    d_optimizer.step()
    tg.losses.generator_loss(D(G(z_g))).backward()
    g_optimizer.step()


EXERCISES.append(Exercise(
    *asked(step), "A training step in the right order", 15, ("detach",), "tinygan/training.py, GAN.step",
    ("D's weights after two rounds", "G's weights after two rounds"), _two_rounds_meant,
    {"two rounds": (4, [(_points(4), _points(4), _points(4), *_weights(2), *_weights(1))]),
     "batches of different size": (1, [(_points(2), _points(3), _points(5), *_weights(2), *_weights(1))])},
    {"G moves first, against a D that has not moved.": _g_first,
     "G's gradient comes from the old D: after D's step D must judge anew.": _stale,
     "Old gradients are still there: zero_grad is missing.": _not_cleared,
     "G is moved by D's loss, too: detach the fakes in D's turn.": _not_detached,
     "Both turns use the noise z_d.": _same_noise},
    ("The order: D's zero_grad, loss, backward, step. Then the same for G, with a new D(G(z_g)).",
     "G's loss passes through D, so its backward() adds to D's gradients. Where must they be forgotten before D's next step?",
     "In each turn zero_grad() stands right before backward(), and D's turn judges detached fakes."),
    _two_rounds))
