"""Which loop carries out which optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symdescent.binding import Bound
from symdescent.compiled import CompiledLoss
from symdescent.descent.first_order import FirstOrder
from symdescent.descent.lbfgs import QuasiNewton
from symdescent.descent.runner import Runner
from symdescent.descent.samples import Samples
from symdescent.descent.simplex import Simplex
from symdescent.descent.stepped import LineDescent, NewtonDescent, RandomDescent
from symdescent.errors import StatementError
from symdescent.optimizers import LBFGS, NelderMead, Newton, RandomSearch, UpdateRule

_RUNNERS: dict[type, Callable[..., Runner]] = {
    Newton: NewtonDescent,
    NelderMead: Simplex,
    RandomSearch: RandomDescent,
    LBFGS: QuasiNewton,
}
WITHOUT_GRADIENT = (NelderMead, RandomSearch)


def runner(compiled: CompiledLoss, optimizer: Any, bound: Bound, samples: Samples | None = None) -> Runner:
    """The loop of an optimizer; `StatementError` for what is none, or reads no batches."""
    if isinstance(optimizer, UpdateRule) and optimizer.program.searched is None:
        return FirstOrder(compiled, optimizer, bound, samples)
    if samples is not None:
        raise StatementError(
            f"{optimizer} compares losses at several points, so that each step needs all samples: leave batch_size and "
            "validation out, or use an update rule such as Adam"
        )
    if isinstance(optimizer, UpdateRule):
        return LineDescent(compiled, optimizer, bound)
    return _RUNNERS[type(optimizer)](compiled, optimizer, bound)


def check_optimizer(optimizer: Any) -> None:
    """Raise `StatementError` for what is no optimizer."""
    if isinstance(optimizer, UpdateRule) or type(optimizer) in _RUNNERS:
        return
    made = f"{optimizer.__name__}(…)" if callable(optimizer) and hasattr(optimizer, "__name__") else None
    hint = (
        f": call it, as in {made}" if made else ": use GradientDescent(0.1), Adam(0.01), Newton() or a rule of your own"
    )
    raise StatementError(
        f"the optimizer {optimizer!r} is not an UpdateRule, Newton, NelderMead, RandomSearch or LBFGS{hint}"
    )
