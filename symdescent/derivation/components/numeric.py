"""The witness of every step: the value of a line to 30 digits, by walking its SymPy expression with mpmath.

Nothing of the expression graph is used, and no rule of differentiation: a derivative that is still to be carried out is
a central difference in high working precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import mpmath as mp
import sympy as sp
from sympy.core.relational import Relational
from sympy.matrices.expressions.matexpr import MatrixElement

from symdescent.elementary import functions

DIGITS = 30
WORKING = 100  # decimal digits while a line is evaluated: differences lose about a third of them
STEP = mp.mpf(10) ** -30

Rule = Callable[["Walk", Any], Any]


class UndefinedError(ArithmeticError):
    """A line has no real value at a point."""


class OutsideError(UndefinedError):
    """A line reads an entry that an array does not have."""


@dataclass(slots=True)
class Walk:
    """The values of symbols and arrays at one point, and what abbreviations stand for.

    `values` maps symbols to numbers and arrays to nested lists; `definitions` maps the base of an abbreviation to its
    indices and its expression; `first` is the position that an array's first entry has. Where no `real` point is in
    the domain, principal values of complex functions serve as well: the same rules hold for them.
    """

    values: dict[Any, Any]
    first: int = 0
    definitions: Mapping[Any, tuple[tuple[Any, ...], Any]] = field(default_factory=dict)
    real: bool = True
    _memo: dict[Any, Any] = field(default_factory=dict)  # of abbreviations, while no value changes

    def __call__(self, expression: Any) -> Any:
        """The value of an expression: a real mpf, or a truth value."""
        known = self.values.get(expression)
        if known is not None:
            return known
        for kind in type(expression).__mro__:
            rule = _RULES.get(kind)
            if rule is not None:
                return rule(self, expression)
        raise NotImplementedError(f"a {type(expression).__name__} in a derivation: {expression}")

    @contextmanager
    def bound(self, symbol: Any, value: Any) -> Any:
        """Give a symbol a value for a while."""
        missing = object()
        before = self.values.get(symbol, missing)
        self.values[symbol] = value
        kept, self._memo = self._memo, {}
        try:
            yield
        finally:
            self._memo = kept
            if before is missing:
                del self.values[symbol]
            else:
                self.values[symbol] = before

    def checked(self, value: Any) -> Any:
        """A value that is finite, and real where that is asked for."""
        if isinstance(value, bool):
            return value
        if isinstance(value, mp.mpc) and (self.real or not value.imag):
            if abs(value.imag) > mp.mpf(10) ** -60 * (1 + abs(value.real)):
                raise UndefinedError("complex value")
            value = value.real
        if not mp.isfinite(value):
            raise UndefinedError("infinite value")
        return value

    def number(self, expression: Any) -> int:
        """The value of an index or a bound."""
        return int(mp.nint(self(expression)))


def value_of(expression: Any, walk: Walk) -> Any:
    """The value of a line, an mpf; UndefinedError where it has none."""
    with mp.workdps(WORKING):
        try:
            result = walk(expression)
        except (
            ZeroDivisionError,
            ValueError,
            TypeError,
            OverflowError,
            IndexError,
        ) as error:  # complex < is a TypeError
            raise UndefinedError(str(error)) from error
        return walk.checked(result)


def agree(left: Any, right: Any, scale: Any) -> bool:
    """Whether two values are equal to 30 digits, relative to themselves or to the given scale."""
    return bool(abs(left - right) <= mp.mpf(10) ** -DIGITS * max(abs(left), abs(right), scale))


# -- one rule a class -------------------------------------------------------------------------------------------------


def _number(walk: Walk, expression: Any) -> Any:
    return mp.mpf(int(expression.p)) / int(expression.q)


def _constant(walk: Walk, expression: Any) -> Any:
    return mp.mpmathify(expression.evalf(WORKING)._to_mpmath(mp.mp.prec))


def _symbol(walk: Walk, expression: Any) -> Any:
    if expression in walk.definitions:
        if expression not in walk._memo:
            walk._memo[expression] = walk(walk.definitions[expression][1])
        return walk._memo[expression]
    raise UndefinedError(f"no value for {expression}")


def _add(walk: Walk, expression: Any) -> Any:
    return mp.fsum(map(walk, expression.args))


def _mul(walk: Walk, expression: Any) -> Any:
    return mp.fprod(map(walk, expression.args))


def _power(walk: Walk, expression: Any) -> Any:
    base, exponent = walk(expression.base), walk(expression.exp)
    return walk.checked(mp.power(base, exponent))


def _indexed(walk: Walk, expression: Any) -> Any:
    places = [walk.number(place) for place in expression.indices]
    if expression.base in walk.definitions:
        indices, body = walk.definitions[expression.base]
        with _all_bound(walk, indices, places):
            return walk(body)
    entry = walk.values[expression.base]
    for place in places:
        if place < walk.first:
            raise IndexError("before the first entry")
        entry = entry[place - walk.first]
    return entry


@contextmanager
def _all_bound(walk: Walk, symbols: Any, numbers: Any) -> Any:
    if not symbols:
        yield
        return
    with walk.bound(symbols[0], mp.mpmathify(numbers[0])), _all_bound(walk, symbols[1:], numbers[1:]):
        yield


def _element(walk: Walk, expression: Any) -> Any:
    """An entry of a matrix; column vectors are held as plain lists."""
    row, column = map(walk.number, expression.indices)
    entry = walk.values[expression.parent][row]
    return entry[column] if isinstance(entry, list) else entry


def _reduction(walk: Walk, expression: Any) -> Any:
    terms: list[Any] = []

    def collect(limits: Any) -> None:
        if not limits:
            terms.append(walk(expression.function))
            return
        symbol, first, last = limits[-1]
        for number in range(walk.number(first), walk.number(last) + 1):
            with walk.bound(symbol, mp.mpf(number)):
                collect(limits[:-1])

    collect(expression.limits)
    return (mp.fsum if isinstance(expression, sp.Sum) else mp.fprod)(terms)


def _derivative(walk: Walk, expression: Any) -> Any:
    """A central difference; its error is of the order of the step squared, far below 30 digits."""
    body, (variable, _) = expression.expr, expression.variable_count[0]
    return (_moved(walk, body, variable, STEP) - _moved(walk, body, variable, -STEP)) / (2 * STEP)


def _moved(walk: Walk, body: Any, variable: Any, step: Any) -> Any:
    if isinstance(variable, sp.Indexed):
        row: Any = walk.values[variable.base]
        *outer, last = [walk.number(place) - walk.first for place in variable.indices]
        for place in outer:
            row = row[place]
        if not 0 <= last < len(row):
            raise IndexError("outside of the array")
        before = row[last]
        row[last] = before + step
        kept, walk._memo = walk._memo, {}
        try:
            return walk(body)
        finally:
            row[last], walk._memo = before, kept
    with walk.bound(variable, walk(variable) + step):
        return walk(body)


def _substituted(walk: Walk, expression: Any) -> Any:
    """``Subs(body, u, inner)``: the body at u = inner."""
    inner = [walk(value) for value in expression.point]
    with _all_bound(walk, expression.variables, inner):
        return walk(expression.expr)


def _piecewise(walk: Walk, expression: Any) -> Any:
    for value, condition in expression.args:
        if walk(condition):
            return walk(value)
    raise UndefinedError("no piece holds")


def _relation(walk: Walk, expression: Any) -> Any:
    left, right = walk(expression.lhs), walk(expression.rhs)
    return {
        sp.Eq: left == right,
        sp.Ne: left != right,
        sp.Lt: left < right,
        sp.Le: left <= right,
        sp.Gt: left > right,
        sp.Ge: left >= right,
    }[expression.func]


def _heaviside(walk: Walk, expression: Any) -> Any:
    x = walk(expression.args[0])
    return mp.mpf(1) if x > 0 else mp.mpf(0) if x < 0 else walk(expression.args[1])


def _defined(walk: Walk, expression: Any) -> Any:
    return walk(expression.definition())


def _elementary(walk: Walk, expression: Any) -> Any:
    """A function of SymPy, by mpmath's function of that name."""
    name = {"Abs": "fabs", "ceiling": "ceil", "polygamma": "psi"}.get(type(expression).__name__)
    function = getattr(mp, name or type(expression).__name__, None)
    if function is None:
        raise NotImplementedError(f"the function {type(expression).__name__} in a derivation")
    return function(*map(walk, expression.args))


