"""Pages: what derivations, traces, tables and studies of a loss hand to the renderers.

A page is a sequence of blocks. Formulas in it are SymPy expressions, often unevaluated ones (a product is shown as it
stands in the step that made it); text is plain text, escaped by the renderer. The same page is rendered to LaTeX,
Markdown, HTML and terminal text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import sympy as sp

from symdescent.errors import StatementError

Part: TypeAlias = Any  # running text is made of words and formulas: str, or a SymPy expression


@dataclass(frozen=True, slots=True)
class Heading:
    """A title."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text with formulas in it."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an aligned chain: ``left = right``, with the rule that led to it, and remarks.

    `left` is None where the line continues the one above. `conditions` are relations under which the rule holds.
    """

    right: sp.Basic
    left: sp.Basic | None = None
    rule: tuple[Part, ...] = ()
    note: tuple[Part, ...] = ()
    conditions: tuple[sp.Basic, ...] = ()
    relation: str = "="


@dataclass(frozen=True, slots=True)
class Chain:
    """Lines that are aligned at their relation signs."""

    lines: tuple[Line, ...]

    def settled(self, notation: Notation) -> Notation:
        """The notation, with d for the variables that nothing else stands beside in any line, else ∂."""
        seen: set[Any] = set()
        partial: set[Any] = set()
        for line in self.lines:
            for each in line.right.atoms(sp.Derivative):
                seen |= set(each.variables)
                if each.expr.free_symbols - set(each.variables):
                    partial |= set(each.variables)
        return replace(notation, ordinary=frozenset(seen - partial))


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a head; cells are texts, formulas or numbers (shown with `digits` significant digits)."""

    head: tuple[Part, ...]
    rows: tuple[tuple[Part | float | int, ...], ...]
    digits: int = 9


Block = Heading | Paragraph | Chain | Table


@dataclass(frozen=True, slots=True)
class Notation:
    r"""How formulas are written.

    ``names`` gives other names to symbols (``{"lam": r"\lambda_1"}`` keyed by symbol or name; LaTeX as it is, in
    the other formats without its commands); ``vectors`` is "bold", "arrow" or "plain"; ``derivative`` "partial" or
    "nabla", for the left-hand side of a gradient; ``times`` "" (juxtaposition), "cdot" or "times"; ``rules`` whether
    the names of rules are printed; ``language`` "en" or "es". These are the options of every `Rendered`.

    >>> import symdescent as sd
    >>> b, x = sp.symbols("b x")
    >>> print(sd.Loss(b*x, b).derivation().text(names={b: r"\beta"}, times="cdot", rules=False))
    L = β · x
    <BLANKLINE>
    ∂L/∂β = ∂/∂β (β · x)
          = x
    """

    names: Mapping[Any, str] = field(default_factory=dict)
    vectors: str = "bold"
    derivative: str = "partial"
    times: str = ""
    rules: bool = True
    language: str = "en"
    ordinary: frozenset[Any] | None = None
    """The variables whose derivatives are written with d; None: those that nothing stands beside."""

    def __post_init__(self) -> None:
        for name in ("derivative", "times"):  # r"\nabla" and "·" are as good as "nabla" and "cdot"
            given = str(getattr(self, name)).lstrip("\\")
            object.__setattr__(self, name, {"·": "cdot", "×": "times", "∂": "partial", "∇": "nabla"}.get(given, given))
        for name, allowed in (
            ("vectors", ("bold", "arrow", "plain")),
            ("derivative", ("partial", "nabla")),
            ("times", ("", "cdot", "times")),
        ):
            if getattr(self, name) not in allowed:
                raise StatementError(f"{name}={getattr(self, name)!r} is not one of {', '.join(map(repr, allowed))}")


SUFFIXES = {".tex": "latex", ".md": "markdown", ".html": "html", ".txt": "text"}


class Rendered:
    """What has a page can be rendered: a mixin.

    `options` are those of `Notation`: ``names``, ``vectors``, ``derivative``, ``times``, ``rules``.

    >>> import symdescent as sd
    >>> isinstance(sd.Loss(sp.Symbol("w")**2).derivation(), Rendered)
    True
    """

    language: str = "en"

    def page(self, language: str | None = None) -> Sequence[Block]:
        """The blocks of the page, in a language."""
        raise NotImplementedError

    def title(self) -> str:
        """A title for documents."""
        return type(self).__name__

    def latex(self, standalone: bool = False, **options: Any) -> str:
        r"""LaTeX: ``$$\begin{aligned}…$$`` for notebooks; `standalone`, a document that compiles as it is.

        >>> import symdescent as sd
        >>> sd.Document("Sheet", ["# Problem 1"]).latex(standalone=True).splitlines()[-1]
        '\\end{document}'
        """
        from symdescent.derivation.render import latex

        page, notation = self._asked(options)
        return latex.document(page, notation, self.title()) if standalone else latex.fragment(page, notation)

    def markdown(self, **options: Any) -> str:
        """Markdown with LaTeX formulas between dollar signs.

        >>> import symdescent as sd
        >>> print(sd.Document("Sheet", ["# Problem 1", ("Find the minimum of ", sp.Symbol("w")**2, ".")]).markdown())
        # Sheet
        <BLANKLINE>
        ## Problem 1
        <BLANKLINE>
        Find the minimum of $w^2$.
        """
        from symdescent.derivation.render import markdown

        return markdown.document(*self._asked(options), self.title())

    def html(self, **options: Any) -> str:
        """A self-contained HTML page with MathML: it needs no network and no script.

        >>> import symdescent as sd
        >>> "<h2>Problem 1</h2>" in sd.Document("Sheet", ["# Problem 1"]).html()
        True
        """
        from symdescent.derivation.render import html

        return html.document(*self._asked(options), self.title())

    def text(self, **options: Any) -> str:
        """Plain Unicode text for a terminal.

        >>> import symdescent as sd
        >>> print(sd.Loss(sp.Symbol("w")**2).derivation().text())
        L = w²
        <BLANKLINE>
        dL/dw = d/dw w²
              = 2 w        power rule
        """
        from symdescent.derivation.render import text

        return text.document(*self._asked(options))

    def save(self, path: str | Path, **options: Any) -> Path:
        """Write a file, in the format that its suffix names: .tex (standalone), .md, .html or .txt.

        >>> import symdescent as sd, tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     sd.Document("Sheet", ["# Problem 1"]).save(f"{directory}/sheet.html").name
        'sheet.html'
        """
        path = Path(path)
        kind = SUFFIXES.get(path.suffix.lower())
        if kind is None:
            raise StatementError(f"{path.name} does not end in {', '.join(SUFFIXES)}: the suffix chooses the format")
        more = {"standalone": True} if kind == "latex" else {}
        path.write_text(getattr(self, kind)(**more, **options).rstrip("\n") + "\n", encoding="utf-8")
        return path

    def _asked(self, options: Mapping[str, Any]) -> tuple[Sequence[Block], Notation]:
        try:
            notation = replace(Notation(language=self.language), **options)
        except TypeError:
            known = ", ".join(Notation.__dataclass_fields__)
            raise StatementError(f"unknown option among {', '.join(options)}; the options are {known}") from None
        return self.page(notation.language), notation

    def __str__(self) -> str:
        return self.text()

    def _repr_latex_(self) -> str:
        return self.latex()
