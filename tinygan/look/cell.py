"""What a prompt or the cell of a notebook shows: of a game or an optimiser a line, of what was measured a table."""
import sys
from html import escape

from .. import summary
from ..errors import brief
from ..gradcheck import TOLERANCE, Report
from ..layers import Dense, Sequential
from ..optim import SGD, Adam
from ..training import GAN
from .page import layers, table


def in_notebook():
    """Does the kernel of a notebook run this program?"""
    return hasattr("IPython" in sys.modules and sys.modules["IPython"].get_ipython(), "kernel")


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


def _players(gan):
    painted = summary.rows(gan.generator, (gan.latent,))
    judged = summary.rows(gan.discriminator, painted[-1][1])
    size = sum(array.nbytes for network in (gan.generator, gan.discriminator) for array in network.arrays())
    return f"<p>{escape(repr(gan))}, {size:,} bytes</p><h4>G</h4>{layers(painted)}<h4>D</h4>{layers(judged)}"


def _network(network):
    """Its layers; with the shapes of their outputs where the first one, a Dense, tells the shape of an input."""
    if network.layers and isinstance(network.layers[0], Dense):
        return layers(summary.rows(network, (network.layers[0].in_features,)))
    rows = [(escape(repr(layer)), f"{sum(p.size for p in layer.parameters()):,}") for layer in network.layers]
    total = f"{sum(p.size for p in network.parameters()):,}"
    return table([*rows, ("all", total)], ("layer", "parameters"))


def _optimiser(optimiser):
    settings = ", ".join(f"{name}={value}" for name, value in optimiser.settings().items())
    return f"{type(optimiser).__name__}({sum(p.size for p in optimiser.parameters):,} parameters, {settings})"


GAN.__repr__, GAN._repr_html_, Sequential._repr_html_ = _game, _players, _network
Report.__repr__, Report._repr_html_ = _short_report, _report
Adam.__repr__ = SGD.__repr__ = _optimiser
