"""Reading an expression: tokens, then Python's syntax tree, of which a short list of nodes becomes SymPy.

Nothing is evaluated as Python. SymPy itself computes with numbers (``2*3`` is 6), and some of its computations never
end: every number is therefore looked at as a float before SymPy sees it, and refused where it is too large.

>>> read("(y - (w*x + b))**2")
(-b - w*x + y)**2
>>> read("9**9**9")
Traceback (most recent call last):
    ...
symdescent.cli.tokens.ExpressionError: the expression, column 4: the exponent 387420489 is larger than 1000
  9**9**9
     ^
"""

from __future__ import annotations

import ast
import difflib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import sympy as sp

from symdescent.cli.functions import FUNCTIONS, PIECEWISE, function, names
from symdescent.cli.patience import OutOfPatience, patience
from symdescent.cli.tokens import DEEPEST, ExpressionError, Token, tokens

MOST_DIGITS = 30  # of a number that is typed
MOST_BITS = 2048  # of a number that is computed
MOST_PARTS = 16  # of a number that stays exact, such as exp(-1/2)/sqrt(2*pi)
LARGEST_EXPONENT = 1000
CONSTANTS = {"pi": sp.pi, "π": sp.pi, "E": sp.E}
_COMPARISONS: dict[type[ast.cmpop], Any] = {
    ast.Lt: sp.Lt,
    ast.LtE: sp.Le,
    ast.Gt: sp.Gt,
    ast.GtE: sp.Ge,
    ast.Eq: sp.Eq,
    ast.NotEq: sp.Ne,
}


class Vocabulary:
    """The symbols of a statement: one name is one symbol, real, in all of its texts.

    Names that were declared are symbols even where they name a constant (``pi``, ``E``).

    >>> shared = Vocabulary()
    >>> read("E*x", shared) - read("x", shared)*sp.E
    0
    >>> read("E", Vocabulary(["E"])).free_symbols
    {E}
    """

    def __init__(self, declared: Iterable[str] = ()) -> None:
        self.symbols: dict[str, sp.Symbol] = {}
        for name in declared:
            self.symbol(name)

    def symbol(self, name: str) -> sp.Symbol:
        """The symbol of that name."""
        return self.symbols.setdefault(name, sp.Symbol(name, real=True))

    def named(self, name: str) -> Any:
        """What a name in an expression stands for."""
        return CONSTANTS[name] if name in CONSTANTS and name not in self.symbols else self.symbol(name)


def read(text: str, vocabulary: Vocabulary | None = None, label: str = "the expression") -> sp.Expr:
    """The SymPy expression of a text; `ExpressionError`, with its column, for what is none.

    >>> read("x if 0 < x < 1 else -1")
    Piecewise((x, (0 < x) & (x < 1)), (-1, True))
    """
    found = tokens(text, label)
    builder = _Builder(text, label, found, Vocabulary() if vocabulary is None else vocabulary)
    try:
        with patience():
            return builder.value(builder.tree()).expression
    except (RecursionError, MemoryError):
        raise ExpressionError(f"{label} is nested too deeply to be read", text, 0, label) from None
    except OutOfPatience:
        builder.fail("this takes too long to be simplified: write it in another way", builder.path[-1])


@dataclass(frozen=True, slots=True)
class Value:
    """An expression, and its value as a float where it contains no symbol."""

    expression: Any
    number: float | None = None


