"""The conformance suite on Bayesian optimisation, in a file of its own because it takes as long as all others."""

from __future__ import annotations

from rsopt.testing import check_solver


def test_conformance() -> None:
    assert all(not outcome.refused for outcome in check_solver("botorch", tolerance=1e-3, share=1.0))
