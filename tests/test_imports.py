"""Importing the package: what it costs, what it loads, and that imports run down the table of rooms in DESIGN.md."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import symdescent

PACKAGE = Path(symdescent.__file__).parent

# the rooms from the ground up: a module may import, at its top, only what stands on a lower floor or in its own room
FLOORS = (
    ("errors",),
    ("elementary", "optimizers"),
    ("methods",),
    ("graph",),
    ("differentiate",),
    ("notation",),
    ("statement",),
    ("dual", "losses"),
    ("binding",),
    ("codegen",),
    ("kernels",),
    ("compiled",),
    ("check",),
    ("descent",),
    ("loss",),
    ("derivation", "landscapes"),
    ("study",),
    ("export",),
    ("plots", "explorer"),
    ("cli",),
    ("__main__",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# who may load these: import symdescent must not
HEAVY = {
    "numba": {"codegen"},
    "llvmlite": set(),
    "matplotlib": {"check", "plots", "explorer"},
    "ipywidgets": {"explorer"},
    "scipy": {"descent"},
    "pandas": set(),
}


def modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name, parsed."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()


def room(module: str) -> str:
    return module.split(".")[0]


def imports(tree: ast.Module, at_top: bool) -> list[str]:
    """The modules that are imported: at the top (when the module is loaded), or inside functions (when used)."""
    found: list[str] = []
    pending: list[tuple[ast.AST, bool]] = [(tree, True)]
    while pending:
        node, top = pending.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
                continue  # seen by type checkers only
            if isinstance(child, ast.Import) and top == at_top:
                found += [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom) and top == at_top:
                assert child.level == 0, "relative imports hide which room is meant"
                assert child.module is not None
                found += [f"{child.module}.{alias.name}" for alias in child.names]
            pending.append((child, top and not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))))
    return found


def own(names: list[str]) -> list[str]:
    """The modules of the package among imported names, without the package's name in front."""
    found = []
    for name in names:
        if name == "symdescent" or name.startswith("symdescent."):
            inside = name.removeprefix("symdescent").lstrip(".")
            while inside and inside not in MODULES:
                inside = inside.rpartition(".")[0]  # a name that the module defines
            found.append(inside)
    return found


def test_every_module_has_a_room():
    # a new room that no floor was found for: the rule below would not see it
    assert {room(module) for module in MODULES} - {"__init__"} <= set(FLOOR)


@pytest.mark.parametrize("module", [name for name in MODULES if name != "__init__"])
def test_imports_run_downwards(module):
    # an import upwards: a cycle sooner or later, and two rooms that can only be understood together
    for imported in own(imports(MODULES[module], at_top=True)):
        assert imported, f"{module} imports the package itself: name the room"
        if room(imported) == room(module):
            continue
        assert FLOOR[room(imported)] < FLOOR[room(module)], (
            f"{module} imports {imported}, which stands above or beside it"
        )


def test_nothing_but_what_users_hold_reaches_upwards_while_running():
    # a cycle through the back door: an import inside a function
    allowed = {
        "loss": set(FLOOR),
        "descent": {"descent", "study", "plots"},
        "notation": {"notation"},
        "check": {"check", "plots"},
    }
    for module, tree in MODULES.items():
        for imported in own(imports(tree, at_top=False)):
            if FLOOR[room(imported)] >= FLOOR[room(module)]:
                assert room(imported) in allowed.get(room(module), {room(module)}), (
                    f"{module} imports {imported} inside a function"
                )


def test_modules_of_a_room_do_not_import_each_other_in_a_circle():
    # a cycle inside a room, which floors do not see
    graph = {module: set(own(imports(tree, at_top=True))) - {module} for module, tree in MODULES.items()}
    done: set[str] = set()
    while len(done) < len(graph):
        free = [module for module, needs in graph.items() if module not in done and needs & set(graph) <= done]
        assert free, f"a circle among {sorted(set(graph) - done)}"
        done.update(free)


@pytest.mark.parametrize("heavy", HEAVY)
def test_heavy_libraries_are_loaded_where_they_are_used(heavy):
    # `import matplotlib` at the top of a room that everything imports
    for module, tree in MODULES.items():
        for name in imports(tree, at_top=True):
            assert name.split(".")[0] != heavy, f"{module} loads {heavy} when it is imported"
        for name in imports(tree, at_top=False):
            if name.split(".")[0] == heavy:
                assert room(module) in HEAVY[heavy] | {"kernels"}, f"{module} uses {heavy}"


def python(program: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_next_to_nothing():
    # a first line that takes seconds: numba, matplotlib and our own rooms load when first used
    program = """
import sys, json
import sympy
before = set(sys.modules)
import symdescent
after = set(sys.modules) - before
print(json.dumps(sorted(after)))
"""
    loaded = json.loads(python(program))
    roots = {name.split(".")[0] for name in loaded}
    assert not roots & {"numba", "llvmlite", "matplotlib", "numpy", "scipy", "pandas", "mpmath"}, roots
    assert [name for name in loaded if name.startswith("symdescent")] == ["symdescent"]
    assert len(loaded) < 10


def test_stating_and_deriving_do_not_load_a_compiler():
    # numba takes a second and more: a gradient on paper must not pay for it
    program = """
import sys
import sympy as sp, symdescent as sd
w, x, y = sp.symbols("w x y")
loss = sd.Loss((y - w*x)**2, w, samples=[x, y])
loss.gradient, loss.sample_gradient, loss._repr_latex_()
loss.check(candidate=loss.gradient[w])
sd.GradientDescent(0.1), sd.Momentum(0.1)
loss.lambdify()
print([name for name in ("numba", "llvmlite", "matplotlib", "scipy", "pandas") if name in sys.modules])
loss.compile().value(1.0, {"x": [1.0], "y": [2.0]})
print("numba" in sys.modules, "matplotlib" in sys.modules)
"""
    assert python(program).split("\n")[:2] == ["[]", "True False"]


@pytest.mark.parametrize("name", symdescent.__all__)
def test_every_public_name_resolves(name):
    # a name in __all__ whose home moved
    assert getattr(symdescent, name) is not None
    assert name in dir(symdescent)


def test_the_public_interface_is_complete():
    # names that DESIGN.md promises, or a typing error in __all__
    promised = {"Loss", "GradientDescent", "Momentum", "UpdateRule", "Dual", "Descent", "CompiledLoss", "GradientCheck",
                "losses", "sigmoid", "softplus", "relu", "logsumexp", "softmax"}  # fmt: skip
    assert promised <= set(symdescent.__all__)
    assert len(set(symdescent.__all__)) == len(symdescent.__all__)
    namespace: dict[str, object] = {}
    exec("from symdescent import *", namespace)
    assert set(symdescent.__all__) <= set(namespace)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = symdescent.nothing  # type: ignore[attr-defined]
