"""Binding values to a statement: from what the user gives to checked arrays, scalars and extents.

Every shape is checked against every use before a kernel runs: an index that would leave its array is refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp

from symdescent.errors import DataError
from symdescent.graph import Index, Node, reachable
from symdescent.statement import ARRAYS, Statement, name_of


class ByParameter(dict[Any, Any]):
    """A dictionary keyed by parameters, in which their names find them too.

    >>> ByParameter({sp.Symbol("w"): 2.0})["w"]
    2.0
    """

    def __missing__(self, key: Any) -> Any:
        for parameter, value in self.items():
            if isinstance(key, str) and name_of(parameter) == key:
                return value
        raise KeyError(f"{key} is not a parameter of the loss; its parameters are {', '.join(map(name_of, self))}")


@dataclass(frozen=True, slots=True)
class Bound:
    """Checked values: scalars and arrays by symbol, extents as integers, and in what shapes parameters were given."""

    parameters: dict[Any, Any]
    data: dict[Any, Any]
    extents: dict[sp.Symbol, int]
    shapes: dict[Any, tuple[int, ...]] = field(default_factory=dict)

    def as_given(self, values: Mapping[Any, Any]) -> dict[Any, Any]:
        """Numbers for the parameters in the shapes that these came in: a column (d, 1) stays one."""
        return ByParameter(
            (p, np.reshape(v, self.shapes[p]) if np.ndim(v) and p in self.shapes else v) for p, v in values.items()
        )


@dataclass(slots=True)
class Binder:
    """Checks values against one statement; what the checks need of the graph is collected once."""

    statement: Statement
    loads: list[Node] = field(init=False)
    _symbols: list[sp.Symbol] = field(init=False)
    _known: dict[Any, dict[sp.Symbol, int]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        nodes = list(reachable([self.statement.root]))
        self.loads = [node for node in nodes if node.op == "load"]
        self._symbols = sorted(self.statement.extents, key=name_of)

    def bind(self, params: Any, data: Any = None) -> Bound:
        """Return checked values for all parameters, data and extents, or raise `DataError`."""
        statement = self.statement
        given = as_mapping(params, statement.parameters, "parameters")
        parameters = self.parameters(given)
        shapes = {thing: np.shape(look_up(thing, given)) for thing, value in parameters.items() if np.ndim(value)}
        data = {} if data is None else as_mapping(data, (), "data")
        wanted = (*statement.samples, *(thing for thing in statement.constants if thing not in statement.extents))
        values = {thing: self.value(thing, data, "data") for thing in wanted}
        extents = self._checked_extents({**parameters, **values}, data)
        return Bound(parameters, values, extents, shapes)

    def _checked_extents(self, values: Mapping[Any, Any], data: Mapping[Any, Any]) -> dict[sp.Symbol, int]:
        """The extents; shapes that were checked before need not be checked again, unless arrays serve as indices."""
        key = (*map(np.shape, values.values()), *(look_up(symbol, data) for symbol in self._symbols))
        if self.statement.lowering.index_arrays or key not in self._known:
            extents = self.extents(values, data)
            self.check_ranges(values, extents)
            if len(self._known) > 100:
                self._known.clear()
            self._known[key] = extents
        return self._known[key]

    def parameters(self, given: Mapping[Any, Any]) -> dict[Any, Any]:
        """A value for each parameter: a float, or a contiguous array of doubles."""
        return {thing: self.value(thing, given, "parameter") for thing in self.statement.parameters}

    def parameter_shapes(self, data: Any) -> dict[Any, tuple[int, ...]]:
        """The shapes of the parameters as the data determine them, or `DataError` where they do not."""
        statement = self.statement
        data = {} if data is None else as_mapping(data, (), "data")
        wanted = (*statement.samples, *(thing for thing in statement.constants if thing not in statement.extents))
        values = {thing: self.value(thing, data, "data") for thing in wanted}
        known = self.extents(values, data, partial=True)
        shapes: dict[Any, tuple[int, ...]] = {}
        for parameter in statement.parameters:
            declared = statement.shape(parameter) or (sp.nan,) * self.rank(parameter)
            lengths = [sp.sympify(sp.sympify(length).xreplace(known)) for length in declared]
            if not all(length.is_Integer for length in lengths):
                raise DataError(
                    f"the shape of {name_of(parameter)} cannot be read off the data: "
                    f"give start={{{name_of(parameter)!r}: …}}"
                )
            shapes[parameter] = tuple(map(int, lengths))
        return shapes

    # -- single values --------------------------------------------------------------------------------------------

    def value(self, thing: Any, given: Mapping[Any, Any], role: str) -> Any:
        """The checked value of one symbol: a float, or an array of the rank that the loss uses."""
        found = look_up(thing, given)
        if found is None:
            missing = "data=" if role == "data" else "the parameter values"
            names = ", ".join(str(key) for key in given) or "nothing"
            raise DataError(f"{name_of(thing)} has no value: give {{{name_of(thing)!r}: …}} in {missing} (got {names})")
        rank = self.rank(thing)
        if rank == 0:
            return as_scalar(thing, found)
        array = as_array(thing, found, integral=thing in self.statement.lowering.index_arrays)
        if isinstance(thing, sp.MatrixSymbol) and array.ndim != rank and 1 in map(_unit, thing.shape):
            array = self._reshaped(thing, array, rank)
        if array.ndim != rank:
            raise DataError(
                f"{name_of(thing)} has shape {array.shape}, but the loss uses it with "
                f"{_count(rank, 'index', 'indices')}"
            )
        if role == "parameter":
            return np.ascontiguousarray(array, dtype=np.float64)
        return array

    def rank(self, thing: Any) -> int:
        """How many axes the values of a symbol have."""
        if not isinstance(thing, ARRAYS) and thing not in self.statement.samples:
            return 0
        rank = self.statement.lowering.ranks.get(thing)
        if rank is None:
            rank = len(self.statement.shape(thing) or ())
        return rank + (thing in self.statement.samples)

    def _reshaped(self, thing: Any, array: Any, rank: int) -> Any:
        """A column vector may come as (n,) or (n, 1), a row as (n,) or (1, n)."""
        if array.ndim == 2 and rank == 1 and array.shape[1] == 1:
            return array[:, 0]
        if array.ndim == 1 and rank == 2 and thing not in self.statement.samples:
            return array[:, None] if _unit(thing.shape[1]) == 1 else array[None, :]
        return array

    # -- extents --------------------------------------------------------------------------------------------------

    def extents(
        self, values: Mapping[Any, Any], data: Mapping[Any, Any], partial: bool = False
    ) -> dict[sp.Symbol, int]:
        """Solve the extents from the shapes of the arrays."""
        statement = self.statement
        unknown = set(statement.extents) | ({statement.sample_count} if statement.sample_count else set())
        known: dict[sp.Symbol, int] = {}
        origin: dict[sp.Symbol, str] = {}
        for symbol in unknown:
            found = look_up(symbol, data)
            if found is not None:
                number = as_scalar(symbol, found)
                if not abs(number) < 2**53 or number != int(number):
                    raise DataError(f"{symbol} is a count, but was given as {number:g}: give a whole number")
                known[symbol], origin[symbol] = int(number), f"{symbol} = {int(number)} was given"
        equations = list(self._shape_equations(values))
        while True:
            progress = False
            for expression, length, said in equations:
                free = expression.free_symbols - set(known)
                if len(free) == 1:
                    (symbol,) = free
                    solution = _solve_linear(expression.xreplace(known), symbol, length)
                    if solution is not None:
                        known[symbol], origin[symbol], progress = solution, said, True
            if not progress:
                if unknown <= set(known):
                    break
                inferred = list(self._inferred_equations(values, known))
                if not inferred or inferred[0] in equations:
                    break
                equations.append(inferred[0])
        missing = sorted(map(name_of, unknown - set(known)))
        if missing and not partial:
            raise DataError(
                f"the value of {', '.join(missing)} cannot be read off the shape of any array: give it in data=, or "
                "declare the arrays' shapes, as in IndexedBase('x', shape=(n,))"
            )
        given = {symbol for symbol in unknown if look_up(symbol, data) is not None}
        if not partial:
            undeclared = self._inferred_equations(values, {})
            equations += [each for each in undeclared if not each[0].free_symbols & given and each not in equations]
        self._check_equations(equations, known, origin)
        for symbol, number in known.items():
            if number < 0:
                raise DataError(f"{symbol} = {number} is no length")
            if number == 0 and symbol.is_positive:
                raise DataError(
                    f"{symbol} = 0, but {symbol} is declared positive: there are no samples, or an array is empty"
                )
        return known

    def _shape_equations(self, values: Mapping[Any, Any]) -> Iterable[tuple[sp.Expr, int, str]]:
        for thing, value in values.items():
            shape = self.statement.shape(thing) if self.rank(thing) else ()
            if thing in self.statement.samples and shape is None:
                shape = (self.statement.sample_count,)
            for axis, (expression, length) in enumerate(zip(shape or (), np.shape(value), strict=False)):
                yield sp.sympify(expression), length, f"{name_of(thing)} has {_axis(length, axis, np.ndim(value))}"

    def _inferred_equations(
        self, values: Mapping[Any, Any], known: Mapping[sp.Symbol, int]
    ) -> Iterable[tuple[sp.Expr, int, str]]:
        """Arrays of undeclared shape: the largest index that a sum reaches is taken for the last entry.

        Sums that leave out the first entry, as those from 1 to n do, tell nothing.
        """
        reader = self.statement.reader()
        begun: set[tuple[Any, int]] = set()
        farthest: dict[tuple[Any, int], sp.Expr] = {}
        for load in self.loads:
            if self.statement.shape(load.payload) is not None or load.payload not in values:
                continue
            for axis, place in enumerate(load.args):
                if len(place.indices) != 1:
                    continue
                (index,) = place.indices
                dummy = sp.Dummy(integer=True)
                written = sp.expand(reader.expression(place, {index: dummy}))
                if written.coeff(dummy, 1) != 1 or dummy in (written - dummy).free_symbols:
                    continue
                if written.xreplace({dummy: sp.S.Zero}) == 0:
                    begun.add((load.payload, axis))
                reached = sp.expand(written.xreplace({dummy: reader.expression(index.extent) - 1}) + 1)
                known_reach = farthest.setdefault((load.payload, axis), reached)
                if (reached - known_reach).is_positive:
                    farthest[load.payload, axis] = reached
        for (array, axis), reached in farthest.items():
            if reached.free_symbols - set(known) and (array, axis) not in begun:
                raise DataError(
                    f"no sum reaches the first entry of {name_of(array)}, whose shape is not declared: for sums from "
                    f"1 to n, state the loss with first_index=1; else declare the shape, or give "
                    f"{', '.join(sorted(map(name_of, reached.free_symbols)))} in data="
                )
            if reached.free_symbols - set(known):
                shape = np.shape(values[array])
                yield reached, shape[axis], f"{name_of(array)} has {_axis(shape[axis], axis, len(shape))}"

    def _check_equations(
        self,
        equations: Iterable[tuple[sp.Expr, int, str]],
        known: Mapping[sp.Symbol, int],
        origin: Mapping[sp.Symbol, str],
    ) -> None:
        for expression, length, said in equations:
            expected = expression.xreplace(dict(known))
            if expected != length:
                because = "; ".join(
                    origin[s] for s in sorted(expression.free_symbols, key=name_of) if origin.get(s) not in (None, said)
                )
                raise DataError(
                    f"{said}, but {expression} = {expected} was expected" + (f" ({because})" if because else "")
                )

    # -- ranges ---------------------------------------------------------------------------------------------------

    def check_ranges(self, values: Mapping[Any, Any], extents: Mapping[sp.Symbol, int]) -> None:
        """Refuse every load whose index can leave its array."""
        for load in self.loads:
            shape = np.shape(values[load.payload])
            for axis, place in enumerate(load.args):
                reached = self.reach(place, values, extents)
                if reached is None:
                    continue
                low, high = reached
                if low < 0 or high >= shape[axis]:
                    first = self.statement.first_index if isinstance(load.payload, sp.IndexedBase) else 0
                    worst = low if low < 0 else high
                    hint = ""
                    if self.statement.first_index == 0 and low >= 0 and high == shape[axis]:
                        hint = "; for sums from 1 to n, state the loss with first_index=1"
                    raise DataError(
                        f"the index of {name_of(load.payload)} on axis {axis} reaches {worst + first}, but that axis "
                        f"runs from {first} to {shape[axis] - 1 + first}{hint}"
                    )

    def reach(self, place: Node, values: Mapping[Any, Any], extents: Mapping[sp.Symbol, int]) -> tuple[int, int] | None:
        """The least and the largest value of an array position; None where no loop runs."""
        if not _is_linear(place):
            return _enumerate(place, values, extents)
        try:
            return _interval(place, values, extents)
        except _Empty:
            return None


def _is_linear(place: Node) -> bool:
    """Whether intervals give a position's exact range: each index occurs once, in a sum of multiples."""
    seen: set[Index] = set()
    pending = [place]
    while pending:
        node = pending.pop()
        if node.op == "index":
            if node.payload in seen or node.payload.extent.indices:
                return False
            seen.add(node.payload)
        elif node.op == "mul":
            if sum(bool(factor.indices) for factor in node.args) > 1:
                return False
        elif node.op not in ("const", "symbol", "add", "load") and node.indices:
            return False
        if node.op != "load":
            pending.extend(node.args)
    return True


