"""The command line, the pictures and the score, as a user meets them."""
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from matplotlib.image import imread

import tinygan as tg
from tinygan import metrics, plots, run
from tinygan.cli import main

FILES = {"training.gif", "report.html", "checkpoint.previous.npz", "frames.npz", "metrics.csv", "config.json",
         "checkpoint.npz", "samples.png", "progress.png", "losses.png"}


@pytest.mark.parametrize("preset", ["digits", "seed"])
def test_train_and_sample(preset, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(run, "SCORED_SAMPLES", 200)
    folder = tmp_path / "run"
    assert main(["train", preset, "--steps", "3", "--batch-size", "8", "--out", str(folder), "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == FILES
    assert "Fréchet" in said and "real digits" in said and f"tinygan sample {folder}" in said and "images/s" in said
    assert tg.GAN.load(folder / "checkpoint.npz").steps == 3
    assert imread(folder / "samples.png").shape[:2] == (3 * (10 * 30 + 2),) * 2
    assert main(["sample", str(folder), "--n", "5", "--seed", "3", "--out", str(tmp_path / "five.npy")]) == 0
    assert np.load(tmp_path / "five.npy").shape == (5, 28, 28, 1)
    assert main(["sample", str(folder)]) == 0 and (folder / "samples-100-0.png").is_file()
    capsys.readouterr()
    assert main(["sample", str(folder), "--walk", "--n", "2"]) == 0
    assert "a walk past 2 images" in capsys.readouterr().out and (folder / "walk-2-0.gif").is_file()
    assert imread(folder / "walk-2-0.png").shape[0] == 2 * (2 * 30 - 2)         # a row for each leg
    assert main(["sample", str(folder), "--walk", "--n", "2"]) == 1 and "exists already" in capsys.readouterr().err


def test_nothing_is_overwritten_unasked(no_pictures, tmp_path, capsys):
    arguments = ["train", "ring", "--steps", "1", "--out", str(tmp_path / "run"), "--quiet"]
    assert main(arguments) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    assert main(arguments) == 1 and "--overwrite" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    assert main([*arguments, "--overwrite"]) == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert main(["train", "ring", "--steps", "1", "--out", str(tmp_path / "mine"), "--overwrite", "--quiet"]) == 1
    assert (tmp_path / "mine" / "thesis.txt").is_file()


@pytest.mark.parametrize("arguments, word", [
    (["train", "circles"], "choose one of"),
    (["train", "--data", "nowhere"], "not a folder"),
    (["train", "--steps", "0"], "--steps"),
    (["sample", "nowhere"], "no checkpoint"),
    (["sample", "x", "--out", "y.jpg"], ".png"),
    (["sample", "x", "--walk", "--out", "y.png"], ".gif"),
    (["sample", "x", "--n", "0"], "at least 1"),
])
def test_bad_input_gets_a_sentence(arguments, word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("tinygan: ") and word in said and "Traceback" not in said


@pytest.mark.parametrize("number, said", [(signal.SIGINT, b"stopped by Ctrl-C"), (signal.SIGTERM, b"stopped by SIGTERM")])
def test_a_signal_ends_the_training_and_what_there_is_is_written(number, said, tmp_path):
    arguments = ["train", "ring", "--steps", "1000000", "--out", str(tmp_path / "run")]
    process = subprocess.Popen([sys.executable, "-m", "tinygan", *arguments],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=os.getcwd())
    while not (tmp_path / "run" / "config.json").is_file():
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number and said in errors
    gan = tg.GAN.load(tmp_path / "run" / "checkpoint.npz")
    assert 0 < gan.steps == len(gan.history["d_loss"]) == int(gan.g_optimizer.t)


@pytest.mark.skipif(os.name == "nt", reason="a pipe that nobody reads is another matter there")
def test_a_reader_who_has_enough_is_not_shown_a_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "tinygan", "lesson"], stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert done.returncode == 1 and done.stderr == b""


def test_the_classifier_knows_real_digits():
    assert metrics.accuracy(metrics.classifier(), *tg.data.held_out_digits()) >= 0.97


def test_the_score_tells_good_from_bad(rng):
    images, labels = tg.data.digits()
    real, noise = metrics.score(images[:1000]), metrics.score(rng.uniform(-1, 1, (500, 28, 28, 1)))
    few = metrics.score(images[labels < 3][:500])
    assert real.frechet < few.frechet < noise.frechet and real.sure > 0.9 > noise.sure
    assert few.entropy < np.log(3.2) < real.entropy <= np.log(10)
    with pytest.raises(tg.TinyganError, match="expected"):
        metrics.score(np.ones((3, 8, 8, 1)))


def test_frechet_distance_of_gaussians(rng):
    a = rng.standard_normal((200_000, 2)) * [1, 2] + [0, 1]
    b = rng.standard_normal((200_000, 2)) * [3, 1]
    assert abs(metrics.frechet_distance(a, b) - (1 + 4 + 1)) < 0.1          # ‖μ‖² + Σ (σ_a − σ_b)²
    assert abs(metrics.frechet_distance(a, a)) < 1e-9


def test_a_classifier_learns(monkeypatch):
    images, labels = tg.data.digits()
    monkeypatch.setattr(tg.data, "digits", lambda: (images[:640], labels[:640]))
    assert metrics.accuracy(metrics.train_classifier(epochs=6), images[:640], labels[:640]) > 0.8


def test_losses_of_one_step_and_of_nan(tmp_path):
    for values in ([1.0], [1.0, float("nan"), 2.0]):
        plots.losses({name: values for name in ("d_loss", "g_loss", "d_real", "d_fake")}, tmp_path / "l.png")
        assert imread(tmp_path / "l.png").shape[:2] == (720, 960)


@pytest.mark.parametrize("command", [[], ["train"], ["sample"], ["check"]])
def test_help_fits_a_screen_and_shows_an_example(command, capsys, monkeypatch):
    """80 columns; 50 lines for the longest, 24 for the first that is seen."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and "example" in said
    assert len(said.splitlines()) <= (50 if command else 24) and max(map(len, said.splitlines())) <= 100


@pytest.mark.parametrize("arguments", [["train", "--steps", "many"], ["dance"], [], ["check", "--order", "3"]])
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2 and "usage: tinygan" in capsys.readouterr().err
