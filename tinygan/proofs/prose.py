"""From a docstring to HTML: paragraphs, equations, which are typeset, and names with what they mean.

An equation stands at the beginning of a paragraph, or is indented. A name stands in front of the column where all that is said
of it begins. What else is aligned by spaces is left as it stands.
"""
import inspect
import re
from html import escape
from itertools import groupby

from . import mathml

NAME = re.compile(r" *(?!min_)[A-Za-z_][\w, ()]*? {2,}(?=\S)")


def html_of(docstring):
    """The docstring as HTML."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(docstring))
    return "".join(WAYS[kind]([line for _, line in lines]) for paragraph in paragraphs
                   for kind, lines in groupby(_kinds(paragraph.splitlines()), lambda pair: pair[0]))


def _kinds(lines):
    """(kind, line) for the lines of a paragraph."""
    kind, column = "equation", 0
    for k, line in enumerate(lines):
        if column and (line[:column].isspace() or NAME.match(line)):
            pass                                    # the list goes on
        elif (name := NAME.match(line)) and (len(lines) == k + 1 or not lines[k + 1][:name.end()].strip()
                                             or lines[k + 1][name.end() - 2:name.end()] == "  "):
            kind, column = "list", name.end()
        elif any(map(mathml.is_equation, mathml.fragments(line))) and (
                kind == "equation" and not re.match("[A-Z][a-z]+ ", line) or line.startswith(" ")):
            kind, column = "equation", 0
        else:
            kind, column = "aligned" if line.startswith(" ") or re.search(r"\S {3,}\S", line) else "prose", 0
        yield kind, line


def _prose(lines):
    return f"<p>{_text(' '.join(lines))}</p>"


def _aligned(lines):
    return "<pre>" + escape("\n".join(lines)) + "</pre>"


def _list(lines):
    column, entries = NAME.match(lines[0]).end(), []
    for line in lines:
        if name := not line[:column].isspace() and NAME.match(line):
            entries.append([name.group().strip()])
        entries[-1].append(line[name.end() if name else column:])
    return "<dl>" + "".join(
        f"<dt>{escape(name)}</dt><dd>{equation(said[0]) if ' = ' in said[0] else _text(' '.join(said))}</dd>"
        for name, *said in entries) + "</dl>"


def _text(text):
    return re.sub("`(.+?)`", r"<code>\1</code>", escape(text))


def equation(line):
    """A line with equations in it, as a row of its fragments."""
    return f'<div class="equation">{"".join(map(_typeset, mathml.fragments(line)))}</div>'


def _typeset(fragment):
    """A fragment of a docstring: an equation in MathML, or as it stands if it cannot be parsed; prose as a note."""
    math = mathml.mathml(fragment)
    if math and (mathml.is_equation(fragment) or "<mtext>" not in math):
        return math
    escaped = escape(fragment)
    return f"<pre>{escaped}</pre>" if mathml.is_equation(fragment) else f'<span class="note">{escaped}</span>'


WAYS = {"prose": _prose, "aligned": _aligned, "list": _list, "equation": lambda lines: "".join(map(equation, lines))}
