r"""Curvature: the Hessian at a point, its eigenvalues, and what they mean for the step of gradient descent.

Near a minimum the error follows :math:`e_{k+1} = (I - \eta H) e_k`, so that every eigenvalue λ has to satisfy
:math:`|1 - \eta\lambda| < 1`: steps are stable up to :math:`2/\lambda_{\max}`.
Source: Nocedal & Wright, *Numerical Optimization*, 2006; Polyak 1964 for the heavy ball.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symdescent.codegen.program import second_order
from symdescent.derivation.page import Block, Rendered
from symdescent.derivation.wording import check_language
from symdescent.differentiate import is_parameter
from symdescent.errors import DataError, UnsupportedError
from symdescent.graph import dependents, reachable
from symdescent.loss import Loss
from symdescent.statement import ARRAYS, Statement, name_of
from symdescent.study.curvature_page import SHOWN, page_of
from symdescent.study.phrases import word

MOST = 2000  # entries of the parameters


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Curvature(Rendered):
    """The Hessian of a loss at a point and what follows from it.

    Attributes
    ----------
    hessian, eigenvalues, eigenvectors
        as NumPy arrays, parameters in their order, arrays row by row; eigenvalues increase, eigenvectors are columns
    verdict
        "positive definite", "positive semidefinite", "indefinite", "negative semidefinite", "negative definite", "zero"
    condition_number
        the largest by the smallest eigenvalue; infinite where that is 0, None unless the Hessian is positive
    largest_step
        2/λmax, below which gradient descent is stable; None where λmax is not positive: no bound
    quadratic
        whether the Hessian is the same everywhere; only then and if it is positive definite there are
    optimal_step, rate
        2/(λmin + λmax), and the factor (κ - 1)/(κ + 1) by which the error then shrinks in each step
    momentum_step, momentum, momentum_rate
        the best heavy ball: 4/(√λmax + √λmin)², ((√κ - 1)/(√κ + 1))², and its factor

    >>> import symdescent as sd
    >>> x, y = sp.symbols("x y")
    >>> found = sd.Loss(x**2 + 10*y**2, [x, y]).curvature({"x": 1, "y": 1})
    >>> found.condition_number, found.largest_step, round(found.optimal_step, 6), round(found.rate, 6)
    (10.0, 0.1, 0.090909, 0.818182)
    """

    point: Mapping[Any, Any]
    names: tuple[sp.Expr, ...]
    gradient: Any
    hessian: Any
    eigenvalues: Any
    eigenvectors: Any
    verdict: str
    quadratic: bool
    formula: Any = None
    kinked: bool = False
    language: str = "en"

    @property
    def condition_number(self) -> float | None:
        """κ = λmax/λmin of a positive Hessian."""
        if self.verdict == "positive semidefinite":
            return math.inf
        return float(self.eigenvalues[-1] / self.eigenvalues[0]) if self.verdict == "positive definite" else None

    @property
    def largest_step(self) -> float | None:
        """2/λmax."""
        return 2.0 / float(self.eigenvalues[-1]) if self.eigenvalues[-1] > 0 and _rises(self.verdict) else None

    @property
    def _ends(self) -> tuple[float, float] | None:
        strict = self.quadratic and self.verdict == "positive definite"
        return (float(self.eigenvalues[0]), float(self.eigenvalues[-1])) if strict else None

    @property
    def optimal_step(self) -> float | None:
        """2/(λmin + λmax), of a quadratic."""
        return None if self._ends is None else 2.0 / sum(self._ends)

    @property
    def rate(self) -> float | None:
        """(κ - 1)/(κ + 1), of a quadratic."""
        if self._ends is None:
            return None
        low, high = self._ends
        return (high - low) / (high + low)

    @property
    def momentum_step(self) -> float | None:
        """4/(√λmax + √λmin)², of a quadratic."""
        return None if self._ends is None else 4.0 / (math.sqrt(self._ends[0]) + math.sqrt(self._ends[1])) ** 2

    @property
    def momentum(self) -> float | None:
        """((√κ - 1)/(√κ + 1))², of a quadratic."""
        return None if self.momentum_rate is None else self.momentum_rate**2

    @property
    def momentum_rate(self) -> float | None:
        """(√κ - 1)/(√κ + 1), of a quadratic."""
        if self._ends is None:
            return None
        low, high = map(math.sqrt, self._ends)
        return (high - low) / (high + low)

    def __repr__(self) -> str:
        return self.text()

    def title(self) -> str:
        """A title for documents."""
        return word("curvature title", self.language)

    def page(self, language: str | None = None) -> Sequence[Block]:
        """The blocks of the page, in a language."""
        return page_of(self, check_language(language or self.language))


def _rises(verdict: str) -> bool:
    return verdict in ("positive definite", "positive semidefinite", "indefinite")


def curvature(loss: Loss, at: Any, data: Any = None, language: str = "en") -> Curvature:
    """The curvature of a loss at a point. See `Curvature`."""
    check_language(language)
    compiled = loss.compile()
    bound = compiled.bind(at, data)
    sizes = [int(np.size(value)) for value in bound.parameters.values()]
    if sum(sizes) > MOST:
        raise UnsupportedError(
            f"the Hessian of {sum(sizes)} parameter entries has {sum(sizes)}² numbers, and curvature forms at most "
            f"{MOST}²: use loss.compile().hessian_vector_product(params, direction, data) with an iterative method"
        )
    _, gradient = compiled.value_and_gradient(at, data)
    hessian = _formed(loss, at, data, bound.parameters)
    values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    slopes = np.concatenate([np.ravel(gradient[p]) for p in loss.parameters])
    scalars = not any(isinstance(p, ARRAYS) for p in loss.parameters)
    kinked = has_kink(loss.statement)
    return Curvature(
        point=dict(bound.parameters),
        names=tuple(_names(loss, bound.parameters)),
        gradient=slopes,
        hessian=(hessian + hessian.T) / 2,
        eigenvalues=_cleaned(values),
        eigenvectors=_signed(vectors),
        verdict=_verdict(_cleaned(values)),
        quadratic=not kinked and is_quadratic(loss.statement),
        formula=loss.hessian.as_immutable() if scalars and len(loss.parameters) <= SHOWN else None,
        kinked=kinked,
        language=language,
    )


def _formed(loss: Loss, at: Any, data: Any, parameters: Mapping[Any, Any]) -> Any:
    """The Hessian, a column for each Hessian-vector product with a unit vector."""
    compiled = loss.compile()
    columns = []
    zeros = {p: np.zeros(np.shape(value)) for p, value in parameters.items()}
    for parameter, value in parameters.items():
        for place in np.ndindex(np.shape(value)):
            along = {p: np.array(zero) for p, zero in zeros.items()}
            along[parameter][place] = 1.0
            direction = {p: part if part.ndim else float(part) for p, part in along.items()}
            given = {p: np.reshape(direction[p], np.shape(value)) if np.ndim(value) else direction[p]
                     for p, value in parameters.items()}  # fmt: skip
            product = compiled.hessian_vector_product(at, given, data)
            columns.append(np.concatenate([np.ravel(product[p]) for p in loss.parameters]))
    hessian = np.array(columns).T
    if not np.isfinite(hessian).all():
        raise DataError("the second derivatives are not finite at this point: choose another point")
    return hessian


def _names(loss: Loss, parameters: Mapping[Any, Any]) -> Iterator[sp.Expr]:
    for parameter, value in parameters.items():
        first = 0 if isinstance(parameter, sp.MatrixSymbol) else loss.statement.first_index
        for place in np.ndindex(np.shape(value)):
            yield sp.IndexedBase(name_of(parameter))[tuple(k + first for k in place)] if place else parameter


def _cleaned(values: Any) -> Any:
    """Eigenvalues without what rounding leaves of zeros."""
    size = float(np.max(np.abs(values), initial=0.0))
    return np.where(np.abs(values) <= 16 * len(values) * np.finfo(float).eps * size, 0.0, values)


def _signed(vectors: Any) -> Any:
    """Eigenvectors whose largest component is positive."""
    largest = np.argmax(np.abs(vectors), axis=0)
    signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return vectors * signs + 0.0


def _verdict(values: Any) -> str:
    low, high = float(values[0]), float(values[-1])
    if low == high == 0:
        return "zero"
    if low < 0 < high:
        return "indefinite"
    if high > 0:
        return "positive definite" if low > 0 else "positive semidefinite"
    return "negative definite" if high < 0 else "negative semidefinite"


# -- what is known of the loss as a whole -----------------------------------------------------------------------------

_KINKS = ("Abs", "relu", "max", "min", "sign", "Heaviside", "floor", "ceiling", "Mod")


def has_kink(statement: Statement) -> bool:
    """Whether the loss is put together from pieces that depend on the parameters."""
    wanted = set(statement.parameters)
    active = dependents([statement.root], lambda node: is_parameter(node, wanted))
    return any(
        (node.op == "call" and node.payload in _KINKS)
        or node.op == "maximum"
        or (node.op == "select" and node.args[0] in active)
        for node in active
    )


def is_quadratic(statement: Statement) -> bool:
    """Whether the second derivative does not depend on the parameters.

    >>> w, x, y = sp.symbols("w x y")
    >>> is_quadratic(Loss((y - w*x)**2, w, samples=[x, y]).statement), is_quadratic(Loss(w**4, w).statement)
    (True, False)
    """
    wanted = set(statement.parameters)
    contributions = [scatter.contribution for scatter in second_order(statement)]
    return not any(is_parameter(node, wanted) for node in reachable(contributions))
