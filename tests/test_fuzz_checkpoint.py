"""Whatever a checkpoint or a config.json holds, it is read or refused by name, with little memory."""
import copy
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygan as tg
from tinygan import checkpoint
from tinygan.run import presets
from tinygan.run.folder import read_config

MEMORY = 30e6           # bytes that reading a checkpoint of 20 kB may take, whatever it claims

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([2 ** 31, 10 ** 6, -1, 0, 1e400, "Dense(2, 1)", "Adam", "wasserstein", "PCG64", "float64",
                       "Sequential(Dense(99999, 99999), Dense(99999, 1))", "Conv2D(1, 1, 99999)", "BatchNorm(9999999999)",
                       "Sequential(" + "Dense(3000, 3000), " * 50 + "Dense(2, 1))", "9" * 5000, "Dense(2 ** 40, 1)",
                       "(" * 300, "Dense(in_features=99999, out_features=99999)"]),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=8), values, max_size=4), max_leaves=6)
accidents = st.lists(st.tuples(st.sampled_from(["flip", "cut", "insert", "cut out", "zero"]), st.floats(0, 1),
                               st.integers(0, 7), st.binary(min_size=1, max_size=40)), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """(a folder, the bytes of a whole checkpoint in it, its description, its arrays)"""
    folder = tmp_path_factory.mktemp("fuzz")
    G = tg.Sequential(tg.Dense(2, 8), tg.BatchNorm(8), tg.LeakyReLU(0.2), tg.Reshape(2, 2, 2),
                      tg.Conv2DTranspose(2, 1, 4, stride=2))
    D = tg.Sequential(tg.Conv2D(1, 3, 4, stride=2), tg.Flatten(), tg.Dense(12, 1))
    gan = tg.GAN(G, D, latent=2, averaging=0.9)
    gan.fit(np.zeros((8, 4, 4, 1), np.float32), 2, batch_size=4)
    gan.save(folder / "whole.npz")
    return folder, (folder / "whole.npz").read_bytes(), *checkpoint.read(folder / "whole.npz")


def after(content, accidents):
    """The bytes, after these accidents."""
    content = bytearray(content)
    for kind, where, bit, extra in accidents:
        at = int(where * max(len(content) - 1, 0))
        if kind == "flip" and content:
            content[at] ^= 1 << bit
        elif kind == "cut":
            del content[at:]
        elif kind == "insert":
            content[at:at] = extra
        elif kind == "cut out":
            del content[at:at + 10 * len(extra)]
        elif kind == "zero":
            content[at:at + len(extra)] = bytes(len(extra))
    return bytes(content)


def read_or_refused(path):
    """Load it; a GAN, or None if it was refused by tinygan's own error with the file's name. No other error, no more memory."""
    before = path.read_bytes()
    tracemalloc.start()
    try:
        with np.errstate(all="ignore"):
            return tg.GAN.load(path)
    except tg.TinyganError as error:
        assert path.name in str(error) and len(str(error)) < 2000
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY
        assert path.read_bytes() == before


@settings(max_examples=150)
@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00"]))
def test_any_bytes(saved, content, start):
    (saved[0] / "any.npz").write_bytes(start + content)
    assert read_or_refused(saved[0] / "any.npz") is None


@settings(max_examples=400)
@given(accidents)
def test_a_real_file_after_accidents(saved, accidents):
    (saved[0] / "hurt.npz").write_bytes(after(saved[1], accidents))
    gan = read_or_refused(saved[0] / "hurt.npz")
    assert gan is None or gan.steps == 2


def paths(value, path=()):
    """The places in a description where something stands."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from paths(part, (*path, key))


def owner_of(place, about):
    """The dict or list in which the last part of the place stands."""
    for key in place[:-1]:
        about = about[key]
    return about


@pytest.mark.parametrize("value", ["9" * 5000, [9] * 2000, 10 ** 400, float("nan"), None],
                         ids=["text", "list", "large", "nan", "null"])
def test_the_same_in_every_place_of_a_description(saved, value):
    for place in paths(saved[2]):
        if place:
            about = copy.deepcopy(saved[2])
            owner_of(place, about)[place[-1]] = value
            checkpoint.write(saved[0] / "said.npz", about, saved[3], keep=False)
            read_or_refused(saved[0] / "said.npz")


@settings(max_examples=200)
@given(st.data())
def test_a_description_that_says_something_else(saved, data):
    about = copy.deepcopy(saved[2])
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from([path for path in paths(about) if path]))
        owner = owner_of(place, about)
        if data.draw(st.booleans()):
            owner[place[-1]] = data.draw(json_values)
        elif isinstance(owner, dict):
            del owner[place[-1]]
    checkpoint.write(saved[0] / "said.npz", about, saved[3], keep=False)
    read_or_refused(saved[0] / "said.npz")


@settings(max_examples=100)
@given(st.data())
def test_arrays_of_another_shape_or_kind(saved, data):
    arrays = dict(saved[3])
    name = data.draw(st.sampled_from(sorted(arrays)))
    shape = data.draw(st.lists(st.integers(0, 4), max_size=5))
    arrays[name] = np.ones(shape, data.draw(st.sampled_from(["f4", "f8", "i8", "u1", "?", "U3"])))
    if data.draw(st.booleans()):
        del arrays[data.draw(st.sampled_from(sorted(arrays)))]
    checkpoint.write(saved[0] / "shapes.npz", saved[2], arrays, keep=False)
    read_or_refused(saved[0] / "shapes.npz")


def config_or_refused(path):
    try:
        return read_config(path)
    except tg.TinyganError as error:
        assert "config.json" in str(error) and len(str(error)) < 2000


CONFIG = {"preset": "ring", "steps": 40, "batch_size": 16, "seed": 0, "data": None, "images": "5×2, crc32 0", "device": "auto"}


@settings(max_examples=300)
@given(st.data())
def test_any_config(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("config") / "config.json"
    if data.draw(st.booleans()):
        config = dict(CONFIG)
        config[data.draw(st.sampled_from(sorted(config)))] = data.draw(json_values)
        content = json.dumps(config).encode()
    else:
        content = after(json.dumps(CONFIG).encode(), data.draw(accidents))
    path.write_bytes(content)
    config = config_or_refused(path)
    if config is not None:
        assert config["preset"] in presets.PRESETS and config["steps"] >= 1 and config["batch_size"] >= 1
