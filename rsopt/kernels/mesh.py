"""Compiled proof that the tail stays below a target along a level curve: a mesh of corner and convex pieces.

The curve g(q) = L is cut at increasing q2. Two bounds cover a piece from a to b:

- *corner* (fact 4): q1 and q2 increase along the curve, so sup P <= P at (q1(b), q2(a)).
- *convex* (fact 5): F_W is a posynomial, so log F_W is convex in log q. If q_i <= r_i a_i^(1-l) b_i^l for every i at
  matched l, then sup log P <= max over the two ends e of log F_W(e∘r) = log P(e∘r normalised) + n log sum(e∘r).
  With q = (1-l) a + l b + (curvature), log r_i <= (Δ log q_i)²/8 by Hoeffding's lemma for a two-point variable, plus
  log(1 + gap_i/least q_i), the gap between curve and chord being at most Δ² max|h''|/8.

An end is shared by two pieces; evaluated once at the larger of their two r it serves both, because F_W has positive
coefficients. So the proof costs one tail evaluation a node.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rsopt.kernels.links import (
    EPS,
    IDENTITY,
    curve_q1,
    curve_q1_error,
    link_curvature,
    link_slope,
    rest,
)
from rsopt.kernels.statistics import Rule
from rsopt.kernels.tail import log_tail, log_tail_above

Node = tuple[float, float, float, float]  # q1 rounded up, q1 rounded down, q3 rounded up, q3 rounded down
Factors = tuple[float, float, float]

PROVED, WITNESS, EXHAUSTED = 0, 1, 2
CORNER, CONVEX = 0, 1

_RTOL = 1e-7
_LEFT_OUT = math.log(5e-5)  # of alpha, on each side of the window of a proof's tail; added, so it costs slack only
_DEEPEST = 50.0
_SHARE = 0.8  # of the slack at a node that a piece may use up: less means more nodes, more means more failures


@njit(cache=True, error_model="numpy")
def rounding_slack(n: int) -> float:
    """What floating point can add to log P at a node: every q_i is good to 16 units, and F_W has degree n."""
    return 64.0 * n * EPS + 1e-10


@njit(cache=True, error_model="numpy")
def _upper_log_tail(q1: float, q2: float, q3: float, n: int, stairs: np.ndarray, rule: Rule, top_row: int,
                    log_alpha: float) -> float:
    return log_tail_above(q1, q2, q3, n, stairs, rule, top_row, 0, 0, _RTOL, log_alpha + _LEFT_OUT) + rounding_slack(n)


@njit(cache=True, error_model="numpy")
def _slopes(kind: int, coefficients: np.ndarray, a: float, b: float) -> tuple[float, float]:
    """Least and largest f' on [a, b]."""
    at_a = link_slope(kind, coefficients, a)
    at_b = link_slope(kind, coefficients, b)
    low = link_slope(kind, coefficients, 0.5) if a <= 0.5 <= b else min(at_a, at_b)
    return low, max(at_a, at_b)


@njit(cache=True, error_model="numpy")
def chord_gaps(kind: int, coefficients: np.ndarray, a1: float, b1: float, a2: float, b2: float
               ) -> tuple[float, float]:
    """How far the curve can rise above, and fall below, its chord over q2 in [a2, b2] with q1 in [a1, b1].

    h'' = (f''(q2) - f''(q1) h'²)/f'(q1), bounded with f'' nondecreasing and f' least at 1/2.
    """
    if kind == IDENTITY:
        return 0.0, 0.0
    slope1_low, slope1_high = _slopes(kind, coefficients, a1, b1)
    slope2_low, slope2_high = _slopes(kind, coefficients, a2, b2)
    steep_low = (slope2_low / slope1_high) ** 2
    steep_high = (slope2_high / slope1_low) ** 2
    bend1_low = link_curvature(kind, coefficients, a1)
    bend1_high = link_curvature(kind, coefficients, b1)
    high = link_curvature(kind, coefficients, b2) - bend1_low * (steep_high if bend1_low < 0.0 else steep_low)
    low = link_curvature(kind, coefficients, a2) - bend1_high * (steep_high if bend1_high > 0.0 else steep_low)
    up = max(-low, 0.0) / slope1_low
    down = max(high, 0.0) / slope1_low
    scale = 0.125 * (b2 - a2) * (b2 - a2) * (1.0 + 1e-9)
    return up * scale, down * scale


