"""In which order the rules of differentials and the moves of gradients are carried out: the course of a derivation.

From the outside inwards: one rule at all places like the first, then the moves that bring each term into the form
``tr(G^T dE)``, then the next rule. What is also part of something else waits, so that both can be collected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symdescent.derivation.matrices.collecting import bracketed, collected, rotated_alike
from symdescent.derivation.matrices.expansion import LINEAR, Differentials, Expansion
from symdescent.derivation.matrices.gradient_form import (
    BRACKET,
    SETTLE,
    Move,
    final_move,
    final_vector,
    move,
    spliced,
)
from symdescent.derivation.matrices.rules import rule
from symdescent.derivation.matrices.terms import Term
from symdescent.derivation.steps import Said
from symdescent.derivation.symbols import Change
from symdescent.errors import UnsupportedError


@dataclass(frozen=True, slots=True)
class Operation:
    """A rule or a move at one place, and the terms after it; those of one `kind` make one line in normal detail."""

    kind: tuple[int, str]
    rules: tuple[Said, ...]
    terms: tuple[Term, ...]
    remarks: tuple[Said, ...] = ()
    conditions: tuple[Any, ...] = ()


@dataclass
class Course:
    """The way from ``d(statement)`` to terms that hold the parameter's own differential only."""

    by: Differentials
    terms: list[Term]
    scalar: bool = True
    round: int = 0

    def operations(self) -> Iterator[Operation]:
        """All operations, in order."""
        yield from self.settled()
        while pending := self.pending():
            self.round += 1
            yield from self.expanded()
            yield from self.settled()
            if self.pending() == pending:
                raise UnsupportedError(f"the differential of {pending[0]} cannot be carried out in matrix notation")
        self.round += 1
        yield from self.moved(lambda term: final_move(term, self.by.parameter) if self.scalar else final_vector(term))
        yield from self.collected()
        yield from self.bracketed(True)

    # -- rules ------------------------------------------------------------------------------------------------------

    def pending(self) -> list[Any]:
        """What differentials are still to be carried out of."""
        changes = [change for term in self.terms for change in term.parts[1].atoms(Change)]
        return list(dict.fromkeys(change.arg for change in changes if change.arg != self.by.parameter))

    def expanded(self) -> Iterator[Operation]:
        """Linear rules as far as they go; or one other rule, at all places like the first."""
        kind = None
        while free := self.free():
            kinds = {inside: rule(self.by, inside).kind for inside in free}
            if kind is None:
                kind = LINEAR if LINEAR in kinds.values() else kinds[free[0]]
            chosen = sorted((each for each in free if kinds[each] == kind), key=self.by.depends)  # constants first
            for inside in chosen:
                yield from self.carried_out(inside, kind)
            if kind != LINEAR:
                for inside in self.pending():
                    if isinstance(inside, sp.Transpose):
                        yield from self.carried_out(inside, kind)
            if kind != LINEAR or not chosen:
                return

    def free(self) -> list[Any]:
        """What is pending, is not part of something else that is pending, and can be taken out of its factor."""
        pending = self.pending()
        opened = {inside: self.by.opened(inside) for inside in pending}
        alone = {change.arg for term in self.terms if (change := _change(term)) is not None}
        within = {change.arg for term in self.terms if (change := _change(term, True)) is not None}
        reached = [each for each in pending if each in alone or (each in within and rule(self.by, each).kind == LINEAR)]
        waiting = {inside for inside in pending if any(_is_part(opened[inside], opened[each]) for each in pending)}
        return [inside for inside in reached if inside not in waiting or not self.by.depends(inside)]

    def carried_out(self, inside: Any, kind: str) -> Iterator[Operation]:
        """The rule for one differential, at each term that holds it."""
        expansion = rule(self.by, inside)
        place = 0
        while place < len(self.terms):
            term = self.terms[place]
            change = _change(term, kind == LINEAR)
            if change is None or change.arg != inside:
                place += 1
                continue
            pieces = [spliced(term, piece, self.scalar) for piece in expansion.pieces]
            self.terms[place : place + 1] = pieces
            place += len(pieces)
            yield self.operation(kind, expansion)

    def operation(self, kind: str, made: Expansion | Move | str) -> Operation:
        """A record of what was done last."""
        key = (self.round, kind)
        if isinstance(made, Expansion):
            return Operation(key, made.rules, tuple(self.terms), made.remarks, made.conditions)
        return Operation(key, (Said(made.rule if isinstance(made, Move) else made),), tuple(self.terms))

    # -- moves ------------------------------------------------------------------------------------------------------

    def settled(self) -> Iterator[Operation]:
        """All moves that rules and reading ask for, and terms collected."""
        yield from self.moved(lambda term: move(term, self.scalar))
        for place, found in list(rotated_alike(self.terms)):
            self.terms[place] = found.term
            yield self.operation(found.kind, found)
        yield from self.collected()
        if self.pending():
            yield from self.bracketed(False)

    def moved(self, next_move: Callable[[Term], Move | None]) -> Iterator[Operation]:
        """Moves of all terms, like ones together."""
        while True:
            found = {place: made for place, term in enumerate(self.terms) if (made := next_move(term)) is not None}
            if not found:
                return
            first = next(iter(found.values())).rule
            for place, made in found.items():
                if made.rule == first:
                    self.terms[place] = made.term
                    yield self.operation(made.kind, made)

    def collected(self) -> Iterator[Operation]:
        """Like terms as one."""
        shorter = collected(self.terms)
        if len(shorter) < len(self.terms):
            self.terms = shorter
            yield self.operation(SETTLE, "collect")

    def bracketed(self, atomic: bool) -> Iterator[Operation]:
        """Terms with common factors at the end as one."""
        while (shorter := bracketed(self.terms, atomic)) is not None:
            self.terms = shorter
            yield self.operation(BRACKET, "collect")


def _is_part(part: Any, whole: Any) -> bool:
    """Whether an expression is a part of another one (SymPy's `has` also finds factors that are not neighbours)."""
    return part != whole and any(each == part for each in sp.preorder_traversal(whole))


def _change(term: Term, within: bool = False) -> Any:
    """The differential of a term where it stands alone or transposed (or `within` an elementwise product), or None."""
    place = term.parts[1]
    inside = place.arg if isinstance(place, sp.Transpose) else place
    inside = inside.args[-1] if within and isinstance(inside, sp.HadamardProduct) else inside
    return inside if isinstance(inside, Change) else None
