"""The guard: one waiting thread serves many calls, and what was given up never comes back."""

from __future__ import annotations

import os
import threading
import time

import pytest

from rsopt.solving.guard import guarded


def far() -> float:
    return time.perf_counter() + 60.0


def test_calls_one_after_the_other_share_a_thread() -> None:
    idents = {guarded(threading.get_ident, far()).value for _ in range(20)}
    assert len(idents) == 1
    assert threading.get_ident() not in idents


def test_calls_inside_each_other_do_not() -> None:
    def outer() -> tuple[int, int | None]:
        return threading.get_ident(), guarded(threading.get_ident, far()).value

    found = guarded(outer, far()).value
    assert found is not None
    assert found[0] != found[1]


def test_what_a_call_raises_comes_back_and_the_next_call_is_made() -> None:
    def broken() -> None:
        raise ValueError("no")

    assert isinstance(guarded(broken, far()).error, ValueError)
    assert guarded(lambda: 5, far()).value == 5


def test_an_overrun_is_interrupted_and_its_thread_is_not_used_again() -> None:
    before = guarded(threading.get_ident, far()).value
    ended = threading.Event()

    def endless() -> None:
        try:
            while True:
                time.sleep(0.001)
        finally:
            ended.set()

    outcome = guarded(endless, time.perf_counter())
    assert outcome.timed_out
    assert outcome.error is None
    assert ended.wait(60.0)
    thread = next((each for each in threading.enumerate() if each.ident == before), None)
    if thread is not None:
        thread.join(60.0)
        assert not thread.is_alive()
    assert guarded(lambda: 5, far()).value == 5


def test_what_ignores_the_interruption_is_left_behind() -> None:
    held = threading.Event()
    outcome = guarded(lambda: held.wait(60.0), time.perf_counter())
    assert outcome.timed_out
    assert outcome.value is None
    assert guarded(lambda: 5, far()).value == 5
    held.set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_makes_threads_of_its_own() -> None:
    guarded(threading.get_ident, far())
    child = os.fork()
    if child == 0:
        os._exit(0 if guarded(lambda: 5, far()).value == 5 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
