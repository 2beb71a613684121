"""tinygan play: the game by hand equals the game, the way back is exact, failures fail and cures cure, the stage shows what is
so, the door is shut."""
import base64
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

import tinygan as tg
from tinygan import losses
from tinygan.play import game, lines, scenes, server, stage
from tinygan.theory import dirac, gauss1d

RING = scenes.SCENES["ring"].points()
SMALL = {"g_width": 16, "d_width": 16, "batch_size": 32}


def state(played):
    """All that decides how a game goes on, as bytes."""
    gan = played.gan
    arrays = [array for player in (gan.generator, gan.discriminator, gan.averaged) for _, array in player.named_arrays()]
    arrays += [array for optimiser in (gan.d_optimizer, gan.g_optimizer) for array in optimiser.state_dict().values()]
    counts = gan.rng.bit_generator.state, gan.steps, list(played.rows), dict(played.settings)
    return [array.tobytes() for array in arrays], counts


@pytest.mark.parametrize("rules", [{}, {"r1": 0.1, "instance_noise": 0.2, "averaging": 0.9}, {"spectral_norm": True},
                                   {"gradient_penalty": 10.0, "loss": "wasserstein"}, {"batch_norm": True},
                                   {"beta1": 0.9, "beta2": 0.99}])
def test_by_steps_by_lines_and_by_fit_it_is_one_game_to_the_bit(rules):
    steps, by_line, whole, fitted = (game.Game(RING, **SMALL, **rules) for _ in range(4))
    for _ in range(3):
        steps.d_step()
        assert steps.walk.line == game.G_LINE and steps.gan.steps == whole.gan.steps
        steps.g_step()
        by_line.line()
        while by_line.walk:
            by_line.line()
        whole.round()
    assert state(steps) == state(by_line) == state(whole)
    history = fitted.gan.fit(RING, 3, 32)
    assert [row[1] for row in whole.rows] == history["d_loss"] and [row[4] for row in whole.rows] == history["d_fake"]


def test_of_large_networks_few_snapshots_are_kept(monkeypatch):
    monkeypatch.setattr(game, "MEMORY", 0)
    played = game.Game(RING, **SMALL)
    for _ in range(35):
        played.round()
    assert len(played.kept) == 2
    for _ in range(15):
        played.back()
    assert played.gan.steps == 20


def test_one_player_moves_alone():
    played, weights = game.Game(RING, **SMALL), lambda player: [p.data.tobytes() for p in player.parameters()]
    G, D = weights(played.gan.generator), weights(played.gan.discriminator)
    played.g_step()
    assert weights(played.gan.discriminator) == D and weights(played.gan.generator) != G
    G = weights(played.gan.generator)
    played.d_step()
    played.d_step()                             # the first round ended before G's step
    assert weights(played.gan.discriminator) != D and weights(played.gan.generator) == G and played.gan.steps == 1
    assert played.gan.d_optimizer.t == 2
    played.settings |= {"d_steps": 3}
    played.finish()
    played.round()
    assert played.gan.d_optimizer.t == 5 and played.gan.g_optimizer.t == 3


def test_back_is_exact_past_steps_changes_and_resets():
    played, past = game.Game(RING, **SMALL), []
    moves = [played.round] * 13 + [played.d_step, played.g_step, played.g_step, lambda: played.change(r1=0.1, d_lr=0.01),
             played.round, lambda: played.change(optimiser="SGD"), played.round, lambda: played.change(d_width=8),
             played.round,
             lambda: played.begin(RING[:100], **SMALL), played.round]
    for k, move in enumerate(moves):
        if not played.walk:
            past.append(state(played))
        move()
    for before in past[::-1]:
        played.back()
        assert state(played) == before
    with pytest.raises(tg.TinyganError, match="back"):
        played.back()
    played.d_step()                             # and out of a round that is under way
    played.back()
    assert state(played) == past[0]


