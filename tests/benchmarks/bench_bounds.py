"""How fast, how tight and how large the proven bounds are, on measured counts.

``python tests/benchmarks/bench_bounds.py`` prints, for the 250 count vectors of ../shared/data/cifar10_counts.csv (n
= 100,000, sigma = 0.25, alpha = 0.001, probit, studentized): seconds a bound, the gap between the bound and its
witness as a share of the width, and peak memory; the same at n = 1,000,000 (counts times ten); and the mean radius
against the baselines at four sizes, thinned by the multivariate hypergeometric, with the samples the baselines need
for the same radius. ``pytest --benchmark-only tests/benchmarks/bench_bounds.py`` times single calls.
"""

from __future__ import annotations

import csv
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rsopt
from rsopt.bound import Bound
from rsopt.inversion import clamped_plug_in

SIGMA, ALPHA = 0.25, 1e-3
SIZES = (100, 1_000, 10_000, 100_000)
COUNTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "cifar10_counts.csv"
BASELINES: dict[str, Callable[..., Bound]] = {"Clopper–Pearson": rsopt.baselines.two_way_clopper_pearson,
                                              "Cohen 2019": rsopt.baselines.cohen}


def measured_rows() -> list[tuple[int, list[int]]]:
    """(label, votes) of every image."""
    with COUNTS.open() as file:
        return [(int(row["label"]), [int(row[f"c{k}"]) for k in range(10)]) for row in csv.DictReader(file)]


def gap_share(bound: Bound) -> float:
    """(lower_at_most - lower) as a share of the width, plug-in at clamped counts minus lower."""
    problem = rsopt.LowerBoundProblem(bound.counts, bound.functional, rsopt.Studentized(), bound.alpha)
    return (bound.lower_at_most - bound.lower) / (clamped_plug_in(problem) - bound.lower)


def samples_factor(baseline: Callable[..., Bound], votes: np.ndarray, top: int, target: float) -> float:
    """The factor on all counts at which the baseline reaches `target`; infinite above 1000."""
    def reaches(factor: float) -> bool:
        scaled = np.rint(votes * factor).astype(int)
        return baseline(scaled[: min(10, scaled.size)], top, alpha=ALPHA).lower >= target

    low, high = 0.25, 0.25
    while not reaches(high):
        low, high = high, 2.0 * high
        if high > 1000.0 or votes.sum() * high > 1e7:
            return float("inf")
    for _ in range(20):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def print_speed(factor: int, rows: list[tuple[int, list[int]]]) -> None:
    """Seconds, gap and memory with all counts times `factor`."""
    seconds, gaps = [], []
    for _, votes in rows:
        counts = [factor * v for v in votes]
        start = time.perf_counter()
        bound = rsopt.lower_bound(counts, top=int(np.argmax(counts)), alpha=ALPHA)
        seconds.append(time.perf_counter() - start)
        gaps.append(gap_share(bound))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"n = {factor * 100_000:,}, {len(rows)} rows: median {1e3 * np.median(seconds):.1f} ms, "
          f"worst {1e3 * max(seconds):.1f} ms; gap median {np.median(gaps):.3%}, worst {max(gaps):.3%} of the width; "
          f"peak memory {peak:.0f} MB")


def print_radii(rows: list[tuple[int, list[int]]]) -> None:
    """Mean radius over the inputs whose label has the most votes, certified as their label."""
    correct = [(label, np.array(votes)) for label, votes in rows if int(np.argmax(votes)) == label]
    print(f"mean radius over {len(correct)} correct inputs of {len(rows)}")
    for n in SIZES:
        rng = np.random.default_rng(n)
        radii: dict[str, list[float]] = {"rsopt": [], **{name: [] for name in BASELINES}}
        factors: dict[str, list[float]] = {name: [] for name in BASELINES}
        for label, votes in correct:
            thinned = rng.multivariate_hypergeometric(votes, n) if n < votes.sum() else votes
            own = rsopt.lower_bound(thinned, top=label, alpha=ALPHA)
            radii["rsopt"].append(own.radius(SIGMA))
            for name, baseline in BASELINES.items():
                radii[name].append(baseline(thinned, label, alpha=ALPHA).radius(SIGMA))
                if own.lower > 0.0 and n <= 100_000:
                    factors[name].append(samples_factor(baseline, thinned, label, own.lower))
        means = ", ".join(f"{name} {np.mean(values):.4f}" for name, values in radii.items())
        needed = ", ".join(f"{name} {np.median(values):.2f}x" for name, values in factors.items())
        print(f"n = {n:,}: {means}; samples for our radius, median: {needed}")


@pytest.mark.parametrize("n", [1_000, 10_000, 100_000])
def test_bound(benchmark: Any, n: int) -> None:
    """One proven bound at shares .9, .06, .04."""
    counts = [90 * n // 100, 6 * n // 100, 4 * n // 100]
    bound = benchmark(rsopt.lower_bound, counts, top=0, alpha=ALPHA)
    assert bound.certified


def main() -> None:
    rows = measured_rows()
    rsopt.lower_bound([900, 60, 40], top=0)
    print_speed(1, rows)
    print_speed(10, rows[:60])
    print_radii(rows)


if __name__ == "__main__":
    main()
