# %% [markdown]
# # 8. Your own pictures
#
# When you are through you can
#
# - read a folder of pictures as training data,
# - choose a network for their size,
# - say how good samples are, where no classifier knows the pictures.
#
# You need notebook 5. About 45 minutes, of which the computer takes two.
#
# Here the pictures are drawn in the notebook. Put the path of a folder of yours in place of `folder`.

# %%
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import tinygan as tg
from tinygan import plots

folder, rng = Path(tempfile.mkdtemp()), np.random.default_rng(0)
for number in range(600):
    picture = Image.new("RGB", (40, 40), "white")
    (x, y), r = rng.uniform(14, 26, 2), rng.uniform(7, 12)
    colour = ["crimson", "royalblue", "seagreen"][number % 3]
    draw = ImageDraw.Draw(picture)
    (draw.ellipse if number % 2 else draw.rectangle)((x - r, y - r, x + r, y + r), fill=colour)
    picture.save(folder / f"{number:03}.png")
(folder / "broken.png").write_bytes(b"no picture")

# %% [markdown]
# What cannot be read is named and left out. All become squares of one size, in [−1, 1].

# %%
images = tg.data.images(folder, size=16, channels=3, say=print)
print(images.shape)
plots.samples(images[:20], ink=False)
#> (600, 16, 16, 3)
#> broken.png

# %% [markdown]
# ## Players that fit
#
# From 16 to 128 pixels: D halves the sides until 4 are left, G doubles them.

# %%
G, D = tg.models.dcgan(size=16, channels=3, latent=32, width=24)
gan = tg.GAN(G, D, latent=32, averaging=0.99, g_optimizer=tg.Adam(G.parameters(), 1e-3, (0.5, 0.999)),
             d_optimizer=tg.Adam(D.parameters(), 1e-3, (0.5, 0.999)))
gan.fit(images, 800, 32, callbacks=plots.Live(ink=False), workers="auto")
plots.samples(gan.sample(40), ink=False)

# %% [markdown]
# ## How good?
#
# Precision: how many samples lie among real pictures. Recall: how many real pictures lie among samples. Both are asked in the
# features of a network that learned to tell quarter turns of *your* pictures. Beside them stands the same for held-out pictures.

# %%
from tinygan.look.likeness import Judge

judge = Judge(images)
print("samples", judge.score(gan.sample(300)))
print("real   ", judge.real)
#> precision

# %% [markdown]
# From the command line the same is `tinygan train --data FOLDER --size 16 --channels 3`, with a report at the end.
#
# ## Questions
#
# 1. A G that paints one perfect picture: what are precision and recall? And one that paints noise?
# 2. Why are squares cut from the centre, and not squeezed? When is that wrong?
# 3. 200 pictures are few. What will D do, and what would you see?
# 4. Turning by a quarter teaches a judge shapes. For which pictures does it teach nothing?
