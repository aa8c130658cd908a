"""The source of a loss's kernels: value, value and gradient, Hessian-vector product, as one readable Python module."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy as sp

from symdescent.codegen.loops import LoopPrinter
from symdescent.codegen.names import Names, is_plain
from symdescent.codegen.schedule import schedule
from symdescent.differentiate import Scatter, forward
from symdescent.elementary import scalar
from symdescent.graph import Graph, Index, Node, reachable
from symdescent.notation.reading import Reader
from symdescent.statement import ARRAYS, Statement, name_of

HEADER = """import math

import numpy as np
from numba import njit

# `exact` keeps every rounding, also within `fast` functions (which would pass their flags on to what they call);
# `fast` may reorder sums and fuse products, but NaN and infinity keep their meaning.
exact = njit(cache=True, error_model="numpy", nogil=True, fastmath=False)
fast = njit(cache=True, error_model="numpy", nogil=True, fastmath={"contract", "reassoc", "nsz"})
"""


@dataclass(frozen=True, slots=True)
class Direction:
    """The direction of a derivative along one parameter: an array or scalar of the parameter's shape."""

    parameter: Any

    @property
    def name(self) -> str:
        """A readable name for generated code."""
        return f"d_{name_of(self.parameter)}"


@dataclass(frozen=True, slots=True)
class Signature:
    """The arguments of a kernel in their order, and the identifiers that they have in its source."""

    parameters: tuple[Any, ...]
    directions: tuple[Direction, ...]
    data: tuple[Any, ...]
    extents: tuple[sp.Symbol, ...]
    outputs: tuple[Any, ...]
    names: Mapping[Any, str]
    gradients: Mapping[Any, str]

    def text(self) -> str:
        """The list of arguments."""
        inputs = [self.names[thing] for thing in (*self.parameters, *self.directions, *self.data, *self.extents)]
        return ", ".join([*inputs, *(self.gradients[parameter] for parameter in self.outputs)])


class KernelWriter:
    """Writes the kernels of one statement."""

    def __init__(self, statement: Statement) -> None:
        # lowered anew: the order of arguments, and so the text, must not depend on what was derived before
        self.statement = statement = statement.fresh()
        self.extents = tuple(
            sorted(statement.extents | ({statement.sample_count} if statement.sample_count else set()), key=name_of)
        )
        self.data = tuple(
            sorted({*statement.samples, *(c for c in statement.constants if c not in statement.extents)}, key=name_of)
        )
        self.helpers: set[str] = set()

    @cached_property
    def may_be_shown(self) -> bool:
        """Whether the statement can be written into comments: it is short, and all of its names are plain."""
        statement = self.statement
        things = {*statement.parameters, *statement.samples, *statement.constants, *statement.lowering.bound}
        plain = all(is_plain(name_of(thing)) for thing in things)
        return plain and sum(1 for _ in reachable([statement.root])) <= 200

    def signature(self, names: Names, directions: Sequence[Direction] = (), outputs: bool = True) -> Signature:
        """Give the arguments their identifiers."""
        parameters = self.statement.parameters
        known: dict[Any, str] = {}
        for thing, fallback in (
            *((p, "p") for p in parameters),
            *((d, "direction") for d in directions),
            *((d, "d") for d in self.data),
            *((e, "extent") for e in self.extents),
        ):
            known[thing] = names.of(thing, fallback)
        gradients = {p: names.fresh(f"g_{known[p]}", "g") for p in parameters}
        arrays = tuple(p for p in parameters if isinstance(p, ARRAYS)) if outputs else ()
        return Signature(parameters, tuple(directions), self.data, self.extents, arrays, known, gradients)

    def printer(
        self, names: Names, signature: Signature, values: Sequence[Node], scatters: Sequence[Scatter]
    ) -> LoopPrinter:
        """A loop printer for the schedule of some values and gradient contributions."""
        statement = self.statement
        plan = schedule(statement.graph, values, scatters)
        shown = {
            index: name_of(dummy)
            for index, (dummy, _) in statement.lowering.display.items()
            if not isinstance(dummy, sp.Dummy)
        }
        printer = LoopPrinter(
            statement.graph,
            plan,
            names,
            shown,
            signature.gradients,
            frozenset(self.extents),
            frozenset(self.data),
            frozenset(statement.lowering.index_arrays),
        )
        if self.may_be_shown:
            printer.comment = _Commentator(statement, printer)
        return printer

    def function(
        self,
        name: str,
        description: str,
        values: Sequence[Node],
        scatters: Sequence[Scatter] = (),
        directions: Sequence[Direction] = (),
        differentiated: bool = False,
    ) -> str:
        """The source of one kernel: it fills the gradient arrays and returns the values and scalar derivatives."""
        names = Names()
        signature = self.signature(names, directions, outputs=differentiated)
        printer = self.printer(names, signature, values, scatters)
        body = printer.lines()
        start = []
        results = [printer.result(value) for value in printer.plan.values]
        if differentiated:
            for parameter in self.statement.parameters:
                gradient = signature.gradients[parameter]
                if parameter not in printer.once:
                    start.append(f"{gradient}[:] = 0.0" if isinstance(parameter, ARRAYS) else f"{gradient} = 0.0")
                if not isinstance(parameter, ARRAYS):
                    results.append(gradient)
        self.helpers |= printer.helpers
        lines = [
            f'"""{description}"""',
            *printer.allocations,
            *start,
            *body,
            f"return {', '.join(results)}" if results else "return",
        ]
        return f"@fast\ndef {name}({signature.text()}):\n" + "".join(f"    {line}\n" for line in lines)

    def value_and_gradient(self) -> str:
        """The module with the kernels `value` and `value_and_gradient`."""
        scatters = self.statement.scatters()
        functions = [
            self.function("value", "The loss.", [self.statement.root]),
            self.function(
                "value_and_gradient",
                "The loss and its gradient, in one pass.",
                [self.statement.root],
                scatters,
                differentiated=True,
            ),
        ]
        return self.module("Value and gradient of a loss.", functions)

    def hessian_vector_product(self) -> str:
        """The module with the kernel `hessian_vector_product`: the derivative of the gradient along a direction."""
        moved = second_order(self.statement)
        directions = tuple(map(Direction, self.statement.parameters))
        text = "The Hessian times a direction."
        function = self.function("hessian_vector_product", text, [], moved, directions, differentiated=True)
        return self.module("Hessian-vector product of a loss.", [function])

    def module(self, title: str, functions: Sequence[str]) -> str:
        """A whole module: title with the statement, options, helpers, functions."""
        parts = [f'"""{title}{self.stated()}"""', HEADER.rstrip(), *helper_sources(self.helpers), *functions]
        return "\n\n".join(part.strip("\n") + "\n" for part in parts)

    def stated(self) -> str:
        """The statement in a docstring, if all names may stand there."""
        if not self.may_be_shown:
            return "\n"
        written = str(self.statement.expression)
        if len(written) > 400 or not written.isascii() or '"' in written or "\\" in written:
            return "\n"
        mean = {"mean": "the mean over the samples of ", "sum": "the sum over the samples of "}[
            self.statement.reduction
        ]
        return f"\n\nLoss: {mean if self.statement.samples else ''}{written}\n"


