"""The one exception that tinygan raises on purpose."""


class TinyganError(ValueError):
    """Bad input, told in one clear sentence: what came, what was expected, what to do."""
