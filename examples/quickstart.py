"""One bound, its radius, its certificate and the check of it; asserts the numbers of the README."""

from __future__ import annotations

import tempfile
from pathlib import Path

import rsopt


def main() -> None:
    bound = rsopt.lower_bound([9000, 600, 400], top=0, functional="probit", statistic="studentized", alpha=1e-3,
                              solver="scipy")
    print(f"proven lower bound {bound.lower:.6f}, exact bound at most {bound.lower_at_most:.6f}")
    print(f"certified radius {bound.radius(sigma=0.25):.6f} at sigma 0.25")
    assert bound.certified
    assert abs(bound.lower - 2.728889) < 2e-6
    assert bound.lower <= bound.lower_at_most < bound.lower + 3e-4

    baselines = {baseline.__name__: baseline([9000, 600, 400], top=0).radius(sigma=0.25)
                 for baseline in (rsopt.baselines.two_way_clopper_pearson, rsopt.baselines.cohen)}
    print(baselines)
    assert max(baselines.values()) < bound.radius(sigma=0.25)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bound.json"
        bound.certificate.save(path)
        report = rsopt.check_certificate(path)
    print(f"checked again: tail at most {report.tail_at_most:.6g} over {report.pieces} pieces")
    assert report.lower == bound.lower

    problem = rsopt.LowerBoundProblem(bound.counts, rsopt.ProbitMargin(), rsopt.Studentized(), alpha=1e-3)
    print(problem)
    print(problem.worst_case(bound.lower))
    again = problem.solve(solver="scipy")
    assert abs(again.lower - bound.lower) < 1e-6
    print("solvers:", ", ".join(rsopt.solver_names()))


if __name__ == "__main__":
    main()
