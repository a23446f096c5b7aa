"""Proofs of every kind, told apart and handed to the checker of their kind."""

from __future__ import annotations

from typing import Any

from rsopt import proof_file
from rsopt.certificate import LookShare
from rsopt.checks.certificate import check_certificate
from rsopt.checks.nested import check_nested_certificate
from rsopt.checks.transcript import check_transcript
from rsopt.errors import CertificateError, UnknownNameError
from rsopt.nested_certificate import NESTED_FORMAT

ARITHMETICS = ("double", "arb")


def checked_arithmetic(name: str) -> str:
    """The name of an arithmetic.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in ARITHMETICS:
        raise UnknownNameError.of("arithmetic", name, list(ARITHMETICS))
    return name


def check_text(text: str, arithmetic: str = "double") -> str:
    """Checks one proof, and says in a line what it proves.

    Args:
        text: JSON of a certificate of a bound on votes or of nested radii, or of a transcript of a bound on scores.
        arithmetic: "double" or "arb", for certificates; a transcript has one arithmetic only.

    Raises:
        CertificateError: the proof does not hold, or the text is none.
        UnknownNameError: an unknown arithmetic.
        MissingDependencyError: "arb" without python-flint.
    """
    checked_arithmetic(arithmetic)
    content = proof_file.parsed(text, "It")
    if str(content.get("format")).startswith("rsopt score transcript"):
        proven = check_transcript(content)
        return (f"{proven.functional} of the mean scores of class {proven.top} on {proven.n:,} rows is at least "
                f"{proven.lower:.6f} at alpha {proven.alpha:g} ({proven.method}, rivals or groups: {proven.rivals})")
    if content.get("format") == NESTED_FORMAT:
        return _nested(content, arithmetic)
    report = check_certificate(content, arithmetic)
    look = _look(report.look)
    return (f"{content['functional']} at votes {content['x1']:,} against {content['x2']:,} of {content['n']:,} is at "
            f"least {report.lower:.6f} at alpha {report.alpha:g} ({look}pieces: {report.pieces}, tail at most "
            f"{report.tail_at_most:.6g}, {report.arithmetic} arithmetic)")


def _nested(content: dict[str, Any], arithmetic: str) -> str:
    report, first = check_nested_certificate(content, arithmetic), content["steps"][0]
    changes = " or ".join(f"{additions} of 0 to 1 and {deletions} of 1 to 0" for additions, deletions in report.changes)
    return (f"the class with votes {first['x1']:,} against {first['x2']:,} of {first['n']:,} stays ahead after changes "
            f"of at most {changes} at alpha {report.alpha:g} ({_look(report.look)}radii: {report.radii}, pieces: "
            f"{report.pieces}, tail at most {report.tail_at_most:.6g}, {report.arithmetic} arithmetic)")


def _look(look: LookShare | None) -> str:
    return "" if look is None else f"look {look.number} of {look.of}, at alpha {look.alpha:g} for all of them; "


def verdict(proof: tuple[str, str], arithmetic: str) -> tuple[str, bool, str]:
    """(its name, whether it holds, what it proves or why it does not) for a proof given by name and text.

    Raises:
        UnknownNameError, MissingDependencyError: as in `check_text`.
    """
    name, text = proof
    try:
        return name, True, check_text(text, arithmetic)
    except CertificateError as error:
        return name, False, str(error)
