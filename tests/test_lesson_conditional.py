"""The label reaches both networks, and D through planes that are planes."""
import numpy as np
import pytest

import tinygan as tg
from tinygan.lessons import Lesson, conditional

Y = np.array([3, 0, 9, 3])


def discriminator(name, rng):
    return conditional.WAYS_TO_TELL[name](rng)


def test_planes_are_constant_and_one_of_ten():
    planes = conditional.planes(Y)
    assert planes.shape == (4, 28, 28, 10) and planes.dtype == np.float32
    assert (planes == planes[:, :1, :1]).all()
    assert (planes[:, 0, 0] == np.eye(10)[Y]).all()


def test_stripes_are_the_published_mistake():
    """Of the 784 pixels of a channel 78 or 79 are 1, the same in all channels, whatever the label."""
    stripes = conditional.stripes(Y)
    ones = stripes.sum(axis=(1, 2))
    assert stripes.sum() == 4 * 784 and set(ones.ravel()) == {78, 79}
    rows, = np.nonzero(stripes[0].any(axis=(1, 2)))
    assert rows.tolist() == [8, 9, 10, 11]                  # label 3: numbers 2352 to 3135 of 7840, 280 in a row


@pytest.mark.parametrize("name", conditional.WAYS_TO_TELL)
def test_d_sees_the_label_where_it_is_told(name, rng):
    D, x = discriminator(name, rng), tg.Tensor(rng.uniform(-1, 1, (4, 28, 28, 1)).astype(np.float32))
    equal = np.abs(D(x, Y).data - D(x, (Y + 1) % 10).data) < 1e-7
    assert D(x, Y).shape == (4, 1) and (equal.all() if name == "nothing" else not equal.any())


def test_projection_adds_one_vector_for_each_class(rng):
    """D(x, y) − D(x, y′) = (v_y − v_y′)·φ(x)"""
    D, x = discriminator("projection", rng), tg.Tensor(rng.uniform(-1, 1, (4, 28, 28, 1)).astype(np.float32))
    v, other = D.v.weight.data, np.array([1, 2, 3, 4])
    expected = ((v[Y] - v[other]) * D.phi(x).data).sum(axis=1, keepdims=True)
    np.testing.assert_allclose((D(x, Y) - D(x, other)).data, expected, rtol=1e-3, atol=1e-7)


def test_gradients_of_the_projection(rng):
    D, phi = discriminator("projection", rng), rng.standard_normal((4, 64 * conditional.WIDTH))
    D.last.astype(np.float64)
    one_hot, v = tg.Tensor(np.eye(10)[Y]), rng.standard_normal((10, 64 * conditional.WIDTH))
    tg.check_gradients(lambda phi, v: D.last(phi) + tg.ops.sum((one_hot @ v) * phi, axis=1, keepdims=True), phi, v)


def test_g_takes_the_label_beside_the_noise(rng):
    z = rng.standard_normal((4, 100)).astype(np.float32)
    beside = conditional.with_label(z, Y)
    assert beside.dtype == np.float32 and (beside[:, :100] == z).all() and (beside[:, 100:] == np.eye(10)[Y]).all()
    G = tg.models.small_generator(110).eval()
    images, asked = conditional.draw(G, z[:2])
    assert asked.tolist() == [y for y in range(10) for _ in range(2)]
    np.testing.assert_allclose(images[7], G(conditional.with_label(z[1:2], np.array([3]))).data[0], atol=1e-6)


def test_g_gets_its_gradient_through_the_label_too(rng):
    """∂L_G/∂W of the rows that the label selects is not 0, and is 0 in the rows of labels that nobody asked for."""
    G, D = tg.models.small_generator(110), discriminator("projection", rng)
    z = rng.standard_normal((4, 100)).astype(np.float32)
    tg.losses.generator_loss(D(G(conditional.with_label(z, Y)), Y)).backward(inputs=G.parameters())
    rows = np.abs(G.parameters()[0].grad.data[100:]).max(axis=1)
    assert (rows > 0).tolist() == [y in Y for y in range(10)]


def test_the_game_goes_the_right_way(rng, monkeypatch):
    """Of one class the digits are white, of another black: G paints what it is asked for, if D is told."""
    monkeypatch.setattr(conditional, "WIDTH", 8)
    white = np.arange(200) % 2
    images = np.where(white, 1.0, -1.0).astype(np.float32)[:, None, None, None] * np.ones((1, 28, 28, 1), np.float32)
    G = conditional.train(discriminator("projection", rng), images, white, 120, rng)
    painted, _ = conditional.draw(G, rng.standard_normal((5, 100)).astype(np.float32))
    black, white = painted[:5].mean(), painted[5:10].mean()         # of the classes 0 and 1
    assert black < -0.3 and white > 0.3


def painted(y):
    """Images of the classes y, each all of the shade (y + 1)/16"""
    return np.broadcast_to(((y + 1) / 16).astype(np.float32)[:, None, None, None], (len(y), 28, 28, 1))


class Painter(tg.Module):
    """A G that paints class y, or the one after it, in its shade below 0, and remembers its noise and its mode."""

    def __init__(self, turned=0):
        super().__init__()
        self.turned, self.shift = turned, tg.Tensor(np.zeros(1, np.float32), requires_grad=True)
        self.noise, self.modes = [], []

    def forward(self, x):
        x = x.data
        self.noise.append(x[:, :-10])
        self.modes.append(self.training)
        return self.shift - painted((x[:, -10:].argmax(axis=1) + self.turned) % 10)


