r"""LaTeX: a fragment for notebooks, or a document that pdfLaTeX compiles as it is."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import sympy as sp

from symdescent.derivation.layout import formula_box
from symdescent.derivation.layout.boxes import (
    Box,
    Op,
)
from symdescent.derivation.layout.breaking import broken
from symdescent.derivation.layout.sizes import width
from symdescent.derivation.page import Block, Chain, Heading, Line, Notation, Paragraph, Part, Table
from symdescent.derivation.render.common import number_box, numeric_columns
from symdescent.derivation.render.tex import beside, mathematics, tex, words_in_math

COLUMNS = 80
"""About how wide a line of a formula may be, in characters."""


def formula(expression: Any, notation: Notation) -> str:
    """One formula, without dollar signs."""
    return tex(formula_box(expression, notation)).strip()


# -- pieces that fragments, documents and Markdown share -------------------------------------------------------------


def words(parts: Iterable[Part], notation: Notation, command: str = "text") -> str:
    """Words and formulas as one formula."""
    pieces = []
    for is_text, group in groupby(parts, key=lambda part: isinstance(part, str)):
        if is_text:
            pieces.append(words_in_math("".join(map(str, group)), command))
        else:
            pieces += [formula(part, notation) for part in group]
    return beside(pieces)


def remarks(line: Line, notation: Notation) -> tuple[str, str]:
    """The name of the rule, and what is said beside it, as formulas."""
    if not notation.rules:
        return "", ""
    rule = words(("(", *line.rule, ")"), notation) if line.rule else ""
    said = [formula(condition, notation) for condition in line.conditions]
    said += [words(line.note, notation)] if line.note else []
    return rule, r";\ ".join(said)


def sides(line: Line, notation: Notation, is_first: bool) -> str:
    """The left side and the sign after it, aligned there; a chain may begin with a formula that has neither."""
    if line.left is None:
        return "&" if is_first else f"&{tex(Op(line.relation, 'mark'))}"
    return f"{formula(line.left, notation)} &{tex(Op(line.relation, 'mark'))}"


def parts_of(line: Line, notation: Notation, columns: float = COLUMNS) -> list[Box]:
    """The right-hand side in lines."""
    return broken(formula_box(line.right, notation), columns)


def aligned(block: Chain, notation: Notation) -> str:
    r"""A chain as an ``aligned`` environment, the rules in a column on the right."""
    notation = block.settled(notation)
    rows: list[str] = []
    for line in block.lines:
        first, *more = (tex(part).strip() for part in parts_of(line, notation))
        lines = [f"{sides(line, notation, not rows)} {first}", *(f"&\\quad {part}" for part in more)]
        rule, said = remarks(line, notation)
        small = rf"{{\scriptstyle {said}}}" if said else ""
        if rule and len(said) > 60:
            lines += [f"&&& {small}"]
            small = ""
        told = r"\;".join(filter(None, (rule, small)))
        place = -1 if lines[-1].startswith("&&&") is False else -2
        lines[place] += f" && {told}" if told else ""
        rows += lines
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def cell(value: Any, digits: int, notation: Notation) -> str:
    """A cell of a table as a formula."""
    if isinstance(value, (str, sp.Basic)):
        return words([value], notation)
    return tex(number_box(value, digits))


# -- fragments -------------------------------------------------------------------------------------------------------


def fragment(page: Sequence[Block], notation: Notation) -> str:
    """A page as display formulas with text between them."""
    return "\n\n".join(_FRAGMENTS[type(block)](block, notation) for block in page)


def _display(inside: str) -> str:
    return f"$$\n{inside}\n$$"


def _array(block: Table, notation: Notation) -> str:
    shape = "".join("r" if numeric else "l" for numeric in numeric_columns(block))
    head = " & ".join(words([part], notation) for part in block.head)
    rows = [" & ".join(cell(value, block.digits, notation) for value in cells) for cells in block.rows]
    lines = " \\\\\n".join([f"{head} \\\\ \\hline", *rows]).replace("\\hline \\\\", "\\hline")
    return f"\\begin{{array}}{{{shape}}}\n{lines}\n\\end{{array}}"


_FRAGMENTS: dict[type, Any] = {
    Heading: lambda block, notation: f"${words(block.parts, notation, 'textbf')}$",
    Paragraph: lambda block, notation: running(block.parts, notation),
    Chain: lambda block, notation: _display(aligned(block, notation)),
    Table: lambda block, notation: _display(_array(block, notation)),
}


# -- running text ----------------------------------------------------------------------------------------------------

_TEXT = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "%": r"\%", "&": r"\&", "#": r"\#", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip


def escaped(words: str) -> str:
    """Running text for LaTeX."""
    pieces = []
    for is_tex, group in groupby(mathematics(words), key=itemgetter(0)):
        parts = [part for _, part in group]
        pieces.append(f"${beside(parts)}$" if is_tex else "".join(map(_letter, "".join(parts))))
    return "".join(pieces)


def _letter(letter: str) -> str:
    return _TEXT.get(letter, letter if letter.isprintable() else " ")


def running(parts: Iterable[Part], notation: Notation) -> str:
    """Running text with formulas between dollar signs."""
    text = ""
    for part in parts:
        piece = escaped(part) if isinstance(part, str) else f"${formula(part, notation)}$"
        text += f" {piece}" if text.endswith("$") and piece.startswith("$") else piece
    return text


# -- documents -------------------------------------------------------------------------------------------------------

_PREAMBLE = r"""\documentclass[11pt,a4paper,fleqn]{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage{amsmath,amssymb,graphicx,longtable}
\usepackage[margin=2cm]{geometry}
\setlength{\parindent}{0pt}
\setlength{\parskip}{6pt}
\setlength{\mathindent}{0pt}
\setlength{\jot}{6pt}
\renewcommand{\arraystretch}{1.15}
\allowdisplaybreaks
\AtBeginDocument{\setlength{\abovedisplayskip}{0pt}\setlength{\abovedisplayshortskip}{0pt}}
% a rule's name and a remark below it, in several lines where they are long
\newsavebox{\wording}
\newcommand{\wrapped}[2]{\sbox{\wording}{#1#2}\ifdim\wd\wording>0.42\linewidth
  \parbox[t]{0.42\linewidth}{\raggedleft#1#2\strut}\else\usebox{\wording}\fi}
\newcommand{\rulename}[1]{\wrapped{\small\itshape}{#1}}
\newcommand{\remark}[1]{\wrapped{\footnotesize}{#1}}
\newcommand{\below}[2]{\begin{tabular}[t]{@{}r@{}}#1\\[-1pt]#2\end{tabular}}
\begin{document}
"""


def document(page: Sequence[Block], notation: Notation, title: str) -> str:
    """A page as an article."""
    body = "\n\n".join(_DOCUMENTS[type(block)](block, notation) for block in page)
    text = f"{_PREAMBLE}\n\\section*{{{escaped(title)}}}\n\n{body}\n\n\\end{{document}}\n"
    return "".join(letter if _is_known(letter) else f"\\texttt{{[U+{ord(letter):04X}]}}" for letter in text)


def _is_known(letter: str) -> bool:
    """Whether pdfLaTeX's own fonts have a character: ASCII, and Latin letters with their accents."""
    if letter.isascii() or letter in "ßæœøłđþðÆŒØŁĐÞÐıȷ¡¿«»‘’“”–—…§©ªº°":
        return True
    parts = unicodedata.normalize("NFD", letter)
    base, marks = parts[0], parts[1:]
    accents = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327\u0328"
    return base.isascii() and len(marks) == 1 and marks[0] in accents and ord(letter) < 0x180


def _align(block: Chain, notation: Notation) -> str:
    notation = block.settled(notation)
    rows: list[str] = []
    for line in block.lines:
        first, *more = (_fitted(part) for part in parts_of(line, notation, 80))
        lines = [f"{sides(line, notation, not rows)} {first}", *(f"&\\quad {part}" for part in more)]
        told = _told(line, notation) if notation.rules else ""
        rows += [*lines[:-1], f"{lines[-1]} \\tag*{{{told}}}" if told else lines[-1]]
    return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"


def _told(line: Line, notation: Notation) -> str:
    rule = f"\\rulename{{{running(line.rule, notation)}}}" if line.rule else ""
    said = [running([condition], notation) for condition in line.conditions]
    said += [running(line.note, notation)] if line.note else []
    remark = f"\\remark{{{'; '.join(said)}}}" if said else ""
    return f"\\below{{{rule}}}{{{remark}}}" if rule and remark else rule + remark


def _fitted(part: Box) -> str:
    """A line of a formula, made smaller where nothing else helps."""
    text = tex(part).strip()
    return text if width(part) < 100 else rf"\resizebox{{0.9\linewidth}}{{!}}{{$\displaystyle {text}$}}"


def _tabular(block: Table, notation: Notation) -> str:
    shape = "".join("r" if numeric else "l" for numeric in numeric_columns(block))
    head = " & ".join(running([part], notation) for part in block.head)
    rows = [" & ".join(_table_cell(value, block.digits, notation) for value in cells) for cells in block.rows]
    lines = " \\\\\n".join(rows)
    return f"\\begin{{tabular}}{{{shape}}}\n{head} \\\\\n\\hline\\rule{{0pt}}{{2.7ex}}%\n{lines}\n\\end{{tabular}}"


def _table_cell(value: Any, digits: int, notation: Notation) -> str:
    return escaped(value) if isinstance(value, str) else f"${cell(value, digits, notation)}$"


_DOCUMENTS: dict[type, Any] = {
    Heading: lambda block, notation: f"\\subsection*{{{running(block.parts, notation)}}}",
    Paragraph: lambda block, notation: running(block.parts, notation),
    Chain: _align,
    Table: _tabular,
}
