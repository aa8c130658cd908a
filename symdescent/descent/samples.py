"""The order in which samples are read: a new one every epoch, from a seed; data are never moved."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from symdescent.binding import Binder, Bound
from symdescent.compiled import CompiledLoss, LoopKernels
from symdescent.descent.options import Sampling
from symdescent.errors import DataError, StatementError, UnsupportedError
from symdescent.notation.batches import COUNT, FIRST, ORDER

BLOCK = 1 << 16  # entries of the order that are drawn at once, if epochs are short


class Samples:
    """The samples of a descent: those that steps read, and those that are held out.

    `order` holds the positions of the samples for some epochs, `count` how many an epoch reads, `epoch_steps` in how
    many steps.
    """

    def __init__(self, compiled: CompiledLoss, bound: Bound, options: Sampling) -> None:
        if not isinstance(compiled.kernels, LoopKernels):
            raise UnsupportedError("this loss is written out, without a sum over samples: leave batch_size out")
        self.compiled, self.bound, self.options = compiled, bound, options
        self.total = compiled.sample_count(bound)
        if self.total < 1:
            raise DataError("there are no samples: give data with at least one")
        try:
            self.random = np.random.default_rng(options.seed)
        except (TypeError, ValueError) as error:
            raise StatementError(
                f"seed={options.seed!r} is no seed: give a whole number from 0 on ({error})"
            ) from error
        self._begun = copy.deepcopy(self.random)
        self.chosen: Any = None  # positions of the samples that are not held out; None for all
        self.held_out: Any = None
        self.held_out_data: Bound | None = None
        validation = options.validation
        if isinstance(validation, (int, float, np.number)):
            held = max(1, round(float(validation) * self.total))
            if held >= self.total:
                raise DataError(f"of {self.total} samples, validation={validation} holds out all: give more samples")
            mixed = self.random.permutation(self.total)
            self.held_out, self.chosen = np.sort(mixed[:held]), np.sort(mixed[held:])
        elif validation is not None:
            self.held_out_data = Binder(compiled.statement).bind(bound.parameters, validation)
        self.count = self.total if self.chosen is None else len(self.chosen)
        self.batch_size = self.count if options.batch_size is None else options.batch_size
        if self.batch_size > self.count:
            raise DataError(
                f"batch_size={self.batch_size} is more than the {self.count} samples that there are"
                + (" beside those held out" if self.chosen is not None else "")
                + ": give a smaller one, or leave it out to read all of them in every step"
            )
        whole = self.count // self.batch_size
        self.epoch_steps = whole if options.drop_last else -(-self.count // self.batch_size)
        self.order = np.empty(0, dtype=np.int64)

    @property
    def least(self) -> int:
        """How many samples the last batch of an epoch must have."""
        return self.batch_size if self.options.drop_last else 1

    def refill(self, epochs: int) -> None:
        """Draw the order of the next epochs: at most so many, and no more than a block unless one is longer."""
        number = max(1, min(epochs, BLOCK // self.count))
        self.order = np.concatenate([self._epoch() for _ in range(number)])

    def _epoch(self) -> Any:
        if self.options.shuffle == "replacement":
            drawn = self.random.integers(0, self.count, self.count)
        elif self.options.shuffle and self.batch_size < self.count:
            drawn = self.random.permutation(self.count)
        else:
            drawn = np.arange(self.count)
        return drawn if self.chosen is None else self.chosen[drawn]

    def validation_loss(self, parameters: dict[Any, Any], bound: Bound) -> float:
        """The loss over what is held out."""
        if self.held_out_data is not None:
            held = self.held_out_data
            return self.compiled.kernels.value(Bound(parameters, held.data, held.extents))
        data = {**bound.data, ORDER: self.held_out}
        extents = {**bound.extents, FIRST: 0, COUNT: len(self.held_out)}
        return self.compiled.batch_kernels.value(Bound(parameters, data, extents))

    def state(self) -> dict[str, Any]:
        """What must be stored to go on: the options and where the random generator and the order are."""
        options, own = self.options, isinstance(self.options.validation, (int, float, np.number))
        return {
            "options": [options.batch_size, options.shuffle, options.drop_last, options.patience],
            "share": float(options.validation) if own else None,
            "data": options.validation is not None and not own,
            "total": self.total,
            "begun": self._begun,
            "random": self.random,
            "order": self.order,
        }

    @classmethod
    def restored(cls, compiled: CompiledLoss, bound: Bound, state: Mapping[str, Any], validation: Any) -> Samples:
        """The samples of a stored descent, with their data given anew."""
        if state["data"] and validation is None:
            raise DataError("the descent had validation data of its own: give them again with validation=…")
        batch_size, shuffle, drop_last, patience = state["options"]
        held = validation if state["data"] else state["share"]
        samples = cls(compiled, bound, Sampling(batch_size, shuffle, drop_last, state["begun"], held, patience))
        if samples.total != state["total"]:
            raise DataError(
                f"the descent had {state['total']} samples, and these are {samples.total}: give the same data"
            )
        samples.random, samples.order = state["random"], state["order"]
        return samples

    def restarted(self) -> Samples:
        """The same samples from their first epoch on."""
        return Samples(self.compiled, self.bound, replace(self.options, seed=copy.deepcopy(self._begun)))

    def copy(self) -> Samples:
        """The same, with a random generator of its own."""
        other = copy.copy(self)
        other.random = copy.deepcopy(self.random)
        return other


class Batches:
    """The batches of a descent, one after the other, without the compiled loop: for steps that are shown."""

    def __init__(self, samples: Samples) -> None:
        self.samples, self.inside = samples, samples.count

    @property
    def epoch_steps(self) -> int:
        """How many steps an epoch has."""
        return self.samples.epoch_steps

    def evaluate(self, bound: Bound) -> tuple[float, dict[Any, Any]]:
        """The loss of the next batch, and its gradient."""
        samples = self.samples
        if self.inside + samples.least > samples.count:
            samples.refill(1)
            self.inside = 0
        count = min(samples.batch_size, samples.count - self.inside)
        data, extents = {**bound.data, ORDER: samples.order}, {**bound.extents, FIRST: self.inside, COUNT: count}
        self.inside += count
        return samples.compiled.batch_kernels.value_and_gradient(Bound(bound.parameters, data, extents))


def unflattened(flat: Any, shapes: Mapping[Any, tuple[int, ...]]) -> dict[Any, Any]:
    """The parameters in a flat vector: arrays are views of it."""
    params, place = {}, 0
    for parameter, shape in shapes.items():
        count = int(np.prod(shape))
        params[parameter] = flat[place : place + count].reshape(shape) if shape else float(flat[place])
        place += count
    return params
