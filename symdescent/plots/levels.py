"""Levels of contours, and heights of surfaces: even where a loss spans little, in powers where it spans much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

WIDE = 50.0  # from how many times its smallest excess on a loss is told in powers


@dataclass(frozen=True, slots=True)
class Levels:
    """Increasing levels, and the lowest value that they are counted from; `wide` if they grow in powers."""

    values: Any
    lowest: float
    wide: bool


def levels(values: Any, count: int = 14, lowest: float | None = None) -> Levels:
    """Levels for the finite ones of an array of losses.

    Where the largest is more than 50 times as far from the lowest as a typical small one, levels stand 1, 3, 10, 30, …
    above the lowest, else in even steps of round numbers.

    >>> levels(np.linspace(0.0, 7.0, 100), 8).values
    array([0., 1., 2., 3., 4., 5., 6., 7.])
    >>> levels(np.geomspace(1e-3, 1e3, 100)).values
    array([3.e-03, 1.e-02, 3.e-02, 1.e-01, 3.e-01, 1.e+00, 3.e+00, 1.e+01,
           3.e+01, 1.e+02, 3.e+02, 1.e+03])
    """
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return Levels(np.array([0.0, 1.0]), 0.0, False)
    low = float(finite.min()) if lowest is None else min(float(lowest), float(finite.min()))
    span = float(finite.max()) - low
    if span <= 1e-12 * max(1.0, abs(low)):
        return Levels(np.array([low, low + max(1.0, abs(low))]), low, False)
    if abs(low) < 1e-3 * span and low >= 0:
        low = 0.0
    excess = finite - low
    small, usual = (float(each) for each in np.quantile(excess[excess > 0], (0.008, 0.02)))
    if float(excess.max()) / usual <= WIDE:
        return Levels(_even(low, low + span, count), low, False)
    return Levels(_above(low, _ladder(small, float(excess.max()), count)), low, True)


def _even(low: float, high: float, count: int) -> Any:
    """About so many round numbers from low to high."""
    rough = (high - low) / max(count - 1, 1)
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return np.arange(first, last + 1) * step + 0.0  # no -0


def _above(low: float, ladder: Any) -> Any:
    """The steps of a ladder above the lowest loss, rounded to as many digits as the step has: 0.392 to 0.39."""
    digits = -np.floor(np.log10(ladder)).astype(int)
    return np.unique([round(low + float(step), int(places)) for step, places in zip(ladder, digits, strict=True)])


def _ladder(low: float, high: float, count: int) -> Any:
    """The numbers 1·10^k and 3·10^k between low and high, or fewer, or more, so that there are about so many."""
    low = max(low, 1e-15 * high)  # what is nearer to the lowest loss is lost in rounding
    decades = np.log10(high / low)
    steps = (1.0, 2.0, 5.0) if decades * 3 <= count else (1.0, 3.0) if decades * 2 <= count else (1.0,)
    powers = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    powers = powers[:: max(1, int(np.ceil(len(powers) / count)))] if len(steps) == 1 else powers
    found = np.array([float(f"{step}e{int(power)}") for power in powers for step in steps])
    return found[(found >= low * (1 - 1e-9)) & (found <= high * (1 + 1e-9))]
