"""The numerically stable forms that lowering recognises, shown as a step: ``log(1 + exp(z))`` is ``softplus(z)``."""

from __future__ import annotations

from typing import Any

import sympy as sp

from symdescent.derivation.components.trees import rewrite
from symdescent.elementary import functions
from symdescent.errors import StatementError
from symdescent.graph import Graph
from symdescent.notation.lower import Lowering
from symdescent.notation.reading import Reader

_HEADS = {"softplus": functions.softplus, "sigmoid": functions.sigmoid}


def stabilised(expression: Any) -> Any:
    """The expression with the heads that lowering makes of its parts; what it leaves alone stays as it stands."""
    return rewrite(expression, _recognised)


def _recognised(part: Any) -> Any:
    if not isinstance(part, (sp.log, sp.Pow, sp.Mul)) or not part.has(sp.exp):
        return None
    graph = Graph()
    lowering = Lowering(graph)
    try:
        node = lowering.lower(part)
    except StatementError:
        return None
    if node.op != "call" or node.payload not in _HEADS:
        return None
    inner = Reader(graph, lowering, [str(symbol) for symbol in part.free_symbols]).expression(node.args[0], {})
    return _HEADS[node.payload](stabilised(inner))
