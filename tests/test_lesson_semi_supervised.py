"""The semi-supervised lesson: its losses are their equations, and it reads 100 labels."""
import itertools

import numpy as np
import pytest

import tinygan as tg
from tinygan.lessons import Lesson, semi_supervised
from tinygan.losses import cross_entropy, discriminator_loss, log_sum_exp, softmax

GAME = semi_supervised.GAME.format(100)
SMALL = (3, 4, 10)                      # widths of D


def test_the_loss_is_that_of_k_plus_1_classes_the_fake_logit_being_0(rng):
    real, fake, labels = 3 * rng.standard_normal((5, 10)), 3 * rng.standard_normal((7, 10)), rng.integers(0, 10, 5)

    def p(logits):
        return softmax(tg.Tensor(np.c_[logits, np.zeros(len(logits))])).data

    wanted = -np.log(1 - p(real)[:, -1]).mean() - np.log(p(fake)[:, -1]).mean()
    came = discriminator_loss(log_sum_exp(tg.Tensor(real)), log_sum_exp(tg.Tensor(fake)))
    np.testing.assert_allclose(float(came), wanted)
    given_real = p(real)[:, :-1] / (1 - p(real)[:, -1:])
    np.testing.assert_allclose(float(cross_entropy(tg.Tensor(real), labels)), -np.log(given_real[range(5), labels]).mean())


def test_its_derivative(rng):
    tg.check_gradients(lambda a, b: discriminator_loss(log_sum_exp(a), log_sum_exp(b)), *rng.standard_normal((2, 4, 10)),
                       order=2)
    a = tg.Tensor([[1e4, -1e4, 0.0]], True)
    assert log_sum_exp(a).data == 1e4 and tg.grad(log_sum_exp(a), a)[0].data.tolist() == [[1, 0, 0]]


def test_a_softmax_too_many_is_never_sure_and_stops_learning_where_it_is_wrong():
    a, label = tg.Tensor(50 * np.eye(10)[:1], True), np.array([0])
    assert np.isclose(np.exp(-float(cross_entropy(softmax(a), label))), np.e / (np.e + 9))
    right, = tg.grad(cross_entropy(a, label + 1), a)
    twice, = tg.grad(cross_entropy(softmax(a), label + 1), a)
    np.testing.assert_allclose(right.data[0, :2], [1, -1])
    assert abs(twice.data).max() < 1e-20


def test_ten_of_each_class_keep_their_label(rng):
    labels = tg.data.digits()[1]
    chosen = semi_supervised.choose(labels, rng)
    assert np.bincount(labels[chosen]).tolist() == [10] * 10 and len(set(chosen)) == 100


def test_noise_is_there_in_training_only(rng):
    noise, x = semi_supervised.Noise(0.5, rng), np.ones((200, 50), np.float32)
    y = noise(x)
    assert y.dtype == np.float32 and abs((y.data - 1).std() - 0.5) < 0.02 and abs(y.data.mean() - 1) < 0.02
    assert (noise.eval()(x).data == x).all()


def test_between_pixels_an_image_is_a_mixture(rng):
    images = rng.random((3, 28, 28, 1), np.float32)
    y, x = (np.broadcast_to(place, (3, 28, 28)) for place in (semi_supervised.Y, semi_supervised.X))
    np.testing.assert_allclose(semi_supervised.at(images, y, x), images, atol=2e-4)
    between = semi_supervised.at(images, y + np.float32(0.25), x - np.float32(0.5))
    assert between.dtype == np.float32
    grey = images[:, :, :, 0]
    wanted = 0.375 * (grey[:, 4, 6] + grey[:, 4, 7]) + 0.125 * (grey[:, 5, 6] + grey[:, 5, 7])
    np.testing.assert_allclose(between[:, 4, 7, 0], wanted, rtol=1e-4)


def moments(images):
    """The means over the ink of y, x and xy, from the middle of the ink."""
    ink, Y, X = images[..., 0] / images[..., 0].sum(axis=(1, 2), keepdims=True), semi_supervised.Y, semi_supervised.X
    y, x = ((ink * place).sum(axis=(1, 2)) for place in (Y, X))
    return y, x, (ink * Y * X).sum(axis=(1, 2)) - y * x


