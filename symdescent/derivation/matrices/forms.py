"""Matrix expressions as a derivation shows them: built as they stand, never evaluated behind the reader's back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.hadamard import HadamardPower
from sympy.matrices.expressions.slice import MatrixSlice
from sympy.matrices.expressions.special import OneMatrix, ZeroMatrix

from symdescent.derivation.components.trees import plus, times


def is_matrix(expression: Any) -> bool:
    """Whether an expression is a matrix (also a 1x1 one)."""
    return bool(getattr(expression, "is_Matrix", False))


def is_number(matrix: Any) -> bool:
    """Whether a matrix is 1x1."""
    return bool(matrix.shape[0] == 1 and matrix.shape[1] == 1)


def is_column(matrix: Any) -> bool:
    """Whether a matrix has a single column."""
    return bool(matrix.shape[1] == 1)


# -- products ---------------------------------------------------------------------------------------------------------


def flat(matrix: Any) -> tuple[Any, tuple[Any, ...]]:
    """A scalar coefficient, and the factors of a product; whole powers are written out, identities left out."""
    coefficient: Any = sp.S.One
    factors: list[Any] = []
    for part in matrix.args if isinstance(matrix, sp.MatMul) else (matrix,):
        if not is_matrix(part):
            coefficient = coefficient * part
        elif is_unit(part):
            continue
        elif isinstance(part, sp.Transpose) and isinstance(part.arg, (sp.MatMul, sp.MatPow, sp.Transpose)):
            inner, more = flat(flip(part.arg))
            coefficient, factors = coefficient * inner, [*factors, *more]
        elif isinstance(part, sp.MatMul):
            inner, more = flat(part)
            coefficient, factors = coefficient * inner, [*factors, *more]
        elif isinstance(part, sp.MatPow) and part.exp.is_Integer and part.exp > 0 and not is_number(part):
            inner, more = flat(part.base)
            coefficient, factors = coefficient * inner**part.exp, [*factors, *more * int(part.exp)]
        else:
            factors.append(part)
    return coefficient, tuple(factors or [sp.Identity(matrix.shape[0])])


def is_unit(matrix: Any) -> bool:
    """Whether a factor changes nothing: an identity, or a single 1."""
    return isinstance(matrix, sp.Identity) or (isinstance(matrix, OneMatrix) and is_number(matrix))


def product(coefficient: Any, factors: Iterable[Any]) -> Any:
    """The product of a scalar and matrices as it stands; a factor that is repeated becomes a power."""
    factors = list(factors)
    shown = [part for part in factors if not is_unit(part)] or factors[:1]
    powers: list[Any] = []
    for factor, group in groupby(shown):
        count = len(list(group))
        powers.append(sp.MatPow(factor, count) if count > 1 and not is_number(factor) else factor)
        powers.extend([factor] * (count - 1) if is_number(factor) else [])
    if coefficient == 0:
        return ZeroMatrix(shown[0].shape[0], shown[-1].shape[1])
    if coefficient == 1:
        return powers[0] if len(powers) == 1 else sp.MatMul(*powers)
    return sp.MatMul(coefficient, *powers)


def total(terms: Sequence[Any]) -> Any:
    """The sum of matrices as it stands."""
    parts = [part for term in terms for part in (term.args if isinstance(term, sp.MatAdd) else (term,))]
    return parts[0] if len(parts) == 1 else sp.MatAdd(*parts)


def number(matrix: Any) -> Any:
    """A 1x1 matrix as a scalar: its trace."""
    coefficient, factors = flat(matrix)
    return coefficient if all(map(is_unit, factors)) else coefficient * sp.Trace(product(sp.S.One, factors))


# -- transposes -------------------------------------------------------------------------------------------------------


def flip(matrix: Any) -> Any:
    """The transpose: of a product in reverse order, of what is symmetric itself, of a sum as a whole."""
    if isinstance(matrix, (sp.Transpose, sp.Adjoint)):
        return matrix.arg
    if isinstance(matrix, (sp.Identity, DiagMatrix)) or (is_number(matrix) and not isinstance(matrix, sp.MatMul)):
        return matrix
    if isinstance(matrix, ZeroMatrix) or (isinstance(matrix, OneMatrix) and not is_column(matrix)):
        return type(matrix)(*reversed(matrix.shape))
    if isinstance(matrix, MatrixSlice) and isinstance(matrix.parent, sp.Identity):
        return MatrixSlice(matrix.parent, matrix.colslice, matrix.rowslice)
    if isinstance(matrix, sp.MatMul):
        coefficient, factors = flat(matrix)
        return product(coefficient, flipped(factors))
    if isinstance(matrix, sp.MatPow):
        return sp.MatPow(flip(matrix.base), matrix.exp)
    if isinstance(matrix, _SPREADING):
        inside = spread(matrix)
        return inside if transposes(inside) <= transposes(matrix) else sp.Transpose(matrix)
    return sp.Transpose(matrix)


_SPREADING = (sp.MatAdd, sp.HadamardProduct, HadamardPower, ElementwiseApplyFunction)
"""What can be transposed by transposing its parts."""


def flipped(factors: Iterable[Any]) -> tuple[Any, ...]:
    """The factors of a product's transpose."""
    return tuple(flip(factor) for factor in reversed(tuple(factors)))


