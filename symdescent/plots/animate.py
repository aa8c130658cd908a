"""A descent as a film: the path, the simplex or the fitted curve step by step, beside the loss.

Films are pages with their frames inside (Matplotlib's jshtml) or GIFs (by Pillow); neither needs ffmpeg.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from symdescent.descent import Descent
from symdescent.errors import StatementError
from symdescent.plots.canvas import GRADIENT, GUIDE, PATH, Style, axes, chosen_rows, figure, text_of
from symdescent.plots.choose import best_kind
from symdescent.plots.contours import contours
from symdescent.plots.cost import cost
from symdescent.plots.curve import curve
from symdescent.plots.fit import curve_of, fit
from symdescent.plots.ground import Subject, path, subject
from symdescent.plots.model import model_of
from symdescent.plots.paths import draw_start
from symdescent.plots.simplices import simplices
from symdescent.plots.slices import slice_

Draw = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Film:
    """A descent as an animation; notebooks show it, and `save` writes it by the suffix ``.html`` or ``.gif``.

    `rows` are the rows of the descent's history that are shown, a frame each; `interval` is between two frames, in
    milliseconds; `draw(k)` draws frame k into `figure`.

    >>> import sympy as sp, symdescent as sd
    >>> run = sd.Loss((sp.Symbol("w") - 3)**2).descend(0.0, optimizer=sd.GradientDescent(0.1), steps=9, gtol=0)
    >>> film = run.animate(frames=3)
    >>> film.rows, film.interval
    (array([0, 2, 9]), 120)
    """

    figure: Any
    rows: Any
    interval: int
    draw: Draw = field(repr=False)

    def save(self, path: str | Path, dpi: int = 110) -> None:
        """Write the film to a file: ``.html`` (one page, no network) or ``.gif``; ``.png`` for its last frame.

        >>> import sympy as sp, symdescent as sd, tempfile
        >>> run = sd.Loss((sp.Symbol("w") - 3)**2).descend(0.0, optimizer=sd.GradientDescent(0.1), steps=9)
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     run.animate().save(f"{directory}/last.png")
        """
        suffix = Path(path).suffix.lower()
        if suffix == ".html":
            Path(path).write_text(_PAGE.format(self.html(dpi)), encoding="utf-8")
        elif suffix == ".gif":
            from matplotlib.animation import PillowWriter

            writer = PillowWriter(fps=max(1, round(1000 / self.interval)))
            self._animation().save(str(path), writer=writer, dpi=dpi)
        elif suffix == ".png":
            self.draw(len(self.rows) - 1)
            self.figure.savefig(path, dpi=dpi)
        else:
            raise StatementError(f"a film is saved as .html or .gif, and its last frame as .png, not as {suffix!r}")

    def html(self, dpi: int = 110) -> str:
        """The film as HTML, with buttons to play it, and its frames inside.

        >>> import sympy as sp, symdescent as sd
        >>> run = sd.Loss((sp.Symbol("w") - 3)**2).descend(0.0, optimizer=sd.GradientDescent(0.1), steps=9)
        >>> "<script" in run.animate(frames=2).html(dpi=40)
        True
        """
        from matplotlib import rc_context

        with rc_context({"animation.embed_limit": 200.0, "savefig.dpi": dpi}):
            return _without_network(self._animation().to_jshtml(default_mode="once"))

    def _repr_html_(self) -> str:
        return self.html()

    def _animation(self) -> Any:
        from matplotlib.animation import FuncAnimation

        def frame(number: int) -> list[Any]:
            self.draw(number)
            return []

        return FuncAnimation(
            self.figure, frame, frames=len(self.rows), interval=self.interval, repeat=False, blit=False
        )


# Matplotlib's buttons are letters of a font that it loads from the network
_ICONS = {
    "fa-minus": "−",
    "fa-fast-backward": "|◀◀",
    "fa-step-backward": "|◀",
    "fa-play fa-flip-horizontal": "◀",
    "fa-pause": "❚❚",
    "fa-play": "▶",
    "fa-step-forward": "▶|",
    "fa-fast-forward": "▶▶|",
    "fa-plus": "+",
}


def _without_network(page: str) -> str:
    """The page with signs on its buttons that every font has."""
    page = re.sub(r'<link rel="stylesheet"\s+href="https:[^"]*">', "", page)
    return re.sub(r'<i class="fa ([^"]*)"></i>', lambda found: _ICONS.get(found[1], "•"), page)


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Descent</title></head>
<body>
{}
</body></html>
"""


def animate(
    descent: Descent, kind: str | None = None, ax: Any = None, *, frames: int = 60, interval: int = 120, **options: Any
) -> Film:
    """A film of a descent.

    `kind` is that of `Descent.plot` (``"curve"``, ``"contours"``, ``"slice"``, ``"simplices"`` or ``"fit"``; chosen if
    omitted), `frames` the most frames (the first steps, then ever fewer), `interval` the time between two of them in
    milliseconds, `options` those of the picture. With `ax` the film plays there, else beside the loss against the
    steps.

    Raises `StatementError` for a descent whose trajectory was not kept.

    >>> import sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> run = sd.Loss((w - 3)**2, w).descend(0, optimizer=sd.GradientDescent(0.1), steps=9, gtol=0)
    >>> film = animate(run)
    >>> len(film.rows)
    10
    """
    if not descent.trajectory:
        raise StatementError("the trajectory of this descent was not kept: draw descent.plot('cost') instead")
    if frames < 2 or interval <= 0:
        raise StatementError(f"frames={frames} and interval={interval}: a film has two frames or more, and takes time")
    kind = best_kind(descent) if kind is None else kind
    kind = "slice" if kind == "cost" else kind
    if kind not in _MOVING:
        raise StatementError(f"kind={kind!r} is not one of {', '.join(map(repr, _MOVING))}")
    rows = chosen_rows(len(path(descent)), frames)
    if ax is None:
        page = figure((9.6, 4.4), shown=False)
        left, right = page.subplots(1, 2, width_ratios=(1.25, 1.0))
        beside = _cost(right, descent)
    else:
        left, page, beside = axes(ax), ax.figure, None
    moving = _MOVING[kind](left, subject(descent), options)
    steps, losses = descent.history["iteration"], descent.history["loss"]

    def draw(number: int) -> None:
        row = int(rows[number])
        moving(row)
        if beside is not None:
            beside(row)
        left.set_title(f"step {steps[row]}: loss {text_of(float(losses[row]), 5)}", fontsize="medium")

    draw(0)
    return Film(page, rows, interval, draw)


