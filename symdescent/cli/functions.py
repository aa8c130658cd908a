"""The functions that expressions on the command line may use: those of the elementary table, and a few beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symdescent.check.evaluate import OPERATIONS
from symdescent.elementary import TABLE, logsumexp, softmax

MANY = 10_000  # as many arguments as an expression has room for
EXACT = ("exp", "log", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan")  # of any number, as in log(2*pi)
LARGEST_EXACT = 30  # of other functions, as in erf(1/2): how far 1 - erf(1000) is from 0 takes minutes to find out
LARGEST_GAMMA = 170  # gamma(171) is 7e306, and gamma(172) more than a double holds

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Named:
    """A function by its name on the command line.

    ``build`` makes the SymPy expression, ``number`` the value for floats, ``arity`` bounds the number of arguments;
    ``eager`` functions are evaluated by SymPy for symbols, too (of the others, that can take very long).
    """

    name: str
    build: Callable[..., Any]
    number: Callable[..., Any]
    arity: Range
    eager: bool = True

    def of(self, args: Sequence[Any], number: float | None) -> Any:
        """The SymPy expression of the function at its arguments; `number` is its value, where these are numbers."""
        if number is None:
            return self.build(*args) if self.eager else self.build(*args, evaluate=False)
        small = all(argument.is_Rational and abs(argument) <= LARGEST_EXACT for argument in args)
        if small or self.name in EXACT:
            return self.build(*args)
        return sp.Integer(int(number)) if number == int(number) else sp.Float(number)

    def at(self, *numbers: float) -> float:
        """The value at numbers; NaN or infinite where there is none, or none that a double holds."""
        if self.name in _FACTORIALS and max(map(abs, numbers)) > LARGEST_GAMMA:
            return math.inf
        if self.name == "polygamma" and (numbers[0] < 0 or numbers[0] % 1):
            return math.nan
        with np.errstate(all="ignore"):
            try:
                return float(self.number(*numbers))
            except (ArithmeticError, ValueError):
                return math.nan

    @property
    def takes(self) -> str:
        """How many arguments the function takes, in words."""
        least, most = self.arity
        if most == MANY:
            return f"{least} or more arguments"
        count = str(least) if least == most else f"{least} or {most}"
        return f"{count} argument{'s' if most > 1 else ''}"


_FACTORIALS = ("gamma", "loggamma", "polygamma", "factorial", "beta")
_ARITIES: dict[str, Range] = {"log": (1, 2), "Heaviside": (1, 2)}
_OTHERS = ("cot", "sec", "csc", "coth", "sech", "csch", "factorial")


def _log(x: float, base: float | None = None) -> Any:
    return np.log(x) if base is None else np.log(x) / np.log(base)


def _table() -> dict[str, Named]:
    """All functions by name."""
    of_table = [
        Named(row.name, row.sympy, row.numeric, _ARITIES.get(row.name, (row.arity, row.arity)), row.name != "Mod")
        for row in TABLE.values()
    ]
    found = {each.name: each for each in of_table}
    found["log"] = Named("log", sp.log, _log, (1, 2))
    found["Heaviside"] = Named("Heaviside", sp.Heaviside, lambda x, h=0.5: np.heaviside(x, h), (1, 2))
    for name in _OTHERS:
        function = getattr(sp, name)
        found[name] = Named(name, function, OPERATIONS[function], (1, 1))
    found["beta"] = Named("beta", sp.beta, OPERATIONS[sp.beta], (2, 2))
    for name, function in (("Max", sp.Max), ("Min", sp.Min)):
        found[name] = Named(name, function, OPERATIONS[function], (1, MANY), eager=False)
    for name, head in (("logsumexp", logsumexp), ("softmax", softmax)):
        found[name] = Named(name, head, OPERATIONS[head], (1, MANY))
    return found


FUNCTIONS = _table()
ALIASES = {
    "abs": "Abs",
    "max": "Max",
    "min": "Min",
    "ln": "log",
    "ceil": "ceiling",
    **{f"arc{name[1:]}": name for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh")},
}
PIECEWISE = "Piecewise"


def function(name: str) -> Named | None:
    """The function of a name, or of another name for it."""
    return FUNCTIONS.get(ALIASES.get(name, name))


def names() -> list[str]:
    """All names of functions, sorted."""
    return sorted([*FUNCTIONS, *ALIASES, PIECEWISE], key=str.casefold)
