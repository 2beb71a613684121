"""Where the words of a run go: a terminal, a file, or nowhere."""
import os
import sys
from contextlib import ExitStack, contextmanager, suppress

from tqdm.auto import tqdm


@contextmanager
def audible():
    """Inside of the block, or of the function that it decorates, a print never fails for want of a letter or of a stream.

    A letter that the stream's encoding does not have is written as \\u…. A program without a window (pythonw) has None for
    its streams, and one may be closed: there the words go to nobody. Afterwards the streams are what they were."""
    with ExitStack() as afterwards:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None or getattr(stream, "closed", False):
                afterwards.callback(setattr, sys, name, stream)
                setattr(sys, name, afterwards.enter_context(open(os.devnull, "w", encoding="utf-8")))
            elif hasattr(stream, "reconfigure"):
                afterwards.callback(stream.reconfigure, errors=stream.errors)
                stream.reconfigure(errors="backslashreplace")
        yield


def aloud(text, file=None):
    """print() for a run, above its bar if there is one. The run goes on after its reader has left (`| head`) and where the
    disk of its log is full."""
    with suppress(OSError), tqdm.external_write_mode(file):
        print(text, file=file, flush=True)
