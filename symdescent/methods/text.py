"""The text of searches: which functions one needs, and how they read where there is no object `loss`.

In a program for loops, ``loss.value(x)`` is a call of the function ``value_at``, which takes the data after its own
arguments; whoever calls it takes them too.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Collection, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache

from symdescent.methods import algebra, arrays, chance, line, newton, simplex

FLAT = {"value": "value_at", "gradient": "gradient_at", "curvature": "curvature_at"}


@dataclass(frozen=True, slots=True)
class Text:
    """A function: its name, what it says of itself, arguments with their kinds, its result's kind,
    the name of the vectors' length, its statements.
    """

    name: str
    said: str
    arguments: tuple[tuple[str, str], ...]
    returns: str
    size: str
    lines: tuple[str, ...]


@lru_cache(maxsize=2)
def library(by_numpy: bool = False) -> dict[str, ast.FunctionDef]:
    """All functions by name, with the algebra of loops or by NumPy."""
    modules = (arrays if by_numpy else algebra, line, newton, simplex, chance)
    trees = [ast.parse(inspect.getsource(module)) for module in modules]
    return {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}


def needed(names: Iterable[str], by_numpy: bool = False) -> list[str]:
    """The functions with these names and all that they call, those that are called first."""
    known, found = library(by_numpy), dict[str, None]()

    def visit(name: str) -> None:
        if name in found or name not in known:
            return
        for called in calls(known[name]):
            visit(called)
        found[name] = None

    for name in names:
        visit(name)
    return list(found)


def calls(tree: ast.AST) -> list[str]:
    """The names of the functions that are called, also through ``algebra``."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                found.append(node.func.id)
            elif isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "algebra":
                found.append(node.func.attr)
    return found


def flat_calls(names: Iterable[str]) -> set[str]:
    """Which of ``value``, ``gradient`` and ``curvature`` some functions ask of the loss."""
    found = set()
    for name in names:
        for node in ast.walk(library()[name]):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "loss":
                found.add(node.attr)
    return found


def in_loops(function: ast.FunctionDef, data: Sequence[str]) -> Text:
    """A function in the subset without objects and whole vectors; `data` is what a loss needs beside its vector."""
    tree = deepcopy(function)
    kinds = {each.arg: ast.unparse(each.annotation) for each in tree.args.args if each.annotation is not None}
    takes_data = any(each.arg == "loss" for each in tree.args.args)
    kinds = {name: kind for name, kind in kinds.items() if name not in ("loss", "algebra")}
    body = tree.body[1:] if ast.get_docstring(tree) else tree.body
    vectors = {name for name, kind in kinds.items() if kind == "Vector"} | set(_made_vectors(body))
    used = {node.id for part in body for node in ast.walk(part) if isinstance(node, ast.Name)} | set(kinds)
    renamed = _apart(used - set(library()), data if takes_data else ())
    place = next(letter for letter in ("q", "r", "entry", "q_") if letter not in used and letter not in data)
    passes = (_Plain(), _Loops(vectors, place), _WithoutObjects(data), _Renamed(renamed))
    lines = []
    for statement in body:
        for step in passes:
            statement = ast.fix_missing_locations(step.visit(statement))
        lines += ast.unparse(statement).split("\n")
    arguments = [(renamed.get(name, name), kind) for name, kind in kinds.items()]
    arguments += [(name, "data") for name in data] if takes_data else []
    returns = ast.unparse(function.returns) if function.returns is not None else "None"
    return Text(function.name, _said(function), tuple(arguments), returns, renamed.get("n", "n"), tuple(lines))


def by_arrays(function: ast.FunctionDef) -> str:
    """A function as it is written here, without the remarks on kinds and the name of the algebra."""
    tree = deepcopy(function)
    tree.args.args = [ast.arg(each.arg) for each in tree.args.args if each.arg != "algebra"]
    tree.returns = None
    return ast.unparse(ast.fix_missing_locations(_WithoutAlgebra().visit(_Plain().visit(tree)))) + "\n"


def _said(function: ast.FunctionDef) -> str:
    return " ".join((ast.get_docstring(function) or "").split("\n\n")[0].split())


def _made_vectors(body: Sequence[ast.stmt]) -> Iterator[str]:
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Assign) and ast.unparse(node.value) == "np.empty(n)":
                yield ast.unparse(node.targets[0])


def _apart(names: Collection[str], data: Collection[str]) -> dict[str, str]:
    """Other names for those that the data have."""
    taken, found = {*names, *data}, {}
    for name in sorted(set(names) & set(data)):
        new = name
        while new in taken:
            new += "_"
        taken.add(new)
        found[name] = new
    return found


class _Plain(ast.NodeTransformer):
    """Assignments without types; what counts only turns has a name."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        assert node.value is not None
        return ast.Assign([node.target], node.value)

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name("turn") if node.id == "_" else node


class _Loops(ast.NodeTransformer):
    """Whole vectors entry by entry."""

    def __init__(self, vectors: Collection[str], place: str) -> None:
        self.vectors, self.place = vectors, place

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        (target,) = node.targets
        if not isinstance(target, ast.Subscript):
            return node
        places = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
        if not isinstance(places[-1], ast.Slice):
            return node
        places[-1] = ast.Name(self.place)
        target.slice = ast.Tuple(places) if len(places) > 1 else places[0]
        value = _Entries(self.vectors, self.place).visit(node.value)
        return ast.parse(f"for {self.place} in range(n):\n    {ast.unparse(target)} = {ast.unparse(value)}").body[0]


class _Entries(ast.NodeTransformer):
    def __init__(self, vectors: Collection[str], place: str) -> None:
        self.vectors, self.place = vectors, place

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Subscript(node, ast.Name(self.place)) if node.id in self.vectors else node


class _WithoutObjects(ast.NodeTransformer):
    """Calls of functions in the place of the objects `loss` and `algebra`."""

    def __init__(self, data: Sequence[str]) -> None:
        self.data = data

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        takes_data = any(isinstance(each, ast.Name) and each.id == "loss" for each in node.args)
        node.args = [each for each in node.args if not (isinstance(each, ast.Name) and each.id in ("loss", "algebra"))]
        if isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            if owner == "loss":
                node.func, takes_data = ast.Name(FLAT[node.func.attr]), True
            elif owner == "algebra":
                node.func = ast.Name(node.func.attr)
        node.args += [ast.Name(f"\0{name}") for name in self.data] if takes_data else []
        return node


class _WithoutAlgebra(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        node.args = [each for each in node.args if not (isinstance(each, ast.Name) and each.id == "algebra")]
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "algebra":
            node.func = ast.Name(node.func.attr)
        return node


class _Renamed(ast.NodeTransformer):
    """Other names for some; the data, which were marked, keep theirs."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if node.id.startswith("\0"):
            return ast.Name(node.id[1:])
        return ast.Name(self.names.get(node.id, node.id))
