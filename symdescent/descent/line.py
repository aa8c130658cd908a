r"""The step along a direction that a line search finds."""

from __future__ import annotations

from typing import Any

from symdescent.descent.objective import Objective
from symdescent.methods import arrays
from symdescent.methods.line import backtracking, first_minimum, quadratic_step
from symdescent.optimizers import Backtracking, ExactLineSearch, LineSearch


def search(line: LineSearch, objective: Objective, x: Any, direction: Any, value: float, gradient: Any) -> float | None:
    """The step along a direction, or None where none lowers the loss."""
    n, slope = objective.size, float(gradient @ direction)
    if not slope < 0:
        return None
    if isinstance(line, Backtracking):
        chosen = line.initial, line.shrink, line.c
        return backtracking(objective, arrays, x, direction, n, value, slope, *chosen) or None
    assert isinstance(line, ExactLineSearch)
    step = quadratic_step(objective, arrays, x, direction, n, slope) if objective.is_quadratic else 0.0
    return step or first_minimum(objective, arrays, x, direction, n, slope, line.tolerance) or None
