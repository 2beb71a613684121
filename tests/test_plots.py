"""The pictures: the right size, the right pixels, and never a window."""
import ast
import importlib
import io
import subprocess
import sys
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.image import imread

import tinygan as tg
from tinygan import plots
from tinygan.lessons import augmentation, features, semi_supervised
from tinygan.look import animation, report
from tinygan.look.likeness import Likeness
from tinygan.theory import gauss1d, pictures

ZOOM, GAP = plots.ZOOM, plots.GAP
METRICS = ("d_loss", "g_loss", "d_real", "d_fake")


def grey(path):
    """The picture as (H, W) in [0, 1], 0 black."""
    picture = imread(path)
    return picture if picture.ndim == 2 else picture[..., :3].mean(axis=-1)


@pytest.mark.parametrize("n, columns, height, width, rows", [
    (100, 10, 28, 28, 10), (7, 3, 5, 9, 3), (1, 10, 28, 28, 1), (12, 5, 1, 1, 3)])
def test_samples_stand_in_a_grid_of_whole_pixels(n, columns, height, width, rows, tmp_path, rng):
    images = rng.uniform(-1, 1, (n, height, width, 1))
    plots.samples(images, tmp_path / "s.png", columns)
    picture, columns = grey(tmp_path / "s.png"), min(n, columns)
    assert picture.shape == (ZOOM * (rows * (height + GAP) + GAP), ZOOM * (columns * (width + GAP) + GAP))
    sheet = picture[::ZOOM, ::ZOOM]
    assert np.array_equal(sheet.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1), picture)     # nothing is interpolated
    for k, image in enumerate(images[..., 0]):                                            # row by row, in order
        top, left = GAP + k // columns * (height + GAP), GAP + k % columns * (width + GAP)
        assert np.abs(sheet[top:top + height, left:left + width] - (1 - image) / 2).max() < 0.01
    assert (sheet[:GAP] == 1).all() and (sheet[-GAP:] == 1).all()


def test_ink_is_dark_on_white_paper(tmp_path):
    plots.samples(np.stack([np.ones((4, 4, 1)), -np.ones((4, 4, 1))]), tmp_path / "s.png")
    sheet = grey(tmp_path / "s.png")[::ZOOM, ::ZOOM]
    assert (sheet[GAP:GAP + 4, GAP:GAP + 4] == 0).all() and (sheet[GAP:GAP + 4, 2 * GAP + 4:] == 1).all()


@pytest.mark.parametrize("moments", [1, 6])
def test_progress_has_a_row_for_each_moment_and_a_column_for_each_noise(moments, tmp_path):
    images = np.ones((8, 12, 16, 1)) * np.where(np.arange(8) % 2, 1, 0.0)[:, None, None, None]   # grey, black, …
    plots.progress([(10 ** i, images) for i in range(moments)], tmp_path / "p.png")
    picture = imread(tmp_path / "p.png")
    assert picture.shape[1] == 840 and abs(picture.shape[0] - 120 * (0.85 * moments + 0.6)) <= 1
    black = grey(tmp_path / "p.png") < 0.02
    in_rows, in_columns = black.sum(axis=1) > 200, black.sum(axis=0) > 20 * moments     # letters are thinner
    assert np.count_nonzero(np.diff(in_rows.astype(int)) == 1) == moments
    assert np.count_nonzero(np.diff(in_columns.astype(int)) == 1) == 4


@pytest.mark.parametrize("steps", [1, 2, 49, 50, 10_000])
def test_losses_of_a_short_and_of_a_long_run(steps, tmp_path, rng):
    history = {name: rng.uniform(low, low + 0.2, steps).tolist() for name, low in zip(METRICS, (0.1, 0.7, 0.7, 0.1))}
    plots.losses(history, tmp_path / "l.png")
    picture = imread(tmp_path / "l.png")
    assert picture.shape[:2] == (720, 960)
    for colour in (plots.BLUE, plots.ORANGE):                     # both curves are there, in both panels
        rgb = np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)]) / 255
        drawn = (np.abs(picture[..., :3] - rgb) < 0.02).all(axis=-1)
        assert drawn[:360].sum() > 50 and drawn[360:].sum() > 50


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", [slice(3, 4), slice(5, None), slice(None)])
def test_losses_of_a_run_that_went_wrong(bad, where, tmp_path):
    values = np.linspace(0.1, 0.9, 200)
    values[where] = bad
    plots.losses({name: values.tolist() for name in METRICS}, tmp_path / "l.png")
    assert imread(tmp_path / "l.png").shape[:2] == (720, 960)


