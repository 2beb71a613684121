# %% [markdown]
# # 5. Digits, live
#
# When you are through you can
#
# - train a GAN on images and read its curves,
# - say when a game is healthy, and when it has been lost,
# - walk through the space of z.
#
# You need notebook 3. About 45 minutes, of which the computer takes two.

# %%
import numpy as np

import tinygan as tg
from tinygan import metrics, plots

digits, labels = tg.data.digits()                        # 5,000 digits that lie in the package
print(digits.shape, digits.min(), digits.max())
plots.samples(digits[:20])
#> (5000, 28, 28, 1) -1.0 1.0

# %% [markdown]
# ## The players

# %%
G, D = tg.models.small_generator(), tg.models.small_discriminator()
gan = tg.GAN(G, D, averaging=0.99, g_optimizer=tg.Adam(G.parameters(), 1e-3), d_optimizer=tg.Adam(D.parameters(), 1e-3))
print(D.summary((28, 28, 1)))
#> total

# %% [markdown]
# ## The game
#
# 400 steps of 32 images. Two processes share each batch where there are two cores.
# The button ends the training after a step; what has been learned stays, and `fit` goes on from there.

# %%
history = gan.fit(digits, 400, 32, callbacks=plots.Live(), workers="auto")
plots.samples(gan.sample(40))

# %% [markdown]
# Neither loss must fall: they are two sides of a game. Look at D's beliefs. A healthy game keeps them apart and away from 0
# and 1. If D(G(z)) stays near 0, D has won, and G learns little. If both are ½ and the pictures are bad, D is blind.

# %%
plots.losses(gan.history)

# %% [markdown]
# ## A number
#
# The distance of Fréchet between features of samples and of real digits: small is good. Beside it stands the same number for
# other real digits, the least that can be expected.

# %%
print("samples", metrics.score(gan.sample(500)))
print("real   ", metrics.real_score(500))
#> samples

# %% [markdown]
# ## A walk
#
# From one z to another. Samples change smoothly: G has not learned the digits by heart, or it would jump.

# %%
a, b = np.random.default_rng(3).standard_normal((2, 100))
angles = np.linspace(0, np.pi / 2, 10)[:, None]
plots.samples(gan.generate(np.cos(angles) * a + np.sin(angles) * b))         # nearly a great circle, as a and b are orthogonal

# %% [markdown]
# Is a sample a copy of a training image? Look for the nearest.

# %%
samples = gan.sample(8, seed=5)
distances = ((samples[:, None] - digits[None, :2000]) ** 2).sum(axis=(2, 3, 4))
plots.rows([("samples", samples), ("nearest", digits[distances.argmin(axis=1)])])

# %% [markdown]
# ## It is kept
#
# The file holds all that decides how the game goes on. Loaded, it ends in the same bytes as if it had never stopped.

# %%
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    gan.save(Path(folder, "digits.npz"))
    again = tg.GAN.load(Path(folder, "digits.npz"))
print((again.sample(4) == gan.sample(4)).all(), again.steps == gan.steps)
#> True True

# %% [markdown]
# ## Exercises
#
# Read the question, write the body, run the cell, read the table. A hint: `print(tg.exercises.hint("r1"))`.

# %%
print(tg.exercises.question("r1"))

# %%
def r1(D, x):
    raise NotImplementedError


tg.exercises.check("r1", r1)

# %% [markdown]
# ## Questions
#
# 1. Why must the images lie in [−1, 1] here? What would D learn first, if they lay in [0, 1]?
# 2. Play again with `d_optimizer=tg.Adam(D.parameters(), 1e-2)`. Which curve tells first that something is wrong?
# 3. Why do two z of norm √100 suffice for the walk, and why does a straight line between them lead through strange images?
# 4. D can learn 5,000 digits by heart. How would you see that in the curves? What would help?
