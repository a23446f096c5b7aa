"""All rivals of a transcript played against all of its nulls at once, block by block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsopt.checks import replay as rules
from rsopt.checks.replay_few import two_values
from rsopt.checks.transcript_run import AGREEMENT, Run, require

#: Numbers that the growth over kept rows is computed from at a time.
PORTION = 1 << 18


def prove(runs: Sequence[Run], nulls: Sequence[np.ndarray], fast: bool) -> None:
    """Replay against every rival its `nulls`; each must be rejected, and its last one by the recorded bets.

    Raises:
        CertificateError: a null is not rejected, or a bet, a slope or the capital is not what earlier rows imply.
    """
    for run in runs:
        run.require_slopes()
    game = _Game(runs, nulls, fast)
    blocks = max(run.slopes.size for run in runs)
    k = 0
    while k < blocks and game.rival.size:
        game.play(k)
        k += 1
    for i, run in enumerate(runs):
        unproven = game.unproven[i] + game.level[game.rival == i].tolist()
        require(not unproven, f"{run.name}: the capital against the null {min(unproven, default=0.0):.6g} stays below "
                              "1/alpha")
        bets, final = np.array(game.bets[i]), game.final[i]
        same = bets.size == run.bets.size and np.allclose(bets, run.bets, rtol=AGREEMENT, atol=AGREEMENT)
        require(same, f"{run.name}: a bet is not the one that earlier rows imply")
        require(abs(final - run.final) <= AGREEMENT, f"{run.name}: the final capital is another one")


class _Game:
    """What is still to be rejected: arrays with one entry for each null and rival, in the order of rivals."""

    def __init__(self, runs: Sequence[Run], nulls: Sequence[np.ndarray], fast: bool) -> None:
        self.runs, self.fast = runs, fast
        self.rival = np.repeat(np.arange(len(runs)), [levels.size for levels in nulls])
        self.level = np.concatenate(nulls)
        self.last = np.append(self.rival[1:] != self.rival[:-1], True)
        self.capital, self.offset = np.zeros(self.rival.size), np.zeros(self.rival.size)
        self.means = self.level
        self.bets: list[list[float]] = [[] for _ in runs]
        self.final = [0.0 for _ in runs]
        self.unproven: list[list[float]] = [[] for _ in runs]
        self.recorded = np.array([run.bets.size for run in runs])
        self.target = runs[0].log_level + 1e-13 * runs[0].n
        # Columns by block and rival; rivals whose blocks have ended are not looked at any more.
        self.ends = np.array([run.slopes.size for run in runs])
        self.slopes = self._columns([run.slopes for run in runs])
        pasts = [run.moments() for run in runs]
        mean, self.variance, third = (self._columns([past[i] for past in pasts]) for i in range(3))
        known = runs[0].prior + np.cumsum(runs[0].sizes) - runs[0].sizes
        self.known = known[:mean.shape[0]]
        values = two_values(mean, self.variance, third, self.known[:, None])
        past = rules.Past.of((mean, self.variance, third), self.known[:, None], *values)
        self.past = np.stack([past.mean, past.variance, past.third, past.high, past.low], axis=1)
        self.folded = np.stack([self._columns([run.folded[:, i] for run in runs]) for i in range(8)], axis=1)

    def _columns(self, parts: list[np.ndarray]) -> np.ndarray:
        """(blocks, rivals) from the rivals' own blocks, 1 after their ends."""
        columns = np.ones((max(part.size for part in parts), len(parts)))
        for i, part in enumerate(parts):
            columns[:part.size, i] = part
        return columns

    def play(self, k: int) -> None:
        """Bet on block k, and drop what is rejected then."""
        if self.ends.min() <= k:
            self._give_up(self.ends[self.rival] <= k)
        run, rival = self.runs[0], self.rival
        if run.tangent is not None and (k == 0 or (self.slopes[k] != self.slopes[k - 1]).any()):
            self.means = run.tangent.mean_under_null(self.level, self.slopes[k][rival])
        means = self.means
        require((means < 1.0).all(), f"block {k + 1}: a null allows every mean")
        bets = self._bets(k)
        self.capital = self.capital + self._kept_growth(k, bets)
        if self.folded[k, 0].any():
            self.capital += rules.folded_growth(self.folded[k][:, rival], bets, means)
        playing = self.last.nonzero()[0]
        for i, bet, capital in zip(rival[playing].tolist(), bets[playing].tolist(), self.capital[playing].tolist(),
                                   strict=True):
            self.bets[i].append(bet)
            self.final[i] = capital
        open_ = ~(self.capital >= self.target)
        # The recorded play asks for a little more than 1/alpha and may go on for a block.
        open_[playing] |= k + 1 < self.recorded[rival[playing]]
        if not open_.all():
            self._keep(open_)

    def _bets(self, k: int) -> np.ndarray:
        run, rival, means = self.runs[0], self.rival, self.means
        known = int(self.known[k])
        if self.fast:
            return rules.fast_bet(self.variance[k][rival], known, run.n, run.log_level, means)
        used = known - run.prior
        if used < run.first_stage:
            bets = rules.first_bet(rules.Past(*self.past[k]), known, run.n, run.log_level)[rival]
            bets = np.minimum(bets, rules.NORMAL_STAKE / means)
        else:
            past = rules.Past(*self.past[k][:, rival])
            bets = rules.digital_bet(past, run.n - used, run.n, run.log_level, self.capital, means, self.offset)
        return np.asarray(np.minimum(bets, 0.99999 / means))

    def _kept_growth(self, k: int, bets: np.ndarray) -> np.ndarray:
        """Growth of log capital over the rows of block k that were kept."""
        kept = [run.kept_of(k) for run in self.runs]
        most = max(rows.size for rows in kept)
        # Where another rival kept more rows, a bet of nothing on the difference.
        x, there = np.zeros((len(kept), most)), np.zeros((len(kept), most))
        for i, rows in enumerate(kept):
            x[i, :rows.size], there[i, :rows.size] = rows, 1.0
        whole = there.all()
        total = np.zeros(bets.size)
        width = max(1, PORTION // max(1, bets.size))
        for start in range(0, most, width):
            columns = slice(start, start + width)
            steps = bets[:, None] * (x[self.rival, columns] - self.means[:, None])
            total += np.log1p(steps if whole else steps * there[self.rival, columns]).sum(axis=1)
        return total

    def _give_up(self, ended: np.ndarray) -> None:
        for i, level in zip(self.rival[ended].tolist(), self.level[ended].tolist(), strict=True):
            self.unproven[i].append(level)
        self._keep(~ended)

    def _keep(self, open_: np.ndarray) -> None:
        self.rival, self.level, self.last = self.rival[open_], self.level[open_], self.last[open_]
        self.capital, self.offset, self.means = self.capital[open_], self.offset[open_], self.means[open_]
