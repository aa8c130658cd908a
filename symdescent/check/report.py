"""The gradient check: every component against four witnesses, and the Taylor remainder's rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from symdescent.binding import Bound
from symdescent.check.draw import draw, value_at
from symdescent.check.grade import Grade, grade
from symdescent.check.probe import Probe, is_analytic
from symdescent.check.verify import component_values
from symdescent.dual import Dual
from symdescent.statement import Statement, name_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from symdescent.loss import Loss

EPSILON = float(np.finfo(float).eps)
MOST_ROWS = 50
COLUMNS = (
    "component",
    "symbolic",
    "forward",
    "central",
    "complex step",
    "dual",
    "rel. error",
    "ulps",
    "diff. bound",
    "verdict",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One component of the gradient, as each witness sees it.

    ``relative_error`` and ``ulps`` (units in the last place) compare the symbolic with the dual number's derivative;
    ``bound`` estimates the error of the central difference itself; ``verdict`` is "pass", "fail", "inconclusive",
    "kink" (the derivative jumps here) or "outside domain".

    >>> import sympy as sp, symdescent as sd
    >>> row = sd.Loss(sp.exp(sp.Symbol("w"))).check(at=0.0).rows[0]
    >>> row.component, row.symbolic, row.dual, row.verdict
    ('w', 1.0, 1.0, 'pass')
    """

    component: str
    symbolic: float
    forward: float
    central: float
    complex_step: float
    dual: float
    relative_error: float
    ulps: float
    bound: float
    verdict: str


@dataclass(frozen=True, slots=True)
class GradientCheck:
    """What a check found.

    ``passed`` tells whether no row failed, the Taylor remainder shrinks as it should, and every candidate was right;
    ``taylor_order`` is the rate of ``|f(x + hv) - f(x) - h g·v|``, 2 for a right gradient, 1 for a wrong one (infinite
    where the loss is linear along v); ``grades`` holds the marks of candidates by parameter; ``point`` is where.

    >>> import sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> found = sd.Loss(sp.exp(w)).check(at=0.0, candidate={w: -sp.exp(w)})
    >>> found.rows[0].verdict, round(found.taylor_order, 1), found.grades["w"].kind, found.passed
    ('pass', 2.0, 'sign', False)
    """

    rows: tuple[Row, ...]
    taylor_order: float
    components: int
    point: Bound
    grades: Mapping[str, Grade] = field(default_factory=dict)
    steps: Any = None
    remainders: Any = None
    statement: Statement | None = field(default=None, repr=False)

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the gradient (and the candidates, if there are any)."""
        smooth = all(row.verdict == "pass" for row in self.rows)
        taylor = not smooth or math.isnan(self.taylor_order) or self.taylor_order > 1.7
        rows = all(row.verdict in ("pass", "kink") for row in self.rows)
        return rows and taylor and all(mark.right for mark in self.grades.values())

    def __str__(self) -> str:
        table = [COLUMNS, *(_cells(row) for row in self.rows)]
        widths = [max(len(line[column]) for line in table) for column in range(len(COLUMNS))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in table]
        lines.insert(1, "-" * len(lines[0]))
        if len(self.rows) < self.components:
            lines.append(f"({len(self.rows)} of {self.components} components, chosen at random)")
        kinked = any(row.verdict == "kink" for row in self.rows)
        lines.append("Taylor remainder: no rate at a kink" if kinked else _taylor_text(self.taylor_order))
        lines += [f"candidate for {name}: {mark}" for name, mark in self.grades.items()]
        lines.append("passed" if self.passed else "NOT passed")
        return "\n".join(lines)

    def latex(self) -> str:
        r"""The table of rows as a LaTeX ``tabular``.

        >>> import sympy as sp, symdescent as sd
        >>> print(sd.Loss(sp.Symbol("w")**2).check().latex().splitlines()[0])
        \begin{tabular}{lrrrrrrrrl}
        """
        head = " & ".join(_escaped(name) for name in COLUMNS)
        body = [" & ".join(_escaped(cell) for cell in _cells(row)) + r" \\" for row in self.rows]
        return "\n".join(
            [
                rf"\begin{{tabular}}{{l{'r' * 8}l}}",
                r"\hline",
                head + r" \\",
                r"\hline",
                *body,
                r"\hline",
                r"\end{tabular}",
            ]
        )

    def plot(self, ax: Any = None, component: str | None = None) -> Axes:
        """Draw the errors of the differences against their step: see `symdescent.plots.differences`.

        >>> from matplotlib.figure import Figure
        >>> import sympy as sp, symdescent as sd
        >>> sd.Loss(sp.exp(sp.Symbol("x"))).check().plot(Figure().add_subplot()).get_xlabel()
        'step $h$'
        """
        from symdescent.plots.check import differences

        return differences(self, ax, component=component)


def check(loss: Loss, at: Any = None, data: Any = None, candidate: Any = None, seed: int = 0) -> GradientCheck:
    """Compare a loss's gradient with differences, complex step and dual numbers; grade candidates if there are any."""
    statement, gradient = loss.statement, loss.gradient
    bound = draw(statement, seed, at, data)
    first = bound if at is not None or data is not None else None
    grades = (
        {}
        if candidate is None
        else {name_of(p): mark for p, mark in grade(statement, gradient, candidate, seed, first)}
    )
    places = _places(statement, bound, seed)
    symbolic = {p: np.asarray(component_values(statement, gradient, p, bound)) for p in statement.parameters}
    symbolic = {p: np.reshape(value, np.shape(bound.parameters[p])) for p, value in symbolic.items()}
    with np.errstate(all="ignore"):  # outside the domain, differences of infinities are NaN
        rows = _rows(statement, bound, symbolic, places)
        order, steps, remainders = _taylor(statement, bound, symbolic, seed)
    total = sum(np.size(value) for value in bound.parameters.values())
    return GradientCheck(tuple(rows), order, total, bound, grades, steps, remainders, statement)


