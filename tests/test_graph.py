"""A round as one CUDA graph (fast/graph.py): the same bits as the round itself, whatever changes from step to step.

    python -m pytest --device cupy-on-cpu tests/test_graph.py"""
import copy
import gc
import re
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

import tinygan as tg
from tinygan import cli, umpire
from tinygan.checkpoint.networks import build
from tinygan.fast import graph
from tinygan.fast.cublas import Products
from tinygan.fast.graph import Captured

RULES = {"plain": {}, "all that changes": {"averaging": 0.9, "instance_noise": 0.3, "noise_steps": 6, "decay_steps": 30},
         "now and then a penalty": {"r1": 0.5, "r1_every": 3, "label_smoothing": 0.1}}


@pytest.fixture(autouse=True)
def gpu(device):
    if device == "cpu":
        pytest.skip("graphs are CUDA's: --device cupy-on-cpu, or cuda")


@pytest.fixture
def same(request):
    """Holds two games against each other: on the CPU bit for bit. A GPU may add in another order with another handle."""
    few = 0 if request.config.getoption("--device") == "cupy-on-cpu" else 1e-3

    def same(ours, theirs):
        for name in ("generator", "discriminator", "averaged"):
            for (key, a), (_, b) in zip(getattr(ours, name).named_arrays(), getattr(theirs, name).named_arrays()):
                np.testing.assert_allclose(a.get(), b.get(), rtol=few, atol=few, err_msg=f"{name} {key}")
        for name in ours.history:
            np.testing.assert_allclose(ours.history[name], theirs.history[name], rtol=few, atol=few, err_msg=name)
        assert (ours.steps, ours.rng.bit_generator.state) == (theirs.steps, theirs.rng.bit_generator.state)
        assert [o.counts for o in (ours.g_optimizer, ours.d_optimizer)] == [o.counts for o in (theirs.g_optimizer,
                                                                                             theirs.d_optimizer)]
    return same


G = ("Sequential(Dense(3, 12, bias=False), BatchNorm(12, momentum=0.9, eps=1e-05), LeakyReLU(0.2), Reshape(2, 2, 3), "
     "Conv2DTranspose(3, 1, 4, stride=2, padding='same', bias=True), Tanh())")
D = "Sequential(Conv2D(1, 4, 3, stride=2, padding='same', bias=True), LeakyReLU(0.2), Flatten(), Dense(16, 1, bias=True))"
IMAGES = np.random.default_rng(5).uniform(-1, 1, (40, 4, 4, 1)).astype(np.float32)


def game(captured, spectral=False, kinds=0, **rules):
    generator, discriminator = (build(text).initialise(np.random.default_rng(1), 0.3) for text in (G, D))
    if kinds:
        generator = tg.Sequential(tg.OneHot(kinds), *generator.layers)
    if spectral:
        discriminator = tg.layers.spectral_norm(discriminator, np.random.default_rng(2))
    gan = tg.GAN(generator, discriminator, latent=3, g_optimizer=tg.Adam(generator.parameters(), 0.01), **rules).to("cuda")
    if captured:
        gan.step = Captured(gan)
    return gan


def pair(**options):
    return game(True, **options), game(False, **options)


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_fifty_steps(rules, same):
    ours, theirs = pair(**rules)
    for gan in (ours, theirs):
        gan.fit(IMAGES, 50, batch_size=8)
    same(ours, theirs)
    assert {bool(one.graph) for one in ours.step.graphs.values()} == {True}


@pytest.mark.parametrize("loss", ["hinge", "wasserstein", "least_squares"])
def test_other_losses_spectral_norm_and_kinds(loss, same):
    ours, theirs = pair(loss=loss, spectral=True, kinds=2)
    for gan in (ours, theirs):
        gan.fit(IMAGES, 8, batch_size=8)
    same(ours, theirs)


