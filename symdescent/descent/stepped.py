"""Descents whose steps are taken in Python: along the gradient or Newton's direction, or to random points."""

from __future__ import annotations

import copy
import math
import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from symdescent.binding import Bound
from symdescent.compiled import CompiledLoss
from symdescent.descent import result as results
from symdescent.descent.line import search
from symdescent.descent.objective import Objective
from symdescent.descent.options import Stopping
from symdescent.descent.records import HISTORY_ROWS
from symdescent.descent.runner import Runner
from symdescent.errors import DataError
from symdescent.methods import arrays
from symdescent.methods.chance import best_nearby, stream
from symdescent.methods.newton import downward_direction, plain_direction
from symdescent.optimizers import LineSearch, Newton, RandomSearch, UpdateRule

LARGEST_SYSTEM = 2000


class Stepped(Runner):
    """A descent in Python steps, with the same order of evaluation, tests and update as the compiled loop."""

    uses_gradient = True
    times_itself = True  # the number of evaluations differs from step to step

    def __init__(self, compiled: CompiledLoss, optimizer: Any, bound: Bound) -> None:
        super().__init__(compiled, optimizer, bound)
        self.objective = Objective(compiled, bound)
        self.x = self.objective.start()
        self.done = 0
        self.fun = self.previous = self.norm = math.nan
        self.jac: Any = None
        self.rate = None
        self.limit = math.inf
        self.stride = 1
        self.table: list[tuple[float, ...]] = []
        self.path: list[Any] = []

    @abstractmethod
    def step(self) -> Any:
        """The next point, or None where no step lowers the loss; `rate` is set to the step's size."""

    @property
    def nit(self) -> int:
        """The steps that are done."""
        return self.done

    @property
    def last(self) -> tuple[float, float]:
        """The last loss and gradient norm."""
        return self.fun, self.norm

    def evaluations(self) -> tuple[int, int]:
        """How often the loss and the gradient were evaluated."""
        return self.objective.values, self.objective.gradients

    def evaluate(self) -> None:
        """The loss and its gradient where the descent is."""
        self.fun, self.jac = self.objective.value_and_gradient(self.x)
        self.norm = float(np.max(np.abs(self.jac))) if np.isfinite(self.jac).all() else math.nan

    def advance(self, steps: int, stopping: Stopping) -> None:
        """Evaluate, test, step."""
        for _ in range(steps):
            began = time.perf_counter()
            self.evaluate()
            if self.limit == math.inf and math.isfinite(self.fun):
                self.limit = 1e10 * (1.0 + abs(self.fun))
            self.status = self._tested(stopping)
            if self.status != results.RUNNING:
                return
            self.previous, norm = self.fun, self.norm
            moved = self.step()
            if moved is None:
                self.status = results.NO_STEP
                return
            self.record(self.previous, norm)
            change = float(np.max(np.abs(moved - self.x)))
            self.x, self.done = moved, self.done + 1
            self.work.add(self.done, time.perf_counter() - began, *self.evaluations())
            if change <= stopping.xtol and stopping.xtol and self.settled:
                self.status = results.PARAMETERS
                return

    settled = True  # whether a small step means something

    def _tested(self, stopping: Stopping) -> int:
        if not abs(self.fun) <= self.limit:
            return results.DIVERGED if math.isfinite(self.fun) else results.NOT_FINITE
        if self.uses_gradient and not math.isfinite(self.norm):
            return results.NOT_FINITE
        if self.uses_gradient and (self.norm <= stopping.gtol if stopping.gtol else self.norm == 0.0):
            return results.GRADIENT
        if stopping.ftol and abs(self.previous - self.fun) <= stopping.ftol and self.settled:
            return results.LOSS
        return results.RUNNING

    def record(self, fun: float, norm: float) -> None:
        """A row of the history, at the point that the step leaves."""
        if self.done % self.stride:
            return
        rate = math.nan if self.rate is None else self.rate
        self.table.append((self.done, fun, norm, rate))
        self.path.append(self.x.copy())
        if len(self.table) > HISTORY_ROWS or self.x.size * len(self.path) > 4_000_000:
            self.table, self.path, self.stride = self.table[::2], self.path[::2], self.stride * 2

    def params(self) -> dict[Any, Any]:
        """The parameters as they are now."""
        return self.objective.params(self.x)

    def rows(self) -> tuple[Any, Any]:
        """History and trajectory."""
        return np.array(self.table, dtype=float).reshape(-1, 4), np.array(self.path).reshape(-1, self.x.size)

    def restart(self) -> None:
        """Be ready to go on: the point where a test ended the descent is evaluated again, and counted once."""
        if self.status in (results.GRADIENT, results.LOSS, results.NOT_FINITE, results.DIVERGED) and self.uses_gradient:
            self.objective.values -= 1
            self.objective.gradients -= 1
        super().restart()

    def copy(self) -> Stepped:
        """The same descent, with arrays of its own."""
        other = copy.copy(self)
        other.x, other.table, other.path = self.x.copy(), list(self.table), list(self.path)
        other.objective = copy.copy(self.objective)
        return other

    def state(self) -> dict[str, Any]:
        """What must be stored to go on."""
        table, path = self.rows()
        numbers = [self.done, self.previous, self.limit, self.stride, self.status, self.rate]
        return {"x": self.x, "numbers": numbers, "rows": [table, path], "counts": list(self.evaluations())}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Be where a stored descent was."""
        self.x = state["x"]
        self.done, self.previous, self.limit, self.stride, self.status, self.rate = state["numbers"]
        table, path = state["rows"]
        self.table, self.path = [tuple(row) for row in table], list(path)
        self.objective.values, self.objective.gradients = state["counts"]


class LineDescent(Stepped):
    """Gradient descent whose step is found along the gradient."""

    def __init__(self, compiled: CompiledLoss, rule: UpdateRule, bound: Bound) -> None:
        super().__init__(compiled, rule, bound)
        assert rule.program.searched is not None
        self.line: LineSearch = rule.program.searched.value

    def step(self) -> Any:
        """Along minus the gradient."""
        found = search(self.line, self.objective, self.x, -self.jac, self.fun, self.jac)
        if found is None:
            return None
        self.rate = found
        return self.x - found * self.jac


class NewtonDescent(Stepped):
    """Newton's method."""

    def __init__(self, compiled: CompiledLoss, newton: Newton, bound: Bound) -> None:
        super().__init__(compiled, newton, bound)
        if self.objective.size > LARGEST_SYSTEM:
            raise DataError(
                f"Newton solves a dense system, and {self.objective.size} parameters are more than "
                f"{LARGEST_SYSTEM}: use "
                "LBFGS or a first-order optimizer"
            )

    def step(self) -> Any:
        """Along Newton's direction, by a fixed step or one that is found."""
        newton: Newton = self.optimizer
        hessian = self.objective.hessian(self.x)
        direction, find = np.empty(len(self.x)), downward_direction if newton.definite else plain_direction
        if not find(arrays, hessian, self.jac, len(self.x), newton.damping, direction):
            return None
        if isinstance(newton.learning_rate, LineSearch):
            found = search(newton.learning_rate, self.objective, self.x, direction, self.fun, self.jac)
            if found is None:
                return None
            self.rate = found
        else:
            self.rate = float(newton.learning_rate)
        return self.x + self.rate * direction


