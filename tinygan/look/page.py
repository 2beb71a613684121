"""The frame of an HTML page that needs no network and no library: its style and its script stand inside it."""
import base64
from html import escape
from importlib import resources
from string import Template

from ..summary import size

FRAME = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; ${allowed}style-src 'unsafe-inline'; script-src 'unsafe-inline'"/>
<link rel="icon" href="data:,"/>
<title>$title</title>
<style>
$style</style>
</head>
<body>
$body
$script</body>
</html>
""")


def html_page(title, body, style, script=None):
    """The page as a string. body: HTML below the title; style, script: files of this folder, beside page.css."""
    return framed(title, f"<main>\n<h1>{escape(title)}</h1>\n{body}\n</main>", read(style), script and read(script))


def framed(title, body, style, script=None, allowed=""):
    """The page as a string. body: all of it; style, script: their texts, the style's after page.css; allowed: what its policy
    allows beyond what stands inside it."""
    return FRAME.substitute(title=escape(title), body=body, style=read("page.css") + style, allowed=allowed,
                            script=f"<script>\n{script}</script>\n" if script else "")


def embedded(kind, file, attributes):
    """The bytes of a picture as an element that needs no other file."""
    return f'<img src="data:image/{kind};base64,{base64.b64encode(file).decode()}" {attributes}>'


def table(rows, head=None):
    """rows: [(name, value, …)], each a piece of HTML; head: the same for the row on top."""
    top = "<thead><tr>" + "".join(f'<th scope="col">{cell}</th>' for cell in head) + "</tr></thead>" if head else ""
    lines = (f'<tr><th scope="row">{name}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
             for name, *cells in rows)
    return f"<table>{top}<tbody>{''.join(lines)}</tbody></table>"


def layers(rows):
    """The rows of summary.rows as a table, with their total."""
    total = ("all", "", f"{sum(n for *_, n in rows):,}")
    return table([*((escape(layer), size(output), f"{n:,}") for layer, output, n in rows), total],
                 ("layer", "output", "parameters"))


def read(name):
    """The text of a file of this folder."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
