"""Dual numbers against derivatives in high precision, complex steps, and the conventions at kinks and zeros."""

from __future__ import annotations

import operator

import mpmath
import numpy as np
import pytest
import sympy as sp

from symdescent.dual import Dual, apply, lift, matmul, maximum, minimum, power, stack, variable, variables, where
from symdescent.elementary import TABLE
from symdescent.errors import DataError, UnsupportedError

FRACTIONS = (0.04, 0.27, 0.61, 0.93)  # of each domain, so that no point is on a kink at zero
SMOOTH = [row for row in TABLE.values() if row.dual]
STEPS = [row for row in TABLE.values() if not row.dual]


def points(row):
    """Points inside the domain of a record, one argument from the left and the next from the right."""
    for fraction in FRACTIONS:
        shares = (fraction, 1 - fraction * 0.9)
        yield [low + (high - low) * share for (low, high), share in zip(row.domain, shares, strict=False)]


def in_high_precision(row):
    """The function of a record in mpmath."""
    arguments = sp.symbols("u v", real=True)[: row.arity]
    if row.name == "Heaviside":
        return lambda x, at_zero: mpmath.mpf(x > 0)
    if row.name == "polygamma":
        return lambda n, x: mpmath.polygamma(int(n), x)
    return sp.lambdify(arguments, row.sympy(*arguments), "mpmath")


def true_slope(function, at, place):
    with mpmath.workdps(50):
        others = [mpmath.mpf(value) for value in at]
        return float(mpmath.diff(lambda t: function(*others[:place], t, *others[place + 1 :]), others[place]))


# -- the table --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_dual_rule_is_the_derivative_a_wrong_slope_in_the_table_would_show(row):
    for at in points(row):
        for place, rule in enumerate(row.dual):
            if rule is None:
                continue
            arguments = list(at)
            arguments[place] = Dual(at[place], 1.0)
            found = apply(row.name, *arguments)
            expected = true_slope(in_high_precision(row), at, place)
            assert found.tangent[0] == pytest.approx(expected, rel=2e-12, abs=1e-13), (row.name, at, place)
            with mpmath.workdps(50):
                assert found.value == pytest.approx(float(in_high_precision(row)(*at)), rel=2e-13, abs=1e-15)


@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_complex_step_agrees_with_the_dual_rule_a_lost_imaginary_part_would_show(row):
    if not row.analytic and row.kink is None:
        with pytest.raises(UnsupportedError, match=row.name):
            apply(row.name, *(value + 1e-20j for value in next(points(row))))
        return
    for at in points(row):
        stepped = apply(row.name, at[0] + 1e-20j, *at[1:])
        slope = apply(row.name, Dual(at[0], 1.0), *at[1:]).tangent[0]
        assert np.imag(stepped) / 1e-20 == pytest.approx(slope, rel=1e-13)


@pytest.mark.parametrize("row", STEPS, ids=lambda row: row.name)
def test_step_functions_have_values_but_no_slopes_a_silent_zero_for_mod_would_show(row):
    at = [2.5] * row.arity
    assert apply(row.name, *at) == float(row.sympy(*map(sp.Float, at)))
    with pytest.raises(UnsupportedError, match=row.name):
        apply(row.name, *(Dual(value, 1.0) for value in at))
    # a direction that does not move asks for no slope
    assert apply(row.name, *(Dual(value, 0.0) for value in at)).tangent == [0.0]


@pytest.mark.parametrize("order", range(4))
def test_polygamma_of_each_order_a_slope_of_the_wrong_order_would_show(order):
    expected = true_slope(lambda x: mpmath.polygamma(order, x), [0.7], 0)
    assert apply("polygamma", order, Dual(0.7, 1.0)).tangent[0] == pytest.approx(expected, rel=1e-12)
    with pytest.raises(UnsupportedError, match="polygamma"):
        apply("polygamma", Dual(float(order), 1.0), 0.7)


OUTSIDE = {"log": -2.0, "sqrt": -2.0, "asin": 1.5, "acos": -1.5, "acosh": 0.5, "atanh": 2.0, "log1p": -1.5, "xlogx": -1}


@pytest.mark.parametrize("name", OUTSIDE)
def test_outside_the_real_domain_a_complex_step_is_nan_where_numpy_would_continue_analytically(name):
    with np.errstate(invalid="ignore"):
        assert np.isnan(apply(name, OUTSIDE[name] + 1e-20j))


