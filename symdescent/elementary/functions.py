"""Functions that machine learning needs and SymPy lacks, as SymPy classes.

They print, differentiate, substitute, evaluate and `lambdify` in plain SymPy; stated in a loss they become the
stable heads of the same name (right at arguments of any size, where ``log(1 + exp(z))`` overflows).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from symdescent.errors import StatementError


class _Head(sp.Function):
    """A real function with a definition in SymPy's own terms, and elementwise on matrix expressions."""

    is_extended_real = True
    _symbol = ""

    def __new__(cls, *args: Any, **options: Any) -> Any:
        if len(args) == 1 and isinstance(args[0], MatrixExpr) and args[0].shape != (1, 1):
            return args[0].applyfunc(cls)
        if len(args) == 1 and isinstance(args[0], sp.MatrixBase):
            return args[0].applyfunc(cls)
        return super().__new__(cls, *args, **options)

    def definition(self) -> sp.Expr:
        """Return the function written with SymPy's own functions."""
        raise NotImplementedError

    def _eval_rewrite_as_exp(self, *args: Any, **hints: Any) -> sp.Expr:
        return self.definition()

    def _eval_evalf(self, prec: int) -> Any:
        return self.definition()._eval_evalf(prec)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        inside = ", ".join(printer._print(argument) for argument in self.args)
        power = f"^{{{exp}}}" if exp is not None else ""
        return rf"{self._symbol}{power}\left({inside}\right)"

    def _pythoncode(self, printer: Any) -> str:
        return f"({printer._print(self.definition())})"

    _numpycode = _scipycode = _mpmathcode = _pythoncode


class sigmoid(_Head):
    r"""The logistic function :math:`\sigma(x) = 1/(1 + e^{-x})`.

    >>> x = sp.Symbol("x")
    >>> sigmoid(x).diff(x)
    sigmoid(-x)*sigmoid(x)
    >>> sigmoid(0)
    1/2
    """

    nargs = 1
    _symbol = r"\sigma"

    @classmethod
    def eval(cls, x: sp.Expr) -> sp.Expr | None:
        if x.is_zero:
            return sp.Rational(1, 2)
        return {sp.oo: sp.S.One, -sp.oo: sp.S.Zero}.get(x)

    def definition(self) -> sp.Expr:
        return 1 / (1 + sp.exp(-self.args[0]))

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return self * sigmoid(-self.args[0])


class softplus(_Head):
    r"""The smooth ramp :math:`\log(1 + e^{x})`, whose derivative is the sigmoid.

    >>> softplus(sp.Symbol("x")).diff()
    sigmoid(x)
    """

    nargs = 1
    _symbol = r"\operatorname{softplus}"

    @classmethod
    def eval(cls, x: sp.Expr) -> sp.Expr | None:
        if x.is_zero:
            return sp.log(2)
        return {sp.oo: sp.oo, -sp.oo: sp.S.Zero}.get(x)

    def definition(self) -> sp.Expr:
        return sp.log(1 + sp.exp(self.args[0]))

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return sigmoid(self.args[0])


class relu(_Head):
    r"""The ramp :math:`\max(0, x)`.

    >>> relu(-3), relu(2)
    (0, 2)
    """

    nargs = 1
    _symbol = r"\operatorname{ReLU}"

    @classmethod
    def eval(cls, x: sp.Expr) -> sp.Expr | None:
        if x.is_extended_nonnegative:
            return x
        return sp.S.Zero if x.is_extended_nonpositive else None

    def definition(self) -> sp.Expr:
        return sp.Max(0, self.args[0])

    def _eval_rewrite_as_Max(self, *args: Any, **hints: Any) -> sp.Expr:
        return self.definition()

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return sp.Heaviside(self.args[0], 0)


class logsumexp(_Head):
    r"""The smooth maximum :math:`\log\sum_k e^{z_k}`.

    * ``logsumexp(a, b, c)``: of scalars,
    * ``logsumexp(Z[i, k], (k, 0, K - 1))``: over an index, which is the plain SymPy sum ``log(Sum(exp(...), ...))``,
    * ``logsumexp(M)``: of each row of a matrix, or of all entries of a column vector.

    >>> a, b = sp.symbols("a b")
    >>> logsumexp(a, b).diff(a)
    softmax(a, b)
    """

    _symbol = r"\operatorname{logsumexp}"

    def __new__(cls, *args: Any, **options: Any) -> Any:
        if len(args) == 1 and isinstance(args[0], MatrixExpr):
            return RowLogSumExp(args[0])
        if len(args) == 2 and isinstance(args[1], (tuple, sp.Tuple)):
            return sp.log(sp.Sum(sp.exp(args[0]), tuple(args[1])))
        args = _entries(args)
        if len(args) == 1:
            return sp.sympify(args[0])
        return super().__new__(cls, *args, **options)

    def definition(self) -> sp.Expr:
        return sp.log(sp.Add(*map(sp.exp, self.args)))

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return softmax(*_to_front(self.args, argindex - 1))


