"""The curve of a loss of one parameter, with a path, its start and end, and tangents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from symdescent.plots import box as boxes
from symdescent.plots.canvas import GRADIENT, GUIDE, PATH, Style, apart, axes, counted, legend, style, text_of
from symdescent.plots.critical import MARKS, places
from symdescent.plots.ground import Subject, need, subject
from symdescent.plots.paths import draw_end, draw_path, draw_start, loss_label, parameter_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curve(
    thing: Any,
    ax: Axes | None = None,
    *,
    data: Any = None,
    box: Any = None,
    tangents: int = 3,
    critical: bool = False,
    resolution: int = 801,
) -> Axes:
    r"""The curve :math:`L(w)` of a loss of one parameter, and the paths of descents along it.

    `thing`, `ax`, `data`, `box` and `critical` are those of `symdescent.plots.contours`; `box` is ``(from, to)``. Of a
    single descent, `tangents` is at how many of its points the tangent :math:`L(w_k) + L'(w_k)\,(w - w_k)` is drawn.
    Where the loss is undefined, the curve has a gap. Raises `StatementError` for another number of parameters.

    >>> from matplotlib.figure import Figure
    >>> import sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> run = sd.Loss((w - 3)**2, w).descend(0, optimizer=sd.GradientDescent(0.1), steps=20)
    >>> ax = curve(run, Figure().add_subplot())
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('$w$', 'loss $L(w)$')
    """
    drawn = subject(thing, data)
    ground = drawn.ground
    need(ground, 1, "the curve")
    ((low, high),) = boxes.choose(drawn, box)
    ax = axes(ax)
    across = np.linspace(low, high, resolution)
    heights = ground.values(across)
    ax.plot(across, heights, color=GUIDE, linewidth=2.0, label="loss", zorder=2)
    ax.set_xlabel(parameter_label(ground, 0))
    ax.set_ylabel(loss_label(ground))
    ax.set_xlim(low, high)
    ax.set_ylim(_window(heights))
    ax.grid(True, linewidth=0.4, alpha=0.5)
    _paths(ax, drawn, tangents, high - low)
    if drawn.landscape is not None and not critical:
        _points(ax, drawn, drawn.landscape.minima, "P", "minimum")
    if critical:
        for kind, (marker, _, name) in MARKS.items():
            _points(ax, drawn, [p for k, p in places(ground) if k == kind and low <= p[0] <= high], marker, name)
    legend(ax)
    return ax


def _paths(ax: Any, drawn: Subject, tangents: int, width: float) -> None:
    ground, alone = drawn.ground, drawn.descent is not None
    for number, (name, points) in enumerate(drawn.paths().items()):
        look = Style(PATH, (0, (1, 1)), "o") if alone else style(number)
        on_curve = np.column_stack([points[:, 0], ground.values(points)])
        if alone and tangents > 0:
            _tangents(ax, drawn, points, on_curve, tangents, width)
        run = drawn.descents[name]
        draw_path(ax, on_curve, name if alone else f"{name}: {counted(run.nit, 'step')}", look, ends=False)
        start, end = on_curve[0], on_curve[-1]
        sign = ground.labels[0]
        draw_start(ax, start, f"start: {sign} = {text_of(start[0])}" if alone else "_start")
        said = f"after {counted(run.nit, 'step')}: {sign} = {text_of(end[0])}" if alone else "_end"
        if alone and not _shows(ax, end):
            said += ", outside"
        if np.isfinite(end).all():
            draw_end(ax, end, look, said)


def _shows(ax: Any, point: Any) -> bool:
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    return bool(left <= point[0] <= right and low <= point[1] <= high)


def _tangents(ax: Any, drawn: Subject, points: Any, on_curve: Any, count: int, width: float) -> None:
    """Short tangents at the first points that stand apart."""
    chosen = apart(points, count, width / 6)
    slopes = drawn.ground.gradients(points[chosen])[:, 0]
    low, high = ax.get_ylim()
    for number, (k, slope) in enumerate(zip(chosen, slopes, strict=True)):
        if not np.isfinite(slope):
            continue
        # as long on the page whatever the slope is
        half = 0.16 * width / np.hypot(1.0, slope * width / (high - low))
        at, height = on_curve[k]
        ax.plot(
            [at - half, at + half], [height - slope * half, height + slope * half], color=GRADIENT, linewidth=1.8,
            linestyle=(0, (5, 1.5)), zorder=3, label="tangent" if number == 0 else "_tangent",
        )  # fmt: skip


def _points(ax: Any, drawn: Subject, points: Any, marker: str, name: str) -> None:
    if len(points):
        points = np.array(points, dtype=float).reshape(-1, 1)
        ax.plot(
            points[:, 0], drawn.ground.values(points), linestyle="none", marker=marker, markersize=8,
            markerfacecolor="white", markeredgecolor="black", zorder=5, label=name,
        )  # fmt: skip


def _window(heights: Any) -> tuple[float, float]:
    """From the lowest to the highest loss, with a margin; without the last bit of what runs to infinity."""
    finite = heights[np.isfinite(heights)]
    if not len(finite):
        return -1.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    usual = float(np.quantile(finite, 0.98))
    if high - low > 20 * (usual - low) > 0:
        high = usual + 0.3 * (usual - low)
    margin = 0.06 * (high - low) or 0.1 * max(1.0, abs(low))
    return low - margin, high + margin