# -- rows -------------------------------------------------------------------------------------------------------------


def _places(statement: Statement, bound: Bound, seed: int) -> list[tuple[Any, tuple[int, ...]]]:
    """The components to look at: all of few, a seeded choice of many."""
    everything = (
        [(p, place) for p in statement.parameters for place in np.ndindex(np.shape(bound.parameters[p]))]
        if sum(np.size(v) for v in bound.parameters.values()) <= 100_000
        else None
    )
    if everything is not None and len(everything) <= MOST_ROWS:
        return everything
    random = np.random.default_rng(seed)
    sizes = {p: np.size(v) for p, v in bound.parameters.items()}
    chosen = np.sort(random.choice(sum(sizes.values()), MOST_ROWS, replace=False))
    found = []
    for number in chosen:
        for parameter, size in sizes.items():
            if number < size:
                shape = np.shape(bound.parameters[parameter])
                found.append((parameter, tuple(map(int, np.unravel_index(number, shape)))))
                break
            number -= size
    return found


def _rows(statement: Statement, bound: Bound, symbolic: Mapping[Any, Any], places: Sequence[Any]) -> list[Row]:
    value = float(value_at(statement, bound))
    duals = _dual_slopes(statement, bound, places)
    analytic = is_analytic(statement)
    largest = max((float(np.max(np.abs(part), initial=0.0)) for part in symbolic.values()), default=0.0)
    rows = []
    for (parameter, place), dual in zip(places, duals, strict=True):
        probe = Probe(statement, bound, parameter, place, value)
        exact = float(symbolic[parameter][place])
        complex_step = probe.complex_step() if analytic else math.nan
        rows.append(_row(probe, exact, dual, complex_step, largest))
    return rows


def _row(probe: Probe, exact: float, dual: float, complex_step: float, largest: float) -> Row:
    size = max(1.0, abs(probe.x))
    small, middle = math.sqrt(EPSILON) * size, EPSILON ** (1 / 3) * size
    forward, backward = probe.one_sided(small), probe.one_sided(-small)
    central, coarse = probe.central(middle), probe.central(2 * middle)
    rounding = EPSILON * (abs(probe.value) + abs(central) * size)
    bound = abs(coarse - central) / 3 + 4 * rounding / middle
    scale = max(abs(exact), abs(dual))
    noise = 1e-12 * (largest + abs(probe.value) / size)
    error = abs(exact - dual) / scale if scale > 0 else 0.0
    ulps = abs(exact - dual) / float(np.spacing(max(abs(dual), 1e-300)))
    name = probe.name
    jump = abs(forward - backward)
    if not math.isfinite(probe.value) or not math.isfinite(exact):
        verdict = "outside domain"
    elif math.isfinite(jump) and jump > 1e-4 * (scale + 1e-8) + 50 * rounding / small and _persists(probe, small, jump):
        low, high = sorted((forward, backward))
        slack = 1e-5 * max(abs(low), abs(high), 1e-8)
        verdict = "kink" if low - slack <= exact <= high + slack or jump > 1e3 else "fail"
    elif abs(exact - central) > 10 * bound + 1e-4 * max(scale, abs(central)) and _settles(
        probe, exact, central, middle
    ):
        verdict = "fail"  # also where all rules agree: kinks that cancel each other, of which each takes its own slope
    elif abs(exact - dual) <= 1e-9 * scale + noise:
        verdict = "pass"
    elif math.isfinite(central) and abs(exact - central) > 10 * bound + 1e-6 * scale:
        verdict = "fail"
    else:
        verdict = "inconclusive"
    return Row(name, exact, forward, central, complex_step, dual, error, ulps, bound, verdict)


