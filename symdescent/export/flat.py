"""The canonical program of an optimizer that compares points: the loss on one flat vector, and the search on it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from symdescent.codegen.names import Names
from symdescent.codegen.program import Direction, has_helper, second_order
from symdescent.export.canonical import ARRAY, COUNT, NUMBER, Argument, Function, Writer
from symdescent.export.searches import SEARCH, search
from symdescent.methods.kinds import SHAPES
from symdescent.methods.text import FLAT, calls, flat_calls, in_loops, library, needed
from symdescent.optimizers import LBFGS
from symdescent.statement import Statement

_KINDS = {"int": COUNT, "float": NUMBER}


class FlatWriter(Writer):
    """Writes the functions of a search after those of the loss."""

    def __init__(self, statement: Statement, optimizer: Any, quadratic: bool) -> None:
        self.loop = search(optimizer, quadratic)
        self.texts = needed(calls(self.loop))
        super().__init__(statement, None, (*self.texts, *FLAT.values(), SEARCH, "hessian_vector_product"))
        self.optimizer = optimizer
        self.given = [argument.name for argument in self.data]

    def descent(self) -> tuple[list[Function], dict[str, float]]:
        """The loss on a flat vector, what the search calls, the search, and the descent around it."""
        asked = flat_calls(self.texts) | {n.attr for n in ast.walk(self.loop) if isinstance(n, ast.Attribute)}
        functions = [self._value_at()] if "value" in asked else []
        functions += [self._gradient_at()] if "gradient" in asked else []
        functions += [self._product(), self._curvature_at()] if "curvature" in asked else []
        texts = [*(library()[name] for name in self.texts), self.loop]
        functions += [self._text(function) for function in texts]
        self.writer.helpers |= {name for function in texts for name in calls(function) if has_helper(name)}
        return [*functions, self._around()], {}

    def _text(self, function: ast.FunctionDef) -> Function:
        """A function of `symdescent.methods` for this loss."""
        text = in_loops(function, self.given)
        data = {argument.name: argument for argument in self.data}
        arguments = []
        for name, kind in text.arguments:
            shape = tuple(length.replace("n", text.size) for length in SHAPES.get(kind, ()))
            arguments.append(data[name] if kind == "data" else Argument(name, _KINDS.get(kind, ARRAY), shape))
        said = text.said if text.said.endswith(".") else f"{text.said}."
        plain = isinstance(self.optimizer, LBFGS) and function is self.loop
        return Function(text.name, tuple(arguments), (), said, text.lines, text.returns, not plain, True)

    # -- the loss on a flat vector --------------------------------------------------------------------------------

    @property
    def _is_flat(self) -> bool:
        """Whether the only parameter is a flat vector already."""
        return len(self.parameters) == 1 and len(self.parameters[0].shape) == 1

    def _value_at(self) -> Function:
        layout = _Layout(self._fresh_names(), self.parameters)
        x = layout.vector("x")
        called = ", ".join([*layout.names(x), *self.given])
        lines = [*layout.unpacked(x), f"loss = value({called})"]
        said = "The loss on one flat vector."
        return Function("value_at", (x, *self.data), ("loss",), said, tuple(lines), internal=True)

    def _gradient_at(self) -> Function:
        layout = _Layout(self._fresh_names(), self.parameters)
        x, slope = layout.vector("x"), layout.vector("slope")
        outputs = [self._slope(parameter) for parameter in self.parameters]
        arrays = layout.names(slope, outputs) if self._is_flat else [a.name for a in outputs if a.shape]
        results = ", ".join(["loss", *(a.name for a in outputs if not a.shape)])
        called = ", ".join([*layout.names(x), *self.given, *arrays])
        lines = [
            *layout.unpacked(x),
            *layout.made(outputs),
            f"{results} = value_and_gradient({called})",
            *layout.packed(slope, outputs),
        ]
        said = "The loss on one flat vector; its gradient is left in the second argument."
        return Function("gradient_at", (x, slope, *self.data), ("loss",), said, tuple(lines), internal=True)

    def _slope(self, argument: Argument) -> Argument:
        parameter = self.statement.parameters[self.parameters.index(argument)]
        return self._gradient(argument, parameter)

    def _product(self) -> Function:
        """The Hessian times a direction, by parameter."""
        names = self._fresh_names()
        directions = tuple(map(Direction, self.statement.parameters))
        known = {direction: names.of(direction, "direction") for direction in directions}
        signature = replace(self.signature, directions=directions, names={**self.signature.names, **known})
        printer = self.writer.printer(names, signature, [], second_order(self.statement))
        body, start = printer.lines(), []
        for parameter, argument in self._pairs():
            gradient = signature.gradients[parameter]
            if argument.shape:
                start.append(f"{gradient}[:] = 0.0")
            elif parameter not in printer.once:
                start.append(f"{gradient} = 0.0")
        self.writer.helpers |= printer.helpers
        along = [Argument(known[d], a.kind, a.shape) for d, a in zip(directions, self.parameters, strict=True)]
        outputs = [self._slope(a) for a in self.parameters if a.shape]
        results = tuple(self._slope(a).name for a in self.parameters if not a.shape)
        return Function(
            "hessian_vector_product",
            (*self.parameters, *along, *self.data, *outputs),
            results,
            "The Hessian times a direction.",
            (*printer.allocations, *start, *body),
            internal=True,
        )

    def _curvature_at(self) -> Function:
        layout = _Layout(self._fresh_names(), self.parameters)
        x, direction, product = map(layout.vector, ("x", "direction", "product"))
        along = [replace(a, name=layout.fresh(f"d_{a.name}")) for a in self.parameters]
        outputs = [self._slope(parameter) for parameter in self.parameters]
        arrays = layout.names(product, outputs) if self._is_flat else [a.name for a in outputs if a.shape]
        results = ", ".join(a.name for a in outputs if not a.shape)
        moved = layout.names(direction, along)
        called = ", ".join([*layout.names(x), *moved, *self.given, *arrays])
        lines = [
            *layout.unpacked(x),
            *layout.unpacked(direction, along),
            *layout.made(outputs),
            f"{results} = hessian_vector_product({called})" if results else f"hessian_vector_product({called})",
            *layout.packed(product, outputs),
        ]
        said = "The Hessian times a direction, on flat vectors: it is left in the third argument."
        return Function("curvature_at", (x, direction, product, *self.data), (), said, tuple(lines), internal=True)

    def _around(self) -> Function:
        layout = _Layout(self._fresh_names(), self.parameters)
        x, size = layout.vector("x"), layout.fresh("size")
        called = ", ".join([*([self.parameters[0].name] if self._is_flat else [x.name]), size, "steps", *self.given])
        lines = [f"{size} = {layout.size}"]
        lines += [] if self._is_flat else [f"{x.name} = np.empty({size})", *layout.packed(x)]
        lines += [f"{SEARCH}({called})"]
        lines += [] if self._is_flat else layout.unpacked(x, make=False)
        lines.append(f"loss = value({', '.join([*(a.name for a in self.parameters), *self.given])})")
        return self.descend_function(tuple(lines), jitted=not isinstance(self.optimizer, LBFGS))


@dataclass(slots=True)
class _Layout:
    """Where the parameters lie in a flat vector, and the statements that copy them to and fro."""

    taken: Names
    parameters: Sequence[Argument]
    letters: list[str] = field(default_factory=list)

    def fresh(self, name: str) -> str:
        """A name of one's own."""
        return self.taken.fresh(name, name)

    def vector(self, name: str) -> Argument:
        """A flat vector of all parameters."""
        return Argument(self.fresh(name), ARRAY, (self.size,))

    @property
    def size(self) -> str:
        """The number of entries of all parameters."""
        return _sum([_product(argument.shape) for argument in self.parameters])

    @property
    def is_flat(self) -> bool:
        """Whether the only parameter is a flat vector already."""
        return len(self.parameters) == 1 and len(self.parameters[0].shape) == 1

    def names(self, vector: Argument, parts: Sequence[Argument] | None = None) -> list[str]:
        """What stands for the parameters, or for numbers of their shapes, in a call."""
        return [vector.name] if self.is_flat else [part.name for part in parts or self.parameters]

    def made(self, parts: Sequence[Argument]) -> list[str]:
        """Arrays of the parameters' shapes."""
        return [] if self.is_flat else [f"{a.name} = np.empty({_tuple(a.shape)})" for a in parts if a.shape]

    def unpacked(self, vector: Argument, parts: Sequence[Argument] | None = None, make: bool = True) -> list[str]:
        """The parameters (or `parts`) from a vector."""
        if self.is_flat:
            return []
        parts = parts or self.parameters
        lines = self.made(parts) if make else []
        for entry, position, pads in self._entries(parts):
            lines += [*pads, f"{'    ' * len(pads)}{entry} = {vector.name}[{position}]"]
        return lines

    def packed(self, vector: Argument, parts: Sequence[Argument] | None = None) -> list[str]:
        """A vector from the parameters."""
        lines: list[str] = []
        for entry, position, pads in () if self.is_flat else self._entries(parts or self.parameters):
            lines += [*pads, f"{'    ' * len(pads)}{vector.name}[{position}] = {entry}"]
        return lines

    def _entries(self, parts: Sequence[Argument]) -> Iterator[tuple[str, str, list[str]]]:
        """For each part an entry, its place in the vector, and the loops around both."""
        before: list[str] = []
        self.letters = self.letters or [self.taken.fresh(letter, letter) for letter in "klmpr"]
        for part in parts:
            places = self.letters[: len(part.shape)]
            position = ""
            for place, length in zip(places, part.shape, strict=True):
                position = f"{_factor(position)} * {_factor(length)} + {place}" if position else place
            entry = f"{part.name}[{', '.join(places)}]" if places else part.name
            loops = [f"{'    ' * k}for {p} in range({part.shape[k]}):" for k, p in enumerate(places)]
            yield entry, _sum([*before, *([position] if position else [])]) if before or position else "0", loops
            before.append(_product(part.shape))


def _factor(text: str) -> str:
    return text if text.isidentifier() or text.isdigit() else f"({text})"


def _product(lengths: Sequence[str]) -> str:
    return " * ".join(map(_factor, lengths)) if len(lengths) > 1 else lengths[0] if lengths else "1"


def _sum(terms: Sequence[str]) -> str:
    whole = sum(int(term) for term in terms if term.isdigit())
    named = [term for term in terms if not term.isdigit()]
    return " + ".join([*named, *([str(whole)] if whole or not named else [])])


def _tuple(shape: Sequence[str]) -> str:
    return shape[0] if len(shape) == 1 else f"({', '.join(shape)})"
