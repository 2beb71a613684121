"""The search for the recipe of `tinygan train`: batch, rates, penalty, averaging and networks, for digits in equal time.

A recipe is what `tinygan train` can be told, and its networks. In 1 to 5 time is counted in arithmetic, not by a clock: all of it
is that of 3,000 steps of the old recipe on 32 digits.

    1   recipes drawn at random from SPACE have a quarter of the time;
    2   so have the neighbours of FIRST, the best of the first ten drawn: one part has another value of NEAR;
    3   FINALISTS, chosen by hand from what 1 and 2 show, have all of it;
    4   FOUND, the best of these, with one part changed that 1 had left alone or that stood at the edge of SPACE, has a quarter;
    5   so has FOUND with several of the changes that helped, TOGETHER;
    6   DEEPER, with one more halving of the picture, and recipes beside it have 5,000 steps each;
    7   ONE_KIND, which is DEEPER with a longer mean, and G beginning at one of several places, have the steps of `tinygan train`;
    8   TEN_PLACES, the one of these with ten, with more numbers in z, larger batches, higher rates and another β₂ has up to
        twice the time;
    9   RECIPE, chosen from these, its predecessors, and SHARP, which is DEEPER with a mean in between, without each of its
        parts are played from other seeds, before a second judge too: another network, from another seed;
   10   LONGER, which is TEN_PLACES with rates that fall and a longer mean, and the same with one place, are played on all
        60,000 digits of MNIST, for the steps of `tinygan train mnist`.

`width` and `d_width` are the channels of G and D at the full size, `smallest` is the side in pixels at which the networks stop
halving it (models.dcgan), `latent` the numbers in z, `kinds` the places (layers.OneHot), `falling` a rate that falls to 0.

One seed each in 1 to 7, few in 8: differences of a few per cent mean nothing there. Both judges have seen all of MNIST's
training digits.
"""
import argparse
import functools

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
FOUND = {"batch_size": 16, "width": 24, "lr": 2e-3, "beta1": 0.5, "r1": 0.5, "r1_every": 16, "averaging": 0.99,
         "falling": False}                              # the best that was drawn
FINALISTS = [FOUND, {**FOUND, "averaging": 0.995, "falling": True}, {**FOUND, "r1": 1.0},
             {**FIRST, "width": 24, "lr": 5e-3, "r1": 1.0, "r1_every": 8},      # all changes that helped it
             {**FIRST, "batch_size": 32, "r1": 1.0}, {**FIRST, "batch_size": 32, "width": 24, "r1": 1.0}]
DRAWN = 15
SPLIT = {**FOUND, "d_width": 24}                        # so that each network can be changed alone
LEFT_ALONE = {"batch_size": (8,), "width": (16, 32), "d_width": (16, 32), "smallest": (7,), "latent": (16, 32), "g_lr": (3e-3,),
              "d_lr": (3e-3,), "beta2": (0.99,), "loss": ("hinge", "least_squares"), "r1": (1.0,)}
NARROW = {**FOUND, "latent": 32, "d_width": 16}
QUIET = {**NARROW, "beta1": 0.0}
TOGETHER = [NARROW, QUIET, {**QUIET, "beta2": 0.99}, {**FOUND, "latent": 32, "beta1": 0.0, "beta2": 0.99},
            *({**QUIET, "beta2": 0.99, **change} for change in (
                {"loss": "hinge"}, {"width": 16}, {"d_lr": 3e-3}, {"d_width": 12}, {"width": 16, "lr": 3e-3}, {"r1": 1.0},
                {"averaging": 0.995}))]
DEEPER = {**QUIET, "smallest": 2}
BESIDE = [{}, {"lr": 3e-3}, {"lr": 3e-3, "falling": True}, {"lr": 3e-3, "r1": 1.0}, {"r1": 1.0}, {"averaging": 0.995},
          {"d_width": 24}]
