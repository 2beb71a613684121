"""The lesson on features: the game of pairs as its equation says, and neighbours found as by hand, without any label."""
import numpy as np
import pytest

import tinygan as tg
from tinygan.lessons import Lesson, features

pytest.importorskip("sklearn", reason="pip install '.[lessons]'")


def test_encoder_and_generator_play_with_the_labels_exchanged(rng):
    """Their loss is −E log σ(D(G(z), z)) − E log(1 − σ(D(x, E(x)))), and its gradient reaches every weight of both."""
    def float64(*layers):
        return tg.Sequential(*layers).initialise(rng).astype(np.float64)

    E = float64(tg.Flatten(), tg.Dense(784, 50), tg.Tanh())
    G = float64(tg.Dense(50, 784), tg.Tanh(), tg.Reshape(28, 28, 1))
    D = float64(tg.Dense(834, 6), tg.Tanh(), tg.Dense(6, 1))
    x, z = rng.uniform(-1, 1, (3, 28, 28, 1)), rng.standard_normal((3, 50))

    def loss(x, z):
        return features.makers_loss(E, G, D, x, z)

    p_fake, p_real = (1 / (1 + np.exp(-D(pair).data)) for pair in (features.pair(G(z), z), features.pair(tg.Tensor(x), E(x))))
    assert abs(p_fake - p_real).min() > 0.01                    # or their exchange would not be seen
    assert float(loss(tg.Tensor(x), tg.Tensor(z))) == pytest.approx(-(np.log(p_fake) + np.log(1 - p_real)).mean())
    report = tg.check_gradients(loss, x, z)
    assert len(report.rows) == 2 + 2 + 2 + 4                    # x and z, weight and bias of E, of G, and twice of D


def test_one_step_moves_all_three_players(rng):
    x = rng.uniform(-1, 1, (8, 28, 28, 1)).astype(np.float32)
    players = [make(16, rng) for make in (features.encoder, features.generator, features.discriminator)]
    before = [[p.data.copy() for p in player.parameters()] for player in players]
    features.train(*players, x, 1, rng)
    for player, old in zip(players, before):
        assert all((p.data != q).any() for p, q in zip(player.parameters(), old))
    E, G, _ = players
    assert E(x).shape == (8, 50) and E.layers[0](x).shape == (8, 16) and G(E(x)).shape == x.shape


def test_the_nearest_neighbour_is_the_nearest(rng):
    train, test = rng.standard_normal((40, 5)), rng.standard_normal((30, 5))
    labels, truth = rng.integers(0, 3, 40), rng.integers(0, 3, 30)
    nearest = ((test[:, None] - train) ** 2).sum(axis=2).argmin(axis=1)
    assert features.nearest_neighbour(train, labels, test, truth) == pytest.approx(100 * (labels[nearest] == truth).mean())


def test_permuting_the_labels_changes_the_judgement_alone(tmp_path, rng):
    (images, labels), (test, truth) = tg.data.digits(), tg.data.held_out_digits()
    outcomes = []
    for k, given in enumerate((labels[:300], rng.permutation(labels[:300]))):
        folder = tmp_path / str(k)
        folder.mkdir()
        it = Lesson(folder, (images[:300], given), (test[:200], truth[:200]), limit=2, say=lambda text: None)
        features.lesson(it)
        outcomes.append((it.rows, [(folder / name).read_bytes() for name in ("reconstructed.png", "maps.png")]))
    (rows, pictures), (permuted, same) = outcomes
    assert pictures == same and rows[-2:] == permuted[-2:]
    assert all(row.value > 40 for row in rows[:-2]) and all(row.value < 25 for row in permuted[:-2])


