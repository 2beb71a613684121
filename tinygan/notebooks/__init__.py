"""Notebooks of a course: `tinygan notebook NAME` writes one as .ipynb.

They are kept as Python files with a line `# %%` above each cell and `# %% [markdown]` above each text, so that a change can be
read. A line that begins with `#>` in a cell says what is printed below it; a test runs each notebook and looks.
GUIDE.md is for the teacher.
"""
import re
from pathlib import Path

from ..errors import TinyganError
from ..look.files import check_place, whole

GUIDE = Path(__file__).with_name("GUIDE.md")
SOURCES = {path.stem[3:]: path for path in sorted(Path(__file__).parent.glob("[0-9][0-9]_*.py"))}


def listing():
    """A line for each notebook: its name and its title."""
    return "\n".join(f"  {name:10} {cells(name)[0][1].splitlines()[0].removeprefix('# ')}" for name in SOURCES)


def cells(name):
    """[("markdown" or "code", text)] of a notebook.  TinyganError for one that there is not."""
    if name not in SOURCES:
        raise TinyganError(f"there is no notebook {name!r}: choose one of {', '.join(SOURCES)}")
    parts = re.split(r"^# %%( \[markdown\])?\n", SOURCES[name].read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return [("markdown", re.sub("^# ?", "", text.strip(), flags=re.MULTILINE)) if marked else ("code", text.strip())
            for marked, text in zip(parts[::2], parts[1::2])]


def notebook(name):
    """The notebook as nbformat has it.  TinyganError without nbformat."""
    try:
        from nbformat import v4
    except ImportError as error:
        raise TinyganError("got no nbformat, which writes notebooks, expected it: pip install nbformat ipykernel") from error
    made = {"markdown": v4.new_markdown_cell, "code": v4.new_code_cell}
    written = v4.new_notebook(cells=[made[kind](text, id=f"{name}-{number}") for number, (kind, text) in enumerate(cells(name))])
    written.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return written


def write(name, path=None):
    """Write NAME.ipynb and return its path.  TinyganError if a file is there already: what was done in it would be lost."""
    path = Path(path or f"{name}.ipynb")
    made = notebook(name)
    check_place(path, advice=" with --out")
    from nbformat import write
    with whole(path) as unfinished:
        write(made, unfinished)
    return path
