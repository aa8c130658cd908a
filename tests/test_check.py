"""The gradient check: its rows, its verdicts, and the marks it gives."""

import numpy as np
import pytest
import sympy as sp
from matplotlib.figure import Figure

import symdescent as sd
from symdescent.check.draw import instances
from symdescent.errors import StatementError, VerificationError

a, b, w, x, y = sp.symbols("a b w x y")
n, d = sp.symbols("n d", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
A, v, t = sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("v", d, 1), sp.MatrixSymbol("t", n, 1)


def tampered(loss, **wrong):
    """A loss whose derived gradient is replaced by a wrong one, as a defect would."""
    for name, expression in wrong.items():
        (parameter,) = [p for p in loss.parameters if str(p) == name]
        loss.gradient._components[parameter] = expression
    return loss


def mark(loss, candidate, **options):
    return next(iter(loss.check(candidate=candidate, **options).grades.values()))


# -- rows -----------------------------------------------------------------------------------------------------------


def test_a_right_gradient_passes_and_every_witness_says_the_same():
    # two columns exchanged, or one witness never asked
    check = sd.Loss(sp.exp(2 * b) * sp.sin(a), [a, b]).check(at={"a": 0.0, "b": 1.0})
    assert check.passed
    first = check.rows[0]
    expected = float(np.exp(2))
    for value in (first.symbolic, first.central, first.complex_step, first.dual):
        assert value == pytest.approx(expected, rel=1e-8)
    assert first.forward == pytest.approx(expected, rel=1e-6)
    assert first.ulps < 4
    assert check.taylor_order == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("factor", [1.03, -1, 2])
def test_a_wrong_gradient_fails_in_the_rows_and_in_the_taylor_rate(factor):
    # a check that cannot fail
    loss = sd.Loss(sp.exp(a) + a**4, a)
    check = tampered(loss, a=factor * (sp.exp(a) + 4 * a**3)).check(at=0.7)
    assert not check.passed
    assert check.rows[0].verdict == "fail"
    assert check.taylor_order == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("expression", "point", "verdict"),
    [
        (sp.Abs(w), 0.0, "kink"),
        (sp.Max(w, 2 * w - 1), 1.0, "kink"),
        (sd.relu(w) + w**2, 0.0, "kink"),
        (sp.Piecewise((w, w < 2), (3 * w - 4, True)), 2.0, "kink"),
        (sp.Abs(w), 1e-3, "pass"),
        (sp.Piecewise((w**2, w < 1), (2 * w - 1, True)), 1.0, "pass"),
        (sp.sqrt(w), -1.0, "outside domain"),
        (sp.log(w), 0.0, "outside domain"),
        (sp.Abs(w) ** 3, 0.0, "pass"),
        (w**2, 0.0, "pass"),
        (1e-30 * w**2, 1.0, "pass"),
        (1e30 * w**2, 1.0, "pass"),
        (sp.sin(1e3 * w), 0.3, "pass"),
    ],
)
def test_verdicts(expression, point, verdict):
    # small numbers that pass as equal, curvature taken for a kink, a kink taken for an error
    assert sd.Loss(expression, w).check(at=point).rows[0].verdict == verdict


def test_a_wrong_subgradient_outside_the_two_slopes_fails_at_a_kink():
    loss = tampered(sd.Loss(sp.Abs(w), w), w=sp.Integer(3))
    assert loss.check(at=0.0).rows[0].verdict == "fail"


def test_large_arrays_are_checked_at_fifty_seeded_components():
    # another choice at every call, or the same component twice
    u = sp.IndexedBase("u", shape=(n,))
    loss = sd.Loss(sp.Sum(u[i] ** 4, (i, 0, n - 1)), u)
    at = np.linspace(-1, 1, 2000)
    one, two, other = (loss.check(at=at, seed=seed) for seed in (0, 0, 1))
    names = [row.component for row in one.rows]
    assert len(set(names)) == 50
    assert names == [row.component for row in two.rows] != [row.component for row in other.rows]
    assert one.components == 2000
    assert one.passed
    assert "50 of 2000" in str(one)


