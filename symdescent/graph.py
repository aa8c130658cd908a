"""The expression graph in index notation: one hash-consed data structure for every notation.

A node is a function of its free indices, which act as named dimensions. Building through `Graph` interns nodes, so
that a common subexpression exists once, and applies the few rewritings that keep results compact: constants are
gathered, like terms and like factors collected, what does not depend on a summation index is taken out of the sum.
A node's arguments are always older than the node: sorting by age (`Node.age`) is a topological order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Number = int | Fraction | float


class Node:
    """An operation, its arguments, and the set of free indices that it depends on; equal nodes are identical."""

    __slots__ = ("age", "args", "indices", "op", "payload")

    def __init__(self, op: str, args: tuple[Node, ...], payload: Any, indices: frozenset[Index], age: int) -> None:
        self.op, self.args, self.payload, self.indices, self.age = op, args, payload, indices, age

    def __repr__(self) -> str:
        inside = [str(getattr(self.payload, "name", self.payload))] if self.payload is not None else []
        return f"{self.op}({', '.join(inside + [f'#{argument.age}' for argument in self.args])})"

    @property
    def number(self) -> Number | None:
        """The value of a numeric constant, else None."""
        return self.payload if self.op == "const" and isinstance(self.payload, (int, Fraction, float)) else None


@dataclass(frozen=True, slots=True)
class Index:
    """An index that runs from 0 to its extent less one; `number` tells indices of equal extent apart."""

    extent: Node
    number: int

    @property
    def support(self) -> frozenset[Index]:
        """The index itself and those that its extent depends on (``Sum(..., (j, 0, i))``)."""
        return self.extent.indices | {self}

    def __repr__(self) -> str:
        return f"Index({self.extent!r}, {self.number})"


REDUCTIONS = ("sum", "product", "logsumexp", "maximum")
RELATIONS = ("less", "less_equal", "equal")


class Graph:
    """A workshop of interned nodes."""

    def __init__(self) -> None:
        self._interned: dict[tuple[Any, ...], Node] = {}
        self._stretches: dict[tuple[Node, int, int], Node] = {}
        self._fresh = 0
        self.zero, self.one = self.const(0), self.const(1)
        self.true, self.false = self._intern("const", (), True), self._intern("const", (), False)

    @property
    def size(self) -> int:
        """How many nodes were ever made."""
        return len(self._interned)

    def _intern(
        self,
        op: str,
        args: tuple[Node, ...],
        payload: Any = None,
        *,
        minus: frozenset[Index] = frozenset(),
        plus: frozenset[Index] = frozenset(),
    ) -> Node:
        key = (op, args, type(payload), payload)
        node = self._interned.get(key)
        if node is None:
            indices = plus.union(*(argument.indices for argument in args)) - minus if args or plus else frozenset()
            node = self._interned[key] = Node(op, args, payload, indices, len(self._interned))
        return node

    # -- leaves ---------------------------------------------------------------------------------------------------

    def const(self, value: Any) -> Node:
        """A number (int, Fraction, float), or a SymPy constant such as pi."""
        if isinstance(value, Fraction) and value.denominator == 1:
            value = value.numerator
        return self._intern("const", (), value)

    def symbol(self, symbol: Any) -> Node:
        """A scalar that is given from outside: a parameter, a constant or an extent."""
        return self._intern("symbol", (), symbol)

    def index(self, index: Index) -> Node:
        """The value of an index."""
        return self._intern("index", (), index, plus=index.support)

    def load(self, array: Any, places: Iterable[Node]) -> Node:
        """An entry of an array at integer-valued places."""
        return self._intern("load", tuple(places), array)

    def fresh_index(self, extent: Node) -> Index:
        """An index that no other node uses, to be renamed by `reduce`."""
        self._fresh -= 1
        return Index(extent, self._fresh)

    # -- arithmetic -----------------------------------------------------------------------------------------------

    def add(self, *args: Node) -> Node:
        """The sum of the arguments, with like terms collected."""
        constant: Number = 0
        terms: dict[Node, Number] = {}
        masked: dict[Node, list[Node]] = {}
        for term in args:
            if term.number is not None:
                constant += term.number
            elif term.op == "select" and term.args[2] is self.zero:
                masked.setdefault(term.args[0], []).append(term.args[1])
            else:
                coefficient, rest = self.coefficient(term)
                terms[rest] = terms.get(rest, 0) + coefficient
        parts = [self._scaled(coefficient, rest) for rest, coefficient in terms.items() if coefficient != 0]
        while masked:
            condition = next(iter(masked))
            values, contrary = masked.pop(condition), masked.pop(self.negation(condition), [])
            if contrary and condition.op == "not":
                condition, values, contrary = condition.args[0], contrary, values
            parts.append(self.select(condition, self.add(*values), self.add(*contrary)))
        if constant != 0 or isinstance(constant, float):
            parts.append(self.const(constant))
        if len(parts) < 2:
            return parts[0] if parts else self.zero
        return self._intern("add", tuple(sorted(parts, key=_age)))

    def mul(self, *args: Node) -> Node:
        """The product of the arguments, with constants gathered and like factors collected.

        A factor that is zero outside a condition masks the whole product, so that what the other factors are there
        (infinite, undefined) does not matter. A product among the factors stays one factor: it may be shared.
        """
        coefficient: Number = 1
        factors: dict[Node, Number] = {}
        masks: list[Node] = []
        for factor in args:
            while factor.op == "select" and factor.args[2] is self.zero:
                masks.append(factor.args[0])
                factor = factor.args[1]
            number, base = self.coefficient(factor)
            coefficient = coefficient * number
            exponent: Number = 1
            power = base.args[1].number if base.op == "power" else None
            if power is not None:
                base, exponent = base.args[0], power
            if base is not self.one:
                factors[base] = factors.get(base, 0) + exponent
        if coefficient == 0:
            return self.zero
        parts: list[Node] = []
        for base, exponent in factors.items():
            part = self.power(base, self.const(exponent))
            if part.number is not None:
                coefficient = coefficient * part.number
            elif part is not self.one:
                parts.append(part)
        parts.sort(key=_age)
        result = self._scaled(
            coefficient, self._intern("mul", tuple(parts)) if len(parts) > 1 else (parts or [self.one])[0]
        )
        return self.select(self.all(*masks), result, self.zero) if masks else result

    def stretch(self, node: Node, low: int, high: int) -> Node:
        """The product of some consecutive factors of a product, made once."""
        key = (node, low, high)
        if key not in self._stretches:
            self._stretches[key] = self.mul(*node.args[low:high])
        return self._stretches[key]

    def coefficient(self, node: Node) -> tuple[Number, Node]:
        """Split a node into its numeric factor and the rest."""
        if node.number is not None:
            return node.number, self.one
        if node.op == "mul" and node.args[0].number is not None:
            return node.args[0].number, self.group(list(node.args[1:]))
        return 1, node

    def _scaled(self, coefficient: Number, node: Node) -> Node:
        """Multiply a node without numeric factor by a number: the product of the two, so that the node is shared."""
        if node is self.one:
            return self.const(coefficient)
        if coefficient == 1:
            return node
        return self._intern("mul", (self.const(coefficient), node))

    def factors(self, node: Node) -> list[Node]:
        """The factors of a product, also of products within it."""
        pending, found = [node], []
        while pending:
            factor = pending.pop()
            if factor.op == "mul":
                pending.extend(factor.args)
            else:
                found.append(factor)
        return sorted(found, key=_age)

    def neg(self, node: Node) -> Node:
        """The node with its sign changed."""
        return self.mul(self.const(-1), node)

    def sub(self, left: Node, right: Node) -> Node:
        """The difference of two nodes."""
        return self.add(left, self.neg(right))

    def power(self, base: Node, exponent: Node) -> Node:
        """A power; numeric exponents are folded where that holds for every real base."""
        e, b = exponent.number, base.number
        if e == 0:
            return self.one
        if e == 1:
            return base
        if b == 1:
            return self.one
        if isinstance(e, int):
            if b is not None and (b != 0 or e > 0) and (isinstance(b, float) or abs(e) < 100):
                return self.const(float(b) ** e if isinstance(b, float) else Fraction(b) ** e)
            if base.op == "power" and base.args[1].number is not None:
                return self.power(base.args[0], self.const(base.args[1].number * e))
            if base.op == "mul" and base.args[0].number is not None and abs(e) < 100:
                number, rest = self.coefficient(base)
                return self.mul(self.power(self.const(number), exponent), self.power(rest, exponent))
        return self._intern("power", (base, exponent))

    def call(self, name: str, *args: Node) -> Node:
        """An elementary function, or a stable head, of the arguments."""
        return self._intern("call", args, name)

    # -- conditions -----------------------------------------------------------------------------------------------

    def select(self, condition: Node, then: Node, otherwise: Node) -> Node:
        """`then` where the condition holds, else `otherwise`."""
        if condition.op == "const":
            return then if condition.payload else otherwise
        if then is otherwise:
            return then
        if then is self.zero:
            return self.select(self.negation(condition), otherwise, then)
        return self._intern("select", (condition, then, otherwise))

    def relation(self, op: str, left: Node, right: Node) -> Node:
        """One of `RELATIONS` between two nodes."""
        if left is right:
            return self.false if op == "less" else self.true
        a, b = left.number, right.number
        if a is not None and b is not None:
            return self.true if {"less": a < b, "less_equal": a <= b, "equal": a == b}[op] else self.false
        if op == "equal" and left.age > right.age:
            left, right = right, left
        return self._intern(op, (left, right))

    def negation(self, condition: Node) -> Node:
        """The contrary of a condition."""
        if condition.op == "const":
            return self.false if condition.payload else self.true
        return condition.args[0] if condition.op == "not" else self._intern("not", (condition,))

    def all(self, *conditions: Node) -> Node:
        """The conjunction of conditions."""
        return self._junction("all", self.true, self.false, conditions)

    def any(self, *conditions: Node) -> Node:
        """The disjunction of conditions."""
        return self._junction("any", self.false, self.true, conditions)

    def _junction(self, op: str, neutral: Node, absorbing: Node, conditions: Iterable[Node]) -> Node:
        flat: set[Node] = set()
        for condition in conditions:
            flat.update(condition.args if condition.op == op else (condition,))
        flat.discard(neutral)
        fixed = {c.args for c in flat if c.op == "equal"}
        if op == "all":
            flat = self._without_implied(flat)
            if any(c.op == "less" and (c.args in fixed or c.args[::-1] in fixed) for c in flat):
                return absorbing
        if absorbing in flat:
            return absorbing
        if len(flat) < 2:
            return flat.pop() if flat else neutral
        return self._intern(op, tuple(sorted(flat, key=_age)))

    def _without_implied(self, conditions: set[Node]) -> set[Node]:
        """Drop ``x != 2`` beside ``x == 1``."""
        fixed = {c.args: c for c in conditions if c.op == "equal"}
        constants = {(x, number) for pair in fixed for x, number in (pair, pair[::-1]) if number.number is not None}

        def implied(condition: Node) -> bool:
            if condition.op != "not" or condition.args[0].op != "equal":
                return False
            a, b = condition.args[0].args
            return any(x in (a, b) and (b if x is a else a).number not in (None, k.number) for x, k in constants)

        return {condition for condition in conditions if not implied(condition)} if constants else conditions

    # -- reductions -----------------------------------------------------------------------------------------------

    def reduce(self, op: str, body: Node, index: Index) -> Node:
        """A sum, product, logsumexp or maximum over an index, whose dummy is renamed canonically."""
        if index.extent is self.one:
            return self.replace(body, {index: self.zero})
        if index not in body.indices:
            return self._constant_reduction(op, body, index)
        if op == "sum":
            if body.op == "select" and body.args[2] is self.zero and index not in body.args[0].indices:
                return self.select(body.args[0], self.reduce(op, body.args[1], index), self.zero)
            if body.op == "mul":
                outside = [factor for factor in body.args if index not in factor.indices]
                if outside:
                    inside = [factor for factor in body.args if index in factor.indices]
                    return self.mul(*outside, self.reduce(op, self.mul(*inside), index))
            if body.op == "select" and body.args[2] is self.zero:
                picked = self._pick(body, index)
                if picked is not None:
                    return picked
        canonical = self._canonical(index, body.indices - {index})
        if canonical != index:
            body = self.replace(body, {index: self.index(canonical)})
        return self._intern(op, (body,), canonical, minus=frozenset({canonical}), plus=canonical.extent.indices)

    def sum(self, body: Node, indices: Iterable[Index]) -> Node:
        """The sum over several indices, those whose range depends on others first."""
        remaining = set(indices)
        while remaining:
            index = min(
                (k for k in remaining if not any(k in other.extent.indices for other in remaining)), key=_index_order
            )
            remaining.discard(index)
            body = self.reduce("sum", body, index)
        return body

    def _constant_reduction(self, op: str, body: Node, index: Index) -> Node:
        count = (
            index.extent if _is_count(index.extent) else self.call("relu", index.extent)
        )  # an empty range has no terms
        if op == "sum":
            return self.mul(count, body)
        if op == "product":
            return self.power(body, count)
        if op == "logsumexp":
            return self.add(body, self.call("log", count))
        return body

    def _canonical(self, index: Index, taken: frozenset[Index]) -> Index:
        number = 0
        while Index(index.extent, number) in taken:
            number += 1
        return Index(index.extent, number)

    def _pick(self, body: Node, index: Index) -> Node | None:
        """Reduce Σₖ [k = e] f(k) to f(e) where e surely lies in the range of k."""
        me = self.index(index)
        conditions = body.args[0].args if body.args[0].op == "all" else (body.args[0],)
        for condition in conditions:
            if condition.op == "equal" and me in condition.args:
                other = condition.args[0] if condition.args[1] is me else condition.args[1]
                within = other.op == "index" and other.payload.extent is index.extent
                if within and index not in other.indices:
                    rest = self.all(*(c for c in conditions if c is not condition))
                    return self.replace(self.select(rest, body.args[1], self.zero), {index: other})
        return None

    # -- rebuilding -----------------------------------------------------------------------------------------------

    def replace(self, root: Node, values: Mapping[Index, Node]) -> Node:
        """Put integer-valued nodes in the place of free indices, renaming bound ones where they would be captured."""
        keys = frozenset(values)
        done: dict[Node, Node] = {}
        for node in reachable([root], lambda node: bool(node.indices & keys) and node.op not in REDUCTIONS):
            if not node.indices & keys:
                done[node] = node
            elif node.op == "index":
                done[node] = values.get(node.payload) or self.index(self._moved(node.payload, values))
            elif node.op in REDUCTIONS:
                bound = self._moved(node.payload, values)
                fresh = self.fresh_index(bound.extent)
                inner = {k: v for k, v in values.items() if k in node.args[0].indices} | {
                    node.payload: self.index(fresh)
                }
                done[node] = self.reduce(node.op, self.replace(node.args[0], inner), fresh)
            else:
                done[node] = self.rebuild(node, [done[argument] for argument in node.args])
        return done[root]

    def _moved(self, index: Index, values: Mapping[Index, Node]) -> Index:
        return Index(self.replace(index.extent, values), index.number) if index.extent.indices else index

    def group(self, factors: list[Node]) -> Node:
        """A product of exactly these factors, in this order of nesting."""
        return factors[0] if len(factors) == 1 else self._intern("mul", tuple(factors))

    def regroup(self, node: Node, body: Node) -> Node:
        """The same reduction of a body that is written in another way."""
        return self._intern(
            node.op, (body,), node.payload, minus=frozenset({node.payload}), plus=node.payload.extent.indices
        )

    def rebuild(self, node: Node, args: list[Node]) -> Node:
        """The same operation on other arguments."""
        if node.op in REDUCTIONS:
            return self.reduce(node.op, args[0], node.payload)
        if node.op in RELATIONS:
            return self.relation(node.op, args[0], args[1])
        if node.op in ("call", "load"):
            return self.call(node.payload, *args) if node.op == "call" else self.load(node.payload, args)
        if not args:
            return node
        build: dict[str, Callable[..., Node]] = {
            "add": self.add,
            "mul": self.mul,
            "power": self.power,
            "select": self.select,
            "all": self.all,
            "any": self.any,
            "not": self.negation,
        }
        return build[node.op](*args)


def _is_count(extent: Node) -> bool:
    """Whether an extent is surely not negative: a positive symbol, less one at most."""
    if extent.op == "add" and len(extent.args) == 2 and extent.args[0].number is not None:
        return extent.args[0].number >= -1 and extent.args[1].op == "symbol" and _is_count(extent.args[1])
    if extent.op == "add" and len(extent.args) == 2 and extent.args[1].number is not None:
        return extent.args[1].number >= -1 and extent.args[0].op == "symbol" and _is_count(extent.args[0])
    if extent.number is not None:
        return extent.number >= 0
    return extent.op == "symbol" and bool(getattr(extent.payload, "is_positive", False))


def _age(node: Node) -> int:
    return node.age


def _index_order(index: Index) -> tuple[int, int]:
    return -index.number, -index.extent.age


def reachable(roots: Iterable[Node], enter: Any = lambda node: True) -> Iterator[Node]:
    """The nodes below the roots, arguments before what uses them; `enter` tells whose arguments to follow."""
    seen: set[Node] = set()
    pending = list(roots)
    while pending:
        node = pending.pop()
        if node not in seen:
            seen.add(node)
            if enter(node):
                pending.extend(node.args)
    return iter(sorted(seen, key=_age))


def dependents(roots: Iterable[Node], wanted: Any) -> set[Node]:
    """The nodes below the roots that are wanted, or have an argument that is among the result."""
    found: set[Node] = set()
    for node in reachable(roots):
        if wanted(node) or any(argument in found for argument in node.args):
            found.add(node)
    return found
