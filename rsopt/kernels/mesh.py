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
from typing import Any, NamedTuple

import numpy as np

from rsopt.compiled import compiled
from rsopt.kernels.curve import log_tail_on
from rsopt.kernels.links import (
    EPS,
    IDENTITY,
    Link,
    curve_q1,
    curve_q1_error,
    link_curvature,
    link_slope,
    rest,
)
from rsopt.kernels.tail import Staircase, log_tail

PROVED, WITNESS, EXHAUSTED = 0, 1, 2
CORNER, CONVEX = 0, 1

# As plain numbers they would be types of their own, for each of which a function were compiled.
_AT_START: Any = np.int64(0)
_AT_END: Any = np.int64(1)

_RTOL = 1e-7
_LEFT_OUT = math.log(5e-5)  # of alpha, on each side of the window of a proof's tail; added, so it costs slack only
_DEEPEST = 50.0  # deeper tails would allow pieces whose factors only logarithms can hold, which no checker should need
_SHARE = 0.92  # of the slack at a node that a piece may use up: less means more nodes, more means more failures
_LEAST_SHARE = 1e-4
_FIRST_STEP = 1e-3  # of q2: the first convex piece that is tried


class Curve(NamedTuple):
    """The level curve f(q1) - f(q2) = level from q2 = start to q2 = end."""

    f: Link
    level: float
    start: float
    end: float


class Node(NamedTuple):
    """A point of the curve: q2, and q1 and q3 rounded up and down."""

    q2: float
    q1_up: float
    q1_down: float
    q3_up: float
    q3_down: float


class Factors(NamedTuple):
    """By how much a convex piece may exceed the geometric path between its ends, coordinate by coordinate."""

    r1: float
    r2: float
    r3: float


class Outcome(NamedTuple):
    """How a proof ended: status, cuts (k + 1,), the kind (k,) of each piece, and evaluations spent.

    WITNESS: cuts holds one q2 where the tail reaches alpha. EXHAUSTED: the q2 where the budget ended or the slack was
    too small.
    """

    status: int
    cuts: np.ndarray
    kinds: np.ndarray
    evaluations: int


@compiled
def rounding_slack(n: int) -> float:
    """What floating point can add to log P at a node: every q_i is good to 16 units, and F_W has degree n."""
    return 64.0 * n * EPS + 1e-10


@compiled
def prove(tails: Staircase, curve: Curve, log_alpha: float, limit: int) -> Outcome:
    """Prove sup P <= alpha over the curve.

    One corner piece at each end, as long as the corner bound allows: there a coordinate may be 0, where logs end.
    Between them convex pieces, from node to node.

    Args:
        tails: the tail set.
        curve: the level curve, its ends rounded outwards.
        log_alpha: log of the level that the tail must not exceed.
        limit: most tail evaluations to spend.
    """
    start, end = curve.start, curve.end
    left, used = _longest_corner(tails, curve, log_alpha, _AT_START)
    if left >= end - start:
        return _by_corners(start, end, end, used)
    right, more = _longest_corner(tails, curve, log_alpha, _AT_END)
    used += more
    if left <= 0.0 or right <= 0.0:
        q2 = start if left <= 0.0 else end
        return _ended(log_tail_on(curve.f, curve.level, q2, tails, _RTOL), log_alpha, q2, used)
    first, last = start + left, end - right
    if first >= last:
        return _by_corners(start, min(first, end), end, used)
    return _march(tails, curve, first, last, log_alpha, limit, used)


