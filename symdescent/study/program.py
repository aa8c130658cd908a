"""A loss as an elementary program: v1, v2, … are its inputs, and then one operation a line, as texts on automatic
differentiation write it.

The operations are those of the statement: ``1/(1 + exp(-z))`` is a change of sign, an exponential, a sum and a
quotient. What is summed over is an array over the index: ``v4[i] = v1*v2[i]``, ``v5 = Sum(v4[i], i)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.core.relational import Relational

from symdescent.derivation.components.stated import stated
from symdescent.derivation.components.trees import plus, power, rebuild, times, total
from symdescent.elementary import logsumexp, sigmoid, softmax
from symdescent.errors import UnsupportedError
from symdescent.loss import Loss
from symdescent.statement import ARRAYS, name_of

MOST = 200
_PARTS = 20_000  # more distinct subexpressions than any program of so many lines has

Signed = tuple[int, sp.Expr]


@dataclass(frozen=True, slots=True)
class Operation:
    """One line: the `register` at its `indices` gets the value of the `formula`.

    The register is a Symbol, or an IndexedBase with indices. `source` is the parameter or data that an input stands
    for, and `place` its entry, where one entry is an input by itself.
    """

    register: Any
    indices: tuple[sp.Symbol, ...]
    formula: sp.Expr
    source: Any = None
    place: tuple[int, ...] | None = None

    @property
    def variable(self) -> sp.Expr:
        """The left-hand side: v3, or v3[i]."""
        return self.register[self.indices] if self.indices else self.register


@dataclass(frozen=True, slots=True)
class Program:
    """The lines, inputs first; `extents` gives each index its number of values, `first` what it starts from."""

    operations: tuple[Operation, ...]
    extents: dict[sp.Symbol, sp.Expr]
    first: int


def program(loss: Loss, shapes: Mapping[Any, tuple[int, ...]] | None = None, fused: bool = False) -> Program:
    """Write a loss as a program; `fused` keeps logarithms and quotients of sums of exponentials in one piece.

    `shapes` tells the lengths of arrays whose shapes were not declared.

    >>> x, y = sp.symbols("x y")
    >>> for line in program(Loss((x - 3*y)**2, [x, y])).operations:
    ...     print(line.variable, "=", line.formula)
    v1 = x
    v2 = y
    v3 = 3*v2
    v4 = v1 - v3
    v5 = v4**2
    """
    statement = loss.statement
    _refuse_long(loss.expression)
    described = stated(loss)
    things = (*statement.parameters, *statement.samples, *statement.constants)
    names = frozenset(name_of(thing) for thing in things)
    builder = _Builder(
        statement.first_index, frozenset(statement.extents | {statement.sample_count}), names, shapes or {}, fused
    )
    expression = builder.normal(described.expression, {})
    builder.enter(statement.parameters, described.arrays, expression)
    builder.enter((*statement.samples, *statement.constants), described.arrays, expression)
    builder.plain(expression, alone=True)
    return Program(tuple(builder.operations), builder.extents, statement.first_index)


def _refuse_long(expression: Any) -> None:
    """Refuse what is surely too long, before it is walked recursively."""
    pending, seen = [(expression, 0)], 0
    while pending:
        node, depth = pending.pop()
        seen += 1
        if seen > _PARTS or depth > 2 * MOST:
            raise _too_long(f"more than {MOST}")
        pending.extend((part, depth + 1) for part in getattr(node, "args", ()))


def _too_long(count: str) -> UnsupportedError:
    return UnsupportedError(
        f"the loss takes {count} elementary operations, and a trace shows at most {MOST}: trace a part of it, or "
        "write what is repeated as an indexed sum"
    )


@dataclass(slots=True)
class _Builder:
    """Takes an expression apart, operation by operation; equal subexpressions are computed once."""

    first: int
    counts: frozenset[Any]
    names: frozenset[str]
    shapes: Mapping[Any, tuple[int, ...]]
    fused: bool
    operations: list[Operation] = field(default_factory=list)
    extents: dict[sp.Symbol, sp.Expr] = field(default_factory=dict)
    _inputs: dict[Any, Any] = field(default_factory=dict)
    _known: dict[Any, Signed] = field(default_factory=dict)
    _indices: dict[tuple[Any, ...], sp.Symbol] = field(default_factory=dict)

    # -- indices ---------------------------------------------------------------------------------------------------

    def normal(self, expression: Any, scope: dict[Any, Any]) -> Any:
        """The expression with sums that all begin at the first index, and one symbol for one range."""
        if isinstance(expression, (sp.Sum, sp.Product)):
            inner, limits = dict(scope), []
            for dummy, low, high in reversed(expression.limits):
                low, high = (sp.expand(bound.xreplace(inner)) for bound in (low, high))
                index = self.index(dummy, sp.expand(high - low + 1))
                inner[dummy] = index + (low - self.first)
                limits.append((index, sp.Integer(self.first), self.first + self.extents[index] - 1))
            return total(type(expression), self.normal(expression.function, inner), *reversed(limits))
        if expression in scope:
            return scope[expression]
        if isinstance(expression, sp.Indexed):
            return expression.base[tuple(sp.expand(place.xreplace(scope)) for place in expression.indices)]
        if not expression.args or isinstance(expression, ARRAYS):
            return expression
        args = [self.normal(argument, scope) for argument in expression.args]
        return expression if args == list(expression.args) else rebuild(expression, args)

    def index(self, dummy: Any, extent: sp.Expr) -> sp.Symbol:
        """The symbol of an index with this range: its own name, unless another range has that."""
        key = (str(dummy), extent)
        if key not in self._indices:
            taken = {symbol.name for symbol in self.extents} | {name_of(count) for count in self.counts if count}
            others = (*"ijklmpqrst", *(f"i_{number}" for number in range(1, 1000)))
            names = [str(dummy), *(name for name in others if name not in self.names)]
            name = next(name for name in names if name not in taken and not name.startswith("_"))
            symbol = self._indices[key] = sp.Symbol(name, integer=True)
            self.extents[symbol] = extent
        return self._indices[key]

    # -- inputs ----------------------------------------------------------------------------------------------------

    def enter(self, things: Iterable[Any], arrays: dict[Any, Any], expression: Any) -> None:
        """Make inputs of parameters or data: of an array that is only used at fixed places, of those entries."""
        loads = expression.atoms(sp.Indexed)
        for thing in things:
            if thing in self.counts:
                continue
            base = arrays.get(thing, thing)
            if isinstance(base, sp.Symbol):
                self._inputs[base] = self.line(base, (), source=thing)
                continue
            places = sorted((load.indices for load in loads if load.base == base), key=sp.default_sort_key)
            if places and all(place.is_Integer for each in places for place in each):
                for each in places:
                    numbers = tuple(int(place) - self.first for place in each)
                    self._inputs[base[each]] = self.line(base[each], (), source=thing, place=numbers)
            elif places:
                keys = self.axes(thing, base, places)
                self._inputs[base] = self.line(base[keys], keys, source=thing)

    def axes(self, thing: Any, base: Any, places: Sequence[Any]) -> tuple[sp.Symbol, ...]:
        """Indices for the whole of an array: those that it is used with, where they run over all of it."""
        chosen: list[sp.Symbol] = []
        shape = base.shape or self.shapes.get(thing)
        if shape is None:
            raise UnsupportedError(f"the shape of {name_of(thing)} is not declared: give data, or declare the shape")
        for axis in range(len(places[0])):
            length = sp.sympify(shape[axis])
            used = [each[axis] for each in places if each[axis].is_Symbol]
            whole = [index for index in used if self.extents.get(index) == length and index not in chosen]
            chosen.append(whole[0] if whole else self.index(sp.Symbol("_"), length))
        return tuple(chosen)

    # -- lines -----------------------------------------------------------------------------------------------------

    def line(self, formula: Any, indices: Sequence[Any], source: Any = None, place: Any = None) -> Any:
        """Add a line; the register that holds its value."""
        if len(self.operations) >= MOST:
            raise _too_long(f"more than {MOST}")
        number = len(self.operations) + 1
        taken = {name.replace("_", "") for name in self.names}
        name = next(f"{letter}{number}" for letter in ("v", "u", "z", "var_") if f"{letter}{number}" not in taken)
        register = sp.IndexedBase(name) if indices else sp.Symbol(name)
        self.operations.append(Operation(register, tuple(indices), formula, source, place))
        return register

    def row(self, formula: Any) -> Any:
        """Add a line for an operation on registers; its value as an operand."""
        free = formula.free_symbols - self._bound(formula)
        indices = [index for index in self.extents if index in free]
        register = self.line(formula, indices)
        return register[tuple(indices)] if indices else register

    def _bound(self, formula: Any) -> set[Any]:
        return {limit[0] for part in formula.atoms(sp.Sum, sp.Product) for limit in part.limits}

    def plain(self, expression: Any, alone: bool = False) -> Any:
        """An operand without a sign; `alone`, one that has a line of its own."""
        sign, value = self.signed(expression)
        if sign < 0 and value.is_number:
            value, sign = -value, 1
        value = self.row(times(-1, value)) if sign < 0 else value
        return self.row(value) if alone and self.operations[-1].variable != value else value

    def literal(self, expression: Any) -> bool:
        """Whether an expression is made of numbers, indices and lengths alone."""
        return not expression.atoms(sp.Indexed) and expression.free_symbols <= (self.extents.keys() | self.counts)

    def signed(self, expression: Any) -> Signed:
        """The operand of a subexpression, and its sign."""
        if expression.is_number or (self.literal(expression) and not isinstance(expression, (sp.Sum, sp.Product))):
            negative = bool(expression.is_negative)
            return (-1, -expression) if negative else (1, expression)
        if expression not in self._known:
            self._known[expression] = self._made(expression)
        return self._known[expression]

    def _made(self, e: Any) -> Signed:
        if isinstance(e, sp.Symbol):
            return 1, self._inputs[e]
        if isinstance(e, sp.Indexed):
            return 1, self._inputs[e] if e in self._inputs else self._inputs[e.base][self.places(e)]
        if self.fused and _is_exponential(e):
            return 1, self.row(self.inside(e))
        for kind, make in _MAKERS.items():
            if isinstance(e, kind):
                return make(self, e)
        args = [argument if self.literal(argument) else self.plain(argument) for argument in e.args]
        return 1, self.row(e.func(*args))

    def places(self, e: Any) -> tuple[Any, ...]:
        """The places of an entry; integer arrays among them are inputs too."""
        held = {load: self.signed(load)[1] for place in e.indices for load in place.atoms(sp.Indexed)}
        return tuple(place.xreplace(held) for place in e.indices)

    def inside(self, e: Any) -> Any:
        """A formula of exponentials, whose exponents are operands."""
        if self.literal(e):
            return e
        if isinstance(e, (sp.exp, *_HEADS)):
            return e.func(*(argument if self.literal(argument) else self.plain(argument) for argument in e.args))
        if isinstance(e, sp.Sum):
            return total(sp.Sum, self.inside(e.function), *e.limits)
        if isinstance(e, (sp.Add, sp.Mul, sp.Pow, sp.log)):
            return e.func(*(self.inside(argument) for argument in e.args))
        return self.plain(e)

    # -- operations ------------------------------------------------------------------------------------------------

    def addition(self, e: Any) -> Signed:
        """A sum, two terms at a time; what is subtracted from one term is gathered first: y - (w x + b)."""
        given = e.func(*e.args) != e
        terms = [(sign, value) for sign, value in map(self.signed, e.args if given else _in_order(e))]
        minus = [value for sign, value in terms if sign < 0]
        if len(minus) == len(terms):
            return -1, self.folded([(1, value) for value in minus])
        if not given and len(minus) > 1 and len(minus) + 1 == len(terms):
            (whole,) = (value for sign, value in terms if sign > 0)
            return 1, self.row(plus(whole, times(-1, self.folded([(1, value) for value in minus]))))
        if terms[0][0] < 0:
            terms.sort(key=lambda term: -term[0])
        return 1, self.folded(terms)

    def folded(self, terms: Sequence[Signed]) -> Any:
        """The first term, then the others added or subtracted one by one."""
        value = terms[0][1]
        for sign, other in terms[1:]:
            value = self.row(sp.Add(value, other if sign > 0 else times(-1, other), evaluate=False))
        return value

    def multiplication(self, e: Any) -> Signed:
        """A product, two factors at a time; then the number in front; then the quotient."""
        above: list[Any] = []
        below: list[Any] = []
        front, literal_below, sign = sp.S.One, sp.S.One, 1
        given = e.func(*e.args) != e
        for factor in e.args if given else e.as_ordered_factors():
            inverse = factor.is_Pow and factor.exp.is_number and bool(factor.exp.is_negative)
            base = power(factor.base, -factor.exp) if inverse else factor
            if base.is_Rational and not inverse:
                front, literal_below = front * base.p, literal_below * base.q
            elif self.literal(base):
                front, literal_below = (front, literal_below * base) if inverse else (front * base, literal_below)
            else:
                own, value = self.signed(base)
                sign *= own
                (below if inverse else above).append(value)
        if front.is_negative:
            front, sign = -front, -sign
        value = self.product(above) if above else None
        if front != 1:
            value = front if value is None else self.row(sp.Mul(front, value, evaluate=False))
        divisor = self.product([*([literal_below] if literal_below != 1 else []), *below])
        if divisor is None:
            return sign, value
        return sign, self.row(_quotient(sp.S.One if value is None else value, divisor))

    def product(self, factors: Sequence[Any]) -> Any:
        """The product of operands, one factor after the other."""
        value = factors[0] if factors else None
        for other in factors[1:]:
            value = self.row(sp.Mul(value, other, evaluate=False))
        return value

    def powers(self, e: Any) -> Signed:
        """A power; of a negative base with a whole exponent, that of the positive one."""
        base, exponent = e.base, e.exp
        if exponent.is_number and exponent.is_negative:
            sign, value = self.signed(power(base, -exponent))
            return sign, self.row(_quotient(sp.S.One, value))
        if not exponent.is_Integer:
            raised = exponent if self.literal(exponent) else self.plain(exponent)
            return 1, self.row(power(base if self.literal(base) else self.plain(base), raised))
        sign, value = self.signed(base)
        return (sign if exponent % 2 else 1), self.row(power(value, exponent))

    def reduction(self, e: Any) -> Signed:
        """A sum or product over indices; products of arrays over different indices are summed as they arise."""
        body = e.function
        contracted = isinstance(body, sp.Mul) and len(body.args) == 2 and all(
            isinstance(factor, sp.Indexed) for factor in body.args
        )  # fmt: skip
        if (
            contracted
            and isinstance(e, sp.Sum)
            and len({frozenset(f.free_symbols & self.extents.keys()) for f in body.args}) > 1
        ):
            return 1, self.row(total(sp.Sum, times(*(self.signed(factor)[1] for factor in body.args)), *e.limits))
        sign, value = self.signed(body)
        if isinstance(e, sp.Product):
            return 1, self.row(total(sp.Product, self.plain(body), *e.limits))
        return sign, self.row(total(sp.Sum, value, *e.limits))

    def piecewise(self, e: Any) -> Signed:
        """A choice between operands; the sides of its conditions are operands too."""
        pieces = []
        for value, condition in e.args:
            sides = {side: self.plain(side) for part in condition.atoms(Relational) for side in part.args}
            replaced = condition.replace(
                lambda part: isinstance(part, Relational),
                lambda part, sides=sides: part.func(*(sides.get(side, side) for side in part.args)),
            )
            pieces.append((value if self.literal(value) else self.plain(value), replaced))
        return 1, self.row(sp.Piecewise(*pieces))


_MAKERS = {
    sp.Add: _Builder.addition,
    sp.Mul: _Builder.multiplication,
    sp.Pow: _Builder.powers,
    sp.Sum: _Builder.reduction,
    sp.Product: _Builder.reduction,
    sp.Piecewise: _Builder.piecewise,
}


def _quotient(value: Any, divisor: Any) -> Any:
    return times(value, power(divisor, sp.S.NegativeOne)) if value != 1 else power(divisor, sp.S.NegativeOne)


def _in_order(e: Any) -> list[Any]:
    """The terms as one computes them: products and functions first, then single letters, then numbers."""
    terms = e.as_ordered_terms()
    if len(terms) == 2 and terms[0].is_number and terms[0].is_positive:
        return terms  # type: ignore[no-any-return]

    def rank(term: Any) -> int:
        bare = -term if term.could_extract_minus_sign() else term
        return 2 if bare.is_number else 1 if isinstance(bare, (sp.Symbol, sp.Indexed)) else 0

    return sorted(terms, key=rank)


_HEADS = (sigmoid, softmax, logsumexp)


def _is_exponential(e: Any) -> bool:
    """Whether a logarithm or quotient is made of sums of exponentials, which overflow one by one."""
    if isinstance(e, sp.log):
        return bool(e.args[0].atoms(sp.exp, *_HEADS))
    if isinstance(e, sp.Pow):
        return bool(e.exp.is_negative) and isinstance(e.base, (sp.Add, sp.Sum)) and bool(e.base.atoms(sp.exp))
    return (
        isinstance(e, sp.Mul)
        and any(isinstance(factor, sp.Pow) and _is_exponential(factor) for factor in e.args)
        and all(isinstance(factor, sp.exp) or factor.is_number or _is_exponential(factor) for factor in e.args)
    )
