"""Rejection: the logit on the line, two ways to choose, the D that goes on, and that each number is what it is called."""
import numpy as np
import pytest

import tinygan as tg
from tinygan.lessons import Lesson, rejection
from tinygan.look import metrics


def test_the_optimal_logit_is_the_logarithm_of_the_ratio_of_densities():
    x = np.linspace(-8, 8, 2401)
    p, q = np.exp(-x ** 2 / 2) / np.sqrt(2 * np.pi), np.exp(-(x - 1) ** 2 / 8) / np.sqrt(8 * np.pi)
    a = rejection.optimal_logit(x)
    np.testing.assert_allclose(a, np.log(p / q), atol=1e-12)
    assert a.max() == pytest.approx(np.log(2) + 1 / 6, abs=1e-4) and x[a.argmax()] == pytest.approx(-1 / 3, abs=0.01)


def test_two_ways_to_keep_a_fraction(rng):
    a = rng.permutation(np.linspace(-4, 0, 10_001))
    assert (rejection.surest(a, 0.25) == (a > -1)).all()
    kept = rejection.chosen(a, rng, 0.25)
    assert abs(kept.mean() - 0.25) < 0.02 and a[kept].min() < -1                # by chance: others are kept too
    assert rejection.chosen(a, rng).mean() == pytest.approx((1 - np.exp(-4)) / 4, abs=0.02)      # E e^(a − M), M = 0


def test_on_the_line_the_data_come_out(tmp_path):
    it = Lesson(tmp_path, None, None, limit=1, say=lambda text: None)
    rejection.line(it)
    found = {row.what: row.value for row in it.rows}
    assert found["line, optimal D, γ = 0: kept (theory: 42.3 %)"] == pytest.approx(42.3, abs=0.5)
    assert found["line, optimal D, γ = 0: mean (theory: 0)"] == pytest.approx(0, abs=0.02)
    assert found["line, optimal D, γ = 0: deviation (theory: 1)"] == pytest.approx(1, abs=0.02)
    assert found["line, optimal D, ¾ kept: kept"] == pytest.approx(75, abs=0.5)
    assert found["line, optimal D, ¼ kept: deviation"] < 0.9 < 1.1 < found["line, optimal D, ¾ kept: deviation"]


def test_a_d_that_goes_on_is_a_copy_that_learns_while_g_is_held(alone, rng):
    G, D = tg.models.small_generator(width=2), tg.models.small_discriminator(width=2)
    gan, white = tg.GAN(G, D), np.ones((64, 28, 28, 1), np.float32)
    before = [array.copy() for array in (*G.arrays(), *D.arrays())]
    other = rejection.taught(D, gan, white, 20, rng)
    assert all((a == b).all() for a, b in zip(before, (*G.arrays(), *D.arrays())))
    fakes = gan.sample(64)
    before, after = ((network(white).mean() - network(fakes).mean()).item() for network in (D, other))
    assert before < 0.001 and after > 0.01


def test_what_is_reported_is_what_it_is_called(tmp_path, monkeypatch):
    """The distance of a choice is its mean grey value, its other scores are multiples of that. D of the game likes dark samples,
    the D that goes on light ones."""
    it = Lesson(tmp_path, tg.data.digits(), None, limit=1, say=lambda text: None)
    monkeypatch.setattr(rejection, "line", lambda it: None)
    likes, drawn, painted = {}, {}, []

    class Likes(tg.Module):
        def __init__(self, slope):
            self.slope = slope

        def forward(self, x):
            return self.slope * x.mean(axis=(1, 2))

    def paint(z):
        painted.append(len(z))
        return np.full((1, 28, 28, 1), 0.2) * np.clip(z[:, :1, None, None], -4, 4)

    def build(seed):
        gan = tg.GAN(tg.models.small_generator(width=2), tg.models.small_discriminator(width=2))
        monkeypatch.setattr(gan, "fit", lambda images, *rest, **options: likes.update(images=images))
        monkeypatch.setattr(gan, "generate", paint)
        gan.discriminator = Likes(-5)
        return gan

    monkeypatch.setattr(rejection, "PRESETS", {"digits": type("Recipe", (), {"steps": 3, "batch_size": 4, "build": build})})
    monkeypatch.setattr(rejection, "taught", lambda D, gan, images, steps, rng: Likes(5))
    monkeypatch.setattr(rejection.metrics, "score", lambda x: metrics.Score(len(x), *(x.mean() * np.array([1, 0, 2, 3])), ()))
    monkeypatch.setattr(rejection.plots, "rows", lambda rows, *_: drawn.update(rows))
    rejection.lesson(it)
    assert likes["images"] is it.train[0] and len(it.rows) == 3 * 5
    for sure, distance, entropy in zip(*[iter(it.rows)] * 3):
        assert [row.what.rpartition(": ")[2][:5] for row in (sure, distance, entropy)] == ["share", "Fréch", "class"]
        assert (sure.value, entropy.value) == pytest.approx((200 * distance.value, 3 * distance.value))
    mean = {row.what.partition(":")[0]: row.value for row in it.rows if "Fréchet" in row.what}
    assert abs(mean["digits, all"]) < 0.02
    for who, sign in (("D of the game", -1), ("D that went on", 1)):
        by_chance, highest = (sign * mean[f"digits, {who}, {way}, ½ kept"] for way in ("rejection", "highest logits"))
        assert 0.05 < by_chance < 0.15 and highest == pytest.approx(0.2 * np.sqrt(2 / np.pi), abs=0.01)
    assert sum(painted) == int(1.1 * rejection.JUDGED / min(rejection.KEPT)) and max(painted) <= 500
    x = paint(it.rng(5).standard_normal((12, 100)))
    assert (drawn["drawn"] == x).all() and drawn["thrown away"].mean() < -0.02 < 0.02 < drawn["kept"].mean()
