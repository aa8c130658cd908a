"""The rules of differentiation as a textbook names them, each for one place: ``derivative -> what it becomes``.

A rule is found by the form of what is differentiated. The slopes of elementary functions come from their records in
`symdescent.elementary.TABLE`; nothing here states one again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from symdescent.derivation.components.trees import evaluated, parts, plus, power, replaced, rewrite, times, total
from symdescent.derivation.layout.order import ordered_terms
from symdescent.derivation.steps import Said
from symdescent.elementary import BY_CLASS, functions, logsumexp, softmax
from symdescent.elementary import table as of
from symdescent.errors import UnsupportedError
from symdescent.notation.reading import settled


@dataclass(frozen=True, slots=True)
class Applied:
    """What a rule makes of a derivative; `inner` is the inner function of the chain rule, if there is one."""

    rules: tuple[Said, ...]
    result: Any
    remarks: tuple[Said, ...] = ()
    conditions: tuple[Any, ...] = ()
    inner: Any = None


@dataclass(frozen=True, slots=True)
class Outer:
    """A function of one inner expression: its rule, its slope there, and where that holds."""

    key: str
    slope: Any
    inner: Any
    conditions: tuple[Any, ...] = ()
    remarks: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Differentiation:
    """By what is differentiated: a symbol or an array's entry at free indices; and what abbreviations stand for."""

    variable: Any
    kinks: str = "min-norm"
    definitions: Mapping[Any, tuple[tuple[Any, ...], Any]] = field(default_factory=dict)

    @property
    def base(self) -> Any:
        """The array of the variable, or the variable itself."""
        return self.variable.base if isinstance(self.variable, sp.Indexed) else self.variable

    def depends(self, expression: Any) -> bool:
        """Whether an expression depends on the variable."""
        return any(self._is_leaf(part) for part in parts(expression))

    def _is_leaf(self, part: Any) -> bool:
        if part == self.base:
            return True
        return part in self.definitions and self.depends(self.definitions[part][1])

    def pending(self, expression: Any) -> Any:
        """The derivative of an expression, to be carried out."""
        return sp.Derivative(expression, self.variable, evaluate=False)

    def slope(self, inner: Any) -> Any:
        """The derivative of an inner function: 1 where it is the variable itself, and not written."""
        return sp.S.One if inner == self.variable else self.pending(inner)

    # -- one rule at one place ------------------------------------------------------------------------------------

    def rule(self, body: Any) -> Applied:
        """The rule that the form of what is differentiated asks for."""
        if not self.depends(body):
            return Applied((Said("constant"),), sp.S.Zero)
        if body == self.variable:
            return Applied((Said("variable"),), sp.S.One)
        for kind in type(body).__mro__:
            found = _RULES.get(kind)
            if found is not None:
                return found(self, body)
        raise UnsupportedError(f"no rule is known for the derivative of {body}")

    def outer(self, body: Any) -> Outer | None:
        """The body as a function of one inner expression, where the chain rule applies; else None."""
        for kind in type(body).__mro__:
            found = _OUTER.get(kind)
            if found is not None:
                return found(self, body)
        return None

    def definition(self, name: Any) -> Any:
        """What an abbreviation stands for, at its indices."""
        if isinstance(name, sp.Indexed):
            indices, body = self.definitions[name.base]
            return replaced(body, dict(zip(indices, name.indices, strict=True)))
        return self.definitions[name][1]


# -- linear rules -----------------------------------------------------------------------------------------------------


def is_negative(term: Any) -> bool:
    """Whether a term is written with a minus sign."""
    return bool(term.could_extract_minus_sign()) if not isinstance(term, sp.Add) else False


def _sum(by: Differentiation, body: Any) -> Applied:
    difference = len(body.args) == 2 and any(map(is_negative, body.args))
    terms = (_signed(by, term) for term in ordered_terms(body))
    return Applied((Said("difference" if difference else "sum"),), plus(*terms))


def _signed(by: Differentiation, term: Any) -> Any:
    """The derivative of a term of a sum: the sign stays outside."""
    if is_negative(term) and isinstance(term, (sp.Mul, sp.Number)):
        return times(sp.S.NegativeOne, by.pending(times(sp.S.NegativeOne, *sp.Mul.make_args(term))))
    return by.pending(term)


