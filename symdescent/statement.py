"""What was stated: a loss validated, its symbols sorted into roles, and its graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp
from sympy.logic.boolalg import Boolean
from sympy.matrices.expressions.matexpr import MatrixElement

from symdescent.differentiate import KINKS, Scatter, is_parameter, reverse
from symdescent.errors import StatementError
from symdescent.graph import REDUCTIONS, Graph, Index, Node, reachable
from symdescent.notation.batches import COUNT, FIRST, ORDER, Batch, over_batch
from symdescent.notation.lower import Lowering
from symdescent.notation.reading import Reader

ARRAYS = (sp.IndexedBase, sp.MatrixSymbol)


@dataclass(frozen=True, slots=True)
class Statement:
    """A loss as a graph, with the role of each symbol.

    `extents` are the integer symbols that bounds, positions or shapes are made of (they are read off the shapes of
    arrays); `constants` everything else that is given with the data; `arrays` the per-sample symbols as arrays over
    the samples.
    """

    expression: sp.Expr
    parameters: tuple[Any, ...]
    samples: tuple[Any, ...]
    constants: tuple[Any, ...]
    extents: frozenset[sp.Symbol]
    arrays: dict[Any, Any]
    sample_index: Index | None
    sample_count: sp.Symbol | None
    reduction: str
    first_index: int
    kinks: str
    graph: Graph
    root: Node
    lowering: Lowering
    batch: Batch | None = None

    def fresh(self) -> Statement:
        """The same statement, lowered into a new graph."""
        anew = _restate(*self._stated)
        return anew.over_batch() if self.batch else anew

    def over_batch(self) -> Statement:
        """The statement of the loss over a batch of its samples, whose order and bounds are data. See `Batch`.

        Raises `UnsupportedError` for a loss that is no sum over samples.
        """
        batch = over_batch(self.graph, self.root, self.lowering, self.parameters, self.sample_index)
        return replace(
            self,
            root=batch.root,
            batch=batch,
            constants=(*self.constants, ORDER),
            extents=self.extents | {FIRST, COUNT},
        )

    @property
    def _stated(self) -> tuple[Any, ...]:
        return self.expression, self.parameters, self.samples, self.reduction, self.first_index, self.kinks

    def __reduce__(self) -> tuple[Any, ...]:
        return _restate, self._stated

    def scatters(self, exact_products: bool = False) -> list[Scatter]:
        """The gradient of all parameters, by one reverse sweep."""
        return reverse(self.graph, self.root, self.parameters, self.kinks, exact_products)

    def reader(self) -> Reader:
        """A reader of the graph in the user's symbols."""
        taken = [name_of(thing) for thing in (*self.parameters, *self.samples, *self.constants, *self.extents)]
        return Reader(self.graph, self.lowering, taken, self.arrays)

    def shape(self, thing: Any) -> tuple[sp.Expr, ...] | None:
        """The declared shape of an array as data come for it, () for a scalar, None where none was declared."""
        base = self.arrays.get(thing, thing)
        if isinstance(base, sp.Symbol):
            return ()
        shape = base.shape
        is_column = base is thing or isinstance(thing, sp.Symbol)  # the values of a scalar for all samples
        if isinstance(base, sp.MatrixSymbol) and is_column and shape[1] == 1:
            return (shape[0],)
        return None if shape is None else tuple(map(sp.sympify, shape))


def _restate(expression: Any, parameters: Any, samples: Any, reduction: str, first_index: int, kinks: str) -> Statement:
    return state(expression, parameters, samples=samples, reduction=reduction, first_index=first_index, kinks=kinks)


def name_of(thing: Any) -> str:
    """The printed name of a symbol or array."""
    return str(getattr(thing, "name", thing))


def state(
    expression: Any,
    parameters: Any = None,
    *,
    samples: Any = None,
    reduction: str = "mean",
    first_index: int = 0,
    kinks: str = "min-norm",
) -> Statement:
    """Validate a statement and lower it."""
    _check_options(reduction, first_index, kinks)
    expression = _scalar_expression(expression)
    sampled = _listed(samples)
    for sample in sampled:
        _check_kind(sample, "sample")
    graph = Graph()
    index = count = None
    if sampled:
        count = _unused_symbol(expression, sampled)
        index = graph.fresh_index(graph.symbol(count))
    lowering = Lowering(graph, dict.fromkeys(sampled, index) if index else {}, first_index)
    root = lowering.lower(expression)
    if index is not None:
        root, index = _over_samples(lowering, root, index, reduction, sampled)
    present = _leaves(root) | lowering.integers
    _check_bound(present, lowering)
    extents = _extents(lowering, present)
    chosen = _parameters(parameters, present, sampled, extents, count)
    _check_names([*present, *chosen])
    _check_used(chosen, root, present, lowering)
    for sample in sampled:
        if sample not in present:
            raise StatementError(f"the loss does not use the sample {sample}{_hint(sample, present)}")
    constants = tuple(sorted(present - {*chosen, *sampled, count}, key=name_of))
    as_matrices = any(isinstance(parameter, sp.MatrixSymbol) for parameter in chosen)
    arrays = {sample: _stacked(sample, count, as_matrices) for sample in sampled}
    return Statement(
        expression,
        chosen,
        sampled,
        constants,
        frozenset(extents),
        arrays,
        index,
        count,
        reduction,
        first_index,
        kinks,
        graph,
        root,
        lowering,
    )


