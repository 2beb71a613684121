"""Rings and grids: how many modes does G reach, and how exactly? The published protocol with a short training.

Protocol (Srivastava et al., VEEGAN, 2017; Lin et al., PacGAN, 2018, section 4.1 and their code): 8 Gaussians on the unit
circle, σ = 0.01, or 25 on a grid, σ = 0.05; 100,000 training points; z ~ N(0, I) in two dimensions; G of 4 layers of 400
with batch normalisation and ReLU, D of 3 layers of 200 maxout units of 5 pieces; Adam with learning rate 1e-4 and
β₁ = 0.8; batches of 100; 400 epochs, that is 400,000 steps; then 2,500 samples, 10 runs.
"""
import argparse

import tinygan as tg
from tinygan import data, metrics, models

from . import trainings

SAMPLES, BATCH = 2500, 100
MIXTURES = {"ring": (data.ring, data.RING_MEANS, data.RING_SIGMA), "grid": (data.grid, data.GRID_MEANS, data.GRID_SIGMA)}
ROWS = {        # name: what GAN and Adam are told beside the protocol
    "plain": {"g_lr": 1e-4, "d_lr": 1e-4, "beta1": 0.8},
    "R₁": {"g_lr": 5e-4, "d_lr": 5e-4, "beta1": 0.5, "r1": 0.001, "averaging": 0.999},
}
PUBLISHED = {   # 400,000 steps: modes, share within 3σ in %, reverse KL
    "ring": [("GAN", "6.3 ± 0.5", "98.2 ± 0.2", "0.45 ± 0.09"), ("ALI", "6.6 ± 0.3", "97.6", ""),
             ("PacGAN2", "7.9 ± 0.1", "95.6 ± 2.0", "0.07"), ("PacGAN4", "7.8 ± 0.1", "95.9", "")],
    "grid": [("GAN", "17.3 ± 0.8", "94.8 ± 0.7", "0.70"), ("ALI", "24.1 ± 0.4", "95.7", ""),
             ("PacGAN2", "23.8 ± 0.7", "91.3", ""), ("PacGAN3", "24.6 ± 0.4", "", ""),
             ("PacGAN4", "24.8 ± 0.2", "93.6", "0.04")]}


def main(arguments):
    """Train what is missing and write results/modes.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks modes", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=MIXTURES, default=list(MIXTURES), help="ring, grid (both)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help=f"{', '.join(ROWS)} (all)")
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="trainings of each row (10)")
    parser.add_argument("--steps", type=int, default=20_000, metavar="N", help="of each training (20000)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="trainings at the same time (1)")
    options = parser.parse_args(arguments)
    jobs = [{"task": task, "row": row, "steps": options.steps, "seed": seed, **ROWS[row]}
            for seed in range(options.seeds) for row in options.rows for task in options.tasks]
    lines = trainings.train_missing("modes", jobs, play, options.processes)
    write(lines, "python -m benchmarks modes " + " ".join(arguments))


def game(job):
    """The GAN of a job, the published networks and what its row says."""
    G, D = models.mixture_generator(seed=job["seed"]), models.mixture_discriminator(seed=job["seed"])
    betas = (job["beta1"], 0.999)
    return tg.GAN(G, D, latent=2, g_optimizer=tg.Adam(G.parameters(), job["g_lr"], betas),
                  d_optimizer=tg.Adam(D.parameters(), job["d_lr"], betas), seed=job["seed"],
                  r1=job.get("r1", 0.0), averaging=job.get("averaging", 0.0))


def play(job):
    """One training, and the score of its samples."""
    load, means, sigma = MIXTURES[job["task"]]
    gan = game(job)
    gan.fit(load()[0], job["steps"], BATCH)
    score = metrics.mode_score(gan.sample(SAMPLES, seed=job["seed"]), means, sigma)
    return {"modes": score.modes, "quality": score.quality, "reverse_kl": score.reverse_kl}


def write(lines, command):
    """The table of these lines beside the published one."""
    steps = lines[0]["job"]["steps"]
    parts = [[f"Ours are {steps:,} steps, {steps * BATCH // 100_000} of the published 400 epochs, with the published "
              f"networks and batches of {BATCH}; {SAMPLES:,} samples of each run in evaluation mode; mean ± standard error "
              "over the runs. A mode is covered by one sample within 3σ; the mixture itself has 98.89 % within 3σ and "
              "reverse KL 0."]]
    for task, (_, means, _) in MIXTURES.items():
        rows = [(f"{name}, published", f"{400_000:,}", "10", *numbers) for name, *numbers in PUBLISHED[task]]
        for row in ROWS:
            results = [line["result"] for line in lines if (line["job"]["task"], line["job"]["row"]) == (task, row)]
            if results:
                modes, quality, kl = ([result[key] for result in results] for key in ("modes", "quality", "reverse_kl"))
                rows.append((f"**{row}**, tinygan", f"{steps:,}", len(results), trainings.mean_and_error(modes),
                             trainings.mean_and_error([100 * share for share in quality]),
                             trainings.mean_and_error(kl, "{:.3f}")))
        parts.append([f"## {task.capitalize()}: {len(means)} modes", "",
                      *trainings.table(("", "steps", "runs", "modes", "within 3σ, %", "reverse KL"), rows)])
    parts.append(["## The rows", "", *[f"- **{row}**: {_told(told)}" for row, told in ROWS.items()]])
    trainings.write_page("modes", "Modes of a ring and of a grid", command, max(line["date"] for line in lines), parts)


def _told(options):
    return ", ".join(f"{name} {value:g}" for name, value in options.items())
