"""Several processes that share a batch: they play the game of one, and when one of them fails nobody hangs."""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from threadpoolctl import threadpool_info

import games
import tinygan as tg
from tinygan import group, run
from tinygan.group import forked
from tinygan.cli import main

pytestmark = pytest.mark.skipif(bool(group.cannot_fork()), reason=group.cannot_fork())
mpi = pytest.mark.skipif(not shutil.which("mpiexec"), reason="no mpiexec: pip install '.[mpi]'")
HERE = Path(__file__).parent


def children():
    """The processes that this one has started and that are still there, as zombies too. (The tracker that multiprocessing
    starts when a test spawns a process stays until this one ends.)"""
    here = str(os.getpid())
    stats = [path.read_text().rpartition(")")[2].split() for path in Path("/proc").glob("[0-9]*/stat") if path.exists()
             and b"multiprocessing.resource_tracker" not in (path.parent / "cmdline").read_bytes()]
    return [state for state, parent, *_ in stats if parent == here]


# What is exchanged

@pytest.mark.parametrize("size", [2, 3])
def test_sums_and_means_over_everyone(size):
    with group.Forked(size) as team:
        mine = np.arange(6.0).reshape(2, 3) + 10 * team.rank
        everyone = [np.arange(6.0).reshape(2, 3) + 10 * rank for rank in range(size)]
        batch = team.share(np.arange(2 * size + 1))
        weights = np.array([3] + [2] * (size - 1)) / (2 * size + 1)
        assert len(batch) == (3 if team.rank == 0 else 2)
        np.testing.assert_array_equal(team.gather(mine), everyone)
        np.testing.assert_array_equal(team.gather(np.arange(3) + team.rank), [np.arange(3) + rank for rank in range(size)])
        np.testing.assert_array_equal(team.sum(mine), sum(everyone))
        expected = sum(weight * array for weight, array in zip(weights, everyone))
        np.testing.assert_allclose(team.mean(mine), expected, rtol=1e-15)
        one, two, number = team.means([mine, mine[0].astype(float), mine.sum()])
        np.testing.assert_allclose(one, expected, rtol=1e-15)
        np.testing.assert_allclose(two, expected[0], rtol=1e-15)
        assert number.shape == () and abs(number - expected.sum()) < 1e-12
    assert children() == []


@pytest.mark.parametrize("size", [2, 3])
def test_before_a_batch_is_shared_each_has_a_row(size):
    with group.Forked(size) as team:
        np.testing.assert_array_equal(team.gather(team.draw(np.arange, 1)), np.arange(size)[:, None])
        assert team.whole(1) == size


def test_a_message_larger_than_its_place_goes_in_pieces(monkeypatch):
    monkeypatch.setattr(forked, "ROOM", 64)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in ((5, 7), (1,), (3, 3, 3), (2,))]
    with group.Forked(2) as team:
        for mean, array in zip(team.means([array * (1 + team.rank) for array in arrays]), arrays):
            np.testing.assert_allclose(mean, 1.5 * array, rtol=1e-15)


@settings(max_examples=50)
@given(N=st.integers(1, 40), size=st.integers(1, 7))
def test_shares_make_up_the_batch(N, size):
    team = group.Forked(2)
    team.size, rows = size, []
    for team.rank in range(size):
        if N < size:
            with pytest.raises(tg.TinyganError, match="a row for each"):
                team.share(np.arange(N))
            return
        rows.append(team.share(np.arange(N)))
        assert team._weight == len(rows[-1]) / N
        np.testing.assert_array_equal(team.draw(lambda n: np.arange(n), len(rows[-1])), rows[-1])
    np.testing.assert_array_equal(np.concatenate(rows), np.arange(N))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1


def test_numbers_are_drawn_for_the_rows_that_were_shared():
    with group.Forked(2) as team:
        team.share(np.zeros(5))
        with pytest.raises(tg.TinyganError, match="share the batch first"):
            team.draw(np.zeros, 7)