def _persists(probe: Probe, h: float, jump: float) -> bool:
    """Whether the two one-sided slopes stay apart as the step grows smaller or larger, as they do at a kink."""
    larger = abs(probe.one_sided(16 * h) - probe.one_sided(-16 * h))
    smaller = abs(probe.one_sided(h / 4) - probe.one_sided(-h / 4))
    return larger < 3 * jump and smaller > 0.6 * jump


def _settles(probe: Probe, exact: float, central: float, h: float) -> bool:
    """Whether the symmetric quotient stays where it is, away from the derivative, as the step grows smaller."""
    return abs(probe.central(h / 4) - central) < 0.01 * abs(exact - central)


def _dual_slopes(statement: Statement, bound: Bound, places: Sequence[Any]) -> list[float]:
    """The derivative along each component by dual numbers, several tangents at once."""
    cells = max((np.size(value) for value in bound.data.values()), default=1)
    batch = max(1, min(len(places), 2_000_000 // max(cells, 1)))
    slopes: list[float] = []
    for start in range(0, len(places), batch):
        part = places[start : start + batch]
        seeds = {p: np.zeros((*np.shape(v), len(part))) for p, v in bound.parameters.items()}
        for number, (parameter, place) in enumerate(part):
            seeds[parameter][(*place, number)] = 1.0
        result = value_at(statement, bound, {p: Dual(v, seeds[p]) for p, v in bound.parameters.items()})
        slopes += [float(s) for s in result.tangent] if isinstance(result, Dual) else [0.0] * len(part)
    return slopes


# -- the Taylor remainder ---------------------------------------------------------------------------------------------


def _taylor(statement: Statement, bound: Bound, symbolic: Mapping[Any, Any], seed: int) -> tuple[float, Any, Any]:
    """The rate at which ``|f(x + hv) - f(x) - h g·v|`` shrinks along a random direction."""
    random = np.random.default_rng(seed + 1)
    direction = {p: random.normal(size=np.shape(v)) for p, v in bound.parameters.items()}
    norm = math.sqrt(sum(float(np.sum(part**2)) for part in direction.values()))
    slope = sum(float(np.sum(symbolic[p] * direction[p])) for p in direction) / norm
    value = float(value_at(statement, bound))
    steps = 2.0 ** -np.arange(4, 20)
    remainders = np.empty(len(steps))
    for number, h in enumerate(steps):
        moved = {p: v + h / norm * direction[p] for p, v in bound.parameters.items()}
        remainders[number] = abs(float(value_at(statement, bound, moved)) - value - h * slope)
    floor = 200 * EPSILON * (abs(value) + abs(slope))
    usable = np.isfinite(remainders) & (remainders > floor)
    if not np.isfinite(remainders).any():
        return math.nan, steps, remainders
    if usable.sum() < 3:
        return math.inf, steps, remainders
    rates = -np.diff(np.log2(remainders[usable])) / -np.diff(np.log2(steps[usable]))
    return float(np.median(np.abs(rates[len(rates) // 3 :]))), steps, remainders


# -- text -------------------------------------------------------------------------------------------------------------


def _cells(row: Row) -> tuple[str, ...]:
    def number(value: float, digits: int = 9) -> str:
        return "–" if math.isnan(value) else f"{value + 0.0:.{digits}g}"  # no minus before 0

    return (
        row.component,
        *(number(value) for value in (row.symbolic, row.forward, row.central, row.complex_step, row.dual)),
        f"{row.relative_error:.1e}",
        number(row.ulps, 3),
        f"{row.bound:.1e}",
        row.verdict,
    )


def _taylor_text(order: float) -> str:
    if math.isnan(order):
        return "Taylor remainder: the loss is not finite around this point"
    if math.isinf(order):
        return "Taylor remainder: zero to rounding along a random direction (the loss is linear there)"
    return f"Taylor remainder: order {order:.3f} along a random direction (2 for a right gradient, 1 for a wrong one)"


def _escaped(text: str) -> str:
    for mark in r"\&%$#_{}~^":
        text = text.replace(
            mark, {"\\": r"\textbackslash ", "~": r"\textasciitilde ", "^": r"\textasciicircum "}.get(mark, f"\\{mark}")
        )
    return text.replace("–", "--")