class _Empty(Exception):
    """A loop without a pass."""


def _interval(node: Node, values: Mapping[Any, Any], extents: Mapping[sp.Symbol, int]) -> tuple[int, int]:
    """Interval arithmetic; exact for positions that are linear in independent indices."""
    if node.op == "const":
        return int(node.payload), int(node.payload)
    if node.op == "symbol":
        return extents[node.payload], extents[node.payload]
    if node.op == "index":
        extent = _interval(node.payload.extent, values, extents)[1]
        if extent <= 0:
            raise _Empty
        return 0, extent - 1
    if node.op == "load":
        for place in node.args:
            _interval(place, values, extents)
        array = values[node.payload]
        if array.size == 0:
            raise _Empty
        return int(array.min()), int(array.max())
    parts = [_interval(argument, values, extents) for argument in node.args]
    if node.op == "add":
        return sum(low for low, _ in parts), sum(high for _, high in parts)
    if node.op in ("mul", "power"):
        result = parts[0]
        for low, high in parts[1:]:
            ends = [a * b if node.op == "mul" else a**b for a in result for b in (low, high)]
            result = min(ends), max(ends)
        return result
    if node.payload in ("max", "min"):
        choose = max if node.payload == "max" else min
        return choose(low for low, _ in parts), choose(high for _, high in parts)
    if node.payload == "Mod":
        return 0, parts[1][1] - 1
    return parts[0]


