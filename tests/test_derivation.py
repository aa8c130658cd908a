"""Derivations in scalar and index notation: rules by name, every line right, the last line the gradient itself."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

import pytest
import sympy as sp
from helpers.katex import assert_katex_accepts
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import symdescent as sd
from symdescent.derivation import wording
from symdescent.derivation.components import rules
from symdescent.derivation.derive import DETAILS
from symdescent.elementary import TABLE
from symdescent.errors import StatementError, UnsupportedError, VerificationError

b, lam, w, x, y, z = sp.symbols("b lambda w x y z")
n, d, K, m = sp.symbols("n d K m", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
X, Y, W = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,)), sp.IndexedBase("w", shape=(d,))
C, V, B = sp.IndexedBase("c", shape=(n,)), sp.IndexedBase("W", shape=(d, K)), sp.IndexedBase("b", shape=(K,))
P, U = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("u")


def score(k: Any) -> Any:
    return sp.Sum(X[i, j] * V[j, k], (j, 0, d - 1)) + B[k]


LINE = sp.Sum(X[i, j] * W[j], (j, 0, d - 1))
POSITIVE = sp.Symbol("x", positive=True)
LOSSES = {
    "parabola": sd.Loss((w - 3) ** 2, w),
    "exponential times sine": sd.Loss(sp.exp(2 * y) * sp.sin(x), [x, y]),
    "polynomial": sd.Loss(x**2 - 6 * x + 5, x),
    "neuron": sd.Loss(sd.sigmoid(w * x + b), [w, x, b]),
    "neuron written out": sd.Loss(1 / (1 + sp.exp(-(w * x + b))), x),
    "line": sd.Loss((y - (w * x + b)) ** 2, [w, b], samples=[x, y]),
    "line, penalised": sd.Loss((y - w * x) ** 2 + lam * w**2, w, samples=[x, y], reduction="sum"),
    "logistic": sd.Loss(sp.log(1 + sp.exp(-y * (w * x + b))), [w, b], samples=[x, y]),
    "hinge": sd.Loss(sp.Max(0, 1 - y * w * x), w, samples=[x, y]),
    "huber": sd.Loss(sd.losses.huber(y, w * x + b), [w, b], samples=[x, y]),
    "least squares": sd.Loss(sp.Sum((Y[i] - LINE) ** 2, (i, 0, n - 1)) / n, W),
    "ridge": sd.Loss(sp.Sum((Y[i] - LINE) ** 2, (i, 0, n - 1)) / n + lam * sp.Sum(W[j] ** 2, (j, 0, d - 1)), W),
    "lasso": sd.Loss(sp.Sum((Y[i] - LINE) ** 2, (i, 0, n - 1)) / n + lam * sp.Sum(sp.Abs(W[j]), (j, 0, d - 1)), W),
    "softmax": sd.Loss(
        sp.Sum(sp.log(sp.Sum(sp.exp(score(k)), (k, 0, K - 1))) - score(C[i]), (i, 0, n - 1)) / n, [V, B]
    ),
    "from one": sd.Loss(sp.Sum((Y[i] - W[1] * P[i]) ** 2, (i, 1, n)), W, first_index=1),
    "rosenbrock": sd.Loss((1 - x) ** 2 + 100 * (y - x**2) ** 2, [x, y]),
    "chained": sd.Loss(sp.Sum(100 * (P[i + 1] - P[i] ** 2) ** 2 + (1 - P[i]) ** 2, (i, 0, n - 2)), P),
    "every second": sd.Loss(sp.Sum((P[2 * i] - 1) ** 2, (i, 0, 3)), P),
    "power of itself": sd.Loss(POSITIVE**POSITIVE),
    "pieces": sd.Loss(sp.Piecewise((x**2, x < 1), (2 * x - 1, True)), x),
    "quotient": sd.Loss(sp.sin(x) / (1 + x**2), x),
    "product over entries": sd.Loss(sp.Product(1 + W[i] ** 2, (i, 0, d - 1)), W),
    "quadratic form": sd.Loss(sp.Sum(W[i] * X[i, j] * W[j], (i, 0, d - 1), (j, 0, d - 1)), W),
    "triangular": sd.Loss(sp.Sum((P[i] - P[j]) ** 2, (j, 0, i - 1), (i, 0, n - 1)), P),
    "undeclared length": sd.Loss(sp.Sum((U[i + 1] - U[i]) ** 2, (i, 0, n - 2)), U),
    "delta in the statement": sd.Loss(sp.Sum(sp.KroneckerDelta(i, j) * P[i] * P[j], (i, 0, n - 1), (j, 0, n - 1)), P),
    "backwards": sd.Loss(sp.Sum(P[n - 1 - i] * P[i], (i, 0, n - 1)), P),
    "cosine": sd.Loss(sp.Sum(P[i] * Y[i], (i, 0, n - 1)) / sp.sqrt(sp.Sum(P[i] ** 2, (i, 0, n - 1))), P),
    "mixture": sd.Loss(
        -sp.Sum(sp.log(x * sp.exp(-((Y[i] - b) ** 2) / 2) + (1 - x) * sp.exp(-((Y[i] - w) ** 2) / 2)), (i, 0, n - 1)),
        [x, b, w],
    ),
    "largest of three": sd.Loss(sp.Max(x, y, x * y), [x, y]),
    "angle": sd.Loss(sp.atan2(y, x), [x, y]),
    "smooth maximum": sd.Loss(sd.logsumexp(x, 2 * y, x - y), [x, y]),
}


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("name", LOSSES)
def test_the_last_line_is_the_gradient(name, detail):
    # a derivation that explains one thing and ends in another
    loss = LOSSES[name]
    derivation = loss.derivation(detail=detail)
    assert [section.result for section in derivation.sections] == list(loss.gradient.values())
    for section in derivation.sections:
        assert section.steps[0].before == section.start
        for before, after in zip(section.steps, section.steps[1:], strict=False):
            assert after.before == before.after
    assert all(step.rule for step in derivation)


@pytest.mark.parametrize("name", LOSSES)
def test_more_detail_is_longer(name):
    brief, normal, full = (len(LOSSES[name].derivation(detail=detail)) for detail in DETAILS)
    assert brief <= normal <= full


def names(loss: sd.Loss, detail: str = "normal", **options: Any) -> list[str]:
    return [step.rule for step in loss.derivation(detail=detail, **options)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (-x, ["derivative of the variable"]),
        (1 / x, ["reciprocal rule"]),
        (sp.sqrt(x), ["derivative of the square root"]),
        (x**7, ["power rule"]),
        (x**-3, ["power rule"]),
        (2**x, ["exponential with a constant base"]),
        (x**x, ["general power rule", "simplify"]),
        (sp.exp(x), ["derivative of the exponential"]),
        (sp.tanh(x), ["derivative of the hyperbolic tangent"]),
        (x * sp.exp(x), ["product rule", "derivative of the exponential"]),
        (sp.sin(x) / x, ["quotient rule", "derivative of the sine", "simplify"]),
        (sp.sin(x**2), ["derivative of the sine, chain rule", "power rule"]),
        (sp.Abs(x), ["derivative of the absolute value"]),
        (5 * x, ["constant multiple rule"]),
    ],
    ids=str,
)
def test_rules_have_the_names_that_people_give_them(expression, expected):
    # -x called a product, 1/x a power, sqrt(x) a power
    assert names(sd.Loss(expression, x)) == expected


def test_full_detail_shows_one_rule_at_one_place():
    assert names(LOSSES["parabola"], "full") == [
        "chain rule",
        "power rule",
        "difference rule",
        "derivative of the variable",
        "derivative of a constant",
        "simplify",
    ]
    first = LOSSES["parabola"].derivation(detail="full")[0]
    assert first.note == "with u = w − 3"


def test_each_language_has_its_own_names():
    spanish = names(LOSSES["parabola"], language="es")
    assert spanish == ["regla de la potencia, regla de la cadena", "regla de la diferencia", "se simplifica"]


def test_every_rule_and_note_is_there_in_every_language():
    for said in (*wording.RULES.values(), *wording.NOTES.values()):
        assert said.english and said.spanish
        assert sorted(part for part in said.english if part.isdigit()) == sorted(p for p in said.spanish if p.isdigit())


def test_conditions_are_recorded_where_a_rule_needs_them():
    def conditions(expression: Any) -> list[Any]:
        return [condition for step in sd.Loss(expression).derivation() for condition in step.conditions]

    assert conditions(sp.log(x)) == [x > 0]
    assert conditions(1 / x) == [sp.Ne(x, 0)]
    assert conditions(sp.sqrt(x)) == [x > 0]
    assert conditions(sp.log(1 + x**2)) == []  # nothing to provide for
    assert conditions(sp.log(sp.Symbol("p", positive=True))) == []


@pytest.mark.parametrize(
    ("kinks", "word"), [("min-norm", "least norm"), ("left", "left"), ("right", "right"), ("raise", "does not exist")]
)
def test_the_convention_at_kinks_is_said(kinks, word):
    loss = sd.Loss(sp.Abs(x - 1), x, kinks=kinks)
    assert word in " ".join(step.note for step in loss.derivation())


def test_stable_forms_are_a_step_of_their_own():
    first = LOSSES["logistic"].derivation(w)[0]
    assert first.rule == "numerically stable form"
    assert first.before.has(sp.log) and first.after.has(sd.softplus)
    assert not any(step.after.has(sd.softplus) for step in sd.Loss(sp.log(x), x).derivation())


def test_long_inner_expressions_get_names():
    steps = LOSSES["least squares"].derivation().steps
    r = sp.IndexedBase("r")
    assert steps[0].rule == "abbreviation rᵢ" and steps[0].after.has(r)
    assert steps[-1].rule == "rᵢ inserted" and not steps[-1].after.has(r)
    taken = sd.Loss(LOSSES["least squares"].expression * sp.Symbol("r") + sp.Symbol("e"), W)
    assert not any(step.after.has(sp.IndexedBase("r")) for step in taken.derivation())  # r is the user's own


def test_dummies_do_not_clash_with_the_free_index():
    # the trap of SymPy's diff: by w[j] within a sum over j, the Kronecker delta is lost
    loss = LOSSES["least squares"]
    (index,) = loss.gradient.indices[W]
    for step in loss.derivation(detail="full"):
        for part in step.before.atoms(sp.Sum):
            assert index not in part.variables


def test_shifted_sums_keep_their_range():
    derivation = LOSSES["chained"].derivation()
    assert "derivative of a sum over a shifted index" in [step.rule for step in derivation]


def test_second_derivatives_end_in_the_hessian():
    loss = LOSSES["rosenbrock"]
    sections = loss.derivation(order=2).sections
    assert [section.result for section in sections] == [loss.hessian[0, 0], loss.hessian[0, 1], loss.hessian[1, 1]]
    assert len(loss.derivation("x", order=2).sections) == 2
    entry = LOSSES["least squares"].derivation(order=2).result
    expected = 2 * sp.Sum(X[i, j] * X[i, k], (i, 0, n - 1)) / n
    values = {"n": 3, "d": 2}
    rows = sp.Matrix(3, 2, sp.symbols("e:6"))

    def entries(expression: Any, p: int, q: int) -> Any:
        free = sorted((s for s in expression.free_symbols if s.name in "jkl"), key=str)
        fixed = expression.subs({n: values["n"], d: values["d"]}).subs(dict(zip(free, (p, q), strict=True))).doit()
        return sp.expand(fixed.replace(lambda e: isinstance(e, sp.Indexed), lambda e: rows[e.indices]))

    assert sp.expand(entries(entry, 0, 1) - entries(expected, 0, 1)) == 0


def test_one_parameter_by_name():
    assert LOSSES["line"].derivation("b").result == LOSSES["line"].gradient[b]
    with pytest.raises(StatementError, match="not a parameter of the loss; its parameters are w, b"):
        LOSSES["line"].derivation("q")


@pytest.mark.parametrize(
    "options", [{"detail": "long"}, {"language": "fr"}, {"order": 3}, {"notation": "tensor"}], ids=str
)
def test_options_that_are_not_known(options):
    ((name, value),) = options.items()
    with pytest.raises(StatementError, match=f"{name}={value!r} is not one of"):
        LOSSES["parabola"].derivation(**options)


def test_matrix_notation_needs_matrices():
    with pytest.raises(StatementError, match="MatrixSymbol"):
        LOSSES["parabola"].derivation(notation="matrix")


def test_a_wrong_step_is_never_shown(monkeypatch):
    # a rule with a mistake in it, as it might be made while changing it
    def wrong(by: rules.Differentiation, body: Any) -> rules.Applied:
        return rules.Applied((rules.Said("product"),), sp.Mul(*map(by.pending, body.args), evaluate=False))

    monkeypatch.setitem(rules._RULES, sp.Mul, wrong)
    with pytest.raises(VerificationError, match="product"):
        sd.Loss(x * sp.sin(x), x).derivation()


def test_a_wrong_slope_in_the_table_is_found(monkeypatch):
    broken = rules.Outer("sin", sp.sin(x), x)
    monkeypatch.setitem(rules._OUTER, sp.Function, lambda by, body: broken)
    with pytest.raises(VerificationError, match="sin"):
        sd.Loss(sp.sin(x), x).derivation()


# -- losses that nobody chose -----------------------------------------------------------------------------------------


SMOOTH = [row for row in TABLE.values() if row.partials and row.name not in ("polygamma", "Mod", "Heaviside")]


def expression(source: random.Random, depth: int, leaves: Sequence[Any] = (x, y, z)) -> Any:
    """A random expression over the whole table."""
    if depth <= 0:
        return source.choice([*leaves, sp.Integer(source.randint(-3, 4)), sp.Rational(source.randint(1, 5), 3)])

    def part() -> Any:
        return expression(source, depth - 1 - source.randint(0, 1), leaves)

    forms = [
        lambda: part() + part(),
        lambda: part() * part(),
        lambda: part() - part() * part(),
        lambda: part() ** source.choice([2, 3, -1, -2, sp.Rational(1, 2), sp.Rational(-1, 2)]),
        lambda: part() / (1 + part() ** 2),
        lambda: sp.Integer(2) ** part(),
        lambda: sp.Piecewise((part(), part() > 0), (part(), True)),
        lambda: source.choice([sp.Max, sp.Min])(part(), part()),
        lambda: sd.logsumexp(part(), part()),
        *[lambda: call(source.choice(SMOOTH))] * 6,
    ]

    def call(row: Any) -> Any:
        return row.sympy(*(part() for _ in range(row.arity)))

    return source.choice(forms)()


@seed(20261120)
@settings(max_examples=800, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10**9))
def test_random_expressions_are_derived_to_their_gradient(number):
    # every step is verified while it is made: what is left to compare is the last line
    source = random.Random(number)
    _derive(source, lambda: sd.Loss(expression(source, source.randint(1, 4))))


@seed(20261120)
@settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10**9))
def test_random_losses_over_data_are_derived_to_their_gradient(number):
    source = random.Random(number)

    def per_sample() -> sd.Loss:
        return sd.Loss(expression(source, source.randint(1, 3), [x, y, z, x * y + z]), samples=[y])

    def indexed() -> sd.Loss:
        leaves = [Y[i], LINE, Y[i] - LINE, W[i] if source.random() < 0.3 else Y[i]]
        terms = sp.Sum(expression(source, source.randint(1, 3), leaves), (i, 0, n - 1))
        return sd.Loss(terms + source.choice([0, 0, lam * sp.Sum(W[j] ** 2, (j, 0, d - 1))]), W)

    _derive(source, source.choice([per_sample, indexed]))


def _derive(source: random.Random, state: Any) -> None:
    try:
        loss = state()
        gradient = loss.gradient
    except (StatementError, UnsupportedError, ValueError, TypeError):  # SymPy cannot compare what is not real
        return
    detail = source.choice(DETAILS)
    try:
        derivation = loss.derivation(detail=detail)
    except (sd.DataError, UnsupportedError):
        return  # defined nowhere, so that nothing can be compared
    assert [section.result for section in derivation.sections] == list(gradient.values())
    assert derivation.text()
    written = derivation.latex()
    assert written.count("{") - written.count(r"\{") == written.count("}") - written.count(r"\}")
    assert len(re.findall(r"\\left[^a-z]", written)) == len(re.findall(r"\\right[^a-z]", written))


@pytest.mark.latex
def test_katex_accepts_random_derivations():
    shown: list[str] = []
    for number in range(150):
        source = random.Random(number)
        try:
            derivation = sd.Loss(expression(source, source.randint(1, 3))).derivation(detail=source.choice(DETAILS))
        except (sd.SymdescentError, ValueError, TypeError):
            continue
        shown += derivation.latex().split("$$")[1::2]
    assert len(shown) > 150
    assert_katex_accepts(shown)
