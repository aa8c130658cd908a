r"""An independent witness: the value of a statement, by walking its SymPy expression with NumPy.

Nothing of the expression graph is used here. The arithmetic is that of the values given (floats, arrays, complex
steps or dual numbers), so that one walk serves finite differences, the complex step and forward derivatives alike.

Each SymPy class has one small rule: a function, or a generator that yields the parts whose values it needs. A driver
keeps the rules on an explicit stack, so that nesting may be deeper than Python's recursion limit. Sums are vectorised:
an index becomes an array along a new axis *in front*, where broadcasting lines it up with the indices further out,

.. math:: \sum_j f(i, j) \;\to\; \text{the sum along axis 0 of } f \text{ at } i \text{ of shape } (n,),\ j
          \text{ of shape } (d, 1).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial, reduce
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanAtom

from symdescent.dual import Dual, apply, broadcast_to, by_value, maximum, minimum, movement, moves, power, primal, where
from symdescent.elementary import BY_CLASS, functions
from symdescent.errors import DataError, StatementError, UnsupportedError

Request = tuple[str, Any, "Scope"]  # ("scalar" or "matrix", expression, scope)
Steps = Generator[Request, Any, Any]
Rule = Callable[["Walk", Any, "Scope"], Any]

CELLS = 1 << 17  # how many numbers one array may hold while a sum is evaluated: a share of the processor's cache
SAMPLE = sp.Dummy("sample", integer=True)  # the index of per-sample symbols


def evaluate(expression: Any, values: Mapping[Any, Any], *, first_index: int = 0, samples: Sequence[Any] = (),
             reduction: str = "mean") -> Any:  # fmt: skip
    """Return the value of an expression at given values of its symbols.

    `values` maps symbols, IndexedBases and MatrixSymbols to floats, arrays, complex arrays or dual numbers; extents
    that are missing are read off the arrays. The result is a number, a 2-D array for a matrix expression (a 1x1
    matrix is a number), and has the common shape of symbols that stand for arrays. `first_index` is what the
    positions in an IndexedBase are counted from. `samples` are symbols whose values carry the samples on their first
    axis: the result is the mean, or the sum, over the samples.

    >>> i, n = sp.symbols("i n", integer=True)
    >>> x, a = sp.IndexedBase("x", shape=(n,)), sp.Symbol("a")
    >>> print(evaluate(sp.Sum((x[i] - a)**2, (i, 0, n - 1)), {x: [1.0, 2.0, 4.0], a: Dual(1.0, 1.0)}))
    Dual(value=10.0, tangent=[-8.])

    Raises DataError where values are missing or do not fit, and UnsupportedError for what has no rule.
    """
    if reduction not in ("mean", "sum"):
        raise StatementError(f"the reduction over samples is 'mean' or 'sum', not {reduction!r}")
    statement = sp.sympify(expression, strict=True)
    data, base = _prepare(values, samples)
    kind = "matrix" if statement.is_Matrix and tuple(statement.shape) != (1, 1) else "scalar"
    directions = max((value.directions for value in data.values() if isinstance(value, Dual)), default=1)
    walk = Walk(data, directions, first_index, frozenset(samples))
    bound = {SAMPLE: np.arange(float(base[-1]))} if samples else {}
    with np.errstate(all="ignore"):
        try:
            result = walk.run(kind, statement, Scope(bound, len(base), math.prod(base)))
        except _Unguarded:  # perhaps in a branch that is not taken: look again, more slowly
            walk.guarded = True
            result = walk.run(kind, statement, Scope(bound, len(base), math.prod(base)))
    if walk.undefined:
        result = result * np.nan
    entry = np.shape(primal(result))[-2:] if kind == "matrix" else ()
    if base:
        result = broadcast_to(result, (*base, *entry))
    if samples:
        result = result.sum(axis=-1 - len(entry)) / (base[-1] if reduction == "mean" else 1)
    return result


def leaves(expression: Any) -> set[Any]:
    """Return the symbols, IndexedBases and MatrixSymbols that occur free in an expression.

    Arrays are leaves as a whole: their shapes are not looked into. The time is linear in the number of distinct
    subexpressions, however deeply they are nested and however often they are shared.

    >>> i, n, w = sp.symbols("i n w")
    >>> sorted(map(str, leaves(sp.Sum(w*sp.IndexedBase("x")[i], (i, 0, n - 1)))))
    ['n', 'w', 'x']
    """
    found: set[Any] = set()
    # identities are only unique among the living: `seen` holds on to the nodes
    seen: dict[tuple[int, frozenset[Any]], Any] = {}
    pending: list[tuple[Any, frozenset[Any]]] = [(expression, frozenset())]
    while pending:
        node, bound = pending.pop()
        if (id(node), bound) in seen:
            continue
        seen[id(node), bound] = node
        if isinstance(node, _LEAVES):
            found |= {node} - bound
        elif isinstance(node, (sp.Sum, sp.Product)):
            for index, *bounds in reversed(node.limits):  # the last limit is the outermost
                pending.extend((part, bound) for part in bounds)
                bound |= {index}
            pending.append((node.function, bound))
        elif isinstance(node, sp.Lambda):
            pending.append((node.expr, bound | set(node.variables)))
        else:
            parts = node.flat() if isinstance(node, sp.MatrixBase) else getattr(node, "args", ())
            pending.extend((part, bound) for part in parts)
    return found


_SCALARS = (sp.Symbol, sp.Idx)
_LEAVES = (*_SCALARS, sp.IndexedBase, sp.MatrixSymbol)


# -- the values -------------------------------------------------------------------------------------------------------


def _prepare(values: Mapping[Any, Any], samples: Sequence[Any]) -> tuple[dict[Any, Any], tuple[int, ...]]:
    """Return the values as floats in their declared shapes, and the common shape of symbols that stand for arrays."""
    data = {symbol: _numbers(symbol, value) for symbol, value in values.items()}
    count = _sample_count(data, samples)
    for symbol, value in data.items():
        if isinstance(symbol, sp.MatrixSymbol):
            data[symbol] = _as_matrix(symbol, value, int(symbol in samples))
        elif count and symbol not in samples and isinstance(symbol, _SCALARS) and np.ndim(primal(value)):
            data[symbol] = value[..., None]  # the samples are the last axis of all
    for symbol in values:
        lengths = np.shape(primal(data[symbol]))[symbol in samples :]
        for axis, (extent, length) in enumerate(zip(getattr(symbol, "shape", None) or (), lengths, strict=False)):
            given = data.setdefault(extent, np.float64(length)) if extent.is_Symbol else extent
            if (extent.is_Symbol or extent.is_Integer) and given != length:
                told = f"{given}" if extent.is_Integer else f"{extent} = {primal(given):g}"
                raise DataError(f"{symbol} has {length} entries along axis {axis}, where its shape says {told}")
    standing = {symbol: np.shape(primal(value)) for symbol, value in data.items() if isinstance(symbol, _SCALARS)}
    try:
        return data, np.broadcast_shapes(*standing.values(), count)
    except ValueError:
        told = ", ".join(f"{symbol} of shape {shape}" for symbol, shape in standing.items() if shape)
        raise DataError(f"the values of the symbols do not belong to common free indices: {told}") from None


def _numbers(symbol: Any, value: Any) -> Any:
    if isinstance(value, Dual):
        return value
    try:
        array = np.asarray(value)
        return (array if np.iscomplexobj(array) else array.astype(np.float64, copy=False))[()]
    except (TypeError, ValueError) as error:
        raise DataError(f"the value of {symbol} is not made of numbers ({error}): give a number or an array") from None


def _sample_count(data: Mapping[Any, Any], samples: Sequence[Any]) -> tuple[int, ...]:
    """The number of samples, if there are any, as a shape."""
    missing = [str(symbol) for symbol in samples if symbol not in data]
    if missing:
        raise DataError(f"the samples of {', '.join(missing)} are missing among the values")
    counts = {str(symbol): np.shape(primal(data[symbol]))[:1] for symbol in samples}
    if len(set(counts.values())) > 1 or () in counts.values() or (0,) in counts.values():
        told = ", ".join(f"{count[0] if count else 'no'} of {symbol}" for symbol, count in counts.items())
        raise DataError(f"there are {told}: give equally many samples of each, at least one, along the first axis")
    return next(iter(counts.values()), ())


def _as_matrix(symbol: Any, value: Any, cells: int) -> Any:
    """The data of a matrix symbol with both of its axes: vectors may come without the axis of length one."""
    lead, lengths = np.shape(primal(value))[:cells], np.shape(primal(value))[cells:]
    if len(lengths) < 2:
        ones = (1,) * (2 - len(lengths))
        lengths = (*lengths, *ones) if symbol.shape[1] == 1 else (*ones, *lengths)
        value = np.reshape(value, (*lead, *lengths))
    if len(lengths) != 2:
        raise DataError(f"the data of {symbol} has {len(lengths)} axes where a matrix has two")
    return value


# -- the driver -------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Scope:
    """The values of bound symbols, as arrays on `depth` axes with `cells` cells in all; `mask` tells which cells count.

    `known` holds what has been evaluated here, by identity; `enclosing` is the scope that binds single numbers only.
    """

    bound: Mapping[Any, Any]
    depth: int = 0
    cells: int = 1
    mask: Any = np.True_
    enclosing: Scope | None = None
    known: dict[tuple[str, int], tuple[Any, Any]] = field(default_factory=dict)

    @property
    def flat(self) -> Scope:
        """The innermost enclosing scope without axes, where matrices are evaluated."""
        if self.depth and self.enclosing is None:
            self.enclosing = Scope({})
        return self.enclosing if self.depth and self.enclosing is not None else self

    def bind(self, values: Mapping[Any, Any], depth: int, cells: int, mask: Any = np.True_) -> Scope:
        """Open a scope within this one."""
        return Scope({**self.bound, **values}, depth, cells, mask, self.flat if depth else None)

    def narrowed(self, mask: Any) -> Scope:
        """The same scope with fewer cells that count."""
        return Scope(self.bound, self.depth, self.cells, mask, self.flat)


@dataclass(slots=True, eq=False)
class Walk:
    """One evaluation: the values, and how arrays are indexed. `guarded` keeps untaken branches from being indexed.

    `directions` is the number of tangents that come with each number.
    """

    values: Mapping[Any, Any]
    directions: int
    first_index: int = 0
    sampled: frozenset[Any] = frozenset()
    guarded: bool = False
    undefined: bool = False  # something undefined was compared, so that no case holds and none fails
    free: dict[int, tuple[Any, set[Any]]] = field(default_factory=dict)

    def run(self, kind: str, expression: Any, scope: Scope) -> Any:
        """Evaluate an expression, and the parts that it asks for, on an explicit stack."""
        stack: list[tuple[Steps, Request]] = []
        request: Request | None = (kind, expression, scope)
        value: Any = None
        while True:
            if request is not None:
                kind, node, scope = request
                known = scope.known.get((kind, id(node)))
                started = known[1] if known is not None else _rule(kind, node, scope)(self, node, scope)
                if isinstance(started, Generator):
                    stack.append((started, request))
                    started = None
                elif known is None:
                    scope.known[kind, id(node)] = node, started
                value = started
            if not stack:
                return value
            try:
                request = stack[-1][0].send(value)
            except StopIteration as finished:
                value, request = finished.value, None
                kind, node, scope = stack.pop()[1]
                scope.known[kind, id(node)] = node, value

    def value(self, symbol: Any, scope: Scope) -> Any:
        """The value of a symbol: what a sum binds it to, or what was given."""
        for mapping in (scope.bound, self.values):
            if symbol in mapping:
                return mapping[symbol]
        raise DataError(f"{symbol} has no value: the statement needs it, so give it among the values")

    def data(self, array: Any, scope: Scope) -> Any:
        """The data of an array; of a per-sample array, that of the present sample, or of all along the first axis."""
        data = self.value(array, scope)
        if array in self.sampled and np.ndim(scope.bound[SAMPLE]) == 0:
            return data[int(scope.bound[SAMPLE])]
        return data

    def varying(self, expression: Any, scope: Scope) -> dict[Any, Any]:
        """The symbols of an expression that stand for arrays of cells here."""
        if id(expression) not in self.free:
            self.free[id(expression)] = expression, leaves(expression)
        found = {}
        for leaf in self.free[id(expression)][1]:
            if isinstance(leaf, (sp.IndexedBase, sp.MatrixSymbol)):
                if leaf in self.sampled:
                    found[SAMPLE] = scope.bound[SAMPLE]
            else:
                found[leaf] = self.value(leaf, scope)
        return {leaf: value for leaf, value in found.items() if np.ndim(primal(value))}

    def entry(self, array: Any, data: Any, places: Sequence[Any], scope: Scope, first: int = 0) -> Any:
        """The entries of an array at places counted from `first`; leading axes that the places lack are cells."""
        shape = np.shape(primal(data))
        cells = len(shape) - len(places)
        positions: list[Any] = list(np.ogrid[tuple(slice(0, length) for length in shape[:cells])]) if cells > 0 else []
        for axis, place in enumerate(places):
            reached, length = whole(place, scope, array), shape[cells + axis]
            outside = ((reached < first) | (reached >= first + length)) & scope.mask
            if np.any(outside):
                (wrong,) = np.broadcast_arrays(reached, outside)[0][outside][:1]
                raise _Unguarded(
                    f"{array} is indexed at {wrong} on axis {axis}, where it has {length} entries counted from "
                    f"{first}: let the sum end earlier, give longer data, or set first_index"
                )
            positions.append(np.clip(reached - first, 0, length - 1))
        return data[tuple(positions)]


class _Unguarded(DataError):
    """A position is no integer, or out of range, unless what stands around turns out to guard it."""


def whole(value: Any, scope: Scope, what: Any) -> Any:
    """The value of a position, a bound or an extent as integers; in cells that do not count, anything."""
    if moves(value) and np.any(movement(value)):
        raise DataError(f"an index or bound of {what} moves with a parameter, but integers have no derivative")
    exact = primal(value)
    rounded = np.rint(np.where(np.isfinite(exact), exact, 0.0))
    wrong = ~(np.abs(exact - rounded) <= 1e-9 * np.maximum(1.0, np.abs(rounded))) & scope.mask
    if np.any(wrong):
        (example,) = np.broadcast_arrays(exact, wrong)[0][wrong][:1]
        raise _Unguarded(f"an index or bound of {what} comes to {example}: only whole, finite numbers serve as such")
    return rounded.astype(np.intp)


def shown(expression: Any) -> str:
    """An expression as part of a message."""
    try:
        return str(expression)[:200]
    except RecursionError:
        return f"a deeply nested {type(expression).__name__}"


# -- scalar expressions -----------------------------------------------------------------------------------------------


def _rule(kind: str, node: Any, scope: Scope) -> Rule:
    sort: Any = type(node)
    rule = _find(sort, kind == "matrix", scope.depth > 0)
    if rule is None:
        undefined = isinstance(node, sp.core.function.AppliedUndef)
        advice = "replace it by an expression" if undefined else "call .doit(), or write it with supported functions"
        raise UnsupportedError(f"{shown(node)} cannot be evaluated, for {sort.__name__} has no rule here: {advice}")
    return rule


@cache
def _find(kind: type, as_matrix: bool, in_cells: bool) -> Rule | None:
    from symdescent.check import evaluate_matrices as matrices

    if as_matrix and in_cells:
        return matrices.cell_by_cell
    rules = matrices.RULES if as_matrix else {**_RULES, **matrices.SCALAR_RULES}
    return next((rules[base] for base in kind.__mro__ if base in rules), None)


def _number(walk: Walk, node: Any, scope: Scope) -> Any:
    try:
        return bool(node) if isinstance(node, BooleanAtom) else np.float64(node)
    except TypeError:
        raise UnsupportedError(f"the statement contains {node}, which is not real: state it in real terms") from None


def _symbol(walk: Walk, node: Any, scope: Scope) -> Any:
    return walk.value(node, scope)


def _operation(walk: Walk, node: Any, scope: Scope) -> Steps:
    """A function of the values of the parts."""
    parts = []
    for argument in node.args:
        parts.append((yield "scalar", argument, scope))
    if isinstance(node, Relational) and any(np.any(np.isnan(primal(part)) & scope.mask) for part in parts):
        if not walk.guarded:
            raise _Unguarded(f"{shown(node)} compares what is undefined")
        walk.undefined = True
    return next(OPERATIONS[kind] for kind in type(node).__mro__ if kind in OPERATIONS)(*parts)


def _piecewise(walk: Walk, node: Any, scope: Scope) -> Steps:
    """A branch is evaluated only if some cell takes it."""
    result: Any = np.nan
    open_cells = scope.mask
    for branch, condition in node.args:
        inside = scope.narrowed(open_cells) if walk.guarded and np.any(open_cells != scope.mask) else scope
        holds = np.asarray((yield "scalar", condition, inside), dtype=bool)
        taken, open_cells = open_cells & holds, open_cells & ~holds
        if np.any(taken):
            inside = scope.narrowed(taken) if walk.guarded and np.any(taken != scope.mask) else scope
            value = yield "scalar", branch, inside
            result = where(taken, value, result)
        if not np.any(open_cells):
            break
    return result


def _reduction(walk: Walk, node: Any, scope: Scope) -> Steps:
    return (yield from _over(walk, node.function, node.limits, scope, isinstance(node, sp.Product)))


def _over(walk: Walk, body: Any, limits: Sequence[Any], scope: Scope, product: bool) -> Steps:
    """Sum, or multiply, over the last limit, which is the outermost; then over the others within."""
    if not limits:
        return (yield "scalar", body, scope)
    index, low, high = limits[-1]
    first = whole((yield "scalar", low, scope), scope, index)
    last = whole((yield "scalar", high, scope), scope, index)
    neutral = 1.0 if product else 0.0
    first, last, counted = np.broadcast_arrays(first, last, scope.mask)
    counted = counted & (first <= last)
    if not np.any(counted):
        return neutral
    start, stop = int(first[counted].min()), int(last[counted].max()) + 1
    ragged = bool(np.ptp(first) or np.ptp(last))
    result: Any = neutral
    length = max(1, CELLS // (scope.cells * walk.directions))
    for begin in range(start, stop, length):
        places = np.arange(begin, min(begin + length, stop), dtype=float).reshape(-1, *(1,) * scope.depth)
        inside = (places >= first) & (places <= last) & counted if ragged else np.True_
        if not np.any(inside):
            continue
        inner = scope.bind({index: places}, scope.depth + 1, scope.cells * len(places), scope.mask & inside)
        terms = yield from _over(walk, body, limits[:-1], inner, product)
        terms = where(inside, terms, neutral) if ragged else terms
        terms = broadcast_to(terms, np.broadcast_shapes(np.shape(primal(terms)), places.shape))
        result = result * terms.prod(axis=0) if product else result + terms.sum(axis=0)
    return result


def _indexed(walk: Walk, node: Any, scope: Scope) -> Steps:
    places = []
    for place in node.indices:
        places.append((yield "scalar", place, scope))
    array, data = node.base, walk.data(node.base, scope)
    cells = int(array in walk.sampled and np.ndim(scope.bound[SAMPLE]))
    shape = np.shape(primal(data))[cells:]
    if len(shape) == len(places) + 1 and shape[-1] == 1:  # a column
        data, shape = data[..., 0], shape[:-1]
    if len(shape) != len(places):
        raise DataError(f"{node} has {len(places)} indices, but the data of {array} has {len(shape)} axes")
    return walk.entry(array, data, places, scope, walk.first_index)


def _logsumexp(*parts: Any) -> Any:
    top = reduce(np.maximum, map(primal, parts))
    top = np.where(np.isfinite(top), top, 0.0)
    return apply("log", sum(apply("exp", part - top) for part in parts)) + top


def _if_then_else(condition: Any, then: Any, otherwise: Any) -> Any:
    return np.logical_or(np.logical_and(condition, then), np.logical_and(np.logical_not(condition), otherwise))


OPERATIONS: dict[type, Callable[..., Any]] = {
    **{kind: partial(apply, record.name) for kind, record in BY_CLASS.items()},
    sp.Add: lambda *terms: reduce(operator.add, terms),
    sp.Mul: lambda *factors: reduce(operator.mul, factors),
    sp.Pow: power,
    sp.Max: maximum,
    sp.Min: minimum,
    sp.log: lambda x, base=None: apply("log", x) if base is None else apply("log", x) / apply("log", base),
    sp.cot: lambda x: apply("cos", x) / apply("sin", x),
    sp.sec: lambda x: 1.0 / apply("cos", x),
    sp.csc: lambda x: 1.0 / apply("sin", x),
    sp.coth: lambda x: 1.0 / apply("tanh", x),
    sp.sech: lambda x: 1.0 / apply("cosh", x),
    sp.csch: lambda x: 1.0 / apply("sinh", x),
    sp.factorial: lambda x: apply("gamma", x + 1.0),
    sp.beta: lambda x, y: apply("exp", apply("loggamma", x) + apply("loggamma", y) - apply("loggamma", x + y)),
    sp.conjugate: lambda x: x,  # symbols are real: an imaginary part is a step, which must not be lost
    sp.re: lambda x: x,
    functions.logsumexp: _logsumexp,
    functions.softmax: lambda *parts: apply("exp", parts[0] - _logsumexp(*parts)),
    sp.KroneckerDelta: lambda a, b: np.where(primal(a) == primal(b), 1.0, 0.0),
    sp.Eq: by_value(operator.eq),
    sp.Ne: by_value(operator.ne),
    sp.Lt: by_value(operator.lt),
    sp.Le: by_value(operator.le),
    sp.Gt: by_value(operator.gt),
    sp.Ge: by_value(operator.ge),
    sp.And: lambda *parts: reduce(np.logical_and, parts),
    sp.Or: lambda *parts: reduce(np.logical_or, parts),
    sp.Not: np.logical_not,
    sp.Xor: lambda *parts: reduce(np.logical_xor, parts),
    sp.ITE: _if_then_else,
}

_RULES: dict[type, Rule] = {
    **dict.fromkeys(OPERATIONS, _operation),
    **dict.fromkeys((sp.Number, sp.NumberSymbol, type(sp.zoo), type(sp.I), BooleanAtom), _number),
    **dict.fromkeys((sp.Symbol, sp.Idx), _symbol),
    sp.Piecewise: _piecewise,
    sp.Sum: _reduction,
    sp.Product: _reduction,
    sp.Indexed: _indexed,
}
