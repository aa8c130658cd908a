"""Several optimizers on one loss, from one start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from symdescent.descent import Descent
from symdescent.errors import StatementError
from symdescent.landscapes import Landscape
from symdescent.loss import Loss
from symdescent.plots.canvas import axes, text_of
from symdescent.plots.contours import contours
from symdescent.plots.cost import cost
from symdescent.plots.curve import curve
from symdescent.plots.ground import Subject, named, subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def race(
    thing: Any,
    optimizers: Any,
    ax: Axes | None = None,
    *,
    start: Any = None,
    data: Any = None,
    steps: int = 200,
    box: Any = None,
    **options: Any,
) -> Axes:
    """Descents by several optimizers from one start, drawn on one landscape.

    Parameters
    ----------
    thing
        a `Loss`, or one of `sd.landscapes` (which knows a start)
    optimizers
        a list of optimizers, or a mapping by label
    start, data, steps, options
        as `Loss.descend` takes them, the same for all
    box
        see `symdescent.plots.contours`

    Two parameters are drawn as contours, one as a curve, more as the loss against the steps. The legend tells how many
    steps each made, and the loss that it reached.

    >>> from matplotlib.figure import Figure
    >>> import symdescent as sd
    >>> rules = [sd.GradientDescent(0.01), sd.Momentum(0.01)]
    >>> ax = race(sd.landscapes.bowl(), rules, Figure().add_subplot(), steps=50)
    >>> len(ax.get_legend().get_texts())
    4
    """
    runs = compete(thing, optimizers, start=start, data=data, steps=steps, **options)
    size = len(next(iter(runs.values())).x)
    if size > 2:
        return cost(Subject(subject(list(runs.values())).ground, runs), ax)
    ax = axes(ax, size=(6.4, 5.4))
    told = {f"{name} → {text_of(run.fun, 3)}": run for name, run in runs.items()}
    landscape = thing if isinstance(thing, Landscape) else None
    if box is None and landscape is not None:
        box = landscape.box
    drawn = Subject(subject(list(runs.values())).ground, told, landscape)
    return (contours if size == 2 else curve)(drawn, ax, box=box)


def compete(
    thing: Any, optimizers: Any, *, start: Any = None, data: Any = None, steps: int = 200, **options: Any
) -> dict[str, Descent]:
    """The descents of a race, by label. See `race`.

    >>> import symdescent as sd
    >>> runs = compete(sd.landscapes.bowl(9), {"plain": sd.GradientDescent(0.1), "Newton": sd.Newton()}, steps=50)
    >>> runs["Newton"].nit < runs["plain"].nit
    True
    """
    if isinstance(thing, Landscape):
        loss, start = thing.loss, thing.start if start is None else start
    elif isinstance(thing, Loss):
        loss = thing
    else:
        raise StatementError(f"{type(thing).__name__} is no Loss and no landscape: a race needs one to run on")
    if start is None:
        raise StatementError("a race needs a start: give start={…}, as descend takes it")
    listed: list[Any] = list(optimizers.values()) if isinstance(optimizers, Mapping) else list(optimizers)
    if not listed:
        raise StatementError("a race needs optimizers: give a list, or a mapping by label")
    runs = [loss.descend(start, data, each, steps=steps, **options) for each in listed]
    return named(dict(zip(optimizers, runs, strict=True)) if isinstance(optimizers, Mapping) else runs)


__all__ = ["compete", "race"]
