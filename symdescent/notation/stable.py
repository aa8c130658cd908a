"""Stability before differentiation: recognising ``log(1 + exp(z))`` and its relatives while a statement is lowered.

What is recognised becomes a stable head of the graph (`softplus`, `sigmoid`, `logsumexp`, `softmax`, `log_softmax`,
`expm1`, `log1p`, `xlogx`), with its own derivative rules, so that nothing has to be repaired afterwards. The one idea
is `logarithm`: a sum of exponentials knows its own logarithm exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from symdescent.differentiate import is_entry, match_index
from symdescent.errors import UnsupportedError
from symdescent.graph import Graph, Node, Number


def logarithm(graph: Graph, node: Node) -> Node | None:
    """Return the logarithm of a positive expression that is made of exponentials, or None."""
    if node.op == "call":
        if node.payload == "exp":
            return node.args[0]
        if node.payload == "sigmoid":
            return graph.neg(graph.call("softplus", graph.neg(node.args[0])))
        if node.payload == "softmax":
            return log_softmax(graph, node.args[0], node.args[1])
    if node.op == "sum":
        inside = logarithm(graph, node.args[0])
        return None if inside is None else graph.reduce("logsumexp", inside, node.payload)
    if node.op == "power":
        inside = logarithm(graph, node.args[0])
        return None if inside is None else graph.mul(node.args[1], inside)
    if node.op == "mul":
        parts = [logarithm(graph, factor) or _log_of_positive(graph, factor) for factor in node.args]
        exponential = any(logarithm(graph, factor) is not None for factor in node.args)
        return add(graph, *parts) if exponential and None not in parts else None  # type: ignore[arg-type]
    if node.op == "add":
        return _log_of_sum(graph, node)
    return None


def _log_of_positive(graph: Graph, node: Node) -> Node | None:
    """The logarithm of what is known to be positive without being an exponential."""
    number = node.number
    if number is not None and number > 0:
        return graph.zero if number == 1 else graph.call("log", node)
    if node.op == "symbol" and getattr(node.payload, "is_positive", False):
        return graph.call("log", node)
    if node.op == "power" and node.args[1].number is not None:
        inside = _log_of_positive(graph, node.args[0])
        return None if inside is None else graph.mul(node.args[1], inside)
    return None


def _log_of_sum(graph: Graph, node: Node) -> Node | None:
    parts: list[Node] = []
    exponential = False
    for term in node.args:
        exact = logarithm(graph, term)
        part = exact if exact is not None else _log_of_positive(graph, term)
        if part is None:
            return _log_of_complement(graph, node)
        exponential = exponential or exact is not None
        parts.append(part)
    if not exponential:
        return None
    if len(parts) == 2 and graph.zero in parts:
        return graph.call("softplus", parts[1] if parts[0] is graph.zero else parts[0])
    return graph.call("logsumexp", *sorted(parts, key=lambda part: part.age))


def _log_of_complement(graph: Graph, node: Node) -> Node | None:
    """log(1 - sigmoid(z)) = -softplus(z)."""
    if len(node.args) == 2:
        for one, other in (node.args, node.args[::-1]):
            number, rest = graph.coefficient(other)
            if one is graph.one and number == -1 and rest.op == "call" and rest.payload == "sigmoid":
                return graph.neg(graph.call("softplus", rest.args[0]))
    return None


def log(graph: Graph, argument: Node) -> Node:
    """log of a node."""
    exact = logarithm(graph, argument)
    if exact is not None:
        return exact
    if argument.op == "product":  # the logarithm of a likelihood
        inside = logarithm(graph, argument.args[0])
        if inside is not None:
            return graph.reduce("sum", inside, argument.payload)
    if argument.op == "add" and graph.one in argument.args:
        rest = graph.add(*(term for term in argument.args if term is not graph.one))
        return graph.call("log1p", rest)
    return graph.call("log", argument)


def exp(graph: Graph, argument: Node) -> Node:
    """exp of a node: a softmax or a sigmoid where the argument is its logarithm."""
    if argument.number == 0:
        return graph.one
    number, rest = graph.coefficient(argument)
    if rest.op == "call" and rest.payload == "softplus" and number < 0:
        return graph.power(graph.call("sigmoid", graph.neg(rest.args[0])), graph.const(-number))
    if rest.op == "call" and rest.payload == "log_softmax" and number == 1:
        return graph.call("softmax", *rest.args)
    if argument.op == "add":
        for term in argument.args:
            number, rest = graph.coefficient(term)
            if number != -1:
                continue
            remaining = graph.add(*(other for other in argument.args if other is not term))
            if rest.op == "call" and rest.payload == "softplus" and rest.args[0] is remaining:
                return graph.call("sigmoid", remaining)
            if rest.op == "logsumexp" or (rest.op == "call" and rest.payload == "logsumexp"):
                return graph.call("softmax", remaining, rest)
    return graph.call("exp", argument)


def power(graph: Graph, base: Node, exponent: Node) -> Node:
    """A power; a negative one of a sum of exponentials becomes an exponential itself, square roots are named."""
    number = exponent.number
    if base.number is not None and base.number < 0 and number is None and not _is_whole(exponent):
        raise UnsupportedError(
            f"a power of the negative number {base.number} is real only for whole exponents: write cos(pi*k), or Abs"
        )
    if number is not None and number < 0 and base.op in ("add", "sum"):
        inside = logarithm(graph, base)
        if inside is not None:
            return exp(graph, graph.mul(exponent, inside))
    if number is not None and base.op == "call" and base.payload == "exp":
        return exp(graph, graph.mul(exponent, base.args[0]))
    if isinstance(number, Fraction) and abs(number) == Fraction(1, 2):
        root = graph.call("sqrt", base)
        return root if number > 0 else graph.power(root, graph.const(-1))
    return graph.power(base, exponent)


def _is_whole(node: Node) -> bool:
    """Whether a node is an integer: made of indices, integer symbols and whole numbers."""
    if node.op in ("add", "mul"):
        return all(map(_is_whole, node.args))
    return isinstance(node.number, int) or node.op == "index" or (node.op == "symbol" and bool(node.payload.is_integer))


def mul(graph: Graph, factors: Sequence[Node]) -> Node:
    """A product: exponentials are merged, also into a sigmoid or softmax among the factors; ``x log x`` is named."""
    raw = [factor for factor in factors if factor.op == "call" and factor.payload == "exp"]
    rest = [factor for factor in factors if factor not in raw]
    if raw:
        merged = exp(graph, add(graph, *(factor.args[0] for factor in raw)))
        for factor in rest:
            base, times = (factor.args[0], factor.args[1].number) if factor.op == "power" else (factor, 1)
            if merged.op == "call" and merged.payload == "exp" and isinstance(times, int) and times > 0:
                joined = _join(graph, merged.args[0], base)
                if joined is not None:
                    rest = [other for other in rest if other is not factor]
                    rest.append(graph.power(base, graph.const(times - 1)))
                    merged = joined
        rest.append(merged)
    for factor in rest:
        if factor.op == "call" and factor.payload == "log" and factor.args[0] in rest:
            others = [other for other in rest if other not in (factor, factor.args[0])]
            return graph.mul(*others, graph.call("xlogx", factor.args[0]))
    return graph.mul(*rest)


def _join(graph: Graph, exponent: Node, base: Node) -> Node | None:
    """exp(e) times a sigmoid or softmax, where that is one again."""
    if base.op != "call" or base.payload not in ("sigmoid", "softmax"):
        return None
    inside = graph.sub(*base.args) if base.payload == "softmax" else logarithm(graph, base)
    assert inside is not None
    parts = [part for node in (exponent, inside) for part in (node.args if node.op == "add" else (node,))]
    joined = exp(graph, add(graph, *parts))
    return joined if joined.op == "call" and joined.payload in ("sigmoid", "softmax") else None


def add(graph: Graph, *terms: Node) -> Node:
    """A sum: ``exp(z) - 1`` and ``z - logsumexp(...)`` (where z is among the summed) are named."""
    terms = tuple(terms)
    for term in terms:
        number, rest = graph.coefficient(term)
        if rest.op == "call" and rest.payload == "exp":
            opposite = graph.const(-number)
            if opposite in terms:
                others = [other for other in terms if other is not term and other is not opposite]
                return add(graph, graph.mul(graph.const(number), graph.call("expm1", rest.args[0])), *others)
        if rest.op == "call" and rest.payload in ("sigmoid", "softplus"):
            mirrored = _mirrored(graph, number, rest, terms)
            if mirrored is not None:
                partner, whole = mirrored
                return add(graph, whole, *(other for other in terms if other is not term and other is not partner))
        if rest.op == "logsumexp" or (rest.op == "call" and rest.payload == "logsumexp"):
            scale = graph.const(-number)
            others = [other for other in terms if other is not term]
            for z in _entries_begun(
                graph, rest, [graph.mul(graph.power(scale, graph.const(-1)), other) for other in others]
            ):
                parts = [graph.mul(scale, part) for part in (z.args if z.op == "add" else (z,))]
                if all(part in others for part in parts):
                    named = graph.mul(scale, graph.call("log_softmax", z, rest))
                    return add(graph, named, *(other for other in others if other not in parts))
    return graph.add(*terms)


def _mirrored(graph: Graph, number: Number, head: Node, terms: Sequence[Node]) -> tuple[Node, Node] | None:
    """1 - sigmoid(v) = sigmoid(-v); softplus(v) - v = softplus(-v); softplus(-|z|) + max(z, 0) = softplus(z).

    Returns the other term, and what it makes together with `number` times the head.
    """
    (v,) = head.args
    scale = graph.const(number)
    if head.payload == "sigmoid":
        one = graph.const(-number)
        return (one, graph.mul(one, graph.call("sigmoid", graph.neg(v)))) if one in terms else None
    other = graph.mul(scale, graph.neg(v))
    if other in terms:
        return other, graph.mul(scale, graph.call("softplus", graph.neg(v)))
    inner = graph.neg(v)
    if inner.op == "call" and inner.payload == "Abs":
        ramp = graph.mul(scale, graph.call("relu", inner.args[0]))
        if ramp in terms:
            return ramp, graph.mul(scale, graph.call("softplus", inner.args[0]))
    return None


def _entries_begun(graph: Graph, total: Node, terms: Sequence[Node]) -> Iterator[Node]:
    """Those of the summed in a logsumexp that have one of the terms among their own."""
    for term in terms:
        if total.op == "call":
            yield from (entry for entry in total.args if term is entry or (entry.op == "add" and term in entry.args))
        else:
            body, index = total.args[0], total.payload
            for part in body.args if body.op == "add" else (body,):
                place = match_index(graph, part, term, index) if index in part.indices else None
                if place is not None:
                    yield graph.replace(body, {index: place})


def log_softmax(graph: Graph, z: Node, total: Node) -> Node:
    """z - L, named where z is one of the summed."""
    return graph.call("log_softmax", z, total) if is_entry(graph, z, total) else graph.sub(z, total)
