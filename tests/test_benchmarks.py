"""What the benchmarks draw of their numbers, and the pictures that they make."""
import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import tinygan as tg
from benchmarks import emoji, gpu_report, lessons, recipes, report, shapes, trainings
from tinygan import models
from tinygan.run import presets


def test_rows_of_equal_names_have_a_bar_each(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, dpi: figures.append(figure))
    rows = [{"name": name, "ms": ms} for name, ms in (("a", 3.0), ("b", 1.0), ("a", 2.0))]
    report._bars({"title": "", "columns": ["ms"], "rows": rows}, tmp_path / "bars.png")
    axis, = figures[0].axes
    assert [(bar.get_y() + bar.get_height() / 2, bar.get_width()) for bar in axis.patches] == [(0, 3), (1, 1), (2, 2)]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b", "a"]
    assert axis.get_ylim()[0] > axis.get_ylim()[1]          # the first row is on top


@pytest.mark.parametrize("form, values, spread, text", [
    ("{:.1f} %", [3, 3.2, 3.4], None, "3.2 ± 0.2 %"), ("{:.1f} %", [3.14], None, "3.1 %"),
    ("{:.2f} %", [1.0], 0.1, "1.00 ± 0.10 %"), ("{:.0f}", [1, 3], 7.0, "2 ± 1")])
def test_the_outcome_of_several_seeds_has_their_spread(form, values, spread, text):
    assert lessons.outcome([{"what": "", "value": value, "form": form, "spread": spread} for value in values]) == text


