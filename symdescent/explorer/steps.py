"""One step of an update rule in JavaScript, which leaves behind everything that it computed on the way.

The step is printed as for every other target, for one flat array of coordinates. What it assigns besides the parameter
and its states (abbreviations, sums over coordinates) goes into further arguments and results, so that the page can show
the numbers of any step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from symdescent.codegen.names import Names
from symdescent.codegen.update import Place, UpdateWriter
from symdescent.export.canonical import ARRAY, COUNT, NUMBER, Argument, Function, plain_name
from symdescent.export.javascript import function
from symdescent.export.javascript_expressions import js_name
from symdescent.optimizers import Norm, Total, UpdateRule
from symdescent.optimizers.symbols import written_out

_SIZE, _THETA, _G = "size", "theta", "g"


@dataclass(frozen=True, slots=True)
class Step:
    """A step in JavaScript.

    `text` is an expression: a function of the settings, which makes the function of a step. Its arguments are theta and
    g, the arrays `states` and `notes`, the numbers `shared`, then size, t and loss; it changes the arrays and returns
    the numbers `shared` and `made`. `settings` gives the identifier of each hyperparameter that is a number.
    """

    text: str
    settings: Mapping[str, str]
    states: tuple[sp.Symbol, ...]
    notes: tuple[sp.Symbol, ...]
    shared: tuple[sp.Symbol, ...]
    made: tuple[sp.Expr, ...]
    helpers: frozenset[str]


def step(rule: UpdateRule) -> Step:
    """The step of a rule."""
    return _Writer(rule).step()


class _Noting(UpdateWriter):
    """Remembers under which identifier everything was computed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.found: dict[sp.Expr, str] = {}
        super().__init__(*args, **options)

    def _assign(self, names: dict[sp.Symbol, str], symbol: sp.Symbol, expression: sp.Expr) -> str:
        line = super()._assign(names, symbol, expression)
        self.found[symbol] = names[symbol]
        return line

    def _total(self, name: str, term: sp.Expr) -> Iterator[str]:
        self.found[Total(term)] = name
        return super()._total(name, term)


class _Writer:
    def __init__(self, rule: UpdateRule) -> None:
        self.rule, self.program = rule, rule.program
        self.names = Names()
        self.names.reserve((_SIZE, _THETA, _G, "t", "loss", "new", "q", "step"))
        outside = {rule.step_number: "float(t)", rule.loss: "loss", rule.epoch_steps: "1.0"}
        place = Place(rule.parameter, _THETA, _G, 1, (_SIZE,))
        self.update = _Noting(rule, [place], self.names, outside, nested=True)
        self.place = place

    def step(self) -> Step:
        """Print the step."""
        update, rule = self.update, self.rule
        lines: list[str] = []
        noted: dict[sp.Symbol, str] = {}
        for phase in self.program.phases:
            if phase.scalar:
                lines += update.scalars(phase)
                continue
            written = update.array_parameter(self.place, phase)
            own = {symbol: update.found[symbol] for symbol, _ in phase.assignments if self._is_abbreviation(symbol)}
            noted |= own
            lines += list(self._noting(written, own))
        arrays = {symbol: name.removesuffix("[q]") for symbol, name in noted.items()}
        arrays |= {symbol: f"noted_{name}" for symbol, name in noted.items() if not name.endswith("[q]")}
        states = {each.symbol: update.states[rule.parameter, each.symbol] for each in self.program.state}
        shared = {each.symbol: update.shared[each.symbol] for each in self.program.scalar_state}
        made = {thing: name for thing, name in update.found.items() if thing not in {*noted, *states, *shared}}
        made.pop(rule.parameter, None)
        arguments = [Argument(name, ARRAY, (_SIZE,)) for name in (_THETA, _G, *states.values(), *arrays.values())]
        arguments += [Argument(name, NUMBER) for name in shared.values()]
        arguments += [Argument(_SIZE, COUNT), Argument("t", COUNT), Argument("loss", NUMBER)]
        results = (*shared.values(), *made.values())
        settings = {each.name: update.shared[each.symbol] for each in self.program.numbers}
        said = f"One step of {plain_name(rule)}."
        # two results at least, so that always an array is returned
        padded = (*results, *("size",) * max(0, 2 - len(results)))
        text = function(Function("step", tuple(arguments), padded, said, tuple(lines)))
        return Step(
            _factory(settings, text),
            {name: js_name(identifier) for name, identifier in settings.items()},
            tuple(states),
            tuple(arrays),
            tuple(shared),
            tuple(made),
            frozenset(update.helpers),
        )

    def _is_abbreviation(self, symbol: sp.Symbol) -> bool:
        known = {self.rule.parameter, *(each.symbol for each in self.program.states)}
        return symbol not in known

    def _noting(self, lines: Sequence[str], own: Mapping[sp.Symbol, str]) -> Iterator[str]:
        """The statements, and after each assignment of an abbreviation one that notes it."""
        local = {name for name in own.values() if not name.endswith("[q]")}
        for line in lines:
            yield line
            found = re.match(r"(\s*)(\w+) = ", line)
            if found and found[2] in local:
                yield f"{found[1]}noted_{found[2]}[q] = {found[2]}"


def _factory(settings: Mapping[str, str], text: str) -> str:
    """The function of the settings."""
    given = ", ".join(map(js_name, settings.values()))
    body = "".join(f"  {line}\n" for line in text.split("\n"))
    return f"({{ {given} }}) => {{\n{body}  return step;\n}}" if given else f"() => {{\n{body}  return step;\n}}"


def place_of(formula: sp.Expr, step: Step, rule: UpdateRule, assigned: set[sp.Symbol]) -> list[Any]:
    """Where the page finds the number of a symbol or sum in a step: see ``numberAt`` in run.js."""
    new = formula in assigned
    if formula == rule.parameter:
        return ["theta", new]
    plain = {rule.gradient: "g", rule.step_number: "t", rule.loss: "loss", rule.epoch_steps: "one"}
    if formula in plain:
        return [plain[formula]]
    if isinstance(formula, Norm):
        return ["root", step.made.index(Total(written_out(formula.args[0]) ** 2))]
    if isinstance(formula, Total):
        formula = written_out(formula)
    for kind, things in (("state", step.states), ("shared", step.shared)):
        if formula in things:
            return [kind, things.index(formula), new]
    for kind, things in (("note", step.notes), ("made", step.made)):
        if formula in things:
            return [kind, things.index(formula)]
    return ["setting", next(each.name for each in rule.program.numbers if each.symbol == formula)]


__all__ = ["Step", "place_of", "step"]
