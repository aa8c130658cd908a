"""Generated programs: each target runs, agrees with the compiled descent, and can be read."""

from __future__ import annotations

import ast
import ctypes
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import sympy as sp

import symdescent as sd
from symdescent.optimizers import Norm, Total, f, g, t, theta
from symdescent.optimizers import eta as rate

n, d, K = sp.symbols("n d K", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
w, b, x, y = sp.symbols("w b x y")
Base, Sum = sp.IndexedBase, sp.Sum
X, Y, W = Base("X", shape=(n, d)), Base("y", shape=(n,)), Base("w", shape=(d,))
B, C, U = Base("B", shape=(d, K)), Base("c", shape=(n,)), Base("u", shape=(n,))
A, T, V = sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("T", n, K), sp.MatrixSymbol("V", d, K)
RANDOM = np.random.default_rng(12)
XS, YS = np.round(RANDOM.normal(size=(11, 3)), 3), np.round(RANDOM.normal(size=11), 3)
LABELS, TABLE = RANDOM.integers(0, 4, 11), np.round(RANDOM.normal(size=(11, 4)), 3)
score = Sum(X[i, j] * B[j, k], (j, 0, d - 1))
residual = Y[i] - b - Sum(X[i, j] * W[j], (j, 0, d - 1))
bare, lam = Base("z"), sp.Symbol("lambda")
odd, reserved = sp.Symbol("w; import os"), sp.Symbol("double")

# loss, start, data and extents by name
LOSSES = {
    "scalar": (sd.Loss((1 - x) ** 2 + 100 * (y - x**2) ** 2, [x, y]), {"x": -1.2, "y": 1.0}, {}),
    "per sample": (
        sd.Loss(sp.log(1 + sp.exp(-y * (w * x + b))) + lam * w**2, [w, b], samples=[x, y]),
        {"w": 0.3, "b": -0.2},
        {"x": XS[:, 0], "y": np.sign(YS), "lambda": 0.01, "n": 11},
    ),
    "indexed": (
        sd.Loss(Sum(residual**2, (i, 0, n - 1)) / n + Sum(sp.Abs(W[j]), (j, 0, d - 1)) / 10, [W, b]),
        {"w": np.array([0.5, -1.0, 0.25]), "b": 0.1},
        {"X": XS, "y": YS, "n": 11, "d": 3},
    ),
    "matrix": (
        sd.Loss(sp.Trace((A * V - T).T * (A * V - T)) / n, V),
        {"V": np.ones((3, 4)) / 4},
        {"A": XS, "T": TABLE, "n": 11, "d": 3, "K": 4},
    ),
    "softmax": (
        sd.Loss(
            Sum(sd.logsumexp(score, (k, 0, K - 1)) - Sum(X[i, j] * B[j, C[i]], (j, 0, d - 1)), (i, 0, n - 1)) / n, B
        ),
        {"B": np.zeros((3, 4))},
        {"X": XS, "c": LABELS, "n": 11, "d": 3, "K": 4},
    ),
    "chain": (
        sd.Loss(Sum(10 * (U[i + 1] - U[i] ** 2) ** 2 + (1 - U[i]) ** 2, (i, 0, n - 2)), U),
        {"u": np.linspace(-0.5, 0.5, 9)},
        {"n": 9},
    ),
    "conditions": (
        sd.Loss(
            sp.Piecewise((x**2, x < 1), (2 * x - 1, True))
            + sp.Max(y, 2 * y, -1)
            + sp.sin(x * y) / (2 + sp.tanh(y))
            + y**4,
            [x, y],
        ),
        {"x": 2.0, "y": 1.5},
        {},
    ),
    "special functions": (
        sd.Loss(
            sp.loggamma(x) + sp.erf(x * y) + sp.atan2(y, x) + sp.sqrt(x) ** 3 + x ** sp.Rational(5, 2) + y**2, [x, y]
        ),
        {"x": 1.7, "y": 0.6},
        {},
    ),
}
LONG = {
    "names that mean something": (
        sd.Loss((odd - 1) ** 2 + (reserved + 2) ** 4, [odd, reserved]),
        {odd: 0.3, reserved: 0.1},
        {},
    )
}
velocity, lowest, size = sp.symbols("v f_low n_g", real=True)
SIGNED = sd.UpdateRule(
    "sign momentum",
    [(velocity, sp.Rational(1, 2) * velocity + sp.sign(g)), (theta, theta - rate / sp.sqrt(t) * velocity)],
    [sd.Hyperparameter("learning_rate", rate, 0.01)],
    [sd.State(velocity)],
)
POLYAK = sd.UpdateRule(
    "Polyak's step size",
    [(rate, (f - lowest) / (Total(g**2) + 1)), (theta, theta - rate * g / 10)],
    [sd.Hyperparameter("lowest", lowest, -5.0)],
)
TURNED = sd.UpdateRule(
    "unit velocity",
    [
        (velocity, velocity / 2 + g),
        (size, Norm(velocity)),
        (theta, theta - sp.Rational(1, 100) * velocity / (size + 1)),
    ],
    state=[sd.State(velocity)],
)
S = sd.schedules
RULES = {
    "GradientDescent": sd.GradientDescent(0.001),
    "Momentum": sd.Momentum(0.001),
    "Nesterov": sd.Momentum(0.001, nesterov=True, lr_in_velocity=True),
    "AdaGrad": sd.AdaGrad(0.1),
    "AdaGrad optax": sd.AdaGrad(0.1, flavor="optax"),
    "AdaDelta": sd.AdaDelta(),
    "RMSprop": sd.RMSprop(0.01, centered=True, momentum=0.5),
    "Adam": sd.Adam(0.01),
    "Adam amsgrad": sd.Adam(0.01, amsgrad=True, flavor="keras"),
    "AdamW": sd.AdamW(0.01),
    "NAdam": sd.NAdam(0.01),
    "Lion": sd.Lion(0.001, weight_decay=0.1),
    "decayed": sd.Momentum(0.001).with_weight_decay(0.1),
    "clipped": sd.Adam(0.01).with_weight_decay(0.01).with_clipping(norm=0.5),
    "clipped by value": sd.GradientDescent(0.01).with_clipping(value=0.3),
    "cosine": sd.Adam(S.warmup(S.cosine(0.05, 60, final=0.001), 10)),
    "step": sd.GradientDescent(S.step(0.001, 0.5, every=20)),
    "plateau": sd.GradientDescent(S.plateau(0.002, factor=0.5)),
    "sign momentum": SIGNED,
    "Polyak": POLYAK,
    "unit velocity": TURNED,
}
SEARCHES = {
    "backtracking": sd.GradientDescent(sd.Backtracking(initial=0.5)),
    "steepest descent": sd.GradientDescent(sd.ExactLineSearch(tolerance=1e-14)),
    "Newton": sd.Newton(),
    "Newton, plain": sd.Newton(0.5, damping=0.01, definite=False),
    "Newton along lines": sd.Newton(sd.ExactLineSearch()),
    "NelderMead": sd.NelderMead(),
    "NelderMead, adaptive": sd.NelderMead(adaptive=True, xatol=0, fatol=0),
    "RandomSearch": sd.RandomSearch(radius=0.3, points=4, shrink=0.8, seed=5),
    "LBFGS": sd.LBFGS(memory=4),
}
STEPS = 100


def expected(loss, start, data, rule):
    given = {key: value for key, value in data.items() if key not in ("n", "d", "K")} or None
    needed = {key: data[key] for key in ("n", "d", "K") if key in data and not given}
    return loss.descend(start, {**(given or {}), **needed} or None, rule, steps=STEPS, gtol=0).x


def module(text: str) -> dict:
    space = {"__name__": "generated"}
    exec(compile(text, "<generated>", "exec"), space)
    return space


def listed(value):
    return value.tolist() if isinstance(value, np.ndarray) else value


def with_python(text, start, data):
    space = module(text)
    values = {name: listed(np.array(v) if np.ndim(v) else v) for name, v in {**start, **data}.items()}
    return called(space["descend"], values, start)


def with_arrays(text, start, data):
    space = module(text)
    values = {name: np.array(v) if np.ndim(v) else v for name, v in {**start, **data}.items()}
    _, *reached = space["descend"](**arguments(space["descend"], values), steps=STEPS)
    return np.concatenate([np.ravel(np.asarray(part)) for part in reached])


def with_numba(text, start, data):
    name = f"generated_by_the_tests_{os.getpid()}"
    space = ModuleType(name)
    path = Path(os.environ["SYMDESCENT_CACHE"]) / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    space.__file__ = str(path)
    sys.modules[name] = space
    exec(compile(text.replace("cache=True, ", ""), str(path), "exec"), space.__dict__)
    values = {key: np.array(v) if np.ndim(v) else v for key, v in {**start, **data}.items()}
    return called(getattr(space.descend, "py_func", space.descend), values, start, space.descend)


def arguments(function, values):
    wanted = [name for name in inspect.signature(function).parameters if name != "steps"]
    return {name: found(name, values) for name in wanted}


def found(name, values):
    """A value by identifier: a reserved name has a number, an array's length is read off the array."""
    if name in values:
        return values[name]
    if re.sub(r"\d+$", "", name) in values:  # a name that the program needs itself
        return values[re.sub(r"\d+$", "", name)]
    length = re.fullmatch(r"(\w+)_(\d)", name)
    if length and length.group(1) in values:
        return np.shape(values[length.group(1)])[int(length.group(2))]
    return values[{"p0": odd, "double": reserved, "d0": "lambda"}[name]]


def called(signature, values, start, function=None):
    """Call `descend`: arrays are changed in place, numbers are returned after the loss."""
    given = arguments(signature, values)
    result = (function or signature)(*given.values(), STEPS)
    numbers = iter(result[1:] if isinstance(result, tuple) else ())
    return np.concatenate([np.ravel(values[p] if np.ndim(values[p]) else next(numbers)) for p in start])


def with_c(text, start, data, tmp_path):
    source, library = tmp_path / "descent.c", tmp_path / f"descent{len(text)}.so"
    source.write_text(text, encoding="utf-8")
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2", "-DNO_MAIN", "-fPIC", "-shared"]
    subprocess.run([*command, str(source), "-o", str(library), "-lm"], check=True, capture_output=True)
    descend = ctypes.CDLL(str(library)).descend
    head = re.search(r"double descend\((.*?)\) \{", text).group(1)
    values, passed, outs = {**start, **data}, [], []
    for argument in head.split(", "):
        kind, name = argument.rsplit(" ", 1)
        name = name.removeprefix("*")
        if name.endswith("_out"):
            outs.append(ctypes.c_double())
            passed.append(ctypes.byref(outs[-1]))
        elif name == "steps":
            passed.append(ctypes.c_long(STEPS))
        else:
            value = found(name.removesuffix("_") if name not in values else name, values)
            if "*" in argument:
                array = np.ascontiguousarray(value, dtype=np.int64 if "long" in kind else np.float64).copy()
                values[name] = array
                passed.append(array.ctypes.data_as(ctypes.c_void_p))
            else:
                passed.append(ctypes.c_long(int(value)) if kind == "long" else ctypes.c_double(value))
    descend.restype = ctypes.c_double
    descend(*passed)
    numbers = iter(outs)
    return np.concatenate([np.ravel(values[p] if np.ndim(values[p]) else next(numbers).value) for p in start])


def with_node(text, start, data, tmp_path):
    source = tmp_path / "descent.js"
    source.write_text(text, encoding="utf-8")
    head = re.search(r"function descend\((.*?)\)", text).group(1)
    values = {**start, **data}
    names = [name for name in head.split(", ") if name != "steps"]
    given = [listed(np.asarray(found(name.removesuffix("$"), values))) for name in names]
    places = [
        next(k for k, name in enumerate(names) if values[p] is found(name.removesuffix("$"), values)) for p in start
    ]
    (tmp_path / "run.js").write_text(
        f"""const {{ descend }} = require({json.dumps(str(source))});
const given = {json.dumps(given)};
const result = descend(...given, {STEPS});
const numbers = Array.isArray(result) ? result.slice(1) : [];
const parts = {places}.map((k) => (Array.isArray(given[k]) ? given[k] : numbers.shift()));
console.log(JSON.stringify(parts.flat(9)));""",
        encoding="utf-8",
    )
    done = subprocess.run(["node", str(tmp_path / "run.js")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return np.array(json.loads(done.stdout), dtype=float)


def run(target, text, start, data, tmp_path):
    start = {key: np.array(v) if np.ndim(v) else v for key, v in start.items()}
    if target in ("c", "javascript"):
        return (with_c if target == "c" else with_node)(text, start, data, tmp_path)
    return {"python": with_python, "numpy": with_arrays, "jax": with_arrays, "numba": with_numba}[target](
        text, start, data
    )


needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no C compiler to translate the text with")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js to run the text with")
TARGETS = [
    *("python", "numpy", "numba", "jax"),
    pytest.param("c", marks=needs_gcc),
    pytest.param("javascript", marks=needs_node),
]
ALL = LOSSES | LONG
SMOOTH = LOSSES | {
    "indexed": (
        sd.Loss(Sum(residual**2, (i, 0, n - 1)) / n + Sum(W[j] ** 4, (j, 0, d - 1)) / 10, [W, b]),
        *LOSSES["indexed"][1:],
    )
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ALL)
def test_every_loss_in_every_target(name, target, tmp_path):
    # an index, a shape, a bracket or a function that another language reads in another way
    loss, start, data = ALL[name]
    rule = RULES["Adam"]
    text = loss.code(target, rule)
    np.testing.assert_allclose(
        run(target, text, start, data, tmp_path), expected(loss, start, data, rule), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_in_every_target(rule, target, tmp_path):
    # a state that begins elsewhere, a step number that begins at 0, an update that reads what it has changed
    loss, start, data = LOSSES["indexed"]
    text = loss.code(target, RULES[rule])
    wanted = expected(loss, start, data, RULES[rule])
    np.testing.assert_allclose(run(target, text, start, data, tmp_path), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("indexed", "numba"),
        pytest.param("indexed", "javascript", marks=needs_node),
        pytest.param("indexed", "c", marks=needs_gcc),
        ("indexed", "jax"),
        ("scalar", "python"),
        ("scalar", "numpy"),
    ],
)
@pytest.mark.parametrize("search", SEARCHES)
def test_every_search_in_every_target(name, search, target, tmp_path, monkeypatch):
    # a place in the flat vector, an early end, a system that is solved in another way, another random number
    if name == "indexed" and "NelderMead" not in search:
        # at the minimum a loss is the same within 1e-8 of it, to the last digit: which step is the last is left to chance
        monkeypatch.setattr(sys.modules[__name__], "STEPS", 4)
    if search == "LBFGS" and target in ("python", "c", "javascript"):
        pytest.skip("SciPy's compiled code cannot be called from a program that has only mathematics")
    loss, start, data = SMOOTH[name]
    text = loss.code(target, SEARCHES[search])
    wanted = expected(loss, start, data, SEARCHES[search])
    assert np.max(np.abs(wanted - np.concatenate([np.ravel(value) for value in start.values()]))) > 0.01
    np.testing.assert_allclose(run(target, text, start, data, tmp_path), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["per sample", "matrix", "softmax", "chain", "names that mean something"])
def test_searches_in_every_notation(name, target, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "STEPS", 25)
    # parameters of two axes, one that is a flat vector already, data and parameters with the names of a search's own
    loss, start, data = ALL[name]
    for search in (sd.Newton(1.0, damping=0.1), sd.NelderMead()):
        wanted = expected(loss, start, data, search)
        found = run(target, loss.code(target, search), start, data, tmp_path)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
def test_names_of_a_search(target, tmp_path):
    # data and parameters called as what a search calls its own
    names = sp.symbols("n step slope tried search value_at dot")
    n, step, slope, tried, search, value_at, dot = names
    loss = sd.Loss(
        (n - tried) ** 2 + 3 * (step - n) ** 2 * slope + (dot - search) ** 4 + value_at * dot**2, [n, step, dot]
    )
    start, data = {"n": 0.1, "step": 0.2, "dot": -0.5}, {"slope": 1.5, "tried": 2.0, "search": 0.5, "value_at": 0.25}
    for optimizer in (sd.Newton(), sd.NelderMead()):
        text = loss.code(target, optimizer)
        wanted = expected(loss, start, data, optimizer)
        found = run(target, text, start, data, tmp_path)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "rule",
    [None, sd.RMSprop(0.01), sd.Newton(), sd.NelderMead()],
    ids=["loss alone", "RMSprop", "Newton", "NelderMead"],
)
@pytest.mark.parametrize("target", TARGETS)
def test_programs_can_be_tried_at_once(target, rule, tmp_path):
    # a main that does not run, or prints other numbers than the loss has
    loss, start, _ = LOSSES["indexed"]
    text = loss.code(target, rule)
    path = tmp_path / {"c": "descent.c", "javascript": "descent.js"}.get(target, "descent.py")
    path.write_text(text, encoding="utf-8")
    command = ["node" if target == "javascript" else sys.executable, str(path)]
    if target == "c":
        subprocess.run(["gcc", "-O2", "-std=c99", str(path), "-o", str(tmp_path / "descent"), "-lm"], check=True)
        command = [str(tmp_path / "descent")]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    first = float(done.stdout.split("\n")[0].split()[1])
    from symdescent.export.example import example

    values = example(loss.statement)
    names = {str(getattr(thing, "name", thing)): value for thing, value in values.items()}
    assert first == pytest.approx(
        loss.compile().value({p: names[p] for p in start}, {"X": names["X"], "y": names["y"]}), rel=1e-12
    )
    if rule is not None:
        assert float(done.stdout.split("\n")[1].split()[3]) < first


@pytest.mark.parametrize("target", ["python", "numpy", "numba", "c", "jax", "javascript"])
def test_programs_stand_alone_and_are_the_same_twice(target):
    # an import of this package, an order that changes from run to run
    loss, _, _ = LOSSES["softmax"]
    text = loss.code(target, RULES["clipped"])
    assert text == sd.Loss(loss.expression, loss.parameters).code(target, RULES["clipped"])
    if target in ("c", "javascript"):
        assert text.isascii() or "θ" in text
        assert target == "c" or not re.search(r"\b(import|symdescent)\b|require\(", text)
        return
    imported = {
        alias.name.split(".")[0] if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    allowed = {"python": {"math"}, "numpy": {"numpy", "math"}, "numba": {"numba", "numpy", "math"}, "jax": {"jax"}}[
        target
    ]
    assert imported <= allowed
    assert "symdescent" not in text


def test_the_title_says_what_is_computed():
    loss = sd.Loss((y - w * x) ** 2, w, samples=[x, y])
    text = loss.code("numpy", sd.Momentum(0.1))
    title = ast.get_docstring(ast.parse(text))
    assert "Loss: the mean over the samples of (-w*x + y)**2" in title
    steps = len(loss.derivation(w))
    assert f"Gradient by w (step {steps} of its derivation): " in title
    assert "v' = μ*v + g" in title and "θ' = θ - η*v'" in title
    assert "cc -O2 -std=c99" in loss.code("c", sd.Momentum(0.1))


def test_names_cannot_break_out():
    nasty = sp.Symbol('a"""; import os; """*/ system("x"); /*')
    loss = sd.Loss((nasty - 1) ** 2, nasty)
    rule = sd.UpdateRule('"""\n*/ x', [(theta, theta - rate * g)], [sd.Hyperparameter("learning_rate", rate, 0.1)])
    for target in ("python", "numpy", "numba", "jax"):
        tree = ast.parse(loss.code(target, rule))
        assert not any(isinstance(node, ast.Import) and node.names[0].name == "os" for node in ast.walk(tree))
    for target in ("c", "javascript"):
        outside = re.sub(r"/\*.*?\*/", "", loss.code(target, rule), flags=re.DOTALL)
        assert "system" not in outside and "import" not in outside


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fortran",), "target='fortran' is not one of 'python', 'numpy', 'numba', 'c', 'jax', 'javascript'"),
        (("c", sd.LBFGS()), "LBFGS is SciPy's, which a program for 'c' cannot call"),
        (("c", "adam"), "'adam' is no optimizer"),
    ],
)
def test_what_cannot_be_written(arguments, message):
    with pytest.raises(sd.StatementError, match=message):
        LOSSES["scalar"][0].code(*arguments)


