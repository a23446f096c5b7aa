"""A question: what is bounded, under which noise, by which statistic, at which error, and who proposes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from rsopt.arguments import Real, Whole, as_real, as_whole
from rsopt.counts import MAX_DRAWS, Counts, checked_alpha
from rsopt.errors import InvalidInputError, shown
from rsopt.functional import Functional
from rsopt.functionals import FunctionalLike, as_functional
from rsopt.noise import Noise, as_noise
from rsopt.noise.gaussian import the_sigma
from rsopt.noise.rounding import rounded_down
from rsopt.registry import as_solver
from rsopt.solver import Solver, SolverLike
from rsopt.statistics import Statistic, StatisticLike, as_statistic

ALPHA = 1e-3
"""The error where none is said."""

ABOVE_ZERO = 1e-9
"""Radius 0 asks for a bound above 0. This is the bound that is tried."""


@dataclass(frozen=True, init=False)
class Question:
    """What is asked about votes. Names become instances here, and what has no meaning is refused here.

    Attributes:
        noise: under which the votes are cast; it makes a radius of a bound.
        functional: g, the quantity that is bounded.
        statistic: the designated statistic.
        alpha: probability that the statement "g(p) >= lower" is false.
        solver: who proposes, as it was said: a name is looked up where the work is done.
    """

    noise: Noise
    functional: Functional
    statistic: Statistic
    alpha: float
    solver: str | Solver

    def __init__(self, noise: Noise | Real | None = None, functional: FunctionalLike | None = None,
                 order: Whole | None = None, *, statistic: StatisticLike = "studentized", alpha: Real = ALPHA,
                 solver: SolverLike = "scipy", sigma: Real | None = None) -> None:
        """Resolves names and refuses what has no meaning.

        Args:
            noise: a `rsopt.noise.Noise`; a number is the standard deviation of Gaussian noise.
            functional, statistic, solver: names, classes or instances; by default the functional is the noise's first,
                "probit" under Gaussian noise.
            order: order of the Taylor polynomial, with ``functional="taylor-probit"``.
            alpha: as above; NumPy numbers too.
            sigma: Gaussian noise in another spelling.

        Raises:
            InvalidInputError: a value without meaning, no noise or two, a functional that has no radius under it, or
                an alpha that the statistic does not support.
            UnknownNameError: a name that nobody registered.
            MissingDependencyError: the solver's package is not installed.
        """
        found = as_noise(noise, sigma)
        chosen = found.fitting(as_functional(found.functionals[0] if functional is None else functional, order))
        designated, proposer = as_statistic(statistic), as_solver(solver)
        fields = {"noise": found, "functional": chosen, "statistic": designated,
                  "alpha": checked_alpha(alpha, designated.largest_alpha),
                  "solver": solver if isinstance(solver, str) else proposer}
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        self.level(0.0)

    @property
    def sigma(self) -> float:
        """Standard deviation of Gaussian noise, in the units of the input.

        Raises:
            InvalidInputError: the noise is another one.
        """
        return the_sigma(self.noise)

    @property
    def order(self) -> int | None:
        """Order of the Taylor polynomial; None for other functionals."""
        return self.functional.order

    def at(self, alpha: float) -> Question:
        """The same at another error."""
        return replace(self, alpha=alpha)

    def spent_by(self, alpha: float) -> Question:
        """The question at the error that a policy shares out over its looks: one at the default error takes it over.

        Raises:
            InvalidInputError: the question is asked at an error of its own, and it is another one.
        """
        if self.alpha not in (alpha, ALPHA):
            raise InvalidInputError(f"The question is asked at alpha {self.alpha:g}, and {alpha:g} is shared out over "
                                    "the looks. Give both the same alpha.")
        return self.at(alpha)

    def left_of(self, spent: float, n: int, dimension: int) -> float:
        """The error of a bound on drawn votes, so that its statement is false with probability at most `spent`.

        Draws and the law that radii are for differ by a total variation, which the whole input pays once from its
        alpha; what may be spent on one of several looks pays its share of it. Rounded down.

        Args:
            spent: alpha, or the share of a look.
            n: the most estimation samples that the input can take.
            dimension: its coordinates.

        Raises:
            InvalidInputError: the total variation leaves nothing.
        """
        return left_of_alpha(self.noise, self.alpha, n, dimension, spent)

    def level(self, radius: Real) -> float:
        """The bound on g that certifies `radius`; errors as in `level_for_radius`."""
        return level_for_radius(self.functional, radius, self.noise)

    def radius(self, lower: float) -> float:
        """The certified radius that a bound on g gives, in the norm and units of the noise; 0 for an abstention."""
        return self.noise.radius(self.functional, lower)

    def least_samples(self, alpha: float | None = None) -> int:
        """Below this many samples nothing can be certified, whatever the votes; at this alpha, or at another."""
        return least_samples(self.functional, ABOVE_ZERO, self.alpha if alpha is None else alpha)

    def checked_samples(self, n: Whole) -> int:
        """n as an int, once it is sure that votes of n samples can be bounded: what would fail on them fails here.

        Raises:
            InvalidInputError: n is no whole number from 1 to 10,000,000, or the statistic cannot order votes for this
                functional.
        """
        samples = checked_draws("n", n)
        self.statistic.tail_set(Counts((1, 0, 0), top=0), self.functional, self.alpha)
        return samples


def left_of_alpha(noise: Noise, alpha: float, n: int, dimension: int, spent: float | None = None) -> float:
    """As `Question.left_of`, for a statement at `alpha` of which `spent` is to be spent here; None for all of it."""
    variation = noise.total_variation(n, dimension)
    if variation >= alpha:
        raise InvalidInputError(f"{n:,} draws of {dimension:,} coordinates are up to {variation:.3g} in total "
                                f"variation from {noise.title}, and alpha is {alpha:g}. Take fewer samples, a larger "
                                "alpha or a coarser grid.")
    here = alpha if spent is None else spent
    return here if variation == 0.0 else rounded_down(Fraction(here) * (1 - Fraction(variation) / Fraction(alpha)))


def checked_draws(name: str, value: object) -> int:
    """A number of samples as an int.

    Raises:
        InvalidInputError: it is no whole number from 1 to 10,000,000; the text calls it by `name`.
    """
    draws = as_whole(value)
    if draws is None or not 1 <= draws <= MAX_DRAWS:
        raise InvalidInputError(f"{name} must be a whole number of samples from 1 to {MAX_DRAWS:,}; found "
                                f"{shown(value)}.")
    return draws


def level_for_radius(functional: Functional, radius: Real, noise: Noise | Real) -> float:
    """The least bound on g whose certified radius is at least `radius` and positive.

    Args:
        functional: g.
        radius: in the norm and units of the noise; 0 asks for any positive bound.
        noise: says what radius a bound gives; a number is the standard deviation of Gaussian noise.

    Raises:
        InvalidInputError: a radius or noise without meaning, a functional without a radius, or a radius that no
            margin reaches.
    """
    noise = as_noise(noise)
    target = as_real(radius)
    if target is None or not 0.0 <= target < math.inf:
        raise InvalidInputError(f"A target radius must be a number from 0 on; found {shown(radius)}.")
    most = functional.range[1]
    largest = noise.radius(functional, most)
    low, high = 0.0, ABOVE_ZERO
    while high < most and noise.radius(functional, high) < target:
        low, high = high, 2.0 * high
    # Bisection down to neighbouring numbers; radii are rounded down, so only trying tells.
    while high > ABOVE_ZERO and low < (middle := 0.5 * (low + high)) < high:
        low, high = (middle, high) if noise.radius(functional, middle) < target else (low, middle)
    if high >= most:
        raise InvalidInputError(f"No votes certify radius {target:g} at {noise.setting} with "
                                f"{functional.name!r}: its largest radius is {largest:g}. Use "
                                "other noise or a smaller radius.")
    return high


def least_samples(functional: Functional, level: float, alpha: float) -> int:
    """The least n at which any votes at all reach a level at error alpha: below it everything falls short.

    The strongest evidence is (n, 0, 0). Its tail set holds nothing else, so that sup {P_q(W) : g(q) <= L} = q1(L)^n,
    with q1(L) the largest q1 at level L, where q3 = 0: the level is reached once q1(L)^n <= alpha. One-sided
    Clopper–Pearson limits, and so Cohen's bound, reach it at the same n.

    Args:
        functional: g.
        level: below the largest value of g.
        alpha: probability that the statement is false.

    Raises:
        InvalidInputError: a level that no q exceeds.
    """
    if not level < functional.range[1]:
        raise InvalidInputError(f"No q has {functional.name} above {level:g}.")
    low, high = 0.0, 1.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        below = float(functional.value(np.array(middle), np.array(1.0 - middle))) <= level
        low, high = (middle, high) if below else (low, middle)
    if low >= 1.0 - 1e-15:
        raise InvalidInputError(f"A bound of {level:g} on {functional.name!r}, which the target asks for, is beyond "
                                "double precision: no number of samples reaches it. Use a smaller target radius or a "
                                "larger sigma.")
    return max(math.ceil(math.log(checked_alpha(alpha)) / math.log(low) - 1e-9), 1)
