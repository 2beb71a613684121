"""Film the page of `tinygan play`: `python tests/film_play.py` writes benchmarks/results/play.png and play.gif anew."""
import base64
import io
import json
import tempfile
import time
from pathlib import Path

from PIL import Image
from test_play import Browser, served

from tinygan.play import server

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def film(scene, size, script):
    """The pictures of the page, of this width and height, after each part of the script: a number of rounds, or a button."""
    table = server.Table(scene)
    with served(table) as door, tempfile.TemporaryDirectory() as folder:
        browser = Browser(folder)
        try:
            browser.open("about:blank")
            browser.call("Emulation.setScrollbarsHidden", hidden=True)
            browser.call("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)
            browser.call("Page.navigate", url=door.address)
            browser.until("typeof now !== 'undefined' && now && document.querySelectorAll('#lines li').length > 30")
            for do in script:
                message = f"do: 'play', rounds: {do}" if isinstance(do, int) else f"do: '{do}'"
                browser.evaluate(f"post({{{message}}})")
                while table.left:
                    time.sleep(0.01)
                line = json.dumps(table.between(lambda: table.game.walk and table.game.walk.line))
                browser.until(f"!now.playing && now.step == {table.game.gan.steps} && now.line === {line}")
                shot = browser.call("Page.captureScreenshot", format="png")["data"]
                yield Image.open(io.BytesIO(base64.b64decode(shot))).convert("RGB")
        finally:
            browser.close()


def reduced(pictures, colours):
    """The pictures in so few colours, those of the thin lines among them."""
    swatches = pictures[-1].copy()
    for k, colour in enumerate(("#0072b2", "#1a7f4b", "#d55e00", "#1c1e21")):
        swatches.paste(colour, (0, 90 * k, 200, 90 * k + 90))
    palette = swatches.quantize(colours)
    return [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]


if __name__ == "__main__":
    *_, last = film("ring", (1700, 830), [250, 250, "d"])
    reduced([last], 192)[0].save(RESULTS / "play.png", optimize=True)
    frames = [frame.resize((640, 395), Image.Resampling.LANCZOS) for frame in film("ring", (1280, 790), [18] * 22)]
    frames = reduced(frames, 80)
    frames[0].save(RESULTS / "play.gif", save_all=True, append_images=frames[1:], duration=180, loop=0, optimize=True)
