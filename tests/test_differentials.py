"""Derivations in matrix notation: rules in the order of textbooks, ending in the gradient, every line verified.

Lines are compared by the package itself when they are made, in more than 30 digits. Here they are compared once more by
another witness, the small interpreter of matrix expressions in `test_raising`, and the package's own witness is put
to the test with wrong rules.
"""

from __future__ import annotations

import random
import time
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalOf
from sympy.matrices.expressions.hadamard import HadamardPower
from sympy.matrices.expressions.special import OneMatrix
from test_raising import CASES, RULES, Draw, matrix, number

import symdescent as sd
from symdescent import losses
from symdescent.derivation.matrices import course, functions, gradient_form, rules
from symdescent.derivation.matrices.abbreviations import unused
from symdescent.derivation.matrices.differentials import hessian_section, matrix_section
from symdescent.derivation.matrices.expansion import Expansion, Piece
from symdescent.derivation.matrices.forms import applied, flip, hadamard
from symdescent.derivation.matrices.instances import Instances
from symdescent.derivation.matrices.likeness import alike
from symdescent.derivation.steps import Derivation, Said
from symdescent.derivation.symbols import LOSS, Change, GradientOf
from symdescent.derivation.wording import NOTES, note_parts, rule_parts
from symdescent.elementary.functions import RowLogSumExp, RowSoftmax
from symdescent.errors import UnsupportedError, VerificationError

n, d, K, m = sp.symbols("n d K m", integer=True, positive=True)
lam, mu = sp.symbols("lam mu", positive=True)
z, target = sp.symbols("z target", real=True)
DETAILS = ("brief", "normal", "full")
tr, had, diag = sp.Trace, sp.HadamardProduct, sp.DiagMatrix


def M(name: str, rows: Any, columns: Any) -> Any:
    return sp.MatrixSymbol(name, rows, columns)


X, w, y, a, x = M("X", n, d), M("w", d, 1), M("y", n, 1), M("a", d, 1), M("x", d, 1)
W, Y, V, U = M("W", d, K), M("Y", n, K), M("V", m, K), M("U", K, d)
A, B, S, C = M("A", d, d), M("B", d, d), M("S", d, d), M("C", d, d)
W1, w2, b, c, p = M("W1", d, m), M("w2", m, 1), M("b", K, 1), M("c", m, 1), M("p", K, 1)
F, P, Q, q, v, u = M("F", n, m), M("P", n, n), M("Q", n, K), M("q", n, 1), M("v", 1, d), M("u", 1, K)
one, ones_d, ones_K = OneMatrix(n, 1), OneMatrix(d, 1), OneMatrix(K, 1)
r, R = X * w - y, X * W - Y


def fn(body: Any) -> sp.Lambda:
    return sp.Lambda(z, body)


hidden = (X * W1 + one * c.T).applyfunc(sp.tanh) * V + one * b.T - Y
scored = (X * W1 + one * c.T).applyfunc(sd.sigmoid) * w2 - y
rectified = (X * W1 + one * c.T).applyfunc(sd.relu) * V + one * b.T
tied = X - (X * W).applyfunc(sd.sigmoid) * W.T
encoded = X - (X * W).applyfunc(sp.tanh) * U
attended = sd.softmax(X * S * X.T / sp.sqrt(d)) * X - X
steps_of_w = w[1:, :] - w[: d - 1, :]

