"""The pictures of the notebook's explorer: the loss with the path on it, and the loss in each step."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from symdescent.explorer.survey import Flat, Setting

_PATH, _NOW = "#b8260f", "#14527a"


def draw(
    flat: Flat,
    setting: Setting,
    path: Any,
    losses: Any,
    now: int,
    axes: Sequence[int],
    names: Sequence[str],
    words: dict[str, str],
) -> Any:
    """A Matplotlib figure: curve (one axis) or contours (two) on the left, the losses on the right.

    `path` has the points row by row, `losses` a number for each; coordinates off the `axes` stay at the point `now`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    with np.errstate(all="ignore"):
        (_curve if len(axes) == 1 else _contours)(left, flat, setting, path, losses, now, axes, names)
    left.set_title(words["curve" if len(names) == 1 else "contours" if len(names) == 2 else "slice"], fontsize=11)
    steps = np.arange(len(losses))
    right.plot(steps, losses, ".-", color=_PATH, markersize=3, linewidth=1)
    right.plot(now, losses[now], "o", color=_NOW)
    finite = losses[np.isfinite(losses)]
    if finite.size and finite.min() > 0 and finite.max() > 5 * finite.min():
        right.set_yscale("log")
    right.set(xlabel=words["step axis"], ylabel=words["loss"])
    right.set_title(words["cost"], fontsize=11)
    right.grid(alpha=0.3)
    return figure


def png(figure: Any) -> bytes:
    """The figure as a picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _curve(
    ax: Any, flat: Flat, setting: Setting, path: Any, losses: Any, now: int, axes: Sequence[int], names: Sequence[str]
) -> None:
    (axis,) = axes
    at = np.linspace(setting.low[axis], setting.high[axis], 300)
    values = np.array([_value(flat, _moved(path[now], axis, x)) for x in at])
    ax.plot(at, values, color="black", linewidth=1.5)
    limits = ax.get_ylim()
    ax.plot(path[:, axis], losses, ".-", color=_PATH, linewidth=1, markersize=4)
    value, slope = flat(path[now])
    if np.isfinite(value) and np.isfinite(slope[axis]):
        ax.axline((path[now, axis], value), slope=slope[axis], color=_NOW, linestyle="--", linewidth=1.2)
    _marks(ax, path[:, axis], losses, now)
    ax.set(xlim=(at[0], at[-1]), ylim=limits, xlabel=names[axis], ylabel="L")


def _contours(
    ax: Any, flat: Flat, setting: Setting, path: Any, losses: Any, now: int, axes: Sequence[int], names: Sequence[str]
) -> None:
    from matplotlib.colors import BoundaryNorm

    first, second = axes
    began = perf_counter()
    _value(flat, path[now])
    count = int(np.clip(np.sqrt(0.15 / max(perf_counter() - began, 1e-6)), 20, 60))
    x = np.linspace(setting.low[first], setting.high[first], count)
    y = np.linspace(setting.low[second], setting.high[second], count)
    values = np.array([[_value(flat, _moved(_moved(path[now], first, a), second, b)) for a in x] for b in y])
    finite = values[np.isfinite(values)]
    if finite.size and finite.max() > finite.min():
        low, middle, high = finite.min(), np.median(finite), np.quantile(finite, 0.98)
        share = np.clip((middle - low) / (high - low), 1e-6, 0.9) if high > low else 0.5
        power = max(1.0, np.log(share) / np.log(0.5))
        levels = low + (high - low) * np.linspace(0, 1, 14) ** power  # closer where the loss is small
        levels = np.unique([low, *levels[levels >= np.quantile(finite, 0.03)]])  # a grid misses narrow valleys
        masked = np.ma.masked_invalid(values)
        norm = BoundaryNorm(levels, 256, extend="max")
        ax.contourf(x, y, masked, levels=levels, cmap="Blues", alpha=0.6, extend="max", norm=norm)
        ax.contour(x, y, masked, levels=levels, colors="gray", linewidths=0.5)
    ax.plot(path[:, first], path[:, second], ".-", color=_PATH, linewidth=1.2, markersize=4)
    _marks(ax, path[:, first], path[:, second], now)
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), xlabel=names[first], ylabel=names[second])


def _marks(ax: Any, x: Any, y: Any, now: int) -> None:
    ax.plot(x[0], y[0], "o", markerfacecolor="none", markeredgecolor="black", markersize=9)
    ax.plot(x[-1], y[-1], "s", markerfacecolor="white", markeredgecolor="black", markersize=7)
    ax.plot(x[now], y[now], "o", color=_NOW, markersize=7)


def _moved(point: Any, axis: int, value: float) -> Any:
    point = np.array(point)
    point[axis] = value
    return point


def _value(flat: Callable[[Any], tuple[float, Any]], point: Any) -> float:
    try:
        return float(flat(point)[0])
    except ArithmeticError:
        return float("nan")


__all__ = ["draw", "png"]
