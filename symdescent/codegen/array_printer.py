r"""Printing nodes as NumPy expressions: arrays with one axis for each index that they depend on.

In front of the indices' axes stand the axes :math:`B` of scalar arguments that are given as arrays,

.. math:: r_i = y_i - b \;\to\; \text{shape } B + (n,), \qquad \sum_j X_{ij} w_j \;\to\; \texttt{X @ w}.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import count
from string import ascii_letters
from typing import Any

import numpy as np
import sympy as sp

from symdescent.codegen.names import Names, is_plain
from symdescent.codegen.scalar_printer import ATOM, COMPARE, PRODUCT, SELECT, SIGN, SUM, ScalarPrinter, Text
from symdescent.elementary import TABLE
from symdescent.graph import REDUCTIONS, RELATIONS, Index, Node, reachable
from symdescent.statement import ARRAYS, Statement, name_of

Axes = tuple[Index, ...]
Part = tuple[tuple[Node, ...], Node]
INLINE, WIDE = 40, 6  # a value that is used once is written in place up to this length; wider sums are split
_JUNCTIONS = {"all": " & ", "any": " | "}
_EXTREMA = {"max": "np.maximum", "min": "np.minimum"}
_FUNCTIONS = {"sum": ("np.sum", ""), "product": ("np.prod", ""), "maximum": ("np.max", ", initial=-np.inf")}
_NEUTRAL = {"sum": 0, "product": 1, "maximum": -math.inf}


# -- printing ---------------------------------------------------------------------------------------------------------


class ArrayPrinter(ScalarPrinter):
    """Prints nodes as NumPy expressions; `lines` are the statements that compute what has a variable.

    `order` sorts the axes of every array, `scalars` are the arguments that may be arrays of shape B, and `batched` the
    nodes that depend on these. `target` holds the axes of the expression that is being written: a part with fewer of
    them is indexed with ``None`` where broadcasting needs it.
    """

    def __init__(self, statement: Statement, names: Names, scalars: Sequence[str], integers: frozenset[object],
                 order: Axes) -> None:  # fmt: skip
        self._variables: dict[Node, str] = {}
        places = frozenset(statement.lowering.index_arrays)
        super().__init__(self._variables.get, self._identifier, integers, frozenset(), places)
        self.statement, self.graph, self.names, self.scalars = statement, statement.graph, names, scalars
        self.lines: list[str] = []
        self.target: Axes = ()
        self.batched: set[Node] = set()
        self._batch = ""
        self._axes: dict[Node, Axes] = {}
        self._numbers: dict[str, Iterator[int]] = {}
        self._ranges: set[Index] = set()
        self._rank = {index: place for place, index in enumerate(order)}
        shown = {index: name_of(dummy) for index, (dummy, _) in statement.lowering.display.items()}
        self._shown = {index: self._index_name(shown.get(index, "")) for index in order}

    # -- statements -----------------------------------------------------------------------------------------------

    def compute(self, ends: Sequence[Node], titles: Mapping[Node, str]) -> None:
        """Write what the ends need: a variable for each node that is used several times, is long, or has a title."""
        nodes = list(reachable(ends, self._is_open))
        uses = Counter(ends)
        for node in nodes:
            uses.update(node.args if self._is_open(node) else ())
        inside = {node.args[0] for node in nodes if node.op == "sum" and node.args[0].op in ("sum", "mul")}
        in_place = {node for node in inside.union(ends) if uses[node] == 1 and node not in titles}
        for node in nodes:
            if self._is_leaf(node) or node in in_place:
                continue
            self.target = self.axes(node)
            if node.op in _JUNCTIONS and len(node.args) > WIDE:
                parts = [self.condition(argument, ATOM) for argument in node.args]
                self._assign(node, self._numbered("t"), parts, _JUNCTIONS[node.op])
                continue
            written = self.operation(node)[0]
            if node in titles or uses[node] > 1 or len(written) > INLINE:
                stem = {"sum": "s", "maximum": "m"}.get(node.op, "t")
                self._assign(node, titles.get(node) or self._numbered(stem), [written])

    def result(self, key: Any, name: str, parts: Sequence[Part]) -> str:
        """The text of a result: the value, or the gradient of a parameter, which is added up here."""
        if self.is_direct(key, parts):
            return self._own(parts[0][1])
        if not isinstance(key, ARRAYS):
            return "0.0"
        if self.scalars and not self._batch:
            self._batch = self.names.fresh("batch")
            shapes = ", ".join(f"np.shape({scalar})" for scalar in self.scalars)
            self.lines.append(f"{self._batch} = np.broadcast_shapes({shapes})")
        self.lines.append(f"{name} = np.zeros({self._batch}{' + ' if self._batch else ''}{self.names.of(key)}.shape)")
        self.lines.extend(self._scatter(key, name, places, node) for places, node in parts)
        return name

    def is_direct(self, key: Any, parts: Sequence[Part]) -> bool:
        """Whether a node is the whole result: that of a scalar, or of an array place by place."""
        slices = self._slices(key, parts[0][0]) if isinstance(key, ARRAYS) and len(parts) == 1 else None
        if slices is None:
            return bool(parts) and not isinstance(key, ARRAYS)
        return set(slices[0]) == {":"} and slices[1] == self.axes(parts[0][1])

    def _scatter(self, array: Any, name: str, places: tuple[Node, ...], node: Node) -> str:
        found = self._slices(array, places)
        if found is None:
            self.target = self._sorted(index for place in places for index in self.axes(place))
            positions = ", ".join(self._position(array, axis, place) for axis, place in enumerate(places))
            self.helpers.add("add_at")
            return f"add_at({name}, ({positions},), {self.text(node)})"
        slices, order = found
        axes = tuple(index for index in order if index in self.axes(node))
        shift = _shift(axes, order, node in self.batched)
        written = self._own(node, ATOM if shift else SELECT)
        where = "" if set(slices) == {":"} else f"[{'..., ' * bool(self.scalars)}{', '.join(slices)}]"
        return f"{name}{where} += {_transposed(written, self.axes(node), axes)}{shift}"

    def _assign(self, node: Node, name: str, parts: Sequence[str], sign: str = "") -> None:
        """Give a node a variable, in one statement or, joined by the sign, in several."""
        axes = [*(["..."] if node in self.batched else []), *(self._shown[index] for index in self.axes(node))]
        comment = f"  # [{', '.join(axes)}]" if self.axes(node) else ""
        for start in range(0, len(parts), WIDE):
            self.lines.append(f"{name} = {sign.join([name] * (start > 0) + [*parts[start : start + WIDE]])}{comment}")
        self._variables[node] = name

    def _numbered(self, stem: str) -> str:
        numbers = self._numbers.setdefault(stem, count(1))
        name = next(name for number in numbers if (name := f"{stem}{number}") not in self.names)
        self.names.reserve([name])
        return name

    def _is_leaf(self, node: Node) -> bool:
        """Whether a node is always written in place: arguments and their slices, constants, the mean's 1/n."""
        if node.op == "load":
            return self._slices(node.payload, node.args) is not None
        if node.op == "power":
            return node.args[0].payload in self.integers and node.args[1].number == -1
        return node.op in ("const", "symbol", "index")

    def _is_open(self, node: Node) -> bool:
        """Whether the arguments of a node are values; array positions are always written in place."""
        return node.op != "load" and not (node.op in RELATIONS and all(map(self._is_integer, node.args)))

    # -- axes and names -------------------------------------------------------------------------------------------

    def axes(self, node: Node) -> Axes:
        """The indices that a node has axes for (`Node.indices` holds those that their ranges depend on, too)."""
        if node not in self._axes:
            for part in reachable([node], lambda part: part not in self._axes):
                if part in self._axes:
                    continue
                found = {part.payload} if part.op == "index" else {index for a in part.args for index in self._axes[a]}
                self._axes[part] = self._sorted(found - {part.payload} if part.op in REDUCTIONS else found)
                scalar = part.op == "symbol" and part.payload not in self.integers and bool(self.scalars)
                if scalar or any(argument in self.batched for argument in part.args):
                    self.batched.add(part)
        return self._axes[node]

    def _sorted(self, indices: Iterable[Index]) -> Axes:
        return tuple(sorted(set(indices), key=self._rank.__getitem__))

    def _at(self, target: Axes, write: Callable[..., Any], *args: Any) -> Any:
        """What is written for other axes than the current ones."""
        outer, self.target = self.target, target
        written = write(*args)
        self.target = outer
        return written

    def _own(self, node: Node, context: int = SELECT) -> str:
        return str(self._at(self.axes(node), self.text, node, context))

    def _aligned(self, write: Callable[[Node, int], str], node: Node, context: int) -> str:
        if not self.target:  # a scalar among scalars
            return write(node, context)
        shift = _shift(self.axes(node), self.target, node in self.batched)
        return f"{self._at(self.axes(node), write, node, ATOM if shift else context)}{shift}"

    def text(self, node: Node, context: int = SELECT) -> str:
        """The expression of a node, with axes that broadcast against the target."""
        return self._aligned(super().text, node, context)

    def integer(self, node: Node, context: int = SELECT) -> str:
        """The expression of an array position, with axes that broadcast against the target."""
        return self._aligned(super().integer, node, context)

    def condition(self, node: Node, context: int = SELECT) -> str:
        """The expression of a condition, with axes that broadcast against the target."""
        return self._aligned(super().condition, node, context)

    def _index_name(self, wanted: str) -> str:
        letters = (letter for letter in (wanted, *"ijklmpq") if is_plain(letter) and letter not in self.names)
        return self.names.fresh(next(letters, ""), "i")

    def _identifier(self, thing: object) -> str:
        """The name of an argument, or of the array that holds the values of an index."""
        if not isinstance(thing, Index):
            return self.names.of(thing)
        if thing not in self._ranges:
            self._ranges.add(thing)
            axes = self.axes(thing.extent)
            length = self._at(axes, self.integer, thing.extent)
            self.lines.append(f"{self._shown[thing]} = np.arange({f'np.max({length}, initial=0)' if axes else length})")
        return self._shown[thing]

    # -- expressions ----------------------------------------------------------------------------------------------

    def operation(self, node: Node) -> Text:
        """The expression that computes a node from its arguments."""
        if node.op in (*RELATIONS, *_JUNCTIONS, "not"):
            return self._condition(node)
        if node.op in REDUCTIONS:
            return self._reduction(node)
        if node.op == "select":
            then, otherwise = map(self.text, node.args[1:])
            return f"np.where({self.condition(node.args[0])}, {then}, {otherwise})", ATOM
        if node.op == "call" and node.payload == "difference":  # NumPy rounds in the order written
            return f"{self.text(node.args[0], SUM)} - {self.text(node.args[1], PRODUCT)}", SUM
        if node.op == "symbol" and node.payload in self.integers:  # NumPy's division by zero raises nothing
            name = self.name(node.payload)
            return name if node.payload.is_positive else f"np.float64({name})", ATOM
        if node.op == "index" or (node.op == "load" and node.payload in self.places):
            return f"{self.integer(node)}.astype(float)", ATOM
        return super().operation(node)

    def _constant(self, node: Node) -> Text:
        known = {math.inf: "np.inf", -math.inf: "-np.inf", sp.pi: "np.pi", sp.E: "np.e"}.get(node.payload)
        written, strength = (known, SIGN) if known else super()._constant(node)
        return written.replace("math.", "np."), strength

    def _product(self, factors: tuple[Node, ...], negated: bool = False) -> Text:
        """A product, what has few axes first."""
        if self.target:
            factors = tuple(sorted(self._flat(factors), key=lambda factor: len(self.axes(factor))))
        return super()._product(factors, negated)

    def _call(self, node: Node) -> str:
        args = [self.text(argument) for argument in node.args]
        if node.payload in _EXTREMA:
            return _extremum(node, args)
        if node.payload in TABLE:
            return TABLE[node.payload].numpy.format(*args)
        self.helpers.add(node.payload)
        return f"{node.payload}({', '.join(args)})"

    def _condition(self, node: Node) -> Text:
        known = self.refer(node)
        if known is not None:
            return known, ATOM
        if node.op in _JUNCTIONS:
            return _JUNCTIONS[node.op].join(self.condition(argument, ATOM) for argument in node.args), COMPARE
        if node.op == "not" and node.args[0].op != "equal":
            return f"np.logical_not({self.condition(node.args[0])})", ATOM
        return super()._condition(node)

    def _integer(self, node: Node) -> Text:
        if node.op == "call" and node.payload in _EXTREMA:
            return _extremum(node, [self.integer(argument) for argument in node.args]), ATOM
        if node.op == "call" and node.payload in ("relu", "Abs"):
            written = self.integer(node.args[0])
            return f"np.maximum(0, {written})" if node.payload == "relu" else f"np.abs({written})", ATOM
        if node.op == "call" and node.payload != "Mod":  # the floor of an integer
            return super()._integer(node.args[0])
        return super()._integer(node)

    # -- entries of arrays ----------------------------------------------------------------------------------------

    def entry(self, node: Node) -> str:
        """The text of the entries of an array."""
        name = self.name(node.payload)
        found = self._slices(node.payload, node.args)
        if found is None:
            places = enumerate(node.args)
            positions = self._at(self.axes(node), lambda: [self._position(node.payload, *place) for place in places])
            return f"{name}[{', '.join(positions)}]"
        slices, order = found
        while slices and slices[-1] == ":":
            slices.pop()
        return _transposed(f"{name}[{', '.join(slices)}]" if slices else name, order, self.axes(node))

    def _position(self, array: Any, axis: int, place: Node) -> str:
        """The text of an array position, kept within the array where a dependent range is exceeded (and masked)."""
        written = self.integer(place)
        exceeded = any(index.extent.indices for index in place.indices)
        return f"np.clip({written}, 0, {self.name(array)}.shape[{axis}] - 1)" if exceeded else written

    def _slices(self, array: Any, places: Sequence[Node]) -> tuple[list[str], Axes] | None:
        """Positions as slices along distinct indices, and these; None where the positions have to be listed."""
        parameter = getattr(array, "parameter", array)  # the direction along a parameter has its shape
        graph, shape = self.graph, self.statement.shape(parameter)
        written: list[str] = []
        order: list[Index] = []
        for axis, place in enumerate(places):
            if not place.indices:
                written.append(self.integer(place))
                continue
            found = self._progression(place)
            if found is None or found[0] in order:
                return None
            index, step, start = found
            terms = (start, graph.mul(graph.const(step), index.extent), graph.const(1 - step))
            stop = graph.add(*(part for term in terms for part in (term.args if term.op == "add" else (term,))))
            whole = shape is not None and len(shape) == len(places) and self._length(shape[axis]) is stop
            first, last = "" if start is graph.zero else self.integer(start), "" if whole else self._end(stop)
            written.append(f"{first}:{last}" + (f":{step}" if step > 1 else ""))
            order.append(index)
        return written, tuple(order)

    def _progression(self, place: Node) -> tuple[Index, int, Node] | None:
        """Return (k, a, b) where the place is a*k + b with a > 0 and k runs in a range of its own."""
        terms = place.args if place.op == "add" else (place,)
        moving = [term for term in terms if term.indices]
        step, term = self.graph.coefficient(moving[0])
        if len(moving) > 1 or term.op != "index" or term.payload.extent.indices:
            return None
        rest = self.graph.add(*(term for term in terms if not term.indices))
        return (term.payload, step, rest) if isinstance(step, int) and step > 0 else None

    def _length(self, length: sp.Expr) -> Node:
        return self.statement.lowering.lower(length)

    def _end(self, stop: Node) -> str:
        """The end of a slice: one below zero would count from the back, where the loop has no pass."""
        known = stop.op == "symbol" or self.statement.reader().expression(stop).is_nonnegative
        return self.integer(stop) if known else f"max({self.integer(stop)}, 0)"

    # -- reductions -----------------------------------------------------------------------------------------------

    def _reduction(self, node: Node) -> Text:
        body, over = node.args[0], [node.payload]
        while node.op == body.op == "sum" and self.refer(body) is None:
            over.append(body.payload)
            body = body.args[0]
        factors = list(self._flat((body,)))
        operands = self._operands(factors) if node.op == "sum" and len(factors) > 1 else []
        if len(operands) > 1:
            return _matmul(operands, over, self.axes(node)) or self._einsum(operands, self.axes(node))
        function, more = _FUNCTIONS[node.op]
        axes = self.axes(body)
        places = sorted(axes.index(index) - len(axes) for index in over)
        alone = len(over) == len(axes) and body not in self.batched
        axis = "" if alone else f", axis={tuple(places) if len(places) > 1 else places[0]}"
        return f"{function}({self._own(body)}{axis}{more})", ATOM

    def _operands(self, factors: Iterable[Node]) -> list[Operand]:
        """The factors under a sum; those with the same axes are multiplied first if there are others, or quotients."""
        groups: dict[tuple[Axes, bool], list[Node]] = {}
        for factor in factors:
            axes = self.axes(factor)
            groups.setdefault((axes, factor in self.batched), []).append(factor)
        operands = []
        for (axes, batched), members in groups.items():
            divided = any(m.op == "power" and (m.args[1].number or 0) < 0 and self.refer(m) is None for m in members)
            for part in [members] if len(groups) > 1 or divided else [[member] for member in members]:
                several = len(part) > 1
                text = self._at(axes, self._product, tuple(part)) if several else self._at(axes, self._value, part[0])
                operands.append(Operand(text, axes, batched))
        return operands

    def _einsum(self, operands: Sequence[Operand], out: Axes) -> Text:
        letters: dict[Index, str] = {}
        for index in self._sorted(index for operand in operands for index in operand.axes):
            wanted = self._shown[index] if self._shown[index] in ascii_letters else ""
            letters[index] = next(x for x in [wanted, *ascii_letters] if x and x not in letters.values())
        labels = [("..." if o.batched else "") + "".join(letters[index] for index in o.axes) for o in operands]
        result = ("..." if any(o.batched for o in operands) else "") + "".join(letters[index] for index in out)
        texts = ", ".join(operand.text[0] for operand in operands)
        optimize = ", optimize=True" if len(letters) > 2 else ""
        return f'np.einsum("{",".join(labels)}->{result}", {texts}{optimize})', ATOM


