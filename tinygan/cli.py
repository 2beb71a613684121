"""The command line: tinygan train, sample, lesson, exercise, notebook, play and check."""
import argparse
import os
import signal
import sys
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import numpy as np

from . import lessons, proofs, rejection, run
from .errors import TinyganError, integer, seed_of
from .look import animation, plots
from .look.files import check_place, whole, write_text
from .losses import LOSSES
from .models import LONGEST, SHORTEST
from .play.scenes import SCENES
from .proofs import museum
from .run.folder import OWN, is_ink, read_config, versions
from .run.output import audible
from .run.presets import CHANGEABLE, PRESETS, STUDIES
from .training import GAN
from .umpire import Rules

RESUMED = {"resume", "steps", "data", "device", "workers", "quiet", "score_every", "save_every", "graph", *CHANGEABLE}
SAMPLE_FORMATS = (".png", ".npy", ".npz")
EXAMPLES = """examples:
  tinygan train                        train on digits, write runs/digits/
  tinygan train --resume runs/digits   go on with a run that was stopped
  tinygan check batch_norm             prove a derivative; without a name all

tinygan COMMAND --help tells the options of each."""
NETWORK = {"size": f"side of your pictures in pixels, {SHORTEST} to {LONGEST}",
           "channels": "of your pictures: 1 grey, 3 colour",
           "width": "channels where the image is largest (24, pictures 32)", "latent": "numbers in z (72, mnist 32, pictures 100)"}
STABILISERS = [             # option, type of its value, its symbol, what it is
    *[(rule.name, rule.type, rule.metadata["symbol"], rule.metadata["meaning"]) for rule in fields(Rules)],
    ("g_lr", float, "lr", "learning rate of G"),
    ("d_lr", float, "lr", "learning rate of D"),
    ("beta1", float, "β₁", "Adam's first β of both"),
]


@audible()
def main(arguments=None):
    """Run one command; returns the exit code: 0, 1 for a run that failed, 128 + the number of the signal that ended it, as
    shells say it (2, from argparse, for wrong usage)."""
    options = _parser().parse_args(arguments)
    try:
        code = options.command(options) or 0
        sys.stdout.flush()
        return code
    except TinyganError as error:
        print(f"tinygan: {error}", file=sys.stderr)
        return 1
    except run.Stopped as error:            # it has been printed already
        return 128 + error.number
    except KeyboardInterrupt:
        print("tinygan: stopped by Ctrl-C", file=sys.stderr)
        return 128 + signal.SIGINT
    except SystemExit as end:               # as SIGTERM ends what has no checkpoint to go on from
        print("tinygan: stopped by SIGTERM", file=sys.stderr)
        return end.code
    except OSError as error:                # `tinygan … | head`: nobody reads any more, not even what Python flushes at exit
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"tinygan: {error}: make room, or allow what was refused", file=sys.stderr)
        return 1


