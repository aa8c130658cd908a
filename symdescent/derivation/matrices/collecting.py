"""Collecting the terms of a line: like terms as one, and what terms have in common in front of a bracket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

import sympy as sp

from symdescent.derivation.matrices.forms import flat, flip, flipped, is_number, product, total
from symdescent.derivation.matrices.gradient_form import Move, rotated
from symdescent.derivation.matrices.likeness import Comparison
from symdescent.derivation.matrices.terms import Term
from symdescent.derivation.symbols import Change


def collected(terms: Sequence[Term]) -> list[Term]:
    """Terms that are alike, as one."""
    comparison = Comparison()
    found: dict[Any, Term] = {}
    for term in terms:
        key = (term.traced, frozenset(comparison.product(term.factors, False).items()))
        known = found.get(key)
        found[key] = term if known is None else replace(known, coefficient=known.coefficient + term.coefficient)
    return [term for term in found.values() if term.coefficient != 0]


def rotated_alike(terms: Sequence[Term]) -> Iterator[tuple[int, Move]]:
    """Rotations of traces that make terms alike."""
    turned = {
        place: rotated(term)
        for place, term in enumerate(terms)
        if term.traced and term.parts[2] and isinstance(term.parts[1], Change)
    }
    after = [turned[place].term if place in turned else term for place, term in enumerate(terms)]
    if len(collected(after)) < len(collected(terms)):
        yield from turned.items()


def bracketed(terms: Sequence[Term], atomic: bool) -> list[Term] | None:
    """Two terms ``c tr(A dE) + c tr(B dE)`` as ``c tr((A + B) dE)``; None where there are none.

    With `atomic` differentials, a factor has to stand before the differential in both: ``(A + B) X dw``.
    """
    for place, first in enumerate(terms):
        for other in range(place + 1, len(terms)):
            merged = _merged(first, terms[other], atomic)
            if merged is not None:
                return [*terms[:place], merged, *terms[place + 1 : other], *terms[other + 1 :]]
    return None


def _merged(first: Term, second: Term, atomic: bool) -> Term | None:
    ratio = second.coefficient / first.coefficient
    if first.traced != second.traced or ratio not in (1, -1):
        return None
    pairs = zip(reversed(first.factors), reversed(second.factors), strict=False)
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    common = min(common, len(first.factors) - 1, len(second.factors) - 1)
    tail = first.factors[len(first.factors) - common :]
    if not any(factor.has(Change) for factor in tail) or (atomic and tail[0].has(Change)):
        return None
    fronts = [term.factors[: len(term.factors) - common] for term in (first, second)]
    head: tuple[Any, ...] = ()
    if is_number(sp.MatMul(*first.factors)) or first.traced:  # the gradient is what stands in front, transposed
        whole = flip(_difference([flipped(front) for front in fronts], ratio, first.coefficient))
    else:
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*fronts, strict=False)))
        shared = min(shared, *(len(front) - 1 for front in fronts))
        head = fronts[0][:shared]
        whole = _difference([front[shared:] for front in fronts], ratio, first.coefficient)
    positive = first if ratio == 1 or not _is_negative(first) else second
    return replace(first, coefficient=positive.coefficient, factors=(*head, whole, *tail))


def _difference(products: Sequence[Sequence[Any]], ratio: Any, coefficient: Any) -> Any:
    """The sum or difference of two products, what is added in front."""
    first, second = (product(sp.S.One, factors) for factors in products)
    if ratio == 1:
        return total([first, second])
    if coefficient.as_coeff_Mul()[0].is_negative:
        first, second = second, first
    return total([first, product(sp.S.NegativeOne, flat(second)[1])])


def _is_negative(term: Term) -> bool:
    return bool(term.coefficient.as_coeff_Mul()[0].is_negative)