def test_what_is_changed_in_between_is_seen(same):
    """Rates, rules, arrays, modes, frozen weights, batches of other sizes; and gradients that somebody took away."""
    games = pair(averaging=0.9, r1=0.2)
    changes = [lambda gan: setattr(gan.g_optimizer, "lr", 0.003),
               lambda gan: setattr(gan, "rules", umpire.Rules(averaging=0.5, r1=1.0)),
               lambda gan: gan.generator.load_state_dict(gan.averaged.state_dict()),
               lambda gan: gan.d_optimizer.load_state_dict(gan.d_optimizer.state_dict()),
               lambda gan: setattr(gan.generator.layers[1], "momentum", 0.5), lambda gan: setattr(gan.g_optimizer, "betas", (0, 0.9)),
               lambda gan: gan.generator.eval(), lambda gan: gan.generator.train(),
               lambda gan: setattr(gan.discriminator.parameters()[0], "requires_grad", False),
               lambda gan: gan.generator.parameters()[0].data.fill(0.1), lambda gan: gan.g_optimizer.zero_grad()]
    for change in changes:
        for gan in games:
            gan.fit(IMAGES, 3, batch_size=8)
            change(gan)
            gan.fit(IMAGES, 3, batch_size=5)
    same(*games)


def test_what_a_replayed_step_costs(counters):
    """One upload of all that it needs, one launch of the graph, and a copy of its metrics."""
    gan = game(True, averaging=0.9, instance_noise=0.1)
    gan.fit(IMAGES, 5, batch_size=8)
    before = counters()
    gan.step(IMAGES[:8])
    cost = {name: value - before[name] for name, value in counters().items()}
    assert {name: cost[name] for name in ("graphs", "launches", "products", "h2d", "d2h", "syncs")} == {
        "graphs": 1, "launches": 1, "products": 0, "h2d": 1, "d2h": 0, "syncs": 0}


def test_memory_stays(counters):
    import cupy
    gan, free = game(True, r1=0.5, r1_every=2), []
    for _ in range(4):
        gan.fit(IMAGES, 20, batch_size=8)
        free.append(cupy.cuda.runtime.memGetInfo()[0])
    assert free[1:] == 3 * free[1:2]


def test_few_kinds_of_steps_are_kept(monkeypatch):
    monkeypatch.setattr(graph, "KINDS", 2)
    gan, kept = game(True), []
    for size in (3, 3, 4, 3, 4, 5, 5):          # the first is no rehearsal yet: Adam's arrays come to the device
        gan.step(IMAGES[:size])
        kept.append(len(gan.step.graphs))
    assert kept == [1, 1, 2, 2, 2, 1, 1]


def test_a_checkpoint_between_two_replays(tmp_path, same):
    ours, theirs = pair(averaging=0.9, decay_steps=15)
    for gan, name in ((ours, "ours"), (theirs, "theirs")):
        gan.fit(IMAGES, 7, batch_size=8)
        gan.save(tmp_path / f"{name}.npz")
    assert (tmp_path / "ours.npz").read_bytes() == (tmp_path / "theirs.npz").read_bytes()
    again = tg.GAN.load(tmp_path / "ours.npz").to("cuda")
    again.step = Captured(again)
    for gan in (ours, theirs, again):
        gan.fit(IMAGES, 6, batch_size=8)
    same(ours, theirs)
    same(again, theirs)


def test_a_replay_makes_earlier_tensors_stale():
    gan = game(True)
    gan.fit(IMAGES, 4, batch_size=8)
    score = gan.discriminator(gan.generator(gan.noise(8))).sum()
    gan.step(IMAGES[:8])
    with pytest.raises(tg.TinyganError, match="run the forward pass again"):
        score.backward()


def test_a_run_with_graphs_ends_in_the_same_bytes(tmp_path, capsys, no_pictures):
    """From the command line, through a stop and --resume: as without either."""
    folder, other = str(tmp_path / "with"), str(tmp_path / "without")
    for arguments in (["ring", "--steps", "5", "--out", folder], ["--resume", folder, "--steps", "10", "--graph"],
                      ["ring", "--steps", "10", "--out", other, "--no-graph"]):
        assert cli.main(["train", *arguments, "--device", "cuda"]) == 0
    assert capsys.readouterr().out.count("graph: each round is one CUDA graph") == 2
    assert (tmp_path / "with/checkpoint.npz").read_bytes() == (tmp_path / "without/checkpoint.npz").read_bytes()


