"""The comparison of widths: table, picture, example."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.image import imread
from places import EXAMPLES

from rsopt.errors import InvalidInputError, StorageError, UnknownNameError
from rsopt.intervals import names
from rsopt.intervals.comparison import FORMULAS, LAWS, LIMIT, compare_widths, save_width_plot


@pytest.mark.parametrize("law", list(LAWS))
def test_laws_have_the_variance_they_state(law):
    sampler, variance = LAWS[law]
    sample = sampler(np.random.default_rng(0), 400_000)
    assert sample.min() >= 0.0
    assert sample.max() <= 1.0
    assert sample.var() == pytest.approx(variance, rel=0.03)


def test_rows_of_the_table_and_the_picture(tmp_path):
    sizes = (50, 2000)
    rows = compare_widths("unsure", sizes, alpha=0.01, runs=5)
    assert [row.name for row in rows] == [*FORMULAS, *names()]
    widths = {row.name: np.array(row.widths) for row in rows}
    for name in names():
        assert (widths[name] > 0.0).all()
        assert widths[name][1] < widths[name][0]
    assert widths["empirical-bernstein"] == pytest.approx(widths["w^EB"], rel=0.05)
    assert widths["digital-hedge"][1] == pytest.approx(widths[LIMIT][1], rel=0.1)
    assert compare_widths("unsure", sizes, alpha=0.01, runs=5) == rows
    save_width_plot(tmp_path / "widths.png", rows, sizes, law="unsure", alpha=0.01)
    picture = imread(tmp_path / "widths.png")
    assert picture.shape[0] > 500
    assert np.unique(picture[..., :3].reshape(-1, 3), axis=0).shape[0] > 50
    with pytest.raises(StorageError, match="cannot be written"):
        save_width_plot(tmp_path / "widths.png" / "widths.png", rows, sizes, law="unsure", alpha=0.01)


def test_bad_input_is_named():
    with pytest.raises(UnknownNameError, match="Did you mean 'votes'"):
        compare_widths("vote", (10,))
    for sizes, runs in (((), 5), ((1, 10), 5), ((10,), 0)):
        with pytest.raises(InvalidInputError, match="sizes of at least 2"):
            compare_widths("votes", sizes, runs=runs)
    with pytest.raises(InvalidInputError, match="alpha"):
        compare_widths("votes", (10,), alpha=1.0)


def test_the_example_runs_and_its_claims_hold(tmp_path):
    example = EXAMPLES / "compare_intervals.py"
    done = subprocess.run([sys.executable, str(example), "--runs", "8", "--output", str(tmp_path / "widths.png")],
                          capture_output=True, text=True, check=True)
    assert "digital-hedge" in done.stdout
    assert (tmp_path / "widths.png").stat().st_size > 10_000
