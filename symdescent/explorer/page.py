"""`explore_html`: a page for the browser, in one file, that needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdescent.derivation.render.html import STYLE
from symdescent.derivation.render.mathml import clean
from symdescent.derivation.wording import check_language
from symdescent.explorer.model import MOST_STEPS, model
from symdescent.explorer.survey import optimizers as chosen
from symdescent.explorer.survey import setting
from symdescent.explorer.wording import texts
from symdescent.optimizers.numbers import whole

if TYPE_CHECKING:
    from symdescent.loss import Loss

_SCRIPTS = ("numbers.js", "run.js", "pictures.js", "landscape.js", "controls.js", "showing.js", "explorer.js")


def explore_html(
    loss: Loss, path: str | Path, start: Any = None, data: Any = None, optimizers: Any = None, **options: Any
) -> Path:
    r"""Write a page in which the descent can be explored in a browser, and return its path. See `page`.

    Raises `StatementError` where an optimizer is no update rule, and `DataError` where the data do not fit, are more
    than a page holds, or the loss is not finite at the start.

    >>> import tempfile, sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     written = explore_html(sd.Loss((w - 3)**2, w), f"{directory}/page.html", start=0)
    ...     "<canvas" in written.read_text(encoding="utf-8")
    True
    """
    path = Path(path)
    text = page(loss, start, data, optimizers, **options)
    path.write_text(text, encoding="utf-8")
    return path


def page(
    loss: Loss,
    start: Any = None,
    data: Any = None,
    optimizers: Any = None,
    *,
    ranges: Mapping[Any, Any] | None = None,
    steps: int = 50,
    language: str = "en",
) -> str:
    r"""The text of the page: sliders for the start, the optimizer's settings and the steps; path, cost and numbers.

    Parameters
    ----------
    start, data
        as in `Loss.descend`. Without a start a simple point is taken; without data that the loss needs, a small random
        example, and the page says so
    optimizers
        the update rules to choose from; without them, the family with learning rates that fit the loss
    ranges
        what is shown of a parameter: ``{"w": (-1, 5)}``; chosen around a descent where nothing is said
    steps
        how many steps are made at first
    language
        ``"en"`` or ``"es"``

    The numbers come from the JavaScript that `Loss.code` writes for the same loss and the same rules.

    >>> import sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> text = page(sd.Loss((w - 3)**2, w), start=0.0)
    >>> text.startswith("<!DOCTYPE html>"), "src=" in text
    (True, False)
    """
    words = texts(check_language(language))
    steps = min(whole("steps", steps, 1), MOST_STEPS)
    found = setting(loss.compile(), start, data, ranges)
    rules = chosen(optimizers, found.rate, found.reach)
    described, functions, formulas = model(loss, found, rules, steps, language)
    scripts = "\n".join(map(_file, _SCRIPTS))
    script = f'(() => {{\n"use strict";\nconst generated = (() => {{\n{functions}\n}})();\n\n{scripts}\n}})();'
    style = STYLE + _file("page.css")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "language": language,
        "policy": policy,
        "title": clean(words["title"]),
        "style": style,
        "formulas": formulas,
        "model": _embedded(described),
        "script": script,
        **{f"word {key}": clean(text) for key, text in words.items()},
    }
    return re.sub(r"\{\{([\w ]+)\}\}", lambda found: parts[found[1]], _file("page.html"))


@cache
def _file(name: str) -> str:
    """A part of the page."""
    return (files("symdescent.explorer") / "page" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """How the page's policy names a script or a style that may be used: no other one is."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _embedded(value: Any) -> str:
    """JSON that cannot end the element that it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


__all__ = ["explore_html", "page"]
