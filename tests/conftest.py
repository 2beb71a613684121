"""pytest --device cpu | cupy-on-cpu | cuda: where the tests that ask for the fixture `device` run.

On any but the CPU the other tests are left out: they would only repeat what they show there. cupy-on-cpu is the real CuPy
without a GPU (tests/cupy_on_cpu/README.md); cuda is a GPU."""
import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("tinygan", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("tinygan")


def pytest_addoption(parser):
    parser.addoption("--device", choices=("cpu", "cupy-on-cpu", "cuda"), default="cpu")


def pytest_configure(config):
    """The emulation must be there before anything imports CuPy."""
    config.missing = None
    if config.getoption("--device") == "cupy-on-cpu":
        from cupy_on_cpu import checks, emulation
        try:
            emulation.install()
        except checks.Refused as reason:
            config.missing = str(reason)


def pytest_collection_modifyitems(config, items):
    if config.getoption("--device") != "cpu":
        others = [item for item in items if "device" not in item.fixturenames]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if "device" in item.fixturenames]


@pytest.fixture
def device(request):
    """"cpu" or "cuda"; skips where it is not to be had."""
    from tinygan import backend
    if request.config.missing:
        pytest.skip(request.config.missing)
    name = "cpu" if request.config.getoption("--device") == "cpu" else "cuda"
    works, reason = backend.available(name)
    if not works:
        pytest.skip(reason)
    return name


@pytest.fixture
def counters(request, device):
    """The emulation's counters, set to 0; skips elsewhere, as nothing counts there."""
    if request.config.getoption("--device") != "cupy-on-cpu":
        pytest.skip("launches and copies are counted with --device cupy-on-cpu only")
    from cupy_on_cpu import emulation
    emulation.reset()
    return emulation.counters


@pytest.fixture
def rng():
    return np.random.default_rng(0)
