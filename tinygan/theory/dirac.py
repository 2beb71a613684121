"""The game as a dynamical system: D and G have one number each, and the question is where their steps lead.

The Dirac-GAN. The data are one point, x = 0; G's only sample is the point θ; D(x) = ψx. D climbs V, G descends it:

    min_θ max_ψ V    V = f(ψθ) + f(0)    f(t) = −log(1 + e⁻ᵗ)
    ψ̇ =  ∂V/∂ψ =  f′(ψθ)·θ               f′(t) = σ(−t), f′(0) = ½
    θ̇ = −∂V/∂θ = −f′(ψθ)·ψ

The paper's D is large for fakes. tinygan's logit a is large for real samples, so a(x) = −ψx here, and V = −L_D with the
losses of losses.py. With the Wasserstein losses instead, f(t) = t, it is the bilinear game V = ψθ.

Both have one equilibrium, ψ = θ = 0. There the vector field's Jacobian is A, with eigenvalues ±ic, c = f′(0):

    A = (0  c; −c  0)        with R1, γ/2·E‖∂D/∂x‖² at the data added to L_D:  A = (−γ  c; −c  0)

A step of size η is a map F of s = (ψ, θ), and near the equilibrium the distance changes by |λ| a step, λ the eigenvalue
of F's Jacobian that is largest in modulus (|λ| is the spectral radius):

    simultaneous    F(s) = s + η·v(s)                 λ = 1 ± ih                        |λ| = √(1 + h²)
    alternating     D first, G answers the new D      λ = 1 − h²/2 ± ih√(1 − h²/4)      |λ| = 1 for h < 2
    extragradient   F(s) = s + η·v(s + η·v(s))        λ = 1 − h² ± ih                   |λ| = √(1 − h² + h⁴)
    R1              simultaneous, v with the penalty  λ = 1 + η(−γ/2 ± √(γ²/4 − c²))    |λ| = √(1 − ηγ + h²) for γ < 2c

with h = ηc. Simultaneous steps spiral out at any step size and alternating ones circle for ever; extragradient steps
converge for h < 1, and those with R1 for ηc² < γ < 2c.

Sources: Mescheder, Geiger & Nowozin, "Which Training Methods for GANs do actually Converge?" (2018), sections 2 and 3,
and 4.1 for R1. Extragradient: Korpelevich (1976); Gidel et al., "A Variational Inequality Perspective on GANs" (2019).
"""
import numpy as np

from ..errors import TinyganError
from ..losses import LOSSES
from ..ops import concatenate, sum
from ..tensor import Tensor, grad

ETA, GAMMA = 0.2, 0.3                    # step size η, weight γ of R1
GAMES = {"bilinear": ("wasserstein", 1.0, "ψθ"), "Dirac-GAN": ("saturating", 0.5, "f(ψθ) + f(0)")}   # losses, c, V
METHODS = ("simultaneous", "alternating", "extragradient", "R1")
START_DISTANCE = 1.5                     # at which the portrait starts
RATE_DISTANCE, RATE_STEPS = 1e-3, 400    # at which distance rates are measured, and for how many steps
MOST_STEPS = 20_000                      # beyond which a game that diverges leaves what float64 can hold
FRAMES = 30                              # of the GIF


def logit(psi, x):
    """a(x) = −ψx: the paper's D, turned to be large for real samples."""
    return -psi * x


def vector_field(game, psi, theta, gamma=0.0):
    """v = (ψ̇, θ̇) = (−∂L_D/∂ψ, −∂L_G/∂θ), recorded, so that it can be differentiated again.

    psi, theta: Tensors (1, 1), leaves or not; gamma: weight of R1, whose slope ∂a/∂x at the data x = 0 grad finds."""
    d_loss_of, g_loss_of = LOSSES[GAMES[game][0]]
    # New nodes, for partial derivatives: where ψ was made from θ, as in an alternating step, a gradient with respect to
    # that θ would go through D's step too. G would foresee D's answer (unrolled GAN, Metz et al. 2017): another method.
    psi, theta = 1 * psi, 1 * theta
    x = Tensor(np.zeros((1, 1)), requires_grad=True)
    real, fake = logit(psi, x), logit(psi, theta)
    d_loss = d_loss_of(real, fake)
    if gamma:
        slope, = grad(sum(real), x, create_graph=True)
        d_loss = d_loss + gamma / 2 * sum(slope * slope)
    d_psi, = grad(d_loss, psi, create_graph=True)
    d_theta, = grad(g_loss_of(fake), theta, create_graph=True)
    return -d_psi, -d_theta


def update(game, method, psi, theta, eta=ETA, gamma=GAMMA):
    """F: the (ψ, θ) that one step of the method leads to, as Tensors made from psi and theta."""
    def v(psi, theta):
        return vector_field(game, psi, theta, gamma if method == "R1" else 0.0)

    d_psi, d_theta = v(psi, theta)
    if method == "alternating":
        psi = psi + eta * d_psi
        return psi, theta + eta * v(psi, theta)[1]
    if method == "extragradient":       # the gradient is taken at the point that a simultaneous step would reach
        d_psi, d_theta = v(psi + eta * d_psi, theta + eta * d_theta)
    return psi + eta * d_psi, theta + eta * d_theta


