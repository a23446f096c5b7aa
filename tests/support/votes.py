"""Synthetic votes: what a trained network's votes under noise look like, drawn from a seeded law and not measured.

An input is a vector p of K shares, the probabilities of the classes under noise. All its votes come from this one p,
whatever their number, so votes at different n belong together.

- The nearest rival of the first class begins at the distance z = 1.7 G - 0.7, in standard deviations of the noise, with
  G of the gamma law of shape 1.5. All rivals together have the share Phi(-z), so many inputs are nearly unanimous and
  some have no majority. One G lies between any two neighbouring quantiles: even few inputs cover the law.
- Every further rival begins farther off, by exponential steps of mean 1.3. The rivals divide their share in proportion
  to Phi(-distance): the nearest often has nearly all of it, the more so the farther away they all are.
- The classes are shuffled, and the label is drawn from p, as if the classifier were calibrated: it then is the class
  with the most votes as often as the votes say.

The numbers were chosen for these shapes at n = 100,000, which `test_votes` checks: 8% to 13% of the inputs are
unanimous; in 7% to 15% no class has more than n/2; of the votes that the leader does not get the runner-up has 70% to
85% (median) and anything between a half and all (the middle 80%). About a fifth of the inputs are misclassified.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv, log_ndtr, ndtr

Votes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Voted:
    """Inputs that a classifier votes on.

    Attributes:
        labels: the true classes, shape (number,).
        shares: the probability of each class under noise, shape (number, classes).
    """

    labels: Votes
    shares: npt.NDArray[np.float64]

    def votes(self, n: int, seed: int = 0) -> Votes:
        """n votes of every input, shape (number, classes). Other seeds, other votes of the same inputs."""
        return np.random.default_rng([seed, n]).multinomial(n, self.shares)


def voted(number: int = 250, classes: int = 10, seed: int = 0) -> Voted:
    """So many inputs of a classifier with so many classes (at least 2)."""
    rng = np.random.default_rng([seed, classes])
    nearest = 1.7 * gammaincinv(1.5, (rng.permutation(number) + rng.random(number)) / number)[:, None] - 0.7
    steps = rng.exponential(1.3, size=(number, classes - 2))
    distances = nearest + np.c_[np.zeros(number), steps.cumsum(axis=1)]
    proportions = np.exp(log_ndtr(-distances) - log_ndtr(-nearest))
    rivals = ndtr(-nearest) * proportions / proportions.sum(axis=1, keepdims=True)
    shares = rng.permuted(np.c_[ndtr(nearest), rivals], axis=1)
    labels = (shares.cumsum(axis=1) < rng.random((number, 1))).sum(axis=1)
    return Voted(np.minimum(labels, classes - 1), shares)


class Order:
    """The votes of one input in a random order, which is found out as far as it is asked for.

    Args:
        votes: all votes, shape (classes,).
        seed: of the order.
    """

    def __init__(self, votes: Votes, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._known = {0: np.zeros_like(votes), int(votes.sum()): votes}

    def first(self, n: int) -> Votes:
        """The counts of the first n votes; all where there are no more."""
        n = min(n, max(self._known))
        if n not in self._known:
            before = max(known for known in self._known if known < n)
            after = min(known for known in self._known if known > n)
            between = self._known[after] - self._known[before]
            self._known[n] = self._known[before] + self._rng.multivariate_hypergeometric(between, n - before)
        return self._known[n]
