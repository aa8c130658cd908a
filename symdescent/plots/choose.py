"""Choosing the picture that fits: by the number of parameters, by the optimizer, by the form of the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from symdescent.descent import Descent
from symdescent.errors import StatementError
from symdescent.loss import Loss
from symdescent.plots.contours import contours
from symdescent.plots.cost import cost
from symdescent.plots.curve import curve
from symdescent.plots.fit import can_fit, fit
from symdescent.plots.ground import of_statement, subject
from symdescent.plots.simplices import simplices
from symdescent.plots.slices import slice_
from symdescent.plots.surface import surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OF_LOSSES: dict[str, Callable[..., Any]] = {
    "curve": curve,
    "contours": contours,
    "surface": surface,
    "slice": slice_,
    "fit": fit,
}
OF_DESCENTS: dict[str, Callable[..., Any]] = {**OF_LOSSES, "cost": cost, "simplices": simplices}


def plot_loss(
    loss: Loss, at: Any = None, data: Any = None, kind: str | None = None, ax: Axes | None = None, **options: Any
) -> Axes:
    """Draw a loss: `fit` if `at` is given and it is a regression, else `curve`, `contours` or `slice_`.

    >>> from matplotlib.figure import Figure
    >>> import sympy as sp
    >>> w = sp.Symbol("w")
    >>> plot_loss(Loss((w - 3)**2, w), ax=Figure().add_subplot()).get_ylabel()
    'loss $L(w)$'
    """
    if kind is None:
        size = subject(loss, data, at).ground.size
        kind = "fit" if at is not None and can_fit(loss) else {1: "curve", 2: "contours"}.get(size, "slice")
        if kind == "slice" and at is None:
            raise StatementError(
                f"the loss has {size} parameters: say which point a slice goes through and in which directions, as in "
                "plot(at={…}, directions=['u', 'v']), or descend, and plot the descent"
            )
    draw = _known(kind, OF_LOSSES)
    takes_point = {"at": at} if draw in (fit, slice_) else {}
    drawn: Axes = draw(loss, ax, data=data, **takes_point, **options)
    return drawn


def plot_descent(descent: Descent, kind: str | None = None, ax: Axes | None = None, **options: Any) -> Axes:
    """Draw a descent: `simplices`, `fit`, `curve`, `contours` or `cost`, whichever fits.

    >>> import sympy as sp, symdescent as sd
    >>> from matplotlib.figure import Figure
    >>> run = sd.landscapes.himmelblau().loss.descend({"x": 0.0, "y": 0.0}, optimizer=sd.GradientDescent(0.01))
    >>> plot_descent(run, ax=Figure().add_subplot()).get_ylabel()
    '$y$'
    """
    kind = best_kind(descent) if kind is None else kind
    drawn: Axes = _known(kind, OF_DESCENTS)(descent, ax, **options)
    return drawn


def best_kind(descent: Descent) -> str:
    """Which picture tells most of a descent."""
    size = len(descent.x)
    knows = descent.compiled is not None and descent.start is not None and bool(descent.trajectory)
    if not knows:
        return "cost"
    if descent.simplices is not None and size == 2:
        return "simplices"
    assert descent.compiled is not None
    if descent.compiled.statement.constants or descent.compiled.statement.samples:
        loss = of_statement(descent.compiled.statement)
        if can_fit(loss):
            return "fit"
    return {1: "curve", 2: "contours"}.get(size, "cost")


def _known(kind: str, table: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
    if kind not in table:
        raise StatementError(f"kind={kind!r} is not one of {', '.join(map(repr, table))}")
    return table[kind]
