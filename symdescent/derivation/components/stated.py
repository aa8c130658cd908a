"""What is derived, in scalar or index notation: the statement with its sums written out, and its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from symdescent.derivation.components.trees import parts, plus, replaced, times, total, unused_name
from symdescent.loss import Loss, component_indices
from symdescent.notation.reading import Reader
from symdescent.statement import Statement


@dataclass(frozen=True, slots=True)
class Stated:
    """A loss as one expression in scalars and array entries.

    `arrays` maps matrices and per-sample symbols to the indexed arrays that stand for them in it.
    """

    loss: Loss
    expression: Any
    arrays: dict[Any, Any]
    reader: Reader

    @property
    def statement(self) -> Statement:
        """The loss's statement."""
        return self.loss.statement

    def variable(self, parameter: Any) -> Any:
        """What to differentiate by: the parameter, or its entry at free indices."""
        base = self.arrays.get(parameter, parameter)
        if isinstance(base, sp.Symbol):
            return base
        return base[self._keys(parameter)]

    def gradient(self, parameter: Any) -> Any:
        """The gradient that the derivation has to end in; of a matrix, its component."""
        if not isinstance(parameter, sp.MatrixSymbol):
            return self.loss.gradient[parameter]
        scatters = [s for s in self.statement.scatters() if s.parameter == parameter]
        return self.reader.component(scatters, self._keys(parameter), self.statement.shape(parameter))

    def _keys(self, parameter: Any) -> tuple[Any, ...]:
        if parameter in self.loss.gradient.indices:
            return tuple(self.loss.gradient.indices[parameter])
        return component_indices(self.statement, parameter)


def stated(loss: Loss) -> Stated:
    """Write a loss's statement with indices where it has samples or matrices."""
    statement = loss.statement
    reader = statement.reader()
    matrices = {
        thing: sp.IndexedBase(thing.name, shape=_lengths(statement, thing))
        for thing in (*statement.parameters, *statement.samples, *statement.constants)
        if isinstance(statement.arrays.get(thing, thing), sp.MatrixSymbol) or isinstance(thing, sp.MatrixSymbol)
    }
    if matrices:
        reader.arrays.update(matrices)
        return Stated(loss, reader.expression(statement.root, {}), matrices, reader)
    if statement.samples:
        return Stated(loss, _over_samples(statement, reader), dict(statement.arrays), reader)
    return Stated(loss, statement.expression, {}, reader)


def _lengths(statement: Statement, thing: Any) -> Any:
    """The lengths of the axes that an array is loaded with: a column of samples has one."""
    rank = statement.lowering.ranks[thing] + (thing in statement.arrays)
    return (statement.shape(thing) or ())[:rank]


def without_clashes(expression: Any, keys: Any) -> Any:
    """The expression with those dummies renamed that are named as the free indices of an entry."""
    mapping: dict[Any, Any] = {}
    names = {str(symbol) for symbol in (*expression.atoms(sp.Symbol), *keys)}
    for key in keys:
        if any(isinstance(part, (sp.Sum, sp.Product)) and key in part.variables for part in parts(expression)):
            mapping[key] = sp.Symbol(unused_name("ijklmpqrstuv", names), integer=True)
            names.add(mapping[key].name)
    return replaced(expression, mapping) if mapping else expression


def _over_samples(statement: Statement, reader: Reader) -> Any:
    """The mean or the sum over the samples, of the terms that have samples in them."""
    index = statement.sample_index
    assert index is not None and statement.sample_count is not None
    environment = reader.open([index], {})
    limit = reader.limit(index, environment)
    entries = {sample: statement.arrays[sample] for sample in statement.samples}
    symbols = {sample: base[limit[0]] for sample, base in entries.items() if isinstance(sample, sp.Symbol)}
    inside: list[Any] = []
    outside: list[Any] = []
    for term in sp.Add.make_args(statement.expression):
        (inside if term.free_symbols & set(statement.samples) else outside).append(term)
    body = sp.Add(*inside)
    body = body.xreplace(symbols)
    body = body.replace(
        lambda part: isinstance(part, sp.Indexed) and part.base in entries,
        lambda part: entries[part.base][(limit[0], *part.indices)],
    )
    count = statement.sample_count
    if statement.reduction == "mean":
        return plus(times(sp.Pow(count, -1), total(sp.Sum, body, limit)), *outside)
    return plus(total(sp.Sum, body, limit), *(times(count, term) for term in outside))
