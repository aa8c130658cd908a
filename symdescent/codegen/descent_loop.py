"""The source of a compiled descent: the gradient's loops and the update rule, in one loop over the steps.

All that must survive a chunk of steps is written back into arrays before the kernel returns, so that an interrupt
between two chunks loses nothing. Scalar parameters and scalar states live in local variables meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symdescent.codegen import tape
from symdescent.codegen.fetching import AHEAD, FETCHING
from symdescent.codegen.names import Names
from symdescent.codegen.program import KernelWriter, Signature
from symdescent.codegen.scalar_printer import HELPERS, extreme
from symdescent.codegen.update import Place, UpdateWriter
from symdescent.graph import Node, reachable
from symdescent.notation.batches import COUNT, FIRST, ORDER
from symdescent.optimizers import UpdateRule
from symdescent.statement import ARRAYS, Statement

# why a descent stopped; 0 while it runs
RUNNING, GRADIENT, PARAMETERS, LOSS, NOT_FINITE, DIVERGED = range(6)
# places in the array of counters; the last three are used where a step reads a batch
STATUS, STEPS, ROWS, DUE, STRIDE, BASE, INSIDE, EPOCHS, COUNTERS = range(9)
# places in the array of measurements, which the scalar parameters and states follow
PREVIOUS, VALUE, NORM, CHANGE, SEEN, TOTAL, FIRST_SCALAR = range(7)
_ARGUMENTS = (
    *("steps", "gtol", "xtol", "ftol", "limit"),
    *("measured", "counters", "history", "trajectory"),
)
_BATCH_ARGUMENTS = ("samples", "batch_size", "least", "epoch_losses")
_LOCALS = (
    *(
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
        "whole",
        "ahead",
    ),
    *("base", "inside", "epoch", "seen", "total_loss", "fetch", "fetch_row", "fetch_entry"),
    "epoch_steps",
)
INNER = (FIRST, COUNT)  # extents that are no arguments


@dataclass(frozen=True, slots=True)
class DescentSource:
    """A descent's module, what data and extents its kernel takes, and in what order it keeps scalars and states."""

    source: str
    data: tuple[Any, ...]
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
        self.rule, self.program = rule, rule.program
        self.writer = KernelWriter(statement)
        self.statement = statement = self.writer.statement
        self.sampled = statement.batch is not None
        self.names = Names()
        self.names.reserve([*_ARGUMENTS, *_BATCH_ARGUMENTS, *_LOCALS])
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
        names, gradients = self.signature.names, self.signature.gradients
        outside = {
            rule.step_number: f"float(counters[{STEPS}] + step)",
            rule.loss: "loss",
            rule.epoch_steps: "float(epoch_steps)",
        }
        places = [Place(p, names[p], gradients[p], self._rank(p)) for p in parameters]
        self.update = UpdateWriter(rule, places, self.names, outside)
        shared, states = self.program.scalar_state, self.program.state
        self.scalars: list[tuple[Any, sp.Symbol | None]] = [(p, None) for p in self.numbers]
        self.scalars += [(p, each.symbol) for p in self.numbers for each in states]
        self.scalars += [(None, each.symbol) for each in shared]
        rate = self.program.rate
        if self.update.rate_is_assigned and rate not in [each.symbol for each in shared]:
            self.scalars.append((None, rate))

    def write(self) -> DescentSource:
        """The module."""
        signature, body = self.signature, self._evaluation()
        updates = self._update()
        states = [self.update.states[p, each.symbol] for p in self.arrays for each in self.program.state]
        arguments = [signature.names[p] for p in self.arrays]
        arguments += [*states, *(signature.gradients[p] for p in self.arrays)]
        data = tuple(thing for thing in (*signature.data, *signature.extents) if thing not in INNER)
        arguments += [signature.names[thing] for thing in data]
        arguments += [self.update.shared[each.symbol] for each in self.program.numbers]
        arguments += ["epoch_steps"] * self.program.uses_epochs
        arguments += [*_ARGUMENTS, *(_BATCH_ARGUMENTS if self.sampled else ())]
        locals_ = [(self._scalar_name(p, s), place) for place, (p, s) in enumerate(self.scalars, FIRST_SCALAR)]
        lines = [
            '"""Descend for a number of steps; what is reached is left in the arrays."""',
            *self._batch_bounds(),
            *body.allocations,
            *self.update.allocations,
            *(f"{name} = measured[{place}]" for name, place in locals_),
            f"previous = measured[{PREVIOUS}]",
            "loss = norm = change = math.inf",
            f"due = counters[{DUE}]",
            f"row = counters[{ROWS}]",
            f"status = {RUNNING}",
            "step = 0",
            *self._batch_begun(),
            f"while step < steps and row < history.shape[0]{self._batches_left()}:",
            *_indent(
                [
                    *self._batch(),
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
                    *self._finite(),
                    *([] if self.sampled else _stop("norm <= gtol", GRADIENT)),
                    *([] if self.sampled else _stop("abs(previous - loss) <= ftol", LOSS)),
                    "previous = loss",
                    *self._batch_counted(),
                    "step += 1",
                    *updates,
                    *([] if self.sampled else _stop("change <= xtol", PARAMETERS)),
                    *self._batch_done(),
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
            *self._batch_kept(),
        ]
        self.writer.helpers |= body.helpers | self.update.helpers | {"difference", "maximum"}
        function = f"@fast\ndef descend({', '.join(arguments)}):\n" + "\n".join(_indent(lines))
        functions = [tape.interpreter_function(), function] if self.long else [function]
        if self.sampled:
            functions.insert(0, FETCHING)
        plain = re.fullmatch(r"[\w -]{1,60}", self.rule.name, re.ASCII)
        source = self.writer.module(f"Descent of a loss by {self.rule.name if plain else 'an update rule'}.", functions)
        return DescentSource(
            source,
            data,
            tuple(self.scalars),
            tuple((p, each.symbol) for p in self.arrays for each in self.program.state),
        )

    def _evaluation(self) -> _Evaluation:
        if self.long:
            return _Evaluation((), _TABLE_BODY, "values[outputs[0]]", HELPERS)
        printer = self.printer = self.writer.printer(
            self.names, self.signature, [self.statement.root], self.statement.scatters()
        )
        if self.sampled:
            printer.ahead = self._ahead
        lines = printer.lines()
        return _Evaluation(
            printer.allocations, lines, printer.result(printer.plan.values[0]), frozenset(printer.helpers), printer.once
        )

    def _rank(self, parameter: Any) -> int:
        if parameter is PACKED:
            return 1
        if not isinstance(parameter, ARRAYS):
            return 0
        return len(self.statement.shape(parameter) or ()) or self.statement.lowering.ranks[parameter]

    def _scalar_name(self, parameter: Any, symbol: sp.Symbol | None) -> str:
        if parameter is None:
            return self.update.shared[symbol]
        return self.signature.names[parameter] if symbol is None else self.update.states[parameter, symbol]

    # -- batches --------------------------------------------------------------------------------------------------

    def _batch_bounds(self) -> list[str]:
        """Buffers are as long as the largest batch."""
        if not self.sampled:
            return []
        first, count = (self.signature.names[symbol] for symbol in (FIRST, COUNT))
        return [f"{first} = 0", f"{count} = min(batch_size, samples)"]

    def _batch_begun(self) -> list[str]:
        """Where in the order of the samples we are: `base` is the epoch's beginning, `inside` the place in it."""
        if not self.sampled:
            return []
        return [
            f"base = counters[{BASE}]",
            f"inside = counters[{INSIDE}]",
            f"epoch = counters[{EPOCHS}]",
            f"seen = measured[{SEEN}]",
            f"total_loss = measured[{TOTAL}]",
        ]

    def _batch_counted(self) -> list[str]:
        if not self.sampled:
            return []
        count = self.signature.names[COUNT]
        return [f"seen += {count}", f"total_loss += {count} * loss"]

    def _batches_left(self) -> str:
        return f" and base < {self.signature.names[ORDER]}.shape[0]" if self.sampled else ""

    def _batch(self) -> list[str]:
        """The batch of this step: a stretch of the order of the samples."""
        if not self.sampled:
            return []
        first, count = (self.signature.names[symbol] for symbol in (FIRST, COUNT))
        return [f"{first} = base + inside", f"{count} = min(batch_size, samples - inside)"]

    def _batch_done(self) -> list[str]:
        """After a step: the epoch's mean loss, and the next epoch where this one is over."""
        if not self.sampled:
            return []
        return [
            f"inside += {self.signature.names[COUNT]}",
            "if inside + least > samples:",
            "    epoch_losses[epoch] = total_loss / seen",
            "    epoch += 1",
            "    base += samples",
            "    inside = 0",
            "    seen = total_loss = 0.0",
        ]

    def _batch_kept(self) -> list[str]:
        if not self.sampled:
            return []
        return [
            f"counters[{BASE}] = base",
            f"counters[{INSIDE}] = inside",
            f"counters[{EPOCHS}] = epoch",
            f"measured[{SEEN}] = seen",
            f"measured[{TOTAL}] = total_loss",
        ]

    def _ahead(self, position: Node, rows: Mapping[str, int]) -> list[str]:
        """Ask for the rows that will be read some samples later: their order tells, and memory is slow."""
        if position.payload != ORDER:
            return []
        order, first = self.signature.names[ORDER], self.signature.names[FIRST]
        loop_index = next(part.payload for part in reachable([position]) if part.op == "index")
        place = f"{first} + {self.printer.loop_name(loop_index)} + {AHEAD}"
        calls = [
            f"fetch_row({name}, ahead)" if rank > 1 else f"fetch_entry({name}, ahead)" for name, rank in rows.items()
        ]
        return [f"ahead = {order}[min({place}, {order}.shape[0] - 1)]", *calls]

    # -- measuring ------------------------------------------------------------------------------------------------

    def _norm(self) -> list[str]:
        """norm = the largest component of the gradient, where it is asked for."""
        gradients = self.signature.gradients
        lines = ["norm = " + _largest([f"abs({gradients[p]})" for p in self.numbers])]
        for parameter in self.arrays:
            lines += [f"for g in {gradients[parameter]}.reshape(-1):", "    norm = maximum(norm, abs(g))"]
        if self.sampled:
            return ["if due == 0:", *_indent(lines)]
        return lines if self.arrays else ["if gtol >= 0.0 or due == 0:", *_indent(lines)]

    def _finite(self) -> list[str]:
        """Stop where the gradient is not finite: its sum tells, and the norm, where there is one."""
        if self.arrays and not self.sampled:
            return _stop("not norm < math.inf", NOT_FINITE)
        gradients = self.signature.gradients
        lines = [f"whole = {' + '.join(gradients[p] for p in self.numbers) or '0.0'}"]
        for parameter in self.arrays:
            lines += [f"for g in {gradients[parameter]}.reshape(-1):", "    whole += g"]
        return [*lines, *_stop("not abs(whole) < math.inf", NOT_FINITE)]

    def _record(self) -> list[str]:
        """Every `stride` steps, a row of the history and of the trajectory."""
        lines = [
            "if due == 0:",
            f"    due = counters[{STRIDE}]",
            f"    history[row, 0] = counters[{STEPS}] + step",
            "    history[row, 1] = loss",
            "    history[row, 2] = norm",
            f"    history[row, 3] = {self.update.rate or 'math.nan'}",
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
        update, lines, changes = self.update, self.update.comments(), []
        moved = self.rule.parameter
        for phase in self.program.phases:
            if phase.scalar:
                lines += update.scalars(phase)
                if update.rate_is_assigned and self.program.rate in dict(phase.assignments):  # rows were begun above
                    lines += [f"if due == counters[{STRIDE}]:", f"    history[row - 1, 3] = {update.rate}"]
                continue
            once, phase = update.reciprocals(phase)
            lines += once
            for place in update.places:
                if place.is_array:
                    lines += update.array_parameter(place, phase, *([] if self.sampled else [_measured_change]))
                    continue
                if moved in dict(phase.assignments) and not self.sampled:
                    before = self.names.fresh(f"{place.name}_before", "before")
                    lines.append(f"{before} = {place.name}")
                    changes.append(f"abs(difference({place.name}, {before}))")
                lines += update.scalar_parameter(place, phase)
        if self.sampled:
            return lines
        head = ["change = 0.0"] if self.arrays else []
        tail = [f"    change = {_largest([*changes, 'change'] if self.arrays else changes)}"] if changes else []
        return [*head, *lines, *(["if xtol >= 0.0:", *tail] if tail else [])]


def _measured_change(new: str, entry: str) -> list[str]:
    return [f"change = maximum(change, abs(difference({new}, {entry})))"]


def _largest(sizes: Sequence[str]) -> str:
    return extreme("maximum", sizes) if sizes else "0.0"


def _stop(condition: str, status: object) -> list[str]:
    return [f"if {condition}:", f"    status = {status}", "    break"]


def _indent(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
