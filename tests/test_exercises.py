"""Every exercise passes with a right answer, however it is written, and fails with the empty body and with wrong ones."""
import inspect
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tinygan as tg
from tinygan import conv, exercises, norm, optim
from tinygan.cli import main
from tinygan.exercises import EXERCISES, check
from tinygan.proofs import museum, twins

NONE = ((0, 0), (0, 0))


# tinygan's own answers

def shares(function, *arrays, cotangent=None):
    """The value of a function of Tensors, and its gradients."""
    inputs = [tg.Tensor(array, requires_grad=True) for array in arrays]
    y = function(*inputs)
    return y, tg.grad(y, inputs, cotangent)


def d_loss(a_real, a_fake):
    loss, gradients = shares(tg.losses.discriminator_loss, a_real, a_fake)
    return loss, *gradients


def g_losses(a):
    (l_n, (g_n,)), (l_s, (g_s,)) = (shares(loss, a) for loss in (
        tg.losses.generator_loss, tg.losses.saturating_generator_loss))
    return l_n, g_n, l_s, g_s, abs(g_s.data) * len(a) < 0.01


def optimal_logit(x, mu, s, nu, t):
    u, v = (x - nu) / t, (x - mu) / s
    return (u - v) * (u + v) / 2 + np.log(t / s)


def batch_norm(g, x, gamma, eps):
    return shares(lambda *those: norm.batch_norm(*those, eps)[0], x, gamma, np.zeros_like(gamma), cotangent=g)[1]


def convolve(x, w, stride):
    return conv.convolve(tg.Tensor(x), tg.Tensor(w), conv.geometry(x.shape[1:3], len(w), stride, NONE))


def transpose(g, w, stride):
    return conv.transpose(tg.Tensor(g), tg.Tensor(w), conv.geometry_of_transpose(g.shape[1:3], len(w), stride, NONE))


def adam(theta, g, m, v, t, lr, beta1, beta2, eps):
    theta, m, v = theta.copy(), m.copy(), v.copy()
    optim.plain_adam(theta, g, m, v, lr, (beta1, beta2), eps, t)
    return theta, m, v


def detach(G, D, x, z):
    return tg.losses.discriminator_loss(D(x), D(G(z).detach())), tg.losses.generator_loss(D(G(z)))


def step(G, D, g_optimizer, d_optimizer, x, z_d, z_g):
    d_optimizer.zero_grad()
    tg.losses.discriminator_loss(D(x), D(G(z_d).detach())).backward()
    d_optimizer.step()
    g_optimizer.zero_grad()
    tg.losses.generator_loss(D(G(z_g))).backward(inputs=G.parameters())
    g_optimizer.step()


RIGHT = {
    "tanh": tg.ops.tanh, "broadcast": lambda g, shape: tg.ops.sum_to(tg.Tensor(g), shape),
    "order": tg.tensor.topological_order, "softplus": lambda x: tg.ops.softplus(tg.Tensor(x)),
    "matmul": lambda g, a, b: shares(tg.ops.matmul, a, b, cotangent=g)[1],
    "d_loss": d_loss, "g_losses": g_losses, "optimal_logit": optimal_logit, "batch_norm": batch_norm,
    "leaky_relu": tg.ops.leaky_relu, "convolve": convolve, "transpose": transpose, "adam": adam, "detach": detach,
    "r1": tg.losses.r1_penalty, "step": step, "d_gradient": museum.d_gradient, "d_real_loss": museum.d_real_loss,
    "label_planes": museum.label_planes, "normalise": museum.batch_norm_differentiable,
    "checker": museum.error_by_random_cotangent}


# Other right answers

def broadcast_one_by_one(g, shape):
    share = np.zeros(shape, g.dtype)
    np.add.at(share.reshape(-1), np.broadcast_to(np.arange(share.size).reshape(shape), g.shape).ravel(), g.ravel())
    return share


def order_by_counting(output):
    """Kahn's algorithm: a Tensor is taken when all that was made from it has been."""
    users, found = {}, [output]
    for x in found:
        for y, _ in x.edges:
            if y not in users:
                users[y] = 0
                found.append(y)
            users[y] += 1
    taken = [output]
    for x in taken:
        for y, _ in x.edges:
            users[y] -= 1
            if users[y] == 0:
                taken.append(y)
    return tuple(reversed(taken))


