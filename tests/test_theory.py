"""The two studies: quadrature, derivatives and eigenvalues against numbers that are known by other ways."""
import csv
import json
import math

import numpy as np
import pytest
from matplotlib.image import imread
from PIL import Image

import tinygan as tg
from tinygan.cli import main
from tinygan.look import animation, plots
from tinygan.run import folder as run_folder
from tinygan.run import presets
from tinygan.theory import dirac, gauss1d, pictures

BOUNDS = {0: 1.386294, 1: 1.163451, 2: 0.712633, 4: 0.120854}       # log 4 − 2 JS(N(0, 1), N(μ, 1))
C = {"bilinear": 1.0, "Dirac-GAN": 0.5}
ALL = [(game, method) for game in dirac.GAMES for method in dirac.METHODS]


# The game on a line

@pytest.mark.parametrize("mu, published", BOUNDS.items())
def test_bound(mu, published):
    p, q = gauss1d.normal(gauss1d.X), gauss1d.normal(gauss1d.X, mu)
    assert abs(gauss1d.bound(p, q) - published) < 1e-6
    best = gauss1d.optimal_logit(mu)(gauss1d.X)
    np.testing.assert_allclose(gauss1d.sigma(best), p / (p + q), rtol=1e-9)                  # D* = p/(p + q)
    assert abs(gauss1d.expected_loss(best, p, q) - gauss1d.bound(p, q)) < 1e-12
    assert gauss1d.error(best, p, q) < 1e-12


@pytest.mark.parametrize("mu", [0.5, 3.0])
def test_bound_against_scipy(mu):
    integrate, stats = pytest.importorskip("scipy.integrate"), pytest.importorskip("scipy.stats")
    p, q = stats.norm(0, 1).pdf, stats.norm(mu, 1).pdf
    parts = [integrate.quad(lambda x: f(x) * np.log(f(x) / (p(x) + q(x))), -8, 8 + mu, epsabs=1e-11) for f in (p, q)]
    loss = -sum(value for value, _ in parts)
    assert abs(gauss1d.bound(gauss1d.normal(gauss1d.X), gauss1d.normal(gauss1d.X, mu)) - loss) < 1e-9


def test_bound_of_densities_that_do_not_meet():
    p, q = (np.where(side, gauss1d.normal(gauss1d.X), 0) for side in (gauss1d.X < 0, gauss1d.X > 0))
    assert abs(gauss1d.bound(2 * p, 2 * q)) < 1e-6                                              # JS = log 2


def test_no_logits_beat_the_bound(rng):
    p, q = gauss1d.normal(gauss1d.X), gauss1d.normal(gauss1d.X, 1)
    for size in (1e-3, 0.1, 1):
        other = gauss1d.optimal_logit(1)(gauss1d.X) + size * rng.standard_normal(len(gauss1d.X))
        assert gauss1d.expected_loss(other, p, q) > gauss1d.bound(p, q)


def test_expected_loss_is_what_many_samples_give(rng):
    D = gauss1d.network(np.random.default_rng(3))
    x = rng.standard_normal((50_000, 1))
    sampled = float(tg.losses.discriminator_loss(D(x), D(x[::-1] + 1)))
    p, q = gauss1d.normal(gauss1d.X), gauss1d.normal(gauss1d.X, 1)
    exact = gauss1d.expected_loss(gauss1d.evaluate(D, gauss1d.X), p, q)
    assert abs(sampled - exact) < 1e-2


@pytest.mark.parametrize("mu", [1, 2])
def test_a_learned_discriminator_comes_to_the_bound(mu):
    p, q = gauss1d.normal(gauss1d.X), gauss1d.normal(gauss1d.X, mu)
    logits = gauss1d.evaluate(gauss1d.learned_discriminator(mu, steps=300), gauss1d.X)
    assert 0 < gauss1d.expected_loss(logits, p, q) - BOUNDS[mu] < 0.01
    assert gauss1d.error(logits, p, q) < 0.03