@njit(cache=True, error_model="numpy")
def _node(kind: int, coefficients: np.ndarray, level: float, q2: float) -> tuple[float, float, float, float]:
    """(q1 rounded up, q1 rounded down, q3 rounded up, q3 rounded down) on the curve at q2."""
    q1 = curve_q1(kind, coefficients, level, q2)
    error = curve_q1_error(kind, q1, q2, level)
    up = min(q1 + error, 1.0 - q2)
    down = max(q1 - error, 0.0)
    return up, down, rest(down, q2) * (1.0 + EPS) + EPS * EPS, rest(up, q2) * (1.0 - EPS)


@njit(cache=True, error_model="numpy")
def _factors(kind: int, coefficients: np.ndarray, a: Node, b: Node, a2: float, b2: float
             ) -> tuple[float, float, float]:
    """(r1, r2, r3) of a convex piece; infinite where an end has a zero coordinate."""
    _, a1_down, a3_up, _ = a
    b1_up, _, _, b3_down = b
    if a1_down <= 0.0 or a2 <= 0.0 or b3_down <= 0.0:
        return np.inf, np.inf, np.inf
    up, down = chord_gaps(kind, coefficients, a1_down, b1_up, a2, b2)
    d1 = math.log(b1_up / a1_down)
    d2 = math.log(b2 / a2)
    d3 = math.log(a3_up / b3_down)
    r1 = math.exp(0.125 * d1 * d1) * (1.0 + up / a1_down)
    r2 = math.exp(0.125 * d2 * d2)
    r3 = math.exp(0.125 * d3 * d3) * (1.0 + down / b3_down)
    return r1, r2, r3


@njit(cache=True, error_model="numpy")
def _loss(e: Node, q2: float, r: Factors, n: int) -> float:
    """n log sum(e∘r): what the convex bound loses at the end e."""
    q1, _, q3, _ = e
    return n * math.log(q1 * r[0] + q2 * r[1] + q3 * r[2])


@njit(cache=True, error_model="numpy")
def _covered(e: Node, q2: float, r: Factors, n: int, stairs: np.ndarray, rule: Rule, top_row: int,
             log_alpha: float) -> float:
    """log F_W(e∘r), an upper bound."""
    q1, _, q3, _ = e
    return (_upper_log_tail(q1 * r[0], q2 * r[1], q3 * r[2], n, stairs, rule, top_row, log_alpha)
            + _loss(e, q2, r, n))


@njit(cache=True, error_model="numpy")
def _corner(b: Node, a2: float, n: int, stairs: np.ndarray, rule: Rule, top_row: int, log_alpha: float) -> float:
    """log P at (q1(b), q2(a)), an upper bound over the piece."""
    q1 = b[0]
    return _upper_log_tail(q1, a2, rest(q1, a2), n, stairs, rule, top_row, log_alpha)


@njit(cache=True, error_model="numpy")
def _next(kind: int, coefficients: np.ndarray, level: float, here: Node, q2: float, end: float, step: float,
          target: float, n: int) -> tuple[float, Node, Factors, float]:
    """The next node so that the convex piece loses about `target`; (q2, node, factors, loss)."""
    there = here
    r = (np.inf, np.inf, np.inf)
    loss = np.inf
    q2_next = q2
    for attempt in range(60):
        q2_next = min(q2 + step, end)
        there = _node(kind, coefficients, level, q2_next)
        r = _factors(kind, coefficients, here, there, q2, q2_next)
        loss = _loss(here, q2, r, n) if r[0] < np.inf else np.inf
        if loss <= target and (q2_next == end or loss >= 0.5 * target or attempt > 6):
            break
        if loss == np.inf:
            step *= 0.5
        else:
            step = (q2_next - q2) * min(max(math.sqrt(0.85 * target / max(loss, 1e-300)), 0.05), 8.0)
        if q2 + step <= q2:
            break
    return q2_next, there, r, loss