LOSSES: dict[str, tuple[Any, list[Any]]] = {
    # linear models and their losses
    "least squares": (r.T * r / n, [w]),
    "squared": (losses.squared(y, X * w), [w]),
    "ridge": (losses.squared(y, X * w) + lam * losses.l2(w), [w]),
    "elastic net": (losses.squared(y, X * w) + lam * losses.l1(w) + mu * losses.l2(w), [w]),
    "several outputs": (losses.squared(Y, X * W + one * b.T), [W, b]),
    "generalised": (r.T * P * r, [w]),
    "weighted": (r.T * diag(q) * r / n, [w]),
    "masked": (tr(had(Q, R).T * had(Q, R)), [W]),
    "absolute": (losses.absolute(y, X * w), [w]),
    "huber": (losses.huber(y, X * w, mu), [w]),
    "fourth power": (tr(one.T * HadamardPower(r, 4)) / n, [w]),
    "cauchy": (tr(one.T * r.applyfunc(fn(sp.log(1 + z**2)))), [w]),
    "logcosh": (tr(one.T * r.applyfunc(fn(sp.log(sp.cosh(z))))), [w]),
    "elementwise square": (one.T * had(y - X * w, y - X * w) / (2 * n), [w]),
    "entry of a product": ((r.T * r)[0, 0] / n, [w]),
    # classification
    "squared margin": (losses.squared_margin(y, X * w), [w]),
    "hinge": (losses.hinge(y, X * w) + lam * losses.l2(w), [w]),
    "logistic": (losses.logistic(y, X * w) + lam * losses.l1(w), [w]),
    "logistic, written out": (one.T * had(-y, X * w).applyfunc(fn(sp.log(1 + sp.exp(z)))) / n, [w]),
    "labels 0 and 1": (tr(one.T * (X * w).applyfunc(sd.softplus)) - tr(y.T * X * w), [w]),
    "poisson": (one.T * ((X * w).applyfunc(sp.exp) - had(y, X * w)), [w]),
    "divergence": (one.T * (had(y, y.applyfunc(sp.log)) - had(y, (X * w).applyfunc(sp.log)) + X * w - y), [w]),
    "softmax regression": (losses.cross_entropy(X * W + one * b.T, Y) + lam * losses.l2(W), [W, b]),
    "softmax of a column": (losses.cross_entropy(W.T * x + b, p), [W, b]),
    "logsumexp": (tr(RowLogSumExp(X * w)), [w]),
    "focal": (tr(one.T * (X * w).applyfunc(fn((1 - sd.sigmoid(z)) ** 2 * sp.log(sd.sigmoid(z))))), [w]),
    # networks
    "network": (tr(hidden.T * hidden) / n, [W1, c, V, b]),
    "network, one output": (scored.T * scored / n, [W1, c, w2]),
    "network, classes": (losses.cross_entropy(rectified, Y) + lam * losses.l2(W1), [W1, V, b]),
    "autoencoder": (tr(encoded.T * encoded) / n, [W, U]),
    "tied weights": (tr(tied.T * tied), [W]),
    "attention": (tr(attended.T * attended), [S]),
    "gate": (tr(one.T * had((X * w).applyfunc(sd.sigmoid), (X * a).applyfunc(sp.tanh))), [w, a]),
    "gelu": (tr(one.T * (X * w).applyfunc(fn(z * (1 + sp.erf(z / sp.sqrt(2))) / 2))), [w]),
    "swish": (tr(one.T * (X * w).applyfunc(fn(z * sd.sigmoid(z)))), [w]),
    # forms, norms and traces
    "quadratic form": (w.T * A * w, [w]),
    "quadratic form of a row": (v * A * v.T + v * a, [v]),
    "row and matrix": (tr((u * W.T - x.T) * (u * W.T - x.T).T), [u, W]),
    "bilinear form": (x.T * S * a, [S]),
    "metric": ((x - a).T * S.T * S * (x - a), [S, a]),
    "two-sided form": (tr(S * A * S.T * B), [S]),
    "product twice": (tr(S * A * S * B), [S]),
    "four factors": (tr(A * S * B * S.T * C), [S]),
    "fourth matrix power": (tr(S**4), [S]),
    "gram": (tr((A - S * S.T).T * (A - S * S.T)), [S]),
    "orthogonality": (tr((S.T * S - sp.Identity(d)).T * (S.T * S - sp.Identity(d))), [S]),
    "symmetry": (tr((S - S.T).T * (S - S.T)), [S]),
    "commutator": (tr((S * A - A * S).T * (S * A - A * S)), [S]),
    "principal components": (tr((X - X * W * W.T).T * (X - X * W * W.T)), [W]),
    "factorization": (tr((Y - F * V).T * (Y - F * V)) + lam * tr(V.T * V), [V, F]),
    "two factors": (tr((X * S * W - Y).T * (X * S * W - Y)) / n, [S, W]),
    "half of a sum": ((tr(R.T * R) + lam * tr(W.T * W)) / 2, [W]),
    "norms": (sp.sqrt(tr(r.T * r)) + lam * sp.sqrt(tr(w.T * w)), [w]),
    "group lasso": (sp.sqrt(tr(W.T * W)), [W]),
    "rayleigh": (tr(w.T * A * w) / tr(w.T * w), [w]),
    "gaussian": (sp.exp(-tr(w.T * A * w) / 2), [w]),
    "logarithm": (sp.log(1 + tr(w.T * w)), [w]),
    "one by one in functions": (sp.exp(w.T * w), [w]),
    "product of functions of one by one": (sp.cos(w.T * w) * sp.sin(a.T * w) + sp.tanh(a.T * w), [w]),
    "cube": ((w.T * w) ** 3, [w]),
    "scalar product": (sp.DotProduct(w, a) ** 2, [w]),
    "scalar product alone": (sp.DotProduct(X * w, y), [w]),
    "product of traces": (tr(A * S) * tr(B * S), [S]),
    "quotient of traces": (tr(A * S) / (1 + tr(S.T * S)), [S]),
    "scalar times matrix": (tr(sp.exp(tr(A * S)) * S * B), [S]),
    "sine": (sp.sin(tr(x.T * w)) * tr(w.T * w), [w]),
    "arctangent": (sp.atan(tr(x.T * w)), [w]),
    "ramp of a score": (sp.Max(0, 1 - tr(x.T * w)) ** 2, [w]),
    "smaller of two": (sp.Min(tr(w.T * w), 1), [w]),
    "cases": (sp.Piecewise((tr(w.T * w), lam > 1), (tr(w.T * w) ** 2, True)), [w]),
    # parts
    "sum of entries": (OneMatrix(1, d) * W * ones_K, [W]),
    "sum of functions": (OneMatrix(1, n) * (X * W).applyfunc(sp.tanh) * ones_K, [W]),
    "entry": (S[0, 1] ** 2 + tr(S.T * S), [S]),
    "differences": (tr(steps_of_w.T * steps_of_w), [w]),
    "elementwise square of a matrix": (tr(had(S, S).T * A), [S]),
    "elementwise with the transpose": (tr(A * had(S, S.T)), [S]),
    "diagonals": (tr(diag(w) * A * diag(w) * B), [w]),
    "diagonal of a product": (tr(diag(DiagonalOf(S * A)) * B), [S]),
    "diagonal weights": (y.T * X * diag(w) * X.T * y, [w]),
    "diagonal alone": (tr(diag(w)) + tr(diag(w) * A) + tr(A * diag(w)) ** 2, [w]),
    "function within a trace": (tr(A * (S * B).applyfunc(sp.exp)), [S]),
    "sum of absolute values": (OneMatrix(1, d) * S.applyfunc(sp.Abs) * ones_d, [S]),
    "entropy": (-tr(ones_d.T * had(w.applyfunc(sp.exp), w)), [w]),
    "numbers for lengths": (tr((M("G", 3, 2) * M("g", 2, 1)).T * M("G", 3, 2) * M("g", 2, 1)), [M("g", 2, 1)]),
}  # fmt: skip
DERIVATIONS = [(name, parameter) for name, (_, parameters) in LOSSES.items() for parameter in parameters]
every_derivation = pytest.mark.parametrize(("name", "parameter"), DERIVATIONS, ids=lambda each: str(each))
_STATED: dict[str, sd.Loss] = {}


