"""The source of the compiled simplex method of Nelder and Mead, around the loss on one flat vector."""

from __future__ import annotations

from typing import Any

from symdescent.codegen import tape
from symdescent.codegen.descent_loop import PACKED, TABLE_ARGUMENTS
from symdescent.codegen.names import Names
from symdescent.codegen.program import KernelWriter
from symdescent.codegen.scalar_printer import HELPERS
from symdescent.methods.text import Text, in_loops, library, needed
from symdescent.statement import ARRAYS, Statement

# places in the array of counters
STEPS, VALUES, DONE, ROWS, DUE, STRIDE, COUNTERS = range(7)

_KERNELS = '''
@fast
def start(points, losses, counters{data}):
    """The losses of the first simplex."""
    begin(points, losses, points.shape[1], np.empty(points.shape[1]){data})
    counters[{VALUES}] += losses.shape[0]


@fast
def simplex(points, losses, steps, xatol, fatol, adaptive, counters, history, simplices{data}):
    """Move the simplex for a number of steps; it is left in the arrays."""
    n = points.shape[1]
    centre = np.empty(n)
    tried = np.empty(n)
    other = np.empty(n)
    step = 0
    row = counters[{ROWS}]
    while step < steps and row < history.shape[0]:
        wide = width(points, n)
        counters[{DUE}] -= 1
        if counters[{DUE}] == 0:
            counters[{DUE}] = counters[{STRIDE}]
            history[row, 0] = counters[{STEPS}]
            history[row, 1] = losses[0]
            history[row, 2] = math.nan
            history[row, 3] = wide
            if simplices.shape[0] > 0:
                simplices[row] = points
            row += 1
        if wide <= xatol and spread(losses, n) <= fatol:
            counters[{DONE}] = 1
            break
        counters[{VALUES}] += move(
            points, losses, n, adaptive, centre, tried, other{data}
        )
        step += 1
        counters[{STEPS}] += 1
    counters[{ROWS}] = row
'''
_PLACES = {"STEPS": STEPS, "VALUES": VALUES, "DONE": DONE, "ROWS": ROWS, "DUE": DUE, "STRIDE": STRIDE}
_METHOD = needed(["begin", "width", "spread", "move"])
_RESERVED = (
    *("x", "points", "losses", "steps", "xatol", "fatol", "adaptive", "counters"),
    *("history", "simplices", "n", "centre", "tried", "other", "step", "row", "wide", "start", "simplex", "value_at"),
    *("run", *_METHOD, *TABLE_ARGUMENTS),
)


def simplex_source(statement: Statement, shapes: dict[Any, tuple[int, ...]]) -> tuple[str, tuple[Any, ...]]:
    """The module with the kernels ``begin`` and ``simplex``, and what data and extents they take."""
    if tape.is_long(statement.root):
        lines = ["for q in range(sources.shape[0]):", "    values[places[q]] = x[sources[q]]"]
        lines += ["run(code, a, b, c, values, first)", "return values[outputs[0]]"]
        names: tuple[str, ...] = TABLE_ARGUMENTS
        functions, helpers, given = [tape.interpreter_function()], set(HELPERS), (PACKED,)
        writer = KernelWriter(statement)
    else:
        writer = KernelWriter(statement)
        names_of = Names()
        names_of.reserve(_RESERVED)
        signature = writer.signature(names_of, outputs=False)
        given = (*signature.data, *signature.extents)
        names = tuple(signature.names[thing] for thing in given)
        functions = [writer.function("value", "The loss.", [writer.statement.root])]
        parts, place = [], 0
        for parameter in signature.parameters:
            shape = shapes[parameter]
            size = 1
            for length in shape:
                size *= length
            if isinstance(parameter, ARRAYS):
                parts.append(f"x[{place}:{place + size}]" + (f".reshape({shape})" if len(shape) > 1 else ""))
            else:
                parts.append(f"x[{place}]")
            place += size
        lines, helpers = [f"return value({', '.join([*parts, *names])})"], set()
    data = "".join(f", {name}" for name in names)
    body = "".join(f"    {line}\n" for line in lines)
    functions.append(f'@fast\ndef value_at(x{data}):\n    """The loss on one flat vector."""\n{body}')
    functions += [_written(in_loops(library()[name], names)) for name in _METHOD]
    kernels = _KERNELS.replace("{data}", data)
    for name, number in _PLACES.items():
        kernels = kernels.replace(f"{{{name}}}", str(number))
    functions.append(kernels)
    writer.helpers |= helpers
    return writer.module("The simplex method on a loss.", functions), given


def _written(text: Text) -> str:
    """A function of the method as a kernel."""
    head = f'@fast\ndef {text.name}({", ".join(name for name, _ in text.arguments)}):\n    """{text.said}"""\n'
    return head + "".join(f"    {line}\n" for line in text.lines)


__all__ = ["simplex_source"]
