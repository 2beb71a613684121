"""A run: one training from the command line, and the folder that it leaves behind.

    config.json      what was run, on which data and with which versions: enough to run it again
    checkpoint.npz   networks, optimisers, noise and data order; GAN.load reads it. checkpoint.previous.npz: the one before
    metrics.csv      the losses and D's beliefs of every step
    frames.npz       what G made of the same noise, at moments of the training
    samples.png      100 samples
    progress.png     the same 8 noise vectors at 6 moments
    losses.png       the game's two sides
    training.gif     the fixed noise over time; of points, with D's surface and where it sends them (landscape.png: the end)
    report.html      all of it on one page, with a diagnosis in plain words

A run that was stopped, by Ctrl-C or by anything, goes on with --resume from its last checkpoint, and ends in the same
bytes as one that was never stopped. The bytes depend on the number of workers, so a run keeps it.
"""
import json
import platform
import shutil
import signal
import sys
import threading
import time
import zlib
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from .. import animation, checkpoint, diagnosis, group, metrics, plots, report
from ..backend import available, to_numpy
from ..cuda import explained
from ..errors import Diverged, TinyganError, WorkerLost, brief
from ..landscape import ARROWS, landscape, window
from ..training import BELIEFS, GAN
from .presets import PRESETS, STUDIES, stabilised

MOMENTS = (0.01, 0.05, 0.15, 0.35, 0.65, 1.0)      # of the run, when progress.png looks at the fixed noise
FRAMES = 24                                        # moments in frames.npz, closer together at the start
SCORED = 2000                                      # samples that the final score looks at
SAVE_EVERY = 20.0                                  # seconds between two checkpoints


@explained()
def train(name="digits", out=None, steps=None, batch_size=None, seed=0, data_folder=None, device="auto",
          overwrite=False, quiet=False, stabilisers=None, workers="auto"):
    """Train preset `name`, or play that study, and write the run folder, by default runs/NAME; returns its Path.

    stabilisers: {option: value} in place of the preset's own: "spectral_norm": True, "g_lr", "d_lr", or an argument of GAN.
    workers: how many processes share each batch, "auto" for one a core, or "mpi" for those that mpiexec started.
    Ctrl-C and SIGTERM end the training after the step in hand; what there is is written, then Stopped is raised.
    TinyganError for an unknown preset, a folder that exists (unless overwrite), missing data or a missing device, and
    for data, a batch size or a GPU given to a study;
    Diverged if the training did, with the last good checkpoint left in the folder."""
    if name not in PRESETS | STUDIES:
        raise TinyganError(f"there is no preset {name!r}: choose one of {', '.join(PRESETS | STUDIES)}")
    preset, folder, say = (PRESETS | STUDIES)[name], Path(out or f"runs/{name}"), silent if quiet else print
    steps = preset.steps if steps is None else steps
    if steps < 1:
        raise TinyganError(f"--steps {steps} came: expected at least 1")
    if name in STUDIES:
        _only_for_presets(name, {"--batch-size": batch_size, "--data": data_folder, "a stabiliser": stabilisers or None,
                                 "--device": device if device == "cuda" else None,
                                 "--workers": None if workers in ("auto", 1) else workers})
        return _study(name, folder, steps, seed, overwrite, say)
    batch_size = batch_size or preset.batch_size
    with group.of("mpi" if workers == "mpi" else 1) as team:       # forked workers come and go with the training alone
        device, where = _choose(device)
        workers, why = group.chosen(workers, team, batch_size, device)
        say(f"workers: {workers} ({why})\ndevice: {device} ({where})")
        real = _loaded(team, preset, data_folder)
        gan = stabilised(preset.build(seed), seed, **(stabilisers or {})).to(device)
        team.first(lambda: prepare(folder, overwrite))
        config = {"preset": name, "steps": steps, "batch_size": batch_size, "seed": seed,
                  "data": data_folder and str(data_folder), "images": fingerprint(real), "device": device,
                  "stabilisers": stabilisers or {}, "workers": workers, **versions()}
        say(f"{name}: {preset.about}; {steps:,} steps of {batch_size}, seed {seed}")
        return _play(folder, config, gan, real, Frames(gan, steps, real), say, quiet)


def _loaded(team, preset, data_folder):
    """The preset's data. The first rank is the first to ask for them, as it may have to download them."""
    team.first(lambda: preset.load(data_folder))
    return preset.load(data_folder)