def _delta(walk: Walk, expression: Any) -> Any:
    return mp.mpf(walk.number(expression.args[0]) == walk.number(expression.args[1]))


_RULES: dict[type, Rule] = {
    sp.Rational: _number,
    sp.Number: _constant,
    sp.NumberSymbol: _constant,
    sp.Symbol: _symbol,
    sp.Add: _add,
    sp.Mul: _mul,
    sp.Pow: _power,
    sp.Indexed: _indexed,
    MatrixElement: _element,
    sp.Sum: _reduction,
    sp.Product: _reduction,
    sp.Derivative: _derivative,
    sp.Subs: _substituted,
    sp.Piecewise: _piecewise,
    Relational: _relation,
    sp.And: lambda walk, e: all(map(walk, e.args)),
    sp.Or: lambda walk, e: any(map(walk, e.args)),
    sp.ITE: lambda walk, e: walk(e.args[1]) if walk(e.args[0]) else walk(e.args[2]),
    sp.Not: lambda walk, e: not walk(e.args[0]),
    type(sp.true): lambda walk, e: True,
    type(sp.false): lambda walk, e: False,
    sp.Max: lambda walk, e: max(map(walk, e.args)),
    sp.Min: lambda walk, e: min(map(walk, e.args)),
    sp.Mod: lambda walk, e: mp.mpf(walk(e.args[0])) % walk(e.args[1]),
    sp.Heaviside: _heaviside,
    sp.KroneckerDelta: _delta,
    sp.log: lambda walk, e: mp.log(*map(walk, e.args)),
    functions._Head: _defined,
    sp.Function: _elementary,
}
