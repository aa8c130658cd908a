r"""The program that every language with loops is translated from: a small subset of Python, one statement a line.

Functions are printed by the same printers as the compiled kernels. A subset without surprises (assignments, ``for … in
range``, ``while``, ``if``, scalar expressions, entries of arrays) is all that they use, so that a translator is short.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp

from symdescent.binding import Binder
from symdescent.codegen.arrays import narrowed
from symdescent.codegen.names import Names
from symdescent.codegen.program import KernelWriter
from symdescent.codegen.update import Place, UpdateWriter
from symdescent.graph import Node
from symdescent.optimizers import UpdateRule
from symdescent.statement import Statement

NUMBER, COUNT, ARRAY, DATA, POSITIONS = "number", "count", "array", "data", "positions"
_LOCALS = ("steps", "t", "loss", "new", "q", "main", "step", "descend", "fill", "zeros_like")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a function: a number, a count, or an array (changed in place, read, or holding positions)."""

    name: str
    kind: str
    shape: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """A function: its arguments, what it returns (names of numbers), its documentation and its statements.

    A function without `results` may return a number by itself, an ``int`` or a ``float`` (`returns`). One that is not
    `jitted` calls Python; one that is `internal` is no part of what a program offers.
    """

    name: str
    arguments: tuple[Argument, ...]
    results: tuple[str, ...]
    said: str
    lines: tuple[str, ...]
    returns: str = "None"
    jitted: bool = True
    internal: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """All that a module holds, in the order in which it is written."""

    title: tuple[str, ...]
    constants: Mapping[str, float]
    helpers: tuple[str, ...]
    functions: tuple[Function, ...]
    descends: bool
    parameters: tuple[Argument, ...]
    data: tuple[Argument, ...]
    things: Mapping[str, Any] = field(default_factory=dict)


