"""The score of sampled digits: does it move the right way, and is the Fréchet distance the one of the formula?"""
from importlib import resources

import numpy as np
import pytest

import tinygan as tg
from tinygan import metrics


@pytest.fixture(scope="module")
def digits():
    return tg.data.digits()


def test_the_classifier_in_the_package_knows_98_of_100_new_digits():
    assert metrics.accuracy(metrics.classifier(), *tg.data.held_out_digits()) >= 0.98
    assert not any(module.training for module in metrics.classifier().modules())
    assert (resources.files(tg.data) / metrics.FILE).stat().st_size <= 500_000


def test_noise_scores_worse_the_more_there_is_of_it(digits, rng):
    images = digits[0][:1000]
    noise = rng.standard_normal(images.shape)
    scores = [metrics.score((images + s * noise).clip(-1, 1)) for s in (0, 0.3, 0.6)]
    assert scores[0].frechet < scores[1].frechet < scores[2].frechet
    assert scores[0].sure > scores[1].sure > scores[2].sure
    assert scores[0].confidence > scores[1].confidence > scores[2].confidence


def test_lost_classes_show_in_entropy_shares_and_distance(digits):
    images, labels = digits
    every, three, one = (metrics.score(some) for some in (images[:1000], images[labels < 3], images[labels == 3]))
    assert every.frechet < three.frechet < one.frechet
    assert every.entropy > 2.28 and abs(three.entropy - np.log(3)) < 0.05 and one.entropy < 0.1
    assert min(every.classes) > 0.05 and one.classes[3] > 0.98 and abs(sum(three.classes) - 1) < 1e-12
    assert three.sure > 0.9 and one.sure > 0.9                    # sure of every digit, and yet a poor set of samples


def test_halfway_between_two_digits_the_classifier_is_unsure(digits):
    images, _ = digits
    assert metrics.score((images[:500] + images[500:1000]) / 2).sure < 0.5 < metrics.score(images[:500]).sure


def test_real_digits_are_the_mark_and_a_larger_sample_comes_closer(digits):
    few, many = metrics.real_score(500), metrics.real_score(5000)
    assert few == metrics.score(digits[0][:500]) and few.n == 500
    assert 0 < many.frechet < few.frechet
    assert abs(metrics.score(tg.data.held_out_digits()[0]).frechet) < 1e-4       # the very digits it compares with


def test_equal_images_give_equal_scores_whatever_their_dtype(digits):
    images = digits[0][:700]                                      # more than one batch, the last one not full
    assert metrics.score(images) == metrics.score(images) == metrics.score(images.astype(np.float64))


def test_a_score_reads_as_one_line_with_its_n(digits):
    said = str(metrics.score(digits[0][:200]))
    assert "\n" not in said and "200" in said and "Fréchet" in said


