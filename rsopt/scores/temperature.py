"""One temperature, and one method, for a whole run, chosen on selection samples alone.

The smoothed classifier is one function, so all its inputs share a temperature, and the bound must not have seen the
rows that chose it: the choice rests on the selection rows, and costs no error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rsopt.errors import InvalidInputError
from rsopt.functionals import score_functional
from rsopt.scores.lower_bound_scores import DRAWN
from rsopt.scores.promises import level_by_bets, level_by_bets_on_votes, level_by_votes

#: Temperatures to choose from, in the units of the model's outputs. At the first ones scores are all but votes, so that
#: a model whose soft outputs gain nothing loses nothing by them.
TEMPERATURES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
#: Methods to choose from: votes, exact but with the variance of the draw, and bets, without it.
METHODS = (DRAWN, "digital-hedge")
#: Bets lose most where few rows are low, which few selection rows do not show, and so their promise flatters small
#: temperatures: within this share of the best promise, the largest temperature is taken.
INDIFFERENCE = 1e-3
#: Bets on n rows lose at most about this share of the bound over the square root of n: of the probit margin, measured
#: were 3.3% at 1,000 rows, .8% at 10,000 and .1% at 100,000, against the normal limit that their promise assumes.
TOLL = 1.0


@dataclass(frozen=True)
class Choice:
    """A temperature and a method, and what they were chosen by.

    Attributes:
        temperature, method: the ones chosen.
        promised: for each method, the mean bound on the functional that each temperature promises. Methods
            measure differently: the numbers of one are to be compared with each other only.
    """

    temperature: float
    method: str
    promised: dict[str, tuple[float, ...]]


def tempered(rows: np.ndarray, power: float) -> np.ndarray:
    """softmax(s/T) from the rows softmax(s/(power T)), (n, classes)."""
    with np.errstate(divide="ignore"):
        logs = np.log(rows.astype(np.float64))
    weights = np.exp((logs - logs.max(axis=1, keepdims=True)) * power)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def choose_temperature(samples: Iterable[np.ndarray], *, n: int, alpha: float,
                       temperatures: Sequence[float] = TEMPERATURES, methods: Sequence[str] = METHODS,
                       functional: str = "probit") -> Choice:
    """The temperature with the largest promised mean bound over all inputs, for the method that promises most there.

    Votes take the temperature that is best by `level_by_votes`; every other method the softest one that is nearly
    best by `level_by_bets`. Votes are preferred unless the moments promise bets more at their temperature, the toll
    of betting paid, than bets on votes at theirs.

    Args:
        samples: selection rows of each input, (n0, classes), at the last of `temperatures`.
        n, alpha: of the bounds to come.
        temperatures: to choose from, positive, growing.
        methods: to choose from; the first of several that bet stands for all of them.
        functional: name of what is bounded, as in `rsopt.lower_bound_scores`.

    Raises:
        InvalidInputError: there are no samples or no methods, or the temperatures are not as above.
        UnknownNameError: a functional that is not bounded on scores.
    """
    if not methods:
        raise InvalidInputError("There are no methods to choose from.")
    grown = np.asarray(temperatures, dtype=np.float64)
    if not (grown.size and np.isfinite(grown).all() and grown[0] > 0.0 and (np.diff(grown) > 0.0).all()):
        raise InvalidInputError(f"Temperatures to choose from must be positive and growing; got {list(temperatures)}.")
    g = score_functional(functional)
    sums, inputs = np.zeros((3, grown.size)), 0
    for rows in samples:
        inputs += 1
        for k, temperature in enumerate(temperatures):
            softened = tempered(rows, temperatures[-1] / temperature)
            sums[:, k] += [promise(softened, n, alpha, g)
                           for promise in (level_by_votes, level_by_bets, level_by_bets_on_votes)]
    if not inputs:
        raise InvalidInputError("There are no selection samples to choose a temperature on.")
    by_votes, by_bets, by_bets_on_votes = sums / inputs
    promised = {method: tuple((by_votes if method == DRAWN else by_bets).tolist()) for method in methods}
    drawn = int(by_votes.argmax())
    bet = int(np.flatnonzero(by_bets >= (1.0 - INDIFFERENCE) * by_bets.max())[-1])
    betting = next((method for method in methods if method != DRAWN), None)
    after_toll = (1.0 - TOLL / math.sqrt(n)) * by_bets[bet]
    if betting is None or (DRAWN in methods and after_toll <= by_bets_on_votes[drawn]):
        return Choice(temperatures[drawn], DRAWN, promised)
    return Choice(temperatures[bet], betting, promised)
