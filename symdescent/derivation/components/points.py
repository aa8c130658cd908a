"""Where the lines of a derivation are compared: random instances of the statement, in the numbers of mpmath."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from symdescent.binding import Binder
from symdescent.check.draw import draw_once, instances, symbol_values
from symdescent.derivation.components.numeric import WORKING, OutsideError, UndefinedError, Walk, agree, value_of
from symdescent.derivation.components.stated import Stated
from symdescent.derivation.matrices.numeric import MatrixWalk
from symdescent.errors import DataError, UnsupportedError, VerificationError

POINTS = 2


class Witness:
    """Compares the lines of one derivation with each other at random points."""

    def __init__(
        self, stated: Stated, entries: Sequence[Any], start: Any, definitions: Mapping[Any, Any], seed: int = 7
    ) -> None:
        self.walks: list[Walk] = []
        self.values: list[Any] = []
        random = np.random.default_rng(seed)
        wanted = POINTS + any(isinstance(entry, sp.Indexed) for entry in entries)  # an array's ends, and between
        for bound, real in _instances(stated.statement, seed):
            walk = Walk(_values(stated, bound), stated.statement.first_index, definitions, real)
            for entry in entries:
                walk.values |= _keys(walk, entry, len(self.walks), random)
            try:
                value = value_of(start, walk)
            except UndefinedError:
                continue
            self.walks.append(walk)
            self.values.append(value)
            if len(self.walks) == wanted:
                break

        if not self.walks:
            raise DataError(
                "no random point was found at which the derivative exists, so that no step could be checked: declare "
                "what is known of the symbols (positive=True, …)"
            )

    def check(self, line: Any, rule: str) -> None:
        """Raise VerificationError where a line has another value than the first one, or none at all points."""
        undefined: list[UndefinedError] = []
        for walk, expected in zip(self.walks, self.values, strict=True):
            try:
                found = value_of(line, walk)
            except OutsideError as error:
                raise _contradiction(rule, line, f"it reads outside of an array ({error})") from error
            except UndefinedError as error:  # SymPy may evaluate a condition where the one before it did not hold
                undefined.append(error)
                continue
            if not agree(found, expected, 1):
                raise _contradiction(rule, line, f"{mp.nstr(found, 15)} instead of {mp.nstr(expected, 15)}")
        if len(undefined) == len(self.walks):
            raise UnsupportedError(
                f"the step {rule!r} of the derivation leads to {str(line)[:300]}, which has no value where the line "
                "before it has one, so that it cannot be checked: simplify the statement"
            )

    def check_part(self, before: Any, after: Any, limits: Sequence[Any], rule: str) -> bool:
        """The same for one part of a line, within sums over `limits`; whether there was a point to compare at."""
        compared = False
        for walk in self.walks:
            try:
                with _inside(walk, limits):
                    left, right = value_of(before, walk), value_of(after, walk)
            except UndefinedError:
                continue
            compared = True
            if not agree(left, right, 1):
                raise _contradiction(rule, after, f"{mp.nstr(right, 15)} instead of {mp.nstr(left, 15)}")
        return compared

    def check_matrix(self, line: Any, matrix: Any, entry: Any) -> None:
        """Raise VerificationError where a matrix does not have the line as its entry at the indices of an entry."""
        row, column = (*entry.indices, sp.S.Zero)[:2]
        for walk in self.walks:
            rows = {thing: _as_rows(value) for thing, value in walk.values.items()}
            with mp.workdps(WORKING):
                found = MatrixWalk(rows, {}).rows(matrix)[walk.number(row)][walk.number(column)]
            expected = value_of(line, walk)
            if not agree(found, expected, 1):
                raise _contradiction("matrix form", matrix, f"{mp.nstr(found, 15)} instead of {mp.nstr(expected, 15)}")


def _as_rows(value: Any) -> Any:
    """A column vector as a matrix with one column."""
    if isinstance(value, list) and value and not isinstance(value[0], list):
        return [[entry] for entry in value]
    return value


@contextmanager
def _inside(walk: Walk, limits: Sequence[Any]) -> Iterator[None]:
    """Give the dummies of sums values in the middle of their ranges."""
    if not limits:
        yield
        return
    symbol, first, last = limits[0]
    number = (walk.number(first) + walk.number(last) + 1) // 2
    with walk.bound(symbol, mp.mpf(number)), _inside(walk, limits[1:]):
        yield


def _instances(statement: Any, seed: int) -> Iterator[tuple[Any, bool]]:
    """Points in the real domain; where there are none, any points, for complex values."""
    found = False
    for bound in instances(statement, seed):
        found = True
        yield bound, True
    if not found:
        random = np.random.default_rng(seed)
        for attempt in range(12):
            try:
                bound = draw_once(Binder(statement), None, None, (0.2, 0.9), random, attempt)
            except DataError:  # too short for the positions that are used
                continue
            yield bound, False


def _contradiction(rule: str, line: Any, what: str) -> VerificationError:
    return VerificationError(
        f"the step {rule!r} of the derivation leads to {str(line)[:300]}, which contradicts the line before it at a "
        f"random point: {what}; this is a defect, please report it"
    )


def _values(stated: Stated, bound: Any) -> dict[Any, Any]:
    values = {thing: _numbers(value) for thing, value in symbol_values(stated.statement, bound).items()}
    others = [*stated.statement.arrays.items(), *stated.arrays.items()]  # the same, stacked or in index notation
    return values | {base: values[thing] for thing, base in others if thing in values}


def _numbers(value: Any) -> Any:
    if np.ndim(value):
        return [_numbers(part) for part in value]
    return mp.mpf(value.item() if hasattr(value, "item") else value)


def _keys(walk: Walk, variable: Any, point: int, random: Any) -> dict[Any, Any]:
    """Values for the free indices of the entry that is differentiated by: the first, the last, then any."""
    if not isinstance(variable, sp.Indexed):
        return {}
    row, found = walk.values[variable.base], {}
    for place in variable.indices:
        number = (0, len(row) - 1, int(random.integers(len(row))))[min(point, 2)]
        found[place] = mp.mpf(number + walk.first)
        row = row[number]
    return found
