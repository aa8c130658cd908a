"""The reference: nothing public is left out, undescribed, or without an example that runs as a doctest."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

import symdescent

PAGES = Path(__file__).parent.parent / "docs" / "reference"
# what users import from, beside the package itself
MODULES = ("optimizers", *symdescent._MODULES.values())
DIRECTIVE = re.compile(
    r"^\.\. (autoclass|autofunction|automodule|autodata|currentmodule):: ([\w.]+).*((?:\n   .*)*)", re.M
)


def shown_on(page: str) -> Iterator[tuple[str, Any]]:
    """What the directives of a page show: names and objects."""
    current = "symdescent"
    for directive, name, options in DIRECTIVE.findall(page):
        if directive == "currentmodule":
            current = name
        elif directive == "automodule":
            module = importlib.import_module(name)
            everything = [each for each, value in vars(module).items() if own(value, module)]
            for each in getattr(module, "__all__", everything) if ":members:" in options else ():
                yield f"{name}.{each}", getattr(module, each)
        else:
            path = name if name.startswith("symdescent.") else f"{current}.{name}"
            home, _, short = path.rpartition(".")
            value = getattr(importlib.import_module(home), short)
            yield path, value
            if ":members:" in options:
                excluded = re.findall(r":exclude-members:(.*)", options)
                hidden = {"page", "title", *re.findall(r"\w+", "".join(excluded))}  # two of them by docs/conf.py
                for each, member in vars(value).items():
                    if not each.startswith("_") and each not in hidden:
                        yield f"{path}.{each}", member


def own(value: Any, module: Any) -> bool:
    return inspect.isclass(value) and value.__module__ == module.__name__


DOCUMENTED = {
    name: value for page in sorted(PAGES.glob("*.md")) for name, value in shown_on(page.read_text(encoding="utf-8"))
}
SHOWN = list(DOCUMENTED.values())


def function_of(value: Any) -> Any:
    """What carries the docstring."""
    if isinstance(value, property):
        return value.fget
    if isinstance(value, (classmethod, staticmethod)):
        return value.__func__
    return value.func if isinstance(value, cached_property) else value


def public() -> Iterator[tuple[str, Any]]:
    """Every public name of the package and of its public modules."""
    for module in ("", *MODULES):
        home = importlib.import_module(f"symdescent.{module}".rstrip("."))
        for name in home.__all__:
            yield f"{home.__name__}.{name}", getattr(home, name)


PUBLIC = dict(public())


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_in_the_reference(name):
    # a new optimizer that nobody finds
    value = PUBLIC[name]
    if inspect.ismodule(value):
        assert any(shown.startswith(f"{value.__name__}.") for shown in DOCUMENTED)
    elif inspect.isclass(value) or inspect.isfunction(value):
        assert any(value is shown for shown in SHOWN), f"{name} is on no page of docs/reference"
    else:  # symbols and ranges have no docstring of their own: a page names them
        text = "".join(page.read_text(encoding="utf-8") for page in PAGES.glob("*.md"))
        described = text + str(importlib.import_module("symdescent.optimizers.symbols").__doc__)
        assert re.search(rf"\b{name.rpartition('.')[2]}\b", described), f"no page names {name}"


def test_what_public_methods_return_is_in_the_reference():
    # a result whose fields are nowhere described: `loss.critical_points()` gives a CriticalPoints
    classes: dict[str, list[Any]] = {}
    for found in pkgutil.walk_packages(symdescent.__path__, "symdescent."):
        if not found.name.endswith("__main__"):
            module = importlib.import_module(found.name)
            for each, value in vars(module).items():
                if own(value, module):
                    classes.setdefault(each, []).append(value)
    for name, value in DOCUMENTED.items():
        returned = str(getattr(function_of(value), "__annotations__", {}).get("return", ""))
        for word in re.findall(r"\w+", returned):
            if word in classes and not word.startswith("_"):
                assert any(each in SHOWN for each in classes[word]), (
                    f"{name} returns {word}, which is on no page of docs/reference"
                )


def described(name: str, value: Any) -> bool:
    """Whether autodoc shows it: functions, classes, and methods and properties of classes."""
    function = function_of(value)
    return inspect.isfunction(function) or inspect.isclass(function)


@pytest.mark.parametrize("name", [name for name, value in DOCUMENTED.items() if described(name, value)])
def test_what_is_in_the_reference_is_described_and_shown_by_example(name):
    # a name without a word, or with words that nobody ever ran
    value = DOCUMENTED[name]
    text = function_of(value).__doc__ or ""
    assert text.strip(), f"{name} has no docstring"
    assert not re.search(r"^\w+\(.*\)$", text.split("\n")[0]), f"{name} has the docstring that dataclass makes"
    if inspect.isclass(value) or inspect.isfunction(value):
        assert ">>>" in text, f"{name} has no example"  # a property is shown by the example of its class
