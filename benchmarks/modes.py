"""Rings and grids: how many modes does G reach, and how exactly? The published protocol with a short training.

Protocol (Srivastava et al., VEEGAN, 2017; Lin et al., PacGAN, 2018, section 4.1 and their code): 8 Gaussians on the unit
circle, σ = 0.01, or 25 on a grid, σ = 0.05; 100,000 training points; z ~ N(0, I) in two dimensions; G of 4 layers of 400
with batch normalisation and ReLU, D of 3 layers of 200 maxout units of 5 pieces; Adam with learning rate 1e-4 and
β₁ = 0.8; batches of 100; 400 epochs, that is 400,000 steps; then 2,500 samples, 10 runs.
"""
import argparse

import tinygan as tg
from tinygan import data, metrics, models
from tinygan.lessons import table

from . import trainings

SAMPLES, BATCH = 2500, 100
STEPS = {"ring": 12_000, "grid": 20_000}       # unless told otherwise
MIXTURES = {"ring": (data.ring, data.RING_MEANS, data.RING_SIGMA), "grid": (data.grid, data.GRID_MEANS, data.GRID_SIGMA)}
OURS = {"averaging": 0.999, "decay_steps": None}         # both learning rates fall during the whole training
RING = {"beta1": 0.5, "r1": 0.0005, "instance_noise": 0.2, "noise_steps": 3000}
GRID = {"beta1": 0.0, "r1": 0.02, "instance_noise": 0.5, "noise_steps": 6000}
ROWS = {        # name: networks, and what GAN and Adam are told for both mixtures, for the ring, for the grid
    "stabilised, small": ("small", {"g_lr": 1e-3, "d_lr": 2e-3, **OURS}, RING, GRID),
    "plain GAN, small": ("small", {"g_lr": 1e-3, "d_lr": 1e-3, "beta1": 0.5}, {}, {}),
    "stabilised": ("published", {"g_lr": 1e-3, "d_lr": 1e-3, **OURS}, RING, GRID),
    "plain GAN": ("published", {"g_lr": 1e-4, "d_lr": 1e-4, "beta1": 0.8}, {}, {}),
}
OPTIONS = ("r1", "averaging", "instance_noise", "noise_steps", "decay_steps")
MAIN = "stabilised, small"
NETWORKS = {"published": (models.mixture_generator, models.mixture_discriminator),
            "small": (models.point_generator, models.point_discriminator)}
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
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help=f"{'; '.join(ROWS)} (all)")
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help=f"trainings of the row {MAIN!r} (10)")
    parser.add_argument("--other-seeds", type=int, default=2, metavar="N", help="and of every other row (2)")
    parser.add_argument("--steps", type=int, metavar="N", help="of each training (12000 and 20000)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="trainings at the same time (1)")
    options = parser.parse_args(arguments)
    jobs = [job(task, row, seed, options.steps or STEPS[task]) for row in options.rows
            for seed in range(options.seeds if row == MAIN else options.other_seeds) for task in options.tasks]
    trainings.train_missing("modes", jobs, play, options.processes)
    lines = [line for line in trainings.lines("modes") if _of_today(line["job"], options.steps)]
    write(lines, "python -m benchmarks modes " + " ".join(arguments))


def _of_today(known, steps):
    """Whether a training, of this call or an earlier one, had the settings that its row has now."""
    task, row = known["task"], known["row"]
    return row in ROWS and known == job(task, row, known["seed"], steps or STEPS[task])


def job(task, row, seed, steps):
    """All that decides a training, as a dict."""
    networks, told, ring, grid = ROWS[row]
    if "decay_steps" in told:
        told = {**told, "decay_steps": steps}
    return {"task": task, "row": row, "networks": networks, "steps": steps, "seed": seed, **told,
            **{"ring": ring, "grid": grid}[task]}


def game(job):
    """The GAN of a job."""
    G, D = (make(seed=job["seed"]) for make in NETWORKS[job["networks"]])
    betas = (job["beta1"], 0.999)
    return tg.GAN(G, D, latent=2, g_optimizer=tg.Adam(G.parameters(), job["g_lr"], betas),
                  d_optimizer=tg.Adam(D.parameters(), job["d_lr"], betas), seed=job["seed"],
                  **{name: job[name] for name in OPTIONS if name in job})


def play(job):
    """One training, and the score of its samples."""
    load, means, sigma = MIXTURES[job["task"]]
    gan = game(job)
    gan.fit(load()[0], job["steps"], BATCH)
    score = metrics.mode_score(gan.sample(SAMPLES, seed=job["seed"]), means, sigma)
    return {"modes": score.modes, "quality": score.quality, "reverse_kl": score.reverse_kl}


def write(lines, command):
    """The table of these lines beside the published one."""
    parts = [["A short training beside the published 400,000 steps, on the published data, noise and batches of "
              f"{BATCH}; {SAMPLES:,} samples of each run, in evaluation mode; mean ± standard error over the runs. A mode "
              "is covered by one sample within 3σ; the mixture itself has 98.89 % within 3σ and reverse KL 0. The settings of "
              "the stabilised rows were chosen on seeds 0 and 8 (ring) and 20 to 25 (grid). The command above was the last "
              "call; each call adds what is missing, n runs of a row with `--rows ROW --other-seeds n`, of the first with "
              "`--seeds n`."]]
    for task, (_, means, _) in MIXTURES.items():
        rows = [(f"{name}, published", "published", f"{400_000:,}", "10", *numbers, "") for name, *numbers in PUBLISHED[task]]
        for row in ROWS:
            chosen = [line for line in lines if (line["job"]["task"], line["job"]["row"]) == (task, row)]
            rows += [_row(row, chosen)] if chosen else []
        parts.append([f"## {task.capitalize()}: {len(means)} modes", "",
                      *table(("", "networks", "steps", "runs", "modes", "within 3σ, %", "reverse KL", "least, most"), rows)])
    parts.append(["The last column has the smallest and the largest number of modes among the runs, and of the share.", "",
                  "Networks: *published*, G 4×400 with batch normalisation, D 3×200 maxout (484,802 and 405,201 parameters); "
                  "*small*, both 3×256 ReLU without it (132,866 and 132,609), those of `tinygan train ring`.", ""]
                 + [f"- **{row}**: {_told(_jobs(lines, row))}" for row in ROWS if _jobs(lines, row)])
    trainings.write_page("modes", "Modes of a ring and of a grid", command, max(line["date"] for line in lines), parts)


def _row(row, lines):
    modes, quality, kl = ([line["result"][key] for line in lines] for key in ("modes", "quality", "reverse_kl"))
    quality = [100 * share for share in quality]
    about = lines[0]["job"]
    return (f"**{row}**, tinygan", about["networks"], f"{about['steps']:,}", len(lines), trainings.mean_and_error(modes),
            trainings.mean_and_error(quality), trainings.mean_and_error(kl, "{:.3f}"),
            f"{min(modes)}–{max(modes)}, {min(quality):.1f}–{max(quality):.1f}")


def _jobs(lines, row):
    """What the row was told, {mixture: job}."""
    return {line["job"]["task"]: line["job"] for line in lines if line["job"]["row"] == row}


def _told(jobs):
    """The options in words, where they differ for each mixture."""
    names = {"g_lr": "learning rate of G", "d_lr": "of D", "beta1": "β₁", "decay_steps": "steps over which both rates fall",
             "averaging": "averaging of G's weights", "r1": "γ of R₁", "instance_noise": "σ of instance noise",
             "noise_steps": "steps over which it falls to 0"}
    parts = []
    for name, about in names.items():
        values = {task: job[name] for task, job in jobs.items() if job.get(name) is not None}
        if len(set(values.values())) == 1:
            parts.append(f"{about} {next(iter(values.values())):g}")
        elif values:
            parts.append(f"{about} " + " and ".join(f"{value:g} ({task})" for task, value in values.items()))
    return ", ".join(parts)
