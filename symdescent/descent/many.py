"""Many descents of one loss from different starts, in parallel threads: local minima made visible."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from symdescent.binding import look_up
from symdescent.compiled import CompiledLoss
from symdescent.descent.descend import prepare
from symdescent.descent.result import Descent
from symdescent.errors import DataError
from symdescent.statement import name_of


@dataclass(frozen=True, slots=True)
class Minimum:
    """A point that several descents reached: the lowest loss among them, its parameters, and which starts led there.

    >>> import sympy as sp, symdescent as sd
    >>> runs = sd.Loss((sp.Symbol("w") - 3)**2).descend_many([0.0, 5.0], optimizer=sd.Newton())
    >>> runs.minima()
    [Minimum(fun=0.0, params={'w': 3.0}, starts=(0, 1))]
    """

    fun: float
    params: dict[str, Any]
    starts: tuple[int, ...]


class Descents(Sequence[Descent]):
    """The descents from all starts, in their order.

    `best` is the one with the lowest loss. `minima` gathers those that ended in one place:

    >>> import sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> wells = sd.Loss((w**2 - 1)**2 + w/10, w)
    >>> found = wells.descend_many([-2, -0.5, 0.5, 2], optimizer=sd.GradientDescent(0.05))
    >>> [(round(each.params["w"], 3), each.starts) for each in found.minima()]
    [(-1.012, (0, 1)), (0.987, (2, 3))]
    """

    def __init__(self, descents: Iterable[Descent]) -> None:
        self._descents = tuple(descents)

    @overload
    def __getitem__(self, place: int) -> Descent: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Descent]: ...
    def __getitem__(self, place: int | slice) -> Descent | Sequence[Descent]:
        return self._descents[place]

    def __len__(self) -> int:
        return len(self._descents)

    @property
    def best(self) -> Descent:
        """The descent that reached the lowest loss."""
        return min(self._descents, key=lambda each: math.inf if math.isnan(each.fun) else each.fun)

    def minima(self, tolerance: float = 1e-3) -> list[Minimum]:
        """The places where descents that met a tolerance ended, lowest first.

        Ends are one place if they differ by at most `tolerance`, relative to the largest coordinate (or 1).

        >>> import sympy as sp, symdescent as sd
        >>> w = sp.Symbol("w")
        >>> runs = sd.Loss((w**2 - 1)**2, w).descend_many([-2.0, 2.0], optimizer=sd.GradientDescent(0.05))
        >>> [each.starts for each in runs.minima()], [each.starts for each in runs.minima(tolerance=10.0)]
        ([(0,), (1,)], [(0, 1)])
        """
        found: list[list[int]] = []
        order = sorted((k for k, each in enumerate(self._descents) if each.success), key=lambda k: self[k].fun)
        for k in order:
            for group in found:
                first = self[group[0]].x
                if np.max(np.abs(self[k].x - first)) <= tolerance * max(1.0, float(np.max(np.abs(first)))):
                    group.append(k)
                    break
            else:
                found.append([k])
        return [Minimum(self[g[0]].fun, self[g[0]].params, tuple(sorted(g))) for g in found]

    def __repr__(self) -> str:
        lines = [f"{len(self)} descents, {sum(each.success for each in self)} of which met a tolerance"]
        for each in self.minima()[:10]:
            shown = ", ".join(f"{name} = {_short(value)}" for name, value in list(each.params.items())[:6])
            count = len(each.starts)
            lines.append(f"  loss {each.fun:.8g} at {shown} (from {count} start{'s' * (count != 1)})")
        return "\n".join(lines)


def descend_many(
    compiled: CompiledLoss,
    starts: Any,
    data: Any = None,
    optimizer: Any = None,
    *,
    threads: int | None = None,
    **options: Any,
) -> Descents:
    """Descend from many starts, in parallel threads.

    `starts` is a sequence of starts as `descend` takes them, or a mapping from each parameter to a sequence of its
    values. `threads` is how many run at once (default: as many as there are processors). The other options are those of
    `descend`, the same for all. Ctrl-C ends all of them with what was reached.

    >>> import sympy as sp, symdescent as sd
    >>> a, b = sp.symbols("a b")
    >>> loss = sd.Loss((a - 1)**2 + (b - 2)**2, [a, b])
    >>> loss.descend_many({"a": [0.0, 5.0], "b": [0.0, 5.0]}, optimizer=sd.Newton())
    2 descents, 2 of which met a tolerance
      loss ... at a = 1, b = 2 (from 2 starts)
    """
    runs = [
        prepare(compiled, start, data, optimizer, **options) for start in _listed(starts, compiled.statement.parameters)
    ]
    stop = threading.Event()
    for run, _ in runs:
        run.stop = stop
    with ThreadPoolExecutor(max_workers=threads or os.cpu_count() or 1) as pool:
        futures = [pool.submit(run.go, stopping) for run, stopping in runs]
        try:
            while wait(futures, timeout=0.2).not_done:  # in pieces, so that Ctrl-C is heard
                pass
        except KeyboardInterrupt:
            stop.set()
        return Descents(future.result() for future in futures)


def _listed(starts: Any, parameters: tuple[Any, ...]) -> Iterator[Any]:
    """The starts one by one."""
    if isinstance(starts, Mapping):
        values = {p: look_up(p, starts) for p in parameters}
        missing = [name_of(p) for p, value in values.items() if value is None]
        if missing:
            raise DataError(f"{missing[0]} has no starts: give {{{missing[0]!r}: […]}}")
        lengths = {len(value) if np.ndim(value) or isinstance(value, Sequence) else 0 for value in values.values()}
        if len(lengths) != 1 or 0 in lengths:
            raise DataError("give one start or more for each parameter, the same number for all")
        yield from ({p: value[k] for p, value in values.items()} for k in range(lengths.pop()))
        return
    try:
        found = list(starts)
    except TypeError:
        raise DataError(
            f"starts={starts!r} is no sequence of starts: give a list, for one descent of one start"
        ) from None
    if not found:
        raise DataError("there are no starts: give at least one")
    yield from found


def _short(value: Any) -> str:
    return f"{value:.6g}" if np.ndim(value) == 0 else np.array2string(np.asarray(value), precision=4, threshold=6)


__all__ = ["Descents", "Minimum", "descend_many"]
