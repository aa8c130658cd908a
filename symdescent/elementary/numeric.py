"""The elementary functions that NumPy lacks, on arrays: real ones everywhere, complex ones where they are analytic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symdescent.elementary import scalar

erf = np.vectorize(math.erf, otypes=[float])
erfc = np.vectorize(math.erfc, otypes=[float])
gamma = np.vectorize(lambda x: math.gamma(x) if x > 0 or x != math.floor(x) else math.nan, otypes=[float])
loggamma = np.vectorize(lambda x: math.lgamma(x) if x > 0 else math.nan, otypes=[float])
polygamma = np.vectorize(scalar.polygamma, otypes=[float])
for _function, _name in ((erf, "erf"), (erfc, "erfc"), (gamma, "gamma"), (loggamma, "loggamma"), (polygamma, "polygamma")):
    _function.__name__ = _name


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
