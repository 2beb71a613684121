"""The page about a run: whole in itself, true to what it was given, and alive in a browser."""
import base64
import html
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinygan as tg
from tinygan import data, plots
from tinygan.look import report
from tinygan.look.metrics import Score, mode_score

STEPS = 400
SCORE = Score(2000, 31.4, 0.9, 0.5, 2.2, (0.05, 0.15) + (0.1,) * 8)
REAL_SCORE = Score(2000, 10.4, 0.98, 0.93, 2.3, (0.1,) * 10)
LONG = "SpectralNorm(Conv2DTranspose(128, 64, 4, stride=2, padding='same'))", (128, 128, 256), 12_345_678
VOID = {"meta", "link", "img", "input"}


class Page(HTMLParser):
    """The page's elements as (tag, {attribute: value}), its text, and a check that every element is closed in turn."""

    def __init__(self, path):
        super().__init__()
        self.source, self.elements, self.text, self.open = path.read_text(encoding="utf-8"), [], "", []
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text += text if self.open and self.open[-1] not in ("style", "script") else ""

    def all(self, tag, name=None):
        return [a for t, a in self.elements if t == tag and (name is None or name in a.get("class", "").split())]


def picture(element):
    kind, content = element["src"].split(",")
    assert kind == "data:image/png;base64"
    return decoded(base64.b64decode(content))


def decoded(png):
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == "L"
        return np.asarray(image) / 255


