"""The label reaches both networks, and D through planes that are planes."""
import numpy as np
import pytest

import tinygan as tg
from tinygan.lessons import conditional

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
