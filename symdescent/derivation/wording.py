"""What rules are called and what remarks say, in each language: one table, so that a third language is one more column.

The names of elementary functions' rules stand in `symdescent.elementary.TABLE`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from symdescent.elementary import TABLE
from symdescent.errors import StatementError

LANGUAGES = {"en": "english", "es": "spanish"}


@dataclass(frozen=True, slots=True)
class Wording:
    """One text in each language; ``{0}``, ``{1}`` mark where formulas go."""

    english: str
    spanish: str


# fmt: off
RULES: dict[str, Wording] = {
    "constant":            Wording("derivative of a constant",         "derivada de una constante"),
    "variable":            Wording("derivative of the variable",       "derivada de la variable"),
    "entry":               Wording("derivative of an entry",           "derivada de una componente"),
    "constant multiple":   Wording("constant multiple rule",           "regla del múltiplo constante"),
    "sum":                 Wording("sum rule",                         "regla de la suma"),
    "difference":          Wording("difference rule",                  "regla de la diferencia"),
    "product":             Wording("product rule",                     "regla del producto"),
    "quotient":            Wording("quotient rule",                    "regla del cociente"),
    "reciprocal":          Wording("reciprocal rule",                  "regla del recíproco"),
    "power":               Wording("power rule",                       "regla de la potencia"),
    "exponential":         Wording("exponential with a constant base", "exponencial de base constante"),
    "general power":       Wording("general power rule",               "regla de la potencia general"),
    "chain":               Wording("chain rule",                       "regla de la cadena"),
    "linearity":           Wording("linearity of the sum",             "linealidad de la suma"),
    "finite product":      Wording("derivative of a product of factors", "derivada de un producto de factores"),
    "delta":               Wording("Kronecker delta eliminated",       "se elimina la delta de Kronecker"),
    "shifted":             Wording("derivative of a sum over a shifted index", "derivada de una suma con índice desplazado"),
    "definition":          Wording("definition of {0}",                "definición de {0}"),
    "abbreviate":          Wording("abbreviation {0}",                 "abreviatura {0}"),
    "insert":              Wording("{0} inserted",                     "se sustituye {0}"),
    "cases":               Wording("case by case",                     "caso por caso"),
    "stable":              Wording("numerically stable form",          "forma numéricamente estable"),
    "rewrite":             Wording("the power written as an exponential", "la potencia escrita como exponencial"),
    "maximum":             Wording("derivative of a maximum",          "derivada de un máximo"),
    "minimum":             Wording("derivative of a minimum",          "derivada de un mínimo"),
    "logsumexp":           Wording("derivative of the logarithm of a sum of exponentials", "derivada del logaritmo de una suma de exponenciales"),
    "softmax":             Wording("derivative of the softmax",        "derivada de la softmax"),
    "simplify":            Wording("simplify",                         "se simplifica"),
    "matrix form":         Wording("written with matrices",            "escrito con matrices"),
    # matrix differentials
    "matrix constant":     Wording("the differential of a constant is zero", "la diferencial de una constante es cero"),
    "matrix sum":          Wording("differential of a sum",            "diferencial de una suma"),
    "matrix product":      Wording("product rule for differentials",   "regla del producto para diferenciales"),
    "matrix transpose":    Wording("differential of a transpose",      "diferencial de una transpuesta"),
    "matrix trace":        Wording("differential of a trace",          "diferencial de una traza"),
    "matrix elementwise":  Wording("differential of an elementwise function", "diferencial de una función elemento a elemento"),
    "matrix hadamard":     Wording("differential of an elementwise product", "diferencial de un producto elemento a elemento"),
    "matrix chain":        Wording("chain rule for differentials",     "regla de la cadena para diferenciales"),
    "scalar transpose":    Wording("a scalar is its own transpose",    "un escalar es igual a su transpuesta"),
    "scalar trace":        Wording("a scalar is its own trace",        "un escalar es igual a su traza"),
    "cyclic":              Wording("the trace is cyclic",              "la traza es cíclica"),
    "trace transpose":     Wording("a matrix and its transpose have one trace", "una matriz y su transpuesta tienen la misma traza"),
    "trace hadamard":      Wording("an elementwise product within a trace", "un producto elemento a elemento dentro de la traza"),
    "constant factor":     Wording("a constant factor is taken out",   "se saca un factor constante"),
    "constants":           Wording("constants",                        "constantes"),
    "matrix diagonal":     Wording("differential of a diagonal",       "diferencial de una diagonal"),
    "matrix entry":        Wording("an entry as a product",            "una componente como producto"),
    "matrix part":         Wording("a part of a matrix as a product",  "una parte de una matriz como producto"),
    "matrix notation":     Wording("written with matrices",            "escrito con matrices"),
    "log softmax":         Wording("logarithm of the softmax",         "logaritmo de la softmax"),
    "dot product":         Wording("the scalar product as a matrix product", "el producto escalar como producto de matrices"),
    "dot hadamard":        Wording("an elementwise product within a scalar product", "un producto elemento a elemento dentro de un producto escalar"),
    "dot diagonal":        Wording("a diagonal matrix within a scalar product", "una matriz diagonal dentro de un producto escalar"),
    "trace diagonal":      Wording("a diagonal matrix within a trace", "una matriz diagonal dentro de la traza"),
    "hadamard diagonal":   Wording("an elementwise product with a vector is a diagonal matrix", "un producto elemento a elemento con un vector es una matriz diagonal"),
    "scalar factor":       Wording("a scalar factor is moved to the front", "un factor escalar pasa al frente"),
    "read off hessian":    Wording("the Hessian is read off",          "se lee la matriz hessiana"),
    "collect":             Wording("terms collected",                  "se agrupan los términos"),
    "read off":            Wording("the gradient is read off",         "se lee el gradiente"),
}

NOTES: dict[str, Wording] = {
    "inner":               Wording("inner function {0}",               "función interior {0}"),
    "inner is":            Wording("with {0} = {1}",                   "con {0} = {1}"),
    "subgradient":         Wording("at {0}, where the slope jumps, the subgradient of least norm is taken", "en {0}, donde la pendiente salta, se toma el subgradiente de norma mínima"),
    "left slope":          Wording("at {0}, where the slope jumps, the slope on the left is taken", "en {0}, donde la pendiente salta, se toma la pendiente por la izquierda"),
    "right slope":         Wording("at {0}, where the slope jumps, the slope on the right is taken", "en {0}, donde la pendiente salta, se toma la pendiente por la derecha"),
    "no slope":            Wording("at {0} the derivative does not exist", "en {0} la derivada no existe"),
    "pieces":              Wording("at the boundaries the piece that holds there is taken", "en las fronteras se toma la pieza que vale allí"),
    "mirrored":            Wording("{0} = {1}",                        "{0} = {1}"),
    "entry subgradient":   Wording("where an entry of {0} is zero, the subgradient of least norm is taken", "donde una componente de {0} es cero, se toma el subgradiente de norma mínima"),
    "entry left slope":    Wording("where an entry of {0} is zero, the slope on the left is taken", "donde una componente de {0} es cero, se toma la pendiente por la izquierda"),
    "entry right slope":   Wording("where an entry of {0} is zero, the slope on the right is taken", "donde una componente de {0} es cero, se toma la pendiente por la derecha"),
    "entry no slope":      Wording("where an entry of {0} is zero, the derivative does not exist", "donde una componente de {0} es cero, la derivada no existe"),
    "entries":             Wording("for each entry of {0}",            "para cada componente de {0}"),
}
# fmt: on


def check_language(language: str) -> str:
    """The language, if it is known."""
    if language not in LANGUAGES:
        raise StatementError(f"language={language!r} is not one of {', '.join(map(repr, LANGUAGES))}")
    return language


def rule_parts(key: str, language: str, *args: Any) -> tuple[Any, ...]:
    """A rule's name as text and formulas; the rules of elementary functions are found by the function's name."""
    field = LANGUAGES[check_language(language)]
    return _filled(getattr(RULES[key] if key in RULES else TABLE[key], field), args)


def note_parts(key: str, language: str, *args: Any) -> tuple[Any, ...]:
    """A remark as text and formulas."""
    return _filled(getattr(NOTES[key], LANGUAGES[check_language(language)]), args)


def _filled(template: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    pieces = re.split(r"\{(\d)\}", template)
    parts = [args[int(piece)] if place % 2 else piece for place, piece in enumerate(pieces)]
    return tuple(part for part in parts if part != "")
