"""The semi-supervised lesson: its loss is the paper's, and it reads 100 labels."""
import numpy as np
import pytest

import tinygan as tg
from tinygan.lessons import Lesson, semi_supervised
from tinygan.losses import cross_entropy, discriminator_loss, log_sum_exp, softmax


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


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(semi_supervised, "SHORT_WIDTHS", (20, 10))


def played(it, labels):
    it = Lesson(it.folder, (it.train[0], labels), it.test, limit=3)
    return semi_supervised.play(it, 0)


def test_permuting_the_labels_of_the_other_images_changes_no_bit(small, monkeypatch, tmp_path, rng):
    it = Lesson(tmp_path, tg.data.digits(), tg.data.held_out_digits())
    labels = it.train[1]
    few = semi_supervised.choose(labels, rng)
    monkeypatch.setattr(semi_supervised, "choose", lambda labels, rng: few)
    others = np.setdiff1d(np.arange(len(labels)), few)
    permuted = labels.copy()
    permuted[others] = rng.permutation(labels[others])
    before, after = played(it, labels), played(it, permuted)
    for name in (semi_supervised.ALONE, semi_supervised.GAME):
        assert before[0][name] == after[0][name]
    assert before[0][semi_supervised.ALL] != after[0][semi_supervised.ALL]
    for one, other in zip(before[1:], after[1:]):
        np.testing.assert_array_equal(one, other)
    permuted[few] = np.roll(labels[few], 1)
    assert played(it, permuted)[0][semi_supervised.GAME] != before[0][semi_supervised.GAME]


def smooth(rng, *layers):
    return tg.Sequential(*layers).initialise(rng).astype(np.float64)


def test_the_loss_of_d_is_its_equation(rng):
    """L_supervised + ½ L_unsupervised, with softmax over K + 1 classes, the logit of the last being 0"""
    D = smooth(rng, tg.Flatten(), tg.Dense(4, 3))
    images, x, fakes = 3 * rng.standard_normal((3, 5, 2, 2, 1))
    labels = rng.integers(0, 3, 5)

    def p(images):
        return softmax(tg.Tensor(np.c_[D(images).data, np.zeros(5)])).data

    named, real, fake = p(images), p(x), p(fakes)
    supervised = -np.log(named[range(5), labels] / (1 - named[:, 3])).mean()
    unsupervised = -np.log(1 - real[:, 3]).mean() - np.log(fake[:, 3]).mean()

    def loss(images, x, fakes):
        return semi_supervised.judge_loss(D, images, labels, x, fakes)

    np.testing.assert_allclose(float(loss(*map(tg.Tensor, (images, x, fakes)))), supervised + unsupervised / 2)
    tg.check_gradients(loss, images, x, fakes)


def test_feature_matching_is_its_equation(rng):
    """L_G = ‖E f(x) − E f(G(z))‖, of which G moves the second mean only"""
    weights, x, fakes = (rng.standard_normal(shape) for shape in ((4, 3), (5, 4), (7, 4)))

    def f(x):
        return tg.ops.tanh(x @ tg.Tensor(weights))

    wanted = np.linalg.norm(np.tanh(x @ weights).mean(axis=0) - np.tanh(fakes @ weights).mean(axis=0))
    np.testing.assert_allclose(float(semi_supervised.matching_loss(f, tg.Tensor(x), tg.Tensor(fakes))), wanted)
    tg.check_gradients(lambda fakes: semi_supervised.matching_loss(f, tg.Tensor(x), fakes), fakes)


