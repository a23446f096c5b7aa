"""One rival's part of a transcript, read, tested for consistency, and compared with the rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import chain

import numpy as np
from scipy.special import ndtri

from rsopt.checks import replay as rules
from rsopt.checks.replay_few import mean_promised, two_values
from rsopt.checks.replay_slope import moments_of_x, slope_choices, slope_values
from rsopt.checks.tangents import TANGENTS
from rsopt.errors import CertificateError
from rsopt.transcript import RivalRecord, Transcript

#: Agreement asked of bets and grids that were computed twice; larger differences are changes, not rounding.
AGREEMENT = 1e-6
#: Exponents of u and v in the nine sums, and which of the sums the margin has.
POWERS = ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3))
MARGIN_SUMS = [0, 2, 5]
#: Rows from which a slope is chosen, and the growth of their number that it is chosen again after.
FIRST_CHOICE, NEXT_CHOICE = 8, 1.25
#: The largest slope, e^8, and what rounding may add to it.
LARGEST_SLOPE = math.exp(8.0) * (1 + 1e-12)


def require(condition: object, message: str) -> None:
    """Raise a `CertificateError` with this message unless the condition holds."""
    if not condition:
        raise CertificateError(f"The transcript does not prove its bound: {message}.")


class Run:
    """One rival's blocks, read and tested for consistency.

    Attributes:
        sizes: rows of each block of the whole run; what follows is of the recorded blocks.
        tangent: of the functional; None for the margin.
        slopes: b; 0 for the margin, (blocks,).
        sums: the nine sums of u^i v^k, i + k <= 3, in the order u, v, u², uv, v², u³, u²v, uv², v³, (blocks, 9).
        folded: rows folded, their mean and smallest, sums of (x - mean)^2 … (x - mean)^6, (blocks, 8).
        kept, kept_ends: the other rows' x, and where each block's end.
        bets, final: recorded bets against the reported null and the log capital after them.
    """

    def __init__(self, rival: RivalRecord, transcript: Transcript, name: str) -> None:
        self.name = name
        self.tangent = TANGENTS.get(transcript.functional)
        self.sloped = self.tangent is not None
        self.n, self.first_stage, self.prior = transcript.n, transcript.first_stage, transcript.prior
        self.log_level = -math.log(transcript.alpha)
        self.slope_z = -1.1 * float(ndtri(transcript.alpha))
        self.columns = list(range(9)) if self.sloped else MARGIN_SUMS
        self.prior_sums = self._prior(rival.prior)
        self.bets = np.array(rival.bets, dtype=np.float64)
        self.final = float(rival.log_capital)
        self.sizes = rules.block_sizes(self.n, self.first_stage, self.prior)
        blocks = len(rival.sums)
        require(blocks <= len(self.sizes), f"{name}: more blocks than the run has")
        self.slopes = np.array([float(slope) for slope, count in rival.slopes for _ in range(count)])
        self._each((self.slopes >= 1.0) & (self.slopes <= LARGEST_SLOPE) if self.sloped else self.slopes == 0.0,
                   "its slope is not the one that earlier rows imply")
        self.rows = np.array(self.sizes[:blocks], dtype=np.int64)
        single = self.rows == 1
        self.sums = self._sums(rival.sums, single)
        self._each(np.array([len(part) in (0, 8) and not (one and part)
                             for one, part in zip(single.tolist(), rival.folded, strict=True)], dtype=bool),
                   "its folded rows are not summed up as they should be")
        self.folded = np.array([part or (0.0,) * 8 for part in rival.folded], dtype=np.float64).reshape(blocks, 8)
        self._each(np.array([not (one and part) for one, part in zip(single.tolist(), rival.kept, strict=True)],
                            dtype=bool), "a lone row is kept twice")
        counts = np.array([1 if one else len(part) for one, part in zip(single.tolist(), rival.kept, strict=True)],
                          dtype=np.int64)
        self.kept_ends = np.cumsum(counts)
        self.block_of_kept = np.repeat(np.arange(blocks), counts)
        self.kept = np.empty(self.block_of_kept.size)
        alone = single[self.block_of_kept]
        # The sum over a lone row is the row.
        self.kept[alone] = self.sums_of_x()[single]
        self.kept[~alone] = np.array(list(chain.from_iterable(rival.kept)), dtype=np.float64)
        self._check_blocks(counts)

    def _prior(self, given: Sequence[float]) -> np.ndarray:
        """The nine sums over the selection sample; they must be those of rows in [0, 1]."""
        require(len(given) == len(self.columns), f"{self.name}: the sums over the selection sample are incomplete")
        sums = np.zeros(9)
        sums[self.columns] = np.array(given, dtype=np.float64)
        require(sums.min() >= 0.0 and sums.max() <= self.prior * (1 + 1e-12) + 1e-12,
                f"{self.name}: the sums over the selection sample are out of range")
        return sums

    def _sums(self, given: Sequence[Sequence[float]], single: np.ndarray) -> np.ndarray:
        """The nine sums of all blocks, (blocks, 9); a lone row's follow from its first powers."""
        first = 2 if self.sloped else 1
        self._each(np.array([len(part) == (first if one else len(self.columns))
                             for one, part in zip(single.tolist(), given, strict=True)], dtype=bool),
                   "its sums are incomplete")
        full = np.zeros((single.size, 9))
        many = [part for one, part in zip(single.tolist(), given, strict=True) if not one]
        full[np.ix_(~single, np.array(self.columns))] = np.array(many, dtype=np.float64).reshape(
            len(many), len(self.columns))
        lone = [part for one, part in zip(single.tolist(), given, strict=True) if one]
        rows = np.zeros((len(lone), 2))
        rows[:, :first] = np.array(lone, dtype=np.float64).reshape(len(lone), first)
        full[single] = np.stack([rows[:, 0]**i * rows[:, 1]**j for i, j in POWERS], axis=1)
        return full

    def _each(self, fine: np.ndarray, message: str) -> None:
        require(fine.all(), f"{self.name}, block {int(fine.argmin()) + 1 if fine.size else 0}: {message}")

    def _check_blocks(self, counts: np.ndarray) -> None:
        """What is recorded of each block must be possible for rows in [0, 1], and agree where it says a thing twice."""
        count, centre, low, p2, p3, p4, _, p6 = self.folded.T
        self._each((count + counts == self.rows) & (count >= 0.0) & (count == np.floor(count)),
                   "the numbers of rows do not add up")
        most = self.rows[:, None] * (1.0 + 1e-12) + 1e-12
        inside = np.all((self.sums >= 0.0) & (self.sums <= most), axis=1)
        # A number that is none is not inside either.
        inside[self.block_of_kept[~((self.kept >= -1e-12) & (self.kept <= 1 + 1e-12))]] = False
        self._each(inside & (low >= 0.0) & (low <= centre + 1e-12) & (centre <= 1 + 1e-12), "rows outside [0, 1]")
        tiny = 1e-12 * self.rows
        self._each((p2 <= count * np.maximum(centre - low, 0.0) * (1 - centre) + tiny) & (p4 <= p2 + tiny)
                   & (p6 <= p4 + tiny) & (_least_eigenvalues(self.folded) >= -1e-11), "no rows have these power sums")
        # The first three moments of x are known twice: from the columns, and from what was folded and kept.
        mean, variance, third = moments_of_x(self.sums, self.rows, self.slopes)
        off, away = centre - mean, self.kept - mean[self.block_of_kept]
        kept1, kept2, kept3 = (np.bincount(self.block_of_kept, weights=away**power, minlength=count.size)
                               for power in (1, 2, 3))
        twice = np.stack([count * off + kept1, p2 + count * off**2 + kept2 - self.rows * variance,
                          p3 + 3 * off * p2 + count * off**3 + kept3 - self.rows * third])
        self._each((np.abs(twice) <= 1e-9 * self.rows).all(axis=0), "its sums contradict its rows")

    def kept_of(self, k: int) -> np.ndarray:
        """The rows that block k keeps; none after the last block."""
        if k >= self.kept_ends.size:
            return np.empty(0)
        return self.kept[self.kept_ends[k - 1] if k else 0:self.kept_ends[k]]

    def sums_of_x(self) -> np.ndarray:
        """Sums of x = (u - b v + b)/(1 + b) over each block, (blocks,)."""
        total = self.sums[:, 0] + self.slopes * (self.rows - self.sums[:, 1])
        return np.asarray(total / (1.0 + self.slopes))

    @cached_property
    def earlier(self) -> tuple[np.ndarray, np.ndarray]:
        """The nine sums over all rows known before each block, (blocks, 9), and the number of these rows, (blocks,)."""
        sums = np.cumsum(np.concatenate([self.prior_sums[None, :], self.sums]), axis=0)[:-1]
        return sums, self.prior + np.cumsum(self.rows) - self.rows

    def moments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, variance and third central moment of each block's x over the rows known before it, (blocks,)."""
        sums, known = self.earlier
        return moments_of_x(sums, known, self.slopes)

    def prediction(self, stage: int, z: float, slope: float) -> rules.Grid:
        """The grid that this rival's selection sample and first stage imply, given its recorded slope."""
        first = np.cumsum(self.rows) - self.rows < stage
        require(self.rows[first].sum() == stage, f"{self.name}: the first stage is not complete")
        sums, known = self.prior_sums + self.sums[first].sum(axis=0), np.array(stage + self.prior)
        centre, slope_used = 0.0, 0.0
        if self.tangent is not None and known == 0:
            slope_used = 1.0
        elif self.tangent is not None:
            chosen = slope_choices(self.tangent, sums[None, :], known[None], self.n, z)
            choice, value = (float(found[0]) for found in chosen)
            # Near-ties between slopes may fall either way by rounding; both then promise the same.
            promised = float(slope_values(self.tangent, np.log(max(slope, 1.0)), sums, known, self.n, z))
            tied = abs(promised - value) <= 1e-9 * (1.0 + abs(value))
            centre, slope_used = max(value, 0.0), slope if tied else math.exp(choice)
        moments = moments_of_x(sums, known, np.array(slope_used))
        high, low = (float(value) for value in two_values(*moments, known))
        mean, variance = float(moments[0]), float(moments[1])
        lows = min(max(self.n * (high - mean) / (high - low), 0.0), self.n) if high > low else 0.0
        doubt = 4.0 + math.sqrt((lows + 1.0) * self.n / (float(known) + 1.0))
        scale = math.sqrt((1.0 + float(known) * variance) / (4.0 + float(known)) / self.n)
        if self.tangent is not None:
            scale *= (1 + slope_used) / self.tangent.growth(slope_used, max(centre, 0.05))
        else:
            centre = float(mean_promised(*moments, known, self.n, z))
        return rules.Grid(centre, scale, slope_used, high, low, lows, doubt)

    def require_slopes(self) -> None:
        """Each block's slope must be the one that the rule chooses from earlier rows.

        Raises:
            CertificateError: one is not.
        """
        if self.tangent is None:
            return
        sums, known = self.earlier
        choices, chosen = [], 0
        for k, rows in enumerate(known.tolist()):
            if rows >= max(FIRST_CHOICE, NEXT_CHOICE * chosen):
                choices.append(k)
                chosen = rows
        expected = np.ones(known.size)
        if choices:
            recorded = self.slopes[choices]
            # Near-ties between slopes may fall either way by rounding; both then promise the same.
            choice, value = slope_choices(self.tangent, sums[choices], known[choices], self.n, self.slope_z)
            log_slope = np.log(np.clip(recorded, 1.0, math.exp(8.0)))
            promised = slope_values(self.tangent, log_slope, sums[choices], known[choices], self.n, self.slope_z)
            on_lattice = np.abs(log_slope / 0.02 - np.round(log_slope / 0.02)) <= 1e-6
            tied = on_lattice & (np.abs(promised - value) <= 1e-9 * (1.0 + np.abs(value)))
            same = tied | (np.abs(log_slope - choice) <= 1e-9)
            ends = [*choices[1:], known.size]
            for k, end, slope in zip(choices, ends, np.where(same, recorded, np.exp(choice)).tolist(), strict=True):
                expected[k:end] = slope
        self._each(np.abs(self.slopes / expected - 1.0) <= 1e-12, "its slope is not the one that earlier rows imply")

    def take(self, u: np.ndarray, v: np.ndarray) -> None:
        """Put the statistics of the columns in the place of the recorded ones, which must agree with them.

        Raises:
            CertificateError: a statistic is another one, or a kept row is not among the rows.
        """
        a, b = (u, v) if self.sloped else (0.5 * (1.0 + u - v), np.zeros(u.size))
        start = 0
        for k, (rows, slope) in enumerate(zip(self.rows.tolist(), self.slopes.tolist(), strict=True)):
            x_a, x_b = a[start:start + rows], b[start:start + rows]
            start += rows
            where = f"{self.name}, block {k + 1}"
            require(x_a.size == rows, f"{where}: there are fewer rows than it needs")
            full = np.array([(x_a**i * x_b**j).sum() for i, j in POWERS])
            x = np.sort((x_a - slope * x_b + slope) / (1.0 + slope))
            is_kept = self._found(x, self.kept_of(k), where)
            folded = x[~is_kept]
            centre, lowest = self.folded[k, 1:3].tolist()
            mean = folded.mean() if folded.size else centre
            found = np.array([folded.size, mean, folded.min(initial=1.0) if folded.size else lowest,
                              *(((folded - mean) ** power).sum() for power in range(2, 7))])
            close = (np.allclose(full, self.sums[k], rtol=1e-9, atol=1e-9)
                     and np.allclose(found[:3], self.folded[k, :3], rtol=1e-9, atol=1e-9)
                     and np.allclose(found[3:], self.folded[k, 3:], rtol=1e-7, atol=1e-11))
            require(close, f"{where}: its statistics are not those of the rows")
            self.sums[k], self.folded[k] = full, found
            self.kept[self.kept_ends[k - 1] if k else 0:self.kept_ends[k]] = x[is_kept]

    @staticmethod
    def _found(x: np.ndarray, kept: np.ndarray, where: str) -> np.ndarray:
        """Which of the sorted `x` are the kept rows, each of which must be found in it."""
        is_kept = np.zeros(x.size, dtype=bool)
        for value in np.sort(kept).tolist():
            near = int(np.searchsorted(x, value - 1e-12))
            while near < x.size and is_kept[near]:
                near += 1
            require(near < x.size and abs(x[near] - value) <= 1e-12,
                    f"{where}: a kept row is not among the rows")
            is_kept[near] = True
        return is_kept


def _least_eigenvalues(folded: np.ndarray) -> np.ndarray:
    """Of the matrix of moments 0 … 6 of the folded rows about their mean, which rows make nonnegative, (blocks,)."""
    count = np.maximum(folded[:, 0], 1.0)
    moments = np.concatenate([folded[:, :1], np.zeros((len(folded), 1)), folded[:, 3:]], axis=1) / count[:, None]
    matrices = moments[:, np.add.outer(np.arange(4), np.arange(4))]
    return np.asarray(np.linalg.eigvalsh(matrices)[:, 0]) if len(folded) else np.zeros(0)
