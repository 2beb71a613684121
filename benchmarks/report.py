"""A benchmark's result as a table, a JSON file and a picture."""
import json
from pathlib import Path

from matplotlib.figure import Figure

from tinygan import plots

from . import measure

RESULTS = Path(__file__).with_name("results")


def table(result):
    """The result as text, names to the left, numbers to the right, notes below."""
    def cell(value):
        return "" if value is None else f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"

    names = max(len(row["name"]) for row in result["rows"]) if result["rows"] else 0
    lines = [result["title"], " " * names + "".join(f"  {c:>{max(9, len(c))}}" for c in result["columns"])]
    for row in result["rows"]:
        cells = (f"  {cell(row.get(c)):>{max(9, len(c))}}" for c in result["columns"])
        lines.append(f"{row['name']:{names}}" + "".join(cells))
    return "\n".join(lines + [f"  · {note}" for note in result.get("notes", [])]) + "\n"


def write(name, result, command):
    """results/NAME.json with the machine and the command that made it, results/NAME.png: the first column as bars."""
    RESULTS.mkdir(exist_ok=True)
    record = {"command": command, **measure.environment(), **result}
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    _bars(result, RESULTS / f"{name}.png")
    print(f"written: {RESULTS / name}.json and .png\n")


@plots.own_settings()
def _bars(result, path):
    rows, column = result["rows"], result["columns"][0]
    figure = Figure(figsize=(8, 0.8 + 0.26 * max(1, len(rows))), layout="constrained")
    axis = figure.subplots()
    places = range(len(rows))                       # names may be equal: a network has several LeakyReLU
    bars = axis.barh(places, [row[column] for row in rows], tick_label=[row["name"] for row in rows],
                     color=["#999999" if "PyTorch" in row["name"] else "#0072b2" for row in rows])
    axis.bar_label(bars, fmt=lambda value: f"{value:.3g}" if value < 100 else f"{value:,.0f}", padding=3, fontsize=8)
    axis.set_ylim(len(rows) - 0.4, -0.6)             # the first row on top
    axis.set(title=result["title"], xlabel=column)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