def _enumerate(place: Node, values: Mapping[Any, Any], extents: Mapping[sp.Symbol, int]) -> tuple[int, int] | None:
    """The exact range where the range of an index depends on another: all cases are tried."""
    columns: dict[Index, Any] = {}
    for index in sorted(place.indices, key=lambda index: len(index.support)):
        count = len(next(iter(columns.values()))) if columns else 1
        lengths = np.broadcast_to(np.maximum(_evaluate(index.extent, columns, values, extents), 0), (count,)).astype(
            np.int64
        )
        if lengths.sum() > 50_000_000:
            raise DataError(
                "the nested sums have too many terms (over 5e7) for their array positions to be checked beforehand"
            )
        columns = {other: np.repeat(column, lengths) for other, column in columns.items()}
        starts = np.cumsum(lengths) - lengths
        columns[index] = np.arange(lengths.sum()) - np.repeat(starts, lengths)
    reached = np.asarray(_evaluate(place, columns, values, extents))
    return (int(reached.min()), int(reached.max())) if reached.size else None


def _evaluate(
    node: Node, columns: Mapping[Index, Any], values: Mapping[Any, Any], extents: Mapping[sp.Symbol, int]
) -> Any:
    if node.op == "const":
        return node.payload
    if node.op == "symbol":
        return extents[node.payload]
    if node.op == "index":
        return columns[node.payload]
    args = [_evaluate(argument, columns, values, extents) for argument in node.args]
    if node.op == "load":
        return values[node.payload][tuple(args)]
    if node.op == "add":
        return sum(args[1:], args[0])
    if node.op == "mul":
        result = args[0]
        for factor in args[1:]:
            result = result * factor
        return result
    if node.op == "power":
        return args[0] ** args[1]
    whole: dict[Any, Callable[..., Any]] = {
        "max": np.maximum,
        "min": np.minimum,
        "Mod": np.mod,
        "relu": lambda x: np.maximum(x, 0),
        "Abs": np.abs,
    }
    return whole[node.payload](*args) if node.payload in whole else args[0]


