"""An anytime-valid bound on votes: the counts may be looked at after every batch, with one alpha for all looks.

**Universal inference** (Wasserman, Ramdas & Balakrishnan 2020, section 8). For one rival j let X be the counts of the
three cells (A, j, rest) and M the Dirichlet mixture of the likelihood, M(x) = B(a + x)/B(a). Against the null
{g(q) <= L},

    E(x; L) = M(x) / sup {q1^x1 q2^x2 q3^x3 : g(q) <= L}.

Under any q of the null E is at most M(x)/q^x, which is a nonnegative martingale with start 1 as the draws come in: the
mixture is a probability on sequences that knows only the past. So P(E >= 1/alpha at any time) <= alpha (Ville), and

    LCB = sup {L : E(x; L) >= 1/alpha}

is a lower bound on g(q) at all times at once; the best over all times may be reported. E falls as L grows, since the
null grows. For several rivals the minimum over j of their bounds at each time is at most the bound for the j* with the
least margin, a fixed index, so it needs no correction. The mixture must not see the draws it scores: its centre may be
the n0 votes that chose the class, or nothing.

**The supremum.** Where the level curve q1 = h(q2) is concave (margin; probit for L >= 0) it lies below each of its
tangents q1 = c + s q2. Relaxing the null to one tangent and dualising both constraints gives, for every tangent
point and every 0 <= y <= 1,

    log sup <= sum x_i log(x_i/n) - G,   G = x1 log(1 + y/s) + x2 log(1 - y) - n log(1 + y c/s),

with equality for the best of them. So a search that ends early makes the bound smaller, never too large. (G is also
the log wealth of a bettor who stakes y/s on A and against j at fair odds.)

**Rounding.** G may be taken at any y, so only the line counts: where it lies d below the curve, G is too large by at
most n d/s. On the curve s >= 1; s is known to a relative 10 L (|z2| + L/2) + 4 units in the last place and h(q2) to
500, and q2 spans at most ndtr(-L/2), so n d/s stays below 1000 n units. Logarithms err by a few units of their own
size, which is below n but for the gamma functions. `_slack` takes four times all that.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rsopt.arguments import Real, Whole, as_real, checked_instance
from rsopt.bound import Bound
from rsopt.compiled import compiled
from rsopt.counts import Counts, VotesLike, as_counts, checked_alpha
from rsopt.errors import InvalidInputError, RefusedError, shown
from rsopt.functionals import FunctionalLike, as_functional
from rsopt.kernels.links import EPS, IDENTITY, PROBIT, Link, curve_q1, level_to_end, link_slope
from rsopt.kernels.normal import ndtri

METHOD = "e-process"
GUARANTEE = ("valid at all sample sizes at once: look and stop whenever you like and keep the best bound; all of them "
             "hold together with probability at least 1 - alpha")
_GOLDEN = 0.3819660112501051
# Ten million votes of one class alone bound the probit margin below 11, and margins of logs below 34.
_HIGHEST, _HIGHEST_LOG = 16.0, 48.0


@dataclass(frozen=True)
class DirichletMixture:
    """The mixture over (q_A, q_j, q_rest): Dirichlet with parameters `weight` each, plus the votes it is centred on.

    Attributes:
        weight: prior weight of each of the three cells, from 1e-6 to 1e6; 1/2 is Jeffreys' prior.
        selection: votes per class of the separate n0 samples that chose the class, shape (K,); empty for none.

    Raises:
        InvalidInputError: a weight out of range, or votes that are no counts.
    """

    weight: float = 0.5
    selection: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        weight = as_real(self.weight)
        if weight is None or not 1e-6 <= weight <= 1e6:
            raise InvalidInputError(f"The weight of a cell must be a number from 1e-6 to 1e6; found "
                                    f"{shown(self.weight)}.")
        object.__setattr__(self, "weight", weight)
        if not isinstance(self.selection, tuple) or self.selection:
            # Votes are validated as all votes are; which class is certified does not matter here.
            object.__setattr__(self, "selection", Counts(self.selection, top=0).votes)

    @cached_property
    def total(self) -> int:
        """n0."""
        return sum(self.selection)

    def parameters(self, counts: Counts, rival: int) -> tuple[float, float, float]:
        """(a1, a2, a3) against one rival."""
        if not self.selection:
            return self.weight, self.weight, self.weight
        own, other = self.selection[counts.top], self.selection[rival]
        return self.weight + own, self.weight + other, self.weight + self.total - own - other


def e_process_bound(counts: Counts | VotesLike, top: Whole | None = None, *,
                    functional: FunctionalLike = "probit", alpha: Real = 1e-3,
                    mixture: DirichletMixture = DirichletMixture()) -> Bound:
    """The anytime-valid lower bound on the margin: valid at all sample sizes at once, minimum over all rivals.

    Args:
        counts: votes per class so far, shape (K,), or a `Counts`.
        top: index of the certified class; required with bare votes (see `rsopt.lower_bound`).
        functional: "margin" or "probit", or an instance.
        alpha: probability that any of the bounds that are ever computed on this sequence is wrong.
        mixture: fixed before the first of these votes, and the same at every look.

    Returns:
        a `Bound` with method "e-process" and no certificate; the least value of g where no level is rejected. For the
        probit margin levels below 0, which certify nothing, are not searched.

    Raises:
        RefusedError: another functional.
        InvalidInputError: as in `rsopt.lower_bound`, or a mixture centred on votes of other classes.
    """
    started = time.perf_counter()
    observed, g, error = as_counts(counts, top), as_functional(functional), checked_alpha(alpha)
    f = g.compiled
    if f is None or g.concave_from == math.inf:
        raise RefusedError(f"The e-process bounds 'margin' and 'probit'; {g.name!r} has no concave level curve that it "
                           "could rely on. Use rsopt.lower_bound, or adaptive looks.")
    checked_instance(mixture, DirichletMixture, "mixture")
    if mixture.selection and len(mixture.selection) != len(observed.votes):
        raise InvalidInputError(f"The mixture is centred on votes of {len(mixture.selection)} classes; the counts have "
                                f"{len(observed.votes)}.")
    cases = {(observed.votes[rival], mixture.parameters(observed, rival)) for rival in _rivals(observed)}
    lower, used = g.range[1], 0
    for x2, (a1, a2, a3) in sorted(cases, reverse=True):
        found, evaluations = _lower_bound(f, observed.n, observed.x1, x2, observed.two_classes, a1, a2, a3,
                                          -math.log(error), lower)
        lower, used = min(lower, found), used + evaluations
        if lower <= g.range[0]:
            break
    return Bound(lower=lower, lower_at_most=math.nan, searched=math.nan, proven=True, method=METHOD, functional=g,
                 statistic=None, alpha=error, solver=None, counts=observed, proof=None, evaluations=used,
                 seconds=time.perf_counter() - started, message=GUARANTEE, pairwise=True)


def _rivals(counts: Counts) -> list[int]:
    return [counts.rival] if counts.rival is not None else [
        j for j in range(len(counts.votes)) if j != counts.top]


@compiled
def _lower_bound(f: Link, n: int, x1: int, x2: int, edge: bool, a1: float, a2: float, a3: float, target: float,
                 cap: float) -> tuple[float, int]:
    """The largest level found with log E >= target, at most `cap`; (level, evaluations)."""
    low = -1.0 if f.kind == IDENTITY else 0.0
    high = 1.0 if f.kind == IDENTITY else (_HIGHEST if f.kind == PROBIT else _HIGHEST_LOG)
    used = 0
    if f.kind != IDENTITY:
        used += 1
        if not _log_e(f, low, n, x1, x2, edge, a1, a2, a3) >= target:
            return -np.inf, used
    if cap < high:
        # Nothing above the bound for another rival is of interest.
        high = cap
        used += 1
        if _log_e(f, cap, n, x1, x2, edge, a1, a2, a3) >= target:
            return cap, used
    while high - low > 1e-9 * (1.0 + abs(low)):
        middle = 0.5 * (low + high)
        used += 1
        if _log_e(f, middle, n, x1, x2, edge, a1, a2, a3) >= target:
            low = middle
        else:
            high = middle
    return low, used


@compiled
def _log_e(f: Link, level: float, n: int, x1: int, x2: int, edge: bool, a1: float, a2: float, a3: float) -> float:
    """log of mixture over supremum, less what rounding could add."""
    x3 = n - x1 - x2
    mixture, size = _log_mixture(n, x1, x2, x3, a1, a2, 0.0 if edge else a3)
    best = _xlog(x1, n) + _xlog(x2, n) + _xlog(x3, n)
    gain = _edge_gain(f, level, n, x1, x2) if edge else _gain(f, level, n, x1, x2)
    return mixture - best + gain - _slack(n, size + abs(best) + abs(gain))


@compiled
def _slack(n: int, size: float) -> float:
    """More than rounding can add to log E; `size` is the sum of the sizes of its terms."""
    return 1e-10 + EPS * (4096.0 * n + 64.0 * size)


@compiled
def _log_mixture(n: int, x1: int, x2: int, x3: int, a1: float, a2: float, a3: float) -> tuple[float, float]:
    """log M(x), with a3 = 0 for two cells, and the sum of the sizes of its terms."""
    total = a1 + a2 + a3
    up = math.lgamma(a1 + x1) + math.lgamma(a2 + x2) + math.lgamma(total)
    down = math.lgamma(a1) + math.lgamma(a2) + math.lgamma(total + n)
    size = (abs(math.lgamma(a1 + x1)) + abs(math.lgamma(a2 + x2)) + abs(math.lgamma(total))
            + abs(math.lgamma(a1)) + abs(math.lgamma(a2)) + abs(math.lgamma(total + n)))
    if a3 > 0.0:
        up += math.lgamma(a3 + x3)
        down += math.lgamma(a3)
        size += abs(math.lgamma(a3 + x3)) + abs(math.lgamma(a3))
    return up - down, size


@compiled
def _xlog(x: int, n: int) -> float:
    return x * math.log(x / n) if x > 0 else 0.0


@compiled
def _edge_gain(f: Link, level: float, n: int, x1: int, x2: int) -> float:
    """How far the constrained supremum lies below the free one when q3 = 0: at q1 = 1 - q2, the end of the curve."""
    q2 = level_to_end(f, level)
    if x2 >= n * q2:
        return 0.0
    q1 = 1.0 - q2
    return _xlog(x1, n) + _xlog(x2, n) - x1 * math.log(q1) - (x2 * math.log(q2) if x2 > 0 else 0.0)


@compiled
def _gain(f: Link, level: float, n: int, x1: int, x2: int) -> float:
    """G at the best tangent found; 0 where the observed shares lie in the null."""
    if f.kind == IDENTITY:
        return max(_tangent_gain(1.0, level, n, x1, x2), 0.0)
    if x1 <= n * curve_q1(f, level, x2 / n):
        return 0.0
    end = level_to_end(f, level)
    # The constrained maximum lies between x2/n, which the constraint can only push up, and the end where q3 = 0.
    a = math.log(max(x2 / n, 1e-12 * end))
    b = math.log(end)
    u = a + _GOLDEN * (b - a)
    v = b - _GOLDEN * (b - a)
    at_u = _curve_gain(f, level, math.exp(u), n, x1, x2)
    at_v = _curve_gain(f, level, math.exp(v), n, x1, x2)
    best = max(_curve_gain(f, level, end, n, x1, x2), max(at_u, at_v), 0.0)
    for _ in range(60):
        if at_u >= at_v:
            b = v
            v = u
            at_v = at_u
            u = a + _GOLDEN * (b - a)
            at_u = _curve_gain(f, level, math.exp(u), n, x1, x2)
            best = max(best, at_u)
        else:
            a = u
            u = v
            at_u = at_v
            v = b - _GOLDEN * (b - a)
            at_v = _curve_gain(f, level, math.exp(v), n, x1, x2)
            best = max(best, at_v)
        if b - a < 1e-7:
            break
    return best


@compiled
def _curve_gain(f: Link, level: float, q2: float, n: int, x1: int, x2: int) -> float:
    """G for the tangent at q2."""
    q1 = curve_q1(f, level, q2)
    s = (math.exp(-level * (ndtri(q2) + 0.5 * level)) if f.kind == PROBIT
         else link_slope(f, q2) / link_slope(f, q1))
    c = q1 - s * q2
    return _tangent_gain(s, c, n, x1, x2)


@compiled
def _tangent_gain(s: float, c: float, n: int, x1: int, x2: int) -> float:
    """max over 0 <= y <= 1 of x1 log(1 + y/s) + x2 log(1 - y) - n log(1 + y c/s), for the line q1 = c + s q2.

    The derivative vanishes where x1/(s + y) - x2/(1 - y) - n c/(s + c y) = 0; multiplied out it is quadratic in y.
    """
    if x1 - s * x2 <= n * c:
        # The line does not separate the shares from the null: no gain, the less the further it is from doing so.
        return x1 - s * x2 - n * c
    # x1 (1-y)(s+cy) - x2 (s+y)(s+cy) - n c (s+y)(1-y) = A y² + B y + C
    qa = c * (n - x1 - x2)
    qb = x1 * (c - s) - x2 * s * (1.0 + c) - n * c * (1.0 - s)
    qc = s * (x1 - x2 * s - n * c)
    y = 1.0
    root = qb * qb - 4.0 * qa * qc
    if root >= 0.0:
        # qc > 0: the wanted root is the smallest positive one.
        m = -0.5 * (qb - math.sqrt(root)) if qb < 0.0 else -0.5 * (qb + math.sqrt(root))
        for candidate in (qc / m if m != 0.0 else np.inf, m / qa if qa != 0.0 else np.inf):
            if 0.0 < candidate < y:
                y = candidate
    if x2 > 0 and y >= 1.0:
        return 0.0
    rest = x2 * math.log1p(-y) if x2 > 0 else 0.0
    return x1 * math.log1p(y / s) + rest - n * math.log1p(y * c / s)
