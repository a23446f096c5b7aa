"""Tables for papers: LaTeX that compiles, and the columns of VERONA's results."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import refused, run
from scipy.stats import binomtest
from small_run import SIGMA, TASK, work

from rsopt.errors import InvalidInputError
from rsopt.noise import Laplace
from rsopt.question import Question
from rsopt.runs.folder import STORE
from rsopt.runs.overview import Overview
from rsopt.runs.reports.latex import escaped, latex_table
from rsopt.runs.rows import stored_rows
from rsopt.runs.store import Store
from rsopt.runs.task import Task

NAMES = ("run_1 & 50%", "other")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of one task, the name of one of them full of what LaTeX takes for its own."""
    place = tmp_path_factory.mktemp("tables")
    for name in NAMES:
        work(place / name)
    return [place / name for name in NAMES]


def body(table: str) -> list[list[str]]:
    """The cells of the rows, rules left out."""
    inside = table.partition(r"\begin{tabular}")[2].partition(r"\end{tabular}")[0]
    lines = [re.sub(r"\\\\(\[2pt\])?$", "", line) for line in inside.splitlines() if line.endswith(("\\", "2pt]"))]
    return [[cell.strip() for cell in re.split(r"(?<!\\)&", line)] for line in lines]


def test_the_cells_are_those_of_the_run(folders: list[Path]) -> None:
    found = Overview.read(folders[0])
    table = latex_table([found], [0.0, 0.25, 0.5])
    heads, first, below, *others = body(table)[1:]
    assert heads == ["Noise", "Method", "$>0$", r"$\geq 0.25$", r"$\geq 0.5$", "radius"]
    assert [cells[1] for cells in (first, *others[::2])] == [
        "rsopt", "Clopper--Pearson", "Cohen 2019", "melded (conjectured)"]
    assert "melded (conjectured) bounds them too and is not proven." in table
    assert first[0] == rf"$\sigma = {SIGMA:g}$"
    for place, radius in enumerate((0.0, 0.25, 0.5), start=2):
        right = sum(row.correct() and row.radius() >= radius for row in found.rows)
        assert first[place] == f"{100 * right / 4:.1f}"
        interval = binomtest(right, 4).proportion_ci(0.95, "exact")
        assert below[place] == rf"{{\scriptsize {100 * interval.low:.1f}--{100 * interval.high:.1f}}}"
    assert first[-1] == f"{sum(found.radii()) / 4:.3f}"
    assert r"4 inputs, $n = 220$, $\alpha = 0.01$, the class chosen on 60 separate samples" in table


def test_the_table_is_well_formed(folders: list[Path], tmp_path: Path) -> None:
    table = latex_table([Overview.read(folder) for folder in folders])
    cells = body(table)
    columns = re.search(r"\\begin\{tabular\}\{@\{\}([lr]+)@\{\}\}", table)
    assert columns is not None
    assert {len(line) for line in cells[1:]} == {len(columns[1])}
    assert table.count("{") == table.count("}")
    assert table.count(r"\midrule") == 2
    assert [line[0] for line in cells if "," in line[0]] == [
        rf"$\sigma = {SIGMA:g}$, run\_1 \& 50\%", rf"$\sigma = {SIGMA:g}$, other"]
    if shutil.which("pdflatex") is None:
        return
    (tmp_path / "page.tex").write_text("\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
                                       f"{table}\\end{{document}}\n")
    done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"], cwd=tmp_path,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "Undefined" not in done.stdout


@pytest.mark.parametrize(("text", "latex"), [
    ("a_b & 5% $x$ #1 {y}", r"a\_b \& 5\% \$x\$ \#1 \{y\}"),
    ("~^\\", r"\textasciitilde{}\textasciicircum{}\textbackslash{}"),
    ("Clopper–Pearson\nagain", "Clopper--Pearson again")])
def test_signs_of_latex_are_set_as_they_are(text: str, latex: str) -> None:
    assert escaped(text) == latex


def test_runs_in_different_norms_are_no_table(folders: list[Path], tmp_path: Path) -> None:
    work(tmp_path / "laplace", task=Task(Question(Laplace(0.5), alpha=0.01), TASK.policy, n0=60))
    runs = [Overview.read(folder) for folder in (folders[1], tmp_path / "laplace")]
    with pytest.raises(InvalidInputError, match=r"other has radii in l2, units of the input, and laplace in l1,"):
        latex_table(runs)
    assert "laplace, scale 0.5" in latex_table(runs[1:])


def test_the_command(folders: list[Path], tmp_path: Path) -> None:
    result = run("report", *folders, "--latex", "--radius", 0.5, "--radius", 0)
    assert result.exit_code == 0, result.output
    runs = [Overview.read(folder) for folder in folders]
    assert result.stdout == latex_table(runs, [0.0, 0.5])
    assert run("report", *folders, "--latex", "--output", tmp_path / "t.tex").exit_code == 0
    assert (tmp_path / "t.tex").read_text() == latex_table(runs)
    assert "--radius names the columns of a table" in refused("report", folders[0], "--radius", 0.5)
    assert "--output is one file" in refused("report", *folders, "--output", tmp_path / "page.html")
    assert "would overwrite" in refused("report", folders[0], "--latex", "--output", folders[0] / STORE)


def test_columns_of_verona(folders: list[Path], tmp_path: Path) -> None:
    for method in (None, "cohen"):
        options = () if method is None else ("--method", method)
        assert run("export", folders[0], tmp_path / "result_df.csv", "--format", "verona", *options).exit_code == 0
        with (tmp_path / "result_df.csv").open() as file:
            names, *lines = csv.reader(file)
        assert names == ["", "network_path", "image_id", "original_label", "tmp_path", "epsilon_value",
                         "smallest_sat_value", "total_time", "verifier"]
        with Store.read(folders[0] / STORE) as store:
            rows = stored_rows(store)
        for place, (line, row) in enumerate(zip(lines, rows, strict=True)):
            cells = dict(zip(names, line, strict=True))
            assert (int(cells[""]), int(cells["image_id"]), int(cells["original_label"])) == (place, row.idx, row.label)
            kept = row.radius(method or "rsopt") if row.correct(method or "rsopt") else 0.0
            assert float(cells["epsilon_value"]) == kept
            assert (cells["smallest_sat_value"], cells["verifier"]) == ("", method or "rsopt")
            assert float(cells["total_time"]) == row.seconds
            # As it makes a name of a path.
            assert cells["network_path"].split("/")[-1].split(".")[0] == folders[0].name
    assert "--method belongs to --format cohen and verona" in refused(
        "export", folders[0], tmp_path / "x.tsv", "--method", "cohen")
