"""`CompiledLoss`: value, gradient and Hessian-vector product as compiled loops, behind checked arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from symdescent import kernels
from symdescent.binding import Binder, Bound, as_mapping, explain_non_finite
from symdescent.codegen import tape
from symdescent.codegen.descent_loop import DescentSource, descent_source
from symdescent.codegen.program import Direction, KernelWriter, second_order
from symdescent.errors import DataError, KinkError
from symdescent.graph import Node
from symdescent.optimizers import UpdateRule
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
        self.kernels: LoopKernels | TapeKernels = (
            TapeKernels(statement) if tape.is_long(statement.root) else LoopKernels(statement)
        )
        self._descents: dict[tuple[UpdateRule, bool], DescentSource] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return CompiledLoss, (self.statement,)

    @property
    def source(self) -> str:
        """The generated module: the kernels `value` and `value_and_gradient`, or the loop that carries out a table."""
        return self.kernels.source

    def value(self, params: Any, data: Any = None) -> float:
        """The loss L(params), a float.

        >>> import sympy as sp, symdescent as sd
        >>> sd.Loss((sp.Symbol("w") - 3)**2).compile().value(1.0)
        4.0
        """
        bound = self._binder.bind(params, data)
        result = self.kernels.value(bound)
        if not np.isfinite(result):
            explain_non_finite(bound.data)
        return result

    def gradient(self, params: Any, data: Any = None) -> dict[Any, Any]:
        """The gradient: for each parameter (or its name) a float, or an array of its shape.

        >>> import sympy as sp, symdescent as sd
        >>> sd.Loss((sp.Symbol("w") - 3)**2).compile().gradient(1.0)
        {w: -4.0}
        """
        return self.value_and_gradient(params, data)[1]

    def value_and_gradient(self, params: Any, data: Any = None) -> tuple[float, dict[Any, Any]]:
        """The loss and its gradient, in one pass over the data.

        >>> import sympy as sp, symdescent as sd
        >>> sd.Loss((sp.Symbol("w") - 3)**2).compile().value_and_gradient({"w": 1.0})
        (4.0, {w: -4.0})
        """
        bound = self._binder.bind(params, data)
        value, gradient = self.evaluate(bound)
        self._diagnose(bound, [value, *gradient.values()])
        return value, bound.as_given(gradient)

    def bind(self, params: Any, data: Any = None) -> Bound:
        """Check parameter values and data against the statement."""
        return self._binder.bind(params, data)

    def descent_source(self, rule: UpdateRule, sampled: bool = False) -> DescentSource:
        """The generated module of a descent by an update rule, by all samples or by batches, written once."""
        key = rule, sampled
        if key not in self._descents:
            self._descents[key] = descent_source(self.batch_statement if sampled else self.statement, rule)
        return self._descents[key]

    @cached_property
    def batch_statement(self) -> Statement:
        """The statement of the loss over a batch of samples; `UnsupportedError` where it has none."""
        return self.statement.fresh().over_batch()

    @cached_property
    def batch_kernels(self) -> LoopKernels:
        """The kernels of the loss over a batch."""
        return LoopKernels(self.batch_statement)

    def sample_count(self, bound: Bound) -> int:
        """How many samples there are."""
        statement = self.batch_statement
        assert statement.batch is not None
        return int(statement.reader().expression(statement.batch.samples).xreplace(bound.extents))

    def evaluate(self, bound: Bound) -> tuple[float, dict[Any, Any]]:
        """The loss and its gradient at values that were checked before; not finite where they are not."""
        return self.kernels.value_and_gradient(bound)

    def hessian_vector_product(self, params: Any, direction: Any, data: Any = None) -> dict[Any, Any]:
        r"""The Hessian times a direction, :math:`\nabla^2 L\, v`, without forming the Hessian.

        `direction` has the form of the parameters: one number or array of the same shape for each.

        >>> import sympy as sp, symdescent as sd
        >>> sd.Loss((sp.Symbol("w") - 3)**2).compile().hessian_vector_product(1.0, 10.0)
        {w: 20.0}
        """
        bound = self._binder.bind(params, data)
        given = as_mapping(direction, self.statement.parameters, "direction")
        along = self._binder.parameters(given)
        for parameter, value in along.items():
            if np.shape(value) != np.shape(bound.parameters[parameter]):
                raise DataError(
                    f"the direction along {name_of(parameter)} has shape {np.shape(value)}, the parameter "
                    f"{np.shape(bound.parameters[parameter])}: they must agree"
                )
        product = self.kernels.hessian_vector_product(bound, along)
        self._diagnose(bound, product.values())
        return bound.as_given(product)

    def as_scipy(self, data: Any = None, start: Any = None) -> FlatLoss:
        """Return ``x ↦ (f, g)`` on one flat vector, as ``scipy.optimize.minimize(..., jac=True)`` takes it.

        The vector holds the parameters in their order, arrays row by row; shapes that the data do not tell are taken
        from `start`, a mapping like `params`. See `FlatLoss` for packing and unpacking vectors.

        >>> import sympy as sp, symdescent as sd
        >>> a, b = sp.symbols("a b")
        >>> sd.Loss((a - 1)**2 + (b + 2)**2, [a, b]).compile().as_scipy()([0.0, 0.0])
        (5.0, array([-2.,  4.]))
        """
        return FlatLoss(self, data, start)

    def _diagnose(self, bound: Bound, results: Iterable[Any]) -> None:
        """Where a result is not finite, say why if the data or a kink explain it."""
        results = list(results)
        if all(np.isfinite(result).all() for result in results):
            return
        explain_non_finite(bound.data)
        if self.statement.kinks == "raise" and np.isfinite(results[0]):
            raise KinkError(
                'the loss has a kink at this point, and was stated with kinks="raise": move the point, or choose a '
                'subgradient with kinks="min-norm", "left" or "right"'
            )


class LoopKernels:
    """Kernels printed as loops, compiled by Numba."""

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self._writer = KernelWriter(statement)

    @cached_property
    def source(self) -> str:
        """The generated module."""
        return self._writer.value_and_gradient()

    @cached_property
    def _module(self) -> ModuleType:
        return kernels.load(self.source)

    @cached_property
    def _second_order(self) -> ModuleType:
        return kernels.load(KernelWriter(self.statement).hessian_vector_product())

    def value(self, bound: Bound) -> float:
        """The loss."""
        return float(kernels.call(self._module.value, *bound.parameters.values(), *self.data(bound)))

    def value_and_gradient(self, bound: Bound) -> tuple[float, dict[Any, Any]]:
        """The loss and its gradient."""
        outputs = self._outputs(bound)
        kernel = self._module.value_and_gradient
        result = kernels.call(kernel, *bound.parameters.values(), *self.data(bound), *outputs.values())
        value, *scalars = result if isinstance(result, tuple) else (result,)
        return float(value), self._collect(outputs, scalars)

    def hessian_vector_product(self, bound: Bound, along: Mapping[Any, Any]) -> dict[Any, Any]:
        """The Hessian times a direction."""
        outputs = self._outputs(bound)
        kernel = self._second_order.hessian_vector_product
        result = kernels.call(kernel, *bound.parameters.values(), *along.values(), *self.data(bound), *outputs.values())
        scalars = () if result is None else result if isinstance(result, tuple) else (result,)
        return self._collect(outputs, scalars)

    def data(self, bound: Bound) -> list[Any]:
        """Data and extents, in the order of the kernels' arguments."""
        data = [read_only(bound.data[thing]) for thing in self._writer.data]
        return [*data, *(bound.extents[symbol] for symbol in self._writer.extents)]

    def _outputs(self, bound: Bound) -> dict[Any, Any]:
        return {p: np.empty(np.shape(v)) for p, v in bound.parameters.items() if isinstance(p, ARRAYS)}

    def _collect(self, outputs: dict[Any, Any], scalars: Iterable[Any]) -> dict[Any, Any]:
        rest = iter(scalars)
        return {p: outputs[p] if p in outputs else float(next(rest)) for p in self.statement.parameters}


