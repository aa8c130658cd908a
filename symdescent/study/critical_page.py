"""The page of critical points: the equations, the points in a table, and the verdict on each worked out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import sympy as sp

from symdescent.derivation.components.stated import stated
from symdescent.derivation.page import Block, Chain, Line, Paragraph, Part, Table
from symdescent.derivation.symbols import LOSS, GradientOf
from symdescent.study.limits import within
from symdescent.study.linked import Linked
from symdescent.study.phrases import listed, say, word

if TYPE_CHECKING:
    from symdescent.study.critical import CriticalPoint, CriticalPoints

WORKED = 12  # points that are worked out
LONG = 26  # operations from which on an exact number is shown as a decimal
WIDE = 4  # rows of Hessians that are shown
HESSIAN = sp.Symbol("H")


def page_of(found: CriticalPoints, language: str) -> Sequence[Block]:
    """The blocks of the page."""
    matrix = found.normal is not None
    expression = found.loss.expression if matrix and not found.loss.samples else stated(found.loss).expression
    blocks: list[Block] = [Chain((Line(expression, LOSS),))]
    blocks.append(Paragraph(say("critical gradient", language)))
    zero = sp.ZeroMatrix(*found.normal.parameter.shape) if found.normal is not None else sp.S.Zero
    lines = [Line(_vanishing(slope, zero), GradientOf(LOSS, parameter)) for parameter, slope in _slopes(found)]
    blocks.append(Chain(tuple(lines)))
    if found.equations:
        blocks.append(Paragraph(say("critical sums", language)))
        blocks.append(Chain(tuple(Line(right, left) for left, right in found.equations)))
    if found.normal is not None:
        blocks += _normal(found, language)
    elif found.hessian is not None and found.points and not any(p.free for p in found.points):
        blocks += _second(found, language)
    if len(found) > 1:
        blocks += [Paragraph(say("critical table", language)), _table(found, language)]
    for point in found.points[:WORKED]:
        blocks += _worked(found, point, language)
    if len(found) > WORKED:
        blocks.append(Paragraph(say("critical more", language, sp.Integer(WORKED))))
    return [*blocks, *(Paragraph(say(note.key, language, *note.args)) for note in found.notes)]


def _slopes(found: CriticalPoints) -> Iterator[tuple[Any, Any]]:
    """The gradient's components, of arrays at their free indices."""
    for parameter, slope in found.gradient.items():
        keys = getattr(found.gradient, "indices", {}).get(parameter)
        if keys is None and isinstance(parameter, sp.IndexedBase) and found.normal is None:
            keys = found.loss.gradient.indices.get(parameter)
        if found.normal is not None:
            parameter = found.normal.parameter
        yield (parameter[keys] if keys else parameter), slope


def _vanishing(slope: Any, zero: Any) -> Linked:
    """``slope = 0``, with its factors between, if it has any."""
    if isinstance(slope, sp.Expr) and zero == 0 and not slope.atoms(sp.Sum, sp.Piecewise):
        factored = within(1.0, sp.factor, slope)
        parts = [part for part in sp.Mul.make_args(factored or slope) if part.free_symbols]
        if factored not in (None, slope) and len(parts) > 1 and not isinstance(slope, sp.Mul):
            return Linked(slope, "=", factored, "=", zero)
    return Linked(slope, "=", zero)


def _normal(found: CriticalPoints, language: str) -> Iterator[Block]:
    """The linear equations and their solution."""
    normal = found.normal
    assert normal is not None
    parameter = normal.parameter
    product = sp.MatMul(parameter, normal.matrix) if normal.right else sp.MatMul(normal.matrix, parameter)
    product = parameter if isinstance(normal.matrix, sp.Identity) else product
    yield Paragraph(say("critical normal", language, parameter))
    yield Chain((Line(normal.level, product),))
    if found.loss.samples:
        arrays = [array for sample, array in found.loss.statement.arrays.items() if getattr(sample, "shape", None)]
        for array in arrays:
            yield Paragraph(
                say(
                    "critical rows",
                    language,
                    sp.MatrixSymbol(str(array.name), *(array.shape if len(array.shape) == 2 else (array.shape[0], 1))),
                )
            )


def _second(found: CriticalPoints, language: str) -> Iterator[Block]:
    """The second derivatives, if they are short."""
    hessian, parameters = found.hessian, list(found.gradient)
    if hessian.rows == 1:
        yield Paragraph(say("critical second", language))
        yield Chain((Line(hessian[0, 0], GradientOf(LOSS, parameters[0], parameters[0])),))
    elif hessian.rows <= WIDE and sum(entry.count_ops() for entry in hessian) < 120:
        yield Paragraph(say("critical Hessian", language))
        yield Chain((Line(hessian.as_immutable(), HESSIAN),))


