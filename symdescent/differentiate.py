"""The one differentiator: a reverse sweep, and a forward sweep, over the expression graph.

Going backwards, the contribution of a node to an argument is ``adjoint * partial``, summed over the indices that the
node has and the argument lacks. At a parameter it is not summed but becomes a `Scatter`: for all of its indices,
``gradient[places] += contribution``. The partial of an elementary function is read off the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp

from symdescent.elementary import BY_CLASS, TABLE
from symdescent.elementary import table as names
from symdescent.errors import UnsupportedError
from symdescent.graph import Graph, Index, Node, dependents

KINKS = ("min-norm", "left", "right", "raise")


@dataclass(frozen=True, slots=True)
class Scatter:
    """For all `indices`: ``gradient of parameter[places] += contribution`` (a scalar parameter has no places)."""

    parameter: Any
    places: tuple[Node, ...]
    contribution: Node
    indices: frozenset[Index]


def reverse(
    graph: Graph, root: Node, parameters: Iterable[Any], kinks: str = "min-norm", exact_products: bool = False
) -> list[Scatter]:
    """Return the gradient of the root with respect to the parameters, by one walk backwards.

    `exact_products` writes the gradient of an indexed product so that it can be differentiated again where factors
    vanish, at quadratic cost.
    """
    wanted = set(parameters)
    active = dependents([root], lambda node: is_parameter(node, wanted))
    adjoints: dict[Node, list[Node]] = {root: [graph.one]}
    ends: dict[tuple[Node, frozenset[Index]], list[Node]] = {}
    if is_parameter(root, wanted):
        ends[root, root.indices] = [graph.one]
    for node in sorted(active, key=lambda node: -node.age):
        received = adjoints.pop(node, None)
        if received is None or is_parameter(node, wanted):
            continue
        adjoint = graph.add(*received)
        for argument, contribution, over in _contributions(graph, node, adjoint, active, kinks, exact_products):
            summed_over = (over | contribution.indices) - argument.indices
            if is_parameter(argument, wanted):
                repeated = graph.sum(contribution, summed_over - contribution.indices)
                ends.setdefault((argument, repeated.indices | argument.indices), []).append(repeated)
            else:
                adjoints.setdefault(argument, []).append(graph.sum(contribution, summed_over))
    return [
        Scatter(leaf.payload, leaf.args, total, indices)
        for (leaf, indices), parts in ends.items()
        if (total := graph.add(*parts)) is not graph.zero
    ]


def is_parameter(node: Node, wanted: set[Any]) -> bool:
    """Whether a node is a wanted scalar, or an entry of a wanted array."""
    return node.op in ("symbol", "load") and node.payload in wanted


def forward(
    graph: Graph, roots: Iterable[Node], directions: Mapping[Any, Callable[[Node], Node]], kinks: str = "min-norm"
) -> dict[Node, Node]:
    """Return the directional derivative of every active node; `directions` maps a parameter to its leaves' tangents."""
    wanted = set(directions)
    tangents: dict[Node, Node] = {}
    active = dependents(roots, lambda node: is_parameter(node, wanted))
    for node in sorted(active, key=lambda node: node.age):
        if is_parameter(node, wanted):
            tangents[node] = directions[node.payload](node)
        elif node.op == "sum":
            tangents[node] = graph.reduce("sum", tangents[node.args[0]], node.payload)
        else:
            parts = [
                graph.sum(graph.mul(partial, tangents[argument]), (argument.indices | partial.indices) - node.indices)
                for argument, partial, _ in _contributions(graph, node, graph.one, active, kinks, plain=True)
            ]
            tangents[node] = graph.add(*parts)
    return tangents


# -- partial derivatives ----------------------------------------------------------------------------------------------


def _contributions(
    graph: Graph,
    node: Node,
    adjoint: Node,
    active: set[Node],
    kinks: str,
    exact_products: bool = True,
    plain: bool = False,
) -> Iterator[tuple[Node, Node, frozenset[Index]]]:
    """Yield each active argument, what the node's adjoint contributes to it, and the indices that range over it.

    `plain` asks for one partial for each argument (the forward sweep); otherwise a rule may pass by an argument and
    contribute to what stands below it.
    """
    if node.op == "call" and node.payload == "log_softmax" and not plain:
        yield from _log_softmax(graph, node, adjoint, active)
    elif node.op == "call" and node.payload == "softmax" and not plain and is_entry(graph, *node.args):
        logarithm = graph.call("log_softmax", *node.args)
        yield from _log_softmax(graph, logarithm, graph.mul(adjoint, node), active)
    elif node.op == "call" and node.payload in ("max", "min"):
        for argument, contribution in _extremum(graph, node, adjoint, active, kinks):
            yield argument, contribution, node.indices
    elif node.op == "mul" and len(node.args) > 4:
        for argument, contribution in _long_product(graph, node, adjoint, active):
            yield argument, contribution, node.indices
    elif node.op == "product":
        yield node.args[0], _product(graph, node, adjoint, exact_products), node.indices
    else:
        rule = _RULES.get(node.op)
        if rule is None:  # a condition: it decides between values but has no derivative
            return
        for place, argument in enumerate(node.args):
            if argument in active:
                yield argument, rule(graph, node, adjoint, place, kinks), node.indices


