"""Estimates of how much room a box takes: a character of text is 1 wide, a line 1 high."""

from __future__ import annotations

from functools import singledispatch

from symdescent.derivation.layout.boxes import (
    Applied,
    At,
    Big,
    Box,
    Cases,
    Delimiter,
    Fence,
    Foreign,
    Fraction,
    Function,
    Gap,
    Given,
    Grid,
    Name,
    Number,
    Op,
    Root,
    Row,
    Scripts,
    Text,
)


@singledispatch
def width(box: Box) -> float:
    """About how many characters of a line the box takes."""
    raise TypeError(box)


@singledispatch
def height(box: Box) -> float:
    """About how many lines the box takes."""
    return 1.0


SCRIPT = 0.7
SPACED = {"binary": 3.0, "relation": 3.4, "prefix": 1.4, "punctuation": 1.4, "slash": 1.0, "mark": 1.0}


@width.register
def _(box: Name) -> float:
    letters = sum(1.4 if letter.isupper() or letter in "mw" else 1.1 for letter in box.text)
    return letters + 0.3 * (box.style == "bold")


@width.register
def _(box: Number) -> float:
    return float(len(box.digits))


@width.register
def _(box: Function) -> float:
    return len(box.text) + 0.4


@width.register
def _(box: Text) -> float:
    return 0.9 * len(box.words)


@width.register
def _(box: Op) -> float:
    return SPACED[box.kind]


@width.register
def _(box: Gap) -> float:
    return 0.4 * box.wide


@width.register
def _(box: Applied) -> float:
    return 0.4 * box.wide


@width.register
def _(box: Row) -> float:
    return sum(map(width, box.items))


@width.register
def _(box: Fraction) -> float:
    return max(width(box.numerator), width(box.denominator)) + 0.6


@width.register
def _(box: Scripts) -> float:
    scripts = [width(script) for script in (box.sub, box.sup) if script is not None]
    return width(box.base) + SCRIPT * max(scripts)


@width.register
def _(box: Root) -> float:
    return width(box.radicand) + 1.6


@width.register
def _(box: Fence) -> float:
    return width(box.body) + (1.8 if height(box.body) < 1.5 else 2.6)


@width.register
def _(box: Delimiter) -> float:
    return 0.8 if box.height < 1.5 else 1.3


@width.register
def _(box: Big) -> float:
    lower = width(box.index) + (width(box.lower) + 1 if box.lower is not None else 0)
    return max(2.4, SCRIPT * lower, SCRIPT * (width(box.upper) if box.upper is not None else 0)) + 0.4


@width.register
def _(box: At) -> float:
    return width(box.body) + 0.6 + SCRIPT * width(box.condition)


@width.register
def _(box: Cases) -> float:
    return max(width(value) for value, _ in box.rows) + max(width(condition) for _, condition in box.rows) + 4


@width.register
def _(box: Grid) -> float:
    columns = zip(*box.rows, strict=True)
    return sum(max(map(width, column)) + 2 for column in columns) + 1


@width.register
def _(box: Given) -> float:
    return width(box.box)


@width.register
def _(box: Foreign) -> float:
    return 0.9 * len(box.plain)


@height.register
def _(box: Row) -> float:
    return max(map(height, box.items))


@height.register
def _(box: Fraction) -> float:
    return height(box.numerator) + height(box.denominator) + 0.1


@height.register
def _(box: Scripts) -> float:
    tall = [height(script) for script in (box.sub, box.sup) if script is not None]
    return height(box.base) + 0.1 * len(tall) + 0.5 * (max(tall) - 1)


@height.register
def _(box: Root) -> float:
    return height(box.radicand) + 0.1


@height.register
def _(box: Fence) -> float:
    return height(box.body)


@height.register
def _(box: Delimiter) -> float:
    return box.height


@height.register
def _(box: Big) -> float:
    return 2.8 if box.upper is not None else 2.2


@height.register
def _(box: At) -> float:
    return height(box.body) + 0.4


@height.register
def _(box: Cases) -> float:
    return sum(max(height(value), height(condition)) for value, condition in box.rows) + 0.3


@height.register
def _(box: Grid) -> float:
    return sum(max(map(height, cells)) for cells in box.rows) + 0.3
