"""What the README says is so."""
import re
from pathlib import Path

import pytest

import tinygan as tg

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SIX, TWENTY = re.findall(r"```python\n(.*?)```", TEXT, re.S)


def test_the_six_lines_give_the_numbers_beside_them():
    names = {}
    exec(compile(SIX, "README.md", "exec"), names)
    told = [float(number.replace("−", "-")) for number in re.findall(r"#\s+(−?[\d.]+)", SIX)]
    found = [float(names[name]) for name in ("dy", "d2y", "difference")]
    assert found == pytest.approx(told, rel=1e-12)


def test_the_twenty_lines_print_what_stands_below_them(capsys):
    tg.seed(0)                              # where a new process begins
    exec(compile(TWENTY, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    below = re.search(re.escape(TWENTY) + r"```\n\n((?: {4}.*\n)+)", TEXT).group(1).splitlines()
    number = re.compile(r"-?\d+\.\d+e?[+-]?\d*")     # float32 has trained the network: machines agree to some digits
    assert [number.sub("…", line).split() for line in printed] == [number.sub("…", line).split() for line in below]
    for here, there in zip(printed[2:], below[2:]):
        told = [float(value) for value in number.findall(there)[:2]]
        assert [float(value) for value in number.findall(here)[:2]] == pytest.approx(told, rel=1e-3), here


def test_the_files_of_the_table_have_so_many_lines():
    rows = re.findall(r"\| \[[\w./]+\]\((tinygan/\S+)\) \| (\d+) \|", TEXT)
    assert len(rows) == 12
    for path, lines in rows:
        assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) == int(lines), path


def test_links_lead_somewhere_and_sentences_are_short():
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert (ROOT / target).exists(), target
    prose = re.sub(r"```.*?```|^    .*$|^\|.*$|`[^`]*`", "", TEXT, flags=re.S | re.M)
    for sentence in re.split(r"(?<=[.:;])\s+|\n\n", prose):
        assert len(sentence.split()) <= 30, sentence