@njit(cache=True, error_model="numpy")
def prove(n: int, stairs: np.ndarray, rule: Rule, top_row: int, kind: int, coefficients: np.ndarray, level: float,
          start: float, end: float, log_alpha: float, limit: int) -> tuple[int, np.ndarray, np.ndarray, int]:
    """Prove sup P <= alpha over the curve from q2 = start to q2 = end.

    Args:
        n, stairs, rule, top_row: the tail set.
        kind, coefficients: the link; level: L.
        start, end: the curve's q2 range, rounded outwards.
        log_alpha: log of the level that the tail must not exceed.
        limit: most tail evaluations to spend.

    Returns:
        (status, cuts, kinds, evaluations). PROVED: cuts q2 of shape (k + 1,) from start to end and the kind of each of
        the k pieces. WITNESS: cuts holds one q2 where the tail reaches alpha. EXHAUSTED: cuts holds the q2 where
        the budget ended or the slack was too small.
    """
    cuts = np.empty(256)
    kinds = np.empty(256, np.int8)
    used = 0
    # Both ends first: one corner piece each, as long as possible, found by bisection on a logarithmic scale.
    span = end - start
    left, left_evaluations = _longest_corner(n, stairs, rule, top_row, kind, coefficients, level, start, end,
                                             log_alpha, True)
    used += left_evaluations
    cuts[0] = start
    if left >= span:
        cuts[1] = end
        kinds[0] = CORNER
        return PROVED, cuts[:2].copy(), kinds[:1].copy(), used
    right, right_evaluations = _longest_corner(n, stairs, rule, top_row, kind, coefficients, level, start, end,
                                               log_alpha, False)
    used += right_evaluations
    if left <= 0.0 or right <= 0.0:
        q2 = start if left <= 0.0 else end
        reached = _plain(n, stairs, rule, top_row, kind, coefficients, level, q2) >= log_alpha
        cuts[0] = q2
        return (WITNESS if reached else EXHAUSTED), cuts[:1].copy(), kinds[:0].copy(), used
    q2 = start + left
    last = end - right
    cuts[1] = min(q2, end)
    kinds[0] = CORNER
    pieces = 1
    if q2 >= last:
        cuts[2] = end
        kinds[1] = CORNER
        return PROVED, cuts[:3].copy(), kinds[:2].copy(), used
    here = _node(kind, coefficients, level, q2)
    before = here
    q2_before = q2
    r_left = (1.0, 1.0, 1.0)
    left_convex = False
    estimate = _upper_log_tail(here[0], q2, here[2], n, stairs, rule, top_row, log_alpha)
    used += 1
    step = 1e-3 * min(q2, 1.0)
    share = _SHARE
    failed = False
    tries = 0
    while True:
        if used > limit:
            cuts[0] = q2
            return EXHAUSTED, cuts[:1].copy(), kinds[:0].copy(), used
        slack = log_alpha - estimate
        if slack <= 0.0 or failed:
            # The estimate includes rounding and the factors' shift: ask for the tail itself before going on.
            plain = _plain(n, stairs, rule, top_row, kind, coefficients, level, q2)
            used += 1
            if plain >= log_alpha or log_alpha - plain <= 4.0 * rounding_slack(n):
                cuts[0] = q2
                return (WITNESS if plain >= log_alpha else EXHAUSTED), cuts[:1].copy(), kinds[:0].copy(), used
            slack = log_alpha - plain - rounding_slack(n)
            failed = False
        # Deep tails would allow pieces whose factors only logarithms can hold; a checker should not need them.
        slack = min(slack, _DEEPEST)
        at_end = q2 >= last
        q2_next = q2
        there = here
        r_right = (1.0, 1.0, 1.0)
        if not at_end:
            q2_next, there, r_right, loss = _next(kind, coefficients, level, here, q2, last, step, share * slack, n)
            if q2_next <= q2 or loss == np.inf:
                cuts[0] = q2
                return EXHAUSTED, cuts[:1].copy(), kinds[:0].copy(), used
        r = (max(r_left[0], r_right[0]), max(r_left[1], r_right[1]), max(r_left[2], r_right[2]))
        value = _covered(here, q2, r, n, stairs, rule, top_row, log_alpha)
        used += 1
        loss = _loss(here, q2, r, n)
        estimate = value - loss
        if value > log_alpha:
            failed = estimate >= log_alpha
            left_loss = _loss(here, q2, r_left, n)
            tries += 1
            if left_convex and (left_loss > _SHARE * slack or tries > 3):
                # The piece behind is too long for the slack found here: move this node back towards the last one.
                shrink = max(min(math.sqrt(0.7 * _SHARE * slack / left_loss), 0.8), 0.1)
                q2 = q2_before + (q2 - q2_before) * shrink
                here = _node(kind, coefficients, level, q2)
                r_left = _factors(kind, coefficients, before, here, q2_before, q2)
                cuts[pieces] = q2
                step = q2 - q2_before
                tries = 0
            # The factors cost more than their sum says, because they also shift the point: leave the next piece less.
            # What was learned here is kept for the nodes to come and forgotten slowly.
            share = max(0.5 * share, 1e-4)
            continue
        if at_end:
            break
        if pieces + 3 > kinds.size:
            more = np.empty(2 * cuts.size)
            more[: cuts.size] = cuts
            cuts = more
            more_kinds = np.empty(2 * kinds.size, np.int8)
            more_kinds[: kinds.size] = kinds
            kinds = more_kinds
        kinds[pieces] = CONVEX
        pieces += 1
        cuts[pieces] = q2_next
        before = here
        q2_before = q2
        step = q2_next - q2
        q2 = q2_next
        here = there
        r_left = r_right
        left_convex = True
        tries = 0
        share = min(1.25 * share, _SHARE)
    kinds[pieces] = CORNER
    pieces += 1
    cuts[pieces] = end
    return PROVED, cuts[: pieces + 1].copy(), kinds[:pieces].copy(), used


