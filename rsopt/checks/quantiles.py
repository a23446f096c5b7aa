"""Quantiles of the beta distribution, which SciPy's own are not always."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[np.float64]


def quantiles(a: Array, b: Array, error: float, *, below: bool) -> Array:
    """Where the Beta(a, b) distribution has `error` below, or above; SciPy's quantiles, looked over.

    SciPy 1.17 gives quite another number for some parameters, a = 1000 among them. What does not solve its equation is
    found by bisection.
    """
    found = np.asarray(special.betaincinv(a, b, error) if below else special.betainccinv(a, b, error))
    mass = special.betainc if below else special.betaincc
    wrong = np.flatnonzero(~(np.abs(mass(a, b, found) / error - 1.0) <= 1e-9))
    low, high = np.zeros(wrong.size), np.ones(wrong.size)
    for _ in range(80):
        middle = 0.5 * (low + high)
        beyond = (mass(a[wrong], b[wrong], middle) >= error) == below
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    found[wrong] = 0.5 * (low + high)
    return found
