"""When to stop sampling an input: a policy says at how many samples to look and what error each look may spend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from rsopt.counts import Counts, checked_alpha
from rsopt.question import ALPHA, Question, checked_draws


@dataclass(frozen=True)
class PlannedLook:
    """A look that is to be taken.

    Attributes:
        n: estimation samples in all, those of earlier looks included; whole chunks unless it is the last look.
        alpha: error spent on the bound of this look.
    """

    n: int
    alpha: float


@dataclass(frozen=True)
class LookResult:
    """What a look showed.

    Attributes:
        n: estimation samples it was taken on.
        alpha: error spent on it.
        lower: its proven bound.
        lower_at_most: a value that its exact bound cannot exceed.
        radius: certified radius of `lower`; 0 for an abstention.
        counts: the votes so far and the certified class.
    """

    n: int
    alpha: float
    lower: float
    lower_at_most: float
    radius: float
    counts: Counts


class StoppingPolicy(Protocol):
    """Decides after every look whether to go on.

    The errors of all looks that it can ever plan for an input must add up to at most `alpha`. The reported bound is
    then the best over the looks: it is wrong only if one of them is, which by the union bound has probability at most
    alpha. Decisions may depend on the looks taken so far and on nothing else, so that a resumed run repeats them.
    """

    @property
    def alpha(self) -> float:
        """Probability that the reported bound is wrong."""
        ...

    @property
    def most_samples(self) -> int:
        """The most estimation samples that an input can take."""
        ...

    @property
    def question(self) -> Question | None:
        """What its decisions are about, which must be what the run bounds; None if they do not depend on it."""
        ...

    def next_look(self, taken: Sequence[LookResult]) -> PlannedLook | None:
        """The next look, or None to stop."""
        ...

    def facts(self) -> dict[str, object]:
        """Everything that its decisions depend on, as JSON values; with "alpha", and "n" for `most_samples`."""
        ...


@dataclass(frozen=True)
class FixedSamples:
    """One look at n samples.

    Raises:
        InvalidInputError: n outside [1, 10,000,000], or alpha outside (0, 1/2).
    """

    n: int
    alpha: float = ALPHA

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", checked_alpha(self.alpha))
        object.__setattr__(self, "n", checked_draws("n", self.n))

    @property
    def most_samples(self) -> int:
        """n."""
        return self.n

    @property
    def question(self) -> None:
        """None: it stops at n whatever was seen."""
        return None

    def next_look(self, taken: Sequence[LookResult]) -> PlannedLook | None:
        """The one look, then None."""
        return None if taken else PlannedLook(self.n, self.alpha)

    def facts(self) -> dict[str, object]:
        """The policy's name and fields."""
        return {"policy": "fixed", **asdict(self)}
