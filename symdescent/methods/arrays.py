"""The functions of `symdescent.methods.algebra` by NumPy and LAPACK."""

from __future__ import annotations

import numpy as np

from symdescent.methods.kinds import Matrix, Vector


def dot(a: Vector, b: Vector, n: int) -> float:
    """The product of two vectors."""
    return float(a @ b)


def largest(a: Vector, n: int) -> float:
    """The largest absolute value; NaN where there is one."""
    return float(np.max(np.abs(a)))


def largest_entry(a: Matrix, n: int) -> float:
    """The largest absolute value of a matrix; NaN where there is one."""
    return float(np.max(np.abs(a)))


def least_diagonal(a: Matrix, n: int) -> float:
    """The least entry of a diagonal."""
    return float(np.min(np.diag(a)))


def shift(a: Matrix, b: Matrix, amount: float, n: int) -> None:
    """A becomes B + λ I."""
    a[:] = b + amount * np.eye(n)


def symmetrize(a: Matrix, n: int) -> None:
    """Replace a matrix by its symmetric part."""
    a[:] = (a + a.T) / 2.0


def solve(a: Matrix, x: Vector, n: int) -> int:
    """The solution of A x = b, where b was; 0 if A is singular."""
    try:
        x[:] = np.linalg.solve(a, x)
    except np.linalg.LinAlgError:
        return 0
    return 1


def solve_definite(a: Matrix, x: Vector, n: int) -> int:
    """The solution of A x = b, where b was, by Cholesky's factors; 0 if A is not positive definite."""
    try:
        factor = np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        return 0
    x[:] = np.linalg.solve(factor.T, np.linalg.solve(factor, x))
    return 1