def test_what_cuda_refuses_is_said_and_the_weights_stay(monkeypatch):
    gan, forward = game(True), tg.Tanh.forward
    monkeypatch.setattr(tg.Tanh, "forward", lambda layer, x: x.data.get() is not None and forward(layer, x))
    gan.fit(IMAGES, 2, batch_size=8)
    before = gan.generator.state_dict()
    with pytest.raises(tg.TinyganError, match="cannot be captured as a CUDA graph .*D2H.*: train with --no-graph"):
        gan.step(IMAGES[:8])
    for name, array in gan.generator.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    monkeypatch.undo()
    gan.fit(IMAGES, 4, batch_size=8)


class Stranger(tg.LeakyReLU):
    """A layer that is not tinygan's own."""


OBSTACLES = {"draws random numbers in the middle": lambda gan: setattr(gan, "rules", umpire.Rules(gradient_penalty=10)),
             "only Adam's rate": lambda gan: setattr(gan, "g_optimizer", tg.SGD(gan.generator.parameters(), 0.1)),
             "what Stranger does on the host": lambda gan: setattr(gan.discriminator.layers[1], "__class__", Stranger),
             "gradients would add up": lambda gan: gan.d_optimizer.parameters.pop(),
             "not on a GPU": lambda gan: gan.to("cpu")}


@pytest.mark.parametrize("reason", OBSTACLES)
def test_what_cannot_be_captured_is_played_as_ever(reason):
    gan = game(True)
    assert graph.obstacle(gan) == ""
    OBSTACLES[reason](gan)
    assert reason in graph.obstacle(gan)
    gan.fit(IMAGES, 3, batch_size=8)
    assert gan.steps == 3 and not gan.step.graphs


def frozen_number(monkeypatch):
    feed = graph._Graph._feed

    def lazy(self, values):
        return feed(self, values) if np.ndim(values) or self.graph is None else next(self.fed)[1]
    monkeypatch.setattr(graph._Graph, "_feed", lazy)


def stale_statistics(monkeypatch):
    """As if batch normalisation's new arrays were dropped, and not written back."""
    def forgetful(self, x):
        norm = self.gan.generator.layers[1]
        before = norm.running_mean, norm.running_var
        metrics = type(self.gan).step(self.gan, x)
        norm.running_mean, norm.running_var = before
        return metrics
    monkeypatch.setattr(graph._Graph, "_step", forgetful)


def stale_batch(monkeypatch):
    feed = graph._Graph._feed

    def lazy(self, values):
        return next(self.fed)[1] if np.ndim(values) == 4 and self.graph else feed(self, values)
    monkeypatch.setattr(graph._Graph, "_feed", lazy)


def no_pool(monkeypatch):
    import cupy
    monkeypatch.setattr(cupy.cuda, "MemoryPool", lambda: SimpleNamespace(malloc=cupy.cuda.memory._malloc))


def no_workspace(monkeypatch):
    call = Products._call
    monkeypatch.setattr(Products, "_call", lambda self, name, *given: "Workspace" in name or call(self, name, *given))


PLANTS = [frozen_number, stale_statistics, stale_batch, no_pool, no_workspace]


@pytest.mark.parametrize("plant", PLANTS)
def test_faults_of_a_replay_are_caught(plant, monkeypatch, same, counters):
    ours, theirs = pair(decay_steps=10)
    plant(monkeypatch)
    with pytest.raises((AssertionError, RuntimeError, tg.TinyganError)):
        for gan in (ours, theirs):
            gan.fit(IMAGES, 6, batch_size=8)
        same(ours, theirs)


@pytest.mark.parametrize("rules", [*RULES.values(), {"r1": 0.5, "r1_every": 8, "averaging": 0.99}])
def test_a_copy_of_a_sound_game_gives_no_doubt(rules, same):
    gan, untouched = pair(**rules)
    del gan.step
    assert graph.doubt(gan, IMAGES, 8) == ""
    same(gan, untouched)


