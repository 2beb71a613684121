"""The lesson on clusters: its agreement is the best of all namings, its bound a bound, and it reads no label to learn."""
from itertools import permutations

import numpy as np
import pytest

import tinygan as tg
from tinygan import group
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


def test_the_information_is_its_equation(rng):
    """Σ_ij P_ij log(P_ij/(p_i q_j)), by NumPy; log 10 where both guess the ten codes, surely and alike; 0 at least."""
    def softmax(a):
        return np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)

    a, b = (tg.Tensor(3 * rng.standard_normal((7, 10))) for _ in "ab")
    P = np.einsum("ni,nj->ij", softmax(a.data), softmax(b.data)) / 7
    independent = P.sum(axis=1)[:, None] * P.sum(axis=0)[None, :]
    found = clusters.shared_information(a, b)
    np.testing.assert_allclose(float(found), (P * np.log(P / independent)).sum(), rtol=1e-5)
    tg.check_gradients(clusters.shared_information, a, b)
    sure = tg.Tensor(1000 * np.eye(10, dtype=np.float32)[np.arange(20) % 10])
    assert float(clusters.shared_information(sure, sure)) == pytest.approx(np.log(10), rel=1e-5)
    assert float(clusters.shared_information(sure, sure[:1] + 0 * sure)) == pytest.approx(0, abs=1e-5)
    assert float(clusters.shared_information(sure, 0 * sure)) == pytest.approx(0, abs=1e-5)


def test_the_information_of_a_shared_batch_is_that_of_the_whole(rng):
    """Two workers: P is the mean over both, and so are I and its gradient."""
    a, b = rng.standard_normal((2, 6, 10))

    def play():
        rows = [tg.Tensor(x, requires_grad=True) for x in clusters.share(a, b)]
        found = clusters.shared_information(*rows)
        return found.data, group.current().gather(np.stack([x.data for x in tg.grad(found, rows)]))

    alone, (whole,) = play()
    with group.Forked(2) as team:
        both, parts = play()
    np.testing.assert_allclose(both, alone)
    np.testing.assert_allclose(np.concatenate(list(parts), axis=1) / 2, whole)      # each is the gradient of its own L_r


def test_moved_is_an_affine_map_about_the_middle(rng, monkeypatch):
    """A digit of a linear brightness: x′(r) = x(A (r − m) + m + s), exactly, wherever that is on the paper."""
    y, x = np.mgrid[:28, :28] - 13.5
    drawn = np.random.default_rng(5).uniform(-1, 1, (3, 3, 2))
    slope = rng.uniform(-0.02, 0.02, (3, 2))
    images = (slope[:, :1, None] * y + slope[:, 1:, None] * x)[..., None].astype(np.float32)
    result = clusters.moved(images, np.random.default_rng(5))
    assert result.dtype == np.float32
    for k in range(3):
        A, s = np.eye(2) + 0.3 * drawn[k, :2], 2 * drawn[k, 2]
        y0, x0 = np.tensordot(A, [y, x], axes=1) + s[:, None, None]
        inside = np.maximum(abs(y0), abs(x0)) < 13.4
        np.testing.assert_allclose(result[k, ..., 0][inside], (slope[k, 0] * y0 + slope[k, 1] * x0)[inside], atol=1e-5)
        assert (result[k, ..., 0][np.maximum(abs(y0), abs(x0)) > 14.6] == -1).all() and 400 < inside.sum() < 784
    assert not (result[0] == clusters.moved(images, rng)[0]).all()


def tiny(rng):
    """G, f, D and Q with smooth gradients, in float64."""
    def net(*layers):
        return tg.Sequential(*layers).initialise(rng, std=0.5).astype(np.float64)

    G = net(tg.Dense(clusters.LATENT + clusters.K, 9), tg.Tanh(), tg.Reshape(3, 3, 1))
    return G, net(tg.Flatten(), tg.Dense(9, 5), tg.Tanh()), net(tg.Dense(5, 1)), net(tg.Dense(5, clusters.K))


def test_the_loss_of_g_and_q_is_its_equation(rng):
    """E softplus(−D(f(x))) − λ E log Q(c | x + noise), x = G(z, c)"""
    G, f, D, Q = tiny(rng)
    z, codes = clusters.draw(4, rng)
    z, noise = z.astype(np.float64), rng.standard_normal((4, 3, 3, 1))
    x = G(z).data
    logits = Q(f(x + noise)).data
    log_q = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    missing = -log_q[range(4), codes].mean()
    loss, guess = clusters.makers_loss(G, f, D, Q, tg.Tensor(z), codes, noise)
    np.testing.assert_allclose(float(guess), missing)
    np.testing.assert_allclose(float(loss), np.log1p(np.exp(-D(f(x)).data)).mean() + clusters.LAMBDA * missing)
    tg.check_gradients(lambda z: clusters.makers_loss(G, f, D, Q, z, codes, noise)[0], z)


