"""Numbers to try a program with: a small random instance of the loss, rounded."""

from __future__ import annotations

from typing import Any

import numpy as np

from symdescent.binding import Bound
from symdescent.check.draw import instances, value_at
from symdescent.errors import DataError
from symdescent.statement import Statement


def example(statement: Statement) -> dict[Any, Any] | None:
    """Values for parameters, data and extents at which the loss is finite; None where none were found."""
    for bound in instances(statement):
        rounded = _rounded(bound)
        try:
            finite = np.isfinite(value_at(statement, rounded))
        except (DataError, ArithmeticError, ValueError):
            finite = False
        chosen = rounded if finite else bound
        return {**chosen.parameters, **chosen.data, **chosen.extents}
    return None


def _rounded(bound: Bound) -> Bound:
    def short(value: Any) -> Any:
        array = np.asarray(value)
        if array.dtype.kind != "f":
            return value
        return np.round(array, 3) if array.ndim else float(np.round(array, 3))

    return Bound(
        {p: short(value) for p, value in bound.parameters.items()},
        {p: short(value) for p, value in bound.data.items()},
        bound.extents,
    )


__all__ = ["example"]