class Writer:
    """Writes the functions ``value``, ``value_and_gradient`` and, with a rule, ``step`` and ``descend``.

    `reserved` names mean something in the program.
    """

    def __init__(self, statement: Statement, rule: UpdateRule | None, reserved: Sequence[str] = ()) -> None:
        self.writer = KernelWriter(statement)
        self.statement, self.rule = self.writer.statement, rule
        self.binder = Binder(self.statement)
        self.reserved = (*_LOCALS, *reserved)
        self.names = Names()
        self.names.reserve(self.reserved)
        self.signature = self.writer.signature(self.names)
        self._undeclared: set[str] = set()
        self.parameters = tuple(map(self._argument, self.statement.parameters))
        data = tuple(map(self._argument, (*self.signature.data, *self.signature.extents)))
        self.data = (*data, *(Argument(length, COUNT) for length in self._lengths(data)))

    def program(self, title: Sequence[str]) -> Program:
        """Everything."""
        root = self.statement.root
        functions = [self._loss("value", "The loss.", [root]), self._loss_and_gradient(root)]
        moving, constants = self.descent()
        functions += moving
        things = {self.signature.names[thing]: thing for thing in self.signature.names}
        return Program(
            tuple(title),
            constants,
            tuple(sorted(self.writer.helpers)),
            tuple(functions),
            bool(moving),
            self.parameters,
            self.data,
            things,
        )

    def descent(self) -> tuple[list[Function], dict[str, float]]:
        """The functions that descend, and the constants that they read."""
        if self.rule is None:
            return [], {}
        step, descend, constants = self._descent(self.rule)
        return [step, descend], constants

    def _lengths(self, data: Sequence[Argument]) -> list[str]:
        """Lengths that no symbol stands for, where loops or positions in memory need them."""
        needed = [length for argument in self.parameters for length in argument.shape]
        needed += [length for argument in data for length in argument.shape[1:]]
        known = {argument.name for argument in data}
        return [length for length in dict.fromkeys(needed) if length in self._undeclared and length not in known]

    # -- arguments ------------------------------------------------------------------------------------------------

    def _argument(self, thing: Any) -> Argument:
        name = self.signature.names[thing]
        if thing in self.signature.extents:
            return Argument(name, COUNT)
        rank = self.binder.rank(thing)
        if rank == 0:
            return Argument(name, NUMBER)
        kind = ARRAY if thing in self.statement.parameters else DATA
        if thing in self.statement.lowering.index_arrays:
            kind = POSITIONS
        return Argument(name, kind, self._shape(thing, name, rank))

    def _shape(self, thing: Any, name: str, rank: int) -> tuple[str, ...]:
        """The lengths of the axes in terms of the extents; what is not declared gets a name of its own."""
        declared = self.statement.shape(thing)
        if declared is None or len(declared) != rank:
            found = tuple(f"{name}_{axis}" for axis in range(rank))
            self._undeclared.update(found)
            return found
        names = {symbol: sp.Symbol(self.signature.names[symbol]) for symbol in self.signature.extents}
        return tuple(str(sp.sympify(length).xreplace(names)) for length in declared)

    def _gradient(self, argument: Argument, parameter: Any) -> Argument:
        return Argument(self.signature.gradients[parameter], argument.kind, argument.shape)

    # -- functions ------------------------------------------------------------------------------------------------

    def _loss(self, name: str, said: str, values: Sequence[Node]) -> Function:
        names = self._fresh_names()
        printer = self.writer.printer(names, self.signature, narrowed(self.statement.graph, values), ())
        body = printer.lines()
        results = [printer.result(value) for value in printer.plan.values]
        self.writer.helpers |= printer.helpers
        lines = [*printer.allocations, *body, f"loss = {results[0]}"]
        return Function(name, (*self.parameters, *self.data), ("loss",), said, tuple(lines))

    def _loss_and_gradient(self, root: Node) -> Function:
        names, signature = self._fresh_names(), self.signature
        graph, scatters = self.statement.graph, self.statement.scatters()
        root, *parts = narrowed(graph, [root, *(scatter.contribution for scatter in scatters)])
        scatters = [replace(scatter, contribution=part) for scatter, part in zip(scatters, parts, strict=True)]
        printer = self.writer.printer(names, signature, [root], scatters)
        body, start, results = printer.lines(), [], ["loss"]
        outputs = []
        for parameter, argument in zip(self.statement.parameters, self.parameters, strict=True):
            gradient = signature.gradients[parameter]
            if argument.shape:
                start.append(f"{gradient}[:] = 0.0")
                outputs.append(self._gradient(argument, parameter))
            else:
                results.append(gradient)
                if parameter not in printer.once:
                    start.append(f"{gradient} = 0.0")
        lines = [*printer.allocations, *start, *body, f"loss = {printer.result(printer.plan.values[0])}"]
        self.writer.helpers |= printer.helpers
        said = f"The loss and its gradient{': that of arrays is left in the last arguments' if outputs else ''}."
        return Function(
            "value_and_gradient", (*self.parameters, *self.data, *outputs), tuple(results), said, tuple(lines)
        )

    def _fresh_names(self) -> Names:
        """Names for the body of one function: its arguments keep theirs."""
        names = Names()
        names.reserve(self.reserved)
        self.signature = self.writer.signature(names)
        return names

    def _descent(self, rule: UpdateRule) -> tuple[Function, Function, dict[str, float]]:
        signature = self.signature
        names = self._fresh_names()
        gradients = {p: Argument(signature.gradients[p], a.kind, a.shape) for p, a in self._pairs()}
        places = [Place(p, a.name, signature.gradients[p], len(a.shape), a.shape) for p, a in self._pairs()]
        outside = {rule.step_number: "float(t)", rule.loss: "loss", rule.epoch_steps: "1.0"}
        update = UpdateWriter(rule, places, names, outside, nested=True)
        program = rule.program
        constants = {update.shared[each.symbol]: float(each.value) for each in program.numbers}
        lines = self._update_lines(update)
        self.writer.helpers |= update.helpers

        own = {
            (p, s.symbol): Argument(update.states[p, s.symbol], a.kind, a.shape)
            for p, a in self._pairs()
            for s in program.state
        }
        shared = {s.symbol: Argument(update.shared[s.symbol], NUMBER) for s in program.scalar_state}
        arguments: list[Argument] = []
        for parameter, argument in self._pairs():
            states = [own[parameter, each.symbol] for each in program.state]
            arguments += [argument, gradients[parameter], *states]
        arguments += shared.values()
        lengths = {name for a in self.parameters for length in a.shape for name in _names_in(length)}
        arguments += [argument for argument in self.data if argument.name in lengths]
        extra = [Argument("t", COUNT)] if program.uses(rule.step_number) else []
        extra += [Argument("loss", NUMBER)] if program.uses_loss else []
        results = tuple(
            a.name
            for p, parameter in self._pairs()
            if not parameter.shape
            for a in (parameter, *(own[p, each.symbol] for each in program.state))
        ) + tuple(a.name for a in shared.values())
        step = Function("step", (*arguments, *extra), results, f"One step of {plain_name(rule)}.", tuple(lines))
        descend = self._descend(rule, step, own, shared, gradients)
        return step, descend, constants

    def _pairs(self) -> list[tuple[Any, Argument]]:
        return list(zip(self.statement.parameters, self.parameters, strict=True))

    def _update_lines(self, update: UpdateWriter) -> list[str]:
        lines: list[str] = []
        for phase in update.program.phases:
            if phase.scalar:
                lines += update.scalars(phase)
                continue
            for place in update.places:
                lines += (
                    update.array_parameter(place, phase) if place.is_array else update.scalar_parameter(place, phase)
                )
        return [*update.allocations, *lines]

    def _descend(
        self,
        rule: UpdateRule,
        step: Function,
        own: Mapping[Any, Argument],
        shared: Mapping[Any, Argument],
        gradients: Mapping[Any, Argument],
    ) -> Function:
        """The loop: states begin, and for every step the gradient is followed by an update."""
        initial = {each.symbol: each.initial for each in rule.program.states}
        lines = []
        for p, argument in self._pairs():
            if argument.shape:
                lines.append(f"{gradients[p].name} = np.empty({argument.name}.shape)")
        for (_, symbol), argument in own.items():
            base = next(a for p, a in self._pairs() if own.get((p, symbol)) is argument)
            if argument.shape:
                lines.append(f"{argument.name} = np.zeros({base.name}.shape)")
                lines += [f"{argument.name}[:] = {initial[symbol]!r}"] if initial[symbol] else []
            else:
                lines.append(f"{argument.name} = {_number(initial[symbol])}")
        lines += [f"{argument.name} = {_number(initial[symbol])}" for symbol, argument in shared.items()]
        called = [a.name for a in (*self.parameters, *self.data)]
        outputs = [gradients[p].name for p, a in self._pairs() if a.shape]
        slopes = [gradients[p].name for p, a in self._pairs() if not a.shape]
        lines.append("for t in range(1, steps + 1):")
        lines.append(f"    {', '.join(['loss', *slopes])} = value_and_gradient({', '.join([*called, *outputs])})")
        target = f"{', '.join(step.results)} = " if step.results else ""
        lines.append(f"    {target}step({', '.join(a.name for a in step.arguments)})")
        lines.append(f"loss = value({', '.join(called)})")
        return self.descend_function(tuple(lines))

    def descend_function(self, lines: tuple[str, ...], jitted: bool = True) -> Function:
        """The function ``descend`` with these statements."""
        results = ("loss", *(a.name for a in self.parameters if not a.shape))
        arrays = any(a.shape for a in self.parameters)
        returned = "the loss reached, and the numbers reached" if len(results) > 1 else "the loss reached"
        said = f"Descend: {'arrays are changed in place; ' * arrays}returns {returned}."
        arguments = (*self.parameters, *self.data, Argument("steps", COUNT))
        return Function("descend", arguments, results, said, lines, jitted=jitted)


def plain_name(rule: UpdateRule) -> str:
    """The name of a rule where it may stand in a program's text."""
    ends = set('"\\*/') & set(rule.name)
    return rule.name if rule.name.isascii() and rule.name.isprintable() and not ends else "the update rule"


def _names_in(length: str) -> set[str]:
    return {part.id for part in ast.walk(ast.parse(length)) if isinstance(part, ast.Name)}


def _number(value: float) -> str:
    return "math.inf" if value == float("inf") else "-math.inf" if value == -float("inf") else repr(value)


__all__ = ["ARRAY", "COUNT", "DATA", "NUMBER", "POSITIONS", "Argument", "Function", "Program", "Writer"]
