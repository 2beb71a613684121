"""The public face: what a prompt, a notebook and an editor show of it."""
import ast
import copy
import functools
import importlib
import inspect
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import tinygan as tg
from tinygan.gradcheck import Report, Row
from tinygan.look import likeness, metrics
from tinygan.lessons import Lesson

G, D = tg.Sequential(tg.Dense(2, 8), tg.Tanh(), tg.Dense(8, 2)), tg.Sequential(tg.Dense(2, 1), tg.Reshape(1))
REPORT = Report("f <g>", 1, 0, [Row("x", (2,), 1.0, 1.0, 1e-9), Row("y & z", (), 2.0, 3.0, 0.5, "moved off a kink")])
LIKENESS = likeness.Likeness(n=1000, frechet=1.25, precision=0.5, recall=0.25, density=1.0, coverage=0.75)


@pytest.mark.parametrize("thing, line", [
    (tg.GAN(G, D, latent=2), "GAN(G of 42 and D of 3 parameters, latent=2, loss='non_saturating', 0 steps played)"),
    (tg.Adam(D.parameters()), "Adam(3 parameters, lr=0.0002, betas=(0.5, 0.999), eps=1e-08)"),
    (tg.SGD(D.parameters(), 0.5), "SGD(3 parameters, lr=0.5)"),
    (tg.Tensor([[1, 2], [3, 4]]), "Tensor([[1. 2.] [3. 4.]], shape=(2, 2), dtype=float64, requires_grad=False)"),
    (REPORT, "Report(f <g>, order 1: 2 derivatives, 1 WRONG)"),
    (LIKENESS, str(LIKENESS)),
    (tg.draw(tg.Tensor(1.0)), "Tape(nodes: 1; .save(path) draws it, as .svg, .png or .pdf)")])
def test_a_line_says_what_it_is(thing, line):
    assert repr(thing) == line


@pytest.mark.parametrize("thing", [
    tg.Tensor(np.full((300, 300), 1 / 3), True), Lesson(Path("here"), (np.ones((9, 9)),) * 2, (np.ones((9, 9)),) * 2),
    metrics.Score(9, 1.0, 0.5, 0.5, 2.0, (0.1,) * 10), metrics.ModeScore(9, 8, 8, 0.5, 0.1), tg.GAN(G, D, latent=2).rules,
    Report(repr(tg.models.small_generator()), 2, 0, [])])
def test_nothing_fills_the_screen(thing):
    assert "\n" not in repr(thing) and len(repr(thing)) < 200


def test_print_shows_all_of_a_tensor():
    assert str(tg.Tensor([[1, 2], [3, 4]])).startswith("Tensor([[1. 2.]\n [3. 4.]], shape=(2, 2)")


def test_a_cell_shows_a_table_of_derivatives_with_verdicts_and_of_scores():
    table = ET.fromstring(f"<html>{REPORT._repr_html_()}</html>")
    rows = [[cell.text for cell in row] for row in table.iter("tr")]
    assert rows == [["with respect to", "analytic", "numeric", "rel. error", "verdict", None],
                    ["x (2,)", "1.00000000e+00", "1.00000000e+00", "1.0e-09", "proved", None],
                    ["y & z ()", "2.00000000e+00", "3.00000000e+00", "5.0e-01", "WRONG", "moved off a kink"]]
    assert table.find("p").text.startswith("f <g>, order 1")
    rows = [[cell.text for cell in row] for row in ET.fromstring(LIKENESS._repr_html_()).iter("tr")]
    assert rows[0][-1] == "value" and rows[2][::2] == ["Precision", "50.0%"]


def test_a_cell_shows_networks_and_games_as_tables_of_layers():
    def tables(html):
        return [[[cell.text for cell in row] for row in one.iter("tr")]
                for one in ET.fromstring(f"<html>{html}</html>").iter("table")]

    G, D = tg.models.dcgan(16, 1, 5, 4)
    painted, judged = tables(tg.GAN(G, D, latent=5)._repr_html_())
    assert painted == tables(G._repr_html_())[0] and painted[0] == ["layer", "output", "parameters"]
    assert painted[1] == ["Dense(5, 128)", "128", "640"] and painted[-2] == ["Tanh()", "16 × 16 × 1", "0"]
    assert painted[-1] == ["all", None, f"{sum(p.size for p in G.parameters()):,}"]
    alone, = tables(D._repr_html_())                        # no first layer tells the size of an image
    assert alone[1] == ["Conv2D(1, 4, 4, stride=2, padding='same', bias=True)", "68"] and alone[-1] == ["all", judged[-1][-1]]
    assert tables(tg.Sequential()._repr_html_()) == [[["layer", "parameters"], ["all", "0"]]]


def drawn(tape):
    """{number: label}, {(from, to)}"""
    return (dict(re.findall(r'^(\d+) \[label="(.*?)"', tape.source, re.M)),
            set(re.findall(r"^(\d+) -> (\d+)$", tape.source, re.M)))


def test_the_tape_is_drawn_with_operations_shapes_and_leaves():
    x, y = tg.Tensor([1.0, 2.0], requires_grad=True), tg.Tensor([3.0, 4.0])
    labels, edges = drawn(tg.draw((x.tanh() * y).sum()))
    assert {(labels[a], labels[b]) for a, b in edges} == {
        (r"leaf\n(2,)", r"tanh\n(2,)"), (r"tanh\n(2,)", r"multiply\n(2,)"), (r"constant\n(2,)", r"multiply\n(2,)"),
        (r"multiply\n(2,)", r"sum\n()")}
    labels, _ = drawn(tg.draw(tg.losses.generator_loss(D(G(np.ones((3, 2), np.float32)))), G=G, D=D))
    assert {r"G.layers.0.weight\n(2, 8)", r"D.layers.0.bias\n(1,)", r"losses.expectation\n()"} <= set(labels.values())
    assert sum("leaf" in label for label in labels.values()) == 0


