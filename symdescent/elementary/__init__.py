"""The elementary functions: their SymPy classes, their numerics, and the one table that knows their derivatives."""

from symdescent.elementary.functions import logsumexp, relu, sigmoid, softmax, softplus
from symdescent.elementary.table import BY_CLASS, TABLE, Elementary

__all__ = ["BY_CLASS", "TABLE", "Elementary", "logsumexp", "relu", "sigmoid", "softmax", "softplus"]
