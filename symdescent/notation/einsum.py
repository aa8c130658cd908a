"""Sums of products of labelled matrices, written with matrix operations.

A factor is a matrix whose one or two axes are labelled; factors that share a label run along it together. Summing a
label away is a product, ``Σ_k A[k,a] B[k,b] = (AᵀB)[a,b]``; what shares all of its labels is a Hadamard product. This
is SymPy's matrix algebra only: no graph, no components, and no deep `doit`, which would rename the dummies of
elementwise functions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalOf
from sympy.matrices.expressions.hadamard import canonicalize as _canonical_hadamard
from sympy.matrices.expressions.special import OneMatrix, ZeroMatrix

Label = Hashable
Groups = dict[frozenset[Label], list["Labelled"]]


class NotMatrixError(Exception):
    """The expression has no form in matrix operations that is known here."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A matrix with named axes: ``(row, column)``, or the single name of a column vector."""

    matrix: Any
    labels: tuple[Label, ...]

    def at(self, row: Label | None, column: Label | None) -> Any:
        """The matrix with its axes in the wanted order."""
        wanted = tuple(label for label in (row, column) if label is not None)
        assert set(wanted) == set(self.labels)
        upright = row is not None if len(wanted) == 1 else wanted == self.labels
        return self.matrix if upright else transpose(self.matrix)


# -- matrix algebra ---------------------------------------------------------------------------------------------------


def transpose(matrix: Any) -> Any:
    """The transpose, distributed over products and sums as SymPy does, but left standing at elementwise functions."""
    if isinstance(matrix, sp.Transpose):
        return matrix.arg
    if isinstance(matrix, (DiagMatrix, sp.Identity)):
        return matrix
    if isinstance(matrix, sp.MatAdd):
        whole = plus(map(transpose, matrix.args))
        plain = all(isinstance(part.arg, sp.MatrixSymbol) for part in whole.atoms(sp.Transpose))
        if plain:
            return whole
        coefficient, rest = split(matrix)
        return times(coefficient, sp.Transpose(rest))
    if isinstance(matrix, sp.MatMul):
        coefficient, factors = matrix.as_coeff_matrices()
        return sp.MatMul(coefficient, *map(transpose, reversed(factors))).doit(deep=False)
    if isinstance(matrix, sp.MatPow):
        return sp.MatPow(transpose(matrix.base), matrix.exp)
    if isinstance(matrix, OneMatrix):
        return OneMatrix(*reversed(matrix.shape))
    whole = sp.Transpose(matrix)
    if isinstance(matrix, (sp.HadamardProduct, sp.HadamardPower, ElementwiseApplyFunction)):
        parts = [transpose(part) if getattr(part, "is_Matrix", False) else part for part in matrix.args]
        return plainer(whole, _canonical_hadamard(matrix.func(*parts)))
    return whole


def plainer(first: Any, second: Any) -> Any:
    """Whichever of two matrices is written with fewer transposes, above all of whole expressions."""
    return second if _transposes(second) < _transposes(first) else first


def _transposes(matrix: Any) -> int:
    found = (part.arg for part in sp.preorder_traversal(matrix) if isinstance(part, sp.Transpose))
    return sum(1 if isinstance(argument, sp.MatrixSymbol) else 2 for argument in found)


def split(matrix: Any) -> tuple[sp.Expr, Any]:
    """A scalar coefficient and the rest; ``A/n - B/n`` gives ``1/n`` and ``A - B``."""
    if isinstance(matrix, sp.MatMul):
        coefficient, factors = matrix.as_coeff_matrices()
        return coefficient, sp.MatMul(*factors).doit(deep=False)
    if isinstance(matrix, sp.MatAdd):
        parts = [split(term) for term in matrix.args]
        common = parts[0][0]
        if all(part in (common, -common) for part, _ in parts):
            if _is_negative(common) and any(part != common for part, _ in parts):
                common = -common
            return common, plus(times(1 if part == common else -1, rest) for part, rest in parts)
    return sp.S.One, matrix


def _is_negative(coefficient: Any) -> bool:
    return bool(coefficient.as_coeff_Mul()[0].is_negative)


def times(coefficient: Any, *matrices: Any) -> Any:
    """A scalar times a product of matrices, with all scalars gathered in front; ``-Xᵀ(A - B)`` is ``Xᵀ(B - A)``."""
    parts = [split(matrix) for matrix in matrices]
    scalar = sp.Mul(coefficient, *(c for c, _ in parts))
    rest = [factor for _, matrix in parts for factor in (matrix.args if isinstance(matrix, sp.MatMul) else (matrix,))]
    turned = _turned(rest) if _is_negative(scalar) else None
    if turned is not None:
        scalar, rest = -scalar, turned
    if len(rest) == 1 and isinstance(rest[0], sp.MatAdd) and scalar.is_Rational:  # as SymPy does: 2*A - 2*B
        return rest[0] if scalar == 1 else plus(times(scalar, term) for term in rest[0].args)
    return sp.MatMul(scalar, *rest).doit(deep=False)


