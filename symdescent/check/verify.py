"""A gradient is compared with its own statement before it is handed out.

The witness shares nothing with the derivation: the statement is evaluated with dual numbers along a random direction,
and the derived expressions are evaluated at the same point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from symdescent.binding import Bound
from symdescent.check.draw import instances, symbol_values, value_at
from symdescent.check.evaluate import evaluate, leaves
from symdescent.dual import Dual, primal
from symdescent.errors import VerificationError
from symdescent.statement import Statement

TOLERANCE = 1e-7


def verify_gradient(statement: Statement, gradient: Any, seed: int = 20) -> None:
    """Raise `VerificationError` if a gradient contradicts the statement at random points."""
    random = np.random.default_rng(seed)
    wanted = 2 if statement.graph.size < 2000 else 1
    seen: list[tuple[float, float, float]] = []
    for bound in instances(statement, seed):
        direction = {p: random.normal(size=np.shape(v)) for p, v in bound.parameters.items()}
        moved = {p: Dual(v, np.asarray(direction[p])[..., None]) for p, v in bound.parameters.items()}
        value = value_at(statement, bound, moved)
        expected = float(value.tangent[0]) if isinstance(value, Dual) else 0.0
        products = _products(statement, gradient, bound, direction)
        slope = float(products.sum())
        if not np.isfinite(expected) or not np.isfinite(slope):
            continue
        scale = max(float(np.abs(products).sum()), abs(expected), 1e-5 * abs(float(np.asarray(primal(value)))))
        seen.append((slope, expected, scale))
        if len(seen) == wanted:
            if all(abs(slope - expected) <= TOLERANCE * scale for slope, expected, scale in seen):
                return
            wanted += 4  # perhaps the witness lost its digits where the loss is tiny: look at more points
            if wanted > 6:
                break
    largest = max((scale for _, _, scale in seen), default=0.0)
    for slope, expected, scale in seen:
        if abs(slope - expected) > TOLERANCE * (scale + 1e-2 * largest):
            raise VerificationError(
                f"the gradient derived for {str(statement.expression)[:300]} contradicts the statement "
                f"(slope {slope:.12g} instead of {expected:.12g} along a random direction): "
                "this is a defect, please report it"
            )


def _products(statement: Statement, gradient: Any, bound: Bound, direction: Mapping[Any, Any]) -> Any:
    """The gradient times the direction, entry by entry; of very many scalars, their sum at once."""
    parameters = statement.parameters
    if len(parameters) > 50 and all(np.ndim(bound.parameters[p]) == 0 for p in parameters):
        terms = (sp.Mul(sp.Float(float(direction[p])), gradient[p], evaluate=False) for p in parameters)
        total = sp.Add(*terms, evaluate=False)
        return np.ravel(component_values(statement, gradient, parameters[0], bound, total, ()))
    parts = {p: np.asarray(component_values(statement, gradient, p, bound)) for p in parameters}
    return np.concatenate(
        [np.ravel(np.reshape(part, np.shape(direction[p])) * direction[p]) for p, part in parts.items()]
    )


def component_values(
    statement: Statement,
    gradient: Any,
    parameter: Any,
    bound: Bound,
    expression: Any = None,
    keys: Sequence[Any] | None = None,
) -> Any:
    """The numbers of one parameter's gradient, in the parameter's shape, from its expression.

    `expression` may be another candidate for the same gradient, `keys` the free indices that it is written with.
    """
    expression = gradient[parameter] if expression is None else expression
    shape = np.shape(bound.parameters[parameter])
    values = symbol_values(statement, bound)
    for sample, array in statement.arrays.items():
        values[array] = values.pop(sample)
    keys = gradient.indices.get(parameter, ()) if keys is None else keys
    if len(values) > 20:
        used = leaves(expression) | statement.extents | {statement.sample_count}
        values = {thing: values[thing] for thing in used if thing in values}
    values = {**values, **free_positions(keys, shape, statement.first_index)}
    result = evaluate(expression, values, first_index=statement.first_index)
    if not keys and np.ndim(result) == 2 and len(shape) == 1:
        result = result[:, 0] if np.shape(result)[1] == 1 else result
    return np.broadcast_to(result, shape) if keys and np.shape(result) != shape else result


def free_positions(keys: Sequence[Any], shape: Sequence[int], first_index: int) -> Mapping[Any, Any]:
    """Arrays that stand for the free indices, so that one evaluation gives all components."""
    positions = {}
    for axis, (key, length) in enumerate(zip(keys, shape, strict=False)):
        places = np.arange(first_index, first_index + length, dtype=float)
        positions[key] = places.reshape([-1 if other == axis else 1 for other in range(len(shape))])
    return positions
