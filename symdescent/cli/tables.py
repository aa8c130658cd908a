"""Reading columns of numbers from a CSV file, with errors that name the line and the column."""

from __future__ import annotations

import csv
import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from symdescent.cli.tokens import folded
from symdescent.errors import DataError

SEPARATORS = (",", ";", "\t", "|")
MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")


@dataclass(frozen=True, slots=True)
class Columns:
    """Some columns of a file as arrays, by name; how many rows were read, and how many left out."""

    file: str
    values: dict[str, Any]
    rows: int
    left_out: int = 0


def read_columns(path: str, choose: Callable[[Sequence[str]], Sequence[str]], drop_missing: bool = False) -> Columns:
    """Read the columns that `choose` picks from the names in the first line ("-" reads standard input).

    Separators are commas, semicolons, tabs or bars. A name that is no identifier is offered with underscores, "petal
    length" as ``petal_length``. Raises `DataError` for a file that cannot be read, and for a cell that is no finite
    number; with `drop_missing`, rows with an empty or NaN cell in one of the columns are left out.
    """
    shown = "standard input" if path == "-" else path
    with _opened(path) as stream:
        try:
            return _Sheet(shown, stream).columns(choose, drop_missing)
        except UnicodeDecodeError as error:
            raise DataError(f"{shown} is not text in UTF-8 (byte {error.start}): save it as CSV in UTF-8") from None
        except csv.Error as error:
            raise DataError(f"{shown} is no CSV file: {error}") from None


@contextmanager
def _opened(path: str) -> Iterator[TextIO]:
    if path == "-":
        yield sys.stdin
        return
    try:
        stream = Path(path).open(encoding="utf-8-sig", newline="")  # noqa: SIM115 (closed below; a mark is no name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path} cannot be read: {reason}") from None
    with stream:
        yield stream


class _Sheet:
    """A CSV file that is being read."""

    def __init__(self, file: str, stream: TextIO) -> None:
        self.file, self.skipped = file, 0
        first = stream.readline()
        while first and not first.strip():
            first, self.skipped = stream.readline(), self.skipped + 1
        if not first:
            raise DataError(f"{file} is empty: its first line names the columns")
        separator = max(SEPARATORS, key=first.count)
        self.reader = csv.reader(_lines(first, stream), delimiter=separator, skipinitialspace=True)
        self.header = [folded(cell.strip()) for cell in next(self.reader)]
        if all(map(_is_number, self.header)):
            raise DataError(
                f"{file} has numbers in its first line ({', '.join(self.header[:4])}): name the columns there"
            )

    def names(self) -> list[str]:
        """What the columns are called in an expression."""
        return [name if name.isidentifier() else re.sub(r"\W+", "_", name).strip("_") for name in self.header]

    def columns(self, choose: Callable[[Sequence[str]], Sequence[str]], drop_missing: bool) -> Columns:
        """The chosen columns."""
        known = self.names()
        chosen = {name: known.index(name) for name in choose([name for name in known if name])}
        for name in chosen:
            if known.count(name) > 1:
                raise DataError(
                    f"{self.file} has {known.count(name)} columns that are named {name}: rename one of them"
                )
        cells: dict[str, list[float]] = {name: [] for name in chosen}
        rows = left_out = 0
        for row in self.reader:
            if not any(map(str.strip, row)):
                continue
            if drop_missing and any(_is_missing(row, place) for place in chosen.values()):
                left_out += 1
                continue
            rows += 1
            for name, place in chosen.items():
                cells[name].append(self.number(row, place))
        if not rows:
            beside = f" besides {left_out} with missing cells" if left_out else " below the names of its columns"
            raise DataError(f"{self.file} has no rows{beside}")
        return Columns(self.file, {name: np.array(column) for name, column in cells.items()}, rows, left_out)

    def number(self, row: Sequence[str], place: int) -> float:
        """The number in a cell, or `DataError`."""
        cell = row[place].strip() if place < len(row) else ""
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            return value
        where = f"{self.file}, line {self.reader.line_num + self.skipped}, column {self.header[place]!r}"
        if place >= len(row):
            raise DataError(f"{where}: the line has fewer cells ({len(row)}) than the first line ({len(self.header)})")
        if _is_missing(row, place):
            said = f"the cell holds {cell}" if cell else "the cell is empty"
            raise DataError(f"{where}: {said}; fill it in, or leave such rows out with --drop-missing")
        if not math.isnan(value):
            raise DataError(f"{where}: {cell} is infinite")
        hint = ": write a decimal point" if re.fullmatch(r"[+-]?\d+,\d+", cell) else ""
        raise DataError(f"{where}: {cell[:40]!r} is no number{hint}")


def _lines(first: str, stream: TextIO) -> Iterator[str]:
    yield first
    yield from stream


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_missing(row: Sequence[str], place: int) -> bool:
    return place >= len(row) or row[place].strip().lower() in MISSING