@dataclass(frozen=True, slots=True)
class Operand:
    """One factor under a sum: its text, its axes, and whether axes of scalar arguments stand in front."""

    text: Text
    axes: Axes
    batched: bool

    def written(self, turned: bool) -> str:
        """The operand of a matrix product, transposed or not."""
        text = f"({self.text[0]})" if self.text[1] < (ATOM if turned else SIGN) else self.text[0]
        return text + ".T" if turned else text


def _matmul(operands: Sequence[Operand], over: Sequence[Index], out: Axes) -> Text | None:
    """A sum of two factors as a product of matrices or vectors, if it is one, with as few transposes as possible."""
    found: dict[int, str] = {}
    index = over[0]
    for left, right in (operands, operands[::-1]) if len(operands) == 2 and len(over) == 1 else ():
        rows, columns = (tuple(other for other in operand.axes if other != index) for operand in (left, right))
        turned = left.axes != (*rows, index), right.axes != (index, *columns)
        flat = index in left.axes and index in right.axes and max(len(left.axes), len(right.axes)) <= 2
        # NumPy takes the last two axes for a matrix: a batch of vectors is good as the rows of one only
        unfit = (left.batched and turned[0]) or (right.batched and (turned[1] or not columns))
        if flat and rows + columns == out and not unfit and not (left.batched and right.batched and not rows):
            found.setdefault(sum(turned), f"{left.written(turned[0])} @ {right.written(turned[1])}")
    return (found[min(found)], PRODUCT) if found else None


