"""What traces, critical points, curvatures and worked tables say, in each language: one table, as in `wording`."""

# ruff: noqa: E501 (one text, one line)

from __future__ import annotations

import re
from typing import Any

import sympy as sp

from symdescent.derivation.page import Part
from symdescent.derivation.wording import LANGUAGES, Wording, check_language

# fmt: off
PHRASES: dict[str, Wording] = {
    # worked tables
    "worked title":     Wording("The first steps worked out", "Los primeros pasos, desarrollados"),
    "worked rule":      Wording("One step of {0}, for each parameter θ with gradient g:", "Un paso de {0}, para cada parámetro θ con gradiente g:"),
    "worked rule alone": Wording("One step of {0}, with g for the gradient:", "Un paso de {0}, con g para el gradiente:"),
    "worked with":      Wording("Here ", "Aquí "),
    "rule gradient descent": Wording("gradient descent", "descenso de gradiente"),
    "rule momentum":    Wording("momentum", "momento"),
    "rule Nesterov momentum": Wording("Nesterov momentum", "momento de Nesterov"),
    "worked step":      Wording("Step {0}", "Paso {0}"),
    "worked more":      Wording("{0} has {1} entries; the first {2} are shown.", "{0} tiene {1} componentes; se muestran las {2} primeras."),
    "worked more parameters": Wording("There are {0} parameters; the first {1} are shown.", "Hay {0} parámetros; se muestran los {1} primeros."),
    "worked end":       Wording("The loss or its gradient is not finite after step {0}: the table ends there.", "La pérdida o su gradiente no es finito tras el paso {0}: la tabla termina ahí."),
    # traces
    "trace forward":    Wording("Forward mode: values and tangents", "Modo directo: valores y tangentes"),
    "trace reverse":    Wording("Reverse mode: values and adjoints", "Modo inverso: valores y adjuntos"),
    "trace forward intro": Wording("Each line carries a dual number {0} + {1} with {2}: its value {0}, and its tangent {3}, the derivative along a parameter.", "Cada línea lleva un número dual {0} + {1} con {2}: su valor {0} y su tangente {3}, la derivada respecto de un parámetro."),
    "trace reverse intro": Wording("The lines are evaluated from top to bottom; then the adjoints {0}, the derivatives of the loss with respect to each line, are found from the last line back to the first.", "Las líneas se evalúan de arriba abajo; después los adjuntos {0}, las derivadas de la pérdida respecto de cada línea, se obtienen de la última línea a la primera."),
    "trace fused":      Wording("Exponentials would overflow at this point: sums of exponentials are computed in one operation.", "Las exponenciales se desbordarían en este punto: las sumas de exponenciales se calculan en una sola operación."),
    "trace columns":    Wording("There are {0} tangents, one for each entry of the parameters; the first {1} are shown.", "Hay {0} tangentes, una por cada componente de los parámetros; se muestran las {1} primeras."),
    "trace evaluate":   Wording("Evaluation:", "Evaluación:"),
    "trace sweep":      Wording("Backward sweep, from {0} on:", "Recorrido hacia atrás, a partir de {0}:"),
    "trace tangents":   Wording("Tangents:", "Tangentes:"),
    "trace result":     Wording("So the gradient is", "Así, el gradiente es"),
    "operation":        Wording("operation", "operación"),
    "value":            Wording("value", "valor"),
    "tangent":          Wording("tangent", "tangente"),
    "adjoint":          Wording("adjoint", "adjunto"),
    # critical points
    "critical title":   Wording("Critical points", "Puntos críticos"),
    "critical gradient": Wording("The gradient vanishes where", "El gradiente se anula donde"),
    "critical second":  Wording("The second derivative is", "La segunda derivada es"),
    "critical Hessian": Wording("The Hessian is", "La matriz hessiana es"),
    "critical table":   Wording("Critical points:", "Puntos críticos:"),
    "critical at":      Wording("At {0}:", "En {0}:"),
    "critical at whole": Wording("At {0}, for every whole number {1}:", "En {0}, para cada número entero {1}:"),
    "critical at wholes": Wording("At {0}, for all whole numbers {1}:", "En {0}, para todos los números enteros {1}:"),
    "critical at any":  Wording("At {0}, for every {1}:", "En {0}, para todo {1}:"),
    "critical where":   Wording("Where {0}:", "Donde {0}:"),
    "provided that":    Wording("provided that {0}", "siempre que {0}"),
    "critical normal":  Wording("This is linear in {0}:", "Esto es lineal en {0}:"),
    "critical sums":    Wording("With the sums taken apart:", "Separando las sumas:"),
    "critical solution": Wording("The solution is", "La solución es"),
    "not known global": Wording("whether it is global is not decided here", "aquí no se decide si es global"),
    "critical rows":    Wording("Here the rows of {0} are the samples.", "Aquí las filas de {0} son las muestras."),
    "critical more":    Wording("The first {0} are worked out.", "Se desarrollan los {0} primeros."),
    "note none":        Wording("The gradient vanishes nowhere: there is no critical point.", "El gradiente no se anula en ningún punto: no hay puntos críticos."),
    "note none kinks":  Wording("There is no point at which the slope is zero or jumps through zero: there is no critical point.", "No hay ningún punto en el que la pendiente sea cero o salte a través de cero: no hay puntos críticos."),
    "note incomplete":  Wording("These need not be all critical points: the equations could not be solved completely.", "Puede haber más puntos críticos: las ecuaciones no se pudieron resolver por completo."),
    "note unsolved":    Wording("The equations could not be solved in closed form. Descend to a critical point numerically, with loss.descend(…).", "Las ecuaciones no se pudieron resolver en forma cerrada. Puede descenderse a un punto crítico numéricamente, con loss.descend(…)."),
    "note inside sums": Wording("The parameters cannot be taken out of the sums, so that there is no closed form. Descend to a critical point numerically, with loss.descend(…).", "Los parámetros no se pueden sacar de las sumas, así que no hay forma cerrada. Puede descenderse a un punto crítico numéricamente, con loss.descend(…)."),
    "note not linear":  Wording("The gradient is not linear in {0}, so that there is no closed form. Descend to a critical point numerically, with loss.descend(…).", "El gradiente no es lineal en {0}, así que no hay forma cerrada. Puede descenderse a un punto crítico numéricamente, con loss.descend(…)."),
    "note kinks":       Wording("Where the loss has kinks could not be worked out, so that no critical points are given.", "No se pudo determinar dónde la pérdida tiene picos, así que no se dan puntos críticos."),
    "note convex":      Wording("As the loss is convex, every critical point is a global minimum.", "Como la pérdida es convexa, todo punto crítico es un mínimo global."),
    "note approximate": Wording("Decimal values were found numerically.", "Los valores decimales se hallaron numéricamente."),
    "kind global minimum": Wording("global minimum", "mínimo global"),
    "kind local minimum": Wording("local minimum", "mínimo local"),
    "kind global maximum": Wording("global maximum", "máximo global"),
    "kind local maximum": Wording("local maximum", "máximo local"),
    "kind saddle":      Wording("saddle point", "punto de silla"),
    "kind inflection":  Wording("saddle point (point of inflection)", "punto de silla (punto de inflexión)"),
    "kind undecided":   Wording("undecided", "sin decidir"),
    "point":            Wording("point", "punto"),
    "kind":             Wording("kind", "tipo"),
    "positive second derivative": Wording("the second derivative, {0}, is positive", "la segunda derivada, {0}, es positiva"),
    "negative second derivative": Wording("the second derivative, {0}, is negative", "la segunda derivada, {0}, es negativa"),
    "zero second derivative": Wording("the second derivative is zero, which decides nothing", "la segunda derivada es cero, lo que no decide nada"),
    "positive Hessian": Wording("the Hessian is positive definite", "la matriz hessiana es definida positiva"),
    "negative Hessian": Wording("the Hessian is negative definite", "la matriz hessiana es definida negativa"),
    "indefinite Hessian": Wording("the Hessian has eigenvalues of both signs", "la matriz hessiana tiene valores propios de ambos signos"),
    "singular Hessian": Wording("the Hessian is singular, which decides nothing by itself", "la matriz hessiana es singular, lo que por sí solo no decide nada"),
    "even order":       Wording("the first term of Taylor's formula that does not vanish is of the even order {0}, with coefficient {1}", "el primer término no nulo de la fórmula de Taylor es de orden par {0}, con coeficiente {1}"),
    "odd order":        Wording("the first term of Taylor's formula that does not vanish is of the odd order {0}, so that there are larger and smaller values nearby", "el primer término no nulo de la fórmula de Taylor es de orden impar {0}, así que cerca hay valores mayores y menores"),
    "even order form":  Wording("the terms of order {0} that remain along the flat directions, {1}, keep their sign", "los términos de orden {0} que quedan en las direcciones planas, {1}, conservan su signo"),
    "odd order form":   Wording("the terms of the odd order {0} along the flat directions, {1}, change their sign", "los términos de orden impar {0} en las direcciones planas, {1}, cambian de signo"),
    "even order saddle form": Wording("the terms of order {0} that remain along the flat directions, {1}, have the other sign than the rest, or both", "los términos de orden {0} que quedan en las direcciones planas, {1}, tienen el signo contrario al resto, o ambos"),
    "depends on sign":  Wording("the sign of the second derivative, {0}, decides: a minimum where it is positive, a maximum where it is negative", "decide el signo de la segunda derivada, {0}: mínimo donde es positiva, máximo donde es negativa"),
    "unknown definiteness": Wording("whether the Hessian is definite depends on the constants", "que la matriz hessiana sea definida depende de las constantes"),
    "convex by rules":  Wording("the loss is convex, being built from convex functions in ways that keep convexity", "la pérdida es convexa, pues se construye con funciones convexas de modos que conservan la convexidad"),
    "concave by rules": Wording("the loss is concave, being built from concave functions in ways that keep concavity", "la pérdida es cóncava, pues se construye con funciones cóncavas de modos que conservan la concavidad"),
    "convex by Hessian": Wording("the loss is convex, as its Hessian is positive semidefinite everywhere", "la pérdida es convexa, pues su matriz hessiana es semidefinida positiva en todas partes"),
    "concave by Hessian": Wording("the loss is concave, as its Hessian is negative semidefinite everywhere", "la pérdida es cóncava, pues su matriz hessiana es semidefinida negativa en todas partes"),
    "global minimum by convexity": Wording("so a critical point is a global minimum", "así que un punto crítico es un mínimo global"),
    "global maximum by concavity": Wording("so a critical point is a global maximum", "así que un punto crítico es un máximo global"),
    "bounded below":    Wording("the loss is nowhere smaller than {0}", "la pérdida no es menor que {0} en ninguna parte"),
    "bounded above":    Wording("the loss is nowhere larger than {0}", "la pérdida no es mayor que {0} en ninguna parte"),
    "lower elsewhere":  Wording("it is not global, as the loss takes the smaller value {0} at another point", "no es global, pues la pérdida toma el valor menor {0} en otro punto"),
    "higher elsewhere": Wording("it is not global, as the loss takes the larger value {0} at another point", "no es global, pues la pérdida toma el valor mayor {0} en otro punto"),
    "unbounded below":  Wording("it is not global, as the loss falls below it towards the ends of its domain", "no es global, pues la pérdida baja más hacia los extremos de su dominio"),
    "unbounded above":  Wording("it is not global, as the loss rises above it towards the ends of its domain", "no es global, pues la pérdida sube más hacia los extremos de su dominio"),
    "ends minimum":     Wording("no other critical value is smaller, nor is a limit at the ends of the domain", "ningún otro valor crítico es menor, ni lo es un límite en los extremos del dominio"),
    "ends maximum":     Wording("no other critical value is larger, nor is a limit at the ends of the domain", "ningún otro valor crítico es mayor, ni lo es un límite en los extremos del dominio"),
    "coercive minimum": Wording("the loss grows beyond all bounds in every direction, and no other critical value is smaller", "la pérdida crece sin límite en todas las direcciones, y ningún otro valor crítico es menor"),
    "coercive maximum": Wording("the loss falls beyond all bounds in every direction, and no other critical value is larger", "la pérdida decrece sin límite en todas las direcciones, y ningún otro valor crítico es mayor"),
    "periodic minimum": Wording("the loss is periodic, and no other critical value is smaller", "la pérdida es periódica, y ningún otro valor crítico es menor"),
    "periodic maximum": Wording("the loss is periodic, and no other critical value is larger", "la pérdida es periódica, y ningún otro valor crítico es mayor"),
    "decays minimum":   Wording("the loss tends to 0 in every direction, and no other critical value is smaller", "la pérdida tiende a 0 en todas las direcciones, y ningún otro valor crítico es menor"),
    "decays maximum":   Wording("the loss tends to 0 in every direction, and no other critical value is larger", "la pérdida tiende a 0 en todas las direcciones, y ningún otro valor crítico es mayor"),
    "kink minimum":     Wording("a kink: the slope jumps from {1} to {2}, from falling to rising", "un pico: la pendiente salta de {1} a {2}, de bajar a subir"),
    "kink maximum":     Wording("a kink: the slope jumps from {1} to {2}, from rising to falling", "un pico: la pendiente salta de {1} a {2}, de subir a bajar"),
    "kink saddle":      Wording("a kink: the slope jumps from {1} to {2}", "un pico: la pendiente salta de {1} a {2}"),
    "kink undecided":   Wording("a kink: the slope jumps from {1} to {2}", "un pico: la pendiente salta de {1} a {2}"),
    "joined":           Wording("two pieces meet at {0} with slope 0", "dos trozos se unen en {0} con pendiente 0"),
    "flat":             Wording("the loss is constant there", "la pérdida es constante ahí"),
    "subgradient zero": Wording("the loss has a kink there, and zero is among its subgradients", "la pérdida tiene un pico ahí, y el cero está entre sus subgradientes"),
    "matrix positive":  Wording("the Hessian {0} is positive definite", "la matriz hessiana {0} es definida positiva"),
    "matrix semipositive": Wording("the Hessian {0} is positive semidefinite", "la matriz hessiana {0} es semidefinida positiva"),
    "matrix unknown":   Wording("it is the global minimum where the Hessian {0} is positive definite", "es el mínimo global donde la matriz hessiana {0} es definida positiva"),
    "matrix sign":      Wording("which it is for {0}", "lo que ocurre si {0}"),
    "full rank":        Wording("the solution is unique if {0} has full column rank; otherwise every solution of the linear equations is a minimum", "la solución es única si {0} tiene rango completo por columnas; si no, toda solución de las ecuaciones lineales es un mínimo"),
    # curvature
    "curvature title":  Wording("Curvature", "Curvatura"),
    "curvature at":     Wording("At {0} the gradient is", "En {0} el gradiente es"),
    "curvature gradient": Wording("The gradient there is", "El gradiente ahí es"),
    "curvature gradient size": Wording("The largest component of the gradient there is {0}.", "La mayor componente del gradiente ahí es {0}."),
    "curvature critical": Wording("It vanishes: this is a critical point.", "Se anula: es un punto crítico."),
    "curvature sloped": Wording("It does not vanish: this is not a critical point, and what follows describes the curvature around it.", "No se anula: no es un punto crítico, y lo que sigue describe la curvatura a su alrededor."),
    "curvature large":  Wording("The Hessian H is a {0}×{1} matrix.", "La matriz hessiana H es de {0}×{1}."),
    "curvature kinks":  Wording("The loss has kinks: the Hessian describes the smooth piece that holds at the point.", "La pérdida tiene picos: la matriz hessiana describe el trozo suave que vale en el punto."),
    "curvature characteristic": Wording("Its characteristic equation is", "Su ecuación característica es"),
    "curvature eigenvalues": Wording("Its eigenvalues are", "Sus valores propios son"),
    "curvature eigenvectors": Wording("with the eigenvectors", "con los vectores propios"),
    "curvature positive definite": Wording("All are positive: the loss curves upwards in every direction, as at a minimum.", "Todos son positivos: la pérdida se curva hacia arriba en todas las direcciones, como en un mínimo."),
    "curvature positive semidefinite": Wording("None is negative, but some are zero: the loss curves upwards or is flat to second order, as along a valley.", "Ninguno es negativo, pero algunos son cero: la pérdida se curva hacia arriba o es plana hasta segundo orden, como en un valle."),
    "curvature indefinite": Wording("They have both signs: the loss curves upwards in some directions and downwards in others, as at a saddle point.", "Tienen ambos signos: la pérdida se curva hacia arriba en unas direcciones y hacia abajo en otras, como en un punto de silla."),
    "curvature negative semidefinite": Wording("None is positive, and some are zero: the loss curves downwards or is flat to second order.", "Ninguno es positivo, y algunos son cero: la pérdida se curva hacia abajo o es plana hasta segundo orden."),
    "curvature negative definite": Wording("All are negative: the loss curves downwards in every direction, as at a maximum.", "Todos son negativos: la pérdida se curva hacia abajo en todas las direcciones, como en un máximo."),
    "curvature zero":   Wording("All are zero: the loss is flat to second order.", "Todos son cero: la pérdida es plana hasta segundo orden."),
    "curvature one positive definite": Wording("It is positive: the loss curves upwards, as at a minimum.", "Es positiva: la pérdida se curva hacia arriba, como en un mínimo."),
    "curvature one negative definite": Wording("It is negative: the loss curves downwards, as at a maximum.", "Es negativa: la pérdida se curva hacia abajo, como en un máximo."),
    "curvature one zero": Wording("It is zero: the loss is flat to second order.", "Es cero: la pérdida es plana hasta segundo orden."),
    "curvature error one": Wording("With λ for the second derivative, a step of gradient descent with the learning rate η multiplies the error by {0}. For it to shrink, the learning rate must satisfy", "Con λ para la segunda derivada, un paso del descenso de gradiente con tasa de aprendizaje η multiplica el error por {0}. Para que disminuya, la tasa de aprendizaje debe cumplir"),
    "curvature optimal one": Wording("The loss is quadratic: one step with this learning rate leads to its minimum:", "La pérdida es cuadrática: un paso con esta tasa de aprendizaje lleva a su mínimo:"),
    "curvature error":  Wording("In a step of gradient descent with the learning rate η, an error along an eigenvector is multiplied by {0}. For it to shrink wherever λ is positive, the learning rate must satisfy", "En un paso del descenso de gradiente con tasa de aprendizaje η, un error a lo largo de un vector propio se multiplica por {0}. Para que disminuya donde λ es positivo, la tasa de aprendizaje debe cumplir"),
    "curvature no bound": Wording("As the loss curves upwards in no direction, the learning rate has no upper bound here; but gradient descent does not settle here either.", "Como la pérdida no se curva hacia arriba en ninguna dirección, aquí la tasa de aprendizaje no tiene cota superior; pero el descenso de gradiente tampoco se detiene aquí."),
    "curvature saddle": Wording("Along eigenvectors with negative λ the error grows with any learning rate: gradient descent leaves this region.", "A lo largo de vectores propios con λ negativo el error crece con cualquier tasa de aprendizaje: el descenso de gradiente abandona esta región."),
    "curvature condition": Wording("The condition number is", "El número de condición es"),
    "curvature flat":   Wording("The condition number is infinite: along the eigenvectors with λ = 0 gradient descent makes no progress to this order.", "El número de condición es infinito: a lo largo de los vectores propios con λ = 0 el descenso de gradiente no avanza hasta este orden."),
    "curvature optimal": Wording("The loss is quadratic, so that this Hessian holds everywhere. The best constant learning rate, and the factor by which the error then shrinks in each step, are", "La pérdida es cuadrática, así que esta matriz hessiana vale en todas partes. La mejor tasa de aprendizaje constante y el factor por el que entonces disminuye el error en cada paso son"),
    "curvature momentum": Wording("With momentum (the heavy ball) the best learning rate, momentum and factor are", "Con momento (bola pesada) la mejor tasa de aprendizaje, el momento y el factor son"),
    "loss":             Wording("loss", "pérdida"),
    "gradient":         Wording("gradient", "gradiente"),
    "update":           Wording("update", "actualización"),
}
# fmt: on


