"""The sentences about a run: each fault is named when it is there, and only then."""
from types import SimpleNamespace

import numpy as np
import pytest

import tinygan as tg
from tinygan import data, models
from tinygan.look import diagnosis
from tinygan.look.diagnosis import Watch, findings, nearest
from tinygan.look.metrics import Score, mode_score

EVEN = (0.1,) * 10
REAL_SCORE = Score(2000, 5.0, 0.99, 0.98, 2.3, EVEN)
FAULTS = ("broke", "no gradient", "too strong", "only guesses", "scores", "do not look", "Collapse", "washed-out",
          "lie beside", "missed", "exploded", "too much ink", "too little ink")


def history(d_real, d_fake, steps=400, saturating=False, start=0.5):
    """A game that goes from ½ to the given beliefs in its first half and stays; all logits of a batch are equal."""
    way = np.minimum(1, np.arange(1, steps + 1) / (steps / 2))
    real, fake = start + way * (d_real - start), start + way * (d_fake - start)
    g_loss = np.log(1 - fake) if saturating else -np.log(fake)
    return {name: column.tolist() for name, column in
            (("d_loss", -np.log(real) - np.log(1 - fake)), ("g_loss", g_loss), ("d_real", real), ("d_fake", fake))}


def faults(sentences):
    return {fault for fault in FAULTS for sentence in sentences if fault in sentence}


@pytest.mark.parametrize("played, fault, number", [
    (history(0.99, 0.004), "too strong", "σ(a) ≈ 0.004"),
    (history(0.99, 0.004, saturating=True), "no gradient", "σ(a) ≈ 0.004"),
    (history(0.51, 0.49), "only guesses", "log 4 = 1.386"),
    (history(0.7, 0.3, steps=20), None, "20 steps are too few"),
    (history(0.7, 0.3), None, "D(x) = 0.70 and D(G(z)) = 0.30 over the last 100 steps"),
    (history(0.7, 0.3, saturating=True), None, "in balance"),
    (history(0.87, 0.13), None, "in balance"),
    (history(0.88, 0.12), None, "D is ahead of G: D(x) = 0.88 and D(G(z)) = 0.12"),
])
def test_how_the_game_stands(played, fault, number):
    sentences = findings(played)
    assert faults(sentences) == ({fault} if fault else set()) and number in " ".join(sentences)
    assert f"in all {len(played['d_loss'])} steps" in sentences[0]


@pytest.mark.parametrize("played, fault", [
    (history(0.96, 0.04), "too strong"), (history(0.94, 0.04), None), (history(0.96, 0.06), None),
    (history(0.52, 0.48), "only guesses"), (history(0.53, 0.47), None), (history(0.3, 0.7), "only guesses"),
    (history(0.99, 0.004, steps=100), "too strong"), (history(0.99, 0.004, steps=99), None)])
def test_where_one_verdict_ends_and_the_next_begins(played, fault):
    assert faults(findings(played)) == ({fault} if fault else set())


@pytest.mark.parametrize("loss", ["d_loss", "g_loss"])
@pytest.mark.parametrize("size, exploded", [(3e13, True), (-3e13, True), (10_001, True), (9_999, False)])
def test_losses_that_exploded(loss, size, exploded):
    """Nothing else is said of such a game, though every one of its losses is a finite number."""
    played = history(0.7, 0.3)
    played[loss][150], played[loss][300] = size, 20_000 * np.sign(size) if exploded else 0
    sentences = findings(played)
    assert ("exploded" in faults(sentences)) == exploded
    if exploded:
        assert len(sentences) == 1 and f"{max(abs(size), 20_000):.0e}" in sentences[0] and "step 151 of 400" in sentences[0]


@pytest.mark.parametrize("steps", [0, 1, 30, 99])
def test_a_short_game_is_no_collapse(steps):
    """After a few steps all samples are grey and alike, whatever becomes of them later."""
    images, ring = data.digits()[0], data.ring(2000)[0]
    bad = Score(2000, 400.0, 0.3, 0.0, 0.0, (1.0,) + (0,) * 9)
    for samples, real, score in ((0 * images[:100], images, bad), (0 * ring, ring, None)):
        sentences = findings(history(0.7, 0.3, steps=steps), samples, real, score, REAL_SCORE)
        assert not faults(sentences) and len(sentences) == (2 if steps else 1)
        assert ("too few to judge" in sentences[-1]) == bool(steps)


