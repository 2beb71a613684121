"""A round of the game as one CUDA graph: the host hands over one launch instead of hundreds.

    gan.step = Captured(gan)            GAN.step itself stays as it is; this one calls it, once or twice

A graph is what a stream was told while it captured: kernels, copies and products with their addresses and numbers, which can
be launched again and again. So everything that changes from step to step has to lie at a fixed address:

    the batch and all noise             drawn on the host by the game's own lines, then laid one after the other in one
    Adam's rate and corrections,        array on the device, which one upload fills before each launch; these numbers are
      the share of the average          those that elementwise() was given as `moving`
    running statistics                  the step makes new arrays; the graph ends with copies into the old ones
    metrics                             one small array, copied after each launch
    what is computed in between         memory of a pool that the graph has for itself, as long as it lives

A replayed step runs the optimisers' lines on the host too, without their kernels, so the counts of steps, the versions of the
parameters and the random numbers go on as in any step, and `save` finds what it would find.

Of each kind of step (the shape of the batch, with a penalty or without) the first is a rehearsal: the same kernels without a
graph, so that all are compiled. The second is captured. If an array or a rule was exchanged, all begins anew.
"""
import copy
import math
import operator
from contextlib import contextmanager

import numpy as np

from .. import backend, group
from ..errors import TinyganError, brief
from . import is_plain
from .cublas import Products
from .kernels import capture

KINDS = 8               # of steps that are kept as graphs
ALIGNED = 64            # numbers: where an array may begin
TOLERANCE = 0.01        # of the way of a round: what rounding may change, which Adam enlarges where a gradient is nearly 0


def obstacle(gan):
    """Why the steps of this game cannot be captured; "" if they can."""
    networks = gan.discriminator, gan.generator
    strangers = {type(module).__name__ for network in networks for module in network.modules()
                 if type(module).__module__ != "tinygan.layers"}
    left_out = any({p for p in network.parameters() if p.requires_grad} - set(optimiser.parameters)
                   for network, optimiser in zip(networks, _optimisers(gan)))
    checks = {"the game is not on a GPU": backend.device_of(gan.g_optimizer.parameters[0].data) == "cpu",
              "the gradient penalty draws random numbers in the middle of a step": gan.rules.gradient_penalty,
              "only Adam's rate may change within a graph": {type(o).__name__ for o in _optimisers(gan)} != {"Adam"},
              f"what {', '.join(sorted(strangers))} does on the host would not be repeated": strangers,
              "gradients would add up that no optimiser empties: freeze what it leaves out": left_out,
              "a group shares the batch": group.current().size > 1, "the plain kernels are to run": is_plain()}
    return next((reason for reason, found in checks.items() if found), "")


def _optimisers(gan):
    return gan.d_optimizer, gan.g_optimizer             # in the order of their steps


def doubt(gan, images, batch_size):
    """Why the rounds of this game had better not be replayed; "" if a copy of it moves, in each of some rounds on a few of the
    images (N, …), as another copy does without graphs. Both begin every round alike, so rounding has no time to grow."""
    if reason := obstacle(gan):
        return reason
    images, (ours, theirs) = images[:4 * batch_size], (copy.deepcopy(gan) for _ in range(2))
    ours.step = Captured(ours)
    try:
        for _ in range(4 + 4 * (gan.rules.r1_every if gan.rules.r1 else 1)):        # so that each kind of them is replayed
            before = {name: [array.copy() for array in getattr(theirs, name).arrays()] for name in ("generator", "discriminator")}
            ours.fit(images, 1, batch_size)
            theirs.fit(images, 1, batch_size)
            for name, start in before.items():
                right, found = getattr(theirs, name).arrays(), getattr(ours, name).arrays()
                moved, apart = _distance(start, right), _distance(found, right)
                if not apart <= TOLERANCE * moved:
                    return f"the {name} of a copy moved by {moved:.2g} in a round, and with graphs to a place {apart:.2g} away"
            for array, right in zip(_arrays(ours) + _moments(ours), _arrays(theirs) + _moments(theirs)):
                array[...] = right
    except Exception as error:          # whatever CUDA, its driver or CuPy has against it
        return f"a copy of the game could not be played so ({brief(error)})"
    finally:
        del ours.step                   # which holds the copy: its memory on the device is free at once
    return ""


def _arrays(gan):
    return [array for network in (gan.generator, gan.discriminator, gan.averaged) for array in network.arrays()]


def _moments(gan):
    return [array for optimiser in _optimisers(gan) for array in (*optimiser.m, *optimiser.v)]


def _distance(arrays, others):
    return math.sqrt(sum(float(((a - b) ** 2).sum()) for a, b in zip(arrays, others)))


