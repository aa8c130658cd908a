"""Descents by an update rule, in a compiled loop that runs in chunks."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from symdescent import kernels
from symdescent.binding import Bound
from symdescent.codegen import descent_loop as loop
from symdescent.codegen import tape
from symdescent.compiled import CompiledLoss, TapeKernels, read_only
from symdescent.descent import result as results
from symdescent.descent.options import Stopping
from symdescent.descent.records import HISTORY_ROWS, Places, step_back, thin
from symdescent.descent.runner import Runner
from symdescent.descent.samples import Samples, unflattened
from symdescent.notation.batches import ORDER
from symdescent.optimizers import UpdateRule
from symdescent.statement import ARRAYS

PLACES = Places(loop.STEPS, loop.ROWS, loop.DUE, loop.STRIDE)
TRAJECTORY_ENTRIES = 4_000_000
_LARGEST = float(np.finfo(np.float64).max)


class FirstOrder(Runner):
    """The arrays of one descent; the kernel changes them in place, so that they are right after an interrupt too."""

    def __init__(self, compiled: CompiledLoss, rule: UpdateRule, bound: Bound, samples: Samples | None = None) -> None:
        super().__init__(compiled, rule, bound)
        self.rule, self.samples = rule, samples
        statement, program = self.statement, rule.program
        self.made = compiled.descent_source(rule, samples is not None)
        self.kernel = kernels.load(self.made.source).descend
        self.long = tape.is_long(statement.root)
        self.shapes = {p: np.shape(value) for p, value in bound.parameters.items()}
        if self.long:
            packed = np.concatenate([np.ravel(value) for value in bound.parameters.values()])
            self.arrays = {loop.PACKED: np.array(packed, dtype=np.float64)}
        else:
            self.arrays = {
                p: np.array(v, dtype=np.float64) for p, v in bound.parameters.items() if isinstance(p, ARRAYS)
            }
        initial = {each.symbol: each.initial for each in program.states}
        self.states = [np.full(self.arrays[p].shape, initial[s]) for p, s in self.made.array_states]
        self.gradients = [np.zeros(value.shape) for value in self.arrays.values()]
        scalars = [bound.parameters[p] if s is None else initial.get(s, math.nan) for p, s in self.made.scalars]
        self.measured = np.array([*[math.nan] * 4, 0.0, 0.0, *scalars], dtype=np.float64)
        self.counters = np.zeros(loop.COUNTERS, dtype=np.int64)
        self.counters[[loop.DUE, loop.STRIDE]] = 1
        self.numbers = [] if self.long else [p for p in statement.parameters if p not in self.arrays]
        self.width = len(self.numbers) + sum(value.size for value in self.arrays.values())
        rows = (
            HISTORY_ROWS
            if self.width * HISTORY_ROWS <= TRAJECTORY_ENTRIES
            else max(16, TRAJECTORY_ENTRIES // self.width)
        )
        kept = rows if self.width * rows <= 2 * TRAJECTORY_ENTRIES else 0
        self.history, self.trajectory = np.empty((rows, 4)), np.empty((kept, self.width))
        self.limit = _LARGEST
        self.epochs = Epochs()
        self.best: tuple[float, dict[Any, Any]] | None = None
        self._fixed: list[Any] | None = None
        self._losses = np.empty(0)  # the mean losses of the epochs that the last call of the kernel has ended
        self._before: dict[Any, Any] = {}  # the parameters at the beginning of an epoch, where tests ask for them

    # -- steps ----------------------------------------------------------------------------------------------------

    @property
    def nit(self) -> int:
        """The steps that are done."""
        return int(self.counters[loop.STEPS])

    @property
    def last(self) -> tuple[float, float]:
        """The last loss and gradient norm."""
        return float(self.measured[loop.VALUE]), float(self.measured[loop.NORM])

    @property
    def epoch(self) -> int:  # type: ignore[override]
        """The epochs that are done."""
        return self.epochs.count if self.samples else self.nit

    @property
    def rate(self) -> float | None:  # type: ignore[override]
        """The learning rate of the last step, or of the first one."""
        symbol = self.rule.program.rate
        chosen = {each.symbol: each.value for each in self.rule.program.numbers}
        if symbol is None or symbol in chosen:
            return None if symbol is None else float(chosen[symbol])
        return float(self.measured[loop.FIRST_SCALAR + self.made.scalars.index((None, symbol))])

    @property
    def patience(self) -> int:  # type: ignore[override]
        """After how many epochs without a lower validation loss the descent stops."""
        return self.samples.options.patience or 0 if self.samples else 0

    def target(self, stopping: Stopping) -> int:
        """Epochs are counted in steps."""
        if stopping.steps is not None:
            return stopping.steps
        assert stopping.epochs is not None
        return stopping.epochs * (self.samples.epoch_steps if self.samples else 1)

    def advance(self, steps: int, stopping: Stopping) -> None:
        """Run the kernel once; after an epoch of batches, look at what only epochs tell."""
        if self.counters[loop.ROWS] == len(self.history):
            thin(self.counters, PLACES, (self.history, self.trajectory))
        first = self.limit == _LARGEST
        if first:
            steps = 1
        tested = self.samples is not None and (stopping.tested or self.samples.options.validation is not None)
        tolerances = [-1.0] * 3 if self.samples else [t or -1.0 for t in (stopping.gtol, stopping.xtol, stopping.ftol)]
        extra: list[Any] = []
        if self.samples is not None:
            self._after_epochs(stopping, tested)  # an interrupt may have come before they were looked at
            if self.counters[loop.BASE] >= len(self.samples.order):
                self.samples.refill(1 if tested else max(1, steps // self.samples.epoch_steps))
                self.counters[loop.BASE] = 0
                self._before = copy.deepcopy(self.params()) if tested else {}
            self._losses = np.empty(len(self.samples.order) // self.samples.count)
            extra = [self.samples.count, self.samples.batch_size, self.samples.least, self._losses]
        kernels.call(
            self.kernel,
            *self.arrays.values(),
            *self.states,
            *self.gradients,
            *self.fixed(),
            *([self.samples.epoch_steps if self.samples else 1] if self.rule.program.uses_epochs else []),
            steps,
            *tolerances,
            self.limit,
            self.measured,
            self.counters,
            self.history,
            self.trajectory,
            *extra,
        )
        self.status = int(self.counters[loop.STATUS])
        if first:
            self.limit = min(1e10 * (1.0 + abs(float(self.measured[loop.VALUE]))), _LARGEST)
        if self.samples is not None:
            self._after_epochs(stopping, tested)

    def _after_epochs(self, stopping: Stopping, tested: bool) -> None:
        """Look at the epochs that the kernel has ended."""
        ended = [float(loss) for loss in self._losses[: int(self.counters[loop.EPOCHS])]]
        self.counters[loop.EPOCHS] = 0
        for loss in ended:
            self._after_epoch(loss, stopping, tested)

    def _after_epoch(self, loss: float, stopping: Stopping, tested: bool) -> None:
        """The tests that an epoch allows, its validation loss, and its row."""
        assert self.samples is not None
        validation, before = math.nan, self.epochs.last_loss
        if self.samples.options.validation is not None:
            validation = self.samples.validation_loss(self.params(), self.bound)
            lowest = math.inf if self.best is None else self.best[0]
            if validation < lowest:  # never, where it is undefined
                self.best = validation, copy.deepcopy(self.params())
                self.epochs.best = self.epochs.count + 1
        self.epochs.append(loss, validation)
        if self.status != results.RUNNING or not tested:
            return
        params = self.params()
        if stopping.gtol:
            _, gradient = self.compiled.evaluate(Bound(params, self.bound.data, self.bound.extents))
            if max(results.largest(part) for part in gradient.values()) <= stopping.gtol:
                self.status = results.GRADIENT
        moved = max(results.largest(np.subtract(params[p], value)) for p, value in self._before.items())
        if moved <= stopping.xtol and stopping.xtol:
            self.status = results.PARAMETERS
        if abs(loss - before) <= stopping.ftol and stopping.ftol:
            self.status = results.LOSS
        if self.patience and self.epochs.count - self.epochs.best >= self.patience:
            self.status = results.STALE

    def reached(self) -> dict[Any, Any]:
        """What the descent returns: with a validation loss, the parameters for which it was lowest."""
        return self.params() if self.best is None else self.best[1]

    def restart(self) -> None:
        """Be ready to go on: a step that a test ended is begun again."""
        if self.counters[loop.STATUS] not in (loop.RUNNING, loop.PARAMETERS):
            step_back(self.counters, PLACES, self.history)
        self.counters[loop.STATUS] = loop.RUNNING
        super().restart()

    def state(self) -> dict[str, Any]:
        """What must be stored to go on."""
        rows = int(self.counters[loop.ROWS])
        epochs = self.epochs
        return {
            "arrays": [list(self.arrays.values()), self.states, self.gradients],
            "numbers": [self.measured, self.counters],
            "records": [self.history[:rows], self.trajectory[:rows]],
            "limit": self.limit,
            "status": self.status,
            "epochs": [np.array(epochs.rows, dtype=float), epochs.count, epochs.stride, epochs.best, epochs.last_loss],
            "best": None if self.best is None else [self.best[0], list(self.best[1].values())],
            "before": list(self._before.values()),
            "losses": self._losses,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Be where a stored descent was."""
        arrays, self.states, self.gradients = state["arrays"]
        self.arrays = dict(zip(self.arrays, arrays, strict=True))
        self.measured, self.counters = state["numbers"]
        table, path = state["records"]
        self.history[: len(table)], self.trajectory[: len(path)] = table, path
        self.limit, self.status, self._losses = state["limit"], state["status"], state["losses"]
        rows, *numbers = state["epochs"]
        self.epochs.rows = [(int(epoch), loss, validation) for epoch, loss, validation in rows.reshape(-1, 3)]
        self.epochs.count, self.epochs.stride, self.epochs.best, self.epochs.last_loss = numbers
        parameters = self.statement.parameters
        if state["best"] is not None:
            self.best = state["best"][0], dict(zip(parameters, state["best"][1], strict=True))
        if state["before"]:
            self._before = dict(zip(parameters, state["before"], strict=True))

    def copy(self) -> FirstOrder:
        """The same descent, with arrays of its own."""
        other = copy.copy(self)
        other.arrays = {p: value.copy() for p, value in self.arrays.items()}
        for name in ("states", "gradients"):
            setattr(other, name, [value.copy() for value in getattr(self, name)])
        rows = int(self.counters[loop.ROWS])
        other.measured, other.counters = self.measured.copy(), self.counters.copy()
        other.history, other.trajectory = np.empty_like(self.history), np.empty_like(self.trajectory)
        other.history[:rows], other.trajectory[:rows] = self.history[:rows], self.trajectory[:rows]
        other.samples = self.samples.copy() if self.samples else None
        other.epochs = copy.deepcopy(self.epochs)
        return other

    # -- arguments ------------------------------------------------------------------------------------------------

    def fixed(self) -> list[Any]:
        """Data, extents and hyperparameters, in the order of the kernel's arguments."""
        if self._fixed is None:
            given = {**self.bound.data, **self.bound.extents, ORDER: None}
            own = (
                table_arguments(self.compiled, self.bound, self.shapes)
                if self.long
                else [read_only(given[thing]) for thing in self.made.data]
            )
            self._fixed = [*own, *(each.value for each in self.rule.program.numbers)]
        if self.samples is not None:
            self._fixed[self.made.data.index(ORDER)] = read_only(self.samples.order)
        return self._fixed

    # -- records --------------------------------------------------------------------------------------------------

    def params(self) -> dict[Any, Any]:
        """The parameters as they are now."""
        if self.long:
            return unflattened(self.arrays[loop.PACKED], self.shapes)
        scalars = dict(zip(self.numbers, self.measured[loop.FIRST_SCALAR :], strict=False))
        return {p: self.arrays[p] if p in self.arrays else float(scalars[p]) for p in self.statement.parameters}

    def rows(self) -> tuple[Any, Any]:
        """History and trajectory; the columns of the trajectory in the order of the parameters."""
        rows = int(self.counters[loop.ROWS])
        table, path = self.history[:rows], self.trajectory[:rows]
        if not len(self.trajectory):
            return table, np.empty((0, 0))
        if self.long:
            return table, path
        starts, place = {}, 0
        for parameter in (*self.numbers, *self.arrays):
            starts[parameter] = place
            place += int(np.prod(self.shapes[parameter]))
        order = [starts[p] + entry for p in self.statement.parameters for entry in range(int(np.prod(self.shapes[p])))]
        return table, path[:, order]

    def epoch_rows(self) -> Any:
        """The table of epochs."""
        return np.array(self.epochs.rows, dtype=float).reshape(-1, 3)