@pytest.mark.parametrize("frechet, end", [(19.0, "first"), (21.0, "second")])
def test_a_d_that_guesses_is_either_fooled_or_blind(frechet, end):
    score = Score(2000, frechet, 0.97, 0.9, 2.3, EVEN)
    assert f"speaks for the {end}" in " ".join(findings(history(0.5, 0.5), score=score, real_score=REAL_SCORE))


def test_a_game_that_broke():
    played = history(0.7, 0.3)
    played["g_loss"][150:] = [float("nan")] * 250
    assert "broke at step 151 of 400" in findings(played)[0] and len(findings(played)) == 1
    assert findings({name: [] for name in played}) == ["No step was played."]


def test_scores_are_not_taken_for_beliefs(rng):
    """Least squares, hinge and Wasserstein games as GAN.step records them; a D that wins there has no σ(a)."""
    real, fake = rng.normal(0.8, 0.1, (400, 64)), rng.normal(0.2, 0.1, (400, 64))
    d_losses = {"least_squares": ((real - 1) ** 2 + fake ** 2).mean(axis=1) / 2,
                "wasserstein": (fake - real).mean(axis=1),
                "hinge": (np.maximum(0, 1 - real) + np.maximum(0, 1 + fake)).mean(axis=1)}
    for name in ("least_squares", "wasserstein"):
        played = {"d_loss": d_losses[name].tolist(), "g_loss": [0.5] * 400,
                  "d_real": real.mean(axis=1).tolist(), "d_fake": fake.mean(axis=1).tolist()}
        assert not diagnosis.are_beliefs(played) and faults(findings(played)) == {"scores"}
    played = {"d_loss": d_losses["hinge"].tolist(), "g_loss": [0.5] * 400,
              "d_real": (real + 1).mean(axis=1).tolist(), "d_fake": (fake - 1).mean(axis=1).tolist()}
    assert not diagnosis.are_beliefs(played)


@pytest.mark.parametrize("scale", [0.1, 3.0, 40.0])
def test_beliefs_are_known_as_such(scale, rng):
    """Whatever the logits of the batch, and rounded as float32 rounds them."""
    a, b = (scale * rng.standard_normal((100, 64), dtype=np.float32) for _ in range(2))

    def softplus(x):
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))

    def belief(x):
        return np.exp(-softplus(-x)).mean(axis=1).tolist()

    d_loss = softplus(-a).mean(axis=1) + softplus(b).mean(axis=1)
    assert diagnosis.are_beliefs({"d_loss": d_loss.tolist(), "g_loss": [], "d_real": belief(a), "d_fake": belief(b)})


def test_real_digits_are_all_well():
    images, _ = data.digits()
    score = Score(2000, 11.0, 0.97, 0.9, 2.29, EVEN)
    sentences = findings(history(0.7, 0.3), images[1000:1100], images, score, REAL_SCORE)
    assert not faults(sentences) and len(sentences) == 6
    assert all(any(letter.isdigit() for letter in sentence) for sentence in sentences)


def test_collapse_is_seen_in_classes_and_in_near_duplicates(rng):
    images, _ = data.digits()
    score = Score(2000, 60.0, 0.97, 0.9, 1.6, (0, 0.2, 0.2, 0.2, 0.2, 0.2, 0, 0, 0, 0))
    assert "G paints 5 of the ten classes; of 0, 6, 7, 8, 9" in " ".join(
        findings(history(0.7, 0.3), score=score, real_score=REAL_SCORE))
    few = images[rng.integers(0, 10, 100)] + rng.normal(0, 0.05, (100, 28, 28, 1))
    sentence, = (s for s in findings(history(0.7, 0.3), few.clip(-1, 1), images) if "near-duplicate" in s)
    assert sentence.startswith("Collapse") and "100% of 100" in sentence


@pytest.mark.parametrize("change, fault", [
    (lambda x: 0.6 * x, "washed-out"), (np.ones_like, "too much ink"), (lambda x: -np.ones_like(x), "too little ink"),
    (lambda x: -x, "too much ink"), (lambda x: x, None), (lambda x: 0.95 * x, None)])
def test_ink_and_paper(change, fault):
    """Black sheets are as far from grey as digits are, and so are white ones."""
    images, _ = data.digits()
    sentence, = (s for s in findings(history(0.7, 0.3), change(images[:100]), images) if "from middle grey" in s)
    assert faults([sentence]) == ({fault} if fault else set())


