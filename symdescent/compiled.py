"""`CompiledLoss`: value, gradient and Hessian-vector product as compiled loops, behind checked arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from symdescent import kernels
from symdescent.binding import Binder, Bound, as_mapping, explain_non_finite
from symdescent.codegen.program import KernelWriter
from symdescent.errors import DataError, KinkError
from symdescent.statement import ARRAYS, Statement, name_of


class CompiledLoss:
    r"""A loss as compiled code: one fused pass for value and gradient.

    Parameters and data are mappings keyed by the SymPy object or its name; with a single parameter its bare value
    will do. Arrays are read as they are (float32 or float64, any strides), sums are accumulated in float64.

    >>> import sympy as sp, symdescent as sd
    >>> w, x, y = sp.symbols("w x y")
    >>> compiled = sd.Loss((y - w*x)**2, w, samples=[x, y]).compile()
    >>> compiled.value_and_gradient(1.0, {"x": [1.0, 2.0], "y": [2.0, 4.0]})
    (2.5, {w: -5.0})
    """

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self._binder = Binder(statement)
        self._writer = KernelWriter(statement)

    @cached_property
    def source(self) -> str:
        """The generated module with the kernels `value` and `value_and_gradient`."""
        return self._writer.value_and_gradient()

    @cached_property
    def _module(self) -> ModuleType:
        return kernels.load(self.source)

    @cached_property
    def _second_order(self) -> ModuleType:
        return kernels.load(KernelWriter(self.statement).hessian_vector_product())

    def value(self, params: Any, data: Any = None) -> float:
        """The loss L(params), a float."""
        bound = self._binder.bind(params, data)
        result = float(kernels.call(self._module.value, *self._inputs(bound)))
        if not np.isfinite(result):
            explain_non_finite(bound.data)
        return result

    def gradient(self, params: Any, data: Any = None) -> dict[Any, Any]:
        """The gradient: for each parameter a float, or an array of its shape."""
        return self.value_and_gradient(params, data)[1]

    def value_and_gradient(self, params: Any, data: Any = None) -> tuple[float, dict[Any, Any]]:
        """The loss and its gradient, in one pass over the data."""
        bound = self._binder.bind(params, data)
        value, gradient = self.evaluate(bound)
        self._diagnose(bound, [value, *gradient.values()])
        return value, gradient

    def evaluate(self, bound: Bound) -> tuple[float, dict[Any, Any]]:
        """The loss and its gradient at values that were checked before; not finite where they are not."""
        outputs = self._outputs(bound)
        result = kernels.call(self._module.value_and_gradient, *self._inputs(bound), *outputs.values())
        value, *scalars = result if isinstance(result, tuple) else (result,)
        return float(value), self._collect(bound, outputs, scalars)

    def hessian_vector_product(self, params: Any, direction: Any, data: Any = None) -> dict[Any, Any]:
        r"""The Hessian times a direction, :math:`\nabla^2 L\, v`, without forming the Hessian.

        `direction` has the form of the parameters: one number or array of the same shape for each.
        """
        bound = self._binder.bind(params, data)
        given = as_mapping(direction, self.statement.parameters, "direction")
        along = {p: self._binder._value(p, given, "parameter") for p in self.statement.parameters}
        for parameter, value in along.items():
            if np.shape(value) != np.shape(bound.parameters[parameter]):
                raise DataError(
                    f"the direction along {name_of(parameter)} has shape {np.shape(value)}, the parameter "
                    f"{np.shape(bound.parameters[parameter])}: they must agree"
                )
        outputs = self._outputs(bound)
        kernel = self._second_order.hessian_vector_product
        result = kernels.call(kernel, *self._inputs(bound, along), *outputs.values())
        scalars = () if result is None else result if isinstance(result, tuple) else (result,)
        return self._collect(bound, outputs, scalars)

    def as_scipy(self, data: Any = None, start: Any = None) -> Callable[[Any], tuple[float, Any]]:
        """Return ``x ↦ (f, g)`` on one flat vector, as ``scipy.optimize.minimize(..., jac=True)`` takes it.

        The vector holds the parameters in their order, arrays row by row; shapes that the data do not tell are taken
        from `start`, a mapping like `params`.
        """
        return FlatLoss(self, data, start)

    # -- between mappings and kernel arguments --------------------------------------------------------------------

    def _inputs(self, bound: Bound, directions: dict[Any, Any] | None = None) -> list[Any]:
        writer = self._writer
        along = [] if directions is None else [directions[p] for p in self.statement.parameters]
        data = [_read_only(bound.data[thing]) for thing in writer.data]
        return [*bound.parameters.values(), *along, *data, *(bound.extents[symbol] for symbol in writer.extents)]

    def _outputs(self, bound: Bound) -> dict[Any, Any]:
        return {p: np.empty(np.shape(v)) for p, v in bound.parameters.items() if isinstance(p, ARRAYS)}

    def _collect(self, bound: Bound, outputs: dict[Any, Any], scalars: Any) -> dict[Any, Any]:
        rest = iter(scalars)
        return {p: outputs[p] if p in outputs else float(next(rest)) for p in self.statement.parameters}

    def _diagnose(self, bound: Bound, results: list[Any]) -> None:
        """Where a result is not finite, say why if the data or a kink explain it."""
        if all(np.isfinite(result).all() for result in results):
            return
        explain_non_finite(bound.data)
        if self.statement.kinks == "raise" and np.isfinite(results[0]):
            raise KinkError(
                'the loss has a kink at this point, and was stated with kinks="raise": move the point, or choose a '
                'subgradient with kinks="min-norm", "left" or "right"'
            )


class FlatLoss:
    """A compiled loss on one flat vector."""

    def __init__(self, compiled: CompiledLoss, data: Any, start: Any) -> None:
        self._compiled, self._data = compiled, data
        self._shapes = self._find_shapes(start)
        self.size = sum(int(np.prod(shape)) for shape in self._shapes.values())

    def __call__(self, x: Any) -> tuple[float, Any]:
        """The value and the gradient at a flat vector."""
        value, gradient = self._compiled.value_and_gradient(self.unflatten(x), self._data)
        return value, np.concatenate([np.ravel(part) for part in gradient.values()])

    def flatten(self, params: Any) -> Any:
        """The flat vector of parameters that are given by name."""
        bound = self._compiled._binder.bind(params, self._data)
        return np.concatenate([np.ravel(value) for value in bound.parameters.values()])

    def unflatten(self, x: Any) -> dict[Any, Any]:
        """The parameters by name, from a flat vector."""
        x = np.asarray(x, dtype=np.float64)
        if x.shape != (self.size,):
            raise DataError(f"the flat vector has shape {x.shape}, but the parameters have {self.size} entries in all")
        params, place = {}, 0
        for parameter, shape in self._shapes.items():
            count = int(np.prod(shape))
            params[parameter] = x[place : place + count].reshape(shape) if shape else float(x[place])
            place += count
        return params

    def _find_shapes(self, start: Any) -> dict[Any, tuple[int, ...]]:
        statement = self._compiled.statement
        if start is not None:
            bound = self._compiled._binder.bind(start, self._data)
            return {p: np.shape(v) for p, v in bound.parameters.items()}
        if not any(isinstance(p, ARRAYS) for p in statement.parameters):
            return dict.fromkeys(statement.parameters, ())
        return self._compiled._binder.parameter_shapes(self._data)


def _read_only(value: Any) -> Any:
    """A view that compiled code cannot write to: writable and read-only data then share one compiled version."""
    if not isinstance(value, np.ndarray):
        return value
    view = value.view(np.ndarray)
    view.flags.writeable = False
    return view