# -- conversions ------------------------------------------------------------------------------------------------------


def as_mapping(given: Any, single: tuple[Any, ...], what: str) -> Mapping[Any, Any]:
    """A mapping as it is, or the bare value of a single parameter."""
    if given is None:
        raise DataError(f"no {what} were given: give them by name")
    if hasattr(given, "keys") and hasattr(given, "__getitem__") and not _is_series(given, single):
        return given  # type: ignore[no-any-return]
    if len(single) == 1:
        return {single[0]: given}
    names = ", ".join(f"{name_of(thing)!r}: …" for thing in single) or "'x': …"
    raise DataError(f"the {what} are to be given by name, as {{{names}}}, not as {type(given).__name__}")


def _is_series(given: Any, single: tuple[Any, ...]) -> bool:
    """Whether a labelled vector is meant as the value of the only parameter."""
    return len(single) == 1 and getattr(given, "ndim", None) == 1 and look_up(single[0], given) is None


def look_up(thing: Any, given: Mapping[Any, Any]) -> Any:
    """The value of a symbol, under itself or its name."""
    for key in (thing, name_of(thing)):
        try:
            return given[key]
        except (KeyError, TypeError):
            continue
    for key in given.keys():  # noqa: SIM118 (a DataFrame iterates over its columns, some mappings over nothing)
        if type(key) is type(thing) and name_of(key) == name_of(thing):
            return given[key]
    return None


