"""Certified l2 radii from bounds on the margin, and which of them may be combined.

Two radii computed from two different bounds must not be compared and the larger one kept: each bound errs with
probability alpha, and picking after seeing the data errs with up to the sum (fact 11). No function here takes two
bounds.
"""

from __future__ import annotations

import math

from scipy import special

from rsopt.arguments import Real, as_real
from rsopt.errors import InvalidInputError, shown


def checked_sigma(sigma: Real) -> float:
    """`sigma` as a float, or an error unless it is a positive finite number."""
    value = as_real(sigma)
    if value is None or not 0.0 < value < math.inf:
        raise InvalidInputError(f"sigma must be a positive number, the standard deviation of the noise in the units "
                                f"of the input; found {shown(sigma)}.")
    return value


def smoothing_lipschitz(sigma: Real) -> float:
    """Lipschitz constant 1/(sigma sqrt(pi)) of x -> E[F(x + sigma Z)], F any map into the simplex (l2 to l2).

    For unit u and v in the tangent space of the simplex (sum v = 0), the derivative in direction u paired with v is
    E[<v, F(x + sigma Z)> <u, Z>]/sigma. <v, F> ranges over an interval of length max v - min v <= sqrt(2) |v|, and
    <u, Z> is standard normal, so the pairing is at most sqrt(2) E[max(<u, Z>, 0)]/sigma = sqrt(2)/(sigma sqrt(2 pi)).
    """
    return 1.0 / (checked_sigma(sigma) * math.sqrt(math.pi))


def lipschitz_radius(margin: float, lipschitz: Real) -> float:
    """R1 = M/(sqrt(2) L), l2, in the units of the input; 0 where the margin bound is not positive.

    Args:
        margin: a lower bound on p_A - max_j p_j of a classifier into the simplex.
        lipschitz: an upper bound on the l2 Lipschitz constant of that same classifier.

    Raises:
        InvalidInputError: a constant that is not positive (an infinite constant gives radius 0).
    """
    constant = as_real(lipschitz)
    if constant is None or not constant > 0.0:
        raise InvalidInputError(f"lipschitz must be a positive number; found {shown(lipschitz)}.")
    return rounded_down(margin / (math.sqrt(2.0) * constant))


def smoothed_margin_radius(margin: float, sigma: Real) -> float:
    """R1 with the constant of Gaussian smoothing: M sigma sqrt(pi/2), l2, in the units of the input and of sigma."""
    return lipschitz_radius(margin, smoothing_lipschitz(sigma))


def margin_probit_radius(margin: float, sigma: Real) -> float:
    """sigma ndtri((1 + M)/2), l2: what a margin M implies for R2, from the same event as R1.

    ndtri(p) - ndtri(p - M) is least at p = (1 + M)/2. Never below `smoothed_margin_radius`, since ndtri((1 + M)/2) is
    convex in M >= 0 with slope sqrt(pi/2) at 0. Both hold whenever the margin bound does, so using this one is free.
    """
    if not margin > 0.0:
        return 0.0
    return rounded_down(checked_sigma(sigma) * float(special.ndtri(0.5 * (1.0 + min(margin, 1.0)))))


def probit_radius(probit_margin: float, sigma: Real) -> float:
    """R2 = sigma/2 (ndtri(p_A) - ndtri(p_B)), l2, in the units of the input and of sigma (Cohen et al. 2019, Thm 1)."""
    return rounded_down(0.5 * checked_sigma(sigma) * probit_margin)


def quantile_radius(margin: float, scale: Real) -> float:
    """scale/2 (Q(p_A) - Q(p_B)), l1, Q the quantile function of the noise at scale 1 (the theorem on l1 noise).

    Args:
        margin: a lower bound on Q(p_A) - Q(p_B).
        scale: of the noise, in the units of the input: lambda of the Laplace law, s of the logistic one.
    """
    return rounded_down(0.5 * checked_sigma(scale) * margin)


def rounded_down(radius: float) -> float:
    """`radius` less a relative 1e-15, and 0 for an abstention."""
    if math.isnan(radius):
        raise InvalidInputError("The bound is NaN; no radius can be made of it.")
    return max(radius * (1.0 - 1e-15), 0.0)
