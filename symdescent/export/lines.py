"""Reading the canonical program line by line: every line is one statement, a header of a block, or a remark."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A line: how deep it stands, its text without indentation, and its syntax (None for remarks and ``else``)."""

    depth: int
    text: str
    node: ast.stmt | None

    @property
    def is_header(self) -> bool:
        """Whether a block follows."""
        return self.text.endswith(":") and not self.text.startswith("#")


def read(lines: Iterable[str]) -> Iterator[Line]:
    """The lines of a function's body."""
    for line in _joined(lines):
        text = line.strip()
        depth = (len(line) - len(line.lstrip())) // 4
        if not text:
            continue
        if text.startswith("#") or text == "else:":
            yield Line(depth, text, None)
            continue
        source = text.replace("elif ", "if ", 1) if text.startswith("elif ") else text
        yield Line(depth, text, ast.parse(source + " pass" if text.endswith(":") else source).body[0])


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Statements that go over several lines, as in helpers, in one."""
    pending = ""
    for line in lines:
        whole = f"{pending} {line.strip()}" if pending else line
        if not line.strip().startswith("#") and sum(map(whole.count, "([{")) > sum(map(whole.count, ")]}")):
            pending = whole
            continue
        pending = ""
        yield whole


def statements(tree: ast.FunctionDef) -> list[str]:
    """The statements of a helper, a line each, without its documentation."""
    body = tree.body[1:] if ast.get_docstring(tree) else tree.body
    return [line for statement in body for line in ast.unparse(statement).split("\n")]