@compiled
def _march(tails: Staircase, curve: Curve, first: float, last: float, log_alpha: float, limit: int, used: int
           ) -> Outcome:
    """Convex pieces from q2 = first to q2 = last, each as long as a share of the slack at its nodes pays for.

    At every node: know the slack; propose the next node; check that this node covers the piece behind it and the piece
    ahead. If it does, go ahead; if not, ask for less, or move this node back where the piece behind it is the cause.
    """
    n = tails.n
    cuts, kinds, pieces = np.empty(257), np.empty(256, np.int8), 1
    cuts[0], cuts[1], kinds[0] = curve.start, first, CORNER
    here = before = _node(curve, first)
    behind = Factors(1.0, 1.0, 1.0)  # of the piece behind this node
    convex_behind = False
    estimate = _log_tail_above(here.q1_up, here.q2, here.q3_up, tails, log_alpha)  # of the tail at this node
    used += 1
    step = _FIRST_STEP * min(first, 1.0)
    share = _SHARE
    doubtful = False
    tries = 0
    while True:
        if used > limit:
            return _ended(-np.inf, log_alpha, here.q2, used)
        slack = log_alpha - estimate
        if slack <= 0.0 or doubtful:
            # The estimate includes rounding and the factors' shift: ask for the tail itself before going on.
            plain = log_tail_on(curve.f, curve.level, here.q2, tails, _RTOL)
            used += 1
            if plain >= log_alpha or log_alpha - plain <= 4.0 * rounding_slack(n):
                return _ended(plain, log_alpha, here.q2, used)
            slack = log_alpha - plain - rounding_slack(n)
            doubtful = False
        slack = min(slack, _DEEPEST)

        there, ahead = here, Factors(1.0, 1.0, 1.0)
        if here.q2 < last:
            there, ahead, loss = _next(curve, here, last, step, share * slack, n)
            if there.q2 <= here.q2 or loss == np.inf:
                return _ended(-np.inf, log_alpha, here.q2, used)

        both = Factors(max(behind.r1, ahead.r1), max(behind.r2, ahead.r2), max(behind.r3, ahead.r3))
        covered = _covered(here, both, tails, log_alpha)
        used += 1
        estimate = covered - _loss(here, both, n)
        if covered > log_alpha:
            doubtful = estimate >= log_alpha
            lost_behind = _loss(here, behind, n)
            tries += 1
            if convex_behind and (lost_behind > _SHARE * slack or tries > 3):
                # The piece behind is too long for the slack found here: move this node back towards the last one.
                shrink = max(min(math.sqrt(0.7 * _SHARE * slack / lost_behind), 0.8), 0.1)
                here = _node(curve, before.q2 + (here.q2 - before.q2) * shrink)
                behind = _factors(curve, before, here)
                cuts[pieces] = here.q2
                step = here.q2 - before.q2
                tries = 0
            # The factors cost more than their sum says, because they also shift the point: leave the next piece less.
            # What was learned here is kept for the nodes to come and forgotten slowly.
            share = max(0.5 * share, _LEAST_SHARE)
            continue
        if here.q2 >= last:
            break

        if pieces + 3 > kinds.size:
            cuts, kinds = _resized(cuts, kinds, pieces, 2 * kinds.size)
        kinds[pieces] = CONVEX
        pieces += 1
        cuts[pieces] = there.q2
        step = there.q2 - here.q2
        before, here, behind = here, there, ahead
        convex_behind = True
        tries = 0
        share = min(1.25 * share, _SHARE)
    kinds[pieces] = CORNER
    pieces += 1
    cuts[pieces] = curve.end
    cuts, kinds = _resized(cuts, kinds, pieces, pieces)
    return Outcome(PROVED, cuts, kinds, used)


@compiled
def _by_corners(start: float, middle: float, end: float, used: int) -> Outcome:
    """The outcome of corner pieces from start to middle and from there to the end; one where the middle is the end."""
    pieces = 1 if middle == end else 2
    cuts, kinds = np.empty(pieces + 1), np.empty(pieces, np.int8)
    cuts[0], cuts[1], cuts[pieces] = start, middle, end
    kinds[0] = kinds[pieces - 1] = CORNER
    return Outcome(PROVED, cuts, kinds, used)


@compiled
def _ended(tail: float, log_alpha: float, q2: float, used: int) -> Outcome:
    """The outcome without a proof: a witness at q2 if the tail there reaches alpha."""
    cuts = np.empty(1)
    cuts[0] = q2
    return Outcome(WITNESS if tail >= log_alpha else EXHAUSTED, cuts, np.empty(0, np.int8), used)


@compiled
def _resized(cuts: np.ndarray, kinds: np.ndarray, pieces: int, room: int) -> tuple[np.ndarray, np.ndarray]:
    """The cuts and kinds of so many pieces in arrays with room for `room` of them."""
    more, more_kinds = np.empty(room + 1), np.empty(room, np.int8)
    more[0] = cuts[0]
    for i in range(pieces):
        more[i + 1], more_kinds[i] = cuts[i + 1], kinds[i]
    return more, more_kinds


@compiled
def _longest_corner(tails: Staircase, curve: Curve, log_alpha: float, side: int) -> tuple[float, int]:
    """Length in q2 of the longest corner piece from one end that the corner bound proves; 0 if there is none.

    Found to a tenth, by bisection on a logarithmic scale; above the length of the curve if one piece covers it all.
    """
    start, end, n = curve.start, curve.end, tails.n
    span = end - start
    used = 0
    tip = _node(curve, end)
    if _corner(tip, start, tails, log_alpha) <= log_alpha:
        return 2.0 * span, 1
    bottom = math.log(max(1e-4 / n * min(span, 1e-2 * (1.0 - span) + span), 1e-300))
    top = math.log(span)
    proven = 0.0
    low = bottom
    high = top
    for attempt in range(16):
        if high - low < 0.1:
            break
        middle = bottom if attempt == 0 else 0.5 * (low + high)
        length = math.exp(middle)
        used += 1
        if side == _AT_START:
            value = _corner(_node(curve, start + length), start, tails, log_alpha)
        else:
            value = _corner(tip, end - length, tails, log_alpha)
        if value <= log_alpha:
            proven = length
            low = middle
        elif attempt == 0:
            return 0.0, used
        else:
            high = middle
    return proven, used


