"""Building and rewriting SymPy expressions without evaluation: a line shows a product or sum as it arose."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symdescent.elementary import functions


def plus(*terms: Any) -> Any:
    """The sum of the terms as they stand; zeros are left out."""
    flat = [part for term in terms for part in (term.args if isinstance(term, sp.Add) else (term,)) if part != 0]
    if len(flat) < 2:
        return flat[0] if flat else sp.S.Zero
    return sp.Add(*flat, evaluate=False)


def times(*factors: Any) -> Any:
    """The product of the factors as they stand; only a zero makes all of it zero, and a leading 1 is left out."""
    flat = [part for factor in factors for part in (factor.args if isinstance(factor, sp.Mul) else (factor,))]
    if any(part == 0 for part in flat):
        return sp.S.Zero
    signs = [part for part in flat if part == -1]
    flat = [part for part in flat if part != 1 and part != -1]
    if len(signs) % 2:
        if flat and flat[0].is_Number:
            flat[0] = -flat[0]
        else:
            flat.insert(0, sp.S.NegativeOne)
    if len(flat) < 2:
        return flat[0] if flat else sp.S.One
    return sp.Mul(*flat, evaluate=False)


def power(base: Any, exponent: Any) -> Any:
    """A power as it stands; the exponents 0 and 1 are not written."""
    if exponent == 0:
        return sp.S.One
    return base if exponent == 1 else sp.Pow(base, exponent, evaluate=False)


def total(kind: type, body: Any, *limits: Any) -> Any:
    """A Sum or Product with the body as it stands."""
    if kind is sp.Sum and body == 0:
        return sp.S.Zero
    made = sp.Expr.__new__(kind, body, *(sp.Tuple(*limit) for limit in limits))
    made.is_commutative = True
    return made


def rebuild(expression: Any, args: Any) -> Any:
    """The expression with other arguments, unevaluated."""
    kind = expression.func
    if kind is sp.Add:
        return plus(*args)
    if kind is sp.Mul:
        return times(*args)
    if kind is sp.Pow:
        return power(*args)
    if kind in (sp.Sum, sp.Product):
        return total(kind, args[0], *args[1:])
    if issubclass(kind, (sp.Function, sp.Piecewise)) and not issubclass(kind, functions._Head):
        return kind(*args, evaluate=False)
    return kind(*args)


def rewrite(expression: Any, visit: Callable[[Any], Any]) -> Any:
    """Replace the outermost parts for which `visit` returns something, and leave all else as it stands."""
    found = visit(expression)
    if found is not None:
        return found
    if not expression.args or isinstance(expression, (sp.Indexed, sp.IndexedBase)):
        return expression
    args = [rewrite(argument, visit) for argument in expression.args]
    if all(new is old for new, old in zip(args, expression.args, strict=True)):
        return expression
    return rebuild(expression, args)


def replaced(expression: Any, mapping: dict[Any, Any]) -> Any:
    """The expression with parts replaced, without evaluation; indices of arrays are replaced too."""

    def visit(part: Any) -> Any:
        if part in mapping:
            return mapping[part]
        if isinstance(part, sp.Indexed):
            return part.xreplace(mapping)
        return None

    return rewrite(expression, visit)


def parts(expression: Any) -> Iterator[Any]:
    """All parts of an expression, from left to right, before their own parts."""
    pending = [expression]
    while pending:
        part = pending.pop()
        yield part
        pending.extend(reversed(part.args))


@dataclass(frozen=True, slots=True)
class Place:
    """A part of an expression: what is around it, with the number of the argument to go on to, and sums' limits."""

    part: Any
    path: tuple[tuple[Any, int], ...]

    @property
    def limits(self) -> list[Any]:
        """The limits of the sums and products around, the outermost first."""
        around = [node for node, _ in self.path if isinstance(node, (sp.Sum, sp.Product))]
        return [limit for node in around for limit in reversed(node.limits)]

    def replaced(self, part: Any) -> Any:
        """The whole expression with another part here."""
        for node, number in reversed(self.path):
            part = rebuild(node, [*node.args[:number], part, *node.args[number + 1 :]])
        return part


def first_place(expression: Any, *kinds: type) -> Place | None:
    """The leftmost outermost part of one of the classes."""
    pending: list[tuple[Any, Any]] = [(expression, None)]
    while pending:
        part, way = pending.pop()
        if isinstance(part, kinds):
            path = []
            while way is not None:
                node, number, way = way
                path.append((node, number))
            return Place(part, tuple(reversed(path)))
        numbers = range(len(part.args) - 1, -1, -1)
        pending.extend((part.args[number], (part, number, way)) for number in numbers if part.args[number].args)
    return None


def evaluated(expression: Any) -> Any:
    """The expression in SymPy's canonical form; sums and derivatives stay as they are."""
    if not expression.args or isinstance(expression, (sp.Indexed, sp.IndexedBase)):
        return expression
    args = [evaluated(argument) for argument in expression.args]
    if expression.func in (sp.Sum, sp.Product):
        return total(expression.func, *args)
    if isinstance(expression, sp.Derivative):
        return sp.Derivative(*args, evaluate=False)
    return expression.func(*args)


def unused_name(letters: str, taken: Container[str]) -> str:
    """The first of some letters that is not taken, else the last of them with a number."""
    numbered = (f"{letters[-1]}_{number}" for number in itertools.count(1))
    return next(name for name in itertools.chain(letters, numbered) if name not in taken)


def weight(expression: Any) -> int:
    """How long an expression is to read: its leaves, an array entry counting as one."""
    if isinstance(expression, sp.Indexed) or not expression.args:
        return 1
    return sum(map(weight, expression.args))


def same_up_to_order(left: Any, right: Any) -> bool:
    """Whether two expressions have the same terms and factors, in whatever order."""
    if left == right or (not isinstance(left, (sp.Add, sp.Mul)) and evaluated(left) == right):
        return True
    if left.func is not right.func or len(left.args) != len(right.args) or not left.args:
        return False
    if not isinstance(left, (sp.Add, sp.Mul)):
        return all(map(same_up_to_order, left.args, right.args))
    remaining = list(right.args)
    for argument in left.args:
        match = next((other for other in remaining if same_up_to_order(argument, other)), None)
        if match is None:
            return False
        remaining.remove(match)
    return True