def second_order(statement: Statement) -> list[Scatter]:
    """The derivative of the gradient along a direction: forward over reverse."""
    graph = statement.graph
    scatters = statement.scatters(exact_products=True)
    tangents = forward(
        graph,
        [scatter.contribution for scatter in scatters],
        {p: lambda leaf: _along(graph, leaf) for p in statement.parameters},
        statement.kinks,
    )
    return [
        Scatter(scatter.parameter, scatter.places, tangents[scatter.contribution], scatter.indices)
        for scatter in scatters
        if tangents.get(scatter.contribution, graph.zero) is not graph.zero
    ]


def is_quadratic(statement: Statement) -> bool:
    """Whether the Hessian is the same at all parameters: it reads none of them."""
    statement = statement.fresh()
    parameters = set(statement.parameters)
    moved = [scatter.contribution for scatter in second_order(statement)]
    return not any(node.op in ("symbol", "load") and node.payload in parameters for node in reachable(moved))


def _along(graph: Graph, leaf: Node) -> Node:
    direction = Direction(leaf.payload)
    return graph.load(direction, leaf.args) if leaf.args else graph.symbol(direction)


@dataclass(slots=True)
class _Commentator:
    """Says what a sum is, in the names of the loops around it, if that is short."""

    statement: Statement
    printer: LoopPrinter
    reader: Reader = field(init=False)

    def __post_init__(self) -> None:
        self.reader = self.statement.reader()
        for parameter in self.statement.parameters:
            direction = Direction(parameter)
            kind = sp.IndexedBase if isinstance(parameter, ARRAYS) else sp.Symbol
            self.reader.arrays[direction] = kind(direction.name)

    def __call__(self, node: Node) -> str | None:
        if node.op != "sum":
            return None
        environment: dict[Index, sp.Expr] = {index: sp.Symbol(self.printer._name(index)) for index in node.indices}
        try:
            written = str(self.reader.expression(node, environment))
        except (KeyError, ValueError):  # a head of generated code, which no notation has
            return None
        return written if len(written) <= 88 and written.isascii() else None


def helper_sources(names: set[str]) -> list[str]:
    """The source of the helpers that kernels call, as exact functions."""
    return [f"@exact\n{_SOURCES[name]}" for name in sorted(names)]


def helper_text(name: str) -> str:
    """The source of a helper, as plain Python."""
    return _SOURCES[name]


def has_helper(name: str) -> bool:
    """Whether there is a helper of this name."""
    return name in _SOURCES


def _helper_texts() -> dict[str, str]:
    """The source of each helper without remarks for the type checker, from one reading of the module's text."""
    text = inspect.getsource(scalar).replace("  # type: ignore[no-untyped-def]", "")
    functions = ("def " + part.strip() + "\n" for part in text.split("\n\n\ndef ")[1:])
    return {function[4 : function.index("(")]: function for function in functions}


# read once, so that all kernels of a process agree
_SOURCES = _helper_texts()
