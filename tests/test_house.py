"""The house: what lies where, who may import whom, how long a chapter is, and that the book itself runs."""
import ast
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tinygan as tg
from tinygan import fast

HOUSE = Path(tg.__file__).parent
BOOK = ("tensor", "ops", "conv", "norm", "losses", "module", "layers", "optim", "gradcheck", "models", "training")
EVERYBODYS = {"errors", "backend", "group", "fast"}
ALSO = {"training": {"umpire", "checkpoint"}}


def imported(path):
    """The rooms of tinygan, by their first name, that the file at this path imports."""
    rooms, depth = set(), len(path.relative_to(HOUSE).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            rooms |= {node.module.partition(".")[0]} if node.module else {alias.name for alias in node.names}
    return rooms


@pytest.mark.parametrize("chapter", BOOK)
def test_a_chapter_imports_earlier_chapters_only(chapter):
    earlier = set(BOOK[:BOOK.index(chapter)])
    assert imported(HOUSE / f"{chapter}.py") <= earlier | EVERYBODYS | ALSO.get(chapter, set())


@pytest.mark.parametrize("room", ["kernels", "pointwise", "conv", "norm", "cublas", "graph"])
def test_the_machine_room_knows_nothing_of_the_book(room):
    assert imported(HOUSE / "fast" / f"{room}.py") <= {"backend"} | {"cublas": {"errors"}, "graph": {"errors", "group"}}.get(room, set())


def test_the_book_is_short():
    lines = {chapter: len((HOUSE / f"{chapter}.py").read_text(encoding="utf-8").splitlines()) for chapter in BOOK}
    assert sum(lines.values()) <= 2000 and max(lines.values()) <= 400, lines


def picked():
    """(plain, fast) names of every pick(plain, fast) in the book."""
    for chapter in BOOK:
        for node in ast.walk(ast.parse((HOUSE / f"{chapter}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "pick":
                yield chapter, *map(ast.unparse, node.args)


def test_every_fast_kernel_has_a_plain_twin_with_its_arguments():
    """What lies in fast/ and is called from the book is picked beside a twin, or is the derivative of what is."""
    import inspect

    from tinygan.fast import conv, kernels, norm, pointwise

    twins = {}
    for chapter, plain, quick in picked():
        module = sys.modules[f"tinygan.{chapter}"]
        one, other = eval(plain, vars(module)), eval(quick, vars(module))
        twins[other] = one
        assert list(inspect.signature(one).parameters) == list(inspect.signature(other).parameters), (plain, quick)
    derivatives = {conv.transpose_backward, norm.batch_norm_backward, pointwise.leaky_relu_backward}     # joint kernels
    inner = {pointwise.leaky, pointwise.leaky_backward}                  # of the kernels themselves, in blocks
    for room in (conv, norm, pointwise):
        public = {f for name, f in inspect.getmembers(room, inspect.isfunction)
                  if f.__module__ == room.__name__ and not name.startswith("_")}
        assert public - derivatives - inner <= twins.keys(), public
    assert kernels.total in twins and len(twins) == 7


def test_the_book_itself_plays_the_game():
    """A step of the default recipe inside of `with plain():`, where no function of the machine room is called."""
    def gan():
        return tg.GAN(tg.models.small_generator(), tg.models.small_discriminator(), averaging=0.99)

    x, one, other, called = tg.data.digits()[0][:4], gan(), gan(), set()

    def note(frame, event, argument):
        if event == "call" and "/fast/" in frame.f_code.co_filename:
            called.add(frame.f_code.co_name)

    metrics = one.step(x)
    with tg.plain():
        assert fast.is_plain()
        sys.setprofile(note)
        try:
            plainly = other.step(x)
        finally:
            sys.setprofile(None)
    assert not fast.is_plain()
    assert not called & {quick.rpartition(".")[2] for _, _, quick in picked()}
    assert not {name for name in called if name.endswith("_backward")}
    for name in metrics:
        assert abs(float(metrics[name]) - float(plainly[name])) < 1e-6
    for part in ("generator", "discriminator"):
        for a, b in zip(getattr(one, part).arrays(), getattr(other, part).arrays()):
            np.testing.assert_allclose(a, b, atol=2e-4)         # Adam makes a step of lr of a gradient that is mere rounding


def test_plain_ends_with_its_block_and_belongs_to_its_thread():
    import threading
    seen = []
    with pytest.raises(KeyError):
        with tg.plain():
            thread = threading.Thread(target=lambda: seen.append(fast.is_plain()))
            thread.start()
            thread.join()
            with tg.plain():
                pass
            assert fast.is_plain()
            raise KeyError
    assert seen == [False] and not fast.is_plain()


def test_few_frames_lie_between_a_step_and_a_matrix_product(monkeypatch):
    depths, matmul = [], np.matmul

    def counted(*arguments, **options):
        frame, depth = sys._getframe(1), 0
        while frame and frame.f_code.co_name != "step":
            frame, depth = frame.f_back, depth + 1
        depths.append(depth)
        return matmul(*arguments, **options)

    gan = tg.GAN(tg.models.small_generator(width=4), tg.models.small_discriminator(width=4))
    monkeypatch.setattr(np, "matmul", counted)
    gan.step(tg.data.digits()[0][:4])
    assert depths and max(depths) <= 8


def test_importing_tinygan_is_quick():
    code = "import numpy, threadpoolctl, time; t = time.process_time(); import tinygan; print(time.process_time() - t)"
    times = [float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
             for _ in range(3)]
    assert time and min(times) < 0.3
