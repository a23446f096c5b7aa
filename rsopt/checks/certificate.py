"""Re-checking a certificate from its file alone, by other means than the search and the proof used.

Nothing here imports the kernel, the statistics, the links or the prover. Stairs are rebuilt from the definition of the
statistic by vectorised bisection and an interval exclusion; tails are sums of SciPy's binomial distribution (or of Arb
balls); Taylor coefficients come from a differential equation, term by term in extended precision.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from rsopt.certificate import Certificate
from rsopt.checks.links import CheckedLink
from rsopt.checks.stairs import rebuilt_stairs
from rsopt.errors import CertificateError, InvalidInputError, MissingDependencyError

Array = npt.NDArray[np.float64]

# What SciPy's distributions and the factors' rounding may be off, in log P; the proof left 2e-6 of headroom for it.
_SLACK = 5e-7
_TIGHT = 1e-3
_MOST_DRAWS = 10_000_000
_LARGEST_ORDER = 1001


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
    """

    lower: float
    alpha: float
    pieces: int
    tail_at_most: float
    witness_checked: bool
    arithmetic: str


def check_certificate(certificate: Certificate | Mapping[str, Any] | str | os.PathLike[str],
                      arithmetic: str = "double") -> CheckReport:
    """Prove the certificate's bound again.

    Args:
        certificate: a `Certificate`, its dictionary, or the path of its JSON file (with the content hash).
        arithmetic: "double" (SciPy, with a slack for rounding) or "arb" (ball arithmetic for every tail).

    Returns:
        a `CheckReport`.

    Raises:
        CertificateError: the certificate does not prove its bound; the text names the first thing that fails.
        InvalidInputError: an unknown arithmetic.
        MissingDependencyError: "arb" without python-flint.
        StorageError: the file cannot be read.
    """
    if isinstance(certificate, Mapping):
        certificate = Certificate.from_dict(certificate)
    elif not isinstance(certificate, Certificate):
        certificate = Certificate.load(certificate)
    _check_values(certificate)
    tail = _arithmetic(arithmetic)
    link = CheckedLink(certificate.functional, certificate.order)
    try:
        observed, stairs = rebuilt_stairs(certificate.n, certificate.x1, certificate.x2, certificate.alpha,
                                          certificate.statistic, link)
    except InvalidInputError as error:
        raise CertificateError(f"The tail set cannot be rebuilt: {error}") from error
    recorded = certificate.observed
    if (recorded is None) != math.isinf(observed) or (
            recorded is not None and abs(recorded - observed) > 1e-9 * (1.0 + abs(observed))):
        raise CertificateError(f"The statistic at the counts is {observed!r}, but the certificate says {recorded!r}: "
                               "the counts or alpha are not those of the proof.")
    worst = -math.inf
    if math.isfinite(certificate.lower):
        worst = _check_pieces(certificate, link, stairs, tail)
    if certificate.witness is not None:
        _check_witness(certificate, link, stairs, tail)
    return CheckReport(certificate.lower, certificate.alpha, max(len(certificate.cuts) - 1, 0), math.exp(worst),
                       certificate.witness is not None, arithmetic)


def _check_values(c: Certificate) -> None:
    """Types and ranges of everything that is used below."""
    whole = all(isinstance(v, int) and not isinstance(v, bool) for v in (c.n, c.x1, c.x2))
    if not whole or not 1 <= c.n <= _MOST_DRAWS or min(c.x1, c.x2) < 0 or c.x1 + c.x2 > c.n:
        raise CertificateError(f"These are no counts: n = {c.n!r}, x1 = {c.x1!r}, x2 = {c.x2!r}.")
    if not isinstance(c.alpha, float) or not 0.0 < c.alpha < 0.5:
        raise CertificateError(f"alpha must lie in (0, 1/2); found {c.alpha!r}.")
    if c.functional not in ("margin", "probit", "taylor-probit"):
        raise CertificateError(f"Unknown functional {c.functional!r}.")
    if c.statistic not in ("studentized", "clopper-pearson", "plugin"):
        raise CertificateError(f"Unknown statistic {c.statistic!r}.")
    if c.statistic == "studentized" and c.alpha > 0.4:
        raise CertificateError("The studentized statistic supports alpha up to 0.4.")
    order_fits = (isinstance(c.order, int) and c.order % 2 == 1 and 1 <= c.order <= _LARGEST_ORDER
                  if c.functional == "taylor-probit" else c.order is None)
    if not order_fits:
        raise CertificateError(f"Order {c.order!r} does not fit the functional {c.functional!r}.")
    if c.least_q1 not in (0.0, 0.5):
        raise CertificateError(f"Nulls restricted to q1 >= {c.least_q1!r} are part of no proven bound.")
    if c.least_q1 > 0.0 and not stats.binom.sf(c.x1 - 1, c.n, c.least_q1) < c.alpha:
        raise CertificateError(f"A bound over the nulls with q1 >= {c.least_q1!r} needs a passed test of p_A > "
                               f"{c.least_q1!r}, and {c.x1} votes of {c.n} do not pass it at alpha = {c.alpha!r}.")
    if not isinstance(c.third_cell, bool):
        raise CertificateError(f"third_cell must be true or false; found {c.third_cell!r}.")
    if not c.third_cell and c.x1 + c.x2 != c.n:
        raise CertificateError("The certificate says there are two classes, but votes fell on others.")
    if math.isnan(c.lower) or c.lower == math.inf:
        raise CertificateError(f"The bound {c.lower!r} cannot be proven.")
    if (c.lower_at_most is None) != (c.witness is None):
        raise CertificateError("lower_at_most and its witness must come together.")
    if c.lower_at_most is not None and not c.lower <= c.lower_at_most:
        raise CertificateError(f"lower = {c.lower!r} lies above lower_at_most = {c.lower_at_most!r}.")