def stated(name: str) -> sd.Loss:
    """A loss, whose gradient is derived once."""
    if name not in _STATED:
        _STATED[name] = sd.Loss(*LOSSES[name])
    return _STATED[name]


def keys(section: Any) -> list[str]:
    return [" + ".join(said.key for said in step.rules) for step in section.steps]


# -- the way of textbooks ---------------------------------------------------------------------------------------------

TEXTBOOK: dict[str, tuple[Any, Any, list[str]]] = {
    "least squares": (r.T * r / n, w, [
        "constant multiple + matrix product", "scalar transpose + collect", "matrix sum + constants", "read off"]),
    "ridge": (r.T * r / n + lam * w.T * w, w, [
        "matrix sum + constants", "matrix product", "scalar transpose + collect", "matrix sum + constants", "read off"]),
    "quadratic form": (w.T * A * w, w, ["matrix product", "scalar transpose", "read off"]),
    "Frobenius norm": (tr(R.T * R), W, [
        "matrix trace + matrix product", "trace transpose + collect", "matrix sum + constants", "read off"]),
    "linear trace": (tr(A * S), S, ["matrix trace + constants", "read off"]),
    "two-sided form": (tr(S * A * S.T * B), S, [
        "matrix trace + constants", "matrix product", "trace transpose + cyclic", "read off"]),
    "trace of a cube": (tr(S**3), S, ["matrix trace + matrix product", "cyclic + collect", "read off"]),
    "logistic": (losses.logistic(y, X * w), w, [
        "scalar trace + constants", "matrix elementwise + softplus", "dot hadamard", "constants", "dot hadamard",
        "read off"]),
    "softmax regression": (losses.cross_entropy(X * W, Y), W, [
        "matrix trace + constants", "log softmax", "matrix sum + constants", "logsumexp",
        "cyclic + trace hadamard + collect", "constants", "read off"]),
    "network": (tr(hidden.T * hidden) / n, W1, [
        "abbreviate + abbreviate", "constant multiple + matrix trace + matrix product", "trace transpose + collect",
        "matrix sum + constants", "matrix elementwise + tanh", "cyclic + trace hadamard", "matrix sum + constants",
        "read off", "insert + insert"]),
    "Rayleigh quotient": (tr(w.T * A * w) / tr(w.T * w), w, [
        "quotient", "scalar trace + matrix product", "scalar transpose + collect", "read off"]),
    "norm": (sp.sqrt(tr(W.T * W)), W, [
        "sqrt + matrix chain", "matrix trace + matrix product", "trace transpose + collect", "read off"]),
    "written out": (one.T * had(-y, X * w).applyfunc(fn(sp.log(1 + sp.exp(z)))), w, [
        "stable", "constants", "matrix elementwise + softplus", "dot hadamard", "constants", "dot hadamard",
        "read off"]),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTBOOK)
