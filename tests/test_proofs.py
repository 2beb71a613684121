"""Every derivative is proved, and a broken one is not."""
import functools
import inspect
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

import tinygan as tg
from tinygan import conv, fast, layers, losses, models, norm, ops, optim, proofs, tensor, training
from tinygan.checkpoint import networks
from tinygan.cli import main
from tinygan.proofs import mathml, prose

CASES = {case.name: case for case in proofs.cases()}
PAIRS = [(name, order) for name, case in CASES.items() for order in case.orders]


@functools.cache
def proved(name, order):
    return proofs.prove(CASES[name], order)


@pytest.fixture
def every_proof():
    return [proved(*pair) for pair in PAIRS]


@pytest.mark.parametrize("name, order", PAIRS)
def test_every_case_is_proved(name, order):
    proof = proved(name, order)
    assert proof.holds, proofs.table([proof])
    assert proof.max_error < (1e-6 if order == 1 else 1e-5)
    assert proof.rows or not proof.case.derivative
    assert order == 2 or proof.value is None or proof.value.error < 1e-9


def test_nothing_is_left_out():
    covered = {case.code for case in CASES.values()}
    kernels = {ops.slopes, ops.plain_leaky_relu, ops.plain_total}
    functions = {f for _, f in inspect.getmembers(ops, inspect.isfunction) if f.__module__ == ops.__name__
                 and not f.__name__.startswith("_")}
    assert functions - kernels <= covered
    assert {conv.convolve, conv.transpose, conv.weight_gradient, norm.batch_norm} <= covered
    assert set(networks.LAYERS.values()) <= covered
    assert {losses.softmax, losses.log_sum_exp, losses.cross_entropy, losses.gradient_penalty} <= covered
    assert {loss for pair in losses.LOSSES.values() for loss in pair} <= covered
    made = {f for _, f in inspect.getmembers(models, inspect.isfunction) if f.__module__ == models.__name__}
    assert made - {models.dcgan} <= covered              # of which small_generator and small_discriminator are the case
    steps = " ".join(name for name in CASES if name.startswith("training"))
    assert all(f"{player}'s step, {loss}" in steps for player in "DG" for loss in losses.LOSSES)


def test_names_are_unique_and_say_where_the_code_stands():
    assert len(CASES) == len(proofs.cases())
    for case in CASES.values():
        path, line = case.place.split(":")
        text = open(inspect.getsourcefile(inspect.unwrap(case.code))).read().splitlines()[int(line) - 1]
        assert path.startswith("tinygan/") and re.search("def |class |@", text)
        assert case.equation


# Broken on purpose

def scaled(function, factor=1.001, which=None):
    """The function with its result, or the result's item `which`, scaled."""
    def wrong(*arguments, **options):
        result = function(*arguments, **options)
        if which is None:
            return result * factor
        return tuple(share if i != which or share is None else share * factor for i, share in enumerate(result))
    return wrong


def without_variance_term(backward):
    def wrong(g, y, x, gamma, mu, v, eps, *rest):
        x_share, *others = backward(g, y, x, gamma, mu, v, eps, *rest)
        r = 1 / np.sqrt(v + eps)
        x_hat = (x.reshape(g.shape) - mu) * r
        axes = tuple(range(g.ndim - 1))
        return x_share + gamma * r * x_hat * (g * x_hat).mean(axes), *others
    return wrong


def breadth_first(output):
    """Not topological: a Tensor near the output is listed after what it was made from, which needs it again."""
    order = [output]
    for y in order:
        order += [x for x, _ in y.edges if all(x is not other for other in order)]
    return order[::-1]


def wrong_tanh(x):
    return tensor.record(np.tanh(x.data), (x, lambda g, y: g * (1 - y * y) * 1.001))


def wrong_twice_tanh(x):
    """The first derivative is right, and does not know that it depends on x."""
    return tensor.record(np.tanh(x.data), (x, lambda g, y: g * (1 - y * y).detach()))


