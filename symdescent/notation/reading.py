"""Reading the graph back into SymPy: expressions, and the gradient's component at free indices.

A scatter ``for all t: g[e(t)] += c(t)`` is read as the component ``g[k] = Σ_t c(t) [e(t) = k]``; the bracket is solved
for one index of the sum at a time, which leaves range conditions behind where they do not hold by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import sympy as sp

from symdescent.differentiate import Scatter
from symdescent.elementary import TABLE
from symdescent.graph import REDUCTIONS, RELATIONS, Graph, Index, Node, reachable
from symdescent.notation.lower import Lowering

Environment = Mapping[Index, sp.Expr]
_LETTERS = ["k", "l", "m", "p", "q", "r", "s", "t", "u", "v"]


class Reader:
    """Turns nodes of one statement's graph into SymPy expressions in that statement's own symbols.

    `arrays` replaces the base of loads (per-sample symbols become arrays over the samples); `taken` are names that
    may not be used for summation indices.
    """

    def __init__(
        self, graph: Graph, lowering: Lowering, taken: Iterable[str], arrays: Mapping[Any, Any] | None = None
    ) -> None:
        self.graph, self.lowering = graph, lowering
        self.taken = set(taken)
        self.arrays = dict(arrays or {})
        self._done: dict[tuple[Any, ...], sp.Expr] = {}
        self._lengths: tuple[Node | None, ...] = ()  # of the axes of an array whose shape was not declared

    # -- expressions ----------------------------------------------------------------------------------------------

    def expression(self, root: Node, environment: Environment | None = None) -> sp.Expr:
        """Return the SymPy expression of a node, its free indices replaced by what the environment says."""
        environment = environment or {}
        frame = tuple(sorted(((str(index), value) for index, value in environment.items()), key=str))
        nodes = list(reachable([root], lambda node: node.op not in REDUCTIONS and (node, frame) not in self._done))
        large = len(nodes) > 3000
        for node in nodes:
            if (node, frame) not in self._done:
                self._done[node, frame] = self._read(node, environment, frame, large)
        return self._done[root, frame]

    def _read(self, node: Node, environment: Environment, frame: tuple[Any, ...], large: bool) -> sp.Expr:
        if node.op in REDUCTIONS:
            return self._reduction(node, environment)
        args = [self._done[argument, frame] for argument in node.args]
        if node.op == "const":
            return (
                sp.true
                if node is self.graph.true
                else sp.false
                if node is self.graph.false
                else sympy_number(node.payload)
            )
        if node.op == "symbol":
            return self.arrays.get(node.payload, node.payload)
        if node.op == "index":
            return environment[node.payload]
        if node.op == "load":
            return self.entry(node.payload, args)
        if node.op in ("add", "mul"):
            operation = sp.Add if node.op == "add" else sp.Mul
            return operation(*args, evaluate=False) if large else _combined(operation, args)
        if node.op == "power":
            return args[0] ** args[1]
        if node.op == "select":
            return self._indicated(node, args) if _NESTED in environment else self._piecewise(args)
        if node.op in RELATIONS:
            return self._relation(node, args)
        if node.op in ("all", "any", "not"):
            return {"all": sp.And, "any": sp.Or, "not": sp.Not}[node.op](*args)
        return self._call(node, args, environment)

    def entry(self, array: Any, places: Sequence[sp.Expr]) -> sp.Expr:
        """An entry of an array, in the user's own counting."""
        base = self.arrays.get(array, array)
        if isinstance(base, sp.IndexedBase):
            return base[tuple(place + self.lowering.first_index for place in places)]
        return base[tuple(places)] if len(places) == 2 else base[places[0], 0]

    def _indicated(self, node: Node, args: list[sp.Expr]) -> sp.Expr:
        """A choice within an inner sum, as a factor of 0 or 1: SymPy would move a Piecewise out of that sum."""
        condition, then, otherwise = args
        factor = _indicator(condition)
        if factor is None or otherwise is sp.nan:
            return self._piecewise(args)
        return then * factor if otherwise == 0 else otherwise + (then - otherwise) * factor

    def _piecewise(self, args: list[sp.Expr]) -> sp.Expr:
        condition, then, otherwise = args
        pieces = [(then, condition)]
        if isinstance(otherwise, sp.Piecewise):
            pieces.extend(otherwise.args)
        elif otherwise is not sp.nan:
            pieces.append((otherwise, True))
        return sp.Piecewise(*pieces)

    def _relation(self, node: Node, args: list[sp.Expr]) -> sp.Basic:
        left, right = args
        if node.op == "equal":
            return settled(sp.Eq(left, right))
        strict = node.op == "less"
        if node.args[0].number is not None:
            return settled(sp.Gt(right, left) if strict else sp.Ge(right, left))
        return settled(sp.Lt(left, right) if strict else sp.Le(left, right))

    def _call(self, node: Node, args: list[sp.Expr], environment: Environment) -> sp.Expr:
        name = node.payload
        if name == "softmax":
            return sp.exp(args[0]) / self._exponential_sum(node.args[1], environment)
        if name == "log_softmax":
            return args[0] - args[1]
        if name == "logsumexp":
            return sp.log(sp.Add(*map(sp.exp, args)))
        if name == "centred":
            return args[0] - args[1] * args[3]
        if name == "others":
            return args[1] / args[2]
        if name in ("max", "min", "relu"):
            return sp.Max(0, args[0]) if name == "relu" else (sp.Max if name == "max" else sp.Min)(*args)
        function = TABLE[name].sympy
        if isinstance(function, type) and self.graph.size > 20_000:  # SymPy's evaluation would take milliseconds each
            return function(*args, evaluate=False)
        return function(*args)

    def _exponential_sum(self, total: Node, environment: Environment) -> sp.Expr:
        """exp of a logsumexp: the sum of the exponentials itself."""
        if total.op == "call":
            return sp.Add(*(sp.exp(self.expression(argument, environment)) for argument in total.args))
        return self._reduction(total, environment).args[0]

    # -- reductions -----------------------------------------------------------------------------------------------

    def _reduction(self, node: Node, environment: Environment) -> sp.Expr:
        index = node.payload
        if node.op == "maximum":
            raise KeyError("a maximum over an index belongs to generated code: no notation has it")
        inner = self.open([index], environment)
        if node.op == "logsumexp":
            body = sp.exp(self.expression(node.args[0], inner))
            return sp.log(_reduced(sp.Sum, body, [self.limit(index, inner)]))
        if node.op == "product":
            return _reduced(sp.Product, self.expression(node.args[0], inner), [self.limit(index, inner)])
        return self.sum(node.args[0], [self.limit(index, inner)], [index], inner)

    def sum(
        self,
        body: Node,
        limits: Sequence[Any],
        indices: Sequence[Index],
        environment: Environment,
        condition: Any = sp.true,
    ) -> sp.Expr:
        """A sum with the factors that do not depend on its indices in front."""
        outside, rest = self._taken_out(body, frozenset(indices))
        value = _combined(sp.Mul, [self.expression(factor, environment) for factor in self.graph.factors(rest)])
        if condition is not sp.true:
            value = sp.Piecewise((value, condition), (0, True))
        front = _combined(sp.Mul, [self.expression(factor, environment) for factor in outside])
        return _combined(sp.Mul, [front, _reduced(sp.Sum, value, limits) if limits else value])

    def factors(self, node: Node) -> list[Node]:
        """The factors of a product, also of products within it."""
        return self.graph.factors(node)

    def _taken_out(self, node: Node, indices: frozenset[Index]) -> tuple[list[Node], Node]:
        """Split a node into factors that do not depend on the indices, and the rest; also out of sums of terms."""
        graph = self.graph
        if not node.indices & indices:
            return graph.factors(node), graph.one
        if node.op == "mul":
            parts = [self._taken_out(factor, indices) for factor in graph.factors(node)]
            return [factor for front, _ in parts for factor in front], graph.mul(*(rest for _, rest in parts))
        if node.op == "select" and node.args[2] is graph.zero:
            front, rest = self._taken_out(node.args[1], indices)
            return front, graph.select(node.args[0], rest, graph.zero)
        if node.op == "add" and len(node.args) < 50:
            common, rests = self._common(node.args, indices)
            return common, graph.add(*rests)
        if node.op == "select":
            common, rests = self._common(node.args[1:], indices)
            return common, graph.select(node.args[0], *rests)
        return [], node

    def _common(self, nodes: Sequence[Node], indices: frozenset[Index]) -> tuple[list[Node], list[Node]]:
        """The factors that can be taken out of all of several nodes, and what is left of each."""
        parts = [self._taken_out(node, indices) for node in nodes]
        common: list[Node] = []
        for factor in parts[0][0]:  # a factor may occur several times, and not as often everywhere
            times = common.count(factor) + 1
            if factor.number is None and all(front.count(factor) >= times for front, _ in parts):
                common.append(factor)
        return common, [self.graph.mul(*_without(front, common), rest) for front, rest in parts]

    def open(self, indices: Iterable[Index], environment: Environment) -> dict[Index, sp.Expr]:
        """Extend an environment by summation symbols for the indices, as they were written where that is free."""
        extended = {**environment, **({_NESTED: sp.true} if _OPENED in environment else {_OPENED: sp.true})}
        used = self.taken | {s.name for value in environment.values() for s in value.free_symbols}
        for index in sorted(indices, key=_place_in_order):
            dummy, lower = self.lowering.display.get(index, (None, sp.S.Zero))
            shown = self._name(dummy, used)
            used.add(shown.name)
            extended[index] = shown - self.lower_bound(lower)
        return extended

    def lower_bound(self, lower: sp.Expr) -> sp.Expr:
        """Where an index is displayed to start: a numeric bound as it was written, else 0."""
        return lower if lower.is_number else sp.S.Zero

    def _name(self, dummy: Any, used: set[str]) -> sp.Symbol:
        if dummy is not None and not isinstance(dummy, sp.Dummy) and dummy.name not in used:
            return dummy
        for letter in ("i", "j", *_LETTERS):
            if letter not in used:
                return sp.Symbol(letter, integer=True)
        number = 1
        while f"i_{number}" in used:
            number += 1
        return sp.Symbol(f"i_{number}", integer=True)

    def limit(self, index: Index, environment: Environment) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
        """The limit (symbol, first, last) of an index that `open` gave a symbol."""
        shown = environment[index]
        (symbol,) = shown.free_symbols
        first = symbol - shown
        return symbol, first, first + self.expression(index.extent, environment) - 1

    # -- components of a gradient -----------------------------------------------------------------------------------

    def component(
        self, scatters: Sequence[Scatter], keys: Sequence[sp.Expr], shape: Sequence[sp.Expr] | None
    ) -> sp.Expr:
        """The gradient's entry at the free indices `keys` (none for a scalar parameter)."""
        whole: list[Scatter] = []
        cases: dict[Any, list[Scatter]] = {}  # what belongs to opposite cases is read as one choice
        for scatter in map(self._opened, scatters) if len(scatters) > 1 else scatters:
            masked = scatter.contribution.op == "select" and scatter.indices
            (cases.setdefault((scatter.places, scatter.indices), []) if masked else whole).append(scatter)
        self._lengths = common_lengths(scatters) if shape is None else ()
        for same in cases.values():
            whole.append(replace(same[0], contribution=self.graph.add(*(scatter.contribution for scatter in same))))
        return _combined(sp.Add, [self._one_component(scatter, keys, shape) for scatter in whole])

    def _opened(self, scatter: Scatter) -> Scatter:
        """What adds a sum of masked terms, as what adds these terms."""
        sums = [factor for factor in self.graph.factors(scatter.contribution) if factor.op == "sum"]
        if scatter.indices or len(sums) != 1 or sums[0].args[0].op != "select":
            return scatter
        others = [factor for factor in self.graph.factors(scatter.contribution) if factor is not sums[0]]
        terms = self.graph.mul(*others, sums[0].args[0])
        return replace(scatter, contribution=terms, indices=frozenset({sums[0].payload}))

    def _one_component(self, scatter: Scatter, keys: Sequence[sp.Expr], shape: Sequence[sp.Expr] | None) -> sp.Expr:
        first = self.lowering.first_index if isinstance(scatter.parameter, sp.IndexedBase) else 0
        dummies = {index: sp.Dummy(f"t{index.number}", integer=True) for index in scatter.indices}
        places = [sp.expand(self.expression(place, dummies)) for place in scatter.places]
        solved: dict[Index, sp.Expr] = {}
        conditions: list[Any] = []
        for axis, key in _plainest_first(places, keys, dummies):
            place = sp.expand(places[axis].xreplace({dummies[t]: value for t, value in solved.items()}))
            index, value, condition = _solve(place, key - first, {t: d for t, d in dummies.items() if t not in solved})
            conditions.append(condition)
            if index is None:
                continue
            replacement = {dummies[index]: value}
            solved = {t: v.xreplace(replacement) for t, v in solved.items()} | {index: value}
            if shape is None and value == key - first and self._lengths[axis] is not None:
                continue  # the array is as long as the sums over it
            extent = self.expression(index.extent, {**dummies, **solved})
            conditions += [sp.Ge(value, 0), sp.Le(value, extent - 1)]
        remaining = [index for index in scatter.indices if index not in solved]
        environment = self.open(remaining, {**solved, **_hold(keys)})
        names = {dummies[index]: environment[index] for index in remaining}
        environment = {index: value.xreplace(names) for index, value in environment.items()}
        limits = {index: list(self.limit(index, environment)) for index in remaining}
        ranges = {
            key: (sp.Integer(first), first + shape[axis] - 1 if shape else sp.oo) for axis, key in enumerate(keys)
        }
        inside: list[Any] = []
        outside: list[Any] = []
        for condition in conditions:
            condition = condition.xreplace(names)
            if condition is sp.true or holds(condition, ranges):
                continue
            if not tighten(condition, limits, ranges):
                depends = any(environment[index].free_symbols & condition.free_symbols for index in remaining)
                (inside if depends else outside).append(condition)
        ordered = sorted(limits, key=lambda index: (len(index.support), *_place_in_order(index)), reverse=True)
        summed = {limit[0] for limit in limits.values()}  # also what a solved index depends on
        varying = [index for index in scatter.indices if environment[index].free_symbols & summed]
        value = self.sum(
            scatter.contribution, [tuple(limits[index]) for index in ordered], varying, environment, sp.And(*inside)
        )
        return sp.Piecewise((value, sp.And(*outside)), (0, True)) if outside else value


