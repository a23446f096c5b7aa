"""How far a shift along one axis may go before some classifier changes its class: Neyman and Pearson, by direct search.

Written without rsopt's code. The line is cut into cells; what a shift can do to a probability p is a fractional
knapsack over them, filled in the order of the likelihood ratio.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import rv_continuous

Array = npt.NDArray[np.float64]


def least_after(law: rv_continuous, p: float, shift: float, cells: Array) -> float:
    """The least probability that a region of probability p under Z may have under Z + shift."""
    before, after = (np.diff(law.cdf(edges)) for edges in (cells, cells - shift))
    ratio = np.divide(after, before, out=np.full(before.shape, np.inf), where=before > 0.0)
    order = np.argsort(ratio, kind="stable")
    filled = np.minimum(before[order], np.maximum(p - np.r_[0.0, before[order].cumsum()[:-1]], 0.0))
    share = np.divide(filled, before[order], out=np.zeros(filled.shape), where=before[order] > 0.0)
    return float((share * after[order]).sum())


def distance(law: rv_continuous, p_a: float, p_b: float, *, reach: float = 60.0, number: int = 240_000) -> float:
    """The least shift, at scale 1, at which class B can catch up with A for some regions of these probabilities."""
    cells = np.linspace(-reach, reach, number + 1)

    def lead(shift: float) -> float:
        # The most that B can have is 1 less the least of its complement.
        return least_after(law, p_a, shift, cells) - (1.0 - least_after(law, 1.0 - p_b, shift, cells))

    return float(brentq(lead, 0.0, reach / 2.0, xtol=1e-12))
