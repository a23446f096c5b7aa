"""How fast, how tight and how large the proven bounds are, on the synthetic votes of tests/support/votes.py.

``make bench_bounds`` prints, for 250 inputs of ten classes (n = 100,000, sigma = 0.25, alpha = 0.001, probit,
studentized): processor time of a bound, the gap between the bound and its witness as a share of the width, and peak
memory; the same at n = 1,000,000 and with a thousand classes, for 60 inputs; the first bound of a process that finds
nothing compiled; and the mean radius against the baselines at four sizes, each the first votes of the next, with the
samples that the baselines need for the same radius. ``pytest --benchmark-only tests/benchmarks/bench_bounds.py`` times
single calls.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from votes import Order, Voted, voted

import rsopt
from rsopt.bound import Bound

SIGMA, ALPHA = 0.25, 1e-3
SIZES = (100, 1_000, 10_000, 100_000)
BASELINES: dict[str, Callable[..., Bound]] = {"Clopper–Pearson": rsopt.baselines.two_way_clopper_pearson,
                                              "Cohen 2019": rsopt.baselines.cohen}


def gap_share(bound: Bound) -> float:
    """(lower_at_most - lower) as a share of the width, plug-in at clamped counts minus lower."""
    problem = rsopt.LowerBoundProblem(bound.counts, bound.functional, rsopt.Studentized(), bound.alpha)
    return (bound.lower_at_most - bound.lower) / (problem.plug_in() - bound.lower)


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


def print_speed(inputs: Voted, n: int) -> None:
    """Processor time, gap and memory at n votes, the class with the most of them certified."""
    seconds, gaps = [], []
    for votes in inputs.votes(n):
        start = time.process_time()
        bound = rsopt.lower_bound(votes, top=int(votes.argmax()), alpha=ALPHA)
        seconds.append(time.process_time() - start)
        gaps.append(gap_share(bound))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"n = {n:,}, {inputs.shares.shape[1]} classes, {len(seconds)} inputs: "
          f"median {1e3 * np.median(seconds):.1f} ms, worst {1e3 * max(seconds):.1f} ms; "
          f"gap median {np.median(gaps):.3%}, worst {max(gaps):.3%} of the width; "
          f"peak memory {peak:.0f} MB", flush=True)


def print_first_bound() -> None:
    """Processor time of a bound in a new process, with an empty folder for what is compiled and with a full one."""
    script = ("import time, rsopt; start = time.process_time(); rsopt.lower_bound([900, 60, 40], top=0); "
              "print(time.process_time() - start)")
    with tempfile.TemporaryDirectory() as folder:
        first, second = (float(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True,
                                              env={**os.environ, "NUMBA_CACHE_DIR": folder}).stdout) for _ in range(2))
    print(f"first bound: {first:.1f} s while it compiles, {second:.1f} s in a later process", flush=True)


def print_radii(inputs: Voted) -> None:
    """Mean radius over the inputs whose label has the most votes, certified as their label."""
    correct = [(int(label), Order(votes, seed))
               for seed, (label, votes) in enumerate(zip(inputs.labels, inputs.votes(max(SIZES)), strict=True))
               if votes.argmax() == label]
    print(f"mean radius over {len(correct)} correct inputs of {len(inputs.labels)}")
    for n in SIZES:
        radii: dict[str, list[float]] = {"rsopt": [], **{name: [] for name in BASELINES}}
        factors: dict[str, list[float]] = {name: [] for name in BASELINES}
        for label, order in correct:
            votes = order.first(n)
            own = rsopt.lower_bound(votes, top=label, alpha=ALPHA)
            radii["rsopt"].append(own.radius(SIGMA))
            for name, baseline in BASELINES.items():
                radii[name].append(baseline(votes, label, alpha=ALPHA).radius(SIGMA))
                if own.lower > 0.0:
                    factors[name].append(samples_factor(baseline, votes, label, own.lower))
        means = ", ".join(f"{name} {np.mean(values):.4f}" for name, values in radii.items())
        needed = ", ".join(f"{name} {np.median(values):.2f}x" for name, values in factors.items())
        print(f"n = {n:,}: {means}; samples for our radius, median: {needed}", flush=True)


@pytest.mark.parametrize("n", [1_000, 10_000, 100_000])
def test_bound(benchmark: Any, n: int) -> None:
    """One proven bound at shares .9, .06, .04."""
    counts = [90 * n // 100, 6 * n // 100, 4 * n // 100]
    bound = benchmark(rsopt.lower_bound, counts, top=0, alpha=ALPHA)
    assert bound.proven


def main() -> None:
    rsopt.lower_bound([900, 60, 40], top=0)
    print_speed(voted(), 100_000)
    print_speed(voted(60), 1_000_000)
    print_speed(voted(60, classes=1000), 100_000)
    print_first_bound()
    print_radii(voted())


if __name__ == "__main__":
    main()
