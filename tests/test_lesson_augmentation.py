"""The lesson on augmentation: what moves a digit, and that a classifier sees no more than it is said to."""
import numpy as np
import pytest

import tinygan as tg
from tinygan.lessons import Lesson, augmentation
from tinygan.look import metrics

pytest.importorskip("scipy", reason="pip install '.[lessons]'")


class Always:
    """A random stream that gives the same turn and shift to every image, as fractions of the largest"""

    def __init__(self, *fractions):
        self.fractions = fractions

    def uniform(self, low, high, shape):
        assert (low, high) == (-1, 1)
        return np.tile(self.fractions, (shape[0], 1))


def test_unmoved_digits_are_the_same():
    images = tg.data.digits()[0][:20]
    np.testing.assert_allclose(augmentation.moved(images, Always(0, 0, 0)), images, atol=1e-6)


def test_a_shift_is_a_shift():
    images = tg.data.digits()[0][:20]
    result = augmentation.moved(images, Always(0, 1, -0.5))                             # two pixels down, one to the left
    np.testing.assert_allclose(result[:, 2:, :-1], images[:, :-2, 1:], atol=1e-6)
    assert (result[:, :2] == -1).all() and (result[:, :, -1] == -1).all()


def test_a_turn_is_about_the_middle_and_keeps_the_ink():
    y, x = np.mgrid[:28, :28] - 13.5
    bar = np.where((np.abs(x) < 1.5) & (np.abs(y) < 8), 1, -1)[None, ..., None].astype(np.float32)
    result = augmentation.moved(bar, Always(1, 0, 0))
    ink = (result[0, ..., 0] + 1) / 2
    assert ink.sum() == pytest.approx((bar + 1).sum() / 2, rel=0.02)
    assert abs((ink * x).sum()) < 0.02 * ink.sum() and abs((ink * y).sum()) < 0.02 * ink.sum()
    covariance = np.array([[(ink * a * b).sum() for a in (x, y)] for b in (x, y)])
    along = np.linalg.eigh(covariance)[1][:, -1]
    assert np.rad2deg(np.arccos(abs(along[1]))) == pytest.approx(augmentation.MAX_TURN, abs=0.3)
    assert result.min() >= -1 - 1e-6 and result.max() <= 1 + 1e-6 and result.dtype == np.float32


def test_no_other_digit_of_the_training_set_is_looked_at(tmp_path, rng):
    """Exchange all images that were not chosen, and nothing changes."""
    (images, labels), test = tg.data.digits(), tg.data.held_out_digits()
    outcomes = []
    for others in (False, True):
        it = Lesson(tmp_path, (images.copy(), labels), test, limit=2, say=lambda text: None)
        if others:
            few = augmentation.choose(labels, it.rng(0, 10, 0), 10)
            assert len(few) == 100 and (np.bincount(labels[few]) == 10).all()
            unseen = np.setdiff1d(np.arange(len(images)), few)
            it.train[0][unseen] = rng.uniform(-1, 1, (len(unseen), 28, 28, 1))
        errors, (drawn, asked) = augmentation.play(it, 0, 10)
        outcomes.append((errors, drawn.tobytes(), asked.tolist()))
    assert outcomes[0] == outcomes[1] and set(outcomes[0][0]) == set(augmentation.WAYS)


def test_half_of_a_batch_is_drawn(rng):
    real = np.zeros((30, 28, 28, 1), np.float32), np.zeros(30, int)
    drawn = np.ones((50, 28, 28, 1), np.float32), np.ones(50, int)
    images, labels = augmentation.half_and_half(real, drawn, rng)
    assert images.shape == (augmentation.BATCH, 28, 28, 1) and labels.sum() == images.mean(axis=(1, 2, 3)).sum() == 32


def test_the_learning_rate_falls_in_a_straight_line(monkeypatch, rng):
    parts, batches, step = [], [], tg.Adam.step
    monkeypatch.setattr(tg.Adam, "step", lambda self, part: parts.append(part) or step(self, part))
    network = tg.Sequential(tg.Flatten(), tg.Dense(4, 10)).initialise(rng)
    images, labels = rng.random((2, 2, 2, 1), np.float32), np.array([3, 5])
    before = float(tg.losses.cross_entropy(network(images), labels))
    augmentation.train(network, lambda: batches.append(1) or (images, labels), 4)
    assert parts == [1, 0.75, 0.5, 0.25] and len(batches) == 4
    assert float(tg.losses.cross_entropy(network(images), labels)) < before


