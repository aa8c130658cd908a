"""Layout boxes as Unicode text on one line: scripts as characters where they exist."""

from __future__ import annotations

import re
import unicodedata
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
    within,
)
from symdescent.derivation.render.characters import ACCENTS, SUBSCRIPTS, SUPERSCRIPTS

# -- characters ------------------------------------------------------------------------------------------------------


def clean(words: str) -> str:
    """Text without characters that would steer a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in words)


def _script(box: Box, characters: dict[str, str], mark: str, brackets: str) -> str:
    """A script in characters of its own, or with a mark: x₁, x_[i+1], x_train."""
    words = show(box)
    short = re.sub(r" ?([+−=,×]) ?", r"\1", words)
    if isinstance(box, Name) and (len(short) > 1 or short not in characters):
        return mark + short
    if all(c in characters for c in short) and (len(short) <= 4 or short.isdecimal()):
        return "".join(characters[c] for c in short)
    if re.fullmatch(r"∘\d", short):
        return mark + short
    return mark + brackets[0] + (short if mark == "_" else words) + brackets[1]


# -- boxes -----------------------------------------------------------------------------------------------------------


@singledispatch
def show(box: Box) -> str:
    """The text of a box."""
    raise TypeError(box)


@show.register
def _(box: Name) -> str:
    text = clean(box.text)
    return unicodedata.normalize("NFC", text[:1] + ACCENTS[box.accent] + text[1:]) if box.accent else text


@show.register
def _(box: Number) -> str:
    return box.digits


@show.register(Function)
def _(box: Function) -> str:
    return clean(box.text)


@show.register
def _(box: Text) -> str:
    return clean(box.words)


@show.register
def _(box: Foreign) -> str:
    return clean(box.plain)


@show.register
def _(box: Given) -> str:
    return show(box.box)


@show.register
def _(box: Op) -> str:
    spaced = {"binary": f" {box.sign} ", "relation": f" {box.sign} ", "punctuation": f"{box.sign} "}
    return spaced.get(box.kind, box.sign)


@show.register(Gap)
def _(box: Gap) -> str:
    return " "


@show.register
def _(box: Applied) -> str:
    return " " if box.open else ""


@show.register
def _(box: Row) -> str:
    pieces = []
    for place, item in enumerate(box.items):
        near = [box.items[other] for other in (place - 1, place + 1) if 0 <= other < len(box.items)]
        crowded = isinstance(item, Fraction) and not item.operator and any(map(_multiplies, near))
        pieces.append(f"({show(item)})" if crowded else show(item))
    return "".join(pieces)


def _multiplies(box: Box) -> bool:
    """Whether a neighbour of a fraction would seem to belong to its numerator or denominator."""
    if isinstance(box, Op):
        return box.kind in ("binary", "mark") and box.sign not in ("+", "−")
    return isinstance(box, (Gap, Applied, Text))


@show.register
def _(box: Fraction) -> str:
    if box.operator:
        return f"{show(box.numerator)}/{_whole(box.denominator, True)}"
    return f"{_whole(box.numerator)}/{_whole(box.denominator, True)}"


TIMES = (Op("·"), Op("×"))


def _whole(box: Box, below: bool = False) -> str:
    """A numerator, or a denominator, in brackets unless it holds together by itself."""
    items = within(box)
    joins = any(isinstance(item, Gap) or item in TIMES for item in items)
    signs = any(isinstance(item, Op) and item.kind != "mark" and item not in TIMES for item in items)
    loose = signs or any(isinstance(item, (Fraction, Cases, Big)) for item in items)
    return f"({show(box)})" if loose or (below and joins) else show(box)


@show.register
def _(box: Scripts) -> str:
    sub = _script(box.sub, SUBSCRIPTS, "_", "[]") if box.sub is not None else ""
    if box.base == Op("∇", "mark") and isinstance(box.sub, Scripts):
        sub = f"_{show(box.sub)}"
    sup = _script(box.sup, SUPERSCRIPTS, "^", "()") if box.sup is not None else ""
    return show(box.base) + sub + sup


@show.register
def _(box: Root) -> str:
    sign = "√" if box.degree is None else {"3": "∛", "4": "∜"}.get(show(box.degree), "√")
    inside = show(box.radicand)
    base = box.radicand.base if isinstance(box.radicand, Scripts) and box.radicand.sup is None else box.radicand
    return sign + (inside if isinstance(base, (Name, Number)) else f"({inside})")


@show.register
def _(box: Fence) -> str:
    return box.kind[0] + show(box.body) + box.kind[1]


@show.register
def _(box: Delimiter) -> str:
    return box.sign


@show.register
def _(box: Big) -> str:
    sign = {"∑": "Σ", "∏": "Π"}[box.sign]
    if box.whole or box.lower is None or box.upper is None:
        return sign + _script(box.index, SUBSCRIPTS, "_", "[]")
    return f"{sign}_{{{_tight(box.index)}={_tight(box.lower)}}}^{{{_tight(box.upper)}}}"


def _tight(box: Box) -> str:
    return re.sub(r" ([+−]) ", r"\1", show(box))


@show.register
def _(box: At) -> str:
    return f"[{show(box.body)}]_{{{show(box.condition)}}}"


@show.register
def _(box: Cases) -> str:
    return "{" + "; ".join(f"{show(value)} {show(condition)}" for value, condition in box.rows) + "}"


@show.register
def _(box: Grid) -> str:
    return "[" + "; ".join(", ".join(map(show, cells)) for cells in box.rows) + "]"
