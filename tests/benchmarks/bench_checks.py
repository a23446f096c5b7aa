"""What it costs to check a bound, beside what it costs to prove it.

``python tests/benchmarks/bench_checks.py [N]`` prints processor times of both, the least of five, for n up to N
(1,000,000 by default) and three kinds of votes, and the time to check them in ball arithmetic up to n = 10,000.
``pytest tests/benchmarks/bench_checks.py`` times single checks with pytest-benchmark.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

import rsopt

SHARES = ((0.9, 0.06), (0.6, 0.3), (0.45, 0.4))
LARGEST_IN_BALLS = 10_000


def votes(n: int, shares: tuple[float, float]) -> list[int]:
    """Votes of three classes with these shares of the first two."""
    first, second = (round(n * share) for share in shares)
    return [first, second, n - first - second]


def milliseconds(work: Callable[[], Any], times: int = 5) -> tuple[float, Any]:
    """(the least processor time of several, the last result)."""
    least, result = float("inf"), None
    for _ in range(times):
        start = time.process_time()
        result = work()
        least = min(least, time.process_time() - start)
    return 1e3 * least, result


def table(most: int) -> None:
    """Print the times."""
    rsopt.check_certificate(rsopt.lower_bound([90, 6, 4], top=0).certificate)
    print("         n       shares  pieces     file     bound     check  ratio     balls")
    for n in (1_000, 10_000, 100_000, 1_000_000):
        for shares in SHARES if n <= most else ():
            proving, bound = milliseconds(lambda n=n, shares=shares: rsopt.lower_bound(votes(n, shares), top=0))
            checking, report = milliseconds(lambda bound=bound: rsopt.check_certificate(bound.certificate))
            balls = ""
            if n <= LARGEST_IN_BALLS:
                balls = f"{milliseconds(lambda b=bound: rsopt.check_certificate(b.certificate, 'arb'), 1)[0]:.0f} ms"
            print(f"{n:>10,d} {shares[0]:>6.2f}{shares[1]:>6.2f} {report.pieces:>7,d} "
                  f"{len(bound.certificate.to_json()):>8,d} {proving:>6.1f} ms {checking:>6.1f} ms "
                  f"{checking / proving:>6.2f} {balls:>9s}")


@pytest.mark.parametrize("n", [1_000, 100_000])
def test_check_of_a_certificate(benchmark: Any, n: int) -> None:
    certificate = rsopt.lower_bound(votes(n, SHARES[1]), top=0).certificate
    assert certificate is not None
    assert benchmark(rsopt.check_certificate, certificate).lower == certificate.lower


if __name__ == "__main__":
    table(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