def test_an_upright_digit_is_in_the_middle_and_leans_to_neither_side():
    images = (tg.data.digits()[0][:50] + 1) / 2
    assert abs(moments(images)[2]).max() > 5
    upright = semi_supervised.upright(images)
    assert upright.dtype == np.float32 and np.abs(moments(upright)).max() < 0.35


class Drawn:
    """A random generator whose six numbers, the same for every image, are known beforehand."""

    def __init__(self, *numbers):
        self.numbers = np.reshape(numbers, (6, 1, 1, 1))

    def uniform(self, low, high, shape):
        assert (low, high) == (-1, 1)
        return np.broadcast_to(self.numbers, shape)


def test_images_are_shifted_and_sheared_as_drawn(rng):
    images = rng.random((2, 28, 28, 1), np.float32)
    same, shifted = (semi_supervised.moved(images, Drawn(0, 0, 0, 0, *way)) for way in ((0, 0), (1, -1)))
    np.testing.assert_allclose(same, images, atol=2e-4)
    np.testing.assert_allclose(shifted[:, 5:20, 5:20], images[:, 6:21, 4:19], atol=1e-4)
    Y, X = semi_supervised.Y, semi_supervised.X
    ramp = np.stack([20 * Y + 3 * X] * 2)[..., None]
    sheared = semi_supervised.moved(ramp, Drawn(1, -1, 0.5, 0.2, 0, 0))[..., 0]
    wanted = 20 * (Y + 0.15 * (Y - X)) + 3 * (X + 0.15 * (0.5 * Y + 0.2 * X))
    np.testing.assert_allclose(sheared[:, 8:20, 8:20], np.stack([wanted[8:20, 8:20]] * 2), rtol=1e-3, atol=1e-3)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(semi_supervised, "WIDTHS", SMALL)


def played(it, labels):
    return semi_supervised.play(Lesson(it.folder, (it.train[0], labels), it.test, limit=2))


def test_permuting_the_labels_of_the_other_images_changes_no_bit(small, monkeypatch, tmp_path, rng):
    images, labels = (part[:300] for part in tg.data.digits())
    it = Lesson(tmp_path, (images, labels), tg.data.held_out_digits())
    few = semi_supervised.choose(labels, rng)
    monkeypatch.setattr(semi_supervised, "choose", lambda labels, rng, per_class=10: few)
    others = np.setdiff1d(np.arange(len(labels)), few)
    permuted = labels.copy()
    permuted[others] = rng.permutation(labels[others])
    before, after = played(it, labels), played(it, permuted)
    assert set(before[0]) == {semi_supervised.ALONE, semi_supervised.ALL, semi_supervised.NO_GAME, GAME}
    for name in set(before[0]) - {semi_supervised.ALL}:
        assert before[0][name] == after[0][name]
    for one, other in zip(before[1:], after[1:]):
        np.testing.assert_array_equal(one, other)
    permuted[few] = np.roll(labels[few], 1)
    assert (played(it, permuted)[2] != before[2]).any()


def smooth(rng, *layers):
    return tg.Sequential(*layers).initialise(rng).astype(np.float64)