def _table(found: CriticalPoints, language: str) -> Table:
    parameters = list(found.gradient)
    head = [*parameters, LOSS, word("kind", language)]
    rows = []
    for point in found.points:
        cells: list[Part | float | int] = [_cell(point, parameter) for parameter in parameters]
        cells += [shown(point.value), kind_in_words(point, len(parameters), language)]
        rows.append(tuple(cells))
    return Table(tuple(head), tuple(rows))


def _cell(point: CriticalPoint, parameter: Any) -> Part:
    if parameter in point.point:
        return shown(point.point[parameter])
    inside = [] if point.point else [c for c in point.conditions if parameter in c.free_symbols]
    return sp.And(*inside) if inside else parameter


def shown(value: Any) -> Any:
    """A value as it is shown: long and numbered roots as decimals."""
    if value is None or not isinstance(value, sp.Expr) or getattr(value, "is_Matrix", False):
        return value
    if value.is_number and (value.has(sp.CRootOf, sp.Float, sp.LambertW) or value.count_ops() > LONG):
        return sp.Float(f"{float(value):.7g}")
    return value


def _relation(left: Any, value: Any) -> Linked:
    """``left = value``, or ``left ≈ value`` for a decimal."""
    short = shown(value)
    return Linked(left, "≈" if isinstance(short, sp.Float) else "=", short)


def kind_in_words(point: CriticalPoint, size: int, language: str) -> str:
    """Local minimum, saddle point, …."""
    if point.kind == "saddle":
        return word("kind inflection" if size == 1 else "kind saddle", language)
    return word(f"kind {point.scope} {point.kind}".replace("  ", " "), language)


def _worked(found: CriticalPoints, point: CriticalPoint, language: str) -> Iterator[Block]:
    """One point: where, the loss, the second derivatives, the verdict."""
    parameters = list(found.gradient)
    lines = []
    if found.normal is not None or _is_long(point):
        yield Paragraph(say("critical solution", language))
        names = {parameter: parameter for parameter in parameters}
        if found.normal is not None:
            names[parameters[0]] = found.normal.parameter
        lines += [Line(value, names[parameter]) for parameter, value in point.point.items()]
    else:
        yield Paragraph(_place(point, language))
    if point.value is not None and point.value.count_ops() < (LONG if lines else 3 * LONG):
        value = shown(point.value)
        lines.append(Line(value, LOSS, relation="≈" if isinstance(value, sp.Float) else "="))
    if point.hessian is not None and found.normal is None:
        lines += _second_here(point, parameters)
    if lines:
        yield Chain(tuple(lines))
    verdict = kind_in_words(point, len(parameters), language)
    because = [part for said in point.reasons for part in (*say(said.key, language, *map(shown, said.args)), "; ")][:-1]
    yield Paragraph((f"{verdict[0].upper()}{verdict[1:]}", ": " if because else "", *because, "."))


def _is_long(point: CriticalPoint) -> bool:
    """Whether the values are formulas that need a line each."""
    return any(value.has(sp.Sum) for value in point.point.values())


def _second_here(point: CriticalPoint, parameters: Sequence[Any]) -> Iterator[Line]:
    hessian = point.hessian
    if hessian.has(sp.Sum):  # shown once, before the points
        return
    if hessian.rows == 1:
        value = shown(hessian[0, 0])
        sign = "≈" if isinstance(value, sp.Float) else "="
        yield Line(value, GradientOf(LOSS, parameters[0], parameters[0]), relation=sign)
        return
    if hessian.rows <= WIDE and sum(shown(entry).count_ops() for entry in hessian) < 100:
        entries = hessian.applyfunc(shown)
        sign = "≈" if entries.has(sp.Float) else "="
        yield Line(entries, HESSIAN, relation=sign)
    values = [shown(value) for value in point.eigenvalues]
    if values and len(values) <= 2 * WIDE and sum(value.count_ops() for value in values) < 60:
        for number, value in enumerate(values, start=1):
            sign = "≈" if isinstance(value, sp.Float) else "="
            yield Line(value, sp.Symbol(f"lambda_{number}"), relation=sign)


def _place(point: CriticalPoint, language: str) -> tuple[Part, ...]:
    """Where the point is: "At x = 1, y = 2:", with what may vary and what must hold."""
    inside = [] if point.point else [c for c in point.conditions if set(point.free) & c.free_symbols]
    needed = [c for c in point.conditions if c not in inside]
    at = listed(_relation(parameter, value) for parameter, value in point.point.items())
    if not at:
        anything = inside or [sp.Eq(free, free, evaluate=False) for free in point.free]
        parts = say("critical where", language, listed(anything))
    elif point.integers or point.free:
        whole = "critical at whole" if len(point.integers) == 1 else "critical at wholes"
        varying = sorted(point.integers or point.free, key=str)
        parts = say(whole if point.integers else "critical at any", language, at, listed(varying))
    else:
        parts = say("critical at", language, at)
    if not needed:
        return parts
    return (*parts[:-1], str(parts[-1]).rstrip(":"), ", ", *say("provided that", language, listed(needed)), ":")
