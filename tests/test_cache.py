"""The cache of compiled code: shared between processes, and never the reason for a wrong answer or for none."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symdescent as sd
from symdescent import kernels

PACKAGE = Path(sd.__file__).parent.parent
VALUE, SLOPE = 2.5, -5.0  # of PROGRAM's loss at its data
PROGRAM = """
import json, os, sys, time, warnings
import sympy as sp, symdescent as sd
w, x, y = sp.symbols("w x y")
compiled = sd.Loss((y - w*x)**2, w, samples=[x, y]).compile()
import numba
began = time.perf_counter()
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    value, gradient = compiled.value_and_gradient(1.0, {"x": [1.0, 2.0], "y": [2.0, 4.0]})
seconds = time.perf_counter() - began
modules = [module for name, module in sys.modules.items() if name.startswith("symdescent_kernel_")]
kernel = modules[0].value_and_gradient
print(json.dumps({"value": value, "slope": gradient[w], "seconds": seconds,
                  "hits": sum(kernel.stats.cache_hits.values()), "misses": sum(kernel.stats.cache_misses.values()),
                  "file": getattr(modules[0], "__file__", None),
                  "warnings": [str(warning.message) for warning in heard]}))
"""


def start(cache: object, program: str = PROGRAM, **environment: str) -> subprocess.Popen[str]:
    """A process of its own, with its cache there; byte code is written, as it is where nobody forbids it."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    inherited |= {"PYTHONPATH": str(PACKAGE), kernels.CACHE_VARIABLE: str(cache), **environment}
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=inherited
    )


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the process found; it must have found what is right."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err[-3000:]
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert (found["value"], found["slope"]) == (VALUE, SLOPE)
    return found


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """A cache that two processes filled at the same time, and what they found."""
    directory = tmp_path_factory.mktemp("filled") / "cache"
    both = [start(directory), start(directory)]
    yield directory, [finished(process) for process in both]


def copied(filled: tuple[Path, Any], place: Path) -> Path:
    directory = place / "cache"
    shutil.copytree(filled[0], directory)  # with its times, which Numba compares
    directory.chmod(0o700)
    return directory


# -- two processes ----------------------------------------------------------------------------------------------------


def test_two_processes_may_compile_at_once(filled):
    # one reads what the other has half written
    directory, found = filled
    assert all(each["value"] == VALUE for each in found)
    assert not list(directory.rglob("*.tmp"))


def test_a_second_process_does_not_compile(filled, tmp_path):
    # Numba looks modules up by name: not registered in time, or with a changing name, nothing is ever found again
    second = finished(start(copied(filled, tmp_path)))
    assert (second["hits"], second["misses"]) == (1, 0)
    first = max(each["seconds"] for each in filled[1])
    ratio = first / second["seconds"]
    print(f"compiled in {first:.2f} s, fetched in {second['seconds']:.3f} s: {ratio:.1f} times as fast")


EVERY_FUNCTION = """
import json, sys
import numpy as np, sympy as sp, symdescent as sd
from symdescent.elementary import TABLE
i, n = sp.Symbol("i", integer=True), sp.Symbol("n", integer=True, positive=True)
U, w, c = sp.IndexedBase("U", shape=(n, 40)), sp.IndexedBase("w", shape=(40,)), sp.IndexedBase("c", shape=(n,))
terms = []
for place, row in enumerate(row for row in TABLE.values() if row.partials):
    args = [low + (high - low)*(U[i, place] + w[place])/2 if low < high else low for low, high in row.domain]
    args[-1] = args[-1] if row.name != "polygamma" else 1 + U[i, place] + w[place]
    terms.append(row.sympy(*([1, args[1]] if row.name == "polygamma" else args)))
soft = sp.log(sp.Sum(sp.exp(w[i]*w[0]), (i, 0, 39))) + sp.Product(1 + w[i]**2, (i, 0, 39)) + sp.Max(w[0], w[1], w[2])
compiled = sd.Loss(sp.Sum(sp.Add(*terms), (i, 0, n - 1)) + soft + sp.Sum(w[c[i]]**3, (i, 0, n - 1)), w).compile()
data = {"U": np.linspace(0.1, 0.9, 120).reshape(3, 40), "c": np.array([1, 2, 3])}
value, gradient = compiled.value_and_gradient(np.linspace(0.1, 0.8, 40), data)
(kernel,) = [module.value_and_gradient for name, module in sys.modules.items() if name.startswith("symdescent_kernel_")]
print(json.dumps({"value": value, "slope": list(gradient.values())[0].tolist(), "hits": sum(kernel.stats.cache_hits.values()),
                  "started": "numba.np.arraymath" in sys.modules}))
"""


