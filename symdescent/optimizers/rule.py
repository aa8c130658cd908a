r"""`UpdateRule`: an optimizer stated once in SymPy.

A rule is a list of assignments, carried out in order once a step; a right-hand side means the newest value of what was
assigned before it, and the old value of everything else. Equations, generated code and `UpdateRule.step` are all read
from that list:

>>> from symdescent.optimizers import GradientDescent, Momentum
>>> print(Momentum(0.1))
momentum: learning_rate η = 0.1, momentum μ = 0.9
  v' = μ*v + g
  θ' = θ - η*v'
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import sympy as sp
from sympy.printing.pretty.pretty_symbology import pretty_symbol
from sympy.printing.str import StrPrinter

from symdescent.errors import StatementError

theta, g, eta = sp.Symbol("theta", real=True), sp.Symbol("g", real=True), sp.Symbol("eta", positive=True)
t = sp.Symbol("t", integer=True, positive=True)

ANY = sp.Interval(-sp.oo, sp.oo)
POSITIVE = sp.Interval.open(0, sp.oo)
FRACTION = sp.Interval.Ropen(0, 1)


def _real(value: Any) -> float:
    """A number as a float; NaN for what is no real number."""
    try:
        return math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A number that the user chooses: its argument name, symbol, value, the range it must lie in, and how to choose it.

    Raises `StatementError` where the value is no finite real number inside the range.

    >>> Hyperparameter("momentum", sp.Symbol("mu"), 1.5, FRACTION, "0.9 is common")
    Traceback (most recent call last):
        ...
    symdescent.errors.StatementError: momentum = 1.5 is not a number in [0, 1): 0.9 is common
    """

    name: str
    symbol: sp.Symbol
    value: float
    range: sp.Interval = ANY
    advice: str = "choose a value of that range"

    def __post_init__(self) -> None:
        value = _real(self.value)
        if not (math.isfinite(value) and sp.Float(value) in self.range):
            bounds = sp.pretty(self.range, use_unicode=True)
            raise StatementError(f"{self.name} = {self.value!s:.80} is not a number in {bounds}: {self.advice}")
        object.__setattr__(self, "value", value)


@dataclass(frozen=True, slots=True)
class State:
    """What a rule remembers from step to step: a symbol and its value before the first step, a finite number."""

    symbol: sp.Symbol
    initial: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "initial", _real(self.initial))
        if not math.isfinite(self.initial):
            raise StatementError(f"the state {self.symbol} begins at {self.initial}: give a finite number")


Assignment = tuple[sp.Symbol, sp.Expr]


