r"""Printing a loss and its gradient as plain NumPy: the same graph as the compiled kernel, with axes instead of loops.

A node is an array with one axis for each index that it depends on, in one order for all nodes; in front of them stand
the axes :math:`B` of scalar arguments that are given as arrays,

.. math:: r_i = y_i - b \;\to\; \text{shape } B + (n,), \qquad \sum_j X_{ij} w_j \;\to\; \texttt{X @ w}.

Where the range of an index depends on another, the axis has the largest extent and what is outside is masked.
"""

from __future__ import annotations

import hashlib
import inspect
import linecache
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce, wraps
from itertools import count
from string import ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np
import sympy as sp

from symdescent.binding import Binder
from symdescent.codegen.expand import expand
from symdescent.codegen.names import Names, is_plain
from symdescent.codegen.program import KernelWriter, Signature
from symdescent.codegen.scalar_printer import ATOM, COMPARE, PRODUCT, SELECT, SIGN, ScalarPrinter, Text
from symdescent.codegen.schedule import _order
from symdescent.elementary import TABLE
from symdescent.errors import DataError
from symdescent.graph import REDUCTIONS, RELATIONS, Graph, Index, Node, reachable
from symdescent.statement import ARRAYS, Statement, name_of

Axes = tuple[Index, ...]
Part = tuple[tuple[Node, ...], Node]
CONDITIONS = (*RELATIONS, "not", "all", "any")
INLINE, WIDE = 40, 8  # a value that is used once is written in place up to this length; longer sums are split


# -- what the user gets -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ArrayFunctions:
    """A loss and its gradient as functions of arrays; unpacks as the two. `source` is the NumPy code that runs.

    The arguments are the parameters in their order, then the data sorted by name; both also go by name. Extents are
    read off the shapes of arrays (those that no shape tells are given by name). Scalars may be arrays whose shapes
    broadcast to B: `value` then has shape B, and `gradient` is an array of shape B + (shape of the parameter), or a
    tuple of them. At a kink of a loss stated with ``kinks="raise"`` the gradient is NaN.
    """

    value: Callable[..., Any]
    gradient: Callable[..., Any]
    source: str

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return iter((self.value, self.gradient))


def lambdify(statement: Statement) -> ArrayFunctions:
    """Return value and gradient of a statement as NumPy functions that broadcast over the scalar arguments.

    Raises `DataError` (when called) for arrays that do not fit the statement, and TypeError for wrong arguments.

    >>> from symdescent.statement import state
    >>> w, x, y = sp.symbols("w x y")
    >>> f, g = lambdify(state((y - w*x)**2, w, samples=[x, y]))
    >>> f(1.0, [1.0, 2.0], [2.0, 4.0])
    np.float64(2.5)
    >>> g(np.array([1.0, 2.0]), [1.0, 2.0], [2.0, 4.0])
    array([-5.,  0.])
    """
    writer = KernelWriter(statement)
    root = _masked(statement.graph, expand(statement.graph, [statement.root]))[0]
    value, helpers = _function(writer, "value", "The loss.", {None: [((), root)]})
    gradient, others = _function(writer, "gradient", "The gradient, by parameter.", _gradient_parts(statement))
    imports = "import numpy as np\n" + "\nfrom symdescent.elementary import numeric as on\n" * ("on." in value + gradient)
    carried = [inspect.getsource(_HELPERS[name]).replace(_UNTYPED, "") for name in sorted(helpers | others)]
    title = f'"""Value and gradient of a loss, on arrays.{writer._stated()}"""\n\n{imports}'
    source = "\n\n".join([title, *carried, value, gradient])
    filename = f"<symdescent {hashlib.sha256(source.encode()).hexdigest()[:16]}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {}
    exec(compile(source, filename, "exec"), namespace)
    bind = _Arguments(statement, Binder(statement), (*statement.parameters, *writer.data), writer.signature(Names(), outputs=False))
    return ArrayFunctions(bind.checked(namespace["value"]), bind.checked(namespace["gradient"]), source)