def test_the_report_prints_as_text_latex_and_figure():
    check = sd.Loss(sp.exp(a) * b, [a, b]).check()
    assert "verdict" in str(check)
    kink = sd.Loss(sp.Max(0, 1 - sp.Symbol("u")), sp.Symbol("u")).check(at=1.0)
    assert " -0 " not in str(kink)  # a slope of minus zero
    assert check.latex().count(r"\\") == 3
    assert check.plot(Figure().add_subplot()).get_xlabel() == "step $h$"


def test_real_data_are_used_where_they_are_given():
    loss = sd.Loss((y - w * x) ** 2, w, samples=[x, y])
    check = loss.check(at=1.0, data={"x": [1.0, 2.0], "y": [2.0, 4.0]})
    assert check.rows[0].symbolic == pytest.approx(-5.0)


def test_a_derivation_that_contradicts_its_statement_is_never_handed_out(monkeypatch):
    # the verification compares the derivation with itself
    from symdescent.notation.reading import Reader

    honest = Reader.component
    monkeypatch.setattr(Reader, "component", lambda *args: 2 * honest(*args))
    with pytest.raises(VerificationError, match="defect"):
        _ = sd.Loss(sp.exp(w), w).gradient


# -- marks ----------------------------------------------------------------------------------------------------------


def test_the_error_in_the_text_on_gradient_descent_is_found_and_named():
    # (2/n) sum (2 w x^2 - 2 x y) for the derivative of (1/n) sum (y - w x)^2
    loss = sd.Loss((y - w * x) ** 2, w, samples=[x, y])
    found = mark(loss, {w: 2 * (2 * w * x**2 - 2 * x * y)})
    assert (found.kind, found.factor) == ("constant factor", 2)
    assert "wrong by the constant factor 2" in str(found)
    count, xs, ys = loss.statement.sample_count, sp.IndexedBase("x"), sp.IndexedBase("y")
    summed = 2 / count * sp.Sum(2 * w * xs[i] ** 2 - 2 * xs[i] * ys[i], (i, 0, count - 1))
    assert mark(loss, {w: summed}).factor == 2


F = sp.exp(2 * a) * sp.sin(b) + a**3 * b
GRADES = [
    (2 * sp.exp(2 * a) * sp.sin(b) + 3 * a**2 * b, "right"),
    (sp.exp(2 * a) * sp.sin(b) * 2 + b * 3 * a * a, "right"),
    (sp.expand((a + 1) ** 2) * 0 + 2 * sp.exp(a) ** 2 * sp.sin(b) + 3 * b * a**2, "right"),
    (2 * sp.exp(2 * a) * sp.sin(b), "missing term"),
    (2 * sp.exp(2 * a) * sp.sin(b) - 3 * a**2 * b, "sign of a term"),
    (2 * sp.exp(2 * a) * sp.sin(b) + 3 * a**2 * b + 7, "extra term"),
    (-2 * sp.exp(2 * a) * sp.sin(b) - 3 * a**2 * b, "sign"),
    (sp.exp(2 * a) * sp.sin(b) + sp.Rational(3, 2) * a**2 * b, "constant factor"),
    (2 * sp.exp(2 * a) * sp.cos(b) + 3 * a**2 * b, "different function"),
    (sp.Integer(0), "constant factor"),
]


@pytest.mark.parametrize(("candidate", "kind"), GRADES)
def test_marks_for_a_scalar_gradient(candidate, kind):
    found = mark(sd.Loss(F, [a, b]), {a: candidate})
    assert found.kind == kind or (candidate == 0 and not found.right)
    assert found.right == (kind == "right")
    if not found.right and kind != "right":
        assert "instead of" in str(found)


def test_the_factor_is_told_exactly():
    loss = sd.Loss(sp.sin(a) * b, [a, b])
    assert mark(loss, {a: sp.pi * sp.cos(a) * b}).factor == sp.pi
    assert mark(loss, {a: sp.Rational(2, 3) * sp.cos(a) * b}).factor == sp.Rational(2, 3)


SQUARES = (A * v - t).T * (A * v - t) / n


