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
    assert y.dtype == np.float32 and abs((y.data - 1).std() - 0.5) < 0.02
    assert (noise.eval()(x).data == x).all()


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(semi_supervised, "SHORT", (20, 10))


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
