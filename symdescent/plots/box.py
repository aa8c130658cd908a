"""Where to look: a box around a path, or around the lowest place that a coarse search finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy as sp

from symdescent.binding import look_up
from symdescent.errors import StatementError
from symdescent.plots.ground import Ground, Subject
from symdescent.statement import name_of

Box = tuple[tuple[float, float], ...]
FAR = 1000.0  # how far from zero a lowest place is looked for


def choose(drawn: Subject, given: Any = None) -> Box:
    """The box that was given, or a sensible one: around the paths, of the landscape, or around the lowest place."""
    ground = drawn.ground
    if given is not None:
        return checked(ground, given)
    if drawn.descents:
        paths = [_within_reach(each.history["loss"], way) for each, way in zip(drawn.descents.values(),
                 drawn.paths().values(), strict=True)]  # fmt: skip
        points = [*paths]
        if drawn.landscape is not None and drawn.landscape.minima:
            points.append(np.array(drawn.landscape.minima)[:, : ground.size])
        return around(np.concatenate(points))
    if drawn.landscape is not None and len(drawn.landscape.box) == ground.size:
        return drawn.landscape.box
    return search(ground)


def checked(ground: Ground, given: Any) -> Box:
    """A box as pairs (from, to) in the order of the parameters, or by their names."""
    if isinstance(given, Mapping):
        pairs = [look_up(p, given) for p in ground.statement.parameters]
        missing = [name_of(p) for p, pair in zip(ground.statement.parameters, pairs, strict=True) if pair is None]
        if missing:
            raise StatementError(f"box= says nothing of {missing[0]}: give {{{missing[0]!r}: (from, to), …}}")
    else:
        pairs = [given] if ground.size == 1 and np.ndim(given) == 1 else list(given)
    box = tuple((float(low), float(high)) for low, high in (_pair(pair) for pair in pairs))
    if len(box) != ground.size:
        raise StatementError(f"box= has {len(box)} pairs, and the loss {ground.size} parameters: give one for each")
    for low, high in box:
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise StatementError(f"box= holds ({low:g}, {high:g}): give a finite (from, to) with from < to")
    return box


def _pair(pair: Any) -> tuple[Any, Any]:
    if np.shape(pair) != (2,):
        raise StatementError(f"box= holds {pair!r}, which is no pair (from, to)")
    return pair[0], pair[1]


def around(points: Any, margin: float = 0.22) -> Box:
    """A box around points, with a margin; a side on which they hardly differ gets a third of the longest one."""
    points = np.asarray(points, dtype=float)
    points = points[np.isfinite(points).all(axis=1)]
    low, high = points.min(axis=0), points.max(axis=0)
    width, middle = high - low, (high + low) / 2
    least = np.maximum(width.max(initial=0.0) / 3, 1e-3 * np.maximum(1.0, np.abs(middle)))
    half = np.maximum(width, least) * (0.5 + margin)
    return tuple((float(m - h), float(m + h)) for m, h in zip(middle, half, strict=True))


def _within_reach(losses: Any, points: Any) -> Any:
    """The part of a path that is worth a picture: of one that runs away, only how it begins to."""
    count = min(len(losses), len(points))
    losses, points = losses[:count], points[:count]
    first = losses[0]
    far = ~np.isfinite(losses) | (losses > first + 20.0 * max(abs(first), 1e-9)) | ~np.isfinite(points).all(axis=1)
    stop = int(np.argmax(far)) + 1 if far.any() else count
    kept = points[: max(1, stop)]
    kept = kept[np.isfinite(kept).all(axis=1)]
    return kept if len(kept) else np.zeros((1, points.shape[1]))


def search(ground: Ground) -> Box:
    """A box that shows zero, and the lowest place that grids of growing fineness find within 1000 of it.

    Where the loss falls without end, -2 to 2.
    """
    if ground.size > 2:
        raise StatementError(f"the loss has {ground.size} parameters: say where to look, with at= or box=")
    grid = np.linspace(-1.0, 1.0, 33 if ground.size == 2 else 401)
    best, center, reach = np.inf, np.zeros(ground.size), 0.0
    for radius in (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, FAR):
        value, found = _lowest(ground, np.zeros(ground.size), np.full(ground.size, radius), grid)
        if value < best - 1e-9 * abs(best) - 1e-12 or not np.isfinite(best):
            best, center, reach = value, found, radius
    if not np.isfinite(best) or (reach == FAR and np.abs(center).max() > 0.98 * FAR):
        center = np.zeros(ground.size)
        half = np.full(ground.size, 2.0)
    else:
        width = np.full(ground.size, reach / 4)
        for _ in range(24):
            value, found = _lowest(ground, center, width, grid)
            best, center = (value, found) if value < best else (best, center)
            width = width / 2
        half = 1.6 * np.maximum(1.0, np.abs(center))
    return _in_domain(ground, [(float(c - h), float(c + h)) for c, h in zip(center, half, strict=True)])


def _lowest(ground: Ground, center: Any, width: Any, grid: Any) -> tuple[float, Any]:
    values = ground.on_grid(*(c + w * grid for c, w in zip(center, width, strict=True)))
    if not np.isfinite(values).any():
        return np.inf, center
    place = np.unravel_index(int(np.nanargmin(values)), values.shape)
    places = place[::-1] if ground.size == 2 else place
    return float(values[place]), np.array([c + w * grid[k] for c, w, k in zip(center, width, places, strict=True)])


def _in_domain(ground: Ground, box: list[tuple[float, float]]) -> Box:
    """A box without what the symbols are assumed not to be."""
    found = []
    for (low, high), parameter in zip(box, ground.statement.parameters, strict=False):
        if isinstance(parameter, sp.Symbol):
            if parameter.is_nonnegative and low < 0 < high:
                low = 1e-3 * high
            if parameter.is_nonpositive and low < 0 < high:
                high = 1e-3 * low
        found.append((low, high))
    return tuple(found) if len(found) == len(box) else tuple(box)
