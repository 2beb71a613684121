"""Pictures of one's own, in every form that they come in, and what is said of those that cannot be read."""
import gzip
import json
import struct

import numpy as np
import pytest
from PIL import Image

import tinygan as tg
from tinygan.cli import main
from tinygan.data import images, pictures
from tinygan.look import likeness

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tinygan" / "pictures"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    return tmp_path / "mine"


def saved(file, colour=RED, size=(20, 20), mode="RGB", **options):
    Image.new("RGB", size, colour).convert(mode).save(file, **options)


def pixels(x):
    """Back to bytes."""
    return np.rint((np.asarray(x) + 1) * 127.5).astype(int)


def test_a_folder_of_odd_images(folder):
    saved(folder / "a.png", size=(40, 20))
    saved(folder / "b.jpg", size=(7, 100), quality=100, subsampling=0)
    saved(folder / "deep" / "c.webp", lossless=True)
    saved(folder / "d.GIF", mode="P")
    saved(folder / "e.png", mode="1", colour=WHITE)
    saved(folder / "f.tif", mode="CMYK")
    Image.new("RGBA", (20, 20), (0, 0, 255, 0)).save(folder / "g.png")
    Image.fromarray(np.full((20, 20), 0x80FF, np.uint16)).save(folder / "h.png")
    (folder / ".hidden.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("about them")
    said = []
    x = images(folder, 16, 3, said.append)
    assert x.shape == (8, 16, 16, 3) and x.dtype == np.float32 and not x.flags.writeable
    means = pixels(x).mean((1, 2))
    order = [RED, RED, RED, RED, WHITE, RED, WHITE, (128,) * 3]         # a b d deep/c e f g h
    np.testing.assert_allclose(means, order, atol=2)
    assert said == [f"{folder}: pictures; 8 read as 16×16 colour"]


def test_turned_cropped_and_brought_to_size_by_areas(folder):
    picture = Image.new("RGB", (40, 20), GREEN)
    picture.paste(BLUE, (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6                                        # to be turned by 90° clockwise: left becomes top
    picture.save(folder / "a.png", exif=exif)
    x = pixels(images(folder, 16, 3))[0]
    assert np.array_equal(x[:7], np.broadcast_to(BLUE, (7, 16, 3))) and (x[9:] == GREEN).all()
    saved(folder / "a.png", size=(96, 32))
    board = np.kron(np.indices((32, 32)).sum(0) % 2, np.ones((1, 1))) * 255
    Image.fromarray(board.astype(np.uint8)).save(folder / "a.png")
    x = pixels(images(folder, 16))[0]
    assert x.shape == (16, 16, 1) and set(np.unique(x)) <= {127, 128}       # each the mean of two white and two black


def test_what_cannot_be_read_is_named_and_left_out(folder, monkeypatch):
    saved(folder / "good.png")
    saved(folder / "cut.png", size=(64, 64))
    whole = (folder / "cut.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[:len(whole) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.webp").write_text("no picture")
    Image.fromarray(np.ones((20, 20), np.float32)).save(folder / "z.tiff")
    said = []
    assert len(images(folder, 16, 1, said.append)) == 1
    assert [line.split(" (")[0] for line in said[1:]] == ["left out: cut.png", "left out: empty.jpg", "left out: text.webp",
                                                          "left out: 1 more"]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    saved(folder / "small.png", size=(16, 16))
    said = []
    assert len(images(folder, 17, 1, said.append)) == 1 and "left out: cut.png" in said[1]      # good.png is a bomb now
    (folder / "small.png").unlink()
    with pytest.raises(tg.TinyganError, match="none of the 5 pictures in .* could be read"):
        images(folder, 18, 1)


def test_what_was_read_is_kept_until_a_file_changes(folder, cache, monkeypatch):
    saved(folder / "a.png")
    first, opened = images(folder, 16), []
    monkeypatch.setattr(pictures, "square", lambda *a: opened.append(a) or np.zeros((16, 16, 3), np.uint8))
    np.testing.assert_array_equal(images(folder, 16), first)
    assert opened == [] and len(list(cache.iterdir())) == 2
    saved(folder / "b.png")
    assert len(images(folder, 16)) == 2 and len(opened) == 2


def test_a_reading_that_is_broken_off_leaves_nothing(folder, cache, monkeypatch):
    def stopped(*arguments):
        raise KeyboardInterrupt

    saved(folder / "a.png")
    monkeypatch.setattr(pictures, "square", stopped)
    with pytest.raises(KeyboardInterrupt):
        images(folder)
    assert list(cache.iterdir()) == []


def test_two_who_read_at_once_do_not_meet(folder, cache, monkeypatch):
    """The second begins, and ends, while the first is at its first picture."""
    saved(folder / "a.png")
    saved(folder / "b.png", colour=BLUE)
    square, both = pictures.square, []

    def slow(*arguments):
        monkeypatch.setattr(pictures, "square", square)
        both.append(images(folder, 16))
        return square(*arguments)

    monkeypatch.setattr(pictures, "square", slow)
    both.append(images(folder, 16))
    for x in both:
        assert [tuple(one[0, 0]) for one in pixels(x)] == [RED, BLUE]
    assert len(list(cache.iterdir())) == 2


def test_a_cache_that_takes_nothing_is_named_with_what_helps(folder, cache, monkeypatch):
    saved(folder / "a.png")
    monkeypatch.setattr(pictures.Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(tg.TinyganError, match=r"f32 could not be written \(No space left.*make room or .*XDG_CACHE_HOME"):
        images(folder)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("dtype, low, high", [(np.uint8, 0, 255), (np.float64, 0, 1), (np.float32, -1, 1),
                                              (np.int64, 0, 255), (bool, 0, 1)])
@pytest.mark.parametrize("shape, channels", [((5, 20, 20), 1), ((5, 20, 20, 1), 1), ((5, 20, 20, 3), 3)])
def test_arrays(shape, channels, dtype, low, high, tmp_path, rng):
    a = rng.integers(0, 2, shape) if dtype is bool else rng.uniform(low, high + (dtype == np.uint8), shape)
    a = a.astype(dtype)
    a[0, 0, 0], a[0, 0, 1] = low, high
    np.save(tmp_path / "a.npy", a)
    np.savez(tmp_path / "a.npz", labels=np.arange(5), images=a)
    x = images(tmp_path / "a.npy")
    expected = (a.astype(float) - low) / (high - low) * 2 - 1
    np.testing.assert_allclose(x, expected.reshape(5, 20, 20, channels), atol=1e-6)
    np.testing.assert_array_equal(images(tmp_path / "a.npz"), x)
    assert images(tmp_path / "a.npy", 32, 4 - channels).shape == (5, 32, 32, 4 - channels)


def test_an_array_of_another_size_is_resampled(tmp_path):
    a = np.zeros((300, 40, 60, 4), np.uint8)
    a[:, :, 10:50] = (*RED, 255)                # outside of the middle it is transparent, and cropped
    np.save(tmp_path / "a.npy", a)
    x = images(tmp_path / "a.npy", 20)
    assert x.shape == (300, 20, 20, 3) and (pixels(x) == RED).all()


def idx(file, array):
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "wb") as stream:
        stream.write(struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def test_idx_files_with_and_without_labels(tmp_path, rng):
    a = rng.integers(0, 256, (6, 28, 28)).astype(np.uint8)
    (tmp_path / "fashion").mkdir()
    idx(tmp_path / "fashion" / "train-images-idx3-ubyte.gz", a)
    np.testing.assert_array_equal(pixels(images(tmp_path / "fashion"))[..., 0], a)
    idx(tmp_path / "emnist-letters-train-images-idx3-ubyte", a)
    np.testing.assert_array_equal(pixels(images(tmp_path / "emnist-letters-train-images-idx3-ubyte"))[..., 0],
                                  a.swapaxes(1, 2))
    idx(tmp_path / "fashion" / "emnist-digits-train-images-idx3-ubyte.gz", a)
    with pytest.raises(tg.TinyganError, match="holds 2 files of training images"):
        images(tmp_path / "fashion")


@pytest.mark.parametrize("make, sentence", [
    (lambda p: p / "nowhere", "there is no"),
    (lambda p: p, "holds .*, expected images"),
    (lambda p: np.save(p / "a.npy", np.ones((5, 3, 20, 20))) or p / "a.npy", r"use array.transpose\(0, 2, 3, 1\)"),
    (lambda p: np.save(p / "a.npy", np.ones(5)) or p / "a.npy", r"shape \(5,\), expected \(N, H, W\)"),
    (lambda p: np.save(p / "a.npy", np.full((5, 20, 20), 300.0)) or p / "a.npy", "numbers from 300 to 300, expected"),
    (lambda p: np.save(p / "a.npy", np.full((5, 20, 20), np.nan)) or p / "a.npy", "numbers from nan"),
    (lambda p: np.save(p / "a.npy", np.array([{}]), allow_pickle=True) or p / "a.npy", "cannot be read"),
    (lambda p: np.savez(p / "a.npz", a=np.ones((5, 9, 9)), b=np.ones((5, 9, 9))) or p / "a.npz", "expected one array"),
    (lambda p: saved(p / "a.png") or p / "a.png", "got one picture"),
    (lambda p: (p / "a.txt").write_text("words") and p / "a.txt", "expected"),
])
def test_what_is_no_pictures_gets_a_sentence(make, sentence, tmp_path):
    (tmp_path / "here").mkdir()
    with pytest.raises(tg.TinyganError, match=sentence):
        images(make(tmp_path / "here"))


@pytest.mark.parametrize("options", [{"size": 8}, {"size": 256}, {"channels": 2}])
def test_sizes_and_channels_that_cannot_be(options, folder):
    with pytest.raises(tg.TinyganError, match="expected"):
        images(folder, **options)


@pytest.mark.parametrize("size", [16, 17, 28, 31, 45, 64, 100, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_for_any_size(size, channels):
    G, D = tg.models.dcgan(size, channels, latent=5, width=2)
    x = G(np.ones((2, 5), np.float32))
    assert x.shape == (2, size, size, channels) and D(x).shape == (2, 1)
    assert repr(G).count("bias=True") == 1              # of the last layer, behind which nothing is normalised


@pytest.mark.parametrize("smallest, sides", [(7, [14, 7]), (4, [14, 7, 4]), (3, [14, 7, 4, 2]), (1, [14, 7, 4, 2, 1]),
                                             (0, [14, 7, 4, 2, 1])])
def test_networks_go_down_to_the_smallest_side(smallest, sides):
    G, D = tg.models.dcgan(28, 1, 5, 2, smallest=smallest)
    x, seen, channels = np.zeros((1, 28, 28, 1), np.float32), [], []
    for halving in D.layers[:2 * len(sides):2]:
        x = halving(x)
        seen.append(x.shape[1]), channels.append(x.shape[3])
    assert seen == sides and channels == [2, 4, 8, 16, 16][:len(sides)]
    assert repr(D.layers[2 * len(sides)]) == "Flatten()" and G.layers[1].shape == (sides[-1], sides[-1], channels[-1])


def test_the_small_networks_are_the_case_of_28_pixels():
    for one, other in zip(tg.models.dcgan(), (tg.models.small_generator(), tg.models.small_discriminator())):
        assert repr(one) == repr(other) and all(map(np.array_equal, one.arrays(), other.arrays()))
    with pytest.raises(tg.TinyganError, match="got size 8, expected an integer from 16 to 128"):
        tg.models.dcgan(8)


# A run on pictures of one's own

def coloured(folder, rng, n=240):
    """Discs on grounds that shade, in all colours."""
    y, x = np.mgrid[:32, :32] / 31
    for k in range(n):
        ground, disc, (a, b) = *rng.uniform(0, 255, (2, 3)), rng.uniform(0.3, 0.7, 2)
        inside = (x - a) ** 2 + (y - b) ** 2 < rng.uniform(0.1, 0.3) ** 2
        Image.fromarray(np.where(inside[..., None], disc, ground * (0.5 + y / 2)[..., None]).astype(np.uint8)).save(
            folder / f"{k}.png")


def test_a_run_from_a_folder(folder, tmp_path, rng, capsys, monkeypatch):
    trained, trainings = likeness.trained, []
    monkeypatch.setattr(likeness, "STEPS", 5)
    monkeypatch.setattr(likeness, "trained", lambda *arguments: trainings.append(1) or trained(*arguments))
    coloured(folder, rng)
    (folder / "broken.png").write_bytes(b"x")
    run, options = tmp_path / "run", ["--width", "4", "--latent", "8", "--loss", "hinge", "--beta1", "0", "--size", "24",
                                      "--score-every", "1"]
    assert main(["train", "--data", str(folder), "--steps", "2", "--batch-size", "8", "--out", str(run), *options]) == 0
    said = capsys.readouterr().out
    assert "240 read as 24×24 colour" in said and "left out: broken.png" in said and "pictures: your own" in said
    assert "precision" in said and "digit" not in said
    config, result = (json.loads((run / f"{name}.json").read_text()) for name in ("config", "result"))
    assert config["network"] == {"width": 4, "latent": 8, "size": 24, "channels": 3}
    assert result["steps"] == 2 and result["samples"]["n"] == result["real"]["n"] == 120 and result["images_per_second"] > 0
    assert len(trainings) == 1 and [row["step"] for row in result["scores"]] == [1, 2]          # one judge for the whole run
    assert result["best"] == min(result["scores"], key=lambda row: row["frechet"])
    assert result["scores"][1]["frechet"] == pytest.approx(result["samples"]["frechet"], rel=1e-3)
    gan = tg.GAN.load(run / "checkpoint.npz")
    assert gan.loss == "hinge" and gan.latent == 8 and gan.g_optimizer.betas == gan.d_optimizer.betas == (0, 0.999)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "image/jpeg" in page and "Precision" in page and "digit" not in page.split("</style>")[1]
    assert Image.open(run / "samples.png").mode == "RGB" and (run / "training.gif").is_file()
    assert main(["train", "--resume", str(run), "--steps", "3"]) == 0
    assert main(["sample", str(run), "--n", "3", "--out", str(tmp_path / "three.png")]) == 0
    assert main(["sample", str(run), "--n", "3", "--out", f"{tmp_path / 'three'}/"]) == 0
    made = tg.GAN.load(run / "checkpoint.npz").sample(3)
    for k in range(3):
        shown = np.asarray(Image.open(tmp_path / "three" / f"000{k + 1}.png"))
        np.testing.assert_allclose(shown / 127.5 - 1, made[k], atol=0.005)
    assert main(["sample", str(run), "--walk", "--n", "2"]) == 0
    assert Image.open(run / "walk-2-0.gif").size == (216, 216)


def test_grey_pictures_are_as_light_as_they_are_and_few_have_no_score(tmp_path, capsys):
    np.save(tmp_path / "dark.npy", np.zeros((30, 16, 16), np.uint8))
    run = tmp_path / "run"
    command = ["train", "--data", str(tmp_path / "dark.npy"), "--steps", "1", "--batch-size", "4", "--width", "2",
               "--out", str(run), "--quiet"]
    assert main([*command, "--score-every", "1"]) == 1 and "with 30 pictures, expected at least 200" in capsys.readouterr().err
    assert main(command) == 0
    assert json.loads((run / "result.json").read_text())["samples"] is None
    assert main(["sample", str(run), "--n", "1", "--out", str(tmp_path / "one.png")]) == 0
    levels = np.asarray(Image.open(tmp_path / "one.png"))
    sample = tg.GAN.load(run / "checkpoint.npz").sample(1)[0, ..., 0]
    assert abs(levels[6 + 1, 6 + 1] / 127.5 - 1 - sample[0, 0]) < 0.02
