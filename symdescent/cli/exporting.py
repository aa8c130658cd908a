"""`symdescent code`, `plot` and `explore`: what is written to a file to be used elsewhere."""

from __future__ import annotations

import argparse
from typing import Any

from symdescent.cli.descending import descended, options
from symdescent.cli.exits import DONE
from symdescent.cli.optimizers import optimizer
from symdescent.cli.output import unwritable, write
from symdescent.cli.stating import state


def code(arguments: argparse.Namespace) -> int:
    """A program."""
    write(arguments, state(arguments).loss.code(arguments.target, optimizer(arguments)))
    return DONE


def plot(arguments: argparse.Namespace) -> int:
    """A picture of the loss; of a descent, where a start, an optimizer or data are given."""
    stated = state(arguments)
    loss: Any = stated.loss
    descends = arguments.start or optimizer(arguments) is not None or stated.data or options(arguments)
    axes = (descended(stated, arguments) if descends else loss).plot()
    path = arguments.output or "loss.png"
    try:
        axes.figure.savefig(path, dpi=arguments.dpi)
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from None
    return _written(arguments, path)


def explore(arguments: argparse.Namespace) -> int:
    """A page to play with."""
    stated = state(arguments)
    stated.complete(stated.data)
    loss: Any = stated.loss
    path = arguments.output or "explore.html"
    start = stated.start(arguments.start) if arguments.start else None
    try:
        loss.explore_html(path, start=start, data=stated.data or None)
    except OSError as error:
        raise unwritable(path, error) from None
    return _written(arguments, path)


def _written(arguments: argparse.Namespace, path: str) -> int:
    if arguments.output is None:
        print(f"wrote {path}")
    return DONE
