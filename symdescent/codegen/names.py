"""Identifiers for generated code: a symbol's own name where that is safe, a numbered one where it is not."""

from __future__ import annotations

import builtins
import keyword
import unicodedata
from collections.abc import Iterable
from typing import Any

from symdescent.elementary import TABLE, scalar

RESERVED = (
    frozenset(dir(builtins))
    | set(keyword.kwlist)
    | set(keyword.softkwlist)
    | set(TABLE)
    | {
        "math",
        "np",
        "numpy",
        "numba",
        "njit",
        "on",
        "exact",
        "fast",
        "value",
        "value_and_gradient",
        "descend",
        "hessian_vector_product",
        "self",
        *(name for name in dir(scalar) if not name.startswith("_")),
    }
)


class Names:
    """A supply of unique identifiers; text from a symbol's name is used only if it is a plain identifier."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._of: dict[Any, str] = {}
        self._last: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._used

    def of(self, thing: Any, fallback: str = "p") -> str:
        """The identifier of a SymPy object, made on first use."""
        if thing not in self._of:
            label = getattr(thing, "label", thing)  # an IndexedBase puts an underscore before a dummy's name
            self._of[thing] = self.fresh(getattr(label, "name", str(thing)), fallback)
        return self._of[thing]

    def fresh(self, wanted: str, fallback: str = "p") -> str:
        """An identifier that is not used yet: the wanted one, or the fallback with a number."""
        name = unicodedata.normalize("NFKC", wanted)
        if not is_plain(name) or name in self._used:
            stem, number = (name, 2) if is_plain(name) else (fallback, 0)
            while f"{stem}{number}" in self._used:
                number += 1
            name = f"{stem}{number}"
        self._used.add(name)
        return name

    def numbered(self, stem: str) -> str:
        """The next of ``t1, t2, …`` that is not used yet."""
        number = self._last.get(stem, 0) + 1
        while f"{stem}{number}" in self._used:
            number += 1
        self._last[stem] = number
        self._used.add(f"{stem}{number}")
        return f"{stem}{number}"

    def reserve(self, names: Iterable[str]) -> None:
        """Keep names from being given out."""
        self._used.update(names)


def is_plain(name: str) -> bool:
    """Whether a name may stand in generated code as it is."""
    return name.isidentifier() and name not in RESERVED and not name.startswith("_")