def common_lengths(scatters: Sequence[Scatter]) -> tuple[Node | None, ...]:
    """The extent of the index that runs along each axis, where that is the same in all scatters; else None."""
    lengths = []
    for places in zip(*(scatter.places for scatter in scatters), strict=True):
        found = {place.payload.extent if place.op == "index" else None for place in places}
        lengths.append(found.pop() if len(found) == 1 else None)
    return tuple(lengths)


def _combined(operation: Any, args: Sequence[sp.Expr]) -> sp.Expr:
    """A sum or product; unevaluated where its terms are too deep for SymPy to put in order."""
    try:
        return operation(*args)
    except RecursionError:
        return operation(*args, evaluate=False)


def _reduced(kind: Any, body: sp.Expr, limits: Sequence[Any]) -> sp.Expr:
    """A Sum or Product as it is: SymPy's constructor moves a Piecewise out of inner sums, also one over their index."""
    if not body.has(sp.Piecewise):
        return kind(body, *limits)
    made = sp.Expr.__new__(kind)
    made._args = (body, *(sp.Tuple(*limit) for limit in limits))
    made.is_commutative = True
    return made


def settled(relation: Any) -> Any:
    """A relation that SymPy's Piecewise can take.

    SymPy writes relations in a canonical form; of some, such as ``9*a/10 >= -a/10``, with a sum for ``a``, the
    canonical form has another one, and that the first again, so that `Piecewise` never ends. With 0 on the right side
    there is one form.
    """
    if not relation.is_Relational or relation.rhs == 0:
        return relation
    canonical = relation.canonical
    return relation if canonical.canonical == canonical else relation.func(relation.lhs - relation.rhs, 0)


