"""Measure symdescent beside its peers, and print a table for docs/benchmarks.md.

``python tests/benchmarks/run.py [names…] [--quick]``: all the benchmarks or those named; ``--quick`` takes small sizes
and few repetitions, to see that everything runs. Peers are used where they are installed (JAX, PyTorch, scikit-learn,
SymEngine, CasADi; a C compiler), and must give the same numbers before anything is timed. Nothing is asserted about
times. The machine should have nothing else to do; symdescent must be installed, or be found through PYTHONPATH.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

NAMES = {  # name -> module and function
    "derive": ("derivations", "written_out"),
    "indexed": ("derivations", "indexed"),
    "chain": ("evaluations", "chain"),
    "rosenbrock": ("descents", "two_variables"),
    "logistic": ("evaluations", "logistic"),
    "softmax": ("evaluations", "softmax"),
    "hidden": ("evaluations", "hidden"),
    "least-squares": ("descents", "least_squares"),
    "adam": ("optimizers", "adam"),
    "sgd": ("optimizers", "stochastic"),
    "cache": ("processes", "cache"),
    "import": ("processes", "imports"),
}


def main() -> None:
    """Run the benchmarks that the command line names."""
    parser = argparse.ArgumentParser(description="Measure symdescent beside its peers, and print a Markdown table.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"which benchmarks (default: all): {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, few repetitions")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.names if name not in NAMES]:
        parser.error(f"unknown: {', '.join(unknown)}; the benchmarks are {', '.join(NAMES)}")
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["SYMDESCENT_CACHE"] = str(Path(scratch, "cache"))
        _run(chosen.names or list(NAMES), chosen.quick, Path(scratch))


def _run(names: list[str], quick: bool, scratch: Path) -> None:
    from importlib import import_module

    from measure import TABLE_HEAD
    from peers import compiled_c, header
    from setting import Setting

    described = header()
    print(described, end="\n\n", flush=True)
    setting = Setting(quick, compiled_c(scratch), scratch)
    rows = []
    for name in names:
        module, function = NAMES[name]
        rows += getattr(import_module(module), function)(setting)
    print(f"\n{described}\n\n{TABLE_HEAD}")
    for row in rows:
        print(row.markdown())
    if quick:
        print("\n(quick: small sizes and few repetitions, so that these numbers say little)")


if __name__ == "__main__":
    main()
