"""Layout boxes as presentation MathML."""

from __future__ import annotations

from functools import singledispatch
from html import escape

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
from symdescent.derivation.layout.sizes import height

TIMES, APPLY = "&#x2062;", "&#x2061;"  # invisible signs, which are read aloud
SPACE = '<mspace width="0.17em"/>'
ACCENTS = {"hat": "ˆ", "bar": "¯", "tilde": "~", "vec": "→", "dot": "˙", "ddot": "¨"}


def clean(words: str) -> str:
    """Text for HTML and XML."""
    return escape("".join(letter if letter.isprintable() else " " for letter in words))


@singledispatch
def mathml(box: Box) -> str:
    """The MathML of a box: one element, or for a row its elements."""
    raise TypeError(box)


def one(box: Box) -> str:
    """The MathML of a box as one element."""
    return (
        f"<mrow>{mathml(box)}</mrow>"
        if isinstance(box, (Row, Gap, Applied, Fence, Given, Cases, Grid, Scripts))
        else mathml(box)
    )


# -- leaves ----------------------------------------------------------------------------------------------------------


@mathml.register
def _(box: Name) -> str:
    shape = "" if box.style == "italic" else ' mathvariant="normal"'
    text = "".join(map(_bold, box.text)) if box.style == "bold" else clean(box.text)
    letter = f"<mi{shape}>{text or '&#160;'}</mi>"
    return f'<mover>{letter}<mo stretchy="false">{ACCENTS[box.accent]}</mo></mover>' if box.accent else letter


_FIRST_BOLD = {"A": ("Z", 0x1D400), "a": ("z", 0x1D41A), "0": ("9", 0x1D7CE), "Α": ("Ω", 0x1D6A8), "α": ("ω", 0x1D6C2)}


def _bold(letter: str) -> str:
    """The bold letter of mathematics, which fonts draw better than they embolden."""
    for start, (end, first) in _FIRST_BOLD.items():
        if start <= letter <= end:
            return chr(first + ord(letter) - ord(start))
    return clean(letter)


@mathml.register
def _(box: Number) -> str:
    return f"<mn>{box.digits}</mn>"


@mathml.register
def _(box: Function) -> str:
    return f'<mi mathvariant="normal">{clean(box.text)}</mi>'


@mathml.register
def _(box: Text) -> str:
    return f"<mtext>{clean(box.words).replace(' ', '&#160;')}</mtext>"


@mathml.register
def _(box: Foreign) -> str:
    return f"<mtext>{clean(box.plain)}</mtext>"


@mathml.register
def _(box: Given) -> str:
    return mathml(box.box)


@mathml.register
def _(box: Op) -> str:
    sign = clean(box.sign)
    if box.kind == "prefix":
        return f'<mo form="prefix">{sign}</mo>'
    if box.kind == "mark":
        return f'<mi mathvariant="normal">{sign}</mi>'
    if box.kind == "slash":
        return f'<mo lspace="0" rspace="0" stretchy="false">{sign}</mo>'
    space = ' lspace="0.3em" rspace="0.3em"' if sign.isalpha() else ""
    form = ' form="infix"' if box.kind == "binary" else ""  # also where a line begins with it
    return f"<mo{form}{space}>{sign}</mo>"


@mathml.register(Gap)
def _(box: Gap) -> str:
    return f"<mo>{TIMES}</mo>{SPACE if box.wide else ''}"


@mathml.register(Applied)
def _(box: Applied) -> str:
    return f"<mo>{APPLY}</mo>{SPACE if box.wide else ''}"


# -- what is built of boxes ------------------------------------------------------------------------------------------


@mathml.register
def _(box: Row) -> str:
    return "".join(map(mathml, box.items))


@mathml.register
def _(box: Fraction) -> str:
    return f"<mfrac>{one(box.numerator)}{one(box.denominator)}</mfrac>"


@mathml.register
def _(box: Scripts) -> str:
    scripts = [(name, script) for name, script in (("sub", box.sub), ("sup", box.sup)) if script is not None]
    tag, base, strut = "m" + "".join(name for name, _ in scripts), one(box.base), ""
    if isinstance(box.base, Fence) and _has_sum(box.base.body):  # a power stands at the bracket, not above the limits
        base = f'<mpadded height="1.35em">{base}</mpadded>'
        strut = '<mspace width="0" height="1.8em"/>'
    return f"<{tag}>{base}{''.join(one(script) for _, script in scripts)}</{tag}>{strut}"


def _has_sum(body: Box) -> bool:
    return any(isinstance(item, Big) for item in within(body))


@mathml.register
def _(box: Root) -> str:
    if box.degree is None:
        return f"<msqrt>{mathml(box.radicand)}</msqrt>"
    return f"<mroot>{one(box.radicand)}{one(box.degree)}</mroot>"


def _bracket(sign: str, opening: bool, body: Box) -> str:
    """A bracket, which grows with fractions, but only a little with Σ, whose limits stand out."""
    form = "prefix" if opening else "postfix"
    if height(body) < 1.5:
        size = ' stretchy="false"'
    elif _has_sum(body):
        size = ' stretchy="true" symmetric="true" minsize="2em" maxsize="2em"'
    else:
        size = ' stretchy="true"'
    return f'<mo form="{form}" fence="true"{size}>{sign}</mo>'


@mathml.register
def _(box: Fence) -> str:
    return _bracket(box.kind[0], True, box.body) + mathml(box.body) + _bracket(box.kind[1], False, box.body)


@mathml.register
def _(box: Delimiter) -> str:
    form = "prefix" if box.opening else "postfix"
    size = "" if box.height < 1.5 else ' symmetric="true" minsize="2em" maxsize="2em"'
    return f'<mo form="{form}" fence="true" stretchy="{str(bool(size)).lower()}"{size}>{box.sign}</mo>'


@mathml.register
def _(box: Big) -> str:
    sign = f'<mo movablelimits="true">{box.sign}</mo>'
    if box.lower is None or box.upper is None:
        return f"<munder>{sign}{one(box.index)}</munder>"
    lower = f"<mrow>{mathml(box.index)}<mo>=</mo>{mathml(box.lower)}</mrow>"
    return f"<munderover>{sign}{lower}{one(box.upper)}</munderover>"


@mathml.register
def _(box: At) -> str:
    bar = '<mo form="postfix" fence="true" stretchy="true">|</mo>'
    return f"<msub><mrow>{mathml(box.body)}{bar}</mrow>{one(box.condition)}</msub>"


@mathml.register
def _(box: Cases) -> str:
    rows = "".join(f"<mtr>{_cell(value)}{_cell(condition)}</mtr>" for value, condition in box.rows)
    return f'<mo form="prefix" fence="true" stretchy="true">{{</mo><mtable class="cases">{rows}</mtable>'


@mathml.register
def _(box: Grid) -> str:
    rows = "".join(f"<mtr>{''.join(map(_cell, cells))}</mtr>" for cells in box.rows)
    sides = [
        f'<mo form="{form}" fence="true" stretchy="true">{sign}</mo>'
        for form, sign in (("prefix", "["), ("postfix", "]"))
    ]
    return f"{sides[0]}<mtable>{rows}</mtable>{sides[1]}"


def _cell(box: Box) -> str:
    return f"<mtd>{mathml(box)}</mtd>"
