"""Descents in files: arrays as NumPy stores them, everything else as JSON; nothing in a file is ever executed.

Expressions are written as trees of class names from a fixed list. The loss and the optimizer are kept with the descent;
data are not, and are given again to go on.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.symbol import Str
from sympy.functions.special.tensor_functions import KroneckerDelta
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction

from symdescent.compiled import CompiledLoss
from symdescent.descent import result as results
from symdescent.descent.result import Descent
from symdescent.descent.runners import runner
from symdescent.descent.samples import Samples
from symdescent.elementary import functions
from symdescent.elementary.table import BY_CLASS
from symdescent.errors import DataError, StatementError
from symdescent.optimizers import OTHERS, SEARCHES, Hyperparameter, LineSearch, Norm, Policy, State, Total, UpdateRule
from symdescent.statement import Statement, name_of, state

FORMAT = 1
_HEADS = (
    *(sp.Add, sp.Mul, sp.Pow, sp.Sum, sp.Product, sp.Indexed, sp.Tuple, sp.Piecewise, sp.Max, sp.Min, KroneckerDelta),
    *(sp.Eq, sp.Ne, sp.Lt, sp.Le, sp.Gt, sp.Ge, sp.And, sp.Or, sp.Not, sp.Xor, sp.ITE, sp.Lambda),
    *(sp.MatAdd, sp.MatMul, sp.MatPow, sp.HadamardProduct, sp.HadamardPower, sp.Transpose, sp.Inverse, sp.Trace),
    *(sp.Determinant, sp.Identity, sp.ZeroMatrix, sp.OneMatrix, sp.DiagMatrix, ElementwiseApplyFunction),
    *(sp.matrices.expressions.matexpr.MatrixElement, sp.functions.elementary.piecewise.ExprCondPair),
    *(sp.cot, sp.sec, sp.csc, sp.coth, sp.sech, sp.csch, sp.factorial, sp.beta, sp.digamma, sp.conjugate, sp.re, sp.im),
    *(functions.sigmoid, functions.softplus, functions.relu, functions.logsumexp, functions.softmax),
    *(functions.RowSoftmax, functions.RowLogSumExp, Total, Norm, *BY_CLASS),
)
_BY_NAME = {head.__name__: head for head in _HEADS}
_CONSTANTS = {
    name: getattr(sp.S, name) for name in ("Pi", "Exp1", "EulerGamma", "GoldenRatio", "Infinity", "NegativeInfinity")
}
_CONSTANTS |= {"true": sp.true, "false": sp.false}


# -- expressions ------------------------------------------------------------------------------------------------------


def to_json(expression: Any) -> Any:
    """An expression as a tree of lists: the class's name, then what it is made of."""
    for name, constant in _CONSTANTS.items():
        if expression is constant:
            return ["constant", name]
    if isinstance(expression, sp.Integer):
        return ["integer", str(expression)]
    if isinstance(expression, sp.Rational):
        return ["rational", str(expression.p), str(expression.q)]
    if isinstance(expression, sp.Float):
        return ["float", expression._prec, str(expression._mpf_[0]), str(expression._mpf_[1]), expression._mpf_[2]]
    if isinstance(expression, sp.Dummy):
        return ["dummy", expression.name, expression.dummy_index, _assumed(expression)]
    if isinstance(expression, sp.Idx):
        return ["index", to_json(expression.label), *map(to_json, expression.args[1:])]
    if isinstance(expression, sp.Symbol):
        return ["symbol", expression.name, _assumed(expression)]
    if isinstance(expression, sp.IndexedBase):
        shape = None if expression.shape is None else [to_json(length) for length in expression.shape]
        return ["array", to_json(expression.label), shape]
    if isinstance(expression, sp.MatrixSymbol):
        return ["matrix", expression.name, *map(to_json, expression.shape)]
    if isinstance(expression, sp.MatrixBase):
        return ["entries", *([to_json(entry) for entry in row] for row in expression.tolist())]
    if isinstance(expression, sp.FunctionClass) and expression.__name__ in _BY_NAME:
        return ["class", expression.__name__]
    if isinstance(expression, Str):
        return ["text", expression.name]
    name = type(expression).__name__
    if _BY_NAME.get(name) is not type(expression):
        raise StatementError(f"{expression} cannot be stored: {name} is not among the functions that files may hold")
    return [name, *map(to_json, expression.args)]


