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
