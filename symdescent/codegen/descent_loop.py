"""The source of a compiled descent: the gradient's loops and the update rule, in one loop over the steps.

All that must survive a chunk of steps is written back into arrays before the kernel returns, so that an interrupt
between two chunks loses nothing. Scalar parameters and scalar states live in local variables meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symdescent.codegen import tape
from symdescent.codegen.expand import expand
from symdescent.codegen.names import Names
from symdescent.codegen.program import KernelWriter, Signature
from symdescent.codegen.scalar_printer import HELPERS, ScalarPrinter, extreme
from symdescent.graph import Graph, Node
from symdescent.notation.lower import Lowering
from symdescent.optimizers import UpdateRule
from symdescent.statement import ARRAYS, Statement

# why a descent stopped; 0 while it runs
RUNNING, GRADIENT, PARAMETERS, LOSS, NOT_FINITE, DIVERGED = range(6)
# places in the array of counters
STATUS, STEPS, EVALUATIONS, ROWS, DUE, STRIDE = range(6)
# places in the array of measurements, which the scalar parameters and states follow
PREVIOUS, VALUE, NORM, CHANGE, FIRST_SCALAR = range(5)


@dataclass(frozen=True, slots=True)
class DescentSource:
    """A descent's module, and in what order its kernel takes the hyperparameters and keeps the scalars."""

    source: str
    scalars: tuple[tuple[Any, sp.Symbol | None], ...]
    array_states: tuple[tuple[Any, sp.Symbol], ...]


# all parameters of a loss that is carried out from a table, in one flat array
PACKED = sp.IndexedBase("theta")
TABLE_ARGUMENTS = ("code", "a", "b", "c", "values", "first", "sources", "places", "targets", "outputs")
_TABLE_BODY = (
    "for q in range(sources.shape[0]):",
    "    values[places[q]] = theta[sources[q]]",
    "run(code, a, b, c, values, first)",
    "for q in range(targets.shape[0]):",
    "    g_theta[targets[q]] += values[outputs[q + 1]]",
)


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """How value and gradient are computed: buffers made beforehand, statements, and where the value is found."""

    allocations: Sequence[str]
    lines: Sequence[str]
    value: str
    helpers: frozenset[str]
    once: frozenset[Any] = frozenset()


def descent_source(statement: Statement, rule: UpdateRule) -> DescentSource:
    """Write the kernel ``descend`` of a loss and an update rule."""
    return _DescentWriter(statement, rule).write()