def _indicator(condition: Any) -> sp.Expr | None:
    """1 where a condition holds and 0 elsewhere, without a Piecewise; None for what has no such form."""
    if condition in (sp.true, sp.false):
        return sp.Integer(bool(condition))
    if isinstance(condition, (sp.And, sp.Or)):
        parts = [part for part in map(_indicator, condition.args) if part is not None]
        if len(parts) < len(condition.args):
            return None
        return sp.Mul(*parts) if isinstance(condition, sp.And) else 1 - sp.Mul(*(1 - part for part in parts))
    if isinstance(condition, sp.Not):
        inner = _indicator(condition.args[0])
        return None if inner is None else 1 - inner
    if isinstance(condition, (sp.Eq, sp.Ne)):
        if not (condition.lhs.is_integer and condition.rhs.is_integer):
            return None
        same = sp.KroneckerDelta(condition.lhs, condition.rhs)
        return same if isinstance(condition, sp.Eq) else 1 - same
    slack = condition.gts - condition.lts
    return sp.Heaviside(slack, 0 if isinstance(condition, (sp.Gt, sp.Lt)) else 1)


def _place_in_order(index: Index) -> tuple[int, int]:
    return index.number, index.extent.age


def _without(factors: Sequence[Node], taken: Sequence[Node]) -> list[Node]:
    left = list(factors)
    for factor in taken:
        left.remove(factor)
    return left


