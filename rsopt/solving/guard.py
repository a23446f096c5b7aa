"""Running foreign code against the clock: a call that does not come back is interrupted and given up."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
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


class _Helper:
    """A thread that makes one call after the other and waits in between: starting one for each costs as much as a call.

    It ends after a call that was given up, wherever that has brought it.
    """

    def __init__(self) -> None:
        self.given_up = False
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True, name="rsopt solver")
        self._thread.start()

    def call(self, body: Callable[[], None]) -> threading.Lock:
        """Have it called; the lock is released when it has come back."""
        done = threading.Lock()
        done.acquire()

        def told() -> None:
            try:
                body()
            finally:
                done.release()

        self._calls.put(told)
        return done

    def give_up(self) -> None:
        """Raise `OutOfTime` inside the call."""
        self.given_up = True
        if self._thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident), ctypes.py_object(OutOfTime))

    def _work(self) -> None:
        with suppress(OutOfTime):
            while not self.given_up:
                self._calls.get()()


# Those that wait for a call, the last one first; more than one where searches run side by side or in each other. A
# forked process has none of its parent's threads.
_idle: list[_Helper] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)


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

    try:
        helper = _idle.pop()
    except IndexError:
        helper = _Helper()
    done = helper.call(body)
    try:
        if not done.acquire(timeout=min(max(deadline - time.perf_counter(), 0.0) + GRACE, threading.TIMEOUT_MAX)):
            helper.give_up()
            done.acquire(timeout=4 * GRACE)
            outcome.timed_out = True
    except BaseException:
        # Ctrl-C arrives in the waiting thread; the call must not go on behind the user's back.
        helper.give_up()
        raise
    if not helper.given_up:
        _idle.append(helper)
    return outcome
