"""Laws of score rows for tests and benches: eight that classifiers produce under noise, and adversarial ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Sampler = Callable[[np.random.Generator, int], np.ndarray]


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Rows of the simplex from rows of logits, (n, m)."""
    weights = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    return weights / weights.sum(axis=1, keepdims=True)


def sparsemax(logits: np.ndarray) -> np.ndarray:
    """Euclidean projection of rows of logits, (n, m), onto the simplex."""
    ordered = -np.sort(-logits, axis=1)
    sums = np.cumsum(ordered, axis=1)
    support = (1.0 + np.arange(1, logits.shape[1] + 1) * ordered > sums).sum(axis=1)
    threshold = (sums[np.arange(len(logits)), support - 1] - 1.0) / support
    return np.maximum(logits - threshold[:, None], 0.0)


def votes(*probabilities: float) -> Sampler:
    """One-hot rows."""
    return lambda rng, n: np.eye(len(probabilities))[rng.choice(len(probabilities), n, p=probabilities)]


def dirichlet(*weights: float) -> Sampler:
    """Dirichlet rows."""
    return lambda rng, n: rng.dirichlet(weights, n)


def gaussian_logits(means: tuple[float, ...], scale: float, link: Callable[[np.ndarray], np.ndarray]) -> Sampler:
    """Rows link(logits) with independent normal logits: a linear network under Gaussian noise."""
    return lambda rng, n: link(np.array(means) + scale * rng.standard_normal((n, len(means))))


def beta(a: float, b: float) -> Sampler:
    """Two classes, the first score Beta(a, b)."""
    return lambda rng, n: np.stack([x := rng.beta(a, b, n), 1.0 - x], axis=1)


def mixture(rng: np.random.Generator, n: int) -> np.ndarray:
    """Mostly sure of class 0, sometimes lost."""
    sure = rng.random((n, 1)) < 0.85
    return np.where(sure, rng.dirichlet([40.0, 1.0, 1.0, 0.5], n), rng.dirichlet([1.0, 2.0, 1.0, 1.0], n))


TEN = (4.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

#: Class 0 is certified; class 1 is its strongest rival in each.
LAWS: dict[str, Sampler] = {
    "dirichlet(6,3,1)": dirichlet(6.0, 3.0, 1.0),
    "softmax, T=1": gaussian_logits(TEN, 1.5, softmax),
    "softmax, T=0.4": gaussian_logits(TEN, 1.5, lambda logits: softmax(logits, 0.4)),
    "beta(8,2)": beta(8.0, 2.0),
    "votes(.7,.2,.06,.04)": votes(0.7, 0.2, 0.06, 0.04),
    "dirichlet, mean .999": dirichlet(99.9, 0.05, 0.05),
    "sure or lost": mixture,
    "sparsemax": gaussian_logits((1.2, 0.4, 0.0, -0.3, -0.5), 0.8, sparsemax),
}


def two_points(first: tuple[float, ...], second: tuple[float, ...], weight: float) -> Sampler:
    """Row `first` with probability `weight`, otherwise `second`."""
    return lambda rng, n: np.where(rng.random((n, 1)) < weight, np.array(first), np.array(second))


#: Laws on which bounds that lean on normality err: rare disasters, near-constant rows, ties.
ADVERSARIAL: dict[str, Sampler] = {
    "rare disaster": two_points((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), 0.985),
    "rarer disaster": two_points((0.99, 0.005, 0.005), (0.0, 1.0, 0.0), 0.995),
    "rare luck": two_points((0.4, 0.35, 0.25), (1.0, 0.0, 0.0), 0.98),
    "constant": two_points((0.6, 0.3, 0.1), (0.6, 0.3, 0.1), 0.5),
    "tie": votes(0.34, 0.33, 0.33),
    "no margin": votes(0.5, 0.5),
}


@dataclass(frozen=True)
class Truth:
    """Exact or precisely simulated figures of a law, class 0 against class 1.

    Attributes:
        means: E[X], (m,).
        margin, probit: the two functionals.
        margin_sd, probit_sd: standard deviation of one row's influence on each.
        slopes: derivatives of the probit margin in the two means.
    """

    means: np.ndarray
    margin: float
    probit: float
    margin_sd: float
    probit_sd: float
    slopes: tuple[float, float]

    @classmethod
    def of(cls, law: Sampler, rows: int = 1_000_000) -> Truth:
        """From many rows, seeded."""
        from scipy.special import ndtri
        from scipy.stats import norm

        sample = law(np.random.default_rng(20_240_607), rows)
        means = sample.mean(axis=0)
        z = ndtri(means[:2])
        slopes = 1.0 / norm.pdf(z)
        influence = slopes[0] * sample[:, 0] - slopes[1] * sample[:, 1]
        return cls(means, float(means[0] - means[1]), float(z[0] - z[1]), float((sample[:, 0] - sample[:, 1]).std()),
                   float(influence.std()), (float(slopes[0]), float(slopes[1])))
