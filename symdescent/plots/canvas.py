"""What all pictures share: axes to draw on, line styles that differ without colour, numbers as text.

Matplotlib is imported inside of functions, so that whoever asks for no picture does not wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symdescent.errors import StatementError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Style:
    """A colour, a dash pattern and a marker; each of the three tells two lines apart by itself."""

    color: str
    line: Any
    marker: str


# the colours of Okabe & Ito 2008, which colour-blind readers tell apart, in an order that alternates dark and light
STYLES = (
    Style("#000000", "-", "o"),
    Style("#D55E00", (0, (5, 1.5)), "s"),
    Style("#0072B2", (0, (1.2, 1.2)), "^"),
    Style("#009E73", (0, (6, 1.5, 1.2, 1.5)), "D"),
    Style("#CC79A7", (0, (3, 1, 1, 1, 1, 1)), "v"),
    Style("#E69F00", (0, (8, 2)), "P"),
    Style("#56B4E9", (0, (2, 2)), "X"),
)
PATH, GRADIENT, VELOCITY = "#000000", "#D55E00", "#0072B2"
GUIDE = "#7a7a7a"
SIZE = (6.4, 4.6)


def style(number: int) -> Style:
    """The style of the line with that number; after the last comes the first."""
    return STYLES[number % len(STYLES)]


def axes(ax: Any = None, solid: bool = False, size: tuple[float, float] = SIZE) -> Axes:
    """The given axes, or those of a new figure; `solid` asks for three dimensions.

    The new figure is Pyplot's, so that notebooks and ``plt.show()`` show it. Where the backend that was asked for needs
    a display and there is none, it is a figure that can be saved.
    """
    if ax is None:
        options: dict[str, Any] = {"projection": "3d"} if solid else {}
        made: Axes = figure(size).add_subplot(**options)
        return made
    if not hasattr(ax, "plot") or not hasattr(ax, "get_xlim"):
        kind = type(ax).__name__
        raise StatementError(f"ax is a {kind}, not Axes: give one of figure.add_subplot() or plt.subplots()")
    if solid and not hasattr(ax, "get_zlim"):
        raise StatementError("a surface needs axes in three dimensions: figure.add_subplot(projection='3d')")
    if not solid and hasattr(ax, "get_zlim"):
        raise StatementError("this picture is flat, and the axes are in three dimensions: figure.add_subplot()")
    given: Axes = ax
    return given


def figure(size: tuple[float, float] = SIZE, shown: bool = True) -> Any:
    """A new figure whose layout keeps labels inside; `shown` makes it one that Pyplot knows and shows."""
    from matplotlib.figure import Figure

    if shown:
        import matplotlib.pyplot as plt

        try:
            return plt.figure(figsize=size, layout="constrained")
        except ImportError:  # a backend with windows, and no display
            pass
    return Figure(figsize=size, layout="constrained")


def halo(width: float = 2.5) -> Any:
    """A white rim, so that lines and words stand out from what lies under them."""
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=width, foreground="white")]


def legend(ax: Axes, **options: Any) -> None:
    """A legend where there is something to tell."""
    if ax.get_legend_handles_labels()[1]:
        ax.legend(**{"fontsize": "small", "framealpha": 0.9, **options})


def text_of(value: float, digits: int = 4) -> str:
    r"""A number in words of mathtext: 0.1, 3·10⁻⁷.

    >>> text_of(0.25), text_of(3e-7), text_of(-0.0)
    ('0.25', '$3 \\times 10^{-7}$', '0')
    """
    if not np.isfinite(value):
        return {"inf": "∞", "-inf": "−∞"}.get(str(float(value)), "undefined")
    written = f"{value + 0.0:.{digits}g}"
    if "e" not in written:
        return written.replace("-", "−")
    mantissa, exponent = written.split("e")
    factor = "" if mantissa == "1" else rf"{mantissa} \times "
    return rf"${factor}10^{{{int(exponent)}}}$"


def counted(number: int, one: str) -> str:
    """How many of a thing.

    >>> counted(1, "step"), counted(5, "step")
    ('1 step', '5 steps')
    """
    return f"{number} {one}{'s' * (number != 1)}"


def apart(points: Any, count: int, least: float) -> Any:
    """The places of at most `count` points along a path that stand at least `least` away from the one before.

    >>> apart([[0.0], [0.1], [1.0], [1.05], [2.0]], 3, 0.5)
    array([0, 2, 4])
    """
    points = np.asarray(points, dtype=float)
    chosen: list[int] = []
    for place, point in enumerate(points):
        if len(chosen) == count:
            break
        if np.isfinite(point).all() and (not chosen or np.linalg.norm(point - points[chosen[-1]]) >= least):
            chosen.append(place)
    return np.array(chosen, dtype=int)


def chosen_rows(count: int, frames: int) -> Any:
    """Rows of a history for so many frames: each of the first, then ever fewer, and the last.

    >>> chosen_rows(5, 10), chosen_rows(1000, 6)
    (array([0, 1, 2, 3, 4]), array([  0,   3,  15,  62, 250, 999]))
    """
    if count <= frames:
        return np.arange(count)
    rows = np.geomspace(1, count, frames).round().astype(int) - 1
    for place in range(1, frames):  # where powers crowd together, one after the other
        rows[place] = max(rows[place], rows[place - 1] + 1)
    return np.minimum(rows, count - 1)


__all__ = [
    "GRADIENT",
    "GUIDE",
    "PATH",
    "SIZE",
    "STYLES",
    "VELOCITY",
    "Style",
    "apart",
    "axes",
    "chosen_rows",
    "counted",
    "figure",
    "halo",
    "legend",
    "style",
    "text_of",
]
