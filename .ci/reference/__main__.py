"""Writes the reference of the public face, from its docstrings, to build/reference/, which opens from disk."""
from pathlib import Path

import pdoc
from pdoc import doc_pyi, render

from tinygan.proofs import prose

HERE = Path(__file__).parent
ROOMS = "tensor|ops|conv|norm|losses|module|layers|optim|gradcheck|models|training|backend|group|data|errors|look|play$"

render.configure(template_directory=HERE, search=True, show_source=True)
render.env.filters["to_markdown"] = lambda docstring, *_: docstring         # they are no Markdown: equations are typeset,
render.env.filters["to_html"] = prose.html_of                               # and lists are told by their columns
doc_pyi.include_typeinfo_from_stub_files = lambda module: None              # pdoc runs a stub as a program, which it is not
pdoc.pdoc("tinygan", rf"!tinygan\.(?!{ROOMS})", output_directory=HERE.parents[1] / "build" / "reference")
