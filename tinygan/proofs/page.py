"""The page of proofs: one HTML file with every equation typeset, the place of its code, and every number."""
import html as markup

import numpy as np

from . import mathml
from ..gradcheck import TOLERANCE

STYLE = """
:root { --ink: #1d2330; --soft: #6b7280; --line: #dfe3ea; --paper: #fbfaf7; --card: #fff;
        --good: #1a7f4b; --bad: #c0262d }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ee; --soft: #98a1b3; --line: #333a48; --paper: #14171e; --card: #1b1f28;
          --good: #4fc487; --bad: #ff7b7b }
}
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 58rem; color: var(--ink); background: var(--paper);
       font: 16px/1.55 "Iowan Old Style", Charter, Georgia, "Times New Roman", serif }
h1 { font-size: 2.1rem; line-height: 1.2; margin: 0 0 .75rem } h2 { margin: 3rem 0 .75rem; font-size: 1.4rem }
h3 { margin: 0; font: 600 1rem ui-monospace, Menlo, Consolas, monospace }
math { font-size: 1.12em } .display { margin: 1.1rem 0; text-align: center }
nav a { margin-right: 1.1em } a { color: inherit; text-decoration-color: var(--soft) }
.summary { font-size: 1.15rem; padding: .8rem 1.1rem; border-left: .3rem solid var(--good); background: var(--card) }
.summary.bad { border-color: var(--bad) }
article { margin: 1rem 0; padding: 1rem 1.25rem; border: 1px solid var(--line); border-radius: .5rem;
          background: var(--card) }
header { display: flex; justify-content: space-between; gap: 1rem; align-items: baseline }
.place, .note, th, summary { color: var(--soft); font-size: .84rem; font-weight: normal }
.equation { display: flex; flex-wrap: wrap; align-items: baseline; gap: .35rem 2.2rem; margin: .6rem 0 }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums }
th { text-align: left } td, th { padding: .16rem .8rem .16rem 0; border-top: 1px solid var(--line) }
td.number, th.number { text-align: right; font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .8rem }
.cases { table-layout: fixed } .cases td:first-child { width: 32% }
.cases td:last-child { width: 4rem; text-align: right }
.cases td { vertical-align: top; color: var(--soft) } .cases td:first-child { color: inherit }
.error { font: .78rem ui-monospace, Menlo, Consolas, monospace } .cases .proved, .proved { color: var(--good) }
.cases .WRONG, .WRONG { color: var(--bad); font-weight: bold }
svg { vertical-align: middle } details { margin-top: .5rem } summary { cursor: pointer }
pre { margin: .2rem 0; font: .85rem ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap }
"""
TITLES = {"tensor": "The engine", "ops": "Elementary operations", "conv": "Convolution", "norm": "Batch normalisation",
          "losses": "Losses", "layers": "Layers", "optim": "Optimisers", "models": "Models",
          "training": "A whole step of the game"}


def html_of(proofs, summary):
    """The page as a string; it needs no other file. summary: the sentence at its top."""
    chapters = _grouped(proofs, lambda p: p.case.name.partition(".")[0])
    links = " ".join(f'<a href="#{chapter}">{TITLES[chapter]}</a>' for chapter in chapters)
    sections = ""
    for chapter, inside in chapters.items():
        articles = "".join(map(_article, _grouped(inside, lambda p: p.case.code).values()))
        sections += f'<section id="{chapter}"><h2>{TITLES[chapter]}</h2>{articles}</section>'
    bad = "" if all(p.holds for p in proofs) else " bad"
    identity = mathml.mathml("⟨∂⟨u, f⟩/∂x, v⟩ = d/dt ⟨u, f(x + t·v)⟩", display=True)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/><title>tinygan: every derivative, proved</title>
