"""The game played: one round, many rounds, and keeping the result.

    min_G max_D V(D, G)    V = E log D(x) + E log(1 − D(G(z)))    x from the data, z ~ N(0, I)

D and G take turns, one gradient step each (Goodfellow et al. 2014, algorithm 1 with k = 1).
"""
import copy

import numpy as np

from . import checkpoint, group, layers
from .backend import all_finite, array_module, at_hand, device_of, is_array, like, to_numpy
from .errors import Diverged, TinyganError, brief
from .fast.kernels import elementwise
from .losses import LOSSES, gradient_penalty, r1_penalty, smoothed_discriminator_loss
from .ops import concatenate, mean, sigmoid
from .optim import OPTIMISERS, Adam
from .tensor import Tensor, no_grad

FORMAT = 1           # of the checkpoint
LATER = ("r1", "instance_noise", "noise_steps", "label_smoothing", "decay_steps")      # older checkpoints lack these
LOOK = 20            # steps between two looks at the metrics, where looking makes a device wait
BELIEFS = ("non_saturating", "saturating")       # the losses where σ(a) is D's belief
RANGES = {layers.Tanh: (-1, 1), layers.Sigmoid: (0, 1)}     # what a generator's last layer can paint


class GAN:
    """A generator and a discriminator, their optimisers, and all that decides how the game goes on.

    generator         Module, z (N, latent) → samples (N, …)
    discriminator     Module, samples → logits (N, 1)
    loss              "non_saturating", "saturating", "least_squares", "hinge" or "wasserstein" (losses.py)
    g_optimizer, d_optimizer    Adam(lr=2e-4, betas=(0.5, 0.999)) unless given
    gradient_penalty  weight λ of the penalty on D's slope (usually 10 with "wasserstein"), 0 for none
    averaging         decay of the running mean of G's weights from which samples are drawn, 0 for none
    r1                weight γ of the penalty on D's slope at real data (0.1 to 10), 0 for none
    instance_noise    σ of Gaussian noise on all that D sees, 0 for none
    noise_steps       steps over which that σ falls linearly to 0; None: it stays
    decay_steps       steps over which both learning rates fall linearly to a twentieth, where they stay; None: they do not
    label_smoothing   s: D's target for real data is 1 − s; for the two losses on beliefs
    seed              of the noise and of the order of the data: with equal networks, equal seeds give equal bits
    """

    def __init__(self, generator, discriminator, latent=100, loss="non_saturating", g_optimizer=None, d_optimizer=None,
                 gradient_penalty=0.0, averaging=0.0, seed=0, r1=0.0, instance_noise=0.0, noise_steps=None,
                 label_smoothing=0.0, decay_steps=None):
        if loss not in LOSSES:
            raise TinyganError(f"loss {loss!r} came: expected one of {', '.join(LOSSES)}")
        if not 0 <= averaging < 1:
            raise TinyganError(f"averaging {averaging} came: expected a decay in [0, 1), such as 0.99")
        self.generator, self.discriminator, self.latent, self.loss = generator, discriminator, latent, loss
        self.g_optimizer = g_optimizer or Adam(generator.parameters())
        self.d_optimizer = d_optimizer or Adam(discriminator.parameters())
        self.penalty, self.averaging, self.r1 = gradient_penalty, averaging, r1
        self.instance_noise, self.noise_steps, self.label_smoothing = instance_noise, noise_steps, label_smoothing
        self.decay_steps = decay_steps
        self._check_stabilisers()
        self.averaged = copy.deepcopy(generator) if averaging else generator
        self.rng = np.random.default_rng(seed)
        self.workers = 1                           # how many shared the batches of the last fit
        self.waiting = np.empty(0, np.int64)       # indices of the images still to come in this epoch
        self.steps = 0
        self.history = {name: [] for name in ("d_loss", "g_loss", "d_real", "d_fake")}
        self.pending = []                          # metrics of the last steps, still on the device

    def step(self, real_batch):
        """One round of the game: D's step, then G's. Changes both networks; nothing waits for the device.

        real_batch: array (N, …). Returns {"d_loss", "g_loss", "d_real", "d_fake"} as arrays on the device, the last two
        D's mean belief σ(a) about the real and the fake batch before its step (its mean score where a is no logit)."""
        G, D, N, team = self.generator, self.discriminator, len(real_batch), group.current()
        d_loss_of, g_loss_of = self._losses()
        part = (max(0.05, 1 - self.steps / self.decay_steps),) if self.decay_steps else ()     # of rates that fall
        blur = self._blur(real_batch.shape)        # what D sees may be blurred by instance noise, real and fake alike
        x = blur(Tensor(self._like_weights(team.share(real_batch))))
        z = self.noise(2 * N)                      # for both halves of the round, in one transfer to the device

        # D's step.  max_D V: descend L_D = −V.  The fakes are mere numbers here: G is not to change.
        with no_grad():
            fakes = blur(G(team.share(z[:N])))
        real_logits, fake_logits = self._judged(x, fakes)
        d_loss = d_loss_of(real_logits, fake_logits)
        if self.penalty:
            d_loss = d_loss + self.penalty * gradient_penalty(D, x, fakes, self.rng)
        if self.r1:
            d_loss = d_loss + self.r1 / 2 * r1_penalty(D, x)
        self.d_optimizer.zero_grad()
        d_loss.backward()
        self.d_optimizer.step(*part)

        # G's step.  Fresh noise, and D looks again: it has changed, and the graph above belongs to weights now gone.
        g_loss = g_loss_of(D(blur(G(team.share(z[N:])))))
        self.g_optimizer.zero_grad()
        g_loss.backward(inputs=G.parameters())     # through D to G; D's own gradients are not even computed
        self.g_optimizer.step(*part)

        self._average()
        self.steps += 1
        beliefs = [mean(self.verdict(logits)).data for logits in (real_logits, fake_logits)]
        return dict(zip(self.history, team.means([d_loss.data, g_loss.data, *beliefs])))

    def fit(self, images, steps, batch_size=64, callbacks=(), workers=1):
        """Play `steps` rounds on batches of `images` (N, …), reshuffled each epoch.

        Every callback is called as callback(gan, metrics) after each step; what it raises ends the training. Returns the
        history since the first step: {name of the metric: list of one float per step}.
        workers: how many processes share each batch, "auto" for one a core, or "mpi" for those that mpiexec started
        (group.py). Callbacks are called in the first one alone.
        TinyganError for images that D cannot take or G cannot paint: wrong shape or dtype, NaN, values out of range.
        Diverged at the first loss or weight that is not finite (on a GPU up to 20 steps later: looking makes it wait)."""
        images = self._checked(images, batch_size)

        def look():
            for callback in callbacks:
                callback(self, metrics)
            if len(self.pending) == LOOK or at_hand(metrics["d_loss"]):
                self._check_finite()

        try:
            with group.sharing(workers, batch_size, device_of(self.generator.arrays()[0])) as team:
                self.workers = team.size
                for _ in range(steps):
                    metrics = self.step(images[self._next_batch(len(images), batch_size)])
                    self.pending.append(metrics)
                    team.first(look)
        finally:
            self._remember()
        return self.history

    def sample(self, n, seed=0):
        """n samples as a NumPy array, from the noise of `seed`, in evaluation mode.

        Drawn one by one: a matrix product of another height may add in another order. So one z is one image, to the last
        bit, whatever stands beside it.  TinyganError for n < 1."""
        if n < 1:
            raise TinyganError(f"{n} samples were asked for: expected at least 1")
        z = np.random.default_rng(seed).standard_normal((n, self.latent))
        return np.concatenate([self.generate(one) for one in z[:, None]])       # (n, latent) → n of (1, latent)

    def generate(self, z):
        """The samples that belong to the given noise, an array (n, latent), as a NumPy array. Evaluation mode: each z
        stands for itself, but for the last digits."""
        G = self.averaged
        was_training = G.training
        G.eval()
        try:
            with no_grad():
                return to_numpy(G(Tensor(self._like_weights(z))))
        finally:
            G.train(was_training)

    def to(self, device):
        """Move both networks to "cpu" or "cuda"; the optimisers follow with their next step."""
        for network in (self.generator, self.discriminator, self.averaged):
            network.to(device)
        return self

    def noise(self, n):
        """z ~ N(0, I), a Tensor (n, latent), drawn on the host so that every device sees the same numbers."""
        return Tensor(self._like_weights(self.rng.standard_normal((n, self.latent))))

    def _losses(self):
        """D's loss of real and fake logits, G's of fake ones."""
        d_loss, g_loss = LOSSES[self.loss]
        if self.label_smoothing:
            return lambda real, fake: smoothed_discriminator_loss(real, fake, self.label_smoothing), g_loss
        return d_loss, g_loss

    def _blur(self, shape):
        """A function x → x + σ_t·N(0, I) for three batches, all their noise in one transfer.  Source: Sønderby et al.,
        "Amortised MAP Inference for Image Super-resolution" (2017), section 3.1: so p_data and p_G overlap."""
        left = 1 - self.steps / self.noise_steps if self.noise_steps else 1
        sigma = self.instance_noise * max(0, left)
        if not sigma:
            return lambda x: x
        draws = iter(self._like_weights(sigma * self.rng.standard_normal((3, *shape))))
        return lambda x: x + Tensor(group.current().share(next(draws)))

    def _judged(self, x, fakes):
        """D's logits of both. In one pass, which costs less, where D looks at each sample by itself and remembers nothing."""
        D = self.discriminator
        if not layers.one_by_one(D):
            return D(x), D(fakes)
        logits = D(concatenate([x, fakes]))
        return logits[:len(x)], logits[len(x):]

    def _check_stabilisers(self):
        """TinyganError for a number that makes no sense."""
        for name, value in (("gradient_penalty", self.penalty), ("r1", self.r1), ("instance_noise", self.instance_noise)):
            if not 0 <= value < np.inf:
                raise TinyganError(f"{name} {value} came: expected a number of at least 0, 0 for none")
        for name, value in (("noise_steps", self.noise_steps), ("decay_steps", self.decay_steps)):
            if value is not None and not value >= 1:
                raise TinyganError(f"{name} {value} came: expected at least 1, or None for what stays as it is")
        if not 0 <= self.label_smoothing < 0.5:
            raise TinyganError(f"label_smoothing {self.label_smoothing} came: expected a number in [0, 0.5), such as 0.1")
        if self.label_smoothing and self.loss not in BELIEFS:
            raise TinyganError(f"label_smoothing came with the loss {self.loss!r}, in which D has no labels: "
                               f"it goes with {' and '.join(BELIEFS)}")

    def _like_weights(self, array):
        return like(array if is_array(array) else np.asarray(array), self.g_optimizer.parameters[0].data)

    def verdict(self, logits):
        """D's belief σ(a), or its score where a is no logit; remembers nothing."""
        with no_grad():
            return sigmoid(logits) if self.loss in BELIEFS else logits.detach()

    def _average(self):
        """averaged ← decay·averaged + (1 − decay)·generator, parameters and running statistics alike.

        Early on the decay is smaller, so that the start does not linger: the mean is over the last t/10 steps or so."""
        if not self.averaging:
            return
        decay = min(self.averaging, (1 + self.steps) / (10 + self.steps))
        for kept, now in zip(self.averaged.arrays(), self.generator.arrays()):
            elementwise(_move_towards, kept, now, numbers=(1 - decay,))

    def _next_batch(self, total, batch_size):
        """The indices of the next batch. Each epoch passes through all images once, in a new order; an epoch's last few
        share their batch with the next one's first."""
        while len(self.waiting) < batch_size:
            self.waiting = np.concatenate([self.waiting, self.rng.permutation(total)])
        batch, self.waiting = self.waiting[:batch_size], self.waiting[batch_size:]
        return batch

    def _remember(self):
        """Move the pending metrics into the history, in one transfer from the device."""
        if self.pending:
            xp = array_module(self.pending[0]["d_loss"])
            table = to_numpy(xp.stack([xp.stack([m[name] for name in self.history]) for m in self.pending]))
            for name, column in zip(self.history, table.T):
                self.history[name] += column.tolist()
            self.pending.clear()

    def _check_finite(self):
        """Diverged if a loss of the last steps, a weight or a running statistic is not finite."""
        self._remember()
        named = [(f"{part} {name}", array) for part in ("generator", "discriminator")
                 for name, array in getattr(self, part).named_arrays()]
        bad = [] if all_finite(*[array for _, array in named]) else [name for name, array in named if not all_finite(array)]
        for name in ("d_loss", "g_loss"):
            late = self.history[name][-LOOK:]
            for steps_ago, value in enumerate(reversed(late)):
                if not np.isfinite(value) and np.isfinite(late[:-1 - steps_ago]).all():
                    raise Diverged(self.steps - steps_ago, f"{name} is {value}", bad)
        if bad:
            raise Diverged(self.steps, "the losses are still finite", bad)

    def _checked(self, images, batch_size):
        """The images, if the game can be played with them."""
        if not is_array(images) or images.dtype.kind != "f":
            kind = getattr(images, "dtype", type(images).__name__)
            raise TinyganError(f"images came as {kind}: expected an array of float32; "
                               "for bytes from 0 to 255 use images.astype('float32') / 127.5 - 1")
        if not 1 <= batch_size <= len(images):
            raise TinyganError(f"batch size {batch_size} came with {len(images)} images: expected 1 to {len(images)}")
        painted = self.generate(np.zeros((1, self.latent))).shape[1:]
        if images.shape[1:] != painted:
            raise TinyganError(f"images of shape {images.shape[1:]} came, and the generator paints {painted}: "
                               "reshape the images to (N, H, W, C) or use another generator")
        low, high = float(images.min()), float(images.max())
        if not np.isfinite(low + high):
            raise TinyganError("the images contain NaN or infinite values: "
                               "remove them first, one is enough to spoil every weight")
        last = type(self.generator.modules()[-1])
        least, most = RANGES.get(last, (low, high))         # another last layer can paint any number
        if not (least <= low and high <= most):
            raise TinyganError(f"the images lie in [{low:g}, {high:g}] but the generator ends in {last.__name__} "
                               f"and paints in [{least}, {most}]: D would tell them apart by that alone; "
                               "rescale the images")
        return images

    # Keeping it

    def save(self, path):
        """Write everything to one .npz file, without pickle: networks, optimisers, noise, order of the data, history.

        Whatever happens, a whole file stands at `path`; the one before it stays beside it (checkpoint.py)."""
        self._check_finite()
        arrays = {"history": np.array([self.history[name] for name in self.history]), "waiting": self.waiting}
        for part, owner in self._parts().items():
            arrays |= {f"{part}/{name}": array for name, array in owner.state_dict().items()}
        description = {
            "format": FORMAT, "latent": self.latent, "loss": self.loss, "gradient_penalty": self.penalty,
            "averaging": self.averaging, "r1": self.r1, "instance_noise": self.instance_noise,
            "noise_steps": self.noise_steps, "label_smoothing": self.label_smoothing,
            "decay_steps": self.decay_steps, "steps": self.steps, "workers": self.workers,
            "rng": self.rng.bit_generator.state,
            "generator": repr(self.generator), "discriminator": repr(self.discriminator),
            "dtype": str(self.generator.parameters()[0].dtype),
            "g_optimizer": [type(self.g_optimizer).__name__, self.g_optimizer.settings()],
            "d_optimizer": [type(self.d_optimizer).__name__, self.d_optimizer.settings()],
        }
        checkpoint.write(path, description, arrays)

    @classmethod
    def load(cls, path):
        """The GAN that save() wrote, on the CPU: it goes on exactly where the other stopped.

        TinyganError for a missing, damaged or foreign file."""
        about, arrays = checkpoint.read(path)
        try:
            if about["format"] != FORMAT:
                raise TinyganError(f"it has checkpoint format {brief(about['format'])}, "
                                   f"and this tinygan reads format {FORMAT}: use the version that wrote it")
            return cls._restored(about, arrays)
        except TinyganError as error:
            raise TinyganError(f"{path} cannot be used: {brief(error, 600)}") from error
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError,
                SyntaxError) as error:              # this one is NumPy's, which parses the name of a type
            raise checkpoint.damaged(path, error) from error

    @classmethod
    def _restored(cls, about, arrays):
        most = sum(array.size for array in arrays.values())
        G, D = (layers.build(about[name], most).astype(about["dtype"]) for name in ("generator", "discriminator"))
        g_optimizer, d_optimizer = (OPTIMISERS[name](network.parameters(), **settings) for network, (name, settings) in
                                    ((G, about["g_optimizer"]), (D, about["d_optimizer"])))
        gan = cls(G, D, about["latent"], about["loss"], g_optimizer, d_optimizer,
                  about["gradient_penalty"], about["averaging"], **{name: about[name] for name in LATER if name in about})
        for part, owner in gan._parts().items():
            start = f"{part}/"
            state = {name[len(start):]: array for name, array in arrays.items() if name.startswith(start)}
            owner.load_state_dict(state)
        gan.workers = int(about.get("workers", 1))
        gan.steps, gan.rng.bit_generator.state, gan.waiting = about["steps"], about["rng"], arrays["waiting"]
        gan.history = {name: row.tolist() for name, row in zip(gan.history, arrays["history"], strict=True)}
        return gan

    def _parts(self):
        """What has a state of its own, by its name in the checkpoint."""
        parts = {"generator": self.generator, "discriminator": self.discriminator,
                 "g_optimizer": self.g_optimizer, "d_optimizer": self.d_optimizer}
        return parts | ({"averaged": self.averaged} if self.averaging else {})


def _move_towards(mean, now, part):
    """mean += (now − mean)·part"""
    mean += (now - mean) * part
