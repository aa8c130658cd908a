"""From a graph to a nest of loops: which statement runs in which loop, in what order, and what has to be kept.

The schedule is a pure function of the graph. Every node that gets a statement has a *nest*, the loops it runs in
(its free indices, outer ones first). On each level, straight statements and loops are sorted into *phases*: a loop
comes after what it needs is complete, statements over the same index in the same phase share a loop. A value that is
used in another loop than its own is kept in a buffer over the indices that the two loops do not share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from symdescent.codegen.expand import expand, group_by_loop
from symdescent.differentiate import Scatter
from symdescent.graph import REDUCTIONS, RELATIONS, Graph, Index, Node, reachable

Nest = tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """Compute a node (`let`), add to a reduction (`accumulate`), or add to a gradient (`scatter`)."""

    kind: str
    nest: Nest
    node: Node
    scatter: Scatter | None = None


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop over an index; `opens` are the reductions that start with it and are complete after it."""

    index: Index
    opens: tuple[Node, ...]
    body: tuple[Statement | Loop, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a value lives: a local variable, or an array over `outer` (loops it outlives) and `inner` dimensions."""

    outer: Nest = ()
    inner: Nest = ()

    @property
    def dimensions(self) -> Nest:
        """The dimensions of the array; a local variable has none."""
        return self.outer + self.inner


@dataclass(frozen=True, slots=True)
class Schedule:
    """The loop nest of a program: its statements, how values are kept, and what is written inline."""

    body: tuple[Statement | Loop, ...]
    kept: dict[Node, Kept]
    inline: frozenset[Node]
    order: Nest
    values: tuple[Node, ...]
    scatters: tuple[Scatter, ...]


def schedule(graph: Graph, values: Sequence[Node], scatters: Sequence[Scatter] = ()) -> Schedule:
    """Schedule the computation of closed values and of gradient contributions in as few loops as possible."""
    roots = expand(graph, [*values, *(scatter.contribution for scatter in scatters)])
    places = [place for scatter in scatters for place in scatter.places]
    order = loop_order([*roots, *places], [index for scatter in scatters for index in scatter.indices])
    rank = {index: place for place, index in enumerate(order)}
    roots = group_by_loop(graph, roots, lambda node: max((rank[index] + 1 for index in node.indices), default=0))
    values = tuple(roots[: len(values)])
    moved = tuple(
        Scatter(scatter.parameter, scatter.places, root, scatter.indices)
        for scatter, root in zip(scatters, roots[len(values) :], strict=True)
    )
    planner = _Planner(rank)
    nodes = list(reachable(_all_roots(values, moved)))
    places = [place for node in nodes if node.op == "load" for place in node.args]
    places += [place for scatter in moved for place in scatter.places]
    inline = {node for node in nodes if _always_inline(node)} | set(reachable(places))
    while True:
        plan = planner.plan(values, moved, inline)
        cheap = {node for node, kept in plan.kept.items() if kept.dimensions and _is_cheap(node, inline, plan.kept)}
        if not cheap:
            return Schedule(plan.body, plan.kept, frozenset(inline), order, values, moved)
        inline |= cheap


def _all_roots(values: Iterable[Node], scatters: Iterable[Scatter]) -> list[Node]:
    return [*values, *(node for scatter in scatters for node in (scatter.contribution, *scatter.places))]


def _always_inline(node: Node) -> bool:
    """Leaves, conditions and changes of sign are written where they are used."""
    if node.op in ("const", "symbol", "index", "load", "not", "all", "any") or node.op in RELATIONS:
        return True
    return node.op == "mul" and len(node.args) == 2 and node.args[0].number == -1


def _is_cheap(node: Node, inline: set[Node], kept: dict[Node, Kept]) -> bool:
    """Whether a value is better computed again than kept: a few additions or products of what is at hand anyway."""
    operations, pending = 0, [node]
    while pending:
        part = pending.pop()
        if part is not node and part not in inline:
            if len(part.indices) >= len(node.indices) and not kept[part].dimensions:
                return False
            continue
        if part.op in ("add", "mul", "select") or (part.op == "power" and part.args[1].number in (2, 3)):
            operations += 1
        elif part.op in ("power", "call") or part.op in REDUCTIONS:
            return False
        if part.op != "load":
            pending.extend(part.args)
    return operations <= 3


def loop_order(roots: Sequence[Node], also: Iterable[Index] = ()) -> Nest:
    """Sort the indices, outer loops first: by dependence, by the layout of arrays in memory, by how sums are nested."""
    wants: dict[tuple[Index, Index], float] = {}
    indices: dict[Index, None] = dict.fromkeys(also)
    for node in reachable(roots):
        for index in node.indices | ({node.payload} if node.op in REDUCTIONS else set()):
            indices[index] = None
            for outer in index.extent.indices:
                wants[outer, index] = wants.get((outer, index), 0) + 1e6
        if node.op == "load":
            axes = [place.payload if place.op == "index" else None for place in node.args]
            for place, outer in enumerate(axes):
                for inner in axes[place + 1 :]:
                    if outer is not None and inner is not None and outer != inner:
                        wants[outer, inner] = wants.get((outer, inner), 0) + 1
        elif node.op in REDUCTIONS:
            for outer in node.indices:
                wants[outer, node.payload] = wants.get((outer, node.payload), 0) + 0.25
    remaining = sorted(indices, key=lambda index: (index.number, index.extent.age))
    ordered: list[Index] = []
    while remaining:

        def preference(index: Index) -> float:
            return sum(wants.get((index, other), 0) - wants.get((other, index), 0) for other in remaining)

        first = max(remaining, key=preference)
        remaining.remove(first)
        ordered.append(first)
    return tuple(ordered)


@dataclass(slots=True)
class _Plan:
    body: tuple[Statement | Loop, ...]
    kept: dict[Node, Kept]


@dataclass(slots=True)
class _Planner:
    """Places statements level by level; `paths` records the loop instances that each statement ended in."""

    rank: dict[Index, int]
    producer: dict[Node, Statement] = field(default_factory=dict)
    needs: dict[Statement, list[Node]] = field(default_factory=dict)
    paths: dict[Statement, tuple[tuple[Index, int], ...]] = field(default_factory=dict)

    def plan(self, values: Sequence[Node], scatters: Sequence[Scatter], inline: set[Node]) -> _Plan:
        """Place everything that is not inline."""
        self.producer, self.needs, self.paths = {}, {}, {}
        statements: list[Statement] = []
        for node in reachable(_all_roots(values, scatters)):
            if node in inline:
                continue
            if node.op in REDUCTIONS:
                statement = Statement("accumulate", self.nest(node.args[0].indices), node)
            else:
                statement = Statement("let", self.nest(node.indices), node)
            self.producer[node] = statement
            self.needs[statement] = _needs(node.args, inline)
            statements.append(statement)
        for scatter in scatters:
            statement = Statement("scatter", self.nest(scatter.indices), scatter.contribution, scatter)
            self.needs[statement] = _needs([scatter.contribution, *scatter.places], inline)
            statements.append(statement)
        body = self._level(statements, 0, ())
        return _Plan(body, self._keep(values, inline))

    def nest(self, indices: Iterable[Index]) -> Nest:
        """The loops over the indices, outer ones first."""
        return tuple(sorted(indices, key=self.rank.__getitem__))

    def home(self, reduction: Node) -> int:
        """How many loops are open where a reduction starts."""
        return self.producer[reduction].nest.index(reduction.payload)

    def _level(
        self, statements: list[Statement], depth: int, path: tuple[tuple[Index, int], ...]
    ) -> tuple[Statement | Loop, ...]:
        """Sort the statements that share the loops so far into phases, and descend into each loop."""
        here = set(statements)
        phase: dict[Statement, int] = {}
        users: dict[Statement, list[Statement]] = {}
        for statement in statements:
            phase[statement] = 0
            for need in self.needs[statement]:
                source = self.producer[need]
                if source in here:
                    users.setdefault(source, []).append(statement)
                    phase[statement] = max(phase[statement], phase[source] + self._gap(source, statement, depth))
        for statement in reversed(statements):  # what is needed only later is done later
            if statement in users and statement.kind != "scatter":
                latest = min(phase[user] - self._gap(statement, user, depth) for user in users[statement])
                left_behind = [
                    need
                    for need in self.needs[statement]
                    if self.producer[need] in here
                    and len(self.producer[need].nest) > depth
                    and phase[self.producer[need]] < latest
                    and any(user is not statement for user in users[self.producer[need]])
                ]
                if latest > phase[statement] and len(left_behind) <= 1:
                    phase[statement] = latest
        body: list[Statement | Loop] = []
        for now in sorted(set(phase.values())):
            loops: dict[Index, list[Statement]] = {}
            for statement in statements:
                if phase[statement] != now:
                    continue
                if len(statement.nest) == depth:
                    self.paths[statement] = path
                    body.append(statement)
                else:
                    loops.setdefault(statement.nest[depth], []).append(statement)
            for index, inside in loops.items():
                opens = tuple(s.node for s in inside if s.kind == "accumulate" and self.home(s.node) == depth)
                body.append(Loop(index, opens, self._level(inside, depth + 1, (*path, (index, now)))))
        return tuple(body)

    def _gap(self, source: Statement, user: Statement, depth: int) -> int:
        """1 where the user must wait for the end of the source's loop on this level."""
        if len(source.nest) == depth:
            return 0
        if source.kind == "accumulate" and self.home(source.node) == depth:
            return 1
        same = len(user.nest) > depth and user.nest[depth] == source.nest[depth]
        return 0 if same else 1

    def _keep(self, values: Sequence[Node], inline: set[Node]) -> dict[Node, Kept]:
        """Decide for every value whether a local variable will do."""
        reach: dict[Node, int] = {}
        for statement, needs in self.needs.items():
            for need in needs:
                shared = 0
                for ours, theirs in zip(self.paths[self.producer[need]], self.paths[statement], strict=False):
                    if ours != theirs:
                        break
                    shared += 1
                reach[need] = min(reach.get(need, shared), shared)
        kept: dict[Node, Kept] = {}
        for node, source in self.producer.items():
            if source.kind == "accumulate":
                home = self.home(node)
                inner = tuple(index for index in source.nest[home + 1 :])
            else:
                home, inner = len(source.nest), ()
            kept[node] = Kept(source.nest[min(reach.get(node, home), home) : home], inner)
        return kept


def _needs(args: Iterable[Node], inline: set[Node]) -> list[Node]:
    """The nodes with statements of their own that an expression reads, through what is written inline."""
    found: dict[Node, None] = {}
    pending = list(args)
    seen: set[Node] = set()
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in inline:
            pending.extend(node.args)
        else:
            found[node] = None
    return list(found)
