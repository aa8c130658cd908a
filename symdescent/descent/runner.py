"""What every descent does, whatever its steps are: chunks, callbacks, progress, interrupts."""

from __future__ import annotations

import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdescent.binding import Bound, explain_non_finite
from symdescent.compiled import CompiledLoss
from symdescent.descent import result as results
from symdescent.descent.options import Stopping
from symdescent.descent.result import Descent
from symdescent.errors import KinkError
from symdescent.statement import name_of

CHUNK_SECONDS = 0.1
WORK_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Progress:
    """What a callback is given: the steps and epochs done, the last loss that was evaluated, the parameters by name.

    >>> import sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> seen = []
    >>> options = {"optimizer": sd.GradientDescent(0.1), "steps": 20, "callback": seen.append, "callback_every": 10}
    >>> run = sd.Loss((w - 3)**2, w).descend(0.0, **options)
    >>> [(progress.nit, round(progress.params["w"], 3)) for progress in seen]
    [(10, 2.678), (20, 2.965)]
    """

    nit: int
    epoch: int
    fun: float
    gradient_norm: float
    params: dict[str, Any]


class Runner(ABC):
    """One descent under way. A subclass makes steps; this class says when, and tells how it went.

    `advance` makes at most so many steps, and sets `status` when a test ends the descent. All that a runner has reached
    must be whole between two calls of `advance`, and at every moment that an interrupt may come.
    """

    def __init__(self, compiled: CompiledLoss, optimizer: Any, bound: Bound) -> None:
        self.compiled, self.optimizer, self.bound = compiled, optimizer, bound
        self.statement = compiled.statement
        self.begun = Bound(
            {p: np.array(v) if np.ndim(v) else v for p, v in bound.parameters.items()}, bound.data, bound.extents
        )
        self.status = results.RUNNING
        self.chunk = 1
        self.work = Work()
        self.stop: threading.Event | None = None  # set from outside, it ends the descent as Ctrl-C does

    # -- what a subclass tells ------------------------------------------------------------------------------------

    @abstractmethod
    def advance(self, steps: int, stopping: Stopping) -> None:
        """Make at most so many steps."""

    @abstractmethod
    def params(self) -> dict[Any, Any]:
        """The parameters as they are now; arrays may be the runner's own."""

    @abstractmethod
    def copy(self) -> Runner:
        """The same descent, which goes on by itself."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What must be stored to go on: numbers, arrays, lists of them."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Be where a stored descent was."""

    @property
    @abstractmethod
    def nit(self) -> int:
        """The steps that are done."""

    @property
    @abstractmethod
    def last(self) -> tuple[float, float]:
        """The last loss and gradient norm that were seen."""

    @abstractmethod
    def rows(self) -> tuple[Any, Any]:
        """The rows of the history, and of the trajectory in the order of the parameters (or no columns)."""

    watches_itself = False  # whether `advance` calls the callback
    times_itself = False  # whether `advance` adds the marks of its work
    epoch = 0
    rate: float | None = None
    patience = 0

    def evaluations(self) -> tuple[int, int]:
        """How often the loss and the gradient were evaluated."""
        before = self.status not in (results.STEPS_DONE, results.PARAMETERS, results.INTERRUPTED, results.CALLBACK)
        return self.nit + before, self.nit + before

    def target(self, stopping: Stopping) -> int:
        """The number of steps after which the descent is over."""
        assert stopping.steps is not None
        return stopping.steps

    def epoch_rows(self) -> Any:
        """The rows of the table of epochs."""
        return np.empty((0, 3))

    def shown_simplices(self) -> Any:
        """The simplices that were recorded, if there are any."""
        return None

    def restart(self) -> None:
        """Be ready to go on after a stop."""
        self.status = results.RUNNING
        self.work = self.work.copy()

    # -- the loop -------------------------------------------------------------------------------------------------

    def go(self, stopping: Stopping) -> Descent:
        """Make steps until something ends the descent."""
        target = self.target(stopping)
        bar = _Bar(target) if stopping.progress else None
        try:
            while self.status == results.RUNNING and self.nit < target:
                if self.stop is not None and self.stop.is_set():
                    raise KeyboardInterrupt
                now = min(self.chunk, target - self.nit)
                if stopping.every is not None and not self.watches_itself:
                    now = min(now, stopping.every - self.nit % stopping.every)
                began, done = time.perf_counter(), self.nit
                self.advance(now, stopping)
                seconds = time.perf_counter() - began
                if not self.times_itself:
                    self.work.add(self.nit, seconds, *self.evaluations())
                self._adapt(seconds, self.nit - done)
                if bar is not None:
                    bar.show(self.nit, self.last[0])
                due = stopping.every is None or self.nit % stopping.every == 0
                if stopping.callback is not None and due and not self.watches_itself and self._asked_to_stop(stopping):
                    self.status = results.CALLBACK if self.status == results.RUNNING else self.status
        except KeyboardInterrupt:
            self.status = results.INTERRUPTED
        finally:
            if bar is not None:
                bar.close()
        if self.status == results.RUNNING:
            self.status = results.STEPS_DONE
        return self.result(stopping)

    def _adapt(self, seconds: float, made: int) -> None:
        """Choose the next chunk so that it takes about a tenth of a second."""
        if made == self.chunk and seconds < CHUNK_SECONDS:
            self.chunk = min(max(self.chunk * 8, 16), int(self.chunk * CHUNK_SECONDS / max(seconds, 1e-9)) + 1)
        elif seconds > CHUNK_SECONDS:
            self.chunk = max(1, int(made * CHUNK_SECONDS / seconds))

    def _asked_to_stop(self, stopping: Stopping) -> bool:
        assert stopping.callback is not None
        fun, norm = self.last
        params = {name_of(p): np.array(v) if np.ndim(v) else v for p, v in self.bound.as_given(self.params()).items()}
        try:
            return bool(stopping.callback(Progress(self.nit, self.epoch, fun, norm, params)))
        except StopIteration:
            return True

    # -- the result -----------------------------------------------------------------------------------------------

    def reached(self) -> dict[Any, Any]:
        """The parameters that the descent returns."""
        return self.params()

    def result(self, stopping: Stopping) -> Descent:
        """Evaluate the loss over all data where the descent ended, and say how it went."""
        kept = self.copy()
        kept.work = self.work.copy()
        params = {p: np.array(v) if np.ndim(v) else float(v) for p, v in self.reached().items()}
        fun, gradient = self.compiled.evaluate(Bound(params, self.bound.data, self.bound.extents))
        status = self.status
        if status == results.STEPS_DONE and not np.isfinite(fun):
            status = results.NOT_FINITE  # by the very last step, after which no test was made
        if status in (results.NOT_FINITE, results.DIVERGED):
            explain_non_finite(self.bound.data)
            explain_non_finite(self.bound.parameters)
            if self.statement.kinks == "raise" and np.isfinite(fun):
                raise KinkError(
                    f"the descent met a kink after {self.nit} steps, and the loss was stated with "
                    'kinks="raise": choose a subgradient with kinks="min-norm", "left" or "right"'
                )
        jac = np.concatenate([np.ravel(part) for part in gradient.values()])
        x = np.concatenate([np.ravel(value) for value in params.values()])
        table, path = self.rows()
        before = table[:, 0] < self.nit
        rate = self.rate if self.rate is not None else np.nan
        table = np.vstack([table[before], [self.nit, fun, results.largest(jac), rate]])
        path = np.vstack([path[before[: len(path)]], x]) if path.shape[1] else path
        shapes = {name_of(p): np.shape(v) for p, v in params.items()}
        nfev, njev = self.evaluations()
        return Descent(
            x=x,
            params={name_of(p): value for p, value in self.bound.as_given(params).items()},
            fun=fun,
            jac=jac,
            nit=self.nit,
            nfev=nfev + 1,
            njev=njev + 1,
            success=status in results.TOLERANCES or (status == results.STEPS_DONE and not stopping.tested),
            status=status,
            message=results.message(
                status,
                self.nit,
                rate=self.rate,
                tested=stopping.tested,
                value=self.last[0],
                patience=self.patience,
            ),
            history=results.records(table, results.HISTORY_FIELDS),
            trajectory=results.paths(path, shapes) if path.shape[1] else {},
            optimizer=self.optimizer,
            simplices=self.shown_simplices(),
            epochs=results.records(self.epoch_rows(), results.EPOCH_FIELDS),
            compiled=self.compiled,
            start=self.begun,
            work=self.work.table(),
            run=kept,
        )


