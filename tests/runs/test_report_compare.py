"""Two runs side by side: what differs is named, what agrees is said to agree, and no input is confused with another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import small_run
from scipy.stats import binom
from typer.testing import CliRunner

from rsopt.commands.cli import application
from rsopt.errors import InvalidInputError
from rsopt.methods import OWN
from rsopt.question import Question
from rsopt.runs.compare import compare_runs
from rsopt.runs.overview import Overview
from rsopt.runs.rows import Row
from rsopt.runs.task import Task
from rsopt.runs.work import MethodBound
from rsopt.sequential.policy import FixedSamples

FACTS = {"sigma": 0.5, "stopping": {"policy": "fixed", "n": 220, "alpha": 0.01}, "seed": 1}
ASKED = Question(0.5, alpha=0.01)


def row(idx: int, label: int | None, top: int | None, radius: float, n: int = 100) -> Row:
    return Row(idx, label, top, "label", 10, n, n, 0, (n, 0), {OWN: MethodBound(OWN, radius, radius, radius)}, 2.0)


def overview(name: str, rows: list[Row], **facts: object) -> Overview:
    return Overview(rows, ASKED, name, Path(name), "", {**FACTS, **facts}, [], 0)


def test_a_run_beside_itself(tmp_path: Path) -> None:
    small_run.work(tmp_path / "a")
    small_run.work(tmp_path / "b", small_run.KeyedExecutor(shuffle=4))
    found = compare_runs(Overview.read(tmp_path / "a"), Overview.read(tmp_path / "b"))
    assert found.identical
    assert (found.common, found.same_votes, found.only_first, found.only_second) == (4, 4, 0, 0)
    assert found.options == ()
    assert found.changes == ()
    assert all(line.first == line.second and line.p_value == 1.0 for line in found.shares)


def test_another_alpha_is_named_and_seen(tmp_path: Path) -> None:
    small_run.work(tmp_path / "a")
    small_run.work(tmp_path / "b", task=Task(Question(0.5), FixedSamples(220, 0.2), n0=60))
    first, second = Overview.read(tmp_path / "a"), Overview.read(tmp_path / "b")
    found = compare_runs(first, second)
    assert not found.identical
    assert found.same_votes == 4
    (option,) = found.options
    assert (option.name, option.first["alpha"], option.second["alpha"]) == ("stopping", 0.01, 0.2)
    assert found.mean_radius[1] > found.mean_radius[0]
    assert found.changes[0].second_radius > found.changes[0].first_radius
    assert compare_runs(second, first).mean_radius == found.mean_radius[::-1]


def test_shares_count_what_is_certified_as_its_label() -> None:
    first = overview("one", [row(0, 0, 0, 0.5), row(1, 1, 0, 0.9), row(2, 2, 2, 0.0), row(3, None, 4, 0.25),
                             row(9, 0, 0, 1)])
    second = overview("two", [row(0, 0, 0, 0.25), row(1, 1, 1, 0.5, n=50), row(2, 2, 2, 0.5), row(3, None, 4, 0.25),
                              row(7, 1, 1, 1), row(8, 1, 1, 1)], seed=2)
    found = compare_runs(first, second)
    assert (found.common, found.only_first, found.only_second) == (4, 1, 2)
    assert found.samples == (440, 390)
    assert found.seconds == (8.0, 8.0)
    assert found.mean_radius == ((0.5 + 0 + 0 + 0.25) / 4, (0.25 + 0.5 + 0.5 + 0.25) / 4)
    low, high = found.shares[0], found.shares[-1]
    assert (low.radius, low.first, low.second, low.only_first, low.only_second) == (0.0, 0.5, 1.0, 0, 2)
    assert low.p_value == pytest.approx(2 * binom.cdf(0, 2, 0.5))
    assert (high.radius, high.first, high.second, high.only_first, high.only_second) == (0.4, 0.25, 0.5, 1, 2)
    assert [change.idx for change in found.changes] == [1, 2, 0]
    assert (found.changes[0].first_class, found.changes[0].second_class) == (0, 1)
    assert [option.name for option in found.options] == ["seed"]


def test_runs_on_different_data_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="Input 0 has label 0 in one and 1 in two: these runs are on differ"):
        compare_runs(overview("one", [row(0, 0, 0, 0.5)]), overview("two", [row(0, 1, 0, 0.5)]))
    with pytest.raises(InvalidInputError, match="have no finished input in common"):
        compare_runs(overview("one", [row(0, 0, 0, 0.5)]), overview("two", [row(1, 0, 0, 0.5)]))


def test_the_command(tmp_path: Path) -> None:
    small_run.work(tmp_path / "a")
    small_run.work(tmp_path / "b", task=Task(ASKED, FixedSamples(210, 0.01), n0=60))
    app = application(["compare-runs"])
    runs = [str(tmp_path / "a"), str(tmp_path / "b")]
    done = CliRunner().invoke(app, ["compare-runs", *runs])
    assert done.exit_code == 0, done.output
    assert "4: no equal votes" in done.output
    assert "stopping" in done.output
    assert "Largest changes" in done.output
    done = CliRunner().invoke(app, ["compare-runs", *runs, "--json"])
    found = json.loads(done.output)
    assert found["samples"] == [4 * 280, 4 * 270]
    assert found["options"][0]["second"]["n"] == 210
    done = CliRunner().invoke(app, ["compare-runs", runs[0], runs[0]])
    assert "4: equal in every row, bit for bit" in done.output
    assert CliRunner().invoke(app, ["compare-runs", runs[0], str(tmp_path / "none")]).exit_code == 2