def spread(matrix: Any) -> Any:
    """The transpose of a sum, or of what is made entry by entry, taken of each of its parts."""
    return _sorted(with_args(matrix, [flip(part) if is_matrix(part) else part for part in matrix.args]))


def _sorted(matrix: Any) -> Any:
    """A sum in SymPy's order of terms, so that equal sums are recognised."""
    return sp.MatAdd(*sorted(matrix.args, key=sp.default_sort_key)) if isinstance(matrix, sp.MatAdd) else matrix


def transposes(matrix: Any) -> int:
    """How heavy the transposes in an expression are to read: those of expressions count double."""
    found = (type(part.arg) for part in sp.preorder_traversal(matrix) if isinstance(part, sp.Transpose))
    return sum({sp.MatrixSymbol: 1, OneMatrix: 0}.get(kind, 2) for kind in found)


# -- elementwise products ---------------------------------------------------------------------------------------------


def hadamard(matrices: Iterable[Any]) -> Any:
    """An elementwise product as it stands, without ones; ``u 1^T`` beside others scales rows, ``1 v^T`` columns."""
    coefficient: Any = sp.S.One
    rows, columns, middle = [], [], []
    shape = None
    for matrix in matrices:
        inner, factors = flat(matrix)
        coefficient, shape = coefficient * inner, shape or (factors[0].shape[0], factors[-1].shape[1])
        whole = product(sp.S.One, factors)
        for part in whole.args if isinstance(whole, sp.HadamardProduct) else (whole,):
            if (u := repeated(part)) is not None:
                rows.append(u)
            elif (v := repeated(flip(part)) if isinstance(part, sp.MatMul) else None) is not None:
                columns.append(v)
            elif not is_ones(part):
                middle.append(part)
    assert shape is not None
    u, v, m = map(_powers, (rows, columns, middle))
    if m is None:
        u = OneMatrix(shape[0], 1) if u is None else u
        v = OneMatrix(shape[1], 1) if v is None else v
        return (
            OneMatrix(*shape) if not rows and not columns else product(coefficient, (*flat(u)[1], *flipped(flat(v)[1])))
        )
    sides = (DiagMatrix(u) if u is not None else None, m, DiagMatrix(v) if v is not None else None)
    return product(coefficient, [side for side in sides if side is not None])


def is_ones(matrix: Any) -> bool:
    """Whether all entries of a matrix are written to be 1: ``1``, or an outer product of ones."""
    if isinstance(matrix, sp.MatMul):
        return all(map(is_ones, matrix.args)) and is_column(matrix.args[0])
    return isinstance(matrix.arg if isinstance(matrix, sp.Transpose) else matrix, OneMatrix)


def repeated(matrix: Any) -> Any:
    """The column u of a product ``u 1^T``; else None."""
    if not isinstance(matrix, sp.MatMul) or is_ones(matrix) or 1 in matrix.shape:
        return None
    *first, last = matrix.args
    return product(sp.S.One, first) if is_ones(last) and last.shape[0] == 1 else None


def _powers(parts: Sequence[Any]) -> Any:
    """The elementwise product of matrices; None of none."""
    counted = {part: parts.count(part) for part in parts}
    powers = [power(part, sp.Integer(count)) for part, count in counted.items()]
    return (sp.HadamardProduct(*powers) if len(powers) > 1 else powers[0]) if powers else None


