"""The game on a line, where the best D and the loss that no D can beat are known.

The data are p = N(0, 1), the fakes q. For any logits a(x) D's loss is an integral, and D*, the best D, follows from
setting its derivative at every x to 0 (Goodfellow et al. 2014, section 4.1, proposition 1 and theorem 1):

    L_D(a) = ∫ p·softplus(−a) + q·softplus(a) dx        D* = σ(a*) = p/(p + q)        a* = log p − log q
    L_D(a*) = log 4 − 2·JS(p, q)        JS(p, q) = ½ KL(p ‖ m) + ½ KL(q ‖ m)        m = (p + q)/2

so no D has a loss below log 4 − 2·JS. First q = N(μ, 1) is held and D learns from samples. Then q is what G makes of
z ~ N(0, 1) and both learn: p = q, D = ½ and L_D = log 4 is the one equilibrium.

A fake at x is moved along a'(x) times a factor, which for the saturating loss dies where D is sure, a ≪ 0:

    −∂L_G/∂x = σ(−a)·a'        non-saturating, L_G = E softplus(−a)
    −∂L_G/∂x = σ(a)·a'         saturating, L_G = −E softplus(a)

All integrals are midpoint sums: for smooth functions that vanish at both ends the rule converges faster than any power
of the bins' width. The density of G(z) is taken without sampling too: a fine grid of z, weighted with N(0, 1), is sent
through G and counted in those bins.

D takes five steps for each of G, and longer ones, so that it stays near D* while G moves (Goodfellow et al. 2014,
algorithm 1 with k = 5; Heusel et al. 2017: two time-scales). With one step each, D's loss is near log 4 too while q is
far from p: D has lost track, and only the bound beside its loss tells. Both learning rates fall to 0, which ends the
circling seen in dirac.py.
"""
from dataclasses import dataclass

import numpy as np

from ..layers import Dense, Sequential, Tanh
from ..losses import discriminator_loss, generator_loss
from ..optim import Adam
from ..tensor import Tensor, grad, no_grad

MUS = (0.0, 1.0, 2.0, 4.0)
BIN = 0.05                                   # width of a bin of the line
X = np.arange(-12, 20, BIN) + BIN / 2        # the middle of each bin
BATCH, D_STEPS, D_LR, G_LR = 256, 5, 5e-3, 2e-3
START = 4.0                                  # where G puts its fakes at first, away from the data
FRAMES = 40                                  # of the GIF


def normal(x, mu=0.0):
    """The density of N(μ, 1)."""
    return np.exp(-(x - mu) ** 2 / 2) / np.sqrt(2 * np.pi)


def integral(values):
    """∫ f dx for the values f(X)."""
    return values.sum() * BIN


def jensen_shannon(p, q):
    """JS(p, q) of two densities given at X."""
    def kl(p, m):
        return integral(p * np.log(np.where(p > 0, p / np.where(m > 0, m, 1), 1)))      # 0·log 0 = 0

    m = (p + q) / 2
    return kl(p, m) / 2 + kl(q, m) / 2


def bound(p, q):
    """log 4 − 2·JS(p, q), the loss of D*."""
    return np.log(4) - 2 * jensen_shannon(p, q)


def expected_loss(logits, p, q):
    """L_D of a discriminator with these logits at X: the expectation itself, no batch."""
    return integral(p * np.logaddexp(0, -logits) + q * np.logaddexp(0, logits))


def error(logits, p, q):
    """The mean of |D − D*| over data and fakes."""
    return integral(abs(sigma(logits) * (p + q) - p) / 2)


def sigma(logits):
    """σ(a)"""
    return np.exp(-np.logaddexp(0, -logits))


def network(rng):
    """A number → a number, through 32 and 32 tanh: smooth, so that D's slope is worth drawing. In float64."""
    layers = Dense(1, 32), Tanh(), Dense(32, 32), Tanh(), Dense(32, 1)
    return Sequential(*layers).initialise(rng).astype(np.float64)


def column(values):
    """(N,) → (N, 1)"""
    return np.reshape(values, (-1, 1))


def evaluate(net, x):
    """The network's values at the numbers x, nothing recorded."""
    with no_grad():
        return net(column(x)).data[:, 0]


def descent(D, x, saturating=False):
    """−∂L_G/∂x for a fake at each x alone: where descent would move it. D: Tensor (N, 1) → logits (N, 1)."""
    x = Tensor(column(x), requires_grad=True)
    g, = grad(generator_loss(D(x), saturating) * len(x), x)             # · N: the loss is a mean
    return -g.data[:, 0]


def optimal_logit(mu):
    """a* = log p − log q = μ²/2 − μx, as a D."""
    return lambda x: mu ** 2 / 2 - mu * x


def density_of(G, z=np.linspace(-6, 6, 24_001)):
    """The density of G(z), z ~ N(0, 1), at X: each G(z) is shared by the two X around it, the nearer one gets more.

    What lies beyond the bins counts in the last one."""
    weights = normal(z) / normal(z).sum()
    place = np.interp(evaluate(G, z), X, np.arange(len(X)))             # 3.25: a quarter of the way from X[3] to X[4]
    left = np.minimum(place.astype(int), len(X) - 2)
    part = place - left
    return (np.bincount(left, weights * (1 - part), len(X)) + np.bincount(left + 1, weights * part, len(X))) / BIN


