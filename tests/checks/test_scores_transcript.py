"""Transcripts: re-checked from the file alone and against the rows; every change is rejected, rehashed or
not.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import betainc, ndtr
from score_laws import ADVERSARIAL, LAWS

from rsopt.checks import replay_few
from rsopt.checks.transcript import check_transcript
from rsopt.errors import CertificateError, RefusedError, StorageError
from rsopt.intervals import few_downs
from rsopt.scores.lower_bound_scores import lower_bound_scores
from rsopt.scores.stream import ScoreStream
from rsopt.transcript import FUNCTIONALS, Transcript

CASES = [(functional, method) for functional in FUNCTIONALS for method in ("digital-hedge", "fast-betting")]


def rehashed(content: dict) -> dict:
    """The content with the hash that belongs to it, as someone who changed the file would write it."""
    content = {key: value for key, value in content.items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return {**content, "sha256": hashlib.sha256(text.encode()).hexdigest()}


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return LAWS["sure or lost"](np.random.default_rng(1), 1500).astype(np.float32)


@pytest.mark.parametrize(("functional", "method"), CASES)
def test_transcripts_of_all_laws_are_proven_again(tmp_path, functional, method):
    for name, law in {**LAWS, **ADVERSARIAL}.items():
        for n in (3, 60, 1200):
            rows = law(np.random.default_rng(n), n)
            bound = lower_bound_scores(rows, top=0, functional=functional, method=method)
            path = tmp_path / "transcript.json"
            bound.transcript.save(path)
            found = check_transcript(path)
            assert (found.lower, found.alpha, found.n, found.top) == (bound.lower, bound.alpha, n, 0), name
            assert (found.functional, found.method, found.against_rows) == (functional, method, False)
            assert check_transcript(Transcript.load(path), rows).against_rows == (found.rivals > 0)
            assert check_transcript(json.loads(path.read_text())) == found


def test_long_runs_groups_and_selection_samples_are_proven_again():
    rows = LAWS["softmax, T=0.4"](np.random.default_rng(2), 40_000).astype(np.float16)
    selection = LAWS["softmax, T=0.4"](np.random.default_rng(3), 100)
    for functional in FUNCTIONALS:
        bound = lower_bound_scores(rows, top=0, functional=functional, selection=selection)
        found = check_transcript(bound.transcript, rows)
        assert (found.lower, found.against_rows) == (bound.lower, True)
        assert found.rivals < 9
        assert found.nulls > 300


@pytest.mark.parametrize(("functional", "method"), CASES)
def test_a_bound_taken_along_the_way_keeps_its_transcript(rows, functional, method):
    stream = ScoreStream(len(rows), rows.shape[1], top=0, functional=functional, method=method)
    stream.push(rows[:900])
    early = stream.bound()
    stream.push(rows[900:])
    found = check_transcript(early.transcript, rows[:900])
    assert (found.lower, found.n) == (early.lower, len(rows))
    assert 0.0 < early.lower < stream.bound().lower


def test_a_checker_process_loads_none_of_the_betting_code(tmp_path, rows):
    path = tmp_path / "transcript.json"
    bound = lower_bound_scores(rows, top=0, functional="probit")
    bound.transcript.save(path)
    code = ("import sys\n"
            "sys.modules['rsopt.intervals'] = sys.modules['rsopt.scores.stream'] = None\n"
            "from rsopt.checks.transcript import check_transcript\n"
            f"print(repr(check_transcript({str(path)!r}).lower))\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == bound.lower


def test_a_changed_file_is_rejected(tmp_path, rows):
    path = tmp_path / "transcript.json"
    lower_bound_scores(rows, top=0, functional="margin").transcript.save(path)
    text = path.read_text()
    content = json.loads(text)
    content["rivals"][0]["bets"][3] *= 1.0 + 1e-9
    path.write_text(json.dumps(content))
    for check in (check_transcript, Transcript.load):
        with pytest.raises(CertificateError, match="changed after it was written"):
            check(path)
    path.write_text(text[:-40])
    with pytest.raises(CertificateError, match="not JSON"):
        check_transcript(path)
    path.write_text("{}")
    for check in (check_transcript, Transcript.load):
        with pytest.raises(CertificateError, match="no transcript of this version"):
            check(path)
    with pytest.raises(StorageError, match="cannot be read"):
        check_transcript(tmp_path / "absent.json")
    with pytest.raises(StorageError, match="cannot be written"):
        lower_bound_scores(rows, top=0, functional="margin").transcript.save(path / "transcript.json")


def altered(content: dict, where: str) -> dict:
    """A copy with one thing changed to the forger's advantage, or just changed."""
    new = copy.deepcopy(content)
    rival = new["rivals"][0]
    late = len(rival["bets"]) - 5
    if where == "one bet":
        rival["bets"][late] *= 1.001
    elif where == "one bet more":
        rival["bets"].append(rival["bets"][-1])
    elif where == "final capital":
        rival["log_capital"] += 0.01
    elif where == "lower":
        new["lower"] += 1e-6
    elif where == "lower and null":
        new["lower"] += 0.02
        new["null"] += 0.02 if content["functional"] != "margin" else 0.01
    elif where == "next grid null":
        new["grid"]["index"] += 1
    elif where == "grid":
        new["grid"]["centre"] += 0.1 * new["grid"]["scale"]
    elif where == "alpha":
        new["alpha"] = 5e-4
    elif where == "n":
        new["n"] += 100
    elif where == "first stage":
        new["first_stage"] -= 1
    elif where == "top":
        new["top"] = 1
    elif where == "a rival less":
        new["rivals"] = new["rivals"][1:]
    elif where == "a slope":
        run = next(run for run in rival["slopes"] if run[0] > 1.0)
        run[0] *= math.exp(0.02)
    elif where == "a kept row":
        k = next(k for k, kept in enumerate(rival["kept"]) if kept)
        rival["kept"][k][0] = min(1.0, rival["kept"][k][0] + 0.01)
    elif where == "a lone row":
        k = next(k for k, kept in enumerate(rival["kept"]) if not kept and not rival["folded"][k])
        rival["sums"][k][0] = min(1.0, rival["sums"][k][0] + 0.05)
    elif where == "a power sum":
        k = next(k for k, folded in enumerate(rival["folded"]) if folded)
        rival["folded"][k][3] *= 0.99
    elif where == "a smallest row":
        k = next(k for k, folded in enumerate(rival["folded"]) if folded)
        rival["folded"][k][2] = rival["folded"][k][1] + 0.01
    elif where == "not a number":
        rival["log_capital"] = math.nan
    elif where == "a missing entry":
        del rival["folded"]
    elif where == "an early end":
        for key in ("sums", "folded", "kept"):
            rival[key] = rival[key][:-1]
        rival["slopes"][-1][1] -= 1
        rival["bets"] = rival["bets"][:-1]
    return rehashed(new)


