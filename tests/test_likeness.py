"""Samples beside real pictures: known answers, and an order that eyes would agree with."""
import numpy as np
import pytest

import tinygan as tg
from tinygan.look import likeness


def test_known_answers_on_a_line():
    real, far = np.arange(10.0)[:, None], np.arange(10.0)[:, None] + 100
    assert likeness.neighbours(real, real)[:2] == (1.0, 1.0) and likeness.neighbours(real, real)[3] == 1.0
    assert likeness.neighbours(real, far) == (0.0, 0.0, 0.0, 0.0)
    one = np.full((10, 1), 4.0)                     # all samples are one real picture: precise, but what else is there?
    precision, recall, density, coverage = likeness.neighbours(real, one)
    # Balls to the 5th neighbour have the radius 5, 4, 3, 3, 3, 3, 3, 3, 4, 5 around 0 … 9.
    holds = [abs(k - 4) <= r for k, r in zip(range(10), (5, 4, 3, 3, 3, 3, 3, 3, 4, 5))]
    assert (precision, recall, coverage) == (1.0, 0.1, np.mean(holds)) and density == pytest.approx(sum(holds) / 5)


def test_another_way_to_count_them(rng):
    real, fake = rng.standard_normal((40, 3)), 1.5 * rng.standard_normal((40, 3)) + 0.5

    def radius(points, k, n):
        return sorted(np.linalg.norm(points - points[n], axis=1))[k]

    def inside(x, centres, k):
        return [np.linalg.norm(x - c) <= radius(centres, k, n) for n, c in enumerate(centres)]

    expected = (np.mean([any(inside(x, real, 3)) for x in fake]), np.mean([any(inside(x, fake, 3)) for x in real]),
                np.mean([sum(inside(x, real, 5)) / 5 for x in fake]),
                np.mean(np.any([inside(x, real, 5) for x in fake], axis=0)))
    np.testing.assert_allclose(likeness.neighbours(real, fake), expected)


@pytest.fixture(scope="module")
def judged():
    images, labels = tg.data.digits()
    rng = np.random.default_rng(1)
    images = images[rng.permutation(len(images))[:1200]]
    return images, likeness.Judge(images)


def test_the_order_is_that_of_eyes(judged, rng):
    images, judge = judged
    assert judge.n == 600 and 0 < judge.real.frechet and judge.real.precision > 0.6 and judge.real.coverage > 0.9
    noisy = (images + 0.5 * rng.standard_normal(images.shape)).clip(-1, 1).astype(np.float32)
    copies = np.repeat(images[:6], 100, axis=0)
    score, same = judge.score(noisy), judge.score(copies)
    assert score.frechet > 5 * judge.real.frechet and score.coverage < judge.real.coverage - 0.2
    assert same.frechet > 5 * judge.real.frechet and same.recall < 0.2 and same.coverage < 0.3 and same.precision > 0.5
    assert [name for name, _, _ in score.rows()][0] == "Fréchet distance" and "coverage" in str(score)


def test_the_same_judge_says_the_same(judged, monkeypatch):
    images, judge = judged
    monkeypatch.setattr(likeness, "STEPS", 20)
    assert likeness.Judge(images).real == likeness.Judge(images).real != judge.real


@pytest.mark.parametrize("shape", [(24, 17, 17, 3), (24, 32, 32, 3), (24, 45, 45, 1)])
def test_any_size_and_colour(shape, rng, monkeypatch):
    monkeypatch.setattr(likeness, "STEPS", 2)
    judge = likeness.Judge(rng.uniform(-1, 1, shape).astype(np.float32))
    assert judge.real.n == 12 and np.isfinite(judge.real.frechet)
    with pytest.raises(tg.TinyganError, match="got 3 samples, expected at least 12"):
        judge.score(np.zeros((3, *shape[1:])))
    with pytest.raises(tg.TinyganError, match="expected at least 20 square pictures"):
        likeness.Judge(np.zeros((3, *shape[1:])))
