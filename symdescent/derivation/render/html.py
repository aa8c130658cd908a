"""HTML: a self-contained page with MathML, which needs no network and no script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sympy as sp

from symdescent.derivation.layout import formula_box
from symdescent.derivation.layout.boxes import Box, Op
from symdescent.derivation.layout.breaking import broken
from symdescent.derivation.page import Block, Chain, Heading, Line, Notation, Paragraph, Part, Table
from symdescent.derivation.render.common import number_box, numeric_columns
from symdescent.derivation.render.mathml import clean, mathml

COLUMNS = 75

STYLE = """
:root { color-scheme: light dark; }
body {
  margin: 0;
  font: 17px/1.5 "STIX Two Text", "Latin Modern Roman", Cambria, Georgia, "Times New Roman", "DejaVu Serif", serif;
}
main { max-width: 68rem; margin: 2.5rem auto 4rem; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; font-weight: 600; margin: 0 0 1.5rem; }
h2 { font-size: 1.2rem; font-weight: 600; margin: 2.2rem 0 .6rem; }
math { font-family: "STIX Two Math", "Latin Modern Math", "Cambria Math", math; font-size: 1.06em; }
mtable.cases mtd { text-align: left; }
.scroll { overflow-x: auto; margin: 1.2rem 0; }
.chain { border-collapse: collapse; }
.chain td { padding: .38rem 0; vertical-align: baseline; }
.chain .left { text-align: right; white-space: nowrap; }
.chain .relation { padding: .38rem .1rem; }
.chain .right { white-space: nowrap; }
.chain .more { display: block; margin-left: 1.6rem; padding-top: .3rem; }
.chain .rule { padding-left: 2.5rem; min-width: 13rem; max-width: 24rem; opacity: .8; }
.chain .rule { font-size: .9rem; font-style: italic; }
.chain .said { display: block; font-size: .8rem; font-style: normal; }
.values { border-collapse: collapse; font-variant-numeric: tabular-nums lining-nums; }
.values th { text-align: left; font-weight: 600; border-bottom: 1.5px solid; }
.values th, .values td { padding: .28rem 1.5rem .28rem 0; }
.values td { border-bottom: 1px solid color-mix(in srgb, currentColor 18%, transparent); }
.values .number { text-align: right; }
"""


def formula(expression: Any, notation: Notation) -> str:
    """One formula as a ``math`` element in running text."""
    return _math(formula_box(expression, notation))


def _math(box: Box, display: bool = False) -> str:
    style = ' displaystyle="true"' if display else ""
    return f"<math{style}><mrow>{mathml(box)}</mrow></math>"


def document(page: Sequence[Block], notation: Notation, title: str) -> str:
    """A complete page."""
    body = blocks(page, notation)
    return (
        f'<!DOCTYPE html>\n<html lang="{notation.language}">\n<head>\n<meta charset="utf-8"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        f"<title>{clean(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{clean(title)}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def blocks(page: Sequence[Block], notation: Notation) -> str:
    """The blocks of a page, to stand within another one that has `STYLE`."""
    return "\n".join(_BLOCKS[type(block)](block, notation) for block in page)


def words(parts: Iterable[Part], notation: Notation) -> str:
    """Running text with its formulas."""
    return "".join(clean(part) if isinstance(part, str) else formula(part, notation) for part in parts)


def _chain(block: Chain, notation: Notation) -> str:
    notation = block.settled(notation)
    rows = "\n".join(_line(line, notation, place == 0) for place, line in enumerate(block.lines))
    return f'<div class="scroll"><table class="chain" role="presentation">\n{rows}\n</table></div>'


def _line(line: Line, notation: Notation, is_first: bool) -> str:
    left = _math(formula_box(line.left, notation), True) if line.left is not None else ""
    first, *more = broken(formula_box(line.right, notation), COLUMNS)
    right = _math(first, True) + "".join(f'<span class="more">{_math(part, True)}</span>' for part in more)
    relation = _math(Op(line.relation, "relation")) if left or not is_first else ""
    cells = {"left": left, "relation": relation, "right": right, "rule": _remarks(line, notation)}
    return "<tr>" + "".join(f'<td class="{name}">{cell}</td>' for name, cell in cells.items()) + "</tr>"


def _remarks(line: Line, notation: Notation) -> str:
    """The name of the rule, and below it what is said beside it."""
    if not notation.rules:
        return ""
    said = [formula(condition, notation) for condition in line.conditions]
    said += [words(line.note, notation)] if line.note else []
    beside = f'<span class="said">{"; ".join(said)}</span>' if said else ""
    return words(line.rule, notation) + beside


def _table(block: Table, notation: Notation) -> str:
    numeric = numeric_columns(block)
    marks = [' class="number"' if number else "" for number in numeric]
    head = "".join(
        f'<th scope="col"{mark}>{words([part], notation)}</th>' for part, mark in zip(block.head, marks, strict=True)
    )
    rows = [
        "".join(
            f"<td{mark}>{_cell(cell, block.digits, notation)}</td>" for cell, mark in zip(cells, marks, strict=True)
        )
        for cells in block.rows
    ]
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    table = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>"
    return f'<div class="scroll"><table class="values">\n{table}</table></div>'


def _cell(value: Any, digits: int, notation: Notation) -> str:
    if isinstance(value, (str, sp.Basic)):
        return words([value], notation)
    return _math(number_box(value, digits))


_BLOCKS: dict[type, Any] = {
    Heading: lambda block, notation: f"<h2>{words(block.parts, notation)}</h2>",
    Paragraph: lambda block, notation: f"<p>{words(block.parts, notation)}</p>",
    Chain: _chain,
    Table: _table,
}
