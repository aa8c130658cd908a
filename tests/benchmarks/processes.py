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
import numba, numpy as np, symdescent as sd
from setting import logistic_loss
began = time.perf_counter()
value, gradient = logistic_loss().compile().value_and_gradient(
    {"w": np.ones(3), "b": 1.0}, {"X": np.arange(12.0).reshape(4, 3) / 12, "y": np.array([1.0, -1.0, 1.0, -1.0])}
)
print(time.perf_counter() - began, value)
"""


def cache(setting: Setting) -> list[Row]:
    """Get a compiled logistic regression: with an empty cache, and in the next process."""
    cached, cold = Contender("symdescent", _first_evaluation), Contender("with an empty cache", _first_evaluation)
    samples: dict[Contender, list[float]] = {cached: [], cold: []}
    for _ in range(setting.size(3, 1)):
        with tempfile.TemporaryDirectory(dir=setting.scratch) as directory:
            first, value = _first_evaluation(directory)
            second, again = _first_evaluation(directory)
        if value != again:
            raise SystemExit(f"the cached loss is {again}, the compiled one {value}")
        samples[cached].append(second)
        samples[cold].append(first)
    return [tabulate("state, compile and evaluate logistic regression, in the second process", samples, "ratio 3")]


def _first_evaluation(directory: str) -> tuple[float, str]:
    """Seconds from the imports to the first value and gradient, and that value."""
    output = _python(FIRST_EVALUATION, SYMDESCENT_CACHE=directory)
    seconds, value = output.split()
    return float(seconds), value


def imports(setting: Setting) -> list[Row]:
    """Start Python and import."""

    def contender(name: str, code: str, limit: bool = False) -> Contender:
        return Contender(name, lambda: _python(code), answer=None, limit=limit)

    def row(code: str) -> Row:
        contenders = [contender("symdescent", code), contender("import sympy", "import sympy")]
        contenders.append(contender("Python alone", "pass", limit=True))
        return compare(code, contenders, rounds=setting.rounds, warm=False, allowed="1.5 × import sympy")

    return [row("import symdescent"), row("from symdescent import Loss")]


def _python(code: str, **environment: str) -> str:
    """Run code in a new process that finds the same packages; its output."""
    paths = [str(Path(symdescent.__file__).parents[1]), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **environment}
    return subprocess.run([sys.executable, "-c", code], env=found, check=True, capture_output=True, text=True).stdout
