"""The slider of a hyperparameter, made from its record: the range it must lie in, and its value."""

from __future__ import annotations

import math
from typing import Any

from symdescent.optimizers import Hyperparameter


def slider(each: Hyperparameter) -> dict[str, Any]:
    """Where a slider begins and ends, and how it is divided.

    ``scale`` is "log", "linear", or "near one" (the distance from 1 is divided logarithmically). ``least`` and ``most``
    are the ends of the record's range (None where it has none), ``open`` says which of them are excluded.
    """
    low, high, value = float(each.range.start), float(each.range.end), float(each.value)
    scale, first, last = _extent(low, high, value)
    return {
        "value": value,
        "scale": scale,
        "first": first,
        "last": last,
        "least": low if math.isfinite(low) else None,
        "most": high if math.isfinite(high) else None,
        "open": [bool(each.range.left_open), bool(each.range.right_open)],
    }


def _extent(low: float, high: float, value: float) -> tuple[str, float, float]:
    if low == 0 and math.isinf(high) and value > 0:
        return "log", value * 1e-3, value * 1e2
    if (low, high) == (0.0, 1.0):
        return ("near one", 0.0, 0.9999) if value >= 0.95 else ("linear", 0.0, 0.99)
    width = max(1.0, abs(value)) * 5
    first = low if math.isfinite(low) else min(value - width, high - width)
    last = high if math.isfinite(high) else max(value, first) + width
    return "linear", first, last


__all__ = ["slider"]
