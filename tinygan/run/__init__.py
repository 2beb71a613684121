"""A run: one training from the command line, and the folder that it leaves behind.

    config.json      what was run, on which data and with which versions: enough to run it again; what --resume changed
    checkpoint.npz   networks, optimisers, noise and data order; GAN.load reads it. checkpoint.previous.npz: the one before
    metrics.csv      the losses and D's beliefs of every step
    result.json      what came out: the scores, how long it took, on what and with which command
    frames.npz       what G made of the same noise, at moments of the training
    samples.png      100 samples
    progress.png     what becomes of the same noise, at 6 moments
    losses.png       the game's two sides
    scores.json      with --score-every: how good the samples were at which step; scores.png shows it, and best.npz is the
                     checkpoint of the best
    training.gif     the fixed noise over time; of points, with D's surface and where it sends them (landscape.png: the end)
    report.html      all of it on one page, with a diagnosis in plain words

A run that was stopped, by Ctrl-C or in any other way, goes on with --resume from its last checkpoint, and ends in the
same bytes as one that was never stopped. The bytes depend on the number of workers, so a run keeps that number.

presets.py: what there is to train. folder.py: the folder and its config.json. callbacks.py: what happens between two steps.
scores.py: how good the samples are. output.py: where a run's words go.
"""
import json
import re
import shlex
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .. import data, group, summary, umpire
from ..backend import available, device_of
from ..cuda import explained
from ..errors import Diverged, TinyganError, WorkerLost, brief, integer, seed_of
from ..fast.graph import Captured, doubt
from ..look import diagnosis
from ..look.files import write_text
from ..training import GAN
from ..umpire import BELIEFS
from .callbacks import Frames, Keeper, Progress, Stopped, stop_after_step
from .folder import contents, fingerprint, is_ink, prepared, read_config, silent, versions, write_config
from .output import aloud, audible
from .presets import CHANGEABLE, PRESETS, STUDIES, change, stabilised
from .scores import ENOUGH, Scores, drawn


@audible()
@explained()
def train(name=None, out=None, steps=None, batch_size=None, seed=0, data_folder=None, device="auto",
          overwrite=False, quiet=False, stabilisers=None, workers="auto", network=None, score_every=None, save_every=None,
          graph=None):
    """Train preset `name`, or play that study, and write the run folder, by default runs/NAME; returns its Path.

    name: by default "pictures" for data that are not MNIST's files, and "digits" else.
    stabilisers: {option: value} in place of the preset's own: "spectral_norm": True, "g_lr", "d_lr", "beta1", or an argument
    of GAN. network: {"size", "channels", "width", "latent": number}, for the presets that make networks of any size.
    workers: how many processes share each batch, "auto" for one a core, or "mpi" for those that mpiexec started.
    score_every: steps from one score of the samples to the next (never). save_every: steps from one checkpoint to the next
    (every 20 seconds). graph: each round as one CUDA graph (fast/graph.py): False for none, None where there is a GPU, True for
    a word where it cannot be. In any case a copy of the game is first played both ways.
    Ctrl-C and SIGTERM end the training after the current step; the results so far are written, then Stopped is raised.
    TinyganError for an unknown preset, a folder that exists (unless overwrite), missing data or a missing device, for an
    option that the preset has no use for, and if the training diverges: the last good checkpoint stays."""
    name = name or ("digits" if data_folder is None or data.is_mnist(data_folder) else "pictures")
    if name not in PRESETS | STUDIES:
        raise TinyganError(f"there is no preset {name!r}: choose one of {', '.join(PRESETS | STUDIES)}")
    preset, folder, say = (PRESETS | STUDIES)[name], Path(out or f"runs/{name}"), silent if quiet else aloud
    steps, seed = integer("--steps", preset.steps if steps is None else steps, 1), seed_of(seed)
    if name in STUDIES:
        _without_effect(name, {"--batch-size": batch_size, "--data": data_folder, "a stabiliser": stabilisers or None,
                               "--device": device if device == "cuda" else None,
                               "--workers": None if workers in ("auto", 1) else workers, "--score-every": score_every,
                               "--save-every": save_every, **_options(network)})
        return _study(name, folder, steps, seed, overwrite, say)
    if preset.modes:
        _without_effect(name, {"--data": data_folder})
    _without_effect(name, _options(network, preset.network))
    network = {option: integer(f"--{option}", value, 1) for option, value in (network or {}).items() if value is not None}
    batch_size = integer("--batch-size", preset.batch_size if batch_size is None else batch_size, 1)
    with group.of("mpi" if workers == "mpi" else 1) as team, ExitStack() as stack:  # forked workers: with the training alone
        device, no_gpu = _choose(device)
        workers, why = group.chosen(workers, team, batch_size, device)
        say(_first_line(device, workers, why, no_gpu))
        real = _loaded(team, preset, data_folder, network, say)
        if "size" in preset.network:
            network |= {"size": real.shape[1], "channels": real.shape[3]}
        gan = stabilised(preset.build(seed, **network), seed, **(stabilisers or {})).to(device)
        umpire.check_images(gan, real, batch_size)
        _capture(gan, real, batch_size, graph, say)
        every = _every(score_every, save_every, steps, real)
        team.first(lambda: stack.enter_context(prepared(folder, overwrite)))
        config = {"preset": name, "steps": steps, "batch_size": batch_size, "seed": seed,
                  "data": data_folder and str(data_folder), "images": fingerprint(real), "device": device,
                  "stabilisers": stabilisers or {}, "network": network, "workers": workers, **every, "changes": [],
                  **versions()}
        say(f"{name}: {preset.about}; {steps:,} steps of {batch_size}, seed {seed}")
        return _play(folder, config, gan, real, Frames(gan, steps, real), say, quiet)


