"""`Step` and `Derivation`: what a derivation is made of, whatever notation it works in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import sympy as sp

from symdescent.derivation.page import Block, Chain, Line, Notation, Part, Rendered
from symdescent.derivation.wording import check_language, note_parts, rule_parts


@dataclass(frozen=True, slots=True)
class Said:
    """A key of the table of wordings with the formulas that it mentions."""

    key: str
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a derivation: ``before`` becomes ``after`` by a rule, under conditions.

    `before` and `after` are SymPy expressions, unevaluated where a line shows a product or sum as it arose;
    derivatives that are still to be carried out are ``Derivative(…, evaluate=False)``, or `Change` in matrix notation.

    >>> import symdescent as sd
    >>> sd.Loss((sp.Symbol("w") - 3)**2).derivation()[-1]
    Step('simplify', 2*(w - 3), 2*w - 6)
    """

    before: sp.Basic
    after: sp.Basic
    rules: tuple[Said, ...]
    remarks: tuple[Said, ...] = ()
    conditions: tuple[sp.Basic, ...] = ()
    language: str = "en"
    left: sp.Basic | None = None
    """A new left-hand side from this line on (matrix derivations end in the gradient that is read off)."""

    @property
    def rule(self) -> str:
        """The names of the rules, in words."""
        return in_words(self.rule_parts(self.language))

    @property
    def note(self) -> str:
        """The remarks, in words."""
        return in_words(self.note_parts(self.language))

    def rule_parts(self, language: str) -> tuple[Part, ...]:
        """The names of the rules as text and formulas."""
        return _joined([rule_parts(said.key, language, *said.args) for said in self.rules], ", ")

    def note_parts(self, language: str) -> tuple[Part, ...]:
        """The remarks as text and formulas."""
        return _joined([note_parts(said.key, language, *said.args) for said in self.remarks], "; ")

    def __repr__(self) -> str:
        return f"Step({self.rule!r}, {self.before}, {self.after})"


@dataclass(frozen=True, slots=True)
class Section:
    """The derivation by one parameter: the left-hand side, and the steps from its statement to the gradient."""

    left: sp.Basic
    steps: tuple[Step, ...]
    start: sp.Basic

    @property
    def result(self) -> sp.Basic:
        """The last line."""
        return self.steps[-1].after if self.steps else self.start


class Derivation(Rendered, Sequence[Step]):
    """A step-by-step derivation: a sequence of `Step`, in a section for each parameter.

    Every step was verified numerically when it was made. Render it with ``.latex()``, ``.markdown()``, ``.html()``,
    ``.text()`` or ``.save(path)``.

    >>> import symdescent as sd
    >>> steps = sd.Loss(sp.sin(sp.Symbol("w"))**2).derivation()
    >>> len(steps), steps.result
    (2, 2*sin(w)*cos(w))
    """

    def __init__(self, statement: tuple[sp.Basic, sp.Basic], sections: Sequence[Section], language: str = "en") -> None:
        self.language = check_language(language)
        self.statement = statement
        self.sections = tuple(
            replace(section, steps=tuple(replace(step, language=language) for step in section.steps))
            for section in sections
        )
        self._steps = tuple(step for section in self.sections for step in section.steps)

    @overload
    def __getitem__(self, place: int) -> Step: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Step]: ...
    def __getitem__(self, place: int | slice) -> Step | Sequence[Step]:
        return self._steps[place]

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps)

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, of all parameters."""
        return self._steps

    @property
    def result(self) -> sp.Basic:
        """What was derived: the last line (of the last parameter)."""
        return self.sections[-1].result

    def title(self) -> str:
        """A title for documents."""
        return {"en": "Derivation of a gradient", "es": "Deducción de un gradiente"}[self.language]

    def page(self, language: str | None = None) -> Sequence[Block]:
        """The blocks of the page, in a language."""
        language = check_language(language or self.language)
        blocks: list[Block] = [Chain((Line(self.statement[1], self.statement[0]),))]
        for section in self.sections:
            lines = [Line(section.start, section.left)]
            for step in section.steps:
                lines.append(
                    Line(
                        step.after,
                        step.left,
                        step.rule_parts(language),
                        step.note_parts(language),
                        step.conditions,
                    )
                )
            blocks.append(Chain(tuple(lines)))
        return blocks

    def __repr__(self) -> str:
        return f"Derivation of {len(self)} steps:\n{self.text()}"


def _joined(groups: Sequence[tuple[Part, ...]], mark: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    for group in groups:
        parts += [mark, *group] if parts else group
    return tuple(parts)


def in_words(parts: tuple[Part, ...]) -> str:
    """Text and formulas as one line of plain text."""
    from symdescent.derivation.render.text import formula

    return "".join(part if isinstance(part, str) else formula(part, Notation()) for part in parts)
