"""The source of the compiled simplex method of Nelder and Mead, around the loss on one flat vector."""

from __future__ import annotations

from typing import Any

from symdescent.codegen import tape
from symdescent.codegen.descent_loop import PACKED, TABLE_ARGUMENTS
from symdescent.codegen.names import Names
from symdescent.codegen.program import KernelWriter
from symdescent.codegen.scalar_printer import HELPERS
from symdescent.statement import ARRAYS, Statement

# places in the array of counters
STEPS, VALUES, DONE, ROWS, DUE, STRIDE, COUNTERS = range(7)

_METHOD = '''
@fast
def sort(points, losses):
    """Put the points in the order of their losses; equal ones stay as they were."""
    for k in range(1, losses.shape[0]):
        loss = losses[k]
        point = points[k].copy()
        place = k
        while place > 0 and losses[place - 1] > loss:
            losses[place] = losses[place - 1]
            points[place] = points[place - 1]
            place -= 1
        losses[place] = loss
        points[place] = point


@fast
def finite(loss):
    """Where the loss is undefined, no point is worse."""
    return math.inf if loss != loss else loss


@fast
def begin(points, losses, counters{data}):
    """The losses of the first simplex."""
    for k in range(losses.shape[0]):
        losses[k] = finite(objective(points[k]{data}))
    counters[{VALUES}] += losses.shape[0]
    sort(points, losses)


@fast
def simplex(points, losses, steps, xatol, fatol, reflect, expand, contract, shrink, counters, history, simplices{data}):
    """Move the simplex for a number of steps; it is left in the arrays."""
    n = points.shape[1]
    centre = np.empty(n)
    tried = np.empty(n)
    other = np.empty(n)
    step = 0
    row = counters[{ROWS}]
    while step < steps and row < history.shape[0]:
        width = 0.0
        for k in range(1, n + 1):
            for j in range(n):
                width = max(width, abs(points[k, j] - points[0, j]))
        spread = abs(losses[n] - losses[0]) if losses[n] < math.inf else math.inf
        counters[{DUE}] -= 1
        if counters[{DUE}] == 0:
            counters[{DUE}] = counters[{STRIDE}]
            history[row, 0] = counters[{STEPS}]
            history[row, 1] = losses[0]
            history[row, 2] = math.nan
            history[row, 3] = width
            if simplices.shape[0] > 0:
                simplices[row] = points
            row += 1
        if width <= xatol and spread <= fatol:
            counters[{DONE}] = 1
            break
        for j in range(n):
            total = 0.0
            for k in range(n):
                total += points[k, j]
            centre[j] = total / n
        for j in range(n):
            tried[j] = (1.0 + reflect) * centre[j] - reflect * points[n, j]
        loss = finite(objective(tried{data}))
        counters[{VALUES}] += 1
        contracted = True
        if loss < losses[0]:
            for j in range(n):
                other[j] = (1.0 + reflect * expand) * centre[j] - reflect * expand * points[n, j]
            farther = finite(objective(other{data}))
            counters[{VALUES}] += 1
            if farther < loss:
                points[n] = other
                losses[n] = farther
            else:
                points[n] = tried
                losses[n] = loss
        elif loss < losses[n - 1]:
            points[n] = tried
            losses[n] = loss
        else:
            if loss < losses[n]:  # outside
                for j in range(n):
                    other[j] = (1.0 + contract * reflect) * centre[j] - contract * reflect * points[n, j]
                nearer = finite(objective(other{data}))
                contracted = nearer <= loss
            else:  # inside
                for j in range(n):
                    other[j] = (1.0 - contract) * centre[j] + contract * points[n, j]
                nearer = finite(objective(other{data}))
                contracted = nearer < losses[n]
            counters[{VALUES}] += 1
            if contracted:
                points[n] = other
                losses[n] = nearer
        if not contracted:
            for k in range(1, n + 1):
                for j in range(n):
                    points[k, j] = points[0, j] + shrink * (points[k, j] - points[0, j])
                losses[k] = finite(objective(points[k]{data}))
            counters[{VALUES}] += n
        sort(points, losses)
        step += 1
        counters[{STEPS}] += 1
    counters[{ROWS}] = row
'''
_PLACES = {"STEPS": STEPS, "VALUES": VALUES, "DONE": DONE, "ROWS": ROWS, "DUE": DUE, "STRIDE": STRIDE}
_RESERVED = (
    *("x", "points", "losses", "steps", "xatol", "fatol", "reflect", "expand", "contract", "shrink", "counters"),
    *("history", "simplices", "sort", "finite", "begin", "simplex", "objective", "value_of", "n", "centre", "tried"),
    *("other", "step", "row", "width", "spread", "loss", "total", "contracted", "farther", "nearer", "k", "j"),
    *("place", "point", "run", *TABLE_ARGUMENTS),
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
    method = _METHOD.replace("{data}", data)
    for name, number in _PLACES.items():
        method = method.replace(f"{{{name}}}", str(number))
    functions += [f'@fast\ndef objective(x{data}):\n    """The loss on one flat vector."""\n{body}', method]
    writer.helpers |= helpers
    return writer.module("The simplex method on a loss.", functions), given


__all__ = ["simplex_source"]
