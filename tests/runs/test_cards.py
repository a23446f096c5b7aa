"""Cards: made from a run, proven again from the archive alone, and refused with the first difference named."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import subprocess
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_run
from command_line import refused, run
from mutations import mutated_bytes, mutated_json, outcome, seeded
from PIL import Image
from waiting import PATIENCE

from rsopt import certified_accuracy, probability_band
from rsopt.errors import InvalidInputError, RsoptError, StorageError
from rsopt.methods import MELDED, OWN
from rsopt.proof_file import hashed
from rsopt.runs.archive import MEMBERS, file_hashes, opened_archive, write_archive
from rsopt.runs.checked_card import check_card
from rsopt.runs.export import write_table
from rsopt.runs.folder import CARD, STORE, TABLE
from rsopt.runs.overview import Overview
from rsopt.runs.records import BoundRow, CertificateRow, Fact, InputOutcome, Session
from rsopt.runs.reports.board import write_board
from rsopt.runs.reports.card_page import write_card
from rsopt.runs.rows import stored_rows
from rsopt.runs.store import Record, Store, _digest
from rsopt.sequential.adaptive import TargetRadii
from rsopt.sequential.looks import Looks

TITLE = "votes & <keyed> $x$"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in run/ and its card in cards/mine.*."""
    folder = tmp_path_factory.mktemp("made")
    small_run.work(folder / "run")
    write_card(folder / "run", folder / "cards" / "mine", TITLE)
    return folder


@pytest.fixture
def cards(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "cards", tmp_path / "cards")
    return tmp_path / "cards"


def altered(archive: Path, change: Callable[[Path], None]) -> str:
    """The first thing that does not hold once the unpacked files were changed, and hashes of files made anew."""
    folder = archive.with_suffix("")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    change(folder)
    write_archive(archive, folder)
    return check_card(archive).differences[0]


