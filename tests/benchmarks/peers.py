"""What symdescent is compared with: the libraries that are installed, and C, where a compiler is found."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

LIBRARIES = {  # module -> distribution
    "sympy": "sympy",
    "numpy": "numpy",
    "numba": "numba",
    "jax": "jax",
    "optax": "optax",
    "torch": "torch",
    "sklearn": "scikit-learn",
    "symengine": "symengine",
    "casadi": "casadi",
}
FLAGS = ("-O3", "-march=native", "-fopenmp-simd")
_WIDE = ("sse4_2", "avx", "avx2", "fma", "avx512f", "asimd", "sve")


@cache
def find(name: str) -> Any:
    """The module of a library, ready for doubles; None where it is not installed, or does not start."""
    try:
        module = importlib.import_module(name)
    except (ImportError, OSError):
        return None
    if name == "jax":
        module.config.update("jax_enable_x64", True)
        module.config.update("jax_platforms", "cpu")
    return module


class Library:
    """The hand-written loops of ``reference.c``, called with NumPy arrays and numbers."""

    def __init__(self, directory: Path, compiler: str) -> None:
        target = directory / "reference.so"
        source = Path(__file__).with_name("reference.c")
        subprocess.run([compiler, *FLAGS, "-shared", "-fPIC", "-o", target, source, "-lm"], check=True)
        self._library = ctypes.CDLL(str(target))

    def __getattr__(self, name: str) -> Any:
        """A function of the library; it takes contiguous arrays, integers and doubles, and returns a double."""
        function = getattr(self._library, name)
        function.restype = ctypes.c_double

        def call(*arguments: Any) -> Any:
            return function(*map(_c_value, arguments))

        return call


def _c_value(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if not value.flags.c_contiguous:
            raise ValueError("the loops in C read contiguous arrays")
        return ctypes.c_void_p(value.ctypes.data)
    return ctypes.c_double(value) if isinstance(value, float) else ctypes.c_int64(value)


def compiled_c(directory: Path) -> Library | None:
    """The loops in C, compiled into a directory; None without a compiler."""
    compiler = _compiler()
    return Library(directory, compiler) if compiler else None


def _compiler() -> str | None:
    return next(filter(None, map(shutil.which, ("gcc", "cc"))), None)


def _compiler_version() -> str:
    compiler = _compiler()
    if compiler is None:
        return "no compiler found"
    said = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    return f"{said.splitlines()[0]}, {' '.join(FLAGS)}"


def blas_threads() -> int:
    """How many threads NumPy's matrix products may use."""
    for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        with contextlib.suppress(ValueError):
            return int(os.environ.get(variable, ""))
    return cores()


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def header() -> str:
    """The machine and the versions, as Markdown."""
    processor, flags = platform.processor() or platform.machine(), "unknown"
    with contextlib.suppress(OSError):
        entries = [line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line]
        described = {key.strip(): value.strip() for key, value in entries}
        processor = described.get("model name", processor)
        present = described.get("flags", described.get("Features", "")).split()
        flags = " ".join(flag for flag in _WIDE if flag in present)
    found = {distribution: find(module) for module, distribution in LIBRARIES.items()}
    versions = [f"{name} {importlib.metadata.version(name)}" for name, module in found.items() if module is not None]
    absent = [name for name, module in found.items() if module is None]
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    threads = [f"1 in symdescent and C, up to {blas_threads()} in NumPy's BLAS ({blas.get('name')})"]
    if found["jax"]:
        threads.append(f"up to {cores()} in JAX")
    if found["torch"]:
        threads.append(f"{found['torch'].get_num_threads()} in PyTorch")
    lines = [
        f"machine: {processor}, {cores()} cores, flags {flags}; {platform.system()} {platform.machine()}",
        f"versions: Python {platform.python_version()}, {', '.join(versions)}",
        f"not installed: {', '.join(absent) or 'none'}",
        f"C: {_compiler_version()}",
        f"threads: {', '.join(threads)}",
    ]
    return "\n".join(f"* {line}" for line in lines)
