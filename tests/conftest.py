import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("tinygan", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("tinygan")


@pytest.fixture
def rng():
    return np.random.default_rng(0)
