"""Games in float64 for test_group.py, played by one process or by several; under mpiexec, from here:

python games.py GAME BATCH STEPS FILE plays one and writes what the first rank has at the end."""
import signal
import sys

import numpy as np

import tinygan as tg

def listening():
    """A preexec_fn for processes that are sent Ctrl-C: a job in a shell's background ignores it, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


GAMES = {
    "small": {},
    "small r1": {"r1": 1.0, "averaging": 0.9, "instance_noise": 0.1, "noise_steps": 30},
    "small penalty": {"loss": "wasserstein", "gradient_penalty": 10.0},
    "small spectral": {"loss": "hinge", "decay_steps": 10},
    "seed": {"averaging": 0.9},
}


def game(name):
    if name == "seed":
        G, D = tg.models.seed_generator(), tg.models.seed_discriminator()           # batch norm in D too
    else:
        G, D = tg.models.small_generator(width=4), tg.models.small_discriminator(width=4)
    if name == "small spectral":
        D = tg.layers.spectral_norm(D, np.random.default_rng(5))
    G, D = G.astype(np.float64), D.astype(np.float64)
    return tg.GAN(G, D, seed=3, **GAMES[name])


def outcome(gan):
    """{what: array}: the losses, the last gradients, the weights."""
    found = {f"history {name}": np.array(values) for name, values in gan.history.items()}
    for part in ("generator", "discriminator", "averaged"):
        network = getattr(gan, part)
        found |= {f"{part} {name}": array for name, array in network.named_arrays()}
        found |= {f"gradient {part} {name}": p.grad.data for name, p in network.named_parameters() if p.grad is not None}
    return found


def images():
    return tg.data.digits()[0][:200].astype(np.float64)


def played(name, batch, steps, workers):
    gan = game(name)
    gan.fit(images(), steps, batch, workers=workers)
    return outcome(gan)


if __name__ == "__main__":
    name, batch, steps, file = sys.argv[1:]
    with tg.group.Mpi() as team:
        found = played(name, int(batch), int(steps), 1)
        for array in found.values():            # all ranks end bit-equal
            assert all(np.array_equal(one, array) for one in team.gather(np.asarray(array)))
        if team.rank == 0:
            np.savez(file, **found)
