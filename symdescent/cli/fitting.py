"""Fitting without being asked how: Newton's method from several starts, and others where it does not settle."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from symdescent.cli.descending import exit_code, options, parameters, write_history
from symdescent.cli.exits import DONE, INTERRUPTED, NOT_CONVERGED
from symdescent.cli.optimizers import optimizer
from symdescent.cli.output import deliver
from symdescent.cli.stating import Stated, state
from symdescent.derivation.page import Paragraph, Table
from symdescent.descent import result as results
from symdescent.errors import StatementError, SymdescentError
from symdescent.optimizers import LBFGS, NelderMead, Newton, UpdateRule
from symdescent.statement import name_of

MOST_CURVED = 50  # parameters: the Hessian is looked at up to here
MOST_SIMPLEX = 10
MOST_STEPS = {Newton: 100, NelderMead: 4000, LBFGS: 1000}
FINISHED = (results.STEPS_DONE, results.STALE)
SETTLED = 1e-6  # of the largest gradient that was met: as small as rounding may leave it


def fit(arguments: argparse.Namespace) -> int:
    """The best parameters for the columns of a file."""
    stated = state(arguments, arguments.file)
    found = best_fit(stated, arguments)
    write_history(arguments, found.descent)
    deliver(arguments, "Fit", *found.report(stated, arguments))
    if found.descent.status == results.INTERRUPTED:
        return INTERRUPTED
    return DONE if found.converged else NOT_CONVERGED


@dataclass(frozen=True, slots=True)
class Fit:
    """The best descent, whether it settled in a minimum, and what is to be said of it."""

    descent: Any
    converged: bool
    notes: tuple[str, ...] = ()
    starts: int = 1

    def report(self, stated: Stated, arguments: argparse.Namespace) -> tuple[list[Any], str]:
        """What was found: blocks of a page, and the text for a terminal."""
        run, columns = self.descent, stated.columns
        assert columns is not None
        rows = f"{columns.rows} rows" + (f", {columns.left_out} left out" if columns.left_out else "")
        source = f"{columns.file}: {rows}; samples {', '.join(map(name_of, stated.loss.samples))}"
        method = run.optimizer.name if isinstance(run.optimizer, UpdateRule) else type(run.optimizer).__name__
        starts = f", the best of {self.starts} starts" if self.starts > 1 else ""
        loss = f"loss {run.fun:.10g} ({arguments.reduction} over the samples)"
        ended = "NOT converged" if not self.converged else "done" if run.status in FINISHED else "converged"
        happened = f"{ended}: {method}, {run.nit} iteration{'' if run.nit == 1 else 's'}{starts}"
        rounded = run.status == results.NO_STEP and self.converged
        reason = "(the loss is as small as rounding lets it become)" if rounded else f"({run.message})"
        lines = [f"  {name} = {float(run.params[name]):.10g}" for name in stated.names]
        text = "\n".join([source, *lines, loss, happened, f"  {reason}", *self.notes])
        values = tuple((parameter, float(run.params[name])) for parameter, name in parameters(stated))
        said = [Paragraph((part,)) for part in (loss, f"{happened} {reason}", *self.notes)]
        return [Paragraph((source,)), Table(("parameter", "value"), values), *said], text


def best_fit(stated: Stated, arguments: argparse.Namespace) -> Fit:
    """The fit: by the optimizer that was asked for, or by whatever settles."""
    stated.complete(stated.data)
    chosen = optimizer(arguments)
    if chosen is not None or arguments.batch_size is not None or arguments.validation is not None:
        run = stated.loss.descend(stated.start(arguments.start), stated.data, chosen, **options(arguments))
        return Fit(run, exit_code(run) == DONE)
    if arguments.starts < 1:
        raise StatementError(f"--starts {arguments.starts} is no number of starts: give 1 or more")
    return _Search(stated, arguments).best()


@dataclass(slots=True)
class _Search:
    """Tries starts and methods, and keeps the best that settled."""

    stated: Stated
    arguments: argparse.Namespace
    compiled: Any = field(init=False)

    def __post_init__(self) -> None:
        self.compiled = self.stated.loss.compile()

    def best(self) -> Fit:
        """The lowest of the minima found; the lowest point, where none was."""
        newton = [self.run(start, Newton()) for start in self.starts()]
        tried = len(newton)
        runs = [run for run in newton if run is not None]
        fits = [self.judged(run, tried) for run in runs]
        if not any(fit.converged for fit in fits):
            begin = min(fits, key=_height).descent.params if fits else self.stated.start(self.arguments.start)
            for method in self.others():
                run = self.run(begin, method)
                fits += [] if run is None else [self.judged(run, tried)]
                if fits and fits[-1].converged:
                    break
        if not fits:
            raise StatementError("the loss is not finite at any start that was tried: give --start, inside its domain")
        settled = [fit for fit in fits if fit.converged]
        lowest = min(fits, key=_height)
        if not settled:
            return lowest
        found = min(settled, key=_height)
        if _height(lowest) < _height(found) - 1e-9 * (1 + abs(_height(found))):
            return replace(
                lowest, notes=(*lowest.notes, "a lower loss was met without settling: give --start or --optimizer")
            )
        return found

    def starts(self) -> Iterator[dict[str, float]]:
        """The start that was given; or 0, 1, and random points. For a quadratic loss, one is enough."""
        given = self.stated.start(self.arguments.start)
        yield given
        if self.arguments.start or self.is_quadratic():
            return
        random = np.random.default_rng(self.arguments.seed or 0)
        for number in range(1, self.arguments.starts):
            scale = 1.0 if number < 5 else 5.0
            drawn = np.ones(len(given)) if number == 1 else scale * random.normal(size=len(given))
            yield dict(zip(given, map(float, drawn), strict=True))

    def is_quadratic(self) -> bool:
        """Whether the Hessian is the same everywhere."""
        if len(self.stated.names) > MOST_CURVED:
            return False
        try:
            hessian = self.stated.loss.hessian
        except SymdescentError:
            return False
        return not hessian.free_symbols & set(self.stated.loss.parameters)

    def others(self) -> Iterator[Any]:
        """Methods for what Newton's does not settle."""
        if len(self.stated.names) <= MOST_SIMPLEX:
            yield NelderMead(xatol=1e-10, fatol=1e-12)
        if find_spec("scipy") is not None:
            yield LBFGS()

    def run(self, start: Any, method: Any) -> Any:
        """A descent, or None where it cannot be carried out or meets no finite loss."""
        given = options(self.arguments)
        given.setdefault("steps", MOST_STEPS[type(method)])
        if isinstance(method, NelderMead):
            for name in ("gtol", "xtol", "ftol"):
                given.pop(name, None)
        else:
            given.setdefault("gtol", self.tolerance(start))
        run = self.stated.loss.descend(start, self.stated.data, method, **given)
        if run.status == results.INTERRUPTED:
            raise KeyboardInterrupt
        return run if np.isfinite(run.fun) and np.isfinite(run.x).all() else None

    def tolerance(self, start: Any) -> float:
        """A gradient that is small beside that at the start."""
        gradient = self.compiled.gradient(start, self.stated.data)
        size = max(abs(float(part)) for part in gradient.values())
        return 1e-10 * size if np.isfinite(size) else 1e-10

    def judged(self, run: Any, starts: int) -> Fit:
        """A run as a fit: whether it settled, and in what."""
        norms = run.history["gradient_norm"]
        largest = float(np.nanmax(norms)) if np.isfinite(norms).any() else 0.0
        small = float(np.max(np.abs(run.jac), initial=0.0)) <= SETTLED * largest
        settled = bool(run.success or (run.status == results.NO_STEP and small))
        note = ""
        if settled and isinstance(run.optimizer, Newton):  # what a simplex settles in may be a kink
            note, settled = self.shape(run)
        return Fit(run, settled, (note,) if note else (), starts)

    def shape(self, run: Any) -> tuple[str, bool]:
        """What the Hessian tells of the place that was reached, and whether it may be a minimum."""
        here = self.eigenvalues(run.params)
        begin = self.eigenvalues({name: float(path[0]) for name, path in run.trajectory.items()})
        if here is None or begin is None:
            return "", True
        least, most = float(here[0]), float(np.max(np.abs(here)))
        if least < -1e-8 * most:
            return "this is a saddle point, and no minimum", False
        if most <= 1e-6 * float(np.max(np.abs(begin))):
            return "the loss flattens out here: its minimum may lie at infinity", True
        if least <= 1e-12 * most:
            return "the loss is flat here in some direction: other values fit as well", True
        return "", True

    def eigenvalues(self, point: Any) -> Any:
        """The eigenvalues of the Hessian, in rising order; None where there are too many."""
        names = self.stated.names
        if len(names) > MOST_CURVED:
            return None
        columns = []
        for one in names:
            direction = {name: float(name == one) for name in names}
            product = self.compiled.hessian_vector_product(point, direction, self.stated.data)
            columns.append([float(product[parameter]) for parameter in self.stated.loss.parameters])
        hessian = np.array(columns)
        return np.linalg.eigvalsh((hessian + hessian.T) / 2) if np.isfinite(hessian).all() else None


def _height(fit: Fit) -> float:
    return float(fit.descent.fun)
