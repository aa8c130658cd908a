"""The target ``javascript``: one file (ES2019) for browsers, as a ``<script>``, and for Node.js.

Arrays may be typed arrays or plain ones; a matrix is an array of rows.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from symdescent.codegen.program import helper_text
from symdescent.export.canonical import COUNT, POSITIONS, Function, Program
from symdescent.export.javascript_expressions import ARITHMETIC, js_name, js_number, text
from symdescent.export.lines import Line, read, statements
from symdescent.export.loops import written_array


def javascript(program: Program, values: Mapping[str, Any] | None, title: Sequence[str]) -> str:
    """A file of JavaScript."""
    parts = [
        "/*\n" + "".join(f"  {_remark(line)}".rstrip() + "\n" for line in title) + "*/",
        '"use strict";',
        "\n".join(f"const {js_name(name)} = {js_number(value)};" for name, value in program.constants.items()),
        *(helper(name) for name in program.helpers),
        *(function(each) for each in program.functions),
        _main(program, values),
        _exported(program, values is not None),
    ]
    whole = "\n\n".join(part for part in parts if part)
    own = "\n\n".join(runtime(whole))
    return whole.replace('"use strict";', f'"use strict";\n\n{own}' if own else '"use strict";', 1) + "\n"


# -- functions --------------------------------------------------------------------------------------------------------


def function(each: Function) -> str:
    """A function of the program: it returns a number, or an array of several."""
    arguments = [argument.name for argument in each.arguments]
    body = _body(list(read(each.lines)), arguments, each.results)
    if each.results:
        results = ", ".join(map(js_name, each.results))
        body.append(f"return {results};" if len(each.results) == 1 else f"return [{results}];")
    return _written(each.name, arguments, each.said, body)


def helper(name: str) -> str:
    """A helper that expressions call."""
    tree = ast.parse(helper_text(name)).body[0]
    assert isinstance(tree, ast.FunctionDef)
    arguments = [argument.arg for argument in tree.args.args]
    said = (ast.get_docstring(tree) or "").replace("`", "")
    return _written(name, arguments, said, _body(list(read(statements(tree))), arguments))


def _written(name: str, arguments: Sequence[str], said: str, body: Iterable[str]) -> str:
    head = f"/** {_remark(said)} */\nfunction {js_name(name)}({', '.join(map(js_name, arguments))}) {{\n"
    return head + "".join(f"  {line}\n" for line in body) + "}"


def _remark(said: str) -> str:
    """Text that ends neither a remark nor, within a page, the script."""
    return said.replace("*/", "* /").replace("</", "< /").replace("<!--", "< !--")


# -- statements -------------------------------------------------------------------------------------------------------


def _body(lines: Sequence[Line], arguments: Iterable[str], results: Iterable[str] = ()) -> list[str]:
    """The statements of a function, with declarations; the results are read after the last of them."""
    declared = _Declarations(lines, arguments, results)
    body = [f"let {', '.join(map(js_name, declared.above))};"] if declared.above else []
    depth = 0
    for place, line in enumerate(lines):
        while depth > line.depth:
            depth -= 1
            if depth == line.depth and (line.text == "else:" or line.text.startswith("elif ")):
                break
            body.append("  " * depth + "}")
        body += ["  " * line.depth + each for each in _statement(line, declared.words.get(place, ""))]
        depth = line.depth + line.is_header
    return [*body, *("  " * level + "}" for level in range(depth - 1, -1, -1))]


def _statement(line: Line, word: str) -> list[str]:
    """A statement; `word` declares what it assigns."""
    node = line.node
    if line.text.startswith("#"):
        return [f"// {_remark(line.text[1:].strip())}"]
    if line.text == "else:":
        return ["} else {"]
    if isinstance(node, ast.If):
        return [f"{'} else if' if line.text.startswith('elif ') else 'if'} ({text(node.test)}) {{"]
    if isinstance(node, ast.While):
        return [f"while ({text(node.test)}) {{"]
    if isinstance(node, ast.For):
        return [_loop(node, word)]
    if isinstance(node, ast.AugAssign):
        return [f"{text(node.target)} {ARITHMETIC[type(node.op)][0]}= {text(node.value)};"]
    if isinstance(node, ast.Return):
        return [f"return {text(node.value)};" if node.value is not None else "return;"]
    if isinstance(node, (ast.Break, ast.Continue)):
        return ["break;" if isinstance(node, ast.Break) else "continue;"]
    if isinstance(node, ast.Pass):
        return []
    if isinstance(node, ast.Expr):
        return [f"{text(node.value)};"]
    assert isinstance(node, ast.Assign), line.text
    return list(_assign(node, word))


def _assign(node: ast.Assign, word: str) -> Iterator[str]:
    target, *more = node.targets
    value = text(node.value)
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice):
        yield f"fill({text(target.value)}, {value});"
        return
    yield f"{word}{text(target)} = {value};"
    for other in more:
        yield f"{text(other)} = {text(target)};"


def _loop(node: ast.For, word: str) -> str:
    assert isinstance(node.iter, ast.Call)
    bounds = list(node.iter.args)
    name, step = text(node.target), 1
    if len(bounds) == 3:
        step = int(ast.literal_eval(bounds.pop()))
    low, high = (text(bounds[0]), bounds[1]) if len(bounds) == 2 else ("0", bounds[0])
    move = f"{name}++" if step == 1 else f"{name}--" if step == -1 else f"{name} += {step}"
    return f"for ({word}{name} = {low}; {name} {'<' if step > 0 else '>'} {text(high, 4)}; {move}) {{"


class _Declarations:
    """Where names are declared: with their first assignment, if all that is said of them stands in its block or below.

    `words` gives ``"const "`` or ``"let "`` by the number of the line, `above` the names to be declared at the top.
    """

    def __init__(self, lines: Sequence[Line], arguments: Iterable[str], results: Iterable[str]) -> None:
        self.words: dict[int, str] = {}
        self.above: list[str] = []
        uses: dict[str, list[int]] = {}
        stores: dict[str, list[int]] = {}
        for place, line in enumerate(lines):
            for part in ast.walk(line.node) if line.node is not None else ():
                if isinstance(part, ast.Name):
                    uses.setdefault(part.id, []).append(place)
                    if isinstance(part.ctx, ast.Store):
                        stores.setdefault(part.id, []).append(place)
        for name in results:
            uses.setdefault(name, []).append(len(lines))
        self.lines, self.ends = lines, _ends(lines)
        own = set(arguments)
        placed: dict[int, list[tuple[str, str]]] = {}
        for name in stores:
            if name in own:
                continue
            found = list(self._words(name, uses[name], stores[name]))
            for place, word in found:
                placed.setdefault(place, []).append((name, word))
            if not found:
                self.above.append(name)
        for place, pairs in placed.items():
            if len(pairs) == _stored(lines[place]):
                self.words[place] = "const " if {word for _, word in pairs} == {"const "} else "let "
            else:  # one of several results was declared before
                self.above += [name for name, _ in pairs]

    def _words(self, name: str, uses: Sequence[int], stores: Sequence[int]) -> Iterator[tuple[int, str]]:
        loops = [place for place in stores if isinstance(self.lines[place].node, ast.For)]
        if loops and len(loops) == len(stores):  # a variable of loops, each of which has its own
            if all(any(loop <= place < self.ends[loop] for loop in loops) for place in uses):
                yield from ((loop, "let ") for loop in loops)
            return
        first = stores[0]
        block = next((p for p in range(first, -1, -1) if self.lines[p].depth < self.lines[first].depth), -1)
        end = self.ends[block] if block >= 0 else len(self.lines) + 1
        if not loops and first == uses[0] and isinstance(self.lines[first].node, ast.Assign) and uses[-1] < end:
            reads = ast.unparse(self.lines[first].node.value)  # type: ignore[union-attr]
            if not re.search(rf"\b{re.escape(name)}\b", reads):
                yield first, "const " if len(stores) == 1 else "let "


def _ends(lines: Sequence[Line]) -> list[int]:
    """For each line the number of the first one after its block."""
    return [
        next((q for q in range(p + 1, len(lines)) if lines[q].depth <= line.depth), len(lines))
        for p, line in enumerate(lines)
    ]


def _stored(line: Line) -> int:
    """How many names a line assigns."""
    node = line.node
    assert node is not None
    return sum(isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store) for part in ast.walk(node))


# -- what JavaScript lacks --------------------------------------------------------------------------------------------


@cache
def _runtime() -> dict[str, str]:
    """The functions of ``runtime.js`` by name."""
    whole = (files("symdescent.export") / "runtime.js").read_text(encoding="utf-8")
    parts = (f"/**{part.rstrip()}" for part in whole.split("/**")[1:])
    return {part.split("\nfunction ")[1].split("(")[0]: part for part in parts}


def runtime(written: str) -> list[str]:
    """The functions that a text calls and JavaScript lacks, and those that these call."""
    known, found, pending = _runtime(), set[str](), [written]
    while pending:
        called = set(re.findall(r"\b(\w+)(?=\(|\))", pending.pop())) & set(known) - found
        found |= called
        pending += [known[name] for name in called]
    return [known[name] for name in known if name in found]


# -- trying it --------------------------------------------------------------------------------------------------------


def _main(program: Program, values: Mapping[str, Any] | None) -> str:
    """A function that tries the others on built-in numbers."""
    if values is None:
        return ""
    things = (*program.parameters, *program.data)
    lines = []
    for argument in things:
        value = values[argument.name]
        if argument.kind == COUNT:
            written = str(int(value))
        else:
            written = written_array(value, argument.kind == POSITIONS) if argument.shape else js_number(float(value))
        word = "let" if program.descends and argument in program.parameters else "const"
        lines.append(f"{word} {js_name(argument.name)} = {written};")
    given = ", ".join(js_name(argument.name) for argument in things)
    lines.append(f'console.log("loss", value({given}));')
    numbers = [js_name(argument.name) for argument in program.parameters if not argument.shape]
    arrays = [argument for argument in program.parameters if argument.shape]
    if not program.descends:
        gradients = [f"g_{argument.name}" for argument in arrays]
        lines += [f"const {g} = zeros_like({js_name(a.name)});" for g, a in zip(gradients, arrays, strict=True)]
        call = f"value_and_gradient({', '.join([given, *gradients])})"
        shown = [call if not numbers else f"...{call}", *(f"String({g})" for g in gradients)]
        lines.append(f'console.log("loss and gradient", {", ".join(shown)});')
    else:
        reached = f"[loss, {', '.join(numbers)}]" if numbers else "loss"
        lines += [f"let loss;\n  {reached} = descend({given}, 10);", 'console.log("after 10 steps", loss);']
        lines += [f'console.log("{a.name} = " + {js_name(a.name)});' for a in program.parameters]
    body = "".join(f"  {line}\n" for line in lines)
    return f"/** Try it on built-in numbers. */\nfunction main() {{\n{body}}}"


def _exported(program: Program, tried: bool) -> str:
    """What another file of Node.js gets, and what is done when this one is run."""
    names = [each.name for each in program.functions]
    lines = [f"module.exports = {{ {', '.join(names)} }};"]
    lines += ["if (require.main === module) {", "  main();", "}"] if tried else []
    body = "".join(f"  {line}\n" for line in lines)
    return f'if (typeof module !== "undefined" && module.exports) {{\n{body}}}'


__all__ = ["function", "helper", "javascript", "runtime"]
