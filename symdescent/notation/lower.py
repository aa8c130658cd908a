"""Lowering a statement, in any notation, to the expression graph.

Each SymPy class has one small rule, written as a generator that yields the parts it needs lowered; a driver runs the
rules on an explicit stack, so that nesting may be deeper than Python's recursion limit.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean
from sympy.matrices.expressions.matexpr import MatrixElement, MatrixExpr

from symdescent.elementary import BY_CLASS, logsumexp, softmax
from symdescent.elementary.functions import _Head
from symdescent.errors import StatementError, UnsupportedError
from symdescent.graph import Graph, Index, Node
from symdescent.notation import stable

Scope = Mapping[Any, Node]
Task = tuple[Any, ...]
Rule = Generator[Task, Node, Node]


class Lowering:
    """One statement's way into a graph: what was found on it is recorded for later rooms.

    `samples` maps each per-sample symbol to the index of the samples; `display` remembers for every index the dummy
    and the lower bound that it was stated with; `ranks` and `index_arrays` what arrays were seen, and which of them
    serve as indices; `integers` the symbols in bounds and positions, `bound` the
    dummies of sums.
    """

    def __init__(self, graph: Graph, samples: Mapping[Any, Index] | None = None, first_index: int = 0) -> None:
        self.graph = graph
        self.samples = dict(samples or {})
        self.first_index = first_index
        self.display: dict[Index, tuple[sp.Expr, sp.Expr]] = {}
        self.ranks: dict[Any, int] = {}
        self.index_arrays: set[Any] = set()
        self.integers: set[Any] = set()
        self.bound: set[Any] = set()
        self.axis_names: dict[tuple[Any, int], sp.Expr] = {}
        self._kept: list[Any] = []

    # -- the driver -----------------------------------------------------------------------------------------------

    def lower(self, expression: sp.Expr, scope: Scope | None = None) -> Node:
        """Return the node of a scalar expression."""
        return self.run(("scalar", expression, scope if scope is not None else {}))

    def run(self, task: Task) -> Node:
        """Carry out one task, and those that it asks for, on an explicit stack."""
        from symdescent.notation import matrices

        starters: dict[str, Callable[..., Rule]] = {
            "scalar": _scalar,
            "entry": matrices.entry,
            "place": _place,
            "condition": _condition,
        }
        done: dict[tuple[Any, ...], Node] = {}
        stack: list[tuple[Rule, tuple[Any, ...]]] = []
        value: Node | None = None
        request: Task | None = task
        while True:
            if request is not None:
                self._kept.append(request)  # identities serve as keys: keep the objects alive
                key = (request[0], *(id(part) for part in request[1:]))
                value = done.get(key)
                if value is None:
                    stack.append((starters[request[0]](self, *request[1:]), key))
            try:
                request = stack[-1][0].send(value)  # type: ignore[arg-type]
            except StopIteration as finished:
                result: Node = finished.value
                value, request = result, None
                done[stack.pop()[1]] = result
                if not stack:
                    self._kept.clear()
                    return result

    # -- arrays and indices ---------------------------------------------------------------------------------------

    def load(self, array: Any, places: list[Node]) -> Node:
        """An entry of an array; per-sample arrays get the sample's index in front."""
        rank = len(places)
        if self.ranks.setdefault(array, rank) != rank:
            raise StatementError(f"{array} is used with {rank} indices here and with {self.ranks[array]} elsewhere")
        sample = self.samples.get(array)
        return self.graph.load(array, places if sample is None else [self.graph.index(sample), *places])

    def reduce(self, op: str, body: Node, index: Index, dummy: sp.Expr, lower: sp.Expr) -> Node:
        """Close a reduction, remembering how its index was written."""
        node = self.graph.reduce(op, body, index)
        if node.op == op and node.payload not in self.display:
            self.display[node.payload] = (dummy, lower)
        for inner in [node, *node.args]:
            if inner.op == op and inner.payload not in self.display:
                self.display[inner.payload] = (dummy, lower)
        return node


# -- scalar expressions -----------------------------------------------------------------------------------------------


def _scalar(low: Lowering, expression: Any, scope: Scope) -> Rule:
    if expression in scope:
        return scope[expression]
    if expression in low.samples:
        return low.load(expression, [])
    for kind in type(expression).__mro__:
        rule = _RULES.get(kind)
        if rule is not None:
            return (yield from rule(low, expression, scope))
    raise UnsupportedError(_unsupported(expression))


