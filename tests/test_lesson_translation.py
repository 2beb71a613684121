"""The lesson on translation: outlines and slants are what they are called, and each network is moved by its own loss."""
import numpy as np
import pytest

import tinygan as tg
from tinygan import data
from tinygan.lessons import translation

pytest.importorskip("scipy", reason="pip install '.[lessons]'")

STROKE = np.full((1, 28, 28, 1), -1, np.float32)
STROKE[0, 4:24, 12:16] = 1                              # a thick vertical bar


def net(rng, *layers):
    return tg.Sequential(*layers).initialise(rng).astype(np.float64)


def painter(rng):
    """A small G with smooth gradients."""
    return net(rng, tg.Conv2D(1, 2, 3), tg.Tanh(), tg.Conv2D(2, 1, 3), tg.Tanh())


def judge(channels, rng):
    return net(rng, tg.Conv2D(channels, 2, 3), tg.Tanh(), tg.Flatten(), tg.Dense(4 * 4 * 2, 1))


def test_the_loss_of_pairs_is_its_equation(rng):
    """E softplus(−D(x, G(x))) + 100 E |y − G(x)|, and without D the second term alone"""
    G, D = painter(rng), judge(2, rng)
    x, y = rng.uniform(-1, 1, (2, 3, 4, 4, 1))
    filled = G(x).data
    near = 100 * abs(y - filled).mean()
    verdict = D(np.concatenate([x, filled], axis=3)).data
    assert float(translation.pairs_loss(G, D, tg.Tensor(x), tg.Tensor(y))) == pytest.approx(
        np.log1p(np.exp(-verdict)).mean() + near)
    assert float(translation.pairs_loss(G, None, tg.Tensor(x), tg.Tensor(y))) == pytest.approx(near)
    tg.check_gradients(lambda x: translation.pairs_loss(G, D, x, tg.Tensor(y)), x)


def test_the_loss_of_styles_is_its_equation(rng):
    """Each fake before the judge of its own kind, and each image there and back."""
    G, F, D_a, D_b = painter(rng), painter(rng), judge(1, rng), judge(1, rng)
    a, b = rng.uniform(-1, 1, (2, 3, 4, 4, 1))
    believed = 0.5 * ((D_b(G(a)).data - 1) ** 2).mean() + 0.5 * ((D_a(F(b)).data - 1) ** 2).mean()
    back = abs(F(G(a)).data - a).mean() + abs(G(F(b)).data - b).mean()
    assert abs(D_b(G(a)).data - D_a(G(a)).data).min() > 1e-3                # or their exchange would not be seen

    def loss(a, b, cycle):
        return translation.styles_loss(G, F, D_a, D_b, a, b, cycle)

    assert float(loss(tg.Tensor(a), tg.Tensor(b), 0)) == pytest.approx(believed)
    assert float(loss(tg.Tensor(a), tg.Tensor(b), 10)) == pytest.approx(believed + 10 * back)
    tg.check_gradients(lambda a, b: loss(a, b, 10), a, b)


def test_the_translator_takes_from_both_ways(rng):
    """Its answer depends on what was handed across as on what went down to 7×7."""
    G = translation.Translator().initialise(rng)
    x = rng.uniform(-1, 1, (2, 28, 28, 1)).astype(np.float32)
    y = G(x).data
    assert y.shape == x.shape and (abs(y) < 1).all()
    for part in (G.up2.layers[0].weight.data[..., :translation.WIDTH], G.up2.layers[0].weight.data[..., translation.WIDTH:]):
        kept = part.copy()
        part[...] = 0
        assert abs(G(x).data - y).max() > 1e-3
        part[...] = kept


@pytest.mark.parametrize("adversarial", [True, False])
def test_two_steps_move_every_weight(adversarial, rng):
    x = rng.uniform(-1, 1, (8, 28, 28, 1)).astype(np.float32)
    G = translation.learn_pairs(x, x, 2, np.random.default_rng(1), adversarial)
    start = translation.Translator().initialise(np.random.default_rng(1), 0.02)
    assert all((p.data != q.data).any() for p, q in zip(G.parameters(), start.parameters()))
    by_cycle = [translation.learn_styles(x, x, 2, np.random.default_rng(1), cycle) for cycle in (0, 10)]
    assert any((p.data != q.data).any() for p, q in zip(*(G.parameters() for G in by_cycle)))


def test_outlines():
    """Of a bar its border, one pixel wide; a line of one pixel stays as it is, at the edge of the paper too."""
    outline = translation.outlines(STROKE)
    inside = np.zeros((28, 28), bool)
    inside[5:23, 13:15] = True
    ink = STROKE[0, ..., 0] > 0
    np.testing.assert_array_equal(outline[0, ..., 0], np.where(ink & ~inside, 1, -1))
    line = np.full((1, 28, 28, 1), -1, np.float32)
    line[0, 0] = 1
    np.testing.assert_array_equal(translation.outlines(line), line)
    np.testing.assert_array_equal(translation.outlines(np.ones((1, 28, 28, 1)))[0, 1:-1, 1:-1], -1)


@pytest.mark.parametrize("by", [-0.2, 0.2, 0.3])
def test_shearing_slants_by_as_much(by):
    images = np.concatenate([STROKE, data.held_out_digits()[0][2:9]])       # none loses ink at the border of the paper
    np.testing.assert_array_equal(translation.sheared(images, np.zeros(8)), images)
    assert translation.slants(STROKE)[0] == pytest.approx(0, abs=1e-6)
    before, after = translation.slants(images), translation.slants(translation.sheared(images, np.full(8, by)))
    np.testing.assert_allclose(after - before, by, atol=1e-3)
    assert abs(translation.slants(translation.sheared(images, -before))).max() < 1e-3


def test_a_positive_slant_leans_to_the_right():
    leaning = translation.sheared(STROKE, np.array([0.5]))[0, ..., 0] > 0
    assert np.flatnonzero(leaning[4]).mean() - np.flatnonzero(leaning[23]).mean() == pytest.approx(0.5 * 19, abs=0.6)
