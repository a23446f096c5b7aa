"""``rsopt bound --file``, ``--two-sided`` and ``--rival``: what the library says, for files of every kind."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import refused, run

import rsopt
from rsopt.errors import StorageError
from rsopt.runs.votes import read_votes

VOTES = np.array([[90, 6, 4], [60, 30, 10], [90, 4, 6], [5, 80, 15], [0, 3, 97]])
TOPS = [0, 0, 0, 1, 2]
LINES = "".join(f"{top},{','.join(map(str, row))}\n" for top, row in zip(TOPS, VOTES, strict=True))


def written(folder: Path, kind: str) -> Path:
    """The votes as a file of this kind, with their classes."""
    path = folder / kind
    if kind == "headed.csv":
        numbered = "".join(f"{7 * k},{line}" for k, line in enumerate(LINES.splitlines(keepends=True)))
        path.write_text(f"idx,top,c0,c1,c2\n{numbered}")
    elif kind == "turned.tsv":
        rows = "".join(f"{c}\t{a}\t{top}\t{b}\n" for top, (a, b, c) in zip(TOPS, VOTES.tolist(), strict=True))
        path.write_text(f"class 2\tclass 0\ttop\tclass 1\n{rows}")
    else:
        np.savez(path, top=TOPS, **{"counts" if kind == "two.npz" else "votes": VOTES})
    return path


@pytest.mark.parametrize("kind", ["headed.csv", "turned.tsv", "one.npz", "two.npz"])
def test_a_file_with_its_classes(kind: str, tmp_path: Path) -> None:
    path, output = written(tmp_path, kind), tmp_path / "table.csv"
    result = run("bound", "--file", path, "--sigma", 0.25, "--alpha", 0.01, "--jobs", 1, "--json", "--output", output)
    assert result.exit_code == 0, result.output
    content, table = json.loads(result.stdout), rsopt.lower_bounds(VOTES, TOPS, alpha=0.01)
    assert [row["lower"] for row in content["rows"]] == table.lower.tolist()
    assert [row["radius"] for row in content["rows"]] == table.radius(0.25).tolist()
    assert [row["top"] for row in content["rows"]] == TOPS
    assert (content["inputs"], content["distinct"], content["certified"]) == (5, 4, int(table.certified.sum()))
    assert content["mean_radius"] == pytest.approx(float(table.radius(0.25).mean()), rel=1e-15)
    assert (content["alpha"], content["functional"], content["statistic"]) == (0.01, "probit", "studentized")
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["lower"]) for row in rows] == table.lower.tolist()
    assert [float(row["radius"]) for row in rows] == table.radius(0.25).tolist()
    assert [row["certified"] for row in rows] == [str(bound.certified) for bound in table.bounds]


@pytest.mark.parametrize("kind", ["bare.csv", "headed.csv", "bare.txt", "array.npy"])
def test_a_file_without_classes_takes_them_from_top(kind: str, tmp_path: Path) -> None:
    path = tmp_path / kind
    lines = "".join(f"{','.join(map(str, row))}\n" for row in VOTES)
    if kind == "array.npy":
        np.save(path, VOTES.astype(np.int32))
    else:
        head, between = "c0,c1,c2\n" if kind == "headed.csv" else "", "\t" if kind == "bare.txt" else ","
        path.write_text((head + lines).replace(",", between))
    result = run("bound", "--file", path, "--top", 1, "--functional", "margin", "--jobs", 1, "--json")
    content = json.loads(result.stdout)
    expected = rsopt.lower_bounds(VOTES, [1] * 5, functional="margin")
    assert [row["lower"] for row in content["rows"]] == expected.lower.tolist()
    assert "radius" not in content["rows"][0]
    assert "mean_radius" not in content
    told = refused("bound", "--file", path)
    assert "has no 'top' with the certified class of each row: add it, or give --top" in told


def test_a_long_table_is_cut_in_the_middle_and_nothing_is_lost(tmp_path: Path) -> None:
    votes = [[50 + k, 50 - k] for k in range(50)]
    np.save(tmp_path / "votes.npy", votes)
    result = run("bound", "--file", tmp_path / "votes.npy", "--top", 0, "--sigma", 0.5, "--jobs", 1, "--output",
                 tmp_path / "out.csv")
    shown = [int(cells[1]) for line in result.stdout.splitlines()
             if len(cells := line.replace("│", "|").split("|")) > 2 and cells[1].strip().isdigit()]
    assert shown == [*range(10), *range(40, 50)]
    table = rsopt.lower_bounds(votes, [0] * 50)
    assert f"{int(table.certified.sum())} of 50, proven and positive" in result.stdout
    assert f"mean radius      {table.radius(0.5).mean():.6f} (l2, sigma 0.5)" in result.stdout
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 51


@pytest.mark.parametrize(("content", "text"), [
    ("9,1\n3,x\n", "line 2: 'x' is no count"), ("9,1\n3,-1\n", "line 2: '-1' is no count"),
    ("9,1\n3,1,2\n", "line 2: it has 3 cells, and the first line has 2"), ("9,1\n3,\n", "line 2: '' is no count"),
    ("9,1\n0,0\n", "line 2: All counts are 0"), ("9,1\n3,1", "line 2: the line does not end"),
    ("9\n3\n", "line 1: Counts must be one row with at least two classes"), ("", "has no rows of votes"),
    ("c0,c1\n", "has no rows of votes"), ("0,1,2\n9,1,0\n", "may be the numbers of the classes or the votes"),
    ("cat,dog\n9,1\n", "has no columns of votes c0, c1, … in its header; it has cat, dog"),
    ("c0,c2\n9,1\n", "the count columns must be numbered 0 to 1; found c0, c2"),
    ("c0,c1,0\n9,1,3\n", "two columns of counts for one class: 'c0' and '0'"), ('9,"1\n', "unexpected end of data")])
def test_lines_without_meaning_are_named(content: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text(content)
    told = refused("bound", "--file", path, "--top", 0)
    assert text in told
    assert str(path) in told


def test_classes_and_arrays_without_meaning_are_named(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("top,c0,c1\n0,9,1\n2,9,1\n")
    assert f"{path}, line 3: top=2 is no class: there are 2" in refused("bound", "--file", path)
    assert "leave out --top" in refused("bound", "--file", path, "--top", 0)
    path.write_text("top,c0,c1\ncat,9,1\n")
    assert "line 2: top must be the index of a class, an int; found 'cat'" in refused("bound", "--file", path)
    path.write_text("top,top,c0,c1\n0,0,9,1\n")
    assert "more than one column 'top'" in refused("bound", "--file", path)
    array, archive = tmp_path / "votes.npy", tmp_path / "votes.npz"
    np.save(array, np.array([[9.0, 1.0], [0.9, 0.1]]))
    told = refused("bound", "--file", array, "--top", 0)
    assert f"{array}, row 1: Count 0 is 0.9; counts must be whole numbers" in told
    np.save(array, np.arange(3))
    assert "must hold votes of shape (rows, classes); found shape (3,)" in refused("bound", "--file", array, "--top", 0)
    np.savez(archive, a=VOTES, b=VOTES)
    assert "has no array 'counts'; it has a, b" in refused("bound", "--file", archive, "--top", 0)
    np.savez(archive, counts=VOTES, top=[0])
    assert "one class in 'top' for each of 5 rows; found shape (1,)" in refused("bound", "--file", archive)
    np.save(array, np.array([[{}]], dtype=object), allow_pickle=True)
    for bad in (array, archive):
        if bad is archive:
            archive.write_bytes(b"PK\x03\x04 no archive")
        with pytest.raises(StorageError, match="is damaged or holds Python objects"):
            read_votes(bad, 0)
    assert "cannot be read: No such file" in refused("bound", "--file", tmp_path / "absent.npy", "--top", 0)
    assert "cannot be read: No such file" in refused("bound", "--file", tmp_path / "absent.csv", "--top", 0)
    assert "must end in one of .csv, .tsv, .txt, .npy, .npz" in refused("bound", "--file", "votes.xlsx", "--top", 0)


def test_options_that_do_not_go_together(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("9,1\n")
    assert "leave out --rival, --two-sided" in refused("bound", "--file", path, "--rival", 1, "--two-sided")
    assert "leave out --two-sided, --file" in refused("bound", "--file", path, "--anytime", "--two-sided")
    assert "would overwrite" in refused("bound", "--file", path, "--top", 0, "--output", path)
    assert path.read_text() == "9,1\n"
    assert "leave out --output" in refused("bound", 9, 1, "--two-sided", "--output", "proof.json")
    assert "A radius needs the margin against all other classes; leave out --rival" in refused(
        "bound", 9, 1, 1, "--rival", 1, "--sigma", 0.5)
    for arguments in ([], [9, 1, "--file", path]):
        result = run("bound", *arguments)
        assert result.exit_code == 2
        assert "Give the votes, one count a class, or --file" in " ".join(result.stderr.replace("│", " ").split())


def test_two_sided_is_what_the_library_says() -> None:
    for arguments, rival in (([], None), (["--rival", 2], 2)):
        content = json.loads(run("bound", 900, 60, 40, "--two-sided", "--json", *arguments).stdout)
        found = rsopt.margin_interval([900, 60, 40], 0, rival)
        assert (content["lower"], content["upper"]) == (found.lower, found.upper)
        assert (content["alpha"], content["interval_alpha"], content["rival"]) == (5e-4, 1e-3, rival)
        assert content["rivals"] == found.upper_bound.rivals
        assert content["upper_bound"]["statistic"] == "clopper-pearson"
    text = run("bound", 900, 60, 40, "--two-sided").stdout
    assert "the runner-up is one of 2 rivals, who share the alpha" in text
    assert "both hold        with probability at least 1 - 0.001, each at half of it" in text
    alone = run("bound", 900, 60, 40, "--rival", 2)
    assert f"lower bound      {rsopt.lower_bound(rsopt.Counts([900, 60, 40], 0, 2)).lower:.6f}, proven" in alone.stdout
    assert "rival 2: 40" in alone.stdout