@pytest.mark.parametrize("settings, message", [
    ({"loss": "L2"}, "loss"), ({"wings": 2}, "wings"), ({"g_lr": "fast"}, "g_lr"), ({"r1": -1}, "r1"),
    ({"g_width": 10 ** 6}, "g_width"),
    ({"beta1": 1}, "beta1"), ({"beta2": "x"}, "beta2"), ({"optimiser": "RMS"}, "optimiser"),
    ({"batch_norm": 1}, "batch_norm"), ({"d_layers": 2.5}, "d_layers"),
    ({"loss": "hinge", "label_smoothing": 0.1}, "label_smoothing"), ({"loss": ["hinge"]}, "loss")])
def test_bad_settings_are_refused_and_change_nothing(settings, message):
    played = game.Game(RING, **SMALL)
    before = state(played)
    with pytest.raises(tg.TinyganError, match=message):
        played.change(**settings)
    assert state(played) == before


def test_a_change_to_what_was_changes_nothing():
    changed, other = (game.Game(RING, averaging=0.9, **SMALL) for _ in range(2))
    for played in (changed, other):
        played.round()
    changed.change(g_lr=0.5, r1=1.0, loss="hinge", beta1=0.9)
    assert changed.gan.g_optimizer.betas == changed.gan.d_optimizer.betas == (0.9, 0.999)
    changed.change(g_lr=other.settings["g_lr"], r1=0.0, loss="non_saturating", beta1=0.5)
    for played in (changed, other):
        played.round()
    assert state(changed) == state(other)
    changed.change(averaging=0.0), changed.change(averaging=0.9)
    changed.round()
    assert not np.array_equal(*(G.arrays()[0] for G in (changed.gan.generator, changed.gan.averaged)))


def test_a_round_that_fails_is_over():
    played = game.Game(RING, batch_norm=True, r1=0.1, **SMALL)
    for move in (played.line, played.d_step, played.round, played.g_step):
        with pytest.raises(tg.TinyganError, match="batch normalisation"):
            for _ in range(99):
                move()
        assert not played.walk
    played.change(r1=0, batch_norm=False)
    played.round()
    played.change(g_lr=9.0, d_lr=9.0, optimiser="SGD", loss="wasserstein")
    with pytest.raises(tg.Diverged), np.errstate(all="ignore"):
        for _ in range(99):
            played.round()
    played.back()
    assert np.isfinite(played.gan.generate(Z)).all()


def test_g_reaches_a_drawing():
    table = server.Table("ring")
    table.draw([[x / 50, 0.8] for x in range(50)])
    assert _far(table.game) > 0.7
    for _ in range(200):
        table.game.round()
    assert np.abs(table.game.gan.generate(Z)[:, 1] - 0.8).mean() < 0.2 and _far(table.game) < 0.4


Z = np.random.default_rng(5).standard_normal((400, 2))


def _modes(played):
    """Of the ring's eight modes, those that at least 8 of 400 samples come near."""
    distance = np.linalg.norm(played.gan.generate(Z)[:, None] - scenes.RING, axis=2)
    return sum(((distance.argmin(1) == k) & (distance[:, k] < 0.25)).sum() >= 8 for k in range(8))


def _far(played):
    return np.linalg.norm(played.gan.generate(Z).mean(axis=0) - played.points.mean(axis=0))


def _gap(played):
    return played.rows[-1][3] - played.rows[-1][4]


def _radius(played):
    return np.hypot(*stage.numbers(played.gan))


@pytest.mark.parametrize("name, rounds, measure, fails, cured", [
    ("vanishing", (25, 20), _far, lambda far: far > 1.8, lambda far: far < 0.4),
    ("collapse", (200, 400), _modes, lambda modes: modes <= 3, lambda modes: modes >= 7),
    ("dirac", (150, 60), _radius, lambda radius: 0.9 < radius < 1.1, lambda radius: radius < 0.05),
    ("strong", (35, 35), _gap, lambda gap: gap > 0.5, lambda gap: gap < 0.4),
    ("blind", (80, 80), _far, lambda far: far > 0.8, lambda far: far < 0.3)])
