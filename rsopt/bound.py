"""The result of every bound on counts, and the one function that computes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rsopt.certificate import Certificate
from rsopt.counts import Counts, as_counts
from rsopt.errors import InvalidInputError
from rsopt.functionals import Functional, Margin, ProbitMargin, TaylorProbitMargin, as_functional
from rsopt.radius import probit_radius, smoothed_margin_radius
from rsopt.statistics import Statistic, as_statistic

if TYPE_CHECKING:
    from rsopt.solver import Budget, Solver


@dataclass(frozen=True)
class Bound:
    """A lower confidence bound on g(p), p the class probabilities behind the counts.

    Attributes:
        lower: g(p) >= lower with probability at least 1 - alpha over the votes; -inf (or the least value of g) is an
            abstention.
        lower_at_most: a witness q shows that no larger value is the exact bound on this statistic; not a confidence
            limit. NaN for closed forms.
        searched: what the solver alone led to before the proof. NaN for closed forms.
        certified: whether the bound is proven: by `certificate`, or by a closed form.
        method: "exact" or the name of the closed form, and the branch taken where there is a choice.
        functional: g.
        statistic: name of the designated statistic; None for closed forms.
        alpha: probability that the statement is false.
        solver: the solver that proposed, with its fields; None for closed forms.
        counts: the observation and the certified class.
        certificate: the proof; None for closed forms and functionals without a name of their own.
        evaluations: tail probabilities computed, by the search and by the proof.
        seconds: wall-clock time.
        message: what happened on the way, in words; empty if nothing is worth saying.
    """

    lower: float
    lower_at_most: float
    searched: float
    certified: bool
    method: str
    functional: Functional
    statistic: str | None
    alpha: float
    solver: str | None
    counts: Counts
    certificate: Certificate | None
    evaluations: int
    seconds: float
    message: str = ""

    @property
    def abstain(self) -> bool:
        """Whether the bound is not positive, so that no radius is certified."""
        return not self.lower > 0.0

    @property
    def given_up(self) -> float:
        """How far the proven bound lies below what the solver searched; 0 where there was no search."""
        return max(self.searched - self.lower, 0.0) if math.isfinite(self.searched - self.lower) else 0.0

    def radius(self, sigma: float | None = None, *, lipschitz: float | None = None) -> float:
        """The certified l2 radius, in the units of the input and of sigma; 0 for an abstention.

        R2 = sigma/2 · lower for the probit functionals; R1 = lower · sigma sqrt(pi/2) for the margin, with the
        Lipschitz constant 1/(sigma sqrt(pi)) of the smoothed hard classifier (`rsopt.radius`).

        Args:
            sigma: standard deviation of the noise under which the votes were cast.
            lipschitz: exists on score bounds only; here it raises.

        Raises:
            InvalidInputError: a `lipschitz`, a missing or impossible sigma, a functional that has no radius.
        """
        if lipschitz is not None:
            raise InvalidInputError(
                "These bounds are on votes. Votes come from the hardmax, which is not Lipschitz, so a network's own "
                "constant says nothing about them: give sigma, whose smoothing supplies the constant. For "
                "radius(lipschitz=…) bound the scores: rsopt.lower_bound_scores.")
        if sigma is None:
            raise InvalidInputError("Give sigma, the standard deviation of the noise under which the votes were cast.")
        if not self.certified:
            raise InvalidInputError("This bound is not certified; no radius is made of it.")
        if isinstance(self.functional, Margin):
            return smoothed_margin_radius(self.lower, sigma)
        if isinstance(self.functional, ProbitMargin | TaylorProbitMargin):
            return probit_radius(self.lower, sigma)
        raise InvalidInputError(f"The functional {self.functional.name!r} has no certified radius in rsopt; "
                                "'margin', 'probit' and 'taylor-probit' have.")

    def to_dict(self) -> dict[str, Any]:
        """The bound as JSON-ready values; a bound of -inf is ``"lower": None, "abstain": True``."""
        def finite(value: float) -> float | None:
            return value if math.isfinite(value) else None

        return {
            "lower": finite(self.lower), "abstain": self.abstain, "certified": self.certified,
            "lower_at_most": finite(self.lower_at_most), "searched": finite(self.searched), "method": self.method,
            "functional": self.functional.name, "order": getattr(self.functional, "order", None),
            "statistic": self.statistic, "alpha": self.alpha, "solver": self.solver, "n": self.counts.n,
            "counts": list(self.counts.votes), "top": self.counts.top, "runner_up": self.counts.runner_up,
            "evaluations": self.evaluations, "seconds": self.seconds, "message": self.message}


def lower_bound(counts: Counts | Sequence[int], top: int | None = None, *, functional: str | Functional = "probit",
                statistic: str | Statistic = "studentized", alpha: float = 1e-3, solver: str | Solver = "scipy",
                order: int | None = None, budget: Budget | None = None) -> Bound:
    """The exact, proven lower confidence bound on the margin between the certified class and every other class.

    LCB = sup { L : Pi(L) <= alpha } (equation 8). One pair suffices for all rivals: the bound is least against the
    empirical runner-up, and the minimum over rivals is valid without correction (fact 7).

    Args:
        counts: votes per class, shape (K,), K >= 2, or a `Counts`.
        top: index of the certified class. Required with bare votes: it is a known label or was chosen on separate
            samples, never the argmax of these votes (fact 8).
        functional: "margin", "probit" or "taylor-probit", or an instance.
        statistic: "studentized", "clopper-pearson" or "plugin", or an instance.
        alpha: probability that the statement "g(p) >= lower" is false.
        solver: name or instance of the solver that proposes; the bound is proven whatever it proposes.
        order: order of the Taylor polynomial, with ``functional="taylor-probit"``.
        budget: limits of each search of the solver.

    Returns:
        a certified `Bound`.

    Raises:
        InvalidInputError: counts, top, alpha or order have no meaning (see the text).
        UnknownNameError: an unknown functional, statistic or solver.
        MissingDependencyError: the solver's package is not installed.
        RefusedError: the solver cannot take this problem.
        SolverFailedError: the solver raised or returned no answer.
    """
    from rsopt.inversion import solve_lower_bound
    from rsopt.problem import LowerBoundProblem
    from rsopt.solver import Budget

    chosen = as_functional(functional, order)
    if isinstance(chosen, TaylorProbitMargin) and chosen.as_published:
        from rsopt.taylor_route import published_bound

        return published_bound(as_counts(counts, top), chosen, as_statistic(statistic), alpha, solver,
                               budget or Budget())
    problem = LowerBoundProblem(as_counts(counts, top), chosen, as_statistic(statistic), alpha)
    return solve_lower_bound(problem, solver=solver, budget=budget or Budget())