def _only_for_presets(name, options):
    """TinyganError for an option that a study has no use for."""
    for option, value in options.items():
        if value is not None:
            raise TinyganError(f"{option} {value} came with {name}, a study that draws its own few numbers on the CPU: "
                               f"leave {option} out")


def _study(name, folder, steps, seed, overwrite, say):
    """Play a study in a folder of its own."""
    prepare(folder, overwrite)
    config = {"preset": name, "steps": steps, "seed": seed, "device": "cpu", **versions()}
    write_text(folder / "config.json", json.dumps(config, indent=1) + "\n")
    say(f"{name}: {STUDIES[name].about}; {steps:,} steps, seed {seed}")
    STUDIES[name].play(folder, seed, steps, say)
    say(f"\nwritten to {folder}/: " + ", ".join(sorted(path.name for path in folder.iterdir())))
    return folder


@explained()
def resume(folder, steps=None, data_folder=None, device="auto", quiet=False, workers=None):
    """Go on with the run in `folder` until it has `steps` steps in all (by default, as many as it was to have).

    workers: as many as it had, unless others are asked for: the bytes depend on their number.
    TinyganError for a folder without a run, a damaged one, other data than it was begun with, or fewer steps than it has."""
    folder, say = Path(folder), silent if quiet else print
    with group.of("mpi" if workers == "mpi" else 1) as team:       # forked workers come and go with the training alone
        config = read_config(folder / "config.json")
        device, where = _choose(device)
        workers, why = group.chosen(workers or config["workers"], team, config["batch_size"], device)
        say(f"workers: {workers} ({'as before' if workers == config['workers'] else why})\ndevice: {device} ({where})")
        gan = GAN.load(folder / "checkpoint.npz").to(device)
        steps = config["steps"] if steps is None else steps
        if steps < gan.steps:
            raise TinyganError(f"--steps {steps} came, and the run in {folder} has {gan.steps} already: give more, in all")
        real = _loaded(team, PRESETS[config["preset"]], data_folder or config["data"])
        if fingerprint(real) != config["images"]:
            raise TinyganError(f"the run in {folder} was begun with other data ({brief(config['images'])}) than came now "
                               f"({fingerprint(real)}): give --data with the folder that it had")
        config |= {"steps": steps, "workers": workers, **versions()}
        say(f"{config['preset']}: going on after step {gan.steps:,}, {steps - gan.steps:,} to go")
        return _play(folder, config, gan, real, Frames(gan, steps, real, folder / "frames.npz"), say, quiet)


def silent(*_):
    pass


def versions():
    """Of what the numbers may depend on."""
    try:
        own = metadata.version("tinygan")
    except metadata.PackageNotFoundError:
        own = "not installed"
    return {"tinygan": own, "python": platform.python_version(), "numpy": np.__version__,
            "system": f"{platform.system()} {platform.machine()}"}


def fingerprint(real):
    """What tells one set of images from another: how many, their shape, and a checksum."""
    return f"{'×'.join(map(str, real.shape))}, crc32 {zlib.crc32(np.ascontiguousarray(real)):08x}"


def read_config(path):
    """The config.json of a run.  TinyganError if it is missing, damaged, or of a preset that there is not."""
    try:
        if path.stat().st_size > 1 << 20:
            raise ValueError("it is larger than 1 MB")
        config = json.loads(path.read_text(encoding="utf-8"))
        config.setdefault("workers", 1)                     # older runs had one
        if config["preset"] in STUDIES:
            raise TinyganError(f"{path.parent} holds the study {config['preset']}, which takes seconds and is not "
                               f"resumed: run `tinygan train {config['preset']} --out {path.parent} --overwrite`")
        for key, kind in CONFIG.items():
            if not isinstance(config[key], kind) or isinstance(config[key], bool):
                raise ValueError(f"its {key} is {config[key]!r}")
        if config["preset"] not in PRESETS or min(config[key] for key in ("steps", "batch_size", "workers")) < 1:
            raise ValueError(f"it is a run of {config['preset']!r}, {config['steps']} steps of {config['batch_size']}")
        return config
    except TinyganError:
        raise
    except FileNotFoundError:
        raise TinyganError(f"{path.parent} is no run of tinygan (it has no config.json): give a folder that "
                           "`tinygan train` wrote") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise TinyganError(f"{path} is damaged ({type(error).__name__}: {brief(error)}): mend it by hand, "
                           "it is plain JSON") from error


CONFIG = {"preset": str, "steps": int, "batch_size": int, "seed": int, "data": (str, type(None)), "images": str,
          "workers": int}