def _parser():
    parser = argparse.ArgumentParser(
        prog="tinygan", description="A generative adversarial network, from scratch.", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"tinygan {versions()['tinygan']}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    presets = "\n".join(f"  {name:8} {preset.about}" for name, preset in (PRESETS | STUDIES).items())
    train = commands.add_parser(
        "train", help="train a GAN and write a run folder", formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="tinygan train [NAME] [options]",
        description=f"Train a GAN and write a run folder.\n\n{presets}",
        epilog="example: tinygan train digits --steps 500 --out runs/short")
    train.add_argument("preset", nargs="?", metavar="NAME", help="one of the above (digits)")
    train.add_argument("--steps", type=int, metavar="N", help="steps of D and of G")
    train.add_argument("--batch-size", type=int, metavar="N", help="images in a step")
    train.add_argument("--seed", type=int, metavar="N", help="decides everything that is random (0)")
    train.add_argument("--out", type=Path, metavar="DIR", help="the run folder (runs/NAME)")
    train.add_argument("--data", type=Path, metavar="PATH",
                       help="a folder of images, a .npy, .npz or idx file, MNIST's files, or `mnist`: download them")
    for name, about in NETWORK.items():
        train.add_argument(f"--{name}", type=int, metavar="N", help=about)
    train.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", metavar="D",
                       help="where to compute: auto, cpu or cuda (auto)")
    train.add_argument("--workers", type=_workers, metavar="N",
                       help="processes that share a batch, or auto, mpi (auto)")
    train.add_argument("--graph", action=argparse.BooleanOptionalAction,
                       help="each round as one CUDA graph (on a GPU, where a copy of the game comes out alike)")
    train.add_argument("--save-every", type=int, metavar="N", help="steps between checkpoints (one every 20 seconds)")
    train.add_argument("--score-every", type=int, metavar="N", help="steps between scores; best.npz keeps the best (never)")
    train.add_argument("--resume", type=Path, metavar="DIR",
                       help="go on with the run in DIR, to --steps in all; rates and most stabilisers may change")
    train.add_argument("--overwrite", action="store_true", help="replace a run folder that exists")
    train.add_argument("--quiet", action="store_true", help="print errors only")
    group = train.add_argument_group("stabilisers", "in place of what the preset has; 0 switches one off")
    for name, kind, symbol, meaning in STABILISERS:
        group.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=symbol, help=meaning)
    group.add_argument("--loss", choices=list(LOSSES), metavar="L", help=", ".join(LOSSES))
    group.add_argument("--spectral-norm", action="store_true", default=None, help="spectral normalisation of D's layers")
    train.set_defaults(command=_train)

    sample = commands.add_parser(
        "sample", help="draw samples from a run", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Draw samples from a run's checkpoint, or a walk through its latent space.",
        epilog="examples:\n  tinygan sample runs/digits --n 64 --seed 3\n  tinygan sample runs/digits --n 500 --out digits/\n"
               "  tinygan sample runs/digits --keep 0.5\n  tinygan sample runs/digits --walk")
    sample.add_argument("run", type=Path, metavar="DIR", help="the run folder")
    sample.add_argument("--n", type=int, metavar="N", help="how many (100; 6 stations of a walk)")
    sample.add_argument("--seed", type=int, default=0, metavar="N", help="of the noise (0)")
    sample.add_argument("--keep", type=float, default=1.0, metavar="F",
                        help="keep this fraction of what G draws, by D: surer, less various (1: all)")
    sample.add_argument("--best", action="store_true", help="from best.npz, which train --score-every keeps")
    sample.add_argument("--walk", action="store_true",
                        help="from one z to the next on the great circle: a GIF, and beside it a strip as .png")
    sample.add_argument("--out", metavar="FILE",
                        help=".png, .npy, .npz, folder/ for a .png each, or .gif of a walk (a name in DIR)")
    sample.add_argument("--overwrite", action="store_true", help="replace files that exist")
    sample.set_defaults(command=_sample)

    lesson = commands.add_parser(
        "lesson", help="what GANs do with labels and without: programs to read and run",
        description="Run a lesson and write its folder; without a name, list them.",
        epilog="example: tinygan lesson conditional")
    lesson.add_argument("name", nargs="?", metavar="NAME", help="which one (list them)")
    lesson.add_argument("--full", action="store_true", help="the long version, on all of MNIST")
    lesson.add_argument("--data", type=Path, metavar="DIR",
                        help="a folder with the four MNIST files (--full downloads them)")
    lesson.add_argument("--steps", type=int, metavar="N", help="no training may take more: a quick look")
    lesson.add_argument("--seed", type=int, default=0, metavar="N", help="decides everything that is random (0)")
    lesson.add_argument("--out", type=Path, metavar="DIR", help="the folder (runs/lesson-NAME)")
    lesson.add_argument("--html", action="store_true", help="write everything on one page too: report.html")
    lesson.add_argument("--overwrite", action="store_true", help="replace a folder that exists")
    lesson.add_argument("--quiet", action="store_true", help="print errors only")
    lesson.set_defaults(command=_lesson)

    exercise = commands.add_parser(
        "exercise", help="questions to answer in code, and a grader",
        description="Write the question NAME as a file to complete, or grade what was written; without either, list them.",
        epilog="examples: tinygan exercise tanh        tinygan exercise --check --watch")
    exercise.add_argument("name", nargs="?", metavar="NAME", help="write exercises/NAME.py (list them)")
    exercise.add_argument("--hint", type=int, choices=(1, 2, 3), help="print a hint for NAME; 3 nearly gives it away")
    exercise.add_argument("--check", nargs="?", const="", metavar="FILE", help="grade FILE, or all in exercises/")
    exercise.add_argument("--watch", action="store_true", help="with --check: grade again whenever a file is saved")
    exercise.set_defaults(command=_exercise)

    notebook = commands.add_parser(
        "notebook", help="the course: eight notebooks with exercises", epilog="example: tinygan notebook gradients",
        description="Write a notebook of the course; without a name, list them.")
    notebook.add_argument("name", nargs="?", metavar="NAME", help="which one (list them)")
    notebook.add_argument("--out", type=Path, metavar="FILE", help="the file (NAME.ipynb)")
    notebook.set_defaults(command=_notebook)

    play = commands.add_parser(
        "play", help="a game in the browser, round by round and line by line", epilog="example: tinygan play collapse",
        description="Open a page on which D and G play; each button runs lines of this program.")
    play.add_argument("scene", nargs="?", default="ring", metavar="NAME", help=f"{', '.join(SCENES)} (ring)")
    play.add_argument("--no-browser", action="store_true", help="print the address only")
    play.set_defaults(command=_play)

    check = commands.add_parser(
        "check", help="prove derivatives against finite differences", epilog="example: tinygan check batch_norm --order 2",
        description="Compare every derivative in tinygan, or those of NAME, with finite differences.")
    check.add_argument("name", nargs="?", metavar="NAME", help="a function, a case or a file, such as tanh or ops (all)")
    check.add_argument("--order", type=int, choices=(1, 2), help="first or second derivatives (both)")
    check.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute (cpu)")
    check.add_argument("--html", type=Path, metavar="FILE", help="write the proofs as a page, with the equations typeset")
    check.add_argument("--museum", action="store_true", help="show the published mistakes and what gives them away")
    check.set_defaults(command=_check)
    return parser


