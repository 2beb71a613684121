"""Moving pictures, read back: their frames, their pace, and the way that a walk takes."""
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageSequence

import tinygan as tg
from tinygan import models
from tinygan.look import animation, plots
from tinygan.look.plots import GAP


def read(path):
    """The frames of a GIF, as arrays of greys from 0 to 1, and how long each stands, in milliseconds."""
    with Image.open(path) as picture:
        return zip(*[(np.asarray(frame.convert("L")) / 255, frame.info["duration"])
                     for frame in ImageSequence.Iterator(picture)])


@pytest.mark.parametrize("n", [8, 100])
def test_gif_shows_each_moment_with_its_step(n, tmp_path, rng):
    frames = [(step, rng.uniform(-1, 1, (n, 28, 28, 1))) for step in (1, 50, 3000)]
    animation.gif(frames, tmp_path / "g.gif")
    pictures, pace = read(tmp_path / "g.gif")
    assert pace == (120, 120, 2000)
    width = min(n, 10) * (28 + GAP) - GAP + 4
    zoom = pictures[0].shape[1] // width
    labels = [picture[:zoom * animation.LABEL_HEIGHT:zoom, ::zoom] for picture in pictures]
    assert all((label < 0.5).sum() > 20 for label in labels)                        # letters
    assert (labels[0] != labels[1]).any() and (labels[1] != labels[2]).any()
    for (_, images), picture in zip(frames, pictures):
        small = picture[zoom // 2::zoom, zoom // 2::zoom]
        for k in (0, 3, n - 1):
            top, left = animation.LABEL_HEIGHT + k // 10 * (28 + GAP), 2 + k % 10 * (28 + GAP)
            assert np.abs(small[top:top + 28, left:left + 28] - (1 - images[k, ..., 0]) / 2).max() < 0.035   # 16 greys


@pytest.mark.parametrize("moments, expected", [(1, 1), (60, 60), (200, 60)])
def test_gif_of_a_long_run_is_thinned(moments, expected, tmp_path):
    frames = [(step, np.full((1, 8, 60, 1), 1 - 2 * step / moments)) for step in range(1, moments + 1)]
    animation.gif(frames, tmp_path / "g.gif")
    pictures, pace = read(tmp_path / "g.gif")
    assert len(pictures) == expected and pace[-1] == 2000
    middle = [picture[-20, picture.shape[1] // 2] for picture in pictures]
    assert middle[-1] == 1 and middle == sorted(middle)                             # in order, and the last is there


@pytest.mark.parametrize("latent", [2, 3, 100])
def test_slerp_goes_round_the_great_circle_at_an_even_pace(latent, rng):
    a, b = rng.standard_normal((2, latent))
    b *= np.linalg.norm(a) / np.linalg.norm(b)
    way = animation.slerp(a, b, np.linspace(0, 1, 11))
    assert np.allclose(way[0], a) and np.allclose(way[-1], b)
    assert np.allclose(np.linalg.norm(way, axis=1), np.linalg.norm(a))
    paces = np.linalg.norm(np.diff(way, axis=0), axis=1)
    assert np.allclose(paces, paces[0])
    assert np.linalg.matrix_rank(way, tol=1e-9) == 2                                # it stays in the plane of a and b


def test_walk(tmp_path):
    gan, seen = tg.GAN(models.small_generator(width=2), models.small_discriminator(width=2)), []
    painted = gan.generate
    gan.generate = lambda z: seen.append(z) or painted(z)
    animation.walk(gan, tmp_path / "w.gif", tmp_path / "w.png", n=3, seed=5)
    path, = seen
    assert path.shape == (3 * animation.FRAMES_PER_LEG, 100) and np.allclose(np.linalg.norm(path, axis=1), 10)
    paces = np.linalg.norm(path - np.roll(path, 1, axis=0), axis=1)                 # it ends where it began: no jump
    assert paces.max() < 3
    with Image.open(tmp_path / "w.png") as strip:
        assert strip.size == (2 * (animation.FRAMES_PER_LEG * (28 + GAP) - GAP), 2 * (3 * (28 + GAP) - GAP))
    with Image.open(tmp_path / "w.gif") as picture:
        assert picture.size == (224, 224) and picture.n_frames > 30 and picture.info["loop"] == 0


def test_a_walk_goes_from_each_z_to_the_next_and_home_at_one_pace(tmp_path):
    seen = []
    gan = SimpleNamespace(latent=4, generate=lambda z: seen.append(z) or np.zeros((len(z), 3, 3, 1)))
    animation.walk(gan, tmp_path / "w.gif", tmp_path / "w.png", n=3, seed=7)
    z = np.random.default_rng(7).standard_normal((3, 4))
    z *= 2 / np.linalg.norm(z, axis=1, keepdims=True)
    for leg, (a, b) in enumerate(zip(z, z[[1, 2, 0]])):
        theta = np.arccos(a @ b / 4)
        for k in range(12):
            mu = k / 12
            expected = (np.sin((1 - mu) * theta) * a + np.sin(mu * theta) * b) / np.sin(theta)
            np.testing.assert_allclose(seen[0][12 * leg + k], expected, atol=1e-12)
    assert len(seen[0]) == 36


def test_a_walk_past_points_goes_round_on_a_map(tmp_path, monkeypatch):
    """G is the identity, so that the way is the circle of radius √2 on which all z stand."""
    seen, way = [], plots.way
    monkeypatch.setattr(plots, "way", lambda *arguments: seen.append(arguments) or way(*arguments))
    animation.walk(SimpleNamespace(latent=2, generate=np.asarray), tmp_path / "w.gif", tmp_path / "w.png", n=2, seed=5)
    points, others, leg, _ = seen[0]
    assert points.shape == (24, 2) and others.shape == (1000, 2) and leg == 12
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), np.sqrt(2))
    assert [now for *_, now in seen] == [*range(24), None]
    pictures, pace = read(tmp_path / "w.gif")
    assert len(pictures) == 24 and set(pace) == {80} and all((one != pictures[0]).any() for one in pictures[1:])
    with pytest.raises(tg.TinyganError, match="images or points in the plane"):
        animation.walk(SimpleNamespace(latent=3, generate=np.asarray), tmp_path / "w.gif", tmp_path / "w.png")


def test_a_walk_on_a_line_is_refused(tmp_path):
    gan = tg.GAN(models.point_generator(latent=1), models.point_discriminator(), latent=1)
    with pytest.raises(tg.TinyganError, match="great circle"):
        animation.walk(gan, tmp_path / "w.gif", tmp_path / "w.png")


def test_a_great_circle_from_a_point_to_itself_stays_there():
    a = np.array([3.0, 0.0, 4.0])
    np.testing.assert_allclose(animation.slerp(a, a, [0, 0.3, 1]), [a] * 3)
    b = a + [0, 1e-6, 0]
    np.testing.assert_allclose(animation.slerp(a, b, [0, 0.5, 1]), [a, (a + b) / 2, b], rtol=1e-6, atol=1e-9)
