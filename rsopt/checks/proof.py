"""Proofs of every kind, told apart and handed to the checker of their kind."""

from __future__ import annotations

from rsopt import proof_file
from rsopt.checks.certificate import check_certificate
from rsopt.checks.transcript import check_transcript
from rsopt.errors import CertificateError, UnknownNameError

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
        text: JSON of a certificate of a bound on votes, or of a transcript of a bound on scores.
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
    report = check_certificate(content, arithmetic)
    look = "" if report.look is None else (f"look {report.look.number} of {report.look.of}, at alpha "
                                           f"{report.look.alpha:g} for all of them; ")
    return (f"{content['functional']} at votes {content['x1']:,} against {content['x2']:,} of {content['n']:,} is at "
            f"least {report.lower:.6f} at alpha {report.alpha:g} ({look}pieces: {report.pieces}, tail at most "
            f"{report.tail_at_most:.6g}, {report.arithmetic} arithmetic)")


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