def _loaded(team, preset, data_folder, network, say):
    """The preset's data. The first rank is the first to ask for them, as it may have to download or to convert them."""
    options, found = {}, []
    if "size" in preset.network:
        options = {"size": network.get("size"), "channels": network.get("channels"), "say": say}
    team.first(lambda: found.append(preset.load(data_folder, **options)))
    return found[0] if found else preset.load(data_folder, **options | dict.fromkeys(options.keys() & {"say"}))


def _every(score_every, save_every, steps, real):
    """{"score_every", "save_every"}: each a number of steps or None.  TinyganError where nothing would ever be scored."""
    if score_every is not None and len(real) < ENOUGH:
        raise TinyganError(f"got --score-every with {len(real)} pictures, expected at least {ENOUGH}, as the score of fewer "
                           "means nothing: give more of them, or leave --score-every out")
    return {"score_every": None if score_every is None else integer("--score-every", score_every, 1, steps),
            "save_every": None if save_every is None else integer("--save-every", save_every, 1)}


def _options(network, of_use=()):
    """The options of the network that are given and of no use, by their names on the command line."""
    return {f"--{option}": value for option, value in (network or {}).items() if option not in of_use}


def _without_effect(name, options):
    """TinyganError for an option that this preset or study has no use for."""
    for option, value in options.items():
        if value is not None:
            its = ("study draws its own few numbers on the CPU" if name in STUDIES else
                   "preset draws its own points" if option == "--data" else "preset has its own")
            raise TinyganError(f"got {option} {value} for {name}, expected none, as this {its}: leave {option} out")


def _study(name, folder, steps, seed, overwrite, say):
    """Play a study in a folder of its own."""
    with prepared(folder, overwrite):
        write_config(folder, {"preset": name, "steps": steps, "seed": seed, "device": "cpu", **versions()})
        say(f"{name}: {STUDIES[name].about}; {steps:,} steps, seed {seed}")
        STUDIES[name].play(folder, seed, steps, say)
    say(f"\nwritten to {folder}/: {contents(folder)}")
    return folder


