"""Re-checking a nested certificate: every radius of it, and that together they are what theorem N4 speaks of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rsopt.certificate import Certificate, FlippedBits, LookShare
from rsopt.checks.certificate import MOST_PIECES_OF_FLIPS, check_certificate
from rsopt.errors import CertificateError
from rsopt.nested_certificate import MOST_RADII, NestedCertificate
from rsopt.proof_file import shown


@dataclass(frozen=True)
class NestedReport:
    """What a successful check of a nested certificate established.

    Attributes:
        changes: (additions, deletions) of ones within which the certified class stays ahead: those of the last radius.
        radii: how many radii were proven, each of which covers the one before.
        alpha: probability that the statement is false.
        pieces: pieces of level curves that were covered.
        tail_at_most: largest proven tail over all null hypotheses, at most alpha.
        arithmetic: "double" or "arb".
        look: which of several looks the statement is one of; None for the only one.
    """

    changes: tuple[tuple[int, int], ...]
    radii: int
    alpha: float
    pieces: int
    tail_at_most: float
    arithmetic: str
    look: LookShare | None = None


def check_nested_certificate(certificate: NestedCertificate | Mapping[str, Any] | str | os.PathLike[str],
                             arithmetic: str = "double") -> NestedReport:
    """Prove again, one after the other, every radius of a nested certificate.

    Args:
        certificate: a `NestedCertificate`, its dictionary, or the path of its JSON file (with the content hash).
        arithmetic: as in `check_certificate`.

    Returns:
        a `NestedReport`.

    Raises:
        CertificateError: a radius is not proven, or the radii do not belong together; the text names the first thing
            that fails.
        InvalidInputError: an unknown arithmetic.
        MissingDependencyError: "arb" without python-flint.
        StorageError: the file cannot be read.
    """
    steps = _read(certificate).steps
    flips = [_checked(number, step, steps[0]) for number, step in enumerate(steps, start=1)]
    size = sum(len(step.cuts) * len(found.changes) for step, found in zip(steps, flips, strict=True))
    if size > MOST_PIECES_OF_FLIPS:
        raise CertificateError(f"The radii have {size:,} cuts times pairs of changes together; at most "
                               f"{MOST_PIECES_OF_FLIPS:,} are allowed.")
    for number, (before, after) in enumerate(pairwise(flips), start=2):
        if before.changes == after.changes or not _covers(after, before):
            raise CertificateError(f"Radius {number} is not larger than the one before: its changes "
                                   f"{shown(after.changes)} do not cover {shown(before.changes)}.")
    reports = []
    for number, step in enumerate(steps, start=1):
        try:
            reports.append(check_certificate(step, arithmetic))
        except CertificateError as error:
            raise CertificateError(f"Radius {number}: {error}") from error
    return NestedReport(flips[-1].changes, len(steps), steps[0].alpha, sum(report.pieces for report in reports),
                        max(report.tail_at_most for report in reports), arithmetic, steps[0].look)


def _read(certificate: NestedCertificate | Mapping[str, Any] | str | os.PathLike[str]) -> NestedCertificate:
    if isinstance(certificate, NestedCertificate):
        # Whoever made the object may have put anything into it.
        try:
            if len(certificate.steps) > MOST_RADII:
                raise CertificateError(f"The nested certificate is of more than {MOST_RADII} radii.")
            return NestedCertificate.from_dict(certificate.to_dict())
        except (TypeError, AttributeError) as error:
            raise CertificateError(f"The nested certificate is malformed: {error}.") from error
    if isinstance(certificate, Mapping):
        return NestedCertificate.from_dict(certificate)
    if not isinstance(certificate, str | os.PathLike):
        raise CertificateError(f"This is no nested certificate, nor the path of one: {shown(certificate)}.")
    return NestedCertificate.load(certificate)


def _checked(number: int, step: Certificate, first: Certificate) -> FlippedBits:
    """The changes of a radius, once it is sure that it is one of the votes and the noise of the first one."""
    if step.flips is None or first.flips is None:
        raise CertificateError(f"Radius {number} is of {step.functional!r}, and not of changes of bits.")
    if not step.lower >= 0.0:
        raise CertificateError(f"Radius {number} is not proven: the level {step.lower!r} is below 0.")
    alike = {name: (getattr(step, name), getattr(first, name))
             for name in ("n", "x1", "x2", "alpha", "statistic", "third_cell", "least_q1", "look")}
    alike["noise"] = (step.flips.add, step.flips.remove), (first.flips.add, first.flips.remove)
    for name, (here, there) in alike.items():
        if here != there:
            raise CertificateError(f"Radius {number} has another {name} than the first: {shown(here)}, not "
                                   f"{shown(there)}.")
    return step.flips


def _covers(after: FlippedBits, before: FlippedBits) -> bool:
    """Whether every change of the one is among those of the other, or has no more additions and deletions than one."""
    return all(any(a <= additions and d <= deletions for additions, deletions in after.changes)
               for a, d in before.changes)
