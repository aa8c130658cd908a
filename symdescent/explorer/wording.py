"""What the explorer says, in each language: ``{0}``, ``{1}`` mark where numbers and names go."""

# ruff: noqa: E501 (one text, one line)

from __future__ import annotations

from symdescent.derivation.wording import LANGUAGES, Wording, check_language
from symdescent.optimizers import UpdateRule
from symdescent.study.phrases import PHRASES, word

# fmt: off
TEXTS: dict[str, Wording] = {
    "title":        Wording("Gradient descent explorer", "Explorador del descenso de gradiente"),
    "optimizer":    Wording("Optimizer", "Optimizador"),
    "compare":      Wording("Compare with", "Comparar con"),
    "start":        Wording("Start", "Inicio"),
    "settings":     Wording("Settings of the optimizer", "Ajustes del optimizador"),
    "iterations":   Wording("Iterations", "Iteraciones"),
    "learning_rate": Wording("learning rate", "tasa de aprendizaje"),
    "momentum":     Wording("momentum", "momento"),
    "weight_decay": Wording("weight decay", "decaimiento de pesos"),
    "step":         Wording("Step", "Paso"),
    "play":         Wording("Play", "Reproducir"),
    "pause":        Wording("Pause", "Pausar"),
    "first":        Wording("First step", "Primer paso"),
    "previous":     Wording("Previous step", "Paso anterior"),
    "next":         Wording("Next step", "Paso siguiente"),
    "last":         Wording("Last step", "Último paso"),
    "reset":        Wording("Reset", "Restablecer"),
    "theme":        Wording("Light / dark", "Claro / oscuro"),
    "curve":        Wording("The loss and the path", "La pérdida y el camino"),
    "contours":     Wording("Contours of the loss and the path", "Curvas de nivel de la pérdida y el camino"),
    "slice":        Wording("Slice of the loss through the current point", "Sección de la pérdida por el punto actual"),
    "slice note":   Wording("The other {0} coordinates stay where they are in step {1}; the path is seen from above.", "Las otras {0} coordenadas quedan como están en el paso {1}; el camino se ve desde arriba."),
    "click":        Wording("Click in the picture to start there.", "Haga clic en la figura para empezar ahí."),
    "horizontal":   Wording("horizontal axis", "eje horizontal"),
    "vertical":     Wording("vertical axis", "eje vertical"),
    "cost":         Wording("Loss in each step", "Pérdida en cada paso"),
    "loss":         Wording("loss", "pérdida"),
    "step axis":    Wording("step", "paso"),
    "worked":       Wording("The current step with its numbers", "El paso actual con sus números"),
    "coordinate":   Wording("for the coordinate", "para la coordenada"),
    "worked intro": Wording("From step {0} to step {1}:", "Del paso {0} al paso {1}:"),
    "worked end":   Wording("The path ends here: there is no further step.", "El camino termina aquí: no hay más pasos."),
    "rule of":      Wording("One step of {0}", "Un paso de {0}"),
    "gradient":     Wording("The loss and its gradient", "La pérdida y su gradiente"),
    "derivation":   Wording("How the gradient is derived", "Cómo se deduce el gradiente"),
    "example data": Wording("No data were given: this is a small random example, made for the page.", "No se dieron datos: este es un pequeño ejemplo aleatorio, creado para la página."),
    "samples":      Wording("The page holds its data ({0} numbers) and needs no network.", "La página contiene sus datos ({0} números) y no necesita red."),
    "after":        Wording("{0}: after {1} steps the loss is {2}, the largest component of the gradient {3}.", "{0}: tras {1} pasos la pérdida es {2}, y la mayor componente del gradiente {3}."),
    "diverged":     Wording("{0} diverged at step {1}: the loss grew past 10¹⁰ times its first value. Try a smaller learning rate.", "{0} divergió en el paso {1}: la pérdida superó 10¹⁰ veces su primer valor. Pruebe una tasa de aprendizaje menor."),
    "fell":         Wording("{0} stopped at step {1}: the loss fell below −10¹⁰ times its first size, and seems to have no minimum.", "{0} se detuvo en el paso {1}: la pérdida bajó de −10¹⁰ veces su primer tamaño, y parece no tener mínimo."),
    "not finite":   Wording("{0} diverged at step {1}: the loss or its gradient is not a finite number there. Try a smaller learning rate, or another start.", "{0} divergió en el paso {1}: la pérdida o su gradiente no es ahí un número finito. Pruebe una tasa de aprendizaje menor, u otro inicio."),
    "no start":     Wording("The loss or its gradient is not a finite number at this start. Choose another one.", "La pérdida o su gradiente no es un número finito en este inicio. Elija otro."),
    "no numbers":   Wording("The loss is not finite anywhere in this picture.", "La pérdida no es finita en ningún punto de esta figura."),
    "outside":      Wording("The path leaves the picture.", "El camino sale de la figura."),
    "at step":      Wording("step {0}: loss {1}", "paso {0}: pérdida {1}"),
    "marks":        Wording("Ring: start. Disc: current step. Square: end.", "Anillo: inicio. Disco: paso actual. Cuadrado: final."),
    "marks curve":  Wording("Line: tangent.", "Recta: tangente."),
    "marks contours": Wording("Arrow: against the gradient.", "Flecha: contra el gradiente."),
    "no script":    Wording("This page needs JavaScript, which it carries with it.", "Esta página necesita JavaScript, que lleva consigo."),
    "made":         Wording("Made with symdescent; every formula and every number comes from the same statement.", "Hecho con symdescent; todas las fórmulas y los números provienen del mismo enunciado."),
}
# fmt: on


def texts(language: str) -> dict[str, str]:
    """All texts in a language."""
    field = LANGUAGES[check_language(language)]
    return {key: getattr(wording, field) for key, wording in TEXTS.items()}


def rule_name(rule: UpdateRule, language: str) -> str:
    """The name of a rule, translated where it is not a proper name."""
    known = f"rule {rule.name}"
    return word(known, language) if known in PHRASES else rule.name


def setting_name(name: str, language: str) -> str:
    """The name of a hyperparameter in words."""
    return texts(language)[name] if name in TEXTS else name.replace("_", " ")


__all__ = ["TEXTS", "rule_name", "setting_name", "texts"]
