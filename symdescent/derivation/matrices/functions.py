"""The rules of differentials for functions: of the entries of a matrix, of its rows, and of scalars made of matrices.

The slopes of elementary functions come from the scalar rules, and so from their records in
`symdescent.elementary.TABLE`; nothing here states one again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.special import OneMatrix

from symdescent.derivation.components.rules import Differentiation
from symdescent.derivation.components.trees import evaluated, rewrite
from symdescent.derivation.matrices.expansion import Differentials, Expansion, Piece, single
from symdescent.derivation.matrices.forms import applied, flat, flip, is_matrix, number, power, product
from symdescent.derivation.steps import Said
from symdescent.derivation.symbols import Change
from symdescent.elementary.functions import RowLogSumExp, RowSoftmax
from symdescent.errors import UnsupportedError

# -- functions of the entries -----------------------------------------------------------------------------------------


def hadamard_power(by: Differentials, inside: Any) -> Expansion:
    """``d(B^p) = p B^(p - 1) o dB``, entry by entry."""
    base, exponent = inside.args
    if by.depends(exponent) or is_matrix(exponent):
        raise UnsupportedError(f"the exponents of {inside} are not one constant number")
    coefficient, factors = flat(power(base, exponent - 1))
    piece = Piece(exponent * coefficient, (_times_entries(product(sp.S.One, factors), Change(base)),))
    return Expansion((Said("matrix elementwise"), Said("power")), (piece,), "power")


def elementwise(by: Differentials, inside: Any) -> Expansion:
    """``d f(Z) = f'(Z) o dZ``."""
    function, matrix = inside.args
    (variable,) = function.variables
    if by.depends(function):
        raise UnsupportedError(f"the function in {inside} depends on {by.parameter} besides its argument")
    if not by.depends(matrix):
        raise UnsupportedError(f"{inside} depends on {by.parameter} in a way that is not known")
    if isinstance(matrix, RowSoftmax) and function.expr.func is sp.log and function.expr.args == (variable,):
        return single("log softmax", Change(log_softmax(matrix.arg)), kind="log softmax")
    slope = slope_of(function.expr, variable, by.kinks, matrix)
    constant, body = slope.body.as_independent(variable, as_Add=False)
    if isinstance(slope.body, sp.Piecewise):
        constant, body = sp.S.One, slope.body
    factors = (Change(matrix),) if body == 1 else (_times_entries(mapped(variable, body, matrix), Change(matrix)),)
    pieces = (Piece(constant, factors),) if constant != 0 else ()
    remarks = tuple(_of_entries(said, variable, matrix) for said in slope.remarks)
    conditions = tuple(condition.xreplace({variable: _any_entry(matrix)}) for condition in slope.conditions)
    rules = (Said("matrix elementwise"), *slope.rules)
    return Expansion(rules, pieces, f"apply {slope.rules}", remarks, conditions)


def _of_entries(said: Said, variable: Any, matrix: Any) -> Said:
    """A remark on a function of one variable, as a remark on the entries of a matrix."""
    if said.key in _AT_KINKS:
        (place,) = said.args
        return Said(f"entry {said.key}", (mapped(variable, evaluated(place.lhs - place.rhs), matrix),))
    return Said(said.key, tuple(mapped(variable, arg, matrix) if arg.has(variable) else arg for arg in said.args))


_AT_KINKS = {"subgradient", "left slope", "right slope", "no slope"}


def _any_entry(matrix: Any) -> Any:
    """The entry of a matrix at free indices that it does not use itself."""
    taken = {symbol.name for symbol in matrix.free_symbols}
    row, column, *_ = (sp.Symbol(name, integer=True) for name in "ijklpqrs" if name not in taken)
    places = [sp.S.Zero if length == 1 else place for place, length in zip((row, column), matrix.shape, strict=True)]
    return MatrixElement(matrix, *places)


def mapped(variable: Any, body: Any, matrix: Any) -> Any:
    """A function of the entries; powers of the variable are elementwise powers of the matrix."""
    if body.is_Pow and body.base == variable and body.exp.is_number:
        return power(matrix, body.exp)
    return matrix if body == variable else applied(sp.Lambda(variable, body), matrix)


def _times_entries(slope: Any, change: Any) -> Any:
    if isinstance(slope, OneMatrix):
        return change
    parts = slope.args if isinstance(slope, sp.HadamardProduct) else (slope,)
    return sp.HadamardProduct(*parts, change)


@dataclass(frozen=True, slots=True)
class Slope:
    """The derivative of a function of one variable, and what led to it."""

    body: Any
    rules: tuple[Said, ...]
    remarks: tuple[Said, ...]
    conditions: tuple[Any, ...]