class RandomDescent(Stepped):
    """Moves to the best of some random points nearby."""

    uses_gradient = False

    def __init__(self, compiled: CompiledLoss, optimizer: RandomSearch, bound: Bound) -> None:
        super().__init__(compiled, optimizer, bound)
        self.random = stream(optimizer.seed)
        self.radius = optimizer.radius

    def evaluate(self) -> None:
        """The loss; it is known where a step led to."""
        if self.jac is None:
            self.fun = self.objective.value(self.x)
            self.jac = ()

    def step(self) -> Any:
        """The best of the drawn points, or where we are, with a smaller radius."""
        optimizer: RandomSearch = self.optimizer
        self.rate = self.radius
        n, tried, best = self.objective.size, np.empty_like(self.x), np.empty_like(self.x)
        lowest = best_nearby(self.objective, self.random, self.x, n, self.radius, optimizer.points, tried, best)
        self.settled = lowest < self.fun
        if self.settled:
            self.fun = lowest
            return best
        self.radius *= optimizer.shrink
        return self.x

    def copy(self) -> RandomDescent:
        """The same descent, with a random generator of its own."""
        other = super().copy()
        assert isinstance(other, RandomDescent)
        other.random = self.random.copy()
        return other

    def state(self) -> dict[str, Any]:
        """What must be stored to go on."""
        return super().state() | {"random": self.random, "fun": self.fun, "radius": self.radius}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Be where a stored descent was."""
        super().restore(state)
        self.random, self.fun, self.radius, self.jac = state["random"].copy(), state["fun"], state["radius"], ()
