"""The score of sampled digits: does it move the right way, and is the Fréchet distance the one of the formula?"""
from importlib import resources

import numpy as np
import pytest

import tinygan as tg
from tinygan import metrics
from tinygan.data import make_classifier


@pytest.fixture(scope="module")
def digits():
    return tg.data.digits()


def test_the_judge_in_the_package_knows_98_of_100_new_digits():
    judge = metrics.load_judge()
    assert metrics.accuracy(judge.network, *tg.data.held_out_digits()) >= 0.98
    assert not any(module.training for module in judge.network.modules())
    assert {parameter.dtype for parameter in judge.network.parameters()} == {np.dtype(np.float32)}
    assert (resources.files(tg.data) / metrics.FILE).stat().st_size <= 500_000


def test_the_judge_orders_digits_as_eyes_do(digits, rng):
    """Real ones, those that are blurred, those that are too thin, and noise."""
    images = digits[0][::5]
    around = np.stack([np.roll(images, (i, j), axis=(1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    order = [images, around.mean(axis=0), around.min(axis=0), rng.uniform(-1, 1, images.shape)]
    distances = [metrics.score(some).frechet for some in order]
    assert distances == sorted(distances) and metrics.real_score(5000).frechet < 5 < 40 < distances[1] < 500 < distances[-1]


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
    features, judge = np.array([[0.0], [2], [0], [2]]), metrics.Judge(None, np.array([7.0]), np.array([[12.0]]))
    p = np.full((4, 10), 0.01)                                                      # of the features 1 and 4/3
    p[range(4), [3, 3, 5, 7]] = 0.96, 0.95, 0.5, 0.39
    monkeypatch.setattr(metrics, "classified", lambda network, images: (features, p))
    score = metrics.score(np.zeros((4, 28, 28, 1)), judge)
    assert score.frechet == pytest.approx(36 + (np.sqrt(12) - np.sqrt(4 / 3)) ** 2)
    assert score.confidence == pytest.approx(0.7) and score.sure == 0.25             # 0.95 itself is not sure
    assert score.classes == (0, 0, 0, 0.5, 0, 0.25, 0, 0.25, 0, 0) and score.n == 4
    assert score.entropy == pytest.approx(1.5 * np.log(2))                          # ½·log 2 + 2·¼·log 4


def test_the_features_are_what_the_last_layer_but_one_gives(digits):
    """Batch by batch, and each image by itself."""
    images, network = digits[0][:5], metrics.classifier()
    features, p = metrics.classified(network, images, batch=2)
    expected = images
    for layer in network.layers[:-1]:
        expected = layer(expected)
    logits = network.layers[-1](expected).data.astype(np.float64)
    np.testing.assert_allclose(features, expected.data, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(p, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6)
    assert features.shape == (5, 128)


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


def test_a_judge_learns_repeats_itself_and_is_kept(digits, tmp_path):
    images, labels = digits[0][:640], digits[1][:640]

    def loss(network):
        with tg.no_grad():
            return float(tg.losses.cross_entropy(network(images), labels))

    networks = [make_classifier.train(make_classifier.lenet(), images, labels, epochs=epochs) for epochs in (1, 8, 8)]
    assert loss(networks[0]) < np.log(10)                         # a classifier that can only guess has log 10
    assert loss(networks[1]) < 0.5 * loss(networks[0]) and metrics.accuracy(networks[1], images, labels) > 0.8
    first, second = (network.state_dict() for network in networks[1:])
    assert all(np.array_equal(first[name], second[name]) for name in first)
    make_classifier.write(tmp_path / "judge.npz", networks[1], images)
    judge = metrics.load_judge(tmp_path / "judge.npz")
    for name, weight in judge.network.state_dict().items():
        np.testing.assert_allclose(weight, first[name], rtol=2 ** -10, atol=2 ** -24)       # rounded to float16
    features = metrics.classified(judge.network, images)[0]
    np.testing.assert_allclose(judge.mean, features.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(judge.covariance, np.cov(features.astype(np.float64).T), rtol=1e-5, atol=1e-6)
    assert metrics.score(images, judge).frechet < 1e-3


def test_the_learning_rate_of_the_judge_falls_to_0_in_a_straight_line(digits, monkeypatch):
    fractions = []

    class Noted(tg.Adam):
        def step(self, fraction):
            fractions.append(fraction)
            super().step(fraction)

    monkeypatch.setattr(make_classifier, "Adam", Noted)
    make_classifier.train(make_classifier.lenet(), digits[0][:256], digits[1][:256], epochs=4)     # 2 batches of 128
    assert fractions == pytest.approx([1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])
