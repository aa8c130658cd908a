r"""Printing a loss and its gradient as plain NumPy: the graph of the compiled kernel, with axes instead of loops.

A node is an array with one axis for each index that it depends on, in one order for all nodes; in front of them stand
the axes :math:`B` of scalar arguments that are given as arrays,

.. math:: r_i = y_i - b \;\to\; \text{shape } B + (n,), \qquad \sum_j X_{ij} w_j \;\to\; \texttt{X @ w}.

Where the range of an index depends on another (j < i), its axis has the largest extent, and what is outside is masked.
"""

from __future__ import annotations

import hashlib
import inspect
import linecache
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
import sympy as sp

from symdescent.binding import Binder, as_array
from symdescent.codegen.array_printer import _NEUTRAL, WIDE, ArrayPrinter, Part, add_at, centred, exp_difference
from symdescent.codegen.expand import expand
from symdescent.codegen.names import Names
from symdescent.codegen.program import Direction, KernelWriter, Signature, second_order
from symdescent.codegen.schedule import loop_order
from symdescent.differentiate import Scatter
from symdescent.elementary import scalar
from symdescent.errors import DataError
from symdescent.graph import REDUCTIONS, Graph, Index, Node, reachable
from symdescent.statement import ARRAYS, Statement, name_of

# -- what the user gets -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ArrayFunctions:
    """A loss and its gradient as functions of arrays; unpacks as these two. `source` is the NumPy code that they run.

    The arguments are the parameters in their order, then the data sorted by name; both also go by name. Extents are
    read off the shapes of arrays (one that no shape tells is given by name). Scalars may be arrays whose shapes
    broadcast to B: `value` then has shape B, and `gradient` is an array of shape B + (shape of the parameter), or a
    tuple of these for several parameters. At a kink of a loss stated with ``kinks="raise"`` the gradient is NaN.
    """

    value: Callable[..., Any]
    gradient: Callable[..., Any]
    source: str

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return iter((self.value, self.gradient))


def lambdify(statement: Statement) -> ArrayFunctions:
    """Return value and gradient of a statement as NumPy functions that broadcast over the scalar arguments.

    The functions raise TypeError for missing or unknown arguments, `DataError` for what does not fit the statement.

    >>> from symdescent.statement import state
    >>> w, x, y = sp.symbols("w x y")
    >>> f, g = lambdify(state((y - w*x)**2, w, samples=[x, y]))
    >>> f(1.0, [1.0, 2.0], [2.0, 4.0])
    np.float64(2.5)
    >>> g(np.array([1.0, 3.0]), [1.0, 2.0], [2.0, 4.0])
    array([-5.,  5.])
    """
    writer = KernelWriter(statement)
    statement = writer.statement
    (value, gradient), helpers = array_functions(writer)
    imports = "import numpy as np\n"
    if "on." in value + gradient:
        imports += "\nfrom symdescent.elementary import numeric as on\n"
    title = f'"""Value and gradient of a loss, on arrays.{writer.stated()}"""\n\n{imports}'
    source = "\n\n".join([title, *map(helper_source, sorted(helpers)), value, gradient])
    filename = f"<symdescent {hashlib.sha256(source.encode()).hexdigest()[:16]}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {}
    exec(compile(source, filename, "exec"), namespace)
    arguments = _Arguments(statement, Binder(statement), writer.signature(Names(), outputs=False))
    return ArrayFunctions(arguments.before(namespace["value"]), arguments.before(namespace["gradient"]), source)


def array_functions(writer: KernelWriter, broadcasting: bool = True) -> tuple[tuple[str, str], set[str]]:
    """The sources of ``value`` and ``gradient`` on arrays, and the helpers that they call.

    With `broadcasting`, what is stated as a scalar may be given as an array.
    """
    statement = writer.statement
    root = _masked(statement.graph, expand(statement.graph, [statement.root]))[0]
    value, helpers = _function(writer, "value", "The loss.", {None: [((), root)]}, broadcasting)
    parts = _gradient_parts(statement, statement.scatters())
    gradient, more = _function(writer, "gradient", "The gradient, by parameter.", parts, broadcasting)
    return (value, gradient), helpers | more