def of_card(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        content = json.loads((folder / CARD).read_text())
        change(content)
        del content["sha256"]
        (folder / CARD).write_text(json.dumps(hashed(content)))
    return changed


def put(folder: Path, record: Record) -> None:
    """Writes a record over the one with its key, with a digest that fits, and makes table and hashes anew."""
    names = [field.name for field in fields(record)]
    with closing(sqlite3.connect(folder / STORE)) as database, database:
        database.execute(f"REPLACE INTO {record.TABLE} ({', '.join(names)}, digest) VALUES "
                         f"({', '.join('?' * (len(names) + 1))})",
                         (*astuple(record), _digest(record.TABLE, astuple(record))))
    with Store.read(folder / STORE) as store:
        write_table(folder / TABLE, stored_rows(store))
    of_card(lambda content: content.update(files=file_hashes(folder)))(folder)


def stored(folder: Path, kind: type, number: int = 0) -> Any:
    with Store.read(folder / STORE) as store:
        return store.all(kind)[number]


def test_a_card_says_what_the_run_holds(made: Path) -> None:
    content = json.loads((made / "cards" / "mine.json").read_text())
    overview = Overview.read(made / "run")
    assert content["title"] == TITLE
    assert content["data"] == {"sha256": "none", "inputs": 4, "labelled": True, "failed": 0}
    assert content["class"] == {"chosen by": "selection", "n0": 60}
    assert content["samples"] == {"selection": 240, "estimation": 880, "median": 220, "most": 220}
    assert content["proofs"] == {OWN: 4}
    assert [line["method"] for line in content["certified"]] == overview.methods
    assert [line["proven"] for line in content["certified"]] == [True, False, False, False]
    # How many radii of a conjectured limit are true nobody knows, and nothing is said of it.
    (melded,) = (line for line in content["certified"] if line["method"] == MELDED)
    assert melded["conjectured"]
    assert not any(name.endswith("at_least") for entries in (melded, *melded["at"]) for name in entries)
    for line in [line for line in content["certified"] if line is not melded]:
        assert "conjectured" not in line
        radii = [found["radius"] for found in line["at"]]
        sure = certified_accuracy([row.radius(line["method"]) for row in overview.rows],
                                  [row.correct(line["method"]) for row in overview.rows], alpha=0.01, at=radii)
        assert [found["share"] for found in line["at"]] == [overview.share(r, line["method"]) for r in radii]
        for name, column in (("on_these_inputs_at_least", sure.on_these_inputs),
                             ("on_new_inputs_at_least", sure.on_new_inputs)):
            assert [found[name] for found in line["at"]] == column.tolist()
        assert [found["certified_on_new_inputs"] for found in line["at"]] == [
            list(ends) for ends in zip(sure.certified_low.tolist(), sure.certified_high.tolist(), strict=True)]
        assert (line["mean_radius"], line["mean_radius_on_these_inputs_at_least"],
                line["mean_radius_on_new_inputs_at_least"]) == (
                    sure.mean_radius, sure.mean_on_these_inputs, sure.mean_on_new_inputs)
    assert content["confidence"] == {
        "level": 0.95, "false_rows": sure.false_rows, "off_on_these_inputs": sure.off_these_inputs,
        "off_on_new_inputs": sure.off_new_inputs, "off_certified": sure.off_certified}
    band = probability_band([row.x1 for row in overview.rows], [row.n for row in overview.rows],
                            at=[found["probability"] for found in content["probabilities"]["at"]])
    assert [found["new_inputs"] for found in content["probabilities"]["at"]] == [
        list(ends) for ends in zip(band.new_low.tolist(), band.new_high.tolist(), strict=True)]
    assert [found["these_inputs"] for found in content["probabilities"]["at"]] == [
        list(ends) for ends in zip(band.these_low.tolist(), band.these_high.tolist(), strict=True)]
    assert content["probabilities"]["false_limits"] == band.false_limits
    assert hashed({name: value for name, value in content.items() if name != "sha256"}) == content


def test_a_card_holds_and_tells_no_machine(made: Path, tmp_path: Path) -> None:
    found = check_card(made / "cards" / "mine.zip")
    assert (found.holds, found.proofs, found.title) == (True, 4, TITLE)
    assert check_card(made / "cards" / "mine.json").holds
    assert check_card(made / "cards" / "mine.zip", "arb").holds
    with zipfile.ZipFile(made / "cards" / "mine.zip") as packed:
        assert packed.namelist() == list(MEMBERS)
        packed.extractall(tmp_path)
    assert {(session.host, session.pid) for session in [stored(tmp_path, Session)]} == {("", 0)}
    assert stored(made / "run", Session).host.encode() not in (tmp_path / STORE).read_bytes()
    # An unpacked archive is the folder of a run.
    assert run("verify", tmp_path).output.strip() == f"{tmp_path}: 4 of 4 proofs hold."
    write_card(made / "run", tmp_path / "again-0.25", TITLE)
    assert (tmp_path / "again-0.25.zip").read_bytes() == (made / "cards" / "mine.zip").read_bytes()


@pytest.mark.parametrize(("change", "named"), [
    (lambda card: card["certified"][0]["at"][1].update(share=1.0), r"certified\[0\]\.at\[1\]\.share is 1\.0, and its"),
    (lambda card: card["question"].update(alpha=1e-6), r"question\.alpha is 1e-06, and its run gives 0\.01"),
    (lambda card: card["class"].update({"chosen by": "label"}), r"class\.chosen by is 'label'"),
    (lambda card: card["data"].update(labelled=1), r"data\.labelled is 1, and its run gives True"),
    (lambda card: card["samples"].pop("most"), r"samples\.most is nothing, and its run gives 220"),
    (lambda card: card.update(prize="first"), r"the card's prize is 'first', and its run gives nothing"),
    (lambda card: card["files"].update({TABLE: "0" * 64}), r"files\.table\.tsv is '0000"),
    (lambda card: card.update(format="rsopt card 2"), "format is 'rsopt card 2'"),
    (lambda card: card["sessions"].clear(), r"sessions is \[\]"),
])
def test_an_altered_card_is_refused(cards: Path, change: Callable[[dict[str, Any]], object], named: str) -> None:
    with pytest.raises(AssertionError, match=named):
        raise AssertionError(altered(cards / "mine.zip", of_card(change)))


def test_a_title_may_not_be_changed_without_its_hash(cards: Path) -> None:
    def changed(folder: Path) -> None:
        (folder / CARD).write_text((folder / CARD).read_text().replace("<keyed>", "<other>"))
    assert altered(cards / "mine.zip", changed).startswith("The card was changed after it was written")


def test_an_altered_run_is_refused_where_it_first_differs(cards: Path) -> None:
    def larger(folder: Path) -> None:
        bound = next(row for row in _bounds(folder) if row.method == OWN)
        put(folder, replace(bound, lower=bound.lower + 0.1, lower_at_most=bound.lower_at_most + 0.1))
    assert "radius" in (said := altered(cards / "mine.zip", larger))
    assert said.startswith("input 0: ")


def _bounds(folder: Path) -> list[BoundRow]:
    with Store.read(folder / STORE) as store:
        return store.all(BoundRow)


def test_consistent_lies_fail_where_they_meet_the_rest(cards: Path) -> None:
    """A label, which no proof holds, changes the shares; a proof of another bound is not this one's."""
    def relabelled(folder: Path) -> None:
        outcome = stored(folder, InputOutcome)
        put(folder, replace(outcome, label=(outcome.top + 1) % 4))

    def swapped(folder: Path) -> None:
        put(folder, replace(stored(folder, CertificateRow), body=stored(folder, CertificateRow, 1).body))

    def forged(folder: Path) -> None:
        put(folder, Fact("model", '"a better one"'))

    archive = cards / "mine.zip"
    shutil.copy(archive, cards / "whole")
    for change, named in ((relabelled, "the card's certified[0]"), (swapped, "input 0: rsopt: "),
                          (forged, "the card's model.sha256 is 'keyed votes', and its run gives 'a better one'")):
        shutil.copy(cards / "whole", archive)
        shutil.rmtree(archive.with_suffix(""), ignore_errors=True)
        assert altered(archive, change).startswith(named)


def test_a_table_that_says_otherwise(cards: Path) -> None:
    def changed(folder: Path) -> None:
        (folder / TABLE).write_text((folder / TABLE).read_text().replace("\tselection\t", "\tlabel\t", 1))
    assert "table.tsv, line 2: chosen is 'label'" in altered(cards / "mine.zip", changed)


def test_a_card_beside_its_archive_is_compared_with_the_one_inside(cards: Path) -> None:
    path = cards / "mine.json"
    path.write_text(path.read_text().replace("keyed", "other", 1))
    found = check_card(path)
    assert found.differences[0] == ("the card's title is 'votes & <other> $x$', and the one in its archive gives "
                                    f"{TITLE!r}")


def test_archives_that_are_none(cards: Path, tmp_path: Path) -> None:
    archive = cards / "mine.zip"
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-100])
    assert "is no archive of a card, or damaged" in check_card(archive).differences[0]
    archive.write_bytes(whole[:5000] + bytes([whole[5000] ^ 255]) + whole[5001:])
    assert not check_card(archive).holds
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("../card.json", "{}")
    assert "it holds '../card.json'; expected card.json, run.sqlite, table.tsv" in check_card(archive).differences[0]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in MEMBERS:
            packed.writestr(name, b"\0" * (1 << 23))
    assert "card.json in it would unpack to 8,388,608 bytes" in check_card(archive).differences[0]
    assert "There is no archive at" in check_card(tmp_path / "none.zip").differences[0]