def _play(folder, config, gan, real, frames, say, quiet):
    """Train, with a checkpoint now and then, and write everything at the end: the first rank does, the others only play."""
    keeper, team = Keeper(folder, frames), group.current()
    steps, batch_size = config["steps"], config["batch_size"]
    workers, stopped = 1 if team.size > 1 else config["workers"], None

    def begin():
        write_text(folder / "config.json", json.dumps(config, indent=1) + "\n")
        if not gan.steps:
            keeper.save(gan)

    def end():
        frames.take(gan)
        keeper.save(gan)
        _show(gan, real, frames, folder, config, say)

    team.first(begin)
    with Progress(steps, gan.steps, batch_size, quiet or team.rank > 0) as progress, _stop_after_step() as stop:
        try:
            watch = diagnosis.Watch(real, say)
            gan.fit(real, steps - gan.steps, batch_size, (progress, frames, keeper, watch, stop), workers)
        except Stopped as signalled:
            stopped = signalled
            team.first(lambda: print(f"stopped by {stopped} after step {gan.steps}: writing what there is; "
                                     f"`tinygan train --resume {folder}` goes on from there", file=sys.stderr))
        except (Diverged, WorkerLost) as error:
            raise TinyganError(f"{error}. The last good checkpoint, of step {keeper.saved}, is "
                               f"{folder / 'checkpoint.npz'}") from error
    team.first(end)
    if stopped:
        raise stopped
    return folder


def write_text(path, text):
    """Write beside the place and move there, so that the file is whole at every moment."""
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise TinyganError(f"{path} could not be written ({error.strerror or error}): make room or choose another "
                           "folder with --out") from error


class Keeper:
    """A callback that saves the run every few seconds. The frames come first: a checkpoint never knows of a step whose
    frame is missing, and frames that are ahead of it are dropped when the run goes on."""

    def __init__(self, folder, frames):
        self.folder, self.frames, self.saved, self.last = folder, frames, 0, time.monotonic()

    def __call__(self, gan, metrics):
        if time.monotonic() - self.last >= SAVE_EVERY:
            self.save(gan)

    def save(self, gan):
        self.frames.save(self.folder / "frames.npz")
        gan.save(self.folder / "checkpoint.npz")
        rows = zip(*gan.history.values())
        lines = [",".join(["step", *gan.history])] + [",".join(map(repr, [k, *row])) for k, row in enumerate(rows, 1)]
        write_text(self.folder / "metrics.csv", "\n".join(lines) + "\n")
        self.saved, self.last = gan.steps, time.monotonic()


def _choose(device):
    """("cpu" or "cuda", why); for "auto" the GPU if a kernel runs on it."""
    works, reason = available("cuda" if device == "auto" else device)
    if not works and device != "auto":
        raise TinyganError(reason)
    return ("cpu" if not works else "cuda" if device == "auto" else device), reason


