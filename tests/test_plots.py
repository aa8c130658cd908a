"""Pictures: what their artists hold (paths, levels, marks, words), and that odd input neither crashes nor lies."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import sympy as sp
from matplotlib.figure import Figure

import symdescent as sd
from symdescent import landscapes, plots
from symdescent.plots.box import around, choose
from symdescent.plots.canvas import STYLES, chosen_rows
from symdescent.plots.ground import path, subject
from symdescent.plots.levels import levels
from symdescent.plots.model import model_of

w, b, x, y = sp.symbols("w b x y")
LINE = sd.Loss((y - (w * x + b)) ** 2, [w, b], samples=[x, y])
XS = np.linspace(0.0, 4.0, 20)
DATA = {"x": XS, "y": 1 + 2 * XS + 0.3 * np.sin(9 * XS)}


@pytest.fixture
def ax():
    """Axes that Pyplot does not know of."""
    return Figure(layout="constrained").add_subplot()


@pytest.fixture
def solid():
    return Figure(layout="constrained").add_subplot(projection="3d")


@pytest.fixture(scope="module")
def runs():
    """A descent of each sort, made once."""
    booth, himmelblau = landscapes.booth().loss, landscapes.himmelblau().loss
    start = {"x": -6.0, "y": 8.0}
    return {
        "parabola": landscapes.parabola().loss.descend(0.0, optimizer=sd.GradientDescent(0.1), steps=20, gtol=0),
        "descent": booth.descend(start, optimizer=sd.GradientDescent(0.05), steps=30, gtol=0),
        "momentum": booth.descend(start, optimizer=sd.Momentum(0.02, momentum=0.85), steps=40, gtol=0),
        "Nesterov": booth.descend(start, optimizer=sd.Momentum(0.02, nesterov=True), steps=40, gtol=0),
        "simplex": himmelblau.descend({"x": -0.5, "y": 0.5}, optimizer=sd.NelderMead()),
        "line": LINE.descend({"w": -1.0, "b": 0.0}, DATA, sd.GradientDescent(0.02), steps=200),
        "five": landscapes.rosenbrock(5).loss.descend(
            landscapes.rosenbrock(5).start, optimizer=sd.GradientDescent(5e-4), steps=300
        ),
    }


def lines(ax):
    """The lines of a picture by label."""
    return {line.get_label(): line for line in ax.lines}


def labelled(ax, begins):
    (found,) = [line for label, line in lines(ax).items() if label.startswith(begins)]
    return found


def told(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def saved(ax):
    """The picture as SVG: what cannot be drawn fails here."""
    written = io.BytesIO()
    ax.figure.savefig(written, format="svg")
    return written.getvalue().decode()


# -- curves -----------------------------------------------------------------------------------------------------------


def test_the_path_lies_on_the_curve(ax, runs):
    # batch losses, or losses one step late, in the place of the loss at the point
    run = runs["parabola"]
    assert plots.curve(run, ax) is ax
    drawn = labelled(ax, "gradient descent").get_xydata()
    np.testing.assert_array_equal(drawn[:, 0], run.trajectory["w"])
    np.testing.assert_allclose(drawn[:, 1], (drawn[:, 0] - 3) ** 2, rtol=1e-14)
    curve = lines(ax)["loss"].get_xydata()
    np.testing.assert_allclose(curve[:, 1], (curve[:, 0] - 3) ** 2, rtol=1e-13, atol=1e-15)
    assert told(ax)[-2:] == ["start: $w$ = 0", "after 20 steps: $w$ = 2.965"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$w$", "loss $L(w)$")


def test_tangents_touch_the_curve_with_its_slope(ax, runs):
    # the gradient at another point, or with the sign of the step
    plots.curve(runs["parabola"], ax, tangents=3)
    tangents = [line.get_xydata() for line in ax.lines if "tangent" in line.get_label()]
    assert len(tangents) == 3
    for (left, low), (right, high) in tangents:
        middle = (left + right) / 2
        assert (high - low) / (right - left) == pytest.approx(2 * (middle - 3))
        assert (low + high) / 2 == pytest.approx((middle - 3) ** 2)


def test_a_curve_has_gaps_where_the_loss_is_undefined(ax):
    # an exception, a warning, or a line through the gap
    plots.curve(sd.Loss(w - sp.log(w), w), ax)
    curve = lines(ax)["loss"].get_xydata()
    assert np.isnan(curve[curve[:, 0] < 0, 1]).all() and np.isfinite(curve[curve[:, 0] > 0, 1]).all()
    assert ax.get_xlim()[0] < 1 < ax.get_xlim()[1]  # the minimum was found, though nothing was said of it
    saved(ax)


def test_a_descent_that_runs_away_is_shown_where_it_begins(ax):
    # a picture of the last point alone, 10^5 away
    run = landscapes.parabola().loss.descend(0.0, optimizer=sd.GradientDescent(1.05), steps=300)
    plots.curve(run, ax)
    assert abs(ax.get_xlim()[0]) < 100 and told(ax)[-1].endswith("outside")
    saved(ax)


# -- contours ---------------------------------------------------------------------------------------------------------


def test_contours_hold_path_start_and_end(ax, runs):
    run = runs["descent"]
    assert plots.contours(run, ax) is ax
    np.testing.assert_array_equal(labelled(ax, "gradient descent").get_xydata(), path(run))
    np.testing.assert_array_equal(lines(ax)["start"].get_xydata(), [[-6.0, 8.0]])
    assert told(ax)[0] == "gradient descent, η = 0.05: 30 steps"
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert left < -6 and right > 1 and low < 3 and high > 8
    assert ax.get_aspect() == 1.0


def test_contours_stand_where_the_loss_has_their_level(ax):
    # axes exchanged: contours of L(y, x)
    loss = sd.Loss(x**2 + 9 * y**2, [x, y])
    plots.contours(loss, ax, box=((-3, 3), (-1, 1)))
    (drawn,) = [each for each in ax.collections if type(each).__name__ == "QuadContourSet" and not each.filled]
    assert (np.diff(drawn.levels) > 0).all()
    for level, piece in zip(drawn.levels, drawn.get_paths(), strict=True):
        if len(piece.vertices):
            np.testing.assert_allclose(piece.vertices**2 @ [1, 9], level, rtol=0.05, atol=1e-2)


def arrows(ax):
    return [each for each in ax.collections if type(each).__name__ == "Quiver"]


def test_arrows_point_down_the_gradient(ax, runs):
    # the gradient itself, uphill
    plots.contours(runs["descent"], ax)
    (quiver,) = arrows(ax)
    slopes = 2 * (quiver.get_offsets() @ [[1, 2], [2, 1]] - [7, 5]) @ [[1, 2], [2, 1]]
    shown = np.column_stack([quiver.U, quiver.V])
    for slope, arrow in zip(slopes, shown, strict=True):
        assert slope @ arrow == pytest.approx(-np.linalg.norm(slope) * np.linalg.norm(arrow), rel=1e-9)


@pytest.mark.parametrize("which", ["momentum", "Nesterov"])
def test_gradient_and_velocity_add_up_to_the_step(ax, runs, which):
    # the velocity of the step before or after
    run = runs[which]
    plots.contours(run, ax)
    gradient, velocity = arrows(ax)
    points, steps = path(run), np.diff(path(run), axis=0)
    for at, g, v in zip(gradient.get_offsets(), zip(gradient.U, gradient.V, strict=True),
                        zip(velocity.U, velocity.V, strict=True), strict=True):  # fmt: skip
        (k,) = np.flatnonzero((points == at).all(axis=1))
        np.testing.assert_allclose(np.add(g, v), steps[k], atol=1e-13)
        if which == "momentum" and k > 0:
            np.testing.assert_allclose(v, 0.85 * steps[k - 1], atol=1e-12)


def test_undefined_parts_stay_white_and_a_loss_undefined_everywhere_is_said(ax):
    plots.contours(sd.Loss(sp.log(w) + 1 / w + (b - 1) ** 2, [w, b]), ax, box=((-1, 3), (0, 2)))
    (drawn,) = [each for each in ax.collections if type(each).__name__ == "QuadContourSet" and not each.filled]
    assert min(piece.vertices[:, 0].min() for piece in drawn.get_paths() if len(piece.vertices)) > 0
    other = Figure().add_subplot()
    plots.contours(sd.Loss(sp.log(-1 - x**2 - y**2), [x, y]), other)
    assert "undefined" in other.texts[0].get_text()


def test_losses_as_large_as_numbers_get(ax):
    # levels beyond what Matplotlib takes for infinity, overflow in rounding
    plots.contours(sd.Loss(sp.exp(x * y), [x, y]), ax, box=((-40, 40), (-40, 40)), resolution=41)
    saved(ax)


def test_critical_points_are_marked_by_kind(ax):
    # all of one kind, or at exchanged coordinates
    landscape = landscapes.himmelblau()
    plots.contours(landscape, ax, critical=True)
    for label, known in (("minimum", landscape.minima), ("saddle", landscape.saddles), ("maximum", landscape.maxima)):
        np.testing.assert_allclose(sorted(map(tuple, lines(ax)[label].get_xydata())), sorted(known), atol=1e-6)
    assert len({lines(ax)[label].get_marker() for label in ("minimum", "saddle", "maximum")}) == 3


def test_critical_points_with_data_and_with_periods(ax):
    # symbols of the solution that are not numbers yet
    plots.contours(LINE, ax, data=DATA, critical=True)
    np.testing.assert_allclose(lines(ax)["minimum"].get_xydata(), [np.polyfit(XS, DATA["y"], 1)], rtol=1e-6)
    other = Figure().add_subplot()
    plots.curve(sd.Loss(sp.cos(w), w), other, critical=True, box=(-7, 7))
    np.testing.assert_allclose(sorted(lines(other)["minimum"].get_xdata()), [-np.pi, np.pi])


def test_several_descents_differ_without_colour(ax, runs):
    # lines that only their colour tells apart
    drawn = plots.contours({"one": runs["descent"], "two": runs["momentum"], "three": runs["Nesterov"]}, ax)
    named = [labelled(drawn, name) for name in ("one", "two", "three")]
    assert len({line.get_marker() for line in named}) == 3 and len({line.get_linestyle() for line in named}) > 1
    assert len({(each.line, each.marker) for each in STYLES}) == len(STYLES)


def test_an_array_of_two_entries_is_drawn_like_two_symbols(ax):
    n, i, j = sp.symbols("n i j", integer=True)
    X, Y, W = sp.IndexedBase("X", shape=(n, 2)), sp.IndexedBase("y", shape=(n,)), sp.IndexedBase("w", shape=(2,))
    loss = sd.Loss(sp.Sum((Y[i] - sp.Sum(X[i, j] * W[j], (j, 0, 1))) ** 2, (i, 0, n - 1)) / n, W)
    data = {"X": np.column_stack([XS, np.ones(20)]), "y": DATA["y"]}
    ours = subject(loss, data).ground.values([[1.0, 2.0], [0.0, -1.0]])
    theirs = subject(LINE, DATA).ground.values([[1.0, 2.0], [0.0, -1.0]])
    np.testing.assert_allclose(ours, theirs, rtol=1e-13)
    loss.plot(data=data, ax=ax, resolution=9)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$w_{0}$", "$w_{1}$")


# -- levels and boxes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", landscapes.ALL[1:])
def test_levels_increase_and_cover_the_losses(make):
    # levels that all stand in the highest tenth, so that the valley is empty
    landscape = make()
    heights = subject(landscape).ground.on_grid(*(np.linspace(low, high, 60) for low, high in landscape.box))
    found = levels(heights)
    assert (np.diff(found.values) > 0).all() and 4 <= len(found.values) <= 24
    assert found.values[-1] <= heights.max() * (1 + 1e-9) and found.values[-1] > heights.mean() / 4
    below = [np.mean(heights < level) for level in found.values]
    assert below[0] < 0.25 and len({round(each, 2) for each in below}) > 4


@pytest.mark.parametrize(
    "values", [[np.nan], [], [3.0, 3.0], [0.0, np.inf], [1e-300, 1e300], [-1e300, 1e300], [5.0, 5.0 + 1e-13]]
)
def test_levels_of_odd_values(values):
    found = levels(np.array(values))
    assert len(found.values) >= 2 and (np.diff(found.values) > 0).all()


def test_the_box_shows_the_path_or_the_lowest_place(runs):
    for name in ("descent", "simplex"):
        for points, (low, high) in zip(path(runs[name]).T, choose(subject(runs[name])), strict=True):
            assert low < points.min() and points.max() < high
    for target in (0.02, 7.0, -250.0):
        (low, high), _ = choose(subject(sd.Loss((x - target) ** 2 + (y - 1) ** 2, [x, y])))
        assert low < target < high and low < 0 < high < 1000
    assert choose(subject(sd.Loss(x**2 - y**2, [x, y]))) == ((-2.0, 2.0), (-2.0, 2.0))
    (low, high), _ = around([[0.0, 5.0], [4.0, 5.0]])
    assert low < 0 and high > 4


# -- surface, cost, race ----------------------------------------------------------------------------------------------


def test_the_path_lies_on_the_surface(solid, runs):
    plots.surface(runs["descent"], solid, log=False, resolution=21)
    line = next(line for line in solid.lines if "gradient descent" in line.get_label())
    across, up, height = line.get_data_3d()
    np.testing.assert_allclose(height, (across + 2 * up - 7) ** 2 + (2 * across + up - 5) ** 2, atol=1e-10)
    assert solid.get_zlabel() == "loss $L(x, y)$"
    plots.surface(landscapes.rosenbrock(), solid, resolution=11)
    assert "log" in solid.get_zlabel()


def test_cost_is_the_history(ax, runs):
    run = runs["parabola"]
    plots.cost(run, ax)
    np.testing.assert_array_equal(
        labelled(ax, "gradient descent").get_xydata(), np.column_stack([np.arange(21), run.history["loss"]])
    )
    assert ax.get_yscale() == "log" and ax.get_xlabel() == "step $k$"


def test_cost_of_losses_below_zero_is_told_above_the_lowest(ax):
    # a logarithm of negative numbers
    run = sd.Loss(x**2 - 5, x).descend(1.0, optimizer=sd.GradientDescent(0.1), steps=30, gtol=0)
    plots.cost(run, ax)
    heights = labelled(ax, "gradient descent").get_ydata()
    np.testing.assert_allclose(heights, run.history["loss"][:-1] - run.fun)
    assert "L^*" in ax.get_ylabel() and ax.get_yscale() == "log"


def test_work_is_counted_step_by_step():
    # evaluations that a line search makes, divided evenly among all steps
    landscape = landscapes.rosenbrock()
    for optimizer in (sd.GradientDescent(sd.Backtracking()), sd.Newton(), sd.LBFGS()):
        run = landscape.loss.descend(landscape.start, optimizer=optimizer, steps=8, gtol=0)
        assert run.work[:, 0].tolist() == list(range(9))
        assert (np.diff(run.work[:, 1:], axis=0) >= 0).all() and run.work[-1, 2] <= run.nfev
        for steps in (1, 3, 8):
            again = landscape.loss.descend(landscape.start, optimizer=optimizer, steps=steps, gtol=0)
            assert run.work[steps, 2] == again.work[-1, 2]


def test_cost_against_evaluations_and_time(ax, runs):
    plots.cost(runs["descent"], ax, against="gradients")
    across = labelled(ax, "gradient descent").get_xdata()
    np.testing.assert_allclose(np.diff(across)[1:], 1.0)
    other = Figure().add_subplot()
    plots.cost(runs["simplex"], other, against="evaluations")
    assert labelled(other, "NelderMead").get_xdata()[-1] == pytest.approx(runs["simplex"].nfev, abs=2)
    third = Figure().add_subplot()
    plots.cost([runs["descent"], runs["momentum"]], third, against="time")
    assert third.get_xlabel() in ("time (s)", "time (ms)", "time (µs)")


def test_work_goes_on_with_a_descent_and_into_files(tmp_path, runs):
    # marks shared by a descent and the longer one, or lost in a file
    before = runs["descent"].work.copy()
    longer = runs["descent"].resume(steps=10)
    np.testing.assert_array_equal(runs["descent"].work, before)
    assert longer.work[-1, 0] == 40 and (np.diff(longer.work[:, 1]) >= 0).all()
    longer.save(tmp_path / "run.npz")
    loaded = sd.load(tmp_path / "run.npz")
    np.testing.assert_array_equal(loaded.work, longer.work)
    assert loaded.resume(steps=5).work[-1, 0] == 45


def test_cost_of_batches_shows_epochs(ax):
    run = LINE.descend({"w": 0.0, "b": 0.0}, DATA, sd.GradientDescent(0.02), batch_size=5, epochs=6, validation=0.2)
    plots.cost({"batches": run}, ax)
    drawn = lines(ax)["batches, mean of each epoch"].get_xydata()
    np.testing.assert_allclose(drawn[:, 1], run.epochs["loss"])
    assert drawn[-1, 0] == run.nit and "batches, held-out samples" in told(ax)


def test_a_race_draws_every_path_from_one_start(ax):
    rules = {"steepest": sd.GradientDescent(0.02), "50% $": sd.Momentum(0.02)}
    plots.race(landscapes.booth(), rules, ax, steps=30)
    paths = [labelled(ax, "steepest").get_xydata(), labelled(ax, r"50% \$").get_xydata()]
    assert paths[0][0].tolist() == paths[1][0].tolist() == [0.0, 0.0] and not np.array_equal(*paths)
    saved(ax)
    runs = plots.compete(landscapes.rosenbrock(5), [sd.GradientDescent(1e-4), sd.GradientDescent(2e-4)], steps=5)
    assert len(runs) == 2
    assert (
        plots.race(landscapes.rosenbrock(5), [sd.GradientDescent(1e-4)], Figure().add_subplot()).get_xlabel()
        == "step $k$"
    )


# -- learning rates and momentum --------------------------------------------------------------------------------------


def kinds(thing, rates, steps=60, **options):
    return [each.kind for each in plots.try_rates(thing, rates, steps=steps, **options)]


@pytest.mark.parametrize("curvature", [0.5, 2.0, 40.0])
def test_rates_are_classed_as_theory_says_in_one_dimension(curvature):
    # 1 - ηλ keeps its sign below 1/λ, and its size below 1 up to 2/λ; in n steps it falls to a tenth from
    # (1 - 10^(-1/n))/λ on
    loss, steps = sd.Loss(curvature * w**2 / 2, w), 60
    slow = (1 - 0.1 ** (1 / steps)) / curvature
    edges = np.array([slow, 1 / curvature, 2 / curvature])
    inside = np.concatenate([edges * 0.98, edges * 1.02])
    order = np.argsort(inside)
    found = kinds(loss, inside[order], steps, start=1.0)
    assert found == ["crawling", "converging", "converging", "oscillating", "oscillating", "diverging"]


def test_rates_are_classed_as_theory_says_in_two_dimensions():
    # with λ from 1 to 10 the error that lasts turns over from η = 2/(1 + 10) on, and grows from 2/10 on
    landscape = landscapes.bowl(10)
    found = kinds(landscape, [0.001, 0.1, 0.17, 0.19, 0.199, 0.21], 100)
    assert found == ["crawling", "converging", "converging", "oscillating", "oscillating", "diverging"]


def test_a_sweep_marks_each_kind_and_the_theory(ax):
    plots.sweep(landscapes.parabola(), ax=ax)
    drawn = lines(ax)
    assert {label.split(":")[0] for label in drawn} >= {"crawling", "converging", "oscillating", "diverging"}
    assert drawn[r"$1/\lambda_{\max}$"].get_xdata()[0] == 0.5 and drawn[r"$2/\lambda_{\max}$"].get_xdata()[0] == 1.0
    assert labelled(ax, "oscillating").get_xdata().min() > 0.5 > labelled(ax, "converging").get_xdata().max() - 1e-9
    assert labelled(ax, "diverging").get_xdata().min() > 1.0 > labelled(ax, "oscillating").get_xdata().max()
    assert ax.get_xscale() == "log"


def measured(curvatures, eta, mu, nesterov):
    """The factor of the error in a step, by walking."""
    errors, before = np.ones(len(curvatures)), np.zeros(len(curvatures))
    velocity = before
    sizes = []
    for _ in range(400):
        gradient = curvatures * errors
        velocity = mu * velocity + gradient
        errors = errors - eta * (gradient + mu * velocity if nesterov else velocity)
        sizes.append(np.linalg.norm([*errors, *velocity]))
        errors, velocity = errors / sizes[-1], velocity / sizes[-1]
    return np.exp(np.mean(np.log(sizes[200:])))


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_rate_is_that_of_a_walk(nesterov):
    # the determinant and the trace of the other method
    curvatures = np.array([1.0, 4.0, 9.0])
    for eta in (0.02, 0.1, 0.2):
        for mu in (0.0, 0.3, 0.8):
            found = float(plots.convergence_rate(curvatures, eta, mu, nesterov))
            assert found == pytest.approx(measured(curvatures, eta, mu, nesterov), rel=0.02)


def test_polyaks_optimum_is_the_best_of_the_map(ax):
    # 4/(√L + √l)², ((√κ - 1)/(√κ + 1))²
    eta, mu = np.linspace(0.001, 0.45, 400), np.linspace(0, 0.99, 400)
    rates = plots.convergence_rate([1.0, 9.0], eta[None, :], mu[:, None])
    row, column = np.unravel_index(np.argmin(rates), rates.shape)
    assert rates.min() == pytest.approx(0.5, abs=0.02)
    assert (eta[column], mu[row]) == (pytest.approx(0.25, abs=0.01), pytest.approx(0.25, abs=0.02))
    plots.momentum_map(landscapes.bowl(9), ax, resolution=41)
    np.testing.assert_allclose(labelled(ax, "Polyak").get_xydata(), [[0.25, 0.25]])
    np.testing.assert_allclose(labelled(ax, "best without").get_xydata(), [[0.2, 0.0]])
    border = labelled(ax, "stable").get_xydata()
    np.testing.assert_allclose(plots.convergence_rate([1.0, 9.0], border[:, 0] * 0.999, border[:, 1])[1:] < 1, True)
    np.testing.assert_allclose(plots.convergence_rate([1.0, 9.0], border[:, 0] * 1.001, border[:, 1])[1:] > 1, True)
    assert told(ax)[2].endswith("rate 0.5")


# -- simplices, slices ------------------------------------------------------------------------------------------------


def test_simplices_are_those_of_the_descent(ax, runs):
    run = runs["simplex"]
    plots.simplices(run, ax, most=1000)
    assert len(ax.patches) == len(run.simplices)
    np.testing.assert_array_equal(ax.patches[3].get_xy()[:3], run.simplices[3])


def test_a_slice_is_the_loss_on_its_plane(ax, runs):
    # directions exchanged, or a middle that is not the end
    run = runs["five"]
    plots.slice_(run, ax, directions=["x[0]", "x[3]"], resolution=21)
    path_drawn = labelled(ax, "gradient descent").get_xydata()
    np.testing.assert_allclose(path_drawn, (path(run) - run.x)[:, [0, 3]], atol=1e-12)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("change of $x_{0}$", "change of $x_{3}$")
    line = plots.slice_(run, Figure().add_subplot(), directions=[[0, 0, 1, 0, 0]], box=(-1, 1))
    along, heights = lines(line)["loss"].get_data()
    points = run.x + np.outer(along, [0, 0, 1, 0, 0])
    expected = np.sum(100 * (points[:, 1:] - points[:, :-1] ** 2) ** 2 + (1 - points[:, :-1]) ** 2, axis=1)
    np.testing.assert_allclose(heights, expected, rtol=1e-12)


def test_principal_directions_hold_a_flat_path():
    # a path in a plane of 5 dimensions projects onto it without loss
    landscape = landscapes.bowl(10)
    spun = sp.IndexedBase("v", shape=(5,))
    entries = [sum((k + 1) * (-1) ** (k * row) * spun[k] for k in range(5)) for row in range(2)]
    loss = sd.Loss(entries[0] ** 2 + entries[1] ** 2 * 3, spun)
    run = loss.descend([1.0, -0.5, 0.3, 0.2, 0.7], optimizer=sd.GradientDescent(0.002), steps=100)
    ax = Figure().add_subplot()
    plots.slice_(run, ax, resolution=9)
    shown = labelled(ax, "gradient descent").get_xydata()
    np.testing.assert_allclose(np.linalg.norm(shown, axis=1), np.linalg.norm(path(run) - run.x, axis=1), atol=1e-9)
    shares = [float(text.split("(")[1].split("%")[0]) for text in (ax.get_xlabel(), ax.get_ylabel())]
    assert sum(shares) == pytest.approx(100, abs=1) and shares[0] > shares[1]
    assert landscape.minimum == 0


# -- regressions ------------------------------------------------------------------------------------------------------

a, c = sp.symbols("a c")
U = sp.Symbol("u")
MODELS = {
    "squares": ((y - (w * x + b)) ** 2, w * x + b),
    "the other way round": ((w * x + b - y) ** 2 / 2, w * x + b),
    "absolute": (sp.Abs(y - w * x), w * x),
    "Huber": (sd.losses.huber(y, w * x + b), w * x + b),
    "multiplied out": (sp.expand((y - w * x - b) ** 2), w * x + b),
    "a penalty": ((y - w * x) ** 2 + w**2 / 10, w * x),
    "a scaled target": ((2 * y - w * x) ** 2, w * x / 2),
    "a sine": (sp.log(sp.cosh(y - w * sp.sin(b * x))), w * sp.sin(b * x)),
    "a constant": ((y - w * x - U) ** 2, w * x + U),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_model_is_read_off_the_loss(name):
    # the sign of the model, the factor of the target, a part that was left behind
    expression, model = MODELS[name]
    parameters = sorted(expression.free_symbols & {w, b}, key=str)
    found = model_of(sd.Loss(expression, parameters, samples=[x, y]))
    assert sp.simplify(found.expression - model) == 0 and (found.input, found.target) == (x, y)


def test_the_model_of_sums_over_entries():
    n, i = sp.symbols("n i", integer=True)
    X, Y = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("y", shape=(n,))
    found = model_of(sd.Loss(sp.Sum((Y[i] - w * X[i] - b) ** 2, (i, 0, n - 1)) / n + w**2, [w, b]))
    assert sp.simplify(found.expression - (w * x + b)) == 0


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (sp.log(1 + sp.exp(-y * (w * x + b))), "give the model"),
        ((y - w * x) ** 2 * x + b, "give the model"),
        ((y - w * x) ** 4 + x * w + b, "give the model"),
        ((y - w * x * c - b) ** 2, "has 2 inputs"),
    ],
)
def test_a_loss_without_such_a_model_is_refused(expression, message):
    # a curve that the loss does not fit
    samples = [s for s in (x, c, y) if s in expression.free_symbols]
    loss = sd.Loss(expression, [w, b], samples=samples)
    with pytest.raises(sd.StatementError, match=message):
        model_of(loss)


def test_a_fit_draws_samples_and_curves(ax, runs):
    run = runs["line"]
    plots.fit(run, ax)
    np.testing.assert_array_equal(lines(ax)["samples"].get_xydata(), np.column_stack([XS, DATA["y"]]))
    across, heights = labelled(ax, "after 200 steps").get_data()
    np.testing.assert_allclose(heights, run.params["w"] * across + run.params["b"], rtol=1e-12)
    across, heights = lines(ax)["start"].get_data()
    np.testing.assert_allclose(heights, -across, atol=1e-12)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x$", "$y$")


def test_a_fit_of_a_given_model(ax):
    loss = sd.Loss(sp.log(1 + sp.exp(-y * (w * x + b))), [w, b], samples=[x, y])
    run = loss.descend({"w": 0.0, "b": 0.0}, {"x": XS - 2, "y": np.sign(XS - 1.9)}, sd.Adam(0.1), steps=20)
    plots.fit(run, ax, model=2 * sd.sigmoid(w * x + b) - 1)
    across, heights = labelled(ax, "after 20 steps").get_data()
    np.testing.assert_allclose(heights, np.tanh((run.params["w"] * across + run.params["b"]) / 2), rtol=1e-9)
    with pytest.raises(sd.StatementError, match="its input"):
        plots.fit(run, model=w + b)
    with pytest.raises(sd.StatementError, match="which the loss does not know"):
        plots.fit(run, model=w * x + U)


# -- the check --------------------------------------------------------------------------------------------------------


def test_the_errors_of_differences_are_a_v(ax):
    # orders exchanged, a complex step that turns up again
    check = sd.Loss(sp.exp(w) * sp.sin(w), w).check(at=1.5)
    assert check.plot(ax) is ax
    drawn = {name: line.get_xydata() for name, line in lines(ax).items()}
    slopes = {}
    for name in ("forward difference", "central difference"):
        h, error = drawn[name].T
        inside = (h > 1e-3) & (h < 0.1)
        slopes[name] = np.polyfit(np.log(h[inside]), np.log(error[inside]), 1)[0]
        assert error[h < 1e-14].min() > 1e3 * error.min()
    assert slopes["forward difference"] == pytest.approx(1, abs=0.1)
    assert slopes["central difference"] == pytest.approx(2, abs=0.1)
    h, error = drawn["complex step"].T
    assert error[h < 1e-9].max() < 1e-14
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_the_complex_step_is_left_out_where_it_is_wrong(ax):
    plots.differences(sd.Loss(sp.Abs(w) ** 3, w), ax, at=1.0)
    assert "complex step" not in lines(ax)


def test_a_component_is_chosen_by_name(ax):
    v = sp.IndexedBase("v", shape=(3,))
    loss = sd.Loss(v[0] ** 2 + sp.exp(v[1]) + v[2], v)
    plots.differences(loss, ax, at={"v": [1.0, 1.0, 1.0]}, component="v[1]")
    assert "$v_{1}$" in ax.get_ylabel()
    with pytest.raises(sd.StatementError, match=r"'v\[7\]' is no row"):
        plots.differences(loss, at={"v": [1.0, 1.0, 1.0]}, component="v[7]")


def test_the_taylor_remainder_falls_with_slope_two(ax):
    plots.taylor(landscapes.himmelblau(), ax)
    h, remainder = lines(ax)["remainder"].get_data()
    assert np.polyfit(np.log(h), np.log(remainder), 1)[0] == pytest.approx(2, abs=0.05)


# -- choosing, films --------------------------------------------------------------------------------------------------


def test_the_fitting_picture_is_chosen(ax, runs):
    expected = {"parabola": "loss $L(w)$", "descent": "$y$", "simplex": "$y$", "line": "$y$", "five": "loss $L$"}
    for name, label in expected.items():
        assert runs[name].plot(ax=Figure().add_subplot()).get_ylabel() == label, name
    assert "best corner" in " ".join(told(runs["simplex"].plot(ax=Figure().add_subplot())))
    assert "samples" in told(runs["line"].plot(ax=Figure().add_subplot()))
    assert landscapes.parabola().loss.plot(ax=Figure().add_subplot()).get_ylabel() == "loss $L(w)$"
    assert LINE.plot(data=DATA, ax=Figure().add_subplot()).get_xlabel() == "$w$"
    assert LINE.plot(at={"w": 2.0, "b": 1.0}, data=DATA, ax=Figure().add_subplot()).get_xlabel() == "$x$"
    assert runs["line"].plot("contours", ax).get_xlabel() == "$w$"


@pytest.mark.parametrize("name", ["parabola", "descent", "simplex", "line", "five"])
def test_films_show_the_descent_step_by_step(name, runs, tmp_path):
    # a path that is ahead of the title, a film without end
    run = runs[name]
    film = run.animate(frames=5)
    assert len(film.rows) == 5 and film.rows[0] == 0
    film.draw(len(film.rows) - 1)
    left = film.figure.axes[0]
    assert left.get_title().startswith(f"step {run.history['iteration'][film.rows[-1]]}: ")
    film.save(tmp_path / "film.gif", dpi=40)
    from PIL import Image

    with Image.open(tmp_path / "film.gif") as image:
        assert image.n_frames == 5
    if name == "parabola":
        film.save(tmp_path / "film.html", dpi=40)
        page = (tmp_path / "film.html").read_text()
        assert page.startswith("<!DOCTYPE html>") and page.count("data:image/png;base64") >= 5
        assert "http" not in page and 'class="fa' not in page  # nothing is loaded from the network
        film.draw(2)
        path_drawn = next(line for line in left.lines if line.get_marker() == "o" and len(line.get_xdata()) > 1)
        np.testing.assert_array_equal(path_drawn.get_xdata(), run.trajectory["w"][: film.rows[2] + 1])
    with pytest.raises(sd.StatementError, match=r"saved as \.html or \.gif"):
        film.save(tmp_path / "film.mp4")


def test_frames_are_the_first_steps_and_the_last():
    for count, frames in ((1, 5), (5, 5), (6, 5), (4096, 60), (61, 60)):
        rows = chosen_rows(count, frames)
        assert rows[0] == 0 and rows[-1] == count - 1 and (np.diff(rows) > 0).all() and len(rows) <= frames


# -- odd input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [("$", "%"), ("\\frac{", "}"), ("<script>x</script>", "a&b"), ("a$b$c", "\\$"),
                                               ("lambda", "x; import os"), ("^", "_"), ("#1", "~"), ("µ", "w w")])  # fmt: skip
def test_names_with_signs_of_tex_and_html(ax, first, second):
    # a name that is taken for mathematics, or for a tag
    one, two = sp.Symbol(first), sp.Symbol(second)
    plots.contours(sd.Loss((one - 1) ** 2 + 3 * (two + one) ** 2, [one, two]), ax, resolution=15)
    assert "<script" not in saved(ax)


def test_a_figure_of_its_own_and_no_display():
    # a backend that was switched, a figure without end, windows that cannot be opened
    before = plt.get_backend()
    drawn = plots.contours(landscapes.booth(), resolution=11)
    try:
        assert drawn.figure.number in plt.get_fignums() and plt.get_backend() == before
    finally:
        plt.close(drawn.figure)
    program = (
        "import symdescent as sd, io\n"
        "ax = sd.landscapes.booth().loss.plot(resolution=9)\n"
        "ax.figure.savefig(io.BytesIO(), dpi=30)\nprint(ax.get_xlabel())"
    )
    bare = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")}
    for backend in ({}, {"MPLBACKEND": "TkAgg"}):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env=bare | backend,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.stdout.strip() == "$x$", done.stderr


def test_odd_descents_are_drawn(runs):
    # no steps, a start at the minimum, a run that leaves the domain or the numbers
    booth = landscapes.booth().loss
    for run in (
        booth.descend({"x": 0.0, "y": 0.0}, steps=0),
        booth.descend({"x": 1.0, "y": 3.0}),
        booth.descend({"x": 0.0, "y": 0.0}, optimizer=sd.GradientDescent(1.0), steps=500),
        sd.Loss(sp.log(x), x).descend(0.5, optimizer=sd.GradientDescent(1.0), steps=50),
    ):
        for kind in (None, "cost"):
            saved(run.plot(kind, Figure().add_subplot()))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda r: plots.contours(landscapes.rosenbrock(3)), r"this one has 3 \(x\): plots.slice_"),
        (lambda r: plots.contours(landscapes.parabola()), "draw it with plots.curve"),
        (lambda r: plots.curve(landscapes.booth()), "draw it with plots.contours"),
        (lambda r: landscapes.rosenbrock(3).loss.plot(), r"say which point .*at=\{…\}"),
        (lambda r: plots.contours("loss"), "'loss' cannot be drawn: give a Loss"),
        (lambda r: plots.contours([r["descent"], r["simplex"]]), "of different losses"),
        (lambda r: plots.contours(r["descent"], data={"x": 1}), "leave data= out"),
        (lambda r: plots.contours(landscapes.booth(), Figure()), "ax is a Figure, not Axes"),
        (lambda r: plots.surface(landscapes.booth(), Figure().add_subplot()), "axes in three dimensions"),
        (lambda r: plots.contours(landscapes.booth(), Figure().add_subplot(projection="3d")), "is flat"),
        (lambda r: plots.contours(landscapes.booth(), box=((1, 0), (0, 1))), "from < to"),
        (lambda r: plots.contours(landscapes.booth(), box=[(0, 1)]), "has 1 pairs, and the loss 2"),
        (lambda r: plots.contours(landscapes.booth(), box={"x": (0, 1)}), "says nothing of y"),
        (lambda r: plots.simplices(r["descent"]), "has no simplices: draw a descent with sd.NelderMead"),
        (lambda r: plots.momentum_map(landscapes.beale()), "not quadratic"),
        (lambda r: plots.momentum_map(landscapes.saddle()), "needs positive ones"),
        (lambda r: plots.momentum_map([]), "no eigenvalues"),
        (lambda r: plots.sweep(landscapes.booth(), optimizer=sd.NelderMead()), "no learning rate to sweep"),
        (lambda r: plots.sweep(landscapes.booth(), [0.1, -1.0]), "not positive"),
        (lambda r: plots.sweep(landscapes.booth().loss), "needs a start"),
        (lambda r: plots.race(landscapes.booth(), []), "needs optimizers"),
        (lambda r: plots.cost(r["descent"], against="hours"), "against='hours' is not one of"),
        (lambda r: plots.slice_(landscapes.rosenbrock(3).loss), "needs a point"),
        (lambda r: plots.slice_(r["five"], directions=["x[0]", "x[9]"]), r"'x\[9\]' is no scalar entry"),
        (lambda r: plots.slice_(r["five"], directions=[np.ones(5), 2 * np.ones(5)]), "parallel"),
        (lambda r: plots.slice_(r["five"], directions=[np.ones(4), np.ones(5)]), "has 4 entries"),
        (lambda r: r["descent"].plot("pie"), "kind='pie' is not one of"),
        (lambda r: r["descent"].animate(frames=1), "two frames or more"),
        (lambda r: plots.fit(r["descent"]), "no sum over samples"),
        (lambda r: plots.differences(r["descent"]), "no GradientCheck and no Loss"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(draw, message, runs):
    # a picture of something else; an error from deep inside Matplotlib
    with pytest.raises(sd.StatementError, match=message):
        draw(runs)
    assert not plt.get_fignums()


def test_a_trajectory_that_was_not_kept(runs):
    from dataclasses import replace

    bare = replace(runs["five"], trajectory={})
    with pytest.raises(sd.DataError, match="draw its cost"):
        plots.slice_(bare)
    with pytest.raises(sd.StatementError, match="was not kept"):
        bare.animate()
    assert bare.plot(ax=Figure().add_subplot()).get_xlabel() == "step $k$"
    with pytest.raises(sd.StatementError, match="does not know its loss"):
        plots.contours(replace(runs["descent"], compiled=None, start=None))
