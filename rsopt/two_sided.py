"""Upper bounds and two-sided intervals: the lower bound with the two classes exchanged (theorems U1 and U2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from rsopt.arguments import Real, Whole
from rsopt.bound import Bound
from rsopt.bounding import lower_bound
from rsopt.certificate import Certificate
from rsopt.counts import Counts, VotesLike, as_counts, checked_alpha
from rsopt.errors import InvalidInputError
from rsopt.functional import Functional
from rsopt.functionals import FunctionalLike, as_functional
from rsopt.solver import Budget, SolverLike
from rsopt.statistics import StatisticLike


@dataclass(frozen=True)
class UpperBound:
    """An upper confidence bound on g, proven as the lower bound of the rival against the certified class.

    It speaks of g(p_A, p_j) where the rival j was fixed (theorem U1), else of the least g(p_A, p_j) over all rivals
    (theorem U2).

    Attributes:
        exchanged: the lower bound on -g with the classes exchanged; it has the certificate.
        functional: g.
        alpha: probability that the statement is false.
        counts: the observation, the certified class, and the rival if one was fixed.
    """

    exchanged: Bound
    functional: Functional
    alpha: float
    counts: Counts

    @property
    def upper(self) -> float:
        """g <= upper with probability at least 1 - alpha; inf (or the largest value of g) says nothing."""
        return 0.0 - self.exchanged.lower

    @property
    def upper_at_least(self) -> float:
        """What a witness shows to be the least that the exact bound on this statistic can be."""
        return 0.0 - self.exchanged.lower_at_most

    @property
    def proven(self) -> bool:
        """Whether the bound is proven."""
        return self.exchanged.proven

    @property
    def rivals(self) -> int:
        """Rivals among which the error is shared: 1 where the rival was fixed, else all of them."""
        return _shares(self.counts)

    @property
    def certificate(self) -> Certificate:
        """The proof that g of (rival, certified class) is at least -upper, an ordinary certificate.

        Raises:
            InvalidInputError: there is none, as in `Bound.certificate`.
        """
        return self.exchanged.certificate

    def to_dict(self) -> dict[str, Any]:
        """The bound as JSON-ready values; what is infinite is None."""
        return {"upper": _finite(self.upper), "upper_at_least": _finite(self.upper_at_least), "proven": self.proven,
                "functional": self.functional.name, "order": self.functional.order, "alpha": self.alpha,
                "counts": list(self.counts.votes), "top": self.counts.top, "rival": self.counts.rival,
                "runner_up": self.counts.runner_up, "rivals": self.rivals, "exchanged": self.exchanged.to_dict()}


@dataclass(frozen=True)
class MarginInterval:
    """Two limits, each wrong with probability at most alpha/2, so that both hold with probability at least 1 - alpha.

    They are limits of g(p_A, p_j) where the rival j was fixed, else of the least g(p_A, p_j) over all rivals.

    Attributes:
        lower_bound: at alpha/2, as `rsopt.lower_bound` gives it.
        upper_bound: at alpha/2, as `rsopt.upper_bound` gives it.
        alpha: probability that the interval misses.
    """

    lower_bound: Bound
    upper_bound: UpperBound
    alpha: float

    @property
    def lower(self) -> float:
        """The lower limit."""
        return self.lower_bound.lower

    @property
    def upper(self) -> float:
        """The upper limit."""
        return self.upper_bound.upper

    @property
    def proven(self) -> bool:
        """Whether both limits are proven."""
        return self.lower_bound.proven and self.upper_bound.proven

    def to_dict(self) -> dict[str, Any]:
        """The interval as JSON-ready values, both bounds included; what is infinite is None."""
        return {"lower": _finite(self.lower), "upper": _finite(self.upper), "alpha": self.alpha, "proven": self.proven,
                "lower_bound": self.lower_bound.to_dict(), "upper_bound": self.upper_bound.to_dict()}


def upper_bound(counts: Counts | VotesLike, top: Whole | None = None, rival: Whole | None = None, *,
                functional: FunctionalLike = "probit", statistic: StatisticLike = "clopper-pearson",
                alpha: Real = 1e-3, solver: SolverLike = "scipy", order: Whole | None = None,
                budget: Budget | None = None) -> UpperBound:
    """A proven upper confidence bound on the margin: how far ahead the certified class can be at most.

    With a `rival` that was fixed without these votes the statement is P(g(p_A, p_rival) <= upper) >= 1 - alpha
    (theorem U1). Without one it is P(min_j g(p_A, p_j) <= upper) >= 1 - alpha, the minimum over all K - 1 rivals. The
    empirical runner-up is then a choice among K - 1 on the same votes, and its bound is taken at alpha/(K - 1)
    (theorem U2); unlike for a lower bound, the choice is not free. A rival fixed on separate samples costs nothing, and
    its bound holds for the minimum as well, which is not larger.

    Args:
        counts, top, functional, alpha, solver, order, budget: as in `rsopt.lower_bound`.
        rival: index of the other class, fixed without these votes; None for the minimum over all.
        statistic: as in `rsopt.lower_bound`, of the exchanged pair. Another default than there: where the class is
            clearly ahead, "studentized" takes no votes for the pair as better evidence for the rival than the votes
            observed, and then no finite upper bound on an unbounded functional exists.

    Raises:
        InvalidInputError: a `rival` that is no class, is `top`, or contradicts the counts; or as in
            `rsopt.lower_bound`.
        UnknownNameError, MissingDependencyError, RefusedError, SolverFailedError: as in `rsopt.lower_bound`.
    """
    observed, chosen, level = _observed(counts, top, rival), as_functional(functional, order), checked_alpha(alpha)
    shares = _shares(observed)
    # Rounded down, so that the shares never add up to more than alpha.
    share = level if shares == 1 else math.nextafter(level / shares, 0.0)
    turned = Counts(observed.votes, observed.runner_up, observed.top)
    found = lower_bound(turned, functional=chosen.exchanged, statistic=statistic, alpha=share, solver=solver,
                        budget=budget)
    return UpperBound(found, chosen, level, observed)


def margin_interval(counts: Counts | VotesLike, top: Whole | None = None, rival: Whole | None = None, *,
                    functional: FunctionalLike = "probit", statistic: StatisticLike = "studentized",
                    upper_statistic: StatisticLike = "clopper-pearson", alpha: Real = 1e-3,
                    solver: SolverLike = "scipy", order: Whole | None = None, budget: Budget | None = None
                    ) -> MarginInterval:
    """A proven two-sided confidence interval for the margin, alpha/2 on each side.

    With a fixed `rival` for g(p_A, p_rival), without one for the minimum over all rivals (theorems U1 and U2): the
    lower limit then holds for all rivals at no cost (fact 7), the upper one shares its alpha/2 among them.

    Args:
        counts, top, rival, functional, alpha, solver, order, budget: as in `rsopt.upper_bound`.
        statistic, upper_statistic: designated statistics of the lower and of the upper limit.

    Raises:
        InvalidInputError, UnknownNameError, MissingDependencyError, RefusedError, SolverFailedError: as in
            `rsopt.upper_bound`.
    """
    observed, chosen, level = _observed(counts, top, rival), as_functional(functional, order), checked_alpha(alpha)
    lower = lower_bound(observed, functional=chosen, statistic=statistic, alpha=level / 2.0, solver=solver,
                        budget=budget)
    upper = upper_bound(observed, functional=chosen, statistic=upper_statistic, alpha=level / 2.0, solver=solver,
                        budget=budget)
    return MarginInterval(lower, upper, level)


def _observed(counts: Counts | VotesLike, top: Whole | None, rival: Whole | None) -> Counts:
    """The counts with the rival that was said beside them."""
    observed = as_counts(counts, top)
    if rival is None:
        return observed
    said = Counts(observed.votes, observed.top, rival)
    if observed.rival not in (None, said.rival):
        raise InvalidInputError(f"rival={said.rival} contradicts the counts, whose rival is {observed.rival}.")
    return said


def _shares(counts: Counts) -> int:
    return 1 if counts.rival is not None else len(counts.votes) - 1


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
