"""Rows summed up in blocks: all that the betting bounds remember of the data.

Bets and slopes stay fixed inside a block and use earlier blocks only, so they are predictable. What a block
must tell about its rows x is then sum log(1 + lam (x - m)) for any bet lam and any null mean m, and the
moments that later bets are computed from. Rows near the running mean are folded into the power sums P_2 … P_6
about their own mean c; rows far from it, and all rows of a small block, are kept one by one. With z = 1 + lam
(c - m) and u = lam (x - c)/z,

    log(1 + lam (x - m)) = log z + log(1 + u),
    log(1 + u) = u - u²/2 + u³/3 - u⁴/4 + u⁵/5 - u⁶ H(u),   H(u) = ∫ s⁵/(1 + s u) ds over [0, 1],

and H decreases in u, so putting an upper bound of H at the block's smallest u in place of H(u) can only lower the
capital: the bound stays valid, and no row is needed again. Memory is one record a block, about
60 ln(n/60) + 10 ln(n/60) blocks, and the kept rows.
"""

from __future__ import annotations

import math

import numpy as np

from rsopt.compiled import raising
from rsopt.intervals.few_downs import FEW, support
from rsopt.intervals.slope import best_slope, moments
from rsopt.kernels.links import IDENTITY

#: Columns of a record: rows before the block, rows in it, rows folded, slope, the moments of x before it, …
USED, ROWS, FOLDED, SLOPE, MEAN, VARIANCE, THIRD = 0, 1, 2, 3, 4, 5, 6
#: … mean and smallest of the folded rows, their power sums P_2 … P_6, the nine sums over all rows of the block, and
#: the rows that the moments come from: those before the block and those of a selection sample.
CENTRE, LOWEST, POWERS, SUMS, KNOWN, WIDTH = 7, 8, 9, 14, 23, 24
#: The state carried from block to block: nine sums, the slope, the rows used when it was chosen.
STATE_SLOPE, STATE_CHOSEN, STATE_WIDTH = 9, 10, 11

#: Blocks of at most this many rows keep them all.
SMALL_BLOCK = 8
#: A slope is first chosen when this many rows are known, and again whenever their number has grown by the factor.
FIRST_CHOICE, GROWTH = 8, 1.25
#: Folded rows change the capital by about this share at most; where few rows are low, bets reach 1/m.
REACH = 0.3