def test_alone_everything_is_what_it_was():
    team, x = group.current(), np.arange(3.0)
    assert (team.rank, team.size, team.told()) == (0, 1, 0) and team.share(x) is x
    assert team.mean(x) is x and team.sum(x) is x and team.means([x])[0] is x
    np.testing.assert_array_equal(team.gather(x), [x])
    np.testing.assert_array_equal(team.draw(np.ones, 2), [1, 1])


def test_inside_blas_has_one_thread_and_outside_as_many_as_before():
    def threads():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before = threads()
    with group.Forked(2):
        assert set(threads()) <= {1}
    assert threads() == before and group.current().size == 1


# The same game

def nearly_equal(one, other):
    """Losses and weights to 1e-10; a bias whose true gradient is 0, where Adam makes steps of mere rounding, to 1e-9.
    Gradients to 1e-8 of the largest number in each: Adam hides a wrong scale, so they must be compared too."""
    assert one.keys() == other.keys()
    for name in one:
        error, scale = abs(one[name] - other[name]).max(), abs(one[name]).max()
        most = 1e-8 * scale + 1e-13 if "gradient" in name else (1e-9 if "bias" in name else 1e-10) * max(1, scale)
        assert error <= most, f"{name}: {error:.1e} of {scale:.1e}"


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("name, batch, steps", [
    ("small", 12, 20), ("small", 31, 20), ("small r1", 13, 20), ("small penalty", 13, 20), ("small spectral", 13, 20),
    ("seed", 7, 4)])
def test_several_play_the_game_of_one(name, batch, steps, workers, one_process):
    nearly_equal(one_process(name, batch, steps), games.played(name, batch, steps, workers))


@pytest.mark.long
@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("batch", [32, 31])
def test_twenty_steps_of_the_seed_model(batch, workers, one_process):
    nearly_equal(one_process("seed", batch, 20), games.played("seed", batch, 20, workers))


@pytest.fixture(scope="module")
def one_process():
    known = {}

    def play(*arguments):
        if arguments not in known:
            known[arguments] = games.played(*arguments, 1)
        return known[arguments]
    return play


@mpi
@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("name", ["small r1", "small penalty"])
def test_the_ranks_of_mpi_play_it_too(name, ranks, tmp_path, one_process):
    command = ["mpiexec", "-n", str(ranks), sys.executable, HERE / "games.py", name, "13", "20", tmp_path / "found.npz"]
    subprocess.run(command, check=True, timeout=100)
    with np.load(tmp_path / "found.npz") as found:
        nearly_equal(one_process(name, 13, 20), dict(found))
        for key, array in games.played(name, 13, 20, ranks).items():        # bit for bit what forked workers make
            np.testing.assert_array_equal(found[key], array)


def test_all_ranks_end_with_equal_bits_and_begin_again_with_the_same():
    x, runs = tg.data.digits()[0][:100], []
    for _ in range(2):
        G, D = tg.models.small_generator(width=4), tg.models.small_discriminator(width=4)
        gan = tg.GAN(G, D, seed=1, averaging=0.9)
        with group.Forked(3) as team:
            gan.fit(x, 5, 10)
            weights = np.concatenate([array.reshape(-1) for array in gan.generator.arrays() + gan.discriminator.arrays()])
            everyone = team.gather(weights)
        assert (everyone == everyone[0]).all() and everyone.shape[0] == 3
        runs.append(weights)
    np.testing.assert_array_equal(*runs)


