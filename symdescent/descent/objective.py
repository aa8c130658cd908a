"""A loss on one flat vector, with its data bound once: for optimizers whose steps are written in Python."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from symdescent.binding import Bound
from symdescent.codegen.program import is_quadratic
from symdescent.compiled import CompiledLoss
from symdescent.descent.samples import unflattened
from symdescent.methods import arrays
from symdescent.methods.newton import fill_hessian


class Objective:
    """Value, gradient, Hessian at a flat vector; `values` and `gradients` count the evaluations."""

    def __init__(self, compiled: CompiledLoss, bound: Bound) -> None:
        self.compiled, self.bound = compiled, bound
        self.shapes = {p: np.shape(value) for p, value in bound.parameters.items()}
        self.size = sum(int(np.prod(shape)) for shape in self.shapes.values())
        self.values = self.gradients = 0

    def start(self) -> Any:
        """The flat vector of the start."""
        return np.concatenate([np.ravel(np.asarray(v, dtype=np.float64)) for v in self.bound.parameters.values()])

    def params(self, x: Any) -> dict[Any, Any]:
        """The parameters in a flat vector."""
        return unflattened(x, self.shapes)

    def at(self, x: Any) -> Bound:
        """All values, with the parameters from a flat vector."""
        return Bound(self.params(x), self.bound.data, self.bound.extents)

    def value(self, x: Any) -> float:
        """The loss."""
        self.values += 1
        return self.compiled.kernels.value(self.at(x))

    def value_and_gradient(self, x: Any) -> tuple[float, Any]:
        """The loss and its gradient, flat."""
        self.values += 1
        self.gradients += 1
        value, gradient = self.compiled.evaluate(self.at(x))
        return value, _flat(gradient)

    def gradient(self, x: Any, slope: Any) -> float:
        """The loss; its gradient is left in `slope`."""
        value, slope[:] = self.value_and_gradient(x)
        return value

    def curvature(self, x: Any, direction: Any, product: Any) -> None:
        """The Hessian times a direction is left in `product`."""
        product[:] = self.hessian_times(x, direction)

    def hessian_times(self, x: Any, direction: Any) -> Any:
        """The Hessian times a direction."""
        return _flat(self.compiled.kernels.hessian_vector_product(self.at(x), self.params(direction)))

    def hessian(self, x: Any) -> Any:
        """The dense Hessian, symmetric."""
        whole = np.empty((self.size, self.size))
        fill_hessian(self, arrays, x, self.size, whole)
        return whole

    @cached_property
    def is_quadratic(self) -> bool:
        """Whether the Hessian is the same at all parameters: it reads none of them."""
        return is_quadratic(self.compiled.statement)


def _flat(parts: Any) -> Any:
    return np.concatenate([np.ravel(part) for part in parts.values()])
