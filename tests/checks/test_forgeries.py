"""Certificates that were made up: what is accepted is true, by enumeration; and the forgeries that once passed."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import claims_oracle
import numpy as np
import pytest
from command_line import run

import rsopt
from rsopt.certificate import FUNCTIONALS, STATISTICS
from rsopt.checks.links import CheckedLink
from rsopt.errors import CertificateError
from rsopt.proof_file import hashed

#: Made-up certificates a test run tries; RSOPT_FORGERIES asks for more.
FORGERIES = int(os.environ.get("RSOPT_FORGERIES", "2500"))

#: At this alpha 1 - alpha is 1, the statistic is NaN and every comparison with it false: the tail set was empty.
NAN = {"format": "rsopt certificate 1", "n": 10, "x1": 5, "x2": 5, "alpha": 1e-17, "functional": "probit",
       "order": None, "statistic": "studentized", "observed": 0.0, "third_cell": True, "least_q1": 0.0, "lower": 5.0,
       "lower_at_most": None, "witness": None, "cuts": [], "kinds": []}


@pytest.mark.parametrize("arithmetic", ["double", "arb"])
def test_a_statistic_that_is_no_number_proves_nothing(arithmetic: str, tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"alpha must lie in \[1e-15, 1/2\); found 1e-17"):
        rsopt.check_certificate(hashed(NAN), arithmetic)
    path = tmp_path / "forged.json"
    path.write_text(json.dumps(hashed(NAN)))
    result = run("verify", path, "--arithmetic", arithmetic)
    assert result.exit_code == 2
    assert "alpha must lie in [1e-15, 1/2); found 1e-17" in " ".join(result.stderr.split())


@pytest.mark.parametrize("arithmetic", ["double", "arb"])
@pytest.mark.parametrize("alpha", [1e-15, 1e-3, 0.4])
@pytest.mark.parametrize("votes", [(5, 5, 10), (0, 10, 10), (10, 0, 10), (0, 0, 10), (1, 0, 1), (0, 1, 1), (0, 0, 1)])
def test_nothing_is_proven_without_pieces(votes: tuple[int, int, int], alpha: float, arithmetic: str) -> None:
    x1, x2, n = votes
    for functional in FUNCTIONALS:
        for statistic in STATISTICS:
            for lower in (-0.9, 0.0, 0.5):
                claim = {**NAN, "n": n, "x1": x1, "x2": x2, "alpha": alpha, "functional": functional, "lower": lower,
                         "order": 3 if functional == "taylor-probit" else None, "statistic": statistic}
                claim["observed"] = observed(claim)
                with pytest.raises(CertificateError, match="The cuts of the level curve are missing"):
                    rsopt.check_certificate(hashed(claim), arithmetic)


def observed(claim: dict[str, Any]) -> float | None:
    """The statistic at the counts, as a forger writes it; None if it is infinite."""
    x = claims_oracle.outcomes(claim["n"])
    table = claims_oracle.statistic_table(claim["statistic"], claim["functional"], claim["order"], claim["n"],
                                          claim["alpha"])
    value = float(table[(x[:, 0] == claim["x1"]) & (x[:, 1] == claim["x2"])][0])
    return value if math.isfinite(value) else None


def made_up(random: np.random.Generator) -> dict[str, Any]:
    """A certificate of random fields, most of them within the format's ranges."""
    def one_of(*values: Any) -> Any:
        return values[int(random.integers(len(values)))]

    n = int(random.integers(1, 13))
    x1 = int(random.integers(0, n + 1))
    x2 = int(random.integers(0, n - x1 + 1))
    if random.random() < 0.3:
        x1, x2 = n - x2, x2
    functional = one_of(*FUNCTIONALS)
    claim: dict[str, Any] = {
        **NAN, "n": n, "x1": x1, "x2": x2, "functional": functional, "statistic": one_of(*STATISTICS),
        "order": one_of(1, 3, 5, 15) if functional == "taylor-probit" else None,
        "alpha": float(one_of(10.0 ** random.uniform(-5, -0.31), 10.0 ** random.uniform(-15.5, -0.2), 0.05, 0.4)),
        "third_cell": bool(x1 + x2 < n or random.random() < 0.5),
        "least_q1": 0.5 if functional == "taylor-probit" and random.random() < 0.3 else 0.0}
    span = 1.0 if functional == "margin" else 3.0
    claim["lower"] = float(one_of(random.uniform(-span, span), random.uniform(-span, 0.0), random.uniform(-0.1, 0.5),
                                  random.uniform(-8.0, 0.0), 10.0 ** random.uniform(-320, 300), -span, span, 0.0))
    if random.random() < 0.5:
        # Near what can be proven at all: both sides of the edge.
        claim["lower"] = edge(claim) + float(one_of(0.0, 1e-6, -1e-6, random.normal(0.0, 0.02), random.normal()))
    mesh(claim, random, one_of)
    if random.random() < 0.4:
        witness(claim, random, one_of)
    try:
        claim["observed"] = observed(claim)
    except (ValueError, AssertionError, FloatingPointError):
        claim["observed"] = 0.0
    return claim


