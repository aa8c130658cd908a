"""Optimizers by name, with the hyperparameters that their own signatures tell: none is listed here."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from symdescent.cli.expressions import Vocabulary, read
from symdescent.cli.values import number
from symdescent.errors import StatementError
from symdescent.optimizers import OTHERS, SEARCHES, first_order

_OWN = ("seed",)  # an option of the whole command


@dataclass(frozen=True, slots=True)
class Choice:
    """An optimizer that can be chosen: its maker, and what can be said of it with their defaults."""

    name: str
    make: Callable[..., Any]
    hyperparameters: Mapping[str, inspect.Parameter]

    @property
    def usage(self) -> str:
        """The options that it takes, with their defaults."""
        return " ".join(self._shown(each) for name, each in self.hyperparameters.items() if name not in _OWN)

    def _shown(self, each: inspect.Parameter) -> str:
        if isinstance(each.default, bool):
            return f"[{option(each.name, not each.default)}]"
        default = each.default
        if default is None:  # it depends on the flavor, of which the first is the default
            default = first_order.DEFAULTS[self.name][0].get(each.name)
        shown = default if isinstance(default, (int, float, str)) else type(default).__name__
        return f"{option(each.name)}{'' if default is inspect.Parameter.empty else f' {shown}'}"


def _choices() -> dict[str, Choice]:
    makers = {
        name: maker
        for name, maker in vars(first_order).items()
        if inspect.isfunction(maker) and maker.__module__ == first_order.__name__ and not name.startswith("_")
    }
    return {name: Choice(name, maker, inspect.signature(maker).parameters) for name, maker in (makers | OTHERS).items()}


CHOICES = _choices()


def option(name: str, value: bool = True) -> str:
    """The option of a hyperparameter: ``learning_rate`` is ``--learning-rate``."""
    return f"--{'' if value else 'no-'}{name.replace('_', '-')}"


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def chosen(name: str) -> Choice:
    """The optimizer of a name, in whatever case: ``nelder-mead`` is NelderMead."""
    for choice in CHOICES.values():
        if _plain(choice.name) == _plain(name):
            return choice
    raise StatementError(f"--optimizer {name[:40]!r} is not one of {', '.join(CHOICES)}")


def add_arguments(group: Any) -> None:
    """Add an option for every hyperparameter of every optimizer."""
    takers: dict[str, list[Choice]] = {}
    for choice in CHOICES.values():
        for name in choice.hyperparameters:
            if name not in _OWN:
                takers.setdefault(name, []).append(choice)
    for name, choices in takers.items():
        default = choices[0].hyperparameters[name].default
        of = ", ".join(choice.name for choice in choices)
        if isinstance(default, bool):
            group.add_argument(option(name), action=argparse.BooleanOptionalAction, default=None, help=f"of {of}")
        else:
            group.add_argument(option(name), metavar="VALUE", help=f"of {of}")


def summary() -> str:
    """All optimizers with their options and defaults."""
    width = max(map(len, CHOICES))
    return "\n".join(f"  {choice.name:{width}}  {choice.usage}" for choice in CHOICES.values())


def optimizer(arguments: argparse.Namespace) -> Any:
    """The optimizer that was asked for, or None; `StatementError` for options that it does not take."""
    given = {
        name: getattr(arguments, name)
        for choice in CHOICES.values()
        for name in choice.hyperparameters
        if name not in _OWN and getattr(arguments, name, None) is not None
    }
    if arguments.optimizer is None and not given:
        return None
    choice = chosen(arguments.optimizer or "GradientDescent")
    for name in given:
        if name not in choice.hyperparameters:
            said = "the default optimizer, GradientDescent," if arguments.optimizer is None else choice.name
            raise StatementError(f"{said} takes no {option(name)}: its options are {choice.usage}")
    for name, each in choice.hyperparameters.items():
        if each.default is inspect.Parameter.empty and name not in given:
            raise StatementError(
                f"{choice.name} has no default for {option(name)}: give one, such as {option(name)} 0.1"
            )
    values = {name: _value(name, value, choice.hyperparameters[name]) for name, value in given.items()}
    if "seed" in choice.hyperparameters and getattr(arguments, "seed", None) is not None:
        values["seed"] = arguments.seed
    return choice.make(**values)


def _value(name: str, text: Any, parameter: inspect.Parameter) -> Any:
    """A number; for learning rates also a line search, or a schedule in the number t of the step."""
    if isinstance(text, bool) or isinstance(parameter.default, str):
        return text
    if name != "learning_rate":
        return number(text, option(name))
    for search, make in SEARCHES.items():
        if _plain(search) == _plain(text):
            return make()
    rate = read(text, Vocabulary(), option(name))
    return rate if rate.free_symbols else float(rate)
