"""Where a descent is worth watching: a start, the ranges of the sliders, and learning rates that fit the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symdescent.binding import Binder, Bound
from symdescent.check.draw import instances, needs_data, value_at
from symdescent.compiled import CompiledLoss
from symdescent.errors import DataError, KinkError, StatementError
from symdescent.export.example import example
from symdescent.optimizers import AdaDelta, AdaGrad, Adam, GradientDescent, Momentum, RMSprop, UpdateRule
from symdescent.statement import Statement, name_of

Flat = Callable[[Any], tuple[float, Any]]
MOST_COORDINATES = 2000
MOST_NUMBERS = 200_000


@dataclass(frozen=True, slots=True)
class Setting:
    """A start with its data, the range that is shown of each coordinate, and the size of a first gradient step."""

    bound: Bound
    point: Any
    low: Any
    high: Any
    rate: float
    drawn: bool

    @property
    def reach(self) -> float:
        """Half of the width that is shown, the middle one of all coordinates."""
        return float(np.median(self.high - self.low)) / 2


def setting(compiled: CompiledLoss, start: Any, data: Any, ranges: Mapping[Any, Any] | None = None) -> Setting:
    """Bind what is given, choose what is not, and look around.

    Without data that the loss needs, a small random example is taken, and said to be one. Raises `DataError` where no
    finite start is found, or the page would grow too large.
    """
    bound, drawn = _bound(compiled, start, data)
    point = np.concatenate([np.ravel(np.asarray(value, dtype=float)) for value in bound.parameters.values()])
    if point.size > MOST_COORDINATES:
        raise DataError(
            f"the parameters have {point.size} entries, and the explorer shows at most {MOST_COORDINATES}: "
            "descend with loss.descend(…)"
        )
    compiled.evaluate(bound)  # which says what is wrong at the start
    flat = flattened(compiled, bound)
    with np.errstate(all="ignore"):
        value, slope = flat(point)
        if not (math.isfinite(value) and np.isfinite(slope).all()):
            raise DataError("the loss or its gradient is not finite at the start: give another one in start={…}")
        low, high = _ranges(compiled.statement, bound, _path(flat, point))
        rate = _rate(flat, point, (high - low) / 2)
    _chosen(ranges or {}, compiled.statement, bound, low, high)
    return Setting(bound, point, low, high, rate, drawn)


def flattened(compiled: CompiledLoss, bound: Bound) -> Flat:
    """Value and gradient on one flat vector; NaN at a kink of a loss that has no slope there."""
    shapes = {parameter: np.shape(value) for parameter, value in bound.parameters.items()}

    def call(x: Any) -> tuple[float, Any]:
        parts, place = {}, 0
        for parameter, shape in shapes.items():
            count = math.prod(shape)
            parts[parameter] = x[place : place + count].reshape(shape) if shape else float(x[place])
            place += count
        try:
            value, gradient = compiled.evaluate(Bound(parts, bound.data, bound.extents))
        except KinkError:
            return math.nan, np.full(x.shape, math.nan)
        return value, np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in gradient.values()])

    return call


def optimizers(given: Any, rate: float, reach: float) -> tuple[UpdateRule, ...]:
    """The rules that were given, or the family with learning rates that fit."""
    if given is None:
        return (
            GradientDescent(rate),
            Momentum(rate / 2 if rate > 0 else rate),
            Momentum(rate / 2, nesterov=True),
            AdaGrad(rounded(0.2 * reach)),
            AdaDelta(),
            RMSprop(rounded(0.02 * reach)),
            Adam(rounded(0.05 * reach)),
        )
    rules = (given,) if isinstance(given, UpdateRule) else tuple(given)
    for rule in rules:
        if not isinstance(rule, UpdateRule) or rule.program.searched is not None:
            raise StatementError(
                f"{rule} is no update rule with fixed steps, which the explorer could show: give optimizers=[…], such "
                "as GradientDescent(0.1), Adam(0.01) or a rule of your own"
            )
    if not rules:
        raise StatementError("optimizers=[] leaves nothing to descend with: give at least one, or leave it out")
    return rules


def coordinates(statement: Statement, bound: Bound) -> Iterator[tuple[str, Any]]:
    """Each entry of the parameters in the flat order: its name, and the formula that stands for it."""
    for parameter, value in bound.parameters.items():
        first = 0 if isinstance(parameter, sp.MatrixSymbol) else statement.first_index
        name = name_of(parameter)
        for entry in np.ndindex(np.shape(value)):
            shown = [place + first for place in entry]
            if not entry:
                yield name, parameter
            else:
                yield f"{name}[{', '.join(map(str, shown))}]", sp.IndexedBase(sp.Symbol(name))[tuple(shown)]


# -- the start --------------------------------------------------------------------------------------------------------


def _bound(compiled: CompiledLoss, start: Any, data: Any) -> tuple[Bound, bool]:
    statement = compiled.statement
    if data is None and needs_data(statement) and start is None:
        values = example(statement)
        if values is None:
            raise DataError("no data were given, and no random example was found: give start={…} and data={…}")
        return Binder(statement).bind(values, values), True
    if start is not None:
        return compiled.bind(start, data), False
    found = next(_starts(compiled, data), None)
    if found is None:
        raise DataError("no point was found at which the loss is finite: give one in start={…}")
    return found, False


def _starts(compiled: CompiledLoss, data: Any) -> Iterator[Bound]:
    """Points at which the loss is finite and not flat: simple ones first."""
    statement, binder = compiled.statement, compiled._binder
    shapes = binder.parameter_shapes(data)
    for number in (0.0, 1.0, 2.0, -1.0, 0.5):
        bound = binder.bind({p: np.full(shape, number) if shape else number for p, shape in shapes.items()}, data)
        with np.errstate(all="ignore"):
            value = value_at(statement, bound)
            slope = flattened(compiled, bound)(_vector(bound))[1] if math.isfinite(value) else np.array([math.nan])
        if np.isfinite(slope).all() and np.any(slope != 0):
            yield bound
    yield from instances(statement, data=data)


def _vector(bound: Bound) -> Any:
    return np.concatenate([np.ravel(np.asarray(value, dtype=float)) for value in bound.parameters.values()])


# -- ranges and rates -------------------------------------------------------------------------------------------------


def _path(flat: Flat, point: Any, steps: int = 1000) -> Any:
    """Points of a descent that never rises: steps are halved until the loss falls, and grow again."""
    path, step = [point], 1.0
    value, slope = flat(point)
    for _ in range(steps):
        square = float(slope @ slope)
        while step * math.sqrt(square) > 1e-9 * (1 + np.max(np.abs(point))):
            ahead = point - step * slope
            new, there = flat(ahead)
            if math.isfinite(new) and np.isfinite(there).all() and new <= value - 0.3 * step * square:
                break
            step /= 2
        else:
            break
        point, value, slope, step = ahead, new, there, 2 * step
        path.append(point)
    return np.array(path)


def _ranges(statement: Statement, bound: Bound, path: Any) -> tuple[Any, Any]:
    """A range around the end of a path for each coordinate, in which its start lies."""
    start, end = path[0], path[-1]
    size = 1 + np.abs(start)
    runaway = np.abs(end - start) > 100 * size
    centre = np.where(runaway, start, end)
    half = np.where(runaway, 5 * size, 1.35 * np.max(np.abs(path - centre), axis=0))
    half = np.maximum(half, 0.25 * np.max(half))
    half = np.where(half < 1e-6 * size, size, half)
    unit = 10.0 ** (np.floor(np.log10(half)) - 1)
    low, high = (
        np.round(np.floor((centre - half) / unit) * unit, 12),
        np.round(np.ceil((centre + half) / unit) * unit, 12),
    )
    place = 0
    for parameter, value in bound.parameters.items():
        part = slice(place, place + int(np.size(value)))
        if getattr(parameter, "is_nonnegative", False) or getattr(parameter, "is_positive", False):
            low[part] = np.maximum(low[part], unit[part] if parameter.is_positive else 0.0)
        if getattr(parameter, "is_nonpositive", False) or getattr(parameter, "is_negative", False):
            high[part] = np.minimum(high[part], -unit[part] if parameter.is_negative else 0.0)
        place = part.stop
    return low, high


def _chosen(ranges: Mapping[Any, Any], statement: Statement, bound: Bound, low: Any, high: Any) -> None:
    """The ranges that the user gives, for all entries of a parameter alike."""
    names = [name_of(parameter) for parameter in bound.parameters]
    known = {key if isinstance(key, str) else name_of(key): value for key, value in ranges.items()}
    place = 0
    for parameter, value in bound.parameters.items():
        part = slice(place, place + int(np.size(value)))
        place = part.stop
        if name_of(parameter) in known:
            given = known.pop(name_of(parameter))
            try:
                first, last = map(float, given)
            except (TypeError, ValueError):
                first = last = math.nan
            if not (math.isfinite(first) and math.isfinite(last) and first < last):
                raise StatementError(f"ranges={{{name_of(parameter)!r}: {given!r}}}: give (low, high) with low < high")
            low[part], high[part] = first, last
    if known:
        raise StatementError(f"ranges names {', '.join(known)}, but the parameters are {', '.join(names)}")


def _rate(flat: Flat, point: Any, half: Any) -> float:
    """A fifth of one over the largest curvature at the start, with one digit: a step that neither crawls nor jumps.

    The first step goes through a quarter of what is shown at most, `half` being half of the widths.
    """
    _, slope = flat(point)
    direction = slope / (np.linalg.norm(slope) or 1.0)
    largest = 0.0
    for _ in range(20):
        if not np.any(direction):
            break
        step = 1e-5 * (1 + np.max(np.abs(point)))
        _, ahead = flat(point + step * direction)
        change = (ahead - slope) / step
        largest = float(np.linalg.norm(change))
        if not math.isfinite(largest) or largest == 0.0:
            break
        direction = change / largest
    rate = 0.2 / largest if 1e-12 < largest < 1e12 else math.inf
    return rounded(min(rate, *(0.25 * half[slope != 0] / np.abs(slope[slope != 0])), math.inf))


def rounded(value: float) -> float:
    """A positive number with one significant digit."""
    return float(f"{value:.0e}") if value > 0 and math.isfinite(value) else 0.1