def prepare(folder, overwrite):
    """Make the folder. One that holds anything is replaced only when that was asked for."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not overwrite:
            raise TinyganError(f"{folder} exists already and is left as it is: "
                               "choose another folder with --out, go on with --resume, or --overwrite")
        if not (folder / "config.json").is_file():
            raise TinyganError(f"{folder} is no run of tinygan (it has no config.json), "
                               "so --overwrite leaves it alone: choose another folder with --out")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _show(gan, real, frames, folder, config, say):
    """The pictures and the numbers: all of them can be made again from the checkpoint."""
    plots.losses(gan.history, folder / "losses.png")
    taken = [(step, samples.astype(np.float32)) for step, samples in frames.taken]
    samples, score, real_score = gan.sample(SCORED, seed=2), None, None
    if real.ndim == 4:
        plots.samples(gan.sample(100, seed=1), folder / "samples.png")
        plots.progress(frames.of_progress(), folder / "progress.png")
        animation.gif(taken, folder / "training.gif")
        score, real_score = metrics.score(samples), metrics.real_score(SCORED)
        say(f"samples       {score}")
        say(f"real digits   {real_score}")
    else:
        plots.scatter(gan.sample(2500, seed=1), folder / "samples.png", real[:2500])
    if PRESETS[config["preset"]].modes:
        say(f"samples       {metrics.mode_score(gan.sample(2500, seed=1), *PRESETS[config['preset']].modes)}")
    if frames.landscapes:
        figures = [plots.landscape(step, made, real[:1000], *seen, frames.extent, gan.loss in BELIEFS)
                   for (step, made), seen in zip(taken, frames.landscapes)]
        figures[-1].savefig(folder / "landscape.png", dpi=120)
        animation.landscape_gif(figures, folder / "training.gif")
    findings = diagnosis.findings(gan.history, samples, real, score, real_score)
    report.write(folder / "report.html", title=f"tinygan: {config['preset']}", config=config, history=gan.history,
                 frames=taken, samples=samples[:100] if real.ndim == 4 else samples, real=real, score=score,
                 real_score=real_score, findings=findings)
    say(f"\nwritten to {folder}/: " + ", ".join(sorted(path.name for path in folder.iterdir())))
    say(f"more samples: tinygan sample {folder} --n 100 --seed 2")


class Frames:
    """A callback that keeps what G makes of the same noise, at moments of the run: 100 images, or 2,500 points; of points in
    the plane, the landscape that D makes for them too."""

    def __init__(self, gan, steps, real, path=None):
        images = real.ndim == 4
        self.extent = window(real) if real.shape[1:] == (2,) else None
        self.noise = np.random.default_rng(1).standard_normal((100 if images else 2500, gan.latent))
        self.moments = {max(1, round(part * steps)) for part in (*MOMENTS, *(np.arange(1, FRAMES + 1) / FRAMES) ** 2)}
        # (step, samples) and (surface, arrows)
        self.taken, self.landscapes = self._read(path, gan.steps) if path else ([], [])

    def __call__(self, gan, metrics):
        if gan.steps in self.moments:
            self.take(gan)

    def take(self, gan):
        if not self.taken or self.taken[-1][0] != gan.steps:
            samples = gan.generate(self.noise)
            self.taken.append((gan.steps, samples.astype(np.float16)))
            if self.extent:
                seen = landscape(gan, samples[:ARROWS], self.extent)
                self.landscapes.append([array.astype(np.float16) for array in seen])

    def of_progress(self):
        """[(step, 8 samples)] at the frames nearest to MOMENTS."""
        steps = np.array([step for step, _ in self.taken])
        chosen = sorted({int(abs(steps - part * steps[-1]).argmin()) for part in MOMENTS})
        return [(int(steps[k]), self.taken[k][1][:8].astype(np.float32)) for k in chosen]

    def save(self, path):
        arrays = {f"{k}": samples for k, (_, samples) in enumerate(self.taken)}
        for k, (surface, arrows) in enumerate(self.landscapes):
            arrays |= {f"{k}.surface": surface, f"{k}.arrows": arrows}
        checkpoint.write(path, {"steps": [step for step, _ in self.taken]}, arrays, keep=False)

    @staticmethod
    def _read(path, step):
        about, arrays = checkpoint.read(path)
        try:
            taken = [(k, arrays[str(number)]) for number, k in enumerate(about["steps"]) if k <= step]
            seen = [[arrays[f"{number}.{name}"] for name in ("surface", "arrows")] for number in range(len(taken))
                    if f"{number}.surface" in arrays]
            return taken, seen
        except (KeyError, TypeError) as error:
            raise checkpoint.damaged(path, error) from error


class Progress:
    """A callback that shows how the game stands: a bar in a terminal or notebook, a line now and then elsewhere."""

    def __init__(self, steps, begun, batch_size, quiet):
        self.steps, self.batch_size, self.quiet = steps, batch_size, quiet
        self.lines = not quiet and not sys.stderr.isatty() and "ipykernel" not in sys.modules
        self.every = max(1, steps // 10) if self.lines else 10
        self.done, self.start = 0, time.perf_counter()
        self.bar = tqdm(total=steps, initial=begun, unit="step", disable=quiet or self.lines, dynamic_ncols=True)

    def __call__(self, gan, metrics):
        self.done += 1
        self.bar.update()
        if self.quiet or (gan.steps % self.every and gan.steps != self.steps):
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
    """A run was told to end, by Ctrl-C or by SIGTERM; the step in hand has been finished.  number: the signal's."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number

    def __str__(self):
        return "Ctrl-C" if self.number == signal.SIGINT else signal.Signals(self.number).name


@contextmanager
def _stop_after_step():
    """A callback that ends the training, between two steps, after a first Ctrl-C or SIGTERM, whichever rank it was sent to.
    A second Ctrl-C ends it at once."""
    received, before = [], {}

    def note(number, frame):
        received.append(number)
        group.current().tell(number)
        signal.signal(signal.SIGINT, before[signal.SIGINT])

    def stop(gan, metrics):
        if number := (received or [group.current().told()])[0]:
            raise Stopped(number)

    if threading.current_thread() is threading.main_thread():           # elsewhere signals are not to be had
        before |= {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