class Epochs:
    """What is remembered of epochs: a bounded number of rows, evenly spaced."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, float]] = []
        self.count, self.stride, self.best = 0, 1, 0
        self.last_loss = math.inf

    def append(self, loss: float, validation: float) -> None:
        """Add an epoch; if there are too many, keep every second one."""
        self.count += 1
        self.last_loss = loss
        if (self.count - 1) % self.stride == 0:
            self.rows.append((self.count, loss, validation))
        if len(self.rows) > HISTORY_ROWS:
            self.rows, self.stride = self.rows[::2], self.stride * 2


def table_arguments(compiled: CompiledLoss, bound: Bound, shapes: Mapping[Any, tuple[int, ...]]) -> list[Any]:
    """The table of a loss that is written out, and where its parameters enter and its gradient leaves."""
    kernels_ = compiled.kernels
    assert isinstance(kernels_, TapeKernels)
    program = kernels_.program
    values, starts, place = program.tape.values(), {}, 0
    for parameter, shape in shapes.items():
        starts[parameter] = place
        place += int(np.prod(shape))
    sources, places = [], []
    given = {**bound.data, **bound.extents}
    for number, (thing, position) in enumerate(program.tape.leaves):
        if thing in starts:
            places.append(number)
            sources.append(starts[thing] + _flat_place(position, shapes[thing]))
        else:
            values[number] = np.asarray(given[thing])[position] if position else given[thing]
    targets = [starts[parameter] + _flat_place(position, shapes[parameter]) for parameter, position in program.targets]
    whole = [np.array(numbers, dtype=np.int64) for numbers in (sources, places, targets)]
    table = program.tape
    return [table.code, table.a, table.b, table.c, values, table.first, *whole, table.outputs]


def _flat_place(position: tuple[int, ...], shape: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(position, shape)) if position else 0
