"""What the rules of differentials are handed, and what they make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from symdescent.derivation.steps import Said

LINEAR = "linear"


@dataclass(frozen=True, slots=True)
class Piece:
    """One term of a differential: ``coefficient * A_1 ... A_k``, its trace, or times the differential of a scalar."""

    coefficient: Any
    factors: tuple[Any, ...]
    traced: bool = False
    scalar: Any = None


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a rule makes of a differential. `kind` names places that are treated alike in one line."""

    rules: tuple[Said, ...]
    pieces: tuple[Piece, ...]
    kind: str = LINEAR
    remarks: tuple[Said, ...] = ()
    conditions: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Differentials:
    """By what is differentiated; what abbreviations stand for; and the variable that elementwise functions have."""

    parameter: Any
    variable: Any
    kinks: str = "min-norm"
    definitions: Mapping[Any, Any] = field(default_factory=dict)

    def depends(self, expression: Any) -> bool:
        """Whether an expression changes with the parameter."""
        return any(
            symbol == self.parameter or (symbol in self.definitions and self.depends(self.definitions[symbol]))
            for symbol in expression.free_symbols
        )

    def opened(self, expression: Any) -> Any:
        """The expression with abbreviations replaced by what they stand for."""
        known = {symbol: self.definitions[symbol] for symbol in expression.free_symbols & set(self.definitions)}
        return self.opened(expression.xreplace(known)) if known else expression


def single(key: str, *factors: Any, coefficient: Any = sp.S.One, **more: Any) -> Expansion:
    """A differential that is a single product."""
    return Expansion((Said(key),), (Piece(coefficient, factors),), **more)
