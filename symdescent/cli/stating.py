"""From the arguments to a loss: its expression, the roles of its names, and data for them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

from symdescent.cli.expressions import Vocabulary, read
from symdescent.cli.tables import Columns, read_columns
from symdescent.cli.values import assignments, name_list, split_assignment
from symdescent.errors import DataError, StatementError
from symdescent.loss import Loss
from symdescent.statement import name_of


@dataclass(frozen=True, slots=True)
class Stated:
    """A loss with the data that were given for it; `columns` is where samples were read from, if they were."""

    loss: Loss
    vocabulary: Vocabulary
    data: dict[str, Any] = field(default_factory=dict)
    columns: Columns | None = None

    @property
    def names(self) -> list[str]:
        """The names of the parameters."""
        return [name_of(parameter) for parameter in self.loss.parameters]

    def complete(self, data: Mapping[str, Any]) -> None:
        """Raise `DataError` where a sample or a constant has no value in the data."""
        for role, things in (("sample", self.loss.samples), ("constant", self.loss.constants)):
            for name in map(name_of, things):
                if name not in data:
                    values = f"--data {name}={'1,2,3, or --data FILE.csv' if role == 'sample' else '1'}"
                    other = f", or make it a parameter: --parameters {' '.join(self.names)} {name}"
                    raise DataError(
                        f"the {role} {name} has no value: give {values}{other if role == 'constant' else ''}"
                    )

    def point(self, given: Sequence[str] | None, option: str) -> tuple[dict[str, float], dict[str, Any]]:
        """The values of ``--at``: of parameters, and of everything else."""
        at, rest = {}, dict(self.data)
        samples = set(map(name_of, self.loss.samples))
        for name, values in assignments(given, option):
            if name in self.names:
                at[name] = _single(name, values, option)
            elif name in samples:
                rest[name] = values
            elif name in map(name_of, self.loss.constants):
                rest[name] = _single(name, values, option)
            else:
                raise StatementError(f"{option} {name}: the loss has no {name}; it has {', '.join(self._all())}")
        return at, rest

    def start(self, given: Sequence[str] | None) -> dict[str, float]:
        """The values of ``--start``, 0 for parameters that it does not name."""
        at, _ = self.point(given, "--start")
        for name, _values in assignments(given, "--start"):
            if name not in at:
                raise StatementError(f"--start {name}: {name} is no parameter; these are {', '.join(self.names)}")
        return {name: at.get(name, 0.0) for name in self.names}

    def _all(self) -> list[str]:
        return [name_of(thing) for thing in (*self.loss.parameters, *self.loss.samples, *self.loss.constants)]


def state(arguments: argparse.Namespace, file: str | None = None) -> Stated:
    """The loss of the arguments; `file` is a CSV file that is given beside those in ``--data``."""
    parameters = name_list(arguments.parameters, "--parameters")
    samples = name_list(arguments.samples, "--samples")
    inline, file = _inline(arguments.data, file)
    reading = _Reading(arguments.expression, {*parameters, *samples, *inline}, {*parameters, *inline})
    columns = None if file is None else read_columns(file, reading.choose, arguments.drop_missing)
    expression, vocabulary = reading.done()
    data: dict[str, Any] = inline if columns is None else {**columns.values, **inline}
    samples = list(dict.fromkeys([*samples, *(name for name, value in data.items() if np.ndim(value))]))
    data = {name: np.atleast_1d(value) if name in samples else value for name, value in data.items()}
    if not parameters and len(data) > len(set(samples) & data.keys()):  # constants with values are no parameters
        parameters = sorted(set(reading.used) - {*samples, *data})
        if not parameters:
            raise StatementError("every name of the loss has a value, so that there is no parameter: leave one out")
    loss = Loss(
        expression,
        [vocabulary.symbol(name) for name in parameters] or None,
        samples=[vocabulary.symbol(name) for name in samples] or None,
        reduction=arguments.reduction,
        kinks=arguments.kinks,
    )
    return Stated(loss, vocabulary, data, columns)


class _Reading:
    """Reads the loss when the names of columns are known: a column E is a symbol, and not the constant."""

    def __init__(self, text: str, declared: set[str], taken: set[str]) -> None:
        self.text, self.declared, self.taken = text, declared, taken
        self.read: tuple[sp.Expr, Vocabulary] | None = None

    def done(self, columns: Sequence[str] = ()) -> tuple[sp.Expr, Vocabulary]:
        """The expression, and its names."""
        if self.read is None:
            vocabulary = Vocabulary(sorted({*self.declared, *columns}))
            self.read = read(self.text, vocabulary, "the loss"), vocabulary
        return self.read

    @property
    def used(self) -> list[str]:
        """The names in the expression."""
        return sorted(symbol.name for symbol in self.done()[0].free_symbols)

    def choose(self, columns: Sequence[str]) -> list[str]:
        """The columns that the loss uses; an error where there are none."""
        self.done(columns)
        found = [name for name in dict.fromkeys(columns) if name in self.used and name not in self.taken]
        if not found:
            raise StatementError(
                f"the loss uses no column of the file: its names are {', '.join(self.used) or 'none'}, and the "
                f"columns {', '.join(columns)}"
            )
        return found


def _inline(given: Sequence[str] | None, file: str | None) -> tuple[dict[str, Any], str | None]:
    """What ``--data`` gives: values by name, lists of several, and the name of a file."""
    files = [] if file is None else [file]
    values: list[str] = []
    for argument in given or ():
        (files if split_assignment(argument) is None or Path(argument).is_file() else values).append(argument)
    if len(files) > 1:
        raise StatementError(f"data are read from one file, and {', '.join(files)} are given")
    found = {name: numbers if len(numbers) > 1 else numbers[0] for name, numbers in assignments(values, "--data")}
    return found, files[0] if files else None


def _single(name: str, values: Sequence[float], option: str) -> float:
    if len(values) != 1:
        raise StatementError(f"{option} {name}: {name} is one number, and {len(values)} are given")
    return values[0]
