"""The loss along one component: difference quotients and the complex step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symdescent.binding import Bound
from symdescent.check.draw import value_at
from symdescent.elementary import TABLE
from symdescent.graph import reachable
from symdescent.statement import Statement, name_of


@dataclass(slots=True)
class Probe:
    """The loss along one component."""

    statement: Statement
    bound: Bound
    parameter: Any
    place: tuple[int, ...]
    value: float

    @property
    def name(self) -> str:
        """What the component is called: w, or w[0]."""
        if not self.place:
            return name_of(self.parameter)
        first = self.statement.first_index if not isinstance(self.parameter, sp.MatrixSymbol) else 0
        return f"{name_of(self.parameter)}[{', '.join(str(k + first) for k in self.place)}]"

    @property
    def x(self) -> float:
        """The component's value at the point."""
        return float(np.asarray(self.bound.parameters[self.parameter])[self.place])

    def at(self, x: Any) -> Any:
        """The loss with the component at another value."""
        moved = np.array(self.bound.parameters[self.parameter], dtype=complex if isinstance(x, complex) else float)
        moved[self.place] = x
        return value_at(self.statement, self.bound, {self.parameter: moved if moved.ndim else moved[()]})

    def one_sided(self, h: float) -> float:
        """The difference quotient to one side, with the step that is really made."""
        ahead = self.x + h
        return (float(self.at(ahead)) - self.value) / (ahead - self.x)

    def central(self, h: float) -> float:
        """The symmetric difference quotient."""
        above, below = self.x + h, self.x - h
        return (float(self.at(above)) - float(self.at(below))) / (above - below)

    def complex_step(self, h: float = 1e-20) -> float:
        """Im f(x + ih) / h: exact to rounding for analytic functions."""
        result = self.at(complex(self.x, h))
        return float(np.imag(result)) / h if np.isfinite(result) and math.isfinite(self.value) else math.nan


def is_analytic(statement: Statement) -> bool:
    """Whether the loss is made of functions that the complex step can pass through."""
    for node in reachable([statement.root]):
        if node.op in ("select", "maximum") or (node.op == "call" and node.payload in ("max", "min")):
            return False
        if node.op == "call" and node.payload in TABLE and not TABLE[node.payload].analytic:
            return False
    return True