def test_what_g_draws_from(rng):
    x, codes = clusters.draw(2000, rng)
    assert x.dtype == np.float32 and (x[:, clusters.LATENT:] == np.eye(10)[codes]).all()
    assert abs(x[:, :clusters.LATENT].std() - clusters.SIGMA) < 0.01 and np.bincount(codes).min() > 120


def test_a_step_moves_f_by_the_game_alone(monkeypatch):
    """With the code's loss a thousand times as heavy G goes elsewhere, f and D where they went before."""
    after = []
    for weight in (clusters.LAMBDA, 1000 * clusters.LAMBDA):
        monkeypatch.setattr(clusters, "LAMBDA", weight)
        rng = np.random.default_rng(0)
        networks = clusters.networks(2, rng)
        clusters.train(*networks, tg.data.digits()[0][:64], 1, rng, print)
        after.append([[p.data for p in network.parameters()] for network in networks])
    G, f, D, _ = (all((p == q).all() for p, q in zip(*both)) for both in zip(*after))
    assert f and D and not G


def test_the_game_goes_the_right_way(monkeypatch, rng):
    """Of white images: G paints whiter, and D, a linear one, believes in white."""
    monkeypatch.setattr(clusters, "PAIRS", 2)
    G = tg.Sequential(tg.Dense(clusters.LATENT + clusters.K, 784), tg.Tanh(), tg.Reshape(28, 28, 1)).initialise(rng)
    f, D, Q = tg.Sequential(tg.Flatten()), tg.Sequential(tg.Dense(784, 1)), tg.Sequential(tg.Dense(784, clusters.K))
    z, white = clusters.draw(50, rng)[0], np.ones((64, 28, 28, 1), np.float32)
    before = G(z).data.mean()
    clusters.train(G, f, D.initialise(rng, std=0.01), Q.initialise(rng), white, 150, rng, print)
    assert D(f(white)).data.mean() > D(f(-white)).data.mean() + 0.5 and G(z).data.mean() > before + 0.05


def test_each_step_is_played_with_what_it_asks_for(monkeypatch, rng):
    """f and D learn that real images are real, f and Q to guess alike of the same ones moved, all at D's rate; then, at that
    of G, Q sees noise and the codes that G was given. At the end of six steps the rates have begun to fall."""
    networks, steps, made, bent = clusters.networks(2, rng), [], [], []
    G, f, D, Q = networks
    images = tg.data.digits()[0][:100]

    def makers_loss(*arguments):
        made.append(arguments[4:])
        return makers(*arguments)

    def moved(batch, rng):
        bent.append((batch, moving(batch, rng)))
        return bent[-1][1]

    makers, moving, judged, painted = clusters.makers_loss, clusters.moved, [], []
    monkeypatch.setattr(f, "forward", lambda x, forward=f.forward: judged.append(x) or forward(x))
    monkeypatch.setattr(G, "forward", lambda z, forward=G.forward: painted.append((z.data, forward(z))) or painted[-1][1])
    monkeypatch.setattr(clusters, "makers_loss", makers_loss)
    monkeypatch.setattr(clusters, "moved", moved)
    monkeypatch.setattr(clusters, "descend", lambda adam, loss, fraction: steps.append((adam, float(loss), fraction)))
    clusters.train.__wrapped__(*networks, images, 6, rng, print)
    assert all(network.training for network in networks) and len(steps) == 18 and len(judged) == 36 and len(bent) == 6
    np.testing.assert_allclose([fraction for *_, fraction in steps], 15 * [1] + 3 * [0.5])
    for k in range(6):
        real, fake, *pair = (x.data for x in judged[6 * k:6 * k + 4])
        assert all((x == images).all(axis=(1, 2, 3)).any() for x in real) and (fake == painted[2 * k][1].data).all()
        expected = np.log1p(np.exp(-D(f(real)).data)).mean() + np.log1p(np.exp(D(f(fake)).data)).mean()
        (d_adam, d_loss, _), (q_adam, q_loss, _), (g_adam, *_) = steps[3 * k:3 * k + 3]
        assert d_loss == pytest.approx(expected, rel=1e-5)
        assert q_loss == pytest.approx(-float(clusters.shared_information(*(Q(f(x)) for x in pair))), rel=1e-4)
        assert len(bent[k][0]) == 128 and all((x == images).all(axis=(1, 2, 3)).any() for x in bent[k][0])
        assert all(abs((seen - x).std() - 0.3) < 0.01 for seen, x in zip(pair, bent[k])) and pair[0].dtype == np.float32
        assert (d_adam.parameters, d_adam.lr) == (f.parameters() + D.parameters(), 2e-4)
        assert (q_adam.parameters, q_adam.lr) == (f.parameters() + Q.parameters(), 2e-4)
        assert (g_adam.parameters, g_adam.lr) == (G.parameters() + Q.parameters(), 1e-3)
        z, codes, noise = made[k]
        assert (z[:, clusters.LATENT:].argmax(axis=1) == codes).all() and len(set(codes)) > 5
        assert noise.shape == real.shape and abs(noise.std() - 0.3) < 0.01
        assert abs(painted[2 * k][0][:, :clusters.LATENT].std() - 0.3) < 0.02


