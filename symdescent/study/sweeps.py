"""The two modes of automatic differentiation, carried out on an elementary program and read back as formulas.

Every line of the program is a small graph of its own. Its derivative comes from the project's differentiator: forwards
as the directional derivative of the line, backwards as the gradient of ``adjoint * line`` with respect to its operands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from symdescent.binding import Bound
from symdescent.derivation.components.trees import plus, total
from symdescent.differentiate import Scatter, forward, reverse
from symdescent.elementary import sigmoid
from symdescent.graph import Graph, Index, Node, reachable
from symdescent.notation.lower import Lowering
from symdescent.notation.reading import Reader
from symdescent.study.graph_values import evaluate, extent_of
from symdescent.study.program import Operation, Program


@dataclass(slots=True)
class Slope:
    """How a line moves: the formula of its tangent or adjoint, and its numbers."""

    formula: sp.Expr
    value: Any


@dataclass
class Machine:
    """Carries out a program on numbers, forwards and backwards."""

    program: Program
    bound: Bound
    kinks: str
    graph: Graph = field(default_factory=Graph)
    values: dict[Any, Any] = field(default_factory=dict)
    lines: dict[Any, Node] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lowering = Lowering(self.graph, {}, self.program.first)
        self.scope: dict[Any, Node] = {}
        self.indices: dict[sp.Symbol, Index] = {}
        self.values.update(self.bound.extents)
        for number, (symbol, extent) in enumerate(self.program.extents.items()):
            count = self.lowering.run(("place", extent, self.scope))
            self.indices[symbol] = index = Index(count, 100 + number)  # no number that a sum's dummy is given
            self.scope[symbol] = self.graph.add(self.graph.index(index), self.graph.const(self.program.first))
            alike = sum(1 for other in self.indices.values() if other.extent is count) - 1
            for summed in (index, Index(count, alike)):  # a sum over this range is written with the same letter
                self.lowering.display[summed] = (symbol, sp.Integer(self.program.first))
        for operation in self.program.operations:
            self.values[operation.register] = self.carried_out(operation)

    @cached_property
    def reader(self) -> Reader:
        """Reads formulas back."""
        return Reader(self.graph, self.lowering, [str(symbol) for symbol in self.bound.extents])

    def line(self, operation: Operation) -> Node:
        """The node of an operation."""
        if operation.register not in self.lines:
            self.lines[operation.register] = self.lowering.lower(operation.formula, self.scope)
        return self.lines[operation.register]

    def along(self, operation: Operation) -> tuple[Index, ...]:
        """The indices of a line's array, one an axis."""
        return tuple(self.indices[symbol] for symbol in operation.indices)

    def carried_out(self, operation: Operation) -> Any:
        """The value of a line: a float, or an array over its indices."""
        if operation.source is None:
            return self.number(self.line(operation), self.along(operation))
        given = {**self.bound.parameters, **self.bound.data}[operation.source]
        value = np.asarray(given)[operation.place] if operation.place is not None else given
        return np.asarray(value, dtype=float) if np.ndim(value) else float(value)

    def number(self, node: Node, axes: Sequence[Index]) -> Any:
        """The numbers of a node as an array over some indices, which are all that it depends on."""
        value, positions = evaluate(node, self.values, axes)
        sizes = [extent_of(index, self.values) for index in axes]
        shape = [1] * value.ndim
        for index, size in zip(axes, sizes, strict=True):
            shape[positions[index]] = size
        value = np.broadcast_to(value, shape)
        order = [positions[index] for index in axes]
        rest = [axis for axis in range(value.ndim) if axis not in order]
        value = np.transpose(value, [*order, *rest]).reshape(sizes)
        return np.array(value, dtype=float) if sizes else float(value)

    # -- forwards --------------------------------------------------------------------------------------------------

    def tangents(self, seeds: Mapping[Any, Any], directions: int) -> dict[Any, Slope]:
        """The tangents of all lines; `seeds` are those of the parameters' registers, directions on the last axis."""
        graph = self.graph
        course = Index(graph.const(directions), 99)
        found: dict[Any, Slope] = {}
        for operation in self.program.operations:
            register, axes = operation.register, self.along(operation)
            if operation.source is not None:
                if register in seeds:
                    found[register] = Slope(mark(operation, "dot"), seeds[register])
                    self.values[dotted(register)] = seeds[register]
                    self.values[course, register] = seeds[register]
                continue
            node = self.line(operation)
            moving = [other for other in found if other in _leaves(node)]
            if not moving:
                continue
            plain = {other: self._leaf_tangent(other) for other in moving}
            shown = forward(graph, [node], plain, self.kinks).get(node, graph.zero)
            deep = {other: self._leaf_tangent(other, course) for other in moving}
            tangent = forward(graph, [node], deep, self.kinks).get(node, graph.zero)
            value = self.number(tangent, (*axes, course))
            self.values[course, register] = value
            written = {self.indices[symbol]: symbol - self.program.first for symbol in operation.indices}
            formula = self.reader.expression(shown, written)
            found[register] = Slope(_arranged(_by_output(formula, operation), moving, "dot"), value)
        return found

    def _leaf_tangent(self, register: Any, course: Index | None = None) -> Any:
        graph = self.graph
        if course is not None:
            return lambda leaf: graph.load((course, register), [*leaf.args, graph.index(course)])
        return lambda leaf: graph.load(dotted(register), leaf.args) if leaf.args else graph.symbol(dotted(register))

    # -- backwards -------------------------------------------------------------------------------------------------

    def adjoints(self, moving: Iterable[Any]) -> dict[Any, Slope]:
        """The adjoints of the lines that depend on the given registers, from the last line back to these."""
        lines = {operation.register: operation for operation in self.program.operations}
        active = set(moving)
        for operation in self.program.operations:
            if operation.source is None and _leaves(self.line(operation)) & active:
                active.add(operation.register)
        last = self.program.operations[-1]
        found = {register: Slope(sp.S.Zero, np.zeros(np.shape(self.values[register]))) for register in active}
        found[last.register] = Slope(sp.S.One, np.ones(()))
        for operation in reversed(self.program.operations):
            if operation.register not in active or operation.source is not None:
                continue
            adjoint = barred(operation.register)
            self.values[adjoint] = found[operation.register].value
            scatters = self._pulled_back(operation, active)
            for register in dict.fromkeys(scatter.parameter for scatter in scatters):
                own = [scatter for scatter in scatters if scatter.parameter == register]
                formula = _arranged(self._accumulated(own, lines[register], operation), [operation.register], "bar")
                before = found[register]
                value = np.array(before.value, dtype=float)
                for scatter in own:
                    self._add(value, scatter, operation)
                found[register] = Slope(plus(before.formula, formula), value)
        ordered = [line.register for line in reversed(self.program.operations) if line.register in active]
        return {register: Slope(_joined(found[register].formula), found[register].value) for register in ordered}

    def _pulled_back(self, operation: Operation, active: set[Any]) -> list[Scatter]:
        """The gradient of ``adjoint * line`` with respect to the operands."""
        graph, axes, adjoint = self.graph, self.along(operation), barred(operation.register)
        places = [graph.index(index) for index in axes]
        weight = graph.load(adjoint, places) if places else graph.symbol(adjoint)
        node = self.line(operation)
        operands = [register for register in _leaves(node) if register in active]
        return reverse(graph, graph.sum(graph.mul(weight, node), axes), operands, self.kinks, exact_products=True)

    def _accumulated(self, scatters: Sequence[Scatter], target: Operation, operation: Operation) -> sp.Expr:
        """What a line adds to the adjoint of an operand, as a formula at the operand's indices."""
        shape = [self.program.extents[symbol] for symbol in target.indices]
        formula = self.reader.component(scatters, target.indices, shape)
        return _by_output(self._within_range(formula, target.indices), operation)

    def _within_range(self, formula: sp.Expr, indices: Sequence[sp.Symbol]) -> sp.Expr:
        """Leave out the conditions that hold over the whole range of the indices."""
        first, extents = self.program.first, self.program.extents
        known = {sp.expand(slack) for k in indices for slack in (k - first, first + extents[k] - 1 - k)}

        def needed(condition: Any) -> Any:
            kept = [
                part for part in sp.And.make_args(condition)
                if not (isinstance(part, (sp.Ge, sp.Le)) and sp.expand(part.gts - part.lts) in known)
            ]  # fmt: skip
            return sp.And(*kept)

        return formula.replace(
            lambda part: isinstance(part, sp.Piecewise),
            lambda part: sp.Piecewise(*((value, needed(condition)) for value, condition in part.args)),
        )

    def _add(self, sums: Any, scatter: Scatter, operation: Operation) -> None:
        """Add what a line contributes; where its adjoint vanishes nothing comes, not even from an infinite slope."""
        axes = sorted(scatter.indices, key=lambda index: (len(index.support), index.number))
        value = np.asarray(self.number(scatter.contribution, axes), dtype=float)
        if not np.isfinite(value).all():
            weight = [self.graph.index(index) for index in self.along(operation)]
            own = barred(operation.register)
            node = self.graph.load(own, weight) if weight else self.graph.symbol(own)
            if node.indices <= scatter.indices:
                value = np.where(np.asarray(self.number(node, axes)) == 0, 0.0, value)
        value = np.where(self._within(axes), value, 0.0)
        places = tuple(np.asarray(self.number(place, axes)).astype(int) for place in scatter.places)
        if places:
            np.add.at(sums, places, value)
        else:
            sums += value.sum()

    def _within(self, axes: Sequence[Index]) -> Any:
        """Where all indices are within their ranges, if these depend on each other."""
        inside: Any = np.True_
        for index in axes:
            if index.extent.indices:
                condition = self.graph.relation("less", self.graph.index(index), index.extent)
                inside = inside & (np.asarray(self.number(condition, axes)) > 0)
        return inside


