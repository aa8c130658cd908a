"""Critical points, marked by their kind."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import sympy as sp

from symdescent.check.evaluate import evaluate
from symdescent.errors import SymdescentError
from symdescent.plots.canvas import halo
from symdescent.plots.ground import Ground

MARKS = {
    "minimum": ("v", "white", "minimum"),
    "maximum": ("^", "white", "maximum"),
    "saddle": ("X", "white", "saddle"),
    "undecided": ("d", "white", "critical, undecided"),
}
PERIODS = 6  # of families that repeat, how many to each side are looked at


def draw_critical(ax: Any, ground: Ground, area: Any) -> None:
    """Mark the critical points inside a box: ▼ minima, ▲ maxima, ✕ saddles, ♦ what is undecided."""
    found = list(places(ground))
    for kind, (marker, inner, name) in MARKS.items():
        points = [p for k, p in found if k == kind and _inside(p, area)]
        if points:
            ax.plot(
                *np.array(points).T[:2], linestyle="none", marker=marker, markersize=8, markerfacecolor=inner,
                markeredgecolor="black", markeredgewidth=1.3, zorder=8, label=name, path_effects=halo(2),
            )  # fmt: skip


def places(ground: Ground) -> Iterator[tuple[str, Any]]:
    """The kind and the place of each critical point that is a number, with the data filled in.

    Of families with whole numbers in them, those near zero; what is not a single point is left out.
    """
    for point in ground.loss.critical_points():
        if point.free or point.conditions:
            continue
        for numbers in itertools.product(range(-PERIODS, PERIODS + 1), repeat=len(point.integers)):
            filled = dict(zip(point.integers, map(sp.Integer, numbers), strict=True))
            values = [_number(value.xreplace(filled), ground) for value in map(sp.sympify, point.point.values())]
            if len(values) == ground.size and np.isfinite(values).all():
                yield point.kind, np.array(values)


def _number(value: Any, ground: Ground) -> float:
    """A coordinate as a number, with the data of the loss in the place of their symbols; NaN if that is not one."""
    if not value.free_symbols:
        return float(value.evalf()) if value.is_real is not False else float("nan")
    arrays = {ground.statement.arrays.get(thing, thing): each for thing, each in ground.bound.data.items()}
    try:
        return float(evaluate(value, {**arrays, **ground.bound.extents}))
    except (SymdescentError, TypeError, ValueError):
        return float("nan")


def _inside(point: Any, area: Any) -> bool:
    return all(low <= c <= high for c, (low, high) in zip(point, area, strict=False))
