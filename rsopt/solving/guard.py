"""Running foreign code against the clock: a call that does not come back is interrupted and given up."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")

GRACE = 0.25


class OutOfTime(BaseException):
    """Raised inside the guarded call; a BaseException, so that `except Exception` in foreign code lets it pass."""


class Guarded(Generic[T]):
    """The outcome of a guarded call: its value, or what it raised, or neither if it did not come back.

    Attributes:
        value: what it returned; None otherwise.
        error: what it raised; None otherwise.
        timed_out: whether it was interrupted.
    """

    def __init__(self) -> None:
        self.value: T | None = None
        self.error: BaseException | None = None
        self.timed_out = False


def guarded(call: Callable[[], T], deadline: float) -> Guarded[T]:
    """Run `call` in a thread until `deadline` (time.perf_counter) and a short grace.

    A call that overruns gets an exception raised inside it, which ends loops in Python. One that hangs in
    compiled code is left to its daemon thread: nothing in Python can stop that.

    Args:
        call: takes nothing.
        deadline: in seconds of time.perf_counter.
    """
    outcome: Guarded[T] = Guarded()

    def body() -> None:
        # The interruption may arrive while an outcome is being stored, hence the outer fence.
        with suppress(OutOfTime):
            try:
                outcome.value = call()
            except OutOfTime:
                outcome.timed_out = True
            except BaseException as error:
                outcome.error = error

    thread = threading.Thread(target=body, daemon=True, name="rsopt solver")
    thread.start()
    try:
        thread.join(min(max(deadline - time.perf_counter(), 0.0) + GRACE, threading.TIMEOUT_MAX))
        if thread.is_alive():
            _interrupt(thread)
            thread.join(4 * GRACE)
            outcome.timed_out = True
    except BaseException:
        # Ctrl-C arrives in the waiting thread; the call must not go on behind the user's back.
        _interrupt(thread)
        raise
    return outcome


def _interrupt(thread: threading.Thread) -> None:
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(OutOfTime))
