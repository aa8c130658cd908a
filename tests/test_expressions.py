"""The expression parser of the command line: what it reads is what Python would compute; it never does anything else."""

from __future__ import annotations

import ast
import math
import time

import pytest
import sympy as sp
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

import symdescent as sd
from symdescent.cli.expressions import LARGEST_EXPONENT, Vocabulary, read
from symdescent.cli.functions import FUNCTIONS, names
from symdescent.cli.tokens import LONGEST, ExpressionError
from symdescent.elementary import TABLE

w, x, y, z = sp.symbols("w x y z", real=True)


# -- what is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(y - (w*x + 3))**2", (y - (w * x + 3)) ** 2),
        ("-x**2", -(x**2)),
        ("2**3**2", sp.Integer(512)),
        ("x - y - z", x - y - z),
        ("x/y/z", x / y / z),
        ("x - -y", x + y),
        ("1/3*x", x / 3),
        ("x**(1/2)", sp.sqrt(x)),
        (".5*x + 1.*y + 1e-3", 0.5 * x + 1.0 * y + sp.Float(1e-3)),
        ("x % 3", sp.Mod(x, 3, evaluate=False)),
        ("abs(x) + max(x, y) + ln(z)", sp.Abs(x) + sp.Max(x, y) + sp.log(z)),
        ("log(x, 2)", sp.log(x, 2)),
        ("x if x > 0 else -x", sp.Piecewise((x, x > 0), (-x, True))),
        ("1 if x > 1 else 2 if x > 0 else 3", sp.Piecewise((1, x > 1), (2, x > 0), (3, True))),
        ("x if 0 < x <= 1 and not y == 2 else 0", sp.Piecewise((x, (x > 0) & (x <= 1) & sp.Ne(y, 2)), (0, True))),
        ("Piecewise((x, x < 1), (1, True))", sp.Piecewise((x, x < 1), (1, True))),
        ("x if 1 < 2 else y", x),
        ("logsumexp(x, y) + softmax(x, y) + relu(z)", sd.logsumexp(x, y) + sd.softmax(x, y) + sd.relu(z)),
        ("2*pi + E + π", 3 * sp.pi + sp.E),
        ("sqrt(2*pi)*exp(1/2)", sp.sqrt(2 * sp.pi) * sp.exp(sp.Rational(1, 2))),
        ("x − y·2 × 3 ÷ 4", x - sp.Rational(3, 2) * y),
        ("x\n + y", x + y),
        ("0**2 + 0**x", None),
        ("3 - 3 + x", x),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_read(text, expected):
    # precedence, associativity, chains of comparisons, aliases
    if expected is None:
        with pytest.raises(ExpressionError):
            read(text)
        return
    found = read(text)
    assert found.free_symbols == expected.free_symbols
    for point in ({w: 0.3, x: 0.7, y: 1.9, z: 2.3}, {w: -0.4, x: 1.7, y: 2.0, z: 0.2}, {w: 2, x: -1.3, y: 0.6, z: 4}):
        assert sp.N(found.subs(point)) == pytest.approx(sp.N(expected.subs(point)), rel=1e-14)
    if not found.has(sp.Piecewise, sp.Max):
        assert found == expected  # exact numbers stay exact


