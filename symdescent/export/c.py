"""The target ``c``: C99, one file, which compiles to a program that tries it and to a library alike."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from symdescent.codegen.program import helper_text
from symdescent.export.c_expressions import ARITHMETIC, DOUBLE, LONG, Expressions, c_name, c_number
from symdescent.export.canonical import ARRAY, COUNT, DATA, NUMBER, POSITIONS, Argument, Function, Program
from symdescent.export.lines import Line, read, statements


def c(program: Program, values: Mapping[str, Any] | None, title: Sequence[str]) -> str:
    """A C99 file."""
    signatures = {function.name: function for function in program.functions}
    helpers = [_Helper(name) for name in program.helpers]
    parts = [
        "/* " + "\n   ".join(title) + " */\n",
        "#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\n",
        "".join(f"static const double {c_name(n)} = {c_number(v)};\n" for n, v in program.constants.items()),
        "".join(f"{helper.head()};\n" for helper in helpers),
        *(helper.text() for helper in helpers),
        *(_Function(function, signatures).text() for function in program.functions),
        _main(program, values) if values is not None else "",
    ]
    text = text_of(parts)
    used = "\n".join(own for name, own in _OWN.items() if f"{name}(" in text)
    return text.replace(
        "#include <stdlib.h>\n", f"#include <stdlib.h>\n\n{used}" if used else "#include <stdlib.h>\n", 1
    )


def text_of(parts: Sequence[str]) -> str:
    """What was written so far."""
    return "\n".join(part for part in parts if part)


_OWN = {
    "square": "static double square(double x) { return x * x; }\n",
    "cube": "static double cube(double x) { return x * x * x; }\n",
    "remainder_of": """/* The remainder with the sign of the divisor. */
