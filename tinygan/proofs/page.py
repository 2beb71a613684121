"""The page of proofs: one HTML file with every equation typeset, the place of its code, and every number."""
import html as markup

import numpy as np

from ..gradcheck import TOLERANCE
from ..look.page import html_page
from . import mathml, prose

HEADING = "tinygan: every derivative, proved"
TITLES = {"tensor": "The engine", "ops": "Elementary operations", "conv": "Convolution", "norm": "Batch normalisation",
          "losses": "Losses", "layers": "Layers", "optim": "Optimisers", "models": "Models",
          "training": "A whole step of the game"}
NUMBERS = ('<tr><th scope="col">with respect to</th><th scope="col" class="number">tinygan</th>'
           '<th scope="col" class="number">finite differences</th><th scope="col" class="number">relative error</th></tr>')


def html_of(proofs, summary):
    """The page as a string; it needs no other file. summary: the sentence at its top."""
    chapters = _grouped(proofs, lambda p: p.case.name.partition(".")[0])
    links = " ".join(f'<a href="#{chapter}">{TITLES[chapter]}</a>' for chapter in chapters)
    sections = ""
    for chapter, inside in chapters.items():
        articles = "".join(map(_article, _grouped(inside, lambda p: p.case.code).values()))
        sections += f'<section id="{chapter}" aria-label="{TITLES[chapter]}"><h2>{TITLES[chapter]}</h2>{articles}</section>'
    bad = "" if all(p.holds for p in proofs) else " bad"
    identity = mathml.mathml("⟨∂⟨u, f⟩/∂x, v⟩ = d/dt ⟨u, f(x + t·v)⟩", display=True)
    return html_page(HEADING, f"""<p class="summary{bad}">{markup.escape(summary)}</p>
<p>The derivative that the code computes, on the left, beside two values of the function, on the right, for a random
cotangent {mathml.mathml("u")}, and for each input and parameter {mathml.mathml("x")} a random direction
{mathml.mathml("v")}, in double precision:</p>
<div class="display">{identity}</div>
<p>Each dot below is one such comparison; the further to the left, the better they agree, from 1 down to
{mathml.mathml("10⁻¹⁶")}. The line is the largest error allowed. Order 2 is the derivative of the derivative.</p>
<nav aria-label="chapters">{links}</nav>{sections}""", "proofs.css")


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
    equations = "".join(map(prose.equation, dict.fromkeys(line for p in same for line in p.case.equation)))
    lines = "".join(map(_line, _grouped(same, lambda p: p.case.name).values()))
    numbers = "".join(f"<table><caption>{_label(p) and _label(p) + ', '}order {p.order}</caption>{NUMBERS}{_rows(p)}</table>"
                      for p in same)
    return (f'<article><header><h3>{markup.escape(name)}</h3><span class="place">{case.place}</span></header>'
            f'{equations}<table class="cases">{lines}</table>'
            f"<details><summary>all numbers</summary>{numbers}</details></article>")


def _label(proof):
    return markup.escape(proof.case.name.partition(": ")[2])


def _line(proofs):
    """The outcome of one case: a row with its orders side by side."""
    orders = "".join(f'<td>order {p.order} {_dots(p)} <span class="error">{p.max_error:.0e}</span>'
                     f'<pre>{markup.escape(p.failure)}</pre></td>' for p in proofs)
    verdict = "proved" if all(p.holds for p in proofs) else "WRONG"
    return (f'<tr><th scope="row">{_label(proofs[0])}</th>{orders}{"<td></td>" * (2 - len(proofs))}'
            f'<td class="{verdict}">{verdict}</td></tr>')


def _dots(proof):
    """The relative errors on a logarithmic line from 1e-16 to 1, and the largest one allowed."""
    def place(error):
        return 8 * (16 + np.log10(np.clip(np.nan_to_num(error, nan=1), 1e-16, 1))) + 5

    lanes, dots = [], ""                # the last dot of each lane: one that would touch it lies a lane higher
    for x in sorted(place(row.error) for row in proof.rows):
        lane = next((k for k, last in enumerate(lanes) if x - last >= 6), len(lanes))
        lanes[lane:lane + 1] = [x]
        dots += f'<circle cx="{x:.1f}" cy="{-6 * lane}" r="2.6" fill="currentColor"/>'
    top, limit = 8 + 6 * max(0, len(lanes) - 1), place(TOLERANCE[proof.order])
    return (f'<svg width="138" height="{top + 8}" viewBox="0 {-top} 138 {top + 8}" class="{proof.verdict}" aria-hidden="true">'
            f'<path d="M5 0H133" stroke="var(--rule)"/><path d="M{limit:.0f} {2 - top}V6" stroke="var(--soft)"/>{dots}</svg>')


def _rows(proof):
    """The numbers of a proof: for each comparison a row of the page's table."""
    named = [(f"{row.name} {row.shape}", row) for row in proof.rows]
    if proof.value:
        named.append(("the value, beside its equation", proof.value))
    return "".join(f'<tr><th scope="row">{markup.escape(name)}</th><td class="number">{row.analytic:.9e}</td>'
                   f'<td class="number">{row.numeric:.9e}</td><td class="number">{row.error:.1e}</td></tr>'
                   for name, row in named)
