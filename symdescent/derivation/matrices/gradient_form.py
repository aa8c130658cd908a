"""Bringing a differential into the form that a gradient is read off from: ``g^T dw``, or ``tr(G^T dW)``.

Each move rewrites one term and has a name: a scalar is its own transpose and its own trace, the trace is cyclic, an
elementwise product or a diagonal matrix moves to the other side. A differential that is a vector (of a gradient, for
the Hessian) is brought into the form ``M dw``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalOf
from sympy.matrices.expressions.special import OneMatrix

from symdescent.derivation.matrices.expansion import Piece
from symdescent.derivation.matrices.forms import (
    diagonal,
    flat,
    flip,
    flipped,
    hadamard,
    is_column,
    is_number,
    number,
    product,
)
from symdescent.derivation.matrices.terms import Term
from symdescent.derivation.symbols import Change
from symdescent.errors import UnsupportedError

SETTLE, TURN, WITHIN, BRACKET = "settle", "turn", "within", "bracket"


@dataclass(frozen=True, slots=True)
class Move:
    """What a move makes of a term; `kind` names moves that are made in one line."""

    rule: str
    kind: str
    term: Term


# -- putting the pieces of a rule in their place ----------------------------------------------------------------------


def spliced(term: Term, piece: Piece, scalar: bool) -> Term:
    """A term with its differential replaced by one piece of what a rule made of it.

    `scalar` says whether the whole is a number, so that the differential of a scalar factor can stand by itself.
    """
    before, place, after = term.parts
    if isinstance(place, sp.HadamardProduct):
        scale, factors = flat(product(sp.S.One, piece.factors))
        piece = replace(piece, coefficient=piece.coefficient * scale)
        inner: tuple[Any, ...] = (sp.HadamardProduct(*place.args[:-1], product(sp.S.One, factors)),)
    else:
        inner = piece.factors if isinstance(place, Change) else tuple(map(turn, reversed(piece.factors)))
    coefficient, more = flat(sp.MatMul(*before, *inner, *after)) if before or after else flat(sp.MatMul(*inner))
    coefficient = term.coefficient * piece.coefficient * coefficient
    if piece.scalar is not None:
        if scalar:
            whole = product(sp.S.One, more)
            return Term(coefficient * (sp.Trace(whole) if not is_number(whole) else number(whole)), (piece.scalar,))
        return Term(coefficient, (*more, piece.scalar))
    if piece.traced:
        others = (*before, *after)
        if not scalar and others:
            raise UnsupportedError(f"the trace {piece.factors} is a factor of a vector")
        outside = number(sp.MatMul(*others)) if others else sp.S.One
        return Term(coefficient * outside, flat(sp.MatMul(*inner))[1], True)
    return Term(coefficient, more, term.traced)


def turn(factor: Any) -> Any:
    """The transpose of a factor; of one that holds a differential, it reaches the differential."""
    if isinstance(factor, Change):
        return sp.Transpose(factor)
    if isinstance(factor, sp.HadamardProduct) and factor.has(Change):
        return sp.HadamardProduct(*map(turn, factor.args))
    return flip(factor)


# -- moves ------------------------------------------------------------------------------------------------------------


def move(term: Term, scalar: bool) -> Move | None:
    """The next move of a term on its way to the form in which its differential can be carried further."""
    place = term.parts[1]
    if scalar and not term.traced and _is_row(place):
        return _transposed(term, scalar)
    if scalar and not term.traced and isinstance(place, sp.Transpose) and _is_row(place.arg):
        return None
    for kind, rule in _MOVES.items():
        if isinstance(place, kind):
            return rule(term, scalar)
    return None


def _is_row(place: Any) -> bool:
    """Whether a differential is that of a row, which is read off from ``g dw^T``."""
    return bool(isinstance(place, (Change, sp.HadamardProduct)) and place.shape[0] == 1 and place.shape[1] != 1)


def _transposed(term: Term, scalar: bool) -> Move | None:
    if scalar:
        factors = tuple(turn(factor) for factor in reversed(term.factors))
        return Move("trace transpose" if term.traced else "scalar transpose", SETTLE, replace(term, factors=factors))
    before, place, after = term.parts
    for start in reversed(range(len(before) + 1)):  # the part of a vector that is a number by itself
        part = (*before[start:], place, *after)
        if is_number(sp.MatMul(*part)):
            factors = (*before[:start], *(turn(factor) for factor in reversed(part)))
            return Move("scalar transpose", SETTLE, replace(term, factors=factors))
    return None


def _within_hadamard(term: Term, scalar: bool) -> Move | None:
    """``a^T (p o dz) = (a o p)^T dz`` and ``tr(A (P o dZ)) = tr((A^T o P)^T dZ)``; in a vector, diag(p) dz."""
    before, place, after = term.parts
    changes = [part for part in place.args if part.has(Change)]
    others = [part for part in place.args if not part.has(Change)]
    (change,) = changes
    if not scalar:
        if not is_column(place):
            raise UnsupportedError(f"the elementwise product {place} has no form as a matrix times a vector")
        factors = (*before, *flat(diagonal(hadamard(others)))[1], *flat(change)[1], *after)
        return Move("hadamard diagonal", WITHIN, Term(term.coefficient, factors))
    if not term.traced and not (is_column(place) and not after):
        return Move("scalar trace", TURN, replace(term, traced=True))
    if after:
        return rotated(term)
    other = product(sp.S.One, flipped(before)) if before else sp.Identity(place.shape[0])
    coefficient, factors = flat(hadamard([other, *others]))
    rule = "dot hadamard" if is_column(place) and not term.traced else "trace hadamard"
    factors = (*flipped(factors), *flat(change)[1])
    return Move(rule, WITHIN, Term(term.coefficient * coefficient, factors, term.traced))


def _within_diagonal(term: Term, scalar: bool) -> Move | None:
    """``tr(A diag(du) B) = ((A^T o B) 1)^T du``, and ``a^T diag(du) b = (a o b)^T du``."""
    before, place, after = term.parts
    column = place.args[0] if is_column(place.args[0]) else turn_all(place.args[0])
    inner = flat(column)
    if not scalar:
        vector = product(sp.S.One, after) if after else None
        if vector is None or not is_column(vector):
            raise UnsupportedError(f"the diagonal matrix {place} has no form as a matrix times a vector")
        factors = (*before, *flat(diagonal(vector))[1], *inner[1])
        return Move("hadamard diagonal", WITHIN, Term(term.coefficient * inner[0], factors))
    left = product(sp.S.One, flipped(before)) if before else None
    right = product(sp.S.One, after) if after else None
    if left is None and right is None:
        vector = OneMatrix(place.shape[0], 1)
    elif left is None or right is None:
        vector = DiagonalOf(left if left is not None else right)
    else:
        entries = hadamard([left, right])
        vector = entries if is_column(entries) else sp.MatMul(entries, OneMatrix(entries.shape[1], 1))
    coefficient, factors = flat(vector)
    rule = "trace diagonal" if term.traced else "dot diagonal"
    return Move(rule, WITHIN, Term(term.coefficient * coefficient * inner[0], (*flipped(factors), *inner[1])))


def _within_diagonal_of(term: Term, scalar: bool) -> Move | None:
    """``a^T (the diagonal of dM) = tr(diag(a) dM)``."""
    before, place, after = term.parts
    if not scalar or (term.traced and after):
        raise UnsupportedError(f"the diagonal {place} has no form as a matrix times a vector")
    weights = product(sp.S.One, (*flipped(before), *flipped(after))) if before or after else OneMatrix(*place.shape)
    if not is_column(weights):
        raise UnsupportedError(f"the diagonal {place} stands in a place from which it cannot be taken out")
    coefficient, factors = flat(diagonal(weights))
    inner = flat(place.args[0])
    return Move("trace diagonal", WITHIN, Term(term.coefficient * coefficient * inner[0], (*factors, *inner[1]), True))


def turn_all(expression: Any) -> Any:
    """The transpose of a product that holds a differential."""
    coefficient, factors = flat(expression)
    return product(coefficient, [turn(factor) for factor in reversed(factors)])


def rotated(term: Term) -> Move:
    """A trace with its differential last."""
    before, place, after = term.parts
    return Move("cyclic", TURN, replace(term, factors=flat(sp.MatMul(*after, *before, place))[1]))


_MOVES: dict[type, Callable[[Term, bool], Move | None]] = {
    sp.Transpose: _transposed,
    sp.HadamardProduct: _within_hadamard,
    DiagMatrix: _within_diagonal,
    DiagonalOf: _within_diagonal_of,
}


# -- reading off ------------------------------------------------------------------------------------------------------


def final_move(term: Term, parameter: Any) -> Move | None:
    """The next move towards ``g^T dw`` (a column), ``g dw^T`` (a row) or ``tr(G^T dW)``."""
    _, _, after = term.parts
    if not is_column(parameter) and parameter.shape[0] == 1:
        return _final_row(term)
    if after and term.traced:
        return rotated(term)
    if is_column(parameter):
        if term.traced:
            return Move("scalar trace", TURN, replace(term, traced=False))
        return final_vector(term)
    return None if term.traced else Move("scalar trace", TURN, replace(term, traced=True))


def _final_row(term: Term) -> Move | None:
    """A row is read off from ``g dw^T``."""
    before, place, after = term.parts
    if isinstance(place, sp.Transpose):
        return final_vector(term)
    if before:
        return Move("cyclic" if term.traced else "scalar factor", TURN, replace(term, factors=(place, *after, *before)))
    if term.traced:
        return Move("scalar trace", TURN, replace(term, traced=False))
    return Move("scalar transpose", TURN, replace(term, factors=tuple(turn(part) for part in reversed(term.factors))))


def final_vector(term: Term) -> Move | None:
    """The next move of a vector towards ``M dw``: a number behind the differential goes to the front."""
    before, place, after = term.parts
    if not after:
        return None
    if not is_column(place) or not is_number(sp.MatMul(*after)):
        raise UnsupportedError(f"{term.body} has no form as a matrix times a differential")
    return Move("scalar factor", TURN, Term(term.coefficient * number(sp.MatMul(*after)), (*before, place)))


def read_off(terms: Sequence[Term], hessian: bool = False) -> list[Term]:
    """The gradient (or Hessian): what stands beside the differential, as terms."""
    found = []
    for term in terms:
        before, place, _ = term.parts
        if hessian:
            factors = before or (sp.Identity(place.shape[0]),)
        elif isinstance(place, sp.Transpose):
            factors = before or (OneMatrix(1, 1),)
        else:
            factors = flipped(before) or (sp.Identity(place.shape[0]) if not is_column(place) else OneMatrix(1, 1),)
        found.append(Term(term.coefficient, factors))
    return found
