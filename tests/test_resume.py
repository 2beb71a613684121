"""A run that is stopped, in whatever way, goes on and ends in the same bytes as one that was not."""
import dataclasses
import errno
import io
import json
import os
import random
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import tinygan as tg
from tinygan import checkpoint, metrics, run
from tinygan.cli import main
from tinygan.run import presets


def command(*words, **options):
    return subprocess.Popen([sys.executable, "-m", "tinygan", *map(str, words)], stderr=subprocess.PIPE, text=True, **options)


def finished(*words, **options):
    process = command(*words, **options)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def test_two_processes_end_in_the_bytes_of_one(tmp_path):
    """However many threads BLAS has in each. (The ring in one process: test_scores_change_nothing.)"""
    one, two, new = tmp_path / "one", tmp_path / "two", {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    assert finished("train", "--steps", 6, "--out", one, "--quiet") == (0, "")
    assert finished("train", "--steps", 3, "--out", two, "--quiet") == (0, "")
    assert finished("train", "--resume", two, "--steps", 6, "--quiet", env=new) == (0, "")
    for name in ("checkpoint.npz", "metrics.csv", "samples.png"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    assert len((one / "metrics.csv").read_text().splitlines()) == 6 + 1


def test_everything_is_in_the_checkpoint(tmp_path):
    """In one process too, at every step, and with all that a GAN can be told to do."""
    images = tg.data.digits()[0][:40]

    def gan():
        G, D = tg.models.small_generator(width=4), tg.models.small_discriminator(width=4)
        return tg.GAN(G, D, loss="wasserstein", gradient_penalty=10.0, averaging=0.9, seed=3)

    straight, stopped = gan(), gan()
    straight.fit(images, 6, batch_size=16)
    for _ in range(6):
        stopped.fit(images, 1, batch_size=16)
        stopped.save(tmp_path / "c.npz")
        stopped = tg.GAN.load(tmp_path / "c.npz")
    straight.save(tmp_path / "s.npz")
    assert (tmp_path / "s.npz").read_bytes() == (tmp_path / "c.npz").read_bytes()


def trained(folder, steps=4):
    run.train("ring", folder, steps=steps, quiet=True)
    return folder


def kill_and_resume(number, tmp_path, reference):
    """One training, killed at a random moment, resumed until it is whole."""
    rng, folder = random.Random(number), tmp_path / f"run{number}"
    script = f"from tinygan import run; run.callbacks.SAVE_EVERY = 0; run.train('ring', {str(folder)!r}, steps=40, quiet=True)"
    process = subprocess.Popen([sys.executable, "-c", script])
    seen, most = set(), rng.randint(1, 25)                  # so many checkpoints are seen before
    while len(seen) < most and process.poll() is None:
        with suppress(FileNotFoundError):
            seen.add((folder / "checkpoint.npz").stat().st_mtime_ns)
        time.sleep(0.002)
    time.sleep(rng.random() * 0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    gan = tg.GAN.load(folder / "checkpoint.npz")            # whole, whenever it was
    if checkpoint.previous(folder / "checkpoint.npz").exists():
        assert tg.GAN.load(checkpoint.previous(folder / "checkpoint.npz")).steps <= gan.steps <= 40
    run.resume(folder, quiet=True)
    for name in ("checkpoint.npz", "metrics.csv"):
        assert (folder / name).read_bytes() == (reference / name).read_bytes()
    shutil.rmtree(folder)
    return gan.steps


def test_killed_at_random_moments(no_pictures, tmp_path):
    reference = trained(tmp_path / "reference", steps=40)
    steps = [kill_and_resume(number, tmp_path, reference) for number in range(3)]
    assert min(steps) < 40 and len(set(steps)) > 1           # really in the middle, at different moments


@pytest.mark.long
def test_killed_a_hundred_times(no_pictures, tmp_path):
    reference = trained(tmp_path / "reference", steps=40)
    for number in range(100, 200):
        kill_and_resume(number, tmp_path, reference)


def flipped(path, rng):
    data = bytearray(path.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    path.write_bytes(data)


def test_a_damaged_checkpoint_is_refused_and_left_alone(no_pictures, tmp_path, capsys, rng):
    folder = trained(tmp_path / "run")
    path, whole = folder / "checkpoint.npz", (folder / "checkpoint.npz").read_bytes()
    refused = 0
    for attempt in range(60):
        path.write_bytes(whole)
        flipped(path, rng)
        before = path.read_bytes()
        try:
            state = tg.GAN.load(path)
        except tg.TinyganError as error:
            refused += 1
            assert "checkpoint.npz" in str(error) and path.read_bytes() == before
        else:                                               # a bit that means nothing, such as a date in the archive
            assert state.steps == 4
    assert refused > 50
    path.write_bytes(whole[:len(whole) // 2])
    assert main(["train", "--resume", str(folder), "--steps", "9", "--quiet"]) == 1
    assert "checkpoint.previous.npz" in capsys.readouterr().err and path.read_bytes() == whole[:len(whole) // 2]


def test_another_version_another_model_and_a_pickle_are_refused(no_pictures, tmp_path):
    path = trained(tmp_path / "run") / "checkpoint.npz"
    about, arrays = checkpoint.read(path)
    for change, word in [({"format": 99}, "format 99"), ({"generator": "Sequential(Dense(2, 3))"}, "does not fit"),
                         ({"loss": "unknown"}, "unknown"), ({"generator": "__import__('os')"}, "layers"),
                         ({"steps": None, "rng": 3}, "damaged")]:
        checkpoint.write(tmp_path / "other.npz", {**about, **change}, arrays)
        with pytest.raises(tg.TinyganError, match=word):
            tg.GAN.load(tmp_path / "other.npz")
    np.savez(tmp_path / "pickled.npz", description=np.array({"a": 1}, dtype=object), allow_pickle=True)
    np.savez_compressed(tmp_path / "bomb.npz", description=np.zeros(10 ** 7))
    np.savez_compressed(tmp_path / "packed.npz", **np.load(path))       # tinygan packs nothing: what is packed may be a bomb
    np.savez(tmp_path / "empty.npz")
    for name in ("pickled", "bomb", "packed", "empty"):
        with pytest.raises(tg.TinyganError, match=f"{name}.npz is damaged or no checkpoint"):
            tg.GAN.load(tmp_path / f"{name}.npz")


@pytest.mark.parametrize("shape, claimed", [((2 ** 31,), "2,147,483,648"), ((2 ** 32, 2 ** 32), "18,446,744,073,709,551,616")])
def test_a_header_that_claims_too_much_is_refused(shape, claimed, tmp_path):
    """Numbers of which the file holds none: two thousand million, and as many as would be 0 if counted in 64 bits."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "claim.npz", "w") as archive:
        archive.writestr("description.npy", header.getvalue())
    with pytest.raises(tg.TinyganError, match=f"claims {claimed} numbers"):
        tg.GAN.load(tmp_path / "claim.npz")


def test_a_full_disk_leaves_the_last_good_checkpoint(no_pictures, tmp_path):
    folder = trained(tmp_path / "run")
    whole = (folder / "checkpoint.npz").read_bytes()

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) // 2,) * 2)       # no file may grow beyond it

    code, errors = finished("train", "--resume", folder, "--steps", "8", "--quiet", preexec_fn=limit)
    assert code == 1 and "could not be written" in errors and "Traceback" not in errors and errors.count("\n") == 1
    assert (folder / "checkpoint.npz").read_bytes() == whole
    run.resume(folder, steps=8, quiet=True)
    assert tg.GAN.load(folder / "checkpoint.npz").steps == 8


def scripted(monkeypatch, *qualities):
    """A judge that finds these, one after the other."""
    found = iter(qualities)
    monkeypatch.setattr(run.scores, "judge", lambda config, real: run.scores.Judge(
        "points", 1, lambda points: metrics.ModeScore(1, 8, 8, next(found), 0.0), None))


def test_scores_change_nothing_and_the_best_is_kept_through_every_break(no_pictures, tmp_path, monkeypatch):
    plain, whole, broken = (tmp_path / name for name in ("plain", "whole", "broken"))
    run.train("ring", plain, steps=12, quiet=True)
    scripted(monkeypatch, 0.1, 0.5, 0.3, 0.2, 0.5, 0.4)
    run.train("ring", whole, steps=12, quiet=True, score_every=2)
    for name in ("checkpoint.npz", "metrics.csv"):
        assert (plain / name).read_bytes() == (whole / name).read_bytes()
    rows = json.loads((whole / "scores.json").read_text())
    assert [(row["step"], row["quality"]) for row in rows] == [(2, 0.1), (4, 0.5), (6, 0.3), (8, 0.2), (10, 0.5), (12, 0.4)]
    assert tg.GAN.load(whole / "best.npz").steps == 4                       # the first of the two that are equally good
    scripted(monkeypatch, 0.1, 0.5, 0.3, 0.2, 0.5, 0.4)
    run.train("ring", broken, steps=4, quiet=True, score_every=2)
    (broken / "best.npz").unlink()                                          # as if killed before it was linked
    ahead = [*rows[:2], rows[0] | {"step": 6, "quality": 0.9}]              # or before the checkpoint of step 6
    (broken / "scores.json").write_text(json.dumps(ahead))
    for steps in (7, 12):
        run.resume(broken, steps=steps, quiet=True)
    for name in ("checkpoint.npz", "best.npz", "scores.json"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name
    for text in ("[{}]", '[{"step": "2", "frechet": 1.0}]', "["):
        (broken / "scores.json").write_text(text)
        with pytest.raises(tg.TinyganError, match="scores.json is damaged .*remove it"):
            run.resume(broken, quiet=True)


def test_a_checkpoint_every_so_many_steps(no_pictures, tmp_path, monkeypatch):
    saved, save = [], tg.GAN.save
    monkeypatch.setattr(tg.GAN, "save", lambda gan, path: saved.append(gan.steps) or save(gan, path))
    run.train("ring", tmp_path / "run", steps=7, quiet=True, save_every=3)
    run.resume(tmp_path / "run", steps=11, quiet=True)
    assert saved == [0, 3, 6, 7, 9, 11]


def test_a_run_goes_on_with_other_rates_and_rules_and_tells_when(no_pictures, tmp_path, capsys):
    folder, new = trained(tmp_path / "run"), {"g_lr": 1e-4, "d_lr": 3e-4, "r1": 0.1, "decay_steps": 0}
    gan = tg.GAN.load(folder / "checkpoint.npz")
    gan.g_optimizer.lr, gan.d_optimizer.lr = 1e-4, 3e-4
    gan.rules = dataclasses.replace(gan.rules, r1=0.1, decay_steps=None)
    gan.fit(tg.data.ring()[0], 5, 100, workers="auto")
    gan.save(tmp_path / "by_hand.npz")
    killed = tmp_path / "killed"                                            # after config.json, before any checkpoint
    shutil.copytree(folder, killed)
    run.resume(folder, steps=9, quiet=True, stabilisers=new)
    (killed / "config.json").write_bytes((folder / "config.json").read_bytes())
    run.resume(killed, quiet=True)
    for place in (folder, killed):
        assert (place / "checkpoint.npz").read_bytes() == (tmp_path / "by_hand.npz").read_bytes()
        config = json.loads((place / "config.json").read_text())
        assert config["changes"] == [{"after_step": 4, "steps": 9, **new}] and config["steps"] == 9
    assert main(["train", "--resume", str(folder), "--steps", "10", "--d-lr", "1e-3"]) == 0
    assert "from here on: steps 10, d_lr 0.001" in capsys.readouterr().out
    assert json.loads((folder / "config.json").read_text())["changes"][1:] == [{"after_step": 9, "steps": 10, "d_lr": 0.001}]
    assert tg.GAN.load(folder / "checkpoint.npz").d_optimizer.lr == 0.001
    for fixed in (["--averaging", "0.9"], ["--loss", "hinge"], ["--beta1", "0"], ["--spectral-norm"], ["--width", "9"]):
        assert main(["train", "--resume", str(folder), *fixed]) == 1
        assert f"got --resume with {fixed[0]}, which only a new run" in capsys.readouterr().err
    with pytest.raises(tg.TinyganError, match="got averaging for a run that goes on, expected some of d_lr, decay_steps"):
        run.resume(folder, stabilisers={"averaging": 0.9})


def test_what_cannot_be_resumed(no_pictures, tmp_path, capsys):
    folder = trained(tmp_path / "run")
    for words, word in [(["--steps", "2"], "has 4 already"), (["--seed", "3"], "only a new run"),
                        (["ring"], "only a new run")]:
        assert main(["train", *words, "--resume", str(folder)]) == 1
        assert word in capsys.readouterr().err
    assert main(["train", "--resume", str(tmp_path / "nowhere")]) == 1
    assert "no config.json" in capsys.readouterr().err
    config = (folder / "config.json").read_text()
    for old, new in [('"steps": 4', '"steps": "4"'), ('"preset": "ring"', '"preset": "rung"'), ("{", "["), (config, ""),
                     ('"changes": []', '"changes": [3]'), (config, "[1]")]:
        (folder / "config.json").write_text(config.replace(old, new, 1))
        assert main(["train", "--resume", str(folder)]) == 1
        assert "config.json is damaged" in capsys.readouterr().err
    (folder / "config.json").write_text(config.replace("crc32 ", "crc32 0"))
    assert main(["train", "--resume", str(folder)]) == 1
    assert "other data" in capsys.readouterr().err


@pytest.mark.parametrize("part, index", [("generator", 2), ("discriminator", 4)])
def test_a_number_that_is_not_finite_stops_the_run(part, index, tmp_path):
    gan = presets.PRESETS["ring"].build(0)

    def spoil(gan, metrics):
        if gan.steps == 5:
            getattr(gan, part).layers[index].weight.data[0, 0] = np.nan

    with pytest.raises(tg.Diverged, match=f"step 5.*{part} layers.{index}.weight") as caught:
        gan.fit(tg.data.ring()[0], 9, callbacks=[spoil])
    assert caught.value.step == 5 and caught.value.bad == [f"{part} layers.{index}.weight"]
    with pytest.raises(tg.Diverged):
        gan.save(tmp_path / "c.npz")                        # nothing good is replaced by it


@pytest.mark.filterwarnings("ignore::RuntimeWarning")       # errstate holds in one thread alone
def test_a_run_that_diverges_names_the_last_good_checkpoint(no_pictures, tmp_path, monkeypatch):
    real = tg.data.ring()[0]
    build = presets.PRESETS["ring"].build

    def wild(seed):
        gan = build(seed)
        gan.g_optimizer = tg.SGD(gan.generator.parameters(), lr=1e30)
        gan.d_optimizer = tg.SGD(gan.discriminator.parameters(), lr=1e30)
        return gan

    monkeypatch.setitem(presets.PRESETS, "wild", presets.Preset("", lambda folder: real, wild, 50))
    with np.errstate(all="ignore"), pytest.raises(tg.TinyganError, match="diverged in step .*checkpoint, of step 0"):
        run.train("wild", tmp_path / "run", quiet=True)
    assert tg.GAN.load(tmp_path / "run" / "checkpoint.npz").steps == 0


# Where a file is written

def numbers(path, number, keep=True):
    checkpoint.write(path, {"number": number}, {"n": np.full(1000, number)}, keep)


def number_in(path):
    about, arrays = checkpoint.read(path)
    assert (arrays["n"] == about["number"]).all()
    return about["number"]


def is_folder(place):
    """Is it a folder's path or descriptor?"""
    return os.path.exists(place) and stat.S_ISDIR(os.stat(place).st_mode)


def test_file_and_folder_are_flushed_in_this_order(tmp_path, monkeypatch):
    seen, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda one: seen.append("folder" if is_folder(one) else "file") or fsync(one))
    monkeypatch.setattr(os, "replace", lambda a, b: seen.append("moved") or replace(a, b))
    numbers(tmp_path / "c.npz", 1)
    assert seen == ["file", "moved", "folder"]
    numbers(tmp_path / "c.npz", 2)
    assert seen[3:] == ["file", "moved", "moved", "folder"]


@pytest.mark.parametrize("what", ["fsync", "open"])
@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.EACCES])
def test_a_network_share_that_flushes_no_folder(what, code, tmp_path, monkeypatch):
    real = getattr(os, what)

    def refusing(place, *flags):
        if is_folder(place):
            raise OSError(code, os.strerror(code))
        return real(place, *flags)

    monkeypatch.setattr(os, what, refusing)
    numbers(tmp_path / "c.npz", 1)
    numbers(tmp_path / "c.npz", 2)
    assert number_in(tmp_path / "c.npz") == 2 and number_in(tmp_path / "c.previous.npz") == 1


def test_a_file_that_cannot_be_flushed_is_not_moved(tmp_path, monkeypatch):
    numbers(tmp_path / "c.npz", 1)

    def failing(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(tg.TinyganError, match="Input/output error.: choose another folder; what stood there .* untouched"):
        numbers(tmp_path / "c.npz", 2)
    assert number_in(tmp_path / "c.npz") == 1 and [path.name for path in tmp_path.iterdir()] == ["c.npz"]


def test_many_savers_at_one_path(tmp_path):
    """Threads and processes: each finds its way, what stands there is whole at every moment, nothing is left over."""
    path = tmp_path / "c.npz"
    numbers(path, -1)
    script = f"from test_resume import *; [numbers({str(path)!r}, n) for n in range(40)]"
    processes = [subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parent)
                 for _ in range(2)]
    while any(process.poll() is None for process in processes):
        assert -1 <= number_in(path) < 40
    assert [process.communicate()[1] for process in processes] == ["", ""]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: numbers(path, n), range(48)))
    assert 0 <= number_in(path) < 48 and number_in(tmp_path / "c.previous.npz") < 48
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.npz", "c.previous.npz"]


def test_what_stops_a_save_leaves_nothing_behind(tmp_path, monkeypatch):
    def stopped(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", stopped)
    with pytest.raises(KeyboardInterrupt):
        numbers(tmp_path / "c.npz", 1)
    assert not list(tmp_path.iterdir())


def test_a_link_stays_and_its_file_is_written(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    (here / "c.npz").symlink_to(there / "real.npz")         # to a file that is yet to be
    numbers(here / "c.npz", 1)
    numbers(here / "c.npz", 2)
    assert number_in(there / "real.npz") == number_in(here / "c.npz") == 2 and number_in(here / "c.previous.npz") == 1
    (here / "c.previous.npz").rename(there / "old.npz")
    (here / "c.previous.npz").symlink_to("../there/old.npz")
    numbers(here / "c.npz", 3)
    assert number_in(there / "real.npz") == 3 and number_in(there / "old.npz") == 2
    assert (here / "c.npz").is_symlink() and (here / "c.previous.npz").is_symlink()
    assert len([*here.iterdir(), *there.iterdir()]) == 4
    (tmp_path / "folder").symlink_to(there)
    numbers(tmp_path / "folder" / "c.npz", 4)
    assert number_in(there / "c.npz") == 4


def test_a_file_system_without_links(tmp_path, monkeypatch):
    def refusing(one, other):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refusing)
    numbers(tmp_path / "c.npz", 1)
    numbers(tmp_path / "c.npz", 2)
    assert number_in(tmp_path / "c.npz") == 2 and number_in(tmp_path / "c.previous.npz") == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_in_the_place_of_the_file(tmp_path):
    for name in ("c.npz", "d.previous.npz"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("mine")
        with pytest.raises(tg.TinyganError, match=f"{name} is a folder, expected a file"):
            numbers(tmp_path / name.replace(".previous", ""), 1)
        assert (tmp_path / name / "mine.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.npz", "d.previous.npz"]
    with pytest.raises(tg.TinyganError, match="there is no checkpoint .*c.npz, as it is a folder"):
        tg.GAN.load(tmp_path / "c.npz")
    with pytest.raises(tg.TinyganError, match="there is no checkpoint .*, as it does not exist"):
        tg.GAN.load(tmp_path / "c.npz" / "mine.txt" / "d.npz")


def test_a_folder_that_may_not_be_written_to(tmp_path, monkeypatch):
    numbers(tmp_path / "c.npz", 1)
    real = open

    def refusing(path, mode="r", *rest, **options):
        if "x" in mode or "w" in mode or str(path).endswith("secret.npz"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, mode, *rest, **options)

    monkeypatch.setattr("builtins.open", refusing)
    monkeypatch.setattr("io.open", refusing)
    for name, kept in (("c.npz", "what stood there before is untouched"), ("d.npz", "nothing stands there")):
        with pytest.raises(tg.TinyganError, match=f"{name} could not be written .Permission denied.: choose .*; {kept}"):
            numbers(tmp_path / name, 2)
    with pytest.raises(tg.TinyganError, match="secret.npz could not be read .Permission denied."):
        checkpoint.read(tmp_path / "secret.npz")


# What a file may hold

def test_arrays_in_either_order_of_memory(tmp_path, rng):
    array = rng.standard_normal((3, 4, 2))
    checkpoint.write(tmp_path / "c.npz", {}, {"c": array, "f": np.asfortranarray(array), "t": array.T})
    _, arrays = checkpoint.read(tmp_path / "c.npz")
    for name, expected in (("c", array), ("f", array), ("t", array.T)):
        np.testing.assert_array_equal(arrays[name], expected)
        assert arrays[name].flags.c_contiguous
    D = tg.Sequential(tg.Dense(3, 2), tg.Dense(2, 1))
    D.layers[0].weight.data = np.asfortranarray(D.layers[0].weight.data)
    gan = tg.GAN(tg.Sequential(tg.Dense(2, 3)), D, 2)
    gan.save(tmp_path / "d.npz")
    np.testing.assert_array_equal(tg.GAN.load(tmp_path / "d.npz").discriminator.layers[0].weight.data, D.layers[0].weight.data)


@pytest.mark.parametrize("array, more, said", [
    (np.ones(3), b"more", "claims 3 numbers"), (np.ones(3), b"", None), (np.ones(3, complex), b"", "complex128"),
    (np.ones(3, "M8[s]"), b"", "datetime64"), (np.ones(3)[:2], b"\0" * 8, "claims 2 numbers")])
def test_an_array_is_what_its_header_says(array, more, said, tmp_path):
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        for name, value, rest in (("description", np.array("{}"), b""), ("a", array, more)):
            content = io.BytesIO()
            np.save(content, value)
            archive.writestr(f"{name}.npy", content.getvalue() + rest)
    if said:
        with pytest.raises(tg.TinyganError, match=f"damaged or no checkpoint.*{said}"):
            checkpoint.read(tmp_path / "c.npz")
    else:
        np.testing.assert_array_equal(checkpoint.read(tmp_path / "c.npz")[1]["a"], array)


@pytest.mark.parametrize("rows", [3, 5])
def test_the_history_has_a_row_for_each_metric(rows, tmp_path):
    gan = tg.GAN(tg.models.point_generator(width=4), tg.models.point_discriminator(width=4), 2)
    gan.fit(tg.data.ring(50)[0], 2, 10)
    gan.save(tmp_path / "c.npz")
    about, arrays = checkpoint.read(tmp_path / "c.npz")
    checkpoint.write(tmp_path / "c.npz", about, arrays | {"history": np.resize(arrays["history"], (rows, 2))})
    with pytest.raises(tg.TinyganError, match="c.npz is damaged"):
        tg.GAN.load(tmp_path / "c.npz")
