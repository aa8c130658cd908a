"""Names for long inner expressions: a residual ``r_i``, an activation ``z_ij``, so that lines stay short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symdescent.derivation.components.trees import parts, plus, rebuild, rewrite, times, unused_name, weight

LONG = 8  # leaves: about as much as one takes in at a glance
_LETTERS = {"residual": "rezuavsqpt", "inner": "zuavsqptc"}


@dataclass(frozen=True, slots=True)
class Abbreviation:
    """A name for an expression: an array entry ``r[i]`` at the indices that the expression is within, or a symbol."""

    name: Any
    indices: tuple[Any, ...]
    expression: Any

    @property
    def base(self) -> Any:
        """What stands for it in expressions, whatever the indices."""
        return self.name.base if isinstance(self.name, sp.Indexed) else self.name


def abbreviate(
    expression: Any, parameters: Sequence[Any], arrays: Mapping[Any, Any], taken: set[str], found: list[Abbreviation]
) -> Any:
    """Replace the long arguments of functions that hold parameters; the abbreviations are added to `found`."""
    bases = {arrays.get(parameter, parameter) for parameter in parameters}
    return shortened(_Abbreviator(bases, set(taken), found).walk(expression, ()), found)


class _Abbreviator:
    def __init__(self, parameters: set[Any], taken: set[str], found: list[Abbreviation]) -> None:
        self.parameters, self.taken, self.found = parameters, taken, found

    def walk(self, expression: Any, bound: tuple[Any, ...]) -> Any:
        """The expression with long arguments named, from the inside out."""
        if (
            not expression.args
            or isinstance(expression, (sp.Indexed, sp.KroneckerDelta))
            or not self._varies(expression)
        ):
            return expression
        if isinstance(expression, (sp.Sum, sp.Product)):
            inner = (*bound, *(limit[0] for limit in reversed(expression.limits)))
            return self._rebuilt(expression, [self.walk(expression.function, inner), *expression.limits])
        if isinstance(expression, sp.Pow) or (isinstance(expression, sp.Function) and not _is_cases(expression)):
            args = [self._named(argument, bound, expression) for argument in expression.args]
            return self._rebuilt(expression, args)
        if isinstance(expression, sp.functions.elementary.piecewise.ExprCondPair):
            return expression.func(self.walk(expression.args[0], bound), expression.args[1])
        return self._rebuilt(expression, [self.walk(argument, bound) for argument in expression.args])

    def _rebuilt(self, expression: Any, args: Sequence[Any]) -> Any:
        if all(new == old for new, old in zip(args, expression.args, strict=True)):
            return expression
        return rebuild(expression, args)

    def _varies(self, expression: Any) -> bool:
        return any(part in self.parameters for part in parts(expression))

    def _named(self, argument: Any, bound: tuple[Any, ...], outside: Any) -> Any:
        inner = self.walk(argument, bound)
        long = weight(inner) > LONG or (inner.has(sp.Sum) and not isinstance(inner, sp.Sum)) or _is_product_sum(inner)
        if not long or not self._varies(argument) or not _is_plain(inner):
            return inner
        for known in self.found:
            if known.expression == inner:
                return known.name
        indices = tuple(symbol for symbol in bound if symbol in inner.free_symbols)
        residual = isinstance(outside, sp.Abs) or (isinstance(outside, sp.Pow) and outside.exp == 2)
        name = self._unused("residual" if residual else "inner")
        named = sp.IndexedBase(name)[indices] if indices else sp.Symbol(name)
        self.found.append(Abbreviation(named, indices, inner))
        return named

    def _unused(self, kind: str) -> str:
        name = unused_name(_LETTERS[kind], self.taken)
        self.taken.add(name)
        return name


def _is_cases(expression: Any) -> bool:
    return isinstance(expression, (sp.Piecewise, sp.Max, sp.Min))


def _is_plain(inner: Any) -> bool:
    """A sum or product of several things, worth a name; not one function call."""
    return isinstance(inner, (sp.Add, sp.Mul, sp.Sum))


def _is_product_sum(inner: Any) -> bool:
    return isinstance(inner, sp.Sum) and isinstance(inner.function, sp.Mul)


def shortened(expression: Any, abbreviations: Sequence[Abbreviation]) -> Any:
    """The expression with every occurrence of what is abbreviated, at whatever indices, replaced by its name.

    Later abbreviations are made of earlier ones: those are replaced first.
    """
    plain = {each.expression: each.name for each in abbreviations if not each.indices}
    expression = _from_inside(expression, {**{-whole: -name for whole, name in plain.items()}, **plain})
    for each in (each for each in abbreviations if each.indices):

        def visit(part: Any, each: Abbreviation = each) -> Any:
            for pattern, sign in ((each.expression, 1), (-each.expression, -1)):
                if part.func is pattern.func:
                    whole = part.args if isinstance(part, sp.Add) else (part,)
                    terms = pattern.args if isinstance(part, sp.Add) else (pattern,)
                    found = next(_in_any_order(list(terms), list(whole), {}, frozenset(each.indices)), None)
                    if found is not None:
                        known, rest = found
                        return plus(times(sp.Integer(sign), each.name.xreplace(known)), *rest)
            return None

        expression = rewrite(expression, visit)
    return expression


def _from_inside(expression: Any, names: dict[Any, Any]) -> Any:
    """Replace parts by their names, the innermost first: later names stand for expressions with earlier ones."""
    if not names or not expression.args:
        return expression
    args = [_from_inside(argument, names) for argument in expression.args]
    if any(new is not old for new, old in zip(args, expression.args, strict=True)):
        expression = rebuild(expression, args)
    return names.get(expression, expression)


def inserted(expression: Any, abbreviations: Sequence[Abbreviation]) -> Any:
    """The expression with every abbreviation replaced by what it stands for."""
    for each in reversed(abbreviations):

        def visit(part: Any, each: Abbreviation = each) -> Any:
            if part == each.name and not each.indices:
                return each.expression
            if isinstance(part, sp.Indexed) and part.base == each.base:
                return each.expression.xreplace(dict(zip(each.indices, part.indices, strict=True)))
            return None

        expression = rewrite(expression, visit)
    return expression


def unify(pattern: Any, target: Any, known: dict[Any, Any], free: frozenset[Any]) -> Iterator[dict[Any, Any]]:
    """Ways to choose the indices of a pattern, and to rename its dummies, so that it becomes the target."""
    if pattern in known:
        if known[pattern] == target:
            yield known
        return
    if pattern in free:
        yield {**known, pattern: target}
        return
    if pattern == target:
        yield known
        return
    if pattern.func is not target.func or len(pattern.args) != len(target.args) or not pattern.args:
        return
    if isinstance(pattern, (sp.Sum, sp.Product)):
        free = free | set(pattern.variables)
    if isinstance(pattern, (sp.Add, sp.Mul)):
        yield from (found for found, _ in _in_any_order(list(pattern.args), list(target.args), known, free))
    else:
        yield from _in_order(list(pattern.args), list(target.args), known, free)


def _in_order(patterns: list[Any], targets: list[Any], known: dict[Any, Any], free: frozenset[Any]) -> Iterator[Any]:
    if not patterns:
        yield known
        return
    for found in unify(patterns[0], targets[0], known, free):
        yield from _in_order(patterns[1:], targets[1:], found, free)


def _in_any_order(
    patterns: list[Any], targets: list[Any], known: dict[Any, Any], free: frozenset[Any]
) -> Iterator[tuple[dict[Any, Any], list[Any]]]:
    """Ways to find all patterns among the targets, with the targets that are left over."""
    if not patterns:
        yield known, targets
        return
    for place, target in enumerate(targets):
        for found in unify(patterns[0], target, known, free):
            yield from _in_any_order(patterns[1:], [*targets[:place], *targets[place + 1 :]], found, free)