def eigenvalues(game, method, eta=ETA, gamma=GAMMA):
    """The two eigenvalues of ∂F/∂(ψ, θ) at the equilibrium, from tinygan's derivatives of its own gradients."""
    psi, theta = point(0.0, 0.0)
    rows = [concatenate(grad(output, (psi, theta)), axis=1).data
            for output in update(game, method, psi, theta, eta, gamma)]
    return np.linalg.eigvals(np.concatenate(rows))


def closed_form(game, method, eta=ETA, gamma=GAMMA):
    """The same eigenvalues by the equations above."""
    c = GAMES[game][1]
    h, sign = eta * c, np.array([1, -1])
    if method == "alternating":
        return 1 - h ** 2 / 2 + sign * h * np.emath.sqrt(h ** 2 / 4 - 1)
    if method == "extragradient":
        return 1 - h ** 2 + sign * 1j * h
    if method == "R1":
        return 1 + eta * (-gamma / 2 + sign * np.emath.sqrt(gamma ** 2 / 4 - c ** 2))
    return 1 + sign * 1j * h


def point(psi, theta):
    """(ψ, θ) as Tensors (1, 1) that gradients can be taken with respect to."""
    return tuple(Tensor(np.full((1, 1), value), requires_grad=True) for value in (psi, theta))


def trajectory(game, method, start, steps):
    """(ψ, θ) after 0, 1, …, `steps` steps: an array (steps + 1, 2)."""
    path = [tuple(start)]
    for _ in range(steps):
        path.append([t.data.item() for t in update(game, method, *point(*path[-1]))])
    return np.array(path)


def rate(path):
    """|λ| as measured: e to the slope of the line through log ‖(ψ, θ)‖ against the step, by least squares."""
    return np.exp(np.polyfit(np.arange(len(path)), np.log(np.linalg.norm(path, axis=1)), 1)[0])


def verdict(path):
    """What became of the distance to the equilibrium."""
    first, last = np.linalg.norm(path[[0, -1]], axis=1)
    return "converges" if last < first / 2 else "diverges" if last > 2 * first else "stays away"


def study(folder, seed=0, steps=400, say=print):
    """Play both games with each kind of step; write rates.csv, portrait.png and portrait.gif into `folder`.

    seed decides the direction in which the start lies. Returns {(game, method): (theory, Jacobian, measured, verdict)},
    the first three being |λ|.  TinyganError for more than 20,000 steps."""
    from ..look import animation, plots         # with them comes matplotlib, which the equations above do without
    from . import pictures

    if steps > MOST_STEPS:
        raise TinyganError(f"got {steps} steps, expected at most {MOST_STEPS:,}: take fewer, as a game that diverges soon "
                           "leaves what float64 can hold")
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    start = np.array([np.cos(angle), np.sin(angle)])
    results, far, near, fields = {}, {}, {}, {}
    for game, (_, _, value) in GAMES.items():
        title = f"{game}: V = {value}"
        far[title], near[title], fields[title] = {}, {}, _field(game, pictures.HALF_WIDTH)
        for method in METHODS:
            played = trajectory(game, method, START_DISTANCE * start, steps)
            measured = trajectory(game, method, RATE_DISTANCE * start, RATE_STEPS)
            radius = abs(closed_form(game, method)).max()
            far[title][method], near[title][method] = played, (measured, radius)
            results[game, method] = radius, abs(eigenvalues(game, method)).max(), rate(measured), verdict(played)
    pictures.write_csv(folder / "rates.csv", ("game", "method", "eta", "gamma", "theory", "jacobian", "measured", "verdict"),
                       [(*name, ETA, GAMMA if name[1] == "R1" else 0.0, *map(float, row[:3]), row[3])
                        for name, row in results.items()])

    def draw(step, near=None):
        title = f"Two numbers play, until step {step:,}: η = {ETA:g}, R1 with γ = {GAMMA:g}"
        return pictures.portrait(fields, far, near, step, title)

    drawn = np.linspace(1, steps, FRAMES).astype(int).tolist()
    plots.save(draw(steps, near), folder / "portrait.png")
    animation.figures_gif([draw(step) for step in sorted(set(drawn))], folder / "portrait.gif")
    say(_table(results, steps))
    return results


def _field(game, half_width):
    """ψ, θ and the vector field's two components on a lattice."""
    axis = np.linspace(-half_width, half_width, 17)
    psi, theta = (values.ravel() for values in np.meshgrid(axis, axis))
    v = np.array([[t.data.item() for t in vector_field(game, *point(*s))] for s in zip(psi, theta)])
    return psi, theta, *v.T


def _table(results, steps):
    lines = [f"step size η = {ETA:g}, R1 with γ = {GAMMA:g}; |λ|: factor of the distance to the equilibrium in a step",
             f"{'game':10} {'steps':14} {'|λ| theory':>11} {'Jacobian':>10} {'measured':>10}   after {steps:,} steps"]
    for (game, method), (theory, jacobian, measured, word) in results.items():
        lines.append(f"{game:10} {method:14} {theory:11.6f} {jacobian:10.6f} {measured:10.6f}   {word}")
    return "\n".join([*lines, "theory: closed form; Jacobian: spectral radius from tinygan's second derivatives;",
                      f"measured: line fitted to the logarithm of the distance, {RATE_STEPS} steps near the equilibrium"])