@dataclass
class Moment:
    """How the game stands after a step: the fakes' density and D's logits at X, and some fakes with their descent."""
    step: int
    q: np.ndarray
    logits: np.ndarray
    fakes: np.ndarray
    pull: np.ndarray

    belief = property(lambda self: sigma(self.logits))
    loss = property(lambda self: expected_loss(self.logits, normal(X), self.q))
    bound = property(lambda self: bound(normal(X), self.q))
    mean = property(lambda self: integral(self.q * X))
    deviation = property(lambda self: np.sqrt(integral(self.q * (X - self.mean) ** 2)))


def play(D, G, steps, rng, look=lambda step: None):
    """Let D learn, and G with it unless it is a fixed function of z (N, 1); look(step) after each of G's turns."""
    learns = isinstance(G, Sequential)
    d_adam = Adam(D.parameters(), D_LR, (0.5, 0.999))
    g_adam = Adam(G.parameters(), G_LR, (0.5, 0.999)) if learns else None
    for step in range(1, steps + 1):
        d_adam.lr = D_LR * (1 - (step - 1) / steps)
        for _ in range(D_STEPS if learns else 1):
            with no_grad():
                fakes = G(rng.standard_normal((BATCH, 1)))
            d_adam.zero_grad()
            discriminator_loss(D(rng.standard_normal((BATCH, 1))), D(fakes)).backward()
            d_adam.step()
        if learns:
            g_adam.lr = G_LR * (1 - (step - 1) / steps)
            g_adam.zero_grad()
            generator_loss(D(G(rng.standard_normal((BATCH, 1))))).backward(inputs=G.parameters())
            g_adam.step()
        look(step)


def learned_discriminator(mu, steps, seed=0):
    """A D that has learned to tell N(0, 1) from N(μ, 1), from `steps` batches of fresh samples."""
    rng = np.random.default_rng([seed, 0])
    D = network(rng)
    play(D, lambda z: z + mu, steps, rng)
    return D


def learned_game(steps, seed=0):
    """Let both learn.  Returns G, D and the story: a Moment at step 0, at up to 40 others, and at the last step."""
    rng = np.random.default_rng([seed, 1])
    G, D = network(rng), network(rng)
    G.layers[-1].bias.data[:] = START
    story, chosen = [], {0, *np.ceil(steps * (np.arange(1, FRAMES + 1) / FRAMES) ** 3)}      # most happens at the start

    def look(step):
        if step in chosen:
            fakes = evaluate(G, np.linspace(-1.5, 1.5, 7))
            story.append(Moment(step, density_of(G), evaluate(D, X), fakes, descent(D, fakes)))

    look(0)
    play(D, G, steps, rng, look)
    return G, D, story


def study(folder, seed=0, steps=1500, say=print):
    """Hold q and let D learn, then let G learn too; write results.csv, game.csv, optimal.png, game.png and game.gif.

    steps: of each D, and of G in the game. Returns {μ, or "G": (bound, D's exact loss, mean |D − D*|)}."""
    from ..look import animation, plots         # with them comes matplotlib, which the equations above do without
    from . import pictures

    p, results, cases = normal(X), {}, []
    for mu in MUS:
        D, q = learned_discriminator(mu, steps, seed), normal(X, mu)
        a = evaluate(D, X)
        results[mu] = bound(p, q), expected_loss(a, p, q), error(a, p, q)
        pulls = {name: (descent(D, X, name == "saturating"), descent(optimal_logit(mu), X, name == "saturating"))
                 for name in ("non-saturating", "saturating")}
        cases.append((f"q = N({mu:g}, 1)", p, q, sigma(a), pulls))
        say(f"D has learned to tell N(0, 1) from N({mu:g}, 1)")
    *_, story = learned_game(steps, seed)
    say("G has learned too\n")
    last = story[-1]
    results["G"] = last.bound, last.loss, error(last.logits, p, last.q)
    pictures.write_csv(folder / "results.csv", ("q", "bound", "loss", "mean_error_of_D"),
                       [(name, *map(float, row)) for name, row in results.items()])
    pictures.write_csv(folder / "game.csv", ("step", "bound", "loss", "mean", "deviation"),
                       [(m.step, *map(float, (m.bound, m.loss, m.mean, m.deviation))) for m in story])
    plots.save(pictures.optimal(X, cases), folder / "optimal.png", dpi=100)
    few = np.unique((np.array([0, 0.25, 0.5, 1]) * (len(story) - 1)).astype(int)).tolist()
    plots.save(pictures.game(X, p, story, few), folder / "game.png", dpi=100)
    animation.figures_gif([pictures.game(X, p, story, [k]) for k in range(len(story))], folder / "game.gif")
    say(_table(results, story))
    return results


def _table(results, story):
    lines = [f"p = N(0, 1); no D has a loss below log 4 − 2 JS(p, q); log 4 = {np.log(4):.6f}",
             f"{'fakes q':14} {'log 4 − 2 JS':>12} {'loss of D':>10} {'difference':>11} {'mean |D − D*|':>14}"]
    for name, (least, loss, wrong) in results.items():
        q = "learned by G" if name == "G" else f"N({name:g}, 1)"
        lines.append(f"{q:14} {least:12.6f} {loss:10.6f} {loss - least:11.6f} {wrong:14.4f}")
    lines.append("the losses are exact expectations, by quadrature, of a D that learned from samples")
    for moment in (story[0], story[-1]):
        lines.append(f"G after {moment.step:5,} steps: mean {moment.mean:6.3f}, deviation {moment.deviation:.3f}")
    return "\n".join(lines)
