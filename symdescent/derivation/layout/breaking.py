"""Breaking a long formula over several lines, at the plus and minus signs that a reader would choose."""

from __future__ import annotations

from collections.abc import Callable

from symdescent.derivation.layout.boxes import (
    Box,
    Delimiter,
    Fence,
    Op,
    Row,
    Scripts,
    row,
)
from symdescent.derivation.layout.sizes import height, width

Measure = Callable[[Box], float]


def broken(box: Box, limit: float, measure: Measure = width) -> list[Box]:
    """The formula in lines that are no wider than `limit` where that is possible; later lines begin with a sign.

    Breaks come at the sums of the formula itself; where these leave a part that is too wide, its widest brackets are
    opened, so that the sum within can be broken too; at last, products are broken at their dots.
    """
    items = [box]
    for signs in (SUMS, SUMS | PRODUCTS):
        while (segment := _too_wide(items, signs, limit, measure)) is not None:
            opened = _to_open(segment, measure)
            if opened is None:
                break
            place = next(number for number, item in enumerate(items) if item is opened)
            items[place : place + 1] = _opened(opened)
        if segment is None:
            break
    return _filled(_segments(items, signs), limit, measure)


SUMS, PRODUCTS = frozenset("+−"), frozenset("·⊙")
"""Signs that a line may begin with; a line may always begin with a relation."""


def _too_wide(items: list[Box], signs: frozenset[str], limit: float, measure: Measure) -> list[Box] | None:
    """The first part that would not fit on a line."""
    return next((part for part in _segments(items, signs) if measure(row(*part)) > limit), None)


def _segments(items: list[Box], signs: frozenset[str]) -> list[list[Box]]:
    """The items in parts that stay on one line; all but the first begin with a sign."""
    segments: list[list[Box]] = [[]]
    for item in items:
        if isinstance(item, Op) and (item.kind == "relation" or item.sign in signs) and segments[-1]:
            segments.append([])
        segments[-1].append(item)
    return segments


def _filled(segments: list[list[Box]], limit: float, measure: Measure) -> list[Box]:
    """Lines that hold as many segments as they can."""
    lines: list[list[Box]] = []
    for segment in segments:
        if lines and measure(row(*lines[-1], *segment)) <= limit:
            lines[-1] += segment
        else:
            lines.append(list(segment))
    return [row(*line) for line in lines]


def _to_open(segment: list[Box], measure: Measure) -> Box | None:
    """A row within the row, else the widest brackets, those that hold a sum first."""
    inner = next((item for item in segment if isinstance(item, Row)), None)
    if inner is not None:
        return inner
    fences = [(item, fence) for item in segment if (fence := _fence(item)) is not None]
    sums = [item for item, fence in fences if len(_segments(list(_inner(fence)), SUMS)) > 1]
    return max(sums or [item for item, _ in fences], key=measure, default=None)


def _fence(item: Box) -> Fence | None:
    inner = item.base if isinstance(item, Scripts) else item
    return inner if isinstance(inner, Fence) and isinstance(inner.body, Row) else None


def _inner(fence: Fence) -> tuple[Box, ...]:
    return fence.body.items if isinstance(fence.body, Row) else (fence.body,)


def _opened(item: Box) -> list[Box]:
    """The items of a row; brackets as items of their own, with what stood in them between."""
    if isinstance(item, Row):
        return list(item.items)
    fence = _fence(item)
    assert fence is not None
    tall = height(fence.body)
    closing: Box = Delimiter(fence.kind[1], False, tall)
    if isinstance(item, Scripts):
        closing = Scripts(closing, item.sub, item.sup)
    return [Delimiter(fence.kind[0], True, tall), *_inner(fence), closing]
