"""`derivation`: the whole step-by-step derivation of a loss's gradient, in the notation that it was stated in."""

from __future__ import annotations

import itertools
from typing import Any

import sympy as sp

from symdescent.derivation.components.engine import second_section, section
from symdescent.derivation.components.stated import stated
from symdescent.derivation.steps import Derivation, Section
from symdescent.derivation.symbols import LOSS
from symdescent.errors import StatementError, UnsupportedError
from symdescent.graph import Node, reachable
from symdescent.loss import Loss
from symdescent.statement import name_of

LONGEST, DEEPEST = 20_000, 150  # operations of the graph
DETAILS = ("brief", "normal", "full")
NOTATIONS = ("auto", "matrix", "index")


def derivation(
    loss: Loss,
    parameter: Any = None,
    detail: str = "normal",
    language: str = "en",
    *,
    notation: str = "auto",
    order: int = 1,
) -> Derivation:
    r"""Derive a gradient, or second derivatives, step by step.

    Parameters
    ----------
    parameter
        one of the loss's parameters, or its name; omitted, all of them, a section each
    detail
        ``"brief"`` (the lines one writes on a board), ``"normal"`` (one rule a line, at all like places at once) or
        ``"full"`` (one rule at one place at a time)
    language
        ``"en"`` or ``"es"``
    notation
        ``"matrix"``: by differentials, for a MatrixSymbol; ``"index"``: in components; ``"auto"``: as it was stated,
        in components where matrix notation does not carry through
    order
        1, or 2 for the entries of the Hessian, each derived from the gradient

    Raises
    ------
    StatementError
        for an option that is not known; `UnsupportedError` for what cannot be shown step by step

    >>> w = sp.Symbol("w")
    >>> [step.rule for step in derivation(Loss((w - 3)**2, w))]
    ['power rule, chain rule', 'difference rule', 'simplify']
    """
    for name, value, allowed in (
        ("detail", detail, DETAILS),
        ("notation", notation, NOTATIONS),
        ("order", order, (1, 2)),
    ):
        if value not in allowed:
            raise StatementError(f"{name}={value!r} is not one of {', '.join(map(repr, allowed))}")
    chosen = loss.parameters if parameter is None else (_chosen(loss, parameter),)
    _check_length(loss)
    try:
        made = [_one(loss, parameters, detail, notation) for parameters in _wanted(loss, chosen, order)]
    except RecursionError:
        raise UnsupportedError(
            f"the loss is nested too deeply to be shown step by step; its gradient is loss.gradient: {loss!r:.80}"
        ) from None
    return Derivation((LOSS, made[0][1]), [section for section, _ in made], language)


def _check_length(loss: Loss) -> None:
    size = loss.statement.graph.size
    if size > LONGEST:
        raise UnsupportedError(
            f"the loss has {size} operations: a derivation of it would be too long to be read (the limit is "
            f"{LONGEST}); state it with indexed sums, or take loss.gradient"
        )
    if _depth(loss) > DEEPEST:
        raise UnsupportedError(
            f"the loss is nested more than {DEEPEST} operations deep: a derivation of it would not be readable; take "
            "loss.gradient"
        )


def _depth(loss: Loss) -> int:
    depth: dict[Node, int] = {}
    for node in reachable([loss.statement.root]):  # arguments come first
        depth[node] = 1 + max((depth[argument] for argument in node.args), default=0)
    return max(depth.values())


def _one(loss: Loss, parameters: tuple[Any, ...], detail: str, notation: str) -> tuple[Section, Any]:
    """A section, and the statement in the notation of the section."""
    made = _in_matrices(loss, parameters, detail, notation)
    if made is not None:
        return made, made.start.args[0] if len(parameters) == 1 else loss.expression
    statement = stated(loss)
    if len(parameters) == 1:
        return section(statement, parameters[0], detail), statement.expression
    return second_section(statement, parameters[0], parameters[1], detail), statement.expression


def _wanted(loss: Loss, chosen: tuple[Any, ...], order: int) -> list[tuple[Any, ...]]:
    """The parameters to differentiate by, of each section."""
    if order == 1:
        return [(each,) for each in chosen]
    if len(chosen) == len(loss.parameters):
        return list(itertools.combinations_with_replacement(chosen, 2))
    return [(chosen[0], other) for other in loss.parameters]


def _in_matrices(loss: Loss, parameters: tuple[Any, ...], detail: str, notation: str) -> Section | None:
    """The section in matrix notation, where it was stated so and that is asked for."""
    is_matrix = all(isinstance(each, sp.MatrixSymbol) for each in parameters) and len(set(parameters)) == 1
    if not is_matrix or notation == "index" or (loss.samples and notation == "auto"):
        if notation == "matrix":
            names = ", ".join(map(name_of, parameters))
            raise StatementError(f"{names} cannot be derived in matrix notation: state the loss with a MatrixSymbol")
        return None
    from symdescent.derivation.matrices.differentials import hessian_section, matrix_section

    make = matrix_section if len(parameters) == 1 else hessian_section
    try:
        return make(loss, parameters[0], detail)
    except UnsupportedError:
        if notation == "matrix":
            raise
        return None


def _chosen(loss: Loss, parameter: Any) -> Any:
    for each in loss.parameters:
        if each == parameter or (isinstance(parameter, str) and name_of(each) == parameter):
            return each
    known = ", ".join(map(name_of, loss.parameters))
    raise StatementError(f"{parameter} is not a parameter of the loss; its parameters are {known}")