LONG, LEFT_OUT = 5000, 4500                             # steps of these, and of SHARP in the time of those WITHOUT a part
SHARP = {**DEEPER, "averaging": 0.995}
ONE_KIND = {**DEEPER, "averaging": 0.998}               # a longer mean wanders less from step to step
TEN_PLACES = {**ONE_KIND, "kinds": 10}
TOLD, TOLD_MNIST = (presets.PRESETS[name].steps for name in ("digits", "mnist"))
KINDS = [5, 10, 20]                                     # places where G may begin (layers.OneHot)
WIDER = {"batch_size": 32, "latent": 64}
FASTER = {**WIDER, "lr": 3e-3}
FORGETFUL = {**FASTER, "beta2": 0.99}
AGAIN = [                                               # what changes of TEN_PLACES, steps, seeds
    ({"kinds": 0}, 8000, [100]), ({"latent": 64}, 8000, [100]), ({"latent": 64}, 7500, [102]),
    ({"latent": 64, "kinds": 5}, 8000, [100]),
    (WIDER, 5200, [100]), ({**WIDER, "latent": 100}, 5000, [102]), ({**WIDER, "kinds": 5}, 6000, [100]),
    ({**WIDER, "g_lr": 3e-3}, 4600, [102]), ({**WIDER, "lr": 2.5e-3}, 4600, [102]),
    (FASTER, 6000, [100]), (FASTER, 5000, [101, 102, 103]), ({**FASTER, "kinds": 5}, 5000, [100]),
    ({**FASTER, "lr": 4e-3}, 5000, [100]), ({**FASTER, "r1_every": 8}, 4600, [101, 102, 103]),
    ({**FASTER, "batch_size": 64}, 3000, [102]), ({**FASTER, "batch_size": 64, "lr": 4e-3}, 3000, [100]),
    ({**FASTER, "batch_size": 64, "lr": 4e-3, "r1_every": 8}, 3000, [101, 102]),
    (FORGETFUL, 4600, [101, 102]), ({**FORGETFUL, "latent": 100}, 4600, [101, 102]), ({**FORGETFUL, "kinds": 5}, 4600, [102]),
    ({**FORGETFUL, "latent": 100, "batch_size": 16}, 6500, [102]),
    *(({**FORGETFUL, "latent": latent}, TOLD, [101, 102, 103, 104]) for latent in (72, 80))]
RECIPE = {**TEN_PLACES, **FORGETFUL, "latent": 72}      # the default recipe
LONGER = {**TEN_PLACES, "averaging": 0.999, "falling": True}
LONGER_OF_ONE_KIND = {**ONE_KIND, "averaging": 0.999, "falling": True}
WITHOUT = {"smallest": 4, "d_width": 24, "latent": 100, "beta1": 0.5, "r1": 0.0, "averaging": 0.0, "lr": 1e-3,
           "batch_size": 32, "width": 32}               # what a part gives way to
SEARCHED, REPORTED = [100], [0, 1, 2, 3, 4]             # seeds for choosing and for telling
SAMPLES, STEPS = 5000, 3000
SECOND = RESULTS / "second_judge.npz"