def test_each_failure_fails_and_its_cure_cures(name, rounds, measure, fails, cured):
    scene = scenes.SCENES[name]
    played = game.Game(scene.points(), scene.gan and scene.gan(), scene.kind, **scene.settings)
    for number, verdict in zip(rounds, (fails, cured)):
        for _ in range(number):
            played.round()
        assert verdict(measure(played)), measure(played)
        played.change(**scene.cure)


@pytest.mark.parametrize("p, q, js", [
    ([0.5, 0.5], [0.5, 0.5], 0), ([1, 0], [0, 1], np.log(2)),
    ([0.5, 0.5], [1, 0], (np.log(2 / 3) / 2 + np.log(2) / 2 + np.log(4 / 3)) / 2)])
def test_the_divergence_is_that_of_jensen_and_shannon(p, q, js):
    assert stage.jensen_shannon(np.array(p), np.array(q)) == pytest.approx(js, abs=1e-12)


def _thousandth(values):
    return np.array(values) / 1000


def _surface(seen):
    return np.frombuffer(base64.b64decode(seen["surface"]), np.uint8) / 255


def test_the_cells_of_the_plane_are_counted_and_those_beyond_it_at_its_edge():
    counts = stage._counts(np.array([(-2, 2), (-9, 9), (1.99, 9), (0.01, -0.01)])).reshape(stage.CELLS, stage.CELLS)
    assert counts[0, -1] == 0.5 and counts[-1, -1] == counts[16, 15] == 0.25 and counts.sum() == 1
    played = game.Game(RING, **SMALL)
    played.points = played.gan.generate(np.random.default_rng(1).standard_normal((stage.MANY, 2)))
    assert played.picture()["js"][-1] == (0, 0)                         # p_G is p_data


@pytest.mark.parametrize("mu, own", [(0, False), (1, False), (-2, True)])
def test_on_the_line_stand_both_densities_the_best_d_and_their_divergence(mu, own):
    """G(z) = m + 0.3 z, so the divergence is that of N(0, 1) and N(μ, 1), which the theory has as an integral."""
    points = scenes.SCENES["gauss1d"].points()
    played = game.Game(points, g_layers=0, d_layers=0)
    for parameter, value in zip(played.gan.generator.parameters() + played.gan.discriminator.parameters(),
                                (0.3, 1 + 0.3 * mu, 3, -1)):
        parameter.data[:] = value
    if own:                                     # the window of one's own points is around them
        played = game.Game(points, played.gan)
    seen, (centre, half) = played.picture(), played.window
    x = (centre + stage.CENTRES / 2 * half - 1) / 0.3
    p, q = (gauss1d.normal(x, m) / 0.3 * half / 2 for m in (0, mu))
    inside = slice(1, -1)                       # what lies beyond the stage counts at its ends
    for name, density in (("p", p), ("q", q)):
        np.testing.assert_allclose(_thousandth(seen[name])[inside], density[inside], atol=0.04)
    best, there = _thousandth(seen["best"]), np.minimum(p, q) > 0.05
    np.testing.assert_allclose(best[there], (p / (p + q))[there], atol=0.03)
    assert (best[p + q < 1e-6] == -1).all()
    js = gauss1d.jensen_shannon(gauss1d.normal(gauss1d.X), gauss1d.normal(gauss1d.X, mu))
    assert seen["js"][-1][1] == pytest.approx(js, abs=0.01)
    np.testing.assert_allclose(_surface(seen), gauss1d.sigma(3 * (1 + 0.3 * x) - 1), atol=0.005)
    at = _thousandth(seen["lines"]) / 2 * half + centre
    np.testing.assert_allclose(at, 1 + 0.3 * mu + 0.3 * _thousandth(seen["z"]), atol=0.002)
    np.testing.assert_allclose(_thousandth(seen["arrows"]), 3 * gauss1d.sigma(1 - 3 * at), atol=0.01)


