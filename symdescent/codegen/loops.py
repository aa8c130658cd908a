"""Printing a schedule as a nest of Python loops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from symdescent.codegen.names import Names, is_plain
from symdescent.codegen.scalar_printer import ScalarPrinter
from symdescent.codegen.schedule import Kept, Loop, Nest, Schedule, Statement
from symdescent.graph import Graph, Index, Node, reachable

_START = {"sum": "0.0", "product": "1.0", "maximum": "-math.inf"}


class LoopPrinter:
    """Prints the loops of one schedule.

    `names` holds the arguments' identifiers; `shown` proposes names for indices; `gradient` gives the name of the
    gradient of each parameter. After `lines`, `allocations` lists the buffers to be made once, before the loops.
    """

    def __init__(
        self,
        graph: Graph,
        plan: Schedule,
        names: Names,
        shown: Mapping[Index, str],
        gradient: Mapping[Any, str],
        integers: frozenset[object],
        data: frozenset[object],
        places: frozenset[object] = frozenset(),
        comment: Callable[[Node], str | None] = lambda node: None,
    ) -> None:
        self.graph, self.plan, self.names, self.gradient, self.comment = graph, plan, names, gradient, comment
        self.allocations: list[str] = []
        self._variables: dict[Node, str] = {}
        self._longest: dict[Index, str] = {}
        self._loop_names = {index: self._loop_name(shown.get(index)) for index in plan.order}
        self._open: list[Loop] = []
        self.ahead: Callable[[Node, Mapping[str, int]], list[str]] = lambda node, rows: []
        self._paths: dict[Node, tuple[Loop, ...]] = {}
        self.printer = ScalarPrinter(self._refer, self._name, integers, data, places)
        self._uses = _count_uses(plan)
        self._once = self.once

    @property
    def once(self) -> frozenset[Any]:
        """The scalar parameters whose derivative is one expression outside all loops: no sum has to be begun."""
        parameters = [scatter.parameter for scatter in self.plan.scatters]
        return frozenset(
            s.parameter
            for s in self.plan.scatters
            if not s.indices and not s.places and parameters.count(s.parameter) == 1
        )

    @property
    def helpers(self) -> set[str]:
        """The helpers that the printed code calls."""
        return self.printer.helpers

    def lines(self) -> list[str]:
        """The statements of the schedule, indented relative to each other."""
        return self._body(self.plan.body, 0)

    def result(self, node: Node) -> str:
        """The text of a closed value, to be returned."""
        return self.printer.text(node)

    # -- naming ---------------------------------------------------------------------------------------------------

    def _loop_name(self, wanted: str | None) -> str:
        for name in [wanted, *"ijklmpq"]:
            if name is not None and is_plain(name) and name not in self.names:
                return self.names.fresh(name)
        return self.names.numbered("i")

    def _name(self, thing: object) -> str:
        return self._loop_names[thing] if isinstance(thing, Index) else self.names.of(thing)

    def loop_name(self, index: Index) -> str:
        """The name of a loop's variable."""
        return self._loop_names[index]

    def _refer(self, node: Node) -> str | None:
        """How a node that has a variable is read from where we are: the variable, or an element of its buffer."""
        name = self._variables.get(node)
        if name is None:
            return None
        kept = self.plan.kept[node]
        here = self._paths[node]
        local = not kept.inner and tuple(self._open[: len(here)]) == here
        return name if local or not kept.dimensions else self._element(node, kept)

    def _element(self, node: Node, kept: Kept) -> str:
        places = ", ".join(self._loop_names[index] for index in kept.dimensions)
        return f"{self._buffer(node)}[{places}]"

    def _buffer(self, node: Node) -> str:
        name = self._variables[node]
        return name if self.plan.kept[node].inner else f"{name}_all"

    def _declare(self, node: Node, stem: str) -> str:
        name = self.names.numbered(stem)
        self._variables[node] = name
        kept = self.plan.kept[node]
        if kept.dimensions:
            self.names.reserve([f"{name}_all"])
            lengths = ", ".join(self._upper_bound(index) for index in kept.dimensions)
            shape = lengths if len(kept.dimensions) == 1 else f"({lengths})"
            self.allocations.append(f"{self._buffer(node)} = np.empty({shape})")
        return name

    def _upper_bound(self, index: Index) -> str:
        """The largest extent of an index; where its range depends on outer indices, code that finds it."""
        if not index.extent.indices:
            return self.printer.integer(index.extent)
        if index not in self._longest:
            name = self._longest[index] = self.names.numbered("longest")
            self.allocations.append(f"{name} = 0")
            pad = ""
            for outer in sorted(index.extent.indices, key=lambda outer: len(outer.support)):
                self.allocations.append(
                    f"{pad}for {self._loop_names[outer]} in range({self.printer.integer(outer.extent)}):"
                )
                pad += "    "
            self.allocations.append(f"{pad}{name} = max({name}, {self.printer.integer(index.extent)})")
        return self._longest[index]

    # -- statements -----------------------------------------------------------------------------------------------

    def _body(self, body: Sequence[Statement | Loop], depth: int) -> list[str]:
        pad = "    " * depth
        lines: list[str] = []
        for part in body:
            if isinstance(part, Loop):
                lines += self._loop(part, depth)
            else:
                lines += [pad + line for line in self._statement(part)]
        return lines

    def _loop(self, loop: Loop, depth: int) -> list[str]:
        pad = "    " * depth
        lines: list[str] = []
        for node in loop.opens:
            name = self._declare(node, "m" if node.op == "maximum" else "s")
            self._paths[node] = tuple(self._open)
            kept = self.plan.kept[node]
            said = self.comment(node)
            if said:
                lines.append(f"{pad}# {name} = {said}")
            if kept.inner:
                lines += [pad + line for line in self._fill(node, kept)]
            else:
                lines.append(f"{pad}{name} = {_START[node.op]}")
        lines.append(f"{pad}for {self._loop_names[loop.index]} in range({self.printer.integer(loop.index.extent)}):")
        self._open.append(loop)
        placed = self._place(loop)
        for node in placed:
            lines += [f"{pad}    {line}" for line in self._placed(loop, node)]
        lines += self._body(loop.body, depth + 1) or [pad + "    pass"]
        for node in placed:
            del self.printer.positions[node]
        self._open.pop()
        for node in loop.opens:
            kept = self.plan.kept[node]
            if kept.outer and not kept.inner:
                lines.append(f"{pad}{self._element(node, kept)} = {self._variables[node]}")
        return lines

    def _place(self, loop: Loop) -> list[Node]:
        """Give a variable to each array position that is read from an integer array, where this loop determines it."""
        indices = {each.index for each in self._open}
        roots = [part for statement in _statements(loop) for part in _read(statement)]
        placed = []
        for node in reachable(roots):
            position = node.op == "load" and node.payload in self.printer.places
            if position and loop.index in node.indices and node.indices <= indices:
                self.printer.positions[node] = self.names.numbered("row")
                placed.append(node)
        return placed

    def _placed(self, loop: Loop, node: Node) -> list[str]:
        """The statements that read an array position, and ask for what will be read a little later."""
        lines = [f"{self.printer.positions[node]} = {self.printer.entry(node)}"]
        roots = [part for statement in _statements(loop) for part in _read(statement)]
        rows = {
            load.payload: len(load.args) for load in reachable(roots) if load.op == "load" and node in load.args[:1]
        }
        return lines + self.ahead(node, {self._name(array): rank for array, rank in rows.items()})

    def _fill(self, node: Node, kept: Kept) -> list[str]:
        lines, pad = [], ""
        for index in kept.inner:
            lines.append(f"{pad}for {self._loop_names[index]} in range({self.printer.integer(index.extent)}):")
            pad += "    "
        return [*lines, f"{pad}{self._element(node, kept)} = {_START[node.op]}"]

    def _statement(self, statement: Statement) -> list[str]:
        node = statement.node
        if statement.kind == "scatter":
            assert statement.scatter is not None
            places = ", ".join(self.printer.integer(place) for place in statement.scatter.places)
            target = self.gradient[statement.scatter.parameter] + (f"[{places}]" if places else "")
            if statement.scatter.parameter in self._once:
                return [f"{target} = {self.printer.text(node)}"]
            return [_add_to(target, self.printer.text(node))]
        if statement.kind == "accumulate":
            kept = self.plan.kept[node]
            target = self._element(node, kept) if kept.inner else self._variables[node]
            term = self.printer.text(node.args[0])
            if node.op == "maximum":
                self.helpers.add("maximum")
                return [f"{target} = maximum({target}, {term})"]
            return [_add_to(target, term)] if node.op == "sum" else [f"{target} *= {term}"]
        if self._is_written_in_place(node, statement.nest):
            return []
        written = self.printer.operation(node)[0]
        name = self._declare(node, "t")
        self._paths[node] = tuple(self._open)
        kept = self.plan.kept[node]
        lines = [f"{name} = {written}"]
        if kept.dimensions:
            lines.append(f"{self._element(node, kept)} = {name}")
        return lines

    def _is_written_in_place(self, node: Node, nest: Nest) -> bool:
        """A value that is used once, in its own loop, is written where it is used, unless that gets long."""
        uses = self._uses.get(node, [])
        if len(uses) != 1 or self.plan.kept[node].dimensions or uses[0] != nest:
            return False
        return len(self.printer.operation(node)[0]) <= 72