def test_rules_come_in_the_order_of_a_textbook(name):
    # a jump over two rules, a line of bookkeeping, a rule that is not named
    loss, parameter, expected = TEXTBOOK[name]
    assert keys(matrix_section(sd.Loss(loss, parameter), parameter, "normal")) == expected


def test_least_squares_line_by_line():
    # a line that SymPy has rewritten behind our back: multiplied-out transposes, terms in another order
    section = matrix_section(sd.Loss(r.T * r / n, w), w, "normal")
    rt = sp.Transpose(r)
    assert section.start == Change(sp.MatMul(1 / n, rt, r))
    assert [step.after for step in section.steps] == [
        sp.MatMul(1 / n, sp.MatAdd(sp.MatMul(sp.Transpose(Change(r)), r), sp.MatMul(rt, Change(r)))),
        sp.MatMul(2 / n, rt, Change(r)),
        sp.MatMul(2 / n, rt, X, Change(w)),
        2 * X.T * (X * w - y) / n,
    ]
    assert section.left == Change(LOSS) and section.steps[-1].left == GradientOf(LOSS, w)


def test_details_differ_in_the_number_of_lines():
    # a detail that is ignored; brief: what one writes on a board; full: a rule at one place a line
    sections = {detail: matrix_section(sd.Loss(r.T * r / n, w), w, detail) for detail in DETAILS}
    assert {detail: len(section.steps) for detail, section in sections.items()} == {"brief": 2, "normal": 4, "full": 9}
    assert keys(sections["full"]) == [
        "constant multiple", "matrix product", "matrix transpose", "scalar transpose", "collect", "matrix sum",
        "matrix constant", "constant factor", "read off"]  # fmt: skip


def test_long_statements_are_abbreviated_with_unused_names():
    # a name of the user's taken for a residual; an abbreviation that is never inserted
    taken = [M("R", n, d), M("Z", d, K), M("E", K, K), M("H", K, K)]
    features, weights, *_ = taken
    inner = (features * weights + one * b.T - Y).applyfunc(sp.tanh)
    loss = sd.Loss(tr(inner.T * inner * taken[2] * taken[3]), weights)
    section = matrix_section(loss, weights, "normal")
    abbreviations = [said.args[0] for step in section.steps for said in step.rules if said.key == "abbreviate"]
    assert abbreviations and not {name.name for name in abbreviations} & {"R", "Z", "E", "H", "Y", "b", "t"}
    inserted = [said.args[0] for step in section.steps for said in step.rules if said.key == "insert"]
    assert inserted == abbreviations
    assert not section.result.free_symbols & set(abbreviations)
    assert unused("RE", {"R", "E_1"}) == "R1"


# -- every line of many losses ----------------------------------------------------------------------------------------


