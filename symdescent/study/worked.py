r"""Worked tables: the first steps of a descent with the numbers filled in, as one writes them on a board.

The numbers are computed anew, from the gradient of the compiled loss and from the symbolic assignments of the update
rule, so that any rule works: :math:`w_1 = 0 - 0.1 \cdot (-6) = 0.6`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import sympy as sp

from symdescent.binding import Bound
from symdescent.derivation.page import Block, Chain, Line, Paragraph, Part, Rendered, Table
from symdescent.derivation.symbols import LOSS, GradientOf
from symdescent.derivation.wording import check_language
from symdescent.descent import Descent
from symdescent.descent.options import Stopping
from symdescent.descent.runners import runner
from symdescent.descent.samples import Batches, unflattened
from symdescent.errors import StatementError
from symdescent.optimizers import Norm, Total, UpdateRule
from symdescent.optimizers.equations import arranged, ranks
from symdescent.optimizers.symbols import written_out
from symdescent.statement import Statement
from symdescent.study.linked import Linked
from symdescent.study.phrases import PHRASES, listed, number, say, word

ENTRIES = 3  # how many entries of an array are shown
COMPONENTS = 6  # and how many in all
MOST = 1000

Place = tuple[Any, tuple[int, ...]]  # a parameter and the place of one of its entries


@dataclass(frozen=True, slots=True)
class Assignment:
    """One assignment of a step for one coordinate: ``symbol = formula = filled = value``.

    `filled` is the formula with the rounded numbers in it, unevaluated.
    """

    symbol: sp.Expr
    formula: sp.Expr
    filled: sp.Expr
    value: float


@dataclass(frozen=True, slots=True)
class WorkedRow:
    """One step: its number, the point, the loss and the gradient there, and the assignments that lead to the next.

    `parameters` and `gradient` map each shown coordinate (``w``, ``x[0]``) to its number.

    >>> import symdescent as sd
    >>> w = sp.Symbol("w")
    >>> rows = sd.GradientDescent(0.5).derivation_table(sd.Loss((w - 3)**2, w), 0.0, steps=1).rows
    >>> rows[0].k, rows[0].loss, rows[0].gradient[w]
    (0, 9.0, -6.0)
    """

    k: int
    parameters: Mapping[sp.Expr, float]
    loss: float
    gradient: Mapping[sp.Expr, float]
    assignments: tuple[Assignment, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class WorkedTable(Rendered):
    r"""The first steps of a descent, with the numbers filled in.

    .. math:: w_{k+1} = w_k - \eta\, g_k

    >>> import sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> run = sd.Loss((w - 3)**2, w).descend(0, optimizer=sd.GradientDescent(0.1), steps=3, gtol=0)
    >>> row = run.table(first=2).rows[0]
    >>> row.gradient[w], round(row.assignments[0].value, 12)
    (-6.0, 0.6)
    """

    rows: tuple[WorkedRow, ...]
    rule: UpdateRule
    sizes: Mapping[Any, int]
    complete: bool = True
    language: str = "en"

    def __repr__(self) -> str:
        return self.text()

    def title(self) -> str:
        """A title for documents."""
        return word("worked title", self.language)

    def page(self, language: str | None = None) -> Sequence[Block]:
        """The blocks of the page, in a language."""
        language = check_language(language or self.language)
        blocks: list[Block] = [*self._rule(language)]
        blocks += [Paragraph(parts) for parts in self._left_out(language)]
        short = bool(self.rows) and len(self.rows[0].assignments) <= 2 and not self._entries
        blocks.append(self._table(language, updates=short))
        if not short:
            blocks += [block for row in self.rows if row.assignments for block in step_blocks(row, language)]
        if not self.complete:
            blocks.append(Paragraph(say("worked end", language, sp.Integer(self.rows[-1].k))))
        return blocks

    @property
    def _entries(self) -> bool:
        """Whether entries of arrays are shown: they carry an index already, and get none for the step."""
        return any(isinstance(each, sp.Indexed) for row in self.rows[:1] for each in row.parameters)

    def _rule(self, language: str) -> Iterator[Block]:
        """The update rule as it is stated, with the numbers of its hyperparameters."""
        alone = next(iter(self.sizes)) if len(self.sizes) == 1 and not self._entries else None
        known = f"rule {self.rule.name}"
        name = word(known, language) if known in PHRASES else self.rule.name
        yield Paragraph(say("worked rule" if alone is None else "worked rule alone", language, name))
        yield Chain(tuple(Line(right, left) for left, right in symbolic(self.rule, alone)))
        chosen = [sp.Eq(each.symbol, number(each.value), evaluate=False) for each in self.rule.program.numbers]
        if chosen:
            yield Paragraph((*say("worked with", language), *listed(chosen), "."))

    def _left_out(self, language: str) -> Iterator[tuple[Part, ...]]:
        shown = list(self.rows[0].parameters) if self.rows else []
        for parameter, size in self.sizes.items():
            count = sum(1 for each in shown if isinstance(each, sp.Indexed) and each.base == _base(parameter))
            if 0 < count < size:
                name = sp.Symbol(str(getattr(parameter, "name", parameter)))
                yield say("worked more", language, name, sp.Integer(size), sp.Integer(count))
        if len(self.sizes) > COMPONENTS:
            yield say("worked more parameters", language, sp.Integer(len(self.sizes)), sp.Integer(len(shown)))

    def _table(self, language: str, updates: bool) -> Table:
        """k, the point, the loss, the gradient; short updates stand beside them."""
        shown = list(self.rows[0].parameters) if self.rows else []
        k = sp.Symbol("k")
        point = [each if isinstance(each, sp.Indexed) else at_step(each, k) for each in shown]
        head: list[Part] = [k, *point, LOSS, *(GradientOf(LOSS, each) for each in shown)]
        lefts = self.rows[0].assignments if self.rows and updates else ()
        head += [word("update", language)] if len(lefts) == 1 else [at_step(each.symbol, k + 1) for each in lefts]
        rows = []
        for row in self.rows:
            cells: list[Part | float | int] = [row.k, *row.parameters.values(), row.loss, *row.gradient.values()]
            filled = [_filled_in(each, row.k + 1) for each in row.assignments]
            cells += (filled or [""] * len(lefts)) if updates else []
            rows.append(tuple(cells))
        return Table(tuple(head), tuple(rows), digits=6)


def table(descent: Descent, first: int = 5, language: str = "en") -> WorkedTable:
    """The first steps of a descent with the numbers filled in. See `WorkedTable`."""
    if isinstance(first, bool) or not isinstance(first, (int, np.integer)) or not 1 <= first <= MOST:
        raise StatementError(f"first={first!r} is not a number of steps: give a whole number from 1 to {MOST}")
    if descent.compiled is None or descent.start is None:
        raise StatementError("this Descent does not know its loss and start: make it with loss.descend(…)")
    if not isinstance(descent.optimizer, UpdateRule):
        raise StatementError(f"{descent.optimizer} is no update rule: only those have steps that can be written out")
    rows, complete = _replay(descent, int(first))
    sizes = {parameter: int(np.size(value)) for parameter, value in descent.start.parameters.items()}
    return WorkedTable(tuple(rows), descent.optimizer, sizes, complete, check_language(language))


# -- the numbers ------------------------------------------------------------------------------------------------------


def _replay(descent: Descent, first: int) -> tuple[list[WorkedRow], bool]:
    """Carry out the first steps again, noting the numbers of the coordinates that are shown."""
    compiled, rule, start = descent.compiled, descent.optimizer, descent.start
    assert compiled is not None and start is not None
    samples = getattr(descent.run, "samples", None)
    batches = Batches(samples.restarted()) if samples is not None else None
    shapes = {p: np.shape(value) for p, value in start.parameters.items()}
    point = np.concatenate([np.ravel(np.array(value, dtype=float)) for value in start.parameters.values()])
    state: dict[str, Any] | None = None
    places = _places(compiled.statement, shapes)
    offsets = _offsets(shapes, places)
    rows: list[WorkedRow] = []
    for k in range(min(first, descent.nit) + 1):
        at = Bound(unflattened(point, shapes), start.data, start.extents)
        loss, parts = batches.evaluate(at) if batches else compiled.evaluate(at)
        gradient = np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in parts.values()])
        if not (np.isfinite(loss) and np.isfinite(gradient).all()):
            return rows, False
        last = k == min(first, descent.nit)
        if last and k == first:
            return rows, True
        values = rule.program.values(point, gradient, state, k + 1, loss, batches.epoch_steps if batches else 1)
        if rule.program.searched is not None:
            values[rule.program.searched.symbol] = _searched(descent, k)
        made = tuple(_filled(rule, values, offsets, k))
        rows.append(
            WorkedRow(
                k,
                {name: float(point[place]) for name, place in offsets.items()},
                float(loss),
                {name: float(gradient[place]) for name, place in offsets.items()},
                () if last else made,
            )
        )
        point = np.asarray(values[rule.parameter], dtype=float)
        state = {each.symbol.name: values[each.symbol] for each in rule.program.states}
    return rows, True


def _searched(descent: Descent, k: int) -> float:
    """The step that a line search found in step k + 1, by making these steps again."""
    assert descent.compiled is not None and descent.start is not None
    again = runner(descent.compiled, descent.optimizer, descent.start)
    return float(again.go(Stopping(k + 1, None, 0.0, 0.0, 0.0)).history["learning_rate"][k])


def _places(statement: Statement, shapes: Mapping[Any, tuple[int, ...]]) -> dict[sp.Expr, Place]:
    """The coordinates that are shown, by the formula that names them: scalars, and the first entries of arrays."""
    found: dict[sp.Expr, Place] = {}
    for parameter, shape in shapes.items():
        first = 0 if isinstance(parameter, sp.MatrixSymbol) else statement.first_index
        for place in islice(np.ndindex(shape), ENTRIES):
            shown = tuple(k + first for k in place)
            found[_base(parameter)[shown] if place else parameter] = (parameter, place)
    return dict(list(found.items())[:COMPONENTS])


def _offsets(shapes: Mapping[Any, tuple[int, ...]], places: Mapping[sp.Expr, Place]) -> dict[sp.Expr, int]:
    """Where the coordinates that are shown stand in the flat vector of all."""
    starts, place = {}, 0
    for parameter, shape in shapes.items():
        starts[parameter] = place
        place += int(np.prod(shape))
    return {
        name: starts[p] + (int(np.ravel_multi_index(entry, shapes[p])) if entry else 0)
        for name, (p, entry) in places.items()
    }


def _base(parameter: Any) -> Any:
    return sp.IndexedBase(parameter.name)


def _filled(
    rule: UpdateRule, values: dict[sp.Expr, Any], offsets: Mapping[sp.Expr, int], k: int
) -> Iterator[Assignment]:
    """The assignments of one step with the numbers in them: the shared ones once, the others for each coordinate."""
    program, rank = rule.program, ranks(rule)
    shared = [symbol for symbol, _ in program.assignments if symbol not in program.coordinates]
    several = len(offsets) > 1
    found: dict[sp.Expr, list[Assignment]] = {name: [] for name in offsets}
    for symbol, formula, value in program.carry_out(values):
        shown_formula = arranged(formula, symbol, rank)
        for coordinate, (name, place) in enumerate(offsets.items()):
            if symbol in shared and coordinate:
                continue
            alone = symbol in shared or not several
            shown = name if symbol == rule.parameter else symbol if alone else _of(symbol, name)
            now = {each: _at_place(known, place) for each, known in values.items()}
            found[name].append(Assignment(shown, shown_formula, _fill(shown_formula, now), _at_place(value, place)))
    for assignments in found.values():
        yield from assignments


def _at_place(value: Any, place: int) -> float:
    return float(value[place]) if np.ndim(value) else float(value)


def _fill(formula: sp.Expr, values: Mapping[Any, float]) -> sp.Expr:
    """Put rounded numbers in the place of symbols and of sums over coordinates, and calculate nothing."""
    known = values.get(written_out(formula)) if isinstance(formula, Total) else values.get(formula)
    if isinstance(formula, Norm):
        known = math.sqrt(values[Total(formula.args[0] ** 2)])
    if known is not None:
        return number(known)
    if formula.is_Atom:
        return formula
    args = [_fill(argument, values) for argument in formula.args]
    if isinstance(formula, (sp.Piecewise, sp.Basic)) and not isinstance(formula, sp.Expr):
        return formula.func(*args)
    return formula.func(*args, evaluate=False)


# -- the names --------------------------------------------------------------------------------------------------------


def symbolic(rule: UpdateRule, alone: Any = None) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    """The equations of a rule with steps as indices: what is assigned belongs to step k + 1.

    The only parameter there is stands under its own name.
    """
    k = sp.Symbol("k")
    own = {rule.parameter: rule.parameter if alone is None else alone}
    rank = ranks(rule)
    assigned: set[sp.Symbol] = set()
    for symbol, formula in rule.program.assignments:
        shown = arranged(formula.subs(rule.step_number, k + 1), symbol, rank)
        names = {each: at_step(own.get(each, each), k + 1 if each in assigned else k) for each in rank}
        yield at_step(own.get(symbol, symbol), k + 1), renamed(shown, names)
        assigned.add(symbol)


def renamed(formula: sp.Expr, names: Mapping[Any, sp.Expr]) -> sp.Expr:
    """The formula with other things in the place of symbols and of sums over coordinates; nothing is calculated."""
    if formula in names:
        return names[formula]
    if formula.is_Atom:
        return formula
    args = [renamed(argument, names) for argument in formula.args]
    return formula.func(*args, evaluate=False) if isinstance(formula, sp.Expr) else formula.func(*args)


def at_step(symbol: sp.Expr, k: Any) -> sp.Expr:
    """A scalar at step k: w with the index k."""
    return sp.IndexedBase(symbol.name)[k]


def _of(symbol: sp.Symbol, coordinate: sp.Expr) -> sp.Expr:
    """A state or abbreviation that belongs to a coordinate."""
    if isinstance(coordinate, sp.Indexed):
        return sp.IndexedBase(symbol.name)[coordinate.indices]
    return sp.Symbol(f"{symbol.name}_{coordinate.name}")


def step_blocks(row: WorkedRow, language: str) -> Iterator[Block]:
    """One step with its numbers, as blocks of a page."""
    yield Paragraph((*say("worked step", language, sp.Integer(row.k + 1)), ":"))
    yield Chain(
        tuple(
            Line(
                Linked(chain.sides[1], "=", chain.sides[2]) if len(chain.sides) > 2 else chain.sides[1], chain.sides[0]
            )
            for chain in (_filled_in(each, row.k + 1) for each in row.assignments)
        )
    )


def _filled_in(each: Assignment, k: int) -> Linked:
    """An assignment as a chain: w with the index k = numbers = result; entries of arrays get no second index."""
    left = each.symbol if isinstance(each.symbol, sp.Indexed) else at_step(each.symbol, sp.Integer(k))
    shown = number(each.value)
    return Linked(left, "=", shown) if each.filled == shown else Linked(left, "=", each.filled, "=", shown)


__all__ = ["Assignment", "WorkedRow", "WorkedTable", "at_step", "renamed", "step_blocks", "symbolic", "table"]
