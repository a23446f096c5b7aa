"""The betting capital of many nulls at once, from block records.

Under the null {E x <= m}, with 0 <= lam <= STAKE/m fixed before the block, every factor 1 + lam (x - m) is
positive and has mean at most 1, so the capital is a nonnegative supermartingale and exceeds 1/alpha at any
time with probability at most alpha (Ville; proposition P3). With slopes, m = m(L) changes from block to block with
b, and the same holds under {M <= L}, M the functional. Two betting schemes:

*Digital hedge.* For n rows known in advance the likelihood-ratio wealth of the best test is a digital option;
the bet hedges it. alpha W is the option's price in units of its payoff, and the chord over a two-point step
with matched variance and skewness takes the place of the tangent (Browne 1999; Voracek & Orabona 2025 is its
limit for small alpha W). Where few rows are low, the option is the binomial one instead of the normal one
(`rsopt.intervals.few_downs`). These bets depend on the null, so capital need not decrease in L. Hence the scan:
nulls are nested, a grid is fixed before the bets that depend on them, and the report is the null before the
first one not rejected. If that report is above the truth, then L*, the first grid point above the truth, was
rejected, and this has probability at most alpha. The grid may depend on a first stage in which the bets do
not depend on the null except through the clip at STAKE/m (proposition P4): there each factor decreases in m, so
the capital K_A decreases in L, K_A(L*) <= K_A(truth), and K_A(truth) followed by the growth of L* is a supermartingale
that starts at 1. A cap m (1 - m) on the variance in the first stage would break this. With a selection sample of
enough rows there is no first stage: the grid rests on the sample, which is independent of the rows.

*Fast betting.* Bets never depend on the null except through the clip, so the capital decreases in L and the
bound is a root.
"""

from __future__ import annotations

import math

import numpy as np

from rsopt.compiled import raising
from rsopt.intervals.blocks import KNOWN, MEAN, SLOPE, THIRD, USED, VARIANCE, log_growth
from rsopt.intervals.few_downs import FEW, FEW_OVERSHOOT, few_downs_bet, lows_guess, lows_worth, support
from rsopt.intervals.tangents import ROUNDING, tangent_price
from rsopt.intervals.two_points import two_points
from rsopt.kernels.normal import ndtr, ndtri

#: The option pays OVERSHOOT + 1/n times 1/alpha, so that its price stays below 1. With few rows the hedge
#: would otherwise stop just short of 1/alpha against nulls it takes for won.
OVERSHOOT = 1.02
#: The largest share of the capital that one row may cost: by the binomial option, whose best bet is all of it where no
#: low row is to spare, and by all other bets.
STAKE, NORMAL_STAKE = 0.99999, 0.9
#: Bets that hedge the normal option are at most so many times those of fast betting: distant nulls ask for larger ones,
#: and rows that were summed up in blocks are no record of these.
FASTEST = 8.0
#: Nulls that allow a larger mean of x are never rejected.
LARGEST_MEAN = 1.0 - 1e-9
#: A null whose log capital fell below is given up: betting nothing from there on is a valid bet.
GIVE_UP = -8.0
#: Kept rows multiplied up before a logarithm is taken; 0.00001^32 is far from underflow.
RUN = 32


@raising
def null_mean(kind: int, level: float, b: float) -> float:
    """m(L): the largest mean of x under {M <= L}, rounded up; the null is that mean itself where b = 0."""
    if b == 0.0:
        return level
    return (tangent_price(kind, b, level) + ROUNDING + b) / (1.0 + b)


@raising
def _hedge(p: float, variance: float, up: float, down: float, left: float) -> float:
    """Bet that hedges an option priced at p of its payoff over a two-point step, `left` rows to go."""
    d = ndtri(p) * math.sqrt(variance * left)
    after = math.sqrt(variance * max(left - 1.0, 0.5))
    return max(0.0, (ndtr((d + up) / after) - ndtr((d - down) / after)) / ((up + down) * p))


@raising
def place_digital_bets(record: np.ndarray, n: int, first_stage: int, log_level: float, log_w: np.ndarray,
                       m: np.ndarray, lam: np.ndarray, offset: np.ndarray) -> None:
    """Bets of one block, written to `lam`: from the record's moments before the block and the capital so far.

    `offset` carries how far off the guess of the lows that each capital was worth has been, 0 at first.
    """
    used, known = record[USED], record[KNOWN]
    payoff = math.exp(log_level) * (OVERSHOOT + 1.0 / n)
    variance = (1.0 + known * record[VARIANCE]) / (4.0 + known)
    third = (known * record[THIRD] - 4.0 * record[MEAN] * variance) / (known + 4.0)
    if used < first_stage:
        floor = (0.5 + known * record[MEAN]) / (1.0 + known)
        up, down = two_points(variance, third, floor)
        bet = _hedge(1.0 / payoff, variance, up, down, n)
        for i in range(m.size):
            lam[i] = min(bet, NORMAL_STAKE / m[i])
        return
    high, low = support(record[MEAN], record[VARIANCE], record[THIRD], known)
    most = FASTEST * math.sqrt(2.0 * log_level / (variance * (n - used)))
    for i in range(m.size):
        rise, fall = high - m[i], m[i] - low
        if 0.0 < rise < fall and n * rise < FEW * (rise + fall):
            p = math.exp(log_w[i] - log_level) / FEW_OVERSHOOT
            guess = lows_guess(p, n - used, rise / (rise + fall))
            k = lows_worth(p, n - used, rise / (rise + fall), guess + offset[i])
            offset[i] = k - guess
            lam[i] = min(few_downs_bet(k, p, n - used, rise, fall), STAKE / m[i])
            continue
        v = min(variance, m[i] * (1.0 - m[i]))
        up, down = two_points(v, third, m[i])
        p = math.exp(log_w[i]) / payoff
        lam[i] = min(_hedge(p, v, up, down, n - used), most, NORMAL_STAKE / m[i])


