"""P_q(W) in ball arithmetic straight from the definition: the sum of the multinomial monomials of W."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import arb, ctx, fmpq

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


def exact_polynomial(q: Array, stairs: Whole, n: int, powers: tuple[int, int, int] = (0, 0, 0)) -> fmpq:
    """The derivative of order `powers` in (q1, q2, q3) of F_W at the doubles q, exactly.

    F_W = sum over W of n!/(x1! x2! x3!) q1^x1 q2^x2 q3^x3.
    """
    cells = [fmpq(*float(v).as_integer_ratio()) for v in q]
    total = fmpq(0)
    for x2, least in enumerate(stairs.tolist()):
        for x1 in range(max(least, 0), n - x2 + 1):
            x = (x1, x2, n - x1 - x2)
            term = fmpq(math.factorial(n), math.prod(math.factorial(v) for v in x))
            for value, power, cell in zip(x, powers, cells, strict=True):
                if value < power:
                    term = fmpq(0)
                    break
                term *= math.perm(value, power) * cell ** (value - power)
            total += term
    return total


def log_tail(q: Array, stairs: Whole, n: int) -> Any:
    """A ball around log P_q(W), q divided by its exact sum; -inf for an impossible W. Costs a sum over rows of W."""
    previous, ctx.prec = ctx.prec, 128
    try:
        cells = [arb(float(v)) for v in q]
        whole = cells[0] + cells[1] + cells[2]
        shares = [cell / whole for cell in cells]
        total = arb(0)
        for x2, least in enumerate(stairs.tolist()):
            total += _row(shares, x2, max(least, 0), n, total)
        return total.log() if total > 0 else arb("-inf")
    finally:
        ctx.prec = previous


def _row(q: list[Any], x2: int, least: int, n: int, so_far: Any) -> Any:
    """The monomials x1 = least, …, n - x2 of one row; what is left out is covered by the ball."""
    last = n - x2
    if least > last or (x2 > 0 and not q[1] > 0):
        return arb(0)
    if not q[2] > 0:
        return _monomial(q, last, x2, n)
    if not q[0] > 0:
        return _monomial(q, 0, x2, n) if least == 0 else arb(0)
    odds = q[0] / q[2]
    first = least
    mode = int(float((last + 1) * q[0].mid()) / float((q[0] + q[2]).mid()))
    result = arb(0)
    if mode > least:
        # Start at the largest monomial of the row and walk to both sides.
        first = min(mode, last)
        result += _walk(_monomial(q, first, x2, n), first, last, least, odds, so_far, down=True)
    term = _monomial(q, first, x2, n)
    return result + term + _walk(term, first, last, last, odds, so_far, down=False)


def _walk(term: Any, x1: int, last: int, stop: int, odds: Any, so_far: Any, *, down: bool) -> Any:
    """The monomials beyond `x1`, as far as `stop`, until a geometric bound of the rest is negligible."""
    total = arb(0)
    start = term
    while x1 != stop:
        if down:
            term = term * x1 / ((last - x1 + 1) * odds)
            x1 -= 1
            ratio = x1 / ((last - x1 + 1) * odds)
        else:
            term = term * (last - x1) * odds / (x1 + 1)
            x1 += 1
            ratio = (last - x1) * odds / (x1 + 1)
        total += term
        if ratio < 1:
            rest = term * ratio / (1 - ratio)
            if rest < (start + total + so_far) * arb(2) ** -80:
                return total + rest.upper() * arb(0.5, 0.5)
    return total


def _monomial(q: list[Any], x1: int, x2: int, n: int) -> Any:
    log = arb(n + 1).lgamma()
    for count, share in zip((x1, x2, n - x1 - x2), q, strict=True):
        log -= arb(count + 1).lgamma()
        if count:
            if not share > 0:
                return arb(0)
            log += count * share.log()
    return log.exp()