def test_scores_are_curves_with_the_best_marked_beside_real_ones(monkeypatch, tmp_path):
    figures = []
    monkeypatch.setattr(plots, "_finished", lambda figure, path: figures.append(figure))
    plots.scores([{"step": 5, "frechet": 9.0}, {"step": 10, "frechet": 4.0}], 10, real=Likeness(9, 1.5, 1, 1, 1, 1))
    plots.scores([{"step": 5, "modes": 8, "quality": 0.7}, {"step": 10, "modes": 7, "quality": 0.9}], 5)
    found = [[line.get_xydata().tolist() for line in axis.lines] for figure in figures for axis in figure.axes]
    assert found == [[[[5, 9], [10, 4]], [[10, 4]], [[0, 1.5], [1, 1.5]]],
                     [[[5, 8], [10, 7]], [[5, 8]]], [[[5, 0.7], [10, 0.9]], [[5, 0.7]]]]


def test_progress_of_points_has_a_panel_for_each_moment(monkeypatch, rng):
    figures, frames = [], [(step, rng.normal(0, step, (50, 2))) for step in (1, 2000)]
    monkeypatch.setattr(plots, "_finished", lambda figure, path: figures.append(figure))
    plots.progress(frames)
    axes = figures[0].axes
    assert [axis.get_title() for axis in axes] == ["step 1", "step 2,000"] and axes[0].get_xlim() == axes[1].get_xlim()
    low, high = axes[0].get_ylim()
    assert low < frames[1][1][:, 1].min() and frames[1][1][:, 1].max() < high
    for axis, (_, points) in zip(axes, frames):
        np.testing.assert_allclose(axis.collections[0].get_offsets(), points)


def test_scatter_shows_generated_points_with_and_without_real_ones(tmp_path, rng):
    points, real = rng.normal(0, 1, (200, 2)), rng.normal(0, 3, (200, 2))
    plots.scatter(points, tmp_path / "alone.png")
    plots.scatter(points, tmp_path / "both.png", real)
    alone, both = imread(tmp_path / "alone.png"), imread(tmp_path / "both.png")
    assert alone.shape[:2] == both.shape[:2] == (720, 720) and not np.array_equal(alone, both)