def test_a_loop_of_ones_own():
    """The README's loop with two lines more, against the same loop in one process."""
    points = tg.data.ring(200)[0].astype(np.float64)

    def train(team):
        G = tg.Sequential(tg.Dense(2, 8, bias=False), tg.BatchNorm(8), tg.LeakyReLU(0.2), tg.Dense(8, 2)).astype(np.float64)
        D = tg.Sequential(tg.Dense(2, 8), tg.LeakyReLU(0.2), tg.Dense(8, 1)).astype(np.float64)
        G.initialise(np.random.default_rng(1)), D.initialise(np.random.default_rng(2))
        g_adam, d_adam, rng = tg.Adam(G.parameters(), lr=1e-2), tg.Adam(D.parameters(), lr=1e-2), np.random.default_rng(0)
        for _ in range(20):
            x, z = points[rng.integers(0, len(points), 21)], rng.standard_normal((21, 2))
            x, z = team.share(x), team.share(z)
            d_adam.zero_grad()
            loss = tg.losses.discriminator_loss(D(x), D(G(z).detach())) + tg.losses.gradient_penalty(D, x, G(z), rng)
            loss.backward()
            d_adam.step()
            g_adam.zero_grad()
            tg.losses.generator_loss(D(G(z))).backward(inputs=G.parameters())
            g_adam.step()
        return float(team.mean(loss.detach())), [*G.arrays(), *D.arrays()]

    loss, arrays = train(group.current())
    with group.Forked(2) as team:
        shared, others = train(team)
    assert abs(loss - shared) < 1e-12
    for one, other in zip(arrays, others):
        np.testing.assert_allclose(one, other, atol=1e-10)


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_through_batch_norm_in_a_group(order):
    """Of L = Σ w_r L_r, in fast form and (of which the second is made) in composed form: those of one process."""
    rng = np.random.default_rng(0)
    x, u, v = rng.standard_normal((3, 7, 4))
    gamma, beta = (tg.Tensor(rng.standard_normal(4), True) for _ in range(2))

    def gradients(team):
        rows = tg.Tensor(team.share(x), True)
        y, *_ = tg.layers.batch_norm(rows, gamma, beta, 1e-5)
        loss = (y * tg.Tensor(team.share(u)) + y ** 3).sum() / len(rows)
        found = tg.grad(loss, [rows, gamma], create_graph=order == 2)
        if order == 2:
            found = tg.grad((found[0] * tg.Tensor(team.share(v))).sum(), [rows, gamma])
        return found

    alone = gradients(group.current())
    with group.Forked(2) as team:
        to_rows, to_gamma = gradients(team)
        np.testing.assert_allclose(to_rows.data * len(to_rows.data) / len(x), team.share(alone[0].data), atol=1e-12)
        np.testing.assert_allclose(team.mean(to_gamma.data), alone[1].data, atol=1e-12)


# Checkpoints

