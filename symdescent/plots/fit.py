"""A regression over its data: the samples, and the curve of the model before, during and after the descent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from symdescent.check.evaluate import evaluate
from symdescent.errors import DataError, StatementError
from symdescent.loss import Loss
from symdescent.plots.canvas import GUIDE, axes, legend, style
from symdescent.plots.ground import Ground, Subject, path, subject
from symdescent.plots.labels import label
from symdescent.plots.model import Model, model_of
from symdescent.statement import name_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOTS = 5000  # samples that are drawn; of more, every k-th


def fit(
    thing: Any, ax: Axes | None = None, *, at: Any = None, data: Any = None, model: Any = None, between: int = 3
) -> Axes:
    r"""The samples of a regression, and the curve :math:`m(x, \theta)` that is fitted to them.

    Parameters
    ----------
    thing
        a `Descent` of a per-sample loss with one input (or several), or such a `Loss` with `data`
    at
        parameters to draw the curve of; of a loss without them, only the samples are drawn
    model
        the model, as a SymPy expression; read off the loss, if that is :math:`f(y - m)`
    between
        how many curves between the first and the last one, where the way is long

    Raises `StatementError` for a loss of another form, and for a model with more than one input.

    >>> from matplotlib.figure import Figure
    >>> import symdescent as sd
    >>> w, b, x, y = sp.symbols("w b x y")
    >>> line = sd.Loss((y - (w*x + b))**2, [w, b], samples=[x, y])
    >>> run = line.descend({"w": 0, "b": 0}, {"x": [0, 1, 2], "y": [1, 3, 5]}, sd.GradientDescent(0.1), steps=50)
    >>> ax = fit(run, Figure().add_subplot())
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('$x$', '$y$')
    """
    given = isinstance(thing, Loss)
    drawn = subject(thing, data, at)
    ground = drawn.ground
    found = model_of(ground.loss, model)
    ax = axes(ax)
    across, heights = samples_of(ground, found)
    step = max(1, len(across) // DOTS)
    ax.plot(across[::step], heights[::step], linestyle="none", marker="o", markersize=4.5, markerfacecolor="white",
            markeredgecolor="#444444", markeredgewidth=0.9, zorder=2,
            label="samples" if step == 1 else f"every {step}th sample")  # fmt: skip
    grid = _grid(across)
    _curves(ax, drawn, found, grid, between)
    if at is not None and given:
        ax.plot(grid, curve_of(ground, found, ground.flat(at), grid), color="black", linewidth=2.0, zorder=4,
                label=_formula(found))  # fmt: skip
    _limits(ax, heights)
    ax.set_xlabel(label(found.input))
    ax.set_ylabel(label(found.target))
    legend(ax)
    return ax


def _curves(ax: Any, drawn: Subject, found: Model, grid: Any, between: int) -> None:
    """The first curve, some on the way, and the last; of several descents, the last ones."""
    ground, alone = drawn.ground, drawn.descent
    if alone is not None and alone.trajectory:
        points = path(alone)
        finite = points[np.isfinite(points).all(axis=1)]
        for number, place in enumerate(_on_the_way(finite, between)):
            ax.plot(grid, curve_of(ground, found, finite[place], grid), color=GUIDE, linewidth=0.9, alpha=0.7, zorder=3,
                    label="on the way" if number == 0 else "_way")  # fmt: skip
        ax.plot(grid, curve_of(ground, found, points[0], grid), color="#D55E00", linestyle=(0, (5, 1.5)), linewidth=1.6,
                zorder=3, label="start")  # fmt: skip
    for number, (name, run) in enumerate(drawn.descents.items()):
        look = style(number)
        said = f"after {run.nit} steps: {_formula(found)}" if alone is not None else f"{name}, {run.nit} steps"
        ax.plot(grid, curve_of(ground, found, run.x, grid), color=look.color, linestyle=look.line, linewidth=2.0,
                zorder=4, label=said)  # fmt: skip


def samples_of(ground: Ground, found: Model) -> tuple[Any, Any]:
    """The values of the input and of the target."""
    known = {name_of(thing): values for thing, values in ground.bound.data.items()}
    missing = [name for name in map(name_of, (found.input, found.target)) if name not in known]
    if missing:
        raise DataError(f"{missing[0]} has no value: give data={{{missing[0]!r}: …}}")
    return tuple(np.asarray(known[name_of(s)], dtype=float).ravel() for s in (found.input, found.target))  # type: ignore[return-value]


def curve_of(ground: Ground, found: Model, x: Any, grid: Any) -> Any:
    """The model at flat parameters, over a grid of its input; NaN where it is undefined."""
    values: dict[Any, Any] = {**ground.params(x), **ground.bound.extents}
    values |= {thing: v for thing, v in ground.bound.data.items() if np.ndim(v) == 0}
    symbols = {name_of(thing): thing for thing in values}
    renamed = {
        s: symbols[name_of(s)] for s in found.expression.free_symbols if name_of(s) in symbols and s not in values
    }
    expression = found.expression.xreplace(
        {old: new for old, new in renamed.items() if isinstance(old, sp.Symbol) and isinstance(new, sp.Symbol)}
    )
    used = expression.free_symbols | {part.base for part in expression.atoms(sp.Indexed)}
    result = evaluate(expression, {**{k: v for k, v in values.items() if k in used}, found.input: grid})
    shown = np.broadcast_to(np.asarray(result, dtype=float), grid.shape)
    return np.where(np.isfinite(shown), shown, np.nan)


def can_fit(loss: Loss) -> bool:
    """Whether a loss is a regression over one input, which `fit` can draw."""
    try:
        model_of(loss)
    except (StatementError, NotImplementedError):
        return False
    return True


def _grid(across: Any) -> Any:
    low, high = float(np.min(across)), float(np.max(across))
    margin = 0.05 * (high - low) or 0.5
    return np.linspace(low - margin, high + margin, 301)


def _on_the_way(points: Any, count: int) -> Any:
    """Places that divide the way from the start to the end into equal parts."""
    if len(points) < 3 or count < 1:
        return []
    scale = np.ptp(points, axis=0)
    moved = np.linalg.norm(np.diff(points / np.where(scale > 0, scale, 1.0), axis=0), axis=1)
    done = np.concatenate([[0.0], np.cumsum(moved)])
    wanted = np.linspace(0.0, done[-1], count + 2)[1:-1]
    return np.unique(np.searchsorted(done, wanted).clip(1, len(points) - 2))


def _limits(ax: Any, heights: Any) -> None:
    """What the samples need: a curve of a bad start may leave the picture."""
    low, high = float(np.min(heights)), float(np.max(heights))
    span = (high - low) or max(1.0, abs(low))
    ax.set_ylim(low - 0.25 * span, high + 0.25 * span)


def _formula(found: Model) -> str:
    """The model in the symbols of the statement, if it is short enough for a legend."""
    symbols = sorted(found.expression.free_symbols, key=str)
    names = {s: label(s) for s in symbols}
    if len(str(found.expression)) > 30 or any("text" in name or len(name) > 16 for name in names.values()):
        return "model"
    inside = sp.latex(
        found.expression, mul_symbol=r"\,", symbol_names={s: name.strip("$") for s, name in names.items()}
    )
    return rf"{label(found.target)} = ${inside}$"
