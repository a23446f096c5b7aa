"""The methods that bound the same votes or scores: their names in results, and how tables and pictures call them."""

from __future__ import annotations

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
SOFT_MARGIN = "soft-margin"
SOFT_METHODS = (SOFT_PROBIT, SOFT_MARGIN)
"""Bounds on scores: of the probit margin of the means and of their margin."""

TITLES = {OWN: "rsopt", CLOPPER_PEARSON: "Clopper–Pearson", COHEN: "Cohen 2019", SOFT_PROBIT: "rsopt soft, R2",
          SOFT_MARGIN: "rsopt soft, R1", MELDED: "melded (conjectured)"}
CONJECTURED = ("melded (conjectured): that this limit errs with probability at most alpha is a conjecture, so its "
               "radii certify nothing. It can be larger than ours where most votes fall on third classes.")
"""The footnote of every table and picture that shows the melded limit."""