MUTANTS = [     # module, name, its mutation, case, order
    (ops, "tanh", lambda f: wrong_tanh, "ops.tanh", 1),
    (ops, "tanh", lambda f: wrong_twice_tanh, "ops.tanh", 2),
    (ops, "sum_to", lambda f: scaled(f), "ops.add: broadcast", 1),
    (ops, "_place", lambda f: scaled(f), "ops.getitem: x[1]", 1),
    (ops, "leaky_relu", lambda f: lambda x, slope: -f(x, slope), "ops.leaky_relu", 1),
    (ops, "sigmoid", lambda f: scaled(f), "ops.softplus", 1),
    (fast.conv, "weight_gradient", lambda f: scaled(f), "conv.weight_gradient: kernel 3, stride 1", 1),
    (fast.conv, "transpose", lambda f: scaled(f), "conv.transpose: kernel 2, stride 3", 1),
    (fast.conv, "transpose", lambda f: scaled(f, -1), "conv.convolve: kernel 3, stride 1", 1),
    (fast.conv, "_from_one_gather", lambda f: scaled(f, which=1), "conv.transpose: one channel", 1),
    (conv, "weight_gradient", lambda f: lambda x, g, geo: f(x, g, geo) * 0.999, "conv.convolve: one channel", 1),
    (conv, "plain_transpose", lambda f: scaled(f), "conv.transpose: kernel 2, stride 3", 1),
    (conv, "plain_weight_gradient", lambda f: scaled(f), "conv.convolve: kernel 3, stride 1", 1),
    (norm, "plain_batch_norm", lambda f: scaled(f, which=0), "layers.BatchNorm: training", 1),
    (ops, "plain_leaky_relu", lambda f: scaled(f), "models.small_discriminator", 1),
    (optim, "plain_adam", lambda f: lambda theta, g, m, v, lr, *rest: f(theta, g, m, v, 1.001 * lr, *rest), "optim.Adam", 1),
    (fast.norm, "batch_norm_backward", without_variance_term, "norm.batch_norm: 2 axes", 1),
    (fast.norm, "batch_norm_backward", without_variance_term, "norm.batch_norm: in several parts", 1),
    (fast.norm, "batch_norm_backward", lambda f: scaled(f, -1, which=1), "norm.batch_norm: 4 axes", 1),
    (fast.norm, "batch_norm_backward", lambda f: scaled(f, which=2), "layers.BatchNorm: training", 1),
    (fast.norm, "batch_norm_backward", lambda f: scaled(f, which=0), "norm.batch_norm: with LeakyReLU, in several parts", 1),
    (norm, "sqrt", lambda f: lambda x: f(x).detach(), "norm.batch_norm: 2 axes", 2),
    (norm, "slopes", lambda f: scaled(f), "norm.batch_norm: with LeakyReLU, 2 axes", 1),
    (losses, "sigmoid", lambda f: lambda a: -f(a), "losses.discriminator_loss: non_saturating", 1),
    (losses, "sigmoid", lambda f: scaled(f), "losses.saturating_generator_loss: saturating", 1),
    (losses, "softmax", lambda f: scaled(f), "losses.cross_entropy", 1),
    (losses, "sum", lambda f: lambda x, **o: f(x.detach(), **o), "losses.log_sum_exp", 1),
    (losses, "leaky_relu", lambda f: lambda x, slope: f(-x, slope), "losses.hinge_discriminator_loss: hinge", 1),
    (losses, "mean", lambda f: lambda x: f(x) * 2, "losses.least_squares_generator_loss: least_squares", 1),
    (losses, "grad", lambda f: lambda *a, create_graph: f(*a), "losses.gradient_penalty", 1),
    (layers, "tanh", lambda f: ops.sigmoid, "layers.Tanh", 1),
    (layers, "matmul", lambda f: lambda a, b: f(a, b.detach()), "models.point_generator", 1),
    (layers, "sqrt", lambda f: lambda x: f(x - 1e-3), "layers.BatchNorm: evaluation", 1),
    (tensor, "topological_order", lambda f: breadth_first, "tensor.grad: one Tensor used in several places", 1),
    (tensor.Tensor, "backward", lambda f: lambda self, *a, **o: f(self * 1.001, *a, **o),
     "training.GAN.step: D's step, wasserstein", 1),
    (optim.SGD, "step", lambda f: lambda self: setattr(self, "lr", -self.lr) or f(self), "optim.SGD", 1),
    (optim.SGD, "zero_grad", lambda f: lambda self: None, "training.GAN.step: D's step, non_saturating", 1),
    (optim.SGD, "zero_grad", lambda f: lambda self: None, "training.GAN.step: G's step, hinge", 1),
    (training, "gradient_penalty", lambda f: lambda *a: f(*a).detach(),
     "training.GAN.step: D's step, with gradient penalty", 1),
    (training, "gradient_penalty", lambda f: lambda *a: -f(*a),
     "training.GAN.step: D's step, with gradient penalty", 1),
]


@pytest.mark.parametrize("module, name, mutation, case, order", MUTANTS)
def test_what_is_broken_is_not_proved(module, name, mutation, case, order, monkeypatch):
    monkeypatch.setattr(module, name, mutation(getattr(module, name)))
    broken = {case.name: case for case in proofs.cases()}[case]
    proof = proofs.prove(broken, order)
    assert not proof.holds and proof.verdict == "WRONG"
    assert "1 of 1 proofs FAIL" in proofs.table([proof]) and case in proofs.table([proof])


