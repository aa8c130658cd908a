"""A bound on how long a computation may take, for those of SymPy that cannot be known to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SECONDS = 0.5  # of computing time, so that a busy machine changes nothing; expressions that people write take 0.05
TICK = 0.005  # until the next try
_INTERRUPTED = ("sympy", "mpmath")  # where the time is lost


class OutOfPatience(BaseException):
    """The time is up. No `Exception`, because SymPy catches these in many places and goes on."""


@contextmanager
def patience(seconds: float = SECONDS) -> Iterator[None]:
    """Raise `OutOfPatience` in the block when it has computed for so long.

    Where there is no timer for computing time (on Windows, outside of the main thread), there is no bound.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        # not in a destructor or a callback of the garbage collector, from which nothing is raised: at the next tick
        if frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _INTERRUPTED:
            raise OutOfPatience

    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds, TICK)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
