"""One temperature for a whole run, chosen on selection samples alone.

The smoothed classifier is one function, so all its inputs share a temperature, and the bound must not have seen the
rows that chose it: the choice rests on the selection rows, and costs no error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from rsopt.errors import InvalidInputError, ModelError
from rsopt.intervals.slope import best_slope

if TYPE_CHECKING:
    from torch import Tensor

    from rsopt.smoothing import SmoothedClassifier

#: Temperatures to choose from, in the units of the model's outputs.
TEMPERATURES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
#: Few selection rows show the misses of votes, and so flatter small temperatures: a promise within this share of the
#: best counts as equal to it, and the largest such temperature is taken.
INDIFFERENCE = 1e-3
#: Strongest rivals that a promise looks at.
RIVALS = 3


@dataclass(frozen=True)
class Choice:
    """A temperature and what it was chosen by.

    Attributes:
        temperature: the one chosen.
        promised: mean certified radius that each of `TEMPERATURES` promises, in units of sigma.
    """

    temperature: float
    promised: tuple[float, ...]


def promised_level(rows: np.ndarray, n: int, alpha: float) -> float:
    """The bound on the probit margin that n rows would give if their moments were those of `rows`; 0 for none.

    A heuristic: nothing is proven by it.

    Args:
        rows: selection rows, (n0, classes), in the simplex; the class with the most votes is the certified one.
        n, alpha: of the bound to come.
    """
    scores = rows.astype(np.float64)
    means = scores.mean(axis=0)
    top = int(np.bincount(scores.argmax(axis=1)).argmax())
    u, z = scores[:, top], -float(ndtri(alpha))
    least = np.inf
    for j in [int(j) for j in np.argsort(-means) if j != top][:RIVALS]:
        v = scores[:, j]
        sums = np.array([s.sum() for s in (u, v, u * u, u * v, v * v, u**3, u * u * v, u * v * v, v**3)])
        least = min(least, float(best_slope(sums, len(scores), n, z)[1]))
    return max(least, 0.0)


def tempered(rows: np.ndarray, power: float) -> np.ndarray:
    """softmax(s/T) from the rows softmax(s/(power T)), (n, classes)."""
    with np.errstate(divide="ignore"):
        logs = np.log(rows.astype(np.float64))
    weights = np.exp((logs - logs.max(axis=1, keepdims=True)) * power)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def choose_temperature(samples: Iterable[np.ndarray], *, n: int, alpha: float) -> Choice:
    """The temperature with the largest promised mean radius over all inputs, the softest of nearly equal ones.

    Args:
        samples: selection rows of each input, (n0, classes), at the largest of `TEMPERATURES`.
        n, alpha: of the bounds to come.

    Raises:
        InvalidInputError: there are no samples.
    """
    promised, inputs = np.zeros(len(TEMPERATURES)), 0
    for rows in samples:
        inputs += 1
        promised += [0.5 * promised_level(tempered(rows, TEMPERATURES[-1] / t), n, alpha) for t in TEMPERATURES]
    if not inputs:
        raise InvalidInputError("There are no selection samples to choose a temperature on.")
    promised /= inputs
    near = np.flatnonzero(promised >= (1.0 - INDIFFERENCE) * promised.max())
    return Choice(TEMPERATURES[int(near[-1])], tuple(promised.tolist()))


def selection_rows(classifier: SmoothedClassifier, images: Iterable[tuple[int, Tensor]], *, n0: int, seed: int,
                   stop_on_failure: bool) -> Iterator[np.ndarray]:
    """The selection rows of numbered inputs at the largest temperature, those that the run itself draws.

    Raises:
        ModelError, InvalidInputError: the model cannot take an input, and `stop_on_failure`; otherwise it is left out.
    """
    from rsopt.smoothing import Softmax, Stream

    softest = Softmax(TEMPERATURES[-1])
    with classifier.sampler(seed) as sampler:
        for idx, image in images:
            try:
                yield np.concatenate([block.rows for block in sampler.iter_scores(image, idx, n0, softest,
                                                                                  stream=Stream.SELECTION)])
            except (ModelError, InvalidInputError):
                if stop_on_failure:
                    raise