LogTail = Callable[[Array, "npt.NDArray[np.int64]", int, float], float]


def _arithmetic(name: str) -> LogTail:
    if name == "double":
        return log_tail_double
    if name != "arb":
        raise InvalidInputError(f"There is no arithmetic named {name!r}. Known: arb, double.")
    try:
        from rsopt.checks.arb import log_tail_arb
    except ImportError as error:
        raise MissingDependencyError.of("Checking with arithmetic 'arb'", "python-flint", "arb") from error
    return log_tail_arb


def log_tail_double(q: Array, stairs: npt.NDArray[np.int64], n: int, alpha: float) -> float:
    """An upper bound on log P_q(W), q normalised, by summing SciPy's binomial distribution over a window of rows.

    Args:
        q: shape (3,), positive sum.
        stairs: s(x2) of the non-empty rows, shape (rows,).
        n: number of draws.
        alpha: scale of the tails that matter; the window leaves out less than 1e-9 of it, which is added.
    """
    if not np.all(np.isfinite(q)):
        # A point that is no number proves nothing: above every alpha.
        return math.inf
    total = q.sum()
    p2, rest = q[1] / total, (q[0] + q[2]) / total
    if rest <= 0.0:
        return 0.0 if stairs.size == n + 1 and stairs[n] <= 0 else -math.inf
    spread = math.sqrt(-2.0 * math.log(1e-10 * alpha))
    mean = n * p2
    half = spread * math.sqrt(mean * rest) + spread * spread
    low, high = max(int(mean - half), 0), min(int(mean + half) + 1, stairs.size - 1)
    if high < low:
        return math.log(1e-9 * alpha)
    x2 = np.arange(low, high + 1)
    rows = stairs[low: high + 1]
    trials = n - x2
    share, other = q[0] / (q[0] + q[2]), q[2] / (q[0] + q[2])
    # P(Bin(m, r) >= s) = I_r(s, m - s + 1); the smaller of r and 1 - r keeps its relative accuracy.
    inside = (rows >= 1) & (rows <= trials)
    a, b = np.where(inside, rows, 1), np.where(inside, trials - rows + 1, 1)
    inner = special.betainc(a, b, share) if share <= 0.5 else special.betaincc(b, a, other)
    inner = np.where(inside, inner, np.where(rows <= 0, 1.0, 0.0))
    tail = float(np.sum(stats.binom.pmf(x2, n, p2) * inner))
    return math.log(tail + 1e-9 * alpha)