@dataclass(frozen=True, slots=True)
class _Arguments:
    """The way from the arguments of a call to those of the generated functions, and back from their results."""

    statement: Statement
    binder: Binder
    order: tuple[Any, ...]
    signature: Signature

    def checked(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function behind checked arguments."""

        @wraps(function)
        def call(*args: Any, **named: Any) -> Any:
            given = self._by_symbol(function.__name__, args, named)
            values = {thing: self._value(thing, given[thing]) for thing in self.order}
            extents = self._extents(given, values)
            try:
                batch = np.broadcast_shapes(*(np.shape(values[thing]) for thing in self.order if not self.binder.rank(thing)))
            except ValueError as error:
                raise DataError(f"the shapes of the scalar arguments do not broadcast: {error}") from error
            names = self.signature.names
            results = function(*values.values(), **{names[symbol]: number for symbol, number in extents.items()})
            if function.__name__ == "value":
                return np.array(np.broadcast_to(results, batch))[()]
            parameters = self.statement.parameters
            slopes = results if len(parameters) > 1 else (results,)
            whole = tuple(self._whole(p, s, batch, values, given) for p, s in zip(parameters, slopes, strict=True))
            return whole if len(whole) > 1 else whole[0]

        return call

    def _by_symbol(self, function: str, args: Sequence[Any], named: Mapping[str, Any]) -> dict[Any, Any]:
        names = self.signature.names
        known = {name: thing for thing, name in names.items()} | {name_of(thing): thing for thing in names}
        listed = ", ".join(map(name_of, self.order))
        given = dict(zip(self.order, args, strict=False))
        if len(args) > len(self.order):
            raise TypeError(f"{function}() takes {len(self.order)} arguments ({listed}), not {len(args)}")
        for name, value in named.items():
            if name not in known or known[name] in given:
                twice = f"two values for {name}" if name in known else f"an unknown argument {name!r}"
                raise TypeError(f"{function}() got {twice}: its arguments are {listed}")
            given[known[name]] = value
        missing = [name_of(thing) for thing in self.order if thing not in given]
        if missing:
            raise TypeError(f"{function}() has no value for {', '.join(missing)}: its arguments are {listed}")
        return given

    def _value(self, thing: Any, value: Any) -> Any:
        if self.binder.rank(thing):
            array = self.binder._value(thing, {thing: value}, "data")
            return array if thing in self.statement.lowering.index_arrays else np.asarray(array, dtype=np.float64)
        try:
            if np.asarray(value).dtype.kind != "c":
                return np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"{name_of(thing)} = {str(value)[:40]!r} is no number or array of numbers") from error
        raise DataError(f"{name_of(thing)} is complex: losses are real")

    def _extents(self, given: Mapping[Any, Any], values: Mapping[Any, Any]) -> dict[sp.Symbol, int]:
        arrays = {thing: value for thing, value in values.items() if self.binder.rank(thing)}
        extents = self.binder._extents(arrays, {thing: given[thing] for thing in given if thing not in values})
        self.binder._check_ranges(arrays, extents)
        for symbol, number in extents.items():
            if number == 0 and symbol.is_positive:
                raise DataError(f"{symbol} = 0, but {symbol} is declared positive: are there no data?")
        return extents

    def _whole(self, parameter: Any, slope: Any, batch: tuple[int, ...], values: Mapping[Any, Any], given: Mapping[Any, Any]) -> Any:
        """A gradient in full shape: that of the parameter as it was given (a column may come as (n, 1))."""
        array = isinstance(parameter, ARRAYS)
        full = np.array(np.broadcast_to(slope, batch + (np.shape(values[parameter]) if array else ())))
        return full.reshape(batch + np.shape(given[parameter])) if array else full[()]


# -- functions --------------------------------------------------------------------------------------------------------


def _function(writer: KernelWriter, name: str, said: str, parts: Mapping[Any, Sequence[Part]]) -> tuple[str, set[str]]:
    """The source of a function that returns one result for each key of `parts`, and the helpers that it calls."""
    statement, names = writer.statement, Names()
    signature = writer.signature(names, outputs=False)
    ends = _narrowed(statement.graph, [node for listed in parts.values() for _, node in listed])
    places = [place for listed in parts.values() for places, _ in listed for place in places]
    arguments = {thing: signature.names[thing] for thing in (*statement.parameters, *writer.data)}
    scalars = [known for thing, known in arguments.items() if not isinstance(thing, ARRAYS) and thing not in statement.samples]
    extents = [signature.names[symbol] for symbol in writer.extents]
    printer = ArrayPrinter(statement, names, scalars, frozenset(writer.extents), _order([*ends, *places]))
    left = iter(ends)
    moved = {key: [(places, next(left)) for places, _ in listed] for key, listed in parts.items()}
    titles = {listed[0][1]: signature.gradients[key] for key, listed in moved.items() if key is not None and printer.is_direct(key, listed)}
    printer.compute(ends, titles)
    results = [printer.result(key, signature.gradients.get(key, ""), listed) for key, listed in moved.items()]
    lines = [f'"""{said}"""', *printer.lines, f"return {', '.join(results)}"]
    head = f'@np.errstate(all="ignore")\ndef {name}({", ".join([*arguments.values(), *(["*"] if extents else []), *extents])}):\n'
    return head + "".join(f"    {line}\n" for line in lines), printer.helpers


def _gradient_parts(statement: Statement) -> dict[Any, list[Part]]:
    """For each parameter, what is added at which places: contributions summed over all indices but those of the places."""
    graph = statement.graph
    scatters = statement.scatters()
    totals: dict[Any, dict[tuple[Node, ...], list[Node]]] = {parameter: {} for parameter in statement.parameters}
    for scatter, node in zip(scatters, _masked(graph, expand(graph, [s.contribution for s in scatters])), strict=True):
        over = scatter.indices - {part.payload for part in reachable(scatter.places) if part.op == "index"}
        masks = [_in_range(graph, index) for index in scatter.indices if index.extent.indices]
        if masks:  # sums in a rectangle: the indices keep their names, because the places use them
            node = graph.select(graph.all(*masks), node, graph.zero)
            for index in over:
                node = graph.regroup(Node("sum", (), index, frozenset(), 0), node)
        for index in () if masks else over:
            node = _sum(graph, node, index)
        totals[scatter.parameter].setdefault(scatter.places, []).append(node)
    return {parameter: [(places, graph.add(*nodes)) for places, nodes in found.items()] for parameter, found in totals.items()}


def _sum(graph: Graph, node: Node, index: Index) -> Node:
    """The sum over an index; what does not depend on it is taken out, also from products within the product."""
    factors: dict[frozenset[Index], list[Node]] = {}
    pending = [node]
    while pending:
        part = pending.pop()
        if part.op == "mul":
            pending.extend(part.args)
        else:
            factors.setdefault(part.indices, []).append(part)
    inside = [graph.mul(*members) for indices, members in factors.items() if index in indices]
    outside = [graph.mul(*members) for indices, members in factors.items() if index not in indices]
    return graph.mul(*outside, graph.reduce("sum", graph.mul(*inside) if outside else node, index))


def _masked(graph: Graph, roots: Sequence[Node]) -> list[Node]:
    """The roots with every reduction over a dependent range (j < i) done over a rectangle, neutral outside."""
    neutral = {"sum": graph.zero, "product": graph.one, "maximum": graph.const(-math.inf)}
    done: dict[Node, Node] = {}
    for node in reachable(roots):
        args = [done[argument] for argument in node.args]
        if node.op in REDUCTIONS and node.payload.extent.indices:
            args = [graph.select(_in_range(graph, node.payload), args[0], neutral[node.op])]
        done[node] = graph.rebuild(node, args) if args != list(node.args) else node
    return [done[root] for root in roots]


def _in_range(graph: Graph, index: Index) -> Node:
    return graph.relation("less", graph.index(index), index.extent)


def _narrowed(graph: Graph, roots: Sequence[Node]) -> list[Node]:
    """The roots with wide sums, products and extrema nested as trees, so that no line of code gets long."""
    done: dict[Node, Node] = {}
    for node in reachable(roots):
        args = [done[argument] for argument in node.args]
        while node.op in ("add", "mul", "call") and len(args) > WIDE:
            slices = [args[start : start + WIDE] for start in range(0, len(args), WIDE)]
            args = [graph.group(part) if node.op == "mul" else part[0] if len(part) == 1 else graph.rebuild(node, part) for part in slices]
        if args == list(node.args):
            done[node] = node
        else:
            done[node] = graph.regroup(node, args[0]) if node.op in REDUCTIONS else graph.rebuild(node, args)
    return [done[root] for root in roots]


# -- printing ---------------------------------------------------------------------------------------------------------

class ArrayPrinter(ScalarPrinter):
    """Prints nodes as NumPy expressions; `lines` are the statements that compute what has a variable.

    `order` sorts the axes of every array. `target` holds the axes of the expression that is being written: a part with
    fewer of them is indexed with ``None`` where broadcasting needs it. `batched` are the nodes that depend on a scalar
    argument, so that axes of its own may stand in front.
    """

    def __init__(self, statement: Statement, names: Names, scalars: Sequence[str], integers: frozenset[object], order: Axes) -> None:
        super().__init__(lambda node: self._variables.get(node), self._identifier, integers, frozenset(),
                         frozenset(statement.lowering.index_arrays))  # fmt: skip
        self.statement, self.graph, self.names, self.scalars = statement, statement.graph, names, scalars
        self.lines: list[str] = []
        self.target: Axes = ()
        self.batched: set[Node] = set()
        self.batch: str | None = None
        self._axes: dict[Node, Axes] = {}
        self._variables: dict[Node, str] = {}
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
        summed = {node.args[0] for node in nodes if node.op == "sum" and node.args[0].op == "mul"}
        for node in nodes:
            in_place = node.op in ("const", "symbol", "index") or (node in summed and uses[node] == 1)
            in_place = in_place or (node.op == "power" and node.args[0].payload in self.integers and node.args[1].number == -1)
            if node not in titles and (in_place or (node.op == "load" and self._slices(node.payload, node.args))):
                continue
            self.target = self.axes(node)
            if node.op in ("all", "any") and len(node.args) > WIDE:
                self._junction(node)
                continue
            written = self.operation(node)[0]
            if node in titles or uses[node] > 1 or len(written) > INLINE:
                self._assign(node, titles.get(node) or self._numbered(node), written)

    def _batch_shape(self) -> str:
        """The name of the shape B of the scalar arguments."""
        if self.batch is None:
            self.batch = self.names.fresh("batch")
            self.lines.append(f"{self.batch} = np.broadcast_shapes({', '.join(f'np.shape({s})' for s in self.scalars)})")
        return self.batch

    def result(self, key: Any, name: str, parts: Sequence[Part]) -> str:
        """The text of a result: the value, or the gradient of a parameter, which is added up here."""
        if not parts and not isinstance(key, ARRAYS):
            return "0.0"
        if self.is_direct(key, parts):
            return self._own(parts[0][1])
        array = self.names.of(key)
        batch = f"{self._batch_shape()} + " if self.scalars else ""
        self.lines.append(f"{name} = np.zeros({batch}{array}.shape)")
        self.lines.extend(self._scatter(key, name, places, node) for places, node in parts)
        return name

    def is_direct(self, key: Any, parts: Sequence[Part]) -> bool:
        """Whether a node is the whole gradient: that of a scalar, or of an array place by place."""
        if not isinstance(key, ARRAYS):
            return bool(parts)
        slices = self._slices(key, parts[0][0]) if len(parts) == 1 else None
        return slices is not None and set(slices[0]) == {":"} and slices[1] == self.axes(parts[0][1])

    def _scatter(self, array: Any, name: str, places: tuple[Node, ...], node: Node) -> str:
        found = self._slices(array, places)
        if found is None:
            self.target = self._sorted(index for place in places for index in self.axes(place))
            positions = ", ".join(self._position(array, axis, place) for axis, place in enumerate(places))
            return f"np.add.at({name}, (..., {positions}), {self.text(node)})"
        slices, order = found
        mine = tuple(index for index in order if index in self.axes(node))
        shift = _shift(mine, order, node in self.batched)
        written = _transposed(self._own(node, ATOM if shift or mine != self.axes(node) else SELECT), self.axes(node), mine)
        where = "" if set(slices) == {":"} else f"[..., {', '.join(slices)}]"
        return f"{name}{where} += {written}{shift}"

    def _assign(self, node: Node, name: str, written: str) -> None:
        self._variables[node] = name
        dots = ["..."] if node in self.batched else []
        axes = [self._shown[index] for index in self.axes(node)]
        self.lines.append(f"{name} = {written}" + (f"  # [{', '.join(dots + axes)}]" if axes else ""))

    def _junction(self, node: Node) -> None:
        name, sign = self._numbered(node), _JUNCTIONS[node.op]
        texts = [self.condition(argument, ATOM) for argument in node.args]
        for start in range(0, len(texts), WIDE):
            self._assign(node, name, sign.join([name] * (start > 0) + texts[start : start + WIDE]))

    def _numbered(self, node: Node) -> str:
        stem = {"sum": "s", "maximum": "m"}.get(node.op, "t")
        numbers = self._numbers.setdefault(stem, count(1))
        name = next(name for number in numbers if (name := f"{stem}{number}") not in self.names)
        self.names.reserve([name])
        return name

    def _is_open(self, node: Node) -> bool:
        """Whether the arguments of a node are values: array positions are written in place."""
        return node.op != "load" and not (node.op in RELATIONS and all(map(self._is_integer, node.args)))

    # -- axes and names -------------------------------------------------------------------------------------------

    def axes(self, node: Node) -> Axes:
        """The indices that a node has axes for (the range of an index may depend on more)."""
        if node not in self._axes:
            for part in reachable([node], lambda part: part not in self._axes):
                if part in self._axes:
                    continue
                found = {part.payload} if part.op == "index" else {index for a in part.args for index in self._axes[a]}
                self._axes[part] = self._sorted(found - {part.payload} if part.op in REDUCTIONS else found)
                scalar = part.op == "symbol" and part.payload not in self.integers
                if scalar or any(argument in self.batched for argument in part.args):
                    self.batched.add(part)
        return self._axes[node]

    def _sorted(self, indices: Iterable[Index]) -> Axes:
        return tuple(sorted(set(indices), key=self._rank.__getitem__))

    def _own(self, node: Node, context: int = SELECT) -> str:
        """The text of a node with its own axes."""
        outer, self.target = self.target, self.axes(node)
        written = self.text(node, context)
        self.target = outer
        return written

    def _aligned(self, write: Callable[[Node, int], str], node: Node, context: int) -> str:
        shift = _shift(self.axes(node), self.target, node in self.batched)
        outer, self.target = self.target, self.axes(node)
        written = write(node, ATOM if shift else context)
        self.target = outer
        return written + shift

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
            outer, self.target = self.target, self.axes(thing.extent)
            length = self.integer(thing.extent)
            self.target = outer
            longest = f"np.max({length}, initial=0)" if self.axes(thing.extent) else length
            self.lines.append(f"{self._shown[thing]} = np.arange({longest})")
        return self._shown[thing]

    # -- expressions ----------------------------------------------------------------------------------------------

    def operation(self, node: Node) -> Text:
        """The expression that computes a node from its arguments."""
        if node.op in CONDITIONS:
            return self._condition(node)
        if node.op in REDUCTIONS:
            return self._reduction(node)
        if node.op == "select":
            then, otherwise = map(self.text, node.args[1:])
            return f"np.where({self.condition(node.args[0])}, {then}, {otherwise})", ATOM
        if node.op == "symbol" and node.payload in self.integers:
            name = self.name(node.payload)
            return name if getattr(node.payload, "is_positive", False) else f"np.float64({name})", ATOM
        if node.op == "index" or (node.op == "load" and node.payload in self.places):
            return f"{self.integer(node)}.astype(float)", ATOM
        return super().operation(node)

    def _constant(self, node: Node) -> Text:
        known = {math.inf: "np.inf", -math.inf: "-np.inf", sp.pi: "np.pi", sp.E: "np.e"}.get(node.payload)
        written, strength = (known, SIGN) if known else super()._constant(node)
        return written.replace("math.", "np."), strength

    def _product(self, factors: tuple[Node, ...], negated: bool = False) -> Text:
        """A product, what has few axes first."""
        return super()._product(tuple(sorted(self._flat(factors), key=lambda factor: len(self.axes(factor)))), negated)

    def _call(self, node: Node) -> str:
        args = [self.text(argument) for argument in node.args]
        if node.payload in _EXTREMA:
            return reduce(lambda left, right: f"{_EXTREMA[node.payload]}({left}, {right})", args)
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
            return reduce(lambda left, right: f"{_EXTREMA[node.payload]}({left}, {right})", map(self.integer, node.args)), ATOM
        if node.op == "call" and node.payload != "Mod":  # the floor of an integer
            return super()._integer(node.args[0])
        return super()._integer(node)

    # -- entries of arrays ----------------------------------------------------------------------------------------

    def _entry(self, node: Node) -> str:
        name = self.name(node.payload)
        found = self._slices(node.payload, node.args)
        if found is None:
            outer, self.target = self.target, self.axes(node)
            places = [self._position(node.payload, axis, place) for axis, place in enumerate(node.args)]
            self.target = outer
            return f"{name}[{', '.join(places)}]"
        slices, order = found
        while slices and slices[-1] == ":":
            slices.pop()
        return _transposed(f"{name}[{', '.join(slices)}]" if slices else name, order, self.axes(node))

    def _position(self, array: Any, axis: int, place: Node) -> str:
        """The text of an array position; outside of a dependent range, where all is masked, it is kept in the array."""
        written = self.integer(place)
        masked = any(index.extent.indices for index in place.indices)
        return f"np.clip({written}, 0, {self.name(array)}.shape[{axis}] - 1)" if masked else written

    def _slices(self, array: Any, places: Sequence[Node]) -> tuple[list[str], Axes] | None:
        """Positions as slices along distinct indices, and these; None where the positions have to be listed."""
        shape = self.statement.shape(array)
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
            graph = self.graph
            terms = (start, graph.mul(graph.const(step), index.extent), graph.const(1 - step))
            stop = graph.add(*(part for term in terms for part in (term.args if term.op == "add" else (term,))))
            whole = shape is not None and len(shape) == len(places) and self.statement.lowering.lower(shape[axis]) is stop
            first, last = "" if start is graph.zero else self.integer(start), "" if whole else self._at_least_zero(stop)
            written.append(f"{first}:{last}" + (f":{step}" if step > 1 else ""))
            order.append(index)
        return written, tuple(order)

    def _progression(self, place: Node) -> tuple[Index, int, Node] | None:
        """Return (k, a, b) where the place is a*k + b with a > 0 and k runs in a range of its own."""
        moving = [term for term in (place.args if place.op == "add" else (place,)) if term.indices]
        rest = self.graph.add(*(term for term in place.args if not term.indices)) if place.op == "add" else self.graph.zero
        if len(moving) != 1:
            return None
        step, term = self.graph.coefficient(moving[0])
        if term.op != "index" or term.payload.extent.indices or not isinstance(step, int) or step < 1:
            return None
        return term.payload, step, rest

    def _at_least_zero(self, stop: Node) -> str:
        """The end of a slice; one below zero would count from the back, while the loop is empty."""
        known = self.statement.reader().expression(stop).is_nonnegative
        return self.integer(stop) if known or stop.op == "symbol" else f"max({self.integer(stop)}, 0)"

    # -- reductions -----------------------------------------------------------------------------------------------

    def _reduction(self, node: Node) -> Text:
        body, index = node.args[0], node.payload
        factors = list(self._flat((body,)))
        if node.op == "sum" and len(factors) > 1:
            operands = self._operands(factors, self.axes(body))
            if len(operands) > 1:
                return _matmul(operands, index, self.axes(node)) or self._einsum(operands, self.axes(node))
        function, more = _FUNCTIONS[node.op]
        axes = self.axes(body)
        alone = axes == (index,) and body not in self.batched
        axis = "" if alone else f", axis={axes.index(index) - len(axes)}"
        return f"{function}({self._own(body)}{axis}{more})", ATOM

    def _operands(self, factors: Iterable[Node], axes: Axes) -> list[Operand]:
        """The factors under a sum; small ones with the same axes are multiplied first, and so are quotients."""
        groups: dict[Axes, list[Node]] = {}
        for factor in factors:
            groups.setdefault(self.axes(factor), []).append(factor)
        operands = []
        for own, members in groups.items():
            divided = any(m.op == "power" and (m.args[1].number or 0) < 0 and m not in self._variables for m in members)
            for part in [members] if len(own) < len(axes) or divided else [[member] for member in members]:
                outer, self.target = self.target, own
                written = self._product(tuple(part)) if len(part) > 1 else self._value(part[0])
                self.target = outer
                operands.append(Operand(written, own, any(member in self.batched for member in part)))
        return operands

    def _einsum(self, operands: Sequence[Operand], out: Axes) -> Text:
        letters: dict[Index, str] = {}
        for index in self._sorted(index for operand in operands for index in operand.axes):
            free = (letter for letter in (self._shown[index], *ascii_lowercase, *ascii_uppercase) if letter not in letters.values())
            letters[index] = next(letter for letter in free if len(letter) == 1 and letter.isascii() and letter.isalpha())
        labels = [("..." if operand.batched else "") + "".join(map(letters.__getitem__, operand.axes)) for operand in operands]
        dots = "..." if any(operand.batched for operand in operands) else ""
        result = dots + "".join(map(letters.__getitem__, out))
        texts = ", ".join(operand.text[0] for operand in operands)
        return f'np.einsum("{",".join(labels)}->{result}", {texts}{", optimize=True" if len(letters) > 2 else ""})', ATOM


@dataclass(frozen=True, slots=True)
class Operand:
    """One factor under a sum: its text, its axes, and whether axes of scalar arguments stand in front."""

    text: Text
    axes: Axes
    batched: bool


def _matmul(operands: Sequence[Operand], index: Index, out: Axes) -> Text | None:
    """A sum of two factors as a product of matrices or vectors, where it is one."""
    found: dict[int, str] = {}
    for left, right in (operands, operands[::-1]) if len(operands) == 2 else ():
        rows, columns = (tuple(other for other in operand.axes if other != index) for operand in (left, right))
        small = max(len(left.axes), len(right.axes)) <= 2 and index in left.axes and index in right.axes
        turned = left.axes != (*rows, index), right.axes != (index, *columns)
        # NumPy takes one axis for a vector, two for a matrix: a batch of vectors is good as the rows of a matrix only
        unfit = (left.batched and turned[0]) or (right.batched and (turned[1] or not columns or (left.batched and not rows)))
        if small and rows + columns == out and not unfit:
            texts = [_bracketed(o.text, ATOM) + ".T" if t else _bracketed(o.text, SIGN) for o, t in zip((left, right), turned, strict=True)]
            found.setdefault(sum(turned), " @ ".join(texts))
    return (found[min(found)], PRODUCT) if found else None


def _bracketed(text: Text, context: int) -> str:
    return f"({text[0]})" if text[1] < context else text[0]


def _shift(axes: Axes, target: Axes, batched: bool) -> str:
    """The index that gives an array the axes of the target, as far as broadcasting does not."""
    marks = [":" if index in axes else "None" for index in target]
    while marks and marks[0] == ("None" if not batched else ":"):
        del marks[0]
    if "None" not in marks:
        return ""
    return f"[{', '.join(['...', *marks] if batched else marks)}]"


def _transposed(written: str, axes: Axes, wanted: Axes) -> str:
    """An array with its last axes in another order."""
    if axes == wanted:
        return written
    letters = dict(zip(axes, ascii_lowercase, strict=False))
    before, after = ("".join(letters[index] for index in order) for order in (axes, wanted))
    return f'np.einsum("...{before}->...{after}", {written})'


_JUNCTIONS = {"all": " & ", "any": " | "}
_EXTREMA = {"max": "np.maximum", "min": "np.minimum"}
_FUNCTIONS = {"sum": ("np.sum", ""), "product": ("np.prod", ""), "maximum": ("np.max", ", initial=-np.inf")}


# -- helpers that generated code carries with it ----------------------------------------------------------------------


def exp_difference(a, b):  # type: ignore[no-untyped-def]
    """exp(a - b), with the rounding error of the subtraction corrected."""
    d = a - b
    t = d - a
    error = (a - (d - t)) - (b + t)
    return np.exp(d) * np.where((d > -745.2) & (d < 709.0), 1.0 + error, 1.0)


def centred(a, whole, log_share, share):  # type: ignore[no-untyped-def]
    """a - whole * share, exact also where the share is almost 1 (`log_share` is its logarithm)."""
    return np.where(a == 0.0, -whole * share, -(a * np.expm1(log_share) + share * (whole - a)))


_HELPERS: dict[str, Callable[..., Any]] = {"exp_difference": exp_difference, "centred": centred}
_UNTYPED = "  # type: ignore[no-untyped-def]"
