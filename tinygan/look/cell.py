"""What a prompt or the cell of a notebook shows: of a game or an optimiser a line, of what was measured a table."""
from html import escape

from ..errors import brief
from ..gradcheck import TOLERANCE, Report
from ..optim import SGD, Adam
from ..training import GAN
from .page import table


def measured(score):
    """The numbers of a score as a table: what each is called, what it is, its value."""
    return table([tuple(map(escape, row)) for row in score.rows()], ("number", "what it is", "value"))


def _report(report):
    rows = [(escape(f"{row.name} {row.shape}"), f"{row.analytic:.8e}", f"{row.numeric:.8e}", f"{row.error:.1e}",
             "proved" if row.error <= TOLERANCE[report.order] else "WRONG", escape(row.note)) for row in report.rows]
    return (f"<p>{escape(brief(report.function))}, order {report.order}, seed {report.seed}; largest relative error allowed "
            f"{TOLERANCE[report.order]:.0e}</p>"
            + table(rows, ("with respect to", "analytic", "numeric", "rel. error", "verdict", "")))


def _short_report(report):
    verdict = f"{len(report.wrong)} WRONG" if report.wrong else "all proved"
    return f"Report({brief(report.function, 40)}, order {report.order}: {len(report.rows)} derivatives, {verdict})"


def _game(gan):
    G, D = (sum(p.size for p in network.parameters()) for network in (gan.generator, gan.discriminator))
    return f"GAN(G of {G:,} and D of {D:,} parameters, latent={gan.latent}, loss={gan.loss!r}, {gan.steps:,} steps played)"


def _optimiser(optimiser):
    settings = ", ".join(f"{name}={value}" for name, value in optimiser.settings().items())
    return f"{type(optimiser).__name__}({sum(p.size for p in optimiser.parameters):,} parameters, {settings})"


GAN.__repr__, Report.__repr__, Report._repr_html_ = _game, _short_report, _report
Adam.__repr__ = SGD.__repr__ = _optimiser