def test_drawing_loads_no_pyplot_and_scoring_no_matplotlib(tmp_path):
    program = ("import sys, numpy as np; from tinygan import metrics; assert 'matplotlib' not in sys.modules; "
               "from tinygan import plots; plots.samples(np.zeros((2, 4, 4, 1)), 's.png'); "
               "plots.scatter(np.zeros((2, 2)), 'p.png'); assert 'matplotlib.pyplot' not in sys.modules")
    path = str(Path(tg.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {path!r}); {program}"], cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_plots_and_metrics_are_names_of_the_package():
    """They lie in look/; a lesson plan may say `from tinygan import plots`, `tg.plots` or `tg.metrics`."""
    assert tg.plots is plots is importlib.import_module("tinygan.look.plots")
    assert tg.metrics is importlib.import_module("tinygan.look.metrics")
    with pytest.raises(AttributeError, match="'tinygan' has no attribute 'plot'"):
        tg.plot


def test_without_a_path_the_picture_comes_back():
    """As an Image, whose _repr_png_ a notebook calls; the same picture as in the file."""
    history = {name: [0.5, 1.0, 1.5] for name in ("d_loss", "g_loss")} | {name: [0.5] * 3 for name in ("d_real", "d_fake")}
    images = np.zeros((8, 28, 28, 1), np.float32)
    for picture in (plots.samples(images), plots.progress([(1, images)]), plots.losses(history),
                    plots.scatter(images[:, 0, :2, 0])):
        assert picture._repr_png_().startswith(b"\x89PNG") and min(picture.size) > 20


def test_images_are_grey_or_coloured():
    for shape in ((2, 28, 28), (2, 28, 28, 2)):
        with pytest.raises(tg.TinyganError, match="expected images"):
            plots.samples(np.zeros(shape))


def test_colours_are_as_they_are_and_grey_is_ink_only_if_asked_for():
    colour = np.array([1.0, -1.0, 0.0])
    paper = plots.sheet(np.broadcast_to(colour, (2, 4, 5, 3)))
    assert paper.shape == (4, 12, 3) and (paper[:, :5] == [1, 0, 0.5]).all() and (paper[:, 5:7] == 1).all()
    dark = np.full((1, 4, 5, 1), -1.0)
    assert (plots.sheet(dark) == 1).all() and (plots.sheet(dark, ink=False) == 0).all()
    frames = [(step, np.broadcast_to(colour, (8, 16, 16, 3))) for step in (1, 2)]
    for drawn in (plots.samples(frames[0][1]), plots.progress(frames), plots.rows([("row", frames[0][1])])):
        assert (abs(np.asarray(drawn.convert("RGB"), int) - [255, 0, 128]) <= 1).all(axis=2).sum() > 8 * 16 * 16


def test_losses_that_are_no_beliefs_have_no_log_4(monkeypatch):
    labels = []
    monkeypatch.setattr(plots, "_finished", lambda figure, path: labels.extend(
        text.get_text() for axis in figure.axes for text in axis.get_legend().get_texts()))
    beliefs = {"d_loss": [1.4, 1.3], "g_loss": [0.7, 0.7], "d_real": [0.5, 0.6], "d_fake": [0.5, 0.4]}
    plots.losses(beliefs)
    assert any("log 4" in label for label in labels)
    labels.clear()
    plots.losses(beliefs | {"d_real": [3.0, -4.0], "d_loss": [-7.0, 2.0]})
    assert labels and not any("log 4" in label or "½" in label for label in labels)


def test_rows_put_every_image_in_its_place(tmp_path, rng):
    images = rng.choice([-1.0, 1.0], (2, 3, 4, 4, 1))
    images[0, :, 0], images[-1, :, -1], images[:, 0, :, 0], images[:, -1, :, -1] = 1, 1, 1, 1      # ink up to the edges
    plots.rows([("", images[0]), ("", images[1])], tmp_path / "r.png")
    ink = grey(tmp_path / "r.png") < 0.5
    (top, bottom), (left, right) = (np.flatnonzero(ink.any(axis=axis))[[0, -1]] for axis in (1, 0))
    scale = (right + 1 - left) / (3 * (4 + GAP) - GAP)
    assert scale == pytest.approx((bottom + 1 - top) / (2 * (4 + GAP) - GAP), rel=0.02)
    for row, column, i, j in np.ndindex(2, 3, 4, 4):
        y, x = (row * (4 + GAP) + i + 0.5) * scale, (column * (4 + GAP) + j + 0.5) * scale
        assert ink[top + int(y), left + int(x)] == (images[row, column, i, j, 0] > 0)


def test_rows_have_their_label_on_the_left(rng):
    """And without a path a picture comes back."""
    paper = -np.ones((3, 4, 4, 1))
    picture = np.asarray(plots.rows([("above", paper), ("", paper)]).convert("L")) < 128
    lines, columns = np.nonzero(picture)
    assert len(lines) > 20 and lines.max() < picture.shape[0] / 2 and columns.max() < picture.shape[1] / 2


# Whatever the caller has set

RING = tg.data.ring(300)[0]
HISTORY = {name: [0.6, 0.9, 0.7] for name in METRICS}
STORY = [gauss1d.Moment(k, gauss1d.normal(gauss1d.X, 1), 0 * gauss1d.X, np.zeros(3), np.ones(3)) for k in range(3)]
PULLS = {name: (gauss1d.X, gauss1d.X) for name in ("non-saturating", "saturating")}
WAY = {"simultaneous": np.ones((3, 2))}
DRAWN = {                       # every function that draws with matplotlib → an Image or a Figure
    "progress": lambda: plots.progress([(k, tg.data.digits()[0][:8]) for k in (1, 2)]),
    "rows": lambda: plots.rows([("a", tg.data.digits()[0][:8])], title="a title"),
    "losses": lambda: plots.losses(HISTORY),
    "scatter": lambda: plots.scatter(RING, real=RING),
    "landscape": lambda: plots.landscape(3, RING, RING, np.linspace(0, 1, 400).reshape(20, 20), RING[:5], (-2, 2, -2, 2)),
    "optimal": lambda: pictures.optimal(gauss1d.X, [("q", STORY[0].q, STORY[1].q, STORY[0].belief, PULLS)] * 2),
    "game": lambda: pictures.game(gauss1d.X, STORY[0].q, STORY, [0, 2]),
    "portrait": lambda: pictures.portrait(dict.fromkeys("ab", np.ones((4, 2))), dict.fromkeys("ab", WAY), None, 2, "title"),
    "augmentation": lambda: augmentation.picture(
        {(n, way): [9.0] for n in augmentation.DIGITS_PER_CLASS for way in augmentation.WAYS}),
    "semi_supervised": lambda: semi_supervised.picture(
        dict.fromkeys((semi_supervised.ALONE, semi_supervised.ALL, semi_supervised.GAME.format(100)), [(1, 90.0), (2, 50.0)])),
    "features": lambda: features.picture({name: RING[:20] for name in features.MAPS}, np.arange(20) % 10),
}
SET = {"image.origin": "lower", "image.cmap": "jet", "text.usetex": True, "font.size": 30.0, "font.family": "monospace",
       "figure.dpi": 30.0, "figure.facecolor": "black", "axes.facecolor": "red", "axes.grid": True, "lines.linewidth": 9.0,
       "savefig.bbox": "tight", "savefig.transparent": True, "savefig.format": "svg", "savefig.dpi": 20.0,
       "axes.autolimit_mode": "round_numbers", "axes.prop_cycle": plt.cycler(color=["yellow"])}


def seen(draw, path):
    """The picture as an Image, as a file and as a frame of a film: (pixels, bytes, bytes)."""
    shown = draw()
    if not isinstance(shown, Figure):
        return np.asarray(shown), b"", b""
    plots.save(shown, path / "saved.png")
    animation.figures_gif([draw(), draw()], path / "film.gif")
    return np.asarray(plots.drawn(shown)), (path / "saved.png").read_bytes(), (path / "film.gif").read_bytes()


@pytest.mark.parametrize("name", DRAWN)
def test_pictures_are_drawn_with_settings_of_their_own(name, tmp_path):
    expected = seen(DRAWN[name], tmp_path)
    with plt.rc_context(SET):
        before = dict(plt.rcParams)
        found = seen(DRAWN[name], tmp_path)
        assert dict(plt.rcParams) == before
    assert np.array_equal(found[0], expected[0]) and found[1:] == expected[1:] and not plt.get_fignums()


def test_files_of_pictures_and_the_report_too(tmp_path):
    def written():
        plots.losses(HISTORY, tmp_path / "losses.png")
        plots.scatter(RING, str(tmp_path / "no ending"))
        buffer = io.BytesIO()
        plots.samples(tg.data.digits()[0][:4], tmp_path / "samples.png"), plots.losses(HISTORY, buffer)
        report.write(tmp_path / "report.html", title="t", config={}, history=HISTORY, frames=[(1, RING)], samples=RING,
                     real=RING, score=None, real_score=None, findings=[], networks={})
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()} | {"buffer": buffer.getvalue()[:8]}

    expected = written()
    with plt.rc_context(SET | {"savefig.format": "png"}):
        assert written() == expected
    assert expected.keys() == {"losses.png", "no ending.png", "samples.png", "report.html", "buffer"}
    assert expected["buffer"] == b"\x89PNG\r\n\x1a\n"


def test_threads_that_draw_leave_the_settings_as_they_were():
    with plt.rc_context({"image.origin": "lower", "font.size": 30.0}):
        before, expected = dict(plt.rcParams), np.asarray(DRAWN["rows"]())
        found = []
        threads = [Thread(target=lambda: found.append(np.asarray(DRAWN["rows"]()))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert dict(plt.rcParams) == before and len(found) == 6
    assert all(np.array_equal(picture, expected) for picture in found)


def test_whoever_makes_a_figure_has_settings_of_its_own():
    house, found = Path(tg.__file__).parent, set()
    for path in (*house.rglob("*.py"), *(house.parent / "benchmarks").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(
                    isinstance(inner, ast.Call) and ast.unparse(inner.func) == "Figure" for inner in ast.walk(node)):
                found.add(node.name)
                assert "own_settings()" in " ".join(map(ast.unparse, node.decorator_list)), (path, node.name)
    assert {"losses", "portrait", "picture", "_bars"} <= found
