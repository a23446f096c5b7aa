"""The result of every bound on counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from rsopt.arguments import Real
from rsopt.certificate import Certificate
from rsopt.counts import Counts, one_rival
from rsopt.errors import InvalidInputError
from rsopt.functional import Functional
from rsopt.noise import Noise, as_noise


@dataclass(frozen=True)
class Bound:
    """A lower confidence bound on g(p), p the class probabilities behind the counts.

    Attributes:
        lower: g(p) >= lower with probability at least 1 - alpha over the votes; -inf (or the least value of g) is an
            abstention.
        lower_at_most: a witness q shows that no larger value is the exact bound on this statistic; not a confidence
            limit. NaN for closed forms.
        searched: what the solver alone led to before the proof. NaN for closed forms.
        proven: whether the bound is proven: by `proof`, or by a closed form.
        method: "exact" or the name of the closed form, and the branch taken where there is a choice.
        functional: g.
        statistic: name of the designated statistic; None for closed forms.
        alpha: probability that the statement is false.
        solver: the solver that proposed, with its fields; None for closed forms.
        counts: the observation and the certified class.
        proof: the certificate; None for closed forms and functionals without a name of their own.
        evaluations: tail probabilities computed, by the search and by the proof.
        seconds: wall-clock time.
        message: what happened on the way, in words; empty if nothing is worth saying.
        pairwise: whether the bound against the empirical runner-up need not be the least over all rivals, so that one
            against a rival that was fixed is against no other.
    """

    lower: float
    lower_at_most: float
    searched: float
    proven: bool
    method: str
    functional: Functional
    statistic: str | None
    alpha: float
    solver: str | None
    counts: Counts
    proof: Certificate | None
    evaluations: int
    seconds: float
    message: str = ""
    pairwise: bool = False

    @property
    def certificate(self) -> Certificate:
        """The proof, to be saved and checked from the file alone.

        Raises:
            InvalidInputError: there is none (`proof` is None); the text says why.
        """
        if self.proof is None:
            why = (f"it is a closed form ({self.method}), which the same call computes again" if self.statistic is None
                   else f"a file can name only the functionals and statistics that ship, and this is a bound on "
                        f"{self.functional.name!r} by {self.statistic!r}")
            raise InvalidInputError(f"This bound has no certificate: {why}.")
        return self.proof

    @property
    def for_all_rivals(self) -> bool:
        """Whether the bound holds against every other class: no rival was fixed, or it is the empirical runner-up."""
        if self.pairwise and not self.counts.two_classes:
            return self.counts.rival is None
        return self.counts.stronger is None

    @property
    def certified(self) -> bool:
        """Whether the bound is proven, positive, and against all rivals, so that it certifies a radius."""
        return self.proven and not self.abstain and self.for_all_rivals

    @property
    def abstain(self) -> bool:
        """Whether the bound is not positive, so that no radius is certified."""
        return not self.lower > 0.0

    @property
    def given_up(self) -> float:
        """How far the proven bound lies below what the solver searched; 0 where there was no search."""
        return max(self.searched - self.lower, 0.0) if math.isfinite(self.searched - self.lower) else 0.0

    def radius(self, noise: Real | Noise | None = None, *, sigma: Real | None = None, lipschitz: Real | None = None,
               norm: str | None = None, dimension: int | None = None) -> float:
        """The certified radius, in the norm and units of the noise; 0 for an abstention.

        Under Gaussian noise R2 = sigma/2 · lower for the probit functionals, and R1 = lower · sigma sqrt(pi/2) for the
        margin, with the Lipschitz constant 1/(sigma sqrt(pi)) of the smoothed hard classifier (`rsopt.radius`); both in
        l2. For other noise see `rsopt.noise`.

        Args:
            noise: under which the votes were cast; a number is the standard deviation of Gaussian noise.
            sigma: Gaussian noise in another spelling.
            lipschitz: exists on score bounds only; here it raises.
            norm: None for the noise's own; or one in which a radius follows by an inequality between norms, for example
                "linf" (`Noise.conversion` says it in words).
            dimension: number of coordinates of the input, where that inequality needs it.

        Raises:
            InvalidInputError: a `lipschitz`, no noise or more than one, an impossible sigma, a functional that has no
                radius under this noise, a norm that does not follow, or a bound that is not proven or not
                `for_all_rivals`.
        """
        if lipschitz is not None:
            raise InvalidInputError(
                "These bounds are on votes. Votes come from the hardmax, which is not Lipschitz, so a network's own "
                "constant says nothing about them: give the noise, whose smoothing supplies the constant. For "
                "radius(lipschitz=…) bound the scores: rsopt.lower_bound_scores.")
        if noise is None and sigma is None:
            raise InvalidInputError("Give the noise under which the votes were cast, or sigma, its standard deviation "
                                    "where it is Gaussian.")
        if not self.proven:
            raise InvalidInputError("This bound is not proven; no radius is made of it.")
        if not self.for_all_rivals:
            raise InvalidInputError(one_rival(self.counts, "A radius"))
        return as_noise(noise, sigma).radius(self.functional, self.lower, norm=norm, dimension=dimension)

    def to_dict(self) -> dict[str, Any]:
        """The bound as JSON-ready values; a bound of -inf is ``"lower": None, "abstain": True``."""
        def finite(value: float) -> float | None:
            return value if math.isfinite(value) else None

        return {
            "lower": finite(self.lower), "abstain": self.abstain, "proven": self.proven,
            "certified": self.certified,
            "lower_at_most": finite(self.lower_at_most), "searched": finite(self.searched), "method": self.method,
            "functional": self.functional.name, "order": self.functional.order,
            "statistic": self.statistic, "alpha": self.alpha, "solver": self.solver, "n": self.counts.n,
            "counts": list(self.counts.votes), "top": self.counts.top, "runner_up": self.counts.runner_up,
            "evaluations": self.evaluations, "seconds": self.seconds, "message": self.message}
