"""Every mistake in the museum is caught, and the right way passes the same measurement."""
import ast
import textwrap

import pytest

from tinygan.proofs.museum import CAUGHT, EXHIBITS, RIGHT, show


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.title)
def test_the_number_gives_the_mistake_away(exhibit):
    assert abs(exhibit.number() - exhibit.ideal) > CAUGHT
    assert abs(exhibit.right_number() - exhibit.ideal) < RIGHT
    assert exhibit.caught and RIGHT < CAUGHT


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.title)
def test_an_exhibit_can_be_read(exhibit):
    assert exhibit.bitten and exhibit.meaning and exhibit.title
    assert ast.parse(exhibit.written).body[0].name == exhibit.wrong.__name__
    assert exhibit.right_line
    assert not set(exhibit.right_line.splitlines()) & set(textwrap.dedent(exhibit.written).splitlines())


def test_there_are_enough_and_each_once():
    assert len(EXHIBITS) >= 14
    assert len({exhibit.title for exhibit in EXHIBITS}) == len({exhibit.wrong for exhibit in EXHIBITS}) == len(EXHIBITS)


def test_the_right_way_is_no_mistake():
    for exhibit in EXHIBITS:
        swapped = type(exhibit)(exhibit.title, exhibit.bitten, exhibit.right, exhibit.right, exhibit.measure,
                                exhibit.meaning, exhibit.ideal)
        assert not swapped.caught


def test_the_show_has_them_all():
    text = show(EXHIBITS)
    for exhibit in EXHIBITS:
        assert exhibit.title in text and f"def {exhibit.wrong.__name__}" in text and f"{exhibit.number():.3g}" in text
        assert exhibit.right_line.splitlines()[0].strip() in text
    assert text.endswith(f"{len(EXHIBITS)} of {len(EXHIBITS)} mistakes are told from the right way by their number.")
    assert max(len(line) for line in text.splitlines()) <= 125