def shade(images):
    return tg.ops.mean(images, axis=(1, 2, 3))


def softplus(a):
    return np.log1p(np.exp(a))


def test_each_step_is_its_equation_with_the_classes_asked_for(monkeypatch, rng):
    """D sees real and fake images of the same classes, G is asked for all ten, and both rates fall to 0."""
    G, judged, steps = Painter(), [], []

    class D:
        a = tg.Tensor(np.ones(1, np.float32), requires_grad=True)

        def __call__(self, x, y):
            judged.append((shade(x).data, y))
            return self.a * shade(x)

        def parameters(self):
            return [self.a]

    monkeypatch.setattr(tg.models, "small_generator", lambda latent, seed: G)
    monkeypatch.setattr(conditional, "descend", lambda adam, loss, fraction: steps.append((adam, float(loss), fraction)))
    labels = rng.integers(0, 10, 100)
    assert conditional.train.__wrapped__(D(), painted(labels), labels, 8, rng) is G and not G.training
    assert all(G.modes) and all(abs(z.std() - 1) < 0.1 for z in G.noise)
    assert len(np.unique(np.concatenate(G.noise), axis=0)) == 8 * 2 * conditional.BATCH
    for k in range(8):
        (real, y), (fake, same), (asked, drawn) = judged[3 * k:3 * k + 3]
        np.testing.assert_allclose(16 * np.stack([real, -fake]) - 1, np.stack([y, same]), atol=1e-5)
        assert (y == same).all()
        np.testing.assert_allclose(-16 * asked - 1, drawn, atol=1e-5)
        (d_adam, d_loss, d_fraction), (g_adam, g_loss, g_fraction) = steps[2 * k:2 * k + 2]
        assert d_adam.parameters == [D.a] and g_adam.parameters == [G.shift]
        assert d_loss == pytest.approx((softplus(-real) + softplus(fake)).mean(), rel=1e-5)
        assert g_loss == pytest.approx(softplus(-asked).mean(), rel=1e-5)
        assert d_fraction == g_fraction == (1, 1, 1, 1, 1, 0.75, 0.5, 0.25)[k]
    assert set(np.concatenate([y for _, y in judged[2::3]])) == set(range(10))


def test_the_numbers_are_those_of_the_samples_asked_for(monkeypatch, tmp_path):
    """Told by `projection`, G paints what is asked for, by the others the next class; of the four test digits one is 9."""
    scored, games, painters, drawn = [], [], [], {}

    def train(D, images, labels, steps, rng, seed):
        games.append((D, len(images), steps, rng.random(), seed))
        painters.append(Painter(turned=D != "projection").eval())
        return painters[-1]

    def score(images):
        scored.append(np.bincount(np.rint(-16 * images[:, 0, 0, 0] - 1).astype(int)).tolist())
        return metrics.Score(len(images), 7.0, 0, 0, 0, ())

    metrics = conditional.metrics
    monkeypatch.setattr(metrics, "classifier", lambda: lambda x: np.eye(10)[np.rint(-16 * x[:, 0, 0, 0] - 1).astype(int)])
    monkeypatch.setattr(metrics, "accuracy", lambda c, images, labels: (c(images).argmax(axis=1) == labels).mean())
    monkeypatch.setattr(metrics, "score", score)
    monkeypatch.setattr(metrics, "real_score", lambda n: metrics.Score(n, 3.0, 0, 0, 0, ()))
    monkeypatch.setattr(conditional, "train", train)
    monkeypatch.setattr(conditional, "WAYS_TO_TELL", {name: lambda rng, n=name: n for name in conditional.WAYS_TO_TELL})
    monkeypatch.setattr(conditional.plots, "rows", lambda rows, path, title: drawn.update({path.stem: rows}))
    test = -painted(np.zeros(4)), np.array([0, 0, 0, 9])
    it = Lesson(tmp_path, (painted(np.zeros(6)), np.zeros(6, int)), test, seed=5, say=lambda text: None)
    conditional.lesson(it)
    assert [row.value for row in it.rows] == [75, 3, 100, 7, 0, 7, 0, 7, 0, 7]
    assert scored == 4 * [10 * [100]]
    assert all(abs(z.std() - 1) < 0.1 and not any(G.modes) for G in painters for z in G.noise)
    same = 6, 1400, np.random.default_rng([5, 1, 1]).random(), 5
    assert games[:3] == [(name, *same) for name in ("projection", "planes", "stripes")]
    assert games[3] == ("nothing", 6, 700, *same[2:])
    for name, rows in drawn.items():        # a row for each class
        assert [label for label, _ in rows] == [f"asked: {y}" for y in range(10)] and list(drawn) == [*conditional.WAYS_TO_TELL]
        for y, (_, row) in enumerate(rows):
            np.testing.assert_allclose(row, -painted(np.full(10, (y + (name != "projection")) % 10)), atol=1e-6)


def test_the_networks_are_those_of_the_default_recipe_and_their_weights_those_of_dcgan(rng):
    assert repr(tg.Sequential(*conditional.body(1), tg.Dense(64 * conditional.WIDTH, 1))) == repr(tg.models.small_discriminator())
    for made in (conditional.Projection(rng), conditional.Beside(rng, conditional.planes)):
        assert all(p.data.std() == pytest.approx(0.02, rel=0.05) for p in made.parameters() if p.size > 3000)