@pytest.mark.parametrize("r1", [0, 0.3])
def test_the_field_of_the_phase_plane_is_the_theorys(r1):
    scene = scenes.SCENES["dirac"]
    played = game.Game(scene.points(), scene.gan(), scene.kind, **scene.settings | {"r1": r1})
    field = _thousandth(played.picture()["field"])
    for theta, psi, right, up in field[::17]:
        d_psi, d_theta = dirac.vector_field("Dirac-GAN", *dirac.point(-psi, theta), gamma=r1)     # its ψ has the other sign
        assert (right, up) == pytest.approx((d_theta.item(), -d_psi.item()), abs=0.001)
    before = stage.numbers(played.gan)
    played.round()
    theta, psi = stage.numbers(played.gan)
    d_psi, _ = dirac.vector_field("Dirac-GAN", *dirac.point(-before[1], before[0]), gamma=r1)
    _, d_theta = dirac.vector_field("Dirac-GAN", *dirac.point(-psi, before[0]))
    assert (theta - before[0], psi - before[1]) == pytest.approx((0.3 * d_theta.item(), -0.3 * d_psi.item()), abs=1e-6)
    assert _thousandth(played.picture()["way"])[-1] == pytest.approx((theta, psi), abs=0.001)


def _pixels(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))) / 127.5 - 1


def test_the_sheet_and_the_image_in_hand_are_gs():
    table = server.Table("digits")
    z = np.random.default_rng(1).standard_normal((64, table.game.gan.latent))
    table.look(sample=9)
    for hand in (z[9, :2], [1.5, -2.0]):
        table.look(z=list(hand))
        seen = table.game.picture()
        of_hand = np.concatenate([hand, z[9, 2:]])[None]
        np.testing.assert_allclose(-_pixels(seen["one"]), table.game.gan.generate(of_hand)[0, ..., 0], atol=0.01)
    sheet = -_pixels(seen["sheet"]).astype(np.float32)
    np.testing.assert_allclose(sheet[30:58, 30:58], table.game.gan.generate(z)[9, ..., 0], atol=0.01)
    np.testing.assert_allclose(-_pixels(seen["examples"])[:, :28], tg.data.digits()[0][0, ..., 0], atol=0.01)
    for wrong in ({"z": [1, "x"]}, {"z": [11]}, {"sample": 64}):
        with pytest.raises(tg.TinyganError):
            table.look(**wrong)


def _own(points, **rules):
    G, D = tg.models.point_generator(width=8), tg.models.point_discriminator(width=8)
    return tg.GAN(G, D, 2, "hinge", tg.Adam(G.parameters(), 0.01), tg.SGD(D.parameters(), 0.1), seed=3, **rules)


def test_ones_own_game_is_played_as_fit_plays_it_and_stays_as_it_was(tmp_path):
    points = (100 + 30 * tg.data.ring(500)[0]).astype(np.float32)
    gan, other = _own(points, r1=0.1), _own(points, r1=0.1)
    gan.fit(points, 2), other.fit(points, 2)
    before = [array.tobytes() for array in gan.generator.arrays()]
    shown = tg.play(gan, points)
    beside = tg.play(gan, points)
    try:
        played = shown._table.game
        assert played.settings["loss"] == "hinge" and played.settings["d_lr"] == 0.1 and not game.ANEW & played.settings.keys()
        shown._table.between(played.round)
        other.fit(points, 1)
        assert [a.tobytes() for a in shown.gan.generator.arrays()] == [a.tobytes() for a in other.generator.arrays()]
        assert isinstance(shown.gan.d_optimizer, tg.SGD) and isinstance(shown.gan.g_optimizer, tg.Adam)
        real = _thousandth(shown._table.between(played.picture)["real"])
        np.testing.assert_allclose(real, (points[::2] - played.window[0]) / played.window[1] * 2, atol=0.001)
        assert 1.5 < abs(real).max() < 2 and len(real) == 250
        shown.gan.save(tmp_path / "played.npz")
        assert tg.GAN.load(tmp_path / "played.npz").steps == 3 and beside.gan.steps == 2
        for bad in ({"do": "change", "settings": {"g_layers": 3}}, {"do": "scene", "scene": "ring"}, {"do": "cure"},
                    {"do": "draw", "points": [[0, 0]] * 50}):
            with pytest.raises(tg.TinyganError):
                shown._table.ask({"page": "me"} | bad)
        shown._table.ask({"page": "me", "do": "reset"})
        assert [array.tobytes() for array in shown.gan.generator.arrays()] == before
        assert shown.address in shown._repr_html_() and shown.address in repr(shown)
        place = shown.address.split("/", 3)[3]
        for site, to, status in (("iframe", place, 200), ("empty", place, 403), ("iframe", f"{place}do", 403)):
            headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": site}
            assert asked(shown._door, "POST" if "do" in to else "GET", f"/{to}", None, **headers)[0] == status
    finally:
        shown.stop(), beside.stop()
    assert shown.gan.steps == beside.gan.steps == 2         # the game is over, its state is still there
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", shown._door.server_port), 5)
    assert [array.tobytes() for array in gan.generator.arrays()] == before and gan.steps == 2
    game.Game(points[:40], gan).round()         # the images still to come were others
    two_channels = tg.GAN(*tg.models.dcgan(16, 2, 2, 4), 2), np.zeros((9, 16, 16, 2), np.float32)
    for wrong in (two_channels, (gan, points[:, :1]), (gan, np.zeros((9, 3), np.float32)), ("gan", points), (gan, [1, 2])):
        with pytest.raises(tg.TinyganError):
            tg.play(*wrong)


