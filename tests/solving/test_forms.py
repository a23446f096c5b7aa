"""The forms of a worst case tell the same problem: term lists, oracles, black boxes, exports, level curves."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from enumeration import functional_value, outcomes, probabilities
from gpkit.exceptions import UnnecessarySGP

import rsopt
from rsopt.errors import InvalidInputError, RefusedError, StorageError
from rsopt.solver import Budget, Stop
from rsopt.solving.curve import LevelCurve
from rsopt.solving.exports import FORMAT, writable, write_nl, write_terms
from rsopt.solving.forms import BlackBox, SmoothOracle, TermList
from rsopt.solving.log_program import LogProgram
from rsopt.solving.meter import Meter, SearchEnded
from rsopt.solving.terms import monomials
from rsopt.testing import ZooProblem, core, zoo

Array = npt.NDArray[np.float64]

SMALL = zoo(most_n=50)
ALL = zoo()


def points(case: ZooProblem, number: int = 7) -> Array:
    """Points spread over the level curve, its ends included."""
    curve = case.worst_case.curve
    return curve.points(np.linspace(0.0, 1.0, number) ** 2 * curve.extent)


def tail_by_enumeration(case: ZooProblem, q: Array) -> Array:
    """P_q(W) as a plain sum over all outcomes in W, shape (b, 3) -> (b,)."""
    x = outcomes(case.problem.counts.n)
    inside = np.array([case.worst_case.tail_set.contains(int(a), int(b)) for a, b, _ in x])
    return probabilities(q, x[inside]).sum(axis=1)


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_monomials_add_up_to_the_tail(case: ZooProblem) -> None:
    q = points(case)
    blocks = list(monomials(case.worst_case.tail_set))
    logs = np.concatenate([block[0] for block in blocks])
    exponents = np.concatenate([block[1] for block in blocks])
    assert logs.size == case.worst_case.tail_set.size()
    assert np.array_equal(exponents.sum(axis=1), np.full(logs.size, case.problem.counts.n))
    inside = q.min(axis=1) > 0.0
    listed = np.exp(logs[None, :] + np.log(q[inside]) @ exponents.T).sum(axis=1)
    # Sums of up to 1326 positive terms, each good to about n ulp: 1e-12 leaves a factor of ten.
    assert listed == pytest.approx(tail_by_enumeration(case, q[inside]), rel=1e-12)
    assert np.exp(case.worst_case.tail_set.log_probability(q)) == pytest.approx(
        tail_by_enumeration(case, q), rel=1e-11, abs=1e-300)


def test_term_lists_leave_out_less_than_they_say() -> None:
    for case in ALL:
        if case.worst_case.lacks(TermList) or not 200 <= case.problem.counts.n <= 1000:
            continue
        form = case.worst_case.form(TermList)
        assert isinstance(form, TermList)
        whole = case.worst_case.tail_set.size()
        assert form.size <= whole
        q = case.bracket.point[case.bracket.point > 1e-200]
        if q.size < 3:
            continue
        kept = float(np.exp(np.logaddexp.reduce(form.log_coefficients + form.exponents @ np.log(q))))
        assert case.bracket.at_least - 2e-6 * case.problem.alpha <= kept <= case.bracket.at_least * (1.0 + 1e-9)


def test_streaming_holds_one_block_at_a_time() -> None:
    problem = rsopt.LowerBoundProblem(rsopt.Counts((15_000, 4000, 1000), 0), rsopt.Margin(), rsopt.Studentized(), 1e-3)
    sizes = []
    for logs, exponents in monomials(problem.tail_set):
        assert logs.shape == (exponents.shape[0],)
        sizes.append(logs.size)
    assert sum(sizes) == problem.tail_set.size() > 2_000_000
    assert max(sizes) <= 262_144 + 20_001
    with pytest.raises(RefusedError, match=r"The list would hold [\d,]+ monomials \(n = 20,000\); at most 2,000,000"):
        problem.worst_case(0.5).form(TermList)


@pytest.mark.parametrize("case", core()[:10], ids=lambda case: case.name)
def test_oracle_derivatives(case: ZooProblem) -> None:
    form = case.worst_case.form(SmoothOracle)
    assert isinstance(form, SmoothOracle)
    program = LogProgram(form)
    q = np.maximum(points(case, 5)[2], 1e-7)
    y = np.log(q / q.sum())
    h = 1e-5
    for i in range(3):
        step = h * np.eye(3)[i]
        slope = (program.value(y + step) - program.value(y - step)) / (2.0 * h)
        # Central differences: h² times the third derivative (at most n³ q³ here) plus rounding of the value over h.
        scale = 1.0 + case.problem.counts.n
        assert program.slope(y)[i] == pytest.approx(slope, rel=1e-4, abs=1e-7 * scale)
        second = (program.slope(y + step) - program.slope(y - step)) / (2.0 * h)
        assert program.curvature(y, 1.0, np.zeros(2))[i] == pytest.approx(second, rel=1e-3, abs=1e-5 * scale)
        ends = (program.constraints(y + step) - program.constraints(y - step)) / (2.0 * h)
        assert program.jacobian(y)[:, i] == pytest.approx(ends, rel=1e-5, abs=1e-7)
        bends = (program.jacobian(y + step) - program.jacobian(y - step)) / (2.0 * h)
        for k, multipliers in enumerate(np.eye(2)):
            assert program.curvature(y, 0.0, multipliers)[i] == pytest.approx(bends[k], rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_points_lie_on_the_curve_and_in_the_domain(case: ZooProblem) -> None:
    curve = case.worst_case.curve
    q = points(case, 41)
    assert np.all(curve.domain.contains(q))
    name = {3: "taylor-3", 15: "taylor-15"}.get(curve.functional.order, curve.functional.name)
    if (curve.functional.order or 3) <= 15:
        value = functional_value(name, q[:, 0], q[:, 1])
        inside = q[:, 0] > 1e-12
        # Where q1 or q2 is tiny the functional multiplies rounding by its slope; 1e-9 holds down to 1e-12.
        assert value[inside] == pytest.approx(curve.level, abs=1e-9 * (1.0 + abs(curve.level)))
    s = np.linspace(0.0, 1.0, 9) * curve.extent
    back = [curve.coordinate(point) for point in curve.points(s)]
    assert back == pytest.approx(s.tolist(), abs=1e-6 * max(curve.extent, 1.0))
    t = np.linspace(0.0, 1.0, 9)
    assert [curve.to_unit(float(v)) for v in curve.from_unit(t)] == pytest.approx(t.tolist(), abs=1e-9)
    assert curve.points([0.0])[0, 2] < 1e-12


@pytest.mark.parametrize("case", core(), ids=lambda case: case.name)
def test_the_supremum_over_the_simplex_lies_on_the_curve(case: ZooProblem) -> None:
    """Fact 3, by random points of the whole level set {g <= L}: none has a larger tail than the proven supremum."""
    problem, rng = case.worst_case, np.random.default_rng(3)
    near = case.bracket.point * np.exp(rng.normal(0.0, 0.02, (400, 3)))
    q = np.concatenate([rng.dirichlet([1.0, 1.0, 1.0], 400), rng.dirichlet([0.2, 0.2, 1.0], 200),
                        near / near.sum(axis=1, keepdims=True)])
    allowed = problem.functional.value(q[:, 0], q[:, 1]) <= problem.level
    allowed &= q[:, 0] >= problem.domain.least_q1
    assert allowed.sum() >= 20
    assert np.exp(problem.tail_set.log_probability(q[allowed])).max() <= case.bracket.at_most


def test_tangents_of_the_curve() -> None:
    for case in core():
        curve = case.worst_case.curve
        low, high = curve.segment
        for share in (0.1, 0.5, 0.9):
            q2 = low + share * (high - low)
            h = 1e-6 * q2
            q1, slope, bend = curve.tangent(q2)
            ahead, behind = curve.tangent(q2 + h), curve.tangent(q2 - h)
            assert slope == pytest.approx((ahead[0] - behind[0]) / (2.0 * h), rel=1e-6)
            assert bend == pytest.approx((ahead[1] - behind[1]) / (2.0 * h), rel=1e-4, abs=1e-4)
            assert q1 == pytest.approx(float(curve.points([curve.coordinate([q1, q2, 1.0 - q1 - q2])])[0, 0]))


def test_level_constraints_as_signomials() -> None:
    margin = rsopt.Margin().level_signomials(0.3, 0.0)
    assert margin is not None
    assert margin.variables == ("q1", "q2", "q3")

    def value(constraint: object, v: Array) -> float:
        return float(np.sum(constraint.coefficients * np.prod(v ** constraint.exponents, axis=1)))  # type: ignore[attr-defined]

    assert value(margin.constraints[0], np.array([0.5, 0.2, 0.3])) == pytest.approx(0.0)
    taylor = rsopt.TaylorProbitMargin(order=5).level_signomials(1.1, 0.5)
    assert taylor is not None
    q1, q2 = 0.75, 0.2
    v = np.array([q1, q2, 1.0 - q1 - q2, q1 - 0.5, 0.5 - q2])
    exact = float(rsopt.TaylorProbitMargin(order=5).value(np.array(q1), np.array(q2)))
    assert value(taylor.constraints[0], v) == pytest.approx(exact - 1.1)
    assert [value(constraint, v) for constraint in taylor.constraints[1:]] == pytest.approx([0.0, 0.0])
    assert np.all(taylor.constraints[0].coefficients[:-1] > 0.0)  # a posynomial <= L
    assert rsopt.ProbitMargin().level_signomials(1.0, 0.0) is None
    assert rsopt.TaylorProbitMargin().level_signomials(1.0, 0.0) is None


def test_forms_of_one_problem_agree() -> None:
    problem = core()[3].worst_case
    box, oracle, terms = (problem.form(kind) for kind in (BlackBox, SmoothOracle, TermList))
    assert isinstance(box, BlackBox)
    assert isinstance(oracle, SmoothOracle)
    assert isinstance(terms, TermList)
    t = np.array([[0.2], [0.6]])
    q = np.array([box.point(row) for row in t])
    exact = problem.tail_set.log_probability(q)
    assert box.log_tails(t) == pytest.approx(exact, rel=1e-9)
    assert [oracle.log_tail(row) for row in q] == pytest.approx(exact, rel=1e-9)
    summed = [np.log(np.sum(np.exp(terms.log_coefficients + terms.exponents @ np.log(row)))) for row in q]
    assert summed == pytest.approx(exact, rel=1e-6)
    assert [box.coordinate(row) for row in q] == pytest.approx([0.2, 0.6])


def test_the_meter_counts_and_ends() -> None:
    curve = core()[3].worst_case.curve
    meter = Meter(curve, Budget(60.0, 10), None)
    meter.log_tails(np.linspace(0.0, 1.0, 8))
    with pytest.raises(SearchEnded) as ended:
        meter.log_tails(np.linspace(0.0, 1.0, 8))
    assert ended.value.stop is Stop.EVALUATIONS
    assert meter.evaluations == 10
    meter = Meter(curve, Budget(), 1e-300)
    with pytest.raises(SearchEnded) as ended:
        meter.witness([0.5, 0.4, 0.1])
    assert ended.value.stop is Stop.REACHED
    assert meter.best_s is not None
    meter = Meter(curve, Budget(), None)
    meter.close()
    with pytest.raises(SearchEnded):
        meter.witness([0.5, 0.4, 0.1])


def test_terms_as_json(tmp_path: Path) -> None:
    case = core()[5]
    path = tmp_path / "case.json"
    write_terms(case.worst_case, path, {"tail_at_least": case.bracket.at_least})
    content = json.loads(path.read_text())
    assert content["format"] == FORMAT
    assert content["level"]["functional"] == "taylor-probit"
    assert content["level"]["order"] == 15
    assert content["domain"]["least"] == [0.5, 0.0, 0.0]
    q = case.bracket.point
    logs = np.array(content["log_coefficients"]) + np.array(content["exponents"]) @ np.log(q)
    assert float(np.exp(np.logaddexp.reduce(logs))) == pytest.approx(content["known"]["tail_at_least"], rel=1e-11)
    v = np.array([*q, q[0] - 0.5, 0.5 - q[1]])
    for constraint in content["constraints"]:
        value = np.sum(np.array(constraint["coefficients"]) * np.prod(v ** np.array(constraint["exponents"]), axis=1))
        assert value == pytest.approx(0.0, abs=1e-9)
    assert case.worst_case.to_terms() == {key: content[key] for key in content if key != "known"}
    with pytest.raises(StorageError, match="could not be written"):
        write_terms(case.worst_case, tmp_path / "absent" / "case.json")
    assert writable(case.worst_case, 10) == f"{case.worst_case.tail_set.size():,} monomials, more than 10"


@pytest.mark.parametrize("index", [0, 3, 4, 5, 6], ids=lambda index: core()[index].name)
def test_the_pyomo_model_is_the_same_problem(index: int, tmp_path: Path) -> None:
    import pyomo.environ as pyo

    case = core()[index]
    model = case.worst_case.to_pyomo()
    q = case.bracket.point
    for i in (1, 2, 3):
        model.log_q[i].value = float(np.log(max(q[i - 1], 1e-16)))
    if hasattr(model, "s"):
        model.s.value = case.worst_case.curve.coordinate(q)
    # What the model leaves out is below 1e-6 alpha.
    assert np.exp(-pyo.value(model.worst_case)) == pytest.approx(case.bracket.at_least, rel=1e-5)
    assert pyo.value(model.total.body) == pytest.approx(1.0, abs=1e-12)
    for constraint in model.level.values():
        # The point is on the curve; the Chebyshev series of the normal distribution is good to 1e-13.
        excess = pyo.value(constraint.body) - (pyo.value(constraint.upper) if constraint.has_ub() else 0.0)
        assert abs(excess) < 1e-9
    text = tmp_path / "model.txt"
    with text.open("w") as stream:
        model.pprint(ostream=stream)
    assert text.stat().st_size < 3_000_000
    write_nl(case.worst_case, tmp_path / "case.nl")
    assert (tmp_path / "case.nl").read_text().startswith("g3 ")


@pytest.fixture
def deep() -> Iterator[None]:
    """GPkit's own recursion is as deep as a posynomial is long, as the documentation says."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.parametrize("index", [0, 3, 4, 5], ids=lambda index: core()[index].name)