def test_ink_by_hand():
    """A quarter of the pixels is ink in the samples, half of them in the real ones."""
    samples, real = np.full((4, 2, 2, 1), -1.0), np.full((4, 2, 2, 1), -1.0)
    samples[:, 0, 0], real[:, 0] = 1, 0.5
    sentence = diagnosis._ink(samples, real)
    assert "on average 1.00 from middle grey, in real digits 0.75; 25% of the paper is ink, in real digits 38%" in sentence


@pytest.mark.parametrize("frequency, fault", [(0.009, "Collapse"), (0.011, None)])
def test_a_rare_class(frequency, fault):
    score = Score(2000, 12.0, 0.97, 0.9, 2.2, (*[(1 - frequency) / 9] * 9, frequency))
    sentence, = (s for s in findings(history(0.7, 0.3), score=score, real_score=REAL_SCORE) if "the ten classes" in s.lower()
                 or "all ten" in s.lower())
    assert faults([sentence]) == ({fault} if fault else set())
    assert ("paints 9 of the ten classes; of 9" in sentence) if fault else ("the rarest, 9, with 1.1%" in sentence)


@pytest.mark.parametrize("close, fault", [(30, "Collapse"), (14, None)])
def test_near_duplicates_by_hand(close, fault):
    """Of 100 points far from each other so many stand on another's place."""
    real = 10.0 * np.arange(100)[:, None, None, None] * np.ones((1, 2, 2, 1))               # the nearest is 20 away
    samples = real.copy()
    samples[:close:2] = samples[1:close:2] + 3                                              # 6 away, closer than a third
    sentence = diagnosis._duplicates(samples, real)
    assert faults([sentence]) == ({fault} if fault else set())
    assert f"{close}% of 100 have a near-duplicate" in sentence and "(closer than 6.7), of as many real ones 0%" in sentence


@pytest.mark.parametrize("sure, frechet, verdict", [
    (0.9, 19.0, "look like real digits"), (0.9, 21.0, "less clear"), (0.6, 99.0, "less clear"), (0.4, 60.0, "do not look"),
    (0.92, 466.0, "do not look")])                              # one clear digit, painted again and again
def test_likeness(sure, frechet, verdict):
    score = Score(2000, frechet, 0.9, sure, 2.2, EVEN)
    assert verdict in " ".join(findings(history(0.7, 0.3), score=score, real_score=REAL_SCORE))


@pytest.mark.parametrize("keep, shift, fault", [
    (8, 0, set()), (4, 0, {"Collapse"}), (7, 0, {"missed"}), (8, 0.2, {"lie beside", "Collapse"})])
def test_points(keep, shift, fault):
    real, _ = data.ring(2000)
    made, modes = data.ring(2000, seed=1)
    assert faults(findings(history(0.7, 0.3), made[modes < keep] * (1 + shift), real)) == fault


LATTICE = np.array([[x, y] for x in range(10) for y in range(10)], float)       # spread √8.25 = 2.87: near is 0.29


@pytest.mark.parametrize("hits, verdict", [(91, "The samples lie where the data is"),
                                           (89, "Many samples lie beside the data")])
def test_precision_by_hand(hits, verdict):
    made = LATTICE.copy()
    made[hits:] += 0.5
    assert diagnosis._precision(made, LATTICE) == f"{verdict}: {hits}% within 0.29 of a real point."


@pytest.mark.parametrize("reached, verdict", [(96, "All of the data is reached"), (94, "Parts of the data are missed"),
                                              (76, "Parts of the data are missed"),
                                              (74, "Collapse: much of the data is never made")])
def test_coverage_by_hand(reached, verdict):
    said = diagnosis._coverage(LATTICE[:reached], LATTICE)
    assert said == f"{verdict}: {reached}% of the real points have a sample within 0.29."


@pytest.mark.parametrize("shape, chunk", [((3,), 2000), ((3,), 7), ((4, 5, 1), 50)])
def test_nearest_is_what_looking_at_all_of_them_finds(shape, chunk, rng):
    references = rng.standard_normal((50, *shape)).astype(np.float32)
    queries = np.concatenate([rng.standard_normal((20, *shape)), references[13:14]]).astype(np.float32)
    table = np.sqrt(((queries[:, None] - references[None]) ** 2).sum(axis=tuple(range(2, 2 + len(shape)))))
    found, distances = nearest(queries, references, chunk=chunk)
    assert np.array_equal(found, table.argmin(axis=1)) and np.allclose(distances, table.min(axis=1), atol=1e-6)
    assert found[-1] == 13 and distances[-1] == 0
    itself = np.arange(10, 30)
    table = np.sqrt(((references[itself, None] - references[None]) ** 2).sum(axis=tuple(range(2, 2 + len(shape)))))
    table[np.arange(20), itself] = np.inf
    found, distances = nearest(references[itself], references, skip=itself, chunk=chunk)
    assert np.array_equal(found, table.argmin(axis=1)) and np.allclose(distances, table.min(axis=1), atol=1e-6)