def probabilities(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_the_loss_of_d_is_its_equation(rng):
    D = smooth(rng, tg.Flatten(), tg.Dense(4, 3))
    images, x, near, fakes = 3 * rng.standard_normal((4, 5, 2, 2, 1))
    labels, q = rng.integers(0, 3, 5), probabilities(rng.standard_normal((5, 3)))

    def real(images):
        return 1 - probabilities(np.c_[D(images).data, np.zeros(5)])[:, 3]

    named, p, moved = (probabilities(D(images).data) for images in (images, x, near))
    supervised, consistent = -np.log(named[range(5), labels]).mean(), -(q * np.log(moved)).sum(axis=1).mean()
    whole = p.mean(axis=0)
    information = -(p * np.log(p)).sum(axis=1).mean() + 2 * (whole * np.log(whole)).sum()
    unsupervised = -np.log(real(x)).mean() - np.log(1 - real(fakes)).mean()

    def loss(*images, t=0.3):
        return semi_supervised.judge_loss(D, images[0], labels, *images[1:3], tg.Tensor(q), t, *images[3:])

    given = [tg.Tensor(part) for part in (images, x, near, fakes)]
    np.testing.assert_allclose(float(loss(*given[:3])), supervised + information + consistent)
    for t in (0, 0.3, 1):
        np.testing.assert_allclose(float(loss(*given, t=t)), supervised + information + consistent + t * unsupervised / 2)
    tg.check_gradients(loss, images, x, near, fakes)


def test_the_adversarial_direction_is_the_gradient_from_a_random_place_nearby(rng):
    """With logits a = xW it is that of −Σ p log q, q the belief there: (q − p) Wᵀ, of length ε."""
    D = smooth(rng, tg.Flatten(), semi_supervised.Noise(1, rng), tg.Dense(4, 3))
    x, direction = rng.standard_normal((2, 5, 2, 2, 1))
    d, p = semi_supervised.adversarial(D, x, direction)
    unit = direction / np.linalg.norm(direction.reshape(5, 4), axis=1)[:, None, None, None]
    W = D.layers[2].weight.data
    before, there = (probabilities(place.reshape(5, 4) @ W) for place in (x, x + unit))
    slope = (there - before) @ W.T
    np.testing.assert_allclose(p.data, before)
    np.testing.assert_allclose(d.reshape(5, 4), 1.5 * slope / np.linalg.norm(slope, axis=1, keepdims=True), rtol=1e-6)
    assert D.training and not p.requires_grad
    D.layers[2].weight.data[...] = 0
    assert (semi_supervised.adversarial(D, x, direction)[0] == 0).all()


def test_feature_matching_is_its_equation(rng):
    """L_G = ‖E f(x) − E f(G(z))‖, of which G moves the second mean only"""
    weights, x, fakes = (rng.standard_normal(shape) for shape in ((4, 3), (5, 4), (7, 4)))

    def f(x):
        return tg.ops.tanh(x @ tg.Tensor(weights))

    wanted = np.linalg.norm(np.tanh(x @ weights).mean(axis=0) - np.tanh(fakes @ weights).mean(axis=0))
    np.testing.assert_allclose(float(semi_supervised.matching_loss(f, tg.Tensor(x), tg.Tensor(fakes))), wanted)
    tg.check_gradients(lambda fakes: semi_supervised.matching_loss(f, tg.Tensor(x), fakes), fakes)


def test_each_loss_gets_what_is_its_own(small, alone, monkeypatch, rng):
    """D judges the images with labels, others without, moved in two ways, and G's; G's are to have the features of those."""
    D, G = semi_supervised.discriminator(SMALL, rng), semi_supervised.generator(10, rng)
    white, black = np.ones((200, 28, 28, 1), np.float32), np.zeros((20, 28, 28, 1), np.float32)
    labels, seen, number = np.arange(20) % 10, [], itertools.count(1)
    monkeypatch.setattr(semi_supervised, "moved", lambda images, rng: images + np.float32(next(number)))
    monkeypatch.setattr(semi_supervised, "adversarial",
                        lambda D, x, direction: (np.float32(7), tg.Tensor(probabilities(D(x).data))))

    def spy(name):
        loss = getattr(semi_supervised, name)

        def spied(*given):
            assert D.training and G.training
            seen.append([np.mean(getattr(part, "data", part)) for part in given[1:]])
            return loss(*given)
        monkeypatch.setattr(semi_supervised, name, spied)

    spy("judge_loss")
    spy("matching_loss")
    before = [p.data.copy() for p in (*D.parameters(), *G.parameters())]
    semi_supervised.train(D, G, black, labels, white, 1, rng, lambda step: None)
    (known, _, unknown, near, _, _, fake), (matched, matching) = seen
    assert known == 1 and unknown == matched == 1 + 2 and near == 1 + 3 + 7 and 0.3 < fake < 0.7 and 0.3 < matching < 0.7
    assert all((p.data != q).any() for p, q in zip((*D.parameters(), *G.parameters()), before))
    semi_supervised.train(D, None, black, labels, white, 1, rng, lambda step: None)
    assert len(seen) == 3 and len(seen[2]) == 6                     # no fakes, and nothing to match
    seen.clear()
    semi_supervised.train(D, G, black, labels, white, 4, rng, lambda step: None)
    assert [given[5] for given in seen[::2]] == [0, 0.25, 0.5, 0.75]        # t: the game counts more and more


def hidden_weights(D):
    return [layer.weight.data for layer in D.layers[0].layers if hasattr(layer, "weight")]


def assert_held(D):
    for weight in hidden_weights(D):
        np.testing.assert_allclose(np.linalg.norm(weight.reshape(-1, weight.shape[-1]), axis=0), np.sqrt(2), rtol=1e-5)


def test_the_weights_of_a_hidden_output_keep_the_norm_of_the_root_of_2(alone, rng):
    D, G = semi_supervised.discriminator(SMALL, rng), semi_supervised.generator(10, rng)
    assert_held(D)
    images = rng.random((100, 28, 28, 1), np.float32)
    for go in (lambda look: semi_supervised.train(D, G, images[:10], np.arange(10), images, 3, rng, look),
               lambda look: semi_supervised.train_alone(D, images, np.arange(100) % 10, 3, rng, look)):
        before = [weight.copy() for weight in hidden_weights(D)]
        go(lambda step: assert_held(D))
        assert [weight.ndim for weight in before] == [4, 4, 2] and all((a != b).any() for a, b in zip(before, hidden_weights(D)))


def test_holding_changes_no_direction_and_no_bias(rng):
    f = tg.Sequential(tg.Dense(4, 3), tg.LeakyReLU(0))
    weight, f.layers[0].bias.data[...] = f.layers[0].weight.data.copy(), [1, 2, 3]
    semi_supervised.hold(f)
    np.testing.assert_allclose(f.layers[0].weight.data, np.sqrt(2) * weight / np.linalg.norm(weight, axis=0), rtol=1e-6)
    assert f.layers[0].bias.data.tolist() == [1, 2, 3]


@pytest.mark.parametrize("layer, shape", [(tg.Dense(784, 2000), (500, 784)),
                                          (tg.Conv2D(5, 2000, 5, padding=0), (20, 9, 9, 5))])
def test_with_that_norm_a_relu_keeps_the_mean_square(layer, shape, rng):
    f = tg.Sequential(layer, tg.LeakyReLU(0))
    semi_supervised.hold(f)
    assert abs(float((f(rng.standard_normal(shape).astype(np.float32)) ** 2).mean()) - 1) < 0.05


def test_the_learning_rate_falls_in_a_straight_line(small, monkeypatch, tmp_path):
    parts = []
    monkeypatch.setattr(tg.Adam, "step", lambda self, part: parts.append(part))
    some = [part[:300] for part in tg.data.digits()]
    semi_supervised.play(Lesson(tmp_path, some, some, limit=4))
    assert parts == 3 * [1, 0.75, 0.5, 0.25] + [1, 1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25]


class Three(tg.Module):
    """Says of every image that it is a 3."""

    def forward(self, x):
        return tg.Tensor(np.tile(np.eye(10)[3], (len(x), 1)))


def test_each_training_gets_what_it_is_called_and_is_judged_in_evaluation_mode(monkeypatch, tmp_path):
    """Every image has a grey value of its own, so that it is known by its middle."""
    labels, grey = np.arange(500) % 10, np.linspace(-1, 1, 500, dtype=np.float32)
    images = grey[:, None, None, None] * np.ones((1, 28, 28, 1), np.float32)
    it = Lesson(tmp_path, (images, labels), (-images[:8], np.array([3, 3, 1, 3, 0, 9, 3, 3])), full=True, limit=40)
    streams, given, judged = [], [], []

    def discriminator(widths, rng):
        streams.append(rng.random())
        return Three()

    def trainer(D, *arguments):
        *data, steps, rng, look = arguments
        given.append(data)
        for step in range(1, steps + 1):
            look(step)
            assert D.training

    def accuracy(network, images, labels):
        assert not network.training and network.forward(tg.Tensor(images)).shape == (8, 10)
        judged.append(images)
        return accurate(network, images, labels)

    def outputs(G, z):
        assert not G.training and z.shape == (50, 100) and z.min() >= 0 and z.max() <= 1
        assert abs(z.mean() - 0.5) < 0.02 and abs(z.std() - 12 ** -0.5) < 0.02          # uniform
        return np.full((50, 28, 28, 1), 0.75)

    accurate = tg.metrics.accuracy
    monkeypatch.setattr(tg.metrics, "accuracy", accuracy)
    for name, other in (("discriminator", discriminator), ("train", trainer), ("train_alone", trainer), ("outputs", outputs),
                        ("upright", lambda images: images + 3)):
        monkeypatch.setattr(semi_supervised, name, other)
    curves, few, drawn = semi_supervised.play(it)
    assert (drawn == 0.5).all() and len(few) == 100
    games = [semi_supervised.GAME.format(n) for n in (20, 50, 100)]
    assert list(curves) == [semi_supervised.ALONE, semi_supervised.ALL, semi_supervised.NO_GAME, *games]
    for curve in curves.values():
        assert curve == [(step, pytest.approx(37.5)) for step in range(2, 41, 2)]       # five of 8 are a 3
    assert all(np.allclose(seen, 3 + (1 - images[:8]) / 2) for seen in judged)
    assert len(streams) == 6 and len(set(streams)) == 1
    alone, everything, (none, *without), *played = given
    assert none is None and all(isinstance(G, tg.Sequential) for G, *_ in played)
    trained = zip((alone, everything, without, *(game for _, *game in played)), (100, 500, 100, 20, 50, 100))
    for (x, names, *others), n in trained:
        which = np.rint((x[:, 14, 14, 0] - 3) * 499).astype(int)
        assert len(set(which)) == len(names) == n and (labels[which] == names).all()
        assert (np.bincount(names) == n // 10).all()
        for unlabelled in others:
            np.testing.assert_allclose(unlabelled, 3 + (images + 1) / 2)


def test_g_gets_new_uniform_noise_in_each_step(alone, rng):
    D, G = semi_supervised.discriminator(SMALL, rng), semi_supervised.generator(10, rng)
    seen, forward = [], G.forward
    G.forward = lambda z: seen.append(z.data) or forward(z)
    images = rng.random((100, 28, 28, 1), np.float32)
    semi_supervised.train(D, G, images, np.arange(100) % 10, images, 2, rng, lambda step: None)
    one, other = seen
    for z in seen:
        assert z.min() >= 0 and z.max() <= 1 and abs(z.mean() - 0.5) < 0.02 and abs(z.std() - 12 ** -0.5) < 0.02
    assert (one != other).mean() > 0.99


def test_the_baseline_learns_in_training_mode_what_the_labels_say(alone, monkeypatch, rng):
    D, seen = semi_supervised.discriminator(semi_supervised.WIDTHS, rng), []
    images, labels = rng.random((100, 28, 28, 1), np.float32), rng.integers(0, 10, 100)

    def loss():
        with D.evaluating():
            return float(cross_entropy(D(images), labels))

    before, forward = loss(), D.forward
    D.forward = lambda x: seen.append((D.training, 0.4 < x.data.mean() < 0.6)) or forward(x)
    monkeypatch.setattr(semi_supervised, "moved", lambda images, rng: images + np.float32(1.5))
    semi_supervised.train_alone(D, images - np.float32(1.5), labels, 15, rng, lambda step: None)
    assert seen == 15 * [(True, True)] and loss() < before - 0.1


def test_what_is_reported_is_the_error_at_the_end(monkeypatch, tmp_path):
    said, shown = [], {}
    it = Lesson(tmp_path, None, ([0] * 1000, None), full=True, say=said.append)
    names = semi_supervised.ALONE, GAME, semi_supervised.ALL

    def play(it):
        return {name: [(1, 90.0), (2, 10.0 * place)] for place, name in enumerate(names)}, "labelled", "drawn"

    monkeypatch.setattr(semi_supervised, "play", play)
    monkeypatch.setattr(semi_supervised.plots, "save", lambda figure, path: None)
    monkeypatch.setattr(semi_supervised.plots, "samples", lambda images, path: shown.update({path.name: images}))
    semi_supervised.lesson(it)
    assert {row.what.partition(", ")[2]: row.value for row in it.rows} == {name: 10 * k for k, name in enumerate(names)}
    assert [row.published != "" for row in it.rows] == [False, True, False]
    assert "  wrong: 100 of 1,000" in said
    assert shown == {"labelled.png": "labelled", "samples.png": "drawn"}


def test_two_processes_learn_what_one_does(alone, rng):
    images, labels = rng.random((200, 28, 28, 1), np.float32), np.arange(20) % 10

    def weights(workers):
        rng = np.random.default_rng(0)
        D, G = semi_supervised.discriminator(SMALL, rng), semi_supervised.generator(10, rng)
        with tg.group.of(workers):
            semi_supervised.train(D, G, images[:20], labels, images, 3, rng, lambda step: None)
        return np.concatenate([p.data.ravel() for p in (*D.parameters(), *G.parameters())])

    assert abs(weights(2) - weights(1)).mean() < 1e-7           # but for rounding