def test_archives_as_bytes(made: Path, tmp_path: Path) -> None:
    """Whatever became of the bytes, the same files come out, or an error of ours."""
    path, whole = tmp_path / "changed.zip", (made / "cards" / "mine.zip").read_bytes()
    with opened_archive(made / "cards" / "mine.zip") as folder:
        held = {name: (folder / name).read_bytes() for name in MEMBERS}

    def unpacked() -> dict[str, bytes]:
        with opened_archive(path) as folder:
            return {name: (folder / name).read_bytes() for name in MEMBERS}

    for rng in seeded("archives", 150):
        path.write_bytes(mutated_bytes(rng, whole))
        assert outcome(unpacked, RsoptError) in (None, held)


def test_whatever_is_changed_in_a_card_is_an_answer(made: Path, tmp_path: Path) -> None:
    """Changed anywhere and hashed anew, a card is as it was, but for its title, or refused in our words."""
    with zipfile.ZipFile(made / "cards" / "mine.zip") as packed:
        packed.extractall(tmp_path)
    whole = json.loads((tmp_path / CARD).read_text())
    del whole["sha256"]
    for rng in seeded("cards", 40):
        content = mutated_json(rng, whole)
        text = outcome(lambda content=content: json.dumps(hashed(content)), RsoptError)
        if text is None:
            continue
        (tmp_path / CARD).write_text(text)
        write_archive(tmp_path / "changed.zip", tmp_path)
        found = check_card(tmp_path / "changed.zip")
        again = {**json.loads(text), "title": TITLE}
        del again["sha256"]
        assert found.holds == alike(again, whole), found.differences


def alike(one: Any, other: Any) -> bool:
    """Equal but for the last digits of numbers with decimals, which other libraries may compute otherwise."""
    if isinstance(one, float) and isinstance(other, int | float) and not isinstance(other, bool):
        return math.isclose(one, other, rel_tol=1e-9)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    numbers = {int, float}
    return one == other and (type(one) is type(other) or {type(one), type(other)} <= numbers)


