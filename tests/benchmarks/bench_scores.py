"""How tight and how fast the score bounds are.

``make bench_scores`` prints time and memory at n = 100,000 with ten classes, then the relative loss against the
normal-theory limit theta - z s/sqrt(n) at alpha = .001, mean over the eight laws, for every method; ``make bench_scores
ARGUMENTS=laws`` prints the losses law by law. ``pytest --benchmark-only tests/benchmarks/bench_scores.py`` times single
calls.
"""

from __future__ import annotations

import resource
import sys
import time
from functools import cache

import numpy as np
import pytest
from scipy.special import ndtri
from score_laws import LAWS, Truth

from rsopt.scores.lower_bound_scores import lower_bound_scores, score_methods

ALPHA = 1e-3
#: n -> runs averaged; with the sample's own error taken out, few are needed.
RUNS = {100: 100, 1_000: 60, 10_000: 24, 100_000: 8}


@cache
def truth_of(name: str) -> Truth:
    """The truth of a law, simulated once."""
    return Truth.of(LAWS[name])


def losses(functional: str, method: str, n: int, runs: int, name: str) -> float:
    """Relative loss in per cent on one law: 100 (1 - mean bound/limit), abstentions counted as 0.

    The bound follows the sample means; their deviation from the truth, to first order, is subtracted, which
    leaves the mean over runs unchanged and takes out most of its noise.
    """
    law, truth = LAWS[name], truth_of(name)
    z = -float(ndtri(ALPHA))
    probit = functional == "probit"
    value, sd = (truth.probit, truth.probit_sd) if probit else (truth.margin, truth.margin_sd)
    weights = truth.slopes if probit else (1.0, 1.0)
    rng = np.random.default_rng([n, len(name)])
    adjusted = []
    for _ in range(runs):
        rows = law(rng, n)
        off = rows.mean(axis=0) - truth.means
        bound = lower_bound_scores(rows, top=0, functional=functional, method=method, alpha=ALPHA)
        adjusted.append(max(bound.lower, 0.0) - (weights[0] * off[0] - weights[1] * off[1]))
    return 100.0 * (1.0 - float(np.mean(adjusted)) / (value - z * sd / n**0.5))


def table() -> None:
    """Print mean losses over the laws, every method and n, and where the digital hedge is not the best."""
    for functional in ("margin", "probit"):
        print(f"\nrelative loss in %, {functional}, alpha = {ALPHA}, mean over {len(LAWS)} laws")
        print(f"{'method':34s}" + "".join(f"{n:>10,d}" for n in RUNS))
        found = {}
        for method in score_methods(functional):
            found[method] = np.array([[losses(functional, method, n, runs, name) for name in LAWS]
                                      for n, runs in RUNS.items()])
            print(f"{method:34s}" + "".join(f"{mean:10.3f}" for mean in found[method].mean(axis=1)), flush=True)
        for i, n in enumerate(RUNS):
            for k, name in enumerate(LAWS):
                best = min(found, key=lambda method, i=i, k=k: found[method][i, k])
                if best != "digital-hedge":
                    print(f"exception: {name}, n = {n:,}: {best} {found[best][i, k]:.3f}, "
                          f"digital-hedge {found['digital-hedge'][i, k]:.3f}")


def by_law(method: str) -> None:
    """Print one method's losses law by law."""
    for functional in ("margin", "probit"):
        print(f"\nrelative loss in %, {functional}, {method}")
        for name in LAWS:
            row = [losses(functional, method, n, runs, name) for n, runs in RUNS.items()]
            print(f"{name:34s}" + "".join(f"{loss:10.3f}" for loss in row), flush=True)


def speed() -> None:
    """Print time and peak memory at n = 100,000, ten classes, all nine rivals."""
    rows = LAWS["softmax, T=1"](np.random.default_rng(0), 100_000).astype(np.float32)
    for method in ("digital-hedge", "fast-betting"):
        for functional in ("margin", "probit"):
            lower_bound_scores(rows[:1000], top=0, functional=functional, method=method)
            times = []
            for _ in range(5):
                start = time.perf_counter()
                lower_bound_scores(rows, top=0, functional=functional, method=method)
                times.append(time.perf_counter() - start)
            print(f"{method:14s} {functional:7s} n = 100,000, 10 classes: median {1e3 * np.median(times):.1f} ms")
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return LAWS["softmax, T=1"](np.random.default_rng(0), 100_000).astype(np.float32)


@pytest.mark.parametrize("functional", ["margin", "probit"])
@pytest.mark.parametrize("method", ["digital-hedge", "fast-betting"])
def test_all_rivals_at_a_hundred_thousand_rows(benchmark, rows, method, functional):
    bound = benchmark(lower_bound_scores, rows, top=0, functional=functional, method=method)
    assert bound.lower > 0.0


def test_check_of_a_transcript(benchmark, rows):
    from rsopt.checks.transcript import check_transcript

    transcript = lower_bound_scores(rows, top=0, functional="probit").transcript
    assert benchmark(check_transcript, transcript).lower > 0.0


if __name__ == "__main__":
    speed()
    if len(sys.argv) > 1:
        by_law("digital-hedge")
    else:
        table()
