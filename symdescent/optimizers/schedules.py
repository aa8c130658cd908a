r"""Learning rates that change: expressions in the number t of the step, and a rate that is cut on a plateau.

Every learning rate may be a SymPy expression in ``t`` (1 in the first step): one of these, or your own. It becomes an
assignment of the update rule, so that it is printed, compiled and exported with it.

>>> from symdescent.optimizers import GradientDescent
>>> print(GradientDescent(exponential(0.1, 0.95)))
gradient descent: learning_rate η
  η' = 0.1*0.95**(t - 1)
  θ' = θ - η'*g
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from symdescent.errors import StatementError
from symdescent.optimizers.numbers import in_range, real, whole
from symdescent.optimizers.rule import Policy, State
from symdescent.optimizers.symbols import NOT_NEGATIVE, POSITIVE, B, eta, f, t


def exponential(learning_rate: float, decay: float) -> sp.Expr:
    r"""The rate shrinks by a factor each step: :math:`\eta_0 \gamma^{t-1}`.

    >>> exponential(0.1, 0.95)
    0.1*0.95**(t - 1)
    """
    return _positive("learning_rate", learning_rate) * _factor("decay", decay) ** (t - 1)


def step(learning_rate: float, factor: float, every: int) -> sp.Expr:
    r"""The rate is cut every so many steps: :math:`\eta_0 \gamma^{\lfloor (t-1)/T \rfloor}`.

    >>> float(step(0.1, 0.5, every=100).subs(t, 101))
    0.05
    """
    return _positive("learning_rate", learning_rate) * _factor("factor", factor) ** sp.floor(
        (t - 1) / _count("every", every)
    )


def inverse_time(learning_rate: float, decay: float) -> sp.Expr:
    r"""The rate falls like 1/t: :math:`\eta_0 / (1 + \kappa (t-1))`.

    >>> float(inverse_time(0.1, 0.5).subs(t, 3))
    0.05
    """
    slowing = _number("decay", decay, NOT_NEGATIVE, "give a number that is not negative, such as 0.01")
    return _positive("learning_rate", learning_rate) / (1 + slowing * (t - 1))


def cosine(learning_rate: float, steps: int, final: float = 0.0) -> sp.Expr:
    r"""The rate falls along half a cosine: :math:`\eta_1 + \tfrac12(\eta_0 - \eta_1)(1 + \cos(\pi\min(t-1, T)/T))`.

    >>> float(cosine(0.1, 100).subs(t, 51))
    0.05
    """
    begin, end = _positive("learning_rate", learning_rate), _number("final", final, NOT_NEGATIVE, "give 0 or more")
    length = _count("steps", steps)
    return end + (begin - end) / 2 * (1 + sp.cos(sp.pi * sp.Min(t - 1, length) / length))


def warmup(learning_rate: Any, steps: int) -> sp.Expr:
    r"""The rate rises linearly for some steps to where a schedule (or a constant rate) begins, and then follows it.

    >>> [round(float(warmup(exponential(0.1, 0.5), 10).subs(t, step)), 3) for step in (5, 10, 11)]
    [0.05, 0.1, 0.05]
    """
    length = _count("steps", steps)
    if isinstance(learning_rate, Policy):
        raise StatementError(f"a warmup leads to a number or an expression in t, not to {learning_rate}")
    schedule = learning_rate if isinstance(learning_rate, sp.Expr) else _positive("learning_rate", learning_rate)
    after = schedule.subs(t, t - length + 1)
    return sp.Piecewise((schedule.subs(t, 1) * t / length, t < length), (after, True))


def plateau(
    learning_rate: float, factor: float = 0.95, patience: int = 0, threshold: float = 0.0, least: float = 0.0
) -> Policy:
    r"""The rate is cut when the loss of an epoch (the mean over its steps) is no better than the best so far.

    Parameters
    ----------
    learning_rate
        the rate at the beginning
    factor
        what it is multiplied by: 0.95 leaves 95 %
    patience
        after how many epochs without improvement, beyond the first, it is cut
    threshold
        an epoch is better if its loss is below the best by more than this
    least
        the rate is not cut below this

    An epoch is one step where every step reads all samples.

    >>> from symdescent.optimizers import GradientDescent
    >>> rule = GradientDescent(plateau(0.1, factor=0.5))
    >>> theta, state = rule.step(1.0, g=1.0, t=1, f=3.0)
    >>> theta, state = rule.step(1.0, g=1.0, state=state, t=2, f=3.0)
    >>> float(state["eta"])
    0.05
    """
    rate, cut = _positive("learning_rate", learning_rate), _factor("factor", factor)
    waiting = _count("patience", patience, at_least=0)
    better = _number("threshold", threshold, NOT_NEGATIVE, "give 0 or more")
    lowest = _number("least", least, NOT_NEGATIVE, "give 0 or more")
    best, total, waited = sp.Symbol("f_best", real=True), sp.Symbol("f_sum", real=True), sp.Symbol("k_wait", real=True)
    mean, worse, count, cutting = (sp.Symbol(name, real=True) for name in ("f_mean", "k_worse", "k_count", "k_cut"))
    last, so_far = sp.Eq(sp.Mod(t, B), 0), total + f / B
    return Policy(
        f"plateau({learning_rate}, factor={factor}, patience={patience})",
        float(rate),
        (
            (mean, so_far),
            (total, sp.Piecewise((0, last), (mean, True))),
            (worse, sp.Piecewise((1, sp.And(last, mean >= best - better)), (0, True))),
            (count, sp.Piecewise((waited + 1, sp.Eq(worse, 1)), (0, last), (waited, True))),
            (cutting, sp.Piecewise((1, sp.And(sp.Eq(worse, 1), count > waiting)), (0, True))),
            (waited, sp.Piecewise((0, sp.Eq(cutting, 1)), (count, True))),
            (best, sp.Piecewise((sp.Min(best, mean), last), (best, True))),
            (eta, sp.Piecewise((sp.Max(cut * eta, lowest), sp.Eq(cutting, 1)), (eta, True))),
        ),
        (State(total), State(waited), State(best, float("inf")), State(eta, float(rate))),
    )


# -- checked numbers --------------------------------------------------------------------------------------------------


def _number(name: str, value: Any, bounds: sp.Interval, advice: str) -> sp.Expr:
    number = in_range(real(value), bounds, f"{name} = {value!s:.80}", advice)
    return sp.Integer(int(number)) if number == int(number) else sp.Float(number)


def _positive(name: str, value: Any) -> sp.Expr:
    return _number(name, value, POSITIVE, "give a positive number, such as 0.1")


def _factor(name: str, value: Any) -> sp.Expr:
    return _number(name, value, sp.Interval.Lopen(0, 1), "give a factor up to 1, such as 0.95")


def _count(name: str, value: Any, at_least: int = 1) -> sp.Integer:
    return sp.Integer(whole(name, value, at_least))


__all__ = ["cosine", "exponential", "inverse_time", "plateau", "step", "warmup"]