def test_the_lines_are_the_programs_own_and_can_be_proved():
    told = lines.source("saturating", "Adam")
    assert told["first"] + len(told["lines"]) - 1 == game.FIRST + len(game.LINES) - 1
    assert {name for _, name, _ in told["lines"] if name} >= {"discriminator_loss", "generator_loss", "r1_penalty", "Adam"}
    assert "<math" in told["explained"]["generator_loss"]
    parts = {part: text.strip() for text, _, part in told["lines"] if part}
    assert parts["z"].startswith("z = ") and parts["G"].startswith("fakes = ") and parts["L_G"].startswith("g_loss = ")
    assert parts.keys() == {"x", "z", "G", "D", "L_D", "to_D", "L_G", "to_G"} and "d_optimizer.step" in parts["to_D"]
    played = game.Game(RING, **SMALL)
    played.d_step()
    assert "self.g_optimizer" in "".join(line for line, *_ in told["lines"][played.walk.line - game.FIRST:])
    assert float(played.walk.numbers()["d_loss"]) == pytest.approx(1.4, abs=0.3)
    played.back()
    assert "proved" in lines.proof("generator_loss")
    for loss in losses.LOSSES:
        lines.source(loss, "SGD")
    with pytest.raises(tg.TinyganError, match="to prove"):
        lines.proof("os")


@contextmanager
def served(table):
    """The table plays behind its door, each in a thread, until the block ends."""
    with server.Door(table) as door:
        door.daemon = threading.Thread(target=door.serve_forever, args=(0.01,), daemon=True)
        door.playing = threading.Thread(target=table.run, daemon=True)
        door.daemon.start(), door.playing.start()
        try:
            yield door
        finally:
            table.ended = True
            door.playing.join(10)
            door.shutdown()
    assert not door.playing.is_alive()


@pytest.fixture
def door():
    table = server.Table("ring", alone=30)
    table.game = game.Game(RING, **SMALL)
    with served(table) as door:
        yield door