def _check_pieces(c: Certificate, link: CheckedLink, stairs: npt.NDArray[np.int64], tail: LogTail) -> float:
    """Cover the level curve by the certificate's pieces; returns the largest log tail, or raises."""
    segment = link.segment(c.lower, c.third_cell, c.least_q1)
    if c.lower > link.value(1.0, 0.0):
        raise CertificateError(f"lower = {c.lower!r} lies above the largest value of the functional.")
    if stairs.size == 0 or segment is None:
        return -math.inf
    cuts = np.array(c.cuts)
    fits = min((count for _, count in c.kinds), default=0) >= 1 and sum(count for _, count in c.kinds) == cuts.size - 1
    kinds = [kind for kind, count in c.kinds for _ in range(count)] if fits else []
    if not kinds or not np.all(np.isfinite(cuts)) or np.any(np.diff(cuts) < 0.0):
        raise CertificateError("The cuts of the level curve are missing, out of order, or do not match the pieces.")
    if not c.third_cell:
        # The curve is one point, which two arithmetics place a few units in the last place apart: prove it around here.
        if kinds != ["corner"] or abs(cuts[0] - segment[0]) > 1e-9 * segment[0]:
            raise CertificateError(f"With two classes the level curve is the point q2 = {segment[0]!r}, not "
                                   f"{float(cuts[0])!r}.")
        cuts = np.array(segment)
    elif cuts[0] > segment[0] or cuts[-1] < segment[1]:
        raise CertificateError(f"The pieces cover q2 from {float(cuts[0])!r} to {float(cuts[-1])!r}, but the level "
                               f"curve runs from {segment[0]!r} to {segment[1]!r}.")
    cuts = np.clip(cuts, segment[0], segment[1])
    slack = _SLACK + 32.0 * c.n * np.finfo(float).eps
    limit = math.log(c.alpha)
    q1_low, q1_high, q3_low, q3_high = link.nodes(c.lower, cuts)
    factors = link.factors(cuts, q1_low, q1_high, q3_low, q3_high)
    worst = -math.inf
    for index, kind in enumerate(kinds):
        if kind not in ("corner", "convex"):
            raise CertificateError(f"Piece {index} names an unknown bound, {kind!r}.")
        if kind == "corner":
            q1, q2 = q1_high[index + 1], cuts[index]
            value = tail(np.array([q1, q2, max(1.0 - q1 - q2, 0.0)]), stairs, c.n, c.alpha)
            worst = max(worst, _below(value + slack, limit, index))
    for node in range(cuts.size):
        sides = [i for i in (node - 1, node) if 0 <= i < len(kinds) and kinds[i] == "convex"]
        if not sides:
            continue
        r = np.max(factors[sides], axis=0)
        if not np.all(np.isfinite(r)):
            raise CertificateError(f"Piece {sides[-1]} reaches a face of the simplex, where the convex bound is void.")
        e = np.array([q1_high[node], cuts[node], q3_high[node]]) * r
        # What the window leaves out is multiplied by the same factor as the tail: leave out that much less.
        factor = c.n * math.log(e.sum())
        value = tail(e, stairs, c.n, max(c.alpha * math.exp(-max(factor, 0.0)), 1e-250)) + factor
        worst = max(worst, _below(value + slack, limit, sides[-1]))
    return worst


def _below(value: float, limit: float, piece: int) -> float:
    if not value <= limit:
        raise CertificateError(f"Piece {piece} is not proven: the tail is only shown to be at most "
                               f"{math.exp(min(value, 0.0)):.6g}, above alpha = {math.exp(limit):.6g}.")
    return value


def _check_witness(c: Certificate, link: CheckedLink, stairs: npt.NDArray[np.int64], tail: LogTail) -> None:
    """The witness lies in the domain at level lower_at_most, and its tail meets alpha there."""
    assert c.witness is not None
    assert c.lower_at_most is not None
    q = np.array(c.witness)
    if q.shape != (3,) or not np.all(np.isfinite(q)) or np.any(q < 0.0) or abs(q.sum() - 1.0) > 1e-12 \
            or q[0] < c.least_q1 - 1e-12 or (not c.third_cell and q[2] > 1e-12):
        raise CertificateError(f"The witness {c.witness} is no distribution of the domain.")
    level = link.value(q[0], q[1])
    if not level <= c.lower_at_most + 1e-9 * (1.0 + abs(c.lower_at_most)):
        raise CertificateError(f"The witness has level {level!r}, above lower_at_most = {c.lower_at_most!r}.")
    if abs(level - c.lower_at_most) > 1e-6 * (1.0 + abs(level)):
        raise CertificateError(f"The witness has level {level!r}, which is not lower_at_most = {c.lower_at_most!r}.")
    value = tail(q, stairs, c.n, c.alpha) - math.log(c.alpha)
    slack = _SLACK + 32.0 * c.n * np.finfo(float).eps
    if value < -slack:
        raise CertificateError("The tail at the witness is below alpha: the counts or alpha are not those of the "
                               "proof.")
    if math.isfinite(c.lower) and value > _TIGHT:
        raise CertificateError("The tail at the witness exceeds alpha by more than rounding: the counts or alpha are "
                               "not those of the proof.")
