"""Each look is taken where the answer is known."""
import numpy as np
import pytest

import tinygan as tg
from tinygan import data, lessons
from tinygan.lessons import inside
from tinygan.run.folder import silent


@pytest.fixture
def it(tmp_path):
    return lessons.Lesson(tmp_path, data.digits(), data.held_out_digits(), say=silent)


def values(it):
    return {row.what: row.value for row in it.rows}


class Painter:
    """A G that paints one real digit of the class argmax z₀ … z₉, and as samples returns training digits."""

    def __init__(self, it):
        images, labels = it.train
        self.train, self.digits = images, np.stack([images[labels == c][1] for c in range(10)])

    def generate(self, z):
        return self.digits[z[:, :10].argmax(axis=1)]

    def sample(self, n, seed):
        return self.train[:n]


def test_arithmetic_of_a_g_that_has_directions(it):
    inside.arithmetic(it, Painter(it))
    found = values(it)
    assert found["arithmetic: z − z̄_a + z̄_b named b"] > 50
    assert found["arithmetic: the same length in a random direction named b"] < 20
    assert found["arithmetic: of the ten G(z̄_c), named c"] >= 9


def test_copies_lie_at_distance_0(it):
    pytest.importorskip("sklearn", reason="pip install '.[lessons]'")
    inside.nearest(it, Painter(it))
    found = values(it)
    assert found["nearest: mean distance of a sample to the nearest training digit"] == 0
    images, train = it.test[0][:1].reshape(1, -1), it.train[0].reshape(5000, -1)
    assert found["nearest: smallest distance of a test digit"] <= np.linalg.norm(images - train, axis=1).min()


def test_overlap_counts():
    """Kernel 5 meets an even position 3 times in each direction and an odd one twice, kernel 4 every one twice."""
    counts = inside.overlaps(5)
    assert sorted(set(counts.ravel())) == [4, 6, 9]
    assert (counts[::2, ::2] == counts[0, 0]).all() and counts[0, 0] in (4, 9)
    assert (inside.overlaps(4) == 4).all()


def test_g_is_cut_behind_the_channels_of_7_by_7(rng):
    G, z = tg.models.small_generator().eval(), rng.standard_normal((2, 100)).astype(np.float32)
    h = tg.Sequential(*G.layers[:inside.LAYERS_BEFORE_UNIT])(z)
    assert h.shape == (2, 7, 7, 64)
    assert (tg.Sequential(*G.layers[inside.LAYERS_BEFORE_UNIT:])(h).data == G(z).data).all()


def test_the_straight_line_ends_where_it_should(rng):
    a, b = rng.standard_normal((2, 100))
    points = inside.line(a, b, inside.WALK_FRACTIONS)
    np.testing.assert_allclose(points[[0, 5, 10]], [a, (a + b) / 2, b])


def test_ink_is_the_number_of_black_pixels(rng):
    paper = np.full((3, 28, 28, 1), -1, np.float32)
    paper[1, 2:4, 5:10], paper[2] = 1, 0
    assert inside.ink(paper).tolist() == [0, 10, 392]
