"""What descents leave on a picture: paths, their starts and ends, arrows of the gradient and of the velocity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symdescent.descent import Descent
from symdescent.plots.canvas import GRADIENT, VELOCITY, Style, apart, counted, halo
from symdescent.plots.ground import Ground
from symdescent.plots.labels import label
from symdescent.statement import name_of

MANY = 60  # steps, from which on not each of them gets a marker


def draw_path(ax: Any, points: Any, name: str, look: Style, *, ends: bool = True, dots: bool = True) -> Any:
    """A path over two coordinates: a line with markers, a square where it starts and a star where it ends."""
    finite = np.isfinite(points).all(axis=1)
    points = points[finite]
    every = _marked(ax, points)
    (line,) = ax.plot(
        points[:, 0], points[:, 1], color=look.color, linestyle=look.line, linewidth=1.6, zorder=4, label=name,
        marker=look.marker if dots else None, markersize=4, markerfacecolor="white", markeredgewidth=1.1,
        markevery=every, path_effects=halo(),
    )  # fmt: skip
    if ends and len(points):
        draw_end(ax, points[-1], look)
    return line


def draw_start(ax: Any, point: Any, name: str = "start") -> None:
    """A white square where descents begin."""
    ax.plot(
        point[:1], point[1:2], linestyle="none", marker="s", markersize=8, markerfacecolor="white",
        markeredgecolor="black", markeredgewidth=1.4, zorder=6, label=name,
    )  # fmt: skip


def draw_end(ax: Any, point: Any, look: Style, name: str | None = None) -> None:
    """A star in the path's colour where it ends."""
    ax.plot(
        point[:1], point[1:2], linestyle="none", marker="*", markersize=13, markerfacecolor=look.color,
        markeredgecolor="white", markeredgewidth=0.9, zorder=7, label=name,
    )  # fmt: skip


def _marked(ax: Any, points: Any) -> list[int]:
    """Which points get a marker: all of few, of many those that stand apart on the page."""
    if len(points) <= MANY:
        return list(range(len(points)))
    low, high = np.transpose([ax.get_xlim(), ax.get_ylim()])
    return [int(k) for k in apart((points - low) / (high - low), MANY, 1 / 40)]


# -- arrows -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrows:
    r"""Arrows at some points of a path.

    With momentum, a step is what the gradient and the velocity give together, and `exact`:

    .. math:: \theta_{k+1} - \theta_k = -\eta_k g_k + \mu (\theta_k - \theta_{k-1}).
    """

    points: Any
    gradient: Any
    velocity: Any = None
    exact: bool = False


def arrows(ground: Ground, descent: Descent, points: Any, count: int, size: float, velocity: bool | None) -> Arrows:
    """Arrows at no more than `count` points that stand apart; `size` is that of the picture."""
    chosen = apart(points[:-1], count, size / 14)
    wanted = has_velocity(descent) if velocity is None else velocity
    if wanted:
        return _with_velocity(ground, descent, points, count, size)
    slopes = -ground.gradients(points[chosen])
    longest = float(np.max(np.linalg.norm(slopes, axis=1), initial=0.0))
    # lengths by their root: gradients along one path differ by powers of ten
    lengths = np.linalg.norm(slopes, axis=1, keepdims=True)
    with np.errstate(all="ignore"):
        shown = np.where(lengths > 0, slopes / lengths * np.sqrt(lengths / longest), 0.0) * size * 0.16
    return Arrows(points[chosen], shown)


def has_velocity(descent: Descent) -> bool:
    """Whether the optimizer carries momentum, so that a step is more than a multiple of the gradient."""
    given = {each.name for each in getattr(descent.optimizer, "hyperparameters", ())}
    return {"momentum", "learning_rate"} <= given


def _with_velocity(ground: Ground, descent: Descent, points: Any, count: int, size: float) -> Arrows:
    """The two parts of a step, in their true lengths, where a step and the next one were both recorded."""
    at = descent.history["iteration"]
    following = np.flatnonzero(np.diff(at[: len(points)]) == 1)
    steps = points[following + 1] - points[following]
    long = np.linalg.norm(steps, axis=1) >= size / 60
    following, steps = following[long], steps[long]
    chosen = apart(points[following], count, size / 14) if len(following) else np.empty(0, dtype=int)
    following, steps = following[chosen], steps[chosen]
    rates = descent.history["learning_rate"][following][:, None]
    slopes = ground.gradients(points[following]) if len(following) else np.empty((0, ground.size))
    return Arrows(points[following], -rates * slopes, steps + rates * slopes, True)


def draw_arrows(ax: Any, found: Arrows) -> None:
    """The arrows, in the units of the axes; those of the velocity begin where those of the gradient end."""
    if not len(found.points):
        return
    options: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1.0, "width": 0.0055, "zorder": 5}
    named = r"gradient's part $-\eta\,\nabla L$" if found.exact else r"direction of $-\nabla L$"
    ax.quiver(*found.points.T, *found.gradient.T, color=GRADIENT, label=named, **options)
    if found.velocity is not None:
        ax.quiver(
            *(found.points + found.gradient).T, *found.velocity.T, facecolor="white", edgecolor=VELOCITY, linewidth=1.0,
            label="velocity's part", **options,
        )  # fmt: skip


# -- words ------------------------------------------------------------------------------------------------------------


def told(name: str, descent: Descent) -> str:
    """A path's entry in the legend: who, and how many steps."""
    return f"{name}: {counted(descent.nit, 'step')}"


def parameter_label(ground: Ground, place: int) -> str:
    """The label of an axis: the coordinate's name."""
    return ground.labels[place]


def loss_label(ground: Ground) -> str:
    """The label of a loss as a function of its parameters: L(w, b); L alone where they are many."""
    parameters = ground.statement.parameters
    if len(parameters) > 4 or sum(len(name_of(p)) for p in parameters) > 24:
        return "loss $L$"
    inside = ", ".join(label(p).strip("$") if label(p).startswith("$") else "·" for p in parameters)
    return f"loss $L({inside})$"
