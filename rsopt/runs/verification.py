"""Proofs handed to the checker of their kind, and runs held against themselves."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from rsopt import proof_file
from rsopt.checks.certificate import check_certificate
from rsopt.checks.transcript import check_transcript
from rsopt.errors import UnknownNameError
from rsopt.runs.claims import differences, table_differences
from rsopt.runs.folder import STORE, TABLE
from rsopt.runs.store import Store

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


def run_differences(path: Path) -> list[str]:
    """For the folder of a run, where its store contradicts itself, or its table the store; otherwise nothing.

    Raises:
        StorageError: something cannot be read.
    """
    if not (path / STORE).is_file():
        return []
    with Store.read(path / STORE) as store:
        found = list(differences(store))
        table = path / TABLE
        # A table of what contradicts itself says nothing more.
        return found or list(chain.from_iterable([table_differences(store, table)] if table.is_file() else []))
