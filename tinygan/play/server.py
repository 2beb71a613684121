"""The one door of `tinygan play`: HTTP on this machine alone.

    GET  /TOKEN/            the page
    GET  /TOKEN/events      pictures of the game, as server-sent events
    GET  /TOKEN/source      the lines of the round, explained (lines.py)
    GET  /TOKEN/proof?NAME  the proof of a derivative
    POST /TOKEN/do          {"do": a command, "page": who asks, …} → {} or {"error": a sentence}

Nobody without the token is answered, and no page from elsewhere: Host and Origin must be ours. The game belongs to one thread;
the others hand it commands and wait.
"""
import copy
import json
import secrets
import time
import webbrowser
from concurrent.futures import Future
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from math import inf
from queue import Empty, Queue
from threading import Condition, Thread
from urllib.parse import unquote

import numpy as np
from threadpoolctl import threadpool_limits

from ..errors import TinyganError, brief, integer, plain_number
from ..look.page import framed
from ..training import GAN
from ..umpire import Rules
from . import lines
from .game import CHOICES, DEFAULTS, Game
from .scenes import SCENES
from .stage import HALF, PICTURES

RATE, SHARE = 25, 0.2       # pictures a second, at most; the part of the time that they may take
LONGEST = 200_000           # bytes of a message
MOST_PAGES = 16             # that watch
ALONE, PULSE = 60, 5        # seconds without a page until the program ends; between two signs of life to a page
FEWEST, MANY = 20, 4096     # points of a drawing
HEADERS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"))


class Table:
    """The game, who drives it, and its newest picture. run() plays until the end."""

    def __init__(self, scene="ring", game=None, alone=ALONE):
        self.commands, self.news, self.picture, self.version = Queue(), Condition(), "", 0
        self.pages, self.driver, self.left, self.pace, self.slow, self.message = 0, None, 0, 0, False, ""
        self.ended, self.alone = False, alone
        self.scenes, self.scene, self.game = {} if game else SCENES, None, game
        if not game:
            self.begin(scene)

    @threadpool_limits.wrap(limits=1, user_api="blas")      # the other core draws the page
    def run(self):
        played = seen = time.monotonic()
        next_picture = self.publish()
        changed = False
        while not self.ended and time.monotonic() - seen < self.alone:
            due = self.left and (not self.pace or time.monotonic() - played >= 1 / self.pace)
            changed |= self._obey(0 if due else 0.01)
            if due and self.left:
                self._go_on()
                played, changed = time.monotonic(), True
            seen = time.monotonic() if self.pages else seen
            if changed and self.pages and time.monotonic() >= next_picture:
                next_picture, changed = self.publish(), False
        with self.news:
            self.ended = True
            self.news.notify_all()
        while self._obey(0):
            pass

    def ask(self, message):
        """Hand a command to the game's thread, and wait. Raises what it is refused with."""
        self.between(lambda: self._do(**message))

    def between(self, work):
        """What work() gives, done by the game's thread between two moves, or by this one after the end."""
        if self.ended:
            return work()
        answer = Future()
        self.commands.put((work, answer))
        return answer.result(timeout=60)

    def newer(self, version):
        """(version, picture): one newer than that, or the same after a while."""
        with self.news:
            self.news.wait_for(lambda: self.ended or self.version > version, PULSE)
            return self.version, self.picture

    def publish(self):
        """A new picture.  Returns when the next one may come."""
        begun = time.monotonic()
        state = {**self.game.picture(), "settings": self.game.settings, "scene": self.scene, "playing": bool(self.left),
                 "pace": self.pace, "slow": self.slow, "message": self.message, "driver": self.driver}
        with self.news:
            self.picture, self.version = json.dumps(state), self.version + 1
            self.news.notify_all()
        return begun + max(1 / RATE, (time.monotonic() - begun) / SHARE)

    def _go_on(self):
        """A round, or in slow motion a line of it."""
        try:
            if self.slow:
                self.game.line()
            else:
                self.game.round()
            self.left -= not self.game.walk
        except TinyganError as error:           # it diverged
            self.left, self.message = 0, str(error)

    def _obey(self, patience):
        """Carry out a command that waits. Was there one?"""
        try:
            work, answer = self.commands.get(patience > 0, patience or None)
        except Empty:
            return False
        try:
            answer.set_result(work())
        except Exception as error:              # it belongs to who asked
            answer.set_exception(error)
        return True

    def _do(self, do=None, page=None, **given):
        if do not in tuple(COMMANDS):
            raise TinyganError(f"got the command {brief(do)}, expected one of {', '.join(COMMANDS)}: send one of them")
        if not isinstance(page, str) or len(page) > 40:
            raise TinyganError("got no page that asks, expected its name, of at most 40 letters: send “page”")
        if do == "drive" or self.driver is None:
            self.driver = page
        if page != self.driver:
            raise TinyganError("got a command from a page that only watches, expected it from the one that drives: "
                               "press “drive” in this one first")
        self.message = ""
        if do not in ("drive", "pace", "change", "cure", "look"):
            self.left = 0
        COMMANDS[do](self, **given)

    # Commands

    def begin(self, scene):
        if scene not in tuple(self.scenes):
            expected = f"one of {', '.join(self.scenes)}: choose one of them" if self.scenes else (
                "none, as your own networks play: start tinygan play for one")
            raise TinyganError(f"got the scene {brief(scene)}, expected {expected}")
        s = self.scenes[scene]
        self.scene, self.game = scene, Game(s.points(), s.gan and s.gan(), s.kind, **s.settings)

    def play(self, rounds=None):
        self.left = inf if rounds is None else integer("rounds", rounds, 1, 100_000)

    def set_pace(self, rounds, slow=False):
        """So many rounds a second, or lines of them; 0: as many as there can be."""
        self.pace, self.slow = plain_number("rounds a second", rounds, below=1001), slow is True

    def cure(self):
        if not self.scenes:
            raise TinyganError("got the command cure, expected a scene, as your own networks play: change the settings")
        self.game.change(**self.scenes[self.scene].cure)

    def look(self, z=None, sample=None):
        """Have the image of this sample in hand, with these two numbers as the first coordinates of its z."""
        if sample is not None:
            self.game.chosen, self.game.hand = integer("sample", sample, 0, PICTURES - 1), None
        if z is not None:
            self.game.hand = [plain_number("z", value, -10, 10) for value in z[:2]]

    def draw(self, points):
        """Play on these points, resampled with a little blur, so that D cannot learn them one by one."""
        if self.game.kind != "plane" or self.game.given:
            raise TinyganError("got a drawing where none can be played on, expected it in a scene of the plane: choose ring")
        try:
            drawn = np.array(points, dtype=float)
        except (TypeError, ValueError):
            drawn = np.empty(0)
        if drawn.shape[1:] != (2,) or not FEWEST <= len(drawn) <= MANY or not (abs(drawn) <= HALF).all():
            raise TinyganError(f"got a drawing of shape {drawn.shape}, expected {FEWEST} to {MANY} points (x, y), each number "
                               f"from −{HALF:g} to {HALF:g}: draw more, or less")
        rng = np.random.default_rng(0)
        blurred = drawn[rng.integers(len(drawn), size=MANY)] + 0.02 * rng.standard_normal((MANY, 2))
        self.game.begin(blurred.astype(np.float32), **self.game.settings)

    def end(self):
        self.ended = True


