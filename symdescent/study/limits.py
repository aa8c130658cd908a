"""A limit on the time that a computation of SymPy may take."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


class OutOfTime(BaseException):
    """The time is over."""


def within(seconds: float, function: Callable[..., Result], *args: Any) -> Result | None:
    """Return the result of a function, or None if it takes longer than allowed or gives up with an error.

    >>> within(5.0, max, 2, 3)
    3
    >>> within(0.05, lambda: [None for _ in iter(int, 1)]) is None
    True
    """
    try:
        if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
            return _by_signal(seconds, function, args)
        return _by_profile(seconds, function, args)
    except OutOfTime:
        return None
    except (ArithmeticError, AttributeError, IndexError, KeyError, NotImplementedError, RecursionError, TypeError,
            ValueError, AssertionError):  # fmt: skip
        return None  # SymPy's solvers end in any of these where a problem is beyond them


def _by_signal(seconds: float, function: Callable[..., Result], args: tuple[Any, ...]) -> Result:
    def ring(number: int, frame: Any) -> None:
        raise OutOfTime

    begun = time.monotonic()
    handler = signal.signal(signal.SIGALRM, ring)
    before, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    if 0 < before < seconds:  # an alarm that somebody else has set comes first: leave it to them
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, before, interval)
        return function(*args)
    try:
        return function(*args)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if before > 0:
            signal.setitimer(signal.ITIMER_REAL, max(1e-3, before - (time.monotonic() - begun)), interval)


def _by_profile(seconds: float, function: Callable[..., Result], args: tuple[Any, ...]) -> Result:
    """Where there are no timers (other threads, Windows), the clock is looked at in every call."""
    end = time.monotonic() + seconds

    def watch(frame: Any, event: str, argument: Any) -> None:
        if time.monotonic() > end:
            sys.setprofile(before)
            raise OutOfTime

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        return function(*args)
    finally:
        sys.setprofile(before)
