r"""Losses that optimizers are compared on, with what is known of them: minima, saddles, and a box worth looking at.

>>> from symdescent import landscapes
>>> himmelblau = landscapes.himmelblau()
>>> len(himmelblau.minima), himmelblau.minimum
(4, 0.0)
>>> himmelblau.loss.expression
(x + y**2 - 7)**2 + (x**2 + y - 11)**2

Sources: Rosenbrock 1960 (The Computer Journal 3); Himmelblau 1972 (Applied Nonlinear Programming); Beale 1958 (On an
iterative method for finding a local minimum, Princeton); Booth's function and Beale's values after Jamil & Yang 2013
(arXiv:1308.4008); Rastrigin 1974, in n dimensions after Mühlenbein et al. 1991; Ackley 1987; Nocedal & Wright 2006.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from symdescent.errors import StatementError
from symdescent.loss import Loss

Point = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Landscape:
    """A loss with what is known of it.

    Attributes
    ----------
    name, loss
        what it is called, and its statement
    minimum, minima
        the lowest value, and all points where the loss takes it; points are flat, in the order of the parameters
    saddles, maxima
        other critical points, where they are known
    box
        from where to where a picture shows each of the first two coordinates (one, where there is but one)
    start
        where descents usually begin, by the parameters' names
    source
        who stated it

    >>> landscape = booth()
    >>> landscape.name, landscape.minimum, landscape.minima
    ('Booth', 0.0, ((1.0, 3.0),))
    """

    name: str
    loss: Loss
    minimum: float
    minima: tuple[Point, ...]
    box: tuple[tuple[float, float], ...]
    start: dict[str, Any]
    saddles: tuple[Point, ...] = ()
    maxima: tuple[Point, ...] = ()
    source: str = ""

    @property
    def parameters(self) -> tuple[Any, ...]:
        """The parameters of the loss."""
        return self.loss.parameters


_X, _Y = sp.symbols("x y")
_I = sp.Symbol("i", integer=True)


def parabola(lowest: float = 3.0) -> Landscape:
    r"""One parameter: :math:`L = (w - c)^2`, the first example of most texts on gradient descent.

    >>> parabola().loss.expression
    (w - 3)**2
    """
    w = sp.Symbol("w")
    loss = Loss((w - _exact(lowest)) ** 2, w)
    box = ((float(lowest) - 4.0, float(lowest) + 4.0),)
    return Landscape("parabola", loss, 0.0, ((float(lowest),),), box, {"w": float(lowest) - 3.0})


def bowl(stiffness: float = 100.0) -> Landscape:
    r"""A stiff bowl: :math:`L = \tfrac12 (x^2 + \kappa y^2)`, whose condition number is the stiffness κ.

    Gradient descent is stable up to the step 2/κ, and best at 2/(1 + κ) (Nocedal & Wright 2006, chapter 3).

    >>> bowl(10).loss.hessian
    Matrix([
    [1,  0],
    [0, 10]])
    """
    kappa = _exact(stiffness)
    if not kappa > 0:
        raise StatementError(f"stiffness = {stiffness} is not positive: a bowl rises to all sides")
    loss = Loss(_X**2 / 2 + kappa * _Y**2 / 2, [_X, _Y])
    name = "stiff bowl" if kappa > 1 else "bowl"
    start = {"x": 3.0, "y": 1.0}
    return Landscape(name, loss, 0.0, ((0.0, 0.0),), ((-4.0, 4.0), (-2.0, 2.0)), start, source="Nocedal & Wright 2006")


def saddle() -> Landscape:
    r"""A saddle without a minimum: :math:`L = x^2 - y^2`; ``minimum`` is -∞.

    >>> saddle().saddles
    ((0.0, 0.0),)
    """
    loss = Loss(_X**2 - _Y**2, [_X, _Y])
    box = ((-2.0, 2.0), (-2.0, 2.0))
    return Landscape("saddle", loss, -float("inf"), (), box, {"x": 1.5, "y": 0.01}, saddles=((0.0, 0.0),))


def rosenbrock(dimension: int = 2, a: float = 1.0, b: float = 100.0) -> Landscape:
    r"""A bent valley: :math:`L = \sum_i b\,(x_{i+1} - x_i^2)^2 + (a - x_i)^2`.

    In two dimensions the parameters are x and y, and (a, a²) is the only critical point. In more, the parameter is an
    array x, and a = 1; from four to seven dimensions there is a local minimum near (-1, 1, …, 1) besides
    (Shang & Qiu 2006).

    >>> rosenbrock().loss.expression
    (1 - x)**2 + 100*(-x**2 + y)**2
    """
    first, second, count = _exact(a), _exact(b), _count(dimension, least=2)
    if not second > 0:
        raise StatementError(f"b = {b} is not positive: the valley would have no floor")
    source = "Rosenbrock 1960"
    if count == 2:
        loss = Loss((first - _X) ** 2 + second * (_Y - _X**2) ** 2, [_X, _Y])
        lowest = (float(a), float(a) ** 2)
        width = max(1.0, abs(float(a)))
        box = ((-2 * width, 2 * width), (-1.0 * width, 3 * width**2))
        return Landscape("Rosenbrock", loss, 0.0, (lowest,), box, {"x": -1.2, "y": 1.0}, source=source)
    if first != 1:
        raise StatementError(f"a = {a}, but the minimum in {count} dimensions is known for a = 1: leave it out")
    x = sp.IndexedBase("x", shape=(count,))
    terms = second * (x[_I + 1] - x[_I] ** 2) ** 2 + (1 - x[_I]) ** 2
    start = {"x": [-1.2 if place % 2 == 0 else 1.0 for place in range(count)]}
    return Landscape(
        "Rosenbrock", Loss(sp.Sum(terms, (_I, 0, count - 2)), x), 0.0, ((1.0,) * count,), ((-2.0, 2.0), (-1.0, 3.0)),
        start, source=source,
    )  # fmt: skip


def himmelblau() -> Landscape:
    r"""Four minima of one depth: :math:`L = (x^2 + y - 11)^2 + (x + y^2 - 7)^2`.

    >>> himmelblau().maxima
    ((-0.270844590667, -0.92303855648),)
    """
    loss = Loss((_X**2 + _Y - 11) ** 2 + (_X + _Y**2 - 7) ** 2, [_X, _Y])
    minima = (
        (3.0, 2.0),
        (-2.805118086953, 3.131312518250),
        (-3.779310253378, -3.283185991286),
        (3.584428340330, -1.848126526964),
    )
    saddles = (
        (0.086677504555, 2.884254701175),
        (3.385154183607, 0.073851879838),
        (-0.127961346731, -1.953714980244),
        (-3.073025750764, -0.081353044288),
    )
    return Landscape(
        "Himmelblau", loss, 0.0, minima, ((-5.0, 5.0), (-5.0, 5.0)), {"x": 0.0, "y": 0.0}, saddles=saddles,
        maxima=((-0.270844590667, -0.923038556480),), source="Himmelblau 1972",
    )  # fmt: skip


def beale() -> Landscape:
    r"""Flat far away, steep at the edges: :math:`L = \sum_{k=1}^3 (c_k - x + x y^k)^2`, c = 1.5, 2.25, 2.625.

    >>> beale().minima
    ((3.0, 0.5),)
    """
    constants = (sp.Rational(3, 2), sp.Rational(9, 4), sp.Rational(21, 8))
    loss = Loss(sp.Add(*((c - _X + _X * _Y**k) ** 2 for k, c in enumerate(constants, 1))), [_X, _Y])
    return Landscape(
        "Beale", loss, 0.0, ((3.0, 0.5),), ((-4.5, 4.5), (-4.5, 4.5)), {"x": 1.0, "y": 0.0},
        saddles=((0.0, 1.0), (0.100537937324, -2.644513585023)), source="Beale 1958",
    )  # fmt: skip


def booth() -> Landscape:
    r"""A tilted bowl: :math:`L = (x + 2y - 7)^2 + (2x + y - 5)^2`, a quadratic with eigenvalues 2 and 18.

    >>> booth().minima
    ((1.0, 3.0),)
    """
    loss = Loss((_X + 2 * _Y - 7) ** 2 + (2 * _X + _Y - 5) ** 2, [_X, _Y])
    box, start = ((-10.0, 10.0), (-10.0, 10.0)), {"x": 0.0, "y": 0.0}
    return Landscape("Booth", loss, 0.0, ((1.0, 3.0),), box, start, source="Jamil & Yang 2013")


def rastrigin(dimension: int = 2) -> Landscape:
    r"""A bowl full of dents: :math:`L = 10 n + \sum_i x_i^2 - 10 \cos 2\pi x_i`, a minimum near every whole point.

    In one and two dimensions the parameters are x (and y), in more an array x.

    >>> rastrigin(1).loss.expression
    x**2 - 10*cos(2*pi*x) + 10
    """
    count = _count(dimension)

    def dent(x: Any) -> Any:
        return x**2 - 10 * sp.cos(2 * sp.pi * x)

    if count <= 2:
        symbols = [_X, _Y][:count]
        loss = Loss(10 * count + sp.Add(*map(dent, symbols)), symbols)
        start: dict[str, Any] = dict(zip(("x", "y")[:count], (2.2, -1.7), strict=False))
    else:
        x = sp.IndexedBase("x", shape=(count,))
        loss = Loss(10 * count + sp.Sum(dent(x[_I]), (_I, 0, count - 1)), x)
        start = {"x": [2.2 if place % 2 == 0 else -1.7 for place in range(count)]}
    box = ((-5.12, 5.12),) * min(count, 2)
    return Landscape("Rastrigin", loss, 0.0, ((0.0,) * count,), box, start, source="Rastrigin 1974")


def ackley(dimension: int = 2) -> Landscape:
    r"""A funnel in a wavy plain, with a kink at its bottom.

    .. math:: L = -20 \exp\Big(-\tfrac15 \sqrt{\tfrac1n \sum_i x_i^2}\Big)
              - \exp\Big(\tfrac1n \sum_i \cos 2\pi x_i\Big) + 20 + e.

    In one and two dimensions the parameters are x (and y), in more an array x.

    >>> ackley().minima
    ((0.0, 0.0),)
    """
    count = _count(dimension)
    if count <= 2:
        symbols: Any = [_X, _Y][:count]
        squares, waves = sp.Add(*(s**2 for s in symbols)), sp.Add(*(sp.cos(2 * sp.pi * s) for s in symbols))
        start: dict[str, Any] = dict(zip(("x", "y")[:count], (2.7, -1.8), strict=False))
    else:
        symbols = sp.IndexedBase("x", shape=(count,))
        squares = sp.Sum(symbols[_I] ** 2, (_I, 0, count - 1))
        waves = sp.Sum(sp.cos(2 * sp.pi * symbols[_I]), (_I, 0, count - 1))
        start = {"x": [2.7 if place % 2 == 0 else -1.8 for place in range(count)]}
    loss = Loss(-20 * sp.exp(-sp.sqrt(squares / count) / 5) - sp.exp(waves / count) + 20 + sp.E, symbols)
    return Landscape(
        "Ackley", loss, 0.0, ((0.0,) * count,), ((-5.0, 5.0),) * min(count, 2), start, source="Ackley 1987"
    )


ALL = (parabola, bowl, saddle, rosenbrock, himmelblau, beale, booth, rastrigin, ackley)
"""Every landscape, as functions."""


def _exact(value: Any) -> Any:
    """A number as SymPy prints it best: a fraction where it is a short one."""
    number = sp.nsimplify(value, rational=True) if isinstance(value, float) else sp.sympify(value)
    if not number.is_number or not number.is_real or not number.is_finite:
        raise StatementError(f"{value!r} is not a finite number: a landscape is made of numbers")
    return number


def _count(dimension: Any, least: int = 1) -> int:
    if dimension != int(dimension) or dimension < least:
        raise StatementError(f"dimension = {dimension} is not a whole number from {least} on")
    return int(dimension)


__all__ = [
    "ALL",
    "Landscape",
    "ackley",
    "beale",
    "booth",
    "bowl",
    "himmelblau",
    "parabola",
    "rastrigin",
    "rosenbrock",
    "saddle",
]