def _number(low: Lowering, expression: Any, scope: Scope) -> Rule:
    if expression in (sp.zoo, sp.nan, sp.oo, -sp.oo):
        raise StatementError(
            f"the loss contains {expression}, so that it has no value: look for a division by zero, a logarithm of "
            "zero or an overflow in the statement"
        )
    if isinstance(expression, sp.Rational):
        value: Any = Fraction(int(expression.p), int(expression.q))
    elif isinstance(expression, sp.Float):
        value = float(expression)
    elif expression is sp.I:
        raise UnsupportedError("the loss contains the imaginary unit I: state it in real terms")
    else:
        value = expression
    try:
        as_float = float(value)
    except OverflowError:
        as_float = float("inf")
    if abs(as_float) == float("inf"):
        digits = str(expression) if expression.is_Float else f"{str(expression)[:12]}…"
        raise StatementError(f"the constant {digits} is too large for a double (1.8e308): rescale the loss")
    return low.graph.const(value)
    yield  # pragma: no cover


def _symbol(low: Lowering, expression: Any, scope: Scope) -> Rule:
    declared_complex = expression.is_complex and expression.is_real is None
    if expression.is_real is False or expression.is_imaginary or declared_complex:
        raise UnsupportedError(f"{expression} is declared complex: losses are real functions of real symbols")
    return low.graph.symbol(expression)
    yield  # pragma: no cover


def _add(low: Lowering, expression: Any, scope: Scope) -> Rule:
    terms = []
    for argument in expression.args:
        terms.append((yield "scalar", argument, scope))
    return stable.add(low.graph, *terms)


def _mul(low: Lowering, expression: Any, scope: Scope) -> Rule:
    factors = []
    for argument in expression.args:
        factors.append((yield "scalar", argument, scope))
    return stable.mul(low.graph, factors)


def _power(low: Lowering, expression: Any, scope: Scope) -> Rule:
    base = yield "scalar", expression.base, scope
    exponent = yield "scalar", expression.exp, scope
    if expression.base is sp.E:
        return stable.exp(low.graph, exponent)
    return stable.power(low.graph, base, exponent)


def _function(low: Lowering, expression: Any, scope: Scope) -> Rule:
    if isinstance(expression, sp.core.function.AppliedUndef):
        raise UnsupportedError(
            f"{expression} is an undefined function: its derivative is not known; replace it by an expression"
        )
    args = []
    for argument in expression.args:
        args.append((yield "scalar", argument, scope))
    graph = low.graph
    if isinstance(expression, sp.exp):
        return stable.exp(graph, args[0])
    if isinstance(expression, sp.log):
        if len(args) == 2:
            return graph.mul(stable.log(graph, args[0]), graph.power(stable.log(graph, args[1]), graph.const(-1)))
        return stable.log(graph, args[0])
    if isinstance(expression, (sp.Max, sp.Min)):
        return _extremum(graph, type(expression).__name__.lower(), args)
    if isinstance(expression, logsumexp):
        return (
            graph.call("logsumexp", *sorted(set(args), key=lambda node: node.age))
            if len(set(args)) == len(args)
            else stable.log(graph, graph.add(*(graph.call("exp", argument) for argument in args)))
        )
    if isinstance(expression, softmax):
        return graph.call("softmax", args[0], graph.call("logsumexp", *sorted(args, key=lambda node: node.age)))
    if isinstance(expression, (sp.conjugate, sp.re, sp.im)):  # all symbols are real
        return graph.zero if isinstance(expression, sp.im) else args[0]
    record = BY_CLASS.get(expression.func)
    if record is None:
        inverse = _RECIPROCALS.get(expression.func)
        if inverse is not None:
            return (yield "scalar", inverse(*expression.args), scope)
        raise UnsupportedError(_unsupported(expression))
    return graph.call(record.name, *args)


_RECIPROCALS: dict[Any, Callable[..., Any]] = {
    sp.cot: lambda x: sp.cos(x) / sp.sin(x),
    sp.sec: lambda x: 1 / sp.cos(x),
    sp.csc: lambda x: 1 / sp.sin(x),
    sp.coth: lambda x: 1 / sp.tanh(x),
    sp.sech: lambda x: 1 / sp.cosh(x),
    sp.csch: lambda x: 1 / sp.sinh(x),
    sp.factorial: lambda x: sp.gamma(x + 1),
    sp.beta: lambda x, y: sp.exp(sp.loggamma(x) + sp.loggamma(y) - sp.loggamma(x + y)),
    sp.digamma: lambda x: sp.polygamma(0, x),
}


