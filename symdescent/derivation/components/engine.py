"""From a statement to its gradient, a rule a line: which rule is applied where, in each detail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp

from symdescent.derivation.components.abbreviations import Abbreviation, abbreviate, inserted, shortened
from symdescent.derivation.components.deltas import eliminate
from symdescent.derivation.components.points import Witness
from symdescent.derivation.components.rules import LINEAR, Applied, Differentiation, as_exponential, is_negative, split
from symdescent.derivation.components.stable import stabilised
from symdescent.derivation.components.stated import Stated, without_clashes
from symdescent.derivation.components.trees import (
    Place,
    evaluated,
    first_place,
    parts,
    plus,
    replaced,
    rewrite,
    same_up_to_order,
    times,
    total,
    unused_name,
)
from symdescent.derivation.layout.order import ordered_terms
from symdescent.derivation.steps import Said, Section, Step
from symdescent.derivation.symbols import LOSS, GradientOf

MANY = 30  # lines


def section(stated: Stated, parameter: Any, detail: str) -> Section:
    """The derivation of the gradient by one parameter, in scalar or index notation."""
    variable = stated.variable(parameter)
    writer = _Writer(stated, stated.expression, variable, stated.gradient(parameter), detail)
    made = writer.section(GradientOf(LOSS, variable))
    whole = stated.loss.gradient[parameter]
    if not isinstance(parameter, sp.MatrixSymbol) or whole.has(sp.FunctionMatrix):
        return made
    writer.witness.check_matrix(writer.line, whole, variable)
    said = (Said("matrix form"),)
    return replace(made, steps=(*made.steps, Step(writer.line, whole, said, left=GradientOf(LOSS, parameter))))


def second_section(stated: Stated, first: Any, second: Any, detail: str) -> Section:
    """The derivation of a second derivative, from the gradient by the first parameter."""
    slope, by = stated.gradient(first), stated.variable(first)
    variable = stated.variable(second)
    if isinstance(variable, sp.Indexed):
        variable = _apart(slope, by, variable)
    hessian = None
    if not any(isinstance(each, sp.Indexed) for each in (by, variable)):
        order = stated.statement.parameters
        hessian = stated.loss.hessian[order.index(first), order.index(second)]
    writer = _Writer(stated, slope, variable, hessian, detail, by)
    return writer.section(GradientOf(LOSS, by, variable))


def _apart(slope: Any, first: Any, variable: Any) -> Any:
    """The second entry, at other free indices than the first one's."""
    taken = {str(symbol) for symbol in (*slope.atoms(sp.Symbol), *first.free_symbols)}
    indices = []
    for index in variable.indices:
        clash = isinstance(first, sp.Indexed) and index in first.indices
        indices.append(sp.Symbol(unused_name("klmpqrstuvij", taken), integer=True) if clash else index)
        taken.add(str(indices[-1]))
    return variable.base[tuple(indices)]