class Captured:
    """gan.step, replayed where it can be and played as ever where it cannot (obstacle), or where the batch is no NumPy array."""

    def __init__(self, gan):
        self.gan, self.products, self.known, self.graphs = gan, None, None, {}

    def __call__(self, real_batch):
        gan = self.gan
        if not isinstance(real_batch, np.ndarray) or obstacle(gan):
            return type(gan).step(gan, real_batch)
        self.products = self.products or Products()
        rules, now = gan.rules, self._identity()
        kind = real_batch.shape, bool(rules.r1) and gan.steps % rules.r1_every == 0, rules.sigma(gan.steps) > 0
        if now != self.known or kind not in self.graphs and len(self.graphs) == KINDS:
            self.graphs.clear()
        one = self.graphs.pop(kind, None)           # one that fails does not come back
        metrics = one.play(real_batch) if one else (one := _Graph(gan, self.products)).rehearse(real_batch)
        self.graphs[kind], self.known = one, now    # as it was before: a step that exchanged an array was no rehearsal
        return metrics

    def _identity(self):
        """All that a graph takes for granted: settings, and arrays that must stay the same ones."""
        gan = self.gan
        networks = gan.generator, gan.discriminator, gan.averaged
        settings = [gan.rules, gan.loss, *map(repr, networks), *((o.betas, o.eps) for o in _optimisers(gan)),
                    *(module.training for network in networks[:2] for module in network.modules()),
                    *(p.requires_grad for o in _optimisers(gan) for p in o.parameters)]
        return settings, _Same(_arrays(gan) + _moments(gan))


class _Same(list):
    """A list of arrays that equals another one of the very same arrays."""

    def __eq__(self, other):
        return len(self) == len(other) and all(map(operator.is_, self, other))


class _Graph:
    """One kind of step."""

    def __init__(self, gan, products):
        import cupy
        self.cupy, self.gan, self.products, self.graph = cupy, gan, products, None
        self.dtype, self.places = gan.g_optimizer.parameters[0].dtype, []

    def rehearse(self, x):
        """The step without a graph, which tells how much it takes from the host."""
        def feed(values):
            self.shapes.append(np.shape(values))
            return self.cupy.asarray(np.asarray(values, self.dtype))

        self.shapes = []
        self.products.follow(self.cupy.cuda.get_current_stream())
        with self._taking(feed):
            return self._step(x)

    def play(self, x):
        """The step by the graph, which the first call captures."""
        self.fed = iter(self.places or self._laid_out())
        with self._taking(self._feed):
            if self.graph is None:
                self._capture(x)
            else:
                self._on_the_host(x)
        self.device.set(self.host)
        self.graph.launch()             # on the stream of everything else, so that all keeps its order
        metrics = self.metrics.copy()
        return {name: metrics[i] for i, name in enumerate(self.names)}

    def _laid_out(self):
        """Where each array and each number lies that a step takes: [(on the host, on the device)]."""
        ends = np.cumsum([-(-math.prod(shape) // ALIGNED) * ALIGNED for shape in self.shapes])
        self.host, self.device = np.zeros(ends[-1], self.dtype), self.cupy.empty(int(ends[-1]), self.dtype)
        starts = [0, *map(int, ends[:-1])]
        self.places = [tuple(array[start:start + math.prod(shape)].reshape(shape) for array in (self.host, self.device))
                       for start, shape in zip(starts, self.shapes)]
        return self.places

    def _feed(self, values):
        on_host, on_device = next(self.fed)
        on_host[...] = values
        return on_device

    @contextmanager
    def _taking(self, feed):
        """What a step takes from the host comes from feed, and its products from a handle that a graph can hold."""
        self.gan._like_weights = capture.feed = feed
        capture.matmul, capture.replaying = self.products.matmul, self.graph is not None
        try:
            yield
        finally:
            del self.gan._like_weights, capture.feed, capture.matmul, capture.replaying

    def _step(self, x):
        """The game's own step. Arrays that it exchanged, such as running statistics, go back into the old ones."""
        places = [place for network in (self.gan.generator, self.gan.discriminator) for _, *place in network._places()]
        before = [getattr(*place) for place in places]
        try:
            return type(self.gan).step(self.gan, x)
        finally:
            for place, old in zip(places, before):
                if getattr(*place) is not old:
                    old[...] = getattr(*place)
                    setattr(*place, old)

    def _capture(self, x):
        """Note the step; nothing of it is done yet.  TinyganError, and the game has lost its step, where CUDA refuses."""
        self.pool, stream = self.cupy.cuda.MemoryPool(), self.cupy.cuda.Stream(non_blocking=True)
        self.products.follow(stream)
        with self.cupy.cuda.using_allocator(self.pool.malloc), stream:
            stream.begin_capture()
            try:
                metrics = self._step(x)
                self.names, self.metrics = list(metrics), self.cupy.empty(len(metrics), self.dtype)
                for i, value in enumerate(metrics.values()):
                    self.metrics[i] = value
            except Exception as error:
                raise TinyganError(f"a round cannot be captured as a CUDA graph ({error}): train with --no-graph") from error
            finally:
                self.graph = stream.end_capture()
        self.gradients = [(p, p.grad) for optimiser in _optimisers(self.gan) for p in optimiser.parameters]

    def _on_the_host(self, x):
        """What the step does on the host, in its order."""
        gan = self.gan
        for parameter, gradient in self.gradients:
            parameter.grad = gradient
        gan._blur(x.shape)
        gan._like_weights(x)
        gan.noise(2 * len(x))
        for optimiser in _optimisers(gan):
            optimiser.step(gan.rules.fraction(gan.steps))
        gan._average()
        gan.steps += 1
