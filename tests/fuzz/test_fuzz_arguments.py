"""Arguments of every public function and command: understood exactly as given, or refused in our words.

By hand: FUZZ=20000 python -m pytest tests/fuzz.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import run
from mutations import TEXTS, VALUES, outcome, pick, seeded
from small_run import work

import rsopt
from rsopt import baselines, compat, intervals, noise, smoothing, testing
from rsopt.errors import RsoptError
from rsopt.noise.flip_margin import FlipMargin
from rsopt.smoothing import SmoothedClassifier, Stream

ROWS = np.random.default_rng(0).dirichlet([20.0, 3.0, 2.0], size=40)
QUESTION = rsopt.Question(0.25, alpha=0.01)
BOUND = rsopt.lower_bound([90, 6, 4], 0)


def draws(n: int) -> list[int]:
    """Votes of n samples."""
    return [n, 0]


def deletions(r: int) -> FlipMargin:
    """The margin after r deletions."""
    return noise.Flips(0.05, 0.6).margin(0, r)


def net() -> SmoothedClassifier:
    """A classifier of two pixels."""
    return SmoothedClassifier(torch.nn.Linear(2, 3), 0.25, 3, progress=False)


# function: arguments that have a meaning, of which one or two are replaced.
CALLS: Mapping[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "lower_bound": (rsopt.lower_bound, {
        "counts": [90, 6, 4], "top": 0, "functional": "probit", "statistic": "studentized", "alpha": 1e-3,
        "solver": "scipy", "order": None, "budget": None}),
    "two_way": (baselines.two_way_clopper_pearson, {"counts": [90, 6, 4], "top": 0, "functional": "probit",
                                                    "alpha": 1e-3, "order": None}),
    "cohen": (baselines.cohen, {"counts": [90, 6, 4], "top": 0, "functional": "margin", "alpha": 1e-3}),
    "bonferroni": (baselines.bonferroni, {"counts": [90, 6, 4], "top": 0, "functional": "margin", "alpha": 1e-3}),
    "melded": (baselines.melded, {"counts": [90, 6, 4], "top": 0, "functional": "margin", "alpha": 1e-3}),
    "e_process_bound": (rsopt.e_process_bound, {"counts": [90, 6, 4], "top": 0, "functional": "probit", "alpha": 1e-3,
                                                "mixture": rsopt.DirichletMixture()}),
    "DirichletMixture": (rsopt.DirichletMixture, {"weight": 0.5, "selection": (9, 1)}),
    "plan": (rsopt.plan, {"counts": [90, 6, 4], "top": 0, "radius": 0.1, "sigma": 0.25, "alpha": 0.01,
                          "functional": "probit", "statistic": "studentized", "order": None, "chance": 0.9,
                          "seed": 0}),
    "largest_certified": (rsopt.largest_certified, {
        "counts": [90, 6, 4], "top": 0, "radii": [1], "functional_of": noise.Flips(0.1, 0.4).margin_within,
        "statistic": "clopper-pearson", "alpha": 1e-3}),
    "simultaneous": (rsopt.simultaneous, {
        "counts": [[90, 6, 4], [60, 30, 10]], "tops": [0, 0], "level": 0.0, "alpha": 1e-3, "functional": "probit",
        "statistic": "studentized"}),
    "lower_bounds": (rsopt.lower_bounds, {
        "counts": [[90, 6, 4], [60, 30, 10]], "tops": [0, 0], "alpha": 1e-3, "functional": "probit",
        "statistic": "studentized", "solver": "scipy", "order": None, "jobs": 1, "advanced": abs}),
    "upper_bound": (rsopt.upper_bound, {
        "counts": [90, 6, 4], "top": 0, "rival": 1, "functional": "probit", "statistic": "clopper-pearson",
        "alpha": 1e-3, "solver": "scipy", "order": None, "budget": None}),
    "margin_interval": (rsopt.margin_interval, {
        "counts": [90, 6, 4], "top": 0, "rival": None, "functional": "probit", "statistic": "studentized",
        "upper_statistic": "clopper-pearson", "alpha": 1e-3, "solver": "scipy", "order": None, "budget": None}),
    "certified_accuracy": (rsopt.certified_accuracy, {
        "radii": [0.0, 0.25, 0.5], "correct": [False, True, True], "alpha": 1e-3, "confidence": 0.95, "at": None}),
    "probability_band": (rsopt.probability_band, {
        "votes": [90, 60], "samples": [100, 100], "confidence": 0.95, "error": None, "look_share": [1.0, 0.5],
        "variation": 0.0, "at": [0.5]}),
    "lower_bound_scores": (rsopt.lower_bound_scores, {
        "scores": ROWS, "top": 0, "functional": "probit", "method": "digital-hedge", "alpha": 0.01, "groups": None,
        "selection": None, "seed": 0}),
    "radius": (BOUND.radius, {"noise": None, "sigma": 0.25, "norm": None, "dimension": None, "lipschitz": None}),
    "Counts": (rsopt.Counts, {"votes": [90, 6, 4], "top": 0, "rival": None}),
    "Budget": (rsopt.Budget, {"seconds": 60.0, "evaluations": 1000}),
    "Looks": (rsopt.Looks, {"most": 1000, "alpha": 0.001, "first": 20, "growth": 1.35, "chunk": 1,
                            "spending": "equal"}),
    "Question": (rsopt.Question, {"sigma": 0.25, "functional": "probit", "order": None, "statistic": "studentized",
                                  "alpha": 0.01, "solver": "scipy"}),
    "TargetRadii": (rsopt.TargetRadii, {"radii": (0.1,), "question": QUESTION, "looks": rsopt.Looks(1000, 0.01),
                                        "give_up": 0.05}),
    "Precision": (rsopt.Precision, {"share": 0.1, "question": QUESTION, "looks": rsopt.Looks(1000, 0.01),
                                    "upper_alpha": 0.05}),
    "adaptive_bound": (rsopt.adaptive_bound, {
        "draw": draws, "policy": rsopt.TargetRadii((0.1,), QUESTION, rsopt.Looks(100, 0.01)), "top": 0}),
    "LowerBoundProblem": (rsopt.LowerBoundProblem, {
        "counts": rsopt.Counts([90, 6, 4], 0), "functional": "probit", "statistic": "studentized", "alpha": 0.01,
        "domain": rsopt.Simplex()}),
    "worst_case": (rsopt.LowerBoundProblem(rsopt.Counts([90, 6, 4], 0), "probit", "studentized", 0.01).worst_case,
                   {"level": 1.0}),
    "p_value": (rsopt.LowerBoundProblem(rsopt.Counts([90, 6, 4], 0), "probit", "studentized", 0.01).p_value,
                {"level": 1.0}),
    "curve": (rsopt.LowerBoundProblem(rsopt.Counts([90, 6, 4], 0), "probit", "studentized", 0.01).curve,
              {"levels": [0.0, 1.0]}),
    "solve": (rsopt.LowerBoundProblem(rsopt.Counts([90, 6, 4], 0), "probit", "studentized", 0.01).solve,
              {"solver": "scipy", "budget": rsopt.Budget(), "seed": 0}),
    "get_solver": (rsopt.get_solver, {"name": "scipy", "grid": 48}),
    "TaylorProbitMargin": (rsopt.TaylorProbitMargin, {"order": 15, "gamma_share": 0.1}),
    "Simplex": (rsopt.Simplex, {"least_q1": 0.0}),
    "check_certificate": (rsopt.check_certificate, {"certificate": BOUND.certificate, "arithmetic": "double"}),
    "check_nested_certificate": (rsopt.check_nested_certificate, {
        "certificate": rsopt.largest_certified([95, 3, 2], 0, radii=(1, 2), functional_of=deletions).certificate,
        "arithmetic": "double"}),
    "check_transcript": (rsopt.check_transcript, {
        "source": rsopt.lower_bound_scores(ROWS, top=0).transcript, "scores": ROWS}),
    "compare": (rsopt.compare, {"problems": [], "solvers": ["scipy"], "seeds": (0,)}),
    "interval": (intervals.get("hoeffding"), {"rows": ROWS[:, 0], "alpha": 0.01, "lo": 0.0, "hi": 1.0,
                                              "weights": None}),
    "betting": (intervals.get("digital-hedge"), {"rows": ROWS[:, 0], "alpha": 0.01, "lo": 0.0, "hi": 1.0}),
    "intervals.get": (intervals.get, {"name": "hoeffding"}),
    "Gaussian": (noise.Gaussian, {"sigma": 0.25, "grid": 1 / 16}),
    "Laplace": (noise.Laplace, {"scale": 0.25, "grid": 1 / 16}),
    "Logistic": (noise.Logistic, {"scale": 0.25, "grid": 1 / 16}),
    "Uniform": (noise.Uniform, {"half_width": 0.25, "grid": 1 / 16}),
    "Ablation": (noise.Ablation, {"keep": 3, "positions": 9, "null": None}),
    "Deletion": (noise.Deletion, {"probability": 0.9, "null": 0}), "Flips": (noise.Flips, {"add": 0.1, "remove": 0.4}),
    "Coupled": (noise.Coupled, {"draw": draws, "differences": (0.1, 0.2)}),
    "get_noise": (noise.get_noise, {"name": "laplace", "scale": 0.5}),
    "as_noise": (noise.as_noise, {"noise": 0.5, "sigma": None}),
    "noise_from_dict": (noise.noise_from_dict, {"content": {"name": "laplace", "scale": 0.5}}),
    "SmoothedClassifier": (SmoothedClassifier, {"model": torch.nn.Linear(2, 3), "sigma": 0.25, "num_classes": 3,
                                                "chunk": 10, "batch": 20, "progress": False}),
    "certify": (net().certify, {"x": torch.zeros(2), "n": 20, "alpha": 0.05, "seed": 0, "n0": 10, "label": None,
                                "functional": "probit", "statistic": "studentized", "solver": "scipy", "index": 0}),
    "counts": (net().counts, {"x": torch.zeros(2), "n": 20, "seed": 0, "index": 0, "stream": Stream.ESTIMATION}),
    "predict": (net().predict, {"x": torch.zeros(2), "n": 20, "seed": 0, "alpha": 0.05, "index": 0}),
    "scores": (lambda **given: list(net().scores(**given)), {
        "x": torch.zeros(2), "n": 20, "seed": 0, "simplex": "softmax", "index": 0, "stream": Stream.ESTIMATION}),
    "under": (net().under, {"noise": noise.Laplace(0.5)}), "on": (net().on, {"device": "cpu"}),
    "provenance": (net().provenance, {"seed": 0}), "sampler": (net().sampler, {"seed": 0}),
    "answers": (net().sampler(0).answers, {"x": torch.zeros(2), "index": 0}),
    "chunk_counts": (net().sampler(0).chunk_counts, {
        "x": torch.zeros(2), "index": 0, "chunk": 0, "stream": Stream.ESTIMATION, "rows": 10}),
    "chunks_of": (net().sampler(0).chunks_of, {"n": 20}),
    "iter_counts": (lambda **given: list(net().sampler(0).iter_counts(**given)), {
        "x": torch.zeros(2), "index": 0, "n": 20, "stream": Stream.ESTIMATION, "first_chunk": 0}),
    "iter_scores": (lambda **given: list(net().sampler(0).iter_scores(**given)), {
        "x": torch.zeros(2), "index": 0, "n": 20, "simplex": smoothing.Softmax(), "stream": Stream.ESTIMATION,
        "first_chunk": 0}),
    "prepared": (net().sampler(0).prepared, {"x": torch.zeros(2), "index": 0}),
    "DigitsRecipe": (smoothing.DigitsRecipe, {"sigma": 0.25, "epochs": 30, "batch": 64, "peak_rate": 0.004, "seed": 0,
                                              "noise": None}),
    "digits_data": (smoothing.digits_data, {"train": False}),
    "Dataset": (smoothing.Dataset, {"images": torch.zeros(2, 2), "labels": torch.zeros(2, dtype=torch.int64)}),
    "as_dataset": (smoothing.as_dataset, {"data": [(torch.zeros(2), 0)], "called": "data"}),
    "image_folder": (smoothing.image_folder, {"folder": Path("nowhere"), "mode": "RGB"}),
    "Softmax": (smoothing.Softmax, {"temperature": 1.0}),
    "simplex_map": (smoothing.simplex_map, {"name": "softmax", "temperature": 1.0}),
    "lipschitz_constant": (smoothing.lipschitz_constant, {
        "network": torch.nn.Linear(2, 3), "input_shape": (2,), "simplex": None}),
    "load_data": (smoothing.load_data, {"name": "digits"}),
    "load_model": (smoothing.load_model, {"name": "torch.nn:ReLU", "weights": None, "device": None}),
    "load_weights": (smoothing.load_weights, {"model": torch.nn.Linear(2, 3), "path": Path("nowhere.pt")}),
    "fingerprint": (smoothing.fingerprint, {"model": torch.nn.Linear(2, 3)}),
    "check_functional": (testing.check_functional, {"functional": "probit"}),
    "check_statistic": (testing.check_statistic, {"statistic": "plugin", "functional": "margin"}),
    "check_noise": (testing.check_noise, {"noise": noise.Laplace(0.5), "x": torch.zeros(2), "neighbour": None,
                                          "rows": 500}),
    "check_solver": (testing.check_solver, {"solver": "scipy", "problems": testing.core()[:1], "tolerance": 0.01,
                                            "share": 0.9, "seconds": 60.0}),
    "zoo": (testing.zoo, {"least_n": 1, "most_n": 100}),
    "Smooth": (compat.Smooth, {"base_classifier": torch.nn.Linear(2, 3), "num_classes": 3, "sigma": 0.25, "seed": 0}),
    "Smooth.certify": (compat.Smooth(torch.nn.Linear(2, 3), 3, 0.25, 0).certify, {
        "x": torch.zeros(2), "n0": 10, "n": 20, "alpha": 0.05, "batch_size": 10}),
}


def test_every_public_name_that_can_be_called_is_here() -> None:
    called = {getattr(function, "__name__", "") for function, _ in CALLS.values()} | set(CALLS)
    public = {name for package in (rsopt, smoothing, testing)
              for name in package.__all__ if callable(value := getattr(package, name))
              and not (isinstance(value, type) and (inspect.isabstract(value) or is_dataclass(value)))}
    assert public - called <= {
        # It trains a network.
        "digits_model",
        # Types without arguments, and those whose makers are above.
        "solver_names", "RsoptError", "Margin", "ProbitMargin", "LaplaceMargin", "LogitMargin", "Studentized", "PlugIn",
        "ClopperPearson", "Inductive", "WorstCaseProblem", "Hardmax", "Identity", "Sparsemax", "Stream", "SimplexMap",
        "core", "simplex_map_names"}


@pytest.mark.parametrize("name", CALLS)
def test_functions(name: str) -> None:
    function, usual = CALLS[name]
    for rng in seeded(name, 60):
        given = dict(usual)
        for _ in range(int(rng.integers(1, 3))):
            given[pick(rng, list(usual))] = pick(rng, VALUES)
        # The checks of `rsopt.testing` end in an AssertionError that says which rule was broken.
        ours = (RsoptError, AssertionError) if name.startswith("check_") else RsoptError
        found = outcome(lambda given=given, ours=ours: function(**given), ours)
        if found is None:
            continue
        # What was understood is what was said.
        if "counts" in given and hasattr(found, "counts"):
            votes = getattr(given["counts"], "votes", given["counts"])
            assert tuple(int(vote) for vote in votes) == tuple(found.counts.votes)
            assert all(float(vote) == int(vote) >= 0 for vote in votes)
        if "alpha" in given and hasattr(found, "alpha"):
            assert not isinstance(given["alpha"], bool | str)
            assert found.alpha == float(given["alpha"])
        if hasattr(found, "lower"):
            assert not np.isnan(found.lower).any()
        if isinstance(found, float):
            assert not math.isnan(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("fuzz")
    work(place / "run")
    (place / "log.csv").write_text("idx,label,c0,c1,c2\n0,0,90,6,4\n1,1,5,80,15\n")
    BOUND.certificate.save(place / "bound.json")
    np.savez(place / "data.npz", images=np.zeros((2, 2), np.float32), labels=np.array([0, 1]))
    return place


COMMANDS: Mapping[str, tuple[list[str], dict[str, list[str]]]] = {
    "bound": (["900", "60", "40"], {"--top": ["0"], "--functional": ["margin"], "--statistic": ["clopper-pearson"],
                                    "--alpha": ["0.01"], "--solver": ["scipy"], "--sigma": ["0.25"], "--order": ["3"],
                                    "--json": [], "--anytime": [], "--selection": ["9,1,0"],
                                    "--two-sided": [], "--rival": ["1"]}),
    "plan": (["--counts", "900,60,40"], {"--radius": ["0.1"], "--sigma": ["0.25"], "--top": ["0"], "--alpha": ["0.01"],
                                   "--functional": ["margin"], "--chance": ["0.9"], "--seed": ["0"],
                                   "--noise": ["deletion"], "--probability": ["0.9"]}),
    "verify": (["{folder}/bound.json"], {"--arithmetic": ["arb"], "--workers": ["1"]}),
    "recertify": (["{folder}/log.csv"], {"--sigma": ["0.25"], "--n": ["100"], "--log-alpha": ["0.01"], "--json": [],
                                         "--top": ["label"], "--functional": ["probit"], "--jobs": ["1"]}),
    "export": (["{folder}/run", "{folder}/out"], {"--format": ["verona"], "--method": ["cohen"]}),
    "report": (["{folder}/run", "--latex"], {"--radius": ["0.25"], "--output": ["{folder}/table.tex"]}),
    "compare-runs": (["{folder}/run", "{folder}/run"], {"--json": []}),
    "intervals": ([], {"--n": ["100"], "--alpha": ["0.01"], "--law": ["beta"], "--runs": ["1"]}),
    "certify": (["--model", "nowhere:net", "--data", "{folder}/data.npz"], {
        "--n": ["100"], "--sigma": [".1,.2"], "--json": [], "--alpha": ["0.01"], "--n0": ["10"], "--label-mode": [],
        "--inputs": ["1"], "--skip": ["1"], "--functional": ["probit"], "--target-radius": ["0.1"],
        "--precision": ["5%"], "--spending": ["equal"], "--scores": ["softmax"], "--temperature": ["1"],
        "--chunk": ["10"], "--workers": ["1"], "--device": ["cpu"], "--seed": ["0"]}),
    "compare": (["--n", "10", "--solvers", "scipy", "--seeds", "1"], {
        "--n": ["10"], "--solvers": ["scipy"], "--functional": ["margin"], "--seconds": ["5"], "--seeds": ["1"],
        "--no-bounds": [], "--profile": [], "--output": ["{folder}/compared"]}),
    "zoo": (["{folder}/zoo"], {"--most-terms": ["10"], "--no-nl": []}),
    "solvers": ([], {"--json": []}),
}


# Commands that write a page, proofs or a table of solvers take seconds where the arguments have a meaning.
FEW = {"report": 5, "zoo": 1, "compare": 8}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    usual, options = COMMANDS[name]
    for rng in seeded(name, FEW.get(name, 40)):
        words = list(usual)
        for option, values in options.items():
            if rng.random() < 0.4:
                words += [option, *(pick(rng, TEXTS) if rng.random() < 0.4 else value for value in values)]
        if rng.random() < 0.3 and words:
            words[int(rng.integers(len(words)))] = pick(rng, TEXTS)
        # Commands that would work for long, and the help text, are for others to test.
        words = [word.format(folder=folder) if word.startswith("{folder}") else word for word in words]
        if "\x00" in "".join(words):
            continue  # no shell can say it
        result = run(name, *words)
        assert result.exception is None or isinstance(result.exception, SystemExit), (words, result.exception)
        assert result.exit_code in (0, 1, 2), words
        assert "Traceback" not in result.output
        if result.exit_code:
            assert result.output.strip(), words
