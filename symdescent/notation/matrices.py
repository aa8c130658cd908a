"""Lowering matrix expressions: the entry at (row, column), one small rule a class.

Products are grouped so that matrix-vector products come first; inner dimensions of length one are not summed over.
Column vectors are loaded with one index.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalOf
from sympy.matrices.expressions.hadamard import HadamardPower
from sympy.matrices.expressions.slice import MatrixSlice
from sympy.matrices.expressions.special import OneMatrix, ZeroMatrix

from symdescent.elementary.functions import RowLogSumExp, RowSoftmax
from symdescent.errors import StatementError, UnsupportedError
from symdescent.graph import Node
from symdescent.notation import stable
from symdescent.notation.lower import Lowering, Rule, Scope, _unsupported


def entry(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    """Lower the entry of a matrix expression at (row, column)."""
    for kind in type(matrix).__mro__:
        rule = _RULES.get(kind)
        if rule is not None:
            return (yield from rule(low, matrix, row, column, scope))
    if getattr(matrix, "is_Matrix", False):
        raise UnsupportedError(_unsupported(matrix))
    return (yield "scalar", matrix, scope)


def check_lengths(expression: Any, *lengths: Any) -> None:
    """Refuse lengths that differ: SymPy accepts the product of an (n, 1) and a (d, 1) matrix if n and d are symbols."""
    for length in lengths[1:]:
        if sp.expand(sp.sympify(lengths[0]) - length) != 0:
            raise StatementError(
                f"the shapes in {expression} do not fit: {lengths[0]} and {length} should be the same length"
            )


def _symbol(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    return low.load(matrix, [row] if matrix.shape[1] == 1 else [row, column])
    yield  # pragma: no cover


def _add(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    for axis in (0, 1):
        check_lengths(matrix, *(argument.shape[axis] for argument in matrix.args))
    terms = []
    for argument in matrix.args:
        terms.append((yield "entry", argument, row, column, scope))
    return stable.add(low.graph, *terms)


def _hadamard(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    factors = []
    for argument in matrix.args:
        factors.append((yield "entry", argument, row, column, scope))
    return stable.mul(low.graph, factors)


def _transpose(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    return (yield "entry", matrix.args[0], column, row, scope)


def _product(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    scalars = [argument for argument in matrix.args if not getattr(argument, "is_Matrix", False)]
    factors = [argument for argument in matrix.args if getattr(argument, "is_Matrix", False)]
    nodes = []
    for scalar in scalars:
        nodes.append((yield "scalar", scalar, scope))
    # an inner dimension of length one splits the product into an outer product of chains
    chains: list[list[Any]] = [[]]
    for left, right in itertools.pairwise(factors):
        check_lengths(matrix, left.shape[1], right.shape[0])
    for factor in factors:
        if chains[-1] and factor.shape[0] == 1:
            chains.append([])
        chains[-1].append(factor)
    zero = low.graph.zero
    for number, chain in enumerate(chains):
        first = row if number == 0 else zero
        last = column if number == len(chains) - 1 else zero
        nodes.append((yield from _chain(low, chain, first, last, scope)))
    return stable.mul(low.graph, nodes)


def _chain(low: Lowering, factors: list[Any], row: Node, column: Node, scope: Scope) -> Rule:
    if len(factors) == 1:
        return (yield "entry", factors[0], row, column, scope)
    from_right = factors[-1].shape[1] == 1 and factors[0].shape[0] != 1
    split = 1 if from_right else len(factors) - 1
    left, right = factors[:split], factors[split:]
    extent = yield "place", sp.sympify(left[-1].shape[1]), scope
    index = low.graph.fresh_index(extent)
    inner = low.graph.index(index)
    a = yield from _chain(low, left, row, inner, scope)
    b = yield from _chain(low, right, inner, column, scope)
    return low.graph.reduce("sum", stable.mul(low.graph, [a, b]), index)


def _power(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    base, exponent = matrix.args
    if tuple(base.shape) == (1, 1):
        inside = yield "entry", base, low.graph.zero, low.graph.zero, scope
        power = yield "scalar", exponent, scope
        return stable.power(low.graph, inside, power)
    if not (exponent.is_Integer and exponent >= 0):
        raise UnsupportedError(
            f"{matrix} is not a product of matrices: only whole, nonnegative matrix powers are supported"
        )
    if exponent == 0:
        return (yield from _identity(low, matrix, row, column, scope))
    return (yield from _chain(low, [base] * int(exponent), row, column, scope))


def _identity(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    return low.graph.select(low.graph.relation("equal", row, column), low.graph.one, low.graph.zero)
    yield  # pragma: no cover


def _diagonal(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    vector = matrix.args[0]
    zero = low.graph.zero
    value = yield "entry", vector, *((row, zero) if vector.shape[1] == 1 else (zero, row)), scope
    return low.graph.select(low.graph.relation("equal", row, column), value, zero)


def _elementwise(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    inside = yield "entry", matrix.expr, row, column, scope
    function = matrix.function
    if isinstance(function, sp.Lambda):
        (variable,) = function.variables
        return (yield "scalar", function.expr, {**scope, variable: inside})
    variable = sp.Dummy("x", real=True)
    return (yield "scalar", function(variable), {**scope, variable: inside})


def _hadamard_power(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    base = yield "entry", matrix.base, row, column, scope
    exponent = yield "entry", matrix.exp, row, column, scope
    return stable.power(low.graph, base, exponent)


def _constant(value: int) -> Callable[..., Rule]:
    def rule(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
        return low.graph.const(value)
        yield  # pragma: no cover

    return rule


def _slice(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    places = []
    for place, (start, _, step) in ((row, matrix.rowslice), (column, matrix.colslice)):
        first = yield "place", sp.sympify(start), scope
        stride = yield "place", sp.sympify(step), scope
        places.append(low.graph.add(first, low.graph.mul(stride, place)))
    return (yield "entry", matrix.parent, places[0], places[1], scope)


def _explicit(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    """A matrix written out: the entry itself, or a choice between the entries."""
    graph = low.graph
    if matrix.rows * matrix.cols > 256:
        raise UnsupportedError(
            f"a written-out {matrix.rows}x{matrix.cols} matrix is too large: use a MatrixSymbol and give it as data"
        )
    result = None
    for i in reversed(range(matrix.rows)):
        for j in reversed(range(matrix.cols)):
            here = graph.all(
                graph.relation("equal", row, graph.const(i)), graph.relation("equal", column, graph.const(j))
            )
            if here is graph.false:
                continue
            value = yield "scalar", matrix[i, j], scope
            result = value if result is None else graph.select(here, value, result)
    return result  # type: ignore[return-value]


def _row_wise(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    """softmax and logsumexp of rows, or of a column vector."""
    inside = matrix.arg
    extent = yield "place", sp.sympify(inside.shape[1] if matrix.over_rows else inside.shape[0]), scope
    index = low.graph.fresh_index(extent)
    dummy = low.graph.index(index)
    zero = low.graph.zero
    body = yield "entry", inside, *((row, dummy) if matrix.over_rows else (dummy, zero)), scope
    total = low.graph.reduce("logsumexp", body, index)
    if isinstance(matrix, RowLogSumExp):
        return total
    z = yield "entry", inside, *((row, column) if matrix.over_rows else (row, zero)), scope
    if total.op != "logsumexp":  # all entries are the same
        return stable.exp(low.graph, stable.add(low.graph, z, low.graph.neg(total)))
    return low.graph.call("softmax", z, total)


def _diagonal_of(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    return (yield "entry", matrix.args[0], row, row, scope)


def _function_matrix(low: Lowering, matrix: Any, row: Node, column: Node, scope: Scope) -> Rule:
    i, j = matrix.lamda.variables
    return (yield "scalar", matrix.lamda.expr, {**scope, i: row, j: column})


_RULES: dict[type, Callable[..., Rule]] = {
    sp.MatrixSymbol: _symbol,
    sp.MatAdd: _add,
    sp.MatMul: _product,
    sp.HadamardProduct: _hadamard,
    HadamardPower: _hadamard_power,
    sp.Transpose: _transpose,
    sp.Adjoint: _transpose,
    sp.MatPow: _power,
    sp.Identity: _identity,
    DiagMatrix: _diagonal,
    DiagonalOf: _diagonal_of,
    sp.FunctionMatrix: _function_matrix,
    ElementwiseApplyFunction: _elementwise,
    OneMatrix: _constant(1),
    ZeroMatrix: _constant(0),
    MatrixSlice: _slice,
    sp.MatrixBase: _explicit,
    RowSoftmax: _row_wise,
    RowLogSumExp: _row_wise,
}