def _add(graph: Graph, node: Node, adjoint: Node, place: int, kinks: str) -> Node:
    return adjoint


def _mul(graph: Graph, node: Node, adjoint: Node, place: int, kinks: str) -> Node:
    """The product of the others; long products are split in halves, so that the parts are shared."""
    parts = [adjoint]
    low, high = 0, len(node.args)
    while high - low > 1:
        middle = (low + high) // 2
        if place < middle:
            parts.append(graph.stretch(node, middle, high))
            high = middle
        else:
            parts.append(graph.stretch(node, low, middle))
            low = middle
    return graph.mul(*parts)


def _long_product(graph: Graph, node: Node, adjoint: Node, active: set[Node]) -> Iterator[tuple[Node, Node]]:
    """The same for many factors, at a cost linear in their number: what stands before times what stands after."""
    after = [adjoint]
    for factor in reversed(node.args[1:]):
        after.append(graph.group([factor, after[-1]]) if after[-1] is not graph.one else factor)
    before: Node | None = None
    for factor, rest in zip(node.args, reversed(after), strict=True):
        if factor in active:
            yield factor, rest if before is None else graph.mul(before, rest)
        before = factor if before is None else graph.group([before, factor])


def _power(graph: Graph, node: Node, adjoint: Node, place: int, kinks: str) -> Node:
    base, exponent = node.args
    if place == 0:
        factors = graph.factors(exponent)
        if base in factors:  # x x**(x - 1) is x**x
            factors.remove(base)
            return graph.mul(adjoint, *factors, node)
        return graph.mul(adjoint, exponent, graph.power(base, graph.add(exponent, graph.const(-1))))
    slope = graph.mul(node, graph.call("log", base))
    if base.number is None:  # 0**p is 0 for all p > 0: so is its slope
        vanishes = graph.all(graph.relation("equal", base, graph.zero), graph.relation("less", graph.zero, exponent))
        slope = graph.select(vanishes, graph.zero, slope)
    return graph.mul(adjoint, slope)


def _select(graph: Graph, node: Node, adjoint: Node, place: int, kinks: str) -> Node:
    if place == 0:
        return graph.zero
    condition = node.args[0] if place == 1 else graph.negation(node.args[0])
    return graph.select(condition, adjoint, graph.zero)


def _call(graph: Graph, node: Node, adjoint: Node, place: int, kinks: str) -> Node:
    if node.payload in ("softmax", "log_softmax"):
        factor = node if node.payload == "softmax" else graph.one
        return graph.mul(adjoint, factor if place == 0 else graph.neg(factor))
    if node.payload == "logsumexp":
        return graph.mul(adjoint, graph.call("softmax", node.args[place], node))
    if node.payload == "centred":  # a - A p
        _, whole, _, share = node.args
        return graph.mul(adjoint, (graph.one, graph.neg(share), graph.zero, graph.neg(whole))[place])
    if node.payload == "others":
        return adjoint if place == 0 else graph.zero
    if node.payload in ("Abs", "relu"):
        return graph.mul(adjoint, _ramp_slope(graph, node, kinks))
    record = TABLE[node.payload]
    if not record.partials:
        raise UnsupportedError(
            f"{record.name} of an expression that holds a parameter has derivative zero wherever it has one, so that "
            f"descent cannot move; use a smooth replacement, or keep {record.name} to data"
        )
    bindings: dict[Any, Node] = {names.f: node}
    bindings.update(zip((names.x, names.y), node.args, strict=False))
    return graph.mul(adjoint, instantiate(graph, record.partials[place], bindings))


def _ramp_slope(graph: Graph, node: Node, kinks: str) -> Node:
    """The slope of |x| or max(0, x), with the chosen subgradient at 0."""
    (x,) = node.args
    below = graph.const(-1) if node.payload == "Abs" else graph.zero
    at = {"min-norm": graph.zero, "left": below, "right": graph.one, "raise": graph.const(float("nan"))}[kinks]
    if node.payload == "Abs" and kinks == "min-norm":
        return graph.call("sign", x)
    positive = graph.relation("less", graph.zero, x)
    if at is below:
        return graph.select(positive, graph.one, below)
    return graph.select(positive, graph.one, graph.select(graph.relation("less", x, graph.zero), below, at))


