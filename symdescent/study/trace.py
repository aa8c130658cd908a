r"""Traces: the elementary program of a loss at a point, with the tangents or adjoints that differentiate it.

Forward mode carries a dual number :math:`v + \dot v\,\varepsilon` from line to line; reverse mode evaluates first and
then sweeps back, :math:`\bar v_a = \sum_r \bar v_r\, \partial v_r / \partial v_a`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from symdescent.binding import Binder, Bound, explain_non_finite
from symdescent.check.verify import component_values
from symdescent.derivation.page import Block, Chain, Line, Paragraph, Part, Rendered, Table
from symdescent.derivation.symbols import LOSS, GradientOf
from symdescent.derivation.wording import check_language
from symdescent.errors import DataError, KinkError, StatementError, UnsupportedError, VerificationError
from symdescent.loss import Loss
from symdescent.statement import Statement, name_of
from symdescent.study.phrases import listed, number, say, word
from symdescent.study.program import Operation, Program, program
from symdescent.study.sweeps import Machine, Slope, mark

MODES = ("forward", "reverse")
DIRECTIONS = 100  # tangents that forward mode carries
COLUMNS = 4  # and of those, how many are shown
ENTRIES = 3
TOLERANCE = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class TraceRow:
    """One line of a trace: ``variable = formula``, its value, and how it moves.

    In forward mode `slope` holds the tangents, one along each entry of the parameters (on the last axis, if there are
    several); in reverse mode it holds the adjoint. It is None for what does not move, or moves nothing.
    `slope_variable` and `slope_formula` name it. Lines with indices hold arrays.

    >>> import symdescent as sd
    >>> row = sd.Loss(sp.exp(2*sp.Symbol("x"))).trace(0.0).rows[-1]
    >>> row.formula, row.value, row.slope
    (exp(v2), 1.0, 1.0)
    """

    variable: sp.Expr
    formula: sp.Expr
    value: Any
    slope_variable: sp.Expr
    slope_formula: sp.Expr | None = None
    slope: Any = None
    source: Any = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Trace(Rendered):
    """The elementary program of a loss at a point, in forward or reverse mode.

    Attributes
    ----------
    rows
        the lines in the order of evaluation: inputs first
    sweep
        in reverse mode, the lines that have an adjoint, in the order of the backward sweep; else the rows themselves
    value, gradient
        the loss, and its gradient as the trace found it, by parameter

    >>> import sympy as sp, symdescent as sd
    >>> w, x, b = sp.symbols("w x b")
    >>> trace = sd.Loss(sd.sigmoid(w*x + b), x).trace(3.0, {"w": 2.0, "b": 1.0}, mode="forward")
    >>> for row in trace.rows[-3:]:
    ...     print(row.variable, "=", row.formula, "|", row.slope_formula, "|", f"{float(row.slope):.9g}")
    v4 = v1*v3 | v1_dot*v3 | 2
    v5 = v2 + v4 | v4_dot | 2
    v6 = sigmoid(v5) | v5_dot*v6*(1 - v6) | 0.00182044236
    """

    rows: tuple[TraceRow, ...]
    mode: str
    value: float
    gradient: Mapping[Any, Any]
    statement: Statement
    seeds: tuple[sp.Expr, ...]
    fused: bool = False
    language: str = "en"

    @property
    def sweep(self) -> tuple[TraceRow, ...]:
        """The lines in the order in which their slopes are found."""
        if self.mode == "forward":
            return self.rows
        return tuple(row for row in reversed(self.rows) if row.slope is not None)

    def __repr__(self) -> str:
        return self.text()

    def title(self) -> str:
        """A title for documents."""
        return word(f"trace {self.mode}", self.language)

    def page(self, language: str | None = None) -> Sequence[Block]:
        """The blocks of the page, in a language."""
        language = check_language(language or self.language)
        v, dot, bar, epsilon = sp.symbols("v v_dot v_bar epsilon")
        dual = (v, sp.Mul(dot, epsilon, evaluate=False), sp.Eq(epsilon**2, 0), dot)
        mentioned = dual if self.mode == "forward" else (bar,)
        blocks: list[Block] = [Paragraph(say(f"trace {self.mode} intro", language, *mentioned))]
        if self.fused:
            blocks.append(Paragraph(say("trace fused", language)))
        if self.mode == "forward":
            blocks += self._forward(language)
        else:
            blocks += self._reverse(language)
        blocks += [Paragraph(say("trace result", language)), Chain(tuple(self._results()))]
        for parameter, slope in self.gradient.items():
            if np.size(slope) > ENTRIES + 1:
                name = sp.Symbol(name_of(parameter))
                left_out = (name, sp.Integer(np.size(slope)), sp.Integer(ENTRIES + 1))
                blocks.append(Paragraph(say("worked more", language, *left_out)))
        return blocks

    def _forward(self, language: str) -> Iterator[Block]:
        """Values and tangents side by side; where there are arrays, in two tables, which are narrower."""
        arrays = any(np.ndim(row.value) for row in self.rows)
        shown = self.seeds[: COLUMNS // 2 if arrays else COLUMNS]
        if len(shown) < len(self.seeds):
            yield Paragraph(say("trace columns", language, sp.Integer(len(self.seeds)), sp.Integer(len(shown))))
        heads = [GradientOf(sp.Symbol("v"), seed) for seed in shown]
        words = [word(key, language) for key in ("operation", "value", "tangent")]
        values = [(_equal(row.variable, row.formula), _shown(row.value)) for row in self.rows]
        tangents = [self._tangents(row, len(shown)) for row in self.rows]
        if arrays:
            yield Paragraph(say("trace evaluate", language))
            yield Table(tuple(words[:2]), tuple(values))
            yield Paragraph(say("trace tangents", language))
            yield Table((words[2], *heads), tuple(tangents))
        else:
            yield Table((*words, *heads), tuple((*a, *b) for a, b in zip(values, tangents, strict=True)))

    def _tangents(self, row: TraceRow, count: int) -> tuple[Part | float, ...]:
        """The formula of a tangent, and its numbers along the first parameters."""
        size = (*np.shape(row.value), len(self.seeds))
        slopes = np.zeros(size) if row.slope is None else np.reshape(row.slope, size)
        formula = sp.S.Zero if row.slope is None else row.slope_formula
        seed = formula == row.slope_variable
        tangent = row.slope_variable if seed else _equal(row.slope_variable, formula)
        return (tangent, *(_shown(slopes[..., place]) for place in range(count)))

    def _reverse(self, language: str) -> Iterator[Block]:
        words = [word(key, language) for key in ("operation", "value", "adjoint")]
        yield Paragraph(say("trace evaluate", language))
        yield Table(
            tuple(words[:2]), tuple((_equal(row.variable, row.formula), _shown(row.value)) for row in self.rows)
        )
        yield Paragraph(say("trace sweep", language, _equal(self.sweep[0].slope_variable, sp.S.One)))
        yield Table(
            (words[2], words[1]),
            tuple((_equal(row.slope_variable, row.slope_formula), _shown(row.slope)) for row in self.sweep),
        )

    def _results(self) -> Iterator[Line]:
        for parameter, slope in self.gradient.items():
            first = 0 if isinstance(parameter, sp.MatrixSymbol) else self.statement.first_index
            for place in list(np.ndindex(np.shape(slope)))[: ENTRIES + 1]:
                shown = tuple(k + first for k in place)
                name = sp.IndexedBase(parameter.name)[shown] if place else parameter
                yield Line(number(np.asarray(slope)[place], 9), GradientOf(LOSS, name))


def trace(loss: Loss, at: Any, data: Any = None, mode: str = "reverse", language: str = "en") -> Trace:
    """Trace a loss at a point. See `Trace`."""
    if mode not in MODES:
        raise StatementError(f"mode={mode!r} is not one of {', '.join(map(repr, MODES))}")
    bound = Binder(loss.statement).bind(at, data)
    made = _traced(loss, bound, mode, False, language)
    if not _finite(made):
        made = _traced(loss, bound, mode, True, language)
    if not _finite(made):
        _explain(loss, bound, made)
    _verify(loss, bound, made)
    return made


def _traced(loss: Loss, bound: Bound, mode: str, fused: bool, language: str) -> Trace:
    statement = loss.statement
    shapes = {thing: np.shape(value) for thing, value in {**bound.parameters, **bound.data}.items()}
    written = program(loss, shapes, fused)
    machine = Machine(written, bound, statement.kinks)
    inputs = [line for line in written.operations if line.source in bound.parameters]
    seeds: tuple[sp.Expr, ...] = ()
    if mode == "forward":
        slopes, seeds = _forward(machine, inputs, statement)
        gradient = _assembled(slopes[machine.program.operations[-1].register].value, inputs, bound)
        accent = "dot"
    else:
        slopes = machine.adjoints(line.register for line in inputs)
        gradient = _collected(slopes, inputs, bound)
        accent = "bar"
    rows = []
    for line in written.operations:
        slope = slopes.get(line.register)
        value = machine.values[line.register]
        row = TraceRow(line.variable, line.formula, value, mark(line, accent), source=line.source)
        if slope is not None:
            moved = slope.value[..., 0] if len(seeds) == 1 else slope.value
            moved = moved if np.ndim(moved) else float(moved)
            row = replace(row, slope_formula=slope.formula, slope=moved)
        rows.append(row)
    gradient = {p: g if np.ndim(g) else float(g) for p, g in bound.as_given(gradient).items()}
    final = float(machine.values[written.operations[-1].register])
    return Trace(tuple(rows), mode, final, gradient, statement, seeds, fused, check_language(language))


def _forward(machine: Machine, inputs: Sequence[Operation], statement: Statement) -> tuple[dict[Any, Slope], Any]:
    """One tangent for each entry of the parameters' registers."""
    sizes = [int(np.size(machine.values[line.register])) for line in inputs]
    total = sum(sizes)
    if total > DIRECTIONS:
        raise UnsupportedError(
            f"forward mode carries one tangent for each of the {total} parameter entries, and at most {DIRECTIONS}: "
            'use mode="reverse", which finds the whole gradient in one sweep'
        )
    seeds, names, begun = {}, [], 0
    for line, size in zip(inputs, sizes, strict=True):
        shape = np.shape(machine.values[line.register])
        seeds[line.register] = np.eye(total)[begun : begun + size].reshape(*shape, total)
        begun += size
        first = 0 if isinstance(line.source, sp.MatrixSymbol) else statement.first_index
        for place in [line.place] if line.place is not None else np.ndindex(shape):
            shown = tuple(k + first for k in place)
            names.append(sp.IndexedBase(name_of(line.source))[shown] if place else line.source)
    slopes = machine.tangents(seeds, total)
    for line in inputs:
        if total == 1:
            slopes[line.register].formula = sp.S.One
    return slopes, tuple(names)


