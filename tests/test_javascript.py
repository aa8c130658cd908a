"""The translation to JavaScript: statements, names, and the functions that JavaScript lacks."""

from __future__ import annotations

import json
import math
import shutil
import subprocess

import mpmath
import numpy as np
import pytest
import sympy as sp

import symdescent as sd
from symdescent.export.canonical import COUNT, DATA, NUMBER, Argument, Function
from symdescent.export.javascript import function, helper, runtime

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js to run the text with")


def node(program: str) -> str:
    done = subprocess.run(["node", "-"], input=program, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


SPECIAL = {
    # name, the function in high precision, intervals, how many units in the last place it may be off
    "error_function": (mpmath.erf, [(-6.5, 6.5), (0.4, 0.5)], 4),
    "complementary_error_function": (mpmath.erfc, [(-7, 5), (5, 26)], 8),
    "gamma_function": (mpmath.gamma, [(1e-3, 3), (3, 171), (-20, 0)], 8),
    "log_gamma": (mpmath.loggamma, [(1e-4, 3), (1.9, 2.1), (3, 20), (20, 1e6)], 8),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions_are_accurate(name):
    # a wrong digit in a coefficient, cancellation near a zero, overflow before the function itself overflows
    exact, intervals, units = SPECIAL[name]
    random = np.random.default_rng(3)
    points = np.concatenate([random.uniform(low, high, 300) for low, high in intervals]).tolist()
    text = "\n".join(runtime(f"{name}("))
    found = json.loads(node(f"{text}\nconsole.log(JSON.stringify({points}.map({name})))"))
    with mpmath.workdps(50):
        for point, value in zip(points, found, strict=True):
            wanted = exact(mpmath.mpf(point))
            assert abs(value - wanted) <= units * math.ulp(float(wanted)), (point, value, wanted)


def test_special_functions_at_the_ends():
    # NaN where there is a limit, or a limit where there is a pole
    text = "\n".join(runtime("error_function( complementary_error_function( gamma_function( log_gamma("))
    asked = (
        "error_function(40), error_function(-40), error_function(NaN), complementary_error_function(-40), "
        "complementary_error_function(40), gamma_function(172), gamma_function(-3), gamma_function(23), log_gamma(0), "
        "log_gamma(Infinity), gamma_function(-200.5), error_function(0)"
    )
    shown = node(f"{text}\nfor (const value of [{asked}]) console.log(String(value))").split()
    assert shown == [
        "1",
        "-1",
        "NaN",
        "2",
        "0",
        "Infinity",
        "NaN",
        "1.1240007277776077e+21",
        *["Infinity"] * 2,
        "0",
        "0",
    ]


def test_helpers_agree_with_python():
    # a comparison with NaN, a remainder's sign, a loop that counts from another number
    from symdescent.elementary import scalar

    points = [-800.0, -2.5, -1.0, -0.0, 0.3, 1.0, 7.25, 800.0]
    for name in ("sign", "sigmoid", "softplus", "relu", "complement"):
        found = json.loads(node(f"{helper(name)}\nconsole.log(JSON.stringify({points}.map((x) => {name}(x))))"))
        wanted = [getattr(scalar, name)(point) for point in points]
        np.testing.assert_allclose(found, wanted, rtol=1e-14, err_msg=name)
    for order in range(4):
        text = f"{runtime('remainder_of(')[0]}\n{helper('polygamma')}\nconsole.log(JSON.stringify({points[4:7]}.map((x) => polygamma({order}, x))))"
        wanted = [scalar.polygamma(order, point) for point in points[4:7]]
        np.testing.assert_allclose(json.loads(node(text)), wanted, rtol=1e-13)
    asked = [(-7.5, 2.0), (7.5, -2.0), (6.0, 2.0)]
    text = f"{helper('modulo')}\nconsole.log(JSON.stringify({[list(p) for p in asked]}.map((p) => modulo(...p))))"
    assert json.loads(node(text)) == [math.fmod(a, b) + (b if (a < 0) != (b < 0) else 0) for a, b in asked]


def test_statements():
    # a break that leaves the wrong loop, a name declared in a block and read outside, a bound that is read too late
    lines = """
found = -1
for k in range(10):
    if k % 3 == 1 and k > 1:
        found = k
        break
while True:
    found += 2
    if not 0 < found < 9:
        break
for k in range(3, -1, -1):
    if k == 2:
        continue
    last = k
    table[k, 0] = -(-x) ** 2 - (1 - (2 - k))
if found > 100:
    kind = 1
elif found == 10:
    kind = 2
else:
    kind = 3
whole = 7 // 2 + -7 // 2 + int(-2.5) + min(3, 4) + max(1, abs(-2)) + (-7) % 4
first, second = pair(whole, kind)
first = first if first > 0 or second == 1 else -first
""".strip().split("\n")
    table = Argument("table", DATA, ("4", "1"))
    program = Function(
        "run",
        (Argument("x", NUMBER), table, Argument("n", COUNT)),
        ("found", "last", "kind", "whole", "first", "second"),
        "Run.",
        tuple(lines),
    )
    own = "function pair(a, b) {\n  return [b, a];\n}\n"
    text = function(program)
    printed = node(
        f'"use strict";\n{chr(10).join(runtime(text))}\n{own}{text}\nconst table = [[0], [0], [9], [0]];\nconsole.log(JSON.stringify([run(3, table, 1), table]))'
    )
    assert json.loads(printed) == [[10, 0, 2, 3 - 4 - 2 + 3 + 2 + 1, 2, 3], [[-8], [-9], [9], [-11]]]
    assert "const kind" not in text and "let k = 3" in text


def test_names_that_mean_something_in_javascript():
    # `let` as an argument, a parameter named like a function of the text, one that hides Math
    names = ["let", "this", "Math", "log_gamma", "window", "NaN", "square", "µ", "Infinity"]
    things = sp.symbols(names)
    loss = sd.Loss(
        sum((thing - k) ** 2 for k, thing in enumerate(things)) + sp.exp(sp.loggamma(2 + things[0] ** 2)), things
    )
    text = loss.code("javascript", sd.GradientDescent(0.1))
    values = ", ".join(["0.5"] * len(names))
    printed = node(f"{text}\nconsole.log(value({values}));").split()[-1]
    assert float(printed) == pytest.approx(loss.lambdify().value(*[0.5] * len(names)), rel=1e-14)


def test_numbers_go_to_infinity_without_an_error():
    # an exception where the other targets go on with infinity
    x = sp.Symbol("x")
    text = sd.Loss(sp.exp(x) + 1 / x, x).code("javascript")
    assert node(f"{text}\nconsole.log(value(1000), value(0), value_and_gradient(0)[1])").split()[-3:] == [
        "Infinity",
        "Infinity",
        "-Infinity",
    ]
