r"""Losses and penalties as ready SymPy expressions, in every notation.

A loss takes what was stated and returns a scalar in the same notation:

* **scalar or per sample**: the loss of one sample, whose mean `Loss` takes;
* **indexed** (``y[i]``, ``Sum(X[i, j]*w[j], (j, 0, d - 1))``): the loss of sample ``i``, to be put in a ``Sum``;
* **written out** (a list or an explicit matrix): the rows are samples, and their mean is taken;
* **matrix** (n×1, or n×m with m outputs a sample): the mean over the n rows; ``reduction="sum"`` for the sum.

A matrix loss and a matrix penalty are traces, which SymPy takes for scalars: ``squared(t, A*v) + lam*l2(v)`` is sound.
A 1×1 product of one's own is not a scalar to SymPy: add ``lam*Trace(v.T*v)`` instead of ``lam*v.T*v``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.matrices.expressions.matexpr import MatrixExpr
from sympy.matrices.expressions.special import OneMatrix

from symdescent.elementary import logsumexp, softmax, softplus
from symdescent.errors import StatementError

__all__ = ["absolute", "cross_entropy", "hinge", "huber", "l1", "l2", "logistic", "squared", "squared_margin"]

# -- regression -------------------------------------------------------------------------------------------------------


def squared(target: Any, prediction: Any, *, reduction: str = "mean") -> Any:
    r"""Square loss of a prediction.

    .. math:: (t - p)^2, \qquad \text{in matrices } \frac{1}{n} \operatorname{tr}\left((t - p)^T (t - p)\right)

    Target and prediction are two scalars, or two matrices of one shape whose n rows are samples.
    Raises `StatementError` where the shapes differ. Source: Legendre, *Nouvelles méthodes*, 1805.

    >>> y, w, x = sp.symbols("y w x")
    >>> squared(y, w*x)
    (-w*x + y)**2
    >>> n, d = sp.symbols("n d", integer=True, positive=True)
    >>> A, v, t = sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("v", d, 1), sp.MatrixSymbol("t", n, 1)
    >>> squared(t, A*v)
    Trace((t.T - v.T*A.T)*(-A*v + t))/n
    """
    return _reduced(_square, _residual("squared", target, prediction), reduction)


def absolute(target: Any, prediction: Any, *, reduction: str = "mean") -> Any:
    r"""Absolute loss of a prediction, which the median minimises.

    .. math:: |t - p|

    Shapes and errors are those of `squared`; the kink is at t = p. Source: Laplace, 1774.

    >>> y, p = sp.symbols("y p")
    >>> absolute(y, p)
    Abs(p - y)
    """
    return _reduced(sp.Abs, _residual("absolute", target, prediction), reduction)


def huber(target: Any, prediction: Any, delta: Any = 1, *, reduction: str = "mean") -> Any:
    r"""Huber's loss: a square near zero, and a straight line from ``delta`` on.

    .. math:: \tfrac12 r^2 \text{ where } |r| \le \delta, \quad \delta\left(|r| - \tfrac12 \delta\right)
        \text{ elsewhere}, \qquad r = t - p

    Shapes and errors are those of `squared`; ``delta`` must be positive, in the unit of the target.
    Source: Huber, *Robust estimation of a location parameter*, 1964.

    >>> [huber(0, prediction) for prediction in (1, 3)]
    [1/2, 5/2]
    """
    delta = _operand("huber", "delta", delta)
    if _is_matrix(delta) or delta.is_positive is False or delta in (sp.nan, sp.oo):
        raise StatementError(f"huber: delta = {delta} is not positive: it is where the square turns into a line")

    def loss(residual: Any) -> Any:
        size = sp.Abs(residual)
        return sp.Piecewise((residual**2 / 2, size <= delta), (delta * (size - delta / 2), True))

    return _reduced(loss, _residual("huber", target, prediction), reduction)


# -- classification ---------------------------------------------------------------------------------------------------


def squared_margin(label: Any, score: Any, *, reduction: str = "mean") -> Any:
    r"""Square loss of a classifier with labels ±1.

    .. math:: (1 - y f)^2

    Shapes are those of `squared`. Raises `StatementError` where the shapes differ, or a label is a number but not ±1.
    Source: Suykens & Vandewalle, *Least squares support vector machine classifiers*, 1999.

    >>> y, f = sp.symbols("y f")
    >>> squared_margin(y, f)
    (-f*y + 1)**2
    """
    return _reduced(lambda margin: (1 - margin) ** 2, _margin("squared_margin", label, score), reduction)


def hinge(label: Any, score: Any, *, reduction: str = "mean") -> Any:
    r"""Hinge loss of a classifier with labels ±1: zero from a margin of one on.

    .. math:: \max(0, 1 - y f)

    Shapes and errors are those of `squared_margin`; the kink is at y f = 1.
    Source: Cortes & Vapnik, *Support-vector networks*, 1995.

    >>> y, f = sp.symbols("y f")
    >>> hinge(y, f)
    Max(0, -f*y + 1)
    """
    return _reduced(lambda margin: sp.Max(0, 1 - margin), _margin("hinge", label, score), reduction)


def logistic(label: Any, score: Any, *, reduction: str = "mean") -> Any:
    r"""Logistic loss of a classifier with labels ±1: the negative log-likelihood, right at scores of any size.

    .. math:: \log\left(1 + e^{-y f}\right) = \operatorname{softplus}(-y f)

    Shapes and errors are those of `squared_margin`.
    Source: Cox, *The regression analysis of binary sequences*, 1958.

    >>> y, f = sp.symbols("y f")
    >>> logistic(y, f)
    softplus(-f*y)
    """
    return _reduced(lambda margin: softplus(-margin), _margin("logistic", label, score), reduction)


def cross_entropy(logits: Any, target: Any, classes: Any = None, *, reduction: str = "mean") -> Any:
    r"""Cross-entropy of the softmax of logits z, for a class c or for the classes' probabilities y (one-hot, say).

    .. math:: \log \sum_k e^{z_k} - z_c, \qquad -\sum_k y_k \Bigl(z_k - \log \sum_l e^{z_l}\Bigr)

    Logits and target may be

    * ``Z[i, k]`` with ``classes=(k, 0, K - 1)``; the target holds probabilities where it depends on ``k``
      (``Y[i, k]``), and is a class elsewhere (``c[i]``, a symbol, a number);
    * a list of K scalars, with a class or K probabilities;
    * a column of K entries, one sample's, with a class or a column of K probabilities;
    * an n×K matrix whose rows are samples, with an n×K matrix of probabilities or n classes.

    Classes of lists and matrices count from 0. Raises `StatementError` where shapes differ, a class is out of range,
    or ``classes`` is needed. Source: Bridle, *Probabilistic interpretation of feedforward classification network
    outputs*, 1990.

    >>> a, b = sp.symbols("a b")
    >>> cross_entropy([a, b], 1)
    -log(softmax(b, a))
    >>> i, k, K = sp.symbols("i k K", integer=True)
    >>> Z, c = sp.IndexedBase("Z"), sp.IndexedBase("c")
    >>> cross_entropy(Z[i, k], c[i], (k, 0, K - 1))
    log(Sum(exp(Z[i, k]), (k, 0, K - 1))) - Z[i, c[i]]
    """
    z = _operand("cross_entropy", "logits", logits)
    t = _operand("cross_entropy", "target", target)
    if classes is not None:
        return _indexed_cross_entropy(z, t, classes)
    if not _is_matrix(z):
        raise StatementError(
            f"cross_entropy: the logits {z} are a single expression: give the index of the classes as (k, 0, K - 1), "
            "or the logits of all classes as a list or a matrix"
        )
    one_sample = z.shape[1] == 1 or (_is_explicit(z) and z.shape[0] == 1)
    rows = 1 if one_sample else z.shape[0]
    if not _is_explicit(z):
        total = _matrix_cross_entropy(z, t)
    elif one_sample:
        total = _written_out_cross_entropy(tuple(z), t)
    else:
        t = _explicit_targets(z, t)
        total = sp.Add(*(_written_out_cross_entropy(tuple(z.row(r)), t[r]) for r in range(rows)))
    return _mean(total, rows, reduction)


# -- penalties --------------------------------------------------------------------------------------------------------


def l1(w: Any, *, first_index: int = 0) -> Any:
    r"""Lasso penalty: the sum of the entries' absolute values.

    .. math:: \sum_j |w_j|

    ``w`` is a scalar, a vector or matrix, an ``IndexedBase`` with declared shape (all its entries, counted from
    ``first_index``), or a list of any of these. Raises `StatementError` for an ``IndexedBase`` without shape.
    Source: Tibshirani, *Regression shrinkage and selection via the lasso*, 1996.

    >>> l1(sp.symbols("a b"))
    Abs(a) + Abs(b)
    """
    return _penalty("l1", sp.Abs, w, first_index)


def l2(w: Any, *, first_index: int = 0) -> Any:
    r"""Ridge penalty: the sum of the entries' squares (without square root, and without a factor ½).

    .. math:: \sum_j w_j^2, \qquad \text{in matrices } \operatorname{tr}\left(w^T w\right)

    Arguments and errors are those of `l1`. Source: Hoerl & Kennard, *Ridge regression*, 1970.

    >>> d = sp.Symbol("d", integer=True, positive=True)
    >>> l2(sp.MatrixSymbol("v", d, 1))
    Trace(v.T*v)
    >>> l2(sp.IndexedBase("w", shape=(d,)))
    Sum(w[j]**2, (j, 0, d - 1))
    """
    return _penalty("l2", _square, w, first_index)


def _penalty(name: str, of_entry: Callable[[Any], Any], w: Any, first_index: int) -> Any:
    if isinstance(w, (Sequence, sp.Tuple)) and not isinstance(w, str):
        return sp.Add(*(_penalty(name, of_entry, part, first_index) for part in w))
    if isinstance(w, sp.IndexedBase):
        if w.shape is None:
            raise StatementError(
                f'{name}: the array {w} has no shape to sum over: declare it, IndexedBase("{w}", shape=(d,)), '
                f"or write the sum of the entries' penalties yourself"
            )
        taken = {str(w)}.union(*({str(symbol) for symbol in length.free_symbols} for length in w.shape))
        letters = [letter for letter in "jkilmnpqrs" if letter not in taken]
        places = [sp.Symbol(letter, integer=True) for letter in letters[: len(w.shape)]]
        limits = [(place, first_index, first_index + length - 1) for place, length in zip(places, w.shape, strict=True)]
        return sp.Sum(of_entry(w[tuple(places)]), *limits)
    return _summed(of_entry, _operand(name, "argument", w))


# -- cross-entropy in each notation -----------------------------------------------------------------------------------


def _indexed_cross_entropy(z: Any, t: Any, classes: Any) -> Any:
    if not isinstance(classes, (tuple, list, sp.Tuple)) or len(classes) != 3:
        raise StatementError(f"cross_entropy: classes = {classes} is not an index with its bounds: write (k, 0, K - 1)")
    limits = sp.Tuple(*classes)
    k, first, last = limits
    if _is_matrix(z) or k not in z.free_symbols:
        raise StatementError(f"cross_entropy: the logits {z} do not depend on {k}, the index of the classes")
    if _is_matrix(t):
        raise StatementError(f"cross_entropy: the target {t} is a matrix, the logits {z} are not: use its entry at {k}")
    total = logsumexp(z, limits)
    if k in t.free_symbols:
        return -sp.Sum(t * (z - total), limits)
    return total - _at(z, k, _class(t, first, last))


def _written_out_cross_entropy(z: tuple[Any, ...], t: Any) -> Any:
    """The cross-entropy of one sample, whose logits are given one by one."""
    costs = [-sp.log(probability) for probability in softmax(z)]
    if _is_matrix(t):
        if 1 not in t.shape or t.shape[0] * t.shape[1] != len(z):
            raise _no_target(f"{len(z)} logits", t, f"a class, or {len(z)} probabilities")
        return sp.Add(*(y * cost for y, cost in zip(t.as_explicit(), costs, strict=True)))
    t = _class(t, sp.S.Zero, sp.Integer(len(z) - 1))
    if t.is_Integer:
        return costs[int(t)]
    # no default: a class out of range must give NaN, not the last class
    return sp.Piecewise(*((cost, sp.Eq(t, place)) for place, cost in enumerate(costs)))


def _explicit_targets(z: Any, t: Any) -> list[Any]:
    """The target of each row of logits that are written out: a class, or a row of probabilities."""
    if not _is_matrix(t) or tuple(t.shape) not in ((z.rows, 1), (z.rows, z.cols)):
        raise _no_target(f"{_shape(z)} logits", t, f"{z.rows} classes, or {_shape(z)} probabilities")
    t = t.as_explicit()
    return [t.row(r) if t.cols > 1 else t[r, 0] for r in range(z.rows)]


def _matrix_cross_entropy(z: Any, t: Any) -> Any:
    """The sum over the samples: the rows of a matrix, or the whole of a column."""
    rows, columns = z.shape
    probabilities = softmax(z)
    if _is_matrix(t) and _same_shape(z, t):
        return -sp.Trace(t.T * _applied(sp.log, probabilities))
    if columns == 1 and not _is_matrix(t):
        return -sp.log(probabilities[_class(t, sp.S.Zero, rows - 1), 0])
    if rows == 1 and not _is_matrix(t):
        t = sp.ImmutableMatrix([t])
    if columns == 1 or not _is_matrix(t) or t.shape[1] != 1 or sp.expand(t.shape[0] - rows) != 0:
        wanted = "a class" if columns == 1 else f"{rows} classes in a column"
        raise _no_target(f"{_shape(z)} logits", t, f"{wanted}, or {_shape(z)} probabilities")
    if _is_explicit(t):
        return -sp.Add(*(sp.log(probabilities[r, _class(t[r, 0], sp.S.Zero, columns - 1)]) for r in range(t.rows)))
    return -sp.Sum(sp.log(probabilities[_I, t[_I, 0]]), (_I, 0, rows - 1))


def _no_target(logits: str, t: Any, wanted: str) -> StatementError:
    return StatementError(f"cross_entropy: {logits} do not go with a target that is {_shape(t)}: give {wanted}")


def _class(c: Any, first: Any, last: Any) -> Any:
    """The class, unless it is known to be none."""
    if c.is_Float and (c - int(c)).is_zero:
        c = sp.Integer(int(c))
    no_integer = c.is_integer is False or (c.is_number and not c.is_Integer)
    if no_integer or (c - first).is_negative or (last - c).is_negative:
        raise StatementError(f"cross_entropy: the class {c} is not a whole number from {first} to {last}")
    return c


def _at(expression: Any, k: Any, value: Any) -> Any:
    """Put a value in the place of a free index, renaming bound ones that would capture a part of the value."""
    clashing = value.free_symbols

    def renamed(reduction: Any) -> Any:
        function, limits = reduction.function, [tuple(limit) for limit in reduction.limits]
        for place, (bound, *bounds) in enumerate(limits):
            if bound in clashing:
                fresh = sp.Dummy(str(bound), integer=True)
                function = function.subs(bound, fresh)
                inner = [(name, *(end.subs(bound, fresh) for end in ends)) for name, *ends in limits[:place]]
                limits[: place + 1] = [*inner, (fresh, *bounds)]
        return reduction.func(function, *limits)

    return expression.replace(lambda part: isinstance(part, ExprWithLimits), renamed).subs(k, value)


# -- operands ---------------------------------------------------------------------------------------------------------

# one dummy for all, so that equal losses are equal; dummies, so that no symbol of the user's is captured
_U, _I = sp.Dummy("u", real=True), sp.Dummy("i", integer=True)


def _square(u: Any) -> Any:
    return u**2


def _residual(name: str, target: Any, prediction: Any) -> Any:
    t, p = _pair(name, "target", target, "prediction", prediction)
    return t - p


def _margin(name: str, label: Any, score: Any) -> Any:
    y, f = _pair(name, "label", label, "score", score)
    for value in y if _is_explicit(y) else [y]:
        if value.is_number and not (value**2 - 1).is_zero:
            raise StatementError(f"{name}: the label {value} is not 1 or -1: relabel 0/1 classes as 2*label - 1")
    if not _is_matrix(y):
        return y * f
    if _is_explicit(y) and _is_explicit(f):
        return sp.ImmutableMatrix(y.multiply_elementwise(f))
    return sp.HadamardProduct(y, f)


def _pair(name: str, first: str, left: Any, second: str, right: Any) -> tuple[Any, Any]:
    """Two operands of one shape."""
    a, b = _operand(name, first, left), _operand(name, second, right)
    if _is_matrix(a) != _is_matrix(b) or (_is_matrix(a) and not _same_shape(a, b)):
        raise StatementError(
            f"{name}: the {first} is {_shape(a)}, the {second} is {_shape(b)}: "
            "give two scalars, or two matrices of one shape"
        )
    return a, b


def _operand(name: str, role: str, value: Any) -> Any:
    """What was stated, as a scalar or a matrix; lists become explicit matrices, and 1x1 matrices scalars."""
    if isinstance(value, sp.IndexedBase):
        raise StatementError(
            f"{name}: the {role} {value} is an array without its indices: write {value}[i], in a Sum over i"
        )
    if isinstance(value, (Sequence, sp.Tuple)) and not isinstance(value, str):
        if not value:
            raise StatementError(f"{name}: the {role} is an empty list")
        rows = [list(row) if isinstance(row, (Sequence, sp.Tuple)) else [row] for row in value]
        if len({len(row) for row in rows}) > 1:
            raise StatementError(f"{name}: the rows of the {role} {value} have different lengths")
        value = sp.ImmutableMatrix([[_operand(name, role, entry) for entry in row] for row in rows])
    try:
        expression = sp.sympify(value, strict=True)  # strict: text is never evaluated
    except sp.SympifyError:
        expression = None
    if isinstance(expression, sp.MatrixBase):
        return expression[0, 0] if expression.shape == (1, 1) else expression.as_immutable()
    if isinstance(expression, MatrixExpr):
        return sp.Trace(expression) if tuple(expression.shape) == (1, 1) else expression
    if not isinstance(expression, sp.Expr):
        raise StatementError(
            f"{name}: the {role} {str(value)[:80]!r} ({type(value).__name__}) is not a scalar expression or a matrix: "
            "state the loss in SymPy symbols, and give numbers for them as data"
        )
    return expression


def _is_matrix(value: Any) -> bool:
    return bool(getattr(value, "is_Matrix", False))


def _is_explicit(value: Any) -> bool:
    return isinstance(value, sp.MatrixBase)


def _same_shape(left: Any, right: Any) -> bool:
    return all(sp.expand(a - b) == 0 for a, b in zip(left.shape, right.shape, strict=True))


def _shape(value: Any) -> str:
    return f"{value.shape[0]}x{value.shape[1]}" if _is_matrix(value) else "a scalar"


# -- reductions -------------------------------------------------------------------------------------------------------


def _reduced(of_entry: Callable[[Any], Any], value: Any, reduction: str) -> Any:
    """The loss of a scalar, or of a matrix whose rows are samples."""
    return _mean(_summed(of_entry, value), value.shape[0] if _is_matrix(value) else 1, reduction)


def _mean(total: Any, rows: Any, reduction: str) -> Any:
    if reduction not in ("mean", "sum"):
        raise StatementError(f'reduction = {reduction!r} is neither "mean" nor "sum"')
    return total / rows if reduction == "mean" else total


def _summed(of_entry: Callable[[Any], Any], value: Any) -> Any:
    """The sum of a function of the entries, as a scalar: a trace where the value is a matrix expression."""
    if not _is_matrix(value):
        return of_entry(value)
    if _is_explicit(value):
        return sp.Add(*map(of_entry, value))
    rows, columns = value.shape
    if of_entry is _square:
        return sp.Trace(value * value.T if rows == 1 else value.T * value)
    entries = _applied(of_entry, value)
    left = entries if rows == 1 else OneMatrix(1, rows) * entries
    return sp.Trace(left if columns == 1 else left * OneMatrix(columns, 1))


def _applied(of_entry: Callable[[Any], Any], matrix: Any) -> Any:
    return matrix.applyfunc(sp.Lambda(_U, of_entry(_U)))