def test_the_game_goes_towards_its_equilibrium():
    *_, story = gauss1d.learned_game(steps=150)
    first, last = story[0], story[-1]
    assert abs(first.mean - gauss1d.START) < 0.1 and first.bound < 0.05
    assert abs(last.mean) < 0.2 and 0.8 < last.deviation < 1.2 and last.step == 150
    assert last.bound < last.loss < last.bound + 0.02 and last.bound > np.log(4) - 0.05


@pytest.mark.parametrize("mu", [0.0, 1.0, 3.0])
def test_the_error_of_a_d_that_always_says_half(mu):
    """½ ∫ |½(p + q) − p| dx is half the total variation distance of two normal densities, erf(μ/√8)."""
    p, q = gauss1d.normal(gauss1d.X), gauss1d.normal(gauss1d.X, mu)
    assert gauss1d.error(np.zeros(len(p)), p, q) == pytest.approx(math.erf(mu / math.sqrt(8)) / 2, abs=1e-3)


def test_jensen_shannon_of_halves_by_hand():
    """p on [0, 2), q on [1, 3), both ½: JS = ½·log 2, as m is ¼ where one of them is alone."""
    p, q = (np.where((gauss1d.X > low) & (gauss1d.X < low + 2), 0.5, 0.0) for low in (0, 1))
    assert gauss1d.jensen_shannon(p, q) == pytest.approx(np.log(2) / 2) == gauss1d.jensen_shannon(q, p)


def test_mean_deviation_and_loss_of_a_moment():
    q = gauss1d.normal((gauss1d.X - 1) / 2) / 2
    moment = gauss1d.Moment(3, q, np.zeros(len(q)), None, None)
    assert (moment.mean, moment.deviation) == pytest.approx((1, 2)) and moment.belief[0] == 0.5
    assert moment.loss == pytest.approx(np.log(4)) and moment.bound == gauss1d.bound(gauss1d.normal(gauss1d.X), q)


def test_both_adams_of_the_line_and_their_rates_that_fall_to_0(monkeypatch):
    rates = []

    class Noted(tg.Adam):
        def step(self):
            rates.append((self.name, self.lr))
            assert self.betas == (0.5, 0.999)
            super().step()

    monkeypatch.setattr(gauss1d, "Adam", Noted)
    G, D = (gauss1d.network(np.random.default_rng(seed)) for seed in (0, 1))
    Noted.name = property(lambda adam: "D" if adam.parameters[0] is D.parameters()[0] else "G")
    gauss1d.play(D, G, 4, np.random.default_rng(2))
    expected = [(name, part * lr) for part in (1, 0.75, 0.5, 0.25) for name, lr in [("D", 5e-3)] * 5 + [("G", 2e-3)]]
    assert [name for name, _ in rates] == [name for name, _ in expected]
    assert [lr for _, lr in rates] == pytest.approx([lr for _, lr in expected])


def test_the_study_asks_for_its_seed_and_draws_each_arrow_for_its_loss(tmp_path, monkeypatch):
    def best(mu, steps, seed):
        asked.append((mu, steps, seed))
        return lambda x: gauss1d.optimal_logit(mu)(x if isinstance(x, tg.Tensor) else tg.Tensor(x))

    asked, drawn, p = [], [], gauss1d.normal(gauss1d.X)
    moment = gauss1d.Moment(0, p, 0 * p, np.zeros(7), np.zeros(7))
    monkeypatch.setattr(gauss1d, "learned_discriminator", best)
    monkeypatch.setattr(gauss1d, "learned_game", lambda steps, seed: asked.append(("G", steps, seed)) or (0, 0, [moment]))
    monkeypatch.setattr(pictures, "optimal", lambda x, cases: drawn.extend(cases))
    monkeypatch.setattr(pictures, "game", lambda *arguments: None)
    monkeypatch.setattr(plots, "save", lambda *arguments, **options: None)
    monkeypatch.setattr(animation, "figures_gif", lambda *arguments: None)
    results = gauss1d.study(tmp_path, seed=7, steps=9, say=lambda text: None)
    assert asked == [(mu, 9, 7) for mu in (0, 1, 2, 4)] + [("G", 9, 7)]
    for mu, (_, _, q, belief, arrows) in zip((0, 1, 2, 4), drawn):
        sure = p / (p + q)                                              # σ(a*), and a*′ = −μ
        np.testing.assert_allclose(belief, sure, rtol=1e-9)
        for name, expected in (("non-saturating", -mu * (1 - sure)), ("saturating", -mu * sure)):
            for arrow in arrows[name]:
                np.testing.assert_allclose(arrow, expected, rtol=1e-6, atol=1e-12)
        assert results[mu] == pytest.approx((BOUNDS[mu], BOUNDS[mu], 0), abs=1e-6)


