"""Printing nodes as Python expressions on scalars: the language of the Numba target."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import sympy as sp

from symdescent.elementary import TABLE
from symdescent.graph import Node

# how tightly an expression binds
SELECT, OR, AND, NOT, COMPARE, SUM, PRODUCT, SIGN, POWER, ATOM = range(10)
Text = tuple[str, int]
HELPERS = frozenset(
    {
        "sign",
        "heaviside",
        "modulo",
        "sigmoid",
        "softplus",
        "relu",
        "xlogx",
        "polygamma",
        "exp_difference",
        "centred",
        "complement",
        "difference",
        "maximum",
        "minimum",
    }
)


def extreme(helper: str, args: Sequence[str]) -> str:
    """``maximum`` or ``minimum`` of several, in halves: Python's parser takes 200 nested brackets, not more."""
    if len(args) == 1:
        return args[0]
    middle = (len(args) + 1) // 2
    return f"{helper}({extreme(helper, args[:middle])}, {extreme(helper, args[middle:])})"


_COMPARISONS = {"less": "<", "less_equal": "<=", "equal": "=="}


class ScalarPrinter:
    """Prints a node in terms of names: `refer` gives the text of a node that has a variable (or None).

    `integers` are the symbols that are passed as integers; `data` the arrays that may hold another type than double,
    `places` those that hold array positions.
    The helpers that the text calls are collected in `helpers`.
    """

    def __init__(
        self,
        refer: Callable[[Node], str | None],
        name: Callable[[object], str],
        integers: frozenset[object],
        data: frozenset[object],
        places: frozenset[object] = frozenset(),
    ) -> None:
        self.refer, self.name, self.integers, self.data, self.places = refer, name, integers, data, places
        self.helpers: set[str] = set()
        self.positions: dict[Node, str] = {}  # array positions that have a variable

    def text(self, node: Node, context: int = SELECT) -> str:
        """The expression of a node as a double, in brackets where the context binds more tightly."""
        written, strength = self._value(node)
        return f"({written})" if strength < context else written

    def _value(self, node: Node) -> Text:
        known = self.refer(node)
        if known is not None:
            return known, ATOM
        return self.operation(node)

    def operation(self, node: Node) -> Text:
        """The expression that computes a node from its arguments."""
        if node.op == "const":
            return self._constant(node)
        if node.op in ("symbol", "index"):
            name = self.name(node.payload)
            return (f"float({name})" if node.op == "index" or node.payload in self.integers else name), ATOM
        if node.op == "load":
            entry = self.entry(node)
            return (f"float({entry})" if node.payload in self.data else entry), ATOM
        if node.op == "add":
            return self._sum(node), SUM
        if node.op == "mul":
            return self._product(node.args)
        if node.op == "power":
            return self._power(node)
        if node.op == "select":
            condition, then, otherwise = node.args
            return (
                f"{self.text(then, OR)} if {self.condition(condition, OR)} else {self.text(otherwise, SELECT)}",
                SELECT,
            )
        return self._call(node), ATOM

    def _constant(self, node: Node) -> Text:
        value = node.payload
        if isinstance(value, (int, Fraction, float)):
            number = float(value)
            if not math.isfinite(number):
                return (
                    ("math.nan", ATOM)
                    if math.isnan(number)
                    else ("math.inf", ATOM)
                    if number > 0
                    else ("-math.inf", SIGN)
                )
            return repr(number), ATOM if number >= 0 else SIGN
        known = {sp.pi: "math.pi", sp.E: "math.e"}.get(value)
        return known or repr(float(value)), ATOM

    def entry(self, node: Node) -> str:
        """The text of an array's entry as it is stored."""
        return f"{self.name(node.payload)}[{', '.join(self.integer(place) for place in node.args)}]"

    def _sum(self, node: Node) -> str:
        terms = [self._signed(term) for term in node.args]
        terms.sort(key=lambda term: term[0])  # a positive term first
        (first_negative, first), *rest = terms
        head = f"-{first}" if first_negative else first
        return head + "".join(f" {'-' if negative else '+'} {term}" for negative, term in rest)

    def _signed(self, node: Node) -> tuple[bool, str]:
        """Whether a term is negative, and its absolute value as text."""
        if self.refer(node) is None:
            number = node.number
            if number is not None and number < 0:
                return True, repr(-float(number))
            if node.op == "mul" and node.args[0].number is not None and node.args[0].number < 0:
                written, strength = self._product(node.args, negated=True)
                return True, f"({written})" if strength < PRODUCT else written
        return False, self.text(node, PRODUCT)

    def _product(self, factors: tuple[Node, ...], negated: bool = False) -> Text:
        factors = tuple(self._flat(factors))
        numbers = [factor for factor in factors if factor.number is not None]
        coefficient = math.prod(float(factor.number or 0) for factor in numbers)
        if negated:
            coefficient = -coefficient
        above, below = [], []
        for factor in factors:
            if factor in numbers:
                continue
            exponent = factor.args[1].number if factor.op == "power" and self.refer(factor) is None else None
            if isinstance(exponent, int) and exponent < 0:
                below.append(self._raised(factor.args[0], -exponent, SIGN))
            else:
                above.append(self.text(factor, SIGN))
        sign = ""
        if coefficient == -1.0:
            sign = "-"
        elif coefficient != 1.0:
            sign = "-" if coefficient < 0 else ""
            above.insert(0, repr(abs(coefficient)))
        written = sign + (" * ".join(above) or "1.0") + "".join(f" / {divisor}" for divisor in below)
        return written, SIGN if sign and len(above) + len(below) == 1 else (SUM if sign else PRODUCT)

    def _flat(self, factors: tuple[Node, ...]) -> Iterator[Node]:
        for factor in factors:
            if factor.op == "mul" and self.refer(factor) is None:
                yield from self._flat(factor.args)
            else:
                yield factor

    def _raised(self, base: Node, exponent: int, context: int) -> str:
        return self.text(base, context) if exponent == 1 else f"{self.text(base, ATOM)}**{exponent}"

    def _power(self, node: Node) -> Text:
        base, exponent = node.args
        number = exponent.number
        if isinstance(number, int):
            if number < 0:
                return f"1.0 / {self._raised(base, -number, SIGN)}", PRODUCT
            return f"{self.text(base, ATOM)}**{number}", POWER
        return f"{self.text(base, ATOM)} ** {self.text(exponent, ATOM)}", POWER

    def _call(self, node: Node) -> str:
        name = node.payload
        args = [self.text(argument) for argument in node.args]
        if name in ("max", "min"):
            helper = "maximum" if name == "max" else "minimum"
            self.helpers.add(helper)
            return extreme(helper, args)
        template = TABLE[name].python if name in TABLE else f"{name}({', '.join('{}' for _ in args)})"
        head = template.split("(")[0]
        if head in HELPERS:
            self.helpers.add(head)
        return template.format(*args)

    # -- conditions and integers ----------------------------------------------------------------------------------

    def condition(self, node: Node, context: int = SELECT) -> str:
        """The text of a condition."""
        written, strength = self._condition(node)
        return f"({written})" if strength < context else written

    def _condition(self, node: Node) -> Text:
        if node.op == "const":
            return str(node.payload), ATOM
        if node.op == "not":
            inner = node.args[0]
            if inner.op == "equal":
                return self._comparison(inner, "!="), COMPARE
            return f"not {self.condition(inner, COMPARE)}", NOT
        if node.op in ("all", "any"):
            word, level = ("and", AND) if node.op == "all" else ("or", OR)
            return f" {word} ".join(self.condition(argument, level + 1) for argument in node.args), level
        return self._comparison(node, _COMPARISONS[node.op]), COMPARE

    def _comparison(self, node: Node, symbol: str) -> str:
        left, right = node.args
        write = (
            self.integer if self._is_integer(left) and self._is_integer(right) else lambda part: self.text(part, SUM)
        )
        if left.number is not None and symbol in ("<", "<="):
            return f"{write(right)} {'>' if symbol == '<' else '>='} {write(left)}"
        return f"{write(left)} {symbol} {write(right)}"

    def _is_integer(self, node: Node) -> bool:
        if node.op in ("add", "mul"):
            return all(map(self._is_integer, node.args))
        if node.op in ("symbol", "load"):
            return node.payload in (self.integers if node.op == "symbol" else self.places)
        return node.op == "index" or isinstance(node.number, int)

    def integer(self, node: Node, context: int = SELECT) -> str:
        """The text of an integer-valued node: an array position or a bound."""
        written, strength = self._integer(node)
        return f"({written})" if strength < context else written

    def _integer(self, node: Node) -> Text:
        if node.op == "const":
            return str(node.payload), ATOM if node.payload >= 0 else SIGN
        if node.op in ("symbol", "index"):
            return self.name(node.payload), ATOM
        if node.op == "load":
            return self.positions.get(node) or self.entry(node), ATOM
        if node.op == "add":
            parts = ""
            for term in sorted(
                node.args,
                key=lambda term: (term.number is not None, (term.args[0].number or 0) < 0 if term.args else False),
            ):
                text = self.integer(term, PRODUCT)
                parts += text if not parts else (f" - {text[1:]}" if text.startswith("-") else f" + {text}")
            return parts, SUM
        if node.op == "mul":
            if node.args[0].number == -1 and len(node.args) == 2:
                return f"-{self.integer(node.args[1], SIGN)}", SUM
            return " * ".join(self.integer(factor, SIGN) for factor in node.args), PRODUCT
        if node.op == "power":
            return f"{self.integer(node.args[0], ATOM)}**{self.integer(node.args[1], ATOM)}", POWER
        args = [self.integer(argument) for argument in node.args]
        if node.payload == "relu":
            return f"max(0, {args[0]})", ATOM
        if node.payload == "Abs":
            return f"abs({args[0]})", ATOM
        if node.payload == "Mod":
            return f"({args[0]}) % ({args[1]})", PRODUCT
        return {"max": "max", "min": "min"}.get(node.payload, "int") + f"({', '.join(args)})", ATOM
