"""Rejection by D: on a line, where the optimal D is known, the data come out; elsewhere what is asked for is kept."""
import numpy as np
import pytest

import tinygan as tg
from tinygan import rejection
from tinygan.cli import main
from tinygan.run import folder


class OptimalD(tg.Module):
    """log N(x; 0, 1) − log N(x; 1, 2²)"""
    def __init__(self):
        self.weight = tg.Tensor(np.zeros(1), requires_grad=True)

    def forward(self, x):
        assert not self.training
        return np.log(2) + (x - 1) ** 2 / 8 - x ** 2 / 2


@pytest.fixture
def on_a_line():
    """G draws from N(1, 2²), and D is the optimal one for N(0, 1)."""
    G = tg.Sequential(tg.Dense(1, 1)).astype(np.float64)
    G.layers[0].weight.data[:], G.layers[0].bias.data[:] = 2, 1
    return tg.GAN(G, OptimalD(), latent=1)


def pictures(channels, loss="non_saturating"):
    G, D = tg.models.dcgan(16, channels, 4, 2, 0)
    return tg.GAN(G, D, 4, loss, averaging=0.9)


def test_what_is_kept_comes_from_the_data(on_a_line):
    """The fraction e^(−M) = 1/(2·e^(1/6)) = 0.423 asks for γ = 0: N(0, 1) comes out of N(1, 4)."""
    x, drawn = rejection.sample(on_a_line, 3000, np.exp(-1 / 6) / 2)
    assert x.shape == (3000, 1) and abs(3000 / drawn - 0.423) < 0.03
    assert abs(x.mean()) < 0.08 and abs(x.std() - 1) < 0.06 and abs((x ** 4).mean() - 3) < 0.6


@pytest.mark.parametrize("gamma", [0, -3, 2])
def test_the_chance_to_be_kept(gamma):
    a = np.array([5, 4.9, 3, -2, -1000, 6])                     # the last came after M = 5 was taken
    r = np.exp(np.minimum(a - 5, 0))
    p = rejection.sigma(rejection.logit(a, 5) - gamma)
    np.testing.assert_allclose(p, r / (r + (1 - r) * np.exp(gamma)), rtol=1e-6, atol=1e-300)


@pytest.mark.parametrize("keep", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("spread", [0, 1, 300])
def test_gamma_keeps_the_fraction_that_is_asked_for(keep, spread, rng):
    a = spread * rng.standard_normal(1000)
    F = rejection.logit(a, a.max())
    assert rejection.sigma(F - rejection.gamma_of(F, keep)).mean() == pytest.approx(keep, rel=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_kept_are_some_of_those_drawn_in_their_order(channels, device, monkeypatch):
    monkeypatch.setattr(rejection, "BATCH", 100)
    gan = pictures(channels).to(device)
    x, drawn = rejection.sample(gan, 40, 0.25, seed=3)
    again, other = rejection.sample(gan, 40, 0.25, seed=3), rejection.sample(gan, 40, 0.25, seed=4)[0]
    assert (x == again[0]).all() and drawn == again[1] and (x != other).any() and 80 < drawn < 320
    number = {image.tobytes(): k for k, image in enumerate(gan.sample(drawn, 3))}
    places = [number[image.tobytes()] for image in x]
    assert places == sorted(set(places)) and places[-1] == drawn - 1
    assert gan.generator.training and gan.discriminator.training                    # as they were
    everything, drawn = rejection.sample(gan, 5, 1, seed=3)
    assert (everything == gan.sample(5, 3)).all() and drawn == 5


def test_d_likes_what_is_kept(on_a_line):
    D = on_a_line.discriminator.eval()
    half, few = (D(rejection.sample(on_a_line, 300, keep)[0]).mean() for keep in (0.5, 0.1))
    assert D(on_a_line.sample(300)).mean() < half < few


def test_the_chance_knows_nothing_of_the_noise(on_a_line, monkeypatch):
    """A D that says the same of all keeps as many of the far z as of the near ones. (Of one stream, uniform numbers below 1/8
    and normal ones have bits in common.)"""
    monkeypatch.setattr(rejection, "BATCH", 20)
    monkeypatch.setattr(OptimalD, "forward", lambda self, x: 0 * x)
    z = (np.concatenate([rejection.sample(on_a_line, 2, 0.05, seed)[0] for seed in range(200)]) - 1) / 2
    assert abs(z.mean()) < 0.15 and abs(z.std() - 1) < 0.12


@pytest.mark.parametrize("keep", [0, 0.009, 1.1, -1, np.nan, True, "half"])
def test_a_fraction_that_is_none_is_refused(keep):
    with pytest.raises(tg.TinyganError, match="got keep .*, expected"):
        rejection.sample(pictures(1), 5, keep)


@pytest.mark.parametrize("loss", ["least_squares", "hinge", "wasserstein"])
def test_a_score_that_is_no_logit_is_refused(loss):
    with pytest.raises(tg.TinyganError, match=f"loss '{loss}'.*train with one of these"):
        rejection.sample(pictures(1, loss), 5, 0.5)
    assert len(rejection.sample(pictures(1, loss), 5, 1)[0]) == 5


def test_it_gives_up_where_nothing_more_passes(on_a_line, monkeypatch):
    monkeypatch.setattr(rejection, "BATCH", 10)
    first = iter([0.0] * 10)
    monkeypatch.setattr(on_a_line, "generate", lambda z: np.array([[next(first, 1e3)]]))
    with pytest.raises(tg.TinyganError, match="samples of 510 that pass, expected 50%, as of the first 10: ask for fewer"):
        rejection.sample(on_a_line, 20, 0.5)


@pytest.mark.parametrize("kind", ["points", 1, 3])
def test_the_command_keeps_the_fraction(kind, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(rejection, "BATCH", 100)
    gan = (tg.GAN(tg.models.point_generator(seed=0), tg.models.point_discriminator(seed=0), 2) if kind == "points"
           else pictures(kind))
    gan.save(tmp_path / "checkpoint.npz")
    kept, drawn = rejection.sample(gan, 6, 0.5, 1)
    command = ["sample", str(tmp_path), "--n", "6", "--seed", "1", "--keep", "0.5"]
    assert main([*command, "--out", str(tmp_path / "six.npy")]) == 0
    assert (np.load(tmp_path / "six.npy") == kept).all()
    assert f"6 samples, kept of {drawn}, from" in capsys.readouterr().out
    assert main(command) == 0 and folder._is_own(tmp_path / "samples-6-1-keep-0.5.png")         # so --overwrite may replace it
    assert main([*command, "--out", f"{tmp_path / 'apart'}/"]) == (1 if kind == "points" else 0)
    assert main([*command[:2], "--keep", "1"]) == 0 and (tmp_path / "samples-100-0.png").is_file()
    assert main([*command, "--walk"]) == 1 and "--keep with --walk" in capsys.readouterr().err