def edge(claim: dict[str, Any]) -> float:
    """About the largest level that the votes reject, by bisection on what enumeration finds."""
    low, high = (-1.0, 1.0) if claim["functional"] == "margin" else (-6.0, 6.0)
    for _ in range(12):
        middle = 0.5 * (low + high)
        if claims_oracle.largest_tail({**claim, "lower": middle}, points=40) <= claim["alpha"]:
            low = middle
        else:
            high = middle
    return low


def mesh(claim: dict[str, Any], random: np.random.Generator, one_of: Any) -> None:
    """Cuts and kinds: most often a mesh that may well prove the level."""
    how = random.random()
    if how < 0.08:
        return
    link = CheckedLink(claim["functional"], claim["order"])
    with np.errstate(all="ignore"):
        ends = link.segment(claim["lower"], claim["third_cell"], claim["least_q1"])
    start, end = ends if ends is not None else (0.0, 1.0)
    pieces = 1 if not claim["third_cell"] else int(one_of(1, 2, 3, 10, 60, 300))
    steps = np.linspace(0.0, 1.0, pieces + 1) ** one_of(1.0, 2.0, 4.0)
    if random.random() < 0.3:
        steps = np.sort(np.append(random.random(pieces - 1), [0.0, 1.0]))
    cuts = start + (end - start) * steps
    if how < 0.2:
        cuts = cuts[int(random.integers(0, 2)):]
    if how < 0.15:
        cuts = np.sort(random.random(cuts.size))
    claim["cuts"] = cuts.tolist()
    inner = one_of("convex", "convex", "corner")
    kinds = ["corner", *[inner] * (pieces - 2), "corner"][:pieces] if pieces > 1 else ["corner"]
    if random.random() < 0.1:
        kinds = [str(one_of("corner", "convex")) for _ in kinds]
    claim["kinds"] = [[kind, 1] for kind in kinds]


def witness(claim: dict[str, Any], random: np.random.Generator, one_of: Any) -> None:
    """A witness: most often a null whose tail is at alpha."""
    best = random.dirichlet([1.0, 1.0, 1.0])
    if not claim["third_cell"]:
        best = np.array([best[0], 1.0 - best[0], 0.0])
    if random.random() < 0.8:
        # Along the way from all of the mass in the second cell to this point the tail grows from 0.
        away = np.array([0.0, 1.0, 0.0])
        low, high = 0.0, 1.0
        inside = claims_oracle.tail_set(claim, doubtful=True)
        for _ in range(60):
            middle = 0.5 * (low + high)
            q = (away + middle * (best - away))[None, :]
            tail = float((claims_oracle.probabilities(q, claims_oracle.outcomes(claim["n"])) * inside).sum())
            low, high = (low, middle) if tail >= claim["alpha"] else (middle, high)
        best = away + high * (best - away)
    best[2] = 1.0 - best[0] - best[1] if claim["third_cell"] else 0.0
    claim["witness"] = np.maximum(best, 0.0).tolist()
    f = claims_oracle.link(claim["functional"], claim["order"], best[:2])
    level = float(f[0] - f[1]) + float(one_of(1e-12, 1e-7, -1e-7, 0.0, 0.1))
    claim["lower_at_most"] = level if math.isfinite(level) else 0.0


def judged(claim: dict[str, Any]) -> list[str]:
    """What is false in an accepted claim."""
    found = []
    if claim["lower"] is not None:
        tail = claims_oracle.largest_tail(claim)
        if not tail <= claim["alpha"] * (1.0 + 1e-9):
            found.append(f"the tail reaches {tail} at the level")
        if claim["least_q1"] > 0.0 and not claims_oracle.passes_test(claim):
            found.append("the test of p_A > 1/2 is not passed")
    if claim["witness"] is not None and not claims_oracle.witnessed(claim):
        found.append("the witness is none")
    return found


def test_what_is_accepted_is_true() -> None:
    """Certificates are made up from random fields; whatever passes is held against the sample space."""
    random = np.random.default_rng(int(os.environ.get("RSOPT_FORGERIES_SEED", "0")))
    accepted = witnesses = refused_false = 0
    for _ in range(FORGERIES):
        claim = made_up(random)
        verdicts = []
        for arithmetic in ("double", "arb"):
            try:
                verdicts.append(rsopt.check_certificate(hashed(claim), arithmetic))
            except CertificateError:
                verdicts.append(None)
        if any(verdicts):
            assert judged(claim) == [], claim
            accepted += 1
            witnesses += claim["witness"] is not None
        elif 1e-15 <= claim["alpha"] < 0.4 and judged(claim):
            refused_false += 1
    # Else the claims were not worth making.
    assert accepted > 0.05 * FORGERIES
    assert witnesses > 0.005 * FORGERIES
    assert refused_false > 0.2 * FORGERIES
