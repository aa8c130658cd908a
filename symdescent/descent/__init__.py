"""Descending a loss: compiled loops over update rules, and what they reach."""

from symdescent.descent.descend import descend
from symdescent.descent.many import Descents, descend_many
from symdescent.descent.result import Descent
from symdescent.descent.runner import Progress
from symdescent.descent.store import load

__all__ = ["Descent", "Descents", "Progress", "descend", "descend_many", "load"]
