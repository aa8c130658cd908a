"""The surface of a loss over two parameters, in three dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from symdescent.plots import box as boxes
from symdescent.plots.canvas import PATH, Style, axes, halo, legend, style
from symdescent.plots.ground import need, subject
from symdescent.plots.levels import levels
from symdescent.plots.paths import loss_label, parameter_label, told

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def surface(
    thing: Any,
    ax: Axes | None = None,
    *,
    data: Any = None,
    box: Any = None,
    log: bool | None = None,
    resolution: int = 81,
) -> Axes:
    r"""The surface :math:`z = L(x, y)` of a loss of two parameters, and the paths of descents on it.

    `thing`, `data` and `box` are those of `symdescent.plots.contours`; `ax` must have three dimensions. With `log`
    (default: where the loss spans much) the height is :math:`\log_{10}(L - L_{\min} + \varepsilon)`. Raises
    `StatementError` for another number of parameters, and for flat axes.

    >>> from matplotlib.figure import Figure
    >>> import symdescent as sd
    >>> ax = surface(sd.landscapes.saddle(), Figure().add_subplot(projection="3d"), resolution=11)
    >>> ax.get_zlabel()
    'loss $L(x, y)$'
    """
    drawn = subject(thing, data)
    ground = drawn.ground
    need(ground, 2, "the surface")
    across, up = (np.linspace(low, high, resolution) for low, high in boxes.choose(drawn, box))
    made = axes(ax, solid=True)
    solid: Any = made  # with the methods of three dimensions
    heights = ground.on_grid(across, up)
    known = [each.fun for each in drawn.descents.values() if np.isfinite(each.fun)]
    found = levels(heights, lowest=min(known, default=None))
    log = found.wide if log is None else log
    low = min(found.lowest, float(np.nanmin(heights))) if np.isfinite(heights).any() else 0.0
    least = found.values[0] - low if found.wide else 1e-3 * max(float(np.nanmax(heights)) - low, 1e-300)

    def height(values: Any) -> Any:
        return np.log10(np.maximum(values - low, 0.0) + least) if log else values

    meshes = np.meshgrid(across, up)
    solid.plot_surface(
        *meshes, np.ma.masked_invalid(height(heights)), cmap="cividis", alpha=0.75, linewidth=0.15, edgecolor="#555555",
        rcount=40, ccount=40, zorder=1,
    )  # fmt: skip
    for number, (name, points) in enumerate(drawn.paths().items()):
        look = Style(PATH, "-", "o") if len(drawn.descents) == 1 else style(number)
        inside = np.all((points >= [across[0], up[0]]) & (points <= [across[-1], up[-1]]), axis=1)
        kept = points[inside]
        on_top = height(ground.values(kept)) if len(kept) else np.empty(0)
        solid.plot(
            *kept.T, on_top, color=look.color, linestyle=look.line, linewidth=1.8, marker=look.marker, markersize=3.5,
            markerfacecolor="white", markevery=max(1, len(kept) // 40), zorder=5,
            label=told(name, drawn.descents[name]),
            path_effects=halo(),
        )  # fmt: skip
        if len(kept):
            solid.plot(*kept[:1].T, on_top[:1], linestyle="none", marker="s", markersize=8, markerfacecolor="white",
                    markeredgecolor="black", zorder=6, label="start" if number == 0 else "_start")  # fmt: skip
    for each in "xyz":
        solid.locator_params(axis=each, nbins=5)
    solid.set_xlabel(parameter_label(ground, 0))
    solid.set_ylabel(parameter_label(ground, 1))
    solid.set_zlabel(r"$\log_{10}(L - L_{\min})$" if log else loss_label(ground))
    solid.set_box_aspect(None, zoom=0.88)  # room for the label of the height
    legend(made, loc="upper left")
    return made