static long remainder_of(long a, long b) {
    long r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
""",
}


# libraries of the system have functions called step and value, which a shared library would call in our place
_RETURNS = {"None": "void", "float": DOUBLE, "int": LONG}
_FUNCTIONS = {"value": "loss_value", "step": "descent_step"}


# -- functions --------------------------------------------------------------------------------------------------------


class _Body:
    """The statements of one function in C."""

    def __init__(self, expressions: Expressions, known: Iterable[str], functions: Mapping[str, Function]) -> None:
        self.expressions, self.functions = expressions, functions
        self.known = set(known)
        self.declared: dict[str, str] = {}
        self.buffers: list[str] = []
        self.tables: dict[str, str] = {}

    def lines(self, lines: Sequence[Line]) -> list[str]:
        """The statements, with declarations in front."""
        self._infer(lines)
        body: list[str] = []
        depth = 0
        for line in lines:
            while depth > line.depth:
                depth -= 1
                closing = "    " * depth + "}"
                if depth == line.depth and (line.text == "else:" or line.text.startswith("elif ")):
                    break
                body.append(closing)
            pad = "    " * line.depth
            body += [pad + text for text in self._statement(line)]
            depth = line.depth + line.is_header
        body += ["    " * level + "}" for level in range(depth - 1, -1, -1)]
        kinds = {kind: [n for n, k in self.declared.items() if k == kind] for kind in (DOUBLE, LONG)}
        start = [line for kind, names in kinds.items() for line in _declarations(kind, list(map(c_name, names)))]
        return [*self.tables.values(), *start, *body]

    def _infer(self, lines: Sequence[Line]) -> None:
        """Which names are whole numbers: those that are only ever given whole numbers."""
        kinds = self.expressions.kinds
        values: dict[str, list[ast.expr | None]] = {}
        for line in lines:
            node = line.node
            if isinstance(node, ast.For):
                values.setdefault(ast.unparse(node.target), []).append(None)
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    parts = target.elts if isinstance(target, ast.Tuple) else [target]
                    for part in parts:
                        if isinstance(part, ast.Name):
                            plain = node.value if not isinstance(target, ast.Tuple) else ast.Constant(0.0)
                            values.setdefault(part.id, []).append(plain)
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                values.setdefault(node.target.id, []).append(node.value)
        buffers = {
            name for name, found in values.items() if any(_is_buffer(v) or isinstance(v, ast.Tuple) for v in found)
        }
        new = [name for name in values if name not in self.known and name not in buffers]
        kinds |= dict.fromkeys(new, LONG)
        changed = True
        while changed:
            changed = False
            for name in new:
                if kinds[name] == LONG and any(
                    v is not None and self.expressions.kind(v) == DOUBLE for v in values[name]
                ):
                    kinds[name], changed = DOUBLE, True
        self.declared = {name: kinds[name] for name in new}

    def _statement(self, line: Line) -> list[str]:
        node, write = line.node, self.expressions.text
        if line.text.startswith("#"):
            return [f"/* {line.text[1:].strip().replace('*/', '* /')} */"]
        if line.text == "else:":
            return ["} else {"]
        if isinstance(node, ast.If):
            return [f"{'} else if' if line.text.startswith('elif ') else 'if'} ({write(node.test)}) {{"]
        if isinstance(node, ast.While):
            return [f"while ({write(node.test)}) {{"]
        if isinstance(node, ast.For):
            assert isinstance(node.iter, ast.Call)
            name, bounds = c_name(ast.unparse(node.target)), node.iter.args
            low, high = (write(bounds[0]), bounds[1]) if len(bounds) > 1 else ("0", bounds[0])
            return [f"for ({name} = {low}; {name} < {write(high, 1)}; {name}++) {{"]
        if isinstance(node, ast.AugAssign):
            sign = ARITHMETIC[type(node.op)][0]
            return [f"{write(node.target)} {sign}= {write(node.value)};"]
        if isinstance(node, ast.Break):
            return ["break;"]
        if isinstance(node, ast.Return):
            return [f"return {write(node.value)};" if node.value is not None else "return;"]
        if isinstance(node, ast.Expr):
            return [f"{self._called(node.value, ())};"]
        assert isinstance(node, ast.Assign), line.text
        return self._assign(node)

    def _assign(self, node: ast.Assign) -> list[str]:
        (target,) = node.targets
        value, write = node.value, self.expressions.text
        if isinstance(value, ast.Tuple):  # the constants of a helper
            entries = ", ".join(write(entry) for entry in value.elts)
            self.tables[ast.unparse(target)] = f"static const double {ast.unparse(target)}[] = {{{entries}}};"
            return []
        if _is_buffer(value):
            assert isinstance(target, ast.Name) and isinstance(value, ast.Call)
            return [self._buffer(target.id, value)]
        if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice):
            name = ast.unparse(target.value)
            size = _product(self.expressions.shapes[name])
            return [f"for (long entry_ = 0; entry_ < {size}; entry_++) {c_name(name)}[entry_] = {write(value)};"]
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        if isinstance(value, ast.Call) and ast.unparse(value.func) in self.functions:
            return [f"{write(names[0])} = {self._called(value, [ast.unparse(name) for name in names[1:]])};"]
        return [f"{write(target)} = {write(value)};"]

    def _called(self, value: ast.expr, further: Sequence[str]) -> str:
        """A call of another function: results after the first are left where pointers say."""
        assert isinstance(value, ast.Call)
        given = [c_name(ast.unparse(argument)) for argument in value.args]
        name = ast.unparse(value.func)
        return f"{_FUNCTIONS.get(name, name)}({', '.join([*given, *(f'&{c_name(name)}' for name in further)])})"

    def _buffer(self, name: str, value: ast.Call) -> str:
        shape = value.args[0]
        if isinstance(shape, ast.Attribute):
            lengths = tuple(self.expressions.shapes[ast.unparse(shape.value)])
        else:
            lengths = tuple(
                self.expressions.text(part) for part in (shape.elts if isinstance(shape, ast.Tuple) else [shape])
            )
        self.expressions.shapes = {**self.expressions.shapes, name: lengths}
        self.buffers.append(name)
        make = "calloc" if ast.unparse(value.func) == "np.zeros" else "malloc"
        size = _product(lengths)
        amount = f"{size}, sizeof(double)" if make == "calloc" else f"{size} * sizeof(double)"
        return f"double *{c_name(name)} = {make}({amount});"


def _declarations(kind: str, names: Sequence[str]) -> list[str]:
    """The declaration of some names, in lines that can be read."""
    lines = textwrap.wrap(", ".join(names), 100)
    return [f"{kind} {line.rstrip(',')};" for line in lines]


def _is_buffer(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func) in ("np.empty", "np.zeros")


def _product(lengths: Sequence[str]) -> str:
    """The number of entries, as a size."""
    parts = [length if re.fullmatch(r"\w+", length) else f"({length})" for length in lengths]
    return " * ".join(parts) if len(parts) > 1 else parts[0]


class _Function:
    """A function of the program."""

    def __init__(self, function: Function, functions: Mapping[str, Function]) -> None:
        self.function, self.functions = function, functions
        arguments = function.arguments
        self.kinds = {argument.name: LONG if argument.kind == COUNT else DOUBLE for argument in arguments}
        for argument in arguments:
            self.kinds |= {length: LONG for length in argument.shape if length.isidentifier()}
        shapes = {argument.name: tuple(map(_lengths, argument.shape)) for argument in arguments if argument.shape}
        positions = [argument.name for argument in arguments if argument.kind == POSITIONS]
        whole = [name for name, other in functions.items() if other.returns == "int"]
        self.expressions = Expressions(self.kinds, shapes, positions, whole)

    def text(self) -> str:
        """The whole function."""
        function = self.function
        body = _Body(self.expressions, self.kinds, self.functions)
        first, *further = function.results or ("",)
        lines = body.lines(list(read(function.lines)))
        written = set(re.findall(r"\w+", "\n".join(lines)))
        unused = [name for name in map(c_name, (a.name for a in function.arguments)) if name not in written]
        lines = [f"(void){name};" for name in unused if name not in map(c_name, function.results)] + lines
        outs = [(name, f"{name}_out") for name in further]
        lines += [f"*{out} = {c_name(name)};" for name, out in outs]
        ended = [f"return {c_name(first)};"] if function.results else []
        ended = [lines.pop()] if function.returns != "None" else ended
        lines += [f"free({c_name(name)});" for name in body.buffers]
        lines += ended
        name = _FUNCTIONS.get(function.name, function.name)
        kind = DOUBLE if function.results else _RETURNS[function.returns]
        head = f"{'static ' if function.internal else ''}{kind} {name}({self._arguments(outs)}) {{"
        return f"/* {function.said} */\n{head}\n" + "".join(f"    {line}\n" for line in lines) + "}\n"

    def _arguments(self, outs: Sequence[tuple[str, str]]) -> str:
        kinds = {
            NUMBER: "double ",
            COUNT: "long ",
            ARRAY: "double *",
            DATA: "const double *",
            POSITIONS: "const long *",
        }
        parts = [f"{kinds[argument.kind]}{c_name(argument.name)}" for argument in self.function.arguments]
        return ", ".join([*parts, *(f"double *{out}" for _, out in outs)]) or "void"


def _lengths(length: str) -> str:
    """The length of an axis in C."""
    return Expressions({}, {}, ()).text(ast.parse(length, mode="eval").body)


class _Helper:
    """A helper: numbers in, a number out."""

    def __init__(self, name: str) -> None:
        self.name = name
        tree = ast.parse(helper_text(name)).body[0]
        assert isinstance(tree, ast.FunctionDef)
        self.tree = tree
        self.arguments = [argument.arg for argument in tree.args.args]

    def head(self) -> str:
        """The declaration."""
        return f"static double {c_name(self.name)}({', '.join(f'double {c_name(a)}' for a in self.arguments)})"

    def text(self) -> str:
        """The whole function."""
        expressions = Expressions(dict.fromkeys(self.arguments, DOUBLE), {}, ())
        body = _Body(expressions, self.arguments, {}).lines(list(read(statements(self.tree))))
        said = (ast.get_docstring(self.tree) or "").replace("`", "")
        return f"/* {said} */\n{self.head()} {{\n" + "".join(f"    {line}\n" for line in body) + "}\n"


# -- trying it --------------------------------------------------------------------------------------------------------


def _main(program: Program, values: Mapping[str, Any]) -> str:
    """A program that tries the functions on built-in numbers."""
    things = (*program.parameters, *program.data)
    lines = [_declared(argument, values[argument.name]) for argument in things]
    given = ", ".join(c_name(argument.name) for argument in things)
    numbers = [argument for argument in program.parameters if not argument.shape]
    arrays = [argument for argument in program.parameters if argument.shape]
    pointers = [f"&{c_name(argument.name)}" for argument in numbers]
    lines.append(f'printf("loss %.17g\\n", loss_value({given}));')
    shown = list(program.parameters)
    if not program.descends:
        slopes = [Argument(f"g_{argument.name}", argument.kind, argument.shape) for argument in program.parameters]
        for slope, argument in zip(slopes, program.parameters, strict=True):
            size = f"[{np.size(values[argument.name])}]" if argument.shape else ""
            lines.append(f"double {slope.name}{size};")
        outputs = [slope.name for slope, a in zip(slopes, program.parameters, strict=True) if a.shape]
        outputs += [f"&{slope.name}" for slope, a in zip(slopes, program.parameters, strict=True) if not a.shape]
        lines.append(f"value_and_gradient({', '.join([given, *outputs])});")
        values = {**values, **{s.name: values[a.name] for s, a in zip(slopes, program.parameters, strict=True)}}
        shown = slopes
    else:
        lines.append(f"double reached = descend({', '.join([given, '10', *pointers])});")
        lines.append('printf("after 10 steps %.17g\\n", reached);')
    for argument in shown:
        label = argument.name.replace("%", "%%")
        if argument.shape:
            count = np.size(values[argument.name])
            lines.append(f'printf("{label} =");')
            lines.append(
                f'for (long entry_ = 0; entry_ < {count}; entry_++) printf(" %.17g", {c_name(argument.name)}[entry_]);'
            )
            lines.append('printf("\\n");')
        else:
            lines.append(f'printf("{label} = %.17g\\n", {c_name(argument.name)});')
    assert arrays or numbers
    body = "".join(f"    {line}\n" for line in [*lines, "return 0;"])
    return f"/* Try it on built-in numbers. */\n#ifndef NO_MAIN\nint main(void) {{\n{body}}}\n#endif\n"


def _declared(argument: Argument, value: Any) -> str:
    name = c_name(argument.name)
    if argument.kind == COUNT:
        return f"long {name} = {int(value)};"
    if not argument.shape:
        return f"double {name} = {c_number(float(value))};"
    whole = argument.kind == POSITIONS
    entries = ", ".join(str(int(v)) if whole else c_number(float(v)) for v in np.ravel(value))
    return f"{'long' if whole else 'double'} {name}[] = {{{entries}}};"
