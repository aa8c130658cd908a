"""Timing contenders side by side: same answers first, then interleaved rounds, then medians."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

PAUSE = 0.03  # the threads of BLAS spin for a while after their work: they fall asleep before the next sample
SHORTEST = 2e-3  # what takes fewer seconds is repeated within a sample
LONG = 1.0  # what takes more seconds is not warmed up before each sample


def _nothing() -> None:
    """No preparation."""


def _same(result: Any) -> Any:
    """The result is the answer."""
    return result


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do a piece of work.

    `run` takes what `prepare`, which is not timed, returned. `answer` turns the result of a run into the numbers that
    all contenders must agree on (None: nothing to compare). `steps` is how many steps a run takes: times are given
    per step. A `limit` is no peer, but says what is possible. What is run `once` is too slow to be repeated.
    """

    name: str
    run: Callable[..., Any]
    prepare: Callable[[], Any] = _nothing
    answer: Callable[[Any], Any] | None = _same
    steps: int = 1
    limit: bool = False
    once: bool = False

    def __call__(self) -> tuple[float, Any]:
        """Run: the seconds that a step took, and the result."""
        prepared = self.prepare()
        arguments = () if prepared is None else (prepared,)
        began = time.perf_counter()
        result = self.run(*arguments)
        return (time.perf_counter() - began) / self.steps, result


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds that a step of one contender took, one number for each sample."""

    contender: Contender
    seconds: Sequence[float]

    @property
    def median(self) -> float:
        """The median of the samples."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, relative to the median."""
        first, _, third = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (third - first) / 2 / self.median

    def __str__(self) -> str:
        return f"{duration(self.median)} ({'one run' if len(self.seconds) == 1 else f'±{100 * self.spread:.0f} %'})"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: a piece of work, and how long each contender took for it, symdescent first."""

    work: str
    timings: Sequence[Timing]
    target: str = ""  # what symdescent aims at

    def ratio(self, timing: Timing) -> float:
        """How many times as long as symdescent a contender took."""
        return timing.median / self.timings[0].median

    def details(self) -> str:
        """A line for each contender."""
        lines = [
            f"  {each.contender.name:44s} {each!s:22s} × {self.ratio(each):<8.3g} samples: {len(each.seconds)}"
            for each in self.timings
        ]
        return "\n".join([self.work, *lines])

    def markdown(self) -> str:
        """The row of the Markdown table."""
        peers = [each for each in self.timings[1:] if not each.contender.limit]
        limits = [each for each in self.timings[1:] if each.contender.limit]
        limited = [f"{each.contender.name} {each}: {self.ratio(each):.3g}" for each in limits]
        cells = [
            self.work,
            str(self.timings[0]),
            "<br>".join(f"{each.contender.name} {each}" for each in peers),
            "<br>".join(f"{self.ratio(each):.3g}" for each in peers),
            "<br>".join([*limited, *([f"target: {self.target}"] if self.target else [])]),
        ]
        return f"| {' | '.join(cell or '–' for cell in cells)} |"


TABLE_HEAD = "| work | symdescent | peers | ratio: peer / symdescent | limit: ratio |\n|---|---|---|---|---|"


def compare(work: str, contenders: Sequence[Contender], *, expected: Any = None, tolerance: float = 1e-9,
            rounds: int = 15, warm: bool = True, target: str = "") -> Row:  # fmt: skip
    """Check that all contenders give the same answer, then time them in turn; the first one is symdescent.

    Answers are compared with `expected`, or with the first one's: the largest difference, relative to the largest
    number. The check compiles what has to be compiled. Before each sample is a run that is not timed, unless `warm`
    is off: for work that is measured as it is done the first time.
    """
    samples: dict[Contender, list[float]] = {}
    for contender in contenders:
        seconds, result = contender()
        samples[contender] = [seconds] if contender.once else []
        if contender.answer is not None:
            answer = contender.answer(result)
            expected = answer if expected is None else expected
            _agree(f"{work}, {contender.name}", answer, expected, tolerance)
        result = answer = None
    repeated = [contender for contender in contenders if not contender.once]
    usual = {contender: contender()[0] * contender.steps for contender in repeated}
    for turn in range(rounds):
        first = turn % len(repeated)
        for contender in repeated[first:] + repeated[:first]:
            samples[contender].append(_sample(contender, usual[contender], warm))
    return tabulate(work, samples, target)


def tabulate(work: str, samples: Mapping[Contender, Sequence[float]], target: str = "") -> Row:
    """Make a row of seconds that were measured, and print it."""
    row = Row(work, [Timing(contender, seconds) for contender, seconds in samples.items()], target)
    print(row.details(), flush=True)
    return row


def duration(seconds: float) -> str:
    """A time in the unit that suits it, to three digits."""
    for factor, unit in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
        if seconds * factor < 999.5:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def _sample(contender: Contender, usual: float, warm: bool) -> float:
    """The seconds of a step, as the mean over so many runs that the clock resolves them."""
    gc.collect()
    time.sleep(PAUSE)
    if warm and usual < LONG:
        contender()
    return statistics.fmean(contender()[0] for _ in range(max(1, round(SHORTEST / usual))))


def _agree(who: str, answer: Any, expected: Any, tolerance: float) -> None:
    """Refuse to time a wrong answer."""
    answer, expected = np.asarray(answer, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if answer.shape != expected.shape:
        raise SystemExit(f"{who}: the answer has the shape {answer.shape}, but {expected.shape} was expected")
    error = float(np.max(np.abs(answer - expected))) / float(np.max(np.abs(expected)))
    if not error <= tolerance:
        raise SystemExit(f"{who}: the answer is off by {error:.2e}, where {tolerance:.0e} is allowed")