def test_each_step_is_the_equation_of_the_pairs(monkeypatch, rng):
    """D learns that (x, E(x)) is real and (G(z), z) is not, E and G the reverse, and both rates fall to 0."""
    players = E, G, D = [make(16, rng) for make in (features.encoder, features.generator, features.discriminator)]
    images, steps, seen, noise = tg.data.digits()[0][:200], [], [], []
    monkeypatch.setattr(D, "forward", lambda pairs, forward=D.forward: seen.append(pairs.data) or forward(pairs))
    monkeypatch.setattr(G, "forward", lambda z, forward=G.forward: noise.append(z.data) or forward(z))
    monkeypatch.setattr(features, "descend", lambda adam, loss, fraction: steps.append((adam, float(loss), fraction)))
    features.train.__wrapped__(*players, images, 4, rng)
    assert len(steps) == len(noise) == 8 and len(seen) == 16 and all(player.training for player in players)
    assert all(abs(z.std() - 1) < 0.05 for z in noise) and len({z.tobytes() for z in noise}) == 8
    flat = images.reshape(200, 784)
    for k, (adam, loss, fraction) in enumerate(steps):
        real, fake = seen[2 * k:2 * k + 2]
        assert all((x == flat).all(axis=1).any() for x in real[:, :784]) and (fake[:, 784:] == noise[k]).all()
        a, b = D(tg.Tensor(real)).data, D(tg.Tensor(fake)).data
        right, exchanged = (np.log1p(np.exp(sign * np.stack([-a, b]))).sum(axis=0).mean() for sign in (1, -1))
        assert abs(right - exchanged) > 1e-4
        assert loss == pytest.approx(exchanged if k % 2 else right, rel=1e-5)
        assert adam.parameters == (E.parameters() + G.parameters() if k % 2 else D.parameters())
        assert fraction == (1, 1, 1, 0.5)[k // 2]


def test_vectors_are_made_in_evaluation_mode_of_training_and_test_images(tmp_path, rng):
    """A new batch normalisation divides by √(1 + ε), whatever the batch."""
    train, test = rng.standard_normal((2, 700, 3)).astype(np.float32)
    it = Lesson(tmp_path, (train, None), (test[:9], None))
    for made, given in zip(features.vectors(it, tg.BatchNorm(3)), (train, test[:9])):
        np.testing.assert_allclose(made, given / np.sqrt(1 + 1e-5), rtol=1e-5)


def test_the_numbers_where_all_is_known(monkeypatch, tmp_path):
    """Of 20 test digits, all training digits, five have other labels: 75 % are right. E(x) is x, and G paints x again."""
    modes, order, drawn = [], [], []

    class Again(tg.Reshape):
        def forward(self, z):
            modes.append(self.training)
            return super().forward(z)

    def train(E, G, D, images, steps, rng):
        order.append(("pairs", E.training, G.training, D.training, len(images), steps, rng.random()))

    monkeypatch.setattr(features, "encoder", lambda width, rng: tg.Sequential(tg.Flatten()))
    monkeypatch.setattr(features, "generator", lambda width, rng: Again(28, 28, 1))
    monkeypatch.setattr(features, "train", train)
    monkeypatch.setattr(tg.GAN, "fit", lambda gan, images, steps, batch, callbacks, workers: order.append(("GAN", len(images), steps, batch)))
    monkeypatch.setattr(features, "plane", lambda vectors: vectors[:, :2])
    monkeypatch.setattr(features.plots, "rows", lambda rows, *_: drawn.extend(rows))
    monkeypatch.setattr(features.plots, "save", lambda *_: None)
    images, labels = tg.data.digits()[0][:60], tg.data.digits()[1][:60]
    test, truth = images[:20], (labels[:20] + (np.arange(20) < 5)) % 10
    it = Lesson(tmp_path, (images, labels), (test, truth), seed=3, say=lambda text: None)
    features.lesson(it)
    assert order == [("GAN", 60, 1500, 32), ("pairs", True, True, True, 60, 2500, np.random.default_rng([3, 3]).random())]
    *shares, again, another = [row.value for row in it.rows]
    assert shares == 8 * [75] and modes == [False] and again == 0
    pixels = [np.sqrt((((test[k] - test[k - 1]) / 2) ** 2).sum()) for k in range(20)]
    assert another == pytest.approx(np.mean(pixels), rel=1e-5)
    assert [label for label, _ in drawn] == 4 * ["x", "G(E(x))"]
    assert all((shown == test[10 * (k // 2):][:10]).all() for k, (_, shown) in enumerate(drawn))
