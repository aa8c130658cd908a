"""Markdown as GitHub reads it: LaTeX between dollar signs, tables with bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from symdescent.derivation.page import Block, Chain, Heading, Notation, Paragraph, Part, Table
from symdescent.derivation.render.common import numeric_columns
from symdescent.derivation.render.latex import aligned, cell, formula

__all__ = ["document", "formula"]

_SPECIAL = {letter: f"\\{letter}" for letter in "\\`*_{}[]<>#|$~!&"}


def document(page: Sequence[Block], notation: Notation, title: str) -> str:
    """A page in Markdown."""
    blocks = [f"# {escaped(title)}", *(_BLOCKS[type(block)](block, notation) for block in page)]
    return "\n\n".join(blocks) + "\n"


def escaped(words: str) -> str:
    """Running text in which nothing is taken for markup."""
    return "".join(_SPECIAL.get(letter, letter if letter.isprintable() else " ") for letter in words)


def running(parts: Iterable[Part], notation: Notation) -> str:
    """Running text with formulas between dollar signs."""
    text = ""
    for part in parts:
        piece = escaped(part) if isinstance(part, str) else f"${formula(part, notation)}$"
        text += f" {piece}" if text.endswith("$") and piece.startswith("$") else piece
    return text


def _table(block: Table, notation: Notation) -> str:
    rows = [[running([part], notation) for part in block.head]]
    rows.append(["---:" if numeric else ":---" for numeric in numeric_columns(block)])
    rows += [[_cell(value, block.digits, notation) for value in cells] for cells in block.rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def _cell(value: Any, digits: int, notation: Notation) -> str:
    """A cell; a bar in it would end it (there are none in formulas of ours, but a user's LaTeX may have one)."""
    return escaped(value) if isinstance(value, str) else f"${cell(value, digits, notation)}$".replace("|", r"\vert ")


_BLOCKS: dict[type, Any] = {
    Heading: lambda block, notation: f"## {running(block.parts, notation)}",
    Paragraph: lambda block, notation: running(block.parts, notation),
    Chain: lambda block, notation: f"$$\n{aligned(block, notation)}\n$$",
    Table: _table,
}
