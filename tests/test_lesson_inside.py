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


def test_noise_is_normal_and_each_stream_and_seed_has_its_own(tmp_path):
    z = [inside.gan_noise(lessons.Lesson(tmp_path, None, None, seed), stream, 200) for seed in (0, 1) for stream in (1, 2)]
    assert all(abs(some.mean()) < 0.03 and abs(some.std() - 1) < 0.03 and some.dtype == np.float32 for some in z)
    assert len({some.tobytes() for some in z}) == 4
    assert (z[0] == inside.gan_noise(lessons.Lesson(tmp_path, None, None, 0), 1, 200)).all()


class Known:
    """A game whose G paints the shade ‖z‖/10 − 1 and whose D adds up the pixels, those beside the dot (10, 10) twice."""

    class D(tg.Module):
        weight = np.ones((28, 28, 1), np.float32)
        weight[9:12, 9:12] = 2

        def forward(self, x):
            return tg.ops.sum(x * self.weight, axis=(1, 2, 3))

    discriminator = D()

    def generate(self, z):
        return (np.linalg.norm(z, axis=1) / 10 - 1)[:, None, None, None] * np.ones((1, 28, 28, 1))

    def sample(self, n, seed):
        return 0.5 * np.ones((n, 28, 28, 1))


def test_the_walk_keeps_the_norm_on_the_circle_and_loses_it_on_the_line(it, monkeypatch):
    """The ink is 784 ‖z‖/20, the classifier's confidence e^a/(e^a + 9) with a = 2 + the mean pixel."""
    def classify(images):
        return tg.Tensor((2 + images.mean(axis=(1, 2, 3)))[:, None] * np.eye(10)[0])

    monkeypatch.setattr(inside.metrics, "classifier", lambda: classify)
    inside.walk(it, Known())
    found = values(it)
    line, circle = (found[f"walk, {way}: ‖z‖ in the middle"] for way in ("straight line", "great circle"))
    assert circle == pytest.approx(10) and line == pytest.approx(50 ** 0.5, abs=0.2)
    for way, norm in (("straight line", line), ("great circle", circle)):
        assert found[f"walk, {way}: ink in the middle, in pixels"] == pytest.approx(39.2 * norm)
        a = np.exp(1 + norm / 10)
        assert found[f"walk, {way}: classifier's confidence in the middle"] == pytest.approx(a / (a + 9), abs=0.001)
    assert found["walk: classifier's confidence at its beginning"] == pytest.approx(np.e ** 2 / (np.e ** 2 + 9))


def test_the_gradient_is_weighed_on_ink_and_next_to_it(it, monkeypatch):
    """One dot is near nine pixels, where the gradient is 2; two dots, one of them elsewhere, are near eighteen."""
    dots = -np.ones((200, 28, 28, 1), np.float32)
    dots[:, 10, 10] = 1
    two = dots.copy()
    two[:, 20, 20] = 1
    gan, it = Known(), lessons.Lesson(it.folder, None, (two, None), say=silent)
    gan.generate = lambda z: dots[:len(z)]
    drawn = []
    monkeypatch.setattr(inside.plots, "rows", lambda rows, *_: drawn.extend(rows))
    inside.gradient(it, gan)
    np.testing.assert_allclose([row.value for row in it.rows], [100 * part for part in (
        9 * 4 / (784 + 9 * 3), 9 / 784, (9 * 4 + 9) / (784 + 9 * 3), 18 / 784)], rtol=1e-5)
    assert [name for name, _ in drawn] == ["sample", "∂D/∂x", "real", "∂D/∂x"]
    for (_, images), shades in zip((drawn[0], drawn[2]), (drawn[1][1], drawn[3][1])):      # of which the largest is black
        assert (images == (dots if images is drawn[0][1] else two)[:10]).all() and (shades == Known.D.weight / 2).all()


def test_a_unit_is_switched_off_in_evaluation_mode(it, monkeypatch):
    """G paints 50 z₃ and the other z as they are; who is named 1 has z₃ > 0, and nobody is without the unit."""
    modes = []

    class Mode(tg.Module):
        def forward(self, x):
            modes.append(self.training)
            return x

    class Strong(Mode):
        def forward(self, x):
            return super().forward(x) * np.where(np.arange(100) == 3, 50, 1).astype(np.float32)

    class gan:
        averaged = tg.Sequential(tg.Reshape(1, 1, 100), *(Mode() for _ in range(6)), Strong())

    monkeypatch.setattr(inside, "names", lambda images: ((images[:, 0, 0, 3] > 0).astype(int), None))
    drawn = []
    monkeypatch.setattr(inside.plots, "rows", lambda rows, *_: drawn.extend(rows))
    inside.unit(it, gan)
    z = np.abs(inside.gan_noise(it, 5, 100)).mean(axis=0)
    z[3] *= 50
    np.testing.assert_allclose([row.value for row in it.rows],
                               [z[3] / np.median(z), 100 * (inside.gan_noise(it, 5, 100)[:, 3] > 0).mean()], rtol=1e-5)
    assert not any(modes)
    (_, painted), (name, off), (_, up), (_, difference) = drawn[:4]
    assert name == "unit 3 off" and (off[..., 3] == 0).all()
    np.testing.assert_allclose(up[..., 3], 3 * painted[..., 3], rtol=1e-6)
    np.testing.assert_array_equal(painted + difference, off)


def test_distances_to_the_nearest_training_digit(it):
    """Of white, black and samples half black: √784/2; of the first 1,000 test digits half are copies, the others are a tenth
    of 28 away. As many samples are looked at."""
    pytest.importorskip("sklearn", reason="pip install '.[lessons]'")
    train = np.stack([-np.ones((28, 28, 1)), np.ones((28, 28, 1))] * 5)
    test = np.concatenate([np.tile(train[:2] * [[[[1]]], [[[0.9]]]], (500, 1, 1, 1)), 100 * train[:1]])
    it, known, asked = lessons.Lesson(it.folder, (train, None), (test, None), say=silent), Known(), []
    known.sample = lambda n, seed: asked.append(n) or Known.sample(known, n, seed)
    inside.nearest(it, known)
    assert asked == [1000]
    np.testing.assert_allclose([row.value for row in it.rows], [14, 14, 1.4, 0], atol=1e-9)


def test_the_game_is_played_before_anybody_looks(it, monkeypatch):
    order = []
    monkeypatch.setattr(tg.GAN, "fit", lambda gan, images, steps, batch, callbacks, workers: order.append((gan, images, steps, batch)))
    for look in ("walk", "arithmetic", "unit", "gradient", "nearest"):
        monkeypatch.setattr(inside, look, lambda it, gan, look=look: order.append((look, gan)))
    monkeypatch.setattr(inside, "overlap", lambda it: order.append(("overlap",)))
    inside.lesson(it)
    gan, images, *rest = order[0]
    assert images is it.train[0] and rest == [4500, 32] and gan.averaged is not gan.generator
    assert order[1:] == [(look, gan) for look in ("walk", "arithmetic", "unit", "gradient", "nearest")] + [("overlap",)]
