"""What searches are made of: small systems, random points, and their text in loops, against NumPy, SciPy and published numbers."""

from __future__ import annotations

import ast
import math

import numpy as np
import pytest
from scipy import stats

from symdescent.methods import algebra, arrays, chance, line, newton, simplex
from symdescent.methods.text import FLAT, calls, in_loops, library, needed

RANDOM = np.random.default_rng(17)


class Bowl:
    """(x - c)ᵀ A (x - c)/2 + Σ x⁴/4, with its derivatives by hand."""

    def __init__(self, n: int) -> None:
        root = RANDOM.normal(size=(n, n))
        self.a, self.c = root @ root.T + np.eye(n), RANDOM.normal(size=n)

    def value(self, x):
        return 0.5 * (x - self.c) @ self.a @ (x - self.c) + np.sum(x**4) / 4

    def gradient(self, x, slope):
        slope[:] = self.a @ (x - self.c) + x**3
        return self.value(x)

    def curvature(self, x, direction, product):
        product[:] = self.a @ direction + 3 * x**2 * direction


@pytest.mark.parametrize("by", [algebra, arrays], ids=["loops", "NumPy"])
@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_systems(by, n):
    # a row that is not exchanged, a factor from the other triangle, an index that runs too far
    matrix, x = RANDOM.normal(size=(n, n)), RANDOM.normal(size=n)
    matrix[0, 0] = 0.0 if n > 1 else 2.0  # elimination must exchange rows
    right = matrix @ x
    assert by.solve(matrix.copy(), right, n) == 1
    np.testing.assert_allclose(right, x, rtol=1e-10)
    definite = matrix @ matrix.T + np.eye(n)
    right = definite @ x
    assert by.solve_definite(definite.copy(), right, n) == 1
    np.testing.assert_allclose(right, x, rtol=1e-10)
    assert by.solve(np.zeros((n, n)), np.ones(n), n) == 0
    assert by.solve_definite(-definite, np.ones(n), n) == 0
    other = np.empty((n, n))
    by.shift(other, matrix, 0.5, n)
    np.testing.assert_array_equal(other, matrix + 0.5 * np.eye(n))
    by.symmetrize(other, n)
    np.testing.assert_allclose(other, (matrix + matrix.T) / 2 + 0.5 * np.eye(n), rtol=1e-15)
    assert by.largest_entry(matrix, n) == np.abs(matrix).max() and by.largest(x, n) == np.abs(x).max()
    assert by.least_diagonal(matrix, n) == np.diag(matrix).min()
    assert by.dot(x, right, n) == pytest.approx(x @ right, rel=1e-14)
    x[-1] = math.nan
    assert math.isnan(by.largest(x, n))


def test_the_generator_gives_the_published_numbers():
    # L'Ecuyer's own implementation, begun with 12345 six times
    state = np.full(6, 12345.0)
    found = [chance.uniform(state) for _ in range(3)]
    np.testing.assert_allclose(found, [0.127011122046577, 0.318527565396794, 0.309186015583270], rtol=1e-13)


def test_points_fill_a_ball_evenly():
    # a length that is not the n-th root, a corner that is preferred
    state, centre = chance.stream(3), np.array([1.0, -2.0, 0.5])
    points = np.array([_drawn(state, centre) for _ in range(2000)])
    radii = np.linalg.norm(points - centre, axis=1) / 2.0
    assert radii.max() <= 1.0
    assert stats.kstest(radii**3, "uniform").pvalue > 1e-3
    directions = (points - centre) / (2.0 * radii[:, None])
    assert all(stats.kstest((axis + 1) / 2, "uniform").pvalue > 1e-3 for axis in directions.T)  # Archimedes


def _drawn(state, centre):
    point = np.empty(3)
    chance.draw(state, centre, 3, 2.0, point)
    return point


def test_different_seeds_and_one_that_is_the_same():
    one, same, other = chance.stream(1), chance.stream(1), chance.stream(2)
    assert (one == same).all() and not (one == other).any()
    assert ((one >= 1) & (one < 4294944443)).all()


def test_newton_directions():
    loss, n = Bowl(4), 4
    x, hessian, direction = np.array([1.0, -1.0, 0.5, 2.0]), np.empty((4, 4)), np.empty(4)
    newton.fill_hessian(loss, algebra, x, n, hessian)
    np.testing.assert_allclose(hessian, loss.a + np.diag(3 * x**2), rtol=1e-14)
    slope = np.empty(4)
    loss.gradient(x, slope)
    for find in (newton.plain_direction, newton.downward_direction):
        assert find(algebra, hessian, slope, n, 0.25, direction) == 1
        np.testing.assert_allclose(direction, np.linalg.solve(hessian + 0.25 * np.eye(4), -slope), rtol=1e-12)
    assert newton.downward_direction(algebra, -hessian, slope, n, 0.0, direction) == 1
    assert slope @ direction < 0
    hessian[1, 2] = math.nan
    assert newton.downward_direction(algebra, hessian, slope, n, 0.0, direction) == 0
    assert newton.plain_direction(algebra, hessian, slope, n, 0.0, direction) == 0


