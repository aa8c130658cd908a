"""The elementary functions that NumPy lacks, on arrays: real ones everywhere, complex ones where they are analytic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from symdescent.elementary import scalar


def _entrywise(name: str, function: Callable[..., float]) -> Any:
    """A scalar function on arrays, NaN where it is undefined and infinite where it overflows."""

    def total(*args: float) -> float:
        if any(math.isnan(argument) for argument in args):
            return math.nan
        try:
            return function(*args)
        except OverflowError:
            return math.inf
        except ValueError:
            return math.nan

    vectorised: Any = np.vectorize(total, otypes=[float])
    vectorised.__name__ = name
    return vectorised


erf = _entrywise("erf", math.erf)
erfc = _entrywise("erfc", math.erfc)
gamma = _entrywise("gamma", math.gamma)
loggamma = _entrywise("loggamma", lambda x: math.lgamma(x) if x > 0 else math.nan)
polygamma = _entrywise("polygamma", scalar.polygamma)


def sigmoid(x: Any) -> Any:
    """1/(1 + exp(-x)), without overflow."""
    x = np.asarray(x)
    small = np.exp(np.where(x.real >= 0, -x, x))
    return np.where(x.real >= 0, 1.0, small) / (1.0 + small)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), without overflow."""
    x = np.asarray(x)
    return np.where(x.real >= 0, x, 0.0) + np.log1p(np.exp(np.where(x.real >= 0, -x, x)))


def relu(x: Any) -> Any:
    """max(0, x); NaN stays NaN."""
    return np.maximum(x, 0.0)


def xlogx(x: Any) -> Any:
    """x log(x), which is 0 at 0."""
    x = np.asarray(x)
    return x * np.log(np.where(x == 0, 1.0, x))


def cosh_half(x: Any) -> Any:
    """cosh(x/2), the denominator of the logistic density."""
    return np.cosh(np.asarray(x) / 2)
