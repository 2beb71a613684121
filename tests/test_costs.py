"""What a step costs in things that can be counted exactly: no clock, no noise. Of the seed model at batch 64.

A change that needs more of them is not wrong, but it should be meant: then change the number here and say why."""
import tracemalloc

import numpy as np
import pytest

import tinygan as tg
from tinygan.fast import conv as fast

MEGABYTE = 1 << 20
MODELS = {"seed": lambda: tg.GAN(tg.models.seed_generator(), tg.models.seed_discriminator()),
          "small": lambda: tg.GAN(tg.models.small_generator(), tg.models.small_discriminator())}


@pytest.fixture
def count(monkeypatch):
    """{what: how often, or how much, since the fixture was made}"""
    counted = {"products": 0, "gathered": 0, "large": 0}

    def counting(function, name, amount):
        def wrapper(*arguments, **options):
            result = function(*arguments, **options)
            counted[name] += amount(result)
            return result
        return wrapper

    monkeypatch.setattr(np, "matmul", counting(np.matmul, "products", lambda product: 1))
    monkeypatch.setattr(fast, "_windows", counting(fast._windows, "gathered", lambda view: view.size))
    for name in ("empty", "zeros"):
        made = counting(getattr(np, name), "large", lambda array: int(array.nbytes > MEGABYTE))
        monkeypatch.setattr(np, name, made)
    return counted


@pytest.mark.parametrize("model, products, gathered, large", [
    ("seed", 595, 104_817_664, 47), ("small", 133, 29_696_000, 24)])
def test_a_step_at_batch_64(model, products, gathered, large, count):
    """products: calls of a matrix product. gathered: numbers copied into windows. large: arrays above 1 MB made."""
    gan, x, steps = MODELS[model](), tg.data.digits()[0][:64], []
    for _ in range(2):
        before = dict(count)
        gan.step(x)
        steps.append({name: count[name] - before[name] for name in count})
    assert steps[0] == steps[1] == {"products": products, "gathered": gathered, "large": large}


def peak(gan, batch):
    """Bytes that a step holds at most."""
    x = tg.data.digits()[0][:batch]
    gan.step(x)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        gan.step(x)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_memory_grows_with_the_batch_and_not_with_the_steps():
    gan = MODELS["seed"]()
    small, large = peak(gan, 32), peak(gan, 64)
    assert 1.4 * small < large < 2.1 * small and large < 85 * MEGABYTE
    again = [peak(gan, 32) for _ in range(2)]
    assert max(again) < 1.1 * small