numbers = st.integers(0, 9).map(str) | st.sampled_from(["0.5", "2.25", "1e-1", "3.", ".125"])
arithmetic = st.recursive(
    numbers | st.sampled_from("abc"),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", " - ", "+-", "--"]), inner).map("".join)
        | inner.map("({})".format)
        | inner.map("-{}".format)
        | inner.map("({})**2".format)
        | inner.map("-({})**2".format)
        | st.tuples(inner, inner).map("({0[0]}) if ({0[1]}) > 1 else ({0[1]})".format).map("({})".format)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(arithmetic)
def test_python_computes_the_same(text):
    # any mistake in precedence or grouping, or in the way from columns to tokens; Python's own evaluation is the oracle
    values = {"a": 0.75, "b": -1.5, "c": 2.0}
    expected = eval(text, {"__builtins__": {}}, values)  # made of numbers, a, b, c and operators
    try:
        found = read(text)
    except ExpressionError as error:
        assert any(word in error.reason for word in ("large", "digits"))
        reject()
    found = found.subs({sp.Symbol(name, real=True): value for name, value in values.items()})
    assert float(found) == pytest.approx(float(expected), rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("name", [name for name in TABLE if TABLE[name].arity == 1])
def test_every_function_of_the_table_is_read(name):
    # a new record that the parser does not know, or knows under another meaning
    record = TABLE[name]
    found = read(f"{name}(x)")
    for share in (0.3, 0.7):
        low, high = record.domain[0]
        at = low + share * (high - low)
        assert float(sp.N(found.subs(x, at))) == pytest.approx(float(record.numeric(at)), rel=1e-12)
        assert float(read(f"{name}({at!r})")) == pytest.approx(float(record.numeric(at)), rel=1e-12)


@pytest.mark.parametrize("name", names())
def test_names_of_functions_are_symbols_where_they_stand_alone(name):
    # bad input 3: a loss in `gamma`, `beta` or `exp` that is read as a function object
    symbol = sp.Symbol(name, real=True)
    assert read(f"({name} - 3)**2") == (symbol - 3) ** 2


@pytest.mark.parametrize(
    "name", ["lambda", "S", "N", "Q", "I", "zeta", "class", "self", "i0", "np", "None", "import", "_", "α", "Ω", "名"]
)
def test_every_name_is_a_symbol(name):
    # bad input 1 and 3: keywords, and the names that SymPy's own parser turns into something else
    assert read(f"{name}**2 + x*{name}") == sp.Symbol(name, real=True) ** 2 + x * sp.Symbol(name, real=True)


def test_one_name_is_one_symbol():
    # bad input 4 and 5: µ beside μ, and one name with two assumptions, are two parameters that look alike
    assert read("µ - μ") == 0
    assert read("ﬁ") == read("fi")
    shared = Vocabulary()
    assert read("x", shared) is read("2*x - x", shared)


def test_constants_give_way_to_declared_names():
    # a parameter E that is silently 2.718, or the constant that is silently a parameter
    assert read("E*pi").free_symbols == set()
    assert read("E*pi", Vocabulary(["E"])) == sp.Symbol("E", real=True) * sp.pi


# -- what is refused --------------------------------------------------------------------------------------------------

REFUSED = [
    ("", 1, "nothing"),
    ("   ", 1, "nothing"),
    ("x^2", 2, "**"),
    ("2x", 2, "2*x"),
    ("x y", 3, "x*y"),
    ("sin x", 5, "sin(x)"),
    ("2(x + 1)", 2, "2*("),
    ("(x)(y)", 4, ")*("),
    ("x +", 4, "ends where a value is expected after +"),
    ("x + * y", 5, "between + and *"),
    ("(x", 1, "not closed"),
    ("x)", 2, "not opened"),
    ("()", 2, "nothing between"),
    ("f(x)", 1, "f is no function"),
    ("besselj(0, x)", 1, "besselj is no function"),
    ("expp(x)", 1, "exp"),
    ("sin(x, y)", 1, "1 argument, not 2"),
    ("Max()", 5, "nothing between"),
    ("x.real", 2, "attributes"),
    ("x[0]", 2, "indices"),
    ("[x]", 1, "indices"),
    ("{x}", 1, "braces"),
    ("'x'", 1, "text"),
    ('f"{x}"', 2, "text"),
    ("lambda x: x", 9, "one expression"),
    ("x; y", 2, "one expression"),
    ("x := 3", 3, "one expression"),
    ("x, y", 2, "one expression"),
    ("(x, y)", 1, "several expressions"),
    ("sin((x, y))", 5, "several expressions"),
    ("x = 3", 3, "(left - right)**2"),
    ("x == 3", 1, "condition"),
    ("x < 3", 1, "condition"),
    ("not x", 1, "condition"),
    ("x and y", 1, "condition"),
    ("1 if x else 2", 6, "a condition is expected"),
    ("x if y > 0", 3, "no else"),
    ("x else y", 3, "no if"),
    ("(x if y > 0) else 2", 4, "no else"),
    ("Piecewise(x, y)", 11, "pairs"),
    ("a + not b", 5, "no expression from not on"),
    ("x is y", 3, "operator is missing"),
    ("x // y", 3, "floor"),
    ("x | y", 3, "Abs"),
    ("x!", 2, "factorial"),
    ("x²", 2, "**2"),
    ("√x", 1, "sqrt"),
    (r"\frac{1}{2}", 1, "LaTeX"),
    ("<b>x</b>", 1, "a value is missing"),
    ("x\x00", 2, "not read"),
    ("1/0", 3, "divides by 0"),
    ("x/(y - y)", 4, "divides by 0"),
    ("log(0)", 1, "infinite"),
    ("sqrt(-1)", 1, "no real value"),
    ("(-8)**(1/3)", 1, "no real value"),
    ("exp(-1000)", 1, "too small"),
    ("9**9**9", 4, "exponent 387420489 is larger"),
    ("x + 9**9**9", 8, "exponent"),
    ("2**-9**9", 4, "exponent"),
    (f"x**{LARGEST_EXPONENT + 1}", 4, "exponent"),
    ("((x**100)**100)**100", 2, "exponent"),
    ("(1 + 1/10**25)**900", 1, "too many digits"),
    ("factorial(10**7)", 1, "too large"),
    ("gamma(10**9)", 1, "too large"),
    ("loggamma(10**9)", 1, "too large"),
    ("polygamma(0, 10**9)", 1, "too large"),
    ("exp(exp(1e9))", 5, "too large"),
    ("floor(exp(exp(30)))", 7, "too large"),
    ("1e400", 1, "larger"),
    ("1" + "0" * 40, 1, "more than 30 digits"),
    ("1e300*x*1e300", 1, "too large"),
    ("__import__('os').system('ls')", 12, "text"),
    ("__import__(os)", 1, "no function"),
    ("(" * 100 + "x" + ")" * 100, 62, "nested"),
    ("-" * 100 + "x", 61, "nested"),
    ("sin(" * 70 + "x" + ")" * 70, 245, "nested"),
    ("**".join(["x"] * 200), 1, "nested"),
    ("+".join(["x"] * 50_000), LONGEST + 1, "characters"),
    ("+".join(["x"] * 4_000), 3001, "names, numbers and operators"),
]


@pytest.mark.parametrize(("text", "column", "said"), REFUSED, ids=[text[:30] for text, _, _ in REFUSED])
def test_what_is_refused_and_where(text, column, said):
    # bad input 2, 6, 7, 17-20, 43: evaluated, hanging, or refused with a message about something else
    with pytest.raises(ExpressionError) as error:
        read(text, label="the loss")
    assert said in error.value.reason
    if text.startswith(("**", "x**x")):
        return  # where in a tower the limit is met does not matter
    assert error.value.column + 1 == column
    if not text.strip():
        return
    assert f"the loss, column {column}: " in str(error.value)
    line, caret = str(error.value).split("\n")[-2:]
    if column <= len(text) and text.isprintable():
        assert line[len(caret) - 1] == text[column - 1]


def test_the_caret_stands_below_wide_letters():
    # letters that take two columns push the caret to the left of its place
    with pytest.raises(ExpressionError) as error:
        read("名前 + ^")
    assert str(error.value).split("\n")[-1] == " " * (2 + 4 + 3) + "^"


def test_nothing_of_the_text_reaches_python(monkeypatch):
    # names or numbers that are parsed by Python itself: a keyword, a huge integer, a name that is evaluated
    seen = []
    parse = ast.parse

    def spy(source, *args, **kwargs):
        seen.append(source)
        return parse(source, *args, **kwargs)

    monkeypatch.setattr(ast, "parse", spy)
    read("lambda*(secret + 12345)**2 if secret > 7 else sin(secret)")
    assert len(seen) == 1
    for hidden in ("lambda", "secret", "12345", "7", "sin"):
        assert hidden not in seen[0].replace("_7", "").replace("_17", "")


FRAGMENTS = [
    *FUNCTIONS, "(", ")", "(", ")", ",", "+", "-", "*", "/", "**", "%", "<", "<=", "==", "!=", " if ", " else ", " and ", " or ", " not ",
    "x", "y", "lambda", "beta", "pi", "E", "π", "µ", "0", "1", "2", "-1", "1/3", "0.5", "1e300", "1e-300", "10**9", "100", "9**9", "Piecewise((",
    "True", "^", "=", ".", "[", "]", "'", '"', "\\", "{", ";", ":", "@", "²", "\x00", " ", "\t", "\n", "__class__", "import os", "lambda x:",
]  # fmt: skip


def calls(inner):
    one = st.sampled_from([name for name, function in FUNCTIONS.items() if function.arity[0] == 1])
    two = st.sampled_from([name for name, function in FUNCTIONS.items() if function.arity[1] >= 2])
    return (
        st.tuples(one, inner).map("{0[0]}({0[1]})".format)
        | st.tuples(two, inner, inner).map("{0[0]}({0[1]}, {0[2]})".format)
        | st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**", "%", "^"]), inner).map(
            "({0[0]}{0[1]}{0[2]})".format
        )
        | st.tuples(inner, inner, inner).map("({0[0]} if {0[1]} < {0[2]} else {0[1]})".format)
    )


leaves = st.sampled_from(
    ["x", "y", "lambda", "pi", "E", "0", "1", "-1", "2", "1/3", "0.5", "30", "1e10", "10**9", "1e300", "z"]
)
strings = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join),
    st.recursive(leaves, calls, max_leaves=6),
)


@settings(max_examples=10_000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(strings)
def test_random_strings_are_read_or_refused_and_never_take_long(text):
    # an error that is not ours, or a number that SymPy computes for minutes; the bound is on computing time, so that
    # other programs on the machine cannot break it
    begun = time.process_time()
    try:
        found = read(text)
    except ExpressionError as error:
        assert str(error)
    else:
        assert isinstance(found, sp.Expr)
        assert found.is_number is not True or math.isfinite(float(found))
    assert time.process_time() - begun < 1.0


def test_computations_without_end_are_stopped():
    # SymPy takes the greatest common divisor of polynomials with 10**9 terms: hours, in which nothing is told
    begun = time.process_time()
    with pytest.raises(ExpressionError) as error:
        read("1 + loggamma(((a**(10**9/y))/(pi/(pi - 7)) + sqrt(1e300**y)**E) % y)")
    assert "too long" in error.value.reason
    assert time.process_time() - begun < 1.5
