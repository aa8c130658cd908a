r"""Reading the LaTeX that a user gives as a name, such as ``\hat{w}_1``, for the formats that are not LaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from symdescent.derivation.layout.boxes import Box, Function, Name, Number, Op, Row, Scripts, row

_SIGNS = {
    "star": "⋆", "ast": "∗", "prime": "′", "dagger": "†", "top": "⊤", "circ": "∘", "cdot": "·", "pm": "±", "infty": "∞",
    "nabla": "∇", "partial": "∂", "ell": "ℓ", "hbar": "ℏ", "parallel": "∥", "perp": "⊥", "times": "×", "odot": "⊙",
}  # fmt: skip
_ACCENTS = {"hat": "hat", "widehat": "hat", "bar": "bar", "overline": "bar", "tilde": "tilde", "widetilde": "tilde"}
_ACCENTS |= {"vec": "vec", "dot": "dot", "ddot": "ddot"}
_BOLD = ("mathbf", "boldsymbol", "bm", "pmb")
_UPRIGHT = ("mathrm", "text", "textrm", "operatorname", "mathsf", "textsf", "texttt")
_TOKEN = re.compile(r"\\([A-Za-z]+|.)|([{}_^'])|(\d+)|(\s+)|(.)", re.DOTALL)


def parsed(latex: str) -> Box:
    r"""The boxes of simple LaTeX; commands that are not known are left out.

    >>> parsed(r"\lambda_1")
    Scripts(base=Name(text='λ', style='italic', accent=''), sub=Number(digits='1'), sup=None)
    """
    reader = _Reader([found.group() for found in _TOKEN.finditer(latex) if not found.group().isspace()])
    return reader.rest() or Name(latex, "upright")


class _Reader:
    """Reads tokens into boxes."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens[::-1]

    def rest(self) -> Box | None:
        """Everything up to the end or to a closing brace."""
        items: list[Box] = []
        while self.tokens:
            token = self.tokens.pop()
            if token == "}":
                break
            if token in "_^'" and items:
                items.append(self.scripted(items.pop(), token))
            else:
                box = self.box(token)
                items += [box] if box is not None else []
        return row(*items) if items else None

    def scripted(self, base: Box, token: str) -> Box:
        sub, sup = (base.sub, base.sup) if isinstance(base, Scripts) else (None, None)
        base = base.base if isinstance(base, Scripts) else base
        script = Op("′", "mark") if token == "'" else self.argument()
        return base if script is None else Scripts(base, *((script, sup) if token == "_" else (sub, script)))

    def argument(self) -> Box | None:
        return self.box(self.tokens.pop()) if self.tokens else None

    def box(self, token: str) -> Box | None:
        """One token, with the arguments that it takes."""
        from symdescent.derivation.layout.names import GREEK

        if token == "{":
            return self.rest()
        if not token.startswith("\\"):
            return Number(token) if token.isdecimal() else Name(token) if token.isalpha() else Op(token, "mark")
        command = token[1:]
        if command in GREEK:
            return Name(GREEK[command])
        if command in _SIGNS:
            return Op(_SIGNS[command], "mark")
        change = _CHANGES.get(command)
        if change is not None:
            box = self.argument()
            return None if box is None else change(box)
        return Op(command, "mark") if not command.isalpha() and command not in ",;:! " else None


def _styled(box: Box, style: str = "", accent: str = "") -> Box:
    """Letters in another style or under an accent; several upright letters make a word."""
    if isinstance(box, Name):
        return Name(box.text, style or box.style, accent or box.accent)
    if isinstance(box, Scripts):
        return Scripts(_styled(box.base, style, accent), box.sub, box.sup)
    if isinstance(box, Row):
        if style == "upright" and all(isinstance(item, Name) for item in box.items):
            return Function("".join(item.text for item in box.items if isinstance(item, Name)))
        return Row((_styled(box.items[0], style, accent), *(_styled(item, style) for item in box.items[1:])))
    return box


_CHANGES: dict[str, Callable[[Box], Box]] = {
    **{command: partial(_styled, accent=accent) for command, accent in _ACCENTS.items()},
    **{command: partial(_styled, style="bold") for command in _BOLD},
    **{command: partial(_styled, style="upright") for command in _UPRIGHT},
}
