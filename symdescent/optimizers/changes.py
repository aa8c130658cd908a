"""Rules made from rules: weight decay and clipping, which go with every update rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import sympy as sp

from symdescent.errors import StatementError
from symdescent.optimizers.rule import Assignment, Hyperparameter
from symdescent.optimizers.symbols import NOT_NEGATIVE, POSITIVE, Norm

if TYPE_CHECKING:
    from symdescent.optimizers.rule import UpdateRule


def weight_decay(rule: UpdateRule, amount: float, decoupled: bool = False) -> UpdateRule:
    """The rule with g + λθ in the place of g; or, decoupled, with ηλθ taken off the parameter."""
    decay = _symbol(rule, "lambda", nonnegative=True)
    chosen = Hyperparameter(
        "weight_decay", decay, amount, NOT_NEGATIVE, "give a number that is not negative, like 0.01"
    )
    if not decoupled:
        changed = _symbol(rule, "g_lambda", real=True)
        return _preceded(rule, "weight decay", [(changed, rule.gradient + decay * rule.parameter)], [chosen])
    rate = rule.program.rate
    if rate is None:
        raise StatementError(
            f"{rule.name} has no learning rate for a decoupled weight decay: use decoupled=False, or write the decay "
            "into its assignments"
        )
    taken = rate * decay * rule.parameter
    assignments = tuple((s, e - taken if s == rule.parameter else e) for s, e in rule.assignments)
    return replace(
        rule,
        name=f"{rule.name} with weight decay",
        assignments=assignments,
        hyperparameters=(*rule.hyperparameters, chosen),
    )


def clipping(rule: UpdateRule, value: float | None, norm: float | None) -> UpdateRule:
    """The rule with a gradient whose components, or whose norm, is bounded."""
    if (value is None) == (norm is None):
        raise StatementError(
            f"{rule.name}: clip either by value or by norm, as in with_clipping(norm=1.0); for both, call it twice"
        )
    bound, changed = _symbol(rule, "c", positive=True), _symbol(rule, "g_c", real=True)
    advice = "give a positive number, such as 1.0"
    if norm is None:
        chosen = Hyperparameter("clip_value", bound, value, POSITIVE, advice)
        return _preceded(rule, "clipping", [(changed, sp.Max(-bound, sp.Min(bound, rule.gradient)))], [chosen])
    scale, size = _symbol(rule, "s", nonnegative=True), _symbol(rule, "n_g", nonnegative=True)
    shrunk = [
        (size, Norm(rule.gradient)),
        (scale, sp.Piecewise((bound / size, size > bound), (1, True))),
        (changed, scale * rule.gradient),
    ]
    return _preceded(rule, "clipping", shrunk, [Hyperparameter("clip_norm", bound, norm, POSITIVE, advice)])


def _preceded(
    rule: UpdateRule, what: str, assignments: Sequence[Assignment], hyperparameters: Sequence[Hyperparameter]
) -> UpdateRule:
    """The rule after some assignments, of which the last makes what it takes for the gradient."""
    changed = {rule.gradient: assignments[-1][0]}
    own = tuple((symbol, expression.xreplace(changed)) for symbol, expression in rule.assignments)
    joined = " and " if " with " in rule.name else " with "
    return replace(
        rule,
        name=f"{rule.name}{joined}{what}",
        assignments=(*assignments, *own),
        hyperparameters=(*rule.hyperparameters, *hyperparameters),
    )


def _symbol(rule: UpdateRule, wanted: str, **assumptions: bool) -> sp.Symbol:
    """A symbol whose name the rule does not use yet."""
    used = {symbol.name for _, expression in rule.program.assignments for symbol in expression.free_symbols}
    used |= {symbol.name for symbol, _ in rule.program.assignments} | {rule.loss.name, rule.epoch_steps.name}
    used |= {rule.parameter.name, rule.gradient.name, rule.step_number.name, "f", "B"}
    names = [wanted, *(f"{wanted}{number}" for number in range(2, 100))]
    return sp.Symbol(next(name for name in names if name not in used), **assumptions)
