"""What went well in a game and what did not, in plain sentences, each with the number that it rests on."""
import numpy as np

from ..backend import array_module, to_numpy

SURE_REAL, SURE_FAKE = 0.95, 0.05       # D wins while D(x) is above the one and D(G(z)) below the other
AHEAD = 0.75                            # D is ahead while D(x) − D(G(z)) is above this
GUESSING = 0.05                         # D only guesses while D(x) − D(G(z)) is below this
MIN_STEPS = 100                         # a shorter game is not judged
EXPLODED = 1e4                          # the size of a loss from which no game comes back
NEAR, FAR = 4, 20                       # times the Fréchet distance of real digits: samples look like them, like digits
COMPARED = 500                          # samples that are compared with each other, pair by pair
LOG_4 = float(np.log(4))                # D's loss when it can only guess


def findings(history, samples=None, real=None, score=None, real_score=None):
    """A list of sentences about a run: what is wrong with it, or that nothing is.

    history              {"d_loss": […], "g_loss": […], "d_real": […], "d_fake": […]}, one number a step, from GAN.fit
    samples, real        arrays (N, …) of generated and of real images or points
    score, real_score    their metrics.Score, likeness.Likeness of images that are no digits, or metrics.ModeScore of points
    There are no sentences about what is not given, and a game too short to be judged is not."""
    steps, sentences = len(history["d_loss"]), [_losses(history), _balance(history, score, real_score)]
    if steps < MIN_STEPS:
        return [sentence for sentence in sentences if sentence]
    digits = hasattr(score, "classes") if score else np.shape(real)[1:] == (28, 28, 1)
    if score and real_score:
        sentences += ([_modes(score, real_score)] if hasattr(score, "modes") else
                      [_like_digits(score, real_score), _classes(score)] if digits else [_alike(score, real_score)])
    if samples is not None and real is not None and np.isfinite(samples).all():
        checks = (_precision, _coverage) if real.ndim == 2 else (_duplicates, _ink if digits else _contrast)
        sentences += [check(samples, real) for check in checks]
    return [sentence for sentence in sentences if sentence]


# The game

def _losses(history):
    """Are they numbers that a game can be played with?"""
    steps = len(history["d_loss"])
    if not steps:
        return "No step was played."
    broken = np.flatnonzero(~np.isfinite(list(history.values())).all(axis=0))
    if len(broken):
        return (f"The game broke at step {broken[0] + 1:,} of {steps:,}: a loss is not a finite number there, and one "
                "such step spoils the weights. Try a smaller learning rate.")
    sizes = _sizes(history)
    if sizes.max() > EXPLODED:
        return (f"The losses exploded: they grew to {sizes.max():.0e}, and were beyond {EXPLODED:,.0f} for the first time in "
                f"step {np.argmax(sizes > EXPLODED) + 1:,} of {steps:,}. Try a smaller learning rate.")
    return f"Every loss is a finite number, in all {steps:,} steps."


def _sizes(history):
    """The larger of |L_D| and |L_G| in each step."""
    return np.abs([history["d_loss"], history["g_loss"]]).max(axis=0)