@raising
def play(record: np.ndarray, kept: np.ndarray, lam: np.ndarray, m: np.ndarray, log_w: np.ndarray,
         product: np.ndarray) -> None:
    """Add a block's growth to `log_w`. `kept` are the block's kept rows; `product` is room of the same size.
    """
    for i in range(m.size):
        log_w[i] += log_growth(record, lam[i], m[i])
    done = 0
    while done < kept.size:
        stop = min(done + RUN, kept.size)
        product[:] = 1.0
        for j in range(done, stop):
            for i in range(m.size):
                product[i] *= 1.0 + lam[i] * (kept[j] - m[i])
        for i in range(m.size):
            log_w[i] += math.log(product[i])
        done = stop


@raising
def scan(records: np.ndarray, kept: np.ndarray, kept_ends: np.ndarray, nulls: np.ndarray, kind: int, n: int,
         first_stage: int, log_level: float, slack: float, blocks_needed: np.ndarray) -> int:
    """Bet the digital hedge against increasing `nulls`; return how many are rejected before the first that is
    not.

    `slack` is added to the log capital that a rejection takes. blocks_needed[i] becomes the number of blocks
    after which null i was rejected, -1 if it was not (or need not be known: it lies above one that was given
    up).
    """
    size = nulls.size
    alive = np.arange(size)
    log_w, lam, product, m = np.zeros(size), np.empty(size), np.empty(size), np.empty(size)
    offset = np.zeros(size)
    blocks_needed[:] = -1
    slope = -1.0
    start = 0
    count, limit = size, size
    for k in range(records.shape[0]):
        record = records[k]
        if record[SLOPE] != slope:
            slope = record[SLOPE]
            for i in range(count):
                m[i] = null_mean(kind, nulls[alive[i]], slope)
                if m[i] > LARGEST_MEAN:
                    limit, count = alive[i], i
                    break
        if count == 0:
            break
        place_digital_bets(record, n, first_stage, log_level, log_w[:count], m[:count], lam[:count],
                           offset[:count])
        play(record, kept[start:kept_ends[k]], lam[:count], m[:count], log_w[:count], product[:count])
        start = kept_ends[k]
        fresh = 0
        for i in range(count):
            if log_w[i] >= log_level + slack:
                blocks_needed[alive[i]] = k + 1
            elif log_w[i] < GIVE_UP:
                limit = alive[i]
                break
            else:
                alive[fresh], log_w[fresh], m[fresh], offset[fresh] = alive[i], log_w[i], m[i], offset[i]
                fresh += 1
        count = fresh
    return alive[0] if count > 0 else limit


@raising
def replay(records: np.ndarray, kept: np.ndarray, kept_ends: np.ndarray, null: float, kind: int, n: int,
           first_stage: int, log_level: float, slack: float, bets: np.ndarray,
           log_capital: np.ndarray) -> int:
    """Bets and log capital for one null until it is rejected or given up; return the blocks played."""
    log_w, lam, product, m, offset = np.zeros(1), np.empty(1), np.empty(1), np.empty(1), np.zeros(1)
    start = 0
    for k in range(records.shape[0]):
        m[0] = null_mean(kind, null, records[k, SLOPE])
        place_digital_bets(records[k], n, first_stage, log_level, log_w, m, lam, offset)
        play(records[k], kept[start:kept_ends[k]], lam, m, log_w, product)
        start = kept_ends[k]
        bets[k], log_capital[k] = lam[0], log_w[0]
        if log_w[0] >= log_level + slack or log_w[0] < GIVE_UP:
            return k + 1
    return len(records)


@raising
def fast_capital(records: np.ndarray, kept: np.ndarray, kept_ends: np.ndarray, null: float, kind: int, n: int,
                 log_level: float, slack: float, bets: np.ndarray, log_capital: np.ndarray) -> int:
    """The same for fast betting; returns 0 for a null that allows every mean."""
    log_w, lam, product, m = np.zeros(1), np.empty(1), np.empty(1), np.empty(1)
    start = 0
    for k in range(records.shape[0]):
        m[0] = null_mean(kind, null, records[k, SLOPE])
        if m[0] > LARGEST_MEAN:
            return 0
        known = records[k, KNOWN]
        variance = (0.25 + known * records[k, VARIANCE]) / (1.0 + known)
        lam[0] = min(math.sqrt(2.0 * log_level / (n * variance)), NORMAL_STAKE / m[0])
        play(records[k], kept[start:kept_ends[k]], lam, m, log_w, product)
        start = kept_ends[k]
        bets[k], log_capital[k] = lam[0], log_w[0]
        if log_w[0] >= log_level + slack:
            return k + 1
    return len(records)
