"""`symdescent check`: the gradient against differences and dual numbers, and marks for one derived by hand."""

from __future__ import annotations

import argparse
from typing import Any

import sympy as sp

from symdescent.check.report import COLUMNS
from symdescent.cli.exits import DONE, WRONG
from symdescent.cli.expressions import read
from symdescent.cli.output import deliver
from symdescent.cli.stating import Stated, state
from symdescent.cli.values import one_name, split_assignment
from symdescent.derivation.page import Paragraph, Table
from symdescent.errors import StatementError


def check(arguments: argparse.Namespace) -> int:
    """The check, and the marks of candidates."""
    stated = state(arguments)
    at, data = stated.point(arguments.at, "--at")
    candidates = dict(_candidate(stated, text) for text in arguments.candidate or ())
    found = stated.loss.check(at=at or None, data=data or None, candidate=candidates or None, seed=arguments.seed)
    text = str(found)
    rows = tuple((row.component, row.symbolic, row.forward, row.central, row.complex_step, row.dual,
                  row.relative_error, row.ulps, row.bound, row.verdict) for row in found.rows)  # fmt: skip
    remarks = [Paragraph((line,)) for line in text.split("\n")[2 + len(rows) :]]
    deliver(arguments, "Check of a gradient", [Table(COLUMNS, rows), *remarks], text)
    return DONE if found.passed else WRONG


def _candidate(stated: Stated, text: str) -> tuple[Any, sp.Expr]:
    """The parameter and the expression of ``NAME=EXPRESSION``, or of the bare expression for a single parameter."""
    parts = split_assignment(text)
    if parts is None:
        if len(stated.names) > 1:
            raise StatementError(
                f"--candidate {text.strip()[:40]!r}: the loss has the parameters {', '.join(stated.names)}, so say "
                f"which one it is for: {stated.names[0]}=…"
            )
        parts = stated.names[0], text
    name = one_name(parts[0], "--candidate")
    return stated.vocabulary.symbol(name), read(parts[1], stated.vocabulary, f"the candidate for {name}")