def test_lessons_that_were_run_are_not_run_again(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn", reason="pip install '.[lessons]'")
    for module in (report, trainings, lessons):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(lessons, "PICTURES", tmp_path / "lessons")
    rows = [{"what": "E |x|", "value": value, "form": "{:.1f} %", "published": "2 %"} for value in (1.0, 3.0)]
    (tmp_path / "lessons.jsonl").write_text("".join(
        json.dumps({"job": {"lesson": "clusters", "full": False, "seed": seed}, "result": {"rows": [row]}, "seconds": 60.0,
                    "cores": 1 + seed, "date": "2026-01-01"}) + "\n" for seed, row in enumerate(rows)))
    lessons.main(["--lessons", "clusters", "--seeds", "2"])
    page = (tmp_path / "lessons.md").read_text()
    assert "| E \\|x\\| | 2.0 ± 1.4 % | 2 % |" in page
    assert "`tinygan lesson clusters --seed 0|1`, 1 minutes on 1 core or 2 cores:" in page
    assert "2 of them done" in capsys.readouterr().out


def test_pictures_to_train_on(tmp_path, monkeypatch):
    shapes.write(tmp_path / "shapes", 3)
    assert tg.data.images(tmp_path / "shapes").shape == (3, 32, 32, 3)
    if not Path(emoji.FONT).exists():
        pytest.skip("fonts-noto-color-emoji is not installed")
    monkeypatch.setattr(emoji, "SYMBOLS", (0x1F600, 0x1F4A9, 0xE000, 0xE001, 0x1F600))           # two faces, and none
    emoji.write(tmp_path / "emoji")
    assert sorted(path.name for path in (tmp_path / "emoji").iterdir()) == ["1f4a9.png", "1f600.png"]
    faces = tg.data.images(tmp_path / "emoji")
    assert faces.shape == (2, 32, 32, 3) and (faces[:, 0, 0] == 1).all()                          # a white corner
    assert faces[1, 10, 16, 0] > 0.8 > 0.4 > faces[1, 10, 16, 2]                                  # a yellow forehead


def test_the_search_for_a_recipe(tmp_path, monkeypatch):
    for module in (recipes, trainings):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(recipes, "SECOND", tmp_path / "second.npz")
    monkeypatch.setattr(recipes, "make_second_judge", lambda folder: recipes.SECOND.write_text(folder))
    jobs = []

    def train(name, given, play, processes):
        jobs.append(given)
        return [{"job": job, "date": "2026-01-01", "result": {"steps": 7, **{
            judge: {"frechet": 1 / job["recipe"]["lr"] + job["recipe"]["batch_size"], "sure": 70.0, "rarest": 400}
            for judge in job["judges"]}}} for job in given]

    monkeypatch.setattr(trainings, "train_missing", train)
    recipes.main(["--data", "MNIST"])
    drawn, near, finalists, alone, together, deeper, kinds, again, old, found, new, without, longer = (
        [job["recipe"] for job in given] for given in jobs)
    assert drawn[:2] == [recipes.OLD, recipes.PROBED] and len(drawn) == 2 + recipes.DRAWN
    assert all(recipe[part] in values for recipe in drawn[2:] for part, values in recipes.SPACE.items())
    assert recipes.FIRST in drawn[:12] and recipes.FOUND in drawn and recipes.FOUND in finalists
    for base, space, ones in ((recipes.FIRST, recipes.NEAR, near), (recipes.SPLIT, recipes.LEFT_ALONE, alone[1:])):
        for recipe in ones:
            part, = (part for part in recipe if recipe[part] != base.get(part))
            assert recipe[part] in space[part]
    assert recipes.NARROW in together and recipes.SHARP in deeper and len(deeper) == len(recipes.BESIDE)
    assert old == 3 * [recipes.OLD] and found == 5 * [recipes.FOUND] and new == [r for r in (recipes.ONE_KIND, recipes.TEN_PLACES, recipes.RECIPE) for _ in range(5)]
    assert not {job["seed"] for given in jobs[8:] for job in given} & {job["seed"] for given in jobs[:8] for job in given}
    assert recipes.ONE_KIND in kinds and recipes.TEN_PLACES in kinds and recipes.RECIPE in again and len(kinds) == 1 + len(recipes.KINDS)
    assert recipes.SECOND.read_text() == "MNIST" and all(job["judges"] == ["packaged", "second"] for job in jobs[-1])
    assert longer == 3 * [recipes.LONGER_OF_ONE_KIND] + 3 * [recipes.LONGER]
    assert all(job["mnist"] and job["steps"] == presets.PRESETS["mnist"].steps for job in jobs[-1])
    assert {job["steps"] for job in jobs[10]} == {presets.PRESETS["digits"].steps} and len(without) == 3 * (1 + len(recipes.WITHOUT))
    page = (tmp_path / "recipes.md").read_text()
    assert "| old | second | 3 | 1032.0 ± 0.0 | 70.0 ± 0.0 | 400 ± 0 | 1032.0 |" in page
    assert "| longer | second | 3 | 516.0 ± 0.0 |" in page
    assert "| latent 16 | 7 | 516.0 | 70.0 | 400 |" in page and "| d_width 24 | 3 | 7 | 516.0 ± 0.0 |" in page


@pytest.mark.parametrize("name, recipe", [("digits", recipes.RECIPE), ("mnist", recipes.LONGER)])
def test_the_preset_is_the_recipe(name, recipe):
    preset, told = presets.PRESETS[name], recipes.whole(recipe)
    gan = preset.build(0)
    assert [gan.r1, gan.r1_every, gan.averaging] == [told[part] for part in ("r1", "r1_every", "averaging")]
    assert gan.decay_steps == (preset.steps if told["falling"] else None)
    for adam, lr in ((gan.g_optimizer, told["g_lr"]), (gan.d_optimizer, told["d_lr"])):
        assert (adam.lr, adam.betas) == (lr, (told["beta1"], told["beta2"]))
    assert (preset.batch_size, gan.latent, gan.loss) == (told["batch_size"], told["latent"], told["loss"])
    G, D = (repr(network) for network in (gan.generator, gan.discriminator))
    plain = models.dcgan(28, 1, told["latent"], told["width"], smallest=told["smallest"])[0]
    assert G == repr(tg.Sequential(tg.OneHot(told["kinds"]), *plain.layers))
    assert D == repr(models.dcgan(28, 1, 1, told["d_width"], smallest=told["smallest"])[1])


@pytest.mark.parametrize("changes, share, expected", [
    ({}, 1, 3000), ({}, 0.25, 750), ({"d_width": 32, "g_lr": 1.0}, 1, 3000), ({"batch_size": 69}, 1, 1500), ({"r1": 1.0}, 1, 2000), ({"r1": 1.0, "r1_every": 5}, 1, 2727)])
def test_recipes_get_equal_time(changes, share, expected):
    assert recipes.steps({**recipes.OLD, **changes}, share) == expected
    assert recipes.steps({**recipes.OLD, "width": 64}, 1) < 3000 / 3        # most products grow with the square


def test_the_page_of_a_gpu(tmp_path):
    """What gpu.sh leaves behind, even where a part did not end; a dry run says that it is one."""
    rows = [{"model": model, "batch": batch, "name": name, "device ms": ms * batch / 32, "host ms": 4.0,
             "least": ms, "most": ms} for model in ("seed", "small") for batch in (64, 256)
            for name, ms in (("tinygan, CPU", 50.0), ("tinygan", 1.25), ("PyTorch", 1.5), ("PyTorch CUDA graph", 1.0))]
    record = {"command": "bash benchmarks/gpu.sh FOLDER", "date": "2026-01-01", "processor": "a CPU", "cores": 4,
              "card": "a GPU", "driver": 13020, "cupy": "14.2.0", "versions": {"python": "3.12"}, "rows": rows, "notes": []}
    (tmp_path / "suite.txt").write_text("...\n9 passed in 3.00s\n== suite: exit status 0 after 4 s\n")
    kernels = [{"kernel": "void fused<float>(int)", "us": 300.0, "calls": 3.0},
               {"kernel": "sgemm", "us": 100.0, "calls": 20.0}]
    (tmp_path / "profile.json").write_text(json.dumps({"small": kernels, "notes": []}))
    for command in (record["command"], record["command"] + " --dry"):
        (tmp_path / "step.json").write_text(json.dumps(record | {"command": command}))
        gpu_report.main([str(tmp_path)])
        text = (tmp_path / "gpu.md").read_text()
        for line in ("**a GPU**, driver for CUDA 13.2, CuPy 14.2.0", "- suite: exit status 0 after 4 s (`9 passed in 3.00s`)",
                     "- train: was not run", "| seed | 64 | tinygan | 2.50 | 1.25, 1.25 | 4.00 ms | 25,600 |",
                     "| `fused` | 300 | 75% | 3 |", "All together: 400 µs a step."):
            assert line in text
        assert ("no number here was measured on a GPU" in text) == command.endswith("--dry")
        assert ("PyTorch CUDA graph 2.00 ms" in text) != command.endswith("--dry")        # beside the roofline
    assert (tmp_path / "gpu.png").stat().st_size > 10_000
