"""The picture, the summary and the samples that the baselines need."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

import rsopt
from rsopt.commands.tables import print_summary
from rsopt.errors import StorageError, UnknownNameError
from rsopt.methods import CLOPPER_PEARSON, COHEN, MELDED, OWN, RIVALS
from rsopt.question import Question
from rsopt.runs.proving import prove
from rsopt.runs.reports.plots import certified_accuracy, save_plot
from rsopt.runs.results import Results, radius_grid
from rsopt.runs.rows import Row
from rsopt.runs.savings import savings
from rsopt.runs.work import MethodBound, ProofRequest

SIGMA, ALPHA = 0.25, 1e-3
PROBIT = Question(SIGMA, alpha=ALPHA)


def row(idx: int, votes: tuple[int, ...], top: int = 0, question: Question = PROBIT) -> Row:
    done = prove(ProofRequest(idx, 0, votes, top, question))
    others = [vote for cls, vote in enumerate(votes) if cls != top]
    return Row(idx, 0, top, "label", 0, sum(votes), votes[top], max(others), votes,
               {bound.method: bound for bound in done.bounds}, done.seconds)


ROWS = [row(0, (900, 60, 40)), row(1, (600, 250, 150)), row(2, (1000, 0, 0)), row(3, (480, 500, 20)),
        row(4, (450, 250, 300))]


def test_certified_accuracy_counts_inputs_at_or_above_a_radius() -> None:
    radii, share = certified_accuracy([0.5, 0.1, 0.5], 4)
    assert radii == [0.0, 0.1, 0.5, 0.5]
    assert share == [0.75, 0.75, 0.5, 0.25]
    assert certified_accuracy([], 4) == ([0.0], [0.0])


@pytest.mark.parametrize("method", [CLOPPER_PEARSON, COHEN])
@pytest.mark.parametrize("functional", ["probit", "margin"])
def test_factor_is_where_the_baseline_reaches_our_bound(method: str, functional: str) -> None:
    """Against SciPy's beta distribution at counts scaled by the factor, and a little less."""
    asked = Question(SIGMA, functional, alpha=ALPHA)
    rows = [row(0, (900, 60, 40), question=asked), row(1, (600, 250, 150), question=asked)]
    found = savings(rows, method, asked)

    def baseline(scale: float, x1: int, x2: int) -> float:
        level = ALPHA if method == COHEN else ALPHA / 2
        lower = stats.beta.ppf(level, scale * x1, scale * (1000 - x1) + 1)
        upper = 1 - lower if method == COHEN else stats.beta.isf(level, scale * x2 + 1, scale * (1000 - x2))
        return lower - upper if functional == "margin" else stats.norm.ppf(lower) - stats.norm.ppf(upper)

    for item, factor in zip(rows, found.factors, strict=True):
        target = item.bounds[OWN].lower
        if math.isinf(factor):
            assert baseline(1e5, item.x1, item.x2) < target
        else:
            assert baseline(factor * (1 + 1e-6), item.x1, item.x2) >= target
            assert baseline(factor * (1 - 1e-6), item.x1, item.x2) < target


def test_no_number_of_samples_is_enough_for_cohen_where_many_classes_share_the_rest() -> None:
    found = savings([row(0, (460, 190, 180, 170))], COHEN, PROBIT)
    assert (found.never, found.median) == (1, math.inf)
    assert 1.0 < savings([row(0, (460, 190, 180, 170))], CLOPPER_PEARSON, PROBIT).median < 2.0


def test_inputs_that_we_do_not_certify_do_not_count() -> None:
    assert len(savings(ROWS, COHEN, PROBIT).factors) == 4
    assert math.isnan(savings([ROWS[3]], COHEN, PROBIT).median)
    with pytest.raises(UnknownNameError, match="no baseline named 'rsopt'"):
        savings(ROWS, OWN, PROBIT)


def test_radius_grid_is_round_and_within_reach() -> None:
    assert radius_grid(0.68) == pytest.approx([0.0, 0.2, 0.4, 0.6])
    assert radius_grid(0.0) == [0.0]
    for largest in np.linspace(0.01, 30, 50):
        grid = radius_grid(float(largest))
        assert grid[0] == 0.0
        assert 2 <= len(grid) <= 4 or largest < 0.05
        assert max(grid) <= largest


