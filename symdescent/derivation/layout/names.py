"""How identifiers look: Greek names to Greek letters, digits and underscores to subscripts, words upright.

A name that does not fit this pattern is shown as it is, upright; renderers escape it for their format.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from symdescent.derivation.layout.boxes import COMMA, Box, Given, Name, Number, Op, Scripts, joined, row
from symdescent.derivation.layout.given import parsed
from symdescent.derivation.page import Notation

_SMALL = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho varsigma sigma tau "
    "upsilon varphi chi psi omega"
)
_CAPITALS = "gamma delta theta lambda xi pi sigma upsilon psi omega"
LETTERS = {name: chr(0x3B1 + place) for place, name in enumerate(_SMALL.split())}
LETTERS |= {name.capitalize(): LETTERS[name].upper() for name in _CAPITALS.split()}
LETTERS |= {"Phi": "Φ", "vartheta": "ϑ", "ell": "ℓ"}
GREEK = LETTERS | {"epsilon": "ε", "phi": "φ", "lam": "λ", "lamda": "λ"}
ACCENTS = {"\u0302": "hat", "\u0304": "bar", "\u0303": "tilde", "\u20d7": "vec", "\u0307": "dot", "\u0308": "ddot"}
MARKS = {"star": Op("⋆", "mark"), "prime": Op("′", "mark")}

_LETTER = r"[^\W\d_]"
_SCRIPT = rf"_(?:\{{[\w,]+\}}|(?:{_LETTER}|\d)+)"
_PLAIN = re.compile(rf"(?P<head>{_LETTER}+)(?P<digits>\d*)(?P<parts>(?:{_SCRIPT})*)(?P<primes>'*)")
_PART = re.compile(rf"_(?:\{{([\w,]+)\}}|((?:{_LETTER}|\d)+))")


def name_box(name: str, style: str = "") -> Box:
    """The boxes of a name; `style` is "bold" or "arrow" for vectors and matrices, else "".

    >>> name_box("w_1")
    Scripts(base=Name(text='w', style='italic', accent=''), sub=Number(digits='1'), sup=None)
    >>> name_box("theta_hat")
    Name(text='θ', style='italic', accent='hat')
    """
    found = _PLAIN.fullmatch(name)
    if found is None:
        return Name(name if name.strip() else "?", "upright")
    subscripts: list[Box] = [Number(found["digits"])] if found["digits"] else []
    letter, accent = _parted(_letter(found["head"]))
    accent = "vec" if style == "arrow" else accent
    mark: Box | None = row(*[MARKS["prime"]] * len(found["primes"])) if found["primes"] else None
    for braced, bare in _PART.findall(found["parts"]):
        if bare in ACCENTS.values():
            accent = bare
        elif bare in MARKS:
            mark = MARKS[bare]
        elif braced:
            subscripts += [row(*_letters(part)) for part in braced.split(",") if part]
        else:
            subscripts.append(_subscript(bare))
    shape = "bold" if style == "bold" else "italic" if len(letter) == 1 else "upright"
    base = Name(letter, shape, accent)
    return Scripts(base, joined(subscripts, COMMA) if subscripts else None, mark) if subscripts or mark else base


def _letter(head: str) -> str:
    """The letter of a Greek name; with its accent where the name ends in one, as in SymPy: mhat, thetabar."""
    for mark, accent in ACCENTS.items():
        stem = head.removesuffix(accent)
        if stem != head and (len(stem) == 1 or stem in GREEK):
            return unicodedata.normalize("NFC", GREEK.get(stem, stem) + mark)
    return GREEK.get(head, head)


def _parted(letter: str) -> tuple[str, str]:
    """A letter and the accent on it: ŵ is a w with a hat."""
    base, mark, *more = (*unicodedata.normalize("NFD", letter), "", "")
    return (base, ACCENTS[mark]) if mark in ACCENTS and not any(more) else (letter, "")


def _subscript(part: str) -> Box:
    """A subscript without braces: indices as in w_ij, else a word or a number."""
    if len(part) <= 3 and all(letter in "ijklmn0123456789" for letter in part):
        return row(*_letters(part))
    return Number(part) if part.isdecimal() else _word(part)


def _word(word: str) -> Box:
    letter = GREEK.get(word, word)
    return Name(letter, "italic" if len(letter) == 1 else "upright")


def _letters(part: str) -> list[Box]:
    """Single letters, numbers and Greek names."""
    if part in GREEK:
        return [Name(GREEK[part])]
    pieces = re.findall(r"\d+|\D", part)
    return [Number(piece) if piece.isdecimal() else Name(piece) for piece in pieces]


def symbol_box(symbol: Any, name: str, notation: Notation, style: str = "") -> Box:
    """The boxes of a symbol, under the name that the notation gives it."""
    names = notation.names
    given = names.get(symbol, names.get(name)) if names else None
    return name_box(name, style) if given is None else Given(given, parsed(given))


def indexed_box(base: Box, indices: Sequence[Box]) -> Box:
    """A base with subscripts: X_{ij}, with commas where an index is more than a letter or a digit."""
    if isinstance(base, Scripts):
        before = [base.sub] if base.sub is not None else []
        return Scripts(base.base, joined([*before, *indices], COMMA) if before else _indices(indices), base.sup)
    return Scripts(base, _indices(indices))


def _indices(indices: Sequence[Box]) -> Box:
    single = all(
        (isinstance(index, Name) and len(index.text) == 1) or (isinstance(index, Number) and len(index.digits) == 1)
        for index in indices
    )
    return row(*indices) if single else joined(list(indices), COMMA)
