"""Real solutions of systems of equations: factor by factor, unknown by unknown, and honest about what is left out.

SymPy's solvers are used for single equations; the way through a system (which factor vanishes, which unknown is
eliminated) is taken here, so that every branch is either finished or known to be unfinished.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp
from sympy.polys.polyerrors import BasePolynomialError

from symdescent.study.isolating import isolated_roots
from symdescent.study.limits import within
from symdescent.study.roots import eliminated, rational_roots, recognised, sign_changes

SECONDS = 2.5  # for one call of a solver
BUDGET = 15.0  # for a whole system
MOST_DECIMAL = 8  # roots found numerically
DEGREE = 40  # of polynomials in one unknown


@dataclass(frozen=True, slots=True)
class Root:
    """One solution, or a family: values of the unknowns.

    `free` unknowns may take any value, `integers` are symbols for any whole number; `conditions` must hold for the
    values to be real. `approximate` values are decimal.
    """

    values: dict[Any, sp.Expr]
    free: tuple[Any, ...] = ()
    integers: tuple[Any, ...] = ()
    conditions: tuple[Any, ...] = ()
    approximate: bool = False


@dataclass(slots=True)
class Roots:
    """The solutions found, and whether they are all there are."""

    found: list[Root]
    complete: bool = True


def solve_real(equations: Sequence[Any], unknowns: Sequence[Any]) -> Roots:
    """Solve ``equations = 0`` for real unknowns; the symbols in it are declared real.

    >>> x, y = sp.symbols("x y", real=True)
    >>> [root.values for root in solve_real([4*x**3 - 4*y, 4*y - 4*x], [x, y]).found]
    [{x: -1, y: -1}, {x: 0, y: 0}, {x: 1, y: 1}]
    """
    solver = _Solver(tuple(unknowns), time.monotonic() + BUDGET)
    found = [_resolved(root, unknowns) for root in solver.solve(list(equations), tuple(unknowns))]
    found = [root for root in found if not any(v.has(sp.zoo, sp.nan, sp.oo) for v in root.values.values())]
    distinct: dict[Any, Root] = {}
    for root in found:
        distinct.setdefault(tuple(root.values.get(u, u) for u in unknowns), root)
    kept = [root for root in distinct.values() if not any(_covers(wide, root) for wide in found)]
    return Roots(sorted(kept, key=lambda root: _order(root, unknowns)), solver.complete)


def _covers(wide: Root, root: Root) -> bool:
    """Whether a solution is a point of a continuum that was found too."""
    if not wide.free or root.free or root.integers:
        return False
    at = {u: root.values[u] for u in wide.free if u in root.values}
    return all(is_zero(value.xreplace(at) - root.values[u]) for u, value in wide.values.items())


def _order(root: Root, unknowns: Sequence[Any]) -> tuple[Any, ...]:
    def place(value: Any) -> tuple[int, float, str]:
        value = sp.sympify(value).xreplace(dict.fromkeys(root.integers, sp.S.Zero))
        try:
            return 0, float(value), ""
        except TypeError:
            return 1, 0.0, str(value)

    return len(root.free) + len(root.integers), tuple(place(root.values.get(u, u)) for u in unknowns)


def _resolved(root: Root, unknowns: Sequence[Any]) -> Root:
    """Values in terms of free unknowns only."""
    values = dict(root.values)
    for _ in values:
        values = {u: sp.sympify(v).xreplace(values) for u, v in values.items()}
    return replace(root, values={u: values[u] if root.integers else tidy(values[u]) for u in unknowns if u in values})


def tidy(value: Any) -> Any:
    """A value simplified, unless that takes long."""
    if value.has(sp.CRootOf) or value.is_Float:
        return value
    shorter = within(1.0, sp.simplify, value) if value.count_ops() < 200 else None
    if shorter is None:
        return value
    plain = within(1.0, sp.radsimp, shorter)
    return min((form for form in (value, shorter, plain) if form is not None), key=lambda form: form.count_ops())


@dataclass(slots=True)
class _Solver:
    """The branches of one system."""

    unknowns: tuple[Any, ...]
    end: float
    complete: bool = True
    known: dict[Any, list[Root]] = field(default_factory=dict)
    stated: dict[Any, Any] = field(default_factory=dict)

    def give_up(self) -> list[Root]:
        """Leave a branch unfinished."""
        self.complete = False
        return []

    def solve(self, equations: list[Any], unknowns: tuple[Any, ...]) -> list[Root]:
        """All solutions of a system."""
        if time.monotonic() > self.end:
            return self.give_up()
        systems = []
        for equation in equations:
            parts = factors(equation, unknowns)
            if parts is None:  # it holds anyway
                continue
            if not parts:  # it cannot hold
                return []
            if len(parts) == 1:
                self.stated.setdefault(parts[0], equation)
            systems.append(parts)
        if not systems:
            return [Root({}, free=unknowns)]
        systems.sort(key=lambda parts: max(_difficulty(part, unknowns) for part in parts))
        first, rest = systems[0], [sp.Mul(*parts) for parts in systems[1:]]
        if max(_difficulty(part, unknowns) for part in first) >= _HARD and len(systems) > 1:
            found = self.polynomial([sp.Mul(*parts) for parts in systems], unknowns)
            if found is not None:
                return found
        return [root for part in first for root in self.branch(part, rest, unknowns)]

    def branch(self, factor: Any, rest: list[Any], unknowns: tuple[Any, ...]) -> Iterator[Root]:
        """The solutions with one factor zero."""
        present = [u for u in unknowns if u in factor.free_symbols]
        if len(present) == 1:
            (unknown,) = present
            for value in self.single(factor, unknown):
                yield from self.substituted(unknown, value, rest, unknowns)
            return
        for unknown in sorted(present, key=lambda u: _linear_cost(factor, u)):
            slope = _slope(factor, unknown)
            if slope is None:
                continue
            level = sp.expand(factor - slope * unknown)
            yield from self.substituted(unknown, Root({unknown: -level / slope}), rest, unknowns)
            if not slope.is_nonzero and factors(slope, unknowns):
                yield from self.solve([slope, level, *rest], unknowns)
            return
        found, unknown = None, present[0]
        for unknown in present:
            found = within(SECONDS, lambda unknown=unknown: sp.solve(factor, unknown))
            if found:
                break
        if not found:
            yield from self.give_up()
            return
        self.complete = self.complete and factor.is_polynomial(unknown) and sp.degree(factor, unknown) == 2
        for value in found:
            if value.is_real is not False:
                yield from self.substituted(unknown, Root({unknown: value}, conditions=real_if(value)), rest, unknowns)

    def substituted(self, unknown: Any, root: Root, rest: list[Any], unknowns: tuple[Any, ...]) -> Iterator[Root]:
        """Put a value into the other equations and solve them."""
        value = root.values[unknown]
        others = tuple(u for u in unknowns if u != unknown)
        left = [_put(equation, unknown, value) for equation in rest]
        if any(equation.has(sp.nan, sp.zoo, sp.oo) for equation in left):
            return
        for further in self.solve(left, others):
            yield Root(
                {unknown: value, **further.values},
                further.free,
                (*root.integers, *further.integers),
                (*root.conditions, *further.conditions),
                root.approximate or further.approximate,
            )

    # -- one equation in one unknown -------------------------------------------------------------------------------

    def single(self, equation: Any, unknown: Any) -> list[Root]:
        """The real roots of one equation; branches often meet the same one."""
        if (equation, unknown) not in self.known:
            self.known[equation, unknown] = self.roots(equation, unknown)
        return self.known[equation, unknown]

    def roots(self, equation: Any, unknown: Any) -> list[Root]:
        """The real roots of one equation."""
        if equation.has(sp.CRootOf):
            equation = sp.N(equation, 50)
        if equation.has(sp.Float):
            return self.numerical(equation, unknown)
        if equation.is_polynomial(unknown):
            return self.of_polynomial(sp.Poly(equation, unknown), unknown)
        solved = within(SECONDS, sp.solveset, equation, unknown, sp.S.Reals)
        found = None if solved is None else self.members(solved, unknown)
        if found is not None:
            return found
        equation = self.stated.get(equation, equation)  # before denominators were cleared
        isolated = within(SECONDS, isolated_roots, equation, unknown) if equation.free_symbols == {unknown} else None
        if isolated is not None:
            known = [recognised(equation, unknown, value) for value in isolated]
            return [Root({unknown: value}, approximate=value.is_Float) for value in known]
        values = within(1.0, sp.solve, equation, unknown) or []
        real = [value for value in values if value.is_real is not False and _vanishes(equation, unknown, value)]
        self.complete = False
        close = self.numerical(equation, unknown) if equation.free_symbols == {unknown} else []
        known = [complex(value) for value in real if value.is_number]
        extra = [root for root in close if all(abs(complex(root.values[unknown]) - z) > 1e-9 for z in known)]
        return [Root({unknown: value}, conditions=real_if(value)) for value in real] + extra

    def of_polynomial(self, polynomial: sp.Poly, unknown: Any) -> list[Root]:
        """The real roots of a polynomial: exact, and as numbered roots where radicals do not do."""
        if polynomial.degree() > DEGREE:
            return self.give_up()
        if all(c.is_Rational for c in polynomial.all_coeffs()):
            values = within(SECONDS, rational_roots, polynomial)
            return self.give_up() if values is None else [Root({unknown: value}) for value in values]
        if polynomial.degree() == 1:
            slope, level = polynomial.all_coeffs()
            return [Root({unknown: sp.cancel(-level / slope)})]
        values = within(SECONDS, sp.roots, polynomial.as_expr(), unknown)
        if values is None or sum(values.values()) != polynomial.degree():
            return self.give_up()
        real = [value for value in values if value.is_real is not False and not value.has(sp.I)]
        if polynomial.degree() > 2 and any(value.has(sp.I) and value.is_real is None for value in values):
            self.complete = False
        return [Root({unknown: value}, conditions=real_if(value)) for value in real]

    def members(self, solved: Any, unknown: Any) -> list[Root] | None:
        """The roots in a set that SymPy found; None for a set that is no list of roots."""
        if solved is sp.S.EmptySet:
            return []
        if isinstance(solved, sp.FiniteSet):
            return [Root({unknown: v}, conditions=real_if(v)) for v in solved if v.is_real is not False]
        if isinstance(solved, sp.Union):
            parts = [self.members(part, unknown) for part in solved.args]
            return None if None in parts else [root for part in parts for root in part or []]
        if isinstance(solved, (sp.Intersection, sp.Complement)):
            parts = [part for part in solved.args if isinstance(part, (sp.FiniteSet, sp.Union, sp.ImageSet))]
            return self.members(parts[0], unknown) if parts else None
        if isinstance(solved, sp.ConditionSet):
            about_constants = unknown not in solved.condition.free_symbols
            return self.members(solved.base_set, unknown) if about_constants and solved.base_set != sp.S.Reals else None
        if isinstance(solved, sp.ImageSet) and solved.base_sets == (sp.S.Integers,):
            number = self.whole(unknown)
            value = sp.expand(solved.lamda(number))
            return [Root({unknown: value}, integers=(number,), conditions=real_if(value))]
        return None

    def whole(self, unknown: Any) -> Any:
        """The symbol for the whole numbers in the families of one unknown."""
        taken = {u.name for u in self.unknowns}
        names = [name for name in ("k", "m", "n", "l", *(f"k_{place}" for place in range(99))) if name not in taken]
        return sp.Symbol(names[self.unknowns.index(unknown)], integer=True)

    def numerical(self, equation: Any, unknown: Any) -> list[Root]:
        """Roots found by looking for changes of sign: there may be others."""
        self.complete = False
        if equation.free_symbols != {unknown}:
            return []
        values = sorted(within(SECONDS, sign_changes, equation, unknown) or [], key=abs)[:MOST_DECIMAL]
        known = [recognised(equation, unknown, value) for value in values]
        return [Root({unknown: value}, approximate=value.is_Float) for value in known]

    # -- several polynomials ---------------------------------------------------------------------------------------

    def polynomial(self, equations: list[Any], unknowns: tuple[Any, ...]) -> list[Root] | None:
        """Solutions of a polynomial system with finitely many, by elimination; None if it is no such system."""
        present = tuple(u for u in unknowns if any(u in e.free_symbols for e in equations))
        if len(present) < 2 or len(present) < len(unknowns):
            return None
        try:
            polynomials = [sp.Poly(equation, *present) for equation in equations]
        except BasePolynomialError:
            return None
        if not all(c.is_Rational for p in polynomials for c in p.coeffs()):
            return None
        values = within(max(1.0, self.end - time.monotonic()), eliminated, polynomials, present)
        if values is None:
            return None
        return [Root(dict(zip(present, point, strict=True))) for point in values]


# -- equations --------------------------------------------------------------------------------------------------------


def factors(equation: Any, unknowns: Sequence[Any]) -> list[Any] | None:
    """The factors of an equation that can vanish; none of them where it cannot hold, None where it always does."""
    equation = sp.sympify(equation)
    if equation.has(sp.Float) and not equation.has(sp.CRootOf) and not _is_long_float(equation):
        equation = sp.nsimplify(equation, rational=True)
    if not equation.free_symbols & set(unknowns):
        return None if is_zero(equation) else []
    numerator = sp.fraction(sp.together(equation))[0]
    whole = within(SECONDS, sp.factor, numerator) if numerator.count_ops() < 2000 else None
    whole = numerator if whole is None else whole
    if whole == 0 or (not whole.free_symbols & set(unknowns) and is_zero(whole)):
        return None
    found = []
    for part in sp.Mul.make_args(sp.powsimp(whole) if whole.has(sp.exp) else whole):
        base = part.base if part.is_Pow and part.exp.is_positive else part
        if base.is_nonzero or isinstance(base, sp.exp) or not base.free_symbols & set(unknowns):
            continue
        if not base.is_polynomial(*unknowns) and base.is_positive:
            continue
        found.append(base)
    return list(dict.fromkeys(found))


def is_zero(value: Any) -> bool:
    """Whether an expression without unknowns vanishes."""
    if value.is_number:
        if value.is_zero is not None and not value.has(sp.CRootOf):
            return bool(value.is_zero)
        close = sp.N(value, 40, maxn=200)
        return bool(abs(close) < sp.Float("1e-25"))
    return within(1.0, sp.simplify, value) == 0


def _is_long_float(equation: Any) -> bool:
    """Whether decimals come from an approximation, not from the statement."""
    return any(number._prec > 60 for number in equation.atoms(sp.Float))


_HARD = 3


def _difficulty(factor: Any, unknowns: Sequence[Any]) -> int:
    """0: a polynomial in one unknown, 1: linear in one, 2: one unknown, 3: anything else."""
    present = [u for u in unknowns if u in factor.free_symbols]
    if len(present) == 1:
        return 0 if factor.is_polynomial(present[0]) else 2
    return 1 if any(_slope(factor, u) is not None for u in present) else _HARD


def _slope(factor: Any, unknown: Any) -> Any:
    """The coefficient of an unknown that occurs linearly, else None."""
    if not factor.is_polynomial(unknown):
        return None
    polynomial = sp.Poly(factor, unknown)
    return polynomial.coeff_monomial(unknown) if polynomial.degree() == 1 else None


def _linear_cost(factor: Any, unknown: Any) -> tuple[bool, int]:
    slope = _slope(factor, unknown)
    return slope is None or not slope.is_number, 0 if slope is None else slope.count_ops()


def _put(equation: Any, unknown: Any, value: Any) -> Any:
    return equation.subs(unknown, value)


def _vanishes(equation: Any, unknown: Any, value: Any) -> bool:
    result = equation.subs(unknown, value)
    return not result.is_number or abs(sp.N(result, 30)) < 1e-12


def real_if(value: Any) -> tuple[Any, ...]:
    """Conditions under which a value is real: what stands under even roots and in logarithms."""
    conditions = []
    for part in sp.preorder_traversal(value):
        if part.is_Pow and part.exp.is_Rational and part.exp.q % 2 == 0 and part.base.is_nonnegative is None:
            conditions.append(sp.Ge(part.base, 0) if part.exp > 0 else sp.Gt(part.base, 0))
        if isinstance(part, sp.log) and part.args[0].is_positive is None:
            conditions.append(sp.Gt(part.args[0], 0))
    return tuple(dict.fromkeys(condition for condition in conditions if condition not in (sp.true, sp.false)))
