"""A fit to take along: the loss, its gradient and a descent as programs that need nothing of symdescent.

``python examples/export.py [folder]`` writes one program for each target, and runs those whose language is at hand.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import sympy as sp

import symdescent as sd

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

# Huber's loss of a line: a square for small residuals, a straight line for large ones, so that outliers weigh little.
n = sp.Symbol("n", integer=True, positive=True)
i = sp.Symbol("i", integer=True)
x, y = sp.IndexedBase("x", shape=(n,)), sp.IndexedBase("y", shape=(n,))
slope, intercept = sp.symbols("slope intercept")
loss = sd.Loss(sp.Sum(sd.losses.huber(y[i], slope * x[i] + intercept), (i, 0, n - 1)) / n, [slope, intercept])

suffixes = {"python": "plain.py", "numpy": "with_numpy.py", "numba": "with_numba.py", "c": "descent.c"}
for target, name in suffixes.items():
    (folder / name).write_text(loss.code(target, sd.Momentum(0.1)), encoding="utf-8")

# Each program tries itself on the same built-in numbers: they must agree.
commands = {"plain.py": [sys.executable, "plain.py"], "with_numpy.py": [sys.executable, "with_numpy.py"]}
compiler = shutil.which("cc") or shutil.which("gcc")
if compiler:
    build = [compiler, "-O2", "-std=c99", "descent.c", "-o", "descent", "-lm"]
    subprocess.run(build, cwd=folder, check=True)
    commands["descent.c"] = [str((folder / "descent").resolve())]
for name, command in commands.items():
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    print(f"{name}\n  " + "\n  ".join(done.stdout.split("\n")[:-1]))
