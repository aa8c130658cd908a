"""Landscapes: what is said of them (minima, saddles, maxima, values) holds, seen by the gradient and by neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import symdescent as sd
from symdescent import landscapes

EVERY = {
    **{make.__name__: make() for make in landscapes.ALL},
    "soft bowl": landscapes.bowl(0.5),
    "stiffer bowl": landscapes.bowl(1000),
    "shallow Rosenbrock": landscapes.rosenbrock(a=2.0, b=10.0),
    "Rosenbrock in 5": landscapes.rosenbrock(5),
    "Rastrigin in 1": landscapes.rastrigin(1),
    "Rastrigin in 4": landscapes.rastrigin(4),
    "Ackley in 1": landscapes.ackley(1),
    "Ackley in 3": landscapes.ackley(3),
}
KINKED = {"ackley", "Ackley in 1", "Ackley in 3"}  # its lowest point is the tip of a cone


def functions(landscape):
    """Value and gradient at a flat point, by the functions for arrays."""
    value, gradient = landscape.loss.lambdify()
    scalar = isinstance(landscape.parameters[0], sp.Symbol)

    def at(function, point):
        return np.ravel(function(*point) if scalar else function(np.array(point, dtype=float)))

    return (lambda p: float(at(value, p)[0])), (lambda p: at(gradient, p))


@pytest.mark.parametrize("name", EVERY)
def test_minima_have_the_lowest_value_and_no_slope(name):
    # a digit of a published minimum mistyped, or a sign in the statement
    landscape = EVERY[name]
    value, gradient = functions(landscape)
    random = np.random.default_rng(0)
    for point in landscape.minima:
        assert value(point) == pytest.approx(landscape.minimum, abs=1e-11)
        if name not in KINKED:
            assert np.max(np.abs(gradient(point))) < 1e-8
        for step in random.normal(size=(40, len(point))) * 1e-3:
            assert value(point + step) > landscape.minimum


@pytest.mark.parametrize("name", EVERY)
def test_nothing_in_the_box_is_lower(name):
    # a minimum that is one of several, and not the lowest
    landscape = EVERY[name]
    value, _ = functions(landscape)
    if not np.isfinite(landscape.minimum):
        return
    size = len(landscape.minima[0])
    low, high = np.transpose([*landscape.box, *[landscape.box[-1]] * (size - len(landscape.box))])
    for point in np.random.default_rng(1).uniform(low, high, (500, size)):
        assert value(point) >= landscape.minimum - 1e-12


@pytest.mark.parametrize("name", ["himmelblau", "beale", "saddle"])
def test_saddles_and_maxima_are_what_they_are_called(name):
    # a saddle listed among the maxima: the signs of the Hessian's eigenvalues tell
    landscape = EVERY[name]
    _, gradient = functions(landscape)
    hessian = sp.lambdify(landscape.parameters, landscape.loss.hessian)
    for kind, points in (("saddle", landscape.saddles), ("maximum", landscape.maxima)):
        for point in points:
            assert np.max(np.abs(gradient(point))) < 1e-8
            values = np.linalg.eigvalsh(np.array(hessian(*point), dtype=float))
            assert values[0] < 0 and (values[-1] > 0) == (kind == "saddle")


def test_published_values():
    # Jamil & Yang 2013, numbers 10, 17, 105, and Himmelblau's highest point
    himmelblau, _ = functions(landscapes.himmelblau())
    assert himmelblau(landscapes.himmelblau().maxima[0]) == pytest.approx(181.617, abs=1e-3)
    assert himmelblau((0.0, 0.0)) == 170.0
    beale, _ = functions(landscapes.beale())
    assert beale((0.0, 0.0)) == pytest.approx(1.5**2 + 2.25**2 + 2.625**2)
    rosenbrock, _ = functions(landscapes.rosenbrock())
    assert rosenbrock((-1.2, 1.0)) == pytest.approx(24.2)
    booth, _ = functions(landscapes.booth())
    assert booth((0.0, 0.0)) == 74.0
    rastrigin, _ = functions(landscapes.rastrigin())
    assert rastrigin((0.5, 0.5)) == pytest.approx(40.5)
    ackley, _ = functions(landscapes.ackley())
    assert ackley((1.0, 1.0)) == pytest.approx(20 * (1 - np.exp(-0.2)), abs=1e-12)
    assert landscapes.bowl(7).loss.curvature({"x": 0, "y": 0}).condition_number == pytest.approx(7.0)


@pytest.mark.parametrize("name", EVERY)
def test_starts_are_starts(name):
    # a start of another shape than the parameters, or outside of the picture
    landscape = EVERY[name]
    flat = np.concatenate([np.ravel(landscape.start[str(getattr(p, "name", p))]) for p in landscape.parameters])
    value, _ = functions(landscape)
    assert value(flat) > landscape.minimum
    for coordinate, (low, high) in zip(flat, landscape.box, strict=False):
        assert low < coordinate < high


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: landscapes.bowl(0), "stiffness = 0 is not positive"),
        (lambda: landscapes.bowl(float("nan")), "not a finite number"),
        (lambda: landscapes.rosenbrock(1), "dimension = 1 is not a whole number from 2"),
        (lambda: landscapes.rosenbrock(2.5), "dimension = 2.5"),
        (lambda: landscapes.rosenbrock(b=-1), "b = -1 is not positive"),
        (lambda: landscapes.rosenbrock(3, a=2), "known for a = 1"),
        (lambda: landscapes.ackley(0), "dimension = 0"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(sd.StatementError, match=message):
        make()