def _workers(text):
    if text in ("auto", "mpi"):
        return text
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number of at least 1, auto or mpi")
    return int(text)


def _check(options):
    if options.museum:
        if options.name or options.order or options.html or options.device != "cpu":
            raise TinyganError("got --museum with what it has no use for, expected nothing beside it: leave out NAME, "
                               "--order, --device and --html")
        print(museum.show(museum.EXHIBITS))
        return 0 if all(exhibit.caught for exhibit in museum.EXHIBITS) else 1
    if options.html:
        check_place(options.html, overwrite=proofs.is_page(options.html))
    proved = proofs.prove_all(options.name, options.order, options.device)
    print(proofs.table(proved, details=options.name is not None))
    if options.html:
        write_text(options.html, proofs.page(proved))
        print(f"The same with typeset equations: {options.html}")
    return 0 if all(proof.holds for proof in proved) else 1


def _train(options):
    names = [name for name, *_ in STABILISERS] + ["spectral_norm", "loss"]
    network = {name: getattr(options, name) for name in NETWORK if getattr(options, name) is not None}
    stabilisers = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.resume:
        given = {name for name, value in vars(options).items() if value is not None and value is not False} - {"command"}
        if fixed := sorted("NAME" if name == "preset" else f"--{name.replace('_', '-')}" for name in given - RESUMED):
            raise TinyganError(f"got --resume with {', '.join(fixed)}, which only a new run can have, expected what may "
                               "change, such as --steps and --g-lr: leave out what is fixed")
        run.resume(options.resume, options.steps, options.data, options.device, options.quiet, options.workers, stabilisers,
                   options.score_every, options.save_every, options.graph)
        return
    run.train(options.preset, options.out, options.steps, options.batch_size, options.seed or 0, options.data,
              options.device, options.overwrite, options.quiet, stabilisers, options.workers or "auto", network,
              options.score_every, options.save_every, options.graph)


def _lesson(options):
    if options.name is None:
        if options.full or options.data or options.out or options.steps is not None or options.overwrite or options.html:
            raise TinyganError("got options and no lesson, expected the name of one: choose one of "
                               f"{', '.join(lessons.LESSONS)}")
        print("\n".join(f"  {name:16} {lessons.about(name)}" for name in lessons.LESSONS))
        return
    lessons.run(options.name, options.out, options.seed, options.full, options.data, options.steps, options.overwrite,
                options.quiet, options.html)


def _notebook(options):
    from . import notebooks
    if options.name is None:
        print(f"{notebooks.listing()}\n\nFor teachers: {notebooks.GUIDE}")
    else:
        path = notebooks.write(options.name, options.out)
        print(f"written: {path}. To open it: jupyter lab, or an editor that knows notebooks")