@njit(cache=True, error_model="numpy")
def _plain(n: int, stairs: np.ndarray, rule: Rule, top_row: int, kind: int, coefficients: np.ndarray, level: float,
           q2: float) -> float:
    """log P on the curve at q2, as computed."""
    q1 = curve_q1(kind, coefficients, level, q2)
    return log_tail(q1, q2, rest(q1, q2), n, stairs, rule, top_row, 0, 0, _RTOL)


@njit(cache=True, error_model="numpy")
def _longest_corner(n: int, stairs: np.ndarray, rule: Rule, top_row: int, kind: int, coefficients: np.ndarray,
                    level: float, start: float, end: float, log_alpha: float, at_start: bool) -> tuple[float, int]:
    """Length in q2 of the longest corner piece from one end that the corner bound proves; 0 if there is none."""
    span = end - start
    used = 0
    tip = _node(kind, coefficients, level, end)
    if _corner(tip, start, n, stairs, rule, top_row, log_alpha) <= log_alpha:
        return 2.0 * span, 1
    bottom = math.log(max(1e-4 / n * min(span, 1e-2 * (1.0 - span) + span), 1e-300))
    top = math.log(span)
    proven = 0.0
    low = bottom
    high = top
    for attempt in range(16):
        middle = bottom if attempt == 0 else 0.5 * (low + high)
        length = math.exp(middle)
        used += 1
        if at_start:
            value = _corner(_node(kind, coefficients, level, start + length), start, n, stairs, rule, top_row,
                            log_alpha)
        else:
            value = _corner(tip, end - length, n, stairs, rule, top_row, log_alpha)
        if value <= log_alpha:
            proven = length
            low = middle
        elif attempt == 0:
            return 0.0, used
        else:
            high = middle
    return proven, used
