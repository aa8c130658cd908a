"""Newton's direction: the solution of (H + λI) p = -g."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symdescent.methods.kinds import Matrix, Vector


def fill_hessian(loss: Any, algebra: Any, x: Vector, n: int, hessian: Matrix) -> None:
    """The Hessian, column by column."""
    direction = np.empty(n)
    product = np.empty(n)
    for k in range(n):
        direction[:] = 0.0
        direction[k] = 1.0
        loss.curvature(x, direction, product)
        hessian[k, :] = product
    algebra.symmetrize(hessian, n)


def plain_direction(algebra: Any, hessian: Matrix, slope: Vector, n: int, damping: float, direction: Vector) -> int:
    """The direction with λ as it is given; 0 where the matrix is singular or not finite."""
    matrix = np.empty((n, n))
    algebra.shift(matrix, hessian, damping, n)
    direction[:] = -slope
    found: int = algebra.solve(matrix, direction, n)
    size = algebra.largest_entry(hessian, n)
    if not size < math.inf:
        found = 0
    return found


def downward_direction(algebra: Any, hessian: Matrix, slope: Vector, n: int, damping: float, direction: Vector) -> int:
    """The direction with λ raised until the matrix is positive definite, so that it goes down; 0 if H is not finite."""
    matrix = np.empty((n, n))
    size = algebra.largest_entry(hessian, n)
    scale = max(1.0, size)
    least = algebra.least_diagonal(hessian, n)
    extra = damping
    if least + extra <= 0.0:
        extra = 1e-3 * scale - least
    found = 0
    while found == 0 and size < math.inf:
        algebra.shift(matrix, hessian, extra, n)
        direction[:] = -slope
        found = algebra.solve_definite(matrix, direction, n)
        extra = max(2.0 * extra, 1e-8 * scale)
    return found
