"""What the benchmarks draw of their numbers."""
from matplotlib.figure import Figure

from benchmarks import report


def test_rows_of_equal_names_have_a_bar_each(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, dpi: figures.append(figure))
    rows = [{"name": name, "ms": ms} for name, ms in (("a", 3.0), ("b", 1.0), ("a", 2.0))]
    report._bars({"title": "", "columns": ["ms"], "rows": rows}, tmp_path / "bars.png")
    axis, = figures[0].axes
    assert [(bar.get_y() + bar.get_height() / 2, bar.get_width()) for bar in axis.patches] == [(0, 3), (1, 1), (2, 2)]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b", "a"]
    assert axis.get_ylim()[0] > axis.get_ylim()[1]          # the first row is on top
