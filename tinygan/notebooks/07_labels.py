# %% [markdown]
# # 7. Labels and none
#
# When you are through you can
#
# - tell G which mode to paint, by giving both players the label,
# - say what D's features are good for where labels are few.
#
# You need notebook 4. About 45 minutes.

# %%
import numpy as np

import tinygan as tg
from tinygan import plots

points, which = tg.data.ring(4_000)
rng = np.random.default_rng(0)
one_hot = np.eye(8, dtype=np.float32)

# %% [markdown]
# ## With labels: the conditional game
#
# Mirza & Osindero (2014): both players see the label y. G paints a sample of y, D asks: is this a real sample *of y*?
#
#     min_G max_D  E log σ(D(x, y)) + E log(1 − σ(D(G(z, y), y)))
#
# The label comes as one-hot numbers beside z and beside x.

# %%
def mlp(inputs, outputs, width=64):
    return tg.Sequential(tg.Dense(inputs, width), tg.LeakyReLU(0.2), tg.Dense(width, width), tg.LeakyReLU(0.2),
                         tg.Dense(width, outputs))


def beside(a, labels):
    return tg.ops.concatenate([a, one_hot[labels]], axis=1)


tg.seed(0)
G, D = mlp(2 + 8, 2), mlp(2 + 8, 1)
g_adam, d_adam = tg.Adam(G.parameters(), 1e-3), tg.Adam(D.parameters(), 1e-3)


def noise(n):
    return rng.standard_normal((n, 2)).astype(np.float32)


for _ in range(1500):
    chosen = rng.integers(0, len(points), 128)
    x, y = points[chosen], which[chosen]
    fakes = G(beside(noise(128), y)).detach()
    d_adam.zero_grad()
    tg.losses.discriminator_loss(D(beside(x, y)), D(beside(fakes, y))).backward()
    d_adam.step()
    g_adam.zero_grad()
    tg.losses.generator_loss(D(beside(G(beside(noise(128), y)), y))).backward(inputs=G.parameters())
    g_adam.step()

# %% [markdown]
# Ask for the modes 0, 2, 4 and 6 alone:

# %%
asked = np.repeat([0, 2, 4, 6], 100)
with tg.no_grad():
    made = G(beside(noise(400), asked)).data
near = np.linalg.norm(made[:, None] - tg.data.RING_MEANS, axis=2).argmin(axis=1)
print(f"{(near == asked).mean():.0%} lie at the mode that was asked for")
print((near == asked).mean() > 0.9)
plots.scatter(made, real=points)
#> True

# %% [markdown]
# ## Few labels: what D knows already
#
# A D that has played against a G has features that tell modes apart, though nobody named them. Odena (2016) and Salimans et al.
# (2016) let D learn from few labels and many images: `tinygan lesson semi_supervised`. `tinygan lesson features` asks how much
# of a label a linear map of D's features finds, and compares with an untrained D.
#
# ## No labels: names that the game invents
#
# Chen et al. (2016), InfoGAN: G gets a number c beside z, and must paint so that c can be read from the image. Then c comes to
# mean something: a digit, a slant. `tinygan lesson clusters`.

# %%
from tinygan import lessons

for name in lessons.LESSONS:
    print(f"{name:16} {lessons.about(name)}")
#> conditional

# %% [markdown]
# ## Questions
#
# 1. Give G the label and not D. Does G have a reason to obey?
# 2. Give D labels of its own for the fakes, 9 classes in place of 2. What does its loss become? (losses.cross_entropy)
# 3. c is one of ten, and the digits of a set are half ones. What will InfoGAN's classes be?
# 4. Change `which` so that a tenth of the labels is wrong. What happens to the samples?
