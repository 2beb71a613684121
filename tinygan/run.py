"""A run: one training from the command line, and the folder that it leaves behind.

    config.json      what was run, enough to run it again
    checkpoint.npz   networks, optimisers, noise and data order; GAN.load reads it
    samples.png      100 samples
    progress.png     the same 8 noise vectors at 6 moments
    losses.png       the game's two sides
"""
import json
import platform
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
from tqdm.auto import tqdm

from . import data, metrics, models, plots
from .backend import available, to_numpy
from .errors import TinyganError
from .optim import Adam
from .training import GAN

MOMENTS = (0.01, 0.05, 0.15, 0.35, 0.65, 1.0)      # of the run, when the fixed noise is looked at
SCORED = 2000                                      # samples that the final score looks at


@dataclass(frozen=True)
class Preset:
    """What `tinygan train NAME` plays."""
    about: str
    load: Callable            # folder or None → array of real samples
    build: Callable           # seed → GAN
    steps: int
    batch_size: int = 64


def _digits(folder):
    return data.mnist_folder(folder)[0] if folder else data.digits()[0]


def _mnist(folder):
    if not folder:
        raise TinyganError("the full MNIST is read from a folder: give --data DIR with its four files, "
                           "or run `tinygan train digits` on the 5,000 digits in the package")
    return data.mnist_folder(folder)[0]


def _small(seed):
    G, D = models.small_generator(seed=seed), models.small_discriminator(seed=seed)
    return GAN(G, D, g_optimizer=Adam(G.parameters(), lr=1e-3), d_optimizer=Adam(D.parameters(), lr=1e-3),
               averaging=0.99, seed=seed)


def _seed_model(seed):
    G, D = models.seed_generator(seed=seed), models.seed_discriminator(batch_norm=False, seed=seed)
    return GAN(G, D, averaging=0.99, seed=seed)


def _points(seed):
    G, D = models.point_generator(seed=seed), models.point_discriminator(seed=seed)
    return GAN(G, D, latent=2, g_optimizer=Adam(G.parameters(), lr=1e-3), d_optimizer=Adam(D.parameters(), lr=1e-3),
               seed=seed)


PRESETS = {
    "digits": Preset("5,000 handwritten digits from the package, the default recipe", _digits, _small, 3000, 32),
    "mnist": Preset("the 60,000 digits of MNIST from --data DIR, the default recipe", _mnist, _small, 10000, 32),
    "seed": Preset("the packaged digits with the larger seed model", _digits, _seed_model, 1500),
    "ring": Preset("8 Gaussians on a circle", lambda folder: data.ring()[0], _points, 3000, 128),
    "grid": Preset("25 Gaussians on a grid", lambda folder: data.grid()[0], _points, 3000, 128),
}


def train(name="digits", out=None, steps=None, batch_size=None, seed=0, data_folder=None, device="auto",
          overwrite=False, quiet=False):
    """Train preset `name` and write the run folder, by default runs/NAME; returns its Path.

    Ctrl-C ends the training after the step in hand and writes what there is.
    TinyganError for an unknown preset, a folder that exists (unless overwrite), missing data or a missing device."""
    if name not in PRESETS:
        raise TinyganError(f"there is no preset {name!r}: choose one of {', '.join(PRESETS)}")
    preset, folder, say = PRESETS[name], Path(out or f"runs/{name}"), (lambda *_: None) if quiet else print
    steps, batch_size = preset.steps if steps is None else steps, batch_size or preset.batch_size
    if steps < 1:
        raise TinyganError(f"--steps {steps} came: expected at least 1")
    real = preset.load(data_folder)
    gan = preset.build(seed).to(_choose(device, say))
    _prepare(folder, overwrite)
    config = {"preset": name, "steps": steps, "batch_size": batch_size, "seed": seed,
              "data": data_folder and str(data_folder), "device": device,
              "python": platform.python_version(), "numpy": np.__version__}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")

    say(f"{name}: {preset.about}; {steps:,} steps of {batch_size}, seed {seed}")
    frames = Frames(gan, steps)
    with Progress(steps, batch_size, quiet) as progress, _stop_after_step() as stop:
        try:
            gan.fit(real, steps, batch_size, callbacks=(progress, frames, stop))
        except Stopped:
            print(f"stopped by Ctrl-C after step {gan.steps}: writing what there is", file=sys.stderr)
    frames.take(gan)
    _write(gan, real, frames, folder, say)
    return folder


