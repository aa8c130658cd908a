"""Cutting an expression into tokens, and finding what is wrong with it while its text is still at hand.

Names and numbers alternate with operators, and parentheses match: what passes here is almost always an expression of
Python. So mistakes are named in the words of mathematics, at their column, and Python's own parser sees nothing but
placeholders: neither names (``lambda`` is as good as any) nor numbers reach it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from symdescent.errors import StatementError

LONGEST = 10_000  # characters
MOST_TOKENS = 3_000
DEEPEST = 60  # levels of nesting
SHOWN = 72  # characters of the line that an error shows


class ExpressionError(StatementError):
    """A text that is no expression, or none that is read: what is wrong, and where.

    >>> print(ExpressionError("a value is missing", "2*", 2, "the loss"))
    the loss, column 3: a value is missing
      2*
        ^
    """

    def __init__(self, reason: str, text: str, column: int, label: str = "the expression") -> None:
        self.reason, self.text, self.column, self.label = reason, text, column, label
        where = f", column {column + 1}" if text.strip() else ""
        super().__init__(f"{label}{where}: {reason}" + (f"\n{_pointed_at(text, column)}" if where else ""))


def _pointed_at(text: str, column: int) -> str:
    """The part of a text around a column, and a caret below it."""
    first = max(0, column - SHOWN // 2)
    part = "".join(letter if letter.isprintable() else " " for letter in text[first : first + SHOWN])
    before = "…" if first else ""
    after = "…" if first + SHOWN < len(text) else ""
    width = sum(_width(letter) for letter in before + part[: column - first])
    return f"  {before}{part}{after}\n  {' ' * width}^"


def _width(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


@dataclass(frozen=True, slots=True)
class Token:
    """A part of the text: ``kind`` is "name", "number", "(", ")", ",", "operator", "sign" (+ and -) or "end"."""

    kind: str
    text: str
    column: int


NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
OPERATORS = ("**", "<=", ">=", "==", "!=", "+", "-", "*", "/", "%", "<", ">", "(", ")", ",")
WORDS = ("and", "or", "not", "if", "else")
ALIKE = {"−": "-", "–": "-", "·": "*", "⋅": "*", "×": "*", "∗": "*", "÷": "/", "≤": "<=", "≥": ">=", "≠": "!="}
_INSTEAD = "state a loss per sample with --samples, or use the Python interface"
REFUSED = {
    "^": "^ is no power here: write **, as in x**2",
    "//": "// is not read: write floor(a/b)",
    "=": "= states an equation, and a loss is a number: write (left - right)**2; to compare, write ==",
    ".": "a point is read in numbers alone: there are no attributes",
    "[": f"there are no indices on the command line: {_INSTEAD}",
    "]": f"there are no indices on the command line: {_INSTEAD}",
    "{": "braces are not read: group with ( and )",
    "}": "braces are not read: group with ( and )",
    "\\": "LaTeX is not read: write Python's notation, as in sqrt(x)/2",
    "$": "LaTeX is not read: write Python's notation, as in sqrt(x)/2",
    "'": "text is not read: names are written without quotation marks",
    '"': "text is not read: names are written without quotation marks",
    "!": "! is not read: write factorial(n), or not for a condition",
    "|": "| is not read: write Abs(x), or or for conditions",
    "&": "& is not read: write and",
    "~": "~ is not read: write not",
    "@": "@ is not read: matrices are stated in the Python interface",
    ";": "; is not read: give one expression",
    ":": ": is not read: give one expression",
    "√": "√ is not read: write sqrt(x)",
    "∑": f"∑ is not read: {_INSTEAD}",
    "#": "# is not read: give one expression",
}


def folded(name: str) -> str:
    """A name in the form that Python compares (NFKC): the micro sign µ is the letter μ."""
    return unicodedata.normalize("NFKC", name)


def is_name(text: str) -> bool:
    """Whether a text is one name: letters, digits and underscores, not beginning with a digit."""
    return text.isidentifier() and text not in WORDS


def tokens(text: str, label: str = "the expression") -> list[Token]:
    """The tokens of an expression in which values and operators alternate and parentheses match.

    Raises `ExpressionError` for anything else, at its column.

    >>> [token.text for token in tokens("2*lambda + f(µ)")] == ["2", "*", "lambda", "+", "f", "(", "μ", ")", ""]
    True
    """
    if len(text) > LONGEST:
        raise ExpressionError(
            f"{label} has {len(text)} characters, and {LONGEST} are read: state it in the Python interface",
            text,
            LONGEST,
            label,
        )
    found = list(_cut(text, label))
    if len(found) > MOST_TOKENS:
        raise ExpressionError(
            f"{label} has more than {MOST_TOKENS} names, numbers and operators: state it in the Python interface",
            text,
            found[MOST_TOKENS].column,
            label,
        )
    _Grammar(found, text, label).check()
    return found


def _cut(text: str, label: str) -> Iterator[Token]:
    place = 0
    while place < len(text):
        letter = text[place]
        number = NUMBER.match(text, place)
        if letter.isspace():
            place += 1
        elif number:
            yield Token("number", number[0], place)
            place = number.end()
        elif letter.isidentifier():
            end = place + 1
            while end < len(text) and ("a" + text[end]).isidentifier() and text[end] not in ALIKE:
                end += 1
            name = folded(text[place:end])
            yield Token("operator" if name in WORDS else "name", name, place)
            place = end
        else:
            token, length = _mark(text, place, label)
            yield token
            place += length
    yield Token("end", "", len(text.rstrip()))


def _mark(text: str, place: int, label: str) -> tuple[Token, int]:
    """An operator or parenthesis, and its length in the text."""
    if text.startswith("//", place):
        raise ExpressionError(REFUSED["//"], text, place, label)
    for mark in OPERATORS:
        if text.startswith(mark, place):
            kind = "sign" if mark in "+-" else mark if mark in "()," else "operator"
            return Token(kind, mark, place), len(mark)
    letter = text[place]
    if letter in ALIKE:
        mark = ALIKE[letter]
        return Token("sign" if mark == "-" else "operator", mark, place), 1
    digits = unicodedata.normalize("NFKC", letter)
    if letter in REFUSED:
        reason = REFUSED[letter]
    elif digits.isdigit() and digits.isascii():
        reason = f"the digit {letter} is not read here: write **{digits} for a power"
    else:
        reason = f"the character {letter!a} is not read" if not letter.isprintable() else f"{letter} is not read"
    raise ExpressionError(reason, text, place, label)


class _Grammar:
    """One pass over the tokens: a value, an operator, a value, …, with parentheses and ``a if c else b``."""

    def __init__(self, found: Sequence[Token], text: str, label: str) -> None:
        self.tokens, self.text, self.label = found, text, label
        self.opened: list[Token] = []  # parentheses
        self.pending: list[list[Token]] = [[]]  # in each of them, the ifs that wait for their else

    def fail(self, reason: str, token: Token) -> NoReturn:
        raise ExpressionError(reason, self.text, token.column, self.label)

    def check(self) -> None:
        """Raise `ExpressionError` at the first token that is out of place."""
        if len(self.tokens) == 1:
            self.fail("there is nothing to read", self.tokens[0])
        wants_value, prefixes, before = True, 0, None
        for token in self.tokens:
            if wants_value:
                prefixes = prefixes + 1 if token.kind == "sign" or token.text == "not" else 0
                if prefixes + len(self.opened) > DEEPEST:
                    self.fail(f"{self.label} is nested more than {DEEPEST} levels deep", token)
                wants_value = self._value(token, before)
            else:
                wants_value = self._operator(token, before)
            before = token

    def _value(self, token: Token, before: Token | None) -> bool:
        """Where a value is expected; whether it still is afterwards."""
        if token.kind in ("name", "number"):
            return False
        if token.kind == "sign" or (token.kind == "operator" and token.text == "not"):
            return True
        if token.kind == "(":
            self._open(token)
            return True
        if token.kind == "end":
            after = f" after {before.text}" if before else ""
            self.fail(f"{self.label} ends where a value is expected{after}", token)
        if before is not None and before.kind == "(" and token.kind == ")":
            self.fail("there is nothing between the parentheses", token)
        after = f" between {before.text} and {token.text}" if before else f" before {token.text}"
        self.fail(f"a value is missing{after}", token)

    def _operator(self, token: Token, before: Token | None) -> bool:
        """Where an operator is expected; whether a value is expected afterwards."""
        assert before is not None
        if token.kind == "(" and before.kind == "name":
            self._open(token)
            return True
        if token.kind in ("name", "number", "("):
            shown = "(" if token.kind == "(" else token.text
            between = f"an operator is missing between {before.text} and {shown}"
            call = f", to apply a function, {before.text}({shown})" if token.kind == before.kind == "name" else ""
            self.fail(f"{between}: to multiply, write {before.text}*{shown}{call}", token)
        if token.text == "not":
            self.fail("an operator is missing before not", token)
        if token.kind in (")", "end"):
            self._close(token)
            return False
        if token.kind == ",":
            if not self.opened:
                self.fail("a comma is read between the arguments of a function: give one expression, a number", token)
            self._no_pending()
        elif token.text == "if":
            self.pending[-1].append(token)
        elif token.text == "else":
            if not self.pending[-1]:
                self.fail("there is no if before this else: write a if condition else b", token)
            self.pending[-1].pop()
        return True

    def _open(self, token: Token) -> None:
        self.opened.append(token)
        self.pending.append([])

    def _close(self, token: Token) -> None:
        self._no_pending()
        if token.kind == "end":
            if self.opened:
                self.fail("this parenthesis is not closed", self.opened[-1])
        elif not self.opened:
            self.fail("this parenthesis was not opened", token)
        else:
            self.opened.pop()
            self.pending.pop()

    def _no_pending(self) -> None:
        if self.pending[-1]:
            self.fail("this if has no else: write a if condition else b", self.pending[-1][-1])