def test_apply_keeps_the_shape_of_arrays_and_accepts_integers():
    assert apply("sin", np.zeros((2, 3))).shape == (2, 3)
    assert apply("sin", Dual(np.zeros((2, 3)), np.zeros((2, 3, 4)))).tangent.shape == (2, 3, 4)
    assert apply("erf", [0, 0]).shape == (2,)
    assert apply("exp", 0) == 1.0


# -- arithmetic -------------------------------------------------------------------------------------------------------


def test_textbook_gradient_of_exp_2y_sin_x_a_product_rule_with_one_term_would_show():
    x, y = variables(0.0, 1.0)
    f = np.exp(2 * y) * np.sin(x)
    assert f.tangent == pytest.approx([np.e**2, 0.0], abs=1e-15)
    x, y = variables(0.7, -0.3)
    assert (np.exp(2 * y) * np.sin(x)).tangent == pytest.approx(
        [np.exp(-0.6) * np.cos(0.7), 2 * np.exp(-0.6) * np.sin(0.7)], rel=1e-15
    )


OPERATIONS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow,
              np.add, np.subtract, np.multiply, np.divide, np.power]  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: f"{operation.__module__}.{operation.__name__}")
def test_operations_both_ways_against_complex_steps_a_swapped_side_or_sign_would_show(operation):
    numbers = [1.7, 3, np.float64(0.4), np.array([0.5, 2.0, 3.5]), np.array([[1], [2]])]
    for other in numbers:
        for x in (1.3, np.array([0.6, 1.1, 2.2])):
            dual = variable(x)
            for left, right in ((dual, other), (other, dual), (dual, dual)):
                found = operation(left, right)
                for k in range(dual.directions):
                    step = np.reshape(1e-30j * np.eye(dual.directions)[k], np.shape(x))
                    sides = [x + step if side is dual else np.asarray(side, float) for side in (left, right)]
                    stepped = operation(*sides)
                    assert found.value == pytest.approx(stepped.real, rel=1e-14)
                    assert found.tangent[..., k] == pytest.approx(stepped.imag / 1e-30, rel=1e-13)


def test_tangents_broadcast_along_the_axes_of_values_not_of_directions():
    column = Dual(np.ones((3, 1)), np.arange(6.0).reshape(3, 1, 2))
    row = Dual(np.full(4, 2.0), np.ones((4, 2)))
    product = column * row
    assert product.shape == (3, 4) and product.tangent.shape == (3, 4, 2)
    assert product.tangent[2, 0] == pytest.approx([4 * 2.0 + 1, 5 * 2.0 + 1])


def test_comparisons_are_by_value_whichever_side_the_dual_is_on():
    x = Dual(np.array([1.0, 2.0]), np.array([[9.0], [-9.0]]))
    assert (x < 2).tolist() == [True, False] and (np.array([1.0, 3.0]) > x).tolist() == [False, True]
    assert (x == np.array([1.0, 1.0])).tolist() == [True, False] and (x != x).tolist() == [False, False]
    assert (x >= Dual(2.0, 1.0)).tolist() == [False, True] and np.less(3.0, x).tolist() == [False, False]
    assert bool(Dual(0.0, 1.0)) is False and np.isfinite(x).all() and not np.isnan(x).any()


# -- powers at and around zero ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent, slope", [(2, 0.0), (3.0, 0.0), (1, 1.0), (0, 0.0), (1.5, 0.0), (0.5, np.inf)])
def test_power_of_a_zero_base_has_its_slope_where_p_log_b_would_give_nan(exponent, slope):
    assert power(Dual(0.0, 1.0), exponent).tangent == [slope]
    assert power(Dual(0.0, 1.0), Dual(float(exponent), 0.0)).tangent == [slope]


@pytest.mark.parametrize("exponent", [0.5, 1.0, 3.0])
def test_zero_to_a_moving_positive_power_stays_zero(exponent):
    assert power(0.0, Dual(exponent, 1.0)).tangent == [0.0]
    x, p = variables(0.0, exponent)
    assert (x**p).tangent[1] == 0.0


