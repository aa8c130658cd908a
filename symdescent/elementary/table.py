"""The table of elementary functions: one record each, from which derivations, code, checks and tests are made.

A partial derivative is stated once, in SymPy, in terms of the arguments ``x, y`` and the output ``f``. The rule for
dual numbers is stated a second time, as NumPy code and in another form where there is one, because it is a witness
against the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symdescent.elementary import functions
from symdescent.elementary import numeric as on

x, y, f = sp.symbols("x y f")

Interval = tuple[float, float]
Rule = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Elementary:
    """What is known of one elementary function.

    ``partials`` are SymPy expressions in ``x, y`` (the arguments) and ``f`` (the output); an empty tuple means that
    the function is a step, which has no useful derivative. ``python`` and ``numpy`` are call templates for generated
    code, ``numeric`` the function on arrays, ``dual`` the partials on arrays, ``domain`` an interval for each
    argument on which the function is smooth, ``analytic`` whether ``numeric`` accepts complex arguments,
    ``kink`` the expression that vanishes where the derivative jumps.
    """

    name: str
    sympy: Callable[..., Any]
    partials: tuple[sp.Expr, ...]
    python: str
    numpy: str
    numeric: Rule
    dual: tuple[Rule, ...]
    domain: tuple[Interval, ...]
    english: str
    spanish: str
    analytic: bool = True
    kink: sp.Expr | None = None

    @property
    def arity(self) -> int:
        """How many arguments the function takes."""
        return len(self.domain)


WIDE: Interval = (-3.0, 3.0)
POSITIVE: Interval = (0.1, 4.0)

exp, log, sin, cos, sqrt = sp.exp, sp.log, sp.sin, sp.cos, sp.sqrt
digamma = sp.Lambda(x, sp.polygamma(0, x))


def _row(
    name: str,
    function: Any,
    partials: Any,
    python: str,
    numeric: Any,
    dual: Any,
    domain: Any,
    english: str,
    spanish: str,
    **more: Any,
) -> Elementary:
    """Build a record; single partials, rules and intervals may be given bare."""
    several = isinstance(partials, tuple)
    numpy = more.pop("numpy", f"np.{numeric.__name__}" if isinstance(numeric, np.ufunc) else f"on.{numeric.__name__}")
    arguments = ", ".join(f"{{{k}}}" for k in range(len(domain) if isinstance(domain[0], tuple) else 1))
    return Elementary(
        name=name,
        sympy=function,
        partials=tuple(map(sp.sympify, partials)) if several else (sp.sympify(partials),),
        python=f"{python}({arguments})",
        numpy=f"{numpy}({arguments})",
        numeric=numeric,
        dual=dual if isinstance(dual, tuple) else (dual,),
        domain=domain if isinstance(domain[0], tuple) else (domain,),
        english=english,
        spanish=spanish,
        **more,
    )


# fmt: off
_ROWS = (
    _row("exp",   exp,       f,                  "math.exp",   np.exp,    lambda x, f: np.exp(x),                  WIDE,          "derivative of the exponential",  "derivada de la exponencial"),
    _row("log",   log,       1/x,                "math.log",   np.log,    lambda x, f: np.reciprocal(x),           POSITIVE,      "derivative of the logarithm",    "derivada del logaritmo"),
    _row("sqrt",  sqrt,      1/(2*f),            "math.sqrt",  np.sqrt,   lambda x, f: 0.5*x**-0.5,                POSITIVE,      "derivative of the square root",  "derivada de la raíz cuadrada"),
    _row("sin",   sin,       cos(x),             "math.sin",   np.sin,    lambda x, f: np.cos(x),                  WIDE,          "derivative of the sine",         "derivada del seno"),
    _row("cos",   cos,       -sin(x),            "math.cos",   np.cos,    lambda x, f: -np.sin(x),                 WIDE,          "derivative of the cosine",       "derivada del coseno"),
    _row("tan",   sp.tan,    1 + f**2,           "math.tan",   np.tan,    lambda x, f: np.cos(x)**-2.0,            (-1.4, 1.4),   "derivative of the tangent",      "derivada de la tangente"),
    _row("asin",  sp.asin,   1/sqrt(1 - x**2),   "math.asin",  np.arcsin, lambda x, f: 1/np.cos(f),                (-0.95, 0.95), "derivative of the arcsine",      "derivada del arcoseno"),
    _row("acos",  sp.acos,   -1/sqrt(1 - x**2),  "math.acos",  np.arccos, lambda x, f: -1/np.sin(f),               (-0.95, 0.95), "derivative of the arccosine",    "derivada del arcocoseno"),
    _row("atan",  sp.atan,   1/(1 + x**2),       "math.atan",  np.arctan, lambda x, f: np.cos(f)**2,               WIDE,          "derivative of the arctangent",   "derivada de la arcotangente"),
    _row("sinh",  sp.sinh,   sp.cosh(x),         "math.sinh",  np.sinh,   lambda x, f: np.sqrt(1 + f*f),           WIDE,          "derivative of the hyperbolic sine",    "derivada del seno hiperbólico"),
    _row("cosh",  sp.cosh,   sp.sinh(x),         "math.cosh",  np.cosh,   lambda x, f: np.sinh(x),                 WIDE,          "derivative of the hyperbolic cosine",  "derivada del coseno hiperbólico"),
    _row("tanh",  sp.tanh,   1 - f**2,           "math.tanh",  np.tanh,   lambda x, f: np.cosh(x)**-2.0,           WIDE,          "derivative of the hyperbolic tangent", "derivada de la tangente hiperbólica"),
    _row("asinh", sp.asinh,  1/sqrt(1 + x**2),   "math.asinh", np.arcsinh, lambda x, f: 1/np.cosh(f),              WIDE,          "derivative of the inverse hyperbolic sine",    "derivada del seno hiperbólico inverso"),
    _row("acosh", sp.acosh,  1/(sqrt(x - 1)*sqrt(x + 1)), "math.acosh", np.arccosh, lambda x, f: 1/np.sinh(f),     (1.1, 5.0),    "derivative of the inverse hyperbolic cosine",  "derivada del coseno hiperbólico inverso"),
    _row("atanh", sp.atanh,  1/(1 - x**2),       "math.atanh", np.arctanh, lambda x, f: np.cosh(f)**2,             (-0.95, 0.95), "derivative of the inverse hyperbolic tangent", "derivada de la tangente hiperbólica inversa"),
    _row("erf",   sp.erf,    2*exp(-x**2)/sqrt(sp.pi), "math.erf", on.erf, lambda x, f: 1.1283791670955126*np.exp(-x*x), WIDE,      "derivative of the error function",   "derivada de la función error", analytic=False),
    _row("erfc",  sp.erfc,   -2*exp(-x**2)/sqrt(sp.pi), "math.erfc", on.erfc, lambda x, f: -1.1283791670955126*np.exp(-x*x), WIDE,  "derivative of the complementary error function", "derivada de la función error complementaria", analytic=False),
    _row("gamma", sp.gamma,  f*digamma(x),       "math.gamma", on.gamma,  lambda x, f: f*on.polygamma(0, x),       POSITIVE,      "derivative of the gamma function",   "derivada de la función gamma", analytic=False),
    _row("loggamma", sp.loggamma, digamma(x),    "math.lgamma", on.loggamma, lambda x, f: on.polygamma(0, x),      POSITIVE,      "derivative of the log-gamma function", "derivada del logaritmo de la función gamma", analytic=False),
    _row("polygamma", sp.polygamma, (sp.nan, sp.polygamma(x + 1, y)), "polygamma", on.polygamma, (None, lambda n, x, f: on.polygamma(n + 1, x)), ((0, 0), POSITIVE), "derivative of the polygamma function", "derivada de la función poligamma", analytic=False),
    _row("atan2", sp.atan2,  (y/(x**2 + y**2), -x/(x**2 + y**2)), "math.atan2", np.arctan2, (lambda y, x, f: np.cos(f)/np.hypot(x, y), lambda y, x, f: -np.sin(f)/np.hypot(x, y)), (POSITIVE, WIDE), "derivative of the two-argument arctangent", "derivada de la arcotangente de dos argumentos", analytic=False),
    _row("Abs",   sp.Abs,    sp.sign(x),         "abs",        np.abs,    lambda x, f: np.sign(x),                 WIDE,          "derivative of the absolute value",   "derivada del valor absoluto", analytic=False, kink=x),
    _row("sign",  sp.sign,   0,                  "sign",       np.sign,   lambda x, f: 0*x,                        WIDE,          "derivative of the sign",             "derivada del signo", analytic=False, kink=x),
    _row("Heaviside", sp.Heaviside, (0, 0),      "heaviside",  np.heaviside, (lambda x, h, f: 0*x, lambda x, h, f: 0*x), (WIDE, (0.5, 0.5)), "derivative of the step",     "derivada del escalón", analytic=False, kink=x),
    _row("floor", sp.floor,  (),                 "math.floor", np.floor,  (),                                      WIDE,          "a step function",                    "una función escalonada", analytic=False),
    _row("ceiling", sp.ceiling, (),              "math.ceil",  np.ceil,   (),                                      WIDE,          "a step function",                    "una función escalonada", analytic=False),
    _row("Mod",   sp.Mod,    (1, -sp.floor(x/y)), "modulo",    np.mod,    (lambda x, y, f: np.ones_like(x), lambda x, y, f: (f - x)/y), ((0.1, 0.9), (1.0, 2.0)), "derivative of the remainder", "derivada del resto", analytic=False),
    # stable heads: recognised while lowering, right at arguments of any size
    _row("expm1", lambda x: exp(x) - 1,      exp(x),   "math.expm1", np.expm1,  lambda x, f: np.exp(x),             WIDE,          "derivative of the exponential",  "derivada de la exponencial"),
    _row("log1p", lambda x: log(1 + x),      1/(1 + x), "math.log1p", np.log1p, lambda x, f: np.reciprocal(1 + x),  (-0.9, 4.0),   "derivative of the logarithm",    "derivada del logaritmo"),
    _row("sigmoid", functions.sigmoid,  functions.sigmoid(x)*functions.sigmoid(-x), "sigmoid", on.sigmoid, lambda x, f: 0.25/on.cosh_half(x)**2, WIDE, "derivative of the sigmoid",  "derivada de la sigmoide"),
    _row("softplus", functions.softplus, functions.sigmoid(x), "softplus", on.softplus, lambda x, f: 0.5*(1 + np.tanh(x/2)), WIDE, "derivative of the softplus",         "derivada de la softplus"),
    _row("relu",  functions.relu,  sp.Heaviside(x, 0), "relu",     on.relu,   lambda x, f: np.heaviside(x, 0.0),     WIDE,          "derivative of the ramp",             "derivada de la rampa", analytic=False, kink=x),
    _row("xlogx", lambda x: x*log(x),        1 + log(x), "xlogx",    on.xlogx,  lambda x, f: np.log(x) + 1,          POSITIVE,      "product rule",                       "regla del producto"),
)
# fmt: on

TABLE: dict[str, Elementary] = {row.name: row for row in _ROWS}
BY_CLASS: dict[type, Elementary] = {row.sympy: row for row in _ROWS if isinstance(row.sympy, type)}
