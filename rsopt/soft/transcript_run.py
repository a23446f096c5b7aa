"""One rival's part of a transcript, read, tested for consistency, replayed, and compared with the rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtri

from rsopt.errors import CertificateError
from rsopt.soft import replay as rules

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
        self.first_slope, self.first_choice = float(rival["first_slope"]), int(rival["first_choice"])
        self.bets = np.array(rival["bets"], dtype=np.float64)
        self.final = float(rival["log_capital"])
        if self.sloped:
            require(1.0 <= self.first_slope <= math.exp(8.0) * (1 + 1e-12) and self.first_choice >= 8,
                    f"{name}: the first slope is out of range")
        slopes = [float(slope) for slope, count in rival["slopes"] for _ in range(int(count))]
        sizes = rules.block_sizes(self.n, self.first_stage)
        parts = list(zip(slopes, rival["sums"], rival["folded"], rival["kept"], strict=True))
        require(len(parts) <= len(sizes), f"{name}: more blocks than the run has")
        self.blocks = [self._block(k, sizes[k], *part) for k, part in enumerate(parts)]

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

    def prediction(self, stage: int, z: float, slope: float) -> tuple[float, float]:
        """Centre and scale of the grid that this rival's first stage implies, given its recorded slope."""
        sums, rows = np.zeros(9), 0
        for block in self.blocks:
            if rows < stage:
                sums, rows = sums + block.sums, rows + block.rows
        require(rows == stage, f"{self.name}: the first stage is not complete")
        centre, slope_used = 0.0, 0.0
        if self.sloped and stage == 0:
            slope_used = 1.0
        elif self.sloped:
            choice, value = rules.slope_choice(sums, stage, self.n, z, self.log_level)
            # Near-ties between slopes may fall either way by rounding; both then promise the same.
            log_slope = math.log(max(slope, 1.0))
            promised = rules.slope_value(log_slope, sums, stage, self.n, z, self.log_level)
            tied = abs(promised - value) <= 1e-9 * (1.0 + abs(value))
            centre, slope_used = max(value, 0.0), slope if tied else math.exp(choice)
        mean, variance, _ = rules.moments_of_x(sums, stage, slope_used)
        error = math.sqrt((1.0 + stage * variance) / (4.0 + stage) / self.n)
        if not self.sloped:
            return mean - z * error, error
        level = max(centre, 0.05)
        d = level / 2 - math.log(slope_used) / level
        vega = math.exp(-d * d / 2) / math.sqrt(2 * math.pi)
        return centre, (1 + slope_used) * error / max(vega, 1e-3)

    def prove(self, nulls: np.ndarray, fast: bool) -> None:
        """Replay all `nulls`; each must be rejected, and the last one by the recorded bets."""
        alive = nulls.copy()
        capital = np.zeros(nulls.size)
        sums, used, chosen, slope = np.zeros(9), 0, 0.8 * self.first_choice, self.first_slope
        target = self.log_level + 1e-13 * self.n
        bets, final = [], 0.0
        for k, block in enumerate(self.blocks):
            if alive.size == 0:
                break
            if self.sloped and used >= 1.25 * chosen:
                slope, chosen = self._slope(k, sums, used), used
            require(abs(block.slope / slope - 1.0) <= 1e-12 if self.sloped else block.slope == 0.0,
                    f"{self.name}, block {k + 1}: its slope is not the one that earlier rows imply")
            means = rules.mean_under_null(alive, block.slope)
            require(means.max() < 1.0, f"{self.name}, block {k + 1}: a null allows every mean")
            moments = rules.moments_of_x(sums, used, block.slope)
            bet = (rules.fast_bet(moments[1], used, self.n, self.log_level, means) if fast else
                   rules.digital_bet(moments, used, self.n, self.first_stage, self.log_level, means, capital))
            capital = capital + rules.growth(block, bet, means)
            if alive[-1] == nulls[-1]:
                bets.append(float(bet[-1]))
                final = float(capital[-1])
            open_ = capital < target
            alive, capital = alive[open_], capital[open_]
            sums, used = sums + block.sums, used + block.rows
        same = len(bets) == self.bets.size and np.allclose(bets, self.bets, rtol=AGREEMENT, atol=AGREEMENT)
        require(same, f"{self.name}: a bet is not the one that earlier rows imply")
        require(alive.size == 0,
                f"{self.name}: the capital against the null {alive[:1]} stays below 1/alpha")
        require(abs(final - self.final) <= AGREEMENT, f"{self.name}: the final capital is another one")

    def _slope(self, k: int, sums: np.ndarray, used: int) -> float:
        """The slope that block k must have; the recorded one where it promises as much as the rule's choice.
        """
        recorded = self.blocks[k].slope
        require(1.0 <= recorded <= math.exp(8.0) * (1 + 1e-12),
                f"{self.name}, block {k + 1}: slope out of range")
        choice, value = rules.slope_choice(sums, used, self.n, self.slope_z, self.log_level)
        if abs(math.log(recorded) - choice) <= 1e-9:
            return recorded
        on_lattice = abs(math.log(recorded) / 0.02 - round(math.log(recorded) / 0.02)) <= 1e-6
        promised = rules.slope_value(math.log(recorded), sums, used, self.n, self.slope_z, self.log_level)
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
