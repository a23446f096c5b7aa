"""Widths of lower confidence bounds on a mean, against n: all intervals, measured, and three formulas.

    python examples/compare_intervals.py [--law scores] [--alpha 0.001] [--runs 20] [--output
    runs/intervals.png]

Prints a table of widths in units of the normal-theory limit, draws it, and checks what it shows: from n =
1000 on no interval is narrower than the digital hedge by more than 1%, and w^EB and w^PrPI-EB predict the
measured widths.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rsopt.intervals.comparison import LAWS, LIMIT, compare_widths, save_width_plot

SIZES = (30, 100, 300, 1_000, 3_000, 10_000, 30_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--law", choices=list(LAWS), default="scores")
    parser.add_argument("--alpha", type=float, default=1e-3)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--output", type=Path, default=Path("runs/intervals.png"))
    options = parser.parse_args()

    rows = compare_widths(options.law, SIZES, alpha=options.alpha, runs=options.runs)
    widths = {row.name: row.widths for row in rows}
    print(f"width / normal-theory limit on {options.law!r}, alpha = {options.alpha:g}")
    print(f"{'n':22s}" + "".join(f"{n:>9,d}" for n in SIZES))
    for row in rows:
        shares = [width / limit for width, limit in zip(row.widths, widths[LIMIT], strict=True)]
        print(f"{row.name:22s}" + "".join(f"{share:9.3f}" for share in shares) + ("" if row.measured else "  formula"))

    options.output.parent.mkdir(parents=True, exist_ok=True)
    save_width_plot(options.output, rows, SIZES, law=options.law, alpha=options.alpha)
    print(f"wrote {options.output}")

    measured = {row.name: row.widths for row in rows if row.measured}
    for i, n in enumerate(SIZES):
        if n >= 1_000:
            assert measured["digital-hedge"][i] <= 1.01 * min(widths[i] for widths in measured.values())
    assert abs(measured["empirical-bernstein"][-1] / widths["w^EB"][-1] - 1.0) < 0.1
    assert abs(measured["prpi-eb"][-1] / widths["w^PrPI-EB"][-1] - 1.0) < 0.1


if __name__ == "__main__":
    main()