@every_derivation
def test_derivations_end_in_the_gradient(name, parameter):
    # a rule that is missing or wrong; a line that does not continue the one before; a rule or remark without words
    loss = stated(name)
    lengths = []
    for detail in DETAILS:
        section = matrix_section(loss, parameter, detail)
        assert section.result == loss.gradient[parameter]
        before = section.start
        for step in section.steps:
            assert step.before == before
            before = step.after
            for language in ("en", "es"):
                assert step.rules and all(rule_parts(said.key, language, *said.args) for said in step.rules)
                assert all(note_parts(said.key, language, *said.args) for said in step.remarks)
        lefts = [step.left for step in section.steps if step.left is not None]
        assert lefts == [GradientOf(LOSS, parameter)]
        lengths.append(len(section.steps))
    assert lengths == sorted(lengths)


def test_every_rule_and_move_is_used():
    # a rule that no loss above needs, so that nothing tests it
    used: set[str] = set()
    for name, parameter in DERIVATIONS:
        used |= {said.key for step in matrix_section(stated(name), parameter, "full").steps for said in step.rules}
    assert used >= {
        "matrix constant", "matrix sum", "matrix product", "matrix transpose", "matrix trace", "matrix elementwise",
        "matrix hadamard", "matrix chain", "scalar transpose", "scalar trace", "cyclic", "trace transpose",
        "trace hadamard", "dot hadamard", "trace diagonal", "dot diagonal", "matrix diagonal", "matrix entry",
        "matrix part", "matrix notation", "dot product", "log softmax", "logsumexp", "softmax", "stable", "quotient",
        "constant multiple", "constant factor", "collect", "abbreviate", "insert", "read off", "simplify", "cases",
    }  # fmt: skip


@pytest.mark.parametrize("case", [case for case in CASES if case.name != "unused"], ids=lambda case: case.name)
def test_gradients_that_are_read_in_matrix_notation_are_derived_in_it(case):
    # a statement that the raising of gradients handles but the derivation does not
    loss = sd.Loss(case.loss, case.parameter)
    if loss.gradient[case.parameter].has(sp.FunctionMatrix):
        with pytest.raises(UnsupportedError, match="no form in matrix notation"):
            matrix_section(loss, case.parameter)
    else:
        assert matrix_section(loss, case.parameter).result == loss.gradient[case.parameter]


@pytest.mark.parametrize("seed", range(40))
def test_losses_drawn_at_random(seed):
    # interplays nobody thought of: every operation within every other
    draw = Draw(1000 + seed)
    loss = draw.loss(1 + seed % 3)
    parameters = sorted(loss.atoms(sp.MatrixSymbol), key=str)
    if not parameters:
        return
    parameter = draw.random.choice(parameters)
    try:
        found = sd.Loss(loss, parameter)
    except sd.errors.StatementError as error:  # the parameter is only the shape of ones, say
        assert "does not depend" in str(error)
        return
    detail = DETAILS[seed % 3]
    assert matrix_section(found, parameter, detail).result == found.gradient[parameter]


# -- another witness --------------------------------------------------------------------------------------------------


def _change(expression: Any, values: dict[Any, Any]) -> Any:
    """A differential as a central difference in double precision."""
    parameter, direction = values["parameter"], values["direction"]

    def at(step: float) -> Any:
        moved = {**values, parameter: values[parameter] + step * direction}
        inside = expression.arg
        return matrix(inside, moved) if getattr(inside, "is_Matrix", False) else [[float(number(inside, moved))]]

    return (np.asarray(at(1e-5)) - np.asarray(at(-1e-5))) / 2e-5


def evaluated(line: Any, values: dict[Any, Any]) -> Any:
    if getattr(line, "is_Matrix", False):
        return matrix(line, values)
    if isinstance(line, sp.Add) and any(getattr(term, "is_Matrix", False) for term in line.args):
        return sum(np.asarray(evaluated(term, values)).sum() for term in line.args)
    return np.array([[float(number(line, values))]])


WITNESSED = ["least squares", "two-sided form", "several outputs", "diagonals", "metric", "softmax regression",
             "elementwise with the transpose", "rayleigh", "commutator", "network, one output"]  # fmt: skip