def test_line_searches_find_what_scipy_finds():
    from scipy.optimize import minimize_scalar

    loss, n, x = Bowl(3), 3, np.array([2.0, -1.0, 1.0])
    slope = np.empty(n)
    value = loss.gradient(x, slope)
    direction, down = -slope, -slope @ slope
    step = line.first_minimum(loss, arrays, x, direction, n, down, 1e-12)
    best = minimize_scalar(lambda t: loss.value(x + t * direction), bracket=(0, 0.1), tol=1e-12).x
    assert step == pytest.approx(best, rel=1e-6)
    gradient = np.empty(n)
    loss.gradient(x + step * direction, gradient)
    assert abs(gradient @ direction) < 1e-9 * abs(down)
    step = line.backtracking(loss, arrays, x, direction, n, value, down, 8.0, 0.5, 1e-4)
    assert loss.value(x + step * direction) <= value + 1e-4 * step * down
    assert loss.value(x + 2 * step * direction) > value + 2e-4 * step * down


@pytest.mark.parametrize("name", sorted(library()))
def test_the_text_in_loops_computes_the_same(name):
    # a vector of which one entry is copied, a name that data have, a call that lacks the data
    n, loss = 3, Bowl(3)
    space = {"math": math, "np": np, "maximum": lambda a, b: a if a >= b or a != a else b}
    methods = {FLAT[each]: getattr(loss, each) for each in FLAT}
    space |= {flat: (lambda *given, f=function: f(*given[:-2])) for flat, function in methods.items()}
    for each in needed([name]):
        text = in_loops(library()[each], ("x", "n"))  # data with the names of a search's own
        head = ", ".join(argument for argument, _ in text.arguments)
        assert len({argument for argument, _ in text.arguments}) == len(text.arguments)
        exec(f"def {each}({head}):\n" + "".join(f"    {line}\n" for line in text.lines), space)
    modules = (algebra, line, newton, simplex, chance)
    original = next(getattr(module, name) for module in modules if hasattr(module, name) and name in library())
    tree = library()[name]
    given = {
        arg.arg: _example(arg.arg, ast.unparse(arg.annotation) if arg.annotation else "", n) for arg in tree.args.args
    }
    mine = {key: np.copy(value) if isinstance(value, np.ndarray) else value for key, value in given.items()}
    first = original(**{**given, **{k: v for k, v in (("loss", loss), ("algebra", algebra)) if k in given}})
    own = [value for key, value in mine.items() if key not in ("loss", "algebra")]
    takes_data = "loss" in given
    second = space[name](*own, *(["data", "data"] if takes_data else []))
    assert second == pytest.approx(first, rel=1e-12, nan_ok=True) if first is not None else second is None
    for key, value in given.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_allclose(mine[key], value, rtol=1e-12)


def _example(name: str, kind: str, n: int):
    random = np.random.default_rng(len(name))
    if kind == "Vector":
        return random.normal(size=n)
    if kind == "Matrix":
        root = random.normal(size=(n, n))
        return root @ root.T + np.eye(n)
    if kind == "Points":
        return random.normal(size=(n + 1, n))
    if kind == "Losses":
        return np.arange(1.0, n + 2)
    if kind == "Stream":
        return chance.stream(7)
    counts = {"n": n, "k": 1, "adaptive": 1, "points": 4, "seed": 5}
    numbers = {"slope": -2.0, "value": 50.0, "shrink": 0.5, "c": 1e-4, "initial": 1.0, "tolerance": 1e-10}
    return counts.get(name, numbers.get(name, 0.75)) if kind in ("int", "float") else None


def test_all_that_is_called_is_known():
    # a helper that a program would lack
    known = {*library(), "maximum", "abs", "max", "min", "range", "float"}
    for function in library().values():
        assert {name for name in calls(function) if "." not in name} <= known | {"stream"}


def test_the_condition_of_armijo_asks_for_a_share_of_the_slope():
    # (1 - 2t)² ≤ 1 - 4ct holds up to t = 1 - c; without the slope, t = 1 would do
    class Square:
        def value(self, x):
            return float(x[0] ** 2)

    x, direction = np.array([1.0]), np.array([-2.0])
    found = [line.backtracking(Square(), algebra, x, direction, 1, 1.0, -4.0, 1.0, 0.5, c) for c in (0.7, 0.4, 1e-4)]
    assert found == [0.25, 0.5, 0.5]


def test_a_hessian_that_bends_down_is_raised_past_its_least_diagonal():
    # λ = 2 · 10⁻³ + 2 for diag(-2, 1), whose largest entry is 2
    direction = np.empty(2)
    for by in (algebra, arrays):
        assert newton.downward_direction(by, np.diag([-2.0, 1.0]), np.array([1.0, 1.0]), 2, 0.0, direction) == 1
        np.testing.assert_allclose(direction, [-1 / 0.002, -1 / 3.002], rtol=1e-9)
