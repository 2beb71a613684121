"""One picture that is drawn again while a GAN learns: in place in a notebook, elsewhere in a file."""
import signal
import threading
import time

import numpy as np
from PIL import Image, PngImagePlugin

from ..errors import StopTraining, integer
from ..umpire import BELIEFS
from . import plots
from .cell import in_notebook
from .files import check_place
from .landscape import ARROWS, landscape, window

SHARE = 0.04                        # of the training's time that drawing may take, unless `every` is given
HEIGHT = 480                        # pixels of the picture
TITLE = "tinygan.plots.Live"        # in the file, so that a picture of its own is known and nothing else overwritten


class Live:
    """A callback: gan.fit(images, steps, callbacks=plots.Live()) shows samples, losses and D's beliefs as they change.

    every    steps between two pictures; by default as many as keep drawing below 4 % of the time
    real     real points (N, 2), to see them and D's surface under the generated ones
    ink      True: 1 is ink on white paper, as in digits; False: 1 is white, as in photographs
    path     of a PNG to write instead of showing the picture; where no notebook is, live.png by default
    In a notebook its own stop button, ■, ends the training after the step in hand, and the cell goes on behind fit.
    TinyganError for a path at which something else than a picture of Live's stands."""

    def __init__(self, every=None, real=None, ink=True, path=None):
        self.every = None if every is None else integer("every", every, 1)
        self.real, self.ink = real, ink
        self.path = path or (None if in_notebook() else "live.png")
        if self.path:
            check_place(self.path, overwrite=_is_own(self.path))
        self.begun, self.spent, self.last = time.perf_counter(), 0.0, 0.0       # seconds; those of the last picture
        self.shown, self.stopped = None, False

    def __call__(self, gan, metrics):
        if not self.path:
            self._listen()
        elapsed = time.perf_counter() - self.begun
        if gan.steps % self.every == 0 if self.every else self.spent + self.last <= SHARE * elapsed:
            self.draw(gan)
            self.last = time.perf_counter() - self.begun - elapsed
            self.spent += self.last
        if self.stopped:
            self.stopped = False
            raise StopTraining

    def draw(self, gan):
        """Show the game as it stands, or write it to the path."""
        made = self.picture(gan)
        if self.path:
            title = PngImagePlugin.PngInfo()
            title.add_text("Title", TITLE)
            plots.save(made, self.path, pnginfo=title)
        elif self.shown is None:
            from IPython.display import display
            self.shown = display(made, display_id=True)
        else:
            self.shown.update(made)

    def picture(self, gan):
        """Samples on the left, losses and beliefs on the right, as an Image."""
        noise = np.random.default_rng(1).standard_normal((64 if self.real is None else 1000, gan.latent))
        samples = gan.generate(noise)
        parts = [self._samples(gan, samples), plots.losses(gan.history)]
        parts = [part.convert("RGB").resize((part.width * HEIGHT // part.height, HEIGHT)) for part in parts]
        whole = Image.new("RGB", (sum(part.width for part in parts), HEIGHT), "white")
        for part, left in zip(parts, (0, parts[0].width)):
            whole.paste(part, (left, 0))
        return whole

    def _samples(self, gan, samples):
        if samples.ndim == 4:
            return plots.samples(samples, columns=8, ink=self.ink)
        if self.real is None:
            return plots.scatter(samples)
        extent = window(self.real)
        return plots.drawn(plots.landscape(gan.steps, samples, self.real[:1000], *landscape(gan, samples[:ARROWS], extent),
                                           extent, gan.loss in BELIEFS))

    def _listen(self):
        """Hear the stop button. A kernel gives each cell its own handler of SIGINT, so this one ends with the cell."""
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) != self._stop:
            signal.signal(signal.SIGINT, self._stop)

    def _stop(self, number, frame):
        """The first time the training is to end; the second time whatever is running."""
        self.stopped = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_own(path):
    """Does a picture of Live's stand at the path?"""
    try:
        with Image.open(path) as there:
            return there.info.get("Title") == TITLE
    except (OSError, ValueError):
        return False
