"""The betting capital of many nulls at once, from block records."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rsopt.intervals.blocks import MEAN, SLOPE, THIRD, USED, VARIANCE, log_growth
from rsopt.intervals.call_price import ROUNDING, call_price
from rsopt.normal import ndtr, ndtri

#: The target of the digital option is set above 1/alpha by this factor, so that p = alpha W/1.02 stays below 1.
OVERSHOOT = 1.02
#: The largest share of the capital that one row may cost.
STAKE = 0.99
#: Nulls that allow a larger mean of x are never rejected.
LARGEST_MEAN = 1.0 - 1e-9
#: A null whose capital fell below e^GIVE_UP is given up: betting nothing from there on is a valid bet.
GIVE_UP = -16.0


@njit(cache=True)
def null_mean(level: float, b: float) -> float:
    """m(L): the largest mean of x = (X_A - b X_j + b)/(1 + b) under {M2 <= L}; L itself where b = 0. Rounded up."""
    if b == 0.0:
        return level
    return (call_price(b, level) + ROUNDING + b) / (1.0 + b)


@njit(cache=True)
def two_points(variance: float, third: float, floor: float) -> tuple[float, float]:
    """Up- and down-step of the two-point law with this variance and third moment; the down-step is at most `floor`."""
    s = math.sqrt(variance)
    half = 0.5 * third / (variance * s)
    root = math.sqrt(1.0 + half * half)
    if half >= 0.0:
        up = s * (root + half)
        down = variance / up
    else:
        down = s * (root - half)
        up = variance / down
    if down > floor:
        down = floor
        up = variance / floor
    return up, down


@njit(cache=True)
def digital_bet(p: float, variance: float, up: float, down: float, left: float) -> float:
    """Bet that hedges a digital option worth p of its target, over one two-point step with `left` rows to go."""
    d = ndtri(p) * math.sqrt(variance * left)
    after = math.sqrt(variance * max(left - 1.0, 0.5))
    return (ndtr((d + up) / after) - ndtr((d - down) / after)) / ((up + down) * p)


@njit(cache=True)
def digital_hedge(records: np.ndarray, kept: np.ndarray, kept_ends: np.ndarray, nulls: np.ndarray, n: int,
                  first_stage: int, log_level: float, slack: float, blocks_needed: np.ndarray) -> int:
    """Scan `nulls` upwards; return the number of leading nulls that are rejected.

    blocks_needed[i]: blocks after which null i was rejected; -1 if it was not.
    """
    size = nulls.size
    alive = np.arange(size)
    log_w = np.zeros(size)
    lam = np.empty(size)
    product = np.empty(size)
    m = np.empty(size)
    count = size
    blocks_needed[:] = -1
    slope = -1.0
    start = 0
    limit = size
    target = log_level + slack
    for k in range(records.shape[0]):
        if count == 0:
            break
        record = records[k]
        used = record[USED]
        left = n - used
        if record[SLOPE] != slope:
            slope = record[SLOPE]
            for i in range(count):
                m[i] = null_mean(nulls[alive[i]], slope)
                if m[i] > LARGEST_MEAN:
                    limit = alive[i]
                    count = i
                    break
        variance = (1.0 + used * record[VARIANCE]) / (4.0 + used)
        third = (used * record[THIRD] - 4.0 * record[MEAN] * variance) / (used + 4.0)
        if used < first_stage:
            up, down = two_points(variance, third, (0.5 + used * record[MEAN]) / (1.0 + used))
            bet = digital_bet(math.exp(-log_level) / OVERSHOOT, variance, up, down, n)
            for i in range(count):
                lam[i] = min(bet, STAKE / m[i])
        else:
            for i in range(count):
                v = min(variance, m[i] * (1.0 - m[i]))
                up, down = two_points(v, third, m[i])
                p = math.exp(log_w[i] - log_level) / OVERSHOOT
                lam[i] = min(max(digital_bet(p, v, up, down, left), 0.0), STAKE / m[i])
        for i in range(count):
            log_w[i] += log_growth(record, lam[i], m[i])
        done = start
        while done < kept_ends[k]:
            stop = min(done + 64, kept_ends[k])
            product[:count] = 1.0
            for j in range(done, stop):
                for i in range(count):
                    product[i] *= 1.0 + lam[i] * (kept[j] - m[i])
            for i in range(count):
                log_w[i] += math.log(product[i])
            done = stop
        start = kept_ends[k]
        fresh = 0
        for i in range(count):
            if log_w[i] >= target:
                blocks_needed[alive[i]] = k + 1
            elif log_w[i] < GIVE_UP:
                limit = alive[i]
                break
            else:
                alive[fresh] = alive[i]
                log_w[fresh] = log_w[i]
                m[fresh] = m[i]
                fresh += 1
        count = fresh
    return alive[0] if count > 0 else limit