class softmax(_Head):
    r"""The share of the first of several exponentials, :math:`e^{z_1} / \sum_k e^{z_k}`.

    * ``softmax(a, b, c)``: the first entry; ``softmax([a, b, c])``: all three, as a tuple,
    * ``softmax(Z[i, j], (j, 0, K - 1), k)``: entry ``k`` over an index, in plain SymPy,
    * ``softmax(M)``: of each row of a matrix, or of all entries of a column vector.

    >>> a, b = sp.symbols("a b")
    >>> softmax(a, b).diff(b)
    -softmax(a, b)*softmax(b, a)
    """

    _symbol = r"\operatorname{softmax}"

    def __new__(cls, *args: Any, **options: Any) -> Any:
        if len(args) == 1 and isinstance(args[0], MatrixExpr):
            return RowSoftmax(args[0])
        if len(args) == 1 and isinstance(args[0], (Sequence, sp.Tuple, sp.MatrixBase)):
            entries = _entries(args)
            return tuple(cls(*_to_front(entries, place)) for place in range(len(entries)))
        if len(args) in (2, 3) and isinstance(args[1], (tuple, sp.Tuple)):
            body, limits = sp.sympify(args[0]), sp.Tuple(*args[1])
            entry = sp.sympify(args[2]) if len(args) == 3 else limits[0]
            dummy = sp.Dummy(str(limits[0]), integer=True)
            total = sp.Sum(sp.exp(body.xreplace({limits[0]: dummy})), (dummy, *limits[1:]))
            return sp.exp(body.xreplace({limits[0]: entry})) / total
        return super().__new__(cls, *args, **options)

    @classmethod
    def eval(cls, *args: sp.Expr) -> sp.Expr | None:
        return sp.S.One if len(args) == 1 else None

    def definition(self) -> sp.Expr:
        return sp.exp(self.args[0]) / sp.Add(*map(sp.exp, self.args))

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        if argindex == 1:
            return self * (1 - self)
        return -self * softmax(*_to_front(self.args, argindex - 1))


def _entries(args: Sequence[Any]) -> tuple[Any, ...]:
    if len(args) == 1 and isinstance(args[0], (Sequence, sp.Tuple, sp.MatrixBase)):
        return tuple(args[0])
    return tuple(args)


def _to_front(args: Sequence[Any], place: int) -> tuple[Any, ...]:
    return (args[place], *args[:place], *args[place + 1 :])


class _RowWise(MatrixExpr):
    """A matrix function applied to each row of a matrix, or to the whole of a column vector."""

    _name = ""

    def __new__(cls, argument: Any) -> Any:
        argument = sp.sympify(argument)
        if not getattr(argument, "is_Matrix", False):
            raise StatementError(f"{cls.__name__} takes a matrix, not {argument}")
        return sp.Basic.__new__(cls, argument)

    @property
    def arg(self) -> Any:
        """The matrix that the function is applied to."""
        return self.args[0]

    @property
    def over_rows(self) -> bool:
        """Whether the entries of each row belong together (a column vector is one group)."""
        return bool(self.arg.shape[1] != 1)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        body = rf"\operatorname{{{self._name}}}\left({printer._print(self.arg)}\right)"
        return body if exp is None else rf"{body}^{{{exp}}}"

    def _sympystr(self, printer: Any) -> str:
        return f"{self._name}({printer._print(self.arg)})"

    def _total(self, i: Any, j: Any) -> sp.Expr:
        k = sp.Dummy("k", integer=True)
        rows, columns = self.arg.shape
        if self.over_rows:
            return sp.Sum(sp.exp(self.arg[i, k]), (k, 0, columns - 1))
        return sp.Sum(sp.exp(self.arg[k, j]), (k, 0, rows - 1))


class RowSoftmax(_RowWise):
    """``softmax`` of each row of a matrix, or of a column vector."""

    _name = "softmax"
    shape = property(lambda self: self.arg.shape)

    def _entry(self, i: Any, j: Any, **kwargs: Any) -> sp.Expr:
        return sp.exp(self.arg[i, j]) / self._total(i, j)


class RowLogSumExp(_RowWise):
    """``logsumexp`` of each row of a matrix (a column vector of results), or of a column vector (1x1)."""

    _name = "logsumexp"
    shape = property(lambda self: (self.arg.shape[0] if self.over_rows else sp.S.One, sp.S.One))

    def _entry(self, i: Any, j: Any, **kwargs: Any) -> sp.Expr:
        return sp.log(self._total(i, j))
