"""Comparisons: rows with proven gaps, failures as rows, files, the picture, and the commands."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from hostile import FAILING, Hostile, far_end
from PIL import Image
from rsopt.solvers.ipopt_ import STAY_NEAR_START
from typer.testing import CliRunner

import rsopt
from rsopt.commands.cli import application
from rsopt.errors import InvalidInputError, StorageError, UnknownNameError
from rsopt.solver import Budget
from rsopt.solving.forms import BlackBox
from rsopt.solving.result import Improvement
from rsopt.testing import ZooProblem, core, zoo
from rsopt.testing.comparison import Comparison
from rsopt.testing.comparison_rows import ComparisonRow
from rsopt.testing.instance import write_instance
from rsopt.testing.profile import gap_quartiles, profiles


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    problems = [core()[3], core()[5], core()[11]]
    return rsopt.compare(problems, ["scipy", "ipopt", "pyomo", "cvxpy", FAILING[0]], [Budget(30.0)])


def row(comparison: Comparison, solver: str, n: int) -> ComparisonRow:
    return next(row for row in comparison.rows if row.solver == solver and row.n == n)


def test_rows(comparison: Comparison) -> None:
    assert len(comparison.rows) == 15
    found = row(comparison, "ipopt", 20)
    bracket = core()[3].bracket
    assert found.sup_at_least == bracket.at_least <= found.sup_at_most
    assert 0.0 <= found.gap <= found.gap_raw < 1e-6
    assert found.gap_polished < 1e-10
    assert found.gap_start > 1e-4  # the way from there is the solver's own
    assert found.own_error < 1e-6
    assert found.violation < 1e-6
    assert found.evaluations > 100
    assert (found.stop, found.claim, found.form, found.error) == ("CONVERGED", "LOCAL", "SmoothOracle", "")
    assert found.lower <= found.searched
    assert found.lower <= found.lower_at_most
    assert 0.0 <= found.given_up < 0.01
    assert found.bound_seconds > 0.0


def test_failures_are_rows(comparison: Comparison) -> None:
    refused = row(comparison, "pyomo", 100_000)
    assert refused.stop == "REFUSED"
    assert "The list would hold" in refused.error
    assert math.isnan(refused.gap)
    failed = row(comparison, "Hostile(raises)", 20)
    assert failed.stop == "FAILED"
    assert "ZeroDivisionError" in failed.error
    assert math.isnan(failed.gap_raw)
    # The bound is proven all the same.
    assert failed.lower <= row(comparison, "scipy", 20).lower_at_most


def test_an_absent_backend_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "casadi", None)
    found = rsopt.compare([core()[3]], ["ipopt"]).rows[0]
    assert found.stop == "ABSENT"
    assert "pip install 'rsopt[ipopt]'" in found.error


def test_unknown_solvers_are_not_rows() -> None:
    with pytest.raises(UnknownNameError):
        rsopt.compare([core()[3]], ["scypi"])


def test_gaps_show_who_does_the_work() -> None:
    """A solver that evaluates a good point and proposes a bad one is judged by what it proposes."""
    def act(form: BlackBox) -> object:
        form.meter.witness(core()[3].bracket.point)
        return far_end(form)

    found = rsopt.compare([core()[3]], [Hostile(act, "careless")], bounds=False).rows[0]
    assert found.gap < 1e-9
    assert found.gap_raw > 0.5
    assert math.isnan(found.lower)


def test_any_lower_bound_problem_can_be_compared() -> None:
    problem = rsopt.LowerBoundProblem(rsopt.Counts((40, 8, 2), 0), rsopt.Margin(), rsopt.Studentized(), 0.05)
    rows = rsopt.compare([problem], ["scipy", "cvxpy"], seeds=[0, 1], bounds=False).rows
    assert [(row.solver, row.seed) for row in rows] == [("scipy", 0), ("scipy", 1), ("cvxpy", 0), ("cvxpy", 1)]
    assert rows[0].sup_at_least == pytest.approx(0.05, rel=1e-3)
    assert rows[0].level == problem.solve().lower_at_most


def test_summary(comparison: Comparison) -> None:
    lines = {(line.solver, line.n): line for line in comparison.summary()}
    assert lines["pyomo", 100_000].solved == 0
    assert lines["pyomo", 100_000].refused == 1
    assert lines["scipy", 20].within == 1.0
    assert lines["scipy", 20].median_raw == row(comparison, "scipy", 20).gap_raw
    assert lines["ipopt", 20].median_start == row(comparison, "ipopt", 20).gap_start
    assert math.isnan(lines["scipy", 20].median_start)  # it surveys the curve by itself


def test_files(comparison: Comparison, tmp_path: Path) -> None:
    names = [field.name for field in dataclasses.fields(ComparisonRow) if field.name != "progress"]
    names += ["seconds_to_0.001", "evaluations_to_0.001", "seconds_to_1e-06", "evaluations_to_1e-06"]
    comparison.save(tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(newline="") as stream:
        read = list(csv.DictReader(stream))
    assert list(read[0]) == names
    assert [float(line["tail"]) for line in read if line["tail"] != "nan"] == [
        found.tail for found in comparison.rows if found.tail == found.tail]
    comparison.save(tmp_path / "rows.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "rows.parquet")
    assert table.column_names == names
    assert table.column("evaluations").to_pylist() == [found.evaluations for found in comparison.rows]
    with pytest.raises(InvalidInputError, match=r"written as \.csv or \.parquet; found 'rows.xlsx'"):
        comparison.save(tmp_path / "rows.xlsx")
    with pytest.raises(StorageError, match=r"The comparison .* cannot be written"):
        comparison.save(tmp_path / "rows.csv" / "rows.csv")


def test_picture(comparison: Comparison, tmp_path: Path) -> None:
    comparison.plot(tmp_path / "gaps.png")
    with Image.open(tmp_path / "gaps.png") as picture:
        assert picture.width > 1000
        assert picture.height > 500
        assert len(picture.convert("RGB").getcolors(100_000) or []) > 50
    with pytest.raises(InvalidInputError, match="There is nothing to draw"):
        Comparison(()).plot(tmp_path / "nothing.png")


def test_progress(comparison: Comparison, tmp_path: Path) -> None:
    for found in comparison.rows:
        seconds, evaluations, gaps = zip(*found.trail, strict=True) if found.trail else ((), (), ())
        assert list(seconds) == sorted(seconds)
        assert list(evaluations) == sorted(evaluations)
        assert [step.tail for step in found.progress] == sorted({step.tail for step in found.progress})
        if found.gap_raw == found.gap_raw:
            # Where it ends is what the search reports, within its time and evaluations; the reported gap is computed
            # again with the accurate kernel, and the other rounds n = 100,000 times.
            assert gaps[-1] == pytest.approx(found.gap, abs=1e-10)
            assert seconds[-1] <= found.build_seconds + found.solve_seconds
            assert evaluations[-1] <= found.evaluations
    comparison.save_progress(tmp_path / "progress.csv")
    with (tmp_path / "progress.csv").open(newline="") as stream:
        read = list(csv.DictReader(stream))
    assert len(read) == sum(len(found.progress) for found in comparison.rows) > 15
    assert [float(line["gap"]) for line in read] == [step[2] for found in comparison.rows for step in found.trail]


def steps(*gaps: tuple[float, int, float]) -> tuple[Improvement, ...]:
    return tuple(Improvement(seconds, evaluations, 0.5 * (1.0 - gap)) for seconds, evaluations, gap in gaps)


def test_profiles_are_quartiles_over_all_solves(comparison: Comparison) -> None:
    model = dataclasses.replace(row(comparison, "scipy", 20), sup_at_least=0.5, solver="one", progress=())
    rows = [dataclasses.replace(model, progress=steps((0.5, 4, 0.5), (1.0, 10, 5e-4), (3.0, 30, 5e-7))),
            dataclasses.replace(model, progress=steps((2.0, 20, 5e-4))),
            dataclasses.replace(model, progress=steps((4.0, 40, 1e-9))), model]
    coarse, fine = profiles(rows)
    assert (coarse.target, coarse.solved, coarse.solves) == (1e-3, 3, 4)
    # The one without a point took forever; no mean is taken with it.
    assert (coarse.seconds, coarse.evaluations) == ((1.0, 2.0, 4.0), (10.0, 20.0, 40.0))
    assert (fine.target, fine.solved, fine.seconds) == (1e-6, 2, (3.0, 4.0, math.inf))
    assert fine.to_dict()["seconds"] == [3.0, 4.0, None]
    assert (rows[0].first_within(1e-3), rows[1].first_within(1e-6)) == ((1.0, 10.0), (math.inf, math.inf))
    assert rows[1].to_dict()["seconds_to_0.001"] == 2.0
    by_time = gap_quartiles(rows, np.array([0.1, 0.5, 1.0, 2.5, 9.0]))
    assert by_time[1] == pytest.approx([1.0, 1.0, 1.0, 5e-4, 5e-7])
    assert by_time[0] == pytest.approx([1.0, 0.5, 5e-4, 5e-4, 1e-9], abs=1e-12)
    by_evaluations = gap_quartiles(rows, np.array([3.0, 4.0, 30.0]), by_evaluations=True)
    assert by_evaluations[0] == pytest.approx([1.0, 0.5, 5e-7])


def test_a_refused_problem_is_not_solved(comparison: Comparison) -> None:
    lines = {(line.solver, line.target): line for line in comparison.profiles()}
    assert (lines["pyomo", 1e-6].solved, lines["pyomo", 1e-6].solves) == (2, 3)
    assert (lines["scipy", 1e-6].solved, lines["scipy", 1e-6].solves) == (3, 3)
    assert lines["scipy", 1e-3].seconds[1] <= lines["scipy", 1e-6].seconds[1]


def test_picture_of_profiles(comparison: Comparison, tmp_path: Path) -> None:
    comparison.plot_profiles(tmp_path / "profiles.png")
    with Image.open(tmp_path / "profiles.png") as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(1_000_000) or []) > 50
    with pytest.raises(InvalidInputError, match="There is nothing to draw"):
        Comparison(()).plot_profiles(tmp_path / "nothing.png")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(application(arguments), list(arguments))
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_compare_on_the_command_line(tmp_path: Path) -> None:
    text = run("compare", "--solvers", "scipy,ipopt", "--n", "5,20", "--functional", "probit", "--output",
               str(tmp_path))
    assert "Worst cases solved; gaps are relative to the proven supremum" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["comparison.csv", "comparison.parquet", "gaps.png"]
    with (tmp_path / "comparison.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {line["solver"] for line in rows} == {"scipy", "ipopt"}
    assert {line["functional"] for line in rows} == {"probit"}
    assert {line["n"] for line in rows} == {"5", "20"}


def test_profiles_on_the_command_line(tmp_path: Path) -> None:
    arguments = ("compare", "--solvers", "scipy,cvxpy", "--n", "20", "--functional", "margin", "--seeds", "2",
                 "--no-bounds", "--profile", "--output", str(tmp_path))
    text = run(*arguments)
    assert "How fast solvers come close to the proven supremum" in text
    assert "scipy 4/4" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "comparison.csv", "comparison.parquet", "gaps.png", "profiles.png", "progress.csv"]
    told = json.loads(run(*arguments, "--json"))
    assert [(line["solver"], line["target"], line["solves"]) for line in told["profiles"]] == [
        ("scipy", 1e-3, 4), ("scipy", 1e-6, 4), ("cvxpy", 1e-3, 4), ("cvxpy", 1e-6, 4)]


@pytest.mark.parametrize(("arguments", "text"), [
    (("--solvers", "gurobi"), "There is no solver named 'gurobi'"),
    (("--n", "7"), "There is no size named '7'"),
    (("--functional", "probot"), "Did you mean 'probit'?"),
])
def test_compare_refuses_what_it_does_not_know(arguments: tuple[str, str], text: str, tmp_path: Path) -> None:
    line = ["compare", *arguments, "--output", str(tmp_path)]
    result = CliRunner().invoke(application(line), line)
    assert result.exit_code == 2
    assert text in " ".join(result.output.split())


def test_the_zoo_as_files(tmp_path: Path) -> None:
    text = run("zoo", str(tmp_path / "zoo"), "--most-terms", "500")
    index = json.loads((tmp_path / "zoo" / "index.json").read_text())
    assert [entry["name"] for entry in index] == [case.name for case in zoo()]
    assert f"{len(index)} problems" in text
    listed = [entry for entry in index if entry["terms"]]
    assert 10 < len(listed) < len(index)
    assert all(entry["monomials"] <= 500 for entry in listed)
    for entry in listed:
        content = json.loads((tmp_path / "zoo" / entry["terms"]).read_text())
        assert len(content["log_coefficients"]) == entry["monomials"]
        assert content["known"]["tail_at_least"] <= content["known"]["tail_at_most"]
        if entry["functional"] == "laplace":
            # A link in two pieces is none of AMPL's formulas; the other problems are written out all the same.
            assert entry["nl"] is None
        else:
            assert (tmp_path / "zoo" / entry["nl"]).read_text().startswith("g3 ")
            assert entry["instance"]["terms"] <= entry["monomials"]
    laplace = sum(entry["functional"] == "laplace" for entry in listed)
    assert laplace > 0
    assert f"No .nl of {laplace}: " in text
    assert all(entry["instance"] is None for entry in index if not entry["nl"])
    with (tmp_path / "zoo" / "index.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["name"] for line in lines] == [entry["name"] for entry in listed if entry["nl"]]
    assert [float(line["dual"]) for line in lines] == [entry["instance"]["dual"] for entry in listed if entry["nl"]]


def named(name: str) -> ZooProblem:
    return next(case for case in zoo() if case.name == name)


@pytest.mark.parametrize("name", [
    "n5-2-2-margin-clopper-pearson-1e-05", "n5-4-0-margin-plugin-0.001",
    "n20-4-4-margin-plugin-1e-05", "n20-18-1-probit-studentized-0.001",
    "n50-15-25-probit-studentized-0.05", "n50-45-3-taylor-probit-15-studentized-0.001",
    "n50-45-3-taylor-probit-15-restricted-studentized-0.001", "n50-50-0-probit-studentized-0.001",
    "n200-140-20-probit-studentized-1e-05"])
def test_instances_are_what_they_say(name: str, tmp_path: Path) -> None:
    """Read by another program: the objective at the point is the one stated, no solution is below the dual bound."""
    casadi = pytest.importorskip("casadi")
    case = named(name)
    stated = write_instance(case, tmp_path)
    model = casadi.NlpBuilder()
    model.import_nl(str(tmp_path / f"{case.name}.nl"), {})
    x, f, g = casadi.vertcat(*model.x), model.f, casadi.vertcat(*model.g)
    lines = [line.split() for line in (tmp_path / f"{case.name}.p1.sol").read_text().splitlines()]
    # The .nl file has its own order of the columns, and the point the same.
    assert lines[0][0] == "objvar"
    assert sorted(line[0] for line in lines[1:]) == ["log_q[1]", "log_q[2]", "log_q[3]", "s"][: stated.variables]
    objective, *point = (float(number) for _, number in lines)
    values = [np.array(value).ravel() for value in casadi.Function("values", [x], [f, g])(casadi.DM(point))]
    assert float(values[0][0]) == pytest.approx(stated.primal, abs=1e-10)
    assert objective == stated.primal
    assert -math.log(case.bracket.at_least) == pytest.approx(stated.primal, abs=2e-6)  # what small monomials are worth
    limits = np.array([model.g_lb, model.g_ub, values[1]])
    assert np.all(np.maximum(limits[0] - limits[2], limits[2] - limits[1]) <= stated.violation + 1e-13)
    assert stated.violation < 1e-9
    assert (stated.variables, stated.constraints) == (len(model.x), limits.shape[1])
    assert stated.jacobian_nonzeros == casadi.jacobian_sparsity(g, x).nnz()
    assert stated.objective_nonzeros == casadi.jacobian_sparsity(f, x).nnz()
    assert 0.0 < stated.primal - stated.dual < 1e-4
    # By default IPOPT relaxes each inequality by 1e-8, which multipliers of some hundreds make worth more than the gap.
    solver = casadi.nlpsol("instance", "ipopt", model, {"print_time": False, "ipopt": {
        "print_level": 0, "tol": 1e-9, "sb": "yes", "bound_relax_factor": 0.0, "constr_viol_tol": 1e-10,
        **STAY_NEAR_START}})
    found = solver(x0=point, lbx=model.x_lb, ubx=model.x_ub, lbg=model.g_lb, ubg=model.g_ub)
    assert solver.stats()["success"]
    at, multipliers = np.array(found["g"]).ravel(), np.array(found["lam_g"]).ravel()
    violated = np.maximum(np.maximum(limits[0] - at, at - limits[1]), 0.0)
    # What is left of violations may buy what the multipliers say; twice that is allowed.
    bought = 2.0 * float(np.abs(multipliers) @ violated)
    assert bought < 0.5 * (stated.primal - stated.dual)
    # There is nothing better near the point, nor below the bound.
    assert stated.dual - bought <= float(found["f"]) <= stated.primal + 1e-7


def test_curvatures_of_instances(tmp_path: Path) -> None:
    """One monomial is linear in log q, a sum of them concave after the minus."""
    for name, terms, curvature in (("n5-5-0-probit-studentized-0.05", 1, "linear"),
                                   ("n5-4-0-margin-plugin-0.001", 2, "concave")):
        stated = write_instance(named(name), tmp_path)
        assert (stated.terms, stated.objective_curvature, stated.convex) == (terms, curvature, False)