def _assumed(symbol: sp.Symbol) -> dict[str, bool]:
    return {name: bool(value) for name, value in sorted(symbol._assumptions_orig.items()) if value is not None}


def from_json(tree: Any, dummies: dict[Any, Any] | None = None) -> Any:
    """The expression of a tree; `DataError` for what is none."""
    dummies = {} if dummies is None else dummies

    def read(part: Any) -> Any:
        return from_json(part, dummies)

    try:
        head, *args = tree
        if head == "constant":
            return _CONSTANTS[args[0]]
        if head == "integer":
            return sp.Integer(int(args[0]))
        if head == "rational":
            return sp.Rational(int(args[0]), int(args[1]))
        if head == "float":
            mantissa, exponent = int(args[2]), int(args[3])
            return sp.Float._new((int(args[1]), mantissa, exponent, mantissa.bit_length()), int(args[0]))
        if head == "dummy":
            key = args[0], args[1]
            if key not in dummies:
                dummies[key] = sp.Dummy(str(args[0]), **_assumptions(args[2]))
            return dummies[key]
        if head == "symbol":
            return sp.Symbol(str(args[0]), **_assumptions(args[1]))
        if head == "index":
            return sp.Idx(*map(read, args))
        if head == "array":
            shape = None if args[1] is None else tuple(map(read, args[1]))
            return sp.IndexedBase(read(args[0]), shape=shape)
        if head == "matrix":
            return sp.MatrixSymbol(str(args[0]), *map(read, args[1:]))
        if head == "entries":
            return sp.ImmutableMatrix([[read(entry) for entry in row] for row in args])
        if head == "class":
            return _BY_NAME[args[0]]
        if head == "text":
            return Str(str(args[0]))
        kind = _BY_NAME[head]
        built = [read(argument) for argument in args]
        return kind(*built, evaluate=False) if kind in (sp.Add, sp.Mul, sp.Pow, sp.Max, sp.Min) else kind(*built)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"the file holds {str(tree)[:60]!r} where an expression should be: {error}") from error


def _assumptions(given: Mapping[str, bool]) -> dict[str, bool]:
    return {str(name): bool(value) for name, value in given.items()}


# -- statements and rules ---------------------------------------------------------------------------------------------


def _statement_to_json(statement: Statement) -> dict[str, Any]:
    return {
        "expression": to_json(statement.expression),
        "parameters": [to_json(parameter) for parameter in statement.parameters],
        "samples": [to_json(sample) for sample in statement.samples],
        "reduction": statement.reduction,
        "first_index": statement.first_index,
        "kinks": statement.kinks,
    }


def _statement_from_json(tree: Mapping[str, Any]) -> Statement:
    return state(
        from_json(tree["expression"]),
        [from_json(parameter) for parameter in tree["parameters"]],
        samples=[from_json(sample) for sample in tree["samples"]] or None,
        reduction=str(tree["reduction"]),
        first_index=int(tree["first_index"]),
        kinks=str(tree["kinks"]),
    )


_SYMBOLS = ("parameter", "gradient", "step_number", "loss", "epoch_steps")


def _states_to_json(states: tuple[State, ...]) -> list[Any]:
    return [[to_json(each.symbol), float(each.initial).hex()] for each in states]


def _states_from_json(tree: Any) -> tuple[State, ...]:
    return tuple(State(from_json(symbol), float.fromhex(initial)) for symbol, initial in tree)


def _assignments_to_json(pairs: Any) -> list[Any]:
    return [[to_json(symbol), to_json(expression)] for symbol, expression in pairs]


def _assignments_from_json(tree: Any) -> tuple[Any, ...]:
    return tuple((from_json(symbol), from_json(expression)) for symbol, expression in tree)


def _value_to_json(value: Any) -> Any:
    if isinstance(value, Policy):
        return {
            "policy": value.name,
            "initial": value.initial.hex(),
            "assignments": _assignments_to_json(value.assignments),
            "state": _states_to_json(value.state),
        }
    if isinstance(value, LineSearch):
        return {"search": _record_to_json(value)}
    return value.hex() if isinstance(value, float) else to_json(value)


def _value_from_json(tree: Any) -> Any:
    if isinstance(tree, dict) and "search" in tree:
        return _record_from_json(tree["search"])
    if isinstance(tree, dict):
        return Policy(
            str(tree["policy"]),
            float.fromhex(tree["initial"]),
            _assignments_from_json(tree["assignments"]),
            _states_from_json(tree["state"]),
        )
    return float.fromhex(tree) if isinstance(tree, str) else from_json(tree)


