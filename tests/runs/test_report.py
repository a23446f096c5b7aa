"""The report of a run: what it says is what the run holds, and it needs nothing but itself."""

from __future__ import annotations

import dataclasses
import io
import re
import shlex
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import small_run
import torch
from PIL import Image
from small_net import IMAGES, SEED, SIGMA, TASK, classifier
from typer.testing import CliRunner
from waiting import PATIENCE

from rsopt.commands.cli import application
from rsopt.errors import InvalidInputError, StorageError
from rsopt.methods import CLOPPER_PEARSON, COHEN, OWN
from rsopt.noise import Gaussian
from rsopt.question import Question
from rsopt.runs.certify import certify
from rsopt.runs.folder import PICTURES, STORE
from rsopt.runs.inputs import Inputs
from rsopt.runs.overview import EQUAL, Overview, duel
from rsopt.runs.pictures import hardest, png, save_pictures
from rsopt.runs.reports.page import write_report
from rsopt.runs.rows import Row
from rsopt.runs.store import Store
from rsopt.runs.work import MethodBound
from rsopt.sequential.adaptive import TargetRadii
from rsopt.sequential.looks import Looks

LABELS = [0, 1, 2, 3, 4, 0, 1, 2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


TITLE = "nets:small & <quick> on data.npz"


def certified(folder: Path, labels: list[int | None], *, poisoned: int | None = None) -> list[Row]:
    images = IMAGES.clone()
    if poisoned is not None:
        images[poisoned, 0, 0, 0] = torch.nan
    return certify(classifier(), Inputs(images, labels, range(len(images))), TASK, seed=SEED, output=folder,
                   title=TITLE, stop_on_failure=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels that the network knows, but for two, and one input that is NaN."""
    known = [row.top for row in certified(tmp_path_factory.mktemp("known"), LABELS)]
    labels = [(top + 1) % 5 if idx in (2, 6) else top for idx, top in enumerate(known)]
    folder = tmp_path_factory.mktemp("run") / "mine & yours <b>"
    certified(folder, labels, poisoned=4)
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    write_report(run, run / "report.html")
    return (run / "report.html").read_text(encoding="utf-8")


class Reader(HTMLParser):
    """Collects text, sources and links, and checks that tags are closed in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.seen: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        # HTML lets cells, rows and items end without a tag; everything here is written out.
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def text(page: str) -> str:
    return " ".join(" ".join(read(page).words).split())


def test_the_page_is_whole_and_alone(page: str) -> None:
    reader = read(page)
    assert not reader.seen & {"script", "link", "iframe", "object", "base", "form"}
    assert reader.sources
    assert all(source.startswith(("data:image/svg+xml;base64,", "data:image/png;base64,")) for source in reader.sources)
    style = page[page.index("<style>"):page.index("</style>")]
    assert not re.search(r"url\(|@import|http", style)
    assert "$" not in text(page)


def test_its_figures_need_nothing_either(page: str) -> None:
    import base64
    from xml.etree import ElementTree

    pictures = [base64.b64decode(source.partition(",")[2]) for source in read(page).sources if "svg+xml" in source]
    assert len(pictures) == 5
    for picture in pictures:
        for node in ElementTree.fromstring(picture).iter():
            for name, value in node.attrib.items():
                if name.endswith("href"):
                    assert value.startswith(("#", "data:")), value


def test_what_it_says_is_what_the_table_holds(run: Path, page: str) -> None:
    rows = Overview.read(run).rows
    said = text(page)
    right = [row.radius() for row in rows if row.label == row.top and row.radius() > 0]
    assert 0 < len(right) < len(rows)
    assert f"{len(right) / len(rows):.1%} certified and right" in said
    assert f"{sum(right) / len(rows):.4f} mean certified l2 radius" in said
    assert f"{max(right):.4f} largest l2 radius" in said
    assert f"{sum(row.n + row.n0 for row in rows):,} samples in all" in said
    assert "Certified run: mine & yours <b>" in said
    assert f"{TITLE}: {len(rows)} inputs under Gaussian noise" in said
    assert "the certified class was chosen on 50 separate samples" in said
    for row in rows:
        if not row.error:
            share = 100 * row.x1 / row.n
            assert f"Input {row.idx}, label {row.label} class {row.top}" in said
            assert f"{share:.1f}% of {row.n:,} votes" in said


def test_it_tells_failures_first(page: str) -> None:
    said = text(page)
    assert said.index("1 inputs failed") < said.index("Certified accuracy")
    assert "4 Input 4 holds NaN or infinite values." in said


def test_it_gives_the_guarantees_and_the_way_to_check_them(run: Path, page: str) -> None:
    said = text(page)
    assert "With probability at least 0.99 over the noise that was drawn" in said
    assert "The class was chosen on 50 samples of their own, never on those that bound it" in said
    # The run as it was asked for, from where the reader stands, not its folder's name alone.
    assert f"rsopt verify {shlex.quote(str(run))} " in said
    assert f"rsopt export {shlex.quote(str(run))} table.parquet" in said
    for name in ("model", "data", "sampling.torch", "sampling.seed"):
        assert str(Overview.read(run).facts[name]) in said


def test_equal_runs_give_equal_pages(run: Path, page: str, tmp_path: Path) -> None:
    write_report(run, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_without_labels_it_speaks_of_what_is_certified(tmp_path: Path) -> None:
    certified(tmp_path / "run", [None] * len(IMAGES))
    found = write_report(tmp_path / "run", tmp_path / "page.html")
    said = text((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "No labels are known" in said
    share = sum(row.radius() > 0 for row in found.rows) / len(found.rows)
    assert f"{share:.1%} certified" in said
    assert "certified and right" not in said
    assert "is right" not in said
    assert "the smoothed classifier keeps its class is at least the curve minus" in said


def test_an_unfinished_run_and_one_without_results(tmp_path: Path) -> None:
    with Store.open(tmp_path / STORE, small_run.facts()), \
            pytest.raises(InvalidInputError, match="has no finished inputs yet"):
        Overview.read(tmp_path)
    with pytest.raises(small_run.Halted):
        small_run.work(tmp_path, small_run.HaltingExecutor())
    write_report(tmp_path, tmp_path / "page.html")
    said = text((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "This run is not finished: 1 of 4 inputs are in this report" in said
    assert "Until then nothing holds of all these inputs together or of new ones" in said
    assert "No pictures were kept: the inputs are none, or the run is not finished." in said


def test_an_adaptive_run_says_what_became_of_its_targets(tmp_path: Path) -> None:
    question = Question(SIGMA)
    policy = TargetRadii((0.1, 0.3), question, Looks(400, 0.01, first=50, chunk=50))
    certify(classifier(), Inputs(IMAGES, LABELS, range(len(IMAGES))), dataclasses.replace(TASK, policy=policy),
            seed=SEED, output=tmp_path / "run")
    found = write_report(tmp_path / "run", tmp_path / "page.html")
    said = text((tmp_path / "page.html").read_text(encoding="utf-8"))
    spent = sum(row.n for row in found.rows)
    assert spent < 400 * len(found.rows)
    assert f"{spent:,} samples instead of {400 * len(found.rows):,} , beside" in said
    for target in policy.radii:
        reached = [row for row in found.rows if row.radius() >= target]
        right = sum(row.top == row.label for row in reached)
        early = sum(row.saved > 0 for row in found.rows if row.radius() < target)
        assert f"{target:g} {len(reached)} {right} {early} {len(found.rows) - len(reached) - early}" in said
    assert "any radius ≥ 0.1 ≥ 0.3 mean radius" in said
    assert "at the same looks and errors" in said
    assert "--alpha LOOK_ALPHA" in said
    assert "Every look has an error of its own" in said


def test_no_run_and_no_room_for_the_page(run: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="There is no run at"):
        write_report(tmp_path, tmp_path / "page.html")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"The report .* cannot be written"):
        write_report(run, tmp_path / "file" / "page.html")


def test_the_command(run: Path, tmp_path: Path) -> None:
    app = application(["report"])
    done = CliRunner().invoke(app, ["report", str(run), "--output", str(tmp_path / "page.html")])
    assert done.exit_code == 0, done.output
    assert done.output.strip() == f"{tmp_path / 'page.html'}: 8 of 8 inputs."
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert done.exit_code == 2
    assert "There is no run at" in done.output


def test_it_says_what_holds_of_the_data_set(run: Path, page: str) -> None:
    found, said = Overview.read(run), text(page)
    sure, band = found.certified_accuracy(), found.probability_band()
    assert f"above the truth on these inputs by at most {sure.off_these_inputs:.2%}" in said
    assert f"at least the curve minus {sure.off_new_inputs:.2%}, at all radii at once" in said
    assert f"lies within {sure.off_certified:.2%} of the curve" in said
    assert f"certified radius {sure.mean_radius:.4f}".removeprefix("certified ") in said
    assert f"at least {sure.mean_on_these_inputs:.4f} in the mean over these inputs" in said
    assert f"lies between {sure.mean_low:.4f} and {sure.mean_high:.4f}. Its weakness: it is moved most by" in said
    assert (f"false with probability at most {band.row_error:.2g}; with that confidence at most {band.false_limits:,} "
            "are false on either side") in said
    asked = found.certified_accuracy(at=found.grid())
    for line in zip(asked.share, asked.on_new_inputs, asked.certified_low, asked.certified_high, asked.single_low,
                    asked.single_high, strict=True):
        share, true, low, high, alone_low, alone_high = (f"{value:.1%}" for value in line)
        assert f"{share} {true} {low} – {high} {alone_low} – {alone_high}" in said


def row(idx: int, label: int | None, top: int | None, lower: float, others: tuple[float, float] = (0.0, 0.0)) -> Row:
    bounds = {name: MethodBound(name, value, value, max(value, 0.0))
              for name, value in ((OWN, lower), (CLOPPER_PEARSON, others[0]), (COHEN, others[1]))}
    return Row(idx, label, top, "label", 0, 10, 9, 1, (9, 1), bounds, 1.0)


def test_duels_and_the_hardest() -> None:
    rows = [row(0, 0, 0, 1.0, (0.5, 1.25)), row(1, 0, 0, 0.25, (-1.0, 0.25)), row(2, 0, 1, 2.0, (1.0, 1.0)),
            row(3, 0, 0, -0.5, (-1.0, 0.125)), row(4, None, 1, 0.125, (0.125, 0.125))]
    failed = Row(5, 0, None, "", 0, 0, 0, 0, (), {}, 0.0, error="broken")
    assert [found.idx for found in hardest([*rows, failed], 4)] == [2, 3, 4, 1]
    found = duel([*rows, failed], CLOPPER_PEARSON)
    assert (found.ours, found.equal, found.theirs) == (3, 3, 0)
    assert (found.largest_ours, found.largest_theirs, found.only_ours, found.only_theirs) == (1.0, 0.0, 1, 0)
    near = [row(0, 0, 0, 1.0, (1.0 + 0.9 * EQUAL, 1.0 - 0.9 * EQUAL)), row(1, 0, 0, 1.0, (1.0 + 1.1 * EQUAL, 0.9))]
    found = duel(near, CLOPPER_PEARSON)
    assert (found.ours, found.equal, found.theirs) == (0, 1, 1)
    assert found.largest_theirs == pytest.approx(1.1 * EQUAL)
    found = duel(near, COHEN)
    assert (found.ours, found.equal, found.theirs) == (1, 1, 0)
    found = duel(rows, COHEN)
    assert (found.ours, found.equal, found.theirs) == (1, 2, 2)
    assert (found.largest_ours, found.largest_theirs, found.only_ours, found.only_theirs) == (1.0, 0.25, 0, 1)


@pytest.mark.parametrize("shape", [(5, 9), (7, 3, 3)])
def test_png_files_hold_their_pixels(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(pixels)))), pixels)


def test_pictures_of_inputs(tmp_path: Path) -> None:
    chance = np.random.default_rng(2)
    images = {0: chance.random((1, 6, 8)), 1: torch.tensor(chance.random((3, 4, 4))), 2: chance.random((5, 5)),
              3: chance.random((900, 300)), 4: chance.random(12), 5: np.full((1, 4, 4), np.nan),
              6: chance.random((4, 4, 4)), 7: -3.0 + 2.0 * chance.random((6, 6))}
    save_pictures(tmp_path, images.items(), Gaussian(SIGMA))
    kept = {path.stem: np.asarray(Image.open(path), dtype=float) / 255.0 for path in tmp_path.iterdir()}
    assert sorted(kept) == sorted(name for idx in (0, 1, 2, 3, 7) for name in (f"{idx:06d}", f"{idx:06d}-noisy"))
    assert np.allclose(kept["000000"], images[0][0], atol=0.5 / 255)
    assert np.allclose(kept["000001"], np.moveaxis(images[1].numpy(), 0, -1), atol=0.5 / 255)
    assert kept["000003"].shape == (225, 75)
    assert np.allclose(kept["000007"], (images[7] - images[7].min()) / (1.0 - images[7].min()), atol=0.5 / 255)
    noise = (kept["000003-noisy"] - kept["000003"])[(kept["000003"] > 0.4) & (kept["000003"] < 0.6)]
    assert 0.8 * SIGMA < noise.std() <= 1.05 * SIGMA


def test_it_opens_in_a_browser_and_can_be_seen(run: Path, page: str, tmp_path: Path) -> None:
    """Headless, without a network: the figures are painted, and the pictures of inputs too."""
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert chromium, f"None of {', '.join(BROWSERS)} is on the PATH: 'make browser' installs Debian's package chromium."
    shot = tmp_path / "page.png"
    subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
         "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,4600",
         f"--screenshot={shot}", (run / "report.html").resolve().as_uri()],
        check=True, capture_output=True, timeout=PATIENCE)
    seen = np.asarray(Image.open(shot).convert("RGB"), dtype=int)
    assert seen.shape == (4600, 1200, 3)
    blue = (abs(seen - np.array([11, 92, 173])) <= 6).all(axis=2)
    assert blue[:1400].sum() > 2000, "the curve of certified accuracy is not there"
    worst = hardest(Overview.read(run).rows)[0]
    picture = np.asarray(Image.open(run / PICTURES / f"{worst.idx:06d}.png"), dtype=int)
    # 6 pixels shown on 100: each is a flat square; their grey values must appear over that much area.
    greys = [((seen == value).all(axis=2)).sum() for value in np.unique(picture)]
    assert min(greys) > 100, "the pictures of the hardest inputs are not there"
