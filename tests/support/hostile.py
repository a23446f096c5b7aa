"""Solvers that lie, crash or hang."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rsopt.solver import Claim, Proposal
from rsopt.solving.forms import BlackBox


@dataclass(frozen=True)
class Hostile:
    """Does to the form whatever `act` does."""

    act: Callable[[BlackBox], Any]
    name: str
    accepts: ClassVar[tuple[type[BlackBox]]] = (BlackBox,)
    proves: ClassVar[Claim] = Claim.GLOBAL

    def __repr__(self) -> str:
        return f"Hostile({self.name})"

    def refuses(self, form: Any, domain: Any) -> str | None:
        return None

    def propose(self, form: Any, domain: Any, budget: Any, *, stop_at: Any, start: Any, rng: Any) -> Any:
        return self.act(form)


def _raise(form: BlackBox) -> Proposal:
    raise ZeroDivisionError("inside the hostile solver")


def _spin(form: BlackBox) -> Proposal:
    while True:
        pass


def swallow(form: BlackBox) -> Proposal:
    while True:
        try:
            form.log_tails(np.array([[0.9]]))
        except Exception:  # the point of this solver
            continue


def _sleep(form: BlackBox) -> Proposal:
    threading.Event().wait()
    raise AssertionError


def lie(q: tuple[float, ...], **words: Any) -> Callable[[BlackBox], Proposal]:
    return lambda form: Proposal(np.array(q), **words)


def far_end(form: BlackBox) -> Proposal:
    """A feasible point with a tail far below the supremum, said to be globally optimal."""
    return Proposal(form.point([0.97]), claim=Claim.GLOBAL, log_tail=0.0, tail_at_most=1e-9)


WRONG = [
    Hostile(lie((0.9, 0.9, -0.8)), "infeasible point"),
    Hostile(lie((5.0, 1.0, 1.0)), "not normalised"),
    Hostile(lie((1.0, 0.0, 0.0)), "violates the level"),
    Hostile(lie((0.3, 0.3, 0.4), log_tail=math.nan, claim=Claim.GLOBAL), "value NaN"),
    Hostile(lie((0.3, 0.3, 0.4), log_tail=50.0, claim=Claim.GLOBAL), "value above 1"),
    Hostile(far_end, "too small tail"),
]
FAILING = [
    Hostile(_raise, "raises"),
    Hostile(lie((math.nan, 0.1, 0.9)), "NaN"),
    Hostile(lie((math.inf, 0.1, 0.9)), "infinite"),
    Hostile(lie((0.5, 0.5)), "wrong shape"),
    Hostile(lie((0.0, 0.0, 0.0)), "zero"),
    Hostile(lambda form: None, "returns None"),
    Hostile(lambda form: "optimal", "returns a string"),
]
HANGING = [Hostile(_spin, "spins"), Hostile(_sleep, "sleeps in compiled code")]