def _entry(by: Differentiation, body: Any) -> Applied:
    """``x[e]`` by ``x[k]`` is 1 where e = k; an abbreviation is replaced by what it stands for."""
    if body.base in by.definitions:
        return Applied((Said("definition", (body,)),), by.pending(by.definition(body)))
    deltas = (sp.KroneckerDelta(*pair) for pair in zip(body.indices, by.variable.indices, strict=True))
    return Applied((Said("entry"),), times(*deltas))


def _symbol(by: Differentiation, body: Any) -> Applied:
    return Applied((Said("definition", (body,)),), by.pending(by.definition(body)))


def _series(by: Differentiation, body: Any) -> Applied:
    return Applied((Said("linearity"),), total(sp.Sum, by.pending(body.function), *body.limits))


# -- products and quotients -------------------------------------------------------------------------------------------


def split(by: Differentiation, body: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """The constant factors of a product, and those that vary, above and below the fraction line."""
    constant: list[Any] = []
    above: list[Any] = []
    below: list[Any] = []
    for factor in sp.Mul.make_args(body):
        if not by.depends(factor):
            constant.append(factor)
        elif isinstance(factor, sp.Pow) and not by.depends(factor.exp) and is_negative(factor.exp):
            below.append(power(factor.base, -factor.exp))
        else:
            above.append(factor)
    return constant, above, below


def _product(by: Differentiation, body: Any) -> Applied:
    constant, above, below = split(by, body)
    if constant:
        varying = [factor for factor in sp.Mul.make_args(body) if factor not in constant]
        return Applied((Said("constant multiple"),), times(*constant, by.pending(times(*varying))))
    if not below:
        return Applied((Said("product"),), plus(*_one_at_a_time(by, above)))
    bottom = times(*below)
    if not above:
        inverse = times(sp.S.NegativeOne, power(bottom, sp.Integer(-2)), by.pending(bottom))
        return Applied((Said("reciprocal"), Said("chain")), inverse, conditions=_nonzero(bottom), inner=bottom)
    top = times(*above)
    numerator = plus(times(by.slope(top), bottom), times(sp.S.NegativeOne, top, by.slope(bottom)))
    return Applied((Said("quotient"),), times(numerator, power(bottom, sp.Integer(-2))), conditions=_nonzero(bottom))


def _one_at_a_time(by: Differentiation, factors: Sequence[Any]) -> list[Any]:
    """The product rule for any number of factors."""
    terms = []
    for place, factor in enumerate(factors):
        slope = by.slope(factor)
        terms.append(times(*factors[:place], slope, *factors[place + 1 :]) if slope != 1 else _without(factors, place))
    return terms


def _without(factors: Sequence[Any], place: int) -> Any:
    return times(*factors[:place], *factors[place + 1 :])


def _factors(by: Differentiation, body: Any) -> Applied:
    """A product over an index: each factor in turn, divided out of the whole."""
    share = times(by.pending(body.function), power(body.function, sp.S.NegativeOne))
    result = times(body, total(sp.Sum, share, *body.limits))
    return Applied((Said("finite product"),), result, conditions=_nonzero(body.function))


def _nonzero(expression: Any) -> tuple[Any, ...]:
    real = as_real(expression)
    return () if real.is_nonzero or real.is_positive else (sp.Ne(expression, 0, evaluate=False),)


def _positive(expression: Any) -> tuple[Any, ...]:
    return () if as_real(expression).is_positive else (sp.Gt(expression, 0, evaluate=False),)


def as_real(expression: Any) -> Any:
    """The expression with real symbols in place of those of which nothing is assumed, to ask for its sign.

    A sum over an index has the sign that all of its terms have.
    """
    named: dict[Any, Any] = {}

    def visit(part: Any) -> Any:
        if isinstance(part, sp.Indexed):
            label = part.base.label
            known = label.assumptions0 if isinstance(label, sp.Symbol) else {}
            signs = {name: value for name, value in known.items() if name in _SIGNS}
            return named.setdefault(part, sp.Dummy(**{"real": True, **signs}))
        if isinstance(part, sp.Symbol) and part.is_real is None:
            return named.setdefault(part, sp.Dummy(real=True))
        if isinstance(part, (sp.Sum, sp.Product)):
            term = as_real(part.function)
            return sp.Dummy(real=True, positive=term.is_positive, negative=term.is_negative)
        return None

    return evaluated(rewrite(expression, visit))


_SIGNS = ("positive", "negative", "nonnegative", "nonpositive")


# -- functions of one inner expression --------------------------------------------------------------------------------


def _chain(by: Differentiation, body: Any) -> Applied:
    outer = by.outer(body)
    if outer is None:
        raise UnsupportedError(f"no rule is known for the derivative of {body}")
    plain = outer.inner == by.variable
    rules = (Said(outer.key),) if plain else (Said(outer.key), Said("chain"))
    result = times(outer.slope, by.slope(outer.inner))
    return Applied(rules, result, outer.remarks, outer.conditions, None if plain else outer.inner)


def _power_outer(by: Differentiation, body: Any) -> Outer | None:
    base, exponent = body.base, body.exp
    if by.depends(exponent):
        if by.depends(base):
            return None
        return Outer("exponential", times(body, sp.log(base)), exponent, _positive(base))
    if exponent == sp.Rational(1, 2):
        return Outer("sqrt", replaced(of.TABLE["sqrt"].partials[0], {of.f: body}), base, _positive(base))
    if exponent == -1:
        return Outer("reciprocal", times(sp.S.NegativeOne, power(base, sp.Integer(-2))), base, _nonzero(base))
    conditions: tuple[Any, ...] = ()
    if not exponent.is_integer:
        conditions = _positive(base)
    elif exponent.is_negative:
        conditions = _nonzero(base)
    return Outer("power", times(exponent, power(base, exponent - 1)), base, conditions)


def _power(by: Differentiation, body: Any) -> Applied:
    if by.outer(body) is not None:
        return _chain(by, body)
    base, exponent = body.args
    terms = plus(times(by.slope(exponent), sp.log(base)), times(exponent, by.slope(base), power(base, sp.Integer(-1))))
    return Applied((Said("general power"),), times(body, terms), conditions=_positive(base))


def as_exponential(by: Differentiation, body: Any) -> Applied:
    """``b^e = exp(e log b)``, for b > 0: what the general power rule is made of."""
    base, exponent = body.args
    written = sp.exp(times(exponent, sp.log(base)), evaluate=False)
    return Applied((Said("rewrite"),), by.pending(written), conditions=_positive(base))


def _function_outer(by: Differentiation, body: Any) -> Outer | None:
    record = BY_CLASS.get(body.func)
    moving = [place for place, argument in enumerate(body.args) if by.depends(argument)]
    if record is None or len(moving) != 1:
        return None
    (place,) = moving
    if not record.partials:
        raise UnsupportedError(f"{record.name} is a step function: its derivative says nothing about {body}")
    slope = partial(record, place, body)
    inner = body.args[place]
    remarks: list[Said] = []
    if record.kink is not None:
        remarks.append(kink_remark(by.kinks, sp.Eq(inner, 0, evaluate=False)))
    if body.func is functions.sigmoid:
        mirrored = next(part for part in parts(slope) if isinstance(part, functions.sigmoid) and part != body)
        remarks.append(Said("mirrored", (mirrored, plus(sp.S.One, times(sp.S.NegativeOne, body)))))
    return Outer(record.name, slope, inner, _domain(body, inner), tuple(remarks))


def partial(record: Any, place: int, body: Any) -> Any:
    """A partial derivative of the table, at the arguments of a call."""
    mapping = {of.f: body, **dict(zip((of.x, of.y), body.args, strict=False))}
    return replaced(record.partials[place], mapping)


def _domain(body: Any, inner: Any) -> tuple[Any, ...]:
    if isinstance(body, sp.log):
        return _positive(inner)
    if isinstance(body, (sp.asin, sp.acos, sp.atanh)):
        return (sp.Lt(sp.Abs(inner), 1, evaluate=False),)
    if isinstance(body, sp.acosh):
        return (sp.Gt(inner, 1, evaluate=False),)
    return ()


def kink_remark(kinks: str, place: Any) -> Said:
    """Which slope is taken at a kink."""
    keys = {"min-norm": "subgradient", "left": "left slope", "right": "right slope", "raise": "no slope"}
    return Said(keys[kinks], (place,))


# -- functions of several -------------------------------------------------------------------------------------------


def _function(by: Differentiation, body: Any) -> Applied:
    """An elementary function: of several varying arguments, the sum of the partial derivatives."""
    if by.outer(body) is not None:
        return _chain(by, body)
    record = BY_CLASS.get(body.func)
    if record is None or not record.partials:
        raise UnsupportedError(f"no rule is known for the derivative of {body}")
    terms = [
        times(partial(record, place, body), by.slope(argument))
        for place, argument in enumerate(body.args)
        if by.depends(argument)
    ]
    return Applied((Said(record.name), Said("chain")), plus(*terms))


def _logsumexp(by: Differentiation, body: Any) -> Applied:
    terms = [times(softmax(*_front(body.args, place)), by.slope(z)) for place, z in _moving(by, body)]
    return Applied((Said("logsumexp"), Said("chain")), plus(*terms))


def _softmax(by: Differentiation, body: Any) -> Applied:
    """The slope of the first share: ``s (dz_1 - Σ s_k dz_k)``."""
    shares = [times(sp.S.NegativeOne, softmax(*_front(body.args, p)), by.slope(z)) for p, z in _moving(by, body)]
    own = [by.slope(body.args[0])] if by.depends(body.args[0]) else []
    return Applied((Said("softmax"), Said("chain")), times(body, plus(*own, *shares)))


def _moving(by: Differentiation, body: Any) -> list[tuple[int, Any]]:
    return [(place, z) for place, z in enumerate(body.args) if by.depends(z)]


def _front(args: Sequence[Any], place: int) -> tuple[Any, ...]:
    return (args[place], *args[:place], *args[place + 1 :])


# -- case by case -----------------------------------------------------------------------------------------------------


def _piecewise(by: Differentiation, body: Any) -> Applied:
    pieces = [(_zero_or(by, value), condition) for value, condition in body.args]
    return Applied((Said("cases"),), sp.Piecewise(*pieces, evaluate=False), (Said("pieces"),))


def _zero_or(by: Differentiation, value: Any) -> Any:
    return by.slope(value) if by.depends(value) else sp.S.Zero


def _extremum(by: Differentiation, body: Any) -> Applied:
    """Max and Min: the slope of the argument that attains the value."""
    largest = isinstance(body, sp.Max)
    fixed = sorted((z for z in body.args if not by.depends(z)), key=sp.default_sort_key)
    args = [*sorted((z for z in body.args if by.depends(z)), key=sp.default_sort_key), *fixed]
    ahead = sp.Gt if largest else sp.Lt
    pieces = []
    for place, z in enumerate(args[:-1]):
        others = [other for at, other in enumerate(args) if at != place]
        pieces.append((_zero_or(by, z), sp.And(*(settled(ahead(z, other, evaluate=False)) for other in others))))
    pieces.append((_zero_or(by, args[-1]), sp.true))
    remark = kink_remark(by.kinks, sp.Eq(args[0], args[1], evaluate=False))
    name = "maximum" if largest else "minimum"
    return Applied((Said(name), Said("cases")), sp.Piecewise(*pieces, evaluate=False), (remark,))


Form = Callable[[Differentiation, Any], Applied]
_RULES: dict[type, Form] = {
    sp.Add: _sum,
    sp.Mul: _product,
    sp.Pow: _power,
    sp.Sum: _series,
    sp.Product: _factors,
    sp.Indexed: _entry,
    sp.Symbol: _symbol,
    sp.Piecewise: _piecewise,
    sp.Max: _extremum,
    sp.Min: _extremum,
    logsumexp: _logsumexp,
    softmax: _softmax,
    sp.Function: _function,
}
_OUTER: dict[type, Callable[[Differentiation, Any], Outer | None]] = {
    sp.Pow: _power_outer,
    logsumexp: lambda by, body: None,
    softmax: lambda by, body: None,
    sp.Max: lambda by, body: None,
    sp.Min: lambda by, body: None,
    sp.Piecewise: lambda by, body: None,
    sp.Function: _function_outer,
}
LINEAR = ("constant", "variable", "constant multiple", "sum", "difference", "linearity", "entry", "definition")
