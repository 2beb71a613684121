# %% [markdown]
# # 1. Gradients and their proof
#
# When you are through you can
#
# - say what a Tensor remembers, and how a gradient is found from that,
# - write an operation with its derivative,
# - prove a derivative by finite differences, and say why a random direction is enough.
#
# You need the chain rule. About 45 minutes.

# %%
import numpy as np

import tinygan as tg

# %% [markdown]
# ## A Tensor remembers
#
# `x` is a number that we want to differentiate with respect to. `y` knows that it was made from `x`, and how a cotangent
# goes back: the derivative of tanh is 1 − tanh².

# %%
x = tg.Tensor(0.5, requires_grad=True)
y = x.tanh()
dy, = tg.grad(y, x, create_graph=True)
print(f"{y.item():.6f} {dy.item():.6f} {1 - np.tanh(0.5) ** 2:.6f}")
#> 0.462117 0.786448 0.786448

# %% [markdown]
# The gradient is a Tensor like any other, and remembers too. So it can be differentiated again:
# the derivative of 1 − tanh² x is −2 tanh x (1 − tanh² x).

# %%
d2y, = tg.grad(dy, x)
print(f"{d2y.item():.6f} {-2 * np.tanh(0.5) * (1 - np.tanh(0.5) ** 2):.6f}")
#> -0.726862 -0.726862

# %% [markdown]
# ## Several ways lead back
#
# In y = x·x + x the Tensor `x` is used three times. Each use sends back a share of the cotangent, and the shares add up: 2x + 1.
# A Tensor may pass its cotangent on only when all its shares have come. That is what the topological order is for.

# %%
x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
loss = (x * x + x).sum()
print(tg.grad(loss, x)[0].data)
#> [3. 5. 7.]

# %% [markdown]
# The picture of what was remembered is called the tape. Read it from the bottom to the top.

# %%
tg.draw(loss)

# %% [markdown]
# ## Doubt it: finite differences
#
# A derivative is a limit, so a small step must nearly show it: (f(x + h) − f(x − h)) / 2h. What is left out is of the order h².
# What is lost by rounding is of the order ε/h, with ε = 2·10⁻¹⁶. The best h lies between: near ε^(1/3).

# %%
for h in (1e-1, 1e-3, 1e-5, 1e-8, 1e-11):
    error = (np.tanh(0.5 + h) - np.tanh(0.5 - h)) / (2 * h) - (1 - np.tanh(0.5) ** 2)
    print(f"h = {h:.0e}    error {abs(error):.0e}")

# %% [markdown]
# For an image one would need a step for each pixel. One step in a random direction v is enough: if the gradient g is right,
# then ⟨g, v⟩ is the slope along v; and if it is wrong, a random v tells with probability 1.
# `check_gradients` does that in float64, with a random cotangent too.

# %%
print(tg.check_gradients(lambda a, b: (a @ b).tanh(), np.ones((2, 3)), np.ones((3, 4))))
#> input 0 (2, 3)

# %% [markdown]
# ## An operation of your own
#
# `record` takes the value and, for each input, the function that sends the cotangent back. Here is the cube, with a mistake:
# the derivative of x³ is 3x², and 2x² stands there.

# %%
from tinygan.tensor import record


def cube(x):
    return record(x.data ** 3, (x, lambda g, y: g * 2 * x * x))


try:
    tg.check_gradients(cube, np.array([1.0, 2.0]))
except tg.GradientError as error:
    print(error)
#> input 0

# %% [markdown]
# Mend the 2 above, and run the cell again: nothing is printed then.

# %% [markdown]
# ## Exercises
#
# Read the question, write the body, run the cell, read the table. A hint: `print(tg.exercises.hint("tanh"))`.

# %%
print(tg.exercises.question("tanh"))

# %%
def tanh(x):
    raise NotImplementedError


tg.exercises.check("tanh", tanh)

# %%
print(tg.exercises.question("broadcast"))

# %%
def broadcast(g, shape):
    raise NotImplementedError


tg.exercises.check("broadcast", broadcast)

# %%
print(tg.exercises.question("order"))

# %%
def order(output):
    raise NotImplementedError


tg.exercises.check("order", order)

# %% [markdown]
# ## Questions
#
# 1. Why does `record` get the output y as an argument of its backward function, where it could look it up?
# 2. f(x) = x² at x = 0 has the gradient 0. What does a *relative* error say there? What would you divide by?
# 3. A checker uses the cotangent 1 everywhere, that is, it checks the gradient of the sum. The sum of a softmax is always 1.
#    What does this checker say about a wrong softmax?
# 4. Why is float64 used for the proof, where the network runs in float32?
# 5. A function has a jump at 0. What do finite differences say at x = 10⁻⁹, and what does the formula say?
