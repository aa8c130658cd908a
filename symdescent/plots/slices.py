"""A plane, or a line, through the space of many parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symdescent.errors import StatementError
from symdescent.plots.canvas import GUIDE, PATH, Style, axes, legend, style
from symdescent.plots.contours import draw_hills, square
from symdescent.plots.ground import Ground, Subject, subject
from symdescent.plots.paths import draw_path, draw_start, loss_label, told
from symdescent.statement import name_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Plane:
    """A point, and one direction or two at right angles, with their labels; `exact` if the paths lie in it."""

    center: Any
    directions: Any
    labels: tuple[str, ...]

    def points(self, coordinates: Any) -> Any:
        """The points of the whole space with these coordinates in the plane, a row each."""
        return self.center + coordinates @ self.directions

    def coordinates(self, points: Any) -> Any:
        """The coordinates of the projections of points onto the plane."""
        return (points - self.center) @ np.linalg.pinv(self.directions)


def slice_(
    thing: Any,
    ax: Axes | None = None,
    *,
    data: Any = None,
    at: Any = None,
    directions: Any = "principal",
    box: Any = None,
    resolution: int | None = None,
) -> Axes:
    r"""A loss of many parameters on a plane through them: :math:`L(\theta + \alpha d_1 + \beta d_2)`.

    Parameters
    ----------
    thing
        a `Descent` (or several), or a `Loss` with `data`
    at
        the point θ in the middle, as `descend` takes it (default: where the first descent ended)
    directions
        ``"principal"`` takes the two along which the paths spread most (their principal components, seen from θ; Li et
        al. 2018); or a list of one direction or two: a parameter's name, a flat vector, or a mapping like a start
    box
        from where to where α (and β) run, in units of the directions
    resolution
        points along a side

    Paths are drawn as they project onto the plane. One direction gives a curve. Raises `StatementError` for directions
    that do not span what they should, and for "principal" without a path.

    >>> from matplotlib.figure import Figure
    >>> import symdescent as sd
    >>> loss = sd.landscapes.rosenbrock(4).loss
    >>> run = loss.descend({"x": [-1.2, 1, -1.2, 1]}, optimizer=sd.GradientDescent(5e-4), steps=500)
    >>> ax = slice_(run, Figure().add_subplot(), resolution=15)
    >>> ax.get_xlabel()[:30]
    'along principal direction 1 (9'
    """
    drawn = subject(thing, data, at)
    ground = drawn.ground
    plane = _plane(drawn, at, directions)
    shown = {name: plane.coordinates(points) for name, points in drawn.paths().items()}
    area = _area(plane, shown, box)
    ax = axes(ax)
    if len(plane.directions) == 1:
        return _along_line(ax, drawn, plane, shown, area[0])
    count = resolution or _resolution(ground)
    across, up = (np.linspace(low, high, count) for low, high in area)
    first, second = np.meshgrid(across, up)
    heights = ground.values(plane.points(np.stack([first.ravel(), second.ravel()], axis=1))).reshape(first.shape)
    lowest = min((each.fun for each in drawn.descents.values() if np.isfinite(each.fun)), default=None)
    draw_hills(ax, across, up, heights, lowest=lowest)
    square(ax, area)
    for number, (name, points) in enumerate(shown.items()):
        look = Style(PATH, "-", "o") if len(shown) == 1 else style(number)
        draw_path(ax, points, told(name, drawn.descents[name]), look)
        draw_start(ax, points[0], "start" if number == 0 else "_start")
    ax.plot(0, 0, linestyle="none", marker="+", color="black", markersize=9, zorder=3,
            label="the point of the slice" if not shown else "_middle")  # fmt: skip
    ax.set_xlabel(plane.labels[0])
    ax.set_ylabel(plane.labels[1])
    legend(ax)
    return ax


def _along_line(ax: Axes, drawn: Subject, plane: Plane, shown: Any, reach: tuple[float, float]) -> Axes:
    along = np.linspace(*reach, 401 if drawn.ground.cells < 1e5 else 81)
    ax.plot(along, drawn.ground.values(plane.points(along[:, None])), color=GUIDE, linewidth=2.0, label="loss")
    for number, (name, points) in enumerate(shown.items()):
        look, run = style(number), drawn.descents[name]
        losses = run.history["loss"][: len(points)]
        draw_path(ax, np.column_stack([points[:, 0], losses]), f"{told(name, run)}, projected", look)
    ax.set_xlim(reach)
    ax.set_xlabel(plane.labels[0])
    ax.set_ylabel(loss_label(drawn.ground))
    ax.grid(True, linewidth=0.4, alpha=0.5)
    legend(ax)
    return ax


# -- the plane --------------------------------------------------------------------------------------------------------


def _plane(drawn: Subject, at: Any, directions: Any) -> Plane:
    ground = drawn.ground
    if at is not None:
        center = ground.flat(at)
    elif drawn.descents:
        center = np.array(next(iter(drawn.descents.values())).x, dtype=float)
    else:
        raise StatementError(
            f"a slice through {ground.size} parameters needs a point: give at={{…}}, or draw a descent"
        )
    if not np.isfinite(center).all():
        raise StatementError("the point of the slice is not finite (the descent diverged): give at={…}")
    if isinstance(directions, str) and directions == "principal":
        return _principal(drawn, center)
    if isinstance(directions, str):
        directions = [directions]
    listed = list(directions)
    if len(listed) not in (1, 2):
        raise StatementError(f"there are {len(listed)} directions: a slice has one or two")
    found = [_direction(ground, each, number) for number, each in enumerate(listed)]
    vectors = np.array([vector for vector, _ in found])
    if np.linalg.matrix_rank(vectors) < len(vectors):
        raise StatementError("the two directions are parallel, or one is zero: a plane needs two that are not")
    return Plane(center, vectors, tuple(name for _, name in found))


def _direction(ground: Ground, given: Any, number: int) -> tuple[Any, str]:
    """A direction as a flat vector, as long as it was given, and what its axis is called."""
    sign = "αβ"[number]
    for place, name in enumerate(_names(ground)):
        if isinstance(given, str) and given == name:
            return np.eye(ground.size)[place], f"change of {ground.labels[place]}"
    if hasattr(given, "name") and name_of(given) in _names(ground):
        return _direction(ground, name_of(given), number)
    if isinstance(given, str):
        raise StatementError(f"{given!r} is no scalar entry of the parameters: they are {', '.join(_names(ground))}")
    flat = np.asarray(given, dtype=float).ravel() if not hasattr(given, "keys") else ground.flat(given)
    if flat.shape != (ground.size,) or not np.isfinite(flat).all():
        raise StatementError(
            f"a direction has {flat.size} entries, and the parameters have {ground.size}: give as many"
        )
    return flat, f"{sign} along the {'first' if number == 0 else 'second'} direction"


def _names(ground: Ground) -> list[str]:
    """What each entry is called: w, or w[0], w[1] and so on."""
    found = []
    for parameter, shape in ground.shapes.items():
        first = ground.statement.first_index if hasattr(parameter, "label") else 0
        for place in np.ndindex(shape):
            inside = ", ".join(str(k + first) for k in place)
            found.append(f"{name_of(parameter)}[{inside}]" if place else name_of(parameter))
    return found


def _principal(drawn: Subject, center: Any) -> Plane:
    """The principal components of the paths, as seen from the center."""
    paths = [points[np.isfinite(points).all(axis=1)] - center for points in drawn.paths().values()]
    if not paths:
        raise StatementError(
            'directions="principal" come from a path: draw a descent, or give two directions, by names of parameters '
            "or as vectors"
        )
    # a slow end has most of the rows: what counts is how far a path goes, not how long it stays
    rows = np.concatenate([_by_length(points) for points in paths])
    _, sizes, vectors = np.linalg.svd(rows, full_matrices=False)
    if drawn.ground.size < 2 or len(sizes) < 1 or sizes[0] == 0:
        raise StatementError("the path does not leave its start, so that it has no principal directions: give two")
    second = vectors[1] if len(vectors) > 1 and sizes[1] > 1e-12 * sizes[0] else _other(vectors[0])
    parts = sizes**2 / np.sum(sizes**2)
    shares = [float(parts[0]), float(parts[1]) if len(parts) > 1 else 0.0]
    labels = tuple(
        f"along principal direction {number} ({share:.{0 if share > 0.1 else 1}%} of the spread)"
        for number, share in enumerate(shares, 1)
    )
    return Plane(center, np.array([vectors[0], second]), labels)


def _by_length(points: Any) -> Any:
    """A path, resampled evenly along its length."""
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    if len(points) < 3 or lengths[-1] == 0:
        return points
    places = np.searchsorted(lengths, np.linspace(0, lengths[-1], 200)).clip(0, len(points) - 1)
    return points[places]


def _other(vector: Any) -> Any:
    """Some direction at right angles, for a path along one line."""
    unit = np.zeros(len(vector))
    unit[int(np.argmin(np.abs(vector)))] = 1.0
    rest = unit - (unit @ vector) * vector
    return rest / np.linalg.norm(rest)


def _area(plane: Plane, shown: Any, box: Any) -> Any:
    count = len(plane.directions)
    if box is not None:
        pairs = [box] if count == 1 and np.ndim(box) == 1 else list(box)
        if len(pairs) != count or any(np.shape(p) != (2,) or not p[0] < p[1] for p in pairs):
            raise StatementError(f"box={box!r} is not one (from, to) for each of the {count} directions")
        return [(float(low), float(high)) for low, high in pairs]
    points = np.concatenate([*(p[np.isfinite(p).all(axis=1)] for p in shown.values()), np.zeros((1, count))])
    low, high = points.min(axis=0), points.max(axis=0)
    if not (high > low).any():
        return [(-1.0, 1.0)] * count
    width = np.maximum(high - low, np.max(high - low) / 3)
    middle = (high + low) / 2
    return [(float(m - 0.68 * w), float(m + 0.68 * w)) for m, w in zip(middle, width, strict=True)]


def _resolution(ground: Ground) -> int:
    """Points along a side: fewer where one evaluation reads much, or a compiled loop is called for each."""
    return int(np.clip(np.sqrt(4e8 / ground.cells), 21, 101))
