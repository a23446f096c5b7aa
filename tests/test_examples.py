"""The examples that take seconds run as they stand and assert their own numbers; longer ones do so when run by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from places import EXAMPLES


def run(name: str, *arguments: str) -> str:
    """What the example prints; it must not fail."""
    found = subprocess.run([sys.executable, str(EXAMPLES / name), *arguments], check=False, capture_output=True,
                           text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.parametrize(("name", "printed"), [
    ("quickstart.py", ["proven lower bound 2.72888", "Worst case (equation 10)"]),
    ("own_solver.py", ["proven with GoldenSection(scan=200, steps=40): 2.72889", "conformance: 14 problems"]),
    ("ablate_statistics.py", ["margin, truth 0.6800", "studentized", "two-way Clopper–Pearson"]),
])
def test_examples(name: str, printed: list[str]) -> None:
    text = run(name)
    for part in printed:
        assert part in text


def test_the_ablation_of_the_order_draws_its_picture(tmp_path: Path) -> None:
    text = run("ablate_taylor_order.py", "--output", str(tmp_path))
    assert "probit        0.7017        2.2229        5.7650" in text
    with Image.open(tmp_path / "taylor_order.png") as picture:
        assert picture.width > 900


@pytest.mark.parametrize(("name", "options", "printed", "picture"), [
    ("ablate_temperature.py", ("--inputs", "6"), "chosen among drawn-votes, digital-hedge:", "temperature.png"),
    ("ablate_simplex_map.py", ("--inputs", "6"), "votes, exact bound", "maps.png"),
    ("ablate_samples_soft.py", ("--inputs", "5"), "soft, R1", "samples.png"),
    ("soft_against_hard.py", ("--inputs", "15", "--n", "500"), "digital-hedge at", "soft_against_hard.png")])
def test_the_examples_of_soft_outputs_on_a_few_inputs(name: str, options: tuple[str, ...], printed: str, picture: str,
                                                      tmp_path: Path) -> None:
    assert printed in run(name, *options, "--output", str(tmp_path))
    with Image.open(tmp_path / picture) as drawn:
        assert drawn.width > 700


@pytest.mark.parametrize(("name", "options"), [
    ("ablate_sigma_alpha_n.py", ("--inputs", "2")), ("soft_against_hard.py", ("--inputs", "1", "--n", "100")),
    ("power_envelope.py", ("--n", "5", "--levels", "2"))])
def test_few_inputs_are_no_failure(name: str, options: tuple[str, ...], tmp_path: Path) -> None:
    """What an example asserts of its data holds for the data that it quotes, and for no few inputs of them."""
    assert run(name, *options, "--output", str(tmp_path))
    assert list(tmp_path.glob("*.png"))


@pytest.mark.parametrize(("name", "options", "printed", "picture"), [
    ("l1_digits.py", ("--inputs", "4", "--n", "500"), "uniform   two-way Clopper–Pearson", "l1.png"),
    ("ablation_digits.py", ("--inputs", "2", "--n", "200"), "   16  two-way Clopper–Pearson", "ablation.png"),
    ("deletion_text.py", ("--inputs", "4", "--n", "500"), "    90%  two-way Clopper–Pearson", "deletion.png"),
    ("brightness_and_shift.py", ("--inputs", "2", "--n", "200"), "  trained without   one class", "parameters.png"),
    ("sparse_flips.py", ("--inputs", "20", "--n", "1000"), "margin alone", "flips.png"),
    ("float_noise.py", ("--n", "1000"), "another class wins at distance 0.1", "float_noise.png"),
    ("segmentation.py", ("--images", "1", "--n", "500"), "certified and right", "segmentation.png")])
def test_the_examples_of_noise(name: str, options: tuple[str, ...], printed: str, picture: str, tmp_path: Path) -> None:
    assert printed in run(name, *options, "--output", str(tmp_path))
    with Image.open(tmp_path / picture) as drawn:
        assert drawn.width > 1000


def test_no_bound_passes_the_envelope_of_a_few_samples(tmp_path: Path) -> None:
    text = run("power_envelope.py", "--n", "20", "--levels", "20", "--output", str(tmp_path))
    assert "no bound passes the envelope at any level" in text
    assert "share of the means" in text
    with Image.open(tmp_path / "power_envelope.png") as picture:
        assert picture.width > 1400


def test_looks_take_no_fewer_samples_than_any_rule_must(tmp_path: Path) -> None:
    text = run("sequential_limit.py", "--streams", "4", "--inputs", "3", "--output", str(tmp_path))
    assert "target 75% of the true radius: looks take 1." in text
    with Image.open(tmp_path / "sequential_limit.png") as picture:
        assert picture.width > 1100
