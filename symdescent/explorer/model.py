"""What the page knows: formulas, sliders, rules and data as one JSON value; and the loss's functions in JavaScript."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from symdescent.binding import Bound
from symdescent.derivation.page import Block, Chain, Line, Notation
from symdescent.derivation.render import html
from symdescent.derivation.render.mathml import clean
from symdescent.derivation.symbols import LOSS, GradientOf
from symdescent.errors import DataError, SymdescentError
from symdescent.explorer.equations import equations
from symdescent.explorer.sliders import slider
from symdescent.explorer.steps import Step, step
from symdescent.explorer.survey import MOST_NUMBERS, Setting, coordinates
from symdescent.explorer.wording import rule_name, setting_name, texts
from symdescent.export.canonical import Program, Writer
from symdescent.export.javascript import function, helper, runtime
from symdescent.graph import reachable
from symdescent.optimizers import UpdateRule

if TYPE_CHECKING:
    from symdescent.loss import Loss

MOST_STEPS = 5000
_SHORT = 300  # nodes of a loss whose formulas can still be read


def model(
    loss: Loss, setting: Setting, rules: Sequence[UpdateRule], steps: int, language: str
) -> tuple[dict[str, Any], str, str]:
    """The JSON value, the text of the functions, and the formulas of the loss as HTML."""
    made = Writer(loss.statement, None).program(())
    data = _data(made, setting.bound)
    printed = [step(rule) for rule in rules]
    notation = Notation(language=language)
    shown = list(_coordinates(loss, setting, notation))
    alone = loss.parameters[0] if len(shown) == 1 and isinstance(loss.parameters[0], sp.Symbol) else None
    described = {
        "size": len(shown),
        "coordinates": shown,
        "parameters": [{"offset": offset, "shape": list(shape)} for offset, shape in _places(setting.bound)],
        "data": data,
        "rules": [_rule(*pair, alone, notation) for pair in zip(rules, printed, strict=True)],
        "steps": steps,
        "mostSteps": MOST_STEPS,
        "words": texts(language),
        "numbers": sum(_count(value) for value in data if isinstance(value, list)),
        "drawn": setting.drawn,
        "letter": html.formula(LOSS, notation),
    }
    return described, _functions(made, printed), _formulas(loss, notation)


# -- functions --------------------------------------------------------------------------------------------------------


def _functions(made: Program, steps: Sequence[Step]) -> str:
    """The functions of the loss and of the rules' steps."""
    helpers = sorted({*made.helpers, *(name for each in steps for name in each.helpers)})
    parts = [*map(helper, helpers), *map(function, made.functions)]
    listed = ",\n".join("    " + each.text.replace("\n", "\n    ") for each in steps)
    parts.append(f"return {{\n  value,\n  value_and_gradient,\n  steps: [\n{listed}\n  ]\n}};")
    text = "\n\n".join(parts)
    return "\n\n".join([*runtime(text), text])


def _data(made: Program, bound: Bound) -> list[Any]:
    """The arguments after the parameters: numbers, counts and arrays, and lengths that no symbol stands for."""
    known = {**bound.parameters, **bound.data, **bound.extents}
    values = {name: known[thing] for name, thing in made.things.items() if thing in known}
    size = sum(int(np.size(value)) for value in bound.data.values())
    if size > MOST_NUMBERS:
        raise DataError(
            f"the data have {size} numbers, and a page holds at most {MOST_NUMBERS}: give fewer samples, such as "
            "every hundredth, or explore in a notebook with loss.explore(…), where they stay in memory"
        )
    for argument in (*made.parameters, *made.data):
        for axis, length in enumerate(argument.shape):
            if length == f"{argument.name}_{axis}":
                values.setdefault(length, np.shape(values[argument.name])[axis])
    return [_plain(values[argument.name]) for argument in made.data]


def _plain(value: Any) -> Any:
    """Numbers as JSON has them; those that are not finite as texts, which JavaScript reads."""
    if isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value):
        return [_plain(each) for each in np.asarray(value).tolist()]
    if isinstance(value, (int, np.integer)):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else str(number).replace("inf", "Infinity").replace("nan", "NaN")


def _count(value: Any) -> int:
    return sum(map(_count, value)) if isinstance(value, list) else 1


# -- coordinates and rules --------------------------------------------------------------------------------------------


def _places(bound: Bound) -> Iterator[tuple[int, tuple[int, ...]]]:
    offset = 0
    for value in bound.parameters.values():
        yield offset, np.shape(value)
        offset += int(np.size(value))


def _coordinates(loss: Loss, setting: Setting, notation: Notation) -> Iterator[dict[str, Any]]:
    """Each entry of the parameters: its name, its formula, where it starts and what range is shown."""
    for place, (name, symbol) in enumerate(coordinates(loss.statement, setting.bound)):
        yield {
            "name": name,
            "math": html.formula(symbol, notation),
            "derivative": html.formula(GradientOf(LOSS, symbol), notation),
            "start": float(setting.point[place]),
            "low": float(setting.low[place]),
            "high": float(setting.high[place]),
        }


def _rule(rule: UpdateRule, made: Step, alone: Any, notation: Notation) -> dict[str, Any]:
    language = notation.language
    states = {each.symbol: each.initial for each in rule.program.states}
    settings = [
        {
            "name": each.name,
            "identifier": made.settings[each.name],
            "label": setting_name(each.name, language),
            "math": html.formula(each.symbol, notation),
            **slider(each),
        }
        for each in rule.program.numbers
    ]
    return {
        "name": rule_name(rule, language),
        "settings": settings,
        "states": [_plain(states[symbol]) for symbol in made.states],
        "shared": [_plain(states[symbol]) for symbol in made.shared],
        "notes": len(made.notes),
        "equations": equations(rule, made, alone, notation),
        "reference": rule.reference,
    }


# -- formulas ---------------------------------------------------------------------------------------------------------


def _formulas(loss: Loss, notation: Notation) -> str:
    """The loss and its gradient, and how it is derived; nothing where nobody could read it."""
    if sum(1 for _ in reachable([loss.statement.root])) > _SHORT:
        return ""
    try:
        derivation = loss.derivation(detail="normal", language=notation.language)
    except (SymdescentError, RecursionError):
        return html.blocks([Chain((Line(loss.expression, LOSS),))], notation)
    first = Line(derivation.statement[1], derivation.statement[0])
    results = [Line(section.result, section.left) for section in derivation.sections]
    blocks: list[Block] = [Chain((first, *results))]
    heading = clean(texts(notation.language)["derivation"])
    inside = html.blocks(derivation.page(notation.language), notation)
    return f"{html.blocks(blocks, notation)}\n<details>\n<summary>{heading}</summary>\n{inside}\n</details>"


__all__ = ["MOST_STEPS", "model"]