class Three(tg.Module):
    """Says of every image that it is a 3."""

    def forward(self, x):
        return tg.Tensor(np.tile(np.eye(10)[3], (len(x), 1)))


def test_each_way_sees_what_it_is_called(monkeypatch, tmp_path):
    """A digit of class y is y/20 all over, a sample −y/20 − 0.01: the middle says what an image is, white paper at a side
    that it was moved."""
    def painted(values):
        return values.astype(np.float32)[:, None, None, None] * np.ones((1, 28, 28, 1), np.float32)

    labels = np.arange(300) % 10
    it = Lesson(tmp_path, (painted(labels / 20), labels),
                (np.zeros((8, 28, 28, 1), np.float32), np.array([3, 3, 1, 3, 0, 9, 3, 3])), limit=1)
    seen, streams = [], []

    def gan(D, images, labels, steps, rng, seed):
        assert np.bincount(labels).tolist() == [20] * 10 and seed == it.seed + 2
        np.testing.assert_allclose(images[:, 14, 14, 0], labels / 20, rtol=1e-6)
        return "G"

    def draw(G, z):
        assert G == "G" and z.shape == (augmentation.SAMPLES_PER_CLASS, augmentation.LATENT) and abs(z.std() - 1) < 0.02
        asked = np.arange(10).repeat(3)
        return painted(-asked / 20 - 0.01), asked

    monkeypatch.setattr(augmentation, "train_gan", gan)
    monkeypatch.setattr(augmentation, "draw", draw)
    monkeypatch.setattr(augmentation, "untrained", lambda rng: streams.append(rng.random()) or Three())
    monkeypatch.setattr(augmentation, "train", lambda network, batch, steps: seen.append(batch()))
    errors, (_, asked) = augmentation.play(it, 2, 20)
    assert errors == {way: pytest.approx(37.5) for way in augmentation.WAYS} and len(asked) == 30       # five of 8 are a 3
    assert len(streams) == 4 and len(set(streams)) == 1
    for (images, labels), way in zip(seen, augmentation.WAYS):
        middle, drawn = images[:, 14, 14, 0], images[:, 14, 14, 0] < -0.005
        np.testing.assert_allclose(middle, np.where(drawn, -labels / 20 - 0.01, labels / 20), atol=1e-5)
        assert len(images) == augmentation.BATCH and drawn.sum() == (32 if way in ("samples", "both") else 0)
        moved = (images.min(axis=(1, 2, 3)) < middle - 0.1).mean()
        assert moved > 0.9 if way in ("moved", "both") else moved == 0


@pytest.mark.parametrize("full, runs", [(False, 1), (True, 3)])
def test_what_is_reported_is_what_it_is_called(full, runs, monkeypatch, tmp_path):
    """Of 20 samples that the judge recognises 5 were asked for as another class."""
    images, labels = tg.data.digits()
    known = np.flatnonzero(metrics.classifier()(images[:40]).data.argmax(axis=1) == labels[:40])[:20]
    asked, rows = labels[known] + (np.arange(20) < 5), []
    it = Lesson(tmp_path, None, ([0] * 1000, None), full=full, say=lambda text: None)

    def play(it, k, n):
        return {way: n + k + 10 * place for place, way in enumerate(augmentation.WAYS)}, (images[known], asked)

    monkeypatch.setattr(augmentation, "play", play)
    monkeypatch.setattr(augmentation.plots, "rows", lambda given, *rest: rows.extend(given))
    augmentation.lesson(it)
    found = {row.what: row for row in it.rows}
    for n in augmentation.DIGITS_PER_CLASS:
        for place, way in enumerate(augmentation.WAYS):
            row = found[f"error on 1,000 test digits, {n} of each class, {way}"]
            wanted = [n + k + 10 * place for k in range(runs)]
            assert row.value == np.mean(wanted) and (row.each or [row.value]) == wanted
        row = found[f"samples of the GAN trained on {n} of each class: recognised as the class asked for"]
        assert row.value == pytest.approx(75)
    assert [name for name, _ in rows] == [f"{n} of each class" for n in augmentation.DIGITS_PER_CLASS for _ in range(3)]