@dataclass(frozen=True, slots=True)
class UpdateRule:
    r"""A first-order optimizer: how one step changes a parameter θ, given the gradient g at θ.

    ``assignments`` are pairs (symbol, expression), carried out in order for every coordinate; an expression means the
    newest value of what was assigned before it. ``state`` is remembered for each coordinate, ``scalar_state`` once
    for all of them (Adam's :math:`\beta^t`): its assignments come first and may not depend on a coordinate. Any other
    symbol that is assigned is an abbreviation. The symbols ``theta``, ``g`` and ``t`` (the step's number, 1 in the
    first one) of this module stand for themselves, unless others are named. The hyperparameter named
    ``learning_rate`` is the one that a schedule replaces.

    Raises `StatementError` where a symbol is unknown or declared twice, θ is not assigned exactly once, a state is
    never updated, or a scalar assignment depends on a coordinate.

    >>> mu, v = sp.symbols("mu v", real=True)
    >>> rule = UpdateRule(
    ...     name="sign momentum",
    ...     assignments=[(v, mu*v + sp.sign(g)), (theta, theta - eta*v)],
    ...     hyperparameters=[Hyperparameter("learning_rate", eta, 0.5, POSITIVE), Hyperparameter("momentum", mu, 0.5)],
    ...     state=[State(v)],
    ... )
    >>> print(rule.latex())
    \begin{aligned}
    v_{k+1} &= \mu v_{k} + \operatorname{sign}{\left(g_{k} \right)} \\
    \theta_{k+1} &= \theta_{k} - \eta v_{k+1}
    \end{aligned}
    >>> new_theta, new_state = rule.step(3.0, g=6.0)
    >>> float(new_theta), float(new_state["v"])
    (2.5, 1.0)
    """

    name: str
    assignments: tuple[Assignment, ...]
    hyperparameters: tuple[Hyperparameter, ...] = ()
    state: tuple[State, ...] = ()
    scalar_state: tuple[State, ...] = ()
    reference: str = ""
    parameter: sp.Symbol = theta
    gradient: sp.Symbol = g
    step_number: sp.Symbol = t

    def __post_init__(self) -> None:
        try:
            pairs = tuple((symbol, sp.sympify(expression, strict=True)) for symbol, expression in self.assignments)
        except (sp.SympifyError, TypeError, ValueError):
            raise StatementError(f"{self.name}: the assignments are not pairs of a symbol and an expression") from None
        object.__setattr__(self, "assignments", pairs)
        for field in ("hyperparameters", "state", "scalar_state"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        _validate(self)

    # -- what there is --------------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> Hyperparameter | None:
        """The hyperparameter of that name, if the rule has one."""
        return next((each for each in self.hyperparameters if each.name == "learning_rate"), None)

    @property
    def scalar_assignments(self) -> tuple[Assignment, ...]:
        """The leading assignments that are the same for all coordinates: they are carried out once a step."""
        return self.assignments[: _scalar_count(self)]

    @property
    def coordinate_assignments(self) -> tuple[Assignment, ...]:
        """The assignments that are carried out for every coordinate, after the scalar ones."""
        return self.assignments[_scalar_count(self) :]

    def with_(self, **values: float) -> UpdateRule:
        """Return the rule with other values of hyperparameters, given by name.

        >>> from symdescent.optimizers import GradientDescent
        >>> GradientDescent(0.1).with_(learning_rate=0.5).learning_rate.value
        0.5
        """
        known = [each.name for each in self.hyperparameters]
        for name in values:
            if name not in known:
                raise StatementError(f"{self.name} has no hyperparameter {name}: it has {', '.join(known) or 'none'}")
        chosen = tuple(replace(each, value=values.get(each.name, each.value)) for each in self.hyperparameters)
        return replace(self, hyperparameters=chosen)

    # -- one step -------------------------------------------------------------------------------------------------

    def step(
        self, theta: Any, g: Any, state: Mapping[str, Any] | None = None, t: int = 1
    ) -> tuple[Any, dict[str, Any]]:
        """Carry out one step on floats or NumPy arrays, and return the new parameter and the new state by name.

        ``theta`` and ``g`` have one shape, which the states share; without ``state`` the rule begins.

        >>> from symdescent.optimizers import Momentum
        >>> theta, state = Momentum(0.1).step(0.0, g=-6.0)
        >>> round(theta, 10), round(Momentum(0.1).step(theta, g=-4.8, state=state)[0], 10)
        (0.6, 1.62)
        """
        values: dict[sp.Symbol, Any] = {each.symbol: each.value for each in self.hyperparameters}
        values |= {each.symbol: each.initial if state is None else state[each.symbol.name] for each in _states(self)}
        values |= {self.parameter: theta, self.gradient: g, self.step_number: t}
        for symbol, (arguments, function) in zip(dict(self.assignments), _functions(self.assignments), strict=True):
            values[symbol] = function(*(values[argument] for argument in arguments))
        return values[self.parameter], {each.symbol.name: values[each.symbol] for each in _states(self)}

    # -- printed --------------------------------------------------------------------------------------------------

    def latex(self) -> str:
        r"""Return the update equations for LaTeX, aligned: index k is before the step, k+1 after it.

        >>> from symdescent.optimizers import GradientDescent
        >>> print(GradientDescent(0.1).latex())
        \begin{aligned}
        \theta_{k+1} &= \theta_{k} - \eta g_{k}
        \end{aligned}
        """
        used = {symbol.name for symbol in _symbols(self)}
        k = sp.Symbol(next(letter for letter in ("k", "n", "i", "l", "s", "K", "N") if letter not in used))

        def written(symbol: sp.Symbol, new: bool) -> str:
            base, _, index = sp.latex(symbol).partition("_")
            after = f"{k}+1" if new else str(k)
            return f"{base}_{{{index[1:-1]}, {after}}}" if index else f"{base}_{{{after}}}"

        rows = [
            f"{left} &= {sp.latex(right, order='none', symbol_names=names)}"
            for left, right, names in _equations(self, written, step_number=k + 1)
        ]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def __str__(self) -> str:
        chosen = ", ".join(
            f"{each.name} {pretty_symbol(each.symbol.name)} = {each.value:g}" for each in self.hyperparameters
        )
        rows = [f"{self.name}: {chosen}" if chosen else self.name]
        printer = StrPrinter({"order": "none"})
        for left, right, names in _equations(self, lambda symbol, new: pretty_symbol(symbol.name) + "'" * new):
            printer._print_Symbol = lambda symbol, names=names: names.get(symbol, pretty_symbol(symbol.name))
            rows.append(f"  {left} = {printer.doprint(right)}")
        return "\n".join(rows)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"


# -- reading a rule ---------------------------------------------------------------------------------------------------


def _states(rule: UpdateRule) -> tuple[State, ...]:
    return rule.state + rule.scalar_state


def _given(rule: UpdateRule) -> list[sp.Symbol]:
    """The symbols that have a value before a step begins."""
    declared = rule.hyperparameters + rule.state + rule.scalar_state
    return [rule.parameter, rule.gradient, rule.step_number, *(each.symbol for each in declared)]


def _symbols(rule: UpdateRule) -> list[sp.Symbol]:
    """All symbols of a rule, abbreviations last."""
    return list(dict.fromkeys([*_given(rule), *dict(rule.assignments)]))


def _scalar_count(rule: UpdateRule) -> int:
    """How many of the leading assignments depend on no coordinate."""
    coordinates = {rule.parameter, rule.gradient, *(each.symbol for each in rule.state)}
    leading = 0
    for symbol, expression in rule.assignments:
        if symbol in coordinates or expression.free_symbols & coordinates:
            break
        leading += 1
    return leading


def _equations(
    rule: UpdateRule, written: Callable[[sp.Symbol, bool], str], step_number: sp.Expr | None = None
) -> Iterator[tuple[str, sp.Expr, dict[sp.Symbol, str]]]:
    """Each assignment's sides, and how the symbols on the right that change with the step are written."""
    assigned: set[sp.Symbol] = set()
    changing = {rule.parameter, rule.gradient, *dict(rule.assignments)}
    for symbol, expression in rule.assignments:
        expression = expression.subs(rule.step_number, step_number or rule.step_number)
        names = {each: written(each, each in assigned) for each in expression.free_symbols & changing}
        yield written(symbol, True), arranged(expression, symbol, changing), names
        assigned.add(symbol)


def arranged(expression: sp.Expr, first: sp.Symbol, changing: set[sp.Symbol]) -> sp.Expr:
    """The expression in textbook order: θ - η v and (1 - β) g², not -η v + θ and g² (1 - β)."""

    def of_sum(term: sp.Expr) -> tuple[bool, ...]:
        return first not in term.free_symbols, term != first, not term.is_number, not term.free_symbols & changing

    def of_product(factor: sp.Expr) -> tuple[bool, ...]:
        return not factor.is_number, bool(factor.free_symbols & changing)

    if expression.is_Atom:
        return expression
    args = [arranged(argument, first, changing) for argument in expression.args]
    if expression.is_Add or expression.is_Mul:
        return expression.func(*sorted(args, key=of_sum if expression.is_Add else of_product), evaluate=False)
    return expression.func(*args, evaluate=False) if expression.is_Pow else expression.func(*args)


@lru_cache(maxsize=64)
def _functions(assignments: tuple[Assignment, ...]) -> tuple[tuple[list[sp.Symbol], Callable[..., Any]], ...]:
    """For each assignment, the symbols on its right side and the NumPy function of them."""
    listed = [(sorted(right.free_symbols, key=lambda symbol: symbol.name), right) for _, right in assignments]
    return tuple((symbols, sp.lambdify(symbols, right, "numpy", dummify=True)) for symbols, right in listed)


# -- validation -------------------------------------------------------------------------------------------------------


def _validate(rule: UpdateRule) -> None:
    """Refuse a rule that is not one."""
    known = set(_given(rule))
    targets = [symbol for symbol, _ in rule.assignments]
    _validate_names(rule)
    for symbol in targets:
        if targets.count(symbol) > 1:
            raise StatementError(f"{rule.name}: {symbol} is assigned twice: give the first value a name of its own")
        if symbol in known and symbol != rule.parameter and symbol not in [each.symbol for each in _states(rule)]:
            raise StatementError(f"{rule.name}: {symbol} is assigned, but it is given from outside: use another symbol")
    if rule.parameter not in targets:
        raise StatementError(
            f"{rule.name}: the parameter {rule.parameter} is not assigned: end with ({rule.parameter}, …)"
        )
    for each in _states(rule):
        if each.symbol not in targets:
            raise StatementError(f"{rule.name}: the state {each.symbol} is never updated: make it a hyperparameter")
    for symbol, expression in rule.assignments:
        for unknown in sorted(expression.free_symbols - known, key=str):
            raise StatementError(
                f"{rule.name}: {unknown} in {symbol} = {expression} is unknown: declare it as a hyperparameter or "
                "state, or assign it before"
            )
        known.add(symbol)
    scalars = [symbol for symbol, _ in rule.scalar_assignments]
    for each in rule.scalar_state:
        if each.symbol not in scalars:
            raise StatementError(
                f"{rule.name}: the scalar state {each.symbol} must be updated before anything that differs between "
                "coordinates, and from scalars alone: move its assignment to the front, or make it a state"
            )


def _validate_names(rule: UpdateRule) -> None:
    """Refuse names that are no plain names, or that two symbols share."""
    symbols = _given(rule) + [symbol for symbol in dict(rule.assignments) if symbol not in _given(rule)]
    seen: set[str] = set()
    for symbol in symbols:
        if not isinstance(symbol, sp.Symbol) or not symbol.name.isidentifier():
            raise StatementError(f"{rule.name}: {symbol} is not a symbol with a plain name: use letters, digits and _")
        if symbol.name in seen:
            raise StatementError(
                f"{rule.name}: two symbols are named {symbol}: give each its own name, and θ and g the symbols that "
                "the rule is written with (parameter=…, gradient=…)"
            )
        seen.add(symbol.name)
    names = [each.name for each in rule.hyperparameters]
    if len(set(names)) < len(names):
        raise StatementError(f"{rule.name}: two hyperparameters have one name among {', '.join(names)}")
