"""Contours of a loss over two parameters, with paths, arrows, minima and critical points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from symdescent.plots import box as boxes
from symdescent.plots.canvas import GUIDE, PATH, Style, axes, halo, legend, style, text_of
from symdescent.plots.critical import draw_critical
from symdescent.plots.ground import Subject, need, subject
from symdescent.plots.levels import Levels, levels
from symdescent.plots.paths import arrows, draw_arrows, draw_path, draw_start, parameter_label, told

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RESOLUTION = 201
PIECES = 80  # contours in a picture, above which a bar tells their levels, not numbers on them
INK = "#444444"


def contours(
    thing: Any,
    ax: Axes | None = None,
    *,
    data: Any = None,
    box: Any = None,
    levels: int = 14,
    resolution: int | None = None,
    arrows: int | None = None,
    velocity: bool | None = None,
    critical: bool = False,
    numbers: bool = True,
) -> Axes:
    r"""Contours :math:`L(x, y) = c` of a loss of two parameters, and the paths of descents over them.

    Parameters
    ----------
    thing
        a `Loss` (with `data`), one of `sd.landscapes`, a `Descent`, or several descents (a list, or a mapping by label)
    ax
        where to draw: Matplotlib's `Axes`; a new figure, if omitted
    box
        ``((x from, x to), (y from, y to))``, or by the parameters' names; chosen if omitted
    levels, resolution
        about how many contours (they stand 1, 3, 10, … above the lowest loss where it spans much); points along a side
    arrows
        at how many points of a single path the direction of -∇L is drawn (default 5)
    velocity
        draw steps as the sum of the gradient's part :math:`-\eta g` and the velocity's (default: with momentum)
    critical
        find the critical points by `Loss.critical_points`, and mark them by their kind
    numbers
        write the loss onto some contours

    Where the loss is undefined, the picture stays white. Raises `StatementError` for another number of parameters.

    >>> from matplotlib.figure import Figure
    >>> import symdescent as sd
    >>> ax = contours(sd.landscapes.himmelblau(), Figure().add_subplot())
    >>> ax.get_xlabel(), ax.get_legend_handles_labels()[1]
    ('$x$', ['minima'])
    """
    drawn = subject(thing, data)
    need(drawn.ground, 2, "contours")
    area = boxes.choose(drawn, box)
    ax = axes(ax)
    hills(ax, drawn, area, count=levels, resolution=resolution, numbers=numbers)
    _paths(ax, drawn, area, arrows, velocity)
    if drawn.landscape is not None and not critical:
        mark_minima(ax, drawn.landscape.minima, area)
    if critical:
        draw_critical(ax, drawn.ground, area)
    legend(ax)
    return ax


def hills(
    ax: Any, drawn: Subject, area: Any, *, count: int = 14, resolution: int | None = None, numbers: bool = True
) -> Levels:
    """The contours alone, over a box, with the axes' labels."""
    ground = drawn.ground
    points = resolution or _resolution(ground.cells)
    across, up = (np.linspace(low, high, points) for low, high in area)
    heights = ground.on_grid(across, up)
    found = draw_hills(ax, across, up, heights, count, numbers, lowest=_lowest(drawn))
    ax.set_xlabel(parameter_label(ground, 0))
    ax.set_ylabel(parameter_label(ground, 1))
    square(ax, area)
    return found


def draw_hills(
    ax: Any, across: Any, up: Any, heights: Any, count: int = 14, numbers: bool = True, lowest: float | None = None
) -> Levels:
    """Filled contours that grow darker with the loss, and lines between them."""
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm, ListedColormap

    heights = np.clip(heights, -1e200, 1e200)  # Matplotlib takes 1e250 for infinity
    masked = np.ma.masked_invalid(heights)
    found = levels(heights, count, lowest)
    lines = found.values
    ax.set_xlim(across[0], across[-1])
    ax.set_ylim(up[0], up[-1])
    if masked.count() == 0 or len(lines) < 2 or np.ma.max(masked) <= np.ma.min(masked):
        said = "the loss is undefined here" if masked.count() == 0 else "the loss is constant here"
        ax.text(0.5, 0.5, said, transform=ax.transAxes, ha="center", va="center")
        return found
    shades = ListedColormap(colormaps["Blues"](np.linspace(0.02, 0.62, 256)))
    norm = BoundaryNorm(lines, shades.N, extend="both")
    filled = ax.contourf(across, up, masked, levels=lines, cmap=shades, norm=norm, extend="both", zorder=0)
    drawn = ax.contour(across, up, masked, levels=lines, colors=GUIDE, linewidths=0.6, zorder=1)
    pieces = sum(len(each.to_polygons(closed_only=False)) for each in drawn.get_paths())
    if numbers and pieces > PIECES:  # too many to be written on
        ax.figure.colorbar(filled, ax=ax, label="loss $L$", shrink=0.85)
    elif numbers:
        shown = lines[1::2] if len(lines) > 7 else lines
        for text in ax.clabel(
            drawn, levels=shown, fmt=lambda level: text_of(level, 3), fontsize=7, inline=True, colors=INK
        ):
            text.set_path_effects(halo(1.5))
    return found


def mark_minima(ax: Any, points: Any, area: Any) -> None:
    """White plus signs at the known minima inside a box."""
    inside = [p for p in points if all(low <= c <= high for c, (low, high) in zip(p, area, strict=True))]
    if inside:
        ax.plot(
            *np.array(inside).T, linestyle="none", marker="P", markersize=8, markerfacecolor="white",
            markeredgecolor="black", zorder=5, label="minimum" if len(inside) == 1 else "minima",
        )  # fmt: skip


def _paths(ax: Any, drawn: Subject, area: Any, count: int | None, velocity: bool | None) -> None:
    """The paths of the descents: one in black with arrows, several each in a style of its own."""
    paths = drawn.paths()
    for number, (name, points) in enumerate(paths.items()):
        look = Style(PATH, "-", "o") if len(paths) == 1 else style(number)
        draw_path(ax, points, told(name, drawn.descents[name]), look)
    starts = {tuple(points[0]) for points in paths.values()}
    for number, start in enumerate(starts):
        draw_start(ax, np.array(start), "start" if number == 0 else "_start")
    if drawn.descent is not None and (count is None or count > 0):
        (points,) = paths.values()
        size = min(high - low for low, high in area)
        inside = np.all([(low <= c) & (c <= high) for c, (low, high) in zip(points.T, area, strict=True)], axis=0)
        stop = int(np.argmin(inside)) if not inside.all() else len(points)
        draw_arrows(
            ax, arrows(drawn.ground, drawn.descent, points[:stop], 5 if count is None else count, size, velocity)
        )


def _lowest(drawn: Subject) -> float | None:
    """The lowest loss that is known: levels are counted from it."""
    known = [each.fun for each in drawn.descents.values() if np.isfinite(each.fun)]
    if drawn.landscape is not None and np.isfinite(drawn.landscape.minimum):
        known.append(drawn.landscape.minimum)
    return min(known, default=None)


def square(ax: Any, area: Any) -> None:
    """One unit is as long on both sides where that leaves a picture: gradients then meet contours at right angles."""
    (left, right), (low, high) = area
    if 1 / 3 <= (right - left) / (high - low) <= 3:
        ax.set_aspect("equal", adjustable="box")


def _resolution(cells: int) -> int:
    """Points along a side: fewer where one evaluation reads much."""
    return int(np.clip(np.sqrt(4e8 / cells), 25, RESOLUTION))
