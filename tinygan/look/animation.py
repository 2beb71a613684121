"""Moving pictures: how G learns, and a walk through what it has learned."""
import numpy as np
from PIL import Image, ImageDraw

from ..errors import TinyganError
from . import plots
from .plots import drawn, framed, picture, sheet

GREYS = 16                     # of digits: a GIF packs 16 levels better than 256, and nobody sees the difference
MAX_FRAMES = 60                # of a film of learning; of a longer one, so many are chosen
LABEL_HEIGHT = 14              # pixels of paper above the images, before zooming, for the number of the step
FRAMES_PER_LEG = 12            # of a walk, from one z to the next


def gif(frames, path, ink=True):
    """What G makes of the same noise as it learns: frames is [(step, images (n, H, W, C) in [−1, 1])].

    Of more than 60 frames 60 are shown, the first and the last among them."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, MAX_FRAMES).round().astype(int))
    save([_labelled(*frames[k], ink) for k in chosen], path, 120)


def landscape_gif(figures, path):
    """The moments of a training on points in the plane, each as plots.landscape draws it."""
    figures_gif(figures, path, 250, shaded=True)


def figures_gif(figures, path, milliseconds=120, shaded=False, last=2000):
    """matplotlib Figures of one size, one after the other, in 128 colours.

    All frames have the same palette, so that no colour flickers. Shading has too many colours for that: there each
    frame has a palette of its own."""
    pictures = [drawn(figure, dpi=80) for figure in figures]
    palette = None if shaded else pictures[-1].quantize(128, Image.Quantize.MAXCOVERAGE)
    save([shown.quantize(128, palette=palette, dither=Image.Dither.NONE) for shown in pictures], path, milliseconds, last)


def save(pictures, path, milliseconds, last=2000):
    """Images as a GIF that starts again for ever. Each stays for so many milliseconds, the last one for `last`.

    Coloured frames share the 256 colours of the last one, so that none flickers."""
    if pictures[-1].mode == "RGB":
        palette = pictures[-1].quantize(256)
        pictures = [shown.quantize(palette=palette, dither=Image.Dither.NONE) for shown in pictures]
    durations = [milliseconds] * (len(pictures) - 1) + [last]
    plots.save(pictures[0], path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)


def walk(gan, path_gif, path_strip, n=6, seed=0, ink=True):
    """A walk through n random z and back to the first: a GIF, and a strip of images with a row for each leg. Points in the
    plane are walked past on a map of 1,000 others, and the strip is the whole way.

    Each z is scaled to the norm √latent, near which nearly all of N(0, I) lies. From one to the next the walk follows
    the great circle: a straight line would pass nearer to 0, through z that G never saw."""
    if gan.latent < 2:
        raise TinyganError(f"got a GAN with latent={gan.latent}, expected at least 2, or there is no great circle to "
                           "walk on: train one with a larger latent")
    if n < 2:
        raise TinyganError(f"got a walk past {n} image, expected at least 2: ask for more with n")
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, gan.latent))
    z *= np.sqrt(gan.latent) / np.linalg.norm(z, axis=1, keepdims=True)
    fractions = np.arange(FRAMES_PER_LEG) / FRAMES_PER_LEG
    path = np.concatenate([slerp(a, b, fractions) for a, b in zip(z, np.roll(z, -1, axis=0))])
    images = gan.generate(path)                                         # (n · FRAMES_PER_LEG, H, W, C)
    if images.shape[1:] == (2,):
        others = gan.generate(rng.standard_normal((1000, gan.latent)))
        figures = [plots.way(images, others, FRAMES_PER_LEG, now) for now in (*range(len(images)), None)]
        plots.save(figures.pop(), path_strip)
        return figures_gif(figures, path_gif, 80, last=80)
    if images.ndim != 4:
        raise TinyganError(f"got a GAN that makes {images.shape[1:]}, expected images or points in the plane to walk past: "
                           "draw samples of it")
    zoom = max(1, 224 // images.shape[2])
    save([picture(sheet(image[None], ink=ink), zoom, GREYS) for image in images], path_gif, 80, last=80)
    plots.save(picture(sheet(images, FRAMES_PER_LEG, ink), max(1, zoom // 4), GREYS), path_strip)


def slerp(a, b, fractions):
    """Slerp(a, b; μ) = sin((1 − μ)θ)/sin θ · a + sin(μθ)/sin θ · b    θ = ∠(a, b)    for each μ of `fractions`

    a, b: vectors of equal norm. The result, (len(fractions), latent), keeps that norm, and equal steps of μ are equal
    steps from a to b.
    Source: White, "Sampling Generative Networks" (2016), section 2.1, after Shoemake (1985)."""
    theta = np.arccos(np.clip(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)), -1, 1))
    mu = np.asarray(fractions)[:, None]
    if np.sin(theta) == 0:                                              # a = b: there is no way to go
        return np.broadcast_to(a, (len(mu), len(a)))
    return (np.sin((1 - mu) * theta) * a + np.sin(mu * theta) * b) / np.sin(theta)


def _labelled(step, images, ink):
    """A sheet of the images with the number of the step above it."""
    paper = framed(sheet(images, ink=ink), LABEL_HEIGHT, 2)
    zoom = max(2 if paper.shape[1] < 400 else 1, 480 // paper.shape[1])     # the frame is about 480 pixels wide, or more
    label = Image.new("L", (paper.shape[1], LABEL_HEIGHT), 255)
    ImageDraw.Draw(label).text((2, 1), f"step {step:,}", fill=0)
    frame = picture(paper, zoom, GREYS)
    frame.paste(label.resize((zoom * label.width, zoom * label.height), Image.NEAREST))
    return frame
