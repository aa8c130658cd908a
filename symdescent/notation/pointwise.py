"""Elementwise parts of the graph: what a node computes entry by entry, of which arrays."""

from __future__ import annotations

import sympy as sp

from symdescent.graph import RELATIONS, Graph, Node

_CONDITIONS = {"all", "any", "not", *RELATIONS}
_ELEMENTWISE = {"add", "mul", "power", "call", "select", *_CONDITIONS}


def is_curved(node: Node) -> bool:
    """Whether a node applies a nonlinear function entry by entry."""
    return node.op in ("call", "power", "select")


def is_elementwise(node: Node) -> bool:
    """Whether a node combines its arguments entry by entry."""
    if node.op == "call" and node.payload in ("softmax", "log_softmax"):
        return node.args[1].op == "call" and bool(node.args[1].payload == "logsumexp")  # of finitely many scalars
    return node.op in _ELEMENTWISE and node.payload not in ("centred", "others")


def inputs(graph: Graph, node: Node) -> list[Node]:
    """The arguments that have indices, without their numeric factors."""
    number, rest = graph.coefficient(node)
    args = (rest,) if number != 1 else node.args
    return [graph.coefficient(argument)[1] for argument in args if argument.indices]


def below(graph: Graph, root: Node, end: Node | None = None) -> list[Node]:
    """What an elementwise expression is made of, inputs before what uses them, not looking below `end`."""
    found: list[Node] = []
    seen: set[Node] = set()
    pending = [(root, False)]
    while pending:
        node, done = pending.pop()
        if done:
            found.append(node)
        elif node not in seen:
            seen.add(node)
            pending.append((node, True))
            if node is not end and is_elementwise(node):
                pending.extend((argument, False) for argument in inputs(graph, node))
    return found


def single_argument(graph: Graph, root: Node) -> tuple[Node, bool] | None:
    """The deepest node that an elementwise expression depends through alone, and whether it does so nonlinearly."""
    if not is_elementwise(root):
        return None
    frontier, found, curved = {root}, None, False
    for node in reversed(below(graph, root)):
        if node is not root and frontier == {node} and node.op not in _CONDITIONS:
            found = node, curved
        if not is_elementwise(node):
            break
        frontier.discard(node)
        varying = inputs(graph, node)
        frontier.update(varying)
        curved = curved or node.op not in ("add", "mul") or (node.op == "mul" and len(varying) > 1)
    return found


def substitute(graph: Graph, root: Node, inner: Node, value: Node) -> Node:
    """The elementwise expression with its one argument replaced."""
    if [argument for argument in root.args if argument.indices] == [inner]:
        return graph.rebuild(root, [value if argument is inner else argument for argument in root.args])
    values = {inner: value}
    for node in below(graph, root, inner):
        if node is not inner:
            number, rest = graph.coefficient(node)
            args = []
            for argument in (rest,) if number != 1 else node.args:
                factor, bare = graph.coefficient(argument)
                args.append(graph.mul(graph.const(factor), values[bare]) if argument.indices else argument)
            values[node] = graph.mul(graph.const(number), *args) if number != 1 else graph.rebuild(node, args)
    return values[root]


def without_constants(body: sp.Expr, variable: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    """A function's constant factor, also one that all of its pieces share, and the rest."""
    if not isinstance(body, sp.Piecewise):
        return body.as_independent(variable, as_Add=False)  # type: ignore[no-any-return]
    first, *others = (
        sp.Mul.make_args(value.as_independent(variable, as_Add=False)[0]) for value, _ in body.args if value != 0
    )
    factor = sp.Mul(*(part for part in first if all(part in constants for constants in others)))
    return factor, sp.Piecewise(*((value / factor, condition) for value, condition in body.args))


def mask(graph: Graph, condition: Node) -> Node:
    """1 where a condition holds, else 0, as a function: ``[l < r]`` is the step of ``r - l`` with value 0 at 0."""
    if not condition.indices or all(side.op == "index" for side in condition.args):
        return graph.select(condition, graph.one, graph.zero)
    if condition.op in ("less", "less_equal"):
        left, right = condition.args
        return graph.call("Heaviside", graph.sub(right, left), graph.const(int(condition.op == "less_equal")))
    if condition.op == "equal":
        left, right = condition.args
        sides = graph.relation("less_equal", left, right), graph.relation("less_equal", right, left)
        return graph.mul(*(mask(graph, side) for side in sides))
    if condition.op == "not" and condition.args[0].op in ("less", "less_equal"):
        left, right = condition.args[0].args
        return mask(graph, graph.relation("less_equal" if condition.args[0].op == "less" else "less", right, left))
    if condition.op == "all":
        return graph.mul(*(mask(graph, part) for part in condition.args))
    contrary = condition.args if condition.op == "not" else [graph.negation(part) for part in condition.args]
    return graph.sub(graph.one, graph.mul(*(mask(graph, part) for part in contrary)))
