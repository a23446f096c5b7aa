"""The tangent functions once more, from their formulas: the checker's side, arrays in NumPy and SciPy.

c_b(L) is the supremum over v of f^-1(L + f(v)) - b v for the link f of a functional (propositions P2 and P6), here for
slopes b in [1, e^8] and levels L >= 0; whatever belongs to a slope and a level broadcasts.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
from scipy.special import ndtr

#: Added to every tangent price, which comes right to a few units of 2^-53 (docs/theory/rounding.md).
PRICE_ROUNDING = 1e-14


class Tangent(ABC):
    """The tangent function of one functional."""

    @abstractmethod
    def price(self, slope: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """c_b(L), within `PRICE_ROUNDING` of the exact value."""

    @abstractmethod
    def level(self, slope: np.ndarray, price: np.ndarray) -> np.ndarray:
        """The L with c_b(L) = price > 0; +inf for a price of 1 or more. Where no price is positive, any number."""

    @abstractmethod
    def growth(self, slope: float, level: float) -> float:
        """dc_b/dL at a level > 0, by which grids of nulls are scaled, and not below the least that they have."""

    def mean_under_null(self, nulls: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Largest mean of x = (u - b v + b)/(1 + b) that the null allows, rounded up."""
        return np.asarray((self.price(slope, nulls) + PRICE_ROUNDING + slope) / (1.0 + slope))


class ProbitTangent(Tangent):
    """f = ndtri: the price of a call with spot 1, strike b and volatility L."""

    def price(self, slope: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """As in `Tangent`."""
        safe = np.where(levels > 0.0, levels, 1.0)
        d = safe / 2.0 - np.log(slope) / safe
        price = ndtr(d) - slope * ndtr(d - safe)
        return np.where(levels > 0.0, np.maximum(price, 0.0), 0.0)

    def level(self, slope: np.ndarray, price: np.ndarray) -> np.ndarray:
        """As in `Tangent`, by Newton's method from the point of inflection.

        The price is convex below that point and concave above it, so that all steps after the first go one way.
        """
        log_slope = np.log(slope)
        inner = np.where((price > 0.0) & (price < 1.0), price, 0.5)
        level = np.maximum(np.sqrt(2.0 * log_slope), 1e-9)
        for _ in range(80):
            d = level / 2.0 - log_slope / level
            vega = np.maximum(np.exp(-d * d / 2.0) / math.sqrt(2.0 * math.pi), 1e-300)
            step = np.clip((ndtr(d) - slope * ndtr(d - level) - inner) / vega, -10.0, 10.0)
            level = np.maximum(level - step, 1e-12)
            if (np.abs(step) <= 1e-12 * (1.0 + level)).all():
                break
        return np.where(price >= 1.0, math.inf, level)

    def growth(self, slope: float, level: float) -> float:
        """As in `Tangent`: the density at d."""
        d = level / 2 - math.log(slope) / level
        return max(math.exp(-d * d / 2) / math.sqrt(2 * math.pi), 1e-3)


class LaplaceTangent(Tangent):
    """f(q) = log 2q up to 1/2, -log 2(1 - q) above: c_b(L) = 1 - q with q = sqrt(b) e^(-L/2), 0 where q > 1."""

    def price(self, slope: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """As in `Tangent`."""
        return np.asarray(np.maximum(1.0 - np.sqrt(slope) * np.exp(-levels / 2.0), 0.0))

    def level(self, slope: np.ndarray, price: np.ndarray) -> np.ndarray:
        """As in `Tangent`."""
        inner = np.where((price > 0.0) & (price < 1.0), price, 0.5)
        return np.where(price >= 1.0, math.inf, np.log(slope) - 2.0 * np.log1p(-inner))

    def growth(self, slope: float, level: float) -> float:
        """As in `Tangent`: (1 - c)/2."""
        q = math.sqrt(slope) * math.exp(-level / 2)
        return max(q / 2 if q < 1.0 else 0.0, 1e-9)


class LogitTangent(Tangent):
    """f = logit: c_b(L) = (1 - q)²/(1 - e^-L) with q = sqrt(b) e^(-L/2), 0 where q > 1."""

    def price(self, slope: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """As in `Tangent`. It is at most tanh(L/4), so that L/4 stands for it where the quotient is of tiny numbers."""
        safe = np.where(levels > 0.0, levels, 1.0)
        gain = np.maximum(1.0 - np.sqrt(slope) * np.exp(-safe / 2.0), 0.0)
        return np.where(levels > 0.0, np.minimum(gain**2 / -np.expm1(-safe), safe / 4.0), 0.0)

    def level(self, slope: np.ndarray, price: np.ndarray) -> np.ndarray:
        """As in `Tangent`: the larger root s of (1 - c) s² - 2 sqrt(b) s + b + c, and L = 2 log s."""
        inner = np.where((price > 0.0) & (price < 1.0), price, 0.5)
        root = np.sqrt(slope) + np.sqrt(inner * (slope - 1.0 + inner))
        return np.where(price >= 1.0, math.inf, 2.0 * (np.log(root) - np.log1p(-inner)))

    def growth(self, slope: float, level: float) -> float:
        """As in `Tangent`: s (s - r)(r s - 1)/(s² - 1)² with s = e^(L/2) and r = sqrt(b), each s taken out."""
        e, r = math.exp(-level / 2), math.sqrt(slope)
        return max(e * (1 - r * e) * (r - e) / math.expm1(-level) ** 2 if r * e < 1.0 else 0.0, 1e-9)


#: By the name of the functional. The margin bets on its own mean, and has none.
TANGENTS: dict[str, Tangent] = {"probit": ProbitTangent(), "laplace": LaplaceTangent(), "logit": LogitTangent()}
