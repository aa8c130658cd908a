"""What is drawn: a loss with its data as a function of one flat vector, and the descents that cross it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from symdescent.binding import Binder, Bound
from symdescent.compiled import CompiledLoss
from symdescent.descent import Descent
from symdescent.errors import DataError, StatementError
from symdescent.landscapes import Landscape
from symdescent.loss import Loss
from symdescent.plots.labels import coordinate_labels, optimizer_label, plain
from symdescent.statement import ARRAYS, Statement, name_of

CELLS = 2_000_000  # how many numbers one evaluation on arrays may hold


class Ground:
    """A loss over its parameters as one flat vector, with data that were checked.

    Losses of scalar parameters are evaluated on arrays, without a compiler; others point by point, compiled.
    """

    def __init__(self, loss: Loss, bound: Bound, compiled: CompiledLoss | None = None) -> None:
        self.loss, self.bound, self._given = loss, bound, compiled
        self.statement: Statement = loss.statement
        self.shapes = {p: np.shape(bound.parameters[p]) for p in self.statement.parameters}
        self.size = sum(int(np.prod(shape)) for shape in self.shapes.values())

    @cached_property
    def labels(self) -> list[str]:
        """The label of each coordinate."""
        return coordinate_labels(self.statement, self.shapes)

    @cached_property
    def compiled(self) -> CompiledLoss:
        """The compiled loss, compiled when it is first asked."""
        return self._given or self.loss.compile()

    @cached_property
    def _functions(self) -> Any:
        """Value and gradient on arrays, where all parameters are scalars."""
        return None if any(isinstance(p, ARRAYS) for p in self.statement.parameters) else self.loss.lambdify()

    @property
    def cells(self) -> int:
        """How many numbers one evaluation reads."""
        return max([1, *(np.size(value) for value in self.bound.data.values())])

    def flat(self, params: Any) -> Any:
        """The flat vector of parameters that are given as `descend` takes them."""
        bound = Binder(self.statement).bind(params, self._data())
        return np.concatenate([np.ravel(bound.parameters[p]) for p in self.statement.parameters]).astype(float)

    def params(self, x: Any) -> dict[Any, Any]:
        """The parameters in a flat vector."""
        found, place = {}, 0
        for parameter, shape in self.shapes.items():
            count = int(np.prod(shape))
            part = np.array(x[place : place + count], dtype=float)
            found[parameter] = part.reshape(shape) if shape else float(part[0])
            place += count
        return found

    def values(self, points: Any) -> Any:
        """The loss at each row of an array of points; NaN where it is undefined or infinite."""
        points = np.asarray(points, dtype=float).reshape(-1, self.size)
        if self._functions is not None:
            chunk = max(1, CELLS // self.cells)
            parts = [self._on_arrays(0, points[k : k + chunk]) for k in range(0, len(points), chunk)]
            found = np.concatenate(parts) if parts else np.empty(0)
        else:
            found = np.array([self.compiled.kernels.value(self._at(point)) for point in points], dtype=float)
        return np.where(np.isfinite(found), found, np.nan)

    def gradients(self, points: Any) -> Any:
        """The gradient at each row of an array of points."""
        points = np.asarray(points, dtype=float).reshape(-1, self.size)
        if self._functions is not None:
            slopes = [self._on_arrays(1, point[None, :]) for point in points]
            return np.array([np.ravel(slope) for slope in slopes]).reshape(-1, self.size)
        found = [self.compiled.evaluate(self._at(point))[1] for point in points]
        return np.array([np.concatenate([np.ravel(part) for part in each.values()]) for each in found])

    def on_grid(self, *coordinates: Any) -> Any:
        """The loss over a grid of the coordinates; the first runs along the last axis, as in ``np.meshgrid``."""
        meshes = np.meshgrid(*coordinates)
        return self.values(np.stack([mesh.ravel() for mesh in meshes], axis=1)).reshape(meshes[0].shape)

    def _on_arrays(self, which: int, points: Any) -> Any:
        given = {name_of(p): points[:, k] for k, p in enumerate(self.statement.parameters)}
        function = tuple(self._functions)[which]
        return np.asarray(function(**given, **self._named_data(function)), dtype=float)

    def _named_data(self, function: Any) -> dict[str, Any]:
        """The data by name; extents only where no shape tells them, as keywords."""
        known = {name_of(thing): value for thing, value in self.bound.data.items()}
        keywords = {name for name, each in function.__signature__.parameters.items() if each.kind is each.KEYWORD_ONLY}
        return known | {name_of(s): n for s, n in self.bound.extents.items() if name_of(s) in keywords}

    def _at(self, x: Any) -> Bound:
        return Bound(self.params(x), self.bound.data, self.bound.extents)

    def _data(self) -> dict[Any, Any]:
        return {**self.bound.data, **self.bound.extents}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a picture is of: a loss, and descents with what they are called."""

    ground: Ground
    descents: dict[str, Descent]
    landscape: Landscape | None = None

    @property
    def descent(self) -> Descent | None:
        """The descent, if there is one alone."""
        return next(iter(self.descents.values())) if len(self.descents) == 1 else None

    def paths(self) -> dict[str, Any]:
        """The trajectory of each descent, a row each recorded step."""
        return {name: path(each) for name, each in self.descents.items()}


