"""Nested radii: one functional for each radius, tested one after the other (theorem N4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from rsopt.arguments import Real, Whole, iterated
from rsopt.certificate import FLIP_STATISTICS, MOST_CHANGED, Certificate
from rsopt.counts import Counts, VotesLike, as_counts, one_rival
from rsopt.errors import InvalidInputError, shown
from rsopt.functionals import FunctionalLike
from rsopt.nested_certificate import MOST_RADII, NestedCertificate
from rsopt.obligations import obligation
from rsopt.problem import LowerBoundProblem
from rsopt.prover import ProofStatus, prove_level
from rsopt.statistics import StatisticLike, as_statistic

R = TypeVar("R")

# Tail evaluations that one proof may take; more are only needed where the level is the exact bound to many digits.
MOST_EVALUATIONS = 200_000


@dataclass(frozen=True)
class NestedRadius(Generic[R]):
    """How far down a list of radii the votes prove that the certified class stays ahead.

    Attributes:
        radius: the last of the radii that was proven; None where the first was not.
        tested: the radii that were tested, in order; all but perhaps the last one are proven.
        proven: how many of them are.
        alpha: probability that `radius` is too large.
        counts: the observation and the certified class.
        message: what a bound rests on that cannot be proven of functionals of one's own; empty for those that ship.
        proof: the certificate of all radii that are proven; None where none is, or where a file cannot name what was
            tested.
    """

    radius: R | None
    tested: tuple[R, ...]
    proven: int
    alpha: float
    counts: Counts
    message: str = ""
    proof: NestedCertificate | None = None

    @property
    def certificate(self) -> NestedCertificate:
        """The proofs of all radii up to this one, to be saved and checked from the file alone.

        Raises:
            InvalidInputError: there are none (`proof` is None); the text says why.
        """
        if self.proof is None:
            raise InvalidInputError("This radius has no certificate: no radius is proven." if not self.certified else
                                    "This radius has no certificate: a file can name margins after changes of bits of "
                                    f"at most {MOST_CHANGED} bits, by {' or '.join(map(repr, FLIP_STATISTICS))}, and "
                                    "another functional or statistic was tested.")
        return self.proof

    @property
    def certified(self) -> bool:
        """Whether any radius is proven."""
        return self.radius is not None


def largest_certified(counts: Counts | VotesLike, top: Whole | None = None, *, radii: Iterable[R],
                      functional_of: Callable[[R], FunctionalLike], statistic: StatisticLike = "clopper-pearson",
                      alpha: Real = 1e-3) -> NestedRadius[R]:
    """The last of a list of radii, each larger than the one before, within which the certified class stays ahead.

    Tests "g_r(p) <= 0" for r = radii[0], radii[1], … each at the full alpha, by one proof of Pi_r(0) <= alpha, and
    stops at the first that is not rejected. No correction is needed: the first false claim is tested at most once.
    After changes of bits (`rsopt.noise.Flips`) the result has a certificate of every radius that was proven.

    **Your obligation.** g_r > 0 means that the class stays ahead within r, and what holds within r holds within every
    radius before it. The list does not depend on the votes.

    Args:
        counts: votes per class, shape (K,), K >= 2, or a `Counts`.
        top: index of the certified class; as in `lower_bound`.
        radii: from the smallest on; it may be without end, since votes prove only so much.
        functional_of: g_r of a radius, for example ``Flips(0.01, 0.6).margin_within``.
        statistic: as in `lower_bound`. The default is never behind two-way Clopper–Pearson limits at any r; the
            "studentized" one needs gradients, and suffers where g_r has corners.
        alpha: probability that the reported radius is too large.

    Raises:
        InvalidInputError: counts, top, alpha or a functional without meaning, no radius at all, or a fixed rival with
            fewer votes than another class, which may win within a radius that is proven against the rival.
        UnknownNameError: an unknown functional or statistic.
    """
    if not callable(functional_of):
        raise InvalidInputError(f"functional_of must be a function of a radius; found {shown(functional_of)}.")
    observed, designated = as_counts(counts, top), as_statistic(statistic)
    if observed.stronger is not None:
        raise InvalidInputError(one_rival(observed, "A radius"))
    tested: list[R] = []
    proofs: list[Certificate | None] = []
    message, error = "", 0.0
    for radius in iterated(radii, "radii"):
        problem = LowerBoundProblem(observed, functional_of(radius), designated, alpha)
        message, error = obligation(problem.functional), problem.alpha
        tested.append(radius)
        found = prove_level(problem.family, 0.0, MOST_EVALUATIONS)
        if found.status is not ProofStatus.PROVED:
            break
        proofs.append(problem.certificate_of(found.mesh, 0.0))
    if not tested:
        raise InvalidInputError("There are no radii to test: give at least one.")
    proven = len(proofs)
    return NestedRadius(tested[proven - 1] if proven else None, tuple(tested), proven, error, observed, message,
                        _nested(proofs))


def _nested(proofs: list[Certificate | None]) -> NestedCertificate | None:
    """One certificate of them all, where all of them are of changes of bits."""
    steps = tuple(proof for proof in proofs if proof is not None and proof.flips is not None)
    return NestedCertificate(steps) if 0 < len(steps) == len(proofs) <= MOST_RADII else None