class _Builder:
    """Makes SymPy expressions of the nodes of one text."""

    def __init__(self, text: str, label: str, found: Sequence[Token], vocabulary: Vocabulary) -> None:
        self.text, self.label, self.tokens, self.vocabulary = text, label, found, vocabulary
        self.at: dict[int, Token] = {}  # where tokens stand in the text that Python parses
        self.path: list[ast.expr] = []  # from the whole expression to the node that is being made

    def tree(self) -> ast.expr:
        """Python's tree of the tokens, with ``_3`` for the name or number that is token 3."""
        written = ""
        for place, token in enumerate(self.tokens[:-1]):
            written += " " if written else ""
            self.at[len(written)] = token
            written += f"_{place}" if token.kind in ("name", "number") else token.text
        try:
            return ast.parse(written, mode="eval").body
        except SyntaxError as error:
            before = [column for column in self.at if column < max(error.offset or 1, 1)]
            token = self.at[max(before)] if before else self.tokens[0]
            raise ExpressionError(
                f"this is no expression from {token.text} on", self.text, token.column, self.label
            ) from None

    def fail(self, reason: str, node: ast.AST) -> NoReturn:
        raise ExpressionError(reason, self.text, self.token(node).column, self.label)

    def token(self, node: ast.AST) -> Token:
        """The token that a node begins with."""
        return self.at[node.col_offset]  # type: ignore[attr-defined]

    # -- numbers and symbols --------------------------------------------------------------------------------------

    def value(self, node: ast.expr) -> Value:
        """The value of a node that must be a number or an expression."""
        self.path.append(node)
        if len(self.path) > 2 * DEEPEST:
            self.fail(f"{self.label} is nested too deeply to be read", node)
        try:
            made = self._made(node)
        except (ExpressionError, RecursionError, MemoryError):
            raise
        except Exception as error:  # whatever SymPy says of it
            self.fail(f"this cannot be formed: {error}", node)
        self.path.pop()
        return made

    def _made(self, node: ast.expr) -> Value:
        match node:
            case ast.Name(id=placeholder):
                return self.atom(self.tokens[int(placeholder[1:])], node)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                return self.sum(node)
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return self.product(node)
            case ast.BinOp(op=ast.Pow()):
                return self.power(node)
            case ast.BinOp(op=ast.Mod(), left=left, right=right):
                return self.applied("Mod", [left, right], node)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.value(operand)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                negated = self.value(operand)
                return Value(-negated.expression, None if negated.number is None else -negated.number)
            case ast.Call(func=ast.Name(id=placeholder), args=arguments):
                return self.applied(self.tokens[int(placeholder[1:])].text, arguments, node)
            case ast.IfExp():
                return self.cases(self.branches(node), node)
            case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
                self.fail("this is a condition, and a number is expected: write a if condition else b", node)
            case ast.Tuple():
                self.fail("there are several expressions in these parentheses, and one number is expected", node)
        self.fail("this is not read: numbers, names, + - * / ** %, functions and conditions are", node)

    def atom(self, token: Token, node: ast.AST) -> Value:
        """A number, a constant or a symbol."""
        if token.kind == "name":
            named = self.vocabulary.named(token.text)
            return Value(named, float(named) if named.is_number else None)
        if len(token.text) > MOST_DIGITS:
            self.fail(f"this number has more than {MOST_DIGITS} digits: write it shorter, as in 1e40", node)
        if token.text.isdigit():
            return Value(sp.Integer(int(token.text)), float(token.text))
        number = float(token.text)
        if math.isinf(number):
            self.fail("this number is larger than any that a computer holds (1.8e308)", node)
        return Value(sp.Float(number), number)

    # -- operations -----------------------------------------------------------------------------------------------

    def sum(self, node: ast.expr) -> Value:
        """A chain of terms, however long."""
        terms = []
        for operator, part in _chain(node, (ast.Add, ast.Sub)):
            term = self.value(part)
            if isinstance(operator, ast.Sub):
                term = Value(-term.expression, None if term.number is None else -term.number)
            terms.append(term)
        return self.joined(sp.Add, math.fsum, terms, node)

    def product(self, node: ast.expr) -> Value:
        """A chain of factors and divisors, however long."""
        factors = []
        for operator, part in _chain(node, (ast.Mult, ast.Div)):
            factor = self.value(part)
            if isinstance(operator, ast.Div):
                if factor.number == 0 or factor.expression.is_zero:
                    self.fail("this divides by 0", part)
                factor = Value(1 / factor.expression, None if factor.number is None else 1 / factor.number)
            factors.append(factor)
        return self.joined(sp.Mul, math.prod, factors, node)

    def joined(
        self, build: Any, compute: Callable[[Iterable[float]], float], parts: Sequence[Value], node: ast.expr
    ) -> Value:
        """A sum or product of parts."""
        numbers = [part.number for part in parts if part.number is not None]
        number = self.finite(compute, numbers, node) if len(numbers) == len(parts) else None
        return self.bounded(build(*(part.expression for part in parts)), number, node)

    def power(self, node: ast.BinOp) -> Value:
        """A power, of bounded size."""
        base, exponent = self.value(node.left), self.value(node.right)
        if exponent.number is not None and abs(exponent.number) > LARGEST_EXPONENT:
            shown = f"{exponent.number:.15g}"
            self.fail(f"the exponent {shown} is {'larger' if exponent.number > 0 else 'less'} than "
                      f"{'' if exponent.number > 0 else '-'}{LARGEST_EXPONENT}", node.right)  # fmt: skip
        if base.number is None or exponent.number is None:
            if base.number == 0:
                self.fail("0 has no powers with a variable exponent", node)
            return self.bounded(base.expression**exponent.expression, None, node)
        number = self.finite(lambda parts: _real_power(*parts), (base.number, exponent.number), node)
        if base.number == 0:
            return Value(sp.Integer(int(number)), number)
        if base.expression.is_Rational and _bits(base.expression) * abs(exponent.number) > MOST_BITS:
            self.fail("this power has too many digits", node)
        return self.bounded(base.expression**exponent.expression, number, node)

    def applied(self, name: str, arguments: Sequence[ast.expr], node: ast.expr) -> Value:
        """A function of its arguments."""
        if name == PIECEWISE:
            return self.cases(self.pairs(arguments, node), node)
        named = function(name)
        if named is None:
            self.fail(_unknown(name), node)
        least, most = named.arity
        if not least <= len(arguments) <= most:
            self.fail(f"{name} takes {named.takes}, not {len(arguments)}", node)
        values = [self.value(argument) for argument in arguments]
        number = None
        if all(value.number is not None for value in values):
            number = self.finite(lambda parts: named.at(*parts), [value.number for value in values], node)  # type: ignore[misc]
        return self.bounded(named.of([value.expression for value in values], number), number, node)

    def finite(self, compute: Callable[[Iterable[float]], float], parts: Iterable[float], node: ast.AST) -> float:
        """A number computed from numbers, refused where there is none."""
        try:
            number = float(compute(parts))
        except OverflowError:
            number = math.inf
        except (ArithmeticError, ValueError, TypeError):
            number = math.nan
        if math.isnan(number):
            self.fail("this number has no real value", node)
        if math.isinf(number):
            self.fail("this number is infinite, or too large to be computed", node)
        return number

    def bounded(self, expression: Any, number: float | None, node: ast.AST) -> Value:
        """A value whose numbers are of a size that can be computed with."""
        if expression.is_number:
            return self.constant(expression, number, node)
        coefficient = expression.as_coeff_Mul()[0]
        if coefficient.is_Rational and _bits(coefficient) > MOST_BITS:
            self.fail("the numbers in this product have too many digits", node)
        if coefficient.is_Float and not math.isfinite(float(coefficient)):
            self.fail("the numbers in this product are too large", node)
        exponent = expression.exp if expression.is_Pow else sp.S.One
        if exponent.is_Rational and abs(exponent) > LARGEST_EXPONENT:
            self.fail(f"the exponent {exponent} is larger than {LARGEST_EXPONENT}", node)
        return Value(expression)

    def constant(self, expression: Any, number: float | None, node: ast.AST) -> Value:
        """A number: exact while it is short, because SymPy asks for the signs of long ones for minutes."""
        if expression.is_Rational:
            if _bits(expression) > MOST_BITS:
                self.fail("this number has too many digits", node)
            return Value(expression, self.finite(lambda parts: float(expression), (), node))
        if number is None:  # the symbols have cancelled
            number = self.finite(lambda parts: float(expression), (), node)
        if number == 0:
            self.fail("this number is too small to be computed", node)
        size = sum(1 for _ in itertools.islice(sp.preorder_traversal(expression), MOST_PARTS + 1))
        return Value(expression if size <= MOST_PARTS else sp.Float(number), number)

    # -- conditions -----------------------------------------------------------------------------------------------

    def branches(self, node: ast.expr) -> Iterator[tuple[ast.expr, ast.expr | None]]:
        """The pieces of ``a if c else b if d else e``, from left to right; the last one has no condition."""
        while isinstance(node, ast.IfExp):
            yield node.body, node.test
            node = node.orelse
        yield node, None

    def pairs(self, arguments: Sequence[ast.expr], node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None]]:
        """The pieces of ``Piecewise((a, c), (b, d), (e, True))``."""
        for argument in arguments:
            if not (isinstance(argument, ast.Tuple) and len(argument.elts) == 2):
                self.fail("Piecewise takes pairs: Piecewise((a, condition), (b, True))", argument)
            yield argument.elts[0], argument.elts[1]

    def cases(self, pieces: Iterable[tuple[ast.expr, ast.expr | None]], node: ast.expr) -> Value:
        """A Piecewise of pieces and their conditions."""
        made: list[tuple[Any, Any]] = []
        for body, test in pieces:
            condition = sp.true if test is None else self.condition(test)
            value = self.value(body)
            if condition == sp.false:
                continue
            if condition == sp.true and not made:
                return value
            made.append((value.expression, condition))
            if condition == sp.true:
                break
        if not made:
            self.fail("none of the conditions holds", node)
        return Value(sp.Piecewise(*made, evaluate=False))

    def condition(self, node: ast.expr) -> Any:
        """A condition of SymPy; true or false where it compares numbers."""
        match node:
            case ast.Compare(left=left, ops=operators, comparators=others):
                sides = [left, *others]
                relations = [
                    self.relation(operator, *map(self.value, sides[place : place + 2]))
                    for place, operator in enumerate(operators)
                ]
                return sp.And(*relations) if len(relations) > 1 else relations[0]
            case ast.BoolOp(op=operator, values=parts):
                return (sp.And if isinstance(operator, ast.And) else sp.Or)(*map(self.condition, parts))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return sp.Not(self.condition(operand))
            case ast.Name() if self.token(node).text in ("True", "False"):
                return sp.true if self.token(node).text == "True" else sp.false
        self.fail("a condition is expected here, such as x > 0", node)

    def relation(self, operator: ast.cmpop, left: Value, right: Value) -> Any:
        """A comparison of two values."""
        relation = _COMPARISONS[type(operator)]
        if left.number is not None and right.number is not None:
            return relation(sp.Float(left.number), sp.Float(right.number))
        return relation(left.expression, right.expression, evaluate=False)


def _chain(node: ast.expr, operators: tuple[type[ast.operator], ...]) -> Iterator[tuple[ast.operator | None, ast.expr]]:
    """The parts of ``a + b - c``, each with the operator before it: a loop, because chains may be long."""
    parts: list[tuple[ast.operator | None, ast.expr]] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, operators):
        parts.append((node.op, node.right))
        node = node.left
    parts.append((None, node))
    return reversed(parts)


def _real_power(base: float, exponent: float) -> float:
    if base == 0 > exponent:
        return math.inf
    power = base**exponent
    return math.nan if isinstance(power, complex) else power


def _bits(number: Any) -> int:
    return max(int(number.p).bit_length(), int(number.q).bit_length())


def _unknown(name: str) -> str:
    """What to say of a function that is not read."""
    near = difflib.get_close_matches(name, names(), n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else f"the functions are {', '.join(FUNCTIONS)}"
    return f"{name} is no function that is read here ({hint}); to multiply, write {name}*(…)"
