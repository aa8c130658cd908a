"""`Program`: an update rule as it is carried out, with schedules as assignments and scalars once a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from symdescent.optimizers.rule import Assignment, Hyperparameter, LineSearch, Policy, State
from symdescent.optimizers.symbols import Total, eta, outside_totals, t, totals, written_out

if TYPE_CHECKING:
    from symdescent.optimizers.rule import UpdateRule


@dataclass(frozen=True, slots=True)
class Phase:
    """Assignments that are carried out together: once for all coordinates (`scalar`), or for each of them."""

    scalar: bool
    assignments: tuple[Assignment, ...]


class Program:
    """What an update rule comes to.

    Attributes
    ----------
    numbers
        the hyperparameters that are numbers; schedules and policies are among the assignments
    searched
        the hyperparameter that is found by a line search, if there is one
    state, scalar_state
        what is remembered for each coordinate, and once for all
    assignments
        all assignments in their order, those of schedules and policies first
    phases
        the same in groups: scalars once a step, the rest for each coordinate
    kept
        abbreviations of coordinates that a later phase needs
    rate
        the symbol of the learning rate, if there is one
    """

    def __init__(self, rule: UpdateRule) -> None:
        self.rule = rule
        self.numbers: tuple[Hyperparameter, ...] = tuple(each for each in rule.hyperparameters if each.is_number)
        self.searched = next((each for each in rule.hyperparameters if isinstance(each.value, LineSearch)), None)
        policies = [each for each in rule.hyperparameters if isinstance(each.value, Policy)]
        self.state: tuple[State, ...] = rule.state
        self.scalar_state = tuple(state for each in policies for state in _adapted(each).state) + rule.scalar_state
        first: list[Assignment] = []
        for each in rule.hyperparameters:
            if isinstance(each.value, Policy):
                first += _adapted(each).assignments
            elif not each.is_number and each is not self.searched:
                first.append((each.symbol, each.value.subs(t, rule.step_number)))
        self.assignments: tuple[Assignment, ...] = (*first, *rule.assignments)
        self.coordinates = {rule.parameter, rule.gradient, *(each.symbol for each in rule.state)}
        self.phases = tuple(self._phases())
        self.kept = tuple(self._kept())
        assigned = dict(self.assignments)
        named = rule.learning_rate.symbol if rule.learning_rate else None
        self.rate = named or (eta if eta in assigned and eta not in self.coordinates else None)

    @property
    def states(self) -> tuple[State, ...]:
        """All that is remembered."""
        return self.state + self.scalar_state

    @property
    def uses_loss(self) -> bool:
        """Whether a step asks for the loss."""
        return self.uses(self.rule.loss)

    @property
    def uses_epochs(self) -> bool:
        """Whether a step asks how many steps an epoch has."""
        return self.uses(self.rule.epoch_steps)

    def uses(self, symbol: sp.Symbol) -> bool:
        """Whether an assignment reads a symbol."""
        return any(symbol in expression.free_symbols for _, expression in self.assignments)

    @property
    def is_plain_descent(self) -> bool:
        """Whether a step goes along the gradient: θ - η g and nothing else."""
        rule = self.rule
        own = dict(rule.assignments)
        return self.rate is not None and own == {rule.parameter: rule.parameter - self.rate * rule.gradient}

    def _phases(self) -> Iterator[Phase]:
        """Group the assignments; what depends on no coordinate outside of a sum is a scalar.

        On each level scalars come first; a sum over something that is assigned on one level belongs to the next.
        """
        coordinates = self.coordinates
        level: dict[sp.Symbol, int] = {}
        readers: dict[sp.Symbol, list[tuple[bool, int]]] = {}  # who read a symbol before it was assigned
        marked: list[tuple[int, bool, Assignment]] = []
        for symbol, expression in self._totals_apart():
            scalar = symbol not in coordinates and not outside_totals(expression) & coordinates
            if not scalar:
                coordinates.add(symbol)
            after = [level[s] + (scalar and s in coordinates) for s in expression.free_symbols if s in level]
            after += [number + (scalar and not other) for other, number in readers.get(symbol, ())]
            now = max(after, default=0)
            for read in expression.free_symbols - set(level):
                readers.setdefault(read, []).append((scalar, now))
            level[symbol] = now
            marked.append((now, not scalar, (symbol, expression)))
        for (_, coordinate), group in groupby(sorted(marked, key=lambda each: each[:2]), key=lambda each: each[:2]):
            yield Phase(not coordinate, tuple(assignment for *_, assignment in group))

    def _totals_apart(self) -> Iterator[Assignment]:
        """The assignments with the sums that an assignment for each coordinate contains in scalars of their own."""
        coordinates = set(self.coordinates)
        for symbol, expression in self.assignments:
            expression = written_out(expression)
            if symbol in coordinates or outside_totals(expression) & coordinates:
                coordinates.add(symbol)
                for total in totals(expression):
                    apart = sp.Dummy("total", real=True)
                    yield apart, total
                    expression = expression.xreplace({total: apart})
            yield symbol, expression

    def _kept(self) -> Iterator[sp.Symbol]:
        remembered = {self.rule.parameter, self.rule.gradient, *(each.symbol for each in self.state)}
        for place, phase in enumerate(self.phases):
            later = {
                symbol
                for other in self.phases[place + 1 :]
                for _, expression in other.assignments
                for symbol in expression.free_symbols
            }
            if not phase.scalar:
                yield from (symbol for symbol, _ in phase.assignments if symbol in later and symbol not in remembered)

    def values(
        self, theta: Any, g: Any, state: Mapping[str, Any] | None, t: int, f: float, epoch_steps: int
    ) -> dict[sp.Expr, Any]:
        """The values of all symbols before a step; without a state, before the first one."""
        rule = self.rule
        values: dict[sp.Expr, Any] = {each.symbol: each.value for each in self.numbers}
        values |= {each.symbol: each.initial if state is None else state[each.symbol.name] for each in self.states}
        values |= {rule.parameter: theta, rule.gradient: g, rule.step_number: t}
        return values | {rule.loss: f, rule.epoch_steps: epoch_steps}

    def carry_out(self, values: dict[sp.Expr, Any]) -> Iterator[tuple[sp.Symbol, sp.Expr, Any]]:
        """Carry out one step with NumPy, assignment by assignment: yields symbol, expression and new value.

        While an assignment is looked at, `values` holds what it was made from (sums over coordinates included); the new
        value is entered afterwards.
        """
        for symbol, expression in self.assignments:
            plain = written_out(expression)
            for total in totals(plain):
                whole = np.broadcast_to(_evaluated(total.args[0], values), np.shape(values[self.rule.gradient]))
                values[total] = np.sum(whole)
            value = _evaluated(plain, values)
            yield symbol, expression, value
            values[symbol] = value


@lru_cache(maxsize=256)
def program(rule: UpdateRule) -> Program:
    """The program of a rule, made once."""
    return Program(rule)


def _adapted(each: Hyperparameter) -> Policy:
    """A policy with the hyperparameter's own symbol as the rate."""
    policy: Policy = each.value
    own = {policy.symbol: each.symbol}
    return Policy(
        policy.name,
        policy.initial,
        tuple((own.get(symbol, symbol), expression.xreplace(own)) for symbol, expression in policy.assignments),
        tuple(State(own.get(state.symbol, state.symbol), state.initial) for state in policy.state),
    )


def _evaluated(expression: sp.Expr, values: Mapping[sp.Expr, Any]) -> Any:
    arguments, function = _function(expression)
    return function(*(values[argument] for argument in arguments))


@lru_cache(maxsize=512)
def _function(expression: sp.Expr) -> tuple[list[sp.Expr], Callable[..., Any]]:
    """The symbols and sums of an expression, and the NumPy function of them."""
    placed = {total: sp.Dummy() for total in expression.atoms(Total) if total != expression}
    plain = expression.xreplace(placed)
    back = {dummy: total for total, dummy in placed.items()}
    free = sorted(plain.free_symbols, key=lambda symbol: (symbol.name, str(symbol)))
    return [back.get(symbol, symbol) for symbol in free], sp.lambdify(free, plain, "numpy", dummify=True)
