"""Every lesson runs a few steps and leaves what it promises; what its equations say is proved."""
import ast
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import tinygan as tg
from tinygan import lessons
from tinygan.cli import main
from tinygan.run import folder


# (weights, learning rate, β₁, β₂) of every optimiser; β₂ is 0.999 where it is not told
PLAYERS = {
    "conditional": {(114_401, 0.001, 0.5), (129_761, 0.001, 0.5), (332_737, 0.001, 0.5)},
    "semi_supervised": {(215_370, 0.0015, 0.5, 0.99), (285_284, 0.0015, 0.5, 0.99)},
    "clusters": {(109_739, 0.001, 0.5), (209_777, 0.0002, 0.5), (218_554, 0.0002, 0.5)},
    "features": {(109_281, 0.001, 0.5), (312_257, 0.001, 0.5), (690_689, 0.0002, 0.5), (1_382_260, 0.0002, 0.5)},
    "augmentation": {(109_562, 0.001, 0.9), (129_761, 0.001, 0.5), (332_737, 0.001, 0.5)},
    "inside": {(109_281, 0.001, 0.5), (312_257, 0.001, 0.5)},
    "vae": {(109_281, 0.001, 0.5), (312_257, 0.001, 0.5), (829_289, 0.001, 0.9)},
    "translation": {(37_025, 0.0002, 0.5), (70_849, 0.001, 0.5), (73_026, 0.0002, 0.5), (141_698, 0.0005, 0.5)},
    "rejection": {(1_153, 0.005, 0.5), (158_705, 0.001, 0.5), (158_705, 0.003, 0.0, 0.99), (411_217, 0.003, 0.0, 0.99)}}
SLOPES = {"semi_supervised": {0}, "clusters": {0.2}, "augmentation": {0, 0.1, 0.2}}     # of LeakyReLU; the classifier's is 0


@pytest.fixture
def players(monkeypatch):
    """What is known of each Adam that is made, and the slopes of all LeakyReLUs."""
    made, slopes = set(), set()

    def noting(kind, note):
        make = kind.__init__

        def noted(one, *arguments, **options):
            make(one, *arguments, **options)
            note(one)
        monkeypatch.setattr(kind, "__init__", noted)

    noting(tg.Adam, lambda adam: made.add((sum(p.size for p in adam.parameters), adam.lr, *adam.betas)))
    noting(tg.LeakyReLU, lambda layer: slopes.add(layer.slope))
    return made, slopes