def _extremum(graph: Graph, name: str, args: list[Node]) -> Node:
    if name == "max" and len(args) == 2 and graph.zero in args:
        return graph.call("relu", args[0] if args[1] is graph.zero else args[1])
    unique = sorted(set(args), key=lambda node: node.age)
    return graph.call(name, *unique) if len(unique) > 1 else unique[0]


def _piecewise(low: Lowering, expression: Any, scope: Scope) -> Rule:
    result = low.graph.const(float("nan"))
    for value, condition in reversed(expression.args):
        holds = yield "condition", condition, scope
        then = yield "scalar", value, scope
        result = low.graph.select(holds, then, result)
    return result


def _delta(low: Lowering, expression: Any, scope: Scope) -> Rule:
    left = yield "scalar", expression.args[0], scope
    right = yield "scalar", expression.args[1], scope
    return low.graph.select(low.graph.relation("equal", left, right), low.graph.one, low.graph.zero)


def _reduction(low: Lowering, expression: Any, scope: Scope) -> Rule:
    op = "sum" if isinstance(expression, sp.Sum) else "product"
    inner = dict(scope)
    opened = []
    for limit in reversed(expression.limits):  # SymPy lists the innermost limit first
        if len(limit) != 3:
            raise StatementError(f"the {op} over {limit[0]} has no bounds: write ({limit[0]}, first, last)")
        dummy, first, last = limit
        if sp.oo in (first, last) or -sp.oo in (first, last):
            raise UnsupportedError(f"the {op} over {dummy} is infinite: give it finite bounds")
        count = (last - first + 1).expand()
        if count.is_number and not (count.is_Integer and count >= 0):
            raise StatementError(f"the {op} over {dummy} runs from {first} to {last}: {count} terms is not a count")
        low.bound.add(dummy)
        extent = yield "place", count, inner
        start = yield "place", first, inner
        index = low.graph.fresh_index(extent)
        inner = {**inner, dummy: low.graph.add(low.graph.index(index), start)}
        opened.append((index, dummy, first))
    body = yield "scalar", expression.function, inner
    for index, dummy, first in reversed(opened):
        body = low.reduce(op, body, index, dummy, first)
    return body


def _indexed(low: Lowering, expression: Any, scope: Scope) -> Rule:
    array = expression.base
    if not isinstance(array, sp.IndexedBase):
        raise StatementError(f"{expression} indexes {array}, which is not an IndexedBase")
    places = []
    for axis, position in enumerate(expression.indices):
        place = yield "place", position, scope
        if position in scope and (position.is_Symbol or isinstance(position, sp.Idx)):
            low.axis_names.setdefault((array, axis), position)
        places.append(low.graph.add(place, low.graph.const(-low.first_index)))
    return low.load(array, places)


def _matrix_scalar(low: Lowering, expression: Any, scope: Scope) -> Rule:
    """A 1x1 matrix is a scalar."""
    if tuple(expression.shape) != (1, 1):
        rows, columns = expression.shape
        raise StatementError(
            f"{expression} is a {rows}x{columns} matrix where a scalar is needed: reduce it, for instance to "
            "v.T*v, Trace(A) or a sum of its entries"
        )
    zero = low.graph.zero
    return (yield "entry", expression, zero, zero, scope)


def _refuse_boolean(low: Lowering, expression: Any, scope: Scope) -> Rule:
    raise StatementError(f"{expression} is a condition, not a number: use Piecewise((value, condition), …)")
    yield  # pragma: no cover


# -- integer-valued expressions and conditions ------------------------------------------------------------------------


_WHOLE = ("floor", "ceiling", "Mod", "max", "min", "relu", "Abs")


def _place(low: Lowering, expression: Any, scope: Scope) -> Rule:
    """An array position or a bound of a sum: an integer made of indices, extents and integer arrays."""
    node = yield "scalar", expression, scope
    pending = [node]
    while pending:
        part = pending.pop()
        number = part.number
        fraction = number is not None and not isinstance(number, int)
        foreign = part.op in ("select", "sum", "product") or (part.op == "call" and part.payload not in _WHOLE)
        if fraction or foreign:
            raise StatementError(f"{expression} is used as an index or a bound, but need not be an integer")
        if part.op == "symbol":
            low.integers.add(part.payload)
        if part.op == "load":
            low.index_arrays.add(part.payload)
            pending.extend(place for place in part.args if place.op == "load")
            continue
        pending.extend(part.args)
    return node