@dataclass
class _Writer:
    """Writes the lines of one derivation, each compared with the first as it is made."""

    stated: Stated
    expression: Any
    variable: Any
    target: Any
    detail: str
    entry: Any = None  # the entry that the first derivative was taken by
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        expression = self.expression
        if isinstance(self.variable, sp.Indexed):
            expression = without_clashes(expression, self.variable.indices)
        taken = {s.name for s in expression.free_symbols} | {str(p) for p in self.stated.statement.extents}
        taken |= {str(part) for part in parts(expression) if isinstance(part, (sp.Symbol, sp.IndexedBase))}
        self.start = sp.Derivative(expression, self.variable, evaluate=False)
        self.abbreviations: list[Abbreviation] = []
        self.stable = stabilised(expression)
        self.short = abbreviate(
            self.stable, self.stated.statement.parameters, self.stated.arrays, taken, self.abbreviations
        )
        definitions = {each.base: (each.indices, each.expression) for each in self.abbreviations}
        self.by = Differentiation(self.variable, self.stated.statement.kinks, definitions)
        self.inner_name = unused_name("uvst", taken)
        self.line = self.start
        self.witness = Witness(self.stated, (self.variable, self.entry), self.start, definitions)

    # -- lines ----------------------------------------------------------------------------------------------------

    def section(self, left: Any) -> Section:
        """All the lines."""
        self._write()
        return Section(left, tuple(self.steps), self.start)

    def _write(self) -> None:
        self._step(self.by.pending(self.stable), [Said("stable")])
        if self.abbreviations:
            said = tuple(Said("abbreviate", (each.name,)) for each in self.abbreviations)
            meant = tuple(Said("inner is", (each.name, each.expression)) for each in self.abbreviations)
            self._step(self.by.pending(self.short), said, meant)
        begun = len(self.steps)
        advance = self._one_rule if self.detail == "full" else self._one_line
        while advance():
            pass
        done = len(self.steps)
        self._finish()
        if self.detail == "brief":
            self.steps = [*self.steps[:begun], *_strides(self.steps[begun:done]), *_merged(self.steps[done:])]

    def _step(
        self,
        after: Any,
        rules: Sequence[Said],
        remarks: Sequence[Said] = (),
        conditions: Iterable[Any] = (),
        checked: bool = False,
    ) -> None:
        if after == self.line:
            return
        step = Step(self.line, after, _once(rules), _once(remarks), _once(conditions))
        if not checked:
            self.witness.check(after, ", ".join(said.key for said in step.rules))
        self.steps.append(step)
        self.line = after

    def _finish(self) -> None:
        """The gradient itself, with the abbreviations inserted last."""
        target = self.target
        if target is None:
            target = inserted(evaluated(self.line), self.abbreviations)
        short = shortened(target, self.abbreviations)
        if any(short.has(each.base) for each in self.abbreviations):
            self._simplify(short)
        self._simplify(target)

    def _simplify(self, after: Any) -> None:
        if self.steps and same_up_to_order(self.line, after):  # only put in order
            self.witness.check(after, "simplify")
            self.steps[-1] = replace(self.steps[-1], after=after)
            self.line = after
            return
        inserts = [
            Said("insert", (each.name,))
            for each in self.abbreviations
            if self.line.has(each.base) and not after.has(each.base)
        ]
        self._step(after, inserts or [Said("simplify")])

    # -- full detail ----------------------------------------------------------------------------------------------

    def _one_rule(self) -> bool:
        """One rule at one place."""
        place = first_place(self.line, sp.Derivative, sp.Subs)
        if place is None:
            return self._eliminate()
        if isinstance(place.part, sp.Subs):  # the outer function of a chain, by its inner one
            self._outer(place)
            return True
        body = place.part.expr
        if isinstance(body, sp.Pow) and self.by.depends(body.base) and self.by.depends(body.exp):
            self._replace(place, as_exponential(self.by, body))
            return True
        applied = self.by.rule(body)
        if applied.inner is None or not self._chain(place):
            self._replace(place, applied)
        return True

    def _replace(self, place: Place, applied: Applied) -> None:
        checked = False
        if len(self.steps) > MANY:  # a long line need not be evaluated as a whole each time
            key = applied.rules[0].key
            checked = self.witness.check_part(place.part, applied.result, place.limits, key)
        after = place.replaced(applied.result)
        self._step(after, applied.rules, applied.remarks, applied.conditions, checked)

    def _chain(self, place: Place) -> bool:
        """The chain rule as a line of its own: the outer function by its inner one, times the inner slope."""
        body = place.part.expr
        outer = self.by.outer(body)
        if outer is None:
            return False
        u = sp.Symbol(self.inner_name)
        function = replaced(body, {outer.inner: u})
        if self.by.depends(function):
            return False
        slope = sp.Subs(sp.Derivative(function, u, evaluate=False), u, outer.inner)
        named = Said("inner is", (u, outer.inner))
        self._replace(place, Applied((Said("chain"),), times(slope, self.by.slope(outer.inner)), (named,)))
        return True

    def _outer(self, place: Place) -> None:
        pending = place.part.expr
        u, inner = pending.variables[0], place.part.point[0]
        applied = Differentiation(u, self.by.kinks).rule(pending.expr)
        at = {u: inner}
        remarks = tuple(Said(said.key, tuple(replaced(each, at) for each in said.args)) for said in applied.remarks)
        conditions = tuple(replaced(condition, at) for condition in applied.conditions)
        self._replace(place, Applied(applied.rules, replaced(applied.result, at), remarks, conditions))

    # -- normal detail --------------------------------------------------------------------------------------------

    def _one_line(self) -> bool:
        """One rule at all like places: what is linear first, then deltas, then the outermost functions."""
        return self._linear() or self._eliminate() or self._functions()

    def _linear(self) -> bool:
        rules: list[Said] = []

        def visit(part: Any) -> Any:
            if isinstance(part, sp.Derivative):
                done = self._spread(part.expr, rules)
                return None if done == part else done
            return None

        after = rewrite(self.line, visit)
        if not rules:
            return False
        self._step(after, _without_trifles(rules))
        return True

    def _peeled(self, body: Any) -> tuple[list[Any], Any, list[Said]] | None:
        """A function with constant factors, and constants added, as ``(factors, function, rules)``; else None."""
        by, factors, rules = self.by, [], []
        while True:
            if isinstance(body, sp.Add):
                varying = [term for term in body.args if by.depends(term)]
                if len(varying) > 1:
                    return None
                rules.append(Said("sum"))
                (body,) = varying
                continue
            constant = split(by, body)[0] if isinstance(body, sp.Mul) else []
            if not constant:
                break
            factors += constant
            if constant != [sp.S.NegativeOne]:
                rules.append(Said("constant multiple"))
            body = times(*(factor for factor in body.args if factor not in constant))
        linear = isinstance(body, (sp.Sum, sp.Indexed)) or body == self.variable or body in by.definitions
        return None if linear else (factors, body, rules)

    def _spread(self, body: Any, rules: list[Said]) -> Any:
        """The derivative of the linear structure of an expression, down to the functions in it."""
        by = self.by
        if not by.depends(body):
            rules.append(Said("constant"))
            return sp.S.Zero
        if self._peeled(body) is not None:
            return by.pending(body)
        if isinstance(body, sp.Add):
            terms = [term for term in ordered_terms(body) if by.depends(term)]
            if len(body.args) > 1:
                difference = len(body.args) == 2 and any(map(is_negative, body.args))
                rules.append(Said("difference" if difference else "sum"))
            return plus(*(self._spread(term, rules) for term in terms))
        if isinstance(body, sp.Mul):
            constant, _, _ = split(by, body)
            if constant:
                varying = [factor for factor in body.args if factor not in constant]
                if constant != [sp.S.NegativeOne]:
                    rules.append(Said("constant multiple"))
                return times(*constant, self._spread(times(*varying), rules))
        if isinstance(body, sp.Sum):
            rules.append(Said("linearity"))
            return total(sp.Sum, self._spread(body.function, rules), *body.limits)
        if body == self.variable:
            rules.append(Said("variable"))
            return sp.S.One
        if body in by.definitions or (isinstance(body, sp.Indexed) and by.depends(body.base)):
            applied = by.rule(body)
            rules.extend(applied.rules)
            inner = applied.result
            return self._spread(inner.expr, rules) if isinstance(inner, sp.Derivative) else inner
        return by.pending(body)

    def _functions(self) -> bool:
        """The rule that the first function asks for, at every function that asks for the same."""
        key: list[str] = []
        said: list[Applied] = []

        def visit(part: Any) -> Any:
            if not isinstance(part, sp.Derivative):
                return None
            peeled = self._peeled(part.expr)
            assert peeled is not None, "what is linear was spread before"
            factors, function, rules = peeled
            applied = self.by.rule(function)
            name = applied.rules[0].key
            if not key:
                key.append(name)
            if name != key[0]:
                return part
            said.append(replace(applied, rules=(*rules, *applied.rules)))
            return times(*factors, applied.result)

        after = rewrite(self.line, visit)
        if not said:
            return False
        self._say(after, said)
        return True

    def _say(self, after: Any, said: Sequence[Applied]) -> None:
        self._step(
            after,
            [rule for applied in said for rule in applied.rules],
            [remark for applied in said for remark in applied.remarks],
            [condition for applied in said for condition in applied.conditions],
        )

    # -- deltas ---------------------------------------------------------------------------------------------------

    def _eliminate(self) -> bool:
        """Sums over an index that a Kronecker delta fixes."""
        if not self.line.has(sp.KroneckerDelta):
            return False
        after, shifted = eliminate(self.line, self.variable, self.stated.statement, once=self.detail == "full")
        if after == self.line:
            return False
        self._step(after, [Said("shifted" if shifted else "delta")])
        return True