@pytest.mark.parametrize("name", lessons.LESSONS)
def test_a_few_steps_of(name, players, tmp_path, capsys):
    pytest.importorskip("sklearn", reason="pip install '.[lessons]'")
    rows = lessons.run(name, tmp_path / "run", steps=3, html=True)
    made, slopes = players
    assert made == {(*player, 0.999)[:4] for player in PLAYERS[name]}
    assert slopes == SLOPES.get(name, {0, 0.2})
    assert rows == [lessons.Row(**row) for row in json.loads((tmp_path / "run" / "results.json").read_text())]
    assert len(rows) >= 2 and list((tmp_path / "run").glob("*.png"))
    page = (tmp_path / "run" / "results.md").read_text().replace("\\|", "|")
    assert all(f"| {row.what} | {row} |" in page for row in rows)
    assert all(map(folder._is_own, (tmp_path / "run").iterdir()))          # so that --overwrite may replace it
    said = capsys.readouterr().out
    assert lessons.about(name) in said and all(said.count(f"{row.what}: {row}") == 1 for row in rows) and "| ---" not in said
    page = ET.fromstring((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    text, images = "".join(page.itertext()), page.findall(".//img")
    assert lessons.about(name) == page.find(".//h1").text and all(row.what in text and str(row) in text for row in rows)
    assert len(images) == len(list((tmp_path / "run").glob("*.png")))
    assert (page.find(".//math") is None) == (name in ("augmentation", "inside"))
    assert all(image.get("src").startswith("data:image/png;base64,iVBOR") for image in images)
    source = Path(lessons.__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    assert page.find(".//pre[@class='code']").text == source[source.index('"""', 3) + 3:].strip()


@pytest.mark.parametrize("quiet, terminal, bars", [(False, True, 1), (True, True, 0), (False, False, 0)])
def test_a_bar_in_a_terminal_and_words_above_it(quiet, terminal, bars, tmp_path, monkeypatch, capsys):
    def lesson(it):
        for step in lessons.rounds(it.steps(3, 5)):
            it.say(f"at {step}")

    monkeypatch.setattr("tinygan.lessons.vae.lesson", lesson)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    lessons.run("vae", tmp_path / "run", quiet=quiet)
    told = capsys.readouterr()
    assert ("0/3" in told.err) == bool(bars) and told.out.count("\nat ") == 3 * (not quiet)
    assert list(lessons.rounds(4)) == [0, 1, 2, 3] and capsys.readouterr().err == ""         # none outside of a lesson


def test_the_list_has_a_line_for_each(capsys):
    assert main(["lesson"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line] == list(lessons.LESSONS)
    assert all(len(line) <= 120 for line in lines)


def test_the_lessons_and_runs_load_nothing_that_draws():
    """What draws waits until there is something to draw."""
    code = "import sys, tinygan.lessons, tinygan.run; print({'matplotlib', 'PIL'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_an_unknown_lesson_is_refused(capsys):
    assert main(["lesson", "cooking"]) == 1 and "choose one of" in capsys.readouterr().err


@pytest.mark.parametrize("name", lessons.LESSONS[:1])
def test_a_folder_is_not_overwritten(name, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years")
    with pytest.raises(tg.TinyganError, match="exists already"):
        lessons.run(name, tmp_path / "run", steps=1)


@pytest.mark.parametrize("name", lessons.LESSONS)
def test_what_a_lesson_needs_is_said_before_it_begins(name, tmp_path, monkeypatch):
    source = (Path(lessons.__file__).with_name(f"{name}.py")).read_text(encoding="utf-8")
    imported = {node.module.partition(".")[0] for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)
                and node.module}
    assert imported & {"sklearn", "scipy"} == set(lessons.NEEDED.get(name, ()))
    for library in lessons.NEEDED.get(name, ()):
        pytest.importorskip(library, reason="pip install '.[lessons]'")
        with monkeypatch.context() as patched, pytest.raises(tg.TinyganError, match=f"needs {library}, which"):
            patched.setitem(sys.modules, library, None)
            lessons.run(name, tmp_path / "run", steps=1)
    assert not (tmp_path / "run").exists()


def test_a_lesson_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tinygan.lessons.vae.lesson", lambda it: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lessons.run("vae", tmp_path / "run", quiet=True)
    assert not list(tmp_path.iterdir())


def test_a_step_goes_down_the_loss_for_its_own_parameters_alone():
    x, y = (tg.Tensor([value], requires_grad=True) for value in (3.0, 5.0))
    y.grad = tg.Tensor([7.0])
    lessons.descend(tg.SGD([x], lr=0.5), x * y, fraction=0.1)
    lessons.descend(tg.SGD([x], lr=0.5), x * y)                 # the gradient of the first step is forgotten
    assert np.allclose(x.data, 3 - 0.05 * 5 - 0.5 * 5) and y.data == [5.0] and y.grad.data == [7.0]


def test_several_runs_are_told_by_mean_and_deviation(tmp_path):
    said = []
    it = lessons.Lesson(tmp_path, None, None, say=said.append)
    it.found("error", [1.0, 2.0, 3.0], "{:.1f} %")
    it.found("error", [2.0], "{:.1f} %", "3 %")
    assert said == ["error: 2.0 ± 1.0 %", "error: 2.0 %   (published: 3 %)"] and it.rows[1].spread is None is it.rows[1].each
    assert it.rows[0].each == [1, 2, 3]


def test_each_stream_of_each_seed_is_one_of_its_own_and_the_same_again(tmp_path):
    def numbers():
        return [lessons.Lesson(tmp_path, None, None, seed).rng(*stream).random()
                for seed in (0, 1) for stream in ((1,), (2,), (1, 1), (1, 2), (2, 1))]

    assert numbers() == numbers() and len(set(numbers())) == 10
