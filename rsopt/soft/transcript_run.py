"""One rival's part of a transcript, read, tested for consistency, replayed, and compared with the rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtri

from rsopt.errors import CertificateError
from rsopt.soft import replay as rules
from rsopt.soft.replay_few import mean_promised, two_values

#: Agreement asked of bets and grids that were computed twice; larger differences are changes, not rounding.
AGREEMENT = 1e-6


def require(condition: object, message: str) -> None:
    """Raise a `CertificateError` with this message unless the condition holds."""
    if not condition:
        raise CertificateError(f"The transcript does not prove its bound: {message}.")


class Run:
    """One rival's blocks, read and tested for consistency."""

    def __init__(self, rival: Mapping[str, Any], content: Mapping[str, Any], name: str) -> None:
        self.name = name
        self.sloped = content["functional"] == "probit"
        self.n, self.first_stage = int(content["n"]), int(content["first_stage"])
        self.log_level = -math.log(content["alpha"])
        self.slope_z = -1.1 * float(ndtri(content["alpha"]))
        self.prior = int(content["prior"])
        self.prior_sums = self._prior(rival["prior"])
        self.bets = np.array(rival["bets"], dtype=np.float64)
        self.final = float(rival["log_capital"])
        slopes = [float(slope) for slope, count in rival["slopes"] for _ in range(int(count))]
        sizes = rules.block_sizes(self.n, self.first_stage, self.prior)
        parts = list(zip(slopes, rival["sums"], rival["folded"], rival["kept"], strict=True))
        require(len(parts) <= len(sizes), f"{name}: more blocks than the run has")
        self.blocks = [self._block(k, sizes[k], *part) for k, part in enumerate(parts)]

    def _prior(self, given: list[float]) -> np.ndarray:
        """The nine sums over the selection sample; they must be those of rows in [0, 1]."""
        sums = np.zeros(9)
        sums[list(range(9)) if self.sloped else [0, 2, 5]] = np.array(given, dtype=np.float64)
        require(np.isfinite(sums).all() and sums.min() >= 0.0 and sums.max() <= self.prior * (1 + 1e-12) + 1e-12,
                f"{self.name}: the sums over the selection sample are out of range")
        return sums

    def _block(self, k: int, rows: int, slope: float, sums: list[float], folded: list[float],
               kept: list[float]) -> rules.Block:
        where = f"{self.name}, block {k + 1}"
        given = np.array(sums, dtype=np.float64)
        if rows == 1:
            u, v = (given[0], given[1]) if self.sloped else (given[0], 0.0)
            full = np.array([u, v, u * u, u * v, v * v, u**3, u * u * v, u * v * v, v**3])
            x = np.array([(u - slope * v + slope) / (1.0 + slope)])
        else:
            full = np.zeros(9)
            full[list(range(9)) if self.sloped else [0, 2, 5]] = given
            x = np.array(kept, dtype=np.float64)
        count, centre, low, *powers = folded if folded else [0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
        block = rules.Block(rows, slope, full, int(count), centre, low, np.array(powers), x)
        numbers = np.concatenate([full, block.powers, x, [centre, low]])
        require(np.isfinite(numbers).all() and block.folded + x.size == rows and block.folded >= 0,
                f"{where}: the numbers of rows do not add up")
        inside = x.min(initial=0.0) >= -1e-12 and x.max(initial=1.0) <= 1 + 1e-12
        require(inside and 0.0 <= low <= centre + 1e-12 and centre <= 1 + 1e-12, f"{where}: rows outside [0, 1]")
        p2, p3, p4, p5, p6 = block.powers.tolist()
        tiny = 1e-12 * rows
        possible = (0.0 <= p2 <= count * max(centre - low, 0.0) * (1 - centre) + tiny
                    and 0.0 <= p4 <= p2 + tiny and 0.0 <= p6 <= p4 + tiny and p3 * p3 <= p2 * p4 + tiny
                    and p5 * p5 <= p4 * p6 + tiny and p4 * count >= p2 * p2 - tiny)
        require(possible, f"{where}: no rows have these power sums")
        # The first three moments of x are known twice: from the columns, and from what was folded and kept.
        mean, variance, third = rules.moments_of_x(full, rows, slope)
        off = centre - mean
        twice = np.array([block.folded * off + (x - mean).sum(),
                          p2 + block.folded * off**2 + ((x - mean) ** 2).sum() - rows * variance,
                          p3 + 3 * off * p2 + block.folded * off**3 + ((x - mean) ** 3).sum() - rows * third])
        require((np.abs(twice) <= 1e-9 * rows).all(), f"{where}: its sums contradict its rows")
        return block

    def prediction(self, stage: int, z: float, slope: float) -> rules.Grid:
        """The grid that this rival's selection sample and first stage imply, given its recorded slope."""
        sums, rows = self.prior_sums.copy(), 0
        for block in self.blocks:
            if rows < stage:
                sums, rows = sums + block.sums, rows + block.rows
        require(rows == stage, f"{self.name}: the first stage is not complete")
        known = stage + self.prior
        centre, slope_used = 0.0, 0.0
        if self.sloped and known == 0:
            slope_used = 1.0
        elif self.sloped:
            choice, value = rules.slope_choice(sums, known, self.n, z)
            # Near-ties between slopes may fall either way by rounding; both then promise the same.
            log_slope = math.log(max(slope, 1.0))
            promised = rules.slope_value(log_slope, sums, known, self.n, z)
            tied = abs(promised - value) <= 1e-9 * (1.0 + abs(value))
            centre, slope_used = max(value, 0.0), slope if tied else math.exp(choice)
        moments = rules.moments_of_x(sums, known, slope_used)
        high, low = two_values(moments, known)
        lows = min(max(self.n * (high - moments[0]) / (high - low), 0.0), self.n) if high > low else 0.0
        doubt = 4.0 + math.sqrt((lows + 1.0) * self.n / (known + 1.0))
        scale = math.sqrt((1.0 + known * moments[1]) / (4.0 + known) / self.n)
        if self.sloped:
            level = max(centre, 0.05)
            d = level / 2 - math.log(slope_used) / level
            scale *= (1 + slope_used) / max(math.exp(-d * d / 2) / math.sqrt(2 * math.pi), 1e-3)
        else:
            centre = mean_promised(moments, known, self.n, z)
        return rules.Grid(centre, scale, slope_used, high, low, lows, doubt)

    def prove(self, nulls: np.ndarray, fast: bool) -> None:
        """Replay all `nulls`; each must be rejected, and the last one by the recorded bets."""
        alive = nulls.copy()
        capital = np.zeros(nulls.size)
        sums, used, chosen, slope = self.prior_sums.copy(), 0, 0, 1.0
        spare = np.zeros(nulls.size)
        target = self.log_level + 1e-13 * self.n
        bets, final = [], 0.0
        for k, block in enumerate(self.blocks):
            if alive.size == 0:
                break
            known = used + self.prior
            if self.sloped and known >= max(8, 1.25 * chosen):
                slope, chosen = self._slope(k, sums, known), known
            require(abs(block.slope / slope - 1.0) <= 1e-12 if self.sloped else block.slope == 0.0,
                    f"{self.name}, block {k + 1}: its slope is not the one that earlier rows imply")
            means = rules.mean_under_null(alive, block.slope)
            require(means.max() < 1.0, f"{self.name}, block {k + 1}: a null allows every mean")
            moments = rules.moments_of_x(sums, known, block.slope)
            bet = (rules.fast_bet(moments[1], known, self.n, self.log_level, means) if fast else
                   rules.digital_bet(moments, known, used, self.n, self.first_stage, self.log_level, means, capital,
                                     spare))
            capital = capital + rules.growth(block, bet, means)
            if alive[-1] == nulls[-1]:
                bets.append(float(bet[-1]))
                final = float(capital[-1])
            open_ = ~(capital >= target)
            if alive[-1] == nulls[-1] and len(bets) < self.bets.size:
                # The recorded play asks for a little more than 1/alpha and may go on for a block.
                open_[-1] = True
            alive, capital, spare = alive[open_], capital[open_], spare[open_]
            sums, used = sums + block.sums, used + block.rows
        same = len(bets) == self.bets.size and np.allclose(bets, self.bets, rtol=AGREEMENT, atol=AGREEMENT)
        require(same, f"{self.name}: a bet is not the one that earlier rows imply")
        require(alive.size == 0,
                f"{self.name}: the capital against the null {alive[:1]} stays below 1/alpha")
        require(abs(final - self.final) <= AGREEMENT, f"{self.name}: the final capital is another one")

    def _slope(self, k: int, sums: np.ndarray, known: int) -> float:
        """The slope that block k must have; the recorded one where it promises as much as the rule's choice.
        """
        recorded = self.blocks[k].slope
        require(1.0 <= recorded <= math.exp(8.0) * (1 + 1e-12),
                f"{self.name}, block {k + 1}: slope out of range")
        choice, value = rules.slope_choice(sums, known, self.n, self.slope_z)
        if abs(math.log(recorded) - choice) <= 1e-9:
            return recorded
        on_lattice = abs(math.log(recorded) / 0.02 - round(math.log(recorded) / 0.02)) <= 1e-6
        promised = rules.slope_value(math.log(recorded), sums, known, self.n, self.slope_z)
        tied = on_lattice and abs(promised - value) <= 1e-9 * (1.0 + abs(value))
        return recorded if tied else math.exp(choice)

    def compare(self, u: np.ndarray, v: np.ndarray) -> None:
        """Recompute the block statistics from the columns."""
        a, b = (u, v) if self.sloped else (0.5 * (1.0 + u - v), np.zeros(u.size))
        start = 0
        for k, block in enumerate(self.blocks):
            x_a, x_b = a[start:start + block.rows], b[start:start + block.rows]
            start += block.rows
            where = f"{self.name}, block {k + 1}"
            require(x_a.size == block.rows, f"{where}: there are fewer rows than it needs")
            full = np.array([(x_a**i * x_b**j).sum() for i, j in
                             ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3))])
            x = np.sort((x_a - block.slope * x_b + block.slope) / (1.0 + block.slope))
            folded = self._without(x, block.kept, where)
            mean = folded.mean() if folded.size else block.centre
            found = np.array([folded.min(initial=block.lowest), mean])
            powers = np.array([((folded - found[1]) ** power).sum() for power in range(2, 7)])
            close = (np.allclose(full, block.sums, rtol=1e-9, atol=1e-9)
                     and np.allclose(found, [block.lowest, block.centre], rtol=1e-9, atol=1e-9)
                     and np.allclose(powers, block.powers, rtol=1e-7, atol=1e-11))
            require(close, f"{where}: its statistics are not those of the rows")

    @staticmethod
    def _without(x: np.ndarray, kept: np.ndarray, where: str) -> np.ndarray:
        """Sorted `x` less the kept rows, each of which must be found in it."""
        free = np.ones(x.size, dtype=bool)
        for value in np.sort(kept).tolist():
            near = int(np.searchsorted(x, value - 1e-12))
            while near < x.size and not free[near]:
                near += 1
            require(near < x.size and abs(x[near] - value) <= 1e-12,
                    f"{where}: a kept row is not among the rows")
            free[near] = False
        return x[free]