# -- what moves -------------------------------------------------------------------------------------------------------


def _cost(ax: Any, descent: Descent) -> Draw:
    cost(descent, ax)
    legend = ax.get_legend()
    if legend is not None:
        legend.remove()
    (mark,) = ax.plot([], [], linestyle="none", marker="*", markersize=13, markerfacecolor=GRADIENT,
                      markeredgecolor="black", zorder=6, clip_on=False)  # fmt: skip
    steps, losses = descent.history["iteration"], descent.history["loss"]
    shift = 0.0 if (losses[np.isfinite(losses)] > 0).all() else float(np.nanmin(losses))

    def draw(row: int) -> None:
        mark.set_data([steps[row]], [losses[row] - shift])

    return draw


def _walk(ax: Any, points: Any) -> Draw:
    """A path that grows, and a star at its end."""
    for artist in list(ax.lines):
        artist.remove()
    look = Style(PATH, "-", "o")
    (line,) = ax.plot(
        [], [], color=look.color, linewidth=1.6, marker="o", markersize=4, markerfacecolor="white", zorder=4
    )
    (end,) = ax.plot([], [], linestyle="none", marker="*", markersize=15, markerfacecolor=GRADIENT,
                     markeredgecolor="black", zorder=6)  # fmt: skip
    draw_start(ax, points[0])

    def draw(row: int) -> None:
        line.set_data(*points[: row + 1].T)
        line.set_markevery(max(1, row // 60))
        end.set_data(*points[row : row + 1].T)

    return draw


def _bare(ax: Any) -> None:
    if ax.get_legend() is not None:
        ax.get_legend().remove()


def _on_curve(ax: Any, drawn: Subject, options: dict[str, Any]) -> Draw:
    descent = drawn.descent
    assert descent is not None
    curve(descent, ax, **{"tangents": 0, **options})
    ground, points = drawn.ground, path(descent)
    curved = ax.lines[0].get_data()
    walk = _walk(ax, np.column_stack([points[:, 0], ground.values(points)]))
    ax.plot(*curved, color=GUIDE, linewidth=2.0, zorder=2)
    (tangent,) = ax.plot([], [], color=GRADIENT, linewidth=1.6, linestyle=(0, (5, 1.5)), zorder=3)
    slopes, heights = ground.gradients(points)[:, 0], ground.values(points)
    left, right = ax.get_xlim()
    _bare(ax)

    def draw(row: int) -> None:
        walk(row)
        across = np.array([left, right])
        tangent.set_data(across, heights[row] + slopes[row] * (across - points[row, 0]))

    return draw


def _on_contours(ax: Any, drawn: Subject, options: dict[str, Any]) -> Draw:
    contours(drawn.descent, ax, **{"arrows": 0, **options})
    _bare(ax)
    assert drawn.descent is not None
    return _walk(ax, path(drawn.descent))


def _on_slice(ax: Any, drawn: Subject, options: dict[str, Any]) -> Draw:
    slice_(drawn.descent, ax, **options)
    _bare(ax)
    return _walk(ax, np.column_stack(ax.lines[0].get_data()))


def _in_simplices(ax: Any, drawn: Subject, options: dict[str, Any]) -> Draw:
    from matplotlib.patches import Polygon

    descent = drawn.descent
    simplices(descent, ax, **options)
    _bare(ax)
    assert descent is not None
    corners = descent.simplices
    for artist in [*ax.lines, *ax.patches]:
        artist.remove()
    shape = ax.add_patch(Polygon(corners[0], closed=True, fill=False, edgecolor=GRADIENT, linewidth=2.0, zorder=5))
    (line,) = ax.plot([], [], color=PATH, linestyle=(0, (1, 1)), linewidth=1.4, zorder=4)

    def draw(row: int) -> None:
        row = min(row, len(corners) - 1)
        shape.set_xy(corners[row])
        line.set_data(*corners[: row + 1, 0].T)

    return draw


def _fitting(ax: Any, drawn: Subject, options: dict[str, Any]) -> Draw:
    descent = drawn.descent
    assert descent is not None
    fit(descent, ax, **{"between": 0, **options})
    _bare(ax)
    found = model_of(drawn.ground.loss, options.get("model"))
    grid, points = ax.lines[-1].get_xdata(), path(descent)
    for artist in ax.lines[1:]:
        artist.remove()
    (line,) = ax.plot(grid, np.full(len(grid), np.nan), color="black", linewidth=2.0, zorder=4)

    def draw(row: int) -> None:
        line.set_ydata(curve_of(drawn.ground, found, points[row], grid))

    return draw


_MOVING: dict[str, Callable[[Any, Subject, dict[str, Any]], Draw]] = {
    "curve": _on_curve,
    "contours": _on_contours,
    "slice": _on_slice,
    "simplices": _in_simplices,
    "fit": _fitting,
}
