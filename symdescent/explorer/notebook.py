"""`explore`: a descent with sliders in a notebook; every number comes from a compiled descent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symdescent.derivation.page import Notation
from symdescent.derivation.render import html
from symdescent.derivation.render.mathml import clean
from symdescent.derivation.wording import check_language
from symdescent.errors import SymdescentError, UnsupportedError
from symdescent.explorer.drawing import draw, png
from symdescent.explorer.sliders import slider
from symdescent.explorer.survey import Setting, coordinates, flattened, setting
from symdescent.explorer.survey import optimizers as chosen
from symdescent.explorer.wording import rule_name, setting_name, texts
from symdescent.optimizers import UpdateRule
from symdescent.optimizers.numbers import whole
from symdescent.study.worked import MOST, step_blocks

if TYPE_CHECKING:
    from symdescent.descent import Descent
    from symdescent.loss import Loss

_MOST_SLIDERS = 8


def explore(
    loss: Loss,
    start: Any = None,
    data: Any = None,
    optimizers: Any = None,
    *,
    ranges: Mapping[Any, Any] | None = None,
    steps: int = 50,
    language: str = "en",
) -> Explorer:
    r"""Show sliders for the start, the optimizer's settings and the steps, with path, losses and the step's numbers.

    The arguments are those of `symdescent.explorer.page.page`, which makes a page that needs no Python. Raises
    `UnsupportedError` where ipywidgets is missing (``pip install "symdescent[notebook]"``), else as that function.

    >>> import sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> explorer = explore(sd.Loss((w - 3)**2, w), start=0, optimizers=sd.GradientDescent(0.1), steps=5)
    >>> explorer.controls["learning_rate"].value = 0.5
    >>> explorer.descent.params["w"]
    3.0
    """
    words = texts(check_language(language))
    steps = min(whole("steps", steps, 1), MOST)
    found = setting(loss.compile(), start, data, ranges)
    rules = chosen(optimizers, found.rate, found.reach)
    return Explorer(loss, found, rules, steps, words, language)


class Explorer:
    """Sliders in a notebook, and what follows from them.

    ``widget`` is shown; ``controls`` holds the sliders by name: ``"optimizer"``, ``"iterations"``, ``"step"``, the
    optimizer's settings such as ``"learning_rate"``, and ``"start w"`` for each coordinate. ``descent`` is the last
    `Descent`, ``figure`` its picture.

    >>> import sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> explorer = sd.Loss((w - 3)**2, w).explore(start=0.0, optimizers=sd.GradientDescent(0.1))
    >>> explorer.controls["iterations"].value = 2
    >>> explorer.descent.nit
    2
    """

    descent: Descent
    figure: Any

    def __init__(
        self,
        loss: Loss,
        found: Setting,
        rules: Sequence[UpdateRule],
        steps: int,
        words: dict[str, str],
        language: str,
    ) -> None:
        self._widgets = _ipywidgets()
        self._loss, self._setting, self._rules, self._words, self._language = loss, found, rules, words, language
        self._flat = flattened(loss.compile(), found.bound)
        self._names = [name for name, _ in coordinates(loss.statement, found.bound)]
        self._axes = list(range(min(2, len(self._names))))
        self._point = np.array(found.point)
        self._quiet = False
        self.controls: dict[str, Any] = {}
        self.widget = self._built(steps)
        self._descend()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)

    # -- controls -------------------------------------------------------------------------------------------------

    def _built(self, steps: int) -> Any:
        w, words = self._widgets, self._words
        names = [rule_name(rule, self._language) for rule in self._rules]
        options = [(name, place) for place, name in enumerate(names)]
        self.controls["optimizer"] = w.Dropdown(options=options, value=0, description=words["optimizer"])
        self.controls["iterations"] = w.IntSlider(
            steps, 1, max(200, steps), description=words["iterations"], continuous_update=False
        )
        self.controls["step"] = w.IntSlider(0, 0, steps, description=words["step"])
        play = w.Play(interval=300, min=0, max=steps)
        w.jslink((play, "value"), (self.controls["step"], "value"))
        w.jslink((self.controls["step"], "max"), (play, "max"))
        self._own = w.VBox()
        self._picture, self._status, self._numbers = w.Image(format="png"), w.HTML(), w.HTML()
        starts = [self._start_slider(place) for place in self._shown()]
        self._fill_settings()
        self.controls["optimizer"].observe(self._choose, "value")
        self.controls["iterations"].observe(lambda _: self._descend(), "value")
        self.controls["step"].observe(lambda _: self._show(), "value")
        note = [w.HTML(f"<p>{clean(words['example data'])}</p>")] if self._setting.drawn else []
        left = w.VBox([self.controls["optimizer"], self._own, *starts, self.controls["iterations"], *note])
        right = w.VBox([self._status, self._picture, w.HBox([play, self.controls["step"]]), self._numbers])
        return w.HBox([left, right], layout=w.Layout(flex_flow="row wrap"))

    def _shown(self) -> list[int]:
        """The coordinates whose start has a slider."""
        return list(range(len(self._names))) if len(self._names) <= _MOST_SLIDERS else self._axes

    def _start_slider(self, place: int) -> Any:
        low, high = float(self._setting.low[place]), float(self._setting.high[place])
        value = float(self._point[place])
        made = self._widgets.FloatSlider(
            value,
            min=min(low, value),
            max=max(high, value),
            step=(high - low) / 500,
            readout_format=".4g",
            description=f"{self._names[place]}₀",
        )

        def moved(change: Any) -> None:
            self._point[place] = change["new"]
            self._descend()

        made.observe(moved, "value")
        self.controls[f"start {self._names[place]}"] = made
        return made

    def _fill_settings(self) -> None:
        """The sliders of the chosen rule's hyperparameters."""
        rule = self._rules[self.controls["optimizer"].value]
        for name in getattr(self, "_setting_names", ()):
            self.controls.pop(name, None)
        made = {each.name: self._setting_slider(each) for each in rule.program.numbers}
        self._setting_names = list(made)
        self._rule = rule
        self.controls |= made
        self._own.children = tuple(made.values())

    def _setting_slider(self, each: Any) -> Any:
        w, spec = self._widgets, slider(each)
        label = f"{setting_name(each.name, self._language)}"
        if spec["scale"] == "log":
            made = w.FloatLogSlider(
                spec["value"], min=np.log10(spec["first"]), max=np.log10(spec["last"]), description=label,
                readout_format=".3g",
            )  # fmt: skip
        else:
            made = w.FloatSlider(
                spec["value"], min=spec["first"], max=spec["last"], step=(spec["last"] - spec["first"]) / 1000,
                description=label, readout_format=".4g",
            )  # fmt: skip
        made.observe(lambda _: self._descend(), "value")
        return made

    def _choose(self, change: Any) -> None:
        self._fill_settings()
        self._descend()

    # -- what follows ---------------------------------------------------------------------------------------------

    def _descend(self) -> None:
        """Descend with what is chosen, and show it."""
        values = {name: self.controls[name].value for name in self._setting_names}
        try:
            rule = self._rule.with_(**values) if values else self._rule
            start = self._unflattened()
            given = {**self._setting.bound.data, **self._setting.bound.extents} or None
            steps = self.controls["iterations"].value
            self.descent = self._loss.descend(start, given, rule, steps=steps, gtol=0)
        except SymdescentError as error:
            self._status.value = f"<p><b>{clean(str(error))}</b></p>"
            return
        self._quiet = True
        step = self.controls["step"]
        step.max = max(1, self.descent.nit)
        step.value = min(step.value, self.descent.nit)
        self._quiet = False
        self._show()

    def _unflattened(self) -> dict[Any, Any]:
        found, place = {}, 0
        for parameter, value in self._setting.bound.parameters.items():
            size = int(np.size(value))
            part = self._point[place : place + size]
            found[parameter] = part.reshape(np.shape(value)) if np.ndim(value) else float(part[0])
            place += size
        return found

    def _show(self) -> None:
        if self._quiet:
            return
        descent = self.descent
        path = np.column_stack([np.reshape(np.asarray(each), (len(each), -1)) for each in descent.trajectory.values()])
        losses = np.asarray(descent.history["loss"])
        now = min(self.controls["step"].value, len(path) - 1)
        self.figure = draw(self._flat, self._setting, path, losses, now, self._axes, self._names, self._words)
        self._picture.value = png(self.figure)
        self._status.value = f"<p>{clean(descent.message)}: L = {descent.fun:.6g}</p>"
        self._numbers.value = self._worked(now)

    def _worked(self, now: int) -> str:
        """The equations of the step with its numbers."""
        if now >= self.descent.nit or now >= MOST:
            return f"<p>{clean(self._words['worked end'])}</p>"
        rows = self.descent.table(first=now + 1, language=self._language).rows
        if now >= len(rows) or not rows[now].assignments:
            return f"<p>{clean(self._words['worked end'])}</p>"
        notation = Notation(language=self._language)
        return f"<style>{_TABLE}</style>{html.blocks(list(step_blocks(rows[now], self._language)), notation)}"


_TABLE = ".chain td { padding: .2rem .3rem; }"


def _ipywidgets() -> Any:
    try:
        import ipywidgets
    except ImportError as error:
        raise UnsupportedError(
            'the sliders of a notebook are those of ipywidgets: run pip install "symdescent[notebook]", or write a '
            "page with loss.explore_html(path), which needs nothing"
        ) from error
    return ipywidgets


__all__ = ["Explorer", "explore"]
