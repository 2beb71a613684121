"""A lesson on one page: the question, the equations, what came out, the pictures, and the code."""
import ast
from html import escape
from pathlib import Path

from ..look.page import embedded, html_page, table
from ..proofs import prose


def html_of(name, rows, pictures):
    """The page of the lesson as a string; it needs no other file.  rows: of its outcome; pictures: paths of PNGs."""
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    docstring = ast.parse(source).body[0]
    question, _, text = docstring.value.value.partition("\n")
    code = "\n".join(source.splitlines()[docstring.end_lineno:]).strip()
    numbers = table([(escape(row.what), escape(str(row)), escape(row.published)) for row in rows], ("", "here", "published"))
    return html_page(question, f"""{prose.html_of(text)}
<section><h2>What came out</h2>{numbers}{"".join(map(_figure, pictures))}</section>
<section><h2>The code</h2><pre class="code">{escape(code)}</pre></section>""", "lesson.css")


def _figure(path):
    picture = embedded("png", path.read_bytes(), f'alt="{path.stem}"/')
    return f"<figure>{picture}<figcaption>{path.name}</figcaption></figure>"