@pytest.mark.parametrize("name", WITNESSED)
def test_lines_agree_in_double_precision_too(name, monkeypatch):
    # a mistake that the rules and their own witness share
    monkeypatch.setitem(RULES, Change, _change)
    loss, parameters = LOSSES[name]
    parameter = parameters[0]
    section = matrix_section(stated(name), parameter, "full")
    generator = np.random.default_rng(5)
    values: dict[Any, Any] = {n: sp.Integer(4), d: sp.Integer(3), K: sp.Integer(2), m: sp.Integer(5)}
    values |= {lam: sp.Float(0.3), mu: sp.Float(0.6)}
    for symbol in sorted(loss.atoms(sp.MatrixSymbol), key=str):
        values[symbol] = generator.normal(
            size=[int(values[length]) if length in values else 1 for length in symbol.shape]
        )
    values |= {"parameter": parameter, "direction": generator.normal(size=values[parameter].shape)}
    for step in section.steps:
        for said in step.remarks:
            if said.key == "inner is":
                values[said.args[0]] = None
    definitions = {
        said.args[0]: said.args[1] for step in section.steps for said in step.remarks if said.key == "inner is"
    }
    for step in section.steps:
        before, after = (opened(line, definitions) for line in (step.before, step.after))
        left, right = evaluated(before, values), evaluated(after, values)
        if step.left is not None:
            right = np.sum(right * values["direction"])
        assert np.allclose(left, right, rtol=1e-6, atol=1e-7)


def opened(line: Any, definitions: dict[Any, Any]) -> Any:
    while line.free_symbols & set(definitions):
        line = line.xreplace(definitions)
    return line


@pytest.mark.parametrize("seed", range(25))
def test_the_witness_computes_what_numpy_computes(seed):
    # a witness that is wrong about a class of matrices, and so lets wrong steps pass
    draw = Draw(seed)
    loss = draw.loss(1 + seed % 3)
    parameters = sorted(loss.atoms(sp.MatrixSymbol), key=str)
    if not parameters:
        return
    instances = Instances(parameters[0], {}, [loss], count=1)
    walk = instances.walks[0]
    values = {key: np.array(value, dtype=float) if isinstance(value, list) else sp.Float(float(value))
              for key, value in walk.values.items()}  # fmt: skip
    values |= {
        key: sp.Integer(int(value))
        for key, value in walk.values.items()
        if key in loss.free_symbols and getattr(key, "is_integer", False)
    }
    with mp.workdps(60):
        found = float(walk(loss))
    assert found == pytest.approx(float(number(loss, values)), rel=1e-9)


# -- wrong rules are caught -------------------------------------------------------------------------------------------


def _refused(loss: Any, parameter: Any, rule: str) -> None:
    with pytest.raises(VerificationError, match=rule):
        matrix_section(sd.Loss(loss, parameter), parameter)


def test_a_product_rule_that_forgets_a_term_is_caught(monkeypatch):
    right = rules.RULES[sp.MatMul]

    def wrong(by: Any, inside: Any) -> Expansion:
        made = right(by, inside)
        return Expansion(made.rules, made.pieces[:1], made.kind)

    monkeypatch.setitem(rules.RULES, sp.MatMul, wrong)
    _refused(w.T * A * w, w, "product rule for differentials")


def test_a_wrong_slope_is_caught(monkeypatch):
    right = functions.slope_of

    def wrong(*args: Any) -> Any:
        slope = right(*args)
        return functions.Slope(slope.body * (1 + sp.Rational(1, 10**20)), slope.rules, slope.remarks, ())

    monkeypatch.setattr(functions, "slope_of", wrong)
    _refused(tr(one.T * (X * w).applyfunc(sp.tanh)), w, "derivative of the hyperbolic tangent")


def test_a_missing_transpose_is_caught(monkeypatch):
    # square matrices, so that no shape tells
    monkeypatch.setattr(
        gradient_form, "turn", lambda factor: factor.arg if isinstance(factor, sp.Transpose) else factor
    )
    _refused(tr(S.T * A * S * B), S, "a matrix and its transpose have one trace")


def test_a_wrong_rotation_is_caught(monkeypatch):
    def wrong(term: Any) -> Any:
        before, place, after = term.parts
        return gradient_form.Move(
            "cyclic", gradient_form.TURN, gradient_form.Term(term.coefficient, (*before, *after, place), True)
        )

    monkeypatch.setattr(gradient_form, "rotated", wrong)
    _refused(tr(A * S * B), S, "the trace is cyclic")


def test_a_gradient_read_off_without_its_transpose_is_caught(monkeypatch):
    monkeypatch.setattr(gradient_form, "flipped", lambda factors: tuple(factors))
    _refused(tr(A * S), S, "the gradient is read off")


def test_a_differential_that_is_dropped_is_caught(monkeypatch):
    monkeypatch.setitem(rules.RULES, DiagMatrix, lambda by, inside: Expansion((Said("matrix constant"),), ()))
    _refused(tr(A * diag(w) * A) + tr(w.T * w), w, "constant")