def write(path, moments=5, **changes):
    """A page about a run of 400 steps, with what is to be different."""
    rng = np.random.default_rng(0)
    real = data.digits()[0][:600]
    about = {
        "title": "digits & more", "networks": {"G": [("Dense(3, 4)", (4,), 16), ("Reshape(2, 2)", (2, 2), 1000)], "D": [LONG]},
        "config": {"preset": "digits", "data": None, "seed": "<b>0</b>", "network": {"size": 32, "width": 8}},
        "history": {name: rng.uniform(low, low + 0.1, STEPS).tolist() for name, low in
                    (("d_loss", 1.2), ("g_loss", 0.8), ("d_real", 0.6), ("d_fake", 0.3))},
        "frames": [(STEPS * k // max(1, moments - 1) or 1, real[k * 8:k * 8 + 8]) for k in range(moments)],
        "samples": real[100:200], "real": real, "score": SCORE, "real_score": REAL_SCORE,
        "findings": ["D <i>wins</i> & all is well."]}
    report.write(path, **(about | changes))
    return Page(path)


@pytest.fixture
def points():
    real = data.ring(3000)[0]
    return {"real": real, "samples": data.ring(2500, seed=1)[0], "score": None, "real_score": None,
            "frames": [(k, data.ring(500, seed=k)[0]) for k in (1, 200, 400)]}


def test_nothing_comes_from_outside(tmp_path, points):
    for page in (write(tmp_path / "a.html"), write(tmp_path / "b.html", **points)):
        assert not re.search(r"https?:|file:|[\"'(]//|@import|url\(", page.source)
        for _, attributes in page.elements:
            for name in ("src", "href"):
                assert attributes.get(name, "data:").startswith("data:")


def test_everything_that_was_given_is_there(tmp_path):
    page = write(tmp_path / "page.html")
    assert page.source.count("<title>digits &amp; more</title>") == 1
    for text in ("D <i>wins</i> & all is well.", "<b>0</b>", "preset", "31.4", "10.4", "50.0%", "93.0%", "step 400",
                 "log 4", "½", "size 32, width 8", "Dense(3, 4)416", "Reshape(2, 2)2 × 21,000", "all1,016"):
        assert text in page.text
    assert "None" not in page.text
    assert [frame["data-step"] for frame in page.all("figure", "frame")] == ["1", "100", "200", "300", "400"]
    assert ["hidden" in frame for frame in page.all("figure", "frame")] == [True] * 4 + [False]
    assert [frame["data-at"] for frame in page.all("figure", "frame")][::2] == ["0.25%", "50.00%", "100.00%"]
    slider, = page.all("input")
    assert slider["type"] == "range" and (slider["min"], slider["max"], slider["value"]) == ("0", "4", "4")
    assert page.all("label")[0]["for"] == slider["id"]                          # keyboard and screen reader


def test_pictures_are_the_images(tmp_path):
    page, real = write(tmp_path / "page.html"), data.digits()[0]
    pictures = [picture(image) for image in page.all("img")]
    grid, frames, pairs = pictures[0], pictures[1:6], pictures[6:]
    assert grid.shape == (298, 298) and len(pairs) == 10
    for k in range(100):
        top, left = k // 10 * 30, k % 10 * 30
        assert np.abs(grid[top:top + 28, left:left + 28] - (1 - real[100 + k, ..., 0]) / 2).max() < 0.035   # 16 greys
    for k, frame in enumerate(frames):
        assert frame.shape == (28, 238) and np.abs(frame[:, -28:] - (1 - real[k * 8 + 7, ..., 0]) / 2).max() < 0.035
    for pair in pairs:                                # these samples are training digits: copies, and found so
        assert pair.shape == (28, 58) and np.array_equal(pair[:, :28], pair[:, 30:])
    assert page.text.count("distance 0.0") == 10 and "generated images is 0.0, the smallest 0.0" in page.text


def test_copying_names_the_nearest_training_digit_and_what_is_usual(tmp_path, rng):
    real = data.digits()[0][:120]
    samples = (real[50:70] * 0.9 + rng.normal(0, 0.05, (20, 28, 28, 1))).clip(-1, 1)
    page = write(tmp_path / "page.html", real=real, samples=samples)
    pairs = [picture(image) for image in page.all("img")][-10:]
    for k, pair in enumerate(pairs):
        assert np.abs(pair[:, 30:] - (1 - real[50 + k, ..., 0]) / 2).max() < 0.035
    table = np.linalg.norm((real[:, None] - real[None]).reshape(120, 120, -1), axis=2)
    np.fill_diagonal(table, np.inf)
    usual = table.min(axis=1)
    assert f"training image the median is {np.median(usual):.1f}, the smallest {usual.min():.1f}." in page.text
    distances = np.linalg.norm((samples - real[50:70]).reshape(20, -1), axis=1)
    assert [f"{d:.1f}" for d in distances[:10]] == re.findall(r"distance ([\d.]+)", page.text)[-10:]
    assert f"20 generated images is {np.median(distances):.1f}" in page.text


def test_the_largest_page_stays_small(tmp_path, rng):
    noise = rng.uniform(-1, 1, (100, 28, 28, 1))                                # nothing packs worse
    history = {name: rng.uniform(0.1, 0.9, 20_000).tolist() for name in ("d_loss", "g_loss", "d_real", "d_fake")}
    write(tmp_path / "page.html", samples=noise, frames=[(1000 * k, noise) for k in range(20)], history=history)
    assert (tmp_path / "page.html").stat().st_size < 2e6


@pytest.mark.parametrize("ink, channels, inverted", [(True, 1, True), (False, 1, False), (True, 3, False)])
def test_only_what_is_drawn_on_white_is_inverted_in_the_dark(ink, channels, inverted, tmp_path):
    images = np.repeat(data.digits()[0][:30], channels, axis=3)
    page = write(tmp_path / "page.html", samples=images, real=images, frames=[(1, images)], ink=ink, score=None)
    assert {"on-white" in image["class"] for image in page.all("img")} == {inverted}


@pytest.mark.parametrize("width", [1, 2, 7])
def test_png(width, rng):
    grey = rng.integers(0, 16, (5, width)) / 15
    assert np.abs(decoded(report.png(grey)) - grey).max() < 1e-6


def test_there_is_one_palette():
    """Every colour that a page names is in page.css, for light and for dark, and the curves have those of the plots."""
    folder = Path(tg.__file__).parent
    sources = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.suffix in (".css", ".py"))
    palette = (folder / "look" / "page.css").read_text(encoding="utf-8")
    for name in re.findall(r"var\((--\w+)\)", sources):
        assert palette.count(f" {name}: ") == 2, name
    assert f"--blue: {plots.BLUE}; --orange: {plots.ORANGE};" in palette


def test_points_are_drawn_and_what_makes_no_sense_is_left_out(tmp_path, points):
    page = write(tmp_path / "page.html", **points)
    assert not page.all("img") and "copying" not in page.text and "Fréchet" not in page.text
    score = mode_score(points["samples"], data.RING_MEANS, data.RING_SIGMA)
    seen = {"score": score, "real_score": score, "landscape": Image.new("RGB", (50, 40))}
    more = write(tmp_path / "more.html", **points | seen)
    assert more.text.count("8 of 8") == 2 and (more.all("img")[0]["width"], len(more.all("img"))) == ("50", 1)
    assert len(page.all("svg", "scatter")) == 1 + 3 and len(page.all("figure", "frame")) == 3
    x, y = np.array(re.findall(r"M(-?\d+) (-?\d+)h0", page.all("path", "fake")[0]["d"]), float).T
    assert len(x) == report.DOTS
    expected = points["samples"][:report.DOTS]
    assert np.corrcoef(x, expected[:, 0])[0, 1] > 0.999 and np.corrcoef(y, -expected[:, 1])[0, 1] > 0.999   # y is up
    assert 0 < min(x.min(), y.min()) and max(x.max(), y.max()) < 1000


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("nan"), 2.0], [float("nan")] * 300, [0.5] * 300,
                                    [float("inf"), 1.0] * 300, [-5.0, 70.0] * 100])
def test_short_broken_and_strange_histories(values, tmp_path):
    page = write(tmp_path / "page.html", history={name: values for name in ("d_loss", "g_loss", "d_real", "d_fake")})
    drawn = " ".join(element.get("d", "") + element.get("points", "") for _, element in page.elements)
    assert "nan" not in drawn and "inf" not in drawn


