"""symdescent: state a loss in SymPy; derive, check, compile and descend it.

>>> import sympy as sp
>>> import symdescent as sd
>>> w = sp.Symbol("w")
>>> sd.Loss((w - 3)**2, w).gradient[w]
2*w - 6
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symdescent import landscapes as landscapes
    from symdescent import losses as losses
    from symdescent import plots as plots
    from symdescent.check import GradientCheck as GradientCheck
    from symdescent.compiled import CompiledLoss as CompiledLoss
    from symdescent.derivation.document import Document as Document
    from symdescent.derivation.steps import Derivation as Derivation
    from symdescent.derivation.steps import Step as Step
    from symdescent.descent import Descent as Descent
    from symdescent.descent import Descents as Descents
    from symdescent.descent import Progress as Progress
    from symdescent.descent import load as load
    from symdescent.dual import Dual as Dual
    from symdescent.elementary import logsumexp as logsumexp
    from symdescent.elementary import relu as relu
    from symdescent.elementary import sigmoid as sigmoid
    from symdescent.elementary import softmax as softmax
    from symdescent.elementary import softplus as softplus
    from symdescent.errors import DataError as DataError
    from symdescent.errors import KinkError as KinkError
    from symdescent.errors import StatementError as StatementError
    from symdescent.errors import SymdescentError as SymdescentError
    from symdescent.errors import UnsupportedError as UnsupportedError
    from symdescent.errors import VerificationError as VerificationError
    from symdescent.loss import Gradient as Gradient
    from symdescent.loss import Loss as Loss
    from symdescent.optimizers import LBFGS as LBFGS
    from symdescent.optimizers import AdaDelta as AdaDelta
    from symdescent.optimizers import AdaGrad as AdaGrad
    from symdescent.optimizers import Adam as Adam
    from symdescent.optimizers import AdamW as AdamW
    from symdescent.optimizers import Backtracking as Backtracking
    from symdescent.optimizers import ExactLineSearch as ExactLineSearch
    from symdescent.optimizers import GradientDescent as GradientDescent
    from symdescent.optimizers import Hyperparameter as Hyperparameter
    from symdescent.optimizers import Lion as Lion
    from symdescent.optimizers import Momentum as Momentum
    from symdescent.optimizers import NAdam as NAdam
    from symdescent.optimizers import NelderMead as NelderMead
    from symdescent.optimizers import Newton as Newton
    from symdescent.optimizers import RandomSearch as RandomSearch
    from symdescent.optimizers import RMSprop as RMSprop
    from symdescent.optimizers import State as State
    from symdescent.optimizers import UpdateRule as UpdateRule
    from symdescent.optimizers import schedules as schedules

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
    "Derivation": "derivation.steps",
    "Step": "derivation.steps",
    "Document": "derivation.document",
    "Descent": "descent",
    "Descents": "descent",
    "Progress": "descent",
    "UpdateRule": "optimizers",
    "load": "descent",
    "State": "optimizers",
    "Hyperparameter": "optimizers",
    "ExactLineSearch": "optimizers",
    "Backtracking": "optimizers",
    "LBFGS": "optimizers",
    "RandomSearch": "optimizers",
    "Newton": "optimizers",
    "NelderMead": "optimizers",
    "GradientDescent": "optimizers",
    "Momentum": "optimizers",
    "AdaDelta": "optimizers",
    "AdaGrad": "optimizers",
    "Adam": "optimizers",
    "AdamW": "optimizers",
    "Lion": "optimizers",
    "NAdam": "optimizers",
    "RMSprop": "optimizers",
    "SymdescentError": "errors",
    "StatementError": "errors",
    "UnsupportedError": "errors",
    "DataError": "errors",
    "KinkError": "errors",
    "VerificationError": "errors",
}
_MODULES = {
    "landscapes": "landscapes",
    "losses": "losses",
    "plots": "plots",
    "schedules": "optimizers.schedules",
}

__all__ = [*_HOME, *_MODULES]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that importing the package costs next to nothing."""
    if name in _MODULES:
        return import_module(f"symdescent.{_MODULES[name]}")
    if name not in _HOME:
        raise AttributeError(f"module 'symdescent' has no attribute {name!r}")
    value = getattr(import_module(f"symdescent.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
