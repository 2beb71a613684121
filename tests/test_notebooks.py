"""The notebooks: written as they are read, and each run from top to bottom."""
import re

import pytest

import tinygan as tg
from tinygan import notebooks
from tinygan.cli import main


@pytest.mark.parametrize("name", notebooks.SOURCES)
def test_a_notebook_is_a_text_and_cells_in_turn(name):
    cells = notebooks.cells(name)
    assert cells[0][0] == "markdown" and cells[0][1].startswith(f"# {list(notebooks.SOURCES).index(name) + 1}. ")
    assert "When you are through you can" in cells[0][1] and "## Questions" in cells[-1][1]
    for kind, text in cells:
        assert text and "# %%" not in text and (kind == "markdown" or compile(text, name, "exec"))
    rebuilt = "\n\n".join("# %%\n" + text if kind == "code" else "# %% [markdown]\n" + re.sub("^", "# ", text, flags=re.M)
                          for kind, text in cells)
    assert re.sub(r" +$", "", rebuilt, flags=re.M) + "\n" == notebooks.SOURCES[name].read_text(encoding="utf-8")


def test_a_notebook_is_written_once(tmp_path, monkeypatch, capsys):
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.chdir(tmp_path)
    assert main(["notebook", "gradients"]) == 0 and "gradients.ipynb" in capsys.readouterr().out
    written = nbformat.read("gradients.ipynb", as_version=4)
    nbformat.validate(written)
    assert [(cell.cell_type, cell.source) for cell in written.cells] == notebooks.cells("gradients")
    (tmp_path / "gradients.ipynb").write_text("my answers")
    assert main(["notebook", "gradients"]) == 1 and "exists already" in capsys.readouterr().err
    assert (tmp_path / "gradients.ipynb").read_text() == "my answers"
    assert main(["notebook", "gradients", "--out", "again.ipynb"]) == 0 and (tmp_path / "again.ipynb").is_file()


def test_notebooks_are_listed_and_named(capsys):
    assert main(["notebook"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")] == list(notebooks.SOURCES)
    with pytest.raises(tg.TinyganError, match="gradients, layers, game, ring, digits, mistakes, labels, pictures"):
        notebooks.cells("grad")


def test_the_guide_names_every_notebook_and_every_exercise():
    guide = notebooks.GUIDE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\w+) \| \d+ \| (.*?) \|", guide, re.M))
    assert list(rows) == list(notebooks.SOURCES)
    named = set(re.findall(r"\w+", " ".join(rows.values()))) & tg.exercises.EXERCISES.keys()
    found = {name for name, one in tg.exercises.EXERCISES.items() if one.title.startswith("Find the mistake")}
    assert named | found == set(tg.exercises.EXERCISES) and len(found) == 5


def test_an_answer_begins_as_its_question_says():
    sources = "\n".join(path.read_text(encoding="utf-8") for path in notebooks.SOURCES.values())
    begun = re.findall(r"^def (\w+)\((.*)\):\n    raise NotImplementedError\n\n\ntg.exercises.check\(\"(\w+)\", (\w+)\)$", sources, re.M)
    assert len(begun) == sources.count("tg.exercises.check(") >= 3
    for function, arguments, exercise, given in begun:
        assert function == exercise == given and arguments.split(", ") == tg.exercises.find(exercise).parameters


@pytest.mark.notebooks
@pytest.mark.parametrize("name", notebooks.SOURCES)
def test_a_notebook_runs_and_shows_what_it_says(name, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    run = nbclient.NotebookClient(notebooks.notebook(name), timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    cells = [cell for cell in run.execute().cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    for cell in cells:
        text = "".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in cell.outputs)
        for said in re.findall("^#> (.*)$", cell.source, re.M):
            assert said in text, (cell.source, text)
    pictures = [output for output in outputs if {"image/png", "image/svg+xml"} & output.get("data", {}).keys()]
    assert len(pictures) >= notebooks.SOURCES[name].read_text(encoding="utf-8").count("plots.samples(")
