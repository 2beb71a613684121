# %% [markdown]
# # 4. The ring: modes, collapse, and what helps
#
# When you are through you can
#
# - watch D's surface pull on the samples,
# - count modes, and measure how hard G is pulled,
# - try the stabilisers and say what each is for.
#
# You need notebook 3. About 45 minutes.

# %%
import numpy as np

import tinygan as tg
from tinygan import metrics, plots

points, which = tg.data.ring(2_000)                      # 8 Gaussians on a circle, and which of them each point is from
plots.scatter(points[:0], real=points)

# %% [markdown]
# ## A game to watch
#
# The shading is D's belief, the arrows are −∂L/∂x of G's loss: where D would have the samples go.
# One picture is drawn again and again. It costs a few percent of the time.

# %%
def players(seed=0, width=128, r1=0.0, **rules):
    G, D = tg.models.point_generator(2, seed, width), tg.models.point_discriminator(seed, width)
    return tg.GAN(G, D, latent=2, seed=seed, r1=r1, g_optimizer=tg.Adam(G.parameters(), 1e-3),
                  d_optimizer=tg.Adam(D.parameters(), 2e-3), **rules)


gan = players(instance_noise=0.2, noise_steps=700, averaging=0.99)
history = gan.fit(points, 1000, callbacks=plots.Live(real=points))

# %% [markdown]
# A sample belongs to the nearest mode if it lies within three deviations of it.

# %%
score = metrics.mode_score(gan.sample(2_000), tg.data.RING_MEANS, tg.data.RING_SIGMA)
print(score)
#> of 8 modes

# %% [markdown]
# ## A gradient that dies
#
# The saturating loss is the minimax game itself. Where D is sure, G's gradient is nearly 0, and G stays where it is. Here D alone
# has learned, and we ask each loss how hard it pulls.

# %%
def strength(gan):
    """The length of G's gradient."""
    loss = tg.losses.LOSSES[gan.loss][1](gan.discriminator(gan.generator(gan.noise(256))))
    return sum(float((g.data ** 2).sum()) for g in tg.grad(loss, gan.generator.parameters())) ** 0.5


fresh = {loss: players(loss=loss) for loss in ("saturating", "non_saturating")}
for gan in fresh.values():
    adam = tg.Adam(gan.discriminator.parameters(), 1e-3)
    for _ in range(300):
        fakes = gan.generator(gan.noise(64)).detach()
        adam.zero_grad()
        tg.losses.discriminator_loss(gan.discriminator(points[gan.rng.integers(0, 2000, 64)]), gan.discriminator(fakes)).backward()
        adam.step()
print({loss: f"{strength(gan):.1e}" for loss, gan in fresh.items()})
print(strength(fresh["saturating"]) < strength(fresh["non_saturating"]) / 50)
#> True

# %% [markdown]
# ## What helps
#
# | rule | what it does | from |
# | --- | --- | --- |
# | `instance_noise`, `noise_steps` | blurs real and fake, so that their densities overlap | Sønderby et al. 2017 |
# | `r1` | keeps D's slope at real points small, so that the game comes to rest | Mescheder et al. 2018 |
# | `averaging` | samples from a mean of G's last weights | Yazıcı et al. 2019 |
# | `decay_steps` | smaller and smaller steps, so that each mode is hit | |
#
# Play the same game with and without. One seed proves little: over ten, `python -m benchmarks modes`.

# %%
for name, rules in {"none": {}, "averaging": dict(averaging=0.99), "falling rates": dict(decay_steps=1000)}.items():
    gan = players(seed=2, width=64, **rules)
    gan.fit(points, 1000)
    print(f"{name:15}", metrics.mode_score(gan.sample(1_000), tg.data.RING_MEANS, tg.data.RING_SIGMA))
#> falling rates

# %% [markdown]
# ## Why R1: one number each
#
# Dirac's game: the data are 0, G is θ, D is a = ψ·x, and both begin at 1. In the minimax game their steps go round in a circle
# and never arrive. A penalty on D's slope pulls them in. `tinygan train dirac` draws it beside the eigenvalues of the game.

# %%
def play_dirac(r1, rounds=500, lr=0.1):
    theta, psi = 1.0, 1.0
    for _ in range(rounds):
        psi -= lr * (theta / (1 + np.exp(-psi * theta)) + r1 * psi)          # ∂/∂ψ of softplus(ψθ) + γ/2·ψ²
        theta += lr * psi / (1 + np.exp(-psi * theta))                       # ∂/∂θ of softplus(ψθ)
    return np.hypot(theta, psi)


print(f"distance from 0    without {play_dirac(0.0):.2f}    with R1 {play_dirac(0.5):.2f}")
#> without 1.40    with R1 0.00

# %% [markdown]
# ## Questions
#
# 1. G covers 5 of 8 modes, perfectly. Which of D's beliefs show that something is missing, and which do not?
# 2. Why does instance noise help at the start and harm at the end?
# 3. Batch normalisation in G makes the samples of one batch depend on each other. When would you notice?
# 4. The averaged G is better than the last one. Why is it not used to play?
# 5. Change `points` to a distribution of your own: two moons, a letter. What is hard for G, and why?
