"""The search for the recipe of `tinygan train`: batch, rates, penalty, averaging and width, for digits in equal time.

A recipe is what `tinygan train` can be told. Its time is counted in arithmetic, not by a clock: all of it is that of 3,000 steps
of the old recipe on 32 digits.

    1   recipes drawn at random from SPACE have a quarter of the time;
    2   so have the neighbours of FIRST, the best of the first ten drawn: one part has another value of NEAR;
    3   FINALISTS, chosen by hand from what 1 and 2 show, have all of it;
    4   RECIPE is played from other seeds, before a second judge too: another network, from another seed.

One seed each in 1 to 3: differences of a few per cent mean nothing there. Both judges have seen all of MNIST's training digits.
"""
import argparse

import numpy as np

import tinygan as tg
from tinygan import data
from tinygan.data import make_classifier
from tinygan.lessons import table
from tinygan.look import metrics
from tinygan.run import presets

from . import trainings, work
from .report import RESULTS

OLD = {"batch_size": 32, "width": 32, "lr": 1e-3, "beta1": 0.5, "r1": 0.0, "r1_every": 1, "averaging": 0.99,
       "falling": False}
SPACE = {"batch_size": (16, 32, 64), "width": (24, 32, 48), "lr": (1e-3, 2e-3, 3e-3), "beta1": (0.0, 0.5),
         "r1": (0.0, 0.25, 0.5, 1.0, 2.0), "r1_every": (4, 8, 16), "averaging": (0.99, 0.995), "falling": (False, True)}
FIRST = {"batch_size": 16, "width": 32, "lr": 3e-3, "beta1": 0.0, "r1": 0.5, "r1_every": 16, "averaging": 0.995,
         "falling": True}
NEAR = {**SPACE, "batch_size": (8, 16, 32), "lr": (2e-3, 3e-3, 5e-3), "r1": (0.25, 0.5, 1.0)}
PROBED = {"batch_size": 64, "width": 32, "lr": 2e-3, "beta1": 0.5, "r1": 0.5, "r1_every": 8, "averaging": 0.995,
          "falling": False}                             # what a probe of a few recipes had found good
RECIPE = {"batch_size": 16, "width": 24, "lr": 2e-3, "beta1": 0.5, "r1": 0.5, "r1_every": 16, "averaging": 0.99,
          "falling": False}                             # the best that was drawn, and the default recipe now
FINALISTS = [RECIPE, {**RECIPE, "averaging": 0.995, "falling": True}, {**RECIPE, "r1": 1.0},
             {**FIRST, "width": 24, "lr": 5e-3, "r1": 1.0, "r1_every": 8},      # all changes that helped it
             {**FIRST, "batch_size": 32, "r1": 1.0}, {**FIRST, "batch_size": 32, "width": 24, "r1": 1.0}]
DRAWN = 15
SEARCHED, REPORTED = [100], [0, 1, 2, 3, 4]             # seeds for choosing and for telling
SAMPLES, STEPS, TOLD = 5000, 3000, 0.56                 # TOLD: the share of it that the default recipe has: 5,007 steps
SECOND = RESULTS / "second_judge.npz"