COMMANDS = {
    "play": Table.play, "pause": lambda table: None, "pace": Table.set_pace, "drive": lambda table: None,
    "line": lambda table: table.game.line(), "d": lambda table: table.game.d_step(), "g": lambda table: table.game.g_step(),
    "back": lambda table: table.game.back(), "reset": lambda table: table.game.begin(table.game.points, **table.game.settings),
    "change": lambda table, settings: table.game.change(**settings), "scene": Table.begin, "cure": Table.cure,
    "draw": Table.draw, "look": Table.look, "end": Table.end,
}


class Door(ThreadingHTTPServer):
    """The server of one table, on a free port of this machine. framed: the page of a notebook may show it in a frame."""
    daemon_threads = True

    def __init__(self, table, framed=False):
        super().__init__(("127.0.0.1", 0), Visitor)
        self.table, self.token, self.framed = table, secrets.token_urlsafe(16), framed
        self.host = f"127.0.0.1:{self.server_port}"
        self.address = f"http://{self.host}/{self.token}/"

    def handle_error(self, request, address):
        """A page that went away in the middle is no error."""


class Visitor(BaseHTTPRequestHandler):
    timeout = 30                # seconds that a silent visitor is waited for

    def log_message(self, *arguments):
        """Nothing is logged."""

    def do_GET(self):
        place = self._place()
        if place is None:
            return self._answer(403, "text/plain", "not for you: open the address that tinygan play has printed\n")
        path, _, query = place.partition("?")
        if path == "":
            self._answer(200, "text/html", page())
        elif path == "events":
            self._events()
        elif path == "source":
            settings = self.server.table.game.settings
            self._reply(lambda: lines.source(settings["loss"], settings["optimiser"]))
        elif path == "proof":
            self._reply(lambda: {"proof": lines.proof(unquote(query))})
        else:
            self._answer(404, "text/plain", "there is nothing here\n")

    def do_POST(self):
        if self._place() != "do" or self.headers.get("Origin") != f"http://{self.server.host}":
            return self._answer(403, "text/plain", "not for you\n")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or not 0 < int(length) <= LONGEST:
            self.close_connection = True
            return self._answer(413, "text/plain", f"expected a message of 1 to {LONGEST} bytes\n")
        text = self.rfile.read(int(length))
        self._reply(lambda: self.server.table.ask(_message(text)))

    def _place(self):
        """What stands behind the token; None for a wrong token, and for a page from elsewhere."""
        _, token, place = (*self.path.split("/", 2), "", "")[:3]
        in_frame = self.server.framed and place == "" and self.headers.get("Sec-Fetch-Dest") == "iframe"
        ours = self.headers.get("Host") == self.server.host and (
            in_frame or self.headers.get("Sec-Fetch-Site") in (None, "same-origin", "none"))
        return place if ours and secrets.compare_digest(token.encode(), self.server.token.encode()) else None

    def _reply(self, work):
        try:
            self._answer(200, "application/json", json.dumps(work() or {}))
        except (TinyganError, TypeError) as error:         # TypeError: an argument that the command does not have
            self._answer(400, "application/json", json.dumps({"error": brief(error, 600)}))

    def _answer(self, code, kind, text):
        data = text.encode()
        self.send_response(code)
        for name, value in (("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", len(data)), *self._headers()):
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def _headers(self):
        return HEADERS if self.server.framed else (*HEADERS, ("X-Frame-Options", "DENY"))

    def _events(self):
        """The newest picture whenever there is one; a slow page leaves some out."""
        table, version = self.server.table, 0
        if table.pages >= MOST_PAGES:
            return self._answer(503, "text/plain", f"{MOST_PAGES} pages watch already: close one\n")
        self.send_response(200)
        for name, value in (("Content-Type", "text/event-stream"), *self._headers()):
            self.send_header(name, value)
        self.end_headers()
        table.pages += 1
        try:
            while not table.ended:
                newest, picture = table.newer(version)
                self.wfile.write(f"data: {picture}\n\n".encode() if newest > version else b":\n\n")
                version = newest
            self.wfile.write(b"event: end\ndata: end\n\n")
        except OSError:                         # the page is gone
            pass
        finally:
            table.pages -= 1


