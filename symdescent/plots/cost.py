"""The loss against the work that was done: steps, evaluations, time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symdescent.descent import Descent
from symdescent.errors import DataError, StatementError
from symdescent.plots.canvas import GUIDE, STYLES, axes, counted, legend, style
from symdescent.plots.ground import named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUANTITIES = {
    "loss": "loss $L$",
    "gradient_norm": r"largest component of $\nabla L$",
    "learning_rate": r"step size $\eta$",
}
AGAINST = {
    "iteration": "step $k$",
    "evaluations": "evaluations of the loss",
    "gradients": "evaluations of the gradient",
    "time": "time",
}
_COLUMNS = {"time": 1, "evaluations": 2, "gradients": 3}
_FAR_APART = 30.0  # from how many times the shortest run's time on time is told in powers
_WORTH_POWERS = 5.0  # from how many times the smallest value on an axis is told in powers


@dataclass(frozen=True, slots=True)
class _Unit:
    factor: float
    name: str


def cost(
    things: Any,
    ax: Axes | None = None,
    *,
    against: str = "iteration",
    quantity: str = "loss",
    lowest: float | None = None,
    log: bool | None = None,
) -> Axes:
    r"""The loss of one descent or of several against their steps, evaluations or time.

    Parameters
    ----------
    things
        a `Descent`, or several: a list, or a mapping by label
    against
        ``"iteration"``, ``"evaluations"`` (of the loss), ``"gradients"`` (evaluations of the gradient), or ``"time"``
        in the loop, without compiling; what a compiled loop does not tell for each step is divided among its steps
    quantity
        ``"loss"``, ``"gradient_norm"`` or ``"learning_rate"``
    lowest
        draw :math:`L - L^*` above this value :math:`L^*`; where losses are not positive, it is the lowest that was
        reached
    log
        whether the axis is logarithmic (default: where values spread by more than a factor of 5)

    Of descents by batches, the losses of the batches are drawn thin, and the means of the epochs over them. Raises
    `StatementError` for unknown options.

    >>> from matplotlib.figure import Figure
    >>> import sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> run = sd.Loss((w - 3)**2, w).descend(0, optimizer=sd.GradientDescent(0.1), steps=20, gtol=0)
    >>> ax = cost(run, Figure().add_subplot())
    >>> ax.get_xlabel(), ax.get_yscale()
    ('step $k$', 'log')
    """
    runs = named(things)
    for option, value, known in (("against", against, AGAINST), ("quantity", quantity, QUANTITIES)):
        if value not in known:
            raise StatementError(f"{option}={value!r} is not one of {', '.join(map(repr, known))}")
    ax = axes(ax)
    found = {name: (_work(each, against), each.history[quantity].astype(float)) for name, each in runs.items()}
    totals = [float(x[-1]) for x, _ in found.values() if x[-1] > 0]
    unit = (
        _unit(max(float(np.nanmax(x, initial=0.0)) for x, _ in found.values())) if against == "time" else _Unit(1, "")
    )
    everything = np.concatenate([y[np.isfinite(y)] for _, y in found.values()])
    base = lowest
    if base is None and quantity == "loss" and log is not False and (everything <= 0).any():
        base = float(everything.min())
    for number, (name, (x, y)) in enumerate(found.items()):
        _draw(ax, runs[name], name, x * unit.factor, y - (base or 0.0), number, base, quantity)
    shown = everything - (base or 0.0)
    _scale(ax, shown, log)
    if against == "time" and totals and max(totals) > _FAR_APART * min(totals):
        ax.set_xscale("log")
    ax.set_xlabel(AGAINST[against] + (f" ({unit.name})" if unit.name else ""))
    above = "lowest" if lowest is None else f"{lowest:g}"
    ax.set_ylabel(QUANTITIES[quantity] if base is None else rf"loss above the {above} one, $L - L^*$"
                  if lowest is None else f"loss above {above}")  # fmt: skip
    ax.grid(True, which="major", linewidth=0.4, alpha=0.6)
    legend(ax)
    return ax


def _draw(ax: Any, run: Descent, name: str, x: Any, y: Any, number: int, base: float | None, quantity: str) -> None:
    look = style(number)
    shown = y > 0 if base is not None else np.isfinite(y)
    by_epochs = quantity == "loss" and len(run.epochs) > 1 and np.isfinite(run.epochs["loss"]).all()
    said = f"{name}: {counted(run.nit, 'step')}"
    if by_epochs:
        ax.plot(x[shown], y[shown], color=look.color, linewidth=0.5, alpha=0.4, label="_batches")
        ends = np.interp(run.epochs["epoch"] * run.nit / run.epochs["epoch"][-1], run.history["iteration"], x)
        _line(ax, ends, run.epochs["loss"] - (base or 0.0), number, f"{name}, mean of each epoch")
        validation = run.epochs["validation"]
        if np.isfinite(validation).any():
            ax.plot(ends, validation - (base or 0.0), color=look.color, linestyle=":", linewidth=1.8, marker="x",
                    markevery=max(1, len(ends) // 12), markersize=5, label=f"{name}, held-out samples")  # fmt: skip
        return
    _line(ax, x[shown], y[shown], number, said)


def _line(ax: Any, x: Any, y: Any, number: int, name: str) -> None:
    look = style(number)
    every = (number % len(STYLES)) / len(STYLES) * 0.1, 0.1  # markers of lines that overlap stand at different places
    ax.plot(
        x, y, color=look.color, linestyle=look.line, linewidth=1.6, marker=look.marker, markersize=4.5,
        markerfacecolor="white", markevery=every if len(x) > 12 else None, label=name,
    )  # fmt: skip


def _work(run: Descent, against: str) -> Any:
    """What was done up to each row of the history, of the kind that is asked for."""
    at = run.history["iteration"].astype(float)
    if against == "iteration":
        return at
    table = run.work
    if table is None or len(table) < 2:
        if run.nit == 0:
            return np.zeros(len(at))
        raise DataError(f"this descent does not know its {against}: it was stored by an earlier version; descend anew")
    return np.interp(at, table[:, 0], table[:, _COLUMNS[against]])


def _unit(seconds: float) -> _Unit:
    """Seconds, or a thousandth or millionth of them, so that numbers are short."""
    return _Unit(1.0, "s") if seconds >= 1 else _Unit(1e3, "ms") if seconds >= 1e-3 else _Unit(1e6, "µs")


def _scale(ax: Any, shown: Any, log: bool | None) -> None:
    positive = shown[shown > 0]
    if log is None:
        log = len(positive) > 0 and bool((shown >= 0).all()) and float(positive.max() / positive.min()) > _WORTH_POWERS
    if log and len(positive):
        ax.set_yscale("log")
        if positive.min() > 1e-3 and positive.max() < 1e4 and positive.max() / positive.min() < 50:
            _short_numbers(ax.yaxis)
        if positive.min() < 1e-18 * positive.max():  # down to where rounding ends
            ax.set_ylim(bottom=1e-18 * positive.max())


def _short_numbers(axis: Any) -> None:
    """0.3 and 5 where powers of ten alone would leave an axis without numbers."""
    from matplotlib.ticker import FuncFormatter

    def short(value: float, _: Any) -> str:
        return f"{value:g}" if f"{value:.0e}"[0] in "1235" else ""

    axis.set_major_formatter(FuncFormatter(short))
    axis.set_minor_formatter(FuncFormatter(short))


def guide(ax: Any, at: float, name: str, vertical: bool = True) -> None:
    """A thin line that marks a value of theory."""
    draw = ax.axvline if vertical else ax.axhline
    draw(at, color=GUIDE, linestyle=(0, (4, 3)), linewidth=1.0, zorder=1, label=name)
