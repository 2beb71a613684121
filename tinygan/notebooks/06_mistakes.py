# %% [markdown]
# # 6. The mistakes that others published
#
# When you are through you can
#
# - find a wrong gradient in code that runs and draws pictures,
# - choose the number that gives a mistake away.
#
# You need notebooks 1 to 3. About 60 minutes.
#
# Each exhibit below was in a program or a paper's code that people copied. Most of these programs ran.

# %%
import inspect

import numpy as np

import tinygan as tg
from tinygan.proofs import museum

print(len(museum.EXHIBITS) >= 20)
for number, exhibit in enumerate(museum.EXHIBITS, 1):
    print(f"{number:3}. {exhibit.title}")
#> True

# %% [markdown]
# ## How one is found
#
# The variance is left out of batch normalisation's way back. Its output is right, so the network runs. Only the gradient is not.

# %%
exhibit, = [one for one in museum.EXHIBITS if one.wrong is museum.batch_norm_backward_without_variance]
print(inspect.getsource(exhibit.wrong))

# %%
print(exhibit.meaning)
print(f"wrong {exhibit.number():.2f}    right {exhibit.right_number():.0e}    ideal {exhibit.ideal:g}")
#> wrong

# %% [markdown]
# ## A measure must be able to fail
#
# This checker takes the cotangent 1 everywhere: the gradient of the sum. The sum of normalised rows is always 0,
# so it compares 0 with 0, and finds nothing.

# %%
checker, = [one for one in museum.EXHIBITS if one.wrong is museum.error_by_the_sum]
print(inspect.getsource(checker.wrong))
print(checker.meaning)
print(f"as written {checker.number():.2g}    right {checker.right_number():.2g}")
#> as written

# %% [markdown]
# ## Which game is it?
#
# A sign, and D minimises what it should maximise. The cosine between two gradients tells: 1 is the same direction,
# −1 straight the other.

# %%
turned, = [one for one in museum.EXHIBITS if one.wrong is museum.d_fake_loss_minimised]
print(inspect.getsource(turned.wrong))
print(f"{turned.number():.2f}")
#> -1.00

# %% [markdown]
# ## Exercises
#
# Find the mistake. You get the function as it was published; give back the right one. A hint:
# `print(tg.exercises.hint("d_gradient"))`.

# %%
print(tg.exercises.question("d_gradient"))

# %%
def d_gradient(w, real, fake):
    raise NotImplementedError


tg.exercises.check("d_gradient", d_gradient)

# %%
print(tg.exercises.question("d_real_loss"))

# %%
def d_real_loss(a):
    raise NotImplementedError


tg.exercises.check("d_real_loss", d_real_loss)

# %%
print(tg.exercises.question("label_planes"))

# %%
def label_planes(labels, classes, size):
    raise NotImplementedError


tg.exercises.check("label_planes", label_planes)

# %%
print(tg.exercises.question("normalise"))

# %%
def normalise(x):
    raise NotImplementedError


tg.exercises.check("normalise", normalise)

# %%
print(tg.exercises.question("checker"))

# %%
def checker(f, x, rng):
    raise NotImplementedError


tg.exercises.check("checker", checker)

# %% [markdown]
# ## Questions
#
# 1. Which of these mistakes would a test have found that compares a program with itself of last week?
# 2. Which cannot be seen in the losses? Which not in the pictures?
# 3. Take a GAN that you have found somewhere. Which three numbers do you compute first?
# 4. Someone says: "it works, look at the samples." What do you ask?
