"""Long losses that are written out: a table of operations, carried out by one small compiled loop.

Thousands of statements would take a compiler minutes. A loss without indices that is longer than `LONGEST` (see
`is_long`) is therefore not printed as code but as a table
``result[t] = operation(result[a[t]], result[b[t]], result[c[t]])``; the loop that reads the table is made from the
table of elementary functions and compiled once for all losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdescent.codegen.expand import expand
from symdescent.codegen.program import HEADER, helper_sources
from symdescent.codegen.scalar_printer import HELPERS
from symdescent.elementary import TABLE
from symdescent.graph import REDUCTIONS, Graph, Node, reachable

LONGEST = 400

# name -> expression in x, y, z; the place in the table is the operation's code
OPERATIONS: dict[str, str] = {
    "add": "x + y",
    "mul": "x * y",
    "difference": "x - y",
    "complement": "1.0 - x",
    "negate": "-x",
    "square": "x * x",
    "reciprocal": "1.0 / x",
    "power": "x ** y",
    "select": "y if x != 0.0 else z",
    "less": "1.0 if x < y else 0.0",
    "less_equal": "1.0 if x <= y else 0.0",
    "equal": "1.0 if x == y else 0.0",
    "not": "1.0 - x",
    "all": "x * y",
    "any": "x if x != 0.0 else y",
    "max": "maximum(x, y)",
    "min": "minimum(x, y)",
    "exp_difference": "exp_difference(x, y)",
    **{row.name: row.python.format("x", "y") for row in TABLE.values() if row.arity <= 2},
}
_CODES = {name: code for code, name in enumerate(OPERATIONS)}


def is_long(root: Node) -> bool:
    """Whether a loss has no loops, and too much in it to be printed as statements.

    What it costs a compiler is counted: an operation 1, a comparison or choice 4, a helper of ours, which is compiled
    into its place, 8; a symbol 2, because a descent has statements for each.
    """
    cost = 0
    for node in reachable([root]):
        if node.op in REDUCTIONS or node.op == "index":
            return False
        if node.op == "load" and any(place.number is None for place in node.args):
            return False
        cost += _cost(node)
    return cost > LONGEST


def _cost(node: Node) -> int:
    if node.op in ("const", "load"):
        return 0
    if node.op == "symbol":
        return 2
    operations = max(1, len(node.args) - 1)
    if node.op == "call":
        name = TABLE[node.payload].python.split("(")[0] if node.payload in TABLE else ""
        return (1 if name.startswith("math.") else 8) * operations
    return (1 if node.op in ("add", "mul", "power") else 4) * operations


@dataclass(frozen=True, slots=True)
class Tape:
    """A table of operations on one array of numbers: leaves, then constants, then results.

    `leaves` are the scalars and array entries ``(thing, places)`` in their order; `outputs` where the roots are found.
    """

    leaves: tuple[tuple[Any, tuple[int, ...]], ...]
    constants: Any
    code: Any
    a: Any
    b: Any
    c: Any
    outputs: Any

    def values(self) -> Any:
        """A fresh array of numbers with the constants in place."""
        numbers = np.zeros(len(self.leaves) + len(self.constants) + len(self.code))
        numbers[len(self.leaves) : len(self.leaves) + len(self.constants)] = self.constants
        return numbers

    @property
    def first(self) -> int:
        """The place of the first result."""
        return len(self.leaves) + len(self.constants)


def record(graph: Graph, roots: Sequence[Node]) -> Tape:
    """Write the computation of closed nodes as a table."""
    roots = expand(graph, roots)
    nodes = list(reachable(roots))
    recorder = _Recorder()
    leaves = [node for node in nodes if node.op in ("symbol", "load")]
    recorder.places = {leaf: place for place, leaf in enumerate(leaves)}
    inner = [node for node in nodes if node.op not in ("symbol", "load")]
    recorder.start(len(leaves), inner)
    for node in inner:
        if node.op != "const":
            recorder.places[node] = recorder.operation(node)
    columns = [np.array(column, dtype=np.int64) for column in zip(*recorder.rows, strict=True)] or [
        np.zeros(0, np.int64)
    ] * 4
    described = tuple((leaf.payload, tuple(int(p.number or 0) for p in leaf.args)) for leaf in leaves)
    outputs = np.array([recorder.places[root] for root in roots], dtype=np.int64)
    return Tape(described, np.array(recorder.constants), columns[0], columns[1], columns[2], columns[3], outputs)


class _Recorder:
    """Collects the rows of the table; n-ary operations become chains of binary ones."""

    def __init__(self) -> None:
        self.places: dict[Node, int] = {}
        self.rows: list[tuple[int, int, int, int]] = []
        self.constants: list[float] = []
        self._first = 0

    def start(self, leaves: int, nodes: Sequence[Node]) -> None:
        """Lay out the constants after the leaves."""
        for node in nodes:
            if node.op == "const":
                self.places[node] = leaves + len(self.constants)
                self.constants.append(float(node.payload))
        self._first = leaves + len(self.constants)

    def emit(self, name: str, a: int, b: int = 0, c: int = 0) -> int:
        """Append one operation; return where its result will be."""
        self.rows.append((_CODES[name], a, b, c))
        return self._first + len(self.rows) - 1

    def operation(self, node: Node) -> int:
        """Append the operations of one node."""
        args = [self.places[argument] for argument in node.args]
        if node.op == "power":
            return self._power(node, args)
        if node.op == "call" and node.payload == "centred":
            return self._centred(args)
        name = node.payload if node.op == "call" else node.op
        if name in ("add", "mul", "all", "any", "max", "min"):
            place = args[0]
            for argument in args[1:]:
                place = self.emit(name, place, argument)
            return place
        return self.emit(name, *args)

    def _power(self, node: Node, args: list[int]) -> int:
        exponent = node.args[1].number
        if isinstance(exponent, int) and abs(exponent) <= 64:
            place = self._whole_power(args[0], abs(exponent))
            return self.emit("reciprocal", place) if exponent < 0 else place
        return self.emit("power", *args)

    def _whole_power(self, base: int, exponent: int) -> int:
        """Repeated squaring."""
        if exponent == 1:
            return base
        half = self._whole_power(base, exponent // 2)
        squared = self.emit("square", half)
        return self.emit("mul", squared, base) if exponent % 2 else squared

    def _centred(self, args: list[int]) -> int:
        """-(a expm1(s) + p (A - a)), as `symdescent.elementary.scalar.centred` has it."""
        a, whole, log_share, share = args
        rest = self.emit("mul", share, self.emit("difference", whole, a))
        return self.emit("negate", self.emit("add", self.emit("mul", a, self.emit("expm1", log_share)), rest))


def interpreter_function() -> str:
    """The kernel ``run``, which carries out a table."""
    lines = [
        "@fast",
        "def run(code, a, b, c, values, first):",
        '    """Carry out the operations of a table, one after the other."""',
        "    for t in range(code.shape[0]):",
        "        operation = code[t]",
        "        x = values[a[t]]",
        "        y = values[b[t]]",
        "        z = values[c[t]]",
    ]
    word = "if"
    for name, expression in OPERATIONS.items():
        lines += [f"        {word} operation == {_CODES[name]}:  # {name}", f"            result = {expression}"]
        word = "elif"
    lines += ["        else:", "            result = math.nan", "        values[first + t] = result"]
    return "\n".join(lines) + "\n"


def interpreter_source() -> str:
    """The module with the kernel ``run``."""
    title = '"""The loop that carries out tables of operations: losses that are too long to be printed as code."""'
    parts = [title, HEADER, *helper_sources(set(HELPERS)), interpreter_function()]
    return "\n\n".join(part.strip("\n") + "\n" for part in parts)