@audible()
@explained()
def resume(folder, steps=None, data_folder=None, device="auto", quiet=False, workers=None, stabilisers=None,
           score_every=None, save_every=None, graph=None):
    """Go on with the run in `folder` until it has `steps` steps in all, by default the number that it was started with.

    workers: by default as many as it had; with another number the bytes differ. graph: as for train().
    stabilisers: {name: value} of presets.CHANGEABLE, from here on. config.json remembers what was changed after which step.
    TinyganError for a folder without a run, a damaged one, other data than it was begun with, fewer steps than it has, or
    a stabiliser that only a new run can have."""
    stabilisers = stabilisers or {}
    if fixed := sorted(stabilisers.keys() - CHANGEABLE):
        raise TinyganError(f"got {', '.join(fixed)} for a run that goes on, expected some of {', '.join(sorted(CHANGEABLE))}: "
                           "start a new run")
    folder, say = Path(folder), silent if quiet else aloud
    with group.of("mpi" if workers == "mpi" else 1) as team:       # forked workers come and go with the training alone
        config = read_config(folder / "config.json")
        device, no_gpu = _choose(device)
        workers, why = group.chosen(workers or config["workers"], team, config["batch_size"], device)
        say(_first_line(device, workers, "as before" if workers == config["workers"] else why, no_gpu))
        gan = GAN.load(folder / "checkpoint.npz").to(device)
        steps = config["steps"] if steps is None else integer("--steps", steps)
        if PRESETS[config["preset"]].modes:
            _without_effect(config["preset"], {"--data": data_folder})
        if steps < gan.steps:
            raise TinyganError(f"got --steps {steps}, expected at least {gan.steps}, as the run in {folder} has {gan.steps} "
                               "already: give the number of all its steps, old and new")
        real = _loaded(team, PRESETS[config["preset"]], data_folder or config["data"], config["network"], say)
        if fingerprint(real) != config["images"]:
            raise TinyganError(f"got other data ({fingerprint(real)}), expected those that the run in {folder} was begun "
                               f"with ({brief(config['images'])}): give --data with the folder that it had")
        now = {"steps": steps, "workers": workers,
               **_every(config["score_every"] if score_every is None else score_every,
                        config["save_every"] if save_every is None else save_every, steps, real)}
        new = {name: value for name, value in now.items() if value != config[name]} | stabilisers
        changes = [past for past in config["changes"] if past["after_step"] <= gan.steps]       # later ones: of steps now lost
        changes += [{"after_step": gan.steps, **new}] if new else []
        for past in changes:
            if past["after_step"] == gan.steps:             # the checkpoint was saved before them
                change(gan, **{name: past[name] for name in past.keys() & CHANGEABLE})
        config |= {**now, "changes": changes, **versions()}
        say(f"{config['preset']}: going on after step {gan.steps:,}, {steps - gan.steps:,} to go")
        if new:
            say(f"from here on: {', '.join(f'{name} {value}' for name, value in new.items())}")
        _capture(gan, real, config["batch_size"], graph, say)
        return _play(folder, config, gan, real, Frames(gan, steps, real, folder / "frames.npz"), say, quiet)


def _play(folder, config, gan, real, frames, say, quiet):
    """Train, with a checkpoint now and then, and write everything at the end. Only the first rank writes."""
    scores, team = Scores(folder, config, real, gan.steps), group.current()
    keeper = Keeper(folder, frames, scores, config["save_every"])
    steps, batch_size = config["steps"], config["batch_size"]
    workers, stopped, begun, start = 1 if team.size > 1 else config["workers"], None, gan.steps, time.perf_counter()

    def begin():
        write_config(folder, config)
        if not gan.steps:
            keeper.save(gan)
        keeper.keep_best(gan)               # a run may have been killed just before that

    def end():
        seconds = time.perf_counter() - start
        played = {"seconds": round(seconds, 2), "images_per_second": round((gan.steps - begun) * batch_size / seconds, 1),
                  "device": device_of(gan.generator.arrays()[0]), "workers": gan.workers}
        frames.take(gan)
        keeper.save(gan)
        try:
            _show(gan, real, frames, scores, folder, config, played, say)
        except (OSError, TinyganError) as error:
            raise TinyganError(f"{error}. The checkpoint of step {gan.steps} is whole: `tinygan train --resume {folder}` "
                               "draws the pictures again") from error

    team.first(begin)
    with Progress(steps, gan.steps, batch_size, quiet or team.rank > 0) as progress, stop_after_step() as stop:
        try:
            watch = diagnosis.Watch(real, say)
            gan.fit(real, steps - gan.steps, batch_size, (progress, frames, scores, keeper, watch, stop), workers)
        except Stopped as signalled:
            stopped = signalled
            team.first(lambda: aloud(f"stopped by {stopped} after step {gan.steps}: writing the results so far; "
                                     f"`tinygan train --resume {folder}` goes on from there", sys.stderr))
        except (Diverged, WorkerLost) as error:
            raise TinyganError(f"{error}. The last good checkpoint, of step {keeper.saved}, is "
                               f"{folder / 'checkpoint.npz'}") from error
    team.first(end)
    if stopped:
        raise stopped
    return folder


