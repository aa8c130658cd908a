"""The targets that compute with whole arrays: ``numpy``, and ``jax``, which is the same text on JAX's arrays."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp

from symdescent.codegen.arrays import array_functions, helper_source
from symdescent.codegen.names import Names
from symdescent.codegen.program import KernelWriter, helper_text
from symdescent.codegen.scalar_printer import ATOM, SELECT, ScalarPrinter, Text
from symdescent.elementary import TABLE
from symdescent.elementary import numeric as on
from symdescent.export.canonical import ARRAY, COUNT, DATA, NUMBER, POSITIONS, Argument, plain_name
from symdescent.export.flat_arrays import ArraySearch
from symdescent.export.loops import docstring, written_array
from symdescent.export.searches import SEARCH, searched
from symdescent.graph import Graph, Node
from symdescent.notation.lower import Lowering
from symdescent.optimizers import UpdateRule
from symdescent.optimizers.symbols import Total, totals
from symdescent.statement import ARRAYS, Statement

_LOCALS = ("steps", "t", "loss", "main", "step", "descend", "np", "jnp", "jax", "carry", "body", "gradient", "value")


def module(
    target: str, statement: Statement, optimizer: Any, title: Sequence[str], values: Mapping[Any, Any] | None
) -> str:
    """A module for NumPy, or for JAX in double precision."""
    kind = _JaxModule if target == "jax" else _Module
    return kind(statement, optimizer).text(title, values)


# -- update rules on arrays -------------------------------------------------------------------------------------------


class _Elementwise(ScalarPrinter):
    """Prints assignments so that they hold for numbers and for arrays, entry by entry."""

    def operation(self, node: Node) -> Text:
        """The expression that computes a node from its arguments."""
        if node.op == "select":
            then, otherwise = map(self.text, node.args[1:])
            return f"np.where({self.condition(node.args[0])}, {then}, {otherwise})", ATOM
        return super().operation(node)

    def _constant(self, node: Node) -> Text:
        written, strength = super()._constant(node)
        return written.replace("math.", "np."), strength

    def _call(self, node: Node) -> str:
        args = [self.text(argument) for argument in node.args]
        if node.payload in ("max", "min"):
            name = "np.maximum" if node.payload == "max" else "np.minimum"
            written = args[0]
            for other in args[1:]:
                written = f"{name}({written}, {other})"
            return written
        template = TABLE[node.payload].numpy
        self.helpers.add(template.split("(")[0])
        return template.format(*args)

    def _condition(self, node: Node) -> Text:
        if node.op in ("all", "any"):
            sign = " & " if node.op == "all" else " | "
            return sign.join(f"({self.condition(argument)})" for argument in node.args), SELECT
        if node.op == "not" and node.args[0].op != "equal":
            return f"np.logical_not({self.condition(node.args[0])})", ATOM
        return super()._condition(node)


class _Module:
    """One module: its functions take the parameters, then the data by name, as `array_functions` prints them."""

    def __init__(self, statement: Statement, optimizer: Any) -> None:
        self.writer = KernelWriter(statement)
        self.statement, self.optimizer = self.writer.statement, optimizer
        self.names = Names()
        self.names.reserve(_LOCALS)
        self.search = ArraySearch(optimizer, self.writer) if searched(optimizer) else None
        self.names.reserve(self.search.names if self.search else ())
        self.signature = self.writer.signature(self.names, outputs=False)
        self.helpers: set[str] = set()

    def text(self, title: Sequence[str], values: Mapping[Any, Any] | None) -> str:
        """The whole module."""
        functions, helpers = array_functions(self.writer, broadcasting=False)
        parts, host = [*functions], []
        constants = ""
        if self.search is not None:
            parts += self.search.functions
            helpers |= self.search.helpers
            host = [*self.before_search(), *self.search.texts(), self._around_search()]
        elif self.optimizer is not None:
            step, descend, numbers = self._descent(self.optimizer)
            constants = "".join(f"{name} = {value!r}\n" for name, value in numbers.items())
            parts += [step, descend]
        body = _joined(parts)
        used = {name.removeprefix("on.") for name in re.findall(r"\bon\.\w+", body)} | self.helpers
        body = re.sub(r"\bon\.(\w+)", r"\1", body)
        own = [numeric_source(name) for name in sorted(used)] + [helper_source(name) for name in sorted(helpers)]
        device = self.translated(_joined([constants, *own, body]))
        whole = _joined([device, *host, self.translated(_joined(self._main(values)))])
        return _joined([f"{docstring(title)}\n\n{self.imports(whole)}", whole])

    def translated(self, text: str) -> str:
        """Functions of NumPy's arrays as those of the target's."""
        return text

    def imports(self, whole: str) -> str:
        """What the module needs."""
        scipy = "from scipy.optimize import minimize\n" if "minimize(" in whole else ""
        return ("import math\n\n" if "math." in whole else "") + "import numpy as np\n" + scipy

    # -- descent --------------------------------------------------------------------------------------------------

    def _descent(self, rule: UpdateRule) -> tuple[str, str, dict[str, float]]:
        program, names = rule.program, self.names
        constants = {each.symbol: names.fresh(each.name, "h") for each in program.numbers}
        shared = {each.symbol: names.fresh(each.symbol.name, "u") for each in program.scalar_state}
        parameters = {p: self.signature.names[p] for p in self.statement.parameters}
        slopes = {p: self.signature.gradients[p] for p in parameters}
        states = {
            (p, each.symbol): names.fresh(f"{name}_{each.symbol.name}", "u")
            for p, name in parameters.items()
            for each in program.state
        }
        kept = {
            (p, s): names.fresh(f"{name}_{s.name}", "u")
            for p, name in parameters.items()
            for s, _ in program.assignments
            if s in program.coordinates and (p, s) not in states and s != rule.parameter
        }
        outside = {rule.step_number: "t", rule.loss: "loss", rule.epoch_steps: "1.0"}
        scalars = {**constants, **shared, **outside}
        lines: list[str] = []
        for symbol, expression in ((s, e) for phase in program.phases for s, e in phase.assignments):
            if symbol in program.coordinates:
                for p in parameters:
                    own = self._own(rule, p, parameters, slopes, states, kept)
                    lines.append(f"{own[symbol]} = {self._written({**scalars, **own}, expression)}")
                continue
            replaced: dict[Any, Any] = {}
            for total in totals(expression):
                dummy = sp.Dummy("total", real=True)
                scalars[dummy] = f"({self._total(rule, total, scalars, parameters, slopes, states, kept)})"
                replaced[total] = dummy
            if symbol not in scalars:
                scalars[symbol] = names.fresh(symbol.name, "u")
            lines.append(f"{scalars[symbol]} = {self._written(scalars, expression.xreplace(replaced))}")
        carried = [*parameters.values(), *states.values(), *shared.values()]
        extra = [name for symbol, name in outside.items() if symbol != rule.epoch_steps and program.uses(symbol)]
        initial = {each.symbol: each.initial for each in program.states}
        begins = [
            f"{name} = np.zeros(np.shape({parameters[p]}))" + _plus(initial[s]) for (p, s), name in states.items()
        ]
        begins += [f"{name} = {_number(initial[s])}" for s, name in shared.items()]
        arguments = [*carried, *slopes.values(), *extra]
        step = _function("step", arguments, f"One step of {plain_name(rule)}: the new values.", lines, carried)
        if "np.where(" in step:  # both branches are computed
            step = f'@np.errstate(all="ignore")\n{step}'
        return (
            step,
            self._loop(carried, list(slopes.values()), extra, begins, list(parameters.values())),
            {constants[each.symbol]: float(each.value) for each in program.numbers},
        )

    def _own(self, rule: UpdateRule, p: Any, parameters: Any, slopes: Any, states: Any, kept: Any) -> dict[Any, str]:
        own = {rule.parameter: parameters[p], rule.gradient: slopes[p]}
        return own | {s: name for (q, s), name in (*states.items(), *kept.items()) if q is p or q == p}

    def _total(
        self, rule: UpdateRule, total: Total, scalars: Any, parameters: Any, slopes: Any, states: Any, kept: Any
    ) -> str:
        terms = []
        for p in parameters:
            own = self._own(rule, p, parameters, slopes, states, kept)
            written = self._written({**scalars, **own}, total.args[0])
            terms.append(f"np.sum({written})" if isinstance(p, ARRAYS) else f"{written}")
        return " + ".join(terms)

    def _written(self, names: Mapping[Any, str], expression: sp.Expr) -> str:
        graph = Graph()
        node = Lowering(graph).lower(expression)
        printer = _Elementwise(
            lambda part: names[part.payload] if part.op == "symbol" else None, str, frozenset(), frozenset()
        )
        written = printer.text(node)
        self.helpers |= {name.removeprefix("on.") for name in printer.helpers if name.startswith("on.")}
        return written

    def _given(self) -> tuple[list[str], list[str]]:
        """The arguments of ``value`` and ``gradient``: in order, and those that go by name."""
        signature = self.signature
        placed = [signature.names[thing] for thing in (*self.statement.parameters, *signature.data)]
        return placed, [signature.names[symbol] for symbol in signature.extents]

    def _call(self, function: str) -> str:
        placed, named = self._given()
        return f"{function}({', '.join([*placed, *(f'{name}={name}' for name in named)])})"

    def _loop(
        self, carried: list[str], slopes: list[str], extra: list[str], begins: list[str], parameters: list[str]
    ) -> str:
        placed, named = self._given()
        loss = [f"loss = {self._call('value')}"] if "loss" in extra else []
        lines = [
            *begins,
            "for t in range(1, steps + 1):",
            *(f"    {line}" for line in loss),
            f"    {', '.join(slopes)} = {self._call('gradient')}",
            f"    {', '.join(carried)} = step({', '.join([*carried, *slopes, *extra])})",
        ]
        arguments = [*placed, "steps", *(["*", *named] if named else [])]
        said = "Descend for a number of steps: the loss reached, and the parameters."
        return _function("descend", arguments, said, lines, [self._call("value"), *parameters])

    # -- searches -------------------------------------------------------------------------------------------------

    def before_search(self) -> list[str]:
        """What is done with the functions of the loss before a search calls them."""
        return []

    def _around_search(self) -> str:
        placed, named = self._given()
        parameters = [self.signature.names[p] for p in self.statement.parameters]
        data = [*placed[len(parameters) :], *(f"{name}={name}" for name in named)]
        shapes = ", ".join(f"np.shape({name})" for name in parameters)
        flat, x = self.names.fresh("flat"), self.names.fresh("x")
        lines = [
            f"{flat} = FlatLoss({', '.join([f'[{shapes}]', *data])})",
            f"{x} = {flat}.joined([{', '.join(parameters)}])",
            f"{SEARCH}({flat}, {x}, {x}.size, steps)",
            f"{', '.join(parameters)}{',' if len(parameters) == 1 else ''} = {flat}.parts({x})",
        ]
        arguments = [*placed, "steps", *(["*", *named] if named else [])]
        said = "Descend for a number of steps: the loss reached, and the parameters."
        return _function("descend", arguments, said, lines, [self._call("value"), *parameters])

    # -- trying it ------------------------------------------------------------------------------------------------

    def _arguments(self) -> list[tuple[Any, Argument]]:
        signature, statement = self.signature, self.statement
        found = []
        for thing in (*statement.parameters, *signature.data, *signature.extents):
            name = signature.names[thing]
            if thing in signature.extents:
                found.append((thing, Argument(name, COUNT)))
            elif isinstance(thing, ARRAYS) or thing in statement.samples:
                kind = (
                    POSITIONS
                    if thing in statement.lowering.index_arrays
                    else ARRAY
                    if thing in statement.parameters
                    else DATA
                )
                found.append((thing, Argument(name, kind, ("",))))
            else:
                found.append((thing, Argument(name, NUMBER)))
        return found

    def _main(self, values: Mapping[Any, Any] | None) -> list[str]:
        if values is None:
            return []
        lines = ['"""Try it on built-in numbers."""']
        for thing, argument in self._arguments():
            value = values[thing]
            if argument.kind == COUNT:
                lines.append(f"{argument.name} = {int(value)}")
            elif argument.shape:
                lines.append(f"{argument.name} = np.array({written_array(value, argument.kind == POSITIONS)})")
            else:
                lines.append(f"{argument.name} = {float(value)!r}")
        lines.append(f'print("loss", {self._call("value")})')
        parameters = [self.signature.names[p] for p in self.statement.parameters]
        if self.optimizer is None:
            lines.append(f'print("gradient", {self._call("gradient")})')
        else:
            placed, named = self._given()
            given = ", ".join([*placed, "10", *(f"{name}={name}" for name in named)])
            lines.append(f"loss, {', '.join(parameters)} = descend({given})")
            lines.append('print("after 10 steps", loss)')
            lines += [f'print("{name} =", {name})' for name in parameters]
        body = "".join(f"    {line}\n" for line in lines)
        return [f"def main():\n{body}", 'if __name__ == "__main__":\n    main()\n']


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part.strip("\n") + "\n" for part in parts if part)


def _function(name: str, arguments: Sequence[str], said: str, lines: Sequence[str], results: Sequence[str]) -> str:
    body = [f'"""{said}"""', *lines, f"return {', '.join(results)}"]
    if len(results) == 1 and name == "step":
        body[-1] = f"return ({results[0]},)"
    return f"def {name}({', '.join(arguments)}):\n" + "".join(f"    {line}\n" for line in body)


def _plus(initial: float) -> str:
    return f" + {_number(initial)}" if initial else ""


def _number(value: float) -> str:
    return "np.inf" if value == float("inf") else "-np.inf" if value == -float("inf") else repr(float(value))


def numeric_source(name: str) -> str:
    """The source of a function that NumPy lacks, as plain text."""
    function = getattr(on, name)
    if inspect.isfunction(function):
        return re.sub(r"\b(\w+): Any\b", r"\1", inspect.getsource(function)).replace(") -> Any:", "):")
    if name == "polygamma":
        return (
            helper_text("polygamma").replace("def polygamma", "def polygamma_of")
            + "\n\npolygamma = np.vectorize(polygamma_of, otypes=[float])\n"
        )
    scalar = {"erf": "math.erf", "erfc": "math.erfc", "gamma": "math.gamma", "loggamma": "math.lgamma"}[name]
    return f"{name} = np.vectorize({scalar}, otypes=[float])\n"


# -- JAX --------------------------------------------------------------------------------------------------------------

_SPECIAL = {
    "erf": "erf = jax.scipy.special.erf\n",
    "erfc": "erfc = jax.scipy.special.erfc\n",
    "gamma": "gamma = jax.scipy.special.gamma\n",
    "loggamma": "loggamma = jax.scipy.special.gammaln\n",
    "polygamma": "def polygamma(n, x):\n    return jax.scipy.special.polygamma(np.asarray(n, dtype=int), x)\n",
}


class _JaxModule(_Module):
    """The same on JAX's arrays, which are never changed in place; the loop over the steps is JAX's own."""

    def translated(self, text: str) -> str:
        """Functions of JAX's arrays, which make new arrays where NumPy changes one."""
        for name, special in _SPECIAL.items():
            text = re.sub(rf"(?m)^{name} = np\.vectorize\(.*\n", special, text)
        text = re.sub(r"(?s)def polygamma_of.*?\n\n\n(?=polygamma = )", "", text)
        text = text.replace('@np.errstate(all="ignore")\n', "")
        lines = [_without_changes(line).rstrip() for line in text.split("\n")]
        return re.sub(r"(?<![\w.])np\.", "jnp.", "\n".join(lines))

    def imports(self, whole: str) -> str:
        """What the module needs."""
        math = "import math\n\n" if "math." in whole else ""
        numpy = "import numpy as np\n" if re.search(r"(?<![\w.])np\.", whole) else ""
        scipy = "from scipy.optimize import minimize\n" if "minimize(" in whole else ""
        doubles = '\njax.config.update("jax_enable_x64", True)\n'
        return f"{math}import jax\nimport jax.numpy as jnp\n{numpy}{scipy}{doubles}"

    def before_search(self) -> list[str]:
        """Functions that are called again and again are compiled."""
        assert self.search is not None
        fixed = [self.signature.names[symbol] for symbol in self.signature.extents]
        called = ["value", "gradient", *(["hessian_vector_product"] if self.search.functions else [])]
        options = f", static_argnames={fixed!r}" if fixed else ""
        return ["".join(f"{name} = jax.jit({name}{options})\n" for name in called)]

    def _loop(
        self, carried: list[str], slopes: list[str], extra: list[str], begins: list[str], parameters: list[str]
    ) -> str:
        placed, named = self._given()
        whole = ", ".join(carried) + ("," if len(carried) == 1 else "")
        loss = [f"loss = {self._call('value')}"] if "loss" in extra else []
        lines = [
            *(f"{name} = np.asarray({name}, dtype=float)" for name in parameters),
            *begins,
            "",
            "def body(t, carry):",
            f"    {whole} = carry",
            *(f"    {line}" for line in loss),
            f"    {', '.join(slopes)} = {self._call('gradient')}",
            f"    return step({', '.join([*carried, *slopes, *extra])})",
            "",
            f"{whole} = jax.lax.fori_loop(1, steps + 1, body, ({whole}))",
        ]
        arguments = [*placed, "steps", *(["*", *named] if named else [])]
        said = "Descend for a number of steps: the loss reached, and the parameters."
        return _function("descend", arguments, said, lines, [self._call("value"), *parameters])


def _without_changes(line: str) -> str:
    """A statement that changes an array in place, as one that makes a new array."""
    text = line.strip()
    pad = line[: len(line) - len(line.lstrip())]
    if text.startswith("add_at("):
        call = ast.parse(text).body[0]
        assert isinstance(call, ast.Expr) and isinstance(call.value, ast.Call)
        target, places, value = (ast.unparse(argument) for argument in call.value.args)
        return f"{pad}{target} = {target}.at[{places}].add({value})"
    changed = re.match(r"(\w+)\[(.*?)\] \+= (.*)$", text)
    if changed:
        target, place, value = changed.groups()
        return f"{pad}{target} = {target}.at[{place}].add({value})"
    return line
