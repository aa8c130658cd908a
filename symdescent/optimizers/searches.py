r"""Optimizers that are no update rules: along a line, with the Hessian, or by looking at points.

They are records too; the loops that carry them out are in `symdescent.descent`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import sympy as sp

from symdescent.optimizers.numbers import in_range, real, whole
from symdescent.optimizers.rule import LineSearch
from symdescent.optimizers.symbols import NOT_NEGATIVE, POSITIVE

_UNIT = sp.Interval.open(0, 1)


def _check(record: Any, **ranges: tuple[sp.Interval, str]) -> None:
    """Turn the numbers of a record into floats, inside their ranges."""
    for name, (bounds, advice) in ranges.items():
        value = getattr(record, name)
        object.__setattr__(record, name, in_range(real(value), bounds, f"{name} = {value!s:.80}", advice))


def _count(record: Any, name: str, least: int) -> None:
    object.__setattr__(record, name, whole(name, getattr(record, name), least))


def _shown(record: Any) -> str:
    chosen = ", ".join(f"{each.name}={getattr(record, each.name)}" for each in fields(record))
    return f"{type(record).__name__}({chosen})"


@dataclass(frozen=True, slots=True)
class Backtracking(LineSearch):
    r"""A step that is halved until the loss falls enough: Armijo's condition.

    From η = `initial`, η is multiplied by `shrink` until

    .. math:: L(\theta + \eta p) \le L(\theta) + c\,\eta\, g^{\mathsf T} p

    along the direction p (minus the gradient, or Newton's). Use it as a learning rate:
    ``GradientDescent(Backtracking())``. Raises `StatementError` unless η > 0, 0 < shrink < 1 and 0 < c < 1.
    Source: Armijo, *Minimization of functions having Lipschitz continuous first partial derivatives*, 1966.

    >>> import sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> run = sd.Loss((w - 3)**2, w).descend(0, optimizer=sd.GradientDescent(Backtracking()), steps=5)
    >>> run.params["w"], float(run.history["learning_rate"][0])
    (3.0, 0.5)
    """

    initial: float = 1.0
    shrink: float = 0.5
    c: float = 1e-4

    def __post_init__(self) -> None:
        _check(
            self,
            initial=(POSITIVE, "give a positive number, such as 1.0"),
            shrink=(_UNIT, "give a fraction, such as 0.5"),
            c=(_UNIT, "give a small fraction, such as 1e-4"),
        )

    def __str__(self) -> str:
        return _shown(self)


@dataclass(frozen=True, slots=True)
class ExactLineSearch(LineSearch):
    r"""The best step in every step: η minimises the loss along the direction.

    For a loss that is quadratic in its parameters, :math:`\eta = -g^{\mathsf T} p / p^{\mathsf T} H p` with the
    symbolic Hessian H; otherwise the first minimum along the ray, found from the sign of the slope to `tolerance`
    (relative). Use it as a learning rate: ``GradientDescent(ExactLineSearch())``, which is steepest descent. Source:
    Cauchy 1847.

    >>> import sympy as sp, symdescent as sd
    >>> x, y = sp.symbols("x y")
    >>> loss = sd.Loss(4 + (x - 2)**2 + 2*y**2, [x, y])
    >>> run = loss.descend({"x": 0, "y": 1}, optimizer=sd.GradientDescent(ExactLineSearch()), steps=1, gtol=0)
    >>> float(run.history["learning_rate"][0])
    0.3333333333333333
    """

    tolerance: float = 1e-10

    def __post_init__(self) -> None:
        _check(self, tolerance=(_UNIT, "give a small fraction, such as 1e-10"))

    def __str__(self) -> str:
        return _shown(self)


@dataclass(frozen=True, slots=True)
class Newton:
    r"""Newton's method with the symbolic Hessian, damped.

    .. math:: (H + \lambda I)\, p = -g, \qquad \theta \leftarrow \theta + \eta p

    The step η is a number, or found along p (default: `Backtracking`, which starts with the whole step). `damping` is
    λ; where :math:`H + \lambda I` is not positive definite, `definite=True` (default) raises λ until it is, so that p
    goes down; with ``definite=False`` the iteration is the plain one, which is drawn to saddle points and maxima as
    well. For small dense systems: at most 2000 parameters. Source: Nocedal, Wright, *Numerical Optimization*, 2006,
    ch. 3.

    >>> import sympy as sp, symdescent as sd
    >>> x, y = sp.symbols("x y")
    >>> rosenbrock = sd.Loss((1 - x)**2 + 100*(y - x**2)**2, [x, y])
    >>> run = rosenbrock.descend({"x": -1.2, "y": 1.0}, optimizer=Newton())
    >>> run.success, run.nit < 30, [round(float(value), 9) for value in run.x]
    (True, True, [1.0, 1.0])
    """

    learning_rate: Any = Backtracking()
    damping: float = 0.0
    definite: bool = True

    def __post_init__(self) -> None:
        _check(self, damping=(NOT_NEGATIVE, "give 0, or a positive number, such as 1e-3"))
        if not isinstance(self.learning_rate, LineSearch):
            _check(self, learning_rate=(POSITIVE, "give a positive number, such as 1.0, or Backtracking()"))

    def __str__(self) -> str:
        return _shown(self)


@dataclass(frozen=True, slots=True)
class NelderMead:
    r"""The simplex method of Nelder and Mead: n + 1 points, no derivatives.

    The worst point is reflected at the centre of the others, and the simplex expanded, contracted or shrunk (factors 1,
    2, ½, ½; with ``adaptive=True`` 1, 1 + 2/n, ¾ − 1/(2n), 1 − 1/n, better for many parameters). The first simplex
    takes 5 % of each coordinate, or 0.00025 where it is 0. The descent ends where all points are within `xatol` of
    the best in every coordinate, and their losses within `fatol`. Points where the loss is undefined count as
    infinitely high. These are SciPy's conventions. Sources: Nelder, Mead 1965; adaptive: Gao, Han 2012.

    >>> import sympy as sp, symdescent as sd
    >>> x, y = sp.symbols("x y")
    >>> run = sd.Loss(sp.Abs(x - 1) + 3*(y - x)**2, [x, y]).descend({"x": 0.0, "y": 2.0}, optimizer=NelderMead())
    >>> run.success, bool(abs(run.params["x"] - 1) < 1e-3)
    (True, True)
    """

    adaptive: bool = False
    xatol: float = 1e-4
    fatol: float = 1e-4

    def __post_init__(self) -> None:
        advice = "give a small positive number, such as 1e-4, or 0"
        _check(self, xatol=(NOT_NEGATIVE, advice), fatol=(NOT_NEGATIVE, advice))

    def __str__(self) -> str:
        return _shown(self)


@dataclass(frozen=True, slots=True)
class RandomSearch:
    r"""Look at random points nearby, and move to the best if it is lower.

    Each step draws `points` points uniformly from the ball of radius `radius` around the parameters; if none is lower,
    the radius is multiplied by `shrink`. The same `seed` gives the same run.

    >>> import sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> run = sd.Loss((w - 3)**2, w).descend(0.0, optimizer=RandomSearch(), steps=200)
    >>> bool(abs(run.params["w"] - 3) < 1e-6)
    True
    """

    radius: float = 1.0
    points: int = 10
    shrink: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        _check(
            self,
            radius=(POSITIVE, "give a positive number, about the distance to the minimum"),
            shrink=(sp.Interval.Lopen(0, 1), "give a factor up to 1, such as 0.9"),
        )
        _count(self, "points", 1)
        _count(self, "seed", 0)

    def __str__(self) -> str:
        return _shown(self)


@dataclass(frozen=True, slots=True)
class LBFGS:
    r"""The quasi-Newton method L-BFGS, SciPy's own (`pip install scipy`), over the compiled value and gradient.

    `memory` is the number of steps that its model of the Hessian is made from. SciPy keeps that model to itself, so
    that a descent with it cannot be resumed. Source: Byrd, Lu, Nocedal, Zhu 1995.

    >>> import sympy as sp, symdescent as sd
    >>> run = sd.Loss((sp.Symbol("w") - 3)**4).descend(0.0, optimizer=sd.LBFGS(), gtol=1e-9)
    >>> round(run.params["w"], 2)
    3.0
    """

    memory: int = 10

    def __post_init__(self) -> None:
        _count(self, "memory", 1)

    def __str__(self) -> str:
        return _shown(self)


OTHERS = {kind.__name__: kind for kind in (Newton, NelderMead, RandomSearch, LBFGS)}
SEARCHES = {kind.__name__: kind for kind in (Backtracking, ExactLineSearch)}
