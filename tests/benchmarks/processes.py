"""What a new process costs: importing, and getting a compiled loss back from the cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Contender, Row, compare, tabulate
from setting import Setting

import symdescent

FIRST_EVALUATION = """
import time
import numba, numpy as np, symdescent
from setting import {loss}
{before}
began = time.perf_counter()
value, gradient = {loss}().compile().value_and_gradient({params}, {data})
print(time.perf_counter() - began, value)
"""
LOGISTIC = {
    "loss": "logistic_loss",
    "params": "dict(w=np.ones(3), b=1.0)",
    "data": "dict(X=np.ones((4, 3)), y=np.ones(4))",
}
SOFTMAX = {
    "loss": "softmax_loss",
    "params": "dict(W=np.ones((3, 2)), B=np.ones(2))",
    "data": "dict(X=np.ones((4, 3)), c=np.arange(4) % 2)",
}
NUMBA_USED = "numba.njit(lambda x: x + 1.0)(1.0)"  # loads what Numba loads when it is first used


def cache(setting: Setting) -> list[Row]:
    """State, compile and evaluate a loss: with an empty cache, and again in the next process."""
    title = "state, compile and evaluate {} regression in a second process, after {}"
    imported, used = "importing symdescent and Numba", "Numba compiled something else"
    return [
        _cache(setting, title.format(name, after), before=before, target=target, **code)
        for name, code in (("logistic", LOGISTIC), ("softmax", SOFTMAX))
        for after, before, target in ((imported, "", "ratio 3"), (used, NUMBA_USED, ""))
    ]


def _cache(setting: Setting, title: str, target: str, **parts: str) -> Row:
    code = FIRST_EVALUATION.format(**parts)
    cached, cold = Contender("symdescent", _python), Contender("with an empty cache", _python)
    samples: dict[Contender, list[float]] = {cached: [], cold: []}
    for _ in range(setting.size(3, 1)):
        with tempfile.TemporaryDirectory(dir=setting.scratch) as directory:
            first, value = _python(code, SYMDESCENT_CACHE=directory).split()
            second, again = _python(code, SYMDESCENT_CACHE=directory).split()
        if value != again:
            raise SystemExit(f"the cached loss is {again}, the compiled one {value}")
        samples[cached].append(float(second))
        samples[cold].append(float(first))
    return tabulate(title, samples, target)


def imports(setting: Setting) -> list[Row]:
    """Start Python and import."""

    def contender(name: str, code: str, limit: bool = False) -> Contender:
        return Contender(name, lambda: _python(code), answer=None, limit=limit)

    def row(code: str) -> Row:
        contenders = [contender("symdescent", code), contender("import sympy", "import sympy")]
        contenders.append(contender("Python alone", "pass", limit=True))
        return compare(code, contenders, rounds=setting.rounds, warm=False, target="1.5 × import sympy")

    return [row("import symdescent"), row("from symdescent import Loss")]


def _python(code: str, **environment: str) -> str:
    """Run code in a new process that finds the same packages; its output."""
    paths = [str(Path(symdescent.__file__).parents[1]), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **environment}
    return subprocess.run([sys.executable, "-c", code], env=found, check=True, capture_output=True, text=True).stdout
