"""symdescent: state a loss in SymPy; derive, check, compile and descend it.

>>> import sympy as sp
>>> import symdescent as sd
>>> w = sp.Symbol("w")
>>> sd.Loss((w - 3)**2, w).gradient[w]
2*w - 6
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Loss": "loss",
    "Gradient": "loss",
    "sigmoid": "elementary",
    "softplus": "elementary",
    "relu": "elementary",
    "logsumexp": "elementary",
    "softmax": "elementary",
    "Dual": "dual",
    "GradientCheck": "check",
    "CompiledLoss": "compiled",
    "Descent": "descent",
    "UpdateRule": "optimizers",
    "GradientDescent": "optimizers",
    "Momentum": "optimizers",
    "SymdescentError": "errors",
    "StatementError": "errors",
    "UnsupportedError": "errors",
    "DataError": "errors",
    "KinkError": "errors",
    "VerificationError": "errors",
}
_MODULES = ("losses",)

__all__ = [*_HOME, *_MODULES]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that importing the package costs next to nothing."""
    if name in _MODULES:
        return import_module(f"symdescent.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'symdescent' has no attribute {name!r}")
    value = getattr(import_module(f"symdescent.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