@pytest.mark.parametrize(
    ("candidate", "kind", "factor"),
    [
        (2 * A.T * (A * v - t) / n, "right", None),
        (2 * A.T * A * v / n - 2 * A.T * t / n, "right", None),
        (-2 * A.T * (t - A * v) / n, "right", None),
        (2 * A.T * (A * v - t), "constant factor", n),
        (A.T * (A * v - t) / n, "constant factor", sp.Rational(1, 2)),
        (2 * A.T * (t - A * v) / n, "sign", -1),
        (2 * (A * v - t).T * A / n, "transposed", None),
        (2 * A.T * A * v / n, "missing term", None),
        (2 * A * v, "wrong shape", None),
    ],
)
def test_marks_for_a_matrix_gradient(candidate, kind, factor):
    # n is the number of rows in the message, not 5, 7 or whatever was drawn
    found = mark(sd.Loss(SQUARES, v), {v: candidate})
    assert found.kind == kind
    assert factor is None or found.factor == factor


def test_marks_for_an_indexed_gradient():
    u, s = sp.IndexedBase("u", shape=(n,)), sp.IndexedBase("s", shape=(n,))
    loss = sd.Loss(sp.Sum((u[i] - s[i]) ** 2, (i, 0, n - 1)), u)
    (k,) = loss.gradient.indices[u]
    assert mark(loss, {u: 2 * (u[k] - s[k])}).right
    assert mark(loss, {u: u[k] - s[k]}).factor == sp.Rational(1, 2)
    assert mark(loss, {u: 2 * u[k]}).kind == "missing term"


def test_a_symmetric_looking_matrix_gradient_that_is_transposed_is_called_so():
    B, W = sp.MatrixSymbol("B", d, d), sp.MatrixSymbol("W", d, d)
    loss = sd.Loss(sp.Trace(B * W), W)
    assert mark(loss, {W: B.T}).right
    assert mark(loss, {W: B}).kind == "transposed"


def test_a_candidate_with_unknown_symbols_is_refused_by_name():
    loss = sd.Loss(F, [a, b])
    with pytest.raises(StatementError, match="contains q"):
        loss.check(candidate={a: sp.Symbol("q")})
    with pytest.raises(StatementError, match="other assumptions"):
        loss.check(candidate={a: sp.Symbol("b", positive=True)})
    with pytest.raises(StatementError, match="parameters are a, b"):
        loss.check(candidate={w: a})


def test_assumptions_decide_where_points_are_drawn():
    # drawing outside the domain and calling the result undecided
    s = sp.Symbol("s", positive=True)
    check = sd.Loss(sp.log(s) + sp.sqrt(s - sp.log(s)), s).check()
    assert check.passed
    assert check.point.parameters[s] > 0


def test_there_is_an_instance_to_verify_every_kind_of_sample_at():
    # a gradient that was handed out without having been compared with anything
    d = sp.Symbol("d", integer=True, positive=True)
    w, row, y, b = sp.MatrixSymbol("w", d, 1), sp.MatrixSymbol("x", d, 1), sp.Symbol("y"), sp.Symbol("b")
    i, x = sp.Symbol("i", integer=True), sp.IndexedBase("x", shape=(sp.Symbol("n", integer=True, positive=True),))
    z = sp.Symbol("z")
    for loss in (
        sd.Loss((y - (row.T * w)[0, 0] - b) ** 2, [w, b], samples=[row, y]),
        sd.Loss(sp.Sum((x[2 * i] - 1) ** 2, (i, 0, 5)), x),  # reaches further than the first lengths that are tried
        sd.Loss(sp.cosh(sp.sqrt(z - 3)), z),  # real only far from zero
    ):
        assert next(instances(loss.statement), None) is not None


def test_kinks_that_cancel_each_other_do_not_pass():
    # relu(w) - relu(-w) is w: each kink takes its own slope 0, in the rules and in dual numbers alike
    check = sd.Loss(sd.relu(w) - sd.relu(-w), w).check(at=0.0)
    assert not check.passed and [row.verdict for row in check.rows] == ["fail"]
    assert sd.Loss(sd.relu(w) - sd.relu(-w), w).check(at=0.3).passed