def block_ends(n: int, first_stage: int, prior: int) -> np.ndarray:
    """Ends of the blocks: sizes max(1, min(r//60, t//10)), t rows known and r left, broken at `first_stage`.

    `prior` rows of a selection sample are known from the start.
    """
    ends = []
    t = 0
    while t < n:
        size = max(1, min((n - t) // 60, (t + prior) // 10))
        if t < first_stage:
            size = min(size, first_stage - t)
        t += size
        ends.append(t)
    return np.array(ends, dtype=np.int64)


@raising
def _fold(x: np.ndarray, near: float, reach: float, record: np.ndarray, kept: np.ndarray) -> int:
    """Fold the rows within `reach` of `near` into the record; write the others to `kept`, return how many."""
    folded, count = 0, 0
    total = 0.0
    lowest = np.inf
    for i in range(x.size):
        if abs(x[i] - near) <= reach:
            folded += 1
            total += x[i]
            lowest = min(lowest, x[i])
        else:
            kept[count] = x[i]
            count += 1
    record[FOLDED] = folded
    if folded == 0:
        return count
    centre = total / folded
    p1, p2, p3, p4, p5, p6 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(x.size):
        if abs(x[i] - near) <= reach:
            d = x[i] - centre
            d2 = d * d
            p1 += d
            p2 += d2
            p3 += d2 * d
            p4 += d2 * d2
            p5 += d2 * d2 * d
            p6 += d2 * d2 * d2
    # The second pass takes out the rounding of the first sum; its effect on the other powers is of second
    # order.
    record[CENTRE] = centre + p1 / folded
    record[LOWEST] = lowest
    record[POWERS] = p2
    record[POWERS + 1] = p3
    record[POWERS + 2] = p4
    record[POWERS + 3] = p5
    record[POWERS + 4] = p6
    return count


@raising
def _add_sums(u: float, v: float, sums: np.ndarray) -> None:
    sums[0] += u
    sums[1] += v
    sums[2] += u * u
    sums[3] += u * v
    sums[4] += v * v
    sums[5] += u * u * u
    sums[6] += u * u * v
    sums[7] += u * v * v
    sums[8] += v * v * v


@raising
def absorb(a: np.ndarray, y: np.ndarray, first: int, last: int, ends: np.ndarray, prior: int, kind: int, z: float,
           state: np.ndarray, records: np.ndarray, kept: np.ndarray, kept_ends: np.ndarray) -> int:
    """Sum up the rows of blocks first … last - 1 into `records`; return how many rows were kept one by one.

    Args:
        a, y: the two columns, (rows of these blocks,), in [0, 1]; y is ignored for IDENTITY.
        first, last: block numbers.
        ends: ends of all blocks, (blocks,).
        prior: rows behind the sums that the state begins with.
        kind: of the link whose functional x = (a - b y + b)/(1 + b) is for, with slopes b >= 1 chosen here; IDENTITY
            for x = a and b = 0.
        z: standard errors that slopes allow for.
        state: (STATE_WIDTH,), updated; to begin with, the nine sums over the `prior` rows, the first slope (1, or 0
            for IDENTITY), and 0.
        records: (blocks, WIDTH); rows first … last - 1 are written.
        kept: room for the kept x, (rows of these blocks,).
        kept_ends: ends of each block's kept rows within `kept`, (last - first,); written.
    """
    n = ends[-1]
    sloped = kind != IDENTITY
    offset = ends[first - 1] if first > 0 else 0
    count = 0
    x = np.empty(a.size)
    for k in range(first, last):
        used = ends[k - 1] if k > 0 else 0
        rows = ends[k] - used
        known = used + prior
        if sloped and known >= max(FIRST_CHOICE, GROWTH * state[STATE_CHOSEN]):
            state[STATE_SLOPE], _ = best_slope(kind, state[:9], known, n, z)
            state[STATE_CHOSEN] = known
        b = state[STATE_SLOPE]
        mean, variance, third = moments(state[:9], known, b)
        record = records[k]
        record[:] = 0.0
        record[USED], record[ROWS], record[SLOPE] = used, rows, b
        record[MEAN], record[VARIANCE], record[THIRD], record[KNOWN] = mean, variance, third, known
        for i in range(rows):
            u = a[used - offset + i]
            v = y[used - offset + i] if sloped else 0.0
            x[i] = (u - b * v + b) / (1.0 + b)
            _add_sums(u, v, record[SUMS:])
        # Few bets are much above (z + 1)/(s sqrt(r)), so u mostly stays within about 0.3.
        spread = math.sqrt((1.0 + known * variance) / (4.0 + known) * (n - used))
        high, low = support(mean, variance, third, known)
        largest = 1.0 if n * (high - mean) < FEW * (high - low) else np.inf
        reach = REACH * min(spread / (z + 1.0), largest) if rows > SMALL_BLOCK else -1.0
        count += _fold(x[:rows], mean, reach, record, kept[count:])
        kept_ends[k - first] = count
        for i in range(9):
            state[i] += record[SUMS + i]
    return count


@raising
def log_growth(record: np.ndarray, lam: float, m: float) -> float:
    """A lower bound on the sum of log(1 + lam (x - m)) over the folded rows; 0 <= lam < 1/m."""
    folded = record[FOLDED]
    if folded == 0.0:
        return 0.0
    z = 1.0 + lam * (record[CENTRE] - m)
    w = lam / z
    # -1 < u because 1 + u = (1 + lam (x - m))/z is a ratio of positive numbers.
    low = max(0.0, w * (record[CENTRE] - record[LOWEST]))
    # H(-q) = 1/6 + q/7 + q²/8 + … <= 1/6 + q/7 + q²/8 + q³/(9 (1 - q)).
    bound = 1.0 / 6.0 + low * (1.0 / 7.0 + low * (0.125 + low / (9.0 * (1.0 - low))))
    series = w * w * (-record[POWERS] / 2.0 + w * (record[POWERS + 1] / 3.0 + w * (
        -record[POWERS + 2] / 4.0 + w * (record[POWERS + 3] / 5.0 - w * record[POWERS + 4] * bound))))
    return float(folded * math.log(z) + series)
