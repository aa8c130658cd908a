"""What every benchmark is given, and the losses that several of them state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import sympy as sp
from peers import Library

import symdescent as sd

Size = TypeVar("Size")

n, d, K = sp.symbols("n d K", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
X, y, w = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,)), sp.IndexedBase("w", shape=(d,))
W, B, c = sp.IndexedBase("W", shape=(d, K)), sp.IndexedBase("B", shape=(K,)), sp.IndexedBase("c", shape=(n,))
b = sp.Symbol("b")
SCORE = sp.Sum(X[i, j] * w[j], (j, 0, d - 1))


@dataclass(frozen=True, slots=True)
class Setting:
    """How a benchmark is run: small (`quick`) or not, with the loops in C or not, in a directory that is deleted."""

    quick: bool
    c: Library | None
    scratch: Path

    def size(self, full: Size, quick: Size) -> Size:
        """One of two sizes."""
        return quick if self.quick else full

    @property
    def rounds(self) -> int:
        """How often everything is measured."""
        return self.size(15, 3)


def chained_rosenbrock(length: Any) -> tuple[Any, Any]:
    """The sum over a chain of `length` entries, in index notation, and its parameter."""
    x = sp.IndexedBase("x", shape=(length,))
    return sp.Sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2, (i, 0, length - 2)), x


def rosenbrock_gradient(x: Any) -> Any:
    """The gradient of the chain in NumPy."""
    t = x[1:] - x[:-1] ** 2
    gradient = np.zeros_like(x)
    gradient[:-1] = -400 * x[:-1] * t - 2 * (1 - x[:-1])
    gradient[1:] += 200 * t
    return gradient


def mean_over_samples(term: Any) -> Any:
    """The mean of what depends on the sample i."""
    return sp.Sum(term, (i, 0, n - 1)) / n


def logistic_loss() -> sd.Loss:
    """Logistic regression with labels ±1."""
    return sd.Loss(mean_over_samples(sd.losses.logistic(y[i], SCORE + b)), [w, b])


def softmax_loss() -> sd.Loss:
    """Softmax regression with classes that are given by their number."""
    logits = sp.Sum(X[i, j] * W[j, k], (j, 0, d - 1)) + B[k]
    return sd.Loss(mean_over_samples(sd.losses.cross_entropy(logits, c[i], (k, 0, K - 1))), [W, B])


def least_squares_loss() -> sd.Loss:
    """Linear least squares."""
    return sd.Loss(mean_over_samples((SCORE - y[i]) ** 2), w)