class Work:
    """How far a descent was after how much time and how many evaluations: a mark after each chunk of steps."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, ...]] = [(0, 0.0, 0, 0)]

    def add(self, nit: int, seconds: float, nfev: int, njev: int) -> None:
        """Add a mark; if there are too many, keep every second one.

        What compiling took is left out: the first chunk, a step long, counts as long as a step of the second.
        """
        self.rows.append((nit, self.rows[-1][1] + seconds, nfev, njev))
        if len(self.rows) > WORK_ROWS:
            self.rows = [*self.rows[:3:1], *self.rows[3::2]]

    def copy(self) -> Work:
        """Marks of its own."""
        other = Work()
        other.rows = list(self.rows)
        return other

    def table(self) -> Any:
        """The marks, without what compiling took."""
        table = np.array(self.rows, dtype=float)
        if len(table) > 2:
            (first, begun, *_), (second, ended, *_) = table[1], table[2]
            each = (ended - begun) / max(second - first, 1.0)
            table[1:, 1] += min(each * first - begun, 0.0)
        return table


class _Bar:
    """A progress bar: tqdm's where it is installed, else a line on the standard error stream."""

    def __init__(self, target: int) -> None:
        self.target, self.shown = target, 0.0
        try:
            from tqdm.auto import tqdm

            self.bar: Any = tqdm(total=target, unit="step")
        except ImportError:
            self.bar = None

    def show(self, done: int, loss: float) -> None:
        """Show how far the descent is."""
        if self.bar is not None:
            self.bar.set_postfix(loss=f"{loss:.6g}", refresh=False)
            self.bar.update(done - self.bar.n)
        elif done == self.target or time.perf_counter() - self.shown > 0.5:
            self.shown = time.perf_counter()
            sys.stderr.write(f"\r{done} of {self.target} steps, loss {loss:.6g}   ")
            sys.stderr.flush()

    def close(self) -> None:
        """Leave the line."""
        if self.bar is not None:
            self.bar.close()
        else:
            sys.stderr.write("\n")