def power(matrix: Any, exponent: Any) -> Any:
    """An elementwise power."""
    if exponent == 0:
        return OneMatrix(*matrix.shape)
    return matrix if exponent == 1 else HadamardPower(matrix, exponent)


def diagonal(column: Any) -> Any:
    """The diagonal matrix of a column."""
    return sp.Identity(column.shape[0]) if isinstance(column, OneMatrix) else DiagMatrix(column)


# -- what the user stated ---------------------------------------------------------------------------------------------


def as_stated(expression: Any, variable: Any) -> Any:
    """The statement as one would write it: SymPy has multiplied transposes out, and named variables by numbers.

    ``(w.T*X.T - y.T)*(X*w - y)`` is ``(X*w - y).T*(X*w - y)`` again, and the variable of functions is the given one.
    """
    return rebuilt(expression, lambda node: _folded(_renamed(_upright(node), variable)))


def rebuilt(expression: Any, change: Callable[[Any], Any]) -> Any:
    """The expression with `change` applied to its parts, inner ones first, and nothing evaluated."""
    if not expression.args or isinstance(expression, (sp.MatrixSymbol, sp.MatrixBase, sp.Lambda)):
        return expression
    args = [rebuilt(argument, change) for argument in expression.args]
    if all(new is old for new, old in zip(args, expression.args, strict=True)):
        return change(expression)
    return change(with_args(expression, args))


def with_args(expression: Any, args: Sequence[Any]) -> Any:
    """The expression with other arguments; scalar sums and products stay as they stand."""
    if isinstance(expression, sp.MatAdd):
        return total(args)
    if isinstance(expression, sp.Add):
        return plus(*args)
    if isinstance(expression, sp.Mul) and not is_matrix(expression):
        return times(*args)
    if isinstance(expression, ElementwiseApplyFunction):
        return applied(*args)
    return expression.func(*args)


def applied(function: Any, matrix: Any) -> Any:
    """A function applied to each entry, as it stands (SymPy would evaluate it at a 1x1 matrix)."""
    return sp.Basic.__new__(ElementwiseApplyFunction, function, matrix)


def without_dots(expression: Any) -> Any:
    """Scalar products written as a row times a column; within a scalar expression, as the trace of it."""
    if isinstance(expression, sp.DotProduct):
        return _row_times_column(expression)
    return rebuilt(expression, lambda node: _traced(node) if isinstance(node, sp.DotProduct) else node)


def with_traces(expression: Any) -> Any:
    """The 1x1 matrices in functions that are factors or terms, as traces: SymPy lets only those commute."""
    if is_matrix(expression) or isinstance(expression, sp.Function):
        return expression
    return rebuilt(expression, _of_traces)


def _of_traces(node: Any) -> Any:
    if not isinstance(node, sp.Function) or not any(map(is_matrix, node.args)):
        return node
    return node.func(*(number(argument) if is_matrix(argument) else argument for argument in node.args))


def _traced(dot: Any) -> Any:
    return sp.Trace(_row_times_column(dot))


def _row_times_column(dot: Any) -> Any:
    left, right = dot.args
    row = left if left.shape[0] == 1 else flip(left)
    return product(sp.S.One, (*flat(row)[1], *flat(right if is_column(right) else flip(right))[1]))


def _upright(node: Any) -> Any:
    """A row of ones as the transpose of a column, which is how it is written."""
    is_row = isinstance(node, OneMatrix) and node.shape[0] == 1 and not is_number(node)
    return sp.Transpose(OneMatrix(node.shape[1], 1)) if is_row else node


def _renamed(node: Any, variable: Any) -> Any:
    """A function of the variable; a number times the argument becomes part of the function."""
    if not isinstance(node, ElementwiseApplyFunction):
        return node
    (old,) = node.function.variables
    coefficient, factors = flat(node.expr)
    if not coefficient.is_Rational or coefficient == 1:
        coefficient, factors = sp.S.One, (node.expr,)
    body = node.function.expr.xreplace({old: coefficient * variable})
    return applied(sp.Lambda(variable, body), product(sp.S.One, factors))


def _folded(node: Any) -> Any:
    """A sum or elementwise function of what is all transposed, as the transpose of it; sums in SymPy's order."""
    if isinstance(node, _SPREADING) and not is_number(node) and transposes(node):
        inside = spread(node)
        if transposes(inside) + 2 <= transposes(node):
            return sp.Transpose(inside)
    return _sorted(node)