def test_every_operation_of_the_book_has_its_name_on_the_tape():
    x = tg.Tensor(np.ones((2, 4, 4, 3), np.float32), requires_grad=True)
    network = tg.Sequential(tg.Conv2D(3, 2, 3), tg.BatchNorm(2), tg.Conv2DTranspose(2, 3, 3), tg.Flatten(), tg.Maxout(2))
    labels, _ = drawn(tg.draw(2 ** tg.ops.concatenate([network(x)[0], network(x)[1]])))
    names = {label.partition("\\")[0] for label in labels.values()}
    assert {"conv.convolve", "norm.batch_norm", "conv.transpose", "reshape", "maxout", "getitem", "concatenate",
            "protocols.exponential"} <= names


def test_a_tape_without_graphviz_says_what_to_install(monkeypatch, tmp_path):
    tape = tg.draw(tg.Tensor(1.0))
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(tmp_path))
        assert "install Graphviz" in tape._repr_mimebundle_()["text/plain"]
        with pytest.raises(tg.TinyganError, match="install Graphviz"):
            tape.save(tmp_path / "tape.svg")
    with pytest.raises(tg.TinyganError, match="got float to draw"):
        tg.draw(1.0)
    if not shutil.which("dot"):
        pytest.skip("Graphviz is not installed")
    assert "constant" in tape._repr_mimebundle_()["image/svg+xml"]
    tape.save(tmp_path / "tape.png")
    assert (tmp_path / "tape.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(tg.TinyganError, match="'song'"):
        tape.save(tmp_path / "tape.song")


# What an editor and mypy are told

HOUSE = Path(tg.__file__).parent
STUBS = sorted(path.stem for path in HOUSE.glob("*.pyi") if path.stem != "__init__")


def stated(stub):
    """{name: arguments} of the functions of a stub, those of its classes as Class.name; (None, None) for properties."""
    tree, found = ast.parse((HOUSE / f"{stub}.pyi").read_text(encoding="utf-8")), {}
    for node in tree.body:
        inside = [(f"{node.name}.", item) for item in node.body] if isinstance(node, ast.ClassDef) else [("", node)]
        for prefix, item in inside:
            if isinstance(item, ast.FunctionDef):
                found[prefix + item.name] = None if item.decorator_list and item.name != "load" else item
    return {name: item for name, item in found.items() if not name.startswith("_")}


def parameters(function):
    """[(name, kind, default)] as they run, without self, whose name is another where a method is attached."""
    return [(p.name, p.kind, repr(p.default)) for p in inspect.signature(function).parameters.values()]


def as_written(item):
    """The same of a stub's function."""
    scope = {"inspect": inspect}
    arguments = copy.deepcopy(item.args)
    for argument in (*arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if argument:
            argument.annotation = None
    exec(f"def function({ast.unparse(arguments)}): pass", scope)
    return parameters(scope["function"])


@pytest.mark.parametrize("stub", STUBS)
def test_what_a_stub_says_is_there_and_what_is_public_stands_in_it(stub):
    module, said = importlib.import_module(f"tinygan.{stub}"), stated(stub)
    for name, item in said.items():
        runs = functools.reduce(inspect.getattr_static, name.split("."), module) if "." in name else getattr(module, name)
        if item is None:
            assert isinstance(runs, property), name
            continue
        runs, bare = getattr(runs, "__func__", runs), "." in name
        special = name.endswith("__") and not name.endswith(("__init__", "__call__"))       # are called by place
        here, there = parameters(runs)[bare:], as_written(item)[bare:]
        assert len(here) == len(there) if special else here == there, name
    public = {name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
              and inspect.isfunction(value) and not name.startswith("_")}
    for name, value in vars(module).items():
        if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_"):
            public |= {f"{name}.{method}" for method, code in vars(value).items() if not method.startswith("_")
                       and (inspect.isfunction(code) or isinstance(code, (property, classmethod)))}
    inherited = {f"{name.partition('.')[0]}.{method}" for name in public if "." in name
                 for method in ("forward", "initialise", "step", "settings", "state_dict", "load_state_dict")}
    assert public - inherited <= said.keys(), public - said.keys()


def test_a_stub_tells_the_equation_that_stands_in_the_book():
    tree = ast.parse((HOUSE / "tensor.pyi").read_text(encoding="utf-8"))
    told = {node.name: ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    told = {name: text for name, text in told.items() if text}
    assert told == {name: inspect.getdoc(getattr(tg.Tensor, name)).splitlines()[0] for name in told} and len(told) == 10


def test_the_public_face_runs_as_a_course_uses_it():
    done = subprocess.run([sys.executable, Path(__file__).with_name("typed_face.py")], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("True\n"), done.stderr


def test_mypy_has_nothing_to_say_of_the_public_face():
    pytest.importorskip("mypy", reason="pip install mypy")
    face = Path(__file__).with_name("typed_face.py")
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", face], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout


def test_the_package_says_that_it_has_types():
    assert (HOUSE / "py.typed").is_file() and len(STUBS) == 9