@pytest.mark.usefixtures("deep")
def test_the_model_opened_by_gpkit(index: int) -> None:
    """Solved by its own call, from near the optimum: a feasible point, and the tail that its cost says."""
    case = core()[index]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="SGP not convergent")
        model = case.worst_case.to_gpkit(case.bracket.point + 1e-3 * (1.0 / 3.0 - case.bracket.point))
        try:
            found = model.localsolve(solver="cvxopt", verbosity=0)
        except UnnecessarySGP:
            found = model.solve(solver="cvxopt", verbosity=0)
    q = np.array([float(found[cell]) for cell in model.q])
    assert q.sum() == pytest.approx(1.0, abs=1e-4)
    tail = float(np.exp(case.worst_case.tail_set.log_probability(q)))
    assert tail == pytest.approx(case.bracket.at_least, rel=5e-3)
    assert 1.0 / float(found.cost) == pytest.approx(tail, rel=1e-2)


def test_the_problem_opened_by_cvxpy() -> None:
    opened = 0
    for case in core():
        if writable(case.worst_case, 3000) or case.worst_case.to_terms()["constraints"] is None:
            continue
        opened += 1
        problem, q = case.worst_case.to_cvxpy(), case.bracket.point
        (log_q,) = problem.variables()
        v = np.array([*q, q[0] - 0.5, 0.5 - q[1]])[: log_q.size]
        log_q.value = np.log(np.maximum(v, 1e-16))
        assert np.exp(problem.objective.value) == pytest.approx(case.bracket.at_least, rel=1e-5)
        assert max(float(np.max(constraint.violation())) for constraint in problem.constraints) < 1e-6
        assert not problem.is_dcp()
        assert problem.is_dnlp()
    assert opened >= 2
    probit = next(case for case in core() if case.problem.functional.name == "probit")
    with pytest.raises(RefusedError, match=r"'probit' is no signomial, and CVXPY has no .* to_pyomo\(\) and to_nl\(\)"):
        probit.worst_case.to_cvxpy()


