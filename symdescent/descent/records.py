"""The record that a compiled loop keeps in arrays: bounded, evenly spaced, and ready to go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

HISTORY_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Places:
    """Where the counters of a loop stand: steps done, rows written, steps until the next row, steps between rows."""

    steps: int
    rows: int
    due: int
    stride: int


def thin(counters: Any, places: Places, tables: Sequence[Any]) -> None:
    """Keep every second row of full tables (the first is the history), and record half as often from now on."""
    history = tables[0]
    kept = (len(history) + 1) // 2
    for table in tables:
        if len(table):
            table[:kept] = table[: 2 * kept : 2]
    stride = int(counters[places.stride]) * 2
    counters[places.rows], counters[places.stride] = kept, stride
    counters[places.due] = int(history[kept - 1, 0]) + stride - int(counters[places.steps]) + 1


def step_back(counters: Any, places: Places, history: Any) -> None:
    """Undo the beginning of a step that a test ended: its row is written again when the descent goes on."""
    rows = int(counters[places.rows])
    if rows and history[rows - 1, 0] == counters[places.steps]:
        counters[places.rows], counters[places.due] = rows - 1, 1
    else:
        counters[places.due] += 1