def test_summary_fits_a_terminal_and_says_what_it_means() -> None:
    out = io.StringIO()
    print_summary(Console(file=out, width=80), Results(ROWS, PROBIT))
    text = out.getvalue()
    assert max(len(line) for line in text.splitlines()) <= 80
    ours = next(line for line in text.splitlines() if line.startswith("│ rsopt"))
    mean = sum(item.radius() for item in ROWS if item.correct()) / len(ROWS)
    assert "80.0%" in ours
    assert f"{mean:.4f}" in ours
    assert "Cohen 2019: no number of samples is enough for 2 of 4 inputs." in text
    assert "median over the inputs" in text


def test_summary_of_a_run_without_any_certified_input() -> None:
    out = io.StringIO()
    print_summary(Console(file=out, width=80), Results([ROWS[3]], PROBIT))
    assert "0.0%" in out.getvalue()


def test_plot_draws_one_curve_a_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes

    drawn: dict[str, tuple[list[float], list[float]]] = {}
    step = Axes.step

    def spy(self, x, y, **options):
        drawn[options["label"].split(",")[0]] = (list(x), list(y))
        return step(self, x, y, **options)

    monkeypatch.setattr(Axes, "step", spy)
    save_plot(tmp_path / "plot.png", Results(ROWS, PROBIT), "five inputs")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert list(drawn) == ["melded (conjectured)", "Cohen 2019", "Clopper–Pearson", "rsopt"]
    radii, share = drawn["rsopt"]
    correct = sorted(item.radius() for item in ROWS if item.correct())
    assert radii == [0.0, *correct, correct[-1]]
    assert share == pytest.approx([0.8, 0.8, 0.6, 0.4, 0.2, 0.0])
    assert all(max(radii) >= max(drawn[name][0]) - 1e-3 for name in drawn)


@pytest.mark.parametrize("rows", [[ROWS[3]], [ROWS[2]], [Row(0, None, None, "", 0, 0, 0, 0, (), {}, 0.0, "failed")]])
def test_plot_of_poor_runs(rows: list[Row], tmp_path: Path) -> None:
    save_plot(tmp_path / "plot.png", Results(rows, PROBIT), "poor")
    assert (tmp_path / "plot.png").stat().st_size > 10_000


def test_plot_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"The plot .* cannot be written"):
        save_plot(tmp_path / "file" / "plot.png", Results(ROWS, PROBIT), "")


def test_baselines_in_the_rows_are_those_of_the_library() -> None:
    assert set(ROWS[0].bounds) == {OWN, *RIVALS}
    assert ROWS[0].radius(COHEN) == rsopt.baselines.cohen([900, 60, 40], top=0, alpha=ALPHA).radius(sigma=SIGMA)


def test_the_melded_limit_is_shown_as_conjectured_and_says_nothing_about_what_is_certified() -> None:
    own = MethodBound(OWN, 0.8, 0.8, 0.2)
    rows = [Row(0, 0, 0, "label", 0, 100, 60, 2, (60, 2, 38), {OWN: own, MELDED: MethodBound(MELDED, 2.0, 2.0, 0.5)},
                0.0)]
    results = Results(rows, PROBIT)
    assert results.largest == 0.2
    lines = {line["method"]: line for line in results.to_dict()["methods"]}
    assert (lines[MELDED]["conjectured"], "conjectured" in lines[OWN]) == (True, False)
    out = io.StringIO()
    print_summary(Console(file=out, width=80), results)
    assert out.getvalue().count("melded (conjectured)") == 2
    assert "certify nothing" in " ".join(out.getvalue().split())


def test_a_melded_limit_of_some_rows_is_not_compared() -> None:
    """As in a run that an earlier version began: shares would be of different rows."""
    own = MethodBound(OWN, 0.8, 0.8, 0.2)
    with_both = Row(0, 0, 0, "label", 0, 100, 60, 2, (60, 2, 38), {OWN: own, MELDED: MethodBound(MELDED, 2, 2, 0.5)}, 0)
    without = Row(1, 0, 0, "label", 0, 100, 60, 2, (60, 2, 38), {OWN: own}, 0.0)
    failed = Row(2, None, None, "", 0, 0, 0, 0, (), {}, 0.0, "failed")
    assert Results([with_both, without], PROBIT).methods == [OWN]
    assert Results([with_both, failed], PROBIT).methods == [OWN, MELDED]