# marks in an environment: within a sum, and within a sum in a sum
_OPENED = Index(None, -1000)  # type: ignore[arg-type]
_NESTED = Index(None, -1001)  # type: ignore[arg-type]


def _hold(keys: Sequence[sp.Expr]) -> dict[Any, sp.Expr]:
    """Entries that keep the names of the component's indices from being used for summation."""
    return {Index(None, -1 - number): key for number, key in enumerate(keys)}  # type: ignore[arg-type]


def _plainest_first(
    places: Sequence[sp.Expr], keys: Sequence[sp.Expr], dummies: Mapping[Index, sp.Symbol]
) -> list[tuple[int, sp.Expr]]:
    """The axes, those first whose place is a bare index."""
    bare = set(dummies.values())
    return sorted(enumerate(keys), key=lambda item: places[item[0]] not in bare)


def _solve(place: sp.Expr, key: sp.Expr, dummies: Mapping[Index, sp.Symbol]) -> tuple[Index | None, sp.Expr, Any]:
    """Solve ``place = key`` for one of the indices: (index, its value, remaining condition)."""
    candidates = []
    for index, dummy in dummies.items():
        slope = place.coeff(dummy, 1)
        rest = sp.expand(place - slope * dummy)
        if slope.is_Integer and slope != 0 and dummy not in rest.free_symbols:
            candidates.append((abs(slope), -len(index.support), *_place_in_order(index), index, slope, rest))
    if not candidates:
        return None, sp.S.Zero, sp.Eq(place, key)
    *_, index, slope, rest = min(candidates, key=lambda item: item[:4])
    whole = sp.Eq(sp.Mod(key - rest, abs(slope)), 0) if abs(slope) != 1 else sp.true
    return index, sp.expand((key - rest) / slope), whole


