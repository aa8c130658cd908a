"""`symdescent descend`: a descent by the optimizer that is asked for, and what it reached."""

from __future__ import annotations

import argparse
import csv
from itertools import chain
from typing import Any

import numpy as np

from symdescent.cli.exits import DONE, INTERRUPTED, NOT_CONVERGED
from symdescent.cli.optimizers import optimizer
from symdescent.cli.output import deliver, unwritable
from symdescent.cli.stating import Stated, state
from symdescent.derivation.page import Paragraph, Table
from symdescent.descent import result as results
from symdescent.optimizers import UpdateRule

OPTIONS = ("steps", "epochs", "batch_size", "validation", "patience", "seed", "gtol", "xtol", "ftol", "shuffle")


def descend(arguments: argparse.Namespace) -> int:
    """A descent from a start."""
    stated = state(arguments)
    result = descended(stated, arguments)
    write_history(arguments, result)
    parts, text = report(stated, arguments, result)
    if arguments.table is not None:
        table = result.table(arguments.table, arguments.language)
        parts, text = [*parts, table], f"{text}\n\n{table.text()}"
    deliver(arguments, "Descent", parts, text)
    return exit_code(result)


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of `descend` that were given."""
    return {name: getattr(arguments, name) for name in OPTIONS if getattr(arguments, name, None) is not None}


def descended(stated: Stated, arguments: argparse.Namespace) -> Any:
    """The descent from ``--start``, by ``--optimizer``."""
    stated.complete(stated.data)
    start = stated.start(arguments.start)
    return stated.loss.descend(start, stated.data or None, optimizer(arguments), **options(arguments))


def exit_code(result: Any) -> int:
    """Converged, or gone as far as it was to go: 0."""
    if result.status == results.INTERRUPTED:
        return INTERRUPTED
    return DONE if result.success or result.status == results.STALE else NOT_CONVERGED


def report(stated: Stated, arguments: argparse.Namespace, result: Any) -> tuple[list[Any], str]:
    """What was reached: blocks of a page, and the text for a terminal."""
    rule = result.optimizer
    method = str(rule).split("\n")[0] if isinstance(rule, UpdateRule) else str(rule)
    start = "start: " + ", ".join(f"{name} = {value:g}" for name, value in stated.start(arguments.start).items())
    notes = []
    if result.status == results.GRADIENT and not result.nit and not arguments.start:
        notes.append("the gradient is zero at the start, which need not be a minimum: give another --start")
    text = "\n".join([method, start, repr(result), *notes])
    happened = f"{'success' if result.success else 'stopped'} after {result.nit} steps: {result.message}"
    blocks = [
        Paragraph((method,)),
        Paragraph((start,)),
        Table(("parameter", "value"), tuple((p, float(result.params[name])) for p, name in parameters(stated))),
        Paragraph((f"loss {result.fun:.10g}",)),
        *(Paragraph((note,)) for note in (happened, *notes)),
    ]
    return blocks, text


def parameters(stated: Stated) -> list[tuple[Any, str]]:
    """The parameters and their names."""
    return list(zip(stated.loss.parameters, stated.names, strict=True))


def write_history(arguments: argparse.Namespace, result: Any) -> None:
    """Write the history and the trajectory to the file of ``--history``."""
    if arguments.history is None:
        return
    fields = result.history.dtype.names
    paths = [np.asarray(result.trajectory[name]).ravel() for name in result.params]
    try:
        with open(arguments.history, "w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow([*fields, *result.params])
            for place, row in enumerate(result.history.tolist()):
                table.writerow(chain(row, (path[place] for path in paths)))
    except OSError as error:
        raise unwritable(arguments.history, error) from None