def asked(door, method, place, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", door.server_port, timeout=20)
    connection.request(method, place, body, {"Host": door.host, "Origin": f"http://{door.host}"} | headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def told(door, **message):
    status, body = asked(door, "POST", f"/{door.token}/do", json.dumps({"page": "me"} | message))
    return status, json.loads(body).get("error", "")


def until(true):
    for _ in range(2000):
        if true():
            return
        time.sleep(0.005)
    raise AssertionError("it never came true")


def test_each_command_does_its_work_and_one_page_drives(door):
    table = door.table
    assert told(door, do="d") == (200, "") and table.game.walk.line == game.G_LINE
    assert told(door, do="g") == (200, "") and table.game.gan.steps == 1
    assert told(door, do="line") == (200, "") and told(door, do="back") == (200, "") and not table.game.walk
    assert told(door, do="pace", rounds=0)[0] == told(door, do="change", settings={"g_lr": 0.01})[0] == 200
    assert table.game.gan.g_optimizer.lr == 0.01
    told(door, do="play", rounds=5)
    until(lambda: not table.left)
    assert table.game.gan.steps == 6
    told(door, do="play")
    until(lambda: table.game.gan.steps >= 10)
    assert told(door, do="pause")[0] == 200 and table.left == 0
    told(door, do="pace", rounds=1000, slow=True), told(door, do="play")
    until(lambda: table.game.walk)
    assert told(door, do="pause")[0] == told(door, do="pace", rounds=0)[0] == 200 and not table.slow
    status, error = told(door, do="reset", page="you")
    assert status == 400 and "drives" in error and table.game.gan.steps >= 10
    assert told(door, do="drive", page="you")[0] == told(door, do="reset", page="you")[0] == 200
    assert table.game.gan.steps == 0 and table.game.settings["g_lr"] == 0.01
    assert told(door, do="scene", scene="collapse", page="you")[0] == told(door, do="cure", page="you")[0] == 200
    assert table.game.settings["r1"] == 0.01
    points = (0.3 * np.random.default_rng(0).standard_normal((50, 2))).tolist()
    assert told(door, do="draw", points=points, page="you")[0] == 200 and table.game.points.shape == (server.MANY, 2)
    told(door, do="end", page="you")
    door.playing.join(10)
    assert table.ended


def test_the_command_prints_its_address_and_ends_when_told():
    process = subprocess.Popen([sys.executable, "-m", "tinygan", "play", "dirac", "--no-browser"],
                               stdout=subprocess.PIPE, text=True)
    try:
        host, token = process.stdout.readline().strip().removeprefix("http://").rstrip("/").split("/")
        connection = http.client.HTTPConnection(host, timeout=20)
        connection.request("POST", f"/{token}/do", json.dumps({"page": "me", "do": "end"}), {"Origin": f"http://{host}"})
        assert connection.getresponse().status == 200 and process.wait(20) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(host.partition(":")[2])), 5)
    finally:
        process.kill()
        process.stdout.close()


def test_it_ends_when_no_page_watches():
    table = server.Table("dirac", alone=0.1)
    table.run()
    assert table.ended


SHOWN = "now.kind == 'images' ? ID('sheet').src : ID('stage').toDataURL()"