def test_what_no_card_is_made_of(made: Path, tmp_path: Path) -> None:
    with pytest.raises(small_run.Halted):
        small_run.work(tmp_path / "half", small_run.HaltingExecutor())
    with pytest.raises(InvalidInputError, match="is not finished: 1 of 4 inputs"):
        write_card(tmp_path / "half")
    with pytest.raises(StorageError, match="There is no run at"):
        write_card(tmp_path)
    shutil.copytree(made / "run", tmp_path / "run")
    table = tmp_path / "run" / TABLE
    table.write_text(table.read_text().replace("\tselection\t", "\tlabel\t", 1))
    with pytest.raises(InvalidInputError, match="contradicts itself, and no card is made of it: table"):
        write_card(tmp_path / "run")
    assert refused("card", tmp_path / "run", "--check", "--title", "x").startswith("--output and --title belong to")


def test_the_commands(made: Path, cards: Path) -> None:
    done = run("card", made / "run", "--output", cards / "other.zip", "--title", "other")
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(cards / name) for name in ("other.json", "other.html", "other.zip")]
    sha = json.loads((cards / "other.json").read_text())["sha256"]
    done = run("card", "--check", cards / "other.zip")
    assert done.stdout.strip() == f"{cards / 'other.zip'}: holds: other: 4 proofs, card {sha}"
    assert json.loads(run("card", "--check", cards / "other.zip", "--json").stdout)["sha256"] == sha
    altered(cards / "mine.zip", of_card(lambda card: card["samples"].update(median=1)))
    done = run("card", "--check", cards / "mine.zip")
    assert done.exit_code == 2
    assert done.stderr.strip() == (f"{cards / 'mine.zip'}: REJECTED: the card's samples.median is 1, and its run gives "
                                   "220.0.")


def test_a_board_counts_what_holds_and_shows_what_fails(made: Path, cards: Path, tmp_path: Path) -> None:
    policy = TargetRadii((0.3,), small_run.TASK.question, Looks(400, 0.01, chunk=small_run.CHUNK))
    small_run.work(tmp_path / "adaptive", task=replace(small_run.TASK, policy=policy))
    write_card(tmp_path / "adaptive", cards / "adaptive", "adaptive")
    shutil.copy(cards / "mine.zip", cards / "worse.zip")
    altered(cards / "worse.zip", of_card(lambda card: card["certified"][0].update(mean_radius=9.0)))
    (cards / "mine.html").unlink()
    done = run("board", cards)
    assert done.exit_code == 2
    assert "worse.zip: REJECTED: the card's certified[0].mean_radius is 9.0" in done.stderr
    assert done.stdout.splitlines()[-1] == f"{cards / 'index.html'}: 2 of 3 cards hold."
    page = (cards / "index.html").read_text(encoding="utf-8")
    assert "3 cards, 2 of which hold: 8 proofs were checked anew" in page
    failing = page[page.index("Cards that do not hold"):page.index("4 inputs, l2 norm")]
    assert "worse.zip" in failing
    assert "certified[0].mean_radius is 9.0" in failing
    ranking = page[page.index("4 inputs, l2 norm"):]
    assert "worse" not in ranking
    assert ranking.index('href="mine.html">votes &amp; &lt;keyed&gt; $x$') > 0
    assert ranking.index('href="adaptive.html"') > 0
    # The page that the board leads to is the one of what was proven.
    assert (cards / "mine.html").read_bytes() == (made / "cards" / "mine.html").read_bytes()
    told = json.loads(run("board", cards, "--json").stdout)["cards"]
    assert [card["holds"] for card in told] == [True, True, False]
    shutil.copy(cards / "mine.zip", cards / "index.zip")
    with pytest.raises(InvalidInputError, match="would have the name of a card's page"):
        write_board(cards)
    with pytest.raises(InvalidInputError, match=r"holds no archives of cards \(\*\.zip\)"):
        write_board(tmp_path)


@pytest.mark.parametrize("name", ["index", "mine"])
def test_the_pages_open_in_a_browser(made: Path, cards: Path, tmp_path: Path, name: str) -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert chromium, "'make browser' installs Debian's package chromium."
    write_board(cards)
    shot = tmp_path / "page.png"
    subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
         "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,2000",
         f"--screenshot={shot}", (cards / f"{name}.html").resolve().as_uri()],
        check=True, capture_output=True, timeout=PATIENCE)
    seen = np.asarray(Image.open(shot).convert("RGB"), dtype=int)
    curve = np.array([11, 92, 173]) if name == "mine" else np.array([31, 119, 180])
    assert (abs(seen - curve) <= 6).all(axis=2).sum() > 500, "the curve is not there"
