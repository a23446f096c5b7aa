"""The smooth worst case in y = log q, where the corners of the simplex are as smooth as its middle."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rsopt.solving.forms import SmoothOracle

Array = npt.NDArray[np.float64]

# No cell 3 below this changes a tail in double precision.
_LEAST_Q3 = 1e-16


class LogProgram:
    """minimise -log F(e^y) subject to log sum e^y = 0, y1 <= log h(e^y2) and low <= y <= high.

    Args:
        form: the oracle; its evaluations are counted and may raise SearchEnded.
    """

    def __init__(self, form: SmoothOracle) -> None:
        self.form = form
        curve = form.curve
        far = curve.points([curve.extent])[0]
        smallest = np.log(np.maximum(0.1 * far[:2], 1e-300))
        self.low = np.array([max(smallest[0], math.log(max(curve.domain.least_q1, 1e-300))),
                             max(smallest[1], math.log(max(curve.segment[0], 1e-300))), math.log(_LEAST_Q3)])
        self.high = np.array([0.0, math.log(curve.segment[1]), 0.0])

    def normalised(self, y: Array) -> Array:
        """q = e^y / sum e^y, shape (3,)."""
        q = np.exp(y - y.max())
        return np.asarray(q / q.sum())

    def value(self, y: Array) -> float:
        """-log F(e^y)."""
        total = math.log(float(np.exp(y).sum()))
        return -self.form.log_tail(self.normalised(y)) - self.form.curve.tail_set.n * total

    def slope(self, y: Array) -> Array:
        """Gradient of the value: -q_i dlog F/dq_i, which does not depend on the scale of q; shape (3,)."""
        q = self.normalised(y)
        return np.asarray(-q * self.form.gradient(q))

    def curvature(self, y: Array, weight: float, multipliers: Array) -> Array:
        """Hessian of weight · value + multipliers · constraints, shape (3, 3)."""
        q = self.normalised(y)
        hessian = -weight * (np.outer(q, q) * self.form.hessian(q) + np.diag(q * self.form.gradient(q)))
        hessian += multipliers[0] * (np.diag(q) - np.outer(q, q))
        hessian[1, 1] -= multipliers[1] * self.log_curve(float(y[1]))[2]
        return np.asarray(hessian)

    def log_curve(self, y2: float) -> tuple[float, float, float]:
        """H(y2) = log h(e^y2) with its first two derivatives."""
        q2 = math.exp(y2)
        h, first, second = self.form.curve.tangent(q2)
        h = max(h, 1e-300)
        slope = q2 * first / h
        return math.log(h), slope, slope + q2 * q2 * second / h - slope * slope

    def constraints(self, y: Array) -> Array:
        """(log sum e^y, y1 - H(y2)): the first = 0, the second <= 0."""
        return np.array([math.log(float(np.exp(y).sum())), y[0] - self.log_curve(float(y[1]))[0]])

    def jacobian(self, y: Array) -> Array:
        """Jacobian of the constraints, shape (2, 3)."""
        return np.array([self.normalised(y), [1.0, -self.log_curve(float(y[1]))[1], 0.0]])