def test_each_loss_gets_what_is_its_own(small, alone, monkeypatch, rng):
    """D judges the images with labels, others without and G's; G's are to have the features of those without."""
    D, G = semi_supervised.discriminator((20, 10), rng), semi_supervised.generator(10, rng)
    white, black = np.ones((200, 28, 28, 1), np.float32), np.zeros((100, 28, 28, 1), np.float32)
    labels, seen = np.arange(100) % 10, []

    def spy(name):
        loss = getattr(semi_supervised, name)

        def spied(*given):
            assert D.training and G.training
            seen.append([np.mean(getattr(images, "data", images)) for images in given[1:] if images is not labels])
            return loss(*given)
        monkeypatch.setattr(semi_supervised, name, spied)

    spy("judge_loss")
    spy("matching_loss")
    before = [p.data.copy() for p in (*D.parameters(), *G.parameters())]
    semi_supervised.train(D, G, black, labels, white, 1, rng, lambda step: None)
    (known, unknown, fake), (matched, matching) = seen
    assert known == 0 and unknown == matched == 1 and 0.3 < fake < 0.7 and 0.3 < matching < 0.7
    assert all((p.data != q).any() for p, q in zip((*D.parameters(), *G.parameters()), before))


def hidden_weights(D):
    return [layer.weight.data for layer in D.layers[0].layers if isinstance(layer, tg.Dense)]


def assert_held(D):
    for weight in hidden_weights(D):
        np.testing.assert_allclose(np.linalg.norm(weight, axis=0), np.sqrt(2), rtol=1e-5)


def test_the_columns_of_hidden_weights_keep_the_norm_of_the_root_of_2(alone, rng):
    D, G = semi_supervised.discriminator((20, 10), rng), semi_supervised.generator(10, rng)
    assert_held(D)
    images = rng.random((100, 28, 28, 1), np.float32)
    for go in (lambda look: semi_supervised.train(D, G, images[:10], np.arange(10), images, 3, rng, look),
               lambda look: semi_supervised.train_alone(D, images, np.arange(100) % 10, 3, rng, look)):
        before = [weight.copy() for weight in hidden_weights(D)]
        go(lambda step: assert_held(D))
        assert len(before) == 2 and all((a != b).any() for a, b in zip(before, hidden_weights(D)))


def test_holding_changes_no_direction_and_no_bias(rng):
    f = tg.Sequential(tg.Dense(4, 3), tg.LeakyReLU(0))
    weight, f.layers[0].bias.data[...] = f.layers[0].weight.data.copy(), [1, 2, 3]
    semi_supervised.hold(f)
    np.testing.assert_allclose(f.layers[0].weight.data, np.sqrt(2) * weight / np.linalg.norm(weight, axis=0), rtol=1e-6)
    assert f.layers[0].bias.data.tolist() == [1, 2, 3]


def test_with_that_norm_a_relu_keeps_the_mean_square(rng):
    f, _ = semi_supervised.discriminator((2000, 2000), rng).eval().layers
    assert abs(float((f(rng.standard_normal((500, 784)).astype(np.float32)) ** 2).mean()) - 1) < 0.1


def test_the_learning_rate_falls_in_a_straight_line(small, monkeypatch, tmp_path):
    parts = []
    monkeypatch.setattr(tg.Adam, "step", lambda self, part: parts.append(part))
    semi_supervised.play(Lesson(tmp_path, tg.data.digits(), tg.data.held_out_digits(), limit=4), 0)
    assert parts == 2 * [1, 0.75, 0.5, 0.25] + [1, 1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25]


class Three(tg.Module):
    """Says of every image that it is a 3."""

    def forward(self, x):
        return tg.Tensor(np.tile(np.eye(10)[3], (len(x), 1)))