def _rule_to_json(rule: UpdateRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "reference": rule.reference,
        "assignments": _assignments_to_json(rule.assignments),
        "hyperparameters": [
            [each.name, to_json(each.symbol), _value_to_json(each.value), _interval(each.range), each.advice]
            for each in rule.hyperparameters
        ],
        "state": _states_to_json(rule.state),
        "scalar_state": _states_to_json(rule.scalar_state),
        **{name: to_json(getattr(rule, name)) for name in _SYMBOLS},
    }


def _interval(interval: sp.Interval) -> list[Any]:
    return [to_json(interval.start), to_json(interval.end), bool(interval.left_open), bool(interval.right_open)]


def _rule_from_json(tree: Mapping[str, Any]) -> UpdateRule:
    def hyperparameter(name: str, symbol: Any, value: Any, bounds: Any, advice: str) -> Hyperparameter:
        interval = sp.Interval(from_json(bounds[0]), from_json(bounds[1]), *map(bool, bounds[2:]))
        return Hyperparameter(str(name), from_json(symbol), _value_from_json(value), interval, str(advice))

    return UpdateRule(
        name=str(tree["name"]),
        reference=str(tree["reference"]),
        assignments=_assignments_from_json(tree["assignments"]),
        hyperparameters=tuple(hyperparameter(*each) for each in tree["hyperparameters"]),
        state=_states_from_json(tree["state"]),
        scalar_state=_states_from_json(tree["scalar_state"]),
        **{name: from_json(tree[name]) for name in _SYMBOLS},
    )


# -- simple values ----------------------------------------------------------------------------------------------------

_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