def test_an_nl_file_opened_by_casadi(tmp_path: Path) -> None:
    import casadi

    case = core()[0]
    start = case.worst_case.curve.points([0.3 * case.worst_case.curve.extent])[0]
    case.worst_case.to_nl(tmp_path / "case.nl", start=start.tolist())
    opened = casadi.NlpBuilder()
    opened.import_nl(str(tmp_path / "case.nl"), {})
    assert set(start.round(6).tolist()) <= set(np.exp(np.asarray(opened.x_init)).round(6).tolist())
    for start in ([0.5, 0.2], [0.9, 0.9, 0.9], [-0.1, 0.6, 0.5]):
        with pytest.raises(InvalidInputError, match="start must be three probabilities"):
            case.worst_case.to_nl(tmp_path / "case.nl", start=start)


def test_forms_of_functionals_known_by_values() -> None:
    class Ratio(rsopt.Functional):
        name = "ratio"
        range = (0.0, 1e6)

        def value(self, q1: Array, q2: Array) -> Array:
            return np.minimum(q1 / np.maximum(q2, 1e-6), 1e6)

    problem = rsopt.LowerBoundProblem(rsopt.Counts((20, 5, 5), 0), Ratio(), rsopt.PlugIn(), 0.05).worst_case(2.0)
    for kind in (TermList, SmoothOracle):
        with pytest.raises(RefusedError, match="'ratio' is known by its values only"):
            problem.form(kind)
    box = problem.form(BlackBox)
    assert isinstance(box, BlackBox)
    q = np.array([box.point([t]) for t in np.linspace(0.0, 1.0, 11)])
    assert np.all(problem.domain.contains(q))
    assert q[1:-1, 0] / q[1:-1, 1] == pytest.approx(2.0, rel=1e-9)
    with pytest.raises(InvalidInputError, match="no derivatives of its level curve"):
        problem.curve.tangent(0.2)


def test_levels_that_no_distribution_has() -> None:
    problem = rsopt.LowerBoundProblem(rsopt.Counts((20, 5, 5), 0), rsopt.Margin(), rsopt.PlugIn(), 0.05)
    for level in (1.5, -1.5):
        with pytest.raises(InvalidInputError, match=f"No distribution in the simplex has margin = {level}"):
            problem.worst_case(level)
    for level in (float("nan"), float("inf")):
        with pytest.raises(InvalidInputError, match="The level must be a finite number"):
            problem.worst_case(level)
    assert isinstance(problem.worst_case(1.0).curve, LevelCurve)
