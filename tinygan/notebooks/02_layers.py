# %% [markdown]
# # 2. Layers
#
# When you are through you can
#
# - say what a dense layer, a convolution and its transpose compute, and how large their outputs are,
# - show that the transposed convolution is the convolution's adjoint,
# - say what batch normalisation does to a batch, and why training and evaluation differ.
#
# You need notebook 1. About 60 minutes.

# %%
import numpy as np

import tinygan as tg

rng = np.random.default_rng(0)

# %% [markdown]
# ## A network is a list of layers
#
# Images are (N, H, W, C): the batch, rows, columns, channels. This is a generator of digits.

# %%
G = tg.models.small_generator()
print(G.summary((100,)))
#> 28

# %% [markdown]
# ## A convolution is six loops
#
# y[n, i, j, d] = Σ x̄[n, S·i + a, S·j + b, c] · w[a, b, c, d], the sum over a, b, c. x̄ is x with zeros around it.
# Inside of `with tg.plain():` these loops run. Outside a matrix product gives the same.

# %%
layer = tg.Conv2D(1, 1, kernel_size=3, bias=False)
layer.weight.data[...] = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]]).reshape(3, 3, 1, 1)
digits, labels = tg.data.digits()
fast = layer(digits[:6]).data
with tg.plain():
    plain = layer(digits[:6]).data
print(fast.shape, np.abs(fast - plain).max() < 1e-5)
#> (6, 28, 28, 1) True

# %%
from tinygan import plots

plots.rows([("digits", digits[:6]), ("Laplace", np.tanh(fast))])

# %% [markdown]
# ## The way up
#
# A generator must make images larger. Its layer is the adjoint of a convolution C: the map Cᵀ with ⟨C x, g⟩ = ⟨x, Cᵀ g⟩ for
# all x and g. Each number of g paints the kernel onto the output.

# %%
down = tg.Conv2D(2, 3, kernel_size=4, stride=2, bias=False).astype(np.float64)
up = tg.Conv2DTranspose(3, 2, kernel_size=4, stride=2, bias=False).astype(np.float64)
up.weight.data = down.weight.data                       # (K, K, out, in) of the one is (K, K, in, out) of the other
x, g = rng.standard_normal((1, 8, 8, 2)), rng.standard_normal((1, 4, 4, 3))
print(up(g).shape, np.isclose((down(x).data * g).sum(), (x * up(g).data).sum()))
#> (1, 8, 8, 2) True

# %% [markdown]
# ## Batch normalisation
#
# Each feature of a batch gets the mean 0 and the deviation 1, and then γ and β. In evaluation the running mean and variance
# take the place of the batch's, so an image does not depend on its neighbours.

# %%
norm = tg.BatchNorm(3)
batch = rng.standard_normal((64, 3)).astype(np.float32) * [1, 10, 0.1] + [0, 5, -3]
batch = batch.astype(np.float32)
print(norm(batch).data.std(axis=0).round(2))
norm.eval()
print(np.allclose(norm(batch[:1]).data, norm(batch).data[:1], atol=1e-6))
#> [1. 1. 1.]
#> True

# %% [markdown]
# In training one image depends on all. So its gradient has three terms: its own, one through the mean, one through the
# variance. Leave one out and the check fails; that was published more than once (notebook 6).

# %%
norm.train()
print(tg.check_gradients(norm, batch[:6]))
#> gamma

# %% [markdown]
# ## Exercises
#
# Read the question, write the body, run the cell, read the table. A hint: `print(tg.exercises.hint("matmul"))`.

# %%
print(tg.exercises.question("matmul"))

# %%
def matmul(g, a, b):
    raise NotImplementedError


tg.exercises.check("matmul", matmul)

# %%
print(tg.exercises.question("leaky_relu"))

# %%
def leaky_relu(x, slope):
    raise NotImplementedError


tg.exercises.check("leaky_relu", leaky_relu)

# %%
print(tg.exercises.question("batch_norm"))

# %%
def batch_norm(g, x, gamma, eps):
    raise NotImplementedError


tg.exercises.check("batch_norm", batch_norm)

# %%
print(tg.exercises.question("convolve"))

# %%
def convolve(x, w, stride):
    raise NotImplementedError


tg.exercises.check("convolve", convolve)

# %%
print(tg.exercises.question("transpose"))

# %%
def transpose(g, w, stride):
    raise NotImplementedError


tg.exercises.check("transpose", transpose)

# %% [markdown]
# ## Questions
#
# 1. An image of 28 pixels, kernel 4, stride 2, padding "same": how large is the output? And the way up from 7?
# 2. Kernel 5 with stride 2 on the way up leaves a checkerboard. Count how often each pixel is painted. Why not with kernel 4?
# 3. Why has a layer in front of batch normalisation no bias?
# 4. D looks at real and fake images in one batch, with batch normalisation. What can it see that it should not?
# 5. A batch of one image in training mode: what is its variance, and what does tinygan do?