BOOKKEEPING = {"constant", "variable", "constant multiple", "sum", "difference"}


def slope_of(body: Any, variable: Any, kinks: str, inner: Any) -> Slope:
    """Derive a function of one variable by the scalar rules; `inner` is what stands for the variable in remarks."""
    by = Differentiation(variable, kinks)
    rules: dict[Said, None] = {}
    remarks: dict[Said, None] = {}
    conditions: dict[Any, None] = {}

    def visit(part: Any) -> Any:
        if not isinstance(part, sp.Derivative):
            return None
        applied = by.rule(part.expr)
        rules.update(dict.fromkeys(Said(said.key) for said in applied.rules if said.key not in BOOKKEEPING))
        remarks.update(dict.fromkeys(applied.remarks))
        conditions.update(dict.fromkeys(applied.conditions))
        return applied.result

    expression = by.pending(body)
    while expression.has(sp.Derivative):
        expression = rewrite(expression, visit)
    simple = [said for said in rules if said.key != "chain"]
    names = tuple(simple) if len(simple) == 1 else tuple(rules)
    return Slope(evaluated(expression), names, tuple(remarks), tuple(conditions))


# -- rows -------------------------------------------------------------------------------------------------------------


def log_softmax(matrix: Any) -> Any:
    """``Z - logsumexp(Z) 1^T``, the logarithm of the softmax of each row (or of a column)."""
    rows, columns = matrix.shape
    total = RowLogSumExp(matrix)
    spread = (OneMatrix(rows, 1), total) if columns == 1 else (total, sp.Transpose(OneMatrix(columns, 1)))
    return sp.MatAdd(matrix, sp.MatMul(sp.S.NegativeOne, *spread))


def row_logsumexp(by: Differentials, inside: Any) -> Expansion:
    """The shares of the softmax times the differentials, summed over each row (or a column)."""
    matrix, shares = inside.arg, RowSoftmax(inside.arg)
    if not inside.over_rows:
        factors: tuple[Any, ...] = (flip(shares), Change(matrix))
    else:
        factors = (sp.HadamardProduct(shares, Change(matrix)), OneMatrix(matrix.shape[1], 1))
    return single("logsumexp", *factors, kind="logsumexp")


def row_softmax(by: Differentials, inside: Any) -> Expansion:
    """``dS = S o dZ - diag((S o dZ) 1) S`` for rows; ``ds = s o dz - s s^T dz`` for a column."""
    matrix = inside.arg
    own = sp.HadamardProduct(inside, Change(matrix))
    if not inside.over_rows:
        shared: tuple[Any, ...] = (inside, flip(inside), Change(matrix))
    else:
        shared = (DiagMatrix(sp.MatMul(own, OneMatrix(matrix.shape[1], 1))), inside)
    return Expansion((Said("softmax"),), (Piece(sp.S.One, (own,)), Piece(sp.S.NegativeOne, shared)), "softmax")


# -- scalars ----------------------------------------------------------------------------------------------------------


def cases(by: Differentials, inside: Any) -> Expansion:
    """The differential of the piece that holds."""
    pieces = []
    for place, (value, _) in enumerate(inside.args):
        if by.depends(value):
            here = ((sp.Integer(place == other), condition) for other, (_, condition) in enumerate(inside.args))
            pieces.append(Piece(sp.Piecewise(*here), (Change(value),)))
    return Expansion((Said("cases"),), tuple(pieces), "cases", (Said("pieces"),))


def scalar_function(by: Differentials, inside: Any, argument: Any = None) -> Expansion:
    """A function of scalars: the sum of slopes times differentials. `argument` is shown for what the function is of."""
    arguments = [argument for argument in inside.args if by.depends(argument)]
    pieces, rules, remarks, conditions = [], {}, {}, {}
    for each in arguments:
        symbol = sp.Dummy(real=True)
        standing = number(each) if is_matrix(each) else each
        body = inside.func(*(symbol if other == each else other for other in inside.args), evaluate=False)
        slope = slope_of(body, symbol, by.kinks, each)
        back = {symbol: standing}
        pieces.append(Piece(slope.body.xreplace(back), (Change(each if argument is None else argument),)))
        rules.update(dict.fromkeys(slope.rules))
        remarks.update(dict.fromkeys(_replaced(said, back) for said in slope.remarks))
        conditions.update(dict.fromkeys(condition.xreplace(back) for condition in slope.conditions))
    names = (*(said for said in rules if said.key != "chain"), Said("matrix chain"))
    return Expansion(names, tuple(pieces), f"scalar {names}", tuple(remarks), tuple(conditions))


def _replaced(said: Said, mapping: Mapping[Any, Any]) -> Said:
    return replace(said, args=tuple(arg.xreplace(mapping) for arg in said.args))
