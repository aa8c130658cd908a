"""Matrix expressions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalMatrix, DiagonalOf
from sympy.matrices.expressions.kronecker import KroneckerProduct
from sympy.matrices.expressions.slice import MatrixSlice
from sympy.matrices.expressions.special import OneMatrix, ZeroMatrix

from symdescent.derivation.layout.arithmetic import fraction, raised, slashed, split_fraction
from symdescent.derivation.layout.boxes import (
    COMMA,
    Box,
    Fence,
    Function,
    Grid,
    Name,
    Op,
    Scripts,
    joined,
    row,
)
from symdescent.derivation.layout.calculus import array_style
from symdescent.derivation.layout.core import (
    CALL,
    MIXED,
    POWER,
    PRODUCT,
    Laid,
    Setting,
    applied,
    box_of,
    lay,
    layout_of,
)
from symdescent.derivation.layout.joining import negated, product, total
from symdescent.derivation.layout.names import indexed_box, symbol_box
from symdescent.derivation.layout.order import by_rank, ordered_terms
from symdescent.derivation.symbols import Change
from symdescent.elementary.functions import RowLogSumExp, RowSoftmax


@layout_of(sp.MatrixSymbol)
def _symbol(matrix: Any, setting: Setting) -> Laid:
    return Laid(symbol_box(matrix, matrix.name, setting.notation, array_style(matrix.shape, setting)))


@layout_of(sp.MatAdd)
def _sum(expression: Any, setting: Setting) -> Laid:
    return total([lay(term, setting) for term in ordered_terms(expression)])


@layout_of(sp.MatMul)
def _product(expression: Any, setting: Setting) -> Laid:
    """Scalars make one fraction in front of the matrices."""
    scalars = tuple(factor for factor in expression.args if not factor.is_Matrix)
    matrices = [lay(factor, setting) for factor in expression.args if factor.is_Matrix]
    negative, top, bottom = split_fraction(scalars)
    front = [fraction(by_rank(top), by_rank(bottom), setting)] if top or bottom else []
    laid = product([*front, *matrices], setting.notation)
    return negated(laid) if negative else laid


# -- powers and their like -------------------------------------------------------------------------------------------


@layout_of(sp.Transpose)
def _transpose(expression: Any, setting: Setting) -> Laid:
    return raised(lay(expression.arg, setting), Op("T", "mark"))


@layout_of(sp.MatPow, sp.Inverse)
def _power(expression: Any, setting: Setting) -> Laid:
    base, exponent = expression.args
    return raised(lay(base, setting), slashed(box_of(exponent, setting)))


@layout_of(sp.HadamardPower)
def _elementwise_power(expression: Any, setting: Setting) -> Laid:
    base, exponent = expression.args
    return raised(lay(base, setting), row(Op("∘", "mark"), slashed(box_of(exponent, setting))))


@layout_of(sp.HadamardProduct)
def _elementwise_product(expression: Any, setting: Setting) -> Laid:
    return Laid(joined([lay(factor, setting).above(PRODUCT) for factor in expression.args], Op("⊙")), MIXED)


@layout_of(KroneckerProduct)
def _kronecker_product(expression: Any, setting: Setting) -> Laid:
    return Laid(joined([lay(factor, setting).above(PRODUCT) for factor in expression.args], Op("⊗")), MIXED)


# -- functions of matrices -------------------------------------------------------------------------------------------

_NAMES: dict[type, str] = {
    sp.Trace: "tr",
    sp.Determinant: "det",
    DiagMatrix: "diag",
    DiagonalMatrix: "diag",
    DiagonalOf: "diag",
    RowSoftmax: "softmax",
    RowLogSumExp: "logsumexp",
}


@layout_of(*_NAMES)
def _function(expression: Any, setting: Setting) -> Laid:
    return applied(Function(_NAMES[type(expression)]), expression.args[:1], setting)


@layout_of(ElementwiseApplyFunction)
def _elementwise(expression: Any, setting: Setting) -> Laid:
    """The function's body with the matrix in the place of its variable."""
    function, matrix = expression.function, expression.expr
    if not isinstance(function, sp.Lambda):
        return applied(Function(str(function)), [matrix], setting)
    return lay(function.expr, replace(setting, lifted={function.variables[0]: matrix}))


@layout_of(Change)
def _change(expression: Any, setting: Setting) -> Laid:
    """dX, with brackets around what is more than a name."""
    return Laid(row(Name("d", "upright"), lay(expression.arg, setting).above(CALL)), POWER)


# -- special matrices and parts --------------------------------------------------------------------------------------


@layout_of(sp.Identity)
def _identity(matrix: Any, setting: Setting) -> Laid:
    style = "bold" if setting.notation.vectors == "bold" else "italic"
    return Laid(Scripts(Name("I", style), box_of(matrix.shape[0], setting)))


@layout_of(OneMatrix)
def _ones(matrix: Any, setting: Setting) -> Laid:
    rows, columns = matrix.shape
    sizes = [rows] if columns == 1 else [rows, columns]
    return Laid(Scripts(Name("1", "bold"), joined([lay(size, setting).above(PRODUCT - 1) for size in sizes], Op("×"))))


@layout_of(ZeroMatrix)
def _zeros(matrix: Any, setting: Setting) -> Laid:
    return Laid(Name("0", "bold"))


@layout_of(sp.FunctionMatrix)
def _components(matrix: Any, setting: Setting) -> Laid:
    function = matrix.lamda
    indices = function.variables[:1] if matrix.shape[1] == 1 else function.variables
    inside = Fence(box_of(function.expr, setting), "[]")
    return Laid(indexed_box(inside, [box_of(index, setting) for index in indices]))


@layout_of(MatrixSlice)
def _slice(matrix: Any, setting: Setting) -> Laid:
    parts: list[Box] = []
    for (start, stop, step), length in zip((matrix.rowslice, matrix.colslice), matrix.parent.shape, strict=True):
        colon = Op(":", "mark")
        ends = [] if (start, stop, step) == (0, length, 1) else [box_of(start, setting), box_of(stop, setting)]
        ends += [box_of(step, setting)] if ends and step != 1 else []
        parts.append(joined(ends, colon) if ends else colon)
    laid = lay(matrix.parent, setting)
    return Laid(Scripts(laid.above(CALL), joined(parts, COMMA)))


@layout_of(sp.MatrixBase)
def _written_out(matrix: Any, setting: Setting) -> Laid:
    return Laid(Grid(tuple(tuple(box_of(entry, setting) for entry in line) for line in matrix.tolist())))


@layout_of(sp.BlockMatrix)
def _blocks(matrix: Any, setting: Setting) -> Laid:
    return _written_out(matrix.blocks, setting)
