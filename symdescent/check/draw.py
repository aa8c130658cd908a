"""Drawing a small random instance of a statement: points, data and extents, from what is assumed of the symbols."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import sympy as sp

from symdescent.binding import Binder, Bound, as_mapping, look_up
from symdescent.check.evaluate import evaluate
from symdescent.errors import DataError
from symdescent.graph import Node
from symdescent.statement import Statement, name_of

_LENGTHS = (5, 3, 4, 6, 7, 2)
_SPREADS: tuple[tuple[float, float], ...] = (
    (-1.5, 1.5),
    (0.2, 0.9),
    (0.5, 2.0),
    (1.1, 3.0),
    (-0.4, 0.4),
    (-2.0, -0.2),
    (3.0, 12.0),
    (-12.0, -3.0),
)


def instances(
    statement: Statement, seed: int = 0, at: Any = None, data: Any = None, attempts: int = 48
) -> Iterator[Bound]:
    """Yield random instances at which the loss is finite; what is given in `at` and `data` is kept."""
    binder = Binder(statement)
    random = np.random.default_rng(seed)
    for attempt in range(attempts):
        low, high = _SPREADS[(attempt // 2) % len(_SPREADS)]
        try:
            bound = draw_once(binder, at, data, (low, high), random, attempt)
        except DataError:
            if at is not None or data is not None:
                raise
            continue
        if np.isfinite(value_at(statement, bound)):
            yield bound


def draw(statement: Statement, seed: int = 0, at: Any = None, data: Any = None) -> Bound:
    """The first random instance with a finite loss; the given values as they are if they are complete."""
    if at is not None and (data is not None or not needs_data(statement)):
        return Binder(statement).bind(at, data)
    found = next(instances(statement, seed, at, data), None)
    if found is None:
        raise DataError(
            "no random point was found at which the loss is finite: give one, as in check(at={…}, data={…}), or "
            "declare what is known of the symbols (positive=True, …)"
        )
    return found


def needs_data(statement: Statement) -> bool:
    """Whether the loss has anything besides its parameters."""
    return bool(statement.samples or statement.constants)


def symbol_values(statement: Statement, bound: Bound) -> dict[Any, Any]:
    """The values of all symbols, for the evaluator."""
    return {**bound.parameters, **bound.data, **bound.extents}


def value_at(statement: Statement, bound: Bound, changed: Mapping[Any, Any] | None = None) -> Any:
    """The loss, evaluated from its statement; parameters may be replaced by other values or by dual numbers."""
    values = {**symbol_values(statement, bound), **(changed or {})}
    if statement.sample_count is not None:
        values.pop(statement.sample_count, None)
    return evaluate(
        statement.expression,
        values,
        first_index=statement.first_index,
        samples=statement.samples,
        reduction=statement.reduction,
    )


def draw_once(binder: Binder, at: Any, data: Any, spread: tuple[float, float], random: Any, attempt: int) -> Bound:
    """One instance, finite or not: what is given is kept, the rest drawn from a range, with lengths by the attempt."""
    statement = binder.statement
    given_at = {} if at is None else as_mapping(at, statement.parameters, "parameters")
    given_data = {} if data is None else as_mapping(data, (), "data")
    arrays = [
        *statement.parameters,
        *statement.samples,
        *(c for c in statement.constants if c not in statement.extents),
    ]
    own = set(statement.parameters)
    found = {thing: look_up(thing, given_at if thing in own else given_data) for thing in arrays}
    known = {thing: binder.value(thing, {thing: value}, "data") for thing, value in found.items() if value is not None}
    extents = binder.extents(known, given_data, partial=True)
    turn, more = attempt % len(_LENGTHS), 4 * (attempt // len(_LENGTHS))  # longer where constant positions reach far
    lengths = itertools.cycle([length + more for length in _LENGTHS[turn:] + _LENGTHS[:turn]])
    symbols = sorted(statement.extents | ({statement.sample_count} if statement.sample_count else set()), key=name_of)
    for symbol, length in zip(symbols, lengths, strict=False):
        extents.setdefault(symbol, length)
    values: dict[Any, Any] = dict(known)
    for thing in sorted(arrays, key=lambda thing: thing in statement.lowering.index_arrays):
        if thing not in values:
            shape = _shape(binder, thing, values, extents)
            if thing in statement.lowering.index_arrays:
                low, high = _positions(binder, thing, values, extents)
                values[thing] = random.integers(low, high + 1, shape)
            else:
                values[thing] = _within(thing, np.round(random.uniform(*spread, shape), 3))
    parameters = {thing: values[thing] for thing in statement.parameters}
    rest = {thing: values[thing] for thing in arrays if thing not in own}
    return binder.bind(parameters, {**rest, **{symbol: extents[symbol] for symbol in statement.extents}})


def _shape(binder: Binder, thing: Any, values: Mapping[Any, Any], extents: Mapping[sp.Symbol, int]) -> tuple[int, ...]:
    """The declared shape of an array, or one that is large enough for every use."""
    rank = binder.rank(thing)
    declared = binder.statement.shape(thing)
    if rank and declared is not None:
        lengths = [sp.sympify(sp.sympify(length).xreplace(dict(extents))) for length in declared]
        if all(length.is_Integer and length >= 0 for length in lengths):
            return tuple(map(int, lengths))
    reached = [1] * rank
    for load in binder.loads:
        if load.payload == thing:
            for axis, place in enumerate(load.args):
                span = (
                    (0, 3) if any(part.op == "load" for part in _below(place)) else binder.reach(place, values, extents)
                )
                reached[axis] = max(reached[axis], (span[1] if span else 0) + 1)
    return tuple(reached)


def _positions(
    binder: Binder, thing: Any, values: Mapping[Any, Any], extents: Mapping[sp.Symbol, int]
) -> tuple[int, int]:
    """The values that an array of positions may take, so that all uses stay in range."""
    low, high = 0, 10**6
    for load in binder.loads:
        for axis, place in enumerate(load.args):
            inner = [part for part in _below(place) if part.op == "load" and part.payload == thing]
            if inner and load.payload in values:
                offset = sum(int(term.number or 0) for term in place.args) if place.op == "add" else 0
                low, high = max(low, -offset), min(high, np.shape(values[load.payload])[axis] - 1 - offset)
    return low, max(low, high if high < 10**6 else low + 2)


def _below(node: Node) -> list[Node]:
    found, pending = [], [node]
    while pending:
        part = pending.pop()
        found.append(part)
        pending.extend(part.args)
    return found


def _within(thing: Any, numbers: Any) -> Any:
    """Move numbers to where the symbol's assumptions hold."""
    label = thing.label if isinstance(thing, sp.IndexedBase) else thing
    sizes = np.abs(numbers) + 0.1
    if getattr(label, "is_positive", False) or getattr(label, "is_nonnegative", False):
        numbers = sizes
    elif getattr(label, "is_negative", False) or getattr(label, "is_nonpositive", False):
        numbers = -sizes
    if getattr(label, "is_integer", False):
        numbers = np.round(numbers * 3)
    return numbers if np.ndim(numbers) else float(numbers)