def _pack(value: Any, arrays: dict[str, Any]) -> Any:
    """A value as JSON; arrays are put aside under a number."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return {"float": float(value).hex()}
    if isinstance(value, np.ndarray):
        key = f"a{len(arrays)}"
        arrays[key] = value
        return {"array": key}
    if isinstance(value, np.random.Generator):
        return {"random": _pack(value.bit_generator.state, arrays)}
    if isinstance(value, Mapping):
        return {"map": [[str(key), _pack(each, arrays)] for key, each in value.items()]}
    return [_pack(each, arrays) for each in value]


def _unpack(tree: Any, arrays: Mapping[str, Any]) -> Any:
    if isinstance(tree, list):
        return [_unpack(each, arrays) for each in tree]
    if not isinstance(tree, dict):
        return tree
    ((kind, value),) = tree.items()
    if kind == "float":
        return float.fromhex(value)
    if kind == "array":
        return arrays[value]
    if kind == "random":
        state = _unpack(value, arrays)
        if state["bit_generator"] not in _GENERATORS:
            raise DataError(f"the file holds a random generator {state['bit_generator']!r}, which NumPy does not have")
        bits = getattr(np.random, state["bit_generator"])()
        bits.state = state
        return np.random.Generator(bits)
    return {key: _unpack(each, arrays) for key, each in value}


# -- files ------------------------------------------------------------------------------------------------------------

_PLAIN = ("x", "params", "fun", "jac", "nit", "nfev", "njev", "success", "status", "message", "trajectory", "work")


def save(descent: Descent, path: str | Path) -> None:
    """Write a descent to a file. See `Descent.save`."""
    if descent.compiled is None or descent.start is None or descent.run is None:
        raise StatementError(
            "this Descent does not know its loss, so that it cannot be stored: make it with loss.descend"
        )
    arrays: dict[str, Any] = {}
    run = descent.run
    described = {
        "format": FORMAT,
        "statement": _statement_to_json(descent.compiled.statement),
        "optimizer": _optimizer_to_json(descent.optimizer),
        "result": _pack({name: getattr(descent, name) for name in _PLAIN}, arrays),
        "history": _pack(_plain(descent.history), arrays),
        "epochs": _pack(_plain(descent.epochs), arrays),
        "start": _pack({name_of(p): value for p, value in descent.start.parameters.items()}, arrays),
        "kind": type(run).__name__,
        "run": _pack(run.state(), arrays),
        "samples": _pack(run.samples.state(), arrays) if getattr(run, "samples", None) is not None else None,
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("descent.json", json.dumps(described, ensure_ascii=False, indent=1))
        for key, value in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(value), allow_pickle=False)


def load(path: str | Path, data: Any = None, validation: Any = None) -> Descent:
    """Read a descent that `Descent.save` wrote.

    To go on with it (`Descent.resume`), give the data of the loss anew, if it has any: files do not hold them.

    Raises `DataError` for a file that is none, or that was damaged, and for data that do not fit.

    >>> import sympy as sp, symdescent as sd, tempfile
    >>> w, x = sp.symbols("w x")
    >>> data = {"x": [1.0, 2.0]}
    >>> run = sd.Loss((w - x)**2, w, samples=x).descend(0.0, data, sd.GradientDescent(0.1), steps=2)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     run.save(f"{directory}/descent.npz")
    ...     load(f"{directory}/descent.npz", data).params == run.params
    True
    """
    try:
        with zipfile.ZipFile(path) as archive:
            described = json.loads(archive.read("descent.json").decode("utf-8"))
            arrays = dict(_arrays(archive))
        if described["format"] != FORMAT:
            raise DataError(f"{path} has format {described['format']}, not {FORMAT}: it was written by another version")
        return _restored(described, arrays, data, validation)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, UnicodeDecodeError, EOFError) as error:
        if isinstance(error, (DataError, StatementError)):
            raise
        raise DataError(f"{path} is not a descent that was saved, or is damaged: {error}") from error


def _arrays(archive: zipfile.ZipFile) -> Iterator[tuple[str, Any]]:
    for name in archive.namelist():
        if name.endswith(".npy"):
            yield (
                name.removesuffix(".npy"),
                np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False),
            )


def _plain(table: Any) -> Any:
    """A structured array as columns of doubles; whole numbers are below 2^53."""
    return np.array([table[name] for name in table.dtype.names], dtype=np.float64)


def _structured(columns: Any, names: tuple[str, ...]) -> Any:
    return results.records(columns.T.reshape(-1, len(names)), names)


def _restored(described: Mapping[str, Any], arrays: Mapping[str, Any], data: Any, validation: Any) -> Descent:
    statement = _statement_from_json(described["statement"])
    compiled = CompiledLoss(statement)
    optimizer = _optimizer_from_json(described["optimizer"])
    start = _unpack(described["start"], arrays)
    plain = _unpack(described["result"], arrays)
    run = bound = None
    if data is not None or not (statement.samples or _needs_data(statement)):
        bound = compiled.bind(start, data)
        samples = None
        if described["samples"] is not None:
            samples = Samples.restored(compiled, bound, _unpack(described["samples"], arrays), validation)
        run = runner(compiled, optimizer, bound, samples)
        if type(run).__name__ != described["kind"]:
            raise DataError(f"the file was written by a descent of kind {described['kind']}, not {type(run).__name__}")
        run.restore(_unpack(described["run"], arrays))
        if plain.get("work") is not None:
            run.work.rows = [tuple(row) for row in plain["work"].tolist()]
    return Descent(
        **plain,
        history=_structured(_unpack(described["history"], arrays), results.HISTORY_FIELDS),
        epochs=_structured(_unpack(described["epochs"], arrays), results.EPOCH_FIELDS),
        optimizer=optimizer,
        compiled=compiled if bound is not None else None,
        start=run.begun if run is not None else None,
        run=run,
    )


def _needs_data(statement: Statement) -> bool:
    return any(constant not in statement.extents for constant in statement.constants)


def _optimizer_to_json(optimizer: Any) -> Any:
    return {"rule": _rule_to_json(optimizer)} if isinstance(optimizer, UpdateRule) else _record_to_json(optimizer)


def _optimizer_from_json(tree: Mapping[str, Any]) -> Any:
    return _rule_from_json(tree["rule"]) if "rule" in tree else _record_from_json(tree)


def _record_to_json(record: Any) -> dict[str, Any]:
    """A record of numbers, in which other such records may stand."""
    values = {each.name: getattr(record, each.name) for each in fields(record)}
    packed = {
        n: _record_to_json(v) if isinstance(v, LineSearch) else {"value": _pack(v, {})} for n, v in values.items()
    }
    return {"class": type(record).__name__, "values": packed}


def _record_from_json(tree: Mapping[str, Any]) -> Any:
    values = tree["values"].items()
    given = {n: _record_from_json(v) if "class" in v else _unpack(v["value"], {}) for n, v in values}
    return (OTHERS | SEARCHES)[tree["class"]](**given)


__all__ = ["from_json", "load", "save", "to_json"]
