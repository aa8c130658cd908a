"""The simplices of Nelder and Mead, over the contours of the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from symdescent.errors import StatementError
from symdescent.plots import box as boxes
from symdescent.plots.canvas import PATH, Style, axes, chosen_rows, counted, halo, legend
from symdescent.plots.contours import hills
from symdescent.plots.ground import need, subject
from symdescent.plots.labels import optimizer_label
from symdescent.plots.paths import draw_end, draw_start

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EDGE = "#A23B00"  # dark enough to be told from the contours in grey


def simplices(descent: Any, ax: Axes | None = None, *, box: Any = None, most: int = 60) -> Axes:
    """The triangles through which `NelderMead` moved, from thin to thick, and the path of the best corner.

    At most so many are drawn, the first ones and then ever fewer. Raises `StatementError` for a descent by another
    optimizer, and for another number of parameters than two.

    >>> from matplotlib.figure import Figure
    >>> import symdescent as sd
    >>> run = sd.landscapes.himmelblau().loss.descend({"x": 0.5, "y": 0.5}, optimizer=sd.NelderMead())
    >>> ax = simplices(run, Figure().add_subplot(), most=20)
    >>> len(ax.patches) <= 20
    True
    """
    from matplotlib.patches import Polygon

    drawn = subject(descent)
    run = drawn.descent
    if run is None or run.simplices is None:
        kind = "several descents" if run is None else f"a descent by {optimizer_label(run.optimizer)}"
        raise StatementError(f"{kind} has no simplices: draw a descent with sd.NelderMead()")
    need(drawn.ground, 2, "simplices")
    corners = run.simplices
    area = boxes.checked(drawn.ground, box) if box is not None else boxes.around(corners.reshape(-1, 2), 0.12)
    ax = axes(ax)
    hills(ax, drawn, area)
    chosen = chosen_rows(len(corners), most)
    for number, place in enumerate(chosen):
        width = 0.8 + 0.8 * number / max(1, len(chosen) - 1)
        ax.add_patch(
            Polygon(corners[place], closed=True, fill=False, edgecolor=EDGE, linewidth=width, zorder=3,
                    path_effects=halo(2.6),
                    label="simplex" if number == len(chosen) - 1 else "_simplex")
        )  # fmt: skip
    best = corners[:, 0]
    ax.plot(*best.T, color=PATH, linestyle=(0, (1, 1)), linewidth=1.4, zorder=4,
            label=f"best corner: {counted(run.nit, 'step')}")  # fmt: skip
    draw_start(ax, best[0])
    draw_end(ax, best[-1], Style(PATH, "-", "o"))
    legend(ax)
    return ax
