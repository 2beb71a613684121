"""Pictures of one's own: a folder of images, an array or an idx file, as the networks take them.

    x = pixels / 127.5 − 1        float32 (N, size, size, channels) in [−1, 1]

A picture is turned as its EXIF data say, laid on white where it is transparent, cropped to the square in its middle, and
brought to size: each new pixel is the mean of the area that it covers. What was read is kept as the system keeps caches,
and is looked at there while one trains, so there may be more pictures than fit into memory.
"""
import hashlib
import json
import warnings
from pathlib import Path

import numpy as np

from ..errors import TinyganError, brief, integer
from ..look.files import whole, write_text
from ..models import LONGEST, SHORTEST
from .idx import read_idx

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
NAMES = ("images", "x_train", "train_images", "x", "data", "arr_0")     # of the array in a .npz file, by preference
PIECE = 256                 # pictures of an array that are converted at a time
REMEDY = "allow writing there, or set XDG_CACHE_HOME to another folder"


def images(path, size=None, channels=None, say=None) -> np.ndarray:
    """Pictures as float32 (N, size, size, channels) in [−1, 1], a read-only array that lies in a file.

    path       a folder of PNG, JPEG, WebP, GIF, BMP or TIFF files, at any depth; a .npy or .npz file with an array
               (N, H, W) or (N, H, W, C) of bytes, of numbers in [0, 1] or in [−1, 1]; an idx file, or a folder with one
               of training images, packed or not (MNIST, Fashion-MNIST, KMNIST, EMNIST, whose images are stored turned)
    size       the side in pixels; by default that of an array of squares of 16 to 128 pixels, else 32
    channels   1 or 3; by default 1 if all pictures are grey, else 3
    say        is called with what was read and what was left out, a line each
    A picture that cannot be read is left out.  TinyganError if none is left, or for a path that holds no pictures."""
    path, say = Path(path), say or (lambda line: None)
    if channels not in (None, 1, 3):
        raise TinyganError(f"got {channels} channels, expected 1 (grey) or 3 (red, green, blue): choose one of them")
    if size is not None:
        integer("size", size, SHORTEST, LONGEST)
    if not path.exists():
        raise TinyganError(f"there is no {path}: give a folder of images, a .npy, .npz or idx file")
    file = _training_images(path) if path.is_dir() else path
    if file is None:
        files = _picture_files(path)
        size, channels = size or 32, channels or _channels_of(files)
        read, what = lambda: _opened(path, files, size, channels), f"{path}: pictures"
    else:
        files, pixels = [file.resolve()], _array(file)
        own = pixels.shape[1] if pixels.shape[1] == pixels.shape[2] and SHORTEST <= pixels.shape[1] <= LONGEST else 32
        size, channels = size or own, channels or (1 if pixels.shape[3] in (1, 2) else 3)
        read = lambda: _converted(pixels, file, size, channels)
        what = f"{file}: an array of {'×'.join(map(str, pixels.shape))} {pixels.dtype}"
    stamps = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    array, left_out = _kept([*stamps, size, channels], (size, size, channels), read)
    say(f"{what}; {len(array):,} read as {size}×{size} {'grey' if channels == 1 else 'colour'}")
    for name, why in left_out[:3]:
        say(f"left out: {name} ({why})")
    if len(left_out) > 3:
        say(f"left out: {len(left_out) - 3:,} more")
    if not len(array):
        raise TinyganError(f"none of the {len(left_out)} pictures in {path} could be read, the first because of "
                           f"{left_out[0][1]}: give other files")
    return array


def square(picture, size, channels):
    """A picture of Pillow's as uint8 (size, size, channels)."""
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):                            # 16 bits a pixel, whatever Pillow's mode for them
        picture = Image.fromarray((np.asarray(picture).clip(0, 65535) // 257).astype(np.uint8))
    if picture.mode == "F":
        raise ValueError("its pixels are floating-point numbers, whose range is not known")
    if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("L" if channels == 1 else "RGB")
    smaller = min(picture.size) < size                          # an area of less than one pixel has no mean
    picture = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC if smaller else Image.Resampling.BOX)
    return np.asarray(picture).reshape(size, size, channels)


# Folders

def _picture_files(folder):
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()
                   and not any(part.startswith((".", "__MACOSX")) for part in file.relative_to(folder).parts))
    if not files:
        found = ", ".join(sorted(file.name for file in folder.iterdir())[:4]) or "nothing"
        raise TinyganError(f"{folder} holds {found}, expected images ({', '.join(sorted(SUFFIXES))}) or an idx file of "
                           "training images: give another folder")
    return files