def test_each_training_gets_what_it_is_called_and_is_judged_in_evaluation_mode(monkeypatch, tmp_path):
    """Every image has a grey value of its own, so that it is known by its middle."""
    labels, grey = np.arange(500) % 10, np.linspace(-1, 1, 500, dtype=np.float32)
    images = grey[:, None, None, None] * np.ones((1, 28, 28, 1), np.float32)
    it = Lesson(tmp_path, (images, labels), (-images[:8], np.array([3, 3, 1, 3, 0, 9, 3, 3])), limit=40)
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
    for name, other in (("discriminator", discriminator), ("train", trainer), ("train_alone", trainer), ("outputs", outputs)):
        monkeypatch.setattr(semi_supervised, name, other)
    curves, few, drawn = semi_supervised.play(it, 0)
    assert (drawn == 0.5).all() and len(few) == 100
    assert set(curves) == {semi_supervised.ALONE, semi_supervised.ALL, semi_supervised.GAME}
    for curve in curves.values():
        assert curve == [(step, pytest.approx(37.5)) for step in range(2, 41, 2)]       # five of 8 are a 3
    assert all(np.allclose(seen, (1 - images[:8]) / 2) for seen in judged)
    assert len(streams) == 3 and len(set(streams)) == 1
    alone, everything, (G, *game) = given
    for (x, names), n in ((alone, 100), (everything, 500), (game[:2], 100)):
        which = np.rint(x[:, 14, 14, 0] * 499).astype(int)
        assert len(set(which)) == len(names) == n and (labels[which] == names).all()
        assert n == 500 or np.allclose(few[:, 14, 14, 0], grey[which], atol=1e-6)
    np.testing.assert_allclose(game[2], (images + 1) / 2)


def test_g_gets_new_uniform_noise_in_each_step(alone, rng):
    D, G = semi_supervised.discriminator((20, 10), rng), semi_supervised.generator(10, rng)
    seen, forward = [], G.forward
    G.forward = lambda z: seen.append(z.data) or forward(z)
    images = rng.random((100, 28, 28, 1), np.float32)
    semi_supervised.train(D, G, images, np.arange(100) % 10, images, 2, rng, lambda step: None)
    one, other = seen
    for z in seen:
        assert z.min() >= 0 and z.max() <= 1 and abs(z.mean() - 0.5) < 0.02 and abs(z.std() - 12 ** -0.5) < 0.02
    assert (one != other).mean() > 0.99


def test_the_baseline_learns_in_training_mode_what_the_labels_say(alone, monkeypatch, rng):
    D, seen = semi_supervised.discriminator((20, 10), rng), []
    monkeypatch.setattr(semi_supervised, "cross_entropy", lambda a, y: seen.append((D.training, y)) or cross_entropy(a, y))
    images, labels = rng.random((100, 28, 28, 1), np.float32), rng.integers(0, 10, 100)

    def loss():
        with D.evaluating():
            return float(cross_entropy(D(images), labels))

    before = loss()
    semi_supervised.train_alone(D, images, labels, 15, rng, lambda step: None)
    assert loss() < before - 0.1 and all(training for training, _ in seen)
    assert all((np.bincount(names) == np.bincount(labels)).all() for _, names in seen)      # each once in a batch of all


def test_what_is_reported_is_the_error_at_the_end(monkeypatch, tmp_path):
    said, shown = [], {}
    it = Lesson(tmp_path, None, ([0] * 1000, None), full=True, say=said.append)
    names = semi_supervised.ALONE, semi_supervised.GAME, semi_supervised.ALL

    def play(it, k):
        return {name: [(1, 90.0), (2, 10.0 * place + k)] for place, name in enumerate(names)}, f"labelled {k}", f"drawn {k}"

    monkeypatch.setattr(semi_supervised, "play", play)
    monkeypatch.setattr(semi_supervised.plots, "save", lambda figure, path: None)
    monkeypatch.setattr(semi_supervised.plots, "samples", lambda images, path: shown.update({path.name: images}))
    semi_supervised.lesson(it)
    assert {row.what.partition(", ")[2]: row.each for row in it.rows} == {
        name: [10 * place, 10 * place + 1, 10 * place + 2] for place, name in enumerate(names)}
    assert [row.published != "" for row in it.rows] == [False, True, False]
    assert "  wrong: 100, 110, 120 of 1,000" in said
    assert shown == {"labelled.png": "labelled 0", "samples.png": "drawn 0"}
