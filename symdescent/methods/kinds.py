"""What the arguments of a search are: counts and numbers are `int` and `float`."""

from __future__ import annotations

from typing import Any, TypeAlias

Vector: TypeAlias = Any  # n numbers
Matrix: TypeAlias = Any  # n × n numbers
Points: TypeAlias = Any  # n + 1 points, one a row
Losses: TypeAlias = Any  # n + 1 numbers
Stream: TypeAlias = Any  # the 6 numbers of a random generator

# the lengths of the axes, in terms of the argument n
SHAPES = {"Vector": ("n",), "Matrix": ("n", "n"), "Points": ("n + 1", "n"), "Losses": ("n + 1",), "Stream": ("6",)}
