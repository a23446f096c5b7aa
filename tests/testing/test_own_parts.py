"""The checks of functionals and statistics pass ours and a stranger's, and find what is wrong."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest

import rsopt
from rsopt.counts import Counts
from rsopt.functional import Functional
from rsopt.staircase import TailSet
from rsopt.statistics import tabulated_tail_set
from rsopt.testing import check_functional, check_statistic

Array = npt.NDArray[np.float64]


class LogRatio(rsopt.Functional):
    """log((q1 + 0.01) / (q2 + 0.01)), a stranger's."""

    name = "log ratio"
    range = (-float(np.log(101.0)), float(np.log(101.0)))

    def value(self, q1: Array, q2: Array) -> Array:
        return np.asarray(np.log((np.asarray(q1) + 0.01) / (np.asarray(q2) + 0.01)))

    def gradient(self, q1: Array, q2: Array) -> tuple[Array, Array]:
        return 1.0 / (np.asarray(q1) + 0.01), -1.0 / (np.asarray(q2) + 0.01)


class WrongGradient(LogRatio):
    def gradient(self, q1: Array, q2: Array) -> tuple[Array, Array]:
        return 2.0 / (np.asarray(q1) + 0.01), -1.0 / (np.asarray(q2) + 0.01)


class NotMonotone(LogRatio):
    def value(self, q1: Array, q2: Array) -> Array:
        return -np.abs(np.asarray(q1) - np.asarray(q2) - 0.3)


class OneNumber(LogRatio):
    def value(self, q1: Array, q2: Array) -> Array:
        return np.asarray(np.log((np.asarray(q1) + 0.01) / (np.asarray(q2) + 0.01))).ravel()


class FallingRadius(LogRatio):
    def radius(self, lower: float, scale: float) -> float:
        return scale / (1.0 + lower) if lower > 0.0 else 0.0


@dataclasses.dataclass(frozen=True)
class Shares:
    """T = x1 - x2, a stranger's."""

    name: ClassVar[str] = "shares"
    largest_alpha: ClassVar[float] = 0.5

    def tail_set(self, counts: Counts, functional: Functional, alpha: float) -> TailSet:
        return tabulated_tail_set(lambda x1, x2: x1 - x2, counts)

    def value(self, counts: Counts, functional: Functional, alpha: float) -> float:
        return float(counts.x1 - counts.x2)


class Itself(Shares):
    """The observation's own quadrant: of no order, so that two observations have sets of which none holds the other."""

    def tail_set(self, counts: Counts, functional: Functional, alpha: float) -> TailSet:
        stairs = [counts.x1 if x2 <= counts.x2 else counts.n + 1 for x2 in range(counts.n + 1)]
        return TailSet.from_stairs(stairs)


class Elsewhere(Shares):
    def tail_set(self, counts: Counts, functional: Functional, alpha: float) -> TailSet:
        return super().tail_set(Counts((counts.n, 0, 0), 0, 1), functional, alpha)


class NoNumber(Shares):
    def value(self, counts: Counts, functional: Functional, alpha: float) -> float:
        return float("nan")


@pytest.mark.parametrize("functional", ["margin", "probit", "laplace", "logit", rsopt.TaylorProbitMargin(5), LogRatio])
def test_functionals_that_conform(functional: object) -> None:
    check_functional(functional)  # type: ignore[arg-type]


@pytest.mark.parametrize(("functional", "text"), [
    (WrongGradient, r"has the gradient dg/dq1. Found: .* is stated, and its values give"),
    (NotMonotone, "is no functional that a bound can rest on"),
    (OneNumber, "no functional|an array of the points' shape"),
    (FallingRadius, "has radii that rise with the bound"), ("nothing", "There is no functional named 'nothing'")])
def test_functionals_that_do_not(functional: object, text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_functional(functional)  # type: ignore[arg-type]


@pytest.mark.parametrize("statistic", ["studentized", "clopper-pearson", "plugin", Shares, Shares()])
def test_statistics_that_conform(statistic: object) -> None:
    check_statistic(statistic)  # type: ignore[arg-type]


@pytest.mark.parametrize(("statistic", "text"), [
    (Itself, "has tail sets that are nested"), (Elsewhere, "has every observation in its own tail set"),
    (NoNumber, "has a value at every observation"), (3, "is no statistic")])
def test_statistics_that_do_not(statistic: object, text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_statistic(statistic)  # type: ignore[arg-type]
