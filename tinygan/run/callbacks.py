"""What happens between two steps of a run: it is saved, pictures are kept, progress is shown, and a signal stops it."""
import signal
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
from tqdm.auto import tqdm

from .. import checkpoint, group
from ..backend import to_numpy
from ..look.cell import in_notebook
from ..look.files import write_text
from ..look.landscape import ARROWS, landscape, window
from .output import aloud

BAR = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{remaining}{postfix}]"     # of 60 columns 12 are left for the bar
PROGRESS_MOMENTS = (0.01, 0.05, 0.15, 0.35, 0.65, 1.0)     # of the run, when progress.png looks at the fixed noise
FRAMES = 24                                                 # moments in frames.npz, closer together at the start
SAVE_EVERY = 20.0                                           # seconds between two checkpoints


class Keeper:
    """A callback that saves the run every few steps or seconds, and where its score is the best so far. Frames and scores are
    written first: no checkpoint is ahead of them, and those that are ahead of it are dropped when the run goes on."""

    def __init__(self, folder, frames, scores, every):
        self.folder, self.frames, self.scores, self.every = folder, frames, scores, every
        self.saved, self.last = 0, time.monotonic()

    def __call__(self, gan, metrics):
        due = gan.steps % self.every == 0 if self.every else time.monotonic() - self.last >= SAVE_EVERY
        if due or self.scores.best_is(gan.steps):
            self.save(gan)

    def save(self, gan):
        self.frames.save(self.folder / "frames.npz")
        self.scores.save()
        gan.save(self.folder / "checkpoint.npz")
        self.keep_best(gan)
        rows = zip(*gan.history.values())
        lines = [",".join(["step", *gan.history])] + [",".join(map(repr, [k, *row])) for k, row in enumerate(rows, 1)]
        write_text(self.folder / "metrics.csv", "\n".join(lines) + "\n")
        self.saved, self.last = gan.steps, time.monotonic()

    def keep_best(self, gan):
        """Give the checkpoint of this step the second name best.npz, if it is the best."""
        if self.scores.best_is(gan.steps):
            checkpoint.link(self.folder / "checkpoint.npz", self.folder / "best.npz")


class Frames:
    """A callback that keeps what G makes of the same noise at several moments of the run: 100 images or 2,500 points, and
    for points in the plane also D's landscape (landscape.py)."""

    def __init__(self, gan, steps, real, path=None):
        images = real.ndim == 4
        self.extent = window(real) if real.shape[1:] == (2,) else None
        self.noise = np.random.default_rng(1).standard_normal((100 if images else 2500, gan.latent))
        self.moments = {max(1, round(part * steps)) for part in (*PROGRESS_MOMENTS, *(np.arange(1, FRAMES + 1) / FRAMES) ** 2)}
        # (step, samples) and (surface, arrows)
        self.taken, self.landscapes = self._read(path, gan.steps) if path else ([], [])

    def __call__(self, gan, metrics):
        if gan.steps in self.moments:
            self.take(gan)

    def take(self, gan):
        if not self.taken or self.taken[-1][0] != gan.steps:
            samples = gan.generate(self.noise)
            self.taken.append((gan.steps, half(samples)))
            if self.extent:
                seen = landscape(gan, samples[:ARROWS], self.extent)
                self.landscapes.append([half(array) for array in seen])

    def of_progress(self):
        """[(step, 8 images or all points)] at the frames nearest to PROGRESS_MOMENTS."""
        steps = np.array([step for step, _ in self.taken])
        chosen = sorted({int(abs(steps - part * steps[-1]).argmin()) for part in PROGRESS_MOMENTS})
        return [(int(steps[k]), self.taken[k][1][:None if self.extent else 8].astype(np.float32)) for k in chosen]

    def save(self, path):
        arrays = {f"{k}": samples for k, (_, samples) in enumerate(self.taken)}
        for k, (surface, arrows) in enumerate(self.landscapes):
            arrays |= {f"{k}.surface": surface, f"{k}.arrows": arrows}
        checkpoint.write(path, {"steps": [step for step, _ in self.taken]}, arrays, keep=False)

    @staticmethod
    def _read(path, step):
        about, arrays = checkpoint.read(path)
        try:
            taken = [(k, arrays[str(number)]) for number, k in enumerate(about["steps"]) if k <= step]
            seen = [[arrays[f"{number}.{name}"] for name in ("surface", "arrows")] for number in range(len(taken))
                    if f"{number}.surface" in arrays]
            return taken, seen
        except (KeyError, TypeError) as error:
            raise checkpoint.damaged(path, error) from error


def half(array):
    """In half precision, which is enough to draw; what lies beyond its range, as points of an exploded game, at its edge."""
    largest = np.finfo(np.float16).max
    return array.clip(-largest, largest).astype(np.float16)


class Progress:
    """A callback that shows how the game stands: by a bar in a terminal or notebook, elsewhere by a line now and then."""

    def __init__(self, steps, begun, batch_size, quiet):
        self.steps, self.batch_size, self.quiet = steps, batch_size, quiet
        self.lines = not quiet and not sys.stderr.isatty() and not in_notebook()
        self.every = max(1, steps // 10) if self.lines else 10
        self.done, self.start = 0, time.perf_counter()
        self.bar = tqdm(total=steps, initial=begun, bar_format=BAR, disable=quiet or self.lines, dynamic_ncols=True)

    def __call__(self, gan, metrics):
        self.done += 1
        self.bar.update()
        if self.quiet or (gan.steps % self.every and gan.steps != self.steps):
            return
        values = {name: float(to_numpy(value)) for name, value in metrics.items()}
        beliefs = f"D(x) {values['d_real']:.2f}, D(G(z)) {values['d_fake']:.2f}"
        self.bar.set_postfix_str(beliefs, refresh=False)
        if self.lines:
            rate = self.done * self.batch_size / (time.perf_counter() - self.start)
            aloud(f"step {gan.steps:6d}/{self.steps}  {beliefs}, loss D {values['d_loss']:.2f}, G {values['g_loss']:.2f}, "
                  f"{rate:,.0f} images/s")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()


class Stopped(Exception):
    """A run was told to end, by Ctrl-C or by SIGTERM, and has finished its current step.  number: the signal's."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number

    def __str__(self):
        return "Ctrl-C" if self.number == signal.SIGINT else signal.Signals(self.number).name


@contextmanager
def stop_after_step():
    """A callback that ends the training between two steps after a first Ctrl-C or SIGTERM, on whichever rank it arrives.
    A second Ctrl-C ends the training at once. A signal that this process was told to ignore, as a shell tells what runs in
    the background, is ignored still; so is one whose handler is not Python's, for nobody could put it back."""
    received, before = [], {}

    def note(number, frame):
        received.append(number)
        group.current().tell(number)
        if signal.SIGINT in before:
            signal.signal(signal.SIGINT, before[signal.SIGINT])

    def stop(gan, metrics):
        if number := (received or [group.current().told()])[0]:
            raise Stopped(number)

    if threading.current_thread() is threading.main_thread():           # no other thread may set a handler
        before |= {number: handler for number in (signal.SIGINT, signal.SIGTERM)
                   if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)}
    try:
        for number in before:
            signal.signal(number, note)
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
