"""The loops of the optimizers that are no update rules, as text around the functions of `symdescent.methods`."""

from __future__ import annotations

import ast
import textwrap
from typing import Any

from symdescent.methods.chance import stream
from symdescent.optimizers import LBFGS, Backtracking, LineSearch, NelderMead, Newton, RandomSearch, UpdateRule

SEARCH = "search"


def searched(optimizer: Any) -> bool:
    """Whether an optimizer compares points, instead of following an update rule with fixed steps."""
    if isinstance(optimizer, UpdateRule):
        return optimizer.program.searched is not None
    return isinstance(optimizer, (Newton, NelderMead, RandomSearch, LBFGS))


def search(optimizer: Any, quadratic: bool) -> ast.FunctionDef:
    """The function ``search(loss, algebra, x, n, steps)``, which moves x; `quadratic` says so of the loss."""
    if isinstance(optimizer, NelderMead):
        body = _nelder_mead(optimizer)
    elif isinstance(optimizer, RandomSearch):
        body = _random(optimizer)
    elif isinstance(optimizer, LBFGS):
        body = _LBFGS.replace("MEMORY", str(optimizer.memory))
    else:
        body = _along(optimizer, quadratic)
    head = f"def {SEARCH}(loss, algebra, x: Vector, n: int, steps: int) -> None:\n"
    named = plain_title(optimizer)
    said = f"{named[0].upper()}{named[1:]}: x is moved by so many steps, or until none is left to take."
    text = f'"""{said}"""\n{body}'
    (function,) = ast.parse(head + textwrap.indent(text, "    ")).body
    assert isinstance(function, ast.FunctionDef)
    return function


def plain_title(optimizer: Any) -> str:
    """What a search is called in a program."""
    if isinstance(optimizer, UpdateRule):
        return "gradient descent with a line search"
    names = {Newton: "Newton's method", NelderMead: "the simplex method of Nelder and Mead"}
    return names.get(type(optimizer), "random search" if isinstance(optimizer, RandomSearch) else "L-BFGS, by SciPy")


def equations(optimizer: Any) -> list[str]:
    """One step in words and formulas, and the chosen numbers."""
    if isinstance(optimizer, UpdateRule):
        assert optimizer.program.searched is not None
        return ["p = -g, θ' = θ + η*p", *_rate(optimizer.program.searched.value)]
    if isinstance(optimizer, Newton):
        chosen = f"(H + λ*I) p = -g, θ' = θ + η*p, λ = {optimizer.damping}"
        raised = ["λ is raised until H + λ*I is positive definite"] if optimizer.definite else []
        return [chosen, *raised, *_rate(optimizer.learning_rate)]
    return [str(optimizer)]


def _rate(rate: Any) -> list[str]:
    return [f"η by {rate}" if isinstance(rate, LineSearch) else f"η = {rate}"]


_ALONG = """
slope = np.empty(n)
direction = np.empty(n)
for t in range(steps):
    value = loss.gradient(x, slope)
    norm = algebra.largest(slope, n)
    if not (abs(value) < math.inf and 0.0 < norm and norm < math.inf):
        break
{direction}
{step}
    x[:] = x + step * direction
"""
_DOWN = """
    down = algebra.dot(slope, direction, n)
    if not down < 0.0:
        break
{search}
    if step == 0.0:
        break"""


def _along(optimizer: Any, quadratic: bool) -> str:
    """Steps along a direction: minus the gradient, or Newton's."""
    numbers: dict[str, float] = {}
    if isinstance(optimizer, Newton):
        rate = optimizer.learning_rate
        numbers["damping"] = optimizer.damping
        name = "downward_direction" if optimizer.definite else "plain_direction"
        direction = (
            "    fill_hessian(loss, algebra, x, n, hessian)\n"
            f"    found = {name}(algebra, hessian, slope, n, damping, direction)\n"
            "    if found == 0:\n        break"
        )
        buffers = "hessian = np.empty((n, n))\n"
    else:
        assert optimizer.program.searched is not None
        rate, direction, buffers = optimizer.program.searched.value, "    direction[:] = -slope", ""
    if isinstance(rate, Backtracking):
        numbers |= {"initial": rate.initial, "shrink": rate.shrink, "c": rate.c}
        found = "    step = backtracking(loss, algebra, x, direction, n, value, down, initial, shrink, c)"
        step = _DOWN.replace("{search}", found)
    elif isinstance(rate, LineSearch):
        numbers["tolerance"] = rate.tolerance  # type: ignore[attr-defined]
        nearest = "step = first_minimum(loss, algebra, x, direction, n, down, tolerance)"
        found = f"    {nearest}"
        if quadratic:
            at_once = "    step = quadratic_step(loss, algebra, x, direction, n, down)"
            found = f"{at_once}\n    if step == 0.0:\n        {nearest}"
        step = _DOWN.replace("{search}", found)
    else:
        numbers["learning_rate"] = float(rate)
        step = "    step = learning_rate"
    lines = "".join(f"{name} = {value!r}\n" for name, value in numbers.items())
    return lines + buffers + _ALONG.replace("{direction}", direction).replace("{step}", step).lstrip("\n")


_SIMPLEX = """
points = np.empty((n + 1, n))
losses = np.empty(n + 1)
centre = np.empty(n)
tried = np.empty(n)
other = np.empty(n)
first_simplex(x, points, n)
begin(loss, points, losses, n, tried)
for t in range(steps):
    wide = width(points, n)
    far = spread(losses, n)
    if wide <= xatol and far <= fatol:
        break
    move(loss, points, losses, n, adaptive, centre, tried, other)
for k in range(n):
    x[k] = points[0, k]
"""


def _nelder_mead(optimizer: NelderMead) -> str:
    return f"xatol = {optimizer.xatol!r}\nfatol = {optimizer.fatol!r}\nadaptive = {int(optimizer.adaptive)}{_SIMPLEX}"


_RANDOM = """
tried = np.empty(n)
best = np.empty(n)
lowest = loss.value(x)
for t in range(steps):
    if not abs(lowest) < math.inf:
        break
    reached = best_nearby(loss, state, x, n, radius, points, tried, best)
    if reached < lowest:
        lowest = reached
        x[:] = best
    else:
        radius *= shrink
"""


def _random(optimizer: RandomSearch) -> str:
    numbers = f"radius = {optimizer.radius!r}\npoints = {optimizer.points}\nshrink = {optimizer.shrink!r}\n"
    state = "".join(f"state[{k}] = {float(number)!r}\n" for k, number in enumerate(stream(optimizer.seed)))
    return f"{numbers}state = np.empty(6)\n{state}{_RANDOM}"


_LBFGS = """
def value_and_slope(x):
    slope = np.empty(n)
    value = loss.gradient(x, slope)
    return value, slope

options = {"maxcor": MEMORY, "maxiter": steps, "maxfun": 2**62, "gtol": 0.0, "ftol": 0.0}
found = minimize(value_and_slope, x, jac=True, method="L-BFGS-B", options=options)
for k in range(n):
    x[k] = found.x[k]
"""