def _statements(loop: Loop) -> Iterator[Statement]:
    """The statements in a loop, those of inner loops included."""
    for part in loop.body:
        if isinstance(part, Loop):
            yield from _statements(part)
        else:
            yield part


def _read(statement: Statement) -> Iterator[Node]:
    """What a statement computes, and where it adds it."""
    yield statement.node
    if statement.scatter is not None:
        yield from statement.scatter.places


def _add_to(target: str, term: str) -> str:
    """``target += term``, or ``-=`` where the term is one product with a minus sign in front."""
    if term.startswith("-") and not any(mark in _outside_brackets(term[1:]) for mark in (" + ", " - ", " if ")):
        return f"{target} -= {term[1:]}"
    return f"{target} += {term}"


def _outside_brackets(text: str) -> str:
    depth, kept = 0, []
    for letter in text:
        depth += letter in "(["
        if depth == 0:
            kept.append(letter)
        depth -= letter in ")]"
    return "".join(kept)


def _count_uses(plan: Schedule) -> dict[Node, list[Nest]]:
    """For every node with a statement, the nests of the statements that read it, one entry a reading."""
    uses: dict[Node, list[Nest]] = {}

    def visit(body: Sequence[Statement | Loop]) -> None:
        for part in body:
            if isinstance(part, Loop):
                visit(part.body)
                continue
            node = part.node
            if part.kind == "scatter":
                pending = [node, *(part.scatter.places if part.scatter else ())]
            else:
                pending = list(node.args)
            while pending:
                argument = pending.pop()
                if argument in plan.inline:
                    pending.extend(argument.args)
                else:
                    uses.setdefault(argument, []).append(part.nest)

    visit(plan.body)
    for value in plan.values:
        uses.setdefault(value, []).append(())
    return uses
