"""The result of bounding a margin of scores, and the radii that follow from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rsopt.errors import InvalidInputError, RefusedError

if TYPE_CHECKING:
    from rsopt.score_stream import Evidence
    from rsopt.transcript import Transcript


@dataclass(frozen=True)
class ScoreBound:
    """A lower confidence bound on a margin of mean scores.

    With probability at least 1 - alpha over the rows, the smallest margin of class `top` over all rivals is at
    least `lower`. This holds for `top` (and groups) fixed without looking at the rows.

    Attributes:
        lower: the bound. On the margin E[X_A] - max E[X_j], in [-1, 1]; on the probit margin
            ndtri(E[X_A]) - ndtri(max E[X_j]), non-negative or -inf: a negative one is not resolved.
        alpha: probability that the statement is false.
        functional: "margin" or "probit".
        method: name of the method.
        top: the certified class.
        runner_up: the rival, or the group of rivals, that kept the bound from being larger.
        n: rows used.
        time_uniform: whether all bounds along the same run hold at once, not only this one.
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

    def __post_init__(self) -> None:
        if math.isnan(self.lower):
            raise InvalidInputError("A bound must be a number; got NaN.")

    @property
    def level(self) -> float:
        """The level: another name for alpha, the probability that the statement is false."""
        return self.alpha

    @property
    def certified(self) -> bool:
        """True: every method offered is backed by a theorem, and the betting ones by a transcript."""
        return True

    @property
    def abstains(self) -> bool:
        """Whether the bound leaves open that a rival is as good as `top`: the radius is then 0."""
        return self.lower <= 0.0

    @property
    def transcript(self) -> Transcript:
        """The bets and all they were computed from, for a check that shares no code with the bound.

        Raises:
            RefusedError: the method places no bets; its formula on the same rows is the check.
        """
        if self.evidence is None:
            raise RefusedError(f"Method {self.method!r} places no bets, so there is no transcript: recompute its formula "
                               "from the rows. 'digital-hedge' and 'fast-betting' have transcripts.")
        from rsopt.transcript import Transcript

        return Transcript.of(self)

    def radius(self, *, sigma: float | None = None, lipschitz: float | None = None) -> float:
        """Certified l2 radius, in units of the input; 0 for an abstention.

        Give exactly one argument:

        - ``sigma``, probit: R2 = sigma/2 · M2, for scores in [0, 1] smoothed by N(0, sigma² I).
        - ``sigma``, margin: R1 = M1/(sqrt(2) L) with L = 1/(sigma sqrt(pi)), the constant of any classifier into
          the simplex after Gaussian smoothing, that is sigma sqrt(pi/2) M1. Proof: h = X_A - X_j takes values in
          [-1, 1], and the smoothed h has the gradient E[h(x + sigma z) z]/sigma, whose component along any unit
          vector is at most E|z|/sigma = sqrt(2/pi)/sigma = sqrt(2) L.
        - ``lipschitz``, margin: R1 = M1/(sqrt(2) L) for a constant L of the map from inputs to scores (l2 to l2).

        Raises:
            InvalidInputError: both or neither are given, one is not positive and finite, or ``lipschitz`` is given
                with the probit margin, where it has no meaning.
        """
        if (sigma is None) == (lipschitz is None):
            raise InvalidInputError("radius() takes exactly one of sigma= and lipschitz=. The larger of two radii is "
                                    "not proven at alpha in general; for the one case that is, see same_event_radius().")
        if lipschitz is not None:
            self._only_margin("A Lipschitz constant turns the margin into a radius, not the probit margin")
            return max(self.lower, 0.0) / (math.sqrt(2.0) * _positive(lipschitz, "lipschitz"))
        scale = _positive(sigma, "sigma")
        if self.functional == "probit":
            return 0.5 * scale * max(self.lower, 0.0)
        return scale * math.sqrt(0.5 * math.pi) * max(self.lower, 0.0)

    def same_event_radius(self, *, sigma: float, lipschitz: float | None = None) -> float:
        """max(sigma ndtri((1 + M1)/2), M1/(sqrt(2) L)) from one margin bound: both follow from the event M1 >= lower.

        (1 + X_A - X_j)/2 lies in [0, 1] with mean at least (1 + M1)/2, and the probit of a smoothed function into
        [0, 1] is 1/sigma-Lipschitz, so the mean stays above 1/2 within the first radius. It is never below
        ``radius(sigma=sigma)``.

        Args:
            sigma: of the Gaussian noise.
            lipschitz: constant of the map from inputs to scores, or None to use the first radius alone.

        Raises:
            InvalidInputError: not a margin bound, or an argument that is not positive and finite.
        """
        from scipy.special import ndtri

        self._only_margin("The same event is {M1 >= lower}")
        scale = _positive(sigma, "sigma")
        constant = None if lipschitz is None else _positive(lipschitz, "lipschitz")
        if self.abstains:
            return 0.0
        first = scale * float(ndtri(0.5 * (1.0 + self.lower))) * (1.0 - 1e-14)
        return first if constant is None else max(first, self.lower / (math.sqrt(2.0) * constant))

    def _only_margin(self, why: str) -> None:
        if self.functional != "margin":
            raise InvalidInputError(f"{why}; this bound is on the {self.functional!r} functional. Bound the margin "
                                    "(functional=\"margin\") instead.")


def _positive(value: float | None, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value < math.inf:
        raise InvalidInputError(f"{name} must be positive and finite; got {value!r}.")
    return float(value)
