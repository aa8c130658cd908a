r"""Losses that are quadratic in a vector or a matrix: their gradient is affine, and vanishes at a closed form.

.. math:: \nabla L = A w - c = 0 \quad\Rightarrow\quad w = A^{-1} c
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.matexpr import MatrixExpr

from symdescent.check.draw import draw, symbol_values
from symdescent.check.evaluate import evaluate
from symdescent.check.verify import component_values
from symdescent.errors import DataError, SymdescentError
from symdescent.loss import Loss
from symdescent.notation.raising import raise_gradient
from symdescent.statement import name_of
from symdescent.study.definite import sign_of
from symdescent.study.problem import realised


class NotAffineError(Exception):
    """The gradient is not affine in the parameter, or not in a form that is understood."""


@dataclass(frozen=True, slots=True)
class Term:
    """``factor * left * w * right``; without w (`constant`) just ``factor * left``."""

    factor: Any
    left: tuple[Any, ...]
    right: tuple[Any, ...] = ()
    constant: bool = False


@dataclass(frozen=True, slots=True)
class NormalEquations:
    """An affine gradient and its zero.

    The `parameter` stands as a MatrixSymbol; the normal equations say ``matrix * parameter = level`` (or
    ``parameter * matrix = level``, if `right`); `solution` is a matrix expression. `hessian` acts on the parameter as
    a vector; `verdict` says what is known of it ("positive", "semipositive" or "unknown"), `full_rank` names matrices
    whose full column rank makes it positive, `signs` the factors whose sign decides.
    """

    parameter: Any
    gradient: Any
    matrix: Any
    level: Any
    solution: Any
    hessian: Any
    right: bool
    verdict: str
    full_rank: tuple[Any, ...]
    signs: tuple[Any, ...]


def normal_equations(loss: Loss) -> NormalEquations:
    """Solve for the zero of an affine gradient; `NotAffineError` where there is none in closed form.

    >>> n, d = sp.symbols("n d", integer=True, positive=True)
    >>> X, w, y = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("w", d, 1), sp.MatrixSymbol("y", n, 1)
    >>> normal_equations(Loss((X*w - y).T*(X*w - y)/n, w)).solution
    (X.T*X)**(-1)*X.T*y
    """
    if len(loss.parameters) != 1:
        raise NotAffineError("several parameters, and an array among them")
    parameter, gradient = _as_matrices(loss)
    terms = list(_terms(gradient, parameter))
    moving = [term for term in terms if not term.constant]
    fixed = [term for term in terms if term.constant]
    if not moving:
        raise NotAffineError("the gradient does not depend on the parameter")
    on_right = all(not term.left for term in moving) and any(term.right for term in moving)
    if not on_right and any(term.right for term in moving):
        raise NotAffineError("the parameter is multiplied from both sides")
    moving.sort(key=lambda term: not (term.left or term.right))  # XᵀX + n λ I, not I + XᵀX/(n λ)
    scale = moving[0].factor
    moving = [replace(term, factor=sp.cancel(term.factor / scale)) for term in moving]
    fixed = [replace(term, factor=sp.cancel(-term.factor / scale)) for term in fixed]
    size = parameter.shape[1] if on_right else parameter.shape[0]
    matrix = _sum([_product(t.factor, t.right if on_right else t.left, size) for t in moving])
    level = (
        _sum([_product(t.factor, t.left, parameter.shape[0]) for t in fixed])
        if fixed
        else sp.ZeroMatrix(*parameter.shape)
    )
    inverse = sp.Identity(size) if isinstance(matrix, sp.Identity) else sp.Inverse(matrix)
    if isinstance(level, sp.ZeroMatrix):
        solution = level
    else:
        solution = sp.MatMul(level, inverse).doit() if on_right else _solved(inverse, level)
    hessian = _sum([_product(t.factor * scale, t.right if on_right else t.left, size) for t in moving])
    verdict, ranks, signs = _definite(moving, scale, on_right)
    found = NormalEquations(parameter, gradient, matrix, level, solution, hessian, on_right, verdict, ranks, signs)
    _verify(loss, found)
    return found


def _solved(inverse: Any, level: Any) -> Any:
    terms = level.args if isinstance(level, sp.MatAdd) else (level,)
    if len(terms) > 1 or isinstance(inverse, sp.Identity):
        return level if isinstance(inverse, sp.Identity) else sp.MatMul(inverse, level)
    factor, factors = _scalar_first(level)
    return sp.MatMul(factor, inverse, *factors) if factor != 1 else sp.MatMul(inverse, *factors)


def _scalar_first(matrix: Any) -> tuple[Any, tuple[Any, ...]]:
    if isinstance(matrix, sp.MatMul):
        factor, rest = matrix.as_coeff_matrices()
        return factor, tuple(rest)
    return sp.S.One, (matrix,)


# -- the gradient in matrix notation ----------------------------------------------------------------------------------


def _as_matrices(loss: Loss) -> tuple[Any, Any]:
    """The parameter and its gradient in matrix notation, also where the loss was stated with indices."""
    (parameter,) = loss.parameters
    if isinstance(parameter, sp.MatrixSymbol):
        return parameter, loss.gradient[parameter]
    statement = loss.statement
    reader = statement.reader()
    for thing in (*statement.parameters, *statement.samples, *statement.constants):
        base = statement.arrays.get(thing, thing)
        rank = statement.lowering.ranks.get(thing, 0) + (thing in statement.samples)
        if isinstance(base, sp.MatrixSymbol) or rank == 0:
            continue
        shape = base.shape or statement.shape(thing)
        if shape is None or len(shape) > 2:
            raise NotAffineError(f"{name_of(thing)} is no matrix of known shape")
        reader.arrays[thing] = sp.MatrixSymbol(name_of(thing), *(*shape, sp.S.One)[:2])
    matrix = reader.arrays[parameter]
    return matrix, raise_gradient(reader, statement.scatters(), parameter, matrix.shape)


def _terms(expression: Any, parameter: Any) -> Iterator[Term]:
    """The terms of an affine matrix expression."""
    if parameter not in expression.free_symbols:
        yield Term(*_scalar_first(expression), constant=True)
    elif expression == parameter:
        yield Term(sp.S.One, ())
    elif isinstance(expression, sp.MatAdd):
        for part in expression.args:
            yield from _terms(part, parameter)
    elif isinstance(expression, sp.MatMul):
        factor, matrices = expression.as_coeff_matrices()
        holding = [place for place, matrix in enumerate(matrices) if parameter in matrix.free_symbols]
        if len(holding) != 1 or parameter in factor.free_symbols:
            raise NotAffineError("the gradient has products of the parameter with itself")
        place = holding[0]
        for term in _terms(matrices[place], parameter):
            before, after = tuple(matrices[:place]), tuple(matrices[place + 1 :])
            if term.constant:
                yield replace(term, factor=factor * term.factor, left=(*before, *term.left, *after))
            else:
                yield replace(
                    term, factor=factor * term.factor, left=(*before, *term.left), right=(*term.right, *after)
                )
    elif isinstance(expression, sp.HadamardProduct) and expression.shape[1] == 1:
        still = [part for part in expression.args if parameter not in part.free_symbols]
        moving = [part for part in expression.args if parameter in part.free_symbols]
        if len(moving) != 1:
            raise NotAffineError("the gradient has products of the parameter with itself")
        weights = DiagMatrix(still[0] if len(still) == 1 else sp.HadamardProduct(*still))
        for term in _terms(moving[0], parameter):
            yield replace(term, left=(weights, *term.left))
    else:
        raise NotAffineError(f"the gradient is not affine in {name_of(parameter)}")


def _product(factor: Any, matrices: Sequence[Any], size: Any) -> Any:
    matrices = tuple(matrices) or (sp.Identity(size),)
    if factor == 1:
        return matrices[0] if len(matrices) == 1 else sp.MatMul(*matrices)
    return sp.MatMul(factor, *matrices)


def _sum(terms: Sequence[Any]) -> Any:
    """Equal products gathered."""
    gathered: dict[Any, Any] = {}
    for term in terms:
        factor, matrices = _scalar_first(term)
        gathered[matrices] = gathered.get(matrices, sp.S.Zero) + factor
    parts = [_product(factor, matrices, None) for matrices, factor in gathered.items() if factor != 0]
    if not parts:
        return sp.ZeroMatrix(*terms[0].shape)
    return parts[0] if len(parts) == 1 else sp.MatAdd(*parts)


# -- definiteness -----------------------------------------------------------------------------------------------------


def _definite(terms: Sequence[Term], scale: Any, on_right: bool) -> tuple[str, tuple[Any, ...], tuple[Any, ...]]:
    """Whether a sum of multiples of I, XᵀX and the like is positive (semi)definite."""
    strict, ranks, signs = False, [], []
    for term in terms:
        matrices = term.right if on_right else term.left
        factor = sp.factor(term.factor * scale)
        sign = sign_of(factor.xreplace({symbol: realised(symbol) for symbol in factor.free_symbols}))
        gram = _gram(matrices)
        if gram is None:
            return "unknown", (), ()
        if sign == -1:
            return "unknown", (), ()
        if sign is None:
            signs.append(factor)
        if not matrices and sign == 1:
            strict = True
        if matrices and gram:
            ranks.append(gram)
    if signs:
        return "unknown", tuple(ranks), tuple(signs)
    return ("positive" if strict else "semipositive"), tuple(ranks), ()


def _gram(matrices: Sequence[Any]) -> Any:
    """X if a product is XᵀX (or I, for no factors), None if it is not known to be semidefinite."""
    count = len(matrices)
    half = count // 2
    mirrored = [sp.Transpose(matrix).doit() for matrix in reversed(matrices)]
    if count == 0:
        return sp.true
    if count % 2 == 0 and list(matrices[:half]) == mirrored[:half]:
        return matrices[half] if half == 1 else sp.MatMul(*matrices[half:])
    return None


def _verify(loss: Loss, found: NormalEquations) -> None:
    """Put the solution into the gradient, on random data."""
    (parameter,) = loss.parameters
    for seed in range(3):
        try:
            bound = draw(loss.statement, seed)
            values = symbol_values(loss.statement, bound)
            values = {loss.statement.arrays.get(thing, thing): value for thing, value in values.items()}
            named = {name_of(thing): value for thing, value in values.items()}
            own = {s: named[name_of(s)] for s in found.solution.free_symbols if name_of(s) in named}
            with np.errstate(all="ignore"):
                solution = np.asarray(evaluate(found.solution, own), dtype=float)
            if not np.isfinite(solution).all() or np.max(np.abs(solution), initial=0.0) > 1e8:
                continue  # singular for these data
            moved = np.reshape(solution, np.shape(bound.parameters[parameter]))
            bound.parameters[parameter] = moved
            slope = np.asarray(component_values(loss.statement, loss.gradient, parameter, bound), dtype=float)
        except (DataError, SymdescentError, np.linalg.LinAlgError, ArithmeticError):
            continue
        if np.max(np.abs(slope), initial=0.0) > 1e-6 * (1 + np.max(np.abs(moved), initial=0.0)):
            raise NotAffineError("the solution did not make the gradient vanish")
        return


__all__ = ["MatrixExpr", "NormalEquations", "NotAffineError", "normal_equations"]
