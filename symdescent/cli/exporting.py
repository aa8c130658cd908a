"""`symdescent code`, `plot` and `explore`: what is written to a file to be used elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from symdescent.cli.descending import descended, options
from symdescent.cli.exits import DONE
from symdescent.cli.fitting import best_fit
from symdescent.cli.optimizers import optimizer
from symdescent.cli.output import unwritable, write
from symdescent.cli.stating import Stated, state
from symdescent.errors import SymdescentError

FILMS = (".gif", ".html")


def code(arguments: argparse.Namespace) -> int:
    """A program."""
    write(arguments, state(arguments).loss.code(arguments.target, optimizer(arguments)))
    return DONE


def plot(arguments: argparse.Namespace) -> int:
    """A picture of the loss, of a descent on it, or of a fit; a film, where the file is a .gif or .html."""
    stated = state(arguments)
    path = arguments.output or "loss.png"
    is_film = Path(path).suffix.lower() in FILMS
    kind = {} if arguments.kind is None else {"kind": arguments.kind}
    run = _drawn_descent(stated, arguments, is_film)
    try:
        if is_film:
            run.animate(**kind).save(path, dpi=arguments.dpi)
        else:
            axes = _picture(stated, arguments, kind) if run is None else run.plot(**kind)
            axes.figure.savefig(path, dpi=arguments.dpi)
    except SymdescentError:
        raise
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from None
    return _written(arguments, path)


def _drawn_descent(stated: Stated, arguments: argparse.Namespace, is_film: bool) -> Any:
    """The descent that is to be drawn: as it was asked for, or the fit to the data; None for the loss alone."""
    if arguments.start or optimizer(arguments) is not None or options(arguments) or is_film:
        return descended(stated, arguments)
    return best_fit(stated, arguments).descent if stated.loss.samples and not arguments.at else None


def _picture(stated: Stated, arguments: argparse.Namespace, kind: dict[str, str]) -> Any:
    """The loss, around the point of ``--at``."""
    at, data = stated.point(arguments.at, "--at")
    stated.complete(data)
    loss: Any = stated.loss
    return loss.plot(**kind, **({"at": at} if at else {}), **({"data": data} if data else {}))


def explore(arguments: argparse.Namespace) -> int:
    """A page to play with."""
    stated = state(arguments)
    stated.complete(stated.data)
    loss: Any = stated.loss
    path = arguments.output or "explore.html"
    start = stated.start(arguments.start) if arguments.start else None
    language = {} if arguments.language == "en" else {"language": arguments.language}
    try:
        loss.explore_html(path, start=start, data=stated.data or None, **language)
    except OSError as error:
        raise unwritable(path, error) from None
    return _written(arguments, path)


def _written(arguments: argparse.Namespace, path: str) -> int:
    if arguments.output is None:
        print(f"wrote {path}")
    return DONE
