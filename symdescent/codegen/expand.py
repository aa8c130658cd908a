"""Preparing a graph for code: stable heads are written out in primitive operations, products are grouped by loop.

``logsumexp`` becomes ``m + log1p(rest)`` with m the maximum and ``rest`` the sum of the other exponentials relative to
it, counted so that the largest term is never added and subtracted again; softmax and log_softmax use the same parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

from symdescent.graph import REDUCTIONS, Graph, Node, reachable


def expand(graph: Graph, roots: Sequence[Node], guarded: bool = True) -> list[Node]:
    """Return the roots with every stable head that is no function of the target language written out.

    `guarded` keeps 1 - x as a factor from being fused with others by the compiler's flags.
    """
    done: dict[Node, Node] = {}
    parts: dict[Node, tuple[Node, Node]] = {}
    for node in reachable(roots):
        args = [done[argument] for argument in node.args]
        if node.op == "logsumexp" or (node.op == "call" and node.payload == "logsumexp"):
            parts[node] = _parts(graph, node, args)
            done[node] = graph.add(parts[node][0], graph.call("log1p", parts[node][1]))
        elif node.op == "call" and node.payload in ("softmax", "log_softmax"):
            done[node] = _share(graph, node.payload, args[0], parts[node.args[1]])
        elif node.op == "call" and node.payload == "others":
            done[node] = args[0]
        elif guarded and node.op == "mul" and len(args) > 1 and args[0].number is None:
            done[node] = graph.mul(*(_complement(graph, factor) for factor in args))
        else:
            done[node] = graph.rebuild(node, args) if list(node.args) != args else node
    return [done[root] for root in roots]


def _complement(graph: Graph, factor: Node) -> Node:
    """1 - x as a factor, which must not be multiplied out."""
    if factor.op == "add" and len(factor.args) == 2:
        for one, other in (factor.args, factor.args[::-1]):
            number, x = graph.coefficient(other)
            if one is graph.one and number == -1:
                return graph.call("complement", x)
    return factor


def _parts(graph: Graph, node: Node, args: list[Node]) -> tuple[Node, Node]:
    """The maximum m of the terms, and the sum of exp(term - m) over all terms but one largest."""
    if node.op == "call":
        terms, largest = args, graph.call("max", *args)
        total: Callable[[Iterable[Node]], Node] = lambda values: graph.add(*values)  # noqa: E731
    else:
        terms, largest = args, graph.reduce("maximum", args[0], node.payload)
        total = lambda values: graph.reduce("sum", next(iter(values)), node.payload)  # noqa: E731
    below = [graph.relation("less", term, largest) for term in terms]
    small = (
        graph.select(b, graph.call("exp_difference", t, largest), graph.zero) for b, t in zip(below, terms, strict=True)
    )
    ties = (graph.select(b, graph.zero, graph.one) for b in below)
    without_one = graph.call("difference", graph.one, total(ties))
    return largest, graph.call("difference", total(small), without_one)


def _share(graph: Graph, name: str, z: Node, parts: tuple[Node, Node]) -> Node:
    largest, rest = parts
    if name == "log_softmax":
        return graph.call("difference", graph.call("difference", z, largest), graph.call("log1p", rest))
    return graph.mul(graph.call("exp_difference", z, largest), graph.power(graph.add(graph.one, rest), graph.const(-1)))


def group_by_loop(graph: Graph, roots: Sequence[Node], depth: Callable[[Node], int]) -> list[Node]:
    """Return the roots with products nested so that factors which vary in fewer loops are multiplied first."""
    done: dict[Node, Node] = {}
    nodes = list(reachable(roots))
    uses = Counter(argument for node in nodes for argument in node.args)
    for node in nodes:
        if node.op == "mul" and node.args[0].number != -1:
            levels: dict[int, list[Node]] = {}
            for factor in _loose_factors(graph, node, uses):
                levels.setdefault(depth(factor), []).append(done.get(factor, factor))
            product: list[Node] = []
            for level in sorted(levels):
                product = [graph.group(product), *levels[level]] if len(product) > 1 else [*product, *levels[level]]
            done[node] = graph.group(product)
            continue
        args = tuple(done[argument] for argument in node.args)
        if args == node.args:
            done[node] = node
        elif node.op in REDUCTIONS:
            done[node] = graph.regroup(node, args[0])
        else:
            done[node] = graph.group(list(args)) if node.op == "mul" else graph.rebuild(node, list(args))
    return [done[root] for root in roots]


def _loose_factors(graph: Graph, node: Node, uses: Counter[Node]) -> list[Node]:
    """The factors of a product, through products that nothing else uses; constants are gathered in front."""
    number: Any = Fraction(1)
    found: list[Node] = []
    pending = list(node.args)
    scaled = node.args[0].number is not None
    while pending:
        factor = pending.pop()
        if factor.number is not None:
            number = number * factor.number
        elif factor.op == "mul" and (uses[factor] == 1 or (scaled and factor is node.args[-1])):
            pending.extend(factor.args)
        else:
            found.append(factor)
    found.sort(key=lambda factor: factor.age)
    return found if number == 1 else [graph.const(number), *found]
