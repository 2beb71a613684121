"""The frame of an HTML page that needs no network and no library: its style and its script stand inside it."""
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
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"/>
<link rel="icon" href="data:,"/>
<title>$title</title>
<style>
$style</style>
</head>
<body>
<main>
<h1>$title</h1>
$body
</main>
$script</body>
</html>
""")


def html_page(title, body, style, script=None):
    """The page as a string. body: HTML below the title; style, script: files of this folder, beside page.css."""
    return FRAME.substitute(title=escape(title), body=body, style=_read("page.css") + _read(style),
                            script=f"<script>\n{_read(script)}</script>\n" if script else "")


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


def _read(name):
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
