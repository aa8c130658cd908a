"""KaTeX as a judge of LaTeX: found by ``node`` (NODE_PATH), or in ``$SYMDESCENT_KATEX/node_modules``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence

import pytest


def node() -> tuple[str, dict[str, str]] | None:
    """The command and environment in which ``require("katex")`` works."""
    command = shutil.which("node")
    environment = dict(os.environ)
    if "SYMDESCENT_KATEX" in environment:
        environment["NODE_PATH"] = os.path.join(environment["SYMDESCENT_KATEX"], "node_modules")
    if (
        command is None
        or subprocess.run([command, "-e", "require('katex')"], env=environment, capture_output=True).returncode
    ):
        return None
    return command, environment


KATEX = """
const katex = require("katex"), formulas = JSON.parse(require("fs").readFileSync(0, "utf8"));
const refused = formulas.filter((formula) => {
  try { katex.renderToString(formula, {throwOnError: true, displayMode: true, strict: "ignore"}); return false; }
  catch (error) { console.log(formula, error.message); return true; }
});
process.exit(refused.length ? 1 : 0);
"""


def assert_katex_accepts(formulas: Sequence[str]) -> None:
    """Fail with the formulas that KaTeX refuses; skip where it is not installed."""
    found = node()
    if found is None:
        pytest.skip("KaTeX is not installed: SYMDESCENT_KATEX names a directory with node_modules/katex")
    command, environment = found
    run = subprocess.run(
        [command, "-e", KATEX], input=json.dumps(list(formulas)).encode(), env=environment, capture_output=True
    )
    assert run.returncode == 0, run.stdout.decode()