def _assembled(row: Any, inputs: Sequence[Operation], bound: Bound) -> dict[Any, Any]:
    """The gradient, from the tangents of the last line."""
    gradient = {p: np.zeros(np.shape(value)) for p, value in bound.parameters.items()}
    begun, row = 0, np.ravel(row)
    for line in inputs:
        place = line.place if line.place is not None else ...
        size = int(np.size(gradient[line.source][place]))
        gradient[line.source][place] = row[begun : begun + size].reshape(np.shape(gradient[line.source][place]))
        begun += size
    return gradient


def _collected(slopes: Mapping[Any, Slope], inputs: Sequence[Operation], bound: Bound) -> dict[Any, Any]:
    """The gradient, from the adjoints of the inputs."""
    gradient = {p: np.zeros(np.shape(value)) for p, value in bound.parameters.items()}
    for line in inputs:
        gradient[line.source][line.place if line.place is not None else ...] = slopes[line.register].value
    return gradient


# -- trust ------------------------------------------------------------------------------------------------------------


def _finite(made: Trace) -> bool:
    return bool(np.isfinite(made.value)) and all(np.isfinite(part).all() for part in made.gradient.values())


def _explain(loss: Loss, bound: Bound, made: Trace) -> None:
    """Say which line is the first that is not finite."""
    explain_non_finite(bound.data)
    explain_non_finite(bound.parameters)
    if np.isfinite(made.value) and loss.statement.kinks == "raise":
        raise KinkError(
            'the loss has a kink at this point, and was stated with kinks="raise": move the point, or choose a '
            'subgradient with kinks="min-norm", "left" or "right"'
        )
    for row in made.rows:
        if not np.isfinite(row.value).all():
            raise DataError(
                f"{row.variable} = {row.formula} is not finite at this point: choose a point where it is defined"
            )
    raise DataError("the loss has no finite derivative at this point: choose another point")