def _condition(low: Lowering, expression: Any, scope: Scope) -> Rule:
    graph = low.graph
    if expression in (True, sp.true):
        return graph.true
    if expression in (False, sp.false):
        return graph.false
    if isinstance(expression, Relational):
        left = yield "scalar", expression.lhs, scope
        right = yield "scalar", expression.rhs, scope
        if isinstance(expression, (sp.Eq, sp.Ne)):
            same = graph.relation("equal", left, right)
            return same if isinstance(expression, sp.Eq) else graph.negation(same)
        if isinstance(expression, (sp.Gt, sp.Ge)):
            left, right = right, left
        return graph.relation("less" if isinstance(expression, (sp.Lt, sp.Gt)) else "less_equal", left, right)
    if isinstance(expression, (sp.And, sp.Or, sp.Not, sp.Xor, sp.ITE)):
        if isinstance(expression, (sp.Xor, sp.ITE)):
            return (yield "condition", expression.to_nnf(), scope)
        parts = []
        for argument in expression.args:
            parts.append((yield "condition", argument, scope))
        if isinstance(expression, sp.Not):
            return graph.negation(parts[0])
        return graph.all(*parts) if isinstance(expression, sp.And) else graph.any(*parts)
    raise UnsupportedError(f"the condition {expression} is not made of relations, And, Or and Not")


def _unsupported(expression: Any) -> str:
    name = getattr(getattr(expression, "func", None), "__name__", type(expression).__name__)
    if isinstance(expression, (sp.Derivative, sp.Integral, sp.Limit)):
        return f"the loss contains an unevaluated {name}, {expression}: call .doit() on it first"
    if isinstance(expression, (MatrixExpr, sp.Determinant)):
        return (
            f"the matrix operation {name} in {expression} is not supported; write the loss with products, "
            "sums, traces and elementwise functions"
        )
    if isinstance(expression, sp.IndexedBase):
        return f"the array {expression} stands without its indices: write {expression}[i]"
    if isinstance(expression, sp.arg):
        return f"{expression} belongs to complex analysis: losses are real functions of real symbols"
    return (
        f"{name} in {str(expression)[:200]} is not in the table of elementary functions, so that its derivative is not "
        "known here: write it as a formula in functions such as exp, log, sin, Max"
    )


_RULES: dict[type, Callable[[Lowering, Any, Scope], Rule]] = {
    sp.Number: _number,
    sp.NumberSymbol: _number,
    type(sp.I): _number,
    type(sp.zoo): _number,
    sp.Symbol: _symbol,
    sp.Idx: _symbol,
    sp.Add: _add,
    sp.Mul: _mul,
    sp.Pow: _power,
    sp.KroneckerDelta: _delta,
    sp.Piecewise: _piecewise,
    sp.Function: _function,
    _Head: _function,
    sp.Max: _function,
    sp.Min: _function,
    sp.Sum: _reduction,
    sp.Product: _reduction,
    sp.Indexed: _indexed,
    MatrixElement: lambda low, e, scope: _element(low, e, scope),
    MatrixExpr: _matrix_scalar,
    sp.MatrixBase: _matrix_scalar,
    sp.Trace: lambda low, e, scope: _trace(low, e, scope),
    sp.DotProduct: lambda low, e, scope: _dot(low, e, scope),
    Boolean: _refuse_boolean,
}


def _element(low: Lowering, expression: Any, scope: Scope) -> Rule:
    row = yield "place", expression.i, scope
    column = yield "place", expression.j, scope
    return (yield "entry", expression.parent, row, column, scope)


def _trace(low: Lowering, expression: Any, scope: Scope) -> Rule:
    from symdescent.notation.matrices import check_lengths

    matrix = expression.args[0]
    check_lengths(expression, *matrix.shape)
    extent = yield "place", sp.sympify(matrix.shape[0]), scope
    index = low.graph.fresh_index(extent)
    node = low.graph.index(index)
    body = yield "entry", matrix, node, node, scope
    return low.graph.reduce("sum", body, index)


def _dot(low: Lowering, expression: Any, scope: Scope) -> Rule:
    left, right = expression.args
    extent = yield "place", sp.sympify(max(left.shape, key=lambda length: length != 1)), scope
    index = low.graph.fresh_index(extent)
    place, zero = low.graph.index(index), low.graph.zero
    a = yield "entry", left, *((place, zero) if left.shape[1] == 1 else (zero, place)), scope
    b = yield "entry", right, *((place, zero) if right.shape[1] == 1 else (zero, place)), scope
    return low.graph.reduce("sum", stable.mul(low.graph, [a, b]), index)