def test_broken_samples_are_grey_and_compared_with_nothing(tmp_path):
    samples = np.full((100, 28, 28, 1), np.nan, np.float32)
    page = write(tmp_path / "page.html", samples=samples, frames=[(1, samples)])
    assert "copying" not in page.text and np.abs(picture(page.all("img")[0])[:28, :28] - 0.5).max() < 0.05


def test_curves_are_means_of_neighbouring_steps(tmp_path):
    values = np.linspace(0, 1, 1000)
    history = {"d_loss": [9.0] * 1000, "g_loss": [0.7] * 1000,
               "d_real": values.tolist(), "d_fake": values[::-1].tolist()}
    page = write(tmp_path / "page.html", history=history)
    rising, falling = [np.array(re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path["d"]), float) for path in
                       page.all("path", "blue")[1:] + page.all("path", "orange")[1:]]
    assert len(rising) == report.BINS and np.all(np.diff(rising[:, 1]) < 0) and np.all(np.diff(falling[:, 1]) > 0)
    assert np.allclose(rising[:, 0], 1000 * (np.arange(250) + 0.5) / 250, atol=0.06)
    assert abs(np.interp(500, *rising.T) - np.interp(500, *falling.T)) < 0.2        # both are ½ in the middle


# In a browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
LOOK = """<script>
addEventListener("load", () => {
  const slider = document.querySelector("#moment"), seen = [];
  for (let k = 0; k <= slider.max; k++) {
    slider.value = k;
    slider.dispatchEvent(new Event("input"));
    const shown = frames.filter(frame => frame.checkVisibility());
    seen.push({shown: shown.map(frame => frames.indexOf(frame)), picture: shown[0].innerHTML,
               loaded: [...shown[0].querySelectorAll("img")].every(image => image.complete && image.naturalWidth),
               wide: shown[0].firstElementChild.getBoundingClientRect().width,
               step: document.querySelector("#step").textContent, spoken: slider.getAttribute("aria-valuetext"),
               line: document.querySelector(".now").getAttribute("x1"),
               value: document.querySelector("[data-metric=d_real]").textContent});
  }
  const room = document.documentElement;
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify({seen, fits: room.scrollWidth <= room.clientWidth, width: innerWidth,
                                       page: getComputedStyle(document.body).backgroundColor});
  parent.document.body.append(result);
  console.log("the console is heard");
});
</script></body>"""


def browse(path, *options, width=1100):
    """What LOOK saw on a copy of the page, and the lines of the browser's console.

    LOOK runs within the load event of the frame, for which that of the page waits, and only then is the page dumped.
    The page stands in a frame of the given width, for a headless window is never narrower than 500 pixels."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        pytest.skip(f"no browser is installed: none of {', '.join(BROWSERS)} was found")
    copy = path.with_name("copy.html")
    page = html.escape(path.read_text(encoding="utf-8").replace("</body>", LOOK))
    copy.write_text(f'<meta charset="utf-8"><iframe width="{width}" height="700" srcdoc="{page}"></iframe>',
                    encoding="utf-8")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={path.parent / 'profile'}", *options,
         "--dump-dom", copy.as_uri()],
        capture_output=True, text=True, encoding="utf-8", timeout=120)
    found = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.S)
    assert found, done.stderr
    return json.loads(html.unescape(found[1])), [s for s in done.stderr.splitlines() if "CONSOLE" in s]


@pytest.mark.parametrize("kind", ["digits", "points"])
def test_the_slider_moves_the_picture(kind, tmp_path, points):
    page = write(tmp_path / "page.html", **(points if kind == "points" else {}))
    result, console = browse(tmp_path / "page.html")
    assert len(console) == 1 and "the console is heard" in console[0]               # and nothing else, no error
    steps = [frame["data-step"] for frame in page.all("figure", "frame")]
    seen = result["seen"]
    assert [moment["shown"] for moment in seen] == [[k] for k in range(len(steps))]
    assert [moment["step"] for moment in seen] == steps and [m["spoken"] for m in seen] == [f"step {s}" for s in steps]
    assert len({moment["picture"] for moment in seen}) == len(steps) and all(moment["wide"] > 200 for moment in seen)
    assert all(moment["loaded"] for moment in seen)
    assert [m["line"] for m in seen] == [frame["data-at"] for frame in page.all("figure", "frame")]
    assert all(0.6 <= float(moment["value"]) <= 0.7 for moment in seen)
    assert result["fits"] and result["page"] == "rgb(255, 255, 255)"


def test_a_narrow_window_in_the_dark(tmp_path):
    write(tmp_path / "page.html", moments=1)
    result, _ = browse(tmp_path / "page.html", "--blink-settings=preferredColorScheme=0", width=360)
    assert result["width"] == 360 and result["fits"] and len(result["seen"]) == 1
    assert result["page"] == "rgb(23, 23, 23)"
