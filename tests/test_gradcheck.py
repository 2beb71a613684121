"""The tester is tested: what is wrong must fail, and say so."""
import re

import numpy as np
import pytest

import tinygan as tg
from tinygan import ops
from tinygan.gradcheck import compare_gradients
from tinygan.tensor import record

WRONG = {
    "0.1 % too large": lambda x: record(np.exp(x.data), (x, lambda g, y: g * y * 1.001)),
    "sign": lambda x: record(np.exp(x.data), (x, lambda g, y: -g * y)),
    "zero": lambda x: record(np.exp(x.data), (x, lambda g, y: g * 0)),
    "half of it missing": lambda x: x * x.detach(),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_gradient_fails(name, rng):
    with pytest.raises(tg.GradientError):
        tg.check_gradients(WRONG[name], rng.standard_normal((3, 2)))


def test_a_wrong_second_derivative_fails(rng):
    def f(x):           # the first derivative is right, but 0.1 % of it is a constant to the second
        return record(x.data ** 3, (x, lambda g, y: g * 3 * (0.999 * x * x + 0.001 * (x * x).detach())))
    x = rng.standard_normal((3, 2))
    tg.check_gradients(f, x)
    with pytest.raises(tg.GradientError):
        tg.check_gradients(f, x, order=2)


def test_batch_norm_without_its_variance_term_fails(rng):
    def f(x):
        y = tg.BatchNorm(2).astype(np.float64)(x.detach())
        r = 1 / x.data.std(axis=0)
        return record(y.data, (x, lambda g, y: (g - g.mean(axis=0)) * r))
    with pytest.raises(tg.GradientError):
        tg.check_gradients(f, rng.standard_normal((5, 2)))


def test_the_error_says_all(rng):
    def doubtful(x):
        return record(x.data * 2, (x, lambda g, y: g * 3))
    with pytest.raises(tg.GradientError) as error:
        tg.check_gradients(doubtful, rng.standard_normal((3, 2)), seed=7)
    for word in ("doubtful", "(3, 2)", "seed 7", "analytic", "numeric"):
        assert word in str(error.value)


@pytest.mark.parametrize("f", [lambda x: ops.leaky_relu(x, 0.2), abs])
@pytest.mark.parametrize("x", [0.0, 1e-5, -3e-7])
def test_kinks_are_avoided_and_said(f, x):
    report = tg.check_gradients(f, np.array([x, 1.0]))
    assert "kink" in str(report)


def test_a_network_is_left_as_it_is(rng):
    net = tg.Sequential(tg.Dense(3, 4), tg.BatchNorm(4), tg.Dense(4, 1))
    before = net.state_dict()
    report = tg.check_gradients(net, rng.standard_normal((5, 3)))
    assert [row.name for row in report.rows][0] == "input 0" and len(report.rows) == 7 and report.max_error < 1e-6
    assert net.parameters()[0].dtype == np.float32
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_function_finds_the_parameters_it_uses(rng):
    net = tg.Dense(3, 2).astype(np.float64)
    assert len(tg.check_gradients(lambda x: net(x) * 2, rng.standard_normal((5, 3))).rows) == 3
    with pytest.raises(tg.TinyganError, match="order"):
        tg.check_gradients(net, np.ones((2, 3)), order=3)


def faulty_product(a, b, first=1.0, second=1.0):
    """a·b, with its two derivatives multiplied by `first` and `second`."""
    return record(a.data * b.data, (a, lambda g, y: g * b * first), (b, lambda g, y: g * a * second))


@pytest.mark.parametrize("factors, name", [
    ((1.001, 1), "input 0"), ((1, 1.001), "input 1"), ((1, float("nan")), "input 1"), ((float("inf"), 1), "input 0"),
    ((-1, -1), "input 0")])
def test_every_input_is_checked_and_named(factors, name, rng):
    a, b = rng.standard_normal((2, 3))
    with np.errstate(invalid="ignore"), pytest.raises(tg.GradientError, match=f"with respect to {name} is wrong"):
        tg.check_gradients(lambda a, b: faulty_product(a, b, *factors), a, b)
    tg.check_gradients(faulty_product, a, b)


def test_a_wrong_parameter_is_named(rng):
    class Faulty(tg.Dense):
        def forward(self, x):
            return record(x.data @ self.weight.data + self.bias.data, (x, lambda g, y: g @ self.weight.T),
                          (self.weight, lambda g, y: x.T @ g), (self.bias, lambda g, y: g.sum(axis=0) * 1.001))
    with pytest.raises(tg.GradientError, match="with respect to bias is wrong"):
        tg.check_gradients(Faulty(3, 2), rng.standard_normal((4, 3)))


def test_a_missing_sum_over_the_copies_fails(rng):
    def repeated(x):                                        # (1, 2) → (3, 2): x receives the share of one copy of three
        return record(np.tile(x.data, (3, 1)), (x, lambda g, y: g[:1]))
    with pytest.raises(tg.GradientError):
        tg.check_gradients(repeated, rng.standard_normal((1, 2)))


def test_the_gradient_zero_does_not_pass_for_batch_norm(rng):
    def f(x):
        return record(tg.BatchNorm(2).astype(np.float64)(x.detach()).data, (x, lambda g, y: g * 0))
    with pytest.raises(tg.GradientError):
        tg.check_gradients(f, rng.standard_normal((5, 2)))


def test_a_mistake_in_one_element_of_many_fails(rng):
    def f(x):
        factors = np.ones(x.shape)
        factors[17] = 1.1
        return record(x.data * 2, (x, lambda g, y: g * 2 * tg.Tensor(factors)))
    with pytest.raises(tg.GradientError):
        tg.check_gradients(f, rng.standard_normal(1000))


@pytest.mark.parametrize("scale, offset", [(1e-9, 0), (1e9, 0), (1, 1e4)])
def test_tiny_and_huge_values_are_measured_by_their_own_size(scale, offset, rng):
    def f(x, factor=1.0):
        return record(np.sin(x.data) * scale + offset, (x, lambda g, y: g * tg.Tensor(np.cos(x.data) * scale * factor)))
    x = rng.standard_normal(6)
    tg.check_gradients(f, x)
    with pytest.raises(tg.GradientError):
        tg.check_gradients(lambda x: f(x, 1.001), x)


def test_second_derivatives_are_checked_for_all_pairs(rng):
    """∂²/∂a∂b, ∂²/∂b² and the dependence on the cotangent: each is wrong once while the first derivative is right."""
    def still(t, amount=0.001):
        return t * (1 - amount) + t.detach() * amount
    wrong = {
        "mixed": lambda a, b: record(a.data * b.data, (a, lambda g, y: g * still(b)), (b, lambda g, y: g * a)),
        "second input": lambda a, b: record(a.data * b.data ** 2,
                                            (a, lambda g, y: g * b * b), (b, lambda g, y: g * a * (b + still(b)))),
        "cotangent": lambda a, b: record(a.data + b.data, (a, lambda g, y: still(g)), (b, lambda g, y: g)),
    }
    a, b = rng.standard_normal((2, 4))
    for f in wrong.values():
        tg.check_gradients(f, a, b)
        with pytest.raises(tg.GradientError, match="order 2"):
            tg.check_gradients(f, a, b, order=2)


def test_the_error_is_a_sentence_with_both_numbers_and_all_shapes(rng):
    with pytest.raises(tg.GradientError) as error:
        tg.check_gradients(lambda a, b: faulty_product(a, b, 2), *rng.standard_normal((2, 3, 2)), seed=11)
    text = str(error.value)
    numbers = re.search(r"analytic (\S+), numeric (\S+), relative error (\S+) > 1e-06 \(order 1, seed 11, "
                        r"shapes input 0 \(3, 2\), input 1 \(3, 2\)\)", text)
    analytic, numeric, error = map(float, numbers.groups())
    assert abs(analytic / numeric - 2) < 1e-6 and abs(error - 0.5) < 1e-3 and "<lambda>" in text


def test_the_report_reads_well(rng):
    net = tg.Sequential(tg.Dense(3, 2), tg.Tanh())
    report = tg.check_gradients(net, rng.standard_normal((4, 3)), order=2, seed=5)
    title, heads, *rows = str(report).splitlines()
    assert title == "Sequential(Dense(3, 2, bias=True), Tanh()), order 2, seed 5"
    assert "analytic" in heads and "numeric" in heads
    names = sorted(row.split("(")[0].strip() for row in rows)
    assert names == ["cotangent", "input 0", "layers.0.bias", "layers.0.weight"]
    assert all(len(row) == len(rows[0]) for row in rows)    # columns stand under each other
    assert report.max_error == max(row.error for row in report.rows) > 0
    for row, line in zip(report.rows, rows):
        assert f"{row.shape}" in line and f"{row.analytic:.8e}" in line and f"{row.numeric:.8e}" in line


def test_the_seed_decides(rng):
    x = rng.standard_normal((3, 2))
    one, same, other = (tg.check_gradients(ops.exp, x, seed=seed).rows[0].analytic for seed in (1, 1, 2))
    assert one == same != other


def test_the_extrapolation_earns_its_two_extra_values(rng):
    """D(h) alone is wrong by h²·20²/6 = 7e-7 here, the extrapolated difference by h⁴."""
    assert tg.check_gradients(lambda x: ops.exp(x * 20), rng.uniform(-0.1, 0.1, 3)).max_error < 1e-8


@pytest.mark.parametrize("f", [lambda x: ops.leaky_relu(x, 0.2), abs])
@pytest.mark.parametrize("x, note", [(0.0, "moved off a kink"), (3e-6, "h = 1e-0"), (-3e-6, "h = 1e-0"), (0.5, "")])
def test_a_kink_beside_the_point_makes_h_smaller_and_at_the_point_moves_it(f, x, note):
    row, = tg.check_gradients(f, np.full(1, x)).rows
    assert row.note.startswith(note) and bool(row.note) == bool(note)
    assert row.error < 1e-6 and row.numeric != 0


def test_points_and_seeds_of_kinks_of_all_kinds(rng):
    """Sixty inputs each a kink's breadth away or on it: always a right verdict, never a false alarm."""
    def faulty_abs(x):
        return record(abs(x.data), (x, lambda g, y: g * tg.Tensor(np.sign(x.data) * 1.001)))

    for k in range(60):
        x = rng.standard_normal((4, 3)) * 10.0 ** rng.integers(-7, 0, (4, 3)) * rng.integers(0, 2, (4, 3))
        tg.check_gradients(lambda x: ops.leaky_relu(x, 0.1), x, seed=k)
        with pytest.raises(tg.GradientError):
            tg.check_gradients(faulty_abs, x, seed=k)


def test_a_small_derivative_is_compared_on_the_scale_of_the_terms():
    """φ = u·(1 + x/10,000), whose derivative is left out: the error is ⟨u, v⟩/10,000 over a thousandth of |φ|."""
    row, = compare_gradients(lambda x: record(1 + 1e-4 * x.data, (x, lambda g, y: g * 0)), np.zeros(1), seed=1).rows
    u = np.random.default_rng(1).standard_normal()
    assert row.analytic == 0 and row.error == pytest.approx(abs(row.numeric) / (1e-3 * abs(u)), rel=1e-6)


def test_a_function_that_is_nowhere_smooth_ends_the_search():
    """Kinks closer to each other than the smallest step: the point is moved a few times, and the row says what was seen."""
    row, = compare_gradients(lambda x: record(abs(np.sin(1e9 * x.data)), (x, lambda g, y: g)), np.ones(1)).rows
    assert row.note == "not smooth"


def test_the_inputs_are_left_as_they_are(rng):
    array, tensor = rng.standard_normal(3), tg.Tensor(np.zeros(3), True)
    kept = array.copy()
    tg.check_gradients(lambda a, b: ops.leaky_relu(a * abs(b), 0.2), array, tensor, order=2)     # b is on a kink: moved
    np.testing.assert_array_equal(array, kept)
    np.testing.assert_array_equal(tensor.data, 0)
    assert tensor.grad is None
    tg.check_gradients(lambda a, b: a * b, [1.0, 2.0], 3.0)     # lists and numbers will do, and so will float32
    assert tg.check_gradients(ops.exp, array.astype(np.float32)).max_error < 1e-6


def test_a_smooth_functions_parameters_are_left_as_they_are(rng):
    net = tg.Sequential(tg.Dense(3, 4), tg.Tanh(), tg.Dense(4, 1)).astype(np.float64)
    before = net.state_dict()
    report = tg.check_gradients(lambda x: net(x), rng.standard_normal((5, 3)), order=2)
    assert sorted(row.name for row in report.rows) == ["cotangent", "input 0"] + [f"parameter {i}" for i in range(4)]
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("order", [1, 2])
def test_the_check_records_within_no_grad(order, rng):
    with tg.no_grad():
        assert tg.check_gradients(ops.exp, rng.standard_normal(3), order=order).max_error < 1e-6
        with pytest.raises(tg.GradientError):
            tg.check_gradients(WRONG["sign"], rng.standard_normal(3), order=order)


def test_a_function_of_nothing_proves_nothing():
    with pytest.raises(tg.TinyganError, match="nothing to differentiate it by, expected an input"):
        tg.check_gradients(lambda: tg.Tensor(1.0))