@pytest.mark.parametrize("target", ["python", "c", "numpy", pytest.param("javascript", marks=needs_node)])
def test_long_and_deep_losses_are_written_too(target, tmp_path):
    # lines of thousands of characters, recursion, minutes
    terms = ((w - sp.Rational(number, 7)) ** 2 * (1 + b**2) + sp.sin(number * w) for number in range(1, 400))
    deep = x
    for _ in range(120):
        deep = sp.sin(deep) + x
    for loss, start in (
        (sd.Loss(sp.Add(*terms), [w, b]), {"w": 0.5, "b": 0.25}),
        (sd.Loss(deep, x), {"x": 0.1}),
    ):
        text = loss.code(target, sd.Adam(0.01))
        assert max(map(len, text.splitlines())) < 500
        wanted = expected(loss, start, {}, sd.Adam(0.01))
        np.testing.assert_allclose(run(target, text, start, {}, tmp_path), wanted, rtol=1e-10)


def test_the_name_of_a_rule_cannot_end_a_remark():
    # a remark in C that a printable name without quotes closes
    rule = sd.UpdateRule(
        "a */ abort(); /*", [(theta, theta - rate * g)], [sd.Hyperparameter("learning_rate", rate, 0.1)]
    )
    outside = re.sub(r"/\*.*?\*/", "", LOSSES["scalar"][0].code("c", rule), flags=re.DOTALL)
    assert "abort" not in outside


def test_the_powers_of_adam_fade_to_zero():
    # β^t as a denormal number for ever: each product with it costs a processor many times what others cost
    loss, _, _ = LOSSES["scalar"]
    space = module(loss.code("python", sd.Adam(0.01)))
    names = list(inspect.signature(space["step"]).parameters)
    given = dict.fromkeys(names, 0.5) | {"p_1": 1e-299, "p_2": 1e-290}
    *_, p_1, p_2 = space["step"](**given)
    assert p_1 == pytest.approx(0.9e-299, rel=1e-12) and p_2 == pytest.approx(0.999e-290, rel=1e-12)
    *_, p_1, p_2 = space["step"](**given | {"p_1": p_1 / 10, "p_2": p_2})
    assert p_1 == 0.0 and p_2 > 0.0
