"""A run held against itself: whatever in its store follows from something else in it is computed again and compared.

The facts of a run fix the question, the looks and their shares of the error; the votes of a look fix its baselines and,
with a certificate, its bound; a bound fixes its radius. What no file can show is said in docs/verify.md. Whether a
proof holds is for `rsopt.checks`; here it is compared with the row that it belongs to.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from rsopt import baselines, proof_file
from rsopt.certificate import Certificate, LookShare
from rsopt.counts import Counts
from rsopt.errors import CertificateError, RsoptError
from rsopt.files import read_text
from rsopt.functionals import as_functional
from rsopt.methods import MELDED, METHODS, OWN, RIVALS, SOFT_METHODS, soft_methods
from rsopt.runs.asked import Asked
from rsopt.runs.export import cells
from rsopt.runs.records import ESTIMATION, SELECTION, BoundRow, CertificateRow, InputOutcome, Look
from rsopt.runs.rows import best_bounds, looks_taken, stored_rows
from rsopt.runs.store import Store
from rsopt.scores.lower_bound_scores import DRAWN, PROVEN
from rsopt.transcript import Transcript

#: Seconds that nothing takes.
_LONGEST = 1e9
#: What another version of SciPy may change in a closed form, relatively.
_SAME = 1e-9
#: The same in a share of alpha; less than any total variation that could matter.
_SAME_SHARE = 1e-12

Stored = InputOutcome | Look | BoundRow | CertificateRow
_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "int | None": (int, type(None)), "float": (float,), "str": (str,),
                                       "bytes": (bytes,)}


def differences(store: Store) -> Iterator[str]:
    """A sentence for the first thing in each input of a run that does not agree with the rest of the store.

    Raises:
        StorageError: a record is damaged.
    """
    try:
        asked = Asked.of(store.facts)
    except (KeyError, TypeError, ValueError, LookupError) as error:
        yield f"the facts of the run do not make a question: {error if isinstance(error, RsoptError) else repr(error)}"
        return
    outcomes = store.all(InputOutcome)
    if len(outcomes) > asked.inputs:
        yield f"{len(outcomes):,} inputs are finished, and the run is for {asked.inputs:,}."
    finished = {outcome.idx for outcome in outcomes}
    stored: list[BoundRow | CertificateRow] = [*store.all(BoundRow), *store.all(CertificateRow)]
    for row in stored:
        if row.idx not in finished:
            yield f"input {row.idx!r}: {row.TABLE} are stored, but no outcome."
            break
    classes = asked.classes
    for outcome in outcomes:
        parts = (store.of_input(Look, outcome.idx), store.of_input(BoundRow, outcome.idx),
                 store.of_input(CertificateRow, outcome.idx))
        first = next(_of_input(asked, outcome, *parts), None)
        if first is not None:
            yield f"input {outcome.idx!r}: {first}."
            continue
        for look in parts[0]:
            classes = classes or look.counts.size
            if look.counts.size != classes:
                yield f"input {outcome.idx}: it has votes for {look.counts.size} classes, and the run for {classes!r}."
                break


def table_differences(store: Store, table: Path) -> Iterator[str]:
    """A sentence for the first cell in each row of a run's table that is not what its store says.

    Raises:
        StorageError: a record is damaged, or the table cannot be read.
    """
    rows = {str(row.idx): cells(row) for row in stored_rows(store)}
    lines = list(csv.DictReader(read_text(table, "The table").splitlines(), delimiter="\t"))
    for number, (line, idx) in enumerate(itertools.zip_longest(lines, rows), start=2):
        if line is None:
            yield f"{table.name} has no line for input {idx}."
            continue
        found = line.get("idx")
        if found is None or found not in rows or found != idx:
            yield f"{table.name}, line {number}: input {found!r} is not the one that the store has there, {idx!r}."
            return
        for column, cell in line.items():
            expected = rows[idx].get(column, "")
            if cell != expected and column != "time":
                yield f"{table.name}, line {number}: {column} is {cell!r}, and the store says {expected!r}."
                break


def _of_input(asked: Asked, outcome: InputOutcome, looks: Sequence[Look], bounds: Sequence[BoundRow],
              proofs: Sequence[CertificateRow]) -> Iterator[str]:
    """What does not agree in one input; what follows a difference may be nonsense, and is not to be asked for."""
    yield from _types((outcome, *looks, *bounds, *proofs))
    if outcome.error:
        if (outcome.top, outcome.chosen, outcome.looks, outcome.bounds, len(bounds), len(proofs)) != (
                None, "", 0, 0, 0, 0):
            yield "it failed, and yet something is reported of it"
        return
    yield from _votes(looks)
    taken = [look for look in looks if look.stream == ESTIMATION]
    yield from _class(asked, outcome, [look for look in looks if look.stream == SELECTION], taken)
    assert outcome.top is not None  # by _class
    if outcome.looks != len(taken):
        yield f"{outcome.looks} looks are reported, and {len(taken)} are stored"
    yield from _bounds(asked, outcome, taken, bounds)
    yield from _looks(asked, taken, [bound for bound in bounds if bound.method == OWN], outcome.top)
    best = best_bounds(bounds)
    if outcome.best != best[OWN].look:
        yield f"look {outcome.best} is reported as the best one, and the largest bound is at look {best[OWN].look}"
    yield from _proofs(asked, outcome.top, taken, best, proofs)


def _types(records: Sequence[Stored]) -> Iterator[str]:
    """SQLite keeps whatever it is given."""
    for record in records:
        for field in fields(record):
            value: object = getattr(record, field.name)
            if isinstance(value, bool) or not isinstance(value, _TYPES[str(field.type)]) or value != value:
                yield f"{field.name} of its {record.TABLE} is {proof_file.shown(value)}, which is no {field.type}"
            elif field.name == "seconds" and isinstance(value, float) and not 0.0 <= value < _LONGEST:
                yield f"seconds of its {record.TABLE} is {value!r}, which is no time"


def _votes(looks: Sequence[Look]) -> Iterator[str]:
    for look in looks:
        where = f"look {look.look} of stream {look.stream}"
        if look.stream not in (SELECTION, ESTIMATION):
            yield f"{where} is of no known stream"
        if len(look.votes) % 8 or len(look.votes) < 16:
            yield f"{where} holds no votes of two classes or more"
        if look.counts.min() < 0 or sum(look.counts.tolist()) != look.n:
            yield f"{where} holds {sum(look.counts.tolist()):,} votes, and {look.n:,} samples are reported"


def _class(asked: Asked, outcome: InputOutcome, selection: Sequence[Look], taken: Sequence[Look]) -> Iterator[str]:
    """The certified class, and how it was chosen."""
    chosen = "label" if asked.n0 is None else "selection"
    if outcome.chosen != chosen:
        yield f"its class is said to be chosen by {outcome.chosen!r}, and in this run it is by {chosen!r}"
    if not taken:
        yield "no look at estimation samples is stored"
    if asked.n0 is None:
        if selection:
            yield "selection samples are stored, and classes are chosen by label"
        top = outcome.label
    else:
        if [(look.look, look.n, look.alpha) for look in selection] != [(0, asked.n0, 0.0)]:
            yield f"its selection is not one look at {asked.n0:,} samples that spends no error"
        top = int(selection[0].counts.argmax())
    if outcome.top is None or outcome.top != top:
        yield f"class {outcome.top} is certified, and its {chosen} says {top}"
    for look in (*selection, *taken):
        if not 0 <= outcome.top < look.counts.size == taken[0].counts.size:  # type: ignore[operator]  # it is a number
            yield f"class {outcome.top} is certified, and look {look.look} has votes for {look.counts.size} classes"


def _looks(asked: Asked, taken: Sequence[Look], own: Sequence[BoundRow], top: int) -> Iterator[str]:
    """Number, order and errors of the looks: what the policy says on what the looks before showed."""
    if [look.look for look in taken] != list(range(len(taken))):
        yield f"its looks are numbered {[look.look for look in taken]}"
    for before, after in itertools.pairwise(taken):
        if not (after.n > before.n and (after.counts >= before.counts).all()):
            yield f"look {after.look} does not continue look {before.look}"
    left = asked.error_of(asked.question.alpha)
    if taken[-1].n > asked.most or sum(look.alpha for look in taken) > left * (1.0 + _SAME_SHARE):
        yield f"its looks take more than {asked.most:,} samples, or spend more than alpha {left!r}"
    if asked.policy is None:
        return
    results = looks_taken(taken, own, top)
    for k in range(len(taken) + 1):
        planned = asked.policy.next_look(results[:k])
        if k == len(taken):
            if planned is not None:
                yield f"it ends after look {k - 1}, and the stopping policy goes on to {planned.n:,} samples"
        elif planned is None:
            yield f"look {k} is stored, and the stopping policy stops before it"
        elif taken[k].n != planned.n or not close(taken[k].alpha, asked.error_of(planned.alpha), _SAME_SHARE):
            yield (f"look {k} is at {taken[k].n:,} samples and alpha {taken[k].alpha!r}, and the stopping policy plans "
                   f"{planned.n:,} and {asked.error_of(planned.alpha)!r}")


def _bounds(asked: Asked, outcome: InputOutcome, taken: Sequence[Look], bounds: Sequence[BoundRow]) -> Iterator[str]:
    """Which bounds there are, their errors and radii, and the baselines, which are computed again."""
    expected = {(look.look, method) for look in taken for method in METHODS}
    if asked.scores is not None:
        expected |= {(taken[-1].look, method) for method in soft_methods(asked.question.noise)}
    found = {(bound.look, bound.method) for bound in bounds}
    # Earlier versions had no melded limit; at one look it is there at all of them.
    if any(bound.method == MELDED for bound in bounds):
        expected |= {(look.look, MELDED) for look in taken}
    for number, method in sorted(expected ^ found, key=str):
        yield f"{method} at look {number} is {'missing' if (number, method) in expected else 'none of this run'}"
    if outcome.bounds != len(bounds):
        yield f"{outcome.bounds} bounds are reported, and {len(bounds)} are stored"
    by_look = {look.look: look for look in taken}
    for bound in bounds:
        look, where = by_look[bound.look], f"{bound.method} at look {bound.look}"
        if bound.alpha != look.alpha:
            yield f"{where}: alpha {bound.alpha:g} is reported, and the look spends {look.alpha:g}"
        if not bound.lower <= bound.lower_at_most or (bound.method != OWN and bound.lower != bound.lower_at_most):
            yield f"{where}: the bound {bound.lower:.6g} and what it is at most, {bound.lower_at_most:.6g}, contradict"
        if bound.method in RIVALS:
            again = _baseline(asked, bound.method, Counts(tuple(look.counts.tolist()), outcome.top or 0), look.alpha)
            if not close(bound.lower, again):
                yield f"{where}: the bound {bound.lower:.6g} is reported, and the votes give {again:.6g}"
        radius = _radius(asked, bound)
        if not close(bound.radius, radius):
            yield f"{where}: radius {bound.radius:.6g} is reported, and the bound gives {radius:.6g}"


def _baseline(asked: Asked, method: str, counts: Counts, alpha: float) -> float:
    return baselines.BY_NAME[method](counts, functional=asked.question.functional, alpha=alpha).lower


def _radius(asked: Asked, bound: BoundRow) -> float:
    if bound.method in SOFT_METHODS:
        return asked.question.noise.radius(_soft_functional(asked, bound), bound.lower)
    return asked.question.radius(bound.lower)


def close(one: float, other: float, share: float = _SAME) -> bool:
    """Whether two numbers are the same but for rounding; equal infinities are."""
    return one == other or (math.isfinite(one) and abs(one - other) <= share * abs(one))


def _proofs(asked: Asked, top: int, taken: Sequence[Look], best: Mapping[str, BoundRow],
            proofs: Sequence[CertificateRow]) -> Iterator[str]:
    """One proof for each reported bound whose method has one, and each of this very bound."""
    stored = {(row.look, row.method): row for row in proofs}
    for method, bound in best.items():
        if method in RIVALS or (method in SOFT_METHODS and asked.scores not in PROVEN):
            continue
        row = stored.pop((bound.look, method), None)
        if row is None:
            yield f"{method}: radius {bound.radius:.6g} is reported and no proof is stored"
            continue
        look = next(look for look in taken if look.look == bound.look)
        try:
            content = proof_file.parsed(proof_file.unpacked(row.body), "its proof")
            if method in SOFT_METHODS and asked.scores != DRAWN:
                stated = _of_transcript(asked, Transcript.from_dict(content), bound, look, top)
            else:
                stated = _of_certificate(asked, Certificate.from_dict(content), bound, look, top)
        except CertificateError as error:
            yield f"{method}: {str(error).removesuffix('.')}"
            continue
        for name, reported, proven in stated:
            if reported != proven:
                yield f"{method}: {name} {_said(reported)} is reported, and the proof is of {_said(proven)}"
    for look_number, method in stored:
        yield f"{method}: a proof of look {look_number} is stored, which is none of a bound that is reported"


def _of_certificate(asked: Asked, proof: Certificate, bound: BoundRow, look: Look,
                    top: int) -> Iterator[tuple[str, object, object]]:
    """(what, as reported, as proven) for everything that a certificate and its row share."""
    soft = bound.method in SOFT_METHODS
    functional = as_functional(_soft_functional(asked, bound)) if soft else asked.question.functional
    votes = Counts(tuple(look.counts.tolist()), top)
    yield "alpha", bound.alpha, proof.alpha
    yield "n", look.n, proof.n
    yield "functional", functional.name, proof.functional
    yield "order", None if soft else asked.question.order, proof.order
    yield "statistic", "studentized" if soft else asked.question.statistic.name, proof.statistic
    # Votes drawn from scores may fall on nobody, and are not stored.
    yield "a third class", soft or not votes.two_classes, proof.third_cell
    yield "the least q1", 0.0, proof.least_q1
    if not soft:
        yield "votes", (votes.x1, votes.x2), (proof.x1, proof.x2)
    lower = functional.range[0] if proof.lower == -math.inf else proof.lower
    if soft and not functional.linear and lower < 0.0:
        # On scores a negative margin of links is not resolved.
        lower = -math.inf
    yield "the bound", bound.lower, lower
    if not soft:
        at_most = proof.lower_at_most
        if at_most is not None or bound.lower_at_most not in functional.range:
            yield "the largest exact bound", bound.lower_at_most, at_most
        if proof.look is not None:
            yield "the look", LookShare(look.look + 1, len(asked.plan), asked.question.alpha), proof.look


def _of_transcript(asked: Asked, proof: Transcript, bound: BoundRow, look: Look,
                   top: int) -> Iterator[tuple[str, object, object]]:
    """The same for a transcript."""
    yield "alpha", bound.alpha, proof.alpha
    yield "n", look.n, proof.n
    yield "functional", _soft_functional(asked, bound), proof.functional
    yield "method", asked.scores, proof.method
    yield "class", top, proof.top
    yield "the number of classes", look.counts.size, proof.classes
    yield "the number of selection samples", asked.n0 or 0, proof.prior
    yield "the bound", bound.lower, -math.inf if proof.lower is None else proof.lower


def _soft_functional(asked: Asked, bound: BoundRow) -> str:
    return soft_methods(asked.question.noise)[bound.method]


def _said(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
