"""The game played: one round, and many rounds.

    min_G max_D V(D, G)    V = E log D(x) + E log(1 − D(G(z)))    x from the data, z ~ N(0, I)

D and G take turns, one gradient step each (Goodfellow et al. 2014, algorithm 1 with k = 1). Its rules, and what is refused,
stand in umpire.py; how a game is kept in a file, in checkpoint/games.py.
"""
import copy
from contextlib import suppress

import numpy as np

from . import checkpoint, group, umpire
from .backend import array_module, at_hand, device_of, is_array, like, to_numpy
from .checkpoint import games
from .checkpoint.networks import one_by_one
from .errors import StopTraining, integer
from .fast.kernels import elementwise
from .losses import LOSSES, gradient_penalty, r1_penalty, smoothed_discriminator_loss
from .ops import concatenate, mean, sigmoid
from .optim import Adam
from .tensor import Tensor, no_grad


class GAN:
    """A generator and a discriminator, their optimisers, and all that decides how the game goes on.

    generator         Module, z (N, latent) → samples (N, …)
    discriminator     Module, samples → logits (N, 1)
    loss              "non_saturating", "saturating", "least_squares", "hinge" or "wasserstein" (losses.py)
    g_optimizer, d_optimizer    Adam(lr=2e-4, betas=(0.5, 0.999)) unless given
    seed              of the noise and of the order of the data: with equal networks, equal seeds give equal bits
    rules             what keeps the game in balance, such as r1=0.5 or averaging=0.99: the fields of umpire.Rules.
                      They can be read as gan.r1 and so on, and changed together: gan.rules = umpire.Rules(…)
    """

    def __init__(self, generator, discriminator, latent=100, loss="non_saturating", g_optimizer=None, d_optimizer=None, *,
                 seed=0, **rules):
        self.rules = umpire.rules_of(rules)
        umpire.check_loss(loss, self.rules)
        self.generator, self.discriminator, self.loss = generator, discriminator, loss
        self.latent = integer("latent", latent, 1)
        self.g_optimizer = g_optimizer or Adam(generator.parameters())
        self.d_optimizer = d_optimizer or Adam(discriminator.parameters())
        umpire.check_players(self)
        self.averaged = copy.deepcopy(generator) if self.rules.averaging else generator
        self.rng = np.random.default_rng(integer("seed", seed))
        self.workers = 1                           # how many shared the batches of the last fit
        self.unseen = np.empty(0, np.int64)        # indices of the images still to come in this epoch,
        self.mark = None                           # and what tells which images they are
        self.steps = 0
        self._history = {name: [] for name in ("d_loss", "g_loss", "d_real", "d_fake")}
        self.unread = []                           # metrics of the last steps, still on the device

    def step(self, real_batch):
        """One round of the game: D's step, then G's. Changes both networks; nothing waits for the device.

        real_batch: array (N, …). Returns {"d_loss", "g_loss", "d_real", "d_fake"} as arrays on the device, the last two
        D's mean belief σ(a) about the real and the fake batch before its step (its mean score where a is no logit)."""
        G, D, rules, N, team = self.generator, self.discriminator, self.rules, len(real_batch), group.current()
        d_loss_of, g_loss_of = LOSSES[self.loss]
        fraction = rules.fraction(self.steps)      # of the learning rates, which may fall
        blur = self._blur(real_batch.shape)        # what D sees may be blurred by instance noise, real and fake alike
        x = blur(Tensor(self._like_weights(team.share(real_batch))))
        z = self.noise(2 * N)                      # for both halves of the round, in one transfer to the device

        # D's step.  max_D V: descend L_D = −V.  The fakes are mere numbers here: G is not to change.
        with no_grad():
            fakes = blur(G(team.share(z[:N])))
        real_logits, fake_logits = self._judged(x, fakes)
        d_loss = (smoothed_discriminator_loss(real_logits, fake_logits, rules.label_smoothing) if rules.label_smoothing else
                  d_loss_of(real_logits, fake_logits))
        if rules.gradient_penalty:
            d_loss = d_loss + rules.gradient_penalty * gradient_penalty(D, x, fakes, self.rng)
        if rules.r1 and self.steps % rules.r1_every == 0:       # D forgets it slowly: every k-th step will do
            d_loss = d_loss + rules.r1_every * rules.r1 / 2 * r1_penalty(D, x)
        self.d_optimizer.zero_grad()
        if d_loss.requires_grad:                   # D may be frozen as a whole
            d_loss.backward()
        self.d_optimizer.step(fraction)

        # G's step.  Fresh noise, and D looks again: it has changed, and the graph above belongs to weights now gone.
        g_loss = g_loss_of(D(blur(G(team.share(z[N:])))))
        self.g_optimizer.zero_grad()
        g_loss.backward(inputs=[p for p in G.parameters() if p.requires_grad])      # through D, whose own are not computed
        self.g_optimizer.step(fraction)

        self._average()
        self.steps += 1
        beliefs = [mean(self.verdict(logits)).data for logits in (real_logits, fake_logits)]
        return dict(zip(self._history, team.means([d_loss.data, g_loss.data, *beliefs])))

    def fit(self, images, steps, batch_size=64, callbacks=(), workers=1):
        """Play `steps` rounds on batches of `images` (N, …), reshuffled each epoch. Other images than before begin one.

        Every callback is called as callback(gan, metrics) after each step; what it raises ends the training, StopTraining
        without an error. Returns the history since the first step.
        workers: processes that share each batch, "auto": one a core, "mpi": mpiexec's (group/). The first alone calls back.
        TinyganError for images that D cannot take or G cannot paint: wrong shape or dtype, NaN, values out of range.
        Diverged at the first loss or weight that is not finite (on a GPU up to 20 steps later: looking makes it wait)."""
        umpire.check_images(self, images, batch_size)
        games.keep_order(self, images)

        def look():
            for callback in [callbacks] if callable(callbacks) else callbacks:
                callback(self, metrics)
            if self.steps % umpire.MOST_UNREAD == 0 or at_hand(metrics["d_loss"]):
                umpire.check_finite(self)

        with suppress(StopTraining), group.sharing(workers, batch_size, device_of(self.generator.arrays()[0])) as team:
            self.workers = team.size
            for _ in range(integer("steps", steps)):
                metrics = self.step(images[self._next_batch(len(images), batch_size)])
                self.unread.append(metrics)
                team.first(look)
        return self.history

    @property
    def history(self):
        """{name of a metric: list of one float per step}, up to the last one. On a GPU, asking makes the host wait."""
        self._read()
        return self._history

    def sample(self, n, seed=0):
        """n samples as a NumPy array, from the noise of `seed`, in evaluation mode.

        Drawn one by one: a matrix product of another height may add in another order. So one z is one image, to the last
        bit, whatever stands beside it.  TinyganError for n < 1."""
        z = np.random.default_rng(seed).standard_normal((integer("n", n, 1), self.latent))
        return np.concatenate([self.generate(one) for one in z[:, None]])       # (n, latent) → n of (1, latent)

    def generate(self, z):
        """The samples that belong to the given noise, an array (n, latent), as a NumPy array. Evaluation mode: each z
        stands for itself, but for the last digits."""
        with self.averaged.evaluating() as G, no_grad():
            return to_numpy(G(Tensor(self._like_weights(z))))

    def to(self, device):
        """Move both networks to "cpu" or "cuda"; the optimisers follow with their next step."""
        for network in (self.generator, self.discriminator, self.averaged):
            network.to(device)
        return self

    def save(self, path):
        """Write everything to one .npz file, without pickle: networks, optimisers, noise, order of the data, history.

        Whatever happens, a whole file stands at `path`; the one before it stays beside it (checkpoint/).
        Diverged, and nothing is written, if a loss or a weight is not finite."""
        umpire.check_finite(self)
        checkpoint.write(path, *games.described(self))

    load = classmethod(games.restored)     # (path, generator=None, discriminator=None) → the GAN that save() wrote

    def noise(self, n):
        """z ~ N(0, I), a Tensor (n, latent), drawn on the host so that every device sees the same numbers."""
        return Tensor(self._like_weights(self.rng.standard_normal((n, self.latent))))

    def verdict(self, logits):
        """D's belief σ(a), or its score where a is no logit; remembers nothing."""
        with no_grad():
            return sigmoid(logits) if self.loss in umpire.BELIEFS else logits.detach()

    def _blur(self, shape):
        """A function x → x + σ_t·N(0, I) for three batches, all their noise in one transfer.  Source: Sønderby et al.,
        "Amortised MAP Inference for Image Super-resolution" (2017), section 3.1: so p_data and p_G overlap."""
        sigma = self.rules.sigma(self.steps)
        if not sigma:
            return lambda x: x
        draws = iter(self._like_weights(sigma * self.rng.standard_normal((3, *shape))))
        return lambda x: x + Tensor(group.current().share(next(draws)))

    def _judged(self, x, fakes):
        """D's logits of both. In one pass, which costs less, where D looks at each sample by itself and remembers nothing."""
        D = self.discriminator
        if not one_by_one(D):
            return D(x), D(fakes)
        logits = D(concatenate([x, fakes]))
        return logits[:len(x)], logits[len(x):]

    def _average(self):
        """averaged ← decay·averaged + (1 − decay)·generator, parameters and running statistics alike.

        Early on the decay is smaller, so that the start does not linger: the mean is over the last t/10 steps or so."""
        if self.rules.averaging:
            decay = min(self.rules.averaging, (1 + self.steps) / (10 + self.steps))
            now = dict(self.generator.named_arrays())
            for name, kept in self.averaged.named_arrays():
                elementwise(_move_towards, kept, now[name], moving=(1 - decay,))

    def _next_batch(self, total, batch_size):
        """The indices of the next batch. Each epoch passes through all images once, in a new order; an epoch's last few
        share their batch with the next one's first."""
        while len(self.unseen) < batch_size:
            self.unseen = np.concatenate([self.unseen, self.rng.permutation(total)])
        batch, self.unseen = self.unseen[:batch_size], self.unseen[batch_size:]
        return batch

    def _read(self):
        """Move the unread metrics into the history, in one transfer from the device."""
        if self.unread:
            xp = array_module(self.unread[0]["d_loss"])
            table = to_numpy(xp.stack([xp.stack([m[name] for name in self._history]) for m in self.unread]))
            for name, column in zip(self._history, table.T):
                self._history[name] += column.tolist()
            self.unread.clear()

    def _like_weights(self, array):
        return like(array if is_array(array) else np.asarray(array), self.g_optimizer.parameters[0].data)


def _move_towards(kept, now, part):
    """kept += (now − kept)·part"""
    kept += (now - kept) * part


for name in umpire.Rules.names():                  # gan.r1 is gan.rules.r1, and so on
    setattr(GAN, name, property(lambda gan, name=name: getattr(gan.rules, name)))
GAN.penalty = GAN.gradient_penalty