class TapeKernels:
    """A loss that is too long for printed code: a table of operations, carried out by one compiled loop."""

    source = tape.interpreter_source()

    def __init__(self, statement: Statement) -> None:
        self.statement = statement

    @cached_property
    def program(self) -> TapeProgram:
        """Value and gradient as a table."""
        return TapeProgram(self.statement, [self.statement.root], self.statement.scatters())

    @cached_property
    def _second_order(self) -> TapeProgram:
        return TapeProgram(self.statement, [], second_order(self.statement))

    def value(self, bound: Bound) -> float:
        """The loss."""
        return self.value_and_gradient(bound)[0]

    def value_and_gradient(self, bound: Bound) -> tuple[float, dict[Any, Any]]:
        """The loss and its gradient."""
        values = self.program.run({**bound.parameters, **bound.data, **bound.extents})
        return float(values[0]), self._collect(self.program, bound, values[1:])

    def hessian_vector_product(self, bound: Bound, along: Mapping[Any, Any]) -> dict[Any, Any]:
        """The Hessian times a direction."""
        directions = {Direction(p): value for p, value in along.items()}
        values = self._second_order.run({**bound.parameters, **directions, **bound.data, **bound.extents})
        return self._collect(self._second_order, bound, values)

    def _collect(self, program: TapeProgram, bound: Bound, values: Any) -> dict[Any, Any]:
        gradient = {p: np.zeros(np.shape(v)) for p, v in bound.parameters.items()}
        for (parameter, places), value in zip(program.targets, values, strict=True):
            gradient[parameter][places] += value
        return {p: value if value.ndim else float(value) for p, value in gradient.items()}


