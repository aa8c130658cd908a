"""`Descent`: what a descent reached, and how it got there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symdescent.binding import Bound
from symdescent.compiled import CompiledLoss
from symdescent.errors import StatementError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from symdescent.plots.animate import Film
    from symdescent.study.worked import WorkedTable

# why a descent stopped; the first ones are told by compiled loops (see codegen.descent_loop)
(
    RUNNING,
    GRADIENT,
    PARAMETERS,
    LOSS,
    NOT_FINITE,
    DIVERGED,
    STEPS_DONE,
    INTERRUPTED,
    STALE,
    CALLBACK,
    NO_STEP,
    CONTRACTED,
) = range(12)
TOLERANCES = (GRADIENT, PARAMETERS, LOSS, CONTRACTED)
HISTORY_FIELDS = ("iteration", "loss", "gradient_norm", "learning_rate")
EPOCH_FIELDS = ("epoch", "loss", "validation")


@dataclass(frozen=True, slots=True)
class Descent:
    """What a descent reached, in SciPy's words, and how it got there.

    Attributes
    ----------
    x, params
        the parameters reached: as one flat vector, and by name
    fun, jac
        the loss and its gradient (flat) there, over all data
    nit, nfev, njev
        steps, and evaluations of the loss and of the gradient (made together, as a rule)
    success, status, message
        whether a tolerance was met; why the descent stopped, and what to try if that is not what was wanted
    history
        a structured array with the fields ``iteration``, ``loss``, ``gradient_norm`` (largest component) and
        ``learning_rate``: every step of a short run, every 2^k-th of a long one, and the last. Where steps read
        batches, loss and gradient are those of the batch, but for the last row
    trajectory
        for each parameter (by name) its values at the iterations of the history, one row each
    epochs
        where steps read batches, or a part of the samples is held out: a structured array with the fields ``epoch``,
        ``loss`` (the mean over the epoch's samples, each at the parameters of its step) and ``validation``
    optimizer
        the update rule, or other optimizer
    simplices
        for `NelderMead`, the points of the simplex at the iterations of the history, best first
    work
        rows of steps done, seconds they took (without compiling), and evaluations of the loss and of the gradient
    compiled, start
        the loss and the checked start and data, with which `table` works out the first steps anew
    run
        all that `resume` and `save` go on from

    >>> import sympy as sp, symdescent as sd
    >>> run = sd.Loss((sp.Symbol("w") - 3)**2).descend(0.0, optimizer=sd.GradientDescent(0.5))
    >>> run.params, run.nit, run.success, run.trajectory["w"]
    ({'w': 3.0}, 1, True, array([0., 3.]))
    """

    x: Any
    params: dict[str, Any]
    fun: float
    jac: Any
    nit: int
    nfev: int
    njev: int
    success: bool
    status: int
    message: str
    history: Any
    trajectory: dict[str, Any]
    optimizer: Any
    epochs: Any = field(default_factory=lambda: records(np.empty((0, 3)), EPOCH_FIELDS))
    simplices: Any = None
    work: Any = field(default=None, repr=False)
    compiled: CompiledLoss | None = field(default=None, repr=False)
    start: Bound | None = field(default=None, repr=False)
    run: Any = field(default=None, repr=False)

    def table(self, first: int = 5, language: str = "en") -> WorkedTable:
        r"""The first steps with the numbers filled in: :math:`w_1 = 0 - 0.1 \cdot (-6) = 0.6`.

        Data that were changed in place since the descent are read as they are now.

        >>> import sympy as sp, symdescent as sd
        >>> w = sp.Symbol("w")
        >>> run = sd.Loss((w - 3)**2, w).descend(0, optimizer=sd.GradientDescent(0.1), steps=3, gtol=0)
        >>> [row.loss for row in run.table(first=1).rows]
        [9.0]
        """
        from symdescent.study.worked import table

        return table(self, first, language)

    def resume(self, steps: int | None = None, epochs: int | None = None, **options: Any) -> Descent:
        """Go on where the descent stopped, for more steps or epochs, and return the longer descent.

        What is reached is equal, bit for bit, to one long run: states, schedules and the order of samples go on. Of the
        options of `descend`, ``gtol``, ``xtol``, ``ftol``, ``callback`` and ``progress`` can be chosen anew. This
        descent stays as it is.

        >>> import sympy as sp, symdescent as sd
        >>> w = sp.Symbol("w")
        >>> loss = sd.Loss((w - 3)**2, w)
        >>> begun = loss.descend(0, optimizer=sd.Adam(0.1), steps=5)
        >>> begun.resume(steps=5).params == loss.descend(0, optimizer=sd.Adam(0.1), steps=10).params
        True
        """
        from symdescent.descent.descend import go_on

        if self.run is None:
            raise StatementError(
                "this Descent does not know its loss and data, so that it cannot go on: make it with loss.descend(…), "
                "or "
                "load it with sd.load(path, data)"
            )
        return go_on(self.run, steps, epochs, options)

    def plot(self, kind: str | None = None, ax: Any = None, **options: Any) -> Axes:
        """Draw the descent: its path on the curve or the contours, the fit over the data, the simplices, or its cost.

        `kind` is ``"curve"``, ``"contours"``, ``"surface"``, ``"slice"``, ``"fit"``, ``"simplices"`` or ``"cost"``;
        `options` are those of the function of that name in `symdescent.plots`. Raises `StatementError` for a picture
        that the loss does not fit, `DataError` where the trajectory is needed and was not kept.

        >>> from matplotlib.figure import Figure
        >>> import sympy as sp, symdescent as sd
        >>> w = sp.Symbol("w")
        >>> run = sd.Loss((w - 3)**2, w).descend(0, optimizer=sd.GradientDescent(0.1), steps=20)
        >>> run.plot(ax=Figure().add_subplot()).get_ylabel()
        'loss $L(w)$'
        >>> run.plot("cost", Figure().add_subplot()).get_xlabel()
        'step $k$'
        """
        from symdescent.plots.choose import plot_descent

        return plot_descent(self, kind, ax, **options)

    def animate(self, kind: str | None = None, ax: Any = None, **options: Any) -> Film:
        """Make a film of the descent, which notebooks show, and ``.save("descent.gif")`` or ``.html`` writes.

        See `symdescent.plots.animate.animate`.

        >>> import sympy as sp, symdescent as sd
        >>> w = sp.Symbol("w")
        >>> run = sd.Loss((w - 3)**2, w).descend(0, optimizer=sd.GradientDescent(0.1), steps=4)
        >>> len(run.animate().rows)
        5
        """
        from symdescent.plots.animate import animate

        return animate(self, kind, ax, **options)

    def save(self, path: str | Path) -> None:
        """Write the descent to a file (arrays and JSON, no pickle), to be read by `symdescent.load`.

        >>> import sympy as sp, symdescent as sd, tempfile
        >>> run = sd.Loss((sp.Symbol("w") - 3)**2).descend(0.0, optimizer=sd.GradientDescent(0.1), steps=2)
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     run.save(f"{directory}/descent.npz")
        ...     sd.load(f"{directory}/descent.npz").resume(steps=1).nit
        3
        """
        from symdescent.descent.store import save

        save(self, path)

    def __repr__(self) -> str:
        count = f"{self.nit} step{'s' * (self.nit != 1)}"
        lines = [f"{'success' if self.success else 'stopped'} after {count}: {self.message}"]
        lines.append(f"  loss {self.fun:.10g}, largest gradient component {largest(self.jac):.3g}")
        lines += [f"  {name} = {_short(value)}" for name, value in list(self.params.items())[:12]]
        if len(self.params) > 12:
            lines.append(f"  … and {len(self.params) - 12} more parameters")
        return "\n".join(lines)


def records(table: Any, fields: tuple[str, ...]) -> Any:
    """A structured array from the rows of a table; the first field counts."""
    found = np.empty(len(table), dtype=[(fields[0], np.int64), *((name, np.float64) for name in fields[1:])])
    for column, name in enumerate(fields):
        found[name] = table[:, column]
    return found


def paths(table: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The rows of flat parameters, cut into the parameters."""
    trajectory, place = {}, 0
    for name, shape in shapes.items():
        count = int(np.prod(shape))
        trajectory[name] = table[:, place : place + count].reshape(-1, *shape)
        place += count
    return trajectory


def message(status: int, done: int, *, rate: float | None, tested: bool, value: float, patience: int = 0) -> str:
    """Why a descent stopped, and what to try if that is not what was wanted."""
    smaller = f"try a learning rate below {rate:g}, or scale the data" if rate else "try smaller steps"
    steps = f"{done} step{'s' * (done != 1)}"
    messages = {
        GRADIENT: "the gradient is as small as asked for (gtol)",
        PARAMETERS: "the last step changed the parameters by no more than xtol; a small step is not always a small "
        "gradient: lower xtol, or test with gtol, to go on",
        LOSS: "the loss changed by no more than ftol in the last step; lower ftol to go on",
        NOT_FINITE: f"the loss or its gradient became infinite or undefined after {steps}: {smaller}, or start "
        "inside the domain",
        DIVERGED: f"the loss fell below -1e10 times its first size after {steps}: it seems to have no minimum"
        if value < 0
        else f"the loss grew past 1e10 times its first value after {steps}: {smaller}",
        CONTRACTED: "the simplex is as small as asked for (xatol, fatol)",
        STEPS_DONE: f"all {steps} are done" if done != 1 else "1 step is done",
        INTERRUPTED: f"interrupted after {steps}; this is what was reached",
        STALE: f"the validation loss was not lower for {patience} epochs; the parameters are those with the lowest",
        CALLBACK: f"the callback stopped the descent after {steps}",
        NO_STEP: f"no step along the search direction lowers the loss any more after {steps}: the loss is as "
        "small as rounding lets it become, or its gradient is wrong",
    }
    if status == STEPS_DONE and tested:
        return messages[status] + (
            " before a tolerance was met: allow more steps, or try a larger learning rate or another optimizer"
        )
    return messages[status]


def largest(gradient: Any) -> float:
    """The largest component of a gradient."""
    return float(np.max(np.abs(gradient), initial=0.0))


def _short(value: Any) -> str:
    return f"{value:.10g}" if np.ndim(value) == 0 else np.array2string(np.asarray(value), precision=6, threshold=12)
