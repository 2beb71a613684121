"""Modes of a mixture: how they are counted, the networks of the protocol, and the landscape that D makes of the plane."""
import json
import os

import numpy as np
import pytest
from matplotlib.image import imread
from PIL import Image

import tinygan as tg
from benchmarks import modes, stabilisers, trainings
from tinygan import backend, data, ops
from tinygan.cli import main
from tinygan.look import landscape, metrics
from tinygan.run import callbacks, presets


# The score

@pytest.mark.parametrize("draw, means, sigma", [
    (data.ring, data.RING_MEANS, data.RING_SIGMA), (data.grid, data.GRID_MEANS, data.GRID_SIGMA)])
def test_the_mixture_itself_scores_98_89_percent(draw, means, sigma):
    score = metrics.mode_score(draw(100_000, seed=5)[0], means, sigma)
    assert score.modes == score.of == len(means) and score.n == 100_000
    assert abs(score.quality - (1 - np.exp(-4.5))) < 0.002 and score.reverse_kl < 0.001


def test_a_score_by_hand():
    means = np.array([[0.0, 0], [10, 0], [0, 10], [10, 10]])
    points = [[0, 0], [3, 0], [0, -2.9], [10, 3.1], [9, 1], [10, 10.5], [12.5, 10], [4.9, 4.9]]      # σ = 1
    score = metrics.mode_score(points, means, 1.0)
    p = np.array([4, 2, 2]) / 8                         # the last point is nearest to the first mode, but close to none
    assert (score.modes, score.of, score.quality) == (3, 4, 6 / 8)
    np.testing.assert_allclose(score.reverse_kl, (p * np.log(4 * p)).sum())


def test_collapse_is_one_mode_and_a_reverse_kl_of_ln_8():
    score = metrics.mode_score(np.tile(data.RING_MEANS[3], (50, 1)), data.RING_MEANS, data.RING_SIGMA)
    assert (score.modes, score.quality) == (1, 1.0)
    np.testing.assert_allclose(score.reverse_kl, np.log(8))
    assert str(score) == "1 of 8 modes, 100.0% within 3σ of one, reverse KL 2.079 (n = 50)"


def test_samples_beside_every_mode_cover_none():
    score = metrics.mode_score(1.1 * data.RING_MEANS, data.RING_MEANS, data.RING_SIGMA)
    assert (score.modes, score.quality, score.reverse_kl) == (0, 0.0, 0.0)


@pytest.mark.parametrize("points", [np.zeros((3, 3)), np.zeros(3), np.zeros((0, 2)), [[np.nan, 0]], np.zeros((2, 28, 28, 1))])
def test_what_has_no_modes_is_refused(points):
    with pytest.raises(tg.TinyganError, match="expected"):
        metrics.mode_score(points, data.RING_MEANS, data.RING_SIGMA)


# Maxout and the published networks

@pytest.mark.parametrize("order", [1, 2])
def test_maxout_is_the_largest_of_its_pieces(order, rng):
    x = rng.permuted(np.linspace(-2, 2, 60).reshape(4, 5, 3), axis=1)
    np.testing.assert_array_equal(ops.maxout(tg.Tensor(x.reshape(4, 15)), 5).data, x.max(axis=1))
    tg.check_gradients(lambda x: ops.maxout(x, 5), x.reshape(4, 15), order=order)
    tg.check_gradients(tg.Sequential(tg.Dense(3, 8), tg.layers.Maxout(4), tg.Dense(2, 1)), x[:, 0], order=order)


def test_equal_pieces_share_the_gradient():
    x = tg.Tensor([[1.0, 5, 1, 2], [0, 0, 3, 4]], requires_grad=True)                   # pieces (1, 5), (1, 2)
    g, = tg.grad(ops.maxout(x, 2), x, np.ones((2, 2)))
    np.testing.assert_array_equal(g.data, [[0.5, 1, 0.5, 0], [0, 0, 1, 1]])


