"""The result of bounding a margin of scores, and the radii that follow from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rsopt.arguments import Real
from rsopt.errors import InvalidInputError, RefusedError
from rsopt.noise import Noise, as_noise
from rsopt.radius import lipschitz_radius, margin_probit_radius

if TYPE_CHECKING:
    from rsopt.certificate import Certificate
    from rsopt.scores.evidence import Evidence
    from rsopt.transcript import Transcript


@dataclass(frozen=True)
class ScoreBound:
    """A lower confidence bound on a margin of mean scores.

    With probability at least 1 - alpha over the rows, the smallest margin of class `top` over all rivals is
    at least `lower`. This holds for `top` (and groups) fixed without looking at the rows.

    Attributes:
        lower: the bound. On the margin E[X_A] - max E[X_j], in [-1, 1]; on the others f(E[X_A]) - f(max E[X_j]), f the
            quantile function of the noise, non-negative or -inf: a negative one is not resolved.
        alpha: probability that the statement is false.
        functional: "margin", "probit", "laplace" or "logit".
        method: name of the method.
        top: the certified class.
        runner_up: the rival, or the group of rivals, that kept the bound from being larger.
        n: rows used.
        time_uniform: whether all bounds along the same run hold at once, not only this one.
        proof: the certificate of the bound on drawn votes; None for other methods.
    """

    lower: float
    alpha: float
    functional: str
    method: str
    top: int
    runner_up: tuple[int, ...]
    n: int
    time_uniform: bool
    evidence: Evidence | None = field(default=None, repr=False, compare=False)
    proof: Certificate | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if math.isnan(self.lower):
            raise InvalidInputError("A bound must be a number; got NaN.")

    @property
    def proven(self) -> bool:
        """True: every method offered is backed by a theorem, the betting ones by a transcript, drawn votes by a
        certificate."""
        return True

    @property
    def certified(self) -> bool:
        """Whether the bound is proven and positive, so that it certifies a radius."""
        return self.proven and not self.abstain

    @property
    def abstain(self) -> bool:
        """Whether the bound is not positive, so that no radius is certified."""
        return not self.lower > 0.0

    @property
    def certificate(self) -> Certificate:
        """The proof of the bound on drawn votes.

        Raises:
            RefusedError: the method draws no votes; bets have a `transcript`.
        """
        if self.proof is None:
            raise RefusedError(f"Method {self.method!r} draws no votes, so there is no certificate; the proof of a "
                               "bound from bets is .transcript.")
        return self.proof

    @property
    def transcript(self) -> Transcript:
        """The bets and all they were computed from, for a check that shares no code with the bound.

        Raises:
            RefusedError: the method places no bets; its formula on the same rows is the check.
        """
        if self.proof is not None:
            raise RefusedError(f"Method {self.method!r} places no bets; the proof of its bound is .certificate.")
        if self.evidence is None:
            raise RefusedError(
                f"Method {self.method!r} places no bets, so there is no transcript: recompute its "
                "formula from the rows. 'digital-hedge' and 'fast-betting' have transcripts.")
        return self.evidence.transcript(self.method, self.functional, self.top, self.lower)

    def radius(self, noise: Real | Noise | None = None, *, sigma: Real | None = None, lipschitz: Real | None = None,
               norm: str | None = None, dimension: int | None = None) -> float:
        """Certified radius, in the norm and units of the noise; 0 for an abstention. Give a noise, sigma or lipschitz.

        Under Gaussian noise R2 = sigma/2 · lower on the probit margin; on the margin R1 = lower · sigma sqrt(pi/2),
        with the constant 1/(sigma sqrt(pi)) that Gaussian smoothing gives any map into the simplex
        (`rsopt.radius.smoothing_lipschitz`; clipped scores meet its proof, which asks X_A - X_j for the range [-1, 1]
        only). Theorems N1, N2 and N3 are about any scores in [0, 1], so that a bound gives the radius that the same one
        on votes would: on "laplace" and "logit" scale/2 · lower under the noise of that law, on the margin under every
        noise that takes it.

        Args:
            noise: under which the scores were drawn; a number is the standard deviation of Gaussian noise.
            sigma: Gaussian noise in another spelling.
            lipschitz: constant L (l2 to l2) of the map from inputs to these scores: R1 = lower/(sqrt(2) L).
                On the margin only.
            norm, dimension: as in `Bound.radius`; with a noise only.

        Raises:
            InvalidInputError: not exactly one of the first three is given, one has no meaning, `lipschitz` or `norm`
                where it has none, or a functional that has no radius under this noise.
        """
        if lipschitz is not None:
            if self.functional != "margin":
                raise InvalidInputError("A Lipschitz constant turns the margin into a radius, not a bound on "
                                        f"{self.functional!r}. Give the noise, or bound functional='margin'.")
            if noise is not None or sigma is not None:
                raise InvalidInputError(
                    "Give sigma or lipschitz, not both: the larger of two radii is in general "
                    "not proven. For the one pair that is, see same_event_radius().")
            if norm is not None:
                raise InvalidInputError("The radius of a Lipschitz constant is in l2; norm belongs to a noise.")
            return lipschitz_radius(self.lower, lipschitz)
        if noise is None and sigma is None:
            raise InvalidInputError(
                "Give sigma, the standard deviation of the noise under which the scores were "
                "drawn, another noise, or, on the margin, a Lipschitz constant.")
        return as_noise(noise, sigma).radius(self.functional, self.lower, norm=norm, dimension=dimension)

    def same_event_radius(self, sigma: Real, *, lipschitz: Real | None = None) -> float:
        """max(sigma ndtri((1 + M1)/2), M1/(sqrt(2) L)): both follow from the one event {M1 >= lower}.

        The first is never below ``radius(sigma)``. No other pair of radii is proven jointly without splitting
        alpha.

        Args:
            sigma: standard deviation of the noise.
            lipschitz: as in `radius`; None for the first radius alone.

        Raises:
            InvalidInputError: this is no bound on the margin, or an argument has no meaning.
        """
        if self.functional != "margin":
            raise InvalidInputError(f"The same event is that of a bound on the margin; this is one on the "
                                    f"{self.functional!r} functional. Bound functional='margin'.")
        first = margin_probit_radius(self.lower, sigma)
        return first if lipschitz is None else max(first, lipschitz_radius(self.lower, lipschitz))

    def to_dict(self) -> dict[str, Any]:
        """The bound as JSON-ready values; a bound of -inf is ``"lower": None, "abstain": True``."""
        return {"lower": self.lower if math.isfinite(self.lower) else None, "abstain": self.abstain,
                "proven": self.proven, "certified": self.certified, "method": self.method,
                "functional": self.functional, "alpha": self.alpha, "n": self.n, "top": self.top,
                "runner_up": list(self.runner_up),
                "time_uniform": self.time_uniform}