def main(arguments):
    """Train what is missing and write results/recipes.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks recipes", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help="where MNIST lies, for the second judge (it is downloaded)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="trainings at the same time (1)")
    options = parser.parse_args(arguments)

    def play_all(recipes, share, seeds, *judges):
        jobs = [{"recipe": recipe, "share": share, "seed": seed, "judges": ["packaged", *judges]}
                for recipe in recipes for seed in seeds]
        return trainings.train_missing("recipes", jobs, play, options.processes)

    drawn_ones = play_all([OLD, PROBED, *drawn()], 0.25, SEARCHED)
    near = play_all(neighbours(FIRST), 0.25, SEARCHED)
    finalists = play_all(FINALISTS, 1.0, SEARCHED)
    if not SECOND.exists():
        make_second_judge(options.data or data.download_mnist())
    told = play_all([OLD], 1.0, REPORTED[:3], "second") + play_all([RECIPE], TOLD, REPORTED, "second")
    write(drawn_ones, near, finalists, told, " ".join(["python -m benchmarks recipes", *arguments]))


def drawn():
    """Recipes from SPACE."""
    rng = np.random.default_rng(0)
    return [{part: values[rng.integers(len(values))] for part, values in SPACE.items()} for _ in range(DRAWN)]


def neighbours(recipe):
    """The recipe with one part changed, to each other value that NEAR has for it."""
    return [{**recipe, part: value} for part, values in NEAR.items() for value in values if value != recipe[part]]


def steps(recipe, share):
    """How many steps this share of the time gives: 3,000 of the old recipe.

    A step on n images costs as much arithmetic as n times that of one, and what is due for 5 more (results/workers.md); a
    penalty is a forward and a backward pass through D, and a backward pass through both: about half a step."""
    return round(share * STEPS * _cost(OLD) / _cost(recipe))


def _cost(recipe):
    networks = tg.models.dcgan(width=recipe["width"])
    G, D = (sum(work.operations(network, 1, size)) for network, size in zip(networks, (None, 28)))
    return (recipe["batch_size"] + 5) * (4 * G + 8 * D) * (1 + (recipe["r1"] > 0) / 2 / recipe["r1_every"])


def play(job):
    """One training, and what the judges say of its samples."""
    told, n, preset = dict(job["recipe"]), steps(job["recipe"], job["share"]), presets.PRESETS["digits"]
    batch_size, width, lr, falling = (told.pop(part) for part in ("batch_size", "width", "lr", "falling"))
    gan = presets.stabilised(preset.build(job["seed"], width=width), job["seed"], g_lr=lr, d_lr=lr,
                             decay_steps=n if falling else 0, **told)
    gan.fit(preset.load(None), n, batch_size)
    z = np.random.default_rng(job["seed"]).standard_normal((SAMPLES, gan.latent))
    samples = np.concatenate([gan.generate(part) for part in np.split(z, SAMPLES // 250)])
    judges = {"packaged": None, "second": SECOND}
    scores = {name: metrics.score(samples, metrics.load_judge(judges[name])) for name in job["judges"]}
    return {"steps": n, **{name: {"frechet": score.frechet, "sure": 100 * score.sure, "rarest": min(score.classes) * SAMPLES}
                           for name, score in scores.items()}}


def make_second_judge(folder):
    """Two convolutions of kernel 5 instead of three of 5, 4 and 3."""
    network = tg.Sequential(tg.Conv2D(1, 24, 5, stride=2), tg.LeakyReLU(0), tg.Conv2D(24, 32, 5, stride=2), tg.LeakyReLU(0),
                            tg.Flatten(), tg.Dense(7 * 7 * 32, 128), tg.LeakyReLU(0), tg.Dense(128, 10))
    make_classifier.write(SECOND, make_classifier.train(network, *data.mnist_folder(folder), seed=1),
                          data.mnist_folder(folder, "test")[0])


def write(drawn_ones, near, finalists, told, command):
    """Every round with its recipes, best first, and the report."""
    def ranked(lines):
        return _table(sorted(lines, key=lambda line: line["result"]["packaged"]["frechet"]))

    parts = [[__doc__.partition("\n\n")[2].strip()],
             ["## 1. Drawn at random, a quarter of the time", "", *ranked(drawn_ones)],
             ["## 2. Neighbours of FIRST, a quarter of the time", "", *ranked(near)],
             ["## 3. Finalists, all of the time", "", *ranked(finalists)],
             ["## 4. The old recipe and the new one, from other seeds", "", *_report(told)]]
    trainings.write_page("recipes", "The search for a recipe", command, max(line["date"] for line in told), parts)


def _table(lines):
    return table((*OLD, "steps", "Fréchet distance", "sure, %", "rarest class, of 5,000"), [
        (*(str(value) for value in line["job"]["recipe"].values()), f"{line['result']['steps']:,}",
         *(form.format(line["result"]["packaged"][key]) for key, form in FORMS.items())) for line in lines])


FORMS = {"frechet": "{:.1f}", "sure": "{:.1f}", "rarest": "{:.0f}"}


def _report(lines):
    rows = [(name, judge, str(len(chosen)), *(trainings.mean_and_error([line["result"][judge][key] for line in chosen], form)
                                              for key, form in FORMS.items()),
             f"{max(line['result'][judge]['frechet'] for line in chosen):.1f}")
            for name, recipe in (("old", OLD), ("new", RECIPE)) for judge in ("packaged", "second")
            for chosen in [[line for line in lines if line["job"]["recipe"] == recipe]]]
    return table(("recipe", "judge", "runs", "Fréchet distance", "sure, %", "rarest class, of 5,000", "worst distance"), rows)