# -- the expression ---------------------------------------------------------------------------------------------------


def _scalar_expression(expression: Any) -> Any:
    if isinstance(expression, str):
        raise StatementError(f"the loss is the text {expression[:40]!r}: state it as a SymPy expression")
    try:
        expression = sp.sympify(expression)
    except sp.SympifyError as error:
        raise StatementError(f"the loss {expression!r} is no SymPy expression: {error}") from error
    if isinstance(expression, (Boolean, bool)) and not isinstance(expression, sp.Symbol):
        hint = "; for an equation a = b, state the loss (a - b)**2" if isinstance(expression, sp.Eq) else ""
        raise StatementError(f"the loss {expression} is a condition, not a number{hint}")
    if getattr(expression, "is_Matrix", False):
        if tuple(expression.shape) != (1, 1):
            rows, columns = expression.shape
            raise StatementError(
                f"the loss {expression} is a {rows}x{columns} matrix: a loss is one number; "
                "take v.T*v, Trace(A) or a sum over the entries"
            )
        return expression[0, 0] if isinstance(expression, sp.MatrixBase) else expression
    if not isinstance(expression, sp.Expr):
        kind = type(expression).__name__
        raise StatementError(f"the loss is a {kind}, not an expression: reduce it to one number, for instance to a sum")
    return expression


def _check_options(reduction: str, first_index: int, kinks: str) -> None:
    for name, value, allowed in (
        ("reduction", reduction, ("mean", "sum")),
        ("first_index", first_index, (0, 1)),
        ("kinks", kinks, KINKS),
    ):
        if value not in allowed:
            raise StatementError(f"{name}={value!r} is not one of {', '.join(map(repr, allowed))}")


def _over_samples(
    lowering: Lowering, root: Node, index: Index, reduction: str, samples: Sequence[Any]
) -> tuple[Node, Index]:
    """The mean or the sum over the samples; of the mean, terms without samples are no part."""
    graph = lowering.graph
    if index not in root.indices:
        raise StatementError(f"the loss does not use the samples {', '.join(map(name_of, samples))}")
    terms = root.args if root.op == "add" else (root,)
    inside = graph.add(*(term for term in terms if index in term.indices))
    outside = graph.add(*(term for term in terms if index not in term.indices))
    total = lowering.reduce("sum", inside, index, sp.Symbol("i", integer=True), sp.Integer(lowering.first_index))
    if reduction == "mean":
        total = graph.mul(total, graph.power(index.extent, graph.const(-1)))
    else:
        outside = graph.mul(outside, index.extent)
    found = next(
        node.payload for node in reachable([total]) if node.op == "sum" and node.payload.extent is index.extent
    )
    return graph.add(total, outside), found


# -- the symbols ------------------------------------------------------------------------------------------------------


def _listed(things: Any) -> tuple[Any, ...]:
    if things is None:
        return ()
    if isinstance(things, (*ARRAYS, sp.Basic, str)) and not isinstance(things, sp.Tuple):
        return (things,)
    return tuple(things) if isinstance(things, Iterable) else (things,)


def _check_kind(thing: Any, role: str) -> None:
    """Parameters and samples are symbols or whole arrays."""
    if isinstance(thing, (sp.Indexed, MatrixElement)):
        whole = thing.base if isinstance(thing, sp.Indexed) else thing.parent
        raise StatementError(f"the {role} {thing} is one entry of {whole}: make the whole array {whole} the {role}")
    if isinstance(thing, (sp.Symbol, *ARRAYS)) and not isinstance(thing, sp.Idx):
        if not name_of(thing).strip():
            raise StatementError(f"a {role} has an empty name: give the symbol a name")
        return
    kind = (
        "a number"
        if getattr(thing, "is_number", False) or isinstance(thing, (int, float))
        else f"a {type(thing).__name__}"
    )
    raise StatementError(f"the {role} {thing!r} is {kind}: a {role} is a Symbol, an IndexedBase or a MatrixSymbol")