def _open(file):
    """The picture in the file.  An exception of Pillow's, or OSError, says why it cannot be opened."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)      # 90 million pixels and more
        return Image.open(file)


def _channels_of(files):
    """1 if the first hundred pictures are grey, else 3."""
    for file in files[:100]:
        try:
            with _open(file) as picture:
                if picture.mode not in ("1", "L", "LA", "La") and not picture.mode.startswith("I"):
                    return 3
        except Exception:       # whatever a broken file raises: it is named when all are read
            continue
    return 1


def _opened(folder, files, size, channels):
    """For each file (its pixels, None), or (None, (name, why it is left out))."""
    for file in files:
        try:
            with _open(file) as picture:
                yield square(picture, size, channels)[None], None
        except Exception as error:      # a decoder may raise anything at a broken file, and the others are still to be read
            yield None, (str(file.relative_to(folder)), f"{type(error).__name__}: {brief(error)}")


# Arrays

def _training_images(folder):
    """The idx file of training images in the folder, or None."""
    found = sorted(file for file in folder.iterdir() if "train-images" in file.name and "ubyte" in file.name)
    if len(found) > 1 and len({file.name.removesuffix(".gz") for file in found}) > 1:
        raise TinyganError(f"{folder} holds {len(found)} files of training images ({found[0].name}, {found[1].name}, …), "
                           "expected one: give the path of the file")
    return found[0] if found else None


def _array(file):
    """The pictures in the file as (N, H, W, C)."""
    try:
        if file.suffix == ".npz":
            pixels = _from_archive(file)
        elif file.suffix == ".npy":
            pixels = np.load(file, mmap_mode="r", allow_pickle=False)
        elif file.suffix.lower() in SUFFIXES:
            raise TinyganError(f"got one picture, {file}, expected a folder of them: give the folder")
        else:
            pixels = read_idx(file)
    except (OSError, ValueError, EOFError) as error:
        raise TinyganError(f"{file} cannot be read ({brief(error)}), expected a folder of images, a .npy, .npz or idx file: "
                           "check the path") from error
    if file.name.startswith("emnist"):
        pixels = pixels.swapaxes(1, 2)              # published with rows for columns
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    if pixels.ndim != 4 or pixels.shape[3] not in (1, 2, 3, 4) or 0 in pixels.shape:
        hint = "use array.transpose(0, 2, 3, 1)" if pixels.ndim == 4 and pixels.shape[1] in (1, 3) else "reshape it"
        raise TinyganError(f"{file} holds an array of shape {pixels.shape}, expected (N, H, W) or (N, H, W, C) with 1 to 4 "
                           f"channels: {hint}")
    return pixels


def _from_archive(file):
    with np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
        able = [name for name, array in arrays.items() if array.ndim in (3, 4)]
        named = able if len(able) == 1 else [name for name in NAMES if name in able][:1]
        if not named:
            shapes = {name: array.shape for name, array in arrays.items()}
            raise TinyganError(f"{file} holds {shapes}, expected one array of images, or one of the name {NAMES[0]!r}: "
                               "keep the images alone in it")
        return arrays[named[0]]


def _range(pixels, file):
    """The numbers that stand for black and for white."""
    low, high = float(pixels.min()), float(pixels.max())
    for least, most in [(0, 255)] if pixels.dtype == np.uint8 else [(0, 1), (-1, 1), (0, 255)]:
        if least <= low and high <= most:
            return least, most
    raise TinyganError(f"{file} holds numbers from {low:g} to {high:g}, expected [0, 1], [−1, 1] or [0, 255]: rescale them")


def _converted(pixels, file, size, channels):
    """As _opened: the array's pictures, some at a time."""
    from PIL import Image

    low, high = _range(pixels, file)
    for start in range(0, len(pixels), PIECE):
        piece = (np.asarray(pixels[start:start + PIECE], np.float32) - low) * (255 / (high - low))
        if piece.shape[1:] != (size, size, channels):
            piece = np.rint(piece).astype(np.uint8)
            piece = np.stack([square(Image.fromarray(one.squeeze(2) if one.shape[2] == 1 else one), size, channels)
                              for one in piece])
        yield piece, None


# What was read, kept

def _kept(key, shape, read):
    """(the pictures as an array in a file, what was left out). They are read only if they are not kept yet."""
    import pooch

    folder = pooch.os_cache("tinygan") / "pictures"
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
    data, about = folder / f"{name}.f32", folder / f"{name}.json"
    try:
        if not about.exists():
            folder.mkdir(parents=True, exist_ok=True)
            left_out = []
            with whole(data, REMEDY) as unfinished, open(unfinished, "wb") as file:
                for pixels, why in read():
                    if why:
                        left_out.append(why)
                    else:
                        file.write((pixels.astype(np.float32) / np.float32(127.5) - 1).tobytes())
            write_text(about, json.dumps(left_out), REMEDY)
        n = data.stat().st_size // (4 * int(np.prod(shape)))
        left_out = json.loads(about.read_text())
        return np.memmap(data, np.float32, "r", shape=(n, *shape)) if n else np.empty((0, *shape), np.float32), left_out
    except OSError as error:
        raise TinyganError(f"{folder} cannot keep the pictures ({error.strerror or error}): make room or {REMEDY}") from error
