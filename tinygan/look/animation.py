"""Moving pictures: how G learns, and a walk through what it has learned."""
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image, ImageDraw            # Pillow: matplotlib, which is a dependency, cannot do without it

from ..errors import TinyganError
from .plots import sheet

MOST = 60                      # frames of a GIF that shows learning
LEG = 12                       # steps of a walk from one z to the next
BAND = 14                      # pixels of paper for the step number, before zooming


def gif(frames, path):
    """The same noise as G learns, for ever again: frames is [(step, images (n, H, W, 1) in [−1, 1])].

    Of more than 60 frames 60 are taken, first and last among them; the last one stays for two seconds."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, MOST).round().astype(int))
    pictures = [_numbered(*frames[k]) for k in chosen]
    save(pictures, path, [120] * (len(pictures) - 1) + [2000])


def landscape_gif(figures, path):
    """matplotlib Figures of one size, an iterable, as the moments of a training, each drawn with 128 colours."""
    pictures = []
    for figure in figures:
        figure.set_dpi(80)
        pictures.append(drawn(figure).quantize(128, dither=Image.Dither.NONE))
    save(pictures, path, [250] * (len(pictures) - 1) + [2000])


def walk(gan, path_gif, path_strip, n=6, seed=0):
    """A walk from one random z to the next, n of them, and back: a GIF, and a strip with a row for each leg.

    The z are brought to the norm √latent, near which nearly all of N(0, I) lies, and the way between two of them is
    the great circle. A straight line would pass nearer to 0, through z that G never saw."""
    if gan.latent < 2:
        raise TinyganError(f"a walk needs a great circle, and the latent space has {gan.latent} dimension: "
                           "use a GAN with latent of at least 2")
    if n < 2:
        raise TinyganError(f"a walk past {n} image came: expected at least 2")
    z = np.random.default_rng(seed).standard_normal((n, gan.latent))
    z *= np.sqrt(gan.latent) / np.linalg.norm(z, axis=1, keepdims=True)
    parts = np.arange(LEG) / LEG
    path = np.concatenate([slerp(a, b, parts) for a, b in zip(z, np.roll(z, -1, axis=0))])      # (n·LEG, latent)
    images = gan.generate(path)
    save([_picture(sheet(image[None]), zoom=8) for image in images], path_gif, 80)
    _picture(sheet(images, columns=LEG), zoom=2).save(path_strip)


def slerp(a, b, parts):
    """Slerp(a, b; μ) = sin((1 − μ)θ)/sin θ · a + sin(μθ)/sin θ · b    θ = ∠(a, b)    for each μ in `parts`

    a, b: vectors of equal norm; the result, (len(parts), dimensions), keeps it, and moves at an even pace from a to b.
    Source: White, "Sampling Generative Networks" (2016), section 2.1, after Shoemake (1985)."""
    theta = np.arccos(np.clip(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)), -1, 1))
    part = np.asarray(parts)[:, None]
    return (np.sin((1 - part) * theta) * a + np.sin(part * theta) * b) / np.sin(theta)


def _numbered(step, images):
    """The sheet of images with the step's number above it, two or more pixels for each of theirs."""
    paper = sheet(images)
    zoom = max(2, 480 // paper.shape[1])
    picture = _picture(np.pad(paper, ((BAND, 2), (2, 2)), constant_values=1), zoom)
    label = Image.new("L", (paper.shape[1], BAND), 255)
    ImageDraw.Draw(label).text((2, 1), f"step {step:,}", fill=0)
    picture.paste(label.resize((zoom * label.width, zoom * label.height), Image.NEAREST))
    return picture


def _picture(paper, zoom):
    """A sheet in [0, 1] as an image of 16 greys, which a GIF packs better than 256."""
    levels = (15 * paper + 0.5).astype(np.uint8) * 17
    return Image.fromarray(levels.repeat(zoom, axis=0).repeat(zoom, axis=1))


def drawn(figure):
    """A matplotlib Figure as an Image."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def save(pictures, path, milliseconds):
    """Images as a GIF that runs for ever again; how long each stays, a number or one for each."""
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0)