def _turned(factors: list[Any]) -> list[Any] | None:
    """The factors with one difference among them turned round, which changes the sign of their product."""
    for place, factor in reversed(list(enumerate(factors))):
        other = None
        if isinstance(factor, sp.MatAdd) and any(_is_negative(split(term)[0]) for term in factor.args):
            other = plus(times(-1, term) for term in factor.args)
        elif isinstance(factor, (sp.MatMul, sp.HadamardProduct)):
            inner = _turned([part for part in factor.args if part.is_Matrix])
            other = _canonical_hadamard(factor.func(*inner)) if inner is not None else None
        if other is not None:
            return [*factors[:place], other, *factors[place + 1 :]]
    return None


def plus(terms: Iterable[Any]) -> Any:
    """A sum of matrices, like terms collected."""
    flat = [part for term in terms for part in (term.args if isinstance(term, sp.MatAdd) else (term,))]
    collected: dict[Any, Any] = {}
    for coefficient, matrix in map(split, flat):
        collected[matrix] = collected.get(matrix, 0) + coefficient
    parts = [times(coefficient, matrix) for matrix, coefficient in collected.items()]
    parts = sorted((part for part in parts if not isinstance(part, ZeroMatrix)), key=sp.default_sort_key)
    if len(parts) > 1:
        return sp.MatAdd(*parts)
    return parts[0] if parts else ZeroMatrix(*flat[0].shape)


def hadamard(matrices: Sequence[Any]) -> Any:
    """An elementwise product, with scalars in front and repeated factors as a power."""
    parts = [split(matrix) for matrix in matrices]
    counted: Counter[Any] = Counter()
    for _, matrix in parts:
        power = isinstance(matrix, sp.HadamardPower) and matrix.exp.is_Integer
        counted[matrix.base if power else matrix] += matrix.exp if power else 1
    powers = [sp.HadamardPower(matrix, count) if count != 1 else matrix for matrix, count in counted.items()]
    product = _canonical_hadamard(sp.HadamardProduct(*powers)) if len(powers) > 1 else powers[0]
    return times(sp.Mul(*(c for c, _ in parts)), product)


def diagonal(vector: Any) -> Any:
    """The diagonal matrix of a column vector."""
    coefficient, vector = split(vector)
    return times(coefficient, sp.Identity(vector.shape[0]) if isinstance(vector, OneMatrix) else DiagMatrix(vector))


def closed(matrix: Any) -> sp.Expr:
    """The trace, as a scalar with its coefficient in front; of a 1x1 matrix, its entry."""
    coefficient, matrix = split(matrix)
    return coefficient * sp.Trace(plainer(matrix, transpose(matrix)))


def gather(terms: Iterable[Any]) -> Any:
    """A sum in which ``XᵀA/n - XᵀB/n`` becomes ``Xᵀ(A - B)/n``: a common coefficient and left factor are taken out."""
    whole = plus(terms)
    if not isinstance(whole, sp.MatAdd):
        return whole
    groups: dict[tuple[Any, Any], list[Any]] = {}
    for coefficient, rest in map(split, whole.args):
        sign = -1 if _is_negative(coefficient) else 1
        left, *right = rest.args if isinstance(rest, sp.MatMul) else (None, rest)
        groups.setdefault((sign * coefficient, left), []).append(times(sign, *right))
    parts: list[Any] = []
    for (coefficient, left), rests in groups.items():
        if left is None or len(rests) == 1:
            parts.extend(times(coefficient, *([left] if left is not None else []), rest) for rest in rests)
        else:
            parts.append(times(coefficient, left, gather(rests)))
    return plus(parts)


# -- contraction ------------------------------------------------------------------------------------------------------