@compiled
def _next(curve: Curve, here: Node, last: float, step: float, target: float, n: int) -> tuple[Node, Factors, float]:
    """The next node, chosen so that the convex piece up to it loses about `target`; (node, factors, loss)."""
    there = here
    r = Factors(np.inf, np.inf, np.inf)
    loss = np.inf
    for attempt in range(60):
        there = _node(curve, min(here.q2 + step, last))
        r = _factors(curve, here, there)
        loss = _loss(here, r, n) if r.r1 < np.inf else np.inf
        if loss <= target and (there.q2 == last or loss >= 0.85 * target or attempt > 6):
            break
        if loss == np.inf:
            step *= 0.5
        else:
            step = (there.q2 - here.q2) * min(max(math.sqrt(0.95 * target / max(loss, 1e-300)), 0.05), 8.0)
        if here.q2 + step <= here.q2:
            break
    return there, r, loss


@compiled
def _node(curve: Curve, q2: float) -> Node:
    """The point of the curve at q2."""
    q1 = curve_q1(curve.f, curve.level, q2)
    error = curve_q1_error(curve.f, q1, q2, curve.level)
    up = min(q1 + error, 1.0 - q2)
    down = max(q1 - error, 0.0)
    return Node(q2, up, down, rest(down, q2) * (1.0 + EPS) + EPS * EPS, rest(up, q2) * (1.0 - EPS))


@compiled
def _factors(curve: Curve, a: Node, b: Node) -> Factors:
    """The factors of the convex piece from a to b; infinite where an end has a zero coordinate."""
    if a.q1_down <= 0.0 or a.q2 <= 0.0 or b.q3_down <= 0.0:
        return Factors(np.inf, np.inf, np.inf)
    up, down = chord_gaps(curve.f, a.q1_down, b.q1_up, a.q2, b.q2)
    d1 = math.log(b.q1_up / a.q1_down)
    d2 = math.log(b.q2 / a.q2)
    d3 = math.log(a.q3_up / b.q3_down)
    r1 = math.exp(0.125 * d1 * d1) * (1.0 + up / a.q1_down)
    r2 = math.exp(0.125 * d2 * d2)
    r3 = math.exp(0.125 * d3 * d3) * (1.0 + down / b.q3_down)
    return Factors(r1, r2, r3)


@compiled
def chord_gaps(f: Link, a1: float, b1: float, a2: float, b2: float) -> tuple[float, float]:
    """How far the curve can rise above, and fall below, its chord over q2 in [a2, b2] with q1 in [a1, b1].

    h'' = (f''(q2) - f''(q1) h'²)/f'(q1), bounded with f'' nondecreasing and f' least at 1/2.
    """
    if f.kind == IDENTITY:
        return 0.0, 0.0
    slope1_low, slope1_high = _slopes(f, a1, b1)
    slope2_low, slope2_high = _slopes(f, a2, b2)
    steep_low = (slope2_low / slope1_high) ** 2
    steep_high = (slope2_high / slope1_low) ** 2
    bend1_low = link_curvature(f, a1)
    bend1_high = link_curvature(f, b1)
    high = link_curvature(f, b2) - bend1_low * (steep_high if bend1_low < 0.0 else steep_low)
    low = link_curvature(f, a2) - bend1_high * (steep_high if bend1_high > 0.0 else steep_low)
    up = max(-low, 0.0) / slope1_low
    down = max(high, 0.0) / slope1_low
    scale = 0.125 * (b2 - a2) * (b2 - a2) * (1.0 + 1e-9)
    return up * scale, down * scale


@compiled
def _slopes(f: Link, a: float, b: float) -> tuple[float, float]:
    """Least and largest f' on [a, b]."""
    at_a = link_slope(f, a)
    at_b = link_slope(f, b)
    low = link_slope(f, 0.5) if a <= 0.5 <= b else min(at_a, at_b)
    return low, max(at_a, at_b)


@compiled
def _loss(e: Node, r: Factors, n: int) -> float:
    """n log sum(e∘r): what the convex bound loses at the end e."""
    return n * math.log(e.q1_up * r.r1 + e.q2 * r.r2 + e.q3_up * r.r3)


@compiled
def _covered(e: Node, r: Factors, tails: Staircase, log_alpha: float) -> float:
    """log F_W(e∘r), an upper bound."""
    return (_log_tail_above(e.q1_up * r.r1, e.q2 * r.r2, e.q3_up * r.r3, tails, log_alpha)
            + _loss(e, r, tails.n))


@compiled
def _corner(b: Node, a2: float, tails: Staircase, log_alpha: float) -> float:
    """log P at (q1(b), q2(a)), an upper bound over the piece."""
    return _log_tail_above(b.q1_up, a2, rest(b.q1_up, a2), tails, log_alpha)


@compiled
def _log_tail_above(q1: float, q2: float, q3: float, tails: Staircase, log_alpha: float) -> float:
    """log P_q(W), an upper bound whatever rounding did."""
    return log_tail(q1, q2, q3, tails, _RTOL, log_alpha + _LEFT_OUT) + rounding_slack(tails.n)