def test_negative_base_a_whole_power_has_a_slope_a_fractional_power_is_nan():
    for exponent in (2, 3, -1, -2, 101):
        expected = exponent * (-1.5) ** (exponent - 1)
        assert power(Dual(-1.5, 1.0), exponent).tangent[0] == pytest.approx(expected)
        # beyond exponents of 100 NumPy's complex power goes through the logarithm, and loses the step
        assert power(-1.5 + 1e-25j, exponent).imag / 1e-25 == pytest.approx(expected)
    x, p = variables(-1.5, 2.0)  # d/dx is defined although d/dp is not
    assert (x**p).tangent[0] == -3.0 and np.isnan((x**p).tangent[1])
    with np.errstate(invalid="ignore"):
        assert np.isnan(power(Dual(-1.5, 1.0), 0.5).value)
        assert np.isnan(power(-1.5 + 1e-20j, 0.5)) and np.isnan(power(np.array([-1.5 + 0j]), 1e-20j + 2)).all()
        assert power(np.array([0j]), 2 + 1e-20j) == 0


def test_a_direction_without_movement_takes_nothing_from_an_infinite_slope():
    x, y = variables(0.0, 3.0)
    assert (np.sqrt(x) + y).tangent.tolist() == [np.inf, 1.0]
    assert power(x * x + 0.0, 0.5).tangent.tolist() == [0.0, 0.0]  # least norm at the kink of |x|


# -- kinks and choices ------------------------------------------------------------------------------------------------


def test_ties_share_the_slope_but_a_constant_wins_it():
    a, b = variables(1.0, 1.0)
    assert maximum(a, b).tangent.tolist() == [0.5, 0.5] == minimum(a, b).tangent.tolist()
    assert maximum(a, b, Dual(1.0, [0.0, 0.0])).tangent == pytest.approx([1 / 3, 1 / 3])
    assert maximum(a, 1.0).tangent.tolist() == [0.0, 0.0] == np.minimum(1.0, a).tangent.tolist()
    assert maximum(a, 1.0, b).tangent.tolist() == [0.0, 0.0]
    assert maximum(a, 0.5, b + 1).tangent.tolist() == [0.0, 1.0]
    assert np.maximum(a, np.array([0.0, 2.0])).tangent.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert maximum(1 + 1e-20j, 1 - 3e-20j).imag == pytest.approx(-1e-20)  # NumPy orders complex numbers by both parts
    assert minimum(2 + 1e-20j, 5.0).imag == 1e-20 and maximum(2.0, 3.0) == 3.0
    assert abs(Dual(0.0, 1.0)).tangent == [0.0] and apply("relu", Dual(0.0, 1.0)).tangent == [0.0]
    assert np.isnan(maximum(Dual(np.nan, 1.0), 0.0).value)


def test_where_lets_nothing_of_the_other_branch_through_where_multiplying_by_a_mask_would_give_nan():
    bad = Dual([np.nan, np.inf], [[np.nan], [np.inf]])
    good = Dual([1.0, 2.0], [[3.0], [4.0]])
    no = np.array([False, False])
    for chosen in (where(False, bad, good), where([True, True], good, bad), np.where(no, bad, good)):
        assert chosen.value.tolist() == [1.0, 2.0] and chosen.tangent.tolist() == [[3.0], [4.0]]
    assert where([[True], [False]], 5.0, good).tangent.tolist() == [[[0.0], [0.0]], [[3.0], [4.0]]]
    assert where(True, 1.0, np.nan) == 1.0 and where(True, 1j, 0.0) == 1j


# -- reductions, shapes, matrices -------------------------------------------------------------------------------------


@pytest.mark.parametrize("zeros", [(), (1,), (0, 2), (0, 1, 2, 3)])
def test_product_with_zero_factors_where_dividing_out_the_own_factor_would_give_nan(zeros):
    values = np.array([2.0, -3.0, 0.5, 4.0])
    values[list(zeros)] = 0.0
    expected = [np.prod(np.delete(values, k)) for k in range(4)]
    assert variable(values).prod().tangent == pytest.approx(expected)


def test_sum_and_product_along_axes_never_reduce_the_directions():
    x = np.arange(1.0, 25.0).reshape(2, 3, 4) / 7
    x[0, 1, 2] = 0.0
    dual = variable(x)
    for axis in (None, 0, 1, -1, (0, 2), (0, 1, 2)):
        assert dual.sum(axis).value == pytest.approx(x.sum(axis)) == np.sum(dual, axis=axis).value
        assert dual.prod(axis).value == pytest.approx(x.prod(axis))
        for k in range(24):
            step = x + 1e-30j * np.eye(24)[k].reshape(x.shape)
            assert dual.sum(axis).tangent[..., k] == pytest.approx(step.sum(axis).imag / 1e-30)
            assert dual.prod(axis).tangent[..., k] == pytest.approx(step.prod(axis).imag / 1e-30)
    assert dual.sum(1, keepdims=True).shape == (2, 1, 4)
    assert np.prod(variable(np.ones((3, 0))), axis=1).value.tolist() == [1.0, 1.0, 1.0]


