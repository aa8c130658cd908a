"""`descend`: from a loss, a start and an optimizer to a `Descent`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from symdescent.compiled import CompiledLoss
from symdescent.descent import options
from symdescent.descent.result import Descent
from symdescent.descent.runner import Runner
from symdescent.descent.runners import WITHOUT_GRADIENT, check_optimizer, runner
from symdescent.descent.samples import Samples
from symdescent.errors import StatementError
from symdescent.optimizers import GradientDescent, NelderMead


def descend(
    compiled: CompiledLoss,
    start: Any,
    data: Any = None,
    optimizer: Any = None,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    shuffle: bool | str = True,
    drop_last: bool = False,
    seed: Any = 0,
    validation: Any = None,
    patience: int | None = None,
    gtol: float | None = None,
    xtol: float = 0.0,
    ftol: float = 0.0,
    callback: Callable[[Any], Any] | None = None,
    callback_every: int | None = None,
    progress: bool = False,
) -> Descent:
    r"""Minimise a loss from a start, by steps of an optimizer, in a compiled loop.

    Parameters
    ----------
    start
        the first parameter values, by symbol or name (the bare value, if there is one parameter); not changed
    data
        samples and constants, by symbol or name; never copied
    optimizer
        an `UpdateRule`, such as ``GradientDescent(0.1)`` (default), ``Adam(0.01)`` or your own; or `Newton`,
        `NelderMead`, `RandomSearch`, `LBFGS`
    steps, epochs
        at most so many steps, or passes over the samples (default: 1000 steps; 100 epochs where steps read batches;
        200 steps a parameter for `NelderMead`)
    batch_size
        how many samples a step reads: 1 is stochastic descent, None (default) reads all. The value and the gradient of
        a batch of m of n samples are scaled so that they estimate those of the loss: a sum by n/m, a mean by itself
    shuffle
        True (default) reads the samples in a new order each epoch, False in the order of the data, ``"replacement"``
        draws each anew
    drop_last
        leave out the last batch of an epoch if it is short
    seed
        an integer, or whatever ``numpy.random.default_rng`` takes: the same seed gives the same run, bit for bit
    validation, patience
        a share of the samples to hold out, or data of their own: their loss is evaluated after each epoch, the
        parameters with the lowest are returned, and the descent stops when it was not lower for `patience` epochs
    gtol, xtol, ftol
        stop when the largest gradient component (default 1e-6), the largest parameter change in a step, or the loss
        change in a step is at most this; 0 switches the test off. Where steps read batches, the tests are made after
        each epoch, with the gradient over all samples, and all are off by default
    callback, callback_every
        a function that is called with the `Progress` so far about ten times a second, or every so many steps; if it
        returns True, or raises StopIteration, the descent stops
    progress
        show a progress bar

    Raises
    ------
    DataError
        for values that do not fit the statement; `StatementError` for options out of range; `UnsupportedError` for
        batches of a loss that is no sum over samples

    Ctrl-C ends a descent with what was reached.

    >>> import sympy as sp, symdescent as sd
    >>> w, x, y = sp.symbols("w x y")
    >>> result = sd.Loss((w - 3)**2, w).descend(0, optimizer=sd.GradientDescent(0.1), steps=1, gtol=0)
    >>> round(result.params["w"], 12)
    0.6
    >>> line = sd.Loss((y - w*x)**2, w, samples=[x, y])
    >>> data = {"x": [0, 1, 2, 3], "y": [0, 2, 4, 6]}
    >>> result = line.descend(0, data, sd.GradientDescent(0.05), batch_size=1, epochs=50, seed=1)
    >>> round(result.params["w"], 6)
    2.0
    """
    run, stopping = prepare(
        compiled, start, data, optimizer, steps=steps, epochs=epochs, batch_size=batch_size, shuffle=shuffle,
        drop_last=drop_last, seed=seed, validation=validation, patience=patience, gtol=gtol, xtol=xtol, ftol=ftol,
        callback=callback, callback_every=callback_every, progress=progress,
    )  # fmt: skip
    return run.go(stopping)


def prepare(
    compiled: CompiledLoss,
    start: Any,
    data: Any = None,
    optimizer: Any = None,
    *,
    steps: Any = None,
    epochs: Any = None,
    batch_size: Any = None,
    shuffle: Any = True,
    drop_last: Any = False,
    seed: Any = 0,
    validation: Any = None,
    patience: Any = None,
    gtol: Any = None,
    xtol: Any = 0.0,
    ftol: Any = 0.0,
    callback: Any = None,
    callback_every: Any = None,
    progress: Any = False,
) -> tuple[Runner, options.Stopping]:
    """Check everything, and return what is ready to go, and when it stops. See `descend`."""
    drawn = options.sampling(batch_size, shuffle, drop_last, seed, validation, patience)
    chosen = GradientDescent(0.1) if optimizer is None else optimizer
    check_optimizer(chosen)
    blind = isinstance(chosen, WITHOUT_GRADIENT)
    if blind and gtol:
        raise StatementError(f"gtol={gtol}, but {chosen} takes no gradient: {_INSTEAD[type(chosen).__name__]}")
    bound = compiled.bind(start, data)
    if isinstance(chosen, NelderMead):
        if xtol or ftol:
            raise StatementError(f"xtol={xtol} and ftol={ftol}: {_INSTEAD['NelderMead']}")
        size = sum(int(np.size(value)) for value in bound.parameters.values())
        steps = 200 * size if steps is None and epochs is None else steps
    gtol = (0.0 if drawn.wanted or blind else 1e-6) if gtol is None else gtol
    stopping = options.stopping(steps, epochs, drawn.wanted, gtol, xtol, ftol, callback, callback_every, progress)
    samples = Samples(compiled, bound, drawn) if drawn.wanted else None
    return runner(compiled, chosen, bound, samples), stopping


_INSTEAD = {
    "NelderMead": "it ends where the simplex is small, as in NelderMead(xatol=1e-8, fatol=1e-8)",
    "RandomSearch": "use xtol or ftol, which are tested when a step finds a lower point, or steps alone",
}


def go_on(run: Runner, steps: int | None, epochs: int | None, chosen: Mapping[str, Any]) -> Descent:
    """Go on with a descent, for more steps or epochs."""
    known = {"gtol": 0.0, "xtol": 0.0, "ftol": 0.0, "callback": None, "callback_every": None, "progress": False}
    for name in chosen:
        if name not in known:
            raise StatementError(f"{name} cannot be chosen anew: a descent goes on with {', '.join(known)} alone")
    further = run.copy()
    sampled = getattr(further, "samples", None) is not None
    given = {**known, **chosen}
    if steps is None and epochs is None:
        raise StatementError("say how far to go on: resume(steps=…) or resume(epochs=…)")
    stopping = options.stopping(
        steps, epochs, sampled, given["gtol"], given["xtol"], given["ftol"], given["callback"], given["callback_every"],
        given["progress"],
    )  # fmt: skip
    total = further.target(stopping) + further.nit
    further.restart()
    return further.go(replace(stopping, steps=total, epochs=None))
