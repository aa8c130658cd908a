"""From a statement to its gradient: how long deriving takes, and how it grows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp
from measure import Contender, Row, compare
from peers import find
from setting import Setting, chained_rosenbrock, n, rosenbrock_gradient
from sympy.core.cache import clear_cache

import symdescent as sd
from symdescent.codegen.program import KernelWriter

Stated = tuple[Any, list[Any]]

# -- one symbol for each entry ----------------------------------------------------------------------------------------


def written_out(setting: Setting) -> list[Row]:
    """Derive the chained Rosenbrock function, written out with one symbol for each entry."""
    return [row for size in setting.size((1000, 2000, 4000), (100, 200, 400)) for row in _written_out(setting, size)]


def _written_out(setting: Setting, size: int) -> list[Row]:
    """The gradient alone; and read back into SymPy, which includes comparing it with the statement."""
    point = np.random.default_rng(size).normal(size=size)
    names = [f"x{place}" for place in range(size)]

    def stated() -> Stated:
        """The statement, while SymPy's cache knows nothing about it."""
        clear_cache()
        symbols = sp.symbols(names)
        return sp.Add(*_terms(symbols)), symbols

    def sweep(statement: Stated) -> sd.Loss:
        loss = sd.Loss(*statement)
        loss.statement.scatters()
        return loss

    def compiled(loss: sd.Loss) -> list[float]:
        return list(loss.compile().gradient(dict(zip(names, point, strict=True))).values())

    def read_back(statement: Stated) -> list[Any]:
        return list(sd.Loss(*statement).gradient.values())

    def differentiate(statement: Stated) -> list[Any]:
        expression, symbols = statement
        return [sp.diff(expression, symbol) for symbol in symbols]

    def at_point(components: list[Any]) -> list[float]:
        numbers = dict(zip(sp.symbols(names), map(float, point), strict=True))
        return [float(component.xreplace(numbers)) for component in components]

    swept = [Contender("symdescent", sweep, stated, compiled)]
    read = [Contender("symdescent", read_back, stated, at_point)]
    if size == setting.size(1000, 100):  # its time grows with the square of the size
        read.append(Contender("SymPy diff", differentiate, stated, at_point, once=not setting.quick))
    swept += [contender for contender in (_symengine(names, point), _casadi(point)) if contender]
    title = f"derive the chained Rosenbrock function, written out, n = {size}"
    options: dict[str, Any] = {"expected": rosenbrock_gradient(point), "rounds": setting.size(5, 3), "warm": False}
    return [
        compare(f"{title}: reverse sweep", swept, target="1.5 s" if size == 1000 else "", **options),
        compare(f"{title}: read back into SymPy and verified", read, **options),
    ]


def _terms(x: Any) -> list[Any]:
    return [100 * (after - here**2) ** 2 + (1 - here) ** 2 for here, after in pairwise(x)]


def _symengine(names: list[str], point: Any) -> Contender | None:
    symengine = find("symengine")
    if symengine is None:
        return None

    def stated() -> Stated:
        symbols = [symengine.Symbol(name) for name in names]
        return symengine.Add(*_terms(symbols)), symbols

    def derive(statement: Stated) -> Stated:
        expression, symbols = statement
        return symbols, [expression.diff(symbol) for symbol in symbols]

    def at_point(result: Stated) -> Any:
        return symengine.Lambdify(*result)(point)

    return Contender("SymEngine", derive, stated, at_point, once=len(names) > 1000)


def _casadi(point: Any) -> Contender | None:
    casadi = find("casadi")
    if casadi is None:
        return None

    def stated() -> tuple[Any, Any]:
        vector = casadi.SX.sym("x", len(point))
        return casadi.sum1(casadi.vertcat(*_terms(casadi.vertsplit(vector)))), vector

    def derive(statement: tuple[Any, Any]) -> tuple[Any, Any]:
        expression, vector = statement
        return vector, casadi.gradient(expression, vector)

    def at_point(result: tuple[Any, Any]) -> Any:
        vector, gradient = result
        return casadi.Function("gradient", [vector], [gradient])(point).full().ravel()

    return Contender("CasADi", derive, stated, at_point)


# -- index notation ---------------------------------------------------------------------------------------------------


def indexed(setting: Setting) -> list[Row]:
    """Derive the chained Rosenbrock function in index notation, and write its kernels."""
    point = np.random.default_rng(0).normal(size=50)
    (gradient,) = sd.Loss(*chained_rosenbrock(n)).compile().gradient(point).values()
    if not np.allclose(gradient, rosenbrock_gradient(point), rtol=1e-12):
        raise SystemExit("the gradient of the indexed Rosenbrock function is wrong")
    small, large = (_kernels(chained_rosenbrock(length)) for length in (10**3, 10**7))
    if large.replace("999999", "99") != small:
        raise SystemExit("the kernels depend on more of n than its value")

    def row(length: Any, said: str) -> Row:
        def stated() -> tuple[Any, Any]:
            clear_cache()
            return chained_rosenbrock(length)

        title = f"derive the chained Rosenbrock function, indexed, {said}, and write its kernels"
        return compare(title, [Contender("symdescent", _kernels, stated, None)], warm=False, target="50 ms")

    return [row(n, "n a symbol"), row(10**3, "n = 10³"), row(10**7, "n = 10⁷")]


def _kernels(statement: tuple[Any, Any]) -> str:
    """The source of value and gradient."""
    return KernelWriter(sd.Loss(*statement).statement).value_and_gradient()
