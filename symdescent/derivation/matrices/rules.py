"""The rules of differentials, each for one place: ``d(E)`` becomes a sum of products that hold smaller differentials.

A rule is found by the class of what changes: sums, products and parts here, functions in `functions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalOf
from sympy.matrices.expressions.hadamard import HadamardPower
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.slice import MatrixSlice

from symdescent.derivation.matrices.expansion import Differentials, Expansion, Piece, single
from symdescent.derivation.matrices.forms import flat, is_matrix, is_number, number, product
from symdescent.derivation.matrices.functions import (
    cases,
    elementwise,
    hadamard_power,
    row_logsumexp,
    row_softmax,
    scalar_function,
)
from symdescent.derivation.steps import Said
from symdescent.derivation.symbols import Change
from symdescent.elementary.functions import RowLogSumExp, RowSoftmax
from symdescent.errors import UnsupportedError


def rule(by: Differentials, inside: Any) -> Expansion:
    """The rule that the form of what changes asks for."""
    if not by.depends(inside):
        return Expansion((Said("matrix constant"),), ())
    for kind in type(inside).__mro__:
        found = RULES.get(kind)
        if found is not None:
            return found(by, inside)
    raise UnsupportedError(
        f"no rule is known for the differential of {inside} (a {type(inside).__name__}) in matrix notation"
    )


# -- linear rules -----------------------------------------------------------------------------------------------------


def _sum(by: Differentials, inside: Any) -> Expansion:
    """Each term; the sign stays outside, and what is added stands first."""
    signed = [(sp.S.NegativeOne, _negated(term)) if _is_negative(term) else (sp.S.One, term) for term in inside.args]
    signed.sort(key=lambda pair: -pair[0])
    return Expansion((Said("matrix sum"),), tuple(Piece(sign, (Change(term),)) for sign, term in signed))


def _negated(term: Any) -> Any:
    """A term without its sign."""
    return product(sp.S.One, flat(term)[1]) if is_matrix(term) else -term


def _is_negative(term: Any) -> bool:
    """Whether a term is written as minus a product."""
    return isinstance(term, sp.Mul) and term.args[0] == -1


def _transpose(by: Differentials, inside: Any) -> Expansion:
    return single("matrix transpose", sp.Transpose(Change(inside.arg)))


def _trace(by: Differentials, inside: Any) -> Expansion:
    if is_number(inside.arg):
        return single("scalar trace", Change(inside.arg))
    return Expansion((Said("matrix trace"),), (Piece(sp.S.One, (Change(inside.arg),), True),))


def _diagonal(by: Differentials, inside: Any) -> Expansion:
    return single("matrix diagonal", DiagMatrix(Change(inside.args[0])))


def _diagonal_of(by: Differentials, inside: Any) -> Expansion:
    return single("matrix diagonal", DiagonalOf(Change(inside.args[0])))


def _entry(by: Differentials, inside: Any) -> Expansion:
    """An entry is a product with two columns of the identity."""
    matrix, row, column = inside.args
    if not by.depends(matrix) or by.depends(row) or by.depends(column):
        raise UnsupportedError(f"the entry {inside} is not at a fixed place: derive the loss in index notation")
    return single("matrix entry", *_selected(matrix, (row, row + 1, 1), (column, column + 1, 1)))


def _slice(by: Differentials, inside: Any) -> Expansion:
    """A part is a product with parts of the identity."""
    return single("matrix part", *_selected(inside.parent, inside.rowslice, inside.colslice))


def _selected(matrix: Any, rows: Any, columns: Any) -> tuple[Any, ...]:
    height, width = matrix.shape
    left = () if _is_all(rows, height) else (MatrixSlice(sp.Identity(height), rows, (0, height, 1)),)
    right = () if _is_all(columns, width) else (MatrixSlice(sp.Identity(width), (0, width, 1), columns),)
    return (*left, Change(matrix), *right)


def _is_all(places: Any, length: Any) -> bool:
    first, last, step = places
    return bool(first == 0 and step == 1 and sp.expand(last - length) == 0)


def _definition(by: Differentials, inside: Any) -> Expansion:
    """An abbreviation changes as what it stands for does."""
    return rule(by, by.definitions[inside])


# -- products ---------------------------------------------------------------------------------------------------------


def _product(by: Differentials, inside: Any) -> Expansion:
    coefficient, factors = flat(inside)
    moving = [place for place, factor in enumerate(factors) if by.depends(factor)]
    if by.depends(coefficient):
        whole = product(sp.S.One, factors)
        pieces = [Piece(sp.S.One, factors, scalar=Change(coefficient))]
        pieces += [Piece(coefficient, (Change(whole),))] if moving else []
        return Expansion((Said("matrix product"),), tuple(pieces), "product")
    if coefficient != 1:
        return single("constant multiple", Change(product(sp.S.One, factors)), coefficient=coefficient)
    first, last = moving[0], moving[-1] + 1
    if (first, last) != (0, len(factors)):
        inner = Change(product(sp.S.One, factors[first:last]))
        return single("constant factor", *factors[:first], inner, *factors[last:])
    changed = [(*factors[:place], Change(factors[place]), *factors[place + 1 :]) for place in moving]
    return Expansion((Said("matrix product"),), tuple(Piece(sp.S.One, each) for each in changed), "product")


def _matrix_power(by: Differentials, inside: Any) -> Expansion:
    base, exponent = inside.args
    if is_number(base):
        return scalar_function(by, sp.Pow(number(base), exponent, evaluate=False), base)
    return _product(by, inside)


def _hadamard(by: Differentials, inside: Any) -> Expansion:
    """Each factor in turn; scalar factors stand in front."""
    parts = [flat(part) for part in inside.args]
    coefficient = sp.Mul(*(scalar for scalar, _ in parts))
    matrices = [product(sp.S.One, factors) for _, factors in parts]
    if coefficient != 1:
        return _product(by, sp.MatMul(coefficient, sp.HadamardProduct(*matrices)))
    pieces = []
    for place, matrix in enumerate(matrices):
        if by.depends(matrix):
            others = [*matrices[:place], *matrices[place + 1 :]]
            pieces.append(Piece(sp.S.One, (sp.HadamardProduct(*others, Change(matrix)),)))
    if len(pieces) == 1:
        return Expansion((Said("constant factor"),), tuple(pieces))
    return Expansion((Said("matrix hadamard"),), tuple(pieces), "hadamard")


def _scalar_product(by: Differentials, inside: Any) -> Expansion:
    """Constant factors stand in front; of several that change, each changes in turn, those below a line as powers."""
    moving = [factor for factor in sp.Mul.make_args(inside) if by.depends(factor)]
    constant = sp.Mul(*(factor for factor in sp.Mul.make_args(inside) if not by.depends(factor)))
    if constant != 1:
        return single("constant multiple", Change(sp.Mul(*moving)), coefficient=constant)
    below = [factor for factor in moving if factor.is_Pow and factor.exp.as_coeff_Mul()[0].is_negative]
    if below and len(below) < len(moving):
        top, bottom = sp.Mul(*(f for f in moving if f not in below)), 1 / sp.Mul(*below)
        parts = (Piece(1 / bottom, (Change(top),)), Piece(-top / bottom**2, (Change(bottom),)))
        return Expansion((Said("quotient"),), parts, "quotient")
    pieces = tuple(
        Piece(sp.Mul(*moving[:place], *moving[place + 1 :]), (Change(factor),)) for place, factor in enumerate(moving)
    )
    return Expansion((Said("matrix product"),), pieces, "product")


Rule = Callable[[Differentials, Any], Expansion]
RULES: dict[type, Rule] = {
    sp.MatAdd: _sum,
    sp.MatMul: _product,
    sp.MatPow: _matrix_power,
    sp.Transpose: _transpose,
    sp.Adjoint: _transpose,
    sp.HadamardProduct: _hadamard,
    HadamardPower: hadamard_power,
    ElementwiseApplyFunction: elementwise,
    DiagMatrix: _diagonal,
    DiagonalOf: _diagonal_of,
    MatrixSlice: _slice,
    RowSoftmax: row_softmax,
    RowLogSumExp: row_logsumexp,
    sp.MatrixSymbol: _definition,
    sp.Add: _sum,
    sp.Mul: _scalar_product,
    sp.Pow: scalar_function,
    sp.Function: scalar_function,
    sp.Max: scalar_function,
    sp.Min: scalar_function,
    sp.Piecewise: cases,
    sp.Trace: _trace,
    MatrixElement: _entry,
}