def as_scalar(thing: Any, value: Any) -> float:
    """A real number."""
    if value is np.ma.masked:
        raise DataError(f"{name_of(thing)} is masked: give a number")
    try:
        array = np.asarray(value)
        if array.ndim == 0 or (array.ndim == 1 and array.size == 1 and not isinstance(value, (list, tuple))):
            if array.dtype.kind == "c":
                raise DataError(f"{name_of(thing)} = {value} is complex: losses are real")
            return float(array.reshape(-1)[0])
    except OverflowError as error:
        raise DataError(f"{name_of(thing)} = {str(value)[:12]}… is too large for a double (1.8e308)") from error
    except (TypeError, ValueError) as error:
        raise DataError(f"{name_of(thing)} = {str(value)[:40]!r} is not a number") from error
    raise DataError(f"{name_of(thing)} is a scalar, but was given an array of shape {np.shape(value)}")


def as_array(thing: Any, value: Any, integral: bool = False) -> Any:
    """An array that compiled code can read: float32 and float64 as they are, without a copy; integers too."""
    name = name_of(thing)
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise DataError(f"{name} has masked entries: fill or drop them first")
        value = value.data
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise DataError(f"{name} is no rectangular array: {error}") from error
    if array.dtype.kind == "O":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{name} has entries that are not numbers (dtype object): {error}") from error
    if array.dtype.kind not in "fiub":
        raise DataError(f"{name} has dtype {array.dtype}: real numbers are needed")
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float64)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    return _as_positions(name, array) if integral else array


def _as_positions(name: str, array: Any) -> Any:
    """Array positions: whole numbers, in a type that does not wrap when something is added."""
    if array.dtype.kind == "f" or array.dtype.itemsize > 8 or array.dtype == np.uint64:
        if not np.isfinite(array).all() or (np.abs(array) > 2**53).any():
            wrong = array[~(np.abs(array) <= 2**53)][0]
            raise DataError(f"{name} is used as an index, but holds {wrong}: positions are whole numbers")
        if not np.array_equal(np.rint(array), array):
            raise DataError(f"{name} is used as an index, but holds values that are not whole numbers")
    return array.astype(np.int64, copy=False)


def explain_non_finite(values: Mapping[Any, Any]) -> None:
    """Raise `DataError` if a NaN or an infinity among the data explains a result that is not finite."""
    for thing, value in values.items():
        array = np.asarray(value)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0]) if array.ndim else ()
            where = f" at {place if len(place) > 1 else place[0]}" if place else ""
            raise DataError(f"{name_of(thing)} contains {array[place]}{where}: remove or replace such entries")


def _unit(length: Any) -> int | None:
    return 1 if length == 1 else None


def _count(number: int, singular: str, plural: str) -> str:
    return f"{number} {singular if number == 1 else plural}"


def _axis(length: int, axis: int, rank: int) -> str:
    if rank == 1:
        return _count(length, "entry", "entries")
    if rank == 2:
        return _count(length, *(("row", "rows") if axis == 0 else ("column", "columns")))
    return f"{length} along axis {axis}"


def _solve_linear(expression: sp.Expr, symbol: sp.Symbol, length: int) -> int | None:
    expression = sp.expand(expression)
    slope = expression.coeff(symbol, 1)
    rest = expression - slope * symbol
    if slope.is_number and slope != 0 and rest.is_number:
        solution = (length - rest) / slope
        return int(solution) if solution == int(solution) else None
    return None