class Browser:
    """A headless Chromium, driven over the pipe of its DevTools."""

    def __init__(self, folder):
        (theirs, self.to), (self.back, ours) = os.pipe(), os.pipe()
        command = ('exec "$0" --headless --no-sandbox --disable-gpu --remote-debugging-pipe '
                   f"--user-data-dir={folder} 3<&{theirs} 4>&{ours}")
        self.process = subprocess.Popen(["bash", "-c", command, shutil.which("chromium")], pass_fds=(theirs, ours),
                                        stderr=subprocess.DEVNULL)
        os.close(theirs), os.close(ours)
        self.stream, self.number, self.session, self.events = os.fdopen(self.back, "rb"), 0, {}, []

    def call(self, method, **params):
        self.number += 1
        os.write(self.to, json.dumps({"id": self.number, "method": method, "params": params} | self.session).encode() + b"\0")
        while True:
            text = bytearray()
            while (byte := self.stream.read(1)) != b"\0":
                assert byte, "Chromium has ended"
                text += byte
            answer = json.loads(text)
            if answer.get("id") == self.number:
                return answer["result"]
            self.events.append(answer)

    def open(self, address):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        self.call("Runtime.enable"), self.call("Log.enable"), self.call("Page.enable")
        self.call("Page.navigate", url=address)

    def evaluate(self, script):
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, script):
        """Wait until the expression is true, half a minute at most."""
        for _ in range(600):
            if self.evaluate(f"Boolean({script})"):
                return
            time.sleep(0.05)
        raise AssertionError(script)

    def close(self):
        os.close(self.to)
        self.stream.close()
        self.process.terminate()
        self.process.wait(20)


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium here")
def test_in_a_browser_each_button_works(door, tmp_path):
    browser, table = Browser(tmp_path), door.table
    try:
        browser.open(door.address)
        browser.until("document.querySelectorAll('#lines li').length > 30 && now")
        press = "document.querySelector('[data-do={}]').click()".format
        for what, then in (("d", f"now.line == {game.G_LINE}"), ("g", "now.step == 1"), ("line", f"now.line > {game.FIRST}"),
                           ("line", "document.querySelector('#lines .now')"), ("back", "now.line === null && now.step == 1"),
                           ("back", "now.step == 0"), ("play", "now.step > 5"), ("play", "!now.playing"),
                           ("reset", "now.step == 0")):
            browser.evaluate(press(what))
            browser.until(then)
        browser.evaluate("ID('rounds').value = 7; ID('some').click()")
        browser.until("now.step == 7 && !now.playing")
        browser.evaluate("const f = ID('settings').elements.g_lr; f.value = -3; f.onchange()")
        browser.until("ID('message').textContent.includes('expected 0 ≤ g_lr')")
        browser.evaluate("[...document.querySelectorAll('#lines button')].find(b => b.textContent.includes('d_loss_of'))"
                         ".click();"
                         "document.querySelector('#explained > button').click()")
        browser.until("document.querySelector('#explained > pre').textContent.includes('proved')")
        for scene in ("vanishing", "ring"):
            browser.evaluate(f"document.querySelector('[data-scene={scene}]').click()")
            browser.until(f"now.scene == '{scene}' && ID('scene').value == '{scene}'")
        for part in ("z", "x", "G", "D", "L_D", "to_D", "L_G", "to_G"):
            browser.evaluate(f"document.querySelector('[data-part={part}]').dispatchEvent(new MouseEvent('click'))")
            browser.until(f"document.querySelector('#lines .chosen')?.dataset.of == '{part}'")
        browser.evaluate(press("d"))
        browser.until("document.querySelector('#model .now')?.dataset.part == 'L_G'")
        browser.evaluate(press("back"))
        browser.until("!document.querySelector('#model .now')")
        for name, kind in (("grid", "plane"), ("gauss1d", "line"), ("dirac", "phase"), ("digits", "images")):
            browser.evaluate(f"ID('scene').value = '{name}'; ID('scene').onchange()")
            browser.until(f"now.scene == '{name}' && now.kind == '{kind}' && now.step == 0")
            before = browser.evaluate(SHOWN)
            browser.evaluate("ID('rounds').value = 3; ID('some').click()")
            browser.until("now.step == 3 && !now.playing")
            assert browser.evaluate(SHOWN) != before
            assert browser.evaluate("[...document.querySelectorAll('[data-for]')].filter(part => part.checkVisibility())"
                                    f".every(part => part.dataset.for.includes('{kind}'))")
            fields = "[...ID('settings').elements].filter(field => field.checkVisibility()).map(field => field.name).join()"
            assert set(browser.evaluate(fields).split(",")) == table.game.settings.keys()
        browser.until("[...document.images].every(image => image.complete && image.naturalWidth)")
        box = json.loads(browser.evaluate("JSON.stringify(ID('pad').getBoundingClientRect())"))
        image = browser.evaluate("ID('one').src")
        for kind, across in (("mousePressed", 0.5), ("mouseMoved", 0.75), ("mouseReleased", 0.75)):
            browser.call("Input.dispatchMouseEvent", type=kind, x=box["x"] + across * box["width"],
                         y=box["y"] + 0.25 * box["height"], button="left", buttons=1, clickCount=1)
        browser.until("Math.abs(now.hand[0] - 1.5) < 0.05 && Math.abs(now.hand[1] - 1.5) < 0.05")
        browser.until(f"ID('one').src != '{image}'")
        browser.evaluate("ID('pad').onkeydown(new KeyboardEvent('keydown', {key: 'ArrowLeft'}))")
        browser.until("Math.abs(now.hand[0] - 1.3) < 0.05")
        box = json.loads(browser.evaluate("JSON.stringify(ID('sheet').getBoundingClientRect())"))
        for kind in ("mousePressed", "mouseReleased"):          # row 1, column 3
            browser.call("Input.dispatchMouseEvent", type=kind, x=box["x"] + 3.5 / 8 * box["width"],
                         y=box["y"] + 1.5 / 8 * box["height"], button="left", buttons=1, clickCount=1)
        browser.until("now.chosen == 11")
        for name in scenes.SCENES:
            browser.evaluate(f"ID('scene').value = '{name}'; ID('scene').onchange()")
            browser.until(f"now.scene == '{name}' && ID('scene').value == '{name}'")
        browser.evaluate("ID('pace').value = 'slow'; ID('pace').onchange()")
        browser.until("now.slow && now.pace == 2")
        browser.evaluate(press("play"))
        browser.until(f"now.line > {game.FIRST} && now.playing && document.querySelector('#lines .now')")
        browser.evaluate(press("play"))
        browser.until("!now.playing")
        browser.evaluate("ID('pace').value = 0; ID('pace').onchange()")
        browser.until("!now.slow")
        assert browser.evaluate("ID('cure').click() || document.querySelectorAll('math').length > 0")
        browser.until("now.settings.r1 == 0.1")
        browser.evaluate("drawn = [...Array(100).keys()].map(k => [k / 100, 0.5]); ID('use').onclick()")
        browser.until("now.real.every(([x, y]) => x > -0.2 && Math.abs(y - 0.5) < 0.2)")
        assert table.game.points[:, 1].std() < 0.05
        browser.evaluate(press("end"))
        door.playing.join(10)
        assert table.ended
        bad = [event for event in browser.events if event["method"] in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled")
               or event["method"] == "Log.entryAdded" and "400" not in event["params"]["entry"]["text"]]
        assert not bad
    finally:
        browser.close()


