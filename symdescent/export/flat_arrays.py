"""Optimizers that compare points, in programs on arrays: the loss on one flat vector is an object there."""

from __future__ import annotations

import ast
from typing import Any

from symdescent.codegen.arrays import array_curvature
from symdescent.codegen.program import KernelWriter, is_quadratic
from symdescent.export.searches import SEARCH, search
from symdescent.methods.text import by_arrays, calls, flat_calls, library, needed

_FLAT_LOSS = '''
class FlatLoss:
    """The loss on one flat vector, which holds the parameters one after the other."""

    def __init__(self, shapes, *data, **lengths):
        self.shapes, self.data, self.lengths = shapes, data, lengths

    def parts(self, x):
        """The parameters in a vector."""
        parts, place = [], 0
        for shape in self.shapes:
            size = math.prod(shape)
            parts.append(x[place : place + size].reshape(shape))
            place += size
        return parts

    def joined(self, parts):
        """The vector of some parameters."""
        return np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in parts])

    def value(self, x):
        """The loss."""
        return float(value(*self.parts(x), *self.data, **self.lengths))
'''
_GRADIENT = '''
    def gradient(self, x, slope):
        """The loss; its gradient is left in the second argument."""
        found = gradient(*self.parts(x), *self.data, **self.lengths)
        slope[:] = self.joined(found if len(self.shapes) > 1 else [found])
        return self.value(x)
'''
_CURVATURE = '''
    def curvature(self, x, direction, product):
        """The Hessian times a direction is left in the third argument."""
        found = hessian_vector_product(*self.parts(x), *self.parts(direction), *self.data, **self.lengths)
        product[:] = self.joined(found if len(self.shapes) > 1 else [found])
'''


class ArraySearch:
    """A search in a program on arrays: `functions` are of the target's arrays, `texts` of NumPy's."""

    def __init__(self, optimizer: Any, writer: KernelWriter) -> None:
        self.loop = search(optimizer, is_quadratic(writer.statement))
        self.called = needed(calls(self.loop), by_numpy=True)
        nodes = [node for node in ast.walk(self.loop) if isinstance(node, ast.Attribute)]
        self.asked = flat_calls(self.called) | {node.attr for node in nodes if ast.unparse(node.value) == "loss"}
        self.functions: list[str] = []
        self.helpers: set[str] = set()
        if "curvature" in self.asked:
            curvature, self.helpers = array_curvature(writer)
            self.functions.append(curvature)

    @property
    def names(self) -> list[str]:
        """What has a meaning in the program."""
        return [*self.called, SEARCH, "FlatLoss", "hessian_vector_product", "minimize", "math"]

    def texts(self) -> list[str]:
        """The loss as an object, what the search calls, and the search."""
        methods = {"gradient": _GRADIENT, "curvature": _CURVATURE}
        own = _FLAT_LOSS + "".join(text for name, text in methods.items() if name in self.asked)
        known = library(by_numpy=True)
        return [own, *(by_arrays(known[name]) for name in self.called), by_arrays(self.loop)]
