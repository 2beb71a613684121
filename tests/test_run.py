"""The command line, the pictures and the score, as a user meets them."""
import html
import inspect
import io
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

import games
import tinygan as tg
from tinygan import metrics, plots, run
from tinygan.cli import main
from tinygan.run import folder as run_folder
from tinygan.run import presets
from tinygan.theory import pictures

FILES = {"training.gif", "report.html", "checkpoint.previous.npz", "frames.npz", "metrics.csv", "config.json",
         "checkpoint.npz", "samples.png", "progress.png", "losses.png", "result.json"}


@pytest.mark.parametrize("preset", ["digits", "seed"])
def test_train_and_sample(preset, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(run.scores, "IMAGES", 200)
    folder, score = tmp_path / "run", ["--score-every", "2"] * (preset == "digits")
    assert main(["train", preset, "--steps", "3", "--batch-size", "8", "--out", str(folder), "--device", "cpu", *score]) == 0
    said = capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == FILES | ({"scores.json", "scores.png", "best.npz"} if score else set())
    assert "Fréchet" in said and "real digits" in said and f"tinygan sample {folder}" in said and "images/s" in said
    assert tg.GAN.load(folder / "checkpoint.npz").steps == 3
    assert imread(folder / "samples.png").shape[:2] == (3 * (10 * 30 + 2),) * 2
    assert main(["sample", str(folder), "--n", "5", "--seed", "3", "--out", str(tmp_path / "five.npy")]) == 0
    five = np.load(tmp_path / "five.npy")
    assert five.shape == (5, 28, 28, 1)
    for code in (0, 1):                     # into a new folder; into one that is there, where nothing is written over
        assert main(["sample", str(folder), "--n", "5", "--seed", "3", "--out",
                     f"{tmp_path / 'each'}{'/' * (code == 0)}"]) == code
    assert "0001.png exists already" in capsys.readouterr().err
    each = [imread(tmp_path / "each" / f"000{k}.png") for k in range(1, 6)]
    np.testing.assert_allclose(each, (1 - five[..., 0]) / 2, atol=0.003)                # as ink
    assert len(list((tmp_path / "each").iterdir())) == 5
    assert main(["sample", str(folder), "--best", "--n", "5"]) == (0 if score else 1)
    if score:
        best = tg.GAN.load(folder / "best.npz")
        assert best.steps == 2 and (folder / "best-samples-5-0.png").is_file()
        row, = json.loads((folder / "scores.json").read_text())
        assert row["frechet"] == pytest.approx(metrics.score(best.sample(200, seed=2)).frechet, rel=1e-3)
        result = json.loads((folder / "result.json").read_text())
        assert result["scores"] == [row] and result["best"] == row and result["samples"]["n"] == row["n"] == 200
    assert main(["sample", str(folder)]) == 0 and (folder / "samples-100-0.png").is_file()
    capsys.readouterr()
    assert main(["sample", str(folder), "--walk", "--n", "2"]) == 0
    assert "a walk past 2 images" in capsys.readouterr().out and (folder / "walk-2-0.gif").is_file()
    assert imread(folder / "walk-2-0.png").shape[0] == 2 * (2 * 30 - 2)         # a row for each leg
    assert main(["sample", str(folder), "--walk", "--n", "2"]) == 1 and "exists already" in capsys.readouterr().err
    before = (folder / "checkpoint.npz").read_bytes()
    assert main(["sample", str(folder), "--overwrite", "--out", str(folder / "checkpoint.npz")]) == 1
    assert main(["sample", str(folder), "--overwrite", "--walk", "--n", "2"]) == 0
    assert (folder / "checkpoint.npz").read_bytes() == before and all(map(run_folder._is_own, folder.iterdir()))


def test_samples_are_put_beside_real_digits_of_what_was_learned(monkeypatch):
    """The first of MNIST's 60,000 for a run on these, not of the package's."""
    monkeypatch.setattr(run.scores, "IMAGES", 100)
    learned = tg.data.digits()[0][::-1]
    judge = run.scores.judge({"preset": "mnist", "images": "60000×28×28×1, crc32 370f0c6f"}, learned)
    assert judge.kind == "digits" and judge.real == metrics.score(learned[:100]) != metrics.real_score(100)


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


def ours(folder):
    """A folder as a run leaves it, with what a killed one leaves too."""
    folder.mkdir(parents=True)
    config = {"preset": "ring", "steps": 1, "seed": 0, **run.versions()}
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("checkpoint.npz", "checkpoint.npz.unfinished", "unfinished-0123abcd-losses.png", "samples-100-3.png"):
        (folder / name).write_bytes(b"old")
    return folder


def test_what_tinygan_wrote_is_replaced_if_asked_for(tmp_path):
    folder = ours(tmp_path / "run")
    with pytest.raises(tg.TinyganError, match="exists already"):
        run_folder.prepare(folder, False)
    assert len(list(folder.iterdir())) == 5
    run_folder.prepare(folder, True)
    assert not list(folder.iterdir())


def linked(folder):
    folder.rename(folder.with_name("real"))
    folder.symlink_to("real")


@pytest.mark.parametrize("harm, word", [
    (lambda folder: (folder / "thesis.txt").write_text("years of work"), "thesis.txt in it is not tinygan's"),
    (lambda folder: (folder / "samples-1-best.png").write_text("mine"), "samples-1-best.png in it"),
    (lambda folder: (folder / "losses.png.bak").write_text("mine"), "losses.png.bak in it"),
    (lambda folder: (folder / "losses.png").mkdir(), "losses.png in it"),
    (lambda folder: (folder / "losses.png").symlink_to("config.json"), "losses.png in it"),
    (lambda folder: (folder / "config.json").write_text('{"model_type": "llama", "steps": 3}'), "no config.json that"),
    (lambda folder: (folder / "config.json").write_text('{"preset": "ts-jest", "seed": 1}'), "no config.json that"),
    (lambda folder: (folder / "config.json").write_text("[1]"), "no config.json that"),
    (lambda folder: (folder / "config.json").write_text("{"), "no config.json that"),
    (lambda folder: (folder / "config.json").unlink(), "no config.json that"),
    (linked, "it is a link"),
    (lambda folder: os.chdir(folder), "you are working in it"),
    (lambda folder: ((folder / "below").mkdir(), os.chdir(folder / "below")), "you are working in it"),
    (lambda folder: os.environ.update(HOME=str(folder)), "your home lies in it"),
    (lambda folder: os.environ.update(HOME=str(folder / "me")), "your home lies in it"),
])
def test_only_what_tinygan_wrote_is_ever_replaced(harm, word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = ours(tmp_path / "run")
    harm(folder)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(tg.TinyganError, match=word):
        run_folder.prepare(folder, True)
    if word == "you are working in it":
        with pytest.raises(tg.TinyganError, match=word):
            run_folder.prepare(run_folder.Path(".."), True)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", [["train", "ring"], ["train", "dirac"], ["lesson", "vae"]])
def test_no_command_writes_over_what_is_not_its_own(command, tmp_path, monkeypatch, capsys):
    """Nor through a link, nor under a file."""
    monkeypatch.chdir(tmp_path)
    (ours(tmp_path / "run") / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("mine"), (tmp_path / "lost").symlink_to("nowhere")
    before = sorted(tmp_path.rglob("*"))
    for out in ("run", "file", "file/run", "lost", "x" * 300, "."):
        assert main([*command, "--steps", "1", "--out", out, "--overwrite", "--quiet"]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"tinygan: {out[:20]}") and said.count("\n") == 1, said
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("arguments, word", [
    (["train", "circles"], "choose one of"),
    (["train", "--seed", "-1"], "got --seed -1, expected an integer from 0"),
    (["train", "--seed", str(2 ** 32)], "got --seed 4294967296, expected an integer from 0 to 4,294,967,295"),
    (["train", "--seed", "9" * 30], "--seed"),
    (["train", "dirac", "--seed", "-1"], "--seed"),
    (["train", "--batch-size", "0"], "--batch-size 0"),
    (["train", "--batch-size", "-3"], "--batch-size -3"),
    (["train", "--batch-size", "100000", "--workers", "1"], "5000 images"),
    (["train", "ring", "--data", "mnist"], "leave --data out"),
    (["train", "dirac", "--score-every", "9"], "leave --score-every out"),
    (["train", "gauss1d", "--save-every", "9"], "leave --save-every out"),
    (["train", "ring", "--steps", "9", "--score-every", "10"], "--score-every 10, expected an integer from 1 to 9"),
    (["train", "ring", "--save-every", "0"], "--save-every 0"),
    (["train", "--noise-steps", "9"], "no instance noise"),
    (["train", "--resume", "x", "--seed", "0"], "only a new run"),
    (["train", "--resume", "x", "--batch-size", "0"], "only a new run"),
    (["lesson", "vae", "--seed", "-1"], "--seed"),
    (["lesson", "vae", "--steps", "0"], "--steps"),
    (["lesson", "--full"], "no lesson"),
    (["sample", "x", "--seed", "-1"], "--seed"),
    (["sample", "x", "--best"], "has no best.npz"),
    (["sample", "x", "--walk", "--out", "y/"], ".gif"),
    (["sample", "x", "--n", "-1", "--walk"], "--n"),
    (["check", "tanh", "--html", "nowhere/page.html"], "is not there"),
    (["check", "tanh", "--html", "."], "exists already"),
    (["check", "tanh", "--museum"], "leave out NAME"),
    (["train", "--data", "nowhere"], "there is no nowhere"),
    (["train", "pictures"], "no --data"),
    (["train", "digits", "--size", "32"], "leave --size out"),
    (["train", "ring", "--width", "32"], "leave --width out"),
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
    assert not list(tmp_path.iterdir())                         # a run that is refused leaves nothing


def test_zero_switches_a_stabiliser_off():
    gan = presets.stabilised(presets.PRESETS["ring"].build(0), 0, noise_steps=0, decay_steps=0, r1=0.0)
    assert gan.noise_steps is gan.decay_steps is None and gan.r1 == 0 and gan.instance_noise == 0.2
    assert presets.stabilised(gan, 0, noise_steps=7).noise_steps == 7
    with pytest.raises(tg.TinyganError, match="no instance noise"):
        presets.stabilised(gan, 0, noise_steps=7, instance_noise=0.0)


def test_a_page_is_written_over_a_page_alone(tmp_path, capsys):
    page = tmp_path / "page.html"
    for _ in range(2):
        assert main(["check", "tanh", "--html", str(page)]) == 0
    page.write_text("<title>My page</title>")
    assert main(["check", "tanh", "--html", str(page)]) == 1 and "exists already" in capsys.readouterr().err
    assert page.read_text() == "<title>My page</title>"


def test_a_study_that_is_interrupted_leaves_nothing(tmp_path, monkeypatch, capsys):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(pictures, "write_csv", interrupted)
    monkeypatch.setattr("tinygan.theory.dirac.RATE_STEPS", 5)
    assert main(["train", "dirac", "--steps", "2", "--out", str(tmp_path / "run")]) == 130 and not list(tmp_path.iterdir())
    (tmp_path / "empty").mkdir()
    assert main(["train", "dirac", "--steps", "2", "--out", str(tmp_path / "empty")]) == 130
    assert (tmp_path / "empty").is_dir() and not list((tmp_path / "empty").iterdir())


@pytest.mark.parametrize("command", [["train", "gauss1d"], ["lesson", "vae"]])
def test_sigterm_leaves_nothing_of_a_study_or_a_lesson_and_sigkill_what_overwrite_replaces(command, tmp_path):
    folder, command = tmp_path / "run", [sys.executable, "-m", "tinygan", *command, "--out", "run", "--quiet"]
    for number, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 143)):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
                                   env={**os.environ, "PYTHONPATH": str(run_folder.Path(tg.__file__).parents[1])})
        while process.poll() is None and not (folder / "config.json").is_file():
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == code
        if number == signal.SIGKILL:
            with pytest.raises(tg.TinyganError, match="exists already .* or --overwrite"):
                run_folder.prepare(folder, False)
            run_folder.prepare(folder, True)
    assert errors == "tinygan: stopped by SIGTERM\n" and list(tmp_path.rglob("*")) == [folder]         # empty, as it was


def test_a_run_without_a_first_checkpoint_leaves_nothing(tmp_path, monkeypatch):
    def full(*arguments):
        raise tg.TinyganError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(tg.GAN, "save", full)
        with pytest.raises(tg.TinyganError, match="no room"):
            run.train("ring", tmp_path / "run", steps=2, quiet=True)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_at_a_picture(tmp_path, monkeypatch, capsys):
    def full(figure, path, dpi):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(Figure, "savefig", full)
        with pytest.raises(tg.TinyganError, match=r"losses.png could not be written \(No space left.*of step 2 is whole"):
            run.train("ring", folder, steps=2, quiet=True)
    assert tg.GAN.load(folder / "checkpoint.npz").steps == 2 and not list(folder.glob("*.png"))
    run.resume(folder, quiet=True)
    assert (folder / "losses.png").is_file() and (folder / "report.html").is_file()


def test_a_run_that_explodes_is_drawn_and_called_so(tmp_path, monkeypatch):
    """Its points lie beyond what half precision holds."""
    monkeypatch.setattr(run.callbacks, "FRAMES", 1)
    run.train("ring", tmp_path / "run", steps=110, quiet=True, workers=1, stabilisers={"g_lr": 10.0, "d_lr": 10.0})
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "The losses exploded" in page and "is a finite number" not in page
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["samples"]["of"] == result["real"]["modes"] == 8 and page.count("of 8</td>") == 2
    for name, value in result.items():                      # all that it says of the run stands on the page too
        assert name in ("samples", "real", "scores", "best") or f"{name.replace('_', ' ')}</th><td>{html.escape(str(value))}</td>" in page, name
    assert 'class="on-white"' in page                       # D's landscape


def test_half_precision_keeps_what_it_can():
    found = run.callbacks.half(np.array([1.0, 1e6, -1e9, -2.0, np.nan]))
    assert found.dtype == np.float16 and np.array_equal(found, np.array([1, 65504, -65504, -2, np.nan]), equal_nan=True)


# Words, streams and signals

def stream(kind):
    """A stream that knows few letters, a closed one, or none (pythonw)."""
    if kind is None:
        return None
    made = io.TextIOWrapper(io.BytesIO(), "ascii" if kind == "closed" else kind)
    if kind == "closed":
        made.close()
    return made


@pytest.mark.parametrize("kind", ["ascii", "cp1252", "latin-1", "closed", None])
def test_no_letter_and_no_missing_stream_ends_a_command(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("tinygan.theory.dirac.RATE_STEPS", 5)
    monkeypatch.setattr("tinygan.theory.dirac.FRAMES", 1)
    monkeypatch.setattr(run, "_show", lambda *arguments: arguments[-1]("‖x − G(z)‖, λ ≈ 3, ✓"))
    out, err = stream(kind), stream(kind)
    monkeypatch.setattr(sys, "stdout", out), monkeypatch.setattr(sys, "stderr", err)
    for command in (["train", "ring", "--steps", "2", "--out", str(tmp_path / "ring")],
                    ["train", "dirac", "--steps", "2", "--out", str(tmp_path / "dirac")], ["check", "softplus"], ["lesson"]):
        assert main(command) == 0
    run.train("ring", tmp_path / "again", steps=2)
    assert main(["train", "circles✓"]) == 1
    with pytest.raises(SystemExit) as end:
        main(["train", "--help"])
    assert end.value.code == 0 and sys.stdout is out and sys.stderr is err
    if kind not in ("closed", None):
        out.flush()
        assert out.errors == "strict" and b"\\u2016x" in out.buffer.getvalue()


@pytest.mark.skipif(os.name == "nt", reason="there is no pseudo-terminal there")
@pytest.mark.parametrize("columns, bar", [(80, 32), (60, 12)])
def test_a_terminal_shows_a_bar_and_words_above_it(columns, bar, monkeypatch):
    import fcntl
    import termios
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with open(slave, "w") as terminal, open(master) as screen:
        monkeypatch.setattr(sys, "stderr", terminal), monkeypatch.setattr(sys, "stdout", terminal)
        with run.Progress(100, 0, 32, False) as progress:
            for step in range(1, 101):
                progress(SimpleNamespace(steps=step), {"d_real": 0.7, "d_fake": 0.3, "d_loss": 1.0, "g_loss": 1.0})
                if step == 50:
                    run.aloud("a word")
        said = ""
        while select.select([screen], [], [], 0.2)[0]:
            said += os.read(master, 100_000).decode()
    assert said.count("a word") == 1 and re.search(r"\r {20,}\ra word\r\n", said)
    last = said.strip().split("\r")[-1]
    assert last == f"100%|{bar * '█'}| 100/100 [00:00, D(x) 0.70, D(G(z)) 0.30]" and len(last) == columns - 1


def test_a_file_gets_a_line_now_and_then(capsys):
    with run.Progress(1000, 0, 32, False) as progress:
        for step in range(1, 1001):
            progress(SimpleNamespace(steps=step), {"d_real": 0.7, "d_fake": 0.3, "d_loss": 1.0, "g_loss": 1.0})
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 10 and not err and not {"\r", "\x1b"} & set(out)
    assert re.fullmatch(r"step   1000/1000  D\(x\) 0.70, D\(G\(z\)\) 0.30, loss D 1.00, G 1.00, [\d,]+ images/s", lines[-1])


@pytest.mark.parametrize("own", [signal.SIG_IGN, signal.SIG_DFL, lambda number, frame: None])
def test_a_signal_that_is_ignored_stays_so_and_handlers_come_back(own):
    """A shell lets what it runs in the background ignore Ctrl-C."""
    before = {number: signal.signal(number, own) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with run.stop_after_step() as stop:
            assert [signal.getsignal(number) is own for number in before] == [own is signal.SIG_IGN] * 2
            for number in before:
                os.kill(os.getpid(), number)
            if own is signal.SIG_IGN:
                stop(None, None)
            else:
                with pytest.raises(run.Stopped):
                    stop(None, None)
        assert [signal.getsignal(number) for number in before] == [own] * 2
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_thread_that_outlives_the_main_one(tmp_path):
    code = ("import threading, time; from tinygan import run\n"
            f"def late(): time.sleep(0.5); run.train('ring', {str(tmp_path / 'run')!r}, steps=3, workers=2)\n"
            "threading.Thread(target=late).start()")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "") and (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize("command", [["train", "ring", "--steps", "1", "--out", "run", "--quiet"], ["check", "tanh"],
                                     ["lesson"], ["train", "--help"]])
def test_without_docstrings(command, tmp_path):
    env = {**os.environ, "PYTHONPATH": str(run_folder.Path(tg.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-OO", "-m", "tinygan", *command], capture_output=True, text=True, timeout=120,
                          cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("number, said", [(signal.SIGINT, b"stopped by Ctrl-C"), (signal.SIGTERM, b"stopped by SIGTERM")])
def test_a_signal_ends_the_training_and_what_there_is_is_written(number, said, tmp_path):
    arguments = ["train", "ring", "--steps", "1000000", "--out", str(tmp_path / "run")]
    process = subprocess.Popen([sys.executable, "-m", "tinygan", *arguments],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=os.getcwd(), preexec_fn=games.listening)
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


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_run_goes_on_where_its_words_find_no_room(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    for number, out in enumerate([open("/dev/full", "w"), writer]):
        command = [sys.executable, "-m", "tinygan", "train", "ring", "--steps", "2", "--out", str(tmp_path / str(number))]
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, timeout=60)
        assert done.returncode in (0, 1) and "Traceback" not in done.stderr
        assert tg.GAN.load(tmp_path / str(number) / "checkpoint.npz").steps == 2
        assert (tmp_path / str(number) / "report.html").is_file()
    done = subprocess.run([sys.executable, "-m", "tinygan", "lesson"], stdout=open("/dev/full", "w"), stderr=subprocess.PIPE,
                          text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.startswith("tinygan: ") and done.stderr.count("\n") == 1


def test_the_score_tells_good_from_bad(rng):
    images, labels = tg.data.digits()
    real, noise = metrics.score(images[:1000]), metrics.score(rng.uniform(-1, 1, (500, 28, 28, 1)))
    few = metrics.score(images[labels < 3][:500])
    assert real.frechet < few.frechet < noise.frechet and real.sure > 0.9 > noise.sure
    assert few.entropy < np.log(3.2) < real.entropy <= np.log(10)
    with pytest.raises(tg.TinyganError, match="expected"):
        metrics.score(np.ones((3, 8, 8, 1)))


def test_losses_of_one_step_and_of_nan(tmp_path):
    for values in ([1.0], [1.0, float("nan"), 2.0]):
        plots.losses({name: values for name in ("d_loss", "g_loss", "d_real", "d_fake")}, tmp_path / "l.png")
        assert imread(tmp_path / "l.png").shape[:2] == (720, 960)


def test_the_help_of_train_tells_the_presets_own_networks(capsys):
    """Of digits first, then of each preset that has another number."""
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for option in ("width", "latent"):
        number = {name: inspect.signature(presets.PRESETS[name].build).parameters[option].default
                  for name in ("digits", "mnist", "pictures")}
        others = [f"{name} {value}" for name, value in number.items() if value != number["digits"]]
        assert f"({', '.join([str(number['digits']), *others])})" in told


@pytest.mark.parametrize("command", [[], ["train"], ["sample"], ["check"], ["lesson"]])
def test_help_fits_a_screen_and_shows_an_example(command, capsys, monkeypatch):
    """80 columns; 58 lines for the longest, 24 for the first that is seen."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and "example" in said
    assert len(said.splitlines()) <= (58 if command else 24) and max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [["train", "--steps", "many"], ["dance"], [], ["check", "--order", "3"]])
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2 and "usage: tinygan" in capsys.readouterr().err


def test_graphs_without_a_gpu_are_a_word_and_no_more(tmp_path, no_pictures, capsys):
    run.train("ring", tmp_path / "run", steps=1, device="cpu", workers=1, graph=True)
    assert "graph: none, as the game is not on a GPU\n" in capsys.readouterr().out
