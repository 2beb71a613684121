"""The exceptions that tinygan raises on purpose, and what is said of a number that is out of range."""
from numbers import Integral


class TinyganError(ValueError):
    """Bad input, in one clear sentence: "got X, expected Y: do Z"."""


class Diverged(TinyganError):
    """A loss or a weight is not finite any more: going on would only spread it.

    step: after which it was seen. bad: the names of the arrays that hold NaN or infinite numbers, G's first."""

    def __init__(self, step, what, bad):
        self.step, self.what, self.bad = step, what, bad
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        where = f"not finite: {bad[0]}{more}" if bad else "all weights are finite"
        super().__init__(f"the training diverged in step {step}: {what}; {where}. Go back to an earlier checkpoint, "
                         "and take a smaller learning rate or another loss")

    def __reduce__(self):                   # so that it can travel from one process to another
        return Diverged, (self.step, self.what, self.bad)


class WorkerLost(TinyganError):
    """A process that shares the batch was killed, has failed or does not answer: the current step cannot be finished."""


def brief(value, most=200):
    """A value or an error as part of a sentence: its text in one line, cut after `most` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= most else text[:most] + "…"


def integer(name, value, least=0, most=float("inf")):
    """The value of an option as an int.  TinyganError for what is none, and for one out of range."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= value <= most:
        span = f"of at least {least:,}" if most == float("inf") else f"from {least:,} to {most:,}"
        raise TinyganError(f"got {name} {brief(value)}, expected an integer {span}: choose such a number")
    return int(value)


def seed_of(seed):
    """The --seed as an int: one that every library takes, scikit-learn with its 32 bits too."""
    return integer("--seed", seed, 0, 2 ** 32 - 1)