def _choose(device, say):
    """"cpu" or "cuda"; for "auto" the GPU if a kernel runs on it."""
    if device != "auto":
        works, reason = available(device)
        if not works:
            raise TinyganError(reason)
        return device
    works, reason = available("cuda")
    say(f"device: {'cuda' if works else 'cpu'} ({reason})")
    return "cuda" if works else "cpu"


def _prepare(folder, overwrite):
    """Make the folder. One that holds anything is replaced only when that was asked for."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not overwrite:
            raise TinyganError(f"{folder} exists already and is left as it is: "
                               "choose another folder with --out, or --overwrite")
        if not (folder / "config.json").is_file():
            raise TinyganError(f"{folder} is no run of tinygan (it has no config.json), "
                               "so --overwrite leaves it alone: choose another folder with --out")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _write(gan, real, frames, folder, say):
    """The checkpoint first: pictures can be made again."""
    gan.save(folder / "checkpoint.npz")
    plots.losses(gan.history, folder / "losses.png")
    if real.ndim == 4:
        plots.samples(gan.sample(100, seed=1), folder / "samples.png")
        plots.progress(frames.taken, folder / "progress.png")
        say(f"samples       {metrics.score(gan.sample(SCORED, seed=2))}")
        say(f"real digits   {metrics.real_score(SCORED)}")
    else:
        plots.scatter(gan.sample(2500, seed=1), folder / "samples.png", real[:2500])
    say(f"\nwritten to {folder}/: " + ", ".join(sorted(path.name for path in folder.iterdir())))
    say(f"more samples: tinygan sample {folder} --n 100 --seed 2")


class Frames:
    """A callback that keeps what G makes of the same 8 noise vectors, at six moments of the run."""

    def __init__(self, gan, steps):
        self.noise = np.random.default_rng(1).standard_normal((8, gan.latent))
        self.moments = {max(1, round(part * steps)) for part in MOMENTS}
        self.taken = []                                     # (step, samples)

    def __call__(self, gan, metrics):
        if gan.steps in self.moments:
            self.take(gan)

    def take(self, gan):
        if not self.taken or self.taken[-1][0] != gan.steps:
            self.taken.append((gan.steps, gan.generate(self.noise)))


class Progress:
    """A callback that shows how the game stands: a bar in a terminal or notebook, a line now and then elsewhere."""

    def __init__(self, steps, batch_size, quiet):
        self.steps, self.batch_size, self.quiet = steps, batch_size, quiet
        self.lines = not quiet and not sys.stderr.isatty() and "ipykernel" not in sys.modules
        self.every = max(1, steps // 10) if self.lines else 10
        self.done, self.start = 0, time.perf_counter()
        self.bar = tqdm(total=steps, unit="step", disable=quiet or self.lines, dynamic_ncols=True)

    def __call__(self, gan, metrics):
        self.done += 1
        self.bar.update()
        if self.quiet or (self.done % self.every and self.done != self.steps):
            return
        values = {name: float(to_numpy(value)) for name, value in metrics.items()}
        rate = self.done * self.batch_size / (time.perf_counter() - self.start)
        text = (f"D(x) {values['d_real']:.2f}, D(G(z)) {values['d_fake']:.2f}, loss D {values['d_loss']:.2f}, "
                f"G {values['g_loss']:.2f}, {rate:,.0f} images/s")
        self.bar.set_postfix_str(text, refresh=False)
        if self.lines:
            print(f"step {gan.steps:6d}/{self.steps}  {text}", flush=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()


class Stopped(Exception):
    """Ctrl-C was pressed; the step in hand has been finished."""


@contextmanager
def _stop_after_step():
    """A callback that ends the training, between two steps, after a first Ctrl-C. A second one ends it at once."""
    pressed = []

    def note(*_):
        pressed.append(True)
        signal.signal(signal.SIGINT, before)

    def stop(gan, metrics):
        if pressed:
            raise Stopped

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:                  # not in the main thread: signals go elsewhere
        yield stop
        return
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
