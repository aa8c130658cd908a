"""Optimizers, each a record of assignments in SymPy: the record itself, and the family."""

from symdescent.optimizers.first_order import (
    AdaDelta,
    AdaGrad,
    Adam,
    AdamW,
    GradientDescent,
    Lion,
    Momentum,
    NAdam,
    RMSprop,
)
from symdescent.optimizers.rule import (
    ANY,
    FRACTION,
    POSITIVE,
    Hyperparameter,
    State,
    UpdateRule,
    eta,
    g,
    t,
    theta,
)

__all__ = [
    "ANY",
    "FRACTION",
    "POSITIVE",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "GradientDescent",
    "Hyperparameter",
    "Lion",
    "Momentum",
    "NAdam",
    "RMSprop",
    "State",
    "UpdateRule",
    "eta",
    "g",
    "t",
    "theta",
]