def test_losses_in_the_wrong_order_are_no_proof(monkeypatch):
    d_loss, g_loss = losses.LOSSES["saturating"]
    monkeypatch.setitem(losses.LOSSES, "saturating", (lambda real, fake: d_loss(fake, real), g_loss))
    case = {case.name: case for case in proofs.cases()}["training.GAN.step: D's step, saturating"]
    proof = proofs.prove(case)
    assert not proof.holds
    assert [row.name for row in proof.wrong] == ["value"]           # the derivative is right, of another game


def test_whatever_is_raised_is_a_verdict(monkeypatch):
    monkeypatch.setattr(ops, "_sigmoid", lambda x, zero, one: 1 / 0)
    proof = proofs.prove(CASES["ops.sigmoid"])
    assert not proof.holds and "ZeroDivisionError" in proof.failure
    assert "ZeroDivisionError" in proofs.table([proof]) and "ZeroDivisionError" in proofs.page([proof])


def test_nan_is_no_proof():
    def f(x):
        return tensor.record(x.data * 2, (x, lambda g, y: g * (np.nan if tensor.recording() else 2)))
    assert not proofs.prove(proofs.Case("ops.nan", f, f, (np.ones(3),))).holds


def test_a_case_that_compares_nothing_is_no_proof():
    assert not proofs.prove(proofs.Case("ops.nothing", ops.add, lambda: tg.Tensor(1.0))).holds


def test_an_order_that_a_case_has_not():
    with pytest.raises(tg.TinyganError, match="got order 2 of optim.Adam, expected 1"):
        proofs.prove(CASES["optim.Adam"], 2)


def test_all_is_proved_on_the_device_and_from_another_seed(device, request):
    emulated = request.config.getoption("--device") == "cupy-on-cpu"
    broken = []
    for name, case in CASES.items():
        if emulated and (name.startswith("models.") or name.endswith("step, on images")):
            case = replace(case, plain=False)       # the book's own loops over a whole network take minutes there
        if not proofs.prove(case, device=device, seed=3).holds:
            broken.append(name)
    assert broken == []


# What is printed

def test_the_table_has_every_case_and_a_summary(every_proof):
    text = proofs.table(every_proof)
    lines = text.splitlines()
    assert all(any(f" {name} " in line for line in lines) for name in CASES)
    derivatives, functions, error = re.search(r"(\d+) derivatives of (\d+) functions agree with finite differences; "
                                              r"largest relative error (\S+)\.", lines[-1]).groups()
    assert int(derivatives) == sum(len(p.rows) for p in every_proof) > 500
    assert int(functions) > 50 and float(error) < 1e-6


def test_the_page_has_every_case_and_needs_nothing_but_itself(every_proof, tmp_path):
    page = proofs.page(every_proof)
    assert not re.search(r'https?:|url\(|<script|<link(?! rel="icon" href="data:,"/>)', page)
    text = " ".join(ET.fromstring(page).itertext())                 # it is XML too
    for name, case in CASES.items():
        function, _, detail = name.partition(": ")
        assert function in text and detail in text and case.place in text
    assert page.count("<math") > 100 and page.count("WRONG\"") == 0
    assert page.count("<main>") == page.count("<h1>") == 1 and page.count("<article>") == page.count("<h3>") > 60
    assert {text for text in re.findall(r"<th(?! scope=).*?>", page)} == set()


def test_no_two_dots_of_a_proof_touch(every_proof):
    for proof in every_proof:
        svg = re.search("<svg.*?</svg>", proofs.page([proof])).group()
        dots = [(float(x), float(y)) for x, y in re.findall(r'cx="(\S+)" cy="(\S+)"', svg)]
        assert len(dots) == len(proof.rows)
        assert all(np.hypot(a - c, b - d) > 5.2 for k, (a, b) in enumerate(dots) for c, d in dots[:k])
        top, height = (float(number) for number in re.search(r'viewBox="0 (\S+) 138 (\d+)"', svg).groups())
        assert all(top + 2.6 <= y <= top + height - 2.6 for _, y in dots)


def test_check_prints_and_counts(capsys, tmp_path, monkeypatch):
    assert main(["check", "tanh", "--html", str(tmp_path / "page.html")]) == 0
    printed = capsys.readouterr().out
    assert "∂y/∂x = 1 − y²" in printed and "3 derivatives of 1 function agree" in printed and "page.html" in printed
    assert "ops.tanh" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert main(["check", "--museum"]) == 0 and "What was written" in capsys.readouterr().out
    assert main(["check", "losses", "--order", "2"]) == 0 and "order 1" not in capsys.readouterr().out
    monkeypatch.setattr(ops, "tanh", wrong_tanh)
    assert main(["check", "ops.tanh"]) == 1 and "FAIL" in capsys.readouterr().out


@pytest.mark.parametrize("name, order, where, message", [
    ("tanhh", None, "cpu", "tanhh.*did you mean .*tanh"), ("§", None, "cpu", "choose one of tensor, ops, conv"),
    ("optim.Adam", 2, "cpu", "no derivative of order 2"), ("tanh", None, "abacus", "no device 'abacus'")])