def test_a_game_is_its_seed():
    one, same, other = (gauss1d.learned_game(2, seed)[0].state_dict() for seed in (0, 0, 1))
    assert all((one[name] == same[name]).all() for name in one) and any((one[name] != other[name]).any() for name in one)


def test_density_of_a_generator():
    q = gauss1d.density_of(lambda z: 2 * tg.Tensor(z) + 1)
    assert abs(q - gauss1d.normal((gauss1d.X - 1) / 2) / 2).max() < 1e-3 and abs(gauss1d.integral(q) - 1) < 1e-12
    folded = gauss1d.density_of(lambda z: tg.Tensor(z) ** 2)                                    # not monotone: χ²
    x = gauss1d.X[gauss1d.X > 0.5]
    assert abs(folded[gauss1d.X > 0.5] - np.exp(-x / 2) / np.sqrt(2 * np.pi * x)).max() < 1e-2
    assert abs(gauss1d.integral(gauss1d.density_of(lambda z: 1e6 * tg.Tensor(z))) - 1) < 1e-12


@pytest.mark.parametrize("saturating", [False, True])
@pytest.mark.parametrize("learned", [False, True])
def test_descent_along_the_axis(learned, saturating):
    D, h = gauss1d.network(np.random.default_rng(3)) if learned else gauss1d.optimal_logit(2), 1e-5
    x = np.linspace(-4, 6, 23)

    def loss(x):
        with tg.no_grad():
            return np.array([float(tg.losses.generator_loss(D(tg.Tensor([[v]])), saturating)) for v in x])

    numeric = -(loss(x + h) - loss(x - h)) / (2 * h)
    np.testing.assert_allclose(gauss1d.descent(D, x, saturating), numeric, rtol=1e-6, atol=1e-9)


def test_the_saturating_gradient_dies_where_fakes_are_told_apart():
    D = gauss1d.optimal_logit(4)
    assert abs(gauss1d.descent(D, [5.0], saturating=True)[0]) < 1e-4 < 3.9 < -gauss1d.descent(D, [5.0])[0] < 4


# The game of two numbers

def moduli(method, eta, gamma, c):
    """|λ| of both eigenvalues, from trace and determinant of matrices written down by hand."""
    h = eta * c
    matrix = {"simultaneous": [[1, h], [-h, 1]], "alternating": [[1, h], [-h, 1 - h * h]],
              "extragradient": [[1 - h * h, h], [-h, 1 - h * h]], "R1": [[1 - eta * gamma, h], [-h, 1]]}[method]
    return np.sort(abs(np.roots([1, -np.trace(matrix), np.linalg.det(matrix)])))


@pytest.mark.parametrize("eta, gamma", [(0.2, 0.3), (0.7, 0.1), (0.1, 3.0)])
@pytest.mark.parametrize("game, method", ALL)
def test_eigenvalues(game, method, eta, gamma):
    found, closed = dirac.eigenvalues(game, method, eta, gamma), dirac.closed_form(game, method, eta, gamma)
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(closed), atol=1e-12)
    np.testing.assert_allclose(np.sort(abs(found)), moduli(method, eta, gamma, C[game]), atol=1e-12)


@pytest.mark.parametrize("game, h", [("bilinear", 0.2), ("Dirac-GAN", 0.1)])
def test_published_moduli(game, h):
    radius = {method: abs(dirac.eigenvalues(game, method)).max() for method in dirac.METHODS}
    expected = {"simultaneous": np.sqrt(1 + h ** 2), "alternating": 1, "extragradient": np.sqrt(1 - h ** 2 + h ** 4),
                "R1": np.sqrt(1 - 0.2 * 0.3 + h ** 2)}
    assert radius == pytest.approx(expected, abs=1e-12)