def batch_norm_in_steps(g, x, gamma, eps):
    """The chain rule node by node, as textbooks have it."""
    rows, g_rows = x.reshape(-1, x.shape[-1]), g.reshape(-1, x.shape[-1])
    M, centred = len(rows), rows - rows.mean(0)
    deviation = np.sqrt((centred ** 2).mean(0) + eps)
    d_hat = g_rows * gamma
    d_var = (d_hat * centred).sum(0) * -0.5 / deviation ** 3
    d_mean = -(d_hat / deviation).sum(0) - 2 * d_var * centred.mean(0)
    share = d_hat / deviation + 2 * d_var * centred / M + d_mean / M
    return [share.reshape(x.shape), (g_rows * centred / deviation).sum(0), g_rows.sum(0)]


def convolve_by_loops(x, w, stride):
    (N, H, W, _), (K, _, _, D) = x.shape, w.shape
    y = np.zeros((N, (H - K) // stride + 1, (W - K) // stride + 1, D), x.dtype)
    for n, i, j, d in np.ndindex(*y.shape):
        for a in range(K):
            for b in range(K):
                y[n, i, j, d] += x[n, stride * i + a, stride * j + b] @ w[a, b, :, d]
    return y


def transpose_by_loops(g, w, stride):
    (N, I, J, _), K = g.shape, len(w)
    x = np.zeros((N, stride * (I - 1) + K, stride * (J - 1) + K, w.shape[2]), g.dtype)
    for n, i, j in np.ndindex(N, I, J):
        x[n, stride * i:stride * i + K, stride * j:stride * j + K] += w @ g[n, i, j]
    return x


def adam_in_the_paper_s_other_form(theta, g, m, v, t, lr, beta1, beta2, eps):
    m, v = m + (1 - beta1) * (g - m), v + (1 - beta2) * (g * g - v)
    root = (1 - beta2 ** t) ** 0.5
    return theta - lr * root / (1 - beta1 ** t) * m / (np.sqrt(v) + root * eps), m, v


def detach_without_recording(G, D, x, z):
    with tg.no_grad():
        fakes = G(z)
    softplus, mean = tg.ops.softplus, tg.ops.mean
    return mean(softplus(-D(x))) + mean(softplus(D(fakes))), softplus(-D(G(z))).mean()


def r1_point_by_point(D, x):
    total = 0
    for row in x:
        row = tg.Tensor(row[None], requires_grad=True)
        slope, = tg.grad(D(row), row, [[1.0]], create_graph=True)
        total = total + (slope ** 2).sum()
    return total / len(x)


def step_that_clears_afterwards(G, D, g_optimizer, d_optimizer, x, z_d, z_g):
    with tg.no_grad():
        fakes = G(z_d)
    for optimizer, loss in ((d_optimizer, lambda: tg.losses.discriminator_loss(D(x), D(fakes))),
                            (g_optimizer, lambda: tg.losses.generator_loss(D(G(z_g))))):
        loss().backward()
        optimizer.step()
        g_optimizer.zero_grad()
        d_optimizer.zero_grad()


def leaky_by_a_product(x, slope):
    slopes = np.full(x.shape, slope, x.dtype)
    slopes[x.data > 0] = 1
    return x * slopes


def label_planes_in_a_loop(labels, classes, size):
    planes = np.zeros((len(labels), size, size, classes))
    for n, label in enumerate(labels):
        planes[n, ..., label] = 1
    return planes


ALSO_RIGHT = [
    ("tanh", lambda x: 2.0 * (x * 2.0).sigmoid() - 1.0),
    ("tanh", lambda x: tg.ops.record(np.tanh(x.data), (x, lambda g, y: (1 + y) * g - y * g * (1 + y)))),
    ("tanh", lambda x: tg.ops.record(np.tanh(x.data), (x, lambda g, y: g * (1 - x.tanh() ** 2)))),
    ("broadcast", broadcast_one_by_one),
    ("order", order_by_counting),
    ("matmul", lambda g, a, b: (np.einsum("im,km->ik", g, b), (g.T @ a).T)),
    ("softplus", lambda x: np.logaddexp(0, x)),
    ("softplus", lambda x: (np.abs(x) + x) / 2 + np.log1p(np.exp(-np.abs(x)))),
    ("d_loss", lambda a, b: (np.logaddexp(0, -a).mean() + np.logaddexp(0, b).sum() / b.size,
                             (1 / (1 + np.exp(-a)) - 1) / a.size, 1 / (1 + np.exp(-b)) / len(b))),
    ("optimal_logit", lambda x, mu, s, nu, t: 0.5 * ((x - nu) / t) ** 2 - 0.5 * ((x - mu) / s) ** 2 - np.log(s) + np.log(t)),
    ("batch_norm", batch_norm_in_steps),
    ("leaky_relu", leaky_by_a_product),
    ("leaky_relu", lambda x, slope: tg.ops.record(np.where(x.data > 0, x.data, x.data * x.dtype.type(slope)), (
        x, lambda g, y: g * np.where(x.data > 0, x.dtype.type(1), x.dtype.type(slope))))),
    ("convolve", convolve_by_loops), ("convolve", lambda x, w, stride: twins.convolve(x, w, stride, NONE)),
    ("transpose", transpose_by_loops),
    ("adam", adam_in_the_paper_s_other_form),
    ("detach", detach_without_recording),
    ("r1", r1_point_by_point),
    ("step", step_that_clears_afterwards),
    ("d_real_loss", lambda a: tg.losses.discriminator_loss(a, tg.Tensor(np.full_like(a.data, -1e4)))),
    ("label_planes", label_planes_in_a_loop),
    ("normalise", lambda x: (x - x.mean(axis=0)) / ((x - x.mean(axis=0)) ** 2 + 1e-5).mean(axis=0).sqrt())]


@pytest.mark.parametrize("name, answer", [*RIGHT.items(), *ALSO_RIGHT])
def test_a_right_answer_has_all_points(name, answer):
    report = check(name, answer)
    assert report.passed and report.won == report.most > 0, report
    assert report.verdict.startswith("Right. Read on: tinygan") and "Hint" not in str(report)


# Wrong answers

@pytest.mark.parametrize("name", EXERCISES)
def test_the_question_can_be_run_and_is_no_answer(name):
    text, names = exercises.text(EXERCISES[name]), {}
    exec(compile(text, f"{name}.py", "exec"), names)
    report = check(name, names[name])
    assert report.won == 0 and not report.passed
    if "NotImplementedError" in text:
        assert report.verdict.startswith("the body is still missing") and not report.mistake
    else:
        assert report.mistake.startswith("This is as it was published.")
    prose = text.partition('"""')[2].partition("    raise")[0] if "NotImplementedError" in text else text.split('"""')[-2]
    assert max(map(len, prose.splitlines())) <= 80


def test_a_question_can_be_pasted_into_a_notebook():
    assert exercises.question("tanh") == EXERCISES["tanh"].code.strip()
    names = {"np": np, "tg": tg}
    exec(exercises.question("d_gradient"), names)           # it brings what it is written with
    assert {"CachingDense", "sigmoid"} <= names.keys() and not check("d_gradient", names["d_gradient"]).passed


@pytest.mark.parametrize("name, sentence", [(name, sentence) for name, one in EXERCISES.items() for sentence in one.wrong])
def test_a_known_mistake_fails_with_its_own_sentence(name, sentence):
    report = check(name, EXERCISES[name].wrong[sentence])
    assert not report.passed and report.mistake == report.verdict == sentence, report
    assert " ".join(sentence.split()[-2:]) in " ".join(str(report).split())


def test_a_known_mistake_is_known_in_other_words():
    """V itself, by logarithms that overflow where the planted one does not."""
    def v(a, b):
        p, q = 1 / (1 + np.exp(-a)), 1 / (1 + np.exp(-b))
        return np.log(p).mean() + np.log(1 - q).mean(), (1 - p) / len(a), -q / len(b)

    assert check("d_loss", v).mistake == "This is V, which D maximises. Its loss is −V."


def in_place(g, x, gamma, eps):
    x -= x.mean(axis=0)
    return batch_norm(g, x, gamma, eps)


OTHERS = [          # nobody planted these: what is tried, and a part of the sentence
    ("tanh", lambda x: x.tanh() * 1.001, "y"),
    ("tanh", lambda x: np.tanh(x.data), "expected a Tensor"),
    ("tanh", lambda x: tg.ops.record(np.tanh(x.data), (x, lambda g, y: g * (1 - y * y) * 1.01)), "∂⟨u, y⟩/∂x"),
    ("tanh", lambda x: ((x.exp() - (-x).exp()) / (x.exp() + (-x).exp())), "nan"),
    ("tanh", 3, "expected a function"), ("tanh", lambda x, y: x, "def"),
    ("broadcast", lambda g, shape: None, "is a return missing"), ("broadcast", lambda g, shape: "x", "expected numbers"),
    ("broadcast", lambda g, shape: g.mean() * np.ones(shape), "share"),
    ("order", lambda output: [output], "missing"), ("order", lambda output: [], "missing"),
    ("order", lambda output: tg.tensor.topological_order(output)[:-1], "missing"),
    ("order", lambda output: tg.tensor.topological_order(output) * 2, "twice"),
    ("matmul", lambda g, a, b: g @ b.T, "got 1 results, expected 2"),
    ("matmul", lambda g, a, b: (g @ b.T, a.T @ g + 1), "∂L/∂B"),
    ("softplus", lambda x: np.where(x > 0, x, 0) + 0.69 / (1 + np.abs(x)), "softplus"),
    ("softplus", lambda x: np.where(x > 10, x, np.log1p(np.exp(np.minimum(x, 10)))), "softplus"),
    ("normalise", lambda x: (x - x.mean(axis=0)) / ((x - x.mean(axis=0)) ** 2).mean(axis=0).sqrt(), "y["),
    ("d_loss", lambda a, b: tuple(x.astype(np.float64) for x in map(np.asarray, EXERCISES["d_loss"].expected(
        a.astype(np.float64), b.astype(np.float64)))), "float64 for float32"),
    ("d_loss", lambda a, b: (d_loss(a, b)[0], d_loss(a, b)[1].data.ravel(), d_loss(a, b)[2]), "shape"),
    ("g_losses", lambda a: (*g_losses(a)[:4], np.zeros_like(a, bool)), "dead"),
    ("batch_norm", in_place, "has been changed"), ("batch_norm", lambda g, x, gamma, eps: batch_norm(g, x, gamma, 0), "∂L/∂x"),
    ("leaky_relu", lambda x, slope: tg.ops.leaky_relu(x, 0.2), "y"),
    ("convolve", lambda x, w, stride: convolve(x, w, min(stride, 2)), "y: got shape"),
    ("transpose", lambda g, w, stride: transpose(g, w.transpose(1, 0, 2, 3), stride), "x["),
    ("adam", lambda theta, g, m, v, t, lr, b1, b2, eps: adam(theta, g, m, v, t, lr, b1, b2, 0), "nan"),
    ("adam", lambda theta, g, m, v, t, *rest: adam(theta, g, m, v, 1, *rest), "θ"),
    ("detach", lambda G, D, x, z: (0.0, 0.0), "expected a Tensor"),
    ("r1", lambda D, x: tg.losses.gradient_penalty(D, x, x, np.random.default_rng(0)), "R₁"),
    ("step", lambda *those: None, "D's weights"),
    ("step", lambda G, D, g, d, x, z_d, z_g: step(G, D, g, d, x, z_g, z_d), "D's weights"),
    ("label_planes", lambda labels, classes, size: np.ones((len(labels), size, size, classes)), "museum"),
    ("checker", lambda f, x, rng: 1 / 0, "ZeroDivisionError"), ("softplus", lambda x: sys.exit(0), "sys.exit")]


@pytest.mark.parametrize("name, answer, part", OTHERS)
def test_a_wrong_answer_that_nobody_foresaw_fails(name, answer, part):
    report = check(name, answer)
    assert not report.passed and not report.mistake and part in report.verdict, report


@pytest.mark.parametrize("name", ["matmul", "d_loss", "g_losses", "batch_norm", "adam"])
def test_each_result_counts(name):
    for position, result in enumerate(EXERCISES[name].results):
        def nearly_right(*arguments):
            results = [x.data if isinstance(x, tg.Tensor) else x for x in RIGHT[name](*arguments)]
            results[position] = results[position] * 1.003
            return results

        nearly_right.__signature__ = inspect.signature(RIGHT[name])
        report = check(name, nearly_right)
        assert not report.passed and report.verdict.startswith(result), report


def test_a_single_line_breaks_all_the_gradients_it_should():
    """A teacher changes D's loss, and asks what breaks: its value is right still, to a factor, its gradient is not."""
    report = check("d_loss", lambda a, b: (d_loss(a, b)[0], *(2 * g for g in d_loss(a, b)[1:])))
    assert {row.sentence.partition("[")[0] for row in report.rows} == {"∂L_D/∂a_real"}


def test_every_exercise_is_whole():
    names = list(EXERCISES)
    assert len(names) >= 21 and len([one for one in EXERCISES.values() if one.title.startswith("Find the mistake")]) >= 5
    for position, one in enumerate(EXERCISES.values()):
        assert len(one.wrong) >= 3 and len(one.hints) == 3 and 5 <= one.minutes <= 30
        assert set(one.after) <= set(names[:position]), one.name                # in the order of the list
        assert sum(points for points, _ in one.trials.values()) >= 3
    sentences = [sentence for one in EXERCISES.values() for sentence in one.wrong]
    assert all(sentence.endswith(".") for sentence in sentences)
    assert not any("#" in one.code for one in EXERCISES.values())              # the museum's comments tell what is wrong


def test_the_stream_of_new_layers_is_left_alone():
    before = tg.layers.stream.bit_generator.state
    check("step", step), check("r1", tg.losses.r1_penalty)
    assert tg.layers.stream.bit_generator.state == before


def test_tinygan_loads_the_exercises_when_they_are_used_only():
    code = ("import sys, tinygan as tg; assert 'tinygan.exercises' not in sys.modules; "
            "print(tg.exercises.check('tanh', tg.ops.tanh))")
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8").stdout
    assert printed == str(check("tanh", tg.ops.tanh)) + "\n" and repr(check("tanh", tg.ops.tanh)) + "\n" == printed


# Files

@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(name, body, rest=""):
    """The student's file with this body, and something more."""
    path = exercises.write(name)
    path.write_text(path.read_text(encoding="utf-8").replace("raise NotImplementedError", body) + rest, encoding="utf-8")
    return path


def test_an_answer_in_a_file_is_graded_whatever_it_prints(here, capfd):
    path = answer("tanh", 'print("noise", g.shape); return g * (1 - y * y)', 'print("{" * 1000)\n')
    assert main(["exercise", "--check", str(path)]) == 0
    out, err = capfd.readouterr()
    assert "noise" in out and out.endswith(f"{check('tanh', tg.ops.tanh)}\n") and not err


@pytest.mark.parametrize("body, rest, sentence", [
    ("return g", "\nraise SystemExit(0)\n", "it ends the program (sys.exit)"),
    ("return g *", "", "line 24 is no Python: invalid syntax"),
    ("return g", "\ntanh = None\n", "got None, expected a function: def tanh(x)"),
    ("return g", "\ndel tanh\n", "there is no tanh in"),
    ("return g", "\ndef tanh(x, y):\n    return x\n", "got tanh(x, y), expected tanh(x)"),
    ("return g / missing", "", "NameError: name 'missing' is not defined (line 24: return g / missing)"),
    ("return g", "\n1 / 0\n", "ZeroDivisionError: division by zero (line 27: 1 / 0)"),
    ("return input()", "", "(line 24: return input())"),
    ("return share(g, y)", "", "RecursionError: maximum recursion depth exceeded")])
def test_what_a_file_does_ends_with_a_sentence_that_names_the_line(here, body, rest, sentence, monkeypatch):
    monkeypatch.setattr("sys.stdin", open("/dev/null"))
    report = exercises._run(answer("tanh", body, rest))
    assert report.won == 0 and sentence in report.verdict, report
    assert max(map(len, str(report).splitlines())) <= 80


def endless(x):
    while True:
        pass


@pytest.mark.parametrize("body, rest", [("while True: pass", ""), ("return g", "\nwhile True: pass\n")])
def test_an_endless_loop_ends_with_its_line(here, monkeypatch, body, rest):
    monkeypatch.setattr(exercises.grading, "SECONDS", 0.3)
    before = signal.getsignal(signal.SIGALRM)
    reports = exercises._run(answer("tanh", body, rest)), check("tanh", endless)
    for report in reports:
        assert report.verdict.startswith("it did not end within 0.3 seconds: look for an endless loop (line ")
        assert report.verdict.rstrip(")").endswith(("while True: pass", "while True:", " pass")) and report.won == 0
    assert check("tanh", tg.ops.tanh).passed
    assert signal.getsignal(signal.SIGALRM) == before and signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.parametrize("body, sentence", [
    ("import signal; signal.pause()", "it did not end within 2 seconds: look for an endless loop"),
    ("import os; os._exit(0)", "it ended the program (exit code 0): leave os._exit")])
def test_a_process_that_hangs_or_ends_itself_ends_with_a_sentence(here, monkeypatch, body, sentence):
    monkeypatch.setattr(exercises, "LIMIT", 2)
    report = exercises.grade(answer("tanh", body))
    assert sentence in report.verdict and report.won == 0 and report.most == check("tanh", tg.ops.tanh).most


def test_all_files_are_graded_in_one_table(here, capsys, monkeypatch):
    monkeypatch.setattr(exercises, "grade", exercises._run)
    assert main(["exercise", "--check"]) == 1 and "begin with `tinygan exercise tanh`" in capsys.readouterr().err
    answer("matmul", "return g @ b, a @ g"), answer("tanh", "return g * (1 - y * y)")
    assert main(["exercise", "--check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["tanh", "6", "of", "6", "right"]
    assert lines[1].startswith("  matmul          0 of  6     Nothing is")
    assert lines[-1].split() == ["all", "6", "of", "12", "2", "of", str(len(EXERCISES)), "exercises", "begun"]
    (here / "exercises" / "matmul.py").unlink()
    assert main(["exercise", "--check"]) == 0


def test_watch_grades_again_what_was_saved(here, capsys, monkeypatch):
    monkeypatch.setattr(exercises, "grade", exercises._run)
    path = answer("tanh", "return g")
    saved = iter([lambda: None, lambda: path.write_text(path.read_text().replace("return g", "return g * (1 - y * y)"))])

    def wait(seconds):
        next(saved, lambda: (_ for _ in ()).throw(KeyboardInterrupt))()

    monkeypatch.setattr(time, "sleep", wait)
    assert main(["exercise", "--check", str(path), "--watch"]) == 0
    out = capsys.readouterr().out
    assert out.count("tanh: 0 of 6 points") == out.count("tanh: 6 of 6 points") == 1


def test_the_command_lists_writes_and_hints(here, capsys):
    assert main(["exercise"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:-2]] == list(EXERCISES) and max(map(len, lines)) <= 80
    assert main(["exercise", "tanh"]) == 0
    mine = here / "exercises" / "tanh.py"
    assert "exercises/tanh.py" in capsys.readouterr().out.replace("\\", "/")
    assert "raise NotImplementedError" in mine.read_text(encoding="utf-8")
    mine.write_text("my work")
    assert main(["exercise", "tanh"]) == 1 and mine.read_text() == "my work"
    assert "exists already and is left as it is: go on with it" in capsys.readouterr().err
    assert main(["exercise", "tanh", "--hint", "3"]) == 0 and capsys.readouterr().out.startswith("∂y/∂x = 1 − tanh² x")


@pytest.mark.parametrize("arguments, part", [
    (["cooking"], "choose one of tanh, broadcast"), (["--watch"], "expected --check --watch"),
    (["--hint", "1"], "NAME --hint N"), (["tanh", "--check"], "expected it alone"),
    (["--check", "nowhere.py", "--watch"], "expected a file"), (["--check", "nowhere.py"], "expected a file"),
    (["--check", "."], "named after its exercise")])
def test_what_the_command_cannot_do_is_said(here, capsys, arguments, part):
    assert main(["exercise", *arguments]) == 1
    err = capsys.readouterr().err
    assert part in err and err.count("\n") == 1 and not list(here.iterdir())
