"""The looks that may be taken: geometrically growing numbers of samples, each with its own share of the error."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rsopt.arguments import as_real
from rsopt.counts import checked_alpha
from rsopt.errors import InvalidInputError, shown
from rsopt.question import ALPHA, checked_draws
from rsopt.sequential.policy import PlannedLook
from rsopt.sequential.spending import DEFAULT, Spending, as_spending, look_alphas


@dataclass(frozen=True)
class Looks:
    """n_1 < n_2 < … < n_K with errors alpha_1 + … + alpha_K <= alpha.

    Attributes:
        most: n_K, the most samples an input can take.
        alpha: probability that any bound at any look is wrong.
        first: n_1, rounded up to whole chunks.
        growth: largest n_{k+1}/n_k; it is evened out so that the last step is no shorter than the others.
        chunk: all looks but the last are multiples of it: the samples that are drawn at a time, as in a run.
        spending: how alpha is shared out, by name (see `rsopt.sequential.spending`) or as a function.

    Raises:
        InvalidInputError: a number out of range (see the text).
        UnknownNameError: an unknown spending function.
    """

    most: int
    alpha: float = ALPHA
    first: int = 20
    growth: float = 1.35
    chunk: int = 1
    spending: str | Spending = DEFAULT

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", checked_alpha(self.alpha))
        as_spending(self.spending)
        for name in ("most", "first", "chunk"):
            object.__setattr__(self, name, checked_draws(name, getattr(self, name)))
        growth = as_real(self.growth)
        if growth is None or not 1.05 <= growth <= 100.0:
            raise InvalidInputError(f"growth must lie between 1.05 and 100, so that looks are neither too many nor too "
                                    f"rare; found {shown(self.growth)}.")
        object.__setattr__(self, "growth", growth)

    @property
    def sizes(self) -> tuple[int, ...]:
        """n_1, …, n_K."""
        first = self.chunk * math.ceil(self.first / self.chunk)
        if first >= self.most:
            return (self.most,)
        steps = math.ceil(math.log(self.most / first) / math.log(self.growth) - 1e-9)
        ratio = (self.most / first) ** (1.0 / steps)
        whole = {self.chunk * math.ceil(first * ratio**k / self.chunk - 1e-9) for k in range(steps)}
        return (*sorted(n for n in whole if n < self.most), self.most)

    def planned(self, idle: int = 0) -> tuple[PlannedLook, ...]:
        """All looks with their errors.

        Args:
            idle: so many first looks can prove nothing; nearly all of alpha goes to the others.
        """
        alphas = look_alphas(self.spending, self.alpha, self.sizes, idle)
        return tuple(PlannedLook(n, alpha) for n, alpha in zip(self.sizes, alphas, strict=True))