def array_curvature(writer: KernelWriter) -> tuple[str, set[str]]:
    """The source of ``hessian_vector_product`` on arrays, and the helpers that it calls."""
    statement = writer.statement
    parts = _gradient_parts(statement, second_order(statement))
    directions = tuple(map(Direction, statement.parameters))
    said = "The Hessian times a direction, by parameter."
    return _function(writer, "hessian_vector_product", said, parts, False, directions)


@dataclass(frozen=True, slots=True)
class _Arguments:
    """The way from the arguments of a call to those of a generated function, and from its results to full shapes."""

    statement: Statement
    binder: Binder
    signature: Signature

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function behind checked arguments; extents, which arrays tell by their shapes, become optional."""
        names, parameters = self.signature.names, self.statement.parameters
        identifiers = {name_of(thing): name for thing, name in names.items()}
        shown = inspect.signature(function)
        shown = shown.replace(
            parameters=[p.replace(default=None) if p.kind is p.KEYWORD_ONLY else p for p in shown.parameters.values()]
        )

        @wraps(function)
        def call(*args: Any, **named: Any) -> Any:
            try:
                renamed = {identifiers.get(name, name): value for name, value in named.items()}
                if len(renamed) < len(named):
                    raise TypeError("an argument was given twice")
                given = shown.bind(*args, **renamed).arguments
            except TypeError as error:
                raise TypeError(f"{function.__name__}{shown}: {error}") from None
            values = {thing: self._value(thing, given[names[thing]]) for thing in (*parameters, *self.signature.data)}
            extents = self._extents(values, {s: given.get(names[s]) for s in self.signature.extents})
            try:
                batch = np.broadcast_shapes(*(v.shape for thing, v in values.items() if not self.binder.rank(thing)))
            except ValueError as error:
                raise DataError(f"the shapes of the scalar arguments do not broadcast: {error}") from error
            result = function(*values.values(), **{names[symbol]: number for symbol, number in extents.items()})
            if function.__name__ == "value":
                return np.array(np.broadcast_to(result, batch))[()]
            slopes = []
            for parameter, slope in zip(parameters, result if len(parameters) > 1 else (result,), strict=True):
                array = isinstance(parameter, ARRAYS)
                whole = np.array(np.broadcast_to(slope, batch + (values[parameter].shape if array else ())))
                slopes.append(whole.reshape(batch + np.shape(given[names[parameter]])) if array else whole[()])
            return tuple(slopes) if len(slopes) > 1 else slopes[0]

        call.__signature__ = shown  # type: ignore[attr-defined]
        return call

    def _value(self, thing: Any, value: Any) -> Any:
        array = self.binder.value(thing, {thing: value}, "data") if self.binder.rank(thing) else as_array(thing, value)
        return array if thing in self.statement.lowering.index_arrays else np.asarray(array, dtype=np.float64)

    def _extents(self, values: Mapping[Any, Any], given: Mapping[Any, Any]) -> dict[sp.Symbol, int]:
        arrays = {thing: value for thing, value in values.items() if self.binder.rank(thing)}
        extents = self.binder.extents(arrays, {symbol: n for symbol, n in given.items() if n is not None})
        self.binder.check_ranges(arrays, extents)
        for symbol, number in extents.items():
            if number == 0 and symbol.is_positive:
                raise DataError(f"{symbol} = 0, but {symbol} is declared positive: are there no data?")
        return extents


# -- functions --------------------------------------------------------------------------------------------------------


def _function(
    writer: KernelWriter,
    name: str,
    said: str,
    parts: Mapping[Any, Sequence[Part]],
    broadcasting: bool,
    directions: Sequence[Direction] = (),
) -> tuple[str, set[str]]:
    """The source of a function that returns one result for each key of `parts`, and the helpers that it calls."""
    statement, names = writer.statement, Names()
    signature = writer.signature(names, directions, outputs=False)
    left = iter(narrowed(statement.graph, [node for listed in parts.values() for _, node in listed]))
    parts = {key: [(places, next(left)) for places, _ in listed] for key, listed in parts.items()}
    ends = [node for listed in parts.values() for _, node in listed]
    things = (*statement.parameters, *directions, *writer.data)
    scalars = [signature.names[t] for t in things if not isinstance(t, ARRAYS) and t not in statement.samples]
    scalars = scalars if broadcasting else []
    order = loop_order([*ends, *(place for listed in parts.values() for places, _ in listed for place in places)])
    printer = ArrayPrinter(statement, names, scalars, frozenset(writer.extents), order)
    direct = [key for key, listed in parts.items() if key is not None and printer.is_direct(key, listed)]
    printer.compute(ends, {parts[key][0][1]: signature.gradients[key] for key in direct})
    results = [printer.result(key, signature.gradients.get(key, ""), listed) for key, listed in parts.items()]
    arguments = [signature.names[thing] for thing in things]
    if writer.extents:
        arguments += ["*", *(signature.names[symbol] for symbol in writer.extents)]
    lines = [f'"""{said}"""', *printer.lines, f"return {', '.join(results)}"]
    head = f'@np.errstate(all="ignore")\ndef {name}({", ".join(arguments)}):\n'
    return head + "".join(f"    {line}\n" for line in lines), printer.helpers


def _gradient_parts(statement: Statement, scatters: Sequence[Scatter]) -> dict[Any, list[Part]]:
    """For each parameter, what is added at which places: contributions, summed over the indices not in the places."""
    graph = statement.graph
    contributions = _masked(graph, expand(graph, [scatter.contribution for scatter in scatters]))
    totals: dict[Any, dict[tuple[Node, ...], list[Node]]] = {parameter: {} for parameter in statement.parameters}
    for scatter, node in zip(scatters, contributions, strict=True):
        ordered = sorted(scatter.indices, key=lambda index: (index.number, index.extent.age))
        masks = [_in_range(graph, index) for index in ordered if index.extent.indices]
        node = graph.select(graph.all(*masks), node, graph.zero)
        kept = {part.payload for part in reachable(scatter.places) if part.op == "index"}
        for index in (index for index in ordered if index not in kept):
            # in a rectangle the indices keep their names, because the places use them
            node = graph.regroup(Node("sum", (), index, frozenset(), 0), node) if masks else _sum(graph, node, index)
        totals[scatter.parameter].setdefault(scatter.places, []).append(node)
    return {p: [(places, graph.add(*nodes)) for places, nodes in found.items()] for p, found in totals.items()}


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
    """The roots with reductions over a dependent range done over a rectangle, neutral outside; sums are kept small."""
    done: dict[Node, Node] = {}
    for node in reachable(roots):
        args = [done[argument] for argument in node.args]
        if node.op in REDUCTIONS and node.payload.extent.indices:
            args = [graph.select(_in_range(graph, node.payload), args[0], graph.const(_NEUTRAL[node.op]))]
        elif node.op == "sum":
            done[node] = _sum(graph, args[0], node.payload)
            continue
        done[node] = graph.rebuild(node, args) if args != list(node.args) else node
    return [done[root] for root in roots]


def _in_range(graph: Graph, index: Index) -> Node:
    return graph.relation("less", graph.index(index), index.extent)


def narrowed(graph: Graph, roots: Sequence[Node]) -> list[Node]:
    """The roots with wide sums, products and extrema nested as trees, so that no line of code gets long."""
    done: dict[Node, Node] = {}
    for node in reachable(roots):
        args = [done[argument] for argument in node.args]
        while node.op in ("add", "mul", "call") and len(args) > WIDE:
            parts = [args[start : start + WIDE] for start in range(0, len(args), WIDE)]
            args = [graph.group(p) if node.op == "mul" or len(p) == 1 else graph.rebuild(node, p) for p in parts]
        if args == list(node.args):
            done[node] = node
        else:
            done[node] = graph.regroup(node, args[0]) if node.op in REDUCTIONS else graph.rebuild(node, args)
    return [done[root] for root in roots]


_ARRAY_HELPERS: dict[str, Any] = {"exp_difference": exp_difference, "centred": centred, "add_at": add_at}


def helper_source(name: str) -> str:
    """The source of a helper: its own version for arrays, else that for scalars, which has no branches."""
    function: Any = _ARRAY_HELPERS.get(name) or getattr(scalar, name)
    return inspect.getsource(function).replace("  # type: ignore[no-untyped-def]", "")
