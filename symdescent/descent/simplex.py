"""The simplex method of Nelder and Mead, in a compiled loop."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from symdescent import kernels
from symdescent.binding import Bound
from symdescent.codegen import simplex as code
from symdescent.codegen import tape
from symdescent.compiled import CompiledLoss, read_only
from symdescent.descent import result as results
from symdescent.descent.first_order import table_arguments
from symdescent.descent.objective import Objective
from symdescent.descent.options import Stopping
from symdescent.descent.records import HISTORY_ROWS, Places, step_back, thin
from symdescent.descent.runner import Runner
from symdescent.errors import DataError
from symdescent.methods.simplex import first_simplex
from symdescent.optimizers import NelderMead

PLACES = Places(code.STEPS, code.ROWS, code.DUE, code.STRIDE)
MOST = 5000


class Simplex(Runner):
    """The points of a simplex and their losses, best first."""

    def __init__(self, compiled: CompiledLoss, optimizer: NelderMead, bound: Bound) -> None:
        super().__init__(compiled, optimizer, bound)
        objective = Objective(compiled, bound)
        self.shapes, n = objective.shapes, objective.size
        if n > MOST:
            raise DataError(f"NelderMead keeps n + 1 points, and {n} parameters are more than {MOST}: use gradients")
        start = objective.start()
        if not np.isfinite(start).all():
            raise DataError("the start of NelderMead contains values that are not finite: give numbers")
        self.objective = objective
        self.points = np.empty((n + 1, n))
        first_simplex(start, self.points, n)
        self.losses = np.full(n + 1, math.inf)
        self.counters = np.zeros(code.COUNTERS, dtype=np.int64)
        self.counters[[code.DUE, code.STRIDE]] = 1
        rows = max(16, min(HISTORY_ROWS, 4_000_000 // (n * (n + 1))))
        self.history, self.simplices = np.empty((rows, 4)), np.empty((rows, n + 1, n))
        self.source, self.given = code.simplex_source(compiled.statement, self.shapes)

    @property
    def nit(self) -> int:
        """The steps that are done."""
        return int(self.counters[code.STEPS])

    @property
    def last(self) -> tuple[float, float]:
        """The best loss; there is no gradient."""
        return float(self.losses[0]), math.nan

    def evaluations(self) -> tuple[int, int]:
        """How often the loss was evaluated."""
        return int(self.counters[code.VALUES]), 0

    def data(self) -> list[Any]:
        """Data and extents in the order of the kernel's arguments, or the table of a loss that is written out."""
        if tape.is_long(self.statement.root):
            return table_arguments(self.compiled, self.bound, self.shapes)
        given = {**self.bound.data, **self.bound.extents}
        return [read_only(given[thing]) for thing in self.given]

    def advance(self, steps: int, stopping: Stopping) -> None:
        """Run the kernel once."""
        module, data = kernels.load(self.source), self.data()
        if self.counters[code.VALUES] == 0:
            kernels.call(module.start, self.points, self.losses, self.counters, *data)
            if not self.losses[0] < math.inf:
                self.status = results.NOT_FINITE
                return
        if self.counters[code.ROWS] == len(self.history):
            thin(self.counters, PLACES, (self.history, self.simplices))
        chosen = self.optimizer.xatol, self.optimizer.fatol, int(self.optimizer.adaptive)
        kernels.call(
            module.simplex, self.points, self.losses, steps, *chosen, self.counters, self.history, self.simplices, *data
        )
        if self.counters[code.DONE]:
            self.status = results.CONTRACTED
        elif self.losses[0] < -1e300:
            self.status = results.DIVERGED

    def restart(self) -> None:
        """Be ready to go on."""
        if self.counters[code.DONE]:
            step_back(self.counters, PLACES, self.history)
        self.counters[code.DONE] = 0
        super().restart()

    def params(self) -> dict[Any, Any]:
        """The best point."""
        return self.objective.params(self.points[0])

    def rows(self) -> tuple[Any, Any]:
        """History and the path of the best point."""
        rows = int(self.counters[code.ROWS])
        return self.history[:rows], self.simplices[:rows, 0]

    def shown_simplices(self) -> Any:
        """The simplices at the rows of the history."""
        return self.simplices[: int(self.counters[code.ROWS])].copy()

    def copy(self) -> Simplex:
        """The same descent, with arrays of its own."""
        other = copy.copy(self)
        rows = int(self.counters[code.ROWS])
        other.points, other.losses, other.counters = self.points.copy(), self.losses.copy(), self.counters.copy()
        other.history, other.simplices = np.empty_like(self.history), np.empty_like(self.simplices)
        other.history[:rows], other.simplices[:rows] = self.history[:rows], self.simplices[:rows]
        return other

    def state(self) -> dict[str, Any]:
        """What must be stored to go on."""
        rows = int(self.counters[code.ROWS])
        return {
            "simplex": [self.points, self.losses, self.counters],
            "records": [self.history[:rows], self.simplices[:rows]],
            "status": self.status,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Be where a stored descent was."""
        self.points, self.losses, self.counters = state["simplex"]
        table, simplices = state["records"]
        self.history[: len(table)], self.simplices[: len(simplices)] = table, simplices
        self.status = state["status"]
