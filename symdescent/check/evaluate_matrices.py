"""The independent witness on matrix expressions: one small rule a class, on 2-D arrays or dual numbers.

Matrices are evaluated where symbols stand for single numbers. Where one depends on an index of a sum around it, or on
the sample, it is evaluated for each cell, and the results are stacked in front of the two axes of the matrix.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalOf
from sympy.matrices.expressions.hadamard import HadamardPower
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.slice import MatrixSlice
from sympy.matrices.expressions.special import OneMatrix, ZeroMatrix

from symdescent.check.evaluate import Rule, Scope, Steps, Walk, shown, whole
from symdescent.dual import apply, broadcast_to, matmul, power, primal, stack
from symdescent.elementary.functions import RowLogSumExp, RowSoftmax
from symdescent.errors import StatementError, UnsupportedError


def _shape(value: Any) -> tuple[int, ...]:
    return np.shape(primal(value))


def cell_by_cell(walk: Walk, node: Any, scope: Scope) -> Steps:
    """A matrix under indices: evaluated once if it does not depend on them, else for each cell that counts."""
    varying = walk.varying(node, scope)
    if not varying:
        return (yield "matrix", node, scope.flat)
    if isinstance(node, sp.MatrixSymbol):  # all samples of it
        return walk.data(node, scope)
    shape = np.broadcast_shapes(*map(_shape, varying.values()), np.shape(scope.mask))
    counted = np.broadcast_to(scope.mask, shape)
    spread = {symbol: broadcast_to(value, shape) for symbol, value in varying.items()}
    parts: list[Any] = []
    for cell in np.ndindex(shape):
        values = {symbol: value[cell] for symbol, value in spread.items()}
        parts.append((yield "matrix", node, scope.flat.bind(values, 0, 1)) if counted[cell] else np.zeros((1, 1)))
    matrices = stack(parts)
    return matrices.reshape(*shape, *_shape(matrices)[1:])


# -- numbers made of matrices -----------------------------------------------------------------------------------------


def _one_by_one(walk: Walk, node: Any, scope: Scope) -> Steps:
    """A 1x1 matrix is a number."""
    matrix = yield "matrix", node, scope
    rows, columns = _shape(matrix)[-2:]
    if (rows, columns) != (1, 1):
        raise StatementError(f"{shown(node)} is a {rows}x{columns} matrix where a number is needed: reduce it to one")
    return matrix[..., 0, 0]


def _element(walk: Walk, node: Any, scope: Scope) -> Steps:
    row = yield "scalar", node.i, scope
    column = yield "scalar", node.j, scope
    matrix = yield "matrix", node.parent, scope
    return walk.entry(shown(node.parent), matrix, [row, column], scope)


def _trace(walk: Walk, node: Any, scope: Scope) -> Steps:
    matrix = yield "matrix", node.arg, scope
    diagonal = np.arange(_shape(matrix)[-1])
    return matrix[..., diagonal, diagonal].sum(axis=-1)


def _dot(walk: Walk, node: Any, scope: Scope) -> Steps:
    left = yield "matrix", node.args[0], scope
    right = yield "matrix", node.args[1], scope
    left, right = (vector.reshape(*_shape(vector)[:-2], -1) for vector in (left, right))
    return (left * right).sum(axis=-1)


SCALAR_RULES: dict[type, Rule] = {
    sp.MatrixExpr: _one_by_one,
    sp.MatrixBase: _one_by_one,
    MatrixElement: _element,
    sp.Trace: _trace,
    sp.DotProduct: _dot,
}


# -- matrices ---------------------------------------------------------------------------------------------------------


def _symbol(walk: Walk, node: Any, scope: Scope) -> Any:
    return walk.data(node, scope)


def _parts(node: Any, scope: Scope) -> Steps:
    """The values of all arguments, matrices as matrices and numbers as numbers."""
    values = []
    for argument in node.args:
        values.append((yield "matrix" if getattr(argument, "is_Matrix", False) else "scalar", argument, scope))
    return values


def _elementwise(operation: Callable[[Any, Any], Any]) -> Rule:
    def rule(walk: Walk, node: Any, scope: Scope) -> Steps:
        return reduce(operation, (yield from _parts(node, scope)))

    return rule


def _product(walk: Walk, node: Any, scope: Scope) -> Steps:
    values = yield from _parts(node, scope)
    scale = reduce(operator.mul, (value for value in values if not _shape(value)), 1.0)
    factors = [value for value in values if _shape(value)]
    if _shape(factors[-1])[1] == 1:  # a matrix times a vector is cheaper than a matrix times a matrix
        return reduce(lambda right, left: matmul(left, right), reversed(factors)) * scale
    return reduce(matmul, factors) * scale


def _transpose(walk: Walk, node: Any, scope: Scope) -> Steps:
    matrix = yield "matrix", node.args[0], scope
    return matrix.T


def _power(walk: Walk, node: Any, scope: Scope) -> Steps:
    base, exponent = yield from _parts(node, scope)
    if _shape(base) == (1, 1):
        return power(base, exponent)
    if not (float(primal(exponent)).is_integer() and primal(exponent) >= 0):
        raise UnsupportedError(f"{shown(node)} is no product of matrices: only whole powers from 0 on have a rule")
    return reduce(matmul, [base] * int(primal(exponent)), np.eye(len(base)))


def _applied(walk: Walk, node: Any, scope: Scope) -> Steps:
    """A function of one variable, at all entries at once."""
    inside = yield "matrix", node.expr, scope
    function = node.function
    if not isinstance(function, sp.Lambda):
        variable = sp.Dummy("x", real=True)
        function = sp.Lambda(variable, function(variable))
    entries = scope.bind({function.variables[0]: inside}, 2, primal(inside).size)
    return broadcast_to((yield "scalar", function.expr, entries), _shape(inside))


def _extents(node: Any, scope: Scope) -> Steps:
    """The number of rows and of columns of a matrix that is given by its shape."""
    rows = yield "scalar", sp.sympify(node.shape[0]), scope
    columns = yield "scalar", sp.sympify(node.shape[1]), scope
    return int(whole(rows, scope, shown(node))), int(whole(columns, scope, shown(node)))


def _filled(make: Callable[[int, int], Any]) -> Rule:
    def rule(walk: Walk, node: Any, scope: Scope) -> Steps:
        return make(*(yield from _extents(node, scope)))

    return rule


def _function_matrix(walk: Walk, node: Any, scope: Scope) -> Steps:
    rows, columns = yield from _extents(node, scope)
    places = dict(zip(node.lamda.variables, np.ogrid[0.0:rows, 0.0:columns], strict=True))
    entries = yield "scalar", node.lamda.expr, scope.bind(places, 2, rows * columns)
    return broadcast_to(entries, (rows, columns))


def _diagonal_of(walk: Walk, node: Any, scope: Scope) -> Steps:
    matrix = yield "matrix", node.args[0], scope
    places = np.arange(_shape(matrix)[-1])
    return matrix[..., places, places][..., None]


def _diagonal(walk: Walk, node: Any, scope: Scope) -> Steps:
    vector = yield "matrix", node.args[0], scope
    return vector.reshape(-1, 1) * np.eye(max(_shape(vector)))


def _slice(walk: Walk, node: Any, scope: Scope) -> Steps:
    places = []
    for limits in (node.rowslice, node.colslice):
        bounds = []
        for bound in limits:
            value = yield "scalar", sp.sympify(bound), scope
            bounds.append(int(whole(value, scope, shown(node))))
        places.append(np.arange(*bounds, dtype=float))
    matrix = yield "matrix", node.parent, scope
    return walk.entry(shown(node.parent), matrix, [places[0][:, None], places[1]], scope)


def _explicit(walk: Walk, node: Any, scope: Scope) -> Steps:
    entries = []
    for entry in node.flat():
        entries.append((yield "scalar", entry, scope))
    return stack(entries).reshape(node.rows, node.cols)


def _row_wise(walk: Walk, node: Any, scope: Scope) -> Steps:
    """softmax and logsumexp of the rows of a matrix, or of a column vector."""
    z = yield "matrix", node.arg, scope
    axis = 1 if node.over_rows else 0
    top = primal(z).max(axis=axis, keepdims=True)
    shares = apply("exp", z - top)
    total = shares.sum(axis=axis, keepdims=True)
    return shares / total if isinstance(node, RowSoftmax) else apply("log", total) + top


RULES: dict[type, Rule] = {
    sp.MatrixSymbol: _symbol,
    sp.MatAdd: _elementwise(operator.add),
    sp.MatMul: _product,
    sp.HadamardProduct: _elementwise(operator.mul),
    HadamardPower: _elementwise(power),
    sp.Transpose: _transpose,
    sp.Adjoint: _transpose,
    sp.MatPow: _power,
    ElementwiseApplyFunction: _applied,
    ZeroMatrix: _filled(lambda rows, columns: np.zeros((rows, columns))),
    OneMatrix: _filled(lambda rows, columns: np.ones((rows, columns))),
    sp.Identity: _filled(np.eye),
    sp.FunctionMatrix: _function_matrix,
    DiagMatrix: _diagonal,
    DiagonalOf: _diagonal_of,
    MatrixSlice: _slice,
    sp.MatrixBase: _explicit,
    RowSoftmax: _row_wise,
    RowLogSumExp: _row_wise,
}
