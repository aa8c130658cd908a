"""Gradients and Hessians of losses stated with matrices, derived in matrix notation by differentials.

``dL`` is carried out rule by rule until the gradient can be read off from ``g^T dw`` or ``tr(G^T dW)``. What shares a
line, and what a line names, depends on the detail; long lines are abbreviated. Every line is compared with the one
before it at random instances when it is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import sympy as sp

from symdescent.derivation.components.stable import stabilised
from symdescent.derivation.matrices.abbreviations import Plan, heaviest, plans, unused
from symdescent.derivation.matrices.course import Course, Operation
from symdescent.derivation.matrices.expansion import LINEAR, Differentials
from symdescent.derivation.matrices.forms import as_stated, is_column, with_traces, without_dots
from symdescent.derivation.matrices.gradient_form import BRACKET, SETTLE, TURN, WITHIN, read_off
from symdescent.derivation.matrices.instances import Instances
from symdescent.derivation.matrices.likeness import alike
from symdescent.derivation.matrices.terms import Term, line, simplified
from symdescent.derivation.steps import Said, Section, Step
from symdescent.derivation.symbols import LOSS, Change, GradientOf
from symdescent.derivation.wording import rule_parts
from symdescent.errors import UnsupportedError, VerificationError
from symdescent.loss import Loss
from symdescent.notation.raising import raise_value
from symdescent.statement import name_of

WIDTH = 80  # characters of a line, above which parts of it get names
ROOM = 55  # characters of a statement: lines that follow from longer ones do not fit

# -- lines ------------------------------------------------------------------------------------------------------------

_FIRST = {"constant multiple", "scalar trace", "matrix trace"}
"""Rules that share a line with what follows them."""
_FOLLOWING = {LINEAR, SETTLE, TURN, WITHIN, BRACKET}
"""Kinds of operations that, on a board, are done along with the rule before them."""
_MINOR = {"matrix constant", "constant factor", "constant multiple"}
_TACIT = {"constants", "matrix sum", "matrix transpose", "constant multiple", "matrix trace", "scalar factor"}


def grouped(operations: Iterable[Operation], detail: str) -> list[list[Operation]]:
    """The operations of each line: one; those of one kind; or all that follow from one rule."""
    if detail == "full":
        return [[operation] for operation in operations]
    groups: list[list[Operation]] = []
    for _, group in groupby(operations, lambda operation: operation.kind):
        made = list(group)
        if groups and _joins(groups[-1], made, detail):
            groups[-1].extend(made)
        else:
            groups.append(made)
    return groups


def _joins(last: list[Operation], made: list[Operation], detail: str) -> bool:
    """Whether operations go into the line of those before them."""
    keys = {said.key for operation in last for said in operation.rules}
    if keys <= _FIRST and made[0].kind[1] != LINEAR:
        return True
    kind = made[0].kind[1]
    if detail == "brief":
        return kind in _FOLLOWING
    if {said.key for operation in made for said in operation.rules} == {"collect"}:
        return last[-1].kind[1] in (TURN, WITHIN)
    if kind == TURN and keys == {"trace transpose"}:
        return True
    return kind == WITHIN and last[-1].kind[1] == TURN and len(keys) == 1


def named(group: Sequence[Operation], detail: str) -> tuple[Said, ...]:
    """The rules that a line names: bookkeeping is not spelled out but in full detail."""
    rules = list(dict.fromkeys(said for operation in group for said in operation.rules))
    if detail == "full":
        return tuple(rules)
    keys = {said.key for said in rules}
    if len(keys) > 1:
        rules = [said for said in rules if said.key != "matrix transpose"]
    if keys & {"matrix constant", "constant factor"} or "matrix sum" in keys:
        rules = [Said("constants") if said.key in _MINOR else said for said in rules]
    if detail == "brief":
        rules = [said for said in rules if said.key not in _TACIT] or rules
    elif group[0].kind[1] == LINEAR:
        rules.sort(key=lambda said: said.key == "constants")
    return tuple(dict.fromkeys(rules))


_PREPARATIONS = (("dot product", without_dots), ("scalar trace", with_traces), ("stable", stabilised))
"""What is done to a statement before it is derived: the rule that a line names, and the rewriting."""

# -- sections ---------------------------------------------------------------------------------------------------------


def matrix_section(loss: Loss, parameter: Any, detail: str = "normal") -> Section:
    r"""The derivation of the gradient by a matrix parameter, in matrix notation.

    It starts from dL and ends, term for term, in ``loss.gradient[parameter]``. `detail` is "brief" (the lines one
    writes on a board), "normal" (a rule a line) or "full" (a rule at one place a line). Raises `UnsupportedError`
    where the gradient has no form in matrix notation, `VerificationError` if a step were wrong.
    """
    target = _gradient(loss, parameter)
    writer = _Writer(loss, parameter, target, detail)
    if not loss.samples:
        try:
            return writer.section(loss.expression)
        except UnsupportedError as error:
            reason = error
    else:
        reason = UnsupportedError(f"the mean of {loss.expression} over the samples has no form in matrix notation")
    raised = raise_value(loss.statement.reader(), loss.statement.root)
    if raised is None:
        raise reason
    return writer.section(raised, None if loss.samples else loss.expression)


def hessian_section(loss: Loss, parameter: Any, detail: str = "normal") -> Section:
    r"""The derivation of the Hessian by a column of parameters, in matrix notation: from :math:`d\nabla L = H dw`.

    Raises `UnsupportedError` where the Hessian has no such form.
    """
    if not (isinstance(parameter, sp.MatrixSymbol) and is_column(parameter)):
        raise UnsupportedError(f"{parameter} is not a column: its Hessian has no form in matrix notation")
    return _Writer(loss, parameter, _gradient(loss, parameter), detail).hessian()


def _gradient(loss: Loss, parameter: Any) -> Any:
    """The gradient as it was derived before, if it is a matrix expression."""
    if not isinstance(parameter, sp.MatrixSymbol):
        raise UnsupportedError(f"{parameter} is no matrix: derive by it in index notation")
    gradient = loss.gradient[parameter]
    if gradient.has(sp.FunctionMatrix):
        raise UnsupportedError(f"the gradient by {parameter} has no form in matrix notation: {gradient}")
    return gradient


@dataclass
class _Writer:
    """Writes the lines of one derivation, and compares each with the one before it."""

    loss: Loss
    parameter: Any
    target: Any
    detail: str
    taken: set[str] = field(init=False)
    by: Differentials = field(init=False)

    def __post_init__(self) -> None:
        symbols = self.loss.expression.free_symbols | self.target.free_symbols | {self.parameter}
        self.taken = {name_of(symbol) for symbol in symbols}
        variable = sp.Symbol(unused("tzuxs", self.taken), real=True)
        self.taken.add(variable.name)
        self.by = Differentials(self.parameter, variable, self.loss.statement.kinks)

    def section(self, statement: Any, entries: Any = None) -> Section:
        """The derivation of the gradient from a statement; `entries` is the same stated with entries."""
        stated = as_stated(statement, self.by.variable)
        steps = [] if entries is None else [Step(Change(entries), Change(stated), (Said("matrix notation"),))]
        for key, rewritten in _PREPARATIONS:
            plainer = rewritten(stated)
            if plainer != stated:
                steps.append(Step(Change(stated), Change(plainer), (Said(key),)))
                stated = plainer
        written, definitions = self.shortest(stated)
        steps += written
        steps += self.ending(steps.pop(), definitions)
        self.verify(steps, definitions)
        return Section(Change(LOSS), tuple(steps), steps[0].before)

    def shortest(self, stable: Any) -> tuple[list[Step], Mapping[Any, Any]]:
        """The lines up to the gradient, with as many abbreviations as it takes for them to fit."""
        tried: list[tuple[float, list[Step], Mapping[Any, Any]]] = []
        possible = plans(stable, self.taken)
        for plan in possible:
            start = Change(plan.statement)
            if plan is not possible[-1] and heaviest([start]) > ROOM:
                continue
            course = Course(replace(self.by, definitions=plan.definitions), [Term(sp.S.One, (start,))])
            steps = [*self.abbreviations(stable, plan), *self.differentials(course, start)]
            tried.append((heaviest(step.after for step in steps), steps, plan.definitions))
            if tried[-1][0] <= WIDTH:
                break
        _, steps, definitions = min(tried, key=lambda found: found[0])
        return steps, definitions

    def abbreviations(self, stable: Any, plan: Plan) -> list[Step]:
        """The line that introduces abbreviations."""
        if not plan.definitions:
            return []
        rules = tuple(Said("abbreviate", (name,)) for name in plan.definitions)
        remarks = tuple(Said("inner is", pair) for pair in plan.definitions.items())
        return [Step(Change(stable), Change(plan.statement), rules, remarks)]

    def differentials(self, course: Course, start: Any) -> list[Step]:
        """The lines from a differential to what is read off from it."""
        steps: list[Step] = []
        before = start
        for group in grouped(course.operations(), self.detail):
            after = line(group[-1].terms, start.shape)
            remarks = dict.fromkeys(said for operation in group for said in operation.remarks)
            conditions = dict.fromkeys(each for operation in group for each in operation.conditions)
            steps.append(Step(before, after, named(group, self.detail), tuple(remarks), tuple(conditions)))
            before = after
        rows, columns = self.parameter.shape
        shape = (rows, columns) if course.scalar else (rows, rows)
        read = line(read_off(course.terms, not course.scalar), shape)
        if course.scalar:
            return [*steps, Step(before, read, (Said("read off"),), left=GradientOf(LOSS, self.parameter))]
        left = GradientOf(LOSS, self.parameter, self.parameter)
        return [*steps, Step(before, read, (Said("read off hessian"),), left=left)]

    def ending(self, last: Step, definitions: Mapping[Any, Any]) -> list[Step]:
        """From what is read off to the gradient as it was derived before: abbreviations inserted, then simplified."""
        used = _used(last.after, definitions)
        if not used and alike(last.after, self.target):
            return [replace(last, after=self.target)]
        steps = [last]
        if used:
            opened = replace(self.by, definitions=definitions).opened(last.after)
            opened = self.target if alike(opened, self.target) else opened
            steps.append(Step(last.after, opened, tuple(Said("insert", (name,)) for name in used)))
        if steps[-1].after != self.target:
            steps.append(Step(steps[-1].after, self.target, (Said("simplify"),)))
        return steps

    def hessian(self) -> Section:
        """The derivation of the Hessian from the gradient."""
        gradient = as_stated(self.target, self.by.variable)
        start = Change(gradient)
        steps = self.differentials(Course(self.by, [Term(sp.S.One, (start,))], False), start)
        simpler = simplified(steps[-1].after)
        if not alike(simpler, steps[-1].after):
            steps.append(Step(steps[-1].after, simpler, (Said("simplify"),)))
        self.verify(steps, {})
        return Section(Change(GradientOf(LOSS, self.parameter)), tuple(steps), start)

    def verify(self, steps: Sequence[Step], definitions: Mapping[Any, Any]) -> None:
        """Raise VerificationError, naming the rule, where the two sides of a step differ at a random instance."""
        instances = Instances(self.parameter, definitions, [steps[0].before, steps[-1].after])
        for step in steps:
            if step.left is None:
                right = instances.equal(step.before, step.after)
            else:
                right = instances.read_off(step.before, step.after, len(step.left.args) > 2)
            if not right:
                rules = ", ".join("".join(map(str, rule_parts(said.key, "en", *said.args))) for said in step.rules)
                raise VerificationError(
                    f"the step {rules!r} of the derivation by {self.parameter} leads from {str(step.before)[:300]} to "
                    f"{str(step.after)[:300]}, which differ at a random instance: this is a defect, please report it"
                )


def _used(expression: Any, definitions: Mapping[Any, Any]) -> list[Any]:
    """The abbreviations in an expression, also within other ones."""
    found: set[Any] = set()
    pending = [expression]
    while pending:
        more = (pending.pop().free_symbols & set(definitions)) - found
        found |= more
        pending.extend(definitions[name] for name in more)
    return [name for name in definitions if name in found]
