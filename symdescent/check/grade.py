"""Grading a gradient that somebody derived by hand: right, or wrong and how."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symdescent.binding import Bound, as_mapping
from symdescent.check.draw import instances, symbol_values
from symdescent.check.evaluate import evaluate, leaves
from symdescent.check.verify import component_values, free_positions
from symdescent.errors import DataError, StatementError
from symdescent.statement import Statement, name_of

TOLERANCE = 1e-8
POINTS = 5


@dataclass(frozen=True, slots=True)
class Grade:
    """The mark of a candidate.

    ``kind`` is "right", "constant factor", "sign", "missing term", "extra term", "sign of a term", "transposed",
    "wrong shape" or "different function"; ``factor`` or ``difference`` (candidate - gradient) say by what it is
    wrong, ``correct`` is the gradient, and ``point`` a place where it can be seen, with both values.

    >>> import symdescent as sd
    >>> w = sp.Symbol("w")
    >>> mark = sd.Loss((w - 3)**2, w).check(candidate={w: w - 3}).grades["w"]
    >>> mark.right, mark.kind, mark.factor
    (False, 'constant factor', 1/2)
    """

    right: bool
    kind: str
    message: str
    factor: Any = None
    difference: Any = None
    correct: Any = None
    point: str = ""

    def __str__(self) -> str:
        return self.message if self.right else f"{self.message}; {self.point}" if self.point else self.message


def grade(
    statement: Statement, gradient: Any, candidate: Any, seed: int = 0, first: Bound | None = None
) -> Iterator[tuple[Any, Grade]]:
    """Yield a mark for each parameter that a candidate gradient is given for; `first` is a point to look at first."""
    given = as_mapping(candidate, statement.parameters, "candidate gradients")
    for key in given:
        matching = [p for p in statement.parameters if p == key or name_of(p) == name_of(key)]
        if not matching:
            known = ", ".join(map(name_of, statement.parameters))
            raise StatementError(f"the candidate is for {key}, but the parameters are {known}")
        yield matching[0], _Grader(statement, gradient, matching[0], given[key], seed, first).mark()


class _Grader:
    """Compares one candidate with one derivative at several random instances."""

    def __init__(
        self, statement: Statement, gradient: Any, parameter: Any, candidate: Any, seed: int, first: Bound | None
    ) -> None:
        self.statement, self.gradient, self.parameter = statement, gradient, parameter
        self.candidate = _expression(candidate)
        self.correct = gradient[parameter]
        self.keys = gradient.indices.get(parameter, ())
        self._check_symbols()
        given = [] if first is None else [first]
        self.bounds = [*given, *itertools.islice(instances(statement, seed + 100), POINTS)]
        if not self.bounds:
            raise DataError(
                "no random point was found at which the loss is finite, so that the candidate cannot be graded"
            )

    def _check_symbols(self) -> None:
        statement = self.statement
        if self.keys and getattr(self.candidate, "is_Matrix", False):
            component = self.parameter[self.keys]
            raise StatementError(
                f"the candidate for {self.parameter} is a matrix, and {self.parameter} an indexed array: give one "
                f"expression, the derivative by {component}, in terms of {', '.join(map(str, self.keys))}"
            )
        known = {
            *statement.parameters,
            *statement.samples,
            *statement.constants,
            *statement.extents,
            *self.keys,
            *statement.arrays.values(),
            statement.sample_count,
        }
        names = {name_of(thing): thing for thing in known if thing is not None}
        for leaf in sorted(leaves(self.candidate) - known, key=str):
            same = names.get(name_of(leaf))
            if same is not None and isinstance(leaf, sp.IndexedBase) and isinstance(same, (sp.IndexedBase, sp.Symbol)):
                continue
            if same is not None and type(leaf) is type(same):
                raise StatementError(
                    f"the candidate's {leaf} has other assumptions than the loss's {same}: create the symbol "
                    "once and use it everywhere"
                )
            free = f"; write the component at {', '.join(map(str, self.keys))}" if self.keys else ""
            raise StatementError(f"the candidate contains {leaf}, which the loss does not{free}")

    # -- numbers --------------------------------------------------------------------------------------------------

    def values(self, expression: Any, bound: Bound) -> Any:
        """The numbers of an expression for this parameter's gradient."""
        statement = self.statement
        shape = np.shape(bound.parameters[self.parameter])
        if leaves(expression) & set(statement.samples):  # one sample's term: the mean over the samples is meant
            values = symbol_values(statement, bound)
            values.pop(statement.sample_count, None)
            values |= free_positions(self.keys, shape, statement.first_index)
            result = evaluate(
                expression,
                values,
                first_index=statement.first_index,
                samples=statement.samples,
                reduction=statement.reduction,
            )
        else:
            bound = _with_names(statement, bound, expression)
            result = component_values(statement, self.gradient, self.parameter, bound, expression, self.keys)
        result = np.asarray(result, dtype=float)
        if result.ndim == 2 and len(shape) == 1 and result.shape == (*shape, 1):
            result = result[:, 0]
        return result

    def mark(self) -> Grade:
        """Compare, and find out how the candidate is wrong."""
        pairs = []
        for bound in self.bounds:
            ours, theirs = self.values(self.correct, bound), self.values(self.candidate, bound)
            if theirs.shape != ours.shape:
                if theirs.ndim == 0 and ours.ndim and not self.keys:
                    theirs = np.broadcast_to(theirs, ours.shape)
                elif theirs.T.shape == ours.shape or theirs.shape == (1, *ours.shape):
                    turned = np.reshape(theirs.T, ours.shape)
                    if _close(turned, ours):
                        return self._wrong(
                            "transposed",
                            f"wrong: transposed (the gradient has the shape of {name_of(self.parameter)})",
                            bound,
                        )
                    return self._wrong(
                        "wrong shape", f"wrong: it has shape {theirs.shape}, the gradient {ours.shape}", bound
                    )
                else:
                    return self._wrong(
                        "wrong shape", f"wrong: it has shape {theirs.shape}, the gradient {ours.shape}", bound
                    )
            pairs.append((ours, theirs))
        if all(_close(theirs, ours) for ours, theirs in pairs):
            return Grade(True, "right", "right", correct=self.correct)
        return self._diagnose(pairs)

    def _diagnose(self, pairs: Sequence[tuple[Any, Any]]) -> Grade:
        worst = next(k for k, (ours, theirs) in enumerate(pairs) if not _close(theirs, ours))
        bound = self.bounds[worst]
        factor = self._factor(pairs)
        if factor is not None:
            if factor == -1:
                return self._wrong("sign", "wrong by the sign: it is the gradient times -1", bound, factor=factor)
            return self._wrong("constant factor", f"wrong by the constant factor {factor}", bound, factor=factor)
        if all(o.ndim == 2 and o.shape[0] == o.shape[1] and _close(t.T, o) for o, t in pairs):
            return self._wrong("transposed", "wrong: transposed", bound)
        difference = self._difference()
        term = self._term(pairs)
        if term is not None:
            kind, shown = term
            said = {
                "missing term": f"wrong: the term {shown} is missing",
                "extra term": f"wrong: the term {shown} does not belong there",
                "sign of a term": f"wrong: the term {shown} has the wrong sign",
            }[kind]
            return self._wrong(kind, said, bound, difference=difference)
        return self._wrong(
            "different function", f"wrong: it differs from the gradient by {difference}", bound, difference=difference
        )

    # -- kinds of mistakes ----------------------------------------------------------------------------------------

    def _factor(self, pairs: Sequence[tuple[Any, Any]]) -> Any:
        """The constant c with candidate = c * gradient, which may hold a power of one given symbol (n, λ, …)."""
        ratios = []
        for ours, theirs in pairs:
            size = float(np.max(np.abs(ours), initial=0.0))
            mask = np.abs(ours) > 1e-9 * size
            if not mask.any() or np.abs(theirs[~mask]).max(initial=0.0) > 1e-6 * size:
                return None
            ratio = theirs[mask] / ours[mask]
            if not np.allclose(ratio, ratio.flat[0], rtol=1e-7, atol=0):
                return None
            ratios.append(float(np.median(ratio)))
        choices: list[tuple[Any, Any]] = [(sp.S.One, np.ones(len(pairs)))]
        for thing in (
            *sorted(self.statement.extents, key=name_of),
            self.statement.sample_count,
            *self.statement.constants,
        ):
            if isinstance(thing, sp.Symbol):
                given = np.array([float(symbol_values(self.statement, bound)[thing]) for bound in self.bounds])
                choices += [(thing**power, given**power) for power in (1, -1, 2, -2)]
        for symbol, size in choices:
            rest = np.array(ratios) / size
            if np.allclose(rest, rest[0], rtol=1e-7, atol=0):
                if np.ptp(size) == 0 and symbol != 1:
                    continue
                return _nice(float(np.median(rest))) * symbol
        return None

    def _term(self, pairs: Sequence[tuple[Any, Any]]) -> tuple[str, Any] | None:
        """One term that is missing, does not belong there, or has the wrong sign."""
        gaps = [theirs - ours for ours, theirs in pairs]
        for kind, expression, share in (
            ("missing term", self.correct, -1.0),
            ("extra term", self.candidate, 1.0),
            ("sign of a term", self.correct, -2.0),
        ):
            for term in _terms(expression):
                try:
                    numbers = [share * self.values(term, bound) for bound in self.bounds]
                except (DataError, StatementError, ValueError):
                    continue
                if all(
                    np.shape(n) in ((), g.shape) and _close(np.broadcast_to(n, g.shape), g)
                    for n, g in zip(numbers, gaps, strict=True)
                ):
                    return kind, term
        return None

    def _difference(self) -> Any:
        """candidate - gradient, simplified where that is quick."""
        if isinstance(self.correct, sp.MatrixExpr) != isinstance(self.candidate, sp.MatrixExpr):
            return f"({self.candidate}) - ({self.correct})"
        if leaves(self.candidate) & set(self.statement.samples):
            return f"({self.candidate}, averaged over the samples) - ({self.correct})"
        difference = self.candidate - self.correct
        if isinstance(difference, sp.MatrixExpr):
            return difference.expand().doit()
        return sp.simplify(difference) if sp.count_ops(difference) < 120 else difference

    def _wrong(self, kind: str, message: str, bound: Bound, factor: Any = None, difference: Any = None) -> Grade:
        shapes_agree = kind not in ("transposed", "wrong shape")
        return Grade(False, kind, message, factor, difference, self.correct, self._where(bound) if shapes_agree else "")

    def _where(self, bound: Bound) -> str:
        """A point where the mistake can be seen, with the two values there."""
        try:
            ours, theirs = self.values(self.correct, bound), self.values(self.candidate, bound)
            theirs = (
                np.broadcast_to(theirs, ours.shape)
                if theirs.ndim == 0
                else np.reshape(theirs, ours.shape)
                if theirs.size == ours.size
                else theirs
            )
            place = tuple(int(k) for k in np.unravel_index(np.argmax(np.abs(theirs - ours)), ours.shape))
        except ValueError:
            return ""
        scalars = {name_of(p): v for p, v in {**bound.parameters, **bound.data}.items() if np.ndim(v) == 0}
        at = ", ".join(f"{name} = {value:.4g}" for name, value in scalars.items()) or "a random point"
        entry = f", component {place}," if place else ""
        return f"at {at}{entry} it gives {theirs[place]:.6g} instead of {ours[place]:.6g}"