def test_maxout_of_other_shapes_is_refused():
    for shape in ((2, 7), (2, 3, 6), (6,)):
        with pytest.raises(tg.TinyganError, match="maxout of 3 pieces"):
            ops.maxout(tg.Tensor(np.zeros(shape)), 3)


def test_the_published_networks_have_the_published_sizes():
    G, D = tg.models.mixture_generator(), tg.models.mixture_discriminator()
    assert [p.shape for p in G.parameters()] == [(2, 400), (400,), (400,), *[(400, 400), (400,), (400,)] * 3, (400, 2), (2,)]
    assert [p.shape for p in D.parameters()] == [(2, 1000), (1000,), (200, 1000), (1000,), (200, 1000), (1000,), (200, 1), (1,)]


# The landscape

class Hill(tg.Module):
    """D(x) = 3 − ‖x − (1, 0)‖²"""

    def __init__(self):
        self.top = tg.Tensor(np.array([[1.0, 0]]), requires_grad=True)

    def forward(self, x):
        return 3 - ((x - self.top) ** 2).sum(axis=1, keepdims=True)


def hill(loss="non_saturating"):
    return tg.GAN(tg.models.point_generator().astype(np.float64), Hill(), latent=2, loss=loss)


def test_arrows_point_uphill_and_the_surface_is_ds_belief(rng):
    samples = rng.uniform(-2, 2, (7, 2))
    surface, arrows = landscape.landscape(hill(), samples, (-2, 2, -1, 1))
    a = 3 - ((samples - [1, 0]) ** 2).sum(axis=1)
    np.testing.assert_allclose(arrows, -2 * (samples - [1, 0]) / (1 + np.exp(a))[:, None])      # σ(−a)·∂a/∂x
    assert surface.shape == (landscape.SIDE, landscape.SIDE)
    np.testing.assert_allclose(surface[-1, 0], 1 / (1 + np.exp(-(3 - 9 - 1))))                  # left, top: (−2, 1)
    np.testing.assert_allclose(landscape.landscape(hill("wasserstein"), samples, (-2, 2, -1, 1))[0][-1, 0], -7)


def test_the_window_is_a_square_around_the_data():
    left, right, bottom, top = landscape.window(np.array([[0.0, 0], [10, 5]]))
    assert (left, right, bottom, top) == (-1, 11, -3.5, 8.5)


def test_looking_changes_nothing(rng):
    gan = presets.stabilised(presets.PRESETS["ring"].build(0), 0, spectral_norm=True)
    gan.fit(data.ring(200)[0], 2)
    before = [array.copy() for array in gan.discriminator.arrays()]
    landscape.landscape(gan, rng.standard_normal((5, 2)), (-1, 1, -1, 1))
    assert all(np.array_equal(a, b) for a, b in zip(before, gan.discriminator.arrays())) and gan.discriminator.training
    assert all(p.grad is None or p.grad.shape == p.shape for p in gan.discriminator.parameters())


@pytest.mark.parametrize("preset", ["ring", "grid"])
def test_a_run_draws_its_landscape(preset, tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "FRAMES", 3)
    assert main(["train", preset, "--steps", "5", "--out", str(tmp_path / "run"), "--quiet"]) == 0
    assert imread(tmp_path / "run" / "landscape.png").shape[:2] == (744, 768)
    frames = callbacks.Frames(tg.GAN.load(tmp_path / "run" / "checkpoint.npz"), 5, presets.PRESETS[preset].load(None),
                              tmp_path / "run" / "frames.npz")
    with Image.open(tmp_path / "run" / "training.gif") as picture:
        assert picture.n_frames == len(frames.taken) == len(frames.landscapes) > 1
    surface, arrows = frames.landscapes[-1]
    assert surface.shape == (60, 60) and arrows.shape == (landscape.ARROWS, 2) and surface.dtype == np.float16
    assert "</html>" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_the_landscape_on_the_device(device, rng):
    samples, results = rng.standard_normal((5, 2)), []
    for where in (device, "cpu"):
        gan = presets.PRESETS["ring"].build(0)
        for network in (gan.generator, gan.discriminator, gan.averaged):
            network.astype(np.float64)
        results.append(landscape.landscape(gan.to(where), samples, (-1, 1, -1, 1)))
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("pieces", [1, 3])
def test_maxout_on_the_device(pieces, device, rng):
    x, results = rng.standard_normal((4, 6)), []
    for where in (device, "cpu"):
        leaf = tg.Tensor(backend.to_device(x, where), requires_grad=True)
        y = ops.maxout(leaf, pieces)
        results.append([y.data, tg.grad((y ** 2).sum(), leaf)[0].data])
    for ours, theirs in zip(*results):
        np.testing.assert_array_equal(tg.to_numpy(ours), theirs)