def holds(condition: Any, ranges: Mapping[sp.Expr, tuple[sp.Expr, sp.Expr]]) -> bool:
    """Whether a bound holds for all keys in their range."""
    if not isinstance(condition, (sp.Ge, sp.Le)):
        return False
    slack = condition.lhs - condition.rhs if isinstance(condition, sp.Ge) else condition.rhs - condition.lhs
    return bool(_least(sp.expand(slack), ranges).is_nonnegative)


def _least(expression: sp.Expr, ranges: Mapping[sp.Expr, tuple[sp.Expr, sp.Expr]]) -> sp.Expr:
    """The least value of an expression that is linear in the keys."""
    for key, (first, last) in ranges.items():
        slope = expression.coeff(key, 1)
        expression = sp.expand(expression.xreplace({key: first if slope.is_nonnegative else last}))
    return expression


def tighten(condition: Any, limits: dict[Index, list[Any]], ranges: Mapping[sp.Expr, tuple[sp.Expr, sp.Expr]]) -> bool:
    """Turn a bound on a summation index into a limit of its sum."""
    if not isinstance(condition, (sp.Ge, sp.Le)):
        return False
    slack = sp.expand(condition.lhs - condition.rhs if isinstance(condition, sp.Ge) else condition.rhs - condition.lhs)
    present = [limit for limit in limits.values() if limit[0] in slack.free_symbols]
    if len(present) != 1 or abs(slack.coeff(present[0][0], 1)) != 1:
        return False
    limit = present[0]
    slope = slack.coeff(limit[0], 1)
    bound = sp.expand(limit[0] - slack / slope)
    if limit[0] in bound.free_symbols:
        return False
    place = 1 if slope > 0 else 2
    gain = bound - limit[1] if slope > 0 else limit[2] - bound
    if _least(sp.expand(gain), ranges).is_nonnegative:
        limit[place] = bound
    elif not _least(sp.expand(-gain), ranges).is_nonnegative:
        limit[place] = (sp.Max if slope > 0 else sp.Min)(limit[place], bound)
    return True


def sympy_number(value: Any) -> sp.Expr:
    """A constant of the graph as a SymPy number."""
    if isinstance(value, Fraction):
        return sp.Rational(value.numerator, value.denominator)
    return sp.sympify(value)
