"""Printing the assignments of an update rule: once for what is shared, and for every coordinate of every parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symdescent.codegen.expand import expand
from symdescent.codegen.names import Names
from symdescent.codegen.scalar_printer import ScalarPrinter
from symdescent.graph import Graph, Node
from symdescent.notation.lower import Lowering
from symdescent.optimizers import UpdateRule
from symdescent.optimizers.program import Phase
from symdescent.optimizers.symbols import Total, totals

INDICES = ("q", "r", "s", "u", "v")


@dataclass(frozen=True, slots=True)
class Place:
    """A parameter in generated code: its name, that of its gradient, its rank, and for nested loops its lengths."""

    parameter: Any
    name: str
    gradient: str
    rank: int
    lengths: tuple[str, ...] = ()

    @property
    def is_array(self) -> bool:
        """Whether it has entries."""
        return self.rank > 0


def faded(power: str) -> list[str]:
    """End a power such as β^t where it is nothing beside 1: denormal numbers cost a processor many times a product."""
    return [f"if abs({power}) < 1e-300:", f"    {power} = 0.0"]


class UpdateWriter:
    """Writes one step of a rule for some parameters.

    `shared` names the hyperparameters and what is remembered once for all coordinates, `states` what is remembered for
    each coordinate of a parameter; `outside` gives the text of the step's number, the loss and the steps of an epoch.
    `nested` writes one loop for each axis of an array, for code that is read, instead of one over a flat view.
    After `lines`, `helpers` holds the functions that are called, `allocations` the buffers to be made beforehand.
    """

    def __init__(
        self,
        rule: UpdateRule,
        places: Sequence[Place],
        names: Names,
        outside: Mapping[sp.Symbol, str],
        nested: bool = False,
    ) -> None:
        self.nested = nested
        self.rule, self.program, self.places, self.names = rule, rule.program, places, names
        self.helpers: set[str] = set()
        self.allocations: list[str] = []
        self.shared = {each.symbol: names.fresh(each.name, "h") for each in self.program.numbers}
        self.shared |= {each.symbol: names.fresh(each.symbol.name, "u") for each in self.program.scalar_state}
        self.states = {
            (place.parameter, each.symbol): names.fresh(f"{place.name}_{each.symbol.name}", "u")
            for place in places
            for each in self.program.state
        }
        rate = self.program.rate
        if rate is not None and rate not in self.shared:
            self.shared[rate] = names.fresh(rate.name, "u")
        self.outside = dict(outside)
        self._own: dict[tuple[Any, sp.Symbol], str] = {}

    @property
    def rate(self) -> str | None:
        """The name of the learning rate."""
        return None if self.program.rate is None else self.shared[self.program.rate]

    @property
    def rate_is_assigned(self) -> bool:
        """Whether the learning rate changes from step to step."""
        return self.program.rate in dict(self.program.assignments)

    def comments(self) -> list[str]:
        """The rule's equations, where they are plain text."""
        lines = (f"# {line.strip()}" for line in str(self.rule).splitlines()[1:])
        return [line for line in lines if line.isascii()]

    def reciprocals(self, phase: Phase) -> tuple[list[str], Phase]:
        """Divisions by what all coordinates share, done once a step: the statements, and what is left of a phase."""
        found: dict[sp.Expr, sp.Symbol] = {}
        lines: list[str] = []
        assignments = []
        for symbol, expression in phase.assignments:
            for part in expression.atoms(sp.Pow):
                shared = not part.base.free_symbols & self.program.coordinates and bool(part.base.free_symbols)
                if part.exp == -1 and shared and part not in found:
                    found[part] = dummy = sp.Dummy("reciprocal", real=True)
                    lines.append(self._assign(self.shared, dummy, part))
            assignments.append((symbol, expression.xreplace(found)))
        return lines, Phase(phase.scalar, tuple(assignments))

    def scalars(self, phase: Phase) -> list[str]:
        """The assignments of a phase that are carried out once."""
        lines: list[str] = []
        for symbol, expression in phase.assignments:
            if isinstance(expression, Total) and symbol not in self.shared:
                self.shared[symbol] = self.names.fresh(symbol.name, "u")
                lines += self._total(self.shared[symbol], expression.args[0])
                continue
            values: dict[sp.Expr, sp.Symbol] = {}
            for total in totals(expression):
                dummy = sp.Dummy("total", real=True)
                name = self.shared[dummy] = self.names.fresh("total", "total")
                lines += self._total(name, total.args[0])
                values[total] = dummy
            lines.append(self._assign(self.shared, symbol, expression.xreplace(values)))
            if symbol in expression.as_ordered_factors():
                lines += faded(self.shared[symbol])
        return lines

    def _total(self, name: str, term: sp.Expr) -> Iterator[str]:
        """The sum of a term over all coordinates."""
        yield f"{name} = 0.0"
        for place in self.places:
            if not place.is_array:
                yield f"{name} += {self._text(self._names(place), term)}"
        for place in self.places:
            if place.is_array:
                flat, lines = self.flattened(place, self._entering(place, [term]))
                yield from lines
                yield from self._looped(place, flat, [f"{name} += {self._text(self._names(place, flat), term)}"])

    def _entering(self, place: Place, expressions: Sequence[sp.Expr]) -> list[str]:
        """The arrays of a parameter that some expressions read or assign, its own name first."""
        symbols = {symbol for expression in expressions for symbol in expression.free_symbols}
        return [name for symbol, name in self._arrays(place).items() if symbol in symbols]

    def _arrays(self, place: Place) -> dict[sp.Symbol, str]:
        """What is stored for each coordinate of a parameter."""
        known = {self.rule.parameter: place.name, self.rule.gradient: place.gradient}
        known |= {each.symbol: self.states[place.parameter, each.symbol] for each in self.program.state}
        own = self._own
        return known | {s: own[place.parameter, s] for s in self.program.kept if (place.parameter, s) in own}

    def flattened(self, place: Place, arrays: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """The arrays of a parameter as the loops read them: flat views, and the statements that make them."""
        if place.rank == 1 or self.nested:
            return {name: name for name in arrays}, []
        flat = {name: self.names.fresh(f"{name}_flat", "flat") for name in arrays}
        return flat, [f"{view} = {name}.reshape(-1)" for name, view in flat.items()]

    def _looped(self, place: Place, flat: Mapping[str, str], body: Sequence[str]) -> Iterator[str]:
        """The statements for every coordinate of an array."""
        pad = ""
        for axis, letter in enumerate(self._letters(place)):
            whole = flat.get(place.name, place.name)
            size = f"{whole}.shape[0]" if place.rank == 1 or place.name in flat else f"{whole}.size"
            size = place.lengths[axis] if self.nested else size
            yield f"{pad}for {letter} in range({size}):"
            pad += "    "
        yield from (f"{pad}{line}" for line in body)

    def _letters(self, place: Place) -> tuple[str, ...]:
        return INDICES[: place.rank] if self.nested else INDICES[:1]

    def _names(self, place: Place, flat: Mapping[str, str] | None = None) -> dict[sp.Symbol, str]:
        """How a rule's symbols are read for a parameter: at the coordinate q of its flat arrays, or as scalars."""
        own = self._arrays(place)
        if flat is not None:
            letters = ", ".join(self._letters(place))
            own = {symbol: f"{flat[name]}[{letters}]" for symbol, name in own.items() if name in flat}
        return {**self.shared, **own}

    def scalar_parameter(self, place: Place, phase: Phase) -> list[str]:
        """The assignments of a phase for a parameter that is a number."""
        for symbol in self.program.kept:
            if symbol in dict(phase.assignments):
                self._own[place.parameter, symbol] = self.names.fresh(f"{place.name}_{symbol.name}", "u")
        names = self._names(place)
        return [self._assign(names, symbol, expression) for symbol, expression in phase.assignments]

    def array_parameter(
        self, place: Place, phase: Phase, moved: Callable[[str, str], list[str]] = lambda new, entry: []
    ) -> list[str]:
        """The same for an array, entry by entry; `moved` adds statements between the new value and its assignment."""
        for symbol in self.program.kept:
            if symbol in dict(phase.assignments):
                name = self._own[place.parameter, symbol] = self.names.fresh(f"{place.name}_{symbol.name}", "u")
                self.allocations.append(f"{name} = np.empty({place.name}.shape)")
        expressions = [part for assignment in phase.assignments for part in assignment]
        flat, lines = self.flattened(place, self._entering(place, expressions))
        names, inside = self._names(place, flat), []
        entry = names.get(self.rule.parameter, "")
        changes = self.rule.parameter in dict(phase.assignments)
        if changes:
            names[self.rule.parameter] = "new"
            inside.append(f"new = {entry}")
        inside += [self._assign(names, symbol, expression) for symbol, expression in phase.assignments]
        if changes:
            inside += [*moved("new", entry), f"{entry} = new"]
        return [*lines, *self._looped(place, flat, inside)]

    def _assign(self, names: dict[sp.Symbol, str], symbol: sp.Symbol, expression: sp.Expr) -> str:
        if symbol not in names:  # an abbreviation
            names[symbol] = self.names.fresh(symbol.name, "u")
        return f"{names[symbol]} = {self._text(names, expression)}"

    def _text(self, names: Mapping[sp.Symbol, str], expression: sp.Expr) -> str:
        graph = Graph()
        (node,) = expand(graph, [Lowering(graph).lower(expression)], guarded=not self.nested)

        def refer(part: Node) -> str | None:
            if part.op != "symbol":
                return None
            return self.outside.get(part.payload) or names[part.payload]

        printer = ScalarPrinter(refer, str, frozenset(), frozenset())
        text = printer.text(node)
        self.helpers |= printer.helpers
        return text