# The benchmark

def test_the_benchmark_goes_on_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(trainings, "RESULTS", tmp_path)
    monkeypatch.setattr(trainings.multiprocessing, "get_context", lambda kind: Alone)
    jobs = [{"seed": seed} for seed in range(3)]
    first = trainings.train_missing("x", jobs[:2], lambda job: {"modes": job["seed"]}, 1)
    again = trainings.train_missing("x", jobs, lambda job: {"modes": 10 + job["seed"]}, 1)
    assert [line["result"]["modes"] for line in first + again] == [0, 1, 0, 1, 12]
    assert again[2]["cores"] == int(os.environ["OPENBLAS_NUM_THREADS"])
    assert "3 trainings, 2 of them done" in capsys.readouterr().out
    assert len((tmp_path / "x.jsonl").read_text().splitlines()) == 3


class Alone:
    """A pool of this process."""
    Pool = classmethod(lambda cls, processes: cls())
    __enter__, __exit__ = lambda self: self, lambda self, *_: None
    imap_unordered = staticmethod(map)


def test_every_row_is_played_and_printed_beside_the_published_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(trainings, "RESULTS", tmp_path)
    monkeypatch.setattr(trainings.multiprocessing, "get_context", lambda kind: Alone)
    monkeypatch.setattr(modes, "SAMPLES", 50)
    modes.main(["--steps", "2", "--seeds", "2"])
    lines = [json.loads(line) for line in (tmp_path / "modes.jsonl").read_text().splitlines()]
    assert len(lines) == 2 * 2 * len(modes.ROWS) and {line["job"]["seed"] for line in lines} == {0, 1}
    page = (tmp_path / "modes.md").read_text()
    assert "| GAN, published | published | 400,000 | 10 | 6.3 ± 0.5 | 98.2 ± 0.2 | 0.45 ± 0.09 |" in page
    assert page.count("| 2 | 2 |") == 2 * len(modes.ROWS) and "98.89" in page
    assert "β₁ 0.5 (ring) and 0 (grid), steps over" in page
    assert "γ of R₁ 0.0005 (ring) and 0.02 (grid)" in page and "GAN**: learning rate of G 0.0001, of D 0.0001, β₁ 0.8\n" in page


def test_every_stabiliser_has_a_line_for_the_ring_and_one_for_digits(tmp_path, monkeypatch):
    monkeypatch.setattr(trainings, "RESULTS", tmp_path)
    monkeypatch.setattr(trainings.multiprocessing, "get_context", lambda kind: Alone)
    outcome = {"ring": {"modes": 7, "quality": 90.0, "reverse_kl": 0.1},
               "digits": {"frechet": 30.0, "sure": 40.0, "entropy": 2.0}}
    monkeypatch.setattr(stabilisers, "play", lambda job: outcome[job["task"]])
    stabilisers.main(["--seeds", "1"])
    page = (tmp_path / "stabilisers.md").read_text()
    assert all(page.count(f"\n| {row} |") == 2 for row in stabilisers.ROWS)
    told = [json.loads(line)["job"]["told"] for line in (tmp_path / "stabilisers.jsonl").read_text().splitlines()]
    assert told[0] == stabilisers.WITHOUT and len(told) == 2 * len(stabilisers.ROWS)


def test_mean_and_standard_error():
    assert trainings.mean_and_error([1, 2, 3, 6]) == "3.0 ± 1.1" and trainings.mean_and_error([2.5]) == "2.5"
