r"""Layout boxes as TeX mathematics that pdfLaTeX, KaTeX and MathJax all accept."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import singledispatch
from itertools import groupby

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
from symdescent.derivation.render.characters import ACCENTS, LETTERS, SIGNS, SUBSCRIPTS, SUPERSCRIPTS

DISPLAY, INLINE, SCRIPT = range(3)
"""How large a formula is set: on its own, within a fraction, as a script."""

_OPERATORS = "log exp sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan max min det"
_NAMED = frozenset(_OPERATORS.split())
_SPECIAL = {
    "\\": r"\backslash ", "{": r"\{", "}": r"\}", "$": r"{\$}", "%": r"\%", "&": r"\&", "#": r"\#", "_": r"\_",
    "^": r"{\wedge}", "~": r"{\sim}", "<": "{<}", ">": "{>}", "|": r"{\vert}", "`": r"\text{‘}",
    "*": "{*}", "'": r"\text{'}", '"': r"\text{''}",
}  # fmt: skip
_BRACKETS = {"(": "(", ")": ")", "[": "[", "]": "]", "⌊": r"\lfloor", "⌋": r"\rfloor", "⌈": r"\lceil", "⌉": r"\rceil"}


_SUBSCRIPTS = {small: letter for letter, small in SUBSCRIPTS.items()}
_SUPERSCRIPTS = {small: letter for letter, small in SUPERSCRIPTS.items() if small not in "′*"}
_MARKS = {mark: f"\\{name}" for name, mark in ACCENTS.items()}
_MATHEMATICS = re.compile(
    f"(?P<accent>.[{''.join(_MARKS)}])|(?P<sub>[{''.join(_SUBSCRIPTS)}]+)|(?P<sup>[{''.join(_SUPERSCRIPTS)}]+)"
    f"|(?P<sign>[{''.join(sign for sign in LETTERS | SIGNS if not sign.isascii())}])"
)


def mathematics(words: str) -> Iterator[tuple[bool, str]]:
    """The parts of running text: TeX of what only mathematics has characters for (True), and plain text (False)."""
    words, place = "".join(map(_composed, words)), 0
    for found in _MATHEMATICS.finditer(words):
        if found.start() > place:
            yield False, words[place : found.start()]
        yield True, _READ[str(found.lastgroup)](found.group())
        place = found.end()
    if place < len(words):
        yield False, words[place:]


def _composed(letter: str) -> str:
    """Letters that fonts of text have stay whole; others are parted from their accents."""
    return letter if ord(letter) < 0x180 else unicodedata.normalize("NFD", letter)


_READ: dict[str, Callable[[str], str]] = {
    "accent": lambda text: f"{_MARKS[text[1]]}{{{LETTERS.get(text[0]) or words_in_math(text[0], 'mathit')}}}",
    "sub": lambda text: f"_{{{''.join(map(_sign, map(_SUBSCRIPTS.__getitem__, text)))}}}",
    "sup": lambda text: f"^{{{''.join(map(_sign, map(_SUPERSCRIPTS.__getitem__, text)))}}}",
    "sign": lambda text: _sign(text),
}


def _sign(sign: str) -> str:
    return LETTERS.get(sign) or (sign if sign.isascii() else SIGNS[sign])


def words_in_math(words: str, command: str = "text") -> str:
    r"""Text inside a formula; what TeX or Markdown would read as a command becomes a sign of mathematics.

    >>> words_in_math("50% if x_1")
    '\\text{50}\\%\\text{ if x}\\_\\text{1}'
    """
    return "".join(f"{{{part}}}" if is_tex else _texts(part, command) for is_tex, part in mathematics(words))


def _texts(words: str, command: str) -> str:
    return "".join(
        "".join(_SPECIAL[letter] for letter in group) if special else _text("".join(group), command)
        for special, group in groupby(words, _SPECIAL.__contains__)
    )


def _text(piece: str, command: str) -> str:
    return f"\\{command}{{{''.join(letter if letter.isprintable() else ' ' for letter in piece)}}}"


@singledispatch
def tex(box: Box, size: int = DISPLAY) -> str:
    """The TeX of a box."""
    raise TypeError(box)


# -- leaves ----------------------------------------------------------------------------------------------------------


@tex.register
def _(box: Name, size: int = DISPLAY) -> str:
    text = _letters(box)
    return f"\\{box.accent}{{{text}}}" if box.accent else text


def _letters(box: Name) -> str:
    bold = box.style == "bold"
    if box.text in LETTERS:
        return f"\\boldsymbol{{{LETTERS[box.text]}}}" if bold else LETTERS[box.text]
    if not (box.text.isascii() and box.text.isalnum()):
        return words_in_math(box.text, "textbf" if bold else "text")
    if bold:
        return f"\\mathbf{{{box.text}}}"
    return box.text if box.style == "italic" and len(box.text) == 1 else f"\\mathrm{{{box.text}}}"


@tex.register
def _(box: Number, size: int = DISPLAY) -> str:
    return box.digits


@tex.register(Function)
def _(box: Function, size: int = DISPLAY) -> str:
    if box.text in _NAMED:
        return f"\\{box.text}"
    plain = box.text.isascii() and box.text.isalnum()
    return f"\\operatorname{{{box.text}}}" if plain else words_in_math(box.text)


@tex.register
def _(box: Text, size: int = DISPLAY) -> str:
    return words_in_math(box.words)


@tex.register
def _(box: Given, size: int = DISPLAY) -> str:
    return box.latex


@tex.register
def _(box: Foreign, size: int = DISPLAY) -> str:
    return words_in_math(box.plain) if box.latex is None else box.latex


@tex.register
def _(box: Op, size: int = DISPLAY) -> str:
    sign = SIGNS.get(box.sign) or (box.sign if box.sign.isascii() else words_in_math(box.sign))
    if box.kind in ("prefix", "mark", "slash"):
        return sign
    if box.kind == "punctuation":
        return sign if size == SCRIPT else f"{sign} "
    return f" {sign} " if size != SCRIPT or sign.startswith("\\") else sign


@tex.register(Gap)
def _(box: Gap, size: int = DISPLAY) -> str:
    return r"\," if box.wide else ""


@tex.register
def _(box: Applied, size: int = DISPLAY) -> str:
    return r"\," if box.wide else " " * box.open


# -- what is built of boxes ------------------------------------------------------------------------------------------


@tex.register
def _(box: Row, size: int = DISPLAY) -> str:
    return beside(tex(item, size) for item in box.items)


def beside(pieces: Iterable[str]) -> str:
    r"""TeX side by side: a command is kept apart from the letter after it."""
    text = ""
    for piece in pieces:
        apart = re.search(r"\\[A-Za-z]+$", text) and piece[:1].isalpha()
        text += f" {piece}" if apart else piece
    return text


@tex.register
def _(box: Fraction, size: int = DISPLAY) -> str:
    inner = INLINE if size == DISPLAY else SCRIPT
    return f"\\frac{{{tex(box.numerator, inner)}}}{{{tex(box.denominator, inner)}}}"


@tex.register
def _(box: Scripts, size: int = DISPLAY) -> str:
    base = tex(box.base, size)
    bare = not isinstance(box.base, (Given, Foreign)) or re.fullmatch(r"\w|\\?\w+|\\\w+\{\w+\}", base)
    text = base if bare else f"{{{base}}}"
    for mark, script in (("_", box.sub), ("^", box.sup)):
        if script is not None:
            inside = tex(script, SCRIPT).strip()
            text += mark + (inside if len(inside) == 1 else f"{{{inside}}}")
    return text


@tex.register
def _(box: Root, size: int = DISPLAY) -> str:
    degree = f"[{tex(box.degree, SCRIPT)}]" if box.degree is not None else ""
    return f"\\sqrt{degree}{{{tex(box.radicand, size)}}}"


@tex.register
def _(box: Fence, size: int = DISPLAY) -> str:
    return _bracketed(box.kind, tex(box.body, size), _sizes(box.body, size))


def _sizes(body: Box, size: int) -> tuple[str, str]:
    r"""How brackets grow: not around letters, by \biggl around Σ (whose limits stand out), else as TeX would."""
    items = within(body)
    if height(body) < 1.5:
        nested = size != SCRIPT and any(isinstance(getattr(item, "base", item), Fence) for item in items)
        return (r"\bigl", r"\bigr") if nested else ("", "")
    if size == DISPLAY and any(isinstance(item, Big) for item in items):
        return r"\biggl", r"\biggr"
    return r"\left", r"\right"


def _bracketed(kind: str, inside: str, sizes: tuple[str, str]) -> str:
    bars = {"||": (r"\lvert", r"\rvert"), "‖‖": (r"\lVert", r"\rVert")}
    marks = bars[kind] if kind in bars else (_BRACKETS[kind[0]], _BRACKETS[kind[1]])
    return beside((sizes[0] + marks[0], inside, sizes[1] + marks[1]))


@tex.register
def _(box: Delimiter, size: int = DISPLAY) -> str:
    side = "l" if box.opening else "r"
    bars = {"|": f"\\{side}vert", "‖": f"\\{side}Vert"}
    sign = bars[box.sign] if box.sign in bars else _BRACKETS[box.sign]
    return sign if box.height < 1.5 else f"\\bigg{side}{sign}"


@tex.register
def _(box: Big, size: int = DISPLAY) -> str:
    sign = {"∑": r"\sum", "∏": r"\prod"}[box.sign]
    if box.lower is None or box.upper is None:
        return tex(Scripts(Given(sign, box.index), box.index), size).removeprefix("{" + sign + "}").join((sign, " "))
    return f"{sign}_{{{tex(box.index, SCRIPT)}={tex(box.lower, SCRIPT)}}}^{{{tex(box.upper, SCRIPT)}}} "


@tex.register
def _(box: At, size: int = DISPLAY) -> str:
    return f"\\left. {tex(box.body, size)} \\right|_{{{tex(box.condition, SCRIPT)}}}"


@tex.register
def _(box: Cases, size: int = DISPLAY) -> str:
    lines = [f"{tex(value, INLINE)} & {tex(condition, INLINE)}" for value, condition in box.rows]
    return f"\\begin{{cases}} {_rows(lines)} \\end{{cases}}"


@tex.register
def _(box: Grid, size: int = DISPLAY) -> str:
    lines = [" & ".join(tex(cell, INLINE) for cell in cells) for cells in box.rows]
    return f"\\begin{{bmatrix}} {_rows(lines)} \\end{{bmatrix}}"


def _rows(lines: list[str]) -> str:
    return " \\\\ ".join(lines)