def test_indexing_with_ellipsis_slices_masks_and_arrays_leaves_the_directions_alone():
    x = variable(np.arange(12.0).reshape(3, 4))
    places = np.array([0, 2])
    pairs = (places[:, None], places)
    for index in (1, -1, (1, 2), (..., 0), (slice(None), 1), pairs, x.value > 5, (None, ..., places)):
        assert x[index].value.tolist() == x.value[index].tolist()
        for k in range(12):
            assert x[index].tangent[..., k].tolist() == x.tangent[..., k][index].tolist()
    assert len(x) == 3 and [row.shape for row in x] == [(4,)] * 3


def test_transpose_reshape_broadcast_and_stack_move_tangents_with_their_values():
    x = variable(np.arange(6.0).reshape(2, 3))
    moved = [(x.T, lambda a: a.T), (x.reshape(3, 2), lambda a: a.reshape(3, 2)), (x.reshape((-1,)), np.ravel),
             (x.broadcast_to((4, 2, 3)), lambda a: np.broadcast_to(a, (4, 2, 3))), (np.transpose(x), np.transpose),
             (stack([x, np.ones(3)])[0], lambda a: a), (np.reshape(x, (6, 1)), lambda a: a.reshape(6, 1))]  # fmt: skip
    for dual, function in moved:
        assert dual.value.tolist() == function(x.value).tolist()
        for k in range(6):
            assert dual.tangent[..., k].tolist() == function(x.tangent[..., k]).tolist()
    assert stack([x, np.ones(3)])[1].tangent.any() == 0 and stack([1, 2.0]).tolist() == [1.0, 2.0]
    assert (np.shape(x), np.ndim(x), np.size(x), x.size) == ((2, 3), 2, 6, 6)
    assert lift(3.0, 2).tangent.tolist() == [0.0, 0.0]


RANKS = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((2, 1), (1, 1))]


@pytest.mark.parametrize("left, right", RANKS)
def test_matrix_products_of_all_ranks_a_transposed_tangent_would_show(left, right):
    random = np.random.default_rng(3)
    a, b = random.normal(size=left), random.normal(size=right)
    both = variables(a, b)
    for x, y in (both, (both[0], b), (a, both[1])):
        product = x @ y
        assert product.value == pytest.approx(a @ b) and np.dot(x, y).value == pytest.approx(a @ b)
        for k in range(a.size + b.size):
            steps = [1e-30j * d.tangent[..., k] if isinstance(d, Dual) else 0 for d in (x, y)]
            assert product.tangent[..., k] == pytest.approx(((a + steps[0]) @ (b + steps[1])).imag / 1e-30)
    assert matmul(np.eye(2), np.ones(2)).tolist() == [1.0, 1.0]


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_a_tangent_that_does_not_fit_is_refused_where_broadcasting_would_hide_it():
    square = np.ones((2, 2))
    for value, tangent in (([1.0, 2.0], [1.0, 2.0]), (1.0, [[1.0]]), ([1.0], 1.0), (square, np.ones((2, 1, 3)))):
        with pytest.raises(DataError, match="does not fit"):
            Dual(value, tangent)
    with pytest.raises(DataError, match="1 and 3 directions"):  # would broadcast
        Dual(1.0, 1.0) * Dual(1.0, [1.0, 2.0, 3.0])


def test_complex_numbers_and_lost_tangents_are_refused():
    x = Dual(1.0, 1.0)
    for wrong in (lambda: x + 1j, lambda: np.complex128(1j) * x, lambda: power(x, 1j), lambda: where(True, x, 1j),
                  lambda: Dual(1j, 1.0), lambda: variable(np.ones((1, 1))) @ np.ones((1, 1), complex)):  # fmt: skip
        with pytest.raises(DataError, match="complex"):
            wrong()
    joined = [variable([1.0])]
    for lost in (lambda: np.asarray(x), lambda: np.cbrt(x), lambda: np.concatenate(joined), lambda: float(x)):
        with pytest.raises(TypeError):
            lost()
    with pytest.raises(DataError, match="vectors and matrices"):
        matmul(variable(np.ones((2, 2, 2))), np.ones(2))
    with pytest.raises(AttributeError):
        x.value = 2.0
    with pytest.raises(TypeError):
        hash(x)