@pytest.mark.parametrize("shape", [
    (28, 28, 1), (5, 28, 28), (5, 28, 28, 3), (5, 32, 32, 1), (1, 28, 28, 1), (0, 28, 28, 1)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(tg.TinyganError, match="expected"):
        metrics.score(np.zeros(shape, np.float32))


@pytest.mark.parametrize("value", [float("nan"), 255.0, -1.5, 1.05, -1.05])
def test_values_out_of_range_are_refused(value, digits):
    images = digits[0][:5].copy()
    images[2, 3, 4] = value
    with pytest.raises(tg.TinyganError, match="rescale"):
        metrics.score(images)


def test_a_score_by_hand(monkeypatch):
    """Four images with one feature each, and the probabilities that a classifier might give."""
    features, real = np.array([[0.0], [2], [0], [2]]), np.array([[4.0], [10], [4], [10]])       # means 1, 7; C = 4/3, 12
    p = np.full((4, 10), 0.01)
    p[range(4), [3, 3, 5, 7]] = 0.96, 0.95, 0.5, 0.39
    monkeypatch.setattr(metrics, "_classified", lambda images: (features, p) if len(images) == 4 else (real, None))
    score = metrics.score(np.zeros((4, 28, 28, 1)))
    assert score.frechet == pytest.approx(36 + (np.sqrt(12) - np.sqrt(4 / 3)) ** 2)
    assert score.confidence == pytest.approx(0.7) and score.sure == 0.25             # 0.95 itself is not sure
    assert score.classes == (0, 0, 0, 0.5, 0, 0.25, 0, 0.25, 0, 0) and score.n == 4
    assert score.entropy == pytest.approx(1.5 * np.log(2))                          # ½·log 2 + 2·¼·log 4


def test_the_features_are_what_the_last_layer_but_one_gives(digits):
    """Batch by batch, and each image by itself."""
    images, network = digits[0][:5], metrics.classifier()
    features, p = metrics._classified(images, batch=2)
    expected = images
    for layer in network.layers[:-1]:
        expected = layer(expected)
    logits = network.layers[-1](expected).data.astype(np.float64)
    np.testing.assert_allclose(features, expected.data, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(p, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6)
    assert features.shape == (5, 64)


def test_accuracy_by_hand():
    def network(images):
        return tg.Tensor([[0.0, 3, 1], [9, 2, 1], [1, 2, 5], [7, 1, 0]])

    assert metrics.accuracy(network, None, np.array([1, 0, 2, 2])) == 0.75


def test_no_more_real_digits_are_scored_than_there_are():
    with pytest.raises(tg.TinyganError, match="5000"):
        metrics.real_score(5001)


def test_rounding_leaves_no_negative_distance_or_entropy(digits):
    assert metrics.frechet_distance(digits[0][:100, 10].reshape(100, -1), digits[0][:100, 10].reshape(100, -1)) >= 0
    assert "-" not in str(metrics.score(-np.ones((10, 28, 28, 1))))


def test_frechet_distance_of_one_feature():
    assert metrics.frechet_distance(np.array([[0.0], [2]]), np.array([[1.0], [5]])) == pytest.approx(4 + 2)


def test_frechet_distance_of_samples_with_exact_moments(rng):
    """Samples are whitened first, so that their moments are the given ones exactly, not up to the luck of the draw."""
    n, mean_a, mean_b = 300, np.array([1.0, -2, 0]), np.array([0.5, 1, 4])
    white = rng.standard_normal((n, 3))
    white -= white.mean(axis=0)
    white = white @ np.linalg.inv(np.linalg.cholesky(np.cov(white, rowvar=False))).T
    sigma_a, sigma_b = np.array([1.0, 2, 3]), np.array([2.0, 0.5, 0])                     # b is flat in one direction
    expected = ((mean_a - mean_b) ** 2).sum() + ((sigma_a - sigma_b) ** 2).sum()          # covariances that commute
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    a, b = (white * sigma_a + mean_a) @ turn, (white * sigma_b + mean_b) @ turn
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert metrics.frechet_distance(b, a) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_of_two_covariances_that_do_not_commute(rng):
    """In two dimensions tr (AB)^½ = √(tr AB + 2 √(det A det B)), by Cayley and Hamilton."""
    a, b = (rng.standard_normal((200, 2)) @ rng.standard_normal((2, 2)) for _ in range(2))
    A, B = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    cross = np.sqrt(np.trace(A @ B) + 2 * np.sqrt(np.linalg.det(A) * np.linalg.det(B)))
    expected = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + np.trace(A + B) - 2 * cross
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_fewer_samples_than_features(rng):
    a = rng.standard_normal((10, 64))                             # a covariance of rank 9
    assert abs(metrics.frechet_distance(a, a)) < 1e-4
    assert metrics.frechet_distance(a, a + 1) == pytest.approx(64, rel=1e-5)


def test_training_lowers_the_loss_and_repeats_itself(digits, monkeypatch):
    images, labels = digits[0][:320], digits[1][:320]
    monkeypatch.setattr(tg.data, "digits", lambda: (images, labels))

    def loss(network):
        with tg.no_grad():
            return float(tg.losses.cross_entropy(network(images), labels))

    networks = [metrics.train_classifier(epochs=epochs) for epochs in (1, 8, 8)]
    assert loss(networks[0]) < np.log(10)                         # a classifier that can only guess has log 10
    assert loss(networks[1]) < 0.7 * loss(networks[0])
    first, second = (network.state_dict() for network in networks[1:])
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_digit_is_moved_down_and_to_the_right():
    """The window begins `down` rows into the padded sheet: 0 moves the image down by two, 4 up by two."""
    image = -np.ones((28, 28, 1), np.float32)
    image[10, 20] = 1

    class Drawn:
        def integers(self, low, high, shape):
            assert (low, high, shape) == (0, 5, (2, 3, 1))
            return np.array([[[0], [2], [4]], [[4], [2], [1]]])

    moved = metrics._shifted(np.stack([image] * 3), Drawn())
    assert moved.shape == (3, 28, 28, 1) and [tuple(map(int, np.argwhere(one[..., 0] == 1)[0])) for one in moved] == [
        (12, 18), (10, 20), (8, 21)]
    assert (moved == -1).sum() == 3 * (28 * 28 - 1)                 # paper fills the gap


def test_every_shift_is_drawn_and_each_axis_for_itself(rng):
    images = -np.ones((500, 28, 28, 1), np.float32)
    images[:, 14, 14] = 1
    _, rows, columns, _ = np.nonzero(metrics._shifted(images, rng) == 1)
    assert set(zip(rows - 14, columns - 14)) == {(i, j) for i in range(-2, 3) for j in range(-2, 3)}


def test_the_classifiers_learning_rate_falls_from_epoch_to_epoch(digits, monkeypatch):
    rates = []

    class Noted(tg.Adam):
        def step(self):
            rates.append((self.lr, self.betas))
            super().step()

    monkeypatch.setattr(metrics, "Adam", Noted)
    monkeypatch.setattr(tg.data, "digits", lambda: (digits[0][:20], digits[1][:20]))
    metrics.train_classifier(epochs=4, batch_size=8)                # three batches, the last one smaller
    assert [rate for rate, _ in rates] == pytest.approx(np.repeat([1e-3, 7.5e-4, 5e-4, 2.5e-4], 3))
    assert {betas for _, betas in rates} == {(0.9, 0.999)}
