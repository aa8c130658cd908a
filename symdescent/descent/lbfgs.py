"""L-BFGS: SciPy's, over the compiled value and gradient."""

from __future__ import annotations

import math
import time
from typing import Any

from symdescent.binding import Bound
from symdescent.compiled import CompiledLoss
from symdescent.descent import result as results
from symdescent.descent.options import Stopping
from symdescent.descent.stepped import Stepped
from symdescent.errors import UnsupportedError
from symdescent.optimizers import LBFGS


class QuasiNewton(Stepped):
    """One call of ``scipy.optimize.minimize(method="L-BFGS-B")``, watched from its callback."""

    watches_itself = True

    def __init__(self, compiled: CompiledLoss, optimizer: LBFGS, bound: Bound) -> None:
        super().__init__(compiled, optimizer, bound)
        self.chunk = 2**62  # SciPy's loop is not cut

    def step(self) -> Any:
        """Steps are SciPy's."""
        raise NotImplementedError

    def advance(self, steps: int, stopping: Stopping) -> None:
        """Run SciPy's loop to its end."""
        try:
            from scipy.optimize import minimize
        except ImportError as error:
            raise UnsupportedError("LBFGS is SciPy's: run pip install scipy, or use another optimizer") from error
        self.evaluate()
        self.limit = 1e10 * (1.0 + abs(self.fun))
        self.status = self._tested(stopping)
        if self.status != results.RUNNING or steps == 0:
            return

        began = time.perf_counter()

        def watch(intermediate_result: Any) -> None:
            nonlocal began
            self.previous = self.fun
            self.record(self.fun, self.norm)
            moved, self.done = intermediate_result.x.copy(), self.done + 1
            change, self.x = float(abs(moved - self.x).max()), moved
            self.evaluate()
            self.objective.values -= 1  # SciPy knows them
            self.objective.gradients -= 1
            self.work.add(self.done, time.perf_counter() - began, *self.evaluations())
            began = time.perf_counter()
            self.status = self._tested(stopping)
            if self.status == results.RUNNING and stopping.xtol and change <= stopping.xtol:
                self.status = results.PARAMETERS
            every = stopping.every or 1
            if self.status == results.RUNNING and stopping.callback is not None and self.done % every == 0:
                self.status = results.CALLBACK if self._asked_to_stop(stopping) else self.status
            if self.status != results.RUNNING:
                raise StopIteration

        options = {"maxcor": self.optimizer.memory, "maxiter": steps, "maxfun": 2**62, "gtol": 0.0, "ftol": 0.0}
        ended = minimize(
            self.objective.value_and_gradient, self.x, jac=True, method="L-BFGS-B", callback=watch, options=options
        )
        if self.status == results.RUNNING and self.done < steps:
            self.status = results.NO_STEP if math.isfinite(ended.fun) else results.NOT_FINITE

    def restart(self) -> None:
        """SciPy's memory of earlier steps is gone."""
        raise UnsupportedError(
            "a descent by LBFGS cannot go on where it was, because SciPy keeps its model of the Hessian to itself: "
            "begin "
            "anew from descent.params"
        )
