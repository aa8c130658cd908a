"""Descending a loss in a compiled loop that runs in chunks, and the record of what happened."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from symdescent import kernels
from symdescent.binding import Bound, explain_non_finite
from symdescent.codegen import descent_loop as loop
from symdescent.codegen import tape
from symdescent.compiled import CompiledLoss, LoopKernels
from symdescent.errors import KinkError, StatementError, UnsupportedError
from symdescent.optimizers import GradientDescent, UpdateRule
from symdescent.statement import ARRAYS, name_of

if TYPE_CHECKING:
    from symdescent.study.worked import WorkedTable

HISTORY_ROWS = 4096
TRAJECTORY_ENTRIES = 4_000_000
CHUNK_SECONDS = 0.1
STEPS_DONE, INTERRUPTED = 6, 7
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True, slots=True)
class Descent:
    """What a descent reached, in SciPy's words, and how it got there.

    Attributes
    ----------
    x, params
        the parameters reached: as one flat vector, and by name
    fun, jac
        the loss and its gradient (flat) there
    nit, nfev, njev
        steps, and evaluations of the loss and of the gradient (made together)
    success, status, message
        whether a tolerance was met; why the descent stopped, and what to try if that is not what was wanted
    history
        a structured array with the fields ``iteration``, ``loss``, ``gradient_norm`` (largest component) and
        ``learning_rate``: every step of a short run, every 2^k-th of a long one, and the last
    trajectory
        for each parameter (by name) its values at the iterations of the history, one row each
    compiled, start
        the loss and the checked start and data, with which `table` works out the first steps anew
    """

    x: Any
    params: dict[str, Any]
    fun: float
    jac: Any
    nit: int
    nfev: int
    njev: int
    success: bool
    status: int
    message: str
    history: Any
    trajectory: dict[str, Any]
    optimizer: UpdateRule
    compiled: CompiledLoss | None = field(default=None, repr=False)
    start: Bound | None = field(default=None, repr=False)

    def table(self, first: int = 5, language: str = "en") -> WorkedTable:
        r"""The first steps with the numbers filled in: :math:`w_1 = 0 - 0.1 \cdot (-6) = 0.6`.

        Data that were changed in place since the descent are read as they are now.

        >>> import sympy as sp, symdescent as sd
        >>> w = sp.Symbol("w")
        >>> run = sd.Loss((w - 3)**2, w).descend(0, optimizer=sd.GradientDescent(0.1), steps=3, gtol=0)
        >>> [row.loss for row in run.table(first=1).rows]
        [9.0]
        """
        from symdescent.study.worked import table

        return table(self, first, language)

    def __repr__(self) -> str:
        lines = [f"{'success' if self.success else 'stopped'} after {self.nit} steps: {self.message}"]
        lines.append(f"  loss {self.fun:.10g}, largest gradient component {_norm(self.jac):.3g}")
        lines += [f"  {name} = {_short(value)}" for name, value in list(self.params.items())[:12]]
        if len(self.params) > 12:
            lines.append(f"  … and {len(self.params) - 12} more parameters")
        return "\n".join(lines)


def descend(
    compiled: CompiledLoss,
    start: Any,
    data: Any = None,
    optimizer: UpdateRule | None = None,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    gtol: float = 1e-6,
    xtol: float = 0.0,
    ftol: float = 0.0,
) -> Descent:
    """Minimise a loss from a start, by full-batch steps of an update rule in a compiled loop.

    Parameters
    ----------
    start
        the first parameter values, by symbol or name (the bare value, if there is one parameter); not changed
    data
        samples and constants, by symbol or name
    optimizer
        an `UpdateRule`, such as ``GradientDescent(0.1)`` (default) or ``Momentum(0.1)``
    steps
        at most so many steps (default 1000; one step reads all samples, so that ``epochs`` means the same)
    gtol, xtol, ftol
        stop when the largest gradient component, the largest parameter change in a step, or the loss change in a
        step is at most this; 0 switches the test off

    Raises
    ------
    DataError
        for values that do not fit the statement; StatementError for options out of range

    >>> import sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> result = sd.Loss((w - 3)**2, w).descend(0, optimizer=sd.GradientDescent(0.1), steps=1, gtol=0)
    >>> round(result.params["w"], 12)
    0.6
    """
    if batch_size is not None:
        raise UnsupportedError(
            f"batch_size={batch_size}: descents read all samples in every step; leave batch_size out"
        )
    limit = _check_options(steps, epochs, {"gtol": gtol, "xtol": xtol, "ftol": ftol})
    rule = GradientDescent(0.1) if optimizer is None else optimizer
    if not isinstance(rule, UpdateRule):
        raise StatementError(
            f"the optimizer {rule!r} is not an UpdateRule: use GradientDescent(0.1), Momentum(0.1) or your own"
        )
    run = _Run(compiled, rule, compiled.bind(start, data))
    interrupted = run.go(limit, gtol, xtol, ftol)
    return run.result(limit, interrupted, any((gtol, xtol, ftol)), data)


def _check_options(steps: int | None, epochs: int | None, tolerances: Mapping[str, float]) -> int:
    if steps is not None and epochs is not None and steps != epochs:
        raise StatementError(
            f"steps={steps} and epochs={epochs} differ, but with all samples in every step they are the same: give one"
        )
    chosen = steps if steps is not None else epochs if epochs is not None else 1000
    if (
        isinstance(chosen, bool)
        or not isinstance(chosen, (int, float, np.number))
        or not (0 <= chosen < 2**62 and int(chosen) == chosen)
    ):
        raise StatementError(f"steps={chosen!r} is not a number of steps: give a whole number from 0 on")
    for name, value in tolerances.items():
        if not isinstance(value, (int, float, np.number)) or not value >= 0:
            raise StatementError(
                f"{name}={value!r} is not a tolerance: give a number from 0 on (0 switches the test off)"
            )
    return int(chosen)


class _Run:
    """The arrays of one descent; the kernel changes them in place, so that they are right after an interrupt too."""

    def __init__(self, compiled: CompiledLoss, rule: UpdateRule, bound: Bound) -> None:
        self.compiled, self.rule, self.bound = compiled, rule, bound
        self.statement = statement = compiled.statement
        self.made = compiled.descent_source(rule)
        self.kernel = kernels.load(self.made.source).descend
        self.long = tape.is_long(statement.root)
        self.begun = {p: np.array(value) if np.ndim(value) else value for p, value in bound.parameters.items()}
        self.shapes = {p: np.shape(value) for p, value in bound.parameters.items()}
        if self.long:
            packed = np.concatenate([np.ravel(value) for value in bound.parameters.values()])
            self.arrays = {loop.PACKED: np.array(packed, dtype=np.float64)}
        else:
            self.arrays = {
                p: np.array(v, dtype=np.float64) for p, v in bound.parameters.items() if isinstance(p, ARRAYS)
            }
        initial = {each.symbol: each.initial for each in (*rule.state, *rule.scalar_state)}
        self.states = [np.full(self.arrays[p].shape, initial[s]) for p, s in self.made.array_states]
        self.gradients = [np.zeros(value.shape) for value in self.arrays.values()]
        scalars = [bound.parameters[p] if s is None else initial[s] for p, s in self.made.scalars]
        self.measured = np.array([math.nan, math.nan, math.nan, math.nan, *scalars], dtype=np.float64)
        self.counters = np.zeros(6, dtype=np.int64)
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

    def go(self, steps: int, gtol: float, xtol: float, ftol: float) -> bool:
        """Run chunks until something stops the descent; True if it was interrupted."""
        fixed = [*self.bound_data(), *(each.value for each in self.rule.hyperparameters)]
        tolerances = [tolerance if tolerance > 0 else -1.0 for tolerance in (gtol, xtol, ftol)]
        limit, chunk = _LARGEST, 1
        try:
            while self.counters[loop.STATUS] == loop.RUNNING and self.counters[loop.STEPS] < steps:
                if self.counters[loop.ROWS] == len(self.history):
                    self.thin()
                now = min(chunk, steps - int(self.counters[loop.STEPS]))
                began = time.perf_counter()
                kernels.call(
                    self.kernel,
                    *self.arrays.values(),
                    *self.states,
                    *self.gradients,
                    *fixed,
                    now,
                    *tolerances,
                    limit,
                    self.measured,
                    self.counters,
                    self.history,
                    self.trajectory,
                )
                seconds = time.perf_counter() - began
                if limit == _LARGEST:
                    limit = min(1e10 * (1.0 + abs(float(self.measured[loop.VALUE]))), _LARGEST)
                    chunk = 16
                elif seconds < CHUNK_SECONDS:
                    chunk = min(chunk * 8, int(chunk * CHUNK_SECONDS / max(seconds, 1e-9)) + 1)
                else:
                    chunk = max(1, int(chunk * CHUNK_SECONDS / seconds))
        except KeyboardInterrupt:
            return True
        return False

    def bound_data(self) -> list[Any]:
        """Data and extents, or the table, in the order of the kernel's arguments."""
        kernels_ = self.compiled.kernels
        if isinstance(kernels_, LoopKernels):
            return kernels_.data(self.bound)
        program = kernels_.program
        values, starts, place = program.tape.values(), {}, 0
        for parameter, shape in self.shapes.items():
            starts[parameter] = place
            place += int(np.prod(shape))
        sources, places = [], []
        given = {**self.bound.data, **self.bound.extents}
        for number, (thing, position) in enumerate(program.tape.leaves):
            if thing in starts:
                places.append(number)
                sources.append(starts[thing] + _flat_place(position, self.shapes[thing]))
            else:
                values[number] = np.asarray(given[thing])[position] if position else given[thing]
        targets = [
            starts[parameter] + _flat_place(position, self.shapes[parameter]) for parameter, position in program.targets
        ]
        whole = [np.array(numbers, dtype=np.int64) for numbers in (sources, places, targets)]
        table = program.tape
        return [table.code, table.a, table.b, table.c, values, table.first, *whole, table.outputs]

    def thin(self) -> None:
        """Keep every second row of the history, and record half as often from now on."""
        rows = len(self.history)
        kept = (rows + 1) // 2
        self.history[:kept] = self.history[: 2 * kept : 2]
        if len(self.trajectory):
            self.trajectory[:kept] = self.trajectory[: 2 * kept : 2]
        stride = int(self.counters[loop.STRIDE]) * 2
        self.counters[loop.ROWS], self.counters[loop.STRIDE] = kept, stride
        recorded = int(self.history[kept - 1, 0])
        self.counters[loop.DUE] = recorded + stride - int(self.counters[loop.STEPS]) + 1

    def params(self) -> dict[Any, Any]:
        """The parameters as they are now."""
        if self.long:
            return _unpacked(self.arrays[loop.PACKED], self.shapes)
        scalars = dict(zip(self.numbers, self.measured[loop.FIRST_SCALAR :], strict=False))
        return {p: self.arrays[p] if p in self.arrays else float(scalars[p]) for p in self.statement.parameters}

    def result(self, steps: int, interrupted: bool, tested: bool, data: Any) -> Descent:
        """Evaluate the loss once more where the descent ended, and say how it went."""
        params = self.params()
        bound = Bound(params, self.bound.data, self.bound.extents)
        fun, gradient = self.compiled.evaluate(bound)
        status = INTERRUPTED if interrupted else int(self.counters[loop.STATUS]) or STEPS_DONE
        if status in (loop.NOT_FINITE, loop.DIVERGED):
            explain_non_finite(self.bound.data)
            explain_non_finite(self.bound.parameters)
            if self.statement.kinks == "raise" and np.isfinite(fun):
                raise KinkError(
                    f"the descent met a kink after {int(self.counters[loop.STEPS])} steps, and the loss was "
                    'stated with kinks="raise": choose a subgradient with kinks="min-norm", "left" or "right"'
                )
        done = int(self.counters[loop.STEPS])
        jac = np.concatenate([np.ravel(part) for part in gradient.values()])
        history, trajectory = self._records(done, fun, jac, params)
        evaluations = done + (status != STEPS_DONE and status != loop.PARAMETERS and not interrupted) + 1
        return Descent(
            x=np.concatenate([np.ravel(value) for value in params.values()]),
            params={name_of(p): value for p, value in self.bound.as_given(params).items()},
            fun=fun,
            jac=jac,
            nit=done,
            nfev=evaluations,
            njev=evaluations,
            success=status in (loop.GRADIENT, loop.PARAMETERS, loop.LOSS) or (status == STEPS_DONE and not tested),
            status=status,
            message=self._message(status, done, steps, tested),
            history=history,
            trajectory=trajectory,
            optimizer=self.rule,
            compiled=self.compiled,
            start=Bound(self.begun, self.bound.data, self.bound.extents),
        )

    def _records(self, done: int, fun: float, jac: Any, params: Mapping[Any, Any]) -> tuple[Any, dict[str, Any]]:
        """The history and the trajectory, with the end as the last row."""
        rows = int(self.counters[loop.ROWS])
        rate = self.rule.learning_rate.value if self.rule.learning_rate else math.nan
        table = self.history[:rows]
        table = np.vstack([table[table[:, 0] < done], [done, fun, _norm(jac), rate]])
        names = ["iteration", "loss", "gradient_norm", "learning_rate"]
        history = np.empty(len(table), dtype=[(names[0], np.int64), *((name, np.float64) for name in names[1:])])
        for column, name in enumerate(names):
            history[name] = table[:, column]
        if not len(self.trajectory):
            return history, {}
        ordered = list(params) if self.long else [*self.numbers, *self.arrays]
        last = np.concatenate([np.ravel(params[p]) for p in ordered])
        path = np.vstack([self.trajectory[: len(table) - 1], last])
        trajectory, place = {}, 0
        for parameter in ordered:
            shape = np.shape(params[parameter])
            count = int(np.prod(shape))
            trajectory[name_of(parameter)] = path[:, place : place + count].reshape(-1, *shape)
            place += count
        return history, {name_of(p): trajectory[name_of(p)] for p in self.statement.parameters}

    def _message(self, status: int, done: int, steps: int, tested: bool) -> str:
        rate = self.rule.learning_rate
        smaller = f"try a learning rate below {rate.value:g}, or scale the data" if rate else "try smaller steps"
        messages = {
            loop.GRADIENT: "the gradient is as small as asked for (gtol)",
            loop.PARAMETERS: "the last step changed the parameters by no more than xtol; a small step is not always a "
            "small gradient: lower xtol, or test with gtol, to go on",
            loop.LOSS: "the loss changed by no more than ftol in the last step; lower ftol to go on",
            loop.NOT_FINITE: f"the loss or its gradient became infinite or undefined after {done} steps: {smaller}, "
            "or start inside the domain",
            loop.DIVERGED: f"the loss fell below -1e10 times its first size after {done} steps: "
            "it seems to have no minimum"
            if self.measured[loop.VALUE] < 0
            else f"the loss grew past 1e10 times its first value after {done} steps: {smaller}",
            STEPS_DONE: f"all {steps} steps are done",
            INTERRUPTED: f"interrupted after {done} steps; this is what was reached",
        }
        if status == STEPS_DONE and tested:
            return (
                messages[status]
                + " before a tolerance was met: allow more steps, or try a larger learning rate or Momentum"
            )
        return messages[status]


def _flat_place(position: tuple[int, ...], shape: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(position, shape)) if position else 0


def _unpacked(flat: Any, shapes: Mapping[Any, tuple[int, ...]]) -> dict[Any, Any]:
    params, place = {}, 0
    for parameter, shape in shapes.items():
        count = int(np.prod(shape))
        params[parameter] = flat[place : place + count].reshape(shape) if shape else float(flat[place])
        place += count
    return params


def _norm(gradient: Any) -> float:
    return float(np.max(np.abs(gradient), initial=0.0))


def _short(value: Any) -> str:
    return f"{value:.10g}" if np.ndim(value) == 0 else np.array2string(np.asarray(value), precision=6, threshold=12)
