r"""What the learning rate does: descents that crawl, converge, oscillate or diverge.

On a quadratic with curvatures from λmin to λmax, the error along an eigenvector is multiplied by 1 - ηλ in a step: it
keeps its sign below η = 1/λmax, changes it at every step above, and grows above 2/λmax (Nocedal & Wright 2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from symdescent.descent import Descent
from symdescent.descent import result as results
from symdescent.errors import StatementError, SymdescentError
from symdescent.landscapes import Landscape
from symdescent.loss import Loss
from symdescent.optimizers import GradientDescent, UpdateRule
from symdescent.plots.canvas import Style, axes, counted, legend
from symdescent.plots.cost import guide
from symdescent.plots.ground import path
from symdescent.plots.labels import plain
from symdescent.study.curvature import Curvature, is_quadratic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CRAWLING, CONVERGING, OSCILLATING, DIVERGING = KINDS = ("crawling", "converging", "oscillating", "diverging")
LOOKS = {
    CRAWLING: Style("#56B4E9", "", "<"),
    CONVERGING: Style("#000000", "", "o"),
    OSCILLATING: Style("#E69F00", "", "D"),
    DIVERGING: Style("#D55E00", "", "^"),
}
BANDS = {CRAWLING: "#f2f2f2", CONVERGING: "#ffffff", OSCILLATING: "#e4e4e4", DIVERGING: "#cfcfcf"}


@dataclass(frozen=True, slots=True)
class Swept:
    """One descent of a sweep, and what it did.

    >>> import symdescent as sd
    >>> swept = try_rates(sd.landscapes.parabola(), [0.5], start=0.0)[0]
    >>> swept.rate, swept.kind, swept.descent.nit
    (0.5, 'converging', 1)
    """

    rate: float
    kind: str
    descent: Descent


def behaviour(run: Descent, lowest: float | None = None, target: float = 0.01) -> str:
    r"""Whether a descent was ``"crawling"``, ``"converging"``, ``"oscillating"`` or ``"diverging"``.

    Diverging: the loss became infinite, ended above its first value, or rose in most of the last quarter of the steps.
    Oscillating: more than half of the steps turn back, :math:`d_{k+1} \cdot d_k < 0`. Converging: it stopped by its
    gradient, or the loss came within `target` of its first excess over `lowest`, and the gradient within √`target`.
    Crawling: none of these.

    >>> import sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> loss = sd.Loss(w**2, w)
    >>> [behaviour(loss.descend(1, optimizer=sd.GradientDescent(eta), steps=30)) for eta in (0.001, 0.3, 0.9, 1.1)]
    ['crawling', 'converging', 'oscillating', 'diverging']
    """
    losses, norms = run.history["loss"], run.history["gradient_norm"]
    first = float(losses[0])
    if run.status in (results.NOT_FINITE, results.DIVERGED) or not np.isfinite(run.fun):
        return DIVERGING
    if run.fun > first + 1e-12 * abs(first) or _rising(losses):
        return DIVERGING
    if _turns_back(path(run)):
        return OSCILLATING
    low = min(run.fun, np.inf if lowest is None else lowest)
    near = run.fun - low <= target * (first - low) and norms[-1] <= np.sqrt(target) * norms[0]
    return CONVERGING if run.status == results.GRADIENT or near else CRAWLING


def _rising(losses: Any) -> bool:
    """Whether the loss rises in nearly all of the last quarter of its steps, to well above its lowest."""
    last = np.diff(losses[-max(4, len(losses) // 4) :])
    return len(losses) > 8 and bool(np.mean(last > 0) > 0.9) and losses[-1] > losses.min() + 1e-6 * abs(losses[0])


def _turns_back(points: Any) -> bool:
    """Whether more than half of the steps go against the step before, as long as steps are more than rounding."""
    steps = np.diff(points, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    counts = (lengths[1:] > 1e-9 * lengths.max(initial=0.0)) & (lengths[:-1] > 0)
    along = np.sum(steps[1:] * steps[:-1], axis=1)[counts]
    return len(along) > 0 and float(np.mean(along < 0)) > 0.5


def try_rates(
    thing: Any, rates: Any = None, *, start: Any = None, data: Any = None, optimizer: Any = None, steps: int = 50
) -> list[Swept]:
    """Descents with each of several learning rates, and what each did. See `sweep`.

    >>> import symdescent as sd
    >>> [each.kind for each in try_rates(sd.landscapes.parabola(), [0.001, 0.1, 0.9, 1.1], start=0.0)]
    ['crawling', 'converging', 'oscillating', 'diverging']
    """
    loss, start = _posed(thing, start)
    rule = GradientDescent(0.1) if optimizer is None else optimizer
    if not isinstance(rule, UpdateRule) or rule.learning_rate is None:
        raise StatementError(f"{rule} has no learning rate to sweep: give an update rule that has, as sd.Momentum(0.1)")
    if rates is None:
        rates = _usual(loss, start, data, rule)
    rates = np.asarray(rates, dtype=float).ravel()
    if not len(rates) or not (np.isfinite(rates) & (rates > 0)).all():
        raise StatementError("rates= holds none, or some that are not positive: give np.geomspace(1e-3, 1, 30), say")
    runs = [loss.descend(start, data, rule.with_(learning_rate=float(rate)), steps=steps) for rate in np.sort(rates)]
    reached = [run.fun for run in runs if np.isfinite(run.fun)]
    lowest = min(reached, default=None)
    if isinstance(thing, Landscape) and np.isfinite(thing.minimum):
        lowest = thing.minimum
    return [Swept(float(r), behaviour(run, lowest), run) for r, run in zip(np.sort(rates), runs, strict=True)]


def sweep(
    thing: Any,
    rates: Any = None,
    ax: Axes | None = None,
    *,
    start: Any = None,
    data: Any = None,
    optimizer: Any = None,
    steps: int = 50,
) -> Axes:
    r"""The loss after some steps against the learning rate, with marks for what each descent did.

    `rates` are the learning rates (default: about those that the curvature at the start suggests); `optimizer` is an
    update rule (default: gradient descent), whose learning rate is replaced; `start` and `data` are those of
    `Loss.descend`. What the marks mean is said at `behaviour`. For gradient descent on a quadratic, 1/λmax and 2/λmax
    are drawn. Raises `StatementError` for an optimizer without learning rate.

    >>> from matplotlib.figure import Figure
    >>> import symdescent as sd
    >>> ax = sweep(sd.landscapes.parabola(), [0.001, 0.1, 0.9, 1.1], Figure().add_subplot())
    >>> [text.get_text().split(":")[0] for text in ax.get_legend().get_texts()][:4]
    ['crawling', 'converging', 'oscillating', 'diverging']
    """
    found = try_rates(thing, rates, start=start, data=data, optimizer=optimizer, steps=steps)
    loss, start = _posed(thing, start)
    ax = axes(ax)
    ends = np.array([each.descent.fun for each in found])
    finite = np.array([each.kind != DIVERGING for each in found]) & np.isfinite(ends)
    lowest = thing.minimum if isinstance(thing, Landscape) and np.isfinite(thing.minimum) else 0.0
    if finite.any() and ends[finite].min() < lowest:
        lowest = float(ends[finite].min())
    first = float(found[0].descent.history["loss"][0])
    heights = ends - lowest
    powers = (
        bool(finite.any())
        and first > lowest
        and max(heights[finite].max(), first - lowest) > 5 * max(heights[finite].min(), 0.0)
    )
    top = _frame(ax, heights[finite], first - lowest, powers)
    _bands(ax, found)
    for kind in KINDS:
        chosen = [k for k, each in enumerate(found) if each.kind == kind]
        if chosen:
            shown = np.clip(np.where(np.isfinite(heights[chosen]), heights[chosen], top), ax.get_ylim()[0], top)
            shown = np.full(len(chosen), top) if kind == DIVERGING else shown
            look = LOOKS[kind]
            ax.plot(
                [found[k].rate for k in chosen], shown, linestyle="none", marker=look.marker, markersize=6,
                markerfacecolor=look.color, markeredgecolor="black", markeredgewidth=0.6, zorder=4, clip_on=False,
                label=f"{kind}: {counted(len(chosen), 'rate')}",
            )  # fmt: skip
    ax.axhline(first - lowest, color="#7a7a7a", linewidth=1.0, linestyle=":", label="loss at the start", zorder=2)
    if optimizer is None or getattr(optimizer, "name", "") == "gradient descent":
        _theory(ax, loss, start, data)
    ax.set_xlabel(r"learning rate $\eta$")
    above = "" if lowest == 0 else r", $L - L_{\min}$"
    ax.set_ylabel(f"loss after {counted(steps, 'step')}{above}")
    if optimizer is not None:
        ax.set_title(plain(optimizer.name), fontsize="medium")
    legend(ax)
    return ax


def _posed(thing: Any, start: Any) -> tuple[Loss, Any]:
    if isinstance(thing, Landscape):
        return thing.loss, thing.start if start is None else start
    if not isinstance(thing, Loss):
        raise StatementError(f"{type(thing).__name__} is no Loss and no landscape: a sweep descends on one")
    if start is None:
        raise StatementError("a sweep needs a start: give start={…}, as descend takes it")
    return thing, start


def _curvature(loss: Loss, start: Any, data: Any) -> Curvature | None:
    try:
        return loss.curvature(start, data)
    except SymdescentError:  # too many parameters, or no second derivatives here
        return None


def _usual(loss: Loss, start: Any, data: Any, rule: UpdateRule) -> Any:
    """Rates up to somewhat above the largest stable one, where the curvature tells it; else of many sizes."""
    momentum = next((float(h.value) for h in rule.hyperparameters if h.name == "momentum" and h.is_number), 0.0)
    told = rule.name == "gradient descent" or momentum > 0
    found = _curvature(loss, start, data) if told else None
    if found is None or found.largest_step is None:
        return np.geomspace(1e-4, 10.0, 41)
    beyond = 1.6 * (1 + momentum) if found.quadratic else 12.0  # further down a loss may be flatter
    # closer together where it turns from converging to diverging
    return found.largest_step * np.concatenate([np.geomspace(2e-3, 0.4, 22), np.geomspace(0.43, beyond, 24)])


def _theory(ax: Any, loss: Loss, start: Any, data: Any) -> None:
    found = _curvature(loss, start, data) if is_quadratic(loss.statement.fresh()) else None
    if found is not None and found.largest_step is not None:
        guide(ax, found.largest_step / 2, r"$1/\lambda_{\max}$")
        ax.axvline(found.largest_step, color="black", linestyle=(0, (6, 2)), linewidth=1.2, label=r"$2/\lambda_{\max}$")


def _frame(ax: Any, heights: Any, first: float, powers: bool) -> float:
    """The scales of the axes; returns the height where what diverges is drawn."""
    ax.set_xscale("log")
    high = max(float(np.max(heights, initial=0.0)), first)
    if not powers:
        low = min(float(np.min(heights, initial=first)), first)
        span = (high - low) or max(1.0, abs(high))
        ax.set_ylim(low - 0.1 * span, high + 0.25 * span)
        return high + 0.15 * span
    positive = heights[heights > 0]
    low = max(float(positive.min()) if len(positive) else high, 1e-20 * high)
    ax.set_yscale("log")
    decades = max(np.log10(high / low), 0.5)
    ax.set_ylim(low / 10 ** (0.05 * decades), high * 10 ** (0.2 * decades))
    return float(high * 10 ** (0.12 * decades))


def _bands(ax: Any, found: list[Swept]) -> None:
    """A shade behind each stretch of learning rates that do the same."""
    rates = np.array([each.rate for each in found])
    edges = np.sqrt(rates[1:] * rates[:-1])
    ratio = np.sqrt(rates[1] / rates[0]) if len(rates) > 1 else 1.5
    edges = np.concatenate([[rates[0] / ratio], edges, [rates[-1] * ratio]])
    ax.set_xlim(edges[0], edges[-1])
    for k, each in enumerate(found):
        ax.axvspan(edges[k], edges[k + 1], color=BANDS[each.kind], linewidth=0, zorder=0)