def digits_of_one_pixel(y):
    """Images of the classes y: pixel y is black"""
    return (2 * np.eye(784, dtype=np.float32)[y] - 1).reshape(-1, 28, 28, 1)


class Told(tg.Module):
    """A network that computes f, when it is asked in evaluation mode."""

    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        assert not self.training
        return tg.Tensor(self.f(x.data))


@pytest.mark.parametrize("better", [0, 1])
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_the_numbers_are_of_the_test_digits_by_the_better_networks(better, monkeypatch, tmp_path):
    """Pixels tell all ten digits, the untrained f five pairs, and Q after training takes 9 for 8; in a bad start 1 for 0."""
    made, played, said = [], [], []

    def networks(width, rng):
        pixels = Told(lambda x: np.eye(5, dtype=np.float32)[x.reshape(len(x), -1).argmax(axis=1) % 5])
        G, Q = Told(lambda z: z[:, :1, None, None] * np.ones((1, 28, 28, 1))), Told(lambda h: np.roll(h, 3, axis=1))
        made.append((rng.random(), G, pixels, Told(None), Q))
        return made[-1][1:]

    def train(G, f, D, Q, images, steps, rng, say):
        played.append((rng.random(), steps, len(images), [network.training for network in (G, f, D, Q)]))
        sharp = 5.0 if len(played) == better + 1 else 1.0
        f.f = lambda x: sharp * np.eye(10)[np.minimum(x.reshape(len(x), -1).argmax(axis=1), 8)]
        Q.f = lambda h: np.roll(h if sharp == 5 else h @ np.eye(10)[[0, 0, *range(2, 10)]], 3, axis=1)

    monkeypatch.setattr(clusters, "networks", networks)
    monkeypatch.setattr(clusters, "train", train)
    monkeypatch.setattr(clusters.plots, "rows", lambda *_: None)
    y = np.arange(40) % 10
    train_set, test_set = (digits_of_one_pixel(y), y[::-1]), (digits_of_one_pixel(np.sort(y[:20])), np.sort(y[:20]))
    it = Lesson(tmp_path, train_set, test_set, 7, True, say=said.append)
    monkeypatch.setattr(clusters, "moved", lambda images, rng: images)
    clusters.lesson(it)
    found = [row.value for row in it.rows]
    np.testing.assert_allclose(found[::2], [90, 100, 50])
    assert 0.8 < found[1] < 1 and found[3] == pytest.approx(1) and 0.6 < found[5] < 0.9
    assert [p[1:] for p in played] == 2 * [(8_000, 40, 4 * [True])]
    assert [made[k][0] for k in (0, 1)] == [np.random.default_rng([7, 0, k]).random() for k in (0, 1)]
    assert [played[k][0] for k in (0, 1)] == [np.random.default_rng([7, 1, k]).random() for k in (0, 1)]
    first, second = (float(line.split()[-2]) for line in said[:2])
    assert (second > first) == bool(better) and said[better].startswith(f"start {better + 1}: ")
    guesses = tg.Tensor(5.0 * np.eye(10)[np.minimum(y, 8)])
    assert max(first, second) == pytest.approx(float(clusters.shared_information(guesses, guesses)), abs=1e-3)


def test_k_means_learns_from_the_first_and_answers_for_the_second():
    """The ten digits of the training vectors are ten clusters; the test vectors are few, and all of three digits."""
    y = np.arange(40) % 10
    found = clusters.k_means(digits_of_one_pixel(y), digits_of_one_pixel(np.array([4, 4, 7, 1, 7])), 3, 0)
    assert found[0] == found[1] and found[2] == found[4] and len(set(found)) == 3