def _verify(loss: Loss, bound: Bound, made: Trace) -> None:
    """Compare the gradient with the one that was derived symbolically."""
    for parameter, slope in made.gradient.items():
        with np.errstate(all="ignore"):
            expected = np.reshape(component_values(loss.statement, loss.gradient, parameter, bound), np.shape(slope))
        scale = np.max(np.abs(slope), initial=1e-8)
        wrong = np.isfinite(expected) & (np.abs(expected - slope) > TOLERANCE * scale)
        if np.any(wrong) and made.value != 0:
            raise VerificationError(
                f"the trace of {str(loss.expression)[:300]} contradicts its gradient with respect to "
                f"{name_of(parameter)}: this is a defect, please report it"
            )


# -- cells ------------------------------------------------------------------------------------------------------------


def _equal(left: sp.Expr, right: Any) -> sp.Basic:
    return sp.Eq(left, right, evaluate=False)


def _shown(value: Any) -> Part | float:
    """A number as it is; an array by its first entries and its shape."""
    if np.ndim(value) == 0:
        return float(value) + 0.0  # no minus zero
    flat = np.ravel(value) + 0.0
    numbers: Sequence[Part] = listed([number(entry, 5) for entry in flat[:ENTRIES]])
    written = "".join(part if isinstance(part, str) else _plain(part) for part in numbers)
    return f"{written}{', …' if flat.size > ENTRIES else ''} ({'×'.join(map(str, np.shape(value)))})"


def _plain(value: Any) -> str:
    return f"{float(value):.5g}".replace("-", "−")


__all__ = ["Program", "Trace", "TraceRow", "program", "trace"]
