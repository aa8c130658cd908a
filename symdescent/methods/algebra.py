"""The algebra of vectors and small matrices that searches need, in loops."""

from __future__ import annotations

import math

from symdescent.elementary.scalar import maximum
from symdescent.methods.kinds import Matrix, Vector


def dot(a: Vector, b: Vector, n: int) -> float:
    """The product of two vectors."""
    total = 0.0
    for k in range(n):
        total += a[k] * b[k]
    return total


def largest(a: Vector, n: int) -> float:
    """The largest absolute value; NaN where there is one."""
    found = 0.0
    for k in range(n):
        found = maximum(found, abs(a[k]))  # type: ignore[no-untyped-call]
    return found


def largest_entry(a: Matrix, n: int) -> float:
    """The largest absolute value of a matrix; NaN where there is one."""
    found = 0.0
    for k in range(n):
        for j in range(n):
            found = maximum(found, abs(a[k, j]))  # type: ignore[no-untyped-call]
    return found


def least_diagonal(a: Matrix, n: int) -> float:
    """The least entry of a diagonal."""
    found: float = a[0, 0]
    for k in range(n):
        found = min(found, a[k, k])
    return found


def shift(a: Matrix, b: Matrix, amount: float, n: int) -> None:
    """A becomes B + λ I."""
    for k in range(n):
        for j in range(n):
            a[k, j] = b[k, j]
        a[k, k] += amount


def symmetrize(a: Matrix, n: int) -> None:
    """Replace a matrix by its symmetric part."""
    for k in range(n):
        for j in range(k):
            a[k, j] = (a[k, j] + a[j, k]) / 2.0
            a[j, k] = a[k, j]


def solve(a: Matrix, x: Vector, n: int) -> int:
    """The solution of A x = b, where b was, by elimination with row exchanges, which changes A; 0 if A is singular."""
    solved = 1
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            if abs(a[i, k]) > abs(a[best, k]):
                best = i
        if a[best, k] == 0.0:
            solved = 0
            break
        for j in range(n):
            kept = a[k, j]
            a[k, j] = a[best, j]
            a[best, j] = kept
        kept = x[k]
        x[k] = x[best]
        x[best] = kept
        for i in range(k + 1, n):
            factor = a[i, k] / a[k, k]
            for j in range(k + 1, n):
                a[i, j] -= factor * a[k, j]
            x[i] -= factor * x[k]
    if solved == 1:
        for i in range(n):
            row = n - 1 - i
            for j in range(row + 1, n):
                x[row] -= a[row, j] * x[j]
            x[row] = x[row] / a[row, row]
    return solved


def solve_definite(a: Matrix, x: Vector, n: int) -> int:
    """The solution of A x = b, where b was, by Cholesky's factors, which go into A; 0 if A is not positive definite."""
    solved = 1
    for k in range(n):
        total = a[k, k]
        for j in range(k):
            total -= a[k, j] * a[k, j]
        if not total > 0.0:
            solved = 0
            break
        a[k, k] = math.sqrt(total)
        for i in range(k + 1, n):
            total = a[i, k]
            for j in range(k):
                total -= a[i, j] * a[k, j]
            a[i, k] = total / a[k, k]
    if solved == 1:
        for k in range(n):
            for j in range(k):
                x[k] -= a[k, j] * x[j]
            x[k] = x[k] / a[k, k]
        for i in range(n):
            row = n - 1 - i
            for j in range(row + 1, n):
                x[row] -= a[j, row] * x[j]
            x[row] = x[row] / a[row, row]
    return solved