class _DescentWriter:
    def __init__(self, statement: Statement, rule: UpdateRule) -> None:
        self.rule = rule
        self.writer = KernelWriter(statement)
        self.statement = statement = self.writer.statement
        self.names = Names()
        self.names.reserve(
            [
                "steps",
                "gtol",
                "xtol",
                "ftol",
                "limit",
                "measured",
                "counters",
                "history",
                "trajectory",
                "loss",
                "norm",
                "change",
                "previous",
                "due",
                "row",
                "status",
                "step",
                "new",
                "q",
                "g",
                "column",
            ]
        )
        self.long = tape.is_long(statement.root)
        if self.long:
            self.names.reserve(["theta", "g_theta", "run", *TABLE_ARGUMENTS])
            self.signature = Signature(
                (PACKED,),
                (),
                TABLE_ARGUMENTS,
                (),
                (PACKED,),
                {PACKED: "theta", **{t: t for t in TABLE_ARGUMENTS}},
                {PACKED: "g_theta"},
            )
        else:
            self.signature = self.writer.signature(self.names)
        parameters = self.signature.parameters
        self.arrays = [p for p in parameters if isinstance(p, ARRAYS)]
        self.numbers = [p for p in parameters if not isinstance(p, ARRAYS)]
        self.hyper = {each.symbol: self.names.fresh(each.name, "h") for each in rule.hyperparameters}
        self.shared = {each.symbol: self.names.fresh(each.symbol.name, "u") for each in rule.scalar_state}
        self.states = {
            (p, each.symbol): self.names.fresh(f"{self.signature.names[p]}_{each.symbol.name}", "u")
            for p in parameters
            for each in rule.state
        }
        self.scalars: list[tuple[Any, sp.Symbol | None]] = [(p, None) for p in self.numbers]
        self.scalars += [(p, each.symbol) for p in self.numbers for each in rule.state]
        self.scalars += [(None, each.symbol) for each in rule.scalar_state]

    def write(self) -> DescentSource:
        """The module."""
        signature, body = self.signature, self._evaluation()
        updates = self._update()
        states = [self.states[p, each.symbol] for p in self.arrays for each in self.rule.state]
        arguments = [signature.names[p] for p in self.arrays]
        arguments += [*states, *(signature.gradients[p] for p in self.arrays)]
        arguments += [signature.names[thing] for thing in (*signature.data, *signature.extents)]
        arguments += [
            *self.hyper.values(),
            "steps",
            "gtol",
            "xtol",
            "ftol",
            "limit",
            "measured",
            "counters",
            "history",
            "trajectory",
        ]
        locals_ = [(self._scalar_name(p, s), place) for place, (p, s) in enumerate(self.scalars, FIRST_SCALAR)]
        lines = [
            '"""Descend for a number of steps; what is reached is left in the arrays."""',
            *body.allocations,
            *(f"{name} = measured[{place}]" for name, place in locals_),
            f"previous = measured[{PREVIOUS}]",
            "loss = norm = change = math.inf",
            f"due = counters[{DUE}]",
            f"row = counters[{ROWS}]",
            f"status = {RUNNING}",
            "step = 0",
            f"while step < steps and row < {'history'}.shape[0]:",
            *_indent(
                [
                    *(
                        f"{g}[:] = 0.0" if p in self.arrays else f"{g} = 0.0"
                        for p, g in signature.gradients.items()
                        if p not in body.once
                    ),
                    *body.lines,
                    f"loss = {body.value}",
                    "due -= 1",
                    *self._norm(),
                    *self._record(),
                    *_stop("not abs(loss) <= limit", f"{DIVERGED} if abs(loss) < math.inf else {NOT_FINITE}"),
                    *_stop(f"not {self._finite()} < math.inf", NOT_FINITE),
                    *_stop("norm <= gtol", GRADIENT),
                    *_stop("abs(previous - loss) <= ftol", LOSS),
                    "previous = loss",
                    "step += 1",
                    *updates,
                    *_stop("change <= xtol", PARAMETERS),
                ]
            ),
            *(f"measured[{place}] = {name}" for name, place in locals_),
            f"measured[{PREVIOUS}] = previous",
            f"measured[{VALUE}] = loss",
            f"measured[{NORM}] = norm",
            f"measured[{CHANGE}] = change",
            f"counters[{DUE}] = due",
            f"counters[{ROWS}] = row",
            f"counters[{STEPS}] += step",
            f"counters[{STATUS}] = status",
        ]
        self.writer.helpers |= body.helpers | self.helpers | {"difference", "maximum"}
        function = f"@fast\ndef descend({', '.join(arguments)}):\n" + "\n".join(_indent(lines))
        functions = [tape.interpreter_function(), function] if self.long else [function]
        plain = re.fullmatch(r"[\w -]{1,60}", self.rule.name, re.ASCII)
        source = self.writer.module(f"Descent of a loss by {self.rule.name if plain else 'an update rule'}.", functions)
        return DescentSource(
            source, tuple(self.scalars), tuple((p, each.symbol) for p in self.arrays for each in self.rule.state)
        )

    def _evaluation(self) -> _Evaluation:
        if self.long:
            return _Evaluation((), _TABLE_BODY, "values[outputs[0]]", HELPERS)
        printer = self.writer.printer(self.names, self.signature, [self.statement.root], self.statement.scatters())
        lines = printer.lines()
        return _Evaluation(
            printer.allocations, lines, printer.result(printer.plan.values[0]), frozenset(printer.helpers), printer.once
        )

    def _rank(self, parameter: Any) -> int:
        if parameter is PACKED:
            return 1
        return len(self.statement.shape(parameter) or ()) or self.statement.lowering.ranks[parameter]

    def _scalar_name(self, parameter: Any, symbol: sp.Symbol | None) -> str:
        if parameter is None:
            return self.shared[symbol]
        return self.signature.names[parameter] if symbol is None else self.states[parameter, symbol]

    # -- measuring ------------------------------------------------------------------------------------------------

    def _norm(self) -> list[str]:
        """norm = the largest component of the gradient; that of scalars alone only where it is asked for."""
        gradients = self.signature.gradients
        lines = ["norm = " + _largest([f"abs({gradients[p]})" for p in self.numbers])]
        if not self.arrays:
            return ["if gtol >= 0.0 or due == 0:", *_indent(lines)]
        for parameter in self.arrays:
            flat = f"{gradients[parameter]}.reshape(-1)"
            lines += [f"for g in {flat}:", "    norm = maximum(norm, abs(g))"]
        return lines

    def _finite(self) -> str:
        """A number that is finite where the gradient is."""
        if self.arrays:
            return "norm"
        return f"abs({' + '.join(self.signature.gradients[p] for p in self.numbers)})"

    def _record(self) -> list[str]:
        """Every `stride` steps, a row of the history and of the trajectory."""
        rate = self.hyper[self.rule.learning_rate.symbol] if self.rule.learning_rate else "math.nan"
        lines = [
            "if due == 0:",
            f"    due = counters[{STRIDE}]",
            f"    history[row, 0] = counters[{STEPS}] + step",
            "    history[row, 1] = loss",
            "    history[row, 2] = norm",
            f"    history[row, 3] = {rate}",
            "    if trajectory.shape[0] > 0:",
        ]
        for place, parameter in enumerate(self.numbers):
            lines.append(f"        trajectory[row, {place}] = {self.signature.names[parameter]}")
        if self.arrays:
            lines.append(f"        column = {len(self.numbers)}")
        for parameter in self.arrays:
            lines += [
                f"        for new in {self.signature.names[parameter]}.reshape(-1):",
                "            trajectory[row, column] = new",
                "            column += 1",
            ]
        return [*lines, "    row += 1"]

    # -- updating -------------------------------------------------------------------------------------------------

    def _update(self) -> list[str]:
        """One step of the rule, for all coordinates of all parameters."""
        self.helpers: set[str] = set()
        lines = [f"# {line.strip()}" for line in str(self.rule).splitlines()[1:]]
        lines = [line for line in lines if line.isascii()]
        scalar_names = {**self.hyper, **self.shared}
        for symbol, expression in self.rule.scalar_assignments:
            lines.append(self._assign(scalar_names, symbol, expression))
        changes: list[str] = []
        for parameter in self.numbers:
            own = {s: self.states[parameter, s] for s in (each.symbol for each in self.rule.state)}
            name = self.signature.names[parameter]
            before = self.names.fresh(f"{name}_before", "before")
            lines.append(f"{before} = {name}")
            lines += self._coordinate({**scalar_names, **own}, name, self.signature.gradients[parameter])
            changes.append(f"abs(difference({name}, {before}))")
        lines += ["if xtol >= 0.0:", "    change = " + _largest(changes)]
        for parameter in self.arrays:
            lines += self._array_update(parameter, scalar_names)
        return lines

    def _array_update(self, parameter: Any, names: dict[sp.Symbol, str]) -> list[str]:
        """The same for an array, entry by entry."""
        things = {self.signature.names[parameter]: "", self.signature.gradients[parameter]: ""}
        things |= {self.states[parameter, each.symbol]: "" for each in self.rule.state}
        lines = []
        for name in things:
            things[name] = name
            if self._rank(parameter) > 1:
                things[name] = self.names.fresh(f"{name}_flat", "flat")
                lines.append(f"{things[name]} = {name}.reshape(-1)")
        flat = things[self.signature.names[parameter]]
        own = {each.symbol: f"{things[self.states[parameter, each.symbol]]}[q]" for each in self.rule.state}
        inside = [
            f"new = {flat}[q]",
            *self._coordinate({**names, **own}, "new", f"{things[self.signature.gradients[parameter]]}[q]"),
            f"change = maximum(change, abs(difference(new, {flat}[q])))",
            f"{flat}[q] = new",
        ]
        return [*lines, f"for q in range({flat}.shape[0]):", *_indent(inside)]

    def _coordinate(self, names: dict[sp.Symbol, str], parameter: str, gradient: str) -> list[str]:
        """The rule's assignments for one coordinate."""
        names = {**names, self.rule.parameter: parameter, self.rule.gradient: gradient}
        return [self._assign(names, symbol, expression) for symbol, expression in self.rule.coordinate_assignments]

    def _assign(self, names: dict[sp.Symbol, str], symbol: sp.Symbol, expression: sp.Expr) -> str:
        if symbol not in names:  # an abbreviation
            names[symbol] = self.names.fresh(symbol.name, "u")
        graph = Graph()
        (node,) = expand(graph, [Lowering(graph).lower(expression)])
        number = f"float(counters[{STEPS}] + step)"

        def refer(part: Node) -> str | None:
            if part.op != "symbol":
                return None
            return number if part.payload == self.rule.step_number else names[part.payload]

        printer = ScalarPrinter(refer, str, frozenset(), frozenset())
        text = printer.text(node)
        self.helpers |= printer.helpers
        return f"{names[symbol]} = {text}"


def _largest(sizes: Sequence[str]) -> str:
    return extreme("maximum", sizes) if sizes else "0.0"


def _stop(condition: str, status: object) -> list[str]:
    return [f"if {condition}:", f"    status = {status}", "    break"]


def _indent(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