# Watch

class Sealed(dict):
    """Metrics at which nobody may look."""

    def __getitem__(self, name):
        raise AssertionError("the device was made to wait")


def play(watch, beliefs, samples, loss="non_saturating"):
    """Calls the watch for each of 1,000 steps; beliefs and samples are functions of the step."""
    for step in range(1, 1001):
        looks = step % watch.every == 0
        gan = SimpleNamespace(steps=step, latent=4, loss=loss, generate=lambda z: samples(step) if looks else 1 / 0)
        metrics = dict(zip(("d_real", "d_fake"), map(np.float32, beliefs(step)))) if looks else Sealed()
        watch(gan, metrics)


def varied(step):
    return np.random.default_rng(step).standard_normal((16, 2))


@pytest.mark.parametrize("beliefs, samples, loss, expected", [
    (lambda step: (0.7, 0.3), varied, "non_saturating", []),
    (lambda step: (0.99, 0.01), varied, "non_saturating", ["D has been winning for the last 300 steps"]),
    (lambda step: (0.99, 0.01) if step % 300 else (0.7, 0.3), varied, "non_saturating", []),
    (lambda step: (7.0, -7.0), varied, "hinge", []),
    (lambda step: (0.7, 0.3), lambda step: 0.1 * varied(step), "non_saturating", ["the samples collapse"]),
    (lambda step: (0.7, 0.3), lambda step: varied(step) * (0.1 if step == 100 else 1), "non_saturating", []),
    (lambda step: (0.99, 0.01), lambda step: 0.1 * varied(step), "saturating", ["D has been winning", "collapse"]),
])
def test_watch_speaks_once_of_each_fault_and_looks_at_nothing_between(beliefs, samples, loss, expected, rng):
    said = []
    play(Watch(rng.standard_normal((500, 2)), said.append), beliefs, samples, loss)
    assert len(said) == len(expected) and all(part in line for part, line in zip(expected, said))


def test_watch_changes_nothing_in_a_real_game():
    real, _ = data.ring(1000)
    histories = []
    for callbacks in ((), (Watch(real, print, every=5),)):
        gan = tg.GAN(models.point_generator(), models.point_discriminator(), latent=2)
        histories.append(gan.fit(real, 20, 32, callbacks))
    assert histories[0] == histories[1]


def test_images_that_are_no_digits_are_judged_by_precision_and_coverage(rng):
    from tinygan.look.likeness import Likeness

    real, history = Likeness(500, 2.0, 0.8, 0.8, 1.0, 1.0), {name: [0.5] * 200 for name in ("d_loss", "g_loss", "d_real", "d_fake")}
    images = rng.uniform(-1, 1, (20, 32, 32, 3))
    for precision, recall, coverage, words in (
            (0.8, 0.7, 0.9, "look like the real images"), (0.8, 0.4, 0.9, "on the way"),
            (0.7, 0.7, 0.2, "Collapse: the samples show little"),
            (0.3, 0.9, 0.5, "on the way"), (0.1, 0.1, 0.1, "do not look like")):
        said = diagnosis.findings(history, images, images, Likeness(500, 9.0, precision, recall, 1.0, coverage), real)
        assert words in said[2] and f"precision {precision:.0%}, recall {recall:.0%}, coverage {coverage:.0%}; of" in said[2]
        assert "digit" not in " ".join(said) and "ink" not in " ".join(said)


def test_points_are_judged_by_their_modes():
    ring, far = data.ring(2500)[0], data.RING_MEANS[:3].astype(np.float32)
    real_score = mode_score(ring, data.RING_MEANS, data.RING_SIGMA)
    for points, words in ((ring, "All 8 modes are there; 99% of 2,500"),
                          (np.repeat(far, 500, axis=0), "Collapse: G reaches 3 of the 8"),
                          (np.concatenate([0 * ring, far]), "between the modes, of which G reaches 3 of 8; 0%")):
        said = findings(history(0.7, 0.3), points, ring, mode_score(points, data.RING_MEANS, data.RING_SIGMA), real_score)
        assert words in said[2] and said[2].endswith("of as many real points 99%.") and len(said) == 5
