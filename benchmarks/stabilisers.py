"""What each stabiliser does to the modes of a ring and to digits, beside the same training without it, with equal seeds."""
import argparse

import numpy as np

from tinygan import data, metrics
from tinygan.lessons import table
from tinygan.run import presets

from . import trainings

RING_STEPS, DIGIT_STEPS, BATCH = 3000, 800, {"ring": 100, "digits": 32}
ROWS = {        # name: what `tinygan train` is told, for the ring and for digits
    "none": ({}, {}),
    "R₁": ({"r1": 0.002}, {"r1": 1.0}),
    "WGAN-GP's penalty": ({"gradient_penalty": 0.1}, {"gradient_penalty": 1.0}),
    "spectral normalisation": ({"spectral_norm": True},) * 2,
    "instance noise, falling to 0": ({"instance_noise": 0.3, "noise_steps": RING_STEPS // 2},
                                     {"instance_noise": 0.3, "noise_steps": DIGIT_STEPS // 2}),
    "label smoothing": ({"label_smoothing": 0.1},) * 2,
    "averaged G": ({"averaging": 0.99},) * 2,
    "D twice as fast as G": ({"d_lr": 2e-3},) * 2,
    "falling learning rates": ({"decay_steps": RING_STEPS}, {"decay_steps": DIGIT_STEPS}),
}
WITHOUT = {"r1": 0.0, "r1_every": 1, "averaging": 0.0, "instance_noise": 0.0, "decay_steps": None,     # in place of the presets' own
           "g_lr": 1e-3, "d_lr": 1e-3}


def main(arguments):
    """Train what is missing and write results/stabilisers.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks stabilisers", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="trainings of each row on the ring (3)")
    parser.add_argument("--digit-seeds", type=int, default=1, metavar="N", help="and on digits (1)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="trainings at the same time (1)")
    options = parser.parse_args(arguments)
    jobs = [{"task": task, "row": row, "steps": steps, "seed": seed, "told": {**WITHOUT, **ROWS[row][which]}}
            for which, (task, steps, seeds) in enumerate((("ring", RING_STEPS, options.seeds),
                                                          ("digits", DIGIT_STEPS, options.digit_seeds)))
            for seed in range(seeds) for row in ROWS]
    lines = trainings.train_missing("stabilisers", jobs, play, options.processes)
    write(lines, " ".join(["python -m benchmarks stabilisers", *arguments]))


def play(job):
    """One training, and the score of its samples."""
    gan = presets.small(job["seed"], width=24) if job["task"] == "digits" else presets.PRESETS["ring"].build(job["seed"])
    gan = presets.stabilised(gan, job["seed"], **job["told"])
    gan.fit(presets.PRESETS[job["task"]].load(None), job["steps"], BATCH[job["task"]])
    if job["task"] == "ring":
        score = metrics.mode_score(gan.sample(2500, seed=job["seed"]), data.RING_MEANS, data.RING_SIGMA)
        return {"modes": score.modes, "quality": 100 * score.quality, "reverse_kl": score.reverse_kl}
    score = metrics.score(gan.sample(2000, seed=job["seed"]))
    return {"frechet": score.frechet, "sure": 100 * score.sure, "entropy": score.entropy}


def write(lines, command):
    """Both tables."""
    real = metrics.real_score(2000)
    parts = [[f"The preset `ring` of `tinygan train`, and the packaged digits with the networks of `tg.models.dcgan(width=24)`, "
              f"without stabilisers (Adam, learning rates 1e-3, β₁ 0.5), for {RING_STEPS:,} and {DIGIT_STEPS} steps, and with one "
              "of them; equal seeds, equal networks. "
              "Mean ± standard error over the runs. One setting of each: none of them was tuned for these tables."],
             _table("Ring, 8 modes", lines, "ring", 0, {"modes": "{:.1f}", "quality": "{:.1f}", "reverse_kl": "{:.3f}"},
                    ("modes", "within 3σ, %", "reverse KL")),
             ["Spectral normalisation bounds D's slope by 1, and WGAN-GP's penalty pulls it there. Across 3σ = 0.03 the logit of "
              "such a D changes by 0.03 and σ(a) by less than 0.01: it cannot tell a mode from what lies beside it."],
             _table("Digits", lines, "digits", 1, {"frechet": "{:.1f}", "sure": "{:.1f}", "entropy": "{:.3f}"},
                    ("Fréchet distance", "sure, %", "class entropy")),
             [f"Real digits: Fréchet distance {real.frechet:.1f}, sure {100 * real.sure:.1f} %, entropy {real.entropy:.3f}."]]
    trainings.write_page("stabilisers", "What the stabilisers do", command, max(line["date"] for line in lines), parts)


def _table(title, lines, task, which, forms, head):
    rows = []
    for row, told in ROWS.items():
        chosen = [line for line in lines if (line["job"]["task"], line["job"]["row"]) == (task, row)]
        cells = [trainings.mean_and_error([line["result"][key] for line in chosen], form) for key, form in forms.items()]
        options = " ".join(f"--{name.replace('_', '-')}" + ("" if value is True else f" {value:g}")
                           for name, value in told[which].items())
        seconds = np.mean([line["seconds"] for line in chosen])
        rows.append((row, f"`{options}`" if options else "", len(chosen), *cells, f"{seconds:.0f}"))
    return [f"## {title}", "", *table(("", "option", "runs", *head, "seconds a run"), rows)]
