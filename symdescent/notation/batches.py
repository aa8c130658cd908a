r"""A loss over a batch of its samples: what stochastic and mini-batch descent evaluate.

A loss that is linear in a sum over samples, :math:`L = c \sum_{i<n} \ell_i + R`, is estimated from a batch of m
samples by

.. math:: \hat L = \frac{n}{m}\, c \sum_{k<m} \ell_{\pi(a+k)} + R,

where the order π of the samples is an integer array and the batch begins at its entry a. For a mean, c = 1/n, that is
the mean over the batch; for a sum it is scaled up, so that value and gradient are unbiased in both cases. No data are
moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symdescent.errors import UnsupportedError
from symdescent.graph import REDUCTIONS, Graph, Index, Node, reachable
from symdescent.notation.lower import Lowering

ORDER = sp.IndexedBase(sp.Dummy("order"))  # dummies: no symbol of the user's is the same
FIRST, COUNT = sp.Dummy("first", integer=True), sp.Dummy("count", integer=True)


@dataclass(frozen=True, slots=True)
class Batch:
    """The loss over a batch: its graph's root, and how many samples there are in all (a node without indices)."""

    root: Node
    samples: Node


def over_batch(graph: Graph, root: Node, lowering: Lowering, parameters: Iterable[Any], given: Index | None) -> Batch:
    """Restrict a loss to a batch; `given` is the index of samples, where it was stated.

    Raises `UnsupportedError` for a loss that is no sum over samples, or not linear in one.
    """
    parameters = set(parameters)
    everywhere = [node for node in reachable([root]) if node.op in REDUCTIONS and _reads_data(node, parameters)]
    sums = [node for node in dict.fromkeys(_linear_sums(root)) if _reads_data(node, parameters)]
    if everywhere and not sums:
        raise UnsupportedError(_NOT_LINEAR)
    samples = given.extent if given is not None else _sample_extent(sums, parameters)
    over = [node for node in sums if node.payload.extent is samples]
    chosen = frozenset(node for node in over if not _is_carried(node, parameters)) or frozenset(over)
    if not chosen:
        raise UnsupportedError(_NO_SAMPLES)
    per_sample = graph.power(graph.symbol(COUNT), graph.const(-1))

    def restricted(node: Node) -> Node:
        """The same over the batch, along the path on which the loss is linear in its samples."""
        if node in chosen:
            return graph.mul(samples, per_sample, _restricted(graph, lowering, node))
        inside = [argument for argument in node.args if any(part in chosen for part in reachable([argument]))]
        linear = node.op in ("add", "sum") or (node.op == "mul" and len(inside) == 1)
        if inside and not linear:
            raise UnsupportedError(_NOT_LINEAR)
        if not inside and node is not root and _is_over(node, samples, parameters):
            raise UnsupportedError(_NOT_LINEAR)
        if not inside:
            return node
        args = [restricted(argument) if argument in inside else argument for argument in node.args]
        if node.op == "mul":  # flat, so that the n of a mean cancels
            return graph.mul(*(factor for argument in args for factor in graph.factors(argument)))
        return graph.rebuild(node, args)

    batch = restricted(root)
    lowering.index_arrays.add(ORDER)
    lowering.ranks[ORDER] = 1
    return Batch(batch, samples)


_NOT_LINEAR = (
    "the loss is not linear in its sum over samples (it is the root of a mean, say, or one mean times another), so "
    "that a "
    "batch would estimate it with a bias: descend with all samples, or state the loss of one sample with samples=[…]"
)
_NO_SAMPLES = (
    "the loss has no samples to take batches of: state the loss of one sample with samples=[…], or a sum over an index "
    "that data, and not parameters, carry"
)


def _linear_sums(root: Node) -> Iterator[Node]:
    """The sums that the root is linear in: terms, single factors, and terms of outer sums."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.op == "sum":
            yield node
            pending.append(node.args[0])
        elif node.op == "add":
            pending.extend(node.args)
        elif node.op == "mul":
            inside = [factor for factor in node.args if any(part.op == "sum" for part in reachable([factor]))]
            if len(inside) == 1:
                pending.append(inside[0])


def _sample_extent(sums: Iterable[Node], parameters: set[Any]) -> Node:
    """The extent of the samples: of an index that data carry, first in their shape, and parameters do not."""
    found: dict[Node, tuple[bool, int]] = {}
    for node in sums:
        if node.payload.extent.indices:
            continue
        axes = [
            axis
            for load in _loads(node)
            if load.payload not in parameters
            for axis, place in enumerate(load.args)
            if node.payload in place.indices
        ]
        rank = (_is_carried(node, parameters), min(axes))
        found[node.payload.extent] = min(rank, found.get(node.payload.extent, rank))
    if not found:
        raise UnsupportedError(_NO_SAMPLES)
    candidates = [extent for extent, rank in found.items() if rank == min(found.values())]
    if len(candidates) > 1:
        raise UnsupportedError(
            "the loss has several sums over data, and it is not clear which of them is over the samples: state the "
            "loss of one sample with samples=[…]"
        )
    return candidates[0]


def _loads(node: Node) -> Iterator[Node]:
    return (part for part in reachable([node.args[0]]) if part.op == "load")


def _reads_data(node: Node, parameters: set[Any]) -> bool:
    """Whether data are read at the index of a sum."""
    return any(load.payload not in parameters and node.payload in load.indices for load in _loads(node))


def _is_carried(node: Node, parameters: set[Any]) -> bool:
    """Whether a parameter is read at the index itself (not at a place that data tell)."""
    return any(
        load.payload in parameters and any(_is_direct(place, node.payload) for place in load.args)
        for load in _loads(node)
    )


def _is_direct(place: Node, index: Index) -> bool:
    return any(
        part.op == "index" and part.payload == index for part in reachable([place], lambda part: part.op != "load")
    )


def _is_over(root: Node, samples: Node, parameters: set[Any]) -> bool:
    """Whether something below a node reduces data over all samples: what a batch cannot know."""
    return any(
        node.op in REDUCTIONS and node.payload.extent is samples and _reads_data(node, parameters)
        for node in reachable([root])
    )


def _restricted(graph: Graph, lowering: Lowering, node: Node) -> Node:
    """The sum over the batch: the index's value is read from the order of the samples."""
    index, (body,) = node.payload, node.args
    inner = {part.payload for part in reachable([body]) if part.op in REDUCTIONS}
    if any(index in other.extent.indices for other in inner):
        raise UnsupportedError(
            "in this loss the range of an inner sum depends on the sample, which batches do not allow: descend with "
            "all samples"
        )
    place = graph.fresh_index(graph.symbol(COUNT))
    position = graph.load(ORDER, [graph.add(graph.symbol(FIRST), graph.index(place))])
    moved = graph.replace(body, {index: position})
    dummy, _ = lowering.display.get(index, (sp.Symbol("i", integer=True), 0))
    return lowering.reduce("sum", moved, place, dummy, sp.Integer(0))