def _expression(candidate: Any) -> Any:
    """A candidate as a SymPy expression; text is refused, not evaluated."""
    try:
        expression = sp.sympify(candidate, strict=True)
    except (sp.SympifyError, TypeError, ValueError):
        expression = None
    if isinstance(expression, sp.MatrixBase):
        expression = expression.as_immutable()
    numeric = isinstance(expression, sp.Expr) or getattr(expression, "is_Matrix", False)
    if not numeric or candidate is None:
        raise StatementError(f"the candidate gradient {str(candidate)[:60]!r} is not an expression: give one in SymPy")
    return expression


def _with_names(statement: Statement, bound: Bound, expression: Any) -> Bound:
    """Values also for arrays that a candidate writes with another declaration of the same name."""
    extra = {}
    known = symbol_values(statement, bound)
    for leaf in leaves(expression):
        if leaf not in known and isinstance(leaf, sp.IndexedBase):
            for thing, value in known.items():
                if name_of(thing) == name_of(leaf):
                    extra[leaf] = value
    return Bound(bound.parameters, {**bound.data, **extra}, bound.extents)


def _terms(expression: Any) -> Any:
    """The terms of a sum, those inside a common factor or a Sum included."""
    if isinstance(expression, sp.Add):
        return expression.args
    if isinstance(expression, sp.MatrixExpr):
        expanded = expression.expand()
        return expanded.args if isinstance(expanded, sp.MatAdd) else (expanded,)
    expanded = sp.expand(expression)
    if isinstance(expanded, (sp.Mul, sp.Sum)):
        front: list[Any] = []
        sums: list[Any] = []
        for factor in sp.Mul.make_args(expanded):
            (sums if isinstance(factor, sp.Sum) else front).append(factor)
        if len(sums) == 1:
            inside = sp.expand(sums[0].function)
            return [sp.Mul(*front) * sp.Sum(term, *sums[0].limits) for term in sp.Add.make_args(inside)]
    return sp.Add.make_args(expanded)


def _close(a: Any, b: Any) -> bool:
    size = float(np.max(np.abs(b), initial=0.0))
    return bool(np.shape(a) == np.shape(b) and np.all(np.abs(np.asarray(a) - b) <= TOLERANCE * max(size, 1e-9)))


def _nice(number: float) -> sp.Expr:
    """A factor as a person would write it: a small fraction, or a decimal."""
    fraction = sp.nsimplify(number, [sp.pi], rational=False, tolerance=1e-9)
    return fraction if sp.count_ops(fraction) <= 4 else sp.Float(number, 6)
