"""Layout boxes: what a formula looks like, before any format is chosen.

A formula is a small tree of these boxes. Brackets, signs and the order of terms are decided when the tree is made
(`symdescent.derivation.layout`); a renderer only has to print each kind of box. Characters are Unicode throughout
("α", "−", "·"): a renderer translates them where its format wants other names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier: ``style`` is "italic", "upright" or "bold"; ``accent`` "hat", "bar", "tilde", "vec", "dot", …."""

    text: str
    style: str = "italic"
    accent: str = ""


@dataclass(frozen=True, slots=True)
class Number:
    """The digits of a number that is not negative."""

    digits: str


@dataclass(frozen=True, slots=True)
class Function:
    """The upright name of a function or an operator: log, tr, max."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """Running text inside a formula: "if", "otherwise"."""

    words: str


@dataclass(frozen=True, slots=True)
class Op:
    """A sign: ``kind`` is "binary" (a + b), "relation" (a = b), "prefix" (−a), "punctuation" (a, b), "slash" (a/b), or
    "mark" where it stands for itself (a prime, the ∂ of a derivative).
    """

    sign: str
    kind: str = "binary"


@dataclass(frozen=True, slots=True)
class Gap:
    """Nothing between two factors that are multiplied (``wide``: they would otherwise seem to touch)."""

    wide: bool = False


@dataclass(frozen=True, slots=True)
class Applied:
    """Nothing between a function and its argument (``open``: words are kept apart; ``wide``: by a small space)."""

    open: bool = False
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Boxes side by side."""

    items: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Fraction:
    """A fraction; with ``operator`` a derivative such as ∂L/∂w, which is one symbol to the reader."""

    numerator: Box
    denominator: Box
    operator: bool = False


@dataclass(frozen=True, slots=True)
class Scripts:
    """A subscript, a superscript, or both."""

    base: Box
    sub: Box | None = None
    sup: Box | None = None


@dataclass(frozen=True, slots=True)
class Root:
    """A root; ``degree`` is None for a square root."""

    radicand: Box
    degree: Box | None = None


@dataclass(frozen=True, slots=True)
class Fence:
    """A box in brackets: ``kind`` is one of "()", "[]", "{}", "||", "‖‖", "⌊⌋", "⌈⌉"."""

    body: Box
    kind: str = "()"


@dataclass(frozen=True, slots=True)
class Delimiter:
    """One bracket of a pair that a line break has parted; ``height`` is that of what the pair encloses."""

    sign: str
    opening: bool
    height: float


@dataclass(frozen=True, slots=True)
class Big:
    """Σ or Π with its limits; ``whole`` where it runs over the whole of its array (text then shows the index alone)."""

    sign: str
    index: Box
    lower: Box | None = None
    upper: Box | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class At:
    """A box evaluated where a condition holds: a bar on its right with the condition below."""

    body: Box
    condition: Box


@dataclass(frozen=True, slots=True)
class Cases:
    """A definition by cases: pairs of a value and its condition."""

    rows: tuple[tuple[Box, Box], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A matrix written out."""

    rows: tuple[tuple[Box, ...], ...]


@dataclass(frozen=True, slots=True)
class Given:
    """A name that the user has given as LaTeX, with the boxes that stand for it in other formats."""

    latex: str
    box: Box


@dataclass(frozen=True, slots=True)
class Foreign:
    """What has no layout of its own: SymPy's LaTeX where that is safe (else None), and plain text."""

    latex: str | None
    plain: str


Box = (
    Name
    | Number
    | Function
    | Text
    | Op
    | Gap
    | Applied
    | Row
    | Fraction
    | Scripts
    | Root
    | Fence
    | Delimiter
    | Big
    | At
    | Cases
    | Grid
    | Given
    | Foreign
)


def row(*items: Box) -> Box:
    """Boxes side by side; a single one is left alone, and rows within rows are opened."""
    flat = tuple(inner for item in items for inner in (item.items if isinstance(item, Row) else (item,)))
    return flat[0] if len(flat) == 1 else Row(flat)


def joined(boxes: Iterator[Box] | list[Box] | tuple[Box, ...], mark: Box) -> Box:
    """Boxes with a mark between each two."""
    items: list[Box] = []
    for box in boxes:
        items += [mark, box] if items else [box]
    return row(*items)


COMMA = Op(",", "punctuation")


def first(box: Box) -> Box:
    """The leftmost box that is not a row or a base of scripts."""
    if isinstance(box, Row):
        return first(box.items[0])
    return first(box.base) if isinstance(box, Scripts) else box


def last(box: Box) -> Box:
    """The rightmost box of a row."""
    return last(box.items[-1]) if isinstance(box, Row) else box


def within(box: Box) -> tuple[Box, ...]:
    """The boxes of a row and of the rows in it."""
    return tuple(inner for item in box.items for inner in within(item)) if isinstance(box, Row) else (box,)
