"""Plain Unicode text for terminals: one line of the chain on one line, scripts as characters where they exist."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import sympy as sp

from symdescent.derivation.layout import formula_box
from symdescent.derivation.layout.breaking import broken
from symdescent.derivation.page import Block, Chain, Heading, Line, Notation, Paragraph, Part, Table
from symdescent.derivation.render.common import number_box, numeric_columns
from symdescent.derivation.render.plain import clean, show

COLUMNS = 110


def formula(expression: Any, notation: Notation) -> str:
    """One formula on one line."""
    return show(formula_box(expression, notation))


# -- blocks ----------------------------------------------------------------------------------------------------------


def document(page: Sequence[Block], notation: Notation) -> str:
    """A page for a terminal, about 100 columns wide."""
    return "\n\n".join(_BLOCKS[type(block)](block, notation) for block in page)


def words(parts: Iterable[Part], notation: Notation) -> str:
    """Running text with its formulas."""
    return "".join(clean(part) if isinstance(part, str) else formula(part, notation) for part in parts)


def _heading(block: Heading, notation: Notation) -> str:
    title = words(block.parts, notation)
    return f"{title}\n{'─' * columns(title)}"


def _paragraph(block: Paragraph, notation: Notation) -> str:
    return "\n".join(_filled(words(block.parts, notation), COLUMNS))


def _filled(said: str, limit: int) -> list[str]:
    """Words in lines."""
    lines = [""]
    for word in said.split(" "):
        if lines[-1] and columns(lines[-1]) + 1 + columns(word) > limit:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines


def _chain(block: Chain, notation: Notation) -> str:
    notation = block.settled(notation)
    lefts = [formula(line.left, notation) if line.left is not None else "" for line in block.lines]
    indent = max(map(columns, lefts), default=0)
    formulas: list[list[str]] = []
    for left, line in zip(lefts, block.lines, strict=True):
        limit = COLUMNS - indent - 7
        first, *more = broken(formula_box(line.right, notation), limit, lambda box: columns(show(box)))
        sign = f" {line.relation} " if left or formulas else ""
        head = " " * (indent - columns(left)) + left + sign + show(first)
        formulas.append(_folded([head, *(" " * (indent + 6) + show(part).strip() for part in more)], indent + 10))
    told = [_told(line, notation) for line in block.lines]
    column = _column(formulas, told)
    lines = [_beside(lines, *remarks, column, indent + 8) for lines, remarks in zip(formulas, told, strict=True)]
    return "\n".join(part for group in lines for part in group)


def _folded(lines: list[str], indent: int) -> list[str]:
    """Lines that are still too long, broken between the cases of a definition by cases or the rows of a matrix."""
    folded: list[str] = []
    for line in lines:
        while columns(line) > COLUMNS and (place := line.find("; ", indent)) > 0:
            later = line.rfind("; ", indent, COLUMNS)
            place = later if later > 0 else place
            folded.append(line[: place + 1])
            line = " " * indent + line[place + 2 :]
        folded.append(line)
    return folded


def _told(line: Line, notation: Notation) -> tuple[str, str]:
    """The rule, and what is said beside it."""
    if not notation.rules:
        return "", ""
    said = [formula(condition, notation) for condition in line.conditions]
    said += [words(line.note, notation)] if line.note else []
    return words(line.rule, notation), f"({'; '.join(said)})" if said else ""


def _column(formulas: list[list[str]], told: list[tuple[str, str]]) -> int:
    """Where the column of the rules begins: to the right of all formulas that leave room for them."""
    ends = [columns(lines[-1]) for lines, remarks in zip(formulas, told, strict=True) if any(remarks)]
    room = [COLUMNS - columns(rule or said) for rule, said in told if rule or said]
    return max((end + 4 for end, start in zip(ends, room, strict=True) if end + 4 <= start), default=0)


def _beside(lines: list[str], rule: str, said: str, column: int, indent: int) -> list[str]:
    """Lines of a formula with the rule to the right, or below where there is no room for it."""
    remark = f"{rule} {said}".strip()
    if not remark:
        return lines
    end = columns(lines[-1])
    for beside, below in ((remark, ""), (rule, said)):
        start = max(end + 3, min(column, COLUMNS - columns(beside)))
        if beside and start + columns(beside) <= COLUMNS:
            lines = [*lines[:-1], lines[-1] + " " * (start - end) + beside]
            return lines + (_wrapped(below, min(start, COLUMNS - columns(below)), indent) if below else [])
    return lines + _wrapped(remark, COLUMNS - columns(remark), indent)


def _wrapped(remark: str, start: int, indent: int) -> list[str]:
    """A remark on lines of its own."""
    start = max(start, indent)
    return [" " * start + line for line in _filled(remark, COLUMNS - start)]


def _table(block: Table, notation: Notation) -> str:
    rows = [[words([part], notation) for part in block.head]]
    rows += [[_cell(cell, block.digits, notation) for cell in cells] for cells in block.rows]
    numeric = numeric_columns(block)
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(_padded(cell, size, right) for cell, size, right in zip(cells, widths, numeric, strict=True)).rstrip()
        for cells in rows
    ]
    return "\n".join([lines[0], "  ".join("─" * size for size in widths), *lines[1:]])


def _cell(cell: Any, digits: int, notation: Notation) -> str:
    if isinstance(cell, (str, sp.Basic)):
        return words([cell], notation)
    return show(number_box(cell, digits))


def _padded(cell: str, size: int, right: bool) -> str:
    room = " " * (size - columns(cell))
    return room + cell if right else cell + room


def columns(line: str) -> int:
    """How many columns of a terminal a line takes."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in line)
    return len(line) + wide - sum(unicodedata.combining(c) != 0 for c in line)


_BLOCKS: dict[type, Any] = {Heading: _heading, Paragraph: _paragraph, Chain: _chain, Table: _table}
