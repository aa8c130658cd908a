r"""Reading the model out of a regression loss: of :math:`f(y - m(x, \theta))`, the curve m.

The target y stands in a sum with the constant factor c, and only there: the rest of the sum is -c·m. Where the loss was
multiplied out, m is where its slope along y vanishes. Either way, with y = m + u the loss must be one of u, without x.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symdescent.derivation.components.stated import stated
from symdescent.errors import StatementError
from symdescent.loss import Loss
from symdescent.statement import name_of


@dataclass(frozen=True, slots=True)
class Model:
    """A model m(x, θ): its expression, the input x, and the target y that it is fitted to."""

    expression: Any
    input: Any
    target: Any


def model_of(loss: Loss, given: Any = None) -> Model:
    """The model of a per-sample loss with one input and one target.

    `given` states the model, as an expression in the input and the parameters. Raises `StatementError` where the loss
    is of another form.

    >>> w, b, x, y = sp.symbols("w b x y")
    >>> model_of(Loss(sp.Abs(y - (w*x + b)), [w, b], samples=[x, y])).expression
    b + w*x
    >>> model_of(Loss(y**2 - 2*w*x*y + w**2*x**2, w, samples=[x, y])).expression
    w*x
    """
    expression, samples = _per_sample(loss)
    if given is not None:
        return _stated(given, samples, loss)
    found = []
    for target in samples:
        for model in _candidates(expression, target):
            inputs = model.free_symbols & set(samples)
            if target not in inputs and _depends_on_residual(expression, model, target, inputs):
                found.append(Model(model, inputs, target))
                break
    with_parameters = [each for each in found if each.expression.free_symbols - set(samples)] or found
    single = [each for each in with_parameters if len(each.input) == 1]
    if single:
        chosen = single[-1]  # of a loss of x - y + b, the target is the one named last
        return Model(chosen.expression, next(iter(chosen.input)), chosen.target)
    names = ", ".join(map(name_of, samples))
    if with_parameters:
        inputs = with_parameters[-1].input
        raise StatementError(
            f"the model {with_parameters[-1].expression} has {len(inputs) or 'no'} inputs: a fit is drawn over one. "
            'Draw the cost or the contours instead, with kind="cost" or kind="contours"'
        )
    raise StatementError(
        f"the loss is not one of a difference between a sample ({names}) and a model, f(y - m(x)): give the model, as "
        "in fit(descent, model=w*x + b)"
    )


def _per_sample(loss: Loss) -> tuple[Any, tuple[Any, ...]]:
    """What is summed over the samples, with scalar symbols for each sample's data."""
    if loss.samples:
        wrong = [s for s in loss.samples if not isinstance(s, sp.Symbol)]
        if wrong:
            raise StatementError(f"the sample {name_of(wrong[0])} is a vector: a fit is drawn over one scalar input")
        return loss.expression, loss.samples
    described = stated(loss)
    sums = [part for part in sp.Add.make_args(sp.expand_mul(described.expression)) for part in part.atoms(sp.Sum)]
    for total in sums:
        if len(total.limits) == 1:
            index = total.limits[0][0]
            entries = {
                part: sp.Symbol(str(part.base))
                for part in total.function.atoms(sp.Indexed)
                if part.indices == (index,) and part.base not in loss.parameters
            }
            if len(entries) > 1:
                return total.function.xreplace(entries), tuple(sorted(entries.values(), key=str))
    raise StatementError(
        "the loss is no sum over samples of scalars: state it with samples=[x, y], or with sums over x[i] and y[i]"
    )


def _stated(given: Any, samples: tuple[Any, ...], loss: Loss) -> Model:
    """A model that was given; its input is the sample in it, and the target the other one."""
    model = sp.sympify(given)
    by_name = {name_of(sample): sample for sample in samples}
    inputs = [by_name[name_of(s)] for s in sorted(model.free_symbols, key=str) if name_of(s) in by_name]
    others = [sample for sample in samples if sample not in inputs]
    if len(inputs) != 1 or not others:
        raise StatementError(
            f"the model {model} should contain one of the samples {', '.join(by_name)}, its input, and leave another, "
            "the target"
        )
    known = {name_of(p) for p in (*loss.parameters, *loss.constants)} | set(by_name)
    strange = sorted(name_of(s) for s in model.free_symbols if name_of(s) not in known)
    if strange:
        raise StatementError(f"the model contains {strange[0]}, which the loss does not know")
    return Model(model, inputs[0], others[-1])


def _candidates(expression: Any, target: Any) -> Iterator[Any]:
    """Models m that the places suggest where the target stands."""
    for part in sp.preorder_traversal(expression):
        if isinstance(part, sp.Add) and target in part.free_symbols:
            own = [term for term in part.args if target in term.free_symbols]
            factor = own[0] / target if len(own) == 1 else sp.nan
            if factor.is_number and factor.is_finite and factor != 0:
                yield -(part - own[0]) / factor
    if expression.is_polynomial(target) and sp.degree(expression, target) == 2:
        second, first, _ = sp.Poly(expression, target).all_coeffs()
        yield sp.cancel(-first / (2 * second))


def _depends_on_residual(expression: Any, model: Any, target: Any, inputs: set[Any]) -> bool:
    """Whether the loss sees target and inputs through target - model alone."""
    residual = sp.Dummy("u", real=True)
    moved = expression.xreplace({target: model + residual})
    if not moved.free_symbols & inputs:
        return True
    opened = moved.replace(lambda part: isinstance(part, sp.Add), lambda part: sp.expand(part))
    if not opened.free_symbols & inputs:
        return True
    return not sp.expand(moved).free_symbols & inputs if moved.is_polynomial(residual) else False