@pytest.mark.parametrize("method, place, headers, status", [
    ("GET", "/wrong/", {}, 403), ("GET", "/", {}, 403), ("GET", "/{}/", {"Host": "evil.example"}, 403),
    ("GET", "/{}/", {"Sec-Fetch-Site": "cross-site"}, 403), ("POST", "/{}/do", {"Origin": "https://evil.example"}, 403),
    ("POST", "/{}/do", {"Origin": "null"}, 403), ("POST", "/wrong/do", {}, 403), ("GET", "/{}/elsewhere", {}, 404),
    ("POST", "/{}/do", {"Content-Length": "999999999"}, 413), ("POST", "/{}/do", {"Content-Length": "-1"}, 413),
    ("GET", "/{}/proof?os", {}, 400), ("GET", "/{}/source", {}, 200), ("GET", "/{}/", {}, 200), ("GET", "/%C3%A9/", {}, 403)])
def test_the_door_is_shut_to_all_but_its_page(door, method, place, headers, status):
    place = place.format(door.token)
    assert asked(door, method, place, b"{}" if method == "POST" else None, **headers)[0] == status


def test_a_thousand_bad_messages_get_a_sentence_each_and_change_nothing(door):
    rng, commands = np.random.default_rng(0), list(server.COMMANDS)
    texts = [b"", b"[", b"[" * 100_000, b"null", b"[]", b'{"do": []}', b"\xff\xfe",
             b'{"do": "draw", "points": [[1, NaN]]}',
             b'{"do": "draw", "points": [[9, 9]]}', b'{"do": "draw", "points": {}}', b'{"do": "draw", "points": [[1], 2]}',
             b'{"do": {}}', b'{"do": "g"}',
             b'{"do": "change", "settings": 3}', b'{"do": "scene", "scene": {}}',
             b'{"do": "play", "rounds": "x"}', b'{"do": "pace"}']
    texts += [json.dumps({"do": str(rng.choice(commands)), "wrong": 1, "page": "me"}).encode() for _ in range(200)]
    texts += [rng.bytes(rng.integers(1, 60)) for _ in range(785)]
    before = state(door.table.game)
    for text in texts:
        status, body = asked(door, "POST", f"/{door.token}/do", text)
        assert status == 413 or status == 400 and json.loads(body)["error"], (text, status)
    assert state(door.table.game) == before and not door.table.ended