def _parameters(
    given: Any, present: set[Any], samples: Sequence[Any], extents: set[Any], count: Any
) -> tuple[Any, ...]:
    candidates = {thing for thing in present if thing not in samples and thing not in extents and thing != count}
    if given is None:
        arrays = sorted(name_of(thing) for thing in candidates if isinstance(thing, ARRAYS))
        if arrays:
            raise StatementError(
                f"which of {', '.join(sorted(map(name_of, candidates)))} are parameters? In a loss with arrays, name "
                f"them: Loss(expression, {arrays[0]})"
            )
        if not candidates:
            raise StatementError("the loss contains no free symbol: there is nothing to differentiate by")
        return tuple(sorted(candidates, key=name_of))
    chosen: dict[Any, None] = {}
    for thing in _listed(given):
        if isinstance(thing, str):
            named = [candidate for candidate in present if name_of(candidate) == thing]
            if len(named) != 1:
                raise StatementError(
                    f"the loss contains no symbol named {thing!r}; it has {', '.join(sorted(map(name_of, candidates)))}"
                )
            thing = named[0]
        _check_kind(thing, "parameter")
        if thing in samples:
            raise StatementError(f"{thing} is given both as a parameter and as a sample")
        if thing in extents:
            raise StatementError(
                f"{thing} is the length of an array or the bound of a sum, so that it cannot be a parameter"
            )
        if thing in chosen:
            raise StatementError(f"the parameter {thing} is given twice")
        if isinstance(thing, sp.Symbol) and thing.is_integer:
            raise StatementError(f"the parameter {thing} is declared an integer: descent needs a real symbol")
        chosen[thing] = None
    if not chosen:
        raise StatementError("there is no parameter: name the symbols to differentiate by")
    return tuple(chosen)


def _check_used(parameters: Sequence[Any], root: Node, present: set[Any], lowering: Lowering) -> None:
    wanted = set(parameters)
    used = {node.payload for node in reachable([root]) if is_parameter(node, wanted)}
    for parameter in parameters:
        if parameter in lowering.index_arrays:
            raise StatementError(f"the parameter {parameter} is used as an index: positions cannot be differentiated")
        if parameter not in used:
            raise StatementError(f"the loss does not depend on the parameter {parameter}{_hint(parameter, present)}")


def _hint(thing: Any, present: Iterable[Any]) -> str:
    """Point to a symbol of the same name that the statement uses instead."""
    for other in present:
        if name_of(other) == name_of(thing):
            if type(other) is type(thing):
                return f": it uses another symbol named {other}, which was declared with other assumptions"
            return f": it uses {other} as {_article(other)}, not as {_article(thing)}"
    used = ", ".join(sorted(map(name_of, present)))
    return f": it uses {used}" if used else ""


def _article(thing: Any) -> str:
    name = type(thing).__name__
    return f"an {name}" if name[0] in "AEIOU" else f"a {name}"


def _check_names(things: Iterable[Any]) -> None:
    """Data are keyed by name: one name, one symbol."""
    seen: dict[str, Any] = {}
    for thing in things:
        if not name_of(thing).strip():
            raise StatementError("a symbol of the loss has an empty name: give it a name")
        other = seen.setdefault(name_of(thing), thing)
        if other == thing:
            continue
        if type(other) is type(thing):
            raise StatementError(
                f"two different symbols are both named {name_of(thing)} (they differ in their assumptions or shape): "
                "create the symbol once and use it everywhere"
            )
        raise StatementError(f"{name_of(thing)} names both {_article(other)} and {_article(thing)}: rename one of them")


def _leaves(root: Node) -> set[Any]:
    """Every symbol and array of the graph, those in the ranges of its indices included."""
    roots, found = [root], set()
    for node in reachable([root]):
        if node.op in REDUCTIONS:
            roots.append(node.payload.extent)
    for node in reachable(roots):
        if node.op in ("symbol", "load"):
            found.add(node.payload)
    for thing in list(found):
        for length in getattr(thing, "shape", None) or ():
            found |= sp.sympify(length).free_symbols
    return found


def _check_bound(present: set[Any], lowering: Lowering) -> None:
    """A dummy that also occurs outside of its sum is a mistake, in the statement or of SymPy's rewriting."""
    for thing in present & lowering.bound:
        raise StatementError(
            f"{thing} is the index of a sum, but also occurs outside of that sum: use another symbol for one of the two"
        )


def _extents(lowering: Lowering, present: set[Any]) -> set[Any]:
    """The integer symbols: those of bounds, of array positions, of declared shapes."""
    extents = set(lowering.integers)
    for thing in present:
        for length in getattr(thing, "shape", None) or ():
            extents |= sp.sympify(length).free_symbols
    return extents


def _unused_symbol(expression: Any, samples: Sequence[Any]) -> sp.Symbol:
    names = {part.name for part in sp.preorder_traversal(expression) if isinstance(part, (sp.Symbol, *ARRAYS))}
    names |= {name_of(sample) for sample in samples}
    name = next(name for name in ("n", "N", "m", "M", "n_samples") if name not in names)
    return sp.Symbol(name, integer=True, positive=True)


def _stacked(sample: Any, count: Any, as_matrices: bool) -> Any:
    """The array that holds a per-sample symbol's values for all samples: one row each."""
    if isinstance(sample, sp.Symbol):
        return sp.MatrixSymbol(sample.name, count, 1) if as_matrices else sp.IndexedBase(sample.name, shape=(count,))
    if isinstance(sample, sp.IndexedBase):
        return (
            sp.IndexedBase(sample.name, shape=(count, *sample.shape)) if sample.shape else sp.IndexedBase(sample.name)
        )
    rows, columns = sample.shape
    if columns == 1:
        return sp.MatrixSymbol(sample.name, count, rows)
    return sp.IndexedBase(sample.name, shape=(count, rows, columns))