# -- names and formulas -----------------------------------------------------------------------------------------------


def dotted(register: Any) -> Any:
    """The tangent's register: v3 with a dot."""
    return type(register)(f"{register.name}_dot")


def barred(register: Any) -> Any:
    """The adjoint's register: v3 with a bar."""
    return type(register)(f"{register.name}_bar")


def mark(operation: Operation, accent: str) -> sp.Expr:
    """The tangent or the adjoint of a line, at the line's indices."""
    base = (dotted if accent == "dot" else barred)(operation.register)
    return base[operation.indices] if operation.indices else base


def _by_output(slope: sp.Expr, operation: Operation) -> sp.Expr:
    """Write a slope with the line's own value where that stands in it: exp(v3) is v4."""
    formula = operation.formula
    if isinstance(formula, sigmoid):
        slope = slope.subs(sigmoid(-formula.args[0]), 1 - operation.variable)
    curved = formula.is_Pow and not formula.exp.is_Integer
    return slope.subs(formula, operation.variable) if formula.is_Function or curved else slope


def _arranged(formula: sp.Expr, registers: Sequence[Any], accent: str) -> sp.Expr:
    """Adjoints in front of their factors, tangents behind them."""
    marks = {(dotted if accent == "dot" else barred)(register) for register in registers}

    def is_mark(factor: sp.Expr) -> bool:
        return factor in marks or (isinstance(factor, sp.Indexed) and factor.base in marks)

    def place(factor: sp.Expr) -> int:
        return 0 if factor.is_number else 1 if is_mark(factor) == (accent == "bar") else 2

    def arranged(part: Any) -> Any:
        if isinstance(part, sp.Mul):
            return sp.Mul(*sorted(part.args, key=place), evaluate=False)
        if isinstance(part, sp.Add):
            return sp.Add(*map(arranged, part.args), evaluate=False)
        if isinstance(part, sp.Sum):
            return total(sp.Sum, arranged(part.function), *part.limits)
        return part

    return arranged(formula)


def _joined(formula: sp.Expr) -> sp.Expr:
    """A sum in which cases under one condition stand together."""
    cases: dict[Any, list[Any]] = {}
    rest = []
    for term in sp.Add.make_args(formula):
        if isinstance(term, sp.Piecewise) and len(term.args) == 2 and term.args[1][0] == 0:
            cases.setdefault(term.args[0][1], []).append(term.args[0][0])
        else:
            rest.append(term)
    joined = [sp.Piecewise((plus(*values), condition), (0, True)) for condition, values in cases.items()]
    return plus(*rest, *joined) if cases else formula


def _leaves(node: Node) -> set[Any]:
    return {part.payload for part in reachable([node]) if part.op in ("symbol", "load")}
