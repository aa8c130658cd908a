r"""How exact differences are: their error against the step, and the remainder of Taylor's series.

A forward difference errs by :math:`O(h)` and a central one by :math:`O(h^2)`, down to where rounding,
:math:`O(\varepsilon/h)`, takes over: the curve is a V. The complex step subtracts nothing,
so that its error falls to rounding and stays there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from symdescent.check import GradientCheck
from symdescent.check.draw import value_at
from symdescent.check.probe import Probe, is_analytic
from symdescent.errors import StatementError
from symdescent.landscapes import Landscape
from symdescent.loss import Loss
from symdescent.plots.canvas import GUIDE, axes, legend, style
from symdescent.plots.labels import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOOR = 1e-17  # where an error of exactly nothing is drawn


def differences(
    thing: Any, ax: Axes | None = None, *, component: str | None = None, at: Any = None, data: Any = None, seed: int = 0
) -> Axes:
    r"""The error of forward and central differences and of the complex step against the step h.

    Parameters
    ----------
    thing
        a `GradientCheck`, or a `Loss` (with `at`, `data` and `seed` as `Loss.check` takes them)
    component
        which one, by its name in the check's rows (default: the first whose derivative is not zero)

    Errors are relative to the symbolic derivative, or absolute where that is 0. Dashed lines stand at the usual steps,
    √ε and ε^(1/3), times max(1, \|x\|). The complex step is left out where the loss is not analytic.

    >>> from matplotlib.figure import Figure
    >>> import sympy as sp, symdescent as sd
    >>> x = sp.Symbol("x")
    >>> ax = differences(sd.Loss(sp.exp(x), x).check(at=1.0), Figure().add_subplot())
    >>> [text.get_text() for text in ax.get_legend().get_texts()][:3]
    ['forward difference', 'central difference', 'complex step']
    """
    check = _checked(thing, at, data, seed)
    probe, exact = _probe(check, component)
    ax = axes(ax)
    size = max(1.0, abs(probe.x))
    steps = size * np.geomspace(1e-16, 1.0, 129)
    scale = abs(exact) or 1.0
    curves = {
        "forward difference": [probe.one_sided(h) if probe.x + h != probe.x else np.nan for h in steps],
        "central difference": [probe.central(h) if probe.x + h != probe.x - h else np.nan for h in steps],
    }
    assert check.statement is not None
    if is_analytic(check.statement):
        curves["complex step"] = [probe.complex_step(h) for h in steps]
    for number, (name, slopes) in enumerate(curves.items()):
        with np.errstate(invalid="ignore"):
            errors = np.abs(np.array(slopes, dtype=float) - exact) / scale
        look = style(number)
        ax.plot(
            steps, np.maximum(errors, FLOOR), color=look.color, linestyle=look.line, linewidth=1.5, label=name,
            marker=look.marker, markersize=4, markerfacecolor="white", markevery=(4 * number, 12),
        )  # fmt: skip
    epsilon = float(np.finfo(float).eps)
    usual = {r"$\sqrt{\varepsilon}$": np.sqrt(epsilon) * size, r"$\varepsilon^{1/3}$": epsilon ** (1 / 3) * size}
    for name, h in usual.items():
        ax.axvline(h, color=GUIDE, linestyle=(0, (4, 3)), linewidth=0.9, zorder=1)
        ax.annotate(name, (h, 1.0), xycoords=("data", "axes fraction"), xytext=(2, -11), textcoords="offset points",
                    fontsize="small", color="#444444")  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(FLOOR / 3, 1e3)
    ax.set_xlabel("step $h$")
    named = _label(probe)
    ax.set_ylabel(("relative error" if exact else "error") + r" of $\partial L/\partial\,$" + named)
    ax.grid(True, which="major", linewidth=0.4, alpha=0.6)
    legend(ax, loc="upper center")
    return ax


def taylor(thing: Any, ax: Axes | None = None, *, at: Any = None, data: Any = None, seed: int = 0) -> Axes:
    r"""The remainder :math:`|L(x + hv) - L(x) - h\, g \cdot v|` against h, along a random direction.

    It falls with slope 2 where the gradient is right, with slope 1 where it is not. Arguments as for `differences`.

    >>> from matplotlib.figure import Figure
    >>> import sympy as sp, symdescent as sd
    >>> x = sp.Symbol("x")
    >>> ax = taylor(sd.Loss(sp.exp(x), x), Figure().add_subplot(), at=1.0)
    >>> ax.get_xlabel()
    'step $h$'
    """
    check = _checked(thing, at, data, seed)
    ax = axes(ax)
    steps, remainders = np.asarray(check.steps), np.asarray(check.remainders)
    shown = np.isfinite(remainders) & (remainders > 0)
    if not shown.any():
        ax.text(0.5, 0.5, "the remainder is zero to rounding, or the loss undefined", transform=ax.transAxes,
                ha="center")  # fmt: skip
    else:
        ax.plot(steps[shown], remainders[shown], color="black", marker="o", markerfacecolor="white", label="remainder")
        ax.set_xscale("log")
        ax.set_yscale("log")
        for order, line in ((1, ":"), (2, "--")):
            slope = remainders[shown][0] * (steps / steps[shown][0]) ** order
            ax.plot(steps, slope, line, color=GUIDE, label=f"slope {order}")
    ax.set_xlabel("step $h$")
    ax.set_ylabel(r"$|L(x + hv) - L(x) - h\,g\cdot v|$")
    ax.grid(True, which="major", linewidth=0.4, alpha=0.6)
    legend(ax)
    return ax


def _checked(thing: Any, at: Any, data: Any, seed: int) -> GradientCheck:
    if isinstance(thing, GradientCheck):
        return thing
    if isinstance(thing, Landscape):
        thing, at = thing.loss, thing.start if at is None else at
    if isinstance(thing, Loss):
        return thing.check(at=at, data=data, seed=seed)
    raise StatementError(f"{type(thing).__name__} is no GradientCheck and no Loss: draw loss.check(…)")


def _probe(check: GradientCheck, component: str | None) -> tuple[Probe, float]:
    """The loss along the component that was asked for, and the symbolic derivative there."""
    if check.statement is None:
        raise StatementError("this GradientCheck does not know its loss: make it with loss.check(…)")
    known = {row.component: row.symbolic for row in check.rows}
    finite = [name for name, slope in known.items() if np.isfinite(slope)]
    if component is None:
        if not finite:
            raise StatementError("no component of the gradient is finite at this point: check at another one")
        component = next((name for name in finite if known[name]), finite[0])
    if component not in known:
        raise StatementError(f"{component!r} is no row of the check: it has {', '.join(map(repr, list(known)[:10]))}")
    value = float(value_at(check.statement, check.point))
    for parameter, numbers in check.point.parameters.items():
        for place in np.ndindex(np.shape(numbers)):
            probe = Probe(check.statement, check.point, parameter, place, value)
            if probe.name == component:
                return probe, known[component]
    raise StatementError(f"{component!r} is no component of the parameters")


def _label(probe: Probe) -> str:
    first = probe.statement.first_index if hasattr(probe.parameter, "label") else 0
    return label(probe.parameter, *(k + first for k in probe.place))


__all__ = ["differences", "taylor"]
