"""`rsopt certify` from models and data of every kind, and everything that it refuses."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import MODULE, refused, run

from rsopt.noise import Gaussian
from rsopt.question import Question
from rsopt.runs.certify import certify
from rsopt.runs.folder import STORE
from rsopt.runs.inputs import Inputs
from rsopt.runs.store import facts_of
from rsopt.runs.task import Task
from rsopt.sequential.policy import FixedSamples
from rsopt.smoothing import SmoothedClassifier, load_model


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a module of models and data, and the weights for them."""
    (tmp_path / "own_models.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    weights = torch.tensor([[1.0, -1, -1, -1], [-1, 1, -1, -1], [-1, -1, 1, 1]])
    torch.save({"1.weight": weights, "1.bias": torch.zeros(3)}, tmp_path / "weights.pt")
    np.savez(tmp_path / "data.npz", images=np.eye(4, dtype=np.float32).reshape(4, 2, 2), labels=[0, 1, 2, 2])
    return tmp_path


SMALL = ("--n", 300, "--n0", 40, "--alpha", 0.01, "--sigma", 0.3, "--chunk", 50)


def table(folder: Path) -> list[list[str]]:
    with (folder / "table.tsv").open() as file:
        lines = csv.DictReader(file, delimiter="\t")
        return [[cell for name, cell in line.items() if name != "time"] for line in lines]


def test_a_module_and_a_file_give_the_same_table(place: Path) -> None:
    model = ("--model", "own_models:build", "--weights", "weights.pt")
    result = run("certify", *model, "--data", "own_models:data", *SMALL)
    assert result.exit_code == 0, result.output
    assert ("own_models:build on own_models:data: 4 inputs, 3 classes, Gaussian noise, sigma 0.3 on the grid of 1/255, "
            "n 300") in result.stdout
    folder = place / "runs" / "own_models-build-weights-own_models-data-sigma-0.3-n-300-alpha-0.01-n0-40-chunk-50"
    assert {path.name for path in folder.iterdir()} >= {
        "certificates", "certified_accuracy.png", "run.sqlite", "table.tsv"}
    assert run("certify", *model, "--data", "data.npz", *SMALL, "--output", "other").exit_code == 0
    assert table(place / "other") == table(folder)
    assert {line[4] for line in table(folder)} == {"1"}
    verified = run("verify", folder)
    assert verified.exit_code == 0
    assert re.fullmatch(r".*: 4 of 4 proofs hold, at alpha 0\.01 less \d\.\de-\d\d for the draws\.\n", verified.stdout)
    again = run("certify", *model, "--data", "own_models:data", *SMALL)
    assert "Going on with a run that has 4 finished inputs" in again.stdout


def test_label_mode_and_soft_outputs(place: Path) -> None:
    options = [*SMALL[:2], *SMALL[4:], "--label-mode", "--scores", "sparsemax", "--inputs", 2, "--skip", 2]
    result = run("certify", "--model", "own_models:build", "--weights", "weights.pt", "--data", "data.npz", *options)
    assert result.exit_code == 0, result.output
    assert "the certified class is the known label" in result.stdout
    assert "rsopt soft, R2" in result.stdout
    (folder,) = (place / "runs").iterdir()
    lines = table(folder)
    assert [line[0] for line in lines] == ["0", "2"]
    assert "label" in lines[0]


def test_temperature_and_method_are_chosen_or_given(place: Path) -> None:
    model = ("certify", "--model", "own_models:build", "--weights", "weights.pt", "--data", "data.npz")
    options = (*model, *SMALL, "--scores", "softmax", "--temperature", "auto")
    chosen = run(*options, "--output", "auto")
    assert chosen.exit_code == 0, chosen.output
    assert re.search(r"scores +softmax at temperature [\d.]+, bounded by (drawn-votes|digital-hedge); chosen on the "
                     r"selection samples from temperatures 0.001, .*, 2 and methods drawn-votes, digital-hedge\n",
                     chosen.stdout)
    given = run(*options, "--score-method", "fast-betting", "--output", "given")
    assert re.search(r"scores +softmax at temperature [\d.]+, bounded by fast-betting; chosen on the selection samples "
                     r"from temperatures 0.001, .*, 2\n", given.stdout)
    assert "proofs hold, at alpha" in run("verify", place / "auto").stdout
    both = [{line.split("\t")[-4] for line in (place / name / "table.tsv").read_text().splitlines()[1:]}
            for name in ("auto", "given")]
    assert both[0] != both[1]


def test_the_preset(tmp_path: Path) -> None:
    result = run("certify", "--inputs", 5, "--n", 500, "--output", tmp_path / "digits")
    assert result.exit_code == 0, result.output
    assert "digits: 5 inputs, 10 classes, Gaussian noise, sigma 0.25 on the grid of 1/16, n 500" in result.stdout
    assert len(table(tmp_path / "digits")) == 5
    text = refused_late("--inputs", 5, "--n", 500, "--sigma", 0.5, "--output", tmp_path / "digits")
    assert "holds another run: the model has other weights or layers; noise.sigma is 0.25 there and 0.5 here." in text


def refused_late(*options: object) -> str:
    """The error of a run that is refused once model and data were loaded."""
    result = run("certify", *options)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    return result.stderr.removeprefix("rsopt: ")


@pytest.mark.parametrize(("options", "text"), [
    (("--model", "own_models:build"), "Give --data too"),
    (("--data", "data.npz"), "Give --model too"),
    (("--preset", "digits", "--model", "own_models:build"), "--preset brings its own model and data"),
    (("--preset", "digit"), "There is no preset named 'digit'. Did you mean 'digits'?"),
    (("--weights", "weights.pt"), "The preset 'digits' brings its own weights"),
    (("--label-mode", "--n0", 50), "--label-mode certifies the known label and draws no selection samples"),
    (("--target-radius", 5), "no number of samples reaches it. Use a smaller target radius or a larger sigma"),
    (("--sigma", 0), "sigma must be a positive number"),
    (("--score-method", "drawn-votes"), "--score-method belongs to --scores"),
    (("--temperature", 2), "--temperature belongs to --scores"),
    (("--scores", "softmax", "--temperature", "warm"), "--temperature must be a positive number or 'auto'; got 'warm'"),
    (("--scores", "softmax", "--score-method", "digital-hegde"), "Did you mean 'digital-hedge'?"),
    (("--scores", "softmax", "--score-method", "hoeffding"), "There is no method for scores named 'hoeffding'"),
    (("--n", 9), "At alpha 0.001 nothing can be certified with fewer than 10 samples, even if all vote for the class"),
    (("--n", 0), "n must be a whole number of samples from 1"),
    (("--n0", 0), "n0 must be at least 1"),
    (("--alpha", 1), "alpha must lie strictly between 0 and 1/2"),
    (("--functional", "probit", "--order", 3), "order"),
    (("--solver", "scipi"), "Did you mean 'scipy'?"),
    (("--model", "own_models:biuld", "--data", "data.npz"), "Did you mean 'build'?"),
    (("--model", "own_models:build", "--data", "absent.npz"), "The data file absent.npz cannot be read"),
    (("--model", "own_models:build", "--weights", "absent.pt", "--data", "data.npz"), "weights file absent.pt"),
    (("--device", "cuda:7"), "The device 'cuda:7' cannot be used")])
def test_what_certify_refuses_at_once(options: tuple[object, ...], text: str, place: Path) -> None:
    assert text in refused("certify", *options)
    assert not (place / "runs").exists()


@pytest.mark.parametrize(("options", "text"), [
    (("--scores", "soft"), "There is no simplex map named 'soft'. Did you mean 'softmax'?"),
    (("--scores", "soft", "--temperature", "auto"), "There is no simplex map named 'soft'. Did you mean 'softmax'?"),
    (("--scores", "hardmax", "--temperature", 2), "temperature belongs to the simplex map 'softmax'"),
    (("--classes", 4), "the model returned 3 columns, but num_classes is 4")])
def test_what_certify_refuses_with_the_model_at_hand(options: tuple[object, ...], text: str, place: Path) -> None:
    assert text in refused_late("--model", "own_models:build", "--data", "data.npz", "--inputs", 1, *options)


def test_a_model_without_classes_is_refused(place: Path) -> None:
    np.savez(place / "wide.npz", images=np.zeros((2, 1, 1), dtype=np.float32), labels=[0, 0])
    assert "The model returns one column for an image; votes need a column of scores for each class" in refused_late(
        "--model", "own_models:flat", "--data", "wide.npz")


def test_weights_that_nobody_named_are_spoken_of(place: Path) -> None:
    options = ("--data", "data.npz", *SMALL, "--inputs", 1)
    assert "Without --weights, own_models:build is certified with the weights that it comes with, trained or not." in \
        run("certify", "--model", "own_models:build", *options).stdout
    assert "own_models:Fresh has the weights that its class begins with: an untrained model, unless" in \
        run("certify", "--model", "own_models:Fresh", *options).stdout
    named = run("certify", "--model", "own_models:build", "--weights", "weights.pt", *options, "--output", "named")
    assert "Without --weights" not in named.stdout


def test_asking_for_the_classes_changes_no_input(place: Path) -> None:
    # Input 0 has negative pixels, which a first layer in place would set to 0 in the data set itself.
    np.savez(place / "signed.npz", images=np.array([[[0.3, -2.0], [-2.0, -2.0]], [[0.1, 0.2], [0.3, 0.4]]], np.float32),
             labels=[0, 1])
    for name, options in (("asked", ()), ("told", ("--classes", 3))):
        assert run("certify", "--model", "own_models:in_place", "--data", "signed.npz", *SMALL, *options, "--output",
                   name).exit_code == 0
    assert table(place / "asked") == table(place / "told")


def test_a_device_without_numbers(place: Path) -> None:
    assert "The model lies on the device 'meta', which holds shapes and no numbers. Make it on another" in refused(
        "certify", "--model", "own_models:build", "--data", "data.npz", "--device", "meta")
    assert "The device 'meta' holds shapes and no numbers. Give the workers another one" in refused_late(
        "--model", "own_models:build", "--data", "data.npz", "--device", "meta", "--workers", 2)


def test_a_folder_that_is_a_file(place: Path) -> None:
    (place / "taken").write_text("")
    text = refused_late("--model", "own_models:build", "--data", "data.npz", "--output", "taken")
    assert "cannot be written" in text


def test_one_seed_gives_one_sample_from_python_and_on_the_command_line(place: Path) -> None:
    """No chunk is said anywhere: the defaults are the same."""
    options = ("--sigma", 0.3, "--n", 450, "--n0", 90, "--alpha", 0.01, "--seed", 5)
    result = run("certify", "--model", "own_models:fixed", "--data", "data.npz", *options, "--output", "told")
    assert result.exit_code == 0, result.output
    images, noise = np.load("data.npz")["images"], Gaussian(0.3, grid=1 / 255)
    task = Task(Question(noise), FixedSamples(450, 0.01), n0=90)
    smoothed = SmoothedClassifier(load_model("own_models:fixed"), noise, 3)
    rows = certify(smoothed, Inputs(torch.from_numpy(images), [0, 1, 2, 2], range(4)), task, seed=5,
                   output=place / "library")
    assert table(place / "told") == table(place / "library")
    for row in rows:
        found = smoothed.certify(images[row.idx], n=450, n0=90, alpha=0.01, seed=5, index=row.idx)
        assert (found.predict, found.bound.counts.votes, found.radius) == (row.top, row.counts, row.radius())
        assert found.bound.lower == row.bounds["rsopt"].lower
        assert row.reported is not None
        assert found.bound.alpha == row.reported.alpha < 0.01 == found.alpha
        assert found.total_variation == noise.total_variation(450, images[0].size) > 0.0


def test_data_off_the_grid_of_bytes_have_none_unless_one_is_said(place: Path) -> None:
    """And what is off the one that is said is refused before anything is sampled, by number."""
    arrays = dict(np.load("data.npz"))
    arrays["images"][2, 0] += 0.25
    np.savez("off.npz", **arrays)
    model = ("certify", "--model", "own_models:fixed", "--data", "off.npz", *SMALL)
    result = run(*model, "--inputs", 1, "--output", "plain")
    assert "Gaussian noise, sigma 0.3, n 300" in result.stdout
    assert "total variation" not in result.stdout
    result = run(*model, "--grid", "1/4", "--output", "quarters")
    assert "sigma 0.3 on the grid of 1/4, n 300" in result.stdout
    assert "in total variation over all draws for an input, which is subtracted from alpha" in result.stdout
    assert run("verify", "quarters").exit_code == 0
    text = refused_late(*model[1:], "--grid", "1/255", "--output", "refused")
    assert re.match(r"Input 2: Inputs must be multiples of 1/255, .*Round them to the grid first", text)
    assert not (place / "refused" / STORE).exists()


def test_a_run_keeps_the_noise_it_was_begun_with(place: Path) -> None:
    """One that was begun without a grid goes on without, unless a grid is asked for; then the difference is named."""
    model = ("certify", "--model", "own_models:fixed", "--data", "data.npz", "--inputs", 1, *SMALL, "--output", "kept")
    assert "sigma 0.3, n 300" in run(*model, "--grid", "none").stdout
    assert "Going on with a run that has 1 finished inputs" in run(*model).stdout
    text = refused_late(*model[1:], "--grid", "1/255")
    assert "noise.grid is not said there and 0.00392156862745098 here" in text


@pytest.mark.parametrize(("first", "chunk"), [(("--chunk", 30), 30), ((), 200), (("--target-radius", 0.1), 50)])
def test_a_run_keeps_the_chunk_it_was_begun_with(first: tuple[object, ...], chunk: int, place: Path) -> None:
    model = ("certify", "--model", "own_models:fixed", "--data", "data.npz", "--inputs", 1, *SMALL[:-2])
    begun = run(*model, *first, "--output", "kept")
    assert begun.exit_code == 0, begun.output
    again = [option for option in first if option not in ("--chunk", 30)]
    result = run(*model, *again, "--output", "kept")
    assert result.exit_code == 0, result.output
    assert "Going on with a run that has 1 finished inputs" in result.stdout
    assert facts_of(place / "kept" / STORE)["sampling.chunk"] == chunk
    if not again:
        assert f"chunk is {chunk} there and 77 here." in refused_late(
            *model[1:], "--output", "kept", "--chunk", 77)


@pytest.mark.parametrize("text", ["2e2", "nan", ""])
def test_a_number_of_samples_in_another_spelling_is_refused(text: str) -> None:
    result = run("certify", "--preset", "digits", "--n", text)
    assert result.exit_code == 2
    assert "Invalid value for '--n'" in result.stderr
    assert "Traceback" not in result.output


OPTIONS = [(), ("--alpha", 0.05), ("--n", 200), ("--n0", 30), ("--label-mode",), ("--seed", 1), ("--inputs", 2),
           ("--skip", 2), ("--sigma", 0.4), ("--noise", "laplace", "--scale", 0.3),
           ("--noise", "uniform", "--scale", 0.3),
           ("--functional", "margin"), ("--statistic", "clopper-pearson"), ("--target-radius", 0.1),
           ("--precision", "50%"), ("--scores", "softmax"), ("--scores", "softmax", "--temperature", 0.5)]


def test_default_folders_do_not_collide(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that ask something else go to folders of their own; the same command goes on."""
    monkeypatch.setattr("rsopt.commands.certifying.save_plot", lambda *_: None)
    command = ("certify", "--model", "own_models:fixed", "--data", "data.npz", "--n", 100)
    for options in OPTIONS:
        result = run(*command, *options)
        assert result.exit_code == 0, result.output
    names = {path.name for path in (place / "runs").iterdir()}
    assert len(names) == len(OPTIONS)
    assert "own_models-fixed-data.npz-sigma-0.25-n-100" in names
    assert "own_models-fixed-data.npz-noise-laplace-scale-0.3-n-100" in names
    again = run(*command, *OPTIONS[-1])
    assert "Going on with a run that has 4 finished inputs" in again.stdout
    assert len(names) == len(list((place / "runs").iterdir()))


def test_a_sweep_over_sigma(place: Path) -> None:
    command = ("certify", "--model", "own_models:fixed", "--data", "data.npz", "--n", 200)
    result = run(*command, "--sigma", "0.1,.3", "--sigma", 0.6, "--output", "sweep")
    assert result.exit_code == 0, result.output
    assert "The envelope is not one classifier" in " ".join(result.stdout.split())
    assert {path.name for path in (place / "sweep").iterdir()} == {
        "sigma-0.1", "sigma-0.3", "sigma-0.6", "sweep.png", "sweep.tsv"}
    alone = run(*command, "--sigma", 0.3, "--output", "alone")
    assert alone.exit_code == 0, alone.output
    assert table(place / "alone") == table(place / "sweep" / "sigma-0.3")
    told = json.loads(run(*command, "--sigma", "0.1 0.3 0.6", "--output", "sweep", "--json").stdout)
    shares = [run["methods"][0]["shares"] for run in told["sweep"]["runs"]]
    assert told["sweep"]["envelope"] == [max(column) for column in zip(*shares, strict=True)]
    assert [run["sigma"] for run in told["runs"]] == [0.1, 0.3, 0.6]
    with (place / "sweep" / "sweep.tsv").open() as file:
        lines = list(csv.DictReader(file, delimiter="\t"))
    curves: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        if line["method"] == "rsopt":
            curves.setdefault(line["noise"], []).append((float(line["radius"]), float(line["share"])))
    assert set(curves) == {"envelope", *(f"sigma {sigma} on the grid of 1/255" for sigma in (0.1, 0.3, 0.6))}
    for radius, share in curves.pop("envelope"):
        assert share == max(max((high for reach, high in curve if reach >= radius), default=0.0)
                            for curve in curves.values())


@pytest.mark.parametrize(("given", "text"), [
    (("0.1,0.2,0.1",), "--sigma names 0.1 more than once"), (("0.1,x",), "several with commas between them; found 'x'"),
    (("",), "found ''"), (("0.25,-1",), "sigma must be a positive number")])
def test_what_a_sweep_refuses(given: tuple[str, ...], text: str, place: Path) -> None:
    assert text in refused("certify", *(word for sigma in given for word in ("--sigma", sigma)))
    assert not (place / "runs").exists()


def test_a_run_as_json(place: Path) -> None:
    command = ("certify", "--model", "own_models:fixed", "--data", "data.npz", *SMALL, "--output", "run", "--json")
    result = run(*command)
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    told = json.loads(line)
    assert "own_models:fixed on data.npz: 4 inputs" in result.stderr
    rows = table(place / "run")
    assert (told["inputs"], told["failed"], told["n"], told["n0"], told["sigma"]) == (4, 0, 300, 40, 0.3)
    assert told["methods"][0]["method"] == "rsopt"
    right = [line for line in rows if line[4] == "1"]
    assert told["methods"][0]["mean_radius"] == pytest.approx(sum(float(line[3]) for line in right) / 4)
    assert told["table"] == "run/table.tsv"
    assert told["targets"] == []