def _extremum(graph: Graph, node: Node, adjoint: Node, active: set[Node], kinks: str) -> Iterator[tuple[Node, Node]]:
    """Max and Min: the adjoint goes to the argument that attains the value; ties follow the convention for kinks.

    Least norm: against a constant, the constant's slope 0; among k arguments that tie, 1/k each. "left" takes the
    first, "right" the last of those that tie (of a ramp, the slope on its left or right side). Few arguments are
    compared with each other, many with the value, so that the cost stays linear in their number.
    """
    if len(node.args) <= 3:
        yield from _few_extremum(graph, node, adjoint, active, kinks)
        return
    constants = [argument for argument in node.args if argument not in active]
    moving = [argument for argument in node.args if argument in active]
    below = node.payload == "max"
    attains = {
        argument: graph.relation("less_equal", *((node, argument) if below else (argument, node)))
        for argument in node.args
    }
    constant_attains = graph.any(*(attains[argument] for argument in constants))
    count = graph.add(*(graph.select(attains[argument], graph.one, graph.zero) for argument in moving))
    taken = graph.false
    for argument in moving if kinks != "right" else reversed(moving):
        condition, contribution = attains[argument], adjoint
        if kinks == "min-norm":
            condition = graph.all(condition, graph.negation(constant_attains))
            if len(moving) > 1:
                contribution = graph.mul(adjoint, graph.power(count, graph.const(-1)))
        elif kinks == "raise":
            alone = graph.all(graph.negation(constant_attains), graph.relation("less", count, graph.const(2)))
            contribution = graph.select(alone, adjoint, graph.const(float("nan")))
        else:
            gives_way = (node.payload == "max") == (kinks == "left")
            if constants and gives_way:
                condition = graph.all(condition, graph.negation(constant_attains))
            condition = graph.all(condition, graph.negation(taken))
            taken = graph.any(taken, attains[argument])
        yield argument, graph.select(condition, contribution, graph.zero)


def _few_extremum(
    graph: Graph, node: Node, adjoint: Node, active: set[Node], kinks: str
) -> Iterator[tuple[Node, Node]]:
    """The same for few arguments, compared in pairs: written so, the derivative reads as one expects."""

    def beats(a: Node, b: Node, strictly: bool) -> Node:
        left, right = (b, a) if node.payload == "max" else (a, b)
        return graph.relation("less" if strictly else "less_equal", left, right)

    for place, argument in enumerate(node.args):
        if argument not in active:
            continue
        conditions, ties = [], []
        for other_place, other in enumerate(node.args):
            if other is argument:
                continue
            if kinks == "raise":
                conditions.append(beats(argument, other, False))
                ties.append(graph.relation("equal", argument, other))
            elif kinks == "min-norm" and other in active:
                conditions.append(beats(argument, other, False))
                share = graph.relation("equal", argument, other)
                ties.append(graph.select(share, graph.one, graph.zero))
            elif kinks == "min-norm":
                conditions.append(beats(argument, other, True))
            elif other not in active:
                slope_low = (node.payload == "max") == (kinks == "left")
                conditions.append(beats(argument, other, slope_low))
            else:
                conditions.append(beats(argument, other, (other_place < place) == (kinks == "left")))
        contribution = adjoint
        if kinks == "raise":
            contribution = graph.select(graph.any(*ties), graph.const(float("nan")), adjoint)
        elif ties:
            count = graph.add(graph.one, *ties)
            contribution = graph.mul(adjoint, graph.power(count, graph.const(-1)))
        yield argument, graph.select(graph.all(*conditions), contribution, graph.zero)


def _logsumexp(graph: Graph, node: Node, adjoint: Node, place: int, kinks: str) -> Node:
    return graph.mul(adjoint, graph.call("softmax", node.args[0], node))