def test_the_number_of_workers_is_kept(tmp_path):
    x, straight, parts = tg.data.digits()[0][:60], *(games.game("small r1") for _ in range(2))
    x = x.astype(np.float64)
    straight.fit(x, 6, 12, workers=2)
    parts.fit(x, 3, 12, workers=2)
    parts.save(tmp_path / "c.npz")
    parts = tg.GAN.load(tmp_path / "c.npz")
    assert parts.workers == 2
    parts.fit(x, 3, 12, workers=2)
    straight.save(tmp_path / "one.npz"), parts.save(tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    for workers in (1, 3):                                      # and it may change
        parts.fit(x, 2, 12, workers=workers)
    assert parts.workers == 3 and parts.steps == 10
    straight.fit(x, 4, 12)
    for one, other in zip(straight.generator.arrays(), parts.generator.arrays()):
        np.testing.assert_allclose(one, other, atol=1e-8)


def test_a_run_keeps_its_workers(no_pictures, tmp_path, capsys):
    begin = ["train", "ring", "--batch-size", "30", "--out"]
    assert main([*begin, str(tmp_path / "one"), "--steps", "8", "--workers", "2"]) == 0
    assert capsys.readouterr().out.startswith("device: cpu, 2 workers (as asked for)")
    assert main([*begin, str(tmp_path / "two"), "--steps", "3", "--workers", "2", "--quiet"]) == 0
    assert main(["train", "--resume", str(tmp_path / "two"), "--steps", "8"]) == 0
    assert capsys.readouterr().out.startswith("device: cpu, 2 workers (as before)")
    for name in ("checkpoint.npz", "metrics.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    assert main(["train", "--resume", str(tmp_path / "two"), "--steps", "9", "--workers", "3"]) == 0
    assert '"workers": 3' in (tmp_path / "two" / "config.json").read_text()


@mpi
def test_a_run_goes_from_one_process_to_mpi_and_back(no_pictures, tmp_path, capfd):
    def ranks(n, *words):
        command = ["mpiexec", "-n", str(n), sys.executable, "-m", "tinygan", "train", *map(str, words), "--workers", "mpi"]
        return subprocess.run(command, capture_output=True, text=True, timeout=100)

    forked, over = tmp_path / "forked", tmp_path / "mpi"
    main(["train", "ring", "--steps", "6", "--batch-size", "31", "--workers", "2", "--out", str(forked), "--quiet"])
    main(["train", "ring", "--steps", "2", "--batch-size", "31", "--workers", "2", "--out", str(over), "--quiet"])
    done = ranks(2, "--resume", over, "--steps", "4")
    assert done.returncode == 0 and done.stdout.count("going on after step 2") == 1 and "Traceback" not in done.stderr
    main(["train", "--resume", str(over), "--steps", "6", "--quiet"])
    for name in ("checkpoint.npz", "metrics.csv"):
        assert (forked / name).read_bytes() == (over / name).read_bytes(), name
    done = ranks(2, "ring", "--out", over)                      # decided by the first rank, told once
    assert done.returncode == 1 and done.stderr.count("exists already") == 1
    done = ranks(3, "ring", "--batch-size", "2", "--out", tmp_path / "small")
    assert done.returncode == 1 and done.stderr.count("a row for each") == 1 and not (tmp_path / "small").exists()


# When something fails

def fails(body, sentence, kind=tg.TinyganError, workers=2):
    """The body, played in a group, ends in this sentence soon, and no process is left."""
    start = time.monotonic()
    with pytest.raises(kind, match=sentence):
        with group.Forked(workers) as team:
            body(team)
    assert time.monotonic() - start < 20 and children() == [] and group.current().size == 1


def meet(team, times=3):
    for _ in range(times):
        team.sum(np.ones(2))


@pytest.mark.parametrize("workers", [2, 3])
def test_a_worker_that_is_killed(workers):
    def body(team):
        meet(team)
        if team.rank == workers - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        meet(team)
    fails(body, f"worker {workers - 1} of {workers} was killed by signal 9", tg.WorkerLost, workers)


def test_a_worker_that_fails_says_why_and_where():
    def body(team):
        meet(team)
        if team.rank == 1:
            [][3]
        meet(team)
    fails(body, r"worker 1 of 2 failed: IndexError: list index out of range \(test_group.py, line \d+\)", tg.WorkerLost)


def test_a_worker_that_fails_at_the_very_end():
    def body(team):
        if team.rank == 1:
            raise tg.TinyganError("too late")
    fails(body, "worker 1 of 2 failed: TinyganError: too late", tg.WorkerLost)


def test_the_first_rank_fails():
    def body(team):
        meet(team)
        if team.rank == 0:
            raise KeyError("first")
        meet(team, 1000)
    fails(body, "first", KeyError)


def test_all_fail_alike():
    def body(team):
        meet(team)
        raise tg.TinyganError("all of us")
    fails(body, "^all of us$")


def test_the_cores_are_those_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", {0: {1, 2, 5}}.__getitem__, raising=False)        # 0: the process that asks
    assert forked.cores.__wrapped__() == 3


def test_a_first_rank_that_leaves_early(monkeypatch):
    """Those who wait for it are told, and end by themselves."""
    monkeypatch.setattr(forked, "PATIENCE", 20.0)
    killed, kill = [], os.kill
    monkeypatch.setattr(os, "kill", lambda *arguments: killed.append(arguments) or kill(*arguments))
    with group.Forked(3) as team:
        meet(team, 4 if team.rank else 3)
    assert killed == [] and children() == []


def test_a_worker_that_leaves_early():
    fails(lambda team: meet(team, 3 if team.rank else 4), "worker 1 has left the group", tg.WorkerLost)


def test_workers_that_are_out_of_step():
    fails(lambda team: team.sum(np.ones(2 + team.rank)), "out of step: rank 0 sent 16 bytes and rank 1 24")


def test_a_worker_that_stands_still(monkeypatch):
    monkeypatch.setattr(forked, "PATIENCE", 0.5)

    def body(team):
        meet(team)
        if team.rank == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        meet(team)
    fails(body, "worker 1 has not answered", tg.WorkerLost)


def test_a_worker_that_was_stopped_and_goes_on():
    with group.Forked(2) as team:
        meet(team)
        if team.rank == 1:
            subprocess.Popen(f"sleep 1; kill -CONT {os.getpid()}", shell=True)
            os.kill(os.getpid(), signal.SIGSTOP)
        meet(team)
    assert children() == []


def test_the_first_process_is_killed_and_no_copy_stays(tmp_path):
    code = ("import numpy as np, os, sys, time; from tinygan import group\n"
            "with group.Forked(3) as team:\n"
            f"    open(f'{tmp_path}/{{os.getpid()}}', 'w').close()\n"
            "    while True: team.sum(np.ones(2)); time.sleep(0.01)")
    process = subprocess.Popen([sys.executable, "-c", code])
    while len(list(tmp_path.iterdir())) < 3:
        time.sleep(0.05)
    process.kill()
    process.wait()
    time.sleep(1)
    left = [path.name for path in tmp_path.iterdir() if Path("/proc", path.name).exists()
            and "Z" != Path("/proc", path.name, "stat").read_text().rpartition(")")[2].split()[0]]
    assert left == []


def test_a_number_that_is_not_finite_stops_all():
    gan = games.game("small")

    def spoil(gan, metrics):
        if gan.steps == 3:
            gan.generator.layers[0].weight.data[0, 0] = np.nan
    with pytest.raises(tg.Diverged, match="step 3") as caught:
        gan.fit(games.images(), 9, 12, [spoil], workers=2)
    assert caught.value.bad == ["generator layers.0.weight"] and children() == []


def test_callbacks_belong_to_the_first_rank_and_may_end_the_training(tmp_path):
    class Enough(Exception):
        pass

    def note(gan, metrics):
        with open(tmp_path / "called", "a") as file:
            print(os.getpid(), gan.steps, group.current().size, file=file)
        gan.generator(np.zeros((3, 100)))           # batch norm in training mode, which would wait for the others
        if gan.steps == 4:
            raise Enough

    gan = games.game("small")
    with pytest.raises(Enough):
        gan.fit(games.images(), 9, 12, [note], workers=2)
    assert (tmp_path / "called").read_text().split("\n")[:-1] == [f"{os.getpid()} {k} 1" for k in (1, 2, 3, 4)]
    assert len(gan.history["d_loss"]) == gan.steps == 4 and children() == []
    assert len(gan.fit(games.images(), 2, 12, workers=2)["d_loss"]) == 6


@pytest.mark.parametrize("workers", [1, 2])
def test_a_callback_may_be_a_function_sees_the_history_and_ends_the_training_quietly(workers):
    seen = []

    def enough(gan, metrics):
        seen.append((len(gan.history["d_loss"]), gan.history["d_loss"][-1] == float(metrics["d_loss"])))
        if gan.steps == 3:
            raise tg.StopTraining

    gan = games.game("small")
    history = gan.fit(games.images(), 9, 12, enough, workers)
    assert seen == [(1, True), (2, True), (3, True)] and gan.steps == 3 and history is gan.history and children() == []
    assert len(gan.fit(games.images(), 2, 12)["g_loss"]) == 5


def training_ring(folder, **options):
    """(process, the pid of its worker): `tinygan train ring` by two workers, at its first steps."""
    command = [sys.executable, "-m", "tinygan", "train", "ring", "--steps", "100000", "--workers", "2", "--out", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                               preexec_fn=games.listening, **options)
    children_of = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (folder / "checkpoint.npz").exists() or not children_of.read_text():
        time.sleep(0.1)
    time.sleep(0.5)
    return process, int(children_of.read_text().split()[0])


@pytest.mark.parametrize("number, code, alone", [(signal.SIGINT, 130, False), (signal.SIGTERM, 143, False),
                                                 (signal.SIGTERM, 143, True)])
def test_a_signal_to_all_or_to_a_worker_alone(number, code, alone, tmp_path):
    process, worker = training_ring(tmp_path / "run", start_new_session=True)
    if alone:
        os.kill(worker, number)
    else:
        os.killpg(process.pid, number)              # as the terminal's Ctrl-C and a scheduler's end do
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code and errors.count("\n") == 1 and "stopped by" in errors
    assert 0 < tg.GAN.load(tmp_path / "run" / "checkpoint.npz").steps < 100000 and not Path(f"/proc/{worker}").exists()


@pytest.fixture
def heeds_ctrl_c():
    """Python's own handler of Ctrl-C: a shell that runs the tests in the background has told them to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number, ends", [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_that_comes_while_copies_are_made_is_not_lost(number, ends, heeds_ctrl_c, monkeypatch):
    fork, before = os.fork, signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))

    def interrupted_fork():
        child = fork()
        with contextlib.suppress(BaseException):        # as Python itself suppresses it, in its hooks around a fork
            os.kill(os.getpid(), number)
            time.sleep(0.01)
        return child

    monkeypatch.setattr(os, "fork", interrupted_fork)
    try:
        with pytest.raises(ends), group.Forked(3):
            pytest.fail("the signal was lost")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert children() == [] and group.current() is group.ALONE


def test_a_copy_has_handlers_of_its_own_and_the_first_process_those_it_had(heeds_ctrl_c):
    def mine(number, frame):
        raise SystemExit

    before = [signal.signal(signal.SIGTERM, mine), signal.getsignal(signal.SIGINT)]
    try:
        with group.Forked(3) as team:
            found = team.gather(np.array([signal.getsignal(signal.SIGTERM) is mine, signal.getsignal(signal.SIGINT) == before[1],
                                          signal.getsignal(signal.SIGINT) == signal.SIG_IGN]))
    finally:
        signal.signal(signal.SIGTERM, before[0])
    assert found.tolist() == [[True, True, False], [False, False, True], [False, False, True]]


@pytest.mark.parametrize("ignored", [True, False])
def test_a_copy_ignores_the_signals_that_it_was_told_to(ignored):
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        with group.Forked(2) as team:
            found = team.gather(np.array(signal.getsignal(signal.SIGTERM) == signal.SIG_IGN))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert found.tolist() == [ignored] * 2


def test_a_run_that_loses_a_worker_names_the_last_good_checkpoint(no_pictures, tmp_path):
    process, worker = training_ring(tmp_path / "run")
    os.kill(worker, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and errors.startswith("tinygan: worker 1 of 2 was killed by signal 9. The last good")
    assert tg.GAN.load(tmp_path / "run" / "checkpoint.npz").steps == 0
    run.resume(tmp_path / "run", steps=5, quiet=True)


@mpi
@pytest.mark.parametrize("who", [0, 1])
def test_an_exception_on_one_rank_of_mpi_ends_the_job(who):
    code = ("import numpy as np, tinygan as tg\n"
            "with tg.group.Mpi() as team:\n"
            "    print('rank', team.rank); team.sum(np.ones(2))\n"
            f"    if team.rank == {who}: raise KeyError('oh')\n"
            "    team.sum(np.ones(2)); team.sum(np.ones(2))")
    done = subprocess.run(["mpiexec", "-n", "2", sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and done.stdout == "rank 0\n"
    assert f"rank {who} of 2: KeyError: 'oh'" in done.stderr and "Traceback" not in done.stderr


def test_a_signal_that_comes_while_a_rank_waits_for_the_others_is_not_lost():
    team = object.__new__(group.Mpi)
    team.rank, team.size, team._signal = 0, 2, 0
    team._comm = SimpleNamespace(allgather=lambda note: team.tell(15) or [note, (0, None)])
    team.first(lambda: None)
    assert team.told() == 15


@mpi
@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGKILL, None)])
def test_a_signal_to_one_rank_of_mpi(number, code, tmp_path):
    command = ["mpiexec", "-n", "2", sys.executable, "-m", "tinygan", "train", "ring", "--steps", "1000000", "--workers", "mpi"]
    process = subprocess.Popen([*command, "--out", str(tmp_path / "run")], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                               text=True)
    while not (tmp_path / "run" / "checkpoint.npz").exists():
        time.sleep(0.1)
    time.sleep(1)
    ranks = [path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline")
             if path.exists() and str(tmp_path).encode() in path.read_bytes() and b"mpiexec" not in path.read_bytes()
             and b"-m\0tinygan" in path.read_bytes() and b"proxy" not in path.read_bytes()]
    os.kill(int(max(ranks, key=int)), number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (code or process.returncode) != 0
    assert ("stopped by SIGTERM" in errors) == (number == signal.SIGTERM)
    assert tg.GAN.load(tmp_path / "run" / "checkpoint.npz").steps >= 0


# What cannot be had

def test_too_few_rows_a_wrong_number_and_a_group_in_a_group(tmp_path, capsys):
    with pytest.raises(tg.TinyganError, match="a row for each"):
        games.game("small").fit(games.images(), 1, 2, workers=3)
    for workers in (0, 1, 2.5, True, "two"):
        with pytest.raises(tg.TinyganError, match="an integer of at least 2"):
            group.Forked(workers)
    with group.Forked(2):
        with pytest.raises(tg.TinyganError, match="inside of a group"):
            group.Forked(2).__enter__()
    assert children() == []
    assert main(["train", "ring", "--workers", "9", "--batch-size", "4", "--out", str(tmp_path / "run")]) == 1
    assert "9 workers and a batch of 4" in capsys.readouterr().err and not (tmp_path / "run").exists()
    with pytest.raises(SystemExit):
        main(["train", "--workers", "none"])
    assert "expected a number of at least 1, auto or mpi" in capsys.readouterr().err


def test_where_nothing_can_be_forked(monkeypatch):
    monkeypatch.delattr(os, "fork")
    assert group.chosen("auto", group.ALONE, 64, "cpu")[0] == 1 and "fork" in group.chosen("auto", group.ALONE, 64, "cpu")[1]
    with pytest.raises(tg.TinyganError, match="cannot fork.*--workers 1.*mpi"):
        games.game("small").fit(games.images(), 1, 12, workers=2)


def test_workers_that_cannot_be_started(monkeypatch):
    def fork():
        raise BlockingIOError(11, "Resource temporarily unavailable")
    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(tg.TinyganError, match="2 workers could not be started .Resource temporarily unavailable.: use fewer"):
        games.game("small").fit(games.images(), 1, 12, workers=2)
    assert group.current().size == 1


def test_auto_is_one_worker_a_core_and_eight_rows_each(monkeypatch):
    monkeypatch.setattr(group, "cores", lambda: 4)
    for batch, number in ((8, 1), (16, 2), (24, 3), (32, 4), (256, 4)):
        assert group.chosen("auto", group.ALONE, batch, "cpu") == (number, f"4 cores, a batch of {batch}")
    assert group.chosen("auto", group.ALONE, 64, "cuda")[0] == 1
    for wrong in (0, 1.5, "two"):
        with pytest.raises(tg.TinyganError, match=f"got workers {wrong!r}, expected an integer of at least 1"):
            group.chosen(wrong, group.ALONE, 64, "cpu")
    with pytest.raises(tg.TinyganError, match="2 workers and a GPU"):
        group.chosen(2, group.ALONE, 64, "cuda")


def test_mpiexec_without_being_told(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "4")
    with pytest.raises(tg.TinyganError, match="got 4 processes from mpiexec.*--workers mpi"):
        group.chosen("auto", group.ALONE, 64, "cpu")


@pytest.mark.parametrize("error", [ImportError("No module named 'mpi4py'"), RuntimeError("cannot load MPI library")])
def test_without_mpi(error, monkeypatch):
    class Missing:
        def find_spec(self, name, path=None, target=None):
            if name.startswith("mpi4py"):
                raise error

    for name in [name for name in sys.modules if name.startswith("mpi4py")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(tg.TinyganError, match="MPI cannot be used.*pip install mpi4py mpich"):
        group.Mpi()
