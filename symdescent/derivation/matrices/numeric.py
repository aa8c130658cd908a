"""The witness of every step in matrix notation: lines evaluated at small random instances, in more than 30 digits.

Matrices are lists of rows of mpmath numbers. A differential that is still to be carried out is a central difference
along a random direction; no rule of differentiation is used, and nothing of the expression graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import mpmath as mp
import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalOf
from sympy.matrices.expressions.hadamard import HadamardPower
from sympy.matrices.expressions.matexpr import MatrixElement, MatrixExpr
from sympy.matrices.expressions.slice import MatrixSlice
from sympy.matrices.expressions.special import OneMatrix, ZeroMatrix

from symdescent.derivation.components.numeric import STEP, Walk
from symdescent.derivation.symbols import Change
from symdescent.elementary.functions import RowLogSumExp, RowSoftmax
from symdescent.errors import UnsupportedError

Rows = list[list[Any]]


class MatrixWalk(Walk):
    """The values of matrix expressions at one point.

    `after` and `before` are the walks at the points a step along the direction away, for differentials.
    """

    after: MatrixWalk | None = None
    before: MatrixWalk | None = None
    direction: Rows = []  # noqa: RUF012 (each walk that has one is given its own)

    def __init__(self, values: dict[Any, Any], definitions: Mapping[Any, Any]) -> None:
        Walk.__init__(self, values)
        self.stands_for = definitions
        self._known: dict[Any, Rows] = {}
        self._bound: set[Any] = set()

    def __call__(self, expression: Any) -> Any:
        """The value of a scalar expression, also of one that is made of matrices."""
        for kind, rule in SCALARS.items():
            if isinstance(expression, kind):
                return rule(self, expression)
        return Walk.__call__(self, expression)

    @contextmanager
    def bound(self, symbol: Any, value: Any) -> Any:
        """Give a symbol a value for a while; what depends on it is not remembered."""
        outer = symbol in self._bound
        self._bound.add(symbol)
        with Walk.bound(self, symbol, value):
            yield
        if not outer:
            self._bound.discard(symbol)

    def rows(self, matrix: Any) -> Rows:
        """The entries of a matrix expression."""
        found = self._known.get(matrix)
        if found is None:
            found = self._rows(matrix)
            if not self._bound or not matrix.free_symbols & self._bound:
                self._known[matrix] = found
        return found

    def _rows(self, matrix: Any) -> Rows:
        for kind in type(matrix).__mro__:
            rule = MATRICES.get(kind)
            if rule is not None:
                return rule(self, matrix)
        raise UnsupportedError(f"a {type(matrix).__name__} cannot be evaluated: {matrix}")

    def shape(self, matrix: Any) -> tuple[int, int]:
        """The number of rows and of columns."""
        return self.number(matrix.shape[0]), self.number(matrix.shape[1])


# -- numbers made of matrices -----------------------------------------------------------------------------------------


def _one_by_one(walk: MatrixWalk, expression: Any) -> Any:
    ((value,),) = walk.rows(expression)
    return value


def _trace(walk: MatrixWalk, expression: Any) -> Any:
    rows = walk.rows(expression.arg)
    if len(rows) != len(rows[0]):
        raise ValueError("the trace of a matrix that is not square")
    return mp.fsum(rows[place][place] for place in range(len(rows)))


def _element(walk: MatrixWalk, expression: Any) -> Any:
    return walk.rows(expression.parent)[walk.number(expression.i)][walk.number(expression.j)]


def _dot(walk: MatrixWalk, expression: Any) -> Any:
    left, right = ([entry for row in walk.rows(part) for entry in row] for part in expression.args)
    return mp.fsum(a * b for a, b in zip(left, right, strict=True))


SCALARS: dict[type, Callable[[MatrixWalk, Any], Any]] = {
    MatrixExpr: _one_by_one,
    sp.MatrixBase: _one_by_one,
    sp.Trace: _trace,
    MatrixElement: _element,
    sp.DotProduct: _dot,
}


# -- matrices ---------------------------------------------------------------------------------------------------------


def _symbol(walk: MatrixWalk, matrix: Any) -> Rows:
    if matrix in walk.stands_for:
        return walk.rows(walk.stands_for[matrix])
    return walk.values[matrix]  # type: ignore[no-any-return]


def _change(walk: MatrixWalk, matrix: Any) -> Rows:
    """``(E(W + h dW) - E(W - h dW)) / 2h``; its error is of the order of h squared."""
    assert walk.after is not None and walk.before is not None
    inside = matrix.arg
    if not getattr(inside, "is_Matrix", False):
        return [[(walk.after(inside) - walk.before(inside)) / (2 * STEP)]]
    pairs = zip(walk.after.rows(inside), walk.before.rows(inside), strict=True)
    return [[(a - b) / (2 * STEP) for a, b in zip(above, below, strict=True)] for above, below in pairs]


def _entrywise(combine: Callable[[Sequence[Any]], Any]) -> Callable[[MatrixWalk, Any], Rows]:
    def rule(walk: MatrixWalk, matrix: Any) -> Rows:
        parts = [walk.rows(part) for part in matrix.args]
        if len({(len(part), len(part[0])) for part in parts}) > 1:
            raise ValueError("matrices of different shapes")
        return [[combine(entries) for entries in zip(*rows, strict=True)] for rows in zip(*parts, strict=True)]

    return rule


def _product(walk: MatrixWalk, matrix: Any) -> Rows:
    scalar: Any = mp.mpf(1)
    result: Rows | None = None
    for part in matrix.args:
        if getattr(part, "is_Matrix", False):
            result = walk.rows(part) if result is None else times(result, walk.rows(part))
        else:
            scalar = scalar * walk(part)
    assert result is not None
    return [[scalar * entry for entry in row] for row in result]


def times(left: Rows, right: Rows) -> Rows:
    """The product of two matrices."""
    if len(left[0]) != len(right):
        raise ValueError("the shapes of a product do not fit")
    columns = list(zip(*right, strict=True))
    return [[mp.fsum(map(_multiply, row, column)) for column in columns] for row in left]


def _multiply(a: Any, b: Any) -> Any:
    return a * b


def _transpose(walk: MatrixWalk, matrix: Any) -> Rows:
    return [list(column) for column in zip(*walk.rows(matrix.args[0]), strict=True)]


def _power(walk: MatrixWalk, matrix: Any) -> Rows:
    base, exponent = walk.rows(matrix.base), walk(matrix.exp)
    if len(base) == 1:
        return [[walk.checked(mp.power(base[0][0], exponent))]]
    result = _unit(len(base), [mp.mpf(1)] * len(base))
    for _ in range(int(exponent)):
        result = times(result, base)
    return result


def _unit(size: int, entries: Sequence[Any]) -> Rows:
    return [[entries[row] if row == column else mp.mpf(0) for column in range(size)] for row in range(size)]


def _hadamard_power(walk: MatrixWalk, matrix: Any) -> Rows:
    exponents = walk.rows(matrix.exp) if getattr(matrix.exp, "is_Matrix", False) else None
    power = None if exponents else walk(matrix.exp)
    return [
        [walk.checked(mp.power(entry, exponents[i][j] if exponents else power)) for j, entry in enumerate(row)]
        for i, row in enumerate(walk.rows(matrix.base))
    ]


def _applied(walk: MatrixWalk, matrix: Any) -> Rows:
    (variable,), body = matrix.function.variables, matrix.function.expr
    result: Rows = []
    for row in walk.rows(matrix.expr):
        result.append([])
        for entry in row:
            with walk.bound(variable, entry):
                result[-1].append(walk.checked(walk(body)))
    return result


def _diagonal(walk: MatrixWalk, matrix: Any) -> Rows:
    entries = [entry for row in walk.rows(matrix.args[0]) for entry in row]
    return _unit(len(entries), entries)


def _diagonal_of(walk: MatrixWalk, matrix: Any) -> Rows:
    rows = walk.rows(matrix.arg)
    return [[rows[place][place]] for place in range(min(len(rows), len(rows[0])))]


def _slice(walk: MatrixWalk, matrix: Any) -> Rows:
    rows, columns = (range(*map(walk.number, places)) for places in (matrix.rowslice, matrix.colslice))
    parent = walk.rows(matrix.parent)
    return [[parent[i][j] for j in columns] for i in rows]


def _shares(walk: MatrixWalk, matrix: Any) -> Iterator[tuple[list[Any], Any]]:
    """The exponentials of each row (or of the column), and their sum."""
    rows = walk.rows(matrix.arg)
    for row in rows if matrix.over_rows else zip(*rows, strict=True):
        powers = [mp.exp(entry) for entry in row]
        yield powers, mp.fsum(powers)


def _softmax(walk: MatrixWalk, matrix: Any) -> Rows:
    rows = [[power / total for power in powers] for powers, total in _shares(walk, matrix)]
    return rows if matrix.over_rows else [[entry] for entry in rows[0]]


def _logsumexp(walk: MatrixWalk, matrix: Any) -> Rows:
    return [[mp.log(total)] for _, total in _shares(walk, matrix)]


def _filled(value: int) -> Callable[[MatrixWalk, Any], Rows]:
    def rule(walk: MatrixWalk, matrix: Any) -> Rows:
        rows, columns = walk.shape(matrix)
        return [[mp.mpf(value)] * columns for _ in range(rows)]

    return rule


def _identity(walk: MatrixWalk, matrix: Any) -> Rows:
    size, _ = walk.shape(matrix)
    return _unit(size, [mp.mpf(1)] * size)


def _explicit(walk: MatrixWalk, matrix: Any) -> Rows:
    return [[walk(matrix[i, j]) for j in range(matrix.cols)] for i in range(matrix.rows)]


MATRICES: dict[type, Callable[[MatrixWalk, Any], Rows]] = {
    sp.MatrixSymbol: _symbol,
    Change: _change,
    sp.MatAdd: _entrywise(mp.fsum),
    sp.MatMul: _product,
    sp.HadamardProduct: _entrywise(mp.fprod),
    HadamardPower: _hadamard_power,
    sp.Transpose: _transpose,
    sp.Adjoint: _transpose,
    sp.MatPow: _power,
    ElementwiseApplyFunction: _applied,
    DiagMatrix: _diagonal,
    DiagonalOf: _diagonal_of,
    MatrixSlice: _slice,
    RowSoftmax: _softmax,
    RowLogSumExp: _logsumexp,
    OneMatrix: _filled(1),
    ZeroMatrix: _filled(0),
    sp.Identity: _identity,
    sp.MatrixBase: _explicit,
}
