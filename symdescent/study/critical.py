r"""Critical points: where :math:`\nabla L = 0` (or jumps through 0), what each of them is, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import sympy as sp

from symdescent.derivation.components.stated import stated
from symdescent.derivation.page import Block, Rendered
from symdescent.derivation.steps import Said, in_words
from symdescent.derivation.wording import check_language
from symdescent.loss import Loss
from symdescent.statement import ARRAYS, name_of
from symdescent.study.convexity import shape
from symdescent.study.critical_page import page_of, shown
from symdescent.study.kinks import critical_on_line, has_kinks
from symdescent.study.kinks_added import critical_in_space
from symdescent.study.normal_equations import NormalEquations, NotAffineError, normal_equations
from symdescent.study.phrases import say, word
from symdescent.study.problem import Problem, Stationary, problem_of
from symdescent.study.stationary import stationary_points
from symdescent.study.sums import InseparableError, problem_of_sums

ENTRIES = 6  # of array parameters that are treated one by one


@dataclass(frozen=True, slots=True)
class CriticalPoint:
    """A critical point, or a family of such.

    Attributes
    ----------
    point, value
        the parameters' values (a parameter that is missing may take any value), and the loss there
    kind, scope
        "minimum", "maximum", "saddle" or "undecided"; of extrema, "global" where that is proved, else "local"
    hessian, eigenvalues
        the Hessian there (None at a kink), and its eigenvalues as far as they are known
    reasons, reason
        why it is what it is, as keys of the table of phrases, and in words
    integers, conditions
        symbols for any whole number that the values contain; relations under which the point is one

    >>> import sympy as sp, symdescent as sd
    >>> point = sd.Loss((sp.Symbol("w") - 3)**2).critical_points()[0]
    >>> point.kind, point.scope, point.value
    ('minimum', 'global', 0)
    """

    point: Mapping[Any, Any]
    value: Any
    kind: str
    scope: str
    hessian: Any
    eigenvalues: tuple[Any, ...]
    reasons: tuple[Said, ...]
    integers: tuple[Any, ...] = ()
    conditions: tuple[Any, ...] = ()
    free: tuple[Any, ...] = ()
    approximate: bool = False
    language: str = "en"

    @property
    def reason(self) -> str:
        """Why it is what it is, in words."""
        return "; ".join(in_words(say(said.key, self.language, *said.args)) for said in self.reasons)

    def __repr__(self) -> str:
        at = ", ".join(f"{parameter} = {_brief(value)}" for parameter, value in self.point.items())
        what = " ".join(part for part in (self.scope, self.kind) if part)
        return f"CriticalPoint({at or ', '.join(map(str, self.conditions))}: {what}, L = {_brief(self.value)})"


def _brief(value: Any) -> str:
    short = shown(value)
    return f"{float(short):.7g}" if isinstance(short, sp.Float) else str(short)


class CriticalPoints(Rendered, Sequence[CriticalPoint]):
    """The critical points of a loss, each with its derivation; `complete` tells whether these are surely all.

    Render it with ``.latex()``, ``.markdown()``, ``.html()``, ``.text()`` or ``.save(path)``.

    >>> import sympy as sp, symdescent as sd
    >>> x, y = sp.symbols("x y")
    >>> found = sd.Loss(x**2 - y**2, [x, y]).critical_points()
    >>> list(found), found.complete
    ([CriticalPoint(x = 0, y = 0: saddle, L = 0)], True)
    """

    def __init__(
        self, loss: Loss, points: Sequence[CriticalPoint], complete: bool, notes: Sequence[Said],
        gradient: Mapping[Any, Any], hessian: Any = None, normal: NormalEquations | None = None,
        equations: Sequence[tuple[Any, Any]] = (), language: str = "en",
    ) -> None:  # fmt: skip
        self.equations = tuple(equations)
        self.loss, self.points, self.complete = loss, tuple(points), complete
        self.notes, self.gradient, self.hessian, self.normal = tuple(notes), dict(gradient), hessian, normal
        self.language = check_language(language)

    @overload
    def __getitem__(self, place: int) -> CriticalPoint: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[CriticalPoint]: ...
    def __getitem__(self, place: int | slice) -> CriticalPoint | Sequence[CriticalPoint]:
        return self.points[place]

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[CriticalPoint]:
        return iter(self.points)

    def title(self) -> str:
        """A title for documents."""
        return word("critical title", self.language)

    def page(self, language: str | None = None) -> Sequence[Block]:
        """The blocks of the page, in a language."""
        return page_of(self, check_language(language or self.language))

    def __repr__(self) -> str:
        return self.text()


def critical_points(loss: Loss, language: str = "en") -> CriticalPoints:
    """Find and classify the critical points of a loss. See `CriticalPoints`."""
    check_language(language)
    arrays = [parameter for parameter in loss.parameters if isinstance(parameter, ARRAYS)]
    if not arrays:
        return _of_scalars(loss, loss, {}, language)
    single = _one_by_one(loss)
    if single is not None:
        return _of_scalars(loss, *single, language)
    try:
        return _of_matrix(loss, normal_equations(loss), language)
    except NotAffineError:
        names = tuple(sp.Symbol(name_of(parameter)) for parameter in loss.parameters)
        notes = [Said("note not linear", names[:1])]
        return CriticalPoints(loss, (), False, [*notes, *_bends(loss)], loss.gradient, language=language)


def _bends(loss: Loss) -> list[Said]:
    return [Said("note convex")] if shape(loss.statement).kind == "convex" else []


# -- scalars ----------------------------------------------------------------------------------------------------------


def _of_scalars(loss: Loss, scalar: Loss, names: Mapping[Any, Any], language: str) -> CriticalPoints:
    """Solve for scalar parameters; `names` are the entries that they stand for."""
    gradient = {p: scalar.gradient[p] for p in scalar.parameters}
    shown = {names.get(p, p): value.xreplace(dict(names)) for p, value in gradient.items()}
    try:
        summed = bool(scalar.samples) or bool(scalar.expression.atoms(sp.Sum, sp.Indexed))
        problem = problem_of_sums(scalar) if summed else problem_of(scalar)
    except InseparableError:
        return CriticalPoints(loss, (), False, [Said("note inside sums"), *_bends(loss)], shown, language=language)
    notes: list[Said] = []
    if has_kinks(problem.expression, problem.unknowns):
        found = (critical_on_line if len(problem.unknowns) == 1 else critical_in_space)(problem)
        if found is None:
            return CriticalPoints(loss, (), False, [Said("note kinks"), *_bends(loss)], shown, language=language)
        points, complete = found
    else:
        points, complete = stationary_points(problem)
    back = {symbol: names.get(old, old) for symbol, old in problem.names.items()}
    made = [_presented(problem, point, back, language) for point in points]
    if not made and complete:
        notes.append(Said("note none kinks" if has_kinks(problem.expression, problem.unknowns) else "note none"))
    elif not made:
        notes += [Said("note unsolved"), *_bends(loss)]
    elif not complete:
        notes.append(Said("note incomplete"))
    if any(point.approximate for point in made):
        notes.append(Said("note approximate"))
    hessian = None if has_kinks(problem.expression, problem.unknowns) else scalar.hessian.xreplace(dict(names))
    equations = [_taken_apart(problem, slope, back) for slope in problem.gradient] if summed else []
    return CriticalPoints(loss, made, complete, notes, shown, hessian, equations=equations, language=language)


def _taken_apart(problem: Problem, slope: Any, back: Mapping[Any, Any]) -> tuple[Any, Any]:
    """An equation with sums as constants: what depends on the unknowns on the left, the rest on the right."""
    numerator = sp.expand(sp.fraction(sp.factor(slope))[0])
    common = sp.gcd_terms(numerator).as_coeff_Mul()[0]
    terms = sp.Add.make_args(sp.expand(numerator / common))
    moving = sp.Add(*(term for term in terms if term.free_symbols & set(problem.unknowns)))
    rest = -sp.Add(*(term for term in terms if not term.free_symbols & set(problem.unknowns)))
    if moving.could_extract_minus_sign():
        moving, rest = -moving, -rest
    return moving.xreplace(dict(back)), rest.xreplace(dict(back))


def _presented(problem: Problem, point: Stationary, back: Mapping[Any, Any], language: str) -> CriticalPoint:
    """A stationary point in the symbols of the statement."""

    def restored(value: Any) -> Any:
        return fraction_first(value).xreplace(dict(back)) if isinstance(value, sp.Basic) else value

    root = point.root
    reasons = tuple(Said(said.key, tuple(map(_restored(back), said.args))) for said in point.reasons)
    return CriticalPoint(
        {back[u]: restored(root.values[u]) for u in problem.unknowns if u in root.values},
        restored(point.value),
        point.kind,
        point.scope,
        None if point.hessian is None else point.hessian.xreplace(dict(back)).as_immutable(),
        tuple(map(restored, point.curvature.eigenvalues)),
        reasons,
        root.integers,
        tuple(restored(condition) for condition in root.conditions),
        tuple(back[u] for u in root.free),
        root.approximate,
        language,
    )


def _restored(back: Mapping[Any, Any]) -> Any:
    return lambda part: part.xreplace(dict(back)) if hasattr(part, "xreplace") else part


def fraction_first(value: Any) -> Any:
    """A quotient whose denominator begins with a positive term: n Σx² - (Σx)², not (Σx)² - n Σx²."""
    if not isinstance(value, sp.Expr) or not value.has(sp.Dummy):
        return value
    above, below = sp.fraction(sp.together(value))
    counts = [term for term in sp.Add.make_args(below) if any(s.is_integer for s in term.free_symbols)]
    if isinstance(below, sp.Add) and counts and counts[0].could_extract_minus_sign():
        above, below = sp.expand(-above), sp.expand(-below)
    return above / below


def _one_by_one(loss: Loss) -> tuple[Loss, dict[Any, Any]] | None:
    """The loss in the entries of its array parameters, where they are few; and which entry each symbol stands for."""
    described = stated(loss)
    expression = described.expression.doit() if described.expression.atoms(sp.Sum) else described.expression
    bases = {described.arrays.get(p, p): p for p in loss.parameters}
    if any(isinstance(base, sp.Symbol) for base in bases) and not all(isinstance(base, sp.Symbol) for base in bases):
        pass
    entries = sorted(
        (part for part in expression.atoms(sp.Indexed) if part.base in bases),
        key=lambda part: sp.default_sort_key(part),
    )
    fixed = all(place.is_Integer for part in entries for place in part.indices)
    if not entries or not fixed or len(entries) > ENTRIES or expression.atoms(sp.Sum):
        return None
    symbols = {part: sp.Symbol("_".join([str(part.base), *map(str, part.indices)]), real=True) for part in entries}
    scalars = [symbols[part] for part in entries] + [p for p in loss.parameters if isinstance(p, sp.Symbol)]
    others = {part: sp.Symbol(str(part), real=True) for part in expression.atoms(sp.Indexed) if part not in symbols}
    made = Loss(expression.xreplace({**symbols, **others}), scalars, kinks=loss.statement.kinks)
    names = {symbol: sp.IndexedBase(str(part.base))[part.indices] for part, symbol in symbols.items()}
    return made, {**names, **{symbol: part for part, symbol in others.items()}}


# -- matrices ---------------------------------------------------------------------------------------------------------


def _of_matrix(loss: Loss, normal: NormalEquations, language: str) -> CriticalPoints:
    """The solution of the normal equations as a critical point."""
    convex = shape(loss.statement).kind == "convex" or normal.verdict in ("positive", "semipositive")
    verdict = "semipositive" if normal.verdict == "unknown" and convex else normal.verdict
    reasons = [Said(f"matrix {verdict}", (normal.hessian,))]
    if verdict == "unknown" and normal.signs:
        reasons.append(Said("matrix sign", (sp.Gt(normal.signs[0].as_coeff_Mul()[1], 0),)))
    if convex:
        reasons.append(Said("global minimum by convexity"))
    if verdict == "semipositive" and len(normal.full_rank) == 1:
        reasons.append(Said("full rank", normal.full_rank))
    point = CriticalPoint(
        {loss.parameters[0]: normal.solution},
        _value(loss, normal),
        "minimum" if convex else "undecided",
        "global" if convex else "",
        normal.hessian,
        (),
        tuple(reasons),
        language=language,
    )
    return CriticalPoints(
        loss, [point], True, (), {loss.parameters[0]: normal.gradient}, normal=normal, language=language
    )


def _value(loss: Loss, normal: NormalEquations) -> Any:
    """The loss at the solution, if the statement is in matrix notation: the solution put in."""
    expression = loss.expression
    if not isinstance(loss.parameters[0], sp.MatrixSymbol) or loss.samples:
        return None
    value = expression.subs(loss.parameters[0], normal.solution)
    return value if value.count_ops() < 60 else None
