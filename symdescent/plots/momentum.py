r"""How fast momentum converges on a quadratic: the spectral radius over learning rate and momentum.

Along an eigenvector with curvature λ, two steps of the heavy ball are tied by
:math:`e_{k+1} = (1 + \mu - \eta\lambda)\, e_k - \mu\, e_{k-1}`, and Nesterov's by
:math:`e_{k+1} = (1 + \mu)(1 - \eta\lambda)\, e_k - \mu (1 - \eta\lambda)\, e_{k-1}`; errors shrink by the larger
root of the quadratic in each step. Source: Polyak 1964; Nesterov 1983; Lessard, Recht & Packard 2016.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from symdescent.errors import StatementError
from symdescent.landscapes import Landscape
from symdescent.loss import Loss
from symdescent.plots.canvas import axes, legend, text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def convergence_rate(eigenvalues: Any, learning_rate: Any, momentum: Any = 0.0, nesterov: bool = False) -> Any:
    r"""The factor by which errors shrink in a step, of gradient descent with momentum on a quadratic.

    .. math:: \rho = \max_\lambda \max |z|, \quad z^2 - (1 + \mu - \eta\lambda)\, z + \mu = 0

    `learning_rate` and `momentum` broadcast; above 1 the descent diverges.

    >>> bool(np.isclose(convergence_rate([1.0, 9.0], 0.2), 0.8))  # (κ - 1)/(κ + 1) at 2/(λmin + λmax)
    True
    >>> bool(np.isclose(convergence_rate([1.0, 9.0], 4 / 16, 0.25), 0.5))  # (√κ - 1)/(√κ + 1), Polyak's
    True
    """
    eta, mu = np.asarray(learning_rate, dtype=float), np.asarray(momentum, dtype=float)
    worst = np.zeros(np.broadcast_shapes(eta.shape, mu.shape))
    for curvature in np.unique(np.asarray(eigenvalues, dtype=float)):
        total = (1 + mu) * (1 - eta * curvature) if nesterov else 1 + mu - eta * curvature
        product = mu * (1 - eta * curvature) if nesterov else mu + 0 * eta
        inside = total**2 - 4 * product
        real = (np.abs(total) + np.sqrt(np.maximum(inside, 0.0))) / 2
        worst = np.maximum(worst, np.where(inside >= 0, real, np.sqrt(np.abs(product))))
    return worst


def momentum_map(
    thing: Any, ax: Axes | None = None, *, data: Any = None, nesterov: bool = False, resolution: int = 301
) -> Axes:
    r"""The convergence rate of momentum on a quadratic, over learning rate η and momentum μ.

    `thing` is a quadratic `Loss` (with `data`), a landscape, or the eigenvalues of a Hessian. White is where it
    diverges, :math:`\eta \ge 2(1 + \mu)/\lambda_{\max}`. Marked are the best gradient descent, and the best momentum:
    :math:`\eta = 4/(\sqrt{\lambda_{\max}} + \sqrt{\lambda_{\min}})^2, \mu = ((\sqrt\kappa - 1)/(\sqrt\kappa + 1))^2`
    (for Nesterov's, the usual choice 1/λmax and (√κ - 1)/(√κ + 1)). Raises `StatementError` for a loss that is not
    quadratic, and for one that has directions without a minimum.

    >>> from matplotlib.figure import Figure
    >>> import symdescent as sd
    >>> ax = momentum_map(sd.landscapes.bowl(9), Figure().add_subplot(), resolution=31)
    >>> ax.get_ylabel()
    'momentum $\\mu$'
    """
    low, high = _ends(eigenvalues := _eigenvalues(thing, data))
    ax = axes(ax)
    largest = (2.0 if nesterov else 4.0) / high
    eta, mu = np.linspace(0.0, 1.04 * largest, resolution)[1:], np.linspace(0.0, 1.0, resolution)[:-1]
    rates = convergence_rate(eigenvalues, eta[None, :], mu[:, None], nesterov)
    _shaded(ax, eta, mu, rates)
    border = (2 + 2 * mu) / (1 + 2 * mu) / high if nesterov else 2 * (1 + mu) / high
    named = r"$\eta = (2 + 2\mu)/(1 + 2\mu)\lambda_{\max}$" if nesterov else r"$\eta = 2(1 + \mu)/\lambda_{\max}$"
    ax.plot(border, mu, color="black", linewidth=1.5, linestyle=(0, (6, 2)), label=f"stable up to {named}")
    kappa = math.sqrt(high / low)
    plain = 2 / (low + high)
    best = (1 / high, (kappa - 1) / (kappa + 1)) if nesterov else _polyak(low, high)
    who = "Nesterov's choice" if nesterov else "Polyak's optimum"
    for (at, size), marker, name in (((plain, 0.0), "o", "best without momentum"), (best, "*", who)):
        rate = float(convergence_rate(eigenvalues, at, size, nesterov))
        ax.plot(at, size, linestyle="none", marker=marker, markersize=13 if marker == "*" else 8, zorder=5,
                markerfacecolor="white", markeredgecolor="black", clip_on=False,
                label=f"{name}: η = {text_of(at, 3)}, μ = {text_of(size, 3)}, rate {text_of(rate, 3)}")  # fmt: skip
    ax.text(0.97, 0.93 if nesterov else 0.06, "diverges", transform=ax.transAxes, ha="right", fontsize="small",
            style="italic")  # fmt: skip
    ax.set_xlim(0.0, eta[-1])
    ax.set_ylim(0.0, 1.0)
    ax.set_xlabel(r"learning rate $\eta$")
    ax.set_ylabel(r"momentum $\mu$")
    ax.set_title(rf"{'Nesterov' if nesterov else 'heavy ball'}, condition number $\kappa$ = {text_of(high / low)}",
                 fontsize="medium")  # fmt: skip
    legend(ax, loc="lower left" if nesterov else "upper left")
    return ax


def _polyak(low: float, high: float) -> tuple[float, float]:
    """The best heavy ball (Polyak 1964)."""
    root = math.sqrt(high / low)
    return 4 / (math.sqrt(high) + math.sqrt(low)) ** 2, ((root - 1) / (root + 1)) ** 2


def _shaded(ax: Any, eta: Any, mu: Any, rates: Any) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    least = float(rates.min())
    step = 0.1 if least < 0.5 else 0.05 if least < 0.8 else 0.02 if least < 0.92 else 0.01
    lines = np.append(np.arange(np.floor(least / step) * step, 1.0 - step / 2, step), 1.0)
    shades = ListedColormap(colormaps["Blues_r"](np.linspace(0.25, 0.98, 256)))
    stable = np.ma.masked_greater_equal(rates, 1.0)
    filled = ax.contourf(eta, mu, stable, levels=lines, cmap=shades, zorder=0)
    ax.contour(eta, mu, stable, levels=lines, colors="#555555", linewidths=0.5, zorder=1)
    ax.figure.colorbar(filled, ax=ax, label=r"factor of the error in a step, $\rho$")


def _eigenvalues(thing: Any, data: Any) -> Any:
    if isinstance(thing, Landscape):
        thing = thing.loss
    if not isinstance(thing, Loss):
        try:
            values = np.asarray(thing, dtype=float).ravel()
        except (TypeError, ValueError):
            raise StatementError(f"{type(thing).__name__} is no Loss, and no list of eigenvalues") from None
        if not len(values):
            raise StatementError("there are no eigenvalues: give those of a Hessian")
        return values
    from symdescent.plots.ground import subject

    ground = subject(thing, data).ground
    found = thing.curvature(ground.bound.parameters, {**ground.bound.data, **ground.bound.extents})
    if not found.quadratic:
        raise StatementError(
            "the loss is not quadratic, so that its convergence rate changes from place to place: give the eigenvalues "
            "of its Hessian where it converges, as in momentum_map(loss.curvature(at).eigenvalues)"
        )
    return found.eigenvalues


def _ends(values: Any) -> tuple[float, float]:
    """The smallest and the largest curvature that are not zero: along the others nothing moves."""
    if not np.isfinite(values).all() or (values < 0).any() or not (values > 0).any():
        raise StatementError(
            f"the curvatures go from {float(np.min(values)):g} to {float(np.max(values)):g}: a convergence rate needs "
            "positive ones"
        )
    positive = values[values > 0]
    return float(positive.min()), float(positive.max())