def _capture(gan, real, batch_size, graph, say):
    """Play the game's rounds as CUDA graphs where that can be and comes out alike. On a CPU only who asks is answered."""
    if graph or graph is None and device_of(gan.generator.arrays()[0]) != "cpu":
        reason = doubt(gan, real, batch_size)
        say(f"graph: none, as {reason}" if reason else "graph: each round is one CUDA graph")
        if not reason:
            gan.step = Captured(gan)


def _choose(device):
    """("cpu" or "cuda", why not the GPU, "" where nobody asks); for "auto" the GPU if a kernel runs on it."""
    works, reason = available("cuda" if device == "auto" else device)
    if not works and device != "auto":
        raise TinyganError(reason)
    return ("cpu", reason) if not works else ("cuda" if device == "auto" else device, "")


def _first_line(device, workers, why, no_gpu):
    """What a run computes on. Of why it is no GPU the first words are enough: `--device cuda` says all, and what to do."""
    note = re.split(r" \(|:", no_gpu)[0]
    return f"device: {device}, {workers} worker{'s' * (workers > 1)} ({why}){'; ' * bool(note)}{note}"


def _show(gan, real, frames, scores, folder, config, played, say):
    """Write the pictures and the numbers. All but `played`, what the training took, can be made again from the checkpoint."""
    from ..look import animation, plots, report         # with them comes matplotlib, which lessons need not load with run/

    plots.losses(gan.history, folder / "losses.png")
    taken = [(step, samples.astype(np.float32)) for step, samples in frames.taken]
    points, ink, judge, landscape, curve = real.ndim == 2, is_ink(config), scores.judge, None, None
    samples = drawn(gan, judge.n if judge else ENOUGH)
    plots.progress(frames.of_progress(), folder / "progress.png", ink)
    if not points:
        plots.samples(gan.sample(100, seed=1), folder / "samples.png", ink=ink)
        animation.gif(taken, folder / "training.gif", ink)
    else:
        plots.scatter(samples, folder / "samples.png", real[:len(samples)])
    score, real_score = (judge.score(samples), judge.real) if judge else (None, None)
    if score:
        say(f"{'samples':{len(judge.kind) + 5}} {score}")
        say(f"real {judge.kind} {real_score}")
    if scores.taken:
        curve = plots.scores(scores.taken, scores.best["step"], real=real_score)
        plots.save(curve, folder / "scores.png")
        say(f"best: step {scores.best['step']:,}, kept as best.npz: tinygan sample {folder} --best")
    if frames.landscapes:
        figures = [plots.landscape(step, made, real[:1000], *seen, frames.extent, gan.loss in BELIEFS)
                   for (step, made), seen in zip(taken, frames.landscapes)]
        landscape = plots.drawn(figures[-1])
        plots.save(landscape, folder / "landscape.png")
        animation.landscape_gif(figures, folder / "training.gif")
    result = {"steps": gan.steps, **played, "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]), **versions()}
    found = {name: it and asdict(it) for name, it in (("samples", score), ("real", real_score))}
    found |= {"scores": scores.taken, "best": scores.best}
    write_text(folder / "result.json", json.dumps(result | found, indent=1) + "\n")
    findings = diagnosis.findings(gan.history, samples, real, score, real_score)
    networks = {"G": summary.rows(gan.generator, (gan.latent,)), "D": summary.rows(gan.discriminator, real.shape[1:])}
    report.write(folder / "report.html", title=f"tinygan: {config['preset']}", config=config | result, history=gan.history,
                 frames=taken, samples=samples[:100] if real.ndim == 4 else samples, real=real, score=score,
                 real_score=real_score, findings=findings, networks=networks, landscape=landscape,
                 curve=curve, ink=ink)
    say(f"\nwritten to {folder}/: {contents(folder)}")
    say(f"more samples: tinygan sample {folder} --n 100 --seed 2")
