r"""An independent witness: the value of a statement, by walking its SymPy expression with NumPy.

Nothing of the expression graph is used here. The arithmetic is that of the values given: floats, arrays, complex steps
or dual numbers, so that one walk serves finite differences, the complex step and forward-mode derivatives alike.

Each SymPy class has one small rule, a generator that yields the parts whose values it needs; a driver keeps the rules
on an explicit stack, so that nesting may be deeper than Python's recursion limit. A sum is vectorised: its index is an
array along a new axis *in front*, so that broadcasting lines up the indices of the sums outside it,

.. math:: \sum_{j} f(i, j) \;\to\; \text{sum over axis 0 of } f \text{ at } i: (n,),\ j: (d, 1).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixElement

from symdescent.check import evaluate_matrices as matrices
from symdescent.check.operations import OPERATIONS
from symdescent.dual import Dual, broadcast_to, primal, stack, where
from symdescent.elementary import BY_CLASS
from symdescent.errors import DataError, StatementError, UnsupportedError
