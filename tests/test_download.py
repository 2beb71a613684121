"""What can befall the download of MNIST, played by a real HTTP server on this machine: no test needs the Internet."""

import gzip
import hashlib
import io
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from tinygan import data
from tinygan.data import download
from tinygan.data.download import download_mnist
from tinygan.errors import TinyganError

MNIST = Path(__file__).parents[2] / "shared" / "mnist"
needs_mnist = pytest.mark.skipif(not MNIST.is_dir(), reason="no original MNIST files beside the checkout")
ADVICE = "give --data DIR with the four files, or use the 5,000 digits in the package (`tinygan train digits`)"


def idx_bytes(array):
    """The inverse of read_idx, written from the format's description."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def made_up(name):
    """A small set in the form of MNIST: 40 images of noise to train on, 20 to test on, and their labels."""
    rng, n = np.random.default_rng(0), 40 if name.startswith("train") else 20
    return idx_bytes(rng.integers(256, size=(n, 28, 28) if "images" in name else n, dtype=np.uint8) % 10)


CONTENT = {name: made_up(name) for name in download.FILES}
PACKED = {name: gzip.compress(content, mtime=0) for name, content in CONTENT.items()}
SUMS = {name: (hashlib.md5(PACKED[name]).hexdigest(), hashlib.sha256(CONTENT[name]).hexdigest()) for name in CONTENT}
NAMES = list(CONTENT)


class Server(ThreadingHTTPServer):
    """Two mirrors, /a/ and /b/. `answer` says how each behaves, `asked` is what has been asked for, in order."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.answer, self.asked = dict(PACKED), {"a": send, "b": send}, []
        self.over = threading.Event()    # lets go of those that stall

    def mirrors(self):
        return tuple(f"http://127.0.0.1:{self.server_port}/{mirror}/" for mirror in "ab")

    def handle_error(self, request, client_address):
        """Says nothing: a client that has waited long enough hangs up."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        _, mirror, name = self.path.split("/")
        self.server.asked.append(f"{mirror}/{name}")
        self.server.answer[mirror](self, self.server.files[name])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setattr(download, "MIRRORS", server.mirrors())
    monkeypatch.setattr(download, "FILES", SUMS)
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    monkeypatch.setenv("NO_PROXY", "*")
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


# ------------------------------------------------------------------------------------------- what a server may do

def send(handler, body, status=200, length=True, **headers):
    handler.send_response(status)
    if length:
        headers["Content-Length"] = len(body)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(body)


def status(code):
    return lambda handler, body: send(handler, b"no", code)


def sends(change, **options):
    return lambda handler, body: send(handler, change(body), **options)


def dribble(handler, body):
    """The first file in 40 pieces, 20 ms apart."""
    slow = len(handler.server.asked) == 1
    send(handler, b"", length=False, Content_Length=len(body))
    step = -(-len(body) // 40)
    for start in range(0, len(body), step):
        handler.wfile.write(body[start:start + step])
        time.sleep(0.02 * slow)


def cut(handler, body):
    send(handler, body[:len(body) // 2], length=False, Content_Length=len(body))


def stall(handler, body):
    handler.server.over.wait(2)


def stall_half_way(handler, body):
    cut(handler, body)
    handler.server.over.wait(2)


def hang_up(handler, body):
    handler.connection.close()


def wrong_length(handler, body):
    send(handler, body, length=False, Content_Length="twelve")


def flipped(body):
    return body[:-20] + bytes([body[-20] ^ 1]) + body[-19:]


PAGE = b"<!DOCTYPE html><html><body>Please log in to the Wi-Fi</body></html>"
FAILURES = {
    "403": (status(403), "answered 403 Forbidden"),
    "404": (status(404), "answered 404 Not Found"),
    "500": (status(500), "answered 500 Internal Server Error"),
    "page": (sends(lambda body: PAGE), f"sent a wrong file ({len(PAGE)} bytes that begin with b'<!DOCTYPE '"),
    "empty": (sends(lambda body: b""), "sent a wrong file (0 bytes that begin with b''"),
    "bit flipped": (sends(flipped), f"sent a wrong file ({len(PACKED[NAMES[0]])} bytes that begin with b'\\x1f\\x8b"),
    "other set": (sends(lambda body: gzip.compress(CONTENT[NAMES[2]])), "sent a wrong file"),
    "cut": (cut, "broke the connection before the end"),
    "cut unseen": (sends(lambda body: body[:len(body) // 2], length=False), "sent a wrong file"),
    "no length": (wrong_length, "failed (invalid literal"),
    "not what it says": (sends(lambda body: PAGE, Content_Encoding="gzip"), "failed ("),
    "stall": (stall, "sent nothing for 0.5 seconds"),
    "stall half way": (stall_half_way, "sent nothing for 0.5 seconds"),
    "hang up": (hang_up, "broke the connection before the end"),
    "redirected for ever": (sends(lambda body: b"", status=302, Location="/a/" + NAMES[0]), "failed (Exceeded"),
}


def refusal(cache):
    """The one sentence of the TinyganError that download_mnist raises."""
    with pytest.raises(TinyganError) as caught:
        download_mnist(cache)
    sentence = str(caught.value)
    assert "expected" in sentence and sentence.endswith(ADVICE)
    assert "\n" not in sentence and ". " not in sentence and " object at 0x" not in sentence
    return sentence


@pytest.mark.parametrize("answer, message", FAILURES.values(), ids=FAILURES)
def test_a_mirror_that_fails_is_named_and_the_next_one_tried(server, tmp_path, answer, message):
    server.answer = {"a": answer, "b": answer}
    sentence = refusal(tmp_path)
    for mirror in download.MIRRORS:
        assert f"{mirror}{NAMES[0]} {message}" in sentence
    assert list(tmp_path.iterdir()) == []

    server.asked, server.answer["b"] = [], send
    assert download_mnist(tmp_path) == tmp_path
    assert server.asked[-4:] == [f"b/{name}" for name in NAMES]
    assert set(server.asked[:-4]) == {f"a/{NAMES[0]}"}    # more than once only where it redirects
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == PACKED


# ------------------------------------------------------------------------------------------------- all goes well

def test_what_came_is_mnist_and_is_not_fetched_again(server, tmp_path):
    folder = download_mnist(tmp_path / "new" / "folder")
    assert server.asked == [f"a/{name}" for name in NAMES]
    images, labels = data.mnist_folder(folder, "test")
    assert images.shape == (20, 28, 28, 1) and idx_bytes(labels) == CONTENT[NAMES[3]]
    assert download_mnist(str(folder)) == folder and len(server.asked) == 4


def test_the_folder_is_the_cache_of_the_system_unless_given(server, tmp_path, monkeypatch):
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / project)
    assert download_mnist() == tmp_path / "tinygan" / "mnist"
    assert (tmp_path / "tinygan" / "mnist" / NAMES[3]).is_file()


@needs_mnist
def test_the_original_files_packed_otherwise_than_by_the_mirrors(server, tmp_path, monkeypatch):
    monkeypatch.undo()    # the true sums
    monkeypatch.setattr(download, "MIRRORS", server.mirrors())
    monkeypatch.setenv("NO_PROXY", "*")
    server.files = {name: (MNIST / name).read_bytes() for name in NAMES}
    assert all(hashlib.md5(server.files[name]).hexdigest() != download.FILES[name][0] for name in NAMES)
    assert len(data.mnist_folder(download_mnist(tmp_path), "test")[0]) == 10_000
    assert download_mnist(tmp_path) == tmp_path and len(server.asked) == 4


def test_the_same_content_is_taken_packed_otherwise_or_not_at_all(server, tmp_path):
    server.files = {name: gzip.compress(content, 1, mtime=1) if "images" in name else content
                    for name, content in CONTENT.items()}
    assert download_mnist(tmp_path) == tmp_path and len(server.asked) == 4
    assert len(data.mnist_folder(tmp_path)[1]) == 40
    download_mnist(tmp_path)
    assert len(server.asked) == 4


def test_a_file_packed_as_expected_need_not_be_unpacked(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "open_unpacked", None)
    assert download_mnist(download_mnist(tmp_path)) == tmp_path and len(server.asked) == 4


def test_a_slow_server_is_waited_for(server, tmp_path):
    server.answer["a"] = dribble
    start = time.perf_counter()
    download_mnist(tmp_path)
    assert server.asked == [f"a/{name}" for name in NAMES]
    assert time.perf_counter() - start > download.TIMEOUT    # which is for each piece, not for all of them


# ------------------------------------------------------------------------------------------------------ going on

def test_running_again_after_a_cut_line_fetches_only_the_rest(server, tmp_path):
    def cut_the_third(handler, body):
        (cut if handler.path.endswith(NAMES[2]) else send)(handler, body)

    server.answer = {"a": cut_the_third, "b": cut_the_third}
    assert f"b/{NAMES[2]} broke the connection" in refusal(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES[:2])
    server.answer, server.asked = {"a": send, "b": send}, []
    download_mnist(tmp_path)
    assert server.asked == [f"a/{name}" for name in NAMES[2:]]


@pytest.mark.parametrize("content", [b"", PAGE, PACKED[NAMES[1]][:-9], flipped(PACKED[NAMES[1]]), PACKED[NAMES[3]]])
def test_a_wrong_file_in_the_folder_is_replaced_and_never_stays(server, tmp_path, content):
    download_mnist(tmp_path)
    (tmp_path / NAMES[1]).write_bytes(content)
    server.answer, server.asked = {"a": status(500), "b": status(500)}, []
    refusal(tmp_path)
    assert not (tmp_path / NAMES[1]).exists() and len(list(tmp_path.iterdir())) == 3
    server.answer, server.asked = {"a": send, "b": send}, []
    download_mnist(tmp_path)
    assert server.asked == [f"a/{NAMES[1]}"] and (tmp_path / NAMES[1]).read_bytes() == PACKED[NAMES[1]]


def test_what_is_complete_needs_no_server(server, tmp_path, monkeypatch):
    download_mnist(tmp_path)
    monkeypatch.setattr(download, "MIRRORS", (closed_port(),))
    assert download_mnist(tmp_path) == tmp_path


# -------------------------------------------------------------------------------------- no server, no room, no right

def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


def test_offline(server, tmp_path, monkeypatch):
    mirrors = closed_port(), closed_port()
    monkeypatch.setattr(download, "MIRRORS", mirrors)
    sentence = refusal(tmp_path)
    assert all(f"{mirror}{NAMES[0]} cannot be reached (" in sentence for mirror in mirrors)
    assert sentence.count("refused)") == 2 and list(tmp_path.iterdir()) == []


def test_a_name_that_nobody_knows(server, tmp_path, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setattr(download, "MIRRORS", ("https://mirror.invalid/",))
    sentence = refusal(tmp_path)
    assert f"https://mirror.invalid/{NAMES[0]} cannot be reached (" in sentence and "not known)" in sentence


def test_a_server_that_cannot_be_trusted(server, tmp_path, monkeypatch):
    secure = server.mirrors()[0].replace("http:", "https:")    # and it speaks no TLS
    monkeypatch.setattr(download, "MIRRORS", (secure,))
    assert f"{secure}{NAMES[0]} cannot be reached ([SSL" in refusal(tmp_path)


def test_a_proxy_that_is_not_there(server, tmp_path, monkeypatch):
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", closed_port())
    monkeypatch.setattr(download, "MIRRORS", ("http://mirror.invalid/",))
    assert f"http://mirror.invalid/{NAMES[0]} cannot be reached through the proxy" in refusal(tmp_path)


def test_a_full_disk(server, tmp_path):
    """Played by the limit on the size of a file, which makes writing fail in the middle just so."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    try:
        sentence = refusal(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"{tmp_path} cannot keep the MNIST files ([Errno 27] File too large" in sentence
    assert list(tmp_path.iterdir()) == [] and server.asked == [f"a/{NAMES[0]}"]    # another mirror would not help
    assert download_mnist(tmp_path) == tmp_path


def test_a_folder_that_cannot_be(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for cache in (tmp_path / "file", tmp_path / "file" / "below"):
        assert f"{cache} cannot keep the MNIST files (" in refusal(cache)
    (tmp_path / NAMES[0]).mkdir()    # a folder where a file has to go
    assert f"{tmp_path} cannot keep the MNIST files (" in refusal(tmp_path)
    assert server.asked == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_may_not_be_written_to(server, tmp_path):
    tmp_path.chmod(0o500)
    assert f"{tmp_path} cannot keep the MNIST files ([Errno 13] Permission denied" in refusal(tmp_path)


# --------------------------------------------------------------------------------------------------- what is shown

class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream, progress, shown", [(Terminal, True, True), (Terminal, False, False),
                                                     (io.StringIO, True, False), (lambda: None, True, False)])
def test_a_bar_is_shown_in_a_terminal_unless_unwanted(server, tmp_path, monkeypatch, stream, progress, shown):
    monkeypatch.setattr(sys, "stderr", stream())
    download_mnist(tmp_path, progress)
    said = sys.stderr.getvalue() if sys.stderr else ""                  # None: a program without a window
    assert ("100%" in said) == shown and bool(said) == shown


def test_importing_it_loads_nothing_of_the_network():
    code = "import sys, tinygan.data.download; print({'pooch', 'requests', 'urllib3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
