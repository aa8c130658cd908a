"""`Document`: several derivations, tables and words on one page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sympy as sp

from symdescent.derivation.page import Block, Chain, Heading, Line, Paragraph, Rendered, Table
from symdescent.derivation.wording import check_language
from symdescent.errors import StatementError


class Document(Rendered):
    """A page put together from parts: words, formulas, and whatever can be rendered (derivations, traces, tables).

    A text that begins with ``"# "`` is a heading; a tuple of texts and SymPy expressions is a paragraph with formulas.

    >>> w = sp.Symbol("w")
    >>> print(Document("Sheet 1", ["# Problem 1", ("Differentiate ", (w - 3)**2, ".")]).text())
    Problem 1
    ─────────
    <BLANKLINE>
    Differentiate (w − 3)².
    """

    def __init__(self, title: str, parts: Iterable[Any], language: str = "en") -> None:
        self.language = check_language(language)
        self._title = title
        self.parts = tuple(parts)
        for part in self.parts:
            if not isinstance(part, (str, tuple, sp.Basic, Rendered, Heading, Paragraph, Chain, Table)):
                raise StatementError(
                    f"a {type(part).__name__} cannot be part of a document: give texts, SymPy expressions, tuples of "
                    "them, or what can be rendered (a derivation, a trace, a table)"
                )

    def title(self) -> str:
        """The title."""
        return self._title

    def page(self, language: str | None = None) -> Sequence[Block]:
        """The blocks of all parts, in a language."""
        return [block for part in self.parts for block in _blocks(part, language or self.language)]


def _blocks(part: Any, language: str) -> Sequence[Block]:
    if isinstance(part, Rendered):
        return part.page(language)
    if isinstance(part, str):
        return [Heading((part[2:],)) if part.startswith("# ") else Paragraph((part,))]
    if isinstance(part, tuple):
        return [Paragraph(part)]
    return [Chain((Line(part),))] if isinstance(part, sp.Basic) else [part]
