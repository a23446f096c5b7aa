"""Logs of others, and the exports of ours."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from command_line import refused, run
from pyarrow import parquet
from scipy import special
from small_run import work
from votes import voted

import rsopt
from rsopt.errors import InvalidInputError
from rsopt.methods import COHEN
from rsopt.question import Question
from rsopt.runs.folder import STORE
from rsopt.runs.logs import CohenLog, read_log
from rsopt.runs.recertify import recertify
from rsopt.runs.records import Fact, Session
from rsopt.runs.rows import stored_rows
from rsopt.runs.store import Store
from rsopt.statistics import clopper_pearson_lower


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "table.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_whole_vectors_get_the_librarys_bounds(tmp_path: Path) -> None:
    """A table of counts as others publish it: numbered inputs, their labels, n = 10,000 votes of ten classes."""
    published = voted(12)
    log = tmp_path / "published.csv"
    log.write_text(f"idx,label,{','.join(f'c{cls}' for cls in range(10))}\n" + "".join(
        f"{40 * row},{label},{','.join(map(str, votes))}\n"
        for row, (label, votes) in enumerate(zip(published.labels, published.votes(10_000), strict=True))))
    result = run("recertify", log, "--sigma", 0.25, "--jobs", 1)
    assert result.exit_code == 0, result.output
    lines = table(tmp_path / "published.csv.rsopt")
    inputs = read_log(log, top=None, cohen=None)
    assert len(lines) == len(inputs) == 12
    for line, source in zip(lines, inputs, strict=True):
        bound = rsopt.lower_bound(source.counts, top=source.label)
        assert int(line["idx"]) == source.idx
        assert float(line["lower"]) == bound.lower
        assert float(line["radius"]) == bound.radius(sigma=0.25)
        assert int(line["correct"]) == int(bound.lower > 0)
    assert run("verify", tmp_path / "published.csv.rsopt").stdout.endswith("12 of 12 proofs hold.\n")


def test_equal_votes_are_proven_once_and_processes_change_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    votes = [(80, 15, 5), (80, 5, 15), (70, 20, 10), (99, 1, 0), (60, 30, 10), (51, 40, 9)]
    log.write_text("label,c0,c1,c2\n" + "".join(f"0,{a},{b},{c}\n" for a, b, c in votes))
    inputs = read_log(log, top=None, cohen=None)
    told: list[int] = []
    alone = recertify(inputs, Question(0.5, alpha=0.01), advanced=told.append)
    assert sorted(told) == [1, 1, 1, 1, 2]
    together = recertify(inputs, Question(0.5, alpha=0.01), jobs=2)
    assert [row.bounds for row in together[0]] == [row.bounds for row in alone[0]]
    assert together[1] == alone[1]
    assert alone[0][0].bounds == alone[0][1].bounds


def test_the_certified_class_is_said_by_a_column_and_never_guessed(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("idx,chosen,c1,c0\n5,1,9,90\n")
    assert "has no column 'top or label' with the certified class" in refused("recertify", log, "--sigma", 1)
    (line,) = read_log(log, top="chosen", cohen=None)
    assert (line.idx, line.label, line.top, line.counts) == (5, None, 1, (90, 9))


def test_our_own_table_is_a_log(tmp_path: Path) -> None:
    rows = work(tmp_path)
    again, _ = recertify(read_log(tmp_path / "table.tsv", top=None, cohen=None), Question(0.5, alpha=0.01))
    assert [row.bounds for row in again] == [row.bounds for row in rows]
    assert [row.correct() for row in again] == [row.correct() for row in rows]


def cohen_line(x1: int, n: int, sigma: float, alpha: float) -> str:
    radius = sigma * float(special.ndtri(clopper_pearson_lower(x1, n, alpha)))
    return f"{radius:.3}"


@pytest.mark.parametrize(("n", "sigma", "alpha"), [(100, 0.5, 0.05), (1000, 0.25, 0.001), (100_000, 1.0, 0.001)])
def test_top_count_is_recovered_from_cohens_radius_on_the_safe_side(n: int, sigma: float, alpha: float) -> None:
    log = CohenLog(sigma, n, alpha)
    for x1 in np.unique(np.linspace(0.66 * n, n, 60).astype(int)):
        printed = cohen_line(int(x1), n, sigma, alpha)
        found = log.top_count(printed)
        assert found <= x1
        assert cohen_line(found, n, sigma, alpha) == printed
        assert cohen_line(found - 1, n, sigma, alpha) != printed


def test_cohens_log_end_to_end(tmp_path: Path) -> None:
    log = tmp_path / "cohen.tsv"
    log.write_text("idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
                   f"0\t3\t3\t{cohen_line(990, 1000, 0.25, 0.001)}\t1\t0:00:01.5\n"
                   "20\t7\t-1\t0.0\t0\t0:00:01.5\n"
                   f"40\t8\t1\t{cohen_line(800, 1000, 0.25, 0.001)}\t0\t0:00:01.5\n")
    assert "Give --sigma and --n of the log" in refused("recertify", log, "--sigma", 0.25)
    result = run("recertify", log, "--sigma", 0.25, "--n", 1000, "--jobs", 1)
    assert result.exit_code == 0, result.output
    assert "This log holds no counts." in result.stdout
    assert "the exact bound is Cohen's own" in " ".join(result.stdout.split())
    lines = table(tmp_path / "cohen.tsv.rsopt")
    assert [line["predict"] for line in lines] == ["3", "-1", "1"]
    assert [line["correct"] for line in lines] == ["1", "0", "0"]
    for line in (lines[0], lines[2]):
        assert float(line["radius"]) == pytest.approx(float(line["cohen_radius"]), rel=5e-3)
    assert refused("recertify", log, "--sigma", 0.5, "--n", 1000).startswith(f"{log}, line 2: No count of 1,000 gives")


@pytest.mark.parametrize(("text", "told"), [
    ("", "has no lines below its header"), ("label,c0,c1\n", "has no lines below its header"),
    ("label,c0,c1\n0,5,x\n", "line 2: 'x' is no count."), ("label,c0,c1\n0,5,1_0\n", "line 2: '1_0' is no count."),
    ("label,c0,c1\n0,5,inf\n", "line 2: 'inf' is no count."), ("label,c0,c1\n0,5,1e400\n", "'1e400' is no count."),
    ("label,c0,c1\n0,5,nan\n", "line 2: 'nan' is no count."), ("label,c0,c1\n0,5,\n", "line 2: '' is no count."),
    (f"label,c0,c1\n0,5,{'9' * 5000}\n", "9' is no count."),
    ("label,c0,c1\nx,5,1\n", "line 2: label 'x' is no whole number."),
    ("idx,label,c0,c1\n-1,0,5,1\n", "line 2: idx -1 is no number of an input"),
    ("idx,label,c0,c1\n3,0,5,1\n4,0,5,1\n3,0,5,1\n", "line 4: input 3 stands in line 2 already."),
    ("label,c0,c1\n0,5,1\n0,5,1", "line 3: the line does not end, so the file may be cut off"),
    ("label,c0,c1\n0,5,1\n0,5\n", "line 3: it has 2 cells, and the header has 3."),
    ("label,c0,c1\n0,5,1,7\n", "line 2: it has 4 cells, and the header has 3."),
    ("label,c0,c0\n0,5,1\n", "has more than one column 'c0'."),
    ('[\n  {\n    "label": 0,\n    "counts": [90, 6, 4]\n  }\n]\n', "looks like JSON or YAML, and a log is a table"),
    ("- label: 0\n  counts: [90, 6, 4]\n", "looks like JSON or YAML, and a log is a table"),
    ("0,label,c0,c1\n7,0,5,1\n", "has two columns of counts for one class: '0' and 'c0'."),
    ("0,5,1\n0,6,1\n", "has no header: its first line is '0,5,1'."),
    ('label,c0,c1\n0,"5,1\n', "line 2: unexpected end of data."),
    ("label,c0,c1\n0,5,1.5\n", "line 2: '1.5' is no count."),
    ("label,c0,c1\n0,5,-1\n", "line 2: '-1' is no count."),
    ("label,c0,c1\n2,5,1\n", "line 2: the certified class 2 is no class: there are 2"),
    ("label,c0,c1\n0,5\n", "line 2: it has 2 cells, and the header has 3."),
    ("label,c0,c2\n0,5,1\n", "the count columns must be numbered 0 to 1"),
    ("label,votes\n0,5\n", "has neither count columns (c0, c1, …) nor predict and radius")])
def test_logs_without_meaning(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(text)
    assert told in refused("recertify", tmp_path / "log.csv", "--sigma", 1)


def test_padded_headers_and_cells_are_read(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("label , c0, c1 \r\n\r\n0, 5 , 1\r\n")
    (line,) = read_log(tmp_path / "log.csv", top=None, cohen=None)
    assert (line.top, line.counts) == (0, (5, 1))


def test_counts_of_many_classes_are_one_cell(tmp_path: Path) -> None:
    votes = [1000, *[7] * 69_999]
    (tmp_path / "log.tsv").write_text(f"top\tcounts\n0\t{','.join(map(str, votes))}\n")
    (line,) = read_log(tmp_path / "log.tsv", top=None, cohen=None)
    assert list(line.counts) == votes


@pytest.mark.parametrize("cut", range(1, 23))
def test_a_log_that_is_cut_off_anywhere_is_refused(cut: int, tmp_path: Path) -> None:
    (tmp_path / "log.tsv").write_text(("idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
                                       "20\t3\t3\t0.531\t1\t0:00:01\n40\t4\t4\t0.123\t1\t0:00:01\n")[:-cut])
    with pytest.raises(InvalidInputError, match="line 3: "):
        read_log(tmp_path / "log.tsv", top=None, cohen=CohenLog(0.5, 1000, 0.001))


def test_radii_in_single_precision_give_their_counts() -> None:
    log = CohenLog(0.25, 100_000, 0.001)
    for x1 in (51_000, 61_234, 99_990, 100_000):
        radius = np.float32(0.25 * special.ndtri(clopper_pearson_lower(x1, 100_000, 0.001)))
        assert log.top_count(repr(float(radius))) == log.top_count(str(radius)) == x1


def test_two_logs_never_share_a_folder(tmp_path: Path) -> None:
    for name, votes in (("sigma_0.25", "90,5,5"), ("sigma_0.50", "80,10,10")):
        (tmp_path / name).write_text(f"idx,label,c0,c1,c2\n7,0,{votes}\n")
        assert run("recertify", tmp_path / name, "--sigma", 0.25, "--jobs", 1).exit_code == 0
    lines = [table(tmp_path / f"{name}.rsopt") for name in ("sigma_0.25", "sigma_0.50")]
    assert [line["counts"] for (line,) in lines] == ["90,5,5", "80,10,10"]
    (tmp_path / "other.csv").write_text("idx,label,c0,c1,c2\n8,0,90,5,5\n")
    folder = tmp_path / "sigma_0.25.rsopt"
    assert refused("recertify", tmp_path / "other.csv", "--sigma", 0.25, "--output", folder) == (
        f"{folder / 'certificates'} holds proofs of another run: 000007.json is of none of these inputs. Choose "
        "another folder, or remove what is in this one.")
    assert table(folder) == lines[0]
    assert run("verify", folder).stdout.endswith("1 of 1 proofs hold.\n")
    # The same log again is no other log, and where it has come to abstain no earlier proof is left.
    (tmp_path / "sigma_0.25").write_text("idx\tlabel\tpredict\tradius\n7\t0\t-1\t0.0\n")
    assert run("recertify", tmp_path / "sigma_0.25", "--sigma", 0.25, "--n", 100).exit_code == 0
    assert list((folder / "certificates").iterdir()) == []


def test_a_run_and_a_log_never_share_a_folder(tmp_path: Path) -> None:
    work(tmp_path / "run")
    log = tmp_path / "run" / "table.tsv"
    before = log.read_text()
    assert "holds a run of rsopt certify, whose table would be lost" in refused(
        "recertify", log, "--sigma", 0.5, "--output", tmp_path / "run")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "table.tsv").write_text(before)
    assert "table.tsv, from which it is made. Choose another place." in refused(
        "recertify", tmp_path / "own" / "table.tsv", "--sigma", 0.5, "--output", tmp_path / "own")
    assert (tmp_path / "own" / "table.tsv").read_text() == log.read_text() == before


def test_exports_never_cost_the_run_or_another(tmp_path: Path) -> None:
    work(tmp_path / "run")
    store = tmp_path / "run" / STORE
    before = store.read_bytes()
    for kind in ("tsv", "cohen", "parquet"):
        assert "would overwrite" in refused("export", tmp_path / "run", store, "--format", kind)
    assert "is a database" in refused("bound", 90, 6, 4, "--output", store)
    assert "would overwrite" in refused("export", store, f"{tmp_path}/run/../run/{STORE}")
    assert "would overwrite" in refused("report", tmp_path / "run", "--output", store)
    work(tmp_path / "second")
    assert "is a database" in refused("export", tmp_path / "run", tmp_path / "second" / STORE)
    (tmp_path / "proofs").mkdir()
    (tmp_path / "proofs" / "000099.json").write_text("{}")
    assert "000099.json is of none of these inputs" in refused("export", tmp_path / "run", tmp_path / "proofs",
                                                               "--format", "proofs")
    assert store.read_bytes() == before


def test_an_absent_log_and_an_impossible_radius(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refused("recertify", tmp_path / "absent.csv", "--sigma", 1)
    for radius in ("0.0", "-1", "nan", "inf", "x"):
        with pytest.raises(InvalidInputError):
            CohenLog(0.25, 1000, 1e-3).top_count(radius)


def test_what_is_exported_in_cohens_format_can_be_read_back(tmp_path: Path) -> None:
    rows = work(tmp_path / "run")
    log, own = tmp_path / "cohen.tsv", tmp_path / "own.tsv"
    assert run("export", tmp_path / "run", log, "--format", "cohen", "--method", "cohen").exit_code == 0
    found = read_log(log, top=None, cohen=CohenLog(0.5, 220, 0.01))
    assert [line.predicted for line in found] == [row.top if row.radius(COHEN) > 0.0 else None for row in rows]
    assert [line.counts[0] for line in found if line.counts] == [row.x1 for row in rows if row.radius(COHEN) > 0.0]
    assert run("recertify", log, "--sigma", 0.5, "--n", 220, "--log-alpha", 0.01, "--jobs", 1).exit_code == 0
    assert run("export", tmp_path / "run", own, "--format", "cohen").exit_code == 0
    text = refused("recertify", own, "--sigma", 0.5, "--n", 220, "--log-alpha", 0.01)
    assert "Radii of other bounds, such as those that rsopt export writes unless --method cohen" in text
    assert "belongs to --format cohen" in refused("export", tmp_path / "run", tmp_path / "t.tsv", "--method", "cohen")
    wrong = refused("export", tmp_path / "run", log, "--format", "cohen", "--method", "cohne")
    assert wrong.startswith("There is no method named 'cohne'. Did you mean 'cohen'?")


def test_exports_of_a_run(tmp_path: Path) -> None:
    rows = work(tmp_path / "run")
    assert run("export", tmp_path / "run", tmp_path / "all.tsv").stdout.endswith("4 of 4 inputs.\n")
    assert (tmp_path / "all.tsv").read_text() == (tmp_path / "run" / "table.tsv").read_text()
    run("export", tmp_path / "run", tmp_path / "cohen.tsv", "--format", "cohen")
    assert (tmp_path / "cohen.tsv").read_text().splitlines()[0] == "idx\tlabel\tpredict\tradius\tcorrect\ttime"
    run("export", tmp_path / "run", tmp_path / "run.parquet", "--format", "parquet")
    content = parquet.read_table(tmp_path / "run.parquet")
    assert content["counts"].to_pylist() == [list(row.counts) for row in rows]
    assert content["rsopt.lower"].to_pylist() == [row.bounds["rsopt"].lower for row in rows]
    assert content["predict"].to_pylist() == [None if row.abstain else row.top for row in rows]
    assert b"keyed votes" in content.schema.metadata[b"rsopt"]
    assert run("export", tmp_path / "run", tmp_path / "proofs", "--format", "proofs").stdout.endswith("4 proofs.\n")
    assert sorted(path.name for path in (tmp_path / "proofs").iterdir()) == [f"{row.idx:06d}.json" for row in rows]
    assert "There is no run at" in refused("export", tmp_path / "nothing", tmp_path / "out.tsv")
    with Store.read(tmp_path / "run" / STORE) as store:
        assert stored_rows(store) == rows
        assert len(store.all(Session)) == 1
        assert {fact.name for fact in store.all(Fact)} >= {"model", "data", "stopping", "functional"}
