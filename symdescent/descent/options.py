"""The options of a descent, checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdescent.errors import StatementError


@dataclass(frozen=True, slots=True)
class Stopping:
    """When a descent ends, and who watches it.

    `steps` and `epochs` count from the beginning (one of them is None, or both mean the same); tolerances are 0 where
    they are off; `callback` is called every `every` steps, or with each chunk of about a tenth of a second.
    """

    steps: int | None
    epochs: int | None
    gtol: float
    xtol: float
    ftol: float
    callback: Callable[[Any], Any] | None = None
    every: int | None = None
    progress: bool = False

    @property
    def tested(self) -> bool:
        """Whether a tolerance can end the descent."""
        return any((self.gtol, self.xtol, self.ftol))


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which samples a step reads: `batch_size` of them, in what order, and what is held out."""

    batch_size: int | None
    shuffle: bool | str
    drop_last: bool
    seed: Any
    validation: Any
    patience: int | None

    @property
    def wanted(self) -> bool:
        """Whether samples are drawn or held out at all."""
        return self.batch_size is not None or self.validation is not None


def count_of(name: str, value: Any, least: int = 0) -> int:
    """A whole number, such as a number of steps."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float, np.number))
        or not (least <= value < 2**62 and int(value) == value)
    ):
        raise StatementError(
            f"{name}={value!r} is not a number of {_COUNTED[name]}: give a whole number from {least} on"
        )
    return int(value)


_COUNTED = {
    "steps": "steps",
    "epochs": "epochs",
    "batch_size": "samples",
    "patience": "epochs",
    "callback_every": "steps",
}


def tolerance(name: str, value: Any) -> float:
    """A number from 0 on."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not value >= 0:
        raise StatementError(f"{name}={value!r} is not a tolerance: give a number from 0 on (0 switches the test off)")
    return float(value)


def stopping(
    steps: Any, epochs: Any, sampled: bool, gtol: Any, xtol: Any, ftol: Any, callback: Any, every: Any, progress: Any
) -> Stopping:
    """Check when to stop: 1000 steps (or 100 epochs of batches) where nothing is said."""
    if steps is not None and epochs is not None and (sampled or steps != epochs):
        raise StatementError(
            f"steps={steps} and epochs={epochs} are both given: give one"
            + ("" if sampled else " (with all samples in every step they mean the same)")
        )
    if steps is None and epochs is None:
        steps, epochs = (None, 100) if sampled else (1000, None)
    if epochs is not None:
        epochs = count_of("epochs", epochs)
    steps = count_of("steps", steps) if steps is not None else None if sampled else epochs
    if callback is not None and not callable(callback):
        raise StatementError(f"the callback {callback!r} cannot be called: give a function of the descent so far")
    if every is not None:
        every = count_of("callback_every", every, least=1)
    gtol, xtol, ftol = (tolerance(name, value) for name, value in (("gtol", gtol), ("xtol", xtol), ("ftol", ftol)))
    return Stopping(steps, epochs, gtol, xtol, ftol, callback, every, bool(progress))


def sampling(batch_size: Any, shuffle: Any, drop_last: Any, seed: Any, validation: Any, patience: Any) -> Sampling:
    """Check how samples are drawn."""
    if batch_size is not None:
        batch_size = count_of("batch_size", batch_size, least=1)
    if not (isinstance(shuffle, bool) or shuffle == "replacement"):
        raise StatementError(f"shuffle={shuffle!r} is not one of True, False and 'replacement'")
    if patience is not None:
        patience = count_of("patience", patience, least=1)
        if validation is None:
            raise StatementError(
                f"patience={patience} waits for a validation loss: hold out a part of the samples with "
                f"validation=0.2, or "
                "give data of their own"
            )
    if isinstance(validation, (int, float, np.number)):
        share = float(validation)
        if isinstance(validation, bool) or not 0 < share < 1 or math.isnan(share):
            raise StatementError(
                f"validation={validation!r} is not a share of the samples: give a number between 0 and 1, or data"
            )
    return Sampling(batch_size, shuffle, bool(drop_last), seed, validation, patience)