def say(key: str, language: str, *args: Any) -> tuple[Part, ...]:
    """A phrase as text and formulas; ``{0}``, ``{1}`` are replaced by words, formulas, or tuples of these.

    >>> say("worked step", "es", sp.Integer(2))
    ('Paso ', 2)
    """
    template = getattr(PHRASES[key], LANGUAGES[check_language(language)])
    parts: list[Part] = []
    for place, piece in enumerate(re.split(r"\{(\d)\}", template)):
        part = args[int(piece)] if place % 2 else piece
        parts += part if isinstance(part, tuple) else [part] if part != "" else []
    return tuple(parts)


def word(key: str, language: str) -> str:
    """A phrase without formulas."""
    return str(getattr(PHRASES[key], LANGUAGES[check_language(language)]))


def listed(parts: Any, mark: str = ", ") -> tuple[Part, ...]:
    """Formulas or words with a mark between them."""
    found: list[Part] = []
    for part in parts:
        found += [mark, part] if found else [part]
    return tuple(found)


def number(value: Any, digits: int = 6) -> sp.Expr:
    """A number rounded to some significant digits, as a formula shows it: 0.6 and 3.

    >>> float(number(2/3)), number(-6.0)
    (0.666667, -6)
    """
    value = float(value)
    if value != value or value in (float("inf"), -float("inf")):
        return sp.sympify(value)
    rounded = float(f"{value:.{digits}g}")
    if rounded == int(rounded) and abs(rounded) < 10**digits:
        return sp.Integer(int(rounded))
    return sp.Float(rounded)
