"""Every row of the elementary table against oracles that did not come from it."""

import math

import mpmath
import numpy as np
import pytest
import sympy as sp

from symdescent.dual import Dual, apply
from symdescent.elementary import TABLE, scalar
from symdescent.elementary.table import f, x, y

SMOOTH = [row for row in TABLE.values() if row.partials]
ORDERS = {"polygamma": (0, 1, 2), "Heaviside": (0.5,)}  # arguments that are not differentiated by


def points(row, count=25):
    """Arguments over the domain, away from kinks, as tuples."""
    random = np.random.default_rng(sum(map(ord, row.name)))
    columns = [random.uniform(low, high, count) for low, high in row.domain]
    if row.name == "polygamma":
        columns[0] = random.choice(ORDERS["polygamma"], count)
    return [tuple(map(float, line)) for line in zip(*columns, strict=True) if row.kink is None or abs(line[0]) > 0.05]


def exactly(row):
    """The function itself in mpmath, by SymPy's own printer."""
    symbols = (x, y)[: row.arity]
    if row.name == "polygamma":
        return lambda order, z: mpmath.polygamma(int(order), z)
    return sp.lambdify(symbols, row.sympy(*symbols), modules="mpmath")


def slopes(row, place):
    """The table's partial derivative in mpmath."""
    if row.name == "polygamma":
        return lambda order, z, value: mpmath.polygamma(int(order) + 1, z)
    expression = row.partials[place].subs(f, sp.Symbol("value"))
    return sp.lambdify([*(x, y)[: row.arity], sp.Symbol("value")], expression, modules="mpmath")


def active_places(row):
    return [1] if row.name == "polygamma" else [0] if row.name == "Heaviside" else range(row.arity)


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_partial_derivatives_agree_with_differences_at_fifty_digits(row):
    # a wrong sign, factor or function in a partial
    function = exactly(row)
    with mpmath.workdps(50):
        for point in points(row):
            point = tuple(map(mpmath.mpf, point))
            value = function(*point)
            for place in active_places(row):
                rest = lambda t, place=place, point=point: function(*point[:place], t, *point[place + 1 :])  # noqa: E731
                h = mpmath.mpf(10) ** -16
                difference = (rest(point[place] - 2 * h) - 8 * rest(point[place] - h) + 8 * rest(point[place] + h)
                              - rest(point[place] + 2 * h)) / (12 * h)  # fmt: skip
                stated = slopes(row, place)(*point, value)
                assert abs(difference - stated) <= mpmath.mpf(10) ** -28 * (1 + abs(stated)), (row.name, point)


# SymPy derives polygamma by its order, Heaviside as a distribution, and Mod not at all
BY_SYMPY = [row for row in SMOOTH if isinstance(row.sympy, type) and row.name not in ("polygamma", "Heaviside", "Mod")]


@pytest.mark.parametrize("row", BY_SYMPY, ids=lambda row: row.name)
def test_partial_derivatives_agree_with_sympy(row):
    # a partial that is right only on part of the domain
    symbols = sp.symbols("s t", real=True)[: row.arity]
    call = row.sympy(*symbols)
    for place in range(row.arity):
        theirs = sp.diff(call, symbols[place])
        ours = row.partials[place].subs({x: symbols[0], y: symbols[-1], f: call}, simultaneous=True)
        for point in points(row, 8):
            values = dict(zip(symbols, point, strict=True))
            a, b = (complex(sp.N(expression.subs(values), 30)) for expression in (theirs, ours))
            assert abs(a - b) <= 1e-12 * (1 + abs(a)), (row.name, point)


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_dual_rule_agrees_with_the_partials(row):
    # one of the two statements of a derivative mistyped
    function = exactly(row)
    for point in points(row):
        value = function(*map(mpmath.mpf, point))
        for place in active_places(row):
            moved = [Dual(p, 1.0) if k == place else p for k, p in enumerate(point)]
            stated = float(slopes(row, place)(*map(mpmath.mpf, point), value))
            result = apply(row.name, *moved)
            tangent = float(result.tangent[0]) if isinstance(result, Dual) else 0.0
            assert tangent == pytest.approx(stated, rel=2e-12, abs=1e-13), (row.name, point)


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
def test_values_of_code_and_arrays_agree_with_fifty_digits(row):
    # a template that calls another function, arguments in the wrong order
    namespace = {"math": math, **{name: getattr(scalar, name) for name in dir(scalar) if not name.startswith("_")}}
    function = exactly(row)
    for point in points(row):
        with mpmath.workdps(50):
            expected = float(function(*map(mpmath.mpf, point)))
        code = eval(row.python.format(*map(repr, point)), namespace)
        array = float(np.asarray(row.numeric(*(np.array([p]) for p in point))).reshape(-1)[0])
        assert code == pytest.approx(expected, rel=1e-13, abs=1e-15), row.name
        assert array == pytest.approx(expected, rel=1e-13, abs=1e-15), row.name


@pytest.mark.parametrize("row", [row for row in SMOOTH if row.analytic], ids=lambda row: row.name)
def test_analytic_functions_pass_a_complex_step(row):
    # a function declared analytic whose array form drops the imaginary part
    for point in points(row, 8):
        step = row.numeric(np.array([complex(point[0], 1e-20)]))
        stated = float(slopes(row, 0)(mpmath.mpf(point[0]), exactly(row)(mpmath.mpf(point[0]))))
        assert float(np.imag(step)[0]) / 1e-20 == pytest.approx(stated, rel=1e-11, abs=1e-13), row.name


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
def test_every_row_names_its_step_in_every_language(row):
    assert row.english
    assert row.spanish


@pytest.mark.parametrize("name", ["gamma", "loggamma", "polygamma"])
def test_special_functions_are_undefined_or_infinite_rather_than_an_exception(name):
    # an OverflowError or ValueError of the standard library in the middle of an array
    numeric = TABLE[name].numeric
    extra = (np.array([0.0]),) if name == "polygamma" else ()
    for value in (math.nan, -1.0, 0.0, 1e-309, 300.0, math.inf):
        with np.errstate(all="ignore"):
            result = numeric(*extra, np.array([value]))
        assert result.shape == (1,)


def test_polygamma_agrees_with_fifty_digits_on_both_sides_of_the_poles():
    # recurrence or series broken for one order
    for order in range(5):
        for z in (0.1, 0.5, 1.0, 2.5, 7.0, 30.0, -0.5, -3.3):
            expected = float(mpmath.polygamma(order, z))
            assert scalar.polygamma(order, z) == pytest.approx(expected, rel=1e-12), (order, z)


def test_plain_sympy_differentiates_evaluates_and_prints_our_functions():
    # a head that only symdescent understands
    import symdescent as sd

    a, b = sp.symbols("a b", real=True)
    for head, written in [(sd.sigmoid(a), 1 / (1 + sp.exp(-a))), (sd.softplus(a), sp.log(1 + sp.exp(a))),
                          (sd.relu(a), sp.Max(0, a)), (sd.logsumexp(a, b), sp.log(sp.exp(a) + sp.exp(b))),
                          (sd.softmax(a, b), sp.exp(a) / (sp.exp(a) + sp.exp(b)))]:  # fmt: skip
        point = {a: sp.Rational(3, 10), b: -1}
        assert abs(sp.N(head.subs(point) - written.subs(point))) < 1e-12
        assert abs(sp.N((head.diff(a) - written.diff(a)).subs(point))) < 1e-12
        assert float(sp.lambdify((a, b), head, "numpy")(0.3, -1.0)) == pytest.approx(float(sp.N(written.subs(point))))
        assert "left(" in sp.latex(head)
