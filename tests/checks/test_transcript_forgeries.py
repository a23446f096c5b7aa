"""Transcripts of bounds that are too large, made by the very code that makes true ones: refused, rows or no rows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from score_laws import ADVERSARIAL, LAWS

from rsopt.checks.transcript import check_transcript
from rsopt.checks.transcript_run import Run
from rsopt.errors import CertificateError
from rsopt.intervals import betting
from rsopt.intervals.betting import Verdict, sparse_nulls
from rsopt.intervals.nulls import null_grid
from rsopt.proof_file import hashed
from rsopt.scores.evidence import Evidence
from rsopt.scores.lower_bound_scores import lower_bound_scores
from rsopt.transcript import CLOSEST, EVERY, FORMATS, FUNCTIONALS, Transcript

CASES = [(functional, method) for functional in FUNCTIONALS for method in ("digital-hedge", "fast-betting")]


def lifted(evidence: Evidence, functional: str, method: str, by: int) -> Transcript | None:
    """A transcript in which every number is what the rule gives, for a null `by` places above the one reported."""
    verdict, plan = evidence.verdict, evidence.pairs[0].plan
    assert verdict.null is not None
    if verdict.prediction is None:
        step = max(abs(verdict.null), 1e-3)
        nulls = np.array([min(verdict.null + by * 1e-4 * step, 1.0 - 1e-9 if functional == "margin" else np.inf)])
    else:
        nulls = null_grid(verdict.prediction, plan.kind, plan.n, plan.log_level)[:verdict.nulls.size + by]
        if nulls.size < verdict.nulls.size + by:
            return None
    null = float(nulls[-1])
    blocks = np.array([pair.blocks for pair in evidence.pairs])
    last = np.full(blocks.size, null)
    if verdict.prediction is not None:
        whole = null_grid(verdict.prediction, plan.kind, plan.n, plan.log_level)
        some = sparse_nulls(whole.size)
        last[verdict.steps != 1] = whole[some[np.searchsorted(some, nulls.size - 1)]]
    raised = dataclasses.replace(evidence, verdict=Verdict(null, verdict.binding, nulls, blocks, last, verdict.steps,
                                                           verdict.prediction))
    lower = null if functional != "margin" else max(-1.0, 2.0 * null - 1.0 - 4e-16)
    return raised.transcript(method, functional, 0, lower)


@pytest.mark.parametrize(("functional", "method"), CASES)
def test_a_null_that_was_not_rejected_is_not_proven(functional: str, method: str) -> None:
    tried = 0
    for name, law in {**LAWS, **ADVERSARIAL}.items():
        for n in (12, 250):
            rows = law(np.random.default_rng(n), n)
            selection = law(np.random.default_rng(n + 1), 40) if n == 250 else None
            bound = lower_bound_scores(rows, top=0, functional=functional, method=method, selection=selection)
            assert bound.evidence is not None
            if bound.evidence.verdict.null is None:
                continue
            for by, given in ((1, None), (1, rows), (6, rows)):
                forged = lifted(bound.evidence, functional, method, by)
                if forged is not None:
                    with pytest.raises(CertificateError, match=r"stays below 1/alpha|allows every mean"):
                        check_transcript(forged, given)
                    tried += 1
            assert check_transcript(bound.transcript, rows).lower == bound.lower, name
    assert tried > 30


def test_no_bound_at_all_proves_nothing_else() -> None:
    rows = np.tile([0.2, 0.8], (60, 1))
    for functional, bare in (("margin", -1.0), ("probit", None)):
        none = lower_bound_scores(rows[:1], top=0, functional=functional).transcript
        assert (none.null, none.rivals, none.grid, none.lower) == (None, (), None, bare)
        for change in ({"lower": -0.5}, {"null": 0.1}, {"null": 0.1, "lower": 0.0}, {"lower": 0.0}):
            with pytest.raises(CertificateError):
                check_transcript(dataclasses.replace(none, **change))
    # Rivals without blocks: there is nothing that could reject the null.
    genuine = lower_bound_scores(np.tile([0.9, 0.1], (200, 1)), top=0).transcript
    empty = [dataclasses.replace(rival, slopes=(), sums=(), folded=(), kept=(), bets=(), log_capital=0.0)
             for rival in genuine.rivals]
    for claim in (dataclasses.replace(genuine, rivals=tuple(empty)), dataclasses.replace(genuine, rivals=())):
        with pytest.raises(CertificateError, match=r"first stage is not complete|stays below|not all classes"):
            check_transcript(claim)
    fast = lower_bound_scores(np.tile([0.9, 0.1], (200, 1)), top=0, method="fast-betting").transcript
    with pytest.raises(CertificateError, match="stays below 1/alpha"):
        check_transcript(dataclasses.replace(fast, rivals=tuple(empty)))


def test_power_sums_of_no_rows_are_refused() -> None:
    """Sixth powers of 0 beside fourth powers that are not would win capital for nothing."""
    rows = LAWS["softmax, T=1"](np.random.default_rng(4), 4000)
    content = lower_bound_scores(rows, top=0).transcript.to_dict()
    del content["sha256"]
    block = max(range(len(content["rivals"][0]["folded"])), key=lambda k: len(content["rivals"][0]["folded"][k]))
    for change in ({7: 0.0, 6: 0.0}, {5: 0.0}, {3: 0.0}, {7: 1e300}, {4: 10.0}):
        folded = [list(part) for part in content["rivals"][0]["folded"]]
        for place, value in change.items():
            folded[block][place] = value
        rivals = [{**content["rivals"][0], "folded": folded}, *content["rivals"][1:]]
        with pytest.raises(CertificateError, match=r"no rows have these power sums|contradict its rows"):
            check_transcript(hashed({**content, "rivals": rivals}))


def test_with_rows_the_proof_is_of_the_rows() -> None:
    """Statistics that are off by what the comparison allows are replaced, not believed."""
    rows = LAWS["beta(8,2)"](np.random.default_rng(5), 3000)
    transcript = lower_bound_scores(rows, top=0).transcript
    rival = transcript.rivals[0]
    run = Run(rival, transcript, "rival")
    run.sums *= 1.0 + 1e-10
    run.folded[:, 7] *= 1.0 - 5e-8
    run.take(rows[:, 0], rows[:, 1])
    again = Run(rival, transcript, "rival")
    assert np.abs(run.sums - again.sums).max() <= 1e-11
    assert np.allclose(run.folded, again.folded, rtol=1e-9, atol=1e-15)
    with pytest.raises(CertificateError, match="something that is no number"):
        check_transcript(transcript, np.where(np.arange(2) == 0, np.nan, rows))


def many(seed: int, n: int = 300, classes: int = 60) -> np.ndarray:
    """Rows with two strong rivals, a few weak ones and many that hardly matter."""
    logits = np.random.default_rng(seed).normal(size=(n, classes))
    logits[:, 0] += 7.0
    logits[:, 1:3] += 5.0
    logits[:, 3:8] += 2.0
    scores = np.exp(logits)
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def test_distant_rivals_cost_the_bound_nothing_and_are_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, selection = many(0), many(1, 40)
    for functional, sample in (("probit", None), ("probit", selection)):
        bound = lower_bound_scores(rows, top=0, functional=functional, groups=[[j] for j in range(1, 60)],
                                   selection=sample)
        assert bound.evidence is not None
        steps = bound.evidence.verdict.steps
        assert 5 < (steps == EVERY).sum() <= 59 - CLOSEST
        assert (steps[:7] == 1).all()
        transcript = bound.transcript
        assert transcript.format == FORMATS[1]
        again = Transcript.from_dict(transcript.to_dict())
        assert again == transcript
        for given in (None, rows):
            assert check_transcript(again, given).lower == bound.lower
        # Asked about every null, the rivals give the same bound, and its transcript is one of version 2.
        with monkeypatch.context() as patched:
            patched.setattr(betting, "CLOSEST", 10**6)
            whole = lower_bound_scores(rows, top=0, functional=functional, groups=[[j] for j in range(1, 60)],
                                       selection=sample)
        assert whole.lower == bound.lower
        assert whole.transcript.format == FORMATS[0]
        assert check_transcript(whole.transcript, rows).lower == bound.lower
        for by in (1, 2, 20):
            forged = lifted(bound.evidence, functional, "digital-hedge", by)
            assert forged is not None
            with pytest.raises(CertificateError, match=r"stays below 1/alpha|allows every mean"):
                check_transcript(forged, rows)


def test_a_close_rival_is_not_let_off() -> None:
    transcript = lower_bound_scores(many(0), top=0).transcript
    for number in (0, 5):
        rivals = list(transcript.rivals)
        rivals[number] = dataclasses.replace(rivals[number], step=EVERY)
        with pytest.raises(CertificateError, match="asked about some nulls only is predicted to be close"):
            check_transcript(dataclasses.replace(transcript, rivals=tuple(rivals)))
    few = lower_bound_scores(many(0)[:, :6] / many(0)[:, :6].sum(axis=1, keepdims=True), top=0).transcript
    lax = dataclasses.replace(few, rivals=tuple(dataclasses.replace(rival, step=EVERY) for rival in few.rivals))
    with pytest.raises(CertificateError, match="asked about some nulls only is predicted to be close"):
        check_transcript(lax)
    fast = lower_bound_scores(many(0), top=0, method="fast-betting").transcript
    lax = dataclasses.replace(fast, rivals=tuple(dataclasses.replace(rival, step=EVERY) for rival in fast.rivals))
    with pytest.raises(CertificateError, match="some nulls only, and there is no grid of them"):
        check_transcript(lax)


def test_steps_belong_to_the_version_that_has_them() -> None:
    content = lower_bound_scores(many(0), top=0).transcript.to_dict()
    del content["sha256"]
    assert content["format"] == FORMATS[1]
    with pytest.raises(CertificateError, match=r"unknown to the format|is unknown|'step'"):
        Transcript.from_dict(hashed({**content, "format": FORMATS[0]}))
    with pytest.raises(CertificateError, match="its step is 2, expected 1 or 16"):
        Transcript.from_dict(hashed({**content, "rivals": [{**rival, "step": 2} for rival in content["rivals"]]}))
    with pytest.raises(CertificateError, match="says no more than 'rsopt score transcript 2' can"):
        Transcript.from_dict(hashed({**content, "rivals": [{**rival, "step": 1} for rival in content["rivals"]]}))