def test_kernels_are_loaded_without_starting_the_compiler(tmp_path):
    # a name that machine code needs and nobody registered ends the process
    found = []
    for _ in range(2):
        out, err = start(tmp_path / "cache", EVERY_FUNCTION).communicate(timeout=240)
        found.append(json.loads(out or err[-3000:]))
    assert [(each["hits"], each["started"]) for each in found] == [(0, True), (1, False)]
    assert found[0]["value"] == found[1]["value"] and found[0]["slope"] == found[1]["slope"]


def test_the_directory_is_private_and_its_files_are_named_by_content(filled):
    # names that two losses share, or that change from run to run; a directory that others can write to
    directory, found = filled
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    (module,) = directory.glob("*.py")
    digest = hashlib.sha256(module.read_bytes()).hexdigest()
    assert module.stem == f"symdescent_kernel_{digest[:24]}"
    assert {Path(each["file"]).name for each in found} == {module.name}
    beside = [path.name for path in directory.rglob("*.nb?")]
    assert beside and all(name.startswith(module.stem) for name in beside)


# -- damage -----------------------------------------------------------------------------------------------------------

DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "index cut": ("*.nbi", lambda content: content[: len(content) // 2]),
    "index of other content": ("*.nbi", lambda content: b"\x80\x04garbage" * 9),
    "machine code cut": ("*.nbc", lambda content: content[: len(content) // 2]),
    "machine code of other content": ("*.nbc", lambda content: b"\x80\x04K\x03."),  # a pickled 3
    "module cut": ("*.py", lambda content: content[: len(content) // 2]),
    "module not text": ("*.py", lambda content: b"\xff\xfe\x00" + content),
    "module with another loss": ("*.py", lambda content: content.replace(b"x[i]", b"y[i]")),
    "byte code cut": ("*.pyc", lambda content: content[: len(content) // 2]),
    "byte code garbled": ("*.pyc", lambda content: content[:20] + b"\xff" * 8 + content[28:]),
}


@pytest.fixture(scope="module")
def damaged(filled, tmp_path_factory: pytest.TempPathFactory) -> dict[str, subprocess.Popen[str]]:
    """For each kind of damage a process that meets it, two at a time."""
    done: dict[str, subprocess.Popen[str]] = {}
    for name, (pattern, change) in DAMAGES.items():
        directory = copied(filled, tmp_path_factory.mktemp("damaged"))
        for path in directory.rglob(pattern):
            before = path.stat()
            path.write_bytes(change(path.read_bytes()))
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # nothing else betrays the damage
        done[name] = start(directory)
        running = [process for process in done.values() if process.returncode is None]
        if len(running) == 2:
            for process in running:
                process.output = process.communicate(timeout=120)  # type: ignore[attr-defined]
    for process in done.values():
        if process.returncode is None:
            process.output = process.communicate(timeout=120)  # type: ignore[attr-defined]
    return done


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_dropped_and_rebuilt(damaged, damage):
    # UnpicklingError, EOFError or a syntax error instead of an answer; or the answer to another question
    out, err = damaged[damage].output
    assert damaged[damage].returncode == 0, err[-2000:]
    found = json.loads(out.splitlines()[-1])
    assert (found["value"], found["slope"]) == (VALUE, SLOPE)


# -- directories that cannot serve ------------------------------------------------------------------------------------


def test_without_a_directory_to_write_to_code_is_compiled_in_memory(tmp_path):
    # no answer where the cache would be
    plain = tmp_path / "file"
    plain.write_text("no directory")
    found = [finished(process) for process in (start(plain), start(plain / "below"))]
    assert [each["warnings"] for each in found] == [[], []]
    assert plain.read_text() == "no directory"


def test_a_directory_that_others_can_write_to_is_refused_with_a_warning(tmp_path):
    # code of others is executed
    shared, foreign = tmp_path / "shared", tmp_path / "foreign"
    shared.mkdir()
    shared.chmod(0o770)
    foreign.mkdir(mode=0o700)
    processes = [start(shared)]
    if os.getuid() == 0:
        os.chown(foreign, 65534, 65534)
        processes.append(start(foreign))
    for directory, process in zip((shared, foreign), processes, strict=False):
        (warning,) = finished(process)["warnings"]
        assert str(directory) in warning and kernels.CACHE_VARIABLE in warning
        assert not list(directory.iterdir())


def test_a_user_without_a_home_gets_an_answer(monkeypatch):
    # Path.home() raises RuntimeError in containers whose user has no entry among the users
    monkeypatch.delenv(kernels.CACHE_VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    assert kernels.cache_directory() is None


def test_a_read_only_directory_is_not_used(tmp_path, monkeypatch):
    # the directory exists, but files in it cannot be made (root may write everywhere: so the system's answer is acted)
    monkeypatch.setenv(kernels.CACHE_VARIABLE, str(tmp_path))
    tmp_path.chmod(0o700)

    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert kernels.cache_directory() is None


def test_the_directory_named_by_the_user_may_begin_with_a_tilde(tmp_path, monkeypatch):
    # a directory called ~ in the working directory
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(kernels.CACHE_VARIABLE, "~/kernels")
    assert kernels.cache_directory() == tmp_path / "kernels"


def test_the_default_directory(tmp_path, monkeypatch):
    # $XDG_CACHE_HOME ignored, or a directory made with the user's umask
    monkeypatch.delenv(kernels.CACHE_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    before = os.umask(0)
    try:
        directory = kernels.cache_directory()
    finally:
        os.umask(before)
    assert directory == tmp_path / "xdg" / "symdescent"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


# -- content addressing -----------------------------------------------------------------------------------------------


def test_equal_losses_share_one_module_and_different_ones_do_not(tmp_path, monkeypatch):
    # a name that hangs on the order of construction, on memory addresses, on hash randomisation
    monkeypatch.setenv(kernels.CACHE_VARIABLE, str(tmp_path))
    tmp_path.chmod(0o700)
    w, x, y = sp.symbols("w x y")
    first = sd.Loss((y - w * x) ** 2 + w, w, samples=[x, y]).compile().source
    again = sd.Loss(w + (w * x - y) ** 2, [w], samples=[x, y]).compile().source
    other = sd.Loss((y - w * x) ** 4 + w, w, samples=[x, y]).compile().source
    assert first == sd.Loss((y - w * x) ** 2 + w, [w], samples=(x, y)).compile().source
    assert again != other
    assert kernels.load(first) is kernels.load(first)
    assert kernels.load(first) is not kernels.load(other)
    assert len(list(tmp_path.glob("symdescent_kernel_*.py"))) == 2


def test_source_does_not_hang_on_hash_randomisation():
    # a set that is printed in its own order: another name for the module in every process
    program = """
import json, sympy as sp, symdescent as sd
n, d, K = sp.symbols("n d K", integer=True, positive=True); i, j, k = sp.symbols("i j k", integer=True)
X, W, c = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("W", shape=(K, d)), sp.IndexedBase("c", shape=(n,))
a, b, e = sp.symbols("a b e")
score = lambda k: sp.Sum(X[i, j]*W[k, j], (j, 0, d - 1))
entropy = sp.log(sp.Sum(sp.exp(score(k)), (k, 0, K - 1))) - score(c[i])
softmax = sd.Loss(sp.Sum(entropy, (i, 0, n - 1))/n + a*b, [W, a, b])
corners = sp.Max(a, b, e**2) + sp.Piecewise((a, (a > b) & (b > e)), (e, True))
kinks = sd.Loss(corners + sp.log(sp.exp(a) + sp.exp(b)), [a, b, e])
from symdescent.codegen.descent_loop import descent_source
print(json.dumps([loss.compile().source for loss in (softmax, kinks)]
                 + [descent_source(kinks.statement, sd.Momentum(0.1, nesterov=True)).source]))
"""
    processes = [start("/nowhere", program, PYTHONHASHSEED=seed) for seed in ("1", "2", "3")]
    results = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err[-2000:]
        results.append(json.loads(out))
    assert results[0] == results[1] == results[2]


# -- fork, spawn, and what travels between processes ------------------------------------------------------------------

n, d = sp.symbols("n d", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
X, Y, W = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,)), sp.IndexedBase("w", shape=(d,))
DATA = {"X": np.array([[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]]), "y": np.array([1.0, 2.0, 0.5])}


def regression() -> sd.Loss:
    return sd.Loss(sp.Sum((Y[i] - sp.Sum(X[i, j] * W[j], (j, 0, d - 1))) ** 2, (i, 0, n - 1)) / n, W)


def evaluated(task: tuple[Any, list[float]]) -> list[float]:
    compiled, weights = task
    value, gradient = compiled.value_and_gradient(weights, DATA)
    return [value, *next(iter(gradient.values())).tolist()]


def by_hand(weights: list[float]) -> list[float]:
    residual = DATA["X"] @ np.array(weights) - DATA["y"]
    return [float(np.mean(residual**2)), *(2 / 3 * DATA["X"].T @ residual).tolist()]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_compiled_loss_goes_through_a_process_pool(method, monkeypatch):
    # modules and dispatchers cannot be pickled; nodes that are equal must be identical again on the other side
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE))
    compiled = regression().compile()
    weights = [[0.5 * k, 1.0 - k] for k in range(4)]
    compiled.value(weights[0], DATA)  # used before it travels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of fork beside threads
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
            found = list(pool.map(evaluated, [(compiled, each) for each in weights]))
    np.testing.assert_allclose(found, [by_hand(each) for each in weights], rtol=1e-13)


def test_a_loss_travels_after_its_use(tmp_path):
    # what was derived and compiled is kept on the loss, and must not stand in the way
    import pickle

    loss = regression()
    assert loss.gradient[W] is not None
    loss.compile().value([1.0, 1.0], DATA)
    arrived = pickle.loads(pickle.dumps(loss))
    assert arrived.gradient[W] == loss.gradient[W]
    assert evaluated((arrived.compile(), [1.0, 2.0])) == pytest.approx(by_hand([1.0, 2.0]), rel=1e-13)
    reached = pickle.loads(pickle.dumps(loss.descend([0.0, 0.0], DATA, steps=3)))
    assert reached.params["w"].tolist() == loss.descend([0.0, 0.0], DATA, steps=3).params["w"].tolist()


def test_a_cache_that_is_cleared_under_way_is_no_loss(tmp_path, monkeypatch):
    # the directory is gone while its modules are in use
    monkeypatch.setenv(kernels.CACHE_VARIABLE, str(tmp_path / "cache"))
    w = sp.Symbol("w")
    compiled = sd.Loss((w - 3) ** 2 + w**6, w).compile()
    assert compiled.value(1.0) == 5.0
    kernels.clear_cache()
    assert not list((tmp_path / "cache").glob("*.py"))
    assert compiled.value(1.0) == 5.0
    assert compiled.gradient(1.0)[w] == 2.0
    assert sd.Loss((w - 3) ** 2 + w**6, w).compile().hessian_vector_product(1.0, 1.0)[w] == 32.0