<meta name="viewport" content="width=device-width"/><style>{STYLE}</style></head><body>
<h1>Every derivative, proved</h1>
<p class="summary{bad}">{markup.escape(summary)}</p>
<p>The derivative that the code computes, on the left, beside two values of the function, on the right, for a random
cotangent {mathml.mathml("u")}, and for each input and parameter {mathml.mathml("x")} a random direction
{mathml.mathml("v")}, in double precision:</p>
<div class="display">{identity}</div>
<p>Each dot below is one such comparison; the further to the left, the better they agree, from 1 down to
{mathml.mathml("10⁻¹⁶")}. The line is the largest error allowed. Order 2 is the derivative of the derivative.</p>
<nav>{links}</nav>{sections}</body></html>
"""


def _grouped(proofs, key):
    """{key: the proofs that have it}, in the order of the proofs."""
    groups = {}
    for proof in proofs:
        groups.setdefault(key(proof), []).append(proof)
    return groups


def _article(same):
    """All proofs of one function: its equations, a line for each case, and all numbers."""
    case = same[0].case
    name = case.name.partition(":")[0]
    equations = "".join(f'<div class="equation">{"".join(map(_typeset, mathml.fragments(line)))}</div>'
                        for line in dict.fromkeys(line for p in same for line in p.case.equation))
    lines = "".join(map(_line, _grouped(same, lambda p: p.case.name).values()))
    numbers = "".join(f"<tr><th>{_label(p)}, order {p.order}</th><th>with respect to</th>"
                      '<th class="number">tinygan</th><th class="number">finite differences</th>'
                      f'<th class="number">relative error</th></tr>{_rows(p)}' for p in same)
    return (f'<article><header><h3>{markup.escape(name)}</h3><span class="place">{case.place}</span></header>'
            f'{equations}<table class="cases">{lines}</table>'
            f"<details><summary>all numbers</summary><table>{numbers}</table></details></article>")


def _label(proof):
    return markup.escape(proof.case.name.partition(": ")[2])


def _typeset(fragment):
    """A fragment of a docstring: an equation in MathML, or as it stands if it cannot be parsed; prose as a note."""
    math = mathml.mathml(fragment)
    if math and (mathml.is_equation(fragment) or "<mtext>" not in math):
        return math
    escaped = markup.escape(fragment)
    return f"<pre>{escaped}</pre>" if mathml.is_equation(fragment) else f'<span class="note">{escaped}</span>'


def _line(proofs):
    """The outcome of one case: a row with its orders side by side."""
    orders = "".join(f'<td>order {p.order} {_dots(p)} <span class="error">{p.max_error:.0e}</span>'
                     f'<pre>{markup.escape(p.failure)}</pre></td>' for p in proofs)
    verdict = "proved" if all(p.holds for p in proofs) else "WRONG"
    return (f"<tr><td>{_label(proofs[0])}</td>{orders}{'<td></td>' * (2 - len(proofs))}"
            f'<td class="{verdict}">{verdict}</td></tr>')


def _dots(proof):
    """The relative errors on a logarithmic line from 1e-16 to 1, and the largest one allowed."""
    def place(error):
        return 8 * (16 + np.log10(np.clip(np.nan_to_num(error, nan=1), 1e-16, 1))) + 5

    dots = "".join(f'<circle cx="{place(row.error):.1f}" cy="8" r="3" fill="currentColor" opacity="0.55"/>'
                   for row in proof.rows)
    limit = place(TOLERANCE[proof.order])
    return (f'<svg width="138" height="16" class="{proof.verdict}"><path d="M5 8H133" stroke="var(--line)"/>'
            f'<path d="M{limit:.0f} 2V14" stroke="var(--soft)"/>{dots}</svg>')


def _rows(proof):
    """The numbers of a proof: for each comparison a row of the page's table."""
    named = [(f"{row.name} {row.shape}", row) for row in proof.rows]
    if proof.value:
        named.append(("the value, beside its equation", proof.value))
    return "".join(f'<tr><td></td><td>{markup.escape(name)}</td><td class="number">{row.analytic:.9e}</td>'
                   f'<td class="number">{row.numeric:.9e}</td><td class="number">{row.error:.1e}</td></tr>'
                   for name, row in named)
