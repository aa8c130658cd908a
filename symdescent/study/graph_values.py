"""The numbers of a graph: every node as an array in which every index has an axis of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symdescent.elementary import TABLE
from symdescent.errors import UnsupportedError
from symdescent.graph import REDUCTIONS, Index, Node, reachable

CELLS = 20_000_000  # numbers in one intermediate array


def extent_of(index: Index, values: Mapping[Any, Any]) -> int:
    """How many values an index has; at most, if that depends on other indices."""
    if index.extent.number is not None:
        return int(index.extent.number)
    value, _ = evaluate(index.extent, values, ())
    return max(0, int(np.max(value)))


def evaluate(root: Node, values: Mapping[Any, Any], axes: Sequence[Index]) -> tuple[Any, dict[Index, int]]:
    """The numbers of a node, with one axis for each index that occurs in it, and which axis that is."""
    nodes = list(reachable([root]))
    positions: dict[Index, int] = {}
    pending = [*axes, *(node.payload for node in nodes if node.op == "index" or node.op in REDUCTIONS)]
    while pending:
        index = pending.pop(0)
        if index not in positions:
            positions[index] = len(positions)
            pending.extend(index.extent.indices)
    frame = _Frame(values, positions)
    cells = float(np.prod([float(frame.size(index)) for index in root.indices | set(axes)]))
    if cells > CELLS:
        raise UnsupportedError(
            f"one line of the trace would hold {cells:.0f} numbers: trace the loss on fewer samples, "
            "which shows the same"
        )
    with np.errstate(all="ignore"):
        return frame.value(root), positions


@dataclass
class _Frame:
    """Values of nodes as arrays in which every index has its own axis."""

    values: Mapping[Any, Any]
    positions: Mapping[Index, int]
    done: dict[Node, Any] = field(default_factory=dict)

    def size(self, index: Index) -> int:
        """The number of values of an index."""
        return extent_of(index, self.values)

    def value(self, root: Node) -> Any:
        """The value of a node; what it needs is computed before it."""
        for node in reachable([root], lambda node: node not in self.done):
            if node not in self.done:
                self.done[node] = self.computed(node, [self.done[argument] for argument in node.args])
        return self.done[root]

    def computed(self, node: Node, args: list[Any]) -> Any:
        """One operation on arrays."""
        op = node.op
        if op == "const":
            return np.asarray(node.payload if isinstance(node.payload, bool) else float(node.payload)).reshape(
                self.ones
            )
        if op == "symbol":
            return np.asarray(float(self.values[node.payload])).reshape(self.ones)
        if op == "index":
            shape = list(self.ones)
            shape[self.positions[node.payload]] = self.size(node.payload)
            return np.arange(float(self.size(node.payload))).reshape(shape)
        if op == "load":
            return self.load(np.asarray(self.values[node.payload]), args)
        if op in REDUCTIONS:
            return self.reduced(op, args[0], node.payload)
        if op == "call":
            return _call(node.payload, args)
        return _OPERATIONS[op](*args)

    @property
    def ones(self) -> tuple[int, ...]:
        """The shape of a number without indices."""
        return (1,) * len(self.positions)

    def load(self, array: Any, places: list[Any]) -> Any:
        """Entries of an array; where a nested range is exceeded, any."""
        positions = [np.clip(p.astype(int), 0, length - 1) for p, length in zip(places, array.shape, strict=True)]
        return array[tuple(np.broadcast_arrays(*positions))]

    def reduced(self, op: str, body: Any, index: Index) -> Any:
        """A sum, product, logsumexp or maximum along the axis of an index."""
        axis, extent = self.positions[index], self.value(index.extent)
        neutral = {"sum": 0.0, "product": 1.0}.get(op, -np.inf)
        shape = list(np.broadcast_shapes(body.shape, extent.shape))
        shape[axis] = self.size(index)
        places = np.arange(float(shape[axis])).reshape([-1 if k == axis else 1 for k in range(len(shape))])
        terms = np.where(places < extent, np.broadcast_to(body, shape), neutral)
        if op == "sum":
            return terms.sum(axis=axis, keepdims=True)
        if op == "product":
            return terms.prod(axis=axis, keepdims=True)
        top = terms.max(axis=axis, keepdims=True, initial=-np.inf)
        if op == "maximum":
            return top
        return top + np.log(np.exp(terms - np.where(np.isfinite(top), top, 0.0)).sum(axis=axis, keepdims=True))


def _call(name: str, args: list[Any]) -> Any:
    special = _CALLS.get(name)
    return special(*args) if special else TABLE[name].numeric(*np.broadcast_arrays(*args))


def _logsumexp(*args: Any) -> Any:
    top = np.maximum.reduce(np.broadcast_arrays(*args))
    return top + np.log(sum(np.exp(argument - top) for argument in args))


_CALLS: dict[str, Any] = {
    "max": lambda *args: np.maximum.reduce(np.broadcast_arrays(*args)),
    "min": lambda *args: np.minimum.reduce(np.broadcast_arrays(*args)),
    "softmax": lambda z, total: np.exp(z - total),
    "log_softmax": lambda z, total: z - total,
    "logsumexp": _logsumexp,
    "centred": lambda a, whole, log_share, share: a - whole * share,
    "others": lambda rest, whole, factor: rest,
}

_OPERATIONS: dict[str, Any] = {
    "add": lambda *args: sum(args[1:], args[0]),
    "mul": lambda *args: np.multiply.reduce(np.broadcast_arrays(*args)),
    "power": np.power,
    "select": lambda condition, a, b: np.where(condition, a, b),
    "less": np.less,
    "less_equal": np.less_equal,
    "equal": np.equal,
    "all": lambda *args: np.logical_and.reduce(np.broadcast_arrays(*args)),
    "any": lambda *args: np.logical_or.reduce(np.broadcast_arrays(*args)),
    "not": np.logical_not,
}
