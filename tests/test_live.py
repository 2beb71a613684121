"""One picture that is drawn again while a GAN learns, in a file and in a notebook."""
import time

import numpy as np
import pytest
from games import game, images
from PIL import Image

import tinygan as tg
from tinygan import models, plots
from tinygan.look import live


def test_a_script_gets_a_file_which_live_alone_may_replace(tmp_path):
    path = tmp_path / "live.png"
    game("small").fit(images(), 3, 12, plots.Live(every=2, path=path))
    first = Image.open(path).convert("RGB").tobytes()
    game("small").fit(images(), 5, 12, plots.Live(every=2, path=path))
    assert Image.open(path).size[1] == live.HEIGHT and Image.open(path).convert("RGB").tobytes() != first
    for foreign in (b"not mine", plots.samples(images()[:1])):
        foreign.save(path) if isinstance(foreign, Image.Image) else path.write_bytes(foreign)
        before = path.read_bytes()
        with pytest.raises(tg.TinyganError, match="exists already"):
            plots.Live(path=path)
        assert path.read_bytes() == before


def test_where_no_notebook_is_the_file_is_live_png(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert plots.Live().path == "live.png"
    pytest.importorskip("ipykernel")                    # a program that has it is no notebook yet
    assert plots.Live().path == "live.png"
    with pytest.raises(tg.TinyganError, match="every"):
        plots.Live(every=0)


def test_it_does_not_touch_the_game(tmp_path):
    watched, alone = game("small"), game("small")
    watched.fit(images(), 4, 12, plots.Live(every=1, path=tmp_path / "live.png"))
    alone.fit(images(), 4, 12)
    assert watched.history == alone.history and (watched.sample(2) == alone.sample(2)).all()


def test_by_default_it_takes_a_small_part_of_the_time(tmp_path, monkeypatch):
    clock, drawn = [0.0], []
    monkeypatch.setattr(live.time, "perf_counter", lambda: clock[0])
    shown = plots.Live(path=tmp_path / "live.png")

    def draw(gan):
        drawn.append(gan.steps)
        clock[0] += 1.0                                 # a second for a picture, and 0.1 for a step
    monkeypatch.setattr(shown, "draw", draw)
    gan = game("small")
    for gan.steps in range(1, 1001):
        shown(gan, {})
        clock[0] += 0.1
    assert drawn[0] == 1 and len(drawn) == 4            # 4 s of 104
    assert len(drawn) <= live.SHARE * clock[0]


@pytest.mark.parametrize("channels", [1, 3])
def test_images_and_points_are_shown(channels):
    G, D = models.dcgan(16, channels, 4, 4)
    gan = tg.GAN(G, D, latent=4)
    gan.fit(np.zeros((12, 16, 16, channels), np.float32), 2, 4)
    assert plots.Live(ink=False).picture(gan).size[1] == live.HEIGHT
    points = tg.data.ring(100)[0]
    gan = tg.GAN(models.point_generator(width=8), models.point_discriminator(width=8), latent=2)
    gan.fit(points, 2, 10)
    blank, real = (np.asarray(plots.Live(real=real).picture(gan)) for real in (None, points))
    assert blank.shape[0] == real.shape[0] == live.HEIGHT and blank.shape != real.shape


CELLS = ["""
import numpy as np, signal, tinygan as tg
from tinygan import models, plots
points = tg.data.ring(100)[0]
gan = tg.GAN(models.point_generator(width=8), models.point_discriminator(width=8), latent=2)
gan.fit(points, 10 ** 7, 10, plots.Live())
from tinygan.look.cell import in_notebook
print("ended", in_notebook(), gan.steps == len(gan.history["d_loss"]))
""", "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"]


def test_the_stop_button_of_a_notebook_ends_the_training_and_not_the_cell():
    pytest.importorskip("ipykernel")
    from jupyter_client.manager import start_new_kernel
    manager, client = start_new_kernel()
    try:
        shown, printed = 0, ""
        for cell in CELLS:
            request, deadline = client.execute(cell), time.monotonic() + 60
            while time.monotonic() < deadline:
                message = client.get_iopub_msg(timeout=60)
                kind, content = message["msg_type"], message["content"]
                printed += content.get("text", "") if kind == "stream" else "".join(content.get("traceback", []))
                if kind == "display_data" and "image/png" in content["data"]:
                    shown += 1
                    manager.interrupt_kernel()
                if (kind, content.get("execution_state"), message["parent_header"].get("msg_id")) == ("status", "idle", request):
                    break
        assert shown == 1 and printed == "ended True True\nTrue\n"
    finally:
        manager.shutdown_kernel(now=True)
        client.stop_channels()
