"""From a statement to its gradient: how long deriving takes, and how it grows."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from sympy.core.cache import clear_cache

import symdescent as sd
from measure import Contender, Row, compare
from peers import find
from setting import Setting, chained_rosenbrock, n, rosenbrock_gradient
from symdescent.codegen.program import KernelWriter


def written_out(setting: Setting) -> list[Row]:
    """Derive the chained Rosenbrock function, written out with one symbol for each entry."""
    return [row for size in setting.size((1000, 2000, 4000), (100, 200, 400)) for row in _written_out(setting, size)]


def _written_out(setting: Setting, size: int) -> list[Row]:
    """The gradient alone; and read back into SymPy, which includes its numerical verification."""
    point = np.random.default_rng(size).normal(size=size)
    allowed = "1.5 s" if size == 1000 else ""
    names = [f"x{place}" for place in range(size)]

    def stated() -> tuple[Any, list[Any]]:
        """The statement, with nothing about it in SymPy's cache."""
        clear_cache()
        return _chain(symbols := sp.symbols(names), sp.Add), symbols

    def swept(statement: tuple[Any, list[Any]]) -> sd.Loss:
        loss = sd.Loss(*statement)
        loss.statement.scatters()
        return loss

    def differentiated(statement: tuple[Any, list[Any]]) -> list[Any]:
        expression, symbols = statement
        return [sp.diff(expression, symbol) for symbol in symbols]

    def at_point(components: Any) -> list[float]:
        numbers = dict(zip(sp.symbols(names), map(float, point), strict=True))
        return [float(component.xreplace(numbers)) for component in components]

    def compiled(loss: sd.Loss) -> list[float]:
        return list(loss.compile().gradient(dict(zip(names, point, strict=True))).values())

    swept_ours = Contender("symdescent", swept, stated, compiled)
    read_back = Contender("symdescent", lambda statement: sd.Loss(*statement).gradient, stated, lambda g: at_point(g.values()))
    peers = []
    if size == setting.size(1000, 100):  # the time grows with the square of the size
        peers.append(Contender("SymPy diff", differentiated, stated, at_point, once=not setting.quick))
    peers += [peer for peer in (_symengine(names, point), _casadi(point)) if peer]
    expected = rosenbrock_gradient(point)
    options: dict[str, Any] = {"expected": expected, "rounds": setting.size(5, 3), "warm": False}
    title = f"derive the chained Rosenbrock function, written out, n = {size}"
    return [
        compare(f"{title}: reverse sweep", [swept_ours, *peers], allowed=allowed, **options),
        compare(f"{title}: read back into SymPy and verified", [read_back], **options),
    ]


def _chain(x: Any, add: Any) -> Any:
    """The sum over neighbours."""
    return add(*(100 * (after - here**2) ** 2 + (1 - here) ** 2 for here, after in zip(x[:-1], x[1:], strict=True)))


def _symengine(names: list[str], point: Any) -> Contender | None:
    symengine = find("symengine")
    if symengine is None:
        return None

    def stated() -> tuple[Any, list[Any]]:
        symbols = [symengine.Symbol(name) for name in names]
        return _chain(symbols, symengine.Add), symbols

    def derive(statement: tuple[Any, list[Any]]) -> tuple[list[Any], list[Any]]:
        expression, symbols = statement
        return symbols, [expression.diff(symbol) for symbol in symbols]

    return Contender("SymEngine", derive, stated, lambda result: symengine.Lambdify(*result)(point), once=len(names) > 1000)


def _casadi(point: Any) -> Contender | None:
    casadi = find("casadi")
    if casadi is None:
        return None

    def stated() -> tuple[Any, Any]:
        symbols = casadi.SX.sym("x", len(point))
        return _chain(casadi.vertsplit(symbols), lambda *terms: casadi.sum1(casadi.vertcat(*terms))), symbols

    def derive(statement: tuple[Any, Any]) -> tuple[Any, Any]:
        expression, symbols = statement
        return symbols, casadi.gradient(expression, symbols)

    def at_point(result: tuple[Any, Any]) -> Any:
        symbols, gradient = result
        return casadi.Function("gradient", [symbols], [gradient])(point).full().ravel()

    return Contender("CasADi", derive, stated, at_point)


def indexed(setting: Setting) -> list[Row]:
    """Derive the chained Rosenbrock function in index notation, and write its kernels."""
    point = np.random.default_rng(0).normal(size=50)

    def row(length: Any, said: str) -> Row:
        def stated() -> tuple[Any, Any]:
            clear_cache()
            return chained_rosenbrock(length)

        ours = Contender("symdescent", _kernels, stated, answer=None)
        return compare(f"derive and schedule the indexed Rosenbrock function, {said}", [ours], allowed="50 ms", rounds=15, warm=False)

    compiled = sd.Loss(*chained_rosenbrock(n)).compile()
    if not np.allclose(next(iter(compiled.gradient(point).values())), rosenbrock_gradient(point), rtol=1e-12):
        raise SystemExit("the gradient of the indexed Rosenbrock function is wrong")
    if _kernels(chained_rosenbrock(10**7)) != _kernels(chained_rosenbrock(10**3)).replace("999", "9999999").replace("998", "9999998"):
        raise SystemExit("the source of the kernels depends on more of n than its value")
    return [row(n, "n a symbol"), row(10**7, "n = 10⁷")]


def _kernels(statement: tuple[Any, Any]) -> str:
    """The source of value and gradient."""
    return KernelWriter(sd.Loss(*statement).statement).value_and_gradient()
