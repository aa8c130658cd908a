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
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sympy as sp

from symdescent.errors import StatementError
from symdescent.optimizers import symbols
from symdescent.optimizers.numbers import in_range, real

if TYPE_CHECKING:
    from symdescent.optimizers.program import Program

Assignment = tuple[sp.Symbol, sp.Expr]


@dataclass(frozen=True, slots=True)
class State:
    """What a rule remembers from step to step: a symbol and its value before the first step (infinite, if need be).

    >>> State(sp.Symbol("v"))
    State(symbol=v, initial=0.0)
    """

    symbol: sp.Symbol
    initial: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "initial", real(self.initial))
        if math.isnan(self.initial):
            raise StatementError(f"the state {self.symbol} begins at {self.initial}: give a number")


@dataclass(frozen=True, slots=True)
class Policy:
    """A learning rate that follows what a descent meets: scalar states, and assignments of which the last is the rate.

    `initial` is the rate before anything was met. The assignments are carried out first in every step; see
    `symdescent.optimizers.schedules.plateau`.

    >>> from symdescent.optimizers.schedules import plateau
    >>> policy = plateau(0.1, factor=0.95)
    >>> policy.initial, [each.symbol for each in policy.state]
    (0.1, [f_sum, k_wait, f_best, eta])
    """

    name: str
    initial: float
    assignments: tuple[Assignment, ...]
    state: tuple[State, ...]

    @property
    def symbol(self) -> sp.Symbol:
        """The symbol of the rate."""
        return self.assignments[-1][0]

    def __str__(self) -> str:
        return self.name


