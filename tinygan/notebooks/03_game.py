# %% [markdown]
# # 3. The game: D's step and G's step by hand
#
# When you are through you can
#
# - write the two losses, and say why they are written on logits,
# - play a round by hand, in the right order,
# - say what the best D would believe, and why L_D is then log 4 for a perfect G.
#
# You need notebooks 1 and 2. About 60 minutes.

# %%
import numpy as np

import tinygan as tg

rng = np.random.default_rng(0)

# %% [markdown]
# ## Two players
#
# D gives a sample a logit a; its belief that the sample is real is σ(a) = 1/(1 + e⁻ᵃ). G turns noise z into samples.
# D wants to be right, G wants D to be wrong:
#
#     min_G max_D  E log σ(D(x)) + E log(1 − σ(D(G(z))))
#
# Here the data are numbers from N(0, 1), and G is z ↦ θ + z with θ = 3. D is a line: a = w·x + b.

# %%
theta = tg.Tensor([3.0], requires_grad=True)
D = tg.Dense(1, 1).astype(np.float64)
D.weight.data[...], D.bias.data[...] = 0.0, 0.0


def G(z):
    return theta + z


real, z = rng.standard_normal((1000, 1)), rng.standard_normal((1000, 1))

# %% [markdown]
# ## D's step
#
# L_D = E softplus(−a_real) + E softplus(a_fake), with softplus(a) = log(1 + eᵃ). This is −E log σ(a) − E log(1 − σ(a)), written
# so that no logarithm of 0 can occur. A D that knows nothing says ½ everywhere: its loss is 2 log 2 = log 4.

# %%
fakes = G(z).detach()                                    # to D's step the fakes are mere numbers
d_loss = tg.losses.discriminator_loss(D(real), D(fakes))
print(f"{d_loss.item():.4f} {np.log(4):.4f}")
#> 1.3863 1.3863

# %%
d_adam = tg.Adam(D.parameters(), lr=0.1)
for _ in range(400):
    d_adam.zero_grad()
    d_loss = tg.losses.discriminator_loss(D(real), D(fakes))
    d_loss.backward()
    d_adam.step()
print(d_loss.item() < 0.5, D.weight.item() < 0)          # the fakes lie on the right, so D falls to the right
#> True True

# %% [markdown]
# ## What the best D believes
#
# For densities p of the data and q of G, the best D has σ(a) = p/(p + q), so a = log p − log q.
# For two normals with deviation 1 and means 0 and 3 that is a line: a = −3x + 4.5. D has found it nearly.

# %%
xs = np.array([[0.0], [1.5], [3.0]])
print("D", D(xs).data.ravel().round(1), "   best", (-3 * xs + 4.5).ravel())
#> best [ 4.5  0.  -4.5]

# %% [markdown]
# ## G's step
#
# G's gradient comes through D. The minimax loss, −E softplus(a_fake), has the derivative −σ(a): it dies where D is sure.
# The non-saturating loss, E softplus(−a_fake), has −σ(−a): it is largest there. Same goal, another strength.

# %%
for a in (-8.0, -2.0, 0.0, 2.0):
    logit = tg.Tensor([[a]], requires_grad=True)
    dies, = tg.grad(tg.losses.generator_loss(logit, saturating=True), logit)
    lives, = tg.grad(tg.losses.generator_loss(logit), logit)
    print(f"a = {a:4}    saturating {dies.item():8.4f}    non-saturating {lives.item():8.4f}")
#> a = -8.0    saturating  -0.0003    non-saturating  -0.9997

# %% [markdown]
# G's step runs the fakes through the D that has just changed. `inputs` says whose gradients are wanted: D's are not.

# %%
g_sgd = tg.SGD([theta], lr=0.1)
g_loss = tg.losses.generator_loss(D(G(z)))
g_sgd.zero_grad()
g_loss.backward(inputs=[theta])
g_sgd.step()
print(theta.item() < 3)                                  # G moves towards the data
#> True

# %% [markdown]
# ## Many rounds
#
# `tg.GAN` does the same: D's step, then G's. Read `GAN.step` in training.py: it fits one screen.
# In this small game θ goes to 0. Watch it overshoot: D answers late.

# %%
path = []
for _ in range(400):
    fakes = G(rng.standard_normal((200, 1))).detach()
    d_adam.zero_grad()
    tg.losses.discriminator_loss(D(rng.standard_normal((200, 1))), D(fakes)).backward()
    d_adam.step()
    g_sgd.zero_grad()
    tg.losses.generator_loss(D(G(rng.standard_normal((200, 1))))).backward(inputs=[theta])
    g_sgd.step()
    path.append(theta.item())

from matplotlib import pyplot as plt

figure, axis = plt.subplots(figsize=(7, 2.5))
axis.plot(path)
axis.axhline(0, color="grey", linestyle="--")
axis.set(xlabel="round", ylabel="θ, the mean of G")
print(abs(np.mean(path[-100:])) < 0.5)
#> True

# %% [markdown]
# ## Exercises
#
# Read the question, write the body, run the cell, read the table. A hint: `print(tg.exercises.hint("softplus"))`.

# %%
print(tg.exercises.question("softplus"))

# %%
def softplus(x):
    raise NotImplementedError


tg.exercises.check("softplus", softplus)

# %%
print(tg.exercises.question("d_loss"))

# %%
def d_loss(a_real, a_fake):
    raise NotImplementedError


tg.exercises.check("d_loss", d_loss)

# %%
print(tg.exercises.question("g_losses"))

# %%
def g_losses(a):
    raise NotImplementedError


tg.exercises.check("g_losses", g_losses)

# %%
print(tg.exercises.question("optimal_logit"))

# %%
def optimal_logit(x, mu, s, nu, t):
    raise NotImplementedError


tg.exercises.check("optimal_logit", optimal_logit)

# %%
print(tg.exercises.question("adam"))

# %%
def adam(theta, g, m, v, t, lr, beta1, beta2, eps):
    raise NotImplementedError


tg.exercises.check("adam", adam)

# %%
print(tg.exercises.question("detach"))

# %%
def detach(G, D, x, z):
    raise NotImplementedError


tg.exercises.check("detach", detach)

# %%
print(tg.exercises.question("step"))

# %%
def step(G, D, g_optimizer, d_optimizer, x, z_d, z_g):
    raise NotImplementedError


tg.exercises.check("step", step)

# %% [markdown]
# ## Questions
#
# 1. What is L_D when D is perfectly right? When G is perfect? Which of the two is the goal?
# 2. L_G rises during a good training. Why is that no bad sign?
# 3. What goes wrong when `detach` is left out of D's step? When it is put into G's step?
# 4. Someone makes D's and G's step from one forward pass. G then descends through a D that is gone. Is the gradient still
#    right for any D?
# 5. For p = q the best D says ½ everywhere. Put that into L_D. What does L_D = log 4 say, and what does it not say?