def _extremum(node: Node, args: Sequence[str]) -> str:
    return reduce(lambda left, right: f"{_EXTREMA[node.payload]}({left}, {right})", args)


def _shift(axes: Axes, target: Axes, batched: bool) -> str:
    """The subscript that gives an array the axes of the target, as far as broadcasting does not."""
    marks = [":" if index in axes else "None" for index in target]
    while marks and marks[0] == (":" if batched else "None"):
        del marks[0]
    return f"[{', '.join(['...'] * batched + marks)}]" if "None" in marks else ""


def _transposed(written: str, axes: Axes, wanted: Axes) -> str:
    """An array with its last axes in another order."""
    letters = dict(zip(axes, ascii_letters, strict=False))
    before, after = ("".join(letters[index] for index in order) for order in (axes, wanted))
    return written if axes == wanted else f'np.einsum("...{before}->...{after}", {written})'


# -- helpers that generated code carries with it ----------------------------------------------------------------------


def add_at(target, places, values):  # type: ignore[no-untyped-def]
    """target[..., places] += values, also where a place occurs several times (NumPy misreads values that broadcast)."""
    places = np.broadcast_arrays(*places)
    np.add.at(target, (..., *places), values + np.zeros(places[0].shape))


def exp_difference(a, b):  # type: ignore[no-untyped-def]
    """exp(a - b), with the rounding error of the subtraction corrected."""
    d = a - b
    t = d - a
    error = (a - (d - t)) - (b + t)
    return np.exp(d) * np.where((d > -745.2) & (d < 709.0), 1.0 + error, 1.0)


def centred(a, whole, log_share, share):  # type: ignore[no-untyped-def]
    """a - whole * share, exact also where the share is almost 1 (`log_share` is its logarithm)."""
    return np.where(a == 0.0, -whole * share, -(a * np.expm1(log_share) + share * (whole - a)))
