"""Numbers that a user chooses, checked: finite, in their range, whole where they count."""

from __future__ import annotations

import math
from typing import Any

import sympy as sp

from symdescent.errors import StatementError


def real(value: Any) -> float:
    """A number as a float; NaN for what is no real number."""
    try:
        return math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def in_range(number: float, bounds: sp.Interval, said: str, advice: str) -> float:
    """The number; `StatementError` where it is not finite or outside of the interval: `said` names it."""
    if not (math.isfinite(number) and sp.Float(number) in bounds):
        raise StatementError(f"{said} is not a number in {sp.pretty(bounds, use_unicode=True)}: {advice}")
    return number


def whole(name: str, value: Any, least: int) -> int:
    """A whole number from `least` on; `StatementError` for anything else."""
    number = real(value)
    if not (least <= number < 2**53 and number == int(number)):
        raise StatementError(f"{name} = {value!s:.80} is not a count: give a whole number from {least} on")
    return int(number)