def test_what_no_rule_carries_further_is_refused(monkeypatch):
    # an endless loop instead of a message
    piece = Piece(sp.S.One, (Change(S * A),))
    monkeypatch.setitem(
        rules.RULES, sp.MatMul, lambda by, inside: Expansion((Said("matrix product"),), (piece,), "product")
    )
    with pytest.raises(UnsupportedError, match="cannot be carried out"):
        begun = course.Course(course.Differentials(S, z), [course.Term(sp.S.One, (Change(S * A),), True)])
        list(begun.operations())


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "parameter", "message"),
    [
        (sp.Sum(sp.Symbol("i", integer=True) * w[sp.Symbol("i", integer=True), 0], (sp.Symbol("i", integer=True), 0, d - 1)), w, "no form in matrix notation"),
        (tr(lam * A), lam, "lam is no matrix"),
        (losses.cross_entropy(X * W, M("k", n, 1)), W, "no form in matrix notation"),
    ],
    ids=["components", "scalar parameter", "classes as positions"],
)  # fmt: skip
def test_what_has_no_matrix_notation_is_refused(loss, parameter, message):
    with pytest.raises(UnsupportedError, match=message):
        matrix_section(sd.Loss(loss, parameter), parameter)


def test_per_sample_losses_are_derived_over_all_samples():
    # the gradient of one sample, or the samples' own symbols, instead of the arrays over the samples
    loss = sd.Loss(losses.squared(target, x.T * w) + lam * tr(w.T * w), w, samples=[x, target])
    section = matrix_section(loss, w)
    assert section.result == loss.gradient[w]
    assert section.start == Change(sp.Add(lam * tr(w.T * w), section.start.arg - lam * tr(w.T * w)))


# -- remarks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinks", "key"),
    [("min-norm", "entry subgradient"), ("left", "entry left slope"), ("right", "entry right slope"), ("raise", "entry no slope")],
)  # fmt: skip
def test_the_convention_at_kinks_is_stated(kinks, key):
    loss = sd.Loss(losses.absolute(y, X * w), w, kinks=kinks)
    section = matrix_section(loss, w)
    (said,) = (said for step in section.steps for said in step.remarks)
    assert said == Said(key, (y - X * w,))
    assert key in NOTES


def test_conditions_are_recorded():
    # a logarithm or a root without its domain
    section = matrix_section(stated("divergence"), w)
    conditions = [condition for step in section.steps for condition in step.conditions]
    assert [(type(each), each.lhs.parent) for each in conditions] == [(sp.StrictGreaterThan, X * w)]
    quotient = matrix_section(sd.Loss(sp.log(tr(w.T * A * w)), w), w)
    assert [condition.lhs for step in quotient.steps for condition in step.conditions] == [tr(w.T * A * w)]


# -- second order -----------------------------------------------------------------------------------------------------

t = sp.Symbol("t", real=True)
HESSIANS: dict[str, tuple[Any, Any]] = {
    "least squares": (r.T * r / n, 2 * X.T * X / n),
    "ridge": (r.T * r / n + lam * w.T * w, 2 * lam * sp.Identity(d) + 2 * X.T * X / n),
    "quadratic form": (w.T * A * w, A + A.T),
    "linear": (y.T * X * w, sp.ZeroMatrix(d, d)),
    "poisson": (
        one.T * (X * w).applyfunc(sp.exp) - y.T * X * w,
        X.T * diag(applied(sp.Lambda(t, sp.exp(t)), X * w)) * X,
    ),
    "logsumexp": (
        tr(RowLogSumExp(X * w)),
        sp.MatMul(X.T, diag(RowSoftmax(X * w)) - RowSoftmax(X * w) * sp.Transpose(RowSoftmax(X * w)), X),
    ),
    "square of a square": (w.T * w * w.T * w, 4 * tr(w.T * w) * sp.Identity(d) + 8 * w * w.T),
    "exponential": (
        sp.exp(tr(w.T * w)),
        2 * sp.exp(tr(w.T * w)) * sp.Identity(d) + 4 * sp.exp(tr(w.T * w)) * w * w.T,
    ),
    "weighted": (r.T * diag(q) * r, 2 * X.T * diag(q) * X),
}