def _once(things: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(things))


def _without_trifles(rules: Sequence[Said]) -> Sequence[Said]:
    """The rules of a line, without those that go without saying beside others."""
    loud = [said for said in rules if said.key not in ("constant", "variable")]
    told = [said for said in loud if said.key not in ("constant multiple", "entry")]
    return (told if len({said.key for said in told}) > 1 else loud) or rules


def _strides(steps: Sequence[Step]) -> list[Step]:
    """The lines for a board: all at once if that is short, else the outermost function first."""
    if len(steps) <= 4:
        return _merged(steps)
    outermost = next((place for place, step in enumerate(steps) if step.rules[0].key not in LINEAR), 0)
    return [*_merged(steps[: outermost + 1]), *_merged(steps[outermost + 1 :])]


def _merged(steps: Sequence[Step]) -> list[Step]:
    """Several lines as one, without the rules that everybody applies silently."""
    if not steps:
        return []
    rules = [said for step in steps for said in step.rules]
    silent = ("constant", "variable", "constant multiple", "entry", "definition", "delta")
    return [
        Step(
            steps[0].before,
            steps[-1].after,
            _once([said for said in rules if said.key not in silent] or rules),
            _once(said for step in steps for said in step.remarks),
            _once(condition for step in steps for condition in step.conditions),
        )
    ]