class LineSearch:
    """A learning rate that is found anew in every step, by looking along the direction of the step.

    >>> from symdescent.optimizers import Backtracking, ExactLineSearch
    >>> isinstance(Backtracking(), LineSearch) and isinstance(ExactLineSearch(), LineSearch)
    True
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """What the user chooses: its argument name, symbol, value, the range it must lie in, and how to choose it.

    The value is a number; an expression in the step's number t, a schedule; a `Policy`; or a `LineSearch`. Raises
    `StatementError` where it is none of these, or leaves the range.

    >>> Hyperparameter("momentum", sp.Symbol("mu"), 1.5, symbols.FRACTION, "0.9 is common")
    Traceback (most recent call last):
        ...
    symdescent.errors.StatementError: momentum = 1.5 is not a number in [0, 1): 0.9 is common
    """

    name: str
    symbol: sp.Symbol
    value: Any
    range: sp.Interval = symbols.ANY
    advice: str = "choose a value of that range"

    def __post_init__(self) -> None:
        value = self.value
        if isinstance(value, LineSearch):
            return
        if isinstance(value, Policy):
            in_range(value.initial, self.range, f"{self.name} = {value.initial}", self.advice)
        elif isinstance(value, sp.Expr) and value.free_symbols:
            object.__setattr__(self, "value", self._schedule(value))
        else:
            said = f"{self.name} = {value!s:.80}"
            object.__setattr__(self, "value", in_range(real(value), self.range, said, self.advice))

    @property
    def is_number(self) -> bool:
        """Whether the value is the same in every step."""
        return isinstance(self.value, float)

    def _schedule(self, value: sp.Expr) -> sp.Expr:
        """An expression in t, looked at in some steps."""
        for unknown in sorted(value.free_symbols, key=str):
            if str(unknown) != "t":
                raise StatementError(
                    f"{self.name} = {value} contains {unknown}: a schedule is an expression in the step number t alone"
                )
        schedule = value.subs(dict.fromkeys(value.free_symbols, symbols.t))
        for step in (1, 2, 3, 5, 10, 100, 1000, 10**6):
            number = real(schedule.subs(symbols.t, step).evalf())
            bounds = self.range if step == 1 else self.range.closure
            in_range(number, bounds, f"{self.name} = {value} is {number:g} in step {step}, which", self.advice)
        return schedule


@dataclass(frozen=True, slots=True)
class UpdateRule:
    r"""A first-order optimizer: how one step changes a parameter θ, given the gradient g at θ.

    ``assignments`` are pairs (symbol, expression), carried out in order for every coordinate; an expression means the
    newest value of what was assigned before it. ``state`` is remembered for each coordinate, ``scalar_state`` once
    for all of them (Adam's :math:`\beta^t`). Any other symbol that is assigned is an abbreviation. An assignment that
    contains coordinates only inside `Total` or `Norm`, or none at all, is carried out once a step.

    The symbols ``theta``, ``g``, ``t``, ``f`` and ``B`` of `symdescent.optimizers.symbols` stand for themselves, unless
    others are named. The hyperparameter named ``learning_rate`` (else the scalar ``eta``, if it is assigned) is what
    the history of a descent lists as the learning rate.

    Raises `StatementError` where a symbol is unknown or declared twice, θ is not assigned exactly once, a state is
    never updated, or a scalar state would depend on a coordinate.

    >>> from symdescent.optimizers import POSITIVE, eta, g, theta
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
    parameter: sp.Symbol = symbols.theta
    gradient: sp.Symbol = symbols.g
    step_number: sp.Symbol = symbols.t
    loss: sp.Symbol = symbols.f
    epoch_steps: sp.Symbol = symbols.B

    def __post_init__(self) -> None:
        from symdescent.optimizers.validation import validate

        try:
            pairs = tuple((symbol, sp.sympify(expression, strict=True)) for symbol, expression in self.assignments)
        except (sp.SympifyError, TypeError, ValueError):
            raise StatementError(f"{self.name}: the assignments are not pairs of a symbol and an expression") from None
        object.__setattr__(self, "assignments", pairs)
        for name in ("hyperparameters", "state", "scalar_state"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        validate(self)

    # -- what there is --------------------------------------------------------------------------------------------

    @property
    def program(self) -> Program:
        """What is carried out: schedules and policies as assignments, in phases. See `Program`."""
        from symdescent.optimizers.program import program

        return program(self)

    @property
    def learning_rate(self) -> Hyperparameter | None:
        """The hyperparameter of that name, if the rule has one."""
        return next((each for each in self.hyperparameters if each.name == "learning_rate"), None)

    # -- other rules from this one --------------------------------------------------------------------------------

    def with_(self, **values: Any) -> UpdateRule:
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

    def with_weight_decay(self, weight_decay: float, decoupled: bool = False) -> UpdateRule:
        r"""Return the rule with weight decay: :math:`g + \lambda\theta` in the place of g.

        ``decoupled=True`` leaves the gradient alone and takes :math:`\eta\lambda\theta` off the parameter, as AdamW
        does.

        >>> from symdescent.optimizers import Momentum
        >>> print(Momentum(0.1).with_weight_decay(0.01))
        momentum with weight decay: learning_rate η = 0.1, momentum μ = 0.9, weight_decay λ = 0.01
          g_λ' = g + λ*θ
          v' = μ*v + g_λ'
          θ' = θ - η*v'
        """
        from symdescent.optimizers.changes import weight_decay as change

        return change(self, weight_decay, decoupled)

    def with_clipping(self, value: float | None = None, norm: float | None = None) -> UpdateRule:
        r"""Return the rule with a clipped gradient: each component to [-value, value], or the whole to a norm.

        Clipping by norm multiplies g by :math:`\min(1, c/\lVert g\rVert)`. What is added to a rule last is done first:
        ``rule.with_weight_decay(0.01).with_clipping(norm=1)`` clips the gradient of the loss, and then adds the decay.

        >>> from symdescent.optimizers import GradientDescent
        >>> print(GradientDescent(0.1).with_clipping(norm=1.0))
        gradient descent with clipping: learning_rate η = 0.1, clip_norm c = 1
          n_g' = ‖g‖
          s' = Piecewise((c/n_g', c < n_g'), (1, True))
          g_c' = s'*g
          θ' = θ - η*g_c'
        """
        from symdescent.optimizers.changes import clipping as change

        return change(self, value, norm)

    # -- one step -------------------------------------------------------------------------------------------------

    def step(
        self, theta: Any, g: Any, state: Mapping[str, Any] | None = None, t: int = 1, f: float = math.nan, B: int = 1
    ) -> tuple[Any, dict[str, Any]]:
        """Carry out one step on floats or NumPy arrays, and return the new parameter and the new state by name.

        ``theta`` and ``g`` have one shape, which the states share; sums over coordinates run over that shape. Without
        ``state`` the rule begins. ``f`` is the loss before the step and ``B`` the number of steps in an epoch, for
        rules that ask for them.

        >>> from symdescent.optimizers import Momentum
        >>> theta, state = Momentum(0.1).step(0.0, g=-6.0)
        >>> round(theta, 10), round(Momentum(0.1).step(theta, g=-4.8, state=state)[0], 10)
        (0.6, 1.62)
        """
        values = self.program.values(theta, g, state, t, f, B)
        for _ in self.program.carry_out(values):
            pass
        return values[self.parameter], {each.symbol.name: values[each.symbol] for each in self.program.states}

    def derivation_table(self, loss: Any, start: Any, steps: int = 5, data: Any = None, language: str = "en") -> Any:
        r"""Return the first steps on a loss with the numbers filled in: :math:`w_1 = 0 - 0.1 \cdot (-6) = 0.6`.

        The same as ``loss.descend(start, data, rule, steps=steps).table(steps)``; see `Descent.table`.

        >>> import symdescent as sd
        >>> w = sp.Symbol("w")
        >>> table = sd.GradientDescent(0.1).derivation_table(sd.Loss((w - 3)**2, w), 0, steps=2)
        >>> [round(row.parameters[w], 6) for row in table.rows]
        [0.0, 0.6]
        """
        return loss.descend(start, data, self, steps=steps, gtol=0).table(steps, language)

    # -- printed --------------------------------------------------------------------------------------------------

    def latex(self) -> str:
        r"""Return the update equations for LaTeX, aligned: index k is before the step, k+1 after it.

        >>> from symdescent.optimizers import GradientDescent
        >>> print(GradientDescent(0.1).latex())
        \begin{aligned}
        \theta_{k+1} &= \theta_{k} - \eta g_{k}
        \end{aligned}
        """
        from symdescent.optimizers.equations import latex

        return latex(self)

    def __str__(self) -> str:
        from symdescent.optimizers.equations import text

        return text(self)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"