ANYWHERE = ["one bet", "one bet more", "final capital", "lower", "lower and null", "alpha", "n", "first stage", "top",
            "a rival less", "a kept row", "a lone row", "a power sum", "a smallest row", "not a number",
            "a missing entry", "an early end"]


@pytest.mark.parametrize(("functional", "method"), CASES)
def test_every_change_is_rejected_with_the_hash_recomputed(rows, functional, method):
    content = lower_bound_scores(rows, top=0, functional=functional, method=method).transcript.to_dict()
    assert check_transcript(rehashed(content)).lower == content["lower"]
    changes = ANYWHERE + (["next grid null", "grid"] if method == "digital-hedge" else [])
    for where in changes + (["a slope"] if functional != "margin" else []):
        forged = altered(content, where)
        assert forged != content, where
        with pytest.raises(CertificateError):
            check_transcript(forged)


@pytest.mark.parametrize("functional", FUNCTIONALS)
def test_what_a_selection_sample_gave_cannot_be_changed(functional):
    # Few rows are low here, so the bets are those of the binomial option.
    law = LAWS["dirichlet, mean .999"]
    rows, selection = law(np.random.default_rng(5), 1500), law(np.random.default_rng(6), 100)
    content = lower_bound_scores(rows, top=0, functional=functional, selection=selection).transcript.to_dict()
    assert content["first_stage"] == 0
    assert check_transcript(content, rows).lower == content["lower"]
    for change in ("sums", "rows", "a bet", "nothing known", "too large", "negative"):
        new = copy.deepcopy(content)
        rival = new["rivals"][0]
        if change == "sums":
            rival["prior"][0] *= 0.98
        elif change == "rows":
            new["prior"] += 20
        elif change == "a bet":
            rival["bets"][40] *= 1.001
        elif change == "nothing known":
            new["prior"] = 0
        elif change == "too large":
            rival["prior"][0] = 101.0
        elif change == "negative":
            rival["prior"][0] = -1.0
        with pytest.raises(CertificateError):
            check_transcript(rehashed(new))


def test_the_text_names_what_fails(rows):
    content = lower_bound_scores(rows, top=0, functional="probit").transcript.to_dict()
    for where, text in (("one bet", "a bet is not the one that earlier rows imply"),
                        ("a slope", "its slope is not the one that earlier rows imply"),
                        ("lower", "the bound lies above the reported null"),
                        ("grid", "the grid of nulls is not the one"),
                        ("a rival less", "the rivals are not all classes but the certified one"),
                        ("a missing entry", "Part 1 of the transcript is incomplete: 'folded' is missing")):
        with pytest.raises(CertificateError, match=text):
            check_transcript(altered(content, where))


def test_bets_made_in_hindsight_are_rejected(rows):
    # A forger who knows the rows can reach any capital with bets that look ahead; the rule gives them away.
    content = lower_bound_scores(rows, top=0, functional="margin").transcript.to_dict()
    forged = copy.deepcopy(content)
    forged["rivals"][0]["bets"] = [bet * 1.3 for bet in content["rivals"][0]["bets"]]
    forged["rivals"][0]["log_capital"] = 50.0
    with pytest.raises(CertificateError, match="a bet is not the one that earlier rows imply"):
        check_transcript(rehashed(forged))


