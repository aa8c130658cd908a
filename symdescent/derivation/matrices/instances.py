"""Small random instances at which the lines of a derivation in matrix notation are compared with each other."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import mpmath as mp
import sympy as sp

from symdescent.derivation.components.numeric import STEP, WORKING, UndefinedError, Walk, agree
from symdescent.derivation.matrices.numeric import MatrixWalk, Rows, times
from symdescent.errors import UnsupportedError

SIZES = (3, 2, 4, 5, 6, 7)
RANGES = ((-1.2, 1.2), (0.15, 1.2), (0.02, 0.3), (1.1, 2.0))
"""Where entries are drawn from: in turn, until all lines have a real value."""


class Instances:
    """Random instances of a derivation, and lines compared with each other at them.

    `definitions` maps abbreviations to what they stand for; `lines` must all have a real value at an instance.
    """

    def __init__(self, parameter: Any, definitions: Mapping[Any, Any], lines: Sequence[Any], count: int = 2) -> None:
        self.parameter = parameter
        symbols = {symbol for line in (*lines, *definitions.values()) for symbol in line.free_symbols} | {parameter}
        self._symbols = sorted(symbols - set(definitions), key=str)
        self._definitions = definitions
        self.walks: list[MatrixWalk] = []
        with mp.workdps(WORKING):
            for attempt in range(6 * len(RANGES)):
                walk = self._drawn(attempt)
                if all(_is_defined(walk, line) for line in lines):
                    self.walks.append(walk)
                if len(self.walks) == count:
                    return
        if not self.walks:
            raise UnsupportedError(f"no random instance was found at which {lines[0]} and its differential are real")

    def _drawn(self, attempt: int) -> MatrixWalk:
        generator = random.Random(attempt)
        interval = RANGES[attempt % len(RANGES)]

        def number(low: float, high: float) -> Any:
            return low + (high - low) * mp.mpf(generator.getrandbits(200)) / 2**200

        arrays = [symbol for symbol in self._symbols if isinstance(symbol, sp.MatrixSymbol)]
        values = self._sizes(arrays, attempt)
        for symbol in self._symbols:
            if isinstance(symbol, sp.Symbol) and symbol not in values:
                low, high = (0.3, 1.6) if symbol.is_nonnegative else interval
                values[symbol] = mp.mpf(generator.randint(2, 4)) if symbol.is_integer else number(low, high)
        shapes = Walk(dict(values))
        for symbol in arrays:
            rows, columns = map(shapes.number, symbol.shape)
            values[symbol] = [[number(*interval) for _ in range(columns)] for _ in range(rows)]
        rows, columns = map(shapes.number, self.parameter.shape)
        direction = [[number(-1, 1) for _ in range(columns)] for _ in range(rows)]
        return self._with_neighbours(values, direction)

    def _sizes(self, arrays: Sequence[Any], attempt: int) -> dict[Any, Any]:
        """Lengths that differ, so that a transpose that is missing does not go unnoticed."""
        lengths = {symbol for array in arrays for length in array.shape for symbol in length.free_symbols}
        ordered = sorted(lengths, key=str)
        turned = SIZES[: max(3, len(ordered))]
        shift = attempt // len(RANGES)
        return {symbol: mp.mpf(turned[(place + shift) % len(turned)]) for place, symbol in enumerate(ordered)}

    def _with_neighbours(self, values: dict[Any, Any], direction: Rows) -> MatrixWalk:
        def moved(step: Any) -> MatrixWalk:
            pairs = zip(values[self.parameter], direction, strict=True)
            rows = [[entry + step * change for entry, change in zip(row, along, strict=True)] for row, along in pairs]
            return MatrixWalk({**values, self.parameter: rows}, self._definitions)

        walk = MatrixWalk(values, self._definitions)
        walk.after, walk.before = moved(STEP), moved(-STEP)
        walk.direction = direction
        return walk

    # -- comparisons ----------------------------------------------------------------------------------------------

    def equal(self, first: Any, second: Any) -> bool:
        """Whether two lines have the same value at all instances."""
        with mp.workdps(WORKING):
            return all(_same(_value(walk, first), _value(walk, second)) for walk in self.walks)

    def read_off(self, differential: Any, gradient: Any, hessian: bool = False) -> bool:
        """Whether a differential is the gradient times the direction, summed over the entries; or Hessian times it."""
        with mp.workdps(WORKING):
            for walk in self.walks:
                found = walk.rows(gradient)
                if hessian:
                    expected: Rows = times(found, walk.direction)
                else:
                    pairs = (
                        pair for rows in zip(found, walk.direction, strict=True) for pair in zip(*rows, strict=True)
                    )
                    expected = [[mp.fsum(a * b for a, b in pairs)]]
                if not _same(_value(walk, differential), expected):
                    return False
        return True


def _value(walk: MatrixWalk, line: Any) -> Rows:
    rows = walk.rows(line) if getattr(line, "is_Matrix", False) else [[walk(line)]]
    return [[walk.checked(entry) for entry in row] for row in rows]


def _same(first: Rows, second: Rows) -> bool:
    if (len(first), len(first[0])) != (len(second), len(second[0])):
        return False
    pairs = [pair for rows in zip(first, second, strict=True) for pair in zip(*rows, strict=True)]
    scale = max(abs(value) for pair in pairs for value in pair)
    return all(agree(a, b, max(scale, mp.mpf(10) ** -6)) for a, b in pairs)


def _is_defined(walk: MatrixWalk, line: Any) -> bool:
    try:
        _value(walk, line)
    except (UndefinedError, ZeroDivisionError, ValueError, TypeError, OverflowError):
        return False
    return True