def _play(options):
    from .play.server import play           # here, as no other command needs it
    play(options.scene, browser=not options.no_browser)


def _exercise(options):
    from . import exercises                 # here, as no other command needs them
    if options.check is not None:
        if options.name or options.hint:
            raise TinyganError("got --check beside NAME or --hint, expected it alone: give it the file, or nothing for all")
        return (exercises.watch if options.watch else exercises.check_files)(options.check)
    if options.watch or options.hint and not options.name:
        raise TinyganError(f"got --{'watch' if options.watch else 'hint'} alone, expected --check --watch or NAME --hint N: "
                           "say what to grade, or which exercise")
    if options.hint:
        print("\n".join(exercises.indented(exercises.hint(options.name, options.hint), 0)))
    elif options.name:
        path = exercises.write(options.name)
        print(f"{path} has the question. To grade your answer: tinygan exercise --check {path}")
    else:
        print(exercises.listing())


def _sample(options):
    n = integer("--n", (6 if options.walk else 100) if options.n is None else options.n, 1)
    seed = seed_of(options.seed)
    kind, formats = ("walk", (".gif",)) if options.walk else ("samples", SAMPLE_FORMATS)
    if options.walk and options.keep != 1:
        raise TinyganError("got --keep with --walk, which shows every z on its way, expected one of them: leave one out")
    kept = f"-keep-{options.keep:g}" * (options.keep != 1)
    out = Path(options.out or options.run / f"{'best-' * options.best}{kind}-{n}-{seed}{kept}{formats[0]}")
    apart = not options.walk and options.out and (options.out.endswith(("/", os.sep)) or out.is_dir())
    if not apart and out.suffix not in formats:
        raise TinyganError(f"got --out {out}, expected a name that ends in {', '.join(formats)}: choose another name")
    checkpoint = options.run / ("best.npz" if options.best else "checkpoint.npz")
    if options.best and not checkpoint.exists():
        raise TinyganError(f"{options.run} has no best.npz, expected a run that was given --score-every: leave --best out")
    gan = GAN.load(checkpoint)
    images = gan.sample(1).ndim == 4
    if apart and not images:
        raise TinyganError(f"got the folder {out} for points, expected it for images, a file each: give a name in .npy")
    files = _numbered(out, n) if apart else [out, out.with_suffix(".png")] if options.walk else [out]
    for file in files:
        check_place(file, options.overwrite and not _of_a_training(file),
                    " with --out" if options.overwrite else " with --out, or --overwrite")
    ink = _ink(options.run)
    if options.walk:
        animation.walk(gan, *files, n, seed, ink)
        what = f"a walk past {n} {'images' if images else 'points'}"
    else:
        samples, drawn = rejection.sample(gan, n, options.keep, seed)
        what = f"{n} samples" + f", kept of {drawn:,}," * (drawn > n)
        if apart:
            for image, file in zip(samples, files):
                plots.save(plots.picture(plots.sheet(image[None], ink=ink)), file)
        else:
            _write(samples, out, ink)
    where = f"{files[0]} to {files[-1].name}" if apart else " and ".join(map(str, files))
    print(f"{what} from {checkpoint if options.best else options.run}, seed {seed}: {where}")


def _numbered(folder, n):
    """The names of n pictures in the folder, which is made: 0001.png and so on."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TinyganError(f"{folder} cannot be made ({error.strerror or error}): choose another place with --out") from error
    return [folder / f"{k:0{max(4, len(str(n)))}}.png" for k in range(1, n + 1)]


def _ink(folder):
    """Does the run in the folder draw in ink? A checkpoint may have been copied without its config.json."""
    try:
        return is_ink(read_config(folder / "config.json"))
    except TinyganError:
        return True


def _of_a_training(file):
    """Is it a run's own file, and no earlier picture of this command?"""
    drawn = file.name.startswith(("samples-", "walk-", "best-"))
    return bool(OWN.fullmatch(file.name)) and not drawn and (file.parent / "config.json").is_file()


def _write(samples, out, ink):
    if out.suffix == ".png" and samples.ndim == 4:
        plots.samples(samples, out, ink=ink)
    elif out.suffix == ".png":
        plots.scatter(samples, out)
    else:
        with whole(out) as unfinished:
            if out.suffix == ".npy":
                np.save(unfinished, samples)
            else:
                np.savez_compressed(unfinished, samples=samples)
