"""Names and numbers given on the command line: ``w b``, ``w,b``, ``x=1``, ``x=pi/2``, ``x=1,2,3``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from symdescent.cli.expressions import Vocabulary, read
from symdescent.cli.tokens import WORDS, folded, is_name
from symdescent.errors import StatementError

_ASSIGNMENT = re.compile(r"\s*([^=<>!]*?)\s*=(?!=)(.*)", re.DOTALL)


def name_list(given: Iterable[str] | None, option: str) -> list[str]:
    """The names of an option, several to an argument where commas separate them.

    >>> name_list(["w", "b,c"], "--parameters")
    ['w', 'b', 'c']
    """
    return [one_name(each, option) for argument in given or () for each in argument.split(",")]


def one_name(text: str, option: str) -> str:
    """A single name; `StatementError` for anything else."""
    name = folded(text.strip())
    if is_name(name):
        return name
    reason = (
        "it is empty"
        if not name
        else f"{name} belongs to conditions (a if c else b)"
        if name in WORDS
        else "a name is made of letters, digits and underscores, and begins with no digit"
    )
    raise StatementError(f"{option} {text[:60]!r} is no name: {reason}")


def split_assignment(text: str) -> tuple[str, str] | None:
    """Name and value of ``name=value``; None where there is no such sign.

    >>> split_assignment("w=2*x"), split_assignment("a if x == 1 else b")
    (('w', '2*x'), None)
    """
    found = _ASSIGNMENT.fullmatch(text)
    return (found[1], found[2]) if found else None


def assignments(given: Iterable[str] | None, option: str) -> Iterator[tuple[str, list[float]]]:
    """The names and numbers of ``x=1 y=2,3``; `StatementError` where one is missing or given twice.

    >>> dict(assignments(["x=1/2", "y=1,2"], "--at"))
    {'x': [0.5], 'y': [1.0, 2.0]}
    """
    seen = set()
    for argument in given or ():
        parts = split_assignment(argument)
        if parts is None:
            raise StatementError(f"{option} {argument[:60]!r} gives no value: write NAME=NUMBER, as in {option} x=1")
        name = one_name(parts[0], option)
        if name in seen:
            raise StatementError(f"{option} gives {name} twice")
        seen.add(name)
        yield name, [number(text, f"{option} {name}") for text in parts[1].split(",")]


def number(text: str, option: str) -> float:
    """A number that is typed or computed from such: ``-1``, ``1e-3``, ``pi/2``.

    >>> number("1/4", "--learning-rate")
    0.25
    """
    value = read(text, Vocabulary(), option)
    if value.free_symbols:
        names = ", ".join(sorted(map(str, value.free_symbols)))
        raise StatementError(f"{option} = {text.strip()[:60]} is no number: {names} has no value here")
    return float(value)