@pytest.mark.parametrize("share, doubted", [(0.002, False), (0.05, True)])
def test_a_replay_that_goes_a_little_further_is_rounding(share, doubted, monkeypatch):
    gan, _ = pair()
    del gan.step
    play = Captured.__call__

    def further(self, batch):
        before = [array.copy() for array in self.gan.generator.arrays()]
        metrics = play(self, batch)
        for array, start in zip(self.gan.generator.arrays(), before):
            array[...] += share * (array - start)
        return metrics

    monkeypatch.setattr(Captured, "__call__", further)
    assert bool(graph.doubt(gan, IMAGES, 8)) == doubted


def test_the_copies_are_gone_with_their_last_round(monkeypatch):
    """At once, not when Python next looks for cycles: until then their memory on the device would be taken."""
    gan, _ = pair()
    del gan.step
    copies, deepcopy = [], copy.deepcopy
    monkeypatch.setattr(graph, "copy", SimpleNamespace(
        deepcopy=lambda game: copies.append(weakref.ref(found := deepcopy(game))) or found))
    gc.disable()
    try:
        assert graph.doubt(gan, IMAGES, 8) == "" and [alive() for alive in copies] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize("plant", PLANTS)
def test_a_run_goes_on_without_graphs_where_a_copy_of_the_game_goes_another_way(plant, monkeypatch, tmp_path, no_pictures, capsys):
    """The ring's generator has no batch normalisation, and what is small is not seen: so the game of these tests it is."""
    plant(monkeypatch)
    monkeypatch.setattr("tinygan.run.stabilised", lambda *_, **__: game(False, decay_steps=10))
    monkeypatch.setattr("tinygan.run._loaded", lambda *_: IMAGES)
    cli.main(["train", "digits", "--steps", "4", "--batch-size", "8", "--out", str(tmp_path / "run"), "--device", "cuda"])
    assert re.search("graph: none, as (a copy of the game could not|the .* of a copy moved)", capsys.readouterr().out)
    assert tg.GAN.load(tmp_path / "run" / "checkpoint.npz").steps == 4


def test_a_second_use_of_the_pool_is_caught(counters, monkeypatch):
    """Who is given the graph's own memory finds the graph's numbers there after the next launch."""
    import cupy
    gan, streams, stream = game(True), [], cupy.cuda.Stream
    monkeypatch.setattr(cupy.cuda, "Stream", lambda **options: streams.append(stream(**options)) or streams[0])
    gan.fit(IMAGES, 5, batch_size=8)
    one, = gan.step.graphs.values()
    with cupy.cuda.using_allocator(one.pool.malloc), streams[0]:
        arrays = [cupy.ones(16) for _ in range(20)]
    gan.step(IMAGES[:8])
    assert any((array != 1).any() for array in arrays)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products(dtype, rng):
    """However the factors lie: turned, in parts, with steps, one row, one column, one number."""
    import cupy
    a, b = rng.standard_normal((6, 8)).astype(dtype), rng.standard_normal((8, 10)).astype(dtype)
    products = Products()
    products.follow(cupy.cuda.get_current_stream())
    for cut in (lambda x, y: (x, y), lambda x, y: (y.T, x.T), lambda x, y: (x[:, 2:5], y[2:5]), lambda x, y: (x[0], y),
                lambda x, y: (x[:, ::2], y[::2]), lambda x, y: (x[1:, :4].T, x[1:, 4:]), lambda x, y: (x, y[:, :1]),
                lambda x, y: (x[:1], y), lambda x, y: (x[::-1], y[:, ::3]), lambda x, y: (x[:1], y[:, :1]), lambda x, y: (x[:, :1], y[:1])):
        found = products.matmul(*cut(cupy.asarray(a), cupy.asarray(b)))
        expected = np.matmul(*cut(a, b))
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(found.get(), expected, rtol=1e-5, atol=1e-5)
    out = cupy.zeros((6, 10), dtype)
    assert products.matmul(cupy.asarray(a), cupy.asarray(b), out=out) is out
    np.testing.assert_allclose(out.get(), a @ b, rtol=1e-5, atol=1e-5)