@pytest.mark.parametrize(("functional", "method"), CASES)
def test_statistics_of_other_rows_are_rejected(rows, functional, method):
    transcript = lower_bound_scores(rows, top=0, functional=functional, method=method).transcript
    assert check_transcript(transcript, rows).against_rows
    other = rows.copy()
    other[[3, 700]] = other[[700, 3]]
    with pytest.raises(CertificateError, match=r"not those of the rows|not among the rows"):
        check_transcript(transcript, other)
    with pytest.raises(CertificateError, match="another shape"):
        check_transcript(transcript, rows[:, :3])
    with pytest.raises(CertificateError, match="fewer rows than it needs"):
        check_transcript(transcript, rows[:40])


def test_abstentions_and_methods_without_bets(rows):
    reverse = rows[:, [1, 0, 2, 3]]
    assert math.isinf(check_transcript(lower_bound_scores(reverse, top=0, functional="probit").transcript).lower)
    negative = lower_bound_scores(reverse, top=0, functional="margin")
    assert check_transcript(negative.transcript, reverse).lower == negative.lower < 0.0
    trivial = lower_bound_scores(rows[:1], top=1, functional="margin")
    assert check_transcript(trivial.transcript).lower == trivial.lower
    claimed = lower_bound_scores(reverse, top=0, functional="probit").transcript.to_dict()
    with pytest.raises(CertificateError, match="no null was rejected"):
        check_transcript(rehashed({**claimed, "lower": 0.1}))
    with pytest.raises(RefusedError, match="draws no votes, so there is no certificate; the proof of a bound from"):
        _ = negative.certificate
    with pytest.raises(RefusedError, match="places no bets"):
        _ = lower_bound_scores(rows, top=0, functional="margin", method="hoeffding").transcript


@pytest.mark.parametrize("functional", FUNCTIONALS)
@pytest.mark.parametrize("short", [0.0, 4e-16, 3e-14, 1e-9, 1e-6])
def test_nearly_constant_rows_are_proven_again(functional, short):
    """Nulls that only rounding keeps apart must not make one grid of the bound and another of the checker."""
    rows = np.tile([1.0 - short, short], (2000, 1))
    bound = lower_bound_scores(rows, top=0, functional=functional, selection=rows[:100])
    assert check_transcript(bound.transcript.to_dict()).lower == bound.lower > 0.0


def by_the_checker(price: np.ndarray, r: float, q: np.ndarray) -> np.ndarray:
    return replay_few.lows_worth(price, r, q, np.zeros(price.size))[0]


def by_the_bound(price: np.ndarray, r: float, q: np.ndarray) -> np.ndarray:
    return np.array([few_downs.lows_worth(one, r, share, few_downs.lows_guess(one, r, share))
                     for one, share in zip(price.tolist(), q.tolist(), strict=True)])


@pytest.mark.parametrize("solve", [by_the_checker, by_the_bound])
def test_the_number_of_lows_that_a_price_is_worth(solve):
    """To 2e-7 of F (1 - F) at any number of rows to go: bets are compared to 1e-6."""
    random = np.random.default_rng(7)
    for r in (1, 2, 3, 5, 8, 12, 30, 200, 2000):
        q = random.uniform(0.002, min(0.5, 100.0 / r), 400)
        price = ndtr(random.uniform(-4.5, 3.5, 400))
        k = solve(price, float(r), q)
        error = np.abs(betainc(r - k, k + 1.0, 1.0 - q) - price)
        # At the ends F and its distance from 1 vanish, and k is known to 1e-11 all the same.
        inside = (k > -0.999) & (k < r - 0.001)
        assert inside.mean() > 0.8
        assert (error <= 2e-7 * price * (1.0 - price) + 1e-14)[inside].all()


@pytest.mark.parametrize("method", ["digital-hedge", "fast-betting"])
@pytest.mark.parametrize("functional", FUNCTIONALS)
def test_another_functional_in_the_file_is_another_statement(rows, functional, method):
    content = lower_bound_scores(rows, top=0, functional=functional, method=method).transcript.to_dict()
    for other in FUNCTIONALS:
        if other == functional:
            continue
        forged = rehashed({**content, "functional": other})
        # Against the rows and without them: slopes, grid, bets and the capital are other ones.
        for given in (None, rows):
            with pytest.raises(CertificateError, match="does not prove its bound"):
                check_transcript(forged, given)
    unknown = rehashed({**content, "functional": "taylor-probit"})
    with pytest.raises(CertificateError, match="functional"):
        check_transcript(unknown)


@pytest.mark.parametrize("functional", ["probit", "laplace", "logit"])
def test_another_functional_is_refused_even_with_the_bets_of_the_file_alone(functional):
    # Two classes and few rows: no slope is chosen yet, and only the tangent prices differ.
    few = LAWS["beta(8,2)"](np.random.default_rng(4), 40)
    bound = lower_bound_scores(few, top=0, functional=functional, method="fast-betting", alpha=0.1)
    content = bound.transcript.to_dict()
    assert check_transcript(rehashed(content)).functional == functional
    for other in {"probit", "laplace", "logit"} - {functional}:
        with pytest.raises(CertificateError):
            check_transcript(rehashed({**content, "functional": other}))