def _log_softmax(
    graph: Graph, node: Node, adjoint: Node, active: set[Node]
) -> Iterator[tuple[Node, Node, frozenset[Index]]]:
    """log softmax(z) = z - L with L = logsumexp over k of body(k), where z is body(e), for one e or for all.

    What reaches body(k) is ``a [k = e] - softmax(k) a``, or ``a_k - softmax(k) sum a``: all digits cancel where the
    share is almost 1, so that the difference is a head of its own, `centred`.
    """
    z, total = node.args
    if total.op == "call":  # of finitely many scalars, z among them
        for argument in dict.fromkeys(total.args):
            if argument in active:
                times = graph.const(total.args.count(argument))
                share = graph.mul(times, graph.call("softmax", argument, total))
                if argument is z:
                    share = graph.call("expm1", node) if times is graph.one else graph.add(share, graph.const(-1))
                yield argument, graph.neg(graph.mul(adjoint, share)), node.indices
        return
    body, index = total.args[0], total.payload
    place = match_index(graph, body, z, index)
    assert place is not None, "log_softmax is only made where z is an entry of the sum"
    outer = place.payload if place.op == "index" and place.payload.extent is index.extent else None
    if outer is not None and outer not in total.indices:
        front = [factor for factor in graph.factors(adjoint) if outer not in factor.indices]
        inner = graph.mul(*(factor for factor in graph.factors(adjoint) if outer in factor.indices))
        here, whole = graph.replace(inner, {outer: graph.index(index)}), graph.reduce("sum", inner, outer)
    else:
        front, whole = [adjoint], graph.one
        here = graph.select(graph.relation("equal", graph.index(index), place), graph.one, graph.zero)
    log_share = graph.call("log_softmax", body, total)
    share = graph.call("softmax", body, total)
    yield body, graph.mul(*front, graph.call("centred", here, whole, log_share, share)), frozenset()


def _product(graph: Graph, node: Node, adjoint: Node, exact: bool) -> Node:
    """The product of the other factors, right also where factors are zero.

    In linear time: divide out the own factor, unless factors vanish. `exact` writes the product without its own
    factor, in quadratic time, which can be differentiated once more at zeros.
    """
    body, index = node.args[0], node.payload
    if exact:
        other = graph.fresh_index(index.extent)
        same = graph.relation("equal", graph.index(index), graph.index(other))
        factor = graph.select(same, graph.one, graph.replace(body, {index: graph.index(other)}))
        return graph.mul(adjoint, graph.reduce("product", factor, other))
    vanishes = graph.relation("equal", body, graph.zero)
    rest = graph.reduce("product", graph.select(vanishes, graph.one, body), index)
    zeros = graph.reduce("sum", graph.select(vanishes, graph.one, graph.zero), index)
    alone = graph.select(graph.relation("equal", zeros, graph.one), rest, graph.zero)
    divided = graph.mul(node, graph.power(body, graph.const(-1)))
    others = graph.select(graph.relation("equal", zeros, graph.zero), divided, graph.zero)
    return graph.mul(adjoint, graph.call("others", graph.select(vanishes, alone, others), node, body))


_RULES: dict[str, Any] = {
    "add": _add,
    "sum": _add,
    "mul": _mul,
    "power": _power,
    "select": _select,
    "call": _call,
    "logsumexp": _logsumexp,
}


# -- helpers ----------------------------------------------------------------------------------------------------------


def is_entry(graph: Graph, z: Node, total: Node) -> bool:
    """Whether z is one of the terms whose exponentials a logsumexp sums."""
    if total.op == "call":
        return z in total.args
    return match_index(graph, total.args[0], z, total.payload) is not None


def match_index(graph: Graph, body: Node, target: Node, index: Index) -> Node | None:
    """Return the node e with ``target == body`` at ``index = e``, or None."""
    if body is target:
        return graph.index(index)
    found: Node | None = None
    pending = [(body, target)]
    while pending and found is None:
        ours, theirs = pending.pop()
        if ours is theirs or index not in ours.indices:
            continue
        if ours.op == "index":
            found = theirs
        elif ours.op == theirs.op and ours.op in ("add", "mul"):  # what both share need not be compared
            left = [argument for argument in ours.args if argument not in theirs.args]
            right = [argument for argument in theirs.args if argument not in ours.args]
            pending.extend(zip(left, right, strict=False))
        elif ours.op == theirs.op:
            pending.extend(zip(ours.args, theirs.args, strict=False))
    if found is None or graph.replace(body, {index: found}) is not target:
        return None
    return found


def instantiate(graph: Graph, expression: sp.Expr, bindings: Mapping[Any, Node]) -> Node:
    """Build a small closed-form expression, such as a partial derivative of the table, on given nodes."""
    if expression in bindings:
        return bindings[expression]
    if expression.is_Rational:
        return graph.const(Fraction(int(expression.p), int(expression.q)))
    if expression.is_number and not expression.args:
        return graph.const(float("nan") if expression is sp.nan else expression)
    args = [instantiate(graph, argument, bindings) for argument in expression.args]
    if expression.is_Add:
        return graph.add(*args)
    if expression.is_Mul:
        return graph.mul(*args)
    if expression.is_Pow:
        if expression.exp in (sp.Rational(1, 2), -sp.Rational(1, 2)):
            root = graph.call("sqrt", args[0])
            return root if expression.exp > 0 else graph.power(root, graph.const(-1))
        return graph.power(*args)
    return graph.call(BY_CLASS[expression.func].name, *args)
