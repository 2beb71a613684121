"""pytest --device cpu | cupy-on-cpu | cuda: where the tests that ask for the fixture `device` run.

On any but the CPU the other tests are left out: they would only repeat what they show there. cupy-on-cpu is the real CuPy
without a GPU (tests/cupy_on_cpu/README.md); cuda is a GPU."""
import contextlib
import os
import sys

if "PYTEST_XDIST_WORKER" in os.environ:             # pytest -n: each core has a worker of its own
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# What setup.cfg says of OpenBLAS's false alarm holds for the processes that tests start, too.
os.environ.setdefault("PYTHONWARNINGS", "ignore:invalid value encountered in matmul:RuntimeWarning")

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


class _Strict:
    """The module numpy, but for its functions, which refuse an array of CuPy's. As a courtesy CuPy answers many calls of
    NumPy's functions itself, others not, so what is written for the device must not lean on it."""

    def __getattr__(self, name):
        value = getattr(np, name)
        if isinstance(value, type) or not callable(value):
            return value

        def strict(*arguments, **options):
            for argument in (*arguments, *options.values()):
                assert type(argument).__module__.partition(".")[0] != "cupy", f"np.{name} got an array of CuPy's"
            return value(*arguments, **options)

        strict.reduce = getattr(value, "reduce", None)          # of a ufunc
        return strict


@pytest.fixture(autouse=True)
def strict_numpy(request, monkeypatch):
    """Where a device other than the CPU is tested, tinygan's own `np` is strict."""
    if request.config.getoption("--device") == "cpu":
        return
    import tinygan.cli                                      # with all its modules
    for name, module in list(sys.modules.items()):
        if name.startswith("tinygan.") and getattr(module, "np", None) is np:
            monkeypatch.setattr(module, "np", _Strict())


@pytest.fixture
def counters(request, device):
    """The emulation's counters, set to 0; skips elsewhere, as nothing counts there."""
    if request.config.getoption("--device") != "cupy-on-cpu":
        pytest.skip("launches and copies are counted with --device cupy-on-cpu only")
    from cupy_on_cpu import emulation
    emulation.reset()
    return emulation.counters


@pytest.fixture
def cost_of_a_step(counters):
    """(gan, batch) → what the counters have counted in one step, the second: the first one compiles and allocates."""
    def cost(gan, x):
        gan.step(x)
        before = counters()
        gan.step(x)
        return {name: value - before[name] for name, value in counters().items()}
    return cost


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def no_pictures(monkeypatch):
    """A run in this process ends with its checkpoint: the pictures and the report, which take seconds, are left out."""
    from tinygan import run
    monkeypatch.setattr(run, "_show", lambda *arguments: None)


@pytest.fixture
def alone(monkeypatch):
    """The lessons' loops in this process: what a test sees in another is not seen here."""
    from tinygan import group
    monkeypatch.setattr(group, "sharing", lambda workers, batch: contextlib.nullcontext(group.current()))