def test_vector_field_is_the_derivative_of_the_game(rng):
    """V = f(ψθ) + f(0): D climbs it, G descends it, and R1 adds −γψ."""
    def f(t):
        return -np.log1p(np.exp(-t))

    for psi, theta in rng.standard_normal((5, 2)):
        v = [t.data.item() for t in dirac.vector_field("Dirac-GAN", *dirac.point(psi, theta), gamma=0.7)]
        h = 1e-6
        climb = (f((psi + h) * theta) - f((psi - h) * theta)) / (2 * h) - 0.7 * psi
        fall = -(f(psi * (theta + h)) - f(psi * (theta - h))) / (2 * h)
        np.testing.assert_allclose(v, [climb, fall], rtol=1e-6, atol=1e-9)
        v = [t.data.item() for t in dirac.vector_field("bilinear", *dirac.point(psi, theta))]
        np.testing.assert_allclose(v, [theta, -psi], rtol=1e-12)


@pytest.mark.parametrize("game, method", ALL)
def test_update_map_is_differentiated_exactly(game, method, rng):
    """∂F/∂(ψ, θ) away from the equilibrium, along a random direction, against finite differences of F itself."""
    at, along, h = rng.standard_normal(2), rng.standard_normal(2), 1e-5
    s = dirac.point(*at)
    analytic = [sum(g.data.item() * d for g, d in zip(tg.grad(output, s), along))
                for output in dirac.update(game, method, *s)]
    high, low = (dirac.trajectory(game, method, at + sign * h * along, 1)[1] for sign in (1, -1))
    np.testing.assert_allclose(analytic, (high - low) / (2 * h), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("game, method", ALL)
def test_measured_rate_is_the_spectral_radius(game, method):
    way = dirac.trajectory(game, method, (6e-4, 8e-4), 250)
    assert dirac.rate(way) == pytest.approx(abs(dirac.eigenvalues(game, method)).max(), abs=2e-4)


def test_alternating_keeps_its_conserved_quantity():
    """In the bilinear game ψ' = ψ + hθ, θ' = θ − hψ' leave ψ² + hψθ + θ² as it is: an ellipse, for ever."""
    psi, theta = dirac.trajectory("bilinear", "alternating", (1.0, 0.5), 300).T
    kept = psi ** 2 + dirac.ETA * psi * theta + theta ** 2
    np.testing.assert_allclose(kept, kept[0], rtol=1e-12)


# As a user meets them

def test_dirac_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(dirac, "RATE_STEPS", 150)
    monkeypatch.setattr(dirac, "FRAMES", 5)
    folder = tmp_path / "run"
    arguments = ["train", "dirac", "--steps", "30", "--out", str(folder)]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {"config.json", "rates.csv", "portrait.png", "portrait.gif"}
    assert all(map(run_folder._is_own, folder.iterdir()))
    rows = list(csv.DictReader((folder / "rates.csv").open(encoding="utf-8")))
    assert [(row["game"], row["method"]) for row in rows] == ALL
    for row in rows:
        assert float(row["theory"]) == pytest.approx(float(row["jacobian"]), abs=1e-12)
        assert float(row["theory"]) == pytest.approx(float(row["measured"]), abs=1e-3)
        assert f"{float(row['measured']):.6f}" in said and row["verdict"] in said
    assert imread(folder / "portrait.png").shape[:2] == (1152, 1200)
    with Image.open(folder / "portrait.gif") as picture:
        assert picture.n_frames == 5 and picture.size == (800, 464)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (config["preset"], config["steps"], config["seed"]) == ("dirac", 30, 0)
    assert main(arguments) == 1 and "--overwrite" in capsys.readouterr().err
    monkeypatch.setattr(dirac, "RATE_STEPS", 5)
    assert main([*arguments, "--overwrite", "--quiet"]) == 0 and capsys.readouterr().out == ""
    assert main(["train", "--resume", str(folder)]) == 1
    said = capsys.readouterr().err
    assert "not resumed" in said and "--overwrite" in said and "damaged" not in said


def test_verdicts():
    ways = {method: dirac.verdict(dirac.trajectory("bilinear", method, (1, 1), 80)) for method in dirac.METHODS}
    assert ways == {"simultaneous": "diverges", "alternating": "stays away", "extragradient": "converges",
                    "R1": "converges"}


@pytest.mark.parametrize("last, word", [
    (0.49, "converges"), (0.5, "stays away"), (0.51, "stays away"), (1.99, "stays away"), (2.0, "stays away"), (2.01, "diverges")])
def test_a_verdict_is_half_or_twice_the_distance(last, word):
    assert dirac.verdict(2 * np.array([[0.6, 0.8], [9.0, 9.0], [0, last]])) == word


@pytest.mark.parametrize("seed", [0, 5])
def test_the_seed_is_the_direction_of_the_start(seed, tmp_path, monkeypatch):
    starts, played = [], dirac.trajectory
    monkeypatch.setattr(dirac, "trajectory", lambda game, method, start, steps:
                        starts.append(start) or played(game, method, start, steps))
    monkeypatch.setattr(dirac, "RATE_STEPS", 3)
    monkeypatch.setattr(pictures, "portrait", lambda *arguments: None)
    monkeypatch.setattr(plots, "save", lambda *arguments: None)
    monkeypatch.setattr(animation, "figures_gif", lambda *arguments: None)
    dirac.study(tmp_path, seed, 2, lambda text: None)
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    expected = np.array([1.5, 1e-3])[:, None] * [math.cos(angle), math.sin(angle)]
    np.testing.assert_allclose(starts, np.tile(expected, (8, 1)), rtol=1e-12)


def test_gauss1d_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(gauss1d, "FRAMES", 4)
    folder = tmp_path / "run"
    assert main(["train", "gauss1d", "--steps", "8", "--out", str(folder), "--seed", "2"]) == 0
    said = capsys.readouterr().out
    files = {"config.json", "results.csv", "game.csv", "optimal.png", "game.png", "game.gif"}
    assert {path.name for path in folder.iterdir()} == files and all(map(run_folder._is_own, folder.iterdir()))
    rows = list(csv.DictReader((folder / "results.csv").open(encoding="utf-8")))
    assert [row["q"] for row in rows] == ["0.0", "1.0", "2.0", "4.0", "G"]
    for row, published in zip(rows, BOUNDS.values()):
        assert abs(float(row["bound"]) - published) < 1e-6 and f"{published:.6f}" in said
        assert float(row["loss"]) > float(row["bound"])
    steps = [int(row["step"]) for row in csv.DictReader((folder / "game.csv").open(encoding="utf-8"))]
    assert steps == [0, 1, 4, 8]
    with Image.open(folder / "game.gif") as picture:
        assert picture.n_frames == 4 and picture.size == (512, 608)
    assert imread(folder / "optimal.png").shape[:2] == (640, 1400) and imread(folder / "game.png").shape[0] == 760


def test_the_same_seed_gives_the_same_numbers():
    a, b, c = (gauss1d.evaluate(gauss1d.learned_discriminator(1, 3, seed), gauss1d.X) for seed in (0, 0, 1))
    assert (a == b).all() and (a != c).any()


@pytest.mark.parametrize("arguments, word", [
    (["--data", "mnist"], "--data"), (["--batch-size", "8"], "--batch-size"), (["--device", "cuda"], "--device"),
    (["--steps", "0"], "--steps")])
@pytest.mark.parametrize("name", ["gauss1d", "dirac"])
def test_refusals(name, arguments, word, tmp_path, capsys):
    assert main(["train", name, *arguments, "--out", str(tmp_path / "run")]) == 1
    said = capsys.readouterr().err
    assert word in said and said.count("\n") == 1 and not (tmp_path / "run").exists()


def test_too_many_steps_for_a_game_that_diverges(tmp_path, monkeypatch):
    with pytest.raises(tg.TinyganError, match="at most 20,000"):
        dirac.study(tmp_path, steps=20_001)
    monkeypatch.setattr(dirac, "MOST_STEPS", 2)
    dirac.study(tmp_path, steps=2)


def test_help_names_the_studies(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    said = capsys.readouterr().out
    assert all(name in said and study.about in said for name, study in presets.STUDIES.items())
