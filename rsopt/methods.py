"""The methods that bound the same votes or scores: their names in results, and how tables and pictures call them."""

from __future__ import annotations

from rsopt.functionals import score_functionals
from rsopt.noise import Noise

OWN = "rsopt"
CLOPPER_PEARSON = "two-way-clopper-pearson"
COHEN = "cohen"
BASELINES = (CLOPPER_PEARSON, COHEN)
METHODS = (OWN, *BASELINES)
"""Proven bounds on votes, ours first: those that runs make radii of."""
MELDED = "melded"
"""A limit that is conjectured: it is compared with, and never certifies."""
RIVALS = (*BASELINES, MELDED)
"""What a run compares our bound on the same votes with. Runs of earlier versions have no melded limit."""
SOFT_PROBIT = "soft-probit"
SOFT_LAPLACE = "soft-laplace"
SOFT_LOGIT = "soft-logit"
SOFT_MARGIN = "soft-margin"
SOFT_METHODS = (SOFT_PROBIT, SOFT_LAPLACE, SOFT_LOGIT, SOFT_MARGIN)
"""Bounds on scores, by the functional of the means that is bounded."""

TITLES = {OWN: "rsopt", CLOPPER_PEARSON: "Clopper–Pearson", COHEN: "Cohen 2019", SOFT_PROBIT: "rsopt soft, R2",
          SOFT_LAPLACE: "rsopt soft, laplace", SOFT_LOGIT: "rsopt soft, logit", SOFT_MARGIN: "rsopt soft, R1",
          MELDED: "melded (conjectured)"}
CONJECTURED = ("melded (conjectured): that this limit errs with probability at most alpha is a conjecture, so its "
               "radii certify nothing. It can be larger than ours where most votes fall on third classes.")
"""The footnote of every table and picture that shows the melded limit."""


def soft_methods(noise: Noise) -> dict[str, str]:
    """The methods on scores whose bounds give radii under a noise, with the functional of each; its own one first."""
    known = score_functionals()
    return {f"soft-{name}": name for name in noise.functionals if name in known}