def contract(coefficient: Any, factors: Iterable[Labelled], summed: Iterable[Label], row: Label | None,
             column: Label | None, length: Callable[[Label], Any]) -> Any:  # fmt: skip
    """Return ``coefficient * Σ_summed Π factors`` as a matrix over (row, column); without either, as a scalar."""
    groups: Groups = {}
    for factor in factors:
        groups.setdefault(frozenset(factor.labels), []).append(factor)
    remaining = list(summed)
    while remaining:
        label = min(remaining, key=lambda label: sum(label in group and len(group) == 2 for group in groups))
        remaining.remove(label)
        coefficient = coefficient * _eliminate(groups, label, remaining, length)
    vectors = {label: hadamard([factor.matrix for factor in groups[frozenset({label})]])
               for label in (row, column) if frozenset({label}) in groups}  # fmt: skip
    both = groups.get(frozenset({row, column}))
    if row is None and column is None:
        return coefficient
    if row is None or column is None:
        label = column if row is None else row
        vector = times(coefficient, vectors.get(label, OneMatrix(length(label), 1)))
        return transpose(vector) if row is None else vector
    if both is not None:
        return times(coefficient, _scaled([_merged(both, row, column)], vectors.get(row), vectors.get(column)))
    u, v = vectors.get(row, OneMatrix(length(row), 1)), vectors.get(column, OneMatrix(length(column), 1))
    return times(coefficient, u, transpose(v))


def _merged(group: list[Labelled], row: Label, column: Label) -> Any:
    """The elementwise product of matrices over the same two labels."""
    upright = hadamard([factor.at(row, column) for factor in group])
    return plainer(upright, transpose(hadamard([factor.at(column, row) for factor in group])))


def _scaled(matrices: list[Any], u: Any, v: Any) -> Any:
    """``M ∘ (u vᵀ)``, or ``diag(u) M``, ``M diag(v)`` with one of the vectors."""
    if u is not None and v is not None:
        return hadamard([times(1, u, transpose(v)), *matrices])
    sides = (diagonal(u) if u is not None else None, hadamard(matrices), diagonal(v) if v is not None else None)
    return times(1, *(side for side in sides if side is not None))


def _eliminate(groups: Groups, label: Label, remaining: list[Label], length: Callable[[Label], Any]) -> Any:
    """Sum one label away, in place; return what is a scalar."""
    vector = [factor.matrix for factor in groups.pop(frozenset({label}), [])]
    touching = [group for group in groups if label in group]
    matrices = [groups.pop(group) for group in touching]
    others = [next(iter(group - {label})) for group in touching]
    if not touching:
        return _dot(vector) if vector else length(label)
    if len(touching) == 1:
        (first,), (other,) = matrices, others
        if not vector and len(first) > 1 and other in remaining and not any(other in group for group in groups):
            remaining.remove(other)
            return _trace([factor.at(label, other) for factor in first])
        ones = [OneMatrix(length(label), 1)]
        product = times(1, _merged(first, other, label), hadamard(vector or ones))
        groups.setdefault(frozenset({other}), []).append(Labelled(product, (other,)))
        return sp.S.One
    if len(touching) > 2:
        raise NotMatrixError("three matrices share an index")
    product = _through(dict(zip(others, matrices, strict=True)), label, vector, groups, remaining)
    groups.setdefault(frozenset(others), []).append(product)
    return sp.S.One


def _through(sides: dict[Label, list[Labelled]], label: Label, vector: list[Any], groups: Groups,
             remaining: list[Label]) -> Labelled:  # fmt: skip
    """``Σ_k A[a,k] r[k] B[k,b]`` as ``A diag(r) B``.

    With a vector v[b] beside it, r goes into ``B ∘ (r vᵀ)``: the backward pass through a layer, as textbooks have it.
    """
    weights = hadamard(vector) if vector else None
    beside = [other for other in sides if other not in remaining and frozenset({other}) in groups]
    scaled = beside[-1] if vector and beside else None
    outer = hadamard([factor.matrix for factor in groups.pop(frozenset({scaled}))]) if scaled is not None else None
    middle = [diagonal(weights)] if vector and scaled is None else []

    def side(row: Label, column: Label) -> Any:
        matrix = _merged(sides[column if row == label else row], row, column)
        if scaled is None or scaled not in (row, column):
            return matrix
        return _scaled([matrix], *((outer, weights) if row == scaled else (weights, outer)))

    a, b = sides
    upright = times(1, side(a, label), *middle, side(label, b))
    other = times(1, side(b, label), *middle, side(label, a))
    return Labelled(upright, (a, b)) if plainer(upright, other) is upright else Labelled(other, (b, a))


def _dot(vectors: list[Any]) -> Any:
    """``Σ_k u[k] v[k]`` as a trace."""
    if len(vectors) > 1:
        return closed(times(1, transpose(hadamard(vectors[:-1])), vectors[-1]))
    if isinstance(vectors[0], DiagonalOf):
        return closed(vectors[0].arg)
    return closed(times(1, OneMatrix(1, vectors[0].shape[0]), vectors[0]))


def _trace(matrices: list[Any]) -> Any:
    """``Σ_ka A[k,a] B[k,a] = tr(AᵀB) = tr(A Bᵀ)``."""
    first, rest = matrices[0], hadamard(matrices[1:])
    return closed(plainer(times(1, transpose(first), rest), times(1, first, transpose(rest))))