def subject(thing: Any, data: Any = None, at: Any = None) -> Subject:
    """What is to be drawn: of a `Loss`, a `Landscape`, a `Descent`, or several descents (listed, or by label).

    Raises `StatementError` for anything else, `DataError` where the data of a loss do not fit or are missing.
    """
    if isinstance(thing, Subject):
        return thing
    if isinstance(thing, Landscape):
        return Subject(_ground(thing.loss, data, thing.start if at is None else at), {}, thing)
    if isinstance(thing, Loss):
        return Subject(_ground(thing, data, at), {})
    runs = named(thing)
    if data is not None:
        raise StatementError("a descent knows its data: leave data= out")
    first = next(iter(runs.values()))
    for each in runs.values():
        if each.compiled is None or each.start is None:
            raise StatementError(
                "this Descent does not know its loss and data: make it with loss.descend(…), or load it with "
                "sd.load(path, data)"
            )
        same = first.compiled is not None and each.compiled.statement.expression == first.compiled.statement.expression
        if not same or len(each.x) != len(first.x):
            raise StatementError("the descents are of different losses: draw those of one loss")
    assert first.compiled is not None and first.start is not None
    return Subject(Ground(of_statement(first.compiled.statement), first.start, first.compiled), runs)


def of_statement(statement: Statement) -> Loss:
    """The loss of a statement that was validated before."""
    loss = Loss.__new__(Loss)
    loss.statement = statement
    return loss


def named(thing: Any) -> dict[str, Descent]:
    """Descents by what they are called in a legend."""
    if isinstance(thing, Subject):
        return thing.descents
    if isinstance(thing, Descent):
        return {optimizer_label(thing.optimizer): thing}
    if isinstance(thing, Mapping):
        pairs = [(plain(str(name)), each) for name, each in thing.items()]
    elif isinstance(thing, Iterable) and not isinstance(thing, str):
        listed = list(thing)
        pairs = _told_apart([(optimizer_label(getattr(each, "optimizer", None)), each) for each in listed])
    else:
        pairs = []
    if not pairs or not all(isinstance(each, Descent) for _, each in pairs):
        raise StatementError(
            f"{_brief(thing)} cannot be drawn: give a Loss, one of sd.landscapes, a Descent, or a list or mapping of "
            "descents"
        )
    return dict(pairs)


def _told_apart(pairs: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Numbers behind names that occur more than once."""
    names = [name for name, _ in pairs]
    seen: dict[str, int] = {}
    found = []
    for name, each in pairs:
        seen[name] = seen.get(name, 0) + 1
        found.append((f"{name} ({seen[name]})" if names.count(name) > 1 else name, each))
    return found


def _brief(thing: Any) -> str:
    written = repr(thing)
    return written if len(written) <= 60 else f"{type(thing).__name__} {written[:40]}…"


def path(descent: Descent) -> Any:
    """The trajectory as flat vectors, a row for each recorded step."""
    if not descent.trajectory:
        raise DataError(
            f"the descent has {len(descent.x)} parameters, too many for its trajectory to be kept: draw its cost "
            'instead, with plots.cost(descent) or descent.plot("cost")'
        )
    parts = [np.reshape(values, (len(values), -1)) for values in descent.trajectory.values()]
    return np.concatenate(parts, axis=1)


def _ground(loss: Loss, data: Any, at: Any) -> Ground:
    """A loss with its data; where nothing tells the shape of an array, a point must."""
    statement, binder = loss.statement, Binder(loss.statement)
    if at is None:
        shapes = (
            binder.parameter_shapes(data)
            if any(isinstance(p, ARRAYS) for p in statement.parameters)
            else dict.fromkeys(statement.parameters, ())
        )
        at = {p: np.zeros(shape) if shape else 0.0 for p, shape in shapes.items()}
    return Ground(loss, binder.bind(at, data))


def need(ground: Ground, count: int, picture: str) -> None:
    """Refuse a loss with another number of parameters than a picture has axes for."""
    if ground.size == count:
        return
    instead = {1: "curve", 2: "contours"}.get(ground.size, "slice_")
    numbers = {1: "one parameter", 2: "two parameters"}
    hint = (
        "plots.slice_ draws a plane through its parameters, plots.cost the loss against the steps"
        if instead == "slice_"
        else f"draw it with plots.{instead}"
    )
    names = ", ".join(map(name_of, ground.statement.parameters))
    raise StatementError(
        f"{picture} of a loss show{'' if picture.endswith('s') else 's'} {numbers[count]}, and this one has "
        f"{ground.size} ({names if len(names) < 60 else names[:57] + '…'}): {hint}"
    )
