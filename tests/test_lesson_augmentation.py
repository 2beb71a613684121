"""The lesson on augmentation: what moves a digit, and that a classifier sees no more than it is said to."""
import numpy as np
import pytest

import tinygan as tg
from tinygan.lessons import Lesson, augmentation

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
