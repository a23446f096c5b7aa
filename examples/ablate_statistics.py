"""The designated statistic decides how tight the exact bound is: the three of them beside the closed forms.

    python examples/ablate_statistics.py

The mean bound over counts that a classifier with p = (0.8, 0.12, 0.08) draws, seeded. The plug-in statistic is the
choice of Moutaouakil's paper; on the probit margin its bound collapses for every input (see `rsopt.PlugIn`).
"""

from __future__ import annotations

import numpy as np

import rsopt

P, ALPHA, DRAWS, SEED = (0.8, 0.12, 0.08), 1e-3, 12, 3
SIZES = (100, 1000, 10_000)
CLOSED = {"two-way Clopper–Pearson": rsopt.baselines.two_way_clopper_pearson, "Cohen": rsopt.baselines.cohen,
          "melded (conjectured)": rsopt.baselines.melded}
FUNCTIONALS = ("margin", "probit", "taylor-probit")


def mean_bound(votes: np.ndarray, functional: str, method: str) -> float:
    if method in CLOSED:
        return float(np.mean([CLOSED[method](row, top=0, functional=functional, alpha=ALPHA).lower for row in votes]))
    return float(np.mean([rsopt.lower_bound(row, top=0, functional=functional, statistic=method, alpha=ALPHA).lower
                          for row in votes]))


def main() -> None:
    methods = ("studentized", "clopper-pearson", "plugin", *CLOSED)
    found: dict[tuple[str, int, str], float] = {}
    for functional in FUNCTIONALS:
        truth = float(rsopt.Margin().value(np.array(P[0]), np.array(P[1])) if functional == "margin" else
                      rsopt.ProbitMargin().value(np.array(P[0]), np.array(P[1])))
        print(f"\n{functional}, truth {truth:.4f}: mean lower bound at alpha = {ALPHA:g}")
        print(f"{'statistic or closed form':28s}" + "".join(f"{n:>10,d}" for n in SIZES))
        for method in methods:
            for n in SIZES:
                votes = np.random.default_rng([SEED, n]).multinomial(n, P, size=DRAWS)
                found[functional, n, method] = mean_bound(votes, functional, method)
            print(f"{method:28s}" + "".join(f"{found[functional, n, method]:10.4f}" for n in SIZES))
    for n in SIZES:
        for functional in FUNCTIONALS:
            # Buehler: the exact bound on this statistic is never below the closed form it is made of.
            assert found[functional, n, "clopper-pearson"] >= found[functional, n, "two-way Clopper–Pearson"] - 1e-3
            assert found[functional, n, "studentized"] >= found[functional, n, "two-way Clopper–Pearson"]
            assert found[functional, n, "studentized"] >= found[functional, n, "Cohen"]
        assert found["probit", n, "plugin"] < 0.0 < found["probit", n, "studentized"]
        assert found["margin", n, "plugin"] > found["margin", n, "two-way Clopper–Pearson"] - 0.05


if __name__ == "__main__":
    main()