@pytest.mark.parametrize("name", HESSIANS)
def test_hessians_in_matrix_form(name):
    # a transpose or a factor lost on the way from d nabla L to H dw
    loss, expected = HESSIANS[name]
    for detail in DETAILS:
        section = hessian_section(sd.Loss(loss, w), w, detail)
        assert alike(section.result, expected), section.result
        assert section.left == Change(GradientOf(LOSS, w))
        lefts = [step.left for step in section.steps if step.left is not None]
        assert lefts == [GradientOf(LOSS, w, w)]


def test_the_hessian_of_logistic_regression():
    section = hessian_section(sd.Loss(losses.logistic(y, X * w), w), w)
    assert keys(section)[-1] == "simplify"
    (middle,) = section.result.atoms(DiagMatrix)
    assert section.result == sp.MatMul(1 / n, X.T, middle, X)


def test_hessians_without_such_a_form_are_refused():
    for loss, parameter in [(tr(R.T * R), W), (tr(S.T * S), S)]:
        with pytest.raises(UnsupportedError, match="not a column"):
            hessian_section(sd.Loss(loss, parameter), parameter)
    loss = tr((w * w.T * A).applyfunc(sp.tanh) * B)
    with pytest.raises(UnsupportedError):
        hessian_section(sd.Loss(loss, w), w)


# -- forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (X.T * (X * w - y), X.T * sp.MatAdd(-y, X * w), True),
        (sp.Transpose(X * w - y), w.T * X.T - y.T, True),
        (had(A, B, C), had(C, B, A), True),
        (had(A, A), HadamardPower(A, 2), True),
        (2 * A - 2 * B, sp.MatMul(2, A - B), True),
        (tr(A * B * C) * S, tr(C.T * B.T * A.T) * S, True),
        (tr(A * B * C) * S, tr(A * C * B) * S, False),
        (A.applyfunc(fn(sp.exp(-z))), (-A).applyfunc(sp.exp), True),
        (A.applyfunc(fn(sp.exp(-z))), A.applyfunc(sp.exp), False),
        (A * w + B * w, (A + B) * w, False),
        (X.T * (y - X * w), -X.T * (X * w - y), False),
        (A * B, B * A, False),
        (A, A.T, False),
        (diag(a) * A, diag(w) * A, False),
        (OneMatrix(n, d), sp.Transpose(OneMatrix(d, n)), True),
    ],
)
def test_what_is_written_alike(first, second, expected):
    # a simplification that is hidden in another step, or a step that changes nothing
    assert alike(first, second) is expected


def test_elementwise_products_without_ones():
    assert hadamard([OneMatrix(n, K), Y]) == Y
    assert hadamard([one * u, OneMatrix(n, K)]) == one * u
    assert hadamard([y * ones_K.T, Y]) == sp.MatMul(DiagMatrix(y), Y)
    assert hadamard([sp.MatMul(one, u), Y]) == sp.MatMul(Y, DiagMatrix(sp.Transpose(u)))
    assert hadamard([A, A]) == HadamardPower(A, 2)


def test_transposes_are_not_multiplied_out():
    assert flip(X * w - y) == sp.Transpose(X * w - y)
    assert flip(sp.Transpose(A)) == A
    assert flip(X.T * sp.Transpose(X * w - y).T) == sp.MatMul(sp.Transpose(X * w - y), X)


# -- cost -------------------------------------------------------------------------------------------------------------


def test_textbook_losses_take_no_time():
    matrix_section(sd.Loss(r.T * r / n, w), w)  # imports
    for loss, parameter in [(r.T * r / n, w), (tr(hidden.T * hidden) / n, W1)]:
        stated_once = sd.Loss(loss, parameter)
        stated_once.gradient  # noqa: B018
        started = time.perf_counter()
        matrix_section(stated_once, parameter, "normal")
        assert time.perf_counter() - started < 0.3


def test_long_sums_take_time_in_proportion():
    arrays = [(M(f"A{place}", n, d), M(f"y{place}", n, 1)) for place in range(40)]
    loss = sp.Add(*(tr((left * w - right).T * (left * w - right)) for left, right in arrays))
    stated_once = sd.Loss(loss, w)
    started = time.perf_counter()
    section = matrix_section(stated_once, w)
    assert time.perf_counter() - started < 5
    assert section.result == stated_once.gradient[w]


def test_derivations_are_deterministic():
    # names or orders that depend on hashes
    texts = {
        Derivation((LOSS, R), [matrix_section(sd.Loss(tr(hidden.T * hidden) / n, W1), W1)]).text() for _ in range(2)
    }
    assert len(texts) == 1
    random.seed(1)
