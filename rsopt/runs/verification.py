"""Saved proofs of every kind, told apart and handed to the checker of their kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rsopt.errors import CertificateError, InvalidInputError, StorageError, UnknownNameError
from rsopt.runs.certify import CERTIFICATES, STORE, stored_proofs
from rsopt.runs.claims import unproven_claims
from rsopt.runs.store import Store

ARITHMETICS = ("double", "arb")


def proofs_in(path: Path) -> Iterator[tuple[str, str]]:
    """(name, text) of the proofs in a file, in a run's folder (from its store) or in a folder of files.

    Raises:
        InvalidInputError: a folder without any.
        StorageError: something cannot be read.
    """
    if not path.is_dir():
        yield str(path), _text(path)
        return
    if (path / STORE).is_file():
        with Store.read(path / STORE) as store:
            yield from stored_proofs(store)
        return
    folder = path / CERTIFICATES
    files = sorted((folder if folder.is_dir() else path).glob("*.json"))
    if not files:
        raise InvalidInputError(f"{path} holds no proofs: no {STORE}, no {CERTIFICATES}/*.json and no *.json.")
    for file in files:
        yield str(file), _text(file)


def claims_without_proof(path: Path) -> list[str]:
    """For the folder of a run, what it reports and its proofs do not give (`unproven_claims`); otherwise nothing.

    Raises:
        StorageError: something cannot be read.
    """
    if not (path / STORE).is_file():
        return []
    with Store.read(path / STORE) as store:
        return list(unproven_claims(store))


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
    if arithmetic not in ARITHMETICS:
        raise UnknownNameError.of("arithmetic", arithmetic, list(ARITHMETICS))
    content = _content(text)
    if str(content.get("format")).startswith("rsopt score transcript"):
        from rsopt.checks.transcript import check_transcript

        proven = check_transcript(content)
        return (f"{proven.functional} of the mean scores of class {proven.top} on {proven.n:,} rows is at least "
                f"{proven.lower:.6f} at alpha {proven.alpha:g} ({proven.method}, rivals or groups: {proven.rivals})")
    from rsopt.checks.certificate import check_certificate

    report = check_certificate(content, arithmetic)
    return (f"{content['functional']} at votes {content['x1']:,} against {content['x2']:,} of {content['n']:,} is at "
            f"least {report.lower:.6f} at alpha {report.alpha:g} (pieces: {report.pieces}, tail at most "
            f"{report.tail_at_most:.6g}, {report.arithmetic} arithmetic)")


def _content(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise CertificateError(f"It is no JSON: {error}.") from error
    if not isinstance(content, dict):
        raise CertificateError("It holds no certificate: expected a JSON object.")
    return content


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise CertificateError(f"{path} is no text: {error.reason}.") from error