class TapeProgram:
    """A table with its inputs and outputs: values first, then contributions to the entries in `targets`."""

    def __init__(self, statement: Statement, values: list[Node], scatters: list[Any]) -> None:
        self.tape = tape.record(statement.graph, [*values, *(scatter.contribution for scatter in scatters)])
        self.targets = [(s.parameter, tuple(int(place.number) for place in s.places)) for s in scatters]

    @cached_property
    def runner(self) -> Any:
        """The compiled loop."""
        return kernels.load(TapeKernels.source).run

    def run(self, given: Mapping[Any, Any]) -> Any:
        """Carry out the table; the numbers at the outputs."""
        values = self.tape.values()
        for place, (thing, places) in enumerate(self.tape.leaves):
            values[place] = np.asarray(given[thing])[places] if places else given[thing]
        kernels.call(self.runner, self.tape.code, self.tape.a, self.tape.b, self.tape.c, values, self.tape.first)
        return values[self.tape.outputs]


class FlatLoss:
    """A compiled loss on one flat vector: ``x ↦ (f, g)``.

    >>> import sympy as sp, symdescent as sd
    >>> a, b = sp.symbols("a b")
    >>> objective = sd.Loss((a - 1)**2 + (b + 2)**2, [a, b]).compile().as_scipy()
    >>> objective.size, objective([0.0, 0.0])
    (2, (5.0, array([-2.,  4.])))
    """

    def __init__(self, compiled: CompiledLoss, data: Any, start: Any) -> None:
        self._compiled, self._data = compiled, data
        self._shapes = self._find_shapes(start)
        self.size = sum(int(np.prod(shape)) for shape in self._shapes.values())

    def __call__(self, x: Any) -> tuple[float, Any]:
        """The value and the gradient at a flat vector."""
        value, gradient = self._compiled.value_and_gradient(self.unflatten(x), self._data)
        return value, np.concatenate([np.ravel(part) for part in gradient.values()])

    def flatten(self, params: Any) -> Any:
        """The flat vector of parameters that are given by name.

        >>> import sympy as sp, symdescent as sd
        >>> objective = sd.Loss(sp.Symbol("a")**2 + sp.Symbol("b")**2).compile().as_scipy()
        >>> objective.flatten({"b": 2.0, "a": 1.0})
        array([1., 2.])
        """
        bound = self._compiled._binder.bind(params, self._data)
        return np.concatenate([np.ravel(value) for value in bound.parameters.values()])

    def unflatten(self, x: Any) -> dict[Any, Any]:
        """The parameters by symbol, from a flat vector.

        >>> import sympy as sp, symdescent as sd
        >>> objective = sd.Loss(sp.Symbol("a")**2 + sp.Symbol("b")**2).compile().as_scipy()
        >>> objective.unflatten([1.0, 2.0])
        {a: 1.0, b: 2.0}
        """
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


def read_only(value: Any) -> Any:
    """A view that compiled code cannot write to: writable and read-only data then share one compiled version."""
    if not isinstance(value, np.ndarray):
        return value
    view = value.view(np.ndarray)
    view.flags.writeable = False
    return view