def _message(text):
    try:
        message = json.loads(text)
    except ValueError as error:                 # UnicodeDecodeError is one too
        raise TinyganError(f"got a message that is no JSON ({brief(error)}), expected an object: send one") from error
    except RecursionError as error:
        raise TinyganError("got a message that is too deep, expected an object with settings: send one") from error
    if not isinstance(message, dict):
        raise TinyganError(f"got {brief(message)} as a message, expected an object with “do”: send one")
    return message


def page():
    """The page, whole in itself."""
    html, style, script = ((resources.files(__package__) / f"play.{ending}").read_text(encoding="utf-8")
                           for ending in ("html", "css", "js"))
    about = {"scenes": {name: {"title": s.title, "about": s.about, "cured": s.cured} for name, s in SCENES.items()},
             "defaults": DEFAULTS, "meanings": {rule.name: rule.metadata["meaning"] for rule in fields(Rules)},
             "choices": CHOICES}
    return framed("tinygan play", html, style, f"const ABOUT = {json.dumps(about)};\n{script}", "connect-src 'self'; ")


def play(scene="ring", browser=True):
    """Open the page on this scene and play until it is told to end, or no page has watched for a minute."""
    table = Table(scene)
    with Door(table) as door:
        Thread(target=door.serve_forever, daemon=True).start()
        print(f"{door.address}\nIt ends with Ctrl-C, or a minute after its last page is closed.", flush=True)
        if browser:
            webbrowser.open(door.address)
        table.run()
        door.shutdown()


class Played:
    """A game of one's own that is played in a frame of the notebook, by threads of this process."""

    def __init__(self, gan, points):
        if not isinstance(gan, GAN):
            raise TinyganError(f"got {brief(repr(gan))} to play, expected a GAN: tg.play(gan, points)")
        self._table = Table(game=Game(points, gan))
        self._table.publish()               # what cannot be shown is told here
        self._door = Door(self._table, framed=True)
        self.address = self._door.address
        Thread(target=self._door.serve_forever, args=(0.05,), daemon=True).start()
        self._playing = Thread(target=self._run, daemon=True)
        self._playing.start()

    def _run(self):
        self._table.run()
        self._door.shutdown()
        self._door.server_close()

    @property
    def gan(self) -> GAN:
        """A copy of the game as it stands, or as it stood at the end."""
        return self._table.between(lambda: copy.deepcopy(self._table.game.gan))

    def stop(self) -> None:
        """End the game after the move in hand; its page says so."""
        self._table.ended = True
        self._playing.join()

    def __repr__(self):
        return f"a game at {self.address}: open it in a browser of this machine; .gan is its state, .stop() ends it"

    def _repr_html_(self):
        return f'<iframe src="{self.address}" title="tinygan play" style="width: 100%; height: 56rem; border: 0"></iframe>'