def test_a_wrong_name_or_order_or_device_is_told(name, order, where, message):
    with pytest.raises(tg.TinyganError, match=message):
        proofs.prove_all(name, order, where)


# Equations

@pytest.mark.parametrize("text, parts", [
    ("∂y/∂x = 1/(2y)", ["<mfrac><mrow><mi>∂</mi><mi>y</mi></mrow><mrow><mi>∂</mi><mi>x</mi></mrow></mfrac>",
                        "<mfrac><mn>1</mn><mrow><mn>2</mn><mi>y</mi></mrow></mfrac>"]),
    ("y = √(v + ε)", ["<msqrt><mrow><mi>v</mi><mo>+</mo><mi>ε</mi></mrow></msqrt>"]),
    ("xⁿ⁻¹", ["<msup><mrow><mi>x</mi></mrow><mrow><mi>n</mi><mo>−</mo><mn>1</mn></mrow></msup>"]),
    ("E softplus(−a_real)", ["<mi>softplus</mi>", "<msub><mi>a</mi><mi>real</mi></msub>"]),
    ("x̂ = x̄", ["<mover accent=\"true\"><mrow><mi>x</mi></mrow><mo>^</mo></mover>", "<mo>¯</mo>"]),
    ("β₁ᵗ", ["<msub><mrow><mi>β</mi></mrow><mn>1</mn></msub>", "<mi>t</mi>"]),
    ("p = e^(a_k) / Σ_j e^(a_j)", ["<mfrac><msup>", "<munder><mo>∑</mo><mi>j</mi></munder>"]),
    ("min_{G, E} max_D", ["<msub><mrow><mi>min</mi></mrow><mrow><mi>G</mi><mo>,</mo>", "<mrow><mi>max</mi></mrow><mi>D</mi>"]),
    ("p(y = k | x) = |a|", ["<mi>k</mi><mo>|</mo><mi>x</mi>",
                            '<mo fence="true">|</mo><mrow><mi>a</mi></mrow><mo fence="true">|</mo>']),
    ("y = x where x > 0", ["<mtext>\u00a0where\u00a0</mtext>", "<mo>&gt;</mo>"]),
])
def test_equations_become_mathml(text, parts):
    math = mathml.mathml(text)
    ET.fromstring(math)
    assert all(part in math for part in parts), math


def test_a_docstring_becomes_paragraphs_equations_and_lists():
    html = prose.html_of("""One `name` & another.

    y = x²        where all is well
    and so on, to y = x.

    x, z      the first, on
              two lines
    width_of_all    w = 2·x

    As y = x, it is so.
    """)
    equation = f'<div class="equation">{mathml.mathml("y = x²")}<span class="note">where all is well</span></div>'
    ET.fromstring(f"<html>{html}</html>")
    assert html == (f"<p>One <code>name</code> &amp; another.</p>{equation}<p>and so on, to y = x.</p>"
                    "<dl><dt>x, z</dt><dd>the first, on two lines</dd>"
                    f"<dt>width_of_all</dt><dd>{prose.equation('w = 2·x')}</dd></dl><p>As y = x, it is so.</p>")
    assert prose.html_of("1   |  b <") == "<pre>1   |  b &lt;</pre>"


def test_a_long_equation_can_be_broken_before_its_signs_and_in_its_words():
    math = mathml.mathml("∂y/∂x is 1 for the largest of all, 0 for the others = a + (b + c)·d")
    ET.fromstring(math)
    parts = re.sub(r"</?math.*?>|</?mrow>", "", math).split("<wbr/>")
    assert [" ".join(part.split()) for part in parts[1:6:2]] == ["is", "for the largest of all,", "for the others"]
    assert parts[3].endswith(", ") and parts[6:] == [
        '<mo form="infix">=</mo><mi>a</mi>', '<mo form="infix">+</mo><mo fence="true">(</mo><mi>b</mi><mo>+</mo><mi>c</mi>'
        '<mo fence="true">)</mo>', '<mo form="infix">·</mo><mi>d</mi></span>']
    assert mathml.mathml("y = a + (b + c)·d").count("<math") == 1


@pytest.mark.parametrize("text", ["y = (a", "y = a)", "a ≈ b", "√", "x_", "y = |a"])
def test_what_is_no_equation_is_left_alone(text):
    assert mathml.mathml(text) is None


def test_every_equation_of_a_docstring_can_be_typeset():
    lines = {line for case in CASES.values() for line in case.equation}
    fragments = [fragment for line in lines for fragment in mathml.fragments(line) if mathml.is_equation(fragment)]
    assert len(fragments) > 80 and [fragment for fragment in fragments if mathml.mathml(fragment) is None] == []
