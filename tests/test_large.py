"""What does not fit: data larger than the memory that is allowed, runs longer than any record."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import sympy as sp

import symdescent as sd

ROWS, COLUMNS = 1_500_000, 40  # 480 MB
CHILD = """
import resource, sys
import numpy as np, sympy as sp, symdescent as sd

n, d = sp.symbols("n d", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
X, Y, W = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,)), sp.IndexedBase("w", shape=(d,))
loss = sd.Loss(sp.Sum((Y[i] - sp.Sum(X[i, j]*W[j], (j, 0, d - 1)))**2, (i, 0, n - 1))/n, W)
small = {"X": np.ones((4, %(columns)d)), "y": np.ones(4)}
start = np.zeros(%(columns)d)
rule = sd.GradientDescent(%(rate)s)
for options in ({"batch_size": 2, "epochs": 1}, {"steps": 1}):
    loss.descend(start, small, rule, **options)  # compile before the limit is set

kilobytes = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
limit = kilobytes * 1024 + %(extra)d
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    np.ones(%(rows)d * %(columns)d)
except MemoryError:
    pass
else:
    sys.exit("the limit does not hold")

features = np.memmap(sys.argv[1], dtype=np.float64, mode="r", shape=(%(rows)d, %(columns)d))
targets = np.memmap(sys.argv[2], dtype=np.float64, mode="r", shape=(%(rows)d,))
found = loss.descend(start, {"X": features, "y": targets}, rule, **%(options)s)
print(found.fun, *found.x)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_DATA means something else on other systems")
def test_data_larger_than_the_memory_that_is_allowed(tmp_path):
    # a copy of the data: to shuffle them, to make them contiguous, or to look for NaN
    random = np.random.default_rng(0)
    weights = random.normal(size=COLUMNS)
    features = np.memmap(tmp_path / "X", dtype=np.float64, mode="w+", shape=(ROWS, COLUMNS))
    targets = np.memmap(tmp_path / "y", dtype=np.float64, mode="w+", shape=(ROWS,))
    for first in range(0, ROWS, 100_000):
        features[first : first + 100_000] = random.normal(size=(100_000, COLUMNS))
        targets[first : first + 100_000] = features[first : first + 100_000] @ weights
    features.flush()
    targets.flush()
    del features, targets
    for options, rate in (({"batch_size": 50, "epochs": 1}, 0.02), ({"steps": 25, "gtol": 0}, 0.4)):
        program = CHILD % {
            "rows": ROWS, "columns": COLUMNS, "rate": rate, "options": options, "extra": 150_000_000,
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "X"), str(tmp_path / "y")],
            capture_output=True, text=True, timeout=300, env=dict(os.environ),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        loss, *reached = map(float, done.stdout.split())
        assert loss < 1e-3
        np.testing.assert_allclose(reached, weights, atol=0.01)


@pytest.mark.slow
def test_a_hundred_million_steps_keep_a_bounded_record():
    w = sp.Symbol("w")
    loss = sd.Loss((w - 3) ** 2, w)
    found = loss.descend(0.0, optimizer=sd.GradientDescent(1e-9), steps=10**8, gtol=0)
    assert found.nit == 10**8
    assert found.params["w"] == pytest.approx(3 * (1 - np.exp(-2 * 0.1)), rel=1e-6)
    steps = np.diff(found.history["iteration"])
    assert len(found.history) <= 4097 and len(set(steps[:-1].tolist())) == 1
    assert len(found.trajectory["w"]) == len(found.history)
