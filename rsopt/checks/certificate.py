"""Re-checking a certificate from its file alone, by other means than the search and the proof used.

Nothing here can reach the kernel, the statistics, the links or the prover. The tail set is rebuilt from the definition
of the statistic, and shown to miss nothing; tails are summed over columns, where the prover sums over rows; Taylor
coefficients come from a differential equation, term by term. In the arithmetic "double" every rounding is bounded
(docs/theory/rounding-checker.md); in "arb" every number is a ball, and doubles are only what the file holds.

A comparison that fails refuses: whatever is no number proves nothing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from rsopt.certificate import CONVEX, CORNER, Certificate, LookShare
from rsopt.errors import CertificateError, InvalidInputError, MissingDependencyError
from rsopt.proof_file import shown

#: Ranges of the format; the prover leaves none of them.
MOST_DRAWS = 10_000_000
SMALLEST_ALPHA = 1e-15
LARGEST_ORDER = 1001
LARGEST_LEVEL = 60.0
MOST_PIECES = 2_000_000
#: Pieces times pairs of changes: each takes a few whole numbers of some hundred bits.
MOST_PIECES_OF_FLIPS = 10_000_000
#: The largest alpha of each statistic.
LARGEST_ALPHA = {"studentized": 0.4, "clopper-pearson": 0.5, "plugin": 0.5}

#: How far the recorded statistic and witness may lie from what is computed here: further off, they are of other counts.
_SAME = 1e-9
_NEAR = 1e-6
_TIGHT = 1e-3

P = TypeVar("P")


class Arithmetic(Protocol[P]):
    """The quantities of one certificate, rounded to the side on which a wrong one refuses; P is a point, weighted."""

    @property
    def name(self) -> str:
        """Short name."""
        ...

    def observed(self) -> tuple[float, float]:
        """T at the counts, infinite where it is, and what rounding of the shares in it may change it by."""
        ...

    def passes_test(self, share: float) -> bool:
        """Whether P(Bin(n, share) >= x1) is below alpha."""
        ...

    def largest_value(self) -> float:
        """The largest value of g, rounded up."""
        ...

    def curve(self) -> tuple[float, float] | None:
        """(smallest, largest) q2 on the level curve, rounded outwards; None if all of the domain lies above it."""
        ...

    def cut(self, cuts: Sequence[float]) -> None:
        """Fix the cuts of the level curve that `corner` and `node` speak of."""
        ...

    def corner(self, piece: int) -> P:
        """The corner of a piece: q1 from its end and q2 from its start."""
        ...

    def node(self, node: int, pieces: Sequence[int]) -> P | None:
        """The node with the factors of its convex pieces; None where one of them reaches a face."""
        ...

    def prepare(self, points: Sequence[P]) -> None:
        """Rebuild what of W is needed for tails at these points, and the part with the observation."""
        ...

    def contains(self, x1: int, x2: int) -> bool:
        """Whether an outcome lies in W; after `prepare`."""
        ...

    def upper(self, point: P) -> float:
        """An upper bound on log F_W(point), F_W being the posynomial that is P(W) on the simplex; after `prepare`."""
        ...

    def witness_point(self, q: tuple[float, float, float]) -> P:
        """q, its largest entry standing for what the others leave of 1."""
        ...

    def witness(self, q: tuple[float, float, float]) -> tuple[float, float, float]:
        """(g at q1 and q2 as written, from above; log P_q(W) from below and from above); after `prepare`."""
        ...


@dataclass(frozen=True)
class CheckReport:
    """What a successful check established.

    Attributes:
        lower: the bound that was proven again; -inf for an abstention.
        alpha: probability that the statement is false.
        pieces: pieces of the level curve that were covered.
        tail_at_most: largest proven tail over the null hypotheses, at most alpha; 0 where nothing had to be proven.
        witness_checked: whether the witness of `lower_at_most` was confirmed.
        arithmetic: "double" or "arb".
        look: which of several looks the bound is one of, as the certificate says; None for the only one.
    """

    lower: float
    alpha: float
    pieces: int
    tail_at_most: float
    witness_checked: bool
    arithmetic: str
    look: LookShare | None = None


def check_certificate(certificate: Certificate | Mapping[str, Any] | str | os.PathLike[str],
                      arithmetic: str = "double") -> CheckReport:
    """Prove the certificate's bound again.

    Args:
        certificate: a `Certificate`, its dictionary, or the path of its JSON file (with the content hash).
        arithmetic: "double" (double precision with bounds on its rounding) or "arb" (ball arithmetic throughout).

    Returns:
        a `CheckReport`.

    Raises:
        CertificateError: the certificate does not prove its bound; the text names the first thing that fails.
        InvalidInputError: an unknown arithmetic.
        MissingDependencyError: "arb" without python-flint.
        StorageError: the file cannot be read.
    """
    c = _read(certificate)
    _check_ranges(c)
    numbers = _arithmetic(arithmetic, c)
    if c.least_q1 > 0.0 and not numbers.passes_test(c.least_q1):
        raise CertificateError(f"A bound over the nulls with q1 >= {c.least_q1!r} needs a passed test of p_A > "
                               f"{c.least_q1!r}, and {c.x1} votes of {c.n} do not pass it at alpha = {c.alpha!r}.")
    _check_observed(c, *numbers.observed())
    worst = _check_claims(c, numbers)
    return CheckReport(c.lower, c.alpha, max(len(c.cuts) - 1, 0), math.exp(worst), c.witness is not None, arithmetic,
                       c.look)


def _read(certificate: Certificate | Mapping[str, Any] | str | os.PathLike[str]) -> Certificate:
    if isinstance(certificate, Certificate):
        # Whoever made the object may have put anything into it.
        try:
            return Certificate.from_dict(certificate.to_dict())
        except (TypeError, AttributeError) as error:
            raise CertificateError(f"The certificate is malformed: {error}.") from error
    if isinstance(certificate, Mapping):
        return Certificate.from_dict(certificate)
    if not isinstance(certificate, str | os.PathLike):
        raise CertificateError(f"This is no certificate, nor the path of one: {shown(certificate)}.")
    return Certificate.load(certificate)


def _check_ranges(c: Certificate) -> None:
    """What the format allows; types were checked on reading. Every test is one that a NaN fails."""
    if not (1 <= c.n <= MOST_DRAWS and c.x1 >= 0 and c.x2 >= 0 and c.x1 + c.x2 <= c.n):
        raise CertificateError(f"These are no counts: n = {c.n!r}, x1 = {c.x1!r}, x2 = {c.x2!r}.")
    if not SMALLEST_ALPHA <= c.alpha < 0.5:
        raise CertificateError(f"alpha must lie in [{SMALLEST_ALPHA:g}, 1/2); found {c.alpha!r}.")
    if not c.alpha <= LARGEST_ALPHA[c.statistic]:
        raise CertificateError(f"The {c.statistic} statistic supports alpha up to {LARGEST_ALPHA[c.statistic]}.")
    if c.functional == "taylor-probit":
        fits = c.order is not None and c.order % 2 == 1 and 1 <= c.order <= LARGEST_ORDER
    else:
        fits = c.order is None
    if not fits:
        raise CertificateError(f"Order {c.order!r} does not fit the functional {c.functional!r}.")
    published = c.functional == "taylor-probit" and c.third_cell
    if not (c.least_q1 == 0.0 or (c.least_q1 == 0.5 and published)):
        raise CertificateError(f"Nulls restricted to q1 >= {c.least_q1!r} are part of no proven bound.")
    if not (c.third_cell or c.x1 + c.x2 == c.n):
        raise CertificateError("The certificate says there are two classes, but votes fell on others.")
    if not (c.lower == -math.inf or -LARGEST_LEVEL <= c.lower <= LARGEST_LEVEL):
        raise CertificateError(f"The bound {c.lower!r} cannot be proven: it lies beyond every bound.")
    if not len(c.cuts) <= MOST_PIECES + 1:
        raise CertificateError(f"The certificate has {len(c.cuts):,} cuts; at most {MOST_PIECES + 1:,} are allowed.")
    if c.flips is not None and not len(c.cuts) * len(c.flips.changes) <= MOST_PIECES_OF_FLIPS:
        raise CertificateError(f"The certificate has {len(c.cuts):,} cuts times {len(c.flips.changes):,} pairs of "
                               f"changes; at most {MOST_PIECES_OF_FLIPS:,} are allowed.")
    if (c.lower_at_most is None) != (c.witness is None):
        raise CertificateError("lower_at_most and its witness must come together.")
    if c.lower_at_most is not None and not c.lower <= c.lower_at_most:
        raise CertificateError(f"lower = {c.lower!r} lies above lower_at_most = {c.lower_at_most!r}.")
    if c.look is not None and not (1 <= c.look.number <= c.look.of and c.alpha <= c.look.alpha < 0.5):
        raise CertificateError(f"Look {c.look.number!r} of {c.look.of!r} at alpha = {c.look.alpha!r} for all of them "
                               f"is none that a bound at alpha = {c.alpha!r} can belong to.")


def _arithmetic(name: str, certificate: Certificate) -> Arithmetic[Any]:
    if not isinstance(name, str) or name not in ("arb", "double"):
        raise InvalidInputError(f"There is no arithmetic named {shown(name)}. Known: arb, double.")
    if name == "double":
        # Compiled code is loaded when it is needed.
        from rsopt.checks.double import Double

        return Double(certificate)
    try:
        import flint as flint
    except ImportError as error:
        raise MissingDependencyError.of("Checking with arithmetic 'arb'", "python-flint", "arb") from error
    from rsopt.checks.arb import Arb

    return Arb(certificate)


def _check_observed(c: Certificate, observed: float, error: float) -> None:
    if math.isinf(observed):
        same = c.observed is None
    else:
        same = c.observed is not None and abs(c.observed - observed) <= _SAME * (1.0 + abs(observed)) + error
    if not same:
        raise CertificateError(f"The statistic at the counts is {observed!r}, but the certificate says {c.observed!r}: "
                               "the counts or alpha are not those of the proof.")


def _check_claims(c: Certificate, numbers: Arithmetic[Any]) -> float:
    """Prove what the certificate claims; returns the largest log tail, -inf where nothing had to be proven."""
    points, pieces = _points(c, numbers)
    if c.witness is not None and not (min(c.witness) >= 0.0 and abs(math.fsum(c.witness) - 1.0) <= 1e-12
                                      and c.witness[0] >= c.least_q1 - 1e-12
                                      and (c.third_cell or c.witness[2] <= 1e-12)):
        raise CertificateError(f"The witness {c.witness} is no distribution of the domain.")
    if not points and c.witness is None:
        return -math.inf
    numbers.prepare(points if c.witness is None else [*points, numbers.witness_point(c.witness)])
    if not numbers.contains(c.x1, c.x2):
        raise CertificateError("The counts are outside of the tail set that was rebuilt from them.")
    worst = -math.inf
    for point, piece in zip(points, pieces, strict=True):
        value = numbers.upper(point)
        if not value <= math.log(c.alpha):
            raise CertificateError(f"Piece {piece} is not proven: the tail is only shown to be at most "
                                   f"{math.exp(min(value, 0.0)):.6g}, above alpha = {c.alpha:.6g}.")
        worst = max(worst, value)
    if c.witness is not None:
        _check_witness(c, *numbers.witness(c.witness))
    return worst


def _points(c: Certificate, numbers: Arithmetic[Any]) -> tuple[list[Any], list[int]]:
    """The points whose tails must not exceed alpha, and the piece that each belongs to."""
    if c.lower == -math.inf:
        _require_no_pieces(c)
        return [], []
    if not c.lower <= numbers.largest_value():
        raise CertificateError(f"lower = {c.lower!r} lies above the largest value of the functional.")
    curve = numbers.curve()
    if curve is None:
        # Every null of the domain lies above the level, whatever the votes: there is nothing to refute.
        _require_no_pieces(c)
        return [], []
    kinds = [kind for kind, count in c.kinds for _ in range(count)] if _matching(c) else []
    if not kinds or not all(a <= b for a, b in zip(c.cuts, c.cuts[1:], strict=False)):
        raise CertificateError("The cuts of the level curve are missing, out of order, or do not match the pieces.")
    start, end = curve
    if not c.third_cell and kinds != [CORNER]:
        raise CertificateError("With two classes the level curve is a point, which one corner piece covers.")
    # The curve's own ends take the place of the outer cuts: a unit in the last place does not matter.
    if not (0.0 <= c.cuts[0] <= start + _SAME * (1e-3 + start) and end - _SAME * (1e-3 + end) <= c.cuts[-1] <= 1.0):
        raise CertificateError(f"The pieces cover q2 from {c.cuts[0]!r} to {c.cuts[-1]!r}, but the level curve runs "
                               f"from {start!r} to {end!r}.")
    numbers.cut([start, *(min(max(cut, start), end) for cut in c.cuts[1:-1]), end])
    points: list[Any] = []
    pieces: list[int] = []
    for piece, kind in enumerate(kinds):
        if kind == CORNER:
            points.append(numbers.corner(piece))
            pieces.append(piece)
    for node in range(len(kinds) + 1):
        sides = [piece for piece in (node - 1, node) if 0 <= piece < len(kinds) and kinds[piece] == CONVEX]
        if sides:
            point = numbers.node(node, sides)
            if point is None:
                raise CertificateError(f"Piece {sides[-1]} reaches a face of the simplex, where the convex bound is "
                                       "void.")
            points.append(point)
            pieces.append(sides[-1])
    return points, pieces


def _matching(c: Certificate) -> bool:
    return sum(count for _, count in c.kinds) == len(c.cuts) - 1 >= 1


def _require_no_pieces(c: Certificate) -> None:
    if c.cuts or c.kinds:
        raise CertificateError("The certificate has pieces, but its bound leaves nothing to be proven.")


def _check_witness(c: Certificate, level: float, low: float, high: float) -> None:
    """The witness lies at level lower_at_most, and its tail meets alpha there."""
    assert c.lower_at_most is not None
    if not level <= c.lower_at_most:
        raise CertificateError(f"The witness has level {level!r}, above lower_at_most = {c.lower_at_most!r}.")
    if not c.lower_at_most - level <= _NEAR * (1.0 + abs(level)):
        raise CertificateError(f"The witness has level {level!r}, which is not lower_at_most = {c.lower_at_most!r}.")
    if not low >= math.log(c.alpha):
        raise CertificateError("The tail at the witness is below alpha: the counts or alpha are not those of the "
                               "proof.")
    if c.lower > -math.inf and not high <= math.log(c.alpha) + _TIGHT:
        raise CertificateError("The tail at the witness exceeds alpha by more than rounding: the counts or alpha are "
                               "not those of the proof.")
