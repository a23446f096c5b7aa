"""`rsopt intervals` lists the intervals and compares their widths in a table, a picture and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from matplotlib.image import imread
from typer.testing import CliRunner

from rsopt.commands.cli import application
from rsopt.intervals import is_time_uniform, names
from rsopt.intervals.comparison import FORMULAS, LIMIT, compare_widths

SMALL = ("--compare", "--law", "votes", "--alpha", "0.01", "--n", "200", "--n", "60", "--runs", "3", "--seed", "4")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(application(["intervals"]), ["intervals", *arguments], env={"COLUMNS": "100"})


def test_every_interval_is_listed_with_when_it_holds() -> None:
    listed = json.loads(run("--json").output)
    assert [entry["name"] for entry in listed] == names()
    assert all(entry["time_uniform"] == is_time_uniform(entry["name"]) for entry in listed)
    text = run().output
    assert all(name in text for name in names())
    assert text.count("at all times at once") == sum(map(is_time_uniform, names()))


def test_the_comparison_prints_and_draws_what_the_library_measures(tmp_path: Path) -> None:
    picture = tmp_path / "new" / "widths.png"
    result = run(*SMALL, "--output", str(picture), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    rows = compare_widths("votes", [60, 200], alpha=0.01, runs=3, seed=4)
    assert found["sizes"] == [60, 200]
    assert [(row["name"], tuple(row["widths"])) for row in found["rows"]] == [(row.name, row.widths) for row in rows]
    height, width, _ = imread(picture).shape
    assert height > 500
    assert width > 900

    table = run(*SMALL, "--output", str(picture)).output
    widths = {row.name: row.widths for row in rows}
    assert all(name in table for name in (*FORMULAS, *names()))
    assert f"{widths[LIMIT][0]:.5f}" in table
    shown = next(line for line in table.splitlines() if "digital-hedge" in line)
    assert [f"{width / limit:.3f}" for width, limit in zip(widths["digital-hedge"], widths[LIMIT], strict=True)] == [
        cell.strip() for cell in shown.split("│")[2:4]]
    order = [line.split("│")[1].strip() for line in table.splitlines() if line.startswith("│")]
    measured = [name for name in order if name in names()]
    assert measured == sorted(names(), key=lambda name: widths[name][-1])


@pytest.mark.parametrize(("arguments", "said"), [
    (("--law", "vote"), "Did you mean 'votes'?"),
    (("--n", "1"), "sizes of at least 2"),
    (("--runs", "0"), "0 runs"),
    (("--alpha", "0.5"), "alpha"),
])
def test_what_has_no_meaning_is_refused_in_one_line(tmp_path: Path, arguments: tuple[str, str], said: str) -> None:
    result = run("--compare", "--output", str(tmp_path / "widths.png"), *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_plot_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run(*SMALL, "--output", str(tmp_path / "file" / "widths.png"))
    assert result.exit_code == 2
    assert "widths.png cannot be written" in result.stderr