def main(arguments):
    """Train what is missing and write results/recipes.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks recipes", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help="where MNIST lies, for the second judge (it is downloaded)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="trainings at the same time (1)")
    options = parser.parse_args(arguments)

    def play_all(recipes, time, seeds, *judges):
        """time(recipe): {"share": of the time} or {"steps": number}, with "mnist": True on all of its digits."""
        return train([{"recipe": recipe, **time(recipe), "seed": seed, "judges": ["packaged", *judges]}
                      for recipe in recipes for seed in seeds])

    def train(jobs):
        return trainings.train_missing("recipes", jobs, functools.partial(play, folder=options.data), options.processes)

    searched = [play_all([OLD, PROBED, *drawn()], quarter, SEARCHED), play_all(neighbours(FIRST, NEAR), quarter, SEARCHED),
                play_all(FINALISTS, all_of_it, SEARCHED), play_all([FOUND, *neighbours(SPLIT, LEFT_ALONE)], quarter, SEARCHED),
                play_all(TOGETHER, quarter, SEARCHED), play_all([{**DEEPER, **part} for part in BESIDE], lambda recipe: {"steps": LONG}, SEARCHED),
                play_all([ONE_KIND, *({**ONE_KIND, "kinds": kinds} for kinds in KINDS)], as_told, SEARCHED),
                train([{"recipe": {**TEN_PLACES, **change}, "steps": steps, "seed": seed, "judges": ["packaged"]}
                       for change, steps, seeds in AGAIN for seed in seeds])]
    if not SECOND.exists():
        make_second_judge(options.data or data.download_mnist())
    told = (play_all([OLD], all_of_it, REPORTED[:3], "second") + play_all([FOUND], lambda recipe: {"share": 0.56}, REPORTED, "second")
            + play_all([ONE_KIND, TEN_PLACES, RECIPE], as_told, REPORTED, "second"))
    without = play_all([SHARP, *({**SHARP, part: value} for part, value in WITHOUT.items())], as_long, REPORTED[:3], "second")
    mnist = play_all([LONGER_OF_ONE_KIND, LONGER], on_mnist, REPORTED[1:4], "second")
    write(searched, told, without, mnist, " ".join(["python -m benchmarks recipes", *arguments]))


def quarter(recipe):
    return {"share": 0.25}


def all_of_it(recipe):
    return {"share": 1.0}


def as_told(recipe):
    """As many steps as `tinygan train` plays."""
    return {"steps": TOLD}


def on_mnist(recipe):
    """As many as `tinygan train mnist` plays, on its images."""
    return {"steps": TOLD_MNIST, "mnist": True}


def as_long(recipe):
    """As many as fit in the time of LEFT_OUT steps of SHARP."""
    return {"steps": round(LEFT_OUT * _cost(SHARP) / _cost(recipe))}


def drawn():
    """Recipes from SPACE."""
    rng = np.random.default_rng(0)
    return [{part: values[rng.integers(len(values))] for part, values in SPACE.items()} for _ in range(DRAWN)]


def neighbours(recipe, near):
    """The recipe with one part changed, to each other value that `near` has for it."""
    return [{**recipe, part: value} for part, values in near.items() for value in values if value != recipe.get(part)]


def whole(recipe):
    """The recipe with the parts that it leaves unsaid."""
    rates = {"g_lr": recipe["lr"], "d_lr": recipe["lr"]}
    return {"d_width": recipe["width"], "smallest": 4, "latent": 100, "beta2": 0.999, "loss": "non_saturating", "kinds": 0, **rates, **recipe}


def steps(recipe, share):
    """How many steps this share of the time gives: 3,000 of the old recipe.

    A step on n images costs as much arithmetic as n times that of one, and what is due for 5 more (results/workers.md); a
    penalty is a forward and a backward pass through D, and a backward pass through both: about half a step."""
    return round(share * STEPS * _cost(OLD) / _cost(recipe))


def _cost(recipe):
    told = whole(recipe)
    (G, _), (_, D) = (tg.models.dcgan(width=told[w], latent=told["latent"], smallest=told["smallest"]) for w in ("width", "d_width"))
    g, d = sum(work.operations(G, 1)), sum(work.operations(D, 1, 28))
    return (told["batch_size"] + 5) * (4 * g + 8 * d) * (1 + (told["r1"] > 0) / 2 / told["r1_every"])


def play(job, folder=None):
    """One training, and what the judges say of its samples. folder: where MNIST lies."""
    told, n = whole(job["recipe"]), job["steps"] if "steps" in job else steps(job["recipe"], job["share"])
    network = {part: told[part] for part in ("width", "d_width", "smallest", "latent", "kinds")}
    gan = presets.small(job["seed"], betas=(told["beta1"], told["beta2"]), averaging=told["averaging"], **network)
    gan = presets.stabilised(gan, job["seed"], loss=told["loss"], decay_steps=n if told["falling"] else 0,
                             **{part: told[part] for part in ("g_lr", "d_lr", "r1", "r1_every")})
    images = presets.PRESETS["mnist"].load(folder) if job.get("mnist") else presets.PRESETS["digits"].load(None)
    gan.fit(images, n, told["batch_size"])
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


def write(searched, told, without, mnist, command):
    """Every round with its recipes, best first, and the report."""
    drawn_ones, near, finalists, alone, together, deeper, kinds, again = (
        sorted(lines, key=lambda line: line["result"]["packaged"]["frechet"]) for lines in searched)
    parts = [[__doc__.partition("\n\n")[2].strip()],
             ["## 1. Drawn at random, a quarter of the time", "", *_table(drawn_ones)],
             ["## 2. Neighbours of FIRST, a quarter of the time", "", *_table(near)],
             ["## 3. Finalists, all of the time", "", *_table(finalists)],
             ["## 4. FOUND with one part changed, a quarter of the time", "", *_changes(alone, SPLIT)],
             ["## 5. FOUND with several, a quarter of the time", "", *_changes(together, FOUND)],
             [f"## 6. One more halving, and then some part changed, {LONG:,} steps", "", *_changes(deeper, DEEPER)],
             [f"## 7. Places where G may begin, {TOLD:,} steps", "", *_changes(kinds, ONE_KIND)],
             ["## 8. TEN_PLACES with several parts changed, up to twice the time", "", *_again(again)],
             ["## 9. From other seeds", "", *_report(told, {"old": OLD, "found first": FOUND, "one kind": ONE_KIND,
                                                           "ten places": TEN_PLACES, "new": RECIPE}), "",
              f"SHARP, which is DEEPER with averaging 0.995, without each part, in the time of {LEFT_OUT:,} steps:", "", *_without(without)],
             [f"## 10. On all of MNIST, {TOLD_MNIST:,} steps", "",
              *_report(mnist, {"one kind, longer": LONGER_OF_ONE_KIND, "longer": LONGER})]]
    trainings.write_page("recipes", "The search for a recipe", command, max(line["date"] for line in told + without + mnist), parts)


FORMS = {"frechet": "{:.1f}", "sure": "{:.1f}", "rarest": "{:.0f}"}
NUMBERS = "Fréchet distance", "sure, %", "rarest class, of 5,000"


def _table(lines):
    return table((*OLD, "steps", *NUMBERS), [(*(str(value) for value in line["job"]["recipe"].values()), *_result(line))
                                             for line in lines])


def _changes(lines, base):
    """Each recipe by the parts in which it differs from the base."""
    return table(("changed", "steps", *NUMBERS), [(_changed(line, base), *_result(line)) for line in lines])


def _again(lines):
    return table(("changed", "seed", "steps", *NUMBERS),
                 [(_changed(line, TEN_PLACES), str(line["job"]["seed"]), *_result(line)) for line in lines])


def _changed(line, base):
    recipe = line["job"]["recipe"]
    return ", ".join(f"{part} {value}" for part, value in recipe.items() if value != base.get(part)) or "nothing"


def _result(line):
    return (f"{line['result']['steps']:,}",
            *(form.format(line["result"]["packaged"][key]) for key, form in FORMS.items()))


def _means(lines, judge):
    return [trainings.mean_and_error([line["result"][judge][key] for line in lines], form) for key, form in FORMS.items()]


def _report(lines, recipes):
    rows = [(name, judge, str(len(chosen)), *_means(chosen, judge),
             f"{max(line['result'][judge]['frechet'] for line in chosen):.1f}")
            for name, recipe in recipes.items() for judge in ("packaged", "second")
            for chosen in [[line for line in lines if line["job"]["recipe"] == recipe]]]
    return table(("recipe", "judge", "runs", *NUMBERS, "worst distance"), rows)


def _without(lines):
    groups = [[line for line in lines if line["job"]["recipe"] == {**SHARP, **part}]
              for part in ({}, *({part: value} for part, value in WITHOUT.items()))]
    return table(("in its place", "runs", "steps", *NUMBERS, "second judge's distance"), [
        (_changed(group[0], SHARP), str(len(group)), f"{group[0]['result']['steps']:,}", *_means(group, "packaged"),
         _means(group, "second")[0]) for group in groups])
