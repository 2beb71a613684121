"""The lesson on translation: outlines and slants are what they are called, and each network is moved by its own loss."""
import numpy as np
import pytest

import tinygan as tg
from tinygan import data
from tinygan.lessons import Lesson, translation
from tinygan.look import metrics

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


class Weight(tg.Module):
    """A network of one weight: a translator multiplies by it, a judge multiplies the mean of the last channel."""

    def __init__(self, weight, judges):
        self.weight, self.judges, self.seen = tg.Tensor(np.array([weight]), requires_grad=True), judges, []

    def initialise(self, rng, std):
        assert std == 0.02
        return self

    def forward(self, x):
        assert self.training
        self.seen.append(x.data)
        return (x[..., -1:].mean(axis=(1, 2)) if self.judges else x) * self.weight


@pytest.fixture
def networks(alone, monkeypatch):
    """What the lesson makes: translators of weights 0.1 and 0.3, judges of weight 0.5."""
    made = [Weight(0.1, False), Weight(0.3, False)], [Weight(0.5, True), Weight(0.5, True)]
    translators, judges = map(iter, made)
    monkeypatch.setattr(translation, "Translator", lambda: next(translators))
    monkeypatch.setattr(translation, "discriminator", lambda channels: next(judges))
    return made


def grey(values):
    return np.asarray(values, float)[:, None, None, None] * np.ones((1, 28, 28, 1))


def test_a_step_of_the_game_with_pairs(networks, rng):
    """D sees each outline beside its own digit and beside G's. Digits are whiter than G's, so that its weight rises, and G
    goes towards them: each by its learning rate, as Adam's first step is."""
    outline = rng.uniform(0.5, 1, 50)
    (G, _), (D, _) = networks
    assert translation.learn_pairs(grey(outline), grey(2 * outline), 1, rng, True) is G
    (x, y), (same, fake) = [seen[:, 0, 0].T for seen in D.seen[:2]]
    assert len(set(x)) > 10
    np.testing.assert_allclose([same, y, fake], [x, 2 * x, 0.1 * x])
    assert D.weight.data == pytest.approx(0.5 + 2e-4) and G.weight.data == pytest.approx(0.1 + 1e-3)


def test_the_distance_alone_asks_no_judge(networks, rng):
    (G, _), (D, _) = networks
    assert translation.learn_pairs(grey([1, 1]), grey([-1, -1]), 1, rng, False) is G
    assert not D.seen and D.weight.data == 0.5 and G.weight.data == pytest.approx(0.1 - 1e-3)


def test_a_step_of_the_game_with_styles(networks, rng):
    """a is 1, b is 0.5: each judge sees real ones of its kind and what was made of the other kind, and believes the real."""
    (G, F), judges = networks
    assert translation.learn_styles(grey([1, 1]), grey([0.5, 0.5]), 1, rng, 0) is G
    for D, real, fake in zip(judges, (1, 0.5), (0.3 * 0.5, 0.1 * 1)):
        assert [seen.mean() for seen in D.seen[:2]] == pytest.approx([real, fake])
        assert D.weight.data == pytest.approx(0.5 + 2e-4)
    assert [seen.mean() for seen in G.seen] == [1, 1] and [seen.mean() for seen in F.seen] == [0.5, 0.5]
    assert G.weight.data == pytest.approx(0.1 + 5e-4) and F.weight.data == pytest.approx(0.3 + 5e-4)


def test_what_is_reported_is_what_it_is_called(monkeypatch, tmp_path):
    """One answer of each kind is grey, the other is the right one."""
    digits, labels = data.held_out_digits()
    it = Lesson(tmp_path, (digits[100:140], labels[100:140]), (digits[:20], labels[:20]), limit=1, say=lambda text: None)
    test, streams = it.test[0], []

    class Answer(tg.Module):
        def __init__(self, answer):
            self.answer = answer

        def forward(self, x):
            assert not self.training
            return tg.Tensor(self.answer(x.data))

    def pairs(x, y, steps, rng, adversarial):
        streams.append(rng.random())
        np.testing.assert_array_equal(x, translation.outlines(it.train[0]))
        assert y is it.train[0]

        def answer(x):
            np.testing.assert_array_equal(x, translation.outlines(test))
            return test if adversarial else np.zeros_like(x)
        return Answer(answer)

    def styles(a, b, steps, rng, cycle):
        streams.append(rng.random())
        assert cycle in (0, 10) and len(a) == len(b) == 20
        for images, first, slant in ((a, 0, 0), (b, 20, 0.5)):                  # no digit is in both
            assert translation.slants(images).mean() == pytest.approx(slant, abs=0.02)
            was = it.train[0][first:first + 20]
            upright = translation.sheared(was, slant - translation.slants(was))
            assert abs(images - upright).mean() < 0.05 < abs(images[::-1] - upright).mean()
        return Answer(lambda x: translation.sheared(x, np.full(20, 0.5)) if cycle else 0 * x)

    shown = []
    monkeypatch.setattr(translation, "learn_pairs", pairs)
    monkeypatch.setattr(translation, "learn_styles", styles)
    monkeypatch.setattr(translation.plots, "rows", lambda rows, path, title: shown.extend(rows))
    translation.lesson(it)
    found = {row.what: row.value for row in it.rows}
    known = 100 * metrics.accuracy(metrics.classifier(), *it.test)
    upright = translation.sheared(test, -translation.slants(test))
    right = translation.sheared(upright, np.full(20, 0.5))
    grey_share = float((abs(test) < 0.8).mean())
    assert found["test digits: share of pixels that are grey, |pixel| < 0.8"] == pytest.approx(grey_share) and known > 90
    for name, distance, share in (("distance alone", abs(test).mean(), 1), ("distance and D", 0, grey_share)):
        recognised, *rest = [value for what, value in found.items() if what.startswith(f"outlines filled in, {name}:")]
        assert rest == pytest.approx([distance, share]) and (recognised == known if distance == 0 else recognised < 50)
    best = found["upright digits sheared, the right answers: recognised as the digit that it was"]
    for name, distance, slant in (("D alone", abs(right).mean(), 0), ("D and the cycle", 0, 0.5)):
        recognised, *rest = [value for what, value in found.items() if what.startswith(f"slanted without pairs, {name}:")]
        assert rest == [pytest.approx(distance, rel=1e-5), pytest.approx(slant, abs=0.02)]
        assert recognised == best if distance == 0 else recognised < 50 < best
    assert streams[0] == streams[1] != streams[2] == streams[3]
    for (_, images), wanted in zip(shown, (test, translation.outlines(test), 0 * test, test, upright, right, 0 * test, right)):
        np.testing.assert_array_equal(images, wanted[:10])