def _balance(history, score, real_score):
    """How D and G stand to each other in the last quarter of the run."""
    steps, last = len(history["d_loss"]), {name: values[-(len(values) // 4):] for name, values in history.items()}
    if steps < MIN_STEPS:
        return f"{steps:,} steps are too few to judge the game or its samples by." if steps else None
    if not _sizes(history).max() <= EXPLODED or not np.isfinite(list(last.values())).all():
        return None
    d_loss, g_loss, d_real, d_fake = (np.mean(last[name]) for name in ("d_loss", "g_loss", "d_real", "d_fake"))
    over = f"over the last {len(last['d_loss']):,} steps"
    if not are_beliefs(history):
        return (f"D gives scores, not beliefs: {d_real:.2f} to real and {d_fake:.2f} to fake {over}. "
                f"Only their difference, {d_real - d_fake:.2f}, says something.")
    sigma = f"{d_fake:.2f}" if d_fake >= 0.01 else f"{d_fake:.1g}"
    beliefs = f"D(x) = {d_real:.2f} and D(G(z)) = {sigma}"
    if _d_wins(d_real, d_fake) and g_loss < 0:                      # only the saturating loss is negative
        return (f"G has no gradient: D has won, {beliefs} {over}, and the saturating loss leaves G a gradient of "
                f"σ(a) ≈ {sigma} for each sample. The non-saturating loss would leave {1 - d_fake:.2f}.")
    if _d_wins(d_real, d_fake):
        return (f"D is too strong: {beliefs} {over}. G's gradient of the saturating loss would be σ(a) ≈ {sigma} "
                f"for each sample; the non-saturating loss keeps it at {1 - d_fake:.2f}, but it says little about what "
                "to change. Try a smaller learning rate for D.")
    if d_real - d_fake < GUESSING:
        return (f"D only guesses: {beliefs} {over}, its loss {d_loss:.3f} beside log 4 = {LOG_4:.3f}. That is either "
                "the perfect end, where nobody can tell the samples from real ones, or a D that sees nothing"
                + _which_end(score, real_score))
    its_loss = f"its loss is {d_loss:.2f}, and {LOG_4:.2f} = log 4 if it could only guess."
    if d_real - d_fake > AHEAD:
        return f"D is ahead of G: {beliefs} {over}; {its_loss} R₁, or a smaller learning rate for D, would hold it back."
    return f"The game is in balance: {beliefs} {over}. D still sees a difference that G can learn from; {its_loss}"


def _d_wins(d_real, d_fake):
    return d_real > SURE_REAL and d_fake < SURE_FAKE


def are_beliefs(history):
    """True if d_real and d_fake are means of probabilities σ(a), as in the minimax game, False if of raw scores.

    Means of probabilities lie in [0, 1], and as −log is convex, Jensen's inequality says that
    L_D = −E log σ(a_real) − E log(1 − σ(a_fake)) ≥ −log D(x) − log(1 − D(G(z))).  Scores break one of these rules."""
    table = np.array([history[name] for name in ("d_loss", "d_real", "d_fake")], np.float64)
    d_loss, d_real, d_fake = table[:, np.isfinite(table).all(axis=0)]
    if not ((0 <= d_real) & (d_real <= 1) & (0 <= d_fake) & (d_fake <= 1)).all():
        return False
    least = -np.log(d_real.clip(1e-6)) - np.log((1 - d_fake).clip(1e-6))
    return bool((d_loss >= least - 1e-3).all())


def _which_end(score, real_score):
    if not (score and real_score):
        return ": look at the samples."
    if not hasattr(score, "classes"):
        return "; the next sentence tells which."
    end = "first" if score.frechet < NEAR * real_score.frechet else "second"
    return f"; the Fréchet distance of {score.frechet:.1f}, of real ones {real_score.frechet:.1f}, speaks for the {end}."


# The samples

def _alike(score, real_score):
    """Precision says whether samples look real, recall and coverage whether all that is real is made (likeness.py)."""
    precise, recalled, covered = (getattr(score, name) / getattr(real_score, name)
                                  for name in ("precision", "recall", "coverage"))
    verdict = ("The samples look like the real images" if min(precise, recalled, covered) > 0.8 else
               "Collapse: the samples show little of what the real images show" if covered < 0.5 < precise else
               "The samples are on the way to the real images" if min(precise, covered) > 0.3 else
               "The samples do not look like the real images")
    return (f"{verdict}: precision {score.precision:.0%}, recall {score.recall:.0%}, coverage {score.coverage:.0%}; "
            f"of other real images {real_score.precision:.0%}, {real_score.recall:.0%} and {real_score.coverage:.0%}.")


def _modes(score, real_score):
    verdict = (f"Most samples lie between the modes, of which G reaches {score.modes} of {score.of}"
               if score.quality < 0.5 else
               f"Collapse: G reaches {score.modes} of the {score.of} modes" if score.modes < score.of else
               f"All {score.of} modes are there")
    return (f"{verdict}; {score.quality:.0%} of {score.n:,} samples lie within 3σ of one, of as many real points "
            f"{real_score.quality:.0%}.")


def _like_digits(score, real_score):
    sure, far = score.sure / real_score.sure, score.frechet / real_score.frechet
    verdict = ("The samples look like real digits" if sure > 0.9 and far < NEAR else
               "Most samples look like digits, if less clear than real ones" if sure > 0.5 and far < FAR else
               "The samples do not look like real digits")
    return (f"{verdict}: the classifier is sure of {score.sure:.0%} of them and of {real_score.sure:.0%} of real "
            f"digits; Fréchet distance {score.frechet:.1f}, real digits {real_score.frechet:.1f}.")


def _classes(score):
    rare = [str(digit) for digit, frequency in enumerate(score.classes) if frequency < 0.01]
    if rare:
        return (f"Collapse: G paints {10 - len(rare)} of the ten classes; of {', '.join(rare)} there are fewer "
                f"than 1% each among {score.n:,} samples.")
    rarest = int(np.argmin(score.classes))
    return f"All ten classes are there, the rarest, {rarest}, with {score.classes[rarest]:.1%} of {score.n:,} samples."


def _duplicates(samples, real):
    """Near-duplicates are closer than a third of the median distance from a real image to the nearest other one.

    Blurred samples on a ground of one colour are closer than half of it, and differ for all that."""
    n = min(len(samples), len(real), COMPARED)
    if n < 2:
        return None
    _, among_samples = nearest(samples[:n], samples[:n], skip=np.arange(n))
    _, among_real = nearest(real[:n], real[:n], skip=np.arange(n))
    close = np.median(among_real) / 3
    close_samples, close_real = np.mean(among_samples < close), np.mean(among_real < close)
    verdict = "Collapse: many samples are nearly equal" if close_samples > close_real + 0.15 else "The samples differ"
    return (f"{verdict}: {close_samples:.0%} of {n} have a near-duplicate among the others (closer than {close:.1f}), "
            f"of as many real ones {close_real:.0%}.")


def _contrast(samples, real):
    painted, expected = np.abs(samples).mean(), np.abs(real[:COMPARED]).mean()
    verdict = "The samples are grey and washed-out" if painted < expected - 0.1 else "The contrast is as it should be"
    return f"{verdict}: a pixel is on average {painted:.2f} from middle grey, in real images {expected:.2f}."


def _ink(samples, real):
    painted, expected = np.abs(samples).mean(), np.abs(real[:COMPARED]).mean()
    ink, usual = (1 + samples.mean()) / 2, (1 + real[:COMPARED].mean()) / 2
    verdict = ("The samples are grey and washed-out" if painted < expected - 0.1 else
               "There is too much ink" if ink > 2 * usual else "There is too little ink" if ink < usual / 2 else
               "Ink and paper are as they should be")
    return (f"{verdict}: a pixel is on average {painted:.2f} from middle grey, in real digits {expected:.2f}; "
            f"{ink:.0%} of the paper is ink, in real digits {usual:.0%}.")


def _precision(samples, real):
    near = spread(real) / 10
    hits = _fraction_near(samples, real, near)
    verdict = "The samples lie where the data is" if hits > 0.9 else "Many samples lie beside the data"
    return f"{verdict}: {hits:.0%} within {near:.2g} of a real point."


def _coverage(samples, real):
    near = spread(real) / 10
    reached = _fraction_near(real, samples, near)
    verdict = ("All of the data is reached" if reached > 0.95 else "Parts of the data are missed" if reached > 0.75 else
               "Collapse: much of the data is never made")
    return f"{verdict}: {reached:.0%} of the real points have a sample within {near:.2g}."


def _fraction_near(points, others, distance):
    """The fraction of the points that have one of the others within the distance."""
    n = 4 * COMPARED
    return np.mean(nearest(points[:n], others[:n])[1] < distance)


def nearest(queries, references, skip=None, chunk=2000):
    """For each query (N, …) the nearest reference (M, …), by Euclidean distance: (indices (N,), distances (N,)).

    skip: for each query the index of a reference that does not count, itself for instance.
    The search uses ‖q − r‖² = ‖q‖² − 2⟨q, r⟩ + ‖r‖², one matrix product for each chunk of references. Rounding spoils
    this where it is small, so the distance of the one found is computed from q − r."""
    queries, references = (np.reshape(x, (len(x), -1)) for x in (queries, references))
    queries, rows = queries.astype(np.float64), np.arange(len(queries))
    best, least = np.zeros(len(queries), np.int64), np.full(len(queries), np.inf)
    for start in range(0, len(references), chunk):
        some = references[start:start + chunk].astype(np.float64)
        squares = (some * some).sum(axis=1) - 2 * queries @ some.T              # (N, chunk), without ‖q‖²
        if skip is not None:
            here = (start <= skip) & (skip < start + len(some))
            squares[rows[here], skip[here] - start] = np.inf
        found = squares.argmin(axis=1)
        closer = squares[rows, found] < least
        best[closer], least[closer] = start + found[closer], squares[rows, found][closer]
    return best, np.linalg.norm(queries - references[best], axis=1)


class Watch:
    """A callback for GAN.fit that says so when D keeps winning, and when the samples collapse: one line each, once.

    say: a function of a string, print for instance; real: the real data, whose spread the samples' is compared with.
    It looks at every `every`-th step, at its metrics and at 16 samples of a fixed noise; no other step waits for the
    device. It speaks when PATIENCE looks agree, for a game swings, and at the start all samples are grey."""

    PATIENCE = 3               # looks in a row

    def __init__(self, real, say, every=100):
        self.say, self.every, self.noise = say, every, None
        self.real_spread = spread(real[:COMPARED])
        self.in_a_row, self.said = {"D wins": 0, "collapse": 0}, set()

    def __call__(self, gan, metrics):
        if gan.steps % self.every:
            return
        if gan.loss in ("non_saturating", "saturating"):            # in the other games D gives scores, not beliefs
            xp = array_module(metrics["d_real"])
            d_real, d_fake = to_numpy(xp.stack([metrics["d_real"], metrics["d_fake"]])).tolist()
            self._count("D wins", _d_wins(d_real, d_fake),
                        f"D has been winning for the last {self.PATIENCE * self.every:,} steps: D(x) is {d_real:.2f} "
                        f"and D(G(z)) {d_fake:.2g}, so G learns little; try a smaller learning rate for D")
        if self.noise is None:
            self.noise = np.random.default_rng(1).standard_normal((16, gan.latent))
        now = spread(gan.generate(self.noise))
        self._count("collapse", now < self.real_spread / 3,
                    f"the samples collapse: 16 different z give nearly the same, their spread is {now:.2g} and that of "
                    f"real ones {self.real_spread:.2g}")

    def _count(self, kind, seen, line):
        self.in_a_row[kind] = self.in_a_row[kind] + 1 if seen else 0
        if self.in_a_row[kind] >= self.PATIENCE and kind not in self.said:
            self.said.add(kind)
            self.say(line)


def spread(samples):
    """√ of the variance from sample to sample, averaged over pixels or coordinates."""
    return float(np.sqrt(np.var(samples, axis=0, dtype=np.float64).mean()))
