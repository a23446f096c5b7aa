"""Every installed solver on worst cases whose suprema are proven, with a table and the picture of gap against time.

    python examples/compare_solvers.py [--output FOLDER] [--all]

By default twelve problems of the zoo, one of each kind; with --all the whole zoo, ten minutes or more. Checks the
accuracy that each solver is known to reach.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import rsopt
from rsopt.commands.compare import summary_table
from rsopt.registry import solver_states
from rsopt.testing import core, zoo

# Largest gap of a solver's own point that is acceptable, and the share of the problems where it must be kept.
ACCURACY = {"scipy": 1e-6, "branch-and-bound": 1e-6, "ipopt": 1e-6, "pyomo": 1e-6, "gpkit": 1e-2, "cvxpy": 1e-2,
            "cvxpy-nlp": 1e-6, "botorch": 1e-3}
SHARE = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=None)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    output = options.output or Path(tempfile.mkdtemp())
    output.mkdir(parents=True, exist_ok=True)
    installed = [state.name for state in solver_states() if not state.missing]
    found = rsopt.compare(zoo() if options.all else core(), installed)
    from rich.console import Console

    Console().print(summary_table(found))
    found.save(output / "comparison.csv")
    found.plot(output / "gaps.png")
    print(f"{output}/comparison.csv, {output}/gaps.png")
    for name in installed:
        rows = [row for row in found.rows if row.solver == name and row.stop not in ("REFUSED", "ABSENT")]
        kept = sum(row.gap_raw <= ACCURACY.get(name, 1e-2) for row in rows)
        print(f"{name}: {kept} of {len(rows)} within {ACCURACY.get(name, 1e-2):g}, the worst after one polishing step "
              f"{max(row.gap_polished for row in rows):.0e}; bounds give up at most "
              f"{max(row.given_up for row in rows):.2%} of the width")
        assert kept >= SHARE * len(rows), name
        best = {row.problem: row.lower for row in found.rows if row.solver == "scipy"}
        assert all(abs(row.lower - best[row.problem]) <= 1e-2 * (1.0 + abs(row.lower)) for row in rows), name


if __name__ == "__main__":
    main()
