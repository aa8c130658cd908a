"""Descending a loss: compiled loops over update rules, and what they reach."""

from symdescent.descent.descend import descend
from symdescent.descent.result import Descent

__all__ = ["Descent", "descend"]
