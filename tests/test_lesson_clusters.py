"""The lesson on clusters: its agreement is the best of all namings, its bound a bound, and it reads no label to learn."""
from itertools import permutations

import numpy as np
import pytest

import tinygan as tg
from tinygan.lessons import Lesson, clusters
from tinygan.losses import cross_entropy

pytest.importorskip("sklearn", reason="pip install '.[lessons]'")


def test_the_naming_is_the_best_of_all(monkeypatch, rng):
    monkeypatch.setattr(clusters, "K", 4)
    for _ in range(10):
        codes, labels = rng.integers(0, 4, (2, 30))
        best = max((np.array(naming)[codes] == labels).mean() for naming in permutations(range(4)))
        (accuracy, _), digits = clusters.agreement(codes, labels)
        np.testing.assert_allclose([accuracy, 100 * (digits[codes] == labels).mean()], 100 * best)


def test_names_do_not_matter(rng):
    labels = rng.integers(0, 10, 200)
    names = rng.permutation(10)
    np.testing.assert_allclose(clusters.agreement(names[labels], labels)[0], (100, 1))
    assert (clusters.agreement(names[labels], labels)[1][names] == np.arange(10)).all()
    noisy = np.where(rng.random(200) < 0.3, rng.integers(0, 10, 200), labels)
    np.testing.assert_allclose(clusters.agreement(names[noisy], labels)[0], clusters.agreement(noisy, labels)[0])


def test_the_bound_is_below_the_information(rng):
    """x is one of 6 symbols and c one of 10, with a joint table: I(c; x) ≥ E log Q(c | x) + H(c), and = for the true Q."""
    p = rng.random((10, 6)) / 10                                # of x given c, below, with c uniform
    p = p / p.sum(axis=1, keepdims=True) / 10
    information = (p * np.log(p / (p.sum(axis=1, keepdims=True) * p.sum(axis=0)))).sum()

    def bound(log_q):                                           # (6, 10): for each x the logits of c
        each = [float(cross_entropy(tg.Tensor(log_q[[x]]), np.array([c]))) for c in range(10) for x in range(6)]
        return np.log(10) - (p.ravel() * each).sum()

    np.testing.assert_allclose(bound(np.log(p / p.sum(axis=0)).T), information)
    assert all(bound(rng.standard_normal((6, 10))) < information for _ in range(10))


def test_a_row_is_a_code_and_a_column_a_z(rng):
    seen = []

    class G(tg.Module):
        def forward(self, x):
            seen.append(x.data)
            return tg.ops.reshape(x[:, :1], -1, 1, 1, 1)

    assert clusters.sheet(G(), np.arange(10)[::-1], rng).shape == (100, 1, 1, 1)
    z, codes = np.split(seen[0].reshape(10, 10, 72), [62], axis=2)
    assert (z == z[:1]).all() and len(np.unique(z[0], axis=0)) == 10
    assert (codes.argmax(axis=2) == np.arange(10)[::-1, None]).all() and (codes.sum(axis=2) == 1).all()


def test_permuting_the_labels_to_train_with_changes_no_bit(tmp_path, rng):
    (images, labels), test = tg.data.digits(), tg.data.held_out_digits()
    outcomes = []
    for k, given in enumerate((labels, rng.permutation(labels))):
        folder = tmp_path / str(k)
        folder.mkdir()
        it = Lesson(folder, (images[:200], given[:200]), test, limit=2, say=lambda text: None)
        clusters.lesson(it)
        outcomes.append((it.rows, (folder / "codes.png").read_bytes()))
    assert outcomes[0] == outcomes[1]
