"""The targets that are Python with loops: ``numba``, which the program already is, and plain ``python`` on lists."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symdescent.codegen.program import HEADER, helper_text
from symdescent.export.canonical import COUNT, POSITIONS, Function, Program
from symdescent.export.lines import read


def numba(program: Program, values: Mapping[str, Any] | None) -> str:
    """A module for Numba."""
    scipy = "" if all(function.jitted for function in program.functions) else "\nfrom scipy.optimize import minimize"
    head = HEADER.rstrip().replace("\nfrom numba import njit", f"\nfrom numba import njit{scipy}")
    parts = [docstring(program.title), head]
    parts += [_constants(program)] if program.constants else []
    parts += [f"@exact\n{helper_text(name)}" for name in program.helpers]
    for function in program.functions:
        decorator = "@exact\n" if function.name == "step" or function.internal else "@fast\n"
        parts.append((decorator if function.jitted else "") + _function(function, function.lines))
    return _module([*parts, *_main(program, values, array="np.array")])


def python(program: Program, values: Mapping[str, Any] | None) -> str:
    """A module that needs nothing but ``math``: arrays are lists, matrices lists of rows."""
    parts = [docstring(program.title), "import math\n"]
    parts += [_constants(program)] if program.constants else []
    translated, used = [], set()
    for function in program.functions:
        lines, names = _plain_lines(function)
        used |= names
        translated.append(_function(function, lines))
    if not program.descends and any(argument.shape for argument in program.parameters):
        used.add("zeros_like")  # main calls it
    parts += [helper_text(name) for name in program.helpers]
    parts += [_LISTS[name] for name in _LISTS if name in used]
    return _module([*parts, *translated, *_main(program, values, array="")])


_LISTS = {
    "zeros_like": '''def zeros_like(a):
    """Zeros in the form of nested lists."""
    return [zeros_like(part) for part in a] if isinstance(a, list) else 0.0
''',
    "fill": '''def fill(a, value):
    """Put a number into every place of nested lists."""
    for k in range(len(a)):
        if isinstance(a[k], list):
            fill(a[k], value)
        else:
            a[k] = value
''',
}


# -- parts of modules -------------------------------------------------------------------------------------------------


def _module(parts: Sequence[str]) -> str:
    return "\n\n".join(part.strip("\n") + "\n" for part in parts)


def docstring(title: Sequence[str]) -> str:
    """The title of a module."""
    first, *rest = title
    if not rest:
        return f'"""{first}"""'
    return f'"""{first}\n\n' + "\n".join(rest) + '\n"""'


def _constants(program: Program) -> str:
    return "\n".join(f"{name} = {value!r}" for name, value in program.constants.items()) + "\n"


def _function(function: Function, lines: Sequence[str]) -> str:
    head = f"def {function.name}({', '.join(argument.name for argument in function.arguments)}):\n"
    body = [f'"""{function.said}"""', *lines]
    if function.results:
        body.append(f"return {', '.join(function.results)}")
    return head + "".join(f"    {line}\n" for line in body)


def _main(program: Program, values: Mapping[str, Any] | None, array: str) -> list[str]:
    """A function that tries the module on built-in numbers."""
    if values is None:
        return []
    lines = ['"""Try it on built-in numbers."""']
    for argument in (*program.parameters, *program.data):
        value = values[argument.name]
        if argument.kind == COUNT:
            lines.append(f"{argument.name} = {int(value)}")
        elif not argument.shape:
            lines.append(f"{argument.name} = {float(value)!r}")
        else:
            written = written_array(value, argument.kind == POSITIONS)
            lines.append(f"{argument.name} = {array}({written})" if array else f"{argument.name} = {written}")
    given = ", ".join(argument.name for argument in (*program.parameters, *program.data))
    lines.append(f'print("loss", value({given}))')
    numbers = [argument.name for argument in program.parameters if not argument.shape]
    arrays = [argument for argument in program.parameters if argument.shape]
    if not program.descends:
        like = "np.empty({}.shape)" if array else "zeros_like({})"
        gradients = [f"g_{argument.name}" for argument in arrays]
        lines += [f"{g} = {like.format(a.name)}" for g, a in zip(gradients, arrays, strict=True)]
        call = f"value_and_gradient({', '.join([given, *gradients])})"
        lines.append(f'print("loss and gradient", {", ".join([call, *gradients])})')
    else:
        lines.append(f"{', '.join(['loss', *numbers])} = descend({given}, 10)")
        lines.append('print("after 10 steps", loss)')
        lines += [f'print("{argument.name} =", {argument.name})' for argument in program.parameters]
    body = "".join(f"    {line}\n" for line in lines)
    return [f"def main():\n{body}", 'if __name__ == "__main__":\n    main()\n']


def written_array(value: Any, whole: bool) -> str:
    """An array as nested lists of numbers."""
    found = np.asarray(value)
    return str(found.astype(int).tolist() if whole else found.astype(float).tolist())


# -- plain Python -----------------------------------------------------------------------------------------------------


def _plain_lines(function: Function) -> tuple[list[str], set[str]]:
    """The statements with lists in the place of arrays, and the helpers that they call."""
    translator = _Lists()
    lines = []
    for line in read(function.lines):
        text = line.text
        if line.node is not None:
            node = translator.visit(line.node)
            if line.is_header:
                word = "elif" if text.startswith("elif") else None
                text = ast.unparse(node).split("\n")[0]
                text = text.replace("if ", "elif ", 1) if word else text
            else:
                text = ast.unparse(node)
        lines.append("    " * line.depth + text)
    return lines, translator.used


class _Lists(ast.NodeTransformer):
    """Entries of nested lists, lengths of lists, and no conversions: Python's numbers need none."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        if isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
            row: ast.expr = node.value.value
            for _ in range(int(ast.unparse(node.slice))):
                row = ast.Subscript(row, ast.Constant(0), ast.Load())
            return ast.Call(ast.Name("len", ast.Load()), [row], [])
        self.generic_visit(node)
        if isinstance(node.slice, ast.Tuple):
            entry: ast.expr = node.value
            for place in node.slice.elts:
                entry = ast.Subscript(entry, place, ast.Load())
            entry.ctx = node.ctx  # type: ignore[attr-defined]
            return entry
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func) in ("np.empty", "np.zeros"):
            return self._zeros(node.args[0])
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "float":
            return node.args[0]
        return node

    def _zeros(self, shape: ast.expr) -> ast.expr:
        if isinstance(shape, ast.Attribute):
            self.used.add("zeros_like")
            return ast.Call(ast.Name("zeros_like", ast.Load()), [shape.value], [])
        lengths = [self.visit(part) for part in (shape.elts if isinstance(shape, ast.Tuple) else [shape])]
        text = f"[0.0] * ({ast.unparse(lengths[-1])})"
        for length in reversed(lengths[:-1]):
            text = f"[{text} for _ in range({ast.unparse(length)})]"
        return ast.parse(text, mode="eval").body

    def visit_Assign(self, node: ast.Assign) -> Any:
        target = node.targets[0]
        if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice):
            self.used.add("fill")
            return ast.Expr(ast.Call(ast.Name("fill", ast.Load()), [target.value, self.visit(node.value)], []))
        self.generic_visit(node)
        return node
