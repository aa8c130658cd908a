"""Reading the gradient of a matrix parameter back into matrix notation: ``2*X.T*(X*w - y)/n``, not components.

A node with one free index is a column vector, with two a matrix, without any a scalar. Products under sums are
contracted (`einsum`); what depends elementwise on one matrix alone becomes a function applied to it; the stable heads
become the row-wise functions that they came from. What has no such form is left as a matrix of its components.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagonalOf
from sympy.matrices.expressions.special import OneMatrix, ZeroMatrix

from symdescent.differentiate import Scatter, match_index
from symdescent.elementary.functions import RowLogSumExp, RowSoftmax
from symdescent.graph import REDUCTIONS, Index, Node, reachable
from symdescent.notation.einsum import (
    Labelled,
    NotMatrixError,
    contract,
    diagonal,
    gather,
    plainer,
    plus,
    times,
    transpose,
)
from symdescent.notation.pointwise import is_curved, mask, single_argument, substitute, without_constants
from symdescent.notation.reading import Reader


def raise_gradient(reader: Reader, scatters: Sequence[Scatter], parameter: Any, shape: Sequence[Any]) -> sp.MatrixExpr:
    """Return the gradient with respect to a matrix parameter as a matrix expression of its shape.

    What cannot be written with matrix operations is added as a `FunctionMatrix` of components. A value that is
    masked, ``[c] a``, reads as a step function times a where c and a depend on different matrices: so the reading is
    undefined, not 0, where a is undefined and c does not hold.
    """
    rows, columns = map(sp.sympify, shape)
    raiser = _Raiser(reader)
    terms, single, left = [], [], []
    for scatter in scatters:
        if scatter.parameter != parameter:
            continue
        if rows.is_Integer and columns.is_Integer and all(place.number is not None for place in scatter.places):
            single.append(scatter)
            continue
        try:
            terms.append(raiser.scattered(scatter, rows, columns))
        except (NotMatrixError, RecursionError):  # SymPy cannot walk a matrix expression that is so deep either
            left.append(scatter)
    if single:
        terms.append(raiser.entries(single, rows, columns))
    if left:
        terms.append(_components(reader, left, rows, columns))
    return gather(terms) if terms else ZeroMatrix(rows, columns)


def _components(reader: Reader, scatters: Sequence[Scatter], rows: sp.Expr, columns: sp.Expr) -> sp.FunctionMatrix:
    """The components as a function of their indices."""
    keys = [sp.Symbol(name, integer=True) for name in _unused("ij", reader.taken)]
    component = reader.component(scatters, keys[: len(scatters[0].places)], (rows, columns))
    if len(scatters[0].places) == 1:  # the column's index must not be bound inside: a Lambda would replace it there
        keys[1] = sp.Symbol(_unused("ji", [*reader.taken, *map(str, component.atoms(sp.Symbol))])[0], integer=True)
    return sp.FunctionMatrix(rows, columns, sp.Lambda(tuple(keys), component))


def raise_value(reader: Reader, node: Node, row: Index | None = None, column: Index | None = None) -> Any:
    """Return a node as a matrix over (row, column), as a vector, or as a scalar; None if it has no such form."""
    try:
        return _Raiser(reader).contraction([node], (), row, column)
    except NotMatrixError:
        return None


class _Raiser:
    """Turns the nodes of one graph into labelled matrices."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self.graph = reader, reader.graph
        self.variables = [sp.Symbol(name, real=True) for name in _unused("tzuxs", reader.taken)]
        self._matrices: dict[Node, Labelled] = {}

    # -- places and scalars ----------------------------------------------------------------------------------------

    def scattered(self, scatter: Scatter, rows: sp.Expr, columns: sp.Expr) -> Any:
        """What one scatter adds to the gradient; ``I[:, a:b] M`` puts the rows of M at a, …, b - 1."""
        short = {index: self.graph.zero for index in scatter.indices if index.extent.number == 1}
        places = [self.graph.replace(place, short) for place in scatter.places]
        axes = [self.axis(place, length) for place, length in zip(places, (rows, columns), strict=False)]
        row, column = axes[0][0], axes[1][0] if len(axes) > 1 else None
        body, summed = self.graph.replace(scatter.contribution, short), scatter.indices - {row, column, *short}
        if row is not None and row == column:
            value = diagonal(self.contraction([body], summed, row, None))
        else:
            value = self.contraction([body], summed, row, column)
        if row is None and column is None:
            value = times(value, OneMatrix(1, 1))
        parts = [part for _, part in axes] + [None]
        if parts[0] is not None:
            value = times(1, sp.Identity(rows)[:, parts[0]], value)
        return value if parts[1] is None else times(1, value, sp.Identity(columns)[parts[1], :])

    def entries(self, scatters: Iterable[Scatter], rows: sp.Integer, columns: sp.Integer) -> Any:
        """What is added to single entries, as a matrix written out."""
        matrix = sp.zeros(rows, columns)
        for scatter in scatters:
            row, column = [*(place.number for place in scatter.places), 0][:2]
            matrix[row, column] += self.contraction([scatter.contribution], scatter.indices, None, None)
        return matrix.as_immutable()

    def axis(self, place: Node, length: sp.Expr) -> tuple[Index | None, slice | None]:
        """The index that runs along an axis, and the part of the axis that it covers, if not the whole."""
        parts = place.args if place.op == "add" else (place,)
        indices = [part.payload for part in parts if part.op == "index"]
        rest = [part for part in parts if part.op != "index"]
        if len(indices) > 1 or any(part.indices or part.op == "load" for part in rest):
            raise NotMatrixError("an index that is computed")
        start = sp.Add(*(self.scalar(part) for part in rest))
        count = self.length(indices[0]) if indices else sp.S.One
        whole = sp.expand(start) == 0 and sp.expand(count - length) == 0
        return (indices[0] if indices else None), (None if whole else slice(start, start + count))

    def length(self, index: Any) -> sp.Expr:
        """The extent of an index."""
        if index.extent.indices:
            raise NotMatrixError("a range that depends on another index")
        return self.reader.expression(index.extent, {})

    def scalar(self, root: Node) -> sp.Expr:
        """A node without indices, its sums written as traces where that is possible."""
        return self.reader.expression(self.opened(root), {})

    def opened(self, root: Node) -> Node:
        """A node without indices, with its sums replaced by what they read as."""
        value: dict[Node, Node] = {}
        for node in reachable([root], lambda node: node.op not in REDUCTIONS):
            if node.op in REDUCTIONS:
                raised = self.reduced(node)
                value[node] = node if raised is None else self.graph.symbol(raised)
                continue
            args = [value[argument] for argument in node.args]
            if node.op == "call" and node.payload == "softmax" and args[1].op != "call":
                value[node] = self.graph.call("exp", self.graph.sub(*args))
            else:
                value[node] = node if tuple(args) == node.args else self.graph.rebuild(node, args)
        return value[root]

    def reduced(self, node: Node) -> sp.Expr | None:
        """A reduction to a scalar in matrix notation, if it has one."""
        try:
            if node.op == "sum":
                return self.contraction([node.args[0]], (node.payload,), None, None)
            return sp.Trace(self.draft(node, None, None)) if node.op == "logsumexp" else None
        except NotMatrixError:
            return None

    # -- matrices --------------------------------------------------------------------------------------------------

    def labelled(self, node: Node) -> Labelled:
        """A node with one or two free indices as a matrix, in the orientation that needs fewer transposes."""
        found = self._matrices.get(node)
        if found is None:
            whole = self.joined(node) if node.op == "add" else node
            if node.op == "select" and node.args[1:] == (self.graph.one, self.graph.zero):
                whole = mask(self.graph, node.args[0])
            found = self.load(node) if node.op == "load" else self.fused(whole) or self.drafted(whole)
            self._matrices[node] = found
        return found

    def drafted(self, node: Node) -> Labelled:
        """The better of the two orientations."""
        labels = tuple(sorted(node.indices, key=_order))
        if len(labels) > 2:
            raise NotMatrixError("more than two indices")
        if len(labels) == 1:
            return Labelled(self.draft(node, labels[0], None), labels)
        matrix, other = self.draft(node, *labels), self.draft(node, *reversed(labels))
        return Labelled(matrix, labels) if plainer(matrix, other) is matrix else Labelled(other, labels[::-1])

    def draft(self, node: Node, row: Index | None, column: Index | None) -> Any:
        """A node as a matrix over exactly its free indices (row, column)."""
        plain = self.plain(node)
        if plain is not node:
            return self.contraction([plain], (), row, column)
        if node.op == "add":
            return plus([self.contraction([term], (), row, column) for term in node.args])
        if node.op == "sum":
            return self.contraction([node.args[0]], (node.payload,), row, column)
        if node.op == "power":
            base, exponent = node.args
            power = self.contraction([exponent], (), row, column) if exponent.indices else self.scalar(exponent)
            return sp.HadamardPower(self.contraction([base], (), row, column), power)
        if node.op == "mul" or (node.op == "select" and node.args[2] is self.graph.zero):
            return self.contraction([node], (), row, column)
        if node.op == "logsumexp" or (node.op == "call" and node.payload == "softmax"):  # over an index
            return self.row_wise(node, row, column)
        raise NotMatrixError(node.op)

    def load(self, node: Node) -> Labelled:
        """An array, its transpose, or a part of it."""
        base = self.reader.arrays.get(node.payload, node.payload)
        if not isinstance(base, sp.MatrixSymbol) or len(node.args) not in ((1, 2) if base.shape[1] == 1 else (2,)):
            raise NotMatrixError("not a matrix")
        axes = [self.axis(place, length) for place, length in zip(node.args, base.shape, strict=False)]
        labels = tuple(index for index, _ in axes if index is not None)
        parts = [part for _, part in axes] + [None] * (2 - len(axes))
        matrix: Any = base
        if any(part is not None for part in parts):
            matrix = base[tuple(part or slice(0, length) for part, length in zip(parts, base.shape, strict=True))]
        if len(set(labels)) < len(labels):
            return Labelled(DiagonalOf(matrix), labels[:1])
        return Labelled(matrix if len(labels) == 2 or axes[0][0] is not None else transpose(matrix), labels)

    def row_wise(self, node: Node, row: Index | None, column: Index | None) -> Any:
        """softmax and logsumexp of the rows of a matrix, or of a column vector."""
        total = node if node.op == "logsumexp" else node.args[1]
        body, index, rows = total.args[0], total.payload, tuple(total.indices)
        if len(rows) > 1 or body.indices != {index, *rows} or (rows and self.length(index) == 1):
            raise NotMatrixError("the entries that are summed are not a row")
        inside = self.contraction([body], (), rows[0] if rows else index, index if rows else None)
        if node is total:
            return Labelled(RowLogSumExp(inside), rows).at(row, column) if rows else RowLogSumExp(inside)
        place = match_index(self.graph, body, node.args[0], index)
        if place is None or place.op != "index" or place.payload.extent is not index.extent:
            return self.contraction([self.graph.call("exp", self.graph.sub(*node.args))], (), row, column)
        if place.payload in rows:
            return Labelled(DiagonalOf(RowSoftmax(inside)), rows).at(row, column)
        return Labelled(RowSoftmax(inside), (*rows, place.payload)).at(row, column)

    def fused(self, node: Node) -> Labelled | None:
        """What depends elementwise on one matrix alone, as a function applied to that matrix."""
        found = single_argument(self.graph, node)
        if found is None:
            return None
        inner, curved = found
        arrays = [argument for argument in node.args if argument.indices]
        mixed = len(arrays) < len(node.args) or any(term.op == "select" for term in arrays)
        if (node.op == "add" and not (curved and mixed)) or (node.op == "mul" and not all(map(is_curved, arrays))):
            return None
        if len(arrays) == 1 and self.graph.coefficient(arrays[0])[1] is inner:
            inner = arrays[0]
        matrix, labels = (part := self.labelled(inner)).matrix, part.labels
        if node.op == "power" and inner is node.args[0]:
            return Labelled(sp.HadamardPower(matrix, self.scalar(node.args[1])), labels)
        for variable in self.variables:  # one that no function inside binds
            opened = self.opened(substitute(self.graph, node, inner, self.graph.symbol(variable)))
            symbols = [part.payload for part in reachable([opened]) if part.op == "symbol" and part.payload != variable]
            if not any(symbol.has(variable) for symbol in symbols):
                break
        else:
            raise NotMatrixError("functions within functions")
        factor, body = without_constants(self.reader.expression(opened, {}), variable)
        if matrix.shape == (1, 1):
            return Labelled(times(factor * body.xreplace({variable: sp.Trace(matrix)}), OneMatrix(1, 1)), labels)
        return Labelled(times(factor, ElementwiseApplyFunction(sp.Lambda(variable, body), matrix)), labels)

    def plain(self, node: Node) -> Node:
        """The same in terms of sums and products, where that is how to write it with matrices."""
        graph = self.graph
        if node.op == "select" and node.args[2] is not graph.zero:
            condition, then, otherwise = node.args
            if any(branch.number is not None and branch.number != branch.number for branch in (then, otherwise)):
                raise NotMatrixError("undefined where the condition does not hold")
            return graph.add(graph.mul(mask(graph, condition), then),
                             graph.mul(mask(graph, graph.negation(condition)), otherwise))  # fmt: skip
        if node.op != "call":
            return node
        if node.payload == "log_softmax":
            return graph.sub(*node.args)
        if node.payload == "softmax" and node.args[1].op != "logsumexp":
            return graph.call("exp", graph.sub(*node.args))
        if node.payload == "logsumexp":
            return graph.call("log", graph.add(*(graph.call("exp", argument) for argument in node.args)))
        if node.payload == "centred":  # a - A p
            return graph.sub(node.args[0], graph.mul(node.args[1], node.args[3]))
        if node.payload == "others":
            return graph.mul(node.args[1], graph.power(node.args[2], graph.const(-1)))
        if node.payload in ("max", "min"):
            first, rest = node.args[0], node.args[1:]
            second = rest[0] if len(rest) == 1 else graph.call(node.payload, *rest)
            difference = graph.sub(second, first) if node.payload == "max" else graph.sub(first, second)
            ramp = graph.call("relu", difference)
            return graph.add(first, ramp) if node.payload == "max" else graph.sub(first, ramp)
        return node

    def joined(self, node: Node) -> Node:
        """A sum in which ``[c] a + [not c] b`` are the two pieces of one function, where that is elementwise."""
        masked = {term.args[0]: term for term in node.args if term.op == "select" and term.args[2] is self.graph.zero}
        for condition, term in masked.items():
            contrary = masked.get(self.graph.negation(condition))
            if contrary is not None:
                whole = self.graph.select(condition, term.args[1], contrary.args[1])
                if single_argument(self.graph, whole) is not None:
                    return self.graph.add(whole, *(other for other in node.args if other not in (term, contrary)))
        return node

    # -- products under sums -----------------------------------------------------------------------------------------

    def contraction(self, nodes: Iterable[Node], summed: Iterable[Any], row: Index | None, column: Index | None) -> Any:
        """``Σ_summed Π nodes`` as a matrix over (row, column); without either, as a scalar."""
        short = {index: self.graph.zero for index in summed if index.extent.number == 1}
        summed = frozenset(summed) - frozenset(short)
        factors, equalities = self.factors([self.graph.replace(node, short) for node in nodes])
        if equalities:
            return self.on_diagonal(factors, equalities, summed, row, column)
        arrays = [factor for factor in factors if factor.indices]
        wide = [factor for factor in arrays if len(factor.indices) > 2]
        if not wide and summed and len(arrays) == 1 and arrays[0].op in ("add", "sum"):
            wide = arrays
        if wide:
            factors.remove(wide[0])
            return self.widened(wide[0], factors, summed, row, column)
        coefficient = sp.Mul(*(self.scalar(factor) for factor in factors if not factor.indices))
        return contract(coefficient, self.grouped(arrays), sorted(summed, key=_order), row, column, self.length)

    def factors(self, nodes: Iterable[Node]) -> tuple[list[Node], list[tuple[Index, Index]]]:
        """The factors of a product of products, squares and masks; and the pairs of indices that it sets equal."""
        pending, factors, equalities = list(nodes), [], []
        while pending:
            node = pending.pop()
            if node.op == "mul":
                pending.extend(node.args)
            elif node.op == "power" and node.args[1].number == 2 and node.indices:
                pending.extend([node.args[0]] * 2)
            elif node.op == "select" and node.args[2] is self.graph.zero and node.indices and not self.fusible(node):
                pending.append(node.args[1])
                for condition in node.args[0].args if node.args[0].op == "all" else (node.args[0],):
                    indices = [side.payload for side in condition.args if side.op == "index"]
                    if condition.op == "equal" and len(indices) == 2 and indices[0].extent is indices[1].extent:
                        equalities.append((indices[0], indices[1]))
                    else:
                        factors.append(self.graph.select(condition, self.graph.one, self.graph.zero))
            else:
                factors.append(node)
        return sorted(factors, key=lambda factor: factor.age), equalities

    def fusible(self, node: Node) -> bool:
        """Whether a selection becomes one piecewise function of one matrix."""
        both = node.args[0].indices and node.args[1].indices
        return bool(both) and len(node.indices) <= 2 and single_argument(self.graph, node) is not None

    def on_diagonal(self, factors: list[Node], equalities: list[tuple[Index, Index]], summed: frozenset[Any],
                    row: Index | None, column: Index | None) -> Any:  # fmt: skip
        """A product that vanishes unless two indices are equal."""
        graph = self.graph
        (kept, gone), *others = equalities
        for first, second in others:
            same = graph.relation("equal", graph.index(first), graph.index(second))
            factors.append(graph.select(same, graph.one, graph.zero))
        if gone not in summed:
            kept, gone = gone, kept
        moved = [graph.replace(factor, {gone: graph.index(kept)}) for factor in factors]
        if gone in summed:
            return self.contraction(moved, summed - {gone}, row, column)
        return diagonal(self.contraction(moved, summed, kept, None))

    def widened(self, wide: Node, rest: list[Node], summed: frozenset[Any],
                row: Index | None, column: Index | None) -> Any:  # fmt: skip
        """Multiply out a factor that is no matrix by itself: a sum over one more index, or of several terms."""
        if wide.op == "sum":
            fresh = self.graph.fresh_index(wide.payload.extent)
            body = self.graph.replace(wide.args[0], {wide.payload: self.graph.index(fresh)})
            return self.contraction([*rest, body], summed | {fresh}, row, column)
        if wide.op == "call" and wide.payload == "exp" and wide.args[0].op == "add":
            powers = [self.graph.call("exp", term) for term in wide.args[0].args]
            return self.contraction([*rest, *powers], summed, row, column)
        plain = self.graph.call("exp", self.graph.sub(*wide.args)) if wide.payload == "softmax" else self.plain(wide)
        if plain is not wide:
            return self.contraction([*rest, plain], summed, row, column)
        if wide.op != "add":
            raise NotMatrixError("more than two indices")
        terms = [self.contraction([*rest, term], summed, row, column) for term in wide.args]
        return sp.Add(*terms) if row is None and column is None else gather(terms)

    def grouped(self, factors: list[Node]) -> list[Labelled]:
        """The factors as matrices; those that are functions of the same matrix become one function of it."""
        groups: dict[Any, list[Node]] = {}
        for factor in factors:
            argument = single_argument(self.graph, factor) if is_curved(factor) else None
            groups.setdefault(argument[0] if argument is not None else (factor,), []).append(factor)
        found: list[Labelled] = []
        for group in groups.values():
            fused = self.fused(self.graph.mul(*group)) if len(set(group)) > 1 else None
            found.extend([fused] if fused is not None else map(self.labelled, group))
        return found


def _order(index: Any) -> tuple[int, int]:
    return index.number, index.extent.age


def _unused(letters: str, taken: Iterable[str]) -> list[str]:
    """Names that are not taken, as many as there are letters."""
    numbered = (f"{letter}_{number}" for number in range(1, len(set(taken)) + 2) for letter in letters)
    return [name for name in (*letters, *numbered) if name not in taken][: len(letters)]
